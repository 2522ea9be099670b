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
import { clearMarks, coverageOf } from "./coverage.ts";
import { runLast } from "./lastrun.ts";
import { findLivelock } from "./livelock.ts";
import type { Machine, StepError } from "./machine.ts";
import { Persistent } from "./persistent.ts";
import { FIRST_CAPACITY, moreCapacity, newMachine, type Prepared, prepare } from "./prepare.ts";
import type { ExploreOptions, ExploreResult } from "./result.ts";
import { shorten } from "./shorten.ts";
import { type Capacity, CapacityError, type Model } from "./state.ts";
import { StateTable, type Step } from "./statetable.ts";
import { VectorSet } from "./vectorset.ts";

/**
 * Above this many steps without a choice the state is stored all the same, so that endless runs close a
 * cycle.
 */
const CHAIN = 2048;

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
const hasStackObjects = (p: Program): boolean => Object.values(p.handlers).some((h) => h.once === true);

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

/**
 * Where `advance` stopped: at a state with a choice, at a final state, on an error, or where nothing more is
 * asked of this run: it reached a limit of the model, or somebody waits for what an assumption excludes.
 */
const Outcome = { Choice: 0, Final: 1, Error: 2, Pruned: 3 } as const;
type Outcome = (typeof Outcome)[keyof typeof Outcome];

class Search {
  private readonly prepared: Prepared;
  private readonly options: ExploreOptions;
  private readonly started: number;
  private readonly m: Machine;
  private readonly por: Persistent;
  private readonly table: StateTable;
  private readonly observer: VectorSet;
  private transitions = 0;
  private finalStates = 0;
  private maxDepth = 0;
  private sawCycle = false;
  private readonly partialOrder: boolean;
  private readonly merge: boolean;
  /** Steps enough from the state that `advance` stopped at, and all enabled ones. */
  private chosen = 0;
  private enabled = 0;
  private log: Step[] | null = null;
  private failure: FoundError | null = null;
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
    this.por = new Persistent(this.m, prepared.footprints);
    this.table = new StateTable(this.m, prepared.footprints, prepared.groupOf, options.symmetry ?? true);
    this.observer = new VectorSet(options.observe?.length ?? 0);
    this.partialOrder = options.partialOrder ?? true;
    this.merge = options.merge ?? true;
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
      transitions: this.transitions,
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
    return all.sort((x, y) => {
      const i = x.findIndex((v, k) => v !== y[k]);
      return i < 0 ? 0 : x[i] - y[i];
    });
  }

  private observe(): void {
    const addrs = this.options.observe;
    if (addrs === undefined || addrs.length === 0) return;
    const row = Int32Array.from(addrs, (a) => (this.m.valid(a) ? this.m.s[a] : POISON));
    this.observer.intern(row, 0);
  }

  /** Takes the step, if any, then every step that is the only one needed; stops where there is a choice. */
  private advance(step: number, choice: number): Outcome {
    const m = this.m;
    const T = m.total;
    let p = step;
    let c = choice;
    for (let chain = 0; ; chain++) {
      if (p >= 0) {
        this.transitions++;
        if (this.log !== null) this.log.push({ process: p, choice: c });
        if (!(p >= T ? m.drain(p - T) : m.step(p, c))) return this.fail(m.error, m.names[p % T]);
      }
      this.por.look();
      this.enabled = this.por.enabled;
      if (this.enabled === 0) return this.final();
      this.chosen = this.partialOrder ? this.por.choose() : this.enabled;
      if (!this.merge || chain >= CHAIN || (this.chosen & (this.chosen - 1)) !== 0) return Outcome.Choice;
      p = 31 - Math.clz32(this.chosen);
      c = 0;
      if (this.choices(p) > 1) return Outcome.Choice;
    }
  }

  private fail(error: StepError | null, thread: string): Outcome {
    if (error === null) throw new Error("a step failed without an error");
    this.failure = { kind: error.kind, message: error.message, thread, addr: error.addr };
    const on = error.kind === "bound" && this.options.stopAtBound?.(error.message) !== true;
    return on ? Outcome.Pruned : Outcome.Error;
  }

  private final(): Outcome {
    const m = this.m;
    const { stuck } = m.program;
    if (stuck !== undefined)
      for (let t = 0; t < m.total; t++)
        if (!m.finished(t) && m.nextAddr(t) === stuck) {
          this.failure = null;
          return Outcome.Pruned;
        }
    for (let t = 0; t < m.total; t++) {
      if (m.finished(t) && !m.queued(t)) continue;
      this.failure = { kind: "deadlock", message: "no thread can go on", thread: "", addr: 0 };
      return Outcome.Error;
    }
    return Outcome.Final;
  }

  /** How many successors the next step of process `p` has. */
  private choices(p: number): number {
    return p >= this.m.total ? 1 : this.m.choices(p);
  }

  run(): ExploreResult {
    const m = this.m;
    const table = this.table;
    const limits = {
      states: this.options.maxStates ?? 50_000_000,
      bytes: this.options.maxBytes ?? 2 ** 32,
      ms: (this.options.maxSeconds ?? Number.POSITIVE_INFINITY) * 1000,
    };
    if (!m.boot()) {
      this.fail(m.error, m.names[m.failedAtBoot]);
      const error = this.failure as FoundError; // just set
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
    let outcome = this.advance(-1, 0);
    let checkAt = 4096;
    let lastProgress = this.started;

    for (;;) {
      // Whether the machine is in the state on top of the stack: true of one just put there.
      let there = false;
      if (outcome === Outcome.Error) return this.violated(process, choice, level);
      if (outcome === Outcome.Pruned && this.limit === null && this.failure !== null)
        this.limit = {
          error: this.failure,
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
            this.fail(m.error, m.names[m.last]);
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
          todo[level] = this.chosen;
          all[level] = this.enabled;
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
            transitions: this.transitions,
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
          choices[level] = this.choices(next);
          break;
        }
        onStack[ids[level]] = 0;
        level--;
        there = false;
      }
      outcome = this.advance(process[level], choice[level]);
    }
  }

  private finish(): ExploreResult {
    if (this.limit !== null) {
      this.failure = this.limit.error;
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
    const error = this.failure as FoundError; // set by whoever gave Outcome.Error
    const stats = { transitions: this.transitions };
    // Replay the decisions of the stack with the log on: the steps in between follow from them.
    const log: Step[] = [];
    this.log = log;
    this.m.boot();
    this.advance(-1, 0);
    for (let l = 0; l <= level; l++) this.advance(process[l], choice[l]);
    this.log = null;
    this.transitions = stats.transitions;
    const steps = (this.options.shorten ?? true) ? shorten(this.prepared, this.m, log, error) : log;
    const shown = this.errorOf(steps, error);
    return this.result("violated", null, shown, this.record(steps, shown));
  }

  /**
   * The error that these steps end in: of the same kind as the one found, maybe another thread's or object's.
   */
  private errorOf(steps: readonly Step[], found: FoundError): FoundError {
    const { m } = this;
    const T = m.total;
    const now = (thread: string): FoundError => {
      this.fail(m.error, thread);
      return this.failure as FoundError; // just set
    };
    m.boot();
    for (const { process: p, choice } of steps)
      if (!(p >= T ? m.drain(p - T) : m.step(p, choice))) return now(m.names[p % T]);
    if (found.kind === "deadlock" && found.thread === "") return found;
    return runLast(m) ? found : now(m.names[m.last]);
  }
}

function grown(a: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const next = new Int32Array(length);
  next.set(a);
  return next;
}
