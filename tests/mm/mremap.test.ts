/**
 * mremap() on one CPU, on the replay machine (five levels, huge pages, swap, files): entries go to another
 * address, and nothing else changes. Errors are those of mm/mremap.c, by version.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { kernel } from "../../src/machine/config.ts";
import { runRcuCallbacks } from "../../src/machine/host.ts";
import { mem } from "../../src/machine/memory.ts";
import { READ_ONCE, WRITE_ONCE } from "../../src/machine/primitives.ts";
import { shmem_file_setup } from "../../src/mm/filemap.ts";
import { mm_create } from "../../src/mm/fork.ts";
import { unpin_user_pages } from "../../src/mm/gup.ts";
import { gup_fast } from "../../src/mm/gup_entry.ts";
import { FOLL_LONGTERM, FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { do_madvise, do_munmap, MADV_HUGEPAGE, MADV_PAGEOUT } from "../../src/mm/madvise.ts";
import {
  VM_HUGETLB,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  VMA,
} from "../../src/mm/mm_types.ts";
import { do_mmap, find_vma, vma_lookup } from "../../src/mm/mmap.ts";
import { do_mremap, MREMAP_FIXED, MREMAP_MAYMOVE } from "../../src/mm/mremap.ts";
import { compound_head, nth_page, PAGE, page_maybe_dma_pinned, page_word } from "../../src/mm/page.ts";
import {
  PMD_LEVEL,
  PTE_LEVEL,
  pgtable_lookup,
  pte_alloc_one,
  pte_free,
  pte_pfn,
} from "../../src/mm/pgtable.ts";
import { accessUser } from "../../src/replay/access.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine, type MachineNeeds } from "../../src/replay/machine.ts";

const KERNELS = ["5.10.0", "6.1.0", "6.12.0", "7.3.0"];
const RW = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE;
const SHARED = RW | VM_SHARED | VM_MAYSHARE;
const AT = 1 << 19;
const TO = 1 << 20;
const FIXED = MREMAP_MAYMOVE | MREMAP_FIXED;
const EFAULT = -14;
const EINVAL = -22;
const ENOMEM = -12;

function boot(kernelName: string, devices: MachineNeeds["devices"] = new Set()) {
  const machine = bootReplayMachine(kernelProfile(kernelName, "test"), {
    devices,
    hugeZero: false,
    movable: false,
  });
  return { mm: mm_create(), files: machine.files };
}
/** Writes n to the first word of the page at addr; where that is. */
function store(mm: number, addr: number, n: number): number {
  const at = accessUser(mm, addr, true);
  if (typeof at === "string") throw new Error(`store at ${addr}: ${at}`);
  WRITE_ONCE(at, n);
  return at;
}
/** The first word of the page at addr, or the signal. */
function load(mm: number, addr: number): number | string {
  const at = accessUser(mm, addr, false);
  return typeof at === "string" ? at : READ_ONCE(at);
}
/** What is counted on the pages: of every page flags, references, map counts, pins. */
function state(pages: Int32Array, n = pages.length): number[] {
  // A page on its way to the LRU has one reference more.
  lru_add_drain();
  return [...pages.subarray(0, n)].flatMap((p) =>
    [p, compound_head(p)].flatMap((q) =>
      [PAGE.flags, PAGE._refcount, PAGE._mapcount, PAGE.index, PAGE.mapping].map(
        (f) => mem[page_word(q, f)] as number,
      ),
    ),
  );
}
const level = (mm: number, addr: number): number => pgtable_lookup(mm, addr, new Int32Array(1));
const entry = (mm: number, addr: number): number => {
  const out = new Int32Array(1);
  pgtable_lookup(mm, addr, out);
  return mem[out[0] as number] as number;
};
function pin(mm: number, addr: number, n: number, flags = FOLL_WRITE): Int32Array {
  const pages = new Int32Array(n);
  expect(gup_fast(mm, addr, n, flags, pages, true)).toBe(n);
  return pages;
}

describe.each(KERNELS)("mremap() of %s", (name) => {
  test.each([
    ["anonymous pages", RW, false],
    ["a shared file's pages", SHARED, true],
    ["a private file's pages", RW, true],
  ] as const)("a pinned page stays pinned, and is mapped at the new address: %s", (_, flags, onFile) => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 8, flags, onFile ? shmem_file_setup(8) : 0, 0)).toBe(0);
    for (let i = 0; i < 8; i++) store(mm, AT + i, 100 + i);
    const pages = pin(mm, AT, 8);
    const before = state(pages);
    expect(do_mremap(mm, AT, 8, 8, FIXED, TO + 3)).toBe(TO + 3);
    expect(state(pages)).toEqual(before);
    for (let i = 0; i < 8; i++) {
      expect(pte_pfn(entry(mm, TO + 3 + i))).toBe(((pages[i] as number) - kernel.vmemmap) / PAGE.SIZE);
      expect(load(mm, TO + 3 + i)).toBe(100 + i);
      expect(load(mm, AT + i)).toBe("SIGSEGV");
    }
    expect(vma_lookup(mm, AT)).toBe(0);
    const again = pin(mm, TO + 3, 8);
    expect([...again]).toEqual([...pages]);
    unpin_user_pages(again, 8);
    expect(state(pages)).toEqual(before);
    unpin_user_pages(pages, 8);
    for (const p of pages) expect(page_maybe_dma_pinned(p)).toBe(false);
  });

  test("an aligned huge page moves as a PMD leaf; its counts do not change", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 1024, RW, 0, 0)).toBe(0);
    do_madvise(mm, AT, 1024, MADV_HUGEPAGE);
    store(mm, AT, 7);
    store(mm, AT + 513, 8);
    expect([level(mm, AT), level(mm, AT + 512)]).toEqual([PMD_LEVEL, PMD_LEVEL]);
    const pages = pin(mm, AT + 510, 4);
    const before = state(pages);
    expect(do_mremap(mm, AT, 1024, 1024, FIXED, TO)).toBe(TO);
    expect([level(mm, TO), level(mm, TO + 512)]).toEqual([PMD_LEVEL, PMD_LEVEL]);
    expect(state(pages)).toEqual(before);
    expect([...pin(mm, TO + 510, 4)]).toEqual([...pages]);
    expect([load(mm, TO), load(mm, TO + 513)]).toEqual([7, 8]);
  });

  test.each([
    ["the new address is not aligned", AT, 512, TO + 5],
    ["only a part moves", AT + 10, 100, TO + 10],
    ["the part moves to an aligned address", AT + 256, 256, TO],
  ] as const)("a huge page is split into PTEs if %s; it stays one page, and pinned", (_, from, len, to) => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 512, RW, 0, 0)).toBe(0);
    do_madvise(mm, AT, 512, MADV_HUGEPAGE);
    for (let i = 0; i < 512; i++) store(mm, AT + i, 1000 + i);
    const pages = pin(mm, AT, 512);
    const head = pages[0] as number;
    expect(do_mremap(mm, from, len, len, FIXED, to)).toBe(to);
    expect(level(mm, to)).toBe(PTE_LEVEL);
    for (let i = 0; i < len; i++) {
      expect(load(mm, to + i)).toBe(1000 + from - AT + i);
      expect(compound_head(pin(mm, to + i, 1)[0] as number)).toBe(head);
      unpin_user_pages(Int32Array.of(nth_page(head, from - AT + i)), 1);
    }
    if (from > AT) expect(load(mm, AT)).toBe(1000);
    expect(load(mm, from)).toBe("SIGSEGV");
    unpin_user_pages(pages, 512);
    expect(page_maybe_dma_pinned(head)).toBe(false);
    lru_add_drain();
    // Nothing but the entries holds it any more: 512 of them.
    expect(mem[page_word(head, PAGE._refcount)]).toBe(512);
    expect(do_munmap(mm, to, len)).toBe(0);
    expect(do_munmap(mm, AT, 512)).toBe(0);
  });

  test("what is swapped out is found at the new address", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 4, RW, 0, 0)).toBe(0);
    for (let i = 0; i < 4; i++) store(mm, AT + i, 50 + i);
    swapOut(mm, AT, 4);
    expect(do_mremap(mm, AT, 4, 4, FIXED, TO)).toBe(TO);
    for (let i = 0; i < 4; i++) expect(load(mm, TO + i)).toBe(50 + i);
  });

  test("shrinking unmaps the tail, where a pinned page is no longer mapped but still pinned", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
    for (let i = 0; i < 8; i++) store(mm, AT + i, i);
    const pages = pin(mm, AT + 4, 4);
    expect(do_mremap(mm, AT, 8, 6, 0, 0)).toBe(AT);
    expect([load(mm, AT + 5), load(mm, AT + 6)]).toEqual([5, "SIGSEGV"]);
    for (const p of pages) expect(page_maybe_dma_pinned(p)).toBe(true);
    expect(do_mremap(mm, AT, 6, 5, FIXED, TO)).toBe(TO);
    expect([load(mm, TO + 4), load(mm, AT), load(mm, AT + 5), load(mm, TO + 5)]).toEqual([
      4,
      "SIGSEGV",
      "SIGSEGV",
      "SIGSEGV",
    ]);
    unpin_user_pages(pages, 4);
    lru_add_drain();
    expect(mem[page_word(pages[3] as number, PAGE._refcount)]).toBe(0);
  });

  test("growing is in place where there is room; else it needs MREMAP_MAYMOVE, and moves", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 4, RW, 0, 0)).toBe(0);
    store(mm, AT + 3, 33);
    const pages = pin(mm, AT + 3, 1);
    expect(do_mremap(mm, AT, 4, 6, 0, 0)).toBe(AT);
    store(mm, AT + 5, 55);
    expect(do_mmap(mm, AT + 8, 1, RW | (VM_HUGETLB * 0), shmem_file_setup(1), 0)).toBe(0);
    expect(do_mremap(mm, AT, 6, 9, 0, 0)).toBe(ENOMEM);
    expect(load(mm, AT + 3)).toBe(33);
    expect(do_mremap(mm, AT, 6, 9, MREMAP_MAYMOVE, TO)).toBe(TO);
    expect([load(mm, TO + 3), load(mm, TO + 5), load(mm, TO + 8)]).toEqual([33, 55, 0]);
    expect([...pin(mm, TO + 3, 1)]).toEqual([...pages]);
    // A part that does not end where the area does cannot grow in place.
    expect(do_mremap(mm, TO, 2, 3, 0, 0)).toBe(ENOMEM);
  });

  test("MREMAP_FIXED unmaps what is at the new address", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 2, RW, 0, 0)).toBe(0);
    expect(do_mmap(mm, TO, 4, RW, 0, 0)).toBe(0);
    store(mm, AT, 1);
    store(mm, TO + 1, 2);
    store(mm, TO + 3, 3);
    const there = pin(mm, TO + 1, 1);
    expect(do_mremap(mm, AT, 2, 2, FIXED, TO + 1)).toBe(TO + 1);
    expect([load(mm, TO + 1), load(mm, TO + 3)]).toEqual([1, 3]);
    lru_add_drain();
    expect(mem[page_word(there[0] as number, PAGE._refcount)]).toBe(1024);
  });

  test("no old length: shared memory is mapped a second time, private memory is EINVAL", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 4, SHARED, shmem_file_setup(4), 0)).toBe(0);
    store(mm, AT + 1, 9);
    expect(do_mremap(mm, AT, 0, 4, FIXED, TO)).toBe(TO);
    expect([load(mm, TO + 1), load(mm, AT + 1)]).toEqual([9, 9]);
    expect([...pin(mm, TO + 1, 1)]).toEqual([...pin(mm, AT + 1, 1)]);
    expect(do_mmap(mm, AT + 100, 4, RW, 0, 0)).toBe(0);
    expect(do_mremap(mm, AT + 100, 0, 4, FIXED, TO + 100)).toBe(EINVAL);
  });

  test("EINVAL: unknown flags, FIXED without MAYMOVE, no new length, overlap, a target outside of the address space", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
    expect(do_mremap(mm, AT, 8, 8, 8, TO)).toBe(EINVAL);
    expect(do_mremap(mm, AT, 8, 8, MREMAP_FIXED, TO)).toBe(EINVAL);
    expect(do_mremap(mm, AT, 8, 0, FIXED, TO)).toBe(EINVAL);
    expect(do_mremap(mm, AT, 8, 8, FIXED, AT + 7)).toBe(EINVAL);
    expect(do_mremap(mm, AT, 8, 8, FIXED, AT)).toBe(EINVAL);
    expect(do_mremap(mm, AT, 8, 8, FIXED, -1)).toBe(EINVAL);
    expect(do_mremap(mm, AT, 8, 8, FIXED, 2 ** 30 - 7)).toBe(EINVAL);
    expect(vma_lookup(mm, AT)).not.toBe(0);
  });
  test("EFAULT: nothing is mapped at the address, or the range reaches over the area's end", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
    expect(do_mmap(mm, AT + 8, 8, SHARED, shmem_file_setup(8), 0)).toBe(0);
    expect(do_mremap(mm, TO, 2, 4, MREMAP_MAYMOVE, TO + 100)).toBe(EFAULT);
    expect(do_mremap(mm, TO, 2, 2, FIXED, TO + 100)).toBe(EFAULT);
    // From v6.17 a plain move to a fixed address takes every area of the range along, and holes stay holes.
    expect(do_mremap(mm, AT + 4, 8, 9, FIXED, TO)).toBe(EFAULT);
    if (name !== "7.3.0") expect(do_mremap(mm, AT + 4, 8, 8, FIXED, TO)).toBe(EFAULT);
    expect(do_mremap(mm, AT + 4, 8, 9, MREMAP_MAYMOVE, TO)).toBe(EFAULT);
    // A shrink that moves nothing looks for the area from v5.16 on.
    expect(do_mremap(mm, TO, 4, 2, 0, 0)).toBe(name === "5.10.0" ? TO : EFAULT);
  });
  test("ENOMEM: no page table for the new address; the mapping stays where it was, with its pins", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 1024, RW, 0, 0)).toBe(0);
    for (let i = 0; i < 1024; i += 8) store(mm, AT + i, i);
    const pages = pin(mm, AT, 1024);
    const before = state(pages);
    // Enough for the first half: a PTE table and what leads to it.
    const spare: number[] = [];
    for (let t = pte_alloc_one(); t !== 0; t = pte_alloc_one()) spare.push(t);
    expect(do_mremap(mm, AT, 1024, 1024, FIXED, (1 << 29) + 5)).toBe(ENOMEM);
    expect(state(pages)).toEqual(before);
    for (let i = 0; i < 1024; i += 8) expect(load(mm, AT + i)).toBe(i);
    expect(find_vma(mm, 1 << 29)).toBe(0);
    expect(READ_ONCE(vma_lookup(mm, AT) + VMA.vm_end)).toBe(AT + 1024);
  });

  test("hugetlb mappings move from v5.16 on, by whole pages, and do not grow", () => {
    const { mm } = boot(name);
    expect(do_mmap(mm, AT, 1024, RW | VM_HUGETLB, 0, 0)).toBe(0);
    store(mm, AT + 3, 30);
    store(mm, AT + 515, 31);
    const pages = pin(mm, AT, 1024);
    const before = state(pages);
    const moved = do_mremap(mm, AT, 1024, 1024, FIXED, TO);
    if (name === "5.10.0") {
      expect(moved).toBe(EINVAL);
      return;
    }
    expect(moved).toBe(TO);
    expect(state(pages)).toEqual(before);
    expect([load(mm, TO + 3), load(mm, TO + 515), load(mm, AT + 3)]).toEqual([30, 31, "SIGSEGV"]);
    expect(do_mremap(mm, TO, 1024, 1536, MREMAP_MAYMOVE, AT)).toBe(EINVAL);
    expect(do_mremap(mm, TO + 1, 512, 512, FIXED, AT)).toBe(EINVAL);
    expect(do_mremap(mm, TO, 512, 512, FIXED, AT + 1)).toBe(EINVAL);
    expect(do_mremap(mm, TO, 1000, 400, 0, 0)).toBe(TO);
    expect(load(mm, TO + 515)).toBe("SIGSEGV");
  });

  test("device mappings move: 4 KiB entries, and 2 MiB leaves whole or, misaligned, not at all", () => {
    const { mm, files } = boot(name, new Set(["dax0", "dax1"] as const));
    expect(do_mmap(mm, AT, 8, SHARED, files.get("/dev/dax0.0") ?? 0, 16)).toBe(0);
    store(mm, AT + 2, 5);
    const small = pin(mm, AT, 8);
    const before = state(small);
    expect(do_mremap(mm, AT, 8, 8, FIXED, TO + 1)).toBe(TO + 1);
    expect(state(small)).toEqual(before);
    expect([...pin(mm, TO + 1, 8)]).toEqual([...small]);
    const at = AT + 1024;
    const to = TO + 1024;
    expect(do_mmap(mm, at, 1024, SHARED, files.get("/dev/dax1.0") ?? 0, 512)).toBe(0);
    store(mm, at + 1, 6);
    store(mm, at + 600, 7);
    const large = pin(mm, at + 500, 100);
    const counted = state(large);
    expect(do_mremap(mm, at, 1024, 1024, FIXED, to)).toBe(to);
    expect(level(mm, to)).toBe(PMD_LEVEL);
    expect(state(large)).toEqual(counted);
    expect([...pin(mm, to + 500, 100)]).toEqual([...large]);
    // A device's area can be cut at its granularity only; at an address off it nothing can be faulted in
    // again. v5.10 does not ask (config.mremapMaySplit): the old place stays mapped.
    expect(do_mremap(mm, to + 3, 512, 512, FIXED, at)).toBe(name === "5.10.0" ? at : EINVAL);
    if (name === "5.10.0") {
      expect(vma_lookup(mm, to + 3)).not.toBe(0);
      return;
    }
    expect(do_mremap(mm, to, 1024, 1024, FIXED, at + 1)).toBe(at + 1);
    expect(load(mm, at + 2)).toBe("SIGBUS");
  });
});

/** MADV_PAGEOUT. */
function swapOut(mm: number, addr: number, n: number): void {
  do_madvise(mm, addr, n, MADV_PAGEOUT);
  for (let i = 0; i < n; i++) expect(entry(mm, addr + i) & 1).toBe(0);
}

test("unmapping frees the PTE tables of every PMD range, wherever it lies", () => {
  const { mm } = boot("5.10.0");
  const tables = (): number => {
    const taken: number[] = [];
    for (let t = pte_alloc_one(); t !== 0; t = pte_alloc_one()) taken.push(t);
    for (const t of taken) pte_free(t);
    return taken.length;
  };
  // What leads to the tables stays.
  expect(do_mmap(mm, AT, 1, RW, 0, 0)).toBe(0);
  store(mm, AT, 1);
  const before = tables();
  expect(do_mmap(mm, AT + 512, 4096, RW, 0, 0)).toBe(0);
  for (let i = 0; i < 4096; i += 512) store(mm, AT + 512 + i, 1);
  expect(tables()).toBe(before - 8);
  expect(do_munmap(mm, AT + 512, 4096)).toBe(0);
  runRcuCallbacks();
  expect(tables()).toBe(before);
});

describe("any sequence of moves", () => {
  const SLOTS = 6;
  const SPAN = 700;
  const move = fc.record({
    from: fc.nat(SLOTS - 1),
    to: fc.nat(SLOTS - 1),
    at: fc.nat(600),
    shift: fc.constantFrom(0, 0, 0, 512, 1, 100),
    old_len: fc.integer({ min: 1, max: 600 }),
    grow: fc.constantFrom(0, 0, 0, 7, -5, 512),
    fixed: fc.boolean(),
  });
  test.each(KERNELS)("%s: every address reads what a list of pages says", (name) => {
    fc.assert(
      fc.property(fc.array(move, { minLength: 1, maxLength: 12 }), fc.boolean(), (moves, huge) => {
        const { mm } = boot(name);
        const place = (slot: number): number => AT + slot * 8192;
        /** By address: what the page there holds; absent: not mapped. */
        const model = new Map<number, number>();
        expect(do_mmap(mm, place(0), 1024, RW, 0, 0)).toBe(0);
        if (huge) do_madvise(mm, place(0), 1024, MADV_HUGEPAGE);
        for (let i = 0; i < 1024; i++) model.set(place(0) + i, 0);
        for (let i = 0; i < 1024; i += 3) {
          store(mm, place(0) + i, i + 1);
          model.set(place(0) + i, i + 1);
        }
        for (const m of moves) {
          const from = place(m.from) + m.at;
          const to = place(m.to) + m.shift + (m.from === m.to ? 4096 : 0);
          const new_len = Math.max(m.old_len + m.grow, 1);
          const flags = m.fixed ? FIXED : MREMAP_MAYMOVE;
          const nothing = vma_lookup(mm, from) === 0 && name !== "5.10.0";
          const ret = do_mremap(mm, from, m.old_len, new_len, flags, to);
          // From v5.16 on the first thing that is looked for is the area.
          expect(nothing && ret !== EFAULT).toBe(false);
          if (nothing) continue;
          // To v6.16 a move over several areas, or from where nothing is, is refused, after what MREMAP_FIXED
          // unmaps.
          const overlaps = from + m.old_len > to && to + new_len > from;
          // From v6.17 nothing is unmapped for a move that is refused, and a plain one unmaps only where an
          // area goes.
          const many = name === "7.3.0";
          if (many && ret < 0) continue;
          const plain = many && m.old_len === new_len;
          if (m.fixed && !overlaps)
            for (let i = 0; i < new_len; i++) if (!plain || model.has(from + i)) model.delete(to + i);
          const shrinks = m.old_len > new_len && (m.fixed ? !overlaps : ret === from);
          if (shrinks) for (let i = new_len; i < m.old_len; i++) model.delete(from + i);
          if (ret < 0) continue;
          const kept = Math.min(m.old_len, new_len);
          const values = Array.from({ length: kept }, (_, i) => model.get(from + i));
          if (ret !== from) {
            for (let i = 0; i < kept; i++) model.delete(from + i);
            values.forEach((v, i) => {
              if (v !== undefined) model.set(ret + i, v);
              else if (!plain) model.delete(ret + i);
            });
          }
          for (let i = kept; i < new_len; i++) model.set(ret + i, 0);
        }
        for (let slot = 0; slot < SLOTS; slot++)
          for (let i = 0; i < 8192; i += i < SPAN * 2 || i > 4000 ? 1 : 64) {
            const addr = place(slot) + i;
            if (i > 6000) break;
            const want = model.get(addr);
            if (want === undefined) expect(vma_lookup(mm, addr), `address ${addr}`).toBe(0);
            else expect(load(mm, addr), `address ${addr}`).toBe(want);
          }
      }),
      { numRuns: 6 },
    );
  });
});

test("a long-term pin of a page that has moved out of its area's first place is found by its new address", () => {
  const { mm } = boot("6.12.0");
  expect(do_mmap(mm, AT, 4, RW, 0, 0)).toBe(0);
  store(mm, AT, 1);
  expect(do_mremap(mm, AT, 4, 4, FIXED, TO)).toBe(TO);
  const pages = pin(mm, TO, 1, FOLL_WRITE | FOLL_LONGTERM);
  expect(page_maybe_dma_pinned(pages[0] as number)).toBe(true);
});
