/**
 * Building what memmap.ts computes: a device of that size is bound by memremap_pages(), so that its vmemmap
 * is populated, shared and initialised by the kernel's own code, and the frames that came out of the
 * allocator are counted. Frame numbers have 21 bits, so a device of more than 8 GiB is built as several,
 * each on a machine of its own; all of them are kept until the end, so that what is counted is there at one
 * time.
 *
 * Custom: the page tables of the vmemmap are a flat table with a word per frame, counted as the kernel's
 * would be.
 */

import { config, geom, kernel, setArch, setConfig, setGeometry } from "../machine/config.ts";
import { useSequentialHost } from "../machine/host.ts";
import { POISON } from "../machine/image.ts";
import { declareRegion, mem, memblock_alloc, resetMemory } from "../machine/memory.ts";
import { memremap_pages } from "../mm/memremap.ts";
import { compound_head, PAGE, page_to_pfn, pfn_to_page, VMEMMAP_START } from "../mm/page.ts";
import { PERCPU_REF_DATA, POOL_PERCPU, POOL_PERCPU_REF_DATA } from "../mm/percpu-refcount.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_GENERIC, PGMAP_COMPOUND } from "../mm/pgmap.ts";
import { POOL_VMEMMAP } from "../mm/sparse-vmemmap.ts";
import { checkMemmap, memmapCost, PAGE_SIZE } from "./memmap.ts";
import { MAX_PAGES } from "./pages.ts";
import { formatBytes, SizeError } from "./units.ts";

export interface BuiltMemmap {
  /** Frames taken from the allocator, counted after the build. */
  readonly frames: number;
  readonly pageBytes: number;
  readonly devices: number;
  readonly seconds: number;
  /** Struct pages whose head was followed and found right. */
  readonly checked: number;
}

const FRAME_SHIFT = 6;
const FRAME_WORDS = PAGE.SIZE << FRAME_SHIFT;
const PER_FRAME = 1 << FRAME_SHIFT;
/** Words of a machine apart from frames and the table of frames. */
const OVERHEAD_WORDS = 4096;

/** Bytes that building takes: frames, a word per frame of the vmemmap, bookkeeping. */
export function buildBytes(size: number, align: number, dedup: boolean): number {
  const c = memmapCost(size, align, dedup);
  const devices = Math.ceil(c.pages / MAX_PAGES);
  return c.pageBytes + (c.pages / PER_FRAME) * 4 + devices * OVERHEAD_WORDS * 4 + c.frames * 150;
}

/**
 * Builds the device.
 * @throws SizeError if that takes more than `limit` bytes (says what is needed), or a size does not suit.
 */
export function buildMemmap(
  size: number,
  align: number,
  dedup: boolean,
  limit: number,
  onDevice: (done: number, all: number) => void = () => {},
): BuiltMemmap {
  checkMemmap(size, align);
  const need = buildBytes(size, align, dedup);
  if (need > limit)
    throw new SizeError(
      `building the struct pages of ${formatBytes(size)} takes ${formatBytes(Math.ceil(need))} of memory, and ${formatBytes(limit)} are free; ` +
        `at this alignment ${formatBytes(Math.max(align, Math.floor((size * limit) / need / align) * align))} would fit`,
    );
  const started = performance.now();
  const kept: Int32Array[] = [];
  const pages = size / PAGE_SIZE;
  const devices = Math.ceil(pages / MAX_PAGES);
  let frames = 0;
  let checked = 0;
  for (let at = 0, n = 0; at < pages; at += MAX_PAGES, n++) {
    const nr = Math.min(MAX_PAGES, pages - at);
    const one = buildDevice(nr, Math.log2(align / PAGE_SIZE), dedup);
    kept.push(mem);
    frames += one.frames;
    checked += one.checked;
    onDevice(n + 1, devices);
  }
  if (kept.length !== devices) throw new Error("a device is missing");
  return {
    frames,
    pageBytes: frames * PAGE_SIZE,
    devices,
    seconds: (performance.now() - started) / 1000,
    checked,
  };
}

function buildDevice(nr: number, order: number, dedup: boolean): { frames: number; checked: number } {
  useSequentialHost();
  setConfig("v7.3", { vmemmapMapped: 1, vmemmapDedup: dedup ? 1 : 0 });
  setArch("x86-64");
  setGeometry({ levels: 4, table_shift: 9, max_pfn: nr, vmemmap_shift: FRAME_SHIFT, pgmap_shift: 15 });
  const cost = memmapCost(nr * PAGE_SIZE, PAGE_SIZE << order, dedup);
  const slots = nr / PER_FRAME;
  resetMemory(slots + cost.frames * FRAME_WORDS + OVERHEAD_WORDS);
  kernel.nr_cpus = 1;
  kernel.devmap_managed_key = 0;
  kernel.vmemmap = VMEMMAP_START;
  kernel.vmemmap_table = memblock_alloc("vmemmap_table", slots, { count: slots });
  const base = memblock_alloc("vmemmap", cost.frames * FRAME_WORDS, { count: cost.frames, align: PAGE.SIZE });
  // Exactly as many frames as were computed: one too few, and the device could not be bound.
  for (let i = 0; i < cost.frames; i++)
    declareRegion("vmemmap frame", base + i * FRAME_WORDS, FRAME_WORDS, POOL_VMEMMAP, false);
  kernel.direct_map = memblock_alloc("linear map", 1);
  declareRegion("linear map", kernel.direct_map, 1, 0, false);
  const pgmapSlots = Math.ceil(nr / (1 << geom.pgmap_shift));
  kernel.pgmap_array = memblock_alloc("pgmap_array", pgmapSlots);
  kernel.percpu_ref_switch_lock = memblock_alloc("percpu_ref_switch_lock", 1);
  declareRegion("percpu_count", memblock_alloc("percpu_count", 1, { align: 4 }), 1, POOL_PERCPU, false);
  const data = memblock_alloc("percpu_ref_data", PERCPU_REF_DATA.SIZE);
  declareRegion("percpu_ref_data", data, PERCPU_REF_DATA.SIZE, POOL_PERCPU_REF_DATA, false);
  const pgmap = memblock_alloc("pgmap", DEV_PAGEMAP.SIZE);
  mem[pgmap + DEV_PAGEMAP.type] = MEMORY_DEVICE_GENERIC;
  mem[pgmap + DEV_PAGEMAP.flags] = order > 0 ? PGMAP_COMPOUND : 0;
  mem[pgmap + DEV_PAGEMAP.vmemmap_shift] = order;
  mem[pgmap + DEV_PAGEMAP.start] = 0;
  mem[pgmap + DEV_PAGEMAP.nr] = nr;
  if (!memremap_pages(pgmap)) throw new Error(`memremap_pages() of ${nr} pages failed`);
  let frames = 0;
  for (let i = 0; i < cost.frames; i++) if (mem[base + i * FRAME_WORDS] !== POISON) frames++;
  return { frames, checked: checkHeads(nr, order) };
}

/** Every frame's first struct page and some others lead to the right head, through shared frames or not. */
function checkHeads(nr: number, order: number): number {
  const step = config.vmemmapDedup ? 61 : 257;
  let checked = 0;
  for (let pfn = 0; pfn < nr; pfn += step) {
    const head = page_to_pfn(compound_head(pfn_to_page(pfn)));
    if (head !== (pfn >> order) << order) throw new Error(`page ${pfn} has head ${head}`);
    checked++;
  }
  return checked;
}
