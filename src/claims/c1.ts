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

import { ARCHITECTURES, TABLE_FREE_RCU, TLB_FLUSH_IPI } from "../machine/arch.ts";
import { findArch, geom, type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { GUP_RFC, GUP_UNIFORM, GUP_V510 } from "../machine/knobs/gup.ts";
import { mem, memblock_alloc } from "../machine/memory.ts";
import {
  type BootedScenario,
  defineScenario,
  type Scenario,
  type ScenarioThread,
  siblingModule,
} from "../machine/scenario.ts";
import { bindDaxDevice, mapDaxDevice, newDaxDevice } from "../mm/boot.ts";
import { FOLL_WRITE } from "../mm/gup_flags.ts";
import { split_huge_pmd_address } from "../mm/huge_split.ts";
import { PAGE, pfn_to_page } from "../mm/page.ts";
import { pgtable_lookup, pte_pfn } from "../mm/pgtable.ts";
import type { Cell, CellModel, Knockout } from "./cells.ts";
import { newMirroredMm } from "./hmm-machine.ts";
import { bootMmMachine, mmapAnon, touch } from "./mm-machine.ts";
import {
  check_coherent,
  check_unpinned,
  collapser,
  forker,
  holder,
  protector,
  revoker,
  splitter,
  unmapper,
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
  "fork-read": "the same, and the page is pinned for reading",
  munmap: "the range is unmapped for good, and its page table freed",
  "munmap-no-batch": "the same, without memory to gather tables in",
  mprotect: "write permission is taken away, and the page looked at: does anybody have it pinned?",
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
  fork: ["ram-4k", "thp-pmd"],
  "fork-read": ["ram-4k", "thp-pmd"],
  munmap: ["ram-4k"],
  "munmap-no-batch": ["ram-4k"],
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
                  event === "munmap-no-batch" && findArch(arch).tableFree !== TABLE_FREE_RCU
                    ? "page tables go at once, after the flush: they are not gathered"
                    : gup === "special-cased" && mapping !== "dax-pmd"
                      ? "the RFC's path differs from the per-page one on compound device leaves only"
                      : walkers > 1 && (event === "fork" || event === "fork-read" || event === "collapse")
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

/** Frames of System RAM: two that are mapped, and, where pages are copied or collapsed, two more. */
function ramFrames(event: C1Event, dax: boolean): number {
  if (dax) return 2;
  return event === "fork" || event === "fork-read" || event === "collapse" ? 4 : 2;
}

/** Where the pages are and who may do what with them. */
interface Places {
  readonly mm: number;
  readonly mapping: C1Mapping;
  /** struct page of the first page, and the address_space of a device. */
  readonly first: number;
  readonly file: number;
  readonly revoked: number;
  readonly reused: number;
}

/** The area's two pages, mapped as asked. */
function mapPages(mapping: C1Mapping): { mm: number; first: number; file: number } {
  const mm = newMirroredMm();
  if (mapping === "dax-4k" || mapping === "dax-pmd") {
    const order = mapping === "dax-pmd" ? 1 : 0;
    const d = newDaxDevice("dax0.0", { start: 2, nr: 2, order });
    bindDaxDevice(d);
    mapDaxDevice(mm, d, { addr: 0, nr: 2, level: order });
    return { mm, first: kernel.vmemmap + 2 * PAGE.SIZE, file: d.mapping };
  }
  const vma = mmapAnon(mm, 0, 2, mapping !== "ram-4k");
  touch(mm, 0, 2);
  if (mapping === "thp-pte") split_huge_pmd_address(vma, 0);
  const out = new Int32Array(1);
  pgtable_lookup(mm, 0, out);
  return { mm, first: pfn_to_page(pte_pfn(mem[out[0] as number] as number)), file: 0 };
}

function boot(cell: C1Cell, extra: KnobSettings): BootedScenario {
  const { gup, mapping, event, walkers } = cell.config;
  const form = FORMS[gup];
  const dax = mapping === "dax-4k" || mapping === "dax-pmd";
  const ram = ramFrames(event, dax);
  bootMmMachine({
    preset: form.preset,
    knobs: { ...form.knobs, tableBatchFails: event === "munmap-no-batch" ? 1 : 0, ...extra },
    arch: cell.arch,
    levels: 2,
    ram,
    device: dax ? 2 : 0,
    // Pin counts of compound pages of two pages lie in page[1].
    vmemmap_shift: 1,
    cpus: walkers + 1,
    tables: 5,
    areas: 2,
    mms: 2,
  });
  kernel.only_devices = dax ? 1 : 0;
  const revoked = memblock_alloc("revoked", 1);
  const reused = memblock_alloc("reused", geom.max_pfn, { count: geom.max_pfn });
  const places: Places = { ...mapPages(mapping), mapping, revoked, reused };
  const { mm, first } = places;
  // What is pinned in the end must be what is mapped, if the pin is kept.
  if (event === "fork" || event === "fork-read" || event === "collapse") {
    const slot = memblock_alloc("pinned", 1);
    const flags = event === "fork-read" ? 0 : FOLL_WRITE;
    return {
      threads: [{ name: "pinner", run: holder, args: [mm, 0, flags, slot] }, opponent(event, places)],
      finally: { name: "check_coherent", run: check_coherent, args: [mm, 0, slot] },
    };
  }
  const threads: ScenarioThread[] = [];
  for (let i = 0; i < walkers; i++)
    threads.push({ name: `walker${i}`, run: walker, args: [mm, 0, 2, FOLL_WRITE, revoked, reused] });
  threads.push(opponent(event, places));
  return { threads, finally: { name: "check_unpinned", run: check_unpinned, args: [first, 2] } };
}

function opponent(event: C1Event, { mm, mapping, first, file, revoked, reused }: Places): ScenarioThread {
  switch (event) {
    case "zap":
      return { name: "zapper", run: zapper, args: [mm, 0, 2, mapping === "ram-4k" ? 0 : 1, reused] };
    case "revoke":
      return { name: "revoker", run: revoker, args: [file, 2, first, 1, reused] };
    case "split":
      return { name: "splitter", run: splitter, args: [mm, 0, first, reused] };
    case "collapse":
      return { name: "khugepaged", run: collapser, args: [mm, 0] };
    case "fork":
    case "fork-read":
      return { name: "forker", run: forker, args: [mm, 0] };
    case "munmap":
    case "munmap-no-batch":
      return { name: "unmapper", run: unmapper, args: [mm, 0, 2, reused] };
    case "mprotect":
      return { name: "protector", run: protector, args: [mm, 0, 2, first, revoked] };
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
  const { tlbFlush, tableFree } = findArch(cell.arch);
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
      removed: "ipi",
      title: "the flush waits for nobody",
      knobs: { ipi: 0 },
      notApplicable: tlbFlush === TLB_FLUSH_IPI ? null : "this architecture's flush interrupts nobody",
    },
    {
      removed: "flush",
      title: "changing an entry neither flushes nor orders",
      knobs: { tlbFlush: 0 },
      notApplicable: null,
    },
    {
      removed: "sync-one",
      title: "collapsing, or freeing a table that is not gathered, does not wait for walkers",
      knobs: { syncOne: 0 },
      notApplicable: event === "collapse" || event === "munmap-no-batch" ? null : "nothing waits so",
    },
    {
      removed: "table-rcu",
      title: "page tables are freed at once, not after a grace period",
      knobs: { tableRcu: 0 },
      notApplicable:
        event !== "munmap"
          ? "no table is gathered"
          : tableFree === TABLE_FREE_RCU
            ? null
            : "the flush is what this architecture waits for",
    },
    {
      removed: "write-protect-seq",
      title: "a walk does not retry if fork write-protects meanwhile",
      knobs: { writeProtectSeq: 0 },
      notApplicable: event === "fork" || event === "fork-read" ? null : "only fork does",
    },
  ];
}
