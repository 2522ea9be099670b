/**
 * mlock(), mlock2() and munlock() (mm/mlock.c): areas become locked or are no longer, what they map is
 * marked, and pages of what is locked are made present. Read in v5.10, v6.1, v6.12 and v7.3. The marking
 * itself is in mlock.ts. Not covered: limits, mlockall().
 */
"use kernel";

import { config } from "../machine/config.ts";
import { localArray, READ_ONCE } from "../machine/primitives.ts";
import { EAGAIN, EFAULT, ENOMEM } from "./errno.ts";
import { mm_populate } from "./gup_populate.ts";
import { lru_add_drain } from "./lru.ts";
import { mlock_folio, munlock_folio, munlock_page } from "./mlock.ts";
import { AS_SECRETMEM, type Mm, VM_LOCKED, VM_LOCKED_MASK, VM_SPECIAL, VMA, type Vma } from "./mm_types.ts";
import {
  find_vma,
  is_vm_hugetlb_page,
  mmap_write_lock,
  mmap_write_unlock,
  vma_flags,
  vma_is_dax,
  vma_kind,
  vma_lookup,
  vma_modify_flags,
} from "./mmap.ts";
import {
  compound_head,
  compound_nr,
  is_zone_device_page,
  PAGE,
  type Page,
  PageHead,
  page_word,
  pfn_to_page,
} from "./page.ts";
import {
  entry_addr_end,
  level_span,
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_lookup,
  pte_pfn,
  pte_present,
} from "./pgtable.ts";
import { folio_pte_batch, vm_normal_page } from "./zap.ts";

/**
 * folio_within_range() and the rest of allow_mlock_munlock() (v6.7): the area maps all of a large folio
 * inside start .. end-1.
 */
function maps_whole_folio(vma: Vma, head: Page, start: number, end: number, step: number): boolean {
  if (step !== compound_nr(head)) return false;
  const first = READ_ONCE(page_word(head, PAGE.index)) - READ_ONCE(vma + VMA.vm_pgoff);
  const addr = READ_ONCE(vma + VMA.vm_start) + first;
  return addr >= start && addr + compound_nr(head) <= end;
}
/** mlock_pte_range() for PTEs start .. end-1 of one table. */
function mlock_pte_range(vma: Vma, table_ptep: number, start: number, end: number): void {
  const lock = (vma_flags(vma) & VM_LOCKED) !== 0;
  let step = 1;
  for (let addr = start; addr < end; addr += step) {
    step = 1;
    const ptep = table_ptep + addr - start;
    const pte = READ_ONCE(ptep);
    const page = pte_present(pte) ? vm_normal_page(pte) : 0;
    if (page === 0 || is_zone_device_page(page)) continue;
    const head = compound_head(page);
    if (PageHead(head)) {
      if (!config.mlockLarge) continue;
      step = folio_pte_batch(ptep, page, end - addr);
      if (lock && !maps_whole_folio(vma, head, start, end, step)) continue;
    }
    if (lock) mlock_folio(head);
    else munlock_folio(head);
  }
}
/** mlock_vma_pages_range() (v5.18): what the area maps is counted as locked, or no longer. */
function mlock_vma_pages_range(mm: Mm, vma: Vma, start: number, end: number): void {
  const out = localArray(1);
  lru_add_drain();
  for (let addr = start; addr < end; ) {
    const level = pgtable_lookup(mm, addr, out);
    const next = entry_addr_end(level, addr, end);
    const e = READ_ONCE(out[0]);
    if (level === PTE_LEVEL) mlock_pte_range(vma, out[0], addr, next);
    else if (level === PMD_LEVEL && pte_present(e) && vm_normal_page(e) !== 0) {
      if ((vma_flags(vma) & VM_LOCKED) !== 0) mlock_folio(pfn_to_page(pte_pfn(e)));
      else munlock_folio(pfn_to_page(pte_pfn(e)));
    }
    addr = next;
  }
  lru_add_drain();
}
/** munlock_vma_pages_range() (to v5.17): also before the area is unmapped. */
export function munlock_vma_pages_range(mm: Mm, start: number, end: number): void {
  const out = localArray(1);
  for (let addr = start; addr < end; ) {
    const level = pgtable_lookup(mm, addr, out);
    const e = READ_ONCE(out[0]);
    const page = level <= PMD_LEVEL && pte_present(e) ? vm_normal_page(e) : 0;
    const head = page === 0 ? 0 : compound_head(page);
    const span = level_span(level);
    // "PageTransTail": a subpage that is mapped by itself was never locked.
    if (head !== 0 && (level === PMD_LEVEL || !PageHead(head) || page === head)) munlock_page(head);
    addr = addr - (addr & (span - 1)) + span;
  }
}

/** mlock_fixup(): the part of an area has VM_LOCKED or not; 0 or the error. */
function mlock_fixup(mm: Mm, area: Vma, start: number, end: number, flags: number): number {
  const old = vma_flags(area);
  if (flags === old || (old & VM_SPECIAL) !== 0 || is_vm_hugetlb_page(area) || vma_is_dax(area)) return 0;
  if (vma_kind(area) === AS_SECRETMEM) return 0;
  // Custom: the old flags stay in force while pages are unmarked, in v5.18 and later the new ones.
  if (config.follMlock && (flags & VM_LOCKED) === 0) munlock_vma_pages_range(mm, start, end);
  const vma = vma_modify_flags(mm, area, start, end, flags);
  if (vma < 0) return vma;
  // "No work to do, and mlocking twice would be wrong"
  if ((flags & old & VM_LOCKED) === 0 && !config.follMlock) mlock_vma_pages_range(mm, vma, start, end);
  return 0;
}
/** apply_vma_lock_flags(): a hole ends it with -ENOMEM, behind what was done. */
function apply_vma_lock_flags(mm: Mm, start: number, len: number, flags: number): number {
  const end = start + len;
  if (len === 0) return 0;
  if (vma_lookup(mm, start) === 0) return -ENOMEM;
  for (let addr = start; addr < end; ) {
    const vma = find_vma(mm, addr);
    if (vma === 0 || READ_ONCE(vma + VMA.vm_start) > addr) return -ENOMEM;
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    const next = vm_end < end ? vm_end : end;
    const error = mlock_fixup(mm, vma, addr, next, (vma_flags(vma) & ~VM_LOCKED_MASK) | flags);
    if (error !== 0) return error;
    addr = next;
  }
  return 0;
}

/** mlock(), and mlock2(MLOCK_ONFAULT) with VM_LOCKONFAULT in `extra`: 0, or the error as POSIX has it. */
export function do_mlock(mm: Mm, start: number, len: number, extra: number): number {
  mmap_write_lock(mm);
  const error = apply_vma_lock_flags(mm, start, len, VM_LOCKED | extra);
  mmap_write_unlock(mm);
  if (error !== 0) return error;
  const ret = mm_populate(mm, start, len, false);
  // __mlock_posix_error_return()
  if (ret === -EFAULT) return -ENOMEM;
  return ret === -ENOMEM ? -EAGAIN : ret;
}
/** munlock(). */
export function do_munlock(mm: Mm, start: number, len: number): number {
  mmap_write_lock(mm);
  const ret = apply_vma_lock_flags(mm, start, len, 0);
  mmap_write_unlock(mm);
  return ret;
}
