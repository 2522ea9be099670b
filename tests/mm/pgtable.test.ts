/**
 * Page-table entries: what is stored comes back, in every geometry, and entries of different kinds are told
 * apart.
 */

import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { config, geom, setConfig, setGeometry } from "../../src/machine/config.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import { bootMachine, newMm } from "../../src/mm/boot.ts";
import {
  _PAGE_DEVMAP,
  _PAGE_DIRTY,
  _PAGE_RW,
  _PAGE_SPECIAL,
  _PAGE_USER,
  is_device_private_entry,
  is_migration_entry,
  mk_table_entry,
  PAGE_READONLY,
  PAGE_SHARED,
  PFN_SHIFT,
  p4d_addr_end,
  pfn_pmd,
  pfn_pte,
  pgd_addr_end,
  pgtable_alloc,
  pmd_addr_end,
  pmd_leaf,
  pmd_mkinvalid,
  pmd_page_table,
  pmd_pfn,
  pmd_present,
  pte_access_permitted,
  pte_devmap,
  pte_none,
  pte_pfn,
  pte_present,
  pte_protnone,
  pte_special,
  pte_write,
  pte_wrprotect,
  pud_addr_end,
  SWP_DEVICE_WRITE,
  SWP_MIGRATION_READ,
  SWP_MIGRATION_WRITE,
  swp_entry,
  swp_offset,
  swp_type,
} from "../../src/mm/pgtable.ts";

beforeEach(() => {
  useSequentialHost();
  setConfig("v5.10");
});

const frameNumber = fc.nat(2 ** (32 - PFN_SHIFT) - 1);
const swapType = fc.integer({ min: 1, max: 8 });

describe("an entry", () => {
  test("keeps every frame number and every combination of write, user and dirty", () => {
    fc.assert(
      fc.property(frameNumber, fc.nat(7), (pfn, bits) => {
        const flags =
          (bits & 1 ? _PAGE_RW : 0) | (bits & 2 ? _PAGE_USER : 0) | (bits & 4 ? _PAGE_DIRTY : 0) | 1;
        const pte = pfn_pte(pfn, flags);
        expect(pte_pfn(pte)).toBe(pfn);
        expect(pte_present(pte)).toBe(true);
        expect(pte_none(pte)).toBe(false);
        expect(pte_write(pte)).toBe((bits & 1) !== 0);
        expect(pte_access_permitted(pte, false)).toBe((bits & 2) !== 0);
        expect(pte_access_permitted(pte, true)).toBe((bits & 3) === 3);
        expect(pte_access_permitted(pte_wrprotect(pte), true)).toBe(false);
      }),
    );
  });

  test("that is not present keeps its type and offset, and is never present, none, a leaf or accessible", () => {
    fc.assert(
      fc.property(swapType, frameNumber, (type, offset) => {
        const e = swp_entry(type, offset);
        expect([swp_type(e), swp_offset(e)]).toEqual([type, offset]);
        expect(pte_present(e) || pte_none(e) || pmd_leaf(e) || pte_protnone(e)).toBe(false);
        expect(pte_access_permitted(e, false) || pte_devmap(e) || pte_special(e)).toBe(false);
        expect(is_migration_entry(e)).toBe(type >= SWP_MIGRATION_READ && type <= SWP_MIGRATION_WRITE);
        expect(is_device_private_entry(e)).toBe(type === SWP_DEVICE_WRITE || type === SWP_DEVICE_WRITE - 1);
      }),
    );
  });

  test("of a device is one only while kernels have the bit", () => {
    const pte = pfn_pte(5, PAGE_SHARED | _PAGE_DEVMAP);
    expect(pte_devmap(pte)).toBe(true);
    setConfig("v7.3");
    expect(config.pteDevmap).toBe(0);
    expect(pte_devmap(pte)).toBe(false);
  });

  test("may be special, which says nothing about access", () => {
    expect(pte_special(pfn_pte(5, PAGE_READONLY | _PAGE_SPECIAL))).toBe(true);
    expect(pte_special(pfn_pte(5, PAGE_READONLY))).toBe(false);
  });

  test("that is invalidated for a split stays present for the kernel and is out of reach for the hardware", () => {
    fc.assert(
      fc.property(frameNumber, (pfn) => {
        const pmd = pmd_mkinvalid(pfn_pmd(pfn, PAGE_SHARED));
        expect(pmd_present(pmd)).toBe(true);
        expect(pte_access_permitted(pmd, false)).toBe(false);
        expect(pmd_pfn(pmd)).toBe(pfn);
      }),
    );
  });
});

describe("walking in steps of a level's entries", () => {
  const arbitraryGeometry = fc.record({
    levels: fc.integer({ min: 1, max: 5 }),
    table_shift: fc.integer({ min: 1, max: 9 }),
  });
  test("covers a range exactly, without crossing an entry's boundary", () => {
    fc.assert(
      fc.property(arbitraryGeometry, fc.nat(), fc.nat(), (g, a, b) => {
        setGeometry({ ...g, max_pfn: 1 });
        const start = a % geom.task_size;
        const end = Math.min(start + 1 + (b % (64 << geom.table_shift)), geom.task_size);
        for (const [addr_end, shift] of [
          [pmd_addr_end, geom.pmd_shift],
          [pud_addr_end, geom.pud_shift],
          [p4d_addr_end, geom.p4d_shift],
          [pgd_addr_end, geom.pgdir_shift],
        ] as const) {
          let addr = start;
          for (let steps = 0; addr !== end; steps++) {
            expect(steps).toBeLessThan(1000);
            const next = addr_end(addr, end);
            expect(next).toBeGreaterThan(addr);
            expect(next).toBeLessThanOrEqual(end);
            expect(Math.floor(addr / 2 ** shift)).toBe(Math.floor((next - 1) / 2 ** shift));
            addr = next;
          }
        }
      }),
    );
  });
});

describe("a table entry", () => {
  test("leads to the table that it was made for, in every geometry", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(1 << 16),
        (levels, table_shift, a) => {
          bootMachine({
            preset: "v5.10",
            arch: "arm64",
            geometry: { levels, table_shift, max_pfn: 8, vmemmap_shift: 0 },
            cpus: 1,
            tables: 8,
          });
          const mm = newMm();
          const addr = a % geom.task_size;
          const ptep = pgtable_alloc(mm, addr, 0);
          expect(ptep % geom.ptrs_per_table).toBe(addr % geom.ptrs_per_table);
          expect(pgtable_alloc(mm, addr, 0)).toBe(ptep);
          const table = ptep - (addr % geom.ptrs_per_table);
          expect(pmd_page_table(mk_table_entry(table))).toBe(table);
          expect(pmd_leaf(mk_table_entry(table))).toBe(false);
          expect(pmd_present(mk_table_entry(table))).toBe(true);
        },
      ),
    );
  });

  test("cannot be made when no table is left", () => {
    bootMachine({
      preset: "v5.10",
      arch: "arm64",
      geometry: { levels: 3, table_shift: 1, max_pfn: 8 },
      cpus: 1,
      tables: 2,
    });
    expect(pgtable_alloc(newMm(), 0, 0)).toBe(0);
  });
});

test.each([
  [{ levels: 0, table_shift: 1, max_pfn: 1 }, /levels must be 1 to 5, not 0/],
  [{ levels: 2, table_shift: 10, max_pfn: 1 }, /table_shift must be 1 to 9, not 10/],
  [{ levels: 2, table_shift: 1, max_pfn: 0.5 }, /max_pfn/],
])("a geometry that cannot be is refused with the number: %o", (g, message) => {
  expect(() => setGeometry(g)).toThrow(message);
});
