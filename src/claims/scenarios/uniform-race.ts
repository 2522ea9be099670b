/**
 * Claim C1's races: walkers that pin a run of subpages, against what may happen to its entry meanwhile, all
 * of it by the kernel's own functions: zapping (mm/zap.ts), splitting and collapsing huge pages
 * (mm/huge_memory.ts, mm/khugepaged.ts), fork and the write fault after it (mm/fork.ts, mm/fault.ts),
 * mprotect (mm/mprotect.ts). A pinned page's contents must stay: freed frames are poison, and frames that
 * became free are given to somebody else.
 *
 * Custom: revoker() is what a driver or file system does that gives device pages to another owner
 * (dax_break_layout()); protector() looks at the page after mprotect() has returned, as KSM's
 * write_protect_page() does, to say whether anybody may still write to it.
 */
"use kernel";

import {
  assert,
  assert_no_leak,
  type LocalArray,
  localArray,
  READ_ONCE,
  smp_load_acquire,
  smp_store_release,
  WRITE_ONCE,
} from "../../machine/primitives.ts";
import { FAULT_FLAG_WRITE, handle_mm_fault, VM_FAULT_ERROR } from "../../mm/fault.ts";
import { dup_mm } from "../../mm/fork.ts";
import { pin_user_pages_fast_only, unpin_user_pages } from "../../mm/gup.ts";
import { split_huge_page } from "../../mm/huge_memory.ts";
import { madvise_collapse } from "../../mm/khugepaged.ts";
import { do_madvise, MADV_DONTNEED, vm_munmap } from "../../mm/madvise.ts";
import { type AddressSpace, type Mm, VM_READ } from "../../mm/mm_types.ts";
import {
  mmap_read_lock,
  mmap_read_unlock,
  mmap_write_lock,
  mmap_write_unlock,
  vma_lookup,
} from "../../mm/mmap.ts";
import { do_mprotect } from "../../mm/mprotect.ts";
import {
  get_page,
  nth_page,
  type Page,
  page_address,
  page_count,
  page_maybe_dma_pinned,
  page_ref_count,
  page_to_pfn,
} from "../../mm/page.ts";
import { alloc_pages, GFP_HIGHUSER_MOVABLE } from "../../mm/page_alloc.ts";
import { PTE_LEVEL, pgtable_lookup, pmd_leaf, pte_pfn } from "../../mm/pgtable.ts";
import { put_page } from "../../mm/swap.ts";
import { unmap_mapping_pages } from "../../mm/zap.ts";

/** Pages of the area: what one PMD spans at the checker's geometry. */
const NR = 2;

// ---- Who pins ---------------------------------------------------------------------------------------------

/** What a pin gives the right to: the pages' contents, and that nobody else owns them. */
function use_pages(pages: LocalArray, got: number, reused: number): void {
  for (let i = 0; i < got; i++) {
    READ_ONCE(page_address(pages[i]));
    assert(READ_ONCE(reused + page_to_pfn(pages[i])) === 0, "a page that is pinned belongs to another owner");
  }
}

/**
 * Pins `nr` pages and lets them go. `revoked`: somebody has found, after the permission was taken away, that
 * nobody has the page pinned; `reused`: a word per frame, set when it belongs to somebody else. The number of
 * pages that it had.
 */
export function walker(
  mm: Mm,
  addr: number,
  nr: number,
  flags: number,
  revoked: number,
  reused: number,
): number {
  const pages = localArray(2);
  const got = pin_user_pages_fast_only(mm, addr, nr, flags, pages);
  assert(
    got === 0 || smp_load_acquire(revoked) === 0,
    "a pin that nobody saw who looked after the permission was gone",
  );
  use_pages(pages, got, reused);
  unpin_user_pages(pages, got);
  return got;
}

/** Pins one page and keeps it: the page is noted at `slot`. */
export function holder(mm: Mm, addr: number, flags: number, slot: number): number {
  const pages = localArray(1);
  const got = pin_user_pages_fast_only(mm, addr, 1, flags, pages);
  if (got === 1) WRITE_ONCE(slot, pages[0]);
  return got;
}

// ---- What happens to the entry ----------------------------------------------------------------------------

/**
 * Another process: whatever frames are free become its own, with a count of 1, as long as blocks of `order`
 * last.
 */
function take_free_frames(order: number, reused: number): void {
  let page = alloc_pages(GFP_HIGHUSER_MOVABLE, order, -1);
  while (page !== 0) {
    for (let i = 0; i < 1 << order; i++) WRITE_ONCE(reused + page_to_pfn(page) + i, 1);
    page = alloc_pages(GFP_HIGHUSER_MOVABLE, order, -1);
  }
}

/** MADV_DONTNEED; then the frames are allocated again, by somebody else. */
export function zapper(mm: Mm, addr: number, nr: number, order: number, reused: number): void {
  mmap_read_lock(mm);
  do_madvise(mm, addr, nr, MADV_DONTNEED);
  mmap_read_unlock(mm);
  take_free_frames(order, reused);
}

/** munmap(), which frees the page table, too; then the frames are allocated again. */
export function unmapper(mm: Mm, addr: number, nr: number, reused: number): void {
  vm_munmap(mm, addr, nr);
  take_free_frames(0, reused);
}

/**
 * A driver that unmaps its device's pages and gives them away if nobody has them: their counts are `idle`.
 */
export function revoker(mapping: AddressSpace, nr: number, page: Page, idle: number, reused: number): void {
  unmap_mapping_pages(mapping, 0, 0, true);
  for (let i = 0; i < nr; i++) if (page_count(nth_page(page, i)) !== idle) return;
  for (let i = 0; i < nr; i++) WRITE_ONCE(reused + page_to_pfn(page) + i, 1);
}

/** mprotect(PROT_READ), and a look at whether anybody has the page pinned. */
export function protector(mm: Mm, addr: number, nr: number, page: Page, revoked: number): void {
  mmap_write_lock(mm);
  assert(do_mprotect(mm, addr, nr, VM_READ) === 0, "mprotect() fails");
  mmap_write_unlock(mm);
  if (!page_maybe_dma_pinned(page)) smp_store_release(revoked, 1);
}

/** split_huge_page() of the anonymous compound page, and then MADV_DONTNEED of the area. */
export function splitter(mm: Mm, addr: number, head: Page, reused: number): void {
  get_page(head);
  split_huge_page(head);
  put_page(head);
  zapper(mm, addr, NR, 0, reused);
}

/** MADV_COLLAPSE: the pages move to a compound one, unless somebody has one of them. */
export function collapser(mm: Mm, addr: number): void {
  mmap_write_lock(mm);
  madvise_collapse(vma_lookup(mm, addr), addr, addr + NR);
  mmap_write_unlock(mm);
}

/** fork(), and then the parent writes to addr. */
export function forker(mm: Mm, addr: number): void {
  mmap_write_lock(mm);
  const child = dup_mm(mm);
  mmap_write_unlock(mm);
  assert(child !== 0, "fork() has no memory");
  mmap_read_lock(mm);
  const ret = handle_mm_fault(mm, vma_lookup(mm, addr), addr, FAULT_FLAG_WRITE);
  assert((ret & VM_FAULT_ERROR) === 0, "the parent cannot write");
  mmap_read_unlock(mm);
}

// ---- At the end -------------------------------------------------------------------------------------------

/** Every pin was given back: nothing looks pinned, and the pin counts are zero. */
export function check_unpinned(first: Page, nr: number): void {
  for (let i = 0; i < nr; i++)
    assert_no_leak(page_ref_count(nth_page(first, i)) < 1024, "a pin was not given back");
}

/** Whoever writes through the pin and whoever writes through the mapping still mean the same page. */
export function check_coherent(mm: Mm, addr: number, slot: number): void {
  const pinned = READ_ONCE(slot);
  if (pinned === 0) return;
  const out = localArray(1);
  const level = pgtable_lookup(mm, addr, out);
  const e = READ_ONCE(out[0]);
  const leaf = level !== PTE_LEVEL && pmd_leaf(e);
  assert(
    pte_pfn(e) + (leaf ? addr & (NR - 1) : 0) === page_to_pfn(pinned),
    "the page that is mapped is no longer the one that is pinned",
  );
}
