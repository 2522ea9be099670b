/** madvise(2), advice by advice. */

import { config, kernel } from "../machine/config.ts";
import { READ_ONCE } from "../machine/primitives.ts";
import { EINVAL } from "../mm/errno.ts";
import { ksm_do_scan, unmerge_and_remove_all_rmap_items } from "../mm/ksm.ts";
import { KSM } from "../mm/ksm_types.ts";
import {
  do_madvise,
  MADV_COLD,
  MADV_COLLAPSE,
  MADV_DOFORK,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_KEEPONFORK,
  MADV_MERGEABLE,
  MADV_NOHUGEPAGE,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MADV_UNMERGEABLE,
  MADV_WILLNEED,
  MADV_WIPEONFORK,
} from "../mm/madvise.ts";
import { madvise_inject_error } from "../mm/memory_failure.ts";
import { mmap_write_lock, mmap_write_unlock, vma_is_dax, vma_lookup } from "../mm/mmap.ts";
import {
  mappingOf,
  NOMAP,
  NOPROC,
  type Operations,
  rangeCall,
  type StepContext,
  syscall,
} from "./operations.ts";
import type { StepResult } from "./schema.ts";

const ADVICE: Readonly<Record<string, number>> = {
  dontneed: MADV_DONTNEED,
  free: MADV_FREE,
  cold: MADV_COLD,
  collapse: MADV_COLLAPSE,
  pageout: MADV_PAGEOUT,
  dontfork: MADV_DONTFORK,
  hugepage: MADV_HUGEPAGE,
  nohugepage: MADV_NOHUGEPAGE,
  popr: MADV_POPULATE_READ,
  popw: MADV_POPULATE_WRITE,
  remove: MADV_REMOVE,
  willneed: MADV_WILLNEED,
  wipeonfork: MADV_WIPEONFORK,
  keeponfork: MADV_KEEPONFORK,
  dofork: MADV_DOFORK,
  dontneed_locked: MADV_DONTNEED_LOCKED,
  mergeable: MADV_MERGEABLE,
  unmergeable: MADV_UNMERGEABLE,
};

function madvStep(ctx: StepContext): StepResult {
  const advice = ADVICE[ctx.args.text(3)];
  if (advice !== undefined) return rangeCall(ctx, (mm, addr, len) => do_madvise(mm, addr, len, advice));
  const { args, process } = ctx;
  const name = args.text(3);
  if (name !== "softoff" && name !== "hwpoison") return args.fail(`unknown advice "${name}"`);
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const addr = mapping.addr + args.int(1);
  const signalled = name === "hwpoison" && poisonSignals(ctx, addr);
  const result = syscall(madvise_inject_error(process.mm, addr, args.int(2), name === "softoff"));
  return signalled ? { ...result, sig: "SIGBUS" } : result;
}
/** Whether the program gets a signal for its page at addr (kill_procs()), which it handles. */
function poisonSignals({ world, process }: StepContext, addr: number): boolean {
  const vma = vma_lookup(process.mm, addr);
  return vma !== 0 && (world.machine.profile.poisonSignals || vma_is_dax(vma));
}

/** process_madvise() of one range: its length in bytes, or the error. */
function pmadvStep(ctx: StepContext): StepResult {
  const { args, world } = ctx;
  const target = world.processes.get(args.text(0));
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  if (target === undefined) return NOPROC;
  const name = args.text(4);
  const advice = PROCESS_ADVICE.includes(name) ? ADVICE[name] : undefined;
  if (advice === undefined) return args.fail(`unknown advice "${name}"`);
  // process_madvise_behavior_valid(): v5.10 knows two.
  if (!config.madvCollapse && advice !== MADV_COLD && advice !== MADV_PAGEOUT) return syscall(-EINVAL);
  const pages = args.int(3);
  mmap_write_lock(target.mm);
  const ret = do_madvise(target.mm, mapping.addr + args.int(2), pages, advice);
  mmap_write_unlock(target.mm);
  return ret < 0 ? syscall(ret) : { ret: pages * 4096 };
}
const PROCESS_ADVICE = ["cold", "pageout", "willneed", "collapse"];

/** How often ksmd scans everything in one step. */
const KSM_SCANS = 3;

function ksmStep(_: StepContext): StepResult {
  if (kernel.ksm === 0) return { ret: 0, sharing: 0 };
  for (let i = 0; i < KSM_SCANS; i++) ksm_do_scan();
  return { ret: 0, sharing: READ_ONCE(kernel.ksm + KSM.pages_sharing) };
}
function ksmUnmergeStep(_: StepContext): StepResult {
  return syscall(kernel.ksm === 0 ? 0 : unmerge_and_remove_all_rmap_items());
}

export const ADVISE_OPERATIONS: Operations = {
  ksm: { args: [0, 0], run: ksmStep },
  ksmunmerge: { args: [0, 0], run: ksmUnmergeStep },
  madv: { args: [4, 4], run: madvStep },
  pmadv: { args: [5, 5], run: pmadvStep },
};
