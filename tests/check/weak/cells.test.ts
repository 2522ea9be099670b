/**
 * Cells of claims on weak memory. What holds under SC and is violated on arm64 and riscv and under the LKMM
 * for want of a barrier, each beside the form of the code that has it (docs/claims.md, "On weak memory").
 */
import { describe, expect, it } from "vitest";
import { type CheckModel, checkProgram } from "../../../src/check/check.ts";
import { scenarioNamed } from "../../../src/claims/registry.ts";
import { buildProgram } from "../../../src/lang/scenario.ts";

async function verdict(cell: string, model: CheckModel): Promise<string> {
  const scenario = scenarioNamed(cell);
  if (scenario === undefined) throw new Error(cell);
  const r = checkProgram(await buildProgram(scenario), { model, maxStates: 100_000 });
  return r.error === null ? r.verdict : `${r.verdict}: ${r.error.kind}`;
}

const REVOKE = (gup: string): string => `C1/arm64/revoke/dax-pmd/${gup}/1/sc`;
const FORK = "C1/arm64/fork/ram-4k/uniform/1/sc";
const WEAK = ["arm64", "riscv", "lkmm"] as const;

describe.each(WEAK)("%s", (model) => {
  it("fast GUP needs no reference to the pagemap against the unbind of a device-dax device", async () => {
    const cell = "C5/arm64/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/sc";
    expect(await verdict(cell, model)).toBe("holds");
  });

  it("a page of a device leaf that try_grab_page() takes may be taken after the entry was read again", async () => {
    expect(await verdict(REVOKE("per-page"), model)).toBe("violated: assertion");
    expect(await verdict(REVOKE("uniform"), model)).toBe("holds");
  });

  it("fork() may look for pins before the write that is to stop fast GUP is seen", async () => {
    expect(await verdict(FORK, model)).toBe("violated: assertion");
  });
});

it("SC and TSO show neither", async () => {
  expect(await verdict(REVOKE("per-page"), "sc")).toBe("holds");
  expect(await verdict(REVOKE("per-page"), "tso")).toBe("holds");
  expect(await verdict(FORK, "sc")).toBe("holds");
  expect(await verdict(FORK, "tso")).toBe("holds");
});
