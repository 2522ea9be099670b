/**
 * Page tables: the form of an entry, the predicates of include/linux/pgtable.h and
 * arch/x86/include/asm/pgtable.h on it, and how a table is found from an entry's *value*, as lockless walkers
 * must (p4d_offset_lockless() and kin, d3f7b1bb2040). Tables are 2^geom.table_shift entries of one word, 1 to
 * 5 levels, all of one form; a missing level is folded from the top, so that with two levels the PMD table is
 * what mm->pgd points at.
 *
 * Not covered: protection keys, soft-dirty and userfaultfd bits, global entries, and entries of more than a
 * word (32-bit PAE), whose halves can be torn.
 *
 *  A present entry (P = 1); a table entry has LF = 0 above the PTE level and the table's frame number as pfn:
 *
 *    31               11  10   9    8    7    6    5    4    3    2    1    0
 *   +------------------+----+----+----+----+----+----+----+----+----+----+----+
 *   |  pfn (21 bits)   | UW | SD | PN | SP | DM | LF | A  | D  | U  | W  | P  |
 *   +------------------+----+----+----+----+----+----+----+----+----+----+----+
 *    UW write-protected for userfaultfd
 *    SD saved dirty (software)   PN PROT_NONE   SP special   DM devmap   LF leaf (PSE)   A accessed   D dirty
 *    U user   W writable   P present for the hardware
 *
 *  P = 0, bit 8 set: PROT_NONE (NUMA hinting); the other bits keep their meaning; present for software P = 0,
 *  bit 8 clear, bit 6 set: invalidated by pmdp_invalidate(); likewise; present for software P = 0, bits 8 and
 *  6 clear: not present: 0 is none; else bits 5..1 are the swap type, 7 says that the swapped page was
 *  exclusive (v5.19), and 31..11 are the offset or pfn
 *
 * Custom: one word instead of 64 bits, 21 bits of frame number; page-table frames are numbered apart from
 * page frames and have no struct page.
 */
"use kernel";

import { arch, config, geom, kernel } from "../machine/config.ts";
import {
  assert,
  atomic_and,
  cmpxchg,
  kfree,
  kzalloc,
  type LocalArray,
  READ_ONCE,
  smp_wmb,
  ult,
  WRITE_ONCE,
  xchg,
  xchg_relaxed,
} from "../machine/primitives.ts";
import type { Ptr } from "../machine/struct.ts";
import { MM, type Mm, VM_SHADOW_STACK, VMA, type Vma } from "./mm_types.ts";

/** Address of a word that holds an entry. */
export type EntryPtr = Ptr<"pgtable_entry">;
/** Address of the first entry of a table. */
export type TablePtr = Ptr<"pgtable">;

/** Pool of page-table pages for kzalloc(). */
export const POOL_PGTABLE = 1;

export const _PAGE_PRESENT = 1 << 0;
export const _PAGE_RW = 1 << 1;
export const _PAGE_USER = 1 << 2;
export const _PAGE_DIRTY = 1 << 3;
export const _PAGE_ACCESSED = 1 << 4;
export const _PAGE_PSE = 1 << 5;
export const _PAGE_DEVMAP = 1 << 6;
export const _PAGE_SPECIAL = 1 << 7;
/** Only where P = 0. */
export const _PAGE_INVALID = 1 << 6;
export const _PAGE_SWP_EXCLUSIVE = 1 << 7;
export const _PAGE_PROTNONE = 1 << 8;
/**
 * The dirty bit of an entry that is not writable (x86 since v6.6: write-protected and dirty would mean a
 * shadow stack).
 */
export const _PAGE_SAVED_DIRTY = 1 << 9;
/** The entry is write-protected for userfaultfd (software; also where P = 0, v5.7). */
export const _PAGE_UFFD_WP = 1 << 10;
export const PFN_SHIFT = 11;
export const _PAGE_FLAGS = 0x7ff;

/** A table entry's flags (_PAGE_TABLE), and a user leaf's. */
export const _PAGE_TABLE = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED;
export const PAGE_SHARED = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED;
export const PAGE_READONLY = _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED;
export const PAGE_NONE = _PAGE_PROTNONE | _PAGE_ACCESSED;

// Swap types of include/linux/swap.h, in kind: the numbers are ours.
export const SWP_SWAP = 1;
export const SWP_MIGRATION_READ = 2;
export const SWP_MIGRATION_READ_EXCLUSIVE = 3;
export const SWP_MIGRATION_WRITE = 4;
export const SWP_DEVICE_READ = 5;
export const SWP_DEVICE_WRITE = 6;
export const SWP_DEVICE_EXCLUSIVE = 7;
export const SWP_HWPOISON = 8;
export const SWP_PTE_MARKER = 9;
export const SWP_TYPE_SHIFT = 1;
export const SWP_TYPE_MASK = 0x1f;

// Level of a table, counted from the pages.
export const PTE_LEVEL = 0;
export const PMD_LEVEL = 1;
export const PUD_LEVEL = 2;
export const P4D_LEVEL = 3;
export const PGD_LEVEL = 4;

// ---- Entries of any level ---------------------------------------------------------------------------------

function entry_pfn(e: number): number {
  return e >>> PFN_SHIFT;
}
/** Present for the kernel: also PROT_NONE and entries that are being split. */
function entry_present(e: number): boolean {
  return (e & (_PAGE_PRESENT | _PAGE_PROTNONE | _PAGE_INVALID)) !== 0;
}
function entry_protnone(e: number): boolean {
  return (e & (_PAGE_PROTNONE | _PAGE_PRESENT)) === _PAGE_PROTNONE;
}
/**
 * pte_access_permitted() of x86 without protection keys: present for the hardware, user, and writable if
 * asked.
 */
function entry_access_permitted(e: number, write: boolean): boolean {
  const need = write ? _PAGE_PRESENT | _PAGE_USER | _PAGE_RW : _PAGE_PRESENT | _PAGE_USER;
  return (e & need) === need;
}
function entry_leaf(e: number): boolean {
  return entry_present(e) && (e & _PAGE_PSE) !== 0;
}
/** The device-page bit; kernels of v6.17 and later have none. */
function entry_devmap(e: number): boolean {
  return config.pteDevmap !== 0 && (e & _PAGE_DEVMAP) !== 0 && (e & (_PAGE_PRESENT | _PAGE_PROTNONE)) !== 0;
}
function entry_special(e: number): boolean {
  return (e & _PAGE_SPECIAL) !== 0 && (e & (_PAGE_PRESENT | _PAGE_PROTNONE)) !== 0;
}
/** The table that a table entry's value points at. */
function entry_table(e: number): TablePtr {
  return kernel.page_tables + ((e >>> PFN_SHIFT) << geom.table_shift);
}
/** Value of the entry that points at a table. */
export function mk_table_entry(table: TablePtr): number {
  return (((table - kernel.page_tables) >> geom.table_shift) << PFN_SHIFT) | _PAGE_TABLE;
}

// ---- PTE --------------------------------------------------------------------------------------------------

export function pfn_pte(pfn: number, prot: number): number {
  return (pfn << PFN_SHIFT) | prot;
}
export function pte_pfn(pte: number): number {
  return entry_pfn(pte);
}
export function pte_none(pte: number): boolean {
  return pte === 0;
}
export function pte_present(pte: number): boolean {
  return entry_present(pte);
}
export function pte_protnone(pte: number): boolean {
  return entry_protnone(pte);
}
export function pte_access_permitted(pte: number, write: boolean): boolean {
  return entry_access_permitted(pte, write);
}
export function pte_devmap(pte: number): boolean {
  return entry_devmap(pte);
}
export function pte_special(pte: number): boolean {
  return entry_special(pte);
}
/**
 * pte_shstk(): the hardware takes what is not writable but dirty for a page of a shadow stack (x86, v6.6).
 */
export function pte_shstk(pte: number): boolean {
  return kernel.shadow_stack !== 0 && (pte & (_PAGE_RW | _PAGE_DIRTY)) === _PAGE_DIRTY;
}
/** Also of a shadow stack's entry, which may be written, though not by ordinary stores (v6.6). */
export function pte_write(pte: number): boolean {
  if (kernel.shadow_stack === 0) return (pte & _PAGE_RW) !== 0;
  return (pte & _PAGE_RW) !== 0 || pte_shstk(pte);
}
export function pte_dirty(pte: number): boolean {
  return (pte & (_PAGE_DIRTY | _PAGE_SAVED_DIRTY)) !== 0;
}
export function pte_young(pte: number): boolean {
  return (pte & _PAGE_ACCESSED) !== 0;
}
/**
 * pte_mksaveddirty() or pte_clear_saveddirty(): the dirty bit where an entry of this writability keeps it.
 */
function pte_place_dirty(pte: number): number {
  if (!config.savedDirty || !pte_dirty(pte)) return pte;
  if ((pte & _PAGE_RW) !== 0) return (pte & ~_PAGE_SAVED_DIRTY) | _PAGE_DIRTY;
  return (pte & ~_PAGE_DIRTY) | _PAGE_SAVED_DIRTY;
}
export function pte_wrprotect(pte: number): number {
  return pte_place_dirty(pte & ~_PAGE_RW);
}
export function pte_mkwrite(pte: number): number {
  return pte_place_dirty(pte | _PAGE_RW);
}
/** pte_mkwrite() with an area (v6.6): a shadow stack's becomes pte_mkwrite_shstk()'s. */
export function pte_mkwrite_vma(pte: number, vma: Vma): number {
  if (kernel.shadow_stack !== 0 && (READ_ONCE(vma + VMA.vm_flags) & VM_SHADOW_STACK) !== 0)
    return (pte & ~(_PAGE_RW | _PAGE_SAVED_DIRTY)) | _PAGE_DIRTY;
  return pte_mkwrite(pte);
}
export function pte_mkdirty(pte: number): number {
  return pte_place_dirty(pte | _PAGE_DIRTY);
}
export function pte_mkclean(pte: number): number {
  return pte & ~(_PAGE_DIRTY | _PAGE_SAVED_DIRTY);
}
export function pte_mkyoung(pte: number): number {
  return pte | _PAGE_ACCESSED;
}
/**
 * The entry with another protection (a PAGE_* value); frame, dirty, accessed, special, devmap and leaf stay.
 */
export function pte_modify(pte: number, prot: number): number {
  const keep =
    _PAGE_DIRTY |
    _PAGE_SAVED_DIRTY |
    _PAGE_ACCESSED |
    _PAGE_PSE |
    _PAGE_DEVMAP |
    _PAGE_SPECIAL |
    _PAGE_UFFD_WP |
    (-1 << PFN_SHIFT);
  const modified = (pte & keep) | (prot & ~_PAGE_ACCESSED);
  // "Only do this if the old value was Write=1 to avoid doing this on Shadow Stack PTEs."
  return pte_shstk(pte) ? modified : pte_place_dirty(modified);
}
export function pte_mkold(pte: number): number {
  return pte & ~_PAGE_ACCESSED;
}

// ---- userfaultfd ------------------------------------------------------------------------------------------

export function pte_uffd_wp(pte: number): boolean {
  return (pte & _PAGE_UFFD_WP) !== 0;
}
/** pte_mkuffd_wp(): also not writable. */
export function pte_mkuffd_wp(pte: number): number {
  return pte_wrprotect(pte | _PAGE_UFFD_WP);
}
export function pte_clear_uffd_wp(pte: number): number {
  return pte & ~_PAGE_UFFD_WP;
}

// ---- Non-present entries ----------------------------------------------------------------------------------

export function swp_entry(type: number, offset: number): number {
  return (offset << PFN_SHIFT) | (type << SWP_TYPE_SHIFT);
}
/** The swap type of a non-present entry; 0 if it is none or present. */
export function swp_type(e: number): number {
  return entry_present(e) ? 0 : (e >>> SWP_TYPE_SHIFT) & SWP_TYPE_MASK;
}
export function swp_offset(e: number): number {
  return e >>> PFN_SHIFT;
}
/** make_pte_marker(PTE_MARKER_UFFD_WP): a file's page that is not mapped is write-protected (v5.19). */
export const PTE_MARKER_UFFD_WP = (SWP_PTE_MARKER << SWP_TYPE_SHIFT) | _PAGE_UFFD_WP;

export function is_migration_entry(e: number): boolean {
  const type = swp_type(e);
  return type >= SWP_MIGRATION_READ && type <= SWP_MIGRATION_WRITE;
}
export function is_device_private_entry(e: number): boolean {
  const type = swp_type(e);
  return type === SWP_DEVICE_READ || type === SWP_DEVICE_WRITE;
}
export function is_device_exclusive_entry(e: number): boolean {
  return swp_type(e) === SWP_DEVICE_EXCLUSIVE;
}

// ---- PMD, PUD, P4D, PGD -----------------------------------------------------------------------------------

export function pmd_none(pmd: number): boolean {
  return pmd === 0;
}
export function pmd_present(pmd: number): boolean {
  return entry_present(pmd);
}
export function pmd_leaf(pmd: number): boolean {
  return entry_leaf(pmd);
}
export function pmd_protnone(pmd: number): boolean {
  return entry_protnone(pmd);
}
export function pmd_devmap(pmd: number): boolean {
  return entry_devmap(pmd);
}
export function pmd_special(pmd: number): boolean {
  return entry_special(pmd);
}
export function pmd_access_permitted(pmd: number, write: boolean): boolean {
  return entry_access_permitted(pmd, write);
}
export function pmd_pfn(pmd: number): number {
  return entry_pfn(pmd);
}
export function pfn_pmd(pfn: number, prot: number): number {
  assert(kernel.no_huge === 0, "a huge entry on a machine without them");
  return (pfn << PFN_SHIFT) | prot | _PAGE_PSE;
}
/** pmdp_invalidate()'s value: no longer present for the hardware, still pmd_present(). */
export function pmd_mkinvalid(pmd: number): number {
  return (pmd & ~(_PAGE_PRESENT | _PAGE_PROTNONE)) | _PAGE_INVALID;
}

export function pud_none(pud: number): boolean {
  return pud === 0;
}
export function pud_present(pud: number): boolean {
  return entry_present(pud);
}
export function pud_leaf(pud: number): boolean {
  return entry_leaf(pud);
}
export function pud_devmap(pud: number): boolean {
  return entry_devmap(pud);
}
export function pud_special(pud: number): boolean {
  return entry_special(pud);
}
export function pud_access_permitted(pud: number, write: boolean): boolean {
  return entry_access_permitted(pud, write);
}
export function pud_pfn(pud: number): number {
  return entry_pfn(pud);
}

export function p4d_none(p4d: number): boolean {
  return p4d === 0;
}
export function p4d_present(p4d: number): boolean {
  return entry_present(p4d);
}
export function p4d_leaf(p4d: number): boolean {
  return entry_leaf(p4d);
}
export function p4d_pfn(p4d: number): number {
  return entry_pfn(p4d);
}

export function pgd_none(pgd: number): boolean {
  return pgd === 0;
}
export function pgd_present(pgd: number): boolean {
  return entry_present(pgd);
}
export function pgd_leaf(pgd: number): boolean {
  return entry_leaf(pgd);
}
export function pgd_pfn(pgd: number): number {
  return entry_pfn(pgd);
}

// ---- Where the entry of an address lies -------------------------------------------------------------------
// Each lower table is found from the value that the walker has read, never by reading the upper entry again.

/**
 * Which entry of a table leads to addr; `shift` is log2 of what one spans. No address has bits from 31 on.
 */
export function table_index(addr: number, shift: number): number {
  return shift > 30 ? 0 : (addr >> shift) & (geom.ptrs_per_table - 1);
}
/** Top table of an address space, whatever level that is. */
export function pgd_table(mm: Mm): TablePtr {
  return READ_ONCE(mm + MM.pgd);
}
export function pgd_offset_table(table: TablePtr, addr: number): EntryPtr {
  return table + table_index(addr, geom.pgdir_shift);
}
export function p4d_offset_table(table: TablePtr, addr: number): EntryPtr {
  return table + table_index(addr, geom.p4d_shift);
}
export function pud_offset_table(table: TablePtr, addr: number): EntryPtr {
  return table + table_index(addr, geom.pud_shift);
}
export function pmd_offset_table(table: TablePtr, addr: number): EntryPtr {
  return table + table_index(addr, geom.pmd_shift);
}
export function pte_offset_table(table: TablePtr, addr: number): EntryPtr {
  return table + (addr & (geom.ptrs_per_table - 1));
}
export function pgd_page_table(pgd: number): TablePtr {
  return entry_table(pgd);
}
export function p4d_page_table(p4d: number): TablePtr {
  return entry_table(p4d);
}
export function pud_page_table(pud: number): TablePtr {
  return entry_table(pud);
}
export function pmd_page_table(pmd: number): TablePtr {
  return entry_table(pmd);
}

/** End of the entry that covers addr, or `end` if that comes first; 2^shift pages per entry. */
function addr_end(addr: number, end: number, shift: number): number {
  if (shift > 30) return end;
  const boundary = ((addr >> shift) + 1) << shift;
  // The kernel's comparison: right also where the boundary wraps.
  return ult((boundary - 1) | 0, (end - 1) | 0) ? boundary : end;
}
export function pgd_addr_end(addr: number, end: number): number {
  return addr_end(addr, end, geom.pgdir_shift);
}
export function p4d_addr_end(addr: number, end: number): number {
  return addr_end(addr, end, geom.p4d_shift);
}
export function pud_addr_end(addr: number, end: number): number {
  return addr_end(addr, end, geom.pud_shift);
}
export function pmd_addr_end(addr: number, end: number): number {
  return addr_end(addr, end, geom.pmd_shift);
}

// ---- Reading and changing entries -------------------------------------------------------------------------

export function ptep_get(ptep: EntryPtr): number {
  return READ_ONCE(ptep);
}
/** ptep_get_lockless(): one word here, so it cannot be torn. */
export function ptep_get_lockless(ptep: EntryPtr): number {
  return READ_ONCE(ptep);
}
export function set_pte_at(ptep: EntryPtr, pte: number): void {
  WRITE_ONCE(ptep, pte);
}
export function pte_clear(ptep: EntryPtr): void {
  WRITE_ONCE(ptep, 0);
}
/**
 * ptep_get_and_clear(), also of upper levels: one exchange, which also catches the hardware's dirty bit. It
 * orders nothing on arm64 (xchg_relaxed()) and powerpc (ldarx and stdcx. of __radix_pte_update()). Read:
 * v5.10, v6.1, v6.12, v7.3, in arch/ of each of x86, arm64, powerpc, s390, riscv. Custom: s390's also flushes
 * (ptep_xchg_lazy()), which is the caller's flush here.
 */
export function ptep_get_and_clear(ptep: EntryPtr): number {
  if (arch.pteExchangeRelaxed) return xchg_relaxed(ptep, 0);
  return xchg(ptep, 0);
}
/**
 * pmdp_invalidate() up to the flush, which is the caller's: the entry is gone for the hardware, and what it
 * was is what the exchange found. Read: v5.10, v6.1, v6.12, v7.3, in arch/x86 and arch/arm64
 * (pmdp_establish()).
 */
export function pmdp_invalidate(pmdp: EntryPtr): number {
  const invalid = pmd_mkinvalid(READ_ONCE(pmdp));
  if (arch.pteExchangeRelaxed) return xchg_relaxed(pmdp, invalid);
  return xchg(pmdp, invalid);
}
export function ptep_set_wrprotect(ptep: EntryPtr): void {
  if (!config.savedDirty) {
    atomic_and(~_PAGE_RW, ptep);
    return;
  }
  let old = READ_ONCE(ptep);
  for (;;) {
    const seen = cmpxchg(ptep, old, pte_wrprotect(old));
    if (seen === old) return;
    old = seen;
  }
}
export function set_pmd_at(pmdp: EntryPtr, pmd: number): void {
  WRITE_ONCE(pmdp, pmd);
}
export function pmd_clear(pmdp: EntryPtr): void {
  WRITE_ONCE(pmdp, 0);
}

// ---- Tables -----------------------------------------------------------------------------------------------

/** A table with every entry none, or 0 if there is none left. */
export function pte_alloc_one(): TablePtr {
  return kzalloc(POOL_PGTABLE);
}
/** Gives the table back at once; only for tables that no walker can hold. */
export function pte_free(table: TablePtr): void {
  kfree(table);
}

/**
 * The address of the entry of `level` for `addr`, with the tables above it made as needed; 0 if no table is
 * left or a leaf lies above. Caller holds page_table_lock. Read: v5.10, v6.1, v6.12, v7.3. Custom: one loop
 * for p4d_alloc(), pud_alloc(), pmd_alloc(), pte_alloc(); the table is made under the lock, in the kernel
 * before, and given back if another one is there by then; pte_alloc_one() with the level above.
 */
export function pgtable_alloc(mm: Mm, addr: number, level: number): EntryPtr {
  let table = pgd_table(mm);
  for (let l = geom.levels - 1; l > level; l--) {
    const entryp = table + table_index(addr, l * geom.table_shift);
    const e = READ_ONCE(entryp);
    if (entry_leaf(e)) return 0;
    if (e === 0) {
      const fresh = pte_alloc_one();
      if (fresh === 0) return 0;
      // pmd_install(): "Ensure all pte setup ... are visible before the pte is made visible to other CPUs by
      // being put into page tables." Walkers without the lock follow the pointer.
      smp_wmb();
      WRITE_ONCE(entryp, mk_table_entry(fresh));
      table = fresh;
    } else table = entry_table(e);
  }
  return table + table_index(addr, level * geom.table_shift);
}

/** Pages that one entry of the level spans; no address space is larger than 2^30 pages. */
export function level_span(level: number): number {
  const shift = level * geom.table_shift;
  return 1 << (shift > 30 ? 30 : shift);
}

/**
 * End of what pgtable_lookup() has found at addr, or `end` if that comes first: a leaf, or a hole, of that
 * level; at the PTE level the whole table (pmd_addr_end()).
 */
export function entry_addr_end(level: number, addr: number, end: number): number {
  return addr_end(addr, end, (level === PTE_LEVEL ? PMD_LEVEL : level) * geom.table_shift);
}

/**
 * Finds the lowest entry for addr that exists: its address in out[0]; its level. That is PTE_LEVEL if a PTE
 * table is there, else the level of the leaf or of the entry that is none.
 */
export function pgtable_lookup(mm: Mm, addr: number, out: LocalArray): number {
  let table = pgd_table(mm);
  for (let l = geom.levels - 1; l > PTE_LEVEL; l--) {
    const entryp = table + table_index(addr, l * geom.table_shift);
    const e = READ_ONCE(entryp);
    out[0] = entryp;
    if (e === 0 || entry_leaf(e) || !entry_present(e)) return l;
    table = entry_table(e);
  }
  out[0] = table + table_index(addr, 0);
  return PTE_LEVEL;
}
