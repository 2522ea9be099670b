/**
 * Faulting pages in without holding them (mm/gup.c: populate_vma_page_range(), __mm_populate(),
 * faultin_vma_page_range()): mlock(), MAP_POPULATE, MADV_POPULATE_READ and _WRITE. Read in v5.10, v6.1,
 * v6.12, v7.3.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { READ_ONCE } from "../machine/primitives.ts";
import { EFAULT, EHWPOISON, EINVAL, ENOMEM } from "./errno.ts";
import { FAULT_FLAG_WRITE, handle_mm_fault, VM_FAULT_ERROR, VM_FAULT_OOM } from "./fault.ts";
import { FOLL_FORCE, FOLL_HWPOISON, FOLL_MLOCK, FOLL_POPULATE, FOLL_TOUCH, FOLL_WRITE } from "./gup_flags.ts";
import { check_vma_flags, fault_in_pages } from "./gup_slow.ts";
import { lru_add_drain } from "./lru.ts";
import {
  type Mm,
  VM_EXEC,
  VM_IO,
  VM_LOCKONFAULT,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  VMA,
  type Vma,
} from "./mm_types.ts";
import { find_vma, mmap_read_lock, mmap_read_unlock, vma_flags, vma_lookup } from "./mmap.ts";

/**
 * populate_vma_page_range(): mlock() and MAP_POPULATE fault pages start .. end-1 of an area in, for a write
 * unless it is shared; their number, or the error if there is none; with VM_LOCKONFAULT all are counted and
 * none is faulted in. mmap_lock is held, and kept.
 */
export function populate_vma_page_range(mm: Mm, vma: Vma, start: number, end: number): number {
  const vm_flags = vma_flags(vma);
  let flags = FOLL_TOUCH;
  if (config.follMlock) flags |= FOLL_MLOCK | FOLL_POPULATE;
  if ((vm_flags & VM_LOCKONFAULT) !== 0) {
    if (!config.follMlock) return end - start;
    flags &= ~FOLL_POPULATE;
  }
  // "We want to touch writable mappings with a write fault in order to break COW, except for shared
  // mappings."
  if ((vm_flags & (VM_WRITE | VM_SHARED)) === VM_WRITE) flags |= FOLL_WRITE;
  // "We want mlock to succeed for regions that have any permissions other than PROT_NONE."
  if ((vm_flags & (VM_READ | VM_WRITE | VM_EXEC)) !== 0) flags |= FOLL_FORCE;
  const ret = fault_in_pages(mm, start, end - start, flags);
  if (!config.follMlock) lru_add_drain();
  return ret;
}
/**
 * faultin_vma_page_range() of MADV_POPULATE_READ and _WRITE (v5.14, 4ca9b3859dac): as above, but what the
 * area does not allow is -EINVAL.
 */
export function faultin_vma_page_range(mm: Mm, vma: Vma, start: number, end: number, write: boolean): number {
  const flags = FOLL_TOUCH | FOLL_HWPOISON | (write ? FOLL_WRITE : 0);
  if (check_vma_flags(vma, flags) !== 0) return -EINVAL;
  const ret = fault_in_pages(mm, start, end - start, flags);
  lru_add_drain();
  return ret;
}

/**
 * madvise_populate(): start .. end-1, area by area; 0, or the error of the first page that cannot be had. A
 * hole is -ENOMEM.
 */
export function madvise_populate(mm: Mm, start: number, end: number, write: boolean): number {
  for (let addr = start; addr < end; ) {
    const vma = vma_lookup(mm, addr);
    if (vma === 0) return -ENOMEM;
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    const got = faultin_vma_page_range(mm, vma, addr, vm_end < end ? vm_end : end, write);
    if (got === -EINVAL || got === -EFAULT || got === -EHWPOISON) return got;
    if (got <= 0) return -ENOMEM;
    addr += got;
  }
  return 0;
}

/**
 * fixup_user_fault(): makes a page accessible for the kernel's own access to a user's memory (futexes, KVM):
 * 0 or the error. mmap_lock is held.
 */
export function fixup_user_fault(mm: Mm, addr: number, write: boolean): number {
  const vma = vma_lookup(mm, addr);
  if (vma === 0) return -EFAULT;
  // vma_permits_fault()
  if ((vma_flags(vma) & (write ? VM_WRITE : VM_READ)) === 0) return -EFAULT;
  const ret = handle_mm_fault(mm, vma, addr, write ? FAULT_FLAG_WRITE : 0);
  if ((ret & VM_FAULT_ERROR) === 0) return 0;
  return (ret & VM_FAULT_OOM) !== 0 ? -ENOMEM : -EFAULT;
}

/**
 * fault_in_safe_writeable(): makes pages start .. start + nr - 1 writable for the kernel's own access without
 * writing to them; how many of them it could not, from the first that it could not on. Nothing keeps them so.
 * Read: v6.1, v6.12, v7.3.
 */
export function fault_in_safe_writeable(mm: Mm, start: number, nr: number): number {
  mmap_read_lock(mm);
  let done = 0;
  while (done < nr && fixup_user_fault(mm, start + done, true) === 0) done++;
  mmap_read_unlock(mm);
  return nr - done;
}

/**
 * __mm_populate(): pages start .. start + len - 1, area by area; drivers' mappings are passed over. 0, or
 * the error of the first page that cannot be had; with `ignore_errors` the next area is gone on with
 * (MAP_POPULATE).
 */
export function mm_populate(mm: Mm, start: number, len: number, ignore_errors: boolean): number {
  const end = start + len;
  let ret = 0;
  mmap_read_lock(mm);
  for (let addr = start; addr < end; ) {
    const vma = find_vma(mm, addr);
    if (vma === 0 || READ_ONCE(vma + VMA.vm_start) >= end) break;
    const vm_end = READ_ONCE(vma + VMA.vm_end);
    const next = vm_end < end ? vm_end : end;
    if ((vma_flags(vma) & (VM_IO | VM_PFNMAP)) !== 0) {
      addr = next;
      continue;
    }
    if (addr < READ_ONCE(vma + VMA.vm_start)) addr = READ_ONCE(vma + VMA.vm_start);
    const got = populate_vma_page_range(mm, vma, addr, next);
    if (got >= 0) addr += got;
    else if (ignore_errors) addr = next;
    else {
      ret = got;
      break;
    }
  }
  mmap_read_unlock(mm);
  return ret;
}
