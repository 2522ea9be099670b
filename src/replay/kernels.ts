/**
 * The kernels that recordings exist of: which preset of the mm code each is, and what surrounds mm there, as
 * far as a recording shows it: functions that the recording module could call, and users of GUP outside mm
 * (block layer, io_uring).
 */

import type { PresetName } from "../machine/config.ts";
import { EFAULT, EIO } from "../mm/errno.ts";
import { ReplayInputError } from "./reader.ts";

export interface KernelProfile {
  readonly preset: PresetName;
  /** pin_user_pages_fast_only() is exported (v5.8 to v6.4). */
  readonly pinFastOnly: boolean;
  /** FOLL_NOFAULT exists (v5.16). */
  readonly nofault: boolean;
  /** unpin_user_page_range_dirty_lock() exists (v5.13). */
  readonly unpinRange: boolean;
  /** memfd_pin_folios(), unpin_folios() and unpin_user_folio() are there (v6.11). */
  readonly folioPins: boolean;
  /**
   * /proc/PID/mem overrides protections for everybody (CONFIG_PROC_MEM_ALWAYS_FORCE), not for tracers only.
   */
  readonly procMemForces: boolean;
  /** memory_failure() signals the program that asked for it, not only for memory of DAX. */
  readonly poisonSignals: boolean;
  /** Direct I/O pins its pages (v6.3) instead of taking references. */
  readonly bioPins: boolean;
  /** Direct I/O on memory that GUP refuses ends with this error (v5.18: GUP's own). */
  readonly bioFault: number;
  /** io_uring: fixed buffers keep one pin per huge page (v6.12). */
  readonly uringCoalesces: boolean;
  /** io_uring: fixed buffers may be shmem (also observed in v5.10.y), or any file (v6.3). */
  readonly uringShmem: boolean;
  readonly uringFiles: boolean;
  /** The vmemmap of a compound pagemap is deduplicated (v5.19). */
  readonly vmemmapDedup: boolean;
  /** splithuge works: /sys/kernel/debug/split_huge_pages takes ranges (v5.13). */
  readonly splitHuge: boolean;
  /** Where a truncate of a file with pinned pages waits, as /proc/PID/wchan tells. */
  readonly layoutWchan: string;
  /**
   * The page type of hugetlb pages lies in the head's _mapcount (v6.11): what the recording shows as `map`.
   */
  readonly hugetlbMap: number;
  /** Fields of v6.5 and later are recorded: large, nrmapped. */
  readonly largeFields: boolean;
}

const V5_10: KernelProfile = {
  preset: "debian-5.10.223",
  pinFastOnly: true,
  nofault: false,
  unpinRange: false,
  folioPins: false,
  procMemForces: true,
  poisonSignals: false,
  bioPins: false,
  bioFault: -EIO,
  uringCoalesces: false,
  uringShmem: true,
  uringFiles: false,
  vmemmapDedup: false,
  splitHuge: false,
  layoutWchan: "0",
  hugetlbMap: 0,
  largeFields: false,
};
const V6_1: KernelProfile = {
  ...V5_10,
  bioFault: -EFAULT,
  preset: "debian-6.1.192",
  nofault: true,
  unpinRange: true,
  vmemmapDedup: true,
  splitHuge: true,
  layoutWchan: "ext4_break_layouts",
};
const V6_12: KernelProfile = {
  ...V6_1,
  preset: "debian-6.12.117",
  poisonSignals: true,
  pinFastOnly: false,
  folioPins: true,
  bioPins: true,
  uringCoalesces: true,
  uringFiles: true,
  hugetlbMap: (0xf4000000 | 0) + 1,
  largeFields: true,
};
const V7_3: KernelProfile = {
  ...V6_12,
  procMemForces: false,
  preset: "debian-7.3.4",
  layoutWchan: "ext4_wait_dax_page",
};

const PROFILES: readonly { readonly release: RegExp; readonly profile: KernelProfile }[] = [
  { release: /^5\.10\./, profile: V5_10 },
  { release: /^6\.1\./, profile: V6_1 },
  { release: /^6\.12\./, profile: V6_12 },
  { release: /^7\.3\./, profile: V7_3 },
];

/** The profile of a kernel by `uname -r`. Throws ReplayInputError for a kernel that we have no preset of. */
export function kernelProfile(release: string, where: string): KernelProfile {
  const found = PROFILES.find((p) => p.release.test(release));
  if (found === undefined)
    throw new ReplayInputError(
      `${where}: kernel "${release}" is unknown (known: 5.10.x, 6.1.x, 6.12.x, 7.3.x)`,
    );
  return found.profile;
}
