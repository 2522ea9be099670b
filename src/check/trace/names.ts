/** Operations in the kernel's words: what a step of a trace, and a line of a counterexample, calls them. */

import type { FenceKind, Order, RmwFn, VisibleInstr } from "../../lang/ir.ts";

/**
 * The published form of a trace (schema.ts), by name and number; here, so that recording one does without
 * zod.
 */
export const TRACE_SCHEMA = "holdfast.trace/1";

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

/** What it is that an entry leaves a store buffer; `addr` is the entry's (machine.ts). */
export function drainName(addr: number): string {
  if (addr > 0) return "store becomes visible";
  return addr === 0 ? "section ends for others" : "grace period of call_rcu() begins";
}

/** What it is that starts, by its level (explore/handlers.ts), and where, if that makes a difference. */
export function startName(level: number, cpu: number | null): string {
  const what = ["callback starts", "softirq starts", "interrupt handler starts"][level];
  return cpu === null ? what : `${what} on CPU ${cpu}`;
}

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
    case "acquire":
      return `smp_cond_add_acquire_${i.cmp}`;
    case "queue":
      return `queue_${i.context}`;
    case "context":
      return "preempt_count";
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
