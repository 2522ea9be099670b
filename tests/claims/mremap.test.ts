/**
 * mremap() explored: the flush of the old addresses has to come before the locks are dropped (eb66ae030829,
 * CVE-2018-18281), or a store through a stale translation goes to a page that a truncation has freed; and a
 * fast walker of either address gets the page that is mapped, or none.
 */

import { describe, expect, test } from "vitest";
import { explore } from "../../src/check/explore/explore.ts";
import { mover, pinner, truncater, user } from "../../src/claims/zoo/race-threads.ts";
import { buildProgram } from "../../src/lang/scenario.ts";
import { geom, type KnobSettings, kernel, type PresetName } from "../../src/machine/config.ts";
import { declareRegion, mem, memblock_alloc } from "../../src/machine/memory.ts";
import { defineScenario, type Scenario } from "../../src/machine/scenario.ts";
import { bootMachine, newMm } from "../../src/mm/boot.ts";
import { PAGE, PG_anon_exclusive } from "../../src/mm/page.ts";
import { PAGE_SHARED, pfn_pte, pgtable_alloc, set_pte_at } from "../../src/mm/pgtable.ts";

const OLD = 0;
const NEW = 2;

/** One page at OLD, whose frame is poison once it is free; NEW has a table of its own. */
function machine(name: string, preset: PresetName, knobs: KnobSettings, what: "user" | "pinner"): Scenario {
  return defineScenario({
    name,
    title: name,
    module: new URL("../../src/claims/zoo/race-threads.ts", import.meta.url).href,
    boot: () => {
      bootMachine({
        preset,
        knobs: { ...knobs, vmstat: 0, mmuNotifier: 0, pageRegions: 1 },
        arch: "x86-64",
        geometry: { levels: 2, table_shift: 1, max_pfn: 2, vmemmap_shift: 1, pgmap_shift: 1 },
        cpus: 3,
        tables: 3,
      });
      const mm = newMm();
      const anon = memblock_alloc("anon_vma", 1, { align: 4 }) | 1;
      for (let pfn = 0; pfn < 2; pfn++) {
        declareRegion(`data[${pfn}]`, kernel.direct_map + pfn * geom.page_words, geom.page_words);
        const page = kernel.vmemmap + pfn * PAGE.SIZE;
        mem[page + PAGE.flags] = 1 << PG_anon_exclusive;
        mem[page + PAGE._refcount] = 1;
        mem[page + PAGE.mapping] = anon;
      }
      const oldp = pgtable_alloc(mm, OLD, 0);
      const newp = pgtable_alloc(mm, NEW, 0);
      set_pte_at(oldp, pfn_pte(0, PAGE_SHARED));
      const move = { name: "mover", run: mover, args: [mm, oldp, newp] };
      const truncate = { name: "truncater", run: truncater, args: [mm, newp] };
      const third =
        what === "user"
          ? [{ name: "user", run: user, args: [oldp] }]
          : [
              { name: "old", run: pinner, args: [mm, OLD, 0] },
              { name: "new", run: pinner, args: [mm, NEW, 0] },
            ];
      return { threads: what === "user" ? [move, truncate, ...third] : [move, ...third] };
    },
  });
}

describe("a page that is truncated right after it was moved", () => {
  test.each(["sc", "tso"] as const)(
    "is not written through the old address any more, under %s",
    async (model) => {
      const s = machine("mremap-flush", "v6.1", { mremapFlushLocked: 1 }, "user");
      expect((await explore(await buildProgram(s), { model })).verdict).toBe("holds");
    },
  );
  test("was, when the flush came after the locks (to v4.18)", async () => {
    const s = machine("mremap-late", "v6.1", { mremapFlushLocked: 0 }, "user");
    const result = await explore(await buildProgram(s), { model: "sc" });
    expect(result.error?.kind).toBe("use-after-free");
  });
});

test.each(["v5.10", "v6.1", "v7.3"] as const)(
  "fast GUP of %s pins the page at either address while it moves, or nothing",
  async (preset) => {
    const s = machine("mremap-gup", preset, {}, "pinner");
    expect((await explore(await buildProgram(s), { model: "sc" })).verdict).toBe("holds");
  },
);
