/**
 * struct page: layout, the vmemmap that it lies in, reference counts (include/linux/page_ref.h), flags,
 * compound pages (include/linux/mm.h, mm/page_alloc.c) and the pin count (v5.7, 47e29d32afba). A
 * `struct page *` is a vmemmap address, so that page + n * PAGE.SIZE is the n-th next page; with
 * config.vmemmapMapped it is a virtual one, and every access goes through the table of vmemmap frames, as the
 * MMU does it for the kernel. So two vmemmap addresses may share a frame (deduplicated tails), and a frame
 * that was freed is poison.
 *
 * Not covered: putting pages (swap.ts), zones and nodes, reverse mapping. The unions of the kernel's struct
 * are spread over the 16 words, so that a field has one name; a field of page[1] or page[2] is at its own
 * word there.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  assert_no_underflow,
  atomic_add,
  atomic_add_unless,
  atomic_cmpxchg,
  atomic_fetch_add_relaxed,
  atomic_fetch_sub,
  atomic_inc,
  atomic_set,
  atomic_set_release,
  atomic_sub,
  clear_bit,
  load,
  READ_ONCE,
  set_bit,
  smp_rmb,
  smp_wmb,
  store,
  test_and_clear_bit,
  test_and_set_bit,
  test_bit,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";

export type Page = Ptr<"page">;

/**
 *  word  0 flags            PG_* below
 *        1 compound_head    tails: address of the head, plus 1 (struct pages are aligned, so bit 0 is free)
 *        2 _refcount
 *        3 _mapcount        number of entries that map the page, minus 1
 *        4 pgmap            ZONE_DEVICE pages: their dev_pagemap (shares the lru words in the kernel)
 *        5 mapping, 6 index, 7 private
 *        8 compound_order   of page[1]
 *        9 _pincount        of page[config.pincountPage]
 *       10 _entire_mapcount, 11 _large_mapcount, 12 _nr_pages_mapped   of page[1]
 *       13 share            fsdax
 *       14 lru_next, 15 lru_prev   list of free blocks, of hugetlb pages; 16 words are the kernel's 64 bytes
 */
export const PAGE = struct(
  "page",
  [
    "flags",
    "compound_head",
    "_refcount",
    "_mapcount",
    "pgmap",
    "mapping",
    "index",
    "private",
    "compound_order",
    "_pincount",
    "_entire_mapcount",
    "_large_mapcount",
    "_nr_pages_mapped",
    "share",
    "lru_next",
    "lru_prev",
  ],
  16,
);
/** log2 of PAGE.SIZE. */
export const PAGE_STRUCT_SHIFT = 4;

/** Where a mapped vmemmap starts: above every word address. */
export const VMEMMAP_START = 0x40000000;

export const GUP_PIN_COUNTING_BIAS = 1024;

// Bit numbers of page flags; the numbers are ours. PG_zone_device stands for page_zonenum(page) ==
// ZONE_DEVICE.
export const PG_locked = 0;
export const PG_referenced = 1;
export const PG_uptodate = 2;
export const PG_dirty = 3;
export const PG_lru = 4;
export const PG_head = 5;
export const PG_swapbacked = 6;
export const PG_anon_exclusive = 7;
export const PG_zone_device = 8;
export const PG_reserved = 9;
export const PG_writeback = 10;
export const PG_hwpoison = 11;
export const PG_swapcache = 12;
export const PG_mlocked = 13;
export const PG_unevictable = 14;
/** Of page[1] in the kernel; here of the head. */
export const PG_double_map = 15;
/** On the deferred split queue (a list membership in the kernel; PG_partially_mapped from v6.12). */
export const PG_deferred_split = 16;
/** A compound page of hugetlb (its destructor to v6.5, PG_hugetlb, a page type from v6.10). */
export const PG_hugetlb = 17;
/** A free block of the page allocator: a page type, not a flag, in the kernel. */
export const PG_buddy = 18;
/** The file system has data at page->private and holds a reference (buffer heads). */
export const PG_private = 19;
/** Isolated from the LRU by migration or reclaim. */
export const PG_isolated = 20;
/** Read into the swap cache ahead of any need (PG_reclaim's bit in the kernel). */
export const PG_readahead = 21;
/** s390: the page may belong to a protected guest (mm/uv.ts). */
export const PG_arch_1 = 22;
/** Somebody waits for the page's lock (mm/pagemap.ts). */
export const PG_waiters = 23;
/** Bits 24 to 27: number of the zone, see page_alloc.ts. */
export const PG_ZONE_SHIFT = 24;
export const PG_ZONE_MASK = 0xf;

/** page->mapping of an anonymous page: its anon_vma, plus this (PAGE_MAPPING_ANON). */
export const PAGE_MAPPING_ANON = 1;
/** Of a KSM page: the address of its stable node (mm/ksm_types.ts), which may be 0, plus this. */
export const PAGE_MAPPING_KSM = 3;
/** Added to _nr_pages_mapped while a huge entry maps the folio. */
export const ENTIRELY_MAPPED = 0x800000;

/** page->mapping of a tail page (TAIL_MAPPING). */
export const TAIL_MAPPING = 0x400;

// ---- vmemmap ----------------------------------------------------------------------------------------------

export function pfn_to_page(pfn: number): Page {
  return kernel.vmemmap + (pfn << PAGE_STRUCT_SHIFT);
}
export function page_to_pfn(page: Page): number {
  return (page - kernel.vmemmap) >> PAGE_STRUCT_SHIFT;
}
export function nth_page(page: Page, n: number): Page {
  return page + (n << PAGE_STRUCT_SHIFT);
}
/** Address of the vmemmap frame that holds a page's struct, from the table of frames. */
export function vmemmap_frame(pfn: number): number {
  return READ_ONCE(kernel.vmemmap_table + (pfn >> geom.vmemmap_shift));
}
/** Word address of a field of a struct page: what the MMU translates page + field to. */
export function page_word(page: Page, field: number): number {
  if (!config.vmemmapMapped) return page + field;
  const pfn = page_to_pfn(page);
  return vmemmap_frame(pfn) + ((pfn & ((1 << geom.vmemmap_shift) - 1)) << PAGE_STRUCT_SHIFT) + field;
}
/** Word address of the page's contents in the direct map. */
export function page_address(page: Page): number {
  return kernel.direct_map + page_to_pfn(page) * geom.page_words;
}

// ---- Flags ------------------------------------------------------------------------------------------------

/**
 * PG_referenced is the head's (PF_HEAD): nothing is written to a tail, which may share its struct page with
 * others.
 */
export function SetPageReferenced(page: Page): void {
  folio_set_referenced(compound_head(page));
}
export function ClearPageReferenced(page: Page): void {
  clear_bit(PG_referenced, page_word(compound_head(page), PAGE.flags));
}
export function PageReferenced(page: Page): boolean {
  return test_bit(PG_referenced, page_word(compound_head(page), PAGE.flags));
}
/** The same of what is known to be a head. */
export function folio_set_referenced(head: Page): void {
  set_bit(PG_referenced, page_word(head, PAGE.flags));
}
export function PageDirty(page: Page): boolean {
  return test_bit(PG_dirty, page_word(page, PAGE.flags));
}
export function SetPageDirty(page: Page): void {
  set_bit(PG_dirty, page_word(page, PAGE.flags));
}
/**
 * PageUptodate(), folio_test_uptodate(): what is read of the page after it is what was there when it was
 * marked. Read: v5.10, v6.1, v6.12, v7.3.
 */
export function PageUptodate(page: Page): boolean {
  const uptodate = test_bit(PG_uptodate, page_word(compound_head(page), PAGE.flags));
  if (uptodate) smp_rmb();
  return uptodate;
}
/**
 * SetPageUptodate(), folio_mark_uptodate(): "Memory barrier must be issued before setting the PG_uptodate
 * bit, so that all previous stores issued in order to bring the page uptodate are actually visible before
 * PageUptodate becomes true." Of a head. Read: v5.10, v6.1, v6.12, v7.3.
 */
export function SetPageUptodate(head: Page): void {
  smp_wmb();
  set_bit(PG_uptodate, page_word(head, PAGE.flags));
}
/**
 * __SetPageUptodate(), __folio_mark_uptodate(): of a page that nobody else has. Its barrier is also the one
 * that puts the page's contents before the entry that will map it. Read: v5.10, v6.1, v6.12, v7.3.
 */
export function __SetPageUptodate(head: Page): void {
  smp_wmb();
  const flags = page_word(head, PAGE.flags);
  store(flags, load(flags) | (1 << PG_uptodate));
}
export function PageFlag(page: Page, nr: number): boolean {
  return test_bit(nr, page_word(page, PAGE.flags));
}
export function SetPageFlag(page: Page, nr: number): void {
  set_bit(nr, page_word(page, PAGE.flags));
}
export function ClearPageFlag(page: Page, nr: number): void {
  clear_bit(nr, page_word(page, PAGE.flags));
}
/** Sets the flag and tells whether it was set. */
export function TestSetPageFlag(page: Page, nr: number): boolean {
  return test_and_set_bit(nr, page_word(page, PAGE.flags));
}
export function TestClearPageFlag(page: Page, nr: number): boolean {
  return test_and_clear_bit(nr, page_word(page, PAGE.flags));
}
/** Of any page of a compound page, as PageAnon() is. */
export function PageAnon(page: Page): boolean {
  return (READ_ONCE(page_word(compound_head(page), PAGE.mapping)) & PAGE_MAPPING_ANON) !== 0;
}
/** Read: v5.10, v6.1, v6.12, v7.3. */
export function PageKsm(page: Page): boolean {
  const mapping = READ_ONCE(page_word(compound_head(page), PAGE.mapping));
  return (mapping & PAGE_MAPPING_KSM) === PAGE_MAPPING_KSM;
}
export function PageHuge(page: Page): boolean {
  if (kernel.hugetlb === 0) return false;
  return PageFlag(compound_head(page), PG_hugetlb);
}
export function PageAnonExclusive(page: Page): boolean {
  return PageFlag(PageHuge(page) ? compound_head(page) : page, PG_anon_exclusive);
}
export function SetPageAnonExclusive(page: Page): void {
  SetPageFlag(PageHuge(page) ? compound_head(page) : page, PG_anon_exclusive);
}
export function ClearPageAnonExclusive(page: Page): void {
  ClearPageFlag(PageHuge(page) ? compound_head(page) : page, PG_anon_exclusive);
}
export function PageHead(page: Page): boolean {
  return test_bit(PG_head, page_word(page, PAGE.flags));
}
export function PageTail(page: Page): boolean {
  return (READ_ONCE(page_word(page, PAGE.compound_head)) & 1) !== 0;
}
export function PageCompound(page: Page): boolean {
  return PageHead(page) || PageTail(page);
}
export function is_zone_device_page(page: Page): boolean {
  return test_bit(PG_zone_device, page_word(page, PAGE.flags));
}
/** page->pgmap of a ZONE_DEVICE page; only with a reference on it (rule of September 2022). */
export function page_pgmap(page: Page): number {
  return READ_ONCE(page_word(page, PAGE.pgmap));
}

// ---- Compound pages ---------------------------------------------------------------------------------------

/** Read: v5.10. */
export function compound_head(page: Page): Page {
  const head = READ_ONCE(page_word(page, PAGE.compound_head));
  return (head & 1) !== 0 ? head - 1 : page;
}
/** Of a head or a page that is not compound. */
export function compound_order(head: Page): number {
  if (!PageHead(head)) return 0;
  return READ_ONCE(page_word(nth_page(head, 1), PAGE.compound_order));
}
export function compound_nr(head: Page): number {
  return 1 << compound_order(head);
}
/** Word of a compound page's pin count. */
export function compound_pincount_ptr(head: Page): number {
  return page_word(nth_page(head, config.pincountPage), PAGE._pincount);
}
/**
 * prep_compound_page(), with the first `nr` struct pages written: fewer than 2^order where tails share frames
 * (v5.19).
 */
export function prep_compound_pages(page: Page, order: number, nr: number): void {
  // __SetPageHead(): not atomic.
  if (nr > 1) store(page_word(page, PAGE.flags), load(page_word(page, PAGE.flags)) | (1 << PG_head));
  for (let i = 1; i < nr; i++) {
    const tail = nth_page(page, i);
    WRITE_ONCE(page_word(tail, PAGE._refcount), 0);
    WRITE_ONCE(page_word(tail, PAGE.mapping), TAIL_MAPPING);
    WRITE_ONCE(page_word(tail, PAGE.compound_head), page + 1);
  }
  if (nr > 1) {
    WRITE_ONCE(page_word(nth_page(page, 1), PAGE.compound_order), order);
    WRITE_ONCE(page_word(nth_page(page, 1), PAGE._entire_mapcount), -1);
    if (config.largeMapcount) WRITE_ONCE(page_word(nth_page(page, 1), PAGE._large_mapcount), -1);
    if (order >= config.pincountMinOrder) WRITE_ONCE(compound_pincount_ptr(page), 0);
  }
}
/** Makes 2^order pages from `page` one compound page. The head keeps its references, the tails' become 0. */
export function prep_compound_page(page: Page, order: number): void {
  prep_compound_pages(page, order, 1 << order);
}
/** hpage_pincount_available(); folio_has_pincount() later. Reads the head, so only with a reference on it. */
export function hpage_pincount_available(head: Page): boolean {
  return PageHead(head) && compound_order(head) >= config.pincountMinOrder;
}

// ---- References -------------------------------------------------------------------------------------------

/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function page_ref_count(page: Page): number {
  return READ_ONCE(page_word(page, PAGE._refcount));
}
/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function page_count(page: Page): number {
  return page_ref_count(compound_head(page));
}
/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function set_page_count(page: Page, v: number): void {
  atomic_set(page_word(page, PAGE._refcount), v);
}
/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function page_ref_add(page: Page, nr: number): void {
  atomic_add(nr, page_word(page, PAGE._refcount));
}
/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function page_ref_sub(page: Page, nr: number): void {
  atomic_sub(nr, page_word(page, PAGE._refcount));
}
/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function page_ref_inc(page: Page): void {
  atomic_inc(page_word(page, PAGE._refcount));
}
/**
 * Adds `nr` unless the count is `u`; false if it was. Read: v5.10, v6.1, v6.12, v7.3. Stub: v6.12 has an
 * RCU section around it and asks first whether the page is a fake head and what it counts, so that a
 * vmemmap that is remapped is not written to; without it a write to a shared tail frame is not seen here.
 */
export function page_ref_add_unless(page: Page, nr: number, u: number): boolean {
  return atomic_add_unless(page_word(page, PAGE._refcount), nr, u);
}
/**
 * VM_BUG_ON_PAGE(page_ref_count(page) < nr): a count that was too small, or a little below zero. Not one near
 * INT_MIN: that is a count that overflowed by too many pins, which releasing them mends (seen on v5.10 to
 * v7.3).
 */
function check_ref_before_sub(old: number, nr: number): void {
  assert_no_underflow(old >= nr || old < -0x40000000, "page reference count dropped below zero");
}
/**
 * The count after taking `nr` off. Read: v5.10, v6.1, v6.12, v7.3. Custom: a count that drops below zero
 * is an error here, which the kernel looks at only with CONFIG_DEBUG_VM.
 */
export function page_ref_sub_return(page: Page, nr: number): number {
  const old = atomic_fetch_sub(nr, page_word(page, PAGE._refcount));
  check_ref_before_sub(old, nr);
  return (old - nr) | 0;
}
/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function page_ref_dec_return(page: Page): number {
  return page_ref_sub_return(page, 1);
}
/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function page_ref_sub_and_test(page: Page, nr: number): boolean {
  return page_ref_sub_return(page, nr) === 0;
}
/**
 * Sets the count to 0 if it is `count`: nobody can take a reference until page_ref_unfreeze(). Read:
 * v5.10, v6.1, v6.12, v7.3.
 */
export function page_ref_freeze(page: Page, count: number): boolean {
  return atomic_cmpxchg(page_word(page, PAGE._refcount), count, 0) === count;
}
/** include/linux/page_ref.h. Read: v5.10, v6.1, v6.12, v7.3. */
export function page_ref_unfreeze(page: Page, count: number): void {
  atomic_set_release(page_word(page, PAGE._refcount), count);
}
/** Read: v5.10, v6.1, v6.12, v7.3. */
export function put_page_testzero(page: Page): boolean {
  return page_ref_sub_and_test(page, 1);
}
/**
 * get_page(): the caller holds a reference already. Read: v5.10, v6.1, v6.12, v7.3. Stub: v7.3 leaves
 * pages of slabs alone, which do not exist here.
 */
export function get_page(page: Page): void {
  page_ref_inc(compound_head(page));
}
/**
 * try_get_page() of v5.10: refuses a count that is 0 or has overflowed. The caller excludes freeing by
 * other means. Read: v5.10, v6.1, v6.12, v7.3.
 */
export function try_get_page(page: Page): boolean {
  const head = compound_head(page);
  if (config.tryGetPageChecks && page_ref_count(head) <= 0) return false;
  page_ref_inc(head);
  return true;
}

/** The pins of a page (exact if it counts them apart), or its references divided by the bias. */
export function page_pincount(page: Page): number {
  const head = compound_head(page);
  if (hpage_pincount_available(head)) return READ_ONCE(compound_pincount_ptr(head));
  return page_ref_count(head) >>> 10;
}
/**
 * True if pinned; may be true without a pin from 1024 references on (page_maybe_dma_pinned(), v5.7). Read:
 * v5.10, v6.1, v6.12, v7.3.
 */
export function page_maybe_dma_pinned(page: Page): boolean {
  return page_pincount(page) > 0;
}
/** Read: v5.10. Later kernels add where this is called. */
export function hpage_pincount_add(head: Page, refs: number): void {
  atomic_add(refs, compound_pincount_ptr(head));
}
/**
 * Read: v5.10. Later kernels subtract where this is called. Custom: a count that drops below zero is an
 * error, which takes the old value; nothing is ordered by it, as by the kernel's atomic_sub().
 */
export function hpage_pincount_sub(head: Page, refs: number): void {
  const old = atomic_fetch_add_relaxed(-refs, compound_pincount_ptr(head));
  assert_no_underflow(old >= refs, "pin count of a compound page dropped below zero");
}
