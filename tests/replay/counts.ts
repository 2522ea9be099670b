/**
 * What the booted machine counts as a whole, for tests that compare it before and after: free frames,
 * outstanding pins.
 */

import { kernel } from "../../src/machine/config.ts";
import { mem } from "../../src/machine/memory.ts";
import { HSTATE } from "../../src/mm/hugetlb.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
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

/** Pins that the kernel counts as outstanding. */
export const pinsCounted = (): number =>
  ((mem[kernel.vmstat] as number) - (mem[kernel.vmstat + 1] as number)) | 0;
