/**
 * move_pages(), mlock(), mprotect() and munmap(): what each answers for each kind of page or area, by kernel,
 * as the sources say (mm/migrate.c: add_page_for_migration(), add_folio_for_migration(); mm/mlock.c:
 * mlock_fixup(), __mm_populate(); mm/mprotect.c, mm/mmap.c: a split off a huge page's boundary). Read in
 * v5.10, v6.1, v6.12, v7.3.
 */

import { beforeAll, describe, expect, test } from "vitest";
import { Driver, RELEASES } from "../replay/driver.ts";

/** An answer in v5.10, v6.1, v6.12 and v7.3, or in all of them. */
type Answers = string | readonly [string, string, string, string];
/** Steps of the main process, the last of which is asked about. */
type Row = readonly [what: string, steps: readonly string[], answers: Answers];

const TO_V6_1 = (early: string, late: string): Answers => [early, early, late, late];

const MOVE_PAGES: readonly Row[] = [
  ["a private page", ["map M anon 4", "touch M 0 1 w", "movepage M 0 1"], "node1"],
  ["one that is there already", ["map M anon 4", "touch M 0 1 w", "movepage M 0 0"], "node0"],
  // follow_page(FOLL_DUMP): -EFAULT for what is not there; then by folio_walk.
  ["an address that nobody has touched", ["map M anon 4", "movepage M 0 1"], TO_V6_1("EFAULT", "ENOENT")],
  ["the zero page", ["map M anon 4", "touch M 0 1 r", "movepage M 0 1"], "EFAULT"],
  ["no area", ["map M anon 4", "unmap M 1 1", "movepage M 1 1"], "EFAULT"],
  ["a page in swap", ["map M anon 4", "touch M 0 1 w", "madv M 0 1 pageout", "movepage M 0 1"], "ENOENT"],
  [
    "a page that is in the swap cache, since a child has its slot",
    ["map M anon 4", "touch M 0 1 w", "madv M 0 1 pageout", "fork c", "load M 0", "movepage M 0 1"],
    "node1",
  ],
  ["what a child maps, too", ["map M anon 4", "touch M 0 1 w", "fork c", "movepage M 0 1"], "EACCES"],
  ["a huge page that a child maps", ["map M thp 512", "touch M 0 1 w", "fork c", "movepage M 3 1"], "EACCES"],
  ["a huge page by any of its pages", ["map M thp 512", "touch M 0 1 w", "movepage M 3 1"], "node1"],
  ["a file's page in memory", ["map M memfd 4 shared=1", "touch M 0 1 w", "movepage M 0 1"], "node1"],
  ["a hugetlb page", ["map M hugetlb 512", "touch M 0 1 w", "movepage M 0 1"], "node1"],
  // "if (PageHead(page))": another of its pages keeps the -EACCES of the check before.
  [
    "another of its pages",
    ["map M hugetlb 512", "touch M 0 1 w", "movepage M 1 1"],
    TO_V6_1("EACCES", "node1"),
  ],
  ["a device's page", ["map M dax4k 8 dev=/dev/dax0.0", "touch M 0 1 w", "movepage M 0 1"], "EFAULT"],
  ["a driver's frame", ["map M drv 4 dev=pfn", "movepage M 0 1"], "EFAULT"],
  ["a driver's page", ["map M drv 4 dev=page", "movepage M 0 1"], "EBUSY"],
];

const AREAS: readonly Row[] = [
  ["mlock of private memory", ["map M anon 4", "mlock M 0 4"], "ok"],
  ["mlock of a hole", ["map M anon 4", "unmap M 1 1", "mlock M 0 4"], "ENOMEM"],
  ["mlock of what may not be accessed", ["map M anon 4 prot=n", "mlock M 0 4"], "ENOMEM"],
  ["mlock of hugetlb", ["map M hugetlb 512", "mlock M 0 512"], "ok"],
  ["mlock of a device", ["map M dax4k 8 dev=/dev/dax0.0", "mlock M 0 8"], "ok"],
  ["mlock of a driver's frames", ["map M drv 4 dev=pfn", "mlock M 0 4"], "ok"],
  ["mlock of a driver's pages", ["map M drv 4 dev=page", "mlock M 0 4"], "ok"],
  ["munlock of a hole", ["map M anon 4", "unmap M 1 1", "munlock M 0 4"], "ENOMEM"],
  ["mprotect of private memory", ["map M anon 4", "prot M 1 2 r"], "ok"],
  ["mprotect of a hole", ["map M anon 4", "unmap M 1 1", "prot M 0 4 r"], "ENOMEM"],
  ["mprotect of a part of a hugetlb page", ["map M hugetlb 512", "prot M 0 4 r"], "EINVAL"],
  ["mprotect of a whole one", ["map M hugetlb 1024", "prot M 0 512 r"], "ok"],
  ["mprotect of a part of a 2M device page", ["map M dax2m 1024 dev=/dev/dax1.0", "prot M 0 4 r"], "EINVAL"],
  ["mprotect of a driver's frames", ["map M drv 4 dev=pfn", "prot M 0 4 r"], "ok"],
  ["munmap of a hole", ["map M anon 4", "unmap M 1 1", "unmap M 1 1"], "ok"],
  ["munmap of a part of a hugetlb page", ["map M hugetlb 512", "unmap M 0 4"], "EINVAL"],
  ["munmap of a part of a huge page", ["map M thp 512", "touch M 0 1 w", "unmap M 0 4"], "ok"],
  ["munmap of a part of a 2M device page", ["map M dax2m 1024 dev=/dev/dax1.0", "unmap M 0 4"], "EINVAL"],
  ["munmap of a part of a 4K device", ["map M dax4k 8 dev=/dev/dax0.0", "unmap M 0 4"], "ok"],
  ["munmap of a driver's page", ["map M drv 4 dev=page", "unmap M 1 1"], "ok"],
];

describe.each(RELEASES.map((r, i) => [r, i] as const))("%s", (release, column) => {
  let d: Driver;
  beforeAll(() => {
    d = new Driver(release, { devices: new Set(["dax0", "dax1"] as const), driver: true });
  });
  test.each([
    ["move_pages()", MOVE_PAGES, "status"],
    ["mlock(), mprotect(), munmap()", AREAS, "err"],
  ] as const)("%s answer as the source says", (_, rows, field) => {
    for (const [what, steps, answers] of rows) {
      let answer: unknown;
      for (const step of steps) {
        const [op, ...args] = step.split(" ");
        answer = d.run(op as string, ...args)[field] ?? "ok";
      }
      expect(answer, what).toBe(typeof answers === "string" ? answers : answers[column]);
      d.run("cleanup");
    }
  });
});
