/**
 * mmu_gather (mm/mmu_gather.c, include/asm-generic/tlb.h): entries are cleared first, then the TLB is
 * flushed, and only then are the pages and tables that they led to given back. Tables go at once after the
 * flush where flushes are IPIs, and after an RCU grace period elsewhere (MMU_GATHER_RCU_TABLE_FREE).
 *
 * Custom: a gather is a thread-private array of one small batch, flushed when full, instead of a list of
 * pages of pointers; every table is passed to call_rcu() by itself instead of a page of them at a time. Not
 * covered: range tracking (every flush is of the whole address space), nested flushes of concurrent gathers
 * (mm_tlb_flush_nested()).
 */
"use kernel";

import { TABLE_FREE_RCU } from "../machine/arch.ts";
import { arch, config } from "../machine/config.ts";
import { call_rcu, kfree, type LocalArray } from "../machine/primitives.ts";
import type { Page } from "./page.ts";
import type { TablePtr } from "./pgtable.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range, tlb_remove_table_sync_one } from "./tlb.ts";

/**
 *  word 0 need_flush   an entry was cleared since the last flush
 *       1 nr_pages     2..9    pages to put after the flush
 *      10 nr_tables    11..14  tables to free after the flush
 */
export const MMU_GATHER_SIZE = 15;
const NEED_FLUSH = 0;
const NR_PAGES = 1;
const PAGES = 2;
const NR_TABLES = 10;
const TABLES = 11;
/** Pages and tables of a batch. */
export const MMU_GATHER_BUNDLE = 8;
export const MMU_GATHER_TABLES = 4;

export function tlb_gather_mmu(tlb: LocalArray): void {
  tlb[NEED_FLUSH] = 0;
  tlb[NR_PAGES] = 0;
  tlb[NR_TABLES] = 0;
}

/** Callback of call_rcu(): no lockless walker can hold the table any more. */
export function tlb_remove_table_rcu(table: TablePtr): void {
  kfree(table);
}

function tlb_flush_mmu_tlbonly(tlb: LocalArray): void {
  if (tlb[NEED_FLUSH] === 0) return;
  tlb[NEED_FLUSH] = 0;
  flush_tlb_range();
}

/** Flushes, then puts the pages and frees the tables gathered so far. */
export function tlb_flush_mmu(tlb: LocalArray): void {
  tlb_flush_mmu_tlbonly(tlb);
  for (let i = 0; i < tlb[NR_PAGES]; i++) put_page(tlb[PAGES + i]);
  tlb[NR_PAGES] = 0;
  for (let i = 0; i < tlb[NR_TABLES]; i++) {
    if (arch.tableFree === TABLE_FREE_RCU) call_rcu(tlb[TABLES + i], tlb_remove_table_rcu);
    else kfree(tlb[TABLES + i]);
  }
  tlb[NR_TABLES] = 0;
}

/** An entry was cleared. */
export function tlb_remove_tlb_entry(tlb: LocalArray): void {
  tlb[NEED_FLUSH] = 1;
}

/** Queues the reference of a cleared entry; true if the batch is full and must be flushed. */
export function __tlb_remove_page(tlb: LocalArray, page: Page): boolean {
  tlb[PAGES + tlb[NR_PAGES]] = page;
  tlb[NR_PAGES] = tlb[NR_PAGES] + 1;
  return tlb[NR_PAGES] === MMU_GATHER_BUNDLE;
}

/** Queues a table that no entry leads to any more. */
export function tlb_remove_table(tlb: LocalArray, table: TablePtr): void {
  tlb[NEED_FLUSH] = 1;
  if (arch.tableFree === TABLE_FREE_RCU && config.tableBatchFails) {
    // tlb_remove_table_one(): no memory for the batch, so wait for the walkers here and now (v5.10 to v6.x).
    tlb_flush_mmu_tlbonly(tlb);
    tlb_remove_table_sync_one();
    kfree(table);
    return;
  }
  tlb[TABLES + tlb[NR_TABLES]] = table;
  tlb[NR_TABLES] = tlb[NR_TABLES] + 1;
  if (tlb[NR_TABLES] === MMU_GATHER_TABLES) tlb_flush_mmu(tlb);
}

export function tlb_finish_mmu(tlb: LocalArray): void {
  tlb_flush_mmu(tlb);
}
