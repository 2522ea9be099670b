/** Sizes and order statistics: what parses, what is refused, and what a median is. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quantile, sample } from "../../src/bench/stats.ts";
import { formatBytes, parseSize, SizeError } from "../../src/bench/units.ts";

describe("sizes", () => {
  test.each([
    ["1T", 2 ** 40],
    ["2M", 2 ** 21],
    ["4KiB", 4096],
    ["1.5g", 1.5 * 2 ** 30],
    [" 16 G ", 2 ** 34],
    ["123456", 123456],
  ])("%s is a size", (text, bytes) => {
    expect(parseSize("--size", text)).toBe(bytes);
  });
  test.each(["", "x", "-1", "1X", "0", "0T", "1..5M", "0.3", "9999999P", "1e9", "NaN", "2M2M"])(
    "%j is none",
    (text) => {
      expect(() => parseSize("--size", text)).toThrow(SizeError);
    },
  );
  test("whatever is typed, it parses or is refused by name", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(Number.isSafeInteger(parseSize("--size", text))).toBe(true);
        } catch (e) {
          expect(e).toBeInstanceOf(SizeError);
          expect((e as Error).message).toContain("--size");
        }
      }),
    );
  });
  test("what is printed in whole units parses back", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1023 }),
        fc.constantFrom(2 ** 10, 2 ** 20, 2 ** 30, 2 ** 40),
        (n, unit) => {
          expect(parseSize("size", formatBytes(n * unit))).toBe(n * unit);
        },
      ),
    );
  });
});

describe("samples", () => {
  test("the median lies between the least and the largest, half the values on each side", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const s = sample(values);
        expect(s.min).toBeLessThanOrEqual(s.median);
        expect(s.median).toBeLessThanOrEqual(s.max);
        const half = values.length / 2;
        expect(values.filter((v) => v < s.median).length).toBeLessThanOrEqual(half);
        expect(values.filter((v) => v > s.median).length).toBeLessThanOrEqual(half);
      }),
    );
  });
  test("no values have no quantile", () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError);
    expect(sample([3]).spread).toBe(0);
  });
});
