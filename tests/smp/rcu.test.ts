/**
 * Real threads: RCU, interrupts off, interrupts to other CPUs. Delays put the writer between a reader's two
 * steps; a primitive that did not wait would then free under the reader's eyes, as the broken twins show.
 */

import { describe, expect, test } from "vitest";
import type { Scenario } from "../../src/machine/scenario.ts";
import type { SmpResult } from "../../src/smp/result.ts";
import { type DelaySpec, runScenario } from "../../src/smp/run.ts";
import * as f from "./fixtures/rcu.ts";

/** The reader has read the pointer (access 0) and pauses before it uses it: room for the writer to finish. */
const pause = (thread: string): DelaySpec => ({ thread, at: 3, micros: 3000 });
const run = (scenario: Scenario, thread: string): Promise<SmpResult> =>
  runScenario(scenario, { iterations: 60, delays: [pause(thread), { thread: 1, at: 0, micros: 300 }] });

describe("synchronize_rcu", () => {
  test("waits for a reader", async () => {
    expect((await run(f.rcuReader, "reader")).bug).toBeNull();
  });
  test("waits for an irq-off section, which is a reader too", async () => {
    expect((await run(f.irqOffReader, "irq-off")).bug).toBeNull();
  });
  test("waits for the end of the outermost of nested sections", async () => {
    expect((await run(f.nestedReader, "nested")).bug).toBeNull();
  });
  test("does not wait for who is in no section: use after free, by name", async () => {
    const r = await run(f.bareReader, "bare");
    expect(r.bug).toMatchObject({ kind: "use-after-free", location: "object.value", thread: "bare", cpu: 0 });
    expect(r.bug?.reproduce).toContain("--delay 'bare@3:3000'");
  });
});

describe("smp_call_function", () => {
  test("waits for an irq-off section", async () => {
    expect((await run(f.irqOffIpi, "irq-off")).bug).toBeNull();
  });
  test("does not wait for an RCU reader with interrupts on", async () => {
    expect((await run(f.rcuIpi, "reader")).bug).toMatchObject({ kind: "use-after-free", thread: "reader" });
  });
  test("runs its handler once on each other CPU, never inside an irq-off section", async () => {
    const delays = [{ thread: "guarded", at: 4, micros: 1000 }];
    const r = await runScenario(f.handlers, { iterations: 60, delays });
    expect(r.bug).toBeNull();
    expect(r.iterations).toBe(60);
  });
  test("runs its handler beside code that leaves interrupts on, and says on whose behalf", async () => {
    const delays = [
      { thread: "unguarded", at: 4, micros: 3000 },
      { thread: "sender", at: 0, micros: 300 },
    ];
    const r = await runScenario(f.handlersUnguarded, { iterations: 200, delays });
    expect(r.bug).toMatchObject({ kind: "assertion", thread: "sender" });
    expect(r.bug?.onBehalf).toBe(1);
  });
});

describe("call_rcu", () => {
  test("frees after the readers that were there", async () => {
    const delays = [pause("reader"), pause("irq-off"), { thread: "writer", at: 0, micros: 300 }];
    expect((await runScenario(f.callback, { iterations: 60, delays })).bug).toBeNull();
  });
  test("frees under the eyes of who is in no section", async () => {
    expect((await run(f.bareCallback, "bare")).bug).toMatchObject({ kind: "use-after-free", thread: "bare" });
  });
  test("callbacks of a CPU run in the order queued, and all before the end", async () => {
    expect((await runScenario(f.callbackOrder, { iterations: 300 })).bug).toBeNull();
  });
  test("a CPU runs its callback while it waits for what the callback does", async () => {
    const r = await runScenario(f.callbackCompletes, { iterations: 300 });
    expect(r.bug).toBeNull();
    expect(r.iterations).toBe(300);
  });
  test("a reader that waits for a callback inside its section waits for ever", async () => {
    const r = await runScenario(f.callbackDeadlock, { iterations: 1, noise: "off" });
    expect(r.bug?.kind).toBe("deadlock");
    expect(r.bug?.waiting).toEqual([
      "CPU 0 (reader) at seen, which is 0: waits until it is 1 [in rcu_read_lock()]",
      "CPU 1 (queuer): rcu_barrier() waits for its readers: CPU 0 (reader) [1 call_rcu() callback pending]",
    ]);
  });
});

describe("errors of kernel code", () => {
  test.each([
    ["synchronize_rcu() inside rcu_read_lock()", f.synchronizeInReader, "deadlock"],
    ["a thread that ends with interrupts off", f.irqLeftOff, "bad-unlock"],
    ["kfree() twice", f.doubleFree, "double-free"],
  ])("%s", async (_, scenario, kind) => {
    expect((await runScenario(scenario, { iterations: 1 })).bug?.kind).toBe(kind);
  });
});

describe("noise alone", () => {
  test("hits the use after free without being told where", async () => {
    const r = await runScenario(f.bareReader, { seconds: 9, iterations: 200_000 });
    expect(r.bug).toMatchObject({ kind: "use-after-free" });
  });
  test("does not hit what is not there", async () => {
    const r = await runScenario(f.callback, { seconds: 2 });
    expect(r.verdict).toBe("clean");
    expect(r.iterations).toBeGreaterThan(100);
  });
});
