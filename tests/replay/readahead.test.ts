/**
 * Swap readahead of shmem (mm/swap_state.c: swapin_nr_pages(), swap_cluster_readahead()): how many slots a
 * fault reads, by what the last windows brought, and that no page is read twice or for nobody.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { kernel } from "../../src/machine/config.ts";
import { mem } from "../../src/machine/memory.ts";
import { VM_EVENT } from "../../src/mm/vmstat.ts";
import { freePages } from "./counts.ts";
import { Driver } from "./driver.ts";

const pswpin = (): number => mem[kernel.vm_events + VM_EVENT.pswpin] as number;

/** A driver with a shared mapping of n pages, all in swap. */
function swappedOut(release: string, n: number): Driver {
  const d = new Driver(release);
  d.run("map", "M", "anon", String(n), "shared=1");
  d.run("touch", "M", "0", String(n), "w");
  d.run("madv", "M", "0", String(n), "pageout");
  return d;
}
/** Pages read by touching one. */
function readBy(d: Driver, page: number): number {
  const before = pswpin();
  d.run("touch", "M", String(page), "1", "r");
  return pswpin() - before;
}

describe.each(["5.10.0", "6.1.0", "6.12.0"])("%s", (release) => {
  test("the first fault reads the eight slots of its window, and its neighbours then read nothing", () => {
    const d = swappedOut(release, 64);
    // Slots begin at 21, so that page 3 has slot 24: the window is pages 3 to 10.
    expect(readBy(d, 3)).toBe(8);
    for (let i = 4; i <= 10; i++) expect(readBy(d, i)).toBe(0);
    expect(readBy(d, 11)).toBe(8);
  });
  test("without hits the window halves until only the page itself is read", () => {
    const d = swappedOut(release, 128);
    expect([3, 27, 51, 75, 99].map((i) => readBy(d, i))).toEqual([8, 4, 2, 1, 1]);
  });
  test("without hits, a neighbouring slot is read by twos", () => {
    const d = swappedOut(release, 128);
    for (const i of [3, 27, 51, 75]) readBy(d, i);
    // Slot 97 after slot 96: no hit, but adjacent.
    expect(readBy(d, 76)).toBe(1);
    expect(mem[kernel.swap_map + 2]).toBe(2);
  });
});

test("7.3 reads the page alone", () => {
  const d = swappedOut("7.3.0", 64);
  expect([3, 4, 20].map((i) => readBy(d, i))).toEqual([1, 1, 1]);
});

test("whatever is touched in whatever order, each page is read once, holds what was written, and all memory comes back", () => {
  const d = new Driver("6.1.0");
  const free = freePages();
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 47 }), { minLength: 1, maxLength: 30 }), (order) => {
      d.run("map", "M", "anon", "48", "shared=1");
      d.run("touch", "M", "0", "48", "w");
      for (const i of [0, 17, 47]) d.run("store", "M", String(i), String(100 + i));
      d.run("madv", "M", "0", "48", "pageout");
      const before = pswpin();
      for (const i of order) d.run("touch", "M", String(i), "1", "r");
      expect(pswpin() - before).toBeLessThanOrEqual(48);
      for (const i of [0, 17, 47]) expect(d.run("load", "M", String(i))).toEqual({ val: 100 + i });
      d.run("touch", "M", "0", "48", "r");
      expect(pswpin() - before).toBe(48);
      d.run("madv", "M", "0", "48", "pageout");
      d.run("touch", "M", String(order[0]), "1", "r");
      d.run("cleanup");
      expect(freePages()).toBe(free);
    }),
    { numRuns: 30, seed: 7 },
  );
});
