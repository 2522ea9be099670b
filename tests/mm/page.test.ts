/**
 * struct page: vmemmap arithmetic, compound pages, reference and pin counts, plain and deduplicated vmemmap.
 */

import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { geom, type KnobSettings, type PresetName } from "../../src/machine/config.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import { POISON } from "../../src/machine/image.ts";
import { mem, memoryRegions } from "../../src/machine/memory.ts";
import { bindDaxDevice, bootMachine, newDaxDevice } from "../../src/mm/boot.ts";
import {
  compound_head,
  compound_order,
  get_page,
  nth_page,
  PAGE,
  page_maybe_dma_pinned,
  page_ref_add,
  page_ref_count,
  page_ref_freeze,
  page_ref_unfreeze,
  page_to_pfn,
  page_word,
  pfn_to_page,
  try_get_page,
} from "../../src/mm/page.ts";
import { put_page, put_page_refs } from "../../src/mm/swap.ts";

beforeEach(useSequentialHost);

const FIRST = 64;

function setup(order: number, knobs: KnobSettings, preset: PresetName = "v6.1", nr = 64) {
  useSequentialHost();
  bootMachine({
    preset,
    knobs,
    arch: "x86-64",
    geometry: { levels: 2, table_shift: 3, max_pfn: FIRST + nr, vmemmap_shift: 2, pgmap_shift: 2 },
    cpus: 1,
    tables: 1,
  });
  const device = newDaxDevice("dax0.0", { start: FIRST, nr, order });
  bindDaxDevice(device);
  return device;
}

const VMEMMAPS: readonly { name: string; knobs: KnobSettings }[] = [
  { name: "linear", knobs: {} },
  { name: "mapped", knobs: { vmemmapMapped: 1 } },
  { name: "deduplicated", knobs: { vmemmapMapped: 1, vmemmapDedup: 1 } },
];

describe.each(VMEMMAPS)("a $name vmemmap", ({ knobs }) => {
  test("leads from a frame number to its page and back, and from any tail to its head", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6 }), fc.nat(63), (order, i) => {
        setup(order, knobs);
        const page = pfn_to_page(FIRST + i);
        expect(page_to_pfn(page)).toBe(FIRST + i);
        const head = pfn_to_page(FIRST + (i & -(1 << order)));
        expect(compound_head(page)).toBe(head);
        expect(compound_order(head)).toBe(order);
        expect(nth_page(pfn_to_page(FIRST), i)).toBe(page);
        expect(page_ref_count(page)).toBe(page === head ? 1 : 0);
      }),
    );
  });

  test("counts references through any subpage on the head alone", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.array(fc.nat(63), { maxLength: 20 }),
        (order, subpages) => {
          setup(order, knobs);
          const before = Array.from({ length: 64 }, (_, i) => page_ref_count(pfn_to_page(FIRST + i)));
          const expected = [...before];
          for (const i of subpages) {
            get_page(pfn_to_page(FIRST + i));
            expected[i & -(1 << order)]!++; // the index is below 64
          }
          expect(Array.from({ length: 64 }, (_, i) => page_ref_count(pfn_to_page(FIRST + i)))).toEqual(
            expected,
          );
          for (const i of subpages) put_page(pfn_to_page(FIRST + i));
          expect(Array.from({ length: 64 }, (_, i) => page_ref_count(pfn_to_page(FIRST + i)))).toEqual(
            before,
          );
        },
      ),
    );
  });
});

describe("a deduplicated vmemmap", () => {
  const frames = () =>
    memoryRegions().filter((r) => r.name.startsWith("vmemmap") && mem[r.base] !== POISON).length;

  test.each([
    // 64 struct pages, four to a frame: 16 frames; a compound page keeps two if it has at least four (order 4
    // and up).
    [0, 16],
    [3, 16],
    [4, 8],
    [5, 4],
    [6, 2],
  ])("of compound pages of order %i takes %i of 16 frames", (order, expected) => {
    setup(order, { vmemmapMapped: 1, vmemmapDedup: 1 });
    expect(frames()).toBe(expected);
    setup(order, { vmemmapMapped: 1 });
    expect(frames()).toBe(16);
  });

  test("shows a write to one shared tail in every tail that shares its frame", () => {
    setup(6, { vmemmapMapped: 1, vmemmapDedup: 1 });
    mem[page_word(pfn_to_page(FIRST + 5), PAGE.index)] = 77;
    for (let i = 4; i < 64; i++)
      expect(mem[page_word(pfn_to_page(FIRST + i), PAGE.index)]).toBe(i % 4 === 1 ? 77 : 0);
  });
});

describe("a reference count", () => {
  test("that is zero or negative is refused by try_get_page()", () => {
    setup(0, {});
    const page = pfn_to_page(FIRST);
    page_ref_add(page, -1);
    expect(try_get_page(page)).toBe(false);
    page_ref_add(page, -5);
    expect(try_get_page(page)).toBe(false);
    expect(page_ref_count(page)).toBe(-5);
  });

  test("can be frozen only at exactly the expected count, and is zero until unfrozen", () => {
    setup(0, {});
    const page = pfn_to_page(FIRST);
    expect(page_ref_freeze(page, 2)).toBe(false);
    expect(page_ref_freeze(page, 1)).toBe(true);
    expect(page_ref_count(page)).toBe(0);
    page_ref_unfreeze(page, 3);
    expect(page_ref_count(page)).toBe(3);
  });

  test("of 1024 makes a page that nobody pinned look pinned", () => {
    setup(0, {});
    const page = pfn_to_page(FIRST);
    page_ref_add(page, 1022);
    expect(page_maybe_dma_pinned(page)).toBe(false);
    get_page(page);
    expect(page_maybe_dma_pinned(page)).toBe(true);
  });

  test("that would drop below zero is found at the drop, in both ways of counting", () => {
    for (const preset of ["v5.10", "v6.1"] as const) {
      setup(0, {}, preset);
      page_ref_add(pfn_to_page(FIRST), 1);
      expect(() => put_page_refs(pfn_to_page(FIRST), 4)).toThrow(/below zero/);
    }
  });
});

test("frames that a device cannot have are refused with the numbers", () => {
  setup(0, {});
  expect(() => newDaxDevice("dax1.0", { start: 3, nr: 4 })).toThrow(
    /frames 3 to 6 must be multiples of 4 below 128/,
  );
  expect(() => newDaxDevice("dax1.0", { start: 128, nr: 4 })).toThrow(RangeError);
  expect(geom.max_pfn).toBe(128);
});
