/**
 * Random small programs. The engine against a naive enumerator of all rf x co judged by definition; each
 * weaker model allows what a stronger one does; strengthening never adds a state; names and order of threads
 * do not matter. `npm run campaign:litmus` runs many more.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { enumerateNaively } from "../../src/check/enumerate/naive.ts";
import { globalOrderByDefinition, lkmmByDefinition } from "../../src/check/models/definition.ts";
import { sc, tso } from "../../src/check/models/global-order.ts";
import { lkmm } from "../../src/check/models/lkmm.ts";
import type { MemoryModel } from "../../src/check/models/model.ts";
import { observe } from "../../src/litmus/condition.ts";
import { sortedStates, stateText } from "../../src/litmus/herd-output.ts";
import { loadLitmus, runLitmus } from "../../src/litmus/run.ts";
import { randomCycle, randomLitmus, randomSource } from "./random.ts";
import { CAMPAIGN, run } from "./support.ts";

const seed = fc.integer({ min: 0, max: 0x7fffffff });
const runs = (n: number) => ({ numRuns: n * CAMPAIGN, seed: 7 });
const long = 60_000 * Math.max(1, CAMPAIGN);

const states = (source: string, model: MemoryModel): Set<string> => {
  const r = run(source, model);
  expect(r.status).toBe("ok");
  return new Set([...(sortedStates(r) ?? [])].map((s) => stateText(r, s)));
};

const within = (inner: Set<string>, outer: Set<string>, what: string): void => {
  expect(
    [...inner].filter((s) => !outer.has(s)),
    what,
  ).toEqual([]);
};

describe("random programs", () => {
  const oracles = [
    { model: lkmm, judge: (x: Parameters<typeof lkmmByDefinition>[0]) => lkmmByDefinition(x) },
    { model: sc, judge: (x: Parameters<typeof lkmmByDefinition>[0]) => globalOrderByDefinition(x, "sc") },
    { model: tso, judge: (x: Parameters<typeof lkmmByDefinition>[0]) => globalOrderByDefinition(x, "tso") },
  ];
  for (const { model, judge } of oracles) {
    it(`${model.name}: the engine gives the counts, states and flags of the naive enumerator`, {
      timeout: long,
    }, () => {
      fc.assert(
        fc.property(seed, fc.boolean(), (n, cycle) => {
          const source = cycle ? randomCycle(n) : randomLitmus(n, { accesses: 6 });
          const test = loadLitmus("random", source);
          const o = observe(test);
          const fast = runLitmus(test, { model });
          const slow = enumerateNaively(test.program, judge, o.slots, o.condition, o.filter, o.shown);
          const flags = model === lkmm ? [fast.flags.join(), [...slow.flags].sort().join()] : ["", ""];
          expect([fast.positive, fast.negative, fast.stateCount, flags[0]], source).toEqual([
            slow.positive,
            slow.negative,
            slow.states.size,
            flags[1],
          ]);
        }),
        runs(model === lkmm ? 120 : 50),
      );
    });
  }

  it("SC's states lie within TSO's, and TSO's within the LKMM's", { timeout: long }, () => {
    fc.assert(
      fc.property(seed, fc.boolean(), (n, cycle) => {
        const source = cycle ? randomCycle(n) : randomLitmus(n, { accesses: 9 });
        const [a, b, c] = [sc, tso, lkmm].map((m) => states(source, m));
        within(a, b, `SC within TSO\n${source}`);
        within(b, c, `TSO within LKMM\n${source}`);
      }),
      runs(400),
    );
  });

  it("strengthening a fence or an access never adds a state", { timeout: long }, () => {
    fc.assert(
      fc.property(seed, fc.boolean(), (n, cycle) => {
        const source = cycle ? randomCycle(n) : randomLitmus(n, { accesses: 8 });
        const stronger = strengthen(source, n);
        within(states(stronger, lkmm), states(source, lkmm), `${source}\nstrengthened to\n${stronger}`);
      }),
      runs(400),
    );
  });

  it("renaming locations and exchanging threads changes no count", { timeout: long }, () => {
    fc.assert(
      fc.property(seed, (n) => {
        const source = randomLitmus(n, { accesses: 8, threads: 2 });
        const renamed = source.replace(/\bx\b/g, "alpha").replace(/\by\b/g, "beta");
        const [head, p0, p1, tail] = source.split(/(?=^P\d|^locations)/m);
        const swap = (s: string): string =>
          s.replace(/\b0:/g, "9:").replace(/\b1:/g, "0:").replace(/\b9:/g, "1:");
        const swapped = `${head}${p1.replace("P1", "P0")}${p0.replace("P0", "P1")}${swap(tail)}`;
        const [a, b, c] = [source, renamed, swapped].map((s) => run(s));
        expect([b.positive, b.negative, b.stateCount, b.flags], renamed).toEqual([
          a.positive,
          a.negative,
          a.stateCount,
          a.flags,
        ]);
        expect([c.positive, c.negative, c.stateCount, c.flags], swapped).toEqual([
          a.positive,
          a.negative,
          a.stateCount,
          a.flags,
        ]);
      }),
      runs(200),
    );
  });
});

/** Replaces a random half of what can be strengthened. */
function strengthen(source: string, n: number): string {
  const random = randomSource(n ^ 0x5bd1e995);
  const maybe = (from: RegExp, to: string, s: string): string =>
    s.replace(from, (m, ...groups) =>
      random() < 0.5 ? to.replace("$1", String(groups[0])).replace("$2", String(groups[1])) : m,
    );
  let s = maybe(/\b(?:barrier|smp_[rw]mb)\(\);/g, "smp_mb();", source);
  s = maybe(/\bREAD_ONCE\(\*(\w+)\)/g, "smp_load_acquire($1)", s);
  s = maybe(/\bWRITE_ONCE\(\*(\w+), ([^;]+)\);/g, "smp_store_release($1, $2);", s);
  s = maybe(/\b(cmpxchg|xchg|atomic_fetch_add)_(?:relaxed|acquire|release)\b/g, "$1", s);
  return maybe(/\bsmp_store_release\((\w+), ([^;]+)\);/g, "smp_mb(); smp_store_release($1, $2);", s);
}
