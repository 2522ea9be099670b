/** Operations that move and split pages: move_pages(2), debugfs. */

import { geom } from "../machine/config.ts";
import { localArray, READ_ONCE } from "../machine/primitives.ts";
import { EINVAL } from "../mm/errno.ts";
import { split_huge_pages_range } from "../mm/huge_debug.ts";
import { do_mbind, do_migrate_pages } from "../mm/mempolicy.ts";
import { mmap_write_lock, mmap_write_unlock } from "../mm/mmap.ts";
import { do_pages_move } from "../mm/move_pages.ts";
import { pfn_to_page } from "../mm/page.ts";
import { level_span, PMD_LEVEL, pgtable_lookup, pte_pfn, pte_present } from "../mm/pgtable.ts";
import { swapoff, swapon } from "../mm/swapfile.ts";
import { clear_refs_soft_dirty } from "../mm/task_mmu.ts";
import { vm_normal_page } from "../mm/zap.ts";
import {
  errnoName,
  mappingOf,
  NOMAP,
  type Operations,
  rangeCall,
  type StepContext,
  syscall,
} from "./operations.ts";
import type { StepResult } from "./schema.ts";

/** The page mapped at an address of a process, or 0. */
export function mappedPage(mm: number, addr: number): number {
  const out = localArray(1);
  const level = pgtable_lookup(mm, addr, out);
  const e = READ_ONCE(out[0] as number);
  if (!pte_present(e) || level > PMD_LEVEL || vm_normal_page(e) === 0) return 0;
  return pfn_to_page(pte_pfn(e) + (addr & (level_span(level) - 1)));
}

/** A status that the kernel has not written. */
const UNWRITTEN = -999;

/** move_pages(2) of one page. */
function movepageStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const status = new Int32Array([UNWRITTEN]);
  const ret = do_pages_move(process.mm, mapping.addr + args.int(1), args.int(2), status);
  const written = status[0] as number;
  return { ret, status: written < 0 ? errnoName(written) : `node${written}` };
}

function splithugeStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  if (!ctx.world.machine.profile.splitHuge) return { ret: -1, err: "EINVAL" };
  split_huge_pages_range(process.mm, mapping.addr + args.int(1), args.int(2));
  return { ret: 0 };
}

function mbindStep(ctx: StepContext): StepResult {
  const { args } = ctx;
  const nid = args.int(3);
  const strict = args.flag("strict");
  return rangeCall(ctx, (mm, addr, len) => do_mbind(mm, addr, len, nid, strict));
}
/** migrate_pages() of the caller. */
function migrateStep({ args, process }: StepContext): StepResult {
  mmap_write_lock(process.mm);
  do_migrate_pages(process.mm, args.int(0), args.int(1));
  mmap_write_unlock(process.mm);
  // The recording program does not show how many pages stayed.
  return { ret: 0 };
}
/** Writes to /proc/self/clear_refs: 4 clears soft-dirty bits, 1 to 3 accessed bits, which nothing shows. */
function clearrefsStep({ args, process }: StepContext): StepResult {
  const what = args.int(0);
  if (what < 1 || what > 5) return syscall(-EINVAL);
  if (what === 4) clear_refs_soft_dirty(process.mm, geom.task_size);
  return { ret: 0 };
}

export const MOVE_OPERATIONS: Operations = {
  mbind: { args: [4, 4], options: ["strict"], run: mbindStep },
  migrate: { args: [2, 2], run: migrateStep },
  clearrefs: { args: [1, 1], run: clearrefsStep },
  swapoff: { args: [0, 0], run: () => syscall(swapoff()) },
  swapon: { args: [0, 0], run: () => syscall(swapon()) },
  movepage: { args: [3, 3], run: movepageStep },
  splithuge: { args: [3, 3], run: splithugeStep },
};
