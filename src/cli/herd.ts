#!/usr/bin/env node
/** Entry of the command `holdfast-herd`; see herd-main.ts. */
import { EXIT_INTERNAL } from "./exit.ts";
import { herdMain } from "./herd-main.ts";
import { guardStreams } from "./streams.ts";

guardStreams("holdfast-herd");

try {
  process.exitCode = await herdMain(process.argv.slice(2), process.stdout, process.stderr);
} catch (e) {
  process.stderr.write(`holdfast-herd: internal error: ${e instanceof Error ? e.message : String(e)}\n`);
  process.exitCode = EXIT_INTERNAL;
}
