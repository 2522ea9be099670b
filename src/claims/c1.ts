/**
 * Claim C1: whenever an entry of any level points at a page frame as a leaf, the run of subpages can be
 * pinned by one reference grab on the head; device memory needs no path of its own. The cells race the
 * per-page, the special-cased and the uniform path against what may happen to the entry meanwhile; the
 * sequential half (the uniform path and one page at a time give the same pages and leave the same references)
 * is a property test. Exploring scenarios/uniform-race.ts decides.
 *
 * Not covered: PUD and higher leaves in the races (the walk's functions are alike; the property test has
 * them); teardown of the pagemap, which is C4's.
 */

import { ARCHITECTURES } from "../machine/arch.ts";
import { findArch, geom, type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { GUP_RFC, GUP_UNIFORM, GUP_V510 } from "../machine/knobs/gup.ts";
import { declareRegion, mem, memblock_alloc } from "../machine/memory.ts";
import {
  type BootedScenario,
  defineScenario,
  type Scenario,
  type ScenarioThread,
  siblingModule,
} from "../machine/scenario.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../mm/boot.ts";
import { FOLL_WRITE } from "../mm/gup_flags.ts";
import { PAGE, PG_anon_exclusive, prep_compound_page } from "../mm/page.ts";
import { _PAGE_PSE, PAGE_SHARED, pfn_pte, pgtable_alloc, pte_alloc_one, set_pte_at } from "../mm/pgtable.ts";
import type { Cell, CellModel, Knockout } from "./cells.ts";
import {
  check_coherent,
  check_unpinned,
  collapser,
  forker,
  holder,
  protector,
  revoker,
  splitter,
  walker,
  zapper,
} from "./scenarios/uniform-race.ts";

export const FORMS = {
  "per-page": { preset: "v6.12", knobs: { gup: GUP_V510, pteDevmap: 1, pgmapRef: 1 } },
  "special-cased": { preset: "v6.12", knobs: { gup: GUP_RFC, pteDevmap: 1, pgmapRef: 1 } },
  uniform: { preset: "v7.3", knobs: { gup: GUP_UNIFORM } },
} as const satisfies Readonly<Record<string, { preset: PresetName; knobs: KnobSettings }>>;
export type C1Form = keyof typeof FORMS;

/** What is mapped, and by leaves of which level. */
export const MAPPINGS = {
  "ram-4k": "two anonymous pages by two PTEs",
  "thp-pmd": "an anonymous compound page by a PMD leaf",
  "thp-pte": "an anonymous compound page by PTEs",
  "dax-4k": "device pages by PTEs",
  "dax-pmd": "a compound device page by a PMD leaf",
} as const;
export type C1Mapping = keyof typeof MAPPINGS;

export const EVENTS = {
  zap: "the range is unmapped, its references dropped, and free frames are allocated again",
  revoke: "a driver unmaps device pages and gives them to another owner if they are idle",
  split: "the compound page is split, and then unmapped",
  collapse: "the pages are collapsed into a compound page",
  fork: "fork write-protects or copies, and then the parent writes",
  mprotect: "write permission is taken away",
} as const;
export type C1Event = keyof typeof EVENTS;

export interface C1Config {
  readonly gup: C1Form;
  readonly mapping: C1Mapping;
  readonly event: C1Event;
  readonly walkers: number;
}
export type C1Cell = Cell<C1Config>;

const MODELS: readonly CellModel[] = ["sc", "tso"];
const SUITS: Readonly<Record<C1Event, readonly C1Mapping[]>> = {
  zap: ["ram-4k", "thp-pmd", "thp-pte"],
  revoke: ["dax-4k", "dax-pmd"],
  split: ["thp-pmd", "thp-pte"],
  collapse: ["ram-4k"],
  fork: ["ram-4k"],
  mprotect: ["ram-4k", "thp-pmd", "dax-4k", "dax-pmd"],
};

let listed: readonly C1Cell[] | undefined;

export function cells(): readonly C1Cell[] {
  listed ??= ARCHITECTURES.flatMap(({ name: arch, model: hardware }) =>
    (Object.keys(EVENTS) as C1Event[]).flatMap((event) =>
      SUITS[event].flatMap((mapping) =>
        (Object.keys(FORMS) as C1Form[]).flatMap((gup) =>
          [1, 2].flatMap((walkers) =>
            MODELS.map((model): C1Cell => {
              const config: C1Config = { gup, mapping, event, walkers };
              return {
                id: ["C1", arch, event, mapping, gup, walkers, model].join("/"),
                claim: "C1",
                arch,
                model,
                weakerHardware: hardware === "lkmm",
                config,
                notApplicable:
                  gup === "special-cased" && mapping !== "dax-pmd"
                    ? "the RFC's path differs from the per-page one on compound device leaves only"
                    : event === "fork" && walkers > 1
                      ? "one pin is enough to ask whether it stays coherent"
                      : null,
                // One walker under the hardware's own model, as far as that is explored; the rest with --all.
                standard: walkers === 1 && model === (hardware === "tso" ? "tso" : "sc"),
              };
            }),
          ),
        ),
      ),
    ),
  );
  return listed;
}

/** Frames: two that are mapped, two for copies or the collapsed page. */
const MAX_PFN = 4;

function initRamPage(pfn: number, refs: number, anon: number): void {
  const page = kernel.vmemmap + pfn * PAGE.SIZE;
  mem[page + PAGE.flags] = 1 << PG_anon_exclusive;
  mem[page + PAGE._refcount] = refs;
  mem[page + PAGE._mapcount] = refs > 0 ? 0 : -1;
  mem[page + PAGE.mapping] = anon;
}

function boot(cell: C1Cell, extra: KnobSettings): BootedScenario {
  const { gup, mapping, event, walkers } = cell.config;
  const form = FORMS[gup];
  const dax = mapping === "dax-4k" || mapping === "dax-pmd";
  bootMachine({
    preset: form.preset,
    // Pin counts of compound pages of two pages lie in page[1]; freed frames are poison.
    knobs: { ...form.knobs, pageRegions: dax ? 0 : 1, mmuNotifier: 0, vmstat: 0, ...extra },
    arch: cell.arch,
    geometry: { levels: 2, table_shift: 1, max_pfn: MAX_PFN, vmemmap_shift: 1, pgmap_shift: 1 },
    cpus: walkers + 1,
    tables: 3,
  });
  const mm = newMm();
  const revoked = memblock_alloc("revoked", 1);
  const reused = memblock_alloc("reused", MAX_PFN, { count: MAX_PFN });
  const slot = memblock_alloc("pinned", 1);
  const child = memblock_alloc("child_pte", 1);
  const first = kernel.vmemmap;
  const page2 = first + 2 * PAGE.SIZE;
  let device = 0;
  if (dax) {
    const order = mapping === "dax-pmd" ? 1 : 0;
    const d = newDaxDevice("dax0.0", { start: 2, nr: 2, order });
    bindDaxDevice(d);
    mapDaxDevice(mm, d, { addr: 0, nr: 2, level: order });
    device = page2;
  } else {
    const anon = (memblock_alloc("anon_vma", 1, { align: 4 }) | 1) as number;
    for (let pfn = 0; pfn < MAX_PFN; pfn++) {
      declareRegion(`data[${pfn}]`, kernel.direct_map + pfn * geom.page_words, geom.page_words);
      initRamPage(pfn, 1, anon);
    }
    const compound = mapping !== "ram-4k";
    if (compound) prep_compound_page(first, 1);
    if (event === "collapse") prep_compound_page(page2, 1);
    mem[first + PAGE._refcount] = mapping === "thp-pte" ? 2 : 1;
    const level = mapping === "thp-pmd" ? 1 : 0;
    for (let i = 0; i < 2; i += 1 << level)
      set_pte_at(pgtable_alloc(mm, i, level), pfn_pte(i, PAGE_SHARED | (level > 0 ? _PAGE_PSE : 0)));
  }
  const level = mapping === "thp-pmd" || mapping === "dax-pmd" ? 1 : 0;
  const threads: ScenarioThread[] = [];
  if (event === "fork") threads.push({ name: "pinner", run: holder, args: [mm, 0, FOLL_WRITE, slot] });
  else
    for (let i = 0; i < walkers; i++)
      threads.push({ name: `walker${i}`, run: walker, args: [mm, 0, 2, FOLL_WRITE, revoked, reused] });
  threads.push(event1(event, { mm, level, mapping, first, page2, device, revoked, reused, child }));
  const check: ScenarioThread =
    event === "fork"
      ? { name: "check_coherent", run: check_coherent, args: [mm, 0, slot] }
      : { name: "check_unpinned", run: check_unpinned, args: [dax ? device : first, dax ? 2 : MAX_PFN] };
  return { threads, finally: check };
}

interface Places {
  readonly mm: number;
  readonly level: number;
  readonly mapping: C1Mapping;
  readonly first: number;
  readonly page2: number;
  readonly device: number;
  readonly revoked: number;
  readonly reused: number;
  readonly child: number;
}

function event1(event: C1Event, p: Places): ScenarioThread {
  switch (event) {
    case "zap":
      return {
        name: "zapper",
        run: zapper,
        args: [p.mm, 0, 2, p.first, p.mapping === "ram-4k" ? 1 : 2, p.reused],
      };
    case "revoke":
      return { name: "revoker", run: revoker, args: [p.mm, 0, 2, p.device, 1, p.reused] };
    case "split":
      return {
        name: "splitter",
        run: splitter,
        args: [p.mm, 0, p.first, p.mapping === "thp-pmd" ? pte_alloc_one() : 0],
      };
    case "collapse":
      return { name: "khugepaged", run: collapser, args: [p.mm, 0, p.page2] };
    case "fork":
      return { name: "forker", run: forker, args: [p.mm, 0, p.child, p.page2, p.page2 + PAGE.SIZE] };
    case "mprotect":
      return { name: "protector", run: protector, args: [p.mm, 0, p.level, 2 >> p.level, p.revoked] };
  }
}

/** @throws RangeError for a cell that is not applicable. */
export function scenario(cell: C1Cell, knockout?: Knockout): Scenario {
  const not = knockout?.notApplicable ?? cell.notApplicable;
  if (not !== null) throw new RangeError(`${cell.id} is not applicable: ${not}`);
  return defineScenario({
    name: knockout === undefined ? cell.id : `${cell.id}/without-${knockout.removed}`,
    title: `${cell.config.gup} fast GUP of ${MAPPINGS[cell.config.mapping]}, against ${cell.config.event}, on ${findArch(cell.arch).title}`,
    module: siblingModule(import.meta.url, "./scenarios/uniform-race"),
    boot: () => boot(cell, knockout?.knobs ?? {}),
  });
}

/** The mechanisms that a cell may rest on. */
export function knockouts(cell: C1Cell): readonly Knockout[] {
  const { event, gup, mapping } = cell.config;
  const pte = mapping !== "thp-pmd" && mapping !== "dax-pmd";
  return [
    {
      removed: "recheck",
      title: "fast GUP does not read the entry again after the grab",
      knobs: { pteRecheck: 0 },
      notApplicable: null,
    },
    {
      removed: "head-recheck",
      title: "the grab does not check that the page still belongs to the head (to v5.13)",
      knobs: { headRecheck: 0 },
      notApplicable:
        gup === "uniform" || !mapping.startsWith("dax") ? null : "device pages are taken by their head alone",
    },
    {
      removed: "pmd-recheck",
      title: "fast GUP does not read the PMD above a table again (to v5.19)",
      knobs: { pmdRecheck: 0 },
      notApplicable: pte ? null : "there is no table",
    },
    {
      removed: "irq-off",
      title: "fast GUP walks with interrupts on",
      knobs: { irqOff: 0 },
      notApplicable: null,
    },
    {
      removed: "flush",
      title: "changing an entry neither flushes nor orders",
      knobs: { tlbFlush: 0 },
      notApplicable: null,
    },
    {
      removed: "sync-one",
      title: "collapsing does not wait for walkers",
      knobs: { syncOne: 0 },
      notApplicable: event === "collapse" ? null : "only a collapse does",
    },
    {
      removed: "write-protect-seq",
      title: "a walk does not retry if fork write-protects meanwhile",
      knobs: { writeProtectSeq: 0 },
      notApplicable: event === "fork" ? null : "only fork does",
    },
  ];
}
