/**
 * Pictures for `holdfast-herd -o`: every execution that -show asks for, one graph after the other in
 * DIR/NAME.dot or on standard output, written as they are met, so that there may be any number.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import type { Witness } from "../check/enumerate/tally.ts";
import type { LitmusFile } from "../litmus/ast.ts";
import { eventText } from "../litmus/columns.ts";
import { toDot } from "../litmus/graph.ts";
import type { LoweredTest } from "../litmus/lower.ts";
import type { HerdOptions } from "./herd-options.ts";

export interface Pictures {
  /** Draws the execution if it is to be shown; whether that is enough. */
  add(test: LoweredTest, x: Witness, holds: boolean): boolean;
  close(): void;
}

/** Null, with a warning, if the file cannot be written. */
export function openPictures(
  path: string,
  file: LitmusFile,
  o: HerdOptions,
  out: { write(text: string): unknown },
  warn: (text: string) => void,
): Pictures | null {
  const dir = o.outputDir ?? ".";
  const base = basename(path).replace(/\.litmus$/, "");
  const target = join(dir, `${base}${o.suffix}.dot`);
  let write: (text: string) => unknown;
  let close: () => void;
  if (dir === "-") {
    write = (text) => out.write(text);
    out.write(`\nDOTBEGIN ${base}\nDOTCOM dot\n`);
    close = () => out.write(`\nDOTEND ${base}\n`);
  } else {
    let fd: number;
    try {
      fd = openSync(target, "w");
    } catch (e) {
      warn(`Cannot create ${target}: ${e instanceof Error ? e.message : String(e)}`);
      return null;
    }
    write = (text) => writeSync(fd, text);
    close = () => closeSync(fd);
  }
  let count = 0;
  return {
    add(test, { candidate, com }, holds) {
      if (!shown(o.show, file.quantifier, holds)) return false;
      const text = eventText(test, candidate, com);
      write(toDot({ title: `Test ${file.name}, lkmm`, candidate, com, text, cycle: [] }));
      return ++count === o.nshow;
    },
    close,
  };
}

function shown(show: HerdOptions["show"], quantifier: LitmusFile["quantifier"], holds: boolean): boolean {
  switch (show) {
    case "prop":
      return holds;
    case "neg":
      return !holds;
    case "cond":
      return holds === (quantifier !== "not-exists");
    case "wit":
      return holds === (quantifier !== "forall");
    default:
      return show === "all";
  }
}
