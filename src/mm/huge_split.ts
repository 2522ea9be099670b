/**
 * Splitting a huge PMD into a table of PTEs (mm/huge_memory.c: __split_huge_pmd_locked(),
 * __split_huge_zero_page_pmd(), vma_adjust_trans_huge()). The page itself stays compound; splitting that is
 * in huge_memory.ts. A file's or device's huge entry is dropped instead: it can be faulted in again.
 *
 * Custom: the table is allocated here instead of having been deposited when the huge entry was made.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  assert,
  localArray,
  READ_ONCE,
  smp_wmb,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { MM, type Mm, VM_WRITE, VMA, type Vma } from "./mm_types.ts";
import { vm_page_prot, vma_flags, vma_is_anonymous } from "./mmap.ts";
import { mmu_notifier_end_relock, mmu_notifier_start_relock } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import { type Page, PageAnonExclusive, page_ref_add, page_to_pfn } from "./page.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  _PAGE_SPECIAL,
  type EntryPtr,
  mk_table_entry,
  PMD_LEVEL,
  pfn_pte,
  pgtable_lookup,
  pmd_leaf,
  pmdp_invalidate,
  pte_alloc_one,
  pte_dirty,
  pte_mkdirty,
  pte_mkold,
  pte_mkuffd_wp,
  pte_mkwrite_vma,
  pte_pfn,
  pte_present,
  pte_uffd_wp,
  pte_write,
  pte_wrprotect,
  pte_young,
  ptep_get_and_clear,
  set_pte_at,
} from "./pgtable.ts";
import { page_remove_rmap_pmd, split_pmd_rmap } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range } from "./tlb.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";
import { is_huge_zero_pfn, vm_normal_page } from "./zap.ts";

/** maybe_mkwrite(): writable only if the area is. */
export function maybe_mkwrite(pte: number, vma: Vma): number {
  return (vma_flags(vma) & VM_WRITE) !== 0 ? pte_mkwrite_vma(pte, vma) : pte;
}

/** The PTEs of an anonymous huge page, in a table that nothing leads to yet. */
function fill_split_table(table: number, page: Page, old: number, vma: Vma): void {
  const prot = vm_page_prot(vma, false);
  const pfn = page_to_pfn(page);
  for (let i = 0; i < geom.hpage_pmd_nr; i++) {
    let pte = maybe_mkwrite(pfn_pte(pfn + i, prot), vma);
    if (!pte_write(old)) pte = pte_wrprotect(pte);
    if (!pte_young(old)) pte = pte_mkold(pte);
    if (config.splitKeepsDirty && pte_dirty(old)) pte = pte_mkdirty(pte);
    if (kernel.userfaultfd !== 0 && pte_uffd_wp(old)) pte = pte_mkuffd_wp(pte);
    set_pte_at(table + i, pte);
  }
}

/**
 * __split_huge_pmd_locked(): `pmdp` is the huge entry that covers addr; the caller holds the page-table lock.
 * Read: v5.10, v7.3. Stub: migration entries of huge pages; soft-dirty. Custom: in v7.3 each page's entry is
 * counted before the table is filled, here after; a file's page is not marked referenced.
 */
function split_huge_pmd_locked(vma: Vma, pmdp: EntryPtr, addr: number): void {
  assert(addr >= READ_ONCE(vma + VMA.vm_start), "split of a huge entry outside the area");
  count_vm_event(VM_EVENT.thp_split_pmd);
  if (kernel.only_devices !== 0 || !vma_is_anonymous(vma)) {
    // pmdp_huge_clear_flush()
    const old = ptep_get_and_clear(pmdp);
    flush_tlb_range();
    const file_page = vm_normal_page(old);
    if (file_page === 0) return;
    if (pte_dirty(old)) set_page_dirty(file_page);
    page_remove_rmap_pmd(file_page, vma);
    put_page(file_page);
    return;
  }
  const table = pte_alloc_one();
  assert(table !== 0, "no page table left to split a huge entry");
  if (is_huge_zero_pfn(pte_pfn(READ_ONCE(pmdp)))) {
    // __split_huge_zero_page_pmd(): none until the table is filled.
    ptep_get_and_clear(pmdp);
    flush_tlb_range();
    const zero = pfn_pte(kernel.zero_pfn, vm_page_prot(vma, false)) | _PAGE_SPECIAL;
    for (let i = 0; i < geom.hpage_pmd_nr; i++) set_pte_at(table + i, zero);
  } else {
    // Not present for the hardware, but for the kernel: walkers wait or fail, nobody faults anything in.
    const old = pmdp_invalidate(pmdp);
    flush_tlb_range();
    const page = vm_normal_page(old);
    if (pte_dirty(old)) set_page_dirty(page);
    const exclusive = PageAnonExclusive(page);
    page_ref_add(page, geom.hpage_pmd_nr - 1);
    fill_split_table(table, page, old, vma);
    split_pmd_rmap(page, vma, exclusive);
  }
  // "make pte visible before pmd"
  smp_wmb();
  WRITE_ONCE(pmdp, mk_table_entry(table));
}

/**
 * __split_huge_pmd(): the same for a caller without a notifier range that covers the whole huge page. The
 * page-table lock, which the caller holds here, is dropped while notifiers run; if the entry is no huge one
 * any more, nothing is left to do.
 */
export function split_huge_pmd_entry(vma: Vma, pmdp: EntryPtr, addr: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const haddr = addr - (addr & ((1 << geom.pmd_shift) - 1));
  mmu_notifier_start_relock(mm, haddr, haddr + (1 << geom.pmd_shift), MMU_NOTIFY_CLEAR);
  if (!config.mmuNotifier || pmd_leaf(READ_ONCE(pmdp))) split_huge_pmd_locked(vma, pmdp, addr);
  mmu_notifier_end_relock(mm);
}

/** split_huge_pmd_address(): splits the huge PMD that covers addr, if there is one. */
export function split_huge_pmd_address(vma: Vma, addr: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  spin_lock(mm + MM.page_table_lock);
  if (pgtable_lookup(mm, addr, out) === PMD_LEVEL && pte_present(READ_ONCE(out[0])))
    split_huge_pmd_entry(vma, out[0], addr);
  spin_unlock(mm + MM.page_table_lock);
}

/** vma_adjust_trans_huge() for one new boundary of an area: no huge page may straddle it. */
export function split_huge_pmd_if_needed(vma: Vma, addr: number): void {
  const mask = (1 << geom.pmd_shift) - 1;
  if ((addr & mask) === 0) return;
  const haddr = addr - (addr & mask);
  if (haddr < READ_ONCE(vma + VMA.vm_start) || haddr + mask + 1 > READ_ONCE(vma + VMA.vm_end)) return;
  split_huge_pmd_address(vma, addr);
}
