/**
 * The matrix: its published form, that equal programs are explored once, that results do not depend on
 * workers, and that verdicts come from explorations: a mechanism taken out flips the cells that rest on it,
 * and nothing else.
 */

import { describe, expect, test } from "vitest";
import { cells, type TeardownCell } from "../../src/claims/c4c5.ts";
import { type AskedCell, allCells } from "../../src/claims/claims.ts";
import type { Limits } from "../../src/claims/explorer-worker.ts";
import { runMatrix } from "../../src/claims/matrix.ts";
import { JobFailed, runJobs } from "../../src/claims/pool.ts";
import { REGISTRY_URL, scenarioNamed } from "../../src/claims/registry.ts";
import { CellResultSchema, type ClaimsOutput, ClaimsSchema } from "../../src/claims/schema.ts";
import { askedCell } from "../../src/claims/weak.ts";
import { hashProgram } from "../../src/lang/hash.ts";
import { buildProgram } from "../../src/lang/scenario.ts";

const limits: Limits = { maxStates: 1_000_000, maxBytes: 2 ** 30, maxSeconds: 60 };

const cell = (id: string): TeardownCell => {
  const found = cells().find((c) => c.id === id);
  if (found === undefined) throw new Error(`no cell ${id}`);
  return found;
};
const sc = (arch: string, rest: string): TeardownCell =>
  cell(`${arch.startsWith("x86") ? "C4" : "C5"}/${arch}/${rest}/1x1/sc`);

/** Everything but the times. */
const timeless = (o: ClaimsOutput): unknown =>
  JSON.parse(JSON.stringify(o, (k, v) => (k === "seconds" ? 0 : v)));

describe("the published form", () => {
  test("what the matrix gives is what the schema says", async () => {
    const chosen = [
      sc("arm64", "device-dax/ref-not-taken/percpu/v5.10/no-pin"),
      sc("arm64", "fsdax/ref-not-taken/external/v5.10/no-pin"),
      sc("arm64", "device-dax/ref-taken/percpu/v7.3/no-pin"),
    ];
    const { output } = await runMatrix(chosen, { workers: 2, limits, knockouts: () => true });
    expect(() => ClaimsSchema.parse(output)).not.toThrow();
    expect(output.cells.map((c) => c.verdict)).toEqual(["holds", "violated", "not-applicable"]);
    expect(output.cells[1].error).toMatchObject({ kind: "use-after-free", thread: "walker0" });
    expect(output.knockouts.length).toBe(5);
  });
  test("a verdict without its evidence is refused", () => {
    const good = {
      ...{ id: "C5/x", claim: "C5", arch: "x", model: "sc", weakerHardware: false, config: {} },
      ...{ verdict: "holds", reason: null, error: null, states: 1, seconds: 0, complete: true, sameAs: null },
    };
    expect(CellResultSchema.safeParse(good).success).toBe(true);
    expect(CellResultSchema.safeParse({ ...good, complete: false }).success).toBe(false);
    expect(CellResultSchema.safeParse({ ...good, verdict: "violated" }).success).toBe(false);
    expect(CellResultSchema.safeParse({ ...good, verdict: "probably" }).success).toBe(false);
  });
});

describe("programs", () => {
  test("are the same whichever scenario was booted before: nothing of another machine is left", async () => {
    // One cell of each question: of these some boot machines with objects that others have not.
    const questions = new Map<string, string>();
    for (const c of allCells()) {
      const question = `${c.claim}/${c.id.split("/")[2]}`;
      if (c.arch === (c.claim === "C5" || c.claim > "C5" ? "arm64" : "x86-64") && c.notApplicable === null)
        if (!questions.has(question)) questions.set(question, c.id);
    }
    const ids = [...questions.values()];
    expect(ids.length).toBeGreaterThan(30);
    const hash = async (id: string): Promise<string> => {
      const scenario = scenarioNamed(id);
      if (scenario === undefined) throw new Error(`no scenario ${id}`);
      return hashProgram(await buildProgram(scenario));
    };
    const forwards: string[] = [];
    for (const id of ids) forwards.push(`${id} ${await hash(id)}`);
    const backwards: string[] = [];
    for (const id of [...ids].reverse()) backwards.push(`${id} ${await hash(id)}`);
    expect(backwards.reverse()).toEqual(forwards);
  });
});

describe("equal programs", () => {
  // arm64 and powerpc differ in nothing that this code looks at.
  const same = ["arm64", "powerpc-radix"].flatMap((a) => [
    sc(a, "device-dax/ref-not-taken/percpu/v5.10/no-pin"),
    sc(a, "device-dax/ref-not-taken/atomic/v5.10/no-pin"),
  ]);
  test("are explored once, and say whose exploration theirs is; one worker or two, the counts are the same", async () => {
    const one = await runMatrix(same, { workers: 1, limits, knockouts: () => false });
    expect(one.explorations).toBe(2);
    expect(one.output.cells.map((c) => c.sameAs)).toEqual([null, null, same[0].id, same[1].id]);
    const two = await runMatrix(same, { workers: 2, limits, knockouts: () => false });
    expect(two.explorations).toBe(2);
    expect(timeless({ ...two.output, cells: two.output.cells.map((c) => ({ ...c, sameAs: null })) })).toEqual(
      timeless({ ...one.output, cells: one.output.cells.map((c) => ({ ...c, sameAs: null })) }),
    );
  });
  test("are not the same on weak memory where an exchange orders less", async () => {
    const of = (model: string): AskedCell[] =>
      ["riscv", "arm64"].map((arch) => {
        const id = `C5/${arch}/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/${model}`;
        return askedCell(id) ?? expect.fail(id);
      });
    const shared = async (model: string): Promise<(string | null)[]> => {
      const few = { ...limits, maxStates: 5 };
      const { output } = await runMatrix(of(model), { workers: 1, limits: few, knockouts: () => false });
      return output.cells.map((c) => c.sameAs);
    };
    expect(await shared("sc")).toEqual([null, of("sc")[0].id]);
    expect(await shared("lkmm")).toEqual([null, null]);
  });
});

describe("mechanisms, each removed in turn", () => {
  test("on arm64 the walker is excluded by interrupts off and the grace period in percpu_ref_kill()", async () => {
    const c = sc("arm64", "device-dax/ref-not-taken/percpu/v5.10/no-pin");
    const { output } = await runMatrix([c], { workers: 2, limits, knockouts: () => true });
    const verdicts = Object.fromEntries(output.knockouts.map((k) => [k.removed, k.verdict]));
    expect(verdicts).toMatchObject({
      ipi: "not-applicable",
      "irq-off": "violated",
      "ref-grace-period": "violated",
    });
  });
  test("on x86-64 with a reference that has no grace period, it is the flush that waits", async () => {
    const c = sc("x86-64", "device-dax/ref-not-taken/atomic/v5.10/no-pin");
    const { output } = await runMatrix([c], { workers: 2, limits, knockouts: () => true });
    expect(output.cells[0].verdict).toBe("holds");
    const verdicts = Object.fromEntries(output.knockouts.map((k) => [k.removed, k.verdict]));
    expect(verdicts).toMatchObject({
      ipi: "violated",
      "irq-off": "violated",
      "ref-grace-period": "not-applicable",
    });
  });
});

describe("limits and failures", () => {
  // Two walkers of two pages: far more states than the limit, however well they are reduced.
  const c = cell("C4/x86-64/device-dax/ref-taken/percpu/v5.10/held-pin/2x2/tso");
  test("a limit makes a cell bounded and incomplete, never more", async () => {
    const { output } = await runMatrix([c], {
      workers: 1,
      limits: { ...limits, maxStates: 20 },
      knockouts: () => true,
    });
    expect(output.cells[0]).toMatchObject({ verdict: "bounded", complete: false, error: null });
    expect(output.cells[0].reason).not.toBeNull();
    expect(output.knockouts).toEqual([]);
  });
  test("an abort before the start decides nothing", async () => {
    const { output } = await runMatrix([c], {
      workers: 1,
      limits,
      knockouts: () => true,
      signal: AbortSignal.abort(),
    });
    expect(output.cells).toEqual([]);
  });
  test("a job that names no scenario fails by name", async () => {
    const job = { id: "x", ref: { module: REGISTRY_URL, scenario: "C9/nothing" }, model: "sc" as const };
    await expect(runJobs([job], { workers: 1, limits })).rejects.toMatchObject({
      name: "JobFailed",
      why: "no-scenario",
    });
    await expect(runJobs([job], { workers: 1, limits })).rejects.toThrow(JobFailed);
  });
});
