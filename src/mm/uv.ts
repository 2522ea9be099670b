/**
 * Pages of protected guests (arch/s390/kernel/uv.c: arch_make_page_accessible(), _folio_ from v6.10): before
 * a device or the kernel may look into a pinned page, the ultravisor has to give it out of the guest, which
 * it can refuse. Custom: one word says whether it does. Not covered: destroying pages, importing them again.
 */
"use kernel";

import { kernel } from "../machine/config.ts";
import { READ_ONCE } from "../machine/primitives.ts";
import { EINVAL } from "./errno.ts";
import { ClearPageFlag, compound_head, type Page, PageFlag, PageHead, PG_arch_1 } from "./page.ts";

/** 0, or -EINVAL: the page stays the guest's. A huge page cannot be protected. */
export function arch_make_page_accessible(page: Page): number {
  if (kernel.ultravisor === 0 || PageHead(compound_head(page)) || !PageFlag(page, PG_arch_1)) return 0;
  if (READ_ONCE(kernel.ultravisor) !== 0) return -EINVAL;
  ClearPageFlag(page, PG_arch_1);
  return 0;
}
