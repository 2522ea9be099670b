/**
 * The words that the classics (classics.ts, classics-errors.ts) are written in: statements, and what is
 * expected of a program.
 */

import type { ErrorKind } from "../../../src/check/errors.ts";
import type { Body, Loc, MiniProgram, Stmt, Value } from "./program.ts";

/** The error, or every final tuple of the observed words, or how many there are. */
export type Expected = { readonly error: ErrorKind } | { readonly finals: readonly string[] };

export interface Classic {
  readonly name: string;
  readonly program: MiniProgram;
  readonly observe: readonly string[];
  readonly sc: Expected;
  readonly tso: Expected;
  /** Numbers of CPUs are in the program: the threads cannot be permuted. */
  readonly numbered?: boolean;
  /** The engine is known to give another answer, for this reason. */
  readonly gap?: string;
}

export const load = (dst: number, loc: Loc): Stmt => ({ s: "load", dst, loc });
export const store = (loc: Loc, v: Value): Stmt => ({ s: "store", loc, v });
export const rmw = (
  fn: "add" | "xchg" | "cmpxchg" | "add_unless",
  dst: number,
  loc: Loc,
  a: Value,
  b?: Value,
): Stmt => (b === undefined ? { s: "rmw", fn, dst, loc, a } : { s: "rmw", fn, dst, loc, a, b });
export const mb: Stmt = { s: "fence", kind: "mb" };
export const r = (reg: number, plus = 0): Value => ({ reg, plus });
export const lock = (loc: Loc): Stmt => ({ s: "lock", loc });
export const unlock = (loc: Loc): Stmt => ({ s: "unlock", loc });
export const free = (reg: number): Stmt => ({ s: "free", loc: { reg } });
export const rcuLock: Stmt = { s: "rcu-lock" };
export const rcuUnlock: Stmt = { s: "rcu-unlock" };
export const irqOff: Stmt = { s: "irq-save", dst: 5 };
export const irqOn: Stmt = { s: "irq-restore", v: r(5) };
export const ifSet = (reg: number, yes: Body): Stmt => ({ s: "if", fn: "ne", a: r(reg), b: 0, yes });
export const assertEq = (a: Value, b: Value): Stmt => ({ s: "assert", fn: "eq", a, b });

export const holds = (...finals: string[]): Expected => ({ finals });
export const both = (e: Expected): { sc: Expected; tso: Expected } => ({ sc: e, tso: e });
export const error = (kind: ErrorKind): Expected => ({ error: kind });

/** Every tuple of n bits. */
export function tuples(n: number): string[] {
  return Array.from({ length: 2 ** n }, (_, i) => [...i.toString(2).padStart(n, "0")].join());
}

export function pair(e: Expected): [Expected, Expected] {
  return [e, e];
}

export const times = (n: number, b: Body): Body[] => Array.from({ length: n }, () => b);
