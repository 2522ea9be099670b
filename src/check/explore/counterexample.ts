/**
 * From the steps that ended in an error to what a person is shown: made short, run again for the error that
 * they end in, recorded.
 */

import type { FoundError } from "../errors.ts";
import { recordTrace } from "../trace/record.ts";
import type { Trace } from "../trace/schema.ts";
import { runLast } from "./lastrun.ts";
import type { Machine, StepError } from "./machine.ts";
import type { Prepared } from "./prepare.ts";
import type { ExploreOptions } from "./result.ts";
import { shorten } from "./shorten.ts";
import type { Step } from "./statetable.ts";

export interface Counterexample {
  readonly error: FoundError;
  readonly trace: Trace | null;
}

/** `log`: every step from the initial state into the error. */
export function counterexample(
  prepared: Prepared,
  m: Machine,
  log: readonly Step[],
  error: FoundError,
  options: ExploreOptions,
): Counterexample {
  const steps = (options.shorten ?? true) ? shorten(prepared, m, log, error) : log;
  const shown = errorOf(m, steps, error);
  return { error: shown, trace: (options.trace ?? true) ? recordTrace(m, steps, shown) : null };
}

/**
 * The error that these steps end in: of the same kind as the one found, maybe another thread's or object's.
 */
function errorOf(m: Machine, steps: readonly Step[], found: FoundError): FoundError {
  const T = m.total;
  const now = (e: StepError | null, thread: string): FoundError => {
    if (e === null) throw new Error("a step failed without an error");
    return { kind: e.kind, message: e.message, thread, addr: e.addr };
  };
  m.boot();
  for (const { process: p, choice } of steps)
    if (!(p >= T ? m.drain(p - T) : m.step(p, choice))) return now(m.error, m.names[p % T]);
  if (found.kind === "deadlock" && found.thread === "") return found;
  return runLast(m) ? found : now(m.error, m.names[m.last]);
}
