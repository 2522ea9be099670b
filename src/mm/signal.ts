/**
 * Pending signals (include/linux/sched/signal.h). Custom: one word says whether SIGKILL is pending for who
 * runs.
 */
"use kernel";

import { kernel } from "../machine/config.ts";
import { READ_ONCE } from "../machine/primitives.ts";

/** Never where none can come; linking drops what would follow. */
export function fatal_signal_pending(): boolean {
  return kernel.fatal_signal !== 0 && READ_ONCE(kernel.fatal_signal) !== 0;
}
