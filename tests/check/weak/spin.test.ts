/**
 * Threads that spin for ever without a lock or an await, beside one whose assertion fails: a search that
 * followed only the spinning one, whose next step depends on nobody, would never look at the other.
 */
import { describe, expect, test } from "vitest";
import type { WeakModel } from "../../../src/check/weak/ordering.ts";
import { exploreWeak } from "../../../src/check/weak/search.ts";
import { type Body, lower } from "../oracle/program.ts";
import { UNREDUCED } from "./support.ts";

const forEver = (...body: Body): Body => [{ s: "while", fn: "eq", a: 0, b: 0, body }];
const SPINNING: Readonly<Record<string, Body>> = {
  "reads a word that nobody writes": forEver({ s: "load", dst: 0, loc: "x" }),
  "reads what the other writes": forEver({ s: "load", dst: 0, loc: "y" }),
  "writes one value again and again": forEver({ s: "store", loc: "x", v: 1 }),
  "passes barriers": forEver({ s: "fence", kind: "mb" }),
  "begins and ends sections": forEver({ s: "rcu-lock" }, { s: "rcu-unlock" }),
  "turns a bit on and off": forEver(
    { s: "rmw", fn: "or", dst: 0, loc: "x", a: 1 },
    { s: "rmw", fn: "and", dst: 0, loc: "x", a: 0 },
  ),
};
/** Fails as soon as it is run, if anybody does. */
const FAILING: Body = [
  { s: "store", loc: "y", v: 1 },
  { s: "load", dst: 0, loc: "z" },
  { s: "assert", a: { reg: 0 }, fn: "eq", b: 1 },
];

describe.each(["arm64", "riscv", "lkmm"] satisfies WeakModel[])("%s", (model) => {
  test.each(Object.entries(SPINNING))("a thread that %s hides nobody's error", (_, spinning) => {
    for (const threads of [
      [spinning, FAILING],
      [FAILING, spinning],
    ])
      for (const options of [{}, UNREDUCED]) {
        const r = exploreWeak(lower({ words: ["x", "y", "z"], threads }), { model, ...options });
        expect([r.verdict, r.error?.kind]).toEqual(["violated", "assertion"]);
      }
  });
});
