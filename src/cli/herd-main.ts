/**
 * What `holdfast-herd` does: herd7's options in, herd7's text out, so that the kernel's scripts run with it
 * in herd7's place. Like herd7 it exits 0 even when a test does not parse or a condition fails, and 2 for an
 * option that it does not know. The files of Linux 7.3's model stand for the built-in one; any others are
 * interpreted.
 */
import { readFileSync, statSync } from "node:fs";
import { LitmusError, type LitmusFile } from "../litmus/ast.ts";
import { herdLines } from "../litmus/herd-output.ts";
import { lowerLitmus } from "../litmus/lower.ts";
import { parseLitmus } from "../litmus/parse.ts";
import type { LitmusResult } from "../litmus/run.ts";
import { runLitmus } from "../litmus/run.ts";
import { UserError } from "./errors.ts";
import { chooseModel, type HerdModel } from "./herd-model.ts";
import { Answer, expandLists, type HerdOptions, herdOptions, USAGE, UsageError } from "./herd-options.ts";
import { openPictures, type Pictures } from "./herd-pictures.ts";

/** Where text goes: a stream, or a string in tests. */
export interface Sink {
  write(text: string): unknown;
}

interface Run {
  readonly o: HerdOptions;
  readonly model: HerdModel;
  readonly out: Sink;
  readonly err: Sink;
  /** Tests by name: what they are, and where they came from. */
  readonly seen: Map<string, { readonly test: string; readonly file: string }>;
  failed: boolean;
}

/** A directory where a test is expected ends the run, as herd7's uncaught exception does. */
class FatalInput extends Error {}

async function runTest(file: LitmusFile, run: Run, pictures: Pictures | null): Promise<LitmusResult> {
  const { o, model } = run;
  // Executions that bear on the condition: witnesses, or for forall what contradicts it.
  const relevant = file.quantifier === "forall" ? "negative" : "positive";
  const common = {
    unroll: o.unroll,
    timeout: o.timeout === 0 ? Number.POSITIVE_INFINITY : o.timeout * 1000,
    ...(o.speedcheck === "false" ? {} : ({ only: relevant } as const)),
    ...(o.speedcheck === "fast" ? ({ stopAt: relevant } as const) : {}),
  };
  if ("setup" in model) {
    const { runCat } = await import("../litmus/cat/run.ts");
    return runCat(file, { ...common, setup: model.setup });
  }
  const test = lowerLitmus(file, { strict: true });
  return runLitmus(test, {
    ...common,
    model: model.model,
    settle: false,
    ...(pictures === null ? {} : { onExecution: (x, holds) => pictures.add(test, x, holds) }),
  });
}

async function runOne(path: string, run: Run): Promise<void> {
  const { out, err, o } = run;
  const warn = (text: string): void => {
    err.write(`Warning: ${text}\n`);
    run.failed = true;
  };
  let source: string;
  try {
    if (statSync(path).isDirectory()) throw new FatalInput(`${path}: Is a directory`);
    source = readFileSync(path, "utf8");
  } catch (e) {
    if (e instanceof FatalInput) throw e;
    const code = e instanceof Error && "code" in e ? String(e.code) : "";
    warn(`${path}: ${code === "ENOENT" ? "No such file or directory" : "cannot be read"}`);
    return;
  }
  try {
    const file = parseLitmus(path, source);
    const test = testKey(file);
    const before = run.seen.get(file.name);
    if (before?.test === test) return;
    if (before !== undefined) {
      warn(
        `File "${path}": Different hashes for test ${file.name} (previous file ${before.file}) (User error)`,
      );
      return;
    }
    run.seen.set(file.name, { test, file: path });
    const pictures =
      o.outputDir === null || o.show === "none" ? null : openPictures(path, file, o, out, warn);
    const r = await runTest(file, run, pictures);
    pictures?.close();
    if (r.status === "error" || r.status === "gave-up") {
      warn(`File "${path}": ${r.message} (User error)`);
      return;
    }
    let text = "";
    for (const line of herdLines(r)) {
      text += `${line}\n`;
      if (text.length > 1 << 16) {
        out.write(text);
        text = "";
      }
    }
    out.write(text);
    if (r.status === "bounded")
      err.write(`Warning: File "${path}", unrolling limit exceeded, legal outcomes may be missing.\n`);
  } catch (e) {
    if (!(e instanceof LitmusError)) throw e;
    warn(
      `File "${path}", line ${e.line}, characters ${e.col - 1}-${e.endCol - 1}: ${e.message} (User error)`,
    );
  }
}

/** What a test is, whatever its layout and comments: herd7 has a hash of its syntax tree for this. */
function testKey(file: LitmusFile): string {
  const { init, procs, locations, filter, quantifier, condition } = file;
  const parts = [init, procs, locations, filter, quantifier, condition];
  return JSON.stringify(parts, (key, v: unknown) => (key === "from" || key === "to" ? undefined : v));
}

/** Runs the command; gives its exit code. */
export async function herdMain(
  args: readonly string[],
  out: Sink,
  err: Sink,
  stdin: () => string = () => readFileSync(0, "utf8"),
): Promise<number> {
  try {
    const o = herdOptions(args);
    const model = await chooseModel(o);
    if ("setup" in model && o.verbosity >= 0)
      err.write(`holdfast-herd: not the model of Linux 7.3 (${model.why}): its files are interpreted\n`);
    const run: Run = { o, model, out, err, seen: new Map(), failed: false };
    const names =
      o.files.length > 0
        ? o.files
        : stdin()
            .split("\n")
            .filter((l) => l !== "" && !l.startsWith("#"));
    for (const f of expandLists(names)) {
      await runOne(f, run);
      if (o.exitIfFailed && run.failed) return 1;
    }
    return 0;
  } catch (e) {
    if (e instanceof Answer) {
      out.write(`${e.message}\n`);
      return 0;
    }
    if (e instanceof FatalInput) {
      err.write(`Fatal: ${e.message}\n`);
      return 2;
    }
    if (!(e instanceof UsageError) && !(e instanceof UserError) && !(e instanceof Error && "code" in e))
      throw e;
    err.write(`holdfast-herd: ${e.message}\n${e instanceof UsageError ? `${USAGE}\n` : ""}`);
    return 2;
  }
}
