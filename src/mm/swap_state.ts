/**
 * Swap slots and the swap cache (mm/swap_state.c, mm/swapfile.c), on a device that reads and writes at once (zram,
 * SWP_SYNCHRONOUS_IO). A slot counts the page-table entries that name it; a page in the swap cache has PG_swapcache, its slot
 * in page->private, and one reference more.
 *
 * Custom: one device, contents are kept in the slot; no readahead, no clusters.
 */
"use kernel";

import { geom, kernel } from "../machine/config.ts";
import { assert, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { struct } from "../machine/struct.ts";
import {
  ClearPageFlag,
  get_page,
  PAGE,
  type Page,
  PageFlag,
  PG_dirty,
  PG_swapcache,
  page_address,
  page_word,
  SetPageDirty,
  SetPageFlag,
} from "./page.ts";
import { put_page } from "./swap.ts";
import { count_vm_event, VM_EVENT } from "./vmstat.ts";

/** Words of contents that a slot can keep. */
const SLOT_DATA = 4;
export const SWAP_SLOT = struct("swap_slot", ["count", "page", "data"], 2 + SLOT_DATA);

function slot_at(slot: number): number {
  return kernel.swap_map + slot * SWAP_SLOT.SIZE;
}
/** The page in the swap cache for the slot, or 0. */
export function lookup_swap_cache(slot: number): Page {
  return READ_ONCE(slot_at(slot) + SWAP_SLOT.page);
}
export function swap_count(slot: number): number {
  return READ_ONCE(slot_at(slot) + SWAP_SLOT.count);
}

/** get_swap_page(): a free slot, 0 if there is none (slot 0 is never used). */
export function get_swap_page(): number {
  for (let slot = 1; slot < kernel.nr_swap; slot++)
    if (swap_count(slot) === 0 && lookup_swap_cache(slot) === 0) return slot;
  return 0;
}
/** One more entry names the slot. */
export function swap_duplicate(slot: number): void {
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.count, swap_count(slot) + 1);
}
/** swap_free(): one entry less. */
export function swap_free(slot: number): void {
  assert(swap_count(slot) > 0, "a swap slot is freed that nobody uses");
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.count, swap_count(slot) - 1);
}

/** add_to_swap(): the page gets a slot and is dirty until it is written there. False if no slot is free. */
export function add_to_swap(page: Page): boolean {
  const slot = get_swap_page();
  if (slot === 0) return false;
  get_page(page);
  SetPageFlag(page, PG_swapcache);
  WRITE_ONCE(page_word(page, PAGE.private), slot);
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.page, page);
  SetPageDirty(page);
  return true;
}
export function page_swap_slot(page: Page): number {
  return READ_ONCE(page_word(page, PAGE.private));
}
/** delete_from_swap_cache(): drops the cache's reference. */
export function delete_from_swap_cache(page: Page): void {
  const slot = page_swap_slot(page);
  WRITE_ONCE(slot_at(slot) + SWAP_SLOT.page, 0);
  ClearPageFlag(page, PG_swapcache);
  WRITE_ONCE(page_word(page, PAGE.private), 0);
  put_page(page);
}
/** try_to_free_swap(): out of the swap cache if no entry names the slot any more; the page is dirty then. */
export function try_to_free_swap(page: Page): boolean {
  if (!PageFlag(page, PG_swapcache)) return false;
  if (swap_count(page_swap_slot(page)) > 0) return false;
  delete_from_swap_cache(page);
  SetPageDirty(page);
  return true;
}
/** free_swap_and_cache(): an entry that names the slot is gone. */
export function free_swap_and_cache(slot: number): void {
  swap_free(slot);
  const page = lookup_swap_cache(slot);
  if (swap_count(slot) === 0 && page !== 0) delete_from_swap_cache(page);
}

/** The contents of a page to a slot. */
export function swap_copy_out(page: Page, slot: number): void {
  const data = slot_at(slot) + SWAP_SLOT.data;
  for (let w = 0; w < geom.page_words && w < SLOT_DATA; w++)
    WRITE_ONCE(data + w, READ_ONCE(page_address(page) + w));
}
/** swap_writepage() to the page's slot. */
export function swap_writepage(page: Page): void {
  swap_copy_out(page, page_swap_slot(page));
  ClearPageFlag(page, PG_dirty);
  count_vm_event(VM_EVENT.pswpout);
}
/** swap_readpage() from a slot. */
export function swap_readpage(page: Page, slot: number): void {
  const data = slot_at(slot) + SWAP_SLOT.data;
  for (let w = 0; w < geom.page_words && w < SLOT_DATA; w++)
    WRITE_ONCE(page_address(page) + w, READ_ONCE(data + w));
  count_vm_event(VM_EVENT.pswpin);
}
