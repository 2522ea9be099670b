/**
 * The syntax tree of a C program, typed as it is built: every expression has its type, conversions that C
 * makes silently are nodes, names are resolved. So lowering (lower-*.ts) decides nothing about the language.
 * Plain data; `at` is where the user wrote it.
 */

import type { Place } from "./errors.ts";
import type { CType, Field, FuncType, IntType, RecordDef } from "./types.ts";

export interface VarDecl {
  readonly name: string;
  type: CType;
  readonly at: Place;
  /** `thread`: one per thread, in its registers. */
  readonly storage: "global" | "static-local" | "thread" | "local" | "param";
  /** Null: none; all zero if it lives for ever. */
  init: Init | null;
  /** Something needs it in memory: its address is taken, or it is an array that is not only indexed. */
  inMemory: boolean;
  /** Function called with its address where it goes out of scope: __attribute__((cleanup(f))). */
  cleanup: FnDecl | null;
  /** A per-CPU variable: so many of its type, one behind the other. Absent: one. */
  copies?: number;
  /** Declared with extern and without a body so far. */
  extern: boolean;
  /** Only a header of the package declares it. */
  readonly builtin: boolean;
}

export interface FnDecl {
  readonly name: string;
  type: FuncType;
  at: Place;
  params: VarDecl[];
  body: Stmt | null;
  /** It is used as a value, so an indirect call may mean it. */
  addressTaken: boolean;
  /** Its address becomes a pointer of another type: what calls through such a one may mean it. */
  castAway: boolean;
  readonly builtin: boolean;
  /** __attribute__((noreturn)) or _Noreturn. */
  noreturn: boolean;
}

/** Part of an initialiser: a value for the scalar (or whole struct) at `offset`. */
export interface InitItem {
  readonly offset: number;
  readonly type: CType;
  /** As in Field: a bit-field if width > 0. */
  readonly bit: number;
  readonly width: number;
  readonly value: Expr;
}
/** In order of evaluation; what is not named is zero. */
export interface Init {
  readonly items: readonly InitItem[];
  readonly at: Place;
}

export type ArithOp = "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^" | "<<" | ">>";
export type CompareOp = "==" | "!=" | "<" | "<=" | ">" | ">=";

interface Node {
  readonly type: CType;
  readonly at: Place;
}

export type Expr =
  /** `sized`: the type whose size this is a multiple of, for allocations. */
  | (Node & { readonly k: "num"; readonly value: number; readonly sized: CType | null })
  /** An array of char that lives for ever. */
  | (Node & { readonly k: "str"; readonly decl: VarDecl; readonly text: string })
  | (Node & { readonly k: "var"; readonly decl: VarDecl })
  | (Node & { readonly k: "fn"; readonly decl: FnDecl })
  | (Node & { readonly k: "deref"; readonly e: Expr })
  | (Node & { readonly k: "addr"; readonly e: Expr })
  /** Pointer to the first element of an array, which is an lvalue. */
  | (Node & { readonly k: "decay"; readonly e: Expr })
  | (Node & { readonly k: "member"; readonly e: Expr; readonly field: Field })
  | (Node & { readonly k: "cast"; readonly e: Expr })
  /** Arithmetic of operands of one type, which is `type`; shifts: of the left one. */
  | (Node & {
      readonly k: "bin";
      readonly op: ArithOp;
      readonly a: Expr;
      readonly b: Expr;
      readonly sized: CType | null;
    })
  | (Node & { readonly k: "cmp"; readonly op: CompareOp; readonly a: Expr; readonly b: Expr })
  /** p + i or p - i elements of `size` bytes. */
  | (Node & {
      readonly k: "ptradd";
      readonly p: Expr;
      readonly i: Expr;
      readonly size: number;
      readonly minus: boolean;
    })
  | (Node & { readonly k: "ptrsub"; readonly a: Expr; readonly b: Expr; readonly size: number })
  | (Node & { readonly k: "logic"; readonly op: "&&" | "||"; readonly a: Expr; readonly b: Expr })
  | (Node & { readonly k: "not"; readonly e: Expr })
  | (Node & { readonly k: "neg" | "bitnot"; readonly e: Expr })
  /** `yes` null: the value of the condition itself (`a ?: b`). */
  | (Node & { readonly k: "cond"; readonly c: Expr; readonly yes: Expr | null; readonly no: Expr })
  | (Node & { readonly k: "comma"; readonly a: Expr; readonly b: Expr })
  | (Node & { readonly k: "assign"; readonly l: Expr; readonly r: Expr })
  /** l op= r, computed in type `compute`; shifts and pointers: r has a type of its own. */
  | (Node & {
      readonly k: "opassign";
      readonly op: ArithOp;
      readonly l: Expr;
      readonly r: Expr;
      readonly compute: CType;
    })
  | (Node & { readonly k: "incdec"; readonly l: Expr; readonly by: 1 | -1; readonly post: boolean })
  | (Node & { readonly k: "call"; readonly fn: Expr; readonly args: readonly Expr[] })
  | (Node & {
      readonly k: "builtin";
      readonly name: string;
      readonly args: readonly Expr[];
      readonly text: string;
    })
  | (Node & { readonly k: "stmts"; readonly body: Stmt })
  /** (type){...}: an object of its own. */
  | (Node & { readonly k: "compound"; readonly decl: VarDecl });

export type Stmt = { readonly at: Place } & (
  | { readonly k: "empty" }
  | { readonly k: "block"; readonly body: readonly Stmt[] }
  | { readonly k: "expr"; readonly e: Expr }
  | { readonly k: "decl"; readonly decl: VarDecl }
  | { readonly k: "if"; readonly c: Expr; readonly yes: Stmt; readonly no: Stmt | null }
  | { readonly k: "while"; readonly c: Expr; readonly body: Stmt }
  | { readonly k: "do"; readonly c: Expr; readonly body: Stmt }
  | {
      readonly k: "for";
      readonly init: Stmt | null;
      readonly c: Expr | null;
      readonly step: Expr | null;
      readonly body: Stmt;
    }
  | { readonly k: "switch"; readonly e: Expr; readonly body: Stmt; readonly cases: readonly Case[] }
  /** Target of the case or default of that object. */
  | { readonly k: "case"; readonly which: Case; readonly body: Stmt }
  | { readonly k: "label"; readonly name: string; readonly body: Stmt }
  | { readonly k: "goto"; readonly name: string }
  | { readonly k: "break" }
  | { readonly k: "continue" }
  | { readonly k: "return"; readonly e: Expr | null }
);

/** `case lo ... hi:`, or default. */
export interface Case {
  readonly lo: number;
  readonly hi: number;
  readonly isDefault: boolean;
  readonly at: Place;
}

/** A whole program: one file with what it includes. */
export interface Unit {
  readonly file: string;
  readonly globals: readonly VarDecl[];
  readonly functions: ReadonlyMap<string, FnDecl>;
  readonly typedefs: ReadonlyMap<string, CType>;
  readonly records: readonly RecordDef[];
  readonly enums: readonly IntType[];
}
