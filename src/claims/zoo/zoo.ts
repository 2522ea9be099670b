/**
 * Bugs of this subsystem that people found the hard way, as pairs: a scenario with the code as it was, one
 * with the fix. Many are cells of the claims (claimed.ts); the others have machines of their own. All run the
 * one code of mm/ with its knobs, and none is told where to look. How to add one: docs/zoo-adding.md.
 */

import { ARCHITECTURES } from "../../machine/arch.ts";
import { findArch } from "../../machine/config.ts";
import { defineScenario, type Scenario, siblingModule } from "../../machine/scenario.ts";
import type { CellModel } from "../cells.ts";
import { type AnyCell, allCells, setOf } from "../claims.ts";
import { CLAIMED } from "./claimed.ts";
import type { ZooEntry } from "./entry.ts";
import { HAZARDS } from "./hazards.ts";
import { RACES } from "./races.ts";
import { SEQUENCES } from "./sequences.ts";
import { SPLITS } from "./splits.ts";

const KINDS = "JHON";
const place = ({ id }: ZooEntry): number => KINDS.indexOf(id[0]) * 1000 + Number(id.slice(1));

/** Every bug that is shown: those of Linux's history, open hazards, those that this project found. */
export const ZOO: readonly ZooEntry[] = [...CLAIMED, ...HAZARDS, ...SEQUENCES, ...RACES, ...SPLITS].sort(
  (a, b) => place(a) - place(b),
);

/** What is known of, but not shown yet, and what that would need. */
export const ZOO_MISSING: readonly { readonly ids: string; readonly needs: string }[] = [
  {
    ids: "J13, J14",
    needs: "a description: our collection names the numbers without commit or interleaving",
  },
  { ids: "J15, J19", needs: "knobs for the code before" },
  {
    ids: "J37, J38, J41",
    needs: "knobs for the code before (forced writes, dax layouts, migration of PMDs)",
  },
  {
    ids: "J26, J27, J29 to J31, J33, J34",
    needs: "TLB entries that outlive their page-table entry; retraction of tables",
  },
  { ids: "J42, J44, J45", needs: "weak memory on these cells; entries of two words" },
  { ids: "J51 to J57, J60", needs: "pairs of sequences; J60 has one in tests/mm/hmm-walk.test.ts" },
  {
    ids: "CVE-2025-40272 (6f86d0534fdd, secretmem's direct map restored after the page is freed)",
    needs: "whether a frame is in the direct map, as state of the machine; two faults on one index of a file",
  },
  {
    ids: "CVE-2025-38085 (1013af4f585f, huge_pmd_unshare() against fast GUP)",
    needs: "hugetlb's shared page tables",
  },
  {
    ids: "folio_split() against folio_try_get(), and a missing smp_rmb() at the split of a huge page (2026)",
    needs: "a description with commit and interleaving; for the second the LKMM on these cells",
  },
];

export type ZooSide = "before" | "after";

/** One side of a bug on an architecture: under TSO where that is what the hardware does, else under SC. */
export interface ZooCell {
  /** A cell's id, or `zoo/J25/before/x86-64`. */
  readonly scenario: string;
  readonly model: CellModel;
}

const WITHOUT = /\/without-[^/]+$/;
const DEFAULT_ARCH = "x86-64";

/** The architecture on which a bug is shown if none is named. */
export function zooArch(entry: ZooEntry): string {
  return entry.archs?.[0] ?? DEFAULT_ARCH;
}

/** The cell that an id without architecture and model means: a standard one, and TSO's, where there are. */
function standardCell(name: string, arch: string): AnyCell | undefined {
  const [claim, ...rest] = name.split("/");
  // C4 and C5 are one question, of x86 and of the others.
  const own = claim === "C4" && !arch.startsWith("x86") ? "C5" : claim;
  const prefix = [own, arch, ...rest].join("/");
  const hardware = findArch(arch).model === "tso" ? "tso" : "sc";
  const cells = allCells().filter((c) => c.id === `${prefix}/${c.model}` && c.notApplicable === null);
  const standard = cells.filter((c) => c.standard);
  return standard.find((c) => c.model === "tso") ?? standard[0] ?? cells.find((c) => c.model === hardware);
}

/** @returns undefined if the bug does not show on that architecture, or there is no such cell. */
export function zooCell(entry: ZooEntry, side: ZooSide, arch: string): ZooCell | undefined {
  if (entry.archs !== undefined && !entry.archs.includes(arch)) return undefined;
  const at = entry[side];
  if (typeof at !== "string") {
    const model = findArch(arch).model === "tso" ? "tso" : "sc";
    return { scenario: `zoo/${entry.id}/${side}/${arch}`, model };
  }
  const cell = standardCell(at.replace(WITHOUT, ""), arch);
  const without = WITHOUT.exec(at)?.[0] ?? "";
  return cell === undefined ? undefined : { scenario: `${cell.id}${without}`, model: cell.model };
}

/** What `zoo/J25/before` or `zoo/J25/before/arm64` names, on the bug's first if none is said. */
export interface ZooName extends ZooCell {
  readonly entry: ZooEntry;
  readonly side: ZooSide;
  readonly arch: string;
}

const NAME = /^zoo\/([^/]+)\/(before|after)(?:\/([^/]+))?$/;

/** @returns undefined if it is no such name, or there is no such bug or architecture. */
export function zooNamed(name: string): ZooName | undefined {
  const [, id, side, named] = NAME.exec(name) ?? [];
  const entry = ZOO.find((z) => z.id === id);
  if (entry === undefined || (side !== "before" && side !== "after")) return undefined;
  const arch = named ?? zooArch(entry);
  if (!ARCHITECTURES.some((a) => a.name === arch)) return undefined;
  const cell = zooCell(entry, side, arch);
  return cell === undefined ? undefined : { ...cell, entry, side, arch };
}

/** The scenario of a bug with a machine of its own; undefined if it is a cell of a claim. */
export function zooScenario({ entry, side, arch, scenario }: ZooName): Scenario | undefined {
  const at = entry[side];
  if (typeof at === "string") return undefined;
  const title = `${entry.title}: ${side === "before" ? "as it was" : "with the fix"}`;
  if ("boot" in at)
    return defineScenario({
      name: scenario,
      title,
      module: siblingModule(import.meta.url, at.sequence ? "./threads" : "./race-threads"),
      boot: () => at.boot(arch, at.preset, at.knobs, side),
    });
  const cell = standardCell(at.cell, arch);
  if (cell === undefined) throw new RangeError(`${scenario}: there is no cell ${at.cell} on ${arch}`);
  const changed = { removed: "zoo", title, knobs: at.knobs, notApplicable: null };
  return { ...setOf(cell).scenario(cell, changed), name: scenario, title };
}
