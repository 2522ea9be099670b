/**
 * What the primitives need from whoever runs them: how a CPU waits, what its number is, and how the other
 * CPUs are reached. `sequential` is one CPU in the calling thread, for boot and for single-threaded tests:
 * there a wait that is not already satisfied can never be, and is reported as a deadlock. `smp/` installs the
 * host of real threads.
 */

import { KernelBug } from "./errors.ts";
import { addressName } from "./memory.ts";

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
  /** Waits until every other CPU has been seen with interrupts on, running `func` there if given. */
  smpCallFunction(func: Handler | 0, info: number): void;
  choose(n: number): number;
  /** Called with the address before each marked access and free, where a stress run may delay or yield. */
  preempt: ((addr: number) => void) | null;
}

class SequentialHost implements Host {
  readonly cpu = 0;
  readonly nr_cpus = 1;
  preempt: ((addr: number) => void) | null = null;
  private irqsOff = 0;
  private readers = 0;
  private readonly callbacks: { head: number; func: Handler }[] = [];

  waitWord(addr: number, seen: number, why: string): void {
    // A callback may be what is waited for: with one CPU and no reader, a grace period has always elapsed.
    if (this.callbacks.length > 0 && this.readers === 0 && this.irqsOff === 0) {
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
    if (this.readers > 0 || this.irqsOff > 0)
      throw new KernelBug("deadlock", "synchronize_rcu() inside a read-side section");
  }
  callRcu(head: number, func: Handler): void {
    this.callbacks.push({ head, func });
  }
  smpCallFunction(): void {}
  choose(): number {
    return 0;
  }
  /** Runs call_rcu() callbacks, as a grace period would. */
  runCallbacks(): void {
    for (let cb = this.callbacks.shift(); cb !== undefined; cb = this.callbacks.shift()) cb.func(cb.head);
  }
  reset(): void {
    this.irqsOff = 0;
    this.readers = 0;
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
