/**
 * * MADV_COLD and MADV_PAGEOUT (mm/madvise.c: madvise_cold_or_pageout_pte_range()): which pages of a range
 * are left to age, or reclaimed at once: those that nobody else maps. A part of a huge page has it split
 * first. Read in v5.10, v6.1, v6.12 and v7.3.
 *
 * Custom: without accessed bits MADV_COLD does nothing but that split.
 */
"use kernel";

import { config, geom } from "../machine/config.ts";
import { type LocalArray, localArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { split_huge_page } from "./huge_memory.ts";
import { lru_add_drain } from "./lru.ts";
import { isolate_lru_page, putback_lru_page } from "./migrate.ts";
import { type Mm, VMA, type Vma } from "./mm_types.ts";
import {
  compound_head,
  compound_nr,
  get_page,
  is_zone_device_page,
  type Page,
  PageFlag,
  PageHead,
  PG_lru,
  PG_unevictable,
  pfn_to_page,
} from "./page.ts";
import {
  entry_addr_end,
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_lookup,
  pte_devmap,
  pte_pfn,
  pte_present,
} from "./pgtable.ts";
import { folio_maybe_mapped_shared, page_mapcount, total_mapcount } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { reclaim_pages } from "./vmscan.ts";
import { folio_pte_batch, is_huge_zero_pfn, vm_normal_page } from "./zap.ts";

/**
 * page_mapcount() !== 1, folio_likely_mapped_shared() (v6.9), folio_maybe_mapped_shared() (v6.15): others map
 * it.
 */
export function mapped_by_others(page: Page): boolean {
  const head = compound_head(page);
  if (!PageHead(head) || !config.largePteBatch) return page_mapcount(page) !== 1;
  if (config.largeMmIds) return folio_maybe_mapped_shared(head);
  const mapcount = total_mapcount(head);
  if (mapcount <= 1) return false;
  // "If any page is mapped more than once we treat it 'mapped shared'"; else the first subpage decides.
  return mapcount > compound_nr(head) || page_mapcount(head) > 1;
}
/** Splits a huge page on which nobody has a reference for it; false if it cannot be. */
function split_for_madvise(head: Page): boolean {
  get_page(head);
  const error = split_huge_page(head);
  put_page(head);
  return error === 0;
}

/** The page goes to the list of those to reclaim; the number on it. */
function isolate_to_list(head: Page, list: LocalArray, nr: number): number {
  if (!isolate_lru_page(head)) return nr;
  if (PageFlag(head, PG_unevictable)) {
    putback_lru_page(head);
    return nr;
  }
  list[nr] = head;
  return nr + 1;
}

/** A huge entry: true if its PTEs are to be looked at, which it has now. */
function cold_or_pageout_pmd(pmdp: number, part: boolean, pageout: boolean): boolean {
  const pmd = READ_ONCE(pmdp);
  if (is_huge_zero_pfn(pte_pfn(pmd)) || vm_normal_page(pmd) === 0) return false;
  const head = pfn_to_page(pte_pfn(pmd));
  if (is_zone_device_page(head) || mapped_by_others(head)) return false;
  if (part) return split_for_madvise(head);
  if (!pageout) return false;
  const list = localArray(1);
  reclaim_pages(list, isolate_to_list(head, list, 0));
  return false;
}

/** A large folio is mapped whole inside the range, and dealt with as one. */
export const FOLIO_WHOLE = -2;
/** The range ends here. */
export const FOLIO_STOP = -1;
/**
 * * What MADV_COLD, _PAGEOUT and _FREE do at the entry ptep of a large folio that PTEs map, `left` entries
 * before the end of the range: how many entries they pass over, 0 if it was split and they look again,
 * FOLIO_STOP (to v6.8: it is split in any case, and where it cannot be the range ends), or FOLIO_WHOLE
 * (v6.9).
 */
export function madvise_large_folio(head: Page, ptep: number, page: Page, left: number): number {
  if (!config.largePteBatch) {
    if (mapped_by_others(page) || !split_for_madvise(head)) return FOLIO_STOP;
    return 0;
  }
  const nr = folio_pte_batch(ptep, page, left);
  if (nr === compound_nr(head)) return FOLIO_WHOLE;
  if (mapped_by_others(page) || !split_for_madvise(head)) return nr;
  return 0;
}

/** madvise_cold_or_pageout_pte_range() for PTEs start .. end-1, which one table holds. */
function cold_or_pageout_ptes(mm: Mm, start: number, end: number, pageout: boolean): void {
  const list = localArray(geom.hpage_pmd_nr);
  const out = localArray(1);
  let isolated = 0;
  let nr = 1;
  for (let addr = start; addr < end; addr += nr) {
    nr = 1;
    if (pgtable_lookup(mm, addr, out) !== PTE_LEVEL) break;
    const pte = READ_ONCE(out[0]);
    const page = pte_present(pte) ? vm_normal_page(pte) : 0;
    if (page === 0 || is_zone_device_page(page)) continue;
    const head = compound_head(page);
    if (PageHead(head)) {
      nr = madvise_large_folio(head, out[0], page, end - addr);
      if (nr === FOLIO_STOP) break;
      if (nr !== FOLIO_WHOLE) continue;
      nr = compound_nr(head);
      if (total_mapcount(head) !== nr) continue;
    } else if (page_mapcount(page) !== 1) continue;
    if (!PageFlag(head, PG_lru)) continue;
    if (pageout) isolated = isolate_to_list(head, list, isolated);
  }
  reclaim_pages(list, isolated);
}

/** madvise_cold(), madvise_pageout() of one area's part. */
export function madvise_cold_or_pageout(vma: Vma, start: number, end: number, pageout: boolean): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  lru_add_drain();
  for (let addr = start; addr < end; ) {
    const level = pgtable_lookup(mm, addr, out);
    const next = entry_addr_end(level, addr, end);
    let ptes = level === PTE_LEVEL;
    if (level === PMD_LEVEL && config.coldClearsDevmap && pte_devmap(READ_ONCE(out[0])))
      WRITE_ONCE(out[0], 0);
    else if (level === PMD_LEVEL && pte_present(READ_ONCE(out[0])))
      ptes = cold_or_pageout_pmd(out[0], next - addr !== geom.hpage_pmd_nr, pageout);
    if (ptes) cold_or_pageout_ptes(mm, addr, next, pageout);
    addr = next;
  }
}
