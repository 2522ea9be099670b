/**
 * Promises: messages that are there before their thread has written them. Whoever reads one *knows* of it,
 * and so does whoever reads something that was written by who knew, until the write is made. See machine.ts
 * on load buffering.
 */

import * as S from "./sets.ts";
import { Views } from "./views.ts";

export class Promises extends Views {
  /** Whether any message is there that is not written yet. */
  get anyPromised(): boolean {
    for (let m = 0; m < this.count; m++) if ((this.flags[m] & S.PROMISED) !== 0) return true;
    return false;
  }

  /**
   * A message that stands for a write that `t` has yet to make, right behind message `m`. Gives its number.
   */
  promise(t: number, l: number, first: number, end: number, m: number, v: number): number {
    const none = this.temporary(3);
    const before = this.temporary(5);
    this.empty(none);
    if (!this.canWrite(t, l, first, end, m, none, before))
      throw new Error("a write that is yet to come has no place");
    const at = Math.max(m, first - 1) + 1;
    this.insert(at);
    this.place(t, at, l, v, S.PROMISED, this.originOfMarks);
    this.owner[at] = t;
    const c = this.column(t);
    this.copy(this.before(at, c), before);
    for (let u = 0; u < this.columns; u++) {
      if (u === c) continue;
      const to = this.before(at, u);
      this.copy(to, before);
      this.addOlder(to, l, first, at - 1, u);
      this.addOne(to, this.node(at, c));
    }
    this.precedes(t, at, end + 1, before);
    this.copy(this.known(at), this.thread(t, S.KNOWS));
    this.addOne(this.known(at), this.node(at, 0));
    return at;
  }

  /**
   * Whether thread `t` may make the write `m` that it has promised, with `view` before it; `before` as in
   * canWrite. If it has read nothing that came about because of the promise, there was no need for that.
   */
  canFulfil(
    t: number,
    l: number,
    first: number,
    end: number,
    m: number,
    view: number,
    before: number,
  ): boolean {
    if (this.owner[m] !== t || !this.isKnownTo(t, m)) return false;
    const c = this.column(t);
    this.copy(before, view);
    this.addOlder(before, l, first, m - 1, t);
    for (let x = m; x < end; x++) if (this.has(before, this.node(x, c))) return false;
    if (!this.propagates) return true;
    const cumulated = this.temporary(5);
    for (let u = 0; u < this.columns; u++) {
      this.empty(cumulated);
      this.addCumulated(cumulated, t, l, first, u);
      if (u !== c && this.has(cumulated, this.node(m, u))) return false;
    }
    return true;
  }

  /** Thread `t` makes the promised write `m`. */
  fulfil(
    t: number,
    l: number,
    first: number,
    end: number,
    m: number,
    flags: number,
    before: number,
    forward: number,
    origin: number,
  ): void {
    const c = this.column(t);
    const self = this.temporary(4);
    this.origin[m] = origin;
    this.add(this.before(m, c), before);
    this.empty(self);
    this.addOne(self, this.node(m, c));
    this.addBehind(self, before);
    if (this.propagates) {
      for (let u = 0; u < this.columns; u++) {
        const cumulated = this.cumulated(m, u);
        this.addCumulated(cumulated, t, l, first, u);
        if (u === c) continue;
        this.add(this.before(m, u), cumulated);
        this.empty(self);
        this.addOne(self, this.node(m, u));
        this.addBehind(self, cumulated);
      }
    }
    this.flags[m] = flags;
    if (this.propagates) this.madeBy(t, m);
    this.owner[m] = -1;
    this.sees(t, first, end, m);
    this.owner[m] = t;
    this.copy(this.forward(m), forward);
    this.copy(this.known(m), this.thread(t, S.KNOWS));
    this.forget(m);
  }

  /** Message `m` is written now, and no longer anything to know. */
  protected forget(m: number): void {
    const { s } = this;
    const n = this.node(m, 0);
    const word = n >> 5;
    const rest = ~(1 << (n & 31));
    for (let t = 0; t < this.threads; t++) s[this.thread(t, S.KNOWS) + word] &= rest;
    for (let x = 0; x < this.count; x++) s[this.known(x) + word] &= rest;
    s[this.common(S.KNOWN_TO_ALL) + word] &= rest;
    for (let l = 0; l < this.locations; l++) if (this.baseUsed[l] !== 0) s[this.baseKnown(l) + word] &= rest;
  }

  /** What thread `t` knows is known to everybody: a section or grace period of its own has told them. */
  tellAll(t: number): void {
    this.add(this.common(S.KNOWN_TO_ALL), this.thread(t, S.KNOWS));
  }

  hearAll(t: number): void {
    this.add(this.thread(t, S.KNOWS), this.common(S.KNOWN_TO_ALL));
  }

  /**
   * Into `to`: what thread `t` has to learn of with its next step, of promises; its own, if it has made any,
   * else those of the others. False if there is nothing.
   */
  unknownTo(t: number, to: number): boolean {
    const { s, words } = this;
    let own = false;
    for (let m = 0; m < this.count; m++) if (this.isPromiseOf(t, m)) own = true;
    this.empty(to);
    for (let m = 0; m < this.count; m++)
      if ((this.flags[m] & S.PROMISED) !== 0 && this.isPromiseOf(t, m) === own)
        this.addOne(to, this.node(m, 0));
    const knows = this.thread(t, S.KNOWS);
    let any = 0;
    for (let i = 0; i < words; i++) any |= s[to + i] &= ~s[knows + i];
    return any !== 0;
  }

  /**
   * Whether thread `t` may be where it is because message `m` was read; and whether message `x` may be there
   * because of it.
   */
  isKnownTo(t: number, m: number): boolean {
    return this.has(this.thread(t, S.KNOWS), this.node(m, 0));
  }

  isKnownIn(x: number, m: number): boolean {
    return this.has(this.known(x), this.node(m, 0));
  }

  isKnownInBase(l: number, m: number): boolean {
    return this.baseUsed[l] !== 0 && this.has(this.baseKnown(l), this.node(m, 0));
  }

  isPromiseOf(t: number, m: number): boolean {
    return this.owner[m] === t && (this.flags[m] & S.PROMISED) !== 0;
  }

  /** A promise that nobody has read yet, or -1. */
  unreadPromise(): number {
    for (let m = 0; m < this.count; m++)
      if ((this.flags[m] & (S.PROMISED | S.PROMISE_READ)) === S.PROMISED) return m;
    return -1;
  }

  isKnownToAll(m: number): boolean {
    return this.has(this.common(S.KNOWN_TO_ALL), this.node(m, 0));
  }

  /**
   * Whether a read of message `m` (below `first`: the base) of location `l` tells all that is in `unknown`.
   */
  tells(l: number, first: number, m: number, unknown: number): boolean {
    return this.isSubset(unknown, m < first ? this.baseKnown(l) : this.known(m));
  }

  allTold(unknown: number): boolean {
    return this.isSubset(unknown, this.common(S.KNOWN_TO_ALL));
  }
}
