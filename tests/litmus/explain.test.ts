/**
 * Explanations: cycles are cycles of the named axiom, witnesses satisfy the condition, suggestions do what
 * they say.
 */
import { describe, expect, it } from "vitest";
import { lkmm } from "../../src/check/models/lkmm.ts";
import { explain } from "../../src/litmus/explain.ts";
import { loadLitmus, runLitmus } from "../../src/litmus/run.ts";
import { suggest } from "../../src/litmus/suggest.ts";
import { litmus, suite } from "./support.ts";

interface Data {
  readonly axiom: string | null;
  readonly edges: readonly { readonly from: string; readonly to: string; readonly label: string }[];
}

const explained = (source: string) => {
  const test = loadLitmus("t.litmus", source);
  const result = runLitmus(test, { model: lkmm, keepWitness: true });
  return { result, e: explain(result, lkmm) };
};

describe("explanations", () => {
  it("the MP pair of barriers is forbidden by happens-before, with the four edges everyone draws", () => {
    const { e } = explained(
      litmus(
        [
          "WRITE_ONCE(*x, 1);\nsmp_wmb();\nWRITE_ONCE(*y, 1);",
          "r0 = READ_ONCE(*y);\nsmp_rmb();\nr1 = READ_ONCE(*x);",
        ],
        "exists (1:r0=1 /\\ 1:r1=0)",
      ),
    );
    const data = e.data as unknown as Data;
    expect(data.axiom).toBe("happens-before");
    expect(data.edges.map((d) => d.label).sort()).toEqual(["fre", "rfe", "smp_rmb", "smp_wmb"]);
  });

  it("store buffering with full barriers is forbidden by propagation", () => {
    const { e } = explained(
      litmus(
        [
          "WRITE_ONCE(*x, 1);\nsmp_mb();\nr0 = READ_ONCE(*y);",
          "WRITE_ONCE(*y, 1);\nsmp_mb();\nr0 = READ_ONCE(*x);",
        ],
        "exists (0:r0=0 /\\ 1:r0=0)",
      ),
    );
    const data = e.data as unknown as Data;
    expect(data.axiom).toBe("propagation");
    expect(data.edges.map((d) => d.label).sort()).toEqual(["fre", "fre", "smp_mb", "smp_mb"]);
  });

  it("for every Never of the suite with an axiom the edges form a closed cycle, and the picture names every thread", () => {
    let cycles = 0;
    for (const t of suite()) {
      const result = runLitmus(t.test, { model: lkmm, keepWitness: true });
      if (result.verdict !== "Never" || t.test.file.procs.length > 6) continue;
      const e = explain(result, lkmm);
      const data = e.data as unknown as Data;
      expect(e.lines.join("\n"), t.name).toContain("Never");
      if (data.edges.length === 0) continue;
      cycles++;
      data.edges.forEach((edge, i) => {
        const next = data.edges[(i + 1) % data.edges.length];
        expect(edge.to, `${t.name}: ${JSON.stringify(data.edges)}`).toBe(next.from);
      });
      for (let p = 0; p < t.test.file.procs.length; p++) {
        expect(e.dot()).toContain(`cluster_P${p}`);
        expect(e.svg()).toContain(`>P${p}</text>`);
      }
    }
    expect(cycles).toBeGreaterThan(50);
  });

  it("for every Sometimes of the suite there is a witness with its reads and where they come from", () => {
    for (const t of suite()) {
      const result = runLitmus(t.test, { model: lkmm, keepWitness: true });
      if (result.positive === 0) continue;
      const text = explain(result, lkmm).lines.join("\n");
      expect(text, t.name).toContain("an execution in which the condition holds");
      if (t.source.includes("READ_ONCE")) expect(text, t.name).toContain("<-");
    }
  });

  it("a data race is explained by its two accesses, one of them plain, of different threads", () => {
    let races = 0;
    for (const t of suite()) {
      const result = runLitmus(t.test, { model: lkmm, keepWitness: true });
      const e = explain(result, lkmm);
      const race = e.data["race"] as readonly [string, string] | undefined;
      expect(race !== undefined, t.name).toBe(result.flags.includes("data-race"));
      if (race === undefined) continue;
      races++;
      expect(race[0].split(":")[0]).not.toBe(race[1].split(":")[0]);
      expect(
        race.some((r) => /P\d+:\d+ \*/.test(r)),
        race.join(" and "),
      ).toBe(true);
      expect(e.lines.join("\n")).toContain("Data race");
    }
    expect(races).toBeGreaterThanOrEqual(5);
  });

  it("values that nothing writes are explained as such", () => {
    const { e } = explained(litmus(["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x);"], "exists (1:r0=7)"));
    expect(e.lines.join("\n")).toContain("no choice of sources");
  });

  it("suggestions flip the verdict when they are applied by hand", () => {
    const bodies = (a: string, b: string) => [`WRITE_ONCE(*x, 1);\n${a}`, `${b}\nr1 = READ_ONCE(*x);`];
    const source = litmus(bodies("WRITE_ONCE(*y, 1);", "r0 = READ_ONCE(*y);"), "exists (1:r0=1 /\\ 1:r1=0)");
    const { result } = explained(source);
    const found = suggest(result, lkmm, { timeout: 10_000, unroll: 2 });
    expect(
      found.some(
        (s) =>
          s.verdict === "Never" &&
          s.changes.some((c) => c.to === "smp_store_release") &&
          s.changes.some((c) => c.to === "smp_load_acquire"),
      ),
    ).toBe(true);
    const changed = litmus(
      bodies("smp_store_release(y, 1);", "r0 = smp_load_acquire(y);"),
      "exists (1:r0=1 /\\ 1:r1=0)",
    );
    expect(explained(changed).result.verdict).toBe("Never");
    const back = suggest(explained(changed).result, lkmm, { timeout: 10_000, unroll: 2 });
    expect(back.filter((s) => s.verdict === "Sometimes").length).toBe(2);
  });

  const barriers = (found: ReturnType<typeof suggest>): string[][] =>
    found
      .filter((s) => s.changes.length > 0 && s.changes.every((c) => c.from === ""))
      .map((s) => s.changes.map((c) => c.to));

  it("barriers that are missing are put in: two smp_wmb() order three stores, and nothing stronger is named", () => {
    const bodies = (barrier: string) => [
      `WRITE_ONCE(*x, 1);\n${barrier}\nWRITE_ONCE(*y, 1);\n${barrier}\nWRITE_ONCE(*z, 1);`,
      "r0 = smp_load_acquire(z);\nr1 = smp_load_acquire(y);\nr2 = READ_ONCE(*x);",
    ];
    const condition = "exists ((1:r0=1 /\\ 1:r1=0) \\/ (1:r1=1 /\\ 1:r2=0))";
    const { result } = explained(litmus(bodies(""), condition));
    const found = suggest(result, lkmm, { timeout: 30_000, unroll: 2 });
    expect(barriers(found)).toEqual([["smp_wmb", "smp_wmb"]]);
    const put = found.find((s) => s.changes.every((c) => c.to === "smp_wmb" && c.from === "") && s.verdict);
    expect(put?.text).toBe("  Never with line 6: smp_wmb() before it; line 8: smp_wmb() before it");
    expect(explained(litmus(bodies("smp_wmb();"), condition)).result.verdict).toBe("Never");
  });

  it("2+2W is forbidden by two full barriers, and by no weaker ones", () => {
    const bodies = ["WRITE_ONCE(*x, 1);\nWRITE_ONCE(*y, 2);", "WRITE_ONCE(*y, 1);\nWRITE_ONCE(*x, 2);"];
    const { result } = explained(litmus(bodies, "exists (x=1 /\\ y=1)"));
    expect(barriers(suggest(result, lkmm, { timeout: 30_000, unroll: 2 }))).toEqual([["smp_mb", "smp_mb"]]);
  });

  it("a barrier is put into a branch, and none where one stands", () => {
    const reader = (barrier: string) => `r0 = READ_ONCE(*y);\nif (r0) {\n${barrier}\nr1 = READ_ONCE(*x);\n}`;
    const writer = "WRITE_ONCE(*x, 1);\nsmp_wmb();\nWRITE_ONCE(*y, 1);";
    const condition = "exists (1:r0=1 /\\ 1:r1=0)";
    const { result } = explained(litmus([writer, reader("")], condition));
    const found = suggest(result, lkmm, { timeout: 30_000, unroll: 2 });
    const put = found.flatMap((s) => s.changes.filter((c) => c.from === ""));
    expect(put.map((c) => c.to)).toEqual(["smp_rmb"]);
    expect(explained(litmus([writer, reader("smp_rmb();")], condition)).result.verdict).toBe("Never");
  });

  it("suggestions stop when time is up, and say so", () => {
    const { result } = explained(
      litmus(
        ["WRITE_ONCE(*x, 1);\nr0 = READ_ONCE(*y);", "WRITE_ONCE(*y, 1);\nr1 = READ_ONCE(*x);"],
        "exists (0:r0=0 /\\ 1:r1=0)",
      ),
    );
    expect(suggest(result, lkmm, { timeout: 0, unroll: 2 })[0].text).toMatch(
      /\(0 tried; stopped after 0 s\)/,
    );
  });

  it("a test that no small change can flip says how many were tried", () => {
    const { result } = explained(
      litmus(
        ["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x);\nr1 = READ_ONCE(*x);"],
        "exists (1:r0=1 /\\ 1:r1=0)",
      ),
    );
    expect(suggest(result, lkmm, { timeout: 10_000, unroll: 2 })[0].text).toMatch(
      /No one- or two-step change .* \(\d+ tried\)/,
    );
  });
});
