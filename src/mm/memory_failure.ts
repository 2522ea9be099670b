/**
 * Pages with errors (mm/memory-failure.c). soft_offline_page(): a page that still works is moved away and
 * never used again; one that anybody else holds cannot be moved: -EBUSY. memory_failure(): the page is lost,
 * and entries of its own kind take the place of those that map it, whoever holds it: faults and GUP then
 * report it. madvise_inject_error() asks for both. Read in v5.10, v6.1, v6.12, v7.3.
 *
 * Custom: the rest of a hugetlb page of which one is poisoned is not given to the page allocator; which file
 * of a device a page belongs to is found through the areas that map it. Not covered: swap cache; signals to
 * who maps the page; that a poisoned subpage of zeroes is not read when its huge page is split (v6.18, "mm:
 * prevent poison consumption when splitting THP").
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { EBUSY, EHWPOISON, EIO } from "./errno.ts";
import { delete_from_page_cache } from "./filemap.ts";
import { gup_fast } from "./gup_entry.ts";
import { split_huge_page } from "./huge_memory.ts";
import { dissolve_free_huge_page } from "./hugetlb.ts";
import { lru_add_drain } from "./lru.ts";
import { isolate_lru_page, MIGRATE_OK, migrate_hugetlb, migrate_page, putback_lru_page } from "./migrate.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  AS_DEVDAX,
  AS_FSDAX,
  AS_HUGETLB,
  AS_SHMEM,
  MM,
  type Mm,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  ClearPageFlag,
  compound_head,
  compound_nr,
  get_page,
  is_zone_device_page,
  PAGE,
  type Page,
  PageAnon,
  PageFlag,
  PageHead,
  PageHuge,
  PageKsm,
  PG_hwpoison,
  PG_lru,
  page_count,
  page_ref_add,
  page_to_pfn,
  page_word,
  SetPageFlag,
} from "./page.ts";
import { GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import { set_page_dirty } from "./page_writeback.ts";
import { PTE_LEVEL, pte_dirty, ptep_get_and_clear, SWP_HWPOISON, set_pte_at, swp_entry } from "./pgtable.ts";
import { page_remove_rmap_pmd, page_remove_rmap_pte } from "./rmap.ts";
import {
  RMAP_WALK_SIZE,
  RW_ENTRYP,
  RW_LEVEL,
  RW_VMA,
  rmap_invalidate_end,
  rmap_invalidate_start,
  rmap_walk_next,
  rmap_walk_start,
} from "./rmap_walk.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range } from "./tlb.ts";
import { unmap_mapping_pages } from "./zap.ts";

/** page_handle_poison(): nobody gets the page any more: it keeps one reference for ever. */
function page_handle_poison(page: Page): void {
  SetPageFlag(page, PG_hwpoison);
}
/**
 * The part of a hugetlb page that is poisoned leaves the pool with it (dissolve_free_huge_page(),
 * take_page_off_buddy()).
 */
function poison_free_huge_page(head: Page, page: Page): void {
  dissolve_free_huge_page(head);
  ClearPageFlag(head, PG_hwpoison);
  page_ref_add(page, 1);
  page_handle_poison(page);
}

/** soft_offline_huge_page(), soft_offline_in_use_page() of a hugetlb page. */
function soft_offline_huge_page(head: Page, page: Page): number {
  if (migrate_hugetlb(head, 0) !== MIGRATE_OK) return -EBUSY;
  poison_free_huge_page(head, page);
  return 0;
}
/** soft_offline_in_use_page(): 0, or -EBUSY; -EIO for a device's memory. */
export function soft_offline_page(page: Page): number {
  const head = compound_head(page);
  // "Only online pages can be soft-offlined (esp., not ZONE_DEVICE)."
  if (is_zone_device_page(head)) return -EIO;
  if (PageFlag(page, PG_hwpoison)) return 0;
  lru_add_drain();
  if (PageHuge(head)) return soft_offline_huge_page(head, page);
  if (PageHead(head)) {
    get_page(head);
    if (split_huge_page(page) !== 0) {
      put_page(head);
      return -EBUSY;
    }
  } else get_page(page);
  if (!isolate_lru_page(page)) {
    put_page(page);
    return -EBUSY;
  }
  put_page(page);
  const mapping = READ_ONCE(page_word(page, PAGE.mapping));
  if (migrate_page(page, GFP_HIGHUSER_MOVABLE, -1) !== MIGRATE_OK) {
    putback_lru_page(page);
    return -EBUSY;
  }
  // The kernel leaves the poisoned page's mapping as it was.
  WRITE_ONCE(page_word(page, PAGE.mapping), mapping);
  page_handle_poison(page);
  return 0;
}

/**
 * hwpoison_user_mappings(): try_to_unmap() of a poisoned page, which asks nobody whether it may be pinned.
 */
function hwpoison_user_mappings(page: Page): void {
  const walk = localArray(RMAP_WALK_SIZE);
  let told: Vma = 0;
  rmap_walk_start(walk, false);
  while (rmap_walk_next(walk, page)) {
    const vma: Vma = walk[RW_VMA];
    const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
    told = rmap_invalidate_start(vma, page, told);
    spin_lock(mm + MM.page_table_lock);
    const e = ptep_get_and_clear(walk[RW_ENTRYP]);
    flush_tlb_range();
    if (pte_dirty(e)) set_page_dirty(page);
    set_pte_at(walk[RW_ENTRYP], swp_entry(SWP_HWPOISON, page_to_pfn(page)));
    if (walk[RW_LEVEL] === PTE_LEVEL) page_remove_rmap_pte(page, vma);
    else page_remove_rmap_pmd(page, vma);
    put_page(page);
    spin_unlock(mm + MM.page_table_lock);
  }
  rmap_invalidate_end(told);
}

/** The file on a device that has the frame, through the areas of all processes; 0: nobody maps it. */
function dax_file_of(pfn: number): AddressSpace {
  for (let mm: Mm = READ_ONCE(kernel.mm_list); mm !== 0; mm = READ_ONCE(mm + MM.mm_list))
    for (let vma: Vma = READ_ONCE(mm + MM.mmap); vma !== 0; vma = READ_ONCE(vma + VMA.vm_next)) {
      const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
      if (file === 0) continue;
      const kind = READ_ONCE(file + ADDRESS_SPACE.kind);
      const first = READ_ONCE(file + ADDRESS_SPACE.first_pfn);
      if (kind !== AS_DEVDAX && kind !== AS_FSDAX) continue;
      if (pfn >= first && pfn < first + READ_ONCE(file + ADDRESS_SPACE.i_size)) return file;
    }
  return 0;
}
/**
 * mf_generic_kill_procs() (v6.0), memory_failure_dev_pagemap(): what maps it is unmapped, and can be again.
 */
function memory_failure_dev_pagemap(page: Page): number {
  SetPageFlag(compound_head(page), PG_hwpoison);
  const pfn = page_to_pfn(page);
  const file = dax_file_of(pfn);
  if (file === 0) return 0;
  const nr = 1 << READ_ONCE(file + ADDRESS_SPACE.align);
  const index = pfn - READ_ONCE(file + ADDRESS_SPACE.first_pfn);
  unmap_mapping_pages(file, index - (index & (nr - 1)), nr, false);
  return 0;
}

/** try_memory_failure_hugetlb(), me_huge_page(). */
function memory_failure_hugetlb(head: Page, page: Page): number {
  SetPageFlag(head, PG_hwpoison);
  hwpoison_user_mappings(head);
  const mapping = PageAnon(head) ? 0 : READ_ONCE(page_word(head, PAGE.mapping));
  if (mapping !== 0) {
    const cached = config.largeMapcount ? compound_nr(head) : 1;
    return config.poisonHeldFails && page_count(head) - 1 > cached ? -EBUSY : 0;
  }
  put_page(head);
  if (page_count(head) > 0) return config.poisonHeldFails ? -EBUSY : 0;
  poison_free_huge_page(head, page);
  return 0;
}

/**
 * truncate_error_page(): the file loses the page; but shmem keeps it, so that nobody reads zeroes instead.
 */
function truncate_error_page(page: Page): number {
  const mapping: AddressSpace = READ_ONCE(page_word(page, PAGE.mapping));
  if (mapping === 0) return 0;
  const kind = READ_ONCE(mapping + ADDRESS_SPACE.kind);
  if ((kind === AS_SHMEM && config.poisonShmemStays) || kind === AS_HUGETLB) return 1;
  delete_from_page_cache(mapping, READ_ONCE(page_word(page, PAGE.index)), page);
  return 0;
}

/**
 * memory_failure() of a page that is mapped: 0, or -EBUSY if it is part of a huge page that somebody holds
 * (-EHWPOISON from v6.11), which stays as it is, or if somebody still holds the page ("still referenced by
 * ... users"), whose entries are gone all the same; -EHWPOISON if it was poisoned before. The page keeps a
 * reference for ever.
 */
export function memory_failure(page: Page): number {
  lru_add_drain();
  const head = compound_head(page);
  if (is_zone_device_page(head)) return memory_failure_dev_pagemap(page);
  // Reserved for the kernel: the zero pages (me_kernel()).
  if (!PageHuge(head) && !PageAnon(head) && READ_ONCE(page_word(head, PAGE.mapping)) === 0) return -EBUSY;
  if (PageFlag(PageHuge(head) ? head : page, PG_hwpoison)) return config.poisonHeldAnon ? -EHWPOISON : 0;
  get_page(head);
  if (PageHuge(head)) return memory_failure_hugetlb(head, page);
  SetPageFlag(page, PG_hwpoison);
  if (PageHead(head) && split_huge_page(page) !== 0) {
    put_page(head);
    return config.poisonUnsplit ? -EHWPOISON : -EBUSY;
  }
  SetPageFlag(page, PG_hwpoison);
  // "can't handle KSM pages"
  if (kernel.ksm !== 0 && PageKsm(page) && !config.poisonKsm) return -EBUSY;
  hwpoison_user_mappings(page);
  ClearPageFlag(page, PG_lru);
  // me_pagecache_clean()
  if (PageAnon(page) && config.poisonHeldAnon) return 0;
  const cached = PageAnon(page) ? 0 : truncate_error_page(page);
  return page_count(page) - 1 - cached > 0 ? -EBUSY : 0;
}

/**
 * * madvise_inject_error(): soft_offline_page() or memory_failure() of each page of a range, which is faulted
 * in for it; 0 or the error. mmap_lock is not held.
 */
export function madvise_inject_error(mm: Mm, start: number, len: number, soft: boolean): number {
  const pages = localArray(1);
  let size = 1;
  for (let addr = start; addr < start + len; addr += size) {
    const got = gup_fast(mm, addr, 1, 0, pages, false);
    if (got !== 1) return got;
    const page = pages[0];
    const head = compound_head(page);
    // "When soft offlining hugepages, after migrating the page we dissolve it, so keep its size before."
    const nr = compound_nr(head);
    size = nr - ((page_to_pfn(page) - page_to_pfn(head)) & (nr - 1));
    put_page(page);
    const error = soft ? soft_offline_page(page) : memory_failure(page);
    if (error !== 0) return error;
  }
  return 0;
}
