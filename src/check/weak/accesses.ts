/**
 * Accesses to memory: loads, stores, atomics, locks and fences, each with one of the outcomes that choices.ts
 * counted; and what is an error about them.
 */

import { NULL_GUARD } from "../../machine/image.ts";
import type { ErrorKind } from "../errors.ts";
import { K, RMW_CMPXCHG } from "../explore/operations.ts";
import { Choices, FULFILS } from "./choices.ts";
import * as O from "./ordering.ts";
import * as V from "./sets.ts";
import { HELD, STUCK, type StepError } from "./threads.ts";

export class Accesses extends Choices {
  /** Errors met while some promise was not kept; 1 + index of the first one of this state in `failed`. */
  protected readonly failures: StepError[] = [];

  /**
   * An error: false, and it is in `error`; unless something that was read is not written yet, then it is kept
   * for when it is, and the step goes on.
   */
  protected fail(t: number, kind: ErrorKind, message: string, addr = 0): boolean {
    const error: StepError = { kind, message, addr, thread: t };
    if (!this.anyPromised) {
      this.error = error;
      return false;
    }
    if (this.failed === 0) {
      const known = this.failures.findIndex(
        (f) => f.kind === kind && f.message === message && f.addr === addr && f.thread === t,
      );
      this.failed = known >= 0 ? known + 1 : this.failures.push(error);
    }
    return true;
  }

  /** An error behind which thread `t` cannot go on. */
  protected failForGood(t: number, kind: ErrorKind, message: string, addr = 0): boolean {
    if (!this.fail(t, kind, message, addr)) return false;
    const f = this.frame[t];
    this.m.fill(0, f + 1, this.own[t]);
    this.m[this.own[t] + STUCK] = 1;
    this.v.finish(t, t >= this.ordinary);
    return true;
  }

  /** Access to what is no memory: the thread is stuck, if it is not an error at once. */
  protected badAddress(t: number, addr: number): boolean {
    const null_ = addr >= 0 && addr < NULL_GUARD;
    const message = null_
      ? `NULL is dereferenced${addr > 0 ? ` (offset ${addr})` : ""}`
      : `address ${addr} lies outside memory`;
    return this.failForGood(t, "bad-address", message, null_ ? addr : 0);
  }

  /**
   * Access to an object that may not be there. If it is not an error at once, it has no effect, and gives
   * what is there.
   */
  protected useAfterFree(t: number, addr: number): boolean {
    const r = this.prepared.regionOf[addr];
    const { name, outside } = this.prepared.program.memory.regions[r];
    if (outside === true)
      return this.failForGood(t, "out-of-bounds", `an access goes past the end of ${name}`, addr);
    const l = this.prepared.regionLocation[r];
    const what =
      l >= 0 && this.v.last(l) !== 0
        ? "is touched before it is sure to be there"
        : "is touched after it was freed";
    return this.fail(t, "use-after-free", `${name} ${what}`, addr);
  }

  /** A load; what depends on it comes after temporary 2. */
  protected load(t: number, addr: number, ordering: O.Ordering, choice: number): number {
    const { v } = this;
    const view = this.readView(t, ordering);
    const post = v.temporary(2);
    const l = this.locationOf(addr);
    let value: number;
    if (l < 0) {
      v.copy(post, view);
      value = this.constantAt(addr);
    } else {
      const first = v.first(l);
      value = this.readMessage(t, l, first, v.end(l, first), this.options[choice], view, post, ordering.read);
    }
    this.markAccess(t, addr, post);
    this.record.addr = addr;
    this.record.read = value;
    this.hasRead(t, ordering, post);
    this.addAddress(t);
    this.fence(t, ordering.after);
    return value;
  }

  /** Outcome `choice`: a write of `t` is there before it is made. */
  protected promise(t: number, choice: number): void {
    const { v, record } = this;
    const l = this.promisedLoc[choice];
    const first = v.first(l);
    v.originOfMarks = this.origin;
    v.promise(t, l, first, v.end(l, first), this.options[choice], this.promisedValue[choice]);
    this.anyPromised = true;
    record.promised = true;
    record.location = l;
    record.addr = this.prepared.addressOf[l];
    record.wrote = this.promisedValue[choice];
  }

  /** What operation `pc` of the code of `t` wrote, if it may be promised. */
  protected noteWritten(t: number, l: number, value: number): void {
    const body = this.bodies[t];
    const pc = this.pc(t);
    if (body.overtakes[pc] === 0) return;
    let byPc = this.written.get(body);
    if (byPc === undefined) this.written.set(body, (byPc = new Map()));
    let byLoc = byPc.get(pc);
    if (byLoc === undefined) byPc.set(pc, (byLoc = new Map()));
    let values = byLoc.get(l);
    if (values === undefined) byLoc.set(l, (values = new Set()));
    values.add(value);
  }

  /**
   * Leaves a mark at the object, if the freeing of it may overtake the read. Whatever depends on the read
   * comes after it.
   */
  protected markAccess(t: number, addr: number, post: number): void {
    const { regionOf, regionLocation, firstMark, firstRegion, locWords, freedEarly } = this.prepared;
    const r = regionOf[addr] ?? -1;
    const l = r < 0 ? -1 : regionLocation[r];
    if (l < 0 || !(this.isBuffered(t) || freedEarly[r] === 1)) return;
    const mark = l - firstRegion + firstMark;
    let anybody = false;
    for (let u = 0; u < this.total; u++) {
      const f = u === t ? null : this.futures[u];
      if (f !== null && (f.writes[this.rows[u] + (mark >> 5)] & (1 << (mark & 31))) !== 0) anybody = true;
    }
    if (!anybody || locWords === 0) return;
    this.v.originOfMarks = this.origin;
    const at = this.v.mark(t, mark);
    this.v.addOne(post, this.v.node(at, 0));
  }

  protected readMessage(
    t: number,
    l: number,
    first: number,
    end: number,
    m: number,
    view: number,
    post: number,
    flags: number,
  ): number {
    const { v, record } = this;
    record.location = l;
    record.readFrom = m < first ? -1 : v.origin[m];
    record.overlooked = m + 1 < end && m + 1 >= first ? v.origin[m + 1] : -1;
    const value = v.valueAt(l, first, m);
    const atomic = m >= first && (v.flags[m] & V.ATOMIC) !== 0;
    const forwarded = this.mapping.exclusiveForwards;
    const forwards =
      !atomic || forwarded === "always" || (forwarded === "unless-acquire" && (flags & O.ACQUIRE) === 0);
    v.read(t, l, first, end, m, view, post, forwards);
    return value;
  }

  /** What a read that comes after `post` (itself included) means for the rest of its thread. */
  protected hasRead(t: number, ordering: O.Ordering, post: number): void {
    const { v } = this;
    if ((ordering.read & O.ACQUIRE) !== 0) {
      v.add(v.thread(t, V.R_NEW), post);
      v.add(v.thread(t, V.W_NEW), post);
    }
    v.add(v.thread(t, V.R_OLD), post);
    if ((ordering.read & O.NO_RETURN) === 0) v.add(v.thread(t, V.R_FENCED), post);
  }

  protected addAddress(t: number): void {
    if (this.mapping.addressThenWrites)
      this.addReg(this.v.thread(t, V.ADDRESSES), t, this.decoded[t].addrReg[this.pc(t)]);
  }

  protected store(
    t: number,
    addr: number,
    ordering: O.Ordering,
    value: number,
    choice: number,
    flags: number,
  ): void {
    const { v } = this;
    const m = this.options[choice];
    const fulfils = this.how[choice] === FULFILS;
    this.record.addr = addr;
    this.record.wrote = value;
    const l = this.locationOf(addr);
    this.fence(t, ordering.before);
    const view = this.writeView(t, ordering, v.temporary(1));
    const forward = this.forwardView(t);
    const first = v.first(l);
    const end = v.end(l, first);
    const before = v.temporary(2);
    this.record.location = l;
    this.noteWritten(t, l, value);
    this.passesOn(ordering, -2);
    let at = m;
    if (fulfils) {
      if (!v.canFulfil(t, l, first, end, m, view, before)) throw new Error("a store has lost its place");
      v.fulfil(t, l, first, end, m, flags, before, forward, this.origin);
    } else {
      if (!v.canWrite(t, l, first, end, m, view, before)) throw new Error("a store has lost its place");
      this.record.overlooked = m + 1 < end && m + 1 >= first ? v.origin[m + 1] : -1;
      at = v.write(t, l, first, end, m, value, flags, before, forward, this.origin);
    }
    this.hasWritten(t, ordering, at);
    if (v.propagates && this.kind(t) === K.unlock) {
      const all = v.temporary(3);
      v.empty(all);
      this.addAll(all, t);
      v.unlocked(t, at, all);
    }
    this.addAddress(t);
    this.fence(t, ordering.after);
  }

  /** Into temporary 3: what a later read of its own by the thread has to wait for. */
  protected forwardView(t: number): number {
    const { v } = this;
    const d = this.decoded[t];
    const pc = this.pc(t);
    const to = v.temporary(3);
    v.empty(to);
    this.addReg(to, t, d.addrReg[pc]);
    this.addReg(to, t, d.aReg[pc]);
    this.addReg(to, t, d.bReg[pc]);
    return to;
  }

  protected hasWritten(t: number, ordering: O.Ordering, at: number): void {
    const { v } = this;
    v.addWritten(v.thread(t, V.W_OLD), at, t);
    if ((ordering.write & O.RELEASE_SEEN) !== 0) v.addWritten(v.thread(t, V.RELEASED), at, t);
    if ((ordering.write & O.THEN_ALL) !== 0) {
      v.addWritten(v.thread(t, V.R_NEW), at, t);
      v.addWritten(v.thread(t, V.W_NEW), at, t);
    }
  }

  /**
   * An RMW, lock or trylock that reads message `m`. Gives what it returns; temporary 2 is what that comes
   * after.
   */
  protected update(t: number, addr: number, kind: number, sub: number, choice: number): number {
    const { v, record } = this;
    const l = this.locationOf(addr);
    // A word that nobody writes, so this does not either: it fails.
    if (l < 0) {
      this.beforeAtomic(t, kind);
      const value = this.load(t, addr, this.mapping.load.once, choice);
      this.afterAtomic(t, kind);
      return value;
    }
    const first = v.first(l);
    const end = v.end(l, first);
    const m = this.options[choice];
    const fulfils = this.how[choice] === FULFILS;
    const old = v.valueAt(l, first, m);
    const post = v.temporary(2);
    record.addr = addr;
    record.read = old;
    this.beforeAtomic(t, kind);
    if (kind !== K.lock && this.fails(t, kind, sub, old)) {
      const view = this.readView(t, null);
      this.readMessage(t, l, first, end, m, view, post, 0);
      this.markAccess(t, addr, post);
      this.hasRead(t, this.mapping.load.once, post);
      this.afterAtomic(t, kind);
      this.addAddress(t);
      return kind === K.trylock ? 0 : old;
    }
    const ordering = this.orderingOf(t);
    this.fence(t, ordering.before);
    const forward = this.forwardView(t);
    this.readMessage(t, l, first, end, m, this.readView(t, ordering), post, ordering.read);
    const view = this.writeView(t, ordering, v.temporary(1));
    v.add(view, post);
    this.hasRead(t, ordering, post);
    const value = this.updated(t, kind, old);
    if (kind !== K.rmw) this.m[this.own[t] + HELD]++;
    record.wrote = value;
    this.noteWritten(t, l, value);
    if (
      this.mapping.exclusiveForwards === "always" &&
      kind === K.rmw &&
      sub !== RMW_CMPXCHG &&
      !this.swaps(t)
    )
      v.add(forward, post);
    this.passesOn(ordering, m);
    // `post` is needed behind the write, whose place is found in another temporary.
    const before = v.temporary(0);
    const flags = V.EXCLUSIVE | V.ATOMIC;
    let at = Math.max(m + 1, first);
    if (fulfils) {
      if (!v.canFulfil(t, l, first, end, at, view, before)) throw new Error("an atomic has lost its place");
      v.fulfil(t, l, first, end, at, flags, before, forward, this.origin);
    } else {
      if (!v.canWrite(t, l, first, end, m, view, before)) throw new Error("an atomic has lost its place");
      at = v.write(t, l, first, end, m, value, flags, before, forward, this.origin);
    }
    this.hasWritten(t, ordering, at);
    this.afterAtomic(t, kind);
    if (v.propagates && kind !== K.rmw) {
      v.locked(t, l, first, m);
      this.addAll(v.thread(t, V.AFTER_LOCK), t);
    }
    this.addAddress(t);
    this.fence(t, ordering.after);
    return kind === K.rmw ? old : 1;
  }

  // Fences around atomics, failed ones too: smp_mb__before_atomic() acts here, smp_mb__after_atomic() on what
  // is kept here.
  private beforeAtomic(t: number, kind: number): void {
    const { v } = this;
    if (!v.propagates || kind !== K.rmw) return;
    this.putBefore(t, v.thread(t, V.BEFORE_ATOMIC));
    v.empty(v.thread(t, V.BEFORE_ATOMIC));
  }

  private afterAtomic(t: number, kind: number): void {
    if (this.v.propagates && kind === K.rmw) this.addAll(this.v.thread(t, V.AFTER_ATOMIC), t);
  }

  private swaps(t: number): boolean {
    const i = this.decoded[t].instrs[this.pc(t)];
    return i.op === "rmw" && i.fn === "xchg";
  }

  protected fence(t: number, kinds: number): void {
    if (kinds === 0) return;
    if (this.v.propagates) {
      this.propagatingFence(t, kinds);
      return;
    }
    const { v } = this;
    const reads = v.thread(t, kinds === O.FULL ? V.R_OLD : V.R_FENCED);
    const writes = v.thread(t, V.W_OLD);
    const r = v.thread(t, V.R_NEW);
    const w = v.thread(t, V.W_NEW);
    if ((kinds & O.RR) !== 0) v.add(r, reads);
    if ((kinds & O.WR) !== 0) v.add(r, writes);
    if ((kinds & O.RW) !== 0) v.add(w, reads);
    if ((kinds & O.WW) !== 0) v.add(w, writes);
  }

  /** The same where a write reaches other threads one by one: only a full fence waits for all of them. */
  private propagatingFence(t: number, kinds: number): void {
    const { v } = this;
    switch (kinds) {
      case O.FULL: {
        const all = v.temporary(5);
        v.empty(all);
        this.addAll(all, t);
        this.putBefore(t, all);
        break;
      }
      case O.RR:
        v.add(v.thread(t, V.R_RETURNING), v.thread(t, V.R_FENCED));
        break;
      case O.WW:
        v.add(v.thread(t, V.W_NEW), v.thread(t, V.W_OLD));
        for (let c = 0; c < v.columns; c++) v.add(v.fencedWrites(t, c), v.ownWrites(t, c));
        break;
      case O.BEFORE_ATOMIC:
        this.addAll(v.thread(t, V.BEFORE_ATOMIC), t);
        break;
      case O.AFTER_ATOMIC:
        this.putBefore(t, v.thread(t, V.AFTER_ATOMIC));
        break;
      case O.AFTER_LOCK:
        this.putBefore(t, v.thread(t, V.AFTER_LOCK));
        break;
      case O.AFTER_HANDOVER:
        this.putBefore(t, v.thread(t, V.HANDED_OVER));
        break;
      default:
        throw new Error(`a fence that is not one of the model's: ${kinds}`);
    }
  }

  /** Puts `set` before all that thread `t` does from here on. */
  private putBefore(t: number, set: number): void {
    const { v } = this;
    v.add(v.thread(t, V.R_NEW), set);
    v.add(v.thread(t, V.W_NEW), set);
  }
}
