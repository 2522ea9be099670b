/** Which barriers repair a program: as few as do, as weak as may be, between the accesses that need them. */
import { expect, test } from "vitest";
import { suggestBarriers } from "../../../src/check/weak/barriers.ts";
import { exploreWeak } from "../../../src/check/weak/search.ts";
import { type Body, lower } from "../oracle/program.ts";

const publish: Body = [
  { s: "store", loc: "data", v: 1 },
  { s: "store", loc: "ready", v: 1 },
];
const consume = (...check: Body): Body => [
  { s: "load", dst: 0, loc: "ready" },
  { s: "load", dst: 1, loc: "data" },
  { s: "set", dst: 2, fn: "sub", a: { reg: 0 }, b: { reg: 1 } },
  ...check,
];

function repair(threads: readonly Body[]): ReturnType<typeof suggestBarriers> {
  const program = lower({ words: ["data", "ready"], threads });
  const { verdict, trace } = exploreWeak(program, { model: "arm64" });
  expect(verdict).toBe("violated");
  if (trace === null) throw new Error("no counterexample");
  return suggestBarriers(program, trace, { model: "arm64", maxSeconds: 60, maxStates: 10_000 });
}

test("message passing needs a write barrier on one side and a read barrier on the other", () => {
  const { barriers, none, states } = repair([
    publish,
    consume({ s: "assert", fn: "ne", a: { reg: 2 }, b: 1 }),
  ]);
  expect(none).toBe(null);
  expect(states).toBeGreaterThan(0);
  expect(barriers.map((b) => [b.kind, b.unordered?.map((a) => a.op)])).toEqual([
    ["smp_rmb", ["READ_ONCE", "READ_ONCE"]],
    ["smp_wmb", ["WRITE_ONCE", "WRITE_ONCE"]],
  ]);
});

test("what SC shows, too, no barrier orders away", () => {
  const { barriers, none } = repair([publish, consume({ s: "assert", fn: "eq", a: { reg: 1 }, b: 1 })]);
  expect(barriers).toEqual([]);
  expect(none).toMatch(/under SC, too/);
});
