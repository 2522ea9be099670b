/**
 * Recorded sequences that our memory does not do as the kernel did, by kernel and family, in their order; why
 * stands in docs/status-replay.md. The list is exact: what agrees is not on it.
 */

export const DIFFERING: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "5.10.0-32": {
    ksm: ["ks-pinned", "ks-pin-merged", "ks-fork", "ks-thp"],
  },
  "6.1.0-56": {
    ksm: ["ks-pinned", "ks-pin-merged", "ks-fork", "ks-thp"],
  },
  "6.12.117": {
    ksm: ["ks-pinned", "ks-pin-merged", "ks-fork", "ks-thp"],
  },
  "7.3.4": {
    ksm: ["ks-pinned", "ks-pin-merged", "ks-fork", "ks-thp"],
  },
};
