/**
 * Counts of an address space (include/linux/sched/mm.h, kernel/fork.c): mm_users, who uses what is mapped,
 * and mm_count, who refers to the struct and its top table. mmput(), which ends the address space with its
 * last user, is in fork.ts.
 */
"use kernel";

import { kernel } from "../machine/config.ts";
import {
  atomic_dec_and_test,
  atomic_inc,
  atomic_inc_not_zero,
  kfree,
  kzalloc,
  READ_ONCE,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { MM, type Mm } from "./mm_types.ts";
import { pte_free } from "./pgtable.ts";

/** Pool of kzalloc(). */
export const POOL_MM = 33;

/** A new address space: an empty one, or 0 if memory is out. */
export function mm_alloc(): Mm {
  const mm: Mm = kzalloc(POOL_MM);
  if (mm === 0) return 0;
  WRITE_ONCE(mm + MM.mm_list, kernel.mm_list === 0 ? 0 : READ_ONCE(kernel.mm_list));
  WRITE_ONCE(kernel.mm_list, mm);
  return mm;
}
/** Takes the address space off the machine's list and frees it; it has no areas and no tables. */
export function mm_free(mm: Mm): void {
  let link = kernel.mm_list;
  while (READ_ONCE(link) !== mm) link = READ_ONCE(link) + MM.mm_list;
  WRITE_ONCE(link, READ_ONCE(mm + MM.mm_list));
  kfree(mm);
}

/** __mmdrop(): nobody refers to the address space, which has no areas any more. */
function __mmdrop(mm: Mm): void {
  pte_free(READ_ONCE(mm + MM.pgd));
  mm_free(mm);
}
export function mmgrab(mm: Mm): void {
  atomic_inc(mm + MM.mm_count);
}
export function mmdrop(mm: Mm): void {
  if (atomic_dec_and_test(mm + MM.mm_count)) __mmdrop(mm);
}
/** False if the address space is ending. */
export function mmget_not_zero(mm: Mm): boolean {
  return atomic_inc_not_zero(mm + MM.mm_users);
}
