/**
 * Mapping device pages and removing mappings (mm/memory.c): vmf_insert_mixed() and vmf_insert_pfn_pmd()
 * without the fault around them, zapping a range of an address space, unmap_mapping_range() through a file's
 * areas, and freeing the tables of a range (free_pgd_range()).
 *
 * Not covered: faults, copy on write, swap. Stub: zapping a part of a huge leaf, which needs a split, is an
 * assertion. Custom: a missing level is folded by passing the table on, and one lock covers every table of an
 * address space.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  assert,
  atomic_dec,
  atomic_inc,
  type LocalArray,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
} from "../machine/primitives.ts";
import { ADDRESS_SPACE, type AddressSpace, MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import {
  __tlb_remove_page,
  MMU_GATHER_SIZE,
  tlb_finish_mmu,
  tlb_flush_mmu,
  tlb_gather_mmu,
  tlb_remove_table,
  tlb_remove_tlb_entry,
} from "./mmu_gather.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_UNMAP } from "./mmu_notifier_types.ts";
import { compound_head, get_page, PAGE, type Page, page_word, pfn_to_page } from "./page.ts";
import {
  _PAGE_DEVMAP,
  _PAGE_PSE,
  type EntryPtr,
  is_device_exclusive_entry,
  is_device_private_entry,
  PTE_LEVEL,
  p4d_addr_end,
  p4d_none,
  p4d_offset_table,
  p4d_page_table,
  pfn_pte,
  pgd_addr_end,
  pgd_none,
  pgd_offset_table,
  pgd_page_table,
  pgd_table,
  pgtable_alloc,
  pmd_addr_end,
  pmd_clear,
  pmd_leaf,
  pmd_none,
  pmd_offset_table,
  pmd_page_table,
  pte_devmap,
  pte_none,
  pte_offset_table,
  pte_pfn,
  pte_present,
  pte_special,
  ptep_get_and_clear,
  pud_addr_end,
  pud_leaf,
  pud_none,
  pud_offset_table,
  pud_page_table,
  set_pte_at,
  swp_offset,
  type TablePtr,
} from "./pgtable.ts";
import { put_page } from "./swap.ts";

// ---- Mapping ----------------------------------------------------------------------------------------------

/**
 * Reference and map count of an entry of any size (page_add_file_rmap(); one of each also for a huge leaf).
 */
function page_add_rmap(page: Page): void {
  get_page(page);
  atomic_inc(page_word(compound_head(page), PAGE._mapcount));
}
function page_remove_rmap(page: Page): void {
  atomic_dec(page_word(compound_head(page), PAGE._mapcount));
}

/**
 * Maps 2^(level * table_shift) device frames from `pfn` at addr, with entry flags `prot`; false if no table
 * is left or something is mapped there. insert_pfn() and insert_pfn_pmd(), from vmf_insert_mixed() and
 * vmf_insert_pfn_pmd().
 */
export function insert_pfn(mm: Mm, addr: number, pfn: number, prot: number, level: number): boolean {
  spin_lock(mm + MM.page_table_lock);
  const entryp = pgtable_alloc(mm, addr, level);
  if (entryp === 0 || !pte_none(READ_ONCE(entryp))) {
    spin_unlock(mm + MM.page_table_lock);
    return false;
  }
  if (config.pteRef) page_add_rmap(pfn_to_page(pfn));
  const devmap = config.pteDevmap ? _PAGE_DEVMAP : 0;
  const leaf = level > PTE_LEVEL ? _PAGE_PSE : 0;
  set_pte_at(entryp, pfn_pte(pfn, prot | devmap | leaf));
  spin_unlock(mm + MM.page_table_lock);
  return true;
}

// ---- Zapping ----------------------------------------------------------------------------------------------

/**
 * The page that an entry holds a reference on, or 0: device entries held none up to v6.14, special ones never
 * do.
 */
function vm_normal_page(e: number): Page {
  if (pte_devmap(e) && !config.pteRef) return 0;
  if (pte_special(e)) return 0;
  return pfn_to_page(pte_pfn(e));
}

/**
 * The CPU has no translation of a device-private or -exclusive page, so nothing needs flushing before it
 * goes.
 */
function zap_device_entry(e: number): void {
  const page = pfn_to_page(swp_offset(e));
  page_remove_rmap(page);
  put_page(page);
}

/** Clears one leaf of any level; true if the gather must be flushed before the next. */
function zap_entry(tlb: LocalArray, entryp: EntryPtr): boolean {
  const e = ptep_get_and_clear(entryp);
  if (!pte_present(e)) {
    if (kernel.device_private && (is_device_private_entry(e) || is_device_exclusive_entry(e)))
      zap_device_entry(e);
    return false;
  }
  tlb_remove_tlb_entry(tlb);
  const page = vm_normal_page(e);
  if (page === 0) return false;
  page_remove_rmap(page);
  return __tlb_remove_page(tlb, page);
}

function zap_pte_range(tlb: LocalArray, mm: Mm, table: TablePtr, start: number, end: number): void {
  let addr = start;
  while (addr !== end) {
    let force_flush = false;
    spin_lock(mm + MM.page_table_lock);
    while (addr !== end && !force_flush) {
      const ptep = pte_offset_table(table, addr);
      if (!pte_none(READ_ONCE(ptep))) force_flush = zap_entry(tlb, ptep);
      addr++;
    }
    spin_unlock(mm + MM.page_table_lock);
    if (force_flush) tlb_flush_mmu(tlb);
  }
}

/**
 * zap_huge_pmd() and zap_huge_pud(): `whole` is the first address behind the leaf if the leaf begins at addr.
 */
function zap_huge(
  tlb: LocalArray,
  mm: Mm,
  entryp: EntryPtr,
  addr: number,
  next: number,
  shift: number,
): void {
  assert(
    next - addr === 1 << shift,
    "zapping a part of a huge leaf needs a split, which is not modelled here",
  );
  spin_lock(mm + MM.page_table_lock);
  const full = zap_entry(tlb, entryp);
  spin_unlock(mm + MM.page_table_lock);
  if (full) tlb_flush_mmu(tlb);
}

function zap_pmd_range(tlb: LocalArray, mm: Mm, table: TablePtr, start: number, end: number): void {
  if (geom.levels < 2) {
    zap_pte_range(tlb, mm, table, start, end);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = pmd_addr_end(addr, end);
    const pmdp = pmd_offset_table(table, addr);
    const pmd = READ_ONCE(pmdp);
    if (pmd_leaf(pmd)) zap_huge(tlb, mm, pmdp, addr, next, geom.pmd_shift);
    else if (!pmd_none(pmd)) zap_pte_range(tlb, mm, pmd_page_table(pmd), addr, next);
    addr = next;
  }
}

function zap_pud_range(tlb: LocalArray, mm: Mm, table: TablePtr, start: number, end: number): void {
  if (geom.levels < 3) {
    zap_pmd_range(tlb, mm, table, start, end);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = pud_addr_end(addr, end);
    const pudp = pud_offset_table(table, addr);
    const pud = READ_ONCE(pudp);
    if (pud_leaf(pud)) zap_huge(tlb, mm, pudp, addr, next, geom.pud_shift);
    else if (!pud_none(pud)) zap_pmd_range(tlb, mm, pud_page_table(pud), addr, next);
    addr = next;
  }
}

function zap_p4d_range(tlb: LocalArray, mm: Mm, table: TablePtr, start: number, end: number): void {
  if (geom.levels < 4) {
    zap_pud_range(tlb, mm, table, start, end);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = p4d_addr_end(addr, end);
    const p4d = READ_ONCE(p4d_offset_table(table, addr));
    if (!p4d_none(p4d)) zap_pud_range(tlb, mm, p4d_page_table(p4d), addr, next);
    addr = next;
  }
}

/** Clears every entry of addr <= address < end. The caller flushes (tlb_finish_mmu()). */
export function unmap_page_range(tlb: LocalArray, mm: Mm, start: number, end: number): void {
  const top = pgd_table(mm);
  if (geom.levels < 5) {
    zap_p4d_range(tlb, mm, top, start, end);
    return;
  }
  for (let addr = start; addr !== end; ) {
    const next = pgd_addr_end(addr, end);
    const pgd = READ_ONCE(pgd_offset_table(top, addr));
    if (!pgd_none(pgd)) zap_p4d_range(tlb, mm, pgd_page_table(pgd), addr, next);
    addr = next;
  }
}

/** Zaps and flushes nr pages from addr on. */
export function zap_page_range(mm: Mm, addr: number, nr: number): void {
  const tlb = localArray(MMU_GATHER_SIZE);
  if (config.mmuNotifier) mmu_notifier_invalidate_range_start(mm, addr, addr + nr, MMU_NOTIFY_UNMAP, 0);
  tlb_gather_mmu(tlb);
  unmap_page_range(tlb, mm, addr, addr + nr);
  tlb_finish_mmu(tlb);
  if (config.mmuNotifier) mmu_notifier_invalidate_range_end(mm);
}

/**
 * Zaps every mapping of nr pages of a file from page `first` on; nr 0 means to its end. Stub: i_mmap_rwsem is
 * not taken, nobody changes the list of areas in the scenarios so far; private copies (even_cows) do not
 * exist.
 */
export function unmap_mapping_range(mapping: AddressSpace, first: number, nr: number): void {
  let vma: Vma = READ_ONCE(mapping + ADDRESS_SPACE.i_mmap);
  while (vma !== 0) {
    const vm_start = READ_ONCE(vma + VMA.vm_start);
    const pgoff = READ_ONCE(vma + VMA.vm_pgoff);
    let start = vm_start;
    let end = READ_ONCE(vma + VMA.vm_end);
    if (first > pgoff) start = vm_start + first - pgoff;
    if (nr !== 0 && vm_start + first + nr - pgoff < end) end = vm_start + first + nr - pgoff;
    if (start < end) zap_page_range(READ_ONCE(vma + VMA.vm_mm), start, end - start);
    vma = READ_ONCE(vma + VMA.shared_next);
  }
}

// ---- Freeing tables ---------------------------------------------------------------------------------------

/** The address of the PMD that covers addr, or 0 if a table above it is missing or a leaf (mm/rmap.c). */
export function mm_find_pmd(mm: Mm, addr: number): EntryPtr {
  let table = pgd_table(mm);
  if (geom.levels >= 5) {
    const pgd = READ_ONCE(pgd_offset_table(table, addr));
    if (pgd_none(pgd)) return 0;
    table = pgd_page_table(pgd);
  }
  if (geom.levels >= 4) {
    const p4d = READ_ONCE(p4d_offset_table(table, addr));
    if (p4d_none(p4d)) return 0;
    table = p4d_page_table(p4d);
  }
  if (geom.levels >= 3) {
    const pud = READ_ONCE(pud_offset_table(table, addr));
    if (pud_none(pud) || pud_leaf(pud)) return 0;
    table = pud_page_table(pud);
  }
  return pmd_offset_table(table, addr);
}

/**
 * free_pte_range(): unlinks the PTE table that covers addr and frees it with the gather. Every entry of it
 * must be none. Stub: the tables above stay.
 */
export function free_pte_range(tlb: LocalArray, mm: Mm, addr: number): void {
  if (geom.levels < 2) return;
  spin_lock(mm + MM.page_table_lock);
  const pmdp = mm_find_pmd(mm, addr);
  const pmd = pmdp === 0 ? 0 : READ_ONCE(pmdp);
  const linked = !pmd_none(pmd) && !pmd_leaf(pmd);
  if (linked) pmd_clear(pmdp);
  spin_unlock(mm + MM.page_table_lock);
  if (linked) tlb_remove_table(tlb, pmd_page_table(pmd));
}
