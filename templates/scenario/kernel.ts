/**
 * The kernel code of the scenario. A file whose first statement is "use kernel" is in the dialect: functions
 * of 32-bit words, which are run as they are and explored. Addresses are numbers; `p + 1` is the next word.
 */
"use kernel";

import {
  assert,
  kfree,
  READ_ONCE,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  WRITE_ONCE,
} from "holdfast/machine/primitives";

/** Fills a buffer, publishes it, takes it away again, and frees it. */
export function owner(pointer: number, buffer: number): void {
  WRITE_ONCE(buffer, 42);
  WRITE_ONCE(pointer, buffer);
  WRITE_ONCE(pointer, 0);
  kfree(buffer);
}

/** Looks at the buffer, if it is there. */
export function reader(pointer: number): void {
  rcu_read_lock();
  const buffer = rcu_dereference(pointer);
  if (buffer !== 0) assert(READ_ONCE(buffer) === 42, "the buffer is seen before what is in it");
  rcu_read_unlock();
}
