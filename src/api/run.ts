/** `run()`: a scenario on real threads, again and again. */

import type { SmpResult } from "../smp/result.ts";
import type { DelaySpec } from "../smp/run.ts";
import { locate, type ScenarioOrWord } from "./scenario.ts";

export interface RunOptions {
  /** What choices and delays are drawn from; default 1. */
  readonly seed?: number;
  /** Stop after so many iterations. With no bound at all, one is run. */
  readonly iterations?: number;
  /** Stop after so many seconds; the first bound to be reached ends the run. */
  readonly seconds?: number;
  /** Random delays between accesses; default true. */
  readonly noise?: boolean;
  /** Delays of one thread at one access or location, in microseconds. */
  readonly delays?: readonly DelaySpec[];
  /** Names of locations whose words, after each iteration, are summed into `counters`. */
  readonly counters?: readonly string[];
  readonly signal?: AbortSignal;
  /** Called some forty times a second with the iterations so far and the seconds that they took. */
  readonly onProgress?: (iterations: number, seconds: number) => void;
}

/**
 * Runs a scenario on real threads, a worker and a CPU for each, and stops at the first violation.
 *
 * A run samples executions: "clean" says that these iterations met no violation, never that there is none.
 *
 * @throws UserError for a file, name or scenario that cannot be used; DialectError for kernel code outside
 * the dialect.
 * @example
 * ```ts
 * import { run } from "holdfast";
 *
 * const { verdict, iterations, bug } = await run("holdfast/examples/kref.ts#kref-careful", { seconds: 1 });
 * console.log(verdict, iterations > 0, bug); // clean true null
 * ```
 */
export async function run(what: ScenarioOrWord, options: RunOptions = {}): Promise<SmpResult> {
  const { scenario, definedIn } = await locate(what);
  const { runScenario } = await import("../smp/run.ts");
  const { asRunError } = await import("../cli/run-errors.ts");
  const { noise, ...rest } = options;
  const word = typeof what === "string" ? what : scenario.name;
  try {
    return await runScenario(scenario, {
      ...rest,
      definedIn,
      noise: noise === false ? "off" : "on",
      command: `holdfast run --scenario ${word}`,
    });
  } catch (e) {
    throw asRunError(e, scenario.name);
  }
}
