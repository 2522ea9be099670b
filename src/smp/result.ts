/**
 * What a run on real threads gives. A run samples: "clean" says that this many iterations met no violation,
 * never that there is none. Types and the line that reproduces a run; printing is the command line's
 * business.
 */

import type { BugKind } from "../machine/errors.ts";
import type { Frame } from "./protocol.ts";

export type SmpBugKind = BugKind | "exception";

export interface SmpBug {
  readonly kind: SmpBugKind;
  readonly message: string;
  /** Name of the location concerned, or "". */
  readonly location: string;
  readonly cpu: number;
  readonly thread: string;
  /** The CPU on whose behalf an interrupt handler ran, or -1. */
  readonly onBehalf: number;
  /** True: found by the scenario's end-of-run checks. */
  readonly atEnd: boolean;
  /** Number of the iteration in this run, from 0. */
  readonly iteration: number;
  /** Kernel functions on the stack, innermost first; [] for a deadlock. */
  readonly frames: readonly Frame[];
  /** Deadlock and livelock: one line per CPU. */
  readonly waiting: readonly string[];
  /** Long delays in force in that iteration, in the form that --delay takes. */
  readonly delays: readonly string[];
  /** Repeats the iteration's choices and delays. What the threads' real timing adds cannot be repeated. */
  readonly reproduce: string;
}

export interface SmpThreadResult {
  readonly name: string;
  readonly cpu: number;
  /** Sum over iterations of what the thread's function returned. */
  readonly returned: number;
}

export interface SmpResult {
  readonly schema: "holdfast.run/1";
  readonly scenario: string;
  readonly verdict: "clean" | "violated" | "interrupted";
  readonly bug: SmpBug | null;
  readonly seed: number;
  readonly cpus: number;
  /** Iterations that ended with their end-of-run checks. */
  readonly iterations: number;
  /** From the start of the first iteration to the end of the last. */
  readonly seconds: number;
  readonly threads: readonly SmpThreadResult[];
  /** Sums over iterations of the words asked for, by location name. */
  readonly counters: Readonly<Record<string, number>>;
}
