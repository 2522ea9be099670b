/**
 * Walks over the syntax tree: the expressions inside one, those of a statement, and who calls whom.
 */

import type { Expr, FnDecl, Init, Stmt } from "./ast.ts";

const ofInit = (i: Init | null): Expr[] => (i === null ? [] : i.items.map((x) => x.value));

/** Expressions directly inside `e`; statement expressions are not entered. */
export function children(e: Expr): readonly Expr[] {
  switch (e.k) {
    case "deref":
    case "addr":
    case "decay":
    case "member":
    case "cast":
    case "not":
    case "neg":
    case "bitnot":
      return [e.e];
    case "bin":
    case "cmp":
    case "logic":
    case "comma":
    case "ptrsub":
      return [e.a, e.b];
    case "ptradd":
      return [e.p, e.i];
    case "cond":
      return e.yes === null ? [e.c, e.no] : [e.c, e.yes, e.no];
    case "assign":
    case "opassign":
      return [e.l, e.r];
    case "incdec":
      return [e.l];
    case "call":
      return [e.fn, ...e.args];
    case "builtin":
      return e.args;
    case "compound":
      return ofInit(e.decl.init);
    default:
      return [];
  }
}

/** Calls `f` on every expression of a statement, outer ones first. */
export function everyExpr(s: Stmt, f: (e: Expr) => void): void {
  const expr = (e: Expr): void => {
    f(e);
    if (e.k === "stmts") everyExpr(e.body, f);
    for (const c of children(e)) expr(c);
  };
  switch (s.k) {
    case "block":
      for (const x of s.body) everyExpr(x, f);
      return;
    case "expr":
      expr(s.e);
      return;
    case "decl":
      for (const e of ofInit(s.decl.init)) expr(e);
      return;
    case "if":
      expr(s.c);
      everyExpr(s.yes, f);
      if (s.no !== null) everyExpr(s.no, f);
      return;
    case "while":
    case "do":
      expr(s.c);
      everyExpr(s.body, f);
      return;
    case "for":
      if (s.init !== null) everyExpr(s.init, f);
      if (s.c !== null) expr(s.c);
      if (s.step !== null) expr(s.step);
      everyExpr(s.body, f);
      return;
    case "switch":
      expr(s.e);
      everyExpr(s.body, f);
      return;
    case "case":
    case "label":
      everyExpr(s.body, f);
      return;
    case "return":
      if (s.e !== null) expr(s.e);
      return;
    default:
      return;
  }
}

/** Every statement inside `s`, itself included; statement expressions too. */
export function everyStmt(s: Stmt, f: (s: Stmt) => void): void {
  f(s);
  switch (s.k) {
    case "block":
      for (const x of s.body) everyStmt(x, f);
      return;
    case "if":
      everyStmt(s.yes, f);
      if (s.no !== null) everyStmt(s.no, f);
      return;
    case "while":
    case "do":
    case "for":
    case "switch":
    case "case":
    case "label":
      everyStmt(s.body, f);
      return;
    default:
      return;
  }
}

/** Functions that a function may call directly, and whether it calls through pointers. */
export interface Calls {
  readonly direct: ReadonlySet<FnDecl>;
  readonly indirect: readonly (Expr & { k: "call" })[];
}

export function callsOf(fn: FnDecl): Calls {
  const direct = new Set<FnDecl>();
  const indirect: (Expr & { k: "call" })[] = [];
  if (fn.body !== null)
    everyExpr(fn.body, (e) => {
      if (e.k !== "call") return;
      if (e.fn.k === "fn") direct.add(e.fn.decl);
      else indirect.push(e);
    });
  return { direct, indirect };
}
