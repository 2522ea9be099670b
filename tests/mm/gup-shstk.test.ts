/**
 * GUP of user shadow stacks (VM_SHADOW_STACK, x86, v6.6): read like other memory, written only by force.
 * Kernels to v6.5 have none.
 */

import { describe, expect, test } from "vitest";
import { config, kernel } from "../../src/machine/config.ts";
import { mem } from "../../src/machine/memory.ts";
import { dup_mm, mm_create } from "../../src/mm/fork.ts";
import { unpin_user_pages } from "../../src/mm/gup.ts";
import { gup_fast, gup_fast_only, gup_locked, gup_unlocked } from "../../src/mm/gup_entry.ts";
import { FOLL_FORCE, FOLL_LONGTERM, FOLL_NOFAULT, FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { faultin_vma_page_range, populate_vma_page_range } from "../../src/mm/gup_populate.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { do_madvise, MADV_HUGEPAGE } from "../../src/mm/madvise.ts";
import {
  VM_HUGETLB,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_READ,
  VM_SHADOW_STACK,
  VM_SHARED,
  VM_WRITE,
} from "../../src/mm/mm_types.ts";
import { do_mmap, vma_flags, vma_lookup } from "../../src/mm/mmap.ts";
import { page_address, pfn_to_page } from "../../src/mm/page.ts";
import { page_zone_nr, ZONE_MOVABLE } from "../../src/mm/page_alloc.ts";
import {
  _PAGE_DIRTY,
  _PAGE_RW,
  pte_access_permitted,
  pte_pfn,
  pte_shstk,
  pte_write,
} from "../../src/mm/pgtable.ts";
import { map_shadow_stack, write_user_shstk } from "../../src/mm/shstk.ts";
import { accessUser } from "../../src/replay/access.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine, type MachineNeeds } from "../../src/replay/machine.ts";
import { pinsCounted } from "../replay/counts.ts";
import { AT, entry, RW } from "./gup-machine.ts";

/** Eight ordinary pages and eight of a shadow stack, of which six are written to, in one table of PTEs. */
const STACK = AT + 8;
const USED = 6;
const EFAULT = -14;
const EINVAL = -22;
const ENOSYS = -38;
const EOPNOTSUPP = -95;
const FORCED = FOLL_WRITE | FOLL_FORCE;

interface Booted {
  readonly mm: number;
  readonly pages: Int32Array;
}
function boot(name: string, needs: Partial<MachineNeeds> = {}, map = true): Booted {
  bootReplayMachine(kernelProfile(name, "test"), {
    devices: new Set(),
    hugeZero: false,
    movable: false,
    shadowStacks: true,
    ...needs,
  });
  const mm = mm_create();
  expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
  for (let i = 0; i < 8; i++) expect(typeof accessUser(mm, AT + i, true)).toBe("number");
  if (map) {
    expect(map_shadow_stack(mm, STACK, 8)).toBe(0);
    for (let i = 0; i < USED; i++) expect(write_user_shstk(mm, STACK + i, 100 + i)).toBe(0);
    lru_add_drain();
  }
  return { mm, pages: new Int32Array(1024) };
}

describe.each(["5.10.0", "6.1.0"])("shadow stacks in %s", (name) => {
  test("cannot be mapped (ENOSYS), and an entry that is dirty and not writable is nothing special", () => {
    const { mm } = boot(name, {}, false);
    expect(map_shadow_stack(mm, STACK, 8)).toBe(ENOSYS);
    expect(vma_lookup(mm, STACK)).toBe(0);
    expect(pte_write((entry(mm, AT) | _PAGE_DIRTY) & ~_PAGE_RW)).toBe(false);
    expect([config.shadowStack, kernel.shadow_stack]).toEqual([0, 0]);
  });
});

describe.each(["6.12.0", "7.3.0"])("shadow stacks in %s", (name) => {
  test("need the CPU's support (EOPNOTSUPP)", () => {
    const { mm } = boot(name, { shadowStacks: false }, false);
    expect(map_shadow_stack(mm, STACK, 8)).toBe(EOPNOTSUPP);
  });
  test("have entries that are dirty and not writable; the program reads them, its stores are refused (SIGSEGV)", () => {
    const { mm } = boot(name);
    const e = entry(mm, STACK);
    expect(e & (_PAGE_RW | _PAGE_DIRTY)).toBe(_PAGE_DIRTY);
    expect([pte_shstk(e), pte_write(e)]).toEqual([true, true]);
    expect([pte_access_permitted(e, true), pte_access_permitted(e, false)]).toEqual([false, true]);
    expect(mem[accessUser(mm, STACK + 3, false) as number]).toBe(103);
    for (const addr of [STACK, STACK + USED]) expect(accessUser(mm, addr, true)).toBe("SIGSEGV");
    expect(write_user_shstk(mm, AT, 1)).toBe(EFAULT);
  });
  test("EFAULT: a write without FOLL_FORCE, whether pages are there or not, and nothing is taken", () => {
    const { mm, pages } = boot(name);
    for (const addr of [STACK, STACK + USED])
      for (const pin of [false, true]) {
        expect(gup_fast(mm, addr, 2, FOLL_WRITE, pages, pin)).toBe(EFAULT);
        expect(gup_unlocked(mm, addr, 2, FOLL_WRITE, pages, pin)).toBe(EFAULT);
        expect(gup_locked(mm, addr, 2, FOLL_WRITE, pages, pin, false)).toBe(EFAULT);
        expect(gup_locked(mm, addr, 2, FOLL_WRITE, pages, pin, true)).toBe(EFAULT);
      }
    expect(gup_fast(mm, STACK, 2, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(EFAULT);
    expect(entry(mm, STACK + USED)).toBe(0);
    expect(pinsCounted()).toBe(0);
  });
  test("a request to write that comes upon one is short, and its error is not told", () => {
    const { mm, pages } = boot(name);
    for (const pin of [false, true]) {
      expect(gup_fast_only(mm, AT + 5, 6, FOLL_WRITE, pages, pin)).toBe(3);
      expect(gup_fast(mm, AT + 5, 6, FOLL_WRITE, pages, pin)).toBe(3);
      expect(gup_locked(mm, AT + 5, 6, FOLL_WRITE, pages, pin, false)).toBe(3);
    }
  });
  test("the fast walk takes them for a read, and leaves a write by force to the slow path", () => {
    const { mm, pages } = boot(name);
    for (const pin of [false, true]) {
      expect(gup_fast_only(mm, AT + 5, 6, 0, pages, pin)).toBe(6);
      expect(gup_fast_only(mm, STACK, 4, FORCED, pages, pin)).toBe(0);
      expect(gup_fast(mm, STACK, 4, FORCED, pages, pin)).toBe(4);
    }
  });
  test("with FOLL_FORCE they are written, faulted in as shadow stacks if need be; without faults (NOFAULT) what is there", () => {
    const { mm, pages } = boot(name);
    expect(gup_locked(mm, STACK, 8, FORCED | FOLL_NOFAULT, pages, true, false)).toBe(USED);
    unpin_user_pages(pages, USED);
    expect(gup_locked(mm, AT + 4, 12, FORCED, pages, true, false)).toBe(12);
    for (let i = 0; i < 8; i++) {
      expect(pte_shstk(entry(mm, STACK + i))).toBe(true);
      expect(pages[4 + i]).toBe(pfn_to_page(pte_pfn(entry(mm, STACK + i))));
    }
    expect(pinsCounted()).toBe(12);
  });
  test("a read of what is not there finds the zero page, which a forced write replaces by a shadow stack's page", () => {
    const { mm, pages } = boot(name);
    expect(gup_fast(mm, STACK + USED, 1, 0, pages, false)).toBe(1);
    expect(pages[0]).toBe(pfn_to_page(kernel.zero_pfn));
    expect(pte_shstk(entry(mm, STACK + USED))).toBe(false);
    expect(gup_fast(mm, STACK + USED, 1, FORCED, pages, false)).toBe(1);
    expect(pages[0]).not.toBe(pfn_to_page(kernel.zero_pfn));
    expect(pte_shstk(entry(mm, STACK + USED))).toBe(true);
  });
  test("after fork they are ordinary read-only entries; a forced write gives the child a page and a shadow stack of its own", () => {
    const { mm, pages } = boot(name);
    const child = dup_mm(mm);
    for (const of of [mm, child]) {
      expect(entry(of, STACK) & (_PAGE_RW | _PAGE_DIRTY)).toBe(0);
      expect(pte_write(entry(of, STACK))).toBe(false);
      // The error is the area's, not the entry's.
      expect(gup_fast(of, STACK, 1, FOLL_WRITE, pages, true)).toBe(EFAULT);
    }
    const shared = pte_pfn(entry(mm, STACK));
    expect(gup_fast(child, STACK, 1, FORCED, pages, true)).toBe(1);
    expect(pte_pfn(entry(child, STACK))).not.toBe(shared);
    expect(pte_shstk(entry(child, STACK))).toBe(true);
    expect(mem[page_address(pages[0] as number)]).toBe(100);
    expect(pte_pfn(entry(mm, STACK))).toBe(shared);
    expect(write_user_shstk(mm, STACK, 7)).toBe(0);
    expect(mem[accessUser(child, STACK, false) as number]).toBe(100);
  });
  test("a read-only pin of one that is shared since fork unshares it, as of other private memory", () => {
    const { mm, pages } = boot(name);
    const child = dup_mm(mm);
    expect(gup_fast_only(child, STACK, 1, 0, pages, true)).toBe(0);
    expect(gup_fast(child, STACK, 1, 0, pages, true)).toBe(1);
    expect(pte_pfn(entry(child, STACK))).not.toBe(pte_pfn(entry(mm, STACK)));
    expect(write_user_shstk(child, STACK, 8)).toBe(0);
    expect(mem[page_address(pages[0] as number)]).toBe(8);
  });
  test("FOLL_FORCE needs a private area that may be written; hugetlb memory never is, to v6.12", () => {
    const { mm, pages } = boot(name, {}, false);
    const readonly = VM_READ | VM_WRITE | VM_MAYREAD | VM_SHADOW_STACK;
    expect(do_mmap(mm, STACK, 4, readonly, 0, 0)).toBe(0);
    expect(do_mmap(mm, STACK + 4, 4, RW | VM_SHARED | VM_MAYSHARE | VM_SHADOW_STACK, 0, 0)).toBe(0);
    expect(do_mmap(mm, 1 << 20, 512, RW | VM_HUGETLB | VM_SHADOW_STACK, 0, 0)).toBe(0);
    expect(gup_locked(mm, STACK, 1, FORCED, pages, true, false)).toBe(EFAULT);
    expect(gup_locked(mm, STACK + 4, 1, FORCED, pages, true, false)).toBe(EFAULT);
    const want = name === "7.3.0" ? 1 : EFAULT;
    expect(gup_locked(mm, 1 << 20, 1, FORCED, pages, true, false)).toBe(want);
    expect(gup_locked(mm, 1 << 20, 1, 0, pages, true, false)).toBe(1);
  });
  test("mlock() populates them by force, MADV_POPULATE_READ reads them, MADV_POPULATE_WRITE is EINVAL", () => {
    const { mm } = boot(name);
    const vma = vma_lookup(mm, STACK);
    expect(faultin_vma_page_range(mm, vma, STACK, STACK + 8, true)).toBe(EINVAL);
    expect(faultin_vma_page_range(mm, vma, STACK, STACK + 8, false)).toBe(8);
    expect(pte_shstk(entry(mm, STACK + 7))).toBe(false);
    expect(populate_vma_page_range(mm, vma, STACK, STACK + 8)).toBe(8);
    expect(pte_shstk(entry(mm, STACK + 7))).toBe(true);
  });
  test("a long-term pin moves one out of a movable zone, and it stays a shadow stack with its contents", () => {
    const { mm, pages } = boot(name, { movable: true });
    expect(page_zone_nr(pfn_to_page(pte_pfn(entry(mm, STACK))))).toBe(ZONE_MOVABLE);
    expect(gup_fast(mm, STACK, 4, FOLL_LONGTERM, pages, true)).toBe(4);
    for (let i = 0; i < 4; i++) {
      expect(page_zone_nr(pages[i] as number)).not.toBe(ZONE_MOVABLE);
      expect(pte_shstk(entry(mm, STACK + i))).toBe(true);
      expect(mem[page_address(pages[i] as number)]).toBe(100 + i);
    }
  });
  test("a huge page of one is read by the fast walk and written by force, whole", () => {
    const { mm, pages } = boot(name, {}, false);
    const huge = AT + 8192;
    expect(map_shadow_stack(mm, huge, 512)).toBe(0);
    do_madvise(mm, huge, 512, MADV_HUGEPAGE);
    expect(vma_flags(vma_lookup(mm, huge)) & VM_SHADOW_STACK).not.toBe(0);
    expect(write_user_shstk(mm, huge + 9, 77)).toBe(0);
    expect(pte_shstk(entry(mm, huge))).toBe(true);
    expect(gup_fast_only(mm, huge, 512, 0, pages, true)).toBe(512);
    expect(mem[page_address(pages[9] as number)]).toBe(77);
    unpin_user_pages(pages, 512);
    expect(gup_fast_only(mm, huge, 512, FORCED, pages, true)).toBe(0);
    expect(gup_fast(mm, huge, 512, FOLL_WRITE, pages, true)).toBe(EFAULT);
    expect(gup_fast(mm, huge, 512, FORCED, pages, true)).toBe(512);
    expect(write_user_shstk(mm, huge + 10, 78)).toBe(0);
    expect(mem[page_address(pages[10] as number)]).toBe(78);
  });
});
