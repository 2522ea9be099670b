/**
 * The knobs that put code back that was mended before v5.10, or in every kernel that is replayed: for known
 * bugs (claims/zoo). Their first version is the fix's; "off" is in no preset.
 */

import { knob, onOff } from "./knob.ts";

export const HISTORY_KNOBS = [
  knob(
    "forkCopiesPinned",
    1,
    "fork copies pages that may be pinned for the child at once",
    onOff("v5.9, 70e806e4e645", "it shares them like any other (to v5.8)"),
  ),
  knob(
    "tryGetPageChecks",
    1,
    "taking a reference on a page asks whether its count has overflowed",
    onOff("v5.1, 8fde12ca79af", "it does not (to v5.0; CVE-2019-11487)"),
  ),
  knob(
    "swapSkipsPinned",
    1,
    "reclaim gives no place in swap to a page that may be pinned",
    onOff("v5.11, feb889fb40fa, and v5.10.y", "it does (to v5.10)"),
  ),
  knob(
    "cowReuseByCount",
    1,
    "a write fault reuses an anonymous page if nobody else has a reference",
    onOff("v5.9, 09854ba94c6a", "if nobody else maps it, whoever has a reference (to v5.8; CVE-2020-29374)"),
  ),
  knob(
    "longtermDrains",
    { "v5.10": 0, "v6.1.176": 1, "v6.12.117": 1, "v6.17": 1 },
    "a long-term pin drains the batches of pages on their way between LRU lists",
    onOff(
      "if a page has more references than its entries account for (v6.17, 98c6d259319e, and stable kernels)",
      "if a page is not on the LRU",
    ),
  ),
  knob(
    "longtermFastCheck",
    1,
    "fast GUP asks of every page whether it may be pinned for long",
    onOff("v5.7, df3a0a21b698", "of pages of a DAX device only (to v5.6)"),
  ),
];
