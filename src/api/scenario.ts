/**
 * How a scenario is named to the package's functions: the object itself, or the words of the command line.
 */

import type { Scenario } from "../machine/scenario.ts";

/**
 * A scenario made by `defineScenario()` and exported by its module, or a word: a file (`race.ts`), a scenario
 * of a file that has several (`race.ts#careless`), a built-in scenario or a cell of a claim by its id
 * (`holdfast list`), or `holdfast/...` for a file that came with the package.
 */
export type ScenarioOrWord = Scenario | string;

export interface Located {
  readonly scenario: Scenario;
  /** URL of the module in which a worker finds the scenario by its name. */
  readonly definedIn: string;
}

export async function locate(what: ScenarioOrWord): Promise<Located> {
  if (typeof what !== "string") return { scenario: what, definedIn: what.module };
  const { packageFile } = await import("../cli/files.ts");
  const { scenarioByName } = await import("../cli/scenarios.ts");
  return scenarioByName(packageFile(what));
}
