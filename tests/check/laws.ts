/**
 * Laws of the explicit-state engine that hold for every program, as helpers for any test that has a program
 * at hand: reductions change the work and never the answer; the engine and a brute-force interleaver agree;
 * renumbering threads and moving memory change nothing. After fast-check's own test helpers, a law throws
 * with what differs.
 */

import { explore } from "../../src/check/explore/explore.ts";
import type { ExploreOptions, ExploreResult } from "../../src/check/explore/result.ts";
import type { Program } from "../../src/lang/ir.ts";
import { interleave, type OracleModel, type OracleResult, replay } from "./oracle/interleave.ts";

export type Explore = (program: Program, options: ExploreOptions) => ExploreResult;

/** Every combination of the three reductions, all on first. */
export const REDUCTIONS: readonly Reductions[] = [7, 0, 1, 2, 4, 3, 5, 6].map((bits) => ({
  partialOrder: (bits & 1) !== 0,
  merge: (bits & 2) !== 0,
  symmetry: (bits & 4) !== 0,
}));

export interface Reductions {
  readonly partialOrder: boolean;
  readonly merge: boolean;
  readonly symmetry: boolean;
}

export class LawBroken extends Error {}

function named(r: Reductions): string {
  const on = Object.entries(r).flatMap(([k, v]) => (v ? [k] : []));
  return on.length === 0 ? "no reduction" : on.join("+");
}

/**
 * The part of a result that no reduction may change. An error's kind may differ when a program has several.
 */
export function answer(r: ExploreResult): string {
  if (r.verdict === "bounded") return `bounded (${r.reason})`;
  return r.verdict === "holds"
    ? `holds with ${r.observed.length} final states: ${finalsOf(r).join(" ")}`
    : "violated";
}

export function finalsOf(r: ExploreResult): string[] {
  return r.observed.map((o) => o.join()).sort();
}

/**
 * Reductions on or off: same verdict, same final values of the observed words. Gives the result with all on.
 */
export function assertReductionsAgree(
  program: Program,
  options: ExploreOptions,
  combinations: readonly Reductions[] = REDUCTIONS,
  run: Explore = explore,
): ExploreResult {
  const results = combinations.map((c) => run(program, { shorten: false, ...options, ...c }));
  const first = answer(results[0]);
  results.forEach((r, i) => {
    if (answer(r) !== first)
      throw new LawBroken(
        `${program.name}, ${options.model}: ${named(combinations[0])} says ${first}, ${named(combinations[i])} says ${answer(r)} (${r.error?.message ?? ""})`,
      );
  });
  return results[0];
}

/** What an exploration that holds says that it reached is what the oracle reached. */
export function assertCoverageAgrees(r: ExploreResult, oracle: OracleResult, program: Program): void {
  if (r.verdict !== "holds" || r.coverage === null) return;
  for (const { file, line } of r.coverage.neverEvaluated)
    if (oracle.evaluated.has(`${file}:${line}`))
      throw new LawBroken(`${r.model}: the assertion at ${file}:${line} is evaluated, the engine says never`);
  const evaluated = r.coverage.assertions - r.coverage.neverEvaluated.length;
  if (evaluated !== oracle.evaluated.size)
    throw new LawBroken(
      `${r.model}: ${evaluated} assertions are evaluated, ${oracle.evaluated.size} by the oracle`,
    );
  const never = program.threads.flatMap((t, i) => (oracle.ended.has(i) ? [] : [t.name]));
  if (never.join() !== r.coverage.neverEnded.join())
    throw new LawBroken(
      `${r.model}: ${r.coverage.neverEnded.join()} never end, by the oracle ${never.join()}`,
    );
}

export interface Agreement {
  readonly oracle: OracleResult;
  readonly violated: boolean;
}

/**
 * The engine and the oracle agree on `program` under every combination given. Null if the program is too big
 * for the oracle. Throws LawBroken with what differs, and for a bounded result.
 */
export function assertAgreesWithOracle(
  program: Program,
  model: OracleModel,
  observe: readonly number[],
  combinations: readonly Reductions[],
  maxStates: number,
  run: Explore = explore,
): Agreement | null {
  const oracle = interleave(program, { model, observe, maxStates });
  if (!oracle.complete) return null;
  const kinds = new Set(oracle.errors);
  if (oracle.livelock) kinds.add("livelock");
  for (const c of combinations) {
    const r = run(program, { model, observe, shorten: false, ...c });
    const what = `${model}, ${named(c)}`;
    if (r.verdict === "bounded") throw new LawBroken(`${what}: bounded, ${r.reason}`);
    if ((r.verdict === "holds") !== (kinds.size === 0))
      throw new LawBroken(
        `${what}: the engine says ${r.verdict} (${r.error?.kind}: ${r.error?.message}), the oracle finds ${[...kinds].join(", ") || "nothing wrong"}`,
      );
    if (r.error !== null && !kinds.has(r.error.kind))
      throw new LawBroken(
        `${what}: the engine says ${r.error.kind} (${r.error.message}), the oracle finds only ${[...kinds].join(", ")}`,
      );
    if (r.error?.kind === "livelock" && oracle.errors.size > 0)
      throw new LawBroken(
        `${what}: the engine says livelock but the oracle finds ${[...oracle.errors].join(", ")} too`,
      );
    if (r.verdict === "holds" && finalsOf(r).join(" ") !== oracle.finals.join(" "))
      throw new LawBroken(
        `${what}: final states\n  engine: ${finalsOf(r).join(" ")}\n  oracle: ${oracle.finals.join(" ")}`,
      );
  }
  return { oracle, violated: kinds.size > 0 };
}

/**
 * The counterexample of a violated result, short or not, is a run that the oracle can take and that ends in
 * the same error.
 */
export function assertCounterexampleReplays(program: Program, r: ExploreResult): void {
  if (r.error === null) return;
  const threads = (r.trace?.threads ?? []).map((t) => t.name);
  // The oracle runs the check at the end by itself.
  const steps = (r.trace?.steps ?? []).filter((s) => r.trace?.threads[s.thread].kind !== "end");
  const ends = replay(program, r.model, threads, steps);
  if (!ends.has(r.error.kind))
    throw new LawBroken(
      `${program.name}, ${r.model}: the counterexample of ${r.error.kind} ends in ${[...ends].join(", ") || "no error"}:\n` +
        steps.map((s) => `  ${threads[s.thread]}: ${s.op} ${s.location} ${s.result ?? ""}`).join("\n"),
    );
}
