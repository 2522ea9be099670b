/**
 * __get_user_pages_locked() (mm/gup.c): slow GUP around faults that drop mmap_lock. Where one has, it is
 * taken again and the page that the fault was for is looked up alone, with FOLL_TRIED, so that its fault does
 * not drop the lock a second time; then the rest. Whatever the areas were before may be gone by then. Who is
 * killed does not wait for the lock.
 */
"use kernel";

import { kernel } from "../machine/config.ts";
import type { LocalArray } from "../machine/primitives.ts";
import { EAGAIN, EINTR } from "./errno.ts";
import { FOLL_TRIED } from "./gup_flags.ts";
import { __get_user_pages } from "./gup_slow.ts";
import type { Mm } from "./mm_types.ts";
import { mmap_read_lock_killable, mmap_read_unlock } from "./mmap.ts";
import { fatal_signal_pending } from "./signal.ts";

/**
 * The page at addr, whose fault has dropped mmap_lock, taken into pages[at]: 1, 0 or the error. locked[0]:
 * the lock is held.
 */
function retry_one(
  mm: Mm,
  addr: number,
  flags: number,
  pages: LocalArray,
  at: number,
  locked: LocalArray,
): number {
  for (;;) {
    if (fatal_signal_pending()) return -EINTR;
    if (mmap_read_lock_killable(mm) !== 0) return -EINTR;
    locked[0] = 1;
    const ret = __get_user_pages(mm, addr, 1, flags | FOLL_TRIED, pages, at, locked);
    if (locked[0] !== 0) return ret;
  }
}

/**
 * Takes up to nr pages from `start` on into pages[first ..]; their number, or the error if the first could
 * not be had. locked[0] on entry: the caller holds mmap_lock; if not, it is taken and released here (-EAGAIN
 * if the caller is killed meanwhile). On return: mmap_lock is held; it is not if a fault dropped it, which
 * only FOLL_UNLOCKABLE permits. 0 pages: FOLL_NOWAIT, and nr 0.
 */
export function __get_user_pages_locked(
  mm: Mm,
  start: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  first: number,
  locked: LocalArray,
): number {
  let must_unlock = false;
  if (nr === 0) return 0;
  if (locked[0] === 0) {
    if (mmap_read_lock_killable(mm) !== 0) return -EAGAIN;
    must_unlock = true;
    locked[0] = 1;
  }
  let done = 0;
  for (;;) {
    let ret = __get_user_pages(mm, start + done, nr - done, flags, pages, first + done, locked);
    if (ret > 0) done += ret;
    // Custom: without a page allocator nothing is faulted in; linking drops the rest.
    if (kernel.zones === 0 || locked[0] !== 0 || done === nr) {
      if (done === 0) done = ret;
      break;
    }
    must_unlock = true;
    ret = retry_one(mm, start + done, flags, pages, first + done, locked);
    if (ret !== 1) {
      if (done === 0) done = ret;
      break;
    }
    done++;
    if (done === nr) break;
  }
  if (must_unlock && locked[0] !== 0) {
    mmap_read_unlock(mm);
    locked[0] = 0;
  }
  return done;
}
