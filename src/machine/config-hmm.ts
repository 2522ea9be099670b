/**
 * The knobs of HMM, notifiers, device memory and memory unplug: the part of config.ts that these subjects
 * own, kept apart for length. Versions name the kernel or commit that they stand for; a knock-out is a step
 * that every version has and that is removed to see whether it is needed. What a knob does is where
 * `config.<name>` is read.
 */

import type { Knob, KnobValue } from "./config.ts";

export const HMM_V5_6 = 0;
export const HMM_V5_10 = 1;
export const HMM_V7_1 = 2;

/** do_swap_page() of a device-private entry. */
export const FAULT_NO_REF = 0;
export const FAULT_REF = 1;
export const FAULT_TRYLOCK = 2;
export const FAULT_WAIT = 3;

/** The part of `config` that this file documents, at v5.10. */
export const HMM_CONFIG = {
  mmuNotifier: 0,
  hmm: HMM_V5_10 as number,
  hmmPgmapCheck: 0,
  hmmCheckRetry: 1,
  hmmUnlockHole: 1,
  dmirrorReadBegin: 1,
  dmirrorRetry: 1,
  dmirrorLock: 1,
  dmirrorCallbackLock: 1,
  dmirrorSetSeq: 1,
  dmirrorInvalidate: 1,
  dmirrorOwnSeq: 0,
  dmirrorMapMigrated: 1,
  dmirrorAsync: 0,
  dmirrorTwoPass: 0,
  dmirrorDrain: 1,
  dmirrorMmapLock: 1,
  dmirrorMmget: 1,
  notifierBracket: 1,
  notifierRemoveLocked: 0,
  notifierPairing: 0,
  notifierUndoTree: 0,
  notifierTwoPass: 0,
  daxSrcu: 1,
  devicePrivateFault: FAULT_NO_REF as number,
  migrateFaultPage: 1,
  devicePrivateRef: 0,
  devicePrivateEvict: 0,
  migrationWaitRef: 1,
  lruDrain: 1,
  offlineLock: 1,
  sectionUsageRcu: 0,
  sectionTaint: 0,
  vmemmapRcu: 0,
  hvoGracePeriod: 0,
  vmemmapSplitLocked: 0,
  pgmapWaitLate: 0,
  delGendiskWaits: 0,
};

const onOff = (on: string, off: string): readonly KnobValue[] => [
  { value: 1, name: "on", title: on },
  { value: 0, name: "off", title: off },
];

/**
 * A step of the documented driver loop (Documentation/mm/hmm.rst) or of the callback, which no version leaves
 * out.
 */
const step = (name: Knob["name"], title: string, off: string): Knob => ({
  name,
  title,
  knockout: true,
  values: onOff("as documented (Documentation/mm/hmm.rst)", `knock-out: ${off}`),
});

export const HMM_KNOBS: readonly Knob[] = [
  {
    name: "mmuNotifier",
    title: "address spaces can have notifiers",
    values: [
      { value: 0, name: "off", title: "CONFIG_MMU_NOTIFIER=n" },
      { value: 1, name: "on", title: "CONFIG_MMU_NOTIFIER=y" },
    ],
  },
  {
    name: "hmm",
    title: "form of hmm_range_fault()",
    values: [
      { value: HMM_V5_6, name: "v5.6", title: "before the rework of v5.7 and v5.8" },
      { value: HMM_V5_10, name: "v5.10", title: "v5.8 to v6.x" },
      { value: HMM_V7_1, name: "v7.1", title: "page tables under RCU, foreign device entries are faulted" },
    ],
  },
  {
    name: "hmmPgmapCheck",
    title: "hmm_range_fault() looks up the dev_pagemap of device entries",
    values: onOff("to v5.6: -EBUSY if there is none alive", "v5.7, 068354ade5dd: no look-up"),
  },
  {
    name: "hmmUnlockHole",
    title: "hmm_vma_walk_pud() drops its lock before it faults a hole",
    values: onOff("v5.7", "faults with the lock held (v5.6)"),
  },
  {
    name: "hmmCheckRetry",
    title: "hmm_range_fault() gives up early if the sequence has changed",
    knockout: true,
    values: onOff("mmu_interval_check_retry() (v5.5)", "knock-out: walks to the end"),
  },
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
  {
    name: "dmirrorOwnSeq",
    title: "the callback notes the sequence also of its own device's migrations",
    values: [
      { value: 0, name: "off", title: "it ignores them (lib/test_hmm.c, all versions)" },
      { value: 1, name: "on", title: "no version: what would close that race" },
    ],
  },
  {
    name: "dmirrorMapMigrated",
    title:
      "the driver maps pages that it has moved to the device before migrate_vma_finalize(), with no look at the sequence",
    values: [
      { value: 1, name: "on", title: "dmirror_migrate_finalize_and_map() (lib/test_hmm.c, all versions)" },
      {
        value: 0,
        name: "off",
        title: "no version: it forgets them before they move, and the device faults them in",
      },
    ],
  },
  {
    name: "dmirrorAsync",
    title: "the device's accesses run on while its driver holds the lock",
    values: [
      { value: 0, name: "off", title: "whoever holds the lock has stopped the device (lib/test_hmm.c)" },
      { value: 1, name: "on", title: "callbacks remove the entries and wait for what is under way (GPUs)" },
    ],
  },
  {
    name: "dmirrorTwoPass",
    title: "the driver's callback is in two passes, where the core has these",
    values: [
      { value: 0, name: "off", title: "invalidate() (lib/test_hmm.c)" },
      {
        value: 1,
        name: "on",
        title: "invalidate_start() and, if the device is still at it, invalidate_finish() (v7.1)",
      },
    ],
  },
  step("dmirrorDrain", "the callback waits until the device has finished with the range", "returns at once"),
  {
    name: "notifierBracket",
    title: "removing page-table entries is bracketed by notifier calls",
    knockout: true,
    values: onOff("all versions", "knock-out: entries go unannounced (as in J34, f268f6cf875f)"),
  },
  {
    name: "notifierRemoveLocked",
    title: "mmu_interval_notifier_remove() looks under the lock whether it may return",
    values: onOff("v5.18, 319561669a59", "reads the sequence without the lock (v5.5 to v5.17)"),
  },
  {
    name: "notifierPairing",
    title: "a start that fails is undone for the notifiers that had started",
    values: onOff("v5.12, c2655835fd8c", "they keep waiting for the end (to v5.11)"),
  },
  {
    name: "notifierUndoTree",
    title: "a start that an old-style notifier refuses also ends the invalidation of the interval tree",
    values: [
      { value: 0, name: "off", title: "active_invalidate_ranges stays raised (v5.5 to v7.3)" },
      { value: 1, name: "on", title: "no version: docs/reports/mmu-notifier-nonblock.md" },
    ],
  },
  {
    name: "notifierTwoPass",
    title: "interval notifiers can have two passes: all starts, then all finishes",
    values: onOff("v7.1, invalidate_start and invalidate_finish", "each is waited for in its turn (to v7.0)"),
  },
  {
    name: "daxSrcu",
    title: "kill_dev_dax() waits for faults that are running",
    knockout: true,
    values: onOff("synchronize_srcu(&dax_srcu) (all versions)", "knock-out: does not wait"),
  },
  {
    name: "devicePrivateFault",
    title: "what a CPU fault on a device-private entry holds while it calls the driver",
    values: [
      { value: FAULT_NO_REF, name: "none", title: "nothing (to v6.0)" },
      {
        value: FAULT_REF,
        name: "ref",
        title: "a page reference, taken under the page-table lock (v6.1, 16ce101db85d)",
      },
      { value: FAULT_TRYLOCK, name: "trylock", title: "and the page lock, by trylock (v6.15, 1afaeb8293c9)" },
      { value: FAULT_WAIT, name: "wait", title: "and who does not get the lock sleeps (b570f37a2ce4; v7.3)" },
    ],
  },
  {
    name: "migrateFaultPage",
    title: "migration expects the faulting CPU's reference",
    values: onOff(
      "args.fault_page (v6.1, 16ce101db85d)",
      "it does not: migration of a page that faults fails",
    ),
  },
  {
    name: "devicePrivateRef",
    title: "an allocated device-private page holds a pagemap reference",
    values: onOff("v6.1, 0dc45ca1ce18", "it does not (to v6.0)"),
  },
  {
    name: "devicePrivateEvict",
    title: "the driver brings its private pages home before it gives its memory up",
    values: [
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
  },
  {
    name: "migrationWaitRef",
    title: "who waits for a migration holds a reference on the page",
    values: onOff("to v5.18", "waits without one (v5.19, ffa65753c431)"),
  },
  {
    name: "lruDrain",
    title: "offline_pages() drains the CPUs' LRU batches",
    knockout: true,
    values: onOff(
      "lru_cache_disable(), lru_add_drain_all() before",
      "knock-out: batches keep their references",
    ),
  },
  {
    name: "offlineLock",
    title: "a frame walker holds the memory hotplug lock",
    knockout: true,
    values: onOff("get_online_mems()", "walks without it, as most do"),
  },
  {
    name: "sectionUsageRcu",
    title: "memory_section->usage is freed after a grace period",
    values: onOff("v6.8, 5ec8e8ea8b77 and 82f0b6f041fa", "kfree() while pfn_valid() may read it (to v6.7)"),
  },
  {
    name: "sectionTaint",
    title: "pfn_to_online_page() knows sections that are shared with device memory",
    values: onOff("SECTION_TAINT_ZONE_DEVICE (v5.12, 1f90a3477df3)", "takes device pages for RAM (to v5.11)"),
  },
  {
    name: "vmemmapRcu",
    title: "struct pages are freed after a grace period",
    values: [
      { value: 0, name: "off", title: "at once (all versions)" },
      { value: 1, name: "on", title: "no version: what would protect walkers under RCU" },
    ],
  },
  {
    name: "hvoGracePeriod",
    title: "vmemmap optimisation waits for frame walkers before it remaps",
    values: onOff("synchronize_rcu() (v6.11, bd225530a4c7)", "remaps at once (to v6.10)"),
  },
  {
    name: "vmemmapSplitLocked",
    title: "vmemmap optimisation reads the PMD that it splits under the lock",
    values: onOff(
      "3ce2c24cb68f",
      "before (d8d55f5616cf): the PMD may be a table by the time that it is read",
    ),
  },
  {
    name: "pgmapWaitLate",
    title: "memunmap_pages() removes the struct pages before it waits for the last reference",
    values: [
      { value: 0, name: "off", title: "waits first (v5.2, 50f44ee7248a)" },
      { value: 1, name: "on", title: "waits in a later action of the driver (41e94a851304, to v5.1)" },
    ],
  },
  {
    name: "delGendiskWaits",
    title: "del_gendisk() waits until the request queue is not in use",
    values: [
      { value: 0, name: "off", title: "blk_cleanup_queue() does, after the pagemap has gone (v5.10)" },
      { value: 1, name: "on", title: "it does (as where zoo J48 was met, 3dd60fb9d95d)" },
    ],
  },
];

/** hmm_range_fault() of v5.6, on top of the preset v5.10. */
export const HMM_CONFIG_V5_6: Readonly<Partial<typeof HMM_CONFIG>> = {
  hmm: HMM_V5_6,
  hmmPgmapCheck: 1,
  hmmUnlockHole: 0,
};
/** What changed by v6.1, and by v7.1, for the presets of config.ts. */
export const HMM_CONFIG_V6_1: Readonly<Partial<typeof HMM_CONFIG>> = {
  notifierRemoveLocked: 1,
  notifierPairing: 1,
  devicePrivateFault: FAULT_REF,
  devicePrivateRef: 1,
  devicePrivateEvict: 1,
  migrationWaitRef: 0,
  sectionTaint: 1,
};
export const HMM_CONFIG_V6_12: Readonly<Partial<typeof HMM_CONFIG>> = {
  ...HMM_CONFIG_V6_1,
  sectionUsageRcu: 1,
  hvoGracePeriod: 1,
  vmemmapSplitLocked: 1,
};
export const HMM_CONFIG_V7_1: Readonly<Partial<typeof HMM_CONFIG>> = {
  ...HMM_CONFIG_V6_12,
  hmm: HMM_V7_1,
  notifierTwoPass: 1,
  devicePrivateFault: FAULT_WAIT,
};
