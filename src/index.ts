/**
 * The package's face: four questions as functions, what a scenario is made of, and the types of their
 * answers. What a scenario file needs besides is in `holdfast/machine/memory` and
 * `holdfast/machine/primitives`, the kernel code in `holdfast/mm/...`. Everything below `holdfast/internal/`
 * is for those who work on the package: it changes without notice.
 *
 * @packageDocumentation
 */

export { type CheckOptions, type CheckResult, check, type ModelResult } from "./api/check.ts";
export { type LitmusOptions, litmus } from "./api/litmus.ts";
export { type ReplayOptions, type ReplayResult, replay } from "./api/replay.ts";
export { type RunOptions, run } from "./api/run.ts";
export type { ScenarioOrWord } from "./api/scenario.ts";
export type { CheckModel } from "./check/check.ts";
export type { FoundError } from "./check/errors.ts";
export type { AssertionSite, Coverage, ExploreResult, WaitSite } from "./check/explore/result.ts";
export type { Trace } from "./check/trace/schema.ts";
export { UserError } from "./cli/errors.ts";
export { CError } from "./lang/c/errors.ts";
export { type Diagnostic, DialectError } from "./lang/errors.ts";
export type { LitmusRecord } from "./litmus/report.ts";
export {
  type BootedScenario,
  defineScenario,
  type Scenario,
  type ScenarioThread,
} from "./machine/scenario.ts";
export type { Difference } from "./replay/compare.ts";
export type { FileReport } from "./replay/run.ts";
export type { SmpBug, SmpResult, SmpThreadResult } from "./smp/result.ts";
export type { DelaySpec } from "./smp/run.ts";
