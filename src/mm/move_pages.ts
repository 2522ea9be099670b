/**
 * move_pages(2) (mm/migrate.c: do_pages_move(), add_page_for_migration()): the page at an address goes to a
 * node. Read in v5.10, v6.1, v6.12 and v7.3. To v6.11 the page is looked up by GUP's follow_page(FOLL_DUMP),
 * to which an anonymous address that nobody has touched is -EFAULT, and of a hugetlb page only the head is
 * moved; then by folio_walk.
 *
 * Custom: one page a call, with MPOL_MF_MOVE: what others map, too, stays (-EACCES).
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { type LocalArray, localArray, READ_ONCE } from "../machine/primitives.ts";
import { EACCES, EBUSY, EFAULT, ENOENT } from "./errno.ts";
import { mapped_by_others } from "./madvise_cold.ts";
import { MIGRATE_OK, migrate_hugetlb, move_page_to_node } from "./migrate.ts";
import { AS_DRIVER, AS_SECRETMEM, type Mm, VM_IO, VM_PFNMAP, type Vma } from "./mm_types.ts";
import { vma_flags, vma_is_anonymous, vma_is_dax, vma_kind, vma_lookup } from "./mmap.ts";
import { compound_head, is_zone_device_page, type Page, PageHuge, pfn_to_page } from "./page.ts";
import { page_to_nid } from "./page_alloc.ts";
import { level_span, PMD_LEVEL, pgtable_lookup, pte_pfn, pte_present } from "./pgtable.ts";
import { is_huge_zero_pfn, vm_normal_page } from "./zap.ts";

/** vma_migratable(). */
export function vma_migratable(vma: Vma): boolean {
  return (vma_flags(vma) & (VM_IO | VM_PFNMAP)) === 0 && !vma_is_dax(vma);
}
/** The page that may be moved, or why not: -EFAULT for a zero page, -ENOENT if there is none. */
function page_to_move(mm: Mm, vma: Vma, addr: number): Page {
  // follow_page(): "if (vma_is_secretmem(vma)) return NULL;"
  if (!config.movePagesWalk && vma_kind(vma) === AS_SECRETMEM) return -ENOENT;
  const out = localArray(1);
  const level = pgtable_lookup(mm, addr, out);
  const e = READ_ONCE(out[0]);
  if (e === 0 && !config.movePagesWalk)
    return vma_is_anonymous(vma) || vma_kind(vma) === AS_DRIVER ? -EFAULT : -ENOENT;
  if (!pte_present(e) || level > PMD_LEVEL) return -ENOENT;
  const pfn = pte_pfn(e) + (addr & (level_span(level) - 1));
  if (pfn === kernel.zero_pfn || is_huge_zero_pfn(pfn)) return -EFAULT;
  if (vm_normal_page(e) === 0) return config.movePagesWalk ? -ENOENT : -EFAULT;
  return pfn_to_page(pfn);
}

/**
 * move_pages() of the page at addr to node nid: what the system call returns. status[0]: what it has
 * written to the status array: the node, or an error; unchanged if it has not written there.
 */
export function do_pages_move(mm: Mm, addr: number, nid: number, status: LocalArray): number {
  const vma = vma_lookup(mm, addr);
  const page = vma === 0 || !vma_migratable(vma) ? -EFAULT : page_to_move(mm, vma, addr);
  if (page < 0) {
    status[0] = page;
    return 0;
  }
  const head = compound_head(page);
  if (is_zone_device_page(head)) {
    status[0] = -ENOENT;
    return 0;
  }
  if (page_to_nid(head) === nid) {
    status[0] = nid;
    return 0;
  }
  if (mapped_by_others(page)) {
    status[0] = -EACCES;
    return 0;
  }
  const huge = PageHuge(head);
  if (huge && page !== head && !config.movePagesWalk) {
    status[0] = -EACCES;
    return 0;
  }
  const ret = huge ? migrate_hugetlb(head, nid) : move_page_to_node(head, nid);
  if (ret === MIGRATE_OK || ret === -EBUSY) {
    status[0] = ret === MIGRATE_OK ? nid : ret;
    return 0;
  }
  // The number of pages that were not moved.
  return config.movePagesCounts ? 1 : 0;
}
