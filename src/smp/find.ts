/**
 * Finds a scenario by name in the module that defines it. Functions cannot be sent to a worker, so each CPU
 * imports the module itself and looks the scenario up: among the module's exports, in exported arrays, or
 * through an exported function `scenarioNamed(name)` where scenarios are made on demand. Not covered: loading
 * TypeScript; see lang/load.ts.
 */

import type { Scenario } from "../machine/scenario.ts";

function isScenario(x: unknown): x is Scenario {
  if (typeof x !== "object" || x === null) return false;
  const s = x as Partial<Record<keyof Scenario, unknown>>;
  return typeof s.name === "string" && typeof s.module === "string" && typeof s.boot === "function";
}

/** Scenarios that a module's namespace exports directly or in arrays, in order of export name. */
export function exportedScenarios(namespace: Readonly<Record<string, unknown>>): Scenario[] {
  const found: Scenario[] = [];
  for (const value of Object.values(namespace))
    for (const x of Array.isArray(value) ? (value as unknown[]) : [value])
      if (isScenario(x) && !found.includes(x)) found.push(x);
  return found;
}

/** The scenario of that name, or undefined. */
export function findScenario(
  namespace: Readonly<Record<string, unknown>>,
  name: string,
): Scenario | undefined {
  for (const s of exportedScenarios(namespace)) if (s.name === name) return s;
  const byName = namespace["scenarioNamed"];
  if (typeof byName !== "function") return undefined;
  const made: unknown = (byName as (name: string) => unknown)(name);
  return isScenario(made) && made.name === name ? made : undefined;
}
