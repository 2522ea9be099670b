/**
 * What the tests of GUP's answers share: the kernels, areas' flags, and a look at entries and counts of a
 * booted machine.
 */

import { expect } from "vitest";
import { mem } from "../../src/machine/memory.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { VM_MAYREAD, VM_MAYSHARE, VM_MAYWRITE, VM_READ, VM_SHARED, VM_WRITE } from "../../src/mm/mm_types.ts";
import { compound_head, PAGE, page_word } from "../../src/mm/page.ts";
import { pgtable_lookup } from "../../src/mm/pgtable.ts";
import { accessUser } from "../../src/replay/access.ts";

export const KERNELS = ["5.10.0", "6.1.0", "6.12.0", "7.3.0"] as const;
export const RW: number = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE;
export const SHARED: number = RW | VM_SHARED | VM_MAYSHARE;
/** Page number of a user address, on a boundary of every leaf but the largest. */
export const AT: number = 1 << 19;

/** The program accesses n pages, one after the other. */
export function touch(mm: number, addr: number, n: number, write = true): void {
  for (let i = 0; i < n; i++) expect(typeof accessUser(mm, addr + i, write)).toBe("number");
}
/** Address and level of the entry that maps addr, or would. */
export function entryp(mm: number, addr: number): { readonly level: number; readonly at: number } {
  const out = new Int32Array(1);
  const level = pgtable_lookup(mm, addr, out);
  return { level, at: out[0] as number };
}
export function entry(mm: number, addr: number): number {
  return mem[entryp(mm, addr).at] as number;
}
/** References of the page's head, none of them of a batch on its way to the LRU. */
export function refs(page: number): number {
  lru_add_drain();
  return mem[page_word(compound_head(page), PAGE._refcount)] as number;
}
