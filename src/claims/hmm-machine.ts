/**
 * Machines of the claims about HMM: an address space with a notifier, a mirror device, System RAM whose free
 * frames are poison, and, where wanted, device-private memory. Ordinary JavaScript that runs before the
 * threads start; small enough to explore, two frames of a kind at most.
 */

import { geom, type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { declareRegion, mem, memblock_alloc } from "../machine/memory.ts";
import { SRCU_STRUCT } from "../machine/srcu.ts";
import { addMmPools, allocStruct, bootMachine } from "../mm/boot.ts";
import { DMIRROR, DMIRROR_DEVICE } from "../mm/dmirror.ts";
import { mm_create } from "../mm/fork.ts";
import { MM, VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_WRITE, VMA } from "../mm/mm_types.ts";
import { do_mmap, vma_lookup } from "../mm/mmap.ts";
import { mmu_interval_notifier_insert } from "../mm/mmu_notifier.ts";
import { INTERVAL_NOTIFIER, INTERVAL_OPS_DMIRROR, SUBSCRIPTIONS } from "../mm/mmu_notifier_types.ts";
import { PAGE, PG_buddy } from "../mm/page.ts";
import { PAGE_SHARED, pfn_pte, pgtable_alloc } from "../mm/pgtable.ts";
import { POOL_RAM, page_set_anon_place } from "../mm/ram_page.ts";

export interface HmmMachineSpec {
  readonly preset: PresetName;
  readonly knobs: KnobSettings;
  readonly arch: string;
  readonly cpus: number;
  readonly levels: number;
  readonly max_pfn: number;
  readonly vmemmap_shift?: number;
  readonly tables: number;
  readonly pgmaps?: number;
  /** Huge entries may be made. */
  readonly huge?: boolean;
  /** DAX devices can be faulted on. */
  readonly dax?: boolean;
}

/** An address space with room for notifiers. */
export function newMirroredMm(): number {
  const mm = mm_create();
  if (mm === 0) throw new RangeError("no address space or table left; boot with more");
  const subs = allocStruct("notifier_subscriptions", SUBSCRIPTIONS);
  mem[subs + SUBSCRIPTIONS.invalidate_seq] = 2;
  mem[mm + MM.mmu_notifiers] = subs;
  return mm;
}

/** Boots the machine with one address space; notifiers are on and a freed frame is poison. */
export function bootHmmMachine(spec: HmmMachineSpec): { mm: number } {
  const { preset, arch, cpus, levels, max_pfn, vmemmap_shift = 0, tables, pgmaps = 1 } = spec;
  bootMachine({
    preset,
    knobs: { mmuNotifier: 1, pageRegions: 1, ...spec.knobs },
    arch,
    geometry: { levels, table_shift: 1, max_pfn, vmemmap_shift, pgmap_shift: vmemmap_shift },
    cpus,
    tables,
    pgmaps,
  });
  kernel.no_huge = spec.huge ? 0 : 1;
  addMmPools(2, 2);
  if (spec.dax) kernel.dax_srcu = allocStruct("dax_srcu", SRCU_STRUCT);
  return { mm: newMirroredMm() };
}

/** Frames of System RAM from `first` on: the first `used` are taken, the others free. */
export function addSystemRam(first: number, nr: number, used: number, pool = POOL_RAM): void {
  for (let pfn = first; pfn < first + nr; pfn++) {
    const base = kernel.direct_map + pfn * geom.page_words;
    declareRegion(`frame ${pfn}`, base, geom.page_words, pool, pfn < first + used);
    const page = kernel.vmemmap + pfn * PAGE.SIZE;
    mem[page + PAGE._mapcount] = -1;
    mem[page + PAGE._refcount] = pfn < first + used ? 1 : 0;
    if (pfn >= first + used) mem[page + PAGE.flags] |= 1 << PG_buddy;
  }
}

/** An area of anonymous memory. */
export function addAnonVma(mm: number, start: number, nr: number): number {
  const flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE;
  if (do_mmap(mm, start, nr, flags, 0, 0) !== 0) throw new RangeError("no area left");
  return vma_lookup(mm, start);
}

/** Maps a taken frame of System RAM at addr, writable. */
export function mapAnonPage(vma: number, addr: number, pfn: number): void {
  const mm = mem[vma + VMA.vm_mm];
  const ptep = pgtable_alloc(mm, addr, 0);
  if (ptep === 0) throw new RangeError("no page table left; boot with more tables");
  const page = kernel.vmemmap + pfn * PAGE.SIZE;
  page_set_anon_place(page, vma, addr);
  mem[page + PAGE._mapcount] = 0;
  mem[ptep] = pfn_pte(pfn, PAGE_SHARED);
}

/**
 * A mirror device of `mm` for the pages [start, start + nr), its notifier registered. `mdevice` owns its
 * memory; 0: it has none.
 */
export function newDmirror(mm: number, start: number, nr: number, mdevice = 0, name = "dmirror"): number {
  const dmirror = allocStruct(name, DMIRROR);
  const ni = allocStruct(`${name}.notifier`, INTERVAL_NOTIFIER);
  mem[dmirror + DMIRROR.mm] = mm;
  mem[dmirror + DMIRROR.mdevice] = mdevice;
  mem[dmirror + DMIRROR.pt] = memblock_alloc(`${name}.pt`, nr, { count: nr, type: "device-table" });
  mem[dmirror + DMIRROR.pt_start] = start;
  mem[dmirror + DMIRROR.nr_pt] = nr;
  mem[dmirror + DMIRROR.notifier] = ni;
  mmu_interval_notifier_insert(ni, mm, start, start + nr - 1, INTERVAL_OPS_DMIRROR, dmirror);
  return dmirror;
}

/** Device memory for migration, not yet given struct pages. */
export function newMdevice(pgmap: number, nr: number, name = "mdevice"): number {
  const mdevice = allocStruct(name, DMIRROR_DEVICE);
  mem[mdevice + DMIRROR_DEVICE.pgmap] = pgmap;
  mem[mdevice + DMIRROR_DEVICE.free_list] = memblock_alloc(`${name}.free_list`, nr, { count: nr });
  kernel.device_private = 1;
  return mdevice;
}
