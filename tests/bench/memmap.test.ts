/** Struct pages: the figures of the kernel's documentation, and that what is built is what was computed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkMemmap, memmapCost, PAGE_SIZE } from "../../src/bench/memmap.ts";
import { buildBytes, buildMemmap } from "../../src/bench/memmap-build.ts";
import { GIB, MIB, SizeError, TIB } from "../../src/bench/units.ts";

describe("cost", () => {
  test("a tebibyte costs 16 GiB of struct pages, 1.5625 %", () => {
    const c = memmapCost(TIB, 2 * MIB, false);
    expect(c.pageBytes).toBe(16 * GIB);
    expect(c.pageBytes / TIB).toBe(0.015625);
  });
  test("shared tails leave 2 of 8 frames of a 2 MiB page: 4 GiB per TiB", () => {
    expect(memmapCost(2 * MIB, 2 * MIB, false).frames).toBe(8);
    expect(memmapCost(2 * MIB, 2 * MIB, true).frames).toBe(2);
    expect(memmapCost(TIB, 2 * MIB, true).pageBytes).toBe(4 * GIB);
  });
  test("and 2 of 4096 of a 1 GiB page: 8 MiB of struct pages and 32 MiB of page tables per TiB", () => {
    expect(memmapCost(GIB, GIB, false).frames).toBe(4096);
    expect(memmapCost(GIB, GIB, true).frames).toBe(2);
    const c = memmapCost(TIB, GIB, true);
    expect([c.pageBytes, c.tableBytes, c.totalBytes]).toEqual([8 * MIB, 32 * MIB, 40 * MIB]);
  });
  test("base pages share nothing", () => {
    expect(memmapCost(GIB, PAGE_SIZE, true)).toEqual(memmapCost(GIB, PAGE_SIZE, false));
  });
});

describe("build", () => {
  test("what memremap_pages() takes from the allocator is what was computed", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(PAGE_SIZE, 2 * MIB, GIB),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        (align, n, dedup) => {
          const size = n * Math.max(align, 2 * MIB);
          const built = buildMemmap(size, align, dedup, GIB);
          expect(built.pageBytes).toBe(memmapCost(size, align, dedup).pageBytes);
          expect(built.checked).toBeGreaterThan(0);
        },
      ),
      { numRuns: 12 },
    );
  });
  test("a device larger than a machine is built of several", () => {
    const built = buildMemmap(32 * GIB, GIB, true, GIB);
    expect([built.devices, built.pageBytes]).toEqual([4, memmapCost(32 * GIB, GIB, true).pageBytes]);
  });
  test("too little memory is said with what is needed and what would fit", () => {
    expect(() => buildMemmap(TIB, 2 * MIB, true, GIB)).toThrow(
      /takes 4\.\d+ GiB of memory, and 1 GiB are free.*would fit/s,
    );
    expect(buildBytes(TIB, 2 * MIB, true)).toBeGreaterThan(4 * GIB);
  });
});

test("sizes that do not suit are refused with the next that does", () => {
  expect(() => checkMemmap(3 * MIB, 2 * MIB)).toThrow(/next is 4 MiB/);
  expect(() => checkMemmap(GIB, 3 * MIB)).toThrow(SizeError);
  expect(() => checkMemmap(GIB, 8 * 2 ** 10)).toThrow(/4K, 2M or 1G/);
  expect(() => checkMemmap(PAGE_SIZE, PAGE_SIZE)).toThrow(SizeError);
});
