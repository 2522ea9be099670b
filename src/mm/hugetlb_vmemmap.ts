/**
 * Splitting a huge mapping of the vmemmap (mm/hugetlb_vmemmap.c: split_vmemmap_huge_pmd()), so that single
 * frames of struct pages can be remapped: a PMD leaf becomes a table of the same frames. Two hugetlb pages
 * whose struct pages lie behind one PMD can be at it at once (zoo J22). Remapping itself is in
 * claims/scenarios/unplug.ts (zoo J23).
 *
 * Custom: the lock is init_mm's page_table_lock, a word that the caller names; frames of page tables have
 * numbers of their own, so that one taken for a data frame shows in what page_table_check would look at.
 */
"use kernel";

import { config, geom } from "../machine/config.ts";
import { assert, READ_ONCE, smp_wmb, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { ENOMEM } from "./errno.ts";
import {
  type EntryPtr,
  mk_table_entry,
  PAGE_SHARED,
  pfn_pte,
  pmd_leaf,
  pmd_pfn,
  pte_alloc_one,
  pte_free,
  set_pte_at,
} from "./pgtable.ts";
import { flush_tlb_kernel_range } from "./sparse.ts";

/**
 * The frame that the PMD maps, or -1 if it has been split. `d8d55f5616cf` reads it without the lock and
 * trusts what it finds.
 */
function vmemmap_pmd_pfn(pmdp: EntryPtr, ptl: number): number {
  if (!config.vmemmapSplitLocked) return pmd_pfn(READ_ONCE(pmdp));
  spin_lock(ptl);
  const pmd = READ_ONCE(pmdp);
  spin_unlock(ptl);
  return pmd_leaf(pmd) ? pmd_pfn(pmd) : -1;
}

/**
 * split_vmemmap_huge_pmd(), vmemmap_split_pmd(): 0, also if somebody else has split it, or -ENOMEM. `first`
 * is the frame that the leaf maps. Read: v6.1, v6.12, v7.3. Stub: the huge frame is not split into small
 * ones (split_page()).
 */
export function split_vmemmap_huge_pmd(pmdp: EntryPtr, ptl: number, first: number): number {
  // vmemmap_pmd_range()
  if (!pmd_leaf(READ_ONCE(pmdp))) return 0;
  const pfn = vmemmap_pmd_pfn(pmdp, ptl);
  if (pfn < 0) return 0;
  const pgtable = pte_alloc_one();
  if (pgtable === 0) return -ENOMEM;
  for (let i = 0; i < geom.ptrs_per_table; i++) {
    // set_pte_at() with CONFIG_PAGE_TABLE_CHECK looks at the frame's struct page.
    assert(pfn === first, "page_table_check: the frame of a page table is mapped as one of struct pages");
    set_pte_at(pgtable + i, pfn_pte(pfn + i, PAGE_SHARED));
  }
  spin_lock(ptl);
  const mine = pmd_leaf(READ_ONCE(pmdp));
  if (mine) {
    // "Make pte visible before pmd."
    smp_wmb();
    WRITE_ONCE(pmdp, mk_table_entry(pgtable));
    flush_tlb_kernel_range();
  } else pte_free(pgtable);
  spin_unlock(ptl);
  return 0;
}
