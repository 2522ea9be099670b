/** Limits are looked at before the search, too: what large programs need first takes as long as a search. */
import { describe, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import { Stopped } from "../../../src/check/explore/searchlimits.ts";
import { MAPPINGS, WEAK_MODELS } from "../../../src/check/weak/ordering.ts";
import { prepare } from "../../../src/check/weak/prepare.ts";
import { exploreWeak } from "../../../src/check/weak/search.ts";
import type { Program } from "../../../src/lang/ir.ts";
import { type Body, lower } from "../oracle/program.ts";

/** Threads of `n` reads of what the other writes, each with a write behind it. */
function large(n: number): Program {
  const half = (read: string, write: string): Body =>
    Array.from(
      { length: n },
      (_, i): Body => [
        { s: "load", dst: 0, loc: read },
        { s: "store", loc: write, v: i },
      ],
    ).flat();
  return lower({ words: ["x", "y"], threads: [half("x", "y"), half("y", "x")] });
}

describe.each(WEAK_MODELS)("%s", (model) => {
  test("time that is over before the search begins ends it as bounded, and says so", () => {
    const r = exploreWeak(large(300), { model, maxSeconds: 0.001 });
    expect([r.verdict, r.reason, r.states, r.complete]).toEqual(["bounded", "more than 0.001 s", 0, false]);
  });

  test("it may be ended at every moment, and nothing half done is kept", () => {
    const program = large(20);
    let all = 0;
    prepare(large(20), MAPPINGS[model], () => void all++);
    // Each read of each thread is looked at on its own.
    expect(all).toBeGreaterThan(40);
    for (let n = 1; n <= all; n += 7) {
      let calls = 0;
      const stop = (): void => {
        if (++calls === n) throw new Stopped("now");
      };
      expect(() => prepare(program, MAPPINGS[model], stop)).toThrow(Stopped);
    }
    expect(prepare(program, MAPPINGS[model], () => {}).threads.length).toBe(2);
  });

  test("who watches may end it, too", () => {
    const r = exploreWeak(large(400), { model, onProgress: () => false });
    expect([r.verdict, r.reason]).toEqual(["bounded", "interrupted"]);
  });
});

test("so it is under SC", () => {
  const r = explore(large(300), { model: "sc", maxSeconds: 0.001 });
  expect([r.verdict, r.states]).toEqual(["bounded", 0]);
});
