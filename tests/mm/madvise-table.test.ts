/**
 * madvise(): what each advice answers for each kind of area, by kernel, as the sources say (mm/madvise.c:
 * madvise_vma_behavior(), can_madv_lru_vma(), madvise_dontneed_free_valid_vma(), madvise_remove(),
 * madvise_behavior_valid()). Every area is writable, and its first page has been written.
 */

import { beforeAll, describe, expect, test } from "vitest";
import { Driver, RELEASES } from "../replay/driver.ts";

/** How to map each kind, as the trace format has it, and its pages. */
const KINDS = {
  anon: ["anon", "8"],
  locked: ["anon", "8"],
  shm: ["anon", "8", "shared=1"],
  hugetlb: ["hugetlb", "512"],
  hugetlbShared: ["hugetlb", "512", "shared=1"],
  memfd: ["memfd", "8"],
  dax: ["dax4k", "8", "dev=/dev/dax0.0"],
  pfn: ["drv", "8", "dev=pfn"],
  page: ["drv", "8", "dev=page"],
} as const;
type Kind = keyof typeof KINDS;

/** An answer in v5.10, v6.1, v6.12 and v7.3, or in all of them. */
type Answers = string | readonly [string, string, string, string];
const FROM_V6_1: Answers = ["EINVAL", "ok", "ok", "ok"];

const TABLE: Readonly<Record<string, Readonly<Record<Kind, Answers>>>> = {
  // madvise_dontneed_free_valid_vma(): not what is locked, nor frames; hugetlb from v5.18 on.
  dontneed: {
    ...all("ok"),
    locked: "EINVAL",
    pfn: "EINVAL",
    hugetlb: FROM_V6_1,
    hugetlbShared: FROM_V6_1,
  },
  // v5.18
  dontneed_locked: { ...all(FROM_V6_1), pfn: "EINVAL" },
  // madvise_free_single_vma(): "MADV_FREE works for only anon vma at the moment"
  free: { ...all("EINVAL"), anon: "ok" },
  // can_madv_lru_vma(): neither locked nor hugetlb nor frames.
  cold: { ...all("ok"), locked: "EINVAL", hugetlb: "EINVAL", hugetlbShared: "EINVAL", pfn: "EINVAL" },
  pageout: { ...all("ok"), locked: "EINVAL", hugetlb: "EINVAL", hugetlbShared: "EINVAL", pfn: "EINVAL" },
  // madvise_remove(): a file, shared and writable, that is no device.
  remove: {
    ...all("EINVAL"),
    shm: "ok",
    hugetlb: "EACCES",
    hugetlbShared: "ok",
    memfd: "EACCES",
    dax: "ENODEV",
    pfn: "ENODEV",
    page: "ENODEV",
  },
  // v5.14; check_vma_flags() refuses frames.
  popr: { ...all(FROM_V6_1), pfn: "EINVAL" },
  popw: { ...all(FROM_V6_1), pfn: "EINVAL" },
  dontfork: all("ok"),
  // VM_IO to v6.12; VM_SPECIAL, which hugetlb areas are (VM_DONTEXPAND), in v7.3.
  dofork: {
    ...all("ok"),
    pfn: "EINVAL",
    page: ["ok", "ok", "ok", "EINVAL"],
    hugetlb: ["ok", "ok", "ok", "EINVAL"],
    hugetlbShared: ["ok", "ok", "ok", "EINVAL"],
  },
  // "MADV_WIPEONFORK is only supported on anonymous memory."
  wipeonfork: { ...all("EINVAL"), anon: "ok", locked: "ok" },
  keeponfork: all("ok"),
  // ksm_madvise(): what cannot be merged is ignored.
  mergeable: all("ok"),
  unmergeable: all("ok"),
  willneed: all("ok"),
};

function all(answers: Answers): Record<Kind, Answers> {
  return Object.fromEntries(Object.keys(KINDS).map((k) => [k, answers])) as Record<Kind, Answers>;
}

describe.each(RELEASES.map((r, i) => [r, i] as const))("madvise() of %s", (release, column) => {
  let d: Driver;
  beforeAll(() => {
    d = new Driver(release, { devices: new Set(["dax0"] as const), driver: true });
  });
  test.each(Object.entries(TABLE))("%s answers for each kind of area as the source says", (advice, row) => {
    for (const [kind, map] of Object.entries(KINDS)) {
      const answers = row[kind as Kind];
      expect(d.run("map", "M", ...map)["ret"], kind).toBe(0);
      d.run("touch", "M", "0", "1", "w");
      if (kind === "locked") expect(d.run("mlock", "M", "0", "8")["ret"]).toBe(0);
      const result = d.run("madv", "M", "0", map[1], advice);
      expect(result["err"] ?? "ok", kind).toBe(typeof answers === "string" ? answers : answers[column]);
      d.run("cleanup");
    }
  });
});
