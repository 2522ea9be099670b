/** The zoo's entries are cells that exist, and its document is what the entries say. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import { scenarioNamed } from "../../../src/claims/registry.ts";
import { isSequence } from "../../../src/claims/zoo/entry.ts";
import { stepsOf, turnsOf } from "../../../src/claims/zoo/interleaving.ts";
import { STRESS } from "../../../src/claims/zoo/stress.ts";
import { ZOO, ZOO_MISSING, zooCell, zooNamed } from "../../../src/claims/zoo/zoo.ts";
import { buildProgram } from "../../../src/lang/scenario.ts";
import { holdfast, ROOT } from "../../cli/helpers.ts";
import { documentOf } from "./document.ts";

describe("the zoo", () => {
  test("every entry has a scenario before and another after, on x86-64 and arm64 or where it shows", () => {
    for (const z of ZOO)
      for (const arch of z.archs ?? ["x86-64", "arm64"]) {
        const [before, after] = [zooCell(z, "before", arch), zooCell(z, "after", arch)];
        expect(before, `${z.id} ${arch}`).toBeDefined();
        expect(after, `${z.id} ${arch}`).toBeDefined();
        expect(scenarioNamed(before?.scenario ?? ""), z.id).toBeDefined();
        expect(scenarioNamed(after?.scenario ?? ""), z.id).toBeDefined();
        expect(before?.scenario).not.toBe(after?.scenario);
      }
  });

  test("entries are told apart, and none is said to be missing", () => {
    expect(new Set(ZOO.map((z) => z.id)).size).toBe(ZOO.length);
    const missing = ZOO_MISSING.flatMap((m) => m.ids.split(/, | to /));
    for (const z of ZOO) expect(missing).not.toContain(z.id);
  });

  test("random stress was tried on every race and on no sequence", () => {
    const races = ZOO.filter((z) => !isSequence(z.before)).map((z) => z.id);
    expect(Object.keys(STRESS.bugs).sort()).toEqual(races.sort());
    expect(STRESS.date).toMatch(/^\d{4}-\d\d-\d\d$/);
  });

  test("docs/zoo.md is what the entries say (npm run docs:zoo)", () => {
    const at = join(ROOT, "docs", "zoo.md");
    if (process.env["HOLDFAST_WRITE"] !== undefined) writeFileSync(at, documentOf());
    expect(readFileSync(at, "utf8")).toBe(documentOf());
  });
});

describe("the zoo's accesses", () => {
  test("every explored bug says which accesses make it; a sequence says what its message is", () => {
    for (const z of ZOO) {
      if (isSequence(z.before)) expect(z.error.message + z.error.location, z.id).not.toBe("");
      else expect(z.accesses?.length ?? 0, z.id).toBeGreaterThan(0);
    }
  });

  test.each(["J01", "J02", "J06"])("%s before its fix is the published interleaving", async (id) => {
    const z = zooNamed(`zoo/${id}/before/arm64`);
    const scenario = scenarioNamed(z?.scenario ?? "");
    if (z === undefined || scenario === undefined) throw new Error(id);
    const r = explore(await buildProgram(scenario), { model: "sc", maxSeconds: 50 });
    const { kind, message } = z.entry.error;
    expect(r.error).toMatchObject({ kind, message: expect.stringContaining(message) });
    if (r.trace === null) throw new Error("no counterexample");
    expect(stepsOf(r.trace, z.entry.accesses ?? [])).not.toBeNull();
    expect(turnsOf(r.trace).length).toBeLessThanOrEqual(z.entry.turns ?? 0);
    // An access that the counterexample has not, or has before another only, is not found.
    const [first, ...rest] = z.entry.accesses ?? [];
    expect(stepsOf(r.trace, [{ ...first, fn: "mremap" }, ...rest])).toBeNull();
    expect(stepsOf(r.trace, [...(z.entry.accesses ?? [])].reverse())).toBeNull();
  });
});

describe("holdfast zoo", () => {
  // The larger ones (10,000 states and more) are for the command itself; c8.test.ts has their errors and
  // accesses, and what is below.
  const C8 = ["J12", "J46", "J50", "N2", "N3"];
  const LARGE = ["J01", "J02", "J06"];

  test("finds each bug as published: the kind of error, the object, the thread, the accesses; and clears its fix", async () => {
    const asked = ZOO.map((z) => z.id).filter((id) => !C8.includes(id) && !LARGE.includes(id));
    const { exit, out } = await holdfast(["zoo", ...asked, "--json"]);
    const { schema, complete, bugs } = JSON.parse(out);
    expect(bugs.map((b: { id: string; asPublished: boolean }) => [b.id, b.asPublished])).toEqual(
      asked.map((id) => [id, true]),
    );
    // No counterexample takes more turns than the interleaving that was published.
    for (const b of bugs)
      if (b.publishedTurns !== null) expect(b.turns, b.id).toBeLessThanOrEqual(b.publishedTurns);
    expect({ exit, schema, complete }).toEqual({ exit: 0, schema: "holdfast.zoo/1", complete: true });
  }, 300_000);

  test("says what a bug is, how it happens and what clears it", async () => {
    const { exit, out } = await holdfast(["zoo", "J07", "-v", "--arch", "arm64"]);
    expect(exit).toBe(0);
    for (const text of ["319561669a59", "The fix:", "notifier.deferred_next", "as published", "on arm64"])
      expect(out).toContain(text);
  });

  test("an exploration that is stopped decides nothing: exit 3", async () => {
    const { exit, out } = await holdfast(["zoo", "J12", "--max-states", "5"]);
    expect(exit).toBe(3);
    expect(out).toContain("undecided");
  });

  test("a bug that is not there is named, with the nearest", async () => {
    const { exit, err } = await holdfast(["zoo", "J08x"]);
    expect(exit).toBe(2);
    expect(err).toContain("HF031: unknown bug: J08x");
    expect(err).toContain("did you mean J08");
  });

  test("an architecture that is not there is called one", async () => {
    const { exit, err } = await holdfast(["zoo", "--arch", "vax"]);
    expect(exit).toBe(2);
    expect(err).toContain("HF004: unknown architecture: vax");
  });
});
