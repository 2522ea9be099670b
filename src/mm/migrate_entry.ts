/**
 * Migration entries (mm/rmap.c: try_to_migrate_one(); mm/migrate.c: remove_migration_pte(),
 * migration_entry_wait(); v5.10 to v7.1): while a page moves, its page-table entry says so and whoever faults
 * on it waits. Also who gives a page's last reference back to whom: System RAM to the allocator,
 * device-private and -coherent memory to the driver.
 *
 * Custom: an anonymous page has one entry (ram_page.ts). Not covered: file pages, huge entries.
 */
"use kernel";

import { config, geom } from "../machine/config.ts";
import {
  atomic_dec,
  atomic_inc,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { MM, type Mm, VM_WRITE, VMA, type Vma } from "./mm_types.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  get_page,
  is_zone_device_page,
  PAGE,
  type Page,
  page_pgmap,
  page_ref_add_unless,
  page_to_pfn,
  page_word,
  pfn_to_page,
} from "./page.ts";
import { put_and_wait_on_page_locked, softleaf_entry_wait_on_locked } from "./pagemap.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_COHERENT, MEMORY_DEVICE_PRIVATE } from "./pgmap.ts";
import {
  type EntryPtr,
  is_device_private_entry,
  is_migration_entry,
  PAGE_READONLY,
  PAGE_SHARED,
  pfn_pte,
  pgd_table,
  pmd_leaf,
  pmd_page_table,
  pte_offset_table,
  pte_pfn,
  pte_present,
  pte_write,
  ptep_get,
  ptep_get_and_clear,
  SWP_DEVICE_READ,
  SWP_DEVICE_WRITE,
  SWP_MIGRATION_READ,
  SWP_MIGRATION_WRITE,
  set_pte_at,
  swp_entry,
  swp_offset,
  swp_type,
  table_index,
} from "./pgtable.ts";
import { page_anon_address, page_anon_vma } from "./ram_page.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range } from "./tlb.ts";

/** The PTE of addr, 0 if no table leads to it. */
export function mm_find_pte(mm: Mm, addr: number): EntryPtr {
  let table = pgd_table(mm);
  for (let l = geom.levels - 1; l > 0; l--) {
    const e = READ_ONCE(table + table_index(addr, l * geom.table_shift));
    if (e === 0 || !pte_present(e) || pmd_leaf(e)) return 0;
    table = pmd_page_table(e);
  }
  return pte_offset_table(table, addr);
}

/** is_device_private_page(): not addressable by the CPU. Caller holds a reference, or the entry's lock. */
export function is_device_private_page(page: Page): boolean {
  return (
    is_zone_device_page(page) && READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.type) === MEMORY_DEVICE_PRIVATE
  );
}
export function is_device_coherent_page(page: Page): boolean {
  return (
    is_zone_device_page(page) && READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.type) === MEMORY_DEVICE_COHERENT
  );
}

/** The page that an entry, present or device-private, maps; 0 for any other. */
export function entry_page(e: number): Page {
  if (pte_present(e)) return pfn_to_page(pte_pfn(e));
  if (is_device_private_entry(e)) return pfn_to_page(swp_offset(e));
  return 0;
}
export function entry_writable(e: number): boolean {
  return pte_present(e)
    ? pte_write(e)
    : swp_type(e) === SWP_DEVICE_WRITE || swp_type(e) === SWP_MIGRATION_WRITE;
}

/**
 * Replaces the entry, which maps `page`, with a migration entry. Caller holds the page-table lock and a
 * reference.
 */
export function set_migration_entry(ptep: EntryPtr, page: Page): void {
  const e = ptep_get_and_clear(ptep);
  if (pte_present(e)) flush_tlb_range();
  const type = entry_writable(e) ? SWP_MIGRATION_WRITE : SWP_MIGRATION_READ;
  set_pte_at(ptep, swp_entry(type, page_to_pfn(page)));
  atomic_dec(page_word(page, PAGE._mapcount));
}

/**
 * try_to_migrate(): the entry that maps the page becomes a migration entry; false if nothing mapped it.
 * Caller holds the page's lock and a reference of its own; the entry's reference is dropped.
 */
export function try_to_migrate(page: Page): boolean {
  const vma = page_anon_vma(page);
  if (vma === 0) return false;
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const addr = page_anon_address(page);
  mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_CLEAR, 0);
  spin_lock(mm + MM.page_table_lock);
  const ptep = mm_find_pte(mm, addr);
  const mapped = ptep !== 0 && entry_page(ptep_get(ptep)) === page;
  if (mapped) set_migration_entry(ptep, page);
  spin_unlock(mm + MM.page_table_lock);
  if (mapped) put_page(page);
  mmu_notifier_invalidate_range_end(mm);
  return mapped;
}

/** The entry that maps `page`, as writable as asked for: present, or a device-private one. */
export function mk_page_entry(page: Page, write: boolean): number {
  if (is_device_private_page(page))
    return swp_entry(write ? SWP_DEVICE_WRITE : SWP_DEVICE_READ, page_to_pfn(page));
  return pfn_pte(page_to_pfn(page), write ? PAGE_SHARED : PAGE_READONLY);
}

/**
 * remove_migration_ptes(old, new): the migration entry of `old` at its place maps `to` (which may be `old`
 * again).
 */
export function remove_migration_ptes(old: Page, to: Page, vma: Vma, addr: number): void {
  if (vma === 0) return;
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  spin_lock(mm + MM.page_table_lock);
  const ptep = mm_find_pte(mm, addr);
  const e = ptep === 0 ? 0 : ptep_get(ptep);
  if (is_migration_entry(e) && swp_offset(e) === page_to_pfn(old)) {
    get_page(to);
    atomic_inc(page_word(to, PAGE._mapcount));
    const write = swp_type(e) === SWP_MIGRATION_WRITE && (READ_ONCE(vma + VMA.vm_flags) & VM_WRITE) !== 0;
    set_pte_at(ptep, mk_page_entry(to, write));
  }
  spin_unlock(mm + MM.page_table_lock);
}

/**
 * migration_entry_wait(): returns when the page of the migration entry at ptep has been unlocked, which who
 * moves it does at the end. To v5.18 the waiter has a reference on the page until it is queued, which can
 * make that very migration fail (zoo J50).
 */
export function migration_entry_wait(mm: Mm, ptep: EntryPtr): void {
  spin_lock(mm + MM.page_table_lock);
  const e = READ_ONCE(ptep);
  if (!is_migration_entry(e)) {
    spin_unlock(mm + MM.page_table_lock);
    return;
  }
  const page = pfn_to_page(swp_offset(e));
  if (!config.migrationWaitRef) {
    softleaf_entry_wait_on_locked(page, mm + MM.page_table_lock);
    return;
  }
  // __migration_entry_wait() to v5.18: "Once page cache replacement of page migration started, page_count is
  // zero"
  const got = page_ref_add_unless(page, 1, 0);
  spin_unlock(mm + MM.page_table_lock);
  if (got) put_and_wait_on_page_locked(page);
}

/** Forgets where a page was mapped, when its contents have gone elsewhere. */
export function page_clear_place(page: Page): void {
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
}
