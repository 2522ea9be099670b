/**
 * Invariant I10 of mm/: what a secondary MMU may mirror changes only between range_start and range_end of an
 * invalidation that covers it, these pair, and a mirror that hears of changes in no other way is never wrong
 * between two operations. Each operation as a claim (which range, which event), with its announcement left
 * out to see that it is noticed; then random operations.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { geom } from "../../src/machine/config.ts";
import { KernelBug } from "../../src/machine/errors.ts";
import { mem } from "../../src/machine/memory.ts";
import { ADDRESS_SPACE } from "../../src/mm/mm_types.ts";
import {
  MMU_NOTIFY_CLEAR,
  MMU_NOTIFY_PROTECTION_PAGE,
  MMU_NOTIFY_PROTECTION_VMA,
  MMU_NOTIFY_UNMAP,
} from "../../src/mm/mmu_notifier_types.ts";
import { unmap_mapping_pages } from "../../src/mm/zap.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import type { Step, StepResult } from "../../src/replay/schema.ts";
import { runStep } from "../../src/replay/steps.ts";
import { World } from "../../src/replay/world.ts";
import { Mirrors, Watch } from "./notifier-watch.ts";

const hooks = vi.hoisted(() => ({ watch: null as null | import("./notifier-watch.ts").Watch }));

vi.mock("../../src/mm/mmu_notifier.ts", async (importOriginal) => {
  const real = await importOriginal<typeof import("../../src/mm/mmu_notifier.ts")>();
  return {
    ...real,
    mmu_notifier_invalidate_range_start(
      mm: number,
      start: number,
      end: number,
      event: number,
      owner: number,
    ) {
      if (hooks.watch?.start(mm, start, end, event, false) ?? true)
        real.mmu_notifier_invalidate_range_start(mm, start, end, event, owner);
    },
    mmu_notifier_invalidate_range_end(mm: number) {
      if (hooks.watch?.end(mm, false) ?? true) real.mmu_notifier_invalidate_range_end(mm);
    },
    mmu_notifier_start_relock(mm: number, start: number, end: number, event: number) {
      if (hooks.watch?.start(mm, start, end, event, true) ?? true)
        real.mmu_notifier_start_relock(mm, start, end, event);
    },
    mmu_notifier_end_relock(mm: number) {
      if (hooks.watch?.end(mm, true) ?? true) real.mmu_notifier_end_relock(mm);
    },
  };
});

/** Random sequences per kernel; more in a campaign (HOLDFAST_CAMPAIGN=10). */
const SEQUENCES = 32 * Number(process.env["HOLDFAST_CAMPAIGN"] ?? 1);

/** Mappings of a process that are mirrored, and pages of each; where World puts them. */
const AREAS = 4;
const AREA_PAGES = 1024;
const areaAddr = (i: number): number => (1 << 19) + i * (1 << 18);

class Machine {
  readonly world: World;
  readonly watch = new Watch();
  private readonly mirrors: Mirrors;

  constructor(release: string, devices: readonly ("dax0" | "dax1")[] = []) {
    const profile = kernelProfile(release, "test");
    const needs = { devices: new Set(devices), hugeZero: false, movable: false };
    hooks.watch = null;
    this.world = new World(bootReplayMachine(profile, needs, { mmuNotifier: 1 }));
    const starts = Array.from({ length: AREAS }, (_, i) => areaAddr(i));
    this.mirrors = new Mirrors(starts, AREA_PAGES);
    this.mirrors.attach(this.main());
    this.watch.install();
    hooks.watch = this.watch;
  }
  private main(): number {
    return this.world.process("main")?.mm ?? 0;
  }
  step(proc: string, op: string, args: readonly string[]): StepResult {
    const step: Step = {
      seq: "test",
      step: 0,
      proc,
      op,
      args: [...args],
      result: {},
      maps: [],
      handles: {},
      pages: [],
      gone: [],
      vm: {},
    };
    return runStep(this.world, step, "test", null, 1);
  }
  /** Does something; what was wrong while it was done and after it. The devices then mirror everything. */
  run(what: () => void): string[] {
    this.watch.clear();
    what();
    this.watch.quiescent();
    const wrong = [...this.watch.violations];
    // The main process has been replaced: what it mapped must have been announced before it ended.
    const alive = this.mirrors.attachedTo(this.main());
    wrong.push(...this.mirrors.stale(alive));
    if (this.mirrors.unfinished() !== 0) wrong.push("an invalidation has not ended");
    if (this.mirrors.counted() !== 0) wrong.push("starts and ends of the old kind do not pair");
    if (!alive || wrong.length > 0) this.mirrors.attach(this.main());
    this.mirrors.fill();
    return wrong;
  }
}

// ---- One operation at a time ------------------------------------------------------------------------------

type Op = readonly [proc: string, op: string, ...args: string[]];

interface Claim {
  readonly title: string;
  readonly setup: readonly Op[];
  readonly op: Op | ((m: Machine) => void);
  /** The function that announces, the event, and the pages, from the first of the first mapping on. */
  readonly site: string;
  readonly event: number;
  readonly pages: readonly [start: number, end: number];
  /** The pages are absolute. */
  readonly absolute?: true;
}

const touched = (kind: string, pages: string, how = "w"): readonly Op[] => [
  ["main", "map", "a", kind, pages],
  ["main", "touch", "a", "0", pages, how],
];
const file: readonly Op[] = [
  ["main", "map", "a", "file", "8", "dev=/mnt/ext4/f"],
  ["main", "touch", "a", "0", "8", "w"],
];

const CLAIMS: readonly Claim[] = [
  {
    title: "munmap() of a part of an area",
    setup: touched("anon", "8"),
    op: ["main", "unmap", "a", "2", "3"],
    site: "__do_munmap",
    event: MMU_NOTIFY_UNMAP,
    pages: [2, 5],
  },
  {
    title: "the end of a process, all of it",
    setup: [...touched("anon", "8"), ["main", "fork", "c"]],
    op: ["main", "exit", "c"],
    site: "exit_mmap",
    event: MMU_NOTIFY_UNMAP,
    pages: [0, 2 ** 30],
    absolute: true,
  },
  {
    title: "MADV_DONTNEED",
    setup: touched("anon", "8"),
    op: ["main", "madv", "a", "1", "3", "dontneed"],
    site: "madvise_dontneed",
    event: MMU_NOTIFY_CLEAR,
    pages: [1, 4],
  },
  {
    title: "MADV_FREE, whose entries become clean",
    setup: touched("anon", "8"),
    op: ["main", "madv", "a", "1", "3", "free"],
    site: "madvise_free",
    event: MMU_NOTIFY_CLEAR,
    pages: [1, 4],
  },
  {
    title: "mprotect(PROT_READ)",
    setup: touched("anon", "8"),
    op: ["main", "prot", "a", "2", "4", "r"],
    site: "change_protection",
    event: MMU_NOTIFY_PROTECTION_VMA,
    pages: [2, 6],
  },
  {
    title: "fork() of private memory",
    setup: touched("anon", "8"),
    op: ["main", "fork", "c"],
    site: "copy_area",
    event: MMU_NOTIFY_PROTECTION_PAGE,
    pages: [0, 8],
  },
  {
    title: "fork() of private hugetlb memory",
    setup: touched("hugetlb", "512"),
    op: ["main", "fork", "c"],
    site: "copy_area",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "a write that copies a page",
    setup: [...touched("anon", "8"), ["main", "fork", "c"]],
    op: ["main", "store", "a", "3", "7"],
    site: "wp_page_copy",
    event: MMU_NOTIFY_CLEAR,
    pages: [3, 4],
  },
  {
    title: "a write over the zero page",
    setup: touched("anon", "8", "r"),
    op: ["main", "store", "a", "3", "7"],
    site: "wp_page_copy",
    event: MMU_NOTIFY_CLEAR,
    pages: [3, 4],
  },
  {
    title: "a write that copies a hugetlb page",
    setup: [...touched("hugetlb", "512"), ["main", "fork", "c"]],
    op: ["main", "store", "a", "3", "7"],
    site: "hugetlb_wp",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "a write over the huge zero page",
    setup: touched("thp", "512", "r"),
    op: ["main", "store", "a", "3", "7"],
    site: "do_huge_pmd_wp_page",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "the split of a huge entry of which a part goes: all of it",
    setup: touched("thp", "512"),
    op: ["main", "madv", "a", "8", "4", "dontneed"],
    site: "split_huge_pmd_entry",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "a device's huge entry of which a part goes: all of it",
    setup: [
      ["main", "map", "a", "dax2m", "512", "dev=/dev/dax1.0"],
      ["main", "touch", "a", "0", "1", "w"],
    ],
    op: ["main", "madv", "a", "8", "4", "dontneed"],
    site: "split_huge_pmd_entry",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "collapse: small entries go with their table",
    setup: [...touched("anon", "512"), ["main", "madv", "a", "0", "512", "hugepage"]],
    op: ["main", "madv", "a", "0", "512", "collapse"],
    site: "collapse_huge_page",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "the split of a huge page",
    setup: touched("thp", "512"),
    op: ["main", "splithuge", "a", "0", "512"],
    site: "try_to_migrate",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "migration",
    setup: [...touched("anon", "8"), ["main", "drain"]],
    op: ["main", "movepage", "a", "2", "1"],
    site: "try_to_migrate",
    event: MMU_NOTIFY_CLEAR,
    pages: [2, 3],
  },
  {
    title: "migration of a hugetlb page",
    setup: touched("hugetlb", "512"),
    // To the other node, whichever that is.
    op: (m) => {
      for (const node of ["1", "0"]) m.step("main", "movepage", ["a", "0", node]);
    },
    site: "try_to_migrate",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "soft offlining",
    setup: [...touched("anon", "8"), ["main", "drain"]],
    op: ["main", "madv", "a", "2", "1", "softoff"],
    site: "try_to_migrate",
    event: MMU_NOTIFY_CLEAR,
    pages: [2, 3],
  },
  {
    title: "reclaim of a page",
    setup: [...touched("anon", "8"), ["main", "drain"]],
    op: ["main", "madv", "a", "2", "1", "pageout"],
    site: "try_to_unmap",
    event: MMU_NOTIFY_CLEAR,
    pages: [2, 3],
  },
  {
    title: "reclaim of a huge page",
    setup: [...touched("thp", "512"), ["main", "drain"]],
    op: ["main", "madv", "a", "0", "512", "pageout"],
    site: "try_to_unmap",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 512],
  },
  {
    title: "truncation of a file",
    setup: file,
    op: ["main", "bgtrunc", "j", "/mnt/ext4/f", "2"],
    site: "unmap_mapping_pages",
    event: MMU_NOTIFY_CLEAR,
    pages: [2, 8],
  },
  {
    title: "unmap_mapping_range() that leaves private copies",
    setup: file,
    op: (m) => unmap_mapping_pages(m.world.machine.files.get("/mnt/ext4/f") ?? 0, 3, 2, false),
    site: "unmap_mapping_pages",
    event: MMU_NOTIFY_CLEAR,
    pages: [3, 5],
  },
  {
    title: "the unbind of a DAX device, which begins with its mappings",
    setup: [
      ["main", "map", "a", "dax4k", "8", "dev=/dev/dax0.0"],
      ["main", "touch", "a", "0", "8", "w"],
    ],
    op: (m) => unmap_mapping_pages(m.world.machine.files.get("/dev/dax0.0") ?? 0, 0, 0, true),
    site: "unmap_mapping_pages",
    event: MMU_NOTIFY_CLEAR,
    pages: [0, 8],
  },
];

const RELEASES = ["5.10.0", "6.1.0", "6.12.0", "7.3.0"];

describe.each(RELEASES)("who mirrors an address space of %s is told of", (release) => {
  let machine: Machine;
  // The machine's memory is global: one at a time.
  beforeAll(() => {
    machine = new Machine(release, ["dax0", "dax1"]);
  });
  const does = (m: Machine, [proc, op, ...args]: Op): StepResult => m.step(proc, op, args);

  /** Runs a claim from an empty process on; everything that was wrong. */
  function play(claim: Claim, suppress: string | null): string[] {
    hooks.watch = machine.watch;
    machine.watch.suppress = null;
    const f = machine.world.machine.files.get("/mnt/ext4/f") ?? 0;
    mem[f + ADDRESS_SPACE.i_size] = 2048;
    const wrong = machine.run(() => does(machine, ["main", "cleanup"]));
    for (const op of claim.setup)
      wrong.push(
        ...machine.run(() => {
          expect(does(machine, op)["err"] ?? null, op.join(" ")).toBeNull();
        }),
      );
    expect(wrong).toEqual([]);
    machine.watch.suppress = suppress;
    const { op } = claim;
    return machine.run(() => {
      if (typeof op === "function") op(machine);
      else does(machine, op);
    });
  }
  /** It does not exist, or does something else, in this kernel. */
  const absent = (c: Claim): boolean =>
    (release === "5.10.0" && /collapse|split of a huge page/.test(c.title)) ||
    (release !== "7.3.0" && c.site === "do_huge_pmd_wp_page");

  test.each(CLAIMS.filter((c) => !absent(c)))("$title", (claim) => {
    expect(play(claim, null)).toEqual([]);
    const base = claim.absolute ? 0 : areaAddr(0);
    const told = machine.watch.log.find((a) => a.site === claim.site);
    expect(told).toMatchObject({
      event: claim.event,
      start: base + claim.pages[0],
      end: claim.absolute ? geom.task_size : base + claim.pages[1],
    });
    expect(play(claim, claim.site).length, "unnoticed if it is left out").toBeGreaterThan(0);
  });
});

// ---- Random operations ------------------------------------------------------------------------------------

interface RandomOp {
  readonly what: number;
  readonly process: number;
  readonly mapping: number;
  readonly off: number;
  readonly n: number;
  readonly how: number;
}
const arbitraryOp: fc.Arbitrary<RandomOp> = fc.record({
  what: fc.nat(31),
  process: fc.nat(),
  mapping: fc.nat(),
  off: fc.nat(),
  n: fc.nat(),
  how: fc.nat(),
});

const KINDS = [
  "anon 8",
  "anon 512",
  "anon 16 shared=1",
  "thp 512",
  "thp 1024",
  "hugetlb 512",
  "hugetlb 512",
  "memfd 8",
];
const FILES = ["file 8 dev=/mnt/ext4/f", "file 8 dev=/mnt/ext4/f private=1"];

class Random {
  private readonly machine: Machine;
  private maps = 0;
  private children = 0;
  private handles = 0;
  private readonly hugetlb = new Set<string>();

  constructor(machine: Machine) {
    this.machine = machine;
  }
  /** Ends every process, drops every pin and begins anew. */
  reset(): string[] {
    this.maps = this.children = this.handles = 0;
    this.hugetlb.clear();
    mem[(this.machine.world.machine.files.get("/mnt/ext4/f") ?? 0) + ADDRESS_SPACE.i_size] = 2048;
    return this.machine.run(() => this.machine.step("main", "cleanup", []));
  }
  one(op: RandomOp): void {
    const { machine } = this;
    const pick = <T>(list: readonly T[], by: number): T => list[by % list.length] as T;
    const proc = pick([...machine.world.processes.keys()], op.process);
    const mappings = machine.world.process(proc)?.mappings ?? new Map<string, { pages: number }>();
    const name = pick([...mappings.keys()], op.mapping);
    const pages = mappings.get(name)?.pages ?? 0;
    if (pages === 0 || (op.what === 0 && this.maps < AREAS)) {
      if (this.maps === AREAS) return;
      const kind = pick([...KINDS, ...FILES], op.how);
      if (kind.startsWith("hugetlb")) this.hugetlb.add(`m${this.maps}`);
      machine.step("main", "map", [`m${this.maps++}`, ...kind.split(" ")]);
      return;
    }
    const off = op.off % pages;
    const range = [name, String(off), String(1 + (op.n % Math.min(16, pages - off)))];
    const whole = [name, "0", String(pages)];
    const some = op.how % 3 === 0 ? whole : range;
    if (op.what < 8) machine.step(proc, "touch", [...some, pick(["w", "w", "r"], op.how)]);
    else if (op.what < 11) machine.step(proc, "store", [name, String(off), "7"]);
    else if (op.what < 13) this.forkOrExit(proc, op.what === 11);
    else if (op.what < 15) this.pin(proc, range, pick(["W", "-", "WF"], op.how));
    else if (op.what < 18) machine.step(proc, "prot", [...some, pick(["r", "rw", "n"], op.how)]);
    else if (op.what < 25) {
      const advice = ["dontneed", "free", "pageout", "hugepage", "collapse", "softoff", "dontneed"];
      // Soft offlining of hugetlb pages is not modelled.
      if (op.what === 23 && this.hugetlb.has(name)) return;
      machine.step(proc, "madv", [...some, advice[op.what - 18] as string]);
    } else if (op.what < 27) machine.step(proc, "movepage", [name, String(off), String(op.how & 1)]);
    else if (op.what < 29) machine.step(proc, "splithuge", some);
    else if (op.what < 30) machine.step(proc, "unmap", some);
    else if (op.what < 31) machine.step("main", "bgtrunc", ["j", "/mnt/ext4/f", String(op.how & 7)]);
    else machine.step("main", "drain", []);
  }
  private forkOrExit(proc: string, fork: boolean): void {
    if (fork && this.children < 3) this.machine.step("main", "fork", [`c${this.children++}`]);
    else if (!fork && proc !== "main") this.machine.step("main", "exit", [proc]);
  }
  private pin(proc: string, range: readonly string[], flags: string): void {
    const mode = this.handles % 2 === 0 ? "pin_fast" : "get";
    this.machine.step(proc, "pin", [`h${this.handles++}`, ...range, flags, mode]);
  }
}

describe.each(RELEASES)("random operations on %s", (release) => {
  let machine: Machine;
  beforeAll(() => {
    machine = new Machine(release);
  });
  /** Runs sequences; the first that shows something wrong, with what, or null. Seeds are fixed. */
  function search(sequences: number, suppress: string | null): string | null {
    machine.watch.suppress = suppress;
    const random = new Random(machine);
    const result = fc.check(
      fc.property(fc.array(arbitraryOp, { minLength: 20, maxLength: 60 }), (ops) => {
        const wrong = random.reset();
        for (const op of ops) {
          if (wrong.length > 0) break;
          wrong.push(...machine.run(() => random.one(op)));
        }
        if (wrong.length > 0) throw new Error(wrong[0]);
      }),
      { numRuns: sequences, seed: 7, endOnFailure: true },
    );
    machine.watch.suppress = null;
    // After an error of the kernel's own nothing can be said about the machine any more.
    if (result.errorInstance instanceof KernelBug) throw result.errorInstance;
    random.reset();
    return result.failed ? String(result.errorInstance) : null;
  }

  test("no present entry changes unannounced, announcements pair, mirrors are right", () => {
    expect(search(SEQUENCES, null)).toBeNull();
    expect(machine.watch.changes).toBeGreaterThan(20 * SEQUENCES);
  }, 120_000);
  test("whichever function's announcements are left out, it is noticed", () => {
    const sites = [...machine.watch.sites];
    expect(sites.filter((site) => !CLAIMS.some((c) => c.site === site))).toEqual([]);
    expect(sites.length).toBeGreaterThanOrEqual(release === "5.10.0" ? 12 : 13);
    expect(sites.filter((site) => search(SEQUENCES, site) === null)).toEqual([]);
  }, 120_000);
});
