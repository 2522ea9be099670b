/**
 * Structs and events of the notifier subsystem (include/linux/mmu_notifier.h, v5.10 to v7.1), apart from its
 * functions because a driver's callback needs the first and is called by the second.
 *
 * Custom: the interval tree is a list (the cost of a search is all that changes); a table of operations is a
 * number, see call_invalidate() in mmu_notifier.ts.
 */
"use kernel";

import { WRITE_ONCE } from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";

export type Subscriptions = Ptr<"mmu_notifier_subscriptions">;
export type IntervalNotifier = Ptr<"mmu_interval_notifier">;
export type MmuNotifier = Ptr<"mmu_notifier">;
export type IntervalFinish = Ptr<"mmu_interval_notifier_finish">;

/**
 * Per address space (mm->notifier_subscriptions). With `active` the number of running invalidations:
 *   active == 0               seq is even, the tree may change
 *   active > 0, seq odd       fully excluded: some notifier was hit, the tree is frozen, changes wait in
 *                             `deferred_list`
 *   active > 0, seq even      partially excluded: no notifier was hit; an insertion makes seq odd
 */
export const SUBSCRIPTIONS = struct("mmu_notifier_subscriptions", [
  "lock",
  "invalidate_seq",
  "active_invalidate_ranges",
  "itree",
  "deferred_list",
  "list",
]);

/**
 * start and last are inclusive page numbers. `priv` is the driver's object (container_of() in the kernel).
 */
export const INTERVAL_NOTIFIER = struct("mmu_interval_notifier", [
  "start",
  "last",
  "invalidate_seq",
  "mm",
  "ops",
  "priv",
  "in_tree",
  "itree_next",
  "deferred_next",
]);

/** What invalidate_start() leaves for invalidate_finish() (v7.1); a driver has one per notifier. */
export const INTERVAL_FINISH = struct("mmu_interval_notifier_finish", ["link", "notifier"]);

/**
 * The older, per-mm kind; `count` is the state of a user that must see each start ended (KVM's
 * mmu_notifier_count).
 */
export const MMU_NOTIFIER = struct("mmu_notifier", ["next", "ops", "count", "busy"]);

// mmu_interval_notifier.ops
/** Only notes the sequence. */
export const INTERVAL_OPS_SEQ = 0;
/** dmirror_interval_invalidate(); in two passes if config.dmirrorTwoPass. */
export const INTERVAL_OPS_DMIRROR = 1;

// mmu_notifier.ops
/** Counts running invalidations; range_start fails with -EAGAIN if `busy` and the range may not block. */
export const NOTIFIER_OPS_COUNT = 0;

// enum mmu_notifier_event
export const MMU_NOTIFY_UNMAP = 0;
export const MMU_NOTIFY_CLEAR = 1;
export const MMU_NOTIFY_PROTECTION_VMA = 2;
export const MMU_NOTIFY_SOFT_DIRTY = 4;
export const MMU_NOTIFY_PROTECTION_PAGE = 3;
export const MMU_NOTIFY_RELEASE = 5;
export const MMU_NOTIFY_MIGRATE = 6;
export const MMU_NOTIFY_EXCLUSIVE = 7;

/** mmu_interval_set_seq(): from the callback, under the driver's lock. */
export function mmu_interval_set_seq(ni: IntervalNotifier, cur_seq: number): void {
  WRITE_ONCE(ni + INTERVAL_NOTIFIER.invalidate_seq, cur_seq);
}
