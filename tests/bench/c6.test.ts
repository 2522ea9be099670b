/**
 * Claim C6: what the linked code executes for 2 MiB, against what real kernels retired for the same calls.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { countC6, deviceSurcharge, disagreements, type WorkRow } from "../../src/bench/c6.ts";
import { countWork } from "../../src/lang/count.ts";
import { linkFunction } from "../../src/lang/link.ts";
import { loadModules } from "../../src/lang/modules.ts";

let rows: WorkRow[] = [];
beforeAll(async () => {
  rows = await countC6();
}, 120_000);

const of = (kind: WorkRow["kind"], form: WorkRow["form"]): WorkRow => {
  const found = rows.find((r) => r.kind === kind && r.form === form);
  if (found === undefined) throw new Error(`no row ${kind} ${form}`);
  return found;
};

describe("C6", () => {
  test.each(["v5.10", "v6.12", "v7.3"] as const)(
    "%s orders the mappings as the recorded kernel does",
    (form) => {
      expect(rows.some((r) => r.form === form && r.kernelPin !== null)).toBe(true);
      expect(disagreements(rows, form)).toEqual([]);
    },
  );
  test.each([
    ["v5.10", "unpin"],
    ["v6.12", "unpin"],
    ["v6.12", "range"],
    ["v7.3", "unpin"],
    ["v7.3", "range"],
  ] as const)("%s orders them so in %s too", (form, what) => {
    expect(disagreements(rows, form, 0.1, what)).toEqual([]);
  });
  test("a disagreement is found where there is one", () => {
    const turned = rows.map((r) => (r.kind === "4k" ? { ...r, kernelPin: 1 } : r));
    expect(disagreements(turned, "v7.3").length).toBeGreaterThan(0);
  });
  test("in the uniform form a device leaf executes what a leaf of System RAM executes, and looks nothing up", () => {
    expect(deviceSurcharge(rows, "v7.3")).toBe(1);
    expect(of("dax4k", "v7.3").pin).toEqual(of("4k", "v7.3").pin);
    for (const r of rows.filter((x) => x.form === "v7.3")) expect(r.pin.lookups).toBe(0);
  });
  test("one page at a time costs a device leaf an atomic per page, one grab a few", () => {
    expect(of("dax2m", "v5.10").pin.atomics).toBeGreaterThanOrEqual(512);
    expect(of("dax2m", "v6.12").pin.atomics).toBeGreaterThanOrEqual(512);
    expect(of("dax2m", "rfc").pin.atomics).toBeLessThan(10);
    expect(deviceSurcharge(rows, "v5.10")).toBeGreaterThan(3);
  });
  test("releasing a range of a compound page is a constant number of atomics", () => {
    expect(of("dax2m", "v7.3").range.atomics).toBe(of("dax1g", "v7.3").range.atomics);
    expect(of("dax2m", "v7.3").range.atomics).toBeLessThan(5);
  });
  test("counts are of what ran: the same call twice, the same work", async () => {
    const again = await countC6(["v7.3"]);
    expect(again).toEqual(rows.filter((r) => r.form === "v7.3"));
  });
});

test("a loop's work is what its source says", async () => {
  const module = new URL("../lang/fixtures/wasm.ts", import.meta.url).href;
  await loadModules([module]);
  const { ir } = linkFunction({ module, name: "spin" });
  const one = countWork(ir, [1], [], () => false);
  const ten = countWork(ir, [10], [], () => false);
  expect(ten.work.branches).toBeGreaterThan(one.work.branches);
  expect(ten.work.loads + ten.work.atomics + ten.work.stores).toBe(0);
});
