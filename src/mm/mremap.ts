/**
 * mremap() (mm/mremap.c, read in v5.10, v6.1, v6.12 and v7.3): shrinking, growing in place, and moving, in
 * which page-table entries go to another address and nothing else changes: no page is touched, no count and
 * no map count, so that what is pinned stays pinned and mapped. Entries move under the locks of both tables;
 * what a CPU may still hold of the old address must be flushed before either lock is dropped (eb66ae030829,
 * config.mremapFlushLocked), because the new address can be unmapped as soon as it is.
 *
 * Custom: one lock for all tables; the caller chooses the address where a mapping that may move goes. Not
 * covered: accounting and limits, moving tables above the PMD level as a whole, realigning downwards to move
 * a table that belongs to nobody else (v6.7, af8ca1c14906), sealed areas.
 */
"use kernel";

import { config, geom } from "../machine/config.ts";
import {
  assert,
  type LocalArray,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { EFAULT, EINVAL, ENOMEM } from "./errno.ts";
import { mm_populate } from "./gup_populate.ts";
import { split_huge_pmd_entry } from "./huge_split.ts";
import { ksm_madvise_unmergeable } from "./ksm.ts";
import { do_munmap } from "./madvise.ts";
import {
  AS_DEVDAX,
  MM,
  type Mm,
  VM_DONTEXPAND,
  VM_LOCKED,
  VM_LOCKED_MASK,
  VM_MAYSHARE,
  VM_PFNMAP,
  VM_SHARED,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  find_vma,
  is_vm_hugetlb_page,
  mmap_write_lock,
  mmap_write_unlock,
  split_vma,
  vm_area_dup,
  vma_flags,
  vma_is_anonymous,
  vma_kind,
  vma_link,
  vma_lookup,
  vma_may_split,
  vma_merge,
  vma_pgoff,
} from "./mmap.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_UNMAP } from "./mmu_notifier_types.ts";
import {
  type EntryPtr,
  level_span,
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_alloc,
  pgtable_lookup,
  pte_present,
  ptep_get_and_clear,
  set_pmd_at,
  set_pte_at,
} from "./pgtable.ts";
import { flush_tlb_range } from "./tlb.ts";
import { split_huge_pud_at } from "./zap.ts";

// include/uapi/linux/mman.h
export const MREMAP_MAYMOVE = 1;
export const MREMAP_FIXED = 2;
export const MREMAP_DONTUNMAP = 4;

// ---- Moving entries ---------------------------------------------------------------------------------------

/**
 * move_ptes(): `nr` PTEs from old_ptep on go to new_ptep, of whatever kind they are. Both tables are
 * locked. True if the old addresses' translations are still to be flushed, by the caller.
 */
export function move_ptes(mm: Mm, old_ptep: EntryPtr, new_ptep: EntryPtr, nr: number): boolean {
  let force_flush = false;
  spin_lock(mm + MM.page_table_lock);
  for (let i = 0; i < nr; i++) {
    if (READ_ONCE(old_ptep + i) === 0) continue;
    const pte = ptep_get_and_clear(old_ptep + i);
    if (pte_present(pte)) force_flush = true;
    set_pte_at(new_ptep + i, pte);
  }
  if (force_flush && config.mremapFlushLocked) {
    flush_tlb_range();
    force_flush = false;
  }
  spin_unlock(mm + MM.page_table_lock);
  return force_flush;
}

/**
 * move_huge_pmd(), move_huge_pud(), move_huge_pte(): a leaf as a whole, to an entry that is none. The caller
 * holds the lock.
 */
function move_huge_leaf(old_entryp: EntryPtr, new_entryp: EntryPtr): void {
  const e = ptep_get_and_clear(old_entryp);
  set_pmd_at(new_entryp, e);
  if (pte_present(e)) flush_tlb_range();
}
/**
 * move_normal_pmd(): a whole table of PTEs, to an entry that is none; false if that one leads to a table
 * already.
 */
function move_normal_pmd(mm: Mm, old_addr: number, new_addr: number): boolean {
  // Tables lead to the old one; nothing is made for it here.
  const old_pmdp = pgtable_alloc(mm, old_addr, PMD_LEVEL);
  const new_pmdp = pgtable_alloc(mm, new_addr, PMD_LEVEL);
  if (new_pmdp === 0 || READ_ONCE(new_pmdp) !== 0) return false;
  const pmd = READ_ONCE(old_pmdp);
  WRITE_ONCE(old_pmdp, 0);
  set_pmd_at(new_pmdp, pmd);
  flush_tlb_range();
  return true;
}

/**
 * get_extent(): how many addresses one step covers, at most up to the end of either address's entry of that
 * size.
 */
function get_extent(span: number, old_addr: number, old_end: number, new_addr: number): number {
  let extent = span - (old_addr & (span - 1));
  if (extent > old_end - old_addr) extent = old_end - old_addr;
  const in_new = span - (new_addr & (span - 1));
  return extent > in_new ? in_new : extent;
}

/**
 * What lies at old_addr above the PTE level: moved whole where both addresses and the length suit it; else
 * a huge PMD is split first, for move_ptes(), and a device's larger leaf is dropped. Gives how many addresses
 * are done with, 0 if there is a table of PTEs to move, -EINVAL for a larger leaf that must be dropped,
 * -ENOMEM if no table can be had for the new address.
 */
function move_above_pte(vma: Vma, old_addr: number, old_end: number, new_addr: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  const level = pgtable_lookup(mm, old_addr, out);
  const span = level_span(level === PTE_LEVEL ? PMD_LEVEL : level);
  const extent = get_extent(span, old_addr, old_end, new_addr);
  if (level === PTE_LEVEL) return extent === span && move_normal_pmd(mm, old_addr, new_addr) ? extent : 0;
  if (READ_ONCE(out[0]) === 0) return extent;
  if (extent === span) {
    const old_entryp: EntryPtr = out[0];
    const new_entryp = pgtable_alloc(mm, new_addr, level);
    if (new_entryp === 0) return -ENOMEM;
    if (READ_ONCE(new_entryp) === 0) {
      move_huge_leaf(old_entryp, new_entryp);
      return extent;
    }
  }
  if (level > PMD_LEVEL) return -EINVAL;
  split_huge_pmd_entry(vma, out[0], old_addr);
  // A file's leaf was dropped: it can be faulted in again.
  return pgtable_lookup(mm, old_addr, out) === PTE_LEVEL ? 0 : extent;
}

/**
 * move_page_tables(): entries of len addresses from `start` on go to `to`. How many addresses are done with.
 */
function move_page_tables(vma: Vma, start: number, to: number, len: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  const end = start + len;
  let need_flush = false;
  let done = 0;
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_UNMAP, 0);
  while (done < len) {
    const old_addr = start + done;
    const new_addr = to + done;
    spin_lock(mm + MM.page_table_lock);
    let step = move_above_pte(vma, old_addr, end, new_addr);
    if (step === -EINVAL) {
      // A device's leaf above the PMD level that does not fit: dropped, as split_huge_pud() drops it.
      spin_unlock(mm + MM.page_table_lock);
      split_huge_pud_at(mm, vma, old_addr);
      continue;
    }
    let new_ptep: EntryPtr = 0;
    if (step === 0) new_ptep = pgtable_alloc(mm, new_addr, PTE_LEVEL);
    if (step === 0 && new_ptep !== 0) pgtable_lookup(mm, old_addr, out);
    spin_unlock(mm + MM.page_table_lock);
    if (step < 0 || (step === 0 && new_ptep === 0)) break;
    if (step === 0) {
      step = get_extent(1 << geom.pmd_shift, old_addr, end, new_addr);
      if (move_ptes(mm, out[0], new_ptep, step)) need_flush = true;
    }
    done += step;
  }
  // To v4.18, of entries that were not dirty.
  if (need_flush) flush_tlb_range();
  mmu_notifier_invalidate_range_end(mm);
  return done < len ? done : len;
}

/** move_hugetlb_page_tables() (v5.16): addresses and length are multiples of the huge page. */
function move_hugetlb_page_tables(vma: Vma, start: number, to: number, len: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  let done = 0;
  mmu_notifier_invalidate_range_start(mm, start, start + len, MMU_NOTIFY_UNMAP, 0);
  spin_lock(mm + MM.page_table_lock);
  for (; done < len; done += geom.hpage_pmd_nr) {
    if (pgtable_lookup(mm, start + done, out) !== PMD_LEVEL || READ_ONCE(out[0]) === 0) continue;
    const old_entryp: EntryPtr = out[0];
    const new_entryp = pgtable_alloc(mm, to + done, PMD_LEVEL);
    if (new_entryp === 0) break;
    move_huge_leaf(old_entryp, new_entryp);
  }
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  return done;
}

function move_tables(vma: Vma, start: number, to: number, len: number): number {
  return is_vm_hugetlb_page(vma)
    ? move_hugetlb_page_tables(vma, start, to, len)
    : move_page_tables(vma, start, to, len);
}

// ---- Areas ------------------------------------------------------------------------------------------------

/**
 * copy_vma(): an area like `vma` at new_addr, merged with neighbours that are like it; 0 if memory is out.
 */
function copy_vma(mm: Mm, vma: Vma, new_addr: number, len: number, pgoff: number): Vma {
  const copy = vm_area_dup(vma);
  if (copy === 0) return 0;
  // An area without anonymous pages begins at its own address again, so that it can merge.
  const fresh = vma_is_anonymous(vma) && READ_ONCE(vma + VMA.anon_vma) === 0;
  WRITE_ONCE(copy + VMA.vm_start, new_addr);
  WRITE_ONCE(copy + VMA.vm_end, new_addr + len);
  WRITE_ONCE(copy + VMA.vm_pgoff, fresh ? new_addr : pgoff);
  vma_link(mm, copy);
  return vma_merge(mm, copy);
}

/**
 * "To account mlock()'d pages correctly in the MREMAP_DONTUNMAP case perform any split ahead of time": the
 * error or 0.
 */
function split_ahead(mm: Mm, addr: number, len: number): number {
  let vma = vma_lookup(mm, addr);
  if (READ_ONCE(vma + VMA.vm_start) !== addr) {
    const error = split_vma(mm, vma, addr);
    if (error !== 0) return error;
    vma = vma_lookup(mm, addr);
  }
  return READ_ONCE(vma + VMA.vm_end) !== addr + len ? split_vma(mm, vma, addr + len) : 0;
}
/**
 * The area whose pages have gone is unlocked, and as if it had never had any; dontunmap_complete() in v7.3.
 */
function dontunmap_complete(vma: Vma, addr: number, len: number): void {
  WRITE_ONCE(vma + VMA.vm_flags, vma_flags(vma) & ~VM_LOCKED_MASK);
  if (!config.dontunmapUnlinks) return;
  if (READ_ONCE(vma + VMA.vm_start) !== addr || READ_ONCE(vma + VMA.vm_end) !== addr + len) return;
  WRITE_ONCE(vma + VMA.anon_vma, 0);
  if (vma_is_anonymous(vma)) WRITE_ONCE(vma + VMA.vm_pgoff, addr);
}

/** move_vma(): the new address, or the error, in which case the mapping is where it was. */
function move_vma(
  mm: Mm,
  area: Vma,
  old_addr: number,
  old_len: number,
  new_len: number,
  new_addr: number,
  flags: number,
): number {
  const old_end = old_addr + old_len;
  const dontunmap = (flags & MREMAP_DONTUNMAP) !== 0;
  let vma = area;
  if (config.mremapMaySplit) {
    if (READ_ONCE(vma + VMA.vm_start) !== old_addr && !vma_may_split(vma, old_addr)) return -EINVAL;
    if (READ_ONCE(vma + VMA.vm_end) !== old_end && !vma_may_split(vma, old_end)) return -EINVAL;
  }
  // "Advise KSM to break any KSM pages in the area to be moved: it would be confusing if they were to turn up
  // at the new location"
  const unmerged = ksm_madvise_unmergeable(vma, old_addr, old_end);
  if (unmerged !== 0) return unmerged;
  if (config.dontunmapSplits && dontunmap && (vma_flags(vma) & VM_LOCKED) !== 0) {
    const error = split_ahead(mm, old_addr, old_len);
    if (error !== 0) return error;
    vma = vma_lookup(mm, old_addr);
  }
  if (copy_vma(mm, vma, new_addr, new_len, vma_pgoff(vma, old_addr)) === 0) return -ENOMEM;
  // The source may have been merged with the new area.
  vma = vma_lookup(mm, old_addr);
  const moved = move_tables(vma, old_addr, new_addr, old_len);
  if (moved < old_len) {
    // "move entries back from new area to old, which will succeed since page tables still there"
    move_tables(vma_lookup(mm, new_addr), new_addr, old_addr, moved);
    do_munmap(mm, new_addr, new_len);
    return -ENOMEM;
  }
  if (dontunmap) {
    dontunmap_complete(vma, old_addr, old_len);
    return new_addr;
  }
  const error = do_munmap(mm, old_addr, old_len);
  assert(
    error === 0 || old_len === 0 || !config.mremapMaySplit,
    "the moved mapping's old area cannot be removed",
  );
  return new_addr;
}

/**
 * The checks of hugetlb areas (v5.16): the lengths, rounded up, in lens[0] (old) and lens[1]; the error or 0.
 */
function hugetlb_lengths(addr: number, new_addr: number, flags: number, lens: LocalArray): number {
  const mask = geom.hpage_pmd_nr - 1;
  lens[0] = (lens[0] + mask) & ~mask;
  lens[1] = (lens[1] + mask) & ~mask;
  if ((addr & mask) !== 0) return -EINVAL;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 && (new_addr & mask) !== 0) return -EINVAL;
  // "Don't allow remap expansion, because the underlying hugetlb reservation is not yet capable to handle
  // split reservation."
  return lens[1] > lens[0] ? -EINVAL : 0;
}

/** vma_to_resize(), check_prep_vma(): 0, or why the area at addr cannot be moved or grown. */
function vma_to_resize(vma: Vma, addr: number, old_len: number, new_len: number, flags: number): number {
  if (vma === 0) return -EFAULT;
  const vm_flags = vma_flags(vma);
  // No old length: a second mapping of the same pages, of shared memory only (v4.14, dba58d3b8c50).
  if (old_len === 0 && (vm_flags & (VM_SHARED | VM_MAYSHARE)) === 0) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0) {
    if (config.dontunmapFiles ? (vm_flags & (VM_DONTEXPAND | VM_PFNMAP)) !== 0 : !vma_is_anonymous(vma))
      return -EINVAL;
  }
  if (is_vm_hugetlb_page(vma) && !config.hugetlbMremap) return -EINVAL;
  // "We can't remap across vm area boundaries"
  if (old_len > READ_ONCE(vma + VMA.vm_end) - addr) return -EFAULT;
  if (new_len === old_len) return 0;
  return (vm_flags & (VM_DONTEXPAND | VM_PFNMAP)) !== 0 ? -EFAULT : 0;
}

/** The addresses are free. */
function range_is_free(mm: Mm, start: number, len: number): boolean {
  const next = find_vma(mm, start);
  return start + len <= geom.task_size && (next === 0 || READ_ONCE(next + VMA.vm_start) >= start + len);
}

/**
 * mremap_to(): to a place of the caller's. What is mapped there goes (MREMAP_FIXED), even if the move fails
 * later.
 */
function mremap_to(
  mm: Mm,
  addr: number,
  length: number,
  new_len: number,
  flags: number,
  new_addr: number,
): number {
  let old_len = length;
  if (new_addr < 0 || new_len > geom.task_size || new_addr > geom.task_size - new_len) return -EINVAL;
  // "Ensure the old/new locations do not overlap"
  if (addr + old_len > new_addr && new_addr + new_len > addr) return -EINVAL;
  if ((flags & MREMAP_FIXED) !== 0) {
    const unmapped = do_munmap(mm, new_addr, new_len);
    if (unmapped !== 0) return unmapped;
  }
  if (old_len > new_len) {
    const error = do_munmap(mm, addr + new_len, old_len - new_len);
    if (error !== 0) return error;
    old_len = new_len;
  }
  const vma = vma_lookup(mm, addr);
  const error = vma_to_resize(vma, addr, old_len, new_len, flags);
  if (error !== 0) return error;
  return move_vma(mm, vma, addr, old_len, new_len, new_addr, flags);
}

/**
 * vma_multi_allowed(): a device whose mappings are placed by itself may not be one of several areas that
 * move.
 */
function vma_multi_allowed(vma: Vma): boolean {
  return vma_kind(vma) !== AS_DEVDAX;
}

/**
 * remap_move() (v6.17, d23cb648e365): every area of the range moves by itself, holes stay holes; the new
 * address, or the error.
 */
function remap_move(mm: Mm, start: number, len: number, flags: number, new_addr: number): number {
  const end = start + len;
  const lens = localArray(2);
  if (vma_lookup(mm, start) === 0) return -EFAULT;
  for (let addr = start; addr < end; ) {
    const vma = find_vma(mm, addr);
    if (vma === 0 || READ_ONCE(vma + VMA.vm_start) >= end) break;
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    // "This is not the first VMA", or "This is the first, but there are more".
    if (!vma_multi_allowed(vma) && (addr !== start || vm_end < end)) return -EFAULT;
    if (addr < READ_ONCE(vma + VMA.vm_start)) addr = READ_ONCE(vma + VMA.vm_start);
    lens[0] = (vm_end < end ? vm_end : end) - addr;
    lens[1] = lens[0];
    const to = new_addr + addr - start;
    if (is_vm_hugetlb_page(vma)) {
      const error = hugetlb_lengths(addr, to, flags, lens);
      if (error !== 0) return error;
    }
    const error = vma_to_resize(vma, addr, lens[0], lens[0], flags);
    if (error !== 0) return error;
    const ret = mremap_to(mm, addr, lens[0], lens[0], flags, to);
    if (ret < 0) return ret;
    addr += lens[0];
  }
  return new_addr;
}

/** expand_vma(): growing in place, or, with MREMAP_MAYMOVE, at new_addr. */
function expand_vma(
  mm: Mm,
  vma: Vma,
  addr: number,
  old_len: number,
  new_len: number,
  flags: number,
  new_addr: number,
): number {
  const end = READ_ONCE(vma + VMA.vm_end);
  const locked = (vma_flags(vma) & VM_LOCKED) !== 0;
  let ret = addr;
  if (old_len === end - addr && range_is_free(mm, end, new_len - old_len)) {
    WRITE_ONCE(vma + VMA.vm_end, addr + new_len);
    vma_merge(mm, vma);
  } else {
    if ((flags & MREMAP_MAYMOVE) === 0 || !range_is_free(mm, new_addr, new_len)) return -ENOMEM;
    ret = move_vma(mm, vma, addr, old_len, new_len, new_addr, flags);
  }
  // Custom: mmap_lock, which the kernel drops first, is the caller's: populating takes it for itself.
  if (ret >= 0 && locked) populate_locked(mm, ret + old_len, new_len - old_len);
  return ret;
}
/** "VMA mlock'd + was expanded, so populated expanded region." */
function populate_locked(mm: Mm, start: number, len: number): void {
  mmap_write_unlock(mm);
  mm_populate(mm, start, len, true);
  mmap_write_lock(mm);
}

/** What check_mremap_params() refuses; 0, or the error. */
function check_mremap_params(old_len: number, new_len: number, flags: number): number {
  if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return -EINVAL;
  if ((flags & MREMAP_FIXED) !== 0 && (flags & MREMAP_MAYMOVE) === 0) return -EINVAL;
  // "MREMAP_DONTUNMAP is always a move and it does not allow resizing in the process."
  if ((flags & MREMAP_DONTUNMAP) !== 0 && ((flags & MREMAP_MAYMOVE) === 0 || old_len !== new_len))
    return -EINVAL;
  return new_len === 0 ? -EINVAL : 0;
}

/**
 * mremap(): the address where the mapping is now, or an error. new_addr is where it has to go
 * (MREMAP_FIXED, MREMAP_DONTUNMAP), or may go (MREMAP_MAYMOVE alone); but for MREMAP_FIXED it must be free.
 * mmap_lock is held for writing.
 */
export function do_mremap(
  mm: Mm,
  addr: number,
  old_length: number,
  new_length: number,
  flags: number,
  new_addr: number,
): number {
  const lens = localArray(2);
  lens[0] = old_length;
  lens[1] = new_length;
  const refused = check_mremap_params(old_length, new_length, flags);
  if (refused !== 0) return refused;
  if (config.mremapMany && (flags & MREMAP_FIXED) !== 0 && old_length === new_length) {
    if (addr + old_length > new_addr && new_addr + new_length > addr) return -EINVAL;
    return remap_move(mm, addr, old_length, flags, new_addr);
  }
  const at = vma_lookup(mm, addr);
  if (config.hugetlbMremap) {
    if (at === 0) return -EFAULT;
    if (is_vm_hugetlb_page(at)) {
      const error = hugetlb_lengths(addr, new_addr, flags, lens);
      if (error !== 0) return error;
    }
  }
  const old_len = lens[0];
  const new_len = lens[1];
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) {
    // From v6.17 nothing is unmapped for a move that is refused (check_prep_vma()).
    const refused = config.mremapMany
      ? vma_to_resize(at, addr, old_len < new_len ? old_len : new_len, new_len, flags)
      : 0;
    if (refused !== 0) return refused;
    return mremap_to(mm, addr, old_len, new_len, flags, new_addr);
  }
  if (old_len >= new_len) {
    // "Always allow a shrinking remap: that just unmaps the unnecessary pages": to v5.15 also where nothing
    // is mapped.
    if (old_len === new_len) return addr;
    const error = do_munmap(mm, addr + new_len, old_len - new_len);
    return error !== 0 ? error : addr;
  }
  const error = vma_to_resize(at, addr, old_len, new_len, flags);
  if (error !== 0) return error;
  return expand_vma(mm, at, addr, old_len, new_len, flags, new_addr);
}
