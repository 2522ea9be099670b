/**
 * What barriers are worth: each is taken out by itself, and what is said of it comes from an exploration.
 */
import { describe, expect, test } from "vitest";
import { exploreWeak } from "../../src/check/weak/search.ts";
import { runBarriers } from "../../src/claims/barriers.ts";
import { orderingSites, withoutSite } from "../../src/claims/ordering-sites.ts";
import { BarriersSchema } from "../../src/claims/schema.ts";
import { askedCell } from "../../src/claims/weak.ts";
import type { LocalInstr, Program, VisibleInstr } from "../../src/lang/ir.ts";
import { type Body, lower } from "../check/oracle/program.ts";

/** Message passing with a barrier on each side, and one more before all. */
function passing(): Program {
  const publish: Body = [
    { s: "fence", kind: "mb" },
    { s: "store", loc: "data", v: 1 },
    { s: "fence", kind: "wmb" },
    { s: "store", loc: "ready", v: 1 },
  ];
  const consume: Body = [
    { s: "load", dst: 0, loc: "ready" },
    { s: "fence", kind: "rmb" },
    { s: "load", dst: 1, loc: "data" },
    { s: "set", dst: 2, fn: "sub", a: { reg: 0 }, b: { reg: 1 } },
    { s: "assert", fn: "ne", a: { reg: 2 }, b: 1 },
  ];
  return lower({ words: ["data", "ready"], threads: [publish, consume] });
}

/** The program with every access acquire, release or fully ordered, as far as it can be. */
function ordered(p: Program): Program {
  const order = (i: LocalInstr | VisibleInstr): LocalInstr | VisibleInstr =>
    i.op === "load" ? { ...i, order: "acquire" } : i.op === "store" ? { ...i, order: "release" } : i;
  const threads = p.threads.map((t) => ({
    ...t,
    blocks: t.blocks.map((b) => ({ ...b, instrs: b.instrs.filter((i) => i.op !== "fence").map(order) })),
  }));
  return { ...p, threads };
}

const verdicts = (p: Program): [string, string][] =>
  orderingSites(p).map(({ key, what }) => [
    what,
    exploreWeak(withoutSite(p, key), { model: "arm64", trace: false }).verdict,
  ]);

describe("a site is taken out alone", () => {
  test("fences: each of the two that message passing rests on is missed, the third is not", () => {
    expect(exploreWeak(passing(), { model: "arm64" }).verdict).toBe("holds");
    expect(verdicts(passing()).sort()).toEqual([
      ["smp_mb", "holds"],
      ["smp_rmb", "violated"],
      ["smp_wmb", "violated"],
    ]);
  });

  test("acquires and releases: what each reads and writes stays, its order goes", () => {
    expect(exploreWeak(ordered(passing()), { model: "arm64" }).verdict).toBe("holds");
    expect(verdicts(ordered(passing())).sort()).toEqual([
      ["smp_load_acquire", "holds"],
      ["smp_load_acquire", "violated"],
      ["smp_store_release", "holds"],
      ["smp_store_release", "violated"],
    ]);
  });

  test("what no execution comes past is not asked about", () => {
    let ran: ReadonlySet<VisibleInstr> | undefined;
    const never: Body = [
      { s: "load", dst: 0, loc: "data" },
      { s: "if", fn: "eq", a: { reg: 0 }, b: 7, yes: [{ s: "fence", kind: "rmb" }] },
      { s: "fence", kind: "wmb" },
    ];
    const p = lower({ words: ["data"], threads: [never, [{ s: "store", loc: "data", v: 1 }]] });
    exploreWeak(p, {
      model: "arm64",
      onRan: (found) => {
        ran = found;
      },
    });
    expect(orderingSites(p).map((s) => s.what)).toEqual(["smp_rmb", "smp_wmb"]);
    expect(orderingSites(p, ran).map((s) => s.what)).toEqual(["smp_wmb"]);
  });
});

test("mprotect() beside fast GUP rests on the barriers behind the pin's count and before it is read", async () => {
  const cell = askedCell("C1/arm64/mprotect/ram-4k/uniform/1/arm64");
  if (cell === undefined) throw new Error("no such cell");
  const limits = { maxStates: 1000, maxBytes: 2 ** 28, maxSeconds: 60 };
  const out = await runBarriers([cell], { workers: 1, limits });
  expect(BarriersSchema.parse(out)).toEqual(out);
  expect(out.complete).toBe(true);
  expect(out.cells.map((c) => c.verdict)).toEqual(["holds"]);
  expect(out.sites.filter((s) => s.tried[0]?.verdict === "needed").map((s) => [s.fn, s.what])).toEqual([
    ["try_grab_compound_head", "smp_mb__after_atomic"],
    ["flush_tlb_range", "smp_mb"],
  ]);
  expect(out.sites.length).toBeGreaterThan(2);
});
