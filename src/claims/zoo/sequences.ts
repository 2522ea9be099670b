/**
 * Bugs that a sequence of system calls shows: each boots the process of process.ts and does in order what
 * threads.ts says. What fork, faults, reclaim and GUP do here is what recorded kernels are compared with.
 */

import { kernel } from "../../machine/config.ts";
import { mem } from "../../machine/memory.ts";
import type { ScenarioThread } from "../../machine/scenario.ts";
import { secretmem_file_create } from "../../mm/filemap.ts";
import { FOLL_LONGTERM } from "../../mm/gup_flags.ts";
import { lru_add_drain } from "../../mm/lru.ts";
import { VM_WRITE } from "../../mm/mm_types.ts";
import { PAGE, page_word, pfn_to_page } from "../../mm/page.ts";
import type { Boot } from "../c8-boot.ts";
import { found, inOrder, type ZooEntry } from "./entry.ts";
import { bootProcess, map, newFile, type ProcessSpec, RW, SHARED } from "./process.ts";
import {
  fork_and_pin,
  free_lazily_and_pin,
  pin_cma,
  pin_file,
  pin_for_reading,
  pin_fork_write,
  pin_pageout_write,
  pin_zero_page,
  splice_secret,
  splice_unmap_write,
  take_references,
  touch,
} from "./threads.ts";

const ADDR = 0;

/** A process with one page at ADDR, which does one thing. */
const alone =
  (
    run: ScenarioThread["run"],
    spec: Partial<ProcessSpec> = {},
    prepare: (mm: number) => readonly number[] = (mm) => {
      map(mm, ADDR);
      return [];
    },
  ): Boot =>
  (arch, preset, knobs) => {
    const mm = bootProcess({ arch, preset, knobs, ...spec });
    const more = prepare(mm);
    return { threads: [{ name: "process", run, args: [mm, ADDR, ...more] }] };
  };

const bootFork = alone(pin_fork_write);
const bootOverflow = alone(take_references, {}, (mm) => {
  map(mm, ADDR);
  // 2^32 - 1 references, all of them real.
  mem[page_word(touch(mm, ADDR, true), PAGE._refcount)] = -1;
  mem[kernel.lru_add] = 0;
  return [];
});
const bootSecret = alone(splice_secret, { secretmem: true }, (mm) => {
  map(mm, ADDR, SHARED, secretmem_file_create(1));
  return [];
});
const bootPageout = alone(pin_pageout_write, { swap: true });
const bootSplice = alone(splice_unmap_write);
const bootReadPin = alone(fork_and_pin);
const bootPrivateFile = alone(pin_for_reading, {}, (mm) => {
  map(mm, ADDR, RW, newFile());
  touch(mm, ADDR, false);
  return [FOLL_LONGTERM];
});
const bootCma = alone(pin_cma, { last: "cma" }, (mm) => {
  map(mm, ADDR);
  touch(mm, ADDR, true);
  lru_add_drain();
  return [];
});
const bootFile = alone(pin_file, {}, (mm) => {
  map(mm, ADDR, SHARED, newFile());
  return [];
});
const bootLazy = alone(free_lazily_and_pin, { last: "movable" }, (mm) => {
  map(mm, ADDR);
  touch(mm, ADDR, true);
  lru_add_drain();
  return [];
});
const bootZero = alone(pin_zero_page, {}, (mm) => {
  map(mm, ADDR, RW & ~VM_WRITE);
  mem[page_word(pfn_to_page(kernel.zero_pfn), PAGE._refcount)] = 0x7fffffff - 1000;
  return [];
});

export const SEQUENCES: readonly ZooEntry[] = [
  {
    id: "J04",
    commit: "70e806e4e645",
    title: "mm: Do early cow for pinned pages during fork() for ptes",
    before: inOrder(bootFork, "v5.10", { forkCopiesPinned: 0 }),
    after: inOrder(bootFork, "v5.10"),
    error: found("assertion", "process", "", "has lost the page"),
    what:
      "fork() shares every anonymous page with the child, read-only in both, also those that a device writes " +
      "to. The parent's next write gets a copy, since the child has the page as well; from then on the device " +
      "writes where nobody reads.",
    fix: "A page that may be pinned is copied for the child at once, and the parent's entry stays writable.",
  },
  {
    id: "J18",
    commit: "98c6d259319e",
    title: "mm/gup: check ref_count instead of lru before migration",
    before: inOrder(bootLazy, "v6.1", { longtermDrains: 0 }),
    after: inOrder(bootLazy, "v6.1", { longtermDrains: 1 }),
    error: found("assertion", "process", "", "cannot be pinned for long"),
    what:
      "A long-term pin moves a page out of movable memory. A page in a CPU's batch has one reference more, and " +
      "the batches were drained if it was not on the LRU; but a page that MADV_FREE has put into a batch is " +
      "on the LRU all the while. The move fails, and with it the pin, although nobody uses the page.",
    fix: "The batches are drained if the page has more references than its entries account for.",
  },
  {
    id: "J24",
    commit: "8fde12ca79af",
    title: "mm: prevent get_user_pages() from overflowing page refcount",
    cve: "CVE-2019-11487",
    before: inOrder(bootOverflow, "v5.10", { tryGetPageChecks: 0 }),
    after: inOrder(bootOverflow, "v5.10"),
    error: found("use-after-free", "process", "data[2]"),
    what:
      "Whoever takes 2^32 references on a page brings its count back to where it was. The next owner that lets " +
      "go frees it, and all those references point to a page that is somebody else's. With a bias of 1,024 " +
      "two million pins are enough.",
    fix: "No reference is given on a page whose count is zero or negative.",
  },
  {
    id: "J25",
    commit: "65291dcfcf89",
    title: "mm/secretmem: fix GUP-fast succeeding on secretmem folios when vmsplicing",
    before: inOrder(bootSecret, "v6.1"),
    after: inOrder(bootSecret, "v6.12"),
    error: found("assertion", "process", "", "secret memory"),
    what:
      "Pages of memfd_secret() are not in the kernel's own mapping, and GUP must not give them out. Fast GUP " +
      "asked their mapping only if they were on the LRU, to be quick; a page that was just faulted in is in a " +
      "CPU's batch on its way there.",
    fix: "The mapping is asked whether or not the page is on the LRU.",
  },
  {
    id: "J35",
    commit: "feb889fb40fa",
    title: "mm: don't put pinned pages into the swap cache",
    before: inOrder(bootPageout, "v5.10", { swapSkipsPinned: 0 }),
    after: inOrder(bootPageout, "v5.10"),
    error: found("assertion", "process", "", "has lost the page"),
    what:
      "Reclaim takes a pinned page for any other: it gets a place in swap and loses its entries, but cannot be " +
      "freed. The program reads it, which maps it read-only, and writes, which copies it, since others hold " +
      "references. The device keeps the old page.",
    fix: "A page that may be pinned gets no place in swap.",
  },
  {
    id: "J36",
    commit: "09854ba94c6a",
    title: "mm: do_wp_page() simplification",
    cve: "CVE-2020-29374",
    before: inOrder(bootSplice, "v5.10", { cowReuseByCount: 0 }),
    after: inOrder(bootSplice, "v5.10"),
    error: found("assertion", "process", "", "the child reads"),
    what:
      "After fork() a child splices a page of its parent's into a pipe and unmaps it. Now only the parent maps " +
      "it, and the parent's write reuses it in place; the child reads from the pipe what its parent writes. " +
      "17839856fd58 made such reads break COW first, which had costs of its own.",
    fix: "A page is reused only if nobody else has a reference, mapped or not.",
  },
  {
    id: "J39",
    commit: "df3a0a21b698",
    title: "mm/gup: fix omission of check on FOLL_LONGTERM in gup fast path",
    before: inOrder(bootCma, "v5.10", { longtermFastCheck: 0 }),
    after: inOrder(bootCma, "v5.10"),
    error: found("assertion", "process", "", "pinned for long"),
    what:
      "A page of a CMA area must not be pinned for long, since the area is wanted whole some time. Fast GUP " +
      "refused FOLL_LONGTERM for pages of DAX devices only; all others it pinned where they were.",
    fix: "The one place where fast GUP takes a pin asks, whatever mapped the page.",
  },
  {
    id: "J40",
    commit: "a6e79df92e4a",
    title: "mm/gup: disallow FOLL_LONGTERM GUP-fast writing to file-backed mappings",
    before: inOrder(bootFile, "v6.1"),
    after: inOrder(bootFile, "v6.12"),
    error: found("assertion", "process", "", "wants to see every write"),
    what:
      "A page of a file is mapped writable, of which its file system was told. A device that pins it for long " +
      "goes on writing when writeback has cleaned the page and protected the entry; it becomes dirty without " +
      "the file system's knowledge, which has lost blocks and crashed.",
    fix: "Such pins are refused but for anonymous memory, hugetlb and shmem, whose pages nobody writes back so.",
  },
  {
    id: "H1",
    commit: "a7f226604170",
    title: "mm/gup: trigger FAULT_FLAG_UNSHARE when R/O-pinning a possibly shared anonymous page",
    before: inOrder(bootReadPin, "v5.18"),
    after: inOrder(bootReadPin, "v6.1"),
    error: found("assertion", "process", "", "the device reads another page"),
    what:
      "After fork() a process pins a page for reading, and then writes to it. The page is shared with the " +
      "child, so that the write gets a copy: the device reads what was there before, for ever.",
    fix: "A page that is not exclusive to the process is copied before it is pinned for reading.",
  },
  {
    id: "H2",
    commit: "84209e87c696",
    title: "mm/gup: reliable R/O long-term pinning in COW mappings",
    before: inOrder(bootPrivateFile, "v6.1"),
    after: inOrder(bootPrivateFile, "v6.12"),
    error: found("assertion", "process", "", "the device reads another page"),
    what:
      "A private mapping of a file shows the page cache's page until it is written to. Pinned for long for " +
      "reading before that, the device keeps the file's page, and never sees what the process writes into its " +
      "own copy.",
    fix: "COW is broken before a page of such a mapping is pinned for long.",
  },
  {
    id: "H3",
    commit: "c8070b787519",
    title: "mm: Don't pin ZERO_PAGE in pin_user_pages()",
    before: inOrder(bootZero, "v6.1"),
    after: inOrder(bootZero, "v6.12"),
    error: found("assertion", "process", "", "the zero page"),
    what:
      "Untouched anonymous memory that is read is the zero page, the same one for everybody. A pin adds 1,024 " +
      "to its count: two million pins, of any processes together, and the count overflows, after which nobody " +
      "can take a reference on it.",
    fix: "The zero page is returned without being counted, since it never goes away.",
  },
];
