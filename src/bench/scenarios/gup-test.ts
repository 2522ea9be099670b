/**
 * The kernel side of the benchmarks, after mm/gup_test.c (Linux v7.1) and ib_umem_get() and
 * __ib_umem_release() of drivers/infiniband/core/umem.c (v5.10 and v5.13): the loops around the calls that
 * are measured. What is measured is mm/gup.ts; nothing here takes or drops a reference by itself.
 *
 * Custom: the scatterlist of a memory region is an array of pairs (first page, number of pages).
 */
"use kernel";

import type { LocalArray } from "../../machine/primitives.ts";
import {
  get_user_pages_fast_only,
  pin_user_pages_fast_only,
  unpin_user_page,
  unpin_user_pages,
} from "../../mm/gup.ts";
import { gup_fast, gup_locked } from "../../mm/gup_entry.ts";
import { FOLL_LONGTERM } from "../../mm/gup_flags.ts";
import { unpin_user_page_range_dirty_lock } from "../../mm/gup_unpin.ts";
import type { Mm } from "../../mm/mm_types.ts";
import { mmap_read_lock, mmap_read_unlock } from "../../mm/mmap.ts";
import { nth_page, type Page, page_maybe_dma_pinned } from "../../mm/page.ts";
import { put_page } from "../../mm/swap.ts";

export function gup_get(mm: Mm, start: number, nr: number, flags: number, pages: LocalArray): number {
  return get_user_pages_fast_only(mm, start, nr, flags, pages);
}
export function gup_pin(mm: Mm, start: number, nr: number, flags: number, pages: LocalArray): number {
  return pin_user_pages_fast_only(mm, start, nr, flags, pages);
}

/**
 * GUP_BASIC_TEST, PIN_BASIC_TEST: get_user_pages() and pin_user_pages(); the caller holds mmap_lock, as
 * gup_test does.
 */
export function gup_slow_get(mm: Mm, start: number, nr: number, flags: number, pages: LocalArray): number {
  return gup_locked(mm, start, nr, flags, pages, false, false);
}
export function gup_slow_pin(mm: Mm, start: number, nr: number, flags: number, pages: LocalArray): number {
  return gup_locked(mm, start, nr, flags, pages, true, false);
}
/** gup_test takes mmap_lock for the whole ioctl of a command that is not fast. */
export function gup_lock(mm: Mm): void {
  mmap_read_lock(mm);
}
export function gup_unlock(mm: Mm): void {
  mmap_read_unlock(mm);
}

/** put_back_pages() of gup_test for GET: a loop of put_page(). */
export function put_pages(pages: LocalArray, nr: number): void {
  for (let i = 0; i < nr; i++) put_page(pages[i]);
}
/** put_back_pages() for PIN. */
export function unpin_pages(pages: LocalArray, nr: number): void {
  unpin_user_pages(pages, nr);
}
/** Pages that lie one behind the other, nothing written: unpin_user_page_range_dirty_lock() (v5.13). */
export function unpin_range(page: Page, npages: number): void {
  unpin_user_page_range_dirty_lock(page, npages, false);
}

/**
 * ib_umem_get(): pin_user_pages_fast() with FOLL_LONGTERM, which leaves the fast path on device pages to
 * v6.16: pins nr pages from start in calls of `batch`, and appends them to the scatterlist, contiguous pages
 * merged. The number of entries, or -1 if a call fell short.
 */
export function umem_get(
  mm: Mm,
  start: number,
  nr: number,
  batch: number,
  flags: number,
  pages: LocalArray,
  sg: LocalArray,
): number {
  let nents = 0;
  let next: Page = 0;
  for (let done = 0; done < nr; ) {
    let want = batch;
    if (want > nr - done) want = nr - done;
    const got = gup_fast(mm, start + done, want, flags | FOLL_LONGTERM, pages, true);
    if (got !== want) return -1;
    for (let i = 0; i < got; i++) {
      const page: Page = pages[i];
      if (page === next) sg[2 * nents - 1] = sg[2 * nents - 1] + 1;
      else {
        sg[2 * nents] = page;
        sg[2 * nents + 1] = 1;
        nents++;
      }
      next = nth_page(page, 1);
    }
    done += got;
  }
  return nents;
}
/** __ib_umem_release() of v5.10: every page of every entry by itself. */
export function umem_release_each(sg: LocalArray, nents: number): void {
  for (let e = 0; e < nents; e++)
    for (let i = 0; i < sg[2 * e + 1]; i++) unpin_user_page(nth_page(sg[2 * e], i));
}
/** __ib_umem_release() of v5.13: unpin_user_page_range_dirty_lock() per entry. */
export function umem_release_range(sg: LocalArray, nents: number): void {
  for (let e = 0; e < nents; e++) unpin_range(sg[2 * e], sg[2 * e + 1]);
}

/** verify_dma_pinned(): the number of pages of the array that are not pinned. */
export function count_not_pinned(pages: LocalArray, nr: number): number {
  let bad = 0;
  for (let i = 0; i < nr; i++) if (!page_maybe_dma_pinned(pages[i])) bad++;
  return bad;
}
