/**
 * Taking a zone's frames out of the page allocator and giving them back (mm/memory_hotplug.c: offline_pages(), online_pages()),
 * for a zone that is one memory block: pages in use are migrated away; one that somebody else holds keeps the block from
 * going offline, and the kernel tries again for ever.
 */
"use kernel";

import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { lru_add_drain } from "./lru.ts";
import { isolate_lru_page, MIGRATE_OK, migrate_to_pinnable, putback_lru_page } from "./migrate.ts";
import { compound_head, compound_nr, page_ref_count, pfn_to_page } from "./page.ts";
import { memblock_free_range, memmap_init_range, ZONE, zone_of } from "./page_alloc.ts";
import { put_page } from "./swap.ts";

/** do_migrate_range() and the test after it: true if no frame of the range is in use any more. */
function migrate_range(start: number, end: number): boolean {
  let clean = true;
  for (let pfn = start; pfn < end; ) {
    const page = pfn_to_page(pfn);
    const head = compound_head(page);
    if (page_ref_count(head) === 0) {
      pfn++;
      continue;
    }
    const nr = compound_nr(head);
    if (!isolate_lru_page(head)) clean = false;
    else if (migrate_to_pinnable(head) === MIGRATE_OK) put_page(head);
    else {
      putback_lru_page(head);
      clean = false;
    }
    pfn += nr;
  }
  return clean;
}

/** One round of offline_pages(): false if some page stays, to be tried again. */
export function offline_zone_range(nr: number, start: number, end: number): boolean {
  lru_add_drain();
  if (!migrate_range(start, end)) return false;
  const zone = zone_of(nr);
  for (let w = ZONE.free_area; w < ZONE.SIZE; w++) WRITE_ONCE(zone + w, 0);
  WRITE_ONCE(zone + ZONE.nr_free, 0);
  WRITE_ONCE(zone + ZONE.start_pfn, 0);
  WRITE_ONCE(zone + ZONE.end_pfn, 0);
  return READ_ONCE(zone + ZONE.end_pfn) === 0;
}

/** online_pages(): the frames are fresh and free. */
export function online_zone_range(nr: number, start: number, end: number): void {
  const zone = zone_of(nr);
  WRITE_ONCE(zone + ZONE.start_pfn, start);
  WRITE_ONCE(zone + ZONE.end_pfn, end);
  memmap_init_range(nr, start, end);
  memblock_free_range(nr, start, end);
}
