/** The estimate of the time that a matrix still takes. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Estimate } from "../../src/claims/estimate.ts";

describe("the time left", () => {
  test("is exact where work goes at the pace that it is weighed by, in whatever order it is done", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 20, maxLength: 60 }),
        fc.integer({ min: 5, max: 19 }),
        (costs, done) => {
          const e = new Estimate();
          for (const c of costs) e.add(c);
          let gone = 0;
          for (const c of costs.slice(0, done)) {
            e.finish(c);
            gone += c * 7;
          }
          const all = costs.reduce((a, b) => a + b, 0) * 7;
          const left = e.left(gone);
          if (gone / all >= 0.05) expect(left).toBeCloseTo(all - gone, 6);
          else expect(left).toBeNull();
        },
      ),
    );
  });
  test("is not told before anything can be known of it", () => {
    const e = new Estimate();
    e.add(100);
    e.finish(50);
    expect(e.left(1)).toBeNull();
    expect(e.left(10)).toBe(10);
    e.add(5000);
    expect(e.left(10)).toBeNull();
  });
});
