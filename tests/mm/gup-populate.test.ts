/**
 * Slow GUP without an array of pages (pages == NULL: mlock(), MAP_POPULATE, MADV_POPULATE_*): pages are
 * faulted in and counted, none is held; partial counts and errors are those of a request with one.
 */

import { afterEach, describe, expect, test } from "vitest";
import { kernel } from "../../src/machine/config.ts";
import { host } from "../../src/machine/host.ts";
import { mem } from "../../src/machine/memory.ts";
import { secretmem_file_create, shmem_file_setup } from "../../src/mm/filemap.ts";
import { dup_mm, mm_create } from "../../src/mm/fork.ts";
import { unpin_user_page, unpin_user_pages } from "../../src/mm/gup.ts";
import { gup_fast } from "../../src/mm/gup_entry.ts";
import { FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import {
  fault_in_safe_writeable,
  faultin_vma_page_range,
  populate_vma_page_range,
} from "../../src/mm/gup_populate.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { do_madvise, MADV_HUGEPAGE } from "../../src/mm/madvise.ts";
import { folio_add_pin, folio_add_pins } from "../../src/mm/memfd.ts";
import { memory_failure } from "../../src/mm/memory_failure.ts";
import { VM_HUGETLB, VM_LOCKED, VM_MAYREAD, VM_MAYWRITE, VM_PFNMAP, VM_READ } from "../../src/mm/mm_types.ts";
import { do_mmap, vma_lookup } from "../../src/mm/mmap.ts";
import { page_maybe_dma_pinned, page_pincount, pfn_to_page } from "../../src/mm/page.ts";
import { pgtable_lookup, pte_alloc_one, pte_pfn, pte_present, pte_write } from "../../src/mm/pgtable.ts";
import { accessUser } from "../../src/replay/access.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine, type MachineNeeds } from "../../src/replay/machine.ts";
import { pinsCounted } from "../replay/counts.ts";
import { AT, entry, KERNELS, RW, refs, SHARED } from "./gup-machine.ts";

const EINTR = -4;
const ENOMEM = -12;
const EFAULT = -14;
const EINVAL = -22;
const EHWPOISON = -133;

function boot(name: string, needs: Partial<MachineNeeds> = {}): number {
  bootReplayMachine(kernelProfile(name, "test"), {
    devices: new Set(),
    hugeZero: false,
    movable: false,
    ...needs,
  });
  return mm_create();
}
function map(mm: number, addr: number, n: number, flags: number, file = 0): void {
  expect(do_mmap(mm, addr, n, flags, file, 0)).toBe(0);
}
const populate = (mm: number, addr: number, n: number): number =>
  populate_vma_page_range(mm, vma_lookup(mm, addr), addr, addr + n);
const faultin = (mm: number, addr: number, n: number, write: boolean): number =>
  faultin_vma_page_range(mm, vma_lookup(mm, addr), addr, addr + n, write);
const pageOf = (mm: number, addr: number): number => pfn_to_page(pte_pfn(entry(mm, addr)));

describe.each(KERNELS)("GUP without an array of pages in %s", (name) => {
  afterEach(() => {
    host.preempt = null;
  });

  test("counts every page, faults it in and holds none: one reference each, the entry's, and no pin", () => {
    const mm = boot(name);
    map(mm, AT, 8, RW);
    accessUser(mm, AT + 3, true);
    expect(populate(mm, AT, 8)).toBe(8);
    expect(populate(mm, AT, 8)).toBe(8);
    for (let i = 0; i < 8; i++) {
      expect(pte_write(entry(mm, AT + i))).toBe(true);
      expect(refs(pageOf(mm, AT + i))).toBe(1);
    }
    expect(mem[kernel.vmstat]).toBe(0);
  });
  test("a private area is written to, so that COW is over; a shared one is read", () => {
    const mm = boot(name);
    map(mm, AT, 2, RW);
    accessUser(mm, AT, true);
    const child = dup_mm(mm);
    const shared = pageOf(mm, AT);
    expect(populate(mm, AT, 2)).toBe(2);
    expect(pageOf(mm, AT)).not.toBe(shared);
    expect(pageOf(child, AT)).toBe(shared);
    map(mm, AT + 8, 2, SHARED, shmem_file_setup(2));
    expect(populate(mm, AT + 8, 2)).toBe(2);
    expect(refs(pageOf(mm, AT + 8))).toBe(2);
  });
  test("of a huge leaf it looks once, wherever the request begins", () => {
    const mm = boot(name);
    map(mm, AT, 1024, RW);
    do_madvise(mm, AT, 1024, MADV_HUGEPAGE);
    accessUser(mm, AT, true);
    accessUser(mm, AT + 512, true);
    const out = new Int32Array(1);
    pgtable_lookup(mm, AT + 512, out);
    let looks = 0;
    host.preempt = (addr) => {
      if (addr === out[0]) looks++;
    };
    expect(populate(mm, AT + 512, 1)).toBe(1);
    const once = looks;
    looks = 0;
    expect(populate(mm, AT + 5, 1019)).toBe(1019);
    expect(looks).toBe(once);
    expect(populate(mm, AT, 517)).toBe(517);
    expect(refs(pageOf(mm, AT))).toBe(1);
  });
  test("hugetlb areas likewise", () => {
    const mm = boot(name);
    map(mm, 1 << 20, 1024, RW | VM_HUGETLB);
    expect(populate(mm, 1 << 20, 1024)).toBe(1024);
    expect(pte_present(entry(mm, (1 << 20) + 512))).toBe(true);
    expect(refs(pageOf(mm, 1 << 20))).toBe(1);
  });
  test("pages that can still be pinned by others: the fast walk finds all of them", () => {
    const mm = boot(name);
    map(mm, AT, 8, RW);
    expect(populate(mm, AT, 8)).toBe(8);
    const pages = new Int32Array(8);
    expect(gup_fast(mm, AT, 8, 1, pages, true)).toBe(8);
    unpin_user_pages(pages, 8);
    expect(refs(pages[0] as number)).toBe(1);
  });
  test("EFAULT behind a file's end, and the pages before it if the request begins there", () => {
    const mm = boot(name);
    map(mm, AT, 8, SHARED, shmem_file_setup(4));
    expect(populate(mm, AT, 8)).toBe(4);
    expect(populate(mm, AT + 4, 4)).toBe(EFAULT);
  });
  test("EFAULT: frames without struct pages, PROT_NONE, secret memory", () => {
    const mm = boot(name, { secretmem: true });
    map(mm, AT, 2, RW | VM_PFNMAP);
    expect(populate(mm, AT, 2)).toBe(EFAULT);
    map(mm, AT + 8, 2, VM_MAYREAD | VM_MAYWRITE);
    expect(populate(mm, AT + 8, 2)).toBe(EFAULT);
    if (name === "5.10.0") return;
    map(mm, AT + 16, 2, SHARED | VM_LOCKED, secretmem_file_create(2));
    expect(populate(mm, AT + 16, 2)).toBe(EFAULT);
  });
  test("ENOMEM without memory, EINTR for a fatal signal, each with the pages before it", () => {
    const mm = boot(name, { signals: true });
    map(mm, AT + 511, 8, RW);
    expect(populate(mm, AT + 511, 1)).toBe(1);
    for (let t = pte_alloc_one(); t !== 0; ) t = pte_alloc_one();
    expect(populate(mm, AT + 512, 2)).toBe(ENOMEM);
    expect(populate(mm, AT + 511, 3)).toBe(1);
    mem[kernel.fatal_signal] = 1;
    expect(populate(mm, AT + 511, 1)).toBe(EINTR);
  });
  test("MADV_POPULATE_*: EINVAL for what the area does not allow, EHWPOISON for a poisoned page; mlock() says EFAULT", () => {
    const mm = boot(name);
    // There was no MADV_POPULATE_* to v5.13.
    if (name === "5.10.0") return;
    map(mm, AT, 4, VM_READ | VM_MAYREAD | VM_MAYWRITE);
    expect(faultin(mm, AT, 4, true)).toBe(EINVAL);
    expect(faultin(mm, AT, 4, false)).toBe(4);
    map(mm, AT + 8, 4, RW | VM_PFNMAP);
    expect(faultin(mm, AT + 8, 4, false)).toBe(EINVAL);
    map(mm, AT + 16, 4, RW);
    expect(faultin(mm, AT + 16, 4, true)).toBe(4);
    lru_add_drain();
    expect(memory_failure(pageOf(mm, AT + 17))).toBe(0);
    expect(faultin(mm, AT + 17, 2, true)).toBe(EHWPOISON);
    expect(populate(mm, AT + 17, 2)).toBe(EFAULT);
    expect(faultin(mm, AT + 16, 4, true)).toBe(1);
  });

  test("fault_in_safe_writeable(): what it could not make writable, counted from there, and nothing is written", () => {
    const mm = boot(name);
    map(mm, AT, 8, RW);
    mem[accessUser(mm, AT, true) as number] = 7;
    const child = dup_mm(mm);
    expect(fault_in_safe_writeable(child, AT, 4)).toBe(0);
    for (let i = 0; i < 4; i++) expect(pte_write(entry(child, AT + i))).toBe(true);
    expect(mem[accessUser(child, AT, false) as number]).toBe(7);
    expect(fault_in_safe_writeable(child, AT + 6, 4)).toBe(2);
    expect(fault_in_safe_writeable(child, AT + 8, 4)).toBe(4);
    map(child, AT + 16, 4, VM_READ | VM_MAYREAD);
    expect(fault_in_safe_writeable(child, AT + 16, 4)).toBe(4);
    expect(fault_in_safe_writeable(child, AT + 16, 0)).toBe(0);
  });

  test.each([
    ["a small page", 4],
    ["any page of a huge one", 512],
  ])(
    "further pins of %s: each is unpinned on its own; folio_add_pin()'s alone is not counted as acquired",
    (_, n) => {
      const mm = boot(name);
      map(mm, AT, n, RW);
      if (n === 512) expect(do_madvise(mm, AT, n, MADV_HUGEPAGE)).toBe(0);
      const pages = new Int32Array(1);
      expect(gup_fast(mm, AT + 3, 1, FOLL_WRITE, pages, true)).toBe(1);
      const page = pages[0] as number;
      const before = [page_pincount(page), refs(page), pinsCounted()] as const;
      folio_add_pin(page);
      expect([page_pincount(page), pinsCounted()]).toEqual([before[0] + 1, before[2]]);
      expect(folio_add_pins(page, 3)).toBe(true);
      expect([page_pincount(page), pinsCounted()]).toEqual([before[0] + 4, before[2] + 3]);
      for (let i = 0; i < 4; i++) unpin_user_page(page);
      expect([page_pincount(page), refs(page), pinsCounted()]).toEqual([before[0], before[1], before[2] - 1]);
      unpin_user_page(page);
      expect(page_maybe_dma_pinned(page)).toBe(false);
    },
  );
});
