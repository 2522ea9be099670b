/** The results of a campaign as the matrix that `holdfast claims` gives, which explores them itself. */

import { type AnyCell, cellById } from "../claims/claims.ts";
import { type MatrixResult, matrixOutput } from "../claims/matrix.ts";
import type { Campaign, KeptResult } from "./campaign.ts";

export function campaignOutput(
  campaign: Campaign,
  results: ReadonlyMap<string, KeptResult>,
): MatrixResult & { readonly cells: AnyCell[] } {
  const cells = campaign.plan.cells.flatMap((id) => cellById(id) ?? []);
  const holds = cells.filter((c) => results.get(c.id)?.result.verdict === "holds");
  const tried = new Set(campaign.plan.knockouts ? holds.map((c) => c.id) : []);
  const own = [...results.values()].filter((r) => r.sameAs === null).map((r) => r.result);
  return {
    cells,
    output: matrixOutput(cells, results, tried),
    states: own.reduce((n, r) => n + r.states, 0),
    seconds: own.reduce((n, r) => n + r.seconds, 0),
    explorations: own.length,
  };
}
