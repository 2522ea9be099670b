/**
 * Vectors from herd7 7.58 with the model of Linux 7.3.4: verdicts, counts, states and flags. Skipped where
 * the data is absent.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { lkmm } from "../../src/check/models/lkmm.ts";
import { LitmusError } from "../../src/litmus/ast.ts";
import { contradicts, recordOf } from "../../src/litmus/report.ts";
import { loadLitmus, runLitmus } from "../../src/litmus/run.ts";
import { canonicalForm } from "./canonical.ts";
import { hasShared, SHARED, suite } from "./support.ts";

interface Row {
  readonly path: string;
  readonly verdict: string;
  readonly flags: string;
  readonly counts: string;
  readonly status: string;
}

const rows = (): Row[] =>
  readFileSync(`${SHARED}verdicts.tsv`, "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => {
      const [path, , verdict, flags, positive, negative, states, status] = line.split("\t");
      return { path, verdict, flags, counts: `${positive} ${negative} ${states}`, status };
    });

const read = (path: string): string => readFileSync(SHARED + path, "latin1");

describe.skipIf(!hasShared)("herd7's verdicts", () => {
  it("the kernel's 47 tests have the verdicts of their comments", () => {
    const names = readdirSync(`${SHARED}kernel`).filter((f) => f.endsWith(".litmus"));
    const wrong = names.filter((f) =>
      contradicts(recordOf(f, runLitmus(loadLitmus(f, read(`kernel/${f}`)), { model: lkmm }))),
    );
    expect(names.length).toBe(47);
    expect(wrong).toEqual([]);
  });

  it("every test that herd7 finishes has herd7's verdict, counts, states and flags", () => {
    const wrong: string[] = [];
    let compared = 0;
    for (const r of rows()) {
      if (r.status !== "ok") continue;
      compared++;
      const got = runLitmus(loadLitmus(r.path, read(`corpus/${r.path}`)), { model: lkmm });
      const ours = `${got.status} ${got.verdict} ${got.positive} ${got.negative} ${got.stateCount} ${got.flags.join(",")}`;
      const theirs = `ok ${r.verdict} ${r.counts} ${r.flags}`;
      if (ours !== theirs) wrong.push(`${r.path}: ${ours}; herd7: ${theirs}`);
    }
    expect(wrong).toEqual([]);
    expect(compared).toBe(3112);
  });

  it("every test for which herd7 has only a verdict is finished, with that verdict", () => {
    const wrong: string[] = [];
    for (const r of rows()) {
      if (r.status !== "verdict-only") continue;
      const got = runLitmus(loadLitmus(r.path, read(`corpus/${r.path}`)), { model: lkmm });
      // herd7 stopped at the first execution: its "Always" only says that the condition can hold.
      if (got.status !== "ok" || got.positive > 0 !== (r.verdict === "Always"))
        wrong.push(`${r.path}: ${got.status} ${got.verdict}`);
    }
    expect(wrong).toEqual([]);
  });

  it("tests that herd7 gives up on are finished, but for one that is given a verdict without counts in the time of a test", () => {
    const unfinished: string[] = [];
    for (const r of rows()) {
      if (r.status !== "timeout") continue;
      const got = runLitmus(loadLitmus(r.path, read(`corpus/${r.path}`)), { model: lkmm, timeout: 3000 });
      if (got.status !== "ok") unfinished.push(r.path);
      expect(got.verdict, r.path).not.toBeNull();
    }
    expect(unfinished.length).toBeLessThanOrEqual(2);
  });

  it("a test that herd7 rejects is rejected here, by the name of the unknown macro", () => {
    const bad = rows().filter((r) => r.status === "fail");
    expect(bad.length).toBe(5);
    for (const r of bad) {
      expect(() => loadLitmus(r.path, read(`corpus/${r.path}`)), r.path).toThrow(LitmusError);
      expect(() => loadLitmus(r.path, read(`corpus/${r.path}`)), r.path).toThrow(
        /Unknown macro (smp_memb|spin_unlock_wait)/,
      );
    }
  });

  it("tests of our own suite that are the same test as one of herd7's have herd7's verdict", () => {
    const known = new Map<string, { path: string; verdict: string; counts: string }>();
    for (const r of rows()) {
      if (r.status !== "ok") continue;
      const form = canonicalForm(loadLitmus(r.path, read(`corpus/${r.path}`)));
      known.set(form, { path: r.path, verdict: r.verdict, counts: r.counts });
    }
    const matched: string[] = [];
    for (const t of suite()) {
      const same = known.get(canonicalForm(t.test));
      if (same === undefined) continue;
      const got = runLitmus(t.test, { model: lkmm });
      matched.push(t.name);
      expect(
        `${got.verdict} ${got.positive} ${got.negative} ${got.stateCount}`,
        `${t.name} and ${same.path}`,
      ).toBe(`${same.verdict} ${same.counts}`);
    }
    expect(matched.length).toBeGreaterThan(20);
  });
});
