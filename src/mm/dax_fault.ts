/**
 * Faults of DAX mappings (drivers/dax/device.c: dev_dax_huge_fault(); fs/dax.c for a file): the frame behind
 * an address, put into an entry of the device's granularity. To v6.14 entries hold no reference; from v6.15
 * (aed877c2b425) they do, and count as mappings.
 *
 * Custom: a file's blocks are contiguous; there is one device-dax granularity per device.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { assert, READ_ONCE } from "../machine/primitives.ts";
import { FAULT_FLAG_WRITE, VM_FAULT_FALLBACK, VM_FAULT_SIGBUS } from "./fault.ts";
import { maybe_mkwrite } from "./huge_split.ts";
import { ADDRESS_SPACE, type AddressSpace, AS_FSDAX, VM_SHARED, VMA, type Vma } from "./mm_types.ts";
import { vm_page_prot, vma_flags, vma_pgoff } from "./mmap.ts";
import { get_page, pfn_to_page } from "./page.ts";
import {
  _PAGE_DEVMAP,
  _PAGE_PSE,
  _PAGE_SPECIAL,
  type EntryPtr,
  PMD_LEVEL,
  PTE_LEVEL,
  pfn_pte,
  pte_mkdirty,
  set_pte_at,
} from "./pgtable.ts";
import { page_add_rmap_pmd, page_add_rmap_pte } from "./rmap.ts";

function dax_file(vma: Vma): AddressSpace {
  return READ_ONCE(vma + VMA.vm_file);
}
/** log2 of the pages of the device's granularity. */
function dax_align(file: AddressSpace): number {
  return READ_ONCE(file + ADDRESS_SPACE.align);
}

/** vmf_insert_mixed(), vmf_insert_pfn_pmd(), vmf_insert_pfn_pud(); vmf_insert_folio_*() from v6.15. */
export function insert_dax(vma: Vma, entryp: EntryPtr, pfn: number, level: number, write: boolean): void {
  assert(kernel.no_huge === 0 || level === PTE_LEVEL, "a huge entry on a machine without them");
  // A file system wants to see the first write to a page (vma_wants_writenotify()); a device does not.
  const fsdax = vma_is_fsdax(vma);
  const shared_write = write && (vma_flags(vma) & VM_SHARED) !== 0;
  let e = pfn_pte(pfn, vm_page_prot(vma, fsdax)) | (level > PTE_LEVEL ? _PAGE_PSE : 0);
  if (config.pteDevmap) e |= _PAGE_DEVMAP | (level === PTE_LEVEL ? _PAGE_SPECIAL : 0);
  // vmf_insert_mixed() leaves the PTE clean; vmf_insert_pfn_pmd() and vmf_insert_page_mkwrite() do not.
  if (shared_write && (fsdax || level > PTE_LEVEL || !config.pteDevmap))
    e = maybe_mkwrite(pte_mkdirty(e), vma);
  if (config.pteRef) {
    const page = pfn_to_page(pfn);
    get_page(page);
    if (level === PTE_LEVEL) page_add_rmap_pte(page, vma);
    else page_add_rmap_pmd(page, vma);
  }
  set_pte_at(entryp, e);
}

/**
 * dev_dax_huge_fault() and the file system's, for a leaf of `level`; VM_FAULT_FALLBACK: try a smaller one.
 */
export function create_huge_dax(
  vma: Vma,
  addr: number,
  entryp: EntryPtr,
  level: number,
  flags: number,
): number {
  const file = dax_file(vma);
  if (READ_ONCE(file + ADDRESS_SPACE.alive) === 0) return VM_FAULT_SIGBUS;
  const shift = level * geom.table_shift;
  if (dax_align(file) > shift) return VM_FAULT_SIGBUS;
  if (dax_align(file) < shift) return VM_FAULT_FALLBACK;
  const start = addr - (addr & ((1 << shift) - 1));
  if (start < READ_ONCE(vma + VMA.vm_start) || start + (1 << shift) > READ_ONCE(vma + VMA.vm_end))
    return VM_FAULT_SIGBUS;
  const pgoff = vma_pgoff(vma, start);
  if (pgoff + (1 << shift) > READ_ONCE(file + ADDRESS_SPACE.i_size)) return VM_FAULT_SIGBUS;
  if (READ_ONCE(entryp) !== 0 && level === PMD_LEVEL && (READ_ONCE(entryp) & _PAGE_PSE) === 0)
    return VM_FAULT_FALLBACK;
  insert_dax(
    vma,
    entryp,
    READ_ONCE(file + ADDRESS_SPACE.first_pfn) + pgoff,
    level,
    (flags & FAULT_FLAG_WRITE) !== 0,
  );
  return 0;
}

/** The same for a PTE. */
export function dax_pte_fault(vma: Vma, addr: number, ptep: EntryPtr, flags: number): number {
  const file = dax_file(vma);
  if (READ_ONCE(file + ADDRESS_SPACE.alive) === 0) return VM_FAULT_SIGBUS;
  if (dax_align(file) > 0) return VM_FAULT_SIGBUS;
  const pgoff = vma_pgoff(vma, addr);
  if (pgoff >= READ_ONCE(file + ADDRESS_SPACE.i_size)) return VM_FAULT_SIGBUS;
  insert_dax(
    vma,
    ptep,
    READ_ONCE(file + ADDRESS_SPACE.first_pfn) + pgoff,
    PTE_LEVEL,
    (flags & FAULT_FLAG_WRITE) !== 0,
  );
  return 0;
}
/** The mapping belongs to a file system on a DAX device. */
export function vma_is_fsdax(vma: Vma): boolean {
  const file = dax_file(vma);
  return file !== 0 && READ_ONCE(file + ADDRESS_SPACE.kind) === AS_FSDAX;
}
