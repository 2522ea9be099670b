/**
 * Which local variables must lie in memory: those whose address is used otherwise than to index or select a
 * member in place. The others are registers, or arrays of the thread's frame, which no other thread can see
 * and which cost no step.
 */

import type { Expr, Init, Stmt, VarDecl } from "./ast.ts";

/** The variable that an lvalue lies in, if that can be told without a pointer. */
export function rootOf(e: Expr): VarDecl | null {
  switch (e.k) {
    case "var":
    case "compound":
      return e.decl;
    case "member":
      return rootOf(e.e);
    case "deref": {
      const base = indexed(e.e);
      return base === null ? null : rootOf(base);
    }
    default:
      return null;
  }
}

/** The array of `array + i` or of a decayed array, as an lvalue. */
export function indexed(pointer: Expr): Expr | null {
  if (pointer.k === "decay") return pointer.e;
  if (pointer.k === "ptradd" && !pointer.minus && pointer.p.k === "decay") return pointer.p.e;
  return null;
}

function taken(lvalue: Expr): void {
  const root = rootOf(lvalue);
  if (root !== null) root.inMemory = true;
}

function init(i: Init | null): void {
  if (i !== null) for (const item of i.items) expr(item.value);
}

/** Looks at an lvalue that is read or written in place. */
function place(e: Expr): void {
  switch (e.k) {
    case "var":
      return;
    case "compound":
      init(e.decl.init);
      return;
    case "member":
      place(e.e);
      return;
    case "deref": {
      const base = indexed(e.e);
      if (base === null || rootOf(base) === null) {
        expr(e.e);
        return;
      }
      place(base);
      if (e.e.k === "ptradd") expr(e.e.i);
      return;
    }
    default:
      expr(e);
  }
}

function expr(e: Expr): void {
  switch (e.k) {
    case "num":
    case "str":
    case "fn":
      return;
    case "var":
    case "compound":
    case "member":
    case "deref":
      place(e);
      return;
    case "addr":
    case "decay":
      taken(e.e);
      place(e.e);
      return;
    case "cast":
    case "not":
    case "neg":
    case "bitnot":
      expr(e.e);
      return;
    case "bin":
    case "cmp":
    case "logic":
    case "comma":
    case "ptrsub":
      expr(e.a);
      expr(e.b);
      return;
    case "ptradd":
      expr(e.p);
      expr(e.i);
      return;
    case "cond":
      expr(e.c);
      if (e.yes !== null) expr(e.yes);
      expr(e.no);
      return;
    case "assign":
    case "opassign":
      place(e.l);
      expr(e.r);
      return;
    case "incdec":
      place(e.l);
      return;
    case "call":
      expr(e.fn);
      for (const a of e.args) expr(a);
      return;
    case "builtin":
      for (const a of e.args) expr(a);
      return;
    case "stmts":
      markInMemory(e.body);
  }
}

/** Marks every local variable of a function's body that needs memory. */
export function markInMemory(s: Stmt): void {
  switch (s.k) {
    case "block":
      for (const x of s.body) markInMemory(x);
      return;
    case "expr":
      expr(s.e);
      return;
    case "decl":
      if (s.decl.cleanup !== null) s.decl.inMemory = true;
      init(s.decl.init);
      return;
    case "if":
      expr(s.c);
      markInMemory(s.yes);
      if (s.no !== null) markInMemory(s.no);
      return;
    case "while":
    case "do":
      expr(s.c);
      markInMemory(s.body);
      return;
    case "for":
      if (s.init !== null) markInMemory(s.init);
      if (s.c !== null) expr(s.c);
      if (s.step !== null) expr(s.step);
      markInMemory(s.body);
      return;
    case "switch":
      expr(s.e);
      markInMemory(s.body);
      return;
    case "case":
    case "label":
      markInMemory(s.body);
      return;
    case "return":
      if (s.e !== null) expr(s.e);
      return;
    default:
      return;
  }
}
