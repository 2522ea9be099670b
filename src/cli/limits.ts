/**
 * What every exploring command shares: the options that limit a search, and the exit code that verdicts come
 * to.
 */

import type { Command } from "commander";
import type { CheckModel, CheckResult } from "../check/check.ts";
import type { Limits } from "../claims/explorer-worker.ts";
import { EXIT_BOUNDED, EXIT_HOLDS, EXIT_INTERRUPTED, EXIT_VIOLATED } from "./exit.ts";
import { decimal, integer } from "./options.ts";

export interface LimitOptions {
  readonly maxStates?: number;
  /** Mebibytes of state tables. */
  readonly maxMemory?: number;
  readonly maxSeconds?: number;
}

export interface CheckOptions extends LimitOptions {
  readonly model?: readonly CheckModel[];
  readonly verbose?: boolean;
  readonly json?: boolean;
  /** Workers on one exploration. */
  readonly jobs?: number;
  /** Folders: of a new checkpoint, and of one to go on with. */
  readonly checkpoint?: string;
  readonly resume?: string;
  /** Seconds between two savings. */
  readonly every?: number;
}

/** Declares what LimitOptions reads. */
export const limitOptions = (command: Command): Command =>
  command
    .option(
      "--max-states <n>",
      "stop above so many stored states; default 50 million",
      integer("--max-states", 1, 2 ** 31 - 1),
    )
    .option(
      "--max-memory <MiB>",
      "stop above so many MiB of tables; default 2048",
      integer("--max-memory", 1, 1 << 20),
    )
    .option(
      "--max-seconds <s>",
      "stop an exploration after so many seconds",
      decimal("--max-seconds", 0.001, 1e6),
    );

const DEFAULT_STATES = 50_000_000;
const DEFAULT_MEBIBYTES = 2048;

export function limitsOf(o: LimitOptions): Limits {
  return {
    maxStates: o.maxStates ?? DEFAULT_STATES,
    maxBytes: (o.maxMemory ?? DEFAULT_MEBIBYTES) * 2 ** 20,
    maxSeconds: o.maxSeconds ?? 1e9,
  };
}

export function exitOf(results: readonly CheckResult[], interrupted: boolean): number {
  if (interrupted) return EXIT_INTERRUPTED;
  if (results.some((r) => r.verdict === "violated")) return EXIT_VIOLATED;
  return results.every((r) => r.verdict === "holds") ? EXIT_HOLDS : EXIT_BOUNDED;
}
