/**
 * The stress scenarios on real threads: the kernels that are right stay clean for some hundreds of
 * iterations, the one that is broken on purpose is hit. A sample, not a proof: the claims' cells are explored
 * exhaustively elsewhere.
 */

import { describe, expect, test } from "vitest";
import { REGISTRY_URL } from "../../src/claims/registry.ts";
import { scenarioNamed } from "../../src/claims/stress.ts";
import { HMM_TEARDOWN } from "../../src/claims/stress-hmm.ts";
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

describe("a mirror device with private memory on real threads", () => {
  test("counts hold and no address sees another's data, while pages are unmapped, moved and brought home", async () => {
    const r = await runScenario(HMM_TEARDOWN, { seconds: 4, seed: 30, definedIn: REGISTRY_URL });
    expect(r.bug).toBeNull();
    expect(r.iterations).toBeGreaterThan(50);
    // Not vacuous: the process and the device got at their memory, and frames were moved.
    for (const name of ["user", "device", "move"])
      expect(r.threads.find((t) => t.name === name)?.returned).toBeGreaterThan(r.iterations);
  });
});

describe("a pagemap that nothing keeps a walker from losing (external count, arm64, no reference)", () => {
  const broken = named("stress/gup-unbind-external-arm64-2");
  test("a walker that pauses between the entry and the struct page touches freed memory", async () => {
    // Access 8 of the walker is its first of a struct page: it has read the entry by then.
    const r = await runScenario(broken, {
      iterations: 5,
      noise: "off",
      delays: [{ thread: "walker", at: 8, micros: 20_000 }],
    });
    expect(r.bug).toMatchObject({ kind: "use-after-free", thread: "walker" });
    expect(r.bug?.location).toMatch(/^page\[\d+\]\./);
    expect(r.bug?.frames.map((f) => f.fn)).toContain("gup_pte_range");
  });
  test("noise alone hits it too", async () => {
    const r = await runScenario(broken, { seconds: 8 });
    expect(r.bug).toMatchObject({ kind: "use-after-free", thread: "walker" });
  });
  test("the same pause does no harm where percpu_ref_kill() waits for a grace period", async () => {
    const r = await runScenario(named("stress/gup-unbind-noref-arm64-2"), {
      iterations: 5,
      noise: "off",
      delays: [{ thread: "walker", at: 8, micros: 20_000 }],
    });
    expect(r.bug).toBeNull();
    expect(r.iterations).toBe(5);
  });
});
