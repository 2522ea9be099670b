/**
 * Real threads: locks, message passing, waits and the watchdog. Scenarios with a known answer
 * (fixtures/locks.ts), each beside a broken twin, so that a test that could not fail would show.
 */

import { describe, expect, test } from "vitest";
import { runScenario, UnusableScenario } from "../../src/smp/run.ts";
import * as f from "./fixtures/locks.ts";

describe("spin_lock on real threads", () => {
  test("no increment under the lock is lost", async () => {
    const r = await runScenario(f.locked, { iterations: 300, seed: 5 });
    expect(r.bug).toBeNull();
    expect(r.verdict).toBe("clean");
    expect(r.iterations).toBe(300);
    expect(r.threads.map((t) => t.returned)).toEqual([15_000, 15_000]);
  });
  test("without the lock an increment is lost, and found", async () => {
    const r = await runScenario(f.unlocked, { seconds: 8, iterations: 100_000 });
    expect(r.verdict).toBe("violated");
    expect(r.bug).toMatchObject({
      kind: "assertion",
      message: "an increment was lost",
      atEnd: true,
      thread: "check",
    });
    expect(r.bug?.reproduce).toContain(`--seed ${1 + (r.bug?.iteration ?? 0)}`);
  });
  test("six CPUs on fewer cores take turns", async () => {
    const r = await runScenario(f.crowded, { iterations: 20 });
    expect(r.bug).toBeNull();
    expect(r.iterations).toBe(20);
  });
});

describe("message passing", () => {
  test("who sees the flag sees the data", async () => {
    const r = await runScenario(f.messagePassing, { iterations: 2000 });
    expect(r.bug).toBeNull();
    expect(r.iterations).toBe(2000);
  });
  test("a delay between flag and data, when they are in the wrong order, shows it", async () => {
    const r = await runScenario(f.hastyMessagePassing, {
      iterations: 200,
      delays: [
        { thread: "sender", at: "data", micros: 2000 },
        { thread: "receiver", at: 0, micros: 500 },
      ],
    });
    expect(r.bug).toMatchObject({
      kind: "assertion",
      thread: "receiver",
      message: "the flag overtook the data",
    });
    expect(r.bug?.reproduce).toContain("--delay 'sender@data:2000'");
    expect(r.bug?.frames[0]?.fn).toBe("receiver");
    expect(r.bug?.frames[0]?.file).toMatch(/tests\/smp\/fixtures\/locks\.ts$/);
  });
  test("a wait ends when the word changes, even if nobody says so", async () => {
    const r = await runScenario(f.quietFlag, { iterations: 50 });
    expect(r.bug).toBeNull();
    expect(r.iterations).toBe(50);
  });
});

describe("the watchdog", () => {
  test("two locks taken in opposite orders: who waits for whom", async () => {
    const r = await runScenario(f.abba, { iterations: 1, noise: "off" });
    expect(r.bug?.kind).toBe("deadlock");
    expect(r.bug?.waiting).toEqual([
      "CPU 0 (forwards) waits for the lock other, held by CPU 1 (backwards)",
      "CPU 1 (backwards) waits for the lock lock, held by CPU 0 (forwards)",
    ]);
  });
  test("two CPUs that interrupt each other with interrupts off", async () => {
    const r = await runScenario(f.crossCall, { iterations: 1, noise: "off" });
    expect(r.bug?.kind).toBe("deadlock");
    expect(r.bug?.waiting).toEqual([
      "CPU 0 (left) waits for an interrupt to be taken by CPU 1 (right) [interrupts off]",
      "CPU 1 (right) waits for an interrupt to be taken by CPU 0 (left) [interrupts off]",
    ]);
  });
  test("an endless loop is no deadlock, but does not go on for ever", async () => {
    const r = await runScenario(f.endless, { iterations: 1, hangMs: 400 });
    expect(r.bug?.kind).toBe("livelock");
    expect(r.bug?.waiting).toEqual(["CPU 0 (spinner) runs", "CPU 1 (bystander) has finished"]);
  });
});

describe("seeds", () => {
  const sums = async (seed: number, noise: "on" | "off"): Promise<number[]> =>
    (await runScenario(f.choices, { iterations: 3, seed, noise })).threads.map((t) => t.returned);
  test("the same seed gives the same choose() values, whatever the delays", async () => {
    const first = await sums(7, "on");
    expect(await sums(7, "off")).toEqual(first);
    expect(await sums(8, "off")).not.toEqual(first);
    expect(first[0]).not.toBe(first[1]);
  });
  test("iteration n of seed s is iteration 0 of seed s + n", async () => {
    const one = async (seed: number): Promise<number> =>
      (await runScenario(f.choices, { iterations: 1, seed, noise: "off" })).threads[0].returned;
    const three = (await runScenario(f.choices, { iterations: 3, seed: 20, noise: "off" })).threads[0]
      .returned;
    expect((await one(20)) + (await one(21)) + (await one(22))).toBe(three);
  });
});

describe("what cannot be run", () => {
  test("a boot that differs from call to call is refused", async () => {
    await expect(runScenario(f.fickle)).rejects.toThrow(UnusableScenario);
  });
  test("a delay for a thread or location that does not exist names those that do", async () => {
    await expect(runScenario(f.locked, { delays: [{ thread: "c", at: 0, micros: 1 }] })).rejects.toThrow(
      "a, b",
    );
    await expect(runScenario(f.locked, { delays: [{ thread: "a", at: "lokc", micros: 1 }] })).rejects.toThrow(
      "lock",
    );
  });
  test("an abort ends the run, and says so", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 600);
    const r = await runScenario(f.locked, { seconds: 60, signal: controller.signal });
    expect(r.verdict).toBe("interrupted");
  });
});
