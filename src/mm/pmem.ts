/**
 * How a pmem block device goes (drivers/nvdimm/pmem.c, block/genhd.c, block/blk-core.c; v5.10 to
 * 3dd60fb9d95d): its disk, then, as a later action, its pagemap. Before that commit the pagemap borrows the
 * request queue's q_usage_count as its reference (config.percpuRef external), so every page of the device
 * counts as use of the queue (zoo J48).
 *
 * Custom: freezing is percpu_ref_kill() and a wait until the count is zero; nothing unfreezes. Not covered:
 * the queue's own end, blk_cleanup_queue(), which comes last.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { READ_ONCE } from "../machine/primitives.ts";
import { memunmap_pages, wait_ref_is_zero } from "./memremap.ts";
import {
  type PercpuRef,
  percpu_ref_kill,
  percpu_ref_put,
  percpu_ref_tryget_live,
} from "./percpu-refcount.ts";
import { DEV_PAGEMAP, type Pgmap } from "./pgmap.ts";

/**
 * One block I/O: holds the queue from blk_queue_enter() to blk_queue_exit(). False if the queue is frozen or
 * going away.
 */
export function pmem_submit_bio(q_usage_count: PercpuRef): boolean {
  if (!percpu_ref_tryget_live(q_usage_count)) return false;
  percpu_ref_put(q_usage_count);
  return true;
}

/** del_gendisk(): no new I/O; with config.delGendiskWaits it returns when nobody uses the queue any more. */
function del_gendisk(q_usage_count: PercpuRef): void {
  if (!config.delGendiskWaits) return;
  percpu_ref_kill(q_usage_count);
  wait_ref_is_zero(q_usage_count);
}

/** nd_pmem_remove() and the actions behind it: the disk, then the struct pages. */
export function pmem_remove(pgmap: Pgmap, q_usage_count: PercpuRef): void {
  del_gendisk(q_usage_count);
  // A pagemap without a reference was never bound.
  if (READ_ONCE(pgmap + DEV_PAGEMAP.ref) !== 0) memunmap_pages(pgmap);
}
