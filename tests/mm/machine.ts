/**
 * Small machines for the tests of mm/: random layouts of leaves of every level over a device or over plain
 * frames, and a snapshot of everything that counts.
 */

import fc from "fast-check";
import { geom, type KnobSettings, type PresetName } from "../../src/machine/config.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import {
  bindDaxDevice,
  bootMachine,
  type DaxDevice,
  mapDaxDevice,
  newDaxDevice,
  newMm,
} from "../../src/mm/boot.ts";
import {
  compound_head,
  hpage_pincount_available,
  page_pincount,
  page_ref_count,
  pfn_to_page,
} from "../../src/mm/page.ts";
import { PAGE_READONLY, PAGE_SHARED } from "../../src/mm/pgtable.ts";

/** Frames of the device; starts at frame DEVICE_START. */
export const DEVICE_START = 64;
export const DEVICE_FRAMES = 64;

export interface Segment {
  /** Level of the leaf, or -1 for a hole of one page. */
  readonly level: number;
  readonly writable: boolean;
  /** Chooses the frame. */
  readonly frame: number;
}

export interface Layout {
  readonly levels: number;
  readonly table_shift: number;
  /** Order of the device's compound pages. */
  readonly order: number;
  readonly segments: readonly Segment[];
}

/** Layouts with one to five levels and tables of 2, 4 or 8 entries. */
export const arbitraryLayout: fc.Arbitrary<Layout> = fc.record({
  levels: fc.integer({ min: 1, max: 5 }),
  table_shift: fc.integer({ min: 1, max: 3 }),
  order: fc.integer({ min: 0, max: 6 }),
  segments: fc.array(
    fc.record({
      level: fc.integer({ min: -1, max: 4 }),
      writable: fc.boolean(),
      frame: fc.nat(DEVICE_FRAMES - 1),
    }),
    { minLength: 1, maxLength: 12 },
  ),
});

export interface TestMachine {
  readonly mm: number;
  readonly device: DaxDevice;
  /** First address behind what is laid out. */
  readonly end: number;
  /** Frame mapped at an address; -1 for none. */
  readonly frames: readonly number[];
  readonly writable: readonly boolean[];
}

/** Boots a machine with a bound device and maps its frames as the layout says, as far as they fit. */
export function bootLayout(
  layout: Layout,
  preset: PresetName,
  knobs: KnobSettings = {},
  arch = "x86-64",
): TestMachine {
  useSequentialHost();
  bootMachine({
    preset,
    knobs,
    arch,
    geometry: {
      levels: layout.levels,
      table_shift: layout.table_shift,
      max_pfn: 128,
      vmemmap_shift: 3,
      pgmap_shift: 6,
    },
    cpus: 1,
    tables: 200,
  });
  const mm = newMm();
  const device = newDaxDevice("dax0.0", { start: DEVICE_START, nr: DEVICE_FRAMES, order: layout.order });
  bindDaxDevice(device);
  const frames: number[] = [];
  const writable: boolean[] = [];
  for (const s of layout.segments) {
    const level = Math.min(s.level, layout.levels - 1);
    const span = level < 0 ? 1 : 1 << (level * layout.table_shift);
    // A leaf starts at a multiple of its size; the gap is a hole.
    while (frames.length % span !== 0) {
      frames.push(-1);
      writable.push(false);
    }
    if (span > DEVICE_FRAMES || frames.length + span > Math.min(geom.task_size, 1024)) break;
    if (level >= 0) {
      const pfn = DEVICE_START + s.frame - (s.frame % span);
      const prot = s.writable ? PAGE_SHARED : PAGE_READONLY;
      mapDaxDevice(mm, device, { addr: frames.length, nr: span, pgoff: pfn - DEVICE_START, level, prot });
      for (let i = 0; i < span; i++) frames.push(pfn + i);
    } else frames.push(-1);
    while (writable.length < frames.length) writable.push(s.writable);
  }
  return { mm, device, end: frames.length, frames, writable };
}

/** Reference and pin counts of every device page. */
export function counts(): readonly (readonly number[])[] {
  const out: number[][] = [];
  for (let pfn = DEVICE_START; pfn < DEVICE_START + DEVICE_FRAMES; pfn++) {
    const page = pfn_to_page(pfn);
    const head = compound_head(page) === page;
    out.push([page_ref_count(page), head && hpage_pincount_available(page) ? page_pincount(page) : 0]);
  }
  return out;
}

/** The longest run of pages from addr on that a walk can take. */
export function expectedRun(m: TestMachine, addr: number, nr: number, write: boolean): readonly number[] {
  const out: number[] = [];
  for (let a = addr; a < addr + nr && a < m.end; a++) {
    const pfn = m.frames[a] as number;
    if (pfn < 0 || (write && !m.writable[a])) break;
    out.push(pfn_to_page(pfn));
  }
  return out;
}

/**
 * The layout with the device made of compound pages as large as its largest leaf, as memory models demand of
 * a driver.
 */
export function wholeLeaves(layout: Layout): Layout {
  let order = layout.order;
  for (const s of layout.segments) {
    const leaf = Math.min(s.level, layout.levels - 1) * layout.table_shift;
    if (1 << leaf <= DEVICE_FRAMES) order = Math.max(order, leaf);
  }
  return { ...layout, order };
}
