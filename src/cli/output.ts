/**
 * What commands print: lines to stdout, `--json` objects, colours that NO_COLOR and pipes turn off, and paths
 * as a person would open them. A reader that goes away (`| head`) ends the command quietly.
 */

import { isAbsolute, relative } from "node:path";
import pc from "picocolors";

/**
 * NO_COLOR wins, then FORCE_COLOR, then whether stdout is a terminal: picocolors alone would colour pipes,
 * too, where CI is set.
 */
const forced = process.env["FORCE_COLOR"] !== undefined && process.env["FORCE_COLOR"] !== "0";
const terminal = process.stdout.isTTY === true && process.env["TERM"] !== "dumb";
const colour = !process.env["NO_COLOR"] && (forced || terminal);

export const paint = pc.createColors(colour);

process.stdout.on("error", (e: NodeJS.ErrnoException) => {
  if (e.code === "EPIPE") process.exit(process.exitCode ?? 0);
  throw e;
});

export function print(...lines: string[]): void {
  process.stdout.write(lines.map((l) => `${l}\n`).join(""));
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** A path relative to the current directory if it lies below it. */
export function displayPath(path: string): string {
  const rel = relative(process.cwd(), path);
  return rel === "" || rel.startsWith("..") || isAbsolute(rel) ? path : rel;
}

/** A verdict in its colour. Unknown words stay plain. */
export function paintVerdict(text: string, verdict: string): string {
  switch (verdict) {
    case "holds":
    case "clean":
      return paint.green(text);
    case "violated":
      return paint.red(text);
    case "bounded":
    case "interrupted":
      return paint.yellow(text);
    default:
      return paint.dim(text);
  }
}
