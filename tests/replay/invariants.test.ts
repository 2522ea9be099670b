/**
 * Random operations (map, touch, fork, pin, get, release, protect, advise, unmap, split, collapse, exit) keep the invariants that pinning
 * rests on: what is counted is what is held (I2), pins are counted exactly (I12), a pinned private page stays exclusive (I7), and
 * when everything is released all memory is free again (I3, no leak and no double free). 10^5 steps, seeds fixed.
 */

import { describe, expect, test } from "vitest";
import { kernel } from "../../src/machine/config.ts";
import { mem } from "../../src/machine/memory.ts";
import { HSTATE } from "../../src/mm/hugetlb.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { compound_head, PAGE, PG_anon_exclusive, page_to_pfn, page_word } from "../../src/mm/page.ts";
import { ZONE, ZONE_NORMAL, ZONE_NORMAL_NODE1, zone_of } from "../../src/mm/page_alloc.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import { Observer } from "../../src/replay/observe.ts";
import type { Step } from "../../src/replay/schema.ts";
import { runStep } from "../../src/replay/steps.ts";
import { World } from "../../src/replay/world.ts";

/** 100,000 steps over the four kernels in a campaign (HOLDFAST_CAMPAIGN=4), a quarter of that in the suite. */
const STEPS = 6_250 * Number(process.env["HOLDFAST_CAMPAIGN"] ?? 1);
const PER_ROUND = 40;

/** xorshift32: reproducible choices. */
class Random {
  private state: number;
  constructor(seed: number) {
    this.state = seed;
  }
  below(n: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) % n;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const KINDS = ["anon 8", "anon 16 shared=1", "thp 1024", "hugetlb 512", "memfd 8"];
const FLAGS = ["W", "-", "WF", "WL", "L"];
const MODES = [
  "pin_fast",
  "get_fast",
  "pin",
  "get",
  "pin_unlocked",
  "get_unlocked",
  "pin_remote",
  "get_fast_only",
];

class Fuzz {
  readonly world: World;
  readonly random: Random;
  private handles = 0;
  private children = 0;
  private maps = 0;

  constructor(world: World, seed: number) {
    this.world = world;
    this.random = new Random(seed);
  }
  run(proc: string, op: string, args: string[]): void {
    const step: Step = {
      seq: "fuzz",
      step: 0,
      proc,
      op,
      args,
      result: {},
      maps: [],
      handles: {},
      pages: [],
      gone: [],
      vm: {},
    };
    runStep(this.world, step, "fuzz", null, 1);
  }
  one(): void {
    const r = this.random;
    const proc = r.pick([...this.world.processes.keys()]);
    const process = this.world.process(proc);
    const name = r.pick([...(process?.mappings.keys() ?? [])]);
    const mapping = name === undefined ? undefined : process?.mappings.get(name);
    if (mapping === undefined || name === undefined || (r.below(12) === 0 && this.maps < 4)) {
      this.run("main", "map", [`m${this.maps++}`, ...r.pick(KINDS).split(" ")]);
      return;
    }
    const off = r.below(mapping.pages);
    const n = 1 + r.below(Math.min(16, mapping.pages - off));
    const range = [name, String(off), String(n)];
    switch (r.below(14)) {
      case 0:
      case 1:
        this.run(proc, "touch", [...range, r.pick(["w", "w", "r", "x"])]);
        return;
      case 2:
        this.run(proc, "store", [name, String(off), "7"]);
        return;
      case 3:
        if (this.children < 3) this.run("main", "fork", [`c${this.children++}`]);
        return;
      case 4:
        if (proc !== "main") this.run("main", "exit", [proc]);
        return;
      case 5:
      case 6:
      case 7: {
        const flags = r.pick(FLAGS);
        let mode = r.pick(MODES);
        if (flags.includes("L")) mode = "pin_fast";
        this.run(proc, "pin", [`h${this.handles++}`, ...range, flags, mode]);
        return;
      }
      case 8:
      case 9:
        this.release();
        return;
      case 10:
        this.run(proc, "prot", [...range, r.pick(["r", "rw", "rw"])]);
        return;
      case 11:
        this.run(proc, "madv", [...range, r.pick(["dontneed", "free", "pageout", "hugepage"])]);
        return;
      case 12:
        this.run(proc, r.below(3) === 0 ? "unmap" : "splithuge", range);
        return;
      default:
        this.run(proc, "madv", [name, "0", String(mapping.pages), "collapse"]);
    }
  }
  private release(): void {
    const name = this.random.pick([...this.world.handles.keys()]);
    const handle = name === undefined ? undefined : this.world.handles.get(name);
    if (name === undefined || handle === undefined) return;
    const how = handle.kind === "get" ? "put" : this.random.pick(["unpin", "unpin_pages", "dirty1"]);
    const i = handle.pages.findIndex((p) => p !== 0);
    const n = this.random.below(2) === 0 ? 1 : handle.pages.length - i;
    this.run("main", "unpin", [name, String(i), String(n), how]);
  }
  reset(): void {
    this.run("main", "cleanup", []);
    this.handles = this.children = this.maps = 0;
  }
  /** Pins by page of their head, gets likewise. */
  held(kind: "pin" | "get"): Map<number, number> {
    const out = new Map<number, number>();
    for (const h of this.world.handles.values())
      if (h.kind === kind)
        for (const p of h.pages) if (p !== 0) out.set(compound_head(p), (out.get(compound_head(p)) ?? 0) + 1);
    return out;
  }
}

function freePages(): number {
  lru_add_drain();
  const zone = (nr: number): number => mem[zone_of(nr) + ZONE.nr_free] as number;
  const hugeZero = (mem[kernel.huge_zero] as number) !== 0 ? 512 : 0;
  return (
    zone(ZONE_NORMAL) +
    zone(ZONE_NORMAL_NODE1) +
    hugeZero +
    (mem[kernel.hugetlb + HSTATE.free_huge_pages] as number) * 512
  );
}
const pinsCounted = (): number => ((mem[kernel.vmstat] as number) - (mem[kernel.vmstat + 1] as number)) | 0;

describe.each(["5.10.0", "6.1.0", "6.12.0", "7.3.0"])("random operations on %s", (release) => {
  test(`${STEPS} steps keep counts, exclusivity and memory`, () => {
    const profile = kernelProfile(release, "test");
    const world = new World(
      bootReplayMachine(profile, { devices: new Set(), hugeZero: false, movable: false }),
    );
    const observer = new Observer(world);
    const fuzz = new Fuzz(world, 12345);
    const atStart = freePages();
    for (let step = 1; step <= STEPS; step++) {
      fuzz.one();
      if (step % 8 === 0) checkCounts(fuzz, observer, release !== "5.10.0");
      if (step % PER_ROUND !== 0) continue;
      fuzz.reset();
      // The main process of the next round has a top table of its own, which is no page here.
      expect(freePages()).toBe(atStart);
      expect(pinsCounted()).toBe(0);
    }
  }, 120_000);
});

function checkCounts(fuzz: Fuzz, observer: Observer, exclusive: boolean): void {
  const pins = fuzz.held("pin");
  const gets = fuzz.held("get");
  const zero = kernel.zero_pfn;
  let outstanding = 0;
  for (const [page, n] of pins) if (page_to_pfn(page) !== zero || !exclusive) outstanding += n;
  expect(pinsCounted()).toBe(outstanding);
  observer.observe();
  for (const run of observer.pages().runs())
    for (let i = 0; i < run.n; i++) {
      const pfn = run.pfn + i;
      const page = kernel.vmemmap + (pfn << 4);
      const head = compound_head(page);
      if (head !== page || ((mem[page_word(page, PAGE.mapping)] as number) & 1) === 0) continue;
      if (((mem[page_word(page, PAGE.flags)] as number) & (1 << 5)) !== 0) continue;
      const cached = ((mem[page_word(page, PAGE.flags)] as number) & (1 << 12)) !== 0 ? 1 : 0;
      const map = (mem[page_word(page, PAGE._mapcount)] as number) + 1;
      const pinned = pins.get(page) ?? 0;
      expect(mem[page_word(page, PAGE._refcount)]).toBe(map + cached + (gets.get(page) ?? 0) + 1024 * pinned);
      if (exclusive && pinned > 0 && map > 0)
        expect((mem[page_word(page, PAGE.flags)] as number) & (1 << PG_anon_exclusive)).not.toBe(0);
    }
}
