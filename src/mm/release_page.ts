/**
 * What the last reference to a page of System RAM does (mm/swap.c: __page_cache_release(),
 * destroy_compound_page()): off the LRU and the split queue, back to the hugetlb pool or to the page
 * allocator.
 */
"use kernel";

import { free_huge_page } from "./hugetlb.ts";
import { compound_order, type Page, PageHuge } from "./page.ts";
import { free_the_pages } from "./page_alloc.ts";

/** __put_page() of a page that is not a device's: its count is 0. */
export function release_page(head: Page): void {
  if (PageHuge(head)) free_huge_page(head);
  else free_the_pages(head, compound_order(head));
}
