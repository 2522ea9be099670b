/** Races of the zoo with a compound page that is split meanwhile. */

import { geom, kernel } from "../../machine/config.ts";
import { mem } from "../../machine/memory.ts";
import { split_huge_pmd_address } from "../../mm/huge_split.ts";
import { pfn_to_page } from "../../mm/page.ts";
import { pgtable_lookup, pte_pfn } from "../../mm/pgtable.ts";
import type { Boot } from "../c8-boot.ts";
import { newMirroredMm } from "../hmm-machine.ts";
import { bootMmMachine, mmapAnon, touch } from "../mm-machine.ts";
import { found, on, type ZooEntry } from "./entry.ts";
import { access } from "./interleaving.ts";
import { reader, split_and_free } from "./race-threads.ts";

/** An anonymous compound page of two, mapped by PTEs at 0 and 1; somebody reads its tail. */
const bootTail: Boot = (arch, preset, knobs) => {
  bootMmMachine({
    preset,
    knobs,
    arch,
    levels: 2,
    ram: 2,
    device: 0,
    vmemmap_shift: 1,
    cpus: 2,
    tables: 5,
    areas: 2,
    mms: 1,
  });
  kernel.only_devices = 0;
  const mm = newMirroredMm();
  const vma = mmapAnon(mm, 0, 2, true);
  touch(mm, 0, 2);
  split_huge_pmd_address(vma, 0);
  // What is all zero would be mapped to the zero page.
  mem.fill(1, kernel.direct_map, kernel.direct_map + 2 * geom.page_words);
  const slot = new Int32Array(1);
  pgtable_lookup(mm, 0, slot);
  const head = pfn_to_page(pte_pfn(mem[slot[0] ?? 0] ?? 0));
  return {
    threads: [
      { name: "reader", run: reader, args: [mm, 1] },
      { name: "splitter", run: split_and_free, args: [mm, 0, head] },
    ],
  };
};

export const SPLITS: readonly ZooEntry[] = [
  {
    id: "J02",
    commit: "c24d37322548",
    title: "mm/gup: fix try_grab_compound_head() race with split_huge_page()",
    archs: ["x86-64-kvm", "x86-64-invlpgb", "arm64", "powerpc-radix", "s390", "riscv"],
    before: on(bootTail, "v7.3", { headRecheck: 0 }),
    after: on(bootTail, "v7.3"),
    error: found("assertion", "reader", "", "still mapped is freed"),
    turns: 5,
    accesses: [
      access("reader", "try_get_compound_head", "page[1].compound_head"),
      access("splitter", "__split_huge_page", "page[1].compound_head"),
      access("reader", "try_get_compound_head", "page[0]._refcount"),
      access("reader", "put_page", "page[1]._refcount"),
    ],
    what:
      "Fast GUP looks up a tail page's head, and then takes a reference on the head. In between the compound " +
      "page is split: the reference is on a page that has nothing to do with the one that is returned. That " +
      "one can be freed, and giving the pin back drops a count that was never raised.",
    fix: "After the reference the head is looked up again; if it is another one, the reference is dropped.",
  },
];
