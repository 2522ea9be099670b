/**
 * Reader-writer semaphores (kernel/locking/rwsem.c), one word: the number of readers, or -1 for a writer.
 * Custom: no queue, no fairness; a waiter waits for the word to change.
 */
"use kernel";

import {
  assert,
  atomic_dec,
  cmpxchg,
  READ_ONCE,
  smp_cond_load_acquire_eq,
  smp_cond_load_acquire_ne,
  smp_store_release,
  wake_up_var,
} from "../machine/primitives.ts";
import { EINTR } from "./errno.ts";
import { fatal_signal_pending } from "./signal.ts";

const WRITER = -1;

export function down_read(sem: number): void {
  for (;;) {
    const count = READ_ONCE(sem);
    if (count === WRITER) smp_cond_load_acquire_ne(sem, WRITER);
    else if (cmpxchg(sem, count, count + 1) === count) return;
  }
}
/**
 * down_read_killable(): 0, or -EINTR for who would have to wait and is to be killed. Custom: a signal that
 * comes during the wait is seen when the word changes.
 */
export function down_read_killable(sem: number): number {
  for (;;) {
    const count = READ_ONCE(sem);
    if (count !== WRITER) {
      if (cmpxchg(sem, count, count + 1) === count) return 0;
    } else {
      if (fatal_signal_pending()) return -EINTR;
      smp_cond_load_acquire_ne(sem, WRITER);
    }
  }
}
export function up_read(sem: number): void {
  assert(READ_ONCE(sem) > 0, "up_read() of a semaphore that nobody reads");
  atomic_dec(sem);
  wake_up_var(sem);
}
export function down_write(sem: number): void {
  while (cmpxchg(sem, 0, WRITER) !== 0) smp_cond_load_acquire_eq(sem, 0);
}
export function up_write(sem: number): void {
  assert(READ_ONCE(sem) === WRITER, "up_write() of a semaphore that nobody writes");
  smp_store_release(sem, 0);
  wake_up_var(sem);
}
