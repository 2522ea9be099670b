/**
 * Claims C1 to C3: the sequential half as properties, a sample of the cells by exploring them, and the cells
 * as data.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { explore } from "../../src/check/explore/explore.ts";
import * as c1 from "../../src/claims/c1.ts";
import { c2, c3 } from "../../src/claims/c2c3.ts";
import type { Knockout } from "../../src/claims/cells.ts";
import { linkScenario, loadScenario } from "../../src/lang/scenario.ts";
import { geom, kernel } from "../../src/machine/config.ts";
import { mem, memoryTop } from "../../src/machine/memory.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../../src/mm/boot.ts";
import { pin_user_pages_fast_only, unpin_user_page, unpin_user_pages } from "../../src/mm/gup.ts";
import { FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { unpin_user_page_range_dirty_lock } from "../../src/mm/gup_unpin.ts";
import { PAGE, prep_compound_page } from "../../src/mm/page.ts";
import {
  _PAGE_PSE,
  PAGE_READONLY,
  PAGE_SHARED,
  pfn_pte,
  pgtable_alloc,
  set_pte_at,
} from "../../src/mm/pgtable.ts";

// ---- Random tables ----------------------------------------------------------------------------------------

interface Run {
  /** 0 PTE, 1 PMD, 2 PUD. */
  readonly level: number;
  readonly kind: "hole" | "ram" | "device" | "readonly";
}

/** Tables of four entries, four levels: a PMD leaf is 4 pages, a PUD leaf 16. */
const SHIFT = 2;
const SLOTS = 6;
const SPAN = 1 << (2 * SHIFT);

const run: fc.Arbitrary<Run> = fc.record({
  level: fc.integer({ min: 0, max: 2 }),
  kind: fc.constantFrom("ram", "ram", "device", "device", "hole", "readonly"),
});

/** A slot of 16 pages per run: filled with leaves of its level, frames in order. */
function bootTables(runs: readonly Run[], uniform: boolean): { mm: number; words: number } {
  const nr = SLOTS * SPAN;
  bootMachine({
    preset: "v7.3",
    knobs: uniform ? {} : { gup: 0, pgmapRef: 1, pteDevmap: 1 },
    arch: "x86-64",
    geometry: {
      levels: 4,
      table_shift: SHIFT,
      max_pfn: nr,
      vmemmap_shift: 2 * SHIFT,
      pgmap_shift: 2 * SHIFT,
    },
    cpus: 1,
    tables: 64,
    pgmaps: SLOTS,
    spare: 8192,
  });
  const mm = newMm();
  runs.forEach(({ level, kind }, slot) => {
    const first = slot * SPAN;
    const span = 1 << (level * SHIFT);
    if (kind === "hole") return;
    if (kind === "device") {
      const d = newDaxDevice(`dax${slot}`, { start: first, nr: SPAN, order: level * SHIFT });
      bindDaxDevice(d);
      mapDaxDevice(mm, d, { addr: first, nr: SPAN, level });
      return;
    }
    const prot = kind === "readonly" ? PAGE_READONLY : PAGE_SHARED;
    for (let pfn = first; pfn < first + SPAN; pfn++) {
      mem[kernel.vmemmap + pfn * PAGE.SIZE + PAGE._refcount] = 1;
      mem[kernel.vmemmap + pfn * PAGE.SIZE + PAGE._mapcount] = -1;
    }
    for (let pfn = first; pfn < first + SPAN; pfn += span) {
      if (level > 0) prep_compound_page(kernel.vmemmap + pfn * PAGE.SIZE, level * SHIFT);
      set_pte_at(pgtable_alloc(mm, pfn, level), pfn_pte(pfn, prot | (level > 0 ? _PAGE_PSE : 0)));
    }
  });
  return { mm, words: memoryTop() };
}

/** What counts: of every page its references, of the word that counts pins of a compound one. */
function counts(): number[] {
  const out: number[] = [];
  for (let pfn = 0; pfn < geom.max_pfn; pfn++) {
    const page = kernel.vmemmap + pfn * PAGE.SIZE;
    out.push(mem[page + PAGE._refcount], mem[page + PAGE._pincount]);
  }
  return out;
}

const frames = (pages: ArrayLike<number>, n: number): number[] =>
  Array.from({ length: n }, (_, i) => (pages[i] - kernel.vmemmap) / PAGE.SIZE);

const request = fc.tuple(
  fc.array(run, { minLength: SLOTS, maxLength: SLOTS }),
  fc.integer({ min: 0, max: SLOTS * SPAN - 1 }),
  fc.integer({ min: 1, max: 40 }),
  fc.boolean(),
);

describe("C1, one thread", () => {
  test("a pin of a run gives the pages and leaves the references of one pin per page", () => {
    fc.assert(
      fc.property(request, ([runs, at, n, write]) => {
        const len = Math.min(n, SLOTS * SPAN - at);
        const flags = write ? FOLL_WRITE : 0;
        const { mm } = bootTables(runs, true);
        const whole = new Int32Array(len);
        const got = pin_user_pages_fast_only(mm, at, len, flags, whole);
        const afterWhole = counts();

        const other = bootTables(runs, true);
        const single = new Int32Array(1);
        const one = new Int32Array(len);
        let taken = 0;
        while (taken < len && pin_user_pages_fast_only(other.mm, at + taken, 1, flags, single) === 1)
          one[taken++] = single[0];
        expect(got).toBe(taken);
        expect(frames(whole, got)).toEqual(frames(one, taken));
        expect(afterWhole).toEqual(counts());
      }),
      { numRuns: 150 },
    );
  });

  test("the uniform path and the one with a device path of its own give the same", () => {
    fc.assert(
      fc.property(request, ([runs, at, n]) => {
        const len = Math.min(n, SLOTS * SPAN - at);
        const results = [true, false].map((uniform) => {
          const { mm } = bootTables(runs, uniform);
          const pages = new Int32Array(len);
          const got = pin_user_pages_fast_only(mm, at, len, FOLL_WRITE, pages);
          return { got, frames: frames(pages, got), counts: counts() };
        });
        expect(results[0]).toEqual(results[1]);
      }),
      { numRuns: 150 },
    );
  });

  test("a pin taken through a leaf of any level is released by unpinning its subpages in any order and grouping", () => {
    fc.assert(
      fc.property(request, fc.infiniteStream(fc.nat(1000)), ([runs, at, n], dice) => {
        const next = (k: number): number => (dice.next().value as number) % k;
        const len = Math.min(n, SLOTS * SPAN - at);
        const { mm } = bootTables(runs, true);
        const before = counts();
        const pages = new Int32Array(len);
        const left = Array.from(pages.subarray(0, pin_user_pages_fast_only(mm, at, len, FOLL_WRITE, pages)));
        while (left.length > 0) {
          const i = next(left.length);
          switch (next(3)) {
            case 0:
              unpin_user_page(left.splice(i, 1)[0]);
              break;
            case 1: {
              const some = left.splice(i, 1 + next(left.length - i));
              unpin_user_pages(Int32Array.from(some), some.length);
              break;
            }
            default: {
              let run = 1;
              while (i + run < left.length && left[i + run] === left[i] + run * PAGE.SIZE) run++;
              const some = left.splice(i, run);
              unpin_user_page_range_dirty_lock(some[0], some.length, false);
            }
          }
        }
        expect(counts()).toEqual(before);
      }),
      { numRuns: 150 },
    );
  });
});

// ---- Races ------------------------------------------------------------------------------------------------

function decide(
  cell: c1.C1Cell,
  knockout?: Knockout,
): { verdict: string; kind: string | null; states: number } {
  const r = explore(linkScenario(c1.scenario(cell, knockout)), { model: cell.model, maxSeconds: 60 });
  return { verdict: r.verdict, kind: r.error?.kind ?? null, states: r.states };
}

const c1Cell = (id: string): c1.C1Cell => {
  const found = c1.cells().find((c) => c.id === id);
  if (found === undefined) throw new Error(`no cell ${id}`);
  return found;
};

describe("C1, races", () => {
  beforeAll(async () => {
    await loadScenario(c1.scenario(c1Cell("C1/x86-64/zap/thp-pmd/uniform/1/sc")));
  });

  test("every cell has an id of its own and boots", () => {
    const all = c1.cells();
    expect(new Set(all.map((c) => c.id)).size).toBe(all.length);
    for (const c of all.filter((x) => x.arch === "x86-64" && x.notApplicable === null && x.model === "sc"))
      expect(c1.scenario(c).boot().threads.length).toBe(c.config.walkers + 1);
  });

  const uniform = c1
    .cells()
    .filter(
      (c) =>
        c.arch === "arm64" &&
        c.model === "sc" &&
        c.config.gup === "uniform" &&
        c.standard &&
        c.notApplicable === null,
    );
  test.each(uniform.map((c) => [c.id, c] as const))(
    "%s: nothing is lost or kept through a stale entry",
    (_, cell) => {
      expect(decide(cell)).toMatchObject({ verdict: "holds" });
    },
  );

  test.each([
    ["C1/arm64/zap/thp-pmd/uniform/1/sc", "recheck"],
    ["C1/arm64/revoke/dax-pmd/uniform/1/sc", "recheck"],
    ["C1/arm64/split/thp-pte/uniform/1/sc", "head-recheck"],
    ["C1/x86-64/fork/ram-4k/uniform/1/tso", "write-protect-seq"],
    ["C1/arm64/munmap/ram-4k/uniform/1/sc", "table-rcu"],
    ["C1/arm64/munmap/ram-4k/uniform/1/sc", "irq-off"],
    ["C1/x86-64/munmap/ram-4k/uniform/1/tso", "ipi"],
    ["C1/arm64/munmap-no-batch/ram-4k/uniform/1/sc", "sync-one"],
    ["C1/arm64/munmap-no-batch/ram-4k/per-page/1/sc", "sync-one"],
  ])("%s rests on its %s", (id, removed) => {
    const cell = c1Cell(id);
    const knockout = c1.knockouts(cell).find((k) => k.removed === removed);
    expect(decide(cell, knockout)).toMatchObject({ verdict: "violated" });
  });

  test.each(["per-page", "uniform"])(
    "a %s walk loses its pin where a page gets its count before it is a compound page, and the flush waits for nobody",
    (form) => {
      const order = (allocFrozen: number): Knockout => ({
        removed: "order",
        title: "",
        knobs: { allocFrozen },
        notApplicable: null,
      });
      const broken = decide(c1Cell(`C1/arm64/zap/thp-pmd/${form}/1/sc`), order(0));
      expect(broken).toMatchObject({ verdict: "violated", kind: "refcount-underflow" });
      for (const [id, knockout] of [
        [`C1/arm64/zap/thp-pmd/${form}/1/sc`, order(1)],
        [`C1/x86-64/zap/thp-pmd/${form}/1/tso`, order(0)],
      ] as const)
        expect(decide(c1Cell(id), knockout), id).toMatchObject({ verdict: "holds" });
    },
  );
  test("up to v6.12 the allocator has that order, so the per-page form is violated", () => {
    expect(decide(c1Cell("C1/arm64/zap/thp-pmd/per-page/1/sc"))).toMatchObject({ verdict: "violated" });
    expect(decide(c1Cell("C1/arm64/zap/thp-pte/per-page/1/sc"))).toMatchObject({ verdict: "violated" });
  });

  test("on x86 the flush alone excludes a walker that does not look again", () => {
    const cell = c1Cell("C1/x86-64/zap/thp-pmd/uniform/1/tso");
    expect(
      decide(
        cell,
        c1.knockouts(cell).find((k) => k.removed === "recheck"),
      ),
    ).toMatchObject({ verdict: "holds" });
  });
});

describe("C2 and C3", () => {
  beforeAll(async () => {
    await loadScenario(c2.scenario(c2.cells()[0]));
  });
  const verdictOf = (id: string): { verdict: string; kind: string | null } => {
    const inC2 = c2.cells().find((c) => c.id === id);
    const inC3 = c3.cells().find((c) => c.id === id);
    const cell = inC2 ?? inC3;
    if (cell === undefined) throw new Error(`no cell ${id}`);
    const scenario =
      inC2 !== undefined ? c2.scenario(inC2) : c3.scenario(cell as ReturnType<typeof c3.cells>[number]);
    const r = explore(linkScenario(scenario), { model: cell.model, maxSeconds: 60 });
    return { verdict: r.verdict, kind: r.error?.kind ?? null };
  };

  test("pins that count on the head balance every order and grouping of releases", () => {
    for (const pages of ["compound", "single"])
      for (const nr of ["two", "four"])
        expect(verdictOf(`C2/x86-64/${pages}/head/same/${nr}/sc`)).toEqual({ verdict: "holds", kind: null });
  });
  test("a pin that counts on the tail of a compound page is released from another page's count", () => {
    expect(verdictOf("C2/x86-64/compound/tail/same/four/sc")).toEqual({
      verdict: "violated",
      kind: "refcount-underflow",
    });
    expect(verdictOf("C2/x86-64/compound/tail/hand-over/two/tso")).toEqual({
      verdict: "violated",
      kind: "refcount-underflow",
    });
  });
  test("on single pages head and tail are one", () => {
    expect(verdictOf("C2/x86-64/single/tail/same/four/sc")).toEqual({ verdict: "holds", kind: null });
  });
  test("without the flag the RFC's walk takes compound pagemaps page by page, with the same counts", () => {
    expect(verdictOf("C3/x86-64/rfc-no-flag/pmd-both/nothing/sc").verdict).toBe("holds");
    expect(verdictOf("C3/x86-64/v1-compound-test/pmd-both/nothing/sc").verdict).toBe("holds");
  });
  test("one grab for a leaf of single pages underflows, with the flag misplaced or without any", () => {
    expect(verdictOf("C3/x86-64/rfc-flag-both/pmd-both/nothing/sc").kind).toBe("refcount-underflow");
    expect(verdictOf("C3/x86-64/uniform/pmd-both/nothing/sc").kind).toBe("refcount-underflow");
    expect(verdictOf("C3/x86-64/uniform/pmd-compound/nothing/sc").verdict).toBe("holds");
  });
});
