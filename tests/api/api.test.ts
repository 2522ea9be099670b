/**
 * The package's own functions: they find what the command line finds, what cannot be used is a coded error,
 * and the generated document is what the sources say. Their examples are run by tests/docs.test.ts.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import * as api from "../../src/index.ts";
import { holdfast, project, ROOT, scenarioModule } from "../cli/helpers.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

describe("the package's index", () => {
  test("has these functions and classes, and no others", () => {
    expect(Object.keys(api).sort()).toEqual(
      ["CError", "DialectError", "UserError", "check", "defineScenario", "litmus", "replay", "run"].sort(),
    );
  });
  test("is described by docs/api/README.md, as generated", () => {
    const out = mkdtempSync(join(tmpdir(), "holdfast-docs-"));
    const typedoc = join(
      dirname(createRequire(import.meta.url).resolve("typedoc/package.json")),
      "bin",
      "typedoc",
    );
    execFileSync(process.execPath, [typedoc, "--out", out], { cwd: ROOT, stdio: "pipe" });
    const made = readFileSync(join(out, "README.md"), "utf8");
    rmSync(out, { recursive: true });
    // What is named, and what is said of the functions; members of types are made anew when it is published.
    const named = (text: string): string[] => text.match(/^###? .*$/gm) ?? [];
    const functions = (text: string): string => text.slice(0, text.indexOf("\n## Interfaces"));
    const kept = read("docs/api/README.md");
    expect(named(made), "npm run docs makes it anew").toEqual(named(kept));
    expect(functions(made), "npm run docs makes it anew").toBe(functions(kept));
  }, 600_000);
});

const KERNEL = `"use kernel";
import { atomic_inc, READ_ONCE, WRITE_ONCE, assert } from "holdfast/machine/primitives";
export function counts(word: number): void { atomic_inc(word); }
export function adds(word: number): void { WRITE_ONCE(word, READ_ONCE(word) + 1); }
export function two(word: number): void { assert(READ_ONCE(word) === 2, "an increment was lost"); }
`;
const SCENARIO = `import { defineScenario } from "holdfast";
import { memblock_alloc, resetMemory } from "holdfast/machine/memory";
import { adds, two } from "./kernel.ts";
export const s = defineScenario({
  name: "lost", title: "", module: import.meta.url,
  boot: () => {
    resetMemory(256);
    const word = memblock_alloc("word", 1);
    const thread = (name: string) => ({ name, run: adds, args: [word] });
    return { threads: [thread("a"), thread("b")], finally: { name: "end", run: two, args: [word] } };
  },
});
`;

describe("check()", () => {
  test("finds what the command line finds, step by step", async () => {
    const dir = project({ "kernel.ts": KERNEL, "s.ts": SCENARIO });
    const r = await api.check(join(dir, "s.ts"), { models: ["sc"] });
    expect(r).toMatchObject({ scenario: "lost", verdict: "violated" });
    expect(r.results[0].error).toMatchObject({ kind: "assertion" });
    const o = await holdfast(["check", join(dir, "s.ts"), "--model", "sc", "--json"]);
    const [line] = (JSON.parse(o.out) as { results: object[] }).results;
    expect({ ...r.results[0], seconds: 0 }).toEqual({ ...line, seconds: 0 });
  });
  test("says holds only of all models asked for, each explored to the end", async () => {
    const dir = project({ "kernel.ts": KERNEL, "s.ts": scenarioModule("counted", ["counts", "counts"]) });
    expect(await api.check(join(dir, "s.ts"))).toMatchObject({ verdict: "holds" });
    const big = "C4/x86-64/device-dax/ref-taken/percpu/v5.10/held-pin/2x2/tso";
    const cut = await api.check(big, { maxStates: 50, models: ["sc"] });
    expect(cut.verdict).toBe("bounded");
    expect(cut.results.map((r) => r.complete)).not.toContain(true);
    const stopped = await api.check(join(dir, "s.ts"), { signal: AbortSignal.abort() });
    expect(stopped.verdict).toBe("bounded");
  });
  test("explores a program in C", async () => {
    const programs = join(ROOT, "tests", "c", "holds");
    expect((await api.check(join(programs, readdirSync(programs)[0]))).verdict).toBe("holds");
    await expect(api.check(join(programs, "none.c"))).rejects.toMatchObject({ code: "HF008" });
  });
  test.each([
    ["no-such.ts", "HF008"],
    ["no-such-scenario", "HF007"],
    ["holdfast/examples/kref.ts", "HF011"],
  ])("refuses %s with %s", async (word, code) => {
    await expect(api.check(word)).rejects.toMatchObject({ name: "UserError", code });
  });
  test("refuses kernel code outside the dialect with its place", async () => {
    const kernel = `"use kernel";\nexport function f(word: number): void { eval("1"); }\n`;
    const dir = project({ "kernel.ts": kernel, "s.ts": scenarioModule("outside", ["f"]) });
    await expect(api.check(join(dir, "s.ts"))).rejects.toMatchObject({ name: "DialectError" });
    await expect(api.check(join(dir, "s.ts"))).rejects.toThrow(/kernel\.ts:2:/);
  });
});

describe("the other functions", () => {
  test("run() refuses a scenario that boots with an error, and names the place", async () => {
    const dir = project({
      "s.ts": `import { defineScenario } from "holdfast";
export const s = defineScenario({ name: "s", title: "", module: import.meta.url,
  boot: () => { throw new Error("no memory"); } });
`,
    });
    await expect(api.run(join(dir, "s.ts"), { iterations: 1 })).rejects.toMatchObject({ code: "HF016" });
    await expect(api.run(join(dir, "s.ts"), { iterations: 1 })).rejects.toThrow(/s\.ts:\d+:\d+: no memory/);
  });
  test("replay() refuses what is no recording, and a filter that leaves nothing", async () => {
    await expect(api.replay("no-such")).rejects.toMatchObject({ code: "HF024" });
    const none = api.replay("holdfast/tests/vectors/traces", { kernel: "2.4" });
    await expect(none).rejects.toMatchObject({ code: "HF024" });
  });
  test("litmus() gives a record without a verdict for what it does not understand", async () => {
    expect(await api.litmus("C T\n{}\nP0(int *x) { x = ; }\nexists (x=1)")).toMatchObject({
      status: "error",
      verdict: null,
    });
    await expect(api.litmus("C T", { model: "alpha" as "sc" })).rejects.toMatchObject({ code: "HF017" });
  });
});
