/**
 * * Reclaim of pages that were taken off the LRU for it (mm/vmscan.c: reclaim_pages(), shrink_folio_list()),
 * as MADV_PAGEOUT asks for it: anonymous pages go to swap, shmem pages too if they are dirty, clean pages of
 * files and lazily freed ones are dropped. A page that may be pinned, or that anybody else holds, stays in
 * memory (feb889fb40fa); one with other references may lose its entries before that is found out. Read in
 * v5.10, v6.1, v6.12 and v7.3.
 *
 * Custom: no writeback in flight, no accessed bits. Not covered: demotion, memory cgroups.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { type LocalArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { i_pages_slot } from "./filemap.ts";
import { can_split_huge_page } from "./huge_memory.ts";
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
  PG_mlocked,
  PG_private,
  PG_swapbacked,
  PG_swapcache,
  page_maybe_dma_pinned,
  page_ref_count,
  page_word,
} from "./page.ts";
import { page_mapped } from "./rmap.ts";
import { put_page, put_page_refs } from "./swap.ts";
import {
  add_to_swap,
  delete_from_swap_cache,
  page_swap_slot,
  swap_duplicate,
  swap_writepage,
} from "./swap_state.ts";
import { try_to_unmap } from "./try_to_unmap.ts";

/**
 * is_page_cache_freeable(): who isolated it, the cache, and buffers hold the unmapped page, and nobody else.
 */
function is_page_cache_freeable(head: Page): boolean {
  const buffers = PageFlag(head, PG_private) ? 1 : 0;
  return page_ref_count(head) - buffers === 1 + compound_nr(head);
}
/** __remove_mapping() of a page of a file: it leaves the page cache if nobody holds it. */
function remove_mapping(head: Page): boolean {
  if (page_ref_count(head) !== 1 + compound_nr(head) || PageDirty(head)) return false;
  if (PageFlag(head, PG_swapcache)) {
    delete_from_swap_cache(head);
    return true;
  }
  const mapping = READ_ONCE(page_word(head, PAGE.mapping));
  WRITE_ONCE(i_pages_slot(mapping, READ_ONCE(page_word(head, PAGE.index))), 0);
  WRITE_ONCE(page_word(head, PAGE.mapping), 0);
  put_page_refs(head, compound_nr(head));
  return true;
}

/**
 * shmem_writepage(), shmem_writeout(): the page's place in its file becomes a swap slot; false if none is
 * free.
 */
function shmem_writepage(page: Page): boolean {
  const mapping = READ_ONCE(page_word(page, PAGE.mapping));
  const index = READ_ONCE(page_word(page, PAGE.index));
  if (!add_to_swap(page)) return false;
  const slot = page_swap_slot(page);
  swap_duplicate(slot);
  WRITE_ONCE(i_pages_slot(mapping, index), slot * 2 + 1);
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  put_page(page);
  swap_writepage(page);
  return true;
}
/** pageout(): writes a dirty page; false if it stays. */
function pageout(head: Page): boolean {
  if (!is_page_cache_freeable(head)) return false;
  if (PageFlag(head, PG_swapcache)) swap_writepage(head);
  // "Only kswapd can writeback filesystem folios".
  else if (!PageFlag(head, PG_swapbacked) || !shmem_writepage(head)) return false;
  return !PageDirty(head);
}

/** The part of shrink_folio_list() that gives an anonymous page a place in swap; false if it must stay. */
function may_go_to_swap(head: Page): boolean {
  if (!PageAnon(head) || !PageFlag(head, PG_swapbacked) || PageFlag(head, PG_swapcache)) return true;
  if (config.swapSkipsPinned && page_maybe_dma_pinned(head)) return false;
  if (PageHead(head) && !can_split_huge_page(head)) return false;
  return add_to_swap(head);
}
/** shrink_folio_list() for one folio on which the caller has the isolation's reference; true if it went. */
function shrink_folio(head: Page): boolean {
  if (PageFlag(head, PG_mlocked)) return false;
  if (!may_go_to_swap(head)) return false;
  if (page_mapped(head) && !try_to_unmap(head)) return false;
  // "Folio is unmapped now so it cannot be newly pinned anymore."
  if (config.reclaimSkipsPinned && page_maybe_dma_pinned(head)) return false;
  const lazyfree = PageAnon(head) && !PageFlag(head, PG_swapbacked);
  if (PageDirty(head) && !pageout(head)) return false;
  if (PageFlag(head, PG_private)) {
    // try_to_release_page(): the buffers of a clean page.
    if (PageDirty(head)) return false;
    ClearPageFlag(head, PG_private);
    put_page(head);
  }
  return lazyfree ? page_ref_count(head) === 1 : remove_mapping(head);
}

/** reclaim_pages(): `nr` folios that the caller has taken off the LRU, each with a reference. */
export function reclaim_pages(list: LocalArray, nr: number): void {
  for (let i = 0; i < nr; i++) {
    const head: Page = list[i];
    if (shrink_folio(head)) put_page(head);
    else putback_lru_page(head);
  }
}
