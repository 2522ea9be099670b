/**
 * Removing mappings (mm/memory.c: unmap_vmas(), zap_pte_range() and the levels above it; mm/huge_memory.c:
 * zap_huge_pmd(); mm/hugetlb.c: __unmap_hugepage_range()): entries are cleared, what they counted is
 * uncounted, the TLB is flushed, and then the pages' references go, all through an mmu_gather. Also the
 * lookup of the page behind an entry (vm_normal_page()), and freeing the page tables of a range
 * (free_pgtables()).
 *
 * Read: v5.10, v6.1, v6.12, v7.3. Custom: one lock covers every table of an address space; a missing level is
 * folded by passing the table on. Stub: mark_page_accessed() of pages whose entries were young, so that
 * reclaim's choice does not follow accesses; a huge PMD gives no deposited table back (huge_split.ts
 * allocates one when it needs it); PT_RECLAIM (v6.14: MADV_DONTNEED frees tables that it has emptied) is off;
 * markers of userfaultfd and guard areas do not exist.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  type LocalArray,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  ult,
} from "../machine/primitives.ts";
import { split_huge_pmd_entry } from "./huge_split.ts";
import { lru_add_drain } from "./lru.ts";
import { ADDRESS_SPACE, type AddressSpace, MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { i_mmap_lock_read, i_mmap_unlock_read, is_vm_hugetlb_page, unlink_file_vma } from "./mmap.ts";
import {
  __tlb_remove_page,
  MMU_GATHER_SIZE,
  tlb_finish_mmu,
  tlb_flush_mmu,
  tlb_flush_mmu_tlbonly,
  tlb_flush_rmaps,
  tlb_gather_mmu,
  tlb_remove_page,
  tlb_remove_table,
  tlb_remove_tlb_entry,
} from "./mmu_gather.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR, MMU_NOTIFY_UNMAP } from "./mmu_notifier_types.ts";
import { compound_head, type Page, PageAnon, PageHead, pfn_to_page } from "./page.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  type EntryPtr,
  is_device_exclusive_entry,
  is_device_private_entry,
  is_migration_entry,
  PMD_LEVEL,
  PUD_LEVEL,
  p4d_addr_end,
  p4d_none,
  p4d_offset_table,
  p4d_page_table,
  pgd_addr_end,
  pgd_none,
  pgd_offset_table,
  pgd_page_table,
  pgd_table,
  pgtable_lookup,
  pmd_addr_end,
  pmd_clear,
  pmd_leaf,
  pmd_none,
  pmd_offset_table,
  pmd_page_table,
  pmd_present,
  pte_clear,
  pte_devmap,
  pte_dirty,
  pte_none,
  pte_offset_table,
  pte_pfn,
  pte_present,
  pte_special,
  ptep_get,
  ptep_get_and_clear,
  pud_addr_end,
  pud_leaf,
  pud_none,
  pud_offset_table,
  pud_page_table,
  SWP_HWPOISON,
  SWP_SWAP,
  swp_offset,
  swp_type,
  type TablePtr,
} from "./pgtable.ts";
import { page_remove_rmap_pmd, page_remove_rmap_pte, page_remove_rmap_ptes } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { free_swap_and_cache } from "./swap_state.ts";

/** A frame of the huge zero page. */
export function is_huge_zero_pfn(pfn: number): boolean {
  const first = kernel.huge_zero === 0 ? 0 : READ_ONCE(kernel.huge_zero);
  return first !== 0 && pfn >= first && pfn < first + geom.hpage_pmd_nr;
}

/**
 * vm_normal_page(), vm_normal_page_pmd(): the page that a present leaf counts on, or 0: special entries and
 * the huge zero page are not counted, device entries not up to v6.14 (v6.16 for PUDs).
 */
export function vm_normal_page(e: number): Page {
  if (kernel.only_devices !== 0 && !config.pteRef) return 0;
  if (pte_special(e)) return 0;
  if (pte_devmap(e) && !config.pteRef) return 0;
  const pfn = pte_pfn(e);
  if ((kernel.zero_pfn !== 0 && pfn === kernel.zero_pfn) || is_huge_zero_pfn(pfn)) return 0;
  return pfn_to_page(pfn);
}

// ---- PTEs -------------------------------------------------------------------------------------------------

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

// What zap_pte_range() is to do when a PTE is cleared.
const FORCE_FLUSH = 0;
const FORCE_BREAK = 1;

/**
 * zap_present_ptes(): clears the PTE, or from v6.9 on those that map the same large folio, `max` at most.
 * Their number. Without `even_cows` private copies of a file's pages stay.
 */
function zap_present_ptes(
  tlb: LocalArray,
  vma: Vma,
  ptep: EntryPtr,
  max: number,
  even_cows: boolean,
  force: LocalArray,
): number {
  const page = vm_normal_page(ptep_get(ptep));
  if (page === 0) {
    ptep_get_and_clear(ptep);
    tlb_remove_tlb_entry(tlb);
    return 1;
  }
  const anon = PageAnon(page);
  if (!even_cows && anon) return 1;
  let nr = 1;
  if (config.largeMapcount && kernel.no_huge === 0 && max > 1 && PageHead(compound_head(page)))
    nr = folio_pte_batch(ptep, page, max);
  let dirty = false;
  for (let i = 0; i < nr; i++) if (pte_dirty(ptep_get_and_clear(ptep + i))) dirty = true;
  tlb_remove_tlb_entry(tlb);
  let delay_rmap = false;
  if (!anon && dirty) {
    // "We need to flush dirty TLB entries before releasing the ptl": nobody may write through one afterwards.
    set_page_dirty(page);
    force[FORCE_FLUSH] = 1;
    delay_rmap = config.delayRmap !== 0;
  }
  if (!delay_rmap) {
    if (nr === 1) page_remove_rmap_pte(page, vma);
    else page_remove_rmap_ptes(page, nr, vma);
  }
  if (__tlb_remove_page(tlb, page, nr, delay_rmap)) {
    force[FORCE_FLUSH] = 1;
    force[FORCE_BREAK] = 1;
  }
  return nr;
}

/** zap_nonpresent_ptes() of one entry. */
function zap_nonpresent_pte(vma: Vma, ptep: EntryPtr, pte: number, even_cows: boolean): void {
  if (kernel.device_private !== 0 && (is_device_private_entry(pte) || is_device_exclusive_entry(pte))) {
    // The CPU has no translation of it, so nothing needs flushing before it goes.
    const page = pfn_to_page(swp_offset(pte));
    if (!even_cows && PageAnon(page)) return;
    // v5.10 clears the entry first.
    if (!config.zapClearsLast) pte_clear(ptep);
    page_remove_rmap_pte(page, vma);
    put_page(page);
    if (config.zapClearsLast) pte_clear(ptep);
    return;
  }
  if (kernel.nr_swap !== 0 && swp_type(pte) === SWP_SWAP) {
    if (!even_cows) return;
    free_swap_and_cache(swp_offset(pte));
  } else if (is_migration_entry(pte)) {
    if (!even_cows && PageAnon(pfn_to_page(swp_offset(pte)))) return;
  } else if (swp_type(pte) === SWP_HWPOISON && config.zapClearsLast && !even_cows) return;
  pte_clear(ptep);
}

/**
 * zap_pte_range(): the table behind *pmdp (0: `top`, the only level), from start on. Where it came to: `end`,
 * or less if the entry leads to no table any more.
 */
function zap_pte_range(
  tlb: LocalArray,
  vma: Vma,
  pmdp: EntryPtr,
  top: TablePtr,
  start: number,
  end: number,
  even_cows: boolean,
): number {
  const ptl = READ_ONCE(vma + VMA.vm_mm) + MM.page_table_lock;
  const force = localArray(2);
  let addr = start;
  while (addr !== end) {
    force[FORCE_FLUSH] = 0;
    force[FORCE_BREAK] = 0;
    spin_lock(ptl);
    let table = top;
    if (pmdp !== 0) {
      // pte_offset_map_lock(): from v6.5 on it fails if the entry has changed; before nothing could have
      // changed it.
      const pmd = READ_ONCE(pmdp);
      if (pmd_none(pmd) || !pmd_present(pmd) || pmd_leaf(pmd)) {
        spin_unlock(ptl);
        return addr;
      }
      table = pmd_page_table(pmd);
    }
    while (addr !== end && force[FORCE_BREAK] === 0) {
      const ptep = pte_offset_table(table, addr);
      const pte = ptep_get(ptep);
      let nr = 1;
      if (pte_none(pte)) nr = 1;
      else if (pte_present(pte)) nr = zap_present_ptes(tlb, vma, ptep, end - addr, even_cows, force);
      else zap_nonpresent_pte(vma, ptep, pte, even_cows);
      addr += nr;
    }
    // "Do the actual TLB flush before dropping ptl"
    if (force[FORCE_FLUSH] !== 0) {
      tlb_flush_mmu_tlbonly(tlb);
      if (config.delayRmap) tlb_flush_rmaps(tlb, vma);
    }
    spin_unlock(ptl);
    if (force[FORCE_FLUSH] !== 0) tlb_flush_mmu(tlb);
  }
  return addr;
}

// ---- Leaves and levels ------------------------------------------------------------------------------------

/**
 * zap_huge_pmd(), zap_huge_pud(): a leaf as a whole, or the entry of one that is migrated; false if it is
 * neither now.
 */
function zap_huge(tlb: LocalArray, vma: Vma, entryp: EntryPtr): boolean {
  const ptl = READ_ONCE(vma + VMA.vm_mm) + MM.page_table_lock;
  spin_lock(ptl);
  const seen = READ_ONCE(entryp);
  if (pmd_none(seen) || (pmd_present(seen) && !pmd_leaf(seen))) {
    spin_unlock(ptl);
    return false;
  }
  const e = ptep_get_and_clear(entryp);
  tlb_remove_tlb_entry(tlb);
  const page = pmd_present(e) ? vm_normal_page(e) : 0;
  if (page !== 0) {
    // v7.3; before it a file's huge entry was not looked at.
    if (config.pteRef && !PageAnon(page) && pte_dirty(e)) set_page_dirty(page);
    page_remove_rmap_pmd(page, vma);
  }
  spin_unlock(ptl);
  if (page !== 0) tlb_remove_page(tlb, page);
  return true;
}

/**
 * __split_huge_pmd(): a part of the leaf is to go, so that it becomes a table, or, if it is a file's, none.
 */
function split_huge_pmd(vma: Vma, pmdp: EntryPtr, addr: number): void {
  const ptl = READ_ONCE(vma + VMA.vm_mm) + MM.page_table_lock;
  spin_lock(ptl);
  if (pmd_leaf(READ_ONCE(pmdp))) split_huge_pmd_entry(vma, pmdp, addr);
  spin_unlock(ptl);
}

function zap_pmd_range(
  tlb: LocalArray,
  vma: Vma,
  table: TablePtr,
  start: number,
  end: number,
  even_cows: boolean,
): void {
  if (geom.levels < 2) {
    zap_pte_range(tlb, vma, 0, table, start, end, even_cows);
    return;
  }
  let addr = start;
  while (addr !== end) {
    const next = pmd_addr_end(addr, end);
    const pmdp = pmd_offset_table(table, addr);
    const pmd = READ_ONCE(pmdp);
    let done = pmd_none(pmd);
    if (kernel.no_huge === 0 && !done && (!pmd_present(pmd) || pmd_leaf(pmd))) {
      if (next - addr !== 1 << geom.pmd_shift) split_huge_pmd(vma, pmdp, addr);
      else done = zap_huge(tlb, vma, pmdp);
    }
    if (done || pmd_none(READ_ONCE(pmdp))) addr = next;
    else addr = zap_pte_range(tlb, vma, pmdp, 0, addr, next, even_cows);
  }
}

/** split_huge_pud(): a leaf of a device is dropped as a whole; it can be faulted in again. */
function split_huge_pud(vma: Vma, pudp: EntryPtr, addr: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const haddr = addr - (addr & ((1 << geom.pud_shift) - 1));
  mmu_notifier_invalidate_range_start(mm, haddr, haddr + (1 << geom.pud_shift), MMU_NOTIFY_CLEAR, 0);
  spin_lock(mm + MM.page_table_lock);
  const tlb = localArray(MMU_GATHER_SIZE);
  tlb_gather_mmu(tlb);
  let page: Page = 0;
  if (pud_leaf(READ_ONCE(pudp))) {
    const e = ptep_get_and_clear(pudp);
    tlb_remove_tlb_entry(tlb);
    tlb_flush_mmu_tlbonly(tlb);
    page = vm_normal_page(e);
    if (page !== 0) {
      if (pte_dirty(e)) set_page_dirty(page);
      page_remove_rmap_pmd(page, vma);
      put_page(page);
    }
  }
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
}

/** split_huge_pud() of the leaf that covers addr. */
export function split_huge_pud_at(mm: Mm, vma: Vma, addr: number): void {
  const out = localArray(1);
  if (pgtable_lookup(mm, addr, out) === PUD_LEVEL) split_huge_pud(vma, out[0], addr);
}

function zap_pud_range(
  tlb: LocalArray,
  vma: Vma,
  table: TablePtr,
  start: number,
  end: number,
  even_cows: boolean,
): void {
  if (geom.levels < 3) {
    zap_pmd_range(tlb, vma, table, start, end, even_cows);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = pud_addr_end(addr, end);
    const pudp = pud_offset_table(table, addr);
    let done = false;
    if (kernel.no_huge === 0 && pud_leaf(READ_ONCE(pudp))) {
      if (next - addr !== 1 << geom.pud_shift) split_huge_pud(vma, pudp, addr);
      else done = zap_huge(tlb, vma, pudp);
    }
    const pud = READ_ONCE(pudp);
    if (!done && !pud_none(pud)) zap_pmd_range(tlb, vma, pud_page_table(pud), addr, next, even_cows);
    addr = next;
  }
}

function zap_p4d_range(
  tlb: LocalArray,
  vma: Vma,
  table: TablePtr,
  start: number,
  end: number,
  even_cows: boolean,
): void {
  if (geom.levels < 4) {
    zap_pud_range(tlb, vma, table, start, end, even_cows);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = p4d_addr_end(addr, end);
    const p4d = READ_ONCE(p4d_offset_table(table, addr));
    if (!p4d_none(p4d)) zap_pud_range(tlb, vma, p4d_page_table(p4d), addr, next, even_cows);
    addr = next;
  }
}

/** Clears every entry of start <= address < end in the area. The caller flushes (tlb_finish_mmu()). */
export function unmap_page_range(
  tlb: LocalArray,
  vma: Vma,
  start: number,
  end: number,
  even_cows: boolean,
): void {
  const top = pgd_table(READ_ONCE(vma + VMA.vm_mm));
  if (geom.levels < 5) {
    zap_p4d_range(tlb, vma, top, start, end, even_cows);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = pgd_addr_end(addr, end);
    const pgd = READ_ONCE(pgd_offset_table(top, addr));
    if (!pgd_none(pgd)) zap_p4d_range(tlb, vma, pgd_page_table(pgd), addr, next, even_cows);
    addr = next;
  }
}

/** __unmap_hugepage_range(): a hugetlb area's leaves; the range is aligned to them. */
function __unmap_hugepage_range(tlb: LocalArray, vma: Vma, start: number, end: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  for (let addr = start; addr < end; addr += geom.hpage_pmd_nr) {
    spin_lock(mm + MM.page_table_lock);
    let page: Page = 0;
    if (pgtable_lookup(mm, addr, out) === PMD_LEVEL && READ_ONCE(out[0]) !== 0) {
      const e = ptep_get_and_clear(out[0]);
      if (pte_present(e)) {
        tlb_remove_tlb_entry(tlb);
        page = pfn_to_page(pte_pfn(e));
        if (pte_dirty(e)) set_page_dirty(page);
        page_remove_rmap_pmd(page, vma);
      }
    }
    spin_unlock(mm + MM.page_table_lock);
    if (page !== 0) tlb_remove_page(tlb, page);
  }
}

// ---- Areas ------------------------------------------------------------------------------------------------

/** unmap_single_vma(), __zap_vma_range() in v7.3. */
export function unmap_single_vma(
  tlb: LocalArray,
  vma: Vma,
  start: number,
  end: number,
  even_cows: boolean,
): void {
  if (start >= end) return;
  if (is_vm_hugetlb_page(vma)) __unmap_hugepage_range(tlb, vma, start, end);
  else unmap_page_range(tlb, vma, start, end, even_cows);
}

/**
 * unmap_vmas(): the entries of start <= address < end in the areas from `first` on, in the list that
 * `vm_next` makes of them; notifiers are told once, and before the caller has flushed that it is over.
 */
export function unmap_vmas(tlb: LocalArray, mm: Mm, first: Vma, start: number, end: number): void {
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_UNMAP, 0);
  for (
    let vma = first;
    vma !== 0 && READ_ONCE(vma + VMA.vm_start) < end;
    vma = READ_ONCE(vma + VMA.vm_next)
  ) {
    const vm_start = READ_ONCE(vma + VMA.vm_start);
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    unmap_single_vma(tlb, vma, vm_start < start ? start : vm_start, vm_end > end ? end : vm_end, true);
  }
  mmu_notifier_invalidate_range_end(mm);
}

/**
 * zap_page_range_single(), zap_vma_range() in v7.3: a part of one area, with a gather and a notice of its
 * own.
 */
export function zap_page_range_single(vma: Vma, start: number, end: number, even_cows: boolean): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const tlb = localArray(MMU_GATHER_SIZE);
  if (config.zapDrainsLru) lru_add_drain();
  tlb_gather_mmu(tlb);
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_CLEAR, 0);
  unmap_single_vma(tlb, vma, start, end, even_cows);
  mmu_notifier_invalidate_range_end(mm);
  tlb_finish_mmu(tlb);
}

/**
 * unmap_mapping_pages(), unmap_mapping_range(): every mapping of nr pages of a file from page `first` on; nr
 * 0: to its end. Without `even_cows` private copies stay.
 */
export function unmap_mapping_pages(
  mapping: AddressSpace,
  first: number,
  nr: number,
  even_cows: boolean,
): void {
  i_mmap_lock_read(mapping);
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
    if (start < end) zap_page_range_single(vma, start, end, even_cows);
  }
  i_mmap_unlock_read(mapping);
}

// ---- Freeing tables ---------------------------------------------------------------------------------------
// A table goes if nothing between `floor` and `ceiling` (0: no bound) needs it: these are the end of the area
// before and the start of the one behind.

/** Whether the table of 2^shift pages around start is needed by nobody but start .. end-1. */
function table_is_unused(start: number, end: number, floor: number, ceiling: number, shift: number): boolean {
  const mask = shift > 30 ? -1 : (1 << shift) - 1;
  if ((start & ~mask) < floor) return false;
  let limit = ceiling;
  if (limit !== 0) {
    limit &= ~mask;
    if (limit === 0) return false;
  }
  return !ult((limit - 1) | 0, end - 1);
}

/** free_pte_range(), without the lock of the tables: nobody but lockless walkers can be there. */
function free_pte_range(tlb: LocalArray, pmdp: EntryPtr): void {
  const table = pmd_page_table(READ_ONCE(pmdp));
  pmd_clear(pmdp);
  tlb_remove_table(tlb, table);
}

function free_pmd_range(tlb: LocalArray, table: TablePtr, start: number, end: number): void {
  for (let addr = start; addr !== end; addr = pmd_addr_end(addr, end)) {
    const pmdp = pmd_offset_table(table, addr);
    const pmd = READ_ONCE(pmdp);
    if (!pmd_none(pmd) && pmd_present(pmd) && !pmd_leaf(pmd)) free_pte_range(tlb, pmdp);
  }
}

function free_pud_range(
  tlb: LocalArray,
  table: TablePtr,
  start: number,
  end: number,
  floor: number,
  ceiling: number,
): void {
  if (geom.levels < 3) {
    free_pmd_range(tlb, table, start, end);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = pud_addr_end(addr, end);
    const pudp = pud_offset_table(table, addr);
    const pud = READ_ONCE(pudp);
    if (!pud_none(pud) && !pud_leaf(pud)) {
      free_pmd_range(tlb, pud_page_table(pud), addr, next);
      if (table_is_unused(addr, next, floor, ceiling, geom.pud_shift)) {
        pmd_clear(pudp);
        tlb_remove_table(tlb, pud_page_table(pud));
      }
    }
    addr = next;
  }
}

function free_p4d_range(
  tlb: LocalArray,
  table: TablePtr,
  start: number,
  end: number,
  floor: number,
  ceiling: number,
): void {
  if (geom.levels < 4) {
    free_pud_range(tlb, table, start, end, floor, ceiling);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = p4d_addr_end(addr, end);
    const p4dp = p4d_offset_table(table, addr);
    const p4d = READ_ONCE(p4dp);
    if (!p4d_none(p4d)) {
      free_pud_range(tlb, p4d_page_table(p4d), addr, next, floor, ceiling);
      if (table_is_unused(addr, next, floor, ceiling, geom.p4d_shift)) {
        pmd_clear(p4dp);
        tlb_remove_table(tlb, p4d_page_table(p4d));
      }
    }
    addr = next;
  }
}

/** free_pgd_range(): the tables that only addr .. end-1 need; its entries are none. */
function free_pgd_range(
  tlb: LocalArray,
  mm: Mm,
  start: number,
  area_end: number,
  floor: number,
  area_ceiling: number,
): void {
  // A PTE table that the neighbours need stays.
  const mask = (1 << geom.pmd_shift) - 1;
  let addr = start & ~mask;
  if (addr < floor) addr += mask + 1;
  let ceiling = area_ceiling;
  if (ceiling !== 0) ceiling &= ~mask;
  let end = area_end;
  if (ult((ceiling - 1) | 0, end - 1)) end -= mask + 1;
  if (addr > end - 1) return;
  const top = pgd_table(mm);
  if (geom.levels < 5) {
    if (geom.levels > 1) free_p4d_range(tlb, top, addr, end, floor, ceiling);
    return;
  }
  while (addr !== end) {
    const next = pgd_addr_end(addr, end);
    const pgdp = pgd_offset_table(top, addr);
    const pgd = READ_ONCE(pgdp);
    if (!pgd_none(pgd)) {
      free_p4d_range(tlb, pgd_page_table(pgd), addr, next, floor, ceiling);
      if (table_is_unused(addr, next, floor, ceiling, geom.pgdir_shift)) {
        pmd_clear(pgdp);
        tlb_remove_table(tlb, pgd_page_table(pgd));
      }
    }
    addr = next;
  }
}

/**
 * free_pgtables(): the tables that only the areas from `first` on need, between floor and ceiling (0: none).
 */
export function free_pgtables(tlb: LocalArray, mm: Mm, first: Vma, floor: number, ceiling: number): void {
  for (let vma = first; vma !== 0; ) {
    const next: Vma = READ_ONCE(vma + VMA.vm_next);
    // "Hide vma from rmap and truncate_pagecache before freeing pgtables."
    unlink_file_vma(vma);
    const above = next === 0 ? ceiling : READ_ONCE(next + VMA.vm_start);
    free_pgd_range(tlb, mm, READ_ONCE(vma + VMA.vm_start), READ_ONCE(vma + VMA.vm_end), floor, above);
    vma = next;
  }
}
