/**
 * Laying out a machine before its CPUs start: memory for page tables, struct pages, contents and the kernel's
 * global objects, and then address spaces, DAX devices and their mappings, made by running the kernel's own
 * functions on the sequential host. Ordinary JavaScript, not kernel code: nothing here runs once the threads
 * do.
 *
 * Not covered: files other than a device's, and what a scenario wants beyond one layout; it may allocate more
 * with memblock_alloc().
 */

import {
  config,
  type Geometry,
  geom,
  type KnobSettings,
  kernel,
  type PresetName,
  resetKernel,
  setArch,
  setConfig,
  setGeometry,
} from "../machine/config.ts";
import { REF_EXTERNAL } from "../machine/knobs/gup.ts";
import { declareRegion, mem, memblock_alloc, resetMemory, setMemoryView } from "../machine/memory.ts";
import { structFields, structSymbol } from "../machine/struct.ts";
import { DEV_DAX, dev_dax_probe } from "./dax.ts";
import { insert_dax } from "./dax_fault.ts";
import { VMSTAT_ITEMS } from "./gup.ts";
import {
  ADDRESS_SPACE,
  AS_DEVDAX,
  AS_FSDAX,
  MM,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_MIXEDMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  VMA,
} from "./mm_types.ts";
import { POOL_VMA } from "./mmap.ts";
import { PAGE, VMEMMAP_START } from "./page.ts";
import {
  PERCPU_REF,
  PERCPU_REF_DATA,
  PERCPU_REF_INIT_ATOMIC,
  POOL_PERCPU,
  POOL_PERCPU_REF_DATA,
  percpu_ref_init,
} from "./percpu-refcount.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_FS_DAX, MEMORY_DEVICE_GENERIC, PGMAP_COMPOUND } from "./pgmap.ts";
import { _PAGE_RW, PAGE_SHARED, POOL_PGTABLE, pgtable_alloc, pte_alloc_one } from "./pgtable.ts";
import { POOL_MM } from "./sched_mm.ts";
import { POOL_VMEMMAP } from "./sparse-vmemmap.ts";
import { memoryView } from "./view.ts";

/** Tables up to this number are named one by one. */
const NAMED_TABLES = 16;

export interface BootSpec {
  readonly preset: PresetName;
  readonly knobs?: KnobSettings;
  readonly arch: string;
  readonly geometry: Geometry;
  /** CPUs that threads run on, at least 1. */
  readonly cpus: number;
  /** Page tables that can exist at a time, top tables included. */
  readonly tables: number;
  /** Pagemaps that can be bound at a time; 1 if absent. */
  readonly pgmaps?: number;
  /** Words for what the scenario allocates itself; 4096 if absent. */
  readonly spare?: number;
}

function positive(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`${name} must be a positive integer, not ${value}`);
}

/** An object of a struct, its words 0. */
export function allocStruct(name: string, layout: { readonly SIZE: number }, align = 1): number {
  return memblock_alloc(name, layout.SIZE, { ...structSymbol(layout), align });
}

function pool(
  name: string,
  id: number,
  count: number,
  words: number,
  align: number,
  symbol: { readonly fields: readonly string[]; readonly type: string },
): void {
  for (let i = 0; i < count; i++) {
    const object = count > 1 ? `${name}${i}` : name;
    declareRegion(object, memblock_alloc(object, words, { ...symbol, align }), words, id, false);
  }
}

/**
 * Sets configuration, architecture and geometry, and lays out an empty machine.
 * @throws RangeError for a setting that does not exist or a size that cannot be.
 */
export function bootMachine(spec: BootSpec): void {
  const { cpus, tables, pgmaps = 1, spare = 4096 } = spec;
  positive("cpus", cpus);
  positive("tables", tables);
  positive("pgmaps", pgmaps);
  setConfig(spec.preset, spec.knobs);
  setArch(spec.arch);
  setGeometry(spec.geometry);

  const frames = Math.ceil(geom.max_pfn / (1 << geom.vmemmap_shift));
  const slots = Math.ceil(geom.max_pfn / (1 << geom.pgmap_shift));
  resetMemory(
    tables * geom.ptrs_per_table +
      frames * ((PAGE.SIZE << geom.vmemmap_shift) + 1) +
      geom.max_pfn * (geom.page_words + 1) +
      slots +
      (pgmaps + 1) * (cpus + 32) +
      cpus * VMSTAT_ITEMS +
      spare,
  );
  resetKernel();
  kernel.nr_cpus = cpus;

  // Tables lie in frames of their own size, so that a frame number leads to one.
  const ptrs = geom.ptrs_per_table;
  if (tables <= NAMED_TABLES) {
    const bases = Array.from({ length: tables }, (_, i) =>
      memblock_alloc(`pgtable${i}`, ptrs, { count: ptrs, align: ptrs, type: "pgtable" }),
    );
    kernel.page_tables = bases[0] ?? 0;
    bases.forEach((base, i) => void declareRegion(`pgtable${i}`, base, ptrs, POOL_PGTABLE, false));
  } else {
    kernel.page_tables = memblock_alloc("pgtable", tables * ptrs, {
      count: tables,
      align: ptrs,
      type: "pgtable",
    });
    for (let i = 0; i < tables; i++)
      declareRegion(`pgtable[${i}]`, kernel.page_tables + i * ptrs, ptrs, POOL_PGTABLE, false);
  }

  const frameWords = PAGE.SIZE << geom.vmemmap_shift;
  if (config.vmemmapMapped) {
    kernel.vmemmap = VMEMMAP_START;
    kernel.vmemmap_table = memblock_alloc("vmemmap_table", frames, { count: frames, type: "pointers" });
    const fields = Array.from({ length: 1 << geom.vmemmap_shift }, (_, i) =>
      structFields(PAGE).map((f) => `${i}.${f}`),
    ).flat();
    pool("vmemmap", POOL_VMEMMAP, frames, frameWords, PAGE.SIZE, { fields, type: structSymbol(PAGE).type });
  } else {
    kernel.vmemmap_table = 0;
    const count = frames << geom.vmemmap_shift;
    kernel.vmemmap = memblock_alloc("page", frames * frameWords, {
      count,
      ...structSymbol(PAGE),
      align: PAGE.SIZE,
    });
  }
  kernel.page_waitqueue = memblock_alloc("page_waitqueue", geom.max_pfn, { count: geom.max_pfn });
  kernel.page_waitqueue_lock = memblock_alloc("page_waitqueue_lock", 1);
  kernel.direct_map = memblock_alloc("data", geom.max_pfn * geom.page_words, { count: geom.max_pfn });

  kernel.pgmap_array = memblock_alloc("pgmap_array", slots, { count: slots, type: "pointers" });
  kernel.percpu_ref_switch_lock = memblock_alloc("percpu_ref_switch_lock", 1, { type: "lock" });
  kernel.vmstat = config.vmstat
    ? memblock_alloc("vmstat", cpus * VMSTAT_ITEMS, {
        count: cpus,
        fields: ["nr_foll_pin_acquired", "nr_foll_pin_released"],
      })
    : 0;
  // Counters' addresses have the two flag bits of percpu_count_ptr free.
  pool("percpu_count", POOL_PERCPU, pgmaps, cpus, 4, {
    fields: Array.from({ length: cpus }, (_, cpu) => `cpu${cpu}`),
    type: "counts",
  });
  pool(
    "percpu_ref_data",
    POOL_PERCPU_REF_DATA,
    pgmaps,
    PERCPU_REF_DATA.SIZE,
    1,
    structSymbol(PERCPU_REF_DATA),
  );
  setMemoryView(memoryView(tables));
}

/**
 * `count` objects of a pool of kzalloc(), free: structs, or arrays of `words`. page->mapping, which points to
 * some of them, has flags in its lowest two bits.
 */
export function objectPool(
  name: string,
  id: number,
  count: number,
  words: number,
  layout: object | null = null,
): void {
  const size = (words + 3) & ~3;
  const symbol = layout === null ? {} : structSymbol(layout);
  const base = memblock_alloc(name, count * size, { count, align: 4, ...symbol });
  for (let i = 0; i < count; i++) declareRegion(`${name}[${i}]`, base + i * size, words, id, false);
}

/** Room for areas and address spaces that the kernel makes itself (mmap(), fork()). */
export function addMmPools(areas: number, mms: number): void {
  objectPool("vm_area_struct", POOL_VMA, areas, VMA.SIZE, VMA);
  objectPool("mm_struct", POOL_MM, mms, MM.SIZE, MM);
  kernel.mm_list = memblock_alloc("mm_list", 1);
}

/** An address space with an empty top table. */
export function newMm(name = "mm"): number {
  const mm = allocStruct(name, MM);
  const pgd = pte_alloc_one();
  if (pgd === 0) throw new RangeError("no page table left for a new address space; boot with more tables");
  mem[mm + MM.pgd] = pgd;
  return mm;
}

export interface DaxDeviceSpec {
  /** First frame and number of frames; both multiples of vmemmap frames and pgmap_array slots. */
  readonly start: number;
  readonly nr: number;
  /** File system DAX instead of device-dax. */
  readonly fsdax?: boolean;
  /** Order of the compound pages that the device is made of; 0, single pages, if absent. */
  readonly order?: number;
}

export interface DaxDevice {
  readonly dev: number;
  readonly pgmap: number;
  readonly mapping: number;
  readonly start: number;
  readonly nr: number;
}

/**
 * A DAX device that is not bound yet: its memory is poison.
 * @throws RangeError if the range does not fit the geometry.
 */
export function newDaxDevice(name: string, spec: DaxDeviceSpec): DaxDevice {
  const { start, nr, fsdax = false, order = 0 } = spec;
  const unit = Math.max(1 << geom.vmemmap_shift, 1 << geom.pgmap_shift, 1 << order);
  if (nr < 1 || start < 0 || start % unit !== 0 || nr % unit !== 0 || start + nr > geom.max_pfn)
    throw new RangeError(
      `device ${name}: frames ${start} to ${start + nr - 1} must be multiples of ${unit} below ${geom.max_pfn}`,
    );
  const pgmap = allocStruct(`${name}.pgmap`, DEV_PAGEMAP);
  const mapping = allocStruct(`${name}.mapping`, ADDRESS_SPACE);
  const dev = allocStruct(name, DEV_DAX);
  mem[dev + DEV_DAX.pgmap] = pgmap;
  mem[dev + DEV_DAX.mapping] = mapping;
  mem[mapping + ADDRESS_SPACE.kind] = fsdax ? AS_FSDAX : AS_DEVDAX;
  mem[mapping + ADDRESS_SPACE.i_size] = nr;
  mem[mapping + ADDRESS_SPACE.first_pfn] = start;
  mem[mapping + ADDRESS_SPACE.align] = order;
  mem[pgmap + DEV_PAGEMAP.type] = fsdax ? MEMORY_DEVICE_FS_DAX : MEMORY_DEVICE_GENERIC;
  mem[pgmap + DEV_PAGEMAP.flags] = order > 0 ? PGMAP_COMPOUND : 0;
  mem[pgmap + DEV_PAGEMAP.vmemmap_shift] = order;
  mem[pgmap + DEV_PAGEMAP.start] = start;
  mem[pgmap + DEV_PAGEMAP.nr] = nr;
  if (fsdax && !config.pteRef) kernel.devmap_managed_key = 1;
  if (config.percpuRef === REF_EXTERNAL) {
    const ref = allocStruct(`${name}.q_usage_count`, PERCPU_REF);
    if (!percpu_ref_init(ref, 0, PERCPU_REF_INIT_ATOMIC))
      throw new RangeError("no percpu_ref left; boot with more pgmaps");
    mem[pgmap + DEV_PAGEMAP.ref] = ref;
  }
  if (!config.vmemmapMapped) {
    const words = PAGE.SIZE << geom.vmemmap_shift;
    const frames = nr >> geom.vmemmap_shift;
    for (let i = 0; i < frames; i++)
      declareRegion(
        `memmap of ${name}${frames > 1 ? `, frame ${i}` : ""}`,
        kernel.vmemmap + start * PAGE.SIZE + i * words,
        words,
        0,
        false,
      );
  }
  declareRegion(
    `memory of ${name}`,
    kernel.direct_map + start * geom.page_words,
    nr * geom.page_words,
    0,
    false,
  );
  return { dev, pgmap, mapping, start, nr };
}

/** dev_dax_probe(). @throws RangeError if it fails. */
export function bindDaxDevice(device: DaxDevice): void {
  if (!dev_dax_probe(device.dev))
    throw new RangeError("the device could not be bound: its range is taken or memory is out");
}

export interface MappingSpec {
  /** First page number of the area. */
  readonly addr: number;
  /** First page of the device; 0 if absent. */
  readonly pgoff?: number;
  readonly nr: number;
  /** Level of the leaves: 0 PTE, 1 PMD, 2 PUD, and so on. */
  readonly level?: number;
  /** Flags of the entries; PAGE_SHARED if absent. */
  readonly prot?: number;
}

/**
 * mmap() of a bound device, with every page faulted in; gives the VMA.
 * @throws RangeError if addr, nr or the frames do not suit leaves of that level, or an entry cannot be made.
 */
export function mapDaxDevice(mm: number, device: DaxDevice, spec: MappingSpec): number {
  const { addr, nr, pgoff = 0, level = 0, prot = PAGE_SHARED } = spec;
  const span = 1 << (level * geom.table_shift);
  const pfn = device.start + pgoff;
  if (
    addr % span !== 0 ||
    nr % span !== 0 ||
    pfn % span !== 0 ||
    pgoff + nr > device.nr ||
    addr + nr > geom.task_size ||
    nr < 1
  )
    throw new RangeError(`cannot map ${nr} pages of frame ${pfn} at ${addr} with leaves of ${span} pages`);
  const vma = allocStruct(`vma@${addr}`, VMA);
  mem[vma + VMA.vm_start] = addr;
  mem[vma + VMA.vm_end] = addr + nr;
  mem[vma + VMA.vm_mm] = mm;
  mem[vma + VMA.vm_flags] =
    VM_READ | VM_WRITE | VM_SHARED | VM_MIXEDMAP | VM_MAYREAD | VM_MAYWRITE | VM_MAYSHARE;
  mem[vma + VMA.vm_pgoff] = pgoff;
  mem[vma + VMA.vm_file] = device.mapping;
  mem[vma + VMA.shared_next] = mem[device.mapping + ADDRESS_SPACE.i_mmap] as number;
  mem[device.mapping + ADDRESS_SPACE.i_mmap] = vma;
  linkVma(mm, vma);
  for (let i = 0; i < nr; i += span) {
    const entryp = pgtable_alloc(mm, addr + i, level);
    if (entryp === 0 || mem[entryp] !== 0)
      throw new RangeError(`page ${addr + i} is mapped already, or no page table is left`);
    insert_dax(vma, entryp, pfn + i, level, true);
    if ((prot & _PAGE_RW) === 0) mem[entryp] &= ~_PAGE_RW;
  }
  return vma;
}

/** Puts the area into the address space's list, which is in order of addresses. */
function linkVma(mm: number, vma: number): void {
  let link = mm + MM.mmap;
  for (
    let next = mem[link] as number;
    next !== 0 && (mem[next + VMA.vm_start] as number) < (mem[vma + VMA.vm_start] as number);
    next = mem[link] as number
  )
    link = next + VMA.vm_next;
  mem[vma + VMA.vm_next] = mem[link] as number;
  mem[link] = vma;
}
