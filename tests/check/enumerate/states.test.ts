/**
 * Sets of states given one by one and as products: the same set as multiplying everything out, in order,
 * counted right.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StateSet } from "../../../src/check/enumerate/states.ts";

const WIDTH = 4;
const value = fc.integer({ min: -1, max: 2 });
const single = fc.array(value, { minLength: WIDTH, maxLength: WIDTH });
/** Fixed values, with the last two slots as independent factors or as one factor of pairs. */
const box = fc.record({
  values: single,
  a: fc.uniqueArray(value, { minLength: 1, maxLength: 3 }),
  b: fc.uniqueArray(value, { minLength: 1, maxLength: 3 }),
  joint: fc.boolean(),
});

describe("StateSet", () => {
  it("counts and lists what multiplying out gives", () => {
    fc.assert(
      fc.property(fc.array(single, { maxLength: 6 }), fc.array(box, { maxLength: 4 }), (singles, boxes) => {
        const set = new StateSet(WIDTH);
        const all = new Set<string>();
        for (const s of singles) {
          set.add(s);
          all.add(s.join());
        }
        for (const b of boxes) {
          const pairs = b.a.flatMap((x) => b.b.map((y) => [x, y]));
          if (b.joint) set.addBox(b.values, [{ slots: [2, 3], tuples: pairs }]);
          else
            set.addBox(b.values, [
              { slots: [2], tuples: b.a.map((x) => [x]) },
              { slots: [3], tuples: b.b.map((y) => [y]) },
            ]);
          for (const p of pairs) all.add([...b.values.slice(0, 2), ...p].join());
        }
        expect(set.count).toBe(all.size);
        const listed = [...(set.sorted((x, y) => x - y) ?? [])].map((s) => s.join());
        expect(new Set(listed)).toEqual(all);
        expect(listed.length).toBe(all.size);
        expect(set.count).toBe(all.size);
      }),
    );
  });

  it("lists 2^13 states of two overlapping boxes in order and once each", () => {
    const n = 13;
    const bits = [[0], [1]];
    const set = new StateSet(n);
    const free = (from: number) =>
      Array.from({ length: n - from }, (_, i) => ({ slots: [from + i], tuples: bits }));
    set.addBox(new Array<number>(n).fill(0), free(0));
    set.addBox(new Array<number>(n).fill(1), free(1));
    expect(set.count).toBe(2 ** n);
    let last = "";
    let count = 0;
    for (const s of set.sorted((a, b) => a - b) ?? []) {
      const text = s.join("");
      expect(text > last).toBe(true);
      last = text;
      count++;
    }
    expect(count).toBe(2 ** n);
  });

  it("slots beyond the width are no part of the state", () => {
    const set = new StateSet(1);
    set.add([1, 5]);
    set.add([1, 6]);
    expect(set.count).toBe(1);
  });
});
