/**
 * The per-CPU batch of pages on their way to the LRU lists (mm/swap.c: lru_cache_add(), lru_add_drain()): a
 * page in it has one reference more and PG_lru clear, which is what makes a freshly faulted page look busy to
 * migration (98c6d259319e). Also mlocked pages: they become unevictable when they reach the LRU.
 *
 * Custom: one batch, the LRU lists themselves do not exist, only the flags that say that a page is on one.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { struct } from "../machine/struct.ts";
import {
  compound_head,
  get_page,
  type Page,
  PageFlag,
  PageHead,
  PG_lru,
  PG_mlocked,
  PG_unevictable,
  SetPageFlag,
} from "./page.ts";
import { put_page } from "./swap.ts";

/** PAGEVEC_SIZE: 15 to v6.7, 31 after (folio_batch). */
export const LRU_BATCH_MAX = 31;
export const LRU_BATCH = struct("folio_batch", ["nr", "folios"], 1 + LRU_BATCH_MAX);

/** __pagevec_lru_add_fn(). */
function lru_add_fn(page: Page): void {
  SetPageFlag(page, PG_lru);
  if (PageFlag(page, PG_mlocked)) SetPageFlag(page, PG_unevictable);
}

/** lru_add_drain(), lru_add_drain_all(): the batch reaches the LRU, its references go. */
export function lru_add_drain(): void {
  const batch = kernel.lru_add;
  const nr = READ_ONCE(batch + LRU_BATCH.nr);
  WRITE_ONCE(batch + LRU_BATCH.nr, 0);
  for (let i = 0; i < nr; i++) {
    const page: Page = READ_ONCE(batch + LRU_BATCH.folios + i);
    lru_add_fn(page);
    put_page(page);
  }
}

/** lru_cache_add(): compound pages and a full batch go at once. */
export function lru_cache_add(page: Page): void {
  const batch = kernel.lru_add;
  get_page(page);
  const nr = READ_ONCE(batch + LRU_BATCH.nr);
  WRITE_ONCE(batch + LRU_BATCH.folios + nr, page);
  WRITE_ONCE(batch + LRU_BATCH.nr, nr + 1);
  if (nr + 1 === config.lruBatch || PageHead(page)) lru_add_drain();
}

/** The page is in the batch. */
export function page_in_lru_batch(page: Page): boolean {
  const batch = kernel.lru_add;
  const head = compound_head(page);
  const nr = READ_ONCE(batch + LRU_BATCH.nr);
  for (let i = 0; i < nr; i++) if (READ_ONCE(batch + LRU_BATCH.folios + i) === head) return true;
  return false;
}
