/**
 * hugetlb: a pool of 2 MiB pages and the areas that map them (mm/hugetlb.c): reservation-free private and
 * shared mappings, faults, copy on write, protection changes, fork. The pool hands out the page that was
 * given back last, and a page keeps its dirty flag in the pool, as in the kernel.
 *
 * Custom: one pool of one size; reservations, cgroups, surplus pages and hwpoison are left out; a shared
 * mapping's page cache is the file's array, indexed by huge page.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { struct } from "../machine/struct.ts";
import { ENOMEM } from "./errno.ts";
import {
  FAULT_FLAG_UNSHARE,
  FAULT_FLAG_WRITE,
  userfaultfd_missing,
  userfaultfd_wp_entry,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
} from "./fault.ts";
import { copy_highpage, i_pages_slot } from "./filemap.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  MM,
  type Mm,
  VM_SHARED,
  VM_WRITE,
  VMA,
  type Vma,
} from "./mm_types.ts";
import { anon_vma_prepare, vm_page_prot, vma_flags, vma_pgoff } from "./mmap.ts";
import { mmu_notifier_end_relock, mmu_notifier_start_relock } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  __SetPageUptodate,
  ClearPageFlag,
  compound_head,
  nth_page,
  PAGE,
  type Page,
  PageAnon,
  PageAnonExclusive,
  PageFlag,
  PG_anon_exclusive,
  PG_hugetlb,
  PG_hwpoison,
  page_address,
  page_ref_add,
  page_to_pfn,
  page_word,
  pfn_to_page,
  SetPageFlag,
  set_page_count,
} from "./page.ts";
import { alloc_pages, GFP_USER, page_to_nid } from "./page_alloc.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  _PAGE_RW,
  type EntryPtr,
  PMD_LEVEL,
  pfn_pmd,
  pgtable_alloc,
  pte_mkdirty,
  pte_mkyoung,
  pte_pfn,
  pte_present,
  pte_write,
  pte_wrprotect,
  ptep_get_and_clear,
  set_pte_at,
} from "./pgtable.ts";
import {
  page_add_new_anon_rmap,
  page_add_rmap_pmd,
  page_mapcount,
  page_move_anon_rmap,
  page_remove_rmap_pmd,
} from "./rmap.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range } from "./tlb.ts";

/** kernel.hugetlb: free pages, a stack through page->lru_next. */
export const HSTATE = struct("hstate", ["free_head", "free_huge_pages", "nr_huge_pages"]);

/** Boot: a compound page joins the pool. */
export function hugetlb_add_page(head: Page): void {
  const h = kernel.hugetlb;
  SetPageFlag(head, PG_hugetlb);
  set_page_count(head, 0);
  WRITE_ONCE(page_word(head, PAGE.lru_next), READ_ONCE(h + HSTATE.free_head));
  WRITE_ONCE(h + HSTATE.free_head, head);
  WRITE_ONCE(h + HSTATE.free_huge_pages, READ_ONCE(h + HSTATE.free_huge_pages) + 1);
}
/** free_huge_page(): the last reference is gone. */
export function free_huge_page(head: Page): void {
  ClearPageFlag(head, PG_anon_exclusive);
  WRITE_ONCE(page_word(head, PAGE.mapping), 0);
  hugetlb_add_page(head);
}
/** dissolve_free_huge_page(): the free page leaves the pool for good. */
export function dissolve_free_huge_page(page: Page): void {
  const h = kernel.hugetlb;
  let link = h + HSTATE.free_head;
  while (READ_ONCE(link) !== page) link = page_word(READ_ONCE(link), PAGE.lru_next);
  WRITE_ONCE(link, READ_ONCE(page_word(page, PAGE.lru_next)));
  WRITE_ONCE(h + HSTATE.free_huge_pages, READ_ONCE(h + HSTATE.free_huge_pages) - 1);
  ClearPageFlag(page, PG_hugetlb);
}
/**
 * * dequeue_hugetlb_folio_node_exact(): the free page of a node that was given back last and is not poisoned,
 * off the list; or 0.
 */
function dequeue_huge_page_node(nid: number): Page {
  const h = kernel.hugetlb;
  let link = h + HSTATE.free_head;
  let head: Page = READ_ONCE(link);
  while (head !== 0 && (page_to_nid(head) !== nid || PageFlag(head, PG_hwpoison))) {
    link = page_word(head, PAGE.lru_next);
    head = READ_ONCE(link);
  }
  if (head === 0) return 0;
  WRITE_ONCE(link, READ_ONCE(page_word(head, PAGE.lru_next)));
  WRITE_ONCE(h + HSTATE.free_huge_pages, READ_ONCE(h + HSTATE.free_huge_pages) - 1);
  return head;
}
/**
 * alloc_huge_page(): of the caller's node, which is 0, if that has one; with one reference and its contents
 * cleared; 0 if the pool is empty.
 */
function alloc_huge_page(): Page {
  let head = dequeue_huge_page_node(0);
  if (head === 0) head = dequeue_huge_page_node(1);
  if (head === 0) return 0;
  set_page_count(head, 1);
  for (let i = 0; i < geom.hpage_pmd_nr; i++)
    for (let w = 0; w < geom.page_words; w++) WRITE_ONCE(page_address(nth_page(head, i)) + w, 0);
  __SetPageUptodate(head);
  return head;
}

/** alloc_hugetlb_folio_nodemask() for a migration: a free page of the pool on that node, or 0. */
export function hugetlb_alloc_pooled(nid: number): Page {
  const head = dequeue_huge_page_node(nid);
  if (head === 0) return 0;
  set_page_count(head, 1);
  __SetPageUptodate(head);
  return head;
}
/** alloc_migrate_hugetlb_folio(): a page that is not from the pool; 0 if memory is out. */
export function hugetlb_alloc_fresh(nid: number): Page {
  const page = alloc_pages(GFP_USER, geom.hpage_pmd_order, nid);
  if (page === 0) return 0;
  SetPageFlag(page, PG_hugetlb);
  return page;
}
/** folio_set_hugetlb_temporary(): goes to the page allocator when it is freed, not to the pool. */
export function hugetlb_make_temporary(head: Page): void {
  ClearPageFlag(head, PG_hugetlb);
}

/**
 * huge_pte_mkwrite(huge_pte_mkdirty()): an entry that was not writable keeps the dirty bit where such a one
 * has it (x86 from v6.6: pte_mkwrite_novma() does not move it), so that the hardware's is clear.
 */
function huge_pte_mkwrite(pte: number): number {
  return pte_mkdirty(pte) | _PAGE_RW;
}
/**
 * The entry may be made writable: to v6.x the area is not asked, which its callers have done, but for fork.
 */
function may_mkwrite(vma: Vma): boolean {
  return !config.hugetlbMkwriteAsks || (vma_flags(vma) & VM_WRITE) !== 0;
}
/** make_huge_pte(). */
export function make_huge_pte(vma: Vma, page: Page, writable: boolean): number {
  const pte = pfn_pmd(page_to_pfn(page), vm_page_prot(vma, false));
  return writable && may_mkwrite(vma) ? huge_pte_mkwrite(pte) : pte_wrprotect(pte);
}
/** set_huge_ptep_writable(), set_huge_ptep_maybe_writable(). */
function set_huge_ptep_writable(vma: Vma, entryp: EntryPtr): void {
  if (may_mkwrite(vma)) set_pte_at(entryp, pte_mkyoung(huge_pte_mkwrite(READ_ONCE(entryp))));
}

/** hugetlbfs_pagecache_present(): the file has a page for addr; that page, or 0. */
export function hugetlbfs_pagecache_page(vma: Vma, addr: number): Page {
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  if (file === 0) return 0;
  const index = vma_pgoff(vma, addr) >> geom.pmd_shift;
  return index < READ_ONCE(file + ADDRESS_SPACE.i_size) >> geom.pmd_shift
    ? READ_ONCE(i_pages_slot(file, index))
    : 0;
}
/** hugetlb_add_to_page_cache(), huge_add_to_page_cache(). */
function hugetlb_add_to_page_cache(page: Page, file: AddressSpace, index: number): void {
  WRITE_ONCE(page_word(page, PAGE.mapping), file);
  WRITE_ONCE(page_word(page, PAGE.index), index << geom.pmd_shift);
  WRITE_ONCE(i_pages_slot(file, index), page);
  page_ref_add(page, config.largeMapcount ? geom.hpage_pmd_nr : 1);
  set_page_dirty(page);
}

/**
 * memfd_alloc_folio(): a file's page with a reference for the caller, made if it is not there; or -ENOMEM.
 */
export function hugetlb_alloc_for_file(file: AddressSpace, index: number): Page {
  const cached: Page = READ_ONCE(i_pages_slot(file, index));
  if (cached !== 0) {
    page_ref_add(cached, 1);
    return cached;
  }
  const page = alloc_huge_page();
  if (page === 0) return -ENOMEM;
  hugetlb_add_to_page_cache(page, file, index);
  return page;
}

/** hugetlb_no_page(): a file's page, also of a private mapping, or a new one. */
function hugetlb_no_page(vma: Vma, addr: number, entryp: EntryPtr, flags: number): number {
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  const shared = (vma_flags(vma) & VM_SHARED) !== 0;
  const index = vma_pgoff(vma, addr) >> geom.pmd_shift;
  let page = hugetlbfs_pagecache_page(vma, addr);
  if (page === 0 && userfaultfd_missing(vma)) return VM_FAULT_SIGBUS;
  let anon = false;
  if (page !== 0) page_ref_add(page, 1);
  else {
    if (file !== 0 && index >= READ_ONCE(file + ADDRESS_SPACE.i_size) >> geom.pmd_shift)
      return VM_FAULT_SIGBUS;
    page = alloc_huge_page();
    if (page === 0) return VM_FAULT_SIGBUS;
    if (shared) hugetlb_add_to_page_cache(page, file, index);
    else anon = true;
  }
  if (anon) {
    anon_vma_prepare(vma);
    page_add_new_anon_rmap(page, vma, addr - (addr & (geom.hpage_pmd_nr - 1)));
  } else page_add_rmap_pmd(page, vma);
  set_pte_at(entryp, make_huge_pte(vma, page, shared && (vma_flags(vma) & VM_WRITE) !== 0));
  // "Optimization, do the COW without a second fault"
  return !shared && (flags & FAULT_FLAG_WRITE) !== 0 ? hugetlb_wp(vma, addr, entryp, flags) : 0;
}

/** hugetlb_wp(), hugetlb_cow(). */
function hugetlb_wp(vma: Vma, addr: number, entryp: EntryPtr, flags: number): number {
  const pte = READ_ONCE(entryp);
  const old = pfn_to_page(pte_pfn(pte));
  const unshare = (flags & FAULT_FLAG_UNSHARE) !== 0;
  if ((vma_flags(vma) & VM_SHARED) !== 0) {
    set_huge_ptep_writable(vma, entryp);
    return 0;
  }
  // "If no-one else is actually using this page, we're the exclusive owner and can reuse this page."
  if (page_mapcount(old) === 1 && PageAnon(old)) {
    if (config.anonExclusive && !PageAnonExclusive(old)) page_move_anon_rmap(compound_head(old));
    if (!unshare) set_huge_ptep_writable(vma, entryp);
    return 0;
  }
  const page = alloc_huge_page();
  if (page === 0) return VM_FAULT_OOM;
  anon_vma_prepare(vma);
  for (let i = 0; i < geom.hpage_pmd_nr; i++) copy_highpage(nth_page(page, i), nth_page(old, i));
  __SetPageUptodate(page);
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const haddr = addr - (addr & (geom.hpage_pmd_nr - 1));
  mmu_notifier_start_relock(mm, haddr, haddr + geom.hpage_pmd_nr, MMU_NOTIFY_CLEAR);
  if (READ_ONCE(entryp) === pte) {
    ptep_get_and_clear(entryp);
    flush_tlb_range();
    page_remove_rmap_pmd(old, vma);
    page_add_new_anon_rmap(page, vma, haddr);
    set_pte_at(entryp, make_huge_pte(vma, page, !unshare));
    put_page(old);
  } else put_page(page);
  mmu_notifier_end_relock(mm);
  return 0;
}

function hugetlb_fault_locked(mm: Mm, vma: Vma, addr: number, flags: number): number {
  const entryp = pgtable_alloc(mm, addr, PMD_LEVEL);
  if (entryp === 0) return VM_FAULT_OOM;
  const pte = READ_ONCE(entryp);
  if (pte === 0) return hugetlb_no_page(vma, addr, entryp, flags);
  if (!pte_present(pte)) return VM_FAULT_SIGBUS;
  if ((flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE)) === 0) return 0;
  const wp = (flags & FAULT_FLAG_WRITE) !== 0 && !pte_write(pte) && userfaultfd_wp_entry(vma, pte);
  if (wp) return VM_FAULT_SIGBUS;
  if (!pte_write(pte)) return hugetlb_wp(vma, addr, entryp, flags);
  if ((flags & FAULT_FLAG_WRITE) !== 0) set_pte_at(entryp, pte_mkdirty(pte_mkyoung(pte)));
  return 0;
}
/** hugetlb_fault(). */
export function hugetlb_fault(mm: Mm, vma: Vma, addr: number, flags: number): number {
  spin_lock(mm + MM.page_table_lock);
  const ret = hugetlb_fault_locked(mm, vma, addr, flags);
  spin_unlock(mm + MM.page_table_lock);
  return ret;
}

/** copy_hugetlb_page_range() for a page that may be pinned: the child's copy, or 0 if the pool is empty. */
export function hugetlb_copy_for_child(vma: Vma, addr: number, old: Page): number {
  const page = alloc_huge_page();
  if (page === 0) return 0;
  for (let i = 0; i < geom.hpage_pmd_nr; i++) copy_highpage(nth_page(page, i), nth_page(old, i));
  __SetPageUptodate(page);
  page_add_new_anon_rmap(page, vma, addr);
  return page;
}
