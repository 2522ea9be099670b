/**
 * An independent reading of cells under the LKMM: what each comes down to, written by hand as a litmus test,
 * whose executions are listed by another engine. A cell is violated where the test's outcome is possible.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { lkmm } from "../../src/check/models/lkmm.ts";
import { exploreWeak } from "../../src/check/weak/search.ts";
import { setOf } from "../../src/claims/claims.ts";
import { orderingSites, withoutSite } from "../../src/claims/ordering-sites.ts";
import { askedCell } from "../../src/claims/weak.ts";
import { buildProgram } from "../../src/lang/scenario.ts";
import { recordOf } from "../../src/litmus/report.ts";
import { loadLitmus, runLitmus } from "../../src/litmus/run.ts";
import type { KnobSettings } from "../../src/machine/config.ts";

interface Pair {
  readonly litmus: string;
  readonly cell: string;
  /** Where the cell is not as its list has it. */
  readonly knobs?: KnobSettings;
  /** A barrier that is taken out of its code: function and operation. */
  readonly without?: readonly [string, string];
  /** The cell takes too long for a test of the suite. */
  readonly long?: true;
}

const MPROTECT = "C1/arm64/mprotect/ram-4k/uniform/1/lkmm";
const UNBIND = (counting: string): string =>
  `C5/powerpc-radix/device-dax/ref-not-taken/percpu/${counting}/walker-pin/1x1/lkmm`;

const PAIRS: readonly Pair[] = [
  { litmus: "mprotect+pin", cell: MPROTECT },
  {
    litmus: "mprotect+pin-without-mb",
    cell: MPROTECT,
    without: ["try_grab_compound_head", "smp_mb__after_atomic"],
  },
  { litmus: "mprotect+pin-without-flush", cell: MPROTECT, without: ["flush_tlb_range", "smp_mb"] },
  // How a device's leaf was taken to v6.1; the cell itself has v6.12's way.
  {
    litmus: "revoke+grab-page",
    cell: "C1/arm64/revoke/dax-pmd/per-page/1/lkmm",
    knobs: { deviceLeafGrab: 0 },
  },
  { litmus: "unbind+pin-not-counted", cell: UNBIND("v5.18") },
  { litmus: "unbind+pin", cell: UNBIND("v5.10"), long: true },
  { litmus: "fork+pin", cell: "C1/arm64/fork/ram-4k/uniform/1/lkmm", long: true },
];

async function cellVerdict({ cell: id, knobs = {}, without }: Pair): Promise<string> {
  const cell = askedCell(id);
  if (cell === undefined) throw new Error(id);
  const knockout = { removed: "", title: "", knobs, notApplicable: null };
  let program = await buildProgram(setOf(cell).scenario(cell, knockout));
  if (without !== undefined) {
    const [site, ...more] = orderingSites(program).filter(
      (s) => s.fn === without[0] && s.what === without[1],
    );
    expect(more).toEqual([]);
    program = withoutSite(program, site.key);
  }
  return exploreWeak(program, { model: "lkmm", trace: false }).verdict;
}

function litmusVerdict(name: string): { found: string | null; stated: string } {
  const path = new URL(`litmus/${name}.litmus`, import.meta.url).pathname;
  const loaded = loadLitmus(path, readFileSync(path, "utf8"));
  const r = recordOf(name, runLitmus(loaded, { model: lkmm }));
  return { found: r.verdict, stated: r.expected };
}

const CAMPAIGN = process.env["HOLDFAST_CAMPAIGN"] !== undefined;

describe("a cell, and what it comes down to", () => {
  test.each(PAIRS.map((p) => [p.litmus, p] as const))("%s", async (name, pair) => {
    const { found, stated } = litmusVerdict(name);
    expect(found).toBe(stated);
    if (pair.long === true && !CAMPAIGN) return;
    expect(await cellVerdict(pair)).toBe(found === "Never" ? "holds" : "violated");
  });

  test("with a full barrier in the place of its smp_wmb(), fork() is right", () => {
    expect(litmusVerdict("fork+pin-mb")).toEqual({ found: "Never", stated: "Never" });
  });
});
