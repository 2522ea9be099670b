/**
 * * MADV_FREE (mm/madvise.c: madvise_free_single_vma()): anonymous pages may be dropped instead of swapped
 * until they are written again. A part of a huge page that nobody else maps has it split first. Read in
 * v5.10, v6.1, v6.12, v7.3.
 */
"use kernel";

import { geom } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { EINVAL } from "./errno.ts";
import { split_huge_page } from "./huge_memory.ts";
import { lru_add_drain, mark_page_lazyfree } from "./lru.ts";
import { FOLIO_STOP, FOLIO_WHOLE, madvise_large_folio, mapped_by_others } from "./madvise_cold.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { vma_is_anonymous } from "./mmap.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  ClearPageFlag,
  compound_head,
  compound_nr,
  get_page,
  type Page,
  PageAnon,
  PageDirty,
  PageFlag,
  PageHead,
  PG_dirty,
  PG_swapcache,
} from "./page.ts";
import {
  entry_addr_end,
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_lookup,
  pte_mkclean,
  pte_mkold,
  pte_present,
  SWP_SWAP,
  set_pte_at,
  swp_offset,
  swp_type,
} from "./pgtable.ts";
import { page_mapcount, total_mapcount } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { free_swap_and_cache, try_to_free_swap } from "./swap_state.ts";
import { vm_normal_page } from "./zap.ts";

/** The folio is no longer dirty nor in the swap cache; false if others map it or have its slot. */
function clean_folio(head: Page): boolean {
  if (!PageFlag(head, PG_swapcache) && !PageDirty(head)) return true;
  const alone = PageHead(head) ? total_mapcount(head) === compound_nr(head) : page_mapcount(head) === 1;
  if (!alone) return false;
  if (PageFlag(head, PG_swapcache) && !try_to_free_swap(head)) return false;
  ClearPageFlag(head, PG_dirty);
  return true;
}
function clear_young_dirty(ptep: number, nr: number): void {
  for (let i = 0; i < nr; i++) set_pte_at(ptep + i, pte_mkold(pte_mkclean(READ_ONCE(ptep + i))));
}

/** madvise_free_pte_range() for PTEs start .. end-1, which one table holds. The caller holds the lock. */
function madvise_free_ptes(mm: Mm, start: number, end: number): void {
  const out = localArray(1);
  let nr = 1;
  for (let addr = start; addr < end; addr += nr) {
    nr = 1;
    if (pgtable_lookup(mm, addr, out) !== PTE_LEVEL) return;
    const ptep = out[0];
    const pte = READ_ONCE(ptep);
    if (pte === 0) continue;
    if (!pte_present(pte)) {
      if (swp_type(pte) !== SWP_SWAP) continue;
      set_pte_at(ptep, 0);
      free_swap_and_cache(swp_offset(pte));
      continue;
    }
    const page = vm_normal_page(pte);
    if (page === 0 || !PageAnon(page)) continue;
    const head = compound_head(page);
    if (PageHead(head)) {
      spin_unlock(mm + MM.page_table_lock);
      nr = madvise_large_folio(head, ptep, page, end - addr);
      spin_lock(mm + MM.page_table_lock);
      if (nr === FOLIO_STOP) return;
      if (nr !== FOLIO_WHOLE) continue;
      nr = compound_nr(head);
    }
    if (!clean_folio(head)) continue;
    clear_young_dirty(ptep, nr);
    mark_page_lazyfree(head);
  }
}

/** madvise_free_huge_pmd(): false: the PTEs below, if there are any now, are to be visited. */
function madvise_free_huge_pmd(mm: Mm, pmdp: number, start: number, end: number): boolean {
  const pmd = READ_ONCE(pmdp);
  const page = vm_normal_page(pmd);
  if (page === 0 || mapped_by_others(page)) return true;
  if (end - start !== geom.hpage_pmd_nr) {
    get_page(page);
    spin_unlock(mm + MM.page_table_lock);
    split_huge_page(page);
    put_page(page);
    spin_lock(mm + MM.page_table_lock);
    return false;
  }
  if (PageDirty(page)) ClearPageFlag(page, PG_dirty);
  set_pte_at(pmdp, pte_mkold(pte_mkclean(pmd)));
  mark_page_lazyfree(page);
  return true;
}

/** madvise_free_single_vma(). */
export function madvise_free(vma: Vma, start: number, end: number): number {
  if (!vma_is_anonymous(vma)) return -EINVAL;
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  lru_add_drain();
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_CLEAR, 0);
  spin_lock(mm + MM.page_table_lock);
  for (let addr = start; addr < end; ) {
    const level = pgtable_lookup(mm, addr, out);
    const next = entry_addr_end(level, addr, end);
    let ptes = level === PTE_LEVEL;
    if (level === PMD_LEVEL && pte_present(READ_ONCE(out[0])))
      ptes = !madvise_free_huge_pmd(mm, out[0], addr, next);
    if (ptes) madvise_free_ptes(mm, addr, next);
    addr = next;
  }
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  return 0;
}
