/**
 * The threads of a program on weak memory: one working state, with what it says of each thread, and what
 * comes before the next operation of a thread by its operands, its fences and its past. Messages and views
 * are views.ts; what an operation is on the machine at hand is ordering.ts.
 */

import type { ErrorKind } from "../errors.ts";
import { type Decoded, K } from "../explore/operations.ts";
import { CapacityError } from "./capacity.ts";
import { Influence } from "./influence.ts";
import * as O from "./ordering.ts";
import type * as P from "./prepare.ts";
import { SavedViews } from "./savedviews.ts";
import * as V from "./sets.ts";
import type { Future } from "./tidyviews.ts";

// A thread's own words behind its registers.
export const IRQ = 0; // 1: interrupts off
export const RCU = 1; // rcu_read_lock nesting
export const WAIT_IRQ = 2; // bits of those who wait until this thread has interrupts on
export const WAIT_RCU = 3; // bits of those who wait until it is outside every read-side section
// of a grace period or IPI: 1 begun. Of a callback: 1 queued, 2 its grace period has begun. 3: a thread that
// somebody has started
export const PHASE = 4;
export const SPAWNED = 3;
export const HELD = 5; // spinlocks taken and not released
export const ARG = 6; // argument of a queued callback
export const CPU = 7; // of a callback: the CPU that queued it, if anything depends on it
export const STUCK = 8; // 1: it failed in a way that it cannot go on from
export const RAN = 9; // 1: a callback has ended here since the promises that are open were made
const OWN_WORDS = 10;

export interface StepError {
  readonly kind: ErrorKind;
  readonly message: string;
  /** Word address concerned; 0 if none. */
  readonly addr: number;
  /** Thread whose step it was. */
  readonly thread: number;
}

/** What the last step did, for counterexamples. */
export interface StepRecord {
  addr: number;
  location: number;
  /** What it read and what it wrote. */
  read: number | null;
  wrote: number | null;
  /** Origins of the write that it read, and of the first one behind that; -1 for none. */
  readFrom: number;
  overlooked: number;
  /** A write was promised, and nothing done. */
  promised: boolean;
}

export class Threads {
  readonly prepared: P.Prepared;

  readonly mapping: O.Mapping;

  readonly v: SavedViews;

  /** Frames: pc, registers, own words, of each thread. */
  readonly m: Int32Array;

  readonly frame: Int32Array;

  readonly own: Int32Array;

  readonly length: Int32Array;

  /** Ordinary threads; the rest are instances of callbacks. */
  readonly ordinary: number;

  readonly total: number;

  readonly bodies: readonly P.Body[];

  readonly names: readonly string[];

  /** Handler per thread, "" for ordinary ones. */
  readonly handlerOf: readonly string[];

  /** Per code, 1 for each operation that some execution has come past, by pc. */
  readonly ran = new Map<P.Body, Uint8Array>();

  error: StepError | null = null;

  /** The state is one that no execution has: a write that was read will never be made. */
  impossible = false;

  /**
   * By code and pc, what each overtaking write is promised with, and what it is known to write: values by
   * location.
   */
  readonly promises = new Map<P.Body, Map<number, Map<number, Set<number>>>>();

  readonly written = new Map<P.Body, Map<number, Map<number, Set<number>>>>();

  failed = 0;

  /** Number that the writes of the next step get as their origin. */
  origin = 0;

  readonly record: StepRecord = {
    addr: 0,
    location: -1,
    read: null,
    wrote: null,
    readFrom: -1,
    overlooked: -1,
    promised: false,
  };

  protected anyPromised = false;

  protected readonly d: Int32Array;

  protected readonly scratch: Int32Array;

  protected readonly decoded: readonly Decoded[];

  protected readonly ranOf: readonly Uint8Array[];

  protected readonly futures: (Future | null)[];

  protected readonly rows: Int32Array;

  protected readonly influence: Influence;

  protected readonly start: Uint32Array;

  protected readonly unionReads: Uint32Array;

  protected readonly unionWrites: Uint32Array;

  constructor(prepared: P.Prepared, mapping: O.Mapping, instances: number, words: number) {
    this.prepared = prepared;
    this.mapping = mapping;
    const bodies = [...prepared.threads];
    const names = prepared.program.threads.map((t) => t.name);
    const handlerOf = bodies.map(() => "");
    this.ordinary = bodies.length;
    for (const [name, body] of prepared.handlers)
      for (let i = 0; i < instances; i++) {
        bodies.push(body);
        names.push(instances > 1 ? `${body.code.name}#${i}` : body.code.name);
        handlerOf.push(name);
      }
    this.bodies = bodies;
    for (const b of bodies) if (!this.ran.has(b)) this.ran.set(b, new Uint8Array(b.code.ops.length));
    this.ranOf = bodies.map((b) => this.ran.get(b) as Uint8Array); // each was just set
    this.decoded = bodies.map((b) => b.decoded);
    this.names = names;
    this.handlerOf = handlerOf;
    this.total = bodies.length;
    if (this.total > 30) throw new CapacityError("handlers", `${this.total} threads are more than 30`);
    this.frame = new Int32Array(this.total);
    this.own = new Int32Array(this.total);
    this.length = new Int32Array(this.total);
    let at = 0;
    let slots = 0;
    let masks = 0;
    bodies.forEach(({ code }, t) => {
      this.frame[t] = at;
      this.own[t] = at + 1 + code.nregs;
      this.length[t] = 1 + code.nregs + OWN_WORDS;
      at += this.length[t];
      slots = Math.max(slots, code.slots);
      masks = Math.max(masks, code.slots * code.setWords);
    });
    this.m = new Int32Array(at);
    this.d = new Int32Array(1 + masks);
    this.scratch = new Int32Array(Math.max(1, slots * words));
    this.v = new SavedViews(
      words,
      prepared.locations,
      this.total,
      this.total > this.ordinary,
      slots,
      mapping.propagates,
    );
    this.v.marks = prepared.firstMark;
    this.futures = bodies.map(() => null);
    this.rows = new Int32Array(this.total);
    this.influence = new Influence(bodies, prepared.locWords);
    this.start = new Uint32Array(prepared.locWords);
    this.unionReads = new Uint32Array(prepared.locWords);
    this.unionWrites = new Uint32Array(prepared.locWords);
  }

  pc(t: number): number {
    return this.m[this.frame[t]];
  }

  /** Whether thread `t` is a callback that was queued, or a thread that was started, and does not run yet. */
  queued(t: number): boolean {
    return t >= this.ordinary && this.pc(t) === 0 && this.m[this.own[t] + PHASE] !== 0;
  }

  /** Whether the grace period of the queued callback `t` has yet to begin. */
  gracePeriodAhead(t: number): boolean {
    return this.m[this.own[t] + PHASE] === 1 && this.pc(t) === 0;
  }

  /** Whether thread `t` is one that was started, and that has done nothing yet. */
  spawned(t: number): boolean {
    return this.m[this.own[t] + PHASE] === SPAWNED && this.pc(t) === 0;
  }

  finished(t: number): boolean {
    return this.pc(t) === 0;
  }

  /** Behind a restored state: what is not part of it as such. */
  restored(): void {
    this.impossible = false;
    this.anyPromised = this.v.anyPromised;
    for (let t = 0; t < this.total; t++) this.locate(t);
  }

  /** Notes what is left of thread `t`. */
  protected locate(t: number): boolean {
    const pc = this.pc(t);
    const over = (pc === 0 && !this.queued(t)) || this.m[this.own[t] + STUCK] !== 0;
    this.futures[t] = over ? null : this.bodies[t];
    this.rows[t] = over ? -1 : pc * this.prepared.locWords;
    return !over;
  }

  irqsOff(t: number): boolean {
    return this.m[this.own[t] + IRQ] !== 0;
  }

  rcuNesting(t: number): number {
    return this.m[this.own[t] + RCU];
  }

  /** Whether thread `t` stands in the middle of a grace period or IPI of its own. */
  syncBegun(t: number): boolean {
    return this.pc(t) !== 0 && this.m[this.own[t] + PHASE] === 1;
  }

  /** Threads that `t` waits for in its grace period or IPI, as bits. */
  holders(t: number): number {
    const bit = 1 << t;
    let out = 0;
    for (let u = 0; u < this.total; u++)
      if (((this.m[this.own[u] + WAIT_IRQ] | this.m[this.own[u] + WAIT_RCU]) & bit) !== 0) out |= 1 << u;
    return out;
  }

  /** The CPU that `t` runs on; of a callback on which nothing depends, 0. */
  cpuOf(t: number): number {
    return t < this.ordinary ? t : this.m[this.own[t] + CPU];
  }

  /** Threads on the CPU that the word of the lock at `addr` names, as bits. */
  lockHolders(addr: number): number {
    const word = this.lastAt(addr);
    let out = 0;
    for (let u = 0; u < this.total; u++)
      if (this.cpuOf(u) === word - 1 && (!this.finished(u) || this.queued(u))) out |= 1 << u;
    return out;
  }

  kind(t: number): number {
    return this.decoded[t].kind[this.pc(t)];
  }

  protected val(f: number, reg: number, imm: number): number {
    return reg < 0 ? imm : (this.m[f + 1 + reg] + imm) | 0;
  }

  /** Word address of the next operation of `t`, which must have one. */
  nextAddr(t: number): number {
    const d = this.decoded[t];
    const f = this.frame[t];
    const pc = this.m[f];
    return this.val(f, d.addrReg[pc], d.addrImm[pc]);
  }

  nextA(t: number): number {
    const d = this.decoded[t];
    const f = this.frame[t];
    const pc = this.m[f];
    return this.val(f, d.aReg[pc], d.aImm[pc]);
  }

  protected nextB(t: number): number {
    const d = this.decoded[t];
    const f = this.frame[t];
    const pc = this.m[f];
    return this.val(f, d.bReg[pc], d.bImm[pc]);
  }

  isMemory(addr: number): boolean {
    return (
      addr >= Math.max(1, this.prepared.program.memory.origin ?? 0) &&
      addr < this.prepared.wordLocation.length
    );
  }

  /** Location of the word at `addr`, -1 if it never changes or is no memory. */
  locationOf(addr: number): number {
    return this.isMemory(addr) ? this.prepared.wordLocation[addr] : -1;
  }

  protected constantAt(addr: number): number {
    const { words, origin } = this.prepared.program.memory;
    return words[addr - (origin ?? 0)] ?? 0;
  }

  /**
   * What the word was last given, and whether any of its messages equals (or differs from) one of the values.
   */
  lastAt(addr: number): number {
    const l = this.locationOf(addr);
    return l < 0 ? this.constantAt(addr) : this.v.last(l);
  }

  anyValueAt(addr: number, equal: boolean, values: readonly number[]): boolean {
    const l = this.locationOf(addr);
    if (l < 0) return values.some((x) => (x === this.constantAt(addr)) === equal);
    const first = this.v.first(l);
    for (let m = first - 1, end = this.v.end(l, first); m < end; m++) {
      const value = this.v.valueAt(l, first, m);
      if (values.some((x) => (x === value) === equal)) return true;
    }
    return false;
  }

  protected addReg(to: number, t: number, reg: number): void {
    if (reg >= 0) this.v.add(to, this.v.slot(t, reg));
  }

  /** Into temporary 0: what comes before the read of the next operation of `t`. */
  protected readView(t: number, ordering: O.Ordering | null): number {
    const { v } = this;
    const d = this.decoded[t];
    const pc = this.pc(t);
    const to = v.temporary(0);
    v.copy(to, v.thread(t, V.R_NEW));
    if (v.propagates && (ordering === null || (ordering.read & O.NO_RETURN) === 0))
      v.add(to, v.thread(t, V.R_RETURNING));
    if (v.propagates && d.kind[pc] === K.rmw) v.add(to, v.thread(t, V.BEFORE_ATOMIC));
    this.addReg(to, t, d.addrReg[pc]);
    if (ordering === null) return to;
    if ((ordering.read & O.AFTER_RELEASES) !== 0) v.add(to, v.thread(t, V.RELEASED));
    if (ordering.before === O.FULL) this.addAll(to, t);
    return to;
  }

  /**
   * Into `to`: what comes before the write of the next operation of `t`, but for what is particular to its
   * place.
   */
  protected writeView(t: number, ordering: O.Ordering, to: number): number {
    const { v, mapping } = this;
    const d = this.decoded[t];
    const pc = this.pc(t);
    v.copy(to, v.thread(t, V.W_NEW));
    this.addReg(to, t, d.addrReg[pc]);
    this.addReg(to, t, d.aReg[pc]);
    this.addReg(to, t, d.bReg[pc]);
    if (mapping.addressThenWrites) v.add(to, v.thread(t, V.ADDRESSES));
    for (const s of this.bodies[t].code.ops[pc].control) v.add(to, v.slot(t, s));
    if (ordering.before === O.FULL) this.addAll(to, t);
    if ((ordering.before & O.RW) !== 0) v.add(to, v.thread(t, V.R_FENCED));
    if ((ordering.before & O.WW) !== 0) v.add(to, v.thread(t, V.W_OLD));
    if ((ordering.write & O.RELEASE) !== 0) {
      v.add(to, v.thread(t, V.R_OLD));
      v.add(to, v.thread(t, V.W_OLD));
    }
    return to;
  }

  /** What the write under way, which follows its own read of `m` (-2: none), takes along from before. */
  protected passesOn(ordering: O.Ordering, m: number): void {
    this.v.releases = (ordering.write & O.RELEASE) !== 0;
    this.v.updates = m;
  }

  protected orderingOf(t: number): O.Ordering {
    const i = this.decoded[t].instrs[this.pc(t)];
    const { mapping } = this;
    switch (i.op) {
      case "load":
      case "await":
        return mapping.load[i.order];
      case "store":
        return mapping.store[i.order];
      case "rmw":
        return mapping.rmw[i.order];
      case "spin_lock":
      case "spin_trylock":
        return mapping.lock;
      case "spin_unlock":
        return mapping.unlock;
      default:
        return mapping.load.once;
    }
  }

  /** Whether the object that `addr` lies in is surely there for the next operation of `t`. */
  protected live(t: number, addr: number): boolean {
    const r = this.prepared.regionOf[addr] ?? -1;
    const l = r < 0 ? -1 : this.prepared.regionLocation[r];
    if (l < 0) return r < 0 || this.prepared.program.memory.regions[r].live;
    const { v } = this;
    const first = v.first(l);
    const end = v.end(l, first);
    if (first === end) return v.value[l] !== 0;
    const oldest = v.oldest(t, first, end, this.readView(t, null));
    for (let m = oldest; m < end; m++) if (v.valueAt(l, first, m) === 0) return false;
    return true;
  }

  /** Adds all that thread `t` has done or must come after to `to`. */
  protected addAll(to: number, t: number): void {
    const { v } = this;
    for (const k of [V.R_NEW, V.W_NEW, V.R_OLD, V.W_OLD]) v.add(to, v.thread(t, k));
    if (v.propagates) for (let c = 0; c < v.columns; c++) v.add(to, v.passedOn(t, c));
  }
}
