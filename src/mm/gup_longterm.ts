/**
 * FOLL_LONGTERM (mm/gup.c: __gup_longterm_locked(), check_and_migrate_movable_pages()): pages in ZONE_MOVABLE
 * are released, migrated out of it and looked up again, until every page of the range may be pinned for long.
 * If one cannot be moved, because somebody else holds it, the call fails with -ENOMEM; pages that were moved
 * stay moved. So with pages of a CMA area; to v5.12 with these alone, and one that cannot be moved is pinned
 * where it is (check_and_migrate_cma_pages()). A driver's coherent memory is moved to System RAM page by page
 * (v6.0), and if one page stays the call fails with -EBUSY. fsdax is refused: a truncate would have to wait
 * for the pin.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { type LocalArray, READ_ONCE } from "../machine/primitives.ts";
import { vma_is_fsdax } from "./dax_fault.ts";
import { migrate_device_coherent_folio } from "./device_memory.ts";
import { EAGAIN, EBUSY, ENOMEM, EOPNOTSUPP } from "./errno.ts";
import { unpin_user_page } from "./gup.ts";
import { is_longterm_pinnable, is_migrate_cma_page } from "./gup_allowed.ts";
import { FOLL_LONGTERM } from "./gup_flags.ts";
import { __get_user_pages_locked } from "./gup_locked.ts";
import { lru_add_drain } from "./lru.ts";
import { MIGRATE_OK, migrate_to_pinnable } from "./migrate.ts";
import { is_device_coherent_page } from "./migrate_entry.ts";
import { type Mm, VMA, type Vma } from "./mm_types.ts";
import { find_vma } from "./mmap.ts";
import {
  ClearPageFlag,
  compound_head,
  get_page,
  type Page,
  PageFlag,
  PageHead,
  PG_isolated,
  PG_lru,
  page_ref_count,
  SetPageFlag,
} from "./page.ts";
import { folio_expected_ref_count } from "./rmap.ts";
import { put_page } from "./swap.ts";

/** check_dax_vmas() (to v5.11): some page of the range belongs to fsdax. */
function range_has_fsdax(mm: Mm, start: number, nr: number): boolean {
  for (let vma: Vma = find_vma(mm, start); vma !== 0; vma = READ_ONCE(vma + VMA.vm_next)) {
    if (READ_ONCE(vma + VMA.vm_start) >= start + nr) return false;
    if (vma_is_fsdax(vma)) return true;
  }
  return false;
}

function unpin_from(pages: LocalArray, first: number, nr: number): void {
  for (let i = 0; i < nr; i++) unpin_user_page(pages[first + i]);
}

function is_coherent(head: Page): boolean {
  return kernel.device_private !== 0 && is_device_coherent_page(head);
}
/** The page has to go before it may be pinned for long. */
function must_move(head: Page): boolean {
  return config.longtermMigrates ? !is_longterm_pinnable(head) : is_migrate_cma_page(head);
}

/**
 * A batch may have the page: to v6.16 it is then not on the LRU, it was thought; from then on it has a
 * reference that no entry accounts for (98c6d259319e; folio_may_be_lru_cached(): large folios are in none).
 */
function may_be_batched(head: Page): boolean {
  if (!config.longtermDrains) return !PageFlag(head, PG_lru);
  return !PageHead(head) && page_ref_count(head) !== folio_expected_ref_count(head) + 1;
}

/**
 * collect_longterm_unpinnable_pages(): takes the pages that have to move off the LRU, with a reference each,
 * and writes them over pages[first ..]'s copy in `list`; their number. Consecutive subpages of one page count
 * once.
 */
function collect_unpinnable(pages: LocalArray, first: number, nr: number, mark: number): number {
  let collected = 0;
  let prev: Page = 0;
  for (let i = 0; i < nr; i++) {
    const head = compound_head(pages[first + i]);
    if (head === prev) continue;
    prev = head;
    if (!must_move(head)) continue;
    collected++;
    // ZONE_DEVICE pages are on no list.
    if (mark === 0 || is_coherent(head)) continue;
    if (may_be_batched(head)) lru_add_drain();
    if (PageFlag(head, PG_isolated)) continue;
    // folio_isolate_lru()
    ClearPageFlag(head, PG_lru);
    SetPageFlag(head, PG_isolated);
    get_page(head);
  }
  return collected;
}

/**
 * Migrates the isolated pages among pages[first ..], whose pins are gone; the number that could not be moved.
 */
function migrate_collected(pages: LocalArray, first: number, nr: number): number {
  let failed = 0;
  for (let i = 0; i < nr; i++) {
    const head = compound_head(pages[first + i]);
    if (!PageFlag(head, PG_isolated)) continue;
    ClearPageFlag(head, PG_isolated);
    if (migrate_to_pinnable(head) !== MIGRATE_OK) {
      failed++;
      SetPageFlag(head, PG_lru);
    }
    put_page(head);
  }
  return failed;
}

/** putback_movable_pages(): the isolated pages among pages[first ..] stay where they are. */
function putback_collected(pages: LocalArray, first: number, nr: number): void {
  for (let i = 0; i < nr; i++) {
    const head = compound_head(pages[first + i]);
    if (!PageFlag(head, PG_isolated)) continue;
    ClearPageFlag(head, PG_isolated);
    SetPageFlag(head, PG_lru);
    put_page(head);
  }
}
/**
 * The first half of migrate_longterm_unpinnable_pages(): every pin goes, and with it, where a driver's
 * coherent memory was pinned, that page to System RAM. -EBUSY if one of them stays; then too every pin is
 * gone.
 */
function unpin_and_move_coherent(pages: LocalArray, first: number, nr: number): number {
  for (let i = 0; i < nr; i++) {
    const head = compound_head(pages[first + i]);
    const coherent = is_coherent(head);
    // "Migration will fail if the page is pinned, so convert the pin on the source page to a normal
    // reference."
    if (coherent) get_page(head);
    unpin_user_page(pages[first + i]);
    if (coherent && migrate_device_coherent_folio(head) !== 0) {
      unpin_from(pages, first + i + 1, nr - i - 1);
      return -EBUSY;
    }
  }
  return 0;
}

/**
 * check_and_migrate_movable_pages(): 0 if all pages may stay pinned; -EAGAIN: moved, look up again; -ENOMEM,
 * -EBUSY.
 */
function check_and_migrate(pages: LocalArray, first: number, nr: number): number {
  if (collect_unpinnable(pages, first, nr, 0) === 0) return 0;
  // Without zones every page is pinnable; linking drops migration then.
  if (kernel.zones === 0) return 0;
  collect_unpinnable(pages, first, nr, 1);
  if (kernel.device_private === 0) unpin_from(pages, first, nr);
  else if (unpin_and_move_coherent(pages, first, nr) !== 0) {
    putback_collected(pages, first, nr);
    return -EBUSY;
  }
  return migrate_collected(pages, first, nr) === 0 ? -EAGAIN : -ENOMEM;
}

/** How often pages may have to be moved before the call gives up: the kernel has no bound. */
const LONGTERM_ROUNDS = 16;

/**
 * __gup_longterm_locked(), and __get_user_pages_locked() without FOLL_LONGTERM. `locked`: as there; each
 * round takes mmap_lock anew.
 */
export function gup_longterm_locked(
  mm: Mm,
  start: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  first: number,
  locked: LocalArray,
): number {
  if ((flags & FOLL_LONGTERM) === 0)
    return __get_user_pages_locked(mm, start, nr, flags, pages, first, locked);
  for (let round = 0; round < LONGTERM_ROUNDS; round++) {
    const got = __get_user_pages_locked(mm, start, nr, flags, pages, first, locked);
    if (got <= 0) return got;
    if (!config.fsdaxCheckEarly && range_has_fsdax(mm, start, got)) {
      unpin_from(pages, first, got);
      return -EOPNOTSUPP;
    }
    if (!config.longtermMigrates && kernel.cma_nr === 0) return got;
    const error = check_and_migrate(pages, first, got);
    if (error === 0) return got;
    // "some of the pages failed migration. Do get_user_pages without migration."
    if (error === -ENOMEM && !config.longtermMigrates)
      return __get_user_pages_locked(mm, start, got, flags, pages, first, locked);
    if (error !== -EAGAIN) return error;
  }
  return -ENOMEM;
}
