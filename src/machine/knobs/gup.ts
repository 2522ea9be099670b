/**
 * The knobs of fast GUP, device page maps, page tables and pin counts, by kernel version or commit.
 */

import { knob, knockout, onOff } from "./knob.ts";

export const GUP_V510 = 0;
export const GUP_RFC = 1;
export const GUP_UNIFORM = 2;
export const REFCOUNT_ONE_BASED = 0;
const REFCOUNT_ZERO_BASED = 1;
export const REF_PERCPU = 0;
export const REF_ATOMIC = 1;
export const REF_EXTERNAL = 2;

/** Order is that of the text of docs/claims.md. */
export const GUP_KNOBS = [
  knob("gup", { "v5.10": GUP_V510, "v6.17": GUP_UNIFORM }, "form of the fast GUP walk for device entries", [
    { value: GUP_V510, name: "v5.10", title: "own path, one grab per 4 KiB page (v4.5 to v6.16)" },
    {
      value: GUP_RFC,
      name: "rfc",
      title: "own path, one grab per compound device leaf (RFC of 8 December 2020, patch 6; never merged)",
    },
    {
      value: GUP_UNIFORM,
      name: "uniform",
      title: "no path of its own, try_grab_folio_fast at every leaf (v6.17, fd2825b0760a)",
    },
  ]),
  knob(
    "pgmapRef",
    { "v5.10": 1, "v6.17": 0 },
    "the device path takes a dev_pagemap reference around the grab",
    onOff(
      "get_dev_pagemap() per device entry (v4.5, 5c2c2587b132, to v6.16)",
      "not taken (the mail's question; v6.17 has no device path)",
    ),
  ),
  knob(
    "pgmapRefcounting",
    { "v5.10": REFCOUNT_ONE_BASED, "v5.18": REFCOUNT_ZERO_BASED },
    "what memunmap_pages() waits for",
    [
      {
        value: REFCOUNT_ONE_BASED,
        name: "one-based",
        title: "each page's base reference holds one pagemap reference: waits for pins (to v5.17)",
      },
      {
        value: REFCOUNT_ZERO_BASED,
        name: "zero-based",
        title: "percpu_ref_put_many(): does not wait for pins of device-dax pages (v5.18, 27674ef6c73f)",
      },
    ],
  ),
  knob(
    "pgmapRefPointer",
    { "v5.10": 1, "v5.17": 0 },
    "pgmap->ref is a pointer, which memunmap_pages() clears where it is to the pagemap's own reference",
    onOff("v5.10, to v5.16", "the reference lies in the pagemap (v5.17, b80892ca022e)"),
  ),
  knob(
    "pgmapExitLate",
    { "v5.10": 0, "v6.0": 1 },
    "percpu_ref_exit() after the pagemap left pgmap_array",
    onOff("last step of memunmap_pages() (v6.0, 1e57ffb6e3fd)", "right after the wait (to v5.19)"),
  ),
  knob(
    "gupHugeUndoFix",
    { "v5.10": 0, "v5.14": 1 },
    "__gup_device_huge() drops its pagemap reference when a grab fails",
    onOff("dropped (6401c4eb57f9, v5.14)", "leaked (to v5.13)"),
  ),
  knob("percpuRef", REF_PERCPU, "mode of the pagemap's percpu_ref when it is killed", [
    {
      value: REF_PERCPU,
      name: "percpu",
      title: "per-CPU counters; kill switches through call_rcu() (internal ref)",
    },
    {
      value: REF_ATOMIC,
      name: "atomic",
      title: "atomic from the start (PERCPU_REF_INIT_ATOMIC): no grace period in kill",
    },
    {
      value: REF_EXTERNAL,
      name: "external",
      title:
        "the request queue's q_usage_count, atomic, with ops->kill and ops->cleanup (pmem to v5.14, 3dd60fb9d95d)",
    },
  ]),
  knockout(
    "percpuRefRcu",
    "percpu_ref_switch_to_atomic() waits for a grace period",
    onOff("call_rcu() (lib/percpu-refcount.c, all versions)", "knock-out: switches at once"),
  ),
  knob(
    "unbindUnmaps",
    1,
    "unbinding the device removes its mappings first",
    onOff(
      "kill_dev_dax(): unmap_mapping_range() (device-dax, all versions)",
      "mappings stay (fsdax unbind while mounted: ext4; xfs before it is told, fa422b353d21, v6.7)",
    ),
  ),
  knob(
    "unbindWaitsIdle",
    0,
    "unbinding waits until no mapped page is pinned, before memunmap_pages()",
    onOff(
      "waits, as dax_break_layout_final() does for fsdax (v6.15)",
      "does not wait (device-dax, all versions)",
    ),
  ),
  knob(
    "pteDevmap",
    { "v5.10": 1, "v6.17": 0 },
    "device entries carry pXX_devmap",
    onOff("yes (v4.5 to v6.16)", "no such bit (v6.17, d438d2734170)"),
  ),
  knob(
    "pteRef",
    { "v5.10": 0, "v6.15": 1 },
    "an entry that maps a device page holds a reference on it",
    onOff("yes (v6.15, aed877c2b425)", "no (to v6.14)"),
  ),
  knockout(
    "pteRecheck",
    "fast GUP re-reads the leaf entry after the grab",
    onOff("all versions", "knock-out: trusts the first read"),
  ),
  knob(
    "pmdRecheck",
    { "v5.10": 0, "v5.10.223": 1, "v6.0": 1 },
    "fast GUP re-reads the PMD above a page table",
    onOff("v6.0, 70cbc3cc78a9", "to v5.19"),
  ),
  knob(
    "headRecheck",
    { "v5.10": 0, "v5.10.223": 1, "v5.14": 1 },
    "the grab checks that the page still belongs to the head that it counted on",
    onOff("v5.14, c24d37322548", "to v5.13"),
  ),
  knockout(
    "irqOff",
    "fast GUP walks with interrupts off",
    onOff("all versions", "knock-out: interrupts stay on"),
  ),
  knockout(
    "tlbFlush",
    "zapping flushes the TLB",
    onOff("all versions", "knock-out: neither flush nor its barrier"),
  ),
  knockout(
    "ipi",
    "a TLB flush by IPI waits for the other CPUs",
    onOff(
      "smp_call_function with wait (architectures that flush by IPI)",
      "knock-out: barrier only, nobody is waited for",
    ),
  ),
  knockout(
    "syncOne",
    "tlb_remove_table_sync_one() sends its IPI (tlb_remove_table_sync_rcu() waits)",
    onOff("where the architecture frees tables by RCU", "knock-out: empty"),
  ),
  knockout(
    "tableRcu",
    "page tables are freed after an RCU grace period where the architecture asks for it",
    onOff("call_rcu() of a batch (MMU_GATHER_RCU_TABLE_FREE)", "knock-out: at once after the flush"),
  ),
  knob("tableBatchFails", 0, "no memory for a batch of page tables to free", [
    { value: 0, name: "off", title: "batches are allocated" },
    { value: 1, name: "on", title: "tlb_remove_table_one() for every table" },
  ]),
  knob(
    "writeProtectSeq",
    { "v5.10": 0, "v5.10.223": 1, "v5.11": 1 },
    "FOLL_PIN walks retry if fork write-protects meanwhile",
    onOff("v5.11, 57efa1fe5957 (backported to v5.10.y)", "to v5.10"),
  ),
  knob(
    "headRetries",
    { "v5.10": 0, "v5.18": 1 },
    "a grab whose page has left its head meanwhile",
    onOff(
      "begins again with the page's new head (try_get_folio(), observed in v6.1's source)",
      "fails (to v5.17)",
    ),
  ),
  knob(
    "gupGrabsSubpage",
    { "v5.10": 0, "v5.18": 1, "v6.12": 0, "v7.3": 1 },
    "which page of a huge leaf fast GUP grabs, and so whose head it reads",
    onOff(
      "the first that is asked for (observed in v6.1's and v7.3's sources)",
      "the leaf's first (observed in v5.10's and v6.12's sources)",
    ),
  ),
  knob(
    "longtermCheckLate",
    { "v5.10": 0, "v6.12": 1 },
    "fast GUP asks whether a page may be pinned for long",
    onOff(
      "when it has a reference (observed in v6.12's source)",
      "before it has one (observed in v6.1's source)",
    ),
  ),
  knob(
    "deviceLeafGrab",
    { "v5.10": 0, "v6.12": 1 },
    "how fast GUP takes a page of a device's huge leaf",
    onOff(
      "unless its count is zero, and marks it referenced afterwards (observed in v6.12's source)",
      "by adding to a count that it has looked at, marked before (try_grab_page(), observed in v6.1's source)",
    ),
  ),
  knob(
    "pmdSpecial",
    { "v5.10": 0, "v6.12": 1 },
    "huge entries can be special, and fast GUP leaves these",
    onOff("observed in v6.12's source", "they cannot (observed in v6.1's source)"),
  ),
  knob(
    "gupPinBarrier",
    { "v5.10": 0, "v6.1": 1 },
    "fast GUP orders the pin before its second look at the entry, and the exclusive flag after its first",
    onOff("smp_mb__after_atomic() and smp_rmb() (v6.1, 088b8aa537c2)", "no barriers (to v6.0)"),
  ),
  knob(
    "seqcountAcquire",
    { "v5.10": 0, "v6.12": 1 },
    "how a sequence count is read at the start of a section",
    onOff("smp_load_acquire() (observed in v6.12's source)", "READ_ONCE() and smp_rmb() (v6.1's source)"),
  ),
  knob(
    "unpinBatch",
    { "v5.10": 0, "v5.13": 1 },
    "unpin_user_pages() drops one reference count per run of equal heads",
    onOff("v5.13, 31b912de1316", "one drop per page (to v5.12)"),
  ),
  knob(
    "pincountMinOrder",
    { "v5.10": 2, "v5.18": 1 },
    "least order of a compound page that counts pins apart from references",
    [
      { value: 2, name: "2", title: "order above 1: the count lies in page[2] (v5.7, 47e29d32afba)" },
      { value: 1, name: "1", title: "every compound page, 64-bit (v6.x folio layout)" },
    ],
  ),
  knob(
    "pincountPage",
    { "v5.10": 2, "v5.18": 1 },
    "struct page of a compound page that holds the pin count",
    [
      { value: 2, name: "2", title: "page[2] (v5.7 to v5.17)" },
      { value: 1, name: "1", title: "page[1] (observed v6.1 and later)" },
    ],
  ),
  knob("vmemmapMapped", 0, "struct pages are reached through a table of vmemmap frames", [
    { value: 0, name: "off", title: "one linear array, as if the vmemmap were one frame" },
    {
      value: 1,
      name: "on",
      title:
        "frames of 2^vmemmap_shift struct pages that can be shared (4917f55b4ef9, v5.19) and freed apart",
    },
  ]),
  knob("vmemmapDedup", 0, "tails of a compound device page share vmemmap frames (needs vmemmapMapped)", [
    { value: 0, name: "off", title: "every frame is a page of its own (to v5.18)" },
    { value: 1, name: "on", title: "all frames but the first two are one (v5.19, 4917f55b4ef9)" },
  ]),
  knob("vmstat", 0, "nr_foll_pin_acquired and nr_foll_pin_released are counted", [
    {
      value: 0,
      name: "off",
      title: "not counted: monotonic counters would make every history a state of its own",
    },
    { value: 1, name: "on", title: "counted per CPU (v5.7)" },
  ]),
  knob("pageRegions", 0, "contents of a page are poisoned when it goes back to the page allocator", [
    { value: 0, name: "off", title: "contents stay as they are" },
    { value: 1, name: "on", title: "poisoned (CONFIG_PAGE_POISONING); needs one region per page" },
  ]),
];
