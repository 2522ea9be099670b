/**
 * Arithmetic of C on words, as the compiler computes it (constants) and as lower-arith.ts must make the
 * machine compute it. Types up to 32 bits wrap. A 64-bit type holds those values that are the sign extension
 * of a word (modulo 2^64 for unsigned ones: the word -1 is ULONG_MAX); additions, comparisons, bit operations
 * and conversions are exact on these, and a result that is no such value is "range".
 */

import type { ArithOp, CompareOp } from "./ast.ts";
import { type CType, type IntType, isBool, isWide } from "./types.ts";

/** Why there is no result: it leaves 32 bits, the divisor is 0, the shift count is not below the width. */
export type NoResult = "range" | "zero" | "shift";

const fits = (x: number): boolean => x >= -2147483648 && x <= 2147483647;
const ult = (a: number, b: number): boolean => a >>> 0 < b >>> 0;

function narrow(op: ArithOp, signed: boolean, a: number, b: number): number | NoResult {
  switch (op) {
    case "+":
      return (a + b) | 0;
    case "-":
      return (a - b) | 0;
    case "*":
      return Math.imul(a, b);
    case "/":
      if (b === 0) return "zero";
      return signed ? (a / b) | 0 : ((a >>> 0) / (b >>> 0)) | 0;
    case "%":
      if (b === 0) return "zero";
      return signed ? (a % b) | 0 : ((a >>> 0) % (b >>> 0)) | 0;
    case "&":
      return a & b;
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    case "<<":
      return b >>> 0 >= 32 ? "shift" : a << b;
    case ">>":
      return b >>> 0 >= 32 ? "shift" : signed ? a >> b : (a >>> b) | 0;
  }
}

function wide(op: ArithOp, signed: boolean, a: number, b: number): number | NoResult {
  const exact = (x: number): number | NoResult => (fits(x) ? x | 0 : "range");
  switch (op) {
    case "+":
      return exact(a + b);
    case "-":
      return exact(a - b);
    case "*":
      // The product of two words may leave 2^53, but then it is out of range however it is rounded.
      return exact(a * b);
    case "/":
      if (b === 0) return "zero";
      if (signed || (a >= 0 && b >= 0)) return exact(Math.trunc(a / b));
      if (b < 0) return ult(a, b) ? 0 : 1;
      return b === 1 ? a : "range";
    case "%":
      if (b === 0) return "zero";
      if (signed || (a >= 0 && b >= 0)) return (a % b) | 0;
      if (b < 0) return ult(a, b) ? a : a - b;
      return b === 1 ? 0 : "range";
    case "<<":
      if (b >>> 0 >= 64) return "shift";
      return exact(a * 2 ** b);
    case ">>":
      if (b >>> 0 >= 64) return "shift";
      if (signed || a >= 0) return a >> Math.min(b, 31);
      return b === 0 ? a : b > 32 ? 2 ** (64 - b) - 1 : "range";
    default:
      return narrow(op, signed, a, b);
  }
}

/** `a op b` in type `t`; of a shift, `t` is the type of the left operand. */
export function evalArith(op: ArithOp, t: IntType, a: number, b: number): number | NoResult {
  return isWide(t) ? wide(op, t.signed, a, b) : narrow(op, t.signed, a, b);
}

/** -v in type `t`. */
export function evalNeg(t: IntType, v: number): number | NoResult {
  return isWide(t) && v === -2147483648 ? "range" : -v | 0;
}

export function evalCompare(op: CompareOp, signed: boolean, a: number, b: number): boolean {
  switch (op) {
    case "==":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return signed ? a < b : ult(a, b);
    case ">":
      return signed ? a > b : ult(b, a);
    case "<=":
      return !evalCompare(">", signed, a, b);
    case ">=":
      return !evalCompare("<", signed, a, b);
  }
}

/** The value of type `from` as one of type `to`. */
export function convert(v: number, from: CType, to: CType): number | NoResult {
  if (to.k !== "int") return v;
  if (isBool(to)) return v !== 0 ? 1 : 0;
  if (to.size === 1) return to.signed ? (v << 24) >> 24 : v & 0xff;
  if (to.size === 2) return to.signed ? (v << 16) >> 16 : v & 0xffff;
  if (to.size === 8 && from.k === "int" && from.size === 4 && !from.signed && v < 0) return "range";
  return v;
}

/** Whether comparisons of that type look at the sign. */
export const comparesSigned = (t: CType): boolean => t.k === "int" && t.signed;
