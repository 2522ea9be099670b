/**
 * Sections of memory (mm/sparse.c, include/linux/mmzone.h, SPARSEMEM_VMEMMAP): which frames have struct
 * pages, which are online, and how a section goes: section_deactivate(), its `usage` map, and the struct
 * pages themselves, in the order of the architecture: x86, powerpc and s390 free a frame of the vmemmap
 * before they clear the entry that maps it, riscv before the flush, arm64 after it (vmemmap_free(), v7.1;
 * machine/arch.ts).
 *
 * A frame walker reaches a struct page through the entry of the vmemmap, so a walk of it and the access
 * behind it are one instruction to the TLB flush: here an irq-off section, which the flush waits for.
 *
 * Custom: a section is 2^kernel.section_shift frames and has as many sub-sections; its struct pages are whole
 * frames of the vmemmap. Not covered: early sections, which are never freed, and page_ext.
 */
"use kernel";

import {
  VMEMMAP_CLEAR_FLUSH_FREE,
  VMEMMAP_CLEAR_FREE_FLUSH,
  VMEMMAP_FREE_CLEAR_FLUSH,
} from "../machine/arch.ts";
import { arch, config, geom, kernel } from "../machine/config.ts";
import {
  assert,
  call_rcu,
  kfree,
  local_irq_restore,
  local_irq_save,
  READ_ONCE,
  rcu_read_lock,
  rcu_read_unlock,
  smp_call_function,
  synchronize_rcu,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { type Ptr, struct } from "../machine/struct.ts";
import { PAGE_STRUCT_SHIFT, type Page, page_to_pfn } from "./page.ts";

export type MemSection = Ptr<"mem_section">;

/** section_mem_map holds the flags below; usage is the address of a word with a bit per sub-section. */
export const MEM_SECTION = struct("mem_section", ["section_mem_map", "usage"]);
export const SECTION_HAS_MEM_MAP = 2;
export const SECTION_IS_ONLINE = 4;
export const SECTION_TAINT_ZONE_DEVICE = 16;

export function pfn_to_section(pfn: number): MemSection {
  return kernel.mem_section + (pfn >> kernel.section_shift) * MEM_SECTION.SIZE;
}
function subsection_bit(pfn: number): number {
  return 1 << (pfn & ((1 << kernel.section_shift) - 1));
}
export function valid_section(ms: MemSection): boolean {
  return (READ_ONCE(ms + MEM_SECTION.section_mem_map) & SECTION_HAS_MEM_MAP) !== 0;
}
export function online_section(ms: MemSection): boolean {
  return (READ_ONCE(ms + MEM_SECTION.section_mem_map) & SECTION_IS_ONLINE) !== 0;
}
export function section_set_flags(ms: MemSection, flags: number): void {
  WRITE_ONCE(ms + MEM_SECTION.section_mem_map, READ_ONCE(ms + MEM_SECTION.section_mem_map) | flags);
}
export function section_clear_flags(ms: MemSection, flags: number): void {
  WRITE_ONCE(ms + MEM_SECTION.section_mem_map, READ_ONCE(ms + MEM_SECTION.section_mem_map) & ~flags);
}

/**
 * pfn_section_valid(): the sub-section has struct pages. Read: v5.10, v6.1, v6.12, v7.3, all with
 * 82f0b6f041fa; what was before it is after that commit.
 */
function pfn_section_valid(ms: MemSection, pfn: number): boolean {
  const usage = READ_ONCE(ms + MEM_SECTION.usage);
  // 82f0b6f041fa: "usage ? test_bit(idx, usage->subsection_map) : 0"; before it a NULL is followed.
  if (config.sectionUsageRcu) return usage !== 0 && (READ_ONCE(usage) & subsection_bit(pfn)) !== 0;
  assert(usage !== 0, "pfn_valid() follows memory_section->usage, which is NULL");
  return (READ_ONCE(usage) & subsection_bit(pfn)) !== 0;
}
/**
 * pfn_valid(): the frame has a struct page now; nothing keeps it there. Read: v5.10, v6.1, v6.12, v7.3.
 * Custom: the RCU section is that of v5.10.223; from v6.1 on it is one of rcu_read_lock_sched(), which
 * waits are the same for.
 */
export function pfn_valid(pfn: number): boolean {
  const ms = pfn_to_section(pfn);
  if (config.sectionUsageRcu) rcu_read_lock();
  const ret = valid_section(ms) && pfn_section_valid(ms, pfn);
  if (config.sectionUsageRcu) rcu_read_unlock();
  return ret;
}

// ---- Touching a struct page through the vmemmap -----------------------------------------------------------

/**
 * Address of the field, translated; an entry that was cleared is a page fault in the kernel. Interrupts are
 * off.
 */
function vmemmap_translate(page: Page, field: number): number {
  if (!config.vmemmapMapped) return page + field;
  const pfn = page_to_pfn(page);
  const frame = READ_ONCE(kernel.vmemmap_table + (pfn >> geom.vmemmap_shift));
  assert(frame !== 0, "oops: the struct page is not mapped any more");
  return frame + ((pfn & ((1 << geom.vmemmap_shift) - 1)) << PAGE_STRUCT_SHIFT) + field;
}
/** A load from a struct page by a walker that holds nothing. */
export function vmemmap_read(page: Page, field: number): number {
  const flags = local_irq_save();
  const v = READ_ONCE(vmemmap_translate(page, field));
  local_irq_restore(flags);
  return v;
}
/** Begins an access of a struct page by an atomic: its address until vmemmap_access_end(). */
export function vmemmap_access(page: Page, field: number): number {
  return vmemmap_translate(page, field);
}

/** flush_tlb_kernel_range(): no CPU uses the old translation any more, whatever the mechanism. */
export function flush_tlb_kernel_range(): void {
  if (config.tlbFlush) smp_call_function(0, 0);
}

// ---- Removal ----------------------------------------------------------------------------------------------

/** Callback of call_rcu(), kfree_rcu() of the usage map. */
export function section_usage_free_rcu(usage: number): void {
  kfree(usage);
}

/** depopulate_section_memmap(): vmemmap_free() of whole frames. */
function depopulate_section_memmap(start_pfn: number, nr: number): void {
  if (config.vmemmapRcu) synchronize_rcu();
  const first = start_pfn >> geom.vmemmap_shift;
  const last = (start_pfn + nr) >> geom.vmemmap_shift;
  for (let frame = first; frame < last; frame++) {
    if (!config.vmemmapMapped) {
      kfree(kernel.vmemmap + (frame << (geom.vmemmap_shift + PAGE_STRUCT_SHIFT)));
      continue;
    }
    const slot = kernel.vmemmap_table + frame;
    const storage = READ_ONCE(slot);
    if (arch.vmemmapFree === VMEMMAP_FREE_CLEAR_FLUSH) kfree(storage);
    WRITE_ONCE(slot, 0);
    if (arch.vmemmapFree === VMEMMAP_CLEAR_FREE_FLUSH) kfree(storage);
    flush_tlb_kernel_range();
    if (arch.vmemmapFree === VMEMMAP_CLEAR_FLUSH_FREE) kfree(storage);
  }
}

/**
 * section_deactivate(): nr frames from pfn on lose their struct pages, and the section goes with its last
 * sub-section. Read: v5.10, v6.1, v6.12, v7.3. Custom: usage is cleared before the callback is queued, in
 * the kernel after; the section's word is not cleared as a whole at the end.
 */
export function section_deactivate(pfn: number, nr: number): void {
  const ms = pfn_to_section(pfn);
  const usage = READ_ONCE(ms + MEM_SECTION.usage);
  let map = READ_ONCE(usage);
  for (let i = 0; i < nr; i++) map &= ~subsection_bit(pfn + i);
  WRITE_ONCE(usage, map);
  if (map === 0) {
    if (config.sectionUsageRcu) {
      // "Mark the section invalid so that valid_section() return false."
      section_clear_flags(ms, SECTION_HAS_MEM_MAP);
      WRITE_ONCE(ms + MEM_SECTION.usage, 0);
      call_rcu(usage, section_usage_free_rcu);
    } else {
      kfree(usage);
      WRITE_ONCE(ms + MEM_SECTION.usage, 0);
      section_clear_flags(ms, SECTION_HAS_MEM_MAP);
    }
  }
  depopulate_section_memmap(pfn, nr);
}
