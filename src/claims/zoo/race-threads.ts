/**
 * Threads of the zoo's races that have machines of their own: what programs, drivers and the kernel did when
 * they were met.
 */
"use kernel";

import {
  assert,
  local_irq_restore,
  local_irq_save,
  localArray,
  READ_ONCE,
  smp_load_acquire,
  smp_store_release,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../../machine/primitives.ts";
import { type DevDax, dev_dax_probe, dev_dax_unbind } from "../../mm/dax.ts";
import { get_user_pages_fast_only, pin_user_pages_fast_only, unpin_user_pages } from "../../mm/gup.ts";
import { FOLL_WRITE } from "../../mm/gup_flags.ts";
import { split_huge_page } from "../../mm/huge_memory.ts";
import { do_madvise, MADV_DONTNEED } from "../../mm/madvise.ts";
import { MM, type Mm } from "../../mm/mm_types.ts";
import { mmap_read_lock, mmap_read_unlock } from "../../mm/mmap.ts";
import { move_ptes } from "../../mm/mremap.ts";
import {
  compound_head,
  get_page,
  type Page,
  page_address,
  page_ref_sub,
  page_to_pfn,
  pfn_to_page,
} from "../../mm/page.ts";
import { get_dev_pagemap, put_dev_pagemap } from "../../mm/pgmap.ts";
import { type EntryPtr, pte_pfn, pte_present, ptep_get_and_clear } from "../../mm/pgtable.ts";
import { put_page } from "../../mm/swap.ts";
import { flush_tlb_range } from "../../mm/tlb.ts";

// ---- J02 --------------------------------------------------------------------------------------------------

/** vmsplice(), direct IO: a reference on the page at addr, which is then read and let go. */
export function reader(mm: Mm, addr: number): void {
  const pages = localArray(1);
  const got = get_user_pages_fast_only(mm, addr, 1, 0, pages);
  if (got !== 1) return;
  READ_ONCE(page_address(pages[0]));
  put_page(pages[0]);
}
/** The compound page of the area's two is split; then MADV_DONTNEED. */
export function split_and_free(mm: Mm, addr: number, head: Page): void {
  get_page(head);
  split_huge_page(head);
  put_page(head);
  mmap_read_lock(mm);
  do_madvise(mm, addr, 2, MADV_DONTNEED);
  mmap_read_unlock(mm);
}

// ---- J16 --------------------------------------------------------------------------------------------------

/** Pins what is mapped, and lets it go. */
export function pin_and_unpin(mm: Mm, addr: number): void {
  const pages = localArray(2);
  unpin_user_pages(pages, pin_user_pages_fast_only(mm, addr, 1, FOLL_WRITE, pages));
}
/** Whoever had `refs` references on the page drops them all; then the device goes. */
export function drop_and_unbind(page: Page, refs: number, dev: DevDax): void {
  page_ref_sub(page, refs);
  dev_dax_unbind(dev);
}

// ---- J28 --------------------------------------------------------------------------------------------------
// A store through a translation that a CPU cached is a section with interrupts off, from the walk that fills
// it to the store: a flush by IPI waits for it. The truncation flushes the new address only, which no CPU has
// cached, so its flush waits for nobody and is left out.

/** What move_page_tables() does with a table's entries. */
export function mover(mm: Mm, old_ptep: EntryPtr, new_ptep: EntryPtr): void {
  if (move_ptes(mm, old_ptep, new_ptep, 1)) flush_tlb_range();
}
/** A user's store to the old address. */
export function user(old_ptep: EntryPtr): void {
  const flags = local_irq_save();
  const pte = READ_ONCE(old_ptep);
  if (pte_present(pte)) WRITE_ONCE(page_address(pfn_to_page(pte_pfn(pte))), 1);
  local_irq_restore(flags);
}
/** ftruncate(): the page goes from the address where it is found, if that is the new one. */
export function truncater(mm: Mm, new_ptep: EntryPtr): void {
  spin_lock(mm + MM.page_table_lock);
  const pte = READ_ONCE(new_ptep) === 0 ? 0 : ptep_get_and_clear(new_ptep);
  spin_unlock(mm + MM.page_table_lock);
  if (pte !== 0) put_page(pfn_to_page(pte_pfn(pte)));
}
/** Pins the page at either address: it is the one that was mapped, and it is there while it is pinned. */
export function pinner(mm: Mm, addr: number, pfn: number): void {
  const pages = localArray(1);
  const got = pin_user_pages_fast_only(mm, addr, 1, FOLL_WRITE, pages);
  if (got === 1) {
    assert(page_to_pfn(pages[0]) === pfn, "another page than the one that is mapped was pinned");
    READ_ONCE(page_address(pages[0]));
  }
  unpin_user_pages(pages, got);
}

// ---- J58 --------------------------------------------------------------------------------------------------

/** A driver makes struct pages for its memory, and says so when it is done. */
export function bind(dev: DevDax, published: number): void {
  if (dev_dax_probe(dev)) smp_store_release(published, 1);
}
/** A fault handler of the driver: what has a pagemap has struct pages. `asks`: it waits to be told. */
export function fault_frame(pfn: number, published: number, asks: number): void {
  if (asks !== 0 && smp_load_acquire(published) === 0) return;
  const pgmap = get_dev_pagemap(pfn, 0);
  if (pgmap === 0) return;
  compound_head(pfn_to_page(pfn));
  put_dev_pagemap(pgmap);
}

// ---- J59 --------------------------------------------------------------------------------------------------

/** Pins one page in the middle of a device's huge leaf. */
export function pin_middle(mm: Mm, addr: number, pfn: number): void {
  const pages = localArray(1);
  const got = pin_user_pages_fast_only(mm, addr, 1, FOLL_WRITE, pages);
  assert(got === 1, "the page cannot be had");
  assert(page_to_pfn(pages[0]) === pfn, "another page than the one that is mapped was pinned");
}
