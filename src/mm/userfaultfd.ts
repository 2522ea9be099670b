/**
 * userfaultfd(2) (fs/userfaultfd.c, mm/userfaultfd.c) in the mode UFFD_FEATURE_SIGBUS: areas whose missing or
 * write-protected pages a program resolves itself; until it has, a fault there is SIGBUS and GUP's -EFAULT.
 * UFFDIO_REGISTER, _UNREGISTER, _WRITEPROTECT, _COPY and _ZEROPAGE; UFFDIO_MOVE is in userfaultfd_move.ts.
 * Read in v5.10, v6.1, v6.12, v7.3.
 *
 * Custom: a context is a number, not 0. Not covered: events, minor faults, poisoning, asynchronous
 * write-protection, write-protection of anonymous pages that are not there, copies into hugetlb areas, and
 * markers that an area's write-protected file pages leave when they are zapped (MADV_DONTNEED).
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { EBUSY, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, EPERM } from "./errno.ts";
import { alloc_anon_page, page_prot } from "./fault.ts";
import { filemap_get_page, find_page, i_pages_slot } from "./filemap.ts";
import { lru_cache_add_vma } from "./mlock.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  AS_HUGETLB,
  AS_SHMEM,
  MM,
  type Mm,
  VM_MAYWRITE,
  VM_SHARED,
  VM_UFFD_MISSING,
  VM_UFFD_WP,
  VM_WRITE,
  VMA,
  type Vma,
} from "./mm_types.ts";
import {
  anon_vma_prepare,
  find_vma,
  is_vm_hugetlb_page,
  split_vma_range,
  vma_flags,
  vma_is_anonymous,
  vma_kind,
  vma_lookup,
  vma_merge,
  vma_pgoff,
} from "./mmap.ts";
import { CP_UFFD_WP, CP_UFFD_WP_RESOLVE, change_protection_uffd } from "./mprotect.ts";
import { __SetPageUptodate, type Page, page_to_pfn } from "./page.ts";
import { GFP_HIGHUSER_MOVABLE } from "./page_alloc.ts";
import {
  _PAGE_SPECIAL,
  PMD_LEVEL,
  PTE_LEVEL,
  pfn_pte,
  pgtable_alloc,
  pgtable_lookup,
  pmd_leaf,
  pte_mkdirty,
  pte_mkuffd_wp,
  pte_mkwrite_vma,
  set_pte_at,
} from "./pgtable.ts";
import { page_add_new_anon_rmap, page_add_rmap_pte } from "./rmap.ts";
import { put_page } from "./swap.ts";

const UFFD_FLAGS = VM_UFFD_MISSING | VM_UFFD_WP;

// ---- Registering ------------------------------------------------------------------------------------------

/**
 * vma_can_userfault(): files but shmem and hugetlb cannot; write-protection was for anonymous memory only.
 */
function vma_can_userfault(vma: Vma, mode: number): boolean {
  if (vma_is_anonymous(vma)) return true;
  if ((mode & VM_UFFD_WP) !== 0 && !config.uffdWpFiles) return false;
  const kind = vma_kind(vma);
  return kind === AS_SHMEM || kind === AS_HUGETLB;
}
/** The part of an area gets these flags and that context; the area that covers it now, or an error. */
function set_vma_userfault(mm: Mm, area: Vma, start: number, end: number, ctx: number, mode: number): Vma {
  const vma = split_vma_range(mm, area, start, end);
  if (vma < 0) return vma;
  WRITE_ONCE(vma + VMA.vm_flags, (vma_flags(vma) & ~UFFD_FLAGS) | mode);
  WRITE_ONCE(vma + VMA.vm_userfaultfd_ctx, ctx);
  return vma_merge(mm, vma);
}
/** What userfaultfd_register() refuses before it changes anything: 0 or the error. */
function register_refused(vma: Vma, start: number, end: number, ctx: number, mode: number): number {
  if (!vma_can_userfault(vma, mode)) return -EINVAL;
  // "UFFDIO_COPY will fill file holes even without PROT_WRITE."
  if ((vma_flags(vma) & VM_MAYWRITE) === 0) return -EPERM;
  const mask = (1 << geom.pmd_shift) - 1;
  const vm_end = READ_ONCE(vma + VMA.vm_end);
  if (is_vm_hugetlb_page(vma) && ((start | (end < vm_end ? end : 0)) & mask) !== 0) return -EINVAL;
  const other = READ_ONCE(vma + VMA.vm_userfaultfd_ctx);
  return other !== 0 && other !== ctx ? -EBUSY : 0;
}
/**
 * UFFDIO_REGISTER with VM_UFFD_MISSING, VM_UFFD_WP or both: 0 or the error. mmap_lock is held for writing.
 */
export function userfaultfd_register(mm: Mm, ctx: number, start: number, len: number, mode: number): number {
  const end = start + len;
  if (len <= 0) return -EINVAL;
  const first = find_vma(mm, start);
  if (first === 0) return -ENOMEM;
  if (READ_ONCE(first + VMA.vm_start) >= end) return -EINVAL;
  for (
    let vma = first;
    vma !== 0 && READ_ONCE(vma + VMA.vm_start) < end;
    vma = READ_ONCE(vma + VMA.vm_next)
  ) {
    const error = register_refused(vma, start, end, ctx, mode);
    if (error !== 0) return error;
  }
  let addr = start;
  while (addr < end) {
    const vma = find_vma(mm, addr);
    if (vma === 0 || READ_ONCE(vma + VMA.vm_start) >= end) break;
    const vm_start = READ_ONCE(vma + VMA.vm_start);
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    const from = addr > vm_start ? addr : vm_start;
    const to = vm_end < end ? vm_end : end;
    const done = set_vma_userfault(mm, vma, from, to, ctx, mode);
    if (done < 0) return done;
    addr = to;
  }
  return 0;
}

/** userfaultfd_clear_vma(): what was write-protected is no longer (v6.0, f369b07c8614). */
function clear_vma(mm: Mm, vma: Vma, start: number, end: number): void {
  if (config.uffdResets && (vma_flags(vma) & VM_UFFD_WP) !== 0)
    change_protection_uffd(vma, start, end, CP_UFFD_WP_RESOLVE);
  set_vma_userfault(mm, vma, start, end, 0, 0);
}
/** UFFDIO_UNREGISTER: 0 or the error. mmap_lock is held for writing. */
export function userfaultfd_unregister(mm: Mm, start: number, len: number): number {
  const end = start + len;
  if (len <= 0) return -EINVAL;
  const first = find_vma(mm, start);
  if (first === 0) return -ENOMEM;
  if (READ_ONCE(first + VMA.vm_start) >= end) return -EINVAL;
  for (let vma = first; vma !== 0 && READ_ONCE(vma + VMA.vm_start) < end; vma = READ_ONCE(vma + VMA.vm_next))
    if (!vma_can_userfault(vma, vma_flags(vma) & UFFD_FLAGS)) return -EINVAL;
  for (let addr = start; addr < end; ) {
    const vma = find_vma(mm, addr);
    if (vma === 0 || READ_ONCE(vma + VMA.vm_start) >= end) break;
    const vm_start = READ_ONCE(vma + VMA.vm_start);
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    const to = vm_end < end ? vm_end : end;
    if (READ_ONCE(vma + VMA.vm_userfaultfd_ctx) !== 0)
      clear_vma(mm, vma, addr > vm_start ? addr : vm_start, to);
    addr = to;
  }
  return 0;
}
/** userfaultfd_release(): the descriptor is closed. mmap_lock is held for writing. */
export function userfaultfd_release(mm: Mm, ctx: number): void {
  for (let addr = 0; ; ) {
    const vma = find_vma(mm, addr);
    if (vma === 0) return;
    addr = READ_ONCE(vma + VMA.vm_end);
    if (READ_ONCE(vma + VMA.vm_userfaultfd_ctx) === ctx)
      clear_vma(mm, vma, READ_ONCE(vma + VMA.vm_start), addr);
  }
}
/** dup_userfaultfd() without UFFD_FEATURE_EVENT_FORK: the child's area is an ordinary one. */
export function dup_userfaultfd(dst: Vma): void {
  WRITE_ONCE(dst + VMA.vm_userfaultfd_ctx, 0);
  WRITE_ONCE(dst + VMA.vm_flags, vma_flags(dst) & ~UFFD_FLAGS);
}

// ---- Resolving --------------------------------------------------------------------------------------------

/** find_dst_vma(): the area with a context that holds the whole range, or 0. */
function find_dst_vma(mm: Mm, start: number, len: number): Vma {
  const vma = vma_lookup(mm, start);
  if (vma === 0 || READ_ONCE(vma + VMA.vm_userfaultfd_ctx) === 0) return 0;
  return start + len > READ_ONCE(vma + VMA.vm_end) ? 0 : vma;
}

/** UFFDIO_WRITEPROTECT (mwriteprotect_range()): 0 or the error. mmap_lock is held. */
export function mwriteprotect_range(mm: Mm, start: number, len: number, enable: boolean): number {
  const vma = find_dst_vma(mm, start, len);
  if (vma === 0 || (vma_flags(vma) & VM_UFFD_WP) === 0) return -ENOENT;
  if (is_vm_hugetlb_page(vma) && ((start | len) & ((1 << geom.pmd_shift) - 1)) !== 0) return -EINVAL;
  change_protection_uffd(vma, start, start + len, enable ? CP_UFFD_WP : CP_UFFD_WP_RESOLVE);
  return 0;
}

/** mfill_atomic_install_pte(): the page at addr, whose entry must be none. Takes the page's reference. */
function install_pte(vma: Vma, addr: number, page: Page, anon: boolean, wp: boolean): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const ptep = pgtable_alloc(mm, addr, PTE_LEVEL);
  if (ptep === 0) return -ENOMEM;
  if (READ_ONCE(ptep) !== 0) return -EEXIST;
  let pte = pte_mkdirty(pfn_pte(page_to_pfn(page), page_prot(vma)));
  const shared = (vma_flags(vma) & VM_SHARED) !== 0;
  const writable = (vma_flags(vma) & VM_WRITE) !== 0 && (anon || shared);
  if (writable) pte = pte_mkwrite_vma(pte, vma);
  if (wp) pte = pte_mkuffd_wp(pte);
  if (anon) {
    anon_vma_prepare(vma);
    page_add_new_anon_rmap(page, vma, addr);
    lru_cache_add_vma(page, vma);
  } else page_add_rmap_pte(page, vma);
  set_pte_at(ptep, pte);
  return 0;
}
/** mfill_atomic_pte_copy() of zeroes, shmem_mfill_atomic_pte(): one page; 0 or the error. */
function mfill_pte(vma: Vma, addr: number, wp: boolean): number {
  if ((vma_flags(vma) & VM_SHARED) !== 0) {
    const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
    const index = vma_pgoff(vma, addr);
    if (index >= READ_ONCE(file + ADDRESS_SPACE.i_size)) return -EFAULT;
    if (READ_ONCE(i_pages_slot(file, index)) !== 0 || find_page(file, index) !== 0) return -EEXIST;
    const page = filemap_get_page(file, index, GFP_HIGHUSER_MOVABLE);
    if (page <= 0) return -ENOMEM;
    const error = install_pte(vma, addr, page, false, wp);
    if (error !== 0) put_page(page);
    return error;
  }
  const page = alloc_anon_page(0);
  if (page === 0) return -ENOMEM;
  __SetPageUptodate(page);
  const error = install_pte(vma, addr, page, true, wp);
  if (error !== 0) put_page(page);
  return error;
}
/** mfill_atomic_pte_zeropage(). */
function zeropage_pte(vma: Vma, addr: number): number {
  if ((vma_flags(vma) & VM_SHARED) !== 0) return mfill_pte(vma, addr, false);
  const ptep = pgtable_alloc(READ_ONCE(vma + VMA.vm_mm), addr, PTE_LEVEL);
  if (ptep === 0) return -ENOMEM;
  if (READ_ONCE(ptep) !== 0) return -EEXIST;
  set_pte_at(ptep, pfn_pte(kernel.zero_pfn, page_prot(vma)) | _PAGE_SPECIAL);
  return 0;
}
/** There is a huge page already: "If an huge pmd materialized from under us fail". */
function huge_pmd_at(mm: Mm, addr: number): boolean {
  const out = localArray(1);
  return pgtable_lookup(mm, addr, out) === PMD_LEVEL && pmd_leaf(READ_ONCE(out[0]));
}

/**
 * * mfill_atomic() of len pages of zeroes (`zeropage`: UFFDIO_ZEROPAGE): how many were filled, or the error
 * of the first. mmap_lock is held.
 */
export function mfill_atomic(mm: Mm, start: number, len: number, zeropage: boolean, wp: boolean): number {
  const vma = find_dst_vma(mm, start, len);
  if (vma === 0) return -ENOENT;
  if (wp && (vma_flags(vma) & VM_UFFD_WP) === 0) return -EINVAL;
  if (is_vm_hugetlb_page(vma)) return -EINVAL;
  let copied = 0;
  let error = 0;
  spin_lock(mm + MM.page_table_lock);
  while (copied < len && error === 0) {
    const addr = start + copied;
    if (huge_pmd_at(mm, addr)) error = -EEXIST;
    else error = zeropage ? zeropage_pte(vma, addr) : mfill_pte(vma, addr, wp);
    if (error === 0) copied++;
  }
  spin_unlock(mm + MM.page_table_lock);
  return copied > 0 ? copied : error;
}
