/** Operations on memory files whose descriptor the program keeps: seals, holes, their length. */

import { do_ftruncate, vfs_punch_hole } from "../mm/fallocate.ts";
import { memfd_add_seals } from "../mm/memfd.ts";
import { mappingOf, NOMAP, type Operations, type StepContext, syscall } from "./operations.ts";
import type { StepResult } from "./schema.ts";

/** The answer of a program that has not kept the descriptor: no recording shows it. */
const NOFD: StepResult = { ret: -1, err: "NOFD" };

function fileCall(ctx: StepContext, call: (file: number) => number): StepResult {
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  return mapping.file === undefined ? NOFD : syscall(call(mapping.file));
}

export const FILE_OPERATIONS: Operations = {
  seal: { args: [2, 2], run: (ctx) => fileCall(ctx, (file) => memfd_add_seals(file, ctx.args.int(1))) },
  punch: {
    args: [3, 3],
    run: (ctx) => fileCall(ctx, (file) => vfs_punch_hole(file, ctx.args.int(1), ctx.args.int(2))),
  },
  ftrunc: { args: [2, 2], run: (ctx) => fileCall(ctx, (file) => do_ftruncate(file, ctx.args.int(1))) },
};
