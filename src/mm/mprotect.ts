/**
 * mprotect() (mm/mprotect.c): areas are split and merged, entries get the new protection. Private entries
 * become writable by the next write fault, except that from v6.1 those of exclusive anonymous pages are
 * upgraded at once.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { EACCES, EINVAL, ENOMEM } from "./errno.ts";
import { vma_wants_writenotify } from "./fault.ts";
import { split_huge_pmd_entry } from "./huge_split.ts";
import {
  MM,
  type Mm,
  VM_EXEC,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  find_vma,
  is_vm_hugetlb_page,
  vm_page_prot,
  vma_flags,
  vma_is_anonymous,
  vma_lookup,
  vma_modify_flags,
} from "./mmap.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_PROTECTION_VMA } from "./mmu_notifier_types.ts";
import { PageAnon, PageAnonExclusive } from "./page.ts";
import {
  _PAGE_UFFD_WP,
  type EntryPtr,
  level_span,
  PMD_LEVEL,
  PTE_LEVEL,
  PTE_MARKER_UFFD_WP,
  pgtable_lookup,
  pte_clear_uffd_wp,
  pte_dirty,
  pte_mkuffd_wp,
  pte_mkwrite_vma,
  pte_modify,
  pte_present,
  pte_protnone,
  pte_uffd_wp,
  pte_write,
  ptep_get_and_clear,
  SWP_SWAP,
  set_pte_at,
  swp_type,
} from "./pgtable.ts";
import { flush_tlb_range } from "./tlb.ts";
import { vm_normal_page } from "./zap.ts";

/** can_change_pte_writable(), can_change_pmd_writable(): no write fault is needed to find out. */
function can_change_writable(vma: Vma, e: number, level: number): boolean {
  // "Do we need write faults for uffd-wp tracking?"
  if (kernel.userfaultfd !== 0 && pte_uffd_wp(e)) return false;
  if (config.mprotectUpgrade === 0 || (vma_flags(vma) & VM_WRITE) === 0 || pte_protnone(e)) return false;
  if (config.mprotectUpgrade === 1 && (level !== PTE_LEVEL || !pte_dirty(e))) return false;
  if ((vma_flags(vma) & VM_SHARED) !== 0) return pte_dirty(e);
  const page = vm_normal_page(e);
  return page !== 0 && PageAnon(page) && PageAnonExclusive(page);
}

/** change_pte_range() for one leaf. */
function change_entry(vma: Vma, entryp: EntryPtr, level: number): void {
  const old = ptep_get_and_clear(entryp);
  let e = pte_modify(old, vm_page_prot(vma, vma_wants_writenotify(vma)));
  if (!pte_write(e) && !is_vm_hugetlb_page(vma) && can_change_writable(vma, e, level))
    e = pte_mkwrite_vma(e, vma);
  set_pte_at(entryp, e);
}

// MM_CP_UFFD_WP and MM_CP_UFFD_WP_RESOLVE of change_protection().
export const CP_UFFD_WP = 1;
export const CP_UFFD_WP_RESOLVE = 2;

/** change_pte_range() for one leaf, write-protected for userfaultfd or no longer. */
function change_entry_uffd(vma: Vma, entryp: EntryPtr, level: number, cp: number): void {
  const old = ptep_get_and_clear(entryp);
  let e = pte_modify(old, vm_page_prot(vma, vma_wants_writenotify(vma)));
  e = cp === CP_UFFD_WP ? pte_mkuffd_wp(e) : pte_clear_uffd_wp(e);
  // vma_wants_manual_pte_write_upgrade(), which of shared areas with userfaultfd is never true.
  const upgrades = config.uffdPageProt && cp === CP_UFFD_WP_RESOLVE && (vma_flags(vma) & VM_SHARED) === 0;
  if (upgrades && !pte_write(e) && !is_vm_hugetlb_page(vma) && can_change_writable(vma, e, level))
    e = pte_mkwrite_vma(e, vma);
  set_pte_at(entryp, e);
}
/** change_pte_range() for an entry that is none, a marker or in swap (uffd_wp_protect_file()). */
function change_nonpresent_uffd(vma: Vma, entryp: EntryPtr, cp: number): void {
  const e = READ_ONCE(entryp);
  if (e === 0) {
    if (cp === CP_UFFD_WP && !vma_is_anonymous(vma) && config.uffdWpFiles)
      set_pte_at(entryp, PTE_MARKER_UFFD_WP);
  } else if (e === PTE_MARKER_UFFD_WP) {
    if (cp === CP_UFFD_WP_RESOLVE) set_pte_at(entryp, 0);
  } else if (swp_type(e) === SWP_SWAP)
    set_pte_at(entryp, cp === CP_UFFD_WP ? e | _PAGE_UFFD_WP : e & ~_PAGE_UFFD_WP);
}
/** uffd_wp_range(): change_protection() for userfaultfd. */
export function change_protection_uffd(vma: Vma, start: number, end: number, cp: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_PROTECTION_VMA, 0);
  spin_lock(mm + MM.page_table_lock);
  for (let addr = start; addr < end; ) {
    let level = pgtable_lookup(mm, addr, out);
    const span = level_span(level);
    const whole = (addr & (span - 1)) === 0 && addr + span <= end;
    if (level === PMD_LEVEL && pte_present(READ_ONCE(out[0])) && !whole && vma_is_anonymous(vma)) {
      split_huge_pmd_entry(vma, out[0], addr);
      level = pgtable_lookup(mm, addr, out);
    }
    const step = level_span(level);
    if (pte_present(READ_ONCE(out[0]))) change_entry_uffd(vma, out[0], level, cp);
    else if (level === PTE_LEVEL) change_nonpresent_uffd(vma, out[0], cp);
    addr = addr - (addr & (step - 1)) + step;
  }
  flush_tlb_range();
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
}

/**
 * change_protection(): the whole area, whose flags are the new ones already. Custom: notifiers are told of
 * the whole range, even if nothing is mapped there, and the TLB is flushed before range_end, not right after
 * it.
 */
export function change_protection(vma: Vma, start: number, end: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  let addr = start;
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_PROTECTION_VMA, 0);
  spin_lock(mm + MM.page_table_lock);
  while (addr < end) {
    let level = pgtable_lookup(mm, addr, out);
    let e = READ_ONCE(out[0]);
    const span = level_span(level);
    let next = addr - (addr & (span - 1)) + span;
    if (
      level === PMD_LEVEL &&
      pte_present(e) &&
      (next - addr !== span || next > end) &&
      vma_is_anonymous(vma)
    ) {
      split_huge_pmd_entry(vma, out[0], addr);
      level = pgtable_lookup(mm, addr, out);
      e = READ_ONCE(out[0]);
      next = addr + 1;
    }
    if (pte_present(e)) change_entry(vma, out[0], level);
    addr = next;
  }
  flush_tlb_range();
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
}

/** mprotect_fixup(): one area's part of the range; 0 or the error. */
function mprotect_fixup(mm: Mm, area: Vma, start: number, end: number, newflags: number): number {
  if (newflags === vma_flags(area)) return 0;
  const vma = vma_modify_flags(mm, area, start, end, newflags);
  if (vma < 0) return vma;
  change_protection(vma, start, end);
  return 0;
}

/**
 * do_mprotect_pkey(): `prot` is VM_READ | VM_WRITE | VM_EXEC. The error (negative) or 0. mmap_lock is held
 * for writing.
 */
export function do_mprotect(mm: Mm, start: number, len: number, prot: number): number {
  if (len === 0) return 0;
  const end = start + len;
  let addr = start;
  if (vma_lookup(mm, start) === 0) return -ENOMEM;
  while (addr < end) {
    const vma = find_vma(mm, addr);
    if (vma === 0 || READ_ONCE(vma + VMA.vm_start) > addr) return -ENOMEM;
    const flags = vma_flags(vma);
    if ((prot & VM_WRITE) !== 0 && (flags & VM_MAYWRITE) === 0) return -EACCES;
    if ((prot & VM_READ) !== 0 && (flags & VM_MAYREAD) === 0) return -EACCES;
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    const next = vm_end < end ? vm_end : end;
    const error = mprotect_fixup(mm, vma, addr, next, (flags & ~(VM_READ | VM_WRITE | VM_EXEC)) | prot);
    if (error !== 0) return error === -EINVAL ? -EINVAL : error;
    addr = next;
  }
  return 0;
}
