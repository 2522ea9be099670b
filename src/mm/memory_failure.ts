/**
 * Soft offlining (mm/memory-failure.c: soft_offline_page()): a page that still works is moved away and never used again. A page
 * that anybody else holds cannot be moved: -EBUSY.
 */
"use kernel";

import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { split_huge_page } from "./huge_memory.ts";
import { isolate_lru_page, MIGRATE_OK, migrate_page, putback_lru_page } from "./migrate.ts";
import { EBUSY } from "./mmap.ts";
import {
  compound_head,
  get_page,
  PAGE,
  type Page,
  PageHead,
  PG_hwpoison,
  page_word,
  SetPageFlag,
} from "./page.ts";
import { GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import { put_page } from "./swap.ts";

/** soft_offline_in_use_page(): 0, or -EBUSY. The old page keeps one reference for ever, so that nobody gets it. */
export function soft_offline_page(page: Page): number {
  const head = compound_head(page);
  if (PageHead(head)) {
    get_page(head);
    const error = split_huge_page(head);
    put_page(head);
    if (error !== 0) return -EBUSY;
  }
  if (!isolate_lru_page(page)) return -EBUSY;
  const mapping = READ_ONCE(page_word(page, PAGE.mapping));
  if (migrate_page(page, GFP_HIGHUSER_MOVABLE, -1) !== MIGRATE_OK) {
    putback_lru_page(page);
    return -EBUSY;
  }
  // The kernel leaves the poisoned page's mapping as it was.
  WRITE_ONCE(page_word(page, PAGE.mapping), mapping);
  SetPageFlag(page, PG_hwpoison);
  return 0;
}
