/**
 * struct dev_pagemap and its references (include/linux/memremap.h; get_dev_pagemap() of mm/memremap.c,
 * v5.10). A pagemap describes a range of device frames; pgmap_array finds it from a frame number. Custom:
 * pgmap_array is an array with a word per 2^geom.pgmap_shift frames instead of an xarray (a lookup is one
 * dependent load, as fast as an xarray can be), and a pagemap has one range.
 */
"use kernel";

import { geom, kernel } from "../machine/config.ts";
import { READ_ONCE, rcu_dereference, rcu_read_lock, rcu_read_unlock } from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";
import { percpu_ref_put, percpu_ref_tryget_live } from "./percpu-refcount.ts";

export type Pgmap = Ptr<"dev_pagemap">;

/**
 *  ref            address of the percpu_ref: of internal_ref, or of one that the driver gave (to v5.16)
 *  done           struct completion, completed when ref is released
 *  vmemmap_shift  order of the compound pages that the range is made of (v5.17, c4386bd8ee3a); 0: single
 *                 pages
 *  start, nr      the range, in page frames
 *  internal_ref, internal_ref_data   struct percpu_ref
 *  owner, ops     of device-private and -coherent memory: whose it is, and which driver's callbacks (a
 *                 number)
 */
export const DEV_PAGEMAP = struct("dev_pagemap", [
  "ref",
  "done",
  "type",
  "flags",
  "vmemmap_shift",
  "start",
  "nr",
  "internal_ref",
  "internal_ref_data",
  "owner",
  "ops",
]);

// enum memory_type, v5.10.
export const MEMORY_DEVICE_PRIVATE = 1;
export const MEMORY_DEVICE_FS_DAX = 2;
export const MEMORY_DEVICE_GENERIC = 3;
export const MEMORY_DEVICE_PCI_P2PDMA = 4;
/** v6.0, f25cbb7a95a2. */
export const MEMORY_DEVICE_COHERENT = 5;

/** pgmap->flags of the RFC of December 2020: the range consists of compound pages. */
export const PGMAP_COMPOUND = 2;

/** The word of pgmap_array that stands for a frame. */
export function pgmap_slot(pfn: number): number {
  return kernel.pgmap_array + (pfn >> geom.pgmap_shift);
}

/** Read: v5.10, v6.1, v6.12, v7.3. */
export function put_dev_pagemap(pgmap: Pgmap): void {
  if (pgmap !== 0) percpu_ref_put(READ_ONCE(pgmap + DEV_PAGEMAP.ref));
}

/**
 * The pagemap of a frame with a live reference, or 0. With `pgmap` (held by the caller) it is returned as
 * it is if the frame lies in it, and put otherwise: a loop over frames looks up once. Read: v5.10, v6.1,
 * v6.12, v7.3. Custom: the ref is found through pgmap->ref also where it lies in the pagemap (from v5.17
 * on), which is one load more; v7.3 has no pagemap to keep (no such argument).
 */
export function get_dev_pagemap(pfn: number, pgmap: Pgmap): Pgmap {
  if (pgmap !== 0) {
    const first = READ_ONCE(pgmap + DEV_PAGEMAP.start);
    if (pfn >= first && pfn < first + READ_ONCE(pgmap + DEV_PAGEMAP.nr)) return pgmap;
    put_dev_pagemap(pgmap);
  }
  rcu_read_lock();
  let found: Pgmap = rcu_dereference(pgmap_slot(pfn));
  if (found !== 0 && !percpu_ref_tryget_live(READ_ONCE(found + DEV_PAGEMAP.ref))) found = 0;
  rcu_read_unlock();
  return found;
}
