/**
 * Which pages GUP may take (include/linux/mm.h: folio_is_longterm_pinnable(); mm/gup.c:
 * gup_fast_folio_allowed(); include/linux/secretmem.h): not for long what must be able to move or go, not
 * without a look at the area what is a file's, and secret memory never.
 *
 * Read: v5.10, v6.1, v6.12, v7.3.
 */
"use kernel";

import { config, kernel } from "../machine/config.ts";
import { SECRETMEM_LRU } from "../machine/knobs/mm.ts";
import { READ_ONCE } from "../machine/primitives.ts";
import { FOLL_LONGTERM, FOLL_PIN, FOLL_WRITE } from "./gup_flags.ts";
import { ADDRESS_SPACE, AS_SECRETMEM, AS_SHMEM } from "./mm_types.ts";
import { is_pci_p2pdma_page } from "./p2pdma_page.ts";
import {
  is_zone_device_page,
  PAGE,
  type Page,
  PageFlag,
  PageHead,
  PG_hugetlb,
  PG_lru,
  PG_ZONE_MASK,
  PG_ZONE_SHIFT,
  page_pgmap,
  page_to_pfn,
  page_word,
} from "./page.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_COHERENT, MEMORY_DEVICE_FS_DAX } from "./pgmap.ts";

/** ZONE_MOVABLE of page_alloc.ts, which imports this file's users. */
const ZONE_NR_MOVABLE = 3;

/**
 * is_migrate_cma_page(): its block is kept for contiguous allocations, for which what is in it must go.
 * Read: none.
 */
export function is_migrate_cma_page(page: Page): boolean {
  if (kernel.cma_nr === 0) return false;
  const pfn = page_to_pfn(page);
  return pfn >= kernel.cma_start && pfn < kernel.cma_start + kernel.cma_nr;
}

/**
 * folio_is_longterm_pinnable(), is_longterm_pinnable_page() (to v6.6): neither in a movable zone nor in CMA,
 * nor a driver's or a file's on a DAX device. Stub: isolated blocks do not exist here. Custom: a page of a
 * file on a DAX device is refused in all versions, in the kernel only in v7.3; to v6.12 its entry is.
 */
export function is_longterm_pinnable(head: Page): boolean {
  if (is_migrate_cma_page(head)) return false;
  if (is_zone_device_page(head)) {
    const type = READ_ONCE(page_pgmap(head) + DEV_PAGEMAP.type);
    // "Coherent device memory must always allow eviction." (v6.0)
    return type !== MEMORY_DEVICE_FS_DAX && type !== MEMORY_DEVICE_COHERENT;
  }
  return ((READ_ONCE(page_word(head, PAGE.flags)) >>> PG_ZONE_SHIFT) & PG_ZONE_MASK) !== ZONE_NR_MOVABLE;
}

/**
 * page_is_secretmem(), folio_is_secretmem(); secretmem_mapping() of the page's mapping from v6.10 on.
 * Read: none.
 */
function page_is_secretmem(head: Page): boolean {
  if (kernel.secretmem === 0 || PageHead(head)) return false;
  if (config.secretmem === SECRETMEM_LRU && !PageFlag(head, PG_lru)) return false;
  const mapping = READ_ONCE(page_word(head, PAGE.mapping));
  return mapping !== 0 && (mapping & 1) === 0 && READ_ONCE(mapping + ADDRESS_SPACE.kind) === AS_SECRETMEM;
}

/**
 * gup_fast_folio_allowed(): no secret memory (v5.14, 1507f51255c9), and long-term writes to file pages but
 * shmem's are the slow path's (v6.5, a6e79df92e4a). Read: v6.12, v7.3. Custom: the mapping is read only in
 * machines with secret memory, or for a long-term write.
 */
export function gup_fast_folio_allowed(head: Page, flags: number): boolean {
  if (page_is_secretmem(head)) return false;
  // "The mapping may have been truncated, in any case we cannot determine if this mapping is safe." Of what
  // is mapped where no file is truncated only a driver's pages have none.
  if (kernel.p2pdma !== 0 && config.fastNeedsMapping && is_pci_p2pdma_page(head)) return false;
  const pages_of_none = kernel.driver_pages !== 0 && config.fastNeedsMapping && !PageHead(head);
  if (pages_of_none && READ_ONCE(page_word(head, PAGE.mapping)) === 0) return false;
  const suspicious = FOLL_PIN | FOLL_LONGTERM | FOLL_WRITE;
  if (!config.longtermFileCheck || (flags & suspicious) !== suspicious) return true;
  if (PageFlag(head, PG_hugetlb)) return true;
  const mapping = READ_ONCE(page_word(head, PAGE.mapping));
  if (mapping === 0) return false;
  return (mapping & 1) !== 0 || READ_ONCE(mapping + ADDRESS_SPACE.kind) === AS_SHMEM;
}
