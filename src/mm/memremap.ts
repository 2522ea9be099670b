/**
 * Giving device memory struct pages and taking them away again: memremap_pages() and memunmap_pages()
 * (mm/memremap.c), in the kernel's order of steps, for v5.10 and for v5.18 counting (27674ef6c73f). What
 * teardown waits for is the whole difference: in v5.10 every page's base reference holds a pagemap reference,
 * so a pin delays it; from v5.18 the pagemap's count no longer mirrors the pages', and pins of device-dax
 * pages are not waited for.
 *
 * Not covered: altmap, several ranges of one pagemap, PAT tracking, the hotplug lock (one teardown at a
 * time), KASAN. Custom: the linear map of a range is one object, freed like memory; the driver of an external
 * reference is the request queue of pmem, and outlives the pagemap.
 */
"use kernel";

import { init_completion, wait_for_completion } from "../machine/completion.ts";
import { config, geom, kernel } from "../machine/config.ts";
import { REF_ATOMIC, REF_EXTERNAL, REFCOUNT_ONE_BASED } from "../machine/knobs/gup.ts";
import {
  kfree,
  memory_revive,
  READ_ONCE,
  rcu_assign_pointer,
  smp_cond_load_acquire_eq,
  synchronize_rcu,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import {
  nth_page,
  PAGE,
  type Page,
  PG_reserved,
  PG_zone_device,
  page_word,
  pfn_to_page,
  prep_compound_pages,
} from "./page.ts";
import {
  PERCPU_REF,
  PERCPU_REF_DATA,
  PERCPU_REF_INIT_ATOMIC,
  percpu_ref_exit,
  percpu_ref_get_many,
  percpu_ref_init,
  percpu_ref_kill,
  percpu_ref_put_many,
} from "./percpu-refcount.ts";
import {
  DEV_PAGEMAP,
  get_dev_pagemap,
  MEMORY_DEVICE_COHERENT,
  MEMORY_DEVICE_FS_DAX,
  MEMORY_DEVICE_PCI_P2PDMA,
  MEMORY_DEVICE_PRIVATE,
  type Pgmap,
  pgmap_slot,
  put_dev_pagemap,
} from "./pgmap.ts";
import { vmemmap_free, vmemmap_populate } from "./sparse-vmemmap.ts";
import { put_page } from "./swap.ts";

/** pgmap_array entries of the range; readers are under RCU. Read: v5.10, v6.1, v6.12, v7.3. */
function pgmap_array_store(pgmap: Pgmap, value: number): void {
  const first = READ_ONCE(pgmap + DEV_PAGEMAP.start);
  const last = first + READ_ONCE(pgmap + DEV_PAGEMAP.nr) - 1;
  for (let slot = pgmap_slot(first); slot <= pgmap_slot(last); slot++) rcu_assign_pointer(slot, value);
}
/** Read: v5.10, v6.1, v6.12, v7.3. */
function pgmap_array_delete(pgmap: Pgmap): void {
  pgmap_array_store(pgmap, 0);
  synchronize_rcu();
}

/**
 * What an unused page counts: 1, as every struct page starts; 0 for driver memory from v6.1 on
 * (ef233450898f), whose driver sets it to 1 when it gives the page out, so that whoever walks the frames
 * (migrate_device_range()) finds no count to add to; and 0 from v6.15 on for fsdax and peer-to-peer
 * memory, where nothing but entries and users counts. Read: v5.10, v6.1, v6.12, v7.3.
 */
export function initial_page_count(pgmap: Pgmap): number {
  const type = READ_ONCE(pgmap + DEV_PAGEMAP.type);
  if (config.pteRef && (type === MEMORY_DEVICE_FS_DAX || type === MEMORY_DEVICE_PCI_P2PDMA)) return 0;
  return pages_hold_refs(pgmap) ? 1 : 0;
}

/**
 * __init_zone_device_page() (mm/page_alloc.c to v6.1, mm/mm_init.c in v6.12 and v7.3). Read: v5.10, v6.1,
 * v6.12, v7.3. Stub: node, zone and block type are not set.
 */
function __init_zone_device_page(page: Page, pgmap: Pgmap): void {
  WRITE_ONCE(page_word(page, PAGE.flags), (1 << PG_zone_device) | (1 << PG_reserved));
  WRITE_ONCE(page_word(page, PAGE.compound_head), 0);
  WRITE_ONCE(page_word(page, PAGE._refcount), initial_page_count(pgmap));
  WRITE_ONCE(page_word(page, PAGE._mapcount), -1);
  WRITE_ONCE(page_word(page, PAGE.pgmap), pgmap);
}

/**
 * memmap_init_zone_device(): with shared tail frames only the unique struct pages are written
 * (memmap_init_compound()). Read: v5.10, v6.1, v6.12, v7.3.
 */
function memmap_init_zone_device(pgmap: Pgmap): void {
  const start = READ_ONCE(pgmap + DEV_PAGEMAP.start);
  const nr = READ_ONCE(pgmap + DEV_PAGEMAP.nr);
  const order = READ_ONCE(pgmap + DEV_PAGEMAP.vmemmap_shift);
  for (let i = 0; i < nr; i += 1 << order) {
    const head = pfn_to_page(start + i);
    let unique = 1 << order;
    if (config.vmemmapMapped && config.vmemmapDedup && 2 << geom.vmemmap_shift < unique)
      unique = 2 << geom.vmemmap_shift;
    for (let j = 0; j < unique; j++) __init_zone_device_page(nth_page(head, j), pgmap);
    if (order > 0) prep_compound_pages(head, order, unique);
  }
}

/**
 * Number of pagemap references that the range's pages stand for: one per page, or per compound page
 * (v5.17). Read: v5.10, v6.1, v6.12, v7.3.
 */
function pfn_len(pgmap: Pgmap): number {
  return READ_ONCE(pgmap + DEV_PAGEMAP.nr) >> READ_ONCE(pgmap + DEV_PAGEMAP.vmemmap_shift);
}

/**
 * False for driver memory from v6.1 on (0dc45ca1ce18): there a page holds its reference while it is used
 * (device_page.ts). Read: v5.10, v6.1, v6.12, v7.3.
 */
function pages_hold_refs(pgmap: Pgmap): boolean {
  if (!kernel.device_private || !config.devicePrivateRef) return true;
  const type = READ_ONCE(pgmap + DEV_PAGEMAP.type);
  return type !== MEMORY_DEVICE_PRIVATE && type !== MEMORY_DEVICE_COHERENT;
}

function linear_map(pgmap: Pgmap): number {
  return kernel.direct_map + READ_ONCE(pgmap + DEV_PAGEMAP.start) * geom.page_words;
}

/**
 * Struct pages for the range pgmap->start, nr; every page idle (pages_hold_refs()). False, with everything
 * undone, if the range is taken or memory is out. The range must be a multiple of vmemmap frames, compound
 * pages and pgmap_array slots. Read: v5.10, v6.1, v6.12, v7.3. Custom: both ends of the range are looked
 * up before either pagemap is put; a range that fails is undone at once, where the kernel goes through
 * memunmap_pages() and so waits for references that others have got meanwhile (a use after free here that
 * the kernel does not have).
 */
export function memremap_pages(pgmap: Pgmap): boolean {
  const start = READ_ONCE(pgmap + DEV_PAGEMAP.start);
  const nr = READ_ONCE(pgmap + DEV_PAGEMAP.nr);
  init_completion(pgmap + DEV_PAGEMAP.done);
  if (config.percpuRef !== REF_EXTERNAL) {
    const mode = config.percpuRef === REF_ATOMIC ? PERCPU_REF_INIT_ATOMIC : 0;
    if (!percpu_ref_init(pgmap + DEV_PAGEMAP.internal_ref, pgmap + DEV_PAGEMAP.done, mode)) return false;
    WRITE_ONCE(pgmap + DEV_PAGEMAP.ref, pgmap + DEV_PAGEMAP.internal_ref);
  }
  const ref = READ_ONCE(pgmap + DEV_PAGEMAP.ref);
  // pagemap_range(): a range that is somebody's already is refused.
  const conflict = get_dev_pagemap(start, 0);
  const conflict_last = get_dev_pagemap(start + nr - 1, 0);
  put_dev_pagemap(conflict);
  put_dev_pagemap(conflict_last);
  if (conflict !== 0 || conflict_last !== 0) {
    if (config.percpuRef !== REF_EXTERNAL) percpu_ref_exit(ref);
    return false;
  }
  // From here on get_dev_pagemap() succeeds although the struct pages do not exist yet.
  pgmap_array_store(pgmap, pgmap);
  // arch_add_memory()
  if (!vmemmap_populate(start, nr, READ_ONCE(pgmap + DEV_PAGEMAP.vmemmap_shift))) {
    pgmap_array_delete(pgmap);
    if (config.percpuRef !== REF_EXTERNAL) percpu_ref_exit(ref);
    return false;
  }
  memory_revive(linear_map(pgmap));
  memmap_init_zone_device(pgmap);
  if (pages_hold_refs(pgmap)) percpu_ref_get_many(ref, pfn_len(pgmap));
  return true;
}

/**
 * blk_mq_freeze_queue_wait() of the queue whose reference the pagemap borrows: waits until the count is zero.
 */
export function wait_ref_is_zero(ref: number): void {
  smp_cond_load_acquire_eq(READ_ONCE(ref + PERCPU_REF.data) + PERCPU_REF_DATA.count, 0);
}

/**
 * dev_pagemap_cleanup(): until the last pagemap reference is gone. Stub: an external ref is not exited,
 * its queue lives on. Read: v5.10, v6.1, v6.12, v7.3. Part of memunmap_pages() from v5.17 on.
 */
function dev_pagemap_cleanup(pgmap: Pgmap): void {
  const ref = READ_ONCE(pgmap + DEV_PAGEMAP.ref);
  if (config.percpuRef === REF_EXTERNAL) {
    wait_ref_is_zero(ref);
    return;
  }
  wait_for_completion(pgmap + DEV_PAGEMAP.done);
  if (!config.pgmapExitLate) percpu_ref_exit(ref);
  // "Undo the pgmap ref assignment for the internal case as the caller may re-enable the same pgmap." The
  // array still leads here: whoever looks the pagemap up now meets NULL.
  if (config.pgmapRefPointer) WRITE_ONCE(pgmap + DEV_PAGEMAP.ref, 0);
}

/**
 * arch_remove_memory(): the struct pages first, then the linear map (x86). Read: v5.10, v6.1, v6.12, v7.3.
 * Custom: the linear map goes after the struct pages on every architecture; device-private memory, which
 * has none, gives one up too.
 */
function pageunmap_range(pgmap: Pgmap): void {
  const start = READ_ONCE(pgmap + DEV_PAGEMAP.start);
  const nr = READ_ONCE(pgmap + DEV_PAGEMAP.nr);
  vmemmap_free(start, nr, READ_ONCE(pgmap + DEV_PAGEMAP.vmemmap_shift));
  kfree(linear_map(pgmap));
  pgmap_array_delete(pgmap);
}

/**
 * First part of memunmap_pages(): no new references on the pagemap, and its own are dropped. Read: v5.10,
 * v6.1, v6.12, v7.3.
 */
export function memunmap_pages_begin(pgmap: Pgmap): void {
  const ref = READ_ONCE(pgmap + DEV_PAGEMAP.ref);
  // dev_pagemap_kill(); an external ref's is ops->kill: blk_freeze_queue_start().
  percpu_ref_kill(ref);
  if (config.pgmapRefcounting === REFCOUNT_ONE_BASED) {
    const start = READ_ONCE(pgmap + DEV_PAGEMAP.start);
    const nr = READ_ONCE(pgmap + DEV_PAGEMAP.nr);
    const step = 1 << READ_ONCE(pgmap + DEV_PAGEMAP.vmemmap_shift);
    for (let i = 0; i < nr; i += step) put_page(pfn_to_page(start + i));
  } else if (pages_hold_refs(pgmap)) percpu_ref_put_many(ref, pfn_len(pgmap));
}
/** The rest: waits for the last reference, then the struct pages go. Read: v5.10, v6.1, v6.12, v7.3. */
export function memunmap_pages_finish(pgmap: Pgmap): void {
  const ref = READ_ONCE(pgmap + DEV_PAGEMAP.ref);
  if (config.pgmapWaitLate) {
    // To v5.1 (zoo J11) the driver waits in an action of its own, which comes after this.
    pageunmap_range(pgmap);
    dev_pagemap_cleanup(pgmap);
    return;
  }
  dev_pagemap_cleanup(pgmap);
  pageunmap_range(pgmap);
  if (config.pgmapExitLate && config.percpuRef !== REF_EXTERNAL) percpu_ref_exit(ref);
}

/**
 * Takes the struct pages away. The driver must have removed every mapping; nothing here checks that. Read:
 * v5.10, v6.1, v6.12, v7.3. Stub: the static key of managed pages is not switched.
 */
export function memunmap_pages(pgmap: Pgmap): void {
  memunmap_pages_begin(pgmap);
  memunmap_pages_finish(pgmap);
}
