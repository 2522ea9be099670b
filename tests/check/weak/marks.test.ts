/**
 * Marks of accesses to an object: one that is sure to be before the freeing says nothing of another one that
 * is not.
 */
import { describe, expect, test } from "vitest";
import { WEAK_MODELS } from "../../../src/check/weak/ordering.ts";
import { exploreWeak } from "../../../src/check/weak/search.ts";
import type { FenceKind, Program } from "../../../src/lang/ir.ts";
import { type Body, lower } from "../oracle/program.ts";

/** Two reads of an object, each told of; the other thread waits for both words and frees it. */
function program(behindFirst: FenceKind, behindSecond: FenceKind): Program {
  const user: Body = [
    { s: "load", dst: 0, loc: "a" },
    { s: "fence", kind: "mb" },
    { s: "store", loc: "first", v: 1 },
    { s: "load", dst: 1, loc: "a" },
    { s: "fence", kind: "mb" },
    { s: "store", loc: "second", v: 1 },
  ];
  const owner: Body = [
    { s: "await", loc: "first", cmp: "eq", v: 1 },
    { s: "fence", kind: behindFirst },
    { s: "await", loc: "second", cmp: "eq", v: 1 },
    { s: "fence", kind: behindSecond },
    { s: "free", loc: "a" },
  ];
  return lower({ words: ["first", "second"], objects: [["a", 1, true]], threads: [user, owner] });
}

describe.each(WEAK_MODELS)("%s", (model) => {
  test.each([true, false])("the second read may be overtaken by the freeing (merged: %s)", (mergeMarks) => {
    const r = exploreWeak(program("mb", "barrier"), { model, mergeMarks, trace: false });
    expect([r.verdict, r.error?.kind]).toEqual(["violated", "use-after-free"]);
    expect(exploreWeak(program("barrier", "mb"), { model, mergeMarks, trace: false }).verdict).toBe("holds");
  });
});
