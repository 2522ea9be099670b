/**
 * What the primitives need from whoever runs them: how a CPU waits, what its number is, and how the other
 * CPUs are reached. `sequential` is one CPU in the calling thread, for boot and for single-threaded tests:
 * there a wait that is not already satisfied can never be, and is reported as a deadlock. `smp/` installs the
 * host of real threads.
 */

import { KernelBug } from "./errors.ts";
import { addressName } from "./memory.ts";
import {
  CONTEXT_IRQS_OFF,
  CONTEXT_RCU,
  COUNT_MASK,
  HARDIRQ_OFFSET,
  preemptCountAfter,
  SOFTIRQ_OFFSET,
} from "./preempt.ts";

export type Handler = (arg: number) => void;

export interface Host {
  /** Number of the CPU that runs this thread. */
  readonly cpu: number;
  readonly nr_cpus: number;
  /**
   * Called in a loop while the word at `addr` is not as awaited; `seen` is what it was. May block until it
   * changes.
   */
  waitWord(addr: number, seen: number, why: string): void;
  /** Tells waiters that the word changed. */
  wakeWord(addr: number): void;
  irqSave(): number;
  irqRestore(flags: number): void;
  rcuReadLock(): void;
  rcuReadUnlock(): void;
  synchronizeRcu(): void;
  callRcu(head: number, func: Handler): void;
  /**
   * Waits until each CPU of `mask` (-1: every other) has been seen with interrupts on, running `func` there
   * if given.
   */
  smpCallFunction(mask: number, func: Handler | 0, info: number): void;
  /** Has `func(arg)` run on CPU `cpu` (-1: this one), some time from now. */
  queue(context: QueueContext, cpu: number, func: Handler, arg: number): void;
  preemptCountAdd(n: number): void;
  /** preempt_count(), interrupts off and RCU nesting, as machine/preempt.ts has them. */
  context(): number;
  /** Spinlocks that this CPU has taken and not released. */
  locksHeld: number;
  choose(n: number): number;
  /** Called with the address before each marked access and free, where a stress run may delay or yield. */
  preempt: ((addr: number) => void) | null;
}

/** What a queued handler runs as: see QueueContext in lang/ir.ts. */
export type QueueContext = "thread" | "softirq" | "hardirq";

/**
 * A preempt_count() after something was added.
 * @throws KernelBug if a field goes below 0: what was never disabled is enabled.
 */
export function addToCount(count: number, n: number): number {
  const next = preemptCountAfter(count, n);
  if (next < 0) throw new KernelBug("bad-unlock", "preempt_count_sub() of more than is there");
  return next;
}

/** The word that the `context` operation gives. */
export function contextWord(count: number, locks: number, irqsOff: number, rcu: number): number {
  return ((count + locks) & COUNT_MASK) | (irqsOff << CONTEXT_IRQS_OFF) | (rcu << CONTEXT_RCU);
}

class SequentialHost implements Host {
  readonly cpu = 0;
  readonly nr_cpus = 1;
  locksHeld = 0;
  preempt: ((addr: number) => void) | null = null;
  private irqsOff = 0;
  private readers = 0;
  private count = 0;
  private readonly callbacks: { head: number; func: Handler }[] = [];

  waitWord(addr: number, seen: number, why: string): void {
    // A callback may be what is waited for: with one CPU and no reader, a grace period has always elapsed.
    if (this.callbacks.length > 0 && this.readers === 0 && this.irqsOff === 0 && this.count === 0) {
      this.runCallbacks();
      return;
    }
    throw new KernelBug("deadlock", `${why}: ${addressName(addr)} is ${seen} and nothing else runs`, addr);
  }
  wakeWord(): void {}
  irqSave(): number {
    const flags = this.irqsOff;
    this.irqsOff = 1;
    return flags;
  }
  irqRestore(flags: number): void {
    this.irqsOff = flags;
  }
  rcuReadLock(): void {
    this.readers++;
  }
  rcuReadUnlock(): void {
    if (this.readers === 0) throw new KernelBug("bad-unlock", "rcu_read_unlock() without rcu_read_lock()");
    this.readers--;
  }
  synchronizeRcu(): void {
    if (this.readers > 0 || this.irqsOff > 0 || this.count !== 0)
      throw new KernelBug("deadlock", "synchronize_rcu() inside a read-side section");
  }
  callRcu(head: number, func: Handler): void {
    this.callbacks.push({ head, func });
  }
  smpCallFunction(mask: number, func: Handler | 0, info: number): void {
    if (mask === -1 || (mask & 1) === 0) return;
    if (this.irqsOff > 0) throw new KernelBug("deadlock", "an interrupt of this CPU with interrupts off");
    if (func !== 0) this.inside(HARDIRQ_OFFSET, 1, () => func(info));
  }
  queue(context: QueueContext, _cpu: number, func: Handler, arg: number): void {
    const run =
      context === "thread"
        ? func
        : (x: number): void =>
            this.inside(
              context === "softirq" ? SOFTIRQ_OFFSET : HARDIRQ_OFFSET,
              context === "hardirq" ? 1 : 0,
              () => func(x),
            );
    this.callbacks.push({ head: arg, func: run });
  }
  /** Runs an interrupt handler in the middle of what this CPU does. */
  private inside(offset: number, irqsOff: number, run: () => void): void {
    const before = [this.irqsOff, this.readers, this.count, this.locksHeld] as const;
    [this.irqsOff, this.readers, this.count, this.locksHeld] = [irqsOff, 0, offset, 0];
    run();
    if (this.irqsOff !== irqsOff || this.readers !== 0 || this.count !== offset || this.locksHeld !== 0)
      throw new KernelBug("bad-unlock", "an interrupt handler leaves something locked or disabled");
    [this.irqsOff, this.readers, this.count, this.locksHeld] = before;
  }
  preemptCountAdd(n: number): void {
    this.count = addToCount(this.count, n);
  }
  context(): number {
    return contextWord(this.count, this.locksHeld, this.irqsOff, this.readers);
  }
  choose(): number {
    return 0;
  }
  /** Runs call_rcu() callbacks, as a grace period would, and what else is queued. */
  runCallbacks(): void {
    for (let cb = this.callbacks.shift(); cb !== undefined; cb = this.callbacks.shift()) cb.func(cb.head);
  }
  reset(): void {
    this.irqsOff = 0;
    this.readers = 0;
    this.count = 0;
    this.locksHeld = 0;
    this.callbacks.length = 0;
  }
}

const sequential = new SequentialHost();

/** The host in force in this thread. Live binding. */
export let host: Host = sequential;

export function installHost(h: Host): void {
  host = h;
}

/**
 * Goes back to one CPU in this thread, with interrupts on, outside RCU sections, and no callbacks pending.
 */
export function useSequentialHost(): void {
  sequential.reset();
  host = sequential;
}

/** Runs pending call_rcu() callbacks of the sequential host (rcu_barrier()). */
export function runRcuCallbacks(): void {
  sequential.runCallbacks();
}
