/** What the workers of a search and their coordinator say to each other. */

import type { Program } from "../../lang/ir.ts";
import type { FoundError } from "../errors.ts";
import type { Counterexample } from "../explore/counterexample.ts";
import type { LivelockResult } from "../explore/livelock.ts";
import type { ExploreOptions } from "../explore/result.ts";
import type { Capacity, CapacityError } from "../explore/state.ts";
import type { Trace } from "../trace/schema.ts";
import type { SavedShare } from "./checkpoint.ts";
import type { PartitionError } from "./partition.ts";

/**
 * Words of the shared control block: what everybody is to do, number of the saving, a row for each worker.
 */
export const COMMAND = 0;
export const SAVING = 1;
export const FIRST_ROW = 2;
export const ROW = 4;
/** Of a row: whether it has nothing to do, whether it has stopped expanding, messages sent and received. */
export const IDLE = 0;
export const PAUSED = 1;
export const SENT = 2;
export const RECEIVED = 3;

export const Command = { Run: 0, Pause: 1, Save: 2, Stop: 3, Quit: 4 } as const;

/** Of a worker's figures: states, steps, bytes of tables, states not expanded. */
export const FIGURES = 4;

export type SearchOptions = Omit<ExploreOptions, "onProgress">;

export interface ShareData {
  readonly program: Program;
  readonly options: SearchOptions;
  readonly capacity: Capacity;
  readonly index: number;
  readonly shares: number;
  readonly control: Int32Array;
  readonly figures: Float64Array;
  /** `rings[from][to]`. */
  readonly rings: readonly (readonly SharedArrayBuffer[])[];
  /** Folder that the share is saved to, and what is there to go on from. */
  readonly dir: string | null;
  readonly saved: SavedShare | null;
}

/** A way to an error: the states stored on it, packed, and how it ends. */
export interface Path {
  readonly states: readonly Int32Array[];
  readonly end: PartitionError;
}

export type ToShare =
  | { readonly type: "state"; readonly id: number }
  | { readonly type: "graph" }
  | { readonly type: "counterexample"; readonly path: Path }
  | { readonly type: "livelock" };

export type FromShare =
  | { readonly type: "saved"; readonly share: SavedShare }
  | {
      readonly type: "stopped";
      readonly transitions: number;
      readonly finalStates: number;
      readonly mayCycle: boolean;
      readonly observed: readonly (readonly number[])[];
      /** Stretches of code that ran, thread by thread, handler by handler. */
      readonly begun: readonly Uint8Array[];
    }
  | { readonly type: "error"; readonly error: PartitionError }
  | { readonly type: "capacity"; readonly what: CapacityError["what"]; readonly message: string }
  | { readonly type: "state"; readonly packed: Int32Array; readonly parent: number }
  | { readonly type: "graph"; readonly parent: Int32Array; readonly edges: Int32Array }
  | { readonly type: "counterexample"; readonly found: Counterexample }
  | {
      readonly type: "livelock";
      readonly found: LivelockResult["verdict"];
      readonly reason: string | null;
      readonly error: FoundError | null;
      readonly trace: Trace | null;
    }
  /** The share's folder could not be written or read. */
  | { readonly type: "disk"; readonly message: string }
  | { readonly type: "failed"; readonly message: string; readonly stack: string };
