/**
 * What the next step of a thread may come to: its *choices*. A load may read any message that its views
 * allow; a store may go anywhere in its location's coherence order that they allow; an atomic's write goes
 * right behind what it read. In front of a read that a later write of its thread may overtake (buffering.ts),
 * the thread may also promise such a write.
 */

import { evalRmw } from "../../lang/ir.ts";
import { K, RMW_ADD_UNLESS, RMW_CMPXCHG } from "../explore/operations.ts";
import type * as O from "./ordering.ts";
import * as V from "./sets.ts";
import { IRQ, RCU, STUCK, Threads } from "./threads.ts";

/** How an outcome of a step comes about. */
const ORDINARY = 0;
/** A write is promised; the operation itself is yet to be executed. */
export const PROMISES = 1;
/** It makes a write that was promised. */
export const FULFILS = 2;

const bitCount = (x: number): number => {
  let n = 0;
  for (let v = x; v !== 0; v &= v - 1) n++;
  return n;
};

export class Choices extends Threads {
  /**
   * Messages of the choices that `choices` found, how each comes about, and what is promised: location and
   * value.
   */
  protected options = new Int32Array(64);

  protected how = new Uint8Array(64);

  protected promisedLoc = new Int32Array(64);

  protected promisedValue = new Int32Array(64);

  protected option(n: number, m: number, how = ORDINARY, l = 0, value = 0): void {
    if (n === this.options.length) {
      const grow = <A extends Int32Array | Uint8Array>(a: A, b: A): A => {
        b.set(a);
        return b;
      };
      this.options = grow(this.options, new Int32Array(n * 2));
      this.how = grow(this.how, new Uint8Array(n * 2));
      this.promisedLoc = grow(this.promisedLoc, new Int32Array(n * 2));
      this.promisedValue = grow(this.promisedValue, new Int32Array(n * 2));
    }
    this.options[n] = m;
    this.how[n] = how;
    this.promisedLoc[n] = l;
    this.promisedValue[n] = value;
  }

  protected isBuffered(t: number): boolean {
    return this.bodies[t].buffered[this.pc(t)] !== 0;
  }

  /** Adds the promises that `t` may make in front of its next operation to `n` outcomes. */
  protected promiseChoices(t: number, before: number): number {
    const { v } = this;
    const body = this.bodies[t];
    const pc = this.pc(t);
    let n = before;
    const all = this.promises.get(body);
    if (all === undefined || (this.anyPromised && v.unreadPromise() >= 0)) return n;
    const target = this.locationOf(this.nextAddr(t));
    if (target < 0) return n;
    const none = v.temporary(3);
    v.empty(none);
    for (const at of body.overtakers[pc]) {
      const kind = this.decoded[t].kind[at];
      const locks = kind === K.lock || kind === K.trylock;
      for (const [l, values] of all.get(at) ?? []) {
        if (!this.isAwaitedAt(t, l) || !this.influence.reachesFrom(t, target, l, this.rows)) continue;
        const first = v.first(l);
        const end = v.end(l, first);
        // Whoever let go of the lock before did so before it was read that this thread has it.
        if (locks) {
          if (v.last(l) === 0 && values.has(1 + this.cpuOf(t)))
            this.option(n++, end - 1, PROMISES, l, 1 + this.cpuOf(t));
          continue;
        }
        for (let m = end - 1, oldest = v.oldest(t, first, end, none); m >= oldest; m--)
          if (v.roomBehind(m, end)) for (const value of values) this.option(n++, m, PROMISES, l, value);
      }
    }
    return n;
  }

  /** Whether another thread than `t` stands right in front of a read of location `l`. */
  protected isAwaitedAt(t: number, l: number): boolean {
    for (let u = 0; u < this.total; u++) {
      if (u === t || this.rows[u] < 0 || this.pc(u) === 0) continue;
      switch (this.kind(u)) {
        case K.load:
        case K.awaitEq:
        case K.awaitNe:
        case K.isLocked:
        case K.rmw:
        case K.trylock:
          if (this.locationOf(this.nextAddr(u)) === l) return true;
          break;
        default:
      }
    }
    return false;
  }

  /** Number of outcomes of the next step of `t`; 0 if it has to wait. Kept for the `step` that follows. */
  choices(t: number): number {
    if (this.m[this.own[t] + STUCK] !== 0) return 0;
    let n = this.outcomes(t);
    if (this.isBuffered(t)) n = this.promiseChoices(t, n);
    return this.anyPromised && n > 0 ? this.because(t, n) : n;
  }

  /**
   * Keeps of `n` outcomes those that come about because of what is promised: what does not could as well have
   * happened before. A thread that has promised something itself has to learn what came of that, and is free
   * then.
   */
  protected because(t: number, n: number): number {
    const { v } = this;
    const unread = v.unreadPromise();
    const unknown = v.temporary(4);
    if (!v.unknownTo(t, unknown) && unread < 0) return n;
    const pc = this.pc(t);
    switch (this.decoded[t].kind[pc]) {
      case K.load:
      case K.isLocked:
      case K.awaitEq:
      case K.awaitNe:
      case K.rmw:
      case K.lock:
      case K.trylock: {
        const addr = this.nextAddr(t);
        const l = this.locationOf(addr);
        if (pc === 0 || l < 0 || !this.live(t, addr)) return 0;
        v.unknownTo(t, unknown);
        const first = v.first(l);
        let kept = 0;
        for (let c = 0; c < n; c++) {
          const m = this.options[c];
          const tells = this.how[c] === PROMISES || v.tells(l, first, m, unknown);
          if (tells && (unread < 0 || m === unread))
            this.option(kept++, m, this.how[c], this.promisedLoc[c], this.promisedValue[c]);
        }
        return kept;
      }
      case K.irqSave:
      case K.rcuLock:
      case K.gp:
      case K.ipi:
        return unread < 0 && v.allTold(unknown) ? n : 0;
      default:
        return unread < 0 && pc === 0 && v.allTold(unknown) ? n : 0;
    }
  }

  protected outcomes(t: number): number {
    const pc = this.pc(t);
    if (pc === 0) {
      if (!this.queued(t)) return 0;
      return this.gracePeriodAhead(t) || this.holders(t) === 0 ? 1 : 0;
    }
    const d = this.decoded[t];
    switch (d.kind[pc]) {
      case K.load:
      case K.isLocked:
      case K.awaitEq:
      case K.awaitNe:
        return this.readChoices(t, d.kind[pc]);
      case K.store:
      case K.unlock:
        return this.storeChoices(t);
      case K.rmw:
      case K.lock:
      case K.trylock:
        return this.updateChoices(t, d.kind[pc], d.sub[pc]);
      case K.gp:
      case K.ipi:
        return !this.syncBegun(t) || this.holders(t) === 0 ? 1 : 0;
      case K.choose:
        return Math.max(1, this.nextA(t));
      case K.rcuLock:
      case K.irqSave:
        return this.bodies[t].overtakes[pc] === 0 ? 1 : 1 << bitCount(this.avoidable(t, d.kind[pc]));
      default:
        return 1;
    }
  }

  /**
   * Those who wait in a grace period or IPI that is under way, as bits, and that the section which thread `t`
   * is about to begin does not come after anyway.
   */
  protected avoidable(t: number, kind: number): number {
    const { v, m } = this;
    if (m[this.own[t] + IRQ] !== 0 || (kind === K.rcuLock && m[this.own[t] + RCU] !== 0)) return 0;
    const view = v.temporary(5);
    let out = 0;
    for (let u = 0; u < this.total; u++) {
      if (u === t || !this.waitsFor(u, kind, m[this.own[t] + RCU] === 0)) continue;
      v.empty(view);
      this.addAll(view, u);
      if (!v.isSubset(view, v.thread(t, V.R_NEW)) || !v.isSubset(view, v.thread(t, V.W_NEW))) out |= 1 << u;
    }
    return out;
  }

  /**
   * Whether `u` is in the middle of a wait that a section beginning now is no part of. `rcu`: it begins
   * outside of others.
   */
  protected waitsFor(u: number, kind: number, rcu: boolean): boolean {
    if (this.finished(u)) return rcu && this.queued(u) && !this.gracePeriodAhead(u) && !this.spawned(u);
    if (!this.syncBegun(u)) return false;
    return this.kind(u) === K.gp ? rcu : kind === K.irqSave;
  }

  /** Whether `t` can act, at less cost than counting how. */
  enabled(t: number): boolean {
    const pc = this.pc(t);
    if (pc === 0 || this.anyPromised) return this.choices(t) > 0;
    switch (this.decoded[t].kind[pc]) {
      case K.awaitEq:
      case K.awaitNe:
      case K.lock:
      case K.gp:
      case K.ipi:
        return this.choices(t) > 0;
      default:
        return true;
    }
  }

  /**
   * Whether `t` awaits a value that its word does not have, once every write has reached it: it can go on by
   * reading an older write only, and need not.
   */
  awaitsInVain(t: number): boolean {
    const pc = this.pc(t);
    const kind = pc === 0 ? -1 : this.decoded[t].kind[pc];
    if (kind !== K.awaitEq && kind !== K.awaitNe) return false;
    const addr = this.nextAddr(t);
    const l = this.locationOf(addr);
    if (l < 0 || !this.live(t, addr)) return false;
    return (this.v.last(l) === this.nextA(t)) !== (kind === K.awaitEq);
  }

  protected readChoices(t: number, kind: number): number {
    const addr = this.nextAddr(t);
    const l = this.locationOf(addr);
    if (l < 0) {
      if (kind === K.awaitEq || kind === K.awaitNe) {
        if (!this.isMemory(addr)) return 1;
        return (this.constantAt(addr) === this.nextA(t)) === (kind === K.awaitEq) ? 1 : 0;
      }
      return 1;
    }
    if (!this.live(t, addr)) return 1;
    const { v } = this;
    const view = this.readView(t, this.orderingOf(t));
    const first = v.first(l);
    const end = v.end(l, first);
    const oldest = v.oldest(t, first, end, view);
    let n = 0;
    const wants = (value: number): boolean =>
      kind === K.awaitEq ? value === this.nextA(t) : kind !== K.awaitNe || value !== this.nextA(t);
    for (let m = end - 1; m >= oldest; m--)
      if (wants(v.valueAt(l, first, m)) && !this.isOwnPromise(t, m, first)) this.option(n++, m);
    return n;
  }

  protected storeChoices(t: number): number {
    const addr = this.nextAddr(t);
    const l = this.locationOf(addr);
    if (l < 0 || !this.live(t, addr)) return 1;
    const { v } = this;
    const none = v.temporary(3);
    v.empty(none);
    const ordering = this.orderingOf(t);
    const view = this.writeView(t, ordering, v.temporary(1));
    this.passesOn(ordering, -2);
    const first = v.first(l);
    const end = v.end(l, first);
    const oldest = v.oldest(t, first, end, none);
    let n = 0;
    for (let m = end - 1; m >= oldest; m--)
      if (v.canWrite(t, l, first, end, m, view, v.temporary(2))) this.option(n++, m);
    if (this.anyPromised) {
      const value = this.kind(t) === K.unlock ? 0 : this.nextA(t);
      for (let m = Math.max(oldest + 1, first); m < end; m++)
        if (this.isPromised(m, value) && v.canFulfil(t, l, first, end, m, view, v.temporary(2)))
          this.option(n++, m, FULFILS);
    }
    return n;
  }

  protected isPromised(m: number, value: number): boolean {
    return (this.v.flags[m] & V.PROMISED) !== 0 && this.v.val[m] === value;
  }

  protected isOwnPromise(t: number, m: number, first: number): boolean {
    return this.anyPromised && m >= first && this.v.isPromiseOf(t, m);
  }

  protected updateChoices(t: number, kind: number, sub: number): number {
    const addr = this.nextAddr(t);
    const l = this.locationOf(addr);
    if (l < 0 || !this.live(t, addr)) return 1;
    const { v } = this;
    const first = v.first(l);
    const end = v.end(l, first);
    if (kind === K.lock) {
      if (v.last(l) === 0) {
        this.option(0, end - 1);
        return 1;
      }
      // Unless it is this thread's own taking of it that others have seen.
      if (!this.isOwnPromise(t, end - 1, first) || v.valueAt(l, first, end - 2) !== 0) return 0;
      const o = this.orderingOf(t);
      this.readView(t, o);
      const view = this.updateView(t, o, l, first, end - 2);
      this.passesOn(o, end - 2);
      if (!v.canFulfil(t, l, first, end, end - 1, view, v.temporary(2))) return 0;
      this.option(0, end - 2, FULFILS);
      return 1;
    }
    const failing = v.oldest(t, first, end, this.readView(t, null));
    const ordering = this.orderingOf(t);
    const oldest = v.oldest(t, first, end, this.readView(t, ordering));
    let n = 0;
    for (let m = end - 1; m >= failing; m--) {
      const old = v.valueAt(l, first, m);
      if (this.isOwnPromise(t, m, first)) continue;
      if (this.fails(t, kind, sub, old)) this.option(n++, m);
      else if (m >= oldest) {
        const view = this.updateView(t, ordering, l, first, m);
        this.passesOn(ordering, m);
        if (v.roomBehind(m, end) && v.canWrite(t, l, first, end, m, view, v.temporary(2)))
          this.option(n++, m);
        const next = Math.max(m + 1, first);
        if (this.anyPromised && next < end && this.isPromised(next, this.updated(t, kind, old)))
          if (v.canFulfil(t, l, first, end, next, view, v.temporary(2))) this.option(n++, m, FULFILS);
      }
    }
    return n;
  }

  /** What an RMW that succeeds, or a lock, makes of the old value. */
  protected updated(t: number, kind: number, old: number): number {
    if (kind !== K.rmw) return 1 + this.cpuOf(t);
    const i = this.decoded[t].instrs[this.pc(t)];
    return i.op === "rmw" ? (evalRmw(i.fn, old, this.nextA(t), this.nextB(t)) ?? old) : old;
  }

  /**
   * Into temporary 1: what comes before the write of an RMW that reads `m`; temporary 0 holds what comes
   * before the read.
   */
  protected updateView(t: number, ordering: O.Ordering, l: number, first: number, m: number): number {
    const { v } = this;
    const view = this.writeView(t, ordering, v.temporary(1));
    v.add(view, v.temporary(0));
    if (m >= first) v.addRead(view, m, t);
    else v.addBase(view, l, t);
    return view;
  }

  protected fails(t: number, kind: number, sub: number, old: number): boolean {
    if (kind === K.trylock) return old !== 0;
    if (sub === RMW_CMPXCHG) return old !== this.nextA(t);
    return sub === RMW_ADD_UNLESS && old === this.nextB(t);
  }

  /** Whether some promise can be kept by nobody any more, or there was no need to make it. */
  protected isHopeless(): boolean {
    const { v } = this;
    for (let m = 0; m < v.count; m++) {
      if ((v.flags[m] & V.PROMISED) === 0) continue;
      const l = v.loc[m];
      const t = v.owner[m];
      const f = this.futures[t];
      if (f === null || (f.writes[this.rows[t] + (l >> 5)] & (1 << (l & 31))) === 0) return true;
      if (v.isPast(t, m, v.end(l, v.first(l)), v.thread(t, V.W_NEW))) return true;
      if (v.isKnownTo(t, m)) continue;
      // It has yet to read something that came about because of it, right where it stands.
      const target = this.locationOf(this.nextAddr(t));
      if (target < 0) return true;
      const { start } = this;
      let knows = 0;
      for (let u = 0; u < this.total; u++) if (this.futures[u] !== null && v.isKnownTo(u, m)) knows |= 1 << u;
      start.fill(0);
      let there = false;
      for (let x = 0; x < v.count; x++) {
        if (!v.isKnownIn(x, m)) continue;
        if (v.loc[x] === target && x !== m) there = true;
        start[v.loc[x] >> 5] |= 1 << (v.loc[x] & 31);
      }
      for (let x = 0; x < v.locations; x++) {
        if (!v.isKnownInBase(x, m)) continue;
        if (x === target) there = true;
        start[x >> 5] |= 1 << (x & 31);
      }
      if (v.isKnownToAll(m))
        for (const x of [this.prepared.sectionEnds, this.prepared.gracePeriods])
          start[x >> 5] |= 1 << (x & 31);
      if (!there && !this.influence.reaches(t, target, start, 0, this.rows, knows)) return true;
    }
    return false;
  }
}
