/** `replay()`: recordings of real kernels, step by step against the kernel code of this package. */

import { UserError } from "../cli/errors.ts";
import type { FileReport } from "../replay/run.ts";

export interface ReplayOptions {
  /** Only kernels whose release starts so, such as "6.1". */
  readonly kernel?: string;
  /** Only these families of sequences, such as ["overflow"]; default: all. */
  readonly families?: readonly string[];
  /** Only sequences whose name starts so. */
  readonly sequence?: string;
  /** Called after each file. */
  readonly onFile?: (report: FileReport) => void;
}

export interface ReplayResult {
  readonly sequences: number;
  /** Sequences of which every step, and every page after it, is as recorded. */
  readonly agree: number;
  readonly files: readonly FileReport[];
}

/**
 * Replays a recording (`<kernel>/<family>.jsonl` or `.jsonl.gz`), or all below a directory, on the calling
 * thread: each step is done here and what it returned and left behind is compared with what was recorded.
 *
 * @param path a path, or `holdfast/tests/vectors/traces` for the recordings that came with the package.
 * @throws UserError for what is no recording, or none of that kernel, family or sequence.
 * @example
 * ```ts
 * import { replay } from "holdfast";
 *
 * const r = await replay("holdfast/tests/vectors/traces", { kernel: "6.1", families: ["overflow"] });
 * console.log(r.sequences === r.agree); // true
 * ```
 */
export async function replay(path: string, options: ReplayOptions = {}): Promise<ReplayResult> {
  const { packageFile } = await import("../cli/files.ts");
  const { findTraces, ReplayInputError } = await import("../replay/reader.ts");
  const { replayFile } = await import("../replay/run.ts");
  const where = packageFile(path);
  try {
    const found = (await findTraces(where)).filter(
      (f) =>
        (options.kernel === undefined || f.kernel.startsWith(options.kernel)) &&
        (options.families === undefined || options.families.includes(f.family)),
    );
    const files: FileReport[] = [];
    for (const file of found) {
      const report = await replayFile(
        file,
        options.sequence === undefined ? {} : { sequence: options.sequence },
      );
      files.push(report);
      options.onFile?.(report);
    }
    const sum = (key: "sequences" | "agree"): number => files.reduce((n, f) => n + f[key], 0);
    if (sum("sequences") === 0)
      throw new ReplayInputError(`${where}: no sequence of that kernel, family and name`);
    return { sequences: sum("sequences"), agree: sum("agree"), files };
  } catch (e) {
    if (e instanceof ReplayInputError) throw new UserError("HF024", e.message);
    throw e;
  }
}
