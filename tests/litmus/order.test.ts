/**
 * What orders accesses within one C expression: only the flow of values. C leaves the order of evaluation
 * open, and a verdict may not rest on reading from left to right.
 */
import { describe, expect, it } from "vitest";
import { sc } from "../../src/check/models/global-order.ts";
import { litmus, observation, run } from "./support.ts";

const MP = (reader: string, condition: string): string =>
  litmus(["WRITE_ONCE(*x, 1); smp_wmb(); WRITE_ONCE(*y, 1);", reader], `exists (${condition})`);

describe("reads of one expression", () => {
  it("are in no order: an acquire on the left does not order a read on the right", () => {
    expect(observation(MP("r0 = smp_load_acquire(y) + 2 * READ_ONCE(*x);", "1:r0=1"))).toMatch(/^Sometimes/);
    expect(observation(MP("r1 = smp_load_acquire(y); r0 = r1 + 2 * READ_ONCE(*x);", "1:r0=1"))).toMatch(
      /^Never/,
    );
  });

  it("may see one location's writes in either order, even under SC", () => {
    const source = litmus(
      ["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x) + 2 * READ_ONCE(*x);"],
      "exists (1:r0=1)",
    );
    expect(observation(source)).toBe("Sometimes 1 3");
    expect(observation(source, sc)).toBe("Sometimes 1 3");
  });

  it("come after the statement before and before the one after", () => {
    const source = litmus(
      ["WRITE_ONCE(*x, 1);", "r1 = READ_ONCE(*x); r0 = READ_ONCE(*x) + READ_ONCE(*x); r2 = READ_ONCE(*x);"],
      "exists (1:r1=1 /\\ (not (1:r0=2)) \\/ 1:r0=2 /\\ 1:r2=0)",
    );
    expect(observation(source)).toMatch(/^Never/);
  });

  it("come before the write that they give a value or an address to", () => {
    expect(
      observation(
        litmus(
          [
            "WRITE_ONCE(*y, READ_ONCE(*x) + READ_ONCE(*z));",
            "r0 = READ_ONCE(*y); smp_mb(); WRITE_ONCE(*x, 1);",
          ],
          "exists (1:r0=1)",
        ),
      ),
    ).toMatch(/^Never/);
  });
});

describe("operations of one expression", () => {
  it("may change one location in either order", () => {
    const r = run(litmus(["r0 = xchg(x, 1) + 4 * xchg(x, 2);"], "locations [x] exists (0:r0=2)"));
    // Either the first comes first (0 + 4 * 1), or the second does (2 + 4 * 0).
    expect([r.positive, r.negative, r.stateCount]).toEqual([1, 1, 2]);
  });

  it("leave the reads among their arguments unordered with their own", () => {
    const source = MP("r0 = xchg_acquire(y, READ_ONCE(*x));", "1:r0=1 /\\ y=0");
    expect(observation(source)).toMatch(/^Sometimes/);
  });
});

describe("a branch", () => {
  it("depends on all that its condition reads, pointers included", () => {
    const LB = (code: string): string =>
      litmus(
        [`r1 = READ_ONCE(*p);\n${code}`, "r0 = READ_ONCE(*x); smp_mb(); WRITE_ONCE(*p, y);"],
        "exists (0:r1=y /\\ 1:r0=1)",
        "p=z;",
      );
    expect(observation(LB("if (*r1 == 0) { WRITE_ONCE(*x, 1); }"))).toMatch(/^Never/);
    // Through a register only the plain read counts, which orders nothing.
    expect(observation(LB("r2 = *r1; if (r2 == 0) { WRITE_ONCE(*x, 1); }"))).toMatch(/^Sometimes/);
  });
});
