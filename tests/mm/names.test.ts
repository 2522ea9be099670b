/**
 * One implementation of each kernel function: no name of a function stands twice in src/mm. What still does
 * is listed, and the list can only get shorter: a name that stands once must leave it.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../cli/helpers.ts";

/**
 * In a form for machines of a few frames (hmm_fault.ts, migrate_entry.ts, memory_hotplug.ts) and in the one
 * that is compared with recorded kernels. vm_insert_page() is in p2pdma.ts and insert_page.ts; the two of
 * swapin() have the name alone in common.
 */
const TWICE = [
  "dax_align",
  "do_anonymous_page",
  "do_wp_page",
  "handle_mm_fault",
  "lru_batch_add",
  "remove_migration_ptes",
  "try_to_migrate",
  "wp_page_copy",
  "swapin",
  "vm_insert_page",
];

test("no name of a function stands twice in src/mm, but for those on a list that gets shorter", () => {
  const folder = join(ROOT, "src", "mm");
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const file of readdirSync(folder).filter((f) => f.endsWith(".ts")))
    for (const m of readFileSync(join(folder, file), "utf8").matchAll(/^(?:export )?function (\w+)/gm)) {
      const name = m[1] as string;
      if (seen.has(name)) twice.add(name);
      seen.add(name);
    }
  expect(seen.size).toBeGreaterThan(1000);
  expect([...twice].sort()).toEqual([...TWICE].sort());
});
