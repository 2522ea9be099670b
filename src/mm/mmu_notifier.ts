/**
 * MMU notifiers (mm/mmu_notifier.c, v5.10 to v7.1): those who mirror page tables are told before entries
 * change (range_start) and after (range_end). Interval notifiers (v5.5, 99cb252f5e68) add a sequence: a
 * reader that takes it with mmu_interval_read_begin() and finds it unchanged under its own lock with
 * mmu_interval_read_retry() knows that no invalidation of its range began in between. Also the older kind
 * that covers a whole address space.
 *
 * From v7.1 on a callback can leave its waiting to a second pass, so that several devices are waited for at
 * once.
 *
 * Not covered: the SRCU under which the old kind's list is walked (nobody registers
 * one of those while another CPU runs).
 *
 * Read: v5.10, v6.1, v6.12, v7.3. Read are mm/mmu_notifier.c and include/linux/mmu_notifier.h. Custom: the
 * interval tree is a list, so that notifiers of one range are called in the order in which they came, the
 * newest first; every address space with notifiers has a tree (the kernel asks subscriptions->has_itree),
 * so that the spinlock is taken also where there are only notifiers of the old kind.
 */
"use kernel";

import { config, geom } from "../machine/config.ts";
import {
  assert,
  type LocalArray,
  localArray,
  READ_ONCE,
  smp_cond_load_acquire_ne,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
  wake_up_var,
} from "../machine/primitives.ts";
import { dmirror_interval_invalidate, dmirror_invalidate_finish } from "./dmirror.ts";
import { EAGAIN } from "./errno.ts";
import { MM, type Mm } from "./mm_types.ts";
import {
  INTERVAL_FINISH,
  INTERVAL_NOTIFIER,
  INTERVAL_OPS_DMIRROR,
  type IntervalFinish,
  type IntervalNotifier,
  MMU_NOTIFIER,
  MMU_NOTIFY_RELEASE,
  type MmuNotifier,
  mmu_interval_set_seq,
  SUBSCRIPTIONS,
  type Subscriptions,
} from "./mmu_notifier_types.ts";
import { mmdrop, mmgrab } from "./sched_mm.ts";

function subs_seq(subs: Subscriptions): number {
  return subs + SUBSCRIPTIONS.invalidate_seq;
}
function active_ranges(subs: Subscriptions): number {
  return subs + SUBSCRIPTIONS.active_invalidate_ranges;
}

/** Some notifier of the tree was hit and the tree is frozen. Caller holds the lock. */
function mn_itree_is_invalidating(subs: Subscriptions): boolean {
  return (READ_ONCE(subs_seq(subs)) & 1) !== 0;
}

// ---- The tree (a list) ------------------------------------------------------------------------------------

function itree_insert(subs: Subscriptions, ni: IntervalNotifier): void {
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.itree_next, READ_ONCE(subs + SUBSCRIPTIONS.itree));
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.in_tree, 1);
  WRITE_ONCE(subs + SUBSCRIPTIONS.itree, ni);
}
function itree_remove(subs: Subscriptions, ni: IntervalNotifier): void {
  let link = subs + SUBSCRIPTIONS.itree;
  while (READ_ONCE(link) !== ni) link = READ_ONCE(link) + INTERVAL_NOTIFIER.itree_next;
  WRITE_ONCE(link, READ_ONCE(ni + INTERVAL_NOTIFIER.itree_next));
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.in_tree, 0);
}
/** First notifier of the list from `ni` on whose range meets [start, end), or 0. */
function itree_overlap(first: IntervalNotifier, start: number, end: number): IntervalNotifier {
  let ni = first;
  while (
    ni !== 0 &&
    (READ_ONCE(ni + INTERVAL_NOTIFIER.start) >= end || READ_ONCE(ni + INTERVAL_NOTIFIER.last) < start)
  )
    ni = READ_ONCE(ni + INTERVAL_NOTIFIER.itree_next);
  return ni;
}
function deferred_add(subs: Subscriptions, ni: IntervalNotifier): void {
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.deferred_next, READ_ONCE(subs + SUBSCRIPTIONS.deferred_list));
  WRITE_ONCE(subs + SUBSCRIPTIONS.deferred_list, ni);
}
function deferred_del(subs: Subscriptions, ni: IntervalNotifier): void {
  let link = subs + SUBSCRIPTIONS.deferred_list;
  while (READ_ONCE(link) !== ni) link = READ_ONCE(link) + INTERVAL_NOTIFIER.deferred_next;
  WRITE_ONCE(link, READ_ONCE(ni + INTERVAL_NOTIFIER.deferred_next));
}

// ---- Invalidation -----------------------------------------------------------------------------------------

/**
 * ops->invalidate() of an interval notifier, or invalidate_start(), which leaves in finish[0] what the second
 * pass is to finish; false only if it may not block and would have to.
 */
function call_invalidate(
  ni: IntervalNotifier,
  start: number,
  end: number,
  event: number,
  owner: number,
  blockable: boolean,
  cur_seq: number,
  finish: LocalArray,
): boolean {
  if (READ_ONCE(ni + INTERVAL_NOTIFIER.ops) === INTERVAL_OPS_DMIRROR)
    return dmirror_interval_invalidate(ni, start, end, event, owner, blockable, cur_seq, finish);
  mmu_interval_set_seq(ni, cur_seq);
  return true;
}

/**
 * mn_itree_inv_end(): what was put off while the tree was frozen is done by whoever ends the last
 * invalidation.
 */
function mn_itree_inv_end(subs: Subscriptions): void {
  spin_lock(subs + SUBSCRIPTIONS.lock);
  const active = READ_ONCE(active_ranges(subs)) - 1;
  WRITE_ONCE(active_ranges(subs), active);
  if (active !== 0 || !mn_itree_is_invalidating(subs)) {
    spin_unlock(subs + SUBSCRIPTIONS.lock);
    return;
  }
  // "Make invalidate_seq even."
  WRITE_ONCE(subs_seq(subs), READ_ONCE(subs_seq(subs)) + 1);
  let ni: IntervalNotifier = READ_ONCE(subs + SUBSCRIPTIONS.deferred_list);
  while (ni !== 0) {
    const next: IntervalNotifier = READ_ONCE(ni + INTERVAL_NOTIFIER.deferred_next);
    if (READ_ONCE(ni + INTERVAL_NOTIFIER.in_tree) === 0) itree_insert(subs, ni);
    else itree_remove(subs, ni);
    WRITE_ONCE(subs + SUBSCRIPTIONS.deferred_list, next);
    ni = next;
  }
  spin_unlock(subs + SUBSCRIPTIONS.lock);
  wake_up_var(subs_seq(subs));
}

/**
 * mn_itree_finish_pass(): the second passes, in the order of the first. Every ops that asks for one is the
 * mirror device's.
 */
function mn_itree_finish_pass(first: IntervalFinish): void {
  let finish = first;
  while (finish !== 0) {
    const next: IntervalFinish = READ_ONCE(finish + INTERVAL_FINISH.link);
    dmirror_invalidate_finish(READ_ONCE(finish + INTERVAL_FINISH.notifier));
    finish = next;
  }
}

/**
 * mn_itree_inv_start_range() and mn_itree_invalidate(): 0 or -EAGAIN, then with the start undone. Those that
 * have started and asked for a second pass get it in any case. Custom: the list of these is kept in order,
 * not reversed afterwards.
 */
function mn_itree_invalidate(
  subs: Subscriptions,
  start: number,
  end: number,
  event: number,
  owner: number,
  blockable: boolean,
): number {
  spin_lock(subs + SUBSCRIPTIONS.lock);
  WRITE_ONCE(active_ranges(subs), READ_ONCE(active_ranges(subs)) + 1);
  let ni = itree_overlap(READ_ONCE(subs + SUBSCRIPTIONS.itree), start, end);
  if (ni !== 0) WRITE_ONCE(subs_seq(subs), READ_ONCE(subs_seq(subs)) | 1);
  const cur_seq = READ_ONCE(subs_seq(subs));
  spin_unlock(subs + SUBSCRIPTIONS.lock);
  const finish = localArray(1);
  let first: IntervalFinish = 0;
  let last: IntervalFinish = 0;
  let refused = false;
  while (ni !== 0 && !refused) {
    finish[0] = 0;
    refused = !call_invalidate(ni, start, end, event, owner, blockable, cur_seq, finish);
    assert(!refused || !blockable, "an interval notifier refused an invalidation that may block");
    if (config.notifierTwoPass && finish[0] !== 0) {
      WRITE_ONCE(finish[0] + INTERVAL_FINISH.link, 0);
      WRITE_ONCE(finish[0] + INTERVAL_FINISH.notifier, ni);
      if (last === 0) first = finish[0];
      else WRITE_ONCE(last + INTERVAL_FINISH.link, finish[0]);
      last = finish[0];
    }
    if (!refused) ni = itree_overlap(READ_ONCE(ni + INTERVAL_NOTIFIER.itree_next), start, end);
  }
  if (config.notifierTwoPass) mn_itree_finish_pass(first);
  if (!refused) return 0;
  // "On -EAGAIN the non-blocking caller is not allowed to call invalidate_range_end()"
  mn_itree_inv_end(subs);
  return -EAGAIN;
}

/**
 * mn_hlist_invalidate_range_start(): 0 or -EAGAIN. Custom: a notifier that refuses is one that says it is
 * busy when it is asked, again when the others are ended.
 */
function mn_hlist_range_start(subs: Subscriptions, blockable: boolean): number {
  let ret = 0;
  let n: MmuNotifier = READ_ONCE(subs + SUBSCRIPTIONS.list);
  while (n !== 0) {
    if (!blockable && READ_ONCE(n + MMU_NOTIFIER.busy) !== 0) {
      ret = -EAGAIN;
      // v5.10 goes on to the others, which therefore have started; v5.12 too, and then ends them below.
    } else WRITE_ONCE(n + MMU_NOTIFIER.count, READ_ONCE(n + MMU_NOTIFIER.count) + 1);
    n = READ_ONCE(n + MMU_NOTIFIER.next);
  }
  if (ret === 0 || !config.notifierPairing) return ret;
  n = READ_ONCE(subs + SUBSCRIPTIONS.list);
  while (n !== 0) {
    if (READ_ONCE(n + MMU_NOTIFIER.busy) === 0)
      WRITE_ONCE(n + MMU_NOTIFIER.count, READ_ONCE(n + MMU_NOTIFIER.count) - 1);
    n = READ_ONCE(n + MMU_NOTIFIER.next);
  }
  return ret;
}
function mn_hlist_range_end(subs: Subscriptions): void {
  let n: MmuNotifier = READ_ONCE(subs + SUBSCRIPTIONS.list);
  while (n !== 0) {
    WRITE_ONCE(n + MMU_NOTIFIER.count, READ_ONCE(n + MMU_NOTIFIER.count) - 1);
    wake_up_var(n + MMU_NOTIFIER.count);
    n = READ_ONCE(n + MMU_NOTIFIER.next);
  }
}

function subscriptions(mm: Mm): Subscriptions {
  return config.mmuNotifier && config.notifierBracket ? READ_ONCE(mm + MM.mmu_notifiers) : 0;
}

function __invalidate_range_start(
  subs: Subscriptions,
  start: number,
  end: number,
  event: number,
  owner: number,
  blockable: boolean,
): number {
  const ret = mn_itree_invalidate(subs, start, end, event, owner, blockable);
  if (ret !== 0) return ret;
  if (READ_ONCE(subs + SUBSCRIPTIONS.list) === 0) return 0;
  const failed = mn_hlist_range_start(subs, blockable);
  // v5.5 to v7.3 return as they are: the tree's invalidation, which did start, is never ended.
  if (config.notifierUndoTree && failed !== 0) mn_itree_inv_end(subs);
  return failed;
}

/**
 * Entries of [start, end) of mm are about to change: `event` says how (MMU_NOTIFY_*), `owner` whose migration
 * it is or 0. May wait for drivers. Every call is followed by one of mmu_notifier_invalidate_range_end().
 */
export function mmu_notifier_invalidate_range_start(
  mm: Mm,
  start: number,
  end: number,
  event: number,
  owner: number,
): void {
  const subs = subscriptions(mm);
  if (subs !== 0) __invalidate_range_start(subs, start, end, event, owner, true);
}
/**
 * The same from where nothing may sleep (the OOM reaper): 0, or -EAGAIN, after which range_end must not be
 * called.
 */
export function mmu_notifier_invalidate_range_start_nonblock(
  mm: Mm,
  start: number,
  end: number,
  event: number,
): number {
  const subs = subscriptions(mm);
  return subs === 0 ? 0 : __invalidate_range_start(subs, start, end, event, 0, false);
}
/**
 * mmu_notifier_release() of the interval tree (mn_itree_release()): the address space ends, and every
 * notifier is told of all of it. Stub: release() of old-style notifiers, which takes them off the list.
 */
export function mmu_notifier_release(mm: Mm): void {
  const subs = subscriptions(mm);
  if (subs === 0) return;
  mn_itree_invalidate(subs, 0, geom.task_size, MMU_NOTIFY_RELEASE, 0, true);
  mn_itree_inv_end(subs);
}
/** The entries have changed. */
export function mmu_notifier_invalidate_range_end(mm: Mm): void {
  const subs = subscriptions(mm);
  if (subs === 0) return;
  mn_itree_inv_end(subs);
  mn_hlist_range_end(subs);
}

/**
 * range_start of code that holds the page-table lock, which callbacks must not be called under: it is dropped
 * meanwhile, and what was read under it has to be looked at again. Changes nothing in a kernel without
 * notifiers.
 */
export function mmu_notifier_start_relock(mm: Mm, start: number, end: number, event: number): void {
  if (!config.mmuNotifier) return;
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_start(mm, start, end, event, 0);
  spin_lock(mm + MM.page_table_lock);
}
/** range_end likewise: it wakes readers, and old-style notifiers may sleep in it. */
export function mmu_notifier_end_relock(mm: Mm): void {
  if (!config.mmuNotifier) return;
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  spin_lock(mm + MM.page_table_lock);
}

// ---- Interval notifiers -----------------------------------------------------------------------------------

/** Address of mm's subscriptions; a machine has room for one address space's if it has notifiers at all. */
export function mmu_notifier_subscriptions(mm: Mm): Subscriptions {
  return READ_ONCE(mm + MM.mmu_notifiers);
}

/**
 * mmu_interval_notifier_insert(): from now on changes of [start, last] of mm call `ops`. Stub: mm is not kept
 * alive.
 */
export function mmu_interval_notifier_insert(
  ni: IntervalNotifier,
  mm: Mm,
  start: number,
  last: number,
  ops: number,
  priv: number,
): void {
  const subs = mmu_notifier_subscriptions(mm);
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.start, start);
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.last, last);
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.mm, mm);
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.ops, ops);
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.priv, priv);
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.in_tree, 0);
  mmgrab(mm);
  spin_lock(subs + SUBSCRIPTIONS.lock);
  if (READ_ONCE(active_ranges(subs)) !== 0) {
    if (mn_itree_is_invalidating(subs)) deferred_add(subs, ni);
    else {
      WRITE_ONCE(subs_seq(subs), READ_ONCE(subs_seq(subs)) | 1);
      itree_insert(subs, ni);
    }
    // Odd and equal to the subsystem's: looks as if it were being invalidated, so read_begin() waits.
    WRITE_ONCE(ni + INTERVAL_NOTIFIER.invalidate_seq, READ_ONCE(subs_seq(subs)));
  } else {
    // "The starting seq for a subscription not under invalidation should be odd, not equal to the current
    // invalidate_seq"
    WRITE_ONCE(ni + INTERVAL_NOTIFIER.invalidate_seq, READ_ONCE(subs_seq(subs)) - 1);
    itree_insert(subs, ni);
  }
  spin_unlock(subs + SUBSCRIPTIONS.lock);
}

/**
 * Waits until the sequence has moved on from `seq`, as whoever did that has also left the list of what was
 * put off. Custom: as in mmu_interval_read_begin().
 */
function wait_seq_released(subs: Subscriptions, seq: number): void {
  for (;;) {
    smp_cond_load_acquire_ne(subs_seq(subs), seq);
    if (!config.notifierRemoveLocked) return;
    // mmu_interval_seq_released(): the lock is free only when mn_itree_inv_end() is done with the list.
    spin_lock(subs + SUBSCRIPTIONS.lock);
    const released = READ_ONCE(subs_seq(subs)) !== seq;
    spin_unlock(subs + SUBSCRIPTIONS.lock);
    if (released) return;
  }
}

/**
 * mmu_interval_notifier_remove(): afterwards the core does not touch `ni` and no callback runs. May not be
 * called from one. Stub: mm is not let go.
 */
export function mmu_interval_notifier_remove(ni: IntervalNotifier): void {
  const subs = mmu_notifier_subscriptions(READ_ONCE(ni + INTERVAL_NOTIFIER.mm));
  let seq = 0;
  spin_lock(subs + SUBSCRIPTIONS.lock);
  if (mn_itree_is_invalidating(subs)) {
    // "remove is being called after insert put this on the deferred list, but before the deferred list was
    // processed."
    if (READ_ONCE(ni + INTERVAL_NOTIFIER.in_tree) === 0) deferred_del(subs, ni);
    else {
      deferred_add(subs, ni);
      seq = READ_ONCE(subs_seq(subs));
    }
  } else itree_remove(subs, ni);
  spin_unlock(subs + SUBSCRIPTIONS.lock);
  if (seq !== 0) wait_seq_released(subs, seq);
  // "pairs with mmgrab in mmu_interval_notifier_insert()"
  mmdrop(READ_ONCE(ni + INTERVAL_NOTIFIER.mm));
}

/**
 * Begins a reading of page tables that ni covers: waits until no invalidation of them runs; gives the
 * sequence. Custom: the wait ends with an acquire, where wait_event() reads once; what follows is ordered
 * by the lock of the caller in either case.
 */
export function mmu_interval_read_begin(ni: IntervalNotifier): number {
  const subs = mmu_notifier_subscriptions(READ_ONCE(ni + INTERVAL_NOTIFIER.mm));
  spin_lock(subs + SUBSCRIPTIONS.lock);
  const seq = READ_ONCE(ni + INTERVAL_NOTIFIER.invalidate_seq);
  const is_invalidating = seq === READ_ONCE(subs_seq(subs));
  spin_unlock(subs + SUBSCRIPTIONS.lock);
  if (is_invalidating) smp_cond_load_acquire_ne(subs_seq(subs), seq);
  return seq;
}
/**
 * Under the lock that the callback takes: true if what was read since read_begin() gave `seq` must be read
 * again. Custom: READ_ONCE() of what the kernel reads plainly.
 */
export function mmu_interval_read_retry(ni: IntervalNotifier, seq: number): boolean {
  return READ_ONCE(ni + INTERVAL_NOTIFIER.invalidate_seq) !== seq;
}
/** A hint without a lock: may be false although read_retry() will be true. */
export function mmu_interval_check_retry(ni: IntervalNotifier, seq: number): boolean {
  return READ_ONCE(ni + INTERVAL_NOTIFIER.invalidate_seq) !== seq;
}
