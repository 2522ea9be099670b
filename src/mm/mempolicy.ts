/**
 * * Moving what is mapped to another node (mm/mempolicy.c): mbind(MPOL_MF_MOVE) and migrate_pages(2). Pages
 * that somebody has pinned stay where they are, which is an error with MPOL_MF_STRICT only. Read in v5.10,
 * v6.1, v6.12, v7.3.
 *
 * Custom: pages are moved one by one. Not covered: the policy itself, by which later faults allocate.
 */
"use kernel";

import { localArray, READ_ONCE } from "../machine/primitives.ts";
import { EFAULT, EIO } from "./errno.ts";
import { mapped_by_others } from "./madvise_cold.ts";
import { MIGRATE_OK, migrate_hugetlb, move_page_to_node } from "./migrate.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { find_vma, is_vm_hugetlb_page } from "./mmap.ts";
import { vma_migratable } from "./move_pages.ts";
import { compound_head, is_zone_device_page, type Page, pfn_to_page } from "./page.ts";
import { page_to_nid } from "./page_alloc.ts";
import { level_span, PMD_LEVEL, pgtable_lookup, pte_devmap, pte_pfn, pte_present } from "./pgtable.ts";
import { vm_normal_page } from "./zap.ts";

/** False if the page stays where it is. */
function move_folio(head: Page, hugetlb: boolean, nid: number): boolean {
  const ret = hugetlb ? migrate_hugetlb(head, nid) : move_page_to_node(head, nid);
  return ret === MIGRATE_OK;
}

/**
 * queue_folios_pte_range() and its like for one area, and migrate_pages(): what lies on node `from` (-1: on
 * another than nid) goes to node nid. How many pages could not. `all`: also what others map (MOVE_ALL).
 */
function migrate_area(vma: Vma, start: number, end: number, from: number, nid: number, all: boolean): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const hugetlb = is_vm_hugetlb_page(vma);
  const out = localArray(1);
  let failed = 0;
  let seen: Page = 0;
  for (let addr = start; addr < end; ) {
    const level = pgtable_lookup(mm, addr, out);
    const span = level_span(level);
    const e = READ_ONCE(out[0]);
    addr = addr - (addr & (span - 1)) + span;
    if (level > PMD_LEVEL || !pte_present(e)) continue;
    // queue_folios_pmd() asks whether the area's pages can move before it looks at what the page is.
    if (level === PMD_LEVEL && pte_devmap(e) && !vma_migratable(vma)) {
      failed++;
      continue;
    }
    const page = vm_normal_page(e) === 0 ? 0 : pfn_to_page(pte_pfn(e));
    const head = page === 0 ? 0 : compound_head(page);
    if (head === 0 || head === seen || is_zone_device_page(head)) continue;
    const at = page_to_nid(head);
    if (from < 0 ? at === nid : at !== from) continue;
    seen = head;
    if (!all && mapped_by_others(head)) continue;
    if (!vma_migratable(vma) || !move_folio(head, hugetlb, nid)) failed++;
  }
  return failed;
}

/** mbind(MPOL_BIND, nid, MPOL_MF_MOVE): 0; -EFAULT for a hole; with MPOL_MF_STRICT -EIO if a page stays. */
export function do_mbind(mm: Mm, start: number, len: number, nid: number, strict: boolean): number {
  const end = start + len;
  let failed = 0;
  for (let addr = start; addr < end; ) {
    const vma = find_vma(mm, addr);
    if (vma === 0 || READ_ONCE(vma + VMA.vm_start) > addr) return -EFAULT;
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    const next = vm_end < end ? vm_end : end;
    // queue_pages_test_walk()
    if (strict || vma_migratable(vma)) failed += migrate_area(vma, addr, next, -1, nid, false);
    addr = next;
  }
  return strict && failed > 0 ? -EIO : 0;
}

/** migrate_pages(2) of a whole address space, by who may move what others map, too: how many pages stayed. */
export function do_migrate_pages(mm: Mm, from: number, to: number): number {
  let failed = 0;
  for (let vma: Vma = READ_ONCE(mm + MM.mmap); vma !== 0; vma = READ_ONCE(vma + VMA.vm_next)) {
    if (!vma_migratable(vma)) continue;
    failed += migrate_area(vma, READ_ONCE(vma + VMA.vm_start), READ_ONCE(vma + VMA.vm_end), from, to, true);
  }
  return failed;
}
