/**
 * Cells of claims on weak memory. What holds under SC and is violated on arm64 and riscv and under the LKMM
 * for want of a barrier, each beside the form of the code that has it (docs/claims.md, "On weak memory").
 */
import { describe, expect, it } from "vitest";
import { type CheckModel, checkProgram } from "../../../src/check/check.ts";
import { cellById, setOf } from "../../../src/claims/claims.ts";
import { buildProgram } from "../../../src/lang/scenario.ts";
import type { KnobSettings } from "../../../src/machine/config.ts";

async function verdict(id: string, model: CheckModel, knobs: KnobSettings = {}): Promise<string> {
  const cell = cellById(id);
  if (cell === undefined) throw new Error(id);
  const scenario = setOf(cell).scenario(cell, { removed: "", title: "", knobs, notApplicable: null });
  const r = checkProgram(await buildProgram(scenario), { model, maxStates: 100_000 });
  return r.error === null ? r.verdict : `${r.verdict}: ${r.error.kind}`;
}

const REVOKE = (gup: string): string => `C1/arm64/revoke/dax-pmd/${gup}/1/sc`;
/** How a device's leaf was taken to v6.1; the cell itself has v6.12's way. */
const TO_V6_1: KnobSettings = { deviceLeafGrab: 0 };
const WEAK = ["arm64", "riscv", "lkmm"] as const;

describe.each(WEAK)("%s", (model) => {
  it("fast GUP needs no reference to the pagemap against the unbind of a device-dax device", async () => {
    const cell = "C5/arm64/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/sc";
    expect(await verdict(cell, model)).toBe("holds");
  });

  it("a page of a device leaf that try_grab_page() takes may be taken after the entry was read again", async () => {
    expect(await verdict(REVOKE("per-page"), model, TO_V6_1)).toBe("violated: assertion");
  });
});

it("SC and TSO do not show it", async () => {
  expect(await verdict(REVOKE("per-page"), "sc", TO_V6_1)).toBe("holds");
  expect(await verdict(REVOKE("per-page"), "tso", TO_V6_1)).toBe("holds");
});
