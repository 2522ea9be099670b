/**
 * Threads of the zoo's bugs that have machines of their own: what programs and drivers did when they were
 * met. Most are one thread, a sequence of system calls; what must not be is asserted at its end.
 */
"use kernel";

import { assert, localArray, READ_ONCE, WRITE_ONCE } from "../../machine/primitives.ts";
import { FAULT_FLAG_WRITE, handle_mm_fault, VM_FAULT_ERROR } from "../../mm/fault.ts";
import { dup_mm } from "../../mm/fork.ts";
import { gup_fast, gup_fast_only, gup_locked } from "../../mm/gup_entry.ts";
import { FOLL_LONGTERM, FOLL_WRITE } from "../../mm/gup_flags.ts";
import { do_madvise, do_munmap, MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT } from "../../mm/madvise.ts";
import type { Mm } from "../../mm/mm_types.ts";
import { mmap_read_lock, mmap_read_unlock, vma_lookup } from "../../mm/mmap.ts";
import { type Page, page_address, pfn_to_page } from "../../mm/page.ts";
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  PTE_LEVEL,
  pgtable_lookup,
  pte_access_permitted,
  pte_pfn,
} from "../../mm/pgtable.ts";

/** A load or store of the program at addr: the page that it reaches, after the faults that it takes. */
export function touch(mm: Mm, addr: number, write: boolean): Page {
  const out = localArray(1);
  for (let round = 0; round < 4; round++) {
    const level = pgtable_lookup(mm, addr, out);
    const e = READ_ONCE(out[0]);
    if (level === PTE_LEVEL && pte_access_permitted(e, write)) {
      WRITE_ONCE(out[0], e | _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0));
      return pfn_to_page(pte_pfn(e));
    }
    mmap_read_lock(mm);
    const vma = vma_lookup(mm, addr);
    const ret = handle_mm_fault(mm, vma, addr, write ? FAULT_FLAG_WRITE : 0);
    mmap_read_unlock(mm);
    assert((ret & VM_FAULT_ERROR) === 0, "the program gets a signal");
  }
  assert(false, "the fault does not make the page accessible");
  return 0;
}
function store(mm: Mm, addr: number, value: number): void {
  WRITE_ONCE(page_address(touch(mm, addr, true)), value);
}
function load(mm: Mm, addr: number): number {
  return READ_ONCE(page_address(touch(mm, addr, false)));
}

/** Otherwise what follows says nothing. */
const PINS = "the page cannot be had";

/** J04: a device writes to a page, the process forks and then writes, too. */
export function pin_fork_write(mm: Mm, addr: number): void {
  const pages = localArray(1);
  store(mm, addr, 1);
  assert(gup_fast(mm, addr, 1, FOLL_WRITE, pages, true) === 1, PINS);
  dup_mm(mm);
  store(mm, addr, 2);
  assert(touch(mm, addr, false) === pages[0], "the process has lost the page that it pinned for writing");
}

/** J24: references without end on one page; then its owner lets it go. */
export function take_references(mm: Mm, addr: number): void {
  const pages = localArray(1);
  let held = 0;
  for (let i = 0; i < 2; i++) {
    mmap_read_lock(mm);
    if (gup_locked(mm, addr, 1, 0, pages, false, false) === 1) held++;
    mmap_read_unlock(mm);
  }
  if (held === 0) return;
  do_madvise(mm, addr, 1, MADV_DONTNEED);
  READ_ONCE(page_address(pages[0]));
}

/** J25: vmsplice() of secret memory that was just faulted in. */
export function splice_secret(mm: Mm, addr: number): void {
  const pages = localArray(1);
  touch(mm, addr, true);
  assert(gup_fast_only(mm, addr, 1, 0, pages, false) !== 1, "fast GUP gives out a page of secret memory");
}

/** J35: a device writes to a page; reclaim comes by; the program reads it and then writes. */
export function pin_pageout_write(mm: Mm, addr: number): void {
  const pages = localArray(1);
  store(mm, addr, 1);
  assert(gup_fast(mm, addr, 1, FOLL_WRITE, pages, true) === 1, PINS);
  do_madvise(mm, addr, 1, MADV_PAGEOUT);
  load(mm, addr);
  store(mm, addr, 2);
  assert(touch(mm, addr, false) === pages[0], "the process has lost the page that it pinned for writing");
}

/** J36: a child keeps a page that it has spliced and unmapped; the parent goes on writing. */
export function splice_unmap_write(mm: Mm, addr: number): void {
  const pages = localArray(1);
  store(mm, addr, 1);
  const child = dup_mm(mm);
  assert(gup_fast(child, addr, 1, 0, pages, false) === 1, PINS);
  do_munmap(child, addr, 1);
  store(mm, addr, 2);
  assert(READ_ONCE(page_address(pages[0])) === 1, "the child reads what the parent wrote after the fork");
}

/** H1, H2: a device reads a page that the process goes on writing to. */
export function pin_for_reading(mm: Mm, addr: number, flags: number): void {
  const pages = localArray(1);
  assert(gup_fast(mm, addr, 1, flags, pages, true) === 1, PINS);
  store(mm, addr, 2);
  assert(READ_ONCE(page_address(pages[0])) === 2, "the device reads another page than the process writes");
}
export function fork_and_pin(mm: Mm, addr: number): void {
  store(mm, addr, 1);
  dup_mm(mm);
  pin_for_reading(mm, addr, 0);
}

/** J39: fast GUP for long of memory that is kept for contiguous allocations. */
export function pin_cma(mm: Mm, addr: number): void {
  const pages = localArray(1);
  assert(
    gup_fast_only(mm, addr, 1, FOLL_LONGTERM | FOLL_WRITE, pages, true) !== 1,
    "a page of a CMA area is pinned for long",
  );
}

/** J40: fast GUP for long, for writing, of a file's page that is mapped writable just now. */
export function pin_file(mm: Mm, addr: number): void {
  const pages = localArray(1);
  touch(mm, addr, true);
  assert(
    gup_fast(mm, addr, 1, FOLL_LONGTERM | FOLL_WRITE, pages, true) !== 1,
    "a device may write for long to a page whose file system wants to see every write",
  );
}

/** J18: a long-term pin of a page that is in a batch besides being on the LRU. */
export function free_lazily_and_pin(mm: Mm, addr: number): void {
  const pages = localArray(1);
  do_madvise(mm, addr, 1, MADV_FREE);
  assert(
    gup_fast(mm, addr, 1, FOLL_LONGTERM | FOLL_WRITE, pages, true) === 1,
    "a page that nobody holds cannot be pinned for long",
  );
}

/** H3: two processes pin the zero page, whose count others have raised. */
export function pin_zero_page(mm: Mm, addr: number): void {
  const pages = localArray(1);
  touch(mm, addr, false);
  gup_fast(mm, addr, 1, 0, pages, true);
  assert(
    gup_fast(mm, addr, 1, 0, pages, false) === 1,
    "nobody can take a reference on the zero page any more",
  );
}
