/** What can be wrong with a scenario that is to run on real threads, as the coded error of a person. */

import { BootFailed } from "../lang/scenario.ts";
import { RepeatedThreadName } from "../machine/scenario.ts";
import { UnusableScenario } from "../smp/run.ts";
import { UserError } from "./errors.ts";

/** `e` as a UserError, if it is the scenario's author's to mend; else `e`. */
export function asRunError(e: unknown, scenario: string): unknown {
  if (e instanceof BootFailed) return new UserError("HF016", `${scenario}: ${e.message}`);
  if (e instanceof RepeatedThreadName) return new UserError("HF025", `${scenario}: ${e.message}`);
  if (e instanceof UnusableScenario) return new UserError("HF014", e.message);
  return e;
}
