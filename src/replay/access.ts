/**
 * What a user program's loads and stores do: the hardware's walk with its accessed and dirty bits, and the
 * page fault handler when that fails (arch/x86/mm/fault.c: do_user_addr_fault()). The signal that the program
 * gets, or none.
 */

import { localArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import {
  FAULT_FLAG_WRITE,
  handle_mm_fault,
  VM_FAULT_ERROR,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
} from "../mm/fault.ts";
import { VM_READ, VM_SHADOW_STACK, VM_WRITE } from "../mm/mm_types.ts";
import { mmap_read_lock, mmap_read_unlock, vma_flags, vma_lookup } from "../mm/mmap.ts";
import { page_address, pfn_to_page } from "../mm/page.ts";
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  level_span,
  pgtable_lookup,
  pte_access_permitted,
  pte_pfn,
} from "../mm/pgtable.ts";

export type Signal = "SIGSEGV" | "SIGBUS" | "SIGKILL";

const out = localArray(1);

/** Address of the page's contents, or the signal. */
export function accessUser(mm: number, addr: number, write: boolean): number | Signal {
  // A fault makes progress each time: none, present, writable; more rounds would be a loop.
  for (let round = 0; round < 6; round++) {
    const level = pgtable_lookup(mm, addr, out);
    const entryp = out[0] as number;
    const e = READ_ONCE(entryp);
    if (level <= 2 && pte_access_permitted(e, write)) {
      WRITE_ONCE(entryp, e | _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0));
      const offset = addr & (level_span(level) - 1);
      return page_address(pfn_to_page(pte_pfn(e) + offset));
    }
    mmap_read_lock(mm);
    const signal = fault(mm, addr, write);
    mmap_read_unlock(mm);
    if (signal !== null) return signal;
  }
  throw new Error(`the fault at page ${addr} does not make it accessible`);
}

function fault(mm: number, addr: number, write: boolean): Signal | null {
  const vma = vma_lookup(mm, addr);
  if (vma === 0) return "SIGSEGV";
  const flags = vma_flags(vma);
  if (write && (flags & VM_SHADOW_STACK) !== 0) return "SIGSEGV";
  if (write ? (flags & VM_WRITE) === 0 : (flags & (VM_READ | VM_WRITE)) === 0) return "SIGSEGV";
  const ret = handle_mm_fault(mm, vma, addr, write ? FAULT_FLAG_WRITE : 0);
  if ((ret & VM_FAULT_ERROR) === 0) return null;
  if ((ret & (VM_FAULT_SIGBUS | VM_FAULT_HWPOISON)) !== 0) return "SIGBUS";
  return (ret & VM_FAULT_OOM) !== 0 ? "SIGKILL" : "SIGSEGV";
}
