/**
 * The machines of claim C8's known bugs (docs/claims.md, "Known bugs, before and after their fix"): pagemap
 * references, pins that keep memory from going, huge vmemmap mappings, hmm_range_fault() behind a PUD leaf,
 * and notifiers in two passes. As in c8-boot.ts, one page of each kind as far as the question allows.
 */

import { config, kernel } from "../machine/config.ts";
import { REF_EXTERNAL } from "../machine/knobs/gup.ts";
import { mem, memblock_alloc } from "../machine/memory.ts";
import { allocStruct, bindDaxDevice, mapDaxDevice, newDaxDevice } from "../mm/boot.ts";
import { DMIRROR, DPT_ENTRY_VALID, DPT_PFN_SHIFT } from "../mm/dmirror.ts";
import { ADDRESS_SPACE, VMA } from "../mm/mm_types.ts";
import { PAGE, PG_ZONE_SHIFT } from "../mm/page.ts";
import { PERCPU_REF, PERCPU_REF_INIT_ATOMIC, percpu_ref_init } from "../mm/percpu-refcount.ts";
import { DEV_PAGEMAP } from "../mm/pgmap.ts";
import { PAGE_READONLY, PAGE_SHARED, pfn_pmd } from "../mm/pgtable.ts";
import { POOL_RAM, POOL_RAM_OFFLINE, ZONE_NR_MOVABLE } from "../mm/ram_page.ts";
import { addSections, type Boot, machine, memmapCanGo } from "./c8-boot.ts";
import { addAnonVma, addSystemRam, mapAnonPage, newDmirror } from "./hmm-machine.ts";
import {
  check_device,
  device_access,
  kill_dax,
  longterm_pin_until,
  mirror,
  mirror_write,
  offline_then_tell,
  pagemap_getter,
  pagemap_remover,
  queue_remover,
  queue_user,
  unpin,
  vmemmap_splitter,
  zap,
} from "./scenarios/unplug.ts";

const ADDR = 0;

/** J10: somebody looks a pagemap up while it goes. */
export const bootPagemapGet: Boot = (arch, preset, knobs) => {
  machine(arch, preset, { ...knobs, mmuNotifier: 0 });
  const device = newDaxDevice("dax0.0", { start: 1, nr: 1 });
  bindDaxDevice(device);
  return {
    threads: [
      { name: "getter", run: pagemap_getter, args: [1] },
      { name: "remove", run: pagemap_remover, args: [device.pgmap] },
    ],
  };
};

/** J11: a page is unpinned while its pagemap goes. */
export const bootFinalPut: Boot = (arch, preset, knobs) => {
  machine(arch, preset, { ...knobs, mmuNotifier: 0 });
  const device = newDaxDevice("dax0.0", { start: 1, nr: 1 });
  bindDaxDevice(device);
  mem[kernel.vmemmap + PAGE.SIZE + PAGE._refcount] += 1;
  return {
    threads: [
      { name: "unpin", run: unpin, args: [1] },
      { name: "remove", run: pagemap_remover, args: [device.pgmap] },
    ],
  };
};

/** J48: a pmem device goes while its queue is used. */
export const bootQueue: Boot = (arch, preset, knobs) => {
  machine(arch, preset, { ...knobs, mmuNotifier: 0 }, { pgmaps: 2 });
  const device = newDaxDevice("pmem0", { start: 1, nr: 1, fsdax: true });
  let queue = mem[device.pgmap + DEV_PAGEMAP.ref] as number;
  if (config.percpuRef !== REF_EXTERNAL) {
    queue = allocStruct("pmem0.q_usage_count", PERCPU_REF);
    if (!percpu_ref_init(queue, 0, PERCPU_REF_INIT_ATOMIC)) throw new RangeError("no percpu_ref left");
  }
  bindDaxDevice(device);
  return {
    threads: [
      { name: "io", run: queue_user, args: [queue] },
      { name: "remove", run: queue_remover, args: [device.pgmap, queue] },
    ],
  };
};

/** J20: memory goes offline while somebody pins a page of it for long. */
export const bootLongtermPin: Boot = (arch, preset, knobs) => {
  const { mm } = machine(arch, preset, { ...knobs, mmuNotifier: 0 }, { max_pfn: 3 });
  addSystemRam(0, 1, 1, POOL_RAM_OFFLINE);
  addSystemRam(1, 2, 0, POOL_RAM);
  mem[kernel.vmemmap + PAGE.flags] |= ZONE_NR_MOVABLE << PG_ZONE_SHIFT;
  addSections(3);
  memmapCanGo(0);
  mapAnonPage(addAnonVma(mm, ADDR, 1), ADDR, 0);
  const ended = memblock_alloc("offline_ended", 1);
  return {
    threads: [
      { name: "offline", run: offline_then_tell, args: [0, 1, ended] },
      { name: "pin", run: longterm_pin_until, args: [mm, ADDR, ended] },
    ],
  };
};

/** J22: two hugetlb pages whose struct pages lie behind one PMD of the vmemmap are optimised at once. */
export const bootSplitVmemmap: Boot = (arch, preset, knobs) => {
  machine(arch, preset, { ...knobs, mmuNotifier: 0 }, { max_pfn: 8, tables: 3, huge: true });
  const FRAME = 4;
  const pmdp = memblock_alloc("vmemmap_pmd", 1);
  const ptl = memblock_alloc("init_mm.page_table_lock", 1);
  mem[pmdp] = pfn_pmd(FRAME, PAGE_SHARED);
  return {
    threads: [
      { name: "split1", run: vmemmap_splitter, args: [pmdp, ptl, FRAME] },
      { name: "split2", run: vmemmap_splitter, args: [pmdp, ptl, FRAME] },
    ],
  };
};

/** J49: a device wants to write through a read-only leaf of PUD level, which is unmapped. */
export const bootPudFault: Boot = (arch, preset, knobs) => {
  const { mm } = machine(arch, preset, knobs, { levels: 3, max_pfn: 8, dax: true, huge: true });
  const device = newDaxDevice("dax0.0", { start: 4, nr: 4, order: preset === "v5.10" ? 0 : 2 });
  bindDaxDevice(device);
  const vma = mapDaxDevice(mm, device, { addr: ADDR, nr: 4, level: 2, prot: PAGE_READONLY });
  mem[vma + VMA.vm_private_data] = device.dev;
  mem[(mem[vma + VMA.vm_file] as number) + ADDRESS_SPACE.align] = 2;
  const dmirror = newDmirror(mm, ADDR, 1);
  return {
    threads: [
      { name: "mirror", run: mirror_write, args: [dmirror, ADDR] },
      { name: "kill", run: kill_dax, args: [device.dev] },
    ],
    finally: { name: "check", run: check_device, args: [dmirror, ADDR] },
  };
};

/**
 * Two devices that nothing stops but waiting mirror a page, which is unmapped: one has it mapped, the other
 * faults it in.
 */
export const bootTwoPass: Boot = (arch, preset, knobs) => {
  const { mm } = machine(arch, preset, { dmirrorAsync: 1, ...knobs }, { cpus: 3 });
  addSystemRam(0, 2, 1);
  mapAnonPage(addAnonVma(mm, ADDR, 1), ADDR, 0);
  const mapped = newDmirror(mm, ADDR, 1, 0, "dmirror1");
  const other = newDmirror(mm, ADDR, 1, 0, "dmirror2");
  mem[mem[mapped + DMIRROR.pt] as number] = DPT_ENTRY_VALID | (0 << DPT_PFN_SHIFT);
  return {
    threads: [
      { name: "device1", run: device_access, args: [mapped, ADDR] },
      { name: "device2", run: mirror, args: [other, ADDR] },
      { name: "zap", run: zap, args: [mm, ADDR] },
    ],
    finally: { name: "check", run: check_device, args: [mapped, ADDR] },
  };
};
