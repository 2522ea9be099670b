/**
 * Truncating files and punching holes (mm/truncate.c, fs/dax.c): mappings go, then pages, and for a DAX file
 * system first the search for a page that is still in use (dax_layout_busy_page()), because its storage would
 * be reused under a pin.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { truncate_inode_pages } from "./filemap.ts";
import { ADDRESS_SPACE, type AddressSpace } from "./mm_types.ts";
import { PAGE, page_ref_count, page_word, pfn_to_page } from "./page.ts";
import { unmap_mapping_pages } from "./zap.ts";

/**
 * dax_layout_busy_page(): some page of the file has references beyond those of a page that is only mapped:
 * more than one up to v6.14; other than its mappings from v6.15.
 */
export function dax_layout_busy(mapping: AddressSpace): boolean {
  const first = READ_ONCE(mapping + ADDRESS_SPACE.first_pfn);
  const nr = READ_ONCE(mapping + ADDRESS_SPACE.i_size);
  for (let i = 0; i < nr; i++) {
    const page = pfn_to_page(first + i);
    const idle = config.pteRef ? READ_ONCE(page_word(page, PAGE._mapcount)) + 1 : 1;
    if (page_ref_count(page) !== idle) return true;
  }
  return false;
}

/**
 * truncate_pagecache(), truncate_pagecache_range(): nr pages from `first` on leave the file; `shrink`: it
 * ends there.
 */
export function file_truncate(mapping: AddressSpace, first: number, nr: number, shrink: boolean): void {
  if (nr <= 0) return;
  unmap_mapping_pages(mapping, first, nr, true);
  if (READ_ONCE(mapping + ADDRESS_SPACE.i_pages) !== 0) truncate_inode_pages(mapping, first, nr);
  if (shrink) WRITE_ONCE(mapping + ADDRESS_SPACE.i_size, first);
}
