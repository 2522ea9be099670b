/**
 * States of the brute-force interleaver (interleave.ts) as plain data, and what concerns a single thread:
 * local instructions, operands, lists of those that are waited for.
 */

import { type BinOp, evalBin, evalUn, type LocalInstr, type Val } from "../../../src/lang/ir.ts";

/**
 * `[0, address, value]`, `[1]` end of a section, `[2, handler, argument]` call_rcu, `[3, thread]` IPI
 * handled, `[4, thread or -1]` end of an interrupt handler, which is a section, and what it answers.
 */
export type Entry = [0, number, number] | [1] | [2, string, number] | [3, number] | [4, number];

export interface Frame {
  code: string;
  block: number;
  at: number;
  regs: number[];
  arrays: number[][];
  /** Waits for these: thread and how many of its sections must still end, or (IPI) thread and 1. */
  wait: [number, number][] | null;
  waitKind: "" | "gp" | "ipi";
}

export interface Thread {
  cpu: number;
  /** 0: a thread of its own; 1: a softirq, 2: a hard interrupt, in the middle of what its CPU does. */
  level: number;
  /** The sender of the IPI that this handler answers, or -1. */
  ack: number;
  status: "waiting" | "running" | "finished" | "failed";
  /** One, or none once it has finished or failed. */
  frames: Frame[];
  irq: number;
  rcu: number;
  /** Its preempt_count(), without spinlocks. */
  count: number;
  /** Spinlocks taken and not released. */
  held: number;
  buffer: Entry[];
  /**
   * IPIs not yet taken: sender, entries of the buffer that must drain first (-1:
   * interrupts are off).
   */
  pending: [number, number][];
  /** Grace period of a callback that has not started. */
  grace: [number, number][];
}

export interface State {
  mem: number[];
  live: number[];
  threads: Thread[];
}

/**
 * For recognising a round: registers that nobody reads any more may differ, and which these are is not known
 * here.
 */
export function withoutRegisters(key: string): string {
  return JSON.stringify(JSON.parse(key), (k: string, v: unknown) => (k === "regs" ? undefined : v));
}

export function newThread(cpu: number): Thread {
  return {
    cpu,
    status: "running",
    frames: [],
    level: 0,
    ack: -1,
    irq: 0,
    rcu: 0,
    count: 0,
    held: 0,
    buffer: [],
    pending: [],
    grace: [],
  };
}

export function value(v: Val, f: Frame): number {
  return ((v.reg < 0 ? 0 : f.regs[v.reg]) + v.imm) | 0;
}

export function countDown(list: [number, number][], thread: number): void {
  const k = list.findIndex((e) => e[0] === thread);
  if (k < 0) return;
  list[k][1]--;
  if (list[k][1] === 0) list.splice(k, 1);
}

/** Ends the wait of a frame if there is nobody left to wait for. */
export function finishWait(f: Frame): number {
  if (f.wait !== null && f.wait.length > 0) return 0;
  f.wait = null;
  f.waitKind = "";
  return 1;
}

/** Executes a local instruction; the kind of error, or null. */
export function local(i: LocalInstr, f: Frame, cpu: number): string | null {
  switch (i.op) {
    case "mov":
      f.regs[i.dst] = value(i.a, f);
      return null;
    case "bin":
      f.regs[i.dst] = evalBin(i.fn satisfies BinOp, value(i.a, f), value(i.b, f));
      return null;
    case "un":
      f.regs[i.dst] = evalUn(i.fn, value(i.a, f));
      return null;
    case "cpu":
      f.regs[i.dst] = cpu;
      return null;
    case "assert":
      return value(i.a, f) !== 0 ? null : i.kind;
    case "aget":
    case "aset": {
      const idx = value(i.idx, f);
      const a = f.arrays[i.arr];
      if (idx < 0 || idx >= a.length) return "out-of-bounds";
      if (i.op === "aset") a[idx] = value(i.a, f);
      else f.regs[i.dst] = a[idx];
      return null;
    }
  }
}

/** One step of a counterexample, as far as the oracle needs it. */
export interface ReplayStep {
  readonly thread: number;
  readonly action: "op" | "drain" | "start";
  /** In words; of a start, what it is that starts. */
  readonly op: string;
  /** What the step gave: the value of a choice. */
  readonly result: number | null;
}
