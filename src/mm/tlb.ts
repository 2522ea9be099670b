/**
 * TLB flushes by architecture, as far as they concern other CPUs that walk page tables in software: what a
 * flush waits for (mm/gup.c's list of assumptions; arch/*, named in machine/arch.ts), and
 * tlb_remove_table_sync_one() (mm/mmu_gather.c). Every flush is a full barrier: inc_mm_tlb_gen() on x86, DSB
 * on arm64.
 *
 * Custom: an IPI flush goes to every other CPU, not just to mm_cpumask(mm). A paravirtual flush may skip any
 * vCPU that the hypervisor has preempted, irq-off section or not; here it waits for nobody, which allows
 * every execution of each choice of skipped vCPUs. Not covered: the TLBs themselves, that is user accesses
 * through stale translations.
 */
"use kernel";

import { TLB_FLUSH_IPI } from "../machine/arch.ts";
import { arch, config } from "../machine/config.ts";
import { smp_call_function, smp_mb } from "../machine/primitives.ts";

/** flush_tlb_mm_range(): returns when every CPU has dropped the range's translations. */
export function flush_tlb_range(): void {
  if (!config.tlbFlush) return;
  smp_mb();
  if (arch.tlbFlush === TLB_FLUSH_IPI && config.ipi) smp_call_function(0, 0);
}

/**
 * After it no CPU is in an irq-off section that began before. Empty where tables are freed at once after the
 * flush.
 */
export function tlb_remove_table_sync_one(): void {
  if (arch.syncOne && config.syncOne) smp_call_function(0, 0);
}
