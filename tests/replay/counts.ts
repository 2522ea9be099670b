/**
 * What the booted machine counts as a whole, for tests that compare it before and after: free frames,
 * outstanding pins.
 */

import { kernel } from "../../src/machine/config.ts";
import { POISON } from "../../src/machine/image.ts";
import { mem, memoryPool } from "../../src/machine/memory.ts";
import { POOL_ADDRESS_SPACE } from "../../src/mm/filemap.ts";
import { HSTATE } from "../../src/mm/hugetlb.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { ADDRESS_SPACE, AS_REGULAR } from "../../src/mm/mm_types.ts";
import {
  ZONE,
  ZONE_CMA,
  ZONE_MOVABLE,
  ZONE_NORMAL,
  ZONE_NORMAL_NODE1,
  zone_of,
} from "../../src/mm/page_alloc.ts";

/** Frames that nobody has, those of the pools and of a huge zero page included. */
export function freePages(): number {
  lru_add_drain();
  const zone = (nr: number): number => mem[zone_of(nr) + ZONE.nr_free] as number;
  const hugeZero = (mem[kernel.huge_zero] as number) !== 0 ? 512 : 0;
  return (
    zone(ZONE_NORMAL) +
    zone(ZONE_NORMAL_NODE1) +
    zone(ZONE_MOVABLE) +
    zone(ZONE_CMA) +
    hugeZero +
    (mem[kernel.hugetlb + HSTATE.free_huge_pages] as number) * 512
  );
}

/** Pages of ordinary files in the page cache, where they stay when nobody maps them. */
export function cachedPages(files: Iterable<number>): number {
  let n = 0;
  for (const file of files) {
    if (mem[file + ADDRESS_SPACE.kind] !== AS_REGULAR) continue;
    const slots = mem[file + ADDRESS_SPACE.i_pages] as number;
    for (let i = 0; i < (mem[file + ADDRESS_SPACE.i_size] as number); i++) if (mem[slots + i] !== 0) n++;
  }
  return n;
}

/** Pins that the kernel counts as outstanding. */
export const pinsCounted = (): number =>
  ((mem[kernel.vmstat] as number) - (mem[kernel.vmstat + 1] as number)) | 0;

/** Files without a name that exist: memory files, shared memory, hugetlb mappings, buffers. */
export function unnamedFiles(): number {
  const pool = memoryPool(POOL_ADDRESS_SPACE);
  return pool === undefined ? 0 : pool.regions.filter((r) => mem[r.base] !== POISON).length;
}
