/**
 * Counting the entries that map a page (mm/rmap.c, include/linux/rmap.h), in the three forms of the recorded
 * kernels:
 *
 *   to v6.1   _mapcount of the (sub)page counts PTEs, _entire_mapcount huge entries; while a page is mapped
 *             both ways,
 *             PG_double_map adds one to every subpage (config.doubleMap)
 *   v6.2      _nr_pages_mapped counts subpages with a PTE, plus ENTIRELY_MAPPED for a huge entry
 *             (config.largeMapcount)
 *   v6.10     and _large_mapcount counts entries of any size; v6.15 also by which address spaces
 *             (config.largeMmIds)
 *
 * and when a partly unmapped huge page is queued for splitting. Also page_vma_mapped: see rmap_walk.ts. Not
 * covered: memory cgroups, NR_ANON_MAPPED and its kin.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  atomic_add,
  atomic_add_negative,
  atomic_add_return,
  READ_ONCE,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { clear_page_mlock, mlock_vma_page, munlock_vma_page } from "./mlock.ts";
import { type Mm, VMA, type Vma } from "./mm_types.ts";
import {
  compound_head,
  compound_nr,
  compound_order,
  ENTIRELY_MAPPED,
  nth_page,
  PAGE,
  PAGE_MAPPING_ANON,
  type Page,
  PageAnon,
  PageFlag,
  PageHead,
  PageHuge,
  PG_deferred_split,
  PG_double_map,
  PG_mlocked,
  PG_private,
  PG_swapbacked,
  PG_swapcache,
  page_word,
  SetPageAnonExclusive,
  SetPageFlag,
  TestClearPageFlag,
  TestSetPageFlag,
} from "./page.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";

// Words of page[1] of a large folio, which the fields of those names do not use there.
const MM_ID0 = PAGE.index;
const MM_ID1 = PAGE.private;
const MM_MAPCOUNT0 = PAGE.share;
const MM_MAPCOUNT1 = PAGE.lru_prev;
const MM_SHARED = PAGE.lru_next;

// ---- Words ------------------------------------------------------------------------------------------------

export function entire_mapcount_ptr(head: Page): number {
  return page_word(nth_page(head, 1), PAGE._entire_mapcount);
}
function large_mapcount_ptr(head: Page): number {
  return page_word(nth_page(head, 1), PAGE._large_mapcount);
}
function nr_pages_mapped_ptr(head: Page): number {
  return page_word(nth_page(head, 1), PAGE._nr_pages_mapped);
}
/**
 * page_mapcount() to v6.x of one page: PTEs of it and huge entries of its compound page. Read: v5.10, v6.1,
 * v6.12. Custom: v5.10 leaves PG_double_map to pages that are not a file's.
 */
export function page_mapcount(page: Page): number {
  let n = READ_ONCE(page_word(page, PAGE._mapcount)) + 1;
  const head = compound_head(page);
  if (!PageHead(head)) return n;
  n += READ_ONCE(entire_mapcount_ptr(head)) + 1;
  if (config.doubleMap && PageFlag(head, PG_double_map)) n -= 1;
  return n;
}
/**
 * Entries of any kind that map any part of the page: page_mapped(), total_mapcount(), folio_mapcount(). Read:
 * v5.10, v6.1, v6.12, v7.3. Custom: page_mapped() is this not being 0; to v6.9 it stops at the first count.
 */
export function total_mapcount(page: Page): number {
  const head = compound_head(page);
  if (!PageHead(head)) return READ_ONCE(page_word(head, PAGE._mapcount)) + 1;
  const entire = READ_ONCE(entire_mapcount_ptr(head)) + 1;
  if (PageHuge(head)) return entire;
  if (config.largeMapcount) return READ_ONCE(large_mapcount_ptr(head)) + 1;
  const nr = compound_nr(head);
  let n = entire;
  for (let i = 0; i < nr; i++) n += READ_ONCE(page_word(nth_page(head, i), PAGE._mapcount)) + 1;
  if (PageFlag(head, PG_double_map)) n -= nr;
  return n;
}
export function page_mapped(page: Page): boolean {
  return total_mapcount(page) > 0;
}
/**
 * References of the page cache: one for each page of a folio, but for one of hugetlb as hugetlb_no_page()
 * adds (to v6.1).
 */
export function cache_refs(head: Page): number {
  return PageHuge(head) && !config.largeMapcount ? 1 : compound_nr(head);
}
/**
 * expected_page_refs(), folio_expected_ref_count() (v6.16): the references that the swap cache, the page
 * cache, buffers and entries of the page account for. Read: v5.10, v6.1, v6.12, v7.3. Custom: to v6.15 the
 * callers count the entries and their own reference.
 */
export function folio_expected_ref_count(head: Page): number {
  let refs = total_mapcount(head) + (PageFlag(head, PG_swapcache) ? compound_nr(head) : 0);
  if (!PageAnon(head) && READ_ONCE(page_word(head, PAGE.mapping)) !== 0) refs += cache_refs(head);
  return refs + (PageFlag(head, PG_private) ? 1 : 0);
}

/** What prep_compound_page() leaves out: the counts of entries start at none. */
export function prep_compound_mapcounts(head: Page): void {
  WRITE_ONCE(entire_mapcount_ptr(head), -1);
  if (!config.largeMapcount) return;
  WRITE_ONCE(large_mapcount_ptr(head), -1);
  WRITE_ONCE(nr_pages_mapped_ptr(head), 0);
  if (!config.largeMmIds) return;
  WRITE_ONCE(page_word(nth_page(head, 1), MM_ID0), 0);
  WRITE_ONCE(page_word(nth_page(head, 1), MM_ID1), 0);
  WRITE_ONCE(page_word(nth_page(head, 1), MM_MAPCOUNT0), -1);
  WRITE_ONCE(page_word(nth_page(head, 1), MM_MAPCOUNT1), -1);
  WRITE_ONCE(page_word(nth_page(head, 1), MM_SHARED), 0);
}

// ---- Which address spaces map a large folio (v6.15) -------------------------------------------------------

/**
 * folio_add_large_mapcount(), folio_add_return_large_mapcount() (v6.15). Read: v6.12, v7.3. Stub: from v6.15
 * on a bit of the folio is a lock around this (folio_lock_large_mapcount()): two address spaces that change
 * it at once may leave the slots wrong here.
 */
function folio_add_large_mapcount(head: Page, diff: number, mm: Mm): void {
  const now = atomic_add_return(diff, large_mapcount_ptr(head));
  if (!config.largeMmIds) return;
  const p1 = nth_page(head, 1);
  const id0 = page_word(p1, MM_ID0);
  const id1 = page_word(p1, MM_ID1);
  if (READ_ONCE(id0) === mm) atomic_add(diff, page_word(p1, MM_MAPCOUNT0));
  else if (READ_ONCE(id1) === mm) atomic_add(diff, page_word(p1, MM_MAPCOUNT1));
  else if (READ_ONCE(id0) === 0) {
    WRITE_ONCE(id0, mm);
    WRITE_ONCE(page_word(p1, MM_MAPCOUNT0), diff - 1);
    // "We might have other mappings already."
    if (now !== diff - 1) WRITE_ONCE(page_word(p1, MM_SHARED), 1);
  } else if (READ_ONCE(id1) === 0) {
    WRITE_ONCE(id1, mm);
    WRITE_ONCE(page_word(p1, MM_MAPCOUNT1), diff - 1);
    WRITE_ONCE(page_word(p1, MM_SHARED), 1);
  }
}
/** folio_sub_return_large_mapcount(). Read: v6.12, v7.3. Stub: as folio_add_large_mapcount(). */
function folio_sub_large_mapcount(head: Page, diff: number, mm: Mm): void {
  const now = atomic_add_return(-diff, large_mapcount_ptr(head));
  if (!config.largeMmIds) return;
  const p1 = nth_page(head, 1);
  const count0 = page_word(p1, MM_MAPCOUNT0);
  const count1 = page_word(p1, MM_MAPCOUNT1);
  // What was mapped while no slot was free may be unmapped from one: a count goes no lower than -1.
  if (READ_ONCE(page_word(p1, MM_ID0)) === mm) {
    if (atomic_add_return(-diff, count0) >= 0) return;
    WRITE_ONCE(count0, -1);
    WRITE_ONCE(page_word(p1, MM_ID0), 0);
  } else if (READ_ONCE(page_word(p1, MM_ID1)) === mm) {
    if (atomic_add_return(-diff, count1) >= 0) return;
    WRITE_ONCE(count1, -1);
    WRITE_ONCE(page_word(p1, MM_ID1), 0);
  }
  // "If one MM slot owns all mappings, the folio is mapped exclusively."
  if (READ_ONCE(count0) === now || READ_ONCE(count1) === now) WRITE_ONCE(page_word(p1, MM_SHARED), 0);
}
/** folio_maybe_mapped_shared() of a large folio. Read: v7.3. */
export function folio_maybe_mapped_shared(head: Page): boolean {
  return READ_ONCE(page_word(nth_page(head, 1), MM_SHARED)) !== 0;
}

// ---- Deferred split ---------------------------------------------------------------------------------------

/**
 * deferred_split_huge_page(), deferred_split_folio(): queued once. Read: v5.10, v6.1, v6.12, v7.3. Stub: the
 * queue, which shrinkers split under pressure; v7.3 leaves device-private folios alone.
 */
function deferred_split_folio(head: Page): void {
  // Reclaim is dealing with the page as a whole.
  if (compound_order(head) < 2 || PageFlag(head, PG_swapcache)) return;
  if (TestSetPageFlag(head, PG_deferred_split)) return;
  if (compound_order(head) === geom.hpage_pmd_order) count_vm_event(VM_EVENT.thp_deferred_split_page);
}

// ---- Adding -----------------------------------------------------------------------------------------------

/** linear_page_index(). */
export function linear_page_index(vma: Vma, addr: number): number {
  return addr - READ_ONCE(vma + VMA.vm_start) + READ_ONCE(vma + VMA.vm_pgoff);
}
/**
 * __page_set_anon_rmap(), __folio_set_anon(); `addr` is that of the first page. Read: v5.10, v6.1, v6.12,
 * v7.3.
 */
function set_anon_rmap(head: Page, vma: Vma, addr: number): void {
  WRITE_ONCE(page_word(head, PAGE.mapping), READ_ONCE(vma + VMA.anon_vma) | PAGE_MAPPING_ANON);
  WRITE_ONCE(page_word(head, PAGE.index), linear_page_index(vma, addr));
}

/**
 * page_add_new_anon_rmap(), folio_add_new_anon_rmap(): a fresh page, mapped for the first time by one entry
 * of its size. Read: v5.10, v6.1, v6.12, v7.3. Custom: v6.12 and v7.3 set its mapping before the counts,
 * which nobody sees. Stub: VM_DROPPABLE (v6.11).
 */
export function page_add_new_anon_rmap(page: Page, vma: Vma, addr: number): void {
  if (!PageHuge(page)) SetPageFlag(page, PG_swapbacked);
  if (PageHead(page)) {
    WRITE_ONCE(entire_mapcount_ptr(page), 0);
    if (config.largeMapcount) {
      folio_add_large_mapcount(page, 1, READ_ONCE(vma + VMA.vm_mm));
      WRITE_ONCE(nr_pages_mapped_ptr(page), PageHuge(page) ? 0 : ENTIRELY_MAPPED);
    }
  } else WRITE_ONCE(page_word(page, PAGE._mapcount), 0);
  set_anon_rmap(page, vma, addr);
  if (config.anonExclusive) SetPageAnonExclusive(page);
}

/** __folio_add_rmap() for one PTE. Read: v5.10, v6.1, v6.12, v7.3. Custom: several at once are one by one. */
function add_rmap_pte(page: Page, mm: Mm): void {
  const head = compound_head(page);
  const first = atomic_add_return(1, page_word(page, PAGE._mapcount)) === 0;
  if (!config.largeMapcount || !PageHead(head)) return;
  if (first) atomic_add(1, nr_pages_mapped_ptr(head));
  folio_add_large_mapcount(head, 1, mm);
}
/**
 * __folio_add_rmap() for one huge entry; of a hugetlb page hugetlb_add_file_rmap() and its kin. Read: v5.10,
 * v6.1, v6.12, v7.3. Stub: huge page cache, whose pages to v6.1 count a huge entry each.
 */
function add_rmap_pmd(page: Page, mm: Mm): void {
  const head = compound_head(page);
  const first = atomic_add_return(1, entire_mapcount_ptr(head)) === 0;
  if (!config.largeMapcount) return;
  if (first && !PageHuge(head)) atomic_add(ENTIRELY_MAPPED, nr_pages_mapped_ptr(head));
  folio_add_large_mapcount(head, 1, mm);
}
/** One more PTE for a page that is mapped or in the page cache: page_dup_rmap(), page_add_file_rmap(). */
export function page_add_rmap_pte(page: Page, vma: Vma): void {
  add_rmap_pte(page, READ_ONCE(vma + VMA.vm_mm));
  rmap_mlock(page, vma, false);
}
export function page_add_rmap_pmd(page: Page, vma: Vma): void {
  add_rmap_pmd(page, READ_ONCE(vma + VMA.vm_mm));
  rmap_mlock(page, vma, true);
}
/**
 * page_add_anon_rmap(), folio_add_anon_rmap_ptes(): an anonymous page that may have lost all its entries
 * (swap-in, migration). Read: v5.10, v6.1, v6.12, v7.3. Custom: to v6.1 the mapping is set after the count.
 */
export function page_add_anon_rmap(page: Page, vma: Vma, addr: number, exclusive: boolean): void {
  const head = compound_head(page);
  if (!PageAnon(head)) set_anon_rmap(head, vma, addr);
  page_add_rmap_pte(page, vma);
  if (config.anonExclusive && exclusive) SetPageAnonExclusive(page);
}
/**
 * page_move_anon_rmap(), folio_move_anon_rmap(): the page belongs to this area's process alone. Read: v5.10,
 * v6.1, v6.12, v7.3. Stub: the root of the page's anon_vma is kept, which costs the reverse map time only.
 */
export function page_move_anon_rmap(page: Page): void {
  if (config.anonExclusive) SetPageAnonExclusive(page);
}

// ---- Removing ---------------------------------------------------------------------------------------------

/**
 * An entry that maps the page has gone from the area; `last`: it was the page's last of its size. Without an
 * LRU nothing is locked.
 */
function rmap_munlock(page: Page, vma: Vma, compound: boolean, last: boolean): void {
  if (kernel.lru_add === 0) return;
  if (!config.follMlock) munlock_vma_page(page, vma, compound);
  else if (last && PageFlag(compound_head(page), PG_mlocked)) clear_page_mlock(compound_head(page));
}
/** One has been made. */
function rmap_mlock(page: Page, vma: Vma, compound: boolean): void {
  if (kernel.lru_add !== 0 && !config.follMlock) mlock_vma_page(page, vma, compound);
}

/**
 * __folio_remove_rmap() for nr PTEs of consecutive subpages: queued for splitting if some but not all are
 * left. Read: v6.12, v7.3.
 */
function remove_rmap_ptes_large(page: Page, nr: number, head: Page, mm: Mm): void {
  folio_sub_large_mapcount(head, nr, mm);
  let last = 0;
  for (let i = 0; i < nr; i++)
    if (atomic_add_negative(-1, page_word(nth_page(page, i), PAGE._mapcount))) last++;
  if (last === 0 || atomic_add_return(-last, nr_pages_mapped_ptr(head)) >= ENTIRELY_MAPPED) return;
  if (READ_ONCE(nr_pages_mapped_ptr(head)) !== 0 && PageAnon(head)) deferred_split_folio(head);
}
/** folio_remove_rmap_ptes(): nr consecutive PTEs of a large folio at once (v6.9). Read: v6.12, v7.3. */
export function page_remove_rmap_ptes(page: Page, nr: number, vma: Vma): void {
  const head = compound_head(page);
  remove_rmap_ptes_large(page, nr, head, READ_ONCE(vma + VMA.vm_mm));
  rmap_munlock(page, vma, false, false);
}
/**
 * page_remove_rmap(page, false), folio_remove_rmap_pte(). Read: v5.10, v6.1, v6.12, v7.3. Custom: to v5.17 a
 * page that no PTE maps any more is unlocked before it is queued for splitting.
 */
export function page_remove_rmap_pte(page: Page, vma: Vma): void {
  if (kernel.no_huge !== 0) atomic_add_negative(-1, page_word(page, PAGE._mapcount));
  else {
    const head = compound_head(page);
    if (config.largeMapcount && PageHead(head))
      remove_rmap_ptes_large(page, 1, head, READ_ONCE(vma + VMA.vm_mm));
    else if (atomic_add_negative(-1, page_word(page, PAGE._mapcount)) && PageHead(head) && PageAnon(head))
      deferred_split_folio(head);
  }
  if (kernel.lru_add !== 0) rmap_munlock(page, vma, false, READ_ONCE(page_word(page, PAGE._mapcount)) < 0);
}

/** __folio_remove_rmap() for one huge entry. Read: v6.12, v7.3. */
function remove_rmap_pmd_large(head: Page, mm: Mm): void {
  folio_sub_large_mapcount(head, 1, mm);
  if (!atomic_add_negative(-1, entire_mapcount_ptr(head)) || PageHuge(head)) return;
  const mapped = atomic_add_return(-ENTIRELY_MAPPED, nr_pages_mapped_ptr(head));
  // Some but not all of the subpages have PTEs left.
  if (mapped > 0 && mapped < compound_nr(head) && PageAnon(head)) deferred_split_folio(head);
}
/** page_remove_anon_compound_rmap(), to v6.1. Read: v5.10, v6.1. */
function remove_rmap_pmd_double(head: Page): void {
  if (!atomic_add_negative(-1, entire_mapcount_ptr(head)) || PageHuge(head)) return;
  if (!TestClearPageFlag(head, PG_double_map)) return;
  const nr = compound_nr(head);
  let unmapped = 0;
  for (let i = 0; i < nr; i++)
    if (atomic_add_negative(-1, page_word(nth_page(head, i), PAGE._mapcount))) unmapped++;
  if (unmapped !== 0 && unmapped < nr && PageAnon(head)) deferred_split_folio(head);
}
/** page_remove_rmap(page, true), folio_remove_rmap_pmd(). Read: v5.10, v6.1, v6.12, v7.3. */
export function page_remove_rmap_pmd(page: Page, vma: Vma): void {
  const head = compound_head(page);
  if (config.largeMapcount) remove_rmap_pmd_large(head, READ_ONCE(vma + VMA.vm_mm));
  else remove_rmap_pmd_double(head);
  if (kernel.lru_add !== 0) rmap_munlock(head, vma, true, READ_ONCE(entire_mapcount_ptr(head)) < 0);
}

// ---- Splitting a huge entry -------------------------------------------------------------------------------

/**
 * The counts of __split_huge_pmd_locked(): one huge entry becomes a PTE per subpage. Read: v5.10, v6.1,
 * v6.12, v7.3. Custom: the page is unlocked (mlock()) before the counts change; from v6.8 on all PTEs are
 * counted at once.
 */
export function split_pmd_rmap(head: Page, vma: Vma, exclusive: boolean): void {
  // folio_add_anon_rmap_ptes() of all of them.
  if (config.mlockFullyMapped) rmap_mlock(head, vma, true);
  rmap_munlock(head, vma, true, true);
  const nr = compound_nr(head);
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  for (let i = 0; i < nr; i++) {
    const page = nth_page(head, i);
    if (exclusive) SetPageAnonExclusive(page);
    add_rmap_pte(page, mm);
  }
  if (config.largeMapcount) {
    remove_rmap_pmd_large(head, mm);
    return;
  }
  // "Set PG_double_map before dropping compound_mapcount to avoid false-negative page_mapped()."
  if (READ_ONCE(entire_mapcount_ptr(head)) > 0 && !TestSetPageFlag(head, PG_double_map))
    for (let i = 0; i < nr; i++) atomic_add(1, page_word(nth_page(head, i), PAGE._mapcount));
  if (!atomic_add_negative(-1, entire_mapcount_ptr(head))) return;
  if (TestClearPageFlag(head, PG_double_map))
    for (let i = 0; i < nr; i++) atomic_add(-1, page_word(nth_page(head, i), PAGE._mapcount));
}
