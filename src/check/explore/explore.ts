/**
 * Explicit-state exploration: every reachable state of a program under SC or TSO, depth first, with an exact
 * visited set. A state is stored as a tuple of component numbers: the shared words, and each thread's frame,
 * are interned in tables of their own ("collapse", Holzmann, "State Compression in SPIN", 1997), which keeps
 * a state at a few words.
 *
 * Reductions, each of which can be turned off and is tested against being off:
 *  - partial order: only a persistent set of each state's steps is taken (persistent.ts). Cycle proviso: when
 *    a step of a reduced state leads back to a state on the search stack, that state is expanded fully.
 *  - merging: a state from which one step is enough is not stored; the search runs on to the next real
 *    choice.
 *  - symmetry: threads with identical code are interchangeable, so their frames are sorted before a state is
 *    looked up. Identical means that not even their CPU number shows; data is not permuted, since loops visit
 *    it in order.
 *
 * A search that stops early for any reason is "bounded", never "holds".
 */

import type { Program } from "../../lang/ir.ts";
import { POISON } from "../../machine/image.ts";
import type { FoundError } from "../errors.ts";
import { recordTrace } from "../trace/record.ts";
import type { Trace } from "../trace/schema.ts";
import { counterexample } from "./counterexample.ts";
import { clearMarks, coverageOf } from "./coverage.ts";
import { runLast } from "./lastrun.ts";
import { findLivelock } from "./livelock.ts";
import type { Machine } from "./machine.ts";
import { rowsOf } from "./observations.ts";
import { FIRST_CAPACITY, moreCapacity, newMachine, type Prepared, prepare } from "./prepare.ts";
import { type ExploreOptions, type ExploreResult, emptyResult } from "./result.ts";
import { SearchLimits, Stopped } from "./searchlimits.ts";
import { SearchStack } from "./searchstack.ts";
import { type Capacity, CapacityError } from "./state.ts";
import { StateTable, type Step } from "./statetable.ts";
import { Outcome, Stepper } from "./stepper.ts";
import { VectorSet } from "./vectorset.ts";

/** Explores `program` completely, or says why not. Throws only on programs that are malformed. */
export function explore(program: Program, options: ExploreOptions): ExploreResult {
  const started = performance.now();
  let prepared: Prepared;
  try {
    prepared = prepare(program, options.symmetry ?? true, new SearchLimits(options, started).look);
  } catch (e) {
    if (!(e instanceof Stopped)) throw e;
    return { ...emptyResult(options.model, e.message), seconds: (performance.now() - started) / 1000 };
  }
  clearMarks(prepared);
  let capacity = FIRST_CAPACITY;
  for (;;) {
    let search: Search | null = null;
    try {
      search = new Search(prepared, options, capacity, started);
      return search.run();
    } catch (e) {
      if (!(e instanceof CapacityError)) throw e;
      const full = search === null || (e.what === "handlers" && hasStackObjects(program));
      const more = full ? null : moreCapacity(capacity, e.what);
      if (more !== null) {
        capacity = more;
        continue;
      }
      return search === null
        ? emptyResult(options.model, e.message)
        : search.result("bounded", e.message, null, null);
    }
  }
}

/** Stack objects are those of one inlined body: a second instance of a handler would share them. */
export const hasStackObjects = (p: Program): boolean =>
  Object.values(p.handlers).some((h) => h.once === true);

/** Limits are looked at every so many states. */
const LOOK = 4096;

class Search {
  private readonly prepared: Prepared;
  private readonly options: ExploreOptions;
  private readonly started: number;
  private readonly m: Machine;
  private readonly stepper: Stepper;
  private readonly table: StateTable;
  private readonly stack: SearchStack;
  private readonly observer: VectorSet;
  private finalStates = 0;
  private sawCycle = false;
  /** The first limit of the model that a run reached, and the decisions that lead there. */
  private limit: {
    readonly error: FoundError;
    readonly process: Int32Array;
    readonly choice: Int32Array;
  } | null = null;

  constructor(prepared: Prepared, options: ExploreOptions, capacity: Capacity, started: number) {
    this.prepared = prepared;
    this.options = options;
    this.started = started;
    this.m = newMachine(prepared, capacity, options.model);
    this.m.onLock = options.onLock ?? null;
    this.m.atEnd = options.atEnd ?? null;
    this.stepper = new Stepper(prepared, this.m, {
      partialOrder: options.partialOrder ?? true,
      merge: options.merge ?? true,
      anyOrder: false,
      ...(options.stopAtBound === undefined ? {} : { stopAtBound: options.stopAtBound }),
      symmetry: false, // the table's business
    });
    this.table = new StateTable(this.m, prepared.footprints, prepared.groupOf, options.symmetry ?? true);
    this.stack = new SearchStack(this.table, this.stepper);
    this.observer = new VectorSet(options.observe?.length ?? 0);
  }

  result(
    verdict: ExploreResult["verdict"],
    reason: string | null,
    error: FoundError | null,
    trace: Trace | null,
  ): ExploreResult {
    return {
      verdict,
      reason,
      error,
      trace,
      model: this.options.model,
      states: this.table.size,
      transitions: this.stepper.transitions,
      finalStates: this.finalStates,
      depth: this.stack.depth,
      seconds: (performance.now() - this.started) / 1000,
      bytes: this.table.bytes,
      complete: verdict === "holds",
      coverage: verdict === "violated" ? null : coverageOf(this.prepared, this.finalStates),
      observed: rowsOf(this.observer),
    };
  }

  private observe(): void {
    const addrs = this.options.observe;
    if (addrs === undefined || addrs.length === 0) return;
    const row = Int32Array.from(addrs, (a) => (this.m.valid(a) ? this.m.s[a] : POISON));
    this.observer.intern(row, 0);
  }

  run(): ExploreResult {
    const { m, stepper, table, stack } = this;
    const limits = new SearchLimits(this.options, this.started);
    if (!stepper.boot()) {
      const error = stepper.failure as FoundError; // just set
      return this.result("violated", null, error, this.record([], error));
    }
    let outcome = stepper.advance(-1, 0);
    let checkAt = LOOK;
    for (;;) {
      if (outcome === Outcome.Error) return this.violated(stack.process, stack.choice, stack.level);
      if (outcome === Outcome.Pruned && this.limit === null && stepper.failure !== null)
        this.limit = {
          error: stepper.failure,
          process: stack.process.slice(0, stack.level + 1),
          choice: stack.choice.slice(0, stack.level + 1),
        };
      const id = outcome === Outcome.Pruned ? -1 : table.intern();
      if (id < 0) {
        // Back to the next step of the state on top.
      } else if (table.added) {
        if (outcome === Outcome.Final) {
          this.finalStates++;
          this.observe();
          if (!runLast(m)) {
            stepper.fail(m.error, m.names[m.last]);
            return this.violated(stack.process, stack.choice, stack.level);
          }
        } else stack.push(id, stepper.chosen, stepper.enabled);
      } else if (outcome !== Outcome.Final && stack.has(id)) {
        this.sawCycle = true;
        stack.expandTop();
      }

      if (table.size >= checkAt) {
        checkAt = table.size + LOOK;
        const why = limits.reached(table.size, table.bytes, stepper.transitions, stack.level);
        if (why !== null) return this.result("bounded", why, null, null);
      }
      if (!stack.next()) return this.finish();
      outcome = stepper.advance(stack.process[stack.level], stack.choice[stack.level]);
    }
  }

  private finish(): ExploreResult {
    if (this.limit !== null) {
      this.stepper.failure = this.limit.error;
      return this.violated(this.limit.process, this.limit.choice, this.limit.process.length - 1);
    }
    // Who waits behind an assumption that is false is no part of any fair run.
    if (this.m.program.stuck !== undefined) this.sawCycle = false;
    if (this.sawCycle && (this.options.livelock ?? true)) {
      const found = findLivelock(this.prepared, this.m, this.options);
      if (found.verdict === "bounded")
        return this.result(
          "bounded",
          `safe, but the search for livelock stopped: ${found.reason}`,
          null,
          null,
        );
      if (found.verdict === "livelock") {
        const error: FoundError = { kind: "livelock", message: found.message, thread: found.thread, addr: 0 };
        return this.result("violated", null, error, this.record(found.steps, error, found.stem));
      }
    }
    return this.result("holds", null, null, null);
  }

  /** The steps as a trace, if one is wanted. */
  private record(steps: readonly Step[], error: FoundError, cycle: number | null = null): Trace | null {
    return (this.options.trace ?? true) ? recordTrace(this.m, steps, error, cycle) : null;
  }

  private violated(process: Int32Array, choice: Int32Array, level: number): ExploreResult {
    const { stepper } = this;
    const error = stepper.failure as FoundError; // set by whoever gave Outcome.Error
    const { transitions } = stepper;
    // Replay the decisions of the stack with the log on: the steps in between follow from them.
    const log: Step[] = [];
    stepper.log = log;
    stepper.boot();
    stepper.advance(-1, 0);
    for (let l = 0; l <= level; l++) stepper.advance(process[l], choice[l]);
    stepper.log = null;
    stepper.transitions = transitions;
    const shown = counterexample(this.prepared, this.m, log, error, this.options);
    return this.result("violated", null, shown.error, shown.trace);
  }
}
