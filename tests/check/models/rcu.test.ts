/**
 * The RCU axiom as a counting rule: a cycle of links is forbidden exactly if it has at least as many grace
 * periods as sections. On simple rings, where that rule is easy to state, rcu-order must give it for every
 * arrangement.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { setBit } from "../../../src/check/models/bits.ts";
import { RcuOrder } from "../../../src/check/models/rcu.ts";

function ring(kinds: readonly boolean[], domains?: readonly number[]): RcuOrder {
  const order = new RcuOrder(
    kinds.map((gp, i) => ({ gp, domain: domains?.[i] ?? -1, thread: i, source: gp ? 0 : 1, target: 0 })),
  );
  kinds.forEach((_, i) => {
    setBit(order.link, order.words, i, (i + 1) % kinds.length);
  });
  return order;
}

const violated = (o: RcuOrder): boolean => {
  if (!o.mayViolate()) return false;
  o.solve();
  return o.violated();
};

describe("rcu-order", () => {
  it("a ring is forbidden exactly if grace periods are no fewer than sections", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), (kinds) => {
        const gps = kinds.filter((k) => k).length;
        expect(violated(ring(kinds))).toBe(gps > 0 && gps >= kinds.length - gps);
      }),
      { numRuns: 150 },
    );
  });

  it("a grace period counts only against sections of its own domain", () => {
    expect(violated(ring([true, false], [7, 7]))).toBe(true);
    expect(violated(ring([true, false], [7, 8]))).toBe(false);
    expect(violated(ring([true, false, true, false], [7, 7, 8, 8]))).toBe(true);
    expect(violated(ring([true, true, false, false], [7, 8, 8, 7]))).toBe(true);
    expect(violated(ring([true, true, false, false], [7, 8, 7, 8]))).toBe(false);
  });
});
