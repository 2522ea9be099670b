/**
 * Completions (kernel/sched/completion.c): one side waits until the other is done. Custom: `done` is changed
 * by one release operation instead of under the wait queue's lock, and the waiter does not count it down
 * again: a completion here has one waiter and is used once between two init_completion(). Waiting with a
 * timeout is not covered.
 */
"use kernel";

import { atomic_fetch_add_release, smp_cond_load_acquire_ne, WRITE_ONCE, wake_up_var } from "./primitives.ts";
import { type Ptr, struct } from "./struct.ts";

export type Completion = Ptr<"completion">;
export const COMPLETION = struct("completion", ["done"]);

export function init_completion(x: Completion): void {
  WRITE_ONCE(x + COMPLETION.done, 0);
}
export function complete(x: Completion): void {
  atomic_fetch_add_release(1, x + COMPLETION.done);
  wake_up_var(x + COMPLETION.done);
}
export function wait_for_completion(x: Completion): void {
  smp_cond_load_acquire_ne(x + COMPLETION.done, 0);
}
