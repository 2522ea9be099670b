/**
 * Kernel samepage merging (mm/ksm.c): ksmd's scans of the areas that madvise(MADV_MERGEABLE) gave it, merging
 * pages of equal contents, and breaking them apart again. A page that somebody holds a reference to (a pin,
 * direct I/O) is left alone: write_protect_page() compares its references with its entries. Read in v5.10,
 * v6.1, v6.12, v7.3.
 *
 * Custom: ksmd runs where it is called, whole scans at a time, as with a large pages_to_scan; pages are not
 * locked (nobody else runs between a look and a use); an address space that ends loses its slot at once
 * instead of when ksmd comes by. Not covered: the trees of nodes (merge_across_nodes 0), zero pages
 * (use_zero_pages), prctl(PR_SET_MEMORY_MERGE), copies of what swap held for several offsets
 * (ksm_might_need_to_copy()).
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { KSM_SKIPS_UNSTABLE } from "../machine/knobs/mm.ts";
import {
  kfree,
  kzalloc,
  type LocalArray,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { EFAULT, ENOMEM } from "./errno.ts";
import {
  FAULT_FLAG_UNSHARE,
  FAULT_FLAG_WRITE,
  handle_mm_fault,
  page_prot,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_FAULT_SIGSEGV,
  VM_FAULT_WRITE,
} from "./fault.ts";
import { split_huge_page } from "./huge_memory.ts";
import {
  KSM,
  KSM_MM_SLOT,
  KSM_RMAP_ITEM,
  KSM_STABLE_NODE,
  type KsmMmSlot,
  type KsmRmapItem,
  type KsmStableNode,
  POOL_KSM_MM_SLOT,
  POOL_KSM_RMAP_ITEM,
  POOL_KSM_STABLE_NODE,
  page_stable_node,
  STABLE_FLAG,
  UNSTABLE_FLAG,
} from "./ksm_types.ts";
import { lru_add_drain } from "./lru.ts";
import { page_try_share_anon_rmap } from "./migrate_entries.ts";
import { mlock_page, munlock_page } from "./mlock.ts";
import {
  MM,
  type Mm,
  VM_DONTEXPAND,
  VM_HUGETLB,
  VM_IO,
  VM_MAYSHARE,
  VM_MERGEABLE,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_SHARED,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  mmap_read_lock,
  mmap_read_unlock,
  vma_flags,
  vma_is_dax,
  vma_is_locked,
  vma_lookup,
} from "./mmap.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_CLEAR } from "./mmu_notifier_types.ts";
import {
  compound_head,
  get_page,
  PAGE,
  PAGE_MAPPING_KSM,
  type Page,
  PageAnon,
  PageAnonExclusive,
  PageCompound,
  PageFlag,
  PageKsm,
  PG_mlocked,
  PG_swapcache,
  page_address,
  page_count,
  page_ref_count,
  page_to_pfn,
  page_word,
  pfn_to_page,
} from "./page.ts";
import { set_page_dirty } from "./page_writeback.ts";
import {
  type EntryPtr,
  level_span,
  PMD_LEVEL,
  PTE_LEVEL,
  pfn_pte,
  pgtable_lookup,
  pte_dirty,
  pte_mkclean,
  pte_pfn,
  pte_present,
  pte_write,
  pte_wrprotect,
  ptep_get_and_clear,
  set_pte_at,
} from "./pgtable.ts";
import { page_add_anon_rmap, page_mapcount, page_mapped, page_remove_rmap_pte } from "./rmap.ts";
import { put_page } from "./swap.ts";
import { try_to_free_swap } from "./swap_state.ts";
import { flush_tlb_range } from "./tlb.ts";
import { vm_normal_page } from "./zap.ts";

/** ksm_max_page_sharing. */
const KSM_MAX_PAGE_SHARING = 256;
/** rmap_age_t is a byte. */
const AGE_MAX = 255;

// ---- Breaking apart ---------------------------------------------------------------------------------------

/** The page at addr: its own subpage of a huge entry; 0 if there is none that has a struct page. */
function page_at(mm: Mm, addr: number): Page {
  const out = localArray(1);
  const level = pgtable_lookup(mm, addr, out);
  const e = READ_ONCE(out[0]);
  if (level > PMD_LEVEL || !pte_present(e)) return 0;
  const first = vm_normal_page(e);
  return first === 0 ? 0 : pfn_to_page(pte_pfn(e) + (addr & (level_span(level) - 1)));
}

/**
 * break_ksm(): a KSM page at addr is replaced by a copy of its own: 0 or -ENOMEM. To v6.1 by a write fault,
 * so that the copy can be written; then by unsharing (v6.2, d7c0e68dab98).
 */
function break_ksm(vma: Vma, addr: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  let ret = 0;
  while ((ret & (VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | VM_FAULT_OOM)) === 0) {
    const page = page_at(mm, addr);
    if (page === 0 || !PageKsm(page)) return 0;
    ret = handle_mm_fault(mm, vma, addr, config.ksmUnshares ? FAULT_FLAG_UNSHARE : FAULT_FLAG_WRITE);
    if (!config.ksmUnshares && (ret & VM_FAULT_WRITE) !== 0) return 0;
  }
  return (ret & VM_FAULT_OOM) !== 0 ? -ENOMEM : 0;
}
/** unmerge_ksm_pages(). */
function unmerge_ksm_pages(vma: Vma, start: number, end: number): number {
  let error = 0;
  for (let addr = start; addr < end && error === 0; addr++) error = break_ksm(vma, addr);
  return error;
}

function find_mergeable_vma(mm: Mm, addr: number): Vma {
  const vma = vma_lookup(mm, addr);
  if (vma === 0 || (vma_flags(vma) & VM_MERGEABLE) === 0 || READ_ONCE(vma + VMA.anon_vma) === 0) return 0;
  return vma;
}
/** break_cow(). */
function break_cow(item: KsmRmapItem): void {
  const mm: Mm = READ_ONCE(item + KSM_RMAP_ITEM.mm);
  const addr = READ_ONCE(item + KSM_RMAP_ITEM.address);
  mmap_read_lock(mm);
  const vma = find_mergeable_vma(mm, addr);
  if (vma !== 0) break_ksm(vma, addr);
  mmap_read_unlock(mm);
}

// ---- The stable tree --------------------------------------------------------------------------------------

function count(word: number, n: number): void {
  WRITE_ONCE(kernel.ksm + word, READ_ONCE(kernel.ksm + word) + n);
}
/** set_page_stable_node(). */
function set_page_stable_node(page: Page, node: KsmStableNode): void {
  WRITE_ONCE(page_word(page, PAGE.mapping), node | PAGE_MAPPING_KSM);
}

/** remove_node_from_stable_tree(): its items belong to no tree any more. */
function remove_node_from_stable_tree(node: KsmStableNode): void {
  let item: KsmRmapItem = READ_ONCE(node + KSM_STABLE_NODE.hlist);
  while (item !== 0) {
    const next = READ_ONCE(item + KSM_RMAP_ITEM.hlist);
    count(next !== 0 ? KSM.pages_sharing : KSM.pages_shared, -1);
    WRITE_ONCE(item + KSM_RMAP_ITEM.flags, 0);
    WRITE_ONCE(item + KSM_RMAP_ITEM.hlist, 0);
    WRITE_ONCE(item + KSM_RMAP_ITEM.head, 0);
    item = next;
  }
  let link = kernel.ksm + KSM.stable;
  while (READ_ONCE(link) !== node) link = READ_ONCE(link) + KSM_STABLE_NODE.next;
  WRITE_ONCE(link, READ_ONCE(node + KSM_STABLE_NODE.next));
  kfree(node);
}

/**
 * get_ksm_page(), ksm_get_folio(): the node's page with a reference, if it is still the page that points back
 * to the node; if not, the node goes, and 0.
 */
function get_ksm_page(node: KsmStableNode): Page {
  const page = pfn_to_page(READ_ONCE(node + KSM_STABLE_NODE.kpfn));
  if (READ_ONCE(page_word(page, PAGE.mapping)) === (node | PAGE_MAPPING_KSM) && page_ref_count(page) > 0) {
    get_page(page);
    return page;
  }
  remove_node_from_stable_tree(node);
  return 0;
}

/** remove_rmap_item_from_tree(). */
function remove_rmap_item_from_tree(item: KsmRmapItem): void {
  const flags = READ_ONCE(item + KSM_RMAP_ITEM.flags);
  if (flags === STABLE_FLAG) {
    const node: KsmStableNode = READ_ONCE(item + KSM_RMAP_ITEM.head);
    const page = get_ksm_page(node);
    if (page === 0) return;
    let link = node + KSM_STABLE_NODE.hlist;
    while (READ_ONCE(link) !== item) link = READ_ONCE(link) + KSM_RMAP_ITEM.hlist;
    WRITE_ONCE(link, READ_ONCE(item + KSM_RMAP_ITEM.hlist));
    put_page(page);
    count(READ_ONCE(node + KSM_STABLE_NODE.hlist) !== 0 ? KSM.pages_sharing : KSM.pages_shared, -1);
    WRITE_ONCE(node + KSM_STABLE_NODE.rmap_hlist_len, READ_ONCE(node + KSM_STABLE_NODE.rmap_hlist_len) - 1);
    WRITE_ONCE(item + KSM_RMAP_ITEM.head, 0);
    WRITE_ONCE(item + KSM_RMAP_ITEM.hlist, 0);
  } else if (
    flags === UNSTABLE_FLAG &&
    READ_ONCE(item + KSM_RMAP_ITEM.seqnr) === READ_ONCE(kernel.ksm + KSM.seqnr)
  ) {
    // Of an earlier scan's tree, which was dropped as a whole, it is no part any more.
    let link = kernel.ksm + KSM.unstable;
    while (READ_ONCE(link) !== item) link = READ_ONCE(link) + KSM_RMAP_ITEM.node;
    WRITE_ONCE(link, READ_ONCE(item + KSM_RMAP_ITEM.node));
  }
  WRITE_ONCE(item + KSM_RMAP_ITEM.flags, 0);
}
/** remove_trailing_rmap_items(): `link` is the word that points to the first of them. */
function remove_trailing_rmap_items(link: number): void {
  let item: KsmRmapItem = READ_ONCE(link);
  WRITE_ONCE(link, 0);
  while (item !== 0) {
    const next = READ_ONCE(item + KSM_RMAP_ITEM.rmap_list);
    remove_rmap_item_from_tree(item);
    kfree(item);
    item = next;
  }
}

/** memcmp_pages() === 0, pages_identical(). */
function pages_identical(a: Page, b: Page): boolean {
  const from = page_address(a);
  const to = page_address(b);
  for (let w = 0; w < geom.page_words; w++) if (READ_ONCE(from + w) !== READ_ONCE(to + w)) return false;
  return true;
}
/** calc_checksum(): in the kernel xxhash(). */
function calc_checksum(page: Page): number {
  const from = page_address(page);
  let sum = 0x61707865;
  for (let w = 0; w < geom.page_words; w++) {
    const mixed = sum ^ READ_ONCE(from + w);
    sum = ((mixed << 5) - mixed + w) | 0;
  }
  return sum;
}

/** is_page_sharing_candidate(). */
function is_page_sharing_candidate(node: KsmStableNode): boolean {
  const n = READ_ONCE(node + KSM_STABLE_NODE.rmap_hlist_len);
  return n !== 0 && n < KSM_MAX_PAGE_SHARING;
}
/**
 * stable_tree_search(): the KSM page of equal contents that most items share of those that are not full, or
 * the page itself if it is a KSM page (fork), with a reference; 0 if there is none.
 */
function stable_tree_search(page: Page): Page {
  if (page_stable_node(page) !== 0) {
    get_page(page);
    return page;
  }
  let found: Page = 0;
  let length = 0;
  let node: KsmStableNode = READ_ONCE(kernel.ksm + KSM.stable);
  while (node !== 0) {
    const next: KsmStableNode = READ_ONCE(node + KSM_STABLE_NODE.next);
    const tree_page = get_ksm_page(node);
    if (tree_page !== 0) {
      const n = READ_ONCE(node + KSM_STABLE_NODE.rmap_hlist_len);
      if (is_page_sharing_candidate(node) && n > length && pages_identical(page, tree_page)) {
        if (found !== 0) put_page(found);
        found = tree_page;
        length = n;
      } else put_page(tree_page);
    }
    node = next;
  }
  return found;
}
/** stable_tree_insert(): a node for a page that has become a KSM page; 0 if memory is out. */
function stable_tree_insert(page: Page): KsmStableNode {
  const node: KsmStableNode = kzalloc(POOL_KSM_STABLE_NODE);
  if (node === 0) return 0;
  WRITE_ONCE(node + KSM_STABLE_NODE.kpfn, page_to_pfn(page));
  WRITE_ONCE(node + KSM_STABLE_NODE.next, READ_ONCE(kernel.ksm + KSM.stable));
  WRITE_ONCE(kernel.ksm + KSM.stable, node);
  set_page_stable_node(page, node);
  return node;
}
/** stable_tree_append(). */
function stable_tree_append(item: KsmRmapItem, node: KsmStableNode): void {
  const first = READ_ONCE(node + KSM_STABLE_NODE.hlist);
  WRITE_ONCE(item + KSM_RMAP_ITEM.head, node);
  WRITE_ONCE(item + KSM_RMAP_ITEM.flags, STABLE_FLAG);
  WRITE_ONCE(item + KSM_RMAP_ITEM.hlist, first);
  WRITE_ONCE(node + KSM_STABLE_NODE.hlist, item);
  WRITE_ONCE(node + KSM_STABLE_NODE.rmap_hlist_len, READ_ONCE(node + KSM_STABLE_NODE.rmap_hlist_len) + 1);
  count(first !== 0 ? KSM.pages_sharing : KSM.pages_shared, 1);
}

// ---- Merging ----------------------------------------------------------------------------------------------

/** The entry of the area that maps the anonymous page, by the page's index; 0 if there is none. */
function page_vma_entry(page: Page, vma: Vma): EntryPtr {
  if (PageKsm(page)) return 0;
  const start = READ_ONCE(vma + VMA.vm_start);
  const addr = READ_ONCE(page_word(page, PAGE.index)) - READ_ONCE(vma + VMA.vm_pgoff) + start;
  if (addr < start || addr >= READ_ONCE(vma + VMA.vm_end)) return 0;
  const out = localArray(1);
  if (pgtable_lookup(READ_ONCE(vma + VMA.vm_mm), addr, out) !== PTE_LEVEL) return 0;
  const e = READ_ONCE(out[0]);
  return pte_present(e) && pte_pfn(e) === page_to_pfn(page) ? out[0] : 0;
}

/**
 * write_protect_page(): the entry becomes read-only and clean; false if it cannot, above all where somebody
 * but the entries, the swap cache and the caller has a reference, "that no O_DIRECT or similar I/O is in
 * progress on the page".
 */
function write_protect_page(vma: Vma, page: Page): boolean {
  const ptep = page_vma_entry(page, vma);
  if (ptep === 0) return false;
  const pte = READ_ONCE(ptep);
  const exclusive = config.anonExclusive !== 0 && PageAnonExclusive(page);
  if (!pte_write(pte) && !pte_dirty(pte) && !exclusive) return true;
  const swapped = PageFlag(page, PG_swapcache) ? 1 : 0;
  const entry = ptep_get_and_clear(ptep);
  flush_tlb_range();
  if (
    page_mapcount(page) + 1 + swapped !== page_count(page) ||
    (exclusive && !page_try_share_anon_rmap(page))
  ) {
    set_pte_at(ptep, entry);
    return false;
  }
  if (pte_dirty(entry)) set_page_dirty(page);
  set_pte_at(ptep, pte_mkclean(pte_wrprotect(entry)));
  return true;
}

/** replace_page(): the entry maps the KSM page instead. */
function replace_page(vma: Vma, page: Page, kpage: Page): boolean {
  const ptep = page_vma_entry(page, vma);
  if (ptep === 0) return false;
  const addr =
    READ_ONCE(page_word(page, PAGE.index)) - READ_ONCE(vma + VMA.vm_pgoff) + READ_ONCE(vma + VMA.vm_start);
  get_page(kpage);
  page_add_anon_rmap(kpage, vma, addr, false);
  ptep_get_and_clear(ptep);
  flush_tlb_range();
  set_pte_at(ptep, pfn_pte(page_to_pfn(kpage), page_prot(vma)));
  page_remove_rmap_pte(page, vma);
  if (!page_mapped(page)) try_to_free_swap(page);
  put_page(page);
  return true;
}

/** try_to_merge_one_page() under the page-table lock; kpage is 0 if the page is to become a KSM page. */
function merge_one_page(vma: Vma, page: Page, kpage: Page): boolean {
  if (!write_protect_page(vma, page)) return false;
  if (kpage !== 0) return pages_identical(page, kpage) && replace_page(vma, page, kpage);
  set_page_stable_node(page, 0);
  // "Page reclaim just frees a clean page with no dirty ptes".
  set_page_dirty(page);
  return true;
}
/** try_to_merge_one_page(): 0, or -EFAULT if it could not. */
function try_to_merge_one_page(vma: Vma, page: Page, kpage: Page): number {
  if (page === kpage) return 0;
  if (!PageAnon(page)) return -EFAULT;
  if (PageCompound(page) && split_huge_page(page) !== 0) return -EFAULT;
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  // Custom: of the whole area, since the address is only known by the page; the kernel tells of one page.
  mmu_notifier_invalidate_range_start(
    mm,
    READ_ONCE(vma + VMA.vm_start),
    READ_ONCE(vma + VMA.vm_end),
    MMU_NOTIFY_CLEAR,
    0,
  );
  spin_lock(mm + MM.page_table_lock);
  const locked = config.follMlock !== 0 && vma_is_locked(vma) && kpage !== 0;
  const merged = merge_one_page(vma, page, kpage);
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  if (merged && locked) {
    if (PageFlag(page, PG_mlocked)) munlock_page(page);
    mlock_page(kpage);
  }
  return merged ? 0 : -EFAULT;
}
/** try_to_merge_with_ksm_page(). */
function try_to_merge_with_ksm_page(item: KsmRmapItem, page: Page, kpage: Page): number {
  const mm: Mm = READ_ONCE(item + KSM_RMAP_ITEM.mm);
  mmap_read_lock(mm);
  const vma = find_mergeable_vma(mm, READ_ONCE(item + KSM_RMAP_ITEM.address));
  const error = vma === 0 ? -EFAULT : try_to_merge_one_page(vma, page, kpage);
  if (error === 0) remove_rmap_item_from_tree(item);
  mmap_read_unlock(mm);
  return error;
}
/** try_to_merge_two_pages(): whether `page` is a KSM page now that both items map. */
function try_to_merge_two_pages(
  item: KsmRmapItem,
  page: Page,
  tree_item: KsmRmapItem,
  tree_page: Page,
): boolean {
  if (try_to_merge_with_ksm_page(item, page, 0) !== 0) return false;
  if (try_to_merge_with_ksm_page(tree_item, tree_page, page) === 0) return true;
  // "If that fails, we have a ksm page with only one pte pointing to it: so break it."
  break_cow(item);
  return false;
}

/** get_mergeable_page(): the item's page with a reference, or 0. */
function get_mergeable_page(item: KsmRmapItem): Page {
  const mm: Mm = READ_ONCE(item + KSM_RMAP_ITEM.mm);
  const addr = READ_ONCE(item + KSM_RMAP_ITEM.address);
  if (find_mergeable_vma(mm, addr) === 0) return 0;
  const page = page_at(mm, addr);
  if (page === 0 || !PageAnon(page)) return 0;
  get_page(page);
  return page;
}
/**
 * unstable_tree_search_insert(): the item of another page of equal contents, and in out[0] that page, with a
 * reference; 0 if there is none, and the item stands in the tree now, or if it is the page itself. Custom: an
 * item that has no page any more is passed over; the kernel gives up where its search meets one.
 */
function unstable_tree_search_insert(item: KsmRmapItem, page: Page, out: LocalArray): KsmRmapItem {
  let tree_item: KsmRmapItem = READ_ONCE(kernel.ksm + KSM.unstable);
  while (tree_item !== 0) {
    const tree_page = get_mergeable_page(tree_item);
    if (tree_page !== 0) {
      // "Don't substitute a ksm page for a forked page."
      if (page === tree_page) {
        put_page(tree_page);
        return 0;
      }
      if (pages_identical(page, tree_page)) {
        out[0] = tree_page;
        return tree_item;
      }
      put_page(tree_page);
    }
    tree_item = READ_ONCE(tree_item + KSM_RMAP_ITEM.node);
  }
  WRITE_ONCE(item + KSM_RMAP_ITEM.flags, UNSTABLE_FLAG);
  WRITE_ONCE(item + KSM_RMAP_ITEM.seqnr, READ_ONCE(kernel.ksm + KSM.seqnr));
  WRITE_ONCE(item + KSM_RMAP_ITEM.node, READ_ONCE(kernel.ksm + KSM.unstable));
  WRITE_ONCE(kernel.ksm + KSM.unstable, item);
  return 0;
}

// ---- ksmd -------------------------------------------------------------------------------------------------

/** The merged page and its two items go to the stable tree, or all is undone. */
function to_stable_tree(page: Page, item: KsmRmapItem, tree_item: KsmRmapItem): void {
  const node = stable_tree_insert(page);
  if (node !== 0) {
    stable_tree_append(tree_item, node);
    stable_tree_append(item, node);
  } else {
    break_cow(tree_item);
    break_cow(item);
  }
}
/** The page has changed since the last scan looked at it. */
function checksum_changed(page: Page, item: KsmRmapItem): boolean {
  const checksum = calc_checksum(page);
  if (READ_ONCE(item + KSM_RMAP_ITEM.oldchecksum) === checksum) return false;
  WRITE_ONCE(item + KSM_RMAP_ITEM.oldchecksum, checksum);
  return true;
}

/** cmp_and_merge_page(); the checksum is asked for before the stable tree from v6.11 (ac90c56bbd01). */
function cmp_and_merge_page(page: Page, item: KsmRmapItem): void {
  const stable_node = page_stable_node(page);
  if (stable_node !== 0) {
    if (READ_ONCE(item + KSM_RMAP_ITEM.head) === stable_node) return;
  } else if (config.ksmChecksumFirst) {
    remove_rmap_item_from_tree(item);
    if (checksum_changed(page, item)) return;
  }
  const kpage = stable_tree_search(page);
  remove_rmap_item_from_tree(item);
  if (kpage !== 0) {
    const node = page_stable_node(kpage);
    if (try_to_merge_with_ksm_page(item, page, kpage) === 0) stable_tree_append(item, node);
    put_page(kpage);
    return;
  }
  if (!config.ksmChecksumFirst && checksum_changed(page, item)) return;
  const out = localArray(1);
  const tree_item = unstable_tree_search_insert(item, page, out);
  if (tree_item === 0) return;
  const tree_page = out[0];
  const merged = try_to_merge_two_pages(item, page, tree_item, tree_page);
  // "If both pages we tried to merge belong to the same compound page, then we actually ended up increasing
  // the reference count of the same compound page twice, and split_huge_page failed."
  const split = PageCompound(page) && compound_head(page) === compound_head(tree_page);
  put_page(tree_page);
  if (merged) to_stable_tree(page, item, tree_item);
  else if (split) split_huge_page(page);
}

/** skip_age() of mm/ksm.c. */
function skip_age(age: number): number {
  if (age <= 3) return 1;
  if (age <= 5) return 2;
  return age <= 8 ? 4 : 8;
}
/** should_skip_rmap_item() (v6.7, 5e924ff54d08): pages that found no partner are looked at less often. */
function should_skip_rmap_item(page: Page, item: KsmRmapItem): boolean {
  if (!config.ksmSmartScan || PageKsm(page)) return false;
  // "We might end up here without a KSM page for example after COW."
  if (config.ksmSmartScan === KSM_SKIPS_UNSTABLE && READ_ONCE(item + KSM_RMAP_ITEM.flags) === STABLE_FLAG)
    return false;
  const age = READ_ONCE(item + KSM_RMAP_ITEM.age);
  if (age !== AGE_MAX) WRITE_ONCE(item + KSM_RMAP_ITEM.age, age + 1);
  if (age < 3) return false;
  const skips = READ_ONCE(item + KSM_RMAP_ITEM.remaining_skips);
  if (skips === 0) {
    WRITE_ONCE(item + KSM_RMAP_ITEM.remaining_skips, skip_age(age));
    return false;
  }
  WRITE_ONCE(item + KSM_RMAP_ITEM.remaining_skips, skips - 1);
  remove_rmap_item_from_tree(item);
  return true;
}

/**
 * get_next_rmap_item(): the item of addr, made if there is none (0: memory is out), behind the word `link`;
 * those of lower addresses there go.
 */
function get_next_rmap_item(mm: Mm, link: number, addr: number): KsmRmapItem {
  let item: KsmRmapItem = READ_ONCE(link);
  while (item !== 0 && READ_ONCE(item + KSM_RMAP_ITEM.address) <= addr) {
    if (READ_ONCE(item + KSM_RMAP_ITEM.address) === addr) return item;
    WRITE_ONCE(link, READ_ONCE(item + KSM_RMAP_ITEM.rmap_list));
    remove_rmap_item_from_tree(item);
    kfree(item);
    item = READ_ONCE(link);
  }
  const fresh: KsmRmapItem = kzalloc(POOL_KSM_RMAP_ITEM);
  if (fresh === 0) return 0;
  WRITE_ONCE(fresh + KSM_RMAP_ITEM.mm, mm);
  WRITE_ONCE(fresh + KSM_RMAP_ITEM.address, addr);
  WRITE_ONCE(fresh + KSM_RMAP_ITEM.rmap_list, item);
  WRITE_ONCE(link, fresh);
  return fresh;
}

/** ksm_do_scan() of one page with a reference: the word that the next one's item stands behind. */
function scan_page(mm: Mm, link: number, addr: number, page: Page): number {
  const item = get_next_rmap_item(mm, link, addr);
  if (item === 0) return link;
  if (!should_skip_rmap_item(page, item)) cmp_and_merge_page(page, item);
  return item + KSM_RMAP_ITEM.rmap_list;
}
/** One address space of a scan; false if it has no area any more that may be merged. */
function scan_mm(slot: KsmMmSlot): boolean {
  const mm: Mm = READ_ONCE(slot + KSM_MM_SLOT.mm);
  let link = slot + KSM_MM_SLOT.rmap_list;
  let mergeable = false;
  for (let vma: Vma = READ_ONCE(mm + MM.mmap); vma !== 0; vma = READ_ONCE(vma + VMA.vm_next)) {
    if ((vma_flags(vma) & VM_MERGEABLE) === 0) continue;
    mergeable = true;
    if (READ_ONCE(vma + VMA.anon_vma) === 0) continue;
    for (let addr = READ_ONCE(vma + VMA.vm_start); addr < READ_ONCE(vma + VMA.vm_end); addr++) {
      const page = page_at(mm, addr);
      if (page === 0 || !PageAnon(page)) continue;
      get_page(page);
      link = scan_page(mm, link, addr, page);
      put_page(page);
    }
  }
  remove_trailing_rmap_items(link);
  return mergeable;
}
/** ksm_do_scan() of everything once: ksmd, woken, until ksm_scan.seqnr has grown by one. */
export function ksm_do_scan(): void {
  lru_add_drain();
  WRITE_ONCE(kernel.ksm + KSM.unstable, 0);
  let link = kernel.ksm + KSM.mm_head;
  while (READ_ONCE(link) !== 0) {
    const slot: KsmMmSlot = READ_ONCE(link);
    if (scan_mm(slot)) link = slot + KSM_MM_SLOT.next;
    else {
      WRITE_ONCE(link, READ_ONCE(slot + KSM_MM_SLOT.next));
      kfree(slot);
    }
  }
  count(KSM.seqnr, 1);
}

// ---- Address spaces ---------------------------------------------------------------------------------------

/** The word that points to the address space's slot, or to 0 at the end of the list. */
function mm_slot_link(mm: Mm): number {
  let link = kernel.ksm + KSM.mm_head;
  while (READ_ONCE(link) !== 0 && READ_ONCE(READ_ONCE(link) + KSM_MM_SLOT.mm) !== mm)
    link = READ_ONCE(link) + KSM_MM_SLOT.next;
  return link;
}
/** __ksm_enter(): behind all others, where ksmd comes last. 0 or -ENOMEM. */
function __ksm_enter(mm: Mm): number {
  const link = mm_slot_link(mm);
  if (READ_ONCE(link) !== 0) return 0;
  const slot: KsmMmSlot = kzalloc(POOL_KSM_MM_SLOT);
  if (slot === 0) return -ENOMEM;
  WRITE_ONCE(slot + KSM_MM_SLOT.mm, mm);
  WRITE_ONCE(link, slot);
  return 0;
}
/** ksm_fork(): the child's pages are merged if its parent's are. */
export function ksm_fork(mm: Mm, oldmm: Mm): void {
  if (kernel.ksm !== 0 && READ_ONCE(mm_slot_link(oldmm)) !== 0) __ksm_enter(mm);
}
/** ksm_exit(). */
export function ksm_exit(mm: Mm): void {
  if (kernel.ksm === 0) return;
  const link = mm_slot_link(mm);
  const slot: KsmMmSlot = READ_ONCE(link);
  if (slot === 0) return;
  remove_trailing_rmap_items(slot + KSM_MM_SLOT.rmap_list);
  WRITE_ONCE(link, READ_ONCE(slot + KSM_MM_SLOT.next));
  kfree(slot);
}

/** vma_ksm_compatible(). */
function vma_ksm_compatible(vma: Vma): boolean {
  const never = VM_SHARED | VM_MAYSHARE | VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_HUGETLB | VM_MIXEDMAP;
  return (vma_flags(vma) & never) === 0 && !vma_is_dax(vma);
}
/** ksm_madvise(MADV_MERGEABLE): 1 if the area's flag is to be set, 0 if it stays as it is, or the error. */
export function ksm_madvise_mergeable(vma: Vma): number {
  if ((vma_flags(vma) & VM_MERGEABLE) !== 0 || !vma_ksm_compatible(vma)) return 0;
  const error = kernel.ksm === 0 ? 0 : __ksm_enter(READ_ONCE(vma + VMA.vm_mm));
  return error === 0 ? 1 : error;
}
/** ksm_madvise(MADV_UNMERGEABLE) of a part of an area: 0 or the error. The caller clears the flag. */
export function ksm_madvise_unmergeable(vma: Vma, start: number, end: number): number {
  if (kernel.ksm === 0 || (vma_flags(vma) & VM_MERGEABLE) === 0 || READ_ONCE(vma + VMA.anon_vma) === 0)
    return 0;
  return unmerge_ksm_pages(vma, start, end);
}

/** remove_all_stable_nodes(): those whose pages nothing maps any more. */
function remove_all_stable_nodes(): void {
  let node: KsmStableNode = READ_ONCE(kernel.ksm + KSM.stable);
  while (node !== 0) {
    const next: KsmStableNode = READ_ONCE(node + KSM_STABLE_NODE.next);
    const page = get_ksm_page(node);
    if (page !== 0) {
      if (!page_mapped(page)) {
        set_page_stable_node(page, 0);
        remove_node_from_stable_tree(node);
      }
      put_page(page);
    }
    node = next;
  }
}
/** unmerge_and_remove_all_rmap_items(), writing 2 to /sys/kernel/mm/ksm/run: 0 or the error. */
export function unmerge_and_remove_all_rmap_items(): number {
  let link = kernel.ksm + KSM.mm_head;
  while (READ_ONCE(link) !== 0) {
    const slot: KsmMmSlot = READ_ONCE(link);
    const mm: Mm = READ_ONCE(slot + KSM_MM_SLOT.mm);
    mmap_read_lock(mm);
    for (let vma: Vma = READ_ONCE(mm + MM.mmap); vma !== 0; vma = READ_ONCE(vma + VMA.vm_next)) {
      const error = ksm_madvise_unmergeable(vma, READ_ONCE(vma + VMA.vm_start), READ_ONCE(vma + VMA.vm_end));
      if (error === 0) continue;
      mmap_read_unlock(mm);
      return error;
    }
    remove_trailing_rmap_items(slot + KSM_MM_SLOT.rmap_list);
    mmap_read_unlock(mm);
    link = slot + KSM_MM_SLOT.next;
  }
  remove_all_stable_nodes();
  return 0;
}
