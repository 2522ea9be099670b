/**
 * `holdfast campaign report --html`: what a campaign has decided so far as one page that stands alone: the
 * cells of each claim, what was found, what each mechanism is worth, and what failed or waits.
 */

import type { Campaign, Counts } from "../campaign/campaign.ts";
import { CLAIM_SETS, type ClaimSet } from "../claims/claims.ts";
import type { CellResult, ClaimsOutput, KnockoutResult } from "../claims/schema.ts";
import { escapeHtml, htmlPage, htmlTable } from "../text/html.ts";
import { count } from "../text/numbers.ts";

const WORD = { holds: "holds", violated: "violated", bounded: "stopped by a limit", "not-applicable": "-" };

function rowOf(set: ClaimSet, c: CellResult): string[] {
  const config = Object.entries(c.config).filter(([k]) => !set.rows.includes(k));
  return [
    c.arch,
    ...set.rows.map((k) => String(c.config[k])),
    config.map(([k, v]) => `${k} ${v}`).join(", "),
    c.model,
    WORD[c.verdict],
    count(c.states),
    c.error === null ? (c.reason ?? "") : `${c.error.kind}: ${c.error.message}`,
  ];
}

function matrix(set: ClaimSet, cells: readonly CellResult[]): string {
  const of = cells.filter((c) => set.claims.includes(c.claim));
  if (of.length === 0) return "";
  const number = (v: CellResult["verdict"]): string => count(of.filter((c) => c.verdict === v).length);
  return `<h2>${escapeHtml(`${set.claims.join(", ")}: ${set.title}`)}</h2>
<p>${number("holds")} hold, ${number("violated")} are violated, ${number("bounded")} were stopped by a limit.</p>
${htmlTable(
  ["architecture", ...set.rows, "configuration", "model", "verdict", "states", "what was found"],
  of.map((c) => rowOf(set, c)),
)}`;
}

function mechanisms(knockouts: readonly KnockoutResult[]): string {
  if (knockouts.length === 0) return "";
  return `<h2>Holding cells without a mechanism</h2>
${htmlTable(
  ["cell", "without", "verdict", "states"],
  knockouts.map((k) => [k.cell, k.removed, WORD[k.verdict], count(k.states)]),
)}`;
}

/** A page; `output`: what is decided so far. */
export function campaignPage(campaign: Campaign, counts: Counts, output: ClaimsOutput): string {
  const failed = [
    ...counts.failures.map((f) => [f.job, f.failure]),
    ...counts.lost.map((job) => [job, "lost its worker too often"]),
  ];
  const open = counts.running + counts.waiting;
  return htmlPage(
    `Holdfast: campaign ${campaign.name}`,
    `<h1>Campaign ${escapeHtml(campaign.name)}</h1>
<p>Sources ${escapeHtml(campaign.code)}. ${count(counts.done)} jobs done, ${count(counts.running)} running, ${count(counts.waiting)} waiting, ${count(failed.length)} failed.</p>
${open > 0 ? "<p><strong>Not complete: what waits is in no table.</strong></p>" : ""}
${failed.length === 0 ? "" : `<h2>Failed</h2>${htmlTable(["job", "why"], failed)}`}
${CLAIM_SETS.map((s) => matrix(s, output.cells)).join("\n")}
${mechanisms(output.knockouts)}`,
  );
}
