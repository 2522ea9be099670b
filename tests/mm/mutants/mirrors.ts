/**
 * Mutants of MMU notifiers, hmm_range_fault(), the faults of a mirrored area and the mirror device's
 * driver.
 */

import { type Mutant, mutants } from "./mutant.ts";

const NOTIFIER = mutants("mmu_notifier", [
  [
    "mn_itree_invalidate",
    "an invalidation that hits a notifier does not make the sequence odd",
    ["  if (ni !== 0) WRITE_ONCE(subs_seq(subs), READ_ONCE(subs_seq(subs)) | 1);\n", ""],
  ],
  [
    "mn_itree_inv_end",
    "the end of the first of two invalidations ends both",
    ["if (active !== 0 || !mn_itree_is_invalidating(subs)) {", "if (!mn_itree_is_invalidating(subs)) {"],
  ],
  [
    "mmu_interval_read_begin",
    "a reader does not wait for the invalidation that runs",
    ["  if (is_invalidating) smp_cond_load_acquire_ne(subs_seq(subs), seq);\n", ""],
  ],
  [
    "mmu_interval_read_retry",
    "a reader never has to read again",
    [
      "seq: number): boolean {\n  return READ_ONCE(ni + INTERVAL_NOTIFIER.invalidate_seq) !== seq;\n}\n/** A hint",
      "seq: number): boolean {\n  return READ_ONCE(ni + INTERVAL_NOTIFIER.invalidate_seq) === seq - 1;\n}\n/** A hint",
    ],
  ],
  [
    "mmu_notifier_invalidate_range_end",
    "the end of an invalidation is told to the old kind of notifiers only",
    ["  mn_itree_inv_end(subs);\n  mn_hlist_range_end(subs);", "  mn_hlist_range_end(subs);"],
  ],
  [
    "itree_overlap",
    "the last page of a notifier's range is not covered (off by one)",
    ["READ_ONCE(ni + INTERVAL_NOTIFIER.last) < start", "READ_ONCE(ni + INTERVAL_NOTIFIER.last) <= start"],
  ],
  [
    "mmu_interval_notifier_remove",
    "a removed notifier is not waited for while a callback may run",
    ["  if (seq !== 0) wait_seq_released(subs, seq);\n", ""],
  ],
  [
    "mmu_interval_notifier_remove",
    "a notifier is taken out of a frozen tree at once",
    [
      "      deferred_add(subs, ni);\n      seq = READ_ONCE(subs_seq(subs));",
      "      itree_remove(subs, ni);",
    ],
  ],
  [
    "mmu_interval_notifier_insert",
    "a notifier put in during an invalidation of something else does not freeze the tree",
    [
      "      WRITE_ONCE(subs_seq(subs), READ_ONCE(subs_seq(subs)) | 1);\n      itree_insert(subs, ni);",
      "      itree_insert(subs, ni);",
    ],
  ],
  [
    "mn_hlist_range_start",
    "notifiers that refused are ended with those that had started",
    [
      "    if (READ_ONCE(n + MMU_NOTIFIER.busy) === 0)\n      WRITE_ONCE(n + MMU_NOTIFIER.count",
      "    WRITE_ONCE(n + MMU_NOTIFIER.count",
    ],
  ],
]);

const DMIRROR = mutants("dmirror", [
  [
    "dmirror_interval_invalidate",
    "the driver drops its lock before it removes its entries",
    [
      "  if (config.dmirrorInvalidate) dmirror_do_update(dmirror, start, end);\n  if (config.dmirrorCallbackLock) spin_unlock(dmirror + DMIRROR.mutex);",
      "  if (config.dmirrorCallbackLock) spin_unlock(dmirror + DMIRROR.mutex);\n  if (config.dmirrorInvalidate) dmirror_do_update(dmirror, start, end);",
    ],
  ],
  [
    "dmirror_do_update",
    "the last entry of the range stays in the device's table (off by one)",
    [
      "for (let addr = from; addr < to; addr++) WRITE_ONCE",
      "for (let addr = from; addr < to - 1; addr++) WRITE_ONCE",
    ],
  ],
]);

const TEST_HMM = mutants("test_hmm", [
  [
    "dmirror_range_fault",
    "the sequence is taken after the tables have been read",
    ["    range[HMM_RANGE_SEQ] = take_sequence(notifier);\n", ""],
    [
      "    if (ret === -EBUSY) continue;\n",
      "    range[HMM_RANGE_SEQ] = take_sequence(notifier);\n    if (ret === -EBUSY) continue;\n",
    ],
  ],
  [
    "dmirror_fault",
    "the driver's lock is dropped before the frames are in its table",
    [
      "    dmirror_do_fault(dmirror, range, pfns);\n    if (config.dmirrorLock) spin_unlock(dmirror + DMIRROR.mutex);",
      "    if (config.dmirrorLock) spin_unlock(dmirror + DMIRROR.mutex);\n    dmirror_do_fault(dmirror, range, pfns);",
    ],
  ],
]);

const HMM = mutants("hmm", [
  [
    "hmm_vma_walk_ptes",
    "the RCU section of a walk that stops at an entry is not left",
    [
      "    if (config.hmmTablesRcu) rcu_read_unlock();\n    range[HMM_RANGE_LAST] = a;",
      "    range[HMM_RANGE_LAST] = a;",
    ],
  ],
  [
    "hmm_pte_need_fault",
    "a write is granted on an entry that is read-only",
    [
      "if ((req & HMM_PFN_REQ_WRITE) !== 0 && (cpu_flags & HMM_PFN_WRITE) === 0)\n    return",
      "if ((req & HMM_PFN_REQ_WRITE) !== 0 && (cpu_flags & HMM_PFN_VALID) === 0)\n    return",
    ],
  ],
  [
    "hmm_vma_handle_leaf",
    "frames of a leaf are told from its first one on, wherever the range begins",
    ["((pte_pfn(e) + offset + a - addr) << HMM_PFN_SHIFT)", "((pte_pfn(e) + a - addr) << HMM_PFN_SHIFT)"],
  ],
]);

const HMM_FAULT = mutants("hmm_fault", [
  [
    "do_anonymous_page",
    "a new page is mapped over what another fault has mapped meanwhile",
    ["if (ptep === 0 || !pte_none(ptep_get(ptep))) {", "if (ptep === 0) {"],
  ],
  [
    "wp_page_copy",
    "the copy is mapped although the entry has changed meanwhile",
    ["const same = ptep !== 0 && ptep_get(ptep) === old;", "const same = ptep !== 0;"],
  ],
  [
    "wp_page_copy",
    "the reference that kept the source alive is not put",
    ["  if (!pte_special(old)) put_page(from);\n  return 0;", "  return 0;"],
  ],
  [
    "do_device_private",
    "the reference on a device-private page is taken after the page-table lock was dropped",
    [
      "  get_page(page);\n  spin_unlock(mm + MM.page_table_lock);\n  const ret",
      "  spin_unlock(mm + MM.page_table_lock);\n  get_page(page);\n  const ret",
    ],
  ],
  [
    "do_device_private",
    "the device-private entry is not looked at again under the lock",
    [
      "  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);\n  spin_lock(mm + MM.page_table_lock);\n  const ptep = mm_find_pte(mm, addr);\n  if (ptep === 0 || ptep_get(ptep) !== e) {\n    spin_unlock(mm + MM.page_table_lock);\n    return 0;\n  }\n  if (config.devicePrivateFault",
      "  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);\n  spin_lock(mm + MM.page_table_lock);\n  if (config.devicePrivateFault",
    ],
  ],
  [
    "dev_dax_fault",
    "the SRCU section ends before the device's page is mapped",
    [
      "  if (READ_ONCE(READ_ONCE(dev + DEV_DAX.mapping) + ADDRESS_SPACE.alive) !== 0) {",
      "  const alive = READ_ONCE(READ_ONCE(dev + DEV_DAX.mapping) + ADDRESS_SPACE.alive);\n  srcu_read_unlock(kernel.dax_srcu, id);\n  if (alive !== 0) {",
    ],
    ["    ret = 0;\n  }\n  srcu_read_unlock(kernel.dax_srcu, id);", "    ret = 0;\n  }"],
  ],
]);

export const MIRRORS: readonly Mutant[] = [...NOTIFIER, ...DMIRROR, ...TEST_HMM, ...HMM, ...HMM_FAULT];
