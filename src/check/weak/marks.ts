/**
 * Marks of accesses to an object (see `mark` in views.ts) that say no more than another one. Whoever frees
 * the object has to come behind every mark of it. If whatever comes behind mark B comes behind mark A, too,
 * now and by that whatever happens, then A is never missed where B is not: it goes. Without this the states
 * of a program that reads an object again and again differ in nothing but how far each of its old accesses is
 * known.
 */

import * as S from "./sets.ts";
import { TidyViews } from "./tidyviews.ts";

export class Marks extends TidyViews {
  /** Takes out every mark that another one of the same object stands for. */
  mergeMarks(): void {
    const from = this.first(this.marks);
    if (this.count - from < 2) return;
    for (let a = this.count - 1; a >= from; a--) if (this.isStoodFor(a, from)) this.remove(a);
  }

  /**
   * Whether some mark from `from` on stands for mark `a`: every set that has it has `a`. Sets only grow by
   * others, so it stays so. A set of a thread may lack `a` if all that the thread does comes behind it
   * anyway: that is left out of its other sets (tidyThread).
   */
  private isStoodFor(a: number, from: number): boolean {
    const { s, words, columns } = this;
    const others = this.temporary(4);
    const node = this.node(a, 0);
    const word = node >> 5;
    const bit = 1 << (node & 31);
    this.empty(others);
    let left = false;
    for (let b = from; b < this.count; b++) {
      // Who made it need not come behind it.
      if (b === a || this.loc[b] !== this.loc[a] || (this.seenBy[b] & ~this.seenBy[a]) !== 0) continue;
      if (this.writer[b] !== this.writer[a]) continue;
      this.addOne(others, b * columns);
      left = true;
    }
    /** Drops those that are in a set which lacks `a`. */
    const look = (first: number, end: number): boolean => {
      for (let at = first; at < end; at += words) {
        if ((s[at + word] & bit) !== 0) continue;
        let rest = 0;
        for (let i = 0; i < words; i++) rest |= s[others + i] &= ~s[at + i];
        if (rest === 0) return false;
      }
      return true;
    };
    if (!left || !look(this.common(0), this.thread(0, 0))) return false;
    for (let t = 0; t < this.threads; t++) {
      if (this.has(this.thread(t, S.R_NEW), node) && this.has(this.thread(t, S.W_NEW), node)) continue;
      if (!look(this.thread(t, 0), this.slot(t, this.slots))) return false;
    }
    for (let l = 0; l < this.locations; l++)
      if (this.baseUsed[l] !== 0 && !look(this.base(l, 0), this.base(l + 1, 0))) return false;
    return look(this.message(0, 0), this.message(this.count, 0));
  }
}
