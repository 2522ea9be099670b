/**
 * Pages with errors (mm/memory-failure.c). soft_offline_page(): a page that still works is moved away and
 * never used again; one that anybody else holds cannot be moved: -EBUSY. memory_failure(): the page is lost,
 * and entries of its own kind take the place of those that map it, whoever holds it: faults and GUP then
 * report it.
 *
 * Not covered: memory_failure() of file pages, of the swap cache and of hugetlb pages; signals to who maps
 * the page; that a poisoned subpage of zeroes is not read when its huge page is split (v6.18, "mm: prevent
 * poison consumption when splitting THP").
 */
"use kernel";

import { assert, localArray, READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { EBUSY } from "./errno.ts";
import { split_huge_page } from "./huge_memory.ts";
import { lru_add_drain } from "./lru.ts";
import { isolate_lru_page, MIGRATE_OK, migrate_page, putback_lru_page } from "./migrate.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import {
  ClearPageFlag,
  compound_head,
  get_page,
  PAGE,
  type Page,
  PageAnon,
  PageFlag,
  PageHead,
  PG_hwpoison,
  PG_lru,
  page_count,
  page_to_pfn,
  page_word,
  SetPageFlag,
} from "./page.ts";
import { GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import { set_page_dirty } from "./page_writeback.ts";
import { pte_dirty, ptep_get_and_clear, SWP_HWPOISON, set_pte_at, swp_entry } from "./pgtable.ts";
import { page_remove_rmap_pte } from "./rmap.ts";
import {
  RMAP_WALK_SIZE,
  RW_ENTRYP,
  RW_VMA,
  rmap_invalidate_end,
  rmap_invalidate_start,
  rmap_walk_next,
  rmap_walk_start,
} from "./rmap_walk.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range } from "./tlb.ts";

/**
 * soft_offline_in_use_page(): 0, or -EBUSY. The old page keeps one reference for ever, so that nobody gets
 * it.
 */
export function soft_offline_page(page: Page): number {
  const head = compound_head(page);
  lru_add_drain();
  if (PageHead(head)) {
    get_page(head);
    const error = split_huge_page(head);
    put_page(head);
    if (error !== 0) return -EBUSY;
  }
  if (!isolate_lru_page(page)) return -EBUSY;
  const mapping = READ_ONCE(page_word(page, PAGE.mapping));
  if (migrate_page(page, GFP_HIGHUSER_MOVABLE, -1) !== MIGRATE_OK) {
    putback_lru_page(page);
    return -EBUSY;
  }
  // The kernel leaves the poisoned page's mapping as it was.
  WRITE_ONCE(page_word(page, PAGE.mapping), mapping);
  SetPageFlag(page, PG_hwpoison);
  return 0;
}

/**
 * hwpoison_user_mappings(): try_to_unmap() of a poisoned page, which asks nobody whether it may be pinned.
 */
function hwpoison_user_mappings(page: Page): void {
  const walk = localArray(RMAP_WALK_SIZE);
  let told: Vma = 0;
  rmap_walk_start(walk, false);
  while (rmap_walk_next(walk, page)) {
    const vma: Vma = walk[RW_VMA];
    const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
    told = rmap_invalidate_start(vma, page, told);
    spin_lock(mm + MM.page_table_lock);
    const e = ptep_get_and_clear(walk[RW_ENTRYP]);
    flush_tlb_range();
    if (pte_dirty(e)) set_page_dirty(page);
    set_pte_at(walk[RW_ENTRYP], swp_entry(SWP_HWPOISON, page_to_pfn(page)));
    page_remove_rmap_pte(page, vma);
    put_page(page);
    spin_unlock(mm + MM.page_table_lock);
  }
  rmap_invalidate_end(told);
}

/**
 * memory_failure() of an anonymous page that is not poisoned yet: 0, or -EBUSY if it is part of a huge page
 * that somebody holds, which stays as it is, or if somebody still holds the page ("still referenced by ...
 * users"), whose entries are gone all the same. The page keeps a reference for ever.
 */
export function memory_failure(page: Page): number {
  lru_add_drain();
  const head = compound_head(page);
  assert(PageAnon(head) && !PageFlag(page, PG_hwpoison), "memory_failure() of a page that it does not cover");
  get_page(head);
  if (PageHead(head)) {
    const error = split_huge_page(head);
    if (error !== 0) {
      SetPageFlag(page, PG_hwpoison);
      put_page(head);
      return -EBUSY;
    }
    // The reference moves from the head to the page.
    get_page(page);
    put_page(head);
  }
  SetPageFlag(page, PG_hwpoison);
  hwpoison_user_mappings(page);
  ClearPageFlag(page, PG_lru);
  return page_count(page) > 1 ? -EBUSY : 0;
}
