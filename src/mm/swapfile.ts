/**
 * swapoff() and swapon() of the one swap device (mm/swapfile.c: try_to_unuse(), unuse_pte(); mm/shmem.c:
 * shmem_unuse()): everything is read back and mapped again, read-only. Read in v5.10, v6.1, v6.12, v7.3.
 *
 * Custom: files are found through the areas that map them.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { ENOMEM } from "./errno.ts";
import { filemap_get_page } from "./filemap.ts";
import { ADDRESS_SPACE, type AddressSpace, AS_SHMEM, MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { vm_page_prot } from "./mmap.ts";
import { page_to_pfn } from "./page.ts";
import { GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import {
  _PAGE_SWP_EXCLUSIVE,
  type EntryPtr,
  PTE_LEVEL,
  pfn_pte,
  pgtable_lookup,
  pte_mkold,
  pte_mkuffd_wp,
  pte_present,
  pte_uffd_wp,
  SWP_SWAP,
  set_pte_at,
  swp_offset,
  swp_type,
} from "./pgtable.ts";
import { page_add_anon_rmap } from "./rmap.ts";
import { put_page } from "./swap.ts";
import {
  free_idle_swap_cache,
  read_swap_cache,
  SWAP_HEADER,
  swap_free,
  try_to_free_swap,
} from "./swap_state.ts";

/**
 * unuse_pte(): 0 or -ENOMEM. Read: v5.10, v6.1, v6.12, v7.3. Custom: v5.10 sets the entry before it counts
 * it; the entry cannot change meanwhile. Stub: a KSM page is mapped as it is (ksm_might_need_to_copy());
 * v6.12 and v7.3 leave an entry of poison where the page has it.
 */
function unuse_pte(vma: Vma, addr: number, ptep: EntryPtr): number {
  const pte = READ_ONCE(ptep);
  const slot = swp_offset(pte);
  const page = read_swap_cache(slot, GFP_HIGHUSER_MOVABLE, false);
  if (page === 0) return -ENOMEM;
  page_add_anon_rmap(page, vma, addr, (pte & _PAGE_SWP_EXCLUSIVE) !== 0);
  const old = pte_mkold(pfn_pte(page_to_pfn(page), vm_page_prot(vma, false)));
  const wp = kernel.userfaultfd !== 0 && config.swapoffKeepsUffd && pte_uffd_wp(pte);
  set_pte_at(ptep, wp ? pte_mkuffd_wp(old) : old);
  swap_free(slot);
  // The reference that reading gave is the entry's now.
  try_to_free_swap(page);
  return 0;
}
/** unuse_vma() and, of its file, shmem_unuse_inode(). */
function unuse_vma(mm: Mm, vma: Vma): number {
  const out = localArray(1);
  const end = READ_ONCE(vma + VMA.vm_end);
  for (let addr = READ_ONCE(vma + VMA.vm_start); addr < end; addr++) {
    if (pgtable_lookup(mm, addr, out) !== PTE_LEVEL) continue;
    const pte = READ_ONCE(out[0]);
    if (pte === 0 || pte_present(pte) || swp_type(pte) !== SWP_SWAP) continue;
    const error = unuse_pte(vma, addr, out[0]);
    if (error !== 0) return error;
  }
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  if (file === 0 || READ_ONCE(file + ADDRESS_SPACE.kind) !== AS_SHMEM) return 0;
  for (let index = 0; index < READ_ONCE(file + ADDRESS_SPACE.i_size); index++) {
    if ((READ_ONCE(READ_ONCE(file + ADDRESS_SPACE.i_pages) + index) & 1) === 0) continue;
    const page = filemap_get_page(file, index, GFP_HIGHUSER_MOVABLE);
    if (page <= 0) return -ENOMEM;
    put_page(page);
  }
  return 0;
}

/** swapoff(): 0 or -ENOMEM; no page is swapped out from then on. */
export function swapoff(): number {
  WRITE_ONCE(kernel.swap_map + SWAP_HEADER.off, 1);
  for (let mm: Mm = READ_ONCE(kernel.mm_list); mm !== 0; mm = READ_ONCE(mm + MM.mm_list))
    for (let vma: Vma = READ_ONCE(mm + MM.mmap); vma !== 0; vma = READ_ONCE(vma + VMA.vm_next)) {
      const error = unuse_vma(mm, vma);
      if (error !== 0) return error;
    }
  free_idle_swap_cache();
  return 0;
}
/** swapon(): the device is empty. */
export function swapon(): number {
  WRITE_ONCE(kernel.swap_map + SWAP_HEADER.off, 0);
  WRITE_ONCE(kernel.swap_map + SWAP_HEADER.next, 1);
  WRITE_ONCE(kernel.swap_map + SWAP_HEADER.next_cluster, 0);
  return 0;
}
