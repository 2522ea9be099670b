/**
 * Read-modify-writes under the LKMM: which operations the conditional fences pair with, and dependencies
 * within one.
 */
import { describe, expect, it } from "vitest";
import { litmus, observation } from "../../litmus/support.ts";

const SB = (first: string): string =>
  litmus(
    [
      `WRITE_ONCE(*x, 1);\n${first}\nr0 = READ_ONCE(*y);`,
      "WRITE_ONCE(*y, 1);\nsmp_mb();\nr0 = READ_ONCE(*x);",
    ],
    "exists (0:r0=0 /\\ 1:r0=0)",
  );

describe("smp_mb__before_atomic() and smp_mb__after_atomic()", () => {
  it.each([
    "smp_mb__before_atomic(); atomic_inc(z);",
    "atomic_inc(z); smp_mb__after_atomic();",
    "smp_mb__before_atomic(); r1 = cmpxchg_relaxed(z, 5, 1);",
  ])("make a full fence of '%s'", (code) => {
    expect(observation(SB(code))).toMatch(/^Never/);
  });

  it.each([
    "smp_mb__before_atomic(); spin_lock(l);",
    "spin_lock(l); smp_mb__after_atomic();",
    "smp_mb__before_atomic(); r1 = spin_trylock(l);",
  ])("do not pair with a lock: '%s'", (code) => {
    expect(observation(SB(code))).toMatch(/^Sometimes/);
  });
});

describe("the write of an operation that computes from what it reads", () => {
  const LB = (first: string, value: number): string =>
    litmus(
      [
        `${first}\nr1 = READ_ONCE(*x);\nWRITE_ONCE(*y, r1);`,
        "r2 = READ_ONCE(*y);\nsmp_mb();\nWRITE_ONCE(*x, 1);",
      ],
      `exists (0:r1=${value} /\\ 1:r2=${value} /\\ x=${value})`,
    );

  it.each([
    ["r0 = atomic_fetch_add_relaxed(1, x);", 2],
    ["r0 = atomic_add_return_relaxed(1, x);", 2],
    ["atomic_inc(x);", 2],
    ["r0 = atomic_fetch_or_relaxed(2, x);", 3],
    ["r0 = atomic_fetch_xor_relaxed(2, x);", 3],
  ])("depends on the read: %s", (code, value) => {
    expect(observation(LB(code, value))).toMatch(/^Never/);
  });

  it.each([
    ["r0 = xchg_relaxed(x, 7);", 7],
    ["r0 = cmpxchg_relaxed(x, 1, 7);", 7],
  ])("does not where it stores something else: %s", (code, value) => {
    expect(observation(LB(code, value))).toMatch(/^Sometimes/);
  });
});
