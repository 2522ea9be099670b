/**
 * The threads of claim C8: those who take memory away (offline and remove System RAM, unbind device-private
 * memory, optimise a huge page's struct pages) and those who look at it meanwhile (a mirror device, CPU
 * faults, frame walkers). What is checked: no access to a struct page, a pagemap or contents that are gone,
 * and that everybody gets done.
 */
"use kernel";

import { config, kernel } from "../../machine/config.ts";
import { REFCOUNT_ONE_BASED } from "../../machine/knobs/gup.ts";
import {
  assert,
  atomic_add_unless,
  kfree,
  local_irq_restore,
  local_irq_save,
  localArray,
  READ_ONCE,
  rcu_read_lock,
  rcu_read_unlock,
  smp_cond_load_acquire_eq,
  smp_cond_load_acquire_ne,
  spin_lock,
  spin_unlock,
  synchronize_rcu,
  WRITE_ONCE,
} from "../../machine/primitives.ts";
import { type DevDax, dev_dax_unbind, kill_dev_dax } from "../../mm/dax.ts";
import { DMIRROR_DEVICE, type Dmirror, type DmirrorDevice } from "../../mm/dmirror.ts";
import { dmirror_device_evict_chunk } from "../../mm/dmirror_devmem.ts";
import { handle_mm_fault, VM_FAULT_ERROR } from "../../mm/hmm_fault.ts";
import { split_vmemmap_huge_pmd } from "../../mm/hugetlb_vmemmap.ts";
import { do_madvise, MADV_DONTNEED } from "../../mm/madvise.ts";
import {
  get_online_mems,
  lru_batch_add,
  offline_pages,
  pfn_to_online_page,
  put_online_mems,
  remove_memory,
} from "../../mm/memory_hotplug.ts";
import { memunmap_pages } from "../../mm/memremap.ts";
import { migrate_system_page } from "../../mm/migrate_device.ts";
import { entry_page, migration_entry_wait, mm_find_pte } from "../../mm/migrate_entry.ts";
import { MM, type Mm } from "../../mm/mm_types.ts";
import { find_vma, mmap_read_lock, mmap_read_unlock } from "../../mm/mmap.ts";
import {
  mmu_interval_notifier_insert,
  mmu_interval_notifier_remove,
  mmu_interval_read_begin,
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
  mmu_notifier_invalidate_range_start_nonblock,
} from "../../mm/mmu_notifier.ts";
import { INTERVAL_OPS_SEQ, MMU_NOTIFIER, MMU_NOTIFY_UNMAP } from "../../mm/mmu_notifier_types.ts";
import {
  get_page,
  PAGE,
  type Page,
  PG_zone_device,
  page_ref_count,
  page_word,
  pfn_to_page,
} from "../../mm/page.ts";
import { trylock_page, unlock_page } from "../../mm/pagemap.ts";
import { DEV_PAGEMAP, get_dev_pagemap, type Pgmap, put_dev_pagemap } from "../../mm/pgmap.ts";
import { is_migration_entry, pte_present } from "../../mm/pgtable.ts";
import { pmem_remove, pmem_submit_bio } from "../../mm/pmem.ts";
import { is_movable_page } from "../../mm/ram_page.ts";
import { flush_tlb_kernel_range, pfn_valid, vmemmap_access, vmemmap_read } from "../../mm/sparse.ts";
import { put_page } from "../../mm/swap.ts";
import { dmirror_access, dmirror_fault, dmirror_read } from "../../mm/test_hmm.ts";
import { dmirror_migrate_to_device, dmirror_migrate_to_system } from "../../mm/test_hmm_ioctl.ts";
import { check_mirror } from "./hmm-teardown.ts";

// ---- Takers -----------------------------------------------------------------------------------------------

/** echo offline > state, then the hardware is pulled. */
export function unplug_ram(start_pfn: number, nr: number): void {
  if (offline_pages(start_pfn, nr) === 0) remove_memory(start_pfn, nr);
}

/** remove_memory() of a section that is offline already. */
export function remove_section(start_pfn: number, nr: number): void {
  remove_memory(start_pfn, nr);
}

/** The DAX device is unbound: its mappings go, then its memory. */
export function unbind_dax(dev: DevDax): void {
  dev_dax_unbind(dev);
}

/** The first half of that: no more faults, and the mappings go. */
export function kill_dax(dev: DevDax): void {
  kill_dev_dax(dev);
}

/**
 * Brings the device's only page home: tries once, as the kernel's drivers do, after which memunmap_pages()
 * waits until a CPU faults on the page; or again whenever somebody else held it for a moment.
 */
function evict_all(pgmap: Pgmap): void {
  const mdevice: DmirrorDevice = READ_ONCE(pgmap + DEV_PAGEMAP.owner);
  const page = pfn_to_page(READ_ONCE(pgmap + DEV_PAGEMAP.start));
  const alone = config.pgmapRefcounting === REFCOUNT_ONE_BASED ? 2 : 1;
  for (;;) {
    dmirror_device_evict_chunk(pgmap);
    if (config.devicePrivateEvict === 1) return;
    if (READ_ONCE(mdevice + DMIRROR_DEVICE.nr_free) === READ_ONCE(pgmap + DEV_PAGEMAP.nr)) return;
    let count = page_ref_count(page);
    while (count > alone) {
      smp_cond_load_acquire_ne(page_word(page, PAGE._refcount), count);
      count = page_ref_count(page);
    }
  }
}

/** A driver with device-private memory goes away, and its pagemap with it. */
export function unbind_private(pgmap: Pgmap): void {
  if (config.devicePrivateEvict) evict_all(pgmap);
  memunmap_pages(pgmap);
  kfree(pgmap);
}

/**
 * hugetlb_vmemmap_optimize_folio(): the struct page in frame `frame` of the vmemmap becomes a tail, with
 * count 0, and the frame is replaced by `shared`, which is mapped read-only (mm/hugetlb_vmemmap.c).
 */
export function optimize_vmemmap(frame: number, shared: number): void {
  const storage = READ_ONCE(kernel.vmemmap_table + frame);
  // prep_new_hugetlb_folio(): the references were frozen to 0.
  WRITE_ONCE(storage + PAGE._refcount, 0);
  if (config.hvoGracePeriod) synchronize_rcu();
  WRITE_ONCE(kernel.vmemmap_table + frame, shared);
  flush_tlb_kernel_range();
  kfree(storage);
}

// ---- Lookers ----------------------------------------------------------------------------------------------

/** A driver mirrors a page and its device reads it. */
export function mirror(dmirror: Dmirror, addr: number): void {
  if (dmirror_fault(dmirror, addr, addr + 1, false) === 0) dmirror_access(dmirror, addr);
}

/** A driver mirrors a page; its device does nothing with it. */
export function mirror_walk(dmirror: Dmirror, addr: number): void {
  dmirror_fault(dmirror, addr, addr + 1, false);
}

/** The same for writing. */
export function mirror_write(dmirror: Dmirror, addr: number): void {
  if (dmirror_fault(dmirror, addr, addr + 1, true) === 0) dmirror_access(dmirror, addr);
}
/** The device uses what its table says. */
export function device_access(dmirror: Dmirror, addr: number): void {
  dmirror_access(dmirror, addr);
}

/** A CPU touches addr: faults until something is mapped there. */
export function cpu_touch(mm: Mm, addr: number): void {
  mmap_read_lock(mm);
  const vma = find_vma(mm, addr);
  let done = false;
  while (!done) {
    const ptep = mm_find_pte(mm, addr);
    done = ptep !== 0 && pte_present(READ_ONCE(ptep));
    if (!done && (handle_mm_fault(vma, addr, false) & VM_FAULT_ERROR) !== 0) done = true;
  }
  mmap_read_unlock(mm);
}

/** get_page_unless_zero() through the vmemmap, by somebody who holds nothing. */
function walker_get_page(page: Page): boolean {
  const flags = local_irq_save();
  const got = atomic_add_unless(vmemmap_access(page, PAGE._refcount), 1, 0);
  local_irq_restore(flags);
  return got;
}

/**
 * What compaction, memory failure and /proc/kpageflags do with a frame; under the hotplug lock, or RCU, if
 * they are asked to.
 */
export function pfn_walker(pfn: number): void {
  if (config.offlineLock) get_online_mems();
  if (config.vmemmapRcu) rcu_read_lock();
  const page = pfn_to_online_page(pfn);
  if (page !== 0 && walker_get_page(page)) {
    // "treats page->lru as a list": what it would do next is only right for a page of System RAM.
    assert(
      (vmemmap_read(page, PAGE.flags) & (1 << PG_zone_device)) === 0,
      "a frame walker takes a device page for System RAM",
    );
    put_page(page);
  }
  if (config.vmemmapRcu) rcu_read_unlock();
  if (config.offlineLock) put_online_mems();
}

/** Asks only whether the frame has a struct page. */
export function pfn_valid_reader(pfn: number): void {
  pfn_valid(pfn);
}

/**
 * page_ref_add_unless() of a walker: compares first, then writes; since v6.11 in an RCU section
 * (bd225530a4c7).
 */
export function speculative_get(pfn: number, shared: number): void {
  const page = pfn_to_page(pfn);
  rcu_read_lock();
  if (vmemmap_read(page, PAGE._refcount) !== 0) {
    const flags = local_irq_save();
    const at = vmemmap_access(page, PAGE._refcount);
    assert(at !== shared + PAGE._refcount, "oops: write to the shared tail page, which is mapped read-only");
    if (atomic_add_unless(at, 1, 0)) WRITE_ONCE(at, READ_ONCE(at) - 1);
    local_irq_restore(flags);
  }
  rcu_read_unlock();
}

/** At the end: the device's table agrees with the CPU's. */
export function check_device(dmirror: Dmirror, addr: number): void {
  check_mirror(dmirror, addr, 1);
}

// ---- Users who hold a page --------------------------------------------------------------------------------

/** Drops a reference that was taken before. */
export function unpin(pfn: number): void {
  put_page(pfn_to_page(pfn));
}
/** Has a reference and keeps it until the offlining has ended, which it never does. */
export function hold_until(pfn: number, word: number): void {
  smp_cond_load_acquire_ne(word, 0);
  put_page(pfn_to_page(pfn));
}
/** Offlines and says so. */
export function offline_then_tell(start_pfn: number, nr: number, word: number): void {
  offline_pages(start_pfn, nr);
  WRITE_ONCE(word, 1);
}
/** kill(): the offlining task has a signal pending. */
export function send_signal(word: number): void {
  WRITE_ONCE(word, 1);
}
/** Brings the device's pages home, once. */
export function evict(pgmap: Pgmap): void {
  dmirror_device_evict_chunk(pgmap);
}
/** HMM_DMIRROR_MIGRATE_TO_SYS of one page. */
export function migrate_home(dmirror: Dmirror, addr: number): void {
  dmirror_migrate_to_system(dmirror, addr, 1);
}
/** HMM_DMIRROR_MIGRATE_TO_DEV of one page. */
export function migrate_to_device(dmirror: Dmirror, addr: number): void {
  dmirror_migrate_to_device(dmirror, addr, 1);
}
/** The same, and the device reads the page by what its table says, faulting only if that says nothing. */
export function migrate_and_read(dmirror: Dmirror, addr: number): void {
  const word = localArray(1);
  dmirror_migrate_to_device(dmirror, addr, 1);
  dmirror_read(dmirror, addr, word);
}
/**
 * At the end: either addr's entry holds the device's frame, as its only reference, or the driver has it and
 * nobody else.
 */
export function check_driver_page(mm: Mm, addr: number, mdevice: DmirrorDevice, pfn: number): void {
  const ptep = mm_find_pte(mm, addr);
  const mapped = ptep !== 0 && entry_page(READ_ONCE(ptep)) === pfn_to_page(pfn);
  const count = page_ref_count(pfn_to_page(pfn));
  const nr_free = READ_ONCE(mdevice + DMIRROR_DEVICE.nr_free);
  assert(count === (mapped ? 1 : 0), "a device page's count is not the number of its entries");
  assert(nr_free === (mapped ? 0 : 1), "the driver's free list does not agree with the entry");
}
/** At the end: what was unmapped is not mapped again by a migration that ended later. */
export function check_unmapped(mm: Mm, addr: number): void {
  const ptep = mm_find_pte(mm, addr);
  assert(ptep === 0 || READ_ONCE(ptep) === 0, "an entry stands after MADV_DONTNEED has returned");
}
/** madvise(MADV_DONTNEED) */
export function zap(mm: Mm, addr: number): void {
  mmap_read_lock(mm);
  do_madvise(mm, addr, 1, MADV_DONTNEED);
  mmap_read_unlock(mm);
}

/** The end of the fault that mapped a page: its reference goes to this CPU's batch, on the way to the LRU. */
export function lru_add(pfn: number): void {
  lru_batch_add(pfn_to_page(pfn));
}
/** Holds a page's lock while it waits for work that only runs when another CPU sleeps. */
export function lock_holder(pfn: number, done: number): void {
  const page = pfn_to_page(pfn);
  if (!trylock_page(page)) return;
  smp_cond_load_acquire_ne(done, 0);
  unlock_page(page);
}
/** That work: a kernel thread of the other CPU, which runs when that sleeps or has nothing to do. */
export function worker(done: number): void {
  smp_cond_load_acquire_ne(kernel.cpu_sleeps, 0);
  WRITE_ONCE(done, 1);
}
/** mirror_walk(), after which its CPU is free. */
export function mirror_walk_then_sleep(dmirror: Dmirror, addr: number): void {
  dmirror_fault(dmirror, addr, addr + 1, false);
  WRITE_ONCE(kernel.cpu_sleeps, 1);
}

// ---- Known bugs of pagemaps and pins ----------------------------------------------------------------------

/** Somebody asks which pagemap a frame is of (memory failure, GUP). */
export function pagemap_getter(pfn: number): void {
  put_dev_pagemap(get_dev_pagemap(pfn, 0));
}
/** The pagemap's driver leaves; its mappings have gone before. */
export function pagemap_remover(pgmap: Pgmap): void {
  memunmap_pages(pgmap);
}
/** An I/O through the block device. */
export function queue_user(q_usage_count: number): void {
  pmem_submit_bio(q_usage_count);
}
/** The pmem device is unbound. */
export function queue_remover(pgmap: Pgmap, q_usage_count: number): void {
  pmem_remove(pgmap, q_usage_count);
}
/** vmemmap optimisation of a hugetlb page begins with a split. */
export function vmemmap_splitter(pmdp: number, ptl: number, first: number): void {
  split_vmemmap_huge_pmd(pmdp, ptl, first);
}

/** The page of addr with a reference; 0 if there is none. Waits for a migration. */
function follow_and_get(mm: Mm, addr: number): Page {
  for (;;) {
    spin_lock(mm + MM.page_table_lock);
    const ptep = mm_find_pte(mm, addr);
    const e = ptep === 0 ? 0 : READ_ONCE(ptep);
    const page = pte_present(e) ? entry_page(e) : 0;
    if (page !== 0) get_page(page);
    spin_unlock(mm + MM.page_table_lock);
    if (!is_migration_entry(e)) return page;
    migration_entry_wait(mm, ptep);
  }
}
/**
 * pin_user_pages(FOLL_LONGTERM) of one page (check_and_migrate_movable_pages(), v5.13): a page of
 * ZONE_MOVABLE is let go, moved, and looked up again; the call fails if it cannot be moved. The pin is kept
 * until `word` is set.
 */
export function longterm_pin_until(mm: Mm, addr: number, word: number): void {
  mmap_read_lock(mm);
  let page = follow_and_get(mm, addr);
  while (config.longtermMigrates && page !== 0 && is_movable_page(page)) {
    put_page(page);
    page = migrate_system_page(page) === 0 ? follow_and_get(mm, addr) : 0;
  }
  mmap_read_unlock(mm);
  if (page === 0) return;
  smp_cond_load_acquire_ne(word, 0);
  put_page(page);
}

// ---- Notifiers --------------------------------------------------------------------------------------------

/** A driver takes its notifier away and frees it. */
export function remove_notifier(ni: number): void {
  mmu_interval_notifier_remove(ni);
  kfree(ni);
}
/** A driver adds a notifier, begins to read what it covers, and takes it away again. */
export function insert_remove_notifier(ni: number, mm: Mm, addr: number): void {
  mmu_interval_notifier_insert(ni, mm, addr, addr, INTERVAL_OPS_SEQ, 0);
  mmu_interval_read_begin(ni);
  mmu_interval_notifier_remove(ni);
  kfree(ni);
}
/** A driver begins to read what its notifier covers: waits while an invalidation of it runs. */
export function read_begin(ni: number): void {
  mmu_interval_read_begin(ni);
}
/** KVM's fault handler: tries again as long as an invalidation runs that has not ended. */
export function wait_count(n: number): void {
  smp_cond_load_acquire_eq(n + MMU_NOTIFIER.count, 0);
}
/** Something changes entries of addr. */
export function invalidate(mm: Mm, addr: number): void {
  mmu_notifier_invalidate_range_start(mm, addr, addr + 1, MMU_NOTIFY_UNMAP, 0);
  mmu_notifier_invalidate_range_end(mm);
}
/** The OOM reaper, which may not sleep: gives up if a notifier would. */
export function invalidate_nonblock(mm: Mm, addr: number): void {
  if (mmu_notifier_invalidate_range_start_nonblock(mm, addr, addr + 1, MMU_NOTIFY_UNMAP) !== 0) return;
  mmu_notifier_invalidate_range_end(mm);
}
