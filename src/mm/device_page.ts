/**
 * Pages of device-private and device-coherent memory: how one that is unused becomes used, and what its last
 * reference does (mm/memremap.c: zone_device_page_init(), free_devmap_managed_page(),
 * free_zone_device_page()). The driver's page_free() puts the frame on the device's own list.
 *
 *             unused page counts   a used page holds a pagemap reference
 *   to v5.17          1            each page does, used or not
 *   v5.18 to v6.0     1            no (27674ef6c73f)
 *   v6.1              0            yes (ef233450898f, 0dc45ca1ce18): config.devicePrivateRef
 *
 * Custom: the driver is found through pgmap->owner.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { REFCOUNT_ONE_BASED } from "../machine/knobs/gup.ts";
import { READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { DMIRROR_DEVICE, type DmirrorDevice } from "./dmirror.ts";
import {
  ClearPageFlag,
  get_page,
  PAGE,
  type Page,
  PG_anon_exclusive,
  page_pgmap,
  page_to_pfn,
  page_word,
  pfn_to_page,
  set_page_count,
} from "./page.ts";
import { percpu_ref_tryget_live } from "./percpu-refcount.ts";
import { DEV_PAGEMAP, type Pgmap, put_dev_pagemap } from "./pgmap.ts";

/**
 * dmirror_devmem_alloc_page() up to the lock: a page of the device's memory with a reference, or 0.
 * zone_device_page_init() of v6.1 on. Read: v6.1, v6.12, v7.3. Custom: a page whose pagemap is dying is
 * refused, where the kernel warns and goes on without a reference; v7.3 takes any reference
 * (percpu_ref_tryget_many()), not only a live one.
 */
export function alloc_device_page(mdevice: DmirrorDevice): Page {
  spin_lock(mdevice + DMIRROR_DEVICE.lock);
  const fails = READ_ONCE(mdevice + DMIRROR_DEVICE.alloc_fails);
  const nr = READ_ONCE(mdevice + DMIRROR_DEVICE.nr_free);
  if (fails !== 0 || nr === 0) {
    if (fails !== 0) WRITE_ONCE(mdevice + DMIRROR_DEVICE.alloc_fails, fails - 1);
    spin_unlock(mdevice + DMIRROR_DEVICE.lock);
    return 0;
  }
  const page = pfn_to_page(READ_ONCE(READ_ONCE(mdevice + DMIRROR_DEVICE.free_list) + nr - 1));
  WRITE_ONCE(mdevice + DMIRROR_DEVICE.nr_free, nr - 1);
  spin_unlock(mdevice + DMIRROR_DEVICE.lock);
  if (config.devicePrivateRef) {
    // "Drivers shouldn't be allocating pages after calling memunmap_pages()." (WARN_ON)
    if (!percpu_ref_tryget_live(READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.ref))) return 0;
    set_page_count(page, 1);
  } else if (config.pgmapRefcounting === REFCOUNT_ONE_BASED) get_page(page);
  return page;
}

/** dmirror_devmem_free(): the driver's page_free(). */
function dmirror_devmem_free(page: Page, pgmap: Pgmap): void {
  const mdevice: DmirrorDevice = READ_ONCE(pgmap + DEV_PAGEMAP.owner);
  spin_lock(mdevice + DMIRROR_DEVICE.lock);
  const nr = READ_ONCE(mdevice + DMIRROR_DEVICE.nr_free);
  WRITE_ONCE(READ_ONCE(mdevice + DMIRROR_DEVICE.free_list) + nr, page_to_pfn(page));
  WRITE_ONCE(mdevice + DMIRROR_DEVICE.nr_free, nr + 1);
  spin_unlock(mdevice + DMIRROR_DEVICE.lock);
}

/**
 * free_zone_device_page() before the driver has the page again: "ClearPageAnonExclusive" where that exists
 * (v5.19). Read: v6.1, v6.12, v7.3. Stub: the memory cgroup is not told.
 */
function forget_user(page: Page): void {
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  if (kernel.zones !== 0) ClearPageFlag(page, PG_anon_exclusive);
}

/**
 * What the last user's reference of a device-private or -coherent page does: the driver has it back.
 * free_devmap_managed_page() (to v5.17, where an unused page counts 1), free_zone_device_page(). The pagemap
 * is looked at only now: who drops another reference does not. Read: v5.10, v6.1, v6.12, v7.3. Custom: v6.1
 * and v6.12 read page->pgmap again once the driver has the page.
 */
export function free_device_page(page: Page): void {
  const pgmap: Pgmap = page_pgmap(page);
  forget_user(page);
  dmirror_devmem_free(page, pgmap);
  if (config.pgmapRefcounting === REFCOUNT_ONE_BASED) return;
  if (config.devicePrivateRef) put_dev_pagemap(pgmap);
  else set_page_count(page, 1);
}
