/**
 * What the main thread and the CPUs of a run tell each other: the data a worker starts with and the messages
 * it sends. Everything that changes while threads run goes through shared words instead (control.ts).
 */

import type { MachineSettings } from "../machine/config.ts";
import type { BugKind } from "../machine/errors.ts";
import type { MemRegion, MemSymbol } from "../machine/image.ts";
import type { InjectedDelay, NoiseLevel } from "./noise.ts";

export interface CpuData {
  readonly cpu: number;
  readonly nrCpus: number;
  readonly ctl: Int32Array;
  /** Kernel memory, and what it was after boot. */
  readonly words: Int32Array;
  readonly image: Int32Array;
  readonly symbols: readonly MemSymbol[];
  readonly regions: readonly MemRegion[];
  readonly module: string;
  readonly scenario: string;
  readonly seed: number;
  /** Iterations after which the run ends; 0: no bound. */
  readonly iterations: number;
  readonly noise: NoiseLevel;
  readonly delays: readonly InjectedDelay[];
  /** Looks at a word before a CPU goes to sleep on it. */
  readonly spins: number;
  readonly stats: Float64Array;
  /** Addresses whose words are summed over iterations, after `finally`, into stats[STAT_COUNTERS + i]. */
  readonly counters: readonly number[];
  /** Configuration and boot-time addresses as booted. */
  readonly settings: MachineSettings;
}

// Words of `stats`, written by whoever is last at the barrier.
/** Epoch milliseconds at the start of the first iteration and at the end of the last. */
export const STAT_STARTED = 0;
export const STAT_ENDED = 1;
export const STAT_ITERATIONS = 2;
export const STAT_COUNTERS = 3;

/** A function on the stack of a bug, innermost first. */
export interface Frame {
  readonly fn: string;
  readonly file: string;
  readonly line: number;
  readonly col: number;
}

export type CpuMessage =
  | { readonly type: "ready" }
  /** The module has no such scenario, boot differs from the main thread's, or the module does not load. */
  | { readonly type: "unusable"; readonly message: string }
  | {
      readonly type: "bug";
      readonly kind: BugKind | "exception";
      readonly message: string;
      readonly addr: number;
      readonly cpu: number;
      /** The CPU on whose behalf an interrupt handler ran, or -1. */
      readonly onBehalf: number;
      /** True if it was raised by the scenario's end-of-run checks. */
      readonly atEnd: boolean;
      readonly iteration: number;
      /** Marked accesses of the thread before it; 0 if they were not counted. */
      readonly accesses: number;
      readonly longDelay: { readonly access: number; readonly micros: number } | null;
      readonly frames: readonly Frame[];
    }
  | {
      readonly type: "done";
      /** Sum of what the thread returned, over iterations. */
      readonly returned: number;
      readonly longDelay: { readonly access: number; readonly micros: number } | null;
    };
