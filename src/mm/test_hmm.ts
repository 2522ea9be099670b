/**
 * A mirror device (lib/test_hmm.c, v5.10 to v7.1): it fills its own page table by the loop that
 * Documentation/mm/hmm.rst prescribes, reads and writes memory through it, moves pages to its own memory and
 * back, takes a page for its exclusive use, and reports what it sees (snapshot). Each step of the loop can be
 * left out (config.dmirror*), to see whether it is needed.
 *
 * Custom: the timeout of the retry loop is a number of tries, or none, so that a loop that never ends is seen
 * as one; requests are at most DMIRROR_MAX pages. Not covered: huge pages of device memory (v6.19).
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import {
  type LocalArray,
  localArray,
  READ_ONCE,
  smp_store_release,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
  wake_up_var,
} from "../machine/primitives.ts";
import {
  DMIRROR,
  type Dmirror,
  DPT_ENTRY_VALID,
  DPT_ENTRY_WRITE,
  DPT_PFN_SHIFT,
  dmirror_pt_slot,
} from "./dmirror.ts";
import { EBUSY, EINVAL, ENOENT } from "./errno.ts";
import { mmput } from "./fork.ts";
import {
  HMM_PFN_REQ_FAULT,
  HMM_PFN_REQ_WRITE,
  HMM_PFN_SHIFT,
  HMM_PFN_WRITE,
  HMM_RANGE_DEFAULT_FLAGS,
  HMM_RANGE_END,
  HMM_RANGE_NOTIFIER,
  HMM_RANGE_OWNER,
  HMM_RANGE_PFN_FLAGS_MASK,
  HMM_RANGE_SEQ,
  HMM_RANGE_SIZE,
  HMM_RANGE_START,
  hmm_range_fault,
} from "./hmm.ts";
import type { Mm } from "./mm_types.ts";
import { mmap_read_lock, mmap_read_unlock } from "./mmap.ts";
import { mmu_interval_read_begin, mmu_interval_read_retry } from "./mmu_notifier.ts";
import { INTERVAL_NOTIFIER } from "./mmu_notifier_types.ts";
import { page_address, pfn_to_page } from "./page.ts";
import { mmget_not_zero } from "./sched_mm.ts";

/** Pages of one request. */
export const DMIRROR_MAX = 8;

// ---- Filling the table ------------------------------------------------------------------------------------

/** Puts the frames of hmm_pfns[] into the device's table. Caller holds the mutex. */
function dmirror_do_fault(dmirror: Dmirror, range: LocalArray, pfns: LocalArray): void {
  for (let addr = range[HMM_RANGE_START]; addr < range[HMM_RANGE_END]; addr++) {
    const v = pfns[addr - range[HMM_RANGE_START]];
    const write = (v & HMM_PFN_WRITE) !== 0 ? DPT_ENTRY_WRITE : 0;
    WRITE_ONCE(
      dmirror_pt_slot(dmirror, addr),
      ((v >>> HMM_PFN_SHIFT) << DPT_PFN_SHIFT) | DPT_ENTRY_VALID | write,
    );
  }
}

/** Step 1: the sequence. Without config.dmirrorReadBegin it is taken while an invalidation may run. */
function take_sequence(notifier: number): number {
  return config.dmirrorReadBegin
    ? mmu_interval_read_begin(notifier)
    : READ_ONCE(notifier + INTERVAL_NOTIFIER.invalidate_seq);
}

/**
 * Steps 1 and 2 of the loop, and 3 with config.dmirrorRetry: the frames of the range, with the mutex held if
 * 0.
 */
export function dmirror_range_fault(dmirror: Dmirror, range: LocalArray, pfns: LocalArray): number {
  const mm: Mm = READ_ONCE(dmirror + DMIRROR.mm);
  const notifier = READ_ONCE(dmirror + DMIRROR.notifier);
  let tries = 0;
  for (;;) {
    // HMM_RANGE_DEFAULT_TIMEOUT
    if (kernel.dmirror_tries !== 0 && tries === kernel.dmirror_tries) return -EBUSY;
    tries++;
    range[HMM_RANGE_SEQ] = take_sequence(notifier);
    if (config.dmirrorMmapLock) mmap_read_lock(mm);
    const ret = hmm_range_fault(mm, range, pfns);
    if (config.dmirrorMmapLock) mmap_read_unlock(mm);
    if (ret === -EBUSY) continue;
    if (ret !== 0) return ret;
    if (config.dmirrorLock) spin_lock(dmirror + DMIRROR.mutex);
    if (!config.dmirrorRetry || !mmu_interval_read_retry(notifier, range[HMM_RANGE_SEQ])) return 0;
    if (config.dmirrorLock) spin_unlock(dmirror + DMIRROR.mutex);
  }
}

export function dmirror_init_range(
  dmirror: Dmirror,
  range: LocalArray,
  start: number,
  end: number,
  default_flags: number,
): void {
  range[HMM_RANGE_NOTIFIER] = READ_ONCE(dmirror + DMIRROR.notifier);
  range[HMM_RANGE_START] = start;
  range[HMM_RANGE_END] = end;
  range[HMM_RANGE_DEFAULT_FLAGS] = default_flags;
  range[HMM_RANGE_PFN_FLAGS_MASK] = 0;
  range[HMM_RANGE_OWNER] = READ_ONCE(dmirror + DMIRROR.mdevice);
}

/**
 * dmirror_fault(): the device can read (or write) [start, end) from now on, until the CPU's mappings change.
 * 0 or -EFAULT etc.
 */
export function dmirror_fault(dmirror: Dmirror, start: number, end: number, write: boolean): number {
  if (end - start > DMIRROR_MAX || end <= start) return -EINVAL;
  const range = localArray(HMM_RANGE_SIZE);
  const pfns = localArray(DMIRROR_MAX);
  const mm: Mm = READ_ONCE(dmirror + DMIRROR.mm);
  if (config.dmirrorMmget && !mmget_not_zero(mm)) return 0;
  dmirror_init_range(
    dmirror,
    range,
    start,
    end,
    write ? HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE : HMM_PFN_REQ_FAULT,
  );
  const ret = dmirror_range_fault(dmirror, range, pfns);
  if (ret === 0) {
    dmirror_do_fault(dmirror, range, pfns);
    if (config.dmirrorLock) spin_unlock(dmirror + DMIRROR.mutex);
  }
  if (config.dmirrorMmget) mmput(mm);
  return ret;
}

// ---- Access -----------------------------------------------------------------------------------------------

/**
 * Contents that the device's table leads to for addr, 0 if it has no (writable) translation. Caller holds the
 * mutex.
 */
function dmirror_translate(dmirror: Dmirror, addr: number, write: boolean): number {
  const slot = dmirror_pt_slot(dmirror, addr);
  const entry = slot === 0 ? 0 : READ_ONCE(slot);
  if ((entry & DPT_ENTRY_VALID) === 0 || (write && (entry & DPT_ENTRY_WRITE) === 0)) return 0;
  return page_address(pfn_to_page(entry >>> DPT_PFN_SHIFT));
}

/**
 * The device reads the first word of addr's page, faulting as often as needed (HMM_DMIRROR_READ): `out[0]`; 0
 * or an error. The mutex is held from translation to access: the hardware is not stopped in between.
 */
export function dmirror_read(dmirror: Dmirror, addr: number, out: LocalArray): number {
  for (;;) {
    spin_lock(dmirror + DMIRROR.mutex);
    const at = dmirror_translate(dmirror, addr, false);
    if (at !== 0) out[0] = READ_ONCE(at);
    spin_unlock(dmirror + DMIRROR.mutex);
    if (at !== 0) return 0;
    const ret = dmirror_fault(dmirror, addr, addr + 1, false);
    if (ret !== 0) return ret;
  }
}
/** The device writes the first word of addr's page (HMM_DMIRROR_WRITE): 0 or an error. */
export function dmirror_write(dmirror: Dmirror, addr: number, value: number): number {
  for (;;) {
    spin_lock(dmirror + DMIRROR.mutex);
    const at = dmirror_translate(dmirror, addr, true);
    if (at !== 0) WRITE_ONCE(at, value);
    spin_unlock(dmirror + DMIRROR.mutex);
    if (at !== 0) return 0;
    const ret = dmirror_fault(dmirror, addr, addr + 1, true);
    if (ret !== 0) return ret;
  }
}
/**
 * One access by what the table says now, without faulting: what hardware does until it is told otherwise. 0
 * or -ENOENT.
 */
export function dmirror_access(dmirror: Dmirror, addr: number): number {
  spin_lock(dmirror + DMIRROR.mutex);
  const at = dmirror_translate(dmirror, addr, false);
  if (config.dmirrorAsync) {
    // From translation to access the device only says that it is at it.
    if (at !== 0) WRITE_ONCE(dmirror + DMIRROR.in_flight, 1);
    spin_unlock(dmirror + DMIRROR.mutex);
    if (at === 0) return -ENOENT;
    READ_ONCE(at);
    smp_store_release(dmirror + DMIRROR.in_flight, 0);
    wake_up_var(dmirror + DMIRROR.in_flight);
    return 0;
  }
  if (at !== 0) READ_ONCE(at);
  spin_unlock(dmirror + DMIRROR.mutex);
  return at !== 0 ? 0 : -ENOENT;
}
