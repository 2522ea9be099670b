/**
 * An object that is looked up under RCU and counted: the reader takes a reference, the owner drops his and
 * the object is freed at zero. `get_careless` adds to a count that may be zero already
 * (Documentation/core-api/kref.rst, rule 3).
 */
"use kernel";

import {
  assert,
  atomic_dec_and_test,
  atomic_inc,
  atomic_inc_not_zero,
  kfree,
  READ_ONCE,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  synchronize_rcu,
  WRITE_ONCE,
} from "holdfast/machine/primitives";

/** Word 0 of the object is its count, word 1 what it holds. */
function put(object: number): void {
  if (atomic_dec_and_test(object)) {
    synchronize_rcu();
    kfree(object);
  }
}

export function get_careful(pointer: number): void {
  rcu_read_lock();
  const object = rcu_dereference(pointer);
  const got = object !== 0 && atomic_inc_not_zero(object);
  rcu_read_unlock();
  if (!got) return;
  assert(READ_ONCE(object + 1) === 7, "the object changed under a reference");
  put(object);
}

export function get_careless(pointer: number): void {
  rcu_read_lock();
  const object = rcu_dereference(pointer);
  if (object !== 0) atomic_inc(object);
  rcu_read_unlock();
  if (object === 0) return;
  assert(READ_ONCE(object + 1) === 7, "the object changed under a reference");
  put(object);
}

export function drop(pointer: number, object: number): void {
  WRITE_ONCE(pointer, 0);
  put(object);
}
