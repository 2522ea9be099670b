/**
 * The memory that struct pages lie in (mm/sparse-vmemmap.c, mm/sparse.c): made when a range is added, freed
 * when it is removed, and shared between the tails of a compound device page if asked for (4917f55b4ef9,
 * v5.19). A freed frame is poison, so that any touch of a struct page of a removed range is found, as a read
 * of another's memory is not in the kernel.
 *
 * Two forms. With config.vmemmapMapped frames come from a pool and a table leads to them. Without, the
 * vmemmap is one array whose frames are declared regions that are freed and revived in place. Custom: the
 * table's entry of a freed frame is left as it is, pointing at poison, where the kernel clears it; frames
 * hold 2^geom.vmemmap_shift struct pages; sections do not exist, a range is a multiple of frames.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { assert, kfree, kzalloc, memory_revive, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { PAGE_STRUCT_SHIFT } from "./page.ts";

/** Pool of vmemmap frames for kzalloc(). */
export const POOL_VMEMMAP = 4;

/** Unique frames of a compound page whose other frames are shared: the head's and the first of tails only. */
export const VMEMMAP_RESERVE_NR = 2;

function vmemmap_slot(frame: number): number {
  return kernel.vmemmap_table + frame;
}

/**
 * Whether frame number `frame` of the vmemmap shares the frame before it: a compound page of 2^order pages
 * with at least three frames keeps two of its own (vmemmap_can_optimize()).
 */
function shares_tail_frame(frame: number, first_pfn: number, order: number): boolean {
  if (order < geom.vmemmap_shift + VMEMMAP_RESERVE_NR) return false;
  const index = (((frame << geom.vmemmap_shift) - first_pfn) & ((1 << order) - 1)) >> geom.vmemmap_shift;
  return index >= VMEMMAP_RESERVE_NR;
}

/**
 * populate_section_memmap(): struct pages of `nr` frames from start_pfn exist, all zero; false if out of
 * memory.
 */
export function vmemmap_populate(start_pfn: number, nr: number, order: number): boolean {
  assert(
    ((start_pfn | nr) & ((1 << geom.vmemmap_shift) - 1)) === 0,
    "a device range must be a multiple of vmemmap frames",
  );
  const first = start_pfn >> geom.vmemmap_shift;
  const last = (start_pfn + nr) >> geom.vmemmap_shift;
  for (let frame = first; frame < last; frame++) {
    if (!config.vmemmapMapped)
      memory_revive(kernel.vmemmap + (frame << (geom.vmemmap_shift + PAGE_STRUCT_SHIFT)));
    else if (config.vmemmapDedup && shares_tail_frame(frame, start_pfn, order))
      WRITE_ONCE(vmemmap_slot(frame), READ_ONCE(vmemmap_slot(frame - 1)));
    else {
      const storage = kzalloc(POOL_VMEMMAP);
      if (storage === 0) {
        for (let f = first; f < frame; f++)
          if (!(config.vmemmapDedup && shares_tail_frame(f, start_pfn, order)))
            kfree(READ_ONCE(vmemmap_slot(f)));
        return false;
      }
      WRITE_ONCE(vmemmap_slot(frame), storage);
    }
  }
  return true;
}

/** depopulate_section_memmap(): the struct pages are gone. */
export function vmemmap_free(start_pfn: number, nr: number, order: number): void {
  const first = start_pfn >> geom.vmemmap_shift;
  const last = (start_pfn + nr) >> geom.vmemmap_shift;
  for (let frame = first; frame < last; frame++) {
    if (!config.vmemmapMapped) kfree(kernel.vmemmap + (frame << (geom.vmemmap_shift + PAGE_STRUCT_SHIFT)));
    else if (!(config.vmemmapDedup && shares_tail_frame(frame, start_pfn, order)))
      kfree(READ_ONCE(vmemmap_slot(frame)));
  }
}
