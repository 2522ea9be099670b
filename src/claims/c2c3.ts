/**
 * Claims C2 and C3. C2: unpin cannot know the memory type and always works on the compound head, so pin must
 * too: which combinations of what a pin counts (the head, the subpage itself) and of device pages (compound,
 * single) leak, underflow or hold, whatever the order and grouping of the releases. C3: the flag
 * PGMAP_COMPOUND, which tells compound pagemaps from others, is not needed: base and compound pagemaps side
 * by side, mapped by a PMD leaf or by PTEs, with the flag as it should be, absent, or where it should not be,
 * and in two forms that have no flag at all. Exploring scenarios/pin-counts.ts decides; one model is enough
 * for one thread, and both are taken where threads race.
 *
 * Not covered: leaves of more than four pages; the releases of several drivers at once beyond one hand-over.
 */

import { findArch, type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { GUP_RFC, GUP_UNIFORM, GUP_V510 } from "../machine/knobs/gup.ts";
import { mem, memblock_alloc } from "../machine/memory.ts";
import {
  type BootedScenario,
  defineScenario,
  type Scenario,
  type ScenarioThread,
  siblingModule,
} from "../machine/scenario.ts";
import { bindDaxDevice, bootMachine, type DaxDevice, mapDaxDevice, newDaxDevice, newMm } from "../mm/boot.ts";
import { FOLL_WRITE } from "../mm/gup_flags.ts";
import { PAGE } from "../mm/page.ts";
import { DEV_PAGEMAP, PGMAP_COMPOUND } from "../mm/pgmap.ts";
import type { Cell, CellModel, Knockout } from "./cells.ts";
import {
  check_both,
  check_counts,
  gup_pinner,
  hand_over,
  pinner,
  take_over,
  v1_pinner,
  zapper,
} from "./scenarios/pin-counts.ts";

// ---- C2 ---------------------------------------------------------------------------------------------------

const COUNTS = {
  head: "the pin counts on the compound head",
  tail: "the pin counts on the subpage itself",
} as const;
export const PAGES = { compound: "one compound page", single: "single pages" } as const;
export const RELEASES = {
  same: "released by the thread that pinned",
  "hand-over": "pinned on one CPU, released on another",
} as const;
/** A compound page of two counts its pins in the reference count, of four apart (v5.7, 47e29d32afba). */
export const ORDERS = { two: 1, four: 2 } as const;

export interface C2Config {
  readonly counts: keyof typeof COUNTS;
  readonly pages: keyof typeof PAGES;
  readonly release: keyof typeof RELEASES;
  readonly nr: keyof typeof ORDERS;
}
export type C2Cell = Cell<C2Config>;

const ARCH = "x86-64";
const keys = <T extends object>(o: T): (keyof T & string)[] => Object.keys(o) as (keyof T & string)[];

function c2Cells(): C2Cell[] {
  return keys(COUNTS).flatMap((counts) =>
    keys(PAGES).flatMap((pages) =>
      keys(RELEASES).flatMap((release) =>
        keys(ORDERS).flatMap((nr) =>
          (release === "same" ? (["sc"] as const) : (["sc", "tso"] as const)).map(
            (model: CellModel): C2Cell => ({
              id: ["C2", ARCH, pages, counts, release, nr, model].join("/"),
              claim: "C2",
              arch: ARCH,
              model,
              weakerHardware: false,
              config: { counts, pages, release, nr },
              notApplicable: null,
              standard: true,
            }),
          ),
        ),
      ),
    ),
  );
}

function bootC2({ config: c }: C2Cell): BootedScenario {
  const order = ORDERS[c.nr];
  const nr = 1 << order;
  bootMachine({
    preset: "v6.1",
    knobs: { pincountMinOrder: 2, pincountPage: 2, vmstat: 0 },
    arch: ARCH,
    geometry: { levels: 2, table_shift: order, max_pfn: 2 * nr, vmemmap_shift: order, pgmap_shift: order },
    cpus: 2,
    tables: 2,
  });
  bindDaxDevice(newDaxDevice("dax0.0", { start: nr, nr, order: c.pages === "compound" ? order : 0 }));
  const first = kernel.vmemmap + nr * PAGE.SIZE;
  const tail = c.counts === "tail" ? 1 : 0;
  if (c.release === "same")
    return {
      threads: [{ name: "driver", run: pinner, args: [first, nr, tail] }],
      finally: { name: "check_counts", run: check_counts, args: [first, nr, 1, 0] },
    };
  const box = memblock_alloc("handed_over", 1);
  const done = memblock_alloc("released", 1);
  return {
    threads: [
      { name: "pinner", run: hand_over, args: [first, nr, tail, box] },
      { name: "releaser", run: take_over, args: [first, nr, box, done] },
    ],
    finally: { name: "check_counts", run: check_counts, args: [first, nr, 1, done] },
  };
}

// ---- C3 ---------------------------------------------------------------------------------------------------

/** How fast GUP tells that a leaf's subpages share a head. */
const TELLS = {
  "rfc-flag": "PGMAP_COMPOUND, set on the compound pagemap only (the RFC)",
  "rfc-no-flag": "PGMAP_COMPOUND is asked for and set nowhere",
  "rfc-flag-both": "PGMAP_COMPOUND is set on the base pagemap as well",
  "per-page": "nothing is told: one grab per page (v5.10)",
  "v1-compound-test": "PageCompound() of the page instead of a flag (v1, March 2021)",
  uniform: "nothing is told: a leaf is one grab (v6.17)",
} as const;
const LEAVES = {
  "pmd-both": "both pagemaps are mapped by PMD leaves",
  "pmd-compound": "the base pagemap by PTEs, the compound one by a PMD leaf",
  "pte-both": "both by PTEs",
} as const;

export interface C3Config {
  readonly tells: keyof typeof TELLS;
  readonly leaves: keyof typeof LEAVES;
  readonly against: "nothing" | "zap";
}
export type C3Cell = Cell<C3Config>;

const FORM: Readonly<Record<keyof typeof TELLS, { preset: PresetName; knobs: KnobSettings }>> = {
  "rfc-flag": { preset: "v6.1", knobs: { gup: GUP_RFC } },
  "rfc-no-flag": { preset: "v6.1", knobs: { gup: GUP_RFC } },
  "rfc-flag-both": { preset: "v6.1", knobs: { gup: GUP_RFC } },
  "per-page": { preset: "v6.1", knobs: { gup: GUP_V510 } },
  "v1-compound-test": { preset: "v6.1", knobs: {} },
  uniform: { preset: "v7.3", knobs: { gup: GUP_UNIFORM } },
};

function c3Cells(): C3Cell[] {
  return keys(TELLS).flatMap((tells) =>
    keys(LEAVES).flatMap((leaves) =>
      (["nothing", "zap"] as const).flatMap((against) =>
        (against === "nothing" ? (["sc"] as const) : (["sc", "tso"] as const)).map(
          (model: CellModel): C3Cell => ({
            id: ["C3", ARCH, tells, leaves, against, model].join("/"),
            claim: "C3",
            arch: ARCH,
            model,
            weakerHardware: false,
            config: { tells, leaves, against },
            notApplicable:
              tells === "v1-compound-test" && (against === "zap" || leaves !== "pmd-both")
                ? "v1 is asked about its grab on a whole leaf only"
                : null,
            standard: true,
          }),
        ),
      ),
    ),
  );
}

function bootC3({ config: c }: C3Cell): BootedScenario {
  const nr = 2;
  const form = FORM[c.tells];
  bootMachine({
    preset: form.preset,
    knobs: { ...form.knobs, vmstat: 0, mmuNotifier: 0 },
    arch: ARCH,
    geometry: { levels: 2, table_shift: 1, max_pfn: 3 * nr, vmemmap_shift: 1, pgmap_shift: 1 },
    cpus: 3,
    tables: 3,
    pgmaps: 2,
  });
  const mm = newMm();
  const base = newDaxDevice("base", { start: nr, nr, order: 0 });
  const compound = newDaxDevice("compound", { start: 2 * nr, nr, order: 1 });
  const flags = (d: DaxDevice, on: boolean): void => {
    mem[d.pgmap + DEV_PAGEMAP.flags] = on ? PGMAP_COMPOUND : 0;
  };
  flags(base, c.tells === "rfc-flag-both");
  flags(compound, c.tells === "rfc-flag" || c.tells === "rfc-flag-both");
  bindDaxDevice(base);
  bindDaxDevice(compound);
  mapDaxDevice(mm, base, { addr: 0, nr, level: c.leaves === "pmd-both" ? 1 : 0 });
  const vma = mapDaxDevice(mm, compound, { addr: nr, nr, level: c.leaves === "pte-both" ? 0 : 1 });
  const first = kernel.vmemmap + nr * PAGE.SIZE;
  const other = first + nr * PAGE.SIZE;
  const driver = (name: string, at: number, page: number): ScenarioThread =>
    c.tells === "v1-compound-test"
      ? { name, run: v1_pinner, args: [page, nr] }
      : { name, run: gup_pinner, args: [mm, at, nr, FOLL_WRITE] };
  // What every page counts before anybody pins; an unmapping takes away what the entries hold (from v6.15
  // on).
  const counted = (page: number): number => mem[page + PAGE._refcount];
  const before = [0, 1].map((i) => counted(first + i * PAGE.SIZE));
  const compoundBefore = c.against === "zap" ? 1 : counted(other);
  const threads =
    c.against === "nothing"
      ? [driver("base", 0, first), driver("compound", nr, other)]
      : [driver("compound", nr, other), { name: "zapper", run: zapper, args: [vma, nr, nr] }];
  return {
    threads,
    finally: {
      name: "check_both",
      run: check_both,
      args: [first, other, before[0], before[1], compoundBefore],
    },
  };
}

// ---- Both -------------------------------------------------------------------------------------------------

const MODULE = siblingModule(import.meta.url, "./scenarios/pin-counts");

function define(cell: Cell<object>, title: string, boot: () => BootedScenario): Scenario {
  if (cell.notApplicable !== null)
    throw new RangeError(`${cell.id} is not applicable: ${cell.notApplicable}`);
  return defineScenario({
    name: cell.id,
    title: `${title}, on ${findArch(ARCH).title}`,
    module: MODULE,
    boot,
  });
}

/** No mechanism is taken out of these: their knobs are the question. */
const knockouts = (): readonly Knockout[] => [];

let listedC2: readonly C2Cell[] | undefined;
let listedC3: readonly C3Cell[] | undefined;

/** `scenario` throws RangeError for a cell that is not applicable. */
export const c2 = {
  cells: (): readonly C2Cell[] => (listedC2 ??= c2Cells()),
  scenario: (cell: C2Cell): Scenario =>
    define(
      cell,
      `${COUNTS[cell.config.counts]}; ${PAGES[cell.config.pages]}, ${RELEASES[cell.config.release]}`,
      () => bootC2(cell),
    ),
  knockouts,
};

export const c3 = {
  cells: (): readonly C3Cell[] => (listedC3 ??= c3Cells()),
  scenario: (cell: C3Cell): Scenario =>
    define(cell, `${TELLS[cell.config.tells]}; ${LEAVES[cell.config.leaves]}`, () => bootC3(cell)),
  knockouts,
};
