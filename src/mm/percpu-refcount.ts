/**
 * percpu_ref (lib/percpu-refcount.c, v5.10 to v7.1): a reference count that is per-CPU counters while it
 * lives and one atomic word from percpu_ref_kill() on. The switch happens in an RCU callback; until that has
 * run, the atomic count keeps a bias and an extra reference, so that it cannot reach zero: with a ref in
 * per-CPU mode one grace period lies between kill and release. With a ref that was atomic from the start none
 * does. Both are what C4 and C5 turn on.
 *
 * Not covered: percpu_ref_reinit() and switching back to per-CPU mode, and waiting for an earlier switch to
 * be confirmed (one switch in a lifetime). Custom: the release function is always complete(data->completion),
 * as it is for a dev_pagemap; 32-bit words, so the bias is 1 << 30.
 *
 * Read: v5.10, v6.1, v6.12, v7.3. Read are lib/percpu-refcount.c and include/linux/percpu-refcount.h.
 */
"use kernel";

import { complete } from "../machine/completion.ts";
import { config, kernel } from "../machine/config.ts";
import {
  assert_no_underflow,
  atomic_add,
  atomic_inc_not_zero,
  atomic_read,
  atomic_set,
  atomic_sub_return,
  call_rcu,
  kfree,
  kzalloc,
  load,
  local_irq_restore,
  local_irq_save,
  READ_ONCE,
  rcu_read_lock,
  rcu_read_unlock,
  smp_processor_id,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
  wake_up_var,
} from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";

export type PercpuRef = Ptr<"percpu_ref">;

/** percpu_count_ptr: address of the counters, one word per CPU, with the two flags below in its low bits. */
export const PERCPU_REF = struct("percpu_ref", ["percpu_count_ptr", "data"]);
/** Apart from the ref since v5.10 (2b0d3d3e4fcf); freed by percpu_ref_exit(). */
export const PERCPU_REF_DATA = struct("percpu_ref_data", ["count", "completion"]);

/** Pools for kzalloc(): counters (kernel.nr_cpus words, addresses multiples of 4) and data. */
export const POOL_PERCPU = 2;
export const POOL_PERCPU_REF_DATA = 3;

export const __PERCPU_REF_ATOMIC = 1;
export const __PERCPU_REF_DEAD = 2;
export const __PERCPU_REF_ATOMIC_DEAD = 3;
export const PERCPU_COUNT_BIAS = 1 << 30;

export const PERCPU_REF_INIT_ATOMIC = 1;

function percpu_count_ptr(ref: PercpuRef): number {
  return ref + PERCPU_REF.percpu_count_ptr;
}

/**
 * Starts with one reference, in per-CPU mode unless PERCPU_REF_INIT_ATOMIC. False if out of memory.
 * Custom: the flags are set before the word is published, where the kernel sets them in place; nobody else
 * has the ref yet.
 */
export function percpu_ref_init(ref: PercpuRef, completion: number, flags: number): boolean {
  const counters = kzalloc(POOL_PERCPU);
  if (counters === 0) return false;
  const data = kzalloc(POOL_PERCPU_REF_DATA);
  if (data === 0) {
    kfree(counters);
    return false;
  }
  const is_atomic = (flags & PERCPU_REF_INIT_ATOMIC) !== 0;
  WRITE_ONCE(percpu_count_ptr(ref), is_atomic ? counters | __PERCPU_REF_ATOMIC : counters);
  atomic_set(data + PERCPU_REF_DATA.count, is_atomic ? 1 : PERCPU_COUNT_BIAS + 1);
  WRITE_ONCE(data + PERCPU_REF_DATA.completion, completion);
  WRITE_ONCE(ref + PERCPU_REF.data, data);
  return true;
}

/** Frees the counters; a ref that is not reinitialised loses them as soon as it is atomic. */
function __percpu_ref_exit(ref: PercpuRef): void {
  const counters = READ_ONCE(percpu_count_ptr(ref)) & ~__PERCPU_REF_ATOMIC_DEAD;
  if (counters === 0) return;
  kfree(counters);
  WRITE_ONCE(percpu_count_ptr(ref), __PERCPU_REF_ATOMIC_DEAD);
}

/**
 * Stub: the last count is not kept in percpu_count_ptr for percpu_ref_is_zero() after exit. Custom: `data`
 * is read after the counters are freed, in the kernel before; nobody may use the ref then.
 */
export function percpu_ref_exit(ref: PercpuRef): void {
  __percpu_ref_exit(ref);
  const data = READ_ONCE(ref + PERCPU_REF.data);
  if (data === 0) return;
  const flags = local_irq_save();
  spin_lock(kernel.percpu_ref_switch_lock);
  WRITE_ONCE(ref + PERCPU_REF.data, 0);
  spin_unlock(kernel.percpu_ref_switch_lock);
  local_irq_restore(flags);
  kfree(data);
}

function percpu_ref_data_count(ref: PercpuRef): number {
  return READ_ONCE(ref + PERCPU_REF.data) + PERCPU_REF_DATA.count;
}

/**
 * this_cpu_add(): only this CPU changes the word, so a plain read-modify-write would do; one operation
 * here. Custom: an atomic, which under TSO waits for the store buffer as the kernel's unlocked instruction
 * does not: executions in which later loads overtake the count are not explored.
 */
function this_cpu_add(counters: number, nr: number): void {
  atomic_add(nr, counters + smp_processor_id());
}

/** The release function: what the last put calls. */
function percpu_ref_release(ref: PercpuRef): void {
  const completion = READ_ONCE(READ_ONCE(ref + PERCPU_REF.data) + PERCPU_REF_DATA.completion);
  if (completion !== 0) complete(completion);
  // An external ref has no completion; its owner waits for the count itself (blk_freeze_queue()).
  else wake_up_var(percpu_ref_data_count(ref));
}

export function percpu_ref_get_many(ref: PercpuRef, nr: number): void {
  rcu_read_lock();
  const ptr = READ_ONCE(percpu_count_ptr(ref));
  if ((ptr & __PERCPU_REF_ATOMIC_DEAD) === 0) this_cpu_add(ptr, nr);
  else atomic_add(nr, percpu_ref_data_count(ref));
  rcu_read_unlock();
}

export function percpu_ref_put_many(ref: PercpuRef, nr: number): void {
  rcu_read_lock();
  const ptr = READ_ONCE(percpu_count_ptr(ref));
  if ((ptr & __PERCPU_REF_ATOMIC_DEAD) === 0) this_cpu_add(ptr, -nr);
  else {
    const count = atomic_sub_return(nr, percpu_ref_data_count(ref));
    assert_no_underflow(count >= 0, "percpu ref dropped below zero");
    if (count === 0) percpu_ref_release(ref);
  }
  rcu_read_unlock();
}
export function percpu_ref_put(ref: PercpuRef): void {
  percpu_ref_put_many(ref, 1);
}

/** A reference unless the ref was killed. Its body is percpu_ref_tryget_live_rcu() from v5.17 on. */
export function percpu_ref_tryget_live(ref: PercpuRef): boolean {
  let got = false;
  rcu_read_lock();
  const ptr = READ_ONCE(percpu_count_ptr(ref));
  if ((ptr & __PERCPU_REF_ATOMIC_DEAD) === 0) {
    this_cpu_add(ptr, 1);
    got = true;
  } else if ((load(percpu_count_ptr(ref)) & __PERCPU_REF_DEAD) === 0)
    got = atomic_inc_not_zero(percpu_ref_data_count(ref));
  rcu_read_unlock();
  return got;
}

/**
 * After the grace period no CPU uses the counters any more: fold them into the atomic count. Stub: whoever
 * waits for the confirmation of a switch is not woken; nobody waits here.
 */
export function percpu_ref_switch_to_atomic_rcu(ref: PercpuRef): void {
  const counters = READ_ONCE(percpu_count_ptr(ref)) & ~__PERCPU_REF_ATOMIC_DEAD;
  let count = 0;
  for (let cpu = 0; cpu < kernel.nr_cpus; cpu++) count = (count + READ_ONCE(counters + cpu)) | 0;
  atomic_add((count - PERCPU_COUNT_BIAS) | 0, percpu_ref_data_count(ref));
  // WARN_ONCE in the kernel: somebody has put more than was got.
  assert_no_underflow(
    atomic_read(percpu_ref_data_count(ref)) > 0,
    "percpu ref is not above 0 after switching to atomic",
  );
  __percpu_ref_exit(ref);
  percpu_ref_put(ref);
}

function __percpu_ref_switch_to_atomic(ref: PercpuRef): void {
  const ptr = READ_ONCE(percpu_count_ptr(ref));
  if ((ptr & __PERCPU_REF_ATOMIC) !== 0) return;
  WRITE_ONCE(percpu_count_ptr(ref), ptr | __PERCPU_REF_ATOMIC);
  // Held until the callback has run.
  atomic_add(1, percpu_ref_data_count(ref));
  if (config.percpuRefRcu) call_rcu(ref, percpu_ref_switch_to_atomic_rcu);
  else percpu_ref_switch_to_atomic_rcu(ref);
}

/**
 * No new live reference; drops the first one. Release comes when the last one is put. Stub: killing a ref
 * twice is not warned of.
 */
export function percpu_ref_kill(ref: PercpuRef): void {
  const flags = local_irq_save();
  spin_lock(kernel.percpu_ref_switch_lock);
  WRITE_ONCE(percpu_count_ptr(ref), READ_ONCE(percpu_count_ptr(ref)) | __PERCPU_REF_DEAD);
  __percpu_ref_switch_to_atomic(ref);
  percpu_ref_put(ref);
  spin_unlock(kernel.percpu_ref_switch_lock);
  local_irq_restore(flags);
}

/**
 * References that are counted, for end-of-run checks: exact when nobody else runs. 0 after percpu_ref_exit().
 */
export function percpu_ref_sum(ref: PercpuRef): number {
  const data = READ_ONCE(ref + PERCPU_REF.data);
  if (data === 0) return 0;
  const ptr = READ_ONCE(percpu_count_ptr(ref));
  let count = atomic_read(data + PERCPU_REF_DATA.count);
  if ((ptr & __PERCPU_REF_ATOMIC) === 0) {
    count -= PERCPU_COUNT_BIAS;
    for (let cpu = 0; cpu < kernel.nr_cpus; cpu++) count = (count + READ_ONCE(ptr + cpu)) | 0;
  }
  return count;
}
