/**
 * The entry points of the get_user_pages and pin_user_pages families (mm/gup.c), with their arguments'
 * checks, partial results and errors.
 *
 *   mode            takes mmap_lock   FOLL_LONGTERM
 *   plain, _remote  caller holds it   pin only
 *   _unlocked       itself            -EINVAL to v6.2, then pin only
 *   _fast           itself, if the walk without locks does not get everything; pin only
 *
 * What they ask for is done by gup.ts (without locks) and gup_slow.ts. Custom: the address space is an
 * argument also of what acts on current->mm; where the kernel to v6.2 passes locked == NULL, faults may not
 * drop mmap_lock, FOLL_UNLOCKABLE (v6.3) is not set in any version here.
 */
"use kernel";

import { config, geom } from "../machine/config.ts";
import { GUP_ARGS_COMMON } from "../machine/knobs/mm.ts";
import { type LocalArray, localArray, READ_ONCE, ult, WRITE_ONCE } from "../machine/primitives.ts";
import { EFAULT, EINVAL, EOVERFLOW } from "./errno.ts";
import { lockless_pages_from_mm } from "./gup.ts";
import {
  check_gup_args,
  GUP_ARGS_VALID,
  GUP_FAST,
  GUP_FAST_ONLY,
  GUP_LOCKED,
  GUP_UNLOCKED,
  gup_args_refused,
  gup_needs_pages,
} from "./gup_args.ts";
import {
  FOLL_FAST_ONLY,
  FOLL_GET,
  FOLL_LONGTERM,
  FOLL_PIN,
  FOLL_TOUCH,
  FOLL_UNLOCKABLE,
} from "./gup_flags.ts";
import { gup_longterm_locked } from "./gup_longterm.ts";
import { fault_in_pages } from "./gup_slow.ts";
import { MM, type Mm } from "./mm_types.ts";
import { mmap_read_lock, mmap_read_unlock } from "./mmap.ts";

/** mm_set_has_pinned_flag(): before looking at any page; fork reads it. */
function mm_set_has_pinned(mm: Mm): void {
  if (READ_ONCE(mm + MM.has_pinned) === 0) WRITE_ONCE(mm + MM.has_pinned, 1);
}
function family(flags: number, pin: boolean, touch: boolean): number {
  // FOLL_UNLOCKABLE from outside means nothing to v6.2, and is refused after.
  return (flags & ~FOLL_UNLOCKABLE) | (touch ? FOLL_TOUCH : 0) | (pin ? FOLL_PIN : FOLL_GET);
}

/**
 * get_user_pages(), pin_user_pages() and their _remote forms with locked == NULL. The caller holds mmap_lock
 * for reading, and keeps it. Of them only pin_user_pages() does not touch what it takes.
 */
export function gup_locked(
  mm: Mm,
  start: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  pin: boolean,
  remote: boolean,
): number {
  const locked = localArray(1);
  const valid = check_gup_args(GUP_LOCKED, flags, pin);
  if (valid !== GUP_ARGS_VALID) return valid;
  if (nr === 0) return 0;
  if (pin) mm_set_has_pinned(mm);
  locked[0] = 1;
  return gup_longterm_locked(mm, start, nr, family(flags, pin, !pin || remote), pages, 0, locked);
}
/**
 * get_user_pages_remote(), pin_user_pages_remote() with `locked`: the caller holds mmap_lock for reading
 * (locked[0] = 1) and may find it dropped afterwards (0), in which case what it knew of the areas is void.
 */
export function gup_remote(
  mm: Mm,
  start: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  pin: boolean,
  locked: LocalArray,
): number {
  const valid = check_gup_args(GUP_LOCKED, flags, pin);
  if (valid !== GUP_ARGS_VALID) return valid;
  // "FOLL_LONGTERM behavior is incompatible with FAULT_FLAG_ALLOW_RETRY because of the FS DAX check
  // requirement on vmas" (to v6.2).
  if ((flags & FOLL_LONGTERM) !== 0 && config.gupArgs !== GUP_ARGS_COMMON) return -EINVAL;
  // "At the external interface locked must be set" (to v6.2: BUG_ON()).
  if (locked[0] !== 1) return gup_args_refused(GUP_LOCKED, pin);
  if (nr === 0) return 0;
  if (pin) mm_set_has_pinned(mm);
  const all = family(flags, pin, true) | FOLL_UNLOCKABLE;
  return gup_longterm_locked(mm, start, nr, all, pages, 0, locked);
}

/**
 * Slow GUP for who does not hold mmap_lock: to v6.2 it is taken here, killed or not, and then by
 * __get_user_pages_locked().
 */
function gup_takes_lock(
  mm: Mm,
  start: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  first: number,
): number {
  const locked = localArray(1);
  if (!config.gupLockKillable) {
    mmap_read_lock(mm);
    locked[0] = 1;
  }
  const ret = gup_longterm_locked(mm, start, nr, flags, pages, first, locked);
  if (locked[0] !== 0) mmap_read_unlock(mm);
  return ret;
}
/** get_user_pages_unlocked(), pin_user_pages_unlocked(). */
export function gup_unlocked(
  mm: Mm,
  start: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  pin: boolean,
): number {
  const valid = check_gup_args(GUP_UNLOCKED, flags, pin);
  if (valid !== GUP_ARGS_VALID) return valid;
  if (nr === 0) return 0;
  // get_user_pages_unlocked() to v6.2 is pin_user_pages_unlocked() for who passes it FOLL_PIN.
  const pins = pin || (flags & FOLL_PIN) !== 0;
  if (pins) mm_set_has_pinned(mm);
  return gup_takes_lock(mm, start, nr, family(flags, pins, true) | FOLL_UNLOCKABLE, pages, 0);
}
/**
 * get_user_pages() and pin_user_pages() with pages == NULL: pages are faulted in and counted, none is held.
 * The caller holds mmap_lock for reading. Custom: a function of its own, since an array is not NULL here.
 */
export function gup_without_pages(mm: Mm, start: number, nr: number, flags: number, pin: boolean): number {
  const valid = check_gup_args(GUP_LOCKED, flags, pin);
  if (valid !== GUP_ARGS_VALID) return valid;
  if (gup_needs_pages(flags, pin)) return gup_args_refused(GUP_LOCKED, pin);
  return fault_in_pages(mm, start, nr, (flags & ~FOLL_UNLOCKABLE) | FOLL_TOUCH);
}

/** What no array holds: a request for as many pages as there are. */
const UNBOUNDED = 1 << 20;

/**
 * internal_get_user_pages_fast(), gup_fast_fallback(): the number of pages taken, possibly fewer than asked,
 * or the error if the first could not be had.
 */
function gup_fast_fallback(mm: Mm, start: number, nr: number, flags: number, pages: LocalArray): number {
  const pin = (flags & FOLL_PIN) !== 0;
  if (pin) mm_set_has_pinned(mm);
  const end = (start + nr) | 0;
  // Negative numbers are addresses of the kernel's half: from there a range may reach over the end of all
  // addresses. "This routine is not allowed to return negative values", which it was from v6.3 on.
  const silent = (flags & FOLL_FAST_ONLY) !== 0 && config.gupArgs !== GUP_ARGS_COMMON;
  if (start < 0 && end >= 0) return !silent && config.gupOverflow ? -EOVERFLOW : 0;
  if (start < 0 || end < start || ult(geom.task_size, end)) return silent ? 0 : -EFAULT;
  const got = lockless_pages_from_mm(mm, start, end, flags, pages);
  if (got === nr || (flags & FOLL_FAST_ONLY) !== 0) return got;
  // A request of no pages that got some (config.gupZeroPages) goes on with nr - got, which is huge as an
  // unsigned number.
  const rest = got > nr ? UNBOUNDED : nr - got;
  // To v6.2 __gup_longterm_locked() kept mmap_lock.
  const keeps = (flags & FOLL_LONGTERM) !== 0 && !config.gupLockKillable;
  const all = flags | FOLL_TOUCH | (keeps ? 0 : FOLL_UNLOCKABLE);
  const ret = gup_takes_lock(mm, start + got, rest, all, pages, got);
  if (ret < 0) return got > 0 ? got : ret;
  return got + ret;
}

/** get_user_pages_fast(), pin_user_pages_fast(). */
export function gup_fast(
  mm: Mm,
  start: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  pin: boolean,
): number {
  const valid = check_gup_args(GUP_FAST, flags, pin);
  if (valid !== GUP_ARGS_VALID) return valid;
  return gup_fast_fallback(mm, start, nr, flags | (pin ? FOLL_PIN : FOLL_GET), pages);
}
/**
 * get_user_pages_fast_only(), pin_user_pages_fast_only(): never negative to v6.2; from v6.3 for arguments and
 * ranges that are refused.
 */
export function gup_fast_only(
  mm: Mm,
  start: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  pin: boolean,
): number {
  const valid = check_gup_args(GUP_FAST_ONLY, flags, pin);
  if (valid !== GUP_ARGS_VALID) return valid;
  return gup_fast_fallback(mm, start, nr, flags | FOLL_FAST_ONLY | (pin ? FOLL_PIN : FOLL_GET), pages);
}
