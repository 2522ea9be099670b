/**
 * percpu_ref in its modes: counts balance, kill waits for a grace period, the last put releases.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { COMPLETION } from "../../src/machine/completion.ts";
import { runRcuCallbacks, useSequentialHost } from "../../src/machine/host.ts";
import { mem } from "../../src/machine/memory.ts";
import { allocStruct, bootMachine } from "../../src/mm/boot.ts";
import {
  PERCPU_REF,
  PERCPU_REF_INIT_ATOMIC,
  percpu_ref_exit,
  percpu_ref_get_many,
  percpu_ref_init,
  percpu_ref_kill,
  percpu_ref_put_many,
  percpu_ref_sum,
  percpu_ref_tryget_live,
} from "../../src/mm/percpu-refcount.ts";

function setup(flags: number, percpuRefRcu = 1): { ref: number; done: () => number } {
  useSequentialHost();
  bootMachine({
    preset: "v5.10",
    knobs: { percpuRefRcu },
    arch: "arm64",
    geometry: { levels: 1, table_shift: 1, max_pfn: 2 },
    cpus: 2,
    tables: 1,
  });
  const completion = allocStruct("done", COMPLETION);
  const ref = allocStruct("ref", PERCPU_REF);
  expect(percpu_ref_init(ref, completion, flags)).toBe(true);
  return { ref, done: () => mem[completion] as number };
}

const modes = [
  ["per-CPU", 0],
  ["atomic", PERCPU_REF_INIT_ATOMIC],
] as const;

describe.each(modes)("a percpu_ref in %s mode", (_, flags) => {
  test("counts gets and puts, and completes exactly when the last reference after a kill is put", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 })), fc.nat(20), (gets, killAt) => {
        const { ref, done } = setup(flags);
        let held = 0;
        gets.forEach((nr, i) => {
          if (i === killAt) {
            percpu_ref_kill(ref);
            if (held === 0) percpu_ref_get_many(ref, 0);
          }
          if (i < killAt || held > 0) {
            percpu_ref_get_many(ref, nr);
            held += nr;
          }
          expect(done()).toBe(i < killAt || held > 0 ? 0 : done());
        });
        if (gets.length <= killAt) percpu_ref_kill(ref);
        runRcuCallbacks();
        while (held > 0) {
          expect(done()).toBe(0);
          percpu_ref_put_many(ref, 1);
          held--;
        }
        expect(done()).toBe(1);
        expect(percpu_ref_sum(ref)).toBe(0);
      }),
    );
  });

  test("gives no live reference once it is killed, nor after exit", () => {
    const { ref } = setup(flags);
    expect(percpu_ref_tryget_live(ref)).toBe(true);
    percpu_ref_kill(ref);
    expect(percpu_ref_tryget_live(ref)).toBe(false);
    runRcuCallbacks();
    percpu_ref_put_many(ref, 1);
    percpu_ref_exit(ref);
    expect(percpu_ref_tryget_live(ref)).toBe(false);
  });
});

test("release waits for a grace period after the kill of a per-CPU ref, and not after that of an atomic one", () => {
  const percpu = setup(0);
  percpu_ref_kill(percpu.ref);
  expect(percpu.done()).toBe(0);
  runRcuCallbacks();
  expect(percpu.done()).toBe(1);
  const atomic = setup(PERCPU_REF_INIT_ATOMIC);
  percpu_ref_kill(atomic.ref);
  expect(atomic.done()).toBe(1);
  const knockedOut = setup(0, 0);
  percpu_ref_kill(knockedOut.ref);
  expect(knockedOut.done()).toBe(1);
});

test("putting more than was got is found when the ref is folded", () => {
  const { ref } = setup(0);
  percpu_ref_put_many(ref, 1);
  percpu_ref_kill(ref);
  expect(runRcuCallbacks).toThrow(/not above 0/);
});

test("initialisation fails, and takes nothing, when memory is out", () => {
  const { ref } = setup(0);
  expect(percpu_ref_init(ref + PERCPU_REF.SIZE, 0, 0)).toBe(false);
  percpu_ref_kill(ref);
  runRcuCallbacks();
  percpu_ref_exit(ref);
  expect(percpu_ref_init(ref, 0, 0)).toBe(true);
});
