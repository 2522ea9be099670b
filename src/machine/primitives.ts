/**
 * The primitives of the Linux kernel memory model under their kernel names
 * (tools/memory-model/linux-kernel.def, include/linux/atomic.h), for code that runs: on one CPU or on real
 * threads, over the shared words of memory.ts. The dialect compiler does not compile these bodies; it knows
 * each name as an operation of the IR (lang/intrinsics.ts).
 *
 * Every marked access is sequentially consistent here, which is stronger than any model that the checker
 * assumes. Every access to a poisoned word is a use-after-free and raises KernelBug.
 */

import { type BugKind, KernelBug } from "./errors.ts";
import { type Handler, host } from "./host.ts";
import { type MemRegion, NULL_GUARD, POISON } from "./image.ts";
import { addressName, mem, memoryPool, regionAt } from "./memory.ts";
import { CONTEXT_IRQS_OFF, CONTEXT_RCU, COUNT_MASK } from "./preempt.ts";

/**
 * A thread-private array of words: `pages[]`, out-parameters. In the checker it is part of the thread's
 * frame.
 */
export type LocalArray = Int32Array;

/** `size` must be a constant in dialect code. Elements start as 0. */
export function localArray(size: number): LocalArray {
  return new Int32Array(size);
}

function bug(kind: BugKind, message: string, addr = 0): never {
  throw new KernelBug(kind, message, addr);
}

function touchedPoison(p: number): never {
  bug("use-after-free", `access to freed ${addressName(p)}`, p);
}

/** Address check and scheduling point in front of every access. */
function visit(p: number): void {
  if (p < NULL_GUARD || p >= mem.length) bug("bad-address", `access to address ${p}`, p);
  if (host.preempt !== null) host.preempt(p);
}

// ---- Single words -----------------------------------------------------------------------------------------

export function READ_ONCE(p: number): number {
  visit(p);
  const v = Atomics.load(mem, p);
  if (v === POISON) touchedPoison(p);
  return v;
}
export function WRITE_ONCE(p: number, v: number): void {
  visit(p);
  if (Atomics.exchange(mem, p, v) === POISON) touchedPoison(p);
}
/** A plain C load, `*p`. */
export function load(p: number): number {
  return READ_ONCE(p);
}
/** A plain C store, `*p = v`. */
export function store(p: number, v: number): void {
  WRITE_ONCE(p, v);
}
export function smp_load_acquire(p: number): number {
  return READ_ONCE(p);
}
export function smp_store_release(p: number, v: number): void {
  WRITE_ONCE(p, v);
}
export function rcu_dereference(p: number): number {
  return READ_ONCE(p);
}
export function rcu_assign_pointer(p: number, v: number): void {
  WRITE_ONCE(p, v);
}

// ---- Read-modify-write ------------------------------------------------------------------------------------

export function xchg(p: number, v: number): number {
  visit(p);
  const old = Atomics.exchange(mem, p, v);
  if (old === POISON) touchedPoison(p);
  return old;
}
export const xchg_relaxed: typeof xchg = xchg;
export const xchg_acquire: typeof xchg = xchg;
export const xchg_release: typeof xchg = xchg;

/** Gives the old value; the swap happened if that is `expected`. */
export function cmpxchg(p: number, expected: number, v: number): number {
  visit(p);
  const old = Atomics.compareExchange(mem, p, expected, v);
  if (old === POISON) touchedPoison(p);
  return old;
}
export const cmpxchg_relaxed: typeof cmpxchg = cmpxchg;
export const cmpxchg_acquire: typeof cmpxchg = cmpxchg;
export const cmpxchg_release: typeof cmpxchg = cmpxchg;

export function atomic_read(v: number): number {
  return READ_ONCE(v);
}
export function atomic_read_acquire(v: number): number {
  return READ_ONCE(v);
}
export function atomic_set(v: number, i: number): void {
  WRITE_ONCE(v, i);
}
export function atomic_set_release(v: number, i: number): void {
  WRITE_ONCE(v, i);
}

export function atomic_fetch_add(i: number, v: number): number {
  visit(v);
  const old = Atomics.add(mem, v, i);
  if (old === POISON) touchedPoison(v);
  return old;
}
export const atomic_fetch_add_relaxed: typeof atomic_fetch_add = atomic_fetch_add;
export const atomic_fetch_add_acquire: typeof atomic_fetch_add = atomic_fetch_add;
export const atomic_fetch_add_release: typeof atomic_fetch_add = atomic_fetch_add;
export function atomic_fetch_sub(i: number, v: number): number {
  return atomic_fetch_add(-i, v);
}
export function atomic_fetch_inc(v: number): number {
  return atomic_fetch_add(1, v);
}
export function atomic_fetch_dec(v: number): number {
  return atomic_fetch_add(-1, v);
}
export function atomic_add(i: number, v: number): void {
  atomic_fetch_add(i, v);
}
export function atomic_sub(i: number, v: number): void {
  atomic_fetch_add(-i, v);
}
export function atomic_inc(v: number): void {
  atomic_fetch_add(1, v);
}
export function atomic_dec(v: number): void {
  atomic_fetch_add(-1, v);
}
export function atomic_add_return(i: number, v: number): number {
  return (atomic_fetch_add(i, v) + i) | 0;
}
export const atomic_add_return_relaxed: typeof atomic_add_return = atomic_add_return;
export const atomic_add_return_acquire: typeof atomic_add_return = atomic_add_return;
export const atomic_add_return_release: typeof atomic_add_return = atomic_add_return;
export function atomic_sub_return(i: number, v: number): number {
  return (atomic_fetch_add(-i, v) - i) | 0;
}
export function atomic_inc_return(v: number): number {
  return atomic_add_return(1, v);
}
export function atomic_dec_return(v: number): number {
  return atomic_sub_return(1, v);
}
export function atomic_dec_and_test(v: number): boolean {
  return atomic_fetch_add(-1, v) === 1;
}
export function atomic_sub_and_test(i: number, v: number): boolean {
  return atomic_fetch_add(-i, v) === i;
}
export function atomic_inc_and_test(v: number): boolean {
  return atomic_fetch_add(1, v) === -1;
}
export function atomic_add_negative(i: number, v: number): boolean {
  return atomic_add_return(i, v) < 0;
}
/** Adds `a` unless the word is `u`; gives the old value. */
export function atomic_fetch_add_unless(v: number, a: number, u: number): number {
  let old = READ_ONCE(v);
  while (old !== u) {
    const seen = cmpxchg(v, old, (old + a) | 0);
    if (seen === old) break;
    old = seen;
  }
  return old;
}
export function atomic_add_unless(v: number, a: number, u: number): boolean {
  return atomic_fetch_add_unless(v, a, u) !== u;
}
export function atomic_inc_not_zero(v: number): boolean {
  return atomic_fetch_add_unless(v, 1, 0) !== 0;
}
export function atomic_xchg(v: number, i: number): number {
  return xchg(v, i);
}
export function atomic_cmpxchg(v: number, expected: number, i: number): number {
  return cmpxchg(v, expected, i);
}
export function atomic_fetch_and(i: number, v: number): number {
  visit(v);
  const old = Atomics.and(mem, v, i);
  if (old === POISON) touchedPoison(v);
  return old;
}
export const atomic_fetch_and_release: typeof atomic_fetch_and = atomic_fetch_and;
export function atomic_fetch_or(i: number, v: number): number {
  visit(v);
  const old = Atomics.or(mem, v, i);
  if (old === POISON) touchedPoison(v);
  return old;
}
export function atomic_fetch_xor(i: number, v: number): number {
  visit(v);
  const old = Atomics.xor(mem, v, i);
  if (old === POISON) touchedPoison(v);
  return old;
}
export function atomic_and(i: number, v: number): void {
  atomic_fetch_and(i, v);
}
export function atomic_or(i: number, v: number): void {
  atomic_fetch_or(i, v);
}
export function atomic_xor(i: number, v: number): void {
  atomic_fetch_xor(i, v);
}

// ---- Bits of one word (nr is 0..31) -----------------------------------------------------------------------

export function test_bit(nr: number, p: number): boolean {
  return (READ_ONCE(p) & (1 << nr)) !== 0;
}
export function set_bit(nr: number, p: number): void {
  atomic_fetch_or(1 << nr, p);
}
export function clear_bit(nr: number, p: number): void {
  atomic_fetch_and(~(1 << nr), p);
}
export function test_and_set_bit(nr: number, p: number): boolean {
  return (atomic_fetch_or(1 << nr, p) & (1 << nr)) !== 0;
}
export const test_and_set_bit_lock: typeof test_and_set_bit = test_and_set_bit;
export function test_and_clear_bit(nr: number, p: number): boolean {
  return (atomic_fetch_and(~(1 << nr), p) & (1 << nr)) !== 0;
}

// ---- Barriers ---------------------------------------------------------------------------------------------

/** Nothing to do: every marked access above is already sequentially consistent. */
export function smp_mb(): void {}
export const smp_rmb: typeof smp_mb = smp_mb;
export const smp_wmb: typeof smp_mb = smp_mb;
export const barrier: typeof smp_mb = smp_mb;
export const smp_mb__before_atomic: typeof smp_mb = smp_mb;
export const smp_mb__after_atomic: typeof smp_mb = smp_mb;
export const smp_mb__after_spinlock: typeof smp_mb = smp_mb;
export const smp_mb__after_unlock_lock: typeof smp_mb = smp_mb;

// ---- Waiting ----------------------------------------------------------------------------------------------

/** smp_cond_load_acquire(p, VAL == v): waits until the word is `v`. */
export function smp_cond_load_acquire_eq(p: number, v: number): number {
  for (;;) {
    const seen = READ_ONCE(p);
    if (seen === v) return seen;
    host.waitWord(p, seen, `waits until it is ${v}`);
  }
}
/** smp_cond_load_acquire(p, VAL != v): waits until the word is not `v`, and gives it. */
export function smp_cond_load_acquire_ne(p: number, v: number): number {
  for (;;) {
    const seen = READ_ONCE(p);
    if (seen !== v) return seen;
    host.waitWord(p, seen, `waits until it is not ${v}`);
  }
}
/**
 * Waits until the word is `v`, then adds `i` to it, in one step with acquire order; gives what it was. This
 * and its kin are what the sleeping and reader-writer locks of kernel/locking come to: waiters are queued,
 * none starves.
 */
export function smp_cond_add_acquire_eq(p: number, v: number, i: number): number {
  return condAdd(p, i, (seen) => seen === v, v);
}
export function smp_cond_add_acquire_ne(p: number, v: number, i: number): number {
  return condAdd(p, i, (seen) => seen !== v, v);
}
export function smp_cond_add_acquire_ge(p: number, v: number, i: number): number {
  return condAdd(p, i, (seen) => seen >= v, v);
}
function condAdd(p: number, i: number, isSo: (seen: number) => boolean, v: number): number {
  for (;;) {
    const seen = READ_ONCE(p);
    if (!isSo(seen)) host.waitWord(p, seen, `waits, to add ${i}, for a comparison with ${v}`);
    else if (cmpxchg(p, seen, (seen + i) | 0) === seen) return seen;
  }
}
/**
 * Wakes CPUs that wait for the word to change (wake_up_var()). No effect in the checker, where waits re-check
 * by themselves.
 */
export function wake_up_var(p: number): void {
  host.wakeWord(p);
}

// ---- Spinlocks: 0 free, else 1 + the holder's CPU number --------------------------------------------------

export function spin_lock(l: number): void {
  const self = host.cpu + 1;
  for (;;) {
    const seen = cmpxchg(l, 0, self);
    if (seen === 0) {
      host.locksHeld++;
      return;
    }
    if (seen === self) bug("deadlock", `spin_lock(${addressName(l)}): this CPU holds it already`, l);
    host.waitWord(l, seen, "waits for the lock");
  }
}
export function spin_trylock(l: number): boolean {
  const taken = cmpxchg(l, 0, host.cpu + 1) === 0;
  if (taken) host.locksHeld++;
  return taken;
}
export function spin_unlock(l: number): void {
  const was = xchg(l, 0);
  if (was !== host.cpu + 1)
    bug(
      "bad-unlock",
      `spin_unlock(${addressName(l)}): held by ${was === 0 ? "nobody" : `CPU ${was - 1}`}`,
      l,
    );
  if (host.locksHeld > 0) host.locksHeld--;
  host.wakeWord(l);
}
export function spin_is_locked(l: number): boolean {
  return READ_ONCE(l) !== 0;
}

// ---- RCU, interrupts, other CPUs --------------------------------------------------------------------------

export function rcu_read_lock(): void {
  host.rcuReadLock();
}
export function rcu_read_unlock(): void {
  host.rcuReadUnlock();
}
export function synchronize_rcu(): void {
  host.synchronizeRcu();
}
/** Runs `func(head)` after a grace period. `func` must be a dialect function named directly. */
export function call_rcu(head: number, func: Handler): void {
  host.callRcu(head, func);
}
/** Interrupts off on this CPU; gives the former state for local_irq_restore(). */
export function local_irq_save(): number {
  return host.irqSave();
}
export function local_irq_restore(flags: number): void {
  host.irqRestore(flags);
}
/**
 * Runs `func(info)` on every other CPU and waits; with `func` 0 it only waits until each has taken the
 * interrupt.
 */
export function smp_call_function(func: Handler | 0, info: number): void {
  host.smpCallFunction(-1, func, info);
}
/** The same on one CPU, the own one included. */
export function smp_call_function_single(cpu: number, func: Handler | 0, info: number): void {
  host.smpCallFunction(1 << cpu, func, info);
}
/** The same on the CPUs whose bits are set in `mask`, without the own one. */
export function smp_call_function_many(mask: number, func: Handler | 0, info: number): void {
  host.smpCallFunction(mask & ~(1 << host.cpu), func, info);
}
/**
 * `func(arg)` runs once, some time from now, on CPU `cpu` (-1: this one), as a thread of its own: what
 * kthreads and the workers of workqueues are made of. `func` must be a dialect function named directly. What
 * was stored before is seen.
 */
export function queue_thread(cpu: number, func: Handler, arg: number): void {
  host.queue("thread", cpu, func, arg);
}
/**
 * The same as a softirq, in the middle of what the CPU does: timers, tasklets. Not while that has softirqs
 * disabled.
 */
export function queue_softirq(cpu: number, func: Handler, arg: number): void {
  host.queue("softirq", cpu, func, arg);
}
/** The same as a hard interrupt: not while the CPU has interrupts off. */
export function queue_hardirq(cpu: number, func: Handler, arg: number): void {
  host.queue("hardirq", cpu, func, arg);
}
/**
 * Fields in machine/preempt.ts. preempt_disable() adds PREEMPT_OFFSET, local_bh_disable()
 * SOFTIRQ_DISABLE_OFFSET.
 */
export function preempt_count_add(n: number): void {
  host.preemptCountAdd(n);
}
export function preempt_count_sub(n: number): void {
  host.preemptCountAdd(-n);
}
/** With a PREEMPT_OFFSET for each spinlock that this thread holds. */
export function preempt_count(): number {
  return host.context() & COUNT_MASK;
}
export function irqs_disabled(): boolean {
  return ((host.context() >> CONTEXT_IRQS_OFF) & 1) !== 0;
}
/** Nesting of rcu_read_lock(). */
export function rcu_preempt_depth(): number {
  return host.context() >> CONTEXT_RCU;
}
export function smp_processor_id(): number {
  return host.cpu;
}

// ---- Objects ----------------------------------------------------------------------------------------------

/**
 * An object of pool `pool`, its words 0; 0 (NULL) if every one is live. Without other CPUs, the first that is
 * free.
 */
export function kzalloc(pool: number): number {
  const p = memoryPool(pool);
  if (p === undefined) return 0;
  const n = p.regions.length;
  // Other CPUs free without telling: there the hint says nothing, and which object is taken must not depend
  // on the past.
  const from = host.nr_cpus === 1 ? p.hint : 0;
  for (let k = 0; k < n; k++) {
    const i = from + k < n ? from + k : from + k - n;
    const r = p.regions[i];
    if (Atomics.compareExchange(mem, r.base, POISON, 0) !== POISON) continue;
    for (let w = 1; w < r.words; w++) Atomics.store(mem, r.base + w, 0);
    p.hint = i + 1 < n ? i + 1 : 0;
    return r.base;
  }
  return 0;
}
function objectAt(base: number, what: string): { readonly region: MemRegion; readonly index: number } {
  return regionAt(base) ?? bug("bad-address", `${what}: no object starts at ${addressName(base)}`, base);
}
/** Frees the object that starts at `p`: its words are poisoned. */
export function kfree(p: number): void {
  const { region: r, index } = objectAt(p, "kfree");
  if (host.preempt !== null) host.preempt(p);
  // Downwards: kzalloc() on another CPU claims an object by its first word, so that one is poisoned last.
  for (let i = r.words - 1; i >= 0; i--)
    if (Atomics.exchange(mem, r.base + i, POISON) === POISON)
      bug("double-free", `${r.name} is freed twice`, p);
  const pool = memoryPool(r.pool);
  if (pool !== undefined && index < pool.hint) pool.hint = index;
}
/**
 * Makes a freed object that no pool hands out usable again, its words 0: a vmemmap range that is plugged
 * again.
 */
export function memory_revive(p: number): void {
  const { region: r } = objectAt(p, "memory_revive");
  for (let i = 0; i < r.words; i++) Atomics.store(mem, r.base + i, 0);
}

// ---- Choice and assertions --------------------------------------------------------------------------------

/** Any of 0 .. n-1: the checker tries all, a run picks one. */
export function choose(n: number): number {
  return host.choose(n);
}
/** `message` must be a string literal in dialect code. */
export function assert(cond: boolean | number, message: string): void {
  if (!cond) bug("assertion", message);
}
export function BUG_ON(cond: boolean | number): void {
  if (cond) bug("assertion", "BUG_ON");
}
/** End-of-run check that a reference, pin or object was given back. */
export function assert_no_leak(cond: boolean | number, message: string): void {
  if (!cond) bug("leak", message);
}
/** A count went below what it may. */
export function assert_no_underflow(cond: boolean | number, message: string): void {
  if (!cond) bug("refcount-underflow", message);
}
export function assert_no_overflow(cond: boolean | number, message: string): void {
  if (!cond) bug("refcount-overflow", message);
}
/** Unsigned `a < b`. */
export function ult(a: number, b: number): boolean {
  return a >>> 0 < b >>> 0;
}
/** 32-bit product. */
export function imul(a: number, b: number): number {
  return Math.imul(a, b);
}
