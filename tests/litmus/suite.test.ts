/**
 * The project's own 160 litmus tests: each has the verdict that its comment states, by either implementation
 * of the model.
 */
import { describe, expect, it } from "vitest";
import { enumerateNaively } from "../../src/check/enumerate/naive.ts";
import { type Execution, lkmmByDefinition, type Mutation } from "../../src/check/models/definition.ts";
import { lkmm } from "../../src/check/models/lkmm.ts";
import { observe } from "../../src/litmus/condition.ts";
import { contradicts, recordOf } from "../../src/litmus/report.ts";
import { runLitmus } from "../../src/litmus/run.ts";
import { suite } from "./support.ts";

const tests = suite();

const naive = (t: (typeof tests)[number], drop: Mutation | null = null): string => {
  const o = observe(t.test);
  const judge = (x: Execution) => lkmmByDefinition(x, drop);
  const r = enumerateNaively(t.test.program, judge, o.slots, o.condition, o.filter, o.shown);
  return `${r.positive} ${r.negative} ${r.states.size} ${[...r.flags].sort().join(",")}`;
};

describe("own suite", () => {
  it("has at least 120 tests, all with a verdict in a comment", () => {
    expect(tests.length).toBeGreaterThanOrEqual(120);
    expect(tests.filter((t) => t.test.file.expected === "")).toEqual([]);
  });

  it("every test has the verdict that its comment states, and races where it says so", () => {
    const wrong = tests.flatMap((t) => {
      const r = recordOf(t.name, runLitmus(t.test, { model: lkmm }));
      const race = r.expected.includes("DATARACE");
      const verdict = race && r.verdict !== r.expected.split(" ")[0];
      const bad = r.status !== "ok" || contradicts(r) || verdict;
      return bad ? [`${t.name}: ${r.verdict} ${r.flags.join()} where the comment says ${r.expected}`] : [];
    });
    expect(wrong).toEqual([]);
  });

  it("the model by definition, on every assignment of sources, gives the same counts, states and flags", () => {
    const wrong = tests.flatMap((t) => {
      // Twelve threads are too many for the naive enumerator.
      if (t.test.file.procs.length > 6) return [];
      const r = runLitmus(t.test, { model: lkmm });
      const fast = `${r.positive} ${r.negative} ${r.stateCount} ${r.flags.join(",")}`;
      const slow = naive(t);
      return fast === slow ? [] : [`${t.name}: ${fast}, by definition ${slow}`];
    });
    expect(wrong).toEqual([]);
  });

  // For each part of the model a test that notices when it is gone. gp-fence is almost implied by the RCU
  // axiom: only the bounds of plain accesses tell.
  it.each<[Mutation, string]>([
    ["coherence", "CoRR"],
    ["atomic", "atomic+two-incs"],
    ["happens-before", "3.LB+acq"],
    ["propagation", "2+2W+mb+mb"],
    ["rcu", "rcu+gp-section"],
    ["plain-coherence", "plain+MP-ok"],
    ["cumul", "WRC+rel+rmb"],
    ["prop-overwrite", "MP+wmb+rmb"],
    ["ctrl", "LB+ctrl+ctrl"],
    ["data", "LB+data+data"],
    ["addr", "rcu+publish"],
    ["wmb", "MP+wmb+rmb"],
    ["rmb", "MP+wmb+rmb"],
    ["mb", "SB+mb+mb"],
    ["acquire", "MP+rel+acq"],
    ["release", "MP+rel+acq"],
    ["poul", "lock+unlock-lock-two"],
    ["rmw-sequence", "rmwseq+rel-inc-acq"],
    ["data-race", "plain+MP-race"],
    ["dep-rfi", "LB+data-rfi-acq"],
    ["gp-fence", "plain+gp-ok"],
    ["carry", "LB+plain-carried"],
  ])("dropping %s from the model changes what %s gives", (mutation, name) => {
    const t = tests.find((s) => s.name === name);
    expect(t, name).toBeDefined();
    if (t !== undefined) expect(naive(t, mutation)).not.toBe(naive(t));
  });
});
