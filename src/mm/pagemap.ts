/**
 * The lock of a page and who waits for it (include/linux/pagemap.h; mm/filemap.c: folio_wait_bit_common(),
 * folio_wake_bit(), put_and_wait_on_page_locked(), softleaf_entry_wait_on_locked()). A waiter queues before
 * it gives up what keeps the page alive (its reference, or the lock of the entry that names the page) and
 * does not touch the page afterwards: it looks at its place in the queue only, which whoever unlocks the page
 * clears.
 *
 * Read: v5.10, v6.1, v6.12, v7.3. Custom: a queue is a word per frame, with a bit per waiting CPU, instead of
 * a list in one of 256 hashed heads that is searched for the page; all waiters are woken at once, so that of
 * those who want the lock (exclusive waiters, woken one by one in the kernel) any may get it.
 */
"use kernel";

import { kernel } from "../machine/config.ts";
import {
  atomic_fetch_and_release,
  READ_ONCE,
  smp_cond_load_acquire_ne,
  smp_load_acquire,
  smp_processor_id,
  smp_store_release,
  spin_lock,
  spin_unlock,
  test_and_set_bit_lock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import {
  ClearPageFlag,
  PAGE,
  type Page,
  PageFlag,
  PG_locked,
  PG_waiters,
  page_to_pfn,
  page_word,
  SetPageFlag,
} from "./page.ts";
import { put_page } from "./swap.ts";

/** folio_waitqueue(): lies apart from the page, and stays when that goes. */
function page_waitqueue(page: Page): number {
  return kernel.page_waitqueue + page_to_pfn(page);
}
/** wait_queue_head.lock of every queue. */
function waitqueue_lock(): number {
  return kernel.page_waitqueue_lock;
}

/** Queues this CPU if the page is locked; false if it is not, and there is nothing to wait for. */
function add_wait_queue(page: Page): boolean {
  const q = page_waitqueue(page);
  spin_lock(waitqueue_lock());
  SetPageFlag(page, PG_waiters);
  const locked = PageFlag(page, PG_locked);
  if (locked) WRITE_ONCE(q, READ_ONCE(q) | (1 << smp_processor_id()));
  spin_unlock(waitqueue_lock());
  return locked;
}
/** Sleeps until this CPU's place in the queue is cleared. */
function wait_woken(q: number): void {
  const me = 1 << smp_processor_id();
  for (;;) {
    const waiting = smp_load_acquire(q);
    if ((waiting & me) === 0) return;
    // io_schedule(): this CPU has time for others.
    if (kernel.cpu_sleeps) WRITE_ONCE(kernel.cpu_sleeps, 1);
    smp_cond_load_acquire_ne(q, waiting);
  }
}
/** folio_wake_bit(): everybody who waits for the page. */
function wake_page(page: Page): void {
  spin_lock(waitqueue_lock());
  smp_store_release(page_waitqueue(page), 0);
  ClearPageFlag(page, PG_waiters);
  spin_unlock(waitqueue_lock());
}

export function trylock_page(page: Page): boolean {
  return !test_and_set_bit_lock(PG_locked, page_word(page, PAGE.flags));
}
/**
 * folio_unlock(): clear_bit_unlock_is_negative_byte(), xor_unlock_is_negative_byte() (v6.7) and, if somebody
 * waits, folio_wake_bit().
 */
export function unlock_page(page: Page): void {
  const old = atomic_fetch_and_release(~(1 << PG_locked), page_word(page, PAGE.flags));
  if ((old & (1 << PG_waiters)) !== 0) wake_page(page);
}
/** folio_wait_locked(): returns when the page has been unlocked since. The caller holds a reference. */
export function wait_on_page_locked(page: Page): void {
  if (PageFlag(page, PG_locked) && add_wait_queue(page)) wait_woken(page_waitqueue(page));
}
export function lock_page(page: Page): void {
  while (!trylock_page(page)) wait_on_page_locked(page);
}
/** put_and_wait_on_page_locked(): the same, and the caller's reference goes as soon as it is queued. */
export function put_and_wait_on_page_locked(page: Page): void {
  const q = page_waitqueue(page);
  const queued = add_wait_queue(page);
  put_page(page);
  if (queued) wait_woken(q);
}

/**
 * softleaf_entry_wait_on_locked(), migration_entry_wait_on_locked() (v5.19, ffa65753c431): waits until the
 * page that an entry names is unlocked, without a reference: whoever could free it needs `ptl`, which the
 * caller holds and which is dropped when this CPU is queued.
 */
export function softleaf_entry_wait_on_locked(page: Page, ptl: number): void {
  const q = page_waitqueue(page);
  const queued = add_wait_queue(page);
  spin_unlock(ptl);
  if (queued) wait_woken(q);
}
