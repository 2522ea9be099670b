/** Mutants of migration, of taking memory away, and of the batches and counts that migration relies on. */

import { type Mutant, mutants } from "./mutant.ts";

const ENTRY = mutants("migrate_entry", [
  [
    "try_to_migrate",
    "notifiers are told of a migration after the entry has changed",
    [
      "  mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_CLEAR, 0);\n  spin_lock(mm + MM.page_table_lock);\n  const ptep = mm_find_pte(mm, addr);\n  const mapped = ptep !== 0 && entry_page",
      "  spin_lock(mm + MM.page_table_lock);\n  const ptep = mm_find_pte(mm, addr);\n  const mapped = ptep !== 0 && entry_page",
    ],
    [
      "  if (mapped) set_migration_entry(ptep, page);\n  spin_unlock(mm + MM.page_table_lock);\n",
      "  if (mapped) set_migration_entry(ptep, page);\n  spin_unlock(mm + MM.page_table_lock);\n  mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_CLEAR, 0);\n",
    ],
  ],
  [
    "try_to_migrate",
    "notifiers are not told of a migration",
    ["  mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_CLEAR, 0);\n", ""],
    [
      "  if (mapped) put_page(page);\n  mmu_notifier_invalidate_range_end(mm);",
      "  if (mapped) put_page(page);",
    ],
  ],
  [
    "remove_migration_ptes",
    "the page that a migration entry is replaced by is not counted",
    [
      "    get_page(to);\n    atomic_inc(page_word(to, PAGE._mapcount));",
      "    atomic_inc(page_word(to, PAGE._mapcount));",
    ],
  ],
  [
    "remove_migration_ptes",
    "the page is mapped again whatever stands in the entry by now",
    ["if (is_migration_entry(e) && swp_offset(e) === page_to_pfn(old)) {", "if (ptep !== 0) {"],
  ],
  [
    "migration_entry_wait",
    "a fault that meets a migration entry keeps the page-table lock when the entry is gone",
    [
      "  if (!is_migration_entry(e)) {\n    spin_unlock(mm + MM.page_table_lock);",
      "  if (!is_migration_entry(e)) {",
    ],
  ],
]);

const DEVICE = mutants("migrate_device", [
  [
    "migrate_page_move_mapping",
    "a page moves whoever else holds it: its count is not looked at again",
    ["  if (!migrate_page_is_unused(from, fault_page)) return false;\n", ""],
  ],
  [
    "migrate_page_is_unused",
    "one reference of somebody else passes the exact check",
    ["return page_ref_count(page) === expected;", "return page_ref_count(page) <= expected + 1;"],
  ],
  [
    "migrate_vma_collect_one",
    "a page is collected without a reference of the migration's own",
    ["  get_page(page);\n  // The fault that brought us here", "  // The fault that brought us here"],
  ],
  [
    "migrate_vma_collect_one",
    "a page is collected although somebody else has it locked",
    [
      "  if (!locked && !trylock_page(page)) {\n    put_page(page);\n    return 0;\n  }",
      "  if (!locked) trylock_page(page);",
    ],
  ],
  [
    "migrate_vma_insert_page",
    "a driver's page is put into a hole that somebody has filled meanwhile",
    ["const free = e === 0 || (pte_present(e) && pte_special(e));", "const free = ptep !== 0;"],
  ],
  [
    "migrate_vma_finalize",
    "the reference on the new page is not put",
    ["      unlock_page(to);\n      put_page(to);", "      unlock_page(to);"],
  ],
  [
    "migrate_device_range",
    "a frame that nobody uses gets a reference: the count is not compared with zero",
    [
      "if (!page_ref_add_unless(page, 1, 0)) continue;\n    if (!trylock",
      "get_page(page);\n    if (!trylock",
    ],
  ],
  [
    "migrate_system_page",
    "the new page is mapped before the contents are copied",
    ["      copy_contents(page_address(to), page_address(page));\n      SetPageUptodate(to);", ""],
    [
      "    remove_migration_ptes(page, ret === 0 ? to : page, vma, addr);\n",
      "    remove_migration_ptes(page, ret === 0 ? to : page, vma, addr);\n    if (ret === 0) copy_contents(page_address(to), page_address(page));\n",
    ],
  ],
  [
    "release_source",
    "the lock of a page that was not moved is never dropped",
    [
      "  if (page !== fault_page || config.devicePrivateFault <= 1) unlock_page(page);\n  put_page(page);",
      "  put_page(page);",
    ],
  ],
]);

const PAGEMAP = mutants("pagemap", [
  [
    "softleaf_entry_wait_on_locked",
    "the page-table lock is dropped before the waiter has queued",
    [
      "  const queued = add_wait_queue(page);\n  spin_unlock(ptl);",
      "  spin_unlock(ptl);\n  const queued = add_wait_queue(page);",
    ],
  ],
  [
    "put_and_wait_on_page_locked",
    "the reference is put before the waiter has queued",
    [
      "  const queued = add_wait_queue(page);\n  put_page(page);",
      "  put_page(page);\n  const queued = add_wait_queue(page);",
    ],
  ],
  [
    "unlock_page",
    "whoever waits for the page is not woken",
    ["  if ((old & (1 << PG_waiters)) !== 0) wake_page(page);", "  if (old === 0) wake_page(page);"],
  ],
]);

const HOTPLUG = mutants("memory_hotplug", [
  [
    "offline_pages",
    "a range goes offline while one of its pages is still being freed",
    [
      "while (!test_pages_isolated(start_pfn, nr));",
      "while (test_pages_isolated(start_pfn, nr) && nr === 0);",
    ],
  ],
  [
    "pfn_to_online_page",
    "a frame of an offline section counts as online",
    ["  if (!online_section(ms)) return 0;\n", ""],
  ],
  [
    "pfn_to_online_page",
    "the reference on the pagemap that the slow path looked up is kept",
    ["    put_dev_pagemap(pgmap);\n    if (pgmap !== 0) return 0;", "    if (pgmap !== 0) return 0;"],
  ],
  [
    "remove_memory",
    "struct pages go without the lock of memory hotplug",
    [
      "  mem_hotplug_begin();\n  section_deactivate(start_pfn, nr);\n  mem_hotplug_done();",
      "  section_deactivate(start_pfn, nr);",
    ],
  ],
]);

const SPARSE = mutants("sparse", [
  [
    "section_deactivate",
    "the usage map is freed at once, not after a grace period",
    ["call_rcu(usage, section_usage_free_rcu);", "kfree(usage);"],
  ],
  [
    "pfn_valid",
    "the usage map is read outside an RCU section",
    ["  if (config.sectionUsageRcu) rcu_read_lock();\n", ""],
    ["  if (config.sectionUsageRcu) rcu_read_unlock();\n", ""],
  ],
  [
    "depopulate_section_memmap",
    "a frame of the vmemmap is freed before the entry that maps it is cleared, whatever the architecture",
    ["    if (arch.vmemmapFree === VMEMMAP_FREE_CLEAR_FLUSH) kfree(storage);", "    kfree(storage);"],
    ["    if (arch.vmemmapFree === VMEMMAP_CLEAR_FREE_FLUSH) kfree(storage);\n", ""],
    ["    if (arch.vmemmapFree === VMEMMAP_CLEAR_FLUSH_FREE) kfree(storage);\n", ""],
  ],
]);

const OTHERS = [
  ...mutants("hugetlb_vmemmap", [
    [
      "split_vmemmap_huge_pmd",
      "the PMD is replaced although somebody else has split it",
      ["const mine = pmd_leaf(READ_ONCE(pmdp));", "const mine = true;"],
    ],
  ]),
  ...mutants("lru", [
    [
      "lru_batch_move",
      "pages leave a batch with the batch's reference",
      [
        "      SetPageFlag(page, PG_lru);\n    }\n    put_page(page);",
        "      SetPageFlag(page, PG_lru);\n    }",
      ],
    ],
  ]),
  ...mutants("rmap", [
    [
      "remove_rmap_pmd_double",
      "a huge page whose last huge entry goes keeps the extra counts of its subpages",
      [
        "  const nr = compound_nr(head);\n  let unmapped = 0;\n  for (let i = 0; i < nr; i++)\n    if (atomic_add_negative(-1, page_word(nth_page(head, i), PAGE._mapcount))) unmapped++;",
        "  const nr = compound_nr(head);\n  const unmapped = 0;",
      ],
    ],
    [
      "folio_sub_large_mapcount",
      "the second address space's count of a folio is taken off the first's",
      [
        "    if (atomic_add_return(-diff, count1) >= 0) return;",
        "    if (atomic_add_return(-diff, count0) >= 0) return;",
      ],
    ],
  ]),
  ...mutants("migrate", [
    [
      "unmap_and_move",
      "a page of the page allocator's moves although somebody else holds it",
      [
        "move_to_new_page(fresh, page, folio_expected_ref_count(page) + 1);",
        "move_to_new_page(fresh, page, page_count(page));",
      ],
    ],
  ]),
  ...mutants("zone_offline", [
    [
      "isolate_movable_pages",
      "a page that could not be isolated does not keep its block online",
      ["    } else clean = false;", "    }"],
    ],
  ]),
];

export const MOVING: readonly Mutant[] = [...ENTRY, ...DEVICE, ...PAGEMAP, ...HOTPLUG, ...SPARSE, ...OTHERS];
