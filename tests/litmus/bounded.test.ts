/**
 * A loop that is cut at its bound leaves executions out. Whatever was seen of the others, there is no
 * verdict: not in the text, not in the JSON, not by reachability, and neither explanations nor suggestions
 * speak as if there were one.
 */
import { describe, expect, it } from "vitest";
import { lkmm } from "../../src/check/models/lkmm.ts";
import { explain } from "../../src/litmus/explain.ts";
import { contradicts, recordOf, verdictText } from "../../src/litmus/report.ts";
import { type LitmusResult, loadLitmus, type RunOptions, runLitmus } from "../../src/litmus/run.ts";
import { suggest } from "../../src/litmus/suggest.ts";
import { litmus } from "./support.ts";

/** x is always 5, but not within two rounds. */
const FIVE = (condition: string): string =>
  litmus(["r0 = 0; while (r0 < 5) { r0 = r0 + 1; } WRITE_ONCE(*x, r0);"], condition);
const SPIN = litmus(
  [
    "WRITE_ONCE(*x, 1); WRITE_ONCE(*y, 1);",
    "r0 = READ_ONCE(*y); while (r0 == 0) { r0 = READ_ONCE(*y); } r1 = READ_ONCE(*x);",
  ],
  "exists (1:r1=0)",
);

const run = (source: string, options: Partial<RunOptions> = {}): LitmusResult =>
  runLitmus(loadLitmus("t.litmus", source), { model: lkmm, timeout: 20_000, ...options });

describe("a loop that is cut", () => {
  const sources: readonly [string, string][] = [
    ["exists, never seen", FIVE("exists (x=5)")],
    ["~exists", FIVE("~exists (x=5)")],
    ["forall", FIVE("forall (x=5)")],
    ["a filter", FIVE("filter (x=5) exists (x=5)")],
    ["a spinning reader, seen both ways", SPIN],
    ["a spinning reader, seen one way", SPIN.replace("exists (1:r1=0)", "exists (1:r0=1)")],
    ["an endless loop", litmus(["while (1) { WRITE_ONCE(*x, 1); }"], "exists (x=1)")],
  ];
  it.each(sources)("gives no verdict: %s", (_, source) => {
    for (const fast of [false, true]) {
      const r = run(source, { fast });
      expect([r.status, r.verdict]).toEqual(["bounded", null]);
      const record = recordOf("t.litmus", r);
      expect(record.verdict).toBeNull();
      expect(record.message).toMatch(/unrolled 2 times/);
      expect(verdictText(record)).toMatch(/^bounded/);
      expect(verdictText(record)).not.toMatch(/deadlock|Never|Always|Sometimes/);
    }
  });

  it("is decided where the bound is high enough", () => {
    expect(run(FIVE("exists (x=5)"), { unroll: 5 })).toMatchObject({ status: "ok", verdict: "Always" });
  });

  it("says what was seen, and contradicts a comment only by what was seen", () => {
    const record = recordOf("t.litmus", run(SPIN));
    expect(verdictText(record)).toContain("3 of 6 executions seen");
    expect(contradicts({ ...record, expected: "Never" })).toBe(true);
    expect(contradicts({ ...record, expected: "Sometimes" })).toBe(false);
    const none = recordOf("t.litmus", run(FIVE("exists (x=5)")));
    for (const expected of ["Never", "Always", "Sometimes", "DEADLOCK"])
      expect(contradicts({ ...none, expected })).toBe(false);
  });

  it("is explained as bounded, not as impossible", () => {
    const r = run(FIVE("exists (x=5)"), { keepWitness: true });
    const e = explain(r, lkmm);
    expect(e.lines.join("\n")).toMatch(/^Bounded: .*--unroll/);
    expect(e.lines.join("\n")).not.toMatch(/Never|whatever the memory model/);
    expect(e.data).toMatchObject({ verdict: null, status: "bounded" });
  });

  it("keeps its witness where one was seen", () => {
    const e = explain(run(SPIN, { keepWitness: true }), lkmm);
    expect(e.lines.join("\n")).toContain("an execution in which the condition holds");
    expect(e.lines.join("\n")).toMatch(/^Bounded: /);
  });

  it("has nothing to suggest", () => {
    const [first, ...more] = suggest(run(SPIN), lkmm, { timeout: 5000, unroll: 2 });
    expect(first.text).toMatch(/Bounded: no verdict to change/);
    expect(more).toEqual([]);
  });

  it("is not dropped as impossible where only what lies beyond other cuts makes it possible", () => {
    // Each thread goes on while the other's count is 5, and then stores its own count: a circle without
    // dependencies.
    const thread = (mine: string, other: string): string =>
      `i = 0; r = READ_ONCE(*${other}); while (r == 5) { i = i + 1; r = READ_ONCE(*${other}); } WRITE_ONCE(*${mine}, i);`;
    const source = litmus(
      [thread("x", "y"), thread("y", "x"), "WRITE_ONCE(*x, 7); WRITE_ONCE(*y, 7);"],
      "exists (0:i=5 /\\ 1:i=5)",
    );
    expect(run(source).status).toBe("bounded");
    expect(run(source, { fast: true }).verdict).toBeNull();
  });

  it("is no matter where the values written anywhere, cut or not, exclude it", () => {
    const source = litmus(
      ["r = READ_ONCE(*x); while (r == 5) { r = READ_ONCE(*x); WRITE_ONCE(*y, 5); }", "WRITE_ONCE(*x, 1);"],
      "exists (0:r=1)",
    );
    expect(run(source)).toMatchObject({ status: "ok", verdict: "Sometimes" });
  });
});
