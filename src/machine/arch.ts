/**
 * Architecture descriptors: the facts about an architecture that decide what excludes a lockless page-table
 * walker from teardown. From mm/gup.c's list of assumptions and the arch code named beside each entry (Linux
 * v5.10 to v7.1). Descriptors are numbers, so that a branch on one is folded away when a program is linked.
 */

/** How a remote TLB flush reaches the other CPUs. */
// interrupts every CPU and waits: returns only when none is inside an irq-off section
export const TLB_FLUSH_IPI = 0;
export const TLB_FLUSH_BROADCAST = 1; // an instruction that every TLB obeys; interrupts nobody
// the hypervisor flushes for vCPUs that do not run; these are not interrupted
export const TLB_FLUSH_PARAVIRT = 2;
// a firmware call (SBI); does not respect the supervisor's interrupts-off
export const TLB_FLUSH_FIRMWARE = 3;

/** When a page-table page that was unlinked and flushed is freed. */
const TABLE_FREE_IMMEDIATE = 0;
export const TABLE_FREE_RCU = 1; // MMU_GATHER_RCU_TABLE_FREE

/** In which order the struct pages of removed memory are unmapped and freed (vmemmap_free(), v7.1). */
// remove_pte_table() of x86 and powerpc, modify_pte_table() of s390
export const VMEMMAP_FREE_CLEAR_FLUSH = 0;
export const VMEMMAP_CLEAR_FREE_FLUSH = 1; // remove_pte_mapping() of riscv
export const VMEMMAP_CLEAR_FLUSH_FREE = 2; // unmap_hotplug_pte_range() of arm64

export type MemoryModelName = "sc" | "tso" | "lkmm";

export interface Arch {
  readonly name: string;
  readonly title: string;
  /** The hardware's model. "lkmm" stands for any weak machine: explored under SC and TSO only for now. */
  readonly model: MemoryModelName;
  readonly tlbFlush: number;
  readonly tableFree: number;
  /** tlb_remove_table_sync_one() sends its IPI (MMU_GATHER_RCU_TABLE_FREE); else it is empty. */
  readonly syncOne: number;
  /** An irq-off section is an RCU read-side section (consolidated RCU, since v4.20). */
  readonly irqOffIsRcuReader: number;
  readonly vmemmapFree: number;
  /** ptep_get_and_clear() is an exchange that orders nothing. */
  readonly pteExchangeRelaxed: number;
  /** Page-table levels of the usual configuration. */
  readonly levels: number;
}

export const ARCHITECTURES: readonly Arch[] = [
  {
    // arch/x86/mm/tlb.c: flush_tlb_others() is an IPI with wait; tables freed at once up to v6.14.
    name: "x86-64",
    title: "x86-64, bare metal",
    model: "tso",
    tlbFlush: TLB_FLUSH_IPI,
    tableFree: TABLE_FREE_IMMEDIATE,
    syncOne: 0,
    irqOffIsRcuReader: 1,
    vmemmapFree: VMEMMAP_FREE_CLEAR_FLUSH,
    pteExchangeRelaxed: 0,
    levels: 4,
  },
  {
    // v6.15, 4afeb0ed1753 and a37259732a7d: broadcast flush, so tables are freed by RCU always.
    name: "x86-64-invlpgb",
    title: "x86-64 with INVLPGB",
    model: "tso",
    tlbFlush: TLB_FLUSH_BROADCAST,
    tableFree: TABLE_FREE_RCU,
    syncOne: 1,
    irqOffIsRcuReader: 1,
    vmemmapFree: VMEMMAP_FREE_CLEAR_FLUSH,
    pteExchangeRelaxed: 0,
    levels: 5,
  },
  {
    // arch/x86/kernel/kvm.c: kvm_flush_tlb_multi() skips preempted vCPUs.
    name: "x86-64-kvm",
    title: "x86-64, KVM guest",
    model: "tso",
    tlbFlush: TLB_FLUSH_PARAVIRT,
    tableFree: TABLE_FREE_RCU,
    syncOne: 1,
    irqOffIsRcuReader: 1,
    vmemmapFree: VMEMMAP_FREE_CLEAR_FLUSH,
    pteExchangeRelaxed: 0,
    levels: 4,
  },
  {
    // TLBI ...IS and DSB.
    name: "arm64",
    title: "arm64",
    model: "lkmm",
    tlbFlush: TLB_FLUSH_BROADCAST,
    tableFree: TABLE_FREE_RCU,
    syncOne: 1,
    irqOffIsRcuReader: 1,
    vmemmapFree: VMEMMAP_CLEAR_FLUSH_FREE,
    pteExchangeRelaxed: 1,
    levels: 4,
  },
  {
    // tlbie broadcast.
    name: "powerpc-radix",
    title: "powerpc, radix",
    model: "lkmm",
    tlbFlush: TLB_FLUSH_BROADCAST,
    tableFree: TABLE_FREE_RCU,
    syncOne: 1,
    irqOffIsRcuReader: 1,
    vmemmapFree: VMEMMAP_FREE_CLEAR_FLUSH,
    pteExchangeRelaxed: 1,
    levels: 4,
  },
  {
    // IPTE, IDTE, CRDTE.
    name: "s390",
    title: "s390",
    model: "tso",
    tlbFlush: TLB_FLUSH_BROADCAST,
    tableFree: TABLE_FREE_RCU,
    syncOne: 1,
    irqOffIsRcuReader: 1,
    vmemmapFree: VMEMMAP_FREE_CLEAR_FLUSH,
    pteExchangeRelaxed: 0,
    levels: 4,
  },
  {
    // SBI remote fence; HAVE_FAST_GUP since v6.9.
    name: "riscv",
    title: "riscv",
    model: "lkmm",
    tlbFlush: TLB_FLUSH_FIRMWARE,
    tableFree: TABLE_FREE_RCU,
    syncOne: 1,
    irqOffIsRcuReader: 1,
    vmemmapFree: VMEMMAP_CLEAR_FREE_FLUSH,
    pteExchangeRelaxed: 0,
    levels: 4,
  },
];
