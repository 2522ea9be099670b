/**
 * Collapsing small anonymous pages into a huge one (mm/khugepaged.c: collapse_huge_page()), for MADV_COLLAPSE
 * (v6.1). The PMD is cleared and flushed before the pages' references are compared with what is expected, so
 * that a pin either is seen or does not succeed; a page that somebody else holds makes the collapse fail, and
 * the table is put back.
 *
 * Custom: scanning and isolating are one pass; file mappings are refused; page and anon_vma locks are not
 * taken.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { EAGAIN, EINVAL, ENOMEM } from "./errno.ts";
import { VM_FAULT_ERROR } from "./fault.ts";
import { copy_highpage } from "./filemap.ts";
import { alloc_hugepage } from "./huge_memory.ts";
import { maybe_mkwrite } from "./huge_split.ts";
import { lru_add_drain } from "./lru.ts";
import { lru_cache_add_vma } from "./mlock.ts";
import { MM, type Mm, VM_HUGETLB, VM_NOHUGEPAGE, VM_SPECIAL, VMA, type Vma } from "./mm_types.ts";
import { anon_vma_prepare, userfaultfd_armed, vm_page_prot, vma_flags, vma_is_anonymous } from "./mmap.ts";
import { mmu_notifier_end_relock, mmu_notifier_start_relock } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  __SetPageUptodate,
  compound_head,
  compound_nr,
  is_zone_device_page,
  nth_page,
  type Page,
  PageAnon,
  PageFlag,
  PG_lru,
  PG_swapcache,
  page_count,
  page_to_pfn,
} from "./page.ts";
import { GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import {
  type EntryPtr,
  mk_table_entry,
  PMD_LEVEL,
  PTE_LEVEL,
  pfn_pmd,
  pgtable_alloc,
  pgtable_lookup,
  pte_free,
  pte_mkdirty,
  pte_pfn,
  pte_present,
  pte_special,
  pte_uffd_wp,
  pte_write,
  ptep_get_and_clear,
  SWP_SWAP,
  set_pmd_at,
  set_pte_at,
  swp_type,
  type TablePtr,
} from "./pgtable.ts";
import { page_add_new_anon_rmap, page_mapped, page_remove_rmap_pte, total_mapcount } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { do_swap_page } from "./swap_fault.ts";
import { try_to_free_swap } from "./swap_state.ts";
import { flush_tlb_range, tlb_remove_table_sync_one } from "./tlb.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";
import { vm_normal_page } from "./zap.ts";

// enum scan_result, as far as it decides what MADV_COLLAPSE answers.
const SCAN_SUCCEED = 0;
const SCAN_PMD_NULL = 1;
const SCAN_PAGE_NULL = 2;
const SCAN_PAGE_RO = 3;
const SCAN_PAGE_COUNT = 4;
const SCAN_PAGE_LRU = 5;
const SCAN_PTE_NON_PRESENT = 6;
const SCAN_PTE_UFFD_WP = 7;
/** From here on the walk ends. */
const SCAN_FAIL = 8;
const SCAN_EXCEED_NONE_PTE = 9;
const SCAN_PAGE_ANON = 10;
const SCAN_ALLOC_HUGE_PAGE_FAIL = 11;

/** madvise_collapse_errno(). */
function madvise_collapse_errno(result: number): number {
  if (result === SCAN_ALLOC_HUGE_PAGE_FAIL) return -ENOMEM;
  return result === SCAN_PAGE_COUNT || result === SCAN_PAGE_LRU ? -EAGAIN : -EINVAL;
}

/** is_refcount_suitable(): every reference is an entry or the swap cache. */
function refcount_suitable(page: Page): boolean {
  const head = compound_head(page);
  return page_count(head) === total_mapcount(head) + (PageFlag(head, PG_swapcache) ? compound_nr(head) : 0);
}

/**
 * hpage_collapse_scan_pmd(), __collapse_huge_page_isolate(): SCAN_SUCCEED if every page of the table may be
 * moved. `swapped`: swap entries may be there, which are swapped in later.
 */
function scan_ptes(vma: Vma, table: TablePtr, swapped: boolean): number {
  let writable = !config.collapseNeedsWrite;
  for (let i = 0; i < geom.hpage_pmd_nr; i++) {
    const pte = READ_ONCE(table + i);
    if (pte === 0 || (pte_present(pte) && pte_special(pte) && pte_pfn(pte) === kernel.zero_pfn)) {
      if (userfaultfd_armed(vma)) return SCAN_EXCEED_NONE_PTE;
      continue;
    }
    if (!pte_present(pte)) {
      if (pte_uffd_wp(pte)) return SCAN_PTE_UFFD_WP;
      if (swapped) continue;
      return SCAN_PTE_NON_PRESENT;
    }
    if (pte_uffd_wp(pte)) return SCAN_PTE_UFFD_WP;
    const page = vm_normal_page(pte);
    if (page === 0 || is_zone_device_page(page)) return SCAN_PAGE_NULL;
    if (!PageAnon(page)) return SCAN_PAGE_ANON;
    if (!PageFlag(compound_head(page), PG_lru)) return SCAN_PAGE_LRU;
    if (!refcount_suitable(page)) return SCAN_PAGE_COUNT;
    if (pte_write(pte)) writable = true;
  }
  return writable ? SCAN_SUCCEED : SCAN_PAGE_RO;
}

/** __collapse_huge_page_swapin(): every swap entry of the table is faulted in. */
function collapse_huge_page_swapin(vma: Vma, haddr: number, table: TablePtr): number {
  for (let i = 0; i < geom.hpage_pmd_nr; i++) {
    const pte = READ_ONCE(table + i);
    if (pte === 0 || pte_present(pte)) continue;
    if (swp_type(pte) !== SWP_SWAP) return SCAN_FAIL;
    if ((do_swap_page(vma, haddr + i, table + i, pte, 0) & VM_FAULT_ERROR) !== 0) return SCAN_FAIL;
  }
  // "Drain LRU cache to remove extra pin on the swapped in pages"
  lru_add_drain();
  return SCAN_SUCCEED;
}

/** __collapse_huge_page_copy(): the small pages' contents move; their entries and references go. */
function copy_ptes(table: TablePtr, fresh: Page, vma: Vma): void {
  for (let i = 0; i < geom.hpage_pmd_nr; i++) {
    const pte = READ_ONCE(table + i);
    if (pte === 0) continue;
    set_pte_at(table + i, 0);
    const page = vm_normal_page(pte);
    if (page === 0) continue;
    copy_highpage(nth_page(fresh, i), page);
    page_remove_rmap_pte(page, vma);
    // free_page_and_swap_cache()
    if (!page_mapped(page)) try_to_free_swap(page);
    put_page(page);
  }
}

/** collapse_huge_page() of the PTE table that `pmdp` leads to. */
function collapse_huge_page(vma: Vma, haddr: number, pmdp: EntryPtr, table: TablePtr): number {
  const fresh = alloc_hugepage(GFP_HIGHUSER_MOVABLE, -1);
  if (fresh === 0) return SCAN_ALLOC_HUGE_PAGE_FAIL;
  count_vm_event(VM_EVENT.thp_collapse_alloc);
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  let result = kernel.nr_swap === 0 ? SCAN_SUCCEED : collapse_huge_page_swapin(vma, haddr, table);
  if (result !== SCAN_SUCCEED) {
    put_page(fresh);
    return result;
  }
  mmu_notifier_start_relock(mm, haddr, haddr + geom.hpage_pmd_nr, MMU_NOTIFY_CLEAR);
  // pmdp_collapse_flush()
  ptep_get_and_clear(pmdp);
  flush_tlb_range();
  // From here on the old entries are in a table that nobody finds; until the huge one is there nothing can be
  // mirrored.
  mmu_notifier_end_relock(mm);
  // No walker that was inside the table before can be there still (2ba99c5e0881, v6.1).
  tlb_remove_table_sync_one();
  result = scan_ptes(vma, table, false);
  if (result !== SCAN_SUCCEED) {
    set_pmd_at(pmdp, mk_table_entry(table));
    put_page(fresh);
    return result;
  }
  anon_vma_prepare(vma);
  copy_ptes(table, fresh, vma);
  // "The smp_wmb() inside __folio_mark_uptodate() ensures the copy_huge_page writes become visible before the
  // set_pmd_at() write." (v5.10 has one more of its own.)
  __SetPageUptodate(fresh);
  page_add_new_anon_rmap(fresh, vma, haddr);
  lru_cache_add_vma(fresh, vma);
  set_pmd_at(pmdp, maybe_mkwrite(pte_mkdirty(pfn_pmd(page_to_pfn(fresh), vm_page_prot(vma, false))), vma));
  pte_free(table);
  return SCAN_SUCCEED;
}

/** hpage_collapse_scan_pmd() and what follows, for one huge page's range. */
function collapse_one(mm: Mm, vma: Vma, haddr: number): number {
  const out = localArray(1);
  const level = pgtable_lookup(mm, haddr, out);
  const e = READ_ONCE(out[0]);
  // SCAN_PMD_MAPPED: huge already.
  if (level === PMD_LEVEL && pte_present(e)) return SCAN_SUCCEED;
  if (level !== PTE_LEVEL) return SCAN_PMD_NULL;
  const table: TablePtr = out[0] - (haddr & (geom.ptrs_per_table - 1));
  const result = scan_ptes(vma, table, true);
  if (result !== SCAN_SUCCEED) return result;
  // The entry above the table: pgtable_alloc() gives its address without making anything.
  return collapse_huge_page(vma, haddr, pgtable_alloc(mm, haddr, PMD_LEVEL), table);
}

/**
 * hugepage_vma_check(), thp_vma_allowable_order(): an anonymous area that has pages, may have huge ones,
 * and has room for one.
 */
function thp_vma_allowable(vma: Vma): boolean {
  if (!vma_is_anonymous(vma) || READ_ONCE(vma + VMA.anon_vma) === 0) return false;
  if ((vma_flags(vma) & (VM_SPECIAL | VM_HUGETLB | VM_NOHUGEPAGE)) !== 0) return false;
  const last = READ_ONCE(vma + VMA.vm_end) - geom.hpage_pmd_nr;
  return last - (last & (geom.hpage_pmd_nr - 1)) >= READ_ONCE(vma + VMA.vm_start);
}

/**
 * madvise_collapse() of one area's part: 0 if every huge page's range inside it is huge now, or the last
 * error.
 */
export function madvise_collapse(vma: Vma, start: number, end: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  if (!thp_vma_allowable(vma)) return -EINVAL;
  if (kernel.zones !== 0) lru_add_drain();
  const mask = geom.hpage_pmd_nr - 1;
  const hstart = (start + mask) & ~mask;
  const hend = end & ~mask;
  let thps = 0;
  let last = SCAN_FAIL;
  for (let haddr = hstart; haddr < hend; haddr += geom.hpage_pmd_nr) {
    spin_lock(mm + MM.page_table_lock);
    const result = collapse_one(mm, vma, haddr);
    spin_unlock(mm + MM.page_table_lock);
    if (result === SCAN_SUCCEED) {
      thps++;
      continue;
    }
    last = result;
    if (result >= SCAN_FAIL) break;
  }
  return thps * geom.hpage_pmd_nr === hend - hstart ? 0 : madvise_collapse_errno(last);
}
