/**
 * What can go wrong in Linux as it is, or is prevented by contract only: what its users have to do, as pairs.
 * "After" is the code of a version that had no such problem, or a caller that keeps to the contract.
 */

import { found, type ZooEntry } from "./entry.ts";
import { access } from "./interleaving.ts";

export const HAZARDS: readonly ZooEntry[] = [
  {
    id: "O1",
    commit: null,
    title: "since v5.18 memunmap_pages() does not wait for pins of a device's pages",
    before: "C4/device-dax/ref-not-taken/percpu/v5.18/held-pin/1x1",
    after: "C4/device-dax/ref-not-taken/percpu/v5.10/held-pin/1x1",
    error: found("use-after-free", "holder", "page[1].compound_head"),
    accesses: [
      access("remover", "pageunmap_range", "page[1].flags"),
      access("holder", "holder", "page[1].compound_head"),
    ],
    what:
      "27674ef6c73f made a device page's idle count 0, and the pagemap's reference no longer counts pages that " +
      "are in use. A DAX device is unbound while somebody has a page of it pinned; its struct pages are freed, " +
      "and unpinning touches one. Recorded kernels do so: 5.10 waits, later ones do not, 6.1 crashed.",
    fix: "Up to v5.17 each page in use holds a reference on the pagemap, for which the unbind waits.",
  },
  {
    id: "O4",
    commit: null,
    title: "frame walkers look at struct pages that memory hot-unplug frees",
    // Elsewhere the struct page's mapping goes first, and the walker's access is an oops.
    archs: ["x86-64", "x86-64-kvm", "x86-64-invlpgb", "riscv"],
    before: "C8/ram-pfn-walker/none",
    after: "C8/ram-pfn-walker/lock",
    error: found("use-after-free", "walker", "struct page 0._refcount"),
    accesses: [
      access("walker", "pfn_to_online_page", "mem_section[0].section_mem_map"),
      access("unplug", "remove_memory", "struct page 0.flags"),
      access("walker", "walker_get_page", "struct page 0._refcount"),
    ],
    what:
      "pfn_to_online_page() says that a frame is online, and the walker (compaction, memory failure, " +
      "/proc/kpageflags) goes on to its struct page. Nothing keeps the memory from going offline and its " +
      "struct pages from being freed in between.",
    fix: "A walker that holds the memory hotplug lock (get_online_mems()); most do not.",
  },
  {
    id: "O5",
    commit: null,
    title: "a DAX device that goes while a file system is mounted leaves entries behind",
    before: "C4/fsdax/ref-not-taken/external/v5.10/no-pin/1x1",
    after: "C4/fsdax/ref-taken/external/v5.10/no-pin/1x1",
    error: found("use-after-free", "walker0", "page[1].compound_head"),
    accesses: [
      access("remover", "pageunmap_range", "page[1].flags"),
      access("walker0", "gup_pte_range", "page[1].compound_head"),
    ],
    what:
      "Unbinding a pmem device under a mounted file system removes no mappings. Fast GUP finds an entry whose " +
      "struct page is gone. It is the answer that was given to the question whether fast GUP needs its pagemap " +
      "reference.",
    fix:
      "Fast GUP looks the pagemap up first, which fails once it is dying (v4.5 to v6.16). Later kernels have " +
      "no look-up; xfs unmaps before the device goes (v6.7), ext4 does not.",
  },
  {
    id: "O9",
    commit: null,
    title: "offline_pages() has no bound for pins that stay",
    before: "C8/offline-pin-for-ever/v7.3",
    after: "C8/offline-pin-signal/v7.3",
    error: found("livelock", "offline"),
    accesses: [access("offline", "migrate_page_is_unused", "page[0]._refcount")],
    what:
      "Memory goes offline while somebody holds a page of it, for long and without having said so. Each " +
      "migration fails, and offline_pages() begins again: there is neither a count nor a timeout.",
    fix: "A signal ends it, with -EINTR.",
  },
  {
    id: "O11",
    commit: null,
    title: "where a TLB flush sends no interrupts it does not exclude fast GUP",
    archs: ["x86-64-kvm", "x86-64-invlpgb", "arm64", "powerpc-radix", "s390", "riscv"],
    before: "C4/device-dax/ref-not-taken/atomic/v5.10/no-pin/1x1",
    after: "C4/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1",
    error: found("use-after-free", "walker0", "page[1].compound_head"),
    accesses: [
      access("walker0", "gup_pte_range", "pgtable1[0]"),
      access("remover", "pageunmap_range", "page[1].flags"),
      access("walker0", "gup_pte_range", "page[1].compound_head"),
    ],
    what:
      "A paravirtual flush skips preempted vCPUs, INVLPGB and TLBI interrupt nobody. Who unmaps a device's " +
      "pages, flushes, and then frees their struct pages has waited for no walker that runs with interrupts " +
      "off.",
    fix:
      "The grace period of percpu_ref_kill(), which the reference has in per-CPU mode: an irq-off section is " +
      "an RCU reader.",
  },
];
