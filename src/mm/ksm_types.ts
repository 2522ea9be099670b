/**
 * What KSM (mm/ksm.c) keeps: address spaces that asked for it, an item for each of their pages that ksmd has
 * seen, and the pages that are shared. Kept apart from ksm.ts for the reverse map, which finds a KSM page's
 * entries through its items.
 *
 * Custom: the stable and the unstable tree are lists. Which page is found is the same, since a tree holds no
 * two pages of the same contents but for the copies of one that is full, which are a chain in the kernel.
 */
"use kernel";

import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";
import { compound_head, PAGE, PAGE_MAPPING_KSM, type Page, PageKsm, page_to_pfn, page_word } from "./page.ts";

export type KsmMmSlot = Ptr<"ksm_mm_slot">;
export type KsmRmapItem = Ptr<"ksm_rmap_item">;
export type KsmStableNode = Ptr<"ksm_stable_node">;

/** Pools of kzalloc(). */
export const POOL_KSM_MM_SLOT = 36;
export const POOL_KSM_RMAP_ITEM = 37;
export const POOL_KSM_STABLE_NODE = 38;

/**
 * kernel.ksm: ksm_mm_head, root_stable_tree, root_unstable_tree, ksm_pages_sharing, ksm_pages_shared, and the
 * number of the scan (ksm_scan.seqnr).
 */
export const KSM = struct("ksm", ["mm_head", "stable", "unstable", "pages_sharing", "pages_shared", "seqnr"]);

/** An address space with areas that may be merged; rmap_list is in order of addresses. */
export const KSM_MM_SLOT = struct("ksm_mm_slot", ["next", "mm", "rmap_list"]);

/**
 * A page of an address space: in the unstable tree (node is the next, seqnr the scan that put it there), or
 * in the stable one (head is its node, hlist the next of that node's items).
 */
export const KSM_RMAP_ITEM = struct("ksm_rmap_item", [
  "rmap_list",
  "mm",
  "address",
  "flags",
  "oldchecksum",
  "node",
  "seqnr",
  "head",
  "hlist",
  "age",
  "remaining_skips",
]);
export const UNSTABLE_FLAG = 1;
export const STABLE_FLAG = 2;

/** A KSM page: its frame, and the items of the places where it is mapped. */
export const KSM_STABLE_NODE = struct("ksm_stable_node", ["next", "kpfn", "hlist", "rmap_hlist_len"]);

/** page_stable_node(): the node that a KSM page points to, 0 if it has none (any more). */
export function page_stable_node(page: Page): KsmStableNode {
  if (!PageKsm(page)) return 0;
  return READ_ONCE(page_word(compound_head(page), PAGE.mapping)) & ~PAGE_MAPPING_KSM;
}
/** folio_migrate_ksm(): the node of a KSM page that has moved finds it in its new frame. */
export function ksm_migrate_page(to: Page): void {
  const node = page_stable_node(to);
  if (node !== 0) WRITE_ONCE(node + KSM_STABLE_NODE.kpfn, page_to_pfn(to));
}
