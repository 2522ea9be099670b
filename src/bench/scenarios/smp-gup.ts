/**
 * Threads of the benchmark on several CPUs: one pins and unpins a range for a number of rounds, another
 * unmaps a leaf and maps it again meanwhile, as a driver whose pages are revoked would. What is measured is
 * how far they slow each other: the cache line of a shared head, and the IPI of the flush that waits for
 * walkers.
 */
"use kernel";

import { assert, assert_no_leak, localArray } from "../../machine/primitives.ts";
import { FAULT_FLAG_WRITE, handle_mm_fault } from "../../mm/fault.ts";
import { pin_user_pages_fast_only, unpin_user_pages } from "../../mm/gup.ts";
import type { Mm, Vma } from "../../mm/mm_types.ts";
import { nth_page, page_maybe_dma_pinned, pfn_to_page } from "../../mm/page.ts";
import { zap_page_range_single } from "../../mm/zap.ts";

/** Pages per call. */
const CALL = 512;

/** The number of calls of 512 pages that took all of them, of `rounds` passes over nr pages. */
export function pinner(mm: Mm, start: number, nr: number, rounds: number, flags: number): number {
  const pages = localArray(512);
  let whole = 0;
  for (let r = 0; r < rounds; r++)
    for (let at = 0; at < nr; at += CALL) {
      const got = pin_user_pages_fast_only(mm, start + at, CALL, flags, pages);
      if (got > 0) unpin_user_pages(pages, got);
      if (got === CALL) whole++;
    }
  return whole;
}

/** Takes one leaf of the area away and faults it in again, `rounds` times. */
export function unmapper(mm: Mm, vma: Vma, addr: number, rounds: number): number {
  for (let r = 0; r < rounds; r++) {
    zap_page_range_single(vma, addr, addr + CALL, true);
    assert(handle_mm_fault(mm, vma, addr, FAULT_FLAG_WRITE) === 0, "the leaf could not be faulted in again");
  }
  return rounds;
}

/** Nothing is pinned when all have ended. */
export function check_unpinned(nr: number): void {
  for (let i = 0; i < nr; i++)
    assert_no_leak(!page_maybe_dma_pinned(nth_page(pfn_to_page(0), i)), "a pin was not given back");
}
