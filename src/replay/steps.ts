/**
 * The steps of a recording, done on our memory: each operation of the trace format calls the mm code as the
 * recording program and its kernel module called the kernel. Answers that are the module's, not the kernel's,
 * are given as it gave them. Here: the table of all operations, and the end of a sequence; the operations are
 * in the steps-*.ts files.
 */

import { unpin_user_page } from "../mm/gup.ts";
import { lru_add_drain } from "../mm/lru.ts";
import { put_page } from "../mm/swap.ts";
import { Args, NOPROC, type Operations, type StepContext, StepRefused } from "./operations.ts";
import type { Step, StepResult } from "./schema.ts";
import { ACCESS_OPERATIONS } from "./steps-access.ts";
import { ADVISE_OPERATIONS } from "./steps-advise.ts";
import { FILE_OPERATIONS } from "./steps-file.ts";
import { MACHINE_OPERATIONS } from "./steps-machine.ts";
import { MAP_OPERATIONS } from "./steps-map.ts";
import { MOVE_OPERATIONS } from "./steps-move.ts";
import { PIN_OPERATIONS } from "./steps-pin.ts";
import { REMOTE_OPERATIONS } from "./steps-remote.ts";
import { UDMABUF_OPERATIONS } from "./steps-udmabuf.ts";
import { UFFD_OPERATIONS } from "./steps-uffd.ts";
import { USER_OPERATIONS } from "./steps-users.ts";
import type { Handle, World } from "./world.ts";

/** Releases everything: the module's handles, the program's pipes and buffers, children and mappings. */
function cleanupStep(ctx: StepContext): StepResult {
  const { world } = ctx;
  let released = 0;
  for (const h of world.handles.values()) released += releaseHandle(h);
  world.reset();
  return { released };
}
function releaseHandle(h: Handle): number {
  let released = 0;
  for (const p of h.pages) {
    if (p === 0) continue;
    if (h.kind === "pin") unpin_user_page(p);
    else put_page(p);
    released++;
  }
  return released;
}

const OPERATIONS: Operations = {
  ...MAP_OPERATIONS,
  ...ACCESS_OPERATIONS,
  ...PIN_OPERATIONS,
  ...ADVISE_OPERATIONS,
  ...MOVE_OPERATIONS,
  ...USER_OPERATIONS,
  ...REMOTE_OPERATIONS,
  ...UFFD_OPERATIONS,
  ...UDMABUF_OPERATIONS,
  ...FILE_OPERATIONS,
  ...MACHINE_OPERATIONS,
  nodrain: {
    args: [0, 0],
    run: ({ world }) => {
      world.nodrain = true;
      return { ret: 0 };
    },
  },
  drain: {
    args: [0, 0],
    run: ({ world }) => {
      world.nodrain = false;
      lru_add_drain();
      return { ret: 0 };
    },
  },
  cleanup: { args: [0, 0], run: cleanupStep },
};

/** Does one step; gives its result. Throws StepRefused for what is no step that we know. */
export function runStep(
  world: World,
  step: Step,
  where: string,
  recorded: StepResult | null,
  loadWord: number,
): StepResult {
  const operation = Object.hasOwn(OPERATIONS, step.op) ? OPERATIONS[step.op] : undefined;
  if (operation === undefined) throw new StepRefused(`${where}: unknown operation "${step.op}"`);
  const args = new Args(step, where);
  args.check(operation);
  if (world.unborn.get(step.proc) === "unnoticed") {
    world.unborn.set(step.proc, "noticed");
    return { ret: -1, err: "CHILDDIED" };
  }
  const process = world.process(step.proc);
  if (process === undefined) return NOPROC;
  return operation.run({ world, step, args, process, recorded, loadWord });
}
