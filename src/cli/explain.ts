/**
 * `holdfast explain`: explores one cell of a claim, or a scenario, and shows its counterexample; for a cell
 * that is not violated, says so and where its reasons are to be had.
 */

import { REGISTRY_URL, scenarioNamed } from "../claims/registry.ts";
import { checkCommand, checkJson, exploreAll, reportResult, verdictLines } from "./check.ts";
import { UserError } from "./errors.ts";
import { EXIT_HOLDS } from "./exit.ts";
import { interruptSignal } from "./interrupt.ts";
import { exitOf, type LimitOptions, limitsOf } from "./limits.ts";
import { print, printJson } from "./output.ts";
import { isScenarioWord } from "./scenarios.ts";
import { cellsToChooseFrom, selectCells } from "./select.ts";

export interface ExplainOptions extends LimitOptions {
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** How long barriers that would repair a cell are looked for. */
const REPAIR_SECONDS = 60;

const WITHOUT = /\/without-[^/]+$/;

export async function explainCommand(word: string, options: ExplainOptions): Promise<number> {
  const id = word.replace(WITHOUT, "");
  // A scenario that is no cell has no model of its own: it is explored, and shown, as check does.
  if (isScenarioWord(word)) return checkCommand(word, options);
  const [cell, ...rest] = selectCells([id], { all: true }, cellsToChooseFrom([id], {}));
  if (rest.length > 0)
    throw new UserError("HF003", `${word} names ${rest.length + 1} cells`, `name one, such as ${cell.id}`);
  const scenario = scenarioNamed(word);
  if (scenario === undefined) {
    if (cell.notApplicable === null)
      throw new UserError(
        "HF003",
        `${word}: no such mechanism, or there is nothing to remove`,
        `holdfast claims ${id} -v lists them`,
      );
    if (options.json === true) printJson({ ...checkJson(word, [], 0), notApplicable: cell.notApplicable });
    else print(`${word} is not applicable: ${cell.notApplicable}`);
    return EXIT_HOLDS;
  }
  const job = { id: word, ref: { module: REGISTRY_URL, scenario: word }, model: cell.model };
  const results = await exploreAll([job], { ...limitsOf(options), repairSeconds: REPAIR_SECONDS }, 1);
  const interrupted = interruptSignal().aborted;
  if (options.json === true) printJson(checkJson(word, results, 1));
  else
    for (const r of results) {
      if (r.result.verdict === "violated")
        reportResult(word, r, `holdfast explain ${word}`, options.verbose === true);
      else {
        print(...verdictLines(word, r.result));
        if (r.result.verdict === "holds") print(`which mechanism it rests on: holdfast claims ${id} -v`);
      }
    }
  return exitOf(
    results.map((r) => r.result),
    interrupted,
  );
}
