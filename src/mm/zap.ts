/**
 * Removing the mappings of an area (mm/memory.c: unmap_vmas(), zap_pte_range(), zap_huge_pmd(); mm/hugetlb.c:
 * unmap_hugepage_range()): entries are cleared, what they counted is uncounted, the TLB is flushed, and then
 * the pages' references go, all through an mmu_gather. Also the lookup of the page behind an entry
 * (vm_normal_page()), and freeing the page tables of a range and of an address space.
 *
 * Notifiers are told by the callers, as in the kernel: once for all areas of an munmap() or exit
 * (unmap_vmas()), once per area otherwise (zap_page_range_single()). Custom: a gather per area, finished
 * before range_end instead of right after it; entries are found one by one from the top (pgtable_lookup())
 * instead of level by level. Tables that end up empty inside an area stay, as in the kernel; those of a range
 * that no area covers any more are freed at munmap().
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  kfree,
  type LocalArray,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { split_huge_pmd_entry } from "./huge_split.ts";
import { ADDRESS_SPACE, type AddressSpace, MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { find_vma, is_vm_hugetlb_page, vma_is_anonymous } from "./mmap.ts";
import {
  __tlb_remove_page,
  MMU_GATHER_SIZE,
  tlb_finish_mmu,
  tlb_flush_mmu,
  tlb_gather_mmu,
  tlb_remove_table,
  tlb_remove_tlb_entry,
} from "./mmu_gather.ts";
import {
  mmu_notifier_end_relock,
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
  mmu_notifier_start_relock,
} from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR, MMU_NOTIFY_UNMAP } from "./mmu_notifier_types.ts";
import {
  compound_head,
  nth_page,
  type Page,
  PageAnon,
  PageFlag,
  PageHead,
  PG_swapcache,
  pfn_to_page,
} from "./page.ts";
import { HPAGE_PMD_NR } from "./page_alloc.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  type EntryPtr,
  is_device_private_entry,
  level_span,
  mk_table_entry,
  PMD_LEVEL,
  PTE_LEVEL,
  pgd_table,
  pgtable_lookup,
  pmd_leaf,
  pmd_page_table,
  pte_devmap,
  pte_dirty,
  pte_pfn,
  pte_present,
  pte_special,
  ptep_get_and_clear,
  SWP_SWAP,
  swp_offset,
  swp_type,
  type TablePtr,
  table_index,
} from "./pgtable.ts";
import { page_mapped, page_remove_rmap_pmd, page_remove_rmap_pte, page_remove_rmap_ptes } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { free_swap_and_cache, try_to_free_swap } from "./swap_state.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";

/** A frame of the huge zero page. */
export function is_huge_zero_pfn(pfn: number): boolean {
  const first = kernel.huge_zero === 0 ? 0 : READ_ONCE(kernel.huge_zero);
  return first !== 0 && pfn >= first && pfn < first + HPAGE_PMD_NR;
}

/**
 * vm_normal_page(), vm_normal_page_pmd(): the page that a present leaf counts on, or 0: special entries and
 * the huge zero page are not counted, device entries not up to v6.14 (v6.16 for PUDs).
 */
export function vm_normal_page(e: number): Page {
  if (pte_special(e)) return 0;
  if (pte_devmap(e) && !config.pteRef) return 0;
  const pfn = pte_pfn(e);
  if ((kernel.zero_pfn !== 0 && pfn === kernel.zero_pfn) || is_huge_zero_pfn(pfn)) return 0;
  return pfn_to_page(pfn);
}

// ---- Clearing one entry -----------------------------------------------------------------------------------

/** A PTE, of any kind. True if the gather must be flushed before the next. */
function zap_pte(tlb: LocalArray, vma: Vma, ptep: EntryPtr): boolean {
  const pte = ptep_get_and_clear(ptep);
  if (!pte_present(pte)) {
    if (swp_type(pte) === SWP_SWAP) free_swap_and_cache(swp_offset(pte));
    if (kernel.device_private !== 0 && is_device_private_entry(pte)) {
      page_remove_rmap_pte(pfn_to_page(swp_offset(pte)), vma);
      put_page(pfn_to_page(swp_offset(pte)));
    }
    return false;
  }
  tlb_remove_tlb_entry(tlb);
  const page = vm_normal_page(pte);
  if (page === 0) return false;
  if (!PageAnon(page) && pte_dirty(pte)) set_page_dirty(page);
  page_remove_rmap_pte(page, vma);
  // free_swap_cache(): what nobody maps any more need not stay in the swap cache.
  if (PageFlag(page, PG_swapcache) && !page_mapped(page)) try_to_free_swap(page);
  return __tlb_remove_page(tlb, page);
}

/**
 * folio_pte_batch(): how many PTEs from `ptep` on, fewer than `max`, map consecutive subpages of one large
 * folio.
 */
export function folio_pte_batch(ptep: EntryPtr, page: Page, max: number): number {
  const head = compound_head(page);
  const first = pte_pfn(READ_ONCE(ptep));
  let n = 1;
  while (n < max) {
    const pte = READ_ONCE(ptep + n);
    if (!pte_present(pte) || pte_special(pte) || pte_pfn(pte) !== first + n) return n;
    if (compound_head(pfn_to_page(first + n)) !== head) return n;
    n++;
  }
  return n;
}
/**
 * zap_present_folio_ptes() (v6.9): the PTEs of a large folio are uncounted together. Their number; 0: not of
 * that kind.
 */
function zap_folio_ptes(tlb: LocalArray, vma: Vma, ptep: EntryPtr, max: number): number {
  const pte = READ_ONCE(ptep);
  if (!pte_present(pte)) return 0;
  const page = vm_normal_page(pte);
  if (page === 0 || !PageHead(compound_head(page))) return 0;
  const nr = folio_pte_batch(ptep, page, max);
  for (let i = 0; i < nr; i++) {
    const old = ptep_get_and_clear(ptep + i);
    if (!PageAnon(page) && pte_dirty(old)) set_page_dirty(page);
  }
  tlb_remove_tlb_entry(tlb);
  page_remove_rmap_ptes(page, nr, vma);
  for (let i = 0; i < nr; i++) if (__tlb_remove_page(tlb, nth_page(page, i))) tlb_flush_mmu(tlb);
  return nr;
}

/** zap_huge_pmd(), zap_huge_pud(): a leaf as a whole. */
function zap_huge(tlb: LocalArray, vma: Vma, entryp: EntryPtr): boolean {
  const e = ptep_get_and_clear(entryp);
  if (!pte_present(e)) return false;
  tlb_remove_tlb_entry(tlb);
  const page = vm_normal_page(e);
  if (page === 0) return false;
  if (!PageAnon(page) && pte_dirty(e)) set_page_dirty(page);
  page_remove_rmap_pmd(page, vma);
  return __tlb_remove_page(tlb, page);
}

/** Clears the entries of start <= address < end in one area that is not hugetlb. */
function zap_page_range_vma(tlb: LocalArray, vma: Vma, start: number, end: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  let addr = start;
  while (addr < end) {
    spin_lock(mm + MM.page_table_lock);
    let level = pgtable_lookup(mm, addr, out);
    const span = level_span(level);
    let next = addr - (addr & (span - 1)) + span;
    if (next > end) next = end;
    let e = READ_ONCE(out[0]);
    let part = false;
    if (level > PTE_LEVEL && e !== 0 && next - addr !== span) {
      // A part of a huge leaf: split it, or, of a file's, drop it as a whole (it can be faulted in again).
      if (level === PMD_LEVEL && vma_is_anonymous(vma)) {
        split_huge_pmd_entry(vma, out[0], addr);
        level = pgtable_lookup(mm, addr, out);
        e = READ_ONCE(out[0]);
        next = addr + 1;
      } else {
        if (level === PMD_LEVEL) count_vm_event(VM_EVENT.thp_split_pmd);
        part = true;
      }
    }
    if (config.largeMapcount && level === PTE_LEVEL && e !== 0) {
      const in_table = geom.ptrs_per_table - (addr & (geom.ptrs_per_table - 1));
      const nr = zap_folio_ptes(tlb, vma, out[0], end - addr < in_table ? end - addr : in_table);
      if (nr > 0) {
        spin_unlock(mm + MM.page_table_lock);
        addr += nr;
        continue;
      }
    }
    let full = false;
    if (part) {
      // The rest of the leaf is outside the range that the caller has announced.
      const from = addr - (addr & (span - 1));
      mmu_notifier_start_relock(mm, from, from + span, MMU_NOTIFY_CLEAR);
      e = READ_ONCE(out[0]);
    }
    if (e !== 0) full = level === PTE_LEVEL ? zap_pte(tlb, vma, out[0]) : zap_huge(tlb, vma, out[0]);
    if (part) mmu_notifier_end_relock(mm);
    spin_unlock(mm + MM.page_table_lock);
    if (full) tlb_flush_mmu(tlb);
    addr = next;
  }
}

/** unmap_hugepage_range(): a hugetlb area's leaves; the range is aligned to them. */
function unmap_hugepage_range(tlb: LocalArray, vma: Vma, start: number, end: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  for (let addr = start; addr < end; addr += HPAGE_PMD_NR) {
    spin_lock(mm + MM.page_table_lock);
    let full = false;
    if (pgtable_lookup(mm, addr, out) === PMD_LEVEL && READ_ONCE(out[0]) !== 0) {
      const e = ptep_get_and_clear(out[0]);
      tlb_remove_tlb_entry(tlb);
      if (pte_present(e)) {
        const page = pfn_to_page(pte_pfn(e));
        if (pte_dirty(e)) set_page_dirty(page);
        page_remove_rmap_pmd(page, vma);
        full = __tlb_remove_page(tlb, page);
      }
    }
    spin_unlock(mm + MM.page_table_lock);
    if (full) tlb_flush_mmu(tlb);
  }
}

/**
 * unmap_single_vma(): removes what the area maps in start <= address < end, and flushes. The caller has told
 * notifiers.
 */
export function zap_vma_range(vma: Vma, start: number, end: number): void {
  const tlb = localArray(MMU_GATHER_SIZE);
  tlb_gather_mmu(tlb);
  if (is_vm_hugetlb_page(vma)) unmap_hugepage_range(tlb, vma, start, end);
  else zap_page_range_vma(tlb, vma, start, end);
  tlb_finish_mmu(tlb);
}

/**
 * unmap_vmas(): the entries of the areas from `first` on that begin below `end`; one range for all of them.
 */
export function unmap_vmas(mm: Mm, first: Vma, start: number, end: number): void {
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_UNMAP, 0);
  for (let vma = first; vma !== 0 && READ_ONCE(vma + VMA.vm_start) < end; vma = READ_ONCE(vma + VMA.vm_next))
    zap_vma_range(vma, READ_ONCE(vma + VMA.vm_start), READ_ONCE(vma + VMA.vm_end));
  mmu_notifier_invalidate_range_end(mm);
}

/** zap_page_range_single(): the same, with notifiers told. */
export function zap_page_range_single(vma: Vma, start: number, end: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_CLEAR, 0);
  zap_vma_range(vma, start, end);
  mmu_notifier_invalidate_range_end(mm);
}

/** unmap_mapping_range(): every mapping of nr pages of a file from page `first` on; nr 0: to its end. */
export function unmap_mapping_pages(
  mapping: AddressSpace,
  first: number,
  nr: number,
  even_cows: boolean,
): void {
  for (
    let vma: Vma = READ_ONCE(mapping + ADDRESS_SPACE.i_mmap);
    vma !== 0;
    vma = READ_ONCE(vma + VMA.shared_next)
  ) {
    const vm_start = READ_ONCE(vma + VMA.vm_start);
    const pgoff = READ_ONCE(vma + VMA.vm_pgoff);
    let start = vm_start;
    let end = READ_ONCE(vma + VMA.vm_end);
    if (first > pgoff) start = vm_start + first - pgoff;
    if (nr !== 0 && vm_start + first + nr - pgoff < end) end = vm_start + first + nr - pgoff;
    if (start >= end) continue;
    if (even_cows) {
      zap_page_range_single(vma, start, end);
      continue;
    }
    const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
    mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_CLEAR, 0);
    zap_file_pages(vma, start, end);
    mmu_notifier_invalidate_range_end(mm);
  }
}
/** Without even_cows: private copies stay. */
function zap_file_pages(vma: Vma, start: number, end: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  for (let addr = start; addr < end; addr++) {
    if (pgtable_lookup(mm, addr, out) !== PTE_LEVEL) {
      zap_vma_range(vma, addr, addr + 1);
      continue;
    }
    const pte = READ_ONCE(out[0]);
    if (!pte_present(pte)) continue;
    const page = vm_normal_page(pte);
    if (page === 0 || !PageAnon(page)) zap_vma_range(vma, addr, addr + 1);
  }
}

// ---- Freeing tables ---------------------------------------------------------------------------------------

/** free_pgtables() for munmap(): PTE tables of start <= address < end whose range no area covers any more. */
export function free_pgtables(mm: Mm, start: number, end: number): void {
  const span = 1 << geom.pmd_shift;
  const tlb = localArray(MMU_GATHER_SIZE);
  const out = localArray(1);
  tlb_gather_mmu(tlb);
  for (let addr = start - (start & (span - 1)); addr < end; addr += span) {
    const vma = find_vma(mm, addr);
    if (vma !== 0 && READ_ONCE(vma + VMA.vm_start) < addr + span) continue;
    if (pgtable_lookup(mm, addr, out) !== PTE_LEVEL) continue;
    const table: TablePtr = out[0] - (addr & (span - 1));
    const pmdp = pmd_entry_of(mm, addr, table);
    WRITE_ONCE(pmdp, 0);
    tlb_remove_table(tlb, table);
  }
  tlb_finish_mmu(tlb);
}
/** Address of the PMD entry that leads to `table`. */
function pmd_entry_of(mm: Mm, addr: number, table: TablePtr): EntryPtr {
  let t = pgd_table(mm);
  for (let l = geom.levels - 1; l > PMD_LEVEL; l--)
    t = pmd_page_table(READ_ONCE(t + table_index(addr, l * geom.table_shift)));
  const pmdp = t + ((addr >> geom.pmd_shift) & (geom.ptrs_per_table - 1));
  return READ_ONCE(pmdp) === mk_table_entry(table) ? pmdp : 0;
}

/** Frees one level of tables: `table`'s entries that lead to tables are freed with free_table_below(). */
function free_pmd_table(table: TablePtr): void {
  for (let i = 0; i < geom.ptrs_per_table; i++) {
    const e = READ_ONCE(table + i);
    if (e !== 0 && !pmd_leaf(e)) kfree(pmd_page_table(e));
  }
  kfree(table);
}
function free_pud_table(table: TablePtr): void {
  for (let i = 0; i < geom.ptrs_per_table; i++) {
    const e = READ_ONCE(table + i);
    if (e !== 0 && !pmd_leaf(e)) free_pmd_table(pmd_page_table(e));
  }
  kfree(table);
}
function free_p4d_table(table: TablePtr): void {
  for (let i = 0; i < geom.ptrs_per_table; i++) {
    const e = READ_ONCE(table + i);
    if (e !== 0) free_pud_table(pmd_page_table(e));
  }
  kfree(table);
}
/** exit_mmap()'s end: every table of an address space that nobody uses; five levels. */
export function free_all_tables(mm: Mm): void {
  const top = pgd_table(mm);
  for (let i = 0; i < geom.ptrs_per_table; i++) {
    const e = READ_ONCE(top + i);
    if (e !== 0) free_p4d_table(pmd_page_table(e));
  }
  kfree(top);
  WRITE_ONCE(mm + MM.pgd, 0);
}
