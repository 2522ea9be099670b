/**
 * A program in C from its text to a verdict: compiled (lang/c), explored under each model, built again with
 * more room where an allocation found none. A limit of the model that an execution reaches (a value beyond 32
 * bits, recursion past its bound) makes the verdict "bounded": nothing is said of what lies behind it.
 */

import type { CFiles } from "../../lang/c/files.ts";
import { NO_ROOM } from "../../lang/c/lower-builtin.ts";
import { type BuiltC, buildC, type CBuildOptions } from "../../lang/c/program.ts";
import {
  CHECK_MODELS,
  type CheckModel,
  type CheckOptions,
  type CheckResult,
  checkProgram,
} from "../check.ts";
import type { LockOrder } from "../explore/lockorder.ts";
import { leakCheck } from "./leaks.ts";
import { hasKernelLocks, lockdep, lockOrderOf } from "./lockdep.ts";
import { type CTrail, describeC } from "./trail.ts";

/** All that an exploration takes but its model. */
export type CLimits = Omit<CheckOptions, "model">;

export interface CCheckOptions extends CBuildOptions {
  /** In order, or what is to be looked at of this program. */
  readonly models: readonly CheckModel[] | ((built: BuiltC) => readonly CheckModel[]);
  /** Whether what is still allocated at the end and cannot be reached is an error; under SC and TSO. */
  readonly leaks?: boolean;
  /** The same for each model, or what that of each is. */
  readonly limits?: CLimits | ((model: CheckModel) => CLimits);
}

/** What one model says of a program. */
export interface CResult {
  readonly result: CheckResult;
  /** The counterexample in the program's own terms; null if there is none. */
  readonly trail: CTrail | null;
}

/** With the program that was explored. */
export interface CExplored extends CResult {
  readonly built: BuiltC;
}

/** Headers of programs that say themselves how their accesses are ordered. */
const MARKED = /^\s*#\s*include\s*<(?:linux\/.*|stdatomic\.h|lkmm\.h|genmc\.h|dat3m\.h)>/m;

/** A program of SV-COMP, whose rules are those of interleaving: plain accesses may race there. */
function isInterleaved({ c, files }: BuiltC): boolean {
  const { functions } = c.unit;
  return (
    [...functions.keys()].some((f) => f === "reach_error" || f.startsWith("__VERIFIER_")) &&
    !files.some((f) => !f.name.startsWith("<") && MARKED.test(f.text))
  );
}

/** Models that a program is explored under where nobody names any. */
export function modelsOf(built: BuiltC): readonly CheckModel[] {
  return isInterleaved(built) ? ["sc"] : CHECK_MODELS;
}

/** Rooms that are tried: objects that each allocation may have alive at once. */
const ROOMS = [1, 2, 4, 8, 16];

/**
 * Compiles and explores.
 * @throws CError for whatever is wrong with the file.
 */
export function checkC(path: string, files: CFiles, options: CCheckOptions): CExplored[] {
  const build = (room: number): BuiltC =>
    buildC(path, files, { ...options, room, withEnd: options.leaks === true });
  let built = build(ROOMS[0]);
  const models = typeof options.models === "function" ? options.models(built) : options.models;
  return models.map((model) => {
    const limits = typeof options.limits === "function" ? options.limits(model) : options.limits;
    for (let room = 0; ; room++) {
      const order = model === "sc" && hasKernelLocks(built) ? lockOrderOf(built) : null;
      const last = room + 1 >= ROOMS.length;
      const stopAtBound = (message: string): boolean => message === NO_ROOM && !last;
      const result = checkProgram(built.program, {
        ...limits,
        model,
        stopAtBound,
        ...(options.leaks === true ? { atEnd: leakCheck(built) } : {}),
        ...(order === null ? {} : { onLock: (lock) => order.taken(lock) }),
      });
      const full = result.error?.kind === "bound" && result.error.message === NO_ROOM;
      if (!full || last) return withLockdep(finished(built, result), order);
      built = build(ROOMS[room + 1]);
    }
  });
}

/** With what lockdep has to say, if nothing else is wrong. */
function withLockdep(explored: CExplored, order: LockOrder | null): CExplored {
  const said = order === null || explored.result.error !== null ? null : lockdep(order);
  if (said === null) return explored;
  const { error, trail } = said;
  return { ...explored, result: { ...explored.result, verdict: "violated", reason: null, error }, trail };
}

function finished(built: BuiltC, result: CheckResult): CExplored {
  const { error, trace } = result;
  if (error === null || trace === null) return { result, trail: null, built };
  const shown = describeC(built, trace);
  if (error.kind !== "bound") return { result, trail: shown, built };
  const where = shown.failed === null ? "" : ` (${shown.failed.file}:${shown.failed.line})`;
  return {
    result: {
      ...result,
      verdict: "bounded",
      reason: `${error.message}${where}`,
      error: null,
      trace: null,
      complete: false,
    },
    trail: shown,
    built,
  };
}
