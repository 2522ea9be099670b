/**
 * `check()`: every execution of a scenario or of a C program, explored under one memory model or several.
 */

import { existsSync } from "node:fs";
import type { CheckModel } from "../check/check.ts";
import type { ExploreResult } from "../check/explore/result.ts";
import type { Limits } from "../claims/explorer-worker.ts";
import { UserError } from "../cli/errors.ts";
import { locate, type ScenarioOrWord } from "./scenario.ts";

export interface CheckOptions {
  /** Memory models to explore under: "sc", "tso", "arm64", "riscv"; default: the first two. */
  readonly models?: readonly CheckModel[];
  /** Stored states at which a search gives up; default 50 million. */
  readonly maxStates?: number;
  /** MiB of state tables at which it gives up; default 2048. */
  readonly maxMemory?: number;
  /** Seconds at which it gives up; default: none. */
  readonly maxSeconds?: number;
  /** Stops the search, which is then "bounded". Not heard while a C program is explored. */
  readonly signal?: AbortSignal;
  /** Called with what all searches together have stored so far. Not called for C programs. */
  readonly onProgress?: (states: number) => void;
  /** C programs: directories in which `#include` looks. */
  readonly include?: readonly string[];
  /** C programs: macros, `NAME` or `NAME=value`. */
  readonly define?: readonly string[];
}

/** What one model says. */
export interface ModelResult extends ExploreResult<CheckModel> {
  /** Name of the location that the error concerns, such as `page[3]._refcount`; "" if there is none. */
  readonly location: string;
}

export interface CheckResult {
  /** Name of the scenario, or the path of the C program. */
  readonly scenario: string;
  /**
   * "violated" if any model found an error; "holds" if every one explored all executions and found none;
   * else "bounded", which says nothing.
   */
  readonly verdict: "holds" | "violated" | "bounded";
  /** One for each model asked for, in that order. */
  readonly results: readonly ModelResult[];
}

const MEBIBYTE = 2 ** 20;

function limitsOf(o: CheckOptions): Limits {
  return {
    maxStates: o.maxStates ?? 50_000_000,
    maxBytes: (o.maxMemory ?? 2048) * MEBIBYTE,
    maxSeconds: o.maxSeconds ?? 1e9,
  };
}

function whole(scenario: string, results: readonly ModelResult[], asked: number): CheckResult {
  const verdict = results.some((r) => r.verdict === "violated")
    ? "violated"
    : results.length === asked && results.every((r) => r.verdict === "holds")
      ? "holds"
      : "bounded";
  return { scenario, verdict, results };
}

/**
 * Explores every execution of a scenario, in a worker, or of a C program (a path that ends in `.c`), on the
 * calling thread.
 *
 * A "holds" is about the models explored, the code and the configuration that were checked, and no more:
 * "sc" and "tso" do not cover hardware that is weaker (arm64, powerpc, riscv), and "arm64" and "riscv" do not
 * look for livelock. `coverage` of a result says what was never reached.
 *
 * @throws UserError for a file, name or scenario that cannot be used; DialectError for kernel code outside
 * the dialect, CError for C that is not understood, both with the place.
 * @example
 * ```ts
 * import { check } from "holdfast";
 *
 * const { verdict, results } = await check("holdfast/examples/kref.ts#kref-careless", { models: ["sc"] });
 * console.log(verdict, results[0]?.error?.kind, results[0]?.states); // violated double-free 8
 * ```
 */
export async function check(what: ScenarioOrWord, options: CheckOptions = {}): Promise<CheckResult> {
  const models = options.models ?? (["sc", "tso"] as const);
  if (typeof what === "string" && what.endsWith(".c")) return checkFileInC(what, models, options);
  const { scenario, definedIn } = await locate(what);
  const { runJobs } = await import("../claims/pool.ts");
  const { asUserError } = await import("../cli/job-errors.ts");
  const jobs = models.map((model) => ({
    id: model,
    ref: { module: definedIn, scenario: scenario.name },
    model,
  }));
  try {
    const found = await runJobs(jobs, {
      workers: 1,
      limits: limitsOf(options),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProgress: (_done, _total, states) => options.onProgress?.(states),
    });
    return whole(
      scenario.name,
      found.map(({ result, location }) => ({ ...result, location })),
      models.length,
    );
  } catch (e) {
    throw asUserError(e);
  }
}

async function checkFileInC(
  word: string,
  models: readonly CheckModel[],
  options: CheckOptions,
): Promise<CheckResult> {
  const { packageFile } = await import("../cli/files.ts");
  const { checkC } = await import("../check/c/check.ts");
  const { nodeFiles } = await import("../lang/c/node-files.ts");
  const path = packageFile(word);
  if (!existsSync(path)) throw new UserError("HF008", path);
  const found = checkC(path, nodeFiles(), {
    include: options.include ?? [],
    define: options.define ?? [],
    models,
    limits: limitsOf(options),
  });
  return whole(
    path,
    found.map(({ result }) => ({ ...result, location: "" })),
    models.length,
  );
}
