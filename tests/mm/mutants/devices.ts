/**
 * Mutants of device memory: pagemaps and their references, the last put of a page, the unbind of a
 * device.
 */

import { type Mutant, mutants } from "./mutant.ts";

const PERCPU_REF = mutants("percpu-refcount", [
  [
    "percpu_ref_put_many",
    "a put asks only whether the ref is dead, and counts on freed counters once it is atomic",
    [
      "  if ((ptr & __PERCPU_REF_ATOMIC_DEAD) === 0) this_cpu_add(ptr, -nr);",
      "  if ((ptr & __PERCPU_REF_DEAD) === 0) this_cpu_add(ptr, -nr);",
    ],
  ],
  [
    "__percpu_ref_switch_to_atomic",
    "the counters are folded without waiting for a grace period",
    ["if (config.percpuRefRcu) call_rcu(ref, percpu_ref_switch_to_atomic_rcu);\n  else ", ""],
  ],
  [
    "__percpu_ref_switch_to_atomic",
    "no reference is held until the counters have been folded",
    [
      "  atomic_add(1, percpu_ref_data_count(ref));\n  if (config.percpuRefRcu)",
      "  if (config.percpuRefRcu)",
    ],
  ],
  [
    "percpu_ref_switch_to_atomic_rcu",
    "the bias is not taken off when the counters are folded",
    [
      "atomic_add((count - PERCPU_COUNT_BIAS) | 0, percpu_ref_data_count(ref));",
      "atomic_add(count | 0, percpu_ref_data_count(ref));",
    ],
  ],
  [
    "percpu_ref_switch_to_atomic_rcu",
    "the first CPU's counter is left out of the sum",
    [
      "for (let cpu = 0; cpu < kernel.nr_cpus; cpu++) count = (count + READ_ONCE(counters + cpu)) | 0;",
      "for (let cpu = 1; cpu < kernel.nr_cpus; cpu++) count = (count + READ_ONCE(counters + cpu)) | 0;",
    ],
  ],
  [
    "percpu_ref_tryget_live",
    "a live reference is given although the ref was killed",
    ["else if ((load(percpu_count_ptr(ref)) & __PERCPU_REF_DEAD) === 0)\n    got", "else got"],
  ],
]);

const PGMAP = mutants("pgmap", [
  [
    "get_dev_pagemap",
    "the pagemap is looked up outside an RCU section",
    ["  rcu_read_lock();\n  let found", "  let found"],
    ["  rcu_read_unlock();\n", ""],
  ],
  [
    "get_dev_pagemap",
    "a frame just behind the pagemap counts as the pagemap's",
    [
      "pfn < first + READ_ONCE(pgmap + DEV_PAGEMAP.nr)) return pgmap;",
      "pfn <= first + READ_ONCE(pgmap + DEV_PAGEMAP.nr)) return pgmap;",
    ],
  ],
]);

const MEMREMAP = mutants("memremap", [
  [
    "memunmap_pages_finish",
    "the struct pages go before the pagemap's references have gone",
    [
      "  dev_pagemap_cleanup(pgmap);\n  pageunmap_range(pgmap);\n  if (config.pgmapExitLate",
      "  pageunmap_range(pgmap);\n  dev_pagemap_cleanup(pgmap);\n  if (config.pgmapExitLate",
    ],
  ],
  [
    "memunmap_pages_begin",
    "the first page's share of the pagemap is not dropped (off by one)",
    ["for (let i = 0; i < nr; i += step) put_page(", "for (let i = step; i < nr; i += step) put_page("],
  ],
  [
    "memunmap_pages_begin pfn_len",
    "the pages' shares of the pagemap are dropped twice",
    [
      "} else if (pages_hold_refs(pgmap)) percpu_ref_put_many(ref, pfn_len(pgmap));",
      "} else if (pages_hold_refs(pgmap)) percpu_ref_put_many(ref, 2 * pfn_len(pgmap));",
    ],
  ],
  [
    "pgmap_array_delete pageunmap_range",
    "the last slot of the pagemap stays in the array",
    [
      "slot <= pgmap_slot(last); slot++) rcu_assign_pointer(slot, value);",
      "slot < pgmap_slot(last); slot++) rcu_assign_pointer(slot, value);",
    ],
  ],
  [
    "pageunmap_range",
    "the linear map of the device's memory is taken away twice, its struct pages not at all",
    [
      "  vmemmap_free(start, nr, READ_ONCE(pgmap + DEV_PAGEMAP.vmemmap_shift));\n  kfree(linear_map(pgmap));",
      "  kfree(linear_map(pgmap));\n  kfree(linear_map(pgmap));",
    ],
  ],
]);

const DEVICE_PAGE = mutants("device_page", [
  [
    "free_device_page",
    "page->pgmap is read after the pagemap reference was put",
    [
      "  if (config.devicePrivateRef) put_dev_pagemap(pgmap);\n",
      "  if (config.devicePrivateRef) {\n    put_dev_pagemap(pgmap);\n    READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.type);\n  }\n",
    ],
  ],
  [
    "free_device_page",
    "the pagemap reference of a used page is put before the driver has the page back",
    [
      "  dmirror_devmem_free(page, pgmap);\n  if (config.pgmapRefcounting",
      "  if (config.devicePrivateRef) put_dev_pagemap(pgmap);\n  dmirror_devmem_free(page, pgmap);\n  if (config.devicePrivateRef) return;\n  if (config.pgmapRefcounting",
    ],
  ],
  [
    "alloc_device_page",
    "a page is given out without a reference on its pagemap",
    ["    if (!percpu_ref_tryget_live(READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.ref))) return 0;\n", ""],
  ],
  [
    "dmirror_devmem_free",
    "the lock of the free list is dropped before the count of free frames is written",
    [
      "  WRITE_ONCE(mdevice + DMIRROR_DEVICE.nr_free, nr + 1);\n  spin_unlock(mdevice + DMIRROR_DEVICE.lock);",
      "  spin_unlock(mdevice + DMIRROR_DEVICE.lock);\n  WRITE_ONCE(mdevice + DMIRROR_DEVICE.nr_free, nr + 1);",
    ],
  ],
]);

const SWAP = mutants("swap", [
  [
    "put_page_refs",
    "all references but none for the last put are dropped (off by one)",
    [
      "    if (refs > 1) page_ref_sub(head, refs - 1);\n    put_page(head);",
      "    if (refs > 1) page_ref_sub(head, refs);\n    put_page(head);",
    ],
  ],
  [
    "free_zone_device_page",
    "an idle device page is left with a count of zero",
    [
      "  if (!config.pteRef) WRITE_ONCE(page_word(page, PAGE.mapping), 0);\n  set_page_count(page, 1);",
      "  if (!config.pteRef) WRITE_ONCE(page_word(page, PAGE.mapping), 0);",
    ],
  ],
  [
    "put_devmap_managed_page",
    "an fsdax page that becomes idle is freed, not the one whose count is zero",
    [
      "  else if (count === 0 && config.pgmapRefcounting === REFCOUNT_ONE_BASED) __put_page(head);",
      "  if (count === 1 && config.pgmapRefcounting === REFCOUNT_ONE_BASED) __put_page(head);",
    ],
  ],
  [
    "__put_page",
    "the last put of a device page does not give the pagemap's reference back",
    [
      "if (config.pgmapRefcounting === REFCOUNT_ONE_BASED) put_dev_pagemap(page_pgmap(head));\n    else free",
      "if (config.pgmapRefcounting !== REFCOUNT_ONE_BASED) free",
    ],
  ],
]);

const DAX = mutants("dax", [
  [
    "kill_dev_dax",
    "the device is marked dead after the grace period for faults, not before",
    ["  WRITE_ONCE(dax_alive_word(dev_dax), 0);\n", ""],
    [
      "  if (!config.unbindUnmaps) return;\n",
      "  WRITE_ONCE(dax_alive_word(dev_dax), 0);\n  if (!config.unbindUnmaps) return;\n",
    ],
  ],
  [
    "wait_pages_idle",
    "the first page is not waited for (off by one)",
    [
      "for (let i = 0; i < nr; i += step) smp_cond_load_acquire_eq",
      "for (let i = step; i < nr; i += step) smp_cond_load_acquire_eq",
    ],
  ],
  [
    "dev_dax_unbind",
    "the struct pages go before the mappings",
    [
      "  dev_dax_unbind_begin(dev_dax);\n  dev_dax_unbind_finish(dev_dax);",
      "  memunmap_pages_begin(READ_ONCE(dev_dax + DEV_DAX.pgmap));\n  dev_dax_unbind_finish(dev_dax);\n  kill_dev_dax(dev_dax);",
    ],
  ],
]);

export const DEVICES: readonly Mutant[] = [
  ...PERCPU_REF,
  ...PGMAP,
  ...MEMREMAP,
  ...DEVICE_PAGE,
  ...SWAP,
  ...DAX,
];
