/**
 * fork and exit of an address space (kernel/fork.c: dup_mmap(); mm/memory.c: copy_page_range(); mm/mmap.c:
 * exit_mmap()). Private memory is shared and write-protected, but for pages that may be pinned: these are
 * copied for the child at once, so that the parent keeps what its device writes to (70e806e4e645, v5.11 and
 * v5.10.y; PageAnonExclusive from v5.19). The write-protection of a copy-on-write area is bracketed by
 * write_protect_seq and by notifiers.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  atomic_dec_and_test,
  load,
  localArray,
  READ_ONCE,
  smp_wmb,
  spin_lock,
  spin_unlock,
  store,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { copy_highpage } from "./filemap.ts";
import { maybe_mkwrite, split_huge_pmd_entry } from "./huge_split.ts";
import { hugetlb_copy_for_child, make_huge_pte } from "./hugetlb.ts";
import { track_pfn_copy } from "./insert_page.ts";
import { ksm_exit, ksm_fork } from "./ksm.ts";
import { lru_add_drain } from "./lru.ts";
import { remove_vma_list, unlock_range } from "./madvise.ts";
import { lru_cache_add_vma } from "./mlock.ts";
import {
  MM,
  type Mm,
  VM_DONTCOPY,
  VM_LOCKED,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_WIPEONFORK,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  is_cow_mapping,
  is_vm_hugetlb_page,
  mmap_read_lock,
  mmap_read_unlock,
  mmap_write_lock,
  mmap_write_unlock,
  vm_area_dup,
  vm_page_prot,
  vma_flags,
  vma_link,
} from "./mmap.ts";
import { MMU_GATHER_SIZE, tlb_finish_mmu, tlb_gather_mmu } from "./mmu_gather.ts";
import {
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
  mmu_notifier_release,
} from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR, MMU_NOTIFY_PROTECTION_PAGE } from "./mmu_notifier_types.ts";
import {
  __SetPageUptodate,
  ClearPageAnonExclusive,
  compound_head,
  get_page,
  type Page,
  PageAnon,
  PageAnonExclusive,
  page_maybe_dma_pinned,
  page_to_pfn,
  pfn_to_page,
} from "./page.ts";
import { alloc_pages, GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import {
  _PAGE_SWP_EXCLUSIVE,
  type EntryPtr,
  is_device_private_entry,
  level_span,
  PMD_LEVEL,
  PTE_LEVEL,
  pfn_pte,
  pgtable_alloc,
  pgtable_lookup,
  pte_alloc_one,
  pte_clear_uffd_wp,
  pte_mkclean,
  pte_mkdirty,
  pte_pfn,
  pte_present,
  pte_write,
  pte_wrprotect,
  ptep_set_wrprotect,
  SWP_DEVICE_READ,
  SWP_HWPOISON,
  SWP_SWAP,
  set_pte_at,
  swp_entry,
  swp_offset,
  swp_type,
} from "./pgtable.ts";
import { page_add_new_anon_rmap, page_add_rmap_pmd, page_add_rmap_pte } from "./rmap.ts";
import { mm_alloc, mm_free, mmdrop } from "./sched_mm.ts";
import { swap_duplicate } from "./swap_state.ts";
import { flush_tlb_range } from "./tlb.ts";
import { dup_userfaultfd } from "./userfaultfd.ts";
import { free_pgtables, is_huge_zero_pfn, unmap_vmas, vm_normal_page } from "./zap.ts";

/** page_needs_cow_for_dma(): the page may be pinned by this address space (has_pinned is sticky). */
function needs_cow_for_dma(mm: Mm, page: Page): boolean {
  if (!config.forkCopiesPinned || !PageAnon(page)) return false;
  if (config.anonExclusive && !PageAnonExclusive(page)) return false;
  return READ_ONCE(mm + MM.has_pinned) !== 0 && page_maybe_dma_pinned(page);
}

/** copy_present_page(): the child's own copy of a page that may be pinned. False if memory is out. */
function copy_present_page(dst: Vma, addr: number, dst_ptep: EntryPtr, page: Page): boolean {
  const copy = alloc_pages(GFP_HIGHUSER_MOVABLE, 0, -1);
  if (copy === 0) return false;
  copy_highpage(copy, page);
  __SetPageUptodate(copy);
  page_add_new_anon_rmap(copy, dst, addr);
  lru_cache_add_vma(copy, dst);
  set_pte_at(dst_ptep, maybe_mkwrite(pte_mkdirty(pfn_pte(page_to_pfn(copy), vm_page_prot(dst, false))), dst));
  return true;
}

/** "if (!userfaultfd_wp(dst_vma))": the child's area is not registered (dup_userfaultfd()). */
function without_uffd_wp(e: number): number {
  return kernel.userfaultfd !== 0 ? pte_clear_uffd_wp(e) : e;
}

/** copy_nonpresent_pte(): swap entries, and those of poisoned pages. */
function copy_nonpresent_pte(dst: Vma, ptep: EntryPtr, dst_ptep: EntryPtr): void {
  const pte = READ_ONCE(ptep);
  if (kernel.device_private !== 0 && is_device_private_entry(pte)) {
    const page = pfn_to_page(swp_offset(pte));
    get_page(page);
    page_add_rmap_pte(page, dst);
    ClearPageAnonExclusive(page);
    set_pte_at(ptep, swp_entry(SWP_DEVICE_READ, swp_offset(pte)));
    set_pte_at(dst_ptep, swp_entry(SWP_DEVICE_READ, swp_offset(pte)));
    return;
  }
  if (swp_type(pte) === SWP_HWPOISON) set_pte_at(dst_ptep, pte);
  if (swp_type(pte) !== SWP_SWAP) return;
  swap_duplicate(swp_offset(pte));
  // Both processes have it now: no longer exclusive.
  set_pte_at(ptep, pte & ~_PAGE_SWP_EXCLUSIVE);
  set_pte_at(dst_ptep, without_uffd_wp(pte & ~_PAGE_SWP_EXCLUSIVE));
}

/** copy_present_pte(). */
function copy_present_pte(src: Vma, dst: Vma, addr: number, ptep: EntryPtr, dst_ptep: EntryPtr): boolean {
  let pte = READ_ONCE(ptep);
  const page = vm_normal_page(pte);
  if (page !== 0) {
    if (needs_cow_for_dma(READ_ONCE(src + VMA.vm_mm), page))
      return copy_present_page(dst, addr, dst_ptep, page);
    get_page(page);
    page_add_rmap_pte(page, dst);
    if (PageAnon(page)) ClearPageAnonExclusive(page);
  }
  pte = without_uffd_wp(pte);
  if (is_cow_mapping(src) && pte_write(pte)) {
    ptep_set_wrprotect(ptep);
    pte = pte_wrprotect(pte);
  }
  // "If it's a shared mapping, mark it clean in the child"
  if (!is_cow_mapping(src)) pte = pte_mkclean(pte);
  set_pte_at(dst_ptep, pte);
  return true;
}

/** copy_huge_pmd(); false: the page may be pinned, split the entry and copy by PTEs. */
function copy_huge_pmd(src: Vma, dst: Vma, pmdp: EntryPtr, dst_pmdp: EntryPtr): boolean {
  const pmd = READ_ONCE(pmdp);
  if (!is_huge_zero_pfn(pte_pfn(pmd))) {
    const page = vm_normal_page(pmd);
    if (page !== 0) {
      if (needs_cow_for_dma(READ_ONCE(src + VMA.vm_mm), page)) return false;
      get_page(page);
      page_add_rmap_pmd(page, dst);
      if (PageAnon(page)) ClearPageAnonExclusive(page);
    }
  }
  if (is_cow_mapping(src)) {
    ptep_set_wrprotect(pmdp);
    set_pte_at(dst_pmdp, without_uffd_wp(pte_wrprotect(pmd)));
  } else set_pte_at(dst_pmdp, without_uffd_wp(pmd));
  return true;
}

/** Entries of one area that is not hugetlb; false if memory is out. */
function copy_page_range(src: Vma, dst: Vma): boolean {
  const mm: Mm = READ_ONCE(src + VMA.vm_mm);
  const child: Mm = READ_ONCE(dst + VMA.vm_mm);
  const out = localArray(1);
  const end = READ_ONCE(src + VMA.vm_end);
  let addr = READ_ONCE(src + VMA.vm_start);
  while (addr < end) {
    let level = pgtable_lookup(mm, addr, out);
    let e = READ_ONCE(out[0]);
    if (level === PMD_LEVEL && pte_present(e)) {
      const dst_pmdp = pgtable_alloc(child, addr, PMD_LEVEL);
      if (dst_pmdp === 0) return false;
      if (copy_huge_pmd(src, dst, out[0], dst_pmdp)) {
        addr += level_span(PMD_LEVEL);
        continue;
      }
      split_huge_pmd_entry(src, out[0], addr);
      level = pgtable_lookup(mm, addr, out);
      e = READ_ONCE(out[0]);
    }
    if (level > PTE_LEVEL) {
      addr = addr - (addr & (level_span(level) - 1)) + level_span(level);
      continue;
    }
    if (e !== 0) {
      const dst_ptep = pgtable_alloc(child, addr, PTE_LEVEL);
      if (dst_ptep === 0) return false;
      if (!pte_present(e)) copy_nonpresent_pte(dst, out[0], dst_ptep);
      else if (!copy_present_pte(src, dst, addr, out[0], dst_ptep)) return false;
    }
    addr++;
  }
  return true;
}

/** copy_hugetlb_page_range(). */
function copy_hugetlb_page_range(src: Vma, dst: Vma): boolean {
  const mm: Mm = READ_ONCE(src + VMA.vm_mm);
  const child: Mm = READ_ONCE(dst + VMA.vm_mm);
  const out = localArray(1);
  for (
    let addr = READ_ONCE(src + VMA.vm_start);
    addr < READ_ONCE(src + VMA.vm_end);
    addr += geom.hpage_pmd_nr
  ) {
    if (pgtable_lookup(mm, addr, out) !== PMD_LEVEL || READ_ONCE(out[0]) === 0) continue;
    const dst_entryp = pgtable_alloc(child, addr, PMD_LEVEL);
    if (dst_entryp === 0) return false;
    const e = READ_ONCE(out[0]);
    if (!pte_present(e)) {
      if (swp_type(e) === SWP_HWPOISON) set_pte_at(dst_entryp, e);
      continue;
    }
    const page = pfn_to_page(pte_pfn(e));
    if (config.hugetlbForkCopy && needs_cow_for_dma(mm, page)) {
      const copy = hugetlb_copy_for_child(dst, addr, page);
      if (copy === 0) return false;
      // hugetlb_install_page()
      set_pte_at(dst_entryp, make_huge_pte(dst, copy, true));
      continue;
    }
    get_page(page);
    page_add_rmap_pmd(page, dst);
    if (PageAnon(page)) ClearPageAnonExclusive(compound_head(page));
    if (is_cow_mapping(src)) {
      ptep_set_wrprotect(out[0]);
      set_pte_at(dst_entryp, without_uffd_wp(pte_wrprotect(e)));
    } else set_pte_at(dst_entryp, without_uffd_wp(e));
  }
  return true;
}

/**
 * vma_needs_copy(): entries of a file's shared mapping are not copied, the child faults them in; but a
 * driver's cannot be.
 */
function vma_needs_copy(src: Vma): boolean {
  if ((vma_flags(src) & (VM_MIXEDMAP | VM_PFNMAP)) !== 0) return true;
  return READ_ONCE(src + VMA.anon_vma) !== 0 || (is_vm_hugetlb_page(src) && !config.hugetlbForkLazy);
}

/** raw_write_seqcount_begin() and _end(): mmap_lock is held for writing, so that there is one writer. */
function write_protect_begin(mm: Mm): void {
  const seq = mm + MM.write_protect_seq;
  store(seq, load(seq) + 1);
  smp_wmb();
}
function write_protect_end(mm: Mm): void {
  const seq = mm + MM.write_protect_seq;
  smp_wmb();
  store(seq, load(seq) + 1);
}

/**
 * copy_page_range(), copy_hugetlb_page_range(): the entries of an area, with notifiers told and
 * write_protect_seq odd while those of a copy-on-write one become read-only (a hugetlb area's from v5.18 on,
 * 623a1ddfeb23); false if memory is out. The sequence count is raised before any page-table lock is taken.
 * Read: v5.10, v6.1, v6.12, v7.3.
 */
export function copy_area(src: Vma, dst: Vma): boolean {
  const mm: Mm = READ_ONCE(src + VMA.vm_mm);
  const cow = is_cow_mapping(src);
  const hugetlb = is_vm_hugetlb_page(src);
  const counts = cow && (!hugetlb || config.hugetlbForkCopy !== 0);
  if (cow) {
    const event = hugetlb ? MMU_NOTIFY_CLEAR : MMU_NOTIFY_PROTECTION_PAGE;
    const start = READ_ONCE(src + VMA.vm_start);
    mmu_notifier_invalidate_range_start(mm, start, READ_ONCE(src + VMA.vm_end), event, 0);
  }
  if (counts) write_protect_begin(mm);
  spin_lock(mm + MM.page_table_lock);
  const ok = hugetlb ? copy_hugetlb_page_range(src, dst) : copy_page_range(src, dst);
  spin_unlock(mm + MM.page_table_lock);
  if (counts) write_protect_end(mm);
  if (cow) mmu_notifier_invalidate_range_end(mm);
  return ok;
}

/**
 * dup_mmap(): the child's areas and entries; false if memory is out. The caller holds both mmap_locks for
 * writing.
 */
function dup_mmap(mm: Mm, child: Mm): boolean {
  if (kernel.ksm !== 0) ksm_fork(child, mm);
  for (let src: Vma = READ_ONCE(mm + MM.mmap); src !== 0; src = READ_ONCE(src + VMA.vm_next)) {
    if ((vma_flags(src) & VM_DONTCOPY) !== 0) continue;
    const dst = vm_area_dup(src);
    if (dst === 0) return false;
    WRITE_ONCE(dst + VMA.vm_mm, child);
    WRITE_ONCE(dst + VMA.vm_flags, vma_flags(src) & ~VM_LOCKED);
    vma_link(child, dst);
    if (kernel.userfaultfd !== 0) dup_userfaultfd(dst);
    if ((vma_flags(src) & VM_WIPEONFORK) !== 0) {
      // "VM_WIPEONFORK gets a clean slate in the child."
      WRITE_ONCE(dst + VMA.anon_vma, 0);
      continue;
    }
    if (!vma_needs_copy(src)) continue;
    if (config.trackPfnCopy && track_pfn_copy(src) !== 0) return false;
    if (!copy_area(src, dst)) return false;
  }
  return true;
}

/** A new, empty address space with a top table; 0 if memory is out. */
export function mm_create(): Mm {
  const mm = mm_alloc();
  if (mm === 0) return 0;
  const pgd = pte_alloc_one();
  if (pgd === 0) {
    mm_free(mm);
    return 0;
  }
  WRITE_ONCE(mm + MM.pgd, pgd);
  WRITE_ONCE(mm + MM.mm_users, 1);
  WRITE_ONCE(mm + MM.mm_count, 1);
  return mm;
}

/**
 * exit_mmap(): areas, entries and tables go. From v5.19 (bf3980c85212) under mmap_lock: for reading while
 * entries go, so that the OOM reaper can help, then for writing. Read: v5.10, v6.1, v6.12, v7.3.
 */
function exit_mmap(mm: Mm): void {
  if (config.follMlock) unlock_range(mm, 0, geom.task_size);
  mmu_notifier_release(mm);
  if (config.exitMmapLock) mmap_read_lock(mm);
  const first: Vma = READ_ONCE(mm + MM.mmap);
  if (first !== 0) {
    const tlb = localArray(MMU_GATHER_SIZE);
    if (config.zapDrainsLru) lru_add_drain();
    tlb_gather_mmu(tlb);
    unmap_vmas(tlb, mm, first, 0, geom.task_size);
    if (config.exitMmapLock) {
      mmap_read_unlock(mm);
      mmap_write_lock(mm);
    }
    free_pgtables(tlb, mm, first, 0, 0);
    tlb_finish_mmu(tlb);
    WRITE_ONCE(mm + MM.mmap, 0);
    remove_vma_list(first);
    if (config.exitMmapLock) mmap_write_unlock(mm);
  } else if (config.exitMmapLock) mmap_read_unlock(mm);
}

/** mmput(): the last user's removes every mapping. */
export function mmput(mm: Mm): void {
  if (!atomic_dec_and_test(mm + MM.mm_users)) return;
  // __mmput()
  if (kernel.ksm !== 0) ksm_exit(mm);
  exit_mmap(mm);
  mmdrop(mm);
}

/** dup_mm(): the child's address space, or 0 if memory is out. */
export function dup_mm(mm: Mm): Mm {
  const child = mm_create();
  if (child === 0) return 0;
  const ok = dup_mmap(mm, child);
  // flush_tlb_mm(oldmm): what was writable is not written through an old translation any more.
  flush_tlb_range();
  if (ok) return child;
  mmput(child);
  return 0;
}
