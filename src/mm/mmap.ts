/**
 * Areas of an address space (mm/mmap.c): the list, find_vma(), splitting and merging, mmap(), munmap(), and
 * mmap_lock. Areas are kept by address, as up to v6.0. Protection changes are in mprotect.ts, advice in
 * madvise.ts.
 *
 * Custom: an area's file is its address_space, kept alive by its users count; anon_vma is a number that is
 * not 0 once the area may hold anonymous pages (the reverse map searches, rmap_walk.ts). Not covered:
 * accounting, stack growth, address selection (the caller chooses), MAP_FIXED over existing areas.
 */
"use kernel";

import { geom, kernel } from "../machine/config.ts";
import {
  assert,
  atomic_dec,
  atomic_inc,
  kfree,
  kzalloc,
  READ_ONCE,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { EINVAL, ENOMEM, ENXIO } from "./errno.ts";
import { split_huge_pmd_if_needed } from "./huge_split.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  AS_DEVDAX,
  AS_FSDAX,
  AS_HUGETLB,
  AS_SECRETMEM,
  MM,
  type Mm,
  VM_HUGEPAGE,
  VM_HUGETLB,
  VM_LOCKED,
  VM_MAYSHARE,
  VM_NOHUGEPAGE,
  VM_READ,
  VM_SHARED,
  VM_SPECIAL,
  VM_UFFD_MISSING,
  VM_UFFD_WP,
  VM_WRITE,
  VMA,
  type Vma,
} from "./mm_types.ts";
import { PAGE_NONE, PAGE_READONLY, PAGE_SHARED } from "./pgtable.ts";
import { down_read, down_read_killable, down_write, downgrade_write, up_read, up_write } from "./rwsem.ts";

/** Pools of kzalloc(). */
export const POOL_VMA = 32;

/** Not 0, and a multiple of 4: page->mapping has flags in its lowest bits (PAGE_MAPPING_KSM). */
const THE_ANON_VMA = 4;

// ---- Lock -------------------------------------------------------------------------------------------------

export function mmap_read_lock(mm: Mm): void {
  down_read(mm + MM.mmap_lock);
}
/** mmap_read_lock_killable(): 0, or -EINTR without the lock. */
export function mmap_read_lock_killable(mm: Mm): number {
  return down_read_killable(mm + MM.mmap_lock);
}
export function mmap_read_unlock(mm: Mm): void {
  up_read(mm + MM.mmap_lock);
}
export function mmap_write_lock(mm: Mm): void {
  down_write(mm + MM.mmap_lock);
}
export function mmap_write_unlock(mm: Mm): void {
  up_write(mm + MM.mmap_lock);
}

/** The rest is done as a reader. */
export function mmap_write_downgrade(mm: Mm): void {
  downgrade_write(mm + MM.mmap_lock);
}

// ---- Looking up -------------------------------------------------------------------------------------------

/** First area that ends above addr, or 0. */
export function find_vma(mm: Mm, addr: number): Vma {
  let vma: Vma = READ_ONCE(mm + MM.mmap);
  while (vma !== 0 && READ_ONCE(vma + VMA.vm_end) <= addr) vma = READ_ONCE(vma + VMA.vm_next);
  return vma;
}
/** The area that holds addr, or 0. */
export function vma_lookup(mm: Mm, addr: number): Vma {
  const vma = find_vma(mm, addr);
  return vma !== 0 && READ_ONCE(vma + VMA.vm_start) <= addr ? vma : 0;
}
export function vma_flags(vma: Vma): number {
  return READ_ONCE(vma + VMA.vm_flags);
}
export function vma_is_anonymous(vma: Vma): boolean {
  return READ_ONCE(vma + VMA.vm_file) === 0;
}
export function is_vm_hugetlb_page(vma: Vma): boolean {
  if (kernel.hugetlb === 0) return false;
  return (vma_flags(vma) & VM_HUGETLB) !== 0;
}
/** is_cow_mapping(): private and possibly writable. Every private mapping here may be made writable. */
export function is_cow_mapping(vma: Vma): boolean {
  return (vma_flags(vma) & VM_SHARED) === 0;
}
/** The file's kind (AS_*), 0 if anonymous. */
export function vma_kind(vma: Vma): number {
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  return file === 0 ? 0 : READ_ONCE(file + ADDRESS_SPACE.kind);
}
export function vma_is_dax(vma: Vma): boolean {
  const kind = vma_kind(vma);
  return kind === AS_DEVDAX || kind === AS_FSDAX;
}
/** The number of the page of the file (or of the anonymous area) at addr. */
export function vma_pgoff(vma: Vma, addr: number): number {
  return addr - READ_ONCE(vma + VMA.vm_start) + READ_ONCE(vma + VMA.vm_pgoff);
}
/** vma->vm_page_prot: a private area's entries are not writable from the start. */
export function vm_page_prot(vma: Vma, wants_writenotify: boolean): number {
  const flags = vma_flags(vma);
  if ((flags & (VM_READ | VM_WRITE)) === 0) return PAGE_NONE;
  if ((flags & (VM_SHARED | VM_WRITE)) === (VM_SHARED | VM_WRITE) && !wants_writenotify) return PAGE_SHARED;
  return PAGE_READONLY;
}

// ---- The list ---------------------------------------------------------------------------------------------

export function i_mmap_lock_read(mapping: AddressSpace): void {
  down_read(mapping + ADDRESS_SPACE.i_mmap_rwsem);
}
export function i_mmap_unlock_read(mapping: AddressSpace): void {
  up_read(mapping + ADDRESS_SPACE.i_mmap_rwsem);
}

function vma_link_file(vma: Vma): void {
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  if (file === 0) return;
  down_write(file + ADDRESS_SPACE.i_mmap_rwsem);
  WRITE_ONCE(vma + VMA.shared_next, READ_ONCE(file + ADDRESS_SPACE.i_mmap));
  WRITE_ONCE(file + ADDRESS_SPACE.i_mmap, vma);
  atomic_inc(file + ADDRESS_SPACE.nr_users);
  up_write(file + ADDRESS_SPACE.i_mmap_rwsem);
}
/** unlink_file_vma(): nobody finds the area through its file any more. */
export function unlink_file_vma(vma: Vma): void {
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  if (file === 0) return;
  down_write(file + ADDRESS_SPACE.i_mmap_rwsem);
  let link = file + ADDRESS_SPACE.i_mmap;
  while (READ_ONCE(link) !== vma) link = READ_ONCE(link) + VMA.shared_next;
  WRITE_ONCE(link, READ_ONCE(vma + VMA.shared_next));
  up_write(file + ADDRESS_SPACE.i_mmap_rwsem);
}
/** fput() of the area's file, whose last reference the caller may have to deal with (file_put()). */
export function vma_put_file(vma: Vma): void {
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  if (file !== 0) atomic_dec(file + ADDRESS_SPACE.nr_users);
}

/** vma_link(): into the address space's list and the file's. */
export function vma_link(mm: Mm, vma: Vma): void {
  const start = READ_ONCE(vma + VMA.vm_start);
  let link = mm + MM.mmap;
  let next: Vma = READ_ONCE(link);
  while (next !== 0 && READ_ONCE(next + VMA.vm_start) < start) {
    link = next + VMA.vm_next;
    next = READ_ONCE(link);
  }
  WRITE_ONCE(vma + VMA.vm_next, next);
  WRITE_ONCE(link, vma);
  vma_link_file(vma);
}
function vma_unlink(mm: Mm, vma: Vma): void {
  let link = mm + MM.mmap;
  while (READ_ONCE(link) !== vma) link = READ_ONCE(link) + VMA.vm_next;
  WRITE_ONCE(link, READ_ONCE(vma + VMA.vm_next));
}
/** An area that another one takes over: off both lists and freed. */
export function remove_vma(mm: Mm, vma: Vma): void {
  vma_unlink(mm, vma);
  unlink_file_vma(vma);
  vma_put_file(vma);
  kfree(vma);
}
/**
 * detach_vmas_to_be_unmapped(): the areas that begin at start <= address < end leave the address space's
 * list, and are one of their own from the first on, which is returned; 0: there are none.
 */
export function detach_vmas(mm: Mm, start: number, end: number): Vma {
  let link = mm + MM.mmap;
  let vma: Vma = READ_ONCE(link);
  while (vma !== 0 && READ_ONCE(vma + VMA.vm_start) < start) {
    link = vma + VMA.vm_next;
    vma = READ_ONCE(link);
  }
  const first = vma;
  let last: Vma = 0;
  while (vma !== 0 && READ_ONCE(vma + VMA.vm_start) < end) {
    last = vma;
    vma = READ_ONCE(vma + VMA.vm_next);
  }
  if (last === 0) return 0;
  WRITE_ONCE(link, vma);
  WRITE_ONCE(last + VMA.vm_next, 0);
  return first;
}
/** The end of the area below addr, 0 if there is none: what free_pgtables() must not go below. */
export function end_below(mm: Mm, addr: number): number {
  let end = 0;
  for (
    let vma: Vma = READ_ONCE(mm + MM.mmap);
    vma !== 0 && READ_ONCE(vma + VMA.vm_start) < addr;
    vma = READ_ONCE(vma + VMA.vm_next)
  )
    end = READ_ONCE(vma + VMA.vm_end);
  return end;
}
/** The start of the first area from addr on, 0 if there is none. */
export function start_above(mm: Mm, addr: number): number {
  const vma = find_vma(mm, addr);
  return vma === 0 ? 0 : READ_ONCE(vma + VMA.vm_start);
}

/** vm_area_dup(): a copy that is on no list; 0 if memory is out. */
export function vm_area_dup(vma: Vma): Vma {
  const copy: Vma = kzalloc(POOL_VMA);
  if (copy === 0) return 0;
  for (let i = 0; i < VMA.SIZE; i++) WRITE_ONCE(copy + i, READ_ONCE(vma + i));
  WRITE_ONCE(copy + VMA.vm_next, 0);
  WRITE_ONCE(copy + VMA.shared_next, 0);
  return copy;
}

/** vm_ops->may_split: devices and hugetlb areas can be cut between their huge pages only. */
export function vma_may_split(vma: Vma, addr: number): boolean {
  const file: AddressSpace = READ_ONCE(vma + VMA.vm_file);
  if (is_vm_hugetlb_page(vma)) return (addr & (geom.hpage_pmd_nr - 1)) === 0;
  if (file === 0 || READ_ONCE(file + ADDRESS_SPACE.kind) !== AS_DEVDAX) return true;
  return (addr & ((1 << READ_ONCE(file + ADDRESS_SPACE.align)) - 1)) === 0;
}

/** __split_vma(): the area ends at addr, a new one begins there. The error or 0. */
export function split_vma(mm: Mm, vma: Vma, addr: number): number {
  if (!vma_may_split(vma, addr)) return -EINVAL;
  split_huge_pmd_if_needed(vma, addr);
  const upper = vm_area_dup(vma);
  if (upper === 0) return -ENOMEM;
  WRITE_ONCE(upper + VMA.vm_start, addr);
  WRITE_ONCE(upper + VMA.vm_pgoff, vma_pgoff(vma, addr));
  WRITE_ONCE(vma + VMA.vm_end, addr);
  vma_link(mm, upper);
  return 0;
}

function can_vma_merge(a: Vma, b: Vma): boolean {
  if (READ_ONCE(a + VMA.vm_end) !== READ_ONCE(b + VMA.vm_start)) return false;
  if (vma_flags(a) !== vma_flags(b) || (vma_flags(a) & VM_SPECIAL) !== 0) return false;
  if (READ_ONCE(a + VMA.vm_file) !== READ_ONCE(b + VMA.vm_file)) return false;
  if (READ_ONCE(a + VMA.vm_userfaultfd_ctx) !== READ_ONCE(b + VMA.vm_userfaultfd_ctx)) return false;
  const anon_a = READ_ONCE(a + VMA.anon_vma);
  const anon_b = READ_ONCE(b + VMA.anon_vma);
  if (anon_a !== anon_b && anon_a !== 0 && anon_b !== 0) return false;
  return vma_pgoff(a, READ_ONCE(a + VMA.vm_end)) === READ_ONCE(b + VMA.vm_pgoff);
}
/** vma_merge(): joins the area with neighbours that are like it; the area that now covers its range. */
export function vma_merge(mm: Mm, area: Vma): Vma {
  let vma = area;
  const next: Vma = READ_ONCE(vma + VMA.vm_next);
  if (next !== 0 && can_vma_merge(vma, next)) {
    const end = READ_ONCE(next + VMA.vm_end);
    if (READ_ONCE(vma + VMA.anon_vma) === 0) WRITE_ONCE(vma + VMA.anon_vma, READ_ONCE(next + VMA.anon_vma));
    remove_vma(mm, next);
    WRITE_ONCE(vma + VMA.vm_end, end);
  }
  const start = READ_ONCE(vma + VMA.vm_start);
  if (start === 0) return vma;
  const prev = vma_lookup(mm, start - 1);
  if (prev !== 0 && can_vma_merge(prev, vma)) {
    const end = READ_ONCE(vma + VMA.vm_end);
    if (READ_ONCE(prev + VMA.anon_vma) === 0) WRITE_ONCE(prev + VMA.anon_vma, READ_ONCE(vma + VMA.anon_vma));
    remove_vma(mm, vma);
    WRITE_ONCE(prev + VMA.vm_end, end);
    vma = prev;
  }
  return vma;
}

/**
 * The area that is start <= address < end of the given one, which is split where these lie inside it, or an
 * error. The beginning of vma_modify() (v6.7); before, mprotect, mlock, madvise and userfaultfd had it each.
 */
export function split_vma_range(mm: Mm, area: Vma, start: number, end: number): Vma {
  let vma = area;
  if (start > READ_ONCE(vma + VMA.vm_start)) {
    const error = split_vma(mm, vma, start);
    if (error !== 0) return error;
    vma = vma_lookup(mm, start);
  }
  if (end < READ_ONCE(vma + VMA.vm_end)) {
    const error = split_vma(mm, vma, end);
    if (error !== 0) return error;
  }
  return vma;
}

/**
 * vma_modify_flags() (v6.7, 94d7d9233951; mprotect and madvise had it each before): other flags for start <=
 * address < end of the area, which is split where they begin and end. The area that now covers the range, or
 * an error.
 */
export function vma_modify_flags(mm: Mm, area: Vma, start: number, end: number, flags: number): Vma {
  const vma = split_vma_range(mm, area, start, end);
  if (vma < 0) return vma;
  WRITE_ONCE(vma + VMA.vm_flags, flags);
  return vma_merge(mm, vma);
}

// ---- mmap -------------------------------------------------------------------------------------------------

/** Checks of a file's own mmap operation: the error or 0. */
function call_mmap(file: AddressSpace, start: number, len: number, pgoff: number, flags: number): number {
  const kind = READ_ONCE(file + ADDRESS_SPACE.kind);
  if (kind === AS_DEVDAX) {
    // check_vma() of drivers/dax/device.c: shared, aligned to the device, "if the device is not alive":
    // -ENXIO.
    if ((flags & VM_SHARED) === 0) return -EINVAL;
    const mask = (1 << READ_ONCE(file + ADDRESS_SPACE.align)) - 1;
    if (((start | (start + len)) & mask) !== 0) return -EINVAL;
    if (READ_ONCE(file + ADDRESS_SPACE.alive) === 0) return -ENXIO;
  }
  // secretmem_mmap(); the flags that it adds (VM_LOCKED, VM_DONTDUMP) are the caller's to give.
  if (kind === AS_SECRETMEM && (flags & (VM_SHARED | VM_MAYSHARE)) === 0) return -EINVAL;
  if (kind === AS_HUGETLB && ((start | len | pgoff) & (geom.hpage_pmd_nr - 1)) !== 0) return -EINVAL;
  return 0;
}

/**
 * mmap() at an address that is free: maps `len` pages of `file` (0: anonymous) from page `pgoff` on. `flags`
 * are VM_*. The error (negative) or 0.
 */
export function do_mmap(
  mm: Mm,
  start: number,
  len: number,
  flags: number,
  file: AddressSpace,
  pgoff: number,
): number {
  assert(
    find_vma(mm, start) === 0 || READ_ONCE(find_vma(mm, start) + VMA.vm_start) >= start + len,
    "mmap over an area",
  );
  if (file !== 0) {
    const error = call_mmap(file, start, len, pgoff, flags);
    if (error !== 0) return error;
  }
  const vma: Vma = kzalloc(POOL_VMA);
  if (vma === 0) return -ENOMEM;
  WRITE_ONCE(vma + VMA.vm_start, start);
  WRITE_ONCE(vma + VMA.vm_end, start + len);
  WRITE_ONCE(vma + VMA.vm_mm, mm);
  WRITE_ONCE(vma + VMA.vm_flags, flags);
  WRITE_ONCE(vma + VMA.vm_pgoff, file === 0 ? start : pgoff);
  WRITE_ONCE(vma + VMA.vm_file, file);
  vma_link(mm, vma);
  vma_merge(mm, vma);
  return 0;
}
/**
 * anon_vma_prepare(): from now on the area may hold anonymous pages. Custom: all areas have the same
 * anon_vma.
 */
export function anon_vma_prepare(vma: Vma): void {
  if (READ_ONCE(vma + VMA.anon_vma) === 0) WRITE_ONCE(vma + VMA.anon_vma, THE_ANON_VMA);
}

/** Flags that decide whether a huge page may be used here; the rest of transparent_hugepage_active(). */
export function vma_wants_thp(vma: Vma): boolean {
  return (vma_flags(vma) & (VM_HUGEPAGE | VM_NOHUGEPAGE)) === VM_HUGEPAGE;
}
/** userfaultfd_armed(): faults of the area may be a program's to resolve. */
export function userfaultfd_armed(vma: Vma): boolean {
  return (vma_flags(vma) & (VM_UFFD_MISSING | VM_UFFD_WP)) !== 0;
}
export function vma_is_locked(vma: Vma): boolean {
  return (vma_flags(vma) & VM_LOCKED) !== 0;
}
