/**
 * The other requests that the kernel's test device understands (lib/test_hmm.c): migrate a range to the
 * device's memory and back, take pages for the device alone, and a snapshot of what hmm_range_fault() sees
 * without faulting.
 *
 * Custom: make_device_exclusive_range() works on pages that are mapped writable by then, instead of by a GUP
 * of its own.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import {
  type LocalArray,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { alloc_device_page } from "./device_page.ts";
import {
  DMIRROR,
  type Dmirror,
  type DmirrorDevice,
  DPT_ENTRY_ATOMIC,
  DPT_ENTRY_VALID,
  DPT_ENTRY_WRITE,
  DPT_PFN_SHIFT,
  dmirror_do_update,
  dmirror_pt_slot,
} from "./dmirror.ts";
import { dmirror_migrate_home } from "./dmirror_devmem.ts";
import { EBUSY, EFAULT, EINVAL } from "./errno.ts";
import {
  HMM_PFN_ERROR,
  HMM_PFN_ORDER_SHIFT,
  HMM_PFN_SHIFT,
  HMM_PFN_VALID,
  HMM_PFN_WRITE,
  HMM_RANGE_SIZE,
} from "./hmm.ts";
import { handle_mm_fault, VM_FAULT_ERROR } from "./hmm_fault.ts";
import {
  MIGRATE_PFN_MIGRATE,
  MIGRATE_PFN_WRITE,
  MIGRATE_VMA_SELECT_SYSTEM,
  migrate_pfn,
  migrate_pfn_to_page,
  migrate_vma_finalize,
  migrate_vma_pages,
  migrate_vma_setup,
} from "./migrate_device.ts";
import { is_device_coherent_page, is_device_private_page, mm_find_pte } from "./migrate_entry.ts";
import { MM, type Mm, VM_WRITE, VMA } from "./mm_types.ts";
import { mmap_read_lock, mmap_read_unlock, vma_lookup } from "./mmap.ts";
import { mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start } from "./mmu_notifier.ts";
import { MMU_NOTIFY_EXCLUSIVE } from "./mmu_notifier_types.ts";
import { PAGE, page_address, page_pgmap, page_to_pfn, page_word, pfn_to_page } from "./page.ts";
import { lock_page } from "./pagemap.ts";
import { DEV_PAGEMAP } from "./pgmap.ts";
import {
  pte_pfn,
  pte_present,
  pte_special,
  pte_write,
  ptep_get,
  ptep_get_and_clear,
  SWP_DEVICE_EXCLUSIVE,
  set_pte_at,
  swp_entry,
} from "./pgtable.ts";
import { copy_contents } from "./ram_page.ts";
import { DMIRROR_MAX, dmirror_init_range, dmirror_range_fault } from "./test_hmm.ts";
import { flush_tlb_range } from "./tlb.ts";

// HMM_DMIRROR_PROT_*, lib/test_hmm_uapi.h.
export const HMM_DMIRROR_PROT_ERROR = 0xff;
export const HMM_DMIRROR_PROT_NONE = 0;
export const HMM_DMIRROR_PROT_READ = 1;
export const HMM_DMIRROR_PROT_WRITE = 2;
export const HMM_DMIRROR_PROT_PMD = 4;
export const HMM_DMIRROR_PROT_PUD = 8;
export const HMM_DMIRROR_PROT_ZERO = 0x10;
export const HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL = 0x20;
export const HMM_DMIRROR_PROT_DEV_PRIVATE_REMOTE = 0x30;
export const HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL = 0x40;
export const HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE = 0x50;

// ---- Migration --------------------------------------------------------------------------------------------

/** dmirror_migrate_alloc_and_copy(): a page of the device, with the contents, for each page that can move. */
function alloc_and_copy_to_device(dmirror: Dmirror, n: number, src: LocalArray, dst: LocalArray): void {
  const mdevice: DmirrorDevice = READ_ONCE(dmirror + DMIRROR.mdevice);
  for (let i = 0; i < n; i++) {
    dst[i] = 0;
    if ((src[i] & MIGRATE_PFN_MIGRATE) === 0) continue;
    const to = alloc_device_page(mdevice);
    if (to === 0) continue;
    lock_page(to);
    const from = migrate_pfn_to_page(src[i]);
    if (from !== 0) copy_contents(page_address(to), page_address(from));
    else WRITE_ONCE(page_address(to), 0);
    // zone_device_data: whose translation goes when the page does.
    WRITE_ONCE(page_word(to, PAGE.private), dmirror);
    dst[i] = migrate_pfn(page_to_pfn(to));
  }
}

/**
 * dmirror_migrate_finalize_and_map(): the device's table leads to the pages that moved; their number. Nothing
 * here tells that the CPU's entry went meanwhile: then the device keeps a page that migrate_vma_finalize()
 * gives back (C8, private-to-device).
 */
function finalize_and_map(
  dmirror: Dmirror,
  start: number,
  n: number,
  src: LocalArray,
  dst: LocalArray,
): number {
  let moved = 0;
  spin_lock(dmirror + DMIRROR.mutex);
  for (let i = 0; i < n; i++) {
    const to = migrate_pfn_to_page(dst[i]);
    if (to === 0 || (src[i] & MIGRATE_PFN_MIGRATE) === 0) continue;
    moved++;
    if (!config.dmirrorMapMigrated) continue;
    const write = (src[i] & MIGRATE_PFN_WRITE) !== 0 || migrate_pfn_to_page(src[i]) === 0;
    WRITE_ONCE(
      dmirror_pt_slot(dmirror, start + i),
      (page_to_pfn(to) << DPT_PFN_SHIFT) | DPT_ENTRY_VALID | (write ? DPT_ENTRY_WRITE : 0),
    );
  }
  spin_unlock(dmirror + DMIRROR.mutex);
  return moved;
}

/**
 * The device loses what it had of [start, end), which its callback left: with the notifier's sequence it
 * faults anew.
 */
function forget_before_copy(dmirror: Dmirror, start: number, end: number): void {
  spin_lock(dmirror + DMIRROR.mutex);
  dmirror_do_update(dmirror, start, end);
  spin_unlock(dmirror + DMIRROR.mutex);
}

/**
 * HMM_DMIRROR_MIGRATE_TO_DEV: the number of pages that moved, or -EINVAL for a range that is not in one area.
 */
export function dmirror_migrate_to_device(dmirror: Dmirror, start: number, nr: number): number {
  const src = localArray(DMIRROR_MAX);
  const dst = localArray(DMIRROR_MAX);
  const mm: Mm = READ_ONCE(dmirror + DMIRROR.mm);
  const mdevice = READ_ONCE(dmirror + DMIRROR.mdevice);
  if (nr > DMIRROR_MAX || nr < 1) return -EINVAL;
  mmap_read_lock(mm);
  const vma = vma_lookup(mm, start);
  let moved = -EINVAL;
  if (vma !== 0 && start + nr <= READ_ONCE(vma + VMA.vm_end)) {
    migrate_vma_setup(vma, start, start + nr, src, MIGRATE_VMA_SELECT_SYSTEM, mdevice, 0);
    if (!config.dmirrorMapMigrated) forget_before_copy(dmirror, start, start + nr);
    alloc_and_copy_to_device(dmirror, nr, src, dst);
    migrate_vma_pages(vma, start, nr, src, dst, mdevice, 0);
    moved = finalize_and_map(dmirror, start, nr, src, dst);
    migrate_vma_finalize(nr, src, dst, 0);
  }
  mmap_read_unlock(mm);
  return moved;
}

/** HMM_DMIRROR_MIGRATE_TO_SYS: the number of pages that came home, or -EINVAL. */
export function dmirror_migrate_to_system(dmirror: Dmirror, start: number, nr: number): number {
  const src = localArray(DMIRROR_MAX);
  const dst = localArray(DMIRROR_MAX);
  const mm: Mm = READ_ONCE(dmirror + DMIRROR.mm);
  if (nr > DMIRROR_MAX || nr < 1) return -EINVAL;
  mmap_read_lock(mm);
  const vma = vma_lookup(mm, start);
  let moved = -EINVAL;
  if (vma !== 0 && start + nr <= READ_ONCE(vma + VMA.vm_end)) {
    dmirror_migrate_home(vma, start, start + nr, READ_ONCE(dmirror + DMIRROR.mdevice), src, dst, 0);
    moved = 0;
    for (let i = 0; i < nr; i++) if ((src[i] & MIGRATE_PFN_MIGRATE) !== 0 && dst[i] !== 0) moved++;
  }
  mmap_read_unlock(mm);
  return moved;
}

// ---- Exclusive access -------------------------------------------------------------------------------------

/**
 * make_device_exclusive_range() of one page: the CPU's entry becomes a device-exclusive one, so that any CPU
 * access ends the device's privilege; false if the page cannot be had. Caller holds mmap_lock.
 */
function make_device_exclusive(dmirror: Dmirror, addr: number): boolean {
  const mm: Mm = READ_ONCE(dmirror + DMIRROR.mm);
  const vma = vma_lookup(mm, addr);
  if (vma === 0 || (READ_ONCE(vma + VMA.vm_flags) & VM_WRITE) === 0) return false;
  if ((handle_mm_fault(vma, addr, true) & VM_FAULT_ERROR) !== 0) return false;
  mmu_notifier_invalidate_range_start(
    mm,
    addr,
    addr + 1,
    MMU_NOTIFY_EXCLUSIVE,
    READ_ONCE(dmirror + DMIRROR.mdevice),
  );
  spin_lock(mm + MM.page_table_lock);
  const ptep = mm_find_pte(mm, addr);
  const e = ptep === 0 ? 0 : ptep_get(ptep);
  const ok = pte_present(e) && pte_write(e) && !pte_special(e);
  if (ok) {
    ptep_get_and_clear(ptep);
    flush_tlb_range();
    set_pte_at(ptep, swp_entry(SWP_DEVICE_EXCLUSIVE, pte_pfn(e)));
    spin_lock(dmirror + DMIRROR.mutex);
    // dmirror_atomic_map()
    WRITE_ONCE(
      dmirror_pt_slot(dmirror, addr),
      (pte_pfn(e) << DPT_PFN_SHIFT) | DPT_ENTRY_VALID | DPT_ENTRY_WRITE | DPT_ENTRY_ATOMIC,
    );
    spin_unlock(dmirror + DMIRROR.mutex);
  }
  spin_unlock(mm + MM.page_table_lock);
  mmu_notifier_invalidate_range_end(mm);
  return ok;
}

/** HMM_DMIRROR_EXCLUSIVE: 0, or -EBUSY if not every page could be had. */
export function dmirror_exclusive(dmirror: Dmirror, start: number, nr: number): number {
  const mm: Mm = READ_ONCE(dmirror + DMIRROR.mm);
  let got = 0;
  mmap_read_lock(mm);
  for (let addr = start; addr < start + nr; addr++) if (make_device_exclusive(dmirror, addr)) got++;
  mmap_read_unlock(mm);
  return got === nr ? 0 : -EBUSY;
}
/** HMM_DMIRROR_CHECK_EXCLUSIVE: true if the device still has addr's page for itself. */
export function dmirror_check_exclusive(dmirror: Dmirror, addr: number): boolean {
  const slot = dmirror_pt_slot(dmirror, addr);
  return slot !== 0 && (READ_ONCE(slot) & DPT_ENTRY_ATOMIC) !== 0;
}

// ---- Snapshot ---------------------------------------------------------------------------------------------

/** dmirror_mkentry(): what an element of hmm_pfns[] says, as HMM_DMIRROR_PROT_*. */
function dmirror_mkentry(dmirror: Dmirror, v: number): number {
  if ((v & HMM_PFN_ERROR) !== 0) return HMM_DMIRROR_PROT_ERROR;
  if ((v & HMM_PFN_VALID) === 0) return HMM_DMIRROR_PROT_NONE;
  const pfn = v >>> HMM_PFN_SHIFT;
  const page = pfn_to_page(pfn);
  const own = READ_ONCE(dmirror + DMIRROR.mdevice);
  let perm = HMM_DMIRROR_PROT_NONE;
  if (kernel.zero_pfn !== 0 && pfn === kernel.zero_pfn) perm = HMM_DMIRROR_PROT_ZERO;
  else if (is_device_private_page(page)) perm = HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL;
  else if (is_device_coherent_page(page))
    perm =
      READ_ONCE(page_pgmap(page) + DEV_PAGEMAP.owner) === own
        ? HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL
        : HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE;
  const order = (v >>> HMM_PFN_ORDER_SHIFT) & 0x1f;
  if (order !== 0) perm |= order === geom.table_shift ? HMM_DMIRROR_PROT_PMD : HMM_DMIRROR_PROT_PUD;
  return perm | ((v & HMM_PFN_WRITE) !== 0 ? HMM_DMIRROR_PROT_WRITE : HMM_DMIRROR_PROT_READ);
}

/**
 * HMM_DMIRROR_SNAPSHOT: out[i] is HMM_DMIRROR_PROT_* of page start + i. 0 or an error. Nothing is faulted in.
 */
export function dmirror_snapshot(dmirror: Dmirror, start: number, nr: number, out: LocalArray): number {
  const range = localArray(HMM_RANGE_SIZE);
  const pfns = localArray(DMIRROR_MAX);
  if (nr > DMIRROR_MAX || nr < 1) return -EINVAL;
  dmirror_init_range(dmirror, range, start, start + nr, 0);
  const ret = dmirror_range_fault(dmirror, range, pfns);
  if (ret !== 0) return ret === -EBUSY ? ret : -EFAULT;
  for (let i = 0; i < nr; i++) out[i] = dmirror_mkentry(dmirror, pfns[i]);
  spin_unlock(dmirror + DMIRROR.mutex);
  return 0;
}
