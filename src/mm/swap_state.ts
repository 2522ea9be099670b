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

import { config, geom, kernel } from "../machine/config.ts";
import { assert, type LocalArray, localArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { struct } from "../machine/struct.ts";
import { lru_add_drain, lru_cache_add } from "./lru.ts";
import { VMA, type Vma } from "./mm_types.ts";
import {
  ClearPageFlag,
  compound_head,
  compound_nr,
  get_page,
  nth_page,
  PAGE,
  type Page,
  PageFlag,
  PG_readahead,
  PG_swapbacked,
  PG_swapcache,
  page_address,
  page_ref_add,
  page_ref_sub,
  page_to_pfn,
  page_word,
  SetPageDirty,
  SetPageFlag,
  SetPageUptodate,
  TestClearPageFlag,
} from "./page.ts";
import { alloc_pages } from "./page_alloc.ts";
import { pte_present, SWP_SWAP, swp_offset, swp_type } from "./pgtable.ts";
import { page_mapped } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { count_vm_event, count_vm_events, VM_EVENT } from "./vmstat.ts";

/** Words of contents that a slot can keep. */
const SLOT_DATA = 4;
export const SWAP_SLOT = struct("swap_slot", ["count", "page", "zeromap", "data"], 3 + SLOT_DATA);

/**
 * Slot 0. `next`: where the search for a free slot begins. The rest are static variables of mm/swap_state.c.
 */
export const SWAP_HEADER = struct(
  "swap_header",
  ["next", "readahead_hits", "last_readahead_pages", "prev_offset", "next_cluster", "off"],
  3 + SLOT_DATA,
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
 * lookup_swap_cache(), swap_cache_get_folio(): the page in the swap cache for the slot, or 0. One that was
 * read ahead counts as a hit, once: of the area that faults, of the machine for a file's page (no area).
 */
export function lookup_swap_cache(slot: number, vma: Vma, addr: number): Page {
  const page = swap_cache_page(slot);
  if (page === 0) return 0;
  const readahead = TestClearPageFlag(page, PG_readahead);
  if (vma !== 0) {
    let hits = swap_ra_hits(vma);
    if (readahead && hits < SWAP_RA_HITS_MAX) hits++;
    WRITE_ONCE(vma + VMA.swap_ra_addr, addr);
    WRITE_ONCE(vma + VMA.swap_ra_hits, hits);
  } else if (readahead) {
    const hits = kernel.swap_map + SWAP_HEADER.readahead_hits;
    WRITE_ONCE(hits, READ_ONCE(hits) + 1);
  }
  return page;
}
export function swap_count(slot: number): number {
  return READ_ONCE(slot_at(slot) + SWAP_SLOT.count);
}

function slot_is_free(slot: number): boolean {
  return swap_count(slot) === 0 && swap_cache_page(slot) === 0;
}
/** get_swap_page(), folio_alloc_swap(): the next free slot, 0 if there is none (slot 0 is never used). */
function get_swap_page(): number {
  const nextp = kernel.swap_map + SWAP_HEADER.next;
  let slot = READ_ONCE(nextp);
  for (let i = 1; i < kernel.nr_swap; i++) {
    if (slot < 1 || slot >= kernel.nr_swap) slot = 1;
    if (slot_is_free(slot)) {
      WRITE_ONCE(nextp, slot + 1);
      return slot;
    }
    slot++;
  }
  return 0;
}
/**
 * swap_alloc_cluster(): as many slots as a huge page has pages, aligned to that, all free; the first, or 0.
 */
function swap_alloc_cluster(nr: number): number {
  const nextp = kernel.swap_map + SWAP_HEADER.next_cluster;
  const clusters = (kernel.nr_swap / nr) | 0;
  for (let k = 0; k < clusters; k++) {
    const cluster = (READ_ONCE(nextp) + k) % clusters;
    let free = cluster > 0;
    for (let i = 0; i < nr && free; i++) free = slot_is_free(cluster * nr + i);
    if (!free) continue;
    WRITE_ONCE(nextp, cluster + 1);
    return cluster * nr;
  }
  return 0;
}
/** The last part of try_to_unuse(): what is left of the swap cache, which nobody needs. */
export function free_idle_swap_cache(): void {
  for (let slot = 1; slot < kernel.nr_swap; slot++) {
    const page = swap_cache_page(slot);
    if (page === 0) continue;
    get_page(page);
    try_to_free_swap(page);
    put_page(page);
  }
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

/**
 * get_swap_page() and add_to_swap_cache(), folio_alloc_swap() (v6.16): the page gets a slot, a large folio as
 * many as it has pages, and is in the swap cache. False if no slot is free. Read: v5.10, v6.1, v6.12, v7.3.
 * Custom: nobody locks the cache; v7.3 fills it before the references are there.
 */
export function folio_alloc_swap(head: Page): boolean {
  const nr = compound_nr(head);
  if (READ_ONCE(kernel.swap_map + SWAP_HEADER.off) !== 0) return false;
  const slot = nr === 1 ? get_swap_page() : swap_alloc_cluster(nr);
  if (slot === 0) return false;
  page_ref_add(head, nr);
  SetPageFlag(head, PG_swapcache);
  WRITE_ONCE(page_word(head, PAGE.private), slot);
  for (let i = 0; i < nr; i++) WRITE_ONCE(slot_at(slot + i) + SWAP_SLOT.page, nth_page(head, i));
  return true;
}
/**
 * add_to_swap(): an anonymous page gets its slots, and is dirty until it is written there: also one whose
 * entry had lost its dirty bit to MADV_FREE. Read: v5.10, v6.1, v6.12, v7.3.
 */
export function add_to_swap(head: Page): boolean {
  if (!folio_alloc_swap(head)) return false;
  SetPageDirty(head);
  return true;
}
/** page_swap_entry(): the slot of a page in the swap cache, or of a subpage. */
export function page_swap_slot(page: Page): number {
  const head = compound_head(page);
  return READ_ONCE(page_word(head, PAGE.private)) + page_to_pfn(page) - page_to_pfn(head);
}
/**
 * __delete_from_swap_cache(), __swap_cache_del_folio() (v6.18) of a page whose count is the caller's affair.
 * Read: v5.10, v6.1, v6.12, v7.3. Custom: a mark that the page was read ahead goes, too.
 */
export function __delete_from_swap_cache(head: Page): void {
  const nr = compound_nr(head);
  const slot = page_swap_slot(head);
  for (let i = 0; i < nr; i++) WRITE_ONCE(slot_at(slot + i) + SWAP_SLOT.page, 0);
  WRITE_ONCE(page_word(head, PAGE.private), 0);
  ClearPageFlag(head, PG_swapcache);
  ClearPageFlag(head, PG_readahead);
}
/**
 * delete_from_swap_cache(), swap_cache_del_folio(): and its references go; the caller has one of his own.
 * Read: v5.10, v6.1, v6.12, v7.3.
 */
export function delete_from_swap_cache(head: Page): void {
  __delete_from_swap_cache(head);
  page_ref_sub(head, compound_nr(head));
}
/** __split_huge_page(): a subpage of a page in the swap cache becomes a page of its own there. */
export function split_swap_cache(tail: Page, slot: number): void {
  SetPageFlag(tail, PG_swapcache);
  WRITE_ONCE(page_word(tail, PAGE.private), slot);
  page_ref_add(tail, 1);
}
/** folio_migrate_mapping() of a page in the swap cache: its slots are the new page's. */
export function swap_cache_replace(fresh: Page, page: Page): void {
  const slot = page_swap_slot(page);
  SetPageFlag(fresh, PG_swapcache);
  WRITE_ONCE(page_word(fresh, PAGE.private), slot);
  const nr = compound_nr(page);
  for (let i = 0; i < nr; i++) WRITE_ONCE(slot_at(slot + i) + SWAP_SLOT.page, nth_page(fresh, i));
}
/** folio_swapped(): some entry names a slot of the page's. */
function page_swapped(head: Page): boolean {
  const nr = compound_nr(head);
  const slot = page_swap_slot(head);
  for (let i = 0; i < nr; i++) if (swap_count(slot + i) > 0) return true;
  return false;
}
/**
 * try_to_free_swap(), folio_free_swap(): out of the swap cache if no entry names the slot any more; the page
 * is dirty then. The caller has a reference. Read: v5.10, v6.1, v6.12, v7.3. Custom: no page lock.
 */
export function try_to_free_swap(page: Page): boolean {
  const head = compound_head(page);
  if (!PageFlag(head, PG_swapcache) || page_swapped(head)) return false;
  delete_from_swap_cache(head);
  SetPageDirty(head);
  return true;
}
/**
 * __try_to_reclaim_swap() with TTRS_UNMAPPED: a page that only the swap cache keeps need not stay there, if
 * no entry maps it. Read: v5.10, v6.1, v6.12, v7.3. Stub: a device that is more than half full gives up
 * slots of mapped pages, too (TTRS_FULL).
 */
function __try_to_reclaim_swap(slot: number): void {
  const page = swap_cache_page(slot);
  if (page === 0) return;
  get_page(page);
  if (!page_mapped(page)) try_to_free_swap(page);
  put_page(page);
}
/**
 * free_swap_and_cache(), swap_put_entries_direct() (v6.19): an entry that names the slot is gone. Read:
 * v5.10, v6.1, v6.12, v7.3. Custom: one slot at a time; v6.12 and v7.3 drop a range's before they look.
 */
export function free_swap_and_cache(slot: number): void {
  swap_free(slot);
  if (swap_count(slot) === 0) __try_to_reclaim_swap(slot);
}

/** The contents of a page to a slot. */
export function swap_copy_out(page: Page, slot: number): void {
  const data = slot_at(slot) + SWAP_SLOT.data;
  for (let w = 0; w < geom.page_words && w < SLOT_DATA; w++)
    WRITE_ONCE(data + w, READ_ONCE(page_address(page) + w));
}
/** is_folio_zero_filled(): every word of a small page is 0. */
function is_zero_filled(page: Page): boolean {
  for (let w = 0; w < geom.page_words; w++) if (READ_ONCE(page_address(page) + w) !== 0) return false;
  return true;
}
/**
 * swap_writepage(), swap_writeout(): a page to its slot, a large folio's subpages to theirs; who calls has
 * marked it clean. What no entry names is not written: it leaves the swap cache, dirty. Read: v5.10, v6.1,
 * v6.12, v7.3. Custom: the device writes at once.
 */
export function swap_writepage(head: Page): void {
  if (try_to_free_swap(head)) return;
  const nr = compound_nr(head);
  const slot = page_swap_slot(head);
  let zeroes = config.swapZeromap !== 0;
  for (let i = 0; i < nr; i++) {
    swap_copy_out(nth_page(head, i), slot + i);
    if (!is_zero_filled(nth_page(head, i))) zeroes = false;
  }
  // swap_zeromap_folio_set(), _clear(): what is zero need not be written (v6.12).
  for (let i = 0; i < nr; i++) WRITE_ONCE(slot_at(slot + i) + SWAP_SLOT.zeromap, zeroes ? 1 : 0);
  if (!zeroes) count_vm_events(VM_EVENT.pswpout, nr);
}
/** swap_readpage(), swap_read_folio(): from a slot. */
export function swap_readpage(page: Page, slot: number): void {
  const data = slot_at(slot) + SWAP_SLOT.data;
  for (let w = 0; w < geom.page_words && w < SLOT_DATA; w++)
    WRITE_ONCE(page_address(page) + w, READ_ONCE(data + w));
  if (READ_ONCE(slot_at(slot) + SWAP_SLOT.zeromap) === 0) count_vm_event(VM_EVENT.pswpin);
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
export function read_swap_cache(slot: number, gfp: number, ahead: boolean): Page {
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
  SetPageUptodate(page);
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

// ---- Readahead by address ---------------------------------------------------------------------------------

/** SWAP_RA_HITS_MAX: hits are counted in SWAP_RA_WIN_SHIFT / 2 = 6 bits. */
const SWAP_RA_HITS_MAX = 63;

/** GET_SWAP_RA_VAL(): an area that has never read ahead begins with as many hits as the machine. */
function swap_ra_hits(vma: Vma): number {
  const hits = READ_ONCE(vma + VMA.swap_ra_hits);
  const fresh = READ_ONCE(vma + VMA.swap_ra_addr) === 0 && READ_ONCE(vma + VMA.swap_ra_win) === 0;
  return fresh && hits === 0 ? READAHEAD_HITS_INIT : hits;
}
/** swap_vma_ra_win(), swap_ra_info(): addresses range[0] .. range[1] - 1 are read for a fault at addr. */
function swap_vma_ra_win(vma: Vma, addr: number, range: LocalArray): void {
  const prev = READ_ONCE(vma + VMA.swap_ra_addr);
  const win = __swapin_nr_pages(prev, addr, swap_ra_hits(vma), READ_ONCE(vma + VMA.swap_ra_win));
  WRITE_ONCE(vma + VMA.swap_ra_addr, addr);
  WRITE_ONCE(vma + VMA.swap_ra_win, win);
  WRITE_ONCE(vma + VMA.swap_ra_hits, 0);
  range[0] = addr - ((win - 1) >> 1);
  if (addr === prev + 1) range[0] = addr;
  else if (prev === addr + 1) range[0] = addr - win + 1;
  range[1] = range[0] + win;
  const table = addr - (addr & (geom.ptrs_per_table - 1));
  const vm_start = READ_ONCE(vma + VMA.vm_start);
  const vm_end = READ_ONCE(vma + VMA.vm_end);
  const first = table > vm_start ? table : vm_start;
  const last = table + geom.ptrs_per_table < vm_end ? table + geom.ptrs_per_table : vm_end;
  if (range[0] < first) range[0] = first;
  if (range[1] > last) range[1] = last;
}
/**
 * swap_vma_readahead(): the page of a slot that the entry at addr, which lies at ptep, names, as
 * read_swap_cache() gives it; those of the swap entries around it are read into the swap cache too.
 */
export function swap_vma_readahead(slot: number, gfp: number, vma: Vma, addr: number, ptep: number): Page {
  const range = localArray(2);
  swap_vma_ra_win(vma, addr, range);
  if (range[1] - range[0] > 1) {
    for (let a = range[0]; a < range[1]; a++) {
      const pte = READ_ONCE(ptep + a - addr);
      if (pte === 0 || pte_present(pte) || swp_type(pte) !== SWP_SWAP) continue;
      const page = read_swap_cache(swp_offset(pte), gfp, a !== addr);
      if (page !== 0) put_page(page);
    }
    lru_add_drain();
  }
  return read_swap_cache(slot, gfp, false);
}
