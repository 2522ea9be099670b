/**
 * MADV_WILLNEED (mm/madvise.c: madvise_willneed()): what is in swap is read into the swap cache, and of files
 * into the page cache; nothing is mapped. Read in v5.10, v6.1, v6.12, v7.3.
 */
"use kernel";

import { localArray, READ_ONCE } from "../machine/primitives.ts";
import { filemap_get_page } from "./filemap.ts";
import { lru_add_drain } from "./lru.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  AS_REGULAR,
  AS_SHMEM,
  type Mm,
  VMA,
  type Vma,
} from "./mm_types.ts";
import { vma_pgoff } from "./mmap.ts";
import { GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import { PTE_LEVEL, pgtable_lookup, pte_present, SWP_SWAP, swp_offset, swp_type } from "./pgtable.ts";
import { put_page } from "./swap.ts";
import { read_swap_cache } from "./swap_state.ts";

function swapin(slot: number): void {
  const page = read_swap_cache(slot, GFP_HIGHUSER_MOVABLE, false);
  if (page !== 0) put_page(page);
}
/** swapin_walk_pmd_entry(). */
function swapin_walk(vma: Vma, start: number, end: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  for (let addr = start; addr < end; addr++) {
    if (pgtable_lookup(mm, addr, out) !== PTE_LEVEL) continue;
    const pte = READ_ONCE(out[0]);
    if (pte !== 0 && !pte_present(pte) && swp_type(pte) === SWP_SWAP) swapin(swp_offset(pte));
  }
}
/** madvise_willneed(): 0. */
export function madvise_willneed(vma: Vma, start: number, end: number): number {
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  if (file === 0) {
    swapin_walk(vma, start, end);
    lru_add_drain();
    return 0;
  }
  const kind = READ_ONCE(file + ADDRESS_SPACE.kind);
  const first = vma_pgoff(vma, start);
  const size = READ_ONCE(file + ADDRESS_SPACE.i_size);
  for (let index = first; index < first + end - start && index < size; index++) {
    // shmem_swapin_range(), force_shm_swapin_readahead()
    if (kind === AS_SHMEM) {
      const entry = READ_ONCE(READ_ONCE(file + ADDRESS_SPACE.i_pages) + index);
      if ((entry & 1) !== 0) swapin(entry >> 1);
    }
    // vfs_fadvise(POSIX_FADV_WILLNEED): force_page_cache_readahead()
    if (kind === AS_REGULAR) {
      const page = filemap_get_page(file, index, GFP_HIGHUSER_MOVABLE);
      if (page > 0) put_page(page);
    }
  }
  lru_add_drain();
  return 0;
}
