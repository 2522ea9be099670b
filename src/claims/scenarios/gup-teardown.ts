/**
 * The threads of claims C4 and C5: walkers that take pages of a DAX device with fast GUP, a holder whose pin
 * is older than the unbind, and a remover that unbinds the device. What is checked is that nothing touches a
 * struct page, or the device's memory, after it is gone (a use after free), that counts neither underflow nor
 * leak, and that the unbind ends. The walkers are of two kinds, for two questions: whether the walk itself is
 * excluded, and whether a reference that it brought back is honoured.
 */
"use kernel";

import { config } from "../../machine/config.ts";
import { REF_EXTERNAL } from "../../machine/knobs/gup.ts";
import {
  assert,
  assert_no_leak,
  type LocalArray,
  local_irq_restore,
  local_irq_save,
  localArray,
  READ_ONCE,
} from "../../machine/primitives.ts";
import { DEV_DAX, type DevDax, dev_dax_unbind } from "../../mm/dax.ts";
import { get_user_pages_fast_only, pin_user_pages_fast_only, unpin_user_pages } from "../../mm/gup.ts";
import type { Mm } from "../../mm/mm_types.ts";
import { type Page, page_address, page_count, page_maybe_dma_pinned } from "../../mm/page.ts";
import { percpu_ref_sum } from "../../mm/percpu-refcount.ts";
import { DEV_PAGEMAP, pgmap_slot } from "../../mm/pgmap.ts";
import { put_page } from "../../mm/swap.ts";

/** Pages that a walker can take. */
const MAX_PAGES = 2;

/** Uses pages as their holder may: their struct pages are there and counted, their contents can be read. */
function use_pages(pages: LocalArray, n: number): void {
  for (let i = 0; i < n; i++) {
    assert(page_count(pages[i]) > 0, "a page that is held counts no reference");
    READ_ONCE(page_address(pages[i]));
  }
}

/**
 * A user of pin_user_pages_fast() as O_DIRECT is one: takes nr pages from addr on, works on them, releases
 * them. `gup_flags` adds to FOLL_PIN.
 */
export function walker(mm: Mm, addr: number, nr: number, gup_flags: number): void {
  const pages = localArray(MAX_PAGES);
  const n = pin_user_pages_fast_only(mm, addr, nr, gup_flags, pages);
  use_pages(pages, n);
  unpin_user_pages(pages, n);
}

/**
 * A user whose references end before it lets interrupts in again, as perf's sampling does
 * (perf_virt_to_phys(), v4.14 on): whatever excludes the walk covers them too, so that only the walk itself
 * is put to the test.
 */
export function walker_irqs_off(mm: Mm, addr: number, nr: number, gup_flags: number): void {
  const pages = localArray(MAX_PAGES);
  const irq = config.irqOff ? local_irq_save() : 0;
  const n = get_user_pages_fast_only(mm, addr, nr, gup_flags, pages);
  use_pages(pages, n);
  for (let i = 0; i < n; i++) put_page(pages[i]);
  if (config.irqOff) local_irq_restore(irq);
}

/** Holds a pin on `page` since before the unbind began (RDMA), and gives it back some time. */
export function holder(page: Page): void {
  const pages = localArray(1);
  pages[0] = page;
  assert(page_maybe_dma_pinned(page), "a pinned page does not look pinned");
  use_pages(pages, 1);
  unpin_user_pages(pages, 1);
}

export function remover(dev_dax: DevDax): void {
  dev_dax_unbind(dev_dax);
}

/** When everybody is done: the device cannot be found any more, and its pagemap's references are all gone. */
export function check_unbound(dev_dax: DevDax): void {
  const pgmap = READ_ONCE(dev_dax + DEV_DAX.pgmap);
  const first = READ_ONCE(pgmap + DEV_PAGEMAP.start);
  const last = first + READ_ONCE(pgmap + DEV_PAGEMAP.nr) - 1;
  assert(
    READ_ONCE(pgmap_slot(first)) === 0 && READ_ONCE(pgmap_slot(last)) === 0,
    "an unbound device is still in pgmap_array",
  );
  const own = pgmap + DEV_PAGEMAP.internal_ref;
  const ref = config.percpuRef === REF_EXTERNAL ? READ_ONCE(pgmap + DEV_PAGEMAP.ref) : own;
  assert_no_leak(percpu_ref_sum(ref) === 0, "the pagemap is unbound but its references are not balanced");
}
