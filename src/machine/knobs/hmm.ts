/**
 * The knobs of HMM, notifiers, device memory and memory unplug. Versions name the kernel or commit that they
 * stand for; a knock-out is a step that every version has and that is removed to see whether it is needed.
 * What a knob does is where `config.<name>` is read.
 */

import { type Knob, knob, knockout, onOff } from "./knob.ts";

export const HMM_V5_6 = 0;
const HMM_V5_10 = 1;

/** do_swap_page() of a device-private entry. */
export const FAULT_NO_REF = 0;
const FAULT_REF = 1;
export const FAULT_TRYLOCK = 2;
export const FAULT_WAIT = 3;

/**
 * A step of the documented driver loop (Documentation/mm/hmm.rst) or of the callback, which no version leaves
 * out.
 */
const step = <Name extends string>(name: Name, title: string, off: string): Knob<Name> =>
  knockout(name, title, onOff("as documented (Documentation/mm/hmm.rst)", `knock-out: ${off}`));

export const HMM_KNOBS = [
  knob("mmuNotifier", 0, "address spaces can have notifiers", [
    { value: 0, name: "off", title: "CONFIG_MMU_NOTIFIER=n" },
    { value: 1, name: "on", title: "CONFIG_MMU_NOTIFIER=y" },
  ]),
  knob("hmm", HMM_V5_10, "form of hmm_range_fault()", [
    { value: HMM_V5_6, name: "v5.6", title: "before the rework of v5.7 and v5.8" },
    { value: HMM_V5_10, name: "v5.10", title: "v5.8 and later" },
  ]),
  knob(
    "hmmForeignFault",
    { "v5.10": 0, "v5.19": 1 },
    "hmm_range_fault() of another device's private page",
    onOff("faults it in (v5.19, 8a295dbbaf72)", "-EFAULT (to v5.18)"),
  ),
  knob(
    "hmmMixedMap",
    { "v5.10": 0, "v5.10.223": 1, "v5.17": 1 },
    "hmm_range_fault() of VM_MIXEDMAP areas",
    onOff("walks them (v5.17, 87c01d57fa23, and v5.10.y)", "refuses them (to v5.16)"),
  ),
  knob(
    "hmmTablesRcu",
    { "v5.10": 0, "v6.5": 1 },
    "hmm_range_fault() reads tables of PTEs under RCU",
    onOff("pte_offset_map() (v6.5, 0d940a9b270b)", "with no protection but the notifier (to v6.4)"),
  ),
  knob(
    "hmmPmdDevice",
    { "v5.10": 0, "v6.19": 1 },
    "huge entries of device-private memory",
    onOff("hmm_vma_handle_absent_pmd() (v6.19)", "there are none"),
  ),
  knob(
    "hmmPgmapCheck",
    0,
    "hmm_range_fault() looks up the dev_pagemap of device entries",
    onOff("to v5.6: -EBUSY if there is none alive", "v5.7, 068354ade5dd: no look-up"),
  ),
  knob(
    "hmmUnlockHole",
    1,
    "hmm_vma_walk_pud() drops its lock before it faults a hole",
    onOff("v5.7", "faults with the lock held (v5.6)"),
  ),
  knockout(
    "hmmCheckRetry",
    "hmm_range_fault() gives up early if the sequence has changed",
    onOff("mmu_interval_check_retry() (v5.5)", "knock-out: walks to the end"),
  ),
  step(
    "dmirrorReadBegin",
    "the driver waits for a running invalidation",
    "takes the sequence without waiting",
  ),
  step("dmirrorRetry", "the driver compares the sequence before it uses the frames", "uses them at once"),
  step("dmirrorLock", "the driver compares and updates under its lock", "without the lock"),
  step("dmirrorMmget", "the driver holds the address space (mmget_not_zero())", "does not"),
  step("dmirrorMmapLock", "the driver walks under mmap_lock", "walks without it"),
  step("dmirrorCallbackLock", "the callback takes the driver's lock", "without the lock"),
  step("dmirrorSetSeq", "the callback calls mmu_interval_set_seq()", "does not"),
  step(
    "dmirrorInvalidate",
    "the callback removes the device's entries",
    "leaves them (the notifier is ignored)",
  ),
  knob("dmirrorOwnSeq", 0, "the callback notes the sequence also of its own device's migrations", [
    { value: 0, name: "off", title: "it ignores them (lib/test_hmm.c, all versions)" },
    { value: 1, name: "on", title: "no version: what would close that race" },
  ]),
  knob(
    "dmirrorMapMigrated",
    1,
    "the driver maps pages that it has moved to the device before migrate_vma_finalize(), with no look at the sequence",
    [
      { value: 1, name: "on", title: "dmirror_migrate_finalize_and_map() (lib/test_hmm.c, all versions)" },
      {
        value: 0,
        name: "off",
        title: "no version: it forgets them before they move, and the device faults them in",
      },
    ],
  ),
  knob("dmirrorAsync", 0, "the device's accesses run on while its driver holds the lock", [
    { value: 0, name: "off", title: "whoever holds the lock has stopped the device (lib/test_hmm.c)" },
    { value: 1, name: "on", title: "callbacks remove the entries and wait for what is under way (GPUs)" },
  ]),
  knob("dmirrorTwoPass", 0, "the driver's callback is in two passes, where the core has these", [
    { value: 0, name: "off", title: "invalidate() (lib/test_hmm.c)" },
    {
      value: 1,
      name: "on",
      title: "invalidate_start() and, if the device is still at it, invalidate_finish() (v7.1)",
    },
  ]),
  step("dmirrorDrain", "the callback waits until the device has finished with the range", "returns at once"),
  knockout(
    "notifierBracket",
    "removing page-table entries is bracketed by notifier calls",
    onOff("all versions", "knock-out: entries go unannounced (as in J34, f268f6cf875f)"),
  ),
  knob(
    "notifierRemoveLocked",
    { "v5.10": 0, "v5.18": 1 },
    "mmu_interval_notifier_remove() looks under the lock whether it may return",
    onOff("v5.18, 319561669a59", "reads the sequence without the lock (v5.5 to v5.17)"),
  ),
  knob(
    "notifierPairing",
    { "v5.10": 0, "v5.12": 1 },
    "a start that fails is undone for the notifiers that had started",
    onOff("v5.12, c2655835fd8c", "they keep waiting for the end (to v5.11)"),
  ),
  knob(
    "notifierUndoTree",
    0,
    "a start that an old-style notifier refuses also ends the invalidation of the interval tree",
    [
      { value: 0, name: "off", title: "active_invalidate_ranges stays raised (v5.5 to v7.3)" },
      { value: 1, name: "on", title: "no version: docs/reports/mmu-notifier-nonblock.md" },
    ],
  ),
  knob(
    "notifierTwoPass",
    { "v5.10": 0, "v7.1": 1 },
    "interval notifiers can have two passes: all starts, then all finishes",
    onOff("v7.1, invalidate_start and invalidate_finish", "each is waited for in its turn (to v7.0)"),
  ),
  knockout(
    "daxSrcu",
    "kill_dev_dax() waits for faults that are running",
    onOff("synchronize_srcu(&dax_srcu) (all versions)", "knock-out: does not wait"),
  ),
  knob(
    "devicePrivateFault",
    { "v5.10": FAULT_NO_REF, "v6.1": FAULT_REF, "v6.15": FAULT_TRYLOCK, "v7.3": FAULT_WAIT },
    "what a CPU fault on a device-private entry holds while it calls the driver",
    [
      { value: FAULT_NO_REF, name: "none", title: "nothing (to v6.0)" },
      {
        value: FAULT_REF,
        name: "ref",
        title: "a page reference, taken under the page-table lock (v6.1, 16ce101db85d)",
      },
      { value: FAULT_TRYLOCK, name: "trylock", title: "and the page lock, by trylock (v6.15, 1afaeb8293c9)" },
      { value: FAULT_WAIT, name: "wait", title: "and who does not get the lock sleeps (b570f37a2ce4; v7.3)" },
    ],
  ),
  knob(
    "migrateInsertOwner",
    { "v5.10": 0, "v5.11": 1 },
    "what notifiers are told when a driver's page is put where nothing was mapped",
    onOff(
      "MMU_NOTIFY_MIGRATE with the driver's owner (observed in v6.1's source)",
      "MMU_NOTIFY_CLEAR, which the driver itself hears too (v5.10)",
    ),
  ),
  knob(
    "migrateFaultPage",
    1,
    "migration expects the faulting CPU's reference",
    onOff("args.fault_page (v6.1, 16ce101db85d)", "it does not: migration of a page that faults fails"),
  ),
  knob(
    "devicePrivateRef",
    { "v5.10": 0, "v6.1": 1 },
    "an allocated device-private page holds a pagemap reference",
    onOff("v6.1, 0dc45ca1ce18", "it does not (to v6.0)"),
  ),
  knob(
    "devicePrivateEvict",
    { "v5.10": 0, "v6.1": 1 },
    "the driver brings its private pages home before it gives its memory up",
    [
      {
        value: 1,
        name: "on",
        title: "once (v6.1, 249881232e14 for nouveau, dmirror_device_remove_chunks())",
      },
      {
        value: 2,
        name: "until-home",
        title: "and again whenever somebody else held a page meanwhile (no version)",
      },
      { value: 0, name: "off", title: "it does not (to v6.0)" },
    ],
  ),
  knob(
    "migrationWaitRef",
    { "v5.10": 1, "v5.19": 0 },
    "who waits for a migration holds a reference on the page",
    onOff("to v5.18", "waits without one (v5.19, ffa65753c431)"),
  ),
  knockout(
    "lruDrain",
    "offline_pages() drains the CPUs' LRU batches",
    onOff("lru_cache_disable(), lru_add_drain_all() before", "knock-out: batches keep their references"),
  ),
  knockout(
    "isolatedTest",
    "offline_pages() ends only when every frame is free",
    onOff("test_pages_isolated() (all versions)", "knock-out: a page without references is as good as free"),
  ),
  knockout(
    "offlineLock",
    "a frame walker holds the memory hotplug lock",
    onOff("get_online_mems()", "walks without it, as most do"),
  ),
  knob(
    "sectionUsageRcu",
    { "v5.10": 0, "v6.8": 1 },
    "memory_section->usage is freed after a grace period",
    onOff("v6.8, 5ec8e8ea8b77 and 82f0b6f041fa", "kfree() while pfn_valid() may read it (to v6.7)"),
  ),
  knob(
    "sectionTaint",
    { "v5.10": 0, "v5.12": 1 },
    "pfn_to_online_page() knows sections that are shared with device memory",
    onOff("SECTION_TAINT_ZONE_DEVICE (v5.12, 1f90a3477df3)", "takes device pages for RAM (to v5.11)"),
  ),
  knob("vmemmapRcu", 0, "struct pages are freed after a grace period", [
    { value: 0, name: "off", title: "at once (all versions)" },
    { value: 1, name: "on", title: "no version: what would protect walkers under RCU" },
  ]),
  knob(
    "hvoGracePeriod",
    { "v5.10": 0, "v6.11": 1 },
    "vmemmap optimisation waits for frame walkers before it remaps",
    onOff("synchronize_rcu() (v6.11, bd225530a4c7)", "remaps at once (to v6.10)"),
  ),
  knob(
    "vmemmapSplitLocked",
    { "v5.10": 0, "v6.1.176": 1, "v6.6": 1 },
    "vmemmap optimisation reads the PMD that it splits under the lock",
    onOff(
      "v6.6, 3ce2c24cb68f, and v6.1.y",
      "before (d8d55f5616cf): the PMD may be a table by the time that it is read",
    ),
  ),
  knob(
    "pgmapWaitLate",
    0,
    "memunmap_pages() removes the struct pages before it waits for the last reference",
    [
      { value: 0, name: "off", title: "waits first (v5.2, 50f44ee7248a)" },
      { value: 1, name: "on", title: "waits in a later action of the driver (41e94a851304, to v5.1)" },
    ],
  ),
  knob("delGendiskWaits", 0, "del_gendisk() waits until the request queue is not in use", [
    { value: 0, name: "off", title: "blk_cleanup_queue() does, after the pagemap has gone (v5.10)" },
    { value: 1, name: "on", title: "it does (as where zoo J48 was met, 3dd60fb9d95d)" },
  ]),
];

/** hmm_range_fault() of v5.6, on top of the preset v5.10. */
export const HMM_V5_6_SETTINGS = { hmm: HMM_V5_6, hmmPgmapCheck: 1, hmmUnlockHole: 0 };
