/** Races of the zoo that have machines of their own; who races is in race-threads.ts. */

import { geom, kernel } from "../../machine/config.ts";
import { GUP_RFC } from "../../machine/knobs/gup.ts";
import { declareRegion, mem, memblock_alloc } from "../../machine/memory.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../../mm/boot.ts";
import { PAGE, PG_anon_exclusive } from "../../mm/page.ts";
import { PAGE_SHARED, pfn_pte, pgtable_alloc, set_pte_at } from "../../mm/pgtable.ts";
import type { Boot } from "../c8-boot.ts";
import { found, on, type ZooEntry } from "./entry.ts";
import { access } from "./interleaving.ts";
import {
  bind,
  drop_and_unbind,
  fault_frame,
  mover,
  pin_and_unpin,
  pin_middle,
  truncater,
  user,
} from "./race-threads.ts";

/** A small machine: two levels of two entries, four frames. */
function machine(arch: string, preset: Parameters<Boot>[1], knobs: Parameters<Boot>[2]): number {
  bootMachine({
    preset,
    knobs: { vmstat: 0, mmuNotifier: 0, ...knobs },
    arch,
    geometry: { levels: 2, table_shift: 1, max_pfn: 4, vmemmap_shift: 1, pgmap_shift: 1 },
    cpus: 3,
    tables: 3,
  });
  return newMm();
}

/** 2^31 - 1: with the page's own reference its count has just overflowed. */
const MANY = 0x7fffffff;

const bootLeak: Boot = (arch, preset, knobs) => {
  const mm = machine(arch, preset, knobs);
  const device = newDaxDevice("dax0.0", { start: 2, nr: 2 });
  bindDaxDevice(device);
  mapDaxDevice(mm, device, { addr: 0, nr: 2, level: 1 });
  const page = kernel.vmemmap + 2 * PAGE.SIZE;
  mem[page + PAGE._refcount] = ((mem[page + PAGE._refcount] ?? 0) + MANY) | 0;
  return {
    threads: [
      { name: "pin", run: pin_and_unpin, args: [mm, 0] },
      { name: "unbind", run: drop_and_unbind, args: [page, MANY, device.dev] },
    ],
  };
};

const OLD = 0;
const NEW = 2;

/** One page at OLD, whose frame is poison once it is free; NEW has a table of its own. */
const bootMremap: Boot = (arch, preset, knobs) => {
  const mm = machine(arch, preset, { pageRegions: 1, ...knobs });
  declareRegion("data[0]", kernel.direct_map, geom.page_words);
  mem[kernel.vmemmap + PAGE.flags] = 1 << PG_anon_exclusive;
  mem[kernel.vmemmap + PAGE._refcount] = 1;
  mem[kernel.vmemmap + PAGE.mapping] = memblock_alloc("anon_vma", 1, { align: 4 }) | 1;
  const oldp = pgtable_alloc(mm, OLD, 0);
  const newp = pgtable_alloc(mm, NEW, 0);
  set_pte_at(oldp, pfn_pte(0, PAGE_SHARED));
  return {
    threads: [
      { name: "mover", run: mover, args: [mm, oldp, newp] },
      { name: "truncater", run: truncater, args: [mm, newp] },
      { name: "user", run: user, args: [oldp] },
    ],
  };
};

const bootPublish: Boot = (arch, preset, knobs, side) => {
  machine(arch, preset, knobs);
  const device = newDaxDevice("dax0.0", { start: 2, nr: 2 });
  const published = memblock_alloc("published", 1);
  return {
    threads: [
      { name: "bind", run: bind, args: [device.dev, published] },
      { name: "fault", run: fault_frame, args: [2, published, side === "after" ? 1 : 0] },
    ],
  };
};

const bootRfc: Boot = (arch, preset, knobs) => {
  const mm = machine(arch, preset, { gup: GUP_RFC, pteDevmap: 1, pgmapRef: 1, ...knobs });
  const device = newDaxDevice("dax0.0", { start: 2, nr: 2, order: 1 });
  bindDaxDevice(device);
  mapDaxDevice(mm, device, { addr: 0, nr: 2, level: 1 });
  return { threads: [{ name: "pin", run: pin_middle, args: [mm, 1, 3] }] };
};

export const RACES: readonly ZooEntry[] = [
  {
    id: "J16",
    commit: "6401c4eb57f9",
    title: "mm: gup: fix potential pgmap refcnt leak in __gup_device_huge()",
    // Elsewhere N4 comes first.
    archs: ["x86-64"],
    before: on(bootLeak, "v5.10"),
    after: on(bootLeak, "v5.10", { gupHugeUndoFix: 1 }),
    error: found("deadlock"),
    turns: 2,
    accesses: [
      access("pin", "get_dev_pagemap", "percpu_count.cpu0"),
      access("pin", "try_grab_page", "page[2]._refcount"),
      access("unbind", "wait_for_completion", "dax0.0.pgmap.done"),
    ],
    what:
      "Fast GUP of a device's huge leaf takes a reference on the pagemap, and then one on the page. If that is " +
      "refused, since the page's count has overflowed, it gives back what it took of pages, but not the " +
      "pagemap's reference. The unbind waits for it for ever.",
    fix: "It is given back there, too.",
  },
  {
    id: "J28",
    commit: "eb66ae030829",
    title: "mremap: properly flush TLB before releasing the page",
    cve: "CVE-2018-18281",
    // The machine's cached translation is an irq-off section, which only a flush by IPI waits for.
    archs: ["x86-64"],
    before: on(bootMremap, "v6.1", { mremapFlushLocked: 0 }),
    after: on(bootMremap, "v6.1"),
    error: found("use-after-free", "user", "data[0]"),
    turns: 4,
    accesses: [
      access("user", "user", "pgtable1[0]"),
      access("mover", "move_ptes", "pgtable1[0]"),
      access("truncater", "free_the_page", "data[0]"),
      access("user", "user", "data[0]"),
    ],
    what:
      "mremap() moves an entry to its new address and flushed the old one's translations later, when it had " +
      "dropped the locks. In between ftruncate() finds the page at its new address, flushes that, and frees " +
      "the page; a CPU that still has the old translation writes to it.",
    fix: "The old addresses are flushed before the locks are dropped.",
  },
  {
    id: "J58",
    commit: null,
    title: "a pagemap can be found before its struct pages exist",
    before: on(bootPublish, "v7.3"),
    after: on(bootPublish, "v7.3"),
    error: found("use-after-free", "fault", "page[2].compound_head"),
    turns: 2,
    accesses: [
      access("bind", "memremap_pages", "pgmap_array[1]"),
      access("fault", "get_dev_pagemap", "pgmap_array[1]"),
      access("fault", "fault_frame", "page[2].compound_head"),
    ],
    what:
      "memremap_pages() enters the pagemap where get_dev_pagemap() finds it, and then makes the struct pages. " +
      "A driver whose fault handler asked for the pagemap to see whether a frame has a struct page met one " +
      "that was not there yet, while another thread of it was still in memremap_pages().",
    fix: "The driver keeps a list of its own, into which it enters a range when memremap_pages() has returned.",
  },
  {
    id: "J59",
    commit: null,
    title: "the RFC's compound grab adds the offset into the leaf twice",
    before: on(bootRfc, "v6.12", { rfcShiftAsSize: 0 }),
    after: on(bootRfc, "v6.12", { rfcShiftAsSize: 0, rfcDoubleOffset: 0 }),
    error: found("assertion", "pin", "", "another page"),
    accesses: [access("pin", "__gup_device_compound_huge", "page[2]._refcount")],
    what:
      "The first version of fast GUP's compound path (RFC of December 2020, patch 6) takes addr's frame, which " +
      "contains the offset into the leaf, and adds that offset again. As posted nobody noticed, since its " +
      "callers passed a leaf's logarithm for its size and the sum was 0; once that is repaired, the next page " +
      "but one is pinned.",
    fix: "The sum starts at the leaf's first page.",
  },
];
