/**
 * mremap() (mm/mremap.c, v5.10 to v6.16): shrinking, growing in place, and moving, in which page-table
 * entries go to another address and nothing else changes: no page is touched, no count and no map count, so
 * that what is pinned stays pinned and mapped. Entries move under the locks of both tables; what a CPU may
 * still hold of the old address must be flushed before either lock is dropped (eb66ae030829,
 * config.mremapFlushLocked), because the new address can be unmapped as soon as it is.
 *
 * Custom: one lock for all tables; the caller chooses the address where a mapping that may move goes;
 * vm_ops->may_split is asked before anything moves (v5.11, 73d5e0629919) in every version. Not covered:
 * MREMAP_DONTUNMAP, accounting and limits, populating what a locked area grows by, moving tables above the
 * PTE level as a whole, several areas at once (v6.17).
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
import { split_huge_pmd_entry } from "./huge_split.ts";
import { do_munmap } from "./madvise.ts";
import { MM, type Mm, VM_PFNMAP, VM_SHARED, VMA, type Vma } from "./mm_types.ts";
import {
  find_vma,
  is_vm_hugetlb_page,
  vm_area_dup,
  vma_flags,
  vma_is_anonymous,
  vma_link,
  vma_lookup,
  vma_may_split,
  vma_merge,
  vma_pgoff,
} from "./mmap.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_UNMAP } from "./mmu_notifier_types.ts";
import { HPAGE_PMD_NR } from "./page_alloc.ts";
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
import { zap_vma_range } from "./zap.ts";

// include/uapi/linux/mman.h
export const MREMAP_MAYMOVE = 1;
export const MREMAP_FIXED = 2;

// ---- Moving entries ---------------------------------------------------------------------------------------

/**
 * move_ptes(): `nr` PTEs from old_ptep on go to new_ptep, of whatever kind they are. Both tables are locked.
 * True if the old addresses' translations are still to be flushed, by the caller.
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
 * The entry at old_addr if it lies above the PTE level and covers more than a table's range: moved whole
 * where both addresses and the length suit it; else a huge PMD is split first, for move_ptes(), and a
 * device's larger leaf is dropped. Gives how many addresses are done with, 0 if there is a table of PTEs to
 * move, -ENOMEM if none can be had for the new address.
 */
function move_above_pte(vma: Vma, old_addr: number, old_end: number, new_addr: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  const level = pgtable_lookup(mm, old_addr, out);
  if (level === PTE_LEVEL) return 0;
  const span = level_span(level);
  const rest = span - (old_addr & (span - 1));
  const e = READ_ONCE(out[0]);
  if (e === 0) return rest;
  if (rest === span && old_end - old_addr >= span && (new_addr & (span - 1)) === 0) {
    const old_entryp: EntryPtr = out[0];
    const new_entryp = pgtable_alloc(mm, new_addr, level);
    if (new_entryp === 0) return -ENOMEM;
    if (READ_ONCE(new_entryp) === 0) {
      move_huge_leaf(old_entryp, new_entryp);
      return span;
    }
  }
  if (level > PMD_LEVEL) return -EINVAL;
  split_huge_pmd_entry(vma, out[0], old_addr);
  // A file's leaf was dropped: it can be faulted in again.
  return pgtable_lookup(mm, old_addr, out) === PTE_LEVEL ? 0 : rest;
}

/**
 * move_page_tables(): entries of len addresses from old_addr on go to new_addr. How many addresses are done
 * with.
 */
function move_page_tables(vma: Vma, start: number, to: number, len: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  const table_span = 1 << geom.pmd_shift;
  let need_flush = false;
  let done = 0;
  mmu_notifier_invalidate_range_start(mm, start, start + len, MMU_NOTIFY_UNMAP, 0);
  while (done < len) {
    const old_addr = start + done;
    const new_addr = to + done;
    spin_lock(mm + MM.page_table_lock);
    let step = move_above_pte(vma, old_addr, start + len, new_addr);
    if (step === -EINVAL) {
      // A device's leaf above the PMD level that does not fit: dropped, as split_huge_pud() drops it.
      spin_unlock(mm + MM.page_table_lock);
      zap_vma_range(vma, old_addr, old_addr + 1);
      continue;
    }
    let new_ptep: EntryPtr = 0;
    if (step === 0) new_ptep = pgtable_alloc(mm, new_addr, PTE_LEVEL);
    if (step === 0 && new_ptep !== 0) pgtable_lookup(mm, old_addr, out);
    spin_unlock(mm + MM.page_table_lock);
    if (step < 0 || (step === 0 && new_ptep === 0)) break;
    if (step === 0) {
      step = table_span - (old_addr & (table_span - 1));
      const in_new = table_span - (new_addr & (table_span - 1));
      if (step > in_new) step = in_new;
      if (step > len - done) step = len - done;
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
  for (; done < len; done += HPAGE_PMD_NR) {
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

/** move_vma(): the new address, or the error, in which case the mapping is where it was. */
function move_vma(
  mm: Mm,
  vma: Vma,
  old_addr: number,
  old_len: number,
  new_len: number,
  new_addr: number,
): number {
  const old_end = old_addr + old_len;
  if (READ_ONCE(vma + VMA.vm_start) !== old_addr && !vma_may_split(vma, old_addr)) return -EINVAL;
  if (READ_ONCE(vma + VMA.vm_end) !== old_end && !vma_may_split(vma, old_end)) return -EINVAL;
  if (copy_vma(mm, vma, new_addr, new_len, vma_pgoff(vma, old_addr)) === 0) return -ENOMEM;
  // The source may have been merged with the new area.
  const moved = move_tables(vma_lookup(mm, old_addr), old_addr, new_addr, old_len);
  if (moved < old_len) {
    // "move entries back from new area to old, which will succeed since page tables still there"
    move_tables(vma_lookup(mm, new_addr), new_addr, old_addr, moved);
    do_munmap(mm, new_addr, new_len);
    return -ENOMEM;
  }
  const error = do_munmap(mm, old_addr, old_len);
  assert(error === 0 || old_len === 0, "the moved mapping's old area cannot be removed");
  return new_addr;
}

/** vma_to_resize(): 0, or why the area at addr cannot be resized. */
function vma_to_resize(vma: Vma, addr: number, old_len: number, new_len: number): number {
  if (vma === 0) return -EFAULT;
  // No old length: a second mapping of the same pages, of shared memory only (v4.14, dba58d3b8c50).
  if (old_len === 0 && (vma_flags(vma) & VM_SHARED) === 0) return -EINVAL;
  if (is_vm_hugetlb_page(vma) && !config.hugetlbMremap) return -EINVAL;
  // "We can't remap across vm area boundaries"
  if (old_len > READ_ONCE(vma + VMA.vm_end) - addr) return -EFAULT;
  if (new_len === old_len) return 0;
  return (vma_flags(vma) & VM_PFNMAP) !== 0 ? -EFAULT : 0;
}

/** The addresses are free. */
function range_is_free(mm: Mm, start: number, len: number): boolean {
  const next = find_vma(mm, start);
  return start + len <= geom.task_size && (next === 0 || READ_ONCE(next + VMA.vm_start) >= start + len);
}

/** mremap_to(): MREMAP_FIXED. What is mapped at the new address goes, even if the move fails later. */
function mremap_to(mm: Mm, addr: number, length: number, new_len: number, new_addr: number): number {
  let old_len = length;
  if (new_addr < 0 || new_len > geom.task_size || new_addr > geom.task_size - new_len) return -EINVAL;
  // "Ensure the old/new locations do not overlap"
  if (addr + old_len > new_addr && new_addr + new_len > addr) return -EINVAL;
  const unmapped = do_munmap(mm, new_addr, new_len);
  if (unmapped !== 0) return unmapped;
  if (old_len > new_len) {
    const error = do_munmap(mm, addr + new_len, old_len - new_len);
    if (error !== 0) return error;
    old_len = new_len;
  }
  const vma = vma_lookup(mm, addr);
  const error = vma_to_resize(vma, addr, old_len, new_len);
  if (error !== 0) return error;
  return move_vma(mm, vma, addr, old_len, new_len, new_addr);
}

/**
 * The checks of hugetlb areas (v5.16): the lengths, rounded up, in lens[0] (old) and lens[1]; the error or 0.
 */
function hugetlb_lengths(addr: number, new_addr: number, flags: number, lens: LocalArray): number {
  const mask = HPAGE_PMD_NR - 1;
  lens[0] = (lens[0] + mask) & ~mask;
  lens[1] = (lens[1] + mask) & ~mask;
  if ((addr & mask) !== 0) return -EINVAL;
  if ((flags & MREMAP_FIXED) !== 0 && (new_addr & mask) !== 0) return -EINVAL;
  // "Don't allow remap expansion, because the underlying hugetlb reservation is not yet capable to handle
  // split reservation."
  return lens[1] > lens[0] ? -EINVAL : 0;
}

/**
 * mremap(): the address where the mapping is now, or an error. new_addr is where it has to go (MREMAP_FIXED),
 * or may go (MREMAP_MAYMOVE alone), which must be free then. mmap_lock is held for writing.
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
  if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) !== 0) return -EINVAL;
  if ((flags & MREMAP_FIXED) !== 0 && (flags & MREMAP_MAYMOVE) === 0) return -EINVAL;
  if (new_length === 0) return -EINVAL;
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
  if ((flags & MREMAP_FIXED) !== 0) return mremap_to(mm, addr, old_len, new_len, new_addr);
  if (old_len >= new_len) {
    // "Always allow a shrinking remap: that just unmaps the unnecessary pages": to v5.15 also where nothing
    // is mapped.
    if (old_len === new_len) return addr;
    const error = do_munmap(mm, addr + new_len, old_len - new_len);
    return error !== 0 ? error : addr;
  }
  const error = vma_to_resize(at, addr, old_len, new_len);
  if (error !== 0) return error;
  const end = READ_ONCE(at + VMA.vm_end);
  if (old_len === end - addr && range_is_free(mm, end, new_len - old_len)) {
    WRITE_ONCE(at + VMA.vm_end, addr + new_len);
    return addr;
  }
  if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM;
  if (!range_is_free(mm, new_addr, new_len)) return -ENOMEM;
  return move_vma(mm, at, addr, old_len, new_len, new_addr);
}
