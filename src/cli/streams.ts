/**
 * What becomes of a command whose output cannot be written. A reader that goes away (`| head`) ends it
 * quietly: with the verdict's exit code if there is one already, else as if by SIGPIPE, and never with the 0
 * that means "holds". A full disk is one line and the code of an internal error, for stdout and stderr alike.
 */

import { EXIT_CLOSED, EXIT_INTERNAL } from "./exit.ts";

/** To be called first of all: until then an error of a stream is Node's to show. */
export function guardStreams(command: string): void {
  process.stdout.on("error", (e: NodeJS.ErrnoException) => {
    if (e.code === "EPIPE") process.exit(process.exitCode ?? EXIT_CLOSED);
    process.stderr.write(`${command}: stdout cannot be written: ${e.message}\n`);
    process.exit(EXIT_INTERNAL);
  });
  process.stderr.on("error", (e: NodeJS.ErrnoException) => {
    // Warnings and progress that nobody reads are no reason to stop.
    if (e.code !== "EPIPE") process.exit(EXIT_INTERNAL);
  });
}
