/**
 * A counterexample as data: the steps of one execution with the operation, location and values of each, where
 * in the source it is, and what makes it wrong: the two accesses that conflict, who freed the object, who
 * waits for what. Made by running the steps again, so that whatever is shown was executed.
 */

import type { FenceKind, Order, Position, RmwFn, VisibleInstr } from "../../lang/ir.ts";
import { describeAddress } from "../../machine/image.ts";
import type { FoundError } from "../errors.ts";
import type { Machine } from "./machine.ts";
import type { Step } from "./statetable.ts";

export interface TrailStep {
  /** Index into `Trail.threads`. */
  readonly thread: number;
  /** `drain`: a store leaves the CPU's store buffer; `start`: a queued callback begins. */
  readonly action: "op" | "drain" | "start";
  /** The operation in the kernel's words: READ_ONCE, atomic add_unless, spin_lock. */
  readonly op: string;
  /** Word address, or 0 for operations that have none; and its name. */
  readonly addr: number;
  readonly location: string;
  /**
   * Word at the address before and after the step (for the step's own CPU, its store buffer included after).
   */
  readonly before: number;
  readonly after: number;
  /** What the operation gave, if it gives something. */
  readonly result: number | null;
  /** A wait that began and did not end at once. */
  readonly waits: boolean;
  /** Source positions: where it is, then the call sites outwards. [] for drains. */
  readonly where: readonly Position[];
}

export interface Trail {
  readonly threads: readonly string[];
  readonly steps: readonly TrailStep[];
  /** Steps whose accesses conflict (indices), if the error is about one object. */
  readonly conflict: readonly [number, number] | null;
  /** The step that freed the object. */
  readonly freedBy: number | null;
  /** Who waits for what at the end. */
  readonly blocked: readonly {
    readonly thread: string;
    readonly why: string;
    readonly where: readonly Position[];
  }[];
}

export function describeTrail(m: Machine, steps: readonly Step[], error: FoundError): Trail {
  const T = m.total;
  const out: TrailStep[] = [];
  m.boot();
  for (const step of steps) {
    const t = step.process % T;
    const pc = m.s[m.frame[t]];
    if (step.process >= T) {
      const addr = m.bufferAddr(t, 0);
      const before = addr > 0 ? m.s[addr] : 0;
      m.drain(t);
      out.push({
        thread: t,
        action: "drain",
        op:
          addr > 0
            ? "store becomes visible"
            : addr === 0
              ? "section ends for others"
              : "grace period of call_rcu() begins",
        addr: Math.max(addr, 0),
        location: addr > 0 ? describeAddress(m.program.memory.symbols, addr) : "",
        before,
        after: addr > 0 ? m.s[addr] : 0,
        result: null,
        waits: false,
        where: [],
      });
      continue;
    }
    if (pc === 0) {
      m.step(t, step.choice);
      out.push({
        thread: t,
        action: "start",
        op: "callback starts",
        addr: 0,
        location: "",
        before: 0,
        after: 0,
        result: null,
        waits: false,
        where: [],
      });
      continue;
    }
    const d = m.threads[t];
    const instr = d.instrs[pc];
    const addr = "addr" in instr ? m.nextAddr(t) : 0;
    const before = addr > 0 && addr < m.n ? m.s[addr] : 0;
    const operand = "a" in instr ? m.nextA(t) : null;
    const where = positions(d.code.positions, instr.pos);
    const ok = m.step(t, step.choice);
    const after = addr > 0 && addr < m.n ? m.s[addr] : 0;
    out.push({
      thread: t,
      action: "op",
      op: operationName(instr),
      addr,
      location: addr === 0 ? "" : describeAddress(m.program.memory.symbols, addr),
      before,
      after: instr.op === "store" && operand !== null ? operand : after,
      result: resultOf(instr, before, step.choice),
      waits: ok && m.syncBegun(t) && m.awaited(t),
      where,
    });
  }
  return {
    threads: m.names.slice(0, T),
    steps: out,
    ...accused(m, out, error),
    blocked: error.kind === "deadlock" ? blocked(m) : [],
  };
}

/** Where `pos` is, then the call sites outwards. */
export function positions(table: readonly Position[], pos: number): Position[] {
  const out: Position[] = [];
  for (let p = pos; p >= 0 && p < table.length && out.length < 64; p = table[p].parent) out.push(table[p]);
  return out;
}

function resultOf(i: VisibleInstr, before: number, choice: number): number | null {
  switch (i.op) {
    case "load":
    case "await":
    case "rmw":
      return before;
    case "spin_trylock":
      return before === 0 ? 1 : 0;
    case "choose":
      return choice;
    default:
      return null;
  }
}

/**
 * The last step's object: who freed it, and the last earlier step of another thread that touched the same.
 */
function accused(
  m: Machine,
  steps: readonly TrailStep[],
  error: FoundError,
): { conflict: readonly [number, number] | null; freedBy: number | null } {
  const end = steps.length - 1;
  if (end < 0 || error.addr === 0 || error.addr >= m.n) return { conflict: null, freedBy: null };
  const region = m.regionOf[error.addr];
  let freedBy: number | null = null;
  if (region >= 0) {
    const base = m.program.memory.regions[region].base;
    for (let i = end - 1; i >= 0 && freedBy === null; i--)
      if (steps[i].addr === base && steps[i].op === "kfree") freedBy = i;
  }
  if (freedBy !== null) return { conflict: [freedBy, end], freedBy };
  for (let i = end - 1; i >= 0; i--)
    if (steps[i].addr === error.addr && steps[i].thread !== steps[end].thread)
      return { conflict: [i, end], freedBy };
  return { conflict: null, freedBy };
}

function blocked(m: Machine): { thread: string; why: string; where: readonly Position[] }[] {
  const out: { thread: string; why: string; where: readonly Position[] }[] = [];
  for (let t = 0; t < m.total; t++) {
    if (m.finished(t) && !m.queued(t)) continue;
    const waitsFor = (): string => {
      const holders = m.holders(t);
      return m.names.filter((_, u) => (holders & (1 << u)) !== 0).join(", ");
    };
    if (m.queued(t)) {
      out.push({
        thread: m.names[t],
        why: `callback waits for a grace period that ${waitsFor()} holds up`,
        where: [],
      });
      continue;
    }
    const pc = m.s[m.frame[t]];
    const instr = m.threads[t].instrs[pc];
    const where = positions(m.threads[t].code.positions, instr.pos);
    const name = "addr" in instr ? describeAddress(m.program.memory.symbols, m.nextAddr(t)) : "";
    const value = "addr" in instr ? m.s[m.nextAddr(t)] : 0;
    let why = operationName(instr);
    if (instr.op === "await")
      why = `waits until ${name} is ${instr.cmp === "eq" ? "" : "not "}${m.nextA(t)}; it is ${value}`;
    else if (instr.op === "spin_lock") why = `waits for the lock ${name}`;
    else if (m.syncBegun(t)) why = `${operationName(instr)} waits for ${waitsFor()}`;
    out.push({ thread: m.names[t], why, where });
  }
  return out;
}

const LOADS: Record<Order, string> = {
  plain: "load",
  once: "READ_ONCE",
  acquire: "smp_load_acquire",
  release: "READ_ONCE",
  mb: "READ_ONCE",
  noreturn: "READ_ONCE",
};
const STORES: Record<Order, string> = {
  plain: "store",
  once: "WRITE_ONCE",
  release: "smp_store_release",
  acquire: "WRITE_ONCE",
  mb: "WRITE_ONCE",
  noreturn: "WRITE_ONCE",
};
const RMWS: Record<RmwFn, string> = {
  add: "atomic_add",
  and: "atomic_and",
  or: "atomic_or",
  xor: "atomic_xor",
  xchg: "xchg",
  cmpxchg: "cmpxchg",
  add_unless: "atomic_add_unless",
};
const FENCES: Record<FenceKind, string> = {
  mb: "smp_mb",
  rmb: "smp_rmb",
  wmb: "smp_wmb",
  barrier: "barrier",
  "before-atomic": "smp_mb__before_atomic",
  "after-atomic": "smp_mb__after_atomic",
  "after-spinlock": "smp_mb__after_spinlock",
  "after-unlock-lock": "smp_mb__after_unlock_lock",
  "after-srcu-read-unlock": "smp_mb__after_srcu_read_unlock",
};

/** The kernel's name of an operation. */
export function operationName(i: VisibleInstr): string {
  switch (i.op) {
    case "load":
      return LOADS[i.order];
    case "store":
      return STORES[i.order];
    case "rmw":
      return RMWS[i.fn];
    case "fence":
      return FENCES[i.kind];
    case "await":
      return i.order === "acquire" ? "smp_cond_load_acquire" : "smp_cond_load_relaxed";
    case "alloc":
      return "kzalloc";
    case "free":
      return "kfree";
    case "revive":
      return "memory_revive";
    default:
      return i.op;
  }
}
