/**
 * The built-in scenarios by name: what `holdfast list scenarios` shows and `run` and `check` take. Modules are named, not
 * imported, so that asking for one does not load the rest.
 */

import { dirname, extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Scenario } from "../machine/scenario.ts";
import { MAX_STRESS_CPUS, STRESS_KINDS, scenarioNamed } from "./stress.ts";

export interface ScenarioEntry {
  readonly name: string;
  readonly title: string;
  /** URL of the module that defines it. */
  readonly module: string;
  /** `run`: for real threads; `check`: small enough to explore. */
  readonly use: "run" | "check";
}

const here = fileURLToPath(import.meta.url);
const module = (name: string): string => pathToFileURL(join(dirname(here), `${name}${extname(here)}`)).href;

export function scenarioEntries(): ScenarioEntry[] {
  return STRESS_KINDS.map(({ kind, title }) => ({
    name: `stress/${kind}-2`,
    title,
    module: module("stress"),
    use: "run" as const,
  }));
}

const DEFAULT_STRESS = "gup-unbind";

/** What `holdfast run` runs without a name, on 2 to MAX_STRESS_CPUS CPUs. */
export function stressScenario(cpus: number): Scenario {
  const scenario = scenarioNamed(`stress/${DEFAULT_STRESS}-${cpus}`);
  if (scenario === undefined) throw new RangeError(`cpus must be 2 to ${MAX_STRESS_CPUS}, not ${cpus}`);
  return scenario;
}
