/**
 * The per-CPU batches of pages on their way to or between LRU lists (mm/swap.c: cpu_fbatches).
 * lru_cache_add(): a page in it has one reference more and PG_lru clear, which is what makes a freshly
 * faulted page look busy to migration (98c6d259319e). lru_lazyfree: pages that MADV_FREE gave up. The batch
 * of mlock() (mlock.ts) is drained after them.
 *
 * Custom: on a machine without batches (kernel.lru_add is 0) a page reaches the LRU at once; the LRU lists
 * themselves do not exist, only the flags that say that a page is on one. Not covered: batches that change
 * nothing but a page's age (rotate, deactivate, activate).
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { READ_ONCE, smp_processor_id, WRITE_ONCE } from "../machine/primitives.ts";
import { struct } from "../machine/struct.ts";
import { mlock_drain_local, set_mlock_count } from "./mlock.ts";
import { ADDRESS_SPACE, AS_SECRETMEM } from "./mm_types.ts";
import {
  ClearPageFlag,
  compound_head,
  get_page,
  PAGE,
  type Page,
  PageAnon,
  PageFlag,
  PageHead,
  PG_lru,
  PG_mlocked,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
  page_word,
  SetPageFlag,
  TestClearPageFlag,
} from "./page.ts";
import { put_page } from "./swap.ts";

/** PAGEVEC_SIZE: 15 to v6.8, 31 after (folio_batch). */
export const LRU_BATCH_MAX = 31;
export const LRU_BATCH = struct("folio_batch", ["nr", "folios"], 1 + LRU_BATCH_MAX);

// The batches, one behind the other from kernel.lru_add on.
const LRU_ADD = 0;
const LRU_LAZYFREE = 1;
/** mm/mlock.c: mlock_fbatch (v5.18). */
export const LRU_MLOCK = 2;
export const NR_LRU_BATCHES = 3;

/** Address of this CPU's batch of that kind. */
export function lru_batch(kind: number): number {
  return kernel.lru_add + (smp_processor_id() * NR_LRU_BATCHES + kind) * LRU_BATCH.SIZE;
}
/**
 * folio_batch_add(): false if the batch is full now. `entry`: the page, perhaps with bits that its address
 * has not.
 */
export function folio_batch_add(batch: number, entry: number): boolean {
  const nr = READ_ONCE(batch + LRU_BATCH.nr);
  WRITE_ONCE(batch + LRU_BATCH.folios + nr, entry);
  WRITE_ONCE(batch + LRU_BATCH.nr, nr + 1);
  return nr + 1 < config.lruBatch;
}

/** folio_evictable(): secret memory is unevictable as a whole (mapping_set_unevictable()). */
export function page_evictable(page: Page): boolean {
  if (kernel.secretmem !== 0 && !PageAnon(page)) {
    const mapping = READ_ONCE(page_word(page, PAGE.mapping));
    if (mapping !== 0 && READ_ONCE(mapping + ADDRESS_SPACE.kind) === AS_SECRETMEM) return false;
  }
  return !PageFlag(page, PG_mlocked);
}
/**
 * __pagevec_lru_add_fn(), lru_add_fn(), lru_add(). Read: v5.10, v6.1, v6.12, v7.3. Custom: as from v5.18 on;
 * v5.10 sets PG_lru first and then looks whether the page was locked, so that one of the two, this and
 * mlock(), sees the other.
 */
function lru_add_fn(page: Page): void {
  const was_unevictable = TestClearPageFlag(page, PG_unevictable);
  if (!page_evictable(page)) {
    SetPageFlag(page, PG_unevictable);
    // "Err on the safe side, underestimate, let page reclaim fix it."
    set_mlock_count(page, 0);
  } else if (was_unevictable) ClearPageFlag(page, PG_unevictable);
  SetPageFlag(page, PG_lru);
}
/**
 * lru_lazyfree_fn(), lru_lazyfree(): a page on the LRU that is evictable becomes one that is not backed by
 * swap. Read: v5.10, v6.1, v6.12, v7.3.
 */
function lru_lazyfree_fn(page: Page): void {
  if (may_be_lazyfree(page)) ClearPageFlag(page, PG_swapbacked);
}
function may_be_lazyfree(page: Page): boolean {
  return (
    PageAnon(page) &&
    PageFlag(page, PG_swapbacked) &&
    !PageFlag(page, PG_swapcache) &&
    !PageFlag(page, PG_unevictable)
  );
}

/**
 * pagevec_lru_move_fn(), folio_batch_move_lru(): the batch's pages are dealt with, its references go. A page
 * that is moved is off the LRU meanwhile: nobody else isolates it. Read: v5.10, v6.1, v6.12, v7.3. Custom:
 * v5.10 holds the LRU's lock instead; v7.3 frees a page that only the batch holds without a turn on the LRU.
 */
function lru_batch_move(kind: number): void {
  const batch = lru_batch(kind);
  const nr = READ_ONCE(batch + LRU_BATCH.nr);
  WRITE_ONCE(batch + LRU_BATCH.nr, 0);
  for (let i = 0; i < nr; i++) {
    const page: Page = READ_ONCE(batch + LRU_BATCH.folios + i);
    if (kind === LRU_ADD) lru_add_fn(page);
    else if (TestClearPageFlag(page, PG_lru)) {
      lru_lazyfree_fn(page);
      SetPageFlag(page, PG_lru);
    }
    put_page(page);
  }
}
/**
 * folio_batch_add_and_move(): compound pages and a full batch go at once. Read: v5.10, v6.1, v6.12, v7.3.
 * Custom: to v6.1 the reference is the caller's to take. Stub: lru_cache_disable(), as of a migration.
 */
function lru_batch_add(kind: number, page: Page): void {
  if (kernel.lru_add === 0) {
    if (kind === LRU_ADD) lru_add_fn(page);
    else lru_lazyfree_fn(page);
    return;
  }
  get_page(page);
  if (!folio_batch_add(lru_batch(kind), page) || PageHead(page)) lru_batch_move(kind);
}

/**
 * lru_add_drain_cpu(), lru_add_drain(), lru_add_drain_all(). Read: v5.10, v6.1, v6.12, v7.3. Custom: the
 * batches of this CPU only.
 */
export function lru_add_drain(): void {
  if (kernel.lru_add === 0) return;
  lru_batch_move(LRU_ADD);
  lru_batch_move(LRU_LAZYFREE);
  if (!config.follMlock) mlock_drain_local();
}
/** lru_cache_add(), folio_add_lru(). Read: v5.10, v6.1, v6.12, v7.3. */
export function lru_cache_add(page: Page): void {
  lru_batch_add(LRU_ADD, page);
}
/** mark_page_lazyfree(), folio_mark_lazyfree(). Read: v5.10, v6.1, v6.12, v7.3. */
export function mark_page_lazyfree(page: Page): void {
  const head = compound_head(page);
  if (PageFlag(head, PG_lru) && may_be_lazyfree(head)) lru_batch_add(LRU_LAZYFREE, head);
}

/** The page is in the batch on its way to the LRU. */
export function page_in_lru_batch(page: Page): boolean {
  const batch = lru_batch(LRU_ADD);
  const head = compound_head(page);
  const nr = READ_ONCE(batch + LRU_BATCH.nr);
  for (let i = 0; i < nr; i++) if (READ_ONCE(batch + LRU_BATCH.folios + i) === head) return true;
  return false;
}
