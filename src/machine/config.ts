/**
 * What is selected when a machine boots: the version of the kernel code (knobs), the architecture, the
 * geometry of page tables and struct pages, and where boot code put things. Each is a constant object of
 * numbers, so that a branch on one is folded away when a program is linked; every knob names the kernel
 * version or patch that it stands for (Linux upstream commit ids). Not here: what a scenario does; that is
 * the scenario's business.
 */

import { ARCHITECTURES, type Arch } from "./arch.ts";
import { GUP_KNOBS, GUP_RFC } from "./knobs/gup.ts";
import { HISTORY_KNOBS } from "./knobs/history.ts";
import { HMM_KNOBS } from "./knobs/hmm.ts";
import { type Version, valueIn } from "./knobs/knob.ts";
import { MM_KNOBS } from "./knobs/mm.ts";
import { nearestName } from "./nearest.ts";

// ---- Knobs ------------------------------------------------------------------------------------------------

/** Every knob, for `holdfast list` and for messages. */
export const KNOBS = [...GUP_KNOBS, ...MM_KNOBS, ...HMM_KNOBS, ...HISTORY_KNOBS];

export type KnobName = (typeof KNOBS)[number]["name"];
export type KnobSettings = Partial<Readonly<Record<KnobName, number>>>;

/** Whole configurations by kernel version. The knobs that no version has (knock-outs) are on in each. */
function preset(version: Version, settings: KnobSettings = {}): Readonly<Record<KnobName, number>> {
  const values = Object.fromEntries(KNOBS.map((k) => [k.name, valueIn(version, k)]));
  return { ...(values as Record<KnobName, number>), ...settings };
}

/**
 * Releases as Linus Torvalds made them, and the stable kernels that were recorded, with what was brought back
 * to them.
 */
export const PRESETS = {
  "v5.10": preset("v5.10"),
  "rfc-2020-12": preset("v5.10", { gup: GUP_RFC, unpinBatch: 1, rfcSlowBatch: 1 }),
  "v5.18": preset("v5.18"),
  "v6.1": preset("v6.1"),
  "v6.12": preset("v6.12"),
  "v7.3": preset("v7.3"),
  "debian-5.10.223": preset("v5.10.223"),
  "debian-6.1.192": preset("v6.1.192"),
  "debian-6.12.117": preset("v6.12.117"),
  "debian-7.3.4": preset("v7.3.4"),
} as const satisfies Readonly<Record<string, Readonly<Record<KnobName, number>>>>;

export type PresetName = keyof typeof PRESETS;

/** The knobs in force. Change them only through `setConfig`. */
export const config: Record<KnobName, number> = { ...PRESETS["v5.10"] };

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
export const arch = {
  tlbFlush: 0,
  tableFree: 0,
  syncOne: 0,
  irqOffIsRcuReader: 1,
  vmemmapFree: 0,
  pteExchangeRelaxed: 0,
};

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
  const { tlbFlush, tableFree, syncOne, irqOffIsRcuReader, vmemmapFree, pteExchangeRelaxed } = findArch(name);
  Object.assign(arch, { tlbFlush, tableFree, syncOne, irqOffIsRcuReader, vmemmapFree, pteExchangeRelaxed });
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
  /** Of a huge page, which a PMD leaf maps: log2 of its pages, and their number. */
  hpage_pmd_order: 1,
  hpage_pmd_nr: 2,
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
    hpage_pmd_order: table_shift,
    hpage_pmd_nr: 1 << table_shift,
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
  /**
   * 1: nothing but device memory is mapped, so that linking drops what only System RAM needs; it is faulted
   * in without a page allocator.
   */
  only_devices: 0,
  /** 1: every page is mapped by a PTE, and no page of System RAM is compound. */
  no_huge: 0,
  /** Zones of the page allocator (mm/page_alloc.ts). */
  zones: 0,
  /** Orders of blocks that the page allocator has, 11 in the kernel; fewer on machines that are explored. */
  max_order: 11,
  /** Word: SIGKILL is pending for who looks pages up; 0: none can come. */
  fatal_signal: 0,
  /** Word: the ultravisor does not give pages of a protected guest (mm/uv.ts); 0: there is none. */
  ultravisor: 0,
  /** Static key secretmem_enable: files of memfd_secret() can exist (mm/secretmem.c). */
  secretmem: 0,
  /** X86_FEATURE_USER_SHSTK: the CPU has shadow stacks and the kernel knows them (mm/shstk.ts). */
  shadow_stack: 0,
  /** Some PCI device has published peer-to-peer memory (mm/p2pdma.ts). */
  p2pdma: 0,
  /** Some area is registered with userfaultfd(2) (mm/userfaultfd.ts). */
  userfaultfd: 0,
  /** What ksmd keeps (mm/ksm.ts); 0: nobody asks it to merge pages. */
  ksm: 0,
  /** Some driver maps pages by itself, or faults them in (mm/insert_page.ts, mm/udmabuf.ts). */
  driver_pages: 0,
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

const KERNEL_WITHOUT_OBJECTS: Readonly<typeof kernel> = { ...kernel };

/** Forgets the global objects of a machine that was booted before. */
export function resetKernel(): void {
  Object.assign(kernel, KERNEL_WITHOUT_OBJECTS);
}

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
