/**
 * The `enumerate` engine: every execution of a litmus-size program that a memory model accepts, load
 * buffering included, counted as herd7 counts them. Each thread is run symbolically into paths (path.ts);
 * each combination of paths is a candidate (candidate.ts); the executions of a candidate are searched, pruned
 * and where possible counted without being built (search.ts). A limit that is hit is reported, never passed
 * off as an answer.
 */
import type { Program } from "../../lang/ir.ts";
import type { MemoryModel } from "../models/model.ts";
import { Candidate } from "./candidate.ts";
import { eachCombination } from "./combine.ts";
import { type Feasible, feasiblePaths } from "./feasible.ts";
import type { Path } from "./path.ts";
import { EnumerateError, pathsOf } from "./path.ts";
import { writeOrders } from "./plan.ts";
import { locationRanges } from "./ranges.ts";
import { Search } from "./search.ts";
import type { StateSet } from "./states.ts";
import type { Predicate, Slot, Witness } from "./tally.ts";
import { Found, Tally } from "./tally.ts";

export interface EnumerateOptions {
  readonly model: MemoryModel;
  /** What the predicates get one value of each for. */
  readonly observe: readonly Slot[];
  /** How many of these, from the first, make up a state; default all. */
  readonly stateWidth?: number;
  readonly condition: Predicate;
  readonly filter?: Predicate;
  /** How often a loop is unrolled; herd7's default is 2. */
  readonly unroll?: number;
  /** Give up after so many milliseconds. */
  readonly timeout?: number;
  /** Give up after so many model evaluations. */
  readonly maxSteps?: number;
  readonly keepWitness?: boolean;
  /** Stop at the first execution in which the condition holds, or does not. The counts are then partial. */
  readonly stopAt?: "positive" | "negative";
  /** Do not even look at executions of the other kind, which are then not counted. */
  readonly only?: "positive" | "negative";
  /**
   * Called for each accepted execution, none being counted without having been built; true: that is enough.
   */
  readonly onExecution?: (x: Witness, holds: boolean) => boolean;
}

export interface EnumerateResult {
  /** "bounded": some loop was cut at the bound. "gave-up": the counts are those reached so far. */
  readonly status: "ok" | "bounded" | "gave-up";
  readonly message: string;
  /** Accepted executions in which the condition holds, and those in which it does not. */
  readonly positive: number;
  readonly negative: number;
  /** The distinct states. */
  readonly states: StateSet;
  readonly flags: readonly string[];
  /** Evaluations of the model. */
  readonly steps: number;
  readonly candidates: number;
  readonly witness: Witness | null;
  readonly counterWitness: Witness | null;
}

/** Events of an execution beyond which nothing is tried: a relation takes the square of that in bits. */
const MAX_EVENTS = 2500;
/** Events from which on a single question to the model takes so long that it looks at the clock itself. */
const MANY = 250;

/** Reads of the initial memory of a program. */
export function initialValue(program: Program): (loc: number) => number {
  const { words } = program.memory;
  const origin = program.memory.origin ?? 0;
  return (loc) => words[loc - origin] ?? 0;
}

/** Every location that an access may go to. */
export function locationsOf(program: Program): number[] {
  const out: number[] = [];
  for (const s of program.memory.symbols) for (let i = 0; i < s.words; i++) out.push(s.base + i);
  return out;
}

/** All feasible whole paths, per thread. Throws EnumerateError if a thread cannot be enumerated. */
export function programPaths(program: Program, unroll = 2, check: () => void = () => {}): Feasible {
  const locations = locationsOf(program);
  const ranges = locationRanges(program, check);
  const all = program.threads.map((t) => {
    check();
    return pathsOf(t, { unroll, maxPaths: 5000, maxEvents: 400, locations, ranges, check });
  });
  return feasiblePaths(all, initialValue(program), check);
}

export function enumerate(program: Program, options: EnumerateOptions): EnumerateResult {
  const deadline = performance.now() + (options.timeout ?? 60_000);
  const tally = new Tally(
    options.observe,
    options.condition,
    options.filter ?? (() => 1),
    initialValue(program),
    {
      maxSteps: options.maxSteps ?? Number.POSITIVE_INFINITY,
      deadline,
    },
    options.stateWidth,
  );
  tally.place = (t, pos) => {
    const p = program.threads[t].positions[pos];
    return `${p.file}:${p.line}:${p.col}`;
  };
  tally.stopAt = options.stopAt ?? null;
  tally.unwanted = unwanted(options);
  tally.keepWitness = options.keepWitness ?? false;
  tally.onExecution = options.onExecution ?? null;
  let status: EnumerateResult["status"] = "ok";
  let message = "";
  let candidates = 0;
  try {
    const check = (): void => tally.checkTime();
    if (program.threads.length > MAX_EVENTS)
      throw new EnumerateError("gave-up", `${program.threads.length} threads, more than ${MAX_EVENTS}`);
    const { paths: whole, bounded } = programPaths(program, options.unroll, check);
    const accesses = whole.reduce((n, list) => n + Math.max(0, ...list.map((p) => p.events.length)), 0);
    if (accesses > MAX_EVENTS)
      throw new EnumerateError("gave-up", `${accesses} events in one execution, more than ${MAX_EVENTS}`);
    if (bounded) {
      status = "bounded";
      message = `a loop was unrolled ${options.unroll ?? 2} times; executions that go on are left out`;
    }
    const origin = program.memory.origin ?? 0;
    const observed = new Set(options.observe.flatMap((s) => (s.k === "loc" ? [s.loc] : [])));
    const writers = whole.map((list) => list.map(writtenValues));
    eachCombination(whole, tally.initial, check, (combo) => {
      if (!plausible(combo, whole, writers, tally.initial)) return;
      candidates++;
      const candidate = new Candidate(combo, origin, program.memory.words, observed);
      if (candidate.n > MANY) candidate.check = check;
      const model = options.model.bind(candidate);
      if (model === null) return;
      for (const orders of writeOrders(candidate)) new Search(candidate, model, tally, orders).run();
    });
  } catch (e) {
    if (e instanceof Found) {
      if (status === "ok") message = "stopped at the first execution that settles the question";
    } else {
      if (!(e instanceof EnumerateError) || e.kind !== "gave-up") throw e;
      status = "gave-up";
      message = e.message;
    }
  }
  return {
    status,
    message,
    positive: tally.positive,
    negative: tally.negative,
    states: tally.states,
    flags: [...tally.flags].sort(),
    steps: tally.steps,
    candidates,
    witness: tally.witness,
    counterWitness: tally.counterWitness,
  };
}

/** What the search may skip on values alone, or null if everything counts. */
function unwanted(options: EnumerateOptions): Predicate | null {
  const { filter, condition, only } = options;
  if (only !== undefined) {
    const other = only === "positive" ? 0 : 1;
    return (v) => (filter?.(v) === 0 || condition(v) === other ? 1 : 0);
  }
  return filter === undefined ? null : (v) => (filter(v) === 0 ? 1 : 0);
}

/** Constants that a path stores, by location; null where it stores something else. */
function writtenValues(path: Path): Map<number, number[] | null> {
  const out = new Map<number, number[] | null>();
  for (const e of path.events) {
    if (e.kind !== "W" && e.kind !== "srcu-unlock") continue;
    const list = out.get(e.loc);
    if (typeof e.value !== "number") out.set(e.loc, null);
    else if (list === undefined) out.set(e.loc, [e.value]);
    else list?.push(e.value);
  }
  return out;
}

/** Whether each read that must return one value can find it: a quick look before a candidate is built. */
function plausible(
  combo: readonly Path[],
  whole: readonly (readonly Path[])[],
  writers: readonly (readonly Map<number, number[] | null>[])[],
  initial: (loc: number) => number,
): boolean {
  for (const p of combo) {
    for (const c of p.constraints) {
      if (!c.eq || typeof c.sym === "number" || c.sym.k !== "read") continue;
      const e = p.events[c.sym.event];
      if (e === undefined || initial(e.loc) === c.value) continue;
      let found = false;
      for (let t = 0; t < combo.length && !found; t++) {
        const list = writers[t][whole[t].indexOf(combo[t])].get(e.loc);
        found = list === null || list?.includes(c.value) === true;
      }
      if (!found) return false;
    }
  }
  return true;
}
