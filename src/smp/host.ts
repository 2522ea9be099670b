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
import { addToCount, contextWord, type Handler, type Host, type QueueContext } from "../machine/host.ts";
import { mem } from "../machine/memory.ts";
import { HARDIRQ_OFFSET, SOFTIRQ_MASK, SOFTIRQ_OFFSET } from "../machine/preempt.ts";
import {
  CALLBACK_EPOCH,
  CALLBACK_MAY_RUN,
  CALLBACKS,
  COUNT,
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
  locksHeld = 0;
  /** Nesting of rcu_read_lock(), without the reader that a preempt_count() makes. */
  private rcuDepth = 0;
  private count = 0;
  private readonly callbacks: { readonly head: number; readonly func: Handler; readonly epoch: number }[] =
    [];
  private readonly work: {
    readonly context: QueueContext;
    readonly cpu: number;
    readonly func: Handler;
    readonly arg: number;
  }[] = [];

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
    if (this.rcuDepth !== 0) throw new KernelBug("bad-unlock", "the thread ended inside rcu_read_lock()");
    if (this.count !== 0) throw new KernelBug("bad-unlock", "the thread ended with preemption disabled");
    if (this.locksHeld !== 0) throw new KernelBug("bad-unlock", "the thread ended while it held a lock");
    for (;;) {
      this.runReadyCallbacks();
      if (this.work.length > 0) {
        // An interrupt that its CPU cannot take yet.
        this.waitIrqsOn(this.work[0].cpu);
        continue;
      }
      if (this.callbacks.length === 0) return;
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

  smpCallFunction(mask: number, func: Handler | 0, info: number): void {
    if (this.inHandler) throw new KernelBug("deadlock", "smp_call_function() in an interrupt handler");
    let pending = 0;
    for (let t = 0; t < this.nr_cpus; t++)
      if (mask === -1 ? t !== this.self : (mask & (1 << t)) !== 0) pending |= 1 << t;
    let spins = this.spins;
    while (pending !== 0) {
      let first = -1;
      for (let t = 0; t < this.nr_cpus; t++) {
        if ((pending & (1 << t)) === 0) continue;
        if (this.interrupt(t, "hardirq", func, info)) pending &= ~(1 << t);
        else if (first < 0) first = t;
      }
      if (first >= 0 && spins-- <= 0) this.waitIrqsOn(first);
    }
  }

  /** Gives CPU `t` its interrupt if it has interrupts on. */
  private interrupt(t: number, as: "softirq" | "hardirq", func: Handler | 0, info: number): boolean {
    const { ctl } = this;
    const word = cpuBase(t) + IRQ;
    if (func === 0) return Atomics.load(ctl, word) === 0;
    if (Atomics.compareExchange(ctl, word, 0, (this.self + 1) << 1) !== 0) return false;
    // Who disables softirqs holds this word while it does, so the count stands.
    if (as === "softirq" && (Atomics.load(ctl, cpuBase(t) + COUNT) & SOFTIRQ_MASK) !== 0) {
      this.giveBack(t, word);
      return false;
    }
    const { irqsOff, rcuDepth, count, locksHeld } = this;
    this.cpu = t;
    this.irqsOff = 1;
    this.inHandler = true;
    this.rcuDepth = 0;
    this.count = as === "softirq" ? SOFTIRQ_OFFSET : HARDIRQ_OFFSET;
    this.locksHeld = 0;
    Atomics.store(ctl, this.base + ON_BEHALF, t + 1);
    this.enterReader();
    func(info);
    this.leaveReader();
    if (this.rcuDepth !== 0 || this.locksHeld !== 0)
      throw new KernelBug("bad-unlock", "an interrupt handler leaves a section or lock behind");
    // Not in a `finally`: after a bug the run stops, and the report wants to know on whose behalf this ran.
    this.cpu = this.self;
    this.irqsOff = irqsOff;
    this.inHandler = false;
    this.rcuDepth = rcuDepth;
    this.count = count;
    this.locksHeld = locksHeld;
    Atomics.store(ctl, this.base + ON_BEHALF, 0);
    this.giveBack(t, word);
    return true;
  }

  private giveBack(t: number, word: number): void {
    const { ctl } = this;
    Atomics.store(ctl, word, 0);
    if (Atomics.load(ctl, cpuBase(t) + STATE_WAITERS) > 0) Atomics.notify(ctl, word);
  }

  context(): number {
    const softirq = this.inHandler && (this.count & SOFTIRQ_OFFSET) !== 0;
    return contextWord(this.count, this.locksHeld, softirq ? 0 : this.irqsOff, this.rcuDepth);
  }

  preemptCountAdd(n: number): void {
    const before = this.count;
    const next = addToCount(before, n);
    if (this.inHandler) {
      this.count = next;
      return;
    }
    const flags = this.irqSave();
    this.count = next;
    Atomics.store(this.ctl, this.base + COUNT, next);
    this.irqRestore(flags);
    if (before === 0 && next !== 0) this.enterReader();
    if (before !== 0 && next === 0) this.leaveReader();
  }

  queue(context: QueueContext, cpu: number, func: Handler, arg: number): void {
    this.work.push({ context, cpu: cpu < 0 ? this.cpu : cpu, func, arg });
    this.showPending();
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
    this.rcuDepth++;
    this.enterReader();
  }

  rcuReadUnlock(): void {
    if (this.rcuDepth === 0) throw new KernelBug("bad-unlock", "rcu_read_unlock() without rcu_read_lock()");
    this.rcuDepth--;
    this.leaveReader();
  }

  private enterReader(): void {
    if (this.readers++ === 0) Atomics.store(this.ctl, this.base + RCU, Atomics.load(this.ctl, EPOCH));
  }

  private leaveReader(): void {
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
    const epoch = Atomics.add(this.ctl, EPOCH, 1) + 1;
    this.callbacks.push({ head, func, epoch });
    this.showPending();
  }

  /**
   * For the watchdog: how many, and what the first of them waits for. Queued work waits for no grace period.
   */
  private showPending(): void {
    const { ctl, base, callbacks, work } = this;
    const epoch = work.length > 0 || callbacks.length === 0 ? 0 : callbacks[0].epoch;
    Atomics.store(ctl, base + CALLBACK_EPOCH, epoch);
    Atomics.store(ctl, base + CALLBACKS, callbacks.length + work.length);
  }

  /** Whether something queued can run now: index into `work`, or -1. */
  private readyWork(): number {
    const here = this.irqsOff === 0 && this.readers === 0 && !this.inHandler;
    if (!here) return -1;
    return this.work.findIndex(
      (w) => w.context === "thread" || Atomics.load(this.ctl, cpuBase(w.cpu) + IRQ) === 0,
    );
  }

  /** Whether the first callback's grace period has ended and this CPU is where callbacks may run. */
  private callbacksReady(): boolean {
    if (this.readyWork() >= 0) return true;
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
      const ready = this.readyWork();
      if (ready >= 0) {
        const w = this.work[ready];
        this.work.splice(ready, 1);
        if (w.context !== "thread" && !this.interrupt(w.cpu, w.context, w.func, w.arg)) {
          this.work.push(w); // softirqs are disabled there: others first
          break;
        }
        this.showPending();
        any = true;
        if (w.context === "thread") this.runThread(w.cpu, w.func, w.arg);
        continue;
      }
      const cb = this.callbacks.shift();
      if (cb === undefined) break;
      this.showPending();
      any = true;
      cb.func(cb.head);
    }
    return any;
  }

  private runThread(cpu: number, func: Handler, arg: number): void {
    this.cpu = cpu;
    func(arg);
    this.cpu = this.self;
  }
}
