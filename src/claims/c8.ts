/**
 * Claim C8: is HMM racy with memory unplug? Three kinds of memory are taken away (System RAM that goes
 * offline, device memory that is unbound, device-private memory whose driver leaves) while a mirror device, a
 * CPU fault or a frame walker looks at it; then the liveness of unplug, and the notifiers' own known races.
 * Each question lists the variants that decide it: a kernel's code before and after a fix, or with and
 * without the lock or reference that protects. The cells are data; exploring scenarios/unplug.ts decides
 * them. How each machine is laid out is in c8-boot.ts.
 *
 * Not covered: sub-sections of one section removed apart, hugetlb pages, memory notifiers' vetoes, hardware
 * that goes without warning.
 */

import { ARCHITECTURES } from "../machine/arch.ts";
import { findArch, type KnobSettings, type PresetName } from "../machine/config.ts";
import { REF_ATOMIC, REF_EXTERNAL } from "../machine/knobs/gup.ts";
import { FAULT_TRYLOCK, HMM_V5_6_SETTINGS } from "../machine/knobs/hmm.ts";
import { defineScenario, type Scenario, siblingModule } from "../machine/scenario.ts";
import {
  type Boot,
  bootFaultPrivate,
  bootGiveOut,
  bootHvo,
  bootLockHolder,
  bootLruBatch,
  bootMirrorDevice,
  bootMirrorPrivate,
  bootMirrorRam,
  bootMixedSection,
  bootNonblock,
  bootNonblockReader,
  bootNotifierInsert,
  bootNotifierRemove,
  bootOfflineFault,
  bootOfflineZap,
  bootOwnMirror,
  bootPfnValid,
  bootPfnWalker,
  bootPinned,
  bootPinnedForEver,
  bootPinnedSignal,
  bootPrivateZap,
  bootToDevice,
  bootTwoFaults,
} from "./c8-boot.ts";
import {
  bootFinalPut,
  bootLongtermPin,
  bootPagemapGet,
  bootPudFault,
  bootQueue,
  bootSplitVmemmap,
  bootTwoPass,
} from "./c8-boot-zoo.ts";
import type { Cell, CellModel, Knockout } from "./cells.ts";

interface Variant {
  readonly preset: PresetName;
  readonly knobs: KnobSettings;
  readonly title: string;
}

interface Question {
  readonly title: string;
  readonly boot: Boot;
  readonly variants: Readonly<Record<string, Variant>>;
  /** Mechanisms to take out of the variants that hold. */
  readonly knockouts: readonly (readonly [removed: string, title: string, knobs: KnobSettings])[];
}

const v = (preset: PresetName, title: string, knobs: KnobSettings = {}): Variant => ({
  preset,
  title,
  knobs,
});

const BRACKET = ["bracket", "entries are removed without telling notifiers", { notifierBracket: 0 }] as const;
const INVALIDATE = [
  "invalidate",
  "the callback leaves the device's entries and the sequence",
  { dmirrorInvalidate: 0, dmirrorSetSeq: 0 },
] as const;
const RETRY = ["read-retry", "the driver does not compare the sequence", { dmirrorRetry: 0 }] as const;
const MMAP_LOCK = ["mmap-lock", "the walk is not under mmap_lock", { dmirrorMmapLock: 0 }] as const;
const PAGE_REF = ["page-ref", "the fault holds no page reference", { devicePrivateFault: 0 }] as const;
const PAGEMAP_REF = [
  "pagemap-ref",
  "a used page holds no pagemap reference",
  { devicePrivateRef: 0 },
] as const;
const GRACE = [
  "ref-grace-period",
  "percpu_ref_kill() switches to atomic mode without a grace period",
  { percpuRefRcu: 0 },
] as const;

/** Pages are brought home however often it takes, so that the unbind ends whatever the others do. */
const EVICT: KnobSettings = { devicePrivateEvict: 2 };

/** Every question, by name: `WHAT GOES-WHO LOOKS`. */
const QUESTIONS: Readonly<Record<string, Question>> = {
  "ram-mirror": {
    title: "System RAM goes offline and is removed while a device mirrors it",
    boot: bootMirrorRam,
    variants: {
      // With a reference held by who waits, the move is tried again, and each try moves the sequence on: no
      // finite number of states. What that reference does to the offlining is the question offline-fault.
      "v5.10": v("v5.10", "v5.10, waiting for a migration without a reference", { migrationWaitRef: 0 }),
      "v7.3": v("v7.3", "v7.1 and later"),
    },
    knockouts: [BRACKET, INVALIDATE, RETRY, MMAP_LOCK],
  },
  "device-mirror": {
    title: "device memory is unbound while a device mirrors it",
    boot: bootMirrorDevice,
    variants: {
      "v5.10": v("v5.10", "mapped"),
      "v7.3": v("v7.3", "mapped"),
      "cold-v5.10": v("v5.10", "not yet faulted in"),
    },
    knockouts: [
      BRACKET,
      INVALIDATE,
      RETRY,
      ["dax-srcu", "kill_dev_dax() does not wait for running faults", { daxSrcu: 0 }],
    ],
  },
  "private-mirror": {
    title: "device-private memory goes while another device's hmm_range_fault() meets its entry",
    boot: bootMirrorPrivate,
    variants: {
      "v5.10": v("v5.10", "no RCU section around the walk", EVICT),
      "v6.1": v("v6.1", "the same with counting of v6.1", EVICT),
      "v7.3": v("v7.3", "page tables are walked under RCU (v6.5)", EVICT),
      "v7.3-atomic": v("v7.3", "and the pagemap's reference is atomic from the start", {
        ...EVICT,
        percpuRef: 1,
      }),
    },
    knockouts: [GRACE, PAGEMAP_REF],
  },
  "private-fault": {
    title: "device-private memory goes while a CPU faults on it (zoo J12, CVE-2022-3523)",
    boot: bootFaultPrivate,
    variants: {
      "v5.10": v("v5.10", "the fault holds nothing; pages are brought home before", {
        devicePrivateEvict: 1,
      }),
      "v5.18": v("v5.18", "the same with zero-based counting", { devicePrivateEvict: 1 }),
      "v6.1": v("v6.1", "the fault holds a page reference (16ce101db85d)"),
      "v7.3": v("v7.3", "and the page's lock; who does not get it sleeps (b570f37a2ce4)"),
      trylock: v("v7.3", "who does not get it comes again (v6.15, 1afaeb8293c9)", {
        devicePrivateFault: FAULT_TRYLOCK,
      }),
      "v6.1-no-evict": v("v6.1", "fixed fault, but the driver leaves pages behind", {
        devicePrivateEvict: 0,
      }),
    },
    knockouts: [
      PAGE_REF,
      PAGEMAP_REF,
      ["fault-page", "migration does not expect the fault's reference", { migrateFaultPage: 0 }],
    ],
  },
  "private-zap": {
    title: "device-private memory is brought home twice at a time while it is unmapped",
    boot: bootPrivateZap,
    variants: { "v6.1": v("v6.1", "v6.1"), "v7.3": v("v7.3", "v7.1 and later") },
    knockouts: [],
  },
  "private-own-mirror": {
    title: "a CPU fault brings a private page home while its own device mirrors it",
    boot: bootOwnMirror,
    variants: {
      "v6.1": v("v6.1", "the callback ignores its own device's migrations (lib/test_hmm.c)"),
      "v7.3": v("v7.3", "the same, with the page's lock"),
      noted: v("v7.3", "the callback notes the sequence of these too: no version", { dmirrorOwnSeq: 1 }),
    },
    knockouts: [],
  },
  "private-to-device": {
    title: "a page moves to its device's memory while it is unmapped",
    boot: bootToDevice,
    variants: {
      "v6.1": v("v6.1", "the driver maps it before migrate_vma_finalize() (lib/test_hmm.c)"),
      "v7.3": v("v7.3", "the same"),
      faulted: v(
        "v7.3",
        "the device faults it in, and notes the sequence of its own migrations: no version",
        {
          dmirrorOwnSeq: 1,
          dmirrorMapMigrated: 0,
        },
      ),
    },
    knockouts: [],
  },
  "private-give-out": {
    title: "a driver brings its frames home while it gives one out",
    boot: bootGiveOut,
    variants: {
      "v6.1": v("v6.1", "frames that are not in use count 0 (ef233450898f)"),
      "v7.3": v("v7.3", "the same"),
    },
    knockouts: [],
  },
  "ram-pfn-walker": {
    title: "struct pages are removed while a frame walker looks at one",
    boot: bootPfnWalker,
    variants: {
      none: v("v7.3", "the walker holds nothing, as most do", { offlineLock: 0 }),
      lock: v("v7.3", "the walker holds the memory hotplug lock"),
      rcu: v("v7.3", "walker under RCU, struct pages freed after a grace period: no version", {
        offlineLock: 0,
        vmemmapRcu: 1,
      }),
    },
    knockouts: [],
  },
  "ram-pfn-valid": {
    title: "a section is removed while pfn_valid() looks at it (zoo J09)",
    boot: bootPfnValid,
    variants: {
      "v5.10": v("v5.10", "usage is freed at once (to v6.7)"),
      "v6.12": v("v6.12", "usage is freed after a grace period (v6.8)"),
    },
    knockouts: [],
  },
  "mixed-pfn-walker": {
    title: "a frame walker meets device memory in a section that is online (zoo J21)",
    boot: bootMixedSection,
    variants: {
      "v5.10": v("v5.10", "pfn_to_online_page() takes it for System RAM (to v5.11)", { offlineLock: 0 }),
      "v5.18": v("v5.18", "it asks for a pagemap (v5.12)", { sectionTaint: 1, offlineLock: 0 }),
      "v5.18-bound": v("v5.18", "it asks, and the device stays bound", { sectionTaint: 1, offlineLock: 0 }),
    },
    knockouts: [["section-taint", "pfn_to_online_page() asks for no pagemap", { sectionTaint: 0 }]],
  },
  "hvo-pfn-walker": {
    title: "struct pages of a hugetlb page are shared while a frame walker takes a reference (zoo J23)",
    boot: bootHvo,
    variants: {
      "v6.1": v("v6.1", "remapped at once (to v6.10)"),
      "v6.12": v("v6.12", "remapped after a grace period (v6.11)"),
    },
    knockouts: [],
  },
  "offline-pin": {
    title: "memory goes offline while a page of it is pinned",
    boot: bootPinned,
    variants: { released: v("v7.3", "the pin is released some time") },
    knockouts: [],
  },
  "offline-zap": {
    title: "memory goes offline while a page of it is unmapped",
    boot: bootOfflineZap,
    variants: { "v5.10": v("v5.10", "to v5.18"), "v7.3": v("v7.3", "v7.1 and later") },
    knockouts: [["isolated-test", "a page that counts none is taken for free", { isolatedTest: 0 }]],
  },
  "offline-fault": {
    title: "memory goes offline while a CPU waits for its page to have moved (zoo J50)",
    boot: bootOfflineFault,
    variants: {
      "v5.10": v("v5.10", "with a reference on the page (to v5.18)"),
      "v7.3": v("v7.3", "without (ffa65753c431)"),
    },
    knockouts: [],
  },
  "offline-pin-for-ever": {
    title: "memory goes offline while a page of it is pinned until the offlining has ended",
    boot: bootPinnedForEver,
    variants: { "v7.3": v("v7.3", "no timeout in any version") },
    knockouts: [],
  },
  "offline-pin-signal": {
    title: "the same, and somebody sends a signal",
    boot: bootPinnedSignal,
    variants: { "v7.3": v("v7.3", "offline_pages() gives up with -EINTR") },
    knockouts: [],
  },
  "offline-lru-batch": {
    title: "memory goes offline while a page of it is on its way to the LRU in a CPU's batch",
    boot: bootLruBatch,
    variants: { "v7.3": v("v7.3", "batches are drained") },
    knockouts: [["lru-drain", "batches are not drained", { lruDrain: 0 }]],
  },
  "two-faults": {
    title: "two CPUs fault on one device-private page (zoo J46)",
    boot: bootTwoFaults,
    variants: {
      "v5.10": v("v5.10", "faults hold nothing"),
      "v6.1": v("v6.1", "each holds a reference"),
      "v7.3": v("v7.3", "the page's lock decides, and the other one sleeps"),
      trylock: v("v7.3", "the page's lock decides, and the other one comes again (v6.15, 1afaeb8293c9)", {
        devicePrivateFault: FAULT_TRYLOCK,
      }),
    },
    knockouts: [],
  },
  "walk-lock-holder": {
    title: "hmm_range_fault() meets a page whose lock is held by one who needs this CPU (zoo J47)",
    boot: bootLockHolder,
    variants: {
      trylock: v("v7.3", "it tries again at once (v6.15)", { devicePrivateFault: FAULT_TRYLOCK }),
      wait: v("v7.3", "it sleeps (v7.3, b570f37a2ce4)"),
    },
    knockouts: [],
  },
  "pud-fault": {
    title: "hmm_range_fault() faults behind a leaf of PUD level, which is unmapped (zoo J49)",
    boot: bootPudFault,
    variants: {
      "v5.6": v("v5.10", "the lock is held across the fault", HMM_V5_6_SETTINGS),
      "v5.7": v("v5.10", "the same walk, and the lock is dropped before", {
        ...HMM_V5_6_SETTINGS,
        hmmUnlockHole: 1,
      }),
      "v7.3": v("v7.3", "v7.1 and later"),
    },
    knockouts: [],
  },
  "offline-longterm-pin": {
    title: "memory goes offline while a page of it is pinned for long (zoo J20)",
    boot: bootLongtermPin,
    variants: {
      "v5.10": v("v5.10", "the page is pinned where it is (to v5.12)"),
      "v6.1": v("v6.1", "it is moved out of ZONE_MOVABLE first (d1e153fea2a8, v5.13)"),
    },
    knockouts: [],
  },
  "pagemap-get": {
    title: "somebody looks up a pagemap, whose reference is atomic from the start, while it goes (zoo J10)",
    boot: bootPagemapGet,
    variants: {
      "v5.18": v("v5.18", "the reference is freed before the pagemap leaves pgmap_array (to v5.19)", {
        percpuRef: REF_ATOMIC,
      }),
      "v6.1": v("v6.1", "after (1e57ffb6e3fd, v6.0)", { percpuRef: REF_ATOMIC }),
      "v5.18-percpu": v("v5.18", "before, but the reference is per-CPU: its grace period is enough"),
    },
    knockouts: [],
  },
  "pagemap-final-put": {
    title: "the last pin of a device page is dropped while its pagemap goes (zoo J11)",
    boot: bootFinalPut,
    variants: {
      "v5.1": v("v5.10", "struct pages go before the pins are waited for", { pgmapWaitLate: 1 }),
      "v5.10": v("v5.10", "after (50f44ee7248a, v5.2)"),
    },
    knockouts: [],
  },
  "pagemap-queue": {
    title: "a pmem device goes, whose pagemap may borrow its queue's reference (zoo J48)",
    boot: bootQueue,
    variants: {
      "v5.10": v("v5.10", "borrowed; del_gendisk() waits for nobody", { percpuRef: REF_EXTERNAL }),
      waits: v("v5.10", "borrowed; del_gendisk() waits until the queue is not used", {
        percpuRef: REF_EXTERNAL,
        delGendiskWaits: 1,
      }),
      "waits-own": v("v5.10", "a reference of its own (3dd60fb9d95d); del_gendisk() waits", {
        delGendiskWaits: 1,
      }),
    },
    knockouts: [],
  },
  "vmemmap-split": {
    title: "two CPUs split one huge mapping of the vmemmap (zoo J22)",
    boot: bootSplitVmemmap,
    variants: {
      "v6.1": v("v6.1", "the PMD is read without the lock (d8d55f5616cf)"),
      "v6.12": v("v6.12", "under the lock (3ce2c24cb68f)"),
    },
    knockouts: [],
  },
  "notifier-two-pass": {
    title: "a page is unmapped that two devices use which only waiting stops",
    boot: bootTwoPass,
    variants: {
      "v6.12": v("v6.12", "each callback waits in its turn"),
      "v7.3": v("v7.3", "all have started before the first is waited for (v7.1)", { dmirrorTwoPass: 1 }),
    },
    knockouts: [BRACKET, RETRY, ["drain", "nobody waits for what the devices are at", { dmirrorDrain: 0 }]],
  },
  "notifier-remove": {
    title: "an interval notifier is removed while an invalidation runs (zoo J07)",
    boot: bootNotifierRemove,
    variants: {
      "v5.10": v("v5.10", "to v5.17"),
      "v6.1": v("v6.1", "319561669a59, v5.18"),
    },
    knockouts: [],
  },
  "notifier-insert": {
    title: "an interval notifier is inserted and removed while an invalidation runs",
    boot: bootNotifierInsert,
    variants: {
      "v5.10": v("v5.10", "to v5.17"),
      "v6.1": v("v6.1", "v5.18"),
      "v6.1-miss": v("v6.1", "and the invalidation meets none that is in the tree"),
    },
    knockouts: [],
  },
  "notifier-nonblock": {
    title: "one of two notifiers refuses a start that may not sleep (zoo J08)",
    boot: bootNonblock,
    variants: { "v5.10": v("v5.10", "to v5.11"), "v6.1": v("v6.1", "c2655835fd8c, v5.12") },
    knockouts: [],
  },
  "notifier-nonblock-reader": {
    title: "the same, where an interval notifier covers the range and its driver reads the tables afterwards",
    boot: bootNonblockReader,
    variants: {
      "v5.10": v("v5.10", "the interval tree's invalidation is never ended (v5.5 to v7.3)"),
      "v7.3": v("v7.3", "the same"),
      ended: v("v7.3", "it is ended with the others: no version", { notifierUndoTree: 1 }),
    },
    knockouts: [],
  },
};

export interface UnplugConfig {
  readonly question: string;
  readonly variant: string;
}
export type UnplugCell = Cell<UnplugConfig>;

const MODELS: readonly CellModel[] = ["sc", "tso"];

let listed: readonly UnplugCell[] | undefined;

function allCells(): UnplugCell[] {
  const out: UnplugCell[] = [];
  for (const { name: arch, model: hardware } of ARCHITECTURES)
    for (const [question, q] of Object.entries(QUESTIONS))
      for (const variant of Object.keys(q.variants))
        for (const model of MODELS)
          out.push({
            id: ["C8", arch, question, variant, model].join("/"),
            claim: "C8",
            arch,
            model,
            weakerHardware: hardware === "lkmm",
            config: { question, variant },
            notApplicable: null,
            standard: model === (hardware === "tso" ? "tso" : "sc"),
          });
  return out;
}

/** Every cell of C8. */
export function cells(): readonly UnplugCell[] {
  listed ??= allCells();
  return listed;
}

/**
 * Equal for cells whose programs are the same: of an architecture only these facts enter the code of the
 * scenarios.
 */
export function programKey(cell: UnplugCell): string {
  const { tlbFlush, tableFree, syncOne, vmemmapFree } = findArch(cell.arch);
  return JSON.stringify([cell.config, cell.model, tlbFlush, tableFree, syncOne, vmemmapFree]);
}

function lookUp(cell: UnplugCell): { question: Question; variant: Variant } {
  const { question, variant } = cell.config;
  const q = Object.hasOwn(QUESTIONS, question) ? QUESTIONS[question] : undefined;
  const found = q !== undefined && Object.hasOwn(q.variants, variant) ? q.variants[variant] : undefined;
  if (q === undefined || found === undefined)
    throw new RangeError(`C8 has no question ${question} with variant ${variant}`);
  return { question: q, variant: found };
}

/** The cell as a scenario, with a mechanism removed if asked. */
export function scenario(cell: UnplugCell, knockout?: Knockout): Scenario {
  const { question, variant } = lookUp(cell);
  return defineScenario({
    name: knockout === undefined ? cell.id : `${cell.id}/without-${knockout.removed}`,
    title: `${question.title}: ${variant.title}, on ${findArch(cell.arch).title}`,
    module: siblingModule(import.meta.url, "./scenarios/unplug"),
    boot: () =>
      question.boot(cell.arch, variant.preset, { ...variant.knobs, ...knockout?.knobs }, cell.config.variant),
  });
}

/** What can be taken out of a cell. */
export function knockouts(cell: UnplugCell): readonly Knockout[] {
  return lookUp(cell).question.knockouts.map(([removed, title, knobs]) => ({
    removed,
    title,
    knobs,
    notApplicable: null,
  }));
}
