/**
 * Replacing the entries that map a page by migration entries, and back (mm/rmap.c: try_to_migrate();
 * mm/migrate.c: remove_migration_ptes(); mm/huge_memory.c: set_pmd_migration_entry()). While they stand no
 * fault and no GUP reaches the page, so its references can be compared with what is expected. An exclusive
 * page that may be pinned is not made shared (folio_try_share_anon_rmap_pte(), v5.19): its entry is restored.
 *
 *   A migration entry is a swap entry of type SWP_MIGRATION_*, offset the frame; bit 9 says that the entry
 *   was dirty (v6.1, 0d206b5d2e0d).
 *
 * Device-private pages have entries of their own kind, which are not present before and after either. Custom:
 * zone locks are left out.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  assert,
  localArray,
  READ_ONCE,
  smp_mb,
  smp_mb__after_atomic,
  smp_wmb,
  spin_lock,
  spin_unlock,
} from "../machine/primitives.ts";
import { vma_wants_writenotify } from "./fault.ts";
import { maybe_mkwrite, split_huge_pmd_entry } from "./huge_split.ts";
import { is_device_private_page } from "./migrate_entry.ts";
import { mlock_drain_local, mlock_page } from "./mlock.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { vm_page_prot, vma_is_locked } from "./mmap.ts";
import {
  ClearPageAnonExclusive,
  compound_head,
  get_page,
  type Page,
  PageAnon,
  PageAnonExclusive,
  PageDirty,
  PageFlag,
  PageHead,
  PageHuge,
  PG_mlocked,
  page_address,
  page_maybe_dma_pinned,
  page_to_pfn,
  pfn_to_page,
} from "./page.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  _PAGE_SAVED_DIRTY,
  _PAGE_SPECIAL,
  type EntryPtr,
  is_device_private_entry,
  mk_table_entry,
  PMD_LEVEL,
  PTE_LEVEL,
  pfn_pmd,
  pfn_pte,
  pmd_page_table,
  pmdp_invalidate,
  pte_alloc_one,
  pte_dirty,
  pte_mkdirty,
  pte_pfn,
  pte_write,
  ptep_get_and_clear,
  SWP_DEVICE_READ,
  SWP_DEVICE_WRITE,
  SWP_MIGRATION_READ,
  SWP_MIGRATION_READ_EXCLUSIVE,
  SWP_MIGRATION_WRITE,
  set_pte_at,
  swp_entry,
  swp_offset,
  swp_type,
} from "./pgtable.ts";
import {
  page_add_anon_rmap,
  page_add_rmap_pmd,
  page_add_rmap_pte,
  page_mapped,
  page_move_anon_rmap,
  page_remove_rmap_pmd,
  page_remove_rmap_pte,
} from "./rmap.ts";
import {
  RMAP_WALK_SIZE,
  RW_ADDR,
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
import { count_vm_event, VM_EVENT } from "./vmstat.ts";

const MIGRATION_DIRTY = _PAGE_SAVED_DIRTY;

/**
 * page_try_share_anon_rmap(), __folio_try_share_anon_rmap() (v6.8): false if the exclusive page may be
 * pinned; else it is no longer exclusive. Read: v6.1, v6.12, v7.3.
 */
export function page_try_share_anon_rmap(page: Page): boolean {
  // Pairs with the barrier after the grab in fast GUP: it sees the entry gone, or we see the pin.
  smp_mb();
  if (page_maybe_dma_pinned(page)) return false;
  ClearPageAnonExclusive(page);
  // Pairs with the smp_rmb() in gup_must_unshare(): who sees the entry that we will set sees the flag gone.
  smp_mb__after_atomic();
  return true;
}

/**
 * The same for an entry of a device-private page (v5.10: try_to_unmap_one() with TTU_MIGRATION): always
 * possible.
 */
function try_to_migrate_private(vma: Vma, ptep: EntryPtr): boolean {
  const e = ptep_get_and_clear(ptep);
  const page = pfn_to_page(swp_offset(e));
  const exclusive = config.anonExclusive !== 0 && PageAnonExclusive(page);
  if (exclusive) ClearPageAnonExclusive(page);
  let type = SWP_MIGRATION_READ;
  if (swp_type(e) === SWP_DEVICE_WRITE) type = SWP_MIGRATION_WRITE;
  else if (exclusive) type = SWP_MIGRATION_READ_EXCLUSIVE;
  set_pte_at(ptep, swp_entry(type, page_to_pfn(page)));
  page_remove_rmap_pte(page, vma);
  put_page(page);
  return true;
}

/** try_to_migrate_one() for one leaf; false if the entry had to be restored. */
function try_to_migrate_one(vma: Vma, entryp: EntryPtr, level: number): boolean {
  if (kernel.device_private !== 0 && is_device_private_entry(READ_ONCE(entryp)))
    return try_to_migrate_private(vma, entryp);
  const e = ptep_get_and_clear(entryp);
  flush_tlb_range();
  const page = pfn_to_page(pte_pfn(e));
  // A PTE's dirty bit is saved before the test for pins, a huge PMD's after it.
  if (pte_dirty(e) && level === PTE_LEVEL) set_page_dirty(page);
  const exclusive = config.anonExclusive !== 0 && PageAnon(page) && PageAnonExclusive(page);
  if (exclusive && !page_try_share_anon_rmap(page)) {
    set_pte_at(entryp, e);
    return false;
  }
  if (pte_dirty(e) && level !== PTE_LEVEL) set_page_dirty(page);
  let type = SWP_MIGRATION_READ;
  if (pte_write(e)) type = SWP_MIGRATION_WRITE;
  else if (exclusive) type = SWP_MIGRATION_READ_EXCLUSIVE;
  const dirty = config.migrationDirty && pte_dirty(e) ? MIGRATION_DIRTY : 0;
  set_pte_at(entryp, swp_entry(type, page_to_pfn(page)) | dirty);
  if (level === PTE_LEVEL) page_remove_rmap_pte(page, vma);
  else page_remove_rmap_pmd(page, vma);
  if (vma_is_locked(vma) && !config.follMlock) mlock_drain_local();
  put_page(page);
  return true;
}

/** Marks every PTE of the table that a PMD leads to dirty. */
function mark_table_dirty(pmd: number): void {
  const table = pmd_page_table(pmd);
  for (let i = 0; i < geom.hpage_pmd_nr; i++) set_pte_at(table + i, pte_mkdirty(READ_ONCE(table + i)));
}

/**
 * A huge PMD becomes PTEs first. From v6.2 it becomes migration entries at once (freeze), so that no subpage
 * is counted as mapped by itself in between.
 */
function split_for_migration(vma: Vma, pmdp: EntryPtr, addr: number): void {
  const pmd = READ_ONCE(pmdp);
  const head = pfn_to_page(pte_pfn(pmd));
  const exclusive = PageAnonExclusive(head);
  let old = pmd;
  if (config.largeMapcount) {
    old = pmdp_invalidate(pmdp);
    flush_tlb_range();
  }
  if (!config.largeMapcount || (exclusive && !page_try_share_anon_rmap(head))) {
    split_huge_pmd_entry(vma, pmdp, addr);
    // v6.1 keeps the dirty bit in migration entries, though not in the PTEs of a split.
    if (config.migrationDirty && pte_dirty(old)) mark_table_dirty(READ_ONCE(pmdp));
    return;
  }
  const table = pte_alloc_one();
  assert(table !== 0, "no page table left to split a huge entry");
  count_vm_event(VM_EVENT.thp_split_pmd);
  if (pte_dirty(old)) set_page_dirty(head);
  let type = SWP_MIGRATION_READ;
  if (pte_write(old)) type = SWP_MIGRATION_WRITE;
  else if (exclusive) type = SWP_MIGRATION_READ_EXCLUSIVE;
  const dirty = pte_dirty(old) ? MIGRATION_DIRTY : 0;
  for (let i = 0; i < geom.hpage_pmd_nr; i++)
    set_pte_at(table + i, swp_entry(type, pte_pfn(old) + i) | dirty);
  page_remove_rmap_pmd(head, vma);
  // "make pte visible before pmd"
  smp_wmb();
  set_pte_at(pmdp, mk_table_entry(table));
  put_page(head);
}

/**
 * try_to_migrate(): every entry of the page (of a compound page: of all of it) becomes a migration entry.
 * With `split` huge PMDs are split first. False if one could not be replaced.
 */
export function try_to_migrate(page: Page, split: boolean): boolean {
  const walk = localArray(RMAP_WALK_SIZE);
  let told: Vma = 0;
  let ok = true;
  rmap_walk_start(walk, false);
  while (ok && rmap_walk_next(walk, page)) {
    const vma: Vma = walk[RW_VMA];
    const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
    told = rmap_invalidate_start(vma, page, told);
    spin_lock(mm + MM.page_table_lock);
    if (split && walk[RW_LEVEL] === PMD_LEVEL && !PageHuge(page)) {
      split_for_migration(vma, walk[RW_ENTRYP], walk[RW_ADDR]);
      spin_unlock(mm + MM.page_table_lock);
      rmap_walk_start(walk, false);
      continue;
    }
    ok = try_to_migrate_one(vma, walk[RW_ENTRYP], walk[RW_LEVEL]);
    spin_unlock(mm + MM.page_table_lock);
  }
  rmap_invalidate_end(told);
  return ok && !page_mapped(page);
}

/** The page's contents are all zero (try_to_map_unused_to_zeropage(), v6.12). */
function page_is_zero(page: Page): boolean {
  for (let w = 0; w < geom.page_words; w++) if (READ_ONCE(page_address(page) + w) !== 0) return false;
  return true;
}

/** remove_migration_pte(): maps `page` where the migration entry stands. */
function remove_migration_entry(
  vma: Vma,
  entryp: EntryPtr,
  level: number,
  addr: number,
  page: Page,
  zero: boolean,
): void {
  const entry = READ_ONCE(entryp);
  const type = swp_type(entry);
  const prot = vm_page_prot(vma, vma_wants_writenotify(vma));
  if (zero && PageAnon(page) && !PageHead(page) && !PageFlag(page, PG_mlocked) && page_is_zero(page)) {
    set_pte_at(entryp, pfn_pte(kernel.zero_pfn, prot) | _PAGE_SPECIAL);
    return;
  }
  get_page(page);
  const pfn = page_to_pfn(page);
  let e = level === PTE_LEVEL ? pfn_pte(pfn, prot) : pfn_pmd(pfn, prot);
  if ((entry & MIGRATION_DIRTY) !== 0 && PageDirty(compound_head(page))) e = pte_mkdirty(e);
  if (type === SWP_MIGRATION_WRITE) e = maybe_mkwrite(e, vma);
  const exclusive = type !== SWP_MIGRATION_READ;
  if (level === PTE_LEVEL) {
    if (PageAnon(page)) page_add_anon_rmap(page, vma, addr, exclusive);
    else page_add_rmap_pte(page, vma);
  } else {
    page_add_rmap_pmd(page, vma);
    if (PageAnon(page) && exclusive) page_move_anon_rmap(page);
  }
  // make_writable_device_private_entry(), make_readable_...: the CPU cannot reach the page.
  if (kernel.device_private !== 0 && is_device_private_page(page))
    e = swp_entry(type === SWP_MIGRATION_WRITE ? SWP_DEVICE_WRITE : SWP_DEVICE_READ, pfn);
  set_pte_at(entryp, e);
  if (!vma_is_locked(vma)) return;
  if (!config.follMlock) mlock_drain_local();
  else if (!PageHead(compound_head(page))) mlock_page(page);
}

/**
 * remove_migration_ptes(): entries that stand for `old` map `fresh` from now on; they may be the same.
 * `zero`: a small page whose contents are zero is replaced by the zero page.
 */
export function remove_migration_ptes(old: Page, fresh: Page, zero: boolean): void {
  const walk = localArray(RMAP_WALK_SIZE);
  rmap_walk_start(walk, true);
  const delta = page_to_pfn(fresh) - page_to_pfn(old);
  while (rmap_walk_next(walk, old)) {
    const vma: Vma = walk[RW_VMA];
    const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
    spin_lock(mm + MM.page_table_lock);
    const pfn = swp_offset(READ_ONCE(walk[RW_ENTRYP]));
    remove_migration_entry(
      vma,
      walk[RW_ENTRYP],
      walk[RW_LEVEL],
      walk[RW_ADDR],
      pfn_to_page(pfn + delta),
      zero,
    );
    spin_unlock(mm + MM.page_table_lock);
  }
}
