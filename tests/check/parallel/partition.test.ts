/**
 * The search in shares against the depth-first one on random programs: the same verdict, the same final
 * values, a cycle wherever there is a livelock; and the same counts for any number of shares and whoever is
 * quicker.
 */

import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import { prepare } from "../../../src/check/explore/prepare.ts";
import { type Capacity, CapacityError } from "../../../src/check/explore/state.ts";
import { hasCycle } from "../../../src/check/parallel/cycles.ts";
import { Partition } from "../../../src/check/parallel/partition.ts";
import type { Program } from "../../../src/lang/ir.ts";
import { CLASSICS } from "../oracle/classics.ts";
import { loadPrimitives } from "../oracle/dialect.ts";
import { miniProgram } from "../oracle/generate.ts";
import { allWords, layout, lower } from "../oracle/program.ts";

beforeAll(loadPrimitives);

interface Found {
  readonly kind: string | null;
  readonly states: number;
  readonly transitions: number;
  readonly finalStates: number;
  readonly observed: readonly string[];
  readonly cycle: boolean;
}

/** All shares in one thread; `pick` says who acts next, of so many. */
function inShares(
  program: Program,
  model: "sc" | "tso",
  observe: readonly number[],
  shares: number,
  pick: (n: number) => number,
): Found | null {
  const capacity: Capacity = { instances: 2, buffer: 12 };
  const inbox: Int32Array[][] = Array.from({ length: shares }, () => []);
  const options = { model, partialOrder: true, merge: true, symmetry: true, observe };
  const prepared = prepare(program, true);
  try {
    const all = inbox.map(
      (_, index) =>
        new Partition(prepared, options, capacity, { index, shares }, (owner, message) => {
          inbox[owner].push(message.slice());
        }),
    );
    all[0].start();
    for (;;) {
      const able = all.filter((p, i) => !p.idle || inbox[i].length > 0);
      if (able.length === 0 || all.some((p) => p.error !== null)) break;
      const p = able[pick(able.length)];
      const mail = inbox[p.index].splice(0, 1);
      if (mail.length > 0) p.receive(mail[0], 0);
      else p.expand();
    }
    const sum = (f: (p: Partition) => number): number => all.reduce((n, p) => n + f(p), 0);
    return {
      kind: all.find((p) => p.error !== null)?.error?.error.kind ?? null,
      states: sum((p) => p.table.size),
      transitions: sum((p) => p.stepper.transitions),
      finalStates: sum((p) => p.finalStates),
      observed: [
        ...new Set(
          all.flatMap((p) =>
            Array.from({ length: p.observer.size }, (_, i) => p.observer.words(i, i + 1).join()),
          ),
        ),
      ].sort(),
      cycle: hasCycle(
        all.map((p) => ({
          parent: p.parent.words(0, p.parent.size),
          edges: p.edges.words(0, p.edges.size),
        })),
      ),
    };
  } catch (e) {
    if (e instanceof CapacityError) return null;
    throw e;
  }
}

/** Whether there was something to compare. */
function agrees(
  program: Program,
  model: "sc" | "tso",
  observe: readonly number[],
  order: () => number,
): boolean {
  const serial = explore(program, { model, observe, trace: false, shorten: false, maxStates: 4000 });
  if (serial.verdict === "bounded") return false;
  const found = [1, 2, 3].map((n) => inShares(program, model, observe, n, (able) => order() % able));
  const one = found[0];
  if (one === null) return false;
  if (serial.verdict === "holds") {
    expect(one.kind).toBeNull();
    expect(one.observed).toEqual(serial.observed.map((row) => row.join()).sort());
    for (const f of found) expect(f).toEqual(one);
  } else if (serial.error?.kind === "livelock") for (const f of found) expect(f?.cycle).toBe(true);
  else for (const f of found) expect(f?.kind).not.toBeNull();
  return true;
}

describe.each(["sc", "tso"] as const)(
  "under %s, in 1, 2 and 3 shares: the depth-first verdict, and one count",
  (model) => {
    test.each(CLASSICS.map((c) => [c.name, c] as const))("%s", (_, { program, observe }) => {
      const { address } = layout(program);
      let n = 0;
      agrees(
        lower(program),
        model,
        observe.map((w) => address.get(w) ?? 0),
        () => (n = (n * 1103515245 + 12345) & 0x7fffffff) >> 8,
      );
    });

    test("random programs", { timeout: 3_600_000 }, () => {
      const runs = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 120);
      let compared = 0;
      fc.assert(
        fc.property(miniProgram, fc.infiniteStream(fc.nat(1 << 20)), (mini, order) => {
          if (agrees(lower(mini), model, allWords(mini), () => order.next().value as number)) compared++;
        }),
        { numRuns: runs, seed: 15 },
      );
      expect(compared).toBeGreaterThan(runs * 0.8);
    });
  },
);
