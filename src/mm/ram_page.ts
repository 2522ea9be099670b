/**
 * Frames of System RAM for machines that are too small for the zones of page_alloc.ts: an allocation takes
 * the frame whose contents are free, and a freed frame's contents are poison, so that a device that still
 * reads it is found out (CONFIG_PAGE_POISONING; config.pageRegions must be on). Also a fact about an
 * anonymous page that migration needs: the one place where it is mapped.
 *
 * Custom: a pool of frames per memory block instead of free lists; only POOL_RAM is allocated from,
 * POOL_RAM_OFFLINE holds the frames of a block that is to go offline (its page blocks are isolated before the
 * threads start, as far as allocation goes). An anonymous page is mapped once: `mapping` and `index` say
 * where, instead of an anon_vma's tree.
 */
"use kernel";

import { geom, kernel } from "../machine/config.ts";
import { kzalloc, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import type { Vma } from "./mm_types.ts";
import {
  PAGE,
  PAGE_MAPPING_ANON,
  type Page,
  PG_ZONE_MASK,
  PG_ZONE_SHIFT,
  page_word,
  pfn_to_page,
  set_page_count,
} from "./page.ts";

export const POOL_RAM = 20;
export const POOL_RAM_OFFLINE = 21;

/** Zone number in page->flags (mm/page_alloc.ts). */
export const ZONE_NR_MOVABLE = 3;

/** alloc_page(): a frame with contents 0 and one reference, or 0. */
export function alloc_ram_page(): Page {
  const contents = kzalloc(POOL_RAM);
  if (contents === 0) return 0;
  const page = pfn_to_page(((contents - kernel.direct_map) / geom.page_words) | 0);
  WRITE_ONCE(page_word(page, PAGE.flags), 0);
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  WRITE_ONCE(page_word(page, PAGE._mapcount), -1);
  set_page_count(page, 1);
  return page;
}

/**
 * The page is in ZONE_MOVABLE, where nothing may be pinned for long. Frames that are allocated here never
 * are.
 */
export function is_movable_page(page: Page): boolean {
  return ((READ_ONCE(page_word(page, PAGE.flags)) >>> PG_ZONE_SHIFT) & PG_ZONE_MASK) === ZONE_NR_MOVABLE;
}

/** page_add_new_anon_rmap() without the count: the page belongs at addr of the area. */
export function page_set_anon_place(page: Page, vma: Vma, addr: number): void {
  WRITE_ONCE(page_word(page, PAGE.mapping), (vma << 1) | PAGE_MAPPING_ANON);
  WRITE_ONCE(page_word(page, PAGE.index), addr);
}
/** The area of page_set_anon_place(), 0 if the page has none (any more). */
export function page_anon_vma(page: Page): Vma {
  return READ_ONCE(page_word(page, PAGE.mapping)) >>> 1;
}
export function page_anon_address(page: Page): number {
  return READ_ONCE(page_word(page, PAGE.index));
}

/** copy_highpage() of contents words. */
export function copy_contents(to: number, from: number): void {
  for (let w = 0; w < geom.page_words; w++) WRITE_ONCE(to + w, READ_ONCE(from + w));
}
