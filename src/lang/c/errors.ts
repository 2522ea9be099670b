/**
 * Everything that the C front end refuses, as a closed list with stable codes, HF200 to HF299 (the dialect's
 * are HF100 to HF199). A refusal says where, what was found, and what to do. Codes are never reused. What is
 * wrong with a program that runs (a failed assertion, a freed object) is no refusal: see check/errors.ts.
 */

import { nearestName } from "../../machine/nearest.ts";

/** Title and hint of every refusal. */
const C_ERRORS = {
  HF200: ["syntax error", "the program must be valid C11 with the GNU extensions that the kernel uses"],
  HF201: ["unterminated", "end it before the end of the line or file"],
  HF202: ["header not found", "give its directory with -I; docs/c.md lists the kernel headers that exist"],
  HF203: ["#include goes in a circle", "guard the header with #pragma once or #ifndef"],
  HF204: ["bad preprocessing directive", "see the C standard, 6.10"],
  HF205: ["bad macro", "check its definition and the number of its arguments"],
  HF206: ["macro expansion does not end", "a million tokens came out of one file: look for macros that grow"],
  HF207: ["#error", "the program itself refuses this configuration"],
  HF208: ["file not found", "check the path"],
  HF209: ["file too large", "a program to be explored is a few thousand lines"],
  HF210: ["unknown name", "declare it, or include the header that does"],
  HF211: ["function without a body", "include the header that has it, or write it"],
  HF212: ["incomplete or unknown type", "include the header that defines it"],
  HF213: ["no such member", "check the struct's definition"],
  HF214: ["operands do not fit", "check the types"],
  HF215: ["wrong number of arguments", "check the function's declaration"],
  HF216: ["cannot be assigned", "the left side must be an object that is not const"],
  HF217: ["declared twice", "give one of them another name"],
  HF218: ["not a constant expression", "the compiler must be able to compute it"],
  HF219: ["constant leaves 32 bits", "a value is a word of 32 bits here; see docs/c.md, Values"],
  HF220: ["floating point", "kernel code has none; use integers"],
  HF221: ["inline assembly", "use the kernel's function for it: barrier(), smp_mb(), cpu_relax()"],
  HF222: ["variable-length array", "give the array a constant size"],
  HF223: ["not supported", "docs/c.md lists what is"],
  HF224: ["variadic function", "only printk() and its kin take a variable number of arguments here"],
  HF225: ["object too large", "make it smaller: every word of it is part of each state"],
  HF226: [
    "bad label or jump",
    "goto needs a label of the function; break and continue a loop; case a switch",
  ],
  HF227: ["memory read in another size than it is written", "copy with memcpy(), or use shifts and masks"],
  HF228: ["nesting too deep", "split the expression or the block"],
  HF230: [
    "no threads",
    "start them with kthread_run() in module_init(), pthread_create() in main(), or name them P0, P1",
  ],
  HF231: ["too many threads", "30 under SC, 15 under TSO"],
  HF232: ["the program fails before any thread runs", "run alone, its start already breaks a property"],
  HF233: ["size of an allocation is not known", "allocate sizeof(...) times a constant"],
  HF234: ["no entry", "write module_init(f), int main(void), or threads P0, P1, ..."],
  HF235: ["wrong threads function", "a thread takes one pointer, or nothing"],
  HF236: [
    "too much code",
    "a call is expanded where it stands, with all that it calls: call fewer functions, or the same in a loop",
  ],
} as const satisfies Record<string, readonly [string, string]>;

export type CErrorCode = keyof typeof C_ERRORS;

/** One refusal. Lines and columns are 1-based; 0 if there is no place to point at. */
export interface CDiagnostic {
  readonly code: CErrorCode;
  readonly file: string;
  readonly line: number;
  readonly col: number;
  readonly message: string;
  readonly hint: string;
}

/** A place in a file as the user wrote it. `macro`: the outermost macro that the token came out of, or "". */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly col: number;
  readonly macro: string;
}

export const NOWHERE: Place = { file: "", line: 0, col: 0, macro: "" };

/** `file:line:col: HF213 no such member: ...` with the hint on a second line. */
function formatCDiagnostic(d: CDiagnostic): string {
  const place = d.line > 0 ? `${d.file}:${d.line}:${d.col}` : d.file;
  return `${place === "" ? "" : `${place}: `}${d.code} ${d.message}\n  hint: ${d.hint}`;
}

/** Thrown with every refusal of one compile, at least one. Its message is fit for a person. */
export class CError extends Error {
  readonly diagnostics: readonly CDiagnostic[];

  constructor(diagnostics: readonly CDiagnostic[]) {
    super(diagnostics.map(formatCDiagnostic).join("\n"));
    this.name = "CError";
    this.diagnostics = diagnostics;
  }
}

/** `detail` follows the title; `hint` replaces the standard one. */
function cDiagnostic(
  code: CErrorCode,
  place: Place,
  detail = "",
  hint: string = C_ERRORS[code][1],
): CDiagnostic {
  const title = C_ERRORS[code][0];
  const inside = place.macro === "" ? "" : ` (in the expansion of ${place.macro})`;
  const message = `${detail === "" ? title : `${title}: ${detail}`}${inside}`;
  return { code, file: place.file, line: place.line, col: place.col, message, hint };
}

/** @throws CError always */
export function refuse(code: CErrorCode, place: Place, detail = "", hint?: string): never {
  throw new CError([
    hint === undefined ? cDiagnostic(code, place, detail) : cDiagnostic(code, place, detail, hint),
  ]);
}

/** "did you mean X?" if a known name is near, else undefined, for `refuse`. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const near = nearestName(word, known);
  return near === undefined ? undefined : `did you mean ${near}?`;
}
