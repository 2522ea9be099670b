/**
 * The kernel's hmm-tests (tools/testing/selftests/mm/hmm-tests.c, v7.1) by their names, on our mirror device:
 * fixtures hmm and hmm2 (two devices), variants hmm_device_private and hmm_device_coherent, each test with
 * the kernel's expectation. One CPU, no races: those are claims C7 and C8. Tests that this machine cannot run
 * are listed as skipped, with the reason.
 */
import { beforeEach, describe, expect, test } from "vitest";
import {
  addAnonVma,
  addSystemRam,
  newDmirror,
  newMdevice,
  newMirroredMm,
} from "../../src/claims/hmm-machine.ts";
import { geom, kernel } from "../../src/machine/config.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import { declareRegion, mem } from "../../src/machine/memory.ts";
import { addMmPools, allocStruct, bootMachine } from "../../src/mm/boot.ts";
import { alloc_device_page } from "../../src/mm/device_page.ts";
import { DMIRROR, DMIRROR_DEVICE } from "../../src/mm/dmirror.ts";
import { DEV_PAGEMAP_OPS_DMIRROR, dmirror_device_evict_chunk } from "../../src/mm/dmirror_devmem.ts";
import { handle_mm_fault, VM_FAULT_ERROR } from "../../src/mm/hmm_fault.ts";
import { do_madvise, MADV_DONTNEED } from "../../src/mm/madvise.ts";
import { memremap_pages } from "../../src/mm/memremap.ts";
import {
  MIGRATE_PFN_MIGRATE,
  MIGRATE_VMA_SELECT_SYSTEM,
  migrate_pfn,
  migrate_vma_finalize,
  migrate_vma_pages,
  migrate_vma_setup,
} from "../../src/mm/migrate_device.ts";
import { mm_find_pte } from "../../src/mm/migrate_entry.ts";
import { MM, VM_MIXEDMAP, VM_READ, VM_WRITE, VMA } from "../../src/mm/mm_types.ts";
import { find_vma } from "../../src/mm/mmap.ts";
import {
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
} from "../../src/mm/mmu_notifier.ts";
import { MMU_NOTIFY_PROTECTION_VMA } from "../../src/mm/mmu_notifier_types.ts";
import { get_page, PAGE, page_address, page_ref_count, page_to_pfn, pfn_to_page } from "../../src/mm/page.ts";
import { trylock_page, unlock_page } from "../../src/mm/pagemap.ts";
import { percpu_ref_sum } from "../../src/mm/percpu-refcount.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_COHERENT, MEMORY_DEVICE_PRIVATE } from "../../src/mm/pgmap.ts";
import {
  _PAGE_SPECIAL,
  is_device_private_entry,
  PAGE_NONE,
  PAGE_READONLY,
  PAGE_SHARED,
  pfn_pmd,
  pfn_pte,
  pgtable_alloc,
  pte_pfn,
  pte_present,
  pte_write,
  pte_wrprotect,
  swp_offset,
} from "../../src/mm/pgtable.ts";
import { alloc_ram_page, POOL_RAM } from "../../src/mm/ram_page.ts";
import { put_page } from "../../src/mm/swap.ts";
import { dmirror_fault, dmirror_read, dmirror_write } from "../../src/mm/test_hmm.ts";
import * as dev from "../../src/mm/test_hmm_ioctl.ts";

const VARIANTS = [
  ["hmm_device_private", MEMORY_DEVICE_PRIVATE],
  ["hmm_device_coherent", MEMORY_DEVICE_COHERENT],
] as const;

const ZERO_PFN = 1;
const RAM = { first: 2, nr: 30 };
const DEVICE_FRAMES = 16;
const DEVICE_FIRST = [32, 48];
const ADDR = 8;
const N = 4;
const EFAULT = 14;
const EPERM = 1;

interface Machine {
  mm: number;
  vma: number;
  dmirrors: number[];
  mdevices: number[];
  pgmaps: number[];
}

/** FIXTURE_SETUP: `devices` mirror devices with memory of their own, and an area of eight anonymous pages. */
function setUp(type: number, devices = 1): Machine {
  useSequentialHost();
  bootMachine({
    preset: "v7.3",
    knobs: { mmuNotifier: 1, pageRegions: 1 },
    arch: "x86-64",
    geometry: { levels: 2, table_shift: 3, max_pfn: 64, vmemmap_shift: 0, pgmap_shift: 4 },
    cpus: 1,
    tables: 8,
    pgmaps: 2,
  });
  kernel.dmirror_tries = 3;
  kernel.zero_pfn = ZERO_PFN;
  addMmPools(2, 1);
  const mm = newMirroredMm();
  addSystemRam(RAM.first, RAM.nr, 0, POOL_RAM);
  const m: Machine = { mm, vma: addAnonVma(mm, ADDR, 8), dmirrors: [], mdevices: [], pgmaps: [] };
  for (let i = 0; i < devices; i++) addDevice(m, type, i);
  return m;
}

function addDevice(m: Machine, type: number, i: number): void {
  const first = DEVICE_FIRST[i];
  const pgmap = allocStruct(`pgmap${i}`, DEV_PAGEMAP);
  const mdevice = newMdevice(pgmap, DEVICE_FRAMES, `mdevice${i}`);
  Object.entries({
    type,
    start: first,
    nr: DEVICE_FRAMES,
    owner: mdevice,
    ops: DEV_PAGEMAP_OPS_DMIRROR,
  }).forEach(([field, value]) => {
    mem[pgmap + DEV_PAGEMAP[field as "type"]] = value;
  });
  for (let f = first; f < first + DEVICE_FRAMES; f++) {
    declareRegion(`memmap of ${f}`, kernel.vmemmap + f * PAGE.SIZE, PAGE.SIZE, 0, false);
    mem[mem[mdevice + DMIRROR_DEVICE.free_list] + (f - first)] = f;
  }
  declareRegion(
    `memory of device ${i}`,
    kernel.direct_map + first * geom.page_words,
    DEVICE_FRAMES,
    0,
    false,
  );
  mem[mdevice + DMIRROR_DEVICE.nr_free] = DEVICE_FRAMES;
  if (!memremap_pages(pgmap)) throw new Error("memremap_pages() failed");
  m.pgmaps.push(pgmap);
  m.mdevices.push(mdevice);
  m.dmirrors.push(newDmirror(m.mm, ADDR, 8, mdevice, `dmirror${i}`));
}

/** A CPU access: where the contents are once the access succeeds, or a SIGSEGV or SIGBUS. */
function cpu(m: Machine, addr: number, write: boolean): number {
  for (let tries = 0; tries < 10; tries++) {
    const ptep = mm_find_pte(m.mm, addr);
    const e = ptep === 0 ? 0 : mem[ptep];
    if (pte_present(e) && (!write || pte_write(e))) return page_address(pfn_to_page(pte_pfn(e)));
    const vma = find_vma(m.mm, addr);
    const allowed = mem[vma + VMA.vm_flags] & (write ? VM_WRITE : VM_READ);
    if (allowed === 0 || (handle_mm_fault(vma, addr, write) & VM_FAULT_ERROR) !== 0)
      throw new Error("SIGSEGV");
  }
  throw new Error("the fault does not end");
}
const cpuWrite = (m: Machine, addr: number, v: number): void => {
  mem[cpu(m, addr, true)] = v;
};
const cpuRead = (m: Machine, addr: number): number => mem[cpu(m, addr, false)];
const fill = (m: Machine, n = N): void => {
  for (let i = 0; i < n; i++) cpuWrite(m, ADDR + i, 100 + i);
};
const contents = (m: Machine, n = N): number[] => Array.from({ length: n }, (_, i) => cpuRead(m, ADDR + i));
const pattern = Array.from({ length: N }, (_, i) => 100 + i);

function devRead(m: Machine, addr: number, d = 0): number {
  const out = new Int32Array(1);
  const ret = dmirror_read(m.dmirrors[d], addr, out);
  return ret === 0 ? out[0] : ret;
}
const devWrite = (m: Machine, addr: number, v: number, d = 0): number =>
  dmirror_write(m.dmirrors[d], addr, v);
const devContents = (m: Machine): number[] => Array.from({ length: N }, (_, i) => devRead(m, ADDR + i));
function snapshot(m: Machine, addr: number, n: number, d = 0): number[] {
  const out = new Int32Array(8);
  expect(dev.dmirror_snapshot(m.dmirrors[d], addr, n, out)).toBe(0);
  return Array.from(out.subarray(0, n));
}
/** mprotect() of [addr, addr + n), in its brackets. */
function mprotect(m: Machine, addr: number, n: number, flags: number): void {
  mmu_notifier_invalidate_range_start(m.mm, addr, addr + n, MMU_NOTIFY_PROTECTION_VMA, 0);
  mem[m.vma + VMA.vm_flags] = flags;
  for (let a = addr; a < addr + n; a++) {
    const ptep = mm_find_pte(m.mm, a);
    if (ptep === 0 || !pte_present(mem[ptep])) continue;
    const prot = (flags & VM_READ) === 0 ? PAGE_NONE : (flags & VM_WRITE) !== 0 ? PAGE_SHARED : PAGE_READONLY;
    mem[ptep] = pfn_pte(pte_pfn(mem[ptep]), prot);
  }
  mmu_notifier_invalidate_range_end(m.mm);
}
/** The page at an address, on the device or not. */
function pageAt(m: Machine, addr: number): number {
  const e = mem[mm_find_pte(m.mm, addr)];
  return pfn_to_page(is_device_private_entry(e) ? swp_offset(e) : pte_pfn(e));
}
const onDevice = (m: Machine, addr: number, d = 0): boolean => {
  const pfn = page_to_pfn(pageAt(m, addr));
  return pfn >= DEVICE_FIRST[d] && pfn < DEVICE_FIRST[d] + DEVICE_FRAMES;
};
const freeFrames = (m: Machine, d = 0): number => mem[m.mdevices[d] + DMIRROR_DEVICE.nr_free];

describe.each(VARIANTS)("hmm, %s", (_variant, type) => {
  let m: Machine;
  beforeEach(() => {
    m = setUp(type);
  });

  test("open_close: a device with a registered notifier and an empty table", () => {
    expect(mem[m.dmirrors[0] + DMIRROR.mm]).toBe(m.mm);
    expect(snapshot(m, ADDR, N)).toEqual([0, 0, 0, 0]);
  });
  test("anon_read: the device sees what the CPU wrote; a page that was never touched reads as zero", () => {
    fill(m, 2);
    expect(devContents(m)).toEqual([100, 101, 0, 0]);
  });
  test("anon_read_prot: PROT_NONE gives -EFAULT until mprotect() allows reading", () => {
    fill(m);
    mprotect(m, ADDR, N, 0);
    expect(devRead(m, ADDR)).toBe(-EFAULT);
    mprotect(m, ADDR, N, VM_READ);
    expect(devContents(m)).toEqual(pattern);
  });
  test("anon_write: the CPU sees what the device wrote", () => {
    for (let i = 0; i < N; i++) expect(devWrite(m, ADDR + i, 100 + i)).toBe(0);
    expect(contents(m)).toEqual(pattern);
  });
  test("anon_write_prot: a read-only area gives -EPERM until mprotect() allows writing", () => {
    fill(m);
    mprotect(m, ADDR, N, VM_READ);
    expect(devRead(m, ADDR)).toBe(100);
    expect(devWrite(m, ADDR, 7)).toBe(-EPERM);
    expect(cpuRead(m, ADDR)).toBe(100);
    mprotect(m, ADDR, N, VM_READ | VM_WRITE);
    expect(devWrite(m, ADDR, 7)).toBe(0);
    expect(cpuRead(m, ADDR)).toBe(7);
  });
  test("migrate: the device has the pages and their contents", () => {
    fill(m);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N)).toBe(N);
    for (let i = 0; i < N; i++) expect(onDevice(m, ADDR + i)).toBe(true);
    expect(devContents(m)).toEqual(pattern);
  });
  test("migrate_fault: CPU faults bring private pages home and leave coherent ones; and once more", () => {
    for (let round = 0; round < 2; round++) {
      fill(m);
      if (round === 0 || type === MEMORY_DEVICE_PRIVATE)
        expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N)).toBe(N);
      expect(contents(m)).toEqual(pattern);
      expect(onDevice(m, ADDR)).toBe(type === MEMORY_DEVICE_COHERENT);
    }
    if (type === MEMORY_DEVICE_PRIVATE) expect(freeFrames(m)).toBe(DEVICE_FRAMES);
  });
  test("migrate_release: the device evicts its pages when it closes; the CPU still has them", () => {
    fill(m);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N)).toBe(N);
    dmirror_device_evict_chunk(m.pgmaps[0]);
    expect(freeFrames(m)).toBe(DEVICE_FRAMES);
    expect(onDevice(m, ADDR)).toBe(false);
    expect(contents(m)).toEqual(pattern);
  });
  test("migrate_multiple: over and over, home by request, nothing is lost", () => {
    for (let round = 0; round < 5; round++) {
      fill(m);
      expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N)).toBe(N);
      expect(devContents(m)).toEqual(pattern);
      expect(dev.dmirror_migrate_to_system(m.dmirrors[0], ADDR, N)).toBe(N);
      expect(freeFrames(m)).toBe(DEVICE_FRAMES);
      expect(contents(m)).toEqual(pattern);
    }
  });
  test("migrate: pages that the device has no room for stay where they are", () => {
    fill(m);
    mem[m.mdevices[0] + DMIRROR_DEVICE.alloc_fails] = 1;
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N)).toBe(N - 1);
    expect([0, 1, 2, 3].map((i) => onDevice(m, ADDR + i))).toEqual([false, true, true, true]);
    expect(contents(m)).toEqual(pattern);
  });
  test("migrate: a page that somebody else refers to stays, at home or on the device", () => {
    fill(m);
    const home = pageAt(m, ADDR);
    get_page(home);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N)).toBe(N - 1);
    expect(onDevice(m, ADDR)).toBe(false);
    put_page(home);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, 1)).toBe(1);
    // One reference more passes the first look at a device page, and not the second.
    const page = pageAt(m, ADDR);
    get_page(page);
    expect(dev.dmirror_migrate_to_system(m.dmirrors[0], ADDR, N)).toBe(N - 1);
    expect(onDevice(m, ADDR)).toBe(true);
    put_page(page);
    expect(dev.dmirror_migrate_to_system(m.dmirrors[0], ADDR, 1)).toBe(1);
    expect(contents(m)).toEqual(pattern);
  });
  test("migrate: a page that somebody has locked stays, and is still locked", () => {
    fill(m);
    const page = pageAt(m, ADDR + 1);
    expect(trylock_page(page)).toBe(true);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N)).toBe(N - 1);
    expect(onDevice(m, ADDR + 1)).toBe(false);
    expect(trylock_page(page)).toBe(false);
    unlock_page(page);
    expect(contents(m)).toEqual(pattern);
  });
  test("migrate: a hole that somebody fills meanwhile keeps the page that fills it", () => {
    const src = new Int32Array(1);
    const dst = new Int32Array(1);
    const mdevice = m.mdevices[0];
    cpuWrite(m, ADDR + 1, 1); // so that there is a table
    migrate_vma_setup(m.vma, ADDR, ADDR + 1, src, MIGRATE_VMA_SELECT_SYSTEM, mdevice, 0);
    expect(src[0]).toBe(MIGRATE_PFN_MIGRATE);
    cpuWrite(m, ADDR, 7);
    const page = alloc_device_page(mdevice);
    expect(trylock_page(page)).toBe(true);
    dst[0] = migrate_pfn(page_to_pfn(page));
    migrate_vma_pages(m.vma, ADDR, 1, src, dst, mdevice, 0);
    expect(src[0]).toBe(0);
    migrate_vma_finalize(1, src, dst, 0);
    expect(onDevice(m, ADDR)).toBe(false);
    expect(cpuRead(m, ADDR)).toBe(7);
    expect(freeFrames(m)).toBe(DEVICE_FRAMES);
  });
  test("migrate: each page that is on the device holds a reference on its pagemap", () => {
    const held = (): number => percpu_ref_sum(mem[m.pgmaps[0] + DEV_PAGEMAP.ref]);
    fill(m);
    const idle = held();
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N)).toBe(N);
    expect(held()).toBe(idle + N);
    expect(dev.dmirror_migrate_to_system(m.dmirrors[0], ADDR, N)).toBe(N);
    expect(held()).toBe(idle);
  });
  test("anon_read_multiple: after each unmapping the device reads new pages", () => {
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < N; i++) cpuWrite(m, ADDR + i, round * 10 + i);
      expect(devContents(m)).toEqual([0, 1, 2, 3].map((i) => round * 10 + i));
      do_madvise(m.mm, ADDR, N, MADV_DONTNEED);
      expect(devContents(m)).toEqual([0, 0, 0, 0]);
      do_madvise(m.mm, ADDR, N, MADV_DONTNEED);
    }
  });
  test("anon_teardown: pages that go while they are on the device go back to it", () => {
    for (let round = 0; round < 3; round++) {
      fill(m);
      if (round % 2 === 0) dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, N);
      expect(devContents(m)).toEqual(pattern);
      do_madvise(m.mm, ADDR, N, MADV_DONTNEED);
      expect(freeFrames(m)).toBe(DEVICE_FRAMES);
    }
  });
  test("mixedmap: a special page of a driver's area is READ to a device that does not fault", () => {
    mem[m.vma + VMA.vm_flags] = VM_READ | VM_MIXEDMAP;
    const page = alloc_ram_page();
    mem[pgtable_alloc(m.mm, ADDR, 0)] = pfn_pte((page - kernel.vmemmap) / PAGE.SIZE, PAGE_READONLY);
    expect(snapshot(m, ADDR, 1)).toEqual([dev.HMM_DMIRROR_PROT_READ]);
    mem[mm_find_pte(m.mm, ADDR)] |= _PAGE_SPECIAL;
    expect(snapshot(m, ADDR, 1)).toEqual([dev.HMM_DMIRROR_PROT_ERROR]);
  });
  test("compound: every page of a PMD leaf is WRITE|PMD, after mprotect() READ|PMD", () => {
    const pfn = RAM.first + 6; // aligned to the leaf
    const pmdp = pgtable_alloc(m.mm, ADDR, 1);
    mem[pmdp] = pfn_pmd(pfn, PAGE_SHARED);
    expect(snapshot(m, ADDR, 8)).toEqual(
      Array(8).fill(dev.HMM_DMIRROR_PROT_WRITE | dev.HMM_DMIRROR_PROT_PMD),
    );
    mem[pmdp] = pte_wrprotect(mem[pmdp]);
    expect(snapshot(m, ADDR, 8)).toEqual(Array(8).fill(dev.HMM_DMIRROR_PROT_READ | dev.HMM_DMIRROR_PROT_PMD));
    expect(dmirror_fault(m.dmirrors[0], ADDR + 3, ADDR + 5, false)).toBe(0);
    // A range that begins within the leaf is told the frames from there on.
    for (let i = 0; i < 8; i++) mem[page_address(pfn_to_page(pfn + i))] = 50 + i;
    for (let i = 0; i < 8; i++) expect(devRead(m, ADDR + i)).toBe(50 + i);
  });
  test.each([
    ["the CPU", (v: number) => cpuWrite(m, ADDR, v)],
    ["the device", (v: number) => expect(devWrite(m, ADDR, v)).toBe(0)],
  ])("copy on write: what %s writes to a shared page goes to a copy, and leaves the page", (_who, write) => {
    fill(m, 1);
    const page = pageAt(m, ADDR);
    get_page(page);
    const ptep = mm_find_pte(m.mm, ADDR);
    mem[ptep] = pte_wrprotect(mem[ptep]);
    expect(devRead(m, ADDR)).toBe(100);
    write(9);
    expect(cpuRead(m, ADDR)).toBe(9);
    expect(mem[page_address(page)]).toBe(100);
    expect(page_ref_count(page)).toBe(1);
    put_page(page);
  });
  test("exclusive: the device has the pages alone until a CPU touches them", () => {
    fill(m);
    expect(dev.dmirror_exclusive(m.dmirrors[0], ADDR, N)).toBe(0);
    for (let i = 0; i < N; i++) {
      expect(dev.dmirror_check_exclusive(m.dmirrors[0], ADDR + i)).toBe(true);
      expect(devWrite(m, ADDR + i, 200 + i)).toBe(0);
    }
    expect(contents(m)).toEqual([200, 201, 202, 203]);
    for (let i = 0; i < N; i++) expect(dev.dmirror_check_exclusive(m.dmirrors[0], ADDR + i)).toBe(false);
    expect(dev.dmirror_exclusive(m.dmirrors[0], ADDR, N)).toBe(0);
  });
  test("exclusive_mprotect: a read-only area cannot be had, nor written by the device", () => {
    fill(m);
    expect(dev.dmirror_exclusive(m.dmirrors[0], ADDR, N)).toBe(0);
    mprotect(m, ADDR, N, VM_READ);
    expect(devWrite(m, ADDR, 1)).toBe(-EPERM);
    expect(dev.dmirror_exclusive(m.dmirrors[0], ADDR, N)).not.toBe(0);
  });
});

describe.each(VARIANTS)("hmm2, %s", (_variant, type) => {
  let m: Machine;
  beforeEach(() => {
    m = setUp(type, 2);
  });

  test("snapshot: none, zero, read, write, own and foreign device pages", () => {
    cpuRead(m, ADDR + 1); // the zero page
    cpuWrite(m, ADDR + 2, 1);
    const ptep = mm_find_pte(m.mm, ADDR + 2);
    mem[ptep] = pte_wrprotect(mem[ptep]);
    fill2(m);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR + 4, 1)).toBe(1);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[1], ADDR + 5, 1)).toBe(1);
    const coherent = type === MEMORY_DEVICE_COHERENT;
    const W = dev.HMM_DMIRROR_PROT_WRITE;
    expect(snapshot(m, ADDR, 6)).toEqual([
      dev.HMM_DMIRROR_PROT_NONE,
      dev.HMM_DMIRROR_PROT_ZERO | dev.HMM_DMIRROR_PROT_READ,
      dev.HMM_DMIRROR_PROT_READ,
      W,
      (coherent ? dev.HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL : dev.HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL) | W,
      coherent ? dev.HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE | W : dev.HMM_DMIRROR_PROT_NONE,
    ]);
  });
  test("migrate_mixed: each device reads all pages, whichever holds them; foreign private ones come home for it", () => {
    fill(m);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, 2)).toBe(2);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[1], ADDR + 2, 2)).toBe(2);
    expect(Array.from({ length: N }, (_, i) => devRead(m, ADDR + i, 1))).toEqual(pattern);
    expect(onDevice(m, ADDR, 0)).toBe(type === MEMORY_DEVICE_COHERENT);
    expect(onDevice(m, ADDR + 2, 1)).toBe(true);
  });
  test("double_map: two devices read one page; a write fault by the CPU is seen by both", () => {
    fill(m);
    mprotect(m, ADDR, N, VM_READ);
    expect(devRead(m, ADDR, 0)).toBe(100);
    expect(devRead(m, ADDR, 1)).toBe(100);
    expect(dev.dmirror_migrate_to_device(m.dmirrors[0], ADDR, 1)).toBe(1);
    expect(devRead(m, ADDR, 0)).toBe(100);
    expect(devRead(m, ADDR, 1)).toBe(100);
    expect(cpuRead(m, ADDR)).toBe(100);
  });
  function fill2(x: Machine): void {
    for (const i of [3, 4, 5]) cpuWrite(x, ADDR + i, 100 + i);
  }
});

describe("hmm-tests that do not apply to this machine", () => {
  const FORK = "anonymous pages here have one mapping (ram_page.ts); fork is fork.ts, without device entries";
  const FILES = "no page cache on this machine";
  const HUGE = "no huge faults, and no huge device pages (v6.19)";
  test.skip.each([
    ["anon_write_child", FORK],
    ["anon_write_child_shared", FORK],
    ["exclusive_cow", FORK],
    ["hmm_cow_in_device", FORK],
    ["anon_write_huge", HUGE],
    ["anon_write_hugetlbfs", "no hugetlb pool on this machine"],
    ["file_read", FILES],
    ["file_write", FILES],
    ["migrate_file_private", FILES],
    ["migrate_shared", "no shared anonymous memory: that is a file"],
    ["hmm_gup_test", "needs slow GUP over device entries, which gup.ts does not fault in"],
    ["migrate_anon_huge_empty", HUGE],
    ["migrate_anon_huge_zero", HUGE],
    ["migrate_anon_huge_free", HUGE],
    ["migrate_anon_huge_fault", HUGE],
    ["migrate_partial_unmap_fault", HUGE],
    ["migrate_remap_fault", "no mremap() on this machine"],
    ["migrate_anon_huge_err", HUGE],
    ["migrate_anon_huge_zero_err", HUGE],
    ["benchmark_thp_migration", HUGE],
  ])("%s: %s", () => {});
});

test("MM has room for subscriptions", () => {
  const m = setUp(MEMORY_DEVICE_PRIVATE);
  expect(mem[m.mm + MM.mmu_notifiers]).not.toBe(0);
});
