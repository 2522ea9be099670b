/**
 * Every claim that can be decided: the modules that list cells, behind one shape, and how their matrices are
 * laid out; and the claims that are figures. A new claim is one entry here. What is asked and why is in
 * docs/claims.md.
 */

import type { CheckModel } from "../check/check.ts";
import type { Scenario } from "../machine/scenario.ts";
import * as c1 from "./c1.ts";
import { c2, c3 } from "./c2c3.ts";
import * as c4c5 from "./c4c5.ts";
import * as c7 from "./c7.ts";
import * as c8 from "./c8.ts";
import type { Cell, Knockout } from "./cells.ts";

/** A cell of any claim; its configuration is names and numbers. */
export type AnyCell = Cell<object>;
/** What can be asked: a listed cell, or one of them on weak memory (weak.ts). */
export type AskedCell = Cell<object, CheckModel>;

export interface ClaimSet {
  /** Names of the claims whose cells these are. */
  readonly claims: readonly string[];
  readonly title: string;
  /** Configuration fields that the rows of the matrix stand for, in order. */
  readonly rows: readonly string[];
  /** The field whose values stand side by side within a column, or null. */
  readonly marks: string | null;
  /** Claims whose holding cells are tried without each mechanism even when no claim is named. */
  readonly knockoutsUnasked: readonly string[];
  cells(): readonly AnyCell[];
  /** @throws RangeError for a cell of another set, or one that is not applicable. */
  scenario(cell: AskedCell, knockout?: Knockout): Scenario;
  knockouts(cell: AskedCell): readonly Knockout[];
  /** Cells of a size (such as 3x2) that the list goes up to or not; null if the claim has no such size. */
  cellsOfSize(size: string): readonly AnyCell[] | null;
}

interface CellModule<C extends AnyCell> {
  cells(): readonly C[];
  scenario(cell: C, knockout?: Knockout): Scenario;
  knockouts(cell: C): readonly Knockout[];
  cellsOfSize?(size: string): readonly C[] | null;
  unlistedCell?(id: string): C | undefined;
}

type View = Pick<ClaimSet, "claims" | "title" | "rows" | "marks" | "knockoutsUnasked">;

function claimSet<C extends AnyCell>(module: CellModule<C>, view: View): ClaimSet {
  let byId: ReadonlyMap<string, C> | undefined;
  const own = (cell: AskedCell): C => {
    byId ??= new Map(module.cells().map((c) => [c.id, c]));
    const id = cell.of ?? cell.id;
    const found = byId.get(id) ?? module.unlistedCell?.(id);
    if (found === undefined) throw new RangeError(`${cell.id} is no cell of ${view.claims.join(", ")}`);
    return found;
  };
  return {
    ...view,
    cells: () => module.cells(),
    scenario: (cell, knockout) => module.scenario(own(cell), knockout),
    knockouts: (cell) => module.knockouts(own(cell)),
    cellsOfSize: (size) => module.cellsOfSize?.(size) ?? null,
  };
}

export const CLAIM_SETS: readonly ClaimSet[] = [
  claimSet(c1, {
    claims: ["C1"],
    title: "one grab on the head pins a leaf's run of subpages; device memory needs no path of its own",
    rows: ["event", "mapping"],
    marks: "gup",
    knockoutsUnasked: [],
  }),
  claimSet(c2, {
    claims: ["C2"],
    title: "unpin works on the compound head, so pin must too",
    rows: ["pages", "nr", "release"],
    marks: "counts",
    knockoutsUnasked: [],
  }),
  claimSet(c3, {
    claims: ["C3"],
    title: "the flag that tells compound pagemaps from others is not needed",
    rows: ["tells", "against"],
    marks: "leaves",
    knockoutsUnasked: [],
  }),
  claimSet(c4c5, {
    claims: ["C4", "C5"],
    title:
      "fast GUP needs no dev_pagemap reference: what precedes the teardown excludes it (C4 x86, C5 other architectures)",
    rows: ["teardown", "pgmapRef", "percpuRef", "counting"],
    marks: "pin",
    knockoutsUnasked: ["C5"],
  }),
  claimSet(c7, {
    claims: ["C7"],
    title: "HMM was right to drop its pagemap check: notifiers alone are enough",
    rows: ["event", "pgmapCheck", "version"],
    marks: "notifier",
    knockoutsUnasked: [],
  }),
  claimSet(c8, {
    claims: ["C8"],
    title: "is HMM racy with memory unplug?",
    rows: ["question", "variant"],
    marks: null,
    knockoutsUnasked: [],
  }),
];

/** A claim that is counted or timed, not explored: it has figures (bench/figures.ts), no cells. */
export interface FigureClaim {
  readonly claim: string;
  readonly title: string;
  /** The command of `holdfast` that shows more of it. */
  readonly more: string;
}

export const FIGURE_CLAIMS: readonly FigureClaim[] = [
  {
    claim: "C6",
    title:
      "without a pagemap reference, device entries stop being special: pinning executes what it executes on System RAM",
    more: "bench work",
  },
  {
    claim: "C9",
    title: "grabbing the head once pays (before over after, in one run; holdfast bench all measures more)",
    more: "bench all",
  },
];

/** The claim whose figures the word (C6, C9/pin-2m) means; undefined if it means cells or nothing. */
export function figureClaimOf(word: string): FigureClaim | undefined {
  const claim = word.split("/")[0].toUpperCase();
  return FIGURE_CLAIMS.find((f) => f.claim === claim);
}

let listed: readonly AnyCell[] | undefined;
let byId: ReadonlyMap<string, AnyCell> | undefined;

/** Every cell of every claim, in order. */
export function allCells(): readonly AnyCell[] {
  listed ??= CLAIM_SETS.flatMap((s) => s.cells());
  return listed;
}

/** A cell that is listed, or one of a larger size. */
export function cellById(id: string): AnyCell | undefined {
  byId ??= new Map(allCells().map((c) => [c.id, c]));
  return byId.get(id) ?? c4c5.unlistedCell(id);
}

/** The set that a cell is of. */
export function setOf(cell: { readonly claim: string }): ClaimSet {
  const found = CLAIM_SETS.find((s) => s.claims.includes(cell.claim));
  if (found === undefined) throw new RangeError(`there is no claim ${cell.claim}`);
  return found;
}
