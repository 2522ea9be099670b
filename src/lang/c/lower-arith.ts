/**
 * Arithmetic of C as instructions, with the checks that arith.ts describes: what leaves 32 bits in a 64-bit
 * type stops with "bound", a division by zero or a shift by too much with "undefined". Constants are computed
 * at once.
 */

import { constant, type Val } from "../ir.ts";
import { comparesSigned, convert, evalArith, evalCompare, evalNeg, type NoResult } from "./arith.ts";
import type { ArithOp, CompareOp } from "./ast.ts";
import type { Builder } from "./builder.ts";
import { type CType, type IntType, isBool, isWide } from "./types.ts";

export const ZERO = constant(0);
export const ONE = constant(1);

export const RANGE = "the value leaves 32 bits";
const DIVISION = "division by zero";
const SHIFT = "a shift by the width of the operand or more";

function stop(b: Builder, why: NoResult): Val {
  if (why === "range") b.assert(ZERO, "bound", RANGE);
  else b.assert(ZERO, "undefined", why === "zero" ? DIVISION : SHIFT);
  return ZERO;
}

const known = (v: Val): boolean => v.reg < 0;
const result = (b: Builder, v: number | NoResult): Val => (typeof v === "number" ? constant(v) : stop(b, v));

/** `x op y` in type `t`; of a shift, `t` is the type of the left operand. */
export function arith(b: Builder, op: ArithOp, t: IntType, x: Val, y: Val): Val {
  if (known(x) && known(y)) return result(b, evalArith(op, t, x.imm, y.imm));
  switch (op) {
    case "&":
      return b.bin("and", x, y);
    case "|":
      return b.bin("or", x, y);
    case "^":
      return b.bin("xor", x, y);
    case "+":
    case "-": {
      const r =
        op === "+" ? b.bin("add", x, y) : known(y) ? b.bin("add", x, constant(-y.imm)) : b.bin("sub", x, y);
      if (isWide(t)) checkSum(b, op, x, y, r);
      return r;
    }
    case "*": {
      const r = b.bin("mul", x, y);
      if (isWide(t)) checkProduct(b, x, y, r);
      return r;
    }
    case "/":
    case "%":
      return divide(b, op, t, x, y);
    case "<<":
      return shiftLeft(b, t, x, y);
    case ">>":
      return shiftRight(b, t, x, y);
  }
}

/** A sum leaves 32 bits if both operands have the sign that it has not; a difference likewise. */
function checkSum(b: Builder, op: "+" | "-", x: Val, y: Val, r: Val): void {
  if (known(y) && y.imm !== -2147483648) {
    const c = op === "+" ? y.imm : -y.imm;
    if (c === 0) return;
    b.assert(
      c > 0 ? b.bin("le", x, constant(2147483647 - c)) : b.bin("ge", x, constant(-2147483648 - c)),
      "bound",
      RANGE,
    );
    return;
  }
  const differs = op === "+" ? b.bin("xor", y, r) : b.bin("xor", x, y);
  b.assert(b.bin("ge", b.bin("and", b.bin("xor", x, r), differs), ZERO), "bound", RANGE);
}

/** A product is right if dividing gives the factor back. */
function checkProduct(b: Builder, x: Val, y: Val, r: Val): void {
  if (known(x)) {
    checkProduct(b, y, x, r);
    return;
  }
  const check = (): void => {
    b.assert(b.bin("eq", b.bin("div", r, y), x), "bound", RANGE);
    // -1 * -2^31 is -2^31 again, and so is the quotient.
    if (!known(y) || y.imm === -1) {
      const least = b.bin("and", b.bin("eq", y, constant(-1)), b.bin("eq", x, constant(-2147483648)));
      b.assert(b.un("lnot", least), "bound", RANGE);
    }
  };
  if (known(y)) {
    if (y.imm !== 0 && y.imm !== 1) check();
  } else b.when(y, check);
}

function divide(b: Builder, op: "/" | "%", t: IntType, x: Val, y: Val): Val {
  if (known(y) && y.imm === 0) return stop(b, "zero");
  if (!known(y)) b.assert(y, "undefined", DIVISION);
  if (!t.signed && !isWide(t)) return b.bin(op === "/" ? "udiv" : "umod", x, y);
  if (!t.signed) {
    // Of a 64-bit unsigned type, negative words stand for values near 2^64.
    if (known(y) && y.imm > 0) b.assert(b.bin("ge", x, ZERO), "bound", RANGE);
    else b.assert(b.bin("ge", b.bin("or", x, y), ZERO), "bound", RANGE);
  } else if (isWide(t) && op === "/" && (!known(y) || y.imm === -1)) {
    const least = b.bin("and", b.bin("eq", y, constant(-1)), b.bin("eq", x, constant(-2147483648)));
    b.assert(b.un("lnot", least), "bound", RANGE);
  }
  return b.bin(op === "/" ? "div" : "mod", x, y);
}

function shiftLeft(b: Builder, t: IntType, x: Val, n: Val): Val {
  if (!isWide(t)) {
    if (!known(n)) b.assert(b.bin("ult", n, constant(32)), "undefined", SHIFT);
    else if (n.imm >>> 0 >= 32) return stop(b, "shift");
    return b.bin("shl", x, n);
  }
  if (known(n)) {
    if (n.imm >>> 0 >= 64) return stop(b, "shift");
    if (n.imm >= 32) {
      b.assert(b.un("lnot", x), "bound", RANGE);
      return ZERO;
    }
  } else {
    b.assert(b.bin("ult", n, constant(64)), "undefined", SHIFT);
    b.assert(b.bin("or", b.bin("ult", n, constant(32)), b.un("lnot", x)), "bound", RANGE);
  }
  const r = b.bin("shl", x, n);
  b.assert(b.bin("eq", b.bin("shr", r, n), x), "bound", RANGE);
  return r;
}

function shiftRight(b: Builder, t: IntType, x: Val, n: Val): Val {
  const width = isWide(t) ? 64 : 32;
  if (known(n)) {
    if (n.imm >>> 0 >= width) return stop(b, "shift");
  } else b.assert(b.bin("ult", n, constant(width)), "undefined", SHIFT);
  if (!isWide(t)) return b.bin(t.signed ? "shr" : "ushr", x, n);
  // Beyond 31 only the sign is left.
  const count = known(n) ? constant(Math.min(n.imm, 31)) : atMost31(b, n);
  if (t.signed || (known(n) && n.imm === 0)) return b.bin("shr", x, count);
  if (known(x) && x.imm >= 0) return b.bin("shr", x, count);
  // A negative word is 2^64 less what it lacks: shifted by more than 32 that fits again.
  const r = b.reg("");
  b.when(
    b.bin("lt", x, ZERO),
    () => {
      const fits = b.bin("or", b.un("lnot", n), b.bin("gt", n, constant(32)));
      b.assert(fits, "bound", RANGE);
      b.when(
        n,
        () => b.mov(r, b.bin("sub", b.bin("shl", ONE, b.bin("sub", constant(64), n)), ONE)),
        () => b.mov(r, x),
      );
    },
    () => b.mov(r, b.bin("shr", x, count)),
  );
  return { reg: r, imm: 0 };
}

function atMost31(b: Builder, n: Val): Val {
  const r = b.reg("");
  b.mov(r, n);
  b.when(b.bin("gt", n, constant(31)), () => b.mov(r, constant(31)));
  return { reg: r, imm: 0 };
}

export function negate(b: Builder, t: IntType, x: Val): Val {
  if (known(x)) return result(b, evalNeg(t, x.imm));
  if (isWide(t)) b.assert(b.bin("ne", x, constant(-2147483648)), "bound", RANGE);
  return b.un("neg", x);
}

/** The value of type `from` as one of type `to`. */
export function converted(b: Builder, x: Val, from: CType, to: CType): Val {
  if (to.k !== "int") return x;
  if (known(x)) return result(b, convert(x.imm, from, to));
  if (isBool(to)) return from.k === "int" && isBool(from) ? x : b.bin("ne", x, ZERO);
  // What is narrower already, with the same sign, needs nothing.
  const fits =
    from.k === "int" &&
    (from.size < to.size || from.size === to.size) &&
    (from.signed === to.signed || (!from.signed && from.size < to.size));
  if (fits) {
    if (to.size === 8 && from.k === "int" && from.size === 4 && !from.signed)
      b.assert(b.bin("ge", x, ZERO), "bound", RANGE);
    return x;
  }
  if (to.size === 1 || to.size === 2) {
    const bits = to.size * 8;
    if (!to.signed) return b.bin("and", x, constant((1 << bits) - 1));
    return b.bin("shr", b.bin("shl", x, constant(32 - bits)), constant(32 - bits));
  }
  if (to.size === 8 && from.k === "int" && from.size === 4 && !from.signed)
    b.assert(b.bin("ge", x, ZERO), "bound", RANGE);
  return x;
}

/** 0 or 1. */
export function compare(b: Builder, op: CompareOp, type: CType, x: Val, y: Val): Val {
  const signed = comparesSigned(type);
  if (known(x) && known(y)) return constant(evalCompare(op, signed, x.imm, y.imm) ? 1 : 0);
  switch (op) {
    case "==":
      return b.bin("eq", x, y);
    case "!=":
      return b.bin("ne", x, y);
    case "<":
      return b.bin(signed ? "lt" : "ult", x, y);
    case ">":
      return signed ? b.bin("gt", x, y) : b.bin("ult", y, x);
    case "<=":
      return signed ? b.bin("le", x, y) : b.un("lnot", b.bin("ult", y, x));
    case ">=":
      return signed ? b.bin("ge", x, y) : b.un("lnot", b.bin("ult", x, y));
  }
}
