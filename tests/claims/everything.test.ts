/**
 * A cell that holds says something only if it could have been violated. With all its mechanisms taken out at
 * once it is, or it is listed below with the reason for which it asks something else. Where nothing can be
 * taken out (C2, C3, some of C8) another cell of the same question is violated: before the fix, or with the
 * other way of counting; or it is listed too. The suite asks some; `npm run campaign:everything` asks all of
 * the matrix, in minutes, and those whose id matches HOLDFAST_CELLS if that is set.
 */

import { describe, expect, test } from "vitest";
import { EVERYTHING, everything } from "../../src/claims/cells.ts";
import { type AnyCell, allCells, setOf } from "../../src/claims/claims.ts";
import { type Job, runJobs } from "../../src/claims/pool.ts";
import { REGISTRY_URL } from "../../src/claims/registry.ts";

/** Cells that hold with everything taken out, or without a neighbour that is violated, and why. */
const HOLDS_WITHOUT: readonly (readonly [cells: RegExp, reason: string])[] = [
  [
    /^C8\/[^/]+\/offline-pin\/|^C8\/[^/]+\/offline-pin-signal\//,
    "offline-pin-for-ever is the same without the unpin and without the signal, and is violated",
  ],
  [
    /^C8\/[^/]+\/private-zap\//,
    "no knob: it asks whether who maps a moved page looks at the entry, which a mutant leaves out",
  ],
  [
    /^C8\/[^/]+\/private-give-out\//,
    "no knob: it asks whether a frame that counts none gets a reference, which a mutant gives it",
  ],
  [
    /^C7\/[^/]+\/fsdax-walk\/no-check\//,
    "asks whether the walk ends; with the check, the only thing that makes it endless, it is violated",
  ],
  [
    /^C3\/[^/]+\/[^/]+\/[^/]+\/zap\//,
    "pins the compound pagemap alone, which no form gets wrong; forms are told apart without the zap",
  ],
];

const campaign = process.env["HOLDFAST_CAMPAIGN"] !== undefined;
const pattern = new RegExp(process.env["HOLDFAST_CELLS"] ?? "");
const SAMPLE = new Set([
  "C1/arm64/munmap/ram-4k/uniform/1/sc",
  "C4/x86-64/device-dax/ref-taken/external/v5.10/no-pin/1x1/sc",
  "C5/arm64/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/sc",
  "C8/arm64/offline-lru-batch/v7.3/sc",
  "C8/arm64/offline-zap/v7.3/sc",
]);

const applicable = allCells().filter((c) => c.standard && c.notApplicable === null);
const asked = applicable.filter((c) => (campaign ? pattern.test(c.id) : SAMPLE.has(c.id)));
const hasMechanisms = (c: AnyCell): boolean => everything(setOf(c).knockouts(c)) !== undefined;
const isListed = (id: string): boolean => HOLDS_WITHOUT.some(([cells]) => cells.test(id));
const without = (id: string): string => `${id}/without-${EVERYTHING}`;

/** What of a cell without mechanisms makes it a neighbour of another. */
function questionOf(c: AnyCell): string {
  const { question } = c.config as { question?: string };
  return [c.claim, c.arch, question ?? "", c.model].join("/");
}

/** Verdicts by id. A cell is asked as it is only if it is not violated without everything. */
async function verdicts(cells: readonly AnyCell[]): Promise<Map<string, string>> {
  const out = new Map<string, string>();
  const models = new Map(cells.map((c) => [c.id, c.model]));
  const job = (id: string, model: AnyCell["model"]): Job => ({
    id,
    ref: { module: REGISTRY_URL, scenario: id },
    model,
  });
  await runJobs(
    cells.map((c) => job(hasMechanisms(c) ? without(c.id) : c.id, c.model)),
    {
      workers: campaign ? 2 : 1,
      limits: { maxStates: 5_000_000, maxBytes: 2 ** 30, maxSeconds: 600, shorten: false, trace: false },
      onResult: ({ job: j, result }) => {
        out.set(j.id, result.verdict);
        const id = j.id.slice(0, -without("").length);
        const model = models.get(id);
        return model !== undefined && result.verdict !== "violated" ? [job(id, model)] : [];
      },
    },
  );
  return out;
}

describe("a cell that holds", () => {
  test("is violated without any of its mechanisms, or is listed with a reason", async () => {
    const cells = asked.filter(hasMechanisms);
    expect(cells.length).toBeGreaterThan(0);
    const found = await verdicts(cells);
    const proveNothing = cells
      .filter((c) => found.get(without(c.id)) !== "violated" && found.get(c.id) !== "violated")
      .map((c) => c.id);
    expect(proveNothing.filter((id) => !isListed(id))).toEqual([]);
    const listed = cells.filter((c) => isListed(c.id)).map((c) => c.id);
    expect(listed.filter((id) => !proveNothing.includes(id))).toEqual([]);
  });

  test.runIf(campaign)("of which nothing is taken out has a violated neighbour", async () => {
    const cells = asked.filter((c) => !hasMechanisms(c));
    const found = await verdicts(cells);
    const violated = new Set(cells.filter((c) => found.get(c.id) === "violated").map(questionOf));
    const alone = cells.filter((c) => found.get(c.id) !== "violated" && !violated.has(questionOf(c)));
    expect(alone.map((c) => c.id).filter((id) => !isListed(id))).toEqual([]);
  });

  test("and is listed is a cell, and has a reason", () => {
    for (const [cells, reason] of HOLDS_WITHOUT) {
      expect(applicable.filter((c) => cells.test(c.id)).length, String(cells)).toBeGreaterThan(0);
      expect(reason.length).toBeGreaterThan(20);
    }
  });
});
