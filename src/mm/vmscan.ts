/**
 * Reclaim of single pages (mm/vmscan.c: shrink_page_list(); mm/rmap.c: try_to_unmap_one()) as MADV_PAGEOUT
 * asks for it: anonymous pages go to swap, shmem pages too, lazily freed ones are dropped. A page that may be
 * pinned, or that anybody else holds, stays in memory (feb889fb40fa); one with other references may lose its
 * entries before that is found out.
 *
 * Custom: no lists, no writeback in flight, no accessed bits: what was asked for is reclaimed if it can be.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { EINVAL, ENOMEM } from "./errno.ts";
import { i_pages_slot } from "./filemap.ts";
import { can_split_huge_page, split_huge_page } from "./huge_memory.ts";
import { split_huge_pmd_entry } from "./huge_split.ts";
import { lru_add_drain } from "./lru.ts";
import { page_try_share_anon_rmap } from "./migrate_entries.ts";
import { AS_SHMEM, MM, type Mm, VM_HUGETLB, VM_LOCKED, VMA, type Vma } from "./mm_types.ts";
import { vma_flags, vma_kind, vma_lookup } from "./mmap.ts";
import { mmu_notifier_end_relock, mmu_notifier_start_relock } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  ClearPageFlag,
  compound_head,
  get_page,
  PAGE,
  type Page,
  PageAnon,
  PageAnonExclusive,
  PageDirty,
  PageFlag,
  PageHead,
  PG_lru,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
  page_count,
  page_maybe_dma_pinned,
  page_word,
  pfn_to_page,
  SetPageFlag,
} from "./page.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  _PAGE_SWP_EXCLUSIVE,
  type EntryPtr,
  level_span,
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_lookup,
  pte_dirty,
  pte_pfn,
  pte_present,
  ptep_get_and_clear,
  SWP_SWAP,
  set_pte_at,
  swp_entry,
} from "./pgtable.ts";
import {
  entire_mapcount_ptr,
  page_mapcount,
  page_mapped,
  page_remove_rmap_pte,
  total_mapcount,
} from "./rmap.ts";
import {
  RMAP_WALK_SIZE,
  RW_ENTRYP,
  RW_LEVEL,
  RW_VMA,
  rmap_invalidate_end,
  rmap_invalidate_start,
  rmap_walk_next,
  rmap_walk_start,
} from "./rmap_walk.ts";
import { put_page } from "./swap.ts";
import {
  add_to_swap,
  delete_from_swap_cache,
  get_swap_page,
  page_swap_slot,
  swap_copy_out,
  swap_duplicate,
  swap_writepage,
} from "./swap_state.ts";
import { flush_tlb_range } from "./tlb.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";
import { vm_normal_page } from "./zap.ts";

/** try_to_unmap_one() of a lazily freed page: true if the entry could go. */
function discard_lazyfree(page: Page, ptep: EntryPtr, pte: number): boolean {
  const extra = page_count(page) !== 1 + total_mapcount(page);
  if (!PageDirty(page) && !extra) return true;
  set_pte_at(ptep, pte);
  if (PageDirty(page) || !config.lazyfreeStays) SetPageFlag(page, PG_swapbacked);
  return false;
}

/** try_to_unmap_one() for one PTE; false if it had to be restored. */
function try_to_unmap_one(vma: Vma, ptep: EntryPtr, page: Page): boolean {
  const pte = ptep_get_and_clear(ptep);
  flush_tlb_range();
  if (pte_dirty(pte)) set_page_dirty(page);
  if (PageAnon(page)) {
    if (!PageFlag(page, PG_swapbacked)) {
      if (!discard_lazyfree(page, ptep, pte)) return false;
    } else {
      const exclusive = config.anonExclusive !== 0 && PageAnonExclusive(page);
      if (exclusive && !page_try_share_anon_rmap(page)) {
        set_pte_at(ptep, pte);
        return false;
      }
      const slot = page_swap_slot(page);
      swap_duplicate(slot);
      set_pte_at(ptep, swp_entry(SWP_SWAP, slot) | (exclusive ? _PAGE_SWP_EXCLUSIVE : 0));
    }
  }
  page_remove_rmap_pte(page, vma);
  put_page(page);
  return true;
}

/** try_to_unmap(): true if nothing maps the page any more. */
function try_to_unmap(page: Page): boolean {
  const walk = localArray(RMAP_WALK_SIZE);
  let told: Vma = 0;
  let ok = true;
  rmap_walk_start(walk, false);
  while (ok && rmap_walk_next(walk, page)) {
    const vma: Vma = walk[RW_VMA];
    const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
    if (walk[RW_LEVEL] !== PTE_LEVEL) {
      ok = false;
      break;
    }
    told = rmap_invalidate_start(vma, page, told);
    spin_lock(mm + MM.page_table_lock);
    ok = try_to_unmap_one(vma, walk[RW_ENTRYP], page);
    spin_unlock(mm + MM.page_table_lock);
  }
  rmap_invalidate_end(told);
  return ok && !page_mapped(page);
}

/** shmem_writepage(): the page's place in its file becomes a swap slot. */
function shmem_writepage(page: Page): boolean {
  const mapping = READ_ONCE(page_word(page, PAGE.mapping));
  const index = READ_ONCE(page_word(page, PAGE.index));
  if (!add_to_swap(page)) return false;
  const slot = page_swap_slot(page);
  swap_duplicate(slot);
  swap_writepage(page);
  WRITE_ONCE(i_pages_slot(mapping, index), slot * 2 + 1);
  WRITE_ONCE(page_word(page, PAGE.mapping), 0);
  put_page(page);
  delete_from_swap_cache(page);
  return true;
}

/** shrink_page_list() for one small page on which the caller holds a reference and which is off the LRU. */
function shrink_page(page: Page): void {
  const anon = PageAnon(page);
  const swapbacked = PageFlag(page, PG_swapbacked);
  if (anon && swapbacked && !PageFlag(page, PG_swapcache)) {
    if (page_maybe_dma_pinned(page)) return;
    if (!add_to_swap(page)) return;
  }
  if (page_mapped(page) && !try_to_unmap(page)) return;
  if (!anon && !swapbacked) return;
  // is_page_cache_freeable(): the caller's reference and the cache's, nobody else's.
  const cached = anon ? (PageFlag(page, PG_swapcache) ? 1 : 0) : 1;
  if (page_count(page) !== 1 + cached) return;
  if (!anon) {
    shmem_writepage(page);
    return;
  }
  if (!PageFlag(page, PG_swapcache)) return;
  if (PageDirty(page)) swap_writepage(page);
  delete_from_swap_cache(page);
}

/** A huge page that only this entry maps goes to swap as a whole; false if it has to stay. */
function shrink_huge_page(vma: Vma, pmdp: EntryPtr, addr: number, head: Page): void {
  if (!can_split_huge_page(head)) return;
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const out = localArray(1);
  SetPageFlag(head, PG_swapcache);
  mmu_notifier_start_relock(mm, addr, addr + level_span(PMD_LEVEL), MMU_NOTIFY_CLEAR);
  split_huge_pmd_entry(vma, pmdp, addr);
  for (let i = 0; i < level_span(PMD_LEVEL); i++) {
    pgtable_lookup(mm, addr + i, out);
    const pte = ptep_get_and_clear(out[0]);
    const page = pfn_to_page(pte_pfn(pte));
    const slot = get_swap_page();
    if (slot === 0) {
      set_pte_at(out[0], pte);
      continue;
    }
    swap_write_subpage(page, slot);
    const exclusive = config.anonExclusive !== 0 && PageAnonExclusive(page);
    set_pte_at(out[0], swp_entry(SWP_SWAP, slot) | (exclusive ? _PAGE_SWP_EXCLUSIVE : 0));
    page_remove_rmap_pte(page, vma);
    put_page(page);
  }
  flush_tlb_range();
  mmu_notifier_end_relock(mm);
  ClearPageFlag(head, PG_swapcache);
}
/** Writes a subpage of a huge page to a slot that one entry names. */
function swap_write_subpage(page: Page, slot: number): void {
  swap_duplicate(slot);
  swap_copy_out(page, slot);
  count_vm_event(VM_EVENT.pswpout);
}

/** Takes the page at an entry and tries to reclaim it. */
function pageout_entry(vma: Vma, entryp: EntryPtr, level: number, addr: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  let page = vm_normal_page(READ_ONCE(entryp));
  if (page === 0) return;
  let head = compound_head(page);
  if (level === PTE_LEVEL && PageHead(head)) {
    if (page_mapcount(page) !== 1 || READ_ONCE(entire_mapcount_ptr(head)) >= 0) return;
    get_page(head);
    const error = split_huge_page(head);
    put_page(head);
    if (error !== 0) return;
    page = vm_normal_page(READ_ONCE(entryp));
    if (page === 0) return;
    head = page;
  }
  if (level === PMD_LEVEL ? total_mapcount(head) !== 1 : page_mapcount(page) !== 1) return;
  if (!PageFlag(head, PG_lru) || PageFlag(head, PG_unevictable)) return;
  get_page(head);
  ClearPageFlag(head, PG_lru);
  if (level === PMD_LEVEL) {
    spin_lock(mm + MM.page_table_lock);
    shrink_huge_page(vma, entryp, addr, head);
    spin_unlock(mm + MM.page_table_lock);
  } else shrink_page(page);
  SetPageFlag(head, PG_lru);
  put_page(head);
}

/** Splits the huge page that an entry maps, if it maps one that nobody else does. */
function split_for_part(pmdp: EntryPtr): boolean {
  const pmd = READ_ONCE(pmdp);
  const head = pte_present(pmd) ? vm_normal_page(pmd) : 0;
  if (head === 0 || total_mapcount(head) !== 1) return false;
  get_page(head);
  const error = split_huge_page(head);
  put_page(head);
  return error === 0;
}

/** madvise_pageout(): tries to reclaim every page of the range that nobody else maps. The error or 0. */
export function madvise_pageout(mm: Mm, start: number, len: number): number {
  const out = localArray(1);
  let unmapped_error = 0;
  lru_add_drain();
  for (let addr = start; addr < start + len; ) {
    const vma = vma_lookup(mm, addr);
    if (vma === 0) {
      unmapped_error = -ENOMEM;
      addr++;
      continue;
    }
    if ((vma_flags(vma) & (VM_HUGETLB | VM_LOCKED)) !== 0) return -EINVAL;
    let level = pgtable_lookup(mm, addr, out);
    const part = (addr & (level_span(level) - 1)) !== 0 || addr + level_span(level) > start + len;
    // A part of a huge page: only if the page can be split is that part reclaimed.
    if (level === PMD_LEVEL && part && split_for_part(out[0])) level = pgtable_lookup(mm, addr, out);
    const whole = level !== PMD_LEVEL || !part;
    const span = level_span(level);
    if (
      whole &&
      level <= PMD_LEVEL &&
      pte_present(READ_ONCE(out[0])) &&
      (vma_kind(vma) === 0 || vma_kind(vma) === AS_SHMEM)
    )
      pageout_entry(vma, out[0], level, addr);
    addr = level > PTE_LEVEL ? addr - (addr & (span - 1)) + span : addr + 1;
  }
  return unmapped_error;
}
