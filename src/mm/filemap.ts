/**
 * The page cache of regular files and of shmem (mm/filemap.c, mm/shmem.c, mm/truncate.c): looking a page up,
 * making one, taking all away when the file goes. A page in the cache has one reference for that, and one
 * more if the file system keeps buffers at page->private (ext4). Shmem pages can be swapped out: their place
 * then holds the slot.
 *
 * Custom: the cache is an array of words indexed by page number, as large as the file; a file's blocks always
 * exist and read as zero (a regular file), so no I/O is modelled. Not covered: huge page cache, readahead,
 * locking of pages.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { kfree, kzalloc, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { unpin_user_page } from "./gup.ts";
import { lru_cache_add } from "./lru.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  AS_HUGETLB,
  AS_REGULAR,
  AS_SECRETMEM,
  AS_SHMEM,
  AS_UDMABUF,
} from "./mm_types.ts";
import {
  ClearPageFlag,
  compound_head,
  compound_nr,
  PAGE,
  type Page,
  PageFlag,
  PG_dirty,
  PG_hugetlb,
  PG_private,
  PG_swapbacked,
  PG_uptodate,
  page_address,
  page_ref_add,
  page_word,
  SetPageFlag,
  SetPageUptodate,
} from "./page.ts";
import { alloc_pages, GFP_USER } from "./page_alloc.ts";
import { put_page, put_page_refs } from "./swap.ts";
import {
  delete_from_swap_cache,
  free_swap_and_cache,
  lookup_swap_cache,
  swap_cluster_readahead,
  swap_free,
  swap_readpage,
} from "./swap_state.ts";

/** Pools of kzalloc(). */
export const POOL_ADDRESS_SPACE = 34;
export const POOL_I_PAGES = 35;
/** Pages of the largest file that has an array of its own from the pool. */
export const I_PAGES_MAX = 8192;

/** Word of the file's array for a page. */
export function i_pages_slot(mapping: AddressSpace, index: number): number {
  return READ_ONCE(mapping + ADDRESS_SPACE.i_pages) + index;
}
/**
 * find_get_page() without the reference: the page in the cache, or 0 if there is none or it is swapped out.
 */
export function find_page(mapping: AddressSpace, index: number): Page {
  if (index < 0 || index >= READ_ONCE(mapping + ADDRESS_SPACE.i_size)) return 0;
  const entry = READ_ONCE(i_pages_slot(mapping, index));
  return (entry & 1) !== 0 ? 0 : entry;
}

/** add_to_page_cache() of a new page, with the cache's references; the LRU is the caller's. */
function __add_to_page_cache(mapping: AddressSpace, index: number, page: Page): void {
  WRITE_ONCE(page_word(page, PAGE.mapping), mapping);
  WRITE_ONCE(page_word(page, PAGE.index), index);
  SetPageUptodate(page);
  let refs = 1;
  const kind = READ_ONCE(mapping + ADDRESS_SPACE.kind);
  if (kind === AS_SHMEM) SetPageFlag(page, PG_swapbacked);
  if (kind === AS_REGULAR) {
    SetPageFlag(page, PG_private);
    refs = 2;
  }
  page_ref_add(page, refs);
  WRITE_ONCE(i_pages_slot(mapping, index), page);
}
/** add_to_page_cache_lru(). */
function add_to_page_cache(mapping: AddressSpace, index: number, page: Page): void {
  __add_to_page_cache(mapping, index, page);
  lru_cache_add(page);
}

/** Pages that a fault on a file reads around the one it needs (VM_READAHEAD_PAGES, 128 KiB). */
const READAHEAD_PAGES = 32;

/** do_sync_mmap_readahead(): the pages around `index` that are not in the cache are read into it. */
function mmap_readahead(mapping: AddressSpace, index: number, gfp: number): void {
  const size = READ_ONCE(mapping + ADDRESS_SPACE.i_size);
  let first = index - (READAHEAD_PAGES >> 1);
  if (first < 0) first = 0;
  for (let i = first; i < first + READAHEAD_PAGES && i < size; i++) {
    if (i === index || READ_ONCE(i_pages_slot(mapping, i)) !== 0) continue;
    const page = alloc_pages(gfp, 0, -1);
    if (page === 0) return;
    add_to_page_cache(mapping, i, page);
    put_page(page);
  }
}

/**
 * shmem_swapin_page(): the page at `index`, whose place names a slot, moves from the swap cache, read into it
 * if need be, to the page cache. With a reference for the caller; -1 if memory is out.
 */
function shmem_swapin_page(mapping: AddressSpace, index: number, slot: number, gfp: number): Page {
  const cached = lookup_swap_cache(slot, 0, 0);
  if (!config.shmemSwapReadahead && cached === 0) {
    const page = alloc_pages(gfp, 0, -1);
    if (page === 0) return -1;
    swap_readpage(page, slot);
    swap_free(slot);
    SetPageFlag(page, PG_dirty);
    add_to_page_cache(mapping, index, page);
    return page;
  }
  let page = cached;
  if (page !== 0) page_ref_add(page, 1);
  else page = swap_cluster_readahead(slot, gfp);
  if (page === 0) return -1;
  delete_from_swap_cache(page);
  __add_to_page_cache(mapping, index, page);
  SetPageFlag(page, PG_dirty);
  swap_free(slot);
  return page;
}

/**
 * shmem_getpage(), filemap_fault(): the page at `index` with a reference for the caller, made or swapped in
 * if need be. 0 behind the file's end, -1 if memory is out.
 */
export function filemap_get_page(mapping: AddressSpace, index: number, gfp: number): Page {
  if (index < 0 || index >= READ_ONCE(mapping + ADDRESS_SPACE.i_size)) return 0;
  const entry = READ_ONCE(i_pages_slot(mapping, index));
  if (entry !== 0 && (entry & 1) === 0) {
    page_ref_add(compound_head(entry), 1);
    return entry;
  }
  if ((entry & 1) !== 0) return shmem_swapin_page(mapping, index, entry >> 1, gfp);
  const kind = READ_ONCE(mapping + ADDRESS_SPACE.kind);
  if (kind === AS_REGULAR) mmap_readahead(mapping, index, gfp);
  // secretmem_file_create(): mapping_set_gfp_mask(GFP_HIGHUSER), since the pages cannot be moved.
  const page = alloc_pages(kind === AS_SECRETMEM ? GFP_USER : gfp, 0, -1);
  if (page === 0) return -1;
  add_to_page_cache(mapping, index, page);
  return page;
}

/** delete_from_page_cache() and what goes with it: buffers, dirty state, the cache's reference. */
export function delete_from_page_cache(mapping: AddressSpace, index: number, page: Page): void {
  WRITE_ONCE(i_pages_slot(mapping, index), 0);
  ClearPageFlag(page, PG_dirty);
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  if (PageFlag(page, PG_hugetlb)) {
    ClearPageFlag(page, PG_uptodate);
    // As many as hugetlb_no_page() added.
    put_page_refs(page, config.largeMapcount ? compound_nr(page) : 1);
    return;
  }
  if (PageFlag(page, PG_private)) {
    ClearPageFlag(page, PG_private);
    put_page(page);
  }
  put_page(page);
}

/** truncate_inode_pages_range(): pages first .. first + nr - 1 leave the cache. Their mappings are gone. */
export function truncate_inode_pages(mapping: AddressSpace, first: number, nr: number): void {
  for (let index = first; index < first + nr; index++) {
    const entry = READ_ONCE(i_pages_slot(mapping, index));
    if (entry === 0) continue;
    if ((entry & 1) !== 0) {
      WRITE_ONCE(i_pages_slot(mapping, index), 0);
      free_swap_and_cache(entry >> 1);
    } else delete_from_page_cache(mapping, index, entry);
  }
}

/** A new file without a name, of `size` pages, or 0. */
function anon_file_setup(kind: number, size: number): AddressSpace {
  if (size > I_PAGES_MAX) return 0;
  const mapping: AddressSpace = kzalloc(POOL_ADDRESS_SPACE);
  if (mapping === 0) return 0;
  const pages = kzalloc(POOL_I_PAGES);
  if (pages === 0) {
    kfree(mapping);
    return 0;
  }
  WRITE_ONCE(mapping + ADDRESS_SPACE.kind, kind);
  WRITE_ONCE(mapping + ADDRESS_SPACE.i_size, size);
  WRITE_ONCE(mapping + ADDRESS_SPACE.i_pages, pages);
  return mapping;
}
/** A new file of hugetlb pages (hugetlb_file_setup(), memfd_create(MFD_HUGETLB)); `size`: in small pages. */
export function hugetlb_file_setup(size: number): AddressSpace {
  return anon_file_setup(AS_HUGETLB, size);
}
/** A new shmem file of `size` pages, or 0 (shmem_file_setup(), memfd_create()). */
export function shmem_file_setup(size: number): AddressSpace {
  return anon_file_setup(AS_SHMEM, size);
}
/**
 * memfd_secret() (mm/secretmem.c, v5.14) with ftruncate(): a file of `size` pages that only its mappings
 * show, or 0. Not covered: the kernel's own mapping of the pages, which is removed, and their refusal to
 * migrate.
 */
export function secretmem_file_create(size: number): AddressSpace {
  return config.secretmem === 0 || kernel.secretmem === 0 ? 0 : anon_file_setup(AS_SECRETMEM, size);
}
/** A DMA buffer of `size` pages, which the caller puts into its array; or 0. */
export function udmabuf_file_setup(size: number): AddressSpace {
  return anon_file_setup(AS_UDMABUF, size);
}
/** udmabuf's release(): one pin on each folio goes. */
function release_udmabuf(buffer: AddressSpace): void {
  let last: Page = 0;
  for (let i = 0; i < READ_ONCE(buffer + ADDRESS_SPACE.i_size); i++) {
    const slot = i_pages_slot(buffer, i);
    const head = compound_head(READ_ONCE(slot));
    if (head !== last) unpin_user_page(head);
    last = head;
    WRITE_ONCE(slot, 0);
  }
}
/** The last area of the file is gone: a file without a name goes with it (iput(), evict()). */
export function file_put(mapping: AddressSpace): void {
  const kind = READ_ONCE(mapping + ADDRESS_SPACE.kind);
  if (READ_ONCE(mapping + ADDRESS_SPACE.nr_users) !== 0) return;
  if (kind === AS_UDMABUF) release_udmabuf(mapping);
  else if (kind !== AS_SHMEM && kind !== AS_SECRETMEM && kind !== AS_HUGETLB) return;
  truncate_inode_pages(mapping, 0, READ_ONCE(mapping + ADDRESS_SPACE.i_size));
  kfree(READ_ONCE(mapping + ADDRESS_SPACE.i_pages));
  kfree(mapping);
}

/** Copies a page's contents (copy_highpage()). */
export function copy_highpage(to: Page, from: Page): void {
  for (let w = 0; w < geom.page_words; w++)
    WRITE_ONCE(page_address(to) + w, READ_ONCE(page_address(from) + w));
}
