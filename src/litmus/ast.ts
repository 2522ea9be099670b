/**
 * Syntax of a C litmus test as herd7 reads it (tools/memory-model of Linux 7.3, herdtools7 7.58): initial
 * values, one body per process, an optional filter, the locations to print, and the final condition.
 * Positions are offsets into the source; `lineCol()` turns them into line and column when an error is shown.
 * Types are parsed and dropped, because they have no effect on herd7's C arithmetic. Arrays and structs are
 * not covered.
 */

import type { BinOp } from "../lang/ir.ts";

export interface Span {
  readonly from: number;
  readonly to: number;
}

export type BinaryOp = "|" | "^" | "&" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "+" | "-" | "*" | "/";

/** The operation of lang/ir.ts behind each operator. */
export const BIN: Record<BinaryOp, BinOp> = {
  "|": "or",
  "^": "xor",
  "&": "and",
  "==": "eq",
  "!=": "ne",
  "<": "lt",
  "<=": "le",
  ">": "gt",
  ">=": "ge",
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
};

export type Expr =
  | (Span & { readonly k: "num"; readonly value: number })
  | (Span & { readonly k: "name"; readonly name: string })
  | (Span & { readonly k: "deref"; readonly of: Expr })
  | (Span & { readonly k: "bin"; readonly op: BinaryOp; readonly a: Expr; readonly b: Expr })
  | (Span & { readonly k: "call"; readonly name: string; readonly args: readonly Expr[] });

export type Stmt =
  | (Span & { readonly k: "block"; readonly body: readonly Stmt[] })
  | (Span & { readonly k: "if"; readonly cond: Expr; readonly then: Stmt; readonly else: Stmt | null })
  | (Span & { readonly k: "while"; readonly cond: Expr; readonly body: Stmt })
  /** `value` null: a declaration without an initialiser, which changes nothing. */
  | (Span & { readonly k: "assign"; readonly name: string; readonly value: Expr | null })
  | (Span & { readonly k: "store"; readonly addr: Expr; readonly value: Expr })
  /** A procedure macro of linux-kernel.def, or `(void)` before an expression. */
  | (Span & { readonly k: "proc"; readonly name: string; readonly args: readonly Expr[] })
  | (Span & { readonly k: "void"; readonly expr: Expr });

export interface Param extends Span {
  readonly name: string;
}

export interface Proc extends Span {
  readonly index: number;
  readonly params: readonly Param[];
  readonly body: readonly Stmt[];
}

/** A shared location by name, or a register of a process. */
export type Loc =
  | { readonly k: "mem"; readonly name: string }
  | { readonly k: "reg"; readonly proc: number; readonly name: string };

/** A value of the initial state: a number or the address of a location. */
export type InitValue =
  | { readonly k: "num"; readonly value: number }
  | { readonly k: "addr"; readonly name: string };

export interface Init extends Span {
  readonly loc: Loc;
  readonly value: InitValue;
  /** Bits of an unsigned type that it is declared with, 0 for any other: only herd7's text shows them. */
  readonly unsigned: 0 | 32 | 64;
}

export type Operand =
  | { readonly k: "num"; readonly value: number }
  | { readonly k: "addr"; readonly name: string }
  | { readonly k: "loc"; readonly loc: Loc };

export type Prop =
  | { readonly k: "true" }
  | { readonly k: "false" }
  | { readonly k: "atom"; readonly left: Loc; readonly eq: boolean; readonly right: Operand }
  | { readonly k: "not"; readonly p: Prop }
  | { readonly k: "and"; readonly ps: readonly Prop[] }
  | { readonly k: "or"; readonly ps: readonly Prop[] }
  | { readonly k: "implies"; readonly p: Prop; readonly q: Prop };

export type Quantifier = "exists" | "not-exists" | "forall";

export interface LitmusFile {
  readonly path: string;
  readonly source: string;
  /** First-line name, which need not be the name of the file. */
  readonly name: string;
  readonly doc: string;
  /**
   * The verdict that a `Result:` comment announces, e.g. "Never", with flags after it; "" if there is none.
   */
  readonly expected: string;
  readonly init: readonly Init[];
  readonly procs: readonly Proc[];
  readonly locations: readonly Loc[];
  readonly filter: Prop | null;
  readonly quantifier: Quantifier;
  readonly condition: Prop;
}

/**
 * Input that cannot be used: syntax, unknown primitive, bad process number. Shown with file, line and column.
 */
export class LitmusError extends Error {
  readonly path: string;
  /** Offsets of the offending text. */
  readonly from: number;
  readonly to: number;
  readonly line: number;
  readonly col: number;
  /** Column just past the offending text, 1-based. */
  readonly endCol: number;
  constructor(path: string, source: string, span: Span, message: string) {
    super(message);
    this.name = "LitmusError";
    this.path = path;
    this.from = span.from;
    this.to = span.to;
    const at = lineCol(source, span.from);
    this.line = at.line;
    this.col = at.col;
    this.endCol = at.col + Math.max(1, span.to - span.from);
  }
  get located(): string {
    return `${this.path}:${this.line}:${this.col}: ${this.message}`;
  }
}

/** 1-based line and column of an offset. */
export function lineCol(source: string, offset: number): { line: number; col: number } {
  let line = 1;
  let start = 0;
  for (let i = source.indexOf("\n"); i !== -1 && i < offset; i = source.indexOf("\n", i + 1)) {
    line++;
    start = i + 1;
  }
  return { line, col: offset - start + 1 };
}
