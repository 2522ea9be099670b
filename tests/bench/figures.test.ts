/**
 * The claims that are figures: what makes a verdict of a count or a time, and that each row can go either
 * way.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import type { WorkRow } from "../../src/bench/c6.ts";
import { type ClaimRow, claimRows } from "../../src/bench/c9.ts";
import { c6Figures, c9Figures, figureIds, takeFigures } from "../../src/bench/figures.ts";
import type { Form, GupRow, Mode } from "../../src/bench/gup.ts";
import type { Kind } from "../../src/bench/pages.ts";
import { sample } from "../../src/bench/stats.ts";
import { FigureSchema } from "../../src/claims/schema.ts";
import type { Work } from "../../src/lang/count.ts";

const WORK: Work = {
  instructions: 100,
  loads: 10,
  stores: 10,
  atomics: 3,
  fences: 0,
  branches: 20,
  lookups: 0,
  arrayAccesses: 5,
  other: 2,
};
const row = (kind: Kind, pin: Work): WorkRow => ({
  kind,
  form: "v7.3",
  pin,
  unpin: WORK,
  range: WORK,
  kernelPin: null,
  kernelUnpin: null,
  kernelRange: null,
});

test("C6 holds only if a device mapping executes exactly what System RAM does: one of anything more and it is special", () => {
  const verdict = (pin: Work): string => c6Figures([row("thp", WORK), row("dax2m", pin)])[0].verdict;
  expect(verdict({ ...WORK })).toBe("holds");
  for (const what of Object.keys(WORK) as (keyof Work)[])
    expect(verdict({ ...WORK, [what]: WORK[what] + 1 }), what).toBe("violated");
});

test("C6 is counted by running: the uniform form passes, those with a path for devices do not", async () => {
  const figures = await takeFigures(
    figureIds().filter((id) => id.startsWith("C6/")),
    () => {},
  );
  for (const f of figures) expect(FigureSchema.safeParse(f).success).toBe(true);
  expect(figures.filter((f) => f.verdict === "holds").map((f) => f.id)).toEqual([
    "C6/v7.3/dax4k",
    "C6/v7.3/dax2m",
  ]);
});

function gup(mode: Mode, form: Form, micros: readonly number[]): GupRow {
  const s = sample(micros);
  return {
    kind: "dax2m",
    form,
    mode,
    engine: "wasm",
    pages: 512,
    perCall: 512,
    get: s,
    put: s,
    putRange: null,
    nsPerPage: 1,
    heapPerPage: 0,
  };
}
const pin = (before: readonly number[], after: readonly number[]): ClaimRow => {
  const found = claimRows([gup("pin", "v5.10", before), gup("pin", "rfc", after)], []).find(
    (r) => r.id === "pin-2m",
  );
  if (found === undefined) throw new Error("no such row");
  return found;
};

test("C9 pays if after is faster than before beyond the noise, and not if the repeats overlap or are slower", () => {
  expect(c9Figures([pin([100, 101, 102, 103], [10, 11, 12, 13])])[0]).toMatchObject({ verdict: "holds" });
  expect(c9Figures([pin([100, 101, 102, 103], [90, 100, 102, 110])])[0].verdict).toBe("violated");
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 3, maxLength: 12 }), (values) => {
      expect(c9Figures([pin(values, values)])[0].verdict).toBe("violated");
      expect(
        c9Figures([
          pin(
            values,
            values.map((v) => v * 2),
          ),
        ])[0].verdict,
      ).toBe("violated");
    }),
  );
});

test("what was not measured is no figure", () => {
  expect(c9Figures(claimRows([], [])).map((f) => f.id)).toEqual(["C9/memmap-2m", "C9/memmap-1g"]);
});
