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
import { sortRows } from "./observations.ts";
import { FIRST_CAPACITY, moreCapacity, newMachine, type Prepared, prepare } from "./prepare.ts";
import type { ExploreOptions, ExploreResult } from "./result.ts";
import { type Capacity, CapacityError, type Model } from "./state.ts";
import { StateTable, type Step } from "./statetable.ts";
import { Outcome, Stepper } from "./stepper.ts";
import { VectorSet } from "./vectorset.ts";

/** Explores `program` completely, or says why not. Throws only on programs that are malformed. */
export function explore(program: Program, options: ExploreOptions): ExploreResult {
  const started = performance.now();
  const prepared = prepare(program, options.symmetry ?? true);
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

function emptyResult(model: Model, reason: string): ExploreResult {
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

class Search {
  private readonly prepared: Prepared;
  private readonly options: ExploreOptions;
  private readonly started: number;
  private readonly m: Machine;
  private readonly stepper: Stepper;
  private readonly table: StateTable;
  private readonly observer: VectorSet;
  private finalStates = 0;
  private maxDepth = 0;
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
    this.stepper = new Stepper(prepared, this.m, {
      partialOrder: options.partialOrder ?? true,
      merge: options.merge ?? true,
      anyOrder: false,
      ...(options.stopAtBound === undefined ? {} : { stopAtBound: options.stopAtBound }),
      symmetry: false, // the table's business
    });
    this.table = new StateTable(this.m, prepared.footprints, prepared.groupOf, options.symmetry ?? true);
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
      depth: this.maxDepth,
      seconds: (performance.now() - this.started) / 1000,
      bytes: this.table.bytes,
      complete: verdict === "holds",
      coverage: verdict === "violated" ? null : coverageOf(this.prepared, this.finalStates),
      observed: this.observations(),
    };
  }

  private observations(): number[][] {
    const all: number[][] = [];
    const width = this.observer.width;
    const row = new Int32Array(width);
    for (let i = 0; i < this.observer.size; i++) {
      this.observer.read(i, row, 0);
      all.push(Array.from(row));
    }
    return sortRows(all);
  }

  private observe(): void {
    const addrs = this.options.observe;
    if (addrs === undefined || addrs.length === 0) return;
    const row = Int32Array.from(addrs, (a) => (this.m.valid(a) ? this.m.s[a] : POISON));
    this.observer.intern(row, 0);
  }

  run(): ExploreResult {
    const { m, stepper, table } = this;
    const limits = {
      states: this.options.maxStates ?? 50_000_000,
      bytes: this.options.maxBytes ?? 2 ** 32,
      ms: (this.options.maxSeconds ?? Number.POSITIVE_INFINITY) * 1000,
    };
    if (!stepper.boot()) {
      const error = stepper.failure as FoundError; // just set
      return this.result("violated", null, error, this.record([], error));
    }
    // The stack, level by level: the state, what is still to do there, what was done, and the step in
    // progress.
    const width = table.tupleWidth;
    let capacity = 1024;
    let tuples = new Int32Array(capacity * width);
    let ids = new Int32Array(capacity);
    let todo = new Int32Array(capacity);
    let done = new Int32Array(capacity);
    let all = new Int32Array(capacity);
    let process = new Int32Array(capacity);
    let choice = new Int32Array(capacity);
    let choices = new Int32Array(capacity);
    let onStack = new Uint8Array(1 << 16);
    let level = -1;
    let outcome = stepper.advance(-1, 0);
    let checkAt = 4096;
    let lastProgress = this.started;

    for (;;) {
      // Whether the machine is in the state on top of the stack: true of one just put there.
      let there = false;
      if (outcome === Outcome.Error) return this.violated(process, choice, level);
      if (outcome === Outcome.Pruned && this.limit === null && stepper.failure !== null)
        this.limit = {
          error: stepper.failure,
          process: process.slice(0, level + 1),
          choice: choice.slice(0, level + 1),
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
            return this.violated(process, choice, level);
          }
        } else {
          level++;
          if (level > this.maxDepth) this.maxDepth = level;
          if (level === capacity) {
            capacity *= 2;
            tuples = grown(tuples, capacity * width);
            ids = grown(ids, capacity);
            todo = grown(todo, capacity);
            done = grown(done, capacity);
            all = grown(all, capacity);
            process = grown(process, capacity);
            choice = grown(choice, capacity);
            choices = grown(choices, capacity);
          }
          while (id >= onStack.length) {
            const next = new Uint8Array(onStack.length * 2);
            next.set(onStack);
            onStack = next;
          }
          table.copyTuple(tuples, level * width);
          ids[level] = id;
          todo[level] = stepper.chosen;
          all[level] = stepper.enabled;
          done[level] = 0;
          process[level] = -1;
          onStack[id] = 1;
          there = true;
        }
      } else if (outcome !== Outcome.Final && onStack[id] === 1) {
        this.sawCycle = true;
        if (level >= 0) todo[level] |= all[level] & ~done[level];
      }

      if (table.size >= checkAt) {
        checkAt = table.size + 4096;
        if (table.size > limits.states)
          return this.result("bounded", `more than ${limits.states} states`, null, null);
        if (table.bytes > limits.bytes)
          return this.result("bounded", `more than ${limits.bytes} bytes of states`, null, null);
        const now = performance.now();
        if (now - this.started > limits.ms)
          return this.result("bounded", `more than ${limits.ms / 1000} s`, null, null);
        if (this.options.onProgress !== undefined && now - lastProgress > 100) {
          lastProgress = now;
          const go = this.options.onProgress({
            states: table.size,
            transitions: this.stepper.transitions,
            depth: level,
            bytes: table.bytes,
            seconds: (now - this.started) / 1000,
          });
          if (!go) return this.result("bounded", "interrupted", null, null);
        }
      }

      // The next step: another value of the choice in progress, or another process; else back.
      for (;;) {
        if (level < 0) return this.finish();
        if (process[level] >= 0 && choice[level] + 1 < choices[level]) {
          if (!there) table.restore(tuples, level * width);
          choice[level]++;
          break;
        }
        if (todo[level] !== 0) {
          if (!there) table.restore(tuples, level * width);
          const next = 31 - Math.clz32(todo[level] & -todo[level]);
          todo[level] &= ~(1 << next);
          done[level] |= 1 << next;
          process[level] = next;
          choice[level] = 0;
          choices[level] = stepper.choices(next);
          break;
        }
        onStack[ids[level]] = 0;
        level--;
        there = false;
      }
      outcome = stepper.advance(process[level], choice[level]);
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

function grown(a: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const next = new Int32Array(length);
  next.set(a);
  return next;
}
