/**
 * Sets of pages as runs: consecutive frames with consecutive identities. A mapping of 1 GiB is one run, so
 * that an observation costs what it shows and not what it spans.
 */

import { compareIds, follows, type PageId, shiftId } from "./identity.ts";

export interface PageRun {
  readonly pfn: number;
  n: number;
  readonly id: PageId;
}

export class PageRuns {
  private list: PageRun[] = [];

  add(pfn: number, n: number, id: PageId): void {
    const last = this.list[this.list.length - 1];
    if (last !== undefined && last.pfn + last.n === pfn && follows(last.id, id, last.n)) last.n += n;
    else this.list.push({ pfn, n, id });
  }

  /** Sorts by frame and removes what occurs twice. Frames have one identity each. */
  normalise(): void {
    const sorted = this.list.sort((a, b) => a.pfn - b.pfn || b.n - a.n);
    this.list = [];
    let end = 0;
    for (const r of sorted) {
      const skip = Math.max(0, Math.min(r.n, end - r.pfn));
      if (skip < r.n) this.add(r.pfn + skip, r.n - skip, shiftId(r.id, skip));
      end = Math.max(end, r.pfn + r.n);
    }
  }
  runs(): readonly PageRun[] {
    return this.list;
  }
  byIdentity(): PageRun[] {
    return [...this.list].sort((a, b) => compareIds(a.id, b.id));
  }

  /** The identity of a frame. Only of a normalised set. */
  find(pfn: number): PageId | undefined {
    let lo = 0;
    let hi = this.list.length - 1;
    while (lo <= hi) {
      const mid = (lo + hi) >> 1;
      const r = this.list[mid] as PageRun;
      if (pfn < r.pfn) hi = mid - 1;
      else if (pfn >= r.pfn + r.n) lo = mid + 1;
      else return shiftId(r.id, pfn - r.pfn);
    }
    return undefined;
  }

  /** The runs of this set whose frames are not in `other`; both normalised. */
  without(other: PageRuns): PageRuns {
    const out = new PageRuns();
    let i = 0;
    for (const r of this.list) {
      let pfn = r.pfn;
      const end = r.pfn + r.n;
      while (i > 0 && (other.list[i - 1] as PageRun).pfn + (other.list[i - 1] as PageRun).n > pfn) i--;
      while (pfn < end) {
        while (i < other.list.length && (other.list[i] as PageRun).pfn + (other.list[i] as PageRun).n <= pfn)
          i++;
        const next = other.list[i];
        const stop = next === undefined ? end : Math.min(end, Math.max(next.pfn, pfn));
        if (stop > pfn) out.add(pfn, stop - pfn, shiftId(r.id, pfn - r.pfn));
        pfn = next === undefined ? end : Math.max(stop, Math.min(end, next.pfn + next.n));
      }
    }
    return out;
  }
}
