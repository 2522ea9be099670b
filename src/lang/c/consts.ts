/**
 * Constant expressions: integers, and addresses of things that live for ever plus an offset. What is not
 * constant gives undefined; the caller knows whether that is an error.
 */

import { comparesSigned, convert, evalArith, evalCompare, evalNeg } from "./arith.ts";
import type { Expr, FnDecl, VarDecl } from "./ast.ts";
import { refuse } from "./errors.ts";

export interface ConstValue {
  /** Null for a plain number. */
  readonly base: VarDecl | FnDecl | null;
  readonly offset: number;
}

const number = (offset: number): ConstValue => ({ base: null, offset });

/** Address of an lvalue that lives for ever. */
function addressOf(e: Expr): ConstValue | undefined {
  switch (e.k) {
    case "var":
      return e.decl.storage === "global" || e.decl.storage === "static-local"
        ? { base: e.decl, offset: 0 }
        : undefined;
    case "str":
    case "compound":
      return e.decl.storage === "global" || e.decl.storage === "static-local"
        ? { base: e.decl, offset: 0 }
        : undefined;
    case "fn":
      return { base: e.decl, offset: 0 };
    case "deref":
      return constant(e.e);
    case "member": {
      const base = addressOf(e.e);
      return base === undefined ? undefined : { base: base.base, offset: base.offset + e.field.offset };
    }
    default:
      return undefined;
  }
}

/** @throws CError if the value leaves 32 bits or divides by 0. */
export function constant(e: Expr): ConstValue | undefined {
  const whole = (v: number | "range" | "zero" | "shift"): ConstValue => {
    if (v === "range") return refuse("HF219", e.at);
    if (v === "zero") return refuse("HF218", e.at, "division by zero");
    if (v === "shift") return refuse("HF218", e.at, "the shift is not less than the width of its operand");
    return number(v);
  };
  switch (e.k) {
    case "num":
      return number(e.value);
    case "addr":
      return addressOf(e.e);
    case "decay":
      return addressOf(e.e);
    case "fn":
      return { base: e.decl, offset: 0 };
    case "cast": {
      const v = constant(e.e);
      if (v === undefined) return undefined;
      if (v.base !== null)
        return e.type.k === "ptr" || (e.type.k === "int" && e.type.size === 8) ? v : undefined;
      return whole(convert(v.offset, e.e.type, e.type));
    }
    case "bin": {
      const a = constant(e.a);
      const b = constant(e.b);
      if (a === undefined || b === undefined || a.base !== null || b.base !== null || e.type.k !== "int")
        return undefined;
      return whole(evalArith(e.op, e.type, a.offset, b.offset));
    }
    case "cmp": {
      const a = constant(e.a);
      const b = constant(e.b);
      if (a === undefined || b === undefined) return undefined;
      if (a.base !== b.base) {
        // An object is nobody else's, and not NULL.
        const known =
          (a.base === null && a.offset === 0) ||
          (b.base === null && b.offset === 0) ||
          (a.base !== null && b.base !== null);
        return known && (e.op === "==" || e.op === "!=") ? number(e.op === "!=" ? 1 : 0) : undefined;
      }
      return number(evalCompare(e.op, comparesSigned(e.a.type), a.offset, b.offset) ? 1 : 0);
    }
    case "ptradd": {
      const p = constant(e.p);
      const i = constant(e.i);
      if (p === undefined || i === undefined || i.base !== null) return undefined;
      return { base: p.base, offset: (p.offset + (e.minus ? -1 : 1) * i.offset * e.size) | 0 };
    }
    case "ptrsub": {
      const a = constant(e.a);
      const b = constant(e.b);
      if (a === undefined || b === undefined || a.base !== b.base) return undefined;
      return number(((a.offset - b.offset) / e.size) | 0);
    }
    case "logic": {
      const a = truth(e.a);
      if (a === undefined) return undefined;
      if (a === (e.op === "||")) return number(a ? 1 : 0);
      const b = truth(e.b);
      return b === undefined ? undefined : number(b ? 1 : 0);
    }
    case "not": {
      const v = truth(e.e);
      return v === undefined ? undefined : number(v ? 0 : 1);
    }
    case "neg":
    case "bitnot": {
      const v = constant(e.e);
      if (v === undefined || v.base !== null || e.type.k !== "int") return undefined;
      return whole(e.k === "neg" ? evalNeg(e.type, v.offset) : ~v.offset);
    }
    case "cond": {
      const c = truth(e.c);
      if (c === undefined) return undefined;
      return c ? constant(e.yes ?? e.c) : constant(e.no);
    }
    case "builtin":
      return e.name === "__builtin_expect" ? constant(e.args[0]) : undefined;
    default:
      return undefined;
  }
}

function truth(e: Expr): boolean | undefined {
  const v = constant(e);
  return v === undefined ? undefined : v.base !== null || v.offset !== 0;
}

/** An integer constant. @throws CError HF218 */
export function integerConstant(e: Expr, what: string): number {
  const v = constant(e);
  if (v === undefined || v.base !== null) return refuse("HF218", e.at, what);
  return v.offset;
}

/** The constant 0, or that cast to a pointer. */
export function isNullConstant(e: Expr): boolean {
  if (e.type.k !== "int" && e.type.k !== "ptr") return false;
  if (e.k !== "num" && e.k !== "cast") return false;
  const v = constant(e);
  return v !== undefined && v.base === null && v.offset === 0;
}
