/**
 * Slow GUP (mm/gup.c): following page tables under their lock, and faulting in what is missing. What happens
 * if a fault drops mmap_lock is in gup_locked.ts, what happens to long-term pins in movable memory in
 * gup_longterm.ts; who calls it in which mode is in gup_entry.ts. Custom: the address space is an argument
 * also of what acts on current->mm. Not covered: vsyscall page, FOLL_NUMA.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { P2PDMA_V6_2 } from "../machine/knobs/mm.ts";
import {
  assert,
  type LocalArray,
  localArray,
  READ_ONCE,
  smp_rmb,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { vma_is_fsdax } from "./dax_fault.ts";
import {
  EAGAIN,
  EBUSY,
  EEXIST,
  EFAULT,
  EHWPOISON,
  EINTR,
  EMLINK,
  ENOENT,
  ENOMEM,
  EOPNOTSUPP,
  EREMOTEIO,
} from "./errno.ts";
import {
  FAULT_FLAG_ALLOW_RETRY,
  FAULT_FLAG_PIN,
  FAULT_FLAG_RETRY_NOWAIT,
  FAULT_FLAG_TRIED,
  FAULT_FLAG_UNSHARE,
  FAULT_FLAG_WRITE,
  handle_mm_fault,
  VM_FAULT_COMPLETED,
  VM_FAULT_ERROR,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_FAULT_WRITE,
} from "./fault.ts";
import {
  put_compound_head,
  try_grab_compound_head,
  try_grab_folio,
  try_grab_page,
  unpin_user_page,
} from "./gup.ts";
import {
  FOLL_COW,
  FOLL_DUMP,
  FOLL_FORCE,
  FOLL_GET,
  FOLL_HWPOISON,
  FOLL_LONGTERM,
  FOLL_MLOCK,
  FOLL_NOFAULT,
  FOLL_NOWAIT,
  FOLL_PCI_P2PDMA,
  FOLL_PIN,
  FOLL_POPULATE,
  FOLL_SPLIT_PMD,
  FOLL_TOUCH,
  FOLL_TRIED,
  FOLL_UNLOCKABLE,
  FOLL_WRITE,
} from "./gup_flags.ts";
import { split_huge_pmd_entry } from "./huge_split.ts";
import { hugetlbfs_pagecache_page } from "./hugetlb.ts";
import { lru_add_drain } from "./lru.ts";
import { mlock_page } from "./mlock.ts";
import {
  ADDRESS_SPACE,
  AS_DEVDAX,
  AS_DRIVER,
  AS_REGULAR,
  AS_SECRETMEM,
  MM,
  type Mm,
  VM_IO,
  VM_LOCKED,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_PFNMAP,
  VM_READ,
  VM_SHADOW_STACK,
  VM_SHARED,
  VM_WRITE,
  VMA,
  type Vma,
} from "./mm_types.ts";
import { is_vm_hugetlb_page, vma_flags, vma_is_anonymous, vma_kind, vma_lookup } from "./mmap.ts";
import { p2pdma_refused } from "./p2pdma_page.ts";
import {
  compound_head,
  nth_page,
  PAGE,
  type Page,
  PageAnon,
  PageAnonExclusive,
  PageDirty,
  PageFlag,
  PageHead,
  PG_double_map,
  page_ref_count,
  page_to_pfn,
  page_word,
  pfn_to_page,
} from "./page.ts";
import { set_page_dirty } from "./page_writeback.ts";
import { DEV_PAGEMAP, get_dev_pagemap, PGMAP_COMPOUND, put_dev_pagemap } from "./pgmap.ts";
import {
  level_span,
  PTE_LEVEL,
  pgtable_lookup,
  pte_devmap,
  pte_dirty,
  pte_mkdirty,
  pte_mkyoung,
  pte_pfn,
  pte_present,
  pte_protnone,
  pte_write,
} from "./pgtable.ts";
import { entire_mapcount_ptr } from "./rmap.ts";
import { fatal_signal_pending } from "./signal.ts";
import { arch_make_page_accessible } from "./uv.ts";
import { is_huge_zero_pfn, vm_normal_page } from "./zap.ts";

// ---- Following --------------------------------------------------------------------------------------------

/** gup_must_unshare() with an area. Read: v6.1, v6.12, v7.3. */
function must_unshare(vma: Vma, flags: number, page: Page): boolean {
  if (!config.anonExclusive || (flags & (FOLL_WRITE | FOLL_PIN)) !== FOLL_PIN) return false;
  if (!PageAnon(page)) {
    if (!config.unshareLongterm || (flags & FOLL_LONGTERM) === 0) return false;
    return (vma_flags(vma) & VM_SHARED) === 0;
  }
  // "Paired with a memory barrier in folio_try_share_anon_rmap_*()."
  if (config.gupPinBarrier) smp_rmb();
  return !PageAnonExclusive(page);
}

/** can_follow_write_pte(), can_follow_write_pmd(): the entry will do for a write, perhaps a forced one. */
function can_follow_write(vma: Vma, e: number, page: Page, flags: number): boolean {
  if (pte_write(e)) return true;
  if ((flags & FOLL_FORCE) === 0) return false;
  // v5.10: a sticky flag of this call says that COW was broken, and the entry's dirty bit that it still is.
  if (!config.anonExclusive) return !is_vm_hugetlb_page(vma) && (flags & FOLL_COW) !== 0 && pte_dirty(e);
  if ((vma_flags(vma) & (VM_SHARED | VM_MAYWRITE)) !== VM_MAYWRITE || (vma_flags(vma) & VM_WRITE) !== 0)
    return false;
  return page !== 0 && PageAnon(page) && PageAnonExclusive(page);
}

/**
 * The page behind a leaf entry for GUP: also zero pages and, while its pagemap lives, a device's. 0: none.
 */
function gup_page_of(e: number, level: number, addr: number): Page {
  const offset = addr & (level_span(level) - 1);
  const pfn = pte_pfn(e) + offset;
  const normal = vm_normal_page(e);
  if (normal !== 0) return nth_page(normal, offset);
  if (pfn === kernel.zero_pfn || is_huge_zero_pfn(pfn)) return pfn_to_page(pfn);
  return pte_devmap(e) ? pfn_to_page(pfn) : 0;
}

/**
 * FOLL_TOUCH of a write: the page of a clean PTE gets dirty (follow_page_pte()), a huge entry itself
 * (touch_pmd()).
 */
function touch_entry(vma: Vma, entryp: number, level: number, page: Page): void {
  const e = READ_ONCE(entryp);
  if (level === PTE_LEVEL) {
    if (!pte_dirty(e) && !PageDirty(page)) set_page_dirty(page);
  } else if (!is_vm_hugetlb_page(vma) || config.hugetlbNofault) {
    if (pte_write(e)) WRITE_ONCE(entryp, pte_mkdirty(e));
  }
}

/** FOLL_MLOCK (to v5.17): "We don't mlock() pte-mapped THPs", nor huge pages that others map too. */
function mlock_followed(vma: Vma, level: number, page: Page): void {
  const head = compound_head(page);
  if ((vma_flags(vma) & VM_LOCKED) === 0 || READ_ONCE(page_word(head, PAGE.mapping)) === 0) return;
  if (level === PTE_LEVEL) {
    if (PageHead(head)) return;
    // "push cached pages to LRU"
    lru_add_drain();
  } else if (READ_ONCE(entire_mapcount_ptr(head)) !== 0 || PageFlag(head, PG_double_map)) return;
  mlock_page(head);
}

/** no_page_table(): a core dump does not fault in what nobody has touched. */
function no_page_table(vma: Vma, addr: number, flags: number): boolean {
  if ((flags & FOLL_DUMP) === 0) return false;
  if (is_vm_hugetlb_page(vma)) return hugetlbfs_pagecache_page(vma, addr) === 0;
  // "!vma->vm_ops->fault"
  return vma_is_anonymous(vma) || vma_kind(vma) === AS_DRIVER;
}
/** An entry without a struct page: there is nothing to take, nor to dump (follow_pfn_pte()). */
function no_struct_page(entryp: number, flags: number): number {
  if ((flags & FOLL_DUMP) !== 0) return -EFAULT;
  if ((flags & FOLL_TOUCH) !== 0) {
    const e = pte_mkyoung(READ_ONCE(entryp));
    WRITE_ONCE(entryp, (flags & FOLL_WRITE) !== 0 ? pte_mkdirty(e) : e);
  }
  return (flags & FOLL_GET) !== 0 && !config.pfnEexist ? -EFAULT : -EEXIST;
}

/**
 * follow_pmd_mask() with FOLL_SPLIT_PMD: what maps addr is no huge entry of transparent huge pages
 * afterwards.
 */
function split_for_follow(mm: Mm, vma: Vma, addr: number, out: LocalArray): void {
  if (is_vm_hugetlb_page(vma) || pgtable_lookup(mm, addr, out) !== PTE_LEVEL + 1) return;
  const pmd = READ_ONCE(out[0]);
  if (pte_present(pmd) && !pte_devmap(pmd)) split_huge_pmd_entry(vma, out[0], addr);
}

/**
 * follow_page_mask(): the page at addr with its reference or pin, 0 if it must be faulted in, or an error:
 * -EFAULT, -ENOMEM (count overflow), -EREMOTEIO (peer-to-peer memory), -EMLINK (unshare), -EEXIST (no struct
 * page), -EINVAL (a guest's). out[1] is how many pages from addr on the entry maps; out[2] the pagemap that
 * the caller holds a reference on, for the next page (follow_page_context). A PTE of a device whose pagemap
 * dies is as one that must be faulted in: for ever, until the device's entries are gone. Read: v5.10, v6.1,
 * v6.12, v7.3. Custom: one function for PTEs and huge entries, without splitting locks; to v6.17 a device's
 * huge entry is also touched before it is grabbed, and never unshared. Stub: FOLL_SPLIT (to v5.10),
 * FOLL_MIGRATION; what is touched is not made young.
 */
function follow_page(mm: Mm, vma: Vma, addr: number, flags: number, out: LocalArray): Page {
  const level = pgtable_lookup(mm, addr, out);
  const e = READ_ONCE(out[0]);
  out[1] = level_span(level) - (addr & (level_span(level) - 1));
  if (!pte_present(e)) return e === 0 && no_page_table(vma, addr, flags) ? -EFAULT : 0;
  if (pte_protnone(e) && (flags & FOLL_FORCE) === 0) return 0;
  const page = gup_page_of(e, level, addr);
  // A huge leaf's page is exclusive as a whole, which its head says.
  const of = level > PTE_LEVEL && page !== 0 ? compound_head(page) : page;
  if ((flags & FOLL_WRITE) !== 0 && !can_follow_write(vma, e, vm_normal_page(e) === 0 ? 0 : of, flags))
    return 0;
  if (page === 0) return no_struct_page(out[0], flags);
  // follow_page_pte(), follow_devmap_pmd(): a device's page is looked up for who takes it only.
  if (pte_devmap(e) && (flags & (FOLL_GET | FOLL_PIN)) === 0) return no_struct_page(out[0], flags);
  // "Avoid special (like zero) pages in core dumps."
  if ((flags & FOLL_DUMP) !== 0 && vm_normal_page(e) === 0 && !pte_devmap(e)) return -EFAULT;
  if (pte_devmap(e)) {
    out[2] = get_dev_pagemap(page_to_pfn(page), out[2]);
    if (out[2] === 0) return level === PTE_LEVEL ? 0 : -EFAULT;
  }
  if (!pte_write(e) && must_unshare(vma, flags, of)) return -EMLINK;
  const refused = p2pdma_refused(page, (flags & FOLL_PCI_P2PDMA) !== 0);
  const grabbed = refused ? page_ref_count(compound_head(page)) > 0 : try_grab_page(page, flags);
  if (!grabbed) return -ENOMEM;
  if (refused) return -EREMOTEIO;
  const inaccessible = (flags & FOLL_PIN) !== 0 ? arch_make_page_accessible(page) : 0;
  if (inaccessible !== 0) {
    unpin_user_page(page);
    return inaccessible;
  }
  if ((flags & (FOLL_TOUCH | FOLL_WRITE)) === (FOLL_TOUCH | FOLL_WRITE))
    touch_entry(vma, out[0], level, page);
  if ((flags & FOLL_MLOCK) !== 0) mlock_followed(vma, level, page);
  return page;
}

// ---- Faulting in ------------------------------------------------------------------------------------------

/** vm_fault_to_errno(). */
function vm_fault_to_errno(ret: number, flags: number): number {
  if ((ret & VM_FAULT_OOM) !== 0) return -ENOMEM;
  return (ret & VM_FAULT_HWPOISON) !== 0 && (flags & FOLL_HWPOISON) !== 0 ? -EHWPOISON : -EFAULT;
}

/** FAULT_FLAG_* of a look-up's flags. */
function fault_flags_of(flags: number, unshare: boolean): number {
  let fault_flags = (flags & FOLL_WRITE) !== 0 ? FAULT_FLAG_WRITE : 0;
  if (unshare) fault_flags = FAULT_FLAG_UNSHARE;
  if ((flags & FOLL_UNLOCKABLE) !== 0) fault_flags |= FAULT_FLAG_ALLOW_RETRY;
  if ((flags & FOLL_NOWAIT) !== 0) fault_flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT;
  if ((flags & FOLL_TRIED) !== 0) fault_flags |= FAULT_FLAG_TRIED;
  if ((flags & FOLL_LONGTERM) !== 0 && (config.longtermMigrates !== 0 || kernel.cma_nr !== 0))
    fault_flags |= FAULT_FLAG_PIN;
  return fault_flags;
}

/**
 * faultin_page(): 0, or -EFAULT, -EHWPOISON or -ENOMEM; -ENOENT: not with FOLL_MLOCK; -EBUSY: the fault has
 * to be asked for again, -EAGAIN: it is done; both drop mmap_lock (locked[0] = 0), but not -EBUSY with
 * FOLL_NOWAIT. flags[0] may gain FOLL_COW.
 */
function faultin_page(
  mm: Mm,
  vma: Vma,
  addr: number,
  flags: LocalArray,
  unshare: boolean,
  locked: LocalArray,
): number {
  // "mlock all present pages, but do not fault in new pages"
  if ((flags[0] & (FOLL_POPULATE | FOLL_MLOCK)) === FOLL_MLOCK) return -ENOENT;
  const hugetlb_ignores = is_vm_hugetlb_page(vma) && !config.hugetlbNofault;
  if ((flags[0] & FOLL_NOFAULT) !== 0 && !hugetlb_ignores) return -EFAULT;
  const ret = handle_mm_fault(mm, vma, addr, fault_flags_of(flags[0], unshare));
  if ((ret & VM_FAULT_COMPLETED) !== 0) {
    locked[0] = 0;
    return -EAGAIN;
  }
  if ((ret & VM_FAULT_ERROR) !== 0) return vm_fault_to_errno(ret, flags[0]);
  if ((ret & VM_FAULT_RETRY) !== 0) {
    if ((flags[0] & FOLL_NOWAIT) === 0) locked[0] = 0;
    return -EBUSY;
  }
  if ((ret & VM_FAULT_WRITE) !== 0 && (vma_flags(vma) & VM_WRITE) === 0) flags[0] = flags[0] | FOLL_COW;
  return 0;
}

/** "We want to allow the pgmap to be hot-unplugged at all times." */
const P2P_LONGTERM = FOLL_LONGTERM | FOLL_PCI_P2PDMA;

/** check_vma_flags(): 0 or the error. */
export function check_vma_flags(vma: Vma, flags: number): number {
  const vm_flags = vma_flags(vma);
  if ((vm_flags & (VM_IO | VM_PFNMAP)) !== 0) return -EFAULT;
  if (config.fsdaxCheckEarly && (flags & FOLL_LONGTERM) !== 0 && vma_is_fsdax(vma)) return -EOPNOTSUPP;
  if (config.pciP2pdma === P2PDMA_V6_2 && (flags & P2P_LONGTERM) === P2P_LONGTERM) return -EOPNOTSUPP;
  if (config.hugetlbSplitPmd && (flags & FOLL_SPLIT_PMD) !== 0 && is_vm_hugetlb_page(vma)) return -EOPNOTSUPP;
  // vma_is_secretmem() (v5.14)
  if (kernel.secretmem !== 0 && vma_kind(vma) === AS_SECRETMEM) return -EFAULT;
  if ((flags & FOLL_WRITE) !== 0) {
    // writable_file_mapping_allowed(): the file system wants to see every write.
    if (config.longtermFileCheck && (flags & (FOLL_PIN | FOLL_LONGTERM)) === (FOLL_PIN | FOLL_LONGTERM))
      if (!vma_is_anonymous(vma) && vma_kind(vma) === AS_REGULAR && (vm_flags & VM_SHARED) !== 0)
        return -EFAULT;
    // A shadow stack: debuggers may write to it, the data of a system call must not (v6.6).
    const shadow_stack = kernel.shadow_stack !== 0 && (vm_flags & VM_SHADOW_STACK) !== 0;
    if ((vm_flags & VM_WRITE) === 0 || shadow_stack) {
      if ((flags & FOLL_FORCE) === 0) return -EFAULT;
      if (is_vm_hugetlb_page(vma) && !config.hugetlbForce) return -EFAULT;
      if ((vm_flags & (VM_SHARED | VM_MAYWRITE)) !== VM_MAYWRITE) return -EFAULT;
    }
  } else if ((vm_flags & VM_READ) === 0) {
    if ((flags & FOLL_FORCE) === 0 || (vm_flags & VM_MAYREAD) === 0) return -EFAULT;
  }
  return 0;
}

/**
 * "If we have a pending SIGKILL, don't keep faulting pages": 0, or the error. follow_hugetlb_page() (to v6.4,
 * when 4849807114b8 retired it) asks once for each huge page, and then has nothing but its own error to give.
 */
function killed(vma: Vma, addr: number, start: number): number {
  if (!fatal_signal_pending()) return 0;
  const hugetlb = is_vm_hugetlb_page(vma) && !config.hugetlbNofault;
  if (hugetlb && addr !== start && (addr & ((1 << geom.pmd_shift) - 1)) !== 0) return 0;
  return hugetlb ? -EFAULT : -EINTR;
}

/**
 * One page at addr of a request from `start` on: with its reference, or the error. out[1]: pages that the
 * same entry maps from there.
 */
function gup_one(
  mm: Mm,
  vma: Vma,
  addr: number,
  start: number,
  flags: LocalArray,
  out: LocalArray,
  locked: LocalArray,
): Page {
  let left = kernel.zones !== 0 ? 1000 : 1;
  for (;;) {
    // The kernel goes round until it is killed. A machine with zones is mostly run, not explored: there it is
    // an error, so that nothing hangs.
    if (kernel.zones !== 0) {
      left--;
      assert(left > 0, "slow GUP faults for ever: the fault changes nothing");
    }
    const signal = killed(vma, addr, start);
    if (signal !== 0) return signal;
    spin_lock(mm + MM.page_table_lock);
    if ((flags[0] & FOLL_SPLIT_PMD) !== 0) split_for_follow(mm, vma, addr, out);
    const page = follow_page(mm, vma, addr, flags[0], out);
    spin_unlock(mm + MM.page_table_lock);
    if (page !== 0 && page !== -EMLINK) return page;
    const error = faultin_page(mm, vma, addr, flags, page === -EMLINK, locked);
    if (error !== 0) return error;
  }
}

/** vma_kernel_pagesize() of a device's area in pages: what one of its leaves maps; 1 for other areas. */
function vma_leaf_pages(vma: Vma): number {
  if (vma_kind(vma) !== AS_DEVDAX) return 1;
  const file = READ_ONCE(vma + VMA.vm_file);
  return 1 << READ_ONCE(file + ADDRESS_SPACE.align);
}

/**
 * follow_devmap_page() of the RFC's patch 9 (8 December 2020) as posted, a copy of follow_hugetlb_page() for
 * device areas of large pages: pages[at ..] of up to nr pages from addr on, with one grab for each leaf of a
 * compound pagemap. Their number, or the error if there is none. If a leaf's grab fails its pages are counted
 * all the same: `i` has been raised by then.
 */
function follow_devmap_page(
  mm: Mm,
  vma: Vma,
  addr: number,
  nr: number,
  flags: number,
  pages: LocalArray,
  at: number,
): number {
  const out = localArray(1);
  const mask = vma_leaf_pages(vma) - 1;
  let i = 0;
  while (i < nr && addr + i < READ_ONCE(vma + VMA.vm_end)) {
    spin_lock(mm + MM.page_table_lock);
    pgtable_lookup(mm, addr + i, out);
    const e = READ_ONCE(out[0]);
    if (!pte_present(e) || ((flags & FOLL_WRITE) !== 0 && !pte_write(e))) {
      spin_unlock(mm + MM.page_table_lock);
      const ret = handle_mm_fault(mm, vma, addr + i, (flags & FOLL_WRITE) !== 0 ? FAULT_FLAG_WRITE : 0);
      if ((ret & VM_FAULT_ERROR) === 0) continue;
      if (i > 0) return i;
      return (ret & VM_FAULT_OOM) !== 0 ? -ENOMEM : -EFAULT;
    }
    const offset = (addr + i) & mask;
    const pgmap = get_dev_pagemap(pte_pfn(e), 0);
    let n = mask + 1 - offset;
    if (n > nr - i) n = nr - i;
    if (n > READ_ONCE(vma + VMA.vm_end) - (addr + i)) n = READ_ONCE(vma + VMA.vm_end) - (addr + i);
    let error = pgmap === 0 ? -EFAULT : 0;
    const compound = pgmap !== 0 && (READ_ONCE(pgmap + DEV_PAGEMAP.flags) & PGMAP_COMPOUND) !== 0;
    const page = pfn_to_page(pte_pfn(e) + offset);
    for (let k = 0; k < n && error === 0; k++) {
      if (!compound && !try_grab_page(nth_page(page, k), flags)) error = -ENOMEM;
      else {
        pages[at + i] = nth_page(page, k);
        i++;
      }
    }
    if (compound && try_grab_compound_head(page, n, flags) === 0) error = -ENOMEM;
    if (pgmap !== 0) put_dev_pagemap(pgmap);
    spin_unlock(mm + MM.page_table_lock);
    if (error !== 0) return i > 0 ? i : error;
  }
  return i;
}

/**
 * __get_user_pages() up to what it does last: takes up to nr pages from `start` on into pages[first ..];
 * their number, or the error if the first could not be had. The caller holds mmap_lock. Without FOLL_GET and
 * FOLL_PIN (in the kernel: pages == NULL) pages are faulted in and counted, and nothing is held or written to
 * `pages`. 0: the first page's fault has to be asked for again; locked[0] is 0 if mmap_lock is not held any
 * more, which FOLL_UNLOCKABLE permits.
 */
function get_pages(
  mm: Mm,
  start: number,
  nr: number,
  gup_flags: number,
  pages: LocalArray,
  first: number,
  locked: LocalArray,
  out: LocalArray,
): number {
  const flags = localArray(1);
  let i = 0;
  let vma: Vma = 0;
  while (i < nr) {
    const addr = start + i;
    if (vma === 0 || addr >= READ_ONCE(vma + VMA.vm_end)) {
      vma = vma_lookup(mm, addr);
      if (vma === 0) return i > 0 ? i : -EFAULT;
      const error = check_vma_flags(vma, gup_flags);
      if (error !== 0) return i > 0 ? i : error;
      if (config.rfcSlowBatch && vma_leaf_pages(vma) > 1) {
        const left = READ_ONCE(vma + VMA.vm_end) - addr;
        const want = left < nr - i ? left : nr - i;
        const got = follow_devmap_page(mm, vma, addr, want, gup_flags, pages, first + i);
        if (got < 0) return i > 0 ? i : got;
        i += got;
        if (got < want) return i;
        continue;
      }
    }
    flags[0] = gup_flags;
    const page = gup_one(mm, vma, addr, start, flags, out, locked);
    if (page === -EBUSY || page === -EAGAIN) return i;
    const holds = (gup_flags & (FOLL_GET | FOLL_PIN)) !== 0;
    if (page === -ENOENT || (page === -EEXIST && (!holds || !config.pfnEexist))) {
      i++;
      continue;
    }
    if (page < 0) return i > 0 ? i : page;
    if (!holds) {
      // page_mask: what else the entry maps needs no look.
      const more = out[1] < nr - i ? out[1] : nr - i;
      i += more;
      continue;
    }
    pages[first + i] = page;
    i++;
    // v6.5 (57edfcfd3419): the rest of a large leaf is taken in one step, without looking at the entry again.
    if (config.gupSlowBatch) {
      let more = out[1] - 1;
      if (more > nr - i) more = nr - i;
      const left = READ_ONCE(vma + VMA.vm_end) - (start + i);
      if (more > left) more = left;
      // "Since we already hold refcount on the large folio, this should never fail."
      if (more > 0 && !try_grab_folio(page, more, gup_flags)) {
        // "Release the 1st page ref if the folio is problematic, fail hard."
        put_compound_head(compound_head(page), 1, gup_flags);
        return i > 1 ? i - 1 : -EFAULT;
      }
      for (let n = 1; n <= more; n++) pages[first + i + n - 1] = nth_page(page, n);
      if (more > 0) i += more;
    }
  }
  return i;
}

/** __get_user_pages(). Read: v5.10, v6.1, v6.12, v7.3. */
export function __get_user_pages(
  mm: Mm,
  start: number,
  nr: number,
  gup_flags: number,
  pages: LocalArray,
  first: number,
  locked: LocalArray,
): number {
  const out = localArray(3);
  const ret = get_pages(mm, start, nr, gup_flags, pages, first, locked, out);
  // "if (ctx.pgmap) put_dev_pagemap(ctx.pgmap)": held over all of the request, its faults too (to v6.16).
  if (config.pteDevmap) put_dev_pagemap(out[2]);
  return ret;
}

/**
 * pages == NULL, locked == NULL: nr pages from `start` on are faulted in and counted; their number, or the
 * error if there is none.
 */
export function fault_in_pages(mm: Mm, start: number, nr: number, flags: number): number {
  const none = localArray(1);
  const locked = localArray(1);
  locked[0] = 1;
  return __get_user_pages(mm, start, nr, flags, none, 0, locked);
}
