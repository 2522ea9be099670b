/**
 * What the mirror device does with its own memory (lib/test_hmm.c): the migrate_to_ram() callback of a CPU
 * fault on a device-private page, and bringing every page home before the memory goes
 * (dmirror_device_evict_chunk(), v6.1).
 */
"use kernel";

import { type LocalArray, localArray, READ_ONCE, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { DMIRROR, type Dmirror, type DmirrorDevice, dmirror_do_update } from "./dmirror.ts";
import {
  MIGRATE_PFN_MIGRATE,
  MIGRATE_VMA_SELECT_DEVICE_COHERENT,
  MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
  migrate_device_range,
  migrate_pfn,
  migrate_pfn_to_page,
  migrate_vma_finalize,
  migrate_vma_pages,
  migrate_vma_setup,
} from "./migrate_device.ts";
import type { Vma } from "./mm_types.ts";
import { PAGE, type Page, page_address, page_pgmap, page_to_pfn, page_word } from "./page.ts";
import { lock_page } from "./pagemap.ts";
import { DEV_PAGEMAP, type Pgmap } from "./pgmap.ts";
import { alloc_ram_page, copy_contents } from "./ram_page.ts";

// pgmap->ops, as a number.
export const DEV_PAGEMAP_OPS_DMIRROR = 1;
/** VM_FAULT_SIGBUS */
const VM_FAULT_SIGBUS = 2;

/** Frames that are brought home at a time. */
export const DMIRROR_CHUNK = 4;

/**
 * xa_erase(&dmirror->pt): the device that put the page there, page->zone_device_data, loses its translation;
 * its callback ignores its own device's migrations. Custom: under the mutex, where the kernel's test driver
 * relies on the xarray's lock.
 */
function dmirror_forget(page: Page): void {
  const dmirror: Dmirror = READ_ONCE(page_word(page, PAGE.private));
  if (dmirror === 0) return;
  const addr = READ_ONCE(page_word(page, PAGE.index));
  spin_lock(dmirror + DMIRROR.mutex);
  dmirror_do_update(dmirror, addr, addr + 1);
  spin_unlock(dmirror + DMIRROR.mutex);
}

/**
 * dmirror_devmem_fault_alloc_and_copy(): a locked page of System RAM with the contents, for each page that
 * moves.
 */
function alloc_and_copy_home(n: number, src: LocalArray, dst: LocalArray): void {
  for (let i = 0; i < n; i++) {
    dst[i] = 0;
    const from = migrate_pfn_to_page(src[i]);
    if (from === 0 || (src[i] & MIGRATE_PFN_MIGRATE) === 0) continue;
    const to = alloc_ram_page();
    if (to === 0) continue;
    lock_page(to);
    dmirror_forget(from);
    copy_contents(page_address(to), page_address(from));
    dst[i] = migrate_pfn(page_to_pfn(to));
  }
}

/**
 * Moves the device's pages of [start, end) home; the frames are src[]'s. Caller holds mmap_lock for reading.
 */
export function dmirror_migrate_home(
  vma: Vma,
  start: number,
  end: number,
  mdevice: DmirrorDevice,
  src: LocalArray,
  dst: LocalArray,
  fault_page: Page,
): void {
  const flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_DEVICE_COHERENT;
  migrate_vma_setup(vma, start, end, src, flags, mdevice, fault_page);
  alloc_and_copy_home(end - start, src, dst);
  migrate_vma_pages(vma, start, end - start, src, dst, mdevice, fault_page);
  migrate_vma_finalize(end - start, src, dst, fault_page);
}

/** dmirror_devmem_fault(): 0, or VM_FAULT_SIGBUS if there is no memory for the page. */
export function dmirror_devmem_fault(vma: Vma, addr: number, page: Page, fault_page: Page): number {
  const src = localArray(1);
  const dst = localArray(1);
  const pgmap: Pgmap = page_pgmap(page);
  const mdevice: DmirrorDevice = READ_ONCE(pgmap + DEV_PAGEMAP.owner);
  dmirror_migrate_home(vma, addr, addr + 1, mdevice, src, dst, fault_page);
  return src[0] !== 0 && dst[0] === 0 ? VM_FAULT_SIGBUS : 0;
}

/** dmirror_device_evict_chunk(): no page of the range is mapped afterwards, unless somebody else holds it. */
export function dmirror_device_evict_chunk(pgmap: Pgmap): void {
  const src = localArray(DMIRROR_CHUNK);
  const dst = localArray(DMIRROR_CHUNK);
  const start = READ_ONCE(pgmap + DEV_PAGEMAP.start);
  const nr = READ_ONCE(pgmap + DEV_PAGEMAP.nr);
  for (let done = 0; done < nr; done += DMIRROR_CHUNK) {
    const n = nr - done < DMIRROR_CHUNK ? nr - done : DMIRROR_CHUNK;
    migrate_device_range(start + done, n, src);
    alloc_and_copy_home(n, src, dst);
    migrate_vma_pages(0, 0, n, src, dst, 0, 0);
    migrate_vma_finalize(n, src, dst, 0);
  }
}

/** page->pgmap->ops->migrate_to_ram(): whoever calls this must know that the page's pagemap is alive. */
export function pgmap_migrate_to_ram(vma: Vma, addr: number, page: Page, fault_page: Page): number {
  const pgmap: Pgmap = page_pgmap(page);
  const ops = READ_ONCE(pgmap + DEV_PAGEMAP.ops);
  if (ops !== DEV_PAGEMAP_OPS_DMIRROR) return VM_FAULT_SIGBUS;
  return dmirror_devmem_fault(vma, addr, page, fault_page);
}
