/**
 * Barriers that no recording and no cell under SC can miss: each stands where the kernel's source has it,
 * between the accesses that it orders. Looked for in what the compiler makes of the function, not in its
 * text.
 */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { LowInstr } from "../../src/lang/lowered.ts";
import { compileModule, loadModules } from "../../src/lang/modules.ts";
import { PACKAGE_ROOT } from "../../src/lang/sources.ts";
import { ARCHITECTURES } from "../../src/machine/arch.ts";

/** Fences by kind, calls by name, in the order of the code. */
async function orderOf(file: string, name: string): Promise<string[]> {
  const told = (i: LowInstr): string[] =>
    i.op === "fence" ? [i.kind] : i.op === "call" ? [i.callee.replace(/^.*#/, "")] : [];
  return (await instrsOf(file, name)).flatMap(told);
}

async function instrsOf(file: string, name: string): Promise<LowInstr[]> {
  const path = join(PACKAGE_ROOT, "src", "mm", file);
  await loadModules([path]);
  const fn = compileModule(path).find((f) => f.name === name);
  return (fn?.blocks ?? []).flatMap((b) => b.instrs);
}

/** Fences by kind, and accesses with their order, in the order of the code. */
async function accessesOf(file: string, name: string): Promise<string[]> {
  const told = (i: LowInstr): string[] =>
    i.op === "fence"
      ? [i.kind]
      : i.op === "rmw" || i.op === "load" || i.op === "store"
        ? [`${i.op} ${i.order}`]
        : [];
  return (await instrsOf(file, name)).flatMap(told);
}

describe("barriers of reclaim against fast GUP", () => {
  test("a lazily freed page's count is read after its entry is cleared, its dirty flag after its count", async () => {
    const order = await orderOf("try_to_unmap.ts", "may_discard");
    expect(order.slice(0, 5)).toEqual(["mb", "page_ref_count", "total_mapcount", "rmb", "PageDirty"]);
  });

  test("pins are looked for after the entry is cleared, and the flag is gone before another is set", async () => {
    const order = await orderOf("migrate_entries.ts", "page_try_share_anon_rmap");
    expect(order).toEqual(["mb", "page_maybe_dma_pinned", "ClearPageAnonExclusive", "after-atomic"]);
  });
});

describe("barriers between what is made and what makes it reachable", () => {
  test.each([
    // A table is none throughout before an entry leads to it.
    ["pgtable.ts", "pgtable_alloc", ["pte_alloc_one", "wmb", "mk_table_entry"]],
    ["hugetlb_vmemmap.ts", "split_vmemmap_huge_pmd", ["set_pte_at", "pmd_leaf", "wmb", "mk_table_entry"]],
    // The flush is over when the lock is dropped.
    [
      "hugetlb_vmemmap.ts",
      "split_vmemmap_huge_pmd",
      ["mk_table_entry", "flush_tlb_kernel_range", "pte_free"],
    ],
    // A page has its contents before it is mapped.
    ["hmm_fault.ts", "do_anonymous_page", ["alloc_ram_page", "__SetPageUptodate", "set_pte_at"]],
    ["hmm_fault.ts", "wp_page_copy", ["copy_contents", "__SetPageUptodate", "set_pte_at"]],
    ["migrate_device.ts", "migrate_vma_insert_page", ["__SetPageUptodate", "set_pte_at"]],
    [
      "migrate_device.ts",
      "migrate_system_page",
      ["copy_contents", "SetPageUptodate", "remove_migration_ptes"],
    ],
    ["migrate_device.ts", "migrate_vma_pages", ["migrate_page_move_mapping", "SetPageUptodate"]],
    [
      "migrate_entries.ts",
      "split_for_migration",
      ["pmdp_invalidate", "page_try_share_anon_rmap", "wmb", "mk_table_entry"],
    ],
    [
      "khugepaged.ts",
      "collapse_huge_page",
      ["ptep_get_and_clear", "copy_ptes", "__SetPageUptodate", "set_pmd_at"],
    ],
    ["huge_memory.ts", "split_tail", ["SetPageFlag", "wmb"]],
    ["huge_memory.ts", "map_anon_huge_page", ["__SetPageUptodate", "set_pmd_at"]],
    ["fault.ts", "do_anonymous_page", ["alloc_anon_page", "__SetPageUptodate", "set_pte_at"]],
    ["fault.ts", "wp_page_copy", ["copy_highpage", "__SetPageUptodate", "ptep_get_and_clear", "set_pte_at"]],
    ["fork.ts", "copy_present_page", ["copy_highpage", "__SetPageUptodate", "set_pte_at"]],
    ["hugetlb.ts", "hugetlb_wp", ["copy_highpage", "__SetPageUptodate", "ptep_get_and_clear", "set_pte_at"]],
    ["userfaultfd.ts", "mfill_pte", ["alloc_anon_page", "__SetPageUptodate", "install_pte"]],
    ["vmscan.ts", "pageout", ["is_page_cache_freeable", "TestClearPageFlag", "swap_writepage"]],
    ["vmscan.ts", "__remove_mapping", ["page_ref_freeze", "PageDirty", "__delete_from_swap_cache"]],
    ["filemap.ts", "__add_to_page_cache", ["SetPageUptodate", "page_ref_add", "i_pages_slot"]],
    ["swap_state.ts", "read_swap_cache", ["swap_readpage", "SetPageUptodate"]],
  ])("%s: %s() has %j in this order", async (file, name, wanted) => {
    const order = await orderOf(file, name);
    let from = 0;
    for (const w of wanted) {
      const at = order.indexOf(w, from);
      expect(at, `${w} after ${order.slice(0, from).join(", ")}`).toBeGreaterThanOrEqual(0);
      from = at + 1;
    }
  });

  test("a split entry's table is filled before the PMD leads to it, and the PMD is exchanged, not overwritten", async () => {
    // The compiler lays the branches out in another order than the source.
    const order = await orderOf("huge_split.ts", "split_huge_pmd_locked");
    expect(order.filter((w) => w === "wmb")).toHaveLength(1);
    expect(order).toContain("pmdp_invalidate");
  });

  test("PG_uptodate is set after a barrier, by a plain store where nobody else has the page, and is read before one", async () => {
    expect(await accessesOf("page.ts", "SetPageUptodate")).toEqual(["wmb", "rmw noreturn"]);
    expect(await accessesOf("page.ts", "__SetPageUptodate")).toEqual(["wmb", "load plain", "store plain"]);
    expect(await accessesOf("page.ts", "PageUptodate")).toEqual(["load once", "rmb"]);
  });
});

describe("orders of atomic operations", () => {
  test("a page's lock is taken with acquire and given back with release, and orders no more", async () => {
    expect(await accessesOf("pagemap.ts", "trylock_page")).toEqual(["rmw acquire"]);
    expect(await accessesOf("pagemap.ts", "unlock_page")).toEqual(["rmw release"]);
    expect(await accessesOf("pagemap.ts", "wake_page")).toContain("store release");
  });

  test("counting pins apart from references orders nothing", async () => {
    expect(await accessesOf("page.ts", "hpage_pincount_add")).toEqual(["rmw noreturn"]);
    expect(await accessesOf("page.ts", "hpage_pincount_sub")).toEqual(["rmw once"]);
  });

  test("a count given back after a freeze is a release; references taken unless zero are fully ordered", async () => {
    expect(await accessesOf("page.ts", "page_ref_unfreeze")).toEqual(["store release"]);
    expect(await accessesOf("page.ts", "page_ref_add_unless")).toEqual(["rmw mb"]);
    expect(await accessesOf("page.ts", "page_ref_freeze")).toEqual(["rmw mb"]);
  });

  test("an entry is cleared by a full exchange on x86, s390 and riscv, by a relaxed one on arm64 and powerpc", async () => {
    expect(await accessesOf("pgtable.ts", "ptep_get_and_clear")).toEqual(["rmw once", "rmw mb"]);
    expect(ARCHITECTURES.filter((a) => a.pteExchangeRelaxed !== 0).map((a) => a.name)).toEqual([
      "arm64",
      "powerpc-radix",
    ]);
  });
});

test("a reference that is not the last is dropped without a look at the page's pagemap, which may be gone", async () => {
  // Who holds a page of a device-dax keeps neither its pagemap nor that from being freed (v5.18).
  expect(await orderOf("swap.ts", "put_page")).toEqual([
    "compound_head",
    "page_is_devmap_managed",
    "put_devmap_managed_page",
    "put_page_testzero",
    "__put_page",
  ]);
  expect((await orderOf("device_page.ts", "free_device_page")).slice(0, 2)).toEqual([
    "page_pgmap",
    "forget_user",
  ]);
});
