/**
 * The machines of claim C8, one function per question of c8.ts (those of some known bugs: c8-boot-zoo.ts):
 * memory laid out, pages mapped, who runs. One page and one frame of each kind, as far as the question
 * allows.
 */

import { geom, type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { declareRegion, mem, memblock_alloc } from "../machine/memory.ts";
import type { BootedScenario } from "../machine/scenario.ts";
import { structSymbol } from "../machine/struct.ts";
import { allocStruct, bindDaxDevice, mapDaxDevice, newDaxDevice } from "../mm/boot.ts";
import { alloc_device_page } from "../mm/device_page.ts";
import { DMIRROR_DEVICE } from "../mm/dmirror.ts";
import { DEV_PAGEMAP_OPS_DMIRROR } from "../mm/dmirror_devmem.ts";
import { memremap_pages } from "../mm/memremap.ts";
import { MM, VMA } from "../mm/mm_types.ts";
import { mmu_interval_notifier_insert } from "../mm/mmu_notifier.ts";
import {
  INTERVAL_NOTIFIER,
  INTERVAL_OPS_SEQ,
  MMU_NOTIFIER,
  SUBSCRIPTIONS,
} from "../mm/mmu_notifier_types.ts";
import { PAGE, PG_buddy } from "../mm/page.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_PRIVATE } from "../mm/pgmap.ts";
import { pgtable_alloc, SWP_DEVICE_WRITE, swp_entry } from "../mm/pgtable.ts";
import { POOL_RAM, POOL_RAM_OFFLINE, page_set_anon_place } from "../mm/ram_page.ts";
import {
  MEM_SECTION,
  SECTION_HAS_MEM_MAP,
  SECTION_IS_ONLINE,
  SECTION_TAINT_ZONE_DEVICE,
} from "../mm/sparse.ts";
import {
  addAnonVma,
  addSystemRam,
  bootHmmMachine,
  type HmmMachineSpec,
  mapAnonPage,
  newDmirror,
  newMdevice,
} from "./hmm-machine.ts";
import {
  check_device,
  check_driver_page,
  check_unmapped,
  cpu_touch,
  evict,
  hold_until,
  insert_remove_notifier,
  invalidate,
  invalidate_nonblock,
  lock_holder,
  lru_add,
  migrate_and_read,
  migrate_home,
  migrate_to_device,
  mirror,
  mirror_walk,
  mirror_walk_then_sleep,
  offline_then_tell,
  optimize_vmemmap,
  pfn_valid_reader,
  pfn_walker,
  read_begin,
  remove_notifier,
  remove_section,
  send_signal,
  speculative_get,
  unbind_dax,
  unbind_private,
  unpin,
  unplug_ram,
  wait_count,
  worker,
  zap,
} from "./scenarios/unplug.ts";

export type Boot = (arch: string, preset: PresetName, knobs: KnobSettings, variant: string) => BootedScenario;

const ADDR = 0;

export function machine(
  arch: string,
  preset: PresetName,
  knobs: KnobSettings,
  spec: Partial<HmmMachineSpec> = {},
): { mm: number } {
  return bootHmmMachine({
    preset,
    knobs: { dmirrorMmget: 0, ...knobs },
    arch,
    cpus: 2,
    levels: 1,
    max_pfn: 2,
    tables: 1,
    ...spec,
  });
}

/** Sections of one frame each for frames 0 to n-1, online, and the hotplug lock. */
export function addSections(n: number, shift = 0): void {
  kernel.section_shift = shift;
  kernel.mem_section = memblock_alloc("mem_section", n * MEM_SECTION.SIZE, {
    count: n,
    ...structSymbol(MEM_SECTION),
  });
  kernel.mem_hotplug_lock = memblock_alloc("mem_hotplug_lock", 1);
  for (let i = 0; i < n; i++) {
    const usage = memblock_alloc(`usage${i}`, 1, { fields: ["subsection_map"] });
    declareRegion(`usage of section ${i}`, usage, 1);
    mem[usage] = (1 << (1 << shift)) - 1;
    const ms = kernel.mem_section + i * MEM_SECTION.SIZE;
    mem[ms + MEM_SECTION.section_mem_map] = SECTION_HAS_MEM_MAP | SECTION_IS_ONLINE;
    mem[ms + MEM_SECTION.usage] = usage;
  }
}
/** The struct pages of a frame of System RAM can be freed, where the vmemmap is one array. */
export function memmapCanGo(pfn: number): void {
  declareRegion(`memmap of frame ${pfn}`, kernel.vmemmap + pfn * PAGE.SIZE, PAGE.SIZE);
}

// ---- System RAM -------------------------------------------------------------------------------------------

export const bootMirrorRam: Boot = (arch, preset, knobs) => {
  // Two free frames: one for the move, one that the driver's fault may hold for a moment.
  const { mm } = machine(arch, preset, knobs, { max_pfn: 3 });
  addSystemRam(0, 1, 1, POOL_RAM_OFFLINE);
  addSystemRam(1, 2, 0, POOL_RAM);
  addSections(2);
  memmapCanGo(0);
  mapAnonPage(addAnonVma(mm, ADDR, 1), ADDR, 0);
  const dmirror = newDmirror(mm, ADDR, 1);
  return {
    threads: [
      { name: "mirror", run: mirror, args: [dmirror, ADDR] },
      { name: "unplug", run: unplug_ram, args: [0, 1] },
    ],
    finally: { name: "check", run: check_device, args: [dmirror, ADDR] },
  };
};

/** A page of the block that goes offline, with `extra` references, is mapped; gives the address space. */
function bootOffline(arch: string, preset: PresetName, knobs: KnobSettings, extra: number): number {
  const { mm } = machine(arch, preset, { mmuNotifier: 0, ...knobs }, { cpus: 3 });
  addSystemRam(0, 1, 1, POOL_RAM_OFFLINE);
  addSystemRam(1, 1, 0, POOL_RAM);
  addSections(2);
  memmapCanGo(0);
  mapAnonPage(addAnonVma(mm, ADDR, 1), ADDR, 0);
  mem[kernel.vmemmap + PAGE._refcount] += extra;
  return mm;
}

export const bootPinned: Boot = (arch, preset, knobs) => {
  bootOffline(arch, preset, knobs, 1);
  return {
    threads: [
      { name: "unplug", run: unplug_ram, args: [0, 1] },
      { name: "holder", run: unpin, args: [0] },
    ],
  };
};

/** The page is unmapped, so that whoever offlines need not be the one who drops its last reference. */
export const bootOfflineZap: Boot = (arch, preset, knobs) => {
  const mm = bootOffline(arch, preset, knobs, 0);
  return {
    threads: [
      { name: "unplug", run: unplug_ram, args: [0, 1] },
      { name: "zap", run: zap, args: [mm, ADDR] },
    ],
  };
};

/** A CPU touches the page, and waits if it is on the move. */
export const bootOfflineFault: Boot = (arch, preset, knobs) => {
  const { mm } = machine(arch, preset, { ...knobs, mmuNotifier: 0 }, { max_pfn: 3 });
  addSystemRam(0, 1, 1, POOL_RAM_OFFLINE);
  addSystemRam(1, 2, 0, POOL_RAM);
  addSections(3);
  memmapCanGo(0);
  mapAnonPage(addAnonVma(mm, ADDR, 1), ADDR, 0);
  return {
    threads: [
      { name: "unplug", run: unplug_ram, args: [0, 1] },
      { name: "fault", run: cpu_touch, args: [mm, ADDR] },
    ],
  };
};

export const bootPinnedForEver: Boot = (arch, preset, knobs) => {
  bootOffline(arch, preset, knobs, 1);
  const ended = memblock_alloc("offline_ended", 1);
  return {
    threads: [
      { name: "offline", run: offline_then_tell, args: [0, 1, ended] },
      { name: "holder", run: hold_until, args: [0, ended] },
    ],
  };
};

export const bootPinnedSignal: Boot = (arch, preset, knobs) => {
  bootOffline(arch, preset, knobs, 1);
  const ended = memblock_alloc("offline_ended", 1);
  kernel.signal_pending = memblock_alloc("signal_pending", 1);
  return {
    threads: [
      { name: "offline", run: offline_then_tell, args: [0, 1, ended] },
      { name: "holder", run: hold_until, args: [0, ended] },
      { name: "kill", run: send_signal, args: [kernel.signal_pending] },
    ],
  };
};

export const bootLruBatch: Boot = (arch, preset, knobs) => {
  bootOffline(arch, preset, knobs, 1);
  kernel.lru_batch = memblock_alloc("lru_batch", 1);
  return {
    threads: [
      { name: "unplug", run: unplug_ram, args: [0, 1] },
      { name: "fault", run: lru_add, args: [0] },
    ],
  };
};

export const bootPfnWalker: Boot = (arch, preset, knobs) => {
  machine(arch, preset, { ...knobs, mmuNotifier: 0, vmemmapMapped: 1 });
  const storage = populateVmemmap(0);
  mem[storage + PAGE._mapcount] = -1;
  mem[storage + PAGE.flags] = 1 << PG_buddy;
  addSections(2);
  mem[kernel.mem_section + MEM_SECTION.section_mem_map] |= SECTION_IS_ONLINE;
  return {
    threads: [
      { name: "walker", run: pfn_walker, args: [0] },
      { name: "unplug", run: unplug_ram, args: [0, 1] },
    ],
  };
};

export const bootPfnValid: Boot = (arch, preset, knobs) => {
  machine(arch, preset, { ...knobs, mmuNotifier: 0 });
  addSections(1);
  memmapCanGo(0);
  return {
    threads: [
      { name: "reader", run: pfn_valid_reader, args: [0] },
      { name: "remove", run: remove_section, args: [0, 1] },
    ],
  };
};

export const bootMixedSection: Boot = (arch, preset, knobs, variant) => {
  machine(arch, preset, { ...knobs, mmuNotifier: 0 });
  // One section: frame 0 is System RAM, frame 1 the device's.
  addSections(1, 1);
  const device = newDaxDevice("dax0.0", { start: 1, nr: 1 });
  bindDaxDevice(device);
  mem[kernel.mem_section + MEM_SECTION.section_mem_map] |= SECTION_TAINT_ZONE_DEVICE;
  const walker = { name: "walker", run: pfn_walker, args: [1] };
  if (variant === "v5.18-bound")
    return { threads: [walker, { name: "walker2", run: pfn_walker, args: [1] }] };
  return { threads: [walker, { name: "unbind", run: unbind_dax, args: [device.dev] }] };
};

/** Maps frame `frame` of the vmemmap to storage of its own; gives its address. */
function populateVmemmap(frame: number): number {
  const words = PAGE.SIZE << geom.vmemmap_shift;
  const storage = memblock_alloc(`struct page ${frame}`, words, PAGE_LAYOUT);
  declareRegion(`memmap of frame ${frame}`, storage, words);
  mem[kernel.vmemmap_table + frame] = storage;
  return storage;
}
const PAGE_LAYOUT = { ...structSymbol(PAGE), align: PAGE.SIZE };

export const bootHvo: Boot = (arch, preset, knobs) => {
  machine(arch, preset, { ...knobs, mmuNotifier: 0, vmemmapMapped: 1 });
  const storage = populateVmemmap(0);
  mem[storage + PAGE._refcount] = 1;
  const shared = memblock_alloc("shared tail page", PAGE.SIZE, PAGE_LAYOUT);
  return {
    threads: [
      { name: "walker", run: speculative_get, args: [0, shared] },
      { name: "optimize", run: optimize_vmemmap, args: [0, shared] },
    ],
  };
};

// ---- Device memory ----------------------------------------------------------------------------------------

export const bootMirrorDevice: Boot = (arch, preset, knobs, variant) => {
  const { mm } = machine(arch, preset, knobs, { dax: true });
  const device = newDaxDevice("dax0.0", { start: 1, nr: 1 });
  bindDaxDevice(device);
  const vma = mapDaxDevice(mm, device, { addr: ADDR, nr: 1, level: 0 });
  mem[vma + VMA.vm_private_data] = device.dev;
  if (variant.startsWith("cold")) mem[mem[mm + MM.pgd]] = 0;
  const dmirror = newDmirror(mm, ADDR, 1);
  return {
    threads: [
      { name: "mirror", run: mirror, args: [dmirror, ADDR] },
      { name: "unbind", run: unbind_dax, args: [device.dev] },
    ],
    finally: { name: "check", run: check_device, args: [dmirror, ADDR] },
  };
};

interface PrivateMachine {
  readonly mm: number;
  readonly pgmap: number;
  readonly mdevice: number;
}

/**
 * One page of device-private memory, frame 1, that an area's only entry leads to; frames 0 and 2 are free
 * System RAM. `used` false: the page is the driver's still, and the entry leads to frame 0.
 */
function bootPrivate(
  arch: string,
  preset: PresetName,
  knobs: KnobSettings,
  spec: Partial<HmmMachineSpec> = {},
  used = true,
): PrivateMachine {
  const { mm } = machine(arch, preset, knobs, { max_pfn: 3, ...spec });
  addSystemRam(0, 1, used ? 0 : 1, POOL_RAM);
  addSystemRam(2, 1, 0, POOL_RAM);
  const pgmap = allocStruct("pgmap", DEV_PAGEMAP);
  declareRegion("pgmap", pgmap, DEV_PAGEMAP.SIZE);
  const mdevice = newMdevice(pgmap, 1);
  mem[pgmap + DEV_PAGEMAP.type] = MEMORY_DEVICE_PRIVATE;
  mem[pgmap + DEV_PAGEMAP.start] = 1;
  mem[pgmap + DEV_PAGEMAP.nr] = 1;
  mem[pgmap + DEV_PAGEMAP.owner] = mdevice;
  mem[pgmap + DEV_PAGEMAP.ops] = DEV_PAGEMAP_OPS_DMIRROR;
  declareRegion("memmap of the device", kernel.vmemmap + PAGE.SIZE, PAGE.SIZE, 0, false);
  declareRegion("memory of the device", kernel.direct_map + geom.page_words, geom.page_words, 0, false);
  if (!memremap_pages(pgmap)) throw new RangeError("the device's memory could not be added");
  const vma = addAnonVma(mm, ADDR, 1);
  mem[mem[mdevice + DMIRROR_DEVICE.free_list]] = 1;
  mem[mdevice + DMIRROR_DEVICE.nr_free] = 1;
  if (used) usePrivatePage(vma, mdevice);
  else mapAnonPage(vma, ADDR, 0);
  return { mm, pgmap, mdevice };
}

/** The page is given out by its driver and mapped at ADDR. */
function usePrivatePage(vma: number, mdevice: number): void {
  const page = alloc_device_page(mdevice);
  page_set_anon_place(page, vma, ADDR);
  mem[page + PAGE._mapcount] = 0;
  const ptep = pgtable_alloc(mem[vma + VMA.vm_mm], ADDR, 0);
  mem[ptep] = swp_entry(SWP_DEVICE_WRITE, 1);
}

export const bootFaultPrivate: Boot = (arch, preset, knobs) => {
  const m = bootPrivate(arch, preset, { ...knobs, mmuNotifier: 0 });
  return {
    threads: [
      { name: "fault", run: cpu_touch, args: [m.mm, ADDR] },
      { name: "unbind", run: unbind_private, args: [m.pgmap] },
    ],
  };
};

export const bootPrivateZap: Boot = (arch, preset, knobs) => {
  const m = bootPrivate(arch, preset, { ...knobs, mmuNotifier: 0 }, { cpus: 3 });
  const dmirror = newDmirror(m.mm, ADDR, 1, m.mdevice);
  return {
    threads: [
      { name: "evict", run: evict, args: [m.pgmap] },
      { name: "home", run: migrate_home, args: [dmirror, ADDR] },
      { name: "zap", run: zap, args: [m.mm, ADDR] },
    ],
    finally: { name: "check", run: check_unmapped, args: [m.mm, ADDR] },
  };
};

/** The device that owns the page mirrors it while a CPU fault brings it home. */
export const bootOwnMirror: Boot = (arch, preset, knobs) => {
  const m = bootPrivate(arch, preset, knobs);
  const dmirror = newDmirror(m.mm, ADDR, 1, m.mdevice);
  mem[kernel.vmemmap + PAGE.SIZE + PAGE.private] = dmirror;
  kernel.dmirror_tries = 2;
  return {
    threads: [
      { name: "mirror", run: mirror_walk, args: [dmirror, ADDR] },
      { name: "fault", run: cpu_touch, args: [m.mm, ADDR] },
    ],
    finally: { name: "check", run: check_device, args: [dmirror, ADDR] },
  };
};

/** A page moves to its device's memory while it is unmapped. */
export const bootToDevice: Boot = (arch, preset, knobs) => {
  const m = bootPrivate(arch, preset, knobs, {}, false);
  const dmirror = newDmirror(m.mm, ADDR, 1, m.mdevice);
  kernel.dmirror_tries = 2;
  return {
    threads: [
      { name: "device", run: migrate_and_read, args: [dmirror, ADDR] },
      { name: "zap", run: zap, args: [m.mm, ADDR] },
    ],
    finally: { name: "check", run: check_device, args: [dmirror, ADDR] },
  };
};

/** The driver walks its frames to bring them home while it gives one out. */
export const bootGiveOut: Boot = (arch, preset, knobs) => {
  const m = bootPrivate(arch, preset, { ...knobs, mmuNotifier: 0 }, {}, false);
  const dmirror = newDmirror(m.mm, ADDR, 1, m.mdevice);
  return {
    threads: [
      { name: "device", run: migrate_to_device, args: [dmirror, ADDR] },
      { name: "evict", run: evict, args: [m.pgmap] },
    ],
    finally: { name: "check", run: check_driver_page, args: [m.mm, ADDR, m.mdevice, 1] },
  };
};

export const bootTwoFaults: Boot = (arch, preset, knobs) => {
  const m = bootPrivate(arch, preset, { ...knobs, mmuNotifier: 0 });
  return {
    threads: [
      { name: "fault1", run: cpu_touch, args: [m.mm, ADDR] },
      { name: "fault2", run: cpu_touch, args: [m.mm, ADDR] },
    ],
  };
};

export const bootMirrorPrivate: Boot = (arch, preset, knobs) => {
  const m = bootPrivate(arch, preset, knobs);
  const other = allocStruct("mdevice2", DMIRROR_DEVICE);
  const dmirror = newDmirror(m.mm, ADDR, 1, other);
  // Each try may move the sequence on, so a driver that never gives up has no finite number of states.
  kernel.dmirror_tries = 1;
  return {
    threads: [
      { name: "mirror", run: mirror_walk, args: [dmirror, ADDR] },
      { name: "unbind", run: unbind_private, args: [m.pgmap] },
    ],
    finally: { name: "check", run: check_device, args: [dmirror, ADDR] },
  };
};

export const bootLockHolder: Boot = (arch, preset, knobs) => {
  const m = bootPrivate(arch, preset, { ...knobs, dmirrorMmget: 0 }, { cpus: 3 });
  const other = allocStruct("mdevice2", DMIRROR_DEVICE);
  const dmirror = newDmirror(m.mm, ADDR, 1, other);
  kernel.cpu_sleeps = memblock_alloc("cpu_sleeps", 1);
  const done = memblock_alloc("work_done", 1);
  return {
    threads: [
      { name: "holder", run: lock_holder, args: [1, done] },
      { name: "mirror", run: mirror_walk_then_sleep, args: [dmirror, ADDR] },
      { name: "worker", run: worker, args: [done] },
    ],
  };
};

// ---- Notifiers --------------------------------------------------------------------------------------------

export const bootNotifierRemove: Boot = (arch, preset, knobs) => {
  const { mm } = machine(arch, preset, knobs);
  const ni = allocStruct("notifier", INTERVAL_NOTIFIER);
  declareRegion("notifier", ni, INTERVAL_NOTIFIER.SIZE);
  mmu_interval_notifier_insert(ni, mm, ADDR, ADDR, INTERVAL_OPS_SEQ, 0);
  return {
    threads: [
      { name: "remove", run: remove_notifier, args: [ni] },
      { name: "invalidate", run: invalidate, args: [mm, ADDR] },
    ],
  };
};

export const bootNotifierInsert: Boot = (arch, preset, knobs, variant) => {
  const { mm } = machine(arch, preset, knobs);
  const first = allocStruct("first", INTERVAL_NOTIFIER);
  // What the invalidation removes is not covered by the first: the tree is "partially excluded".
  const at = variant.endsWith("-miss") ? ADDR + 1 : ADDR;
  mmu_interval_notifier_insert(first, mm, at, at, INTERVAL_OPS_SEQ, 0);
  const ni = allocStruct("notifier", INTERVAL_NOTIFIER);
  declareRegion("notifier", ni, INTERVAL_NOTIFIER.SIZE);
  return {
    threads: [
      { name: "insert", run: insert_remove_notifier, args: [ni, mm, ADDR] },
      { name: "invalidate", run: invalidate, args: [mm, ADDR] },
    ],
  };
};

/** Two old-style notifiers: KVM's, which counts, and one that refuses what may not block. Gives the first. */
function addOldStyleNotifiers(mm: number): number {
  const subs = mem[mm + MM.mmu_notifiers];
  const n1 = allocStruct("kvm", MMU_NOTIFIER);
  const n2 = allocStruct("busy", MMU_NOTIFIER);
  mem[n2 + MMU_NOTIFIER.busy] = 1;
  mem[n1 + MMU_NOTIFIER.next] = n2;
  mem[subs + SUBSCRIPTIONS.list] = n1;
  return n1;
}

export const bootNonblock: Boot = (arch, preset, knobs) => {
  const { mm } = machine(arch, preset, knobs);
  const kvm = addOldStyleNotifiers(mm);
  return {
    threads: [
      { name: "oom", run: invalidate_nonblock, args: [mm, ADDR] },
      // KVM's fault handler: goes on when no invalidation runs that has not ended.
      { name: "guest", run: wait_count, args: [kvm] },
    ],
  };
};

/** The same with a driver that mirrors the address by an interval notifier. */
export const bootNonblockReader: Boot = (arch, preset, knobs) => {
  const { mm } = machine(arch, preset, knobs);
  addOldStyleNotifiers(mm);
  const ni = allocStruct("notifier", INTERVAL_NOTIFIER);
  mmu_interval_notifier_insert(ni, mm, ADDR, ADDR, INTERVAL_OPS_SEQ, 0);
  return {
    threads: [
      { name: "oom", run: invalidate_nonblock, args: [mm, ADDR] },
      { name: "reader", run: read_begin, args: [ni] },
    ],
  };
};
