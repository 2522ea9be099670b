/**
 * Forgetting what nobody can notice, so that states which differ in nothing else are one: messages that
 * nobody can read past or write in front of become the base of their location; sets lose what is before all
 * that their thread can still do, and what nothing in the rest of its code looks at.
 */

import { Promises } from "./promises.ts";
import * as P from "./rest.ts";
import * as S from "./sets.ts";

/** What the rest of a thread may do to locations, as bits; rows of `locWords` words. */
export interface Future {
  readonly reads: Uint32Array;
  /** Reads that can only be of the last message but the thread's own (locks, atomics that cannot fail). */
  readonly updates: Uint32Array;
  readonly writes: Uint32Array;
  /** Writes that may be inserted anywhere. */
  readonly inserts: Uint32Array;
}

export class TidyViews extends Promises {
  /** Locations from this one on hold no values: see `mark`. */
  marks = Number.POSITIVE_INFINITY;

  /**
   * Drops from a thread's sets what is before all that it can still do anyway, and what nothing of the rest
   * looks at. `rest` says what the thread may still do (rest.ts).
   */
  tidyThread(t: number, slots: number, rest: number): void {
    const { s, words } = this;
    const r = this.thread(t, S.R_NEW);
    const w = this.thread(t, S.W_NEW);
    const reads = (rest & P.READS) !== 0;
    const writes = (rest & P.WRITES) !== 0;
    const back = (rest & P.LOOKS_BACK) !== 0;
    if (!reads && !writes) {
      s.fill(0, this.thread(t, S.RELEASED), this.thread(t, S.THREAD_SETS));
      s.fill(0, this.slot(t, 0), this.slot(t, slots));
      if (!back) s.fill(0, r, this.thread(t, S.RELEASED));
      for (let i = 0; i < words; i++)
        for (let k = S.R_FENCED; k <= S.W_OLD; k++) s[this.thread(t, k) + i] &= ~(s[r + i] | s[w + i]);
      if (this.propagates) this.tidyPropagated(t, rest);
      return;
    }
    if (!reads && !back) this.empty(r);
    if (!writes && !back) this.empty(w);
    if (!back) s.fill(0, this.thread(t, S.R_FENCED), this.thread(t, S.RELEASED));
    if ((rest & P.LOOKS_AT_RELEASES) === 0) this.empty(this.thread(t, S.RELEASED));
    if (!writes) this.empty(this.thread(t, S.ADDRESSES));
    for (let i = 0; i < words; i++) {
      const both = s[r + i] & s[w + i];
      const sure = reads ? (writes ? both : s[r + i]) : s[w + i];
      if (s[w + i] !== 0) s[this.thread(t, S.ADDRESSES) + i] &= ~s[w + i];
      if (both !== 0) s[this.thread(t, S.AWAITED) + i] &= ~both;
      if (sure === 0) continue;
      for (let k = S.R_FENCED; k <= S.RELEASED; k++) s[this.thread(t, k) + i] &= ~sure;
      for (let k = 0; k < slots; k++) s[this.slot(t, k) + i] &= ~sure;
    }
    if (this.propagates) this.tidyPropagated(t, rest);
  }

  /** The same for the sets that a thread has only where a write reaches others one by one. */
  private tidyPropagated(t: number, rest: number): void {
    const { s, words } = this;
    const r = this.thread(t, S.R_NEW);
    const w = this.thread(t, S.W_NEW);
    const reads = (rest & P.READS) !== 0;
    const writes = (rest & P.WRITES) !== 0;
    const back = (rest & P.LOOKS_BACK) !== 0;
    if (!reads) this.empty(this.thread(t, S.R_RETURNING));
    if ((rest & P.ATOMICS) === 0) this.empty(this.thread(t, S.BEFORE_ATOMIC));
    if (!back) {
      s.fill(0, this.thread(t, S.AFTER_ATOMIC), this.fencedWrites(t, 0));
      s.fill(0, this.unlockedWrites(t, 0), this.slot(t, 0));
    }
    if (!writes) s.fill(0, this.fencedWrites(t, 0), this.unlockedWrites(t, 0));
    for (let i = 0; i < words; i++) {
      s[this.thread(t, S.R_RETURNING) + i] &= ~s[r + i];
      // Whatever the thread writes comes behind W_NEW, wherever it gets.
      const written = s[w + i];
      const sure = reads ? (writes ? s[r + i] & written : s[r + i]) : writes ? written : s[r + i] | written;
      if (sure !== 0)
        for (let at = this.thread(t, S.BEFORE_ATOMIC), e = this.ownWrites(t, 0); at < e; at += words)
          s[at + i] &= ~sure;
      if (written !== 0)
        for (let at = this.ownWrites(t, 0), e = this.slot(t, 0); at < e; at += words) s[at + i] &= ~written;
    }
  }

  /** The same for the sets of everybody, given what all together may still do. */
  tidyCommon(rest: number): void {
    if ((rest & P.BEGINS_SECTION) === 0) this.empty(this.common(S.GP_BEFORE));
    if ((rest & P.STARTS_GP) === 0) this.empty(this.common(S.SECTIONS_ENDED));
    if ((rest & P.BEGINS_IRQ_OFF) === 0) this.empty(this.common(S.IPI_BEFORE));
    if ((rest & P.STARTS_IPI) === 0) this.empty(this.common(S.IRQ_ENDED));
  }

  /**
   * Forgets all that was the business of thread `t`, which has ended; `callback`: and may be another one
   * later.
   */
  finish(t: number, callback: boolean): void {
    this.s.fill(0, this.thread(t, 0), this.slot(t, this.slots));
    const bit = 1 << t;
    for (let m = 0; m < this.count; m++) {
      this.seenBy[m] &= ~bit;
      if (this.owner[m] === t && (this.flags[m] & S.PROMISED) === 0) this.disown(m);
      // Whoever runs in a callback's place later has not made its writes.
      if (callback && this.coming >= 0 && this.writer[m] === t)
        this.writer[m] = this.loc[m] < this.marks ? -1 : this.coming;
    }
  }

  /**
   * Ends what thread `t`'s own writes forward, and what it has seen, where it makes no difference any more.
   * `row`: where the rest of the thread is in `rest`.
   */
  tidyForwards(t: number, rest: Future, row: number): void {
    const { s, words } = this;
    const r = this.thread(t, S.R_NEW);
    const bits = 1 << t;
    for (let m = 0; m < this.count; m++) {
      const own = this.owner[m] === t;
      if (!own && (this.seenBy[m] & bits) === 0) continue;
      const l = this.loc[m];
      const at = row + (l >> 5);
      const bit = 1 << (l & 31);
      const reads = ((rest.reads[at] | rest.updates[at]) & bit) !== 0;
      if (!reads && (rest.writes[at] & bit) === 0) this.seenBy[m] &= ~bits;
      if (!own || (this.flags[m] & S.PROMISED) !== 0) continue;
      if (!reads || this.has(r, this.node(m, this.column(t)))) this.disown(m);
      else for (let i = 0, f = this.forward(m); i < words; i++) s[f + i] &= ~s[r + i];
    }
  }

  /**
   * Makes messages bases where nobody can read, or write in front of, what is older. `futures[t]` at
   * `rows[t]` says what thread t may still do.
   */
  collect(futures: readonly (Future | null)[], rows: Int32Array): void {
    for (let first = 0; first < this.count; ) {
      const l = this.loc[first];
      if (l >= this.marks) {
        if (this.markNeeded(l, first, futures, rows)) first++;
        else this.remove(first);
        continue;
      }
      const end = this.end(l, first);
      const kept = this.collectable(l, first, end, futures, rows);
      if (kept >= first) this.rebase(l, first, kept);
      // What is left of the location moved down to `first`.
      first = end - Math.max(0, kept - first + 1);
    }
  }

  /** Whether somebody may yet free the object, and does not surely come behind this access to it. */
  protected markNeeded(l: number, m: number, futures: readonly (Future | null)[], rows: Int32Array): boolean {
    for (let t = 0; t < this.threads; t++) {
      const f = futures[t];
      if (f === null || (f.writes[rows[t] + (l >> 5)] & (1 << (l & 31))) === 0) continue;
      if ((this.seenBy[m] & (1 << t)) !== 0) continue;
      const n = this.node(m, 0);
      if (!this.has(this.thread(t, S.W_NEW), n) && !this.has(this.thread(t, S.ADDRESSES), n)) return true;
    }
    return false;
  }

  /** The newest message that can be the base, first - 1 if none can. */
  protected collectable(
    l: number,
    first: number,
    end: number,
    futures: readonly (Future | null)[],
    rows: Int32Array,
  ): number {
    const word = l >> 5;
    const bit = 1 << (l & 31);
    let anybody = false;
    let best = end - 1;
    for (let m = first; m < end; m++) if ((this.flags[m] & S.PROMISED) !== 0) best = Math.min(best, m - 1);
    const all = best;
    // How far every message from the first on is exclusive: there nobody reads or writes but right behind the
    // last.
    let closed = first;
    while (closed < end && (this.flags[closed] & S.EXCLUSIVE) !== 0) closed++;
    for (let t = 0; t < this.threads && best >= first; t++) {
      const f = futures[t];
      if (f === null) continue;
      const at = rows[t] + word;
      const reads = (f.reads[at] & bit) !== 0;
      const updates = (f.updates[at] & bit) !== 0;
      const writes = (f.writes[at] & bit) !== 0;
      if (!reads && !updates && !writes) continue;
      anybody = true;
      const inserts = (f.inserts[at] & bit) !== 0;
      let m = best;
      for (; m >= first; m--) {
        // Forwarding is the thread's own business and needs the message.
        if (this.owner[m] === t && reads) continue;
        const readPast = this.isPast(t, m, end, this.thread(t, S.R_NEW));
        if (reads && !readPast) continue;
        if (updates && !readPast && m >= closed) continue;
        if (inserts && m >= closed && !this.isPastWriting(t, m, end)) continue;
        break;
      }
      best = m;
    }
    return anybody ? best : all;
  }

  protected isPastWriting(t: number, m: number, end: number): boolean {
    return (
      this.isPast(t, m, end, this.thread(t, S.W_NEW)) || this.isPast(t, m, end, this.thread(t, S.ADDRESSES))
    );
  }

  protected rebase(l: number, first: number, kept: number): void {
    this.value[l] = this.val[kept];
    for (let c = 0; c < this.columns; c++) {
      this.copy(this.baseRead(l, c), this.before(kept, c));
      const write = this.baseWrite(l, c);
      for (let x = first; x <= kept; x++) {
        this.add(write, this.cover(x, c));
        if (!this.propagates || this.writer[x] === c) this.add(write, this.before(x, c));
      }
      if (!this.propagates) continue;
      this.copy(this.baseCumulated(l, c), this.cumulated(kept, c));
      this.copy(this.baseHanded(l, c), this.handed(kept, c));
    }
    if (this.propagates) this.copy(this.baseHandedAll(l), this.handedAll(kept));
    this.copy(this.baseKnown(l), this.known(kept));
    this.baseUsed[l] = 1;
    for (let x = kept; x >= first; x--) this.remove(x);
    this.tidyBase(l);
  }

  protected tidyBase(l: number): void {
    for (let at = this.base(l, 0), end = this.base(l + 1, 0); at < end; at++) if (this.s[at] !== 0) return;
    this.baseUsed[l] = 0;
  }

  /**
   * Drops what messages and bases remember for readers or writers that there are none of. `row`: union over
   * all threads.
   */
  tidyMessages(reads: Uint32Array, writes: Uint32Array): void {
    const { s } = this;
    for (let m = 0; m < this.count; m++) {
      const l = this.loc[m];
      if ((writes[l >> 5] & (1 << (l & 31))) === 0) s.fill(0, this.cover(m, 0), this.forward(m));
    }
    for (let l = 0; l < this.locations; l++) {
      if (this.baseUsed[l] === 0) continue;
      const bit = 1 << (l & 31);
      if ((writes[l >> 5] & bit) === 0) s.fill(0, this.baseWrite(l, 0), this.baseKnown(l));
      if ((reads[l >> 5] & bit) === 0) {
        s.fill(0, this.baseRead(l, 0), this.baseWrite(l, 0));
        s.fill(0, this.baseKnown(l), this.base(l + 1, 0));
      }
      this.tidyBase(l);
    }
  }

  /**
   * Where a write reaches other threads one by one: that message m reaches thread u is past, when u has seen
   * it or comes behind it with all that it does next, or does nothing there any more. Then nothing can be put
   * before that, and nobody asks. `futures[t]` at `rows[t]` says what thread t may still do; `callbacks`:
   * more of them may be queued.
   */
  settle(futures: readonly (Future | null)[], rows: Int32Array, callbacks: boolean): void {
    const { s, words } = this;
    const past = this.temporary(5);
    this.empty(past);
    for (let first = 0; first < this.count; ) {
      const l = this.loc[first];
      const end = this.end(l, first);
      if (l < this.marks) {
        let promised = end;
        for (let m = first; m < end; m++)
          if ((this.flags[m] & S.PROMISED) !== 0) {
            promised = m;
            break;
          }
        if (!callbacks && this.coming >= 0)
          for (let m = first; m < promised; m++) this.addOne(past, this.node(m, this.coming));
        for (let t = 0; t < this.threads; t++)
          this.settleLocation(t, l, first, end, promised, futures[t], rows[t], past);
      }
      first = end;
    }
    if (this.isEmpty(past)) return;
    const from = this.common(0);
    const to = this.message(this.count, 0);
    for (let k = 0; k < words; k++) {
      const rest = ~s[past + k];
      if (rest !== -1) for (let i = from + k; i < to; i += words) s[i] &= rest;
    }
  }

  private settleLocation(
    t: number,
    l: number,
    first: number,
    end: number,
    promised: number,
    future: Future | null,
    row: number,
    past: number,
  ): void {
    const at = row + (l >> 5);
    const bit = 1 << (l & 31);
    const over = future === null || ((future.reads[at] | future.updates[at] | future.writes[at]) & bit) === 0;
    let last = end - 1;
    if (!over) {
      const r = this.thread(t, S.R_NEW);
      const w = this.thread(t, S.W_NEW);
      for (; last >= first; last--) {
        if ((this.seenBy[last] & (1 << t)) !== 0) break;
        const n = this.node(last, t);
        if (!this.has(r, n) || !this.has(w, n) || (this.flags[last] & S.PROMISED) !== 0) continue;
        this.sees(t, first, end, last);
        break;
      }
    }
    for (let m = first; m <= last && m < promised; m++) this.addOne(past, this.node(m, t));
  }
}
