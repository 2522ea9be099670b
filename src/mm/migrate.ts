/**
 * Page migration (mm/migrate.c): one page to a new one, for move_pages(), long-term pins, soft offlining and
 * memory offlining. The page's entries are replaced, its references compared with what is expected, its
 * contents and state copied, and the entries restored on the new page, or on the old one if somebody else
 * holds a reference (-EAGAIN).
 *
 * Custom: the new page is allocated here; batches, retries and page locks are left out: a reference that is
 * not expected stays, since nothing else runs.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { copy_highpage, i_pages_slot } from "./filemap.ts";
import { alloc_hugepage } from "./huge_memory.ts";
import { hugetlb_alloc_fresh, hugetlb_alloc_pooled, hugetlb_make_temporary } from "./hugetlb.ts";
import { ksm_migrate_page } from "./ksm_types.ts";
import { lru_add_drain, lru_cache_add } from "./lru.ts";
import { remove_migration_ptes, try_to_migrate } from "./migrate_entries.ts";
import { ADDRESS_SPACE, type AddressSpace, AS_SECRETMEM } from "./mm_types.ts";
import {
  ClearPageFlag,
  compound_nr,
  nth_page,
  PAGE,
  type Page,
  PageAnon,
  PageFlag,
  PageHead,
  PageHuge,
  PageUptodate,
  PG_dirty,
  PG_lru,
  PG_private,
  PG_swapbacked,
  PG_swapcache,
  page_count,
  page_ref_add,
  page_ref_freeze,
  page_ref_sub,
  page_ref_unfreeze,
  page_word,
  SetPageFlag,
  SetPageUptodate,
  TestClearPageFlag,
} from "./page.ts";
import { alloc_pages, GFP_HIGHUSER_MOVABLE, GFP_NOCMA, GFP_USER } from "./page_alloc.ts";
import { cache_refs, folio_expected_ref_count, page_mapped } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { swap_cache_replace } from "./swap_state.ts";
import { count_vm_event, count_vm_events, VM_EVENT } from "./vmstat.ts";

export const MIGRATE_OK = 0;
export const MIGRATE_EAGAIN = -11;
export const MIGRATE_ENOMEM = -12;

function is_secretmem(page: Page): boolean {
  if (PageAnon(page)) return false;
  const mapping: AddressSpace = READ_ONCE(page_word(page, PAGE.mapping));
  return mapping !== 0 && READ_ONCE(mapping + ADDRESS_SPACE.kind) === AS_SECRETMEM;
}

function copy_flag(to: Page, from: Page, nr: number): void {
  if (PageFlag(from, nr)) SetPageFlag(to, nr);
}
/**
 * migrate_page_move_mapping(), folio_migrate_mapping(): the new page takes the old one's place in the page
 * cache or the swap cache; false if somebody else holds the old one, whose references are `expected`. Its
 * count is 0 meanwhile: who looks it up there gets no reference. Read: v5.10, v6.1, v6.12, v7.3. Custom: the
 * caches are arrays that nobody locks; of hugetlb (migrate_huge_page_move_mapping()) the same.
 */
function folio_migrate_mapping(fresh: Page, page: Page, expected: number): boolean {
  const mapping: AddressSpace = READ_ONCE(page_word(page, PAGE.mapping));
  const index = READ_ONCE(page_word(page, PAGE.index));
  const swapcache = PageFlag(page, PG_swapcache);
  if (!swapcache && (PageAnon(page) || mapping === 0)) {
    // "Anonymous page without mapping"
    if (page_count(page) !== expected) return false;
    WRITE_ONCE(page_word(fresh, PAGE.index), index);
    WRITE_ONCE(page_word(fresh, PAGE.mapping), mapping);
    copy_flag(fresh, page, PG_swapbacked);
    return true;
  }
  if (!page_ref_freeze(page, expected)) return false;
  WRITE_ONCE(page_word(fresh, PAGE.index), index);
  WRITE_ONCE(page_word(fresh, PAGE.mapping), mapping);
  const refs = swapcache ? compound_nr(page) : cache_refs(page);
  page_ref_add(fresh, refs);
  copy_flag(fresh, page, PG_swapbacked);
  // "Move dirty while folio refs frozen and newfolio not yet exposed"
  if (TestClearPageFlag(page, PG_dirty)) SetPageFlag(fresh, PG_dirty);
  if (swapcache) swap_cache_replace(fresh, page);
  else WRITE_ONCE(i_pages_slot(mapping, PageHuge(page) ? index >> geom.pmd_shift : index), fresh);
  page_ref_unfreeze(page, expected - refs);
  return true;
}
/**
 * migrate_page_states(), folio_migrate_flags(). Read: v5.10, v6.1, v6.12, v7.3. Stub: what tells a page's
 * age.
 */
function folio_migrate_flags(fresh: Page, page: Page): void {
  if (PageUptodate(page)) SetPageUptodate(fresh);
  copy_flag(fresh, page, PG_dirty);
  if (kernel.ksm !== 0) ksm_migrate_page(fresh);
  if (!PageFlag(page, PG_swapcache)) return;
  ClearPageFlag(page, PG_swapcache);
  WRITE_ONCE(page_word(page, PAGE.private), 0);
}
/**
 * migrate_page(), buffer_migrate_page(), and their folios' (move_to_new_page()): contents, place and flags of
 * a page that no entry maps; false if somebody else holds it. `expected`: its references. Read: v5.10, v6.1,
 * v6.12, v7.3. Custom: contents are copied first, as from v6.11 on.
 */
export function move_to_new_page(fresh: Page, page: Page, expected: number): boolean {
  const nr = compound_nr(page);
  if (page_count(page) !== expected) return false;
  for (let i = 0; i < nr; i++) copy_highpage(nth_page(fresh, i), nth_page(page, i));
  if (!folio_migrate_mapping(fresh, page, expected)) return false;
  if (PageFlag(page, PG_private)) {
    // attach_page_private(newpage, detach_page_private(page))
    ClearPageFlag(page, PG_private);
    page_ref_sub(page, 1);
    page_ref_add(fresh, 1);
    SetPageFlag(fresh, PG_private);
  }
  folio_migrate_flags(fresh, page);
  return true;
}

/**
 * unmap_and_move(): the caller holds one reference, and the page is off the LRU. `lru`: the new one goes
 * there.
 */
function unmap_and_move(page: Page, fresh: Page, lru: boolean): number {
  // secretmem_migrate_folio(), secretmem_isolate_page(): never.
  if (kernel.secretmem !== 0 && is_secretmem(page)) return MIGRATE_EAGAIN;
  const unmapped = try_to_migrate(page, false);
  // The caller's reference, too.
  const moved =
    unmapped && !page_mapped(page) && move_to_new_page(fresh, page, folio_expected_ref_count(page) + 1);
  if (!moved) {
    remove_migration_ptes(page, page, false);
    return MIGRATE_EAGAIN;
  }
  // "push dst to LRU immediately: so that ... remove_migration_ptes() will automatically build up the correct
  // dst->mlock_count"
  if (lru) {
    lru_cache_add(fresh);
    lru_add_drain();
  }
  remove_migration_ptes(page, fresh, false);
  // "The page is off the file or anonymous memory": it is freed as a page of nobody's.
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  return MIGRATE_OK;
}

/** migrate_pages() of one page to a node (-1: any) with `gfp`. Counts pgmigrate_*. */
export function migrate_page(page: Page, gfp: number, nid: number): number {
  const large = PageHead(page);
  const nr = compound_nr(page);
  const fresh = large ? alloc_hugepage(gfp, nid) : alloc_pages(gfp, 0, nid);
  if (fresh === 0) {
    count_vm_events(VM_EVENT.pgmigrate_fail, nr);
    return MIGRATE_ENOMEM;
  }
  const ret = unmap_and_move(page, fresh, true);
  // The new page's first reference is the caller's of the kernel; the old page is the caller's here.
  put_page(fresh);
  if (ret === MIGRATE_OK) {
    count_vm_events(VM_EVENT.pgmigrate_success, nr);
    if (large) count_vm_event(VM_EVENT.thp_migration_success);
  } else count_vm_events(VM_EVENT.pgmigrate_fail, config.migrateFailPages ? nr : 1);
  return ret;
}

/** alloc_migration_target() for a long-term pin: out of ZONE_MOVABLE and CMA; out of CMA only to v5.12. */
export function migrate_to_pinnable(page: Page): number {
  return migrate_page(page, config.longtermMigrates ? GFP_USER : GFP_HIGHUSER_MOVABLE | GFP_NOCMA, -1);
}
/**
 * isolate_lru_page(), folio_isolate_lru(): takes a page off the LRU; false if it is not on it. The caller
 * gets a reference. Read: v5.10, v6.1, v6.12, v7.3. Custom: v5.10 takes the reference first, under the LRU's
 * lock.
 */
export function isolate_lru_page(page: Page): boolean {
  if (!TestClearPageFlag(page, PG_lru)) return false;
  page_ref_add(page, 1);
  return true;
}
/** putback_lru_page(), folio_putback_lru(). Read: v5.10, v6.1, v6.12, v7.3. */
export function putback_lru_page(page: Page): void {
  lru_cache_add(page);
  put_page(page);
}
/** move_pages() of one page to a node: 0, or the error. */
export function move_page_to_node(page: Page, nid: number): number {
  lru_add_drain();
  if (!isolate_lru_page(page)) return -16;
  const ret = migrate_page(page, GFP_HIGHUSER_MOVABLE, nid);
  if (ret === MIGRATE_OK) put_page(page);
  else putback_lru_page(page);
  return ret;
}

/**
 * unmap_and_move_huge_page(): a hugetlb page to a node, where a page is made for it from the page allocator;
 * that one takes the old one's place in the pool, and the old one is given back (move_hugetlb_state()).
 */
export function migrate_hugetlb(head: Page, nid: number): number {
  const nr = compound_nr(head);
  page_ref_add(head, 1);
  const pooled = nid < 0 ? 0 : hugetlb_alloc_pooled(nid);
  const fresh = pooled === 0 ? hugetlb_alloc_fresh(nid) : pooled;
  let ret = MIGRATE_ENOMEM;
  if (fresh !== 0) {
    ret = unmap_and_move(head, fresh, false);
    if (ret === MIGRATE_OK) {
      // The pool has as many pages as before: the old one leaves it.
      if (pooled === 0) hugetlb_make_temporary(head);
    } else if (pooled === 0) hugetlb_make_temporary(fresh);
    put_page(fresh);
  }
  put_page(head);
  // To v5.16 a huge page of hugetlb counted as one.
  const counted = config.migrateFailPages ? nr : 1;
  count_vm_events(ret === MIGRATE_OK ? VM_EVENT.pgmigrate_success : VM_EVENT.pgmigrate_fail, counted);
  return ret;
}
