/**
 * The search over a program's executions on weak memory: every state that the machine (machine.ts) can reach,
 * depth first, with an exact visited set. Reductions, each of which can be turned off and is tested against
 * being off: only a persistent set of each state's threads is stepped (persistent.ts), a state with a single
 * successor is not stored, threads with the same code are interchangeable, marks of accesses that say no more
 * than others go (marks.ts). Cycle proviso: when a step leads
 * back to a state on the search stack, that state is expanded fully.
 */

import { compileThread } from "../../lang/emit.ts";
import { isVisible, type Program, type ThreadIr, type VisibleInstr } from "../../lang/ir.ts";
import type { FoundError } from "../errors.ts";
import { runLast } from "../explore/lastrun.ts";
import { Machine } from "../explore/machine.ts";
import { rowsOf } from "../explore/observations.ts";
import { FIRST_CAPACITY } from "../explore/prepare.ts";
import { type ExploreProgress, type ExploreResult, emptyResult } from "../explore/result.ts";
import { SearchLimits, Stopped } from "../explore/searchlimits.ts";
import { SearchStack } from "../explore/searchstack.ts";
import type { Step } from "../explore/statetable.ts";
import { VectorSet } from "../explore/vectorset.ts";
import { operationName } from "../trace/names.ts";
import type { Trace } from "../trace/schema.ts";
import { CapacityError } from "./capacity.ts";
import { WeakMachine } from "./machine.ts";
import { MAPPINGS, type WeakModel } from "./ordering.ts";
import { Persistent } from "./persistent.ts";
import { type Body, type Prepared, prepare } from "./prepare.ts";
import { recordTrace } from "./record.ts";
import { StateTable } from "./statetable.ts";
import type { StepError } from "./threads.ts";

export interface WeakOptions {
  readonly model: WeakModel;
  /** Defaults: all on. */
  readonly partialOrder?: boolean;
  readonly merge?: boolean;
  readonly symmetry?: boolean;
  readonly mergeMarks?: boolean;
  /**
   * Stop, as "bounded", above so many stored states (default 50 million) or bytes of tables (default 4 GiB).
   */
  readonly maxStates?: number;
  readonly maxBytes?: number;
  /** Stop, as "bounded", after so many seconds (default: none). */
  readonly maxSeconds?: number;
  /** As in check/explore: whether the search ends when a run reaches the limit that this message names. */
  readonly stopAtBound?: (message: string) => boolean;
  /** Addresses whose values in each final state are to be collected in `observed`. */
  readonly observe?: readonly number[];
  /** Record the counterexample (default true). */
  readonly trace?: boolean;
  /** Called, if the program holds, with the operations that some execution comes past. */
  readonly onRan?: (ran: ReadonlySet<VisibleInstr>) => void;
  /** Called about ten times a second; give false to stop as "bounded". */
  readonly onProgress?: (p: ExploreProgress) => boolean;
}

export type WeakResult = ExploreResult<WeakModel>;

/**
 * Above this many steps without a choice the state is stored all the same, so that endless runs close a
 * cycle.
 */
const CHAIN = 2048;
/** Limits are looked at every so many steps, of which each may take a millisecond in a large program. */
const LOOK = 16;
/** Words of a set of messages, at first and at most. */
const FIRST_WORDS = 1;
const MAX_WORDS = 16;
const MAX_INSTANCES = 4;

/** Values that one write is promised with, at most. */
const MAX_PROMISED = 24;
type Promises = WeakMachine["promises"];

/**
 * Explores `program` completely, or says why not. Throws only on programs that are malformed. Where load
 * buffering is possible, which values a write may be promised with is found by searching again, with what it
 * was before, until nothing new is written.
 */
export function exploreWeak(program: Program, options: WeakOptions): WeakResult {
  const started = performance.now();
  const missing = notModelled(program);
  if (missing !== null) return emptyResult(options.model, missing);
  const limits = new SearchLimits(options, started);
  let prepared: Prepared;
  try {
    prepared = prepare(program, MAPPINGS[options.model], limits.look);
  } catch (e) {
    if (!(e instanceof Stopped)) throw e;
    return { ...emptyResult(options.model, e.message), seconds: (performance.now() - started) / 1000 };
  }
  const promises: Promises = new Map();
  let instances = 1;
  let words = FIRST_WORDS;
  for (;;) {
    let search: Search | null = null;
    try {
      search = new Search(prepared, options, instances, words, started, promises);
      const result = search.run();
      const limited = result.error !== null && search.wentOn;
      if (result.verdict !== "holds" && !limited) return result;
      const more = search.more(promises);
      if (more === "none") {
        options.onRan?.(search.ran());
        return result;
      }
      if (more !== "some")
        return search.result("bounded", `${more}: load buffering is not covered: too many values`);
    } catch (e) {
      if (!(e instanceof CapacityError)) throw e;
      if (e.what === "handlers" && instances < MAX_INSTANCES) instances++;
      else if (e.what === "messages" && words < MAX_WORDS) words *= 2;
      else
        return search === null ? emptyResult(options.model, e.message) : search.result("bounded", e.message);
    }
  }
}

/** What of the program this machine has no step for; null if it has one for everything. */
function notModelled({ threads, handlers, finally: last, memory }: Program): string | null {
  const bodies = [...threads, ...Object.values(handlers), ...(last === null ? [] : [last])];
  // One that lives from the beginning, and begins at no other time, is as any object.
  const begun = new Set<number>();
  for (const t of bodies)
    for (const b of t.blocks)
      for (const i of b.instrs) if (i.op === "revive" && i.addr.reg < 0) begun.add(i.addr.imm);
  const region = memory.regions.find((r) => r.stack === true && (!r.live || begun.has(r.base)));
  if (region !== undefined) return `${region.name}, a local variable in memory, is not modelled here`;
  for (const t of bodies)
    for (const b of t.blocks)
      for (const i of b.instrs) {
        if (!isVisible(i)) continue;
        const sends = i.op === "smp_call_function" && (i.handler !== "" || i.b.reg >= 0 || i.b.imm !== -1);
        if (sends) return `${t.name}: an IPI with a handler, or to some CPUs only, is not modelled here`;
        if (NOT_MODELLED.has(i.op)) return `${t.name}: ${operationName(i)}() is not modelled here`;
      }
  return null;
}

const NOT_MODELLED: ReadonlySet<string> = new Set<VisibleInstr["op"]>([
  "acquire",
  "queue",
  "preempt_count_add",
  "context",
]);

/** Where `advance` stopped: at a state with a choice, at a final state, on an error, or at a limit. */
const Outcome = { Choice: 0, Final: 1, Error: 2, Impossible: 3, Limit: 4 } as const;
type Outcome = (typeof Outcome)[keyof typeof Outcome];

class Search {
  private readonly prepared: Prepared;
  private readonly options: WeakOptions;
  private readonly started: number;
  private readonly m: WeakMachine;
  private readonly por: Persistent;
  private readonly table: StateTable;
  private readonly stack: SearchStack;
  private readonly observer: VectorSet;
  private readonly last: Machine | null;
  private readonly partialOrder: boolean;
  private readonly merge: boolean;
  private transitions = 0;
  private finalStates = 0;
  private chosen = 0;
  private enabled = 0;
  private log: Step[] | null = null;
  private failure: FoundError | null = null;
  /** The first run that reached a limit of the model and went no further. */
  private limit: { error: FoundError; process: Int32Array; choice: Int32Array } | null = null;

  constructor(
    prepared: Prepared,
    options: WeakOptions,
    instances: number,
    words: number,
    started: number,
    promises: Promises,
  ) {
    this.prepared = prepared;
    this.options = options;
    this.started = started;
    this.m = new WeakMachine(prepared, MAPPINGS[options.model], instances, words);
    this.m.mergeMarks = options.mergeMarks ?? true;
    for (const [body, byPc] of promises) this.m.promises.set(body, byPc);
    this.por = new Persistent(this.m);
    this.table = new StateTable(this.m, options.symmetry ?? true);
    this.stack = new SearchStack(this.table, this.m);
    this.observer = new VectorSet(options.observe?.length ?? 0);
    this.partialOrder = options.partialOrder ?? true;
    this.merge = options.merge ?? true;
    const { program, end, footprints } = prepared;
    // The end-of-run check runs alone, when all is over: what memory it runs on makes no difference.
    this.last =
      end === null
        ? null
        : new Machine(
            { program: { ...program, threads: [] }, codes: [], groups: [], end: compileThread(end) },
            FIRST_CAPACITY,
            "sc",
            footprints.locOfAddr,
          );
  }

  result(
    verdict: WeakResult["verdict"],
    reason: string | null,
    error: FoundError | null = null,
    trace: Trace | null = null,
  ): WeakResult {
    return {
      verdict,
      reason,
      error,
      trace,
      model: this.options.model,
      states: this.table.size,
      transitions: this.transitions,
      finalStates: this.finalStates,
      depth: this.stack.depth,
      seconds: (performance.now() - this.started) / 1000,
      bytes: this.table.bytes,
      complete: verdict === "holds",
      coverage: null,
      observed: rowsOf(this.observer),
    };
  }

  /** The program's operations that some execution has come past. */
  ran(): ReadonlySet<VisibleInstr> {
    const { program, threads, handlers } = this.prepared;
    const found = new Set<VisibleInstr>();
    const add = (ir: ThreadIr, body: Body): void => {
      const ran = this.m.ran.get(body);
      body.code.ops.forEach(({ block, index }, pc) => {
        if (ran?.[pc] === 1) found.add(ir.blocks[block].instrs[index] as VisibleInstr); // operations are
      });
    };
    program.threads.forEach((ir, t) => {
      add(ir, threads[t]);
    });
    for (const [name, body] of handlers) add(program.handlers[name], body);
    return found;
  }

  /** Adds what overtaking writes were seen to write to `known`: "none", "some", or where it is too much. */
  more(known: Promises): string {
    let answer = "none";
    for (const [body, byPc] of this.m.written) {
      let pcs = known.get(body);
      if (pcs === undefined) known.set(body, (pcs = new Map()));
      for (const [pc, byLoc] of byPc) {
        let locs = pcs.get(pc);
        if (locs === undefined) pcs.set(pc, (locs = new Map()));
        for (const [l, values] of byLoc) {
          const before = locs.get(l);
          const all = new Set([...(before ?? []), ...values]);
          if (all.size === (before?.size ?? 0)) continue;
          if (all.size > MAX_PROMISED) {
            const p = body.code.positions[body.code.ops[pc].pos];
            return `${p.file}:${p.line}`;
          }
          locs.set(l, all);
          answer = "some";
        }
      }
    }
    return answer;
  }

  /** Takes the step, if any, then every step that is the only one needed; stops where there is a choice. */
  private advance(step: number, choice: number): Outcome {
    const m = this.m;
    let p = step;
    let c = choice;
    for (let chain = 0; ; chain++) {
      if (p >= 0) {
        this.transitions++;
        if (this.log !== null) this.log.push({ process: p, choice: c });
        m.choices(p);
        if (!m.step(p, c)) return this.fail(m.error);
        if (m.impossible) return Outcome.Impossible;
      }
      this.por.look();
      this.enabled = this.por.enabled;
      // Who could go on only by reading what will not last may as well wait for ever.
      if (this.enabled === (m.v.anyPromised ? 0 : this.por.inVain)) return this.final();
      this.chosen = this.partialOrder ? this.por.choose() : this.enabled;
      if (!this.merge || chain >= CHAIN || (this.chosen & (this.chosen - 1)) !== 0) return Outcome.Choice;
      p = 31 - Math.clz32(this.chosen);
      c = 0;
      if (m.choices(p) > 1) return Outcome.Choice;
    }
  }

  private fail(error: StepError | null): Outcome {
    if (error === null) throw new Error("a step failed without an error");
    const { kind, message, addr, thread } = error;
    this.failure = { kind, message, thread: this.m.names[thread] ?? "", addr };
    const on = kind === "bound" && this.options.stopAtBound?.(message) !== true;
    return on ? Outcome.Limit : Outcome.Error;
  }

  private final(): Outcome {
    const m = this.m;
    if (m.v.anyPromised) return Outcome.Impossible;
    const { stuck } = this.prepared.program;
    if (stuck !== undefined)
      for (let t = 0; t < m.total; t++)
        if (!m.finished(t) && m.nextAddr(t) === stuck) return Outcome.Impossible;
    for (let t = 0; t < m.total; t++) {
      if (m.finished(t) && !m.queued(t)) continue;
      this.failure = { kind: "deadlock", message: "no thread can go on", thread: "", addr: 0 };
      return Outcome.Error;
    }
    return Outcome.Final;
  }

  /** Runs the end-of-run check on the memory that the threads have left. */
  private runLast(): boolean {
    const { last, m, prepared } = this;
    if (last === null) return true;
    last.boot();
    for (let l = 0; l < prepared.locations; l++) {
      const at = l < prepared.firstRegion ? prepared.addressOf[l] : last.n + prepared.addressOf[l];
      last.s[at] = m.v.last(l);
    }
    if (runLast(last)) return true;
    const e = last.error;
    if (e === null) throw new Error("the end-of-run check failed without an error");
    this.failure = { kind: e.kind, message: e.message, thread: last.names[last.last] ?? "", addr: e.addr };
    return false;
  }

  private observe(): void {
    const addrs = this.options.observe;
    if (addrs === undefined || addrs.length === 0) return;
    this.observer.intern(
      Int32Array.from(addrs, (a) => this.m.lastAt(a)),
      0,
    );
  }

  run(): WeakResult {
    const { m, table, stack } = this;
    const limits = new SearchLimits(this.options, this.started);
    if (!m.boot()) {
      this.fail(m.error);
      return this.violated(stack.process, stack.choice, stack.level);
    }
    let outcome = this.advance(-1, 0);
    let checkAt = LOOK;
    for (;;) {
      if (outcome === Outcome.Error) return this.violated(stack.process, stack.choice, stack.level);
      if (outcome === Outcome.Limit && this.limit === null && this.failure !== null)
        this.limit = {
          error: this.failure,
          process: stack.process.slice(0, stack.level + 1),
          choice: stack.choice.slice(0, stack.level + 1),
        };
      const id = outcome === Outcome.Impossible || outcome === Outcome.Limit ? -1 : table.intern();
      if (id < 0) {
        // No execution goes this way, or it goes no further.
      } else if (table.added) {
        if (outcome === Outcome.Final) {
          this.finalStates++;
          this.observe();
          if (!this.runLast()) return this.violated(stack.process, stack.choice, stack.level);
        } else stack.push(id, this.chosen, this.enabled);
      } else if (outcome !== Outcome.Final && stack.has(id)) stack.expandTop();

      if (this.transitions >= checkAt) {
        checkAt = this.transitions + LOOK;
        const why = limits.reached(table.size, table.bytes, this.transitions, stack.level);
        if (why !== null) return this.result("bounded", why);
      }
      if (!stack.next()) return this.limit === null ? this.result("holds", null) : this.atLimit();
      outcome = this.advance(stack.process[stack.level], stack.choice[stack.level]);
    }
  }

  /** The search is complete but for runs that reached a limit of the model. */
  get wentOn(): boolean {
    return this.limit !== null && this.failure === this.limit.error;
  }

  private atLimit(): WeakResult {
    const { error, process, choice } = this.limit as NonNullable<typeof this.limit>; // run() has looked
    this.failure = error;
    return this.violated(process, choice, process.length - 1);
  }

  private violated(process: Int32Array, choice: Int32Array, level: number): WeakResult {
    const error = this.failure as FoundError; // set by whoever gave Outcome.Error
    const { transitions } = this;
    // Replay the decisions of the stack with the log on: the steps in between follow from them.
    const log: Step[] = [];
    this.log = log;
    if (this.m.boot()) {
      this.advance(-1, 0);
      for (let l = 0; l <= level; l++) this.advance(process[l], choice[l]);
    }
    this.log = null;
    this.transitions = transitions;
    this.failure = error;
    return this.result(
      "violated",
      null,
      error,
      this.options.trace === false ? null : recordTrace(this.m, log, error),
    );
  }
}
