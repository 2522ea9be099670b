/** Operations that move and split pages: move_pages(2), debugfs. */

import { localArray, READ_ONCE } from "../machine/primitives.ts";
import { split_huge_pages_range } from "../mm/huge_debug.ts";
import { migrate_hugetlb, move_page_to_node } from "../mm/migrate.ts";
import { is_vm_hugetlb_page, vma_lookup } from "../mm/mmap.ts";
import { compound_head, pfn_to_page } from "../mm/page.ts";
import { page_to_nid } from "../mm/page_alloc.ts";
import { level_span, PMD_LEVEL, pgtable_lookup, pte_pfn, pte_present } from "../mm/pgtable.ts";
import { vm_normal_page } from "../mm/zap.ts";
import { mappingOf, NOMAP, type Operations, type StepContext } from "./operations.ts";
import type { StepResult } from "./schema.ts";

/** The page mapped at an address of a process, or 0. */
export function mappedPage(mm: number, addr: number): number {
  const out = localArray(1);
  const level = pgtable_lookup(mm, addr, out);
  const e = READ_ONCE(out[0] as number);
  if (!pte_present(e) || level > PMD_LEVEL || vm_normal_page(e) === 0) return 0;
  return pfn_to_page(pte_pfn(e) + (addr & (level_span(level) - 1)));
}

/** move_pages(2) of one page; `status` is what the kernel wrote there, E999 if it wrote nothing. */
function movepageStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const addr = mapping.addr + args.int(1);
  const page = mappedPage(process.mm, addr);
  const nid = args.int(2);
  if (page === 0) return { ret: 0, status: "ENOENT" };
  const head = compound_head(page);
  if (page_to_nid(head) === nid) return { ret: 0, status: `node${nid}` };
  const huge = is_vm_hugetlb_page(vma_lookup(process.mm, addr));
  if (huge && page !== head && !ctx.world.machine.profile.movesHugetlbTails)
    return { ret: 0, status: "EACCES" };
  const ret = huge ? migrate_hugetlb(head, nid) : move_page_to_node(head, nid);
  if (ret === 0) return { ret: 0, status: `node${nid}` };
  if (ret === -16) return { ret: 0, status: "EBUSY" };
  return { ret: ctx.world.machine.profile.movePagesCounts ? 1 : 0, status: "E999" };
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
