/**
 * Uses and definitions of instructions, in one place, so that every pass agrees on them. The operand fields of the IR
 * are `addr`, `a`, `b`, `idx` and `pool`; the result is `dst`.
 */

import type { CallInstr, LocalInstr, Reg, Terminator, Val, VisibleInstr } from "./ir.ts";

/** What the passes see: calls are opaque, and gone once a thread is linked. */
export type FlatInstr = LocalInstr | VisibleInstr | CallInstr;

/** Register that the instruction defines, or -1. */
export function defOf(i: FlatInstr): Reg {
  return "dst" in i ? i.dst : -1;
}

/** Calls `f` on each operand, constants included. */
export function forEachVal(i: FlatInstr, f: (v: Val) => void): void {
  if ("addr" in i) f(i.addr);
  if ("idx" in i) f(i.idx);
  if ("pool" in i) f(i.pool);
  if ("a" in i) f(i.a);
  if ("b" in i) f(i.b);
  if (i.op === "call") for (const arg of i.args) if (arg.k === "val") f(arg.val);
}

/** The instruction with its operands replaced; the same object if none changes. */
export function mapVals<I extends FlatInstr>(i: I, f: (v: Val) => Val): I {
  if (i.op === "call")
    return { ...i, args: i.args.map((arg) => (arg.k === "val" ? { k: "val", val: f(arg.val) } : arg)) };
  const out: Record<string, Val> = {};
  let changed = false;
  const one = (key: string, v: Val): void => {
    const w = f(v);
    if (w !== v) {
      out[key] = w;
      changed = true;
    }
  };
  if ("addr" in i) one("addr", i.addr);
  if ("idx" in i) one("idx", i.idx);
  if ("pool" in i) one("pool", i.pool);
  if ("a" in i) one("a", i.a);
  if ("b" in i) one("b", i.b);
  return changed ? { ...i, ...out } : i;
}

export function mapDef<I extends FlatInstr>(i: I, f: (r: Reg) => Reg): I {
  return "dst" in i ? { ...i, dst: f(i.dst) } : i;
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
  if (t.op === "jump") return { ...t, to: f(t.to) };
  // biome-ignore lint/suspicious/noThenProperty: the field is the IR's, and nothing awaits a terminator.
  if (t.op === "branch") return { ...t, then: f(t.then), else: f(t.else) };
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
