/**
 * Machines to measure pinning on: a range of an address space, every page mapped, by each kind of mapping
 * that the kernel's tests and the series' cover letters compare, at full geometry (four levels of 512
 * entries, 64-byte struct pages). Device memory is bound and mapped by the kernel's own code; System RAM is
 * laid out here, since no fault is measured. Contents of pages are a word each: pinning does not touch them.
 *
 * Custom: the vmemmap is one linear array, as the processor shows it to the kernel; a frame of it is 2 MiB
 * worth of pages instead of 64, which no path that is measured looks at.
 */

import { geom, type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { useSequentialHost } from "../machine/host.ts";
import { mem, memblock_alloc } from "../machine/memory.ts";
import { structFields } from "../machine/struct.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../mm/boot.ts";
import { MM, VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_WRITE, VMA } from "../mm/mm_types.ts";
import { PAGE, PG_uptodate, prep_compound_page } from "../mm/page.ts";
import { _PAGE_PSE, PAGE_SHARED, pfn_pte, pgtable_alloc, set_pte_at } from "../mm/pgtable.ts";

/**
 * 4k: base pages of System RAM (gup_test -T). thp: 2 MiB compound pages behind PMD leaves (-t, -H). dax4k,
 * dax2m, dax1g: device-dax mapped by PTE, PMD and PUD leaves.
 */
export const KINDS = ["4k", "thp", "dax4k", "dax2m", "dax1g"] as const;
export type Kind = (typeof KINDS)[number];

const LEVEL: Readonly<Record<Kind, number>> = { "4k": 0, thp: 1, dax4k: 0, dax2m: 1, dax1g: 2 };

/** Pages that one leaf of the kind maps. */
export function leafPages(kind: Kind): number {
  return 1 << (9 * LEVEL[kind]);
}

/** Most pages that a machine can have: frame numbers of 21 bits (mm/pgtable.ts). */
export const MAX_PAGES = 2 ** 21;

export interface PagesSpec {
  readonly preset: PresetName;
  readonly knobs?: KnobSettings;
  readonly kind: Kind;
  /** Multiple of 512 and of the leaf's size; at most MAX_PAGES. */
  readonly nr: number;
  /** Device pages are compound pages of the leaf's order (from the RFC on; v5.10 had single pages). */
  readonly compound: boolean;
  /** CPUs with per-CPU data; 1 if absent. */
  readonly cpus?: number;
}

export interface Pages {
  readonly mm: number;
  readonly vma: number;
  /** First page number of the mapped range. */
  readonly start: number;
  readonly nr: number;
}

const TABLE_SHIFT = 9;
/** 1 GiB: aligned for every kind of leaf. */
const START = 1 << 18;

/** Boots the machine and maps the range. @throws RangeError if the range does not suit the kind. */
export function bootPages(spec: PagesSpec): Pages {
  const { kind, nr } = spec;
  const leaf = leafPages(kind);
  if (nr < 1 || nr % Math.max(leaf, 512) !== 0 || nr > MAX_PAGES)
    throw new RangeError(
      `${nr} pages: a range of ${kind} is a multiple of ${Math.max(leaf, 512)} up to ${MAX_PAGES}`,
    );
  useSequentialHost();
  bootMachine({
    preset: spec.preset,
    ...(spec.knobs === undefined ? {} : { knobs: spec.knobs }),
    arch: "x86-64",
    geometry: { levels: 4, table_shift: TABLE_SHIFT, max_pfn: nr, vmemmap_shift: 9, pgmap_shift: 9 },
    cpus: spec.cpus ?? 1,
    tables: 8 + Math.ceil(nr / 2 ** 18) + (leaf === 1 ? nr / 512 : 0),
  });
  // No frame of the range is the zero page.
  kernel.zero_pfn = -1;
  const mm = newMm();
  let vma = 0;
  if (kind === "4k" || kind === "thp") vma = mapSystemRam(mm, START, nr, LEVEL[kind]);
  else {
    const order = spec.compound ? TABLE_SHIFT * LEVEL[kind] : 0;
    const device = newDaxDevice("dax", { start: 0, nr, order });
    bindDaxDevice(device);
    vma = mapDaxDevice(mm, device, { addr: START, nr, level: LEVEL[kind] });
  }
  return { mm, vma, start: START, nr };
}

/** Pages as page faults leave them: one reference each, that of their entry. */
function mapSystemRam(mm: number, start: number, nr: number, level: number): number {
  const span = 1 << (level * geom.table_shift);
  for (let pfn = 0; pfn < nr; pfn++) {
    const page = kernel.vmemmap + pfn * PAGE.SIZE;
    mem[page + PAGE.flags] = 1 << PG_uptodate;
    mem[page + PAGE._refcount] = 1;
    mem[page + PAGE._mapcount] = -1;
  }
  for (let i = 0; i < nr; i += span) {
    if (level > 0) prep_compound_page(kernel.vmemmap + i * PAGE.SIZE, level * geom.table_shift);
    const entryp = pgtable_alloc(mm, start + i, level);
    if (entryp === 0) throw new RangeError(`no page table for page ${start + i}`);
    set_pte_at(entryp, pfn_pte(i, PAGE_SHARED | (level > 0 ? _PAGE_PSE : 0)));
  }
  // Private and anonymous, as gup_test's own mapping is; only the slow path looks at it.
  const vma = memblock_alloc("vm_area_struct", VMA.SIZE, { fields: structFields(VMA), align: 2 });
  mem[vma + VMA.vm_start] = start;
  mem[vma + VMA.vm_end] = start + nr;
  mem[vma + VMA.vm_mm] = mm;
  mem[vma + VMA.vm_flags] = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE;
  mem[vma + VMA.vm_pgoff] = start;
  mem[mm + MM.mmap] = vma;
  return vma;
}

/**
 * Sum of the references of all struct pages that the range starts at: to verify that what was taken was given
 * back.
 */
export function sumOfRefs(): number {
  let sum = 0;
  for (let pfn = 0; pfn < geom.max_pfn; pfn++) sum += mem[kernel.vmemmap + pfn * PAGE.SIZE + PAGE._refcount];
  return sum;
}
