/**
 * Taking System RAM away (mm/memory_hotplug.c, v5.10 to v7.1): offline_pages() moves every page out of a
 * range, again and again until none is left or a signal comes, and remove_memory() then frees its struct
 * pages. Also pfn_to_online_page(), by which frame walkers ask whether a frame is theirs to look at, and the
 * lock by which they can keep it so.
 *
 * Custom: one zone; a page block counts as isolated because its frames are in a pool that nobody allocates
 * from (ram_page.ts); scanning goes by frames. Not covered: memory_notify() vetoes, hugetlb pages, node
 * states, page allocator bookkeeping.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { READ_ONCE, xchg } from "../machine/primitives.ts";
import { EINTR } from "./errno.ts";
import { migrate_system_page } from "./migrate_device.ts";
import { type Page, PageFlag, PG_buddy, page_ref_count, pfn_to_page } from "./page.ts";
import { get_dev_pagemap, put_dev_pagemap } from "./pgmap.ts";
import { down_read, down_write, up_read, up_write } from "./rwsem.ts";
import {
  MEM_SECTION,
  online_section,
  pfn_to_section,
  pfn_valid,
  SECTION_IS_ONLINE,
  SECTION_TAINT_ZONE_DEVICE,
  section_clear_flags,
  section_deactivate,
} from "./sparse.ts";
import { put_page } from "./swap.ts";

// ---- The lock ---------------------------------------------------------------------------------------------

/** get_online_mems(): no memory goes offline or away until put_online_mems(). */
export function get_online_mems(): void {
  down_read(kernel.mem_hotplug_lock);
}
export function put_online_mems(): void {
  up_read(kernel.mem_hotplug_lock);
}
function mem_hotplug_begin(): void {
  down_write(kernel.mem_hotplug_lock);
}
function mem_hotplug_done(): void {
  up_write(kernel.mem_hotplug_lock);
}

// ---- Asking -----------------------------------------------------------------------------------------------

/**
 * pfn_to_online_page(): the struct page of a frame of online System RAM, or 0. Nothing is held: it may go
 * offline right after. Read: v6.1, v6.12, v7.3. Custom: pfn_valid(), with its RCU section since v6.8,
 * where the kernel calls pfn_section_valid() outside of one unless an architecture has a pfn_valid() of
 * its own: the usage map can be freed under it there.
 */
export function pfn_to_online_page(pfn: number): Page {
  const ms = pfn_to_section(pfn);
  if (!online_section(ms)) return 0;
  if (!pfn_valid(pfn)) return 0;
  if (config.sectionTaint) {
    if ((READ_ONCE(ms + MEM_SECTION.section_mem_map) & SECTION_TAINT_ZONE_DEVICE) === 0)
      return pfn_to_page(pfn);
    // "Slowpath: when ZONE_DEVICE collides with ZONE_{NORMAL,MOVABLE} within the same section some pfns in
    // the section may be 'offline' but 'valid'."
    const pgmap = get_dev_pagemap(pfn, 0);
    put_dev_pagemap(pgmap);
    if (pgmap !== 0) return 0;
  }
  return pfn_to_page(pfn);
}

// ---- LRU batches ------------------------------------------------------------------------------------------

/**
 * lru_cache_add() into a batch of one CPU, whose reference keeps the page from moving; kernel.lru_batch is
 * one word.
 */
export function lru_batch_add(page: Page): void {
  const old = xchg(kernel.lru_batch, page);
  if (old !== 0) put_page(old);
}
/** lru_add_drain_all() */
function lru_add_drain_all(): void {
  const page = xchg(kernel.lru_batch, 0);
  if (page !== 0) put_page(page);
}

// ---- Offline ----------------------------------------------------------------------------------------------

/**
 * A frame of the range that still holds a page in use; `nr` if there is none (scan_movable_pages()). Read:
 * v5.10. Custom: a page is found by its count, in the kernel by PageLRU() and its kin.
 */
function scan_movable_pages(start_pfn: number, nr: number, from: number): number {
  let i = from;
  while (i < nr && page_ref_count(pfn_to_page(start_pfn + i)) === 0) i++;
  return i;
}
/** test_pages_isolated(): every frame is in the free lists, so that nobody is still at freeing one. */
function test_pages_isolated(start_pfn: number, nr: number): boolean {
  if (!config.isolatedTest) return true;
  for (let i = 0; i < nr; i++) if (!PageFlag(pfn_to_page(start_pfn + i), PG_buddy)) return false;
  return true;
}

/**
 * Anything that wakes offline_pages() up early, a word: a signal is pending (kernel.signal_pending; 0:
 * never).
 */
function signal_pending(): boolean {
  return kernel.signal_pending !== 0 && READ_ONCE(kernel.signal_pending) !== 0;
}

/**
 * offline_pages(): returns 0 when no frame of the range is in use and the section is offline, -EINTR after
 * a signal. There is no other way out: a page that cannot be moved is tried again for ever. Caller holds
 * nothing. Read: v5.10. Stub: isolating the range, notifiers and what is written down of zone and node are
 * left out; a page that cannot be moved for good (PageOffline()) does not end the loop; drain_all_pages()
 * between two looks.
 */
export function offline_pages(start_pfn: number, nr: number): number {
  mem_hotplug_begin();
  do {
    let i = 0;
    do {
      if (signal_pending()) {
        mem_hotplug_done();
        return -EINTR;
      }
      if (kernel.lru_batch !== 0 && config.lruDrain) lru_add_drain_all();
      i = scan_movable_pages(start_pfn, nr, i);
      // do_migrate_range(): the result is not looked at.
      if (i < nr) migrate_system_page(pfn_to_page(start_pfn + i));
    } while (i < nr);
  } while (!test_pages_isolated(start_pfn, nr));
  const ms = pfn_to_section(start_pfn);
  section_clear_flags(ms, SECTION_IS_ONLINE);
  mem_hotplug_done();
  return 0;
}

/** remove_memory(): the struct pages of an offline range go. */
export function remove_memory(start_pfn: number, nr: number): void {
  mem_hotplug_begin();
  section_deactivate(start_pfn, nr);
  mem_hotplug_done();
}
