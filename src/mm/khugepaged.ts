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

import { geom, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { EAGAIN, EINVAL, ENOMEM } from "./errno.ts";
import { copy_highpage } from "./filemap.ts";
import { alloc_hugepage } from "./huge_memory.ts";
import { maybe_mkwrite } from "./huge_split.ts";
import { lru_add_drain } from "./lru.ts";
import { lru_cache_add_vma } from "./mlock.ts";
import { MM, type Mm, VM_HUGETLB, VM_NOHUGEPAGE, VMA, type Vma } from "./mm_types.ts";
import { anon_vma_prepare, vm_page_prot, vma_flags, vma_is_anonymous, vma_lookup } from "./mmap.ts";
import { mmu_notifier_end_relock, mmu_notifier_start_relock } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  compound_head,
  nth_page,
  type Page,
  PageFlag,
  PageHead,
  PG_lru,
  PG_swapcache,
  page_count,
  page_to_pfn,
  pfn_to_page,
} from "./page.ts";
import { GFP_HIGHUSER_MOVABLE, HPAGE_PMD_NR } from "./page_alloc.ts";
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
  set_pmd_at,
  set_pte_at,
  type TablePtr,
} from "./pgtable.ts";
import { page_add_new_anon_rmap, page_remove_rmap_pte, total_mapcount } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range, tlb_remove_table_sync_one } from "./tlb.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";
import { vm_normal_page } from "./zap.ts";

/** is_refcount_suitable(): every reference is an entry or the swap cache. */
function refcount_suitable(page: Page): boolean {
  const head = compound_head(page);
  return page_count(head) === total_mapcount(head) + (PageFlag(head, PG_swapcache) ? 1 : 0);
}

/** __collapse_huge_page_isolate(): 0 if every page of the table may be moved, or the error. */
function isolate_ptes(table: TablePtr): number {
  let mapped = 0;
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const pte = READ_ONCE(table + i);
    if (pte === 0 || (pte_present(pte) && pte_special(pte))) continue;
    if (!pte_present(pte)) return -EINVAL;
    const page = vm_normal_page(pte);
    if (page === 0) return -EINVAL;
    if (!PageFlag(compound_head(page), PG_lru)) return -EAGAIN;
    if (!refcount_suitable(page)) return -EAGAIN;
    mapped++;
  }
  return mapped === 0 ? -EINVAL : 0;
}

/** __collapse_huge_page_copy(): the small pages' contents move; their entries and references go. */
function copy_ptes(table: TablePtr, fresh: Page, vma: Vma): void {
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const pte = READ_ONCE(table + i);
    if (pte === 0) continue;
    set_pte_at(table + i, 0);
    const page = vm_normal_page(pte);
    if (page === 0) continue;
    copy_highpage(nth_page(fresh, i), page);
    page_remove_rmap_pte(page, vma);
    put_page(page);
  }
}

/** collapse_huge_page() of the PTE table that `pmdp` leads to. */
function collapse_huge_page(vma: Vma, haddr: number, pmdp: EntryPtr, table: TablePtr): number {
  const fresh = alloc_hugepage(GFP_HIGHUSER_MOVABLE, -1);
  if (fresh === 0) return -ENOMEM;
  count_vm_event(VM_EVENT.thp_collapse_alloc);
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  mmu_notifier_start_relock(mm, haddr, haddr + HPAGE_PMD_NR, MMU_NOTIFY_CLEAR);
  set_pmd_at(pmdp, 0);
  flush_tlb_range();
  // From here on the old entries are in a table that nobody finds; until the huge one is there nothing can be
  // mirrored.
  mmu_notifier_end_relock(mm);
  // No walker that was inside the table before can be there still (2ba99c5e0881, v6.1).
  tlb_remove_table_sync_one();
  const error = isolate_ptes(table);
  if (error !== 0) {
    set_pmd_at(pmdp, mk_table_entry(table));
    put_page(fresh);
    return error;
  }
  anon_vma_prepare(vma);
  copy_ptes(table, fresh, vma);
  page_add_new_anon_rmap(fresh, vma, haddr);
  lru_cache_add_vma(fresh, vma);
  set_pmd_at(pmdp, maybe_mkwrite(pte_mkdirty(pfn_pmd(page_to_pfn(fresh), vm_page_prot(vma, false))), vma));
  pte_free(table);
  return 0;
}

/** hpage_collapse_scan_pmd() and what follows, for one huge page's range. */
function collapse_one(mm: Mm, vma: Vma, haddr: number): number {
  const out = localArray(1);
  const level = pgtable_lookup(mm, haddr, out);
  const e = READ_ONCE(out[0]);
  if (level === PMD_LEVEL && pte_present(e)) return PageHead(pfn_to_page(pte_pfn(e))) ? 0 : -EINVAL;
  if (level !== PTE_LEVEL) return -EINVAL;
  const table: TablePtr = out[0] - (haddr & (geom.ptrs_per_table - 1));
  const error = isolate_ptes(table);
  if (error !== 0) return error;
  // The entry above the table: pgtable_alloc() gives its address without making anything.
  return collapse_huge_page(vma, haddr, pgtable_alloc(mm, haddr, PMD_LEVEL), table);
}

/**
 * madvise_collapse(): 0 if every huge page's range inside start .. start + len - 1 is huge now, or the last
 * error.
 */
export function madvise_collapse(mm: Mm, start: number, len: number): number {
  const vma = vma_lookup(mm, start);
  if (vma === 0) return -ENOMEM;
  if (!vma_is_anonymous(vma) || (vma_flags(vma) & (VM_HUGETLB | VM_NOHUGEPAGE)) !== 0) return -EINVAL;
  if (kernel.zones !== 0) lru_add_drain();
  const span = 1 << geom.pmd_shift;
  let last = 0;
  for (
    let haddr = start + ((span - (start & (span - 1))) & (span - 1));
    haddr + span <= start + len;
    haddr += span
  ) {
    if (haddr + span > READ_ONCE(vma + VMA.vm_end)) return -EINVAL;
    spin_lock(mm + MM.page_table_lock);
    const error = collapse_one(mm, vma, haddr);
    spin_unlock(mm + MM.page_table_lock);
    if (error !== 0) last = error;
  }
  return last;
}
