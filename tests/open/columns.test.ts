/** Packed data is what was packed; data that is cut or broken is refused, never misread for ever. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { packColumns, unpackColumns } from "../../src/open/columns.ts";

test("any JSON comes out as it went in", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const json: unknown = JSON.parse(JSON.stringify(value));
      expect(unpackColumns(packColumns(json))).toEqual(json);
    }),
    { numRuns: 500 },
  );
});

test("tables of integers come out exact, whether packed as differences or not", () => {
  const row = fc.record({ a: fc.integer(), b: fc.maxSafeInteger(), c: fc.double({ noNaN: true }) });
  fc.assert(
    fc.property(fc.array(row), (rows) => {
      const json: unknown = JSON.parse(JSON.stringify(rows));
      expect(unpackColumns(packColumns(json))).toEqual(json);
    }),
  );
});

test("a table is smaller than its text", () => {
  const rows = Array.from({ length: 1000 }, (_, i) => ({
    line: 100 + i,
    fn: "gup_pte_range",
    parent: i - 1,
  }));
  expect(packColumns(rows).length).toBeLessThan(JSON.stringify(rows).length / 10);
});

test("data that is cut short or has a byte changed gives a value or an error, at once", () => {
  const good = packColumns([
    { a: 1, b: [2, 3, "x"] },
    { a: -5, b: [null, true] },
  ]);
  for (let n = 0; n < good.length; n++) expect(() => unpackColumns(good.subarray(0, n))).toThrow();
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      const bad = good.slice();
      bad[at] = byte;
      try {
        unpackColumns(bad);
      } catch (e) {
        expect(e instanceof RangeError || e instanceof SyntaxError || e instanceof TypeError).toBe(true);
      }
    }),
  );
});
