/**
 * The explicit-state engine against the brute-force interleaver on random programs: same final states, same verdicts, a
 * kind of error that the oracle finds too, by a run that the oracle can take. `npm run campaign:explore` runs the same property for as long as it is told
 * (HOLDFAST_CAMPAIGN = number of programs, HOLDFAST_SEED).
 */

import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import { assertAgreesWithOracle, assertCounterexampleReplays, REDUCTIONS } from "../laws.ts";
import { miniProgram } from "../oracle/generate.ts";
import type { OracleModel } from "../oracle/interleave.ts";
import { allWords, lower } from "../oracle/program.ts";

const campaign = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 0);
const runs = campaign > 0 ? campaign : 1100; // for each model, and different ones
const seed = Number(process.env["HOLDFAST_SEED"] ?? (campaign > 0 ? Date.now() | 0 : 20201209));
const MAX_STATES = 1500;

const tally = { programs: 0, skipped: 0, states: 0, holds: 0, kinds: new Map<string, number>() };

afterAll(() => {
  if (campaign > 0 || process.env["HOLDFAST_TALLY"] !== undefined)
    console.log(`seed ${seed}:`, tally, [...tally.kinds].sort((a, b) => b[1] - a[1]).join("; "));
});

for (const model of ["sc", "tso"] satisfies OracleModel[]) {
  test(`${runs} random programs under ${model.toUpperCase()} end as a brute-force interleaver says`, {
    timeout: campaign > 0 ? 3_600_000 : 120_000,
  }, () => {
    let n = 0;
    fc.assert(
      fc.property(miniProgram, (mini) => {
        // All eight combinations on every eighth program; all on and all off on the others.
        const full = n++ % 8 === 0;
        const program = lower(mini);
        const r = assertAgreesWithOracle(
          program,
          model,
          allWords(mini),
          full ? REDUCTIONS : REDUCTIONS.slice(0, 2),
          MAX_STATES,
        );
        if (r === null) {
          tally.skipped++;
          return;
        }
        tally.programs++;
        tally.states += r.oracle.states;
        if (!r.violated) tally.holds++;
        else if (full) assertCounterexampleReplays(program, explore(program, { model }));
        for (const k of [...r.oracle.errors, ...(r.oracle.livelock ? ["livelock"] : [])])
          tally.kinds.set(k, (tally.kinds.get(k) ?? 0) + 1);
      }),
      { numRuns: runs, seed: model === "sc" ? seed : ~seed },
    );
  });
}

test("the random programs are worth having", () => {
  expect(tally.programs).toBeGreaterThan(1.9 * runs); // of 2 * runs; the others were too big for the oracle
  expect(tally.holds).toBeGreaterThan(tally.programs / 5);
  for (const kind of [
    "use-after-free",
    "double-free",
    "bad-free",
    "deadlock",
    "bad-address",
    "bad-unlock",
    "assertion",
    "leak",
    "livelock",
  ])
    expect(tally.kinds.get(kind) ?? 0, kind).toBeGreaterThan(0);
});
