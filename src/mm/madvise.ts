/**
 * madvise() as far as pins meet it (mm/madvise.c): DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTFORK, and
 * which pages PAGEOUT would reclaim; munmap(). COLLAPSE is in khugepaged.ts, reclaim in vmscan.ts.
 */
"use kernel";

import { config, geom } from "../machine/config.ts";
import { HUGETLB_DONTNEED_UP } from "../machine/knobs/mm.ts";
import { kfree, localArray, READ_ONCE } from "../machine/primitives.ts";
import { EACCES, EINVAL, ENOMEM, EOPNOTSUPP } from "./errno.ts";
import { vfs_punch_hole } from "./fallocate.ts";
import { file_put } from "./filemap.ts";
import { madvise_populate } from "./gup_populate.ts";
import { madvise_collapse } from "./khugepaged.ts";
import { ksm_madvise_mergeable, ksm_madvise_unmergeable } from "./ksm.ts";
import { lru_add_drain } from "./lru.ts";
import { madvise_cold_or_pageout } from "./madvise_cold.ts";
import { madvise_free } from "./madvise_free.ts";
import { madvise_willneed } from "./madvise_willneed.ts";
import { munlock_vma_pages_range } from "./mlock_fixup.ts";
import {
  AS_SECRETMEM,
  type Mm,
  VM_DONTCOPY,
  VM_HUGEPAGE,
  VM_HUGETLB,
  VM_IO,
  VM_LOCKED,
  VM_MERGEABLE,
  VM_NOHUGEPAGE,
  VM_PFNMAP,
  VM_SHARED,
  VM_SPECIAL,
  VM_WIPEONFORK,
  VM_WRITE,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  detach_vmas,
  end_below,
  find_vma,
  is_vm_hugetlb_page,
  mmap_read_unlock,
  mmap_write_downgrade,
  mmap_write_lock,
  mmap_write_unlock,
  split_vma,
  start_above,
  vma_flags,
  vma_is_anonymous,
  vma_is_dax,
  vma_kind,
  vma_modify_flags,
  vma_pgoff,
  vma_put_file,
} from "./mmap.ts";
import { MMU_GATHER_SIZE, tlb_finish_mmu, tlb_gather_mmu } from "./mmu_gather.ts";
import { free_pgtables, unmap_vmas, zap_page_range_single } from "./zap.ts";

export const MADV_WILLNEED = 3;
export const MADV_DONTNEED = 4;
export const MADV_FREE = 8;
export const MADV_REMOVE = 9;
export const MADV_DONTFORK = 10;
export const MADV_DOFORK = 11;
export const MADV_MERGEABLE = 12;
export const MADV_UNMERGEABLE = 13;
export const MADV_HUGEPAGE = 14;
export const MADV_NOHUGEPAGE = 15;
export const MADV_WIPEONFORK = 18;
export const MADV_KEEPONFORK = 19;
export const MADV_COLD = 20;
export const MADV_PAGEOUT = 21;
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;
export const MADV_DONTNEED_LOCKED = 24;
export const MADV_COLLAPSE = 25;

// ---- munmap -----------------------------------------------------------------------------------------------

/**
 * unlock_range() of __do_munmap() and exit_mmap() (to v5.17): what is locked is unlocked before it is
 * unmapped.
 */
export function unlock_range(mm: Mm, start: number, end: number): void {
  for (let vma = find_vma(mm, start); vma !== 0; vma = READ_ONCE(vma + VMA.vm_next)) {
    const vm_start = READ_ONCE(vma + VMA.vm_start);
    if (vm_start >= end) return;
    if ((vma_flags(vma) & VM_LOCKED) === 0) continue;
    munlock_vma_pages_range(mm, vm_start, READ_ONCE(vma + VMA.vm_end));
  }
}
/**
 * __do_munmap(): the error or 0. mmap_lock is held for writing; with `downgrade` (v4.20, dd2283f2605e) it is
 * held for reading only when entries and tables go, and afterwards, which is said by 1. Read: v5.10, v6.1,
 * v6.12, v7.3.
 */
export function __do_munmap(mm: Mm, start: number, len: number, downgrade: boolean): number {
  if (len <= 0) return -EINVAL;
  const end = start + len;
  const vma = find_vma(mm, start);
  if (vma === 0 || READ_ONCE(vma + VMA.vm_start) >= end) return 0;
  if (start > READ_ONCE(vma + VMA.vm_start)) {
    const error = split_vma(mm, vma, start);
    if (error !== 0) return error;
  }
  const last = find_vma(mm, end);
  if (last !== 0 && end > READ_ONCE(last + VMA.vm_start)) {
    const error = split_vma(mm, last, end);
    if (error !== 0) return error;
  }
  if (config.follMlock) unlock_range(mm, start, end);
  const first = detach_vmas(mm, start, end);
  const floor = end_below(mm, start);
  const ceiling = start_above(mm, end);
  if (downgrade) mmap_write_downgrade(mm);
  // unmap_region()
  const tlb = localArray(MMU_GATHER_SIZE);
  if (config.zapDrainsLru) lru_add_drain();
  tlb_gather_mmu(tlb);
  unmap_vmas(tlb, mm, first, start, end);
  free_pgtables(tlb, mm, first, floor, ceiling);
  tlb_finish_mmu(tlb);
  remove_vma_list(first);
  return downgrade ? 1 : 0;
}
/** remove_vma_list(): areas that are on no list any more. */
export function remove_vma_list(first: Vma): void {
  let vma = first;
  while (vma !== 0) {
    const next: Vma = READ_ONCE(vma + VMA.vm_next);
    const file = READ_ONCE(vma + VMA.vm_file);
    vma_put_file(vma);
    if (file !== 0) file_put(file);
    kfree(vma);
    vma = next;
  }
}
/** do_munmap(): the same, and the lock stays as it is. */
export function do_munmap(mm: Mm, start: number, len: number): number {
  return __do_munmap(mm, start, len, false);
}
/** munmap(): __vm_munmap(). */
export function vm_munmap(mm: Mm, start: number, len: number): number {
  mmap_write_lock(mm);
  const ret = __do_munmap(mm, start, len, true);
  if (ret !== 1) {
    mmap_write_unlock(mm);
    return ret;
  }
  mmap_read_unlock(mm);
  return 0;
}

// ---- madvise ----------------------------------------------------------------------------------------------

/** madvise_dontneed_free() for DONTNEED and, `locked`, DONTNEED_LOCKED (v5.18). */
function madvise_dontneed(vma: Vma, start: number, end: number, locked: boolean): number {
  if (!locked && (vma_flags(vma) & VM_LOCKED) !== 0) return -EINVAL;
  if ((vma_flags(vma) & VM_PFNMAP) !== 0) return -EINVAL;
  if (is_vm_hugetlb_page(vma)) {
    const mask = geom.hpage_pmd_nr - 1;
    if (config.hugetlbDontneed === 0 || (start & mask) !== 0) return -EINVAL;
    // "Avoid unexpected data loss by rounding down the number of huge pages freed."
    const last = config.hugetlbDontneed === HUGETLB_DONTNEED_UP ? (end + mask) & ~mask : end & ~mask;
    if (last === start) return 0;
    zap_page_range_single(vma, start, last, true);
    return 0;
  }
  zap_page_range_single(vma, start, end, true);
  return 0;
}

/** madvise_update_vma(): other flags for a part of an area; 0 or the error. */
function madvise_update_vma(mm: Mm, area: Vma, start: number, end: number, flags: number): number {
  if (flags === vma_flags(area)) return 0;
  const vma = vma_modify_flags(mm, area, start, end, flags);
  return vma < 0 ? vma : 0;
}

/** madvise_remove(): a hole in the file of a shared mapping that may be written. */
function madvise_remove(vma: Vma, start: number, end: number): number {
  const flags = vma_flags(vma);
  const file = READ_ONCE(vma + VMA.vm_file);
  if ((flags & VM_LOCKED) !== 0) return vma_kind(vma) === AS_SECRETMEM ? -EOPNOTSUPP : -EINVAL;
  if (file === 0) return -EINVAL;
  if ((flags & (VM_SHARED | VM_WRITE)) !== (VM_SHARED | VM_WRITE)) return -EACCES;
  return vfs_punch_hole(file, vma_pgoff(vma, start), end - start);
}

function madvise_vma(mm: Mm, vma: Vma, start: number, end: number, behavior: number): number {
  const flags = vma_flags(vma);
  switch (behavior) {
    case MADV_DONTNEED:
      return madvise_dontneed(vma, start, end, false);
    case MADV_DONTNEED_LOCKED:
      return config.hugetlbDontneed ? madvise_dontneed(vma, start, end, true) : -EINVAL;
    case MADV_REMOVE:
      return madvise_remove(vma, start, end);
    case MADV_WILLNEED:
      return madvise_willneed(vma, start, end);
    case MADV_FREE:
      if ((flags & (VM_LOCKED | VM_HUGETLB | VM_PFNMAP)) !== 0) return -EINVAL;
      return madvise_free(vma, start, end);
    case MADV_COLD:
    case MADV_PAGEOUT:
      // can_madv_lru_vma()
      if ((flags & (VM_LOCKED | VM_HUGETLB | VM_PFNMAP)) !== 0) return -EINVAL;
      madvise_cold_or_pageout(vma, start, end, behavior === MADV_PAGEOUT);
      return 0;
    case MADV_COLLAPSE:
      return config.madvCollapse ? madvise_collapse(vma, start, end) : -EINVAL;
    case MADV_DONTFORK:
      return madvise_update_vma(mm, vma, start, end, flags | VM_DONTCOPY);
    case MADV_DOFORK:
      if ((flags & (config.doforkSpecial ? VM_SPECIAL : VM_IO)) !== 0) return -EINVAL;
      return madvise_update_vma(mm, vma, start, end, flags & ~VM_DONTCOPY);
    case MADV_WIPEONFORK:
      if (!vma_is_anonymous(vma) || (flags & VM_SHARED) !== 0) return -EINVAL;
      return madvise_update_vma(mm, vma, start, end, flags | VM_WIPEONFORK);
    case MADV_KEEPONFORK:
      return madvise_update_vma(mm, vma, start, end, flags & ~VM_WIPEONFORK);
    case MADV_MERGEABLE: {
      const merge = ksm_madvise_mergeable(vma);
      return merge > 0 ? madvise_update_vma(mm, vma, start, end, flags | VM_MERGEABLE) : merge;
    }
    case MADV_UNMERGEABLE: {
      const error = ksm_madvise_unmergeable(vma, start, end);
      return error === 0 ? madvise_update_vma(mm, vma, start, end, flags & ~VM_MERGEABLE) : error;
    }
    case MADV_HUGEPAGE:
      if ((flags & VM_HUGETLB) !== 0 || vma_is_dax(vma)) return -EINVAL;
      return madvise_update_vma(mm, vma, start, end, (flags | VM_HUGEPAGE) & ~VM_NOHUGEPAGE);
    case MADV_NOHUGEPAGE:
      if ((flags & VM_HUGETLB) !== 0 || vma_is_dax(vma)) return -EINVAL;
      return madvise_update_vma(mm, vma, start, end, (flags | VM_NOHUGEPAGE) & ~VM_HUGEPAGE);
  }
  return -EINVAL;
}

/** madvise_walk_vmas(): holes are skipped and reported at the end as -ENOMEM; an error ends the walk. */
export function do_madvise(mm: Mm, start: number, len: number, behavior: number): number {
  if (len === 0) return 0;
  const end = start + len;
  if (behavior === MADV_POPULATE_READ || behavior === MADV_POPULATE_WRITE)
    return config.madvPopulate ? madvise_populate(mm, start, end, behavior === MADV_POPULATE_WRITE) : -EINVAL;
  let unmapped_error = 0;
  let addr = start;
  for (let vma = find_vma(mm, start); addr < end; vma = find_vma(mm, addr)) {
    if (vma === 0) return -ENOMEM;
    const vm_start = READ_ONCE(vma + VMA.vm_start);
    if (addr < vm_start) {
      unmapped_error = -ENOMEM;
      addr = vm_start;
      if (addr >= end) break;
    }
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    const next = vm_end < end ? vm_end : end;
    const error = madvise_vma(mm, vma, addr, next, behavior);
    if (error !== 0) return error;
    addr = next;
  }
  return unmapped_error;
}
