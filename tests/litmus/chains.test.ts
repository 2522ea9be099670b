/**
 * Programs whose executions double with each thread are decided by values, not one by one; and whatever
 * cannot be decided in time stops in time, wherever in the engine it was. Limits on seconds are loose:
 * they tell a loop that never looks at the clock from one that does.
 */
import { describe, expect, it } from "vitest";
import { lkmm } from "../../src/check/models/lkmm.ts";
import { type LitmusResult, loadLitmus, runLitmus } from "../../src/litmus/run.ts";

const param = (name: string): string => `int *${name}`;
const proc = (i: number, names: readonly string[], body: string): string =>
  `P${i}(${names.map(param).join(", ")})\n{\n${body}\n}`;
const test = (init: string, procs: readonly string[], condition: string): string =>
  `C chain\n{${init}}\n${procs.join("\n")}\n${condition}\n`;
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** A store, then n threads that each hand on what they read. */
function copiers(n: number, hand: (from: string, to: string) => string): string {
  const threads = upTo(n).map((i) => proc(i + 1, [`x${i}`, `x${i + 1}`], hand(`x${i}`, `x${i + 1}`)));
  return test("", [proc(0, ["x0"], "WRITE_ONCE(*x0, 1);"), ...threads], `exists (x${n}=1)`);
}
const copy = (from: string, to: string): string => `r0 = READ_ONCE(*${from}); WRITE_ONCE(*${to}, r0);`;
const relay = (from: string, to: string): string =>
  `r0 = READ_ONCE(*${from}); if (r0) WRITE_ONCE(*${to}, 1);`;

/** A list of n pointers, followed by one thread while another one bends it. */
function chase(n: number): string {
  const init = upTo(n)
    .map((i) => `x${i}=x${i + 1};`)
    .join(" ");
  const body = ["r0 = READ_ONCE(*x0);", ...upTo(n - 1).map((i) => `r${i + 1} = READ_ONCE(*r${i});`)];
  const procs = [proc(0, ["x0"], body.join("\n")), proc(1, ["x0", "x1"], "WRITE_ONCE(*x1, x0);")];
  return test(init, procs, `exists (0:r${n - 1}=x${n})`);
}

/** Threads that hand on a pointer and follow it. */
function pointers(n: number): string {
  const init = upTo(n + 1)
    .map((i) => `p${i}=z${i};`)
    .join(" ");
  const body = (i: number): string =>
    `r0 = READ_ONCE(*p${i}); r1 = READ_ONCE(*r0); WRITE_ONCE(*p${i + 1}, r0);`;
  const hands = upTo(n).map((i) => proc(i + 1, [`p${i}`, `p${i + 1}`], body(i)));
  return test(init, [proc(0, ["p0", "y"], "WRITE_ONCE(*p0, y);"), ...hands], `exists (${n}:r0=y)`);
}

const same = (n: number, body: string, condition: string): string =>
  test(
    "",
    upTo(n).map((i) => proc(i, ["x"], body)),
    condition,
  );

const run = (source: string, timeout = 60_000): LitmusResult =>
  runLitmus(loadLitmus("t.litmus", source), { model: lkmm, timeout });

describe("chains of threads", () => {
  it.each([1, 2, 5, 24, 26, 40])("%i copiers have an execution for each choice of sources", (n) => {
    expect(run(copiers(n, copy))).toMatchObject({
      status: "ok",
      verdict: "Sometimes",
      positive: 1,
      negative: 2 ** n - 1,
      stateCount: 2,
    });
  });

  it.each([1, 2, 5, 24])(
    "%i threads that relay under a condition stop at the first that sees nothing",
    (n) => {
      expect(run(copiers(n, relay))).toMatchObject({ status: "ok", positive: 1, negative: n });
    },
  );

  it.each([2, 10, 24])("a list of %i pointers is followed only where it may lead", (n) => {
    expect(run(chase(n))).toMatchObject({ status: "ok", verdict: "Sometimes", positive: 1, negative: 1 });
  });

  it("sums are added up once, not twice as often in each thread", () => {
    const add = (from: string, to: string): string =>
      `r0 = READ_ONCE(*${from}); r1 = READ_ONCE(*${from}); WRITE_ONCE(*${to}, r0 + r1);`;
    // Each thread reads twice before, around or after the store of the one before; only sums of 0 and 1
    // stay 1.
    expect(run(copiers(4, add))).toMatchObject({ status: "ok", positive: 1, negative: 80 });
    const ring = upTo(30).map((i) =>
      proc(i, [`x${i}`, `x${(i + 1) % 30}`], add(`x${i}`, `x${(i + 1) % 30}`)),
    );
    const start = performance.now();
    run(test("", ring, "exists (x0=1)"), 500);
    expect((performance.now() - start) / 1000).toBeLessThan(15);
  });

  it("a value that takes too long to compute is refused, not computed for ever", () => {
    const doubled = (n: number): string =>
      test(
        "",
        [
          proc(0, ["x", "y"], `r0 = READ_ONCE(*x);${" r0 = r0 + r0;".repeat(n)} WRITE_ONCE(*y, r0);`),
          proc(1, ["x"], "WRITE_ONCE(*x, 1);"),
        ],
        "exists (y=0)",
      );
    expect(run(doubled(10))).toMatchObject({ status: "ok", positive: 1, negative: 1 });
    const r = run(doubled(40));
    expect([r.status, r.verdict]).toEqual(["gave-up", null]);
    expect(r.message).toMatch(/P0 computes a value in more than 5000 steps/);
  });

  it("threads that hand on pointers and follow them have two sources each", () => {
    expect(run(pointers(5))).toMatchObject({ status: "ok", positive: 1, negative: 31 });
  });
});

describe("a time limit", () => {
  const hard: readonly [string, string][] = [
    ["pointers handed on", pointers(14)],
    ["increments of one counter", same(12, "r0 = atomic_inc_return(x);", "exists (0:r0=11)")],
    [
      "compare-and-exchange in many threads",
      same(14, "r0 = READ_ONCE(*x); r1 = cmpxchg(x, r0, r0 + 1);", "exists (x=14)"),
    ],
    [
      "stores and loads of one location",
      same(10, "WRITE_ONCE(*x, 1); r0 = READ_ONCE(*x);", "exists (0:r0=2)"),
    ],
    [
      "branches upon branches",
      same(
        3,
        upTo(12)
          .map((i) => `r${i} = READ_ONCE(*x); if (r${i} == ${i}) { WRITE_ONCE(*x, ${i + 1}); }`)
          .join("\n"),
        "exists (x=12)",
      ),
    ],
  ];
  it.each(hard)("stops %s", (_, source) => {
    const start = performance.now();
    const r = run(source, 200);
    expect(["ok", "gave-up"]).toContain(r.status);
    expect((performance.now() - start) / 1000).toBeLessThan(15);
  });
});
