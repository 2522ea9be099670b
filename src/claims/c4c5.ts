/**
 * Claims C4 and C5: does fast GUP need a dev_pagemap reference, or does what precedes the teardown of device
 * memory exclude it? C4 asks it of x86, where "the TLB flush that must have preceded a pgmap destroy excludes
 * fast gup"; C5 of the other architectures, and which mechanism it is that excludes the walker
 * (docs/claims.md has the reasoning). The cells are data, and what decides them is the exploration of
 * scenarios/gup-teardown.ts.
 *
 * Not covered: faults that map pages during the unbind (dax_srcu), TLBs of user accesses, and page tables
 * that are freed meanwhile, which C1 is about.
 */

import { ARCHITECTURES, TLB_FLUSH_IPI } from "../machine/arch.ts";
import { findArch, type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { REF_ATOMIC, REF_EXTERNAL, REF_PERCPU } from "../machine/knobs/gup.ts";
import {
  type BootedScenario,
  defineScenario,
  type Scenario,
  type ScenarioThread,
  siblingModule,
} from "../machine/scenario.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../mm/boot.ts";
import { pin_user_pages_fast_only } from "../mm/gup.ts";
import type { Cell, CellModel, Knockout } from "./cells.ts";
import { check_unbound, holder, remover, walker, walker_irqs_off } from "./scenarios/gup-teardown.ts";

/** The order of the unbind, and how the device is mapped. */
const TEARDOWNS = {
  "device-dax": "mappings are removed, then the pages (kill_dev_dax(), memunmap_pages()); 4 KiB entries",
  "device-dax-2m": "the same, mapped by one PMD leaf of two pages",
  "device-dax-idle":
    "the same as device-dax, and every page is waited for until it is idle before memunmap_pages()",
  fsdax:
    "a file system stays mounted: the pages go while entries still name them (ext4; xfs to v6.6, or without an rmapbt)",
} as const;
const PGMAP_REFS = ["ref-taken", "ref-not-taken"] as const;
const REF_MODES = { percpu: REF_PERCPU, atomic: REF_ATOMIC, external: REF_EXTERNAL } as const;
/** Kernel whose counting memunmap_pages() uses; also the preset. */
const COUNTINGS = ["v5.10", "v5.18", "v7.3"] as const;
const PINS = {
  "no-pin": "references end within the walk's irq-off section",
  "walker-pin": "walkers keep what they took past the walk, and use it",
  "held-pin": "and one page is pinned since before the unbind",
} as const;
export const SIZES = ["1x1", "1x2", "2x1", "2x2"] as const;

export interface TeardownConfig {
  readonly teardown: keyof typeof TEARDOWNS;
  readonly pgmapRef: (typeof PGMAP_REFS)[number];
  readonly percpuRef: keyof typeof REF_MODES;
  readonly counting: (typeof COUNTINGS)[number];
  readonly pin: keyof typeof PINS;
  readonly walkers: number;
  readonly pages: number;
}

export type TeardownCell = Cell<TeardownConfig>;

const C4_ARCHES = ["x86-64", "x86-64-kvm", "x86-64-invlpgb"];
const MODELS: readonly CellModel[] = ["sc", "tso"];

function notApplicable(c: TeardownConfig): string | null {
  if (c.counting === "v7.3") {
    if (c.pgmapRef === "ref-taken") return "v6.17 and later have no device path that could take a reference";
  }
  if (c.percpuRef === "external" && c.counting !== "v5.10")
    return "v5.17 removed external references (b80892ca022e)";
  if (c.teardown === "fsdax" && c.counting === "v5.18" && c.percpuRef === "external")
    return "v5.17 removed external references (b80892ca022e)";
  return null;
}

/**
 * The default matrix ends within a minute: one walker and one page of every configuration of the two unbinds
 * that the mail is about; and, where references end with the walk, two walkers or two pages under the
 * hardware's own model.
 */
function isStandard(c: TeardownConfig, model: CellModel, hardware: string): boolean {
  if (c.teardown !== "device-dax" && c.teardown !== "fsdax") return false;
  if (c.walkers * c.pages === 1) return true;
  if (c.walkers * c.pages > 2 || c.teardown !== "device-dax") return false;
  return c.percpuRef === "percpu" && c.pin === "no-pin" && model === (hardware === "tso" ? "tso" : "sc");
}

/** Every configuration with so many walkers and pages, on every architecture under every model, in order. */
function cellsAt(sizes: readonly string[]): TeardownCell[] {
  const out: TeardownCell[] = [];
  for (const { name: arch, model: hardware } of ARCHITECTURES)
    for (const teardown of Object.keys(TEARDOWNS) as (keyof typeof TEARDOWNS)[])
      for (const pgmapRef of PGMAP_REFS)
        for (const percpuRef of Object.keys(REF_MODES) as (keyof typeof REF_MODES)[])
          for (const counting of COUNTINGS)
            for (const pin of Object.keys(PINS) as (keyof typeof PINS)[])
              for (const size of sizes)
                for (const model of MODELS) {
                  const [walkers, pages] = size.split("x").map(Number) as [number, number];
                  const config: TeardownConfig = {
                    teardown,
                    pgmapRef,
                    percpuRef,
                    counting,
                    pin,
                    walkers,
                    pages,
                  };
                  const claim = C4_ARCHES.includes(arch) ? "C4" : "C5";
                  out.push({
                    id: [claim, arch, teardown, pgmapRef, percpuRef, counting, pin, size, model].join("/"),
                    claim,
                    arch,
                    model,
                    weakerHardware: hardware === "lkmm",
                    config,
                    notApplicable: notApplicable(config),
                    standard: isStandard(config, model, hardware),
                  });
                }
  return out;
}

let listed: readonly TeardownCell[] | undefined;

/** Every cell of C4 and C5. */
export function cells(): readonly TeardownCell[] {
  listed ??= cellsAt(SIZES);
  return listed;
}

const unlisted = new Map<string, readonly TeardownCell[]>();

/**
 * The cells with so many walkers and pages, from 1x1 to 8x8: those that are listed and larger ones, which are
 * explored when they are asked for. `standard` are the configurations that are standard at 1x1; null for
 * another size.
 */
export function cellsOfSize(size: string): readonly TeardownCell[] | null {
  if (!/^[1-8]x[1-8]$/.test(size)) return null;
  let found = unlisted.get(size);
  if (found === undefined) {
    const one = cellsAt(["1x1"]);
    found = cellsAt([size]).map((c, i) => ({ ...c, standard: one[i]?.standard === true }));
    unlisted.set(size, found);
  }
  return found;
}

/** A cell that is not listed, by its id: one of a larger size. */
export function unlistedCell(id: string): TeardownCell | undefined {
  return cellsOfSize(id.split("/")[7] ?? "")?.find((c) => c.id === id);
}

/** Knobs of a cell on top of its preset. */
function knobsOf(c: TeardownConfig): KnobSettings {
  return {
    pgmapRef: c.pgmapRef === "ref-taken" ? 1 : 0,
    percpuRef: REF_MODES[c.percpuRef],
    unbindUnmaps: c.teardown === "fsdax" ? 0 : 1,
    unbindWaitsIdle: c.teardown === "device-dax-idle" ? 1 : 0,
    // Without 1e57ffb6e3fd a reference that is atomic from the start is freed under get_dev_pagemap()'s feet,
    // whatever excludes the walk: another question than this claim's (zoo J10).
    ...(c.percpuRef === "atomic" ? { pgmapExitLate: 1 } : {}),
  };
}

function boot(cell: TeardownCell, extra: KnobSettings): BootedScenario {
  const c = cell.config;
  const preset: PresetName = c.counting;
  const huge = c.teardown === "device-dax-2m";
  // Frames as small as the device, so that no word is there without need: a power of two that the walk's
  // pages fit in, at least two where a leaf is huge; one table maps them all.
  const shift = Math.max(huge ? 1 : 0, Math.ceil(Math.log2(c.pages)));
  const nr = 1 << shift;
  const threads = c.walkers + 1 + (c.pin === "held-pin" ? 1 : 0);
  bootMachine({
    preset,
    knobs: { ...knobsOf(c), ...extra },
    arch: cell.arch,
    geometry: {
      levels: 2,
      table_shift: Math.max(1, shift),
      max_pfn: 2 * nr,
      vmemmap_shift: shift,
      pgmap_shift: shift,
    },
    cpus: threads,
    tables: 2,
  });
  kernel.only_devices = 1;
  const mm = newMm();
  // From v5.17 a device that is mapped by huge leaves is made of compound pages.
  const order = huge && c.counting !== "v5.10" ? shift : 0;
  const device = newDaxDevice("dax0.0", { start: nr, nr, fsdax: c.teardown === "fsdax", order });
  bindDaxDevice(device);
  mapDaxDevice(mm, device, { addr: 0, nr, level: huge ? 1 : 0 });

  const run: ScenarioThread["run"] = c.pin === "no-pin" ? walker_irqs_off : walker;
  const list: ScenarioThread[] = [];
  for (let i = 0; i < c.walkers; i++) list.push({ name: `walker${i}`, run, args: [mm, 0, c.pages, 0] });
  if (c.pin === "held-pin") {
    const pages = new Int32Array(1);
    if (pin_user_pages_fast_only(mm, 0, 1, 0, pages) !== 1)
      throw new RangeError(`${cell.id}: the first page cannot be pinned at boot`);
    list.push({ name: "holder", run: holder, args: [pages[0] as number] });
  }
  list.push({ name: "remover", run: remover, args: [device.dev] });
  return { threads: list, finally: { name: "check_unbound", run: check_unbound, args: [device.dev] } };
}

/**
 * The cell as a scenario, with a mechanism removed if asked.
 * @throws RangeError for a cell that is not applicable.
 */
export function scenario(cell: TeardownCell, knockout?: Knockout): Scenario {
  const not = knockout?.notApplicable ?? cell.notApplicable;
  if (not !== null)
    throw new RangeError(
      `${cell.id}${knockout === undefined ? "" : ` without ${knockout.removed}`} is not applicable: ${not}`,
    );
  const c = cell.config;
  const what = `${c.walkers} walker${c.walkers > 1 ? "s" : ""} of ${c.pages} page${c.pages > 1 ? "s" : ""}`;
  return defineScenario({
    name: knockout === undefined ? cell.id : `${cell.id}/without-${knockout.removed}`,
    title: `${what} against the unbind of ${c.teardown} on ${findArch(cell.arch).title}`,
    module: siblingModule(import.meta.url, "./scenarios/gup-teardown"),
    boot: () => boot(cell, knockout?.knobs ?? {}),
  });
}

/** The mechanisms that could exclude a walker, and what removing each means in this cell. */
export function knockouts(cell: TeardownCell): readonly Knockout[] {
  const c = cell.config;
  const unmaps = c.teardown !== "fsdax";
  const byIpi = findArch(cell.arch).tlbFlush === TLB_FLUSH_IPI;
  const flushes = unmaps ? null : "this unbind removes no mapping, so it flushes nothing";
  const ref: Knockout = {
    removed: "pgmap-ref",
    title: "fast GUP takes no pagemap reference",
    knobs: { pgmapRef: 0 },
    notApplicable: null,
  };
  return [
    ...(c.pgmapRef === "ref-taken" ? [ref] : []),
    {
      removed: "ipi",
      title: "the TLB flush waits for no other CPU",
      knobs: { ipi: 0 },
      notApplicable: flushes ?? (byIpi ? null : "this architecture's flush interrupts nobody"),
    },
    {
      removed: "irq-off",
      title: "fast GUP walks with interrupts on",
      knobs: { irqOff: 0 },
      notApplicable: null,
    },
    {
      removed: "ref-grace-period",
      title: "percpu_ref_kill() switches to atomic mode without a grace period",
      knobs: { percpuRefRcu: 0 },
      notApplicable:
        c.percpuRef === "percpu"
          ? null
          : "a reference that is atomic from the start has no grace period in kill",
    },
    {
      removed: "recheck",
      title: "fast GUP does not read the entry again after the grab",
      knobs: { pteRecheck: 0 },
      notApplicable: null,
    },
    {
      removed: "flush",
      title: "zapping neither flushes the TLB nor orders anything",
      knobs: { tlbFlush: 0 },
      notApplicable: flushes,
    },
  ];
}
