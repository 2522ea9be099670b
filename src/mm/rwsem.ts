/**
 * Reader-writer semaphores (kernel/locking/rwsem.c), one word: the number of readers, or -1 for a writer.
 * Custom: no queue, no fairness; a waiter waits for the word to change. Orderings are the kernel's (v5.10,
 * v7.3): try_cmpxchg_acquire and add_return_acquire to take it, add_return_release and fetch_add_release to
 * give it back.
 */
"use kernel";

import {
  assert,
  atomic_add_return_release,
  cmpxchg_acquire,
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
    else if (cmpxchg_acquire(sem, count, count + 1) === count) return;
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
      if (cmpxchg_acquire(sem, count, count + 1) === count) return 0;
    } else {
      if (fatal_signal_pending()) return -EINTR;
      smp_cond_load_acquire_ne(sem, WRITER);
    }
  }
}
export function up_read(sem: number): void {
  assert(READ_ONCE(sem) > 0, "up_read() of a semaphore that nobody reads");
  atomic_add_return_release(-1, sem);
  wake_up_var(sem);
}
export function down_write(sem: number): void {
  while (cmpxchg_acquire(sem, 0, WRITER) !== 0) smp_cond_load_acquire_eq(sem, 0);
}
export function up_write(sem: number): void {
  assert(READ_ONCE(sem) === WRITER, "up_write() of a semaphore that nobody writes");
  smp_store_release(sem, 0);
  wake_up_var(sem);
}
/** A writer becomes a reader, and lets others in. */
export function downgrade_write(sem: number): void {
  assert(READ_ONCE(sem) === WRITER, "downgrade_write() of a semaphore that nobody writes");
  smp_store_release(sem, 1);
  wake_up_var(sem);
}
