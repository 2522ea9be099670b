/**
 * What counterexamples say of words is what the kernel code takes them for: entries, flags, pointers, counts.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type MemoryView, readWord, type WordReading } from "../../src/machine/format.ts";
import { describeWord, type MemoryImage } from "../../src/machine/image.ts";
import { memoryImage } from "../../src/machine/memory.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../../src/mm/boot.ts";
import { MM, VMA } from "../../src/mm/mm_types.ts";
import { PAGE, PG_zone_device } from "../../src/mm/page.ts";
import { DEV_PAGEMAP } from "../../src/mm/pgmap.ts";
import {
  _PAGE_PRESENT,
  _PAGE_PROTNONE,
  is_device_private_entry,
  is_migration_entry,
  pfn_pmd,
  pfn_pte,
  pmd_leaf,
  pmd_mkinvalid,
  pte_devmap,
  pte_dirty,
  pte_pfn,
  pte_present,
  pte_protnone,
  pte_special,
  pte_write,
  pte_young,
  SWP_HWPOISON,
  SWP_SWAP,
  swp_entry,
  swp_offset,
} from "../../src/mm/pgtable.ts";

function machine(pteDevmap = 1): {
  image: MemoryImage;
  view: MemoryView;
  mm: number;
  pgmap: number;
  vma: number;
} {
  bootMachine({
    preset: "v5.10",
    knobs: { pteDevmap },
    arch: "x86-64",
    geometry: { levels: 2, table_shift: 1, max_pfn: 2, vmemmap_shift: 0, pgmap_shift: 0 },
    cpus: 2,
    tables: 2,
  });
  const mm = newMm();
  const device = newDaxDevice("dax0.0", { start: 1, nr: 1 });
  bindDaxDevice(device);
  const vma = mapDaxDevice(mm, device, { addr: 0, nr: 1 });
  const image = memoryImage();
  if (image.view === undefined) throw new Error("a booted machine has no view");
  return { image, view: image.view, mm, pgmap: device.pgmap, vma };
}

const pfn = fc.integer({ min: 0, max: (1 << 22) - 1 });

describe("a page-table entry", () => {
  const { view } = machine();
  const read = (e: number): WordReading => {
    const r = readWord(view.formats["entry"], e);
    if (r === null) throw new Error(`${e} has no reading`);
    return r;
  };
  test("that is present has the frame and the bits that the predicates see", () => {
    fc.assert(
      fc.property(pfn, fc.integer({ min: 0, max: 0x3ff }), fc.boolean(), (frame, bits, huge) => {
        const e = huge ? pfn_pmd(frame, bits) : pfn_pte(frame, bits);
        const both = _PAGE_PRESENT | _PAGE_PROTNONE;
        if (!pte_present(e) || (e & both) === both) return;
        const r = read(e);
        expect(r.numbers).toEqual([{ name: "pfn", value: pte_pfn(e) }]);
        expect(r.flags.includes("W")).toBe(pte_write(e));
        expect(r.flags.includes("A")).toBe(pte_young(e));
        expect(r.flags.includes("D") || r.flags.includes("saved-dirty")).toBe(pte_dirty(e));
        expect(r.flags.includes("leaf")).toBe(pmd_leaf(e));
        if (r.name !== "invalidated") {
          expect(r.flags.includes("devmap")).toBe(pte_devmap(e));
          expect(r.flags.includes("special")).toBe(pte_special(e));
        }
        expect(r.name === "PROT_NONE").toBe(pte_protnone(e));
        expect(r.rest).toBe(0);
        expect((e & (view.tables?.present ?? 0)) !== 0).toBe(true);
      }),
    );
  });
  test("that is not present is none, swap or one of its kinds, with its offset", () => {
    expect(read(0).name).toBe("none");
    fc.assert(
      fc.property(pfn, fc.integer({ min: SWP_SWAP, max: SWP_HWPOISON }), (offset, type) => {
        const e = swp_entry(type, offset);
        const r = read(e);
        expect(r.numbers.map((n) => n.value)).toEqual([swp_offset(e)]);
        expect(r.name.startsWith("migration")).toBe(is_migration_entry(e));
        expect(r.name.startsWith("device-private")).toBe(is_device_private_entry(e));
        expect((e & (view.tables?.present ?? 0)) !== 0).toBe(pte_present(e));
      }),
    );
  });
  test("that is being split is called invalidated", () => {
    expect(read(pmd_mkinvalid(pfn_pmd(5, 7))).name).toBe("invalidated");
  });
});

test("a kernel without the devmap bit is not said to set it", () => {
  const { view } = machine(0);
  expect(readWord(view.formats["entry"], pfn_pte(1, 0x41))?.flags).not.toContain("devmap");
});

test("words read by the field that they are", () => {
  const { image, mm, pgmap, vma } = machine();
  const word = (addr: number): number => image.words[addr - (image.origin ?? 0)];
  const text = (addr: number, v = word(addr)): string => describeWord(image, addr, v);
  const page1 = (image.view?.pages?.vmemmap ?? 0) + PAGE.SIZE;
  expect(text(mm + MM.pgd)).toBe("&pgtable0");
  expect(text(word(mm + MM.pgd))).toBe("pfn 1 P W U A");
  expect(text(vma + VMA.vm_flags)).toBe("read write shared mayread maywrite mayshare mixedmap");
  expect(text(vma + VMA.vm_mm)).toBe("&mm");
  expect(text(page1 + PAGE.flags, 1 << PG_zone_device)).toBe("zone_device");
  expect(text(page1 + PAGE.compound_head, page1 + 1)).toBe("&page[1] tail");
  expect(text(page1 + PAGE.compound_head)).toBe("NULL");
  expect(text(page1 + PAGE._refcount)).toBe("1");
  expect(text(pgmap + DEV_PAGEMAP.type)).toBe("generic");
  expect(text(mm + MM.page_table_lock)).toBe("unlocked");
  expect(text(mm + MM.page_table_lock, 2)).toBe("held by CPU 1");
});
