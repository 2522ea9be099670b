/**
 * Places where values are: registers, arrays of the thread's frame, memory; bit-fields of the latter two. How
 * a place is read and written, with the order that its qualifiers ask for: volatile is READ_ONCE() and
 * WRITE_ONCE(), _Atomic is sequentially consistent.
 *
 * An aggregate in the frame has a cell for each address at which a scalar lies; members of a union may share
 * one.
 */

import { constant, type Order, type Reg, type Val, val } from "../ir.ts";
import type { Builder } from "./builder.ts";
import { ZERO } from "./lower-arith.ts";
import { type CType, isScalar, leaves, Q } from "./types.ts";

export type Loc =
  | { readonly k: "reg"; readonly reg: Reg; readonly type: CType }
  | {
      readonly k: "arr";
      readonly arr: number;
      readonly idx: Val;
      readonly type: CType;
      readonly bit: number;
      readonly width: number;
    }
  | {
      readonly k: "mem";
      readonly addr: Val;
      readonly type: CType;
      readonly bit: number;
      readonly width: number;
    };

export const inMemory = (addr: Val, type: CType): Loc => ({ k: "mem", addr, type, bit: 0, width: 0 });
export const inFrame = (arr: number, type: CType, idx: Val = ZERO): Loc => ({
  k: "arr",
  arr,
  idx,
  type,
  bit: 0,
  width: 0,
});

const offsetsOf = new WeakMap<object, readonly number[]>();

/** Offsets at which scalars lie, ascending, each once. */
export function cellOffsets(t: CType): readonly number[] {
  const key = t.k === "record" ? t.record : t;
  let known = offsetsOf.get(key);
  if (known === undefined) {
    known = [...new Set(leaves(t).map((l) => l.offset))].sort((x, y) => x - y);
    offsetsOf.set(key, known);
  }
  return known;
}

export const cells = (t: CType): number => (isScalar(t) ? 1 : cellOffsets(t).length);

/** Number of the cell at an offset. */
function cellAt(t: CType, offset: number): number {
  return cellOffsets(t).filter((o) => o < offset).length;
}

/** Order of a plain, volatile or atomic access. */
export function orderOf(t: CType, write: boolean): Order {
  if ((t.quals & Q.atomic) !== 0) return write ? "release" : "acquire";
  return (t.quals & Q.volatile) !== 0 ? "once" : "plain";
}

export const isAtomic = (t: CType): boolean => (t.quals & Q.atomic) !== 0;

function word(b: Builder, loc: Loc): Val {
  if (loc.k === "reg") return val(loc.reg);
  const dst = b.reg("");
  if (loc.k === "arr") b.emit({ op: "aget", dst, arr: loc.arr, idx: loc.idx });
  else b.emit({ op: "load", dst, addr: loc.addr, order: orderOf(loc.type, false) });
  return val(dst);
}

function putWord(b: Builder, loc: Loc, a: Val): void {
  if (loc.k === "reg") b.mov(loc.reg, a);
  else if (loc.k === "arr") b.emit({ op: "aset", arr: loc.arr, idx: loc.idx, a });
  else if (isAtomic(loc.type)) {
    // A sequentially consistent store: nothing before it is seen after it, nor anything after before.
    b.emit({ op: "rmw", fn: "xchg", dst: b.reg(""), addr: loc.addr, a, b: ZERO, order: "mb" });
  } else b.emit({ op: "store", addr: loc.addr, a, order: orderOf(loc.type, true) });
}

/** The scalar at a place. */
export function read(b: Builder, loc: Loc): Val {
  const w = word(b, loc);
  if (loc.k === "reg") return w;
  const { bit, width, type } = loc;
  if (width > 0) {
    const signed = type.k === "int" && type.signed;
    if (width === 32) return w;
    if (signed) return b.bin("shr", b.bin("shl", w, constant(32 - bit - width)), constant(32 - width));
    const shifted = bit === 0 ? w : b.bin("ushr", w, constant(bit));
    return b.bin("and", shifted, constant(width === 32 ? -1 : (1 << width) - 1));
  }
  return w;
}

/** Puts a value of the place's type there. Gives what a later read would. */
export function write(b: Builder, loc: Loc, a: Val): Val {
  if (loc.k === "reg") {
    // Not `a`, which may be the register's old value and something: `--x` stores x - 1 and gives x.
    b.mov(loc.reg, a);
    return val(loc.reg);
  }
  if (loc.width === 0 || loc.width === 32) {
    putWord(b, loc, a);
    return a;
  }
  const { bit, width } = loc;
  const mask = (1 << width) - 1;
  const cut = b.bin("and", a, constant(mask));
  const old = word(b, loc);
  const kept = b.bin("and", old, constant(~(mask << bit)));
  putWord(b, loc, b.bin("or", kept, bit === 0 ? cut : b.bin("shl", cut, constant(bit))));
  if (loc.type.k === "int" && loc.type.signed)
    return b.bin("shr", b.bin("shl", a, constant(32 - width)), constant(32 - width));
  return cut;
}

/** The part of an aggregate at a constant offset. */
export function part(loc: Loc, outer: CType, offset: number, type: CType, bit = 0, width = 0): Loc {
  if (loc.k === "mem") return { k: "mem", addr: plus(loc.addr, offset), type, bit, width };
  if (loc.k === "arr")
    return { k: "arr", arr: loc.arr, idx: plus(loc.idx, cellAt(outer, offset)), type, bit, width };
  return { ...loc, type };
}

export const plus = (v: Val, n: number): Val => val(v.reg, (v.imm + n) | 0);

/** Copies a whole object, scalar by scalar, as plain accesses. */
export function copy(b: Builder, from: Loc, to: Loc, type: CType): void {
  if (isScalar(type)) {
    write(b, to, read(b, from));
    return;
  }
  const values: { readonly offset: number; readonly v: Val }[] = [];
  const scalars = new Map(leaves(type).map((l) => [l.offset, l.type]));
  for (const offset of cellOffsets(type))
    values.push({ offset, v: read(b, part(from, type, offset, scalars.get(offset) ?? type)) });
  for (const { offset, v } of values) write(b, part(to, type, offset, scalars.get(offset) ?? type), v);
}

/** Makes every scalar of an object 0. */
export function clear(b: Builder, to: Loc, type: CType): void {
  if (to.k === "arr" && to.idx.reg < 0 && to.idx.imm === 0 && !isScalar(type)) {
    for (let i = 0; i < cells(type); i++) b.emit({ op: "aset", arr: to.arr, idx: constant(i), a: ZERO });
    return;
  }
  const scalars = new Map(leaves(type).map((l) => [l.offset, l.type]));
  for (const offset of isScalar(type) ? [0] : cellOffsets(type))
    write(b, part(to, type, offset, { ...(scalars.get(offset) ?? type), quals: 0 }), ZERO);
}
