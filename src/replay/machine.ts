/**
 * The machine that a recording is replayed on, laid out like the recorded one in kind: two nodes, a zero page
 * in a low zone, a pool of 24 huge pages, swap, and, where a recording uses them, three device-dax devices
 * (of granularity 4 KiB, 2 MiB and 1 GiB), a file system on a DAX device and one on an ordinary device. Boot
 * code, ordinary TypeScript.
 */

import { config, geom, type KnobSettings, kernel } from "../machine/config.ts";
import { useSequentialHost } from "../machine/host.ts";
import { mem, memblock_alloc } from "../machine/memory.ts";
import { structFields } from "../machine/struct.ts";
import { bindDaxDevice, bootMachine, type DaxDevice, newDaxDevice, objectPool } from "../mm/boot.ts";
import { I_PAGES_MAX, POOL_ADDRESS_SPACE, POOL_I_PAGES } from "../mm/filemap.ts";
import { HSTATE, hugetlb_add_page } from "../mm/hugetlb.ts";
import {
  KSM,
  KSM_MM_SLOT,
  KSM_RMAP_ITEM,
  KSM_STABLE_NODE,
  POOL_KSM_MM_SLOT,
  POOL_KSM_RMAP_ITEM,
  POOL_KSM_STABLE_NODE,
} from "../mm/ksm_types.ts";
import { LRU_BATCH, NR_LRU_BATCHES } from "../mm/lru.ts";
import { ADDRESS_SPACE, AS_DEVDAX, AS_DRIVER, AS_FSDAX, AS_REGULAR, MM, VMA } from "../mm/mm_types.ts";
import { POOL_VMA } from "../mm/mmap.ts";
import { PAGE, page_to_pfn, page_word, pfn_to_page } from "../mm/page.ts";
import {
  alloc_pages,
  GFP_USER,
  MAX_NR_ZONES,
  memblock_free_range,
  memmap_init_range,
  ZONE,
  ZONE_CMA,
  ZONE_DMA32,
  ZONE_MOVABLE,
  ZONE_NORMAL,
  ZONE_NORMAL_NODE1,
  zone_of,
} from "../mm/page_alloc.ts";
import { POOL_MM } from "../mm/sched_mm.ts";
import { vmemmap_populate } from "../mm/sparse-vmemmap.ts";
import { READAHEAD_HITS_INIT, SWAP_HEADER, SWAP_SLOT } from "../mm/swap_state.ts";
import { VM_EVENT } from "../mm/vmstat.ts";
import { addDeviceMemory, addP2pmem, DRIVER_MEMORY_END } from "./driver-memory.ts";
import type { KernelProfile } from "./kernels.ts";

const HUGETLB_PAGES = 24;
const SWAP_SLOTS = 6000;
/**
 * Slots that the recorded machines had used before the families that swap shmem out: 16 and 2 in
 * anon-pageout, 2 in thp-pageout (its huge pages took whole clusters), 1 in thp-unmap-all-but-one. A
 * recording of one family does not show it, and which pages share a readahead window depends on it.
 */
const SWAP_SLOTS_USED = 21;

// Frames. Devices begin where their granularity wants it.
const DMA32_END = 512;
const NORMAL_END = 512 + 40960;
const NODE1_END = NORMAL_END + 8192;
const DAX0 = 65536;
export const MOVABLE = DAX0;
/** Frames of a memory block (128 MiB), and how many of them the device gave. */
export const BLOCK_FRAMES = 32768;
const MOVABLE_BLOCKS = 3;
/** /sys/devices/system/memory/memoryN of the first. */
export const FIRST_BLOCK = 9;
const MOVABLE_FRAMES = BLOCK_FRAMES * MOVABLE_BLOCKS;
const DAX_FRAMES = 130560;
const DAX2 = 1 << 18;
const DAX2_FRAMES = 1 << 18;
const DAX1 = 1 << 19;
const FSDAX = DAX1 + 131072;
const FSDAX_FRAMES = 8192;

/** Files without a name that can exist at a time: shared memory, memfds, hugetlb mappings. */
const FILES = 40;
/** Pages that a driver with memory of its own can give out. */
export const DEVICE_PAGES = 16;
/** Files of the recorded machine, with their size in pages. */
const FILE_PAGES = 2048;

export interface DaxFile {
  readonly device: DaxDevice;
  readonly prefix: string;
}

/** What a file needs of the machine beyond memory. */
export interface MachineNeeds {
  readonly devices: ReadonlySet<"dax0" | "dax1" | "dax2" | "fsdax">;
  /** Memory of a device was given to the kernel as a movable zone. */
  readonly movable: boolean;
  /** Frames of node 0 that are a CMA area; absent: none. No recorded machine had one. */
  readonly cma?: number;
  /** memfd_secret() is enabled (secretmem_enable); absent: no. */
  readonly secretmem?: boolean;
  /** A fatal signal can come (kernel.fatal_signal); absent: none. */
  readonly signals?: boolean;
  /** The CPU has shadow stacks (kernel.shadow_stack); absent: it has not. */
  readonly shadowStacks?: boolean;
  /** A PCI device has published peer-to-peer memory (mm/p2pdma.ts); absent: none has. */
  readonly p2pmem?: boolean;
  /** A driver has memory of its own (mm/device_memory.ts); absent: none has. */
  readonly deviceMemory?: "private" | "coherent";
  /** A driver gives mappings of its own pages (/dev/gt); absent: none does. */
  readonly driver?: boolean;
  /** userfaultfd(2) is used; absent: it is not. */
  readonly userfaultfd?: boolean;
  /** ksmd is asked to merge pages; absent: it is not. */
  readonly ksm?: boolean;
  /** udmabuf is used; absent: it is not. */
  readonly udmabuf?: boolean;
  /** The huge zero page existed before the recording began. */
  readonly hugeZero: boolean;
}

export interface ReplayMachine {
  readonly profile: KernelProfile;
  /** By path: /dev/dax0.0, /mnt/ext4/f, ... : the address_space. */
  readonly files: Map<string, number>;
  readonly dax: Map<string, DaxFile>;
  /** First frame of each kind of mapping that /dev/gt gives: by frames, single pages, one compound page. */
  readonly driver: ReadonlyMap<string, number>;
  /** struct pci_p2pdma; 0: none. */
  readonly p2pmem: number;
  /** struct dmirror_device, with DEVICE_PAGES pages; 0: none. */
  readonly mdevice: number;
  /** Devices whose memory has been removed. */
  readonly gone: Set<DaxDevice>;
}

function maxPfn(needs: MachineNeeds): number {
  const drivers = needs.p2pmem === true || needs.deviceMemory !== undefined ? DRIVER_MEMORY_END : 0;
  return Math.max(drivers, recordedMaxPfn(needs));
}
function recordedMaxPfn(needs: MachineNeeds): number {
  if (needs.movable) return MOVABLE + MOVABLE_FRAMES;
  if (needs.devices.has("fsdax")) return FSDAX + FSDAX_FRAMES;
  if (needs.devices.has("dax1")) return DAX1 + 131072;
  if (needs.devices.has("dax2")) return DAX2 + DAX2_FRAMES;
  if (needs.devices.has("dax0")) return DAX0 + 131072;
  return DAX0;
}

function setZone(nr: number, start: number, end: number, node: number): void {
  const zone = zone_of(nr);
  mem[zone + ZONE.start_pfn] = start;
  mem[zone + ZONE.end_pfn] = end;
  mem[zone + ZONE.node] = node;
}

/** Boots a machine for one recording. */
export function bootReplayMachine(
  profile: KernelProfile,
  needs: MachineNeeds,
  knobs: KnobSettings = {},
): ReplayMachine {
  useSequentialHost();
  const mapped = profile.vmemmapDedup && (needs.devices.has("dax1") || needs.devices.has("dax2"));
  bootMachine({
    preset: profile.preset,
    knobs: {
      vmstat: 1,
      gupZeroPages: 1,
      vmemmapMapped: mapped ? 1 : 0,
      vmemmapDedup: mapped ? 1 : 0,
      ...knobs,
    },
    arch: "x86-64",
    geometry: {
      levels: 5,
      table_shift: 9,
      page_words: 2,
      max_pfn: maxPfn(needs),
      vmemmap_shift: 6,
      pgmap_shift: 9,
    },
    cpus: 1,
    tables: 2000,
    pgmaps: 5,
    spare: 640_000,
  });
  kernel.zones = memblock_alloc("zone", ZONE.SIZE * MAX_NR_ZONES, {
    count: MAX_NR_ZONES,
    fields: structFields(ZONE),
  });
  kernel.shadow_stack = needs.shadowStacks === true && config.shadowStack ? 1 : 0;
  kernel.secretmem = needs.secretmem === true ? 1 : 0;
  kernel.userfaultfd = needs.userfaultfd === true ? 1 : 0;
  if (needs.ksm === true) addKsm();
  kernel.driver_pages = needs.driver === true || needs.udmabuf === true ? 1 : 0;
  kernel.fatal_signal = needs.signals === true ? memblock_alloc("fatal_signal", 1) : 0;
  kernel.cma_nr = needs.cma ?? 0;
  kernel.cma_start = NORMAL_END - kernel.cma_nr;
  kernel.vm_events = memblock_alloc("vm_events", VM_EVENT.SIZE, { fields: structFields(VM_EVENT) });
  kernel.lru_add = memblock_alloc("lru_add", LRU_BATCH.SIZE * NR_LRU_BATCHES);
  kernel.mm_list = memblock_alloc("mm_list", 1);
  kernel.huge_zero = memblock_alloc("huge_zero_pfn", 1);
  kernel.hugetlb = memblock_alloc("hstate", HSTATE.SIZE, { fields: structFields(HSTATE) });
  kernel.swap_map = memblock_alloc("swap_slot", SWAP_SLOT.SIZE * SWAP_SLOTS, { count: SWAP_SLOTS });
  kernel.nr_swap = SWAP_SLOTS;
  mem[kernel.swap_map + SWAP_HEADER.next] = SWAP_SLOTS_USED;
  mem[kernel.swap_map + SWAP_HEADER.readahead_hits] = READAHEAD_HITS_INIT;
  objectPool("vm_area_struct", POOL_VMA, 1000, VMA.SIZE, VMA);
  objectPool("mm_struct", POOL_MM, 64, MM.SIZE, MM);
  objectPool("address_space", POOL_ADDRESS_SPACE, FILES, ADDRESS_SPACE.SIZE, ADDRESS_SPACE);
  objectPool("i_pages", POOL_I_PAGES, FILES, I_PAGES_MAX);

  if (config.vmemmapMapped && !vmemmap_populate(0, NODE1_END, 0))
    throw new RangeError("no room for the vmemmap");
  setZone(ZONE_DMA32, 0, DMA32_END, 0);
  setZone(ZONE_NORMAL, DMA32_END, kernel.cma_start, 0);
  setZone(ZONE_CMA, kernel.cma_start, NORMAL_END, 0);
  setZone(ZONE_MOVABLE, 0, 0, 0);
  setZone(ZONE_NORMAL_NODE1, NORMAL_END, NODE1_END, 1);
  memmap_init_range(ZONE_DMA32, 0, DMA32_END);
  memmap_init_range(ZONE_NORMAL, DMA32_END, kernel.cma_start);
  memmap_init_range(ZONE_CMA, kernel.cma_start, NORMAL_END);
  memmap_init_range(ZONE_NORMAL_NODE1, NORMAL_END, NODE1_END);
  memblock_free_range(ZONE_NORMAL, DMA32_END, kernel.cma_start);
  memblock_free_range(ZONE_CMA, kernel.cma_start, NORMAL_END);
  memblock_free_range(ZONE_NORMAL_NODE1, NORMAL_END, NODE1_END);

  if (needs.movable) {
    setZone(ZONE_MOVABLE, MOVABLE, MOVABLE + MOVABLE_FRAMES, 0);
    memmap_init_range(ZONE_MOVABLE, MOVABLE, MOVABLE + MOVABLE_FRAMES);
    memblock_free_range(ZONE_MOVABLE, MOVABLE, MOVABLE + MOVABLE_FRAMES);
  }

  // The zero page is the kernel's own: reserved, and never freed.
  kernel.zero_pfn = 1;
  const zero = pfn_to_page(1);
  mem[page_word(zero, PAGE._refcount)] = 1;
  for (let i = 0; i < HUGETLB_PAGES; i++) {
    const head = alloc_pages(GFP_USER, geom.hpage_pmd_order, 0);
    hugetlb_add_page(head);
  }
  if (needs.hugeZero) {
    const head = alloc_pages(GFP_USER, geom.hpage_pmd_order, 0);
    mem[kernel.huge_zero] = (head - kernel.vmemmap) >> 4;
  }

  const p2pmem = needs.p2pmem === true ? addP2pmem() : 0;
  const mdevice = needs.deviceMemory === undefined ? 0 : addDeviceMemory(needs.deviceMemory, DEVICE_PAGES);
  const machine: ReplayMachine = {
    profile,
    files: new Map(),
    dax: new Map(),
    driver: needs.driver === true ? driverPages() : new Map<string, number>(),
    p2pmem,
    mdevice,
    gone: new Set(),
  };
  addDevices(machine, needs);
  addFiles(machine, needs);
  return machine;
}

/** Pages that ksmd can know of, and pages that it can share. */
const KSM_ITEMS = 16384;
const KSM_NODES = 4096;

function addKsm(): void {
  kernel.ksm = memblock_alloc("ksm", KSM.SIZE, { fields: structFields(KSM) });
  objectPool("ksm_mm_slot", POOL_KSM_MM_SLOT, 64, KSM_MM_SLOT.SIZE);
  objectPool("ksm_rmap_item", POOL_KSM_RMAP_ITEM, KSM_ITEMS, KSM_RMAP_ITEM.SIZE);
  objectPool("ksm_stable_node", POOL_KSM_STABLE_NODE, KSM_NODES, KSM_STABLE_NODE.SIZE);
}

/** Pages of each kind that the driver of /dev/gt has allocated. */
const DRIVER_ORDER = 4;
export const DRIVER_PAGES = 1 << DRIVER_ORDER;

function driverPages(): Map<string, number> {
  const file = memblock_alloc("/dev/gt", ADDRESS_SPACE.SIZE, {
    fields: structFields(ADDRESS_SPACE),
    align: 2,
  });
  mem[file + ADDRESS_SPACE.kind] = AS_DRIVER;
  const pages = new Map([["file", file]]);
  for (const kind of ["pfn", "page", "pagec"]) {
    const order = kind === "pagec" ? DRIVER_ORDER : 0;
    const first = alloc_pages(GFP_USER, order, 0);
    // From memory that nobody has used yet, they come one after another.
    if (order === 0)
      for (let i = 1; i < DRIVER_PAGES; i++)
        if (page_to_pfn(alloc_pages(GFP_USER, 0, 0)) !== page_to_pfn(first) + i)
          throw new RangeError("the driver's pages do not follow each other");
    pages.set(kind, page_to_pfn(first));
  }
  return pages;
}

function addDevice(
  machine: ReplayMachine,
  path: string,
  prefix: string,
  start: number,
  nr: number,
  align: number,
  order: number,
): void {
  const device = newDaxDevice(prefix, { start, nr, order });
  bindDaxDevice(device);
  const file = device.mapping;
  mem[file + ADDRESS_SPACE.kind] = AS_DEVDAX;
  mem[file + ADDRESS_SPACE.i_size] = nr;
  mem[file + ADDRESS_SPACE.first_pfn] = start;
  mem[file + ADDRESS_SPACE.align] = align;
  mem[file + ADDRESS_SPACE.alive] = 1;
  machine.files.set(path, file);
  machine.dax.set(path, { device, prefix });
}

function addDevices(machine: ReplayMachine, needs: MachineNeeds): void {
  const compound = machine.profile.vmemmapDedup;
  if (needs.devices.has("dax0")) addDevice(machine, "/dev/dax0.0", "dax0", DAX0, DAX_FRAMES, 0, 0);
  if (needs.devices.has("dax1"))
    addDevice(machine, "/dev/dax1.0", "dax1", DAX1, DAX_FRAMES, 9, compound ? 9 : 0);
  if (needs.devices.has("dax2"))
    addDevice(machine, "/dev/dax2.0", "dax2", DAX2, DAX2_FRAMES, 18, compound ? 18 : 0);
}

/** Files on an ordinary file system, and, if wanted, on a DAX file system of node 1. */
function addFiles(machine: ReplayMachine, needs: MachineNeeds): void {
  for (const name of ["f", "g", "h", "i"]) {
    const file = memblock_alloc(`ext4/${name}`, ADDRESS_SPACE.SIZE, {
      fields: structFields(ADDRESS_SPACE),
      align: 2,
    });
    mem[file + ADDRESS_SPACE.kind] = AS_REGULAR;
    mem[file + ADDRESS_SPACE.i_size] = FILE_PAGES;
    mem[file + ADDRESS_SPACE.i_pages] = memblock_alloc(`ext4/${name}.i_pages`, FILE_PAGES, {
      count: FILE_PAGES,
    });
    machine.files.set(`/mnt/ext4/${name}`, file);
  }
  if (!needs.devices.has("fsdax")) return;
  const device = newDaxDevice("pmem", { start: FSDAX, nr: FSDAX_FRAMES, fsdax: true });
  bindDaxDevice(device);
  ["f", "g", "h", "i"].forEach((name, i) => {
    const file = memblock_alloc(`dax/${name}`, ADDRESS_SPACE.SIZE, {
      fields: structFields(ADDRESS_SPACE),
      align: 2,
    });
    mem[file + ADDRESS_SPACE.kind] = AS_FSDAX;
    mem[file + ADDRESS_SPACE.i_size] = FSDAX_FRAMES / 4;
    mem[file + ADDRESS_SPACE.first_pfn] = FSDAX + (i * FSDAX_FRAMES) / 4;
    mem[file + ADDRESS_SPACE.alive] = 1;
    machine.files.set(`/mnt/dax/${name}`, file);
    machine.dax.set(`/mnt/dax/${name}`, { device, prefix: "pmem" });
  });
}

/** Zone and node as recordings name them. */
export function zoneName(nr: number, device: boolean): { zone: string; node: number } {
  if (device) return { zone: "Device", node: 0 };
  switch (nr) {
    case ZONE_DMA32:
      return { zone: "DMA32", node: 0 };
    case ZONE_MOVABLE:
      return { zone: "Movable", node: 0 };
    case ZONE_NORMAL_NODE1:
      return { zone: "Normal", node: 1 };
    default:
      return { zone: "Normal", node: 0 };
  }
}
