/**
 * A driver's own memory on machines with a page allocator: anonymous pages that it has taken into its memory,
 * which the CPU cannot reach (device-private, v4.14) or can (device-coherent, v6.0), and their way back to
 * System RAM: by a CPU's fault (do_swap_page(), the driver's migrate_to_ram()) or because somebody wants to
 * pin one for long (migrate_device_coherent_folio(), mm/migrate_device.c). What migrate_device.ts and
 * test_hmm_ioctl.ts are for the small machines that are explored.
 *
 * Custom: one page at a time; page locks are not taken, as in fault.ts; the driver's own page table is left
 * out. Not covered: huge pages of such memory, mprotect() of device-private entries.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { FAULT_NO_REF } from "../machine/knobs/hmm.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { alloc_device_page } from "./device_page.ts";
import type { DmirrorDevice } from "./dmirror.ts";
import { EBUSY, EFAULT, ENOMEM } from "./errno.ts";
import { fault_gfp, VM_FAULT_SIGBUS } from "./fault.ts";
import { lru_add_drain, lru_cache_add } from "./lru.ts";
import { isolate_lru_page, move_to_new_page, putback_lru_page } from "./migrate.ts";
import { migrate_page_is_unused, migrate_vma_check_page } from "./migrate_device.ts";
import { remove_migration_ptes, try_to_migrate } from "./migrate_entries.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { mmap_read_lock, mmap_read_unlock, vma_is_anonymous, vma_lookup } from "./mmap.ts";
import {
  get_page,
  is_zone_device_page,
  PAGE,
  type Page,
  PageAnon,
  PageCompound,
  page_count,
  page_word,
} from "./page.ts";
import { alloc_pages, GFP_USER } from "./page_alloc.ts";
import { PTE_LEVEL, pgtable_lookup, pte_present } from "./pgtable.ts";
import { page_mapped } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { vm_normal_page } from "./zap.ts";

/**
 * migrate_device_unmap() of one page, on which the caller has a reference: its entries become migration
 * entries. False if somebody else holds it, with the entries restored. `fault_page`: the page whose fault
 * this is, which holds one reference more.
 */
function device_unmap(page: Page, fault_page: Page): boolean {
  if (page_mapped(page)) try_to_migrate(page, false);
  // The second look comes after the driver's copy in the kernel, and here too before anything has changed.
  if (
    !page_mapped(page) &&
    migrate_vma_check_page(page, fault_page) &&
    migrate_page_is_unused(page, fault_page)
  )
    return true;
  remove_migration_ptes(page, page, false);
  return false;
}
/**
 * migrate_device_pages() and _finalize(): `fresh` has the contents and the place of `page`, which is
 * nobody's.
 */
function device_finalize(page: Page, fresh: Page): void {
  move_to_new_page(fresh, page, page_count(page));
  if (!is_zone_device_page(fresh)) lru_cache_add(fresh);
  remove_migration_ptes(page, fresh, false);
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
}

/**
 * migrate_device_coherent_folio() (v6.0: migrate_device_coherent_page()): to System RAM. The caller's
 * reference is used up. 0, or -EBUSY if somebody else holds the page or there is no memory.
 */
export function migrate_device_coherent_folio(page: Page): number {
  if (!device_unmap(page, 0)) {
    put_page(page);
    return -EBUSY;
  }
  const fresh = alloc_pages(GFP_USER, 0, -1);
  if (fresh === 0) remove_migration_ptes(page, page, false);
  else {
    device_finalize(page, fresh);
    put_page(fresh);
  }
  put_page(page);
  return fresh === 0 ? -EBUSY : 0;
}

/**
 * The driver's migrate_to_ram() (dmirror_devmem_fault()): VM_FAULT_SIGBUS without memory for the page; 0 also
 * if it had to stay because somebody holds it: the access faults again.
 */
function migrate_to_ram(page: Page, fault_page: Page, flags: number): number {
  get_page(page);
  let ret = 0;
  if (device_unmap(page, fault_page)) {
    const fresh = alloc_pages(fault_gfp(flags), 0, -1);
    if (fresh === 0) {
      remove_migration_ptes(page, page, false);
      ret = VM_FAULT_SIGBUS;
    } else {
      device_finalize(page, fresh);
      put_page(fresh);
    }
  }
  put_page(page);
  return ret;
}

/**
 * do_swap_page() of a device-private entry; the caller holds the page-table lock, which is dropped meanwhile.
 */
export function do_device_private_page(vma: Vma, page: Page, flags: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  // "Get a page reference while we know the page can't be freed." (v6.1)
  const fault_page = config.devicePrivateFault === FAULT_NO_REF ? 0 : page;
  if (fault_page !== 0) get_page(page);
  spin_unlock(mm + MM.page_table_lock);
  const ret = migrate_to_ram(page, fault_page, flags);
  if (fault_page !== 0) put_page(page);
  spin_lock(mm + MM.page_table_lock);
  return ret;
}

/** The anonymous page of System RAM that a PTE maps at addr, or 0. */
function ram_page_at(mm: Mm, addr: number): Page {
  const out = localArray(1);
  spin_lock(mm + MM.page_table_lock);
  let page: Page = 0;
  if (pgtable_lookup(mm, addr, out) === PTE_LEVEL && pte_present(READ_ONCE(out[0])))
    page = vm_normal_page(READ_ONCE(out[0]));
  spin_unlock(mm + MM.page_table_lock);
  if (page === 0 || !PageAnon(page) || PageCompound(page) || is_zone_device_page(page)) return 0;
  return page;
}

/**
 * HMM_DMIRROR_MIGRATE_TO_DEV of one page: the anonymous page at addr moves into the device's memory. 0;
 * -EFAULT if there is none that can, -EBUSY if somebody holds it, -ENOMEM if the device has no page left.
 */
export function migrate_to_device(mm: Mm, addr: number, mdevice: DmirrorDevice): number {
  mmap_read_lock(mm);
  const vma = vma_lookup(mm, addr);
  lru_add_drain();
  const page = vma !== 0 && vma_is_anonymous(vma) ? ram_page_at(mm, addr) : 0;
  let ret = page === 0 ? -EFAULT : 0;
  if (page !== 0 && !isolate_lru_page(page)) ret = -EBUSY;
  else if (page !== 0) {
    const fresh = device_unmap(page, 0) ? alloc_device_page(mdevice) : -EBUSY;
    if (fresh > 0) {
      device_finalize(page, fresh);
      put_page(fresh);
      put_page(page);
    } else {
      if (fresh === 0) remove_migration_ptes(page, page, false);
      putback_lru_page(page);
      ret = fresh === 0 ? -ENOMEM : fresh;
    }
  }
  mmap_read_unlock(mm);
  return ret;
}
