/**
 * Runs one litmus test under one memory model: parse, lower, enumerate, and say Never, Sometimes or Always as
 * herd7 does. The verdict is about the proposition itself, whatever its quantifier; no accepted execution at
 * all (a deadlock) is Never. A run that gave up has a verdict only if what it has seen settles it; one in
 * which a loop was cut is bounded and has none, whatever it has seen.
 */
import { type EnumerateResult, enumerate } from "../check/enumerate/enumerate.ts";
import { EnumerateError } from "../check/enumerate/path.ts";
import { StateSet } from "../check/enumerate/states.ts";
import type { Witness } from "../check/enumerate/tally.ts";
import type { MemoryModel } from "../check/models/model.ts";
import { type Observed, observe } from "./condition.ts";
import { type LoweredTest, lowerLitmus } from "./lower.ts";
import { parseLitmus } from "./parse.ts";

/** The message of a run whose filter leaves no execution over. */
export const NOTHING_PASSES = "no execution passes the filter";

export type Verdict = "Never" | "Sometimes" | "Always";

export interface RunOptions {
  readonly model: MemoryModel;
  /** Milliseconds after which to give up. */
  readonly timeout?: number;
  readonly unroll?: number;
  readonly keepWitness?: boolean;
  /**
   * Reachability only: stop at the first execution that settles the quantified condition. Counts are partial.
   */
  readonly fast?: boolean;
  /**
   * Only executions in which the condition holds, or does not: nothing is said of others, which are not
   * counted.
   */
  readonly only?: "positive" | "negative";
  /** Stop at the first such execution. */
  readonly stopAt?: "positive" | "negative";
  /**
   * Called for each accepted execution, none being counted without having been built; true: that is enough.
   */
  readonly onExecution?: (x: Witness, holds: boolean) => boolean;
  /** If counting gives up, spend up to half as long again on the verdict alone; default true. */
  readonly settle?: boolean;
}

export interface LitmusResult {
  readonly test: LoweredTest;
  readonly observed: Observed;
  readonly model: string;
  /** Null if the run gave up before it could tell, or a loop was cut. */
  readonly verdict: Verdict | null;
  readonly status: EnumerateResult["status"] | "error";
  /** How often loops were unrolled. */
  readonly unroll: number;
  readonly message: string;
  readonly positive: number;
  readonly negative: number;
  readonly stateCount: number;
  readonly states: StateSet;
  readonly flags: readonly string[];
  readonly steps: number;
  /** Wall-clock seconds. */
  readonly seconds: number;
  readonly run: EnumerateResult | null;
}

/** What a bounded result leaves out, and what to do. */
export const cutText = (r: LitmusResult): string =>
  `A loop was cut after ${r.unroll} round${r.unroll === 1 ? "" : "s"}, and executions that go on are not looked at: raise --unroll.`;

/** Parses and lowers; throws LitmusError. */
export function loadLitmus(path: string, source: string): LoweredTest {
  return lowerLitmus(parseLitmus(path, source));
}

export function runLitmus(test: LoweredTest, options: RunOptions): LitmusResult {
  const start = performance.now();
  const observed = observe(test);
  const unroll = options.unroll ?? 2;
  const base = { test, observed, model: options.model.name, unroll };
  try {
    const ask = (stopAt?: "positive" | "negative", timeout = options.timeout): EnumerateResult =>
      enumerate(test.program, {
        model: options.model,
        observe: observed.slots,
        stateWidth: observed.shown,
        condition: observed.condition,
        ...(observed.filter === null ? {} : { filter: observed.filter }),
        ...(timeout === undefined ? {} : { timeout }),
        unroll,
        keepWitness: options.keepWitness ?? false,
        ...(stopAt === undefined ? {} : { stopAt, only: stopAt }),
        ...(options.only === undefined ? {} : { only: options.only }),
        ...(options.stopAt === undefined ? {} : { stopAt: options.stopAt }),
        ...(options.onExecution === undefined ? {} : { onExecution: options.onExecution }),
      });
    const settles = test.file.quantifier === "forall" ? "negative" : "positive";
    const run = ask(options.fast === true ? settles : undefined);
    let verdict = verdictOf(run);
    const uncounted = options.fast === true || (run.status === "gave-up" && verdict === null);
    if (uncounted && run.status !== "bounded" && options.settle !== false) {
      const known = options.fast === true && run.status !== "gave-up" ? settles : null;
      verdict = reachability((stopAt) => ask(stopAt, (options.timeout ?? 60_000) / 4), run, known);
    }
    let { message } = run;
    if (message === "" && options.fast === true) message = "reachability only: not counted";
    else if (message === "" && observed.filter !== null && run.positive + run.negative === 0)
      message = NOTHING_PASSES;
    return {
      ...base,
      verdict,
      status: run.status,
      message,
      positive: run.positive,
      negative: run.negative,
      stateCount: run.states.count,
      states: run.states,
      flags: run.flags,
      steps: run.steps,
      seconds: (performance.now() - start) / 1000,
      run,
    };
  } catch (e) {
    if (!(e instanceof EnumerateError)) throw e;
    return {
      ...base,
      verdict: null,
      status: "error",
      message: e.message,
      positive: 0,
      negative: 0,
      stateCount: 0,
      states: new StateSet(observed.shown),
      flags: [],
      steps: 0,
      seconds: (performance.now() - start) / 1000,
      run: null,
    };
  }
}

function verdictOf(run: EnumerateResult): Verdict | null {
  if (run.status === "bounded") return null;
  if (run.positive > 0 && run.negative > 0) return "Sometimes";
  if (run.status === "gave-up") return null;
  return run.positive > 0 ? "Always" : "Never";
}

/**
 * The verdict without the counts, by asking whether an execution of either kind can be reached at all: values
 * decide early what need not be looked at. `known`: the kind that the run has answered for already. Null if
 * it takes too long.
 */
function reachability(
  ask: (stopAt: "positive" | "negative") => EnumerateResult,
  run: EnumerateResult,
  known: "positive" | "negative" | null,
): Verdict | null {
  const reached = (kind: "positive" | "negative"): boolean | null => {
    if (run[kind] > 0) return true;
    if (kind === known) return false;
    const r = ask(kind);
    if (r[kind] > 0) return true;
    return r.status === "ok" ? false : null;
  };
  const positive = reached("positive");
  if (positive === null) return null;
  if (!positive) return "Never";
  const negative = reached("negative");
  return negative === null ? null : negative ? "Sometimes" : "Always";
}
