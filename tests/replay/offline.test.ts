/**
 * Memory going offline under the recording program's feet: pages move to the other node, one that is held
 * stays and is seen isolated, a killed child gives everything back, and the block can come back. Also what is
 * compared of a child that works in the background.
 */

import { describe, expect, test } from "vitest";
import { Comparison } from "../../src/replay/compare.ts";
import type { Observation, Step } from "../../src/replay/schema.ts";
import { freePages } from "./counts.ts";
import { Driver } from "./driver.ts";

const RELEASES = ["6.1.0", "6.12.0"] as const;
const zones = (o: Observation): string[] => [...new Set(o.pages.map((p) => `${p.zone}${p.node}`))];

describe.each(RELEASES)("%s", (release) => {
  const boot = (): Driver => {
    const d = new Driver(release, { movable: true });
    d.run("map", "M", "anon", "8");
    d.run("touch", "M", "0", "8", "w");
    return d;
  };

  test("what nobody holds moves to the other node, contents and all, and the block is gone", () => {
    const d = boot();
    d.run("store", "M", "3", "77");
    expect(zones(d.observe())).toEqual(["Movable0"]);
    d.run("offline", "B", "M", "0");
    // The child is a fork: every page is shared while it lives.
    expect(d.observe().pages.every((p) => p.ref === 2 && p.map === 2)).toBe(true);
    expect(d.run("join", "B", "100")).toEqual({ state: "done", err: null });
    const after = d.observe();
    expect(zones(after)).toEqual(["Normal1"]);
    expect(after.pages.every((p) => p.ref === 1 && p.map === 1)).toBe(true);
    expect(d.run("load", "M", "3")).toEqual({ val: 77 });
    const online = [9, 10, 11].map((n) =>
      d.run("sysw", `/sys/devices/system/memory/memory${n}/state`, "online_movable"),
    );
    expect(online.filter((r) => r["ret"] === 0).length).toBe(1);
  });

  test.each(["pin_fast", "get_fast"])(
    "a page held by %s stays, isolated; killed, the child puts it back",
    (mode) => {
      const d = boot();
      const ref = mode === "pin_fast" ? 1025 : 2;
      d.run("pin", "p", "M", "2", "1", "W", mode);
      d.run("offline", "B", "M", "0");
      d.observe();
      expect(d.run("join", "B", "100")).toEqual({ state: "blocked", wchan: "0" });
      const held = d.observe().pages.find((p) => p.zone === "Movable");
      expect(held?.fl.split(" ")).not.toContain("lru");
      // A reference more for the isolation; a page that was only got is the child's too.
      expect(held?.ref).toBe(ref + 1 + (mode === "get_fast" ? 1 : 0));
      expect(d.run("memstate", "M", "2")).toEqual({ ret: 14, text: "going-offline " });
      expect(d.run("kill", "B")).toEqual({ state: "killed" });
      const back = d.observe().pages.find((p) => p.zone === "Movable");
      expect([back?.ref, back?.fl.split(" ").includes("lru")]).toEqual([ref, true]);
      expect(d.run("memstate", "M", "2")).toEqual({ ret: 7, text: "online " });
    },
  );

  test("once released it moves as well", () => {
    const d = boot();
    d.run("pin", "p", "M", "0", "1", "W", "pin_fast");
    d.run("offline", "B", "M", "0");
    d.observe();
    d.run("join", "B", "100");
    d.run("unpin", "p", "0", "1", "unpin");
    d.observe();
    expect(d.run("join", "B", "100")["state"]).toBe("done");
    expect(zones(d.observe())).toEqual(["Normal1"]);
  });

  test("cleanup ends a child that is still at it; no frame is lost", () => {
    const d = new Driver(release, { movable: true });
    const free = freePages();
    for (const kind of ["anon 8", "thp 512"]) {
      d.run("map", "M", ...kind.split(" "));
      d.run("touch", "M", "0", "8", "w");
      d.run("pin", "p", "M", "0", "1", "W", "pin_fast");
      d.run("offline", "B", "M", "0");
      d.observe();
      d.run("cleanup");
      expect(freePages()).toBe(free);
    }
  });

  test("the block comes back with `online`, and is allocated from again", () => {
    const d = boot();
    d.run("offline", "B", "M", "0");
    d.observe();
    d.run("join", "B", "100");
    const before = freePages();
    expect(d.run("online", "M", "0")).toEqual({ ret: 0 });
    expect(freePages() - before).toBe(32768);
    expect(d.run("online", "M", "0")).toEqual({ ret: -1, err: "EINVAL" });
  });

  test("a kernel zone refuses", () => {
    const d = new Driver(release);
    d.run("map", "M", "anon", "1");
    d.run("touch", "M", "0", "1", "w");
    d.run("offline", "B", "M", "0");
    d.observe();
    expect(d.run("join", "B", "100")).toEqual({ state: "done", err: "EBUSY" });
  });
});

describe("counters of a child that takes memory offline", () => {
  const nothing: Observation = { maps: [], handles: {}, pages: [], gone: [], vm: {} };
  const step = (op: string, args: string[], vm: Record<string, number>): Step => ({
    ...nothing,
    seq: "s",
    step: 0,
    proc: "main",
    op,
    args,
    result: {},
    vm,
  });
  const compare = (theirs: number[], ours: number[]): unknown => {
    const c = new Comparison(new Set(), false);
    const at = (list: number[], i: number): Record<string, number> => ({ pgmigrate_success: list[i] ?? 0 });
    const offline = { ret: 0 };
    const done = { state: "done" };
    const first = step("offline", ["B"], at(theirs, 0));
    c.compare({ ...first, result: offline }, offline, { ...nothing, vm: at(ours, 0) });
    const last = { ...step("join", ["B"], at(theirs, 1)), result: done };
    return c.compare(last, done, { ...nothing, vm: at(ours, 1) });
  };
  test("may come in any step, and be more than ours, for the block has other pages", () => {
    expect(compare([0, 1435], [8, 0])).toBe(null);
  });
  test("fewer than ours is a difference", () => {
    expect(compare([3, 4], [8, 0])).not.toBe(null);
  });
  test("without such a child they are compared as they are", () => {
    const c = new Comparison(new Set(), false);
    const s = step("touch", ["M"], { pgmigrate_success: 2 });
    expect(c.compare(s, {}, { ...nothing, vm: { pgmigrate_success: 1 } })).not.toBe(null);
  });
});
