/**
 * What each barrier and annotation of the kernel's code is worth: every cell that holds is explored again
 * without each of those that its executions come past, one at a time (ordering-sites.ts). A site is *needed*
 * by a cell that is violated without it. What nothing needs may still be needed by programs that are no cell.
 */

import type { AskedCell } from "./claims.ts";
import type { Limits } from "./explorer-worker.ts";
import type { OrderingSite } from "./ordering-sites.ts";
import { type Job, type JobResult, runJobs } from "./pool.ts";
import { REGISTRY_URL } from "./registry.ts";
import { BARRIERS_SCHEMA, type BarriersOutput, type BarriersSite } from "./schema.ts";

export interface BarriersOptions {
  readonly workers: number;
  readonly limits: Limits;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number, states: number) => void;
}

/** What is explored beside a cell. */
interface Trial {
  readonly cell: AskedCell;
  readonly site: OrderingSite;
}

/** Where code stands that is the kernel's; that of scenarios is not asked about. */
const isKernel = (s: OrderingSite): boolean => !/(^|\/)(claims|examples|tests)\//.test(s.file);

/** After an interrupt what is missing is left out, and the whole is not complete. */
export async function runBarriers(
  cells: readonly AskedCell[],
  options: BarriersOptions,
): Promise<BarriersOutput> {
  const asked = cells.filter((c) => c.notApplicable === null);
  const byId = new Map(asked.map((c) => [c.id, c]));
  const trials = new Map<string, Trial>();
  const results = new Map<string, JobResult>();
  const { signal, onProgress } = options;
  const ref = (cell: AskedCell): Job["ref"] => ({ module: REGISTRY_URL, scenario: cell.id });
  await runJobs(
    asked.map((cell): Job => ({ id: cell.id, ref: ref(cell), model: cell.model })),
    {
      workers: options.workers,
      limits: { ...options.limits, shorten: false, trace: false, sites: true },
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress }),
      onResult: (r) => {
        results.set(r.job.id, r);
        const cell = byId.get(r.job.id);
        if (cell === undefined || r.result.verdict !== "holds") return [];
        return r.sites.filter(isKernel).map((site): Job => {
          const id = `${cell.id} without ${site.key}`;
          trials.set(id, { cell, site });
          return { id, ref: { ...ref(cell), without: site.key }, model: cell.model };
        });
      },
    },
  );
  return barriersOutput(asked, trials, results);
}

function barriersOutput(
  cells: readonly AskedCell[],
  trials: ReadonlyMap<string, Trial>,
  results: ReadonlyMap<string, JobResult>,
): BarriersOutput {
  const sites = new Map<string, BarriersSite>();
  for (const [id, { cell, site }] of trials) {
    const r = results.get(id)?.result;
    if (r === undefined) continue;
    const known = sites.get(site.key) ?? { ...site, tried: [] };
    sites.set(site.key, known);
    known.tried.push({
      cell: cell.id,
      verdict: r.verdict === "violated" ? "needed" : r.verdict === "holds" ? "not-needed" : "undecided",
      reason: r.reason,
      error: r.error?.kind ?? null,
      states: r.states,
      seconds: r.seconds,
    });
  }
  return {
    schema: BARRIERS_SCHEMA,
    complete: [...cells.map((c) => c.id), ...trials.keys()].every((id) => {
      const r = results.get(id);
      return r !== undefined && r.result.verdict !== "bounded";
    }),
    cells: cells.flatMap(({ id }) => {
      const r = results.get(id)?.result;
      return r === undefined
        ? []
        : [{ id, verdict: r.verdict, reason: r.reason, states: r.states, seconds: r.seconds }];
    }),
    sites: [...sites.values()].sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line),
  };
}
