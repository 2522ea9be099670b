/** Operations that move and split pages: move_pages(2), debugfs. */

import { localArray, READ_ONCE } from "../machine/primitives.ts";
import { split_huge_pages_range } from "../mm/huge_debug.ts";
import { do_pages_move } from "../mm/move_pages.ts";
import { pfn_to_page } from "../mm/page.ts";
import { level_span, PMD_LEVEL, pgtable_lookup, pte_pfn, pte_present } from "../mm/pgtable.ts";
import { vm_normal_page } from "../mm/zap.ts";
import { errnoName, mappingOf, NOMAP, type Operations, type StepContext } from "./operations.ts";
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

export const MOVE_OPERATIONS: Operations = {
  movepage: { args: [3, 3], run: movepageStep },
  splithuge: { args: [3, 3], run: splithugeStep },
};
