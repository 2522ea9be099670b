#!/usr/bin/env node
/**
 * Entry of the command `holdfast-mselect`: what the kernel's scripts need of mselect7, the names of the tests
 * of one architecture out of many. Without it, initlitmushist.sh runs no test at all and reports success.
 */
import { readFileSync } from "node:fs";
import { EXIT_HOLDS, EXIT_USAGE } from "./exit.ts";
import { expandLists } from "./herd-options.ts";
import { guardStreams } from "./streams.ts";

const USAGE = `usage: holdfast-mselect -arch ARCH [file...]
Prints the files whose first line says that they are tests for ARCH, such as C. Without files, names are read
from standard input; @FILE is a list of files.`;

/** The architecture that a test is for, in lower case; "" if the file does not say. */
function architecture(path: string): string {
  const first = /^\s*([A-Za-z0-9_]+)(?=\s|$)/.exec(readFileSync(path, "utf8"));
  return first === null ? "" : first[1].toLowerCase();
}

function main(args: readonly string[]): number {
  const wanted = new Set<string>();
  const names: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const a = args[i];
    if (a === "-h" || a === "-help" || a === "--help") {
      process.stdout.write(`${USAGE}\n`);
      return EXIT_HOLDS;
    }
    if (a === "-arch" && args[i + 1] !== undefined) wanted.add(args[++i].toLowerCase());
    else if (a.startsWith("-")) {
      process.stderr.write(`holdfast-mselect: unknown option or missing argument '${a}'\n${USAGE}\n`);
      return EXIT_USAGE;
    } else names.push(a);
  }
  if (wanted.size === 0) {
    process.stderr.write(`holdfast-mselect: say which architecture, with -arch\n${USAGE}\n`);
    return EXIT_USAGE;
  }
  const from =
    names.length > 0
      ? names
      : readFileSync(0, "utf8")
          .split("\n")
          .filter((l) => l !== "");
  for (const name of expandLists(from)) {
    try {
      if (wanted.has(architecture(name))) process.stdout.write(`${name}\n`);
    } catch (e) {
      process.stderr.write(`Warning: ${name}: ${e instanceof Error ? e.message : String(e)}\n`);
    }
  }
  return EXIT_HOLDS;
}

guardStreams("holdfast-mselect");
process.exitCode = main(process.argv.slice(2));
