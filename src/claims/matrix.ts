/**
 * Decides cells of claims: explores each one's scenario, then, for the cells that hold, the same with each
 * excluding mechanism removed in turn. What comes out is the published form (schema.ts). No verdict is known
 * beforehand: a cell that makes no sense says why, every other verdict is an exploration's.
 */

import type { Knockout } from "./cells.ts";
import { type AskedCell, setOf } from "./claims.ts";
import { costOf, Estimate } from "./estimate.ts";
import type { Limits } from "./explorer-worker.ts";
import { type Job, type JobResult, type PoolOptions, runJobs } from "./pool.ts";
import { REGISTRY_URL } from "./registry.ts";
import { type CellResult, CLAIMS_SCHEMA, type ClaimsOutput, type KnockoutResult } from "./schema.ts";

export interface MatrixOptions {
  readonly workers: number;
  readonly limits: Limits;
  /** Which cells, if they hold, are tried without each mechanism. */
  readonly knockouts: (cell: AskedCell) => boolean;
  readonly signal?: AbortSignal;
  /** Called with each distinct program and what its exploration came to, with its counterexample. */
  readonly onProgram?: PoolOptions["onProgram"];
  /** `left`: seconds, about, that it will still take; null while that cannot be said. */
  readonly onProgress?: (done: number, total: number, states: number, left: number | null) => void;
}

export interface MatrixResult {
  /** What was explored, in the order of the cells asked for; after an interrupt some is missing. */
  readonly output: ClaimsOutput;
  /**
   * States stored in all distinct explorations, and the time that these took, in seconds, over all workers.
   */
  readonly states: number;
  readonly seconds: number;
  readonly explorations: number;
}

type Decided = Pick<
  CellResult,
  "verdict" | "reason" | "error" | "states" | "seconds" | "complete" | "sameAs"
>;

function decided({ result, location, sameAs }: Pick<JobResult, "result" | "location" | "sameAs">): Decided {
  const e = result.error;
  return {
    verdict: result.verdict,
    reason: result.verdict === "bounded" ? (result.reason ?? "stopped") : null,
    error: e === null ? null : { kind: e.kind, message: e.message, thread: e.thread, location },
    states: result.states,
    seconds: result.seconds,
    complete: result.complete,
    sameAs,
  };
}

const notApplicable = (reason: string): Decided => ({
  verdict: "not-applicable",
  reason,
  error: null,
  states: 0,
  seconds: 0,
  complete: true,
  sameAs: null,
});

/** Id of the job of a knock-out. */
export const knockoutId = (cell: AskedCell, k: Knockout): string => `${cell.id}/without-${k.removed}`;

export async function runMatrix(cells: readonly AskedCell[], options: MatrixOptions): Promise<MatrixResult> {
  const byId = new Map(cells.map((c) => [c.id, c]));
  const job = (name: string, cell: AskedCell): Job => ({
    id: name,
    ref: { module: REGISTRY_URL, scenario: name },
    model: cell.model,
  });
  /** Cells that hold and are to be tried without each mechanism. */
  const tried = new Set<string>();
  const results = new Map<string, JobResult>();
  let states = 0;
  let seconds = 0;
  let explorations = 0;
  const jobs = cells.filter((c) => c.notApplicable === null).map((c) => job(c.id, c));
  const started = performance.now();
  const estimate = new Estimate();
  const jobCost = (j: Job): number => costOf(j.id.split("/")[0], !byId.has(j.id));
  for (const j of jobs) estimate.add(jobCost(j));
  await runJobs(jobs, {
    workers: options.workers,
    // Nobody reads a matrix's counterexamples unless it is asked for its programs; `explain` makes single
    // ones.
    limits:
      options.onProgram === undefined
        ? { ...options.limits, shorten: false, trace: false }
        : { ...options.limits, program: true },
    ...(options.onProgram === undefined ? {} : { onProgram: options.onProgram }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onProgress: (done, total, states) =>
      options.onProgress?.(done, total, states, estimate.left((performance.now() - started) / 1000)),
    onResult: (r) => {
      estimate.finish(jobCost(r.job));
      results.set(r.job.id, r);
      if (r.sameAs === null) {
        states += r.result.states;
        seconds += r.result.seconds;
        explorations++;
      }
      const cell = byId.get(r.job.id);
      if (cell === undefined || r.result.verdict !== "holds" || !options.knockouts(cell)) return [];
      tried.add(cell.id);
      const without = setOf(cell)
        .knockouts(cell)
        .filter((k) => k.notApplicable === null);
      const added = without.map((k) => job(knockoutId(cell, k), cell));
      for (const j of added) estimate.add(jobCost(j));
      return added;
    },
  });

  return { output: matrixOutput(cells, results, tried), states, seconds, explorations };
}

/**
 * What results come to in the published form, in the order of the cells. `tried`: cells whose knock-outs were
 * asked for. What has no result is left out, and then it is not complete.
 */
export function matrixOutput(
  cells: readonly AskedCell[],
  results: ReadonlyMap<string, Pick<JobResult, "result" | "location" | "sameAs">>,
  tried: ReadonlySet<string>,
): ClaimsOutput {
  let asked = 0;
  const outCells: CellResult[] = [];
  const outKnockouts: KnockoutResult[] = [];
  for (const cell of cells) {
    const { id, claim, arch, model, config } = cell;
    if (cell.notApplicable === null) asked++;
    const r = results.get(id);
    const what =
      cell.notApplicable !== null ? notApplicable(cell.notApplicable) : r === undefined ? null : decided(r);
    if (what === null) continue;
    outCells.push({
      id,
      claim,
      arch,
      model,
      weakerHardware: cell.weakerHardware,
      config: Object.fromEntries(Object.entries(config)),
      ...what,
    });
    if (!tried.has(id)) continue;
    for (const k of setOf(cell).knockouts(cell)) {
      if (k.notApplicable === null) asked++;
      const kr = results.get(knockoutId(cell, k));
      const d =
        k.notApplicable !== null ? notApplicable(k.notApplicable) : kr === undefined ? null : decided(kr);
      if (d !== null) outKnockouts.push({ cell: id, removed: k.removed, ...d });
    }
  }
  return {
    schema: CLAIMS_SCHEMA,
    complete: asked === results.size && [...results.values()].every((r) => r.result.verdict !== "bounded"),
    asked,
    cells: outCells,
    knockouts: outKnockouts,
    figures: [],
  };
}
