/**
 * The reverse map: every entry that maps a page (rmap_walk(), page_vma_mapped_walk()). Custom: it searches
 * the areas of all address spaces for one that covers the page's place in its file (or in anonymous memory),
 * instead of following an anon_vma's or file's interval tree; what it finds is the same, since an entry
 * counts only if it maps the page.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { type LocalArray, localArray, READ_ONCE } from "../machine/primitives.ts";
import { KSM_RMAP_ITEM, KSM_STABLE_NODE, type KsmRmapItem, page_stable_node } from "./ksm_types.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  compound_head,
  compound_nr,
  PAGE,
  type Page,
  PageAnon,
  PageKsm,
  page_to_pfn,
  page_word,
} from "./page.ts";
import {
  is_device_private_entry,
  is_migration_entry,
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_lookup,
  pte_pfn,
  pte_present,
  swp_offset,
} from "./pgtable.ts";

/**
 *  word 0 mm, 1 vma   where the search stands
 *       2 subpage     next page of the compound page to look for in this area
 *       3 entryp, 4 level, 5 addr   what was found
 *       6 migration   looks for migration entries of the page instead of present ones
 */
export const RMAP_WALK_SIZE = 7;
export const RW_VMA = 1;
export const RW_ENTRYP = 3;
export const RW_LEVEL = 4;
export const RW_ADDR = 5;
const RW_MM = 0;
const RW_SUBPAGE = 2;
const RW_MIGRATION = 6;

function walk_area(walk: LocalArray, vma: Vma): void {
  walk[RW_VMA] = vma;
  walk[RW_SUBPAGE] = 0;
}
function walk_mm(walk: LocalArray, mm: Mm): void {
  walk[RW_MM] = mm;
  walk_area(walk, mm === 0 ? 0 : READ_ONCE(mm + MM.mmap));
}

export function rmap_walk_start(walk: LocalArray, migration: boolean): void {
  walk_mm(walk, kernel.mm_list === 0 ? 0 : READ_ONCE(kernel.mm_list));
  walk[RW_MIGRATION] = migration ? 1 : 0;
}

/** The area may map the page. */
function vma_may_map(vma: Vma, head: Page): boolean {
  if (PageAnon(head)) return READ_ONCE(vma + VMA.anon_vma) !== 0;
  const mapping = READ_ONCE(page_word(head, PAGE.mapping));
  return mapping !== 0 && READ_ONCE(vma + VMA.vm_file) === mapping;
}

/**
 * The entry at `addr` maps (or, for a migration entry, stands for) the frame; a huge leaf: begins with it.
 */
function entry_maps(walk: LocalArray, mm: Mm, addr: number, pfn: number): boolean {
  const out = localArray(1);
  const level = pgtable_lookup(mm, addr, out);
  if (level > PMD_LEVEL) return false;
  const e = READ_ONCE(out[0]);
  walk[RW_ENTRYP] = out[0];
  walk[RW_LEVEL] = level;
  walk[RW_ADDR] = addr;
  if (walk[RW_MIGRATION] !== 0) return is_migration_entry(e) && swp_offset(e) === pfn;
  if (kernel.device_private !== 0 && is_device_private_entry(e)) return swp_offset(e) === pfn;
  return pte_present(e) && pte_pfn(e) === pfn;
}

/**
 * rmap_walk_ksm(): a KSM page is mapped at the addresses of its stable node's items, in their address spaces
 * and in forks of them. The page's next entry, or false at the end.
 */
function rmap_walk_ksm_next(walk: LocalArray, page: Page): boolean {
  const node = page_stable_node(page);
  if (node === 0) return false;
  const pfn = page_to_pfn(page);
  while (walk[RW_MM] !== 0) {
    const mm: Mm = walk[RW_MM];
    while (walk[RW_VMA] !== 0) {
      const vma: Vma = walk[RW_VMA];
      // No item comes or goes during a walk: how many were seen says where it is.
      let i = 0;
      let item: KsmRmapItem = READ_ONCE(node + KSM_STABLE_NODE.hlist);
      while (item !== 0) {
        const addr = READ_ONCE(item + KSM_RMAP_ITEM.address);
        const next: KsmRmapItem = READ_ONCE(item + KSM_RMAP_ITEM.hlist);
        i++;
        item = next;
        if (i <= walk[RW_SUBPAGE]) continue;
        walk[RW_SUBPAGE] = i;
        if (addr < READ_ONCE(vma + VMA.vm_start) || addr >= READ_ONCE(vma + VMA.vm_end)) continue;
        if (entry_maps(walk, mm, addr, pfn) && walk[RW_LEVEL] === PTE_LEVEL) return true;
      }
      walk_area(walk, READ_ONCE(vma + VMA.vm_next));
    }
    walk_mm(walk, READ_ONCE(mm + MM.mm_list));
  }
  return false;
}

/** Next entry that maps any part of `page` (of a compound page: of the whole); false at the end. */
export function rmap_walk_next(walk: LocalArray, page: Page): boolean {
  if (kernel.ksm !== 0 && PageKsm(page)) return rmap_walk_ksm_next(walk, page);
  const head = compound_head(page);
  const nr = compound_nr(head);
  const index = READ_ONCE(page_word(head, PAGE.index));
  const pfn = page_to_pfn(head);
  while (walk[RW_MM] !== 0) {
    const mm: Mm = walk[RW_MM];
    while (walk[RW_VMA] !== 0) {
      const vma: Vma = walk[RW_VMA];
      const shift = READ_ONCE(vma + VMA.vm_start) - READ_ONCE(vma + VMA.vm_pgoff);
      if (vma_may_map(vma, head))
        while (walk[RW_SUBPAGE] < nr) {
          const i = walk[RW_SUBPAGE];
          const addr = index + i + shift;
          walk[RW_SUBPAGE] = i + 1;
          if (addr < READ_ONCE(vma + VMA.vm_start) || addr >= READ_ONCE(vma + VMA.vm_end)) continue;
          if (!entry_maps(walk, mm, addr, pfn + i)) continue;
          // A huge leaf is found once, at its first page.
          if (walk[RW_LEVEL] === PMD_LEVEL) {
            if ((addr & ((1 << geom.pmd_shift) - 1)) !== 0) continue;
            walk[RW_SUBPAGE] = nr;
          } else if (walk[RW_LEVEL] !== PTE_LEVEL) continue;
          return true;
        }
      walk_area(walk, READ_ONCE(vma + VMA.vm_next));
    }
    walk_mm(walk, READ_ONCE(mm + MM.mm_list));
  }
  return false;
}

/**
 * What try_to_unmap_one() and try_to_migrate_one() do before they change an area's entries: notifiers are
 * told of all that the area maps of the page, once. `told` is the area for which that was done before (0:
 * none), which is ended; gives the area.
 */
export function rmap_invalidate_start(vma: Vma, page: Page, told: Vma): Vma {
  if (!config.mmuNotifier || vma === told) return told;
  rmap_invalidate_end(told);
  const head = compound_head(page);
  const vm_start = READ_ONCE(vma + VMA.vm_start);
  const vm_end = READ_ONCE(vma + VMA.vm_end);
  const first = READ_ONCE(page_word(head, PAGE.index)) + vm_start - READ_ONCE(vma + VMA.vm_pgoff);
  const last = first + compound_nr(head);
  mmu_notifier_invalidate_range_start(
    READ_ONCE(vma + VMA.vm_mm),
    first < vm_start ? vm_start : first,
    last > vm_end ? vm_end : last,
    MMU_NOTIFY_CLEAR,
    0,
  );
  return vma;
}
export function rmap_invalidate_end(told: Vma): void {
  if (told !== 0) mmu_notifier_invalidate_range_end(READ_ONCE(told + VMA.vm_mm));
}
