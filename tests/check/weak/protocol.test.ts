/**
 * The fast-GUP protocol (bench/gup-protocol.ts) on arm64 and riscv, and under the LKMM: it holds, each of its
 * mechanisms is needed, and the searches are as small as they are.
 */
import { describe, expect, it } from "vitest";
import { type ProtocolOptions, protocolScenario } from "../../../src/bench/gup-protocol.ts";
import * as kernel from "../../../src/bench/scenarios/gup-protocol.ts";
import type { WeakModel } from "../../../src/check/weak/ordering.ts";
import { exploreWeak, type WeakOptions, type WeakResult } from "../../../src/check/weak/search.ts";
import { buildProgram } from "../../../src/lang/scenario.ts";
import { UNREDUCED } from "./support.ts";

async function decide(
  o: ProtocolOptions,
  model: WeakModel,
  more: Partial<WeakOptions> = {},
): Promise<WeakResult> {
  return exploreWeak(await buildProgram(protocolScenario(o, kernel)), { model, ...more });
}

const HARDWARE: [number, number, number][] = [
  [1, 1, 7],
  [2, 1, 69],
  [2, 2, 924],
  [3, 1, 1117],
];
const LKMM: [number, number, number][] = [
  [1, 1, 7],
  [2, 1, 146],
  [2, 2, 3085],
];

describe.each(["arm64", "riscv", "lkmm"] as const)("%s", (model) => {
  it.each(model === "lkmm" ? LKMM : HARDWARE)(
    "%d walkers and %d pages: holds, in %d states",
    async (walkers, pages, states) => {
      const r = await decide({ walkers, pages }, model);
      expect([r.verdict, r.states]).toEqual(["holds", states]);
    },
  );

  it("holds without the reductions, too", async () => {
    const r = await decide({ walkers: 2, pages: 1 }, model, UNREDUCED);
    expect(r.verdict).toBe("holds");
    expect(r.states).toBeGreaterThan(500);
  });

  it.each([{ ipi: false }, { irqOff: false }] as const)("without %o it is a use after free", async (less) => {
    const r = await decide({ walkers: 2, pages: 1, ...less }, model);
    expect([r.verdict, r.error?.kind]).toEqual(["violated", "use-after-free"]);
    expect(r.trace?.steps.at(-1)?.failed).toBe(true);
    const full = await decide({ walkers: 1, pages: 1, ...less }, model, UNREDUCED);
    expect([full.verdict, full.error?.kind]).toEqual(["violated", "use-after-free"]);
  });
});
