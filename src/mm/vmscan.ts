/**
 * Reclaim of pages that were taken off the LRU for it (mm/vmscan.c: reclaim_pages(), shrink_folio_list()),
 * as MADV_PAGEOUT asks for it: anonymous pages go to swap, shmem pages too if they are dirty, clean pages of
 * files and lazily freed ones are dropped. A page that may be pinned, or that anybody else holds, stays in
 * memory (feb889fb40fa); one with other references may lose its entries before that is found out. Read in
 * v5.10, v6.1, v6.12 and v7.3.
 *
 * Custom: no writeback in flight, no accessed bits, no page locks: two who reclaim the same page at once, or
 * reclaim it while it is migrated, do not exclude each other. Not covered: demotion, memory cgroups.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { type LocalArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { i_pages_slot } from "./filemap.ts";
import { can_split_huge_page } from "./huge_memory.ts";
import { page_evictable } from "./lru.ts";
import { putback_lru_page } from "./migrate.ts";
import {
  ClearPageFlag,
  compound_nr,
  PAGE,
  type Page,
  PageAnon,
  PageDirty,
  PageFlag,
  PageHead,
  PG_dirty,
  PG_private,
  PG_swapbacked,
  PG_swapcache,
  page_maybe_dma_pinned,
  page_ref_count,
  page_ref_freeze,
  page_ref_unfreeze,
  page_word,
  SetPageFlag,
  TestClearPageFlag,
} from "./page.ts";
import { page_mapped } from "./rmap.ts";
import { __put_page, put_page } from "./swap.ts";
import {
  __delete_from_swap_cache,
  add_to_swap,
  folio_alloc_swap,
  page_swap_slot,
  swap_duplicate,
  swap_writepage,
} from "./swap_state.ts";
import { try_to_unmap } from "./try_to_unmap.ts";

/**
 * is_page_cache_freeable(): who isolated it, the cache, and buffers hold the unmapped page, and nobody else.
 * Read: v5.10, v6.1, v6.12, v7.3. Custom: v7.3 has no buffers here, since it writes no file's pages.
 */
function is_page_cache_freeable(head: Page): boolean {
  const buffers = PageFlag(head, PG_private) ? 1 : 0;
  return page_ref_count(head) - buffers === 1 + compound_nr(head);
}
/**
 * __remove_mapping(): the page leaves the page cache or the swap cache if nobody else holds it and nobody has
 * dirtied it; its count is 0 then, so that who looks it up gets no reference. The count is looked at before
 * the flag: who holds a page marks it dirty and then lets it go. Read: v5.10, v6.1, v6.12, v7.3. Custom: the
 * cache is an array that nobody locks. Stub: no shadow of what was evicted.
 */
function __remove_mapping(head: Page): boolean {
  const mapping = READ_ONCE(page_word(head, PAGE.mapping));
  if (!PageFlag(head, PG_swapcache) && mapping === 0) return false;
  const refcount = 1 + compound_nr(head);
  if (!page_ref_freeze(head, refcount)) return false;
  if (PageDirty(head)) {
    page_ref_unfreeze(head, refcount);
    return false;
  }
  if (PageFlag(head, PG_swapcache)) {
    __delete_from_swap_cache(head);
    return true;
  }
  WRITE_ONCE(i_pages_slot(mapping, READ_ONCE(page_word(head, PAGE.index))), 0);
  WRITE_ONCE(page_word(head, PAGE.mapping), 0);
  return true;
}
/** The same of a lazily freed page, which is in neither. Read: v5.10, v6.1, v6.12, v7.3. */
function discard_lazyfree(head: Page): boolean {
  // "follow __remove_mapping for reference"
  if (!page_ref_freeze(head, 1)) return false;
  if (!PageDirty(head)) return true;
  page_ref_unfreeze(head, 1);
  return false;
}

/**
 * shmem_writepage(), shmem_writeout(): the page's place in its file becomes a swap slot; false if none is
 * free. Read: v5.10, v6.1, v6.12, v7.3. Stub: locked segments, pages that fallocate() made.
 */
function shmem_writepage(page: Page): boolean {
  const mapping = READ_ONCE(page_word(page, PAGE.mapping));
  const index = READ_ONCE(page_word(page, PAGE.index));
  if (!folio_alloc_swap(page)) {
    SetPageFlag(page, PG_dirty);
    return false;
  }
  const slot = page_swap_slot(page);
  swap_duplicate(slot);
  WRITE_ONCE(i_pages_slot(mapping, index), slot * 2 + 1);
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  put_page(page);
  swap_writepage(page);
  return true;
}
/**
 * pageout(): writes a dirty page, which is clean before that begins: who dirties it meanwhile is not
 * forgotten. False if it stays. Read: v5.10, v6.1, v6.12, v7.3. Stub: pages without a mapping whose buffers
 * are clean.
 */
function pageout(head: Page): boolean {
  if (!is_page_cache_freeable(head)) return false;
  // clear_page_dirty_for_io(): none of the two kinds counts dirty pages, so nobody write-protects them.
  if (!TestClearPageFlag(head, PG_dirty)) return true;
  if (PageFlag(head, PG_swapcache)) swap_writepage(head);
  else if (!shmem_writepage(head)) return false;
  // "A synchronous write - probably a ramdisk. Go ahead and try to reclaim the page."
  return !PageDirty(head);
}

/**
 * The part of shrink_folio_list() that gives an anonymous page a place in swap; false if it must stay. Read:
 * v5.10, v6.1, v6.12, v7.3. Stub: a large page is not split, neither because it is mapped in part nor because
 * the device has no run of slots for it.
 */
function may_go_to_swap(head: Page): boolean {
  if (!PageAnon(head) || !PageFlag(head, PG_swapbacked) || PageFlag(head, PG_swapcache)) return true;
  if (config.swapSkipsPinned && page_maybe_dma_pinned(head)) return false;
  if (PageHead(head) && !can_split_huge_page(head)) return false;
  return add_to_swap(head);
}
/**
 * shrink_folio_list() for one folio on which the caller has the isolation's reference; true if it went: its
 * count is 0. Read: v5.10, v6.1, v6.12, v7.3. Custom: no page locks. Stub: pages with poison, which go back
 * (v6.12: they are unmapped and let go); the swap of a page that is locked or of a device that is half full
 * is not given up if the page stays.
 */
function shrink_folio(head: Page): boolean {
  if (!page_evictable(head)) return false;
  if (!may_go_to_swap(head)) return false;
  if (page_mapped(head) && !try_to_unmap(head)) return false;
  // "Folio is unmapped now so it cannot be newly pinned anymore."
  if (config.reclaimSkipsPinned && page_maybe_dma_pinned(head)) return false;
  if (PageDirty(head)) {
    // "Only kswapd can writeback filesystem folios"; what was lazily freed and is dirty counts as one.
    if (!PageFlag(head, PG_swapbacked)) return false;
    if (!pageout(head)) return false;
  }
  if (PageFlag(head, PG_private)) {
    // try_to_release_page(): the buffers of a clean page.
    ClearPageFlag(head, PG_private);
    put_page(head);
  }
  return PageAnon(head) && !PageFlag(head, PG_swapbacked) ? discard_lazyfree(head) : __remove_mapping(head);
}

/**
 * reclaim_pages(): `nr` folios that the caller has taken off the LRU, each with a reference. Read: v5.10,
 * v6.1, v6.12, v7.3. Custom: what went is freed at once, not when the list is through.
 */
export function reclaim_pages(list: LocalArray, nr: number): void {
  for (let i = 0; i < nr; i++) {
    const head: Page = list[i];
    if (shrink_folio(head)) __put_page(head);
    else putback_lru_page(head);
  }
}
