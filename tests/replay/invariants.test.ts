/**
 * Random operations (fuzz.ts) keep the invariants that pinning rests on, numbered as in the project's list:
 *   I1, I15  a pin or reference is on the page that is mapped at its address, with the permission that was
 *            asked for
 *   I2       what a page counts is what maps and holds it: private pages, compound ones, device pages
 *   I3       nobody holds a page whose struct page is gone; when everything is released all memory is free
 *            again
 *   I7       a pinned private page stays exclusive (from v5.19)
 *   I8       no long-term pin on fsdax, nor (from v5.13 on) in a movable zone or a CMA area
 *   I12      acquired minus released is the number of pins outstanding
 *   I13      the shared struct pages of a compound device page are what they were when the device was bound
 * Three machines per kernel: one with devices, one with a movable zone, one with a CMA area. Seeds are fixed.
 */

import { describe, expect, test } from "vitest";
import { config, geom, kernel } from "../../src/machine/config.ts";
import { mem } from "../../src/machine/memory.ts";
import {
  compound_head,
  hpage_pincount_available,
  is_zone_device_page,
  PAGE,
  PG_anon_exclusive,
  PG_head,
  PG_hugetlb,
  PG_swapcache,
  page_pgmap,
  page_pincount,
  page_to_pfn,
  page_word,
  pfn_to_page,
  vmemmap_frame,
} from "../../src/mm/page.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_FS_DAX } from "../../src/mm/pgmap.ts";
import { total_mapcount } from "../../src/mm/rmap.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import { Observer } from "../../src/replay/observe.ts";
import { World } from "../../src/replay/world.ts";
import { freePages, pinsCounted } from "./counts.ts";
import { Fuzz } from "./fuzz.ts";

/**
 * 150,000 steps over four kernels and three machines in a campaign (HOLDFAST_CAMPAIGN=10), a tenth of that in
 * the suite.
 */
const STEPS = 1_250 * Number(process.env["HOLDFAST_CAMPAIGN"] ?? 1);
const SEED = Number(process.env["HOLDFAST_SEED"] ?? 12345);
const PER_ROUND = 40;

/** Operations that each campaign must have done, so that a machine that refuses everything does not pass. */
const MUST = ["map anon", "map thp", "map hugetlb", "map memfd", "pin", "get", "long-term pin", "mremap"];
const MUST_WITH_DEVICES = ["map dax4k", "map dax2m", "map file", "unbind", "bind"];

const MACHINES = [
  { name: "devices", devices: ["dax0", "dax1", "fsdax"], movable: false, cma: 0 },
  { name: "a movable zone", devices: [], movable: true, cma: 0 },
  { name: "a CMA area", devices: [], movable: false, cma: 8192 },
] as const;

describe.each(["5.10.0", "6.1.0", "6.12.0", "7.3.0"])("random operations on %s", (release) => {
  test.each(MACHINES)(
    `${STEPS} steps with $name keep the invariants`,
    ({ devices, movable, cma }) => {
      const profile = kernelProfile(release, "test");
      const world = new World(
        bootReplayMachine(profile, { devices: new Set(devices), hugeZero: false, movable, cma }),
      );
      const observer = new Observer(world);
      const fuzz = new Fuzz(world, SEED, devices.length > 0);
      const atStart = freePages();
      const aliases = sharedStructPages(fuzz);
      for (let step = 1; step <= STEPS; step++) {
        fuzz.one();
        if (step % 8 === 0) checkCounts(fuzz, observer, release !== "5.10.0");
        if (step % PER_ROUND !== 0) continue;
        fuzz.reset();
        // The main process of the next round has a top table of its own, which is no page here.
        expect(freePages()).toBe(atStart);
        expect(pinsCounted()).toBe(0);
        for (const d of fuzz.bound()) expectIdle(d.start, d.nr);
        expect(sharedStructPages(fuzz)).toEqual(aliases);
      }
      const must = devices.length > 0 ? [...MUST, ...MUST_WITH_DEVICES] : MUST;
      expect(must.filter((what) => !fuzz.done.has(what))).toEqual([]);
      if (process.env["HOLDFAST_CAMPAIGN"] !== undefined)
        process.stderr.write(`${release}: ${JSON.stringify(Object.fromEntries(fuzz.done))}\n`);
    },
    60_000 + STEPS * 50,
  );
});

/** Private, and compound or not: what maps and holds it is what it counts. */
function checkAnon(page: number, pinned: number, got: number, exclusive: boolean): void {
  const flags = mem[page_word(page, PAGE.flags)] as number;
  const compound = (flags & (1 << PG_head)) !== 0;
  const map = total_mapcount(page);
  const cached = (flags & (1 << PG_swapcache)) !== 0 ? (compound ? 512 : 1) : 0;
  const apart = hpage_pincount_available(page);
  expect(mem[page_word(page, PAGE._refcount)]).toBe(map + cached + got + (apart ? pinned : 1024 * pinned));
  if (apart) expect(page_pincount(page)).toBe(pinned);
  // Of a huge page that is mapped by PTEs each subpage has a flag of its own.
  if (exclusive && pinned > 0 && map > 0 && (!compound || (flags & (1 << PG_hugetlb)) !== 0))
    expect(flags & (1 << PG_anon_exclusive)).not.toBe(0);
}
/**
 * A device's: the base reference (1, but on fsdax from v6.15 on), what holds it, and from v6.15 on what maps
 * it.
 */
function checkDevice(head: number, pinned: number, got: number): void {
  const fsdax = mem[page_pgmap(head) + DEV_PAGEMAP.type] === MEMORY_DEVICE_FS_DAX;
  const base = fsdax && config.pteRef ? 0 : 1;
  const map = config.pteRef ? total_mapcount(head) : 0;
  const apart = hpage_pincount_available(head);
  expect(mem[page_word(head, PAGE._refcount)]).toBe(base + map + got + (apart ? pinned : 1024 * pinned));
  if (apart) expect(page_pincount(head)).toBe(pinned);
}

function checkCounts(fuzz: Fuzz, observer: Observer, exclusive: boolean): void {
  const pins = fuzz.held("pin");
  const gets = fuzz.held("get");
  const zero = kernel.zero_pfn;
  let outstanding = 0;
  for (const [page, n] of pins) if (page_to_pfn(page) !== zero || !exclusive) outstanding += n;
  expect(pinsCounted()).toBe(outstanding);
  for (const page of new Set([...pins.keys(), ...gets.keys()])) {
    if (!is_zone_device_page(page)) continue;
    const pfn = page_to_pfn(page);
    // v5.10 drops its base references while it waits in memunmap_pages() for the others.
    if (fuzz.isBeingRemoved(pfn)) continue;
    checkDevice(page, pins.get(page) ?? 0, gets.get(page) ?? 0);
  }
  observer.observe();
  for (const run of observer.pages().runs())
    for (let i = 0; i < run.n; i++) {
      const page = pfn_to_page(run.pfn + i);
      if (compound_head(page) !== page || ((mem[page_word(page, PAGE.mapping)] as number) & 1) === 0)
        continue;
      if (is_zone_device_page(page)) continue;
      checkAnon(page, pins.get(page) ?? 0, gets.get(page) ?? 0, exclusive);
    }
}

/** Nothing maps or holds a page of the device. */
function expectIdle(start: number, nr: number): void {
  for (let pfn = start; pfn < start + nr; pfn++) {
    const page = pfn_to_page(pfn);
    const head = compound_head(page);
    if (head !== page) continue;
    const fsdax = mem[page_pgmap(head) + DEV_PAGEMAP.type] === MEMORY_DEVICE_FS_DAX;
    const base = fsdax && config.pteRef ? 0 : 1;
    if (mem[page_word(head, PAGE._refcount)] !== base)
      expect(mem[page_word(head, PAGE._refcount)], `references of frame ${pfn}`).toBe(base);
  }
}

/**
 * Of every compound device page whose tails share a vmemmap frame: that they do, and a sum of what is there.
 */
function sharedStructPages(fuzz: Fuzz): number[] {
  if (!config.vmemmapDedup) return [];
  const per = 1 << geom.vmemmap_shift;
  const out: number[] = [];
  for (const { start, nr } of fuzz.bound()) {
    const order = 9;
    if (compound_head(pfn_to_page(start + 1)) !== pfn_to_page(start)) continue;
    for (let pfn = start; pfn < start + nr; pfn += 1 << order) {
      const tails = vmemmap_frame(pfn + per);
      expect(tails).not.toBe(vmemmap_frame(pfn));
      for (let k = 2 * per; k < 1 << order; k += per) expect(vmemmap_frame(pfn + k)).toBe(tails);
      let sum = 0;
      for (let i = 0; i < per * PAGE.SIZE; i++) sum = (Math.imul(sum, 31) + (mem[tails + i] as number)) | 0;
      out.push(sum);
    }
  }
  return out;
}
