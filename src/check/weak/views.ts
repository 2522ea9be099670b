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
   * The oldest message of the location that thread `t` may read with view `view` before it: nothing older
   * than what it has seen or what is in the view. Gives first - 1 for the base.
   */
  oldest(t: number, first: number, end: number, view: number): number {
    const bit = 1 << t;
    let m = end - 1;
    while (m >= first && (this.seenBy[m] & bit) === 0 && !this.has(view, m)) m--;
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
    if (m < first) {
      this.add(this.base(l, S.BASE_WRITE), view);
      if (!this.isEmpty(view)) this.baseUsed[l] = 1;
    } else this.add(this.message(m, S.COVER), view);
    if (m + 1 < end) {
      this.empty(later);
      for (let x = Math.max(m + 1, first); x < end; x++) {
        this.addOne(later, x);
        this.add(this.message(x, S.BEFORE), view);
      }
      if (!this.isEmpty(view)) this.addBehind(later, view);
    }
    this.copy(post, view);
    if (m < first) this.add(post, this.base(l, S.BASE_READ));
    else if (this.owner[m] === t && forwards && (this.flags[m] & S.PROMISED) === 0)
      this.add(post, this.message(m, S.FORWARD));
    else {
      this.add(post, this.message(m, S.BEFORE));
      this.s[post + (m >> 5)] |= 1 << (m & 31);
    }
    this.sees(t, first, end, m);
    if (m >= first && (this.flags[m] & S.PROMISED) !== 0) this.flags[m] |= S.PROMISE_READ;
    this.add(this.thread(t, S.KNOWS), m < first ? this.base(l, S.BASE_KNOWN) : this.message(m, S.KNOWN));
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
    this.empty(this.message(m, S.FORWARD));
  }

  /**
   * Into `before` what a write behind message `m` comes after if `view` comes before it. False if there is no
   * such place.
   */
  canWrite(l: number, first: number, end: number, m: number, view: number, before: number): boolean {
    if (!this.roomBehind(Math.max(m, first - 1), end)) return false;
    this.copy(before, view);
    this.add(before, this.base(l, S.BASE_WRITE));
    for (let x = first; x <= m; x++) {
      this.add(before, this.message(x, S.BEFORE));
      this.add(before, this.message(x, S.COVER));
      this.addOne(before, x);
    }
    for (let x = Math.max(m + 1, first); x < end; x++) if (this.has(before, x)) return false;
    return true;
  }

  /**
   * A message that nobody reads: that thread `t` was at the object whose accesses are `l`, with what is in
   * `view` before that. Gives its number.
   */
  mark(t: number, l: number, view: number): number {
    const first = this.first(l);
    const at = this.end(l, first);
    this.insert(at);
    this.place(at, l, 0, 0, view, this.originOfMarks);
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
    this.insert(at);
    this.place(at, l, v, flags, before, origin);
    const last = end + 1;
    this.sees(t, first, last, at);
    this.owner[at] = t;
    this.copy(this.message(at, S.FORWARD), forward);
    this.copy(this.message(at, S.KNOWN), this.thread(t, S.KNOWS));
    this.precedes(at, last, before);
    return at;
  }

  protected place(at: number, l: number, v: number, flags: number, before: number, origin: number): void {
    this.loc[at] = l;
    this.val[at] = v;
    this.flags[at] = flags;
    this.seenBy[at] = 0;
    this.owner[at] = -1;
    this.origin[at] = origin;
    this.copy(this.message(at, S.BEFORE), before);
  }

  /** Message `at` and what is before it come before what stands behind it, up to `end`. */
  protected precedes(at: number, end: number, before: number): void {
    if (at + 1 >= end) return;
    const later = this.temporary(4);
    const added = this.temporary(5);
    this.empty(later);
    this.copy(added, before);
    this.addOne(added, at);
    for (let x = at + 1; x < end; x++) {
      this.addOne(later, x);
      this.add(this.message(x, S.BEFORE), added);
    }
    this.addBehind(later, added);
  }

  /** Adds what comes before a read of the base of location `l` to `to`. */
  addBase(to: number, l: number): void {
    this.add(to, this.base(l, S.BASE_READ));
  }

  /** Ends what the thread's writes to `l` forward. */
  disownAll(t: number, l: number): void {
    for (let m = this.first(l), end = this.end(l, m); m < end; m++) if (this.owner[m] === t) this.disown(m);
  }

  /** Adds message `m` and all that comes before it to `to`. */
  addMessage(to: number, m: number): void {
    this.add(to, this.message(m, S.BEFORE));
    this.addOne(to, m);
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
    if (this.baseUsed[l] === 0) return ok;
    this.empty(this.base(l, S.BASE_READ));
    this.empty(this.base(l, S.BASE_WRITE));
    this.empty(this.base(l, S.BASE_KNOWN));
    this.baseUsed[l] = 0;
    return ok;
  }

  /** Whether `m`, or something behind it up to `end`, is in `view` or seen by thread `t`. */
  isPast(t: number, m: number, end: number, view: number): boolean {
    const bit = 1 << t;
    for (let x = m; x < end; x++) if ((this.seenBy[x] & bit) !== 0 || this.has(view, x)) return true;
    return false;
  }

  /** Value of the last write to a location in coherence order. */
  last(l: number): number {
    const first = this.first(l);
    const end = this.end(l, first);
    return end > first ? this.val[end - 1] : this.value[l];
  }
}
