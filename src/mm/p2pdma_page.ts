/**
 * Pages of peer-to-peer memory (MEMORY_DEVICE_PCI_P2PDMA; include/linux/memremap.h, drivers/pci/p2pdma.c):
 * telling them, refusing them, and giving one back to its pool. Apart from p2pdma.ts because GUP and
 * put_page() need no more.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";
import {
  is_zone_device_page,
  PAGE,
  type Page,
  page_pgmap,
  page_to_pfn,
  page_word,
  set_page_count,
} from "./page.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_PCI_P2PDMA, type Pgmap, put_dev_pagemap } from "./pgmap.ts";

export type P2pdma = Ptr<"pci_p2pdma">;

/**
 * pgmap; mapping: the address_space of p2pmem/allocate; pool: address of a word per page, 1 if it is given
 * out.
 */
export const P2PDMA = struct("pci_p2pdma", ["pgmap", "mapping", "pool"]);

/**
 * is_pci_p2pdma_page(): before any reference is held, as GUP asks it (the entry is all that keeps the page).
 */
export function is_pci_p2pdma_page(page: Page): boolean {
  return (
    is_zone_device_page(page) && READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.type) === MEMORY_DEVICE_PCI_P2PDMA
  );
}

/** The flag is missing for the page: GUP must not take it (to v6.1 nothing maps such pages). */
export function p2pdma_refused(page: Page, allowed: boolean): boolean {
  if (kernel.p2pdma === 0 || !config.pciP2pdma) return false;
  return !allowed && is_pci_p2pdma_page(page);
}

/** gen_pool_free_owner(). */
export function pool_free(p2pdma: P2pdma, first: number, nr: number): void {
  for (let i = first; i < first + nr; i++) WRITE_ONCE(READ_ONCE(p2pdma + P2PDMA.pool) + i, 0);
}

/** p2pdma_page_free(): nobody refers to the page any more. */
export function p2pdma_page_free(page: Page): void {
  const pgmap: Pgmap = page_pgmap(page);
  pool_free(
    READ_ONCE(pgmap + DEV_PAGEMAP.owner),
    page_to_pfn(page) - READ_ONCE(pgmap + DEV_PAGEMAP.start),
    1,
  );
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  // "Reset the refcount to 1 to prepare for handing out the page again."
  if (!config.pteRef) set_page_count(page, 1);
  put_dev_pagemap(pgmap);
}
