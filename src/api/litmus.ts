/** `litmus()`: a C litmus test under a memory model. */

import { UserError } from "../cli/errors.ts";
import type { LitmusRecord } from "../litmus/report.ts";

export interface LitmusOptions {
  /** The Linux kernel memory model, x86's, or sequential consistency; default "lkmm". */
  readonly model?: "lkmm" | "tso" | "sc";
  /** How often loops are unrolled; default 2. What needs more is "bounded", without a verdict. */
  readonly unroll?: number;
  /** Seconds after which to give up; default 60. */
  readonly timeout?: number;
  /** What the test is called in messages; default "test". */
  readonly name?: string;
}

/**
 * Whether the condition of a C litmus test, given as text, holds never, sometimes or always, with the counts
 * of executions on either side and of final states. Computed on the calling thread. The verdict is null,
 * whatever was seen, if a loop was cut or time ran out before it could be told.
 *
 * A test that is not understood gives a record with status "error", no verdict, and the place in `message`.
 *
 * @throws UserError for a model that there is not.
 * @example
 * ```ts
 * import { litmus } from "holdfast";
 *
 * const { verdict, positive, negative } = await litmus(`C SB
 * {}
 * P0(int *x, int *y) { WRITE_ONCE(*x, 1); int r0 = READ_ONCE(*y); }
 * P1(int *x, int *y) { WRITE_ONCE(*y, 1); int r0 = READ_ONCE(*x); }
 * exists (0:r0=0 /\\ 1:r0=0)`);
 * console.log(verdict, positive, negative); // Sometimes 1 3
 * ```
 */
export async function litmus(source: string, options: LitmusOptions = {}): Promise<LitmusRecord> {
  const { MODELS } = await import("../check/models/models.ts");
  const { runSource } = await import("../litmus/report.ts");
  const name = options.model ?? "lkmm";
  const model = MODELS.get(name);
  if (model === undefined) throw new UserError("HF017", name, `models are ${[...MODELS.keys()].join(", ")}`);
  return runSource(options.name ?? "test", source, {
    model,
    timeout: (options.timeout ?? 60) * 1000,
    ...(options.unroll === undefined ? {} : { unroll: options.unroll }),
  }).record;
}
