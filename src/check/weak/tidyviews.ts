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
      s.fill(0, this.thread(t, S.RELEASED), this.slot(t, slots));
      if (!back) s.fill(0, r, this.thread(t, S.RELEASED));
      for (let i = 0; i < words; i++)
        for (let k = S.R_FENCED; k <= S.W_OLD; k++) s[this.thread(t, k) + i] &= ~(s[r + i] | s[w + i]);
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
  }

  /** The same for the sets of everybody, given what all together may still do. */
  tidyCommon(rest: number): void {
    if ((rest & P.BEGINS_SECTION) === 0) this.empty(this.common(S.GP_BEFORE));
    if ((rest & P.STARTS_GP) === 0) this.empty(this.common(S.SECTIONS_ENDED));
    if ((rest & P.BEGINS_IRQ_OFF) === 0) this.empty(this.common(S.IPI_BEFORE));
    if ((rest & P.STARTS_IPI) === 0) this.empty(this.common(S.IRQ_ENDED));
  }

  /** Forgets all that was the business of thread `t`, which has ended. */
  finish(t: number): void {
    this.s.fill(0, this.thread(t, 0), this.slot(t, this.slots));
    const bit = 1 << t;
    for (let m = 0; m < this.count; m++) {
      this.seenBy[m] &= ~bit;
      if (this.owner[m] === t && (this.flags[m] & S.PROMISED) === 0) this.disown(m);
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
      if (!reads || this.has(r, m)) this.disown(m);
      else for (let i = 0, f = this.message(m, S.FORWARD); i < words; i++) s[f + i] &= ~s[r + i];
    }
  }

  /**
   * Makes messages bases where nobody can read, or write in front of, what is older. `futures[t]` at
   * `rows[t]` says what thread t may still do. Locations from `marks` on hold no values (`mark`).
   */
  collect(futures: readonly (Future | null)[], rows: Int32Array, marks: number): void {
    for (let first = 0; first < this.count; ) {
      const l = this.loc[first];
      if (l >= marks) {
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
      if (!this.has(this.thread(t, S.W_NEW), m) && !this.has(this.thread(t, S.ADDRESSES), m)) return true;
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
    const read = this.base(l, S.BASE_READ);
    const write = this.base(l, S.BASE_WRITE);
    this.value[l] = this.val[kept];
    this.copy(read, this.message(kept, S.BEFORE));
    this.copy(this.base(l, S.BASE_KNOWN), this.message(kept, S.KNOWN));
    for (let x = first; x <= kept; x++) {
      this.add(write, this.message(x, S.BEFORE));
      this.add(write, this.message(x, S.COVER));
    }
    this.baseUsed[l] = 1;
    for (let x = kept; x >= first; x--) this.remove(x);
    this.tidyBase(l);
  }

  protected tidyBase(l: number): void {
    for (let k = 0; k < S.BASE_SETS; k++) if (!this.isEmpty(this.base(l, k))) return;
    this.baseUsed[l] = 0;
  }

  /**
   * Drops what messages and bases remember for readers or writers that there are none of. `row`: union over
   * all threads.
   */
  tidyMessages(reads: Uint32Array, writes: Uint32Array): void {
    for (let m = 0; m < this.count; m++) {
      const l = this.loc[m];
      if ((writes[l >> 5] & (1 << (l & 31))) === 0) this.empty(this.message(m, S.COVER));
    }
    for (let l = 0; l < this.locations; l++) {
      if (this.baseUsed[l] === 0) continue;
      const bit = 1 << (l & 31);
      if ((writes[l >> 5] & bit) === 0) this.empty(this.base(l, S.BASE_WRITE));
      if ((reads[l >> 5] & bit) === 0) {
        this.empty(this.base(l, S.BASE_READ));
        this.empty(this.base(l, S.BASE_KNOWN));
      }
      this.tidyBase(l);
    }
  }
}
