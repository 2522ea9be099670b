/**
 * What struct pages cost: bytes of vmemmap for a device of some size, plain and with the tails of compound
 * pages sharing a frame (mm/sparse-vmemmap.c, 4917f55b4ef9, v5.19; Documentation/mm/vmemmap_dedup.rst), and
 * the page tables that map the frames one by one. x86-64: 64-byte struct pages, frames of 4 KiB, so that 64
 * struct pages share one.
 *
 * Not covered: hugetlb's own scheme (HVO), altmap, the page-table reuse of v1 to v4 of the series (16 MiB
 * instead of 40).
 */

import { formatBytes, PAGE_SHIFT, SizeError } from "./units.ts";

const STRUCT_PAGE = 64;
export const PAGE_SIZE = 2 ** PAGE_SHIFT;
const PER_FRAME = PAGE_SIZE / STRUCT_PAGE;
/** Frames of a compound page that stay its own (VMEMMAP_RESERVE_NR). */
const RESERVE = 2;
const PTRS = 512;

export interface MemmapCost {
  readonly pages: number;
  readonly dedup: boolean;
  /** Frames of 4 KiB that hold struct pages. */
  readonly frames: number;
  readonly pageBytes: number;
  /** PTE tables that map the frames; 0 where whole PMD leaves do, as for a plain vmemmap. */
  readonly tableBytes: number;
  readonly totalBytes: number;
}

/**
 * @throws SizeError if the size is no multiple of the alignment, or the alignment none that a device can
 * have.
 */
export function checkMemmap(size: number, align: number): void {
  if (align !== PAGE_SIZE && align !== 2 ** 21 && align !== 2 ** 30)
    throw new SizeError(
      `--align ${formatBytes(align)}: a device is aligned to 4K, 2M or 1G, the sizes of a leaf`,
    );
  if (size % align !== 0)
    throw new SizeError(
      `--size ${formatBytes(size)} is not a multiple of ${formatBytes(align)}; the next is ${formatBytes(Math.ceil(size / align) * align)}`,
    );
  // A section of the kernel is 128 MiB, of our machine a frame's worth of pages.
  if ((size / PAGE_SIZE) % PER_FRAME !== 0)
    throw new SizeError(
      `--size ${formatBytes(size)} is not a multiple of ${formatBytes(PER_FRAME * PAGE_SIZE)}, what a frame of struct pages describes`,
    );
}

/**
 * The cost of `size` bytes of device memory; `dedup` asks for sharing, which needs compound pages of at least
 * three frames.
 */
export function memmapCost(size: number, align: number, dedup: boolean): MemmapCost {
  const pages = size / PAGE_SIZE;
  const full = pages / PER_FRAME;
  const perCompound = align / PAGE_SIZE / PER_FRAME;
  const shares = dedup && perCompound > RESERVE;
  const frames = shares ? (size / align) * RESERVE : full;
  const tableBytes = shares ? Math.ceil(full / PTRS) * PAGE_SIZE : 0;
  return {
    pages,
    dedup: shares,
    frames,
    pageBytes: frames * PAGE_SIZE,
    tableBytes,
    totalBytes: frames * PAGE_SIZE + tableBytes,
  };
}
