/**
 * Finds the scenario that a user means: a built-in one by name, or `FILE` or `FILE#NAME` for one of his own,
 * in TypeScript or JavaScript. Every way in which that can fail is a coded error.
 */

import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { REGISTRY_URL, scenarioEntries, scenarioNamed } from "../claims/registry.ts";
import { zooNamed } from "../claims/zoo/zoo.ts";
import type { Scenario } from "../machine/scenario.ts";
import { exportedScenarios, findScenario } from "../smp/find.ts";
import { UserError, unknownName } from "./errors.ts";
import { displayPath } from "./output.ts";

const FILE = /^(.*\.(?:ts|mts|js|mjs))(?:#(.+))?$/;

/** Whether the word is a file, or a built-in scenario that is no cell of a claim. */
export function isScenarioWord(word: string): boolean {
  return FILE.test(word) || zooNamed(word) !== undefined || scenarioEntries().some((e) => e.name === word);
}

export interface Found {
  readonly scenario: Scenario;
  /** URL of the module in which a worker finds it by its name. */
  readonly definedIn: string;
}

export async function scenarioByName(word: string): Promise<Found> {
  const file = FILE.exec(word);
  if (file !== null) return scenarioFromFile(file[1], file[2]);
  const scenario = scenarioNamed(word);
  if (scenario !== undefined) return { scenario, definedIn: REGISTRY_URL };
  if (existsSync(word)) throw new UserError("HF009", `${word} does not end in .ts, .mts, .js or .mjs`);
  throw unknownName(
    "HF007",
    word,
    scenarioEntries().map((e) => e.name),
  );
}

async function scenarioFromFile(path: string, name: string | undefined): Promise<Found> {
  const full = resolve(path);
  if (!existsSync(full) || !statSync(full).isFile()) throw new UserError("HF008", path);
  const { importModule } = await import("../lang/load.ts");
  const namespace = await importModule(full);
  const definedIn = pathToFileURL(full).href;
  const all = exportedScenarios(namespace);
  if (name !== undefined) {
    const scenario = findScenario(namespace, name);
    if (scenario !== undefined) return { scenario, definedIn };
    throw unknownName(
      "HF007",
      name,
      all.map((s) => s.name),
    );
  }
  if (all.length === 0) throw new UserError("HF010", displayPath(full));
  if (all.length > 1)
    throw new UserError(
      "HF011",
      `${displayPath(full)} exports ${all.map((s) => s.name).join(", ")}`,
      `name one: ${path}#${all[0].name}`,
    );
  return { scenario: all[0], definedIn };
}
