/**
 * memremap_pages() and memunmap_pages(), bind and unbind, on one CPU: order of steps, what is waited for,
 * what is freed.
 */

import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type KnobSettings, PRESETS, type PresetName } from "../../src/machine/config.ts";
import { runRcuCallbacks, useSequentialHost } from "../../src/machine/host.ts";
import { POISON } from "../../src/machine/image.ts";
import { mem, memoryRegions } from "../../src/machine/memory.ts";
import {
  bindDaxDevice,
  bootMachine,
  type DaxDevice,
  mapDaxDevice,
  newDaxDevice,
  newMm,
} from "../../src/mm/boot.ts";
import { dev_dax_unbind } from "../../src/mm/dax.ts";
import { get_user_pages_fast_only, pin_user_pages_fast_only, unpin_user_page } from "../../src/mm/gup.ts";
import { memremap_pages } from "../../src/mm/memremap.ts";
import { page_address, page_ref_count, pfn_to_page } from "../../src/mm/page.ts";
import { percpu_ref_sum } from "../../src/mm/percpu-refcount.ts";
import { DEV_PAGEMAP, get_dev_pagemap, put_dev_pagemap } from "../../src/mm/pgmap.ts";
import { put_page } from "../../src/mm/swap.ts";

interface Setup {
  readonly preset: PresetName;
  readonly knobs?: KnobSettings;
  readonly level?: number;
  readonly order?: number;
  readonly fsdax?: boolean;
  readonly mapped?: boolean;
}

const FIRST = 8;
const NR = 8;

function setup({ preset, knobs = {}, level = 0, order = 0, fsdax = false, mapped = true }: Setup): {
  mm: number;
  device: DaxDevice;
} {
  bootMachine({
    preset,
    knobs,
    arch: "x86-64",
    geometry: { levels: 3, table_shift: 1, max_pfn: 16, vmemmap_shift: 1, pgmap_shift: 2 },
    cpus: 2,
    tables: 12,
  });
  const mm = newMm();
  const device = newDaxDevice("dax0.0", { start: FIRST, nr: NR, order, fsdax });
  bindDaxDevice(device);
  if (mapped) mapDaxDevice(mm, device, { addr: 0, nr: NR, level });
  return { mm, device };
}

const poisoned = (addr: number) => mem[addr] === POISON;
const ref = (d: DaxDevice) => d.pgmap + DEV_PAGEMAP.internal_ref;
const presets = Object.keys(PRESETS) as PresetName[];

beforeEach(useSequentialHost);

test("a pagemap that is kept covers its own frames only: for one before or behind them it is put", () => {
  bootMachine({
    preset: "v5.18",
    arch: "x86-64",
    geometry: { levels: 2, table_shift: 1, max_pfn: 16, vmemmap_shift: 1, pgmap_shift: 2 },
    cpus: 2,
    tables: 2,
  });
  const device = newDaxDevice("dax0.0", { start: 4, nr: 4 });
  bindDaxDevice(device);
  const idle = percpu_ref_sum(ref(device));
  for (let pfn = 0; pfn < 16; pfn++) {
    const kept = get_dev_pagemap(4, 0);
    expect(percpu_ref_sum(ref(device))).toBe(idle + 1);
    const found = get_dev_pagemap(pfn, kept);
    const within = pfn >= 4 && pfn < 8;
    expect(found, `frame ${pfn}`).toBe(within ? device.pgmap : 0);
    expect(percpu_ref_sum(ref(device)), `frame ${pfn}`).toBe(within ? idle + 1 : idle);
    put_dev_pagemap(found);
  }
});

const arbitrarySetup: fc.Arbitrary<Setup> = fc
  .record({
    preset: fc.constantFrom(...presets),
    level: fc.integer({ min: 0, max: 2 }),
    order: fc.integer({ min: 0, max: 3 }),
    fsdax: fc.boolean(),
    mapped: fc.boolean(),
    percpuRef: fc.constantFrom(0, 1, 2),
    vmemmap: fc.constantFrom(0, 1, 2),
  })
  .map(({ percpuRef, vmemmap, level, order, ...rest }) => ({
    ...rest,
    level,
    order: Math.max(order, level),
    knobs: { percpuRef, vmemmapMapped: vmemmap > 0 ? 1 : 0, vmemmapDedup: vmemmap > 1 ? 1 : 0 },
  }));

/** From v6.15 nothing but entries and users counts on a page of a file system's device. */
const idleCount = (s: Setup): number => (PRESETS[s.preset].pteRef && s.fsdax ? 0 : 1);

describe("a device that nobody uses", () => {
  test("has every page idle with a count of one (fsdax from v6.15: zero), and one pagemap reference per page or compound page", () => {
    fc.assert(
      fc.property(arbitrarySetup, (s) => {
        useSequentialHost();
        const { device } = setup({ ...s, mapped: false, knobs: { ...s.knobs, percpuRef: 0 } });
        const order = s.order ?? 0;
        for (let i = 0; i < NR; i++)
          expect(page_ref_count(pfn_to_page(FIRST + i))).toBe(i % (1 << order) === 0 ? idleCount(s) : 0);
        expect(percpu_ref_sum(ref(device))).toBe(1 + (NR >> order));
      }),
    );
  });

  test("unbinds: mappings, struct pages, contents and pagemap are gone, and it can be bound again", () => {
    fc.assert(
      fc.property(arbitrarySetup, (s) => {
        useSequentialHost();
        const { mm, device } = setup(s);
        const pages = new Int32Array(NR);
        // Mapped by huge leaves the device path takes a grab per page, which only single pages or v7.3 give
        // back alike.
        const n = get_user_pages_fast_only(mm, 0, NR, 0, pages);
        expect(n).toBe(s.mapped ? NR : 0);
        for (let i = 0; i < n; i++) put_page(pages[i] as number);
        dev_dax_unbind(device.dev);
        runRcuCallbacks();
        for (let i = 0; i < NR; i++) {
          expect(() => page_ref_count(pfn_to_page(FIRST + i))).toThrow(/freed/);
          expect(poisoned(page_address(pfn_to_page(FIRST + i)))).toBe(true);
        }
        expect(get_dev_pagemap(FIRST, 0)).toBe(0);
        expect(get_user_pages_fast_only(mm, 0, NR, 0, pages)).toBe(0);
        if (s.knobs?.percpuRef === 2) return; // the queue's reference stays dead
        expect(percpu_ref_sum(ref(device))).toBe(0);
        bindDaxDevice(device);
        expect(page_ref_count(pfn_to_page(FIRST))).toBe(idleCount(s));
      }),
    );
  });

  test("gives back everything that binding took", () => {
    for (const vmemmapMapped of [0, 1]) {
      const { device } = setup({ preset: "v6.1", knobs: { vmemmapMapped }, mapped: false });
      dev_dax_unbind(device.dev);
      runRcuCallbacks();
      const live = memoryRegions()
        .filter((r) => !poisoned(r.base))
        .map((r) => r.name);
      expect(live).toEqual(["pgtable0"]);
    }
  });

  test("is refused where another device is bound already, which is left as it was", () => {
    const { device } = setup({ preset: "v6.1", mapped: false });
    expect(memremap_pages(device.pgmap)).toBe(false);
    expect(percpu_ref_sum(ref(device))).toBe(1 + NR);
  });
});

describe("a pin that is outstanding when the device is unbound", () => {
  test("is waited for in v5.10: alone on the machine the unbind can never end", () => {
    const { mm, device } = setup({ preset: "v5.10" });
    expect(pin_user_pages_fast_only(mm, 0, 1, 0, new Int32Array(1))).toBe(1);
    expect(() => dev_dax_unbind(device.dev)).toThrow(/waits until/);
    expect(page_ref_count(pfn_to_page(FIRST))).toBe(1024);
  });

  test.each(["v5.18", "v6.1", "v6.12", "v7.3"] as const)(
    "is not waited for in %s, and giving it back touches freed memory",
    (preset) => {
      const { mm, device } = setup({ preset });
      const pages = new Int32Array(1);
      expect(pin_user_pages_fast_only(mm, 0, 1, 0, pages)).toBe(1);
      dev_dax_unbind(device.dev);
      expect(() => unpin_user_page(pages[0] as number)).toThrow(/access to freed/);
    },
  );

  test.each(["v5.18", "v7.3"] as const)(
    "is waited for in %s if the driver waits until its pages are idle",
    (preset) => {
      const { mm, device } = setup({ preset, knobs: { unbindWaitsIdle: 1 } });
      expect(pin_user_pages_fast_only(mm, 0, 1, 0, new Int32Array(1))).toBe(1);
      expect(() => dev_dax_unbind(device.dev)).toThrow(/waits until it is 1/);
      expect(pin_user_pages_fast_only(mm, 0, 1, 0, new Int32Array(1))).toBe(0);
    },
  );
});

describe("unbinding without unmapping", () => {
  test("leaves entries behind that lead to freed struct pages if fast GUP takes no pagemap reference", () => {
    const { mm, device } = setup({ preset: "v5.10", fsdax: true, knobs: { unbindUnmaps: 0, pgmapRef: 0 } });
    dev_dax_unbind(device.dev);
    expect(() => get_user_pages_fast_only(mm, 0, 1, 0, new Int32Array(1))).toThrow(/access to freed/);
  });

  test("is safe for a later walk that asks for the pagemap first", () => {
    const { mm, device } = setup({ preset: "v5.10", fsdax: true, knobs: { unbindUnmaps: 0 } });
    dev_dax_unbind(device.dev);
    expect(get_user_pages_fast_only(mm, 0, 1, 0, new Int32Array(1))).toBe(0);
  });
});

describe("__gup_device_huge() of v5.10", () => {
  test.each([
    { gupHugeUndoFix: 0, left: 1 },
    { gupHugeUndoFix: 1, left: 0 },
  ])(
    "whose grab fails leaves $left pagemap references behind with gupHugeUndoFix $gupHugeUndoFix",
    ({ gupHugeUndoFix, left }) => {
      const { mm, device } = setup({ preset: "v5.10", level: 1, knobs: { gupHugeUndoFix } });
      const before = percpu_ref_sum(ref(device));
      mem[pfn_to_page(FIRST + 1) + 2] = 0;
      expect(get_user_pages_fast_only(mm, 0, 2, 0, new Int32Array(2))).toBe(0);
      expect(page_ref_count(pfn_to_page(FIRST))).toBe(1);
      expect(percpu_ref_sum(ref(device))).toBe(before + left);
    },
  );
});

test("get_dev_pagemap() keeps a pagemap that covers the frame and exchanges one that does not", () => {
  const { device } = setup({ preset: "v5.10", mapped: false });
  const before = percpu_ref_sum(ref(device));
  const pgmap = get_dev_pagemap(FIRST, 0);
  expect(pgmap).toBe(device.pgmap);
  expect(get_dev_pagemap(FIRST + 1, pgmap)).toBe(pgmap);
  expect(percpu_ref_sum(ref(device))).toBe(before + 1);
  expect(get_dev_pagemap(0, pgmap)).toBe(0);
  expect(percpu_ref_sum(ref(device))).toBe(before);
  put_dev_pagemap(0);
});
