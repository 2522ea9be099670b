/**
 * handle_mm_fault() as far as a mirror device needs it, small enough to explore (*copy* of what mm/memory.c
 * does; the whole handler, with every kind of page, is fault.ts): anonymous memory, write faults on it,
 * migration entries, device-private and device-exclusive entries, and pages of a DAX device. do_swap_page()
 * of a device-private entry comes in the forms of config.devicePrivateFault (zoo J12, J46, J47).
 *
 * Not covered: swap, files of a page cache, huge faults of other memory than a DAX device's, NUMA hints.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { FAULT_NO_REF, FAULT_TRYLOCK, FAULT_WAIT } from "../machine/knobs/hmm.ts";
import {
  atomic_dec,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { srcu_read_lock, srcu_read_unlock } from "../machine/srcu.ts";
import { DEV_DAX } from "./dax.ts";
import { insert_dax } from "./dax_fault.ts";
import { pgmap_migrate_to_ram } from "./dmirror_devmem.ts";
import { migration_entry_wait, mm_find_pte } from "./migrate_entry.ts";
import { ADDRESS_SPACE, MM, type Mm, VM_SHARED, VM_WRITE, VMA, type Vma } from "./mm_types.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  __SetPageUptodate,
  get_page,
  PAGE,
  type Page,
  page_address,
  page_ref_count,
  page_to_pfn,
  page_word,
  pfn_to_page,
} from "./page.ts";
import { softleaf_entry_wait_on_locked, trylock_page, unlock_page } from "./pagemap.ts";
import { DEV_PAGEMAP, type Pgmap } from "./pgmap.ts";
import {
  _PAGE_SPECIAL,
  is_device_exclusive_entry,
  is_device_private_entry,
  is_migration_entry,
  PAGE_READONLY,
  PAGE_SHARED,
  pfn_pte,
  pgtable_alloc,
  pgtable_lookup,
  pmd_leaf,
  pte_mkwrite,
  pte_none,
  pte_pfn,
  pte_present,
  pte_special,
  pte_write,
  ptep_get,
  ptep_get_and_clear,
  set_pte_at,
  swp_offset,
} from "./pgtable.ts";
import { alloc_ram_page, copy_contents, page_set_anon_place } from "./ram_page.ts";
import { put_page } from "./swap.ts";
import { flush_tlb_range } from "./tlb.ts";

// enum vm_fault_reason
export const VM_FAULT_OOM = 1;
export const VM_FAULT_SIGBUS = 2;
export const VM_FAULT_RETRY = 0x400;
export const VM_FAULT_ERROR = 3;

/** Maps a new anonymous page at addr, unless something is mapped there by now. */
function do_anonymous_page(vma: Vma, addr: number, write: boolean): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const zero = !write && kernel.zero_pfn !== 0;
  const page = zero ? pfn_to_page(kernel.zero_pfn) : alloc_ram_page();
  if (page === 0) return VM_FAULT_OOM;
  // "preceding stores to the page contents become visible before the set_pte_at() write"
  if (!zero) __SetPageUptodate(page);
  spin_lock(mm + MM.page_table_lock);
  const ptep = pgtable_alloc(mm, addr, 0);
  if (ptep === 0 || !pte_none(ptep_get(ptep))) {
    spin_unlock(mm + MM.page_table_lock);
    if (!zero) put_page(page);
    return ptep === 0 ? VM_FAULT_OOM : 0;
  }
  if (zero) set_pte_at(ptep, pfn_pte(kernel.zero_pfn, PAGE_READONLY | _PAGE_SPECIAL));
  else {
    page_set_anon_place(page, vma, addr);
    WRITE_ONCE(page_word(page, PAGE._mapcount), 0);
    const writable = (READ_ONCE(vma + VMA.vm_flags) & VM_WRITE) !== 0;
    set_pte_at(ptep, pfn_pte(page_to_pfn(page), writable ? PAGE_SHARED : PAGE_READONLY));
  }
  spin_unlock(mm + MM.page_table_lock);
  return 0;
}

/** wp_page_copy(): a page of its own instead of the one that `old` maps. */
function wp_page_copy(vma: Vma, addr: number, old: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const from = pfn_to_page(pte_pfn(old));
  const page = alloc_ram_page();
  if (page === 0) return VM_FAULT_OOM;
  if (!pte_special(old)) copy_contents(page_address(page), page_address(from));
  __SetPageUptodate(page);
  mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_CLEAR, 0);
  spin_lock(mm + MM.page_table_lock);
  const ptep = mm_find_pte(mm, addr);
  const same = ptep !== 0 && ptep_get(ptep) === old;
  if (same) {
    ptep_get_and_clear(ptep);
    flush_tlb_range();
    if (!pte_special(old)) atomic_dec(page_word(from, PAGE._mapcount));
    page_set_anon_place(page, vma, addr);
    WRITE_ONCE(page_word(page, PAGE._mapcount), 0);
    set_pte_at(ptep, pfn_pte(page_to_pfn(page), PAGE_SHARED));
  }
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  if (!same) put_page(page);
  // The entry's reference, and the one that kept the source alive while it was copied.
  else if (!pte_special(old)) put_page(from);
  if (!pte_special(old)) put_page(from);
  return 0;
}

/**
 * do_wp_page(): the only user of an anonymous page writes to it, others get a copy. Read: v5.10, v6.1, v6.12,
 * v7.3. Custom: by the page's references in all versions; from v5.19 on an exclusive page (PageAnonExclusive)
 * is written by its one mapper whoever else holds it, as in fault.ts.
 */
function do_wp_page(vma: Vma, addr: number, e: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  spin_lock(mm + MM.page_table_lock);
  const ptep = mm_find_pte(mm, addr);
  if (ptep === 0 || ptep_get(ptep) !== e) {
    spin_unlock(mm + MM.page_table_lock);
    return 0;
  }
  const page = pfn_to_page(pte_pfn(e));
  // wp_page_shared(): nobody's copy is needed. (A device's area is the only shared one here.)
  const shared = kernel.dax_srcu !== 0 && (READ_ONCE(vma + VMA.vm_flags) & VM_SHARED) !== 0;
  if (shared || (!pte_special(e) && page_ref_count(page) === 1)) {
    set_pte_at(ptep, pte_mkwrite(e));
    spin_unlock(mm + MM.page_table_lock);
    return 0;
  }
  if (!pte_special(e)) get_page(page);
  spin_unlock(mm + MM.page_table_lock);
  return wp_page_copy(vma, addr, e);
}

/** do_swap_page() of a device-private entry: the driver brings the page home. */
function do_device_private(vma: Vma, addr: number, e: number): number {
  const page = pfn_to_page(swp_offset(e));
  if (config.devicePrivateFault === FAULT_NO_REF) return pgmap_migrate_to_ram(vma, addr, page, 0);
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  spin_lock(mm + MM.page_table_lock);
  const ptep = mm_find_pte(mm, addr);
  if (ptep === 0 || ptep_get(ptep) !== e) {
    spin_unlock(mm + MM.page_table_lock);
    return 0;
  }
  if (config.devicePrivateFault >= FAULT_TRYLOCK && !trylock_page(page)) {
    // v7.3 (b570f37a2ce4) sleeps, v6.15 (1afaeb8293c9) returns: the access faults again.
    if (config.devicePrivateFault === FAULT_WAIT)
      softleaf_entry_wait_on_locked(page, mm + MM.page_table_lock);
    else spin_unlock(mm + MM.page_table_lock);
    return 0;
  }
  // "Get a page reference while we know the page can't be freed."
  get_page(page);
  spin_unlock(mm + MM.page_table_lock);
  const ret = pgmap_migrate_to_ram(vma, addr, page, page);
  if (config.devicePrivateFault >= FAULT_TRYLOCK) unlock_page(page);
  put_page(page);
  return ret;
}

/**
 * remove_device_exclusive_entry(): the device loses its exclusive access, the page is mapped again. Read:
 * v6.1, v6.12, v7.3. Custom: without a reference and a lock of the page, which keep it from being migrated
 * meanwhile; announced as MMU_NOTIFY_CLEAR as in v7.3, where v6.1 and v6.12 have MMU_NOTIFY_EXCLUSIVE without
 * an owner; written by the area's right alone, dirty or not.
 */
function remove_device_exclusive_entry(vma: Vma, addr: number, e: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const page: Page = pfn_to_page(swp_offset(e));
  mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_CLEAR, 0);
  spin_lock(mm + MM.page_table_lock);
  const ptep = mm_find_pte(mm, addr);
  if (ptep !== 0 && ptep_get(ptep) === e) {
    const writable = (READ_ONCE(vma + VMA.vm_flags) & VM_WRITE) !== 0;
    set_pte_at(ptep, pfn_pte(page_to_pfn(page), writable ? PAGE_SHARED : PAGE_READONLY));
  }
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  return 0;
}

/** log2 of the pages that a leaf of the area's device maps; 0: its entries are PTEs. */
function dax_align(vma: Vma): number {
  if (geom.levels === 1) return 0;
  const file = READ_ONCE(vma + VMA.vm_file);
  return file === 0 ? 0 : READ_ONCE(file + ADDRESS_SPACE.align);
}

/** vmf_insert_pfn_pmd(), vmf_insert_pfn_pud() of what is mapped by now: a write makes it writable. */
function dax_leaf_mkwrite(mm: Mm, addr: number): void {
  const entryp = localArray(1);
  spin_lock(mm + MM.page_table_lock);
  pgtable_lookup(mm, addr, entryp);
  const e = READ_ONCE(entryp[0]);
  if (pmd_leaf(e)) set_pte_at(entryp[0], pte_mkwrite(e));
  spin_unlock(mm + MM.page_table_lock);
}

/** insert_pfn(), insert_pfn_pmd(): false if no table is left or something is mapped there. */
function insert_pfn(vma: Vma, addr: number, pfn: number, level: number): boolean {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  spin_lock(mm + MM.page_table_lock);
  const entryp = pgtable_alloc(mm, addr, level);
  const free = entryp !== 0 && pte_none(READ_ONCE(entryp));
  if (free) insert_dax(vma, entryp, pfn, level, true);
  spin_unlock(mm + MM.page_table_lock);
  return free;
}

/**
 * dev_dax_huge_fault(): the device's frames in a leaf of its granularity, or SIGBUS if the device is going
 * away.
 */
function dev_dax_fault(vma: Vma, address: number, write: boolean): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const dev = READ_ONCE(vma + VMA.vm_private_data);
  const shift = dax_align(vma);
  const addr = address - (address & ((1 << shift) - 1));
  const id = srcu_read_lock(kernel.dax_srcu);
  let ret = VM_FAULT_SIGBUS;
  if (READ_ONCE(READ_ONCE(dev + DEV_DAX.mapping) + ADDRESS_SPACE.alive) !== 0) {
    const pgmap: Pgmap = READ_ONCE(dev + DEV_DAX.pgmap);
    const pgoff = addr - READ_ONCE(vma + VMA.vm_start) + READ_ONCE(vma + VMA.vm_pgoff);
    const pfn = READ_ONCE(pgmap + DEV_PAGEMAP.start) + pgoff;
    // vmf_insert_mixed() of something that is mapped by now is VM_FAULT_NOPAGE.
    const inserted = insert_pfn(vma, addr, pfn, (shift / geom.table_shift) | 0);
    if (shift !== 0 && write && !inserted) dax_leaf_mkwrite(mm, addr);
    ret = 0;
  }
  srcu_read_unlock(kernel.dax_srcu, id);
  return ret;
}

/**
 * One fault at addr of the area: 0, or VM_FAULT_*. Caller holds mmap_lock for reading; the access is then
 * tried again.
 */
export function handle_mm_fault(vma: Vma, addr: number, write: boolean): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  // Behind a leaf there is no PTE: create_huge_pmd(), wp_huge_pmd() and their kin ask the device.
  const ptep = mm_find_pte(mm, addr);
  const e = ptep === 0 ? 0 : ptep_get(ptep);
  if (pte_none(e)) {
    if (kernel.dax_srcu && READ_ONCE(vma + VMA.vm_private_data) !== 0) return dev_dax_fault(vma, addr, write);
    return do_anonymous_page(vma, addr, write);
  }
  if (pte_present(e)) {
    if (write && !pte_write(e)) return do_wp_page(vma, addr, e);
    return 0;
  }
  if (is_migration_entry(e)) {
    migration_entry_wait(mm, ptep);
    return 0;
  }
  if (kernel.device_private && is_device_private_entry(e)) return do_device_private(vma, addr, e);
  if (kernel.device_private && is_device_exclusive_entry(e))
    return remove_device_exclusive_entry(vma, addr, e);
  return VM_FAULT_SIGBUS;
}
