/**
 * Locking pages in memory (mm/mlock.c): which pages are PG_mlocked, and with it unevictable. Read in
 * v5.10, v6.1, v6.12, v7.3.
 *
 *   to v5.17   GUP marks what it finds (FOLL_MLOCK), taking it off the LRU and putting it back; the last
 *              entry to go clears the mark (clear_page_mlock()); munlock() looks through the reverse map for
 *              another area that holds the page (try_to_munlock())
 *   v5.18      every entry that maps a page in a locked area counts (folio->mlock_count), as it is made and
 *              removed, through a batch of the CPU's, which holds a reference on each page in it
 *              (2fbb0c10d1e8, cea86fe246b6)
 *   v6.7       of large folios only those that an area maps whole (dc68badcede4)
 *
 * The system calls are in mlock_fixup.ts. Custom: mlock_count has a word of its own (lru_prev in struct
 * page). Not covered: NR_MLOCK.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { localArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { folio_batch_add, LRU_BATCH, LRU_MLOCK, lru_batch, lru_cache_add, page_evictable } from "./lru.ts";
import { isolate_lru_page, putback_lru_page } from "./migrate.ts";
import { VM_LOCKED, VM_SPECIAL, type Vma } from "./mm_types.ts";
import { vma_flags } from "./mmap.ts";
import {
  ClearPageFlag,
  compound_head,
  get_page,
  PAGE,
  type Page,
  PageFlag,
  PageHead,
  PG_lru,
  PG_mlocked,
  PG_unevictable,
  page_word,
  SetPageFlag,
  TestClearPageFlag,
  TestSetPageFlag,
} from "./page.ts";
import { page_mapcount } from "./rmap.ts";
import { RMAP_WALK_SIZE, RW_VMA, rmap_walk_next, rmap_walk_start } from "./rmap_walk.ts";
import { put_page } from "./swap.ts";

/** VM_LOCKED counts, and the area is none of those that mlock() passes over. */
export function vma_mlocks(vma: Vma): boolean {
  return (vma_flags(vma) & (VM_LOCKED | VM_SPECIAL)) === VM_LOCKED;
}

// ---- The batch (v5.18) ------------------------------------------------------------------------------------

// "Flags held in the low bits of a struct page pointer on the mlock_pvec."
const LRU_PAGE = 1;
const NEW_PAGE = 2;
const BATCH_FLAGS = 3;

function mlock_count_ptr(page: Page): number {
  return page_word(page, PAGE.lru_prev);
}
export function set_mlock_count(page: Page, n: number): void {
  WRITE_ONCE(mlock_count_ptr(page), n);
}
function add_mlock_count(page: Page, n: number): void {
  set_mlock_count(page, READ_ONCE(mlock_count_ptr(page)) + n);
}

/** __mlock_page(), __mlock_folio(). */
function __mlock_page(page: Page): void {
  // "There is nothing more we can do while it's off LRU"
  if (!PageFlag(page, PG_lru)) return;
  if (page_evictable(page)) {
    ClearPageFlag(page, PG_unevictable);
    return;
  }
  if (PageFlag(page, PG_unevictable)) {
    add_mlock_count(page, 1);
    return;
  }
  SetPageFlag(page, PG_unevictable);
  set_mlock_count(page, 1);
}
/** __mlock_new_page(), __mlock_new_folio(). */
function __mlock_new_page(page: Page): void {
  if (!page_evictable(page)) {
    SetPageFlag(page, PG_unevictable);
    set_mlock_count(page, 1);
  }
  SetPageFlag(page, PG_lru);
}
/** __munlock_page(), __munlock_folio(). */
function __munlock_page(page: Page): void {
  const isolated = PageFlag(page, PG_lru);
  if (isolated && PageFlag(page, PG_unevictable)) {
    // "Then mlock_count is maintained, but might undercount"
    if (READ_ONCE(mlock_count_ptr(page)) !== 0) add_mlock_count(page, -1);
    if (READ_ONCE(mlock_count_ptr(page)) !== 0) return;
  }
  ClearPageFlag(page, PG_mlocked);
  if (isolated) ClearPageFlag(page, PG_unevictable);
}

/** mlock_drain_local(), mlock_page_drain_local(). */
export function mlock_drain_local(): void {
  const batch = lru_batch(LRU_MLOCK);
  const nr = READ_ONCE(batch + LRU_BATCH.nr);
  WRITE_ONCE(batch + LRU_BATCH.nr, 0);
  for (let i = 0; i < nr; i++) {
    const entry = READ_ONCE(batch + LRU_BATCH.folios + i);
    const page: Page = entry & ~BATCH_FLAGS;
    if ((entry & LRU_PAGE) !== 0) __mlock_page(page);
    else if ((entry & NEW_PAGE) !== 0) __mlock_new_page(page);
    else __munlock_page(page);
    put_page(page);
  }
}
function mlock_batch_add(page: Page, flags: number): void {
  get_page(page);
  if (!folio_batch_add(lru_batch(LRU_MLOCK), page | flags) || PageHead(page)) mlock_drain_local();
}
/** mlock_folio(): one that is on the LRU, or is off it for a while. */
export function mlock_folio(head: Page): void {
  SetPageFlag(head, PG_mlocked);
  mlock_batch_add(head, LRU_PAGE);
}
/** mlock_new_folio(): one that has never been on the LRU. */
export function mlock_new_folio(head: Page): void {
  SetPageFlag(head, PG_mlocked);
  mlock_batch_add(head, NEW_PAGE);
}
/** munlock_folio(). */
export function munlock_folio(head: Page): void {
  mlock_batch_add(head, 0);
}

/** mlock_vma_page(): an entry that maps the page has been made in the area. */
export function mlock_vma_page(page: Page, vma: Vma, compound: boolean): void {
  if (!vma_mlocks(vma)) return;
  const head = compound_head(page);
  // From v6.7: "Only mlock normal 4K folio and leave page reclaim to handle large folio."
  if (PageHead(head) && (!compound || (config.mlockLarge && !config.mlockFullyMapped))) return;
  mlock_folio(head);
}
/** munlock_vma_page(): an entry that maps the page has gone from the area. */
export function munlock_vma_page(page: Page, vma: Vma, compound: boolean): void {
  if ((vma_flags(vma) & VM_LOCKED) === 0) return;
  const head = compound_head(page);
  // From v6.7: "we always munlock the folio and page reclaim will correct it if it's wrong."
  if (PageHead(head) && !compound && !config.mlockLarge) return;
  munlock_folio(head);
}

// ---- To v5.17 ---------------------------------------------------------------------------------------------

/** mlock_vma_page() to v5.17: the page is taken off the LRU and put back. */
export function mlock_page(head: Page): void {
  if (TestSetPageFlag(head, PG_mlocked)) return;
  if (isolate_lru_page(head)) putback_lru_page(head);
}
/** clear_page_mlock(): nothing maps the page any more, or it was split. */
export function clear_page_mlock(head: Page): void {
  if (!TestClearPageFlag(head, PG_mlocked)) return;
  if (isolate_lru_page(head)) putback_lru_page(head);
}
/** try_to_munlock(): another area holds the page locked. */
function try_to_munlock(page: Page): void {
  const walk = localArray(RMAP_WALK_SIZE);
  rmap_walk_start(walk, false);
  while (rmap_walk_next(walk, page)) {
    if ((vma_flags(walk[RW_VMA]) & VM_LOCKED) === 0) continue;
    // "PTE-mapped THP are never mlocked"
    if (!PageHead(page)) SetPageFlag(page, PG_mlocked);
    return;
  }
}
/** munlock_vma_page() to v5.17. */
export function munlock_page(head: Page): void {
  if (!TestClearPageFlag(head, PG_mlocked)) return;
  if (!isolate_lru_page(head)) return;
  if (page_mapcount(head) > 1) try_to_munlock(head);
  putback_lru_page(head);
}

/** lru_cache_add_inactive_or_unevictable(), folio_add_lru_vma(): a new page of the area goes to the LRU. */
export function lru_cache_add_vma(page: Page, vma: Vma): void {
  if (vma_mlocks(vma)) {
    if (!config.follMlock) {
      mlock_new_folio(page);
      return;
    }
    SetPageFlag(page, PG_mlocked);
  }
  lru_cache_add(page);
}
