/**
 * The data of cells for the explorer's page, from the engines: the list of cells with what is known of them,
 * and a cell's program with the run that breaks it.
 */

import { type AnyCell, CLAIM_SETS, setOf } from "../claims/claims.ts";
import type { JobRef, Limits } from "../claims/explorer-worker.ts";
import { runJobs } from "../claims/pool.ts";
import type { CellResult, ClaimsOutput, KnockoutResult } from "../claims/schema.ts";
import { isSequence } from "../claims/zoo/entry.ts";
import { ZOO, zooArch, zooCell } from "../claims/zoo/zoo.ts";
import type { PageBug, PageCell, PageIndex, PageKnockout, PageProgram, PageVerdict } from "./data.ts";
import { pageProgram } from "./program.ts";

const UNDECIDED: PageVerdict = { verdict: null, reason: null, error: null, states: 0 };

function verdictOf(r: CellResult | KnockoutResult | undefined, notApplicable: string | null): PageVerdict {
  if (notApplicable !== null)
    return { verdict: "not-applicable", reason: notApplicable, error: null, states: 0 };
  if (r === undefined) return UNDECIDED;
  const { verdict, reason, states } = r;
  const e = r.error;
  return {
    verdict,
    reason,
    states,
    error: e === null ? null : { kind: e.kind, message: e.message, location: e.location },
  };
}

function pageBugs(): PageBug[] {
  return ZOO.flatMap((z) => {
    const { id, title, commit, cve = null, what, fix, error } = z;
    const before = zooCell(z, "before", zooArch(z))?.scenario;
    const after = zooCell(z, "after", zooArch(z))?.scenario;
    if (before === undefined || after === undefined) return [];
    const where = error.location === "" ? "" : ` at ${error.location}`;
    const said = error.message === "" ? "" : `: ${error.message}`;
    const found = `${error.kind}${where}${error.thread === "" ? "" : `, by ${error.thread}`}${said}`;
    const stage = isSequence(z.before) ? { before: null, after: null } : { before, after };
    return [{ id, title, commit, cve, what, fix, found, ...stage }];
  });
}

/** The list of these cells, with what a matrix has said of them; those that it has not are undecided. */
export function pageIndex(
  cells: readonly AnyCell[],
  matrix: Pick<ClaimsOutput, "cells" | "knockouts">,
  programs: PageIndex["programs"],
  version: string,
): PageIndex {
  const decided = new Map(matrix.cells.map((c) => [c.id, c]));
  const without = new Map(matrix.knockouts.map((k) => [`${k.cell}/${k.removed}`, k]));
  return {
    version,
    bugs: pageBugs(),
    sets: CLAIM_SETS.map(({ claims, title, rows, marks }) => ({ claims, title, rows, marks })),
    cells: cells.map(
      (c): PageCell => ({
        id: c.id,
        claim: c.claim,
        arch: c.arch,
        model: c.model,
        weakerHardware: c.weakerHardware,
        config: Object.fromEntries(Object.entries(c.config)),
        ...verdictOf(decided.get(c.id), c.notApplicable),
        knockouts:
          c.notApplicable !== null
            ? []
            : setOf(c)
                .knockouts(c)
                .map(
                  (k): PageKnockout => ({
                    removed: k.removed,
                    title: k.title,
                    ...verdictOf(without.get(`${c.id}/${k.removed}`), k.notApplicable),
                  }),
                ),
      }),
    ),
    programs,
  };
}

/**
 * Explores one scenario, in a worker that forgets its modules afterwards, and gives it to the page.
 * @throws JobFailed if it cannot be explored.
 */
export async function exploreForPage(ref: JobRef, model: "sc" | "tso", limits: Limits): Promise<PageProgram> {
  let page: PageProgram | null = null;
  await runJobs([{ id: ref.scenario, ref, model }], {
    workers: 1,
    limits: { ...limits, program: true },
    onProgram: (_, program, result) => {
      page = pageProgram(program, result);
    },
  });
  if (page === null) throw new Error(`${ref.scenario} was not explored`);
  return page;
}
