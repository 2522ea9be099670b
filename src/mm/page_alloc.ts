/**
 * The page allocator: zones, and the buddy system in each (mm/page_alloc.c). A block of 2^order frames is
 * aligned to its size; freeing joins a block with its buddy as long as that is free and whole.
 *
 *   struct page of a free block: PG_buddy set, private = order, lru_next/lru_prev link the blocks of one
 *   order zone->free_area[order]: first and last block. Blocks are taken in front and given back behind, so
 *   that a freed frame is reused as late as possible: a stray reference meets a free page, not somebody
 *   else's.
 *
 * Custom: no per-CPU lists, no migrate types (a zone is movable or it is not; a CMA area has free lists of
 * its own, as if it were one more zone), no watermarks or reclaim: when memory is out, allocation fails.
 * Contents are cleared at allocation and poisoned at free if the machine has a region per page.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  assert,
  kfree,
  memory_revive,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";
import {
  nth_page,
  PAGE,
  type Page,
  PageFlag,
  PG_buddy,
  PG_ZONE_MASK,
  PG_ZONE_SHIFT,
  page_address,
  page_to_pfn,
  page_word,
  pfn_to_page,
  prep_compound_page,
  set_page_count,
} from "./page.ts";
import { prep_compound_mapcounts } from "./rmap.ts";

export type Zone = Ptr<"zone">;

/** Largest order of a block plus 1 (MAX_ORDER to v6.3). */
export const MAX_ORDER = 11;

export const ZONE = struct(
  "zone",
  ["lock", "start_pfn", "end_pfn", "node", "movable", "nr_free", "free_area"],
  6 + 2 * MAX_ORDER,
);

/** Numbers of the zones, which are also their numbers in page flags; 0 is none. */
export const ZONE_DMA32 = 1;
export const ZONE_NORMAL = 2;
export const ZONE_MOVABLE = 3;
export const ZONE_NORMAL_NODE1 = 4;
export const ZONE_DEVICE = 5;
/** Custom: the free lists of MIGRATE_CMA, of node 0's normal zone. */
export const ZONE_CMA = 6;
export const MAX_NR_ZONES = 7;

// What an allocation may use (include/linux/gfp.h, in kind).
export const GFP_USER = 0;
/** __GFP_MOVABLE: ZONE_MOVABLE is tried first. */
export const GFP_HIGHUSER_MOVABLE = 1;
/** PF_MEMALLOC_NOCMA of the task: not out of a CMA area (to v5.12). */
export const GFP_NOCMA = 2;

export function zone_of(nr: number): Zone {
  return kernel.zones + nr * ZONE.SIZE;
}
/** page_zonenum(), as a number of this file. */
export function page_zone_nr(page: Page): number {
  return (READ_ONCE(page_word(page, PAGE.flags)) >>> PG_ZONE_SHIFT) & PG_ZONE_MASK;
}
export function page_to_nid(page: Page): number {
  return READ_ONCE(zone_of(page_zone_nr(page)) + ZONE.node);
}

function area_head(zone: Zone, order: number): number {
  return zone + ZONE.free_area + 2 * order;
}
function area_tail(zone: Zone, order: number): number {
  return zone + ZONE.free_area + 2 * order + 1;
}

function add_to_free_list(zone: Zone, page: Page, order: number, front: boolean): void {
  WRITE_ONCE(page_word(page, PAGE.flags), (page_zone_nr(page) << PG_ZONE_SHIFT) | (1 << PG_buddy));
  WRITE_ONCE(page_word(page, PAGE.private), order);
  const head = area_head(zone, order);
  const tail = area_tail(zone, order);
  if (front) {
    const first = READ_ONCE(head);
    WRITE_ONCE(page_word(page, PAGE.lru_next), first);
    WRITE_ONCE(page_word(page, PAGE.lru_prev), 0);
    if (first !== 0) WRITE_ONCE(page_word(first, PAGE.lru_prev), page);
    else WRITE_ONCE(tail, page);
    WRITE_ONCE(head, page);
  } else {
    const last = READ_ONCE(tail);
    WRITE_ONCE(page_word(page, PAGE.lru_prev), last);
    WRITE_ONCE(page_word(page, PAGE.lru_next), 0);
    if (last !== 0) WRITE_ONCE(page_word(last, PAGE.lru_next), page);
    else WRITE_ONCE(head, page);
    WRITE_ONCE(tail, page);
  }
}

function del_page_from_free_list(zone: Zone, page: Page, order: number): void {
  const next = READ_ONCE(page_word(page, PAGE.lru_next));
  const prev = READ_ONCE(page_word(page, PAGE.lru_prev));
  if (prev !== 0) WRITE_ONCE(page_word(prev, PAGE.lru_next), next);
  else WRITE_ONCE(area_head(zone, order), next);
  if (next !== 0) WRITE_ONCE(page_word(next, PAGE.lru_prev), prev);
  else WRITE_ONCE(area_tail(zone, order), prev);
  WRITE_ONCE(page_word(page, PAGE.flags), page_zone_nr(page) << PG_ZONE_SHIFT);
  WRITE_ONCE(page_word(page, PAGE.private), 0);
  WRITE_ONCE(page_word(page, PAGE.lru_next), 0);
  WRITE_ONCE(page_word(page, PAGE.lru_prev), 0);
}

/** __free_one_page(): gives a block back and joins it with its buddies. */
export function __free_one_page(zone: Zone, block: Page, block_order: number): void {
  let page = block;
  let order = block_order;
  WRITE_ONCE(zone + ZONE.nr_free, READ_ONCE(zone + ZONE.nr_free) + (1 << order));
  const start = READ_ONCE(zone + ZONE.start_pfn);
  const end = READ_ONCE(zone + ZONE.end_pfn);
  while (order < kernel.max_order - 1) {
    const pfn = page_to_pfn(page);
    const buddy_pfn = pfn ^ (1 << order);
    if (buddy_pfn < start || buddy_pfn + (1 << order) > end) break;
    const buddy = pfn_to_page(buddy_pfn);
    if (!PageFlag(buddy, PG_buddy) || READ_ONCE(page_word(buddy, PAGE.private)) !== order) break;
    del_page_from_free_list(zone, buddy, order);
    if (buddy_pfn < pfn) page = buddy;
    order++;
  }
  add_to_free_list(zone, page, order, false);
}

/** __isolate_free_page(): a free block is no longer given out, and is not in use either. */
export function __isolate_free_page(zone: Zone, page: Page, order: number): void {
  del_page_from_free_list(zone, page, order);
  WRITE_ONCE(zone + ZONE.nr_free, READ_ONCE(zone + ZONE.nr_free) - (1 << order));
}

/** expand(): splits a free block down to the order that is wanted; the lower half is kept. */
function expand(zone: Zone, page: Page, low: number, high: number): void {
  for (let order = high - 1; order >= low; order--)
    add_to_free_list(zone, nth_page(page, 1 << order), order, true);
}

/** __rmqueue_smallest(): a block of the zone, or 0. */
function rmqueue(zone: Zone, order: number): Page {
  for (let o = order; o < kernel.max_order; o++) {
    const page: Page = READ_ONCE(area_head(zone, o));
    if (page === 0) continue;
    del_page_from_free_list(zone, page, o);
    expand(zone, page, order, o);
    WRITE_ONCE(zone + ZONE.nr_free, READ_ONCE(zone + ZONE.nr_free) - (1 << order));
    return page;
  }
  return 0;
}

function zone_populated(nr: number): boolean {
  return READ_ONCE(zone_of(nr) + ZONE.end_pfn) !== READ_ONCE(zone_of(nr) + ZONE.start_pfn);
}

/** prep_new_page(): one reference, no mappings, contents zero; compound if it is more than a page. */
function prep_new_page(page: Page, order: number): void {
  const nr = 1 << order;
  for (let i = 0; i < nr; i++) {
    const p = nth_page(page, i);
    const contents = page_address(p);
    if (config.pageRegions) memory_revive(contents);
    else for (let w = 0; w < geom.page_words; w++) WRITE_ONCE(contents + w, 0);
  }
  // Up to v6.13 the page has its reference before it is a compound page: whoever comes with an old entry
  // finds it.
  if (!config.allocFrozen) set_page_count(page, 1);
  if (order > 0) {
    prep_compound_page(page, order);
    prep_compound_mapcounts(page);
  }
  if (config.allocFrozen) set_page_count(page, 1);
}

/** Tries one zone; 0 if it has no block. */
function alloc_from(nr: number, order: number): Page {
  if (!zone_populated(nr)) return 0;
  const zone = zone_of(nr);
  spin_lock(zone + ZONE.lock);
  const page = rmqueue(zone, order);
  spin_unlock(zone + ZONE.lock);
  return page;
}

/**
 * __alloc_pages_node(): 2^order frames with one reference, compound if order > 0, or 0 if memory is out.
 * Order of zones: the movable zone if `gfp` allows, the node's normal zone, then the other node's; `nid` -1
 * is the local node, 0. What may be moved comes out of the CMA area first, as it does while more than half of
 * the zone's free memory lies there.
 */
export function alloc_pages(gfp: number, order: number, nid: number): Page {
  let page: Page = 0;
  if (nid !== 1) {
    if ((gfp & GFP_HIGHUSER_MOVABLE) !== 0) page = alloc_from(ZONE_MOVABLE, order);
    if (
      kernel.cma_nr !== 0 &&
      page === 0 &&
      (gfp & (GFP_HIGHUSER_MOVABLE | GFP_NOCMA)) === GFP_HIGHUSER_MOVABLE
    )
      page = alloc_from(ZONE_CMA, order);
    if (page === 0) page = alloc_from(ZONE_NORMAL, order);
  }
  if (page === 0) page = alloc_from(ZONE_NORMAL_NODE1, order);
  if (page === 0 && nid === 1) page = alloc_from(ZONE_NORMAL, order);
  if (page === 0) return 0;
  prep_new_page(page, order);
  return page;
}

/** free_pages_prepare(): nothing may refer to the page any more. Undoes a compound page. */
function free_pages_prepare(page: Page, order: number): void {
  const nr = 1 << order;
  for (let i = 0; i < nr; i++) {
    const p = nth_page(page, i);
    assert(READ_ONCE(page_word(p, PAGE._mapcount)) === -1, "a page that is still mapped is freed");
    WRITE_ONCE(page_word(p, PAGE.flags), page_zone_nr(p) << PG_ZONE_SHIFT);
    WRITE_ONCE(page_word(p, PAGE.mapping), 0);
    WRITE_ONCE(page_word(p, PAGE.compound_head), 0);
    if (config.pageRegions) kfree(page_address(p));
  }
  WRITE_ONCE(page_word(page, PAGE.index), 0);
  WRITE_ONCE(page_word(page, PAGE.private), 0);
}

/** Frees 2^order frames whose count has reached 0. */
export function free_the_pages(page: Page, order: number): void {
  assert(READ_ONCE(page_word(page, PAGE._refcount)) === 0, "a page that is still referenced is freed");
  free_pages_prepare(page, order);
  const zone = zone_of(page_zone_nr(page));
  spin_lock(zone + ZONE.lock);
  __free_one_page(zone, page, order);
  spin_unlock(zone + ZONE.lock);
}

/**
 * Boot: struct page as memmap_init() leaves it, and the frame free. `order` blocks are given to the allocator
 * whole.
 */
export function memmap_init_range(nr: number, start: number, end: number): void {
  for (let pfn = start; pfn < end; pfn++) {
    const page = pfn_to_page(pfn);
    for (let w = 0; w < PAGE.SIZE; w++) WRITE_ONCE(page_word(page, w), 0);
    WRITE_ONCE(page_word(page, PAGE.flags), nr << PG_ZONE_SHIFT);
    WRITE_ONCE(page_word(page, PAGE._mapcount), -1);
  }
}
export function memblock_free_range(nr: number, start: number, end: number): void {
  let pfn = start;
  while (pfn < end) {
    let order = kernel.max_order - 1;
    while (order > 0 && ((pfn & ((1 << order) - 1)) !== 0 || pfn + (1 << order) > end)) order--;
    __free_one_page(zone_of(nr), pfn_to_page(pfn), order);
    pfn += 1 << order;
  }
}
