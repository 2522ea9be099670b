/** The zoo's entries are cells that exist, and its document is what the entries say. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { scenarioNamed } from "../../../src/claims/registry.ts";
import { ZOO, ZOO_MISSING, zooCell } from "../../../src/claims/zoo/zoo.ts";
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

  test("docs/zoo.md is what the entries say (npm run docs:zoo)", () => {
    const at = join(ROOT, "docs", "zoo.md");
    if (process.env["HOLDFAST_WRITE"] !== undefined) writeFileSync(at, documentOf());
    expect(readFileSync(at, "utf8")).toBe(documentOf());
  });
});

describe("holdfast zoo", () => {
  // The larger ones (10,000 states and more) are for the command itself; c8.test.ts has their verdicts.
  const LARGE = ["J02", "J12", "J46", "J50", "N2", "N3"];

  test("finds each bug as published: the kind of error, the object, the thread; and clears its fix", async () => {
    const asked = ZOO.map((z) => z.id).filter((id) => !LARGE.includes(id));
    const { exit, out } = await holdfast(["zoo", ...asked, "--json"]);
    const { schema, complete, bugs } = JSON.parse(out);
    expect(bugs.map((b: { id: string; asPublished: boolean }) => [b.id, b.asPublished])).toEqual(
      asked.map((id) => [id, true]),
    );
    expect({ exit, schema, complete }).toEqual({ exit: 0, schema: "holdfast.zoo/1", complete: true });
  }, 120_000);

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
