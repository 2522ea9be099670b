/**
 * What slow GUP says to entries and flags that are rare: no struct page behind an entry (EEXIST), core dumps
 * (FOLL_DUMP), huge entries that must be split (FOLL_SPLIT_PMD), MLOCK_ONFAULT, pages of protected guests
 * (s390); and the fast walk that a fork overtakes. No recording shows these: they follow the source.
 */

import { afterEach, describe, expect, test } from "vitest";
import { kernel } from "../../src/machine/config.ts";
import { host } from "../../src/machine/host.ts";
import { mem, memblock_alloc } from "../../src/machine/memory.ts";
import { shmem_file_setup } from "../../src/mm/filemap.ts";
import { mm_create } from "../../src/mm/fork.ts";
import { unpin_user_page } from "../../src/mm/gup.ts";
import { gup_fast, gup_fast_only, gup_locked } from "../../src/mm/gup_entry.ts";
import { FOLL_DUMP, FOLL_FORCE, FOLL_SPLIT_PMD, FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { populate_vma_page_range } from "../../src/mm/gup_populate.ts";
import { do_madvise, MADV_HUGEPAGE } from "../../src/mm/madvise.ts";
import {
  MM,
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKONFAULT,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_MIXEDMAP,
} from "../../src/mm/mm_types.ts";
import { do_mmap, vma_lookup } from "../../src/mm/mmap.ts";
import { compound_head, PAGE, PageFlag, PG_arch_1, pfn_to_page, SetPageFlag } from "../../src/mm/page.ts";
import { _PAGE_SPECIAL, PAGE_SHARED, PMD_LEVEL, PTE_LEVEL, pfn_pte } from "../../src/mm/pgtable.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import { pinsCounted } from "../replay/counts.ts";
import { AT, entryp, KERNELS, RW, refs, SHARED, touch } from "./gup-machine.ts";

const HUGE = AT + 8192;
const EFAULT = -14;
const EEXIST = -17;
const EINVAL = -22;
const EOPNOTSUPP = -95;

/** Eight private pages at AT, of which `touched` are present. */
function boot(name: string, touched = 8): { mm: number; pages: Int32Array } {
  bootReplayMachine(kernelProfile(name, "test"), { devices: new Set(), hugeZero: false, movable: false });
  const mm = mm_create();
  expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
  touch(mm, AT, touched);
  return { mm, pages: new Int32Array(512) };
}
const populate = (mm: number, addr: number, n: number): number =>
  populate_vma_page_range(mm, vma_lookup(mm, addr), addr, addr + n);

describe.each(KERNELS)("GUP of %s", (name) => {
  const v510 = name === "5.10.0";
  afterEach(() => {
    host.preempt = null;
  });

  describe("an entry without a struct page, as vmf_insert_mixed() leaves it", () => {
    /** Three pages, the second one of which is a device's register. */
    function mixed(): { mm: number; pages: Int32Array } {
      const m = boot(name);
      expect(do_mmap(m.mm, AT + 8, 3, RW | VM_MIXEDMAP, 0, 0)).toBe(0);
      touch(m.mm, AT + 8, 1);
      touch(m.mm, AT + 10, 1);
      mem[entryp(m.mm, AT + 9).at] = pfn_pte(5, PAGE_SHARED) | _PAGE_SPECIAL;
      m.pages.fill(77);
      return m;
    }
    test("EEXIST from v5.18 on, with the pages before it kept", () => {
      const { mm, pages } = mixed();
      if (v510) return;
      for (const pin of [true, false]) {
        expect(gup_locked(mm, AT + 9, 1, FOLL_WRITE, pages, pin, false)).toBe(EEXIST);
        expect(gup_fast(mm, AT + 9, 2, 0, pages, pin)).toBe(EEXIST);
        expect(gup_locked(mm, AT + 6, 5, FOLL_WRITE, pages, pin, false)).toBe(3);
        expect(gup_fast(mm, AT + 6, 5, FOLL_WRITE, pages, pin)).toBe(3);
      }
      expect(pinsCounted()).toBe(6);
    });
    test("v5.10: EFAULT for FOLL_GET, while FOLL_PIN counts it and leaves its place in pages[] as it was", () => {
      const { mm, pages } = mixed();
      if (!v510) return;
      expect(gup_locked(mm, AT + 9, 1, FOLL_WRITE, pages, false, false)).toBe(EFAULT);
      expect(gup_locked(mm, AT + 8, 3, FOLL_WRITE, pages, false, false)).toBe(1);
      pages.fill(77);
      expect(gup_locked(mm, AT + 8, 3, FOLL_WRITE, pages, true, false)).toBe(3);
      expect(pages[1]).toBe(77);
      expect(pages[2]).not.toBe(77);
      expect(pinsCounted()).toBe(2);
    });
    test("where no page is asked for it is passed over and counted", () => {
      const { mm } = mixed();
      expect(populate(mm, AT + 8, 3)).toBe(3);
    });
    test("the fast walk stops at it", () => {
      const { mm, pages } = mixed();
      expect(gup_fast_only(mm, AT + 8, 3, FOLL_WRITE, pages, true)).toBe(1);
    });
  });

  describe("a core dump (FOLL_DUMP, with FOLL_FORCE)", () => {
    const dump = FOLL_DUMP | FOLL_FORCE;
    test("EFAULT for private memory that nobody touched, and nothing is faulted in; the pages before it are kept", () => {
      const { mm, pages } = boot(name, 2);
      expect(gup_locked(mm, AT, 8, dump, pages, false, false)).toBe(2);
      expect(gup_locked(mm, AT + 2, 1, dump, pages, false, false)).toBe(EFAULT);
      expect(gup_locked(mm, AT + 4096, 1, dump, pages, false, false)).toBe(EFAULT);
      expect(mem[entryp(mm, AT + 2).at]).toBe(0);
      expect(gup_locked(mm, AT + 2, 1, FOLL_FORCE, pages, false, false)).toBe(1);
    });
    test("EFAULT for the zero page, small and huge, which others are given", () => {
      const { mm, pages } = boot(name, 0);
      touch(mm, AT, 1, false);
      expect(do_mmap(mm, HUGE, 512, RW, 0, 0)).toBe(0);
      do_madvise(mm, HUGE, 512, MADV_HUGEPAGE);
      touch(mm, HUGE, 1, false);
      expect(entryp(mm, HUGE).level).toBe(PMD_LEVEL);
      for (const at of [AT, HUGE, HUGE + 7]) {
        expect(gup_locked(mm, at, 1, dump, pages, false, false)).toBe(EFAULT);
        expect(gup_locked(mm, at, 1, FOLL_FORCE, pages, false, false)).toBe(1);
      }
    });
    test("files are read: their pages are faulted in", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, AT + 8, 2, SHARED, shmem_file_setup(2), 0)).toBe(0);
      expect(gup_locked(mm, AT + 8, 2, dump, pages, false, false)).toBe(2);
    });
  });

  describe("FOLL_SPLIT_PMD", () => {
    function huge(write: boolean): { mm: number; pages: Int32Array } {
      const m = boot(name, 0);
      expect(do_mmap(m.mm, HUGE, 512, RW, 0, 0)).toBe(0);
      do_madvise(m.mm, HUGE, 512, MADV_HUGEPAGE);
      touch(m.mm, HUGE, 1, write);
      expect(entryp(m.mm, HUGE).level).toBe(PMD_LEVEL);
      return m;
    }
    test("the huge entry is split, the huge page is not; the subpage is taken by its own entry", () => {
      const { mm, pages } = huge(true);
      expect(gup_locked(mm, HUGE + 3, 2, FOLL_SPLIT_PMD | FOLL_WRITE, pages, false, false)).toBe(2);
      expect(entryp(mm, HUGE).level).toBe(PTE_LEVEL);
      expect(compound_head(pages[1] as number)).not.toBe(pages[1]);
      expect((pages[1] as number) - (pages[0] as number)).toBe(PAGE.SIZE);
      expect(refs(pages[0] as number)).toBe(512 + 2);
    });
    test("the huge zero page's entry as well: a page of 4 KiB is written over it", () => {
      const { mm, pages } = huge(false);
      expect(gup_locked(mm, HUGE, 1, FOLL_SPLIT_PMD, pages, false, false)).toBe(1);
      expect(pages[0]).toBe(pfn_to_page(kernel.zero_pfn));
      expect(gup_locked(mm, HUGE, 1, FOLL_SPLIT_PMD | FOLL_WRITE, pages, false, false)).toBe(1);
      expect(compound_head(pages[0] as number)).toBe(pages[0]);
    });
    test("EOPNOTSUPP in a hugetlb area from v6.15 on, before anything is faulted in", () => {
      const { mm, pages } = boot(name);
      const at = 1 << 20;
      expect(do_mmap(mm, at, 512, RW | VM_HUGETLB, 0, 0)).toBe(0);
      const got = gup_locked(mm, at, 1, FOLL_SPLIT_PMD | FOLL_WRITE, pages, false, false);
      expect(got).toBe(name === "7.3.0" ? EOPNOTSUPP : 1);
      expect(mem[entryp(mm, at).at] === 0).toBe(name === "7.3.0");
    });
    test("the fast functions do not know it: EINVAL; to v6.2 fast_only says 0", () => {
      const { mm, pages } = boot(name);
      expect(gup_fast(mm, AT, 1, FOLL_SPLIT_PMD, pages, false)).toBe(EINVAL);
      const quiet = name === "5.10.0" || name === "6.1.0";
      expect(gup_fast_only(mm, AT, 1, FOLL_SPLIT_PMD, pages, false)).toBe(quiet ? 0 : EINVAL);
    });
  });

  describe("mlock2(MLOCK_ONFAULT)", () => {
    test("all pages are counted, none is faulted in (ENOENT inside, to v5.17)", () => {
      const { mm } = boot(name);
      expect(do_mmap(mm, AT + 8, 8, RW | VM_LOCKED | VM_LOCKONFAULT, 0, 0)).toBe(0);
      touch(mm, AT + 10, 1);
      expect(populate(mm, AT + 8, 8)).toBe(8);
      for (let i = 0; i < 8; i++) expect(mem[entryp(mm, AT + 8 + i).at] !== 0).toBe(i === 2);
    });
    test("EFAULT for PROT_NONE to v5.17; later nobody looks", () => {
      const { mm } = boot(name);
      const none = VM_MAYREAD | VM_MAYWRITE | VM_LOCKED;
      expect(do_mmap(mm, AT + 8, 8, none | VM_LOCKONFAULT, 0, 0)).toBe(0);
      expect(populate(mm, AT + 8, 8)).toBe(v510 ? EFAULT : 8);
    });
  });

  describe("a page of a protected guest (s390)", () => {
    /** AT + 2 is the guest's. */
    function guest(refuses: boolean): { mm: number; pages: Int32Array; page: number } {
      const m = boot(name);
      kernel.ultravisor = memblock_alloc("ultravisor", 1);
      mem[kernel.ultravisor] = refuses ? 1 : 0;
      expect(gup_fast_only(m.mm, AT + 2, 1, 0, m.pages, false)).toBe(1);
      const page = m.pages[0] as number;
      SetPageFlag(page, PG_arch_1);
      return { ...m, page };
    }
    test("EINVAL for a pin if the ultravisor refuses it; the fast walk stops at it; the pin is undone", () => {
      const { mm, pages, page } = guest(true);
      const before = refs(page);
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(2);
      expect(gup_fast(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(2);
      expect(gup_fast(mm, AT + 2, 8, FOLL_WRITE, pages, true)).toBe(EINVAL);
      expect(gup_locked(mm, AT, 8, FOLL_WRITE, pages, true, false)).toBe(2);
      expect(gup_locked(mm, AT + 2, 1, FOLL_WRITE, pages, true, false)).toBe(EINVAL);
      expect(refs(page)).toBe(before);
      expect(pinsCounted()).toBe(6);
      expect(PageFlag(page, PG_arch_1)).toBe(true);
    });
    test("a reference is not meant for looking into it: granted", () => {
      const { mm, pages } = guest(true);
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, false)).toBe(8);
      expect(gup_locked(mm, AT, 8, FOLL_WRITE, pages, false, false)).toBe(8);
    });
    test("if it is given out, it is no guest's page any more", () => {
      const { mm, pages, page } = guest(false);
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(8);
      expect(PageFlag(page, PG_arch_1)).toBe(false);
    });
  });

  test("a fork that begins during a walk with FOLL_PIN: everything is given back, and taken by the slow path", () => {
    for (const [call, want] of [
      [gup_fast_only, 0],
      [gup_fast, 8],
    ] as const) {
      const { mm, pages } = boot(name);
      const last = entryp(mm, AT + 7).at;
      host.preempt = (addr) => {
        if (addr === last) mem[mm + MM.write_protect_seq] = 2;
      };
      expect(call(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(want);
      host.preempt = null;
      expect(pinsCounted()).toBe(want);
      for (let i = 0; i < want; i++) unpin_user_page(pages[i] as number);
      expect(gup_fast_only(mm, AT, 1, 0, pages, false)).toBe(1);
      expect(refs(pages[0] as number)).toBe(2);
    }
  });
});
