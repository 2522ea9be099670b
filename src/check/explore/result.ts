/**
 * What one exploration is asked and what it answers: limits and switches, the verdict with its counts, the
 * error that was found. Plain data, so that a worker can send it. How the answer comes about is in
 * explore.ts.
 */

import type { AssertKind, Position } from "../../lang/ir.ts";
import type { FoundError } from "../errors.ts";
import type { Trace } from "../trace/schema.ts";
import type { TakenLock } from "./lockorder.ts";
import type { Model } from "./state.ts";

export interface ExploreOptions {
  readonly model: Model;
  /** Defaults: all on. */
  readonly partialOrder?: boolean;
  readonly merge?: boolean;
  readonly symmetry?: boolean;
  /**
   * Stop, as "bounded", above so many stored states (default 50 million) or bytes of tables (default 4 GiB).
   */
  readonly maxStates?: number;
  readonly maxBytes?: number;
  /** Stop, as "bounded", after so many seconds (default: none). */
  readonly maxSeconds?: number;
  /**
   * Whether the search ends at once when a run reaches the limit of the model that this message names;
   * otherwise (the default) it goes on with other runs, so that a violation is found that lies beside.
   */
  readonly stopAtBound?: (message: string) => boolean;
  /** Look for livelock when the state graph has cycles (default true). */
  readonly livelock?: boolean;
  /** Make the counterexample short (default true). */
  readonly shorten?: boolean;
  /** Record the counterexample as a trace (default true). */
  readonly trace?: boolean;
  /** Addresses whose values in each final state are to be collected in `observed`. */
  readonly observe?: readonly number[];
  /**
   * Asked in each final state, behind the end-of-run thread (which the program must have): what was not given
   * back, null if all was.
   */
  readonly atEnd?: (s: EndState) => { readonly message: string; readonly addr: number } | null;
  /** Called for each lock that is taken, in every execution that is looked at. */
  readonly onLock?: (lock: TakenLock) => void;
  /** Called about ten times a second; give false to stop as "bounded". */
  readonly onProgress?: (p: ExploreProgress) => boolean;
}

/** Memory when everything has ended. */
export interface EndState {
  word(addr: number): number;
  /** Whether the object is there that region number `region` of the program's memory is. */
  isLive(region: number): boolean;
}

export interface ExploreProgress {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** An assertion as written; inlined copies of it count as one. */
export interface AssertionSite {
  readonly kind: AssertKind;
  readonly message: string;
  readonly file: string;
  readonly line: number;
  readonly fn: string;
}

export interface WaitSite {
  readonly thread: string;
  /** The kernel's name of the operation. */
  readonly op: string;
  /** Where it is, then the call sites outwards. */
  readonly where: readonly Position[];
}

/**
 * What some execution reached, of the code that was linked. Of a search that is complete, "never" means in no
 * execution; of one that was stopped, not so far.
 */
export interface Coverage {
  /** How many assertions the code has. BUG_ON() is one. */
  readonly assertions: number;
  /** Those of them that were never evaluated. */
  readonly neverEvaluated: readonly AssertionSite[];
  /** Threads that never came to their end. */
  readonly neverEnded: readonly string[];
  /** Waits at which somebody arrived and that nobody ever got past. */
  readonly neverPassed: readonly WaitSite[];
  /** How many functions the code has. */
  readonly functions: number;
  /** Those of which nothing ran. */
  readonly neverCalled: readonly string[];
  /** Source lines with code. */
  readonly lines: number;
  /** How many of them ran. */
  readonly linesReached: number;
  /**
   * Functions that flush TLBs by interrupting every CPU, where the memory holds more than one address space:
   * the kernel interrupts those of mm_cpumask() only, so that a walker in another mm is not waited for.
   */
  readonly flushesEveryMm: readonly string[];
}

export interface ExploreResult<M extends string = Model> {
  /** "bounded": a limit, a signal or something that the engine does not model ended the search. */
  readonly verdict: "holds" | "violated" | "bounded";
  /** Why it is bounded. */
  readonly reason: string | null;
  /** The first error found; null if none was. */
  readonly error: FoundError | null;
  /** The counterexample; null if there is none, or none was asked for. */
  readonly trace: Trace | null;
  readonly model: M;
  /** States stored. */
  readonly states: number;
  /** Steps taken between states. */
  readonly transitions: number;
  /** States in which every thread has finished. */
  readonly finalStates: number;
  /** Deepest the search stack went, in stored states. */
  readonly depth: number;
  /** Wall-clock seconds. */
  readonly seconds: number;
  /** Bytes of the tables at the end. */
  readonly bytes: number;
  /** Whether every reachable state was visited. */
  readonly complete: boolean;
  /** Null if violated: the search ended early. */
  readonly coverage: Coverage | null;
  /** Distinct values of the observed words over all final states, sorted; [] if none were asked for. */
  readonly observed: readonly (readonly number[])[];
}

/** Of a search that could not begin. */
export function emptyResult<M extends string>(model: M, reason: string): ExploreResult<M> {
  return {
    verdict: "bounded",
    reason,
    error: null,
    trace: null,
    model,
    states: 0,
    transitions: 0,
    finalStates: 0,
    depth: 0,
    seconds: 0,
    bytes: 0,
    complete: false,
    coverage: null,
    observed: [],
  };
}
