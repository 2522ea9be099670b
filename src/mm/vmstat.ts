/**
 * Event counters (mm/vmstat.c, include/linux/vm_event_item.h): the ones that recordings of real kernels show.
 * Counters of pins are kept by gup.ts. Custom: one set for the machine instead of one per CPU.
 */
"use kernel";

import { kernel } from "../machine/config.ts";
import { atomic_add } from "../machine/primitives.ts";
import { struct } from "../machine/struct.ts";

export const VM_EVENT = struct("vm_event_state", [
  "pswpin",
  "pswpout",
  "pgmigrate_success",
  "pgmigrate_fail",
  "thp_fault_alloc",
  "thp_collapse_alloc",
  "thp_split_page",
  "thp_split_page_failed",
  "thp_deferred_split_page",
  "thp_split_pmd",
  "thp_zero_page_alloc",
  "thp_migration_success",
]);

/** count_vm_events(); `item` is a field of VM_EVENT. Nothing is counted on a machine without counters. */
export function count_vm_events(item: number, delta: number): void {
  if (kernel.vm_events !== 0) atomic_add(delta, kernel.vm_events + item);
}
export function count_vm_event(item: number): void {
  count_vm_events(item, 1);
}
