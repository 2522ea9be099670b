/**
 * The knobs of ordinary memory: faults, copy on write, fork, huge pages, swap, reverse map and slow GUP, by
 * kernel version or commit; "observed" is what recordings of Debian's kernels 5.10, 6.1, 6.12 and 7.3 show.
 */

import { knob, onOff } from "./knob.ts";

export const SECRETMEM_LRU = 1;
export const HUGETLB_DONTNEED_UP = 1;
export const P2PDMA_V6_2 = 1;
export const KSM_SKIPS_UNSTABLE = 2;
export const GUP_ARGS_COMMON = 2;

export const MM_KNOBS = [
  knob(
    "poisonKsm",
    { "v5.10": 0, "v6.4": 1 },
    "memory_failure() of a KSM page",
    onOff("it is unmapped everywhere (v6.4, 4248d0083ec5)", "-EBUSY, and nothing is unmapped (to v6.3)"),
  ),
  knob(
    "cowFreesSwap",
    { "v5.10": 0, "v5.14": 1 },
    "a page that nobody maps any more after copy on write leaves the swap cache",
    onOff("v5.14, f4c4a3f48480", "it stays there until reclaim finds it (to v5.13)"),
  ),
  knob(
    "ksmUnshares",
    { "v5.10": 0, "v6.2": 1 },
    "how a KSM page is replaced by a copy where it is to be unmerged",
    onOff("by an unsharing fault: the copy is read-only (v6.2, 6cce3314b928)", "by a write fault (to v6.1)"),
  ),
  knob(
    "ksmChecksumFirst",
    { "v5.10": 0, "v6.11": 1 },
    "ksmd asks first whether a page has changed since its last scan",
    onOff(
      "before it looks for a KSM page of the same contents (v6.11, ac90c56bbd01)",
      "afterwards (to v6.10)",
    ),
  ),
  knob(
    "ksmSmartScan",
    { "v5.10": 0, "v6.7": 1, "v7.3": KSM_SKIPS_UNSTABLE },
    "ksmd looks less often at pages that have found no partner",
    [
      { value: 0, name: "off", title: "it looks at all of them in every scan (to v6.6)" },
      { value: 1, name: "all", title: "also at those that were KSM pages before (v6.7, 5e924ff54d08)" },
      { value: KSM_SKIPS_UNSTABLE, name: "unstable", title: "but not at those (in the source of v7.3)" },
    ],
  ),
  knob(
    "gupOverflow",
    { "v5.10": 0, "v6.5": 1 },
    "get_user_pages_fast() of a range that reaches over the end of all addresses",
    onOff("-EOVERFLOW (v6.5, 9883c7f84053)", "0 (to v6.4)"),
  ),
  knob(
    "gupLockKillable",
    { "v5.10": 0, "v6.3": 1 },
    "slow GUP that takes mmap_lock itself gives up if its caller is killed",
    onOff("-EAGAIN (v6.3)", "waits, and finds the signal afterwards (to v6.2)"),
  ),
  knob(
    "pfnEexist",
    { "v5.10": 0, "v5.18": 1 },
    "slow GUP of an entry that has no struct page",
    onOff(
      "-EEXIST (v5.18, 65462462ffb2)",
      "-EFAULT for FOLL_GET; FOLL_PIN counts it and leaves its place in pages[] as it was (to v5.17)",
    ),
  ),
  knob(
    "follMlock",
    { "v5.10": 1, "v5.18": 0 },
    "how mlock() marks pages",
    onOff(
      "GUP does, of what it finds (FOLL_MLOCK; to v5.17)",
      "entries that map a page count (mlock_count; v5.18, b67bf49ce7aa, cea86fe246b6)",
    ),
  ),
  knob(
    "mlockLarge",
    { "v5.10": 0, "v6.7": 1 },
    "large folios that an area maps whole by PTEs are locked, and the reverse map leaves large ones alone",
    onOff("v6.7, dc68badcede4 and 1acbc3f93614", "only those that it maps by a PMD (to v6.6)"),
  ),
  knob(
    "mlockFullyMapped",
    { "v5.10": 0, "v7.3": 1 },
    "an entry, or a batch of them, that maps a large folio whole locks it",
    onOff(
      "observed in v7.3, in its source",
      "nothing but a walk does (v6.7 to v6.12), or only a PMD (to v6.6)",
    ),
  ),
  knob(
    "poisonHeldAnon",
    { "v5.10": 0, "v5.16": 1 },
    "memory_failure() of an anonymous page that somebody holds",
    onOff("succeeds (v5.16, dd0f230a0a80)", "-EBUSY, its entries are gone all the same (to v5.15)"),
  ),
  knob(
    "poisonShmemStays",
    { "v5.10": 0, "v5.16": 1 },
    "memory_failure() of a page of shmem",
    onOff("it stays in the page cache (v5.16, a76054266661)", "it leaves, and is read as zeroes (to v5.15)"),
  ),
  knob(
    "poisonHeldFails",
    { "v5.10": 0, "v6.1": 1 },
    "memory_failure() of a hugetlb page that somebody holds",
    onOff("-EBUSY (observed in v6.1)", "0 (observed in v5.10)"),
  ),
  knob(
    "poisonUnsplit",
    { "v5.10": 0, "v6.12": 1 },
    "memory_failure() of a huge page that cannot be split",
    onOff("-EHWPOISON (observed in v6.12, in its source)", "-EBUSY (to v6.1)"),
  ),
  knob(
    "uffdWpFiles",
    { "v5.10": 0, "v5.19": 1 },
    "userfaultfd's write-protection of shmem and hugetlb areas",
    onOff("v5.19, b1f9e876862d", "-EINVAL (to v5.18)"),
  ),
  knob(
    "uffdResets",
    { "v5.10": 0, "v6.0": 1 },
    "an area that leaves userfaultfd",
    onOff(
      "is no longer write-protected (v6.0, f369b07c8614)",
      "keeps its write-protected entries (to v5.19)",
    ),
  ),
  knob(
    "uffdPageProt",
    { "v5.10": 0, "v6.2": 1 },
    "what is mapped where userfaultfd write-protects",
    onOff(
      "read-only from the start; private pages become writable when they are resolved (v6.2, 51d3d5eb74ff)",
      "as elsewhere (to v6.1)",
    ),
  ),
  knob(
    "uffdMove",
    { "v5.10": 0, "v6.8": 1 },
    "UFFDIO_MOVE",
    onOff("v6.8, adef440691ba", "-EINVAL (to v6.7)"),
  ),
  knob(
    "udmabufPrefaults",
    { "v5.10": 0, "v6.13": 1 },
    "the first fault in a mapping of a udmabuf",
    onOff("maps all of it (v6.13, observed in v7.3)", "maps its page (to v6.12)"),
  ),
  knob(
    "doforkSpecial",
    { "v5.10": 0, "v7.3": 1 },
    "MADV_DOFORK of special areas that are not VM_IO",
    onOff("-EINVAL (observed in v7.3's source)", "0 (to v6.12)"),
  ),
  knob(
    "trackPfnCopy",
    { "v5.10": 1, "v6.15": 0 },
    "fork of a private VM_PFNMAP area whose first page was copied",
    onOff("fails (track_pfn_copy(), to v6.14)", "works (v6.15, dc84bc2aba85)"),
  ),
  knob(
    "coldClearsDevmap",
    { "v5.10": 1, "v6.5": 0 },
    "MADV_COLD and _PAGEOUT of a device's huge entry",
    onOff(
      "pmd_bad(), and cleared (pmd_trans_unstable(); to v6.4, observed in v5.10 and v6.1)",
      "left alone (v6.5, 0d940a9b270b)",
    ),
  ),
  knob(
    "hugetlbSplitPmd",
    { "v5.10": 0, "v6.15": 1 },
    "FOLL_SPLIT_PMD in a hugetlb area",
    onOff("-EOPNOTSUPP (v6.15)", "ignored (to v6.9; undefined from then on)"),
  ),
  knob(
    "faultCompleted",
    { "v5.10": 0, "v6.0": 1 },
    "a fault that is finished but has dropped mmap_lock",
    onOff("VM_FAULT_COMPLETED (v6.0, d92725256b4e)", "VM_FAULT_RETRY (to v5.19)"),
  ),
  knob(
    "mremapFlushLocked",
    1,
    "mremap() flushes the old addresses before it drops the locks of the page tables",
    onOff("v4.19, eb66ae030829", "afterwards (to v4.18; CVE-2018-18281)"),
  ),
  knob(
    "hugetlbMremap",
    { "v5.10": 0, "v5.16": 1 },
    "mremap() moves hugetlb mappings, and looks for the area first",
    onOff("v5.16, 550a7d60bd5e", "-EINVAL (to v5.15)"),
  ),
  knob(
    "dontunmapFiles",
    { "v5.10": 0, "v5.13": 1 },
    "mremap(MREMAP_DONTUNMAP) of mappings that are not anonymous",
    onOff("moved too (v5.13, a4609387859f)", "-EINVAL (v5.7 to v5.12)"),
  ),
  knob(
    "dontunmapUnlinks",
    { "v5.10": 0, "v6.0": 1 },
    "what mremap(MREMAP_DONTUNMAP) leaves behind as a whole is as if it had never had pages",
    onOff("v6.0, 1583aa278f52", "it keeps its anon_vma (to v5.19)"),
  ),
  knob(
    "dontunmapSplits",
    { "v5.10": 0, "v6.12": 1 },
    "mremap(MREMAP_DONTUNMAP) of a part of a locked area unlocks",
    onOff("that part (observed in v6.12.117, in its source)", "the whole area (to v6.1)"),
  ),
  knob(
    "mremapMany",
    { "v5.10": 0, "v6.17": 1 },
    "mremap() to a fixed address without another size moves several areas",
    onOff("v6.17, d23cb648e365", "-EFAULT if the range is not one area's (to v6.16)"),
  ),
  knob(
    "mremapMaySplit",
    { "v5.10": 0, "v5.11": 1 },
    "mremap() asks vm_ops->may_split before it moves a part of a mapping",
    onOff(
      "v5.11, 73d5e0629919",
      "a part that cannot be cut off stays where it was, and is mapped twice (to v5.10)",
    ),
  ),
  knob(
    "rfcShiftAsSize",
    1,
    "the RFC's callers pass a leaf's logarithm for its size (with gup rfc)",
    onOff("as posted on 8 December 2020", "repaired alone: the offset counts twice"),
  ),
  knob(
    "rfcDoubleOffset",
    1,
    "the RFC adds the offset to a page that contains it already (with gup rfc)",
    onOff("as posted on 8 December 2020", "repaired alone: no offset is added at all"),
  ),
  knob(
    "rfcSlowBatch",
    0,
    "slow GUP takes a device's large leaf with one grab, by a function of its own",
    onOff("the RFC's patch 9 of 8 December 2020; never merged", "page by page (gupSlowBatch: from v6.5)"),
  ),
  knob(
    "rfcReferencedEarly",
    1,
    "the RFC marks the page referenced before it holds a reference (with gup rfc)",
    onOff("as posted on 8 December 2020, and v5.10's own loop", "the head, after the grab"),
  ),
  knob(
    "dirtyFileMaps",
    { "v5.10": 0, "v7.3": 1 },
    "a read fault maps a dirty page of a writable file mapping dirty",
    onOff("observed in v7.3", "clean (to v6.12)"),
  ),
  knob(
    "migrateFailPages",
    { "v5.10": 0, "v5.17": 1 },
    "a huge page that cannot be migrated counts as all its pages",
    onOff("observed in v6.1", "as one (v5.10)"),
  ),
  knob(
    "hugetlbForkCopy",
    { "v5.10": 0, "v5.12": 1 },
    "fork copies hugetlb pages that may be pinned",
    onOff("v5.12, 4eae4efa2c29", "they are shared like others (to v5.11)"),
  ),
  knob(
    "lazyfreeStays",
    { "v5.10": 0, "v7.3": 1 },
    "a lazily freed page that is held but clean stays lazily freed",
    onOff("observed in v7.3", "it is backed by swap again (to v6.12)"),
  ),
  knob(
    "swapinCached",
    { "v5.10": 0, "v7.0": 1 },
    "swapping in from a fast device",
    onOff(
      "through the swap cache, the page alone, which leaves it dirty (observed in v7.3, in its source)",
      "past the swap cache if nobody else has the slot, else with those around it (v4.15 to v6.18)",
    ),
  ),
  knob(
    "swapoffKeepsUffd",
    { "v5.10": 0, "v5.19": 1 },
    "swapoff() maps a page that userfaultfd write-protects",
    onOff("write-protected (v5.19, 14a762dd1977)", "without that (to v5.18)"),
  ),
  knob(
    "reclaimSkipsPinned",
    { "v5.10": 0, "v6.3": 1 },
    "reclaim stops at a page that may be pinned once its entries are gone",
    onOff("v6.3, d824ec2a1546", "it is written, and stays for its reference (to v6.2)"),
  ),
  knob(
    "lazyfreeHuge",
    { "v5.10": 0, "v6.11": 1, "v6.12.117": 0, "v7.3": 0 },
    "reclaim drops a lazily freed huge page whole",
    onOff(
      "v6.11, 735ecdfaf4e8",
      "its entry is split first (to v6.10; v6.12.117 and v7.3.4 do not call the function that they have for it)",
    ),
  ),
  knob(
    "largePteBatch",
    { "v5.10": 0, "v6.9": 1 },
    "MADV_COLD, _PAGEOUT and _FREE of a large folio that PTEs map whole inside the range",
    onOff(
      "deal with it as one (v6.9, 98b32d296d95, 3931b871c494)",
      "split it, and end there if it cannot be (to v6.8)",
    ),
  ),
  knob(
    "madvPopulate",
    { "v5.10": 0, "v5.14": 1 },
    "MADV_POPULATE_READ and _WRITE",
    onOff("v5.14, 4ca9b3859dac", "-EINVAL (to v5.13)"),
  ),
  knob(
    "madvCollapse",
    { "v5.10": 0, "v6.1": 1 },
    "MADV_COLLAPSE",
    onOff("v6.1, 7d8faaf15545", "there is none (to v6.0)"),
  ),
  knob(
    "collapseNeedsWrite",
    { "v5.10": 1, "v6.18": 0 },
    "MADV_COLLAPSE of pages of which none is writable",
    onOff("-EINVAL (SCAN_PAGE_RO, to v6.17)", "collapses them (observed in v7.3, in its source)"),
  ),
  knob(
    "swapZeromap",
    { "v5.10": 0, "v6.12": 1 },
    "pages of zeroes are neither written to swap nor read",
    onOff("v6.12, 0ca0c24e3211", "as any other (to v6.11)"),
  ),
  knob(
    "swapinWritable",
    { "v5.10": 0, "v6.12": 1 },
    "a read fault maps an exclusive swapped page writable",
    onOff("observed in v6.12", "it maps it read-only (to v6.1)"),
  ),
  knob(
    "shmemSwapReadahead",
    { "v5.10": 1, "v6.15": 0 },
    "swapping a shmem page in reads the slots around its own into the swap cache",
    onOff("to v6.14", "from fast devices the page alone, past the swap cache (v6.15, 1dd44c0af4fc)"),
  ),
  knob(
    "splitUsesZeroPage",
    { "v5.10": 0, "v6.12": 1 },
    "splitting a huge page maps the zero page for subpages of zeroes",
    onOff("v6.12, b1f202060afe", "every subpage stays (to v6.11)"),
  ),
  knob(
    "migrationDirty",
    { "v5.10": 0, "v6.1": 1 },
    "migration entries remember that the entry was dirty",
    onOff("v6.1, 0d206b5d2e0d", "they do not (to v6.0)"),
  ),
  knob(
    "hugetlbForce",
    { "v5.10": 1, "v6.0": 0, "v7.3": 1 },
    "FOLL_FORCE may write to private hugetlb mappings",
    onOff("to v5.19, and again observed in v7.3", "refused, -EFAULT (v6.0, 1d8d14641fd9)"),
  ),
  knob(
    "hugetlbNofault",
    { "v5.10": 0, "v6.5": 1 },
    "FOLL_NOFAULT is obeyed in hugetlb areas",
    onOff("v6.5, 5502ea44f5ad", "the page is faulted in (to v6.4)"),
  ),
  knob(
    "gupZeroPages",
    0,
    "fast GUP of no pages walks on to the first entry that it must refuse",
    onOff("all kernels: the loop tests its end after the step", "returns 0 at once"),
  ),
  knob(
    "hugetlbDontneed",
    { "v5.10": 0, "v5.18": HUGETLB_DONTNEED_UP, "v6.1": 2 },
    "MADV_DONTNEED of hugetlb areas",
    [
      { value: 0, name: "off", title: "-EINVAL (to v5.17)" },
      { value: 1, name: "up", title: "of whole huge pages, the length rounded up (v5.18, 90e7e7f5ef3f)" },
      { value: 2, name: "down", title: "the length rounded down (v6.1, 8ebe0a5eaaeb)" },
    ],
  ),
  knob(
    "movePagesWalk",
    { "v5.10": 0, "v6.12": 1 },
    "how move_pages() looks its page up",
    onOff(
      "folio_walk: hugetlb pages by any subpage, -ENOENT for what is not there (v6.12, 7dff875c9436)",
      "follow_page(FOLL_DUMP): hugetlb pages by their head, -EFAULT for untouched anonymous memory (to v6.11)",
    ),
  ),
  knob(
    "movePagesCounts",
    { "v5.10": 0, "v5.17": 1 },
    "move_pages() returns how many pages were not moved",
    onOff("v5.17, 5d39a7ebc8be", "one too few (to v5.16)"),
  ),
  knob(
    "hugetlbForkLazy",
    { "v5.10": 0, "v6.0": 1 },
    "fork leaves shared hugetlb mappings to the child's faults",
    onOff("v6.0, bcd51a3c679d", "it copies their entries (to v5.19)"),
  ),
  knob(
    "hugetlbMkwriteAsks",
    { "v5.10": 0, "v7.3": 1 },
    "an entry of a hugetlb page is made writable",
    onOff(
      "only if the area is writable (observed in v7.3, in its source)",
      "also for fork's copy in an area that is not (observed in v6.1 and v6.12; a bug of theirs)",
    ),
  ),
  knob(
    "longtermFileCheck",
    { "v5.10": 0, "v6.5": 1 },
    "FOLL_LONGTERM writes to pages of files that track dirtying are refused",
    onOff("v6.5, 8ac268436e6d and a6e79df92e4a", "allowed (to v6.4)"),
  ),
  knob(
    "fsdaxCheckEarly",
    { "v5.10": 0, "v5.12": 1 },
    "FOLL_LONGTERM on fsdax is refused before anything is pinned",
    onOff("v5.12", "after pinning, what was pinned is released (to v5.11)"),
  ),
  knob(
    "longtermMigrates",
    { "v5.10": 0, "v5.13": 1 },
    "FOLL_LONGTERM moves pages out of ZONE_MOVABLE",
    onOff("v5.13, d1e153fea2a8", "only out of CMA (to v5.12)"),
  ),
  knob(
    "anonExclusive",
    { "v5.10": 0, "v5.19": 1 },
    "PG_anon_exclusive decides reuse, sharing and read-only pins of anonymous pages",
    onOff(
      "v5.19, 6c287605fd56 and a7f226604170",
      "the reference count decides (v5.9, 09854ba94c6a, to v5.18)",
    ),
  ),
  knob(
    "unshareLongterm",
    { "v5.10": 0, "v6.2": 1 },
    "read-only FOLL_LONGTERM pins in COW mappings break COW first",
    onOff("v6.2, 84209e87c696", "the page that is found is pinned (to v6.1)"),
  ),
  knob(
    "zeroPagePins",
    { "v5.10": 1, "v6.1.176": 0, "v6.5": 0 },
    "FOLL_PIN of the zero page is counted",
    onOff("counted (to v6.4)", "returned without a count (v6.5, c8070b787519, and v6.1.y)"),
  ),
  knob(
    "savedDirty",
    { "v5.10": 0, "v6.6": 1 },
    "a write-protected entry keeps its dirty bit apart",
    onOff("_PAGE_SAVED_DIRTY (x86, v6.6)", "in the hardware's dirty bit (to v6.5)"),
  ),
  knob(
    "splitKeepsDirty",
    { "v5.10": 0, "v6.12": 1 },
    "the PTEs of a split huge PMD are dirty if that was",
    onOff("observed in v6.12", "only the page is (to v6.1; 0ccf7f168e17 was reverted by 624a2c94f5b7)"),
  ),
  knob(
    "doubleMap",
    { "v5.10": 1, "v6.2": 0 },
    "PG_double_map: subpages of a compound page that is also mapped by a huge entry count one more",
    onOff("to v6.1", "v6.2, cb67f4282bf9"),
  ),
  knob(
    "largeMapcount",
    { "v5.10": 0, "v6.10": 1 },
    "large folios have _large_mapcount and _nr_pages_mapped",
    onOff("v6.2, cb67f4282bf9, and v6.10, 05c5323b2a34", "they have not"),
  ),
  knob(
    "largeMmIds",
    { "v5.10": 0, "v6.15": 1 },
    "large folios record which address spaces map them, so that a write fault can reuse them",
    onOff("v6.15", "a write fault copies from a large folio (to v6.14)"),
  ),
  knob(
    "hugeZeroWrite",
    { "v5.10": 0, "v6.13": 1 },
    "a write fault on the huge zero page allocates a huge page",
    onOff("v6.13", "it splits the PMD (to v6.12)"),
  ),
  knob(
    "hugeZeroSpecial",
    { "v5.10": 0, "v6.17": 1 },
    "the entry of the huge zero page is special",
    onOff("v6.17", "it is not"),
  ),
  knob(
    "gupSlowBatch",
    { "v5.10": 0, "v6.5": 1 },
    "slow GUP takes the references of a huge leaf at once",
    onOff("v6.5", "one subpage at a time (to v6.4)"),
  ),
  knob(
    "mprotectUpgrade",
    { "v5.10": 0, "v6.1": 1, "v6.2": 2 },
    "mprotect() makes entries of exclusive anonymous pages writable at once",
    [
      { value: 0, name: "off", title: "the next write faults (to v6.0)" },
      { value: 1, name: "dirty", title: "dirty PTEs only (v6.1, 64fe24a3e05e)" },
      {
        value: 2,
        name: "on",
        title: "clean PTEs and huge PMDs as well (v6.2, 6a56ccbcf6c6 and c27f479e4f5b)",
      },
    ],
  ),
  knob(
    "delayRmap",
    { "v5.10": 0, "v6.2": 1 },
    "a dirty file page's entry is uncounted after the TLB flush",
    onOff("v6.2, 5df397dec7c4", "before it (to v6.1)"),
  ),
  knob(
    "zapClearsLast",
    { "v5.10": 0, "v6.1": 1 },
    "zapping uncounts and puts the page of a device-private entry before it clears that",
    onOff("seen in v6.1", "after (v5.10)"),
  ),
  knob(
    "zapDrainsLru",
    { "v5.10": 1, "v7.3": 0 },
    "unmapping drains this CPU's LRU batches first",
    onOff("lru_add_drain() (to v6.12)", "it does not (seen in v7.3)"),
  ),
  knob(
    "exitMmapLock",
    { "v5.10": 0, "v5.19": 1 },
    "the end of an address space removes its mappings under mmap_lock",
    onOff("v5.19, bf3980c85212", "without (to v5.18)"),
  ),
  knob(
    "allocFrozen",
    { "v5.10": 0, "v7.3": 1 },
    "a page has no reference until the page allocator has made a compound page of it",
    onOff("the count is set last (seen in v7.3)", "first (to v6.12)"),
  ),
  knob("gatherBundle", 8, "entries of an mmu_gather's batch of pages", [
    { value: 8, name: "8", title: "MMU_GATHER_BUNDLE, what lies on the stack" },
    { value: 1, name: "1", title: "every page is flushed by itself, as a full batch is" },
  ]),
  knob(
    "tableOneRcu",
    { "v5.10": 0, "v7.3": 1 },
    "tlb_remove_table_one() waits for a grace period",
    onOff("tlb_remove_table_sync_rcu() (v7.3 without CONFIG_PT_RECLAIM)", "sends an IPI (to v6.12)"),
  ),
  knob("lruBatch", { "v5.10": 15, "v6.9": 31 }, "pages in a per-CPU batch on their way to the LRU", [
    { value: 15, name: "15", title: "PAGEVEC_SIZE (to v6.8)" },
    { value: 31, name: "31", title: "v6.9, 9cecde80aae0" },
  ]),
  knob(
    "secretmem",
    { "v5.10": 0, "v5.14": SECRETMEM_LRU, "v6.1.85": 2, "v6.9": 2 },
    "how fast GUP knows pages of memfd_secret(), which it must not take",
    [
      { value: 0, name: "off", title: "there is no memfd_secret() (to v5.13)" },
      {
        value: 1,
        name: "lru",
        title:
          "by their mapping, if they are on the LRU: not one in a batch on its way there (v5.14, 1507f51255c9)",
      },
      { value: 2, name: "mapping", title: "by their mapping (v6.9 and v6.1.85, 65291dcfcf89)" },
    ],
  ),
  knob(
    "pciP2pdma",
    { "v5.10": 0, "v6.2": P2PDMA_V6_2, "v6.3": 2 },
    "FOLL_PCI_P2PDMA, and mappings of peer-to-peer memory, which GUP takes with it only",
    [
      { value: 0, name: "off", title: "there is neither (to v6.1)" },
      { value: 1, name: "v6.2", title: "4003f107fa2e; with FOLL_LONGTERM an area is refused, -EOPNOTSUPP" },
      { value: 2, name: "v6.3", title: "with FOLL_LONGTERM the arguments are, -EINVAL (d64e2dbc33a1)" },
    ],
  ),
  knob(
    "fastNeedsMapping",
    { "v5.10": 0, "v6.10": 1, "v7.3": 0 },
    "fast GUP leaves small pages without a mapping, as a driver's are, to the slow path",
    onOff(
      "v6.10, f002882ca369 (with CONFIG_SECRETMEM)",
      "takes them (to v6.9; again in v7.3, but for long-term writes)",
    ),
  ),
  knob(
    "shadowStack",
    { "v5.10": 0, "v6.6": 1 },
    "user shadow stacks: areas that only calls and returns write (VM_SHADOW_STACK), and GUP only with FOLL_FORCE",
    onOff("x86, v6.6, with map_shadow_stack() (arch/x86/kernel/shstk.c)", "there are none (to v6.5)"),
  ),
  knob(
    "deviceCoherent",
    { "v5.10": 0, "v6.0": 1 },
    "drivers can have memory that the CPU reaches (MEMORY_DEVICE_COHERENT), which FOLL_LONGTERM moves out of the device",
    onOff("v6.0, f25cbb7a95a2 and 4af12d04b244", "there is no such memory (to v5.19)"),
  ),
  knob(
    "gupArgs",
    { "v5.10": 0, "v5.19": 1, "v6.3": GUP_ARGS_COMMON },
    "the arguments that the functions of the get and pin families refuse (mm/gup_args.ts)",
    [
      { value: 0, name: "v5.10", title: "each function has its own checks (to v5.18)" },
      { value: 1, name: "v5.19", title: "and no pin without an array of pages (0768c8de1b74)" },
      {
        value: 2,
        name: "v6.3",
        title: "is_valid_gup_args(), whose refusal is 0 from pin_user_pages() (d64e2dbc33a1)",
      },
    ],
  ),
  knob(
    "deviceDirty",
    { "v5.10": 0, "v5.18": 1 },
    "set_page_dirty() marks device pages",
    onOff(
      "observed in v6.1 and later",
      "the device's mapping has a set_page_dirty() that does nothing (v5.10)",
    ),
  ),
];
