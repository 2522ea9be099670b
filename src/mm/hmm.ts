/**
 * hmm_range_fault() (mm/hmm.c, v5.6, v5.10 and v7.1): reads an address range's page tables into an array of
 * frames for a device that mirrors them, faulting in what is missing. It takes no reference on any page; what
 * it gives is good as long as the notifier's sequence stays the same (Documentation/mm/hmm.rst).
 *
 * Walks entries of PTE, PMD and PUD level; above these, present or none. Of v5.6 it has the pagemap look-up
 * of device entries, the fault under the PUD lock (zoo J49), requests that are overwritten before the walk
 * begins again (J60), and what else v5.7 put right; not that version's tables of flags, nor its number of
 * pages as result. Custom: flags lie in the low bits of a 32-bit word; areas and tables are found again for
 * every stretch of entries instead of by one walk_page_range(); every leaf of PUD level counts as a device's
 * (to v6.16 another one was split). Not covered: hugetlb areas' own entry (their leaves are walked like any
 * other), userfaultfd markers, DMA mapping state.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { HMM_V5_6 } from "../machine/knobs/hmm.ts";
import {
  type LocalArray,
  localArray,
  READ_ONCE,
  rcu_read_lock,
  rcu_read_unlock,
  spin_lock,
  spin_unlock,
} from "../machine/primitives.ts";
import { EBUSY, EFAULT, EPERM } from "./errno.ts";
import { handle_mm_fault, VM_FAULT_ERROR, VM_FAULT_RETRY } from "./hmm_fault.ts";
import { migration_entry_wait } from "./migrate_entry.ts";
import { MM, type Mm, VM_IO, VM_MIXEDMAP, VM_PFNMAP, VM_READ, VM_WRITE, VMA, type Vma } from "./mm_types.ts";
import { find_vma } from "./mmap.ts";
import { mmu_interval_check_retry } from "./mmu_notifier.ts";
import { page_pgmap, pfn_to_page } from "./page.ts";
import { DEV_PAGEMAP, get_dev_pagemap, type Pgmap, put_dev_pagemap } from "./pgmap.ts";
import {
  type EntryPtr,
  is_device_exclusive_entry,
  is_device_private_entry,
  is_migration_entry,
  PMD_LEVEL,
  PUD_LEVEL,
  pgd_table,
  pmd_leaf,
  pmd_page_table,
  pte_devmap,
  pte_none,
  pte_pfn,
  pte_present,
  pte_protnone,
  pte_special,
  pte_write,
  ptep_get,
  pud_leaf,
  pud_none,
  pud_page_table,
  pud_present,
  SWP_DEVICE_WRITE,
  SWP_SWAP,
  swp_offset,
  swp_type,
  type TablePtr,
  table_index,
} from "./pgtable.ts";

/**
 * An element of hmm_pfns[]:
 *
 *    31              10   9   8       4   3    2     1     0
 *   +------------------+----+----------+----+-----+-----+-------+
 *   |       pfn        |    |  order   |    | ERR |  W  | VALID |
 *   +------------------+----+----------+----+-----+-----+-------+ on entry VALID means "fault it in" and W
 *   "for writing". The order says how many frames follow in the same leaf.
 */
export const HMM_PFN_VALID = 1;
export const HMM_PFN_WRITE = 2;
export const HMM_PFN_ERROR = 4;
export const HMM_PFN_REQ_FAULT = 1;
export const HMM_PFN_REQ_WRITE = 2;
export const HMM_PFN_ORDER_SHIFT = 4;
export const HMM_PFN_SHIFT = 10;

/** struct hmm_range as a thread-private array; pages [START, END), hmm_pfns[i] is for START + i. */
export const HMM_RANGE_SIZE = 12;
export const HMM_RANGE_NOTIFIER = 0;
export const HMM_RANGE_SEQ = 1;
export const HMM_RANGE_START = 2;
export const HMM_RANGE_END = 3;
export const HMM_RANGE_DEFAULT_FLAGS = 4;
export const HMM_RANGE_PFN_FLAGS_MASK = 5;
export const HMM_RANGE_OWNER = 6;
/** hmm_vma_walk.last: entries below it are results, the others still requests. */
export const HMM_RANGE_LAST = 7;
// Where the walk stopped: see WALK_FAULT.
const STOP_VMA = 8;
const STOP_END = 9;
const STOP_ARG = 10;
/** A lock that the fault handler runs under, 0 if none (v5.6). */
const STOP_LOCK = 11;

const NEED_FAULT = 1;
const NEED_WRITE_FAULT = 2;

/**
 * What a walk function comes back with when the walk cannot go on by itself: something to fault in, or an
 * entry to wait for. Custom: the kernel calls hmm_vma_fault() and migration_entry_wait() at these places;
 * here the caller does it, after the walk has returned with its locks dropped as there, so that the fault
 * handler is linked once.
 */
const WALK_FAULT = 1;
const WALK_WAIT = 2;
const WALK_BELOW = 3;
const WALK_SKIPPED = 4;

// ---- What is needed ---------------------------------------------------------------------------------------

/** hmm_pte_need_fault() Read: v5.10, v6.1, v6.12, v7.3. */
function hmm_pte_need_fault(range: LocalArray, request: number, cpu_flags: number): number {
  const req = (request & range[HMM_RANGE_PFN_FLAGS_MASK]) | range[HMM_RANGE_DEFAULT_FLAGS];
  if ((req & HMM_PFN_REQ_FAULT) === 0) return 0;
  if ((req & HMM_PFN_REQ_WRITE) !== 0 && (cpu_flags & HMM_PFN_WRITE) === 0)
    return NEED_FAULT | NEED_WRITE_FAULT;
  return (cpu_flags & HMM_PFN_VALID) === 0 ? NEED_FAULT : 0;
}
/**
 * hmm_range_need_fault(): what any page of [addr, end) needs. Read: v5.10, v6.1, v6.12, v7.3. Custom:
 * every page is looked at, also when nothing can be asked for or everything is needed already.
 */
function hmm_range_need_fault(
  range: LocalArray,
  pfns: LocalArray,
  addr: number,
  end: number,
  cpu_flags: number,
): number {
  let required = 0;
  for (let a = addr; a < end; a++)
    required |= hmm_pte_need_fault(range, pfns[a - range[HMM_RANGE_START]], cpu_flags);
  return required;
}
/**
 * hmm_pfns_fill() Read: v5.10, v6.1, v6.12, v7.3. Stub: v7.3 keeps the flags of DMA mappings and
 * peer-to-peer memory.
 */
function hmm_pfns_fill(range: LocalArray, pfns: LocalArray, addr: number, end: number, v: number): void {
  for (let a = addr; a < end; a++) pfns[a - range[HMM_RANGE_START]] = v;
}

/** The walk stops at `addr`, for hmm_vma_fault() to fault [addr, end) in. */
function stop_to_fault(range: LocalArray, vma: Vma, addr: number, end: number, required: number): number {
  range[HMM_RANGE_LAST] = addr;
  range[STOP_VMA] = vma;
  range[STOP_END] = end;
  range[STOP_ARG] = required;
  return WALK_FAULT;
}
/** The walk stops at `addr`, for migration_entry_wait() of the entry at ptep. */
function stop_to_wait(range: LocalArray, vma: Vma, addr: number, ptep: EntryPtr): number {
  range[HMM_RANGE_LAST] = addr;
  range[STOP_VMA] = vma;
  range[STOP_ARG] = ptep;
  return WALK_WAIT;
}

/**
 * hmm_vma_fault(): faults in what the walk stopped at; never 0: the walk begins again there. Read: v5.10,
 * v6.1, v6.12, v7.3. v7.3 calls it hmm_do_fault(), and looks the area up again, which mmap_lock keeps as
 * it is.
 */
function hmm_vma_fault(range: LocalArray, pfns: LocalArray): number {
  const vma: Vma = range[STOP_VMA];
  const write = (range[STOP_ARG] & NEED_WRITE_FAULT) !== 0;
  if (write && (READ_ONCE(vma + VMA.vm_flags) & VM_WRITE) === 0) return -EPERM;
  for (let a = range[HMM_RANGE_LAST]; a < range[STOP_END]; a++) {
    // v5.6 (zoo J60): the request is gone when the walk begins again.
    if (config.hmm === HMM_V5_6) pfns[a - range[HMM_RANGE_START]] = 0;
    const ret = handle_mm_fault(vma, a, write);
    // Stub: a retried fault of v5.x sleeps in the handler; what comes of it when it does not is zoo J47.
    if (ret === VM_FAULT_RETRY) return -EBUSY;
    if ((ret & VM_FAULT_ERROR) !== 0) {
      if (config.hmm === HMM_V5_6) pfns[a - range[HMM_RANGE_START]] = HMM_PFN_ERROR;
      return -EFAULT;
    }
  }
  return -EBUSY;
}

/** hmm_vma_walk_hole(): nothing is mapped at [addr, end). Read: v5.10, v6.1, v6.12, v7.3. */
function hmm_vma_walk_hole(range: LocalArray, pfns: LocalArray, vma: Vma, addr: number, end: number): number {
  const required = hmm_range_need_fault(range, pfns, addr, end, 0);
  if (vma === 0) {
    if (required !== 0) return -EFAULT;
    // "return error for non-vma snapshots" (v5.7)
    hmm_pfns_fill(range, pfns, addr, end, config.hmm === HMM_V5_6 ? 0 : HMM_PFN_ERROR);
    return 0;
  }
  if (required !== 0) return stop_to_fault(range, vma, addr, end, required);
  hmm_pfns_fill(range, pfns, addr, end, 0);
  return 0;
}

// ---- Leaves -----------------------------------------------------------------------------------------------

/**
 * pte_to_hmm_pfn_flags() and its kin for larger leaves; PROT_NONE is for NUMA hints, the page is as good
 * as absent. Read: v5.10, v6.1, v6.12, v7.3.
 */
function leaf_cpu_flags(e: number, level: number): number {
  if (!pte_present(e) || pte_protnone(e)) return 0;
  // The order is told since v5.9 (3b50a6e536d2).
  const order = config.hmm === HMM_V5_6 ? 0 : (level * geom.table_shift) << HMM_PFN_ORDER_SHIFT;
  return (pte_write(e) ? HMM_PFN_VALID | HMM_PFN_WRITE : HMM_PFN_VALID) | order;
}

/**
 * The check of v5.6 for device entries: a pagemap that is alive, kept while the walk stays in one table. It
 * is put before the caller sees the frames, so all that it says is that the pagemap was alive at some time.
 * -EBUSY if there is none.
 */
function pgmap_check(e: number): number {
  if (!config.hmmPgmapCheck || !pte_devmap(e)) return 0;
  const pgmap: Pgmap = get_dev_pagemap(pte_pfn(e), 0);
  if (pgmap === 0) return -EBUSY;
  put_dev_pagemap(pgmap);
  return 0;
}

/**
 * hmm_vma_handle_pmd(), and the leaf case of hmm_vma_walk_pud(): `e` maps [addr, end) with one leaf of
 * `level`. Read: v5.10, v6.1, v6.12, v7.3.
 */
function hmm_vma_handle_leaf(
  range: LocalArray,
  pfns: LocalArray,
  vma: Vma,
  addr: number,
  end: number,
  e: number,
  level: number,
): number {
  const cpu_flags = leaf_cpu_flags(e, level);
  const required = hmm_range_need_fault(range, pfns, addr, end, cpu_flags);
  if (required !== 0) return stop_to_fault(range, vma, addr, end, required);
  if (cpu_flags === 0) {
    hmm_pfns_fill(range, pfns, addr, end, 0);
    return 0;
  }
  const busy = pgmap_check(e);
  if (busy !== 0) {
    range[HMM_RANGE_LAST] = addr;
    return busy;
  }
  const offset = addr & ((1 << (level * geom.table_shift)) - 1);
  for (let a = addr; a < end; a++)
    pfns[a - range[HMM_RANGE_START]] = ((pte_pfn(e) + offset + a - addr) << HMM_PFN_SHIFT) | cpu_flags;
  return 0;
}

/**
 * Whether a device-private entry belongs to the caller's device. This reads the page's pagemap with
 * neither a reference nor the page-table lock: the only struct page that hmm_range_fault() ever looks at.
 * Read: v5.10, v6.1, v6.12, v7.3. Custom: a caller without an owner never looks at the page; the kernel
 * compares always, and so dereferences it.
 */
function hmm_is_device_private_entry(range: LocalArray, e: number): boolean {
  if (!is_device_private_entry(e)) return false;
  // v5.6 took any driver's pages for the caller's.
  if (config.hmm === HMM_V5_6) return true;
  if (range[HMM_RANGE_OWNER] === 0) return false;
  const pgmap: Pgmap = page_pgmap(pfn_to_page(swp_offset(e)));
  return READ_ONCE(pgmap + DEV_PAGEMAP.owner) === range[HMM_RANGE_OWNER];
}

/** A non-present PTE: 0 filled, 1 must be faulted, 2 must be waited for, or an error. */
const PTE_FILLED = 0;
const PTE_FAULT = 1;
const PTE_WAIT = 2;

/** Read: v5.10, v6.1, v6.12, v7.3. */
function hmm_vma_handle_nonpresent(range: LocalArray, pfns: LocalArray, i: number, e: number): number {
  if (hmm_is_device_private_entry(range, e)) {
    // "Don't fault in device private pages owned by the caller, just report the PFN", whatever is asked for.
    const write = swp_type(e) === SWP_DEVICE_WRITE ? HMM_PFN_WRITE : 0;
    const flags = HMM_PFN_VALID | write;
    pfns[i] = (swp_offset(e) << HMM_PFN_SHIFT) | flags;
    return PTE_FILLED;
  }
  const type = swp_type(e);
  if (config.hmm === HMM_V5_6 && type !== SWP_SWAP) {
    // Whether a migration must be waited for is never computed; all else is an error even if nobody asks for
    // the page.
    pfns[i] = is_migration_entry(e) ? 0 : HMM_PFN_ERROR;
    return is_migration_entry(e) ? PTE_FILLED : -EFAULT;
  }
  if (hmm_pte_need_fault(range, pfns[i], 0) === 0) {
    pfns[i] = 0;
    return PTE_FILLED;
  }
  if (type === SWP_SWAP) return PTE_FAULT;
  if (is_device_exclusive_entry(e)) return PTE_FAULT;
  // Of another device: brought home since v5.19 (8a295dbbaf72), an error before.
  if (config.hmmForeignFault && is_device_private_entry(e)) return PTE_FAULT;
  if (is_migration_entry(e)) return PTE_WAIT;
  return -EFAULT;
}

/** The zero page is special and may be given to a device. */
function is_zero_pfn(pfn: number): boolean {
  return kernel.zero_pfn !== 0 && pfn === kernel.zero_pfn;
}

/**
 * hmm_vma_handle_pte() without its faults, which are the caller's: as hmm_vma_handle_nonpresent(). Read:
 * v5.10, v6.1, v6.12, v7.3.
 */
function hmm_vma_handle_pte(range: LocalArray, pfns: LocalArray, addr: number, e: number): number {
  const i = addr - range[HMM_RANGE_START];
  if (pte_none(e)) {
    if (hmm_pte_need_fault(range, pfns[i], 0) !== 0) return PTE_FAULT;
    pfns[i] = 0;
    return PTE_FILLED;
  }
  if (!pte_present(e)) return hmm_vma_handle_nonpresent(range, pfns, i, e);
  const cpu_flags = leaf_cpu_flags(e, 0);
  if (hmm_pte_need_fault(range, pfns[i], cpu_flags) !== 0) return PTE_FAULT;
  const busy = pgmap_check(e);
  if (busy !== 0) {
    if (config.hmm === HMM_V5_6) pfns[i] = 0;
    return busy;
  }
  // "Bypass devmap pte such as DAX page when all pfn requested flags(pfn_req_flags) are fulfilled."
  // (4b42fb213678, v5.15)
  if (pte_special(e) && !pte_devmap(e) && !is_zero_pfn(pte_pfn(e))) {
    const asked = hmm_pte_need_fault(range, pfns[i], 0) !== 0;
    if (asked && config.hmm !== HMM_V5_6) return -EFAULT;
    pfns[i] = HMM_PFN_ERROR;
    return config.hmm === HMM_V5_6 ? -EFAULT : PTE_FILLED;
  }
  pfns[i] = (pte_pfn(e) << HMM_PFN_SHIFT) | cpu_flags;
  return PTE_FILLED;
}

// ---- Levels -----------------------------------------------------------------------------------------------

/**
 * The entries of one PTE table from addr to end. 0, or an error with LAST where to go on. No page-table
 * lock. Read: v5.10, v6.1, v6.12, v7.3. Stub: from v6.12 on the PMD is read again if its table has gone.
 */
function hmm_vma_walk_ptes(
  range: LocalArray,
  pfns: LocalArray,
  vma: Vma,
  table: TablePtr,
  addr: number,
  end: number,
): number {
  // pte_offset_map() has been an RCU read-side section since v6.5 (0d940a9b270b).
  if (config.hmmTablesRcu) rcu_read_lock();
  for (let a = addr; a < end; a++) {
    const ptep: EntryPtr = table + (a & (geom.ptrs_per_table - 1));
    const e = ptep_get(ptep);
    const ret = hmm_vma_handle_pte(range, pfns, a, e);
    if (ret === PTE_FILLED) continue;
    if (config.hmmTablesRcu) rcu_read_unlock();
    range[HMM_RANGE_LAST] = a;
    if (ret === PTE_WAIT) return stop_to_wait(range, vma, a, ptep);
    if (ret !== PTE_FAULT) return ret;
    // "Fault any virtual address we were asked to fault": the rest of the table, asked for or not.
    const required = hmm_pte_need_fault(range, pfns[a - range[HMM_RANGE_START]], leaf_cpu_flags(e, 0));
    return stop_to_fault(range, vma, a, end, required);
  }
  if (config.hmmTablesRcu) rcu_read_unlock();
  return 0;
}

/**
 * hmm_vma_handle_absent_pmd() (v6.19), and what stood in its place: neither none, nor present, nor a
 * migration's. Read: v5.10, v6.1, v6.12, v7.3.
 */
function hmm_vma_handle_absent_pmd(
  range: LocalArray,
  pfns: LocalArray,
  vma: Vma,
  addr: number,
  end: number,
  pmd: number,
): number {
  if (config.hmmPmdDevice && hmm_is_device_private_entry(range, pmd)) {
    const write = swp_type(pmd) === SWP_DEVICE_WRITE ? HMM_PFN_WRITE : 0;
    const flags = HMM_PFN_VALID | write | (geom.table_shift << HMM_PFN_ORDER_SHIFT);
    const first = swp_offset(pmd) + (addr & (geom.ptrs_per_table - 1));
    for (let a = addr; a < end; a++)
      pfns[a - range[HMM_RANGE_START]] = ((first + a - addr) << HMM_PFN_SHIFT) | flags;
    return 0;
  }
  const required = hmm_range_need_fault(range, pfns, addr, end, 0);
  // v5.6 fills errors also where a page was asked for.
  if (required !== 0 && config.hmm !== HMM_V5_6) {
    if (config.hmmPmdDevice && is_device_private_entry(pmd))
      return stop_to_fault(range, vma, addr, end, required);
    return -EFAULT;
  }
  hmm_pfns_fill(range, pfns, addr, end, HMM_PFN_ERROR);
  return 0;
}

/**
 * hmm_vma_walk_pmd() of one entry. Read: v5.10, v6.1, v6.12, v7.3. Stub: a PMD that is none of all this
 * (pmd_bad()) does not exist.
 */
function hmm_vma_walk_pmd(
  range: LocalArray,
  pfns: LocalArray,
  vma: Vma,
  pmdp: EntryPtr,
  addr: number,
  end: number,
): number {
  for (;;) {
    const pmd = READ_ONCE(pmdp);
    if (pmd === 0) return hmm_vma_walk_hole(range, pfns, vma, addr, end);
    if (!pte_present(pmd)) {
      if (!is_migration_entry(pmd)) return hmm_vma_handle_absent_pmd(range, pfns, vma, addr, end, pmd);
      if (hmm_range_need_fault(range, pfns, addr, end, 0) !== 0) return stop_to_wait(range, vma, addr, pmdp);
      // "add missing pfns set to hmm_vma_walk_pmd()" (v5.7): the requests stayed and passed for results.
      if (config.hmm !== HMM_V5_6) hmm_pfns_fill(range, pfns, addr, end, 0);
      return 0;
    }
    if (!pmd_leaf(pmd)) return hmm_vma_walk_ptes(range, pfns, vma, pmd_page_table(pmd), addr, end);
    // "No need to take pmd_lock here: even if some other thread is splitting the huge pmd we will get that
    // event through mmu_notifier callback. So just read pmd value and check again it's a transparent huge or
    // device mapping one"
    const again = READ_ONCE(pmdp);
    if (pmd_leaf(again)) return hmm_vma_handle_leaf(range, pfns, vma, addr, end, again, PMD_LEVEL);
  }
}

/**
 * hmm_vma_walk_pud() of one entry; WALK_BELOW with the PMD table in out[0] if the walk goes on there. The
 * lock is taken only if the entry is a leaf, and looked at again under it. Read: v5.10, v6.1, v6.12, v7.3.
 */
function hmm_vma_walk_pud(
  range: LocalArray,
  pfns: LocalArray,
  vma: Vma,
  pudp: EntryPtr,
  addr: number,
  end: number,
  out: LocalArray,
): number {
  const pud = READ_ONCE(pudp);
  // walk_pud_range() calls pte_hole() itself.
  if (pud_none(pud)) return hmm_vma_walk_hole(range, pfns, vma, addr, end);
  if (pud_present(pud) && !pud_leaf(pud)) {
    out[0] = pud_page_table(pud);
    return WALK_BELOW;
  }
  // pud_trans_huge_lock()
  const ptl = READ_ONCE(vma + VMA.vm_mm) + MM.page_table_lock;
  spin_lock(ptl);
  const locked = READ_ONCE(pudp);
  if (pud_present(locked) && !pud_leaf(locked)) {
    spin_unlock(ptl);
    out[0] = pud_page_table(locked);
    return WALK_BELOW;
  }
  const ret = pud_present(locked)
    ? hmm_vma_handle_leaf(range, pfns, vma, addr, end, locked, PUD_LEVEL)
    : hmm_vma_walk_hole(range, pfns, vma, addr, end);
  // v5.6 (zoo J49): the fault handler runs with the lock held, and wants it itself.
  if (!config.hmmUnlockHole && ret === WALK_FAULT) range[STOP_LOCK] = ptl;
  else spin_unlock(ptl);
  return ret;
}

function table_entry(table: TablePtr, addr: number, level: number): EntryPtr {
  return table + table_index(addr, level * geom.table_shift);
}
function stretch_end(addr: number, end: number, level: number): number {
  const shift = level * geom.table_shift;
  // An entry this large spans every address there is.
  if (shift > 30) return end;
  const boundary = ((addr >> shift) + 1) << shift;
  return boundary < end ? boundary : end;
}

/** One stretch of an area from addr on: a table's entries, a leaf, or a hole; out[1] is its end. */
function hmm_walk_stretch(
  range: LocalArray,
  pfns: LocalArray,
  vma: Vma,
  addr: number,
  end: number,
  out: LocalArray,
): number {
  let table = pgd_table(READ_ONCE(vma + VMA.vm_mm));
  for (let l = geom.levels - 1; l > PMD_LEVEL; l--) {
    const entryp = table_entry(table, addr, l);
    out[1] = stretch_end(addr, end, l);
    if (l === PUD_LEVEL) {
      const ret = hmm_vma_walk_pud(range, pfns, vma, entryp, addr, out[1], out);
      if (ret !== WALK_BELOW) return ret;
      table = out[0];
    } else {
      const e = READ_ONCE(entryp);
      if (e === 0) return hmm_vma_walk_hole(range, pfns, vma, addr, out[1]);
      table = pmd_page_table(e);
    }
  }
  out[1] = stretch_end(addr, end, PMD_LEVEL);
  if (geom.levels < 2) return hmm_vma_walk_ptes(range, pfns, vma, table, addr, out[1]);
  return hmm_vma_walk_pmd(range, pfns, vma, table_entry(table, addr, PMD_LEVEL), addr, out[1]);
}

/**
 * hmm_vma_walk_test(): areas whose frames are no business of a device. 0: walk it; WALK_SKIPPED; an error.
 * Read: v5.10, v6.1, v6.12, v7.3.
 */
function hmm_vma_walk_test(range: LocalArray, pfns: LocalArray, vma: Vma, addr: number, end: number): number {
  const refused = config.hmmMixedMap ? VM_IO | VM_PFNMAP : VM_IO | VM_PFNMAP | VM_MIXEDMAP;
  const flags = READ_ONCE(vma + VMA.vm_flags);
  // Device-dax areas were VM_MIXEDMAP but vma_is_dax(), which v5.10 lets through.
  const dax = READ_ONCE(vma + VMA.vm_file) !== 0;
  const bad = dax ? flags & (VM_IO | VM_PFNMAP) : flags & refused;
  if (bad === 0 && (flags & VM_READ) !== 0) return 0;
  // "add missing call to hmm_range_need_fault() before returning EFAULT" (v5.7)
  if (config.hmm === HMM_V5_6 && bad !== 0) return -EFAULT;
  if (hmm_range_need_fault(range, pfns, addr, end, 0) !== 0) return -EFAULT;
  hmm_pfns_fill(range, pfns, addr, end, config.hmm === HMM_V5_6 ? 0 : HMM_PFN_ERROR);
  return WALK_SKIPPED;
}

/** walk_page_range() of what is not yet done. */
function hmm_walk_range(mm: Mm, range: LocalArray, pfns: LocalArray): number {
  const out = localArray(2);
  const end = range[HMM_RANGE_END];
  let addr = range[HMM_RANGE_LAST];
  while (addr < end) {
    const vma = find_vma(mm, addr);
    const vm_start = vma === 0 ? end : READ_ONCE(vma + VMA.vm_start);
    let next = end;
    let ret = 0;
    if (vm_start > addr) {
      if (vm_start < end) next = vm_start;
      ret = hmm_vma_walk_hole(range, pfns, 0, addr, next);
    } else {
      const vm_end = READ_ONCE(vma + VMA.vm_end);
      const stop = vm_end < end ? vm_end : end;
      ret = hmm_vma_walk_test(range, pfns, vma, addr, stop);
      if (ret === WALK_SKIPPED) {
        next = stop;
        ret = 0;
      } else if (ret === 0) {
        ret = hmm_walk_stretch(range, pfns, vma, addr, stop, out);
        next = out[1];
      }
    }
    if (ret !== 0) return ret;
    addr = next;
  }
  return 0;
}

/**
 * Fills pfns[] for the range, faulting where the flags ask for it. Caller holds mmap_lock for reading and
 * has begun with mmu_interval_read_begin(); it must compare the sequence again, under its own lock, before
 * it uses a frame. 0; -EBUSY: begin again; -EFAULT: an address that cannot be faulted; -EPERM: write
 * access to a read-only area. Read: v5.10, v6.1, v6.12, v7.3. Custom: the handler runs when the walk has
 * returned, as in v7.3; before it ran inside the walk, with the same lock held. Stub: v7.3's
 * hmm_range_fault_unlocked(), which may drop mmap_lock.
 */
export function hmm_range_fault(mm: Mm, range: LocalArray, pfns: LocalArray): number {
  range[HMM_RANGE_LAST] = range[HMM_RANGE_START];
  for (;;) {
    if (config.hmmCheckRetry && mmu_interval_check_retry(range[HMM_RANGE_NOTIFIER], range[HMM_RANGE_SEQ]))
      return -EBUSY;
    let ret = hmm_walk_range(mm, range, pfns);
    if (ret === WALK_FAULT) {
      ret = hmm_vma_fault(range, pfns);
      if (!config.hmmUnlockHole && range[STOP_LOCK] !== 0) {
        spin_unlock(range[STOP_LOCK]);
        range[STOP_LOCK] = 0;
      }
    } else if (ret === WALK_WAIT) {
      migration_entry_wait(mm, range[STOP_ARG]);
      ret = -EBUSY;
    }
    // "When -EBUSY is returned the loop restarts with hmm_vma_walk.last set to an address that has not been
    // stored in pfns."
    if (ret !== -EBUSY) return ret;
  }
}
