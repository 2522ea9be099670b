/**
 * Putting pages: put_page() and what the last reference does (mm/swap.c, include/linux/mm.h; v5.10 and
 * v5.18). Device pages do not go to the page allocator: to v5.17 the count of one that is idle is 1 and its
 * last put drops the pagemap's share; from v5.18 (27674ef6c73f) it is reset to 1 by the free.
 *
 * Not covered: LRU lists, memory cgroups, and the page allocator's lists: a freed page of System RAM has its
 * contents poisoned if config.pageRegions says so, and that is all (*stub*: nobody can allocate it again).
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { REFCOUNT_ONE_BASED } from "../machine/knobs/gup.ts";
import { assert, kfree, READ_ONCE, WRITE_ONCE, wake_up_var } from "../machine/primitives.ts";
import { free_device_page } from "./device_page.ts";
import { is_pci_p2pdma_page, p2pdma_page_free } from "./p2pdma_page.ts";
import {
  compound_head,
  compound_nr,
  is_zone_device_page,
  nth_page,
  PAGE,
  type Page,
  PG_buddy,
  page_address,
  page_pgmap,
  page_ref_sub,
  page_ref_sub_return,
  page_word,
  put_page_testzero,
  SetPageFlag,
  set_page_count,
} from "./page.ts";
import {
  DEV_PAGEMAP,
  MEMORY_DEVICE_COHERENT,
  MEMORY_DEVICE_FS_DAX,
  MEMORY_DEVICE_PRIVATE,
  put_dev_pagemap,
} from "./pgmap.ts";
import { release_page } from "./release_page.ts";

/** Word to wait on for wait_page_idle() (wait_var_event(&page->_refcount)). */
export function page_idle_word(page: Page): number {
  return page_word(page, PAGE._refcount);
}

/** free_unref_page() and __free_pages_ok(): contents poisoned, struct pages stay valid. */
function free_the_page(head: Page): void {
  if (!config.pageRegions) return;
  const nr = compound_nr(head);
  for (let i = 0; i < nr; i++) kfree(page_address(nth_page(head, i)));
  // In the free lists from now on; offlining memory waits for that (mm/memory_hotplug.ts).
  if (kernel.mem_section) SetPageFlag(head, PG_buddy);
}

/**
 * free_zone_device_page() (v5.18), free_zone_device_folio(): a device page whose count reached zero is handed
 * to its driver, or counts 1 again. Read: v6.1, v6.12, v7.3. Custom: v6.1 and v6.12 warn of a page whose
 * pagemap has no page_free(), as those of device-dax have none, and leave it at 0; nobody gets there without
 * dropping a reference that is not his.
 */
function free_zone_device_page(page: Page): void {
  if (kernel.p2pdma !== 0 && is_pci_p2pdma_page(page)) {
    p2pdma_page_free(page);
    return;
  }
  const type = READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.type);
  if (kernel.device_private !== 0 && (type === MEMORY_DEVICE_PRIVATE || type === MEMORY_DEVICE_COHERENT)) {
    free_device_page(page);
    return;
  }
  // From v6.15 an idle fsdax page counts 0: whoever waits for it to be idle is told.
  if (config.pteRef && type === MEMORY_DEVICE_FS_DAX) {
    wake_up_var(page_idle_word(page));
    return;
  }
  if (!config.pteRef) WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  set_page_count(page, 1);
}

/** __put_page(), __folio_put(): what the last reference does. Read: v5.10, v6.1, v6.12, v7.3. */
export function __put_page(head: Page): void {
  if (is_zone_device_page(head)) {
    // "The page belongs to the device that created pgmap. Do not return it to page allocator."
    if (config.pgmapRefcounting === REFCOUNT_ONE_BASED) put_dev_pagemap(page_pgmap(head));
    else free_zone_device_page(head);
    return;
  }
  if (kernel.zones !== 0) release_page(head);
  else free_the_page(head);
}

/**
 * Static key devmap_managed_key on, and a pagemap of a type that wants to know when a page counts 1: fsdax,
 * to v5.17 also a driver's private memory. None from v6.15 on. Read: v5.10, v6.1, v6.12.
 */
function page_is_devmap_managed(head: Page): boolean {
  const private_too = kernel.device_private !== 0 && config.pgmapRefcounting === REFCOUNT_ONE_BASED;
  if (!kernel.devmap_managed_key && !private_too) return false;
  if (!is_zone_device_page(head)) return false;
  const type = READ_ONCE(page_pgmap(head) + DEV_PAGEMAP.type);
  return type === MEMORY_DEVICE_FS_DAX || (private_too && type === MEMORY_DEVICE_PRIVATE);
}

/** free_devmap_managed_page() (to v5.17) of a private page; of another one who waits for it is told. */
function devmap_page_idle(head: Page): void {
  const private_too = kernel.device_private !== 0 && config.pgmapRefcounting === REFCOUNT_ONE_BASED;
  if (private_too && READ_ONCE(page_pgmap(head) + DEV_PAGEMAP.type) === MEMORY_DEVICE_PRIVATE)
    free_device_page(head);
  else wake_up_var(page_idle_word(head));
}

/**
 * put_devmap_managed_page(), put_devmap_managed_page_refs(): idle is a count of 1. Read: v5.10, v6.1, v6.12.
 */
function put_devmap_managed_page(head: Page, refs: number): void {
  const count = page_ref_sub_return(head, refs);
  if (count === 1) devmap_page_idle(head);
  else if (count === 0 && config.pgmapRefcounting === REFCOUNT_ONE_BASED) __put_page(head);
}

/** put_page(): drops one reference on the page's head. Read: v5.10, v6.1, v6.12, v7.3. */
export function put_page(page: Page): void {
  const head = compound_head(page);
  if (page_is_devmap_managed(head)) put_devmap_managed_page(head, 1);
  else if (put_page_testzero(head)) __put_page(head);
}

/**
 * Drops `refs` references on a head: put_page_refs() (v5.14), folio_put_refs() (v5.17). Read: v5.10, v6.1,
 * v6.12, v7.3.
 */
export function put_page_refs(head: Page, refs: number): void {
  assert(refs > 0, "put_page_refs() of no references");
  if (config.pgmapRefcounting === REFCOUNT_ONE_BASED) {
    // "Calling put_page() for each ref is unnecessarily slow. Only the last ref needs a put_page()."
    if (refs > 1) page_ref_sub(head, refs - 1);
    put_page(head);
  } else if (page_is_devmap_managed(head)) put_devmap_managed_page(head, refs);
  else if (page_ref_sub_return(head, refs) === 0) __put_page(head);
}
