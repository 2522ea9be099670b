/**
 * Claims C2 and C3: what a pin counts and what an unpin counts must be the same struct page. A driver pins
 * the subpages of a device leaf and releases them in every order and grouping, through the kernel's own unpin
 * functions, which know nothing but the compound head.
 *
 * Custom: pin_on_tail() is the pin that the mail's reviewer warns of, one that counts on the struct page of
 * the subpage itself; no kernel ever had it. pin_leaf_if_compound() is v1 of the series (March 2021):
 * `next = PageCompound(head) ? end : addr + 4K` instead of a flag of the pagemap.
 */
"use kernel";

import {
  assert,
  assert_no_leak,
  choose,
  type LocalArray,
  localArray,
  READ_ONCE,
  smp_load_acquire,
  smp_store_release,
} from "../../machine/primitives.ts";
import {
  pin_user_pages_fast_only,
  try_grab_compound_head,
  unpin_user_page,
  unpin_user_pages,
} from "../../mm/gup.ts";
import { FOLL_PIN } from "../../mm/gup_flags.ts";
import { unpin_user_page_range_dirty_lock } from "../../mm/gup_unpin.ts";
import type { Mm, Vma } from "../../mm/mm_types.ts";
import {
  compound_head,
  GUP_PIN_COUNTING_BIAS,
  nth_page,
  type Page,
  PageHead,
  PageTail,
  page_pincount,
  page_ref_add,
  page_ref_count,
} from "../../mm/page.ts";
import { zap_page_range_single } from "../../mm/zap.ts";

/** Most pages that a scenario pins. */
const MAX = 4;

// ---- Pins -------------------------------------------------------------------------------------------------

/** Counts on the subpage itself, head or tail. */
function pin_on_tail(page: Page): boolean {
  if (page_ref_count(page) < 0) return false;
  page_ref_add(page, GUP_PIN_COUNTING_BIAS);
  return true;
}

/** v1 of the series: one grab where the page is compound, one per page where it is not. No flag is asked. */
function pin_leaf_if_compound(page: Page, nr: number, pages: LocalArray): number {
  let got = 0;
  while (got < nr) {
    const p = nth_page(page, got);
    const refs = PageHead(p) || PageTail(p) ? nr - got : 1;
    if (try_grab_compound_head(p, refs, FOLL_PIN) === 0) return got;
    for (let i = 0; i < refs; i++) pages[got + i] = nth_page(p, i);
    got += refs;
  }
  return got;
}

// ---- Releases ---------------------------------------------------------------------------------------------

/** Releases pages[0 .. nr-1], all different, in any order and by any of the kernel's functions. */
function unpin_in_any_order(pages: LocalArray, nr: number): void {
  const group = localArray(4);
  let left = nr;
  while (left > 0) {
    const how = choose(3);
    if (how === 0) {
      // unpin_user_page() of any of those that are left.
      const i = choose(left);
      unpin_user_page(pages[i]);
      left--;
      pages[i] = pages[left];
    } else if (how === 1) {
      // unpin_user_pages() of the last ones, rotated, so that runs of equal heads break anywhere.
      const n = 1 + choose(left);
      const turn = choose(n);
      for (let i = 0; i < n; i++) {
        let from = i + turn;
        if (from >= n) from -= n;
        group[i] = pages[left - n + from];
      }
      unpin_user_pages(group, n);
      left -= n;
    } else {
      // unpin_user_page_range_dirty_lock(), where what is left begins with consecutive pages.
      let n = 1;
      while (n < left && pages[n] === nth_page(pages[0], n)) n++;
      unpin_user_page_range_dirty_lock(pages[0], n, false);
      left -= n;
      for (let i = 0; i < left; i++) pages[i] = pages[i + n];
    }
  }
}

// ---- Threads ----------------------------------------------------------------------------------------------

/** Pins nr pages on the head or on the subpage itself, and releases them in every way. */
export function pinner(page: Page, nr: number, on_tail: number): void {
  const pages = localArray(4);
  for (let i = 0; i < nr; i++) {
    const p = nth_page(page, i);
    const ok = on_tail !== 0 ? pin_on_tail(p) : try_grab_compound_head(p, 1, FOLL_PIN) !== 0;
    assert(ok, "an idle page of a bound device can be pinned");
    pages[i] = p;
  }
  unpin_in_any_order(pages, nr);
}

/** Pins the subpages through the page tables: mm/gup.ts as configured. The number of pages had. */
export function gup_pinner(mm: Mm, addr: number, nr: number, flags: number): number {
  const pages = localArray(4);
  const got = pin_user_pages_fast_only(mm, addr, nr, flags, pages);
  if (got > 0) unpin_in_any_order(pages, got);
  return got;
}

/** v1's form on a leaf that is mapped as a whole. */
export function v1_pinner(page: Page, nr: number): void {
  const pages = localArray(4);
  const got = pin_leaf_if_compound(page, nr, pages);
  assert(got === nr, "an idle page of a bound device can be pinned");
  unpin_in_any_order(pages, got);
}

/** Pins on one CPU what another one releases: `box` carries it over. */
export function hand_over(page: Page, nr: number, on_tail: number, box: number): void {
  for (let i = 0; i < nr; i++) {
    const p = nth_page(page, i);
    const ok = on_tail !== 0 ? pin_on_tail(p) : try_grab_compound_head(p, 1, FOLL_PIN) !== 0;
    assert(ok, "an idle page of a bound device can be pinned");
  }
  smp_store_release(box, 1);
}
/** Releases them if they are there yet, and tells so in `done`. */
export function take_over(page: Page, nr: number, box: number, done: number): void {
  const pages = localArray(4);
  if (smp_load_acquire(box) === 0) return;
  for (let i = 0; i < nr; i++) pages[i] = nth_page(page, i);
  unpin_in_any_order(pages, nr);
  smp_store_release(done, 1);
}

/** Unmaps nr pages meanwhile. */
export function zapper(vma: Vma, addr: number, nr: number): void {
  zap_page_range_single(vma, addr, addr + nr, true);
}

// ---- At the end -------------------------------------------------------------------------------------------

/** Every count is what it was: `ref` for a page that is no tail, 0 for a tail; no pins. */
export function check_counts(page: Page, nr: number, ref: number, has_been: number): void {
  if (has_been !== 0 && READ_ONCE(has_been) === 0) return;
  for (let i = 0; i < nr && i < MAX; i++) {
    const p = nth_page(page, i);
    if (compound_head(p) !== p) {
      assert_no_leak(page_ref_count(p) === 0, "a tail page was left with references of its own");
      continue;
    }
    assert_no_leak(page_ref_count(p) === ref, "references are left over, or too many were dropped");
    assert_no_leak(page_pincount(p) === 0, "pins are left over");
  }
}

/**
 * Two devices of two pages: single ones that count `ref0` and `ref1`, and a compound one that counts `ref`.
 */
export function check_both(base: Page, compound: Page, ref0: number, ref1: number, ref: number): void {
  check_counts(base, 1, ref0, 0);
  check_counts(nth_page(base, 1), 1, ref1, 0);
  check_counts(compound, 2, ref, 0);
}
