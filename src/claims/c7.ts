/**
 * Claim C7: was HMM right to drop its pagemap check (068354ade5dd, v5.7), relying on notifiers alone? A
 * driver mirrors one page and lets its device read it, while the page is taken away in one of several
 * manners. The cells cross the check with notifiers heeded or ignored; the knock-outs take out one step of
 * the documented driver loop at a time, and one guarantee of the core. The cells are data; exploring
 * scenarios/hmm-teardown.ts decides them.
 *
 * Not covered: more than one page and one driver; devices that translate through an IOMMU of their own; DMA
 * in flight after the callback has returned, which the documentation forbids and the model's mutex excludes.
 */

import { ARCHITECTURES } from "../machine/arch.ts";
import { findArch, type KnobSettings } from "../machine/config.ts";
import { REF_EXTERNAL } from "../machine/knobs/gup.ts";
import { mem, memblock_alloc } from "../machine/memory.ts";
import {
  type BootedScenario,
  defineScenario,
  type Scenario,
  type ScenarioThread,
  siblingModule,
} from "../machine/scenario.ts";
import { bindDaxDevice, mapDaxDevice, newDaxDevice, newMm } from "../mm/boot.ts";
import { MM, VMA } from "../mm/mm_types.ts";
import type { Cell, CellModel, Knockout } from "./cells.ts";
import {
  addAnonVma,
  addSystemRam,
  bootHmmMachine,
  type HmmMachineSpec,
  mapAnonPage,
  newDmirror,
  newMirroredMm,
} from "./hmm-machine.ts";
import { bootMmMachine, mmapAnon, touch } from "./mm-machine.ts";
import {
  check_mirror,
  check_unwritten,
  collapse,
  driver,
  exit,
  fork,
  madvise_dontneed,
  migrate,
  munmap,
  protect,
  unbind,
  writing_driver,
} from "./scenarios/hmm-teardown.ts";

/** What takes the page away. */
export const EVENTS = {
  "dax-unbind": "device memory: mappings are removed, then the memory (kill_dev_dax(), memunmap_pages())",
  "dax-unbind-cold":
    "the same, of memory that nobody has touched yet: the driver's fault maps it, or is refused",
  "fsdax-unbind": "device memory that goes while entries still name it (ext4 on fsdax)",
  "fsdax-walk": "the same, and the device does not read: does hmm_range_fault() end?",
  madvise: "System RAM: MADV_DONTNEED, mmap_lock held for reading",
  munmap: "System RAM: munmap(), page tables freed, mmap_lock held for writing",
  exit: "System RAM: the address space ends, no mmap_lock (exit_mmap() to v5.18)",
  migrate: "System RAM: the page moves to another frame",
  collapse: "System RAM: the page and its neighbour move to a huge page",
  mprotect: "System RAM: the right to write goes, and the device writes (PROT_READ)",
  fork: "System RAM: the page is shared with a child, read-only, and the device writes",
} as const;
export type HmmEvent = keyof typeof EVENTS;

const PGMAP_CHECKS = ["check", "no-check"] as const;
const NOTIFIERS = ["notifier", "ignored"] as const;
/** Kernel whose hmm_range_fault() it is; also the preset of the rest. */
const VERSIONS = ["v5.10", "v7.3"] as const;

export interface HmmConfig {
  readonly event: HmmEvent;
  readonly pgmapCheck: (typeof PGMAP_CHECKS)[number];
  /** "ignored": the driver's callback neither removes its mapping nor notes the sequence. */
  readonly notifier: (typeof NOTIFIERS)[number];
  readonly version: (typeof VERSIONS)[number];
}
export type HmmCell = Cell<HmmConfig>;

const MODELS: readonly CellModel[] = ["sc", "tso"];
const isFsdax = (e: HmmEvent): boolean => e === "fsdax-unbind" || e === "fsdax-walk";
const isDevice = (e: HmmEvent): boolean => isFsdax(e) || e === "dax-unbind" || e === "dax-unbind-cold";

function notApplicable(c: HmmConfig): string | null {
  if (c.pgmapCheck === "check" && !isDevice(c.event)) return "System RAM has no pagemap to look up";
  if (c.version === "v7.3" && c.pgmapCheck === "check")
    return "entries of v6.17 and later do not say that their page is a device's";
  return null;
}

function allCells(): HmmCell[] {
  const out: HmmCell[] = [];
  for (const { name: arch, model: hardware } of ARCHITECTURES)
    for (const event of Object.keys(EVENTS) as HmmEvent[])
      for (const pgmapCheck of PGMAP_CHECKS)
        for (const notifier of NOTIFIERS)
          for (const version of VERSIONS)
            for (const model of MODELS) {
              const config: HmmConfig = { event, pgmapCheck, notifier, version };
              out.push({
                id: ["C7", arch, event, pgmapCheck, notifier, version, model].join("/"),
                claim: "C7",
                arch,
                model,
                weakerHardware: hardware === "lkmm",
                config,
                notApplicable: notApplicable(config),
                standard: model === (hardware === "tso" ? "tso" : "sc"),
              });
            }
  return out;
}

let listed: readonly HmmCell[] | undefined;
/** Every cell of C7. */
export function cells(): readonly HmmCell[] {
  listed ??= allCells();
  return listed;
}

/**
 * Equal for cells whose programs are the same: of an architecture only these facts enter the code of the
 * scenario.
 */
export function programKey(cell: HmmCell): string {
  const { tlbFlush, tableFree, syncOne } = findArch(cell.arch);
  return JSON.stringify([cell.config, cell.model, tlbFlush, tableFree, syncOne]);
}

function knobsOf(c: HmmConfig): KnobSettings {
  return {
    hmmPgmapCheck: c.pgmapCheck === "check" ? 1 : 0,
    unbindUnmaps: isFsdax(c.event) ? 0 : 1,
    // pmem's own reference is its queue's to v5.14.
    ...(isFsdax(c.event) && c.version === "v5.10" ? { percpuRef: REF_EXTERNAL } : {}),
    ...(c.notifier === "ignored" ? { dmirrorSetSeq: 0, dmirrorInvalidate: 0 } : {}),
    // The reference of the address space costs states and matters only where that ends.
    ...(c.event === "exit" ? {} : { dmirrorMmget: 0 }),
  };
}

/** Times that the device reads through the translation that it got. */
const ACCESSES = 1;
const ADDR = 0;
/** What the device writes. */
const WRITTEN = 7;

/**
 * A machine of the cell's kernel and architecture: a CPU for the driver, one for what takes the page away.
 */
function bootFor(
  cell: HmmCell,
  knobs: KnobSettings,
  size: Omit<HmmMachineSpec, "preset" | "knobs" | "arch" | "cpus">,
): { mm: number } {
  return bootHmmMachine({ preset: cell.config.version, knobs, arch: cell.arch, cpus: 2, ...size });
}

function bootDevice(cell: HmmCell, knobs: KnobSettings): BootedScenario {
  const { mm } = bootFor(cell, knobs, { levels: 1, max_pfn: 2, tables: 1, dax: true });
  const device = newDaxDevice("dax0.0", { start: 1, nr: 1, fsdax: isFsdax(cell.config.event) });
  bindDaxDevice(device);
  const vma = mapDaxDevice(mm, device, { addr: ADDR, nr: 1, level: 0 });
  mem[vma + VMA.vm_private_data] = device.dev;
  if (cell.config.event === "dax-unbind-cold") mem[mem[mm + MM.pgd]] = 0;
  const dmirror = newDmirror(mm, ADDR, 1);
  return {
    threads: [
      {
        name: "driver",
        run: driver,
        args: [dmirror, ADDR, cell.config.event === "fsdax-walk" ? 0 : ACCESSES],
      },
      { name: "unbind", run: unbind, args: [device.dev] },
    ],
    finally: { name: "check", run: check_mirror, args: [dmirror, ADDR, 1] },
  };
}

function bootRam(cell: HmmCell, knobs: KnobSettings): BootedScenario {
  const { event } = cell.config;
  // Tables that can be freed lie below the top one.
  const levels = event === "munmap" || event === "exit" ? 2 : 1;
  const { mm } = bootFor(cell, knobs, { levels, max_pfn: 2, tables: levels });
  addSystemRam(0, 2, 1);
  const vma = addAnonVma(mm, ADDR, 1);
  mapAnonPage(vma, ADDR, 0);
  const dmirror = newDmirror(mm, ADDR, 1);
  const remover: Readonly<Record<string, ScenarioThread>> = {
    madvise: { name: "madvise", run: madvise_dontneed, args: [mm, ADDR, 1] },
    munmap: { name: "munmap", run: munmap, args: [mm, ADDR, 1] },
    exit: { name: "exit", run: exit, args: [mm] },
    migrate: { name: "migrate", run: migrate, args: [0] },
  };
  return {
    threads: [{ name: "driver", run: driver, args: [dmirror, ADDR, ACCESSES] }, remover[event]],
    finally: { name: "check", run: check_mirror, args: [dmirror, ADDR, 1] },
  };
}

/** Two pages are mapped, and two frames are free for the compound page that they are collapsed into. */
function bootCollapse(cell: HmmCell, knobs: KnobSettings): BootedScenario {
  bootMmMachine({
    preset: cell.config.version,
    knobs: { mmuNotifier: 1, ...knobs },
    arch: cell.arch,
    cpus: 2,
    levels: 2,
    ram: 4,
    vmemmap_shift: 1,
    tables: 3,
  });
  const mm = newMirroredMm();
  mmapAnon(mm, ADDR, 2);
  touch(mm, ADDR, 2);
  const dmirror = newDmirror(mm, ADDR, 2);
  return {
    threads: [
      { name: "driver", run: driver, args: [dmirror, ADDR, ACCESSES] },
      { name: "khugepaged", run: collapse, args: [mm, ADDR] },
    ],
    finally: { name: "check", run: check_mirror, args: [dmirror, ADDR, 2] },
  };
}

/** Frame 0 is mapped writable; frame 1 is free, for a write fault that copies. */
function bootProtected(cell: HmmCell, knobs: KnobSettings): BootedScenario {
  const { event } = cell.config;
  const { mm } = bootFor(cell, knobs, { levels: 1, max_pfn: 2, tables: 2 });
  addSystemRam(0, 2, 1);
  const vma = addAnonVma(mm, ADDR, 1);
  mapAnonPage(vma, ADDR, 0);
  const seen = memblock_alloc("seen", 1);
  const dmirror = newDmirror(mm, ADDR, 1);
  const remover: ScenarioThread =
    event === "fork"
      ? { name: "fork", run: fork, args: [vma, addAnonVma(newMm("child_mm"), ADDR, 1), 0, seen] }
      : { name: "mprotect", run: protect, args: [vma, 0, seen] };
  return {
    threads: [{ name: "driver", run: writing_driver, args: [dmirror, ADDR, WRITTEN] }, remover],
    finally: { name: "check", run: check_unwritten, args: [dmirror, ADDR, 0, seen] },
  };
}

function bootCell(cell: HmmCell, knobs: KnobSettings): BootedScenario {
  const { event } = cell.config;
  if (isDevice(event)) return bootDevice(cell, knobs);
  if (event === "collapse") return bootCollapse(cell, knobs);
  if (event === "mprotect" || event === "fork") return bootProtected(cell, knobs);
  return bootRam(cell, knobs);
}

/**
 * The cell as a scenario, with a mechanism removed if asked.
 * @throws RangeError for a cell that is not applicable.
 */
export function scenario(cell: HmmCell, knockout?: Knockout): Scenario {
  const not = knockout?.notApplicable ?? cell.notApplicable;
  if (not !== null)
    throw new RangeError(
      `${cell.id}${knockout === undefined ? "" : ` without ${knockout.removed}`} is not applicable: ${not}`,
    );
  const knobs = { ...knobsOf(cell.config), ...knockout?.knobs };
  return defineScenario({
    name: knockout === undefined ? cell.id : `${cell.id}/without-${knockout.removed}`,
    title: `a mirror device against ${cell.config.event} on ${findArch(cell.arch).title}`,
    module: siblingModule(import.meta.url, "./scenarios/hmm-teardown"),
    boot: () => bootCell(cell, knobs),
  });
}

const STEPS: readonly (readonly [string, string, KnobSettings])[] = [
  [
    "read-begin",
    "the driver takes the sequence without waiting for a running invalidation",
    { dmirrorReadBegin: 0 },
  ],
  ["read-retry", "the driver does not compare the sequence", { dmirrorRetry: 0 }],
  ["driver-lock", "the driver compares and updates without its lock", { dmirrorLock: 0 }],
  ["mmap-lock", "hmm_range_fault() is called without mmap_lock", { dmirrorMmapLock: 0 }],
  ["mmget", "the driver does not hold the address space", { dmirrorMmget: 0 }],
  ["callback-lock", "the callback does not take the driver's lock", { dmirrorCallbackLock: 0 }],
  ["set-seq", "the callback does not note the sequence", { dmirrorSetSeq: 0 }],
  ["invalidate", "the callback leaves the device's entries", { dmirrorInvalidate: 0 }],
  ["check-retry", "hmm_range_fault() does not look at the sequence itself", { hmmCheckRetry: 0 }],
  ["bracket", "entries are removed without telling notifiers", { notifierBracket: 0 }],
  ["dax-srcu", "kill_dev_dax() does not wait for running faults", { daxSrcu: 0 }],
  ["flush", "zapping does not flush the TLB", { tlbFlush: 0 }],
];

/** Steps of the driver's loop and guarantees of the core, and what removing each means in this cell. */
export function knockouts(cell: HmmCell): readonly Knockout[] {
  const c = cell.config;
  return STEPS.map(([removed, title, knobs]) => {
    let not: string | null = null;
    if (c.notifier === "ignored" && ["callback-lock", "set-seq", "invalidate"].includes(removed))
      not = "the driver ignores the notifier";
    else if (removed === "mmget" && c.event !== "exit") not = "the address space does not end here";
    else if (removed === "dax-srcu" && !isDevice(c.event)) not = "no device is unbound";
    return { removed, title, knobs, notApplicable: not };
  });
}
