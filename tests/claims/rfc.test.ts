/**
 * Patch 6 of the RFC of 8 December 2020 as posted, and its two errors one by one: its callers pass a leaf's
 * logarithm as the size, and the offset is added to a page that contains it. Together they give the right
 * pages at every address, since a mask of some twenty has no bit above the page offset; either one repaired
 * alone gives wrong pages. The equivalence of C1 (a run, and the per-page form of v5.10) finds both, and so
 * does exploring a walk that starts inside a leaf.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explore } from "../../src/check/explore/explore.ts";
import { buildProgram } from "../../src/lang/scenario.ts";
import { geom, type KnobSettings } from "../../src/machine/config.ts";
import { defineScenario, type Scenario } from "../../src/machine/scenario.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../../src/mm/boot.ts";
import { mm_create } from "../../src/mm/fork.ts";
import { get_user_pages_fast_only, pin_user_pages_fast_only } from "../../src/mm/gup.ts";
import { gup_locked } from "../../src/mm/gup_entry.ts";
import { FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_SHARED, VM_WRITE } from "../../src/mm/mm_types.ts";
import { do_mmap } from "../../src/mm/mmap.ts";
import {
  PAGE,
  PageReferenced,
  page_ref_count,
  pfn_to_page,
  SetPageReferenced,
  set_page_count,
} from "../../src/mm/page.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import {
  arbitraryLayout,
  bootLayout,
  counts,
  DEVICE_START,
  expectedRun,
  type Layout,
  wholeLeaves,
} from "../mm/machine.ts";
import { inside, zap } from "./fixtures/inside.ts";

/** The patch with its errors: on is as posted. */
const REPAIRS: readonly { name: string; knobs: KnobSettings; right: boolean }[] = [
  { name: "as posted", knobs: {}, right: true },
  { name: "the size repaired alone", knobs: { rfcShiftAsSize: 0 }, right: false },
  { name: "the double offset repaired alone", knobs: { rfcDoubleOffset: 0 }, right: false },
  { name: "both repaired", knobs: { rfcShiftAsSize: 0, rfcDoubleOffset: 0 }, right: true },
  { name: "referenced after the grab", knobs: { rfcReferencedEarly: 0 }, right: true },
];

const request = fc.tuple(arbitraryLayout, fc.nat(200), fc.integer({ min: 1, max: 80 }), fc.boolean());

/**
 * Frames, and what they leave counted; an error of the machine (a page outside of the memmap) counts as an
 * answer.
 */
function answer(
  layout: Layout,
  preset: "v5.10" | "rfc-2020-12",
  knobs: KnobSettings,
  at: number,
  nr: number,
) {
  const m = bootLayout(wholeLeaves(layout), preset, knobs);
  const start = at % (m.end + 1);
  const pages = new Int32Array(100);
  const len = Math.min(nr, geom.task_size - start);
  const n = get_user_pages_fast_only(m.mm, start, len, 0, pages);
  return {
    start,
    pages: [...pages.subarray(0, n)],
    counts: counts(),
    expected: expectedRun(m, start, len, false),
  };
}

describe.each(REPAIRS)("patch 6, $name", ({ knobs, right }) => {
  test(`a run ${right ? "is" : "is not always"} what v5.10 takes page by page, at every start and level`, () => {
    const property = fc.property(request, ([layout, at, nr]) => {
      const whole = answer(layout, "rfc-2020-12", knobs, at, nr);
      const perPage = answer(layout, "v5.10", {}, at, nr);
      expect(whole).toEqual(perPage);
      expect(whole.pages).toEqual(whole.expected);
    });
    if (right) fc.assert(property, { numRuns: 150 });
    else expect(String(fc.check(property, { numRuns: 150 }).errorInstance)).toMatch(/deeply equal/);
  });

  /** A PMD leaf of four pages, from each of its pages on. */
  test(`${right ? "every start" : "only a start at the leaf's first page"} gives the pages that are mapped`, () => {
    const layout: Layout = {
      levels: 2,
      table_shift: 2,
      order: 2,
      segments: [{ level: 1, writable: true, frame: 4 }],
    };
    const starts: number[] = [];
    for (let start = 0; start < 4; start++) {
      const m = bootLayout(layout, "rfc-2020-12", knobs);
      const pages = new Int32Array(8);
      expect(pin_user_pages_fast_only(m.mm, start, 4 - start, FOLL_WRITE, pages)).toBe(4 - start);
      if (pages[0] === pfn_to_page(DEVICE_START + 4 + start)) starts.push(start);
    }
    expect(starts).toEqual(right ? [0, 1, 2, 3] : [0]);
  });

  test.each([0, 1])("explored against an unmapping, from page %i of the leaf on", async (start) => {
    const result = await explore(await buildProgram(insideScenario(knobs, start)), { model: "sc" });
    if (right || start === 0) expect(result.verdict).toBe("holds");
    else expect(result.error?.message).toMatch(/another one than is mapped|outside|not an address|no object/);
  });
});

function insideScenario(knobs: KnobSettings, start: number): Scenario {
  return defineScenario({
    name: "rfc-inside",
    title: "a pin inside a device leaf, while it is unmapped",
    module: new URL("./fixtures/inside.ts", import.meta.url).href,
    boot: () => {
      bootMachine({
        preset: "rfc-2020-12",
        knobs: { ...knobs, vmstat: 0, mmuNotifier: 0 },
        arch: "x86-64",
        // Frames behind the leaf, so that a wrong page is one that exists.
        geometry: { levels: 2, table_shift: 1, max_pfn: 8, vmemmap_shift: 1, pgmap_shift: 1 },
        cpus: 2,
        tables: 3,
      });
      const mm = newMm();
      const device = newDaxDevice("dax0.0", { start: 2, nr: 6, order: 1 });
      bindDaxDevice(device);
      const vma = mapDaxDevice(mm, device, { addr: 0, nr: 2, pgoff: 2, level: 1 });
      return {
        threads: [
          { name: "walker", run: inside, args: [mm, start, 4 + start] },
          { name: "zapper", run: zap, args: [vma, 0, 2] },
        ],
      };
    },
  });
}

describe("patch 9, follow_devmap_page()", () => {
  const AT = 1 << 19;
  /**
   * Eight pages from inside the first leaf on, of a device of 2 MiB, by a kernel with or without the patch.
   */
  function slow(
    rfcSlowBatch: number,
    compound: boolean,
    broken: boolean,
  ): { n: number; pages: number[]; refs: number[] } {
    const machine = bootReplayMachine(
      { ...kernelProfile("5.10.0", "test"), vmemmapDedup: compound },
      { devices: new Set(["dax1"] as const), hugeZero: false, movable: false },
      { rfcSlowBatch, vmemmapMapped: 0, vmemmapDedup: 0 },
    );
    const mm = mm_create();
    const file = machine.files.get("/dev/dax1.0") ?? 0;
    const shared = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_SHARED;
    expect(do_mmap(mm, AT, 1024, shared, file, 0)).toBe(0);
    const first = pfn_to_page(machine.dax.get("/dev/dax1.0")?.device.start ?? 0);
    if (broken) set_page_count(first + 512 * PAGE.SIZE, -2147483647);
    const pages = new Int32Array(16);
    const n = gup_locked(mm, AT + 508, 8, FOLL_WRITE, pages, true, false);
    const refs = Array.from({ length: 1024 }, (_, i) => page_ref_count(first + i * PAGE.SIZE));
    return { n, pages: [...pages.subarray(0, Math.max(n, 0))].map((p) => p - first), refs };
  }
  test.each([true, false])(
    "takes what the page-by-page walk takes, and counts the same (compound: %s)",
    (compound) => {
      expect(slow(1, compound, false)).toEqual(slow(0, compound, false));
      expect(slow(1, compound, false).n).toBe(8);
    },
  );
  test("as posted, returns the pages of a compound leaf whose grab failed, without a pin on them", () => {
    expect(slow(0, true, true).n).toBe(4);
    const posted = slow(1, true, true);
    expect(posted.n).toBe(8);
    expect(posted.refs).toEqual(slow(0, true, true).refs);
  });
});

describe("the referenced flag", () => {
  const leaf: Layout = {
    levels: 2,
    table_shift: 2,
    order: 2,
    segments: [{ level: 1, writable: true, frame: 0 }],
  };
  test.each([
    ["as posted is written without a reference: another's is lost if the grab fails", 1, false],
    ["set after the grab is left alone by one that fails", 0, true],
  ] as const)("%s", (_, early, stays) => {
    const m = bootLayout(leaf, "rfc-2020-12", { rfcReferencedEarly: early });
    const head = pfn_to_page(DEVICE_START);
    set_page_count(head, 0);
    SetPageReferenced(head);
    const pages = new Int32Array(4);
    expect(pin_user_pages_fast_only(m.mm, 0, 4, 0, pages)).toBe(0);
    expect(PageReferenced(head)).toBe(stays);
  });
});
