/**
 * GUP of peer-to-peer memory (MEMORY_DEVICE_PCI_P2PDMA) that a process has mapped from a PCI device's
 * p2pmem/allocate: refused without FOLL_PCI_P2PDMA (v6.2, 4003f107fa2e), never for long. Kernels to v6.1 have
 * neither the flag nor the mapping.
 */

import { describe, expect, test } from "vitest";
import { type KnobSettings, knobValue } from "../../src/machine/config.ts";
import { mem } from "../../src/machine/memory.ts";
import { dup_mm, mm_create } from "../../src/mm/fork.ts";
import { unpin_user_page, unpin_user_pages } from "../../src/mm/gup.ts";
import { gup_fast, gup_fast_only, gup_locked, gup_unlocked } from "../../src/mm/gup_entry.ts";
import {
  FOLL_FORCE,
  FOLL_LONGTERM,
  FOLL_NOFAULT,
  FOLL_PCI_P2PDMA,
  FOLL_WRITE,
} from "../../src/mm/gup_flags.ts";
import { faultin_vma_page_range, populate_vma_page_range } from "../../src/mm/gup_populate.ts";
import { do_madvise, do_munmap, MADV_DONTNEED } from "../../src/mm/madvise.ts";
import { do_mmap, vma_lookup } from "../../src/mm/mmap.ts";
import { p2pmem_alloc_mmap } from "../../src/mm/p2pdma.ts";
import { is_pci_p2pdma_page, P2PDMA } from "../../src/mm/p2pdma_page.ts";
import { PAGE, page_word } from "../../src/mm/page.ts";
import { percpu_ref_kill, percpu_ref_sum } from "../../src/mm/percpu-refcount.ts";
import { DEV_PAGEMAP } from "../../src/mm/pgmap.ts";
import { pte_alloc_one } from "../../src/mm/pgtable.ts";
import { put_page } from "../../src/mm/swap.ts";
import { accessUser } from "../../src/replay/access.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import { pinsCounted } from "../replay/counts.ts";
import { AT, RW, SHARED, touch } from "./gup-machine.ts";

/** Eight ordinary pages, and then eight of the device, in one table of PTEs. */
const DEV = AT + 8;
const EINVAL = -22;
const EFAULT = -14;
const ENOENT = -2;
const ENODEV = -19;
const ENOMEM = -12;
const EOPNOTSUPP = -95;
const EREMOTEIO = -121;
const P2P = FOLL_PCI_P2PDMA;

interface Booted {
  readonly mm: number;
  readonly p2pdma: number;
  readonly pages: Int32Array;
  /** References of the device's pagemap. */
  readonly held: () => number;
}
function boot(name: string, knobs: KnobSettings = {}, map = true): Booted {
  const machine = bootReplayMachine(
    kernelProfile(name, "test"),
    { devices: new Set(), hugeZero: false, movable: false, p2pmem: true },
    knobs,
  );
  const mm = mm_create();
  expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
  touch(mm, AT, 8);
  if (map) expect(p2pmem_alloc_mmap(mm, DEV, 8, SHARED, machine.p2pmem, 0)).toBe(0);
  const pgmap = mem[machine.p2pmem + P2PDMA.pgmap] as number;
  const held = (): number => percpu_ref_sum(mem[pgmap + DEV_PAGEMAP.ref] as number);
  return { mm, p2pdma: machine.p2pmem, pages: new Int32Array(64), held };
}
const count = (page: number): number => mem[page_word(page, PAGE._refcount)] as number;
const mapcount = (page: number): number => (mem[page_word(page, PAGE._mapcount)] as number) + 1;
/** The device's page at addr, by a reference that is given back. */
function pageAt(mm: number, addr: number): number {
  const one = new Int32Array(1);
  expect(gup_locked(mm, addr, 1, P2P, one, false, false)).toBe(1);
  put_page(one[0] as number);
  return one[0] as number;
}

describe.each(["5.10.0", "6.1.0"])("peer-to-peer memory in %s", (name) => {
  test("cannot be mapped: the device's file does not exist (ENOENT)", () => {
    const { mm, p2pdma } = boot(name, {}, false);
    expect(p2pmem_alloc_mmap(mm, DEV, 8, SHARED, p2pdma, 0)).toBe(ENOENT);
    expect(vma_lookup(mm, DEV)).toBe(0);
  });
  test("has no flag: the fast functions refuse it as one that they do not know, the others ignore it, also for long", () => {
    const { mm, pages } = boot(name, {}, false);
    expect(gup_fast(mm, AT, 2, P2P, pages, true)).toBe(EINVAL);
    expect(gup_fast(mm, AT, 2, P2P, pages, false)).toBe(EINVAL);
    expect(gup_unlocked(mm, AT, 2, P2P, pages, true)).toBe(2);
    expect(gup_locked(mm, AT, 2, P2P | FOLL_WRITE | FOLL_LONGTERM, pages, true, false)).toBe(2);
  });
});

describe.each(["6.12.0", "7.3.0"])("peer-to-peer memory in %s", (name) => {
  test("is mapped by entries that hold a reference; the last one gives the page back to the pool", () => {
    const { mm, p2pdma, held } = boot(name);
    const idle = held() - 8;
    const page = pageAt(mm, DEV);
    expect(is_pci_p2pdma_page(page)).toBe(true);
    expect([count(page), mapcount(page)]).toEqual([1, 1]);
    touch(mm, DEV, 8);
    const child = dup_mm(mm);
    expect([count(page), mapcount(page)]).toEqual([2, 2]);
    expect(do_munmap(mm, DEV, 8)).toBe(0);
    expect(held()).toBe(idle + 8);
    expect(do_munmap(child, DEV, 8)).toBe(0);
    expect(held()).toBe(idle);
    expect(count(page)).toBe(name === "7.3.0" ? 0 : 1);
    // All of the pool can be had again.
    expect(p2pmem_alloc_mmap(mm, 1 << 20, 512, SHARED, p2pdma, 0)).toBe(0);
    expect(p2pmem_alloc_mmap(mm, DEV, 1, SHARED, p2pdma, 0)).toBe(ENOMEM);
  });
  test("is mapped shared and from the beginning only (EINVAL), while the device is there (ENODEV)", () => {
    const { mm, p2pdma, held } = boot(name, {}, false);
    expect(p2pmem_alloc_mmap(mm, DEV, 8, RW, p2pdma, 0)).toBe(EINVAL);
    expect(p2pmem_alloc_mmap(mm, DEV, 8, SHARED, p2pdma, 1)).toBe(EINVAL);
    percpu_ref_kill(mem[(mem[p2pdma + P2PDMA.pgmap] as number) + DEV_PAGEMAP.ref] as number);
    const dying = held();
    expect(p2pmem_alloc_mmap(mm, DEV, 8, SHARED, p2pdma, 0)).toBe(ENODEV);
    expect(held()).toBe(dying);
    expect(vma_lookup(mm, DEV)).toBe(0);
  });
  test("a mapping that fails halfway, for want of a page table, leaves nothing behind", () => {
    const { mm, p2pdma, held } = boot(name, {}, false);
    const before = held();
    for (let t = pte_alloc_one(); t !== 0; ) t = pte_alloc_one();
    // Pages 508 to 511 of the table that is there, then another.
    expect(p2pmem_alloc_mmap(mm, AT + 508, 8, SHARED, p2pdma, 0)).toBe(ENOMEM);
    expect(vma_lookup(mm, AT + 508)).toBe(0);
    expect(held()).toBe(before);
    expect(p2pmem_alloc_mmap(mm, AT + 8, 500, SHARED, p2pdma, 0)).toBe(0);
  });
  test("EREMOTEIO without the flag, from every function that may sleep, and nothing is taken", () => {
    const { mm, pages } = boot(name);
    const page = pageAt(mm, DEV);
    for (const pin of [false, true])
      for (const flags of [0, FOLL_WRITE, FOLL_WRITE | FOLL_FORCE, FOLL_NOFAULT]) {
        expect(gup_fast(mm, DEV, 4, flags, pages, pin)).toBe(EREMOTEIO);
        expect(gup_unlocked(mm, DEV, 4, flags, pages, pin)).toBe(EREMOTEIO);
        for (const remote of [false, true])
          expect(gup_locked(mm, DEV, 4, flags, pages, pin, remote)).toBe(EREMOTEIO);
      }
    expect(gup_fast(mm, DEV, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(EREMOTEIO);
    expect(count(page)).toBe(1);
    expect(pinsCounted()).toBe(0);
  });
  test("EREMOTEIO also where no page is taken: mlock()'s and MADV_POPULATE's look-up", () => {
    const { mm } = boot(name);
    const vma = vma_lookup(mm, DEV);
    expect(populate_vma_page_range(mm, vma, DEV, DEV + 8)).toBe(EREMOTEIO);
    for (const write of [false, true])
      expect(faultin_vma_page_range(mm, vma, DEV, DEV + 8, write)).toBe(EREMOTEIO);
  });
  test("the fast walk stops at it; what came before is kept, and the slow path's error is not told", () => {
    const { mm, pages } = boot(name);
    for (const pin of [false, true]) {
      expect(gup_fast_only(mm, AT + 5, 8, FOLL_WRITE, pages, pin)).toBe(3);
      expect(gup_fast_only(mm, DEV, 4, FOLL_WRITE, pages, pin)).toBe(0);
      expect(gup_fast(mm, AT + 5, 8, FOLL_WRITE, pages, pin)).toBe(3);
      expect(gup_locked(mm, AT + 5, 8, FOLL_WRITE, pages, pin, false)).toBe(3);
    }
    expect(pages[3]).toBe(0);
  });
  test("with the flag it is granted, mixed with ordinary memory, and given back by put and unpin", () => {
    const { mm, pages } = boot(name);
    const page = pageAt(mm, DEV);
    expect(gup_fast(mm, AT + 4, 12, P2P | FOLL_WRITE, pages, true)).toBe(12);
    expect(pages[4]).toBe(page);
    expect(count(page)).toBe(1 + 1024);
    expect(pinsCounted()).toBe(12);
    unpin_user_pages(pages, 12);
    expect(count(page)).toBe(1);
    expect(gup_unlocked(mm, AT + 4, 12, P2P, pages, false)).toBe(12);
    expect(count(page)).toBe(2);
    for (const p of pages.subarray(0, 12)) put_page(p);
    expect(count(page)).toBe(1);
  });
  test("even so the fast walk leaves it to the slow path in v6.10 to v7.2: the page has no mapping that could be asked", () => {
    const { mm, pages } = boot(name, { fastNeedsMapping: 1 });
    expect(gup_fast_only(mm, AT + 6, 8, P2P, pages, true)).toBe(2);
    expect(gup_fast_only(mm, DEV, 8, P2P, pages, true)).toBe(0);
    expect(gup_fast(mm, AT + 6, 8, P2P, pages, true)).toBe(8);
    // v6.9, and v7.3, which asks for long-term writes only
    const before = boot(name, { fastNeedsMapping: 0 });
    expect(gup_fast_only(before.mm, AT + 6, 8, P2P, before.pages, true)).toBe(8);
    expect(gup_fast_only(before.mm, AT + 6, 8, 0, before.pages, true)).toBe(2);
  });
  test("EINVAL with FOLL_LONGTERM whatever the memory: the device must be removable at all times", () => {
    const { mm, pages } = boot(name);
    const flags = P2P | FOLL_LONGTERM | FOLL_WRITE;
    for (const addr of [AT, DEV]) {
      expect(gup_fast(mm, addr, 2, flags, pages, true)).toBe(EINVAL);
      expect(gup_fast_only(mm, addr, 2, flags, pages, true)).toBe(EINVAL);
      // A refusal by these is 0 (gup-args.test.ts).
      expect(gup_locked(mm, addr, 2, flags, pages, true, false)).toBe(0);
      expect(gup_unlocked(mm, addr, 2, flags, pages, true)).toBe(0);
    }
    expect(pinsCounted()).toBe(0);
  });
  test("v6.2 itself said EOPNOTSUPP for that, when it looked at the area; the fast walk had not asked", () => {
    const { mm, pages } = boot(name, { pciP2pdma: knobValue("pciP2pdma", "v6.2"), fastNeedsMapping: 0 });
    const flags = P2P | FOLL_LONGTERM | FOLL_WRITE;
    expect(gup_locked(mm, AT, 2, flags, pages, true, false)).toBe(EOPNOTSUPP);
    expect(gup_fast(mm, AT, 2, flags, pages, true)).toBe(2);
  });
  test("a pin outlives the mapping, and the device with it: its pagemap is held until the pin goes", () => {
    const { mm, pages, held } = boot(name);
    const idle = held() - 8;
    expect(gup_fast(mm, DEV, 2, P2P | FOLL_WRITE, pages, true)).toBe(2);
    expect(do_munmap(mm, DEV, 8)).toBe(0);
    expect(held()).toBe(idle + 2);
    unpin_user_page(pages[0] as number);
    expect(held()).toBe(idle + 1);
    unpin_user_page(pages[1] as number);
    expect(held()).toBe(idle);
  });
  test("ENOMEM comes first for a count that has overflowed", () => {
    const { mm, pages } = boot(name);
    const page = pageAt(mm, DEV);
    mem[page_word(page, PAGE._refcount)] = -2147483647;
    expect(gup_locked(mm, DEV, 1, 0, pages, true, false)).toBe(ENOMEM);
    mem[page_word(page, PAGE._refcount)] = 1;
  });
  test("entries that are gone do not come back: nothing faults them in (EFAULT)", () => {
    const { mm, pages } = boot(name);
    expect(do_madvise(mm, DEV + 2, 1, MADV_DONTNEED)).toBe(0);
    expect(gup_fast(mm, DEV, 4, P2P, pages, true)).toBe(2);
    expect(gup_fast(mm, DEV + 2, 1, P2P, pages, true)).toBe(EFAULT);
    expect(accessUser(mm, DEV + 2, true)).toBe("SIGBUS");
  });
});
