/**
 * /proc/PID/clear_refs (fs/proc/task_mmu.c): writing 4 makes every entry read-only, so that the next write
 * shows as soft-dirty, but for private pages that may be pinned, whose copy a device would not see. Read in
 * v5.10, v6.1, v6.12, v7.3.
 *
 * Custom: the soft-dirty bit itself is not kept; nor does it make later faults map shared pages read-only.
 */
"use kernel";

import { localArray, READ_ONCE, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { is_cow_mapping, is_vm_hugetlb_page } from "./mmap.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_SOFT_DIRTY } from "./mmu_notifier_types.ts";
import { page_maybe_dma_pinned } from "./page.ts";
import {
  level_span,
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_lookup,
  pte_present,
  pte_write,
  pte_wrprotect,
  set_pte_at,
} from "./pgtable.ts";
import { flush_tlb_range } from "./tlb.ts";
import { vm_normal_page } from "./zap.ts";

/** pte_is_pinned() (v5.11 and v5.10.y, 9348b73c2e1b). */
function pte_is_pinned(vma: Vma, pte: number): boolean {
  if (!pte_write(pte) || !is_cow_mapping(vma)) return false;
  if (READ_ONCE(READ_ONCE(vma + VMA.vm_mm) + MM.has_pinned) === 0) return false;
  const page = vm_normal_page(pte);
  return page !== 0 && page_maybe_dma_pinned(page);
}

/** clear_soft_dirty(), clear_soft_dirty_pmd(), for all of an area. */
function clear_soft_dirty_area(vma: Vma): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  const end = READ_ONCE(vma + VMA.vm_end);
  for (let addr = READ_ONCE(vma + VMA.vm_start); addr < end; ) {
    const level = pgtable_lookup(mm, addr, out);
    const span = level_span(level);
    const e = READ_ONCE(out[0]);
    if (level <= PMD_LEVEL && pte_present(e) && !(level === PTE_LEVEL && pte_is_pinned(vma, e)))
      set_pte_at(out[0], pte_wrprotect(e));
    addr = addr - (addr & (span - 1)) + span;
  }
}

/** clear_refs_write() with CLEAR_REFS_SOFT_DIRTY. */
export function clear_refs_soft_dirty(mm: Mm, task_size: number): void {
  mmu_notifier_invalidate_range_start(mm, 0, task_size, MMU_NOTIFY_SOFT_DIRTY, 0);
  spin_lock(mm + MM.page_table_lock);
  for (let vma: Vma = READ_ONCE(mm + MM.mmap); vma !== 0; vma = READ_ONCE(vma + VMA.vm_next))
    if (!is_vm_hugetlb_page(vma)) clear_soft_dirty_area(vma);
  flush_tlb_range();
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
}
