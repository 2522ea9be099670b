/**
 * The built-in scenarios by name: the stress scenarios and the cells of the claims. This module is where
 * workers find them too (smp/find.ts), so that a scenario made on demand is made alike everywhere.
 */

import type { Scenario } from "../machine/scenario.ts";
import { EVERYTHING, everything } from "./cells.ts";
import { setOf } from "./claims.ts";
import { MAX_STRESS_CPUS, STRESS_KINDS, scenarioNamed as stressNamed } from "./stress.ts";
import { HMM_TEARDOWN } from "./stress-hmm.ts";
import { askedCell } from "./weak.ts";
import { zooNamed, zooScenario } from "./zoo/zoo.ts";

/** URL of this module, for workers. */
export const REGISTRY_URL: string = import.meta.url;

export interface ScenarioEntry {
  readonly name: string;
  readonly title: string;
  /** `run`: made for real threads; `check`: small enough to explore. */
  readonly use: "run" | "check";
}

/**
 * What `holdfast list scenarios` shows: the stress scenarios. Cells of claims are scenarios too, by their
 * ids.
 */
export function scenarioEntries(): ScenarioEntry[] {
  return [
    ...STRESS_KINDS.map(({ kind, title }) => ({ name: `stress/${kind}-2`, title, use: "run" as const })),
    { name: HMM_TEARDOWN.name, title: HMM_TEARDOWN.title, use: "run" as const },
  ];
}

const WITHOUT = "/without-";

/**
 * A stress scenario, a cell, a cell with a mechanism removed (`ID/without-NAME`) or with all of them
 * (`ID/without-everything`), or a known bug (`zoo/J07/before`); undefined if there is none.
 */
export function scenarioNamed(name: string): Scenario | undefined {
  const bug = zooNamed(name);
  if (bug !== undefined) return zooScenario(bug) ?? scenarioNamed(bug.scenario);
  if (name === HMM_TEARDOWN.name) return HMM_TEARDOWN;
  const stress = stressNamed(name);
  if (stress !== undefined) return stress;
  const at = name.lastIndexOf(WITHOUT);
  const id = at < 0 ? name : name.slice(0, at);
  const cell = askedCell(id);
  if (cell === undefined || cell.notApplicable !== null) return undefined;
  const set = setOf(cell);
  // Of a cell on weak memory it is the listed cell's, which has another name.
  if (at < 0) return { ...set.scenario(cell), name };
  const removed = name.slice(at + WITHOUT.length);
  const knockouts = set.knockouts(cell);
  const knockout =
    removed === EVERYTHING
      ? everything(knockouts)
      : knockouts.find((k) => k.removed === removed && k.notApplicable === null);
  return knockout === undefined ? undefined : { ...set.scenario(cell, knockout), name };
}

const DEFAULT_STRESS = "gup-unbind";

/** What `holdfast run` runs without a name, on 2 to MAX_STRESS_CPUS CPUs. */
export function stressScenario(cpus: number): Scenario {
  const found = stressNamed(`stress/${DEFAULT_STRESS}-${cpus}`);
  if (found === undefined) throw new RangeError(`cpus must be 2 to ${MAX_STRESS_CPUS}, not ${cpus}`);
  return found;
}
