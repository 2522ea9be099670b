/**
 * Values that do not exist: arithmetic with addresses, division by zero, and whatever depends on values that
 * only a circle gives. None of it may become a number and then a verdict.
 */
import { describe, expect, it } from "vitest";
import { litmus, observation, run } from "../../litmus/support.ts";

const error = (source: string): string => {
  const r = run(source);
  expect([r.status, r.verdict]).toEqual(["error", null]);
  return r.message;
};

describe("arithmetic", () => {
  it.each([
    "r0 = READ_ONCE(*p); r1 = r0 + 1;",
    "r0 = READ_ONCE(*p); r1 = r0 | 2;",
    "r0 = READ_ONCE(*p); r1 = r0 < 5;",
    "r0 = READ_ONCE(*p); WRITE_ONCE(*y, r0 ^ x);",
    "r1 = x + y;",
    "r1 = 1 / READ_ONCE(*y);",
    "r1 = 4 / 0;",
    "atomic_inc(p);",
  ])("has no value: %s", (code) => {
    expect(error(litmus([code], "exists (0:r1=1)", "p=z;"))).toMatch(
      /^P0: arithmetic with an address, or division by zero/,
    );
  });

  it.each([
    ["r0 = READ_ONCE(*p); r1 = r0 == z;", 1],
    ["r0 = READ_ONCE(*p); r1 = r0 != 0;", 1],
    ["r0 = READ_ONCE(*p); r1 = (r0 ^ r0) + 1;", 1],
    ["r0 = READ_ONCE(*p); r1 = (r0 & 0) + 1;", 1],
    ["r0 = READ_ONCE(*p) + 0; r1 = r0 == z;", 1],
    ["r1 = 7 / 2;", 3],
    ["r1 = -7 / 2;", -3],
  ])("has one: %s", (code, value) => {
    expect(run(litmus([code], `exists (0:r1=${value})`, "p=z;")).verdict).toBe("Always");
  });

  it("that no accepted execution does is no error", () => {
    const source = litmus(
      ["r0 = READ_ONCE(*y); if (r0 == 2) { r1 = 1 / (r0 - 2); }", "WRITE_ONCE(*y, 1);"],
      "exists (0:r0=1)",
    );
    expect(observation(source)).toBe("Sometimes 1 1");
  });

  it("is noticed among many executions that would be counted as products", () => {
    const readers = Array.from({ length: 6 }, () => "r0 = READ_ONCE(*x); r1 = READ_ONCE(*y);");
    expect(
      error(litmus(["WRITE_ONCE(*x, 1); r1 = 3 / READ_ONCE(*y);", ...readers], "exists (1:r0=0)")),
    ).toMatch(/division by zero/);
  });
});

describe("a circle of copies", () => {
  const copies = (after: string): string =>
    litmus([`r0 = *x; *y = r0; ${after}`, "r0 = *y; *x = r0;"], "locations [x] exists (0:r0=0)");

  it("has a value of its own", () => {
    const r = run(copies(""));
    expect([r.positive, r.negative, r.stateCount]).toEqual([3, 1, 2]);
  });

  it.each([
    "r1 = r0 + 1;",
    "if (r0 == 1) { WRITE_ONCE(*z, 1); }",
    "if (r0) { barrier(); }",
    "r1 = r0 == 0; r1 = 0;",
  ])("has no execution in which something is computed from it: %s", (after) => {
    const r = run(copies(after));
    expect([r.positive, r.negative]).toEqual([3, 0]);
  });
});
