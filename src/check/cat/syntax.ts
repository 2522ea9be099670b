/**
 * Syntax of the cat language, in which memory models are written (Alglave, Cousot, Maranget, "Syntax and
 * semantics of the weak consistency model specification language cat", 2016), and of bell files, which add
 * the names of annotations. Covered: what linux-kernel.cat, linux-kernel.bell and lock.cat use and what is
 * next to it. Not covered: scopes, regions, `catdep`, sets of mutually recursive functions over tags.
 */

/** Where something stands, for messages. */
export interface At {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based. */
  readonly col: number;
}

/** A name, or names of the components of a tuple. */
export type Pattern = string | readonly string[];

export interface Binding {
  readonly name: Pattern;
  readonly value: Exp;
}

export type InfixOp = "|" | "++" | ";" | "\\" | "&" | "*";
export type PostfixOp = "inverse" | "plus" | "star" | "maybe";

export type Exp = { readonly at: At } & (
  | { readonly k: "name"; readonly name: string }
  /** `0` or `{}`: the empty set or relation. */
  | { readonly k: "empty" }
  /** `_`: everything. */
  | { readonly k: "universe" }
  | { readonly k: "tag"; readonly name: string }
  /** `{a, b}`. */
  | { readonly k: "set"; readonly items: readonly Exp[] }
  /** `[S]`: the identity on a set. */
  | { readonly k: "identity"; readonly of: Exp }
  | { readonly k: "tuple"; readonly items: readonly Exp[] }
  | { readonly k: "infix"; readonly op: InfixOp; readonly a: Exp; readonly b: Exp }
  | { readonly k: "postfix"; readonly op: PostfixOp; readonly of: Exp }
  /** `~e`: what is not in e. */
  | { readonly k: "not"; readonly of: Exp }
  | { readonly k: "call"; readonly fn: Exp; readonly arg: Exp }
  | { readonly k: "fun"; readonly param: Pattern; readonly body: Exp }
  | { readonly k: "let"; readonly rec: boolean; readonly bindings: readonly Binding[]; readonly body: Exp }
  /** `match e with {} -> ... || x ++ xs -> ... end`. */
  | {
      readonly k: "match-set";
      readonly of: Exp;
      readonly empty: Exp;
      readonly head: string;
      readonly tail: string;
      readonly cons: Exp;
    }
  /** `match e with 'a -> ... || _ -> ... end`; a null tag is `_`. */
  | {
      readonly k: "match-tag";
      readonly of: Exp;
      readonly cases: readonly { readonly tag: string | null; readonly body: Exp }[];
    }
  | { readonly k: "try"; readonly of: Exp; readonly otherwise: Exp }
  | { readonly k: "if"; readonly cond: Cond; readonly then: Exp; readonly otherwise: Exp }
);

export type Cond =
  /** A variant of the tool, such as "lkmmv2". */
  | { readonly k: "variant"; readonly name: string }
  | { readonly k: "equal"; readonly a: Exp; readonly b: Exp }
  | { readonly k: "subset"; readonly a: Exp; readonly b: Exp }
  | { readonly k: "not"; readonly of: Cond };

export type Test = "acyclic" | "irreflexive" | "empty";

export type Stmt = { readonly at: At } & (
  | { readonly k: "let"; readonly rec: boolean; readonly bindings: readonly Binding[] }
  /** An axiom, or with `flag` something to be flagged where it holds. */
  | {
      readonly k: "check";
      readonly flag: boolean;
      readonly negated: boolean;
      readonly test: Test;
      readonly of: Exp;
      readonly name: string;
    }
  /** What follows is done for each element. */
  | { readonly k: "with"; readonly name: string; readonly from: Exp }
  | { readonly k: "include"; readonly file: string }
  | {
      readonly k: "procedure";
      readonly name: string;
      readonly params: readonly string[];
      readonly body: readonly Stmt[];
    }
  | { readonly k: "call"; readonly name: string; readonly arg: Exp }
  | { readonly k: "forall"; readonly name: string; readonly in: Exp; readonly body: readonly Stmt[] }
  | { readonly k: "enum"; readonly name: string; readonly tags: readonly string[] }
  /** `instructions R[Accesses]`: which annotations such an instruction may have. */
  | { readonly k: "instructions"; readonly kind: string; readonly tags: readonly Exp[] }
  | {
      readonly k: "if";
      readonly cond: Cond;
      readonly then: readonly Stmt[];
      readonly otherwise: readonly Stmt[];
    }
);

/** A cat or bell file that cannot be used: syntax, an unknown name, a value of the wrong kind. */
export class CatError extends Error {
  readonly at: At;
  constructor(at: At, message: string) {
    super(`${at.file}:${at.line}:${at.col}: ${message}`);
    this.name = "CatError";
    this.at = at;
  }
}
