/**
 * Small machines of the whole kernel: the page allocator with a zone of a few frames, areas, faults, reverse
 * maps; no swap, no batches on the way to the LRU, no files but devices', no huge zero page. What is mapped
 * when the threads start was mapped by the kernel's own functions. A frame that is free is poison, so that
 * whoever still uses it is found out.
 */

import { geom, type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { declareRegion, mem, memblock_alloc } from "../machine/memory.ts";
import { structFields } from "../machine/struct.ts";
import { addMmPools, bootMachine } from "../mm/boot.ts";
import { FAULT_FLAG_WRITE, handle_mm_fault } from "../mm/fault.ts";
import { VM_HUGEPAGE, VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_WRITE } from "../mm/mm_types.ts";
import { do_mmap, vma_lookup } from "../mm/mmap.ts";
import { MAX_NR_ZONES, memblock_free_range, memmap_init_range, ZONE, ZONE_NORMAL } from "../mm/page_alloc.ts";

export interface MmMachineSpec {
  readonly preset: PresetName;
  readonly knobs: KnobSettings;
  readonly arch: string;
  readonly cpus: number;
  readonly levels: number;
  /** Frames of System RAM, from frame 0 on. */
  readonly ram: number;
  /** Frames of devices behind them; 0 if absent. */
  readonly device?: number;
  readonly tables: number;
  readonly pgmaps?: number;
  /** Areas and address spaces that can exist at a time; 2 and 1 if absent. */
  readonly areas?: number;
  readonly mms?: number;
  /**
   * log2 of the struct pages of a frame of the vmemmap, and of the frames of a slot of pgmap_array; 0 if
   * absent.
   */
  readonly vmemmap_shift?: number;
}

/** Boots the machine; nothing is mapped. */
export function bootMmMachine(spec: MmMachineSpec): void {
  const { preset, arch, cpus, levels, ram, device = 0, tables, pgmaps = 1, vmemmap_shift = 0 } = spec;
  bootMachine({
    preset,
    knobs: { pageRegions: 1, mmuNotifier: 0, vmstat: 0, ...spec.knobs },
    arch,
    geometry: { levels, table_shift: 1, max_pfn: ram + device, vmemmap_shift, pgmap_shift: vmemmap_shift },
    cpus,
    tables,
    pgmaps,
  });
  for (let pfn = 0; pfn < ram; pfn++)
    declareRegion(`data[${pfn}]`, kernel.direct_map + pfn * geom.page_words, geom.page_words, 0, false);
  // Blocks of a huge page at most.
  kernel.max_order = geom.hpage_pmd_order + 1;
  kernel.zones = memblock_alloc("zone", ZONE.SIZE * MAX_NR_ZONES, {
    count: MAX_NR_ZONES,
    fields: structFields(ZONE),
  });
  mem[kernel.zones + ZONE_NORMAL * ZONE.SIZE + ZONE.end_pfn] = ram;
  addMmPools(spec.areas ?? 2, spec.mms ?? 1);
  memmap_init_range(ZONE_NORMAL, 0, ram);
  memblock_free_range(ZONE_NORMAL, 0, ram);
}

/** mmap() of private anonymous memory; gives the area. `huge`: with MADV_HUGEPAGE. */
export function mmapAnon(mm: number, start: number, nr: number, huge = false): number {
  const flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | (huge ? VM_HUGEPAGE : 0);
  const error = do_mmap(mm, start, nr, flags, 0, 0);
  if (error !== 0) throw new RangeError(`mmap() of ${nr} pages at ${start}: ${error}`);
  return vma_lookup(mm, start);
}

/** The CPU touches every page of start .. start + nr - 1; `write`: for writing. */
export function touch(mm: number, start: number, nr: number, write = true): void {
  for (let addr = start; addr < start + nr; addr++) {
    const ret = handle_mm_fault(mm, vma_lookup(mm, addr), addr, write ? FAULT_FLAG_WRITE : 0);
    if (ret !== 0) throw new RangeError(`page ${addr} cannot be faulted in: ${ret}`);
  }
}
