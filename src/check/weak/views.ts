/**
 * Weak memory as a state. Instead of one value, a location has its *messages*: the writes that somebody may
 * still read, or write in front of, in coherence order, behind a *base*, the last write that nobody can go
 * behind. Instead of store buffers and reordered instructions, threads have *views*: sets of messages that
 * come before whatever they do next. After Pulte, Pichon-Pharabod, Kang, Lee and Hur, "Promising-ARM/RISC-V"
 * (PLDI 2019), with two differences. A write is not promised but *inserted*: executed in program order, it
 * takes any place in its location's coherence order that its view allows, also before messages that are there
 * already. And messages are ordered only as far as the model orders them (the relation "ordered before" of
 * the hardware's axioms, as sets closed under it), not by time, so that executions that differ in nothing but
 * an order that nobody observed are one state.
 *
 * A read of message m by a thread with view V puts V into the *cover* of m: whatever stands behind m in
 * coherence order, now or later, comes after all of V (the axioms' "from-read"). A cycle is an execution that
 * the machine does not have.
 *
 * Messages are numbered by location and coherence order at all times, so that equal states are equal words;
 * when nobody can tell any more whether a message is there, it is the base and its number is given back. Sets
 * are bit sets of `words` 32-bit words over these numbers.
 */

import * as S from "./sets.ts";

export class Views extends S.MessageSets {
  /**
   * Of the write under way: whether it is a release, and the message that its own read was of; -2 if it has
   * none.
   */
  releases = false;
  updates = -2;

  /**
   * The oldest message of the location that thread `t` may read with view `view` before it: nothing older
   * than what it has seen or what is in the view. Gives first - 1 for the base.
   */
  oldest(t: number, first: number, end: number, view: number): number {
    const bit = 1 << t;
    const c = this.column(t);
    let m = end - 1;
    while (m >= first && (this.seenBy[m] & bit) === 0 && !this.has(view, this.node(m, c))) m--;
    return m;
  }

  valueAt(l: number, first: number, m: number): number {
    return m < first ? this.value[l] : this.val[m];
  }

  /** Whether the write part of an atomic that reads `m` has room behind it. */
  roomBehind(m: number, end: number): boolean {
    return m + 1 >= end || (this.flags[m + 1] & S.EXCLUSIVE) === 0;
  }

  /**
   * Thread `t` reads message `m` (below `first`: the base) of location `l` with what is in `view` before it.
   * `post` becomes what comes before everything that depends on the read.
   */
  read(
    t: number,
    l: number,
    first: number,
    end: number,
    m: number,
    view: number,
    post: number,
    forwards: boolean,
  ): void {
    const later = this.temporary(4);
    const c = this.column(t);
    if (m < first) {
      this.add(this.baseWrite(l, c), view);
      if (!this.isEmpty(view)) this.baseUsed[l] = 1;
    } else this.add(this.cover(m, c), view);
    if (m + 1 < end) {
      this.empty(later);
      for (let x = Math.max(m + 1, first); x < end; x++) {
        this.addOne(later, this.node(x, c));
        this.add(this.before(x, c), view);
      }
      if (!this.isEmpty(view)) this.addBehind(later, view);
    }
    this.copy(post, view);
    const own = m >= first && this.owner[m] === t && (this.flags[m] & S.PROMISED) === 0;
    if (m < first) this.addBase(post, l, t);
    else if (own && forwards) this.add(post, this.forward(m));
    else this.addRead(post, m, t);
    if (this.propagates && !own) this.passOn(t, l, first, m);
    this.sees(t, first, end, m);
    if (m >= first && (this.flags[m] & S.PROMISED) !== 0) this.flags[m] |= S.PROMISE_READ;
    this.add(this.thread(t, S.KNOWS), m < first ? this.baseKnown(l) : this.known(m));
  }

  /** What thread `t` has read goes before what it fences off, wherever it gets. */
  private passOn(t: number, l: number, first: number, m: number): void {
    for (let u = 0; u < this.columns; u++) {
      const to = this.passedOn(t, u);
      if (m < first) this.add(to, this.baseRead(l, u));
      else this.addColumn(to, m, u);
    }
  }

  /** Makes `m` the newest message of the location that `t` has seen. */
  protected sees(t: number, first: number, end: number, m: number): void {
    const bit = 1 << t;
    for (let x = first; x < end; x++) {
      this.seenBy[x] &= ~bit;
      if (x !== m && this.owner[x] === t && (this.flags[x] & S.PROMISED) === 0) this.disown(x);
    }
    if (m >= first) this.seenBy[m] |= bit;
  }

  protected disown(m: number): void {
    this.owner[m] = -1;
    this.empty(this.forward(m));
  }

  /**
   * Into `before` what a write of thread `t` behind message `m` comes after if `view` comes before it. False
   * if there is no such place.
   */
  canWrite(
    t: number,
    l: number,
    first: number,
    end: number,
    m: number,
    view: number,
    before: number,
  ): boolean {
    if (!this.roomBehind(Math.max(m, first - 1), end)) return false;
    const c = this.column(t);
    this.copy(before, view);
    this.addOlder(before, l, first, m, t);
    for (let x = Math.max(m + 1, first); x < end; x++) if (this.has(before, this.node(x, c))) return false;
    return true;
  }

  /** Adds what comes before a write of thread `t` behind message `m` because of where it stands. */
  protected addOlder(to: number, l: number, first: number, m: number, t: number): void {
    const c = this.column(t);
    this.add(to, this.baseWrite(l, c));
    for (let x = first; x <= m; x++) {
      this.add(to, this.cover(x, c));
      if (!this.propagates) this.addRead(to, x, t);
      else if (this.writer[x] === t) this.addWritten(to, x, t);
    }
  }

  /**
   * A message that nobody reads: that thread `t` was at the object whose accesses are `l`. Gives its number.
   * Where it stands among others says nothing; by thread, so that it does not depend on who came first.
   */
  mark(t: number, l: number): number {
    let at = this.first(l);
    for (const end = this.end(l, at); at < end && this.seenBy[at] <= 1 << t; ) at++;
    this.insert(at);
    this.place(t, at, l, 0, 0, this.originOfMarks);
    this.seenBy[at] = 1 << t;
    return at;
  }
  originOfMarks = 0;

  /**
   * Thread `t` writes to `l` right behind message `m`, with `before` as `canWrite` left it and `forward` for
   * its own reads of it. Gives the number of the new message. `before` and `forward` are renumbered with
   * everything else.
   */
  write(
    t: number,
    l: number,
    first: number,
    end: number,
    m: number,
    v: number,
    flags: number,
    before: number,
    forward: number,
    origin: number,
  ): number {
    const at = Math.max(m, first - 1) + 1;
    const c = this.column(t);
    this.insert(at);
    this.place(t, at, l, v, flags, origin);
    this.copy(this.before(at, c), before);
    if (this.propagates) {
      for (let u = 0; u < this.columns; u++) {
        const cumulated = this.cumulated(at, u);
        this.addCumulated(cumulated, t, l, first, u);
        if (u === c) continue;
        const to = this.before(at, u);
        this.copy(to, before);
        this.addOlder(to, l, first, at - 1, u);
        this.add(to, cumulated);
      }
      this.madeBy(t, at);
    }
    const last = end + 1;
    this.sees(t, first, last, at);
    this.owner[at] = t;
    this.copy(this.forward(at), forward);
    this.copy(this.known(at), this.thread(t, S.KNOWS));
    this.precedes(t, at, last, before);
    return at;
  }

  /** What fences of thread `t` put before its write under way where it reaches thread `u`. */
  addCumulated(to: number, t: number, l: number, first: number, u: number): void {
    if (this.releases) this.add(to, this.passedOn(t, u));
    this.add(to, this.fencedWrites(t, u));
    if (this.updates >= -1)
      this.add(to, this.updates < first ? this.baseCumulated(l, u) : this.cumulated(this.updates, u));
  }

  /** Message `at` is one of those that thread `t` has made. */
  protected madeBy(t: number, at: number): void {
    for (let u = 0; u < this.columns; u++) {
      this.addColumn(this.passedOn(t, u), at, u);
      this.addColumn(this.ownWrites(t, u), at, u);
    }
  }

  protected place(t: number, at: number, l: number, v: number, flags: number, origin: number): void {
    this.loc[at] = l;
    this.val[at] = v;
    this.flags[at] = flags;
    this.seenBy[at] = 0;
    this.owner[at] = -1;
    this.origin[at] = origin;
    this.writer[at] = this.propagates ? t : 0;
  }

  /** Message `at` of thread `t`, and what is before it, come before what stands behind it, up to `end`. */
  protected precedes(t: number, at: number, end: number, before: number): void {
    if (at + 1 >= end) return;
    const c = this.column(t);
    const later = this.temporary(4);
    const added = this.temporary(5);
    this.empty(later);
    this.copy(added, before);
    if (!this.propagates || (this.flags[at] & S.PROMISED) !== 0) this.addOne(added, this.node(at, c));
    for (let x = at + 1; x < end; x++) {
      this.addOne(later, this.node(x, c));
      this.add(this.before(x, c), added);
    }
    this.addBehind(later, added);
  }

  /** Adds what comes before a read of the base of location `l` by thread `t` to `to`. */
  addBase(to: number, l: number, t: number): void {
    this.add(to, this.baseRead(l, this.column(t)));
  }

  /**
   * Adds message `m` and all that comes before it, where it reaches thread `t`, to `to`: what a read of it is
   * behind.
   */
  addRead(to: number, m: number, t: number): void {
    this.addColumn(to, m, this.column(t));
  }

  protected addColumn(to: number, m: number, c: number): void {
    this.add(to, this.before(m, c));
    // That its own thread has made it is nothing that others can still come before.
    if (!this.propagates || this.writer[m] !== c || (this.flags[m] & S.PROMISED) !== 0)
      this.addOne(to, this.node(m, c));
  }

  /** Adds what comes before what comes behind the write `m` of thread `t` in its own thread. */
  addWritten(to: number, m: number, t: number): void {
    this.addColumn(to, m, this.column(t));
  }

  /** Adds message `m` and all that comes before it, wherever it gets. */
  addEverywhere(to: number, m: number): void {
    for (let c = 0; c < this.columns; c++) this.addColumn(to, m, c);
  }

  /** Ends what the thread's writes to `l` forward. */
  disownAll(t: number, l: number): void {
    for (let m = this.first(l), end = this.end(l, m); m < end; m++) if (this.owner[m] === t) this.disown(m);
  }

  /**
   * Forgets the messages of a location and gives it a value that everybody who may read it has seen. False if
   * one of them was never written, and now never will be.
   */
  reset(l: number, v: number): boolean {
    const first = this.first(l);
    let ok = true;
    for (let m = this.end(l, first) - 1; m >= first; m--) {
      if ((this.flags[m] & S.PROMISED) !== 0) ok = false;
      this.remove(m);
    }
    this.value[l] = v;
    this.clearBase(l);
    return ok;
  }

  protected clearBase(l: number): void {
    if (this.baseUsed[l] === 0) return;
    this.s.fill(0, this.base(l, 0), this.base(l + 1, 0));
    this.baseUsed[l] = 0;
  }

  /** Whether `m`, or something behind it up to `end`, is in `view` or seen by thread `t`. */
  isPast(t: number, m: number, end: number, view: number): boolean {
    const bit = 1 << t;
    const c = this.column(t);
    for (let x = m; x < end; x++)
      if ((this.seenBy[x] & bit) !== 0 || this.has(view, this.node(x, c))) return true;
    return false;
  }

  /** Value of the last write to a location in coherence order. */
  last(l: number): number {
    const first = this.first(l);
    const end = this.end(l, first);
    return end > first ? this.val[end - 1] : this.value[l];
  }

  // ---- callbacks, where a write reaches other threads one by one
  // --------------------------------------------------

  /** A callback is queued that will run as thread `t`: what was said of callbacks to come is said of that. */
  enters(t: number): void {
    const { coming, words } = this;
    if (coming < 0) return;
    this.copyColumn(t, coming);
    const range = (from: number, to: number): void => {
      for (let at = from; at < to; at += words) this.isComing(at, t);
    };
    range(this.common(0), this.base(0, 0));
    for (let l = 0; l < this.locations; l++)
      if (this.baseUsed[l] !== 0) range(this.base(l, 0), this.base(l + 1, 0));
    range(this.message(0, 0), this.message(this.count, 0));
  }

  /** Into the set at `at`: what it says of callbacks to come is said of thread `t`. */
  isComing(at: number, t: number): void {
    const { coming } = this;
    if (coming < 0) return;
    for (let m = 0; m < this.count; m++)
      if (this.has(at, this.node(m, coming))) this.addOne(at, this.node(m, t));
  }

  private copyColumn(to: number, from: number): void {
    for (let u = 0; u < this.threads; u++) {
      this.copy(this.passedOn(u, to), this.passedOn(u, from));
      this.copy(this.ownWrites(u, to), this.ownWrites(u, from));
      this.copy(this.fencedWrites(u, to), this.fencedWrites(u, from));
      this.copy(this.unlockedWrites(u, to), this.unlockedWrites(u, from));
    }
    for (let m = 0; m < this.count; m++) {
      this.copy(this.before(m, to), this.before(m, from));
      this.copy(this.cover(m, to), this.cover(m, from));
      this.copy(this.cumulated(m, to), this.cumulated(m, from));
      this.copy(this.handed(m, to), this.handed(m, from));
    }
    for (let l = 0; l < this.locations; l++) {
      if (this.baseUsed[l] === 0) continue;
      this.copy(this.baseRead(l, to), this.baseRead(l, from));
      this.copy(this.baseWrite(l, to), this.baseWrite(l, from));
      this.copy(this.baseCumulated(l, to), this.baseCumulated(l, from));
      this.copy(this.baseHanded(l, to), this.baseHanded(l, from));
    }
  }

  // ---- locks, where a write reaches other threads one by one
  // -----------------------------------------------------

  /**
   * Thread `t` has released a lock by message `m`; `all`: what a full fence in front of that would have
   * ordered.
   */
  unlocked(t: number, m: number, all: number): void {
    for (let u = 0; u < this.columns; u++) {
      this.copy(this.handed(m, u), this.ownWrites(t, u));
      this.add(this.unlockedWrites(t, u), this.ownWrites(t, u));
    }
    this.copy(this.handedAll(m), all);
    this.add(this.thread(t, S.UNLOCKED_ALL), all);
    this.add(this.thread(t, S.UNLOCKED), this.thread(t, S.R_OLD));
    this.add(this.thread(t, S.UNLOCKED), this.thread(t, S.W_OLD));
  }

  /** Thread `t` takes a lock that message `m` (below `first`: the base) of `l` released. */
  locked(t: number, l: number, first: number, m: number): void {
    const base = m < first;
    for (let u = 0; u < this.columns; u++) {
      const to = this.fencedWrites(t, u);
      this.add(to, this.unlockedWrites(t, u));
      this.add(to, base ? this.baseHanded(l, u) : this.handed(m, u));
    }
    const all = this.thread(t, S.HANDED_OVER);
    this.add(all, this.thread(t, S.UNLOCKED_ALL));
    this.add(all, base ? this.baseHandedAll(l) : this.handedAll(m));
    this.add(this.thread(t, S.R_NEW), this.thread(t, S.UNLOCKED));
    this.add(this.thread(t, S.W_NEW), this.thread(t, S.UNLOCKED));
  }
}
