/**
 * Faults on swap entries (mm/memory.c: do_swap_page()). Read in v5.10, v6.1, v6.12 and v7.3. A page that
 * nobody else has a slot of is read past the swap cache from a device that is fast (SWP_SYNCHRONOUS_IO, to
 * v6.18); others through it, with those around it.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { READ_ONCE } from "../machine/primitives.ts";
import {
  alloc_anon_page,
  do_wp_page,
  FAULT_FLAG_WRITE,
  fault_gfp,
  page_prot,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_WRITE,
} from "./fault.ts";
import { maybe_mkwrite } from "./huge_split.ts";
import { lru_add_drain } from "./lru.ts";
import { lru_cache_add_vma } from "./mlock.ts";
import { VM_WRITE, type Vma } from "./mm_types.ts";
import { vma_flags, vma_is_locked } from "./mmap.ts";
import {
  compound_head,
  compound_nr,
  get_page,
  type Page,
  PageFlag,
  PageKsm,
  PG_hwpoison,
  PG_lru,
  PG_mlocked,
  PG_swapbacked,
  PG_swapcache,
  page_count,
  page_to_pfn,
  SetPageFlag,
  SetPageUptodate,
} from "./page.ts";
import {
  _PAGE_SWP_EXCLUSIVE,
  type EntryPtr,
  pfn_pte,
  pte_mkdirty,
  pte_mkuffd_wp,
  pte_mkwrite_vma,
  pte_uffd_wp,
  pte_write,
  set_pte_at,
  swp_offset,
} from "./pgtable.ts";
import { page_add_anon_rmap, page_mapcount } from "./rmap.ts";
import { put_page } from "./swap.ts";
import {
  lookup_swap_cache,
  page_swap_slot,
  read_swap_cache,
  swap_count,
  swap_free,
  swap_readpage,
  swap_vma_readahead,
  try_to_free_swap,
} from "./swap_state.ts";

/** The slot's page with a reference, from the swap cache, read into it, or past it; 0 if memory is out. */
function swapin(vma: Vma, addr: number, ptep: EntryPtr, slot: number, flags: number): Page {
  const cached = lookup_swap_cache(slot, vma, addr);
  if (cached !== 0) {
    get_page(cached);
    return cached;
  }
  // swapin_sync()
  if (config.swapinCached) return read_swap_cache(slot, fault_gfp(flags), false);
  if (swap_count(slot) !== 1) return swap_vma_readahead(slot, fault_gfp(flags), vma, addr, ptep);
  const page = alloc_anon_page(flags);
  if (page === 0) return 0;
  SetPageFlag(page, PG_swapbacked);
  lru_cache_add_vma(page, vma);
  swap_readpage(page, slot);
  SetPageUptodate(page);
  return page;
}

/**
 * should_try_to_free_swap(). Read: v5.10, v6.1, v6.12, v7.3. Stub: a device that is more than half full
 * (vm_swap_full()).
 */
function should_try_to_free_swap(page: Page, vma: Vma, flags: number): boolean {
  const head = compound_head(page);
  if (!PageFlag(head, PG_swapcache)) return false;
  if (config.swapinCached || vma_is_locked(vma) || PageFlag(head, PG_mlocked)) return true;
  if ((flags & FAULT_FLAG_WRITE) === 0 || !config.anonExclusive) return false;
  if (kernel.ksm !== 0 && PageKsm(head)) return false;
  // "Try freeing the swapcache to get rid of the swapcache reference only in case it's likely that we'll be
  // the exclusive user."
  return page_count(head) === 1 + compound_nr(head);
}

/**
 * reuse_swap_page() (to v5.18): nobody else maps the page or has its slot. The entry still names the slot.
 * Read: v5.10. Custom: the page leaves the swap cache once the slot is given back, not before.
 */
function reuse_swap_page(page: Page): boolean {
  if (kernel.ksm !== 0 && PageKsm(page)) return false;
  const cached = PageFlag(compound_head(page), PG_swapcache);
  const count = page_mapcount(page) + (cached ? swap_count(page_swap_slot(page)) : 0);
  return count <= 1;
}

/**
 * do_swap_page() of an entry that names a slot. Read: v5.10, v6.1, v6.12, v7.3. Custom: the page is read, and
 * all is done, under the page-table lock, without a lock on the page, so no entry is found changed; v5.10
 * sets the entry before it counts it and gives its slot back last; from v6.15 on the slot is given back after
 * the page is counted. Stub: a KSM page is mapped as it is wherever it is swapped in
 * (ksm_might_need_to_copy()); a large folio in the swap cache is mapped one page at a time, where v6.12 and
 * v7.3 map all of it; v5.10 finds poison only in the swap cache.
 */
export function do_swap_page(vma: Vma, addr: number, ptep: EntryPtr, orig: number, flags: number): number {
  const slot = swp_offset(orig);
  const write = (flags & FAULT_FLAG_WRITE) !== 0;
  const page = swapin(vma, addr, ptep, slot, flags);
  if (page === 0) return VM_FAULT_OOM;
  if (PageFlag(page, PG_hwpoison)) {
    put_page(page);
    return VM_FAULT_HWPOISON;
  }
  const head = compound_head(page);
  const cached = PageFlag(head, PG_swapcache);
  let pte = pfn_pte(page_to_pfn(page), page_prot(vma));
  let exclusive = false;
  if (config.anonExclusive) {
    // "If we want to map a page that's in the swapcache writable, we have to detect via the refcount".
    if (write && cached && !PageFlag(head, PG_lru)) lru_add_drain();
    // "KSM pages can neither be pinned nor written" as they are.
    const ksm = kernel.ksm !== 0 && PageKsm(page);
    exclusive = !ksm && ((orig & _PAGE_SWP_EXCLUSIVE) !== 0 || !cached);
    swap_free(slot);
    if (!config.swapinCached && should_try_to_free_swap(page, vma, flags)) try_to_free_swap(page);
    if (!config.swapinCached && !ksm && page_count(head) === 1) exclusive = true;
    if (exclusive) {
      if (config.swapinWritable && (vma_flags(vma) & VM_WRITE) !== 0) pte = pte_mkwrite_vma(pte, vma);
      if (write) pte = maybe_mkwrite(pte_mkdirty(pte), vma);
    }
  } else {
    const reuse = write && reuse_swap_page(page);
    swap_free(slot);
    if (reuse) {
      pte = maybe_mkwrite(pte_mkdirty(pte), vma);
      try_to_free_swap(page);
    }
  }
  if (kernel.userfaultfd !== 0 && pte_uffd_wp(orig)) pte = pte_mkuffd_wp(pte);
  page_add_anon_rmap(page, vma, addr, exclusive);
  set_pte_at(ptep, pte);
  if ((config.swapinCached || !config.anonExclusive) && should_try_to_free_swap(page, vma, flags))
    try_to_free_swap(page);
  if (!write) return 0;
  return pte_write(READ_ONCE(ptep)) ? VM_FAULT_WRITE : do_wp_page(vma, addr, ptep, pte, flags);
}
