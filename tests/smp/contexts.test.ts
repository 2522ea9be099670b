/**
 * What runs in the middle of what, on real threads and explored: softirqs, queued work, an IPI to one CPU,
 * sleeping where one may not. The explorer decides; a run on threads meets nothing that it excludes.
 */

import { describe, expect, test } from "vitest";
import { explore } from "../../src/check/explore/explore.ts";
import { buildProgram } from "../../src/lang/scenario.ts";
import type { Scenario } from "../../src/machine/scenario.ts";
import { runScenario } from "../../src/smp/run.ts";
import * as f from "./fixtures/contexts.ts";

const verdict = async (scenario: Scenario, model: "sc" | "tso"): Promise<string> => {
  const r = explore(await buildProgram(scenario), { model });
  return r.error === null ? r.verdict : r.error.message;
};

describe.each([
  ["a per-CPU counter with softirqs disabled", f.softirqsOff, "holds", null],
  [
    "a per-CPU counter with softirqs enabled",
    f.softirqsOn,
    "an update of a per-CPU counter is lost",
    undefined,
  ],
  ["work that takes a mutex and is flushed", f.workqueue, "holds", null],
  [
    "a mutex taken with preemption disabled",
    f.atomic,
    "sleeping in atomic context",
    "sleeping in atomic context",
  ],
  ["a function called on one CPU", f.oneCpu, "holds", null],
] as const)("%s", (_, scenario, expected, met) => {
  test.each(["sc", "tso"] as const)("under %s", async (model) => {
    expect(await verdict(scenario, model)).toBe(expected);
  });
  test.skipIf(met === undefined)("on real threads", async () => {
    const r = await runScenario(scenario, { iterations: 150, delays: [{ thread: 0, at: 1, micros: 200 }] });
    expect(r.bug?.message ?? null).toBe(met);
    if (met === null) expect(r.iterations).toBe(150);
  });
});
