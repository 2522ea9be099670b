/**
 * GUP of pages that memory_failure() has poisoned: -EHWPOISON for who asks with FOLL_HWPOISON, -EFAULT for
 * everybody else, and the pages before one. In every kernel alike. Not covered: pages of files and of hugetlb
 * areas.
 */

import { describe, expect, test } from "vitest";
import { mem } from "../../src/machine/memory.ts";
import { dup_mm, mm_create } from "../../src/mm/fork.ts";
import { unpin_user_pages } from "../../src/mm/gup.ts";
import { gup_fast, gup_fast_only, gup_locked, gup_unlocked } from "../../src/mm/gup_entry.ts";
import { FOLL_HWPOISON, FOLL_LONGTERM, FOLL_NOFAULT, FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { do_madvise, MADV_DONTNEED, MADV_HUGEPAGE } from "../../src/mm/madvise.ts";
import { memory_failure } from "../../src/mm/memory_failure.ts";
import { do_mmap } from "../../src/mm/mmap.ts";
import { PAGE, PageFlag, PG_hwpoison, page_address, page_word } from "../../src/mm/page.ts";
import { put_page } from "../../src/mm/swap.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import { AT, KERNELS, RW, touch } from "./gup-machine.ts";

const HUGE = AT + 8192;
const EFAULT = -14;
const EBUSY = -16;
const EINVAL = -22;
const EHWPOISON = -133;

/** Eight private pages at AT, written to. */
function boot(name: string): { mm: number; pages: Int32Array } {
  bootReplayMachine(kernelProfile(name, "test"), { devices: new Set(), hugeZero: false, movable: false });
  const mm = mm_create();
  expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
  touch(mm, AT, 8);
  lru_add_drain();
  return { mm, pages: new Int32Array(512) };
}
function pageAt(mm: number, addr: number): number {
  // A reference, since a pin would unshare the page.
  const one = new Int32Array(1);
  expect(gup_fast(mm, addr, 1, 0, one, false)).toBe(1);
  put_page(one[0] as number);
  return one[0] as number;
}
const count = (page: number): number => mem[page_word(page, PAGE._refcount)] as number;

describe.each(KERNELS)("a poisoned page in %s", (name) => {
  test("is EFAULT, and EHWPOISON for who asks with FOLL_HWPOISON, which the fast functions do not take (EINVAL)", () => {
    const { mm, pages } = boot(name);
    const page = pageAt(mm, AT + 2);
    expect(memory_failure(page)).toBe(0);
    expect(count(page)).toBe(1);
    for (const pin of [false, true])
      for (const flags of [0, FOLL_WRITE]) {
        expect(gup_locked(mm, AT + 2, 1, flags, pages, pin, false)).toBe(EFAULT);
        expect(gup_unlocked(mm, AT + 2, 1, flags, pages, pin)).toBe(EFAULT);
        expect(gup_fast(mm, AT + 2, 1, flags, pages, pin)).toBe(EFAULT);
        expect(gup_fast_only(mm, AT + 2, 1, flags, pages, pin)).toBe(0);
        expect(gup_locked(mm, AT + 2, 1, flags | FOLL_HWPOISON, pages, pin, false)).toBe(EHWPOISON);
        expect(gup_unlocked(mm, AT + 2, 1, flags | FOLL_HWPOISON, pages, pin)).toBe(EHWPOISON);
        expect(gup_fast(mm, AT + 2, 1, flags | FOLL_HWPOISON, pages, pin)).toBe(EINVAL);
      }
    const longterm = FOLL_WRITE | FOLL_LONGTERM | FOLL_HWPOISON;
    expect(gup_locked(mm, AT + 2, 1, longterm, pages, true, false)).toBe(EHWPOISON);
    // Without a fault nobody finds out what the entry is.
    expect(gup_locked(mm, AT + 2, 1, FOLL_NOFAULT | FOLL_HWPOISON, pages, true, false)).toBe(EFAULT);
    expect(count(page)).toBe(1);
  });
  test("ends a request: the pages before it are kept, and the error is not told", () => {
    const { mm, pages } = boot(name);
    expect(memory_failure(pageAt(mm, AT + 3))).toBe(0);
    expect(gup_locked(mm, AT, 8, FOLL_WRITE | FOLL_HWPOISON, pages, true, false)).toBe(3);
    expect(gup_fast(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(3);
    expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(3);
    expect(gup_fast(mm, AT + 4, 4, FOLL_WRITE, pages, true)).toBe(4);
  });
  test("that is pinned stays its holder's, but nobody finds it any more; EBUSY to v5.15", () => {
    const { mm, pages } = boot(name);
    expect(gup_fast(mm, AT, 1, FOLL_WRITE, pages, true)).toBe(1);
    const page = pages[0] as number;
    expect(memory_failure(page)).toBe(name === "5.10.0" ? EBUSY : 0);
    expect(PageFlag(page, PG_hwpoison)).toBe(true);
    expect(gup_locked(mm, AT, 1, FOLL_HWPOISON, new Int32Array(1), true, false)).toBe(EHWPOISON);
    unpin_user_pages(pages, 1);
    expect(count(page)).toBe(1);
  });
  test("is poisoned for every process that maps it, and for the child of a later fork", () => {
    const { mm, pages } = boot(name);
    const child = dup_mm(mm);
    expect(memory_failure(pageAt(child, AT + 1))).toBe(0);
    const later = dup_mm(mm);
    for (const of of [mm, child, later]) {
      expect(gup_locked(of, AT + 1, 1, FOLL_HWPOISON, pages, true, false)).toBe(EHWPOISON);
      expect(gup_locked(of, AT, 4, FOLL_HWPOISON, pages, true, false)).toBe(1);
    }
  });
  test("leaves its address usable once the entry is gone (MADV_DONTNEED)", () => {
    const { mm, pages } = boot(name);
    const page = pageAt(mm, AT);
    expect(memory_failure(page)).toBe(0);
    expect(do_madvise(mm, AT, 1, MADV_DONTNEED)).toBe(0);
    expect(gup_fast(mm, AT, 1, FOLL_WRITE, pages, true)).toBe(1);
    expect(pages[0]).not.toBe(page);
    expect(count(page)).toBe(1);
  });
  test("of a huge page: the others stay mapped; if somebody holds the huge page nothing is unmapped (EBUSY, EHWPOISON)", () => {
    const { mm, pages } = boot(name);
    expect(do_mmap(mm, HUGE, 1024, RW, 0, 0)).toBe(0);
    do_madvise(mm, HUGE, 1024, MADV_HUGEPAGE);
    touch(mm, HUGE, 1);
    touch(mm, HUGE + 512, 1);
    lru_add_drain();
    // Pages of zeroes would be the zero page's after the split (v6.12).
    for (let i = 0; i < 1024; i++) mem[page_address(pageAt(mm, HUGE + i))] = i + 1;
    expect(memory_failure(pageAt(mm, HUGE + 7))).toBe(0);
    expect(gup_fast(mm, HUGE, 512, FOLL_WRITE, pages, true)).toBe(7);
    expect(gup_locked(mm, HUGE + 7, 1, FOLL_HWPOISON, pages, true, false)).toBe(EHWPOISON);
    expect(gup_fast(mm, HUGE + 8, 500, FOLL_WRITE, pages, true)).toBe(500);
    expect(gup_fast(mm, HUGE + 512, 1, FOLL_WRITE, pages, true)).toBe(1);
    const unsplit = name === "5.10.0" || name === "6.1.0" ? EBUSY : EHWPOISON;
    expect(memory_failure(pageAt(mm, HUGE + 515))).toBe(unsplit);
    expect(gup_fast(mm, HUGE + 512, 512, FOLL_WRITE, pages, true)).toBe(512);
  });
});
