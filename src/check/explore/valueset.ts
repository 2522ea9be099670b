/**
 * Abstract values for the footprint analysis: a finite set of int32, or ANY. Small sets are enough because
 * what the analysis is for is addresses: page-table entries and pointers take few values in a program to be
 * checked, while counters quickly become ANY and are never used as addresses. (Value-set analysis after
 * Balakrishnan and Reps, "Analyzing Memory Accesses in x86 Executables", CC 2004, without strides.)
 */

import { type BinOp, evalBin, evalUn, type UnOp } from "../../lang/ir.ts";

/** Sorted, without duplicates; null stands for ANY; the empty array for "never". */
export type ValueSet = readonly number[] | null;

export const ANY: ValueSet = null;
export const NEVER: ValueSet = [];

/** Above this many members a set becomes ANY. */
const LIMIT = 40;

export function singleton(v: number): ValueSet {
  return [v | 0];
}

export function setOf(values: Iterable<number>): ValueSet {
  const s = new Set<number>();
  for (const v of values) s.add(v | 0);
  return s.size > LIMIT ? ANY : [...s].sort((x, y) => x - y);
}

/** Union; gives `a` itself if nothing is new, so that callers can test for change by identity. */
export function union(a: ValueSet, b: ValueSet): ValueSet {
  if (a === null || b === a) return a;
  if (b === null) return null;
  if (b.length === 0) return a;
  if (a.length === 0) return b;
  let fresh = false;
  for (const v of b)
    if (!a.includes(v)) {
      fresh = true;
      break;
    }
  return fresh ? setOf([...a, ...b]) : a;
}

export function binary(fn: BinOp, a: ValueSet, b: ValueSet): ValueSet {
  if (a !== null && a.length === 0) return NEVER;
  if (b !== null && b.length === 0) return NEVER;
  if (isComparison(fn) && (a === null || b === null)) return [0, 1];
  if (a !== null && b !== null) {
    const out = new Set<number>();
    for (const x of a) for (const y of b) out.add(evalBin(fn, x, y));
    return setOf(out);
  }
  // ANY masked by a constant with few bits is a small set: table indices, flag tests.
  if (fn === "and") {
    const masks = a ?? b;
    if (masks !== null) return maskedBy(masks);
  }
  return ANY;
}

export function unary(fn: UnOp, a: ValueSet): ValueSet {
  if (a === null) return fn === "lnot" ? [0, 1] : ANY;
  return setOf(a.map((x) => evalUn(fn, x)));
}

function isComparison(fn: BinOp): boolean {
  return (
    fn === "eq" || fn === "ne" || fn === "lt" || fn === "le" || fn === "gt" || fn === "ge" || fn === "ult"
  );
}

function maskedBy(masks: readonly number[]): ValueSet {
  const out = new Set<number>();
  for (const m of masks) {
    let bits = 0;
    for (let x = m; x !== 0; x &= x - 1) bits++;
    if (bits > 5) return ANY;
    // All submasks of m, by the usual (s - m) & m enumeration.
    let s = 0;
    do {
      out.add(s);
      s = (s - m) & m;
    } while (s !== 0);
  }
  return setOf(out);
}

/** The members for which the comparison with some member of `other` can come out as `taken`. */
export function filter(fn: BinOp, a: ValueSet, other: ValueSet, taken: boolean): ValueSet {
  if (a === null || other === null || !isComparison(fn)) {
    // x == c leaves just c, whatever x was.
    if (a === null && other !== null && ((fn === "eq" && taken) || (fn === "ne" && !taken))) return other;
    return a;
  }
  const want = taken ? 1 : 0;
  const kept = a.filter((x) => other.some((y) => evalBin(fn, x, y) === want));
  return kept.length === a.length ? a : kept;
}
