/**
 * Fast GUP and unpin on one CPU: what each form of the walk returns and which references it leaves, as
 * properties over random page tables, ranges and flags.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { geom, type KnobSettings, type PresetName } from "../../src/machine/config.ts";
import { mem } from "../../src/machine/memory.ts";
import {
  get_user_pages_fast_only,
  lockless_pages_from_mm,
  pin_user_pages_fast_only,
  unpin_user_page,
  unpin_user_pages,
} from "../../src/mm/gup.ts";
import { FOLL_GET, FOLL_LONGTERM, FOLL_PIN, FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { MM } from "../../src/mm/mm_types.ts";
import {
  compound_head,
  PAGE,
  page_maybe_dma_pinned,
  page_ref_count,
  pfn_to_page,
  set_page_count,
} from "../../src/mm/page.ts";
import { percpu_ref_kill } from "../../src/mm/percpu-refcount.ts";
import { DEV_PAGEMAP } from "../../src/mm/pgmap.ts";
import { put_page } from "../../src/mm/swap.ts";
import {
  arbitraryLayout,
  bootLayout,
  counts,
  DEVICE_START,
  expectedRun,
  type Layout,
  wholeLeaves,
} from "./machine.ts";

const RUNS = { numRuns: 60 };

/** The forms of the fast path that exist, by the kernel that has them. */
const FORMS: readonly { name: string; preset: PresetName; knobs: KnobSettings; batches?: boolean }[] = [
  { name: "v5.10", preset: "v5.10", knobs: {} },
  { name: "v5.10 without pagemap reference", preset: "v5.10", knobs: { pgmapRef: 0 } },
  { name: "RFC of 2020", preset: "rfc-2020-12", knobs: {}, batches: true },
  { name: "v5.18", preset: "v5.18", knobs: {} },
  { name: "v6.1", preset: "v6.1", knobs: {} },
  { name: "v7.3", preset: "v7.3", knobs: {}, batches: true },
];

/**
 * One grab for a leaf is right only if one compound page is under it; see "a leaf over single pages" below.
 */
function layoutFor(layout: Layout, batches: boolean): Layout {
  return batches ? wholeLeaves(layout) : layout;
}

const arbitraryRange = fc.record({
  at: fc.nat(200),
  nr: fc.integer({ min: 0, max: 80 }),
  write: fc.boolean(),
  pin: fc.boolean(),
});

function pagesOf(buffer: Int32Array, n: number): number[] {
  return Array.from(buffer.subarray(0, n));
}

describe.each(FORMS)("fast GUP, $name", ({ preset, knobs, batches = false }) => {
  test("takes exactly the mapped run from the start of the range, with the permission asked for", () => {
    fc.assert(
      fc.property(arbitraryLayout, arbitraryRange, (layout, { at, nr, write, pin }) => {
        const m = bootLayout(layoutFor(layout, batches), preset, knobs);
        const start = at % (m.end + 1);
        const buffer = new Int32Array(100);
        const flags = write ? FOLL_WRITE : 0;
        const n = (pin ? pin_user_pages_fast_only : get_user_pages_fast_only)(m.mm, start, nr, flags, buffer);
        // The device path takes a leaf or a table whole or not at all (undo_dev_pagemap()), but grabs cannot
        // fail here.
        const expected = start + nr > geom.task_size ? [] : expectedRun(m, start, nr, write);
        expect(pagesOf(buffer, n)).toEqual(expected);
      }),
      RUNS,
    );
  });

  test("leaves the references that one call per page would leave", () => {
    fc.assert(
      fc.property(arbitraryLayout, arbitraryRange, (layout, { at, nr, write, pin }) => {
        const flags = write ? FOLL_WRITE : 0;
        const gup = pin ? pin_user_pages_fast_only : get_user_pages_fast_only;
        const whole = bootLayout(layoutFor(layout, batches), preset, knobs);
        const start = at % (whole.end + 1);
        const buffer = new Int32Array(100);
        const n = gup(whole.mm, start, nr, flags, buffer);
        const pages = pagesOf(buffer, n);
        const after = counts();

        const single = bootLayout(layoutFor(layout, batches), preset, knobs);
        const one = new Int32Array(1);
        const got: number[] = [];
        for (let i = 0; i < n; i++) {
          expect(gup(single.mm, start + i, 1, flags, one)).toBe(1);
          got.push(one[0] as number);
        }
        expect(got).toEqual(pages);
        expect(counts()).toEqual(after);
      }),
      RUNS,
    );
  });

  test("what it took can be given back in any order and grouping", () => {
    fc.assert(
      fc.property(
        arbitraryLayout,
        arbitraryRange,
        fc.array(fc.nat(1000)),
        fc.infiniteStream(fc.boolean()),
        (layout, { at, nr, write, pin }, order, batched) => {
          const m = bootLayout(layoutFor(layout, batches), preset, knobs);
          const start = at % (m.end + 1);
          const before = counts();
          const buffer = new Int32Array(100);
          const n = (pin ? pin_user_pages_fast_only : get_user_pages_fast_only)(
            m.mm,
            start,
            nr,
            write ? FOLL_WRITE : 0,
            buffer,
          );
          const left = pagesOf(buffer, n);
          for (const page of left) expect(!pin || page_maybe_dma_pinned(page)).toBe(true);
          const batch: number[] = [];
          for (let i = 0; left.length > 0; i++) {
            const page = left.splice(
              (order[i % Math.max(order.length, 1)] ?? 0) % left.length,
              1,
            )[0] as number;
            if (!pin) put_page(page);
            else if (batched.next().value) batch.push(page);
            else unpin_user_page(page);
          }
          unpin_user_pages(Int32Array.from(batch), batch.length);
          expect(counts()).toEqual(before);
        },
      ),
      RUNS,
    );
  });
});

test.each(FORMS)(
  "$name: a pin of a compound page's subpages writes to no tail's struct page",
  ({ preset, knobs }) => {
    const m = bootLayout({ ...HUGE, segments: [{ level: 1, writable: true, frame: 0 }] }, preset, knobs);
    // page[1] and page[2] hold what the compound page counts.
    const tail = pfn_to_page(DEVICE_START + 3);
    const words = (): number[] => [...mem.subarray(tail, tail + PAGE.SIZE)];
    const before = words();
    const pages = new Int32Array(4);
    expect(pin_user_pages_fast_only(m.mm, 0, 4, FOLL_WRITE, pages)).toBe(4);
    expect(words()).toEqual(before);
    unpin_user_pages(pages, 4);
    expect(words()).toEqual(before);
  },
);

test("every form of the fast path returns the same pages", () => {
  fc.assert(
    fc.property(arbitraryLayout, arbitraryRange, (layout, { at, nr, write }) => {
      const results = FORMS.map(({ preset, knobs }) => {
        const m = bootLayout(layout, preset, knobs);
        const start = at % (m.end + 1);
        const buffer = new Int32Array(100);
        const n = get_user_pages_fast_only(m.mm, start, nr, write ? FOLL_WRITE : 0, buffer);
        return pagesOf(buffer, n).map((p) => p - pfn_to_page(0));
      });
      for (const r of results) expect(r).toEqual(results[0]);
    }),
    RUNS,
  );
});

test("a leaf over single pages is counted on its first page by the uniform path and given back page by page: counts are lost", () => {
  const layout: Layout = {
    levels: 2,
    table_shift: 1,
    order: 0,
    segments: [{ level: 1, writable: true, frame: 0 }],
  };
  const m = bootLayout(layout, "v7.3");
  const before = counts();
  const pages = new Int32Array(2);
  expect(pin_user_pages_fast_only(m.mm, 0, 2, 0, pages)).toBe(2);
  unpin_user_page(pages[0] as number);
  expect(() => unpin_user_page(pages[1] as number)).toThrow(/below zero/);
  expect(counts()).not.toEqual(before);
});

const ONE_PAGE: Layout = {
  levels: 2,
  table_shift: 1,
  order: 0,
  segments: [{ level: 0, writable: true, frame: 0 }],
};
const HUGE: Layout = {
  levels: 3,
  table_shift: 2,
  order: 2,
  segments: [{ level: 1, writable: true, frame: 0 }],
};
const device_page = (i: number) => pfn_to_page(DEVICE_START + i);

describe("grabbing", () => {
  test("a page whose count is zero is refused, and the pages before it are kept", () => {
    const layout: Layout = {
      ...ONE_PAGE,
      segments: [0, 1].map((frame) => ({ level: 0, writable: true, frame })),
    };
    const m = bootLayout(layout, "v7.3");
    set_page_count(device_page(1), 0);
    const pages = new Int32Array(2);
    expect(get_user_pages_fast_only(m.mm, 0, 2, 0, pages)).toBe(1);
    expect(page_ref_count(device_page(1))).toBe(0);
  });

  test("in v5.10 a device that is being removed is refused although its entries are still there", () => {
    const m = bootLayout(ONE_PAGE, "v5.10");
    percpu_ref_kill(m.device.pgmap + DEV_PAGEMAP.internal_ref);
    const pages = new Int32Array(1);
    expect(get_user_pages_fast_only(m.mm, 0, 1, 0, pages)).toBe(0);
    expect(page_ref_count(device_page(0))).toBe(1);
  });

  test("a pin of a single page is a bias of 1024 references, of a subpage of a large compound page one and one pin count", () => {
    const m = bootLayout(ONE_PAGE, "v5.10");
    const pages = new Int32Array(4);
    expect(pin_user_pages_fast_only(m.mm, 0, 1, 0, pages)).toBe(1);
    expect(page_ref_count(device_page(0))).toBe(1 + 1024);
    const h = bootLayout(HUGE, "v7.3");
    expect(pin_user_pages_fast_only(h.mm, 0, 4, 0, pages)).toBe(4);
    expect(page_ref_count(device_page(0))).toBe(1 + 1 + 4);
    expect(counts()[0]).toEqual([6, 4]);
    expect(pages.map((p) => compound_head(p))).toEqual(new Int32Array(4).fill(device_page(0)));
    for (let i = 1; i < 4; i++) expect(page_ref_count(device_page(i))).toBe(0);
  });

  test("2,097,151 pins of one page fit, one more makes the count negative, then it is refused, and unpinning recovers", () => {
    const m = bootLayout(ONE_PAGE, "v5.18");
    const pages = new Int32Array(1);
    set_page_count(device_page(0), 1 + 2_097_151 * 1024);
    expect(pin_user_pages_fast_only(m.mm, 0, 1, 0, pages)).toBe(1);
    expect(page_ref_count(device_page(0))).toBe(-2147483647);
    expect(pin_user_pages_fast_only(m.mm, 0, 1, 0, pages)).toBe(0);
    unpin_user_page(device_page(0));
    expect(pin_user_pages_fast_only(m.mm, 0, 1, 0, pages)).toBe(1);
  });

  test("unpinning a page that was got without a pin underflows", () => {
    const m = bootLayout(ONE_PAGE, "v5.18");
    const pages = new Int32Array(1);
    expect(get_user_pages_fast_only(m.mm, 0, 1, 0, pages)).toBe(1);
    expect(() => unpin_user_page(pages[0] as number)).toThrow(/below zero/);
  });

  test("FOLL_LONGTERM leaves device entries to the slow path: as devmap to v6.16, for want of a mapping after (observed in v7.3)", () => {
    const pages = new Int32Array(1);
    const old = bootLayout(ONE_PAGE, "v6.12");
    expect(pin_user_pages_fast_only(old.mm, 0, 1, FOLL_LONGTERM | FOLL_WRITE, pages)).toBe(0);
    const now = bootLayout(ONE_PAGE, "v7.3");
    expect(pin_user_pages_fast_only(now.mm, 0, 1, FOLL_LONGTERM | FOLL_WRITE, pages)).toBe(0);
    expect(pin_user_pages_fast_only(now.mm, 0, 1, FOLL_WRITE, pages)).toBe(1);
  });

  test("a walk with FOLL_PIN takes nothing while fork write-protects", () => {
    const m = bootLayout(ONE_PAGE, "v6.1");
    mem[m.mm + MM.write_protect_seq] = 1;
    const pages = new Int32Array(1);
    expect(pin_user_pages_fast_only(m.mm, 0, 1, 0, pages)).toBe(0);
    expect(get_user_pages_fast_only(m.mm, 0, 1, 0, pages)).toBe(1);
  });

  test("ranges that are empty, negative or reach out of the address space take nothing", () => {
    const m = bootLayout(ONE_PAGE, "v7.3");
    const pages = new Int32Array(8);
    for (const [start, end] of [
      [0, 0],
      [1, 0],
      [-1, 1],
      [0, geom.task_size + 1],
    ] as const)
      expect(lockless_pages_from_mm(m.mm, start, end, FOLL_GET, pages)).toBe(0);
    expect(lockless_pages_from_mm(m.mm, 0, 1, FOLL_PIN, pages)).toBe(1);
  });
});
