/**
 * Releasing pins and dirtying what was written (mm/gup.c: unpin_user_pages_dirty_lock(),
 * unpin_user_page_range_dirty_lock()). The unlocked test of the dirty flag is the kernel's: racing writeback
 * either still writes the page, or writes it twice.
 */
"use kernel";

import { config } from "../machine/config.ts";
import type { LocalArray } from "../machine/primitives.ts";
import { put_compound_head, unpin_user_pages } from "./gup.ts";
import { FOLL_PIN } from "./gup_flags.ts";
import { compound_head, compound_nr, nth_page, type Page, PageDirty, PageHead, page_to_pfn } from "./page.ts";
import { set_page_dirty_lock } from "./page_writeback.ts";

/**
 * Releases pages[0 .. npages-1], marking them dirty if asked; grouped by head from v5.13. Read: v5.10,
 * v6.1, v6.12, v7.3.
 */
export function unpin_user_pages_dirty_lock(pages: LocalArray, npages: number, make_dirty: boolean): void {
  if (!make_dirty) {
    unpin_user_pages(pages, npages);
    return;
  }
  for (let i = 0; i < npages; ) {
    const head = compound_head(pages[i]);
    let refs = 1;
    if (config.unpinBatch) while (i + refs < npages && compound_head(pages[i + refs]) === head) refs++;
    if (!PageDirty(head)) set_page_dirty_lock(head);
    put_compound_head(head, refs, FOLL_PIN);
    i += refs;
  }
}

/** Releases npages consecutive pages from `page` on (v5.13, 458a4f788f33). Read: v6.1, v6.12, v7.3. */
export function unpin_user_page_range_dirty_lock(page: Page, npages: number, make_dirty: boolean): void {
  for (let i = 0; i < npages; ) {
    const next = nth_page(page, i);
    const head = compound_head(next);
    let refs = 1;
    if (PageHead(head)) {
      refs = compound_nr(head) - (page_to_pfn(next) - page_to_pfn(head));
      if (refs > npages - i) refs = npages - i;
    }
    if (make_dirty && !PageDirty(head)) set_page_dirty_lock(head);
    put_compound_head(head, refs, FOLL_PIN);
    i += refs;
  }
}
