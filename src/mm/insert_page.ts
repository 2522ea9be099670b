/**
 * * What a driver's mmap() maps at once (mm/memory.c): vm_insert_page(), which counts like any mapping of a
 * page, and remap_pfn_range(), whose entries are special and count nothing. Read in v5.10, v6.1, v6.12, v7.3.
 */
"use kernel";

import { localArray, READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { EBUSY, EINVAL, ENOMEM } from "./errno.ts";
import {
  MM,
  type Mm,
  VM_DONTEXPAND,
  VM_IO,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_SHARED,
  VMA,
  type Vma,
} from "./mm_types.ts";
import { vm_page_prot, vma_flags } from "./mmap.ts";
import { compound_head, get_page, type Page, PageAnon, page_count, page_to_pfn } from "./page.ts";
import {
  _PAGE_SPECIAL,
  PTE_LEVEL,
  pfn_pte,
  pgtable_alloc,
  pgtable_lookup,
  pte_present,
  set_pte_at,
} from "./pgtable.ts";
import { page_add_rmap_pte } from "./rmap.ts";

/** insert_pfn() and insert_page_into_pte_locked(): the entry at addr, with what it counts on (0: nothing). */
function insert_pte(vma: Vma, addr: number, pte: number, page: Page): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const ptep = pgtable_alloc(mm, addr, PTE_LEVEL);
  if (ptep === 0) return -ENOMEM;
  if (READ_ONCE(ptep) !== 0) return -EBUSY;
  if (page !== 0) {
    get_page(page);
    page_add_rmap_pte(page, vma);
  }
  set_pte_at(ptep, pte);
  return 0;
}

/** vm_insert_page(): 0 or the error. The area is VM_MIXEDMAP from then on. mmap_lock is held for writing. */
export function vm_insert_page(vma: Vma, addr: number, page: Page): number {
  if (addr < READ_ONCE(vma + VMA.vm_start) || addr >= READ_ONCE(vma + VMA.vm_end)) return -EINVAL;
  if (page_count(compound_head(page)) === 0 || PageAnon(page)) return -EINVAL;
  WRITE_ONCE(vma + VMA.vm_flags, vma_flags(vma) | VM_MIXEDMAP);
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  spin_lock(mm + MM.page_table_lock);
  const ret = insert_pte(vma, addr, pfn_pte(page_to_pfn(page), vm_page_prot(vma, false)), page);
  spin_unlock(mm + MM.page_table_lock);
  return ret;
}

/**
 * remap_pfn_range(): nr frames from `pfn` on; 0 or the error. A private area must be mapped whole, so that
 * what was copied can be told from what was not.
 */
export function remap_pfn_range(vma: Vma, addr: number, pfn: number, nr: number): number {
  const start = READ_ONCE(vma + VMA.vm_start);
  if ((vma_flags(vma) & VM_SHARED) === 0) {
    if (addr !== start || addr + nr !== READ_ONCE(vma + VMA.vm_end)) return -EINVAL;
    WRITE_ONCE(vma + VMA.vm_pgoff, pfn);
  }
  WRITE_ONCE(vma + VMA.vm_flags, vma_flags(vma) | VM_IO | VM_PFNMAP | VM_DONTEXPAND);
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  let ret = 0;
  spin_lock(mm + MM.page_table_lock);
  for (let i = 0; i < nr && ret === 0; i++)
    ret = insert_pte(vma, addr + i, pfn_pte(pfn + i, vm_page_prot(vma, false)) | _PAGE_SPECIAL, 0);
  spin_unlock(mm + MM.page_table_lock);
  return ret;
}

/**
 * * track_pfn_copy() (x86, to v6.14): fork looks for the frames of a private VM_PFNMAP area at its first
 * page, and fails with -EINVAL if that has been copied.
 */
export function track_pfn_copy(vma: Vma): number {
  const flags = vma_flags(vma);
  const out = localArray(1);
  if ((flags & VM_PFNMAP) === 0 || (flags & VM_SHARED) !== 0) return 0;
  const level = pgtable_lookup(READ_ONCE(vma + VMA.vm_mm), READ_ONCE(vma + VMA.vm_start), out);
  const e = READ_ONCE(out[0]);
  if (level !== PTE_LEVEL || !pte_present(e) || (e & _PAGE_SPECIAL) === 0) return -EINVAL;
  return 0;
}
