/**
 * Memory files (mm/memfd.c) and their pins (mm/gup.c: memfd_pin_folios()): memfd_add_seals(), which waits
 * for nobody to map the file for writing and for no page of it to be pinned before it is sealed against
 * writes; further pins of what is pinned. Read in v5.10, v6.1, v6.12, v7.3.
 */
"use kernel";

import { geom } from "../machine/config.ts";
import { assert, type LocalArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { EBUSY, EINVAL, ENOMEM, EPERM } from "./errno.ts";
import { F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE } from "./fallocate.ts";
import { filemap_get_page, find_page } from "./filemap.ts";
import { pin_is_free, try_grab_compound_head, try_grab_folio, unpin_user_page } from "./gup.ts";
import { FOLL_PIN } from "./gup_flags.ts";
import { hugetlb_alloc_for_file } from "./hugetlb.ts";
import { lru_add_drain } from "./lru.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  AS_HUGETLB,
  AS_SHMEM,
  VM_SHARED,
  VMA,
  type Vma,
} from "./mm_types.ts";
import { vma_flags } from "./mmap.ts";
import {
  compound_head,
  compound_nr,
  GUP_PIN_COUNTING_BIAS,
  hpage_pincount_add,
  hpage_pincount_available,
  type Page,
  page_count,
  page_maybe_dma_pinned,
  page_ref_add,
} from "./page.ts";
import { GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import { total_mapcount } from "./rmap.ts";
import { put_page } from "./swap.ts";

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

// ---- Pinning ----------------------------------------------------------------------------------------------

/** memfd_alloc_folio(), shmem_read_folio(): the page at an index, made if it is not there; 0 or the error. */
function memfd_get_page(memfd: AddressSpace, index: number): Page {
  if (READ_ONCE(memfd + ADDRESS_SPACE.kind) === AS_HUGETLB)
    return hugetlb_alloc_for_file(memfd, index >> geom.pmd_shift);
  const page = filemap_get_page(memfd, index, GFP_HIGHUSER_MOVABLE);
  return page <= 0 ? -ENOMEM : page;
}
/**
 * * memfd_pin_folios() (v6.11, 89c1905d9c14): one pin on each folio of nr pages of a memory file from page
 * `first` on, whose heads go to folios[]; holes are filled. Their number, or the error: -EINVAL beyond the
 * file's end.
 */
export function memfd_pin_folios(memfd: AddressSpace, first: number, nr: number, folios: LocalArray): number {
  const kind = READ_ONCE(memfd + ADDRESS_SPACE.kind);
  if (nr <= 0 || first < 0 || first + nr > READ_ONCE(memfd + ADDRESS_SPACE.i_size)) return -EINVAL;
  if (kind !== AS_SHMEM && kind !== AS_HUGETLB) return -EINVAL;
  let taken = 0;
  for (let index = first; index < first + nr; ) {
    const page = memfd_get_page(memfd, index);
    if (page <= 0) {
      for (let i = 0; i < taken; i++) unpin_user_page(folios[i]);
      return -ENOMEM;
    }
    const head = compound_head(page);
    const pinned = try_grab_compound_head(head, 1, FOLL_PIN);
    put_page(head);
    if (pinned === 0) {
      for (let i = 0; i < taken; i++) unpin_user_page(folios[i]);
      return -EINVAL;
    }
    folios[taken] = head;
    taken++;
    index += compound_nr(head) - (index & (compound_nr(head) - 1));
  }
  // What was made goes to the LRU.
  lru_add_drain();
  return taken;
}

/**
 * folio_add_pin() (v6.5): one more pin of a page on which the caller has one. Not counted in
 * nr_foll_pin_acquired, though its release is in nr_foll_pin_released. Read: v6.12, v7.3.
 */
export function folio_add_pin(page: Page): void {
  const head = compound_head(page);
  if (pin_is_free(head, FOLL_PIN)) return;
  assert(page_maybe_dma_pinned(head), "folio_add_pin() of a page that is not pinned");
  if (!hpage_pincount_available(head)) {
    page_ref_add(head, GUP_PIN_COUNTING_BIAS);
    return;
  }
  page_ref_add(head, 1);
  hpage_pincount_add(head, 1);
}
/**
 * folio_add_pins() (v6.13): `pins` more, so that parts of a folio can be unpinned one by one; false if the
 * count has overflowed. Read: v7.3.
 */
export function folio_add_pins(page: Page, pins: number): boolean {
  assert(page_maybe_dma_pinned(page), "folio_add_pins() of a page that is not pinned");
  return try_grab_folio(page, pins, FOLL_PIN);
}
