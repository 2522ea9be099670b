/**
 * Uses and definitions of instructions, in one place, so that every pass agrees on them. The operand fields
 * of the IR are `addr`, `a`, `b`, `idx` and `pool`; the result is `dst`.
 */

import type { CallInstr, LocalInstr, Reg, SlotInstr, Terminator, Val, VisibleInstr } from "./ir.ts";

/** What the passes see: calls and stack objects are opaque, and gone once a thread is linked. */
export type FlatInstr = LocalInstr | VisibleInstr | CallInstr | SlotInstr;

/** An instruction seen as its fields, to be filled in. */
export interface InstrFields {
  pos: number;
  dst?: Reg;
  arr?: number;
  slot?: number;
  addr?: Val;
  a?: Val;
  b?: Val;
  idx?: Val;
  pool?: Val;
}

/** Register that the instruction defines, or -1. */
export function defOf(i: FlatInstr): Reg {
  return (i as InstrFields).dst ?? -1;
}

/** Calls `f` on each operand, constants included. */
export function forEachVal(i: FlatInstr, f: (v: Val) => void): void {
  // Reading an absent field is cheaper than asking for it: this is the innermost loop of every pass.
  const x: InstrFields = i;
  if (x.addr !== undefined) f(x.addr);
  if (x.idx !== undefined) f(x.idx);
  if (x.pool !== undefined) f(x.pool);
  if (x.a !== undefined) f(x.a);
  if (x.b !== undefined) f(x.b);
  if (i.op === "call") for (const arg of i.args) if (arg.k === "val") f(arg.val);
}

/** A copy with each operand replaced, for the caller to finish. */
export function copyWith(i: FlatInstr, f: (v: Val) => Val): InstrFields {
  const out: InstrFields = { ...i };
  if (out.addr !== undefined) out.addr = f(out.addr);
  if (out.idx !== undefined) out.idx = f(out.idx);
  if (out.pool !== undefined) out.pool = f(out.pool);
  if (out.a !== undefined) out.a = f(out.a);
  if (out.b !== undefined) out.b = f(out.b);
  if (i.op === "call")
    return {
      ...out,
      args: i.args.map((arg) => (arg.k === "val" ? { k: "val", val: f(arg.val) } : arg)),
    } as InstrFields;
  return out;
}

/** The instruction with its operands replaced; the same object if none changes. */
export function mapVals<I extends FlatInstr>(i: I, f: (v: Val) => Val): I {
  let changed = false;
  forEachVal(i, (v) => {
    changed ||= f(v) !== v;
  });
  return changed ? (copyWith(i, f) as I) : i;
}

/** The operand of a terminator, if it has one. */
export function terminatorVal(t: Terminator): Val | undefined {
  return t.op === "branch" ? t.cond : t.op === "return" ? t.a : undefined;
}

export function mapTerminatorVal(t: Terminator, f: (v: Val) => Val): Terminator {
  if (t.op === "jump") return t;
  if (t.op === "branch") {
    const cond = f(t.cond);
    return cond === t.cond ? t : { ...t, cond };
  }
  const a = f(t.a);
  return a === t.a ? t : { ...t, a };
}

export function mapTargets(t: Terminator, f: (block: number) => number): Terminator {
  if (t.op === "jump") {
    const to = f(t.to);
    return to === t.to ? t : { op: "jump", to, pos: t.pos };
  }
  // biome-ignore lint/suspicious/noThenProperty: the field is the IR's, and nothing awaits a terminator.
  if (t.op === "branch") return { op: "branch", cond: t.cond, then: f(t.then), else: f(t.else), pos: t.pos };
  return t;
}

/** Blocks that the terminator may go to: 0, 1 or 2 of them. */
export function forEachTarget(t: Terminator, f: (block: number) => void): void {
  if (t.op === "jump") f(t.to);
  else if (t.op === "branch") {
    f(t.then);
    f(t.else);
  }
}
