/**
 * The threads of claim C7: a driver that mirrors an address space and lets its device read or write through
 * what it mirrored, against whatever takes the memory away: unmapping, the end of the address space, the
 * unbind of a DAX device, migration, collapse; or the right to write to it: mprotect, fork. What is checked:
 * the device never touches memory that was given back (a use after free), nor does the walk; it never writes
 * to memory that was made read-only once that has returned; and in the end the device's table agrees with the
 * CPU's.
 */
"use kernel";

import {
  assert,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../../machine/primitives.ts";
import { type DevDax, dev_dax_unbind } from "../../mm/dax.ts";
import {
  DMIRROR,
  type Dmirror,
  DPT_ENTRY_VALID,
  DPT_ENTRY_WRITE,
  DPT_PFN_SHIFT,
  dmirror_pt_slot,
} from "../../mm/dmirror.ts";
import { copy_area, mmput } from "../../mm/fork.ts";
import { do_madvise, MADV_DONTNEED, vm_munmap } from "../../mm/madvise.ts";
import { migrate_system_page } from "../../mm/migrate_device.ts";
import { entry_page, entry_writable } from "../../mm/migrate_entry.ts";
import { type Mm, VM_READ, VMA, type Vma } from "../../mm/mm_types.ts";
import { mmap_read_lock, mmap_read_unlock, mmap_write_lock, mmap_write_unlock } from "../../mm/mmap.ts";
import { change_protection } from "../../mm/mprotect.ts";
import { page_address, pfn_to_page } from "../../mm/page.ts";
import { level_span, PFN_SHIFT, PTE_LEVEL, pgtable_lookup, pmd_leaf } from "../../mm/pgtable.ts";
import { dmirror_access, dmirror_fault } from "../../mm/test_hmm.ts";
import { collapser } from "./uniform-race.ts";

/** Mirrors one page and reads it through the device's table, `accesses` times. */
export function driver(dmirror: Dmirror, addr: number, accesses: number): void {
  if (dmirror_fault(dmirror, addr, addr + 1, false) !== 0) return;
  for (let i = 0; i < accesses; i++) dmirror_access(dmirror, addr);
}

/**
 * Mirrors one page for writing and writes to it through the device's table, as hardware does: without asking
 * again.
 */
export function writing_driver(dmirror: Dmirror, addr: number, value: number): void {
  if (dmirror_fault(dmirror, addr, addr + 1, true) !== 0) return;
  spin_lock(dmirror + DMIRROR.mutex);
  const entry = READ_ONCE(dmirror_pt_slot(dmirror, addr));
  if ((entry & DPT_ENTRY_VALID) !== 0 && (entry & DPT_ENTRY_WRITE) !== 0)
    WRITE_ONCE(page_address(pfn_to_page(entry >>> DPT_PFN_SHIFT)), value);
  spin_unlock(dmirror + DMIRROR.mutex);
}

/**
 * mprotect(PROT_READ) of the area; then nobody writes to the page any more. `seen` is what it held: a word.
 */
export function protect(vma: Vma, pfn: number, seen: number): void {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  mmap_write_lock(mm);
  WRITE_ONCE(vma + VMA.vm_flags, VM_READ);
  change_protection(vma, READ_ONCE(vma + VMA.vm_start), READ_ONCE(vma + VMA.vm_end));
  mmap_write_unlock(mm);
  WRITE_ONCE(seen, READ_ONCE(page_address(pfn_to_page(pfn))));
}

/**
 * fork(): the area `dst` of the child gets what `src` has; what the child sees then is what it saw when fork
 * returned.
 */
export function fork(src: Vma, dst: Vma, pfn: number, seen: number): void {
  const mm: Mm = READ_ONCE(src + VMA.vm_mm);
  mmap_write_lock(mm);
  copy_area(src, dst);
  mmap_write_unlock(mm);
  WRITE_ONCE(seen, READ_ONCE(page_address(pfn_to_page(pfn))));
}

/** khugepaged: two small pages become the compound page `huge`. */
export function collapse(mm: Mm, addr: number): void {
  collapser(mm, addr);
}

/** madvise(MADV_DONTNEED): mappings go under mmap_lock for reading, tables and areas stay. */
export function madvise_dontneed(mm: Mm, addr: number, nr: number): void {
  mmap_read_lock(mm);
  do_madvise(mm, addr, nr, MADV_DONTNEED);
  mmap_read_unlock(mm);
}

/** munmap() of everything: the area is detached, its mappings and its tables go. */
export function munmap(mm: Mm, addr: number, nr: number): void {
  vm_munmap(mm, addr, nr);
}

/** The last thread of the process exits. */
export function exit(mm: Mm): void {
  mmput(mm);
}

/** The DAX device is unbound: its mappings go, then its memory. */
export function unbind(dev: DevDax): void {
  dev_dax_unbind(dev);
}

/** Compaction, or move_pages(): the page's contents move to another frame. */
export function migrate(pfn: number): void {
  migrate_system_page(pfn_to_page(pfn));
}

/** The CPU's entry for a page, of a huge leaf the part that maps it; 0 if nothing leads to it. */
function entry_of(mm: Mm, addr: number): number {
  const out = localArray(1);
  const level = pgtable_lookup(mm, addr, out);
  const e = READ_ONCE(out[0]);
  return level === PTE_LEVEL || !pmd_leaf(e) ? e : e + ((addr & (level_span(level) - 1)) << PFN_SHIFT);
}

/** What was made read-only has not been written to since. */
export function check_unwritten(dmirror: Dmirror, addr: number, pfn: number, seen: number): void {
  assert(
    READ_ONCE(page_address(pfn_to_page(pfn))) === READ_ONCE(seen),
    "the device has written to memory that was read-only by then",
  );
  check_mirror(dmirror, addr, 1);
}

/** What the device could still use leads where the CPU's entry leads. */
export function check_mirror(dmirror: Dmirror, addr: number, nr: number): void {
  const mm: Mm = READ_ONCE(dmirror + DMIRROR.mm);
  for (let a = addr; a < addr + nr; a++) {
    const entry = READ_ONCE(dmirror_pt_slot(dmirror, a));
    if ((entry & DPT_ENTRY_VALID) === 0) continue;
    const e = entry_of(mm, a);
    assert(
      entry_page(e) === pfn_to_page(entry >>> DPT_PFN_SHIFT),
      "the device maps another frame than the CPU",
    );
    assert(
      (entry & DPT_ENTRY_WRITE) === 0 || entry_writable(e),
      "the device may write where the CPU may not",
    );
  }
}
