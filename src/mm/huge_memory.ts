/**
 * Transparent huge pages (mm/huge_memory.c): faults, write protection, the huge zero page, and splitting a
 * huge page into small ones. Splitting the entry that maps one is in huge_split.ts, collapsing in
 * khugepaged.ts.
 *
 * Custom: the huge zero page, once made, stays (no shrinker); allocation never falls back for want of memory
 * policy; page locks and anon_vma locks are not taken.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { READ_ONCE, smp_wmb, WRITE_ONCE } from "../machine/primitives.ts";
import { EAGAIN, EBUSY } from "./errno.ts";
import {
  FAULT_FLAG_UNSHARE,
  FAULT_FLAG_WRITE,
  fault_gfp,
  userfaultfd_missing,
  userfaultfd_wp_entry,
  VM_FAULT_FALLBACK,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_FAULT_WRITE,
} from "./fault.ts";
import { maybe_mkwrite, split_huge_pmd_entry } from "./huge_split.ts";
import { lru_add_drain } from "./lru.ts";
import { remove_migration_ptes, try_to_migrate } from "./migrate_entries.ts";
import { lru_cache_add_vma } from "./mlock.ts";
import { MM, type Mm, VM_WRITE, VMA, type Vma } from "./mm_types.ts";
import { anon_vma_prepare, vm_page_prot, vma_flags, vma_wants_thp } from "./mmap.ts";
import { mmu_notifier_end_relock, mmu_notifier_start_relock } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  __SetPageUptodate,
  ClearPageFlag,
  compound_head,
  nth_page,
  PAGE,
  type Page,
  PageAnonExclusive,
  PageDirty,
  PageFlag,
  PG_deferred_split,
  PG_double_map,
  PG_head,
  PG_lru,
  PG_mlocked,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
  PG_uptodate,
  page_count,
  page_ref_count,
  page_ref_freeze,
  page_ref_unfreeze,
  page_to_pfn,
  page_word,
  pfn_to_page,
  SetPageDirty,
  SetPageFlag,
} from "./page.ts";
import { alloc_pages, GFP_USER } from "./page_alloc.ts";
import {
  _PAGE_SPECIAL,
  type EntryPtr,
  pfn_pmd,
  pte_mkdirty,
  pte_mkwrite_vma,
  pte_mkyoung,
  pte_pfn,
  ptep_get_and_clear,
  set_pmd_at,
} from "./pgtable.ts";
import { page_add_new_anon_rmap, page_mapcount, page_move_anon_rmap, total_mapcount } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { page_swap_slot, split_swap_cache } from "./swap_state.ts";
import { flush_tlb_range } from "./tlb.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";
import { is_huge_zero_pfn } from "./zap.ts";

// ---- Faults -----------------------------------------------------------------------------------------------

/** transhuge_vma_suitable() and transparent_hugepage_active(): a huge page may be mapped at addr. */
export function transhuge_vma_suitable(vma: Vma, addr: number): boolean {
  if (!vma_wants_thp(vma) || geom.levels < 2) return false;
  const mask = (1 << geom.pmd_shift) - 1;
  const haddr = addr - (addr & mask);
  return haddr >= READ_ONCE(vma + VMA.vm_start) && haddr + mask + 1 <= READ_ONCE(vma + VMA.vm_end);
}

/** A huge page that nothing maps yet, or 0. */
export function alloc_hugepage(gfp: number, nid: number): Page {
  const page = alloc_pages(gfp, geom.hpage_pmd_order, nid);
  return page;
}

/** mm_get_huge_zero_page(): its first frame, or 0 if memory is out. */
function mm_get_huge_zero_page(mm: number): number {
  WRITE_ONCE(mm + MM.huge_zero, 1);
  const pfn = READ_ONCE(kernel.huge_zero);
  if (pfn !== 0) return pfn;
  const page = alloc_hugepage(GFP_USER, -1);
  if (page === 0) return 0;
  count_vm_event(VM_EVENT.thp_zero_page_alloc);
  WRITE_ONCE(kernel.huge_zero, page_to_pfn(page));
  return page_to_pfn(page);
}

/** Maps a fresh huge page (map_anon_folio_pmd()). */
function map_anon_huge_page(vma: Vma, haddr: number, pmdp: EntryPtr, flags: number): number {
  const page = alloc_hugepage(fault_gfp(flags), -1);
  if (page === 0) return VM_FAULT_FALLBACK;
  // "the clear_huge_page writes become visible before the set_pmd_at() write"
  __SetPageUptodate(page);
  page_add_new_anon_rmap(page, vma, haddr);
  lru_cache_add_vma(page, vma);
  const pmd = maybe_mkwrite(pte_mkdirty(pfn_pmd(page_to_pfn(page), vm_page_prot(vma, false))), vma);
  set_pmd_at(pmdp, pmd);
  count_vm_event(VM_EVENT.thp_fault_alloc);
  return 0;
}

/** do_huge_pmd_anonymous_page(); the caller holds the page-table lock. */
export function do_huge_pmd_anonymous_page(vma: Vma, addr: number, pmdp: EntryPtr, flags: number): number {
  const haddr = addr - (addr & ((1 << geom.pmd_shift) - 1));
  if (userfaultfd_missing(vma)) return VM_FAULT_SIGBUS;
  anon_vma_prepare(vma);
  if ((flags & FAULT_FLAG_WRITE) !== 0) return map_anon_huge_page(vma, haddr, pmdp, flags);
  const zero = mm_get_huge_zero_page(READ_ONCE(vma + VMA.vm_mm));
  if (zero === 0) return VM_FAULT_OOM;
  const special = config.hugeZeroSpecial ? _PAGE_SPECIAL : 0;
  set_pmd_at(pmdp, pfn_pmd(zero, vm_page_prot(vma, false)) | special);
  return 0;
}

/** Nobody else uses the huge page: v5.10's reuse_swap_page(), and the count as from v5.19. */
function huge_pmd_reusable(page: Page): boolean {
  if (!config.anonExclusive) return page_mapcount(page) <= 1 && total_mapcount(page) <= 1;
  if (PageAnonExclusive(page)) return true;
  if (!PageFlag(page, PG_lru)) lru_add_drain();
  if (page_count(page) !== 1) return false;
  page_move_anon_rmap(page);
  return true;
}

/** do_huge_pmd_wp_page(): reuse, or split the entry and let the PTE's fault copy one small page. */
export function do_huge_pmd_wp_page(vma: Vma, addr: number, pmdp: EntryPtr, flags: number): number {
  const pmd = READ_ONCE(pmdp);
  const haddr = addr - (addr & ((1 << geom.pmd_shift) - 1));
  if ((flags & FAULT_FLAG_UNSHARE) === 0 && userfaultfd_wp_entry(vma, pmd)) return VM_FAULT_SIGBUS;
  if (is_huge_zero_pfn(pte_pfn(pmd))) {
    if (config.hugeZeroWrite) {
      // do_huge_zero_wp_pmd()
      const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
      mmu_notifier_start_relock(mm, haddr, haddr + geom.hpage_pmd_nr, MMU_NOTIFY_CLEAR);
      if (READ_ONCE(pmdp) !== pmd) {
        mmu_notifier_end_relock(mm);
        return 0;
      }
      ptep_get_and_clear(pmdp);
      flush_tlb_range();
      const ret = map_anon_huge_page(vma, haddr, pmdp, flags);
      if ((ret & VM_FAULT_FALLBACK) !== 0) set_pmd_at(pmdp, pmd);
      mmu_notifier_end_relock(mm);
      if ((ret & VM_FAULT_FALLBACK) === 0) return ret;
    }
  } else if (huge_pmd_reusable(pfn_to_page(pte_pfn(pmd)))) {
    if ((flags & FAULT_FLAG_UNSHARE) !== 0) return 0;
    const entry = pte_mkdirty(pte_mkyoung(pmd));
    set_pmd_at(pmdp, (vma_flags(vma) & VM_WRITE) !== 0 ? pte_mkwrite_vma(entry, vma) : entry);
    return VM_FAULT_WRITE;
  }
  split_huge_pmd_entry(vma, pmdp, addr);
  return VM_FAULT_FALLBACK;
}

// ---- Splitting a page -------------------------------------------------------------------------------------

/** can_split_folio(): every reference is an entry, the swap cache or the caller's. */
export function can_split_huge_page(head: Page): boolean {
  const extra = PageFlag(head, PG_swapcache) ? geom.hpage_pmd_nr : 0;
  return total_mapcount(head) === page_ref_count(head) - extra - 1;
}

/** __split_huge_page_tail(): flags that every small page inherits. */
function split_tail(head: Page, tail: Page, index: number): void {
  SetPageFlag(tail, PG_uptodate);
  if (PageFlag(head, PG_swapbacked)) SetPageFlag(tail, PG_swapbacked);
  if (PageDirty(head)) SetPageDirty(tail);
  if (PageFlag(head, PG_lru)) SetPageFlag(tail, PG_lru);
  if (PageFlag(head, PG_mlocked)) SetPageFlag(tail, PG_mlocked);
  if (PageFlag(head, PG_unevictable)) SetPageFlag(tail, PG_unevictable);
  WRITE_ONCE(page_word(tail, PAGE.mapping), READ_ONCE(page_word(head, PAGE.mapping)));
  WRITE_ONCE(page_word(tail, PAGE.index), index);
  WRITE_ONCE(page_word(tail, PAGE.private), 0);
  // "Page flags must be visible before we make the page non-compound."
  smp_wmb();
  WRITE_ONCE(page_word(tail, PAGE.compound_head), 0);
}
/**
 * __split_huge_page(): the frozen compound page becomes single pages with one reference each; the head's is
 * the caller's.
 */
function __split_huge_page(head: Page): void {
  const index = READ_ONCE(page_word(head, PAGE.index));
  for (let i = geom.hpage_pmd_nr - 1; i >= 1; i--) {
    const tail = nth_page(head, i);
    split_tail(head, tail, index + i);
    page_ref_unfreeze(tail, 1);
  }
  const slot = PageFlag(head, PG_swapcache) ? page_swap_slot(head) : 0;
  ClearPageFlag(head, PG_head);
  ClearPageFlag(head, PG_double_map);
  ClearPageFlag(head, PG_deferred_split);
  page_ref_unfreeze(head, 1);
  if (slot === 0) return;
  for (let i = 0; i < geom.hpage_pmd_nr; i++) split_swap_cache(nth_page(head, i), slot + i);
}

/**
 * * split_huge_page() of an anonymous huge page on which the caller holds one reference, which is `page`'s
 * afterwards: 0, or -EAGAIN (-EBUSY to v5.19) if anybody else holds one. A pin makes it fail before anything
 * changes.
 */
export function split_huge_page(page: Page): number {
  const head = compound_head(page);
  const error = config.anonExclusive ? -EAGAIN : -EBUSY;
  if (!can_split_huge_page(head)) {
    count_vm_event(VM_EVENT.thp_split_page_failed);
    return error;
  }
  const whole = try_to_migrate(head, true);
  if (!whole || !page_ref_freeze(head, 1 + (PageFlag(head, PG_swapcache) ? geom.hpage_pmd_nr : 0))) {
    remove_migration_ptes(head, head, false);
    count_vm_event(VM_EVENT.thp_split_page_failed);
    return error;
  }
  __split_huge_page(head);
  for (let i = 0; i < geom.hpage_pmd_nr; i++) {
    const small = nth_page(head, i);
    remove_migration_ptes(small, small, config.splitUsesZeroPage !== 0);
  }
  // A subpage that is mapped nowhere any more goes here.
  for (let i = 0; i < geom.hpage_pmd_nr; i++) if (nth_page(head, i) !== page) put_page(nth_page(head, i));
  count_vm_event(VM_EVENT.thp_split_page);
  return 0;
}
