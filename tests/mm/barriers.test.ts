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

/** Fences by kind, calls by name, in the order of the code. */
async function orderOf(file: string, name: string): Promise<string[]> {
  const path = join(PACKAGE_ROOT, "src", "mm", file);
  await loadModules([path]);
  const fn = compileModule(path).find((f) => f.name === name);
  const told = (i: LowInstr): string[] =>
    i.op === "fence" ? [i.kind] : i.op === "call" ? [i.callee.replace(/^.*#/, "")] : [];
  return (fn?.blocks ?? []).flatMap((b) => b.instrs.flatMap(told));
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
