/**
 * The mirror device's own page table and its notifier callback (lib/test_hmm.c: struct dmirror,
 * dmirror_do_update(), dmirror_interval_invalidate()). The device reads and writes memory through this table
 * alone; its mutex stands for what real drivers do to stop the hardware: whoever holds it knows that the
 * device is between two accesses. The rest of the device is in test_hmm.ts.
 *
 * With config.dmirrorAsync it is a device whose accesses the mutex does not stop, as GPUs are: the callback
 * removes the entries and then waits for what is under way, or leaves that to the second pass of v7.1 (struct
 * mmu_interval_notifier_finish).
 *
 * Custom: an array of words instead of an xarray of struct page pointers, and frames instead of pointers; the
 * mutex is a spinlock (nothing sleeps here).
 */
"use kernel";

import { config } from "../machine/config.ts";
import {
  type LocalArray,
  READ_ONCE,
  smp_cond_load_acquire_eq,
  spin_lock,
  spin_trylock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";
import {
  INTERVAL_NOTIFIER,
  type IntervalNotifier,
  MMU_NOTIFY_MIGRATE,
  mmu_interval_set_seq,
} from "./mmu_notifier_types.ts";

export type Dmirror = Ptr<"dmirror">;
export type DmirrorDevice = Ptr<"dmirror_device">;

/**
 *  mm, mdevice  the address space that is mirrored and the device (also the owner of its memory)
 *  mutex        protects the table at `pt`, `nr_pt` words for the pages from pt_start on
 *  notifier     covers the whole table
 *  in_flight    1 while the device is at an access that the mutex does not stop (config.dmirrorAsync)
 *  finish       struct mmu_interval_notifier_finish
 */
export const DMIRROR = struct("dmirror", [
  "mm",
  "mdevice",
  "mutex",
  "pt",
  "pt_start",
  "nr_pt",
  "notifier",
  "in_flight",
  "finish",
  "finish_notifier",
]);

/**
 * pgmap of the device's memory and a stack of its free frames: free_list is the address of `nr_free` words.
 * `lock` protects both. alloc_fails: the next that many allocations fail (HMM_DMIRROR_FLAG_FAIL_ALLOC).
 */
export const DMIRROR_DEVICE = struct("dmirror_device", [
  "pgmap",
  "lock",
  "free_list",
  "nr_free",
  "alloc_fails",
]);

/**
 *    31      3     2      1      0
 *   +-----------+--------+-----+-------+
 *   |    pfn    | atomic |  W  | valid |      0: the device has no translation and faults
 *   +-----------+--------+-----+-------+     atomic: the page is the device's alone for now
 */
export const DPT_ENTRY_VALID = 1;
export const DPT_ENTRY_WRITE = 2;
export const DPT_ENTRY_ATOMIC = 4;
export const DPT_PFN_SHIFT = 3;

/** Word of the device's table for a page number, 0 if the table does not cover it. */
export function dmirror_pt_slot(dmirror: Dmirror, addr: number): number {
  const index = addr - READ_ONCE(dmirror + DMIRROR.pt_start);
  if (index < 0 || index >= READ_ONCE(dmirror + DMIRROR.nr_pt)) return 0;
  return READ_ONCE(dmirror + DMIRROR.pt) + index;
}

/** dmirror_do_update(): the device forgets [start, end). Caller holds the mutex. */
export function dmirror_do_update(dmirror: Dmirror, start: number, end: number): void {
  const first = READ_ONCE(dmirror + DMIRROR.pt_start);
  const last = first + READ_ONCE(dmirror + DMIRROR.nr_pt);
  const from = start < first ? first : start;
  const to = end > last ? last : end;
  for (let addr = from; addr < to; addr++) WRITE_ONCE(READ_ONCE(dmirror + DMIRROR.pt) + addr - first, 0);
}

/** The device has finished what it began by entries that are gone now. */
function dmirror_drain(dmirror: Dmirror): void {
  if (config.dmirrorDrain) smp_cond_load_acquire_eq(dmirror + DMIRROR.in_flight, 0);
}
/** The driver's callback of the second pass: after it the device has finished using what it held. */
export function dmirror_invalidate_finish(ni: IntervalNotifier): void {
  dmirror_drain(READ_ONCE(ni + INTERVAL_NOTIFIER.priv));
}

/**
 * The driver's callback. After it the device holds no translation of the range and has finished using those
 * it held; or it will have after the second pass, if finish[0] says what that needs.
 */
export function dmirror_interval_invalidate(
  ni: IntervalNotifier,
  start: number,
  end: number,
  event: number,
  owner: number,
  blockable: boolean,
  cur_seq: number,
  finish: LocalArray,
): boolean {
  const dmirror: Dmirror = READ_ONCE(ni + INTERVAL_NOTIFIER.priv);
  // "Ignore invalidation callbacks for device private pages since the invalidation is handled as part of the
  // migration process." It hears of the exclusive access that it asks for itself (lib/test_hmm.c, all four).
  if (event === MMU_NOTIFY_MIGRATE && owner !== 0 && owner === READ_ONCE(dmirror + DMIRROR.mdevice)) {
    // The migration itself removes the device's entry; but a fault of the device that has read the old entry
    // does not notice.
    if (config.dmirrorOwnSeq) {
      spin_lock(dmirror + DMIRROR.mutex);
      mmu_interval_set_seq(ni, cur_seq);
      spin_unlock(dmirror + DMIRROR.mutex);
    }
    return true;
  }
  if (config.dmirrorCallbackLock) {
    if (blockable) spin_lock(dmirror + DMIRROR.mutex);
    else if (!spin_trylock(dmirror + DMIRROR.mutex)) return false;
  }
  const busy = config.dmirrorAsync !== 0 && READ_ONCE(dmirror + DMIRROR.in_flight) !== 0;
  if (busy && !blockable) {
    if (config.dmirrorCallbackLock) spin_unlock(dmirror + DMIRROR.mutex);
    return false;
  }
  if (config.dmirrorSetSeq) mmu_interval_set_seq(ni, cur_seq);
  if (config.dmirrorInvalidate) dmirror_do_update(dmirror, start, end);
  if (config.dmirrorCallbackLock) spin_unlock(dmirror + DMIRROR.mutex);
  if (busy) {
    if (config.notifierTwoPass && config.dmirrorTwoPass) finish[0] = dmirror + DMIRROR.finish;
    else dmirror_drain(dmirror);
  }
  return true;
}
