/** `holdfast litmus`: verdicts, JSON lines, exit codes, several models, graphs. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { LitmusOptions } from "../../src/cli/litmus.ts";
import { litmusCommand } from "../../src/cli/litmus-run.ts";
import { litmus } from "./support.ts";

const dir = mkdtempSync(join(tmpdir(), "holdfast-litmus-"));
const write = (name: string, source: string): string => {
  writeFileSync(join(dir, name), source);
  return join(dir, name);
};
const SB = write(
  "SB.litmus",
  litmus(
    ["WRITE_ONCE(*x, 1); r0 = READ_ONCE(*y);", "WRITE_ONCE(*y, 1); r0 = READ_ONCE(*x);"],
    "exists (0:r0=0 /\\ 1:r0=0)",
  ).replace("{}", "(*\n * Result: Never\n *)\n{}"),
);
const MP = write(
  "MP.litmus",
  litmus(
    ["WRITE_ONCE(*x, 1); smp_store_release(y, 1);", "r0 = smp_load_acquire(y); r1 = READ_ONCE(*x);"],
    "exists (1:r0=1 /\\ 1:r1=0)",
  ),
);

afterEach(() => vi.restoreAllMocks());

async function run(
  paths: string[],
  options: Partial<LitmusOptions> = {},
): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((t) => {
    out += String(t);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((t) => {
    err += String(t);
    return true;
  });
  const code = await litmusCommand(paths, {
    model: "lkmm",
    jobs: 1,
    states: 50,
    timeout: 10,
    unroll: 2,
    ...options,
  });
  vi.restoreAllMocks();
  return { code, out: stripVTControlCharacters(out), err };
}

describe("holdfast litmus", () => {
  it("prints verdict, contradicted comment, condition and states with a star at the witness", async () => {
    const { code, out } = await run([SB]);
    expect(code).toBe(0);
    expect(out).toMatch(/^test: Sometimes \(1 of 4 executions\) {2}comment says Never/);
    expect(out).toContain(
      "  exists (0:r0=0 /\\ 1:r0=0)\n  4 states (* satisfies the condition):\n  * 0:r0=0; 1:r0=0;\n    0:r0=0; 1:r0=1;\n",
    );
  });

  it("--json prints one object a line with every documented field", async () => {
    const { out } = await run([SB, MP], { json: true });
    const records = out
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l) as Record<string, unknown>);
    expect(records.map((r) => r["verdict"])).toEqual(["Sometimes", "Never"]);
    expect(Object.keys(records[0])).toEqual([
      "file",
      "name",
      "model",
      "verdict",
      "positive",
      "negative",
      "states",
      "flags",
      "status",
      "message",
      "seconds",
      "expected",
    ]);
    expect(records[0]).toMatchObject({
      file: SB,
      model: "lkmm",
      positive: 1,
      negative: 3,
      states: 4,
      flags: [],
      status: "ok",
      message: "",
      expected: "Never",
    });
  });

  it("several models stand side by side", async () => {
    const { out } = await run([SB], { model: "sc,tso,lkmm" });
    expect(out).toMatch(/sc +Never \(0 of 3 executions\)/);
    expect(out).toMatch(/tso +Sometimes \(1 of 4 executions\)/);
    expect(out).toMatch(/lkmm +Sometimes \(1 of 4 executions\)/);
  });

  it("--fast gives the verdict without counting, for every quantifier", async () => {
    const bodies = ["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x);"];
    const cases = [
      ["exists (1:r0=1)", "Sometimes"],
      ["exists (1:r0=2)", "Never"],
      ["exists (not (1:r0=2))", "Always"],
      ["~exists (1:r0=2)", "Never"],
      ["~exists (1:r0=1)", "Sometimes"],
      ["forall (1:r0=0 \\/ 1:r0=1)", "Always"],
      ["forall (1:r0=0)", "Sometimes"],
      ["forall (1:r0=2)", "Never"],
    ];
    for (const [condition, verdict] of cases) {
      const { out } = await run([write("fast.litmus", litmus(bodies, condition))], { fast: true, states: 0 });
      expect(out, condition).toContain(`test: ${verdict} (by reachability, not counted)`);
    }
  });

  it("a file that does not parse goes to stderr with its place and makes the exit code 2; the others still run", async () => {
    const bad = write("bad.litmus", "C bad\n{}\nP0(int *x) { READ_TWICE(*x); }\nexists (x=1)\n");
    const { code, out, err } = await run([bad, MP]);
    expect(code).toBe(2);
    expect(err).toContain(`${bad}:3:14: Unknown macro READ_TWICE`);
    expect(out).toContain("test: Never");
  });

  it("a test that gives up makes the exit code 3", async () => {
    const body = Array.from(
      { length: 20 },
      (_, i) => `r${i} = READ_ONCE(*x); if (r${i}) { WRITE_ONCE(*y, 1); }`,
    ).join(" ");
    const { code, out } = await run([
      write("big.litmus", litmus([body, "WRITE_ONCE(*x, 1);"], "exists (y=1)")),
    ]);
    expect(code).toBe(3);
    expect(out).toContain("gave up");
  });

  it("a loop that is cut is bounded in text and JSON, with exit code 3, alone and among others", async () => {
    const cut = write("cut.litmus", litmus(["while (1) { WRITE_ONCE(*x, 1); }"], "exists (x=1)"));
    for (const fast of [false, true]) {
      const one = await run([cut], { fast });
      expect(one.code).toBe(3);
      expect(one.out).toMatch(/^test: bounded: no verdict/);
      const json = await run([cut], { fast, json: true });
      expect(json.code).toBe(3);
      expect(JSON.parse(json.out)).toMatchObject({ verdict: null, status: "bounded" });
    }
    const both = await run([cut, MP], { summary: true });
    expect(both.code).toBe(3);
    expect(both.out).toMatch(/bounded: no verdict[\s\S]*bounded: 1/);
  });

  it("a filter that nothing passes is no deadlock", async () => {
    const filter = write(
      "filter.litmus",
      litmus(["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x);"], "filter (x=7) exists (1:r0=1)"),
    );
    expect((await run([filter])).out).toContain("Never (no execution passes the filter)");
  });

  it("unknown models, missing paths and --explain of many files are refused with a code", async () => {
    await expect(run([MP], { model: "armv9" })).rejects.toMatchObject({ code: "HF017" });
    await expect(run([join(dir, "none.litmus")])).rejects.toMatchObject({ code: "HF008" });
    await expect(run([SB, MP], { explain: true })).rejects.toMatchObject({ code: "HF001" });
  });

  it("--explain, --dot and --svg show the cycle; --suggest says what would change it", async () => {
    const dot = join(dir, "mp.dot");
    const svg = join(dir, "mp.svg");
    const { out } = await run([MP], { explain: true, suggest: true, dot, svg });
    expect(out).toContain("Axiom: happens-before");
    expect(out).toContain("smp_load_acquire -> READ_ONCE");
    expect(readFileSync(dot, "utf8")).toContain("penwidth=2.5");
    expect(readFileSync(svg, "utf8")).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  });
});
