/**
 * Bugs of this subsystem that people found the hard way, as pairs: a scenario with the code as it was, one
 * with the fix. Many are cells of the claims (claimed.ts); the others have machines of their own. All run the
 * one code of mm/ with its knobs, and none is told where to look. How to add one: docs/zoo-adding.md.
 */

import { ARCHITECTURES } from "../../machine/arch.ts";
import { findArch } from "../../machine/config.ts";
import { defineScenario, type Scenario, siblingModule } from "../../machine/scenario.ts";
import type { CellModel } from "../cells.ts";
import { allCells } from "../claims.ts";
import { CLAIMED } from "./claimed.ts";
import type { ZooEntry } from "./entry.ts";

const byId = (a: ZooEntry, b: ZooEntry): number =>
  a.id[0] === b.id[0] ? Number(a.id.slice(1)) - Number(b.id.slice(1)) : a.id < b.id ? -1 : 1;

/** Every bug that is shown: those of Linux's history, open hazards, those that this project found. */
export const ZOO: readonly ZooEntry[] = [...CLAIMED].sort(byId);

/** What is known of, but not shown yet, and what that would need. */
export const ZOO_MISSING: readonly { readonly ids: string; readonly needs: string }[] = [
  {
    ids: "J01, J02, J04, J06",
    needs:
      "collapse, split and early copies in C1's cells by mm's own functions, and walkers that meet freed tables",
  },
  {
    ids: "J13, J14",
    needs: "a description: our collection names the numbers without commit or interleaving",
  },
  { ids: "J15, J16, J18, J19, J24, J39, J40", needs: "pairs of sequences, or knobs for the code before" },
  {
    ids: "J25, J35, J36, J37, J38, J41",
    needs: "knobs for the code before (reclaim, COW, forced writes, dax layouts)",
  },
  {
    ids: "J26 to J31, J33, J34",
    needs: "TLB entries that outlive their page-table entry; retraction of tables",
  },
  { ids: "J42, J44, J45", needs: "weak memory on these cells; entries of two words" },
  { ids: "J51 to J60", needs: "pairs of sequences; J60 has one in tests/mm/hmm-walk.test.ts" },
];

export type ZooSide = "before" | "after";

/** One side of a bug on an architecture: under TSO where that is what the hardware does, else under SC. */
export interface ZooCell {
  /** A cell's id, or `zoo/J25/before/x86-64`. */
  readonly scenario: string;
  readonly model: CellModel;
}

const WITHOUT = /\/without-[^/]+$/;

/** @returns undefined if the claims have no such cell on that architecture. */
export function zooCell(entry: ZooEntry, side: ZooSide, arch: string): ZooCell | undefined {
  const at = entry[side];
  if (typeof at !== "string") {
    const model = findArch(arch).model === "tso" ? "tso" : "sc";
    return { scenario: `zoo/${entry.id}/${side}/${arch}`, model };
  }
  const without = WITHOUT.exec(at)?.[0] ?? "";
  const [claim, ...rest] = at.replace(WITHOUT, "").split("/");
  const prefix = [claim, arch, ...rest].join("/");
  const cells = allCells().filter(
    (c) => c.id === `${prefix}/${c.model}` && c.notApplicable === null && c.standard,
  );
  const cell = cells.find((c) => c.model === "tso") ?? cells[0];
  return cell === undefined ? undefined : { scenario: `${cell.id}${without}`, model: cell.model };
}

/** What `zoo/J25/before` or `zoo/J25/before/arm64` names, on x86-64 if nothing else is said. */
export interface ZooName extends ZooCell {
  readonly entry: ZooEntry;
  readonly side: ZooSide;
  readonly arch: string;
}

const NAME = /^zoo\/([^/]+)\/(before|after)(?:\/([^/]+))?$/;

/** @returns undefined if it is no such name, or there is no such bug or architecture. */
export function zooNamed(name: string): ZooName | undefined {
  const [, id, side, arch = "x86-64"] = NAME.exec(name) ?? [];
  const entry = ZOO.find((z) => z.id === id);
  if (entry === undefined || (side !== "before" && side !== "after")) return undefined;
  if (!ARCHITECTURES.some((a) => a.name === arch)) return undefined;
  const cell = zooCell(entry, side, arch);
  return cell === undefined ? undefined : { ...cell, entry, side, arch };
}

/** The scenario of a bug with a machine of its own; undefined if it is a cell of a claim. */
export function zooScenario({ entry, side, arch, scenario }: ZooName): Scenario | undefined {
  const at = entry[side];
  if (typeof at === "string") return undefined;
  return defineScenario({
    name: scenario,
    title: `${entry.title}: ${side === "before" ? "as it was" : "with the fix"}`,
    module: siblingModule(import.meta.url, "./threads"),
    boot: () => at.boot(arch, at.preset, at.knobs, side),
  });
}
