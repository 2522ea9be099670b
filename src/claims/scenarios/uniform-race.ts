/**
 * Claim C1's races: one walker that pins a run of subpages, against what may happen to its entry meanwhile.
 * The walker is mm/gup.ts; zapping is mm/memory.ts. A pinned page's contents must stay: freed frames are
 * poison, and a driver that found its page idle after the unmapping has given it to somebody else.
 *
 * Custom: splitting, collapsing, fork's write protection and the write fault after it are written down here
 * for an area of two pages and one owner, after mm/huge_memory.c, mm/khugepaged.c and mm/memory.c (v7.1): the
 * order of steps is the kernel's, while locks that exclude only each other (mmap_lock, anon_vma, the folio
 * lock) are left out, since there is one of each actor, and the table that a split needs is given.
 */
"use kernel";

import { config } from "../../machine/config.ts";
import {
  assert,
  assert_no_leak,
  localArray,
  memory_revive,
  READ_ONCE,
  smp_load_acquire,
  smp_store_release,
  smp_wmb,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../../machine/primitives.ts";
import { pin_user_pages_fast_only, unpin_user_pages } from "../../mm/gup.ts";
import { mm_find_pmd, zap_page_range } from "../../mm/memory.ts";
import { MM, type Mm } from "../../mm/mm_types.ts";
import {
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
} from "../../mm/mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "../../mm/mmu_notifier_types.ts";
import {
  ClearPageAnonExclusive,
  ClearPageFlag,
  compound_head,
  get_page,
  nth_page,
  PAGE,
  type Page,
  PageAnonExclusive,
  PG_head,
  page_address,
  page_count,
  page_maybe_dma_pinned,
  page_ref_add,
  page_ref_count,
  page_ref_freeze,
  page_ref_sub,
  page_ref_unfreeze,
  page_to_pfn,
  page_word,
  pfn_to_page,
} from "../../mm/page.ts";
import {
  type EntryPtr,
  mk_table_entry,
  PAGE_SHARED,
  PMD_LEVEL,
  pfn_pmd,
  pfn_pte,
  pmd_page_table,
  pte_offset_table,
  pte_pfn,
  pte_write,
  pte_wrprotect,
  ptep_get_and_clear,
  ptep_set_wrprotect,
  SWP_MIGRATION_WRITE,
  set_pmd_at,
  set_pte_at,
  swp_entry,
  type TablePtr,
} from "../../mm/pgtable.ts";
import { put_page } from "../../mm/swap.ts";
import { flush_tlb_range, tlb_remove_table_sync_one } from "../../mm/tlb.ts";

/** Pages of the area: what one PMD spans at the checker's geometry. */
const NR = 2;

// ---- The walker -------------------------------------------------------------------------------------------

/**
 * Pins `nr` pages and lets them go. `revoked`: the permission is gone; `reused`: a word per frame, set when
 * it belongs to somebody else. The number of pages that it had.
 */
export function walker(
  mm: Mm,
  addr: number,
  nr: number,
  flags: number,
  revoked: number,
  reused: number,
): number {
  const pages = localArray(2);
  const late = smp_load_acquire(revoked);
  const got = pin_user_pages_fast_only(mm, addr, nr, flags, pages);
  assert(
    got === 0 || late === 0,
    "a pin through an entry that had lost the permission before the walk began",
  );
  for (let i = 0; i < got; i++) {
    READ_ONCE(page_address(pages[i]));
    assert(READ_ONCE(reused + page_to_pfn(pages[i])) === 0, "a page that is pinned belongs to another owner");
  }
  unpin_user_pages(pages, got);
  return got;
}

/** Pins one page and keeps it: the page is noted at `slot`. */
export function holder(mm: Mm, addr: number, flags: number, slot: number): number {
  const pages = localArray(1);
  const got = pin_user_pages_fast_only(mm, addr, 1, flags, pages);
  if (got === 1) WRITE_ONCE(slot, pages[0]);
  return got;
}

// ---- What happens to the entry ----------------------------------------------------------------------------

function entry_at(mm: Mm, addr: number, level: number): EntryPtr {
  const pmdp = mm_find_pmd(mm, addr);
  return level === PMD_LEVEL ? pmdp : pte_offset_table(pmd_page_table(READ_ONCE(pmdp)), addr);
}

/**
 * MADV_DONTNEED, munmap(): entries cleared, flush, references dropped. Frames that are free then are
 * allocated again, by another process: what the walker may then come to with its old entry is somebody else's
 * page with a count of 1.
 */
export function zapper(mm: Mm, addr: number, nr: number, first: Page, step: number, reused: number): void {
  zap_page_range(mm, addr, nr);
  for (let i = 0; i < nr; i += step) {
    const page = nth_page(first, i);
    if (page_ref_count(page) !== 0) continue;
    for (let j = 0; j < step; j++) {
      memory_revive(page_address(nth_page(page, j)));
      WRITE_ONCE(reused + page_to_pfn(page) + j, 1);
    }
    page_ref_unfreeze(page, 1);
  }
}

/**
 * A driver or file system that unmaps device pages and gives them away if nobody has them
 * (dax_layout_busy_page()).
 */
export function revoker(mm: Mm, addr: number, nr: number, page: Page, idle: number, reused: number): void {
  zap_page_range(mm, addr, nr);
  for (let i = 0; i < nr; i++) if (page_count(nth_page(page, i)) !== idle) return;
  for (let i = 0; i < nr; i++) WRITE_ONCE(reused + page_to_pfn(page) + i, 1);
}

/** mprotect(PROT_READ): change_pte_range(), change_huge_pmd(). */
export function protector(mm: Mm, addr: number, level: number, nr: number, revoked: number): void {
  spin_lock(mm + MM.page_table_lock);
  for (let i = 0; i < nr; i++) {
    const entryp = entry_at(mm, addr + i, level);
    const old = ptep_get_and_clear(entryp);
    set_pte_at(entryp, pte_wrprotect(old));
  }
  spin_unlock(mm + MM.page_table_lock);
  flush_tlb_range();
  smp_store_release(revoked, 1);
}

/** Migration entries for the area's PTEs, in a table that is linked afterwards or is linked already. */
function set_migration_ptes(table: TablePtr, addr: number, pfn: number): void {
  for (let i = 0; i < NR; i++)
    WRITE_ONCE(pte_offset_table(table, addr + i), swp_entry(SWP_MIGRATION_WRITE, pfn + i));
}

/**
 * split_huge_page() of an anonymous compound page, then MADV_DONTNEED of the area. `table` is an empty table
 * where the page is mapped by a PMD, 0 where by PTEs.
 */
export function splitter(mm: Mm, addr: number, head: Page, table: TablePtr): void {
  const pfn = page_to_pfn(head);
  get_page(head);
  // unmap_folio(): migration entries instead of the mapping.
  spin_lock(mm + MM.page_table_lock);
  const pmdp = mm_find_pmd(mm, addr);
  let ptes = table;
  if (table !== 0) {
    ptep_get_and_clear(pmdp);
    flush_tlb_range();
    set_migration_ptes(table, addr, pfn);
    smp_wmb();
    set_pmd_at(pmdp, mk_table_entry(table));
    page_ref_sub(head, 1);
  } else {
    ptes = pmd_page_table(READ_ONCE(pmdp));
    for (let i = 0; i < NR; i++) ptep_get_and_clear(pte_offset_table(ptes, addr + i));
    flush_tlb_range();
    set_migration_ptes(ptes, addr, pfn);
    page_ref_sub(head, NR);
  }
  spin_unlock(mm + MM.page_table_lock);
  const split = page_ref_freeze(head, 1);
  if (split) {
    // __split_huge_page(): "Caller disabled irqs, so they are still disabled here"; counts are 0, so nobody
    // gets a reference.
    WRITE_ONCE(page_word(nth_page(head, 1), PAGE.compound_head), 0);
    ClearPageFlag(head, PG_head);
    page_ref_unfreeze(nth_page(head, 1), 1);
    page_ref_unfreeze(head, 1);
  }
  // remap_page(): remove_migration_ptes().
  spin_lock(mm + MM.page_table_lock);
  for (let i = 0; i < NR; i++) {
    page_ref_add(compound_head(nth_page(head, i)), 1);
    set_pte_at(pte_offset_table(ptes, addr + i), pfn_pte(pfn + i, PAGE_SHARED));
  }
  spin_unlock(mm + MM.page_table_lock);
  if (split) put_page(nth_page(head, 1));
  put_page(head);
  zap_page_range(mm, addr, NR);
}

/** collapse_huge_page(): two pages become the compound page `huge`, unless somebody has one of them. */
export function collapser(mm: Mm, addr: number, huge: Page): void {
  if (config.mmuNotifier) mmu_notifier_invalidate_range_start(mm, addr, addr + NR, MMU_NOTIFY_CLEAR, 0);
  spin_lock(mm + MM.page_table_lock);
  const pmdp = mm_find_pmd(mm, addr);
  const old = ptep_get_and_clear(pmdp);
  flush_tlb_range();
  spin_unlock(mm + MM.page_table_lock);
  if (config.mmuNotifier) mmu_notifier_invalidate_range_end(mm);
  tlb_remove_table_sync_one();
  const table = pmd_page_table(old);
  // __collapse_huge_page_isolate(): "Cannot collapse if there is a reference that is not a mapping's": GUP
  // pins win.
  for (let i = 0; i < NR; i++) {
    const page = pfn_to_page(pte_pfn(READ_ONCE(pte_offset_table(table, addr + i))));
    if (page_ref_count(page) !== 1) {
      spin_lock(mm + MM.page_table_lock);
      set_pmd_at(pmdp, old);
      spin_unlock(mm + MM.page_table_lock);
      return;
    }
  }
  // __collapse_huge_page_copy(): contents, then the old entry and its reference.
  for (let i = 0; i < NR; i++) {
    const ptep = pte_offset_table(table, addr + i);
    const page = pfn_to_page(pte_pfn(READ_ONCE(ptep)));
    WRITE_ONCE(page_address(nth_page(huge, i)), READ_ONCE(page_address(page)));
    WRITE_ONCE(ptep, 0);
    put_page(page);
  }
  smp_wmb();
  spin_lock(mm + MM.page_table_lock);
  set_pmd_at(pmdp, pfn_pmd(page_to_pfn(huge), PAGE_SHARED));
  spin_unlock(mm + MM.page_table_lock);
}

/**
 * fork(), and then the parent writes. copy_present_pte() with its early copy of pinned pages, under
 * write_protect_seq; then do_wp_page(): an exclusive page is reused, another copied to `copy`. The child's
 * entry is the word `child`.
 */
export function forker(mm: Mm, addr: number, child: number, child_copy: Page, copy: Page): void {
  // copy_page_range(): raw_write_seqcount_begin(), before the locks of the tables are taken.
  WRITE_ONCE(mm + MM.write_protect_seq, READ_ONCE(mm + MM.write_protect_seq) + 1);
  smp_wmb();
  spin_lock(mm + MM.page_table_lock);
  const ptep = entry_at(mm, addr, 0);
  const pte = READ_ONCE(ptep);
  const page = pfn_to_page(pte_pfn(pte));
  if (READ_ONCE(mm + MM.has_pinned) !== 0 && page_maybe_dma_pinned(page)) {
    WRITE_ONCE(child, pfn_pte(page_to_pfn(child_copy), PAGE_SHARED));
  } else {
    get_page(page);
    ClearPageAnonExclusive(page);
    ptep_set_wrprotect(ptep);
    WRITE_ONCE(child, pte_wrprotect(pte));
  }
  spin_unlock(mm + MM.page_table_lock);
  smp_wmb();
  WRITE_ONCE(mm + MM.write_protect_seq, READ_ONCE(mm + MM.write_protect_seq) + 1);
  flush_tlb_range();

  spin_lock(mm + MM.page_table_lock);
  const now = READ_ONCE(ptep);
  const reuse = config.anonExclusive ? PageAnonExclusive(page) : page_count(page) === 1;
  let old: Page = 0;
  if (!pte_write(now) && !reuse) {
    old = page;
    ptep_get_and_clear(ptep);
    flush_tlb_range();
    set_pte_at(ptep, pfn_pte(page_to_pfn(copy), PAGE_SHARED));
  } else if (!pte_write(now)) set_pte_at(ptep, pfn_pte(pte_pfn(now), PAGE_SHARED));
  spin_unlock(mm + MM.page_table_lock);
  if (old !== 0) put_page(old);
}

// ---- At the end -------------------------------------------------------------------------------------------

/** Every pin was given back: nothing looks pinned, and the pin counts are zero. */
export function check_unpinned(first: Page, nr: number): void {
  for (let i = 0; i < nr; i++)
    assert_no_leak(page_ref_count(nth_page(first, i)) < 1024, "a pin was not given back");
}

/** Whoever writes through the pin and whoever writes through the mapping still mean the same page. */
export function check_coherent(mm: Mm, addr: number, slot: number): void {
  const pinned = READ_ONCE(slot);
  if (pinned === 0) return;
  const pte = READ_ONCE(entry_at(mm, addr, 0));
  assert(
    pte_pfn(pte) === page_to_pfn(pinned),
    "the parent's page is no longer the one that it pinned for writing",
  );
}
