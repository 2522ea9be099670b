/**
 * What is selected when a machine boots: the version of the kernel code (knobs), the architecture, the
 * geometry of page tables and struct pages, and where boot code put things. Each is a constant object of
 * numbers, so that a branch on one is folded away when a program is linked; every knob names the kernel
 * version or patch that it stands for (Linux upstream commit ids). Not here: what a scenario does; that is
 * the scenario's business.
 */

import { ARCHITECTURES, type Arch } from "./arch.ts";
import { HMM_CONFIG, HMM_CONFIG_V6_1, HMM_CONFIG_V6_12, HMM_CONFIG_V7_1, HMM_KNOBS } from "./config-hmm.ts";
import { MM_KNOBS } from "./config-mm.ts";
import { nearestName } from "./nearest.ts";

// ---- Knobs ------------------------------------------------------------------------------------------------

export const GUP_V510 = 0;
export const GUP_RFC = 1;
export const GUP_UNIFORM = 2;
export const REFCOUNT_ONE_BASED = 0;
export const REFCOUNT_ZERO_BASED = 1;
export const REF_PERCPU = 0;
export const REF_ATOMIC = 1;
export const REF_EXTERNAL = 2;
export const SECRETMEM_LRU = 1;
export const HUGETLB_DONTNEED_UP = 1;
export const P2PDMA_V6_2 = 1;
export const GUP_ARGS_COMMON = 2;

/** The knobs in force. Change them only through `setConfig`. */
export const config = {
  gup: GUP_V510 as number,
  rfcShiftAsSize: 1,
  rfcDoubleOffset: 1,
  rfcReferencedEarly: 1,
  rfcSlowBatch: 0,
  pgmapRef: 1,
  pgmapRefcounting: REFCOUNT_ONE_BASED as number,
  pgmapRefPointer: 1,
  pgmapExitLate: 0,
  gupHugeUndoFix: 0,
  percpuRef: REF_PERCPU as number,
  percpuRefRcu: 1,
  unbindUnmaps: 1,
  unbindWaitsIdle: 0,
  pteDevmap: 1,
  pteRef: 0,
  pteRecheck: 1,
  pmdRecheck: 0,
  headRecheck: 0,
  irqOff: 1,
  tlbFlush: 1,
  ipi: 1,
  syncOne: 1,
  tableBatchFails: 0,
  writeProtectSeq: 1,
  unpinBatch: 0,
  pincountMinOrder: 2,
  pincountPage: 2,
  vmemmapMapped: 0,
  vmemmapDedup: 0,
  vmstat: 0,
  pageRegions: 0,
  deviceDirty: 0,
  lruBatch: 15,
  anonExclusive: 0,
  dirtyFileMaps: 0,
  migrateFailPages: 0,
  hugetlbForkCopy: 0,
  lazyfreeStays: 0,
  longtermMigrates: 0,
  gupZeroPages: 0,
  fsdaxCheckEarly: 0,
  gupOverflow: 0,
  gupLockKillable: 0,
  pfnEexist: 0,
  follMlock: 1,
  mlockLarge: 0,
  hugetlbSplitPmd: 0,
  faultCompleted: 0,
  longtermFileCheck: 0,
  hugetlbMkwriteAsks: 0,
  mremapMaySplit: 0,
  hugetlbDontneed: 0,
  hugetlbForkLazy: 0,
  movePagesWalk: 0,
  movePagesCounts: 0,
  hugetlbMremap: 0,
  dontunmapFiles: 0,
  dontunmapUnlinks: 0,
  dontunmapSplits: 0,
  mremapMany: 0,
  mremapFlushLocked: 1,
  hugetlbNofault: 0,
  hugetlbForce: 1,
  migrationDirty: 0,
  splitUsesZeroPage: 0,
  swapinWritable: 0,
  swapinCached: 0,
  swapZeromap: 0,
  reclaimSkipsPinned: 0,
  lazyfreeHuge: 0,
  largePteBatch: 0,
  collapseNeedsWrite: 1,
  madvCollapse: 0,
  shmemSwapReadahead: 1,
  unshareLongterm: 0,
  zeroPagePins: 1,
  savedDirty: 0,
  splitKeepsDirty: 0,
  mprotectUpgrade: 0,
  doubleMap: 1,
  largeMapcount: 0,
  largeMmIds: 0,
  hugeZeroWrite: 0,
  hugeZeroSpecial: 0,
  gupSlowBatch: 0,
  secretmem: 0,
  pciP2pdma: 0,
  fastNeedsMapping: 0,
  shadowStack: 0,
  deviceCoherent: 0,
  gupArgs: 0,
  ...HMM_CONFIG,
};

export type KnobName = keyof typeof config;

export interface KnobValue {
  readonly value: number;
  readonly name: string;
  /** What it stands for, with the kernel version or commit. */
  readonly title: string;
}

export interface Knob {
  readonly name: KnobName;
  readonly title: string;
  readonly values: readonly KnobValue[];
  /**
   * True if another value than the first is a deliberate removal of a mechanism, which no kernel ever had.
   */
  readonly knockout?: boolean;
}

const onOff = (on: string, off: string): readonly KnobValue[] => [
  { value: 1, name: "on", title: on },
  { value: 0, name: "off", title: off },
];

/** Every knob, for `holdfast list` and for messages. Order is that of the text of docs/claims.md. */
export const KNOBS: readonly Knob[] = [
  {
    name: "gup",
    title: "form of the fast GUP walk for device entries",
    values: [
      { value: GUP_V510, name: "v5.10", title: "own path, one grab per 4 KiB page (v4.5 to v6.16)" },
      {
        value: GUP_RFC,
        name: "rfc",
        title: "own path, one grab per compound device leaf (RFC of 8 December 2020, patch 6; never merged)",
      },
      {
        value: GUP_UNIFORM,
        name: "uniform",
        title: "no path of its own, try_grab_folio_fast at every leaf (v6.17, fd2825b0760a)",
      },
    ],
  },
  {
    name: "pgmapRef",
    title: "the device path takes a dev_pagemap reference around the grab",
    values: onOff(
      "get_dev_pagemap() per device entry (v4.5, 5c2c2587b132, to v6.16)",
      "not taken (the mail's question; v6.17 has no device path)",
    ),
  },
  {
    name: "pgmapRefcounting",
    title: "what memunmap_pages() waits for",
    values: [
      {
        value: REFCOUNT_ONE_BASED,
        name: "one-based",
        title: "each page's base reference holds one pagemap reference: waits for pins (to v5.17)",
      },
      {
        value: REFCOUNT_ZERO_BASED,
        name: "zero-based",
        title: "percpu_ref_put_many(): does not wait for pins of device-dax pages (v5.18, 27674ef6c73f)",
      },
    ],
  },
  {
    name: "pgmapRefPointer",
    title:
      "pgmap->ref is a pointer, which memunmap_pages() clears where it is to the pagemap's own reference",
    values: onOff("v5.10, to v5.16", "the reference lies in the pagemap (v5.17, b80892ca022e)"),
  },
  {
    name: "pgmapExitLate",
    title: "percpu_ref_exit() after the pagemap left pgmap_array",
    values: onOff("last step of memunmap_pages() (v6.0, 1e57ffb6e3fd)", "right after the wait (to v5.19)"),
  },
  {
    name: "gupHugeUndoFix",
    title: "__gup_device_huge() drops its pagemap reference when a grab fails",
    values: onOff("dropped (6401c4eb57f9, v5.14)", "leaked (to v5.13)"),
  },
  {
    name: "percpuRef",
    title: "mode of the pagemap's percpu_ref when it is killed",
    values: [
      {
        value: REF_PERCPU,
        name: "percpu",
        title: "per-CPU counters; kill switches through call_rcu() (internal ref)",
      },
      {
        value: REF_ATOMIC,
        name: "atomic",
        title: "atomic from the start (PERCPU_REF_INIT_ATOMIC): no grace period in kill",
      },
      {
        value: REF_EXTERNAL,
        name: "external",
        title:
          "the request queue's q_usage_count, atomic, with ops->kill and ops->cleanup (pmem to v5.14, 3dd60fb9d95d)",
      },
    ],
  },
  {
    name: "percpuRefRcu",
    title: "percpu_ref_switch_to_atomic() waits for a grace period",
    knockout: true,
    values: onOff("call_rcu() (lib/percpu-refcount.c, all versions)", "knock-out: switches at once"),
  },
  {
    name: "unbindUnmaps",
    title: "unbinding the device removes its mappings first",
    values: onOff(
      "kill_dev_dax(): unmap_mapping_range() (device-dax, all versions)",
      "mappings stay (fsdax unbind while mounted: ext4; xfs before it is told, fa422b353d21, v6.7)",
    ),
  },
  {
    name: "unbindWaitsIdle",
    title: "unbinding waits until no mapped page is pinned, before memunmap_pages()",
    values: onOff(
      "waits, as dax_break_layout_final() does for fsdax (v6.15)",
      "does not wait (device-dax, all versions)",
    ),
  },
  {
    name: "pteDevmap",
    title: "device entries carry pXX_devmap",
    values: onOff("yes (v4.5 to v6.16)", "no such bit (v6.17, d438d2734170)"),
  },
  {
    name: "pteRef",
    title: "an entry that maps a device page holds a reference on it",
    values: onOff("yes (v6.15, aed877c2b425)", "no (to v6.14)"),
  },
  {
    name: "pteRecheck",
    title: "fast GUP re-reads the leaf entry after the grab",
    knockout: true,
    values: onOff("all versions", "knock-out: trusts the first read"),
  },
  {
    name: "pmdRecheck",
    title: "fast GUP re-reads the PMD above a page table",
    values: onOff("v6.0, 70cbc3cc78a9", "to v5.19"),
  },
  {
    name: "headRecheck",
    title: "the grab checks that the page still belongs to the head that it counted on",
    values: onOff("v5.14, c24d37322548", "to v5.13"),
  },
  {
    name: "irqOff",
    title: "fast GUP walks with interrupts off",
    knockout: true,
    values: onOff("all versions", "knock-out: interrupts stay on"),
  },
  {
    name: "tlbFlush",
    title: "zapping flushes the TLB",
    knockout: true,
    values: onOff("all versions", "knock-out: neither flush nor its barrier"),
  },
  {
    name: "ipi",
    title: "a TLB flush by IPI waits for the other CPUs",
    knockout: true,
    values: onOff(
      "smp_call_function with wait (architectures that flush by IPI)",
      "knock-out: barrier only, nobody is waited for",
    ),
  },
  {
    name: "syncOne",
    title: "tlb_remove_table_sync_one() sends its IPI",
    knockout: true,
    values: onOff("where the architecture frees tables by RCU", "knock-out: empty"),
  },
  {
    name: "tableBatchFails",
    title: "no memory for a batch of page tables to free",
    values: [
      { value: 0, name: "off", title: "batches are allocated" },
      { value: 1, name: "on", title: "tlb_remove_table_one() for every table" },
    ],
  },
  {
    name: "writeProtectSeq",
    title: "FOLL_PIN walks retry if fork write-protects meanwhile",
    values: onOff("v5.11, 57efa1fe5957 (backported to v5.10.y)", "to v5.10"),
  },
  {
    name: "unpinBatch",
    title: "unpin_user_pages() drops one reference count per run of equal heads",
    values: onOff("v5.13, 31b912de1316", "one drop per page (to v5.12)"),
  },
  {
    name: "pincountMinOrder",
    title: "least order of a compound page that counts pins apart from references",
    values: [
      { value: 2, name: "2", title: "order above 1: the count lies in page[2] (v5.7, 47e29d32afba)" },
      { value: 1, name: "1", title: "every compound page, 64-bit (v6.x folio layout)" },
    ],
  },
  {
    name: "pincountPage",
    title: "struct page of a compound page that holds the pin count",
    values: [
      { value: 2, name: "2", title: "page[2] (v5.7 to v5.17)" },
      { value: 1, name: "1", title: "page[1] (observed v6.1 and later)" },
    ],
  },
  {
    name: "vmemmapMapped",
    title: "struct pages are reached through a table of vmemmap frames",
    values: [
      { value: 0, name: "off", title: "one linear array, as if the vmemmap were one frame" },
      {
        value: 1,
        name: "on",
        title:
          "frames of 2^vmemmap_shift struct pages that can be shared (4917f55b4ef9, v5.19) and freed apart",
      },
    ],
  },
  {
    name: "vmemmapDedup",
    title: "tails of a compound device page share vmemmap frames (needs vmemmapMapped)",
    values: [
      { value: 0, name: "off", title: "every frame is a page of its own (to v5.18)" },
      { value: 1, name: "on", title: "all frames but the first two are one (v5.19, 4917f55b4ef9)" },
    ],
  },
  {
    name: "vmstat",
    title: "nr_foll_pin_acquired and nr_foll_pin_released are counted",
    values: [
      {
        value: 0,
        name: "off",
        title: "not counted: monotonic counters would make every history a state of its own",
      },
      { value: 1, name: "on", title: "counted per CPU (v5.7)" },
    ],
  },
  {
    name: "pageRegions",
    title: "contents of a page are poisoned when it goes back to the page allocator",
    values: [
      { value: 0, name: "off", title: "contents stay as they are" },
      { value: 1, name: "on", title: "poisoned (CONFIG_PAGE_POISONING); needs one region per page" },
    ],
  },
  ...MM_KNOBS,
  ...HMM_KNOBS,
];

export type KnobSettings = Partial<Readonly<Record<KnobName, number>>>;

const V5_10: Readonly<Record<KnobName, number>> = { ...config };
const V5_18: Readonly<Record<KnobName, number>> = {
  ...V5_10,
  pgmapRefPointer: 0,
  pgmapRefcounting: REFCOUNT_ZERO_BASED,
  gupHugeUndoFix: 1,
  headRecheck: 1,
  unpinBatch: 1,
  pincountPage: 1,
};
const V6_1: Readonly<Record<KnobName, number>> = {
  ...V5_18,
  pgmapExitLate: 1,
  pmdRecheck: 1,
  pincountMinOrder: 1,
  anonExclusive: 1,
  zeroPagePins: 0,
  secretmem: 1,
  faultCompleted: 1,
  pfnEexist: 1,
  follMlock: 0,
  mprotectUpgrade: 1,
  deviceDirty: 1,
  ...HMM_CONFIG_V6_1,
  migrationDirty: 1,
  hugetlbForce: 0,
  hugetlbDontneed: 2,
  hugetlbForkLazy: 1,
  movePagesCounts: 1,
  madvCollapse: 1,
  hugetlbMremap: 1,
  mremapMaySplit: 1,
  dontunmapFiles: 1,
  dontunmapUnlinks: 1,
  fsdaxCheckEarly: 1,
  longtermMigrates: 1,
  hugetlbForkCopy: 1,
  migrateFailPages: 1,
  deviceCoherent: 1,
  gupArgs: 1,
};
const V6_12: Readonly<Record<KnobName, number>> = {
  ...V6_1,
  mlockLarge: 1,
  swapZeromap: 1,
  reclaimSkipsPinned: 1,
  lazyfreeHuge: 1,
  largePteBatch: 1,
  movePagesWalk: 1,
  dontunmapSplits: 1,
  unshareLongterm: 1,
  savedDirty: 1,
  splitKeepsDirty: 1,
  mprotectUpgrade: 2,
  doubleMap: 0,
  largeMapcount: 1,
  gupSlowBatch: 1,
  secretmem: 2,
  lruBatch: 31,
  ...HMM_CONFIG_V6_12,
  swapinWritable: 1,
  splitUsesZeroPage: 1,
  hugetlbNofault: 1,
  longtermFileCheck: 1,
  gupOverflow: 1,
  gupLockKillable: 1,
  pciP2pdma: 2,
  fastNeedsMapping: 1,
  shadowStack: 1,
  gupArgs: GUP_ARGS_COMMON,
};

const V7_3: Readonly<Record<KnobName, number>> = {
  ...V6_12,
  gup: GUP_UNIFORM,
  pgmapRef: 0,
  pteDevmap: 0,
  pteRef: 1,
  largeMmIds: 1,
  hugeZeroWrite: 1,
  hugeZeroSpecial: 1,
  ...HMM_CONFIG_V7_1,
  swapinCached: 1,
  shmemSwapReadahead: 0,
  hugetlbForce: 1,
  lazyfreeStays: 1,
  hugetlbSplitPmd: 1,
  dirtyFileMaps: 1,
  mremapMany: 1,
  collapseNeedsWrite: 0,
  hugetlbMkwriteAsks: 1,
};

/** Whole configurations by kernel version. The knobs that no version has (knock-outs) are on in each. */
export const PRESETS = {
  "v5.10": V5_10,
  "rfc-2020-12": { ...V5_10, gup: GUP_RFC, unpinBatch: 1, rfcSlowBatch: 1 },
  "v5.18": V5_18,
  "v6.1": V6_1,
  "v6.12": V6_12,
  "v7.3": V7_3,
} as const satisfies Readonly<Record<string, Readonly<Record<KnobName, number>>>>;

export type PresetName = keyof typeof PRESETS;

function unknownName(what: string, name: string, known: readonly string[]): RangeError {
  const near = nearestName(name, known);
  return new RangeError(
    `unknown ${what} "${name}"${near === undefined ? `; known: ${known.join(", ")}` : `; did you mean "${near}"?`}`,
  );
}

/**
 * The number of a knob's value given by name or number. Throws RangeError, naming the nearest knob or value.
 */
export function knobValue(name: string, value: string | number): number {
  const knob = KNOBS.find((k) => k.name === name);
  if (knob === undefined)
    throw unknownName(
      "knob",
      name,
      KNOBS.map((k) => k.name),
    );
  const found = knob.values.find(
    (v) => v.name === String(value) || (typeof value === "number" && v.value === value),
  );
  if (found === undefined)
    throw unknownName(
      `value of knob ${name}`,
      String(value),
      knob.values.map((v) => v.name),
    );
  return found.value;
}

/**
 * Puts a preset in force, then changes single knobs. Throws RangeError for a name or value that does not
 * exist.
 */
export function setConfig(preset: PresetName, settings: KnobSettings = {}): void {
  const base: Readonly<Record<KnobName, number>> | undefined = Object.hasOwn(PRESETS, preset)
    ? PRESETS[preset]
    : undefined;
  if (base === undefined) throw unknownName("preset", String(preset), Object.keys(PRESETS));
  const next: Record<string, number> = { ...base };
  for (const [name, value] of Object.entries(settings)) next[name] = knobValue(name, value);
  Object.assign(config, next);
}

// ---- Architecture -----------------------------------------------------------------------------------------

/** The numbers of the architecture in force; see arch.ts. Change them only through `setArch`. */
export const arch = { tlbFlush: 0, tableFree: 0, syncOne: 0, irqOffIsRcuReader: 1, vmemmapFree: 0 };

/** The descriptor of that name. Throws RangeError, naming the nearest. */
export function findArch(name: string): Arch {
  const found = ARCHITECTURES.find((a) => a.name === name);
  if (found === undefined)
    throw unknownName(
      "architecture",
      name,
      ARCHITECTURES.map((a) => a.name),
    );
  return found;
}

export function setArch(name: string): void {
  const { tlbFlush, tableFree, syncOne, irqOffIsRcuReader, vmemmapFree } = findArch(name);
  Object.assign(arch, { tlbFlush, tableFree, syncOne, irqOffIsRcuReader, vmemmapFree });
}

// ---- Geometry ---------------------------------------------------------------------------------------------

/**
 * Shape of tables and pages. A virtual address is a page number below `task_size`; a table has 2^table_shift
 * entries. `pmd_shift` and so on are derived: log2 of the pages that one entry of the level spans.
 */
export const geom = {
  levels: 2,
  table_shift: 1,
  ptrs_per_table: 2,
  pmd_shift: 1,
  pud_shift: 2,
  p4d_shift: 3,
  pgdir_shift: 4,
  /** First page number that is not a user address. */
  task_size: 4,
  /** Words of contents per page; 1024 is 4 KiB. */
  page_words: 1,
  /** Frame numbers run from 0 to max_pfn - 1. */
  max_pfn: 4,
  /** log2 of the struct pages in one vmemmap frame; 6 in the kernel (64 bytes each, frames of 4 KiB). */
  vmemmap_shift: 1,
  /** log2 of the frames that one word of pgmap_array stands for. */
  pgmap_shift: 1,
};

export interface Geometry {
  /** 1 to 5; a level that does not exist is folded. */
  readonly levels: number;
  /** log2 of the entries of a table, 1 to 9. */
  readonly table_shift: number;
  readonly page_words?: number;
  /** Number of page frames, 1 to 2^21. */
  readonly max_pfn: number;
  readonly vmemmap_shift?: number;
  readonly pgmap_shift?: number;
}

/**
 * Largest user address space in pages, 2^30 (4 TiB of 4 KiB pages), so that sums of addresses stay within
 * int32.
 */
const MAX_TASK_SHIFT = 30;

function checkRange(name: string, value: number, low: number, high: number): void {
  if (!Number.isSafeInteger(value) || value < low || value > high)
    throw new RangeError(`geometry: ${name} must be ${low} to ${high}, not ${value}`);
}

export function setGeometry(g: Geometry): void {
  const { levels, table_shift, page_words = 1, max_pfn, vmemmap_shift = 1, pgmap_shift = 1 } = g;
  checkRange("levels", levels, 1, 5);
  checkRange("table_shift", table_shift, 1, 9);
  checkRange("page_words", page_words, 1, 1024);
  checkRange("max_pfn", max_pfn, 1, 1 << 21);
  checkRange("vmemmap_shift", vmemmap_shift, 0, 16);
  checkRange("pgmap_shift", pgmap_shift, 0, 24);
  Object.assign(geom, {
    levels,
    table_shift,
    ptrs_per_table: 1 << table_shift,
    pmd_shift: table_shift,
    pud_shift: 2 * table_shift,
    p4d_shift: 3 * table_shift,
    pgdir_shift: 4 * table_shift,
    task_size: 2 ** Math.min(levels * table_shift, MAX_TASK_SHIFT),
    page_words,
    max_pfn,
    vmemmap_shift,
    pgmap_shift,
  });
}

// ---- Where boot code put things ---------------------------------------------------------------------------

/**
 * Word addresses of the kernel's global objects; 0 if the machine has none. Set by boot code (mm/boot.ts).
 */
export const kernel = {
  /** CPUs that have per-CPU data. */
  nr_cpus: 1,
  /** Address of struct page 0: of the array, or VMEMMAP_START if the vmemmap is mapped. */
  vmemmap: 0,
  /** Table of vmemmap frames, indexed by pfn >> geom.vmemmap_shift; each entry is the frame's address. */
  vmemmap_table: 0,
  /** Contents of page frame 0; frame n lies n * geom.page_words further on. */
  direct_map: 0,
  /** Page-table frame 0; table n lies n * geom.ptrs_per_table further on. */
  page_tables: 0,
  pgmap_array: 0,
  percpu_ref_switch_lock: 0,
  /** Two words per CPU: nr_foll_pin_acquired, nr_foll_pin_released. */
  vmstat: 0,
  /** Static key: some pagemap is FS_DAX or PRIVATE, so put_page() looks at device pages (v4.20 to v6.14). */
  devmap_managed_key: 0,
  /** struct srcu_struct that faults on a DAX device hold for reading (drivers/dax/super.c); 0: none. */
  dax_srcu: 0,
  /** Static key: some pagemap is device-private or -coherent memory of a driver. */
  device_private: 0,
  /** Array of struct mem_section (mm/memory_hotplug.ts). */
  mem_section: 0,
  /** Reader-writer lock of memory hotplug. */
  mem_hotplug_lock: 0,
  /** log2 of the frames of a section. */
  section_shift: 0,
  /** Word: a page on its way to the LRU in some CPU's batch (mm/memory_hotplug.ts). */
  lru_batch: 0,
  /** Word: whoever takes memory offline has a signal pending; 0: none can come. */
  signal_pending: 0,
  /** Word that is set when a CPU that waits for a page's lock sleeps (mm/ram_page.ts); 0: nobody asks. */
  cpu_sleeps: 0,
  /**
   * A word per frame with a bit for every CPU that waits for the page's lock (mm/pagemap.ts), and the lock of
   * these.
   */
  page_waitqueue: 0,
  page_waitqueue_lock: 0,
  /**
   * Times that a mirror device tries before it gives up, for its timeout (mm/test_hmm.ts); 0: it never does.
   */
  dmirror_tries: 0,
  /** Zones of the page allocator (mm/page_alloc.ts). */
  zones: 0,
  /** Word: SIGKILL is pending for who looks pages up; 0: none can come. */
  fatal_signal: 0,
  /** Word: the ultravisor does not give pages of a protected guest (mm/uv.ts); 0: there is none. */
  ultravisor: 0,
  /** Static key secretmem_enable: files of memfd_secret() can exist (mm/secretmem.ts). */
  secretmem: 0,
  /** X86_FEATURE_USER_SHSTK: the CPU has shadow stacks and the kernel knows them (mm/shstk.ts). */
  shadow_stack: 0,
  /** Some PCI device has published peer-to-peer memory (mm/p2pdma.ts). */
  p2pdma: 0,
  /** Frames of the CMA area: the first, and how many; 0: there is none. */
  cma_start: 0,
  cma_nr: 0,
  /** Event counters (mm/vmstat.ts). */
  vm_events: 0,
  /** Batch of pages on their way to the LRU (mm/swap.ts). */
  lru_add: 0,
  /** Word: first of all address spaces, a list through MM.mm_list. */
  mm_list: 0,
  /** Frame of the zero page. */
  zero_pfn: 0,
  /** Word: first frame of the huge zero page, 0 if there is none. */
  huge_zero: 0,
  /** Pool of hugetlb pages (mm/hugetlb.ts). */
  hugetlb: 0,
  /** Swap slots and their number (mm/swap_state.ts). */
  swap_map: 0,
  nr_swap: 0,
};

export interface MachineSettings {
  readonly config: Readonly<Record<KnobName, number>>;
  readonly arch: Readonly<typeof arch>;
  readonly geom: Readonly<typeof geom>;
  readonly kernel: Readonly<typeof kernel>;
}

/**
 * Everything above as plain data: what another thread needs, besides the memory, to be a CPU of this machine.
 */
export function machineSettings(): MachineSettings {
  return { config: { ...config }, arch: { ...arch }, geom: { ...geom }, kernel: { ...kernel } };
}

export function restoreMachineSettings(s: MachineSettings): void {
  Object.assign(config, s.config);
  Object.assign(arch, s.arch);
  Object.assign(geom, s.geom);
  Object.assign(kernel, s.kernel);
}
