/**
 * mmu_gather (mm/mmu_gather.c, include/asm-generic/tlb.h): entries are cleared first, then the TLB is
 * flushed, and only then are the tables and pages that they led to given back. Where flushes are IPIs tables
 * go at once after the flush, elsewhere after an RCU grace period (MMU_GATHER_RCU_TABLE_FREE). Of a file page
 * whose entry was dirty the entry is uncounted after the flush only (v6.2): to then another CPU can dirty it
 * through its old translation.
 *
 * Read: v5.10, v6.1, v6.12, v7.3. Custom: a gather is a thread-private array of one batch
 * (config.gatherBundle), flushed when full, instead of a list of pages of pointers; every table is passed to
 * call_rcu() by itself instead of a page of them at a time. Not covered: range tracking (every flush is of
 * the whole address space), nested flushes of concurrent gathers (mm_tlb_flush_nested()), architectures whose
 * hardware walkers do not need an invalidation before tables go (tlb_needs_table_invalidate()).
 */
"use kernel";

import { TABLE_FREE_RCU } from "../machine/arch.ts";
import { arch, config, kernel } from "../machine/config.ts";
import { call_rcu, kfree, type LocalArray, synchronize_rcu } from "../machine/primitives.ts";
import type { Vma } from "./mm_types.ts";
import { compound_head, type Page, PageFlag, PG_swapcache } from "./page.ts";
import type { TablePtr } from "./pgtable.ts";
import { page_mapped, page_remove_rmap_pte, page_remove_rmap_ptes } from "./rmap.ts";
import { put_page, put_page_refs } from "./swap.ts";
import { try_to_free_swap } from "./swap_state.ts";
import { flush_tlb_range, tlb_remove_table_sync_one } from "./tlb.ts";

/** Entries of a batch of pages at most, and of tables. */
export const MMU_GATHER_BUNDLE = 8;
export const MMU_GATHER_TABLES = 4;

/**
 *  word 0 need_flush    an entry was cleared since the last flush
 *       1 delayed_rmap  a page of the batch is still counted as mapped
 *       2 nr_pages      3..10 pages to put after the flush, plus 1 if still counted
 *                       11..18 how many references each
 *      19 nr_tables     20..23  tables to free after the flush
 */
export const MMU_GATHER_SIZE = 4 + 2 * MMU_GATHER_BUNDLE + MMU_GATHER_TABLES;
const NEED_FLUSH = 0;
const DELAYED_RMAP = 1;
const NR_PAGES = 2;
const PAGES = 3;
const REFS = PAGES + MMU_GATHER_BUNDLE;
const NR_TABLES = REFS + MMU_GATHER_BUNDLE;
const TABLES = NR_TABLES + 1;

export function tlb_gather_mmu(tlb: LocalArray): void {
  tlb[NEED_FLUSH] = 0;
  tlb[DELAYED_RMAP] = 0;
  tlb[NR_PAGES] = 0;
  tlb[NR_TABLES] = 0;
}

// ---- Pages ------------------------------------------------------------------------------------------------

/** An entry was cleared. */
export function tlb_remove_tlb_entry(tlb: LocalArray): void {
  tlb[NEED_FLUSH] = 1;
}

/**
 * __tlb_remove_folio_pages(), __tlb_remove_page() to v6.8: queues the `nr` references of cleared entries that
 * mapped `page` and what follows it; with `delay_rmap` they are still counted as mapped. True if the batch is
 * full and must be flushed.
 */
export function __tlb_remove_page(tlb: LocalArray, page: Page, nr: number, delay_rmap: boolean): boolean {
  const i = tlb[NR_PAGES];
  tlb[PAGES + i] = delay_rmap ? page + 1 : page;
  tlb[REFS + i] = nr;
  if (delay_rmap) tlb[DELAYED_RMAP] = 1;
  tlb[NR_PAGES] = i + 1;
  return i + 1 === config.gatherBundle;
}

/** tlb_flush_rmaps(): after the flush, and under the lock of the tables still. */
export function tlb_flush_rmaps(tlb: LocalArray, vma: Vma): void {
  if (tlb[DELAYED_RMAP] === 0) return;
  for (let i = 0; i < tlb[NR_PAGES]; i++) {
    if ((tlb[PAGES + i] & 1) === 0) continue;
    const page: Page = tlb[PAGES + i] - 1;
    tlb[PAGES + i] = page;
    if (tlb[REFS + i] === 1) page_remove_rmap_pte(page, vma);
    else page_remove_rmap_ptes(page, tlb[REFS + i], vma);
  }
  tlb[DELAYED_RMAP] = 0;
}

/** free_pages_and_swap_cache() of one entry: what nobody maps any more need not stay in the swap cache. */
function free_page_and_swap_cache(page: Page, refs: number): void {
  if (kernel.nr_swap !== 0 && PageFlag(page, PG_swapcache) && !page_mapped(page)) try_to_free_swap(page);
  if (refs === 1) put_page(page);
  else put_page_refs(compound_head(page), refs);
}
function tlb_batch_pages_flush(tlb: LocalArray): void {
  for (let i = 0; i < tlb[NR_PAGES]; i++) free_page_and_swap_cache(tlb[PAGES + i], tlb[REFS + i]);
  tlb[NR_PAGES] = 0;
}

// ---- Tables -----------------------------------------------------------------------------------------------

/** Callback of call_rcu(): no lockless walker can hold the table any more. */
export function tlb_remove_table_rcu(table: TablePtr): void {
  kfree(table);
}
/** tlb_remove_table_free(); where flushes are IPIs the flush before it was the wait. */
function tlb_remove_table_free(table: TablePtr): void {
  if (arch.tableFree === TABLE_FREE_RCU && config.tableRcu) call_rcu(table, tlb_remove_table_rcu);
  else kfree(table);
}
/** tlb_remove_table_one(): no memory for a batch, so the walkers are waited for here and now. */
function tlb_remove_table_one(table: TablePtr): void {
  // v7.3 without CONFIG_PT_RECLAIM: tlb_remove_table_sync_rcu().
  if (config.tableOneRcu) {
    if (config.syncOne) synchronize_rcu();
  } else tlb_remove_table_sync_one();
  kfree(table);
}
function tlb_table_flush(tlb: LocalArray): void {
  // tlb_table_invalidate()
  if (tlb[NR_TABLES] !== 0) tlb_flush_mmu_tlbonly(tlb);
  for (let i = 0; i < tlb[NR_TABLES]; i++) tlb_remove_table_free(tlb[TABLES + i]);
  tlb[NR_TABLES] = 0;
}

/** pte_free_tlb() and its kin, tlb_remove_table(): queues a table that no entry leads to any more. */
export function tlb_remove_table(tlb: LocalArray, table: TablePtr): void {
  tlb[NEED_FLUSH] = 1;
  if (arch.tableFree === TABLE_FREE_RCU && config.tableBatchFails) {
    tlb_flush_mmu_tlbonly(tlb);
    tlb_remove_table_one(table);
    return;
  }
  tlb[TABLES + tlb[NR_TABLES]] = table;
  tlb[NR_TABLES] = tlb[NR_TABLES] + 1;
  if (tlb[NR_TABLES] === MMU_GATHER_TABLES) tlb_table_flush(tlb);
}

// ---- Flushing ---------------------------------------------------------------------------------------------

export function tlb_flush_mmu_tlbonly(tlb: LocalArray): void {
  if (tlb[NEED_FLUSH] === 0) return;
  tlb[NEED_FLUSH] = 0;
  flush_tlb_range();
}

/** Flushes, then frees the tables and puts the pages gathered so far. */
export function tlb_flush_mmu(tlb: LocalArray): void {
  tlb_flush_mmu_tlbonly(tlb);
  tlb_table_flush(tlb);
  tlb_batch_pages_flush(tlb);
}

/** tlb_remove_page_size(): as __tlb_remove_page() of one reference, where no lock is held. */
export function tlb_remove_page(tlb: LocalArray, page: Page): void {
  if (__tlb_remove_page(tlb, page, 1, false)) tlb_flush_mmu(tlb);
}

export function tlb_finish_mmu(tlb: LocalArray): void {
  tlb_flush_mmu(tlb);
}
