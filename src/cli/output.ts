/**
 * What commands print: lines to stdout, `--json` objects, colours that NO_COLOR and pipes turn off, and paths
 * as a person would open them. Control characters in what is shown (names in a recording, a file, a message
 * of somebody's module) are written out, `\x1b`, so that they cannot steer the terminal.
 */

import { randomBytes } from "node:crypto";
import { isAbsolute, relative } from "node:path";
import pc from "picocolors";
import { type Column, type Layout, table as textTable } from "../text/table.ts";
import { KEEP, wrapIndented } from "../text/wrap.ts";

/**
 * NO_COLOR wins, then FORCE_COLOR, then whether stdout is a terminal: picocolors alone would colour pipes,
 * too, where CI is set.
 */
const forced = process.env["FORCE_COLOR"] !== undefined && process.env["FORCE_COLOR"] !== "0";
const terminal = process.stdout.isTTY === true && process.env["TERM"] !== "dumb";
const colour = !process.env["NO_COLOR"] && (forced || terminal);

/** Stands for the escape byte of our own colours until they are printed; nobody else can write it. */
const OWN_ESCAPE = `\u{fdd0}${randomBytes(8).toString("hex")}`;
const colours = pc.createColors(colour);
const own =
  (painted: (text: string) => string) =>
  (text: string): string =>
    painted(visible(text)).replaceAll("\x1b", OWN_ESCAPE);

export const paint = {
  bold: own(colours.bold),
  dim: own(colours.dim),
  red: own(colours.red),
  green: own(colours.green),
  yellow: own(colours.yellow),
  cyan: own(colours.cyan),
};

/** C0 without tab and newline, delete, C1, and the marks that turn the direction of writing. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

function escaped(c: string): string {
  const code = c.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, "0")}`;
}

/** The text with control characters written out. */
export function visible(text: string): string {
  return text.replace(CONTROL, escaped);
}

/** Columns of text where nothing says how many there are: a pipe, a file. */
const DEFAULT_WIDTH = 100;
const LEAST_WIDTH = 40;

let asked: number | undefined;

/** `--width`: 72 for mail, or whatever is wanted. */
export function setOutputWidth(columns: number | undefined): void {
  asked = columns;
}

/** What is asked for, else the terminal's width, else that of COLUMNS, else 100. */
export function outputWidth(): number {
  const environment = Number(process.env["COLUMNS"]);
  const columns = asked ?? process.stdout.columns ?? (environment > 0 ? environment : DEFAULT_WIDTH);
  return Math.max(LEAST_WIDTH, columns);
}

/** Lines of a table that fits the output. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  layout: Omit<Layout, "width"> = {},
): string[] {
  return textTable(columns, rows, { ...layout, width: outputWidth() });
}

/** Lines of prose that fit the output, the first after `first`, the others after `rest`. */
export function prose(text: string, first = "", rest = first): string[] {
  return wrapIndented(text, outputWidth(), first, rest);
}

export function print(...lines: string[]): void {
  const text = lines.map((l) => `${visible(l)}\n`).join("");
  process.stdout.write(text.replaceAll(OWN_ESCAPE, "\x1b").replaceAll(KEEP, " "));
}

/** Begins a screen of its own on a terminal; elsewhere an empty line. */
export function clearScreen(): void {
  process.stdout.write(terminal ? "\x1b[2J\x1b[3J\x1b[H" : "\n");
}

/** For people, beside the output: errors and warnings. */
export function printError(...lines: string[]): void {
  process.stderr.write(lines.map((l) => `${visible(l)}\n`).join(""));
}

export function printJson(value: unknown): void {
  // What JSON.stringify() leaves as it is, though a terminal may act on it.
  const text = JSON.stringify(value).replace(
    CONTROL,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  process.stdout.write(`${text}\n`);
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
