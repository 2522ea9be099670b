/**
 * Sleepable RCU (kernel/rcu/srcutree.c), built from atomics so that every engine understands it: readers
 * count themselves in one of two counters; synchronize_srcu() waits for the idle one, flips, and waits for
 * the other, so that a reader who comes later cannot hold it up. Two waits are needed because a reader may
 * have read the index and not yet counted itself.
 *
 * Custom: one counter per index instead of lock and unlock counts per CPU (which tolerate a reader that
 * sleeps between the two reads of a summation; one word cannot be torn). Not covered: call_srcu(), expedited
 * grace periods.
 */
"use kernel";

import {
  atomic_dec,
  atomic_inc,
  READ_ONCE,
  smp_cond_load_acquire_eq,
  smp_mb,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
  wake_up_var,
} from "./primitives.ts";
import { type Ptr, struct } from "./struct.ts";

export type Srcu = Ptr<"srcu_struct">;

/** idx: counter that new readers use, 0 or 1; lock: one grace period at a time. */
export const SRCU_STRUCT = struct("srcu_struct", ["idx", "nesting0", "nesting1", "lock"]);

/** Gives the index for srcu_read_unlock(). */
export function srcu_read_lock(ssp: Srcu): number {
  const idx = READ_ONCE(ssp + SRCU_STRUCT.idx);
  atomic_inc(ssp + SRCU_STRUCT.nesting0 + idx);
  // B in the kernel: what the section reads is read after the count.
  smp_mb();
  return idx;
}

export function srcu_read_unlock(ssp: Srcu, idx: number): void {
  smp_mb();
  atomic_dec(ssp + SRCU_STRUCT.nesting0 + idx);
  wake_up_var(ssp + SRCU_STRUCT.nesting0 + idx);
}

/** Returns when every section that began before has ended. Not from inside one. */
export function synchronize_srcu(ssp: Srcu): void {
  spin_lock(ssp + SRCU_STRUCT.lock);
  smp_mb();
  const idx = READ_ONCE(ssp + SRCU_STRUCT.idx);
  smp_cond_load_acquire_eq(ssp + SRCU_STRUCT.nesting0 + (idx ^ 1), 0);
  WRITE_ONCE(ssp + SRCU_STRUCT.idx, idx ^ 1);
  smp_mb();
  smp_cond_load_acquire_eq(ssp + SRCU_STRUCT.nesting0 + idx, 0);
  smp_mb();
  spin_unlock(ssp + SRCU_STRUCT.lock);
}
