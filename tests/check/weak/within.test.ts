/**
 * What may happen under sequential consistency may happen on weak memory, too: the classics
 * (oracle/classics.ts), whose answers under SC are known, under every weak model, with reductions and
 * without. Livelock is not looked for there, and what the machine has no step for is bounded. And random
 * programs up the line: what SC allows, TSO does; what TSO allows, arm64 and riscv do; what these allow, the
 * LKMM does.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import type { ExploreResult } from "../../../src/check/explore/result.ts";
import type { WeakModel } from "../../../src/check/weak/ordering.ts";
import { exploreWeak, type WeakResult } from "../../../src/check/weak/search.ts";
import type { Program } from "../../../src/lang/ir.ts";
import { POISON } from "../../../src/machine/image.ts";
import { CLASSICS } from "../oracle/classics.ts";
import type { Expected } from "../oracle/classics-kit.ts";
import { miniProgram } from "../oracle/generate.ts";
import { allWords, layout, lower, type MiniProgram } from "../oracle/program.ts";
import { UNREDUCED } from "./support.ts";

/** Of random programs, per model; HOLDFAST_CAMPAIGN=2000 for more. */
const RUNS = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 150);
/** Of those that are asked of every model. */
const CHAINS = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 20);
const MODELS = ["arm64", "riscv", "lkmm"] satisfies WeakModel[];

const WITHIN = CLASSICS.filter((c) => c.gap === undefined && !("error" in c.sc && c.sc.error === "livelock"));

/** States above which a program is not asked, with reductions and without. */
const MOST = 2000;
const MOST_UNREDUCED = 3000;

function weak(program: Program, observe: readonly number[], model: WeakModel, reduced: boolean): WeakResult {
  const maxStates = reduced ? MOST : MOST_UNREDUCED;
  return exploreWeak(program, { model, observe, trace: false, maxStates, ...(reduced ? {} : UNREDUCED) });
}

/** What is compared between searches: where the error lies may differ, whether there is one may not. */
const answer = ({ verdict, observed }: Pick<WeakResult, "verdict" | "observed">): object =>
  verdict === "holds" ? { verdict, finals: observed.map((o) => o.join()) } : { verdict };

/** The weak answer, held against what sequential consistency gives; null if the machine has none. */
function within(
  mini: MiniProgram,
  observe: readonly number[],
  sc: Pick<ExploreResult, "verdict" | "observed">,
  model: WeakModel,
): WeakResult | null {
  const program = lower(mini);
  const reduced = weak(program, observe, model, true);
  if (reduced.verdict === "bounded") return null;
  if (sc.verdict === "violated") expect(reduced.verdict).toBe("violated");
  else if (reduced.verdict === "holds") {
    // What a freed object holds is nobody's business: words that end as poison are left out.
    const kept = observe.map((_, i) => sc.observed.every((o) => o[i] !== POISON));
    const finals = new Set(reduced.observed.map((o) => o.filter((_, i) => kept[i]).join()));
    for (const o of sc.observed) expect(finals).toContain(o.filter((_, i) => kept[i]).join());
  }
  const whole = weak(program, observe, model, false);
  if (whole.verdict !== "bounded") expect(answer(reduced)).toEqual(answer(whole));
  return reduced;
}

const expected = (e: Expected): Pick<ExploreResult, "verdict" | "observed"> =>
  "error" in e
    ? { verdict: "violated", observed: [] }
    : { verdict: "holds", observed: e.finals.map((f) => f.split(",").map(Number)) };

describe.each(MODELS)("%s", (model) => {
  let decided = 0;
  test.each(WITHIN.map((c) => [c.name, c] as const))("%s", (_, c) => {
    const { address } = layout(c.program);
    const observe = c.observe.map((word) => address.get(word) ?? expect.fail(`no word ${word}`));
    if (within(c.program, observe, expected(c.sc), model) !== null) decided++;
  });
  test("most of the classics are decided", () => {
    expect(decided / WITHIN.length).toBeGreaterThan(0.5);
  });

  test(`${RUNS} random programs`, () => {
    fc.assert(
      fc.property(miniProgram, (mini) => {
        const observe = allWords(mini);
        const sc = explore(lower(mini), {
          model: "sc",
          observe,
          livelock: false,
          trace: false,
          maxStates: MOST,
        });
        if (sc.verdict !== "bounded") within(mini, observe, sc, model);
      }),
      { numRuns: RUNS, seed: Number(process.env["HOLDFAST_SEED"] ?? 28_112_026) },
    );
  });
});

type Answer = Pick<ExploreResult, "verdict" | "observed">;

/** Each model with those that are weaker, next after it. */
const WEAKER = [
  ["sc", "tso"],
  ["tso", "arm64"],
  ["tso", "riscv"],
  ["arm64", "lkmm"],
  ["riscv", "lkmm"],
] as const;

test("what a model allows, each weaker one allows, too", () => {
  let compared = 0;
  fc.assert(
    fc.property(miniProgram, (mini) => {
      const observe = allWords(mini);
      const known = new Map<string, Answer>();
      const answerOf = (model: "sc" | "tso" | WeakModel): Answer => {
        const before = known.get(model);
        if (before !== undefined) return before;
        const options = { observe, livelock: false, trace: false, maxStates: MOST };
        const a =
          model === "sc" || model === "tso"
            ? explore(lower(mini), { ...options, model })
            : exploreWeak(lower(mini), { ...options, model });
        known.set(model, a);
        return a;
      };
      for (const [strong, weak] of WEAKER) {
        const [s, w] = [answerOf(strong), answerOf(weak)];
        if (s.verdict === "bounded" || w.verdict === "bounded") continue;
        compared++;
        const where = `${strong} within ${weak}`;
        if (s.verdict === "violated") expect(w.verdict, where).toBe("violated");
        if (w.verdict !== "holds") continue;
        const kept = observe.map((_, i) => s.observed.every((o) => o[i] !== POISON));
        const finals = new Set(w.observed.map((o) => o.filter((_, i) => kept[i]).join()));
        for (const o of s.observed) expect(finals, where).toContain(o.filter((_, i) => kept[i]).join());
      }
    }),
    { numRuns: CHAINS, seed: Number(process.env["HOLDFAST_SEED"] ?? 12_112_026) },
  );
  expect(compared).toBeGreaterThan(CHAINS * 3);
});
