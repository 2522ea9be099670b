/**
 * Swap slots and the swap cache (mm/swap_state.c, mm/swapfile.c), on a device that reads and writes at once
 * (zram, SWP_SYNCHRONOUS_IO). A slot counts the page-table entries that name it; a page in the swap cache has
 * PG_swapcache, its slot in page->private, and one reference more.
 *
 * Slots are given out in ascending order from where the last one was (an SSD's cluster, 256 slots, and the
 * per-CPU cache of 64 in front of it), and a freed one not before the device has been gone through. What
 * readahead around a slot finds depends on that.
 *
 * Custom: one device, contents are kept in the slot; slot 0 is the header, as on a disk, and keeps what the
 * kernel has in static variables. Not covered: readahead by address (swap_vma_readahead()) for anonymous
 * pages that two processes share.
 */
"use kernel";

import { geom, kernel } from "../machine/config.ts";
import { assert, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { struct } from "../machine/struct.ts";
import { lru_add_drain, lru_cache_add } from "./lru.ts";
import {
  ClearPageFlag,
  get_page,
  PAGE,
  type Page,
  PageFlag,
  PG_dirty,
  PG_readahead,
  PG_swapbacked,
  PG_swapcache,
  PG_uptodate,
  page_address,
  page_word,
  SetPageDirty,
  SetPageFlag,
} from "./page.ts";
import { alloc_pages } from "./page_alloc.ts";
import { put_page } from "./swap.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";

/** Words of contents that a slot can keep. */
const SLOT_DATA = 4;
export const SWAP_SLOT = struct("swap_slot", ["count", "page", "data"], 2 + SLOT_DATA);

/**
 * Slot 0. `next`: where the search for a free slot begins. The rest are static variables of mm/swap_state.c.
 */
export const SWAP_HEADER = struct(
  "swap_header",
  ["next", "readahead_hits", "last_readahead_pages", "prev_offset"],
  2 + SLOT_DATA,
);
/** Boot value of swapin_readahead_hits. */
export const READAHEAD_HITS_INIT = 4;

function slot_at(slot: number): number {
  return kernel.swap_map + slot * SWAP_SLOT.SIZE;
}
function swap_cache_page(slot: number): Page {
  return READ_ONCE(slot_at(slot) + SWAP_SLOT.page);
}
/**
 * lookup_swap_cache(): the page in the swap cache for the slot, or 0. One that was read ahead counts as a
 * hit, once.
 */
export function lookup_swap_cache(slot: number): Page {
  const page = swap_cache_page(slot);
  if (page !== 0 && PageFlag(page, PG_readahead)) {
    ClearPageFlag(page, PG_readahead);
    const hits = kernel.swap_map + SWAP_HEADER.readahead_hits;
    WRITE_ONCE(hits, READ_ONCE(hits) + 1);
  }
  return page;
}
export function swap_count(slot: number): number {
  return READ_ONCE(slot_at(slot) + SWAP_SLOT.count);
}

/** get_swap_page(): the next free slot, 0 if there is none (slot 0 is never used). */
export function get_swap_page(): number {
  const nextp = kernel.swap_map + SWAP_HEADER.next;
  let slot = READ_ONCE(nextp);
  for (let i = 1; i < kernel.nr_swap; i++) {
    if (slot < 1 || slot >= kernel.nr_swap) slot = 1;
    if (swap_count(slot) === 0 && swap_cache_page(slot) === 0) {
      WRITE_ONCE(nextp, slot + 1);
      return slot;
    }
    slot++;
  }
  return 0;
}
/** One more entry names the slot. */
export function swap_duplicate(slot: number): void {
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.count, swap_count(slot) + 1);
}
/** swap_free(): one entry less. */
export function swap_free(slot: number): void {
  assert(swap_count(slot) > 0, "a swap slot is freed that nobody uses");
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.count, swap_count(slot) - 1);
}

/** add_to_swap(): the page gets a slot and is dirty until it is written there. False if no slot is free. */
export function add_to_swap(page: Page): boolean {
  const slot = get_swap_page();
  if (slot === 0) return false;
  get_page(page);
  SetPageFlag(page, PG_swapcache);
  WRITE_ONCE(page_word(page, PAGE.private), slot);
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.page, page);
  SetPageDirty(page);
  return true;
}
export function page_swap_slot(page: Page): number {
  return READ_ONCE(page_word(page, PAGE.private));
}
/** delete_from_swap_cache(): drops the cache's reference. */
export function delete_from_swap_cache(page: Page): void {
  const slot = page_swap_slot(page);
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.page, 0);
  ClearPageFlag(page, PG_swapcache);
  ClearPageFlag(page, PG_readahead);
  WRITE_ONCE(page_word(page, PAGE.private), 0);
  put_page(page);
}
/** try_to_free_swap(): out of the swap cache if no entry names the slot any more; the page is dirty then. */
export function try_to_free_swap(page: Page): boolean {
  if (!PageFlag(page, PG_swapcache)) return false;
  if (swap_count(page_swap_slot(page)) > 0) return false;
  delete_from_swap_cache(page);
  SetPageDirty(page);
  return true;
}
/** free_swap_and_cache(): an entry that names the slot is gone. */
export function free_swap_and_cache(slot: number): void {
  swap_free(slot);
  const page = swap_cache_page(slot);
  if (swap_count(slot) === 0 && page !== 0) delete_from_swap_cache(page);
}

/** The contents of a page to a slot. */
export function swap_copy_out(page: Page, slot: number): void {
  const data = slot_at(slot) + SWAP_SLOT.data;
  for (let w = 0; w < geom.page_words && w < SLOT_DATA; w++)
    WRITE_ONCE(data + w, READ_ONCE(page_address(page) + w));
}
/** swap_writepage() to the page's slot. */
export function swap_writepage(page: Page): void {
  swap_copy_out(page, page_swap_slot(page));
  ClearPageFlag(page, PG_dirty);
  count_vm_event(VM_EVENT.pswpout);
}
/** swap_readpage() from a slot. */
export function swap_readpage(page: Page, slot: number): void {
  const data = slot_at(slot) + SWAP_SLOT.data;
  for (let w = 0; w < geom.page_words && w < SLOT_DATA; w++)
    WRITE_ONCE(page_address(page) + w, READ_ONCE(data + w));
  count_vm_event(VM_EVENT.pswpin);
}

// ---- Readahead --------------------------------------------------------------------------------------------

/** log2 of the largest window (vm.page-cluster). */
const PAGE_CLUSTER = 3;

/** __swapin_nr_pages(): the size of the window, a power of two or what is left of the last one. */
function __swapin_nr_pages(prev: number, offset: number, hits: number, last_ra: number): number {
  // "please don't ask what the "+ 2" means, it just happens to work well, that's all."
  let pages = hits + 2;
  if (pages === 2) {
    // "We can have no readahead hits to judge by: but must not get stuck here forever, so check for an
    // adjacent offset instead"
    if (offset !== prev + 1 && offset !== prev - 1) pages = 1;
  } else {
    let roundup = 4;
    while (roundup < pages) roundup <<= 1;
    pages = roundup;
  }
  if (pages > 1 << PAGE_CLUSTER) pages = 1 << PAGE_CLUSTER;
  // "Don't shrink readahead too fast"
  if (pages < last_ra >> 1) pages = last_ra >> 1;
  return pages;
}
/** swapin_nr_pages(): how many slots to read for a fault on this one. */
function swapin_nr_pages(offset: number): number {
  const header = kernel.swap_map;
  const hits = READ_ONCE(header + SWAP_HEADER.readahead_hits);
  WRITE_ONCE(header + SWAP_HEADER.readahead_hits, 0);
  const last = READ_ONCE(header + SWAP_HEADER.last_readahead_pages);
  const pages = __swapin_nr_pages(READ_ONCE(header + SWAP_HEADER.prev_offset), offset, hits, last);
  if (hits === 0) WRITE_ONCE(header + SWAP_HEADER.prev_offset, offset);
  WRITE_ONCE(header + SWAP_HEADER.last_readahead_pages, pages);
  return pages;
}

/**
 * read_swap_cache_async(): the page of a slot in the swap cache with a reference for the caller, read if it
 * is not there. 0 if nobody uses the slot, or memory is out.
 */
function read_swap_cache(slot: number, gfp: number, ahead: boolean): Page {
  const cached = swap_cache_page(slot);
  if (cached !== 0) {
    get_page(cached);
    return cached;
  }
  if (swap_count(slot) === 0) return 0;
  const page = alloc_pages(gfp, 0, -1);
  if (page === 0) return 0;
  get_page(page);
  SetPageFlag(page, PG_swapbacked);
  SetPageFlag(page, PG_swapcache);
  WRITE_ONCE(page_word(page, PAGE.private), slot);
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.page, page);
  lru_cache_add(page);
  swap_readpage(page, slot);
  SetPageFlag(page, PG_uptodate);
  if (ahead) SetPageFlag(page, PG_readahead);
  return page;
}

/**
 * swap_cluster_readahead(): the page of a slot, as read_swap_cache() gives it; the slots around it, aligned
 * to the window, are read into the swap cache too.
 */
export function swap_cluster_readahead(slot: number, gfp: number): Page {
  const mask = swapin_nr_pages(slot) - 1;
  if (mask !== 0) {
    let start = slot & ~mask;
    let end = slot | mask;
    // "First page is swap header."
    if (start === 0) start = 1;
    if (end >= kernel.nr_swap) end = kernel.nr_swap - 1;
    for (let s = start; s <= end; s++) {
      const page = read_swap_cache(s, gfp, s !== slot);
      if (page !== 0) put_page(page);
    }
    lru_add_drain();
  }
  return read_swap_cache(slot, gfp, false);
}
