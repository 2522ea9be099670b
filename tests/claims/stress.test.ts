/**
 * The stress scenarios on real threads: the kernels that are right stay clean for some hundreds of iterations, the one
 * that is broken on purpose is hit. A sample, not a proof: the claims' cells are explored exhaustively elsewhere.
 */

import { describe, expect, test } from "vitest";
import { scenarioNamed } from "../../src/claims/stress.ts";
import type { Scenario } from "../../src/machine/scenario.ts";
import { runScenario } from "../../src/smp/run.ts";

const named = (name: string): Scenario => {
  const s = scenarioNamed(name);
  if (s === undefined) throw new Error(`no scenario ${name}`);
  return s;
};

describe("fast GUP against unbind on real threads", () => {
  test.each(["gup-unbind", "gup-unbind-pmd", "gup-unbind-rfc", "gup-unbind-noref"])("%s", async (kind) => {
    const r = await runScenario(named(`stress/${kind}-2`), { seconds: 2 });
    expect(r.bug).toBeNull();
    expect(r.iterations).toBeGreaterThan(20);
    // Not vacuous: pages were pinned, and the device went and came.
    expect(r.threads[0].returned).toBeGreaterThan(r.iterations);
    expect(r.threads[1].returned).toBe(2 * r.iterations);
  });
});
