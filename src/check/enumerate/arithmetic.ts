/**
 * Arithmetic of a litmus test: 32-bit integers, and addresses, of which a test may know only whether they are
 * equal. What herd7 refuses has no value here (NaN): any other arithmetic with an address, and division by
 * zero.
 */
import { type BinOp, evalBin } from "../../lang/ir.ts";

/** `aLoc`, `bLoc`: whether the operand is the address of a location. NaN if there is no such value. */
export function arithmetic(fn: BinOp, a: number, b: number, aLoc: boolean, bLoc: boolean): number {
  if (b === 0 && (fn === "div" || fn === "mod")) return Number.NaN;
  if (!aLoc && !bLoc) return evalBin(fn, a, b);
  switch (fn) {
    case "eq":
    case "ne":
      return evalBin(fn, a, b);
    case "xor":
    case "sub":
      return a === b || b === 0 || (a === 0 && fn === "xor") ? evalBin(fn, a, b) : Number.NaN;
    case "add":
    case "or":
      return a === 0 || b === 0 ? evalBin(fn, a, b) : Number.NaN;
    case "and":
    case "mul":
      return a === 0 || b === 0 ? 0 : Number.NaN;
    default:
      return Number.NaN;
  }
}
