/**
 * States as words: messages, bases and the sets of everybody in one sequence, what is a thread's own in
 * another, sets that are empty left out. Values of bases are kept apart (statetable.ts).
 */

import { Marks } from "./marks.ts";
import * as S from "./sets.ts";

export class SavedViews extends Marks {
  /**
   * Writes the sets from `first` up to `end`, but `without`, to `out` from `n` on: which are not empty, and
   * those.
   */
  private saveSets(out: Int32Array, n: number, first: number, end: number, without: number): number {
    const { s, words } = this;
    let at = n;
    for (let from = first; from < end; ) {
      const mask = at++;
      out[mask] = 0;
      for (let b = 0; b < 32 && from < end; b++, from += words) {
        if (from === without || this.isEmpty(from)) continue;
        out[mask] |= 1 << b;
        for (let i = 0; i < words; i++) out[at++] = s[from + i];
      }
    }
    return at;
  }

  private loadSets(from: Int32Array, n: number, first: number, end: number): number {
    const { s, words } = this;
    let at = n;
    s.fill(0, first, end);
    for (let to = first; to < end; ) {
      const mask = from[at++];
      for (let b = 0; b < 32 && to < end; b++, to += words)
        if ((mask & (1 << b)) !== 0) for (let i = 0; i < words; i++) s[to + i] = from[at++];
    }
    return at;
  }

  /** Words that `saveShared` or `saveThread` may need, at most. */
  get savedWords(): number {
    return 4 + this.capacity * 6 + this.locations * 2 + 2 * this.s.length;
  }

  /**
   * Writes messages, bases and the sets of everybody to `out`; gives how many words. Values of bases are
   * apart.
   */
  saveShared(out: Int32Array): number {
    const { s, words } = this;
    let n = 0;
    const awaited = this.anyPromised;
    out[n++] = this.count | (awaited ? 1 << 16 : 0);
    for (let m = 0; m < this.count; m++) {
      out[n++] = this.loc[m] | (this.flags[m] << 24);
      out[n++] = this.val[m];
      if (this.propagates) {
        out[n++] = this.writer[m];
        n = this.saveSets(out, n, this.message(m, 0), this.message(m + 1, 0), this.forward(m));
        continue;
      }
      for (let i = this.message(m, 0), e = this.forward(m); i < e; i++) out[n++] = s[i];
      if (awaited) for (let i = this.known(m), e = i + words; i < e; i++) out[n++] = s[i];
    }
    for (let l = 0; l < this.locations; l++) {
      if (this.baseUsed[l] === 0) continue;
      out[n++] = l;
      n = this.saveSets(out, n, this.base(l, 0), this.base(l + 1, 0), -1);
    }
    out[n++] = -1;
    for (let i = this.common(0), e = i + S.COMMON_SETS * words; i < e; i++) out[n++] = s[i];
    return n;
  }

  loadShared(from: Int32Array): void {
    const { s, words } = this;
    for (let l = 0; l < this.locations; l++) {
      if (this.baseUsed[l] === 0) continue;
      s.fill(0, this.base(l, 0), this.base(l + 1, 0));
      this.baseUsed[l] = 0;
    }
    let n = 0;
    const awaited = from[n] >> 16 !== 0;
    const count = from[n++] & 0xffff;
    if (count < this.count) s.fill(0, this.message(count, 0), this.message(this.count, 0));
    this.count = count;
    for (let m = 0; m < count; m++) {
      this.loc[m] = from[n] & 0xffffff;
      this.flags[m] = from[n++] >>> 24;
      this.val[m] = from[n++];
      this.seenBy[m] = 0;
      this.owner[m] = -1;
      this.origin[m] = -1;
      if (this.propagates) {
        this.writer[m] = from[n++];
        n = this.loadSets(from, n, this.message(m, 0), this.message(m + 1, 0));
        continue;
      }
      for (let i = this.message(m, 0), e = this.forward(m); i < e; i++) s[i] = from[n++];
      for (let i = this.known(m), e = i + words; i < e; i++) s[i] = awaited ? from[n++] : 0;
      this.empty(this.forward(m));
    }
    for (let l = from[n++]; l >= 0; l = from[n++]) {
      this.baseUsed[l] = 1;
      n = this.loadSets(from, n, this.base(l, 0), this.base(l + 1, 0));
    }
    for (let i = this.common(0), e = i + S.COMMON_SETS * words; i < e; i++) s[i] = from[n++];
  }

  /**
   * Writes what is thread `t`'s own to `out` from `n` on: its sets (those that are not empty), what it has
   * seen, what it forwards.
   */
  saveThread(t: number, slots: number, out: Int32Array, n: number): number {
    const { s, words } = this;
    let at = this.saveSets(out, n, this.thread(t, 0), this.slot(t, slots), -1);
    const bit = 1 << t;
    for (let m = 0; m < this.count; m++) {
      const own = this.owner[m] === t;
      if (!own && (this.seenBy[m] & bit) === 0) continue;
      out[at++] = m | (own ? 1 << 30 : 0) | ((this.seenBy[m] & bit) !== 0 ? 1 << 29 : 0);
      if (own) for (let i = 0, f = this.forward(m); i < words; i++) out[at++] = s[f + i];
    }
    out[at++] = -1;
    return at;
  }

  /** Behind `loadShared`. */
  loadThread(t: number, slots: number, from: Int32Array, n: number): void {
    const { s, words } = this;
    let at = this.loadSets(from, n, this.thread(t, 0), this.slot(t, slots));
    for (let x = from[at++]; x >= 0; x = from[at++]) {
      const m = x & 0xffffff;
      if ((x & (1 << 29)) !== 0) this.seenBy[m] |= 1 << t;
      if ((x & (1 << 30)) === 0) continue;
      this.owner[m] = t;
      for (let i = 0, f = this.forward(m); i < words; i++) s[f + i] = from[at++];
    }
  }
}
