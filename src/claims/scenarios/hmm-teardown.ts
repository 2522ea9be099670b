/**
 * The threads of claim C7: a driver that mirrors an address space and lets its device read through what it mirrored, against
 * whatever takes the memory away: unmapping, the end of the address space, the unbind of a DAX device, migration. What is
 * checked: the device never touches memory that was given back (a use after free), nor does the walk; and in the end
 * the device's table agrees with the CPU's.
 */
"use kernel";

import { assert, localArray, READ_ONCE, WRITE_ONCE } from "../../machine/primitives.ts";
import { type DevDax, dev_dax_unbind } from "../../mm/dax.ts";
import {
  DMIRROR,
  type Dmirror,
  DPT_ENTRY_VALID,
  DPT_ENTRY_WRITE,
  DPT_PFN_SHIFT,
  dmirror_pt_slot,
} from "../../mm/dmirror.ts";
import { zap_page_range } from "../../mm/memory.ts";
import { migrate_system_page } from "../../mm/migrate_device.ts";
import { entry_page, entry_writable, mm_find_pte } from "../../mm/migrate_entry.ts";
import { MM, type Mm } from "../../mm/mm_types.ts";
import { free_pgtables, mmput } from "../../mm/mm_users.ts";
import { mmap_read_lock, mmap_read_unlock, mmap_write_lock, mmap_write_unlock } from "../../mm/mmap.ts";
import { pfn_to_page } from "../../mm/page.ts";
import { dmirror_access, dmirror_fault } from "../../mm/test_hmm.ts";

/** Mirrors one page and reads it through the device's table, `accesses` times. */
export function driver(dmirror: Dmirror, addr: number, accesses: number): void {
  if (dmirror_fault(dmirror, addr, addr + 1, false) !== 0) return;
  for (let i = 0; i < accesses; i++) dmirror_access(dmirror, addr);
}

/** madvise(MADV_DONTNEED): mappings go under mmap_lock for reading, tables and areas stay. */
export function madvise_dontneed(mm: Mm, addr: number, nr: number): void {
  mmap_read_lock(mm);
  zap_page_range(mm, addr, nr);
  mmap_read_unlock(mm);
}

/** munmap() of everything: the area is detached, its mappings and its tables go. */
export function munmap(mm: Mm, addr: number, nr: number): void {
  mmap_write_lock(mm);
  WRITE_ONCE(mm + MM.mmap, 0);
  zap_page_range(mm, addr, nr);
  free_pgtables(mm, addr, addr + nr);
  mmap_write_unlock(mm);
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

/** What the device could still use leads where the CPU's entry leads. */
export function check_mirror(dmirror: Dmirror, addr: number, nr: number): void {
  const mm: Mm = READ_ONCE(dmirror + DMIRROR.mm);
  const none = localArray(1);
  for (let a = addr; a < addr + nr; a++) {
    const entry = READ_ONCE(dmirror_pt_slot(dmirror, a));
    if ((entry & DPT_ENTRY_VALID) === 0) continue;
    assert(READ_ONCE(mm + MM.pgd) !== none[0], "the device maps a page of an address space that is gone");
    const ptep = mm_find_pte(mm, a);
    const e = ptep === 0 ? 0 : READ_ONCE(ptep);
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
