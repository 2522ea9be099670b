/**
 * Kernel code of the stress scenarios: CPUs that pin runs of a DAX device's pages with fast GUP, touch them
 * and unpin them, while another unbinds the device and binds it again. After Dan Williams' race (linux-mm, 23
 * February 2021: direct I/O to a DAX mapping against unbind) and tools/testing/selftests/mm/gup_test.c. Meant
 * for real threads; the state space is not meant to be small. Not covered: slow GUP, faults.
 */
"use kernel";

import { kernel } from "../../machine/config.ts";
import {
  assert,
  assert_no_leak,
  choose,
  type LocalArray,
  localArray,
  READ_ONCE,
} from "../../machine/primitives.ts";
import { type DevDax, dev_dax_probe, dev_dax_unbind } from "../../mm/dax.ts";
import { FAULT_FLAG_WRITE, handle_mm_fault } from "../../mm/fault.ts";
import { pin_user_pages_fast_only, unpin_user_pages, VMSTAT_ITEMS } from "../../mm/gup.ts";
import { FOLL_WRITE } from "../../mm/gup_flags.ts";
import type { Mm, Vma } from "../../mm/mm_types.ts";
import {
  compound_head,
  page_address,
  page_count,
  page_pincount,
  page_to_pfn,
  pfn_to_page,
} from "../../mm/page.ts";

const MAX_PAGES = 16;
/** The count of a device page that nobody uses (to v6.14). */
const IDLE_COUNT = 1;

/** Every page got is the one that is mapped there, is alive, counted and readable. */
function touch(pages: LocalArray, nr: number, first_pfn: number): void {
  for (let i = 0; i < nr; i++) {
    assert(page_to_pfn(pages[i]) === first_pfn + i, "fast GUP gave another page than the one mapped there");
    assert(page_count(pages[i]) > 0, "a pinned page has no reference");
    READ_ONCE(page_address(pages[i]));
  }
}

/** Pins and unpins runs of random length within nr pages from addr; gives the number of pages pinned. */
export function pin_loop(mm: Mm, addr: number, pfn: number, nr: number, rounds: number): number {
  const pages = localArray(MAX_PAGES);
  let pinned = 0;
  for (let round = 0; round < rounds; round++) {
    const first = choose(nr);
    let room = nr - first;
    if (room > MAX_PAGES) room = MAX_PAGES;
    const got = pin_user_pages_fast_only(mm, addr + first, 1 + choose(room), FOLL_WRITE, pages);
    touch(pages, got, pfn + first);
    unpin_user_pages(pages, got);
    pinned += got;
  }
  return pinned;
}

/**
 * Unbinds and binds the device `rounds` times, and faults the area's `nr` pages in again; the number of
 * rounds.
 */
export function rebind_loop(dev: DevDax, mm: Mm, vma: Vma, addr: number, nr: number, rounds: number): number {
  for (let round = 0; round < rounds; round++) {
    dev_dax_unbind(dev);
    assert(dev_dax_probe(dev), "the device could not be bound again");
    for (let i = 0; i < nr; i++)
      assert(handle_mm_fault(mm, vma, addr + i, FAULT_FLAG_WRITE) === 0, "a page could not be mapped again");
  }
  return rounds;
}

/** Unbinds the device for good: for a reference that is not made anew when it is bound again. */
export function unbind_once(dev: DevDax): number {
  dev_dax_unbind(dev);
  return 1;
}

/** Pins acquired and released balance, over all CPUs. */
export function check_vmstat(): void {
  let balance = 0;
  for (let cpu = 0; cpu < kernel.nr_cpus; cpu++) {
    const acquired = READ_ONCE(kernel.vmstat + cpu * VMSTAT_ITEMS);
    balance += acquired - READ_ONCE(kernel.vmstat + cpu * VMSTAT_ITEMS + 1);
  }
  assert_no_leak(balance === 0, "nr_foll_pin_acquired and nr_foll_pin_released differ at the end");
}

/** When everybody has finished: no reference and no pin is left on a bound device's pages. */
export function check_idle(pfn: number, nr: number): void {
  for (let i = 0; i < nr; i++) {
    const page = pfn_to_page(pfn + i);
    if (compound_head(page) !== page) continue;
    assert_no_leak(page_count(page) === IDLE_COUNT, "a device page is not idle at the end");
    assert_no_leak(page_pincount(page) === 0, "a device page is pinned at the end");
  }
  check_vmstat();
}
