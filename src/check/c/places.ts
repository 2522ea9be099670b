/**
 * Where the steps of a counterexample are, for who wrote the program: his lines, not those of the package's
 * headers, and the functions that he called there.
 */

import type { BuiltC } from "../../lang/c/program.ts";
import type { Trace, TracePosition } from "../trace/schema.ts";

export interface CPlace {
  readonly file: string;
  readonly line: number;
  /** The function that the user wrote. */
  readonly fn: string;
  /** The line as it stands in the file, trimmed. */
  readonly source: string;
}

/** A header of the package, whose lines are not the user's. */
export const isOurs = (p: TracePosition): boolean => p.file.startsWith("<");

export class Places {
  private readonly lines = new Map<string, readonly string[]>();
  constructor(built: BuiltC) {
    for (const f of built.files) this.lines.set(f.name, f.text.split("\n"));
  }
  place(p: TracePosition): CPlace {
    const source = this.lines.get(p.file)?.[p.line - 1] ?? "";
    return { file: p.file, line: p.line, fn: p.fn, source: source.trim().replace(/\s+/g, " ") };
  }
  /** The user's lines of a chain, innermost first. */
  stack(where: readonly TracePosition[]): CPlace[] {
    return where.filter((p) => !isOurs(p)).map((p) => this.place(p));
  }
}

/**
 * What the user called where a step is: a macro or function of the headers; "" if he wrote a plain access.
 */
export function calledAt(where: readonly TracePosition[]): string {
  const u = where.findIndex((p) => !isOurs(p));
  if (u < 0) return "";
  const { macro } = where[u];
  if (macro !== undefined) return macro;
  return u > 0 ? where[u - 1].fn : "";
}

/** The position and the calls that lead to it, innermost first. */
export function chain(trace: Trace, at: number): TracePosition[] {
  const out: TracePosition[] = [];
  for (let p = at; p >= 0 && p < trace.positions.length; p = trace.positions[p].parent)
    out.push(trace.positions[p]);
  return out;
}
