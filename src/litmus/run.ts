/**
 * Runs one litmus test under one memory model: parse, lower, enumerate, and say Never, Sometimes or Always as herd7
 * does. The verdict is about the proposition itself, whatever its quantifier; no accepted execution at all (a
 * deadlock) is Never. A run that gave up has a verdict only if what it has seen settles it.
 */
import { type EnumerateResult, enumerate } from "../check/enumerate/enumerate.ts";
import { EnumerateError } from "../check/enumerate/path.ts";
import type { MemoryModel } from "../check/models/model.ts";
import { type Observed, observe } from "./condition.ts";
import { type LoweredTest, lowerLitmus } from "./lower.ts";
import { parseLitmus } from "./parse.ts";

export type Verdict = "Never" | "Sometimes" | "Always";

export interface RunOptions {
  readonly model: MemoryModel;
  /** Milliseconds after which to give up. */
  readonly timeout?: number;
  readonly unroll?: number;
  readonly keepWitness?: boolean;
  /** Reachability only: stop at the first execution that settles the quantified condition. Counts are partial. */
  readonly fast?: boolean;
}

export interface LitmusResult {
  readonly test: LoweredTest;
  readonly observed: Observed;
  readonly model: string;
  /** Null if the run gave up before it could tell. */
  readonly verdict: Verdict | null;
  readonly status: EnumerateResult["status"] | "error";
  readonly message: string;
  readonly positive: number;
  readonly negative: number;
  readonly stateCount: number;
  readonly states: () => (readonly number[])[] | null;
  readonly flags: readonly string[];
  readonly steps: number;
  /** Wall-clock seconds. */
  readonly seconds: number;
  readonly run: EnumerateResult | null;
}

/** Parses and lowers; throws LitmusError. */
export function loadLitmus(path: string, source: string): LoweredTest {
  return lowerLitmus(parseLitmus(path, source));
}

export function runLitmus(test: LoweredTest, options: RunOptions): LitmusResult {
  const start = performance.now();
  const observed = observe(test);
  const base = { test, observed, model: options.model.name };
  try {
    const run = enumerate(test.program, {
      model: options.model,
      observe: observed.slots,
      condition: observed.condition,
      filter: observed.filter,
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      ...(options.unroll === undefined ? {} : { unroll: options.unroll }),
      keepWitness: options.keepWitness ?? false,
      ...(options.fast === true
        ? { stopAt: test.file.quantifier === "forall" ? "negative" : "positive" }
        : {}),
    });
    return {
      ...base,
      verdict: verdictOf(run),
      status: run.status,
      message: run.message,
      positive: run.positive,
      negative: run.negative,
      stateCount: run.stateCount,
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
      states: () => [],
      flags: [],
      steps: 0,
      seconds: (performance.now() - start) / 1000,
      run: null,
    };
  }
}

function verdictOf(run: EnumerateResult): Verdict | null {
  if (run.positive > 0 && run.negative > 0) return "Sometimes";
  if (run.status === "gave-up") return null;
  return run.positive > 0 ? "Always" : "Never";
}
