/**
 * Finds the scenario that a user means: a built-in one by name, or `FILE` or `FILE#NAME` for one of his own, in
 * TypeScript or JavaScript. Every way in which that can fail is a coded error.
 */

import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { scenarioEntries } from "../claims/registry.ts";
import type { Scenario } from "../machine/scenario.ts";
import { exportedScenarios, findScenario } from "../smp/find.ts";
import { UserError, unknownName } from "./errors.ts";
import { displayPath } from "./output.ts";

const FILE = /^(.*\.(?:ts|mts|js|mjs))(?:#(.+))?$/;

export async function scenarioByName(word: string): Promise<Scenario> {
  const file = FILE.exec(word);
  if (file !== null) return scenarioFromFile(file[1], file[2]);
  const entries = scenarioEntries();
  // Scenarios made on demand, such as stress/KIND-CPUS, share the module of the listed one of their family.
  const family = entries.filter((e) => e.name.split("/")[0] === word.split("/")[0]);
  for (const module of new Set(family.map((e) => e.module))) {
    const made = findScenario((await import(module)) as Record<string, unknown>, word);
    if (made !== undefined) return made;
  }
  if (existsSync(word)) throw new UserError("HF009", `${word} does not end in .ts, .mts, .js or .mjs`);
  throw unknownName(
    "HF007",
    word,
    entries.map((e) => e.name),
  );
}

async function scenarioFromFile(path: string, name: string | undefined): Promise<Scenario> {
  const full = resolve(path);
  if (!existsSync(full) || !statSync(full).isFile()) throw new UserError("HF008", path);
  const { importModule } = await import("../lang/load.ts");
  const namespace = await importModule(full);
  const all = exportedScenarios(namespace);
  if (name !== undefined) {
    const found = findScenario(namespace, name);
    if (found !== undefined) return found;
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
  return all[0];
}
