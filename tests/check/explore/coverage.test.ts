/**
 * A "holds" says what it reached: assertions that no execution evaluates, threads that never end, waits that
 * nobody gets past, functions of which nothing runs. On random programs it is compared with what the oracle
 * reaches (random.test.ts).
 */

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import type { Coverage } from "../../../src/check/explore/result.ts";
import type { Program } from "../../../src/lang/ir.ts";
import { Linker } from "../../../src/lang/link.ts";
import { defineModule } from "../../../src/lang/modules.ts";
import { PACKAGE_ROOT } from "../../../src/lang/sources.ts";
import { loadPrimitives } from "../oracle/dialect.ts";
import { type Body, layout, lower, type Stmt } from "../oracle/program.ts";

function coverage(program: Program, model: "sc" | "tso" = "sc", livelock = true): Coverage {
  const r = explore(program, { model, livelock });
  if (r.verdict !== "holds" || r.coverage === null) throw new Error(`${r.verdict}: ${r.error?.message}`);
  return r.coverage;
}

const load = (dst: number, loc: string): Stmt => ({ s: "load", dst, loc });
const equal = (reg: number, b: number): Stmt => ({ s: "assert", fn: "eq", a: { reg }, b });
const whenSet = (reg: number, yes: Body): Stmt => ({ s: "if", fn: "ne", a: { reg }, b: 0, yes });
const two = (...threads: Body[]): Program => lower({ words: ["x", "y"], threads });

describe.each(["sc", "tso"] as const)("under %s", (model) => {
  test("an assertion behind a word that nobody sets is never evaluated; one behind a word that somebody sets is", () => {
    const reader = (w: string): Body => [load(0, w), whenSet(0, [load(1, w), equal(1, 1)])];
    const c = coverage(two(reader("x"), reader("y"), [{ s: "store", loc: "x", v: 1 }]), model);
    expect(c.assertions).toBe(2);
    expect(c.neverEvaluated.map((a) => a.file)).toEqual(["mini/P1"]);
    expect(c.neverEnded).toEqual([]);
    expect(c.linesReached).toBeLessThan(c.lines);
  });

  test("an assertion of the end-of-run check counts", () => {
    const c = coverage(
      lower({
        words: ["x"],
        threads: [[load(0, "x")]],
        finally: [load(0, "x"), equal(0, 0), whenSet(0, [equal(0, 7)])],
      }),
      model,
    );
    expect(c.assertions).toBe(2);
    expect(c.neverEvaluated).toHaveLength(1);
  });

  test("an assertion of a callback that is never queued is never evaluated", () => {
    const check: Body = [load(1, "x"), equal(1, 0)];
    const c = coverage(
      lower({
        words: ["x"],
        threads: [
          [
            load(0, "x"),
            whenSet(0, [{ s: "call_rcu", handler: "late", v: 0 }]),
            { s: "call_rcu", handler: "now", v: 0 },
          ],
        ],
        handlers: { late: check, now: check },
      }),
      model,
    );
    expect(c.neverEvaluated.map((a) => a.file)).toEqual(["mini/late"]);
    expect(c.neverCalled).toEqual(["late"]);
  });

  test("threads that go round for ever never end, and nobody gets past a wait for what is not stored", () => {
    const round: Stmt = { s: "while", fn: "eq", a: 0, b: 0, body: [load(0, "y")] };
    const program = two([round], [{ s: "await", loc: "x", cmp: "eq", v: 1 }], [load(0, "x")]);
    const c = coverage(program, model, false);
    expect(c.neverEnded).toEqual(["P0", "P1"]);
    expect(c.neverPassed.map((w) => [w.thread, w.op])).toEqual([["P1", "smp_cond_load_relaxed"]]);
  });

  test("marks of an exploration before do not count", () => {
    const set = two([load(0, "x"), whenSet(0, [equal(0, 1)])], [{ s: "store", loc: "x", v: 1 }]);
    expect(coverage(set, model).neverEvaluated).toHaveLength(0);
    const unset: Program = { ...set, threads: [set.threads[0]] };
    expect(coverage(unset, model).neverEvaluated).toHaveLength(1);
  });
});

test("a bounded search says what it has reached so far, a violated one nothing", () => {
  const stores: Body = [1, 2, 3].map((v) => ({ s: "store", loc: "x", v }));
  const off = { partialOrder: false, merge: false, symmetry: false };
  const bounded = explore(two(stores, stores, stores, stores, stores, stores, stores), {
    model: "sc",
    ...off,
    maxStates: 100,
  });
  expect(bounded.verdict).toBe("bounded");
  expect(bounded.coverage?.linesReached).toBeGreaterThan(0);
  expect(explore(two([load(0, "x"), equal(0, 1)]), { model: "sc" }).coverage).toBeNull();
});

describe("of the dialect", () => {
  beforeAll(loadPrimitives);
  const PATH = join(PACKAGE_ROOT, "tests", "check", "explore", "coverage-module.ts");
  const text = `"use kernel";
import { assert, BUG_ON, READ_ONCE } from "../../../src/machine/primitives.ts";

function once(v: number): void {
  assert(v === 0, "inlined twice, evaluated once");
}
function never(v: number): void {
  assert(v === 1, "in a function that nobody calls");
}
export function one(): void {
  once(READ_ONCE(64));
}
export function other(): void {
  const v = READ_ONCE(64);
  if (v > 0) {
    once(v);
    never(v);
    BUG_ON(v === 5);
  }
}
`;

  test("a flush that interrupts every CPU is told of where two address spaces meet, and only there", () => {
    const path = join(PACKAGE_ROOT, "tests", "check", "explore", "flush-module.ts");
    const flush = `"use kernel";
import { READ_ONCE, smp_call_function } from "../../../src/machine/primitives.ts";

function flush_tlb_range(): void {
  smp_call_function(0, 0);
}
export function unshare(): void {
  flush_tlb_range();
}
export function sync(): void {
  smp_call_function(0, 0);
}
`;
    defineModule(path, flush, { unshare: () => undefined, sync: () => undefined });
    const program = (name: string, mms: number): Program => {
      const linker = new Linker();
      const words = Array.from({ length: mms }, (_, i) => `mm${i}`);
      const { memory } = layout({ words, threads: [] });
      return {
        name,
        threads: [linker.thread({ name, run: { module: path, name }, cpu: 0 }, {})],
        handlers: {},
        finally: null,
        memory: { ...memory, symbols: memory.symbols.map((s) => ({ ...s, type: "mm_struct" })) },
      };
    };
    expect(coverage(program("unshare", 2)).flushesEveryMm).toEqual(["flush_tlb_range"]);
    expect(coverage(program("unshare", 1)).flushesEveryMm).toEqual([]);
    expect(coverage(program("sync", 2)).flushesEveryMm).toEqual([]);
  });

  test("a function that is inlined in many places is one; one that is reached nowhere is named", () => {
    defineModule(PATH, text, { one: () => undefined, other: () => undefined });
    const linker = new Linker();
    const thread = (name: string, cpu: number): Program["threads"][number] =>
      linker.thread({ name, run: { module: PATH, name }, cpu }, {});
    const program: Program = {
      name: "p",
      threads: [thread("one", 0), thread("other", 1)],
      handlers: {},
      finally: null,
      memory: layout({ words: ["x"], threads: [] }).memory,
    };
    const c = coverage(program);
    expect(c.assertions).toBe(3);
    expect(c.neverEvaluated.map((a) => [a.message, a.line, a.fn])).toEqual([
      ["in a function that nobody calls", 8, "never"],
      ["BUG_ON", 18, "other"],
    ]);
    expect(c.neverCalled).toEqual(["never"]);
    expect(c.functions).toBe(4);
  });
});
