/**
 * The zoo's machine for bugs of ordinary memory: one process of sixteen pages, a page allocator with eight
 * frames of a normal zone and four that are movable or a CMA area, swap, a batch on the way to the LRU.
 * Everything that recorded kernels are compared with runs on it as it is, only smaller. Boot code, ordinary
 * TypeScript.
 *
 * Not covered: huge pages (an order of 9 would need 512 entries a table).
 */

import { type KnobSettings, kernel, type PresetName } from "../../machine/config.ts";
import { declareRegion, mem, memblock_alloc } from "../../machine/memory.ts";
import { structFields } from "../../machine/struct.ts";
import { addMmPools, bootMachine, objectPool } from "../../mm/boot.ts";
import { POOL_ADDRESS_SPACE, POOL_I_PAGES } from "../../mm/filemap.ts";
import { mm_create } from "../../mm/fork.ts";
import { LRU_BATCH, NR_LRU_BATCHES } from "../../mm/lru.ts";
import {
  ADDRESS_SPACE,
  AS_REGULAR,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from "../../mm/mm_types.ts";
import { do_mmap } from "../../mm/mmap.ts";
import { PAGE, page_word, pfn_to_page } from "../../mm/page.ts";
import {
  MAX_NR_ZONES,
  memblock_free_range,
  memmap_init_range,
  ZONE,
  ZONE_CMA,
  ZONE_MOVABLE,
  ZONE_NORMAL,
  zone_of,
} from "../../mm/page_alloc.ts";
import { READAHEAD_HITS_INIT, SWAP_HEADER, SWAP_SLOT } from "../../mm/swap_state.ts";
import { VM_EVENT } from "../../mm/vmstat.ts";

export interface ProcessSpec {
  readonly arch: string;
  readonly preset: PresetName;
  readonly knobs: KnobSettings;
  readonly cpus?: number;
  /** What the last four frames are: normal memory if absent. */
  readonly last?: "movable" | "cma";
  readonly swap?: boolean;
  readonly secretmem?: boolean;
}

/** Frame 1 is the zero page; those from NORMAL on are ordinary, those from LAST on what the spec says. */
const NORMAL = 2;
const LAST = 10;
const END = 14;
const FILE_PAGES = 2;

export const RW: number = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE;
export const SHARED: number = RW | VM_SHARED | VM_MAYSHARE;

function setZone(nr: number, start: number, end: number): void {
  mem[zone_of(nr) + ZONE.start_pfn] = start;
  mem[zone_of(nr) + ZONE.end_pfn] = end;
  memmap_init_range(nr, start, end);
  memblock_free_range(nr, start, end);
}

/** Boots the machine; gives the process's address space, which is empty. */
export function bootProcess(spec: ProcessSpec): number {
  const { arch, preset, knobs, cpus = 1 } = spec;
  bootMachine({
    preset,
    knobs: { pageRegions: 1, mmuNotifier: 0, vmstat: 0, gupZeroPages: 0, ...knobs },
    arch,
    geometry: { levels: 2, table_shift: 2, max_pfn: 16, vmemmap_shift: 1, pgmap_shift: 1 },
    cpus,
    tables: 8,
  });
  kernel.zones = memblock_alloc("zone", ZONE.SIZE * MAX_NR_ZONES, {
    count: MAX_NR_ZONES,
    fields: structFields(ZONE),
  });
  for (let pfn = NORMAL; pfn < END; pfn++)
    declareRegion(`frame ${pfn}`, kernel.direct_map + pfn, 1, 0, false);
  kernel.secretmem = spec.secretmem === true ? 1 : 0;
  kernel.vm_events = memblock_alloc("vm_events", VM_EVENT.SIZE, { fields: structFields(VM_EVENT) });
  kernel.lru_add = memblock_alloc("lru_add", LRU_BATCH.SIZE * NR_LRU_BATCHES);
  if (spec.swap === true) {
    kernel.nr_swap = 4;
    kernel.swap_map = memblock_alloc("swap_slot", SWAP_SLOT.SIZE * kernel.nr_swap, { count: kernel.nr_swap });
    mem[kernel.swap_map + SWAP_HEADER.next] = 1;
    mem[kernel.swap_map + SWAP_HEADER.readahead_hits] = READAHEAD_HITS_INIT;
  }
  addMmPools(4, 2);
  objectPool("file", POOL_ADDRESS_SPACE, 2, ADDRESS_SPACE.SIZE, ADDRESS_SPACE);
  objectPool("i_pages", POOL_I_PAGES, 2, FILE_PAGES);
  const { last } = spec;
  kernel.cma_start = LAST;
  kernel.cma_nr = last === "cma" ? END - LAST : 0;
  setZone(ZONE_NORMAL, NORMAL, last === undefined ? END : LAST);
  if (last !== undefined) setZone(last === "cma" ? ZONE_CMA : ZONE_MOVABLE, LAST, END);
  // The zero page is the kernel's own: reserved, and never freed.
  kernel.zero_pfn = 1;
  mem[page_word(pfn_to_page(kernel.zero_pfn), PAGE._refcount)] = 1;
  const mm = mm_create();
  if (mm === 0) throw new RangeError("no address space left");
  return mm;
}

/** mmap(): one page at `addr` of a file, or anonymous. */
export function map(mm: number, addr: number, flags = RW, file = 0): void {
  const error = do_mmap(mm, addr, 1, flags, file, 0);
  if (error !== 0) throw new RangeError(`mmap() of page ${addr} failed: ${error}`);
}

/** A file of an ordinary file system, which wants to see every write. */
export function newFile(): number {
  const file = memblock_alloc("ext4", ADDRESS_SPACE.SIZE, { fields: structFields(ADDRESS_SPACE), align: 2 });
  mem[file + ADDRESS_SPACE.kind] = AS_REGULAR;
  mem[file + ADDRESS_SPACE.i_size] = FILE_PAGES;
  mem[file + ADDRESS_SPACE.i_pages] = memblock_alloc("ext4.i_pages", FILE_PAGES, { count: FILE_PAGES });
  return file;
}
