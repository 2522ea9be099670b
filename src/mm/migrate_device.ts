/**
 * Moving pages between System RAM and device memory (mm/migrate_device.c; mm/migrate.c to v5.17):
 * migrate_vma_setup() collects what can move and replaces its entries by migration entries, the driver
 * copies, migrate_vma_pages() makes the new pages take the old ones' place, migrate_vma_finalize() maps
 * whichever won. Also migrate_device_range(), by which a driver that goes away brings its pages home (v6.1,
 * e778406b40db), and the same in one go for System RAM (unmap_and_move()).
 *
 * Not covered: file pages and huge pages, holes that become device pages without a page in between keep to
 * migrate_vma_insert_page() of anonymous areas. Custom: a page whose lock is taken is left where it is, where
 * the kernel to v5.17 waited for it in migrate_vma_prepare().
 */
"use kernel";

import { config } from "../machine/config.ts";
import { REFCOUNT_ONE_BASED } from "../machine/knobs/gup.ts";
import { FAULT_NO_REF } from "../machine/knobs/hmm.ts";
import {
  atomic_inc,
  type LocalArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { EAGAIN, EBUSY, ENOMEM } from "./errno.ts";
import {
  entry_page,
  entry_writable,
  is_device_coherent_page,
  is_device_private_page,
  mk_page_entry,
  mm_find_pte,
  page_clear_place,
  remove_migration_ptes,
  set_migration_entry,
  try_to_migrate,
} from "./migrate_entry.ts";
import { MM, type Mm, VM_WRITE, VMA, type Vma } from "./mm_types.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR, MMU_NOTIFY_MIGRATE } from "./mmu_notifier_types.ts";
import {
  __SetPageUptodate,
  get_page,
  is_zone_device_page,
  PAGE,
  type Page,
  page_address,
  page_pgmap,
  page_ref_add_unless,
  page_ref_count,
  page_to_pfn,
  page_word,
  pfn_to_page,
  SetPageUptodate,
} from "./page.ts";
import { trylock_page, unlock_page } from "./pagemap.ts";
import { DEV_PAGEMAP } from "./pgmap.ts";
import {
  is_device_private_entry,
  pgtable_alloc,
  pte_present,
  pte_special,
  ptep_get,
  ptep_get_and_clear,
  set_pte_at,
} from "./pgtable.ts";
import {
  alloc_ram_page,
  copy_contents,
  page_anon_address,
  page_anon_vma,
  page_set_anon_place,
} from "./ram_page.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range } from "./tlb.ts";

// Flags of src[] and dst[] (include/linux/migrate.h); the page's frame lies above them.
export const MIGRATE_PFN_VALID = 1;
export const MIGRATE_PFN_MIGRATE = 2;
export const MIGRATE_PFN_WRITE = 8;
export const MIGRATE_PFN_SHIFT = 6;

// enum migrate_vma_direction
export const MIGRATE_VMA_SELECT_SYSTEM = 1;
export const MIGRATE_VMA_SELECT_DEVICE_PRIVATE = 2;
export const MIGRATE_VMA_SELECT_DEVICE_COHERENT = 4;

/** migrate_pfn_to_page(): 0 if the element names none. */
export function migrate_pfn_to_page(mpfn: number): Page {
  return (mpfn & MIGRATE_PFN_VALID) === 0 ? 0 : pfn_to_page(mpfn >>> MIGRATE_PFN_SHIFT);
}
export function migrate_pfn(pfn: number): number {
  return (pfn << MIGRATE_PFN_SHIFT) | MIGRATE_PFN_VALID;
}

/**
 * migrate_vma_check_page(), the first look at the count, when the page's entry is a migration entry already:
 * nobody but the mapping, the migration (one reference) and the fault that started it refers to the page. Of
 * device memory one more reference passes ("Page from ZONE_DEVICE have one extra reference", which from v5.18
 * on they have not), to v6.0 any number of a device-private page, "to avoid 2 racing thread trying to migrate
 * back to CPU to enter infinite loop" (zoo J46). The second look is folio_migrate_mapping()'s, and exact.
 * Read: v5.10 mm/migrate.c; v6.1, v6.12, v7.3.
 */
export function migrate_vma_check_page(page: Page, fault_page: Page): boolean {
  let extra = 1;
  if (page === fault_page && config.migrateFaultPage) extra++;
  if (is_zone_device_page(page)) {
    if (config.devicePrivateFault === FAULT_NO_REF) return is_device_private_page(page);
    extra++;
  }
  return page_ref_count(page) - extra <= READ_ONCE(page_word(page, PAGE._mapcount)) + 1;
}

/**
 * The check of migrate_page_move_mapping(), folio_migrate_mapping() for an anonymous page that no entry maps
 * any more: the references are exactly the caller's and, to v5.17, a device-private page's own
 * (27674ef6c73f); and the fault's, from v6.1.
 */
export function migrate_page_is_unused(page: Page, fault_page: Page): boolean {
  let expected = config.pgmapRefcounting === REFCOUNT_ONE_BASED && is_device_private_page(page) ? 2 : 1;
  if (page === fault_page && config.migrateFaultPage) expected++;
  return page_ref_count(page) === expected;
}

/** Whether the entry's page is of a kind that `flags` select and, if it is the device's, of `owner`. */
function selected(page: Page, e: number, flags: number, owner: number): boolean {
  if (is_device_private_entry(e))
    return (
      (flags & MIGRATE_VMA_SELECT_DEVICE_PRIVATE) !== 0 &&
      READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.owner) === owner
    );
  if (is_device_coherent_page(page))
    return (
      (flags & MIGRATE_VMA_SELECT_DEVICE_COHERENT) !== 0 &&
      READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.owner) === owner
    );
  return (flags & MIGRATE_VMA_SELECT_SYSTEM) !== 0 && !is_zone_device_page(page);
}

/** migrate_vma_collect_pmd() of one address: src[i]. Caller holds the page-table lock. */
function migrate_vma_collect_one(
  vma: Vma,
  addr: number,
  flags: number,
  owner: number,
  fault_page: Page,
): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const ptep = mm_find_pte(mm, addr);
  const e = ptep === 0 ? 0 : ptep_get(ptep);
  if (e === 0)
    // A hole of an anonymous area: the driver may put a page of its own there.
    return (flags & MIGRATE_VMA_SELECT_SYSTEM) !== 0 && READ_ONCE(vma + VMA.vm_file) === 0
      ? MIGRATE_PFN_MIGRATE
      : 0;
  // The zero page moves like a hole.
  if (pte_present(e) && pte_special(e))
    return (flags & MIGRATE_VMA_SELECT_SYSTEM) !== 0 ? MIGRATE_PFN_MIGRATE : 0;
  const page = entry_page(e);
  if (page === 0 || !selected(page, e, flags, owner)) return 0;
  get_page(page);
  // The fault that brought us here holds the lock already in its trylock form.
  const locked = page === fault_page && config.devicePrivateFault > 1;
  if (!locked && !trylock_page(page)) {
    put_page(page);
    return 0;
  }
  const write = entry_writable(e) ? MIGRATE_PFN_WRITE : 0;
  set_migration_entry(ptep, page);
  // The entry's reference; the one taken above stays.
  put_page(page);
  return migrate_pfn(page_to_pfn(page)) | MIGRATE_PFN_MIGRATE | write;
}

function release_source(page: Page, fault_page: Page): void {
  if (page !== fault_page || config.devicePrivateFault <= 1) unlock_page(page);
  put_page(page);
}

/** migrate_vma_unmap() and migrate_device_unmap(): what is in use otherwise is mapped again and not moved. */
function migrate_unmap_check(src: LocalArray, n: number, fault_page: Page): void {
  for (let i = 0; i < n; i++) {
    const page = migrate_pfn_to_page(src[i]);
    if (page === 0 || migrate_vma_check_page(page, fault_page)) continue;
    const vma = page_anon_vma(page);
    remove_migration_ptes(page, page, vma, page_anon_address(page));
    release_source(page, fault_page);
    src[i] = 0;
  }
}

/**
 * migrate_vma_setup(): src[i] says what of [start, end) can be moved; its entries are migration entries now.
 * Caller holds mmap_lock for reading. `owner` is told to notifiers, so that the device whose migration it is
 * can ignore it.
 */
export function migrate_vma_setup(
  vma: Vma,
  start: number,
  end: number,
  src: LocalArray,
  flags: number,
  owner: number,
  fault_page: Page,
): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  mmu_notifier_invalidate_range_start(mm, start, end, MMU_NOTIFY_MIGRATE, owner);
  spin_lock(mm + MM.page_table_lock);
  for (let addr = start; addr < end; addr++)
    src[addr - start] = migrate_vma_collect_one(vma, addr, flags, owner, fault_page);
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  migrate_unmap_check(src, end - start, fault_page);
}

/**
 * migrate_vma_insert_page(): a new page where nothing was mapped; false if something is now. Read: v5.10
 * mm/migrate.c; v6.1. Custom: notifiers are told of one address, in the kernel once of all from the first one
 * on; a table is made under the page-table lock. Stub: an entry is not made dirty; the LRU.
 */
function migrate_vma_insert_page(vma: Vma, addr: number, page: Page, owner: number): boolean {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  if (config.migrateInsertOwner)
    mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_MIGRATE, owner);
  else mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_CLEAR, 0);
  // "preceding stores to the page contents become visible before the set_pte_at() write"
  __SetPageUptodate(page);
  spin_lock(mm + MM.page_table_lock);
  const ptep = pgtable_alloc(mm, addr, 0);
  const e = ptep === 0 ? 1 : ptep_get(ptep);
  const free = e === 0 || (pte_present(e) && pte_special(e));
  if (free) {
    page_set_anon_place(page, vma, addr);
    get_page(page);
    atomic_inc(page_word(page, PAGE._mapcount));
    if (e !== 0) {
      // The zero page: ptep_clear_flush_notify().
      ptep_get_and_clear(ptep);
      flush_tlb_range();
    }
    set_pte_at(ptep, mk_page_entry(page, (READ_ONCE(vma + VMA.vm_flags) & VM_WRITE) !== 0));
  }
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  return free;
}

/**
 * migrate_page_move_mapping() of an anonymous page: `to` belongs where `from` did. The last look at the
 * count.
 */
function migrate_page_move_mapping(from: Page, to: Page, fault_page: Page): boolean {
  if (!migrate_page_is_unused(from, fault_page)) return false;
  WRITE_ONCE(page_word(to, PAGE.mapping), READ_ONCE(page_word(from, PAGE.mapping)));
  WRITE_ONCE(page_word(to, PAGE.index), READ_ONCE(page_word(from, PAGE.index)));
  page_clear_place(from);
  return true;
}

/**
 * migrate_vma_pages(): dst[i], a locked page with a reference and the contents of src[i], takes its place.
 * What cannot be moved loses MIGRATE_PFN_MIGRATE in src[i]. `vma` is 0 for migrate_device_pages(), which has
 * no holes.
 */
export function migrate_vma_pages(
  vma: Vma,
  start: number,
  n: number,
  src: LocalArray,
  dst: LocalArray,
  owner: number,
  fault_page: Page,
): void {
  for (let i = 0; i < n; i++) {
    const to = migrate_pfn_to_page(dst[i]);
    const from = migrate_pfn_to_page(src[i]);
    let moved = to !== 0 && (src[i] & MIGRATE_PFN_MIGRATE) !== 0;
    if (moved) {
      if (from === 0) moved = migrate_vma_insert_page(vma, start + i, to, owner);
      else moved = migrate_page_move_mapping(from, to, fault_page);
      // folio_migrate_flags(): anonymous pages are up to date always.
      if (moved && from !== 0) SetPageUptodate(to);
    }
    if (!moved) src[i] &= ~MIGRATE_PFN_MIGRATE;
  }
}

/** migrate_vma_finalize(): the page that won is mapped, the other one's references go. */
export function migrate_vma_finalize(n: number, src: LocalArray, dst: LocalArray, fault_page: Page): void {
  for (let i = 0; i < n; i++) {
    const to = migrate_pfn_to_page(dst[i]);
    const from = migrate_pfn_to_page(src[i]);
    const moved = (src[i] & MIGRATE_PFN_MIGRATE) !== 0 && to !== 0;
    if (from !== 0) {
      const winner = moved ? to : from;
      remove_migration_ptes(from, winner, page_anon_vma(winner), page_anon_address(winner));
      release_source(from, fault_page);
    }
    if (to !== 0) {
      unlock_page(to);
      put_page(to);
    }
  }
}

/**
 * migrate_device_range() and migrate_device_pfn_lock(): as migrate_vma_setup(), for the frames of a device
 * that goes away, with no area and no mmap_lock: found from the pages themselves.
 */
export function migrate_device_range(start_pfn: number, n: number, src: LocalArray): void {
  for (let i = 0; i < n; i++) {
    src[i] = 0;
    const page = pfn_to_page(start_pfn + i);
    if (!page_ref_add_unless(page, 1, 0)) continue;
    if (!trylock_page(page)) {
      put_page(page);
      continue;
    }
    if (try_to_migrate(page)) src[i] = migrate_pfn(start_pfn + i) | MIGRATE_PFN_MIGRATE;
    else {
      unlock_page(page);
      put_page(page);
    }
  }
  migrate_unmap_check(src, n, 0);
}

/**
 * unmap_and_move() of one anonymous page of System RAM (mm/migrate.c): its contents move to another frame and
 * the old one is freed. 0, -EAGAIN if somebody else refers to the page, -ENOMEM, -EBUSY if its lock is taken
 * or it is mapped nowhere.
 */
export function migrate_system_page(page: Page): number {
  if (!page_ref_add_unless(page, 1, 0)) return -EBUSY;
  if (!trylock_page(page)) {
    put_page(page);
    return -EBUSY;
  }
  let ret = -EBUSY;
  if (try_to_migrate(page)) {
    const vma = page_anon_vma(page);
    const addr = page_anon_address(page);
    const to = alloc_ram_page();
    ret = to === 0 ? -ENOMEM : -EAGAIN;
    if (to !== 0 && migrate_page_move_mapping(page, to, 0)) {
      copy_contents(page_address(to), page_address(page));
      SetPageUptodate(to);
      ret = 0;
    }
    remove_migration_ptes(page, ret === 0 ? to : page, vma, addr);
    if (to !== 0) put_page(to);
  }
  unlock_page(page);
  put_page(page);
  return ret;
}
