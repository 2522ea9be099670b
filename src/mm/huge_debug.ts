/**
 * /sys/kernel/debug/split_huge_pages (mm/huge_memory.c: split_huge_pages_pid(), v5.13): splits every huge
 * page of a range that can be split; the others are skipped without a word.
 */
"use kernel";

import { localArray, READ_ONCE } from "../machine/primitives.ts";
import { can_split_huge_page, split_huge_page } from "./huge_memory.ts";
import type { Mm } from "./mm_types.ts";
import { is_vm_hugetlb_page, vma_lookup } from "./mmap.ts";
import { compound_head, get_page, PageHead } from "./page.ts";
import { PMD_LEVEL, pgtable_lookup, pte_present } from "./pgtable.ts";
import { put_page } from "./swap.ts";
import { vm_normal_page } from "./zap.ts";

export function split_huge_pages_range(mm: Mm, start: number, len: number): void {
  const out = localArray(1);
  for (let addr = start; addr < start + len; addr++) {
    const vma = vma_lookup(mm, addr);
    if (vma === 0 || is_vm_hugetlb_page(vma)) continue;
    if (pgtable_lookup(mm, addr, out) > PMD_LEVEL || !pte_present(READ_ONCE(out[0]))) continue;
    const page = vm_normal_page(READ_ONCE(out[0]));
    if (page === 0) continue;
    const head = compound_head(page);
    if (!PageHead(head)) continue;
    get_page(head);
    if (can_split_huge_page(head)) split_huge_page(head);
    put_page(head);
  }
}
