/**
 * * UFFDIO_MOVE (mm/userfaultfd.c: move_pages(), v6.8): anonymous pages go to another place of the address
 * space without a copy. A page that may be pinned, or that another process maps, stays: -EBUSY. Read in
 * v6.12, v7.3.
 *
 * Custom: there are no holes that may be passed over (UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES).
 */
"use kernel";

import { geom, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM } from "./errno.ts";
import { split_huge_page } from "./huge_memory.ts";
import { split_huge_pmd_entry } from "./huge_split.ts";
import { MM, type Mm, VM_EXEC, VM_LOCKED, VM_READ, VM_SHARED, VM_WRITE, VMA, type Vma } from "./mm_types.ts";
import { anon_vma_prepare, vm_page_prot, vma_flags, vma_is_anonymous, vma_lookup } from "./mmap.ts";
import {
  compound_head,
  get_page,
  PAGE,
  type Page,
  PageAnonExclusive,
  PageHead,
  page_maybe_dma_pinned,
  page_to_pfn,
  page_word,
  pfn_to_page,
} from "./page.ts";

import {
  _PAGE_SPECIAL,
  _PAGE_SWP_EXCLUSIVE,
  PMD_LEVEL,
  PTE_LEVEL,
  pfn_pmd,
  pfn_pte,
  pgtable_alloc,
  pgtable_lookup,
  pte_mkdirty,
  pte_mkwrite_vma,
  pte_pfn,
  pte_present,
  ptep_get_and_clear,
  SWP_SWAP,
  set_pmd_at,
  set_pte_at,
  swp_type,
} from "./pgtable.ts";
import { linear_page_index } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range } from "./tlb.ts";
import { is_huge_zero_pfn } from "./zap.ts";

/** validate_move_areas(): 0 or the error. */
function validate_move_areas(src: Vma, dst: Vma): number {
  const access = VM_READ | VM_WRITE | VM_EXEC;
  if (((vma_flags(src) ^ vma_flags(dst)) & (access | VM_LOCKED)) !== 0) return -EINVAL;
  if ((vma_flags(src) & VM_WRITE) === 0 || (vma_flags(src) & VM_SHARED) !== 0) return -EINVAL;
  if (READ_ONCE(dst + VMA.vm_userfaultfd_ctx) === 0) return -EINVAL;
  return vma_is_anonymous(src) && vma_is_anonymous(dst) ? 0 : -EINVAL;
}
/** The page belongs to the other place now. */
function move_anon_rmap(head: Page, dst: Vma, addr: number): void {
  WRITE_ONCE(page_word(head, PAGE.index), linear_page_index(dst, addr));
}

/** move_pages_huge_pmd(): 0 or the error. */
function move_pages_huge_pmd(dst: Vma, dst_addr: number, dst_pmdp: number, src_pmdp: number): number {
  const pmd = READ_ONCE(src_pmdp);
  if (is_huge_zero_pfn(pte_pfn(pmd))) {
    ptep_get_and_clear(src_pmdp);
    flush_tlb_range();
    set_pmd_at(dst_pmdp, pfn_pmd(pte_pfn(pmd), vm_page_prot(dst, false)) | (pmd & _PAGE_SPECIAL));
    return 0;
  }
  const head = pfn_to_page(pte_pfn(pmd));
  if (!PageAnonExclusive(head) || page_maybe_dma_pinned(head)) return -EBUSY;
  ptep_get_and_clear(src_pmdp);
  flush_tlb_range();
  move_anon_rmap(head, dst, dst_addr);
  // "Follow mremap() behavior and treat the entry dirty after the move"
  set_pmd_at(
    dst_pmdp,
    pte_mkwrite_vma(pte_mkdirty(pfn_pmd(page_to_pfn(head), vm_page_prot(dst, false))), dst),
  );
  return 0;
}

/** move_pages_pte(): 0 or the error; what is not there is -ENOENT. */
function move_pages_pte(mm: Mm, dst: Vma, dst_addr: number, dst_ptep: number, src_ptep: number): number {
  const pte = READ_ONCE(src_ptep);
  if (READ_ONCE(dst_ptep) !== 0) return -EEXIST;
  if (pte === 0) return -ENOENT;
  if (!pte_present(pte)) {
    if (swp_type(pte) !== SWP_SWAP || (pte & _PAGE_SWP_EXCLUSIVE) === 0) return -EBUSY;
    ptep_get_and_clear(src_ptep);
    set_pte_at(dst_ptep, pte);
    return 0;
  }
  if (pte_pfn(pte) === kernel.zero_pfn) {
    ptep_get_and_clear(src_ptep);
    flush_tlb_range();
    set_pte_at(dst_ptep, pfn_pte(kernel.zero_pfn, vm_page_prot(dst, false)) | _PAGE_SPECIAL);
    return 0;
  }
  const page = pfn_to_page(pte_pfn(pte));
  if (!PageAnonExclusive(page)) return -EBUSY;
  const head = compound_head(page);
  if (PageHead(head)) {
    // split_folio() needs a reference, and the page-table lock is dropped for it.
    get_page(head);
    spin_unlock(mm + MM.page_table_lock);
    const error = split_huge_page(page);
    put_page(error === 0 ? page : head);
    spin_lock(mm + MM.page_table_lock);
    return error === 0 ? move_pages_pte_single(dst, dst_addr, dst_ptep, src_ptep) : -EBUSY;
  }
  return move_pages_pte_single(dst, dst_addr, dst_ptep, src_ptep);
}
/** move_present_pte(). */
function move_pages_pte_single(dst: Vma, dst_addr: number, dst_ptep: number, src_ptep: number): number {
  const pte = READ_ONCE(src_ptep);
  // Splitting may have mapped the zero page instead.
  if (pte_pfn(pte) === kernel.zero_pfn) {
    ptep_get_and_clear(src_ptep);
    set_pte_at(dst_ptep, pfn_pte(kernel.zero_pfn, vm_page_prot(dst, false)) | _PAGE_SPECIAL);
    return 0;
  }
  const page = pfn_to_page(pte_pfn(pte));
  if (page_maybe_dma_pinned(page)) return -EBUSY;
  ptep_get_and_clear(src_ptep);
  flush_tlb_range();
  move_anon_rmap(page, dst, dst_addr);
  set_pte_at(
    dst_ptep,
    pte_mkwrite_vma(pte_mkdirty(pfn_pte(page_to_pfn(page), vm_page_prot(dst, false))), dst),
  );
  return 0;
}

/** One round of move_pages(): how many pages were moved, or the error. */
function move_one(mm: Mm, src: Vma, dst: Vma, dst_addr: number, src_addr: number, left: number): number {
  const out = localArray(1);
  const mask = geom.hpage_pmd_nr - 1;
  if (pgtable_lookup(mm, dst_addr, out) === PMD_LEVEL && READ_ONCE(out[0]) !== 0) return -EEXIST;
  if (pgtable_lookup(mm, src_addr, out) === PMD_LEVEL && pte_present(READ_ONCE(out[0]))) {
    const whole = ((src_addr | dst_addr) & mask) === 0 && left >= geom.hpage_pmd_nr;
    const src_pmdp = out[0];
    if (whole && pgtable_lookup(mm, dst_addr, out) !== PTE_LEVEL) {
      const dst_pmdp = pgtable_alloc(mm, dst_addr, PMD_LEVEL);
      if (dst_pmdp === 0) return -ENOMEM;
      const error = move_pages_huge_pmd(dst, dst_addr, dst_pmdp, src_pmdp);
      return error === 0 ? geom.hpage_pmd_nr : error;
    }
    split_huge_pmd_entry(src, src_pmdp, src_addr);
  }
  if (pgtable_lookup(mm, src_addr, out) !== PTE_LEVEL) return -ENOENT;
  const src_ptep = out[0];
  const dst_ptep = pgtable_alloc(mm, dst_addr, PTE_LEVEL);
  if (dst_ptep === 0) return -ENOMEM;
  const error = move_pages_pte(mm, dst, dst_addr, dst_ptep, src_ptep);
  return error === 0 ? 1 : error;
}

/** move_pages(): how many of len pages were moved, or the error of the first. mmap_lock is held. */
export function userfaultfd_move_pages(mm: Mm, dst_start: number, src_start: number, len: number): number {
  const src = vma_lookup(mm, src_start);
  const dst = vma_lookup(mm, dst_start);
  if (src === 0 || dst === 0) return -ENOENT;
  if (src_start + len > READ_ONCE(src + VMA.vm_end) || dst_start + len > READ_ONCE(dst + VMA.vm_end))
    return -EINVAL;
  const refused = validate_move_areas(src, dst);
  if (refused !== 0) return refused;
  anon_vma_prepare(dst);
  let moved = 0;
  let error = 0;
  spin_lock(mm + MM.page_table_lock);
  while (moved < len && error === 0) {
    const n = move_one(mm, src, dst, dst_start + moved, src_start + moved, len - moved);
    if (n < 0) error = n;
    else moved += n;
  }
  spin_unlock(mm + MM.page_table_lock);
  return moved > 0 ? moved : error;
}
