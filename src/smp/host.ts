/**
 * The host of real threads: how one CPU (a worker thread) turns interrupts off, reads and waits for RCU,
 * interrupts the others, and sleeps. Interrupts are a word per CPU: an IPI takes the target's word, runs the
 * handler on the target's behalf and gives the word back, so that idle and busy CPUs answer alike, and a CPU
 * with interrupts off makes the sender wait. RCU is epoch based: a reader publishes the epoch at which it
 * entered, a grace period raises the epoch and waits until no CPU publishes an older one (compare Fraser,
 * "Practical lock-freedom", 2004, 5.2.3). Nothing spins for ever: every wait sleeps in Atomics.wait, says in
 * the control words what it waits for, and ends when the run is stopped.
 *
 * *custom*: a handler runs beside the code that it would interrupt instead of inside it, so code that keeps
 * interrupts on sees more interleavings than on hardware, never fewer. call_rcu() callbacks run on the CPU
 * that queued them, while it waits or when its thread has ended, never in the middle of other code.
 */

import { KernelBug } from "../machine/errors.ts";
import type { Handler, Host } from "../machine/host.ts";
import { mem } from "../machine/memory.ts";
import {
  CALLBACK_EPOCH,
  CALLBACK_MAY_RUN,
  CALLBACKS,
  cpuBase,
  EPISODE,
  EPOCH,
  IRQ,
  MEM_WAITERS,
  NEVER,
  ON_BEHALF,
  PHASE,
  PHASE_RUNNING,
  PHASE_WAITING,
  quiescentSince,
  RCU,
  READERS,
  STATE_WAITERS,
  STOP,
  setWhy,
  WAIT_GRACE_PERIOD,
  WAIT_HANDLER,
  WAIT_IPI,
  WAIT_KIND,
  WAIT_ON,
  WAIT_SEEN,
  WAIT_WORD,
} from "./control.ts";
import { Random, STREAM_CHOOSE, streamSeed } from "./random.ts";

/** Thrown out of a wait when the run has been stopped; not an error of the program. */
export class RunStopped extends Error {}

/**
 * Milliseconds that a wait for a lock leaves callbacks alone: its owner may hold a lock that a callback
 * takes.
 */
const LOCK_PATIENCE_MS = 2;
const MAX_SLEEP_MS = 1;

export class SmpHost implements Host {
  cpu: number;
  readonly nr_cpus: number;
  preempt: ((addr: number) => void) | null = null;
  private readonly ctl: Int32Array;
  /** The CPU that this worker is; `cpu` differs while it runs a handler on another's behalf. */
  private readonly self: number;
  private readonly base: number;
  private readonly irqOffIsReader: boolean;
  private readonly spins: number;
  private readonly random = new Random();
  private irqsOff = 0;
  private readers = 0;
  private inHandler = false;
  private readonly callbacks: { readonly head: number; readonly func: Handler; readonly epoch: number }[] =
    [];

  /** `spins`: looks at a word before sleeping; 0 where CPUs outnumber cores. */
  constructor(ctl: Int32Array, cpu: number, nrCpus: number, irqOffIsReader: boolean, spins: number) {
    this.ctl = ctl;
    this.self = cpu;
    this.cpu = cpu;
    this.nr_cpus = nrCpus;
    this.base = cpuBase(cpu);
    this.irqOffIsReader = irqOffIsReader;
    this.spins = spins;
  }

  /**
   * choose() starts over. This CPU's control words are as endThread() required, and must not be written here:
   * another CPU, off to an earlier start, may be interrupting this one already.
   */
  startIteration(seed: number, iteration: number): void {
    this.random.reseed(streamSeed(seed, iteration, this.self, STREAM_CHOOSE));
  }

  /**
   * What a CPU must have left behind when its thread ends; then runs its callbacks, as rcu_barrier() would.
   */
  endThread(): void {
    if (this.irqsOff !== 0) throw new KernelBug("bad-unlock", "the thread ended with interrupts off");
    if (this.readers !== 0) throw new KernelBug("bad-unlock", "the thread ended inside rcu_read_lock()");
    while (this.callbacks.length > 0) {
      const epoch = this.callbacks[0].epoch;
      for (let t = 0; t < this.nr_cpus; t++)
        this.waitQuiescent(t, epoch, "rcu_barrier() waits for its readers");
      this.runReadyCallbacks();
    }
  }

  choose(n: number): number {
    return this.random.below(n);
  }

  // ---- Waiting --------------------------------------------------------------------------------------------

  waitWord(addr: number, seen: number, why: string): void {
    for (let i = 0; i < this.spins; i++) if (Atomics.load(mem, addr) !== seen) return;
    const { ctl } = this;
    const callbacksFrom = why.includes("lock") ? performance.now() + LOCK_PATIENCE_MS : 0;
    if (callbacksFrom === 0 && this.runReadyCallbacks()) return;
    this.beginWait(WAIT_WORD, addr, seen, why);
    Atomics.add(ctl, MEM_WAITERS, 1);
    let again = false;
    for (
      let ms = 0.05;
      Atomics.load(mem, addr) === seen && Atomics.load(ctl, STOP) === 0;
      ms = Math.min(ms * 2, MAX_SLEEP_MS)
    ) {
      if (performance.now() >= callbacksFrom && this.callbacksReady()) {
        again = true;
        break;
      }
      Atomics.wait(mem, addr, seen, ms);
    }
    Atomics.sub(ctl, MEM_WAITERS, 1);
    this.endWait();
    // The caller looks again by itself.
    if (again) this.runReadyCallbacks();
  }

  wakeWord(addr: number): void {
    if (Atomics.load(this.ctl, MEM_WAITERS) > 0) Atomics.notify(mem, addr);
  }

  /** Sleeps, at most `ms`, while the control word at `index`, which is CPU `cpu`'s, is `seen`. */
  private sleepOnState(cpu: number, index: number, seen: number, ms: number): void {
    const { ctl } = this;
    const waiters = cpuBase(cpu) + STATE_WAITERS;
    Atomics.add(ctl, waiters, 1);
    Atomics.wait(ctl, index, seen, ms);
    Atomics.sub(ctl, waiters, 1);
  }

  private wakeState(index: number): void {
    if (Atomics.load(this.ctl, this.base + STATE_WAITERS) > 0) Atomics.notify(this.ctl, index);
  }

  private beginWait(kind: number, on: number, seen: number, why: string): void {
    const { ctl, base } = this;
    ctl[base + WAIT_KIND] = kind;
    ctl[base + WAIT_ON] = on;
    ctl[base + WAIT_SEEN] = seen;
    setWhy(ctl, this.self, why);
    Atomics.store(
      ctl,
      base + CALLBACK_MAY_RUN,
      this.irqsOff === 0 && this.readers === 0 && !this.inHandler ? 1 : 0,
    );
    Atomics.store(ctl, base + READERS, this.readers);
    Atomics.add(ctl, base + EPISODE, 1);
    Atomics.store(ctl, base + PHASE, PHASE_WAITING);
  }

  private endWait(): void {
    const { ctl, base } = this;
    Atomics.store(ctl, base + PHASE, PHASE_RUNNING);
    Atomics.add(ctl, base + EPISODE, 1);
    if (Atomics.load(ctl, STOP) !== 0) throw new RunStopped();
  }

  /** A delay of about `ms` that ends early when the run is stopped. */
  sleep(ms: number): void {
    const until = performance.now() + ms;
    for (let left = ms; left > 0; left = until - performance.now()) {
      if (Atomics.load(this.ctl, STOP) !== 0) throw new RunStopped();
      Atomics.wait(this.ctl, NEVER, 0, Math.min(left, 20));
    }
  }

  // ---- Interrupts -----------------------------------------------------------------------------------------

  irqSave(): number {
    const flags = this.irqsOff;
    if (flags === 0) this.irqDisable();
    return flags;
  }

  private irqDisable(): void {
    const { ctl } = this;
    const word = (Atomics.load(ctl, EPOCH) << 1) | 1;
    while (Atomics.compareExchange(ctl, this.base + IRQ, 0, word) !== 0) this.waitForHandler();
    this.irqsOff = 1;
  }

  irqRestore(flags: number): void {
    if (flags !== 0) {
      if (this.irqsOff === 0) this.irqDisable();
      return;
    }
    if (this.irqsOff === 0) return;
    if (this.inHandler) throw new KernelBug("bad-unlock", "an interrupt handler turned interrupts on");
    this.irqsOff = 0;
    Atomics.store(this.ctl, this.base + IRQ, 0);
    this.wakeState(this.base + IRQ);
  }

  /** Somebody runs a handler for this CPU: it goes on, and turns interrupts off, when that has returned. */
  private waitForHandler(): void {
    const at = this.base + IRQ;
    for (let i = 0; i < this.spins; i++) if (Atomics.load(this.ctl, at) === 0) return;
    let seen = Atomics.load(this.ctl, at);
    if (seen === 0) return;
    this.beginWait(WAIT_HANDLER, (seen >> 1) - 1, seen, "waits for the end of an interrupt handler");
    while ((seen = Atomics.load(this.ctl, at)) !== 0 && Atomics.load(this.ctl, STOP) === 0)
      this.sleepOnState(this.self, at, seen, MAX_SLEEP_MS);
    this.endWait();
  }

  smpCallFunction(func: Handler | 0, info: number): void {
    if (this.inHandler) throw new KernelBug("deadlock", "smp_call_function() in an interrupt handler");
    let pending = 0;
    for (let t = 0; t < this.nr_cpus; t++) if (t !== this.self) pending |= 1 << t;
    let spins = this.spins;
    while (pending !== 0) {
      let first = -1;
      for (let t = 0; t < this.nr_cpus; t++) {
        if ((pending & (1 << t)) === 0) continue;
        if (this.interrupt(t, func, info)) pending &= ~(1 << t);
        else if (first < 0) first = t;
      }
      if (first >= 0 && spins-- <= 0) this.waitIrqsOn(first);
    }
  }

  /** Gives CPU `t` its interrupt if it has interrupts on. */
  private interrupt(t: number, func: Handler | 0, info: number): boolean {
    const { ctl } = this;
    const word = cpuBase(t) + IRQ;
    if (func === 0) return Atomics.load(ctl, word) === 0;
    if (Atomics.compareExchange(ctl, word, 0, (this.self + 1) << 1) !== 0) return false;
    const irqsOff = this.irqsOff;
    this.cpu = t;
    this.irqsOff = 1;
    this.inHandler = true;
    Atomics.store(ctl, this.base + ON_BEHALF, t + 1);
    this.rcuReadLock();
    func(info);
    this.rcuReadUnlock();
    // Not in a `finally`: after a bug the run stops, and the report wants to know on whose behalf this ran.
    this.cpu = this.self;
    this.irqsOff = irqsOff;
    this.inHandler = false;
    Atomics.store(ctl, this.base + ON_BEHALF, 0);
    Atomics.store(ctl, word, 0);
    if (Atomics.load(ctl, cpuBase(t) + STATE_WAITERS) > 0) Atomics.notify(ctl, word);
    return true;
  }

  private waitIrqsOn(t: number): void {
    const word = cpuBase(t) + IRQ;
    let seen = Atomics.load(this.ctl, word);
    if (seen === 0) return;
    this.beginWait(WAIT_IPI, t, seen, "waits for an interrupt to be taken");
    while ((seen = Atomics.load(this.ctl, word)) !== 0 && Atomics.load(this.ctl, STOP) === 0)
      this.sleepOnState(t, word, seen, MAX_SLEEP_MS);
    this.endWait();
  }

  // ---- RCU ------------------------------------------------------------------------------------------------

  rcuReadLock(): void {
    if (this.readers++ === 0) Atomics.store(this.ctl, this.base + RCU, Atomics.load(this.ctl, EPOCH));
  }

  rcuReadUnlock(): void {
    if (this.readers === 0) throw new KernelBug("bad-unlock", "rcu_read_unlock() without rcu_read_lock()");
    if (--this.readers > 0) return;
    Atomics.store(this.ctl, this.base + RCU, 0);
    this.wakeState(this.base + RCU);
  }

  synchronizeRcu(): void {
    if (this.readers > 0 || this.irqsOff !== 0)
      throw new KernelBug("deadlock", "synchronize_rcu() inside a read-side section");
    const epoch = Atomics.add(this.ctl, EPOCH, 1) + 1;
    for (let t = 0; t < this.nr_cpus; t++)
      this.waitQuiescent(t, epoch, "synchronize_rcu() waits for its readers");
  }

  private waitQuiescent(t: number, epoch: number, why: string): void {
    const { ctl } = this;
    for (let i = 0; i <= this.spins; i++) if (quiescentSince(ctl, t, epoch, this.irqOffIsReader)) return;
    for (;;) {
      this.runReadyCallbacks();
      if (quiescentSince(ctl, t, epoch, this.irqOffIsReader)) return;
      this.beginWait(WAIT_GRACE_PERIOD, t, epoch, why);
      while (
        !quiescentSince(ctl, t, epoch, this.irqOffIsReader) &&
        !this.callbacksReady() &&
        Atomics.load(ctl, STOP) === 0
      ) {
        const rcu = Atomics.load(ctl, cpuBase(t) + RCU);
        const irq = Atomics.load(ctl, cpuBase(t) + IRQ);
        if (rcu !== 0 && rcu < epoch) this.sleepOnState(t, cpuBase(t) + RCU, rcu, MAX_SLEEP_MS);
        else if ((irq & 1) !== 0) this.sleepOnState(t, cpuBase(t) + IRQ, irq, MAX_SLEEP_MS);
      }
      this.endWait();
    }
  }

  callRcu(head: number, func: Handler): void {
    const { ctl, base } = this;
    const epoch = Atomics.add(ctl, EPOCH, 1) + 1;
    this.callbacks.push({ head, func, epoch });
    if (this.callbacks.length === 1) Atomics.store(ctl, base + CALLBACK_EPOCH, epoch);
    Atomics.store(ctl, base + CALLBACKS, this.callbacks.length);
  }

  /** Whether the first callback's grace period has ended and this CPU is where callbacks may run. */
  private callbacksReady(): boolean {
    if (this.callbacks.length === 0 || this.irqsOff !== 0 || this.readers !== 0 || this.inHandler)
      return false;
    const epoch = this.callbacks[0].epoch;
    for (let t = 0; t < this.nr_cpus; t++)
      if (!quiescentSince(this.ctl, t, epoch, this.irqOffIsReader)) return false;
    return true;
  }

  /** Runs, in the order queued, the callbacks whose grace period has ended; true if there was one. */
  private runReadyCallbacks(): boolean {
    let any = false;
    while (this.callbacksReady()) {
      const cb = this.callbacks.shift();
      if (cb === undefined) break;
      const { ctl, base } = this;
      if (this.callbacks.length > 0) Atomics.store(ctl, base + CALLBACK_EPOCH, this.callbacks[0].epoch);
      Atomics.store(ctl, base + CALLBACKS, this.callbacks.length);
      any = true;
      cb.func(cb.head);
    }
    return any;
  }
}
