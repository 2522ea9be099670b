#!/usr/bin/env node
/**
 * Entry of the command `holdfast-herd`; see herd-main.ts. A reader that goes away (`| head`) ends it quietly.
 */
import { EXIT_HOLDS, EXIT_INTERNAL } from "./exit.ts";
import { herdMain } from "./herd-main.ts";

process.stdout.on("error", (e: NodeJS.ErrnoException) => {
  if (e.code === "EPIPE") process.exit(EXIT_HOLDS);
  throw e;
});

try {
  process.exitCode = await herdMain(process.argv.slice(2), process.stdout, process.stderr);
} catch (e) {
  process.stderr.write(`holdfast-herd: internal error: ${e instanceof Error ? e.message : String(e)}\n`);
  process.exitCode = EXIT_INTERNAL;
}
