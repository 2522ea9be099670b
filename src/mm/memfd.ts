/**
 * Seals of memory files (mm/memfd.c): memfd_add_seals(), which waits for nobody to map the file for writing
 * and for no page of it to be pinned before it is sealed against writes. Read in v5.10, v6.1, v6.12, v7.3.
 */
"use kernel";

import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { EBUSY, EINVAL, EPERM } from "./errno.ts";
import { F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE } from "./fallocate.ts";
import { find_page } from "./filemap.ts";
import { lru_add_drain } from "./lru.ts";
import { ADDRESS_SPACE, type AddressSpace, VM_SHARED, VMA, type Vma } from "./mm_types.ts";
import { vma_flags } from "./mmap.ts";
import { page_count } from "./page.ts";
import { total_mapcount } from "./rmap.ts";

/** mapping_deny_writable(): no shared mapping that can be written, now or after mprotect(). */
function mapped_for_writing(mapping: AddressSpace): boolean {
  for (
    let vma: Vma = READ_ONCE(mapping + ADDRESS_SPACE.i_mmap);
    vma !== 0;
    vma = READ_ONCE(vma + VMA.shared_next)
  )
    if ((vma_flags(vma) & VM_SHARED) !== 0) return true;
  return false;
}
/** memfd_wait_for_pins(): pages that more than the cache and the page tables count on, after 150 ms. */
function memfd_has_pins(mapping: AddressSpace): boolean {
  lru_add_drain();
  const size = READ_ONCE(mapping + ADDRESS_SPACE.i_size);
  for (let index = 0; index < size; index++) {
    const page = find_page(mapping, index);
    if (page !== 0 && page_count(page) - total_mapcount(page) !== 1) return true;
  }
  return false;
}

/** memfd_add_seals(): 0 or the error. */
export function memfd_add_seals(mapping: AddressSpace, seals: number): number {
  const all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
  if ((seals & ~all) !== 0) return -EINVAL;
  const old = READ_ONCE(mapping + ADDRESS_SPACE.seals);
  if ((old & F_SEAL_SEAL) !== 0) return -EPERM;
  if ((seals & F_SEAL_WRITE) !== 0 && (old & F_SEAL_WRITE) === 0) {
    if (mapped_for_writing(mapping) || memfd_has_pins(mapping)) return -EBUSY;
  }
  WRITE_ONCE(mapping + ADDRESS_SPACE.seals, old | seals);
  return 0;
}
