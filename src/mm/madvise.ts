/**
 * madvise() as far as pins meet it (mm/madvise.c): DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTFORK, and
 * which pages PAGEOUT would reclaim; munmap(). COLLAPSE is in khugepaged.ts, reclaim in vmscan.ts.
 */
"use kernel";

import { config, HUGETLB_DONTNEED_UP } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { EINVAL, ENOMEM } from "./errno.ts";
import { file_put } from "./filemap.ts";
import { split_huge_page } from "./huge_memory.ts";
import { lru_add_drain, mark_page_lazyfree } from "./lru.ts";
import { munlock_vma_pages_range } from "./mlock_fixup.ts";
import {
  MM,
  type Mm,
  VM_DONTCOPY,
  VM_HUGEPAGE,
  VM_HUGETLB,
  VM_LOCKED,
  VM_NOHUGEPAGE,
  VM_PFNMAP,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  find_vma,
  is_vm_hugetlb_page,
  remove_vma,
  split_vma,
  vma_flags,
  vma_is_anonymous,
  vma_is_dax,
  vma_modify_flags,
} from "./mmap.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  ClearPageFlag,
  compound_head,
  get_page,
  PageAnon,
  PageDirty,
  PageFlag,
  PageHead,
  PG_dirty,
  PG_swapcache,
} from "./page.ts";
import { HPAGE_PMD_NR } from "./page_alloc.ts";
import {
  level_span,
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_lookup,
  pte_mkclean,
  pte_mkold,
  pte_present,
  SWP_SWAP,
  set_pte_at,
  swp_offset,
  swp_type,
} from "./pgtable.ts";
import { page_mapcount, total_mapcount } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { free_swap_and_cache, try_to_free_swap } from "./swap_state.ts";
import { free_pgtables, unmap_vmas, vm_normal_page, zap_page_range_single } from "./zap.ts";

export const MADV_DONTNEED = 4;
export const MADV_FREE = 8;
export const MADV_DONTFORK = 10;
export const MADV_HUGEPAGE = 14;
export const MADV_NOHUGEPAGE = 15;

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
/** do_munmap(): the error or 0. mmap_lock is held for writing. */
export function do_munmap(mm: Mm, start: number, len: number): number {
  if (len <= 0) return -EINVAL;
  const end = start + len;
  let vma = find_vma(mm, start);
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
  unmap_vmas(mm, find_vma(mm, start), start, end);
  vma = find_vma(mm, start);
  while (vma !== 0 && READ_ONCE(vma + VMA.vm_start) < end) {
    const file = READ_ONCE(vma + VMA.vm_file);
    remove_vma(mm, vma);
    if (file !== 0) file_put(file);
    vma = find_vma(mm, start);
  }
  free_pgtables(mm, start, end);
  return 0;
}

// ---- madvise ----------------------------------------------------------------------------------------------

/** madvise_dontneed_free() for DONTNEED. */
function madvise_dontneed(vma: Vma, start: number, end: number): number {
  if ((vma_flags(vma) & (VM_LOCKED | VM_PFNMAP)) !== 0) return -EINVAL;
  if (is_vm_hugetlb_page(vma)) {
    const mask = HPAGE_PMD_NR - 1;
    if (config.hugetlbDontneed === 0 || (start & mask) !== 0) return -EINVAL;
    // "Avoid unexpected data loss by rounding down the number of huge pages freed."
    const last = config.hugetlbDontneed === HUGETLB_DONTNEED_UP ? (end + mask) & ~mask : end & ~mask;
    if (last === start) return 0;
    zap_page_range_single(vma, start, last);
    return 0;
  }
  zap_page_range_single(vma, start, end);
  return 0;
}

/** madvise_free_pte_range() for one small page: it may be dropped instead of swapped. */
function madvise_free_pte(mm: Mm, ptep: number): void {
  const pte = READ_ONCE(ptep);
  if (pte === 0) return;
  if (!pte_present(pte)) {
    if (swp_type(pte) === SWP_SWAP) {
      set_pte_at(ptep, 0);
      free_swap_and_cache(swp_offset(pte));
    }
    return;
  }
  const page = vm_normal_page(pte);
  if (page === 0 || !PageAnon(page)) return;
  const head = compound_head(page);
  if (PageHead(head)) {
    if (page_mapcount(page) !== 1 || total_mapcount(head) !== 1) return;
    get_page(head);
    spin_unlock(mm + MM.page_table_lock);
    split_huge_page(head);
    put_page(head);
    spin_lock(mm + MM.page_table_lock);
    return;
  }
  if (PageFlag(page, PG_swapcache) || PageDirty(page)) {
    if (page_mapcount(page) !== 1) return;
    if (PageFlag(page, PG_swapcache) && !try_to_free_swap(page)) return;
    ClearPageFlag(page, PG_dirty);
  }
  set_pte_at(ptep, pte_mkold(pte_mkclean(READ_ONCE(ptep))));
  mark_page_lazyfree(page);
}
/** madvise_free_huge_pmd(): true if the entry is dealt with; false: the PTEs below are to be visited. */
function madvise_free_huge_pmd(mm: Mm, vma: Vma, pmdp: number, start: number, end: number): boolean {
  const pmd = READ_ONCE(pmdp);
  const page = vm_normal_page(pmd);
  if (page === 0) return true;
  if (total_mapcount(page) !== 1) return true;
  if (end - start !== HPAGE_PMD_NR) {
    get_page(page);
    spin_unlock(mm + MM.page_table_lock);
    split_huge_page(page);
    put_page(page);
    spin_lock(mm + MM.page_table_lock);
    return pte_present(READ_ONCE(pmdp)) && pgtable_is_leaf(mm, start);
  }
  if (PageDirty(page)) ClearPageFlag(page, PG_dirty);
  if (vma_flags(vma) !== 0) set_pte_at(pmdp, pte_mkold(pte_mkclean(pmd)));
  mark_page_lazyfree(page);
  return true;
}
function pgtable_is_leaf(mm: Mm, addr: number): boolean {
  return pgtable_lookup(mm, addr, localArray(1)) > PTE_LEVEL;
}

/** madvise_free_single_vma(). */
function madvise_free(vma: Vma, start: number, end: number): number {
  if (!vma_is_anonymous(vma)) return -EINVAL;
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  let addr = start;
  lru_add_drain();
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_CLEAR, 0);
  spin_lock(mm + MM.page_table_lock);
  while (addr < end) {
    const level = pgtable_lookup(mm, addr, out);
    const span = level_span(level);
    let next = addr - (addr & (span - 1)) + span;
    if (next > end) next = end;
    if (level === PMD_LEVEL && pte_present(READ_ONCE(out[0]))) {
      if (!madvise_free_huge_pmd(mm, vma, out[0], addr, next)) continue;
    } else if (level === PTE_LEVEL) madvise_free_pte(mm, out[0]);
    addr = next;
  }
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  return 0;
}

/** madvise_update_vma(): other flags for a part of an area; 0 or the error. */
function madvise_update_vma(mm: Mm, area: Vma, start: number, end: number, flags: number): number {
  if (flags === vma_flags(area)) return 0;
  const vma = vma_modify_flags(mm, area, start, end, flags);
  return vma < 0 ? vma : 0;
}

function madvise_vma(mm: Mm, vma: Vma, start: number, end: number, behavior: number): number {
  const flags = vma_flags(vma);
  switch (behavior) {
    case MADV_DONTNEED:
      return madvise_dontneed(vma, start, end);
    case MADV_FREE:
      if ((flags & (VM_LOCKED | VM_HUGETLB | VM_PFNMAP)) !== 0) return -EINVAL;
      return madvise_free(vma, start, end);
    case MADV_DONTFORK:
      return madvise_update_vma(mm, vma, start, end, flags | VM_DONTCOPY);
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
