/**
 * Dirtying pages (mm/page-writeback.c: set_page_dirty(), set_page_dirty_lock(), folio_mark_dirty()): what the
 * owner of the page's mapping makes of it. Writing back is not covered. A device page is not dirtied in
 * v5.10, whose device-dax pages have the device's mapping with a set_page_dirty() that does nothing.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { compound_head, is_zone_device_page, type Page, PageDirty, SetPageDirty } from "./page.ts";

/** True if the page was clean before. */
export function set_page_dirty(page: Page): boolean {
  const head = compound_head(page);
  if (is_zone_device_page(head) && !config.deviceDirty) return false;
  if (PageDirty(head)) return false;
  SetPageDirty(head);
  return true;
}
/** Custom: the page lock is not taken; nobody else dirties or cleans the page meanwhile. */
export function set_page_dirty_lock(page: Page): void {
  set_page_dirty(page);
}
