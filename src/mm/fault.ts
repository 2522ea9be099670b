/**
 * Page faults (mm/memory.c: handle_mm_fault() and below): anonymous memory, files, swap, and copy on write in
 * the forms of v5.10 (the reference count decides), of PageAnonExclusive (v5.19), and of v6.15 (large folios
 * can be reused). Huge pages are in huge_memory.ts, hugetlb.ts and dax_fault.ts.
 *
 * A fault that may (FAULT_FLAG_ALLOW_RETRY) drops mmap_lock where the kernel waits for I/O: reading a file's
 * page, and dirtying a shared one. Custom: it is dropped when the fault is over, since one lock covers all of
 * it; page locks are not taken (nobody sleeps between a lookup and its use); accounting, userfaultfd, NUMA
 * hinting and memory cgroups are left out.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock } from "../machine/primitives.ts";
import { create_huge_dax, dax_pte_fault } from "./dax_fault.ts";
import { do_device_private_page } from "./device_memory.ts";
import { copy_highpage, filemap_get_page, find_page, i_pages_slot } from "./filemap.ts";
import { do_huge_pmd_anonymous_page, do_huge_pmd_wp_page, transhuge_vma_suitable } from "./huge_memory.ts";
import { maybe_mkwrite } from "./huge_split.ts";
import { hugetlb_fault } from "./hugetlb.ts";
import { lru_add_drain } from "./lru.ts";
import { lru_cache_add_vma, munlock_page } from "./mlock.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  AS_DEVDAX,
  AS_DRIVER,
  AS_REGULAR,
  AS_SECRETMEM,
  AS_SYSFS,
  AS_UDMABUF,
  MM,
  type Mm,
  VM_SHARED,
  VM_UFFD_MISSING,
  VM_UFFD_WP,
  VM_WRITE,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  anon_vma_prepare,
  is_vm_hugetlb_page,
  mmap_read_unlock,
  vm_page_prot,
  vma_flags,
  vma_is_anonymous,
  vma_is_dax,
  vma_is_locked,
  vma_kind,
  vma_pgoff,
} from "./mmap.ts";
import { mmu_notifier_end_relock, mmu_notifier_start_relock } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  __SetPageUptodate,
  compound_head,
  get_page,
  type Page,
  PageAnon,
  PageAnonExclusive,
  PageDirty,
  PageFlag,
  PageHead,
  PageKsm,
  PG_hwpoison,
  PG_lru,
  PG_mlocked,
  PG_swapcache,
  page_count,
  page_ref_count,
  page_to_pfn,
  pfn_to_page,
} from "./page.ts";
import { alloc_pages, GFP_HIGHUSER_MOVABLE, GFP_NOCMA, GFP_USER } from "./page_alloc.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  _PAGE_SPECIAL,
  type EntryPtr,
  is_device_private_entry,
  PMD_LEVEL,
  PTE_LEVEL,
  PTE_MARKER_UFFD_WP,
  pfn_pte,
  pgtable_alloc,
  pgtable_lookup,
  pmd_leaf,
  pte_dirty,
  pte_mkdirty,
  pte_mkuffd_wp,
  pte_mkwrite_vma,
  pte_mkyoung,
  pte_pfn,
  pte_present,
  pte_uffd_wp,
  pte_write,
  ptep_get_and_clear,
  SWP_SWAP,
  set_pte_at,
  swp_offset,
  swp_type,
} from "./pgtable.ts";
import {
  folio_maybe_mapped_shared,
  page_add_new_anon_rmap,
  page_add_rmap_pte,
  page_mapcount,
  page_mapped,
  page_move_anon_rmap,
  page_remove_rmap_pte,
  total_mapcount,
} from "./rmap.ts";
import { put_page } from "./swap.ts";
import { do_swap_page } from "./swap_fault.ts";
import { try_to_free_swap } from "./swap_state.ts";
import { flush_tlb_range } from "./tlb.ts";
import { udmabuf_vm_fault } from "./udmabuf.ts";
import { vm_normal_page } from "./zap.ts";

export const FAULT_FLAG_WRITE = 0x1;
export const FAULT_FLAG_UNSHARE = 0x2;
/**
 * PF_MEMALLOC_PIN of the task: what is allocated will be pinned for long, so not in a movable zone (v5.13);
 * _NOCMA before.
 */
export const FAULT_FLAG_PIN = 0x4;

/**
 * The fault may drop mmap_lock and be asked for again; not a second time (_TRIED); not if it must not wait
 * (_RETRY_NOWAIT).
 */
export const FAULT_FLAG_ALLOW_RETRY = 0x8;
export const FAULT_FLAG_RETRY_NOWAIT = 0x10;
export const FAULT_FLAG_TRIED = 0x20;

// vm_fault_t (include/linux/mm_types.h).
export const VM_FAULT_OOM = 0x1;
export const VM_FAULT_SIGBUS = 0x2;
export const VM_FAULT_SIGSEGV = 0x40;
export const VM_FAULT_HWPOISON = 0x10;
/** A write fault ended with a page that may be written (to v5.19; FOLL_COW of slow GUP). */
export const VM_FAULT_WRITE = 0x8;
export const VM_FAULT_FALLBACK = 0x800;
/** mmap_lock was dropped, unless FAULT_FLAG_RETRY_NOWAIT: the fault has to be asked for again. */
export const VM_FAULT_RETRY = 0x400;
/** mmap_lock was dropped, and the fault is done (v6.0). */
export const VM_FAULT_COMPLETED = 0x4000;
export const VM_FAULT_ERROR = VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | VM_FAULT_HWPOISON;

/**
 * Pages that a read fault maps around the address if they are in the page cache (fault_around_bytes, 64 KiB).
 */
const FAULT_AROUND_PAGES = 16;

/** vma_wants_writenotify(): writes to a shared mapping must be noticed, so entries start out read-only. */
export function vma_wants_writenotify(vma: Vma): boolean {
  // "Do we need write faults for uffd-wp tracking?"
  if (kernel.userfaultfd !== 0 && config.uffdPageProt && (vma_flags(vma) & VM_UFFD_WP) !== 0) return true;
  return vma_kind(vma) === AS_REGULAR || vma_kind(vma) === 5;
}
export function page_prot(vma: Vma): number {
  return vm_page_prot(vma, vma_wants_writenotify(vma));
}

/** What a fault may allocate. */
export function fault_gfp(flags: number): number {
  if ((flags & FAULT_FLAG_PIN) === 0) return GFP_HIGHUSER_MOVABLE;
  return config.longtermMigrates ? GFP_USER : GFP_HIGHUSER_MOVABLE | GFP_NOCMA;
}
/** A new page for the area, on its way to the LRU; 0 if memory is out. */
export function alloc_anon_page(flags: number): Page {
  return alloc_pages(fault_gfp(flags), 0, -1);
}
// ---- Anonymous memory and swap ----------------------------------------------------------------------------

/** handle_userfault() with UFFD_FEATURE_SIGBUS of a page that is missing. */
export function userfaultfd_missing(vma: Vma): boolean {
  return kernel.userfaultfd !== 0 && (vma_flags(vma) & VM_UFFD_MISSING) !== 0;
}
/** userfaultfd_pte_wp(), userfaultfd_huge_pmd_wp(). */
export function userfaultfd_wp_entry(vma: Vma, e: number): boolean {
  return kernel.userfaultfd !== 0 && (vma_flags(vma) & VM_UFFD_WP) !== 0 && pte_uffd_wp(e);
}

/** do_anonymous_page(). */
function do_anonymous_page(vma: Vma, addr: number, ptep: EntryPtr, flags: number): number {
  if (userfaultfd_missing(vma)) return VM_FAULT_SIGBUS;
  if ((flags & FAULT_FLAG_WRITE) === 0) {
    set_pte_at(ptep, pfn_pte(kernel.zero_pfn, page_prot(vma)) | _PAGE_SPECIAL);
    return 0;
  }
  anon_vma_prepare(vma);
  const page = alloc_anon_page(flags);
  if (page === 0) return VM_FAULT_OOM;
  // "The memory barrier inside __SetPageUptodate makes sure that preceding stores to the page contents become
  // visible before the set_pte_at() write."
  __SetPageUptodate(page);
  let pte = pfn_pte(page_to_pfn(page), page_prot(vma));
  if ((vma_flags(vma) & VM_WRITE) !== 0) pte = pte_mkwrite_vma(pte_mkdirty(pte), vma);
  page_add_new_anon_rmap(page, vma, addr);
  lru_cache_add_vma(page, vma);
  set_pte_at(ptep, pte);
  return 0;
}

// ---- Files ------------------------------------------------------------------------------------------------

/**
 * set_pte_range(): a file page's entry for a read fault. From v7.x one that may be written is dirty if the
 * page is.
 */
function read_pte(vma: Vma, page: Page): number {
  const pte = pfn_pte(page_to_pfn(page), page_prot(vma));
  return config.dirtyFileMaps && pte_write(pte) && PageDirty(page) ? pte_mkdirty(pte) : pte;
}

/** do_fault_around(): maps what is in the page cache near addr; true if addr itself is mapped now. */
function do_fault_around(vma: Vma, addr: number, ptep: EntryPtr): boolean {
  const mapping: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  const index_in_table = addr & (geom.ptrs_per_table - 1);
  let first = addr - (addr & (FAULT_AROUND_PAGES - 1));
  if (first < READ_ONCE(vma + VMA.vm_start)) first = READ_ONCE(vma + VMA.vm_start);
  let last = first + FAULT_AROUND_PAGES - 1;
  if (last >= READ_ONCE(vma + VMA.vm_end)) last = READ_ONCE(vma + VMA.vm_end) - 1;
  const table_end = addr - index_in_table + geom.ptrs_per_table - 1;
  if (last > table_end) last = table_end;
  for (let a = first; a <= last; a++) {
    const page = find_page(mapping, vma_pgoff(vma, a));
    const p = ptep + a - addr;
    if (page === 0 || READ_ONCE(p) !== 0 || PageFlag(page, PG_hwpoison)) continue;
    get_page(page);
    page_add_rmap_pte(page, vma);
    set_pte_at(p, read_pte(vma, page));
  }
  return READ_ONCE(ptep) !== 0;
}

/** fault_flag_allow_retry_first(). */
function allow_retry_first(flags: number): boolean {
  return (flags & (FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_TRIED)) === FAULT_FLAG_ALLOW_RETRY;
}
/**
 * fault_dirty_shared_page(): throttling who dirties pages may take long, so mmap_lock is dropped for it, if
 * the page was clean or the file system wants to know of every write (page_mkwrite()).
 */
function fault_dirty_shared_page(vma: Vma, page: Page, flags: number): number {
  const dirtied = set_page_dirty(page);
  if (!dirtied && vma_kind(vma) !== AS_REGULAR) return 0;
  if (!allow_retry_first(flags) || (flags & FAULT_FLAG_RETRY_NOWAIT) !== 0) return 0;
  return config.faultCompleted ? VM_FAULT_COMPLETED : VM_FAULT_RETRY;
}
/**
 * do_sync_mmap_readahead() of filemap_fault(): a page that is not in the cache is read, which nobody waits
 * for under mmap_lock.
 */
function waits_for_read(mapping: AddressSpace, index: number, flags: number): boolean {
  if (READ_ONCE(mapping + ADDRESS_SPACE.kind) !== AS_REGULAR || !allow_retry_first(flags)) return false;
  return index < READ_ONCE(mapping + ADDRESS_SPACE.i_size) && find_page(mapping, index) === 0;
}

/**
 * * What do_fault() does of areas that are registered with userfaultfd: nothing is mapped around, a page that
 * is not in the cache is the program's to bring, and a marker makes the entry write-protected.
 * VM_FAULT_FALLBACK: an ordinary fault.
 */
function do_fault_uffd(vma: Vma, addr: number, ptep: EntryPtr, flags: number): number {
  const mapping: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  const index = vma_pgoff(vma, addr);
  const inside = index < READ_ONCE(mapping + ADDRESS_SPACE.i_size);
  if (inside && userfaultfd_missing(vma) && READ_ONCE(i_pages_slot(mapping, index)) === 0)
    return VM_FAULT_SIGBUS;
  if ((vma_flags(vma) & VM_UFFD_WP) === 0) return VM_FAULT_FALLBACK;
  const marked = READ_ONCE(ptep) === PTE_MARKER_UFFD_WP;
  if (!marked && (flags & FAULT_FLAG_WRITE) !== 0) return VM_FAULT_FALLBACK;
  const page = filemap_get_page(mapping, index, fault_gfp(flags));
  if (page <= 0) return fault_error(page);
  page_add_rmap_pte(page, vma);
  const pte = read_pte(vma, page);
  set_pte_at(ptep, marked ? pte_mkuffd_wp(pte) : pte);
  return 0;
}

function fault_error(page: Page): number {
  return page === 0 ? VM_FAULT_SIGBUS : VM_FAULT_OOM;
}

/** do_read_fault(), do_cow_fault(), do_shared_fault(). */
function do_fault(vma: Vma, addr: number, ptep: EntryPtr, flags: number): number {
  const mapping: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  const write = (flags & FAULT_FLAG_WRITE) !== 0;
  // kernfs_vma_fault(): p2pmem_alloc_mmap() has mapped all that there is.
  if (READ_ONCE(mapping + ADDRESS_SPACE.kind) === AS_SYSFS) return VM_FAULT_SIGBUS;
  if (kernel.userfaultfd !== 0) {
    const ret = do_fault_uffd(vma, addr, ptep, flags);
    if (ret !== VM_FAULT_FALLBACK) return ret;
  }
  // secretmem_vm_ops has no map_pages().
  if (!write && READ_ONCE(mapping + ADDRESS_SPACE.kind) !== AS_SECRETMEM && do_fault_around(vma, addr, ptep))
    return 0;
  const must_wait = waits_for_read(mapping, vma_pgoff(vma, addr), flags);
  const page = filemap_get_page(mapping, vma_pgoff(vma, addr), fault_gfp(flags));
  if (page <= 0) return fault_error(page);
  if (PageFlag(page, PG_hwpoison)) {
    put_page(page);
    return VM_FAULT_HWPOISON;
  }
  if (must_wait) {
    put_page(page);
    return VM_FAULT_RETRY;
  }
  let pte = read_pte(vma, page);
  if (write && (vma_flags(vma) & VM_SHARED) === 0) {
    anon_vma_prepare(vma);
    const copy = alloc_anon_page(flags);
    if (copy === 0) {
      put_page(page);
      return VM_FAULT_OOM;
    }
    copy_highpage(copy, page);
    __SetPageUptodate(copy);
    put_page(page);
    pte = maybe_mkwrite(pte_mkdirty(pfn_pte(page_to_pfn(copy), page_prot(vma))), vma);
    page_add_new_anon_rmap(copy, vma, addr);
    lru_cache_add_vma(copy, vma);
    set_pte_at(ptep, pte);
    return 0;
  }
  if (write) pte = maybe_mkwrite(pte_mkdirty(pte), vma);
  page_add_rmap_pte(page, vma);
  set_pte_at(ptep, pte);
  return write ? fault_dirty_shared_page(vma, page, flags) : 0;
}

// ---- Copy on write ----------------------------------------------------------------------------------------

function wp_page_reuse(vma: Vma, ptep: EntryPtr, pte: number): number {
  set_pte_at(ptep, maybe_mkwrite(pte_mkdirty(pte_mkyoung(pte)), vma));
  flush_tlb_range();
  return VM_FAULT_WRITE;
}

/** wp_page_copy(): `old` is 0 for the zero page. Unsharing maps the copy read-only. */
function wp_page_copy(vma: Vma, addr: number, ptep: EntryPtr, old: Page, flags: number): number {
  anon_vma_prepare(vma);
  const page = alloc_anon_page(flags);
  if (page === 0) return VM_FAULT_OOM;
  // A device page to v6.14, and what a driver mapped by its frame, is not counted (old is 0), but has
  // contents.
  if (old !== 0) copy_highpage(page, old);
  else if (pte_pfn(READ_ONCE(ptep)) !== kernel.zero_pfn)
    copy_highpage(page, pfn_to_page(pte_pfn(READ_ONCE(ptep))));
  __SetPageUptodate(page);
  let pte = pfn_pte(page_to_pfn(page), page_prot(vma));
  if ((flags & FAULT_FLAG_UNSHARE) === 0) pte = maybe_mkwrite(pte_mkdirty(pte), vma);
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  if (config.mmuNotifier) {
    const orig = READ_ONCE(ptep);
    if (old !== 0) get_page(old);
    mmu_notifier_start_relock(mm, addr, addr + 1, MMU_NOTIFY_CLEAR);
    if (old !== 0) put_page(old);
    if (READ_ONCE(ptep) !== orig) {
      // Somebody was faster; if it is not enough the access faults again.
      put_page(page);
      mmu_notifier_end_relock(mm);
      return 0;
    }
  }
  // ptep_clear_flush(): no CPU may see the old page once the new one is visible.
  ptep_get_and_clear(ptep);
  flush_tlb_range();
  page_add_new_anon_rmap(page, vma, addr);
  lru_cache_add_vma(page, vma);
  set_pte_at(ptep, pte);
  if (old !== 0) {
    page_remove_rmap_pte(old, vma);
    // "Don't let another task, with possibly unlocked vma, keep the mlocked page."
    if (config.follMlock && vma_is_locked(vma) && PageFlag(old, PG_mlocked)) munlock_page(old);
    // free_swap_cache()
    if (kernel.nr_swap !== 0 && config.cowFreesSwap && !page_mapped(old)) try_to_free_swap(old);
    put_page(old);
  }
  mmu_notifier_end_relock(mm);
  return VM_FAULT_WRITE;
}

/** __wp_can_reuse_large_anon_folio() (v6.15): every reference is an entry of this address space. */
function wp_can_reuse_large(head: Page): boolean {
  if (!config.largeMmIds) return false;
  const mapcount = total_mapcount(head);
  if (mapcount <= 1 || folio_maybe_mapped_shared(head)) return false;
  return mapcount === page_ref_count(head);
}
/** The checks of do_wp_page() and wp_can_reuse_anon_folio() for a page that is not exclusive (v5.19). */
function wp_can_reuse_anon(page: Page): boolean {
  const head = compound_head(page);
  if (PageHead(head) && config.largeMapcount) return wp_can_reuse_large(head);
  if (page_count(page) > 3) return false;
  if (!PageFlag(head, PG_lru)) lru_add_drain();
  if (page_count(page) > 1 + (PageFlag(head, PG_swapcache) ? 1 : 0)) return false;
  if (PageFlag(head, PG_swapcache)) try_to_free_swap(head);
  return page_count(page) === 1;
}

/** A private mapping's anonymous page; true if it was reused, and its entry may stay or become writable. */
function wp_anon_reusable(page: Page): boolean {
  // "PageKsm() doesn't necessarily raise the page refcount"
  if (kernel.ksm !== 0 && PageKsm(page)) return false;
  if (!config.anonExclusive)
    return (page_count(page) === 1 || !config.cowReuseByCount) && page_mapcount(page) === 1;
  if (PageAnonExclusive(page)) return true;
  if (!wp_can_reuse_anon(page)) return false;
  page_move_anon_rmap(page);
  return true;
}

/** do_wp_page(): a write (or unsharing) fault on a present entry that is not writable. */
export function do_wp_page(vma: Vma, addr: number, ptep: EntryPtr, pte: number, flags: number): number {
  const unshare = (flags & FAULT_FLAG_UNSHARE) !== 0;
  if (!unshare && userfaultfd_wp_entry(vma, pte)) return VM_FAULT_SIGBUS;
  const page = vm_normal_page(pte);
  if ((vma_flags(vma) & VM_SHARED) !== 0) {
    // wp_page_shared(), wp_pfn_shared()
    const done = wp_page_reuse(vma, ptep, pte);
    return page === 0 ? done : done | fault_dirty_shared_page(vma, page, flags);
  }
  if (page !== 0 && PageAnon(page)) {
    if (wp_anon_reusable(page)) return unshare ? 0 : wp_page_reuse(vma, ptep, pte);
  } else if (unshare && !config.unshareLongterm) return 0;
  return wp_page_copy(vma, addr, ptep, page, flags);
}

// ---- Dispatch ---------------------------------------------------------------------------------------------

function handle_pte_fault(vma: Vma, addr: number, ptep: EntryPtr, flags: number): number {
  const pte = READ_ONCE(ptep);
  if (pte === 0) {
    if (kernel.driver_pages !== 0) {
      const kind = vma_kind(vma);
      if (kind === AS_DRIVER) return VM_FAULT_SIGBUS;
      if (kind === AS_UDMABUF) return udmabuf_vm_fault(vma, addr) === 0 ? 0 : VM_FAULT_OOM;
    }
    if (vma_is_anonymous(vma)) return do_anonymous_page(vma, addr, ptep, flags);
    if (vma_is_dax(vma)) {
      const ret = dax_pte_fault(vma, addr, ptep, flags);
      // A private mapping's write copies the file's page at once (dax_fault_cow_page()).
      if (ret !== 0 || (flags & FAULT_FLAG_WRITE) === 0 || (vma_flags(vma) & VM_SHARED) !== 0) return ret;
      return do_wp_page(vma, addr, ptep, READ_ONCE(ptep), flags);
    }
    return do_fault(vma, addr, ptep, flags);
  }
  if (!pte_present(pte)) {
    if (pte === PTE_MARKER_UFFD_WP) return do_fault(vma, addr, ptep, flags);
    if (kernel.nr_swap !== 0 && swp_type(pte) === SWP_SWAP) return do_swap_page(vma, addr, ptep, pte, flags);
    if (kernel.device_private !== 0 && is_device_private_entry(pte))
      return do_device_private_page(vma, pfn_to_page(swp_offset(pte)), flags);
    return VM_FAULT_HWPOISON;
  }
  if ((flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE)) !== 0) {
    if (!pte_write(pte)) return do_wp_page(vma, addr, ptep, pte, flags);
    if ((flags & FAULT_FLAG_WRITE) !== 0 && !pte_dirty(pte)) set_pte_at(ptep, pte_mkdirty(pte_mkyoung(pte)));
  }
  return 0;
}

/** A fault on a present huge PMD: write-protection, or nothing. */
function handle_huge_pmd(vma: Vma, addr: number, pmdp: EntryPtr, flags: number): number {
  const pmd = READ_ONCE(pmdp);
  if ((flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE)) === 0 || pte_write(pmd)) {
    // huge_pmd_set_accessed()
    if ((flags & FAULT_FLAG_WRITE) !== 0 && pte_present(pmd)) set_pte_at(pmdp, pte_mkdirty(pte_mkyoung(pmd)));
    return 0;
  }
  if (vma_is_anonymous(vma)) return do_huge_pmd_wp_page(vma, addr, pmdp, flags);
  // wp_huge_pmd() of a device: its huge_fault() maps it writable.
  return create_huge_dax(vma, addr, pmdp, PMD_LEVEL, flags);
}

/** __handle_mm_fault(), under the page-table lock. */
function handle_mm_fault_locked(mm: Mm, vma: Vma, addr: number, flags: number): number {
  const out = localArray(1);
  const kind = vma_kind(vma);
  let level = pgtable_lookup(mm, addr, out);
  if (level > PMD_LEVEL) {
    if (pmd_leaf(READ_ONCE(out[0]))) return 0;
    if (
      kind === AS_DEVDAX &&
      READ_ONCE(READ_ONCE(vma + VMA.vm_file) + ADDRESS_SPACE.align) > geom.pmd_shift
    ) {
      const pudp = pgtable_alloc(mm, addr, PMD_LEVEL + 1);
      if (pudp === 0) return VM_FAULT_OOM;
      return create_huge_dax(vma, addr, pudp, PMD_LEVEL + 1, flags);
    }
    out[0] = pgtable_alloc(mm, addr, PMD_LEVEL);
    if (out[0] === 0) return VM_FAULT_OOM;
    level = PMD_LEVEL;
  }
  if (level === PMD_LEVEL) {
    const pmd = READ_ONCE(out[0]);
    let ret = VM_FAULT_FALLBACK;
    if (pmd !== 0) ret = handle_huge_pmd(vma, addr, out[0], flags);
    else if (kind === 0) {
      if (transhuge_vma_suitable(vma, addr)) ret = do_huge_pmd_anonymous_page(vma, addr, out[0], flags);
    } else if (vma_is_dax(vma)) ret = create_huge_dax(vma, addr, out[0], PMD_LEVEL, flags);
    if ((ret & VM_FAULT_FALLBACK) === 0) return ret;
    out[0] = pgtable_alloc(mm, addr, PTE_LEVEL);
    if (out[0] === 0) return VM_FAULT_OOM;
  }
  return handle_pte_fault(vma, addr, out[0], flags);
}

/**
 * handle_mm_fault(): makes addr accessible as asked, or says why not (VM_FAULT_*). The caller holds
 * mmap_lock, and does no longer if the answer is VM_FAULT_COMPLETED or, without FAULT_FLAG_RETRY_NOWAIT,
 * VM_FAULT_RETRY.
 */
export function handle_mm_fault(mm: Mm, vma: Vma, addr: number, flags: number): number {
  // Custom: without a page allocator (benchmarks, everything mapped) nothing can be faulted in but device
  // memory, on a machine that says that there is no other; linking drops the rest.
  if (kernel.zones === 0 && kernel.only_devices === 0) return VM_FAULT_SIGBUS;
  if (is_vm_hugetlb_page(vma)) return hugetlb_fault(mm, vma, addr, flags);
  spin_lock(mm + MM.page_table_lock);
  const ret = handle_mm_fault_locked(mm, vma, addr, flags);
  spin_unlock(mm + MM.page_table_lock);
  // maybe_unlock_mmap_for_io()
  if ((ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)) !== 0 && (flags & FAULT_FLAG_RETRY_NOWAIT) === 0)
    mmap_read_unlock(mm);
  return ret;
}
