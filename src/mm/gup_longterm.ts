/**
 * FOLL_LONGTERM (mm/gup.c: __gup_longterm_locked(), check_and_migrate_movable_pages()): pages in ZONE_MOVABLE are released,
 * migrated out of it and looked up again, until every page of the range may be pinned for long. If one cannot be moved, because
 * somebody else holds it, the call fails with -ENOMEM; pages that were moved stay moved. So with pages of a CMA area; to v5.12 with
 * these alone, and one that cannot be moved is pinned where it is (check_and_migrate_cma_pages()). fsdax is refused: a truncate
 * would have to wait for the pin.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { type LocalArray, READ_ONCE } from "../machine/primitives.ts";
import { vma_is_fsdax } from "./dax_fault.ts";
import { FOLL_LONGTERM, is_longterm_pinnable, is_migrate_cma_page, unpin_user_page } from "./gup.ts";
import { __get_user_pages_locked } from "./gup_locked.ts";
import { lru_add_drain } from "./lru.ts";
import { MIGRATE_OK, migrate_to_pinnable } from "./migrate.ts";
import { type Mm, VMA, type Vma } from "./mm_types.ts";
import { EAGAIN, ENOMEM, EOPNOTSUPP, find_vma } from "./mmap.ts";
import {
  ClearPageFlag,
  compound_head,
  get_page,
  type Page,
  PageFlag,
  PG_isolated,
  PG_lru,
  SetPageFlag,
} from "./page.ts";
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

/** The page has to go before it may be pinned for long. */
function must_move(head: Page): boolean {
  return config.longtermMigrates ? !is_longterm_pinnable(head) : is_migrate_cma_page(head);
}

/**
 * collect_longterm_unpinnable_pages(): takes the pages that have to move off the LRU, with a reference each, and writes them
 * over pages[first ..]'s copy in `list`; their number. Consecutive subpages of one page count once.
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
    if (mark === 0) continue;
    if (!PageFlag(head, PG_lru)) lru_add_drain();
    if (PageFlag(head, PG_isolated)) continue;
    // folio_isolate_lru()
    ClearPageFlag(head, PG_lru);
    SetPageFlag(head, PG_isolated);
    get_page(head);
  }
  return collected;
}

/** Migrates the isolated pages among pages[first ..], whose pins are gone; the number that could not be moved. */
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

/** check_and_migrate_movable_pages(): 0 if all pages may stay pinned; -EAGAIN: moved, look up again; -ENOMEM. */
function check_and_migrate(pages: LocalArray, first: number, nr: number): number {
  if (collect_unpinnable(pages, first, nr, 0) === 0) return 0;
  // Without zones every page is pinnable; linking drops migration then.
  if (kernel.zones === 0) return 0;
  collect_unpinnable(pages, first, nr, 1);
  unpin_from(pages, first, nr);
  return migrate_collected(pages, first, nr) === 0 ? -EAGAIN : -ENOMEM;
}

/** How often pages may have to be moved before the call gives up: the kernel has no bound. */
const LONGTERM_ROUNDS = 16;

/** __gup_longterm_locked(), and __get_user_pages_locked() without FOLL_LONGTERM. `locked`: as there; each round takes mmap_lock anew. */
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
