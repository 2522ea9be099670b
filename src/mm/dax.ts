/**
 * Binding and unbinding a DAX device (drivers/dax/bus.c, drivers/dax/device.c, drivers/nvdimm/pmem.c).
 * Unbinding runs the device's actions in reverse: kill_dev_dax() removes the mappings through the file, then
 * memunmap_pages() removes the struct pages. With config.unbindUnmaps off it is fsdax to v5.19: the file
 * system stays mounted, and the struct pages go while page-table entries still name them.
 *
 * Faults are in hmm_fault.ts; machines without them have no dax_srcu, whose grace period keeps a fault from
 * mapping a page behind kill_dev_dax()'s back. Not covered: the notification of a file system at removal
 * (MF_MEM_PRE_REMOVE).
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { READ_ONCE, smp_cond_load_acquire_eq, WRITE_ONCE } from "../machine/primitives.ts";
import { synchronize_srcu } from "../machine/srcu.ts";
import { type Ptr, struct } from "../machine/struct.ts";
import {
  initial_page_count,
  memremap_pages,
  memunmap_pages_begin,
  memunmap_pages_finish,
} from "./memremap.ts";
import { ADDRESS_SPACE } from "./mm_types.ts";
import { pfn_to_page } from "./page.ts";
import { DEV_PAGEMAP, type Pgmap } from "./pgmap.ts";
import { page_idle_word } from "./swap.ts";
import { unmap_mapping_pages } from "./zap.ts";

export type DevDax = Ptr<"dev_dax">;

/** pgmap, and the address_space of the device's inode, which also has DAXDEV_ALIVE. */
export const DEV_DAX = struct("dev_dax", ["pgmap", "mapping"]);

function dax_alive_word(dev_dax: DevDax): number {
  return READ_ONCE(dev_dax + DEV_DAX.mapping) + ADDRESS_SPACE.alive;
}

/** Gives the device's memory struct pages; false if that failed. */
export function dev_dax_probe(dev_dax: DevDax): boolean {
  if (!memremap_pages(READ_ONCE(dev_dax + DEV_DAX.pgmap))) return false;
  // run_dax()
  WRITE_ONCE(dax_alive_word(dev_dax), 1);
  return true;
}

/** dax_break_layout()'s wait for every page of the device; its mappings are gone. */
function wait_pages_idle(pgmap: Pgmap): void {
  const start = READ_ONCE(pgmap + DEV_PAGEMAP.start);
  const nr = READ_ONCE(pgmap + DEV_PAGEMAP.nr);
  const step = 1 << READ_ONCE(pgmap + DEV_PAGEMAP.vmemmap_shift);
  const idle = initial_page_count(pgmap);
  for (let i = 0; i < nr; i += step) smp_cond_load_acquire_eq(page_idle_word(pfn_to_page(start + i)), idle);
}

/** kill_dev_dax(): no new mappings, and the ones that exist are removed. */
export function kill_dev_dax(dev_dax: DevDax): void {
  WRITE_ONCE(dax_alive_word(dev_dax), 0);
  // dax_synchronize: a fault that saw the device alive has mapped its page by now, and the page goes with the
  // others.
  if (kernel.dax_srcu && config.daxSrcu) synchronize_srcu(kernel.dax_srcu);
  if (!config.unbindUnmaps) return;
  unmap_mapping_pages(READ_ONCE(dev_dax + DEV_DAX.mapping), 0, 0, true);
  if (config.unbindWaitsIdle) wait_pages_idle(READ_ONCE(dev_dax + DEV_DAX.pgmap));
}

/**
 * The device's actions up to where they wait for references on its pagemap: unregister_dev_dax(), and
 * memunmap_pages() as far as percpu_ref_kill().
 */
export function dev_dax_unbind_begin(dev_dax: DevDax): void {
  kill_dev_dax(dev_dax);
  memunmap_pages_begin(READ_ONCE(dev_dax + DEV_DAX.pgmap));
}
/** The rest: waits until the last reference is gone, then the struct pages go. */
export function dev_dax_unbind_finish(dev_dax: DevDax): void {
  memunmap_pages_finish(READ_ONCE(dev_dax + DEV_DAX.pgmap));
}
export function dev_dax_unbind(dev_dax: DevDax): void {
  dev_dax_unbind_begin(dev_dax);
  dev_dax_unbind_finish(dev_dax);
}
