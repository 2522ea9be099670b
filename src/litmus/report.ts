/**
 * Results as data and as text for a person: the JSON line of `holdfast litmus --json`, the verdict with its
 * states, and the comparison with the verdict that a test's `Result:` comment announces.
 */
import { CatError } from "../check/cat/syntax.ts";
import type { LitmusFile } from "./ast.ts";
import { LitmusError } from "./ast.ts";
import { conditionText, sortedStates, stateText } from "./herd-output.ts";
import { lowerLitmus } from "./lower.ts";
import { parseLitmus } from "./parse.ts";
import type { LitmusResult, RunOptions, Verdict } from "./run.ts";
import { NOTHING_PASSES, runLitmus } from "./run.ts";

/** One line of --json. */
export interface LitmusRecord {
  readonly file: string;
  readonly name: string;
  readonly model: string;
  readonly verdict: Verdict | null;
  readonly positive: number;
  readonly negative: number;
  /** Distinct final states; null if there are too many to count. */
  readonly states: number | null;
  readonly flags: readonly string[];
  readonly status: "ok" | "bounded" | "gave-up" | "error";
  readonly message: string;
  readonly seconds: number;
  /** The announced verdict, "" if the test announces none. */
  readonly expected: string;
}

export function recordOf(path: string, r: LitmusResult): LitmusRecord {
  return {
    file: path,
    name: r.test.file.name,
    model: r.model,
    verdict: r.verdict,
    positive: r.positive,
    negative: r.negative,
    states: Number.isNaN(r.stateCount) ? null : r.stateCount,
    flags: r.flags,
    status: r.status,
    message: r.message,
    seconds: r.seconds,
    expected: r.test.file.expected,
  };
}

export function errorRecord(path: string, model: string, message: string): LitmusRecord {
  return {
    file: path,
    name: "",
    model,
    verdict: null,
    positive: 0,
    negative: 0,
    states: 0,
    flags: [],
    status: "error",
    message,
    seconds: 0,
    expected: "",
  };
}

export interface Outcome {
  readonly record: LitmusRecord;
  readonly result: LitmusResult | null;
}

/** Parses and runs under a built-in model; input that cannot be used becomes an error record. */
export function runSource(path: string, source: string, options: RunOptions): Outcome {
  return runWith(path, source, options.model.name, (file) => runLitmus(lowerLitmus(file), options));
}

/** The same by a runner of one's own, which may throw LitmusError and CatError. */
export function runWith(
  path: string,
  source: string,
  model: string,
  run: (file: LitmusFile) => LitmusResult,
): Outcome {
  try {
    const result = run(parseLitmus(path, source));
    return { record: recordOf(path, result), result };
  } catch (e) {
    if (e instanceof LitmusError) return { record: errorRecord(path, model, e.located), result: null };
    if (e instanceof CatError) return { record: errorRecord(path, model, e.message), result: null };
    throw e;
  }
}

/**
 * Whether a result contradicts the test's comment, as the kernel's judgelitmus.sh sees it: only the first
 * word counts, "Maybe" is never wrong, DEADLOCK wants no execution at all, DATARACE wants the flag.
 */
export function contradicts(r: LitmusRecord): boolean {
  const want = r.expected.split(/\s+/)[0] ?? "";
  if (r.status === "error") return false;
  // What a race makes of the values is nobody's guess: announced races are compared, not their verdicts.
  if (r.expected.includes("DATARACE")) return r.verdict !== null && !r.flags.includes("data-race");
  if (want === "DEADLOCK") return r.positive + r.negative !== 0;
  if (want !== "Never" && want !== "Sometimes" && want !== "Always") return false;
  // Without a verdict, what was seen may contradict all the same.
  if (r.verdict === null)
    return (want === "Never" && r.positive > 0) || (want === "Always" && r.negative > 0);
  return want !== r.verdict;
}

/** "Sometimes (1 of 4 executions)". */
export function verdictText(r: LitmusRecord): string {
  const total = r.positive + r.negative;
  const seen = total === 0 ? "no execution" : `${r.positive} of ${total} execution${total === 1 ? "" : "s"}`;
  if (r.status === "bounded") return `bounded: no verdict (${seen} seen)`;
  if (r.verdict === null) return r.status === "error" ? "error" : "gave up";
  if (r.message === NOTHING_PASSES) return `${r.verdict} (${NOTHING_PASSES})`;
  if (r.message !== "") return `${r.verdict} (by reachability, not counted)`;
  if (total === 0) return `${r.verdict} (no execution at all: deadlock)`;
  return `${r.verdict} (${seen})`;
}

/** The condition and the states of a result; those that satisfy the condition carry a star. */
export function describe(result: LitmusResult, maxStates: number): string[] {
  const file: LitmusFile = result.test.file;
  const out = [`  ${conditionText(file.quantifier, file.condition)}`];
  const many = Number.isNaN(result.stateCount) || result.stateCount > Math.max(maxStates, 5000);
  const states = many ? null : sortedStates(result);
  if (states === null) {
    const n = Number.isNaN(result.stateCount) ? "too many to count" : String(result.stateCount);
    return [...out, `  states: ${n}, not listed`, ...flagLines(result)];
  }
  const n = result.stateCount;
  const partial = result.message === "" ? "" : " seen, not all";
  out.push(`  ${n} state${n === 1 ? "" : "s"}${partial}${n > 0 ? " (* satisfies the condition)" : ""}:`);
  let listed = 0;
  for (const s of states) {
    if (++listed > maxStates) break;
    out.push(`  ${result.observed.condition(s) === 1 ? "*" : " "} ${stateText(result, s)}`);
  }
  if (n > maxStates) out.push(`    ... and ${n - maxStates} more`);
  return [...out, ...flagLines(result)];
}

function flagLines(result: LitmusResult): string[] {
  const race = " (plain accesses race: the compiler may do anything with them)";
  return result.flags.map((f) => `  flag: ${f}${f === "data-race" ? race : ""}`);
}
