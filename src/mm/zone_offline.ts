/**
 * Taking a block of a zone out of the page allocator and giving it back (mm/memory_hotplug.c:
 * offline_pages(), online_pages(); mm/page_isolation.c), v6.1 and v6.12: free frames are isolated, pages in
 * use are migrated to another node; one that somebody else holds keeps the block from going offline, and the
 * kernel tries again for ever.
 *
 * Custom: a round ends where the kernel calls cond_resched(): with the pages that it has isolated in hand and
 * not moved yet. That is where others see them if there is one CPU.
 */
"use kernel";

import { type LocalArray, READ_ONCE } from "../machine/primitives.ts";
import { lru_add_drain } from "./lru.ts";
import { isolate_lru_page, MIGRATE_OK, migrate_page, putback_lru_page } from "./migrate.ts";
import {
  compound_head,
  compound_nr,
  PAGE,
  PageFlag,
  PG_buddy,
  page_ref_count,
  page_word,
  pfn_to_page,
} from "./page.ts";
import {
  __free_one_page,
  __isolate_free_page,
  GFP_HIGHUSER_MOVABLE,
  memblock_free_range,
  memmap_init_range,
  page_to_nid,
  zone_of,
} from "./page_alloc.ts";
import { put_page } from "./swap.ts";

/** start_isolate_page_range(), and again for what was freed since: no frame of the range can be allocated. */
export function isolate_page_range(nr: number, start: number, end: number): void {
  for (let pfn = start; pfn < end; ) {
    const page = pfn_to_page(pfn);
    if (!PageFlag(page, PG_buddy)) {
      pfn++;
      continue;
    }
    const order = READ_ONCE(page_word(page, PAGE.private));
    __isolate_free_page(zone_of(nr), page, order);
    pfn += 1 << order;
  }
}
/** undo_isolate_page_range(): what is free can be allocated again. */
export function undo_isolate_page_range(nr: number, start: number, end: number): void {
  for (let pfn = start; pfn < end; ) {
    const page = pfn_to_page(pfn);
    if (PageFlag(page, PG_buddy)) pfn += 1 << READ_ONCE(page_word(page, PAGE.private));
    else if (page_ref_count(compound_head(page)) > 0) pfn += compound_nr(compound_head(page));
    else {
      __free_one_page(zone_of(nr), page, 0);
      pfn++;
    }
  }
}

/**
 * scan_movable_pages() and the first half of do_migrate_range(): takes the pages of the range that are in use
 * off the LRU, with a reference each, into hand[1 ..]; hand[0] is their number. False if some page in use
 * could not be taken.
 */
export function isolate_movable_pages(start: number, end: number, hand: LocalArray): boolean {
  let clean = true;
  let n = 0;
  lru_add_drain();
  for (let pfn = start; pfn < end; ) {
    const page = pfn_to_page(pfn);
    const head = compound_head(page);
    if (page_ref_count(head) === 0) {
      pfn++;
      continue;
    }
    if (isolate_lru_page(head)) {
      n++;
      hand[n] = head;
    } else clean = false;
    pfn += compound_nr(head);
  }
  hand[0] = n;
  return clean;
}

/**
 * The second half, migrate_pages(): moves what is in hand to another node if there is room; the number of
 * pages that moved.
 */
export function migrate_movable_pages(hand: LocalArray): number {
  let moved = 0;
  for (let i = 1; i <= hand[0]; i++) {
    const page = hand[i];
    // alloc_migration_target(): "try to allocate from a different node but reuse this node if there are no
    // other".
    const nid = page_to_nid(page) === 0 ? 1 : 0;
    if (migrate_page(page, GFP_HIGHUSER_MOVABLE, nid) === MIGRATE_OK) {
      put_page(page);
      moved++;
    } else putback_lru_page(page);
  }
  hand[0] = 0;
  return moved;
}
/** putback_movable_pages(). */
export function putback_movable_pages(hand: LocalArray): void {
  for (let i = 1; i <= hand[0]; i++) putback_lru_page(hand[i]);
  hand[0] = 0;
}

/** online_pages(): the frames are fresh and free. */
export function online_page_range(nr: number, start: number, end: number): void {
  memmap_init_range(nr, start, end);
  memblock_free_range(nr, start, end);
}
