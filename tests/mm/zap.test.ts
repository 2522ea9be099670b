/**
 * Zapping and mmu_gather on one CPU: entries go before the flush, pages and tables after it.
 */

import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type Host, host, installHost, runRcuCallbacks, useSequentialHost } from "../../src/machine/host.ts";
import { POISON } from "../../src/machine/image.ts";
import { mem } from "../../src/machine/memory.ts";
import { localArray } from "../../src/machine/primitives.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../../src/mm/boot.ts";
import { get_user_pages_fast_only } from "../../src/mm/gup.ts";
import { free_pte_range, mm_find_pmd, unmap_mapping_range, zap_page_range } from "../../src/mm/memory.ts";
import { MMU_GATHER_SIZE, tlb_finish_mmu, tlb_gather_mmu } from "../../src/mm/mmu_gather.ts";
import { page_ref_count, pfn_to_page } from "../../src/mm/page.ts";
import { pmd_page_table } from "../../src/mm/pgtable.ts";
import { put_page } from "../../src/mm/swap.ts";

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
  mapDaxDevice(mm, device, { addr: 16, nr: NR, level });
  return { mm, device };
}

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
        const { mm } = setup("v5.10", 0);
        const end = Math.min(16 + from + nr, 32);
        zap_page_range(mm, 16 + from, end - 16 - from);
        expect(mapped(mm)).toEqual(
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
      zap_page_range(now.mm, 16, NR);
      expect(refs()).toEqual(new Array(heads).fill(1));
      setup("v5.10", level);
      expect(refs()).toEqual(new Array(heads).fill(1));
    }
  });

  test("a part of a huge leaf is refused, since it needs a split", () => {
    const { mm } = setup("v5.10", 1);
    expect(() => zap_page_range(mm, 17, 1)).toThrow(/needs a split/);
  });

  test("through the file removes every mapping of the pages asked for, in each address space", () => {
    const { mm, device } = setup("v5.10", 0);
    const other = newMm("other");
    mapDaxDevice(other, device, { addr: 20, pgoff: 4, nr: 8 });
    unmap_mapping_range(device.mapping, 6, 4);
    expect(mapped(mm)).toEqual([16, 17, 18, 19, 20, 21, 26, 27, 28, 29, 30, 31]);
    expect(mapped(other)).toEqual([20, 21, 26, 27]);
    unmap_mapping_range(device.mapping, 0, 0);
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
      const { mm } = setup("v5.10", 0, arch, knobs);
      expect(countIpis(() => zap_page_range(mm, 16, 4))).toBe(ipis);
      expect(countIpis(() => zap_page_range(mm, 16, 4))).toBe(0);
    }
  });
});

describe("a page table that nothing is mapped through", () => {
  const free = (mm: number) => {
    const tlb = localArray(MMU_GATHER_SIZE);
    tlb_gather_mmu(tlb);
    free_pte_range(tlb, mm, 16);
    tlb_finish_mmu(tlb);
  };
  const tableOf = (mm: number) => pmd_page_table(mem[mm_find_pmd(mm, 16)] as number);

  test("is freed at once after the flush on bare-metal x86, and after a grace period on arm64", () => {
    for (const [arch, atOnce] of [
      ["x86-64", true],
      ["arm64", false],
    ] as const) {
      const { mm } = setup("v5.10", 0, arch);
      zap_page_range(mm, 16, 4);
      const table = tableOf(mm);
      free(mm);
      expect(mem[mm_find_pmd(mm, 16)]).toBe(0);
      expect(mem[table] === POISON).toBe(atOnce);
      runRcuCallbacks();
      expect(mem[table]).toBe(POISON);
    }
  });

  test("is freed at once behind an IPI where there is no memory for a batch", () => {
    const { mm } = setup("v5.10", 0, "arm64", { tableBatchFails: 1 });
    zap_page_range(mm, 16, 4);
    const table = tableOf(mm);
    expect(countIpis(() => free(mm))).toBe(1);
    expect(mem[table]).toBe(POISON);
  });

  test("is not unlinked where a leaf or nothing is in its place", () => {
    const { mm } = setup("v5.10", 1);
    const before = mem[mm_find_pmd(mm, 16)];
    free(mm);
    expect(mem[mm_find_pmd(mm, 16)]).toBe(before);
  });
});
