/**
 * GUP of pages that a driver has taken into its own memory. Device-coherent pages (v6.0) are mapped and taken
 * like others, but not for long: they move to System RAM first, or the call fails with EBUSY. Device-private
 * pages have entries that are not present: the driver brings them home for whoever looks them up.
 */

import { describe, expect, test } from "vitest";
import type { KnobSettings } from "../../src/machine/config.ts";
import { mem } from "../../src/machine/memory.ts";
import { migrate_to_device } from "../../src/mm/device_memory.ts";
import { alloc_device_page } from "../../src/mm/device_page.ts";
import { DMIRROR_DEVICE } from "../../src/mm/dmirror.ts";
import { dup_mm, mm_create } from "../../src/mm/fork.ts";
import { unpin_user_page, unpin_user_pages } from "../../src/mm/gup.ts";
import { gup_fast, gup_fast_only, gup_locked, gup_unlocked } from "../../src/mm/gup_entry.ts";
import {
  FOLL_FORCE,
  FOLL_HWPOISON,
  FOLL_LONGTERM,
  FOLL_NOFAULT,
  FOLL_WRITE,
} from "../../src/mm/gup_flags.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { do_munmap } from "../../src/mm/madvise.ts";
import { is_device_coherent_page, is_device_private_page } from "../../src/mm/migrate_entry.ts";
import { VM_READ } from "../../src/mm/mm_types.ts";
import { do_mmap, mmap_read_lock, mmap_read_unlock } from "../../src/mm/mmap.ts";
import { do_mprotect } from "../../src/mm/mprotect.ts";
import { is_zone_device_page, PAGE, page_address, page_word, pfn_to_page } from "../../src/mm/page.ts";
import { alloc_pages, GFP_USER, page_zone_nr, ZONE_MOVABLE } from "../../src/mm/page_alloc.ts";
import { percpu_ref_sum } from "../../src/mm/percpu-refcount.ts";
import { DEV_PAGEMAP } from "../../src/mm/pgmap.ts";
import { is_device_private_entry, pte_pfn, pte_present, swp_offset } from "../../src/mm/pgtable.ts";
import { put_page } from "../../src/mm/swap.ts";
import { accessUser } from "../../src/replay/access.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine, DEVICE_PAGES, type MachineNeeds } from "../../src/replay/machine.ts";
import { pinsCounted } from "../replay/counts.ts";
import { AT, entry, KERNELS, RW } from "./gup-machine.ts";

const EFAULT = -14;
const EBUSY = -16;
const ENOMEM = -12;
const LONG = FOLL_LONGTERM | FOLL_WRITE;

interface Booted {
  readonly mm: number;
  readonly mdevice: number;
  readonly pages: Int32Array;
}
/** Eight private pages at AT, each with its number in it; those from `from` to `to` - 1 are the device's. */
function boot(
  name: string,
  deviceMemory: "private" | "coherent",
  from: number,
  to: number,
  needs: Partial<MachineNeeds> = {},
  knobs: KnobSettings = {},
): Booted {
  const machine = bootReplayMachine(
    kernelProfile(name, "test"),
    { devices: new Set(), hugeZero: false, movable: false, deviceMemory, ...needs },
    knobs,
  );
  const { mdevice } = machine;
  const mm = mm_create();
  expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
  for (let i = 0; i < 8; i++) mem[accessUser(mm, AT + i, true) as number] = 100 + i;
  lru_add_drain();
  for (let i = from; i < to; i++) expect(migrate_to_device(mm, AT + i, mdevice)).toBe(0);
  return { mm, mdevice, pages: new Int32Array(64) };
}
const pageAt = (mm: number, addr: number): number => {
  const e = entry(mm, addr);
  return pfn_to_page(pte_present(e) ? pte_pfn(e) : swp_offset(e));
};
const count = (page: number): number => {
  lru_add_drain();
  return mem[page_word(page, PAGE._refcount)] as number;
};
const free = (mdevice: number): number => mem[mdevice + DMIRROR_DEVICE.nr_free] as number;
/** pin_user_pages() for long, as who holds mmap_lock calls it. */
function pinLong(mm: number, addr: number, n: number, pages: Int32Array, flags = LONG): number {
  mmap_read_lock(mm);
  const ret = gup_locked(mm, addr, n, flags, pages, true, false);
  mmap_read_unlock(mm);
  return ret;
}
function exhaustMemory(): void {
  while (alloc_pages(GFP_USER, 0, -1) !== 0);
}
/** What is at AT is what was written there, in System RAM. */
function expectHome(mm: number, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    expect(is_zone_device_page(pageAt(mm, AT + i))).toBe(false);
    expect(mem[page_address(pageAt(mm, AT + i))]).toBe(100 + i);
  }
}

test("5.10.0 has no coherent memory: a pagemap of that type is refused", () => {
  expect(() => boot("5.10.0", "coherent", 0, 0)).toThrow("no device-coherent memory");
});

describe.each(["6.1.0", "6.12.0", "7.3.0"])("device-coherent pages in %s", (name) => {
  test("are mapped as what they replace was, and go back to the driver with the mapping", () => {
    const { mm, mdevice } = boot(name, "coherent", 0, 4);
    expect(free(mdevice)).toBe(DEVICE_PAGES - 4);
    const page = pageAt(mm, AT);
    expect([is_device_coherent_page(page), count(page)]).toEqual([true, 1]);
    expect(mem[accessUser(mm, AT + 3, false) as number]).toBe(103);
    expect(typeof accessUser(mm, AT, true)).toBe("number");
    expect(pageAt(mm, AT)).toBe(page);
    expect(do_munmap(mm, AT, 8)).toBe(0);
    expect(free(mdevice)).toBe(DEVICE_PAGES);
    expect(count(page)).toBe(0);
  });
  test("are taken by the fast walk for reading and writing, and given back", () => {
    const { mm, pages } = boot(name, "coherent", 2, 6);
    const page = pageAt(mm, AT + 2);
    for (const flags of [0, FOLL_WRITE]) {
      expect(gup_fast_only(mm, AT, 8, flags, pages, true)).toBe(8);
      expect([pages[2], count(page)]).toEqual([page, 1 + 1024]);
      unpin_user_pages(pages, 8);
      expect(gup_fast_only(mm, AT, 8, flags, pages, false)).toBe(8);
      expect(count(page)).toBe(2);
      for (const p of pages.subarray(0, 8)) put_page(p);
      expect(gup_locked(mm, AT, 8, flags, pages, true, false)).toBe(8);
      unpin_user_pages(pages, 8);
    }
    expect(count(page)).toBe(1);
    expect(pinsCounted()).toBe(0);
  });
  test("a pin that outlives the mapping gives the page back to the driver when it goes", () => {
    const { mm, mdevice, pages } = boot(name, "coherent", 0, 2);
    const ref = mem[(mem[mdevice + DMIRROR_DEVICE.pgmap] as number) + DEV_PAGEMAP.ref] as number;
    const held = percpu_ref_sum(ref);
    expect(gup_fast(mm, AT, 2, FOLL_WRITE, pages, true)).toBe(2);
    expect(do_munmap(mm, AT, 8)).toBe(0);
    expect(free(mdevice)).toBe(DEVICE_PAGES - 2);
    unpin_user_page(pages[0] as number);
    expect([free(mdevice), percpu_ref_sum(ref)]).toEqual([DEVICE_PAGES - 1, held - 1]);
    unpin_user_page(pages[1] as number);
    expect([free(mdevice), percpu_ref_sum(ref)]).toEqual([DEVICE_PAGES, held - 2]);
  });
  test("the fast walk refuses one for long; what came before is kept (fast_only)", () => {
    const { mm, pages } = boot(name, "coherent", 3, 5);
    for (const flags of [FOLL_LONGTERM, LONG]) {
      expect(gup_fast_only(mm, AT + 1, 7, flags, pages, true)).toBe(2);
      unpin_user_pages(pages, 2);
      expect(gup_fast_only(mm, AT + 3, 2, flags, pages, true)).toBe(0);
    }
    expect(count(pageAt(mm, AT + 3))).toBe(1);
  });
  test("the slow path moves them to System RAM and pins them there (EAGAIN inside)", () => {
    for (const flags of [FOLL_LONGTERM, LONG]) {
      const { mm, mdevice, pages } = boot(name, "coherent", 2, 6);
      expect(gup_fast(mm, AT, 8, flags, pages, true)).toBe(8);
      expectHome(mm, 0, 8);
      for (let i = 0; i < 8; i++) expect(pages[i]).toBe(pageAt(mm, AT + i));
      expect(free(mdevice)).toBe(DEVICE_PAGES);
      expect(pinsCounted()).toBe(8);
      unpin_user_pages(pages, 8);
      lru_add_drain();
      for (let i = 0; i < 8; i++) expect(count(pages[i] as number)).toBe(1);
      // From now on the fast walk will do.
      expect(gup_fast_only(mm, AT, 8, flags, pages, true)).toBe(8);
    }
  });
  test("EBUSY if somebody else holds one: every pin of the call is undone, and those before it have moved", () => {
    for (const pin of [false, true]) {
      const { mm, pages } = boot(name, "coherent", 2, 6);
      const other = new Int32Array(1);
      expect(gup_fast(mm, AT + 4, 1, 0, other, pin)).toBe(1);
      const held = count(other[0] as number);
      expect(pinLong(mm, AT, 8, pages)).toBe(EBUSY);
      expect(pinsCounted()).toBe(pin ? 1 : 0);
      expect(count(other[0] as number)).toBe(held);
      expectHome(mm, 0, 4);
      for (const i of [4, 5]) expect(is_device_coherent_page(pageAt(mm, AT + i))).toBe(true);
      for (const i of [0, 2, 5, 7]) expect(count(pageAt(mm, AT + i))).toBe(1);
      expect(pageAt(mm, AT + 4)).toBe(other[0]);
      if (pin) unpin_user_page(other[0] as number);
      else put_page(other[0] as number);
      expect(pinLong(mm, AT, 8, pages)).toBe(8);
      expectHome(mm, 0, 8);
    }
  });
  test("EBUSY without memory to move to: the page stays, with its contents", () => {
    const { mm, pages } = boot(name, "coherent", 0, 2);
    const page = pageAt(mm, AT);
    exhaustMemory();
    expect(gup_fast(mm, AT, 2, LONG, pages, true)).toBe(EBUSY);
    expect([pageAt(mm, AT), count(page), pinsCounted()]).toEqual([page, 1, 0]);
    expect(mem[accessUser(mm, AT, false) as number]).toBe(100);
    expect(gup_fast(mm, AT, 2, FOLL_WRITE, pages, true)).toBe(2);
  });
  test("what the fast walk had before is kept, and EBUSY is not told", () => {
    const { mm, pages } = boot(name, "coherent", 3, 4);
    const other = new Int32Array(1);
    expect(gup_fast(mm, AT + 3, 1, 0, other, false)).toBe(1);
    expect(gup_fast(mm, AT, 8, LONG, pages, true)).toBe(3);
    expect(pinsCounted()).toBe(3);
    expect(gup_fast(mm, AT + 3, 1, LONG, pages, true)).toBe(EBUSY);
    const unlocked = gup_unlocked(mm, AT, 8, LONG, pages, true);
    expect(unlocked).toBe(name === "6.1.0" ? -22 : EBUSY);
  });
  test("movable pages of the same call are put back where they were if it fails, and moved if it does not", () => {
    const { mm, pages } = boot(name, "coherent", 2, 4, { movable: true });
    const other = new Int32Array(1);
    expect(gup_fast(mm, AT + 3, 1, 0, other, false)).toBe(1);
    const movable = pageAt(mm, AT + 5);
    expect(page_zone_nr(movable)).toBe(ZONE_MOVABLE);
    expect(pinLong(mm, AT, 8, pages)).toBe(EBUSY);
    expect([pageAt(mm, AT + 5), count(movable)]).toEqual([movable, 1]);
    put_page(other[0] as number);
    expect(pinLong(mm, AT, 8, pages)).toBe(8);
    for (const p of pages.subarray(0, 8)) expect(page_zone_nr(p)).not.toBe(ZONE_MOVABLE);
    expectHome(mm, 0, 8);
  });
  test("one that two processes map moves for both; a write for long gives the caller a page of its own first", () => {
    const { mm, mdevice, pages } = boot(name, "coherent", 0, 2);
    const child = dup_mm(mm);
    expect(gup_fast(child, AT, 1, LONG, pages, true)).toBe(1);
    expect(is_device_coherent_page(pageAt(mm, AT))).toBe(true);
    expectHome(child, 0, 1);
    // A reference is not for long, a pin for reading would unshare.
    expect(pageAt(child, AT + 1)).toBe(pageAt(mm, AT + 1));
    expect(free(mdevice)).toBe(DEVICE_PAGES - 2);
  });
  test("a page that the driver gave out before is not exclusive for its next user", () => {
    const { mm, mdevice, pages } = boot(name, "coherent", 0, 1);
    const page = pageAt(mm, AT);
    expect(do_munmap(mm, AT, 1)).toBe(0);
    expect(do_mmap(mm, AT, 1, RW, 0, 0)).toBe(0);
    expect(typeof accessUser(mm, AT, true)).toBe("number");
    lru_add_drain();
    const child = dup_mm(mm);
    expect(migrate_to_device(mm, AT, mdevice)).toBe(0);
    expect(pageAt(mm, AT)).toBe(page);
    expect(pageAt(child, AT)).toBe(page);
    expect(gup_fast_only(mm, AT, 1, 0, pages, true)).toBe(0);
    expect(gup_fast(mm, AT, 1, 0, pages, true)).toBe(1);
    expect(pages[0]).not.toBe(page);
  });
});

describe.each(KERNELS)("device-private pages in %s", (name) => {
  const idle = name === "5.10.0" ? 1 : 0;
  test("have entries that are not present; the CPU's access and the end of the mapping give them back to the driver", () => {
    const { mm, mdevice } = boot(name, "private", 0, 4);
    const e = entry(mm, AT);
    const page = pageAt(mm, AT);
    expect([pte_present(e), is_device_private_entry(e)]).toEqual([false, true]);
    expect([is_device_private_page(page), count(page)]).toEqual([true, idle + 1]);
    expect(mem[accessUser(mm, AT, false) as number]).toBe(100);
    expect([count(page), free(mdevice)]).toEqual([idle, DEVICE_PAGES - 3]);
    expect(do_munmap(mm, AT, 8)).toBe(0);
    expect(free(mdevice)).toBe(DEVICE_PAGES);
  });
  test("the fast walk stops at them, and keeps what came before", () => {
    const { mm, pages } = boot(name, "private", 3, 5);
    expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(3);
    expect(gup_fast_only(mm, AT + 3, 2, 0, pages, false)).toBe(0);
    expect(is_device_private_page(pageAt(mm, AT + 3))).toBe(true);
  });
  test("the slow path has them brought home, and takes them there: for reading, writing, by force and for long", () => {
    for (const flags of [0, FOLL_WRITE, FOLL_WRITE | FOLL_FORCE, LONG])
      for (const pin of flags === LONG ? [true] : [false, true]) {
        const { mm, mdevice, pages } = boot(name, "private", 2, 6);
        expect(gup_fast(mm, AT, 8, flags, pages, pin)).toBe(8);
        expectHome(mm, 0, 8);
        for (let i = 0; i < 8; i++) expect(pages[i]).toBe(pageAt(mm, AT + i));
        expect(free(mdevice)).toBe(DEVICE_PAGES);
        expect(pinsCounted()).toBe(pin ? 8 : 0);
      }
  });
  test("for long they come home to memory that may be pinned, from v5.13 on", () => {
    const { mm, pages } = boot(name, "private", 0, 4, { movable: true });
    expect(page_zone_nr(pageAt(mm, AT + 5))).toBe(ZONE_MOVABLE);
    expect(gup_fast(mm, AT, 4, LONG, pages, true)).toBe(4);
    for (const p of pages.subarray(0, 4)) expect(page_zone_nr(p) === ZONE_MOVABLE).toBe(name === "5.10.0");
  });
  test("EFAULT if the driver has no memory for one (SIGBUS): the page stays with it, and what came before is kept", () => {
    const { mm, mdevice, pages } = boot(name, "private", 3, 5);
    const page = pageAt(mm, AT + 3);
    exhaustMemory();
    for (const pin of [false, true]) {
      expect(gup_fast(mm, AT + 3, 2, FOLL_WRITE, pages, pin)).toBe(EFAULT);
      expect(gup_fast(mm, AT + 3, 2, FOLL_HWPOISON, pages, pin)).toBe(-22);
      expect(gup_locked(mm, AT + 3, 2, FOLL_HWPOISON, pages, pin, false)).toBe(EFAULT);
      expect(gup_fast(mm, AT, 8, FOLL_WRITE, pages, pin)).toBe(3);
    }
    expect([pageAt(mm, AT + 3), count(page)]).toEqual([page, idle + 1]);
    expect(is_device_private_entry(entry(mm, AT + 3))).toBe(true);
    expect(free(mdevice)).toBe(DEVICE_PAGES - 2);
    expect(accessUser(mm, AT + 3, false)).toBe("SIGBUS");
  });
  test("EFAULT with FOLL_NOFAULT: nobody asks the driver", () => {
    const { mm, pages } = boot(name, "private", 3, 5);
    expect(gup_locked(mm, AT + 3, 2, FOLL_NOFAULT, pages, true, false)).toBe(EFAULT);
    expect(gup_locked(mm, AT, 8, FOLL_NOFAULT, pages, true, false)).toBe(3);
    expect(is_device_private_page(pageAt(mm, AT + 3))).toBe(true);
  });
  test("a write where the area may not be written is refused before the driver is asked", () => {
    const { mm, pages } = boot(name, "private", 5, 6);
    expect(do_mprotect(mm, AT, 4, VM_READ)).toBe(0);
    expect(migrate_to_device(mm, AT, boundDevice(mm))).toBe(0);
    expect(gup_fast(mm, AT, 1, FOLL_WRITE, pages, true)).toBe(EFAULT);
    expect(is_device_private_page(pageAt(mm, AT))).toBe(true);
    expect(gup_locked(mm, AT, 1, FOLL_WRITE | FOLL_FORCE, pages, true, false)).toBe(1);
    expectHome(mm, 0, 1);
  });
  test("one that two processes map comes home for both, and a write then copies", () => {
    const { mm, mdevice, pages } = boot(name, "private", 0, 2);
    const child = dup_mm(mm);
    const page = pageAt(mm, AT);
    expect([pageAt(child, AT), count(page)]).toEqual([page, idle + 2]);
    expect(gup_fast(child, AT, 2, FOLL_WRITE, pages, true)).toBe(2);
    expectHome(mm, 0, 2);
    expectHome(child, 0, 2);
    expect(pageAt(child, AT)).not.toBe(pageAt(mm, AT));
    expect(free(mdevice)).toBe(DEVICE_PAGES);
  });
});

describe("a driver's memory", () => {
  test("takes no page that is pinned or referenced (EBUSY), and none that it has no room for (ENOMEM)", () => {
    const { mm, mdevice, pages } = boot("7.3.0", "coherent", 0, 0);
    for (const pin of [false, true]) {
      expect(gup_fast(mm, AT, 1, 0, pages, pin)).toBe(1);
      const before = pages[0] as number;
      expect(migrate_to_device(mm, AT, mdevice)).toBe(EBUSY);
      expect(pageAt(mm, AT)).toBe(before);
      if (pin) unpin_user_page(before);
      else put_page(before);
      expect(count(before)).toBe(1);
    }
    while (alloc_device_page(mdevice) !== 0);
    expect(migrate_to_device(mm, AT, mdevice)).toBe(ENOMEM);
    expect(migrate_to_device(mm, AT + 100, mdevice)).toBe(EFAULT);
    expect(mem[accessUser(mm, AT, false) as number]).toBe(100);
  });
});

/** The device that owns the page at AT + 5. */
function boundDevice(mm: number): number {
  const pgmap = mem[page_word(pageAt(mm, AT + 5), PAGE.pgmap)] as number;
  return mem[pgmap + DEV_PAGEMAP.owner] as number;
}
