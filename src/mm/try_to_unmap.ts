/**
 * Taking away every entry that maps a page for reclaim (mm/rmap.c: try_to_unmap()): entries of anonymous
 * pages become swap entries, those of a file's pages and of lazily freed ones go. An exclusive page that may
 * be pinned keeps its entry. Read in v5.10, v6.1, v6.12 and v7.3.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, smp_mb, smp_rmb, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { split_huge_pmd_entry } from "./huge_split.ts";
import { page_try_share_anon_rmap } from "./migrate_entries.ts";
import { mlock_drain_local, mlock_page, mlock_vma_page } from "./mlock.ts";
import { MM, type Mm, VMA, type Vma } from "./mm_types.ts";
import { vma_is_locked } from "./mmap.ts";
import {
  type Page,
  PageAnon,
  PageAnonExclusive,
  PageDirty,
  PageFlag,
  PageHead,
  PG_swapbacked,
  page_ref_count,
  pfn_to_page,
  SetPageFlag,
} from "./page.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  _PAGE_SWP_EXCLUSIVE,
  _PAGE_UFFD_WP,
  type EntryPtr,
  PTE_LEVEL,
  PTE_MARKER_UFFD_WP,
  pte_dirty,
  pte_pfn,
  pte_uffd_wp,
  ptep_get_and_clear,
  SWP_SWAP,
  set_pte_at,
  swp_entry,
} from "./pgtable.ts";
import { page_mapped, page_remove_rmap_pmd, page_remove_rmap_pte, total_mapcount } from "./rmap.ts";
import {
  RMAP_WALK_SIZE,
  RW_ADDR,
  RW_ENTRYP,
  RW_LEVEL,
  RW_VMA,
  rmap_invalidate_end,
  rmap_invalidate_start,
  rmap_walk_next,
  rmap_walk_start,
} from "./rmap_walk.ts";
import { put_page } from "./swap.ts";
import { page_swap_slot, swap_duplicate, swap_free } from "./swap_state.ts";
import { flush_tlb_range } from "./tlb.ts";

/**
 * Of a lazily freed page, whose entry is cleared (ttu_anon_lazyfree_folio() in v7.3; before, written out
 * where it is called): true if the entry may go; else the page is backed by swap again if it was written.
 * Read: v5.10, v6.1, v6.12, v7.3. Custom: the page is backed by swap before its entry is put back, as in
 * v7.3; to v6.12 after, under the same lock.
 */
function may_discard(head: Page): boolean {
  // "Synchronize with gup_pte_range(): clear PTE; barrier; read refcount", and it the other way round.
  smp_mb();
  // "The only page refs must be one from isolation plus the rmap(s)."
  const extra = page_ref_count(head) !== 1 + total_mapcount(head);
  // Who held the page marked it dirty before he let it go (6c8e2a256915).
  smp_rmb();
  if (!PageDirty(head) && !extra) return true;
  if (PageDirty(head) || !config.lazyfreeStays) SetPageFlag(head, PG_swapbacked);
  return false;
}

/**
 * try_to_unmap_one() for one PTE of a folio; false if it had to be restored. Read: v5.10, v6.1, v6.12, v7.3.
 * Custom: the flush is done at once, where x86, and arm64 and riscv from v6.7 and v6.9 on, put it off until
 * the page is written or freed (should_defer_flush()): no fast GUP is met that the clearing overtook and no
 * interrupt has waited for. Custom: v6.1 makes a userfaultfd marker before the page is dirty, all three also
 * of a private file's page, whose swap entry follows. Stub: entries of device-exclusive pages, which make
 * reclaim give up; poison, which is memory_failure()'s; VM_DROPPABLE (v6.11); a slot whose count is full.
 */
function unmap_pte(vma: Vma, ptep: EntryPtr, head: Page): boolean {
  const pte = ptep_get_and_clear(ptep);
  const page = pfn_to_page(pte_pfn(pte));
  flush_tlb_range();
  if (pte_dirty(pte)) set_page_dirty(head);
  if (PageAnon(head)) {
    if (!PageFlag(head, PG_swapbacked)) {
      if (!may_discard(head)) {
        set_pte_at(ptep, pte);
        return false;
      }
    } else {
      const exclusive = config.anonExclusive !== 0 && PageAnonExclusive(page);
      const slot = page_swap_slot(page);
      swap_duplicate(slot);
      // "See page_try_share_anon_rmap(): clear PTE first."
      if (exclusive && !page_try_share_anon_rmap(page)) {
        swap_free(slot);
        set_pte_at(ptep, pte);
        return false;
      }
      const wp = kernel.userfaultfd !== 0 ? pte & _PAGE_UFFD_WP : 0;
      set_pte_at(ptep, swp_entry(SWP_SWAP, slot) | (exclusive ? _PAGE_SWP_EXCLUSIVE : 0) | wp);
    }
  } else if (kernel.userfaultfd !== 0 && pte_uffd_wp(pte)) {
    // pte_install_uffd_wp_if_needed()
    set_pte_at(ptep, PTE_MARKER_UFFD_WP);
  }
  page_remove_rmap_pte(page, vma);
  if (vma_is_locked(vma) && !config.follMlock) mlock_drain_local();
  put_page(page);
  return true;
}
/**
 * __discard_anon_folio_pmd_locked() (v6.11): a lazily freed huge page goes whole; false if its entry must be
 * split. Read: v6.12.
 */
function discard_huge_pmd(vma: Vma, pmdp: EntryPtr, head: Page): boolean {
  if (PageDirty(head) || pte_dirty(READ_ONCE(pmdp))) return false;
  const pmd = ptep_get_and_clear(pmdp);
  flush_tlb_range();
  // As in may_discard().
  smp_mb();
  const extra = page_ref_count(head) !== 1 + total_mapcount(head);
  smp_rmb();
  if (PageDirty(head) || pte_dirty(pmd) || extra) {
    set_pte_at(pmdp, pmd);
    return false;
  }
  page_remove_rmap_pmd(head, vma);
  put_page(head);
  return true;
}
/** Of a huge entry; false if it is split. */
function unmap_huge_pmd(vma: Vma, pmdp: EntryPtr, head: Page): boolean {
  if (!config.lazyfreeHuge || !PageAnon(head) || PageFlag(head, PG_swapbacked)) return false;
  return discard_huge_pmd(vma, pmdp, head);
}

/**
 * "Restore the mlock which got missed": the area is locked, so the page stays. Read: v5.10, v6.1, v6.12,
 * v7.3. Stub: v7.3 locks a large folio again if it is mapped whole.
 */
function restore_mlock(vma: Vma, head: Page): void {
  if (PageHead(head)) return;
  if (config.follMlock) mlock_page(head);
  else mlock_vma_page(head, vma, false);
}

/**
 * try_to_unmap(): true if nothing maps the page any more. Huge entries are split. Read: v5.10, v6.1, v6.12,
 * v7.3. Custom: a huge entry is split when the walk meets it, as from v6.11 on; before, ahead of the walk.
 */
export function try_to_unmap(head: Page): boolean {
  const walk = localArray(RMAP_WALK_SIZE);
  let told: Vma = 0;
  let ok = true;
  rmap_walk_start(walk, false);
  while (ok && rmap_walk_next(walk, head)) {
    const vma: Vma = walk[RW_VMA];
    const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
    if (vma_is_locked(vma)) {
      restore_mlock(vma, head);
      ok = false;
      break;
    }
    told = rmap_invalidate_start(vma, head, told);
    spin_lock(mm + MM.page_table_lock);
    if (walk[RW_LEVEL] === PTE_LEVEL) ok = unmap_pte(vma, walk[RW_ENTRYP], head);
    else if (!unmap_huge_pmd(vma, walk[RW_ENTRYP], head)) {
      split_huge_pmd_entry(vma, walk[RW_ENTRYP], walk[RW_ADDR]);
      rmap_walk_start(walk, false);
    }
    spin_unlock(mm + MM.page_table_lock);
  }
  rmap_invalidate_end(told);
  return ok && !page_mapped(head);
}
