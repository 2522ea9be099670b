/**
 * One state of a program as a flat Int32Array, and what can be read off it: who has finished, who can take a
 * step, who holds up whom. What a step does is in machine.ts.
 *
 * Layout (words):
 *
 *     0            N            N+R          f(0)                          f(1)
 *     | memory     | liveness of | pc | registers | own words | buffer | pc | ...
 *     | of image   | R regions   |<------------- thread 0 ------------->|
 *
 * RCU and IPIs: thread w that waits for a grace period (or for its IPI to be taken) owns bit w. At the start
 * the bit is put on every thread that is then a reader (or has interrupts off); leaving the section takes it
 * off; the wait is over when nobody has it. Under TSO the leaving is an entry of the store buffer behind the
 * section's stores, so that a grace period also waits for these to become visible; an IPI waits for
 * everything that its target had in the buffer, as an interrupt drains it.
 *
 * Interrupts: an instance of a handler of level 1 (softirq) or 2 (hard interrupt) belongs to a CPU. While it
 * runs, what it interrupted stands still. It starts when that has interrupts on (softirqs: not disabled
 * either) and an empty buffer.
 */

import type { ThreadCode } from "../../lang/emit.ts";
import type { Program } from "../../lang/ir.ts";
import { SOFTIRQ_MASK } from "../../machine/preempt.ts";
import { memorySize, regionMap } from "./footprint.ts";
import type { HandlerGroup } from "./handlers.ts";
import { type Decoded, decode, K, RMW_ADD_UNLESS, RMW_CMPXCHG } from "./operations.ts";

export type Model = "sc" | "tso";

/** Offsets of a thread's own words behind its registers. */
export const IRQ = 0; // 1: interrupts off
export const RCU = 1; // preempt_count() of its own making, above it the nesting of rcu_read_lock()
export const WAIT_IRQ = 2; // bits of those who wait until this thread has interrupts on
export const WAIT_RCU = 3; // bits of those who wait until it is outside every read-side section
export const PHASE = 4; // 1: a synchronize_rcu or IPI of its own has begun; for a handler: 1 = queued
export const HELD = 5; // spinlocks taken and not released
export const ARG = 6; // argument of a queued handler
export const BUFFER = 7; // number of store-buffer entries; then (address, value, waiting bits) each
const THREAD_WORDS = 7;

export const ENTRY = 3;
/** rcu_read_lock() in the RCU word. */
export const RCU_NESTING = 1 << 24;

/** Thrown when a fixed capacity is too small; the explorer starts again with more, or reports "bounded". */
export class CapacityError extends Error {
  readonly what: "handlers" | "buffer" | "choices";
  constructor(what: CapacityError["what"], message: string) {
    super(message);
    this.what = what;
  }
}

/** How much room a state has for what a program asks for while it runs. */
export interface Capacity {
  /** Instances of each handler; of a handler of IPIs, as many for each target. */
  readonly instances: number;
  /** Entries of a store buffer. */
  readonly buffer: number;
}

/** What a state is laid out for. */
export interface Parts {
  readonly program: Program;
  readonly codes: readonly ThreadCode[];
  readonly groups: readonly HandlerGroup[];
  readonly end: ThreadCode | null;
}

export class State {
  readonly program: Program;
  readonly tso: boolean;
  readonly capacity: Capacity;
  /** The working state. */
  readonly s: Int32Array;
  /** Addresses from `origin` to below `n` are memory. */
  readonly n: number;
  readonly origin: number;
  readonly regionOf: Int32Array;
  /** Ordinary threads; the rest are handler instances. */
  readonly ordinary: number;
  readonly total: number;
  readonly threads: readonly Decoded[];
  readonly names: readonly string[];
  /** Index into `groups` per thread, -1 for ordinary ones. */
  readonly groupOf: readonly number[];
  readonly groups: readonly HandlerGroup[];
  /** 0: a thread of its own, 1: softirq, 2: hard interrupt. */
  readonly level: Uint8Array;
  /** The threads of levels above 0. */
  readonly interrupts: readonly number[];
  /** Index of the end-of-run thread (not counted in `total`, never interleaved), or -1. */
  readonly last: number;
  /** Start of each thread's words, and of its own words behind the registers; length of both together. */
  readonly frame: Int32Array;
  readonly own: Int32Array;
  readonly length: Int32Array;
  /** Where in the state the number of an instance's CPU is; -1 if nothing depends on it. */
  readonly cpuWord: Int32Array;

  constructor(parts: Parts, capacity: Capacity, model: Model) {
    const { program, codes, groups, end } = parts;
    this.program = program;
    this.capacity = capacity;
    this.tso = model === "tso";
    this.origin = Math.max(1, program.memory.origin ?? 0);
    this.n = memorySize(program);
    this.regionOf = regionMap(program);
    this.groups = groups;
    const decoded = codes.map((c) => decode(c));
    const names = program.threads.map((t) => t.name);
    const groupOf = codes.map(() => -1);
    groups.forEach((g, k) => {
      const d = decode(g.code);
      const room = roomFor(g, capacity, codes.length);
      for (let i = 0; i < room; i++) {
        decoded.push(d);
        names.push(room > 1 ? `${g.code.name}#${i}` : g.code.name);
        groupOf.push(k);
      }
    });
    this.ordinary = codes.length;
    this.total = decoded.length;
    this.last = -1;
    if (end !== null) {
      this.last = decoded.length;
      decoded.push(decode(end));
      names.push(end.name);
      groupOf.push(-1);
    }
    this.threads = decoded;
    this.names = names;
    this.groupOf = groupOf;
    this.level = Uint8Array.from(groupOf, (k) => (k < 0 ? 0 : groups[k].level));
    this.interrupts = groupOf.flatMap((_, t) => (this.level[t] > 0 ? [t] : []));
    this.frame = new Int32Array(decoded.length);
    this.own = new Int32Array(decoded.length);
    this.length = new Int32Array(decoded.length);
    this.cpuWord = new Int32Array(decoded.length).fill(-1);
    let at = this.n + program.memory.regions.length;
    const ownWords = THREAD_WORDS + (this.tso ? 1 + capacity.buffer * ENTRY : 0);
    for (let t = 0; t < decoded.length; t++) {
      this.frame[t] = at;
      this.own[t] = at + 1 + decoded[t].code.nregs;
      this.length[t] = 1 + decoded[t].code.nregs + ownWords;
      if (groupOf[t] >= 0 && groups[groupOf[t]].tellsCpu) this.cpuWord[t] = at + this.length[t]++;
      at += this.length[t];
    }
    this.s = new Int32Array(at);
  }

  finished(t: number): boolean {
    return this.s[this.frame[t]] === 0;
  }

  /** Whether thread `t` is an instance of a handler that has yet to start. */
  queued(t: number): boolean {
    return t >= this.ordinary && this.s[this.frame[t]] === 0 && this.s[this.own[t] + PHASE] === 1;
  }

  /** The CPU that `t` runs on; of a handler for which it makes no difference, 0. */
  cpuOf(t: number): number {
    if (t < this.ordinary) return t;
    return t === this.last ? this.threads[t].code.cpu : this.cpuWord[t] < 0 ? 0 : this.s[this.cpuWord[t]];
  }

  bufferLength(t: number): number {
    return this.tso ? this.s[this.own[t] + BUFFER] : 0;
  }

  /**
   * Address of entry `i` of the store buffer; 0 for the end of a read-side section, below 0 for a call_rcu().
   */
  bufferAddr(t: number, i: number): number {
    return this.s[this.own[t] + BUFFER + 1 + i * ENTRY];
  }

  bufferValue(t: number, i: number): number {
    return this.s[this.own[t] + BUFFER + 2 + i * ENTRY];
  }

  irqsOff(t: number): boolean {
    return this.s[this.own[t] + IRQ] !== 0;
  }

  /** In a section of rcu_read_lock(), or with preemption or softirqs disabled by hand. */
  inReader(t: number): boolean {
    return this.s[this.own[t] + RCU] !== 0;
  }

  /** Nesting of rcu_read_lock(). */
  rcuNesting(t: number): number {
    return this.s[this.own[t] + RCU] >>> 24;
  }

  syncBegun(t: number): boolean {
    return this.s[this.own[t] + PHASE] === 1;
  }

  /** Value of the operand in the frame that starts at `f`. */
  protected val(f: number, reg: number, imm: number): number {
    return reg < 0 ? imm : (this.s[f + 1 + reg] + imm) | 0;
  }

  /** Word address of the next operation of `t`, which must have one. */
  nextAddr(t: number): number {
    const d = this.threads[t];
    const f = this.frame[t];
    const pc = this.s[f];
    return this.val(f, d.addrReg[pc], d.addrImm[pc]);
  }

  /** First operand of the next operation of `t`. */
  nextA(t: number): number {
    const d = this.threads[t];
    const f = this.frame[t];
    const pc = this.s[f];
    return this.val(f, d.aReg[pc], d.aImm[pc]);
  }

  /** The region that starts at `addr`, or -1. */
  protected objectAt(addr: number): number {
    const r = addr > 0 && addr < this.n ? this.regionOf[addr] : -1;
    return r >= 0 && this.program.memory.regions[r].base === addr ? r : -1;
  }

  /** Whether the object at `addr` is a local variable: its lifetime orders nothing. */
  private onStack(addr: number): boolean {
    const r = addr > 0 && addr < this.n ? this.regionOf[addr] : -1;
    return r >= 0 && this.program.memory.regions[r].stack === true;
  }

  valid(addr: number): boolean {
    if (addr < this.origin || addr >= this.n) return false;
    const r = this.regionOf[addr];
    return r < 0 || this.s[this.n + r] !== 0;
  }

  /** What `t` reads at the address: its own latest store, else memory. */
  peek(t: number, addr: number): number {
    if (this.tso) {
      const b = this.own[t] + BUFFER;
      for (let i = this.s[b] - 1, e = b + 1 + i * ENTRY; i >= 0; i--, e -= ENTRY)
        if (this.s[e] === addr) return this.s[e + 1];
    }
    return this.s[addr];
  }

  /** Whether `t` can take its next step now. */
  enabled(t: number): boolean {
    const s = this.s;
    const f = this.frame[t];
    const pc = s[f];
    if (pc === 0) return this.queued(t) && !this.awaited(t) && (this.level[t] === 0 || this.admitted(t));
    if (this.interrupts.length > 0 && this.blocked(t)) return false;
    const d = this.threads[t];
    switch (d.kind[pc]) {
      case K.awaitEq:
        return !this.valid(this.nextAddr(t)) || this.peek(t, this.nextAddr(t)) === this.nextA(t);
      case K.awaitNe:
        return !this.valid(this.nextAddr(t)) || this.peek(t, this.nextAddr(t)) !== this.nextA(t);
      case K.lock:
        if (this.tso && s[this.own[t] + BUFFER] > 0) return false;
        return !this.valid(this.nextAddr(t)) || s[this.nextAddr(t)] === 0;
      case K.acquireEq:
      case K.acquireNe:
      case K.acquireGe: {
        if (this.tso && s[this.own[t] + BUFFER] > 0) return false;
        const addr = this.nextAddr(t);
        return !this.valid(addr) || admits(d.kind[pc], s[addr], this.nextA(t));
      }
      case K.gp:
      case K.ipi:
        if (s[this.own[t] + PHASE] === 1) return !this.awaited(t);
        return !(this.tso && s[this.own[t] + BUFFER] > 0);
      case K.rmw:
      case K.trylock:
        return !(this.tso && s[this.own[t] + BUFFER] > 0) || this.failsNow(t);
      case K.free:
      case K.revive:
        return !(this.tso && s[this.own[t] + BUFFER] > 0) || this.onStack(this.nextAddr(t));
      case K.fenceFull:
      case K.alloc:
      case K.queue:
      case K.spawn:
        return !(this.tso && s[this.own[t] + BUFFER] > 0);
      default:
        return true;
    }
  }

  /**
   * Whether the next step of `t`, an RMW or trylock, fails on the value that it would read now. Then it is a
   * read without ordering (linux-kernel.bell) and needs no empty store buffer: on x86, atomic_add_unless()
   * and spin_trylock() look before they lock the bus.
   */
  private failsNow(t: number): boolean {
    const d = this.threads[t];
    const f = this.frame[t];
    const pc = this.s[f];
    const addr = this.nextAddr(t);
    if (!this.valid(addr)) return false;
    const old = this.peek(t, addr);
    if (d.kind[pc] === K.trylock) return old !== 0;
    if (d.sub[pc] === RMW_CMPXCHG) return old !== this.nextA(t);
    return d.sub[pc] === RMW_ADD_UNLESS && old === this.val(f, d.bReg[pc], d.bImm[pc]);
  }

  // ---- Interrupts -----------------------------------------------------------------------------------------

  /** Whether the interrupt handler `t` has started and is not done: its stores are part of it. */
  private active(t: number): boolean {
    return this.s[this.frame[t]] !== 0 || this.bufferLength(t) > 0;
  }

  /** What runs on the CPU now: the interrupt of the highest level, else its thread. */
  current(cpu: number): number {
    let top = cpu;
    for (const u of this.interrupts)
      if (this.level[u] > this.level[top] && this.cpuOf(u) === cpu && this.active(u)) top = u;
    return top;
  }

  /** Whether something on the CPU of `t` runs in the middle of it. */
  blocked(t: number): boolean {
    if (t >= this.ordinary && this.level[t] === 0) return false;
    const top = this.current(this.cpuOf(t));
    return top !== t && this.level[top] > this.level[t];
  }

  /** Whether the queued interrupt `t` must wait for what its CPU does, whatever is in the store buffer. */
  shutOut(t: number): boolean {
    const cpu = this.cpuOf(t);
    const top = this.current(cpu);
    if (this.level[top] >= this.level[t] || this.s[this.own[top] + IRQ] !== 0) return true;
    return this.level[t] === 1 && (this.s[this.own[cpu] + RCU] & SOFTIRQ_MASK) !== 0;
  }

  private admitted(t: number): boolean {
    return !this.shutOut(t) && this.bufferLength(this.current(this.cpuOf(t))) === 0;
  }

  /**
   * Every thread, started or not, that runs on the CPU of `t` in turns with it, as a bit set; `t` alone if
   * none does.
   */
  sameCpu(t: number): number {
    if (this.interrupts.length === 0 || (t >= this.ordinary && this.level[t] === 0)) return 1 << t;
    const cpu = this.cpuOf(t);
    let set = 1 << cpu;
    for (const u of this.interrupts)
      if (this.cpuOf(u) === cpu && (this.active(u) || this.queued(u))) set |= 1 << u;
    return set;
  }

  // ---- Who waits for whom ---------------------------------------------------------------------------------

  /** Whether anybody still has the bit of `t`. */
  awaited(t: number): boolean {
    return this.holders(t) !== 0;
  }

  /** Bit set of the threads that `t` waits for in its grace period or IPI. */
  holders(t: number): number {
    const s = this.s;
    const bit = 1 << t;
    let out = 0;
    for (let u = 0; u < this.total; u++) {
      const o = this.own[u];
      if (((s[o + WAIT_IRQ] | s[o + WAIT_RCU]) & bit) !== 0) out |= 1 << u;
      else if (this.tso)
        for (let i = 0, e = o + BUFFER + 1; i < s[o + BUFFER]; i++, e += ENTRY)
          if ((s[e + 2] & bit) !== 0) out |= 1 << u;
    }
    return out;
  }

  /**
   * The same as processes: a CPU that is still in its section, or (bit `total` + CPU) a buffer that still has
   * its end.
   */
  holderProcesses(t: number): number {
    const s = this.s;
    const bit = 1 << t;
    let out = 0;
    for (let u = 0; u < this.total; u++) {
      const o = this.own[u];
      if (((s[o + WAIT_IRQ] | s[o + WAIT_RCU]) & bit) !== 0) out |= 1 << u;
      if (this.tso)
        for (let i = 0, e = o + BUFFER + 1; i < s[o + BUFFER]; i++, e += ENTRY)
          if ((s[e + 2] & bit) !== 0) out |= 1 << (this.total + u);
    }
    return out;
  }

  /**
   * The processes that can release the lock at `addr`: on the CPU that its word names, or a buffer with the
   * release.
   */
  lockHolders(addr: number): number {
    const word = this.s[addr];
    let out = 0;
    for (let u = 0; u < this.total; u++) {
      if (this.tso && this.buffers(u, addr)) return 1 << (this.total + u);
      if (this.cpuOf(u) === word - 1 && (!this.finished(u) || this.queued(u))) out |= 1 << u;
    }
    return out;
  }

  private buffers(u: number, addr: number): boolean {
    for (let i = this.bufferLength(u) - 1; i >= 0; i--) if (this.bufferAddr(u, i) === addr) return true;
    return false;
  }
}

/** Instances of a group of handlers; `cpus` is the number of ordinary threads. */
export function roomFor(g: HandlerGroup, capacity: Capacity, cpus: number): number {
  return capacity.instances * (g.isIpi ? Math.max(1, cpus - 1) : 1);
}

/** Whether an `acquire` of this kind may go on: `v` is the word, `a` what it is compared with. */
export function admits(kind: number, v: number, a: number): boolean {
  return kind === K.acquireEq ? v === a : kind === K.acquireNe ? v !== a : v >= a;
}
