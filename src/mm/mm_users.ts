/**
 * Users of an address space (kernel/fork.c: mmget_not_zero(), mmput(); mm/mmap.c: exit_mmap()). The last
 * one's mmput() removes every mapping and frees the tables, without mmap_lock up to v5.18: nobody else is
 * left who could walk them.
 *
 * Stub: areas stay; notifiers' release() is not called, the driver removes its own.
 */
"use kernel";

import { geom } from "../machine/config.ts";
import {
  atomic_dec_and_test,
  atomic_inc_not_zero,
  kfree,
  localArray,
  READ_ONCE,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { free_pte_range, zap_page_range } from "./memory.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { MMU_GATHER_SIZE, tlb_finish_mmu, tlb_gather_mmu } from "./mmu_gather.ts";

/** Unlinks and frees the PTE tables of [addr, end), which must be empty (free_pgtables()). */
export function free_pgtables(mm: Mm, addr: number, end: number): void {
  const tlb = localArray(MMU_GATHER_SIZE);
  tlb_gather_mmu(tlb);
  for (let a = addr; a < end; a += 1 << geom.pmd_shift) free_pte_range(tlb, mm, a);
  tlb_finish_mmu(tlb);
}

function exit_mmap(mm: Mm): void {
  let vma: Vma = READ_ONCE(mm + MM.mmap);
  while (vma !== 0) {
    const start = READ_ONCE(vma + VMA.vm_start);
    const end = READ_ONCE(vma + VMA.vm_end);
    zap_page_range(mm, start, end - start);
    free_pgtables(mm, start, end);
    vma = READ_ONCE(vma + VMA.vm_next);
  }
  kfree(READ_ONCE(mm + MM.pgd));
  WRITE_ONCE(mm + MM.pgd, 0);
}

/** False if the address space is ending. */
export function mmget_not_zero(mm: Mm): boolean {
  return atomic_inc_not_zero(mm + MM.mm_users);
}
export function mmput(mm: Mm): void {
  if (atomic_dec_and_test(mm + MM.mm_users)) exit_mmap(mm);
}
