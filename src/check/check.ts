/** One door to the engines that explore programs: by the name of a memory model, one kind of answer. */

import type { Program } from "../lang/ir.ts";
import { explore } from "./explore/explore.ts";
import type { ExploreOptions, ExploreResult } from "./explore/result.ts";
import type { Model } from "./explore/state.ts";
import { MAPPINGS, WEAK_MODELS, type WeakModel } from "./weak/ordering.ts";
import { exploreWeak, type WeakOptions } from "./weak/search.ts";

/** Memory models that programs are explored under. */
export type CheckModel = Model | WeakModel;
export const CHECK_MODELS: readonly CheckModel[] = ["sc", "tso", ...WEAK_MODELS];

/** What people are shown. */
export const MODEL_NAMES: Readonly<Record<CheckModel, string>> = {
  sc: "SC",
  tso: "TSO",
  arm64: "arm64",
  riscv: "riscv",
  lkmm: "LKMM",
};

export type CheckResult = ExploreResult<CheckModel>;
/** `onRan`: of weak models only. */
export type CheckOptions = Omit<ExploreOptions, "model"> &
  Pick<WeakOptions, "onRan"> & { readonly model: CheckModel };

export function isWeak(model: CheckModel): model is WeakModel {
  return model in MAPPINGS;
}

/** Explores `program` completely, or says why not. Throws only on programs that are malformed. */
export function checkProgram(program: Program, options: CheckOptions): CheckResult {
  const { model } = options;
  return isWeak(model)
    ? exploreWeak(program, { ...options, model })
    : explore(program, { ...options, model });
}
