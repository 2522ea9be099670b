/**
 * User shadow stacks (arch/x86/kernel/shstk.c, v6.6): private anonymous areas with VM_SHADOW_STACK, whose
 * entries are not writable but dirty, which the hardware lets calls, returns and WRUSS write and ordinary
 * stores only read. What GUP makes of them is in gup_slow.ts (check_vma_flags()) and pgtable.ts (pte_write(),
 * pte_access_permitted()).
 *
 * Custom: a token is one word of the page. Not covered: guard gaps, the threads' shadow stacks, mprotect() of
 * one.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { localArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { EFAULT, ENOSYS, EOPNOTSUPP } from "./errno.ts";
import { FAULT_FLAG_WRITE, handle_mm_fault, VM_FAULT_ERROR } from "./fault.ts";
import { type Mm, VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_SHADOW_STACK, VM_WRITE } from "./mm_types.ts";
import { do_mmap, mmap_read_lock, mmap_read_unlock, vma_flags, vma_lookup } from "./mmap.ts";
import { page_address, pfn_to_page } from "./page.ts";
import { level_span, pgtable_lookup, pte_mkyoung, pte_pfn, pte_present, pte_shstk } from "./pgtable.ts";

/** Faults that one store may take: none, present, a shadow stack's; with one to spare. */
const STORE_ROUNDS = 4;

/**
 * map_shadow_stack(): `len` pages at an address that is free. 0, -ENOSYS to v6.5, -EOPNOTSUPP without the
 * CPU's support, or mmap()'s error.
 */
export function map_shadow_stack(mm: Mm, start: number, len: number): number {
  if (!config.shadowStack) return -ENOSYS;
  if (kernel.shadow_stack === 0) return -EOPNOTSUPP;
  const flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_SHADOW_STACK;
  return do_mmap(mm, start, len, flags, 0, 0);
}

/**
 * A fault of a shadow-stack access (X86_PF_SHSTK), which is one for writing whatever the access; false:
 * SIGSEGV.
 */
function shadow_stack_fault(mm: Mm, addr: number): boolean {
  mmap_read_lock(mm);
  const vma = vma_lookup(mm, addr);
  const both = VM_SHADOW_STACK | VM_WRITE;
  let ok = vma !== 0 && (vma_flags(vma) & both) === both;
  if (ok) ok = (handle_mm_fault(mm, vma, addr, FAULT_FLAG_WRITE) & VM_FAULT_ERROR) === 0;
  mmap_read_unlock(mm);
  return ok;
}

/** write_user_shstk_64(): one store of the kind that a call does (WRUSS). 0 or -EFAULT. */
export function write_user_shstk(mm: Mm, addr: number, value: number): number {
  const out = localArray(1);
  for (let round = 0; round < STORE_ROUNDS; round++) {
    const level = pgtable_lookup(mm, addr, out);
    const e = READ_ONCE(out[0]);
    if (pte_present(e) && pte_shstk(e)) {
      WRITE_ONCE(out[0], pte_mkyoung(e));
      WRITE_ONCE(page_address(pfn_to_page(pte_pfn(e) + (addr & (level_span(level) - 1)))), value);
      return 0;
    }
    if (!shadow_stack_fault(mm, addr)) return -EFAULT;
  }
  return -EFAULT;
}
