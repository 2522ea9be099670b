/**
 * Zapping and mmu_gather on one CPU: entries go before the flush, pages and tables after it.
 */

import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { geom } from "../../src/machine/config.ts";
import { type Host, host, installHost, runRcuCallbacks, useSequentialHost } from "../../src/machine/host.ts";
import { POISON } from "../../src/machine/image.ts";
import { mem } from "../../src/machine/memory.ts";
import { localArray } from "../../src/machine/primitives.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../../src/mm/boot.ts";
import { get_user_pages_fast_only } from "../../src/mm/gup.ts";
import { MM } from "../../src/mm/mm_types.ts";
import { MMU_GATHER_SIZE, tlb_finish_mmu, tlb_gather_mmu } from "../../src/mm/mmu_gather.ts";
import { page_ref_count, pfn_to_page } from "../../src/mm/page.ts";
import { pmd_page_table } from "../../src/mm/pgtable.ts";
import { put_page } from "../../src/mm/swap.ts";
import { free_pgtables, unmap_mapping_pages, zap_page_range_single } from "../../src/mm/zap.ts";

beforeEach(useSequentialHost);

const FIRST = 16;
const NR = 16;

function setup(preset: "v5.10" | "v7.3", level: number, arch = "x86-64", knobs = {}) {
  bootMachine({
    preset,
    knobs,
    arch,
    geometry: { levels: 3, table_shift: 2, max_pfn: 32 },
    cpus: 1,
    tables: 12,
  });
  const mm = newMm();
  const device = newDaxDevice("dax0.0", { start: FIRST, nr: NR, order: level * 2 });
  bindDaxDevice(device);
  const vma = mapDaxDevice(mm, device, { addr: 16, nr: NR, level });
  return { mm, vma, device };
}

/** Zaps nr pages of the area from addr on. */
const zap = (m: { readonly vma: number }, addr: number, nr: number): void =>
  zap_page_range_single(m.vma, addr, addr + nr, true);
/** The PMD of addr. */
const pmdOf = (mm: number, addr: number): number => {
  const pudp = mem[mm + MM.pgd] + (addr >> geom.pud_shift);
  return pmd_page_table(mem[pudp] as number) + ((addr >> geom.pmd_shift) & (geom.ptrs_per_table - 1));
};

/** Addresses of 16..31 that a walk of one page can take. */
function mapped(mm: number): number[] {
  const page = new Int32Array(1);
  const out: number[] = [];
  for (let a = 16; a < 32; a++)
    if (get_user_pages_fast_only(mm, a, 1, 0, page) === 1) {
      out.push(a);
      put_page(page[0] as number);
    }
  return out;
}

/** Counts smp_call_function() calls of the sequential host while `body` runs. */
function countIpis(body: () => void): number {
  let ipis = 0;
  const counting: Host = Object.assign(Object.create(host) as Host, { smpCallFunction: () => void ipis++ });
  installHost(counting);
  try {
    body();
  } finally {
    useSequentialHost();
  }
  return ipis;
}

describe("zapping", () => {
  test("removes exactly the pages of the range", () => {
    fc.assert(
      fc.property(fc.nat(15), fc.nat(16), (from, nr) => {
        useSequentialHost();
        const m = setup("v5.10", 0);
        const end = Math.min(16 + from + nr, 32);
        zap(m, 16 + from, end - 16 - from);
        expect(mapped(m.mm)).toEqual(
          Array.from({ length: 16 }, (_, i) => 16 + i).filter((a) => a < 16 + from || a >= end),
        );
      }),
    );
  });

  test("gives back the reference of every entry in kernels whose entries hold one, and none in those before", () => {
    for (const level of [0, 1]) {
      const now = setup("v7.3", level);
      const heads = NR >> (level * 2);
      const refs = () =>
        Array.from({ length: heads }, (_, i) => page_ref_count(pfn_to_page(FIRST + (i << (level * 2)))));
      expect(refs()).toEqual(new Array(heads).fill(2));
      zap(now, 16, NR);
      expect(refs()).toEqual(new Array(heads).fill(1));
      setup("v5.10", level);
      expect(refs()).toEqual(new Array(heads).fill(1));
    }
  });

  test("a part of a device's huge leaf goes with all of it: it can be faulted in again", () => {
    const m = setup("v5.10", 1);
    zap(m, 17, 1);
    expect(mapped(m.mm)).toEqual(Array.from({ length: 12 }, (_, i) => 20 + i));
  });

  test("through the file removes every mapping of the pages asked for, in each address space", () => {
    const { mm, device } = setup("v5.10", 0);
    const other = newMm("other");
    mapDaxDevice(other, device, { addr: 20, pgoff: 4, nr: 8 });
    unmap_mapping_pages(device.mapping, 6, 4, true);
    expect(mapped(mm)).toEqual([16, 17, 18, 19, 20, 21, 26, 27, 28, 29, 30, 31]);
    expect(mapped(other)).toEqual([20, 21, 26, 27]);
    unmap_mapping_pages(device.mapping, 0, 0, true);
    expect([mapped(mm), mapped(other)]).toEqual([[], []]);
  });

  test("an empty range flushes nothing, and a mapped one is flushed by IPI only where the architecture flushes so", () => {
    for (const [arch, knobs, ipis] of [
      ["x86-64", {}, 1],
      ["x86-64", { ipi: 0 }, 0],
      ["x86-64", { tlbFlush: 0 }, 0],
      ["x86-64-kvm", {}, 0],
      ["arm64", {}, 0],
      ["riscv", {}, 0],
    ] as const) {
      const m = setup("v5.10", 0, arch, knobs);
      expect(countIpis(() => zap(m, 16, 4))).toBe(ipis);
      expect(countIpis(() => zap(m, 16, 4))).toBe(0);
    }
  });
});

describe("the page tables of an area that goes", () => {
  /** free_pgtables() of the area, whose neighbours end at `floor` and begin at `ceiling`. */
  const free = (m: { readonly mm: number; readonly vma: number }, floor: number, ceiling: number): void => {
    const tlb = localArray(MMU_GATHER_SIZE);
    tlb_gather_mmu(tlb);
    free_pgtables(tlb, m.mm, m.vma, floor, ceiling);
    tlb_finish_mmu(tlb);
  };
  const tables = (mm: number): number[] =>
    [16, 20, 24, 28].map((a) => pmd_page_table(mem[pmdOf(mm, a)] as number));

  test("are freed at once after the flush on bare-metal x86, and after a grace period on arm64", () => {
    for (const [arch, atOnce] of [
      ["x86-64", true],
      ["arm64", false],
    ] as const) {
      const m = setup("v5.10", 0, arch);
      zap(m, 16, NR);
      const all = tables(m.mm);
      free(m, 0, 0);
      // Nobody else needs the table of PMDs.
      expect(mem[(mem[m.mm + MM.pgd] as number) + 1]).toBe(0);
      for (const table of all) expect(mem[table] === POISON).toBe(atOnce);
      runRcuCallbacks();
      for (const table of all) expect(mem[table]).toBe(POISON);
    }
  });

  test("are freed at once behind an IPI, or a grace period, where there is no memory for a batch", () => {
    const m = setup("v5.10", 0, "arm64", { tableBatchFails: 1 });
    zap(m, 16, NR);
    const [table] = tables(m.mm);
    // Four tables of PTEs and one of PMDs.
    expect(countIpis(() => free(m, 0, 0))).toBe(5);
    expect(mem[table as number]).toBe(POISON);
  });

  test("stay where a neighbour needs them", () => {
    for (const [floor, ceiling, kept] of [
      [0, 33, [false, false, false, false]],
      [16, 32, [false, false, false, false]],
      [10, 30, [false, false, false, true]],
      [18, 32, [true, false, false, false]],
      [18, 30, [true, false, false, true]],
    ] as const) {
      const m = setup("v5.10", 0);
      zap(m, 16, NR);
      const all = tables(m.mm);
      free(m, floor, ceiling);
      expect(
        all.map((table) => mem[table] !== POISON),
        `${floor} ${ceiling}`,
      ).toEqual(kept);
    }
  });

  test("stay where a leaf or nothing is in their place", () => {
    const m = setup("v5.10", 1);
    const before = mem[pmdOf(m.mm, 16)];
    const pmdp = pmdOf(m.mm, 16);
    free(m, 18, 30);
    expect(mem[pmdp]).toBe(before);
  });
});
