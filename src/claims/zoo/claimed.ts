/**
 * Bugs whose cells are those of the claims (c1.ts, c8.ts): what is here is the telling. Titles and commits
 * are those of Linux's history; the descriptions are ours.
 */

import { found, type ZooEntry } from "./entry.ts";
import { access } from "./interleaving.ts";

/** Where a TLB flush by IPI does not wait for fast GUP. */
const NO_IPI = ["x86-64-kvm", "x86-64-invlpgb", "arm64", "powerpc-radix", "s390", "riscv"];

export const CLAIMED: readonly ZooEntry[] = [
  {
    id: "J01",
    commit: "70cbc3cc78a9",
    title: "mm: gup: fix the fast GUP race against THP collapse",
    archs: NO_IPI,
    before: { cell: "C1/collapse/ram-4k/uniform/1", knobs: { syncOne: 0, pmdRecheck: 0 } },
    // With the second look alone J06 is what is found.
    after: "C1/collapse/ram-4k/uniform/1",
    error: found("assertion", "check_coherent", "", "no longer the one that is pinned"),
    turns: 5,
    accesses: [
      access("pinner", "gup_pmd_range", "pgtable0[0]"),
      access("khugepaged", "madvise_collapse", "pgtable0[0]"),
      access("khugepaged", "madvise_collapse", "page[0]._refcount"),
      access("pinner", "try_get_compound_head", "page[0]._refcount"),
    ],
    what:
      "khugepaged clears the PMD above a table, flushes, and looks whether anybody holds a page of the table; " +
      "then it copies them to a huge page. Where the flush interrupts nobody, a walker that has read the PMD " +
      "before goes on in the table, which keeps its entries, takes its reference after khugepaged has looked, " +
      "and finds the entry unchanged. The process has the huge page from then on, the device the old one.",
    fix:
      "Fast GUP reads the PMD again, too, after it has the reference. It does not help if the table is freed " +
      "and used for something else, for which J06's fix is needed; with that one both are closed here.",
  },
  {
    id: "J06",
    commit: "2ba99c5e0881",
    title: "mm/khugepaged: fix GUP-fast interaction by sending IPI",
    archs: NO_IPI,
    before: { cell: "C1/collapse/ram-4k/uniform/1", knobs: { syncOne: 0 } },
    after: "C1/collapse/ram-4k/uniform/1",
    error: found("use-after-free", "pinner", "pgtable1[0]"),
    turns: 4,
    accesses: [
      access("pinner", "gup_pmd_range", "pgtable0[0]"),
      access("khugepaged", "madvise_collapse", "pgtable1[0]"),
      access("pinner", "gup_pte_range", "pgtable1[0]"),
    ],
    what:
      "khugepaged takes a page table out from under a PMD and frees it, or keeps it for later, without having " +
      "waited for walkers that found it before: where the flush interrupts nobody they read entries in what " +
      "is no page table any more, and raise the count of whatever those say. That fast GUP reads the PMD " +
      "again (J01) comes too late.",
    fix: "An interrupt to every CPU (tlb_remove_table_sync_one()) before the table is used for anything else.",
  },
  {
    id: "J03",
    commit: "57efa1fe5957",
    title: "mm/gup: prevent gup_fast from racing with COW during fork",
    before: "C1/fork/ram-4k/uniform/1/without-write-protect-seq",
    after: "C1/fork/ram-4k/uniform/1",
    error: found("assertion", "check_coherent"),
    turns: 6,
    accesses: [
      access("forker", "needs_cow_for_dma", "mm_struct[0].has_pinned"),
      access("pinner", "try_grab_compound_head", "page[0]._refcount"),
      access("forker", "ptep_set_wrprotect", "pgtable1[0]"),
      access("forker", "wp_page_copy", "pgtable1[0]"),
    ],
    what:
      "fork() looks whether a page may be pinned, finds that it is not, and shares it with the child, read-only " +
      "in both. A fast pin for writing that has read the entry while it was writable comes between the look " +
      "and the write protection. The parent's next write then copies the page, and from there on the device " +
      "has one page and the process another.",
    fix:
      "fork counts a sequence up before and after it copies entries; fast GUP reads it first, walks only if it " +
      "is even, reads it again at the end, and gives everything back if it has moved.",
  },
  {
    id: "J07",
    commit: "319561669a59",
    title: "mm/mmu_notifier.c: fix race in mmu_interval_notifier_remove()",
    before: "C8/notifier-remove/v5.10",
    after: "C8/notifier-remove/v6.1",
    error: found("use-after-free", "invalidate", "notifier.deferred_next"),
    turns: 5,
    accesses: [
      access("invalidate", "mn_itree_inv_end", "notifier_subscriptions.invalidate_seq"),
      access("remove", "remove_notifier", "notifier.start"),
      access("invalidate", "mn_itree_inv_end", "notifier.deferred_next"),
    ],
    what:
      "While an invalidation runs, an interval notifier that is removed is put on a list, and its remover " +
      "waits for the sequence to move on. It looked at the sequence without the lock: the last invalidation " +
      "moves it and then goes through the list, still holding the lock, when the remover has returned and the " +
      "driver has freed the notifier.",
    fix: "The remover's condition takes the lock, and so waits until the list has been worked off.",
  },
  {
    id: "J08",
    commit: "c2655835fd8c",
    title: "mm/mmu_notifiers: ensure range_end() is paired with range_start()",
    before: "C8/notifier-nonblock/v5.10",
    after: "C8/notifier-nonblock/v6.1",
    error: found("deadlock"),
    turns: 2,
    accesses: [
      access("oom", "mmu_notifier_invalidate_range_start_nonblock", "kvm.count"),
      access("guest", "wait_count", "kvm.count"),
    ],
    what:
      "The OOM reaper starts an invalidation that may not sleep. One notifier has counted it, the next one " +
      "refuses, and the caller, as documented, does not call the end. The first notifier counts an " +
      "invalidation for ever: KVM's faults go round, a driver's wait never ends.",
    fix: "Where a notifier refuses, those that have started are ended on the spot.",
  },
  {
    id: "J09",
    commit: "5ec8e8ea8b77",
    title: "mm/sparsemem: fix race in accessing memory_section->usage",
    before: "C8/ram-pfn-valid/v5.10",
    after: "C8/ram-pfn-valid/v6.12",
    error: found("use-after-free", "reader", "usage0.subsection_map"),
    turns: 3,
    accesses: [
      access("remove", "section_deactivate", "usage0.subsection_map"),
      access("reader", "pfn_section_valid", "usage0.subsection_map"),
    ],
    what:
      "pfn_valid() finds that a section is there and then reads its map of subsections. Between the two the " +
      "section is taken away and the map freed. The very test that tells whether a frame may be touched " +
      "touches freed memory.",
    fix:
      "The section's mark is cleared first, the map is freed after a grace period, and pfn_valid() is an RCU " +
      "reader.",
  },
  {
    id: "J10",
    commit: "1e57ffb6e3fd",
    title: "mm/memremap: fix memunmap_pages() race with get_dev_pagemap()",
    before: "C8/pagemap-get/v5.18",
    after: "C8/pagemap-get/v6.1",
    error: found("use-after-free", "getter", "percpu_ref_data.count"),
    accesses: [
      access("remove", "percpu_ref_exit", "percpu_ref_data.count"),
      access("getter", "percpu_ref_tryget_live", "percpu_ref_data.count"),
    ],
    what:
      "memunmap_pages() freed the counter of the pagemap's reference before it took the pagemap out of the " +
      "array in which get_dev_pagemap() finds it. A reader that looks it up in between tries to take a " +
      "reference on a counter that is gone. (A reference in per-CPU mode is protected by the grace period of " +
      "its kill; the cell has one that is atomic.)",
    fix: "The counter is freed after the entry has gone and its grace period is over.",
  },
  {
    id: "J11",
    commit: "50f44ee7248a",
    title: "mm/devm_memremap_pages: fix final page put race",
    before: "C8/pagemap-final-put/v5.1",
    after: "C8/pagemap-final-put/v5.10",
    error: found("use-after-free", "unpin", "page[1].compound_head"),
    turns: 3,
    accesses: [
      access("remove", "pageunmap_range", "page[1].flags"),
      access("unpin", "put_page", "page[1].compound_head"),
    ],
    what:
      "The device's struct pages were freed before anybody had waited for the last reference; the wait was an " +
      "action of the driver's that came later. A page that is still pinned is then unpinned by writing to a " +
      "struct page that is gone.",
    fix: "memunmap_pages() itself kills the reference and waits for it before it frees anything.",
  },
  {
    id: "J12",
    commit: "16ce101db85d",
    title: "mm/memory.c: fix race when faulting a device private page",
    cve: "CVE-2022-3523",
    before: "C8/private-fault/v5.18",
    after: "C8/private-fault/v6.1",
    error: found("use-after-free", "fault", "page[1]"),
    turns: 3,
    accesses: [
      access("fault", "do_device_private", "pgtable0[0]"),
      access("unbind", "pageunmap_range", "page[1].flags"),
      access("fault", "do_device_private", "page[1]"),
    ],
    what:
      "A fault on an entry of device-private memory looked at the page without holding it. The driver may " +
      "move the data home, free the page, and unbind, so that page, pagemap and the callback that is about " +
      "to be called are gone.",
    fix:
      "The fault takes a reference under the page-table lock, after it has seen that the entry is still the " +
      "same; the migration is told to expect that reference.",
  },
  {
    id: "J20",
    commit: "d1e153fea2a8",
    title: "mm/gup: migrate pinned pages out of movable zone",
    // The wait without a reference, or J50 comes first.
    before: { cell: "C8/offline-longterm-pin/v5.10", knobs: { migrationWaitRef: 0 } },
    after: "C8/offline-longterm-pin/v6.1",
    error: found("livelock", "offline"),
    accesses: [
      access("pin", "longterm_pin_until", "page[0]._refcount"),
      access("offline", "migrate_page_is_unused", "page[0]._refcount"),
    ],
    what:
      "A long-term pin of a page in movable memory keeps it where it is for as long as the pin lasts. " +
      "Offlining tries to migrate it, fails, and tries again, until a signal comes.",
    fix: "A long-term pin first moves the page out of movable memory and pins it there.",
  },
  {
    id: "J21",
    commit: "1f90a3477df3",
    title: "mm: teach pfn_to_online_page() about ZONE_DEVICE section collisions",
    before: "C8/mixed-pfn-walker/v5.10",
    after: "C8/mixed-pfn-walker/v5.18-bound",
    error: found("assertion", "walker"),
    accesses: [access("walker", "pfn_walker", "page[1]._refcount")],
    what:
      "Half of a section is System RAM, the other half belongs to a device. Whether a frame is online was " +
      "asked of the section as a whole, so that a frame walker took a device's page for RAM.",
    fix:
      "Such sections are marked, and in them a frame with a live pagemap is no RAM. (While the device is " +
      "being unbound the pagemap is no longer live, and the answer is wrong again: mixed-pfn-walker/v5.18.)",
  },
  {
    id: "J22",
    commit: "3ce2c24cb68f",
    title: "mm: hugetlb_vmemmap: fix a race between vmemmap pmd split",
    before: "C8/vmemmap-split/v6.1",
    after: "C8/vmemmap-split/v6.12",
    error: found("assertion", "split"),
    turns: 3,
    accesses: [
      access("split", "split_vmemmap_huge_pmd", "vmemmap_pmd"),
      access("split", "split_vmemmap_huge_pmd", "vmemmap_pmd"),
    ],
    what:
      "Two huge pages whose struct pages lie behind one PMD are optimised at once. Each read the PMD before " +
      "it took the lock; the second then took the first one's new page table for the frame of struct pages " +
      "and mapped it as that.",
    fix: "The PMD is read after it has been seen, under the lock, to be a leaf still.",
  },
  {
    id: "J23",
    commit: "bd225530a4c7",
    title: "mm/hugetlb_vmemmap: fix race with speculative PFN walkers",
    before: "C8/hvo-pfn-walker/v6.1",
    after: "C8/hvo-pfn-walker/v6.12",
    error: found("assertion", "walker"),
    turns: 3,
    accesses: [
      access("walker", "speculative_get", "struct page 0._refcount"),
      access("optimize", "optimize_vmemmap", "vmemmap_table[0]"),
      access("walker", "speculative_get", "vmemmap_table[0]"),
    ],
    what:
      "The struct pages of a huge page's tails are mapped read-only to one shared page. A walker that has " +
      "seen a count that is not 0 goes on to add to it, at an address that has become read-only.",
    fix: "Counts are frozen to 0 first and a grace period passes before the remapping; walkers are RCU readers.",
  },
  {
    id: "J46",
    commit: "1afaeb8293c9",
    title: "mm/migrate: Trylock device page in do_swap_page",
    before: "C8/two-faults/v6.1",
    after: "C8/two-faults/v7.3",
    error: found("livelock", "fault1"),
    accesses: [
      access("fault2", "do_device_private", "page[1]._refcount"),
      access("fault1", "migrate_vma_check_page", "page[1]._refcount"),
    ],
    what:
      "Two faults on one device-private page each take a reference, and each one's migration then refuses " +
      "because of the other's. Both let go and fault again.",
    fix: "Who does not get the page's lock does not keep a reference while the other migrates.",
  },
  {
    id: "J47",
    commit: "b570f37a2ce4",
    title: "mm: Fix a hmm_range_fault() livelock / starvation problem",
    before: "C8/walk-lock-holder/trylock",
    after: "C8/walk-lock-holder/wait",
    error: found("livelock", "mirror"),
    accesses: [
      access("holder", "trylock_page", "page[1].flags"),
      access("mirror", "do_device_private", "page[1].flags"),
    ],
    what:
      "With the fix of J46 a fault that does not get the page's lock returns at once. hmm_range_fault() then " +
      "walks again without ever sleeping, and whoever holds the lock may need this very CPU to go on.",
    fix: "The fault sleeps until the page's lock is let go, queued under the page-table lock.",
  },
  {
    id: "J48",
    commit: "3dd60fb9d95d",
    title: "nvdimm/pmem: stop using q_usage_count as external pgmap refcount",
    before: "C8/pagemap-queue/waits",
    after: "C8/pagemap-queue/waits-own",
    error: found("deadlock"),
    accesses: [access("remove", "del_gendisk", "percpu_ref_data0.count")],
    what:
      "The pagemap's reference was the request queue's. Taking the disk away waits until the queue is unused, " +
      "but what uses it is given back by memunmap_pages(), an action that comes later.",
    fix: "The pagemap has a reference of its own.",
  },
  {
    id: "J49",
    commit: null,
    title: "mm/hmm: do not call hmm_vma_walk_hole() while holding a spinlock",
    before: "C8/pud-fault/v5.6",
    after: "C8/pud-fault/v5.7",
    error: found("deadlock"),
    accesses: [
      access("mirror", "hmm_vma_walk_pud", "mm_struct[0].page_table_lock"),
      access("mirror", "insert_pfn", "mm_struct[0].page_table_lock"),
    ],
    what:
      "The walk of a PUD called the fault handler with the PUD's lock held, which the handler wants, and " +
      "under which it may not sleep. Mended in v5.7.",
    fix: "The lock is let go before the fault.",
  },
  {
    id: "J50",
    commit: "ffa65753c431",
    title: "mm/migrate.c: rework migration_entry_wait() to not take a pageref",
    before: "C8/offline-fault/v5.10",
    after: "C8/offline-fault/v7.3",
    error: found("livelock", "unplug"),
    accesses: [
      access("fault", "migration_entry_wait", "page[0]._refcount"),
      access("unplug", "migrate_page_is_unused", "page[0]._refcount"),
    ],
    what:
      "Who faults on a page that is being migrated waited with a reference to it. That reference makes the " +
      "migration fail; it begins again, and so does the wait.",
    fix: "The waiter queues itself under the page-table lock and holds nothing.",
  },
  {
    id: "N1",
    commit: null,
    title: "a nonblocking start that an old-style notifier refuses leaves the interval tree invalidating",
    before: "C8/notifier-nonblock-reader/v7.3",
    after: "C8/notifier-nonblock-reader/ended",
    error: found("deadlock"),
    accesses: [
      access("oom", "mn_itree_invalidate", "notifier_subscriptions.invalidate_seq"),
      access("reader", "mmu_interval_read_begin", "notifier_subscriptions.invalidate_seq"),
    ],
    what:
      "The interval tree's invalidation begins before the old-style notifiers are asked. If one of these " +
      "refuses, nobody ends what the tree has begun: readers of interval notifiers wait for ever. In every " +
      "kernel from 5.10 to 7.3; unverified, see docs/reports/mmu-notifier-nonblock.md.",
    fix: "Not in Linux. The refusal would end the tree's invalidation, too (knob notifierUndoTree).",
  },
  {
    id: "N2",
    commit: null,
    title: "a driver maps pages between migrate_vma_pages() and finalize without looking at the sequence",
    before: "C8/private-to-device/v7.3",
    after: "C8/private-to-device/faulted",
    error: found("assertion", "check"),
    accesses: [
      access("device", "migrate_and_read", "dmirror.pt[0]"),
      access("zap", "zap_nonpresent_pte", "pgtable0[0]"),
      access("check", "check_mirror", "dmirror.pt[0]"),
    ],
    what:
      "The kernel's HMM test driver (nouveau does so, too) enters pages that it has migrated into its device's " +
      "table before the migration is finished. madvise(MADV_DONTNEED) may have told the notifier before and " +
      "remove the CPU's entry after, so that the device keeps a page that goes back to the driver.",
    fix:
      "The device faults the page in by the documented loop, which looks at the sequence. Not in Linux, and " +
      "unverified: docs/reports/test-hmm-own-migrations.md.",
  },
  {
    id: "N3",
    commit: null,
    title: "a driver's callback ignores its own migrations, and its mirror keeps the old frame",
    before: "C8/private-own-mirror/v7.3",
    after: "C8/private-own-mirror/noted",
    error: found("assertion", "check"),
    accesses: [
      access("fault", "dmirror_forget", "dmirror.pt[0]"),
      access("mirror", "dmirror_do_fault", "dmirror.pt[0]"),
    ],
    what:
      "The kernel's HMM test driver leaves its table and the sequence alone when an invalidation is of its own " +
      "migration. A CPU fault brings a page home while the same device faults it in: the device enters the " +
      "frame that the page has just left.",
    fix:
      "The callback notes the sequence of its own device's migrations, too (knob dmirrorOwnSeq). Not in Linux, " +
      "and unverified: docs/reports/test-hmm-own-migrations.md.",
  },
  {
    id: "N4",
    commit: "27674ef6c73f",
    title: "v5.10's PMD device path takes a page whose count has just become zero",
    archs: NO_IPI,
    before: "C4/device-dax-2m/ref-taken/percpu/v5.10/no-pin/1x1",
    after: {
      cell: "C4/device-dax-2m/ref-taken/percpu/v5.10/no-pin/1x1",
      knobs: { deviceLeafGrab: 1, gupHugeUndoFix: 1 },
    },
    error: found("refcount-underflow", "percpu_ref_switch_to_atomic_rcu"),
    accesses: [
      access("walker0", "try_grab_page", "page[2]._refcount"),
      access("remover", "memunmap_pages_begin", "page[2]._refcount"),
      access("walker0", "try_grab_page", "page[2]._refcount"),
      access("walker0", "undo_dev_pagemap", "page[2]._refcount"),
    ],
    what:
      "__gup_device_huge() looks at a page's count and then increments it. In between memunmap_pages() drops " +
      "the base reference, which gives back the page's share of the pagemap; the walker's undo then drops the " +
      "count to zero once more, and gives it back a second time. The walk's pagemap reference does not help.",
    fix:
      "From v5.18 on the count does not pass through zero there. v6.10 (f442fa614137) raises it only if it is " +
      "not zero; with J16's fix that is enough in v5.10, too. Our reading of the code, unverified: " +
      "docs/reports/gup-fast-device-leaf.md.",
  },
];
