/** A program as the explorer's page takes it to step: used by the server, the exporter and the C bench. */

import { type CheckResult, isWeak } from "../check/check.ts";
import { recipeOf } from "../check/trace/session.ts";
import type { Program } from "../lang/ir.ts";
import type { PageProgram } from "./data.ts";

/**
 * A program and what its exploration came to, for the page.
 * @throws RangeError of a model that steps cannot be taken under one by one.
 */
export function pageProgram(program: Program, result: CheckResult): PageProgram {
  const { model } = result;
  if (isWeak(model)) throw new RangeError(`the page steps under SC and TSO, not under ${model}`);
  return {
    program,
    model,
    verdict: result.verdict,
    reason: result.reason,
    states: result.states,
    recipe: result.trace === null ? null : recipeOf(program, result.trace),
  };
}
