/**
 * Fast GUP (mm/gup.c): walking another CPU's page tables without a lock and taking references on what they
 * map, and the release of pins. Two forms, selected by config.gup: that of v5.10, in which device entries
 * have a path of their own with a dev_pagemap reference around each grab (and the RFC of December 2020, which
 * batches it), and the uniform one of v6.17 and later, in which a leaf is a leaf. The walker's part of the
 * contract: interrupts off, read the entry, take a reference unless the count is zero, read the entry again;
 * drop the reference if it changed.
 *
 * Read: v5.10, v6.1, v6.12, v7.3. Not covered: the slow path, falling back to it, vmas, hugepd (powerpc, to
 * v6.10), the checks of CONFIG_DEBUG_VM. Custom: the address space is an argument instead of current->mm.
 */
"use kernel";

import { config, geom, kernel } from "../machine/config.ts";
import { GUP_RFC, GUP_UNIFORM } from "../machine/knobs/gup.ts";
import {
  atomic_add,
  type LocalArray,
  local_irq_restore,
  local_irq_save,
  localArray,
  READ_ONCE,
  smp_load_acquire,
  smp_mb__after_atomic,
  smp_processor_id,
  smp_rmb,
  WRITE_ONCE,
} from "../machine/primitives.ts";
import { gup_fast_folio_allowed, is_longterm_pinnable, is_migrate_cma_page } from "./gup_allowed.ts";
import {
  FOLL_FAST_ONLY,
  FOLL_GET,
  FOLL_LONGTERM,
  FOLL_PCI_P2PDMA,
  FOLL_PIN,
  FOLL_WRITE,
} from "./gup_flags.ts";
import { MM, type Mm } from "./mm_types.ts";
import { p2pdma_refused } from "./p2pdma_page.ts";
import {
  ClearPageReferenced,
  compound_head,
  folio_set_referenced,
  GUP_PIN_COUNTING_BIAS,
  hpage_pincount_add,
  hpage_pincount_available,
  hpage_pincount_sub,
  nth_page,
  PAGE,
  type Page,
  PageFlag,
  PG_anon_exclusive,
  PG_hugetlb,
  page_ref_add,
  page_ref_add_unless,
  page_ref_count,
  page_to_pfn,
  page_word,
  pfn_to_page,
  SetPageReferenced,
} from "./page.ts";
import { DEV_PAGEMAP, get_dev_pagemap, PGMAP_COMPOUND, type Pgmap, put_dev_pagemap } from "./pgmap.ts";
import {
  type EntryPtr,
  p4d_addr_end,
  p4d_leaf,
  p4d_offset_table,
  p4d_page_table,
  p4d_present,
  pgd_addr_end,
  pgd_leaf,
  pgd_none,
  pgd_offset_table,
  pgd_page_table,
  pgd_table,
  pmd_access_permitted,
  pmd_addr_end,
  pmd_devmap,
  pmd_leaf,
  pmd_offset_table,
  pmd_page_table,
  pmd_pfn,
  pmd_present,
  pmd_protnone,
  pmd_special,
  pte_access_permitted,
  pte_devmap,
  pte_offset_table,
  pte_pfn,
  pte_protnone,
  pte_special,
  pte_write,
  ptep_get_lockless,
  pud_addr_end,
  pud_leaf,
  pud_offset_table,
  pud_page_table,
  pud_present,
  type TablePtr,
} from "./pgtable.ts";
import { put_page, put_page_refs } from "./swap.ts";
import { arch_make_page_accessible } from "./uv.ts";

/** Words per CPU of kernel.vmstat. */
export const VMSTAT_ITEMS = 2;
const NR_FOLL_PIN_ACQUIRED = 0;
const NR_FOLL_PIN_RELEASED = 1;

function mod_node_page_state(item: number, n: number): void {
  if (config.vmstat) atomic_add(n, kernel.vmstat + smp_processor_id() * VMSTAT_ITEMS + item);
}

// ---- Grabbing and releasing -------------------------------------------------------------------------------

/** From v6.5 (c8070b787519) a pin of the zero page is not counted. */
export function pin_is_free(head: Page, flags: number): boolean {
  if (config.zeroPagePins || kernel.zero_pfn === 0) return false;
  return (flags & FOLL_PIN) !== 0 && page_to_pfn(head) === kernel.zero_pfn;
}

/** The page's head with `refs` references added, or 0 if its count is zero or has overflowed. */
function try_get_compound_head(page: Page, refs: number): Page {
  for (;;) {
    const head = compound_head(page);
    if (page_ref_count(head) < 0) return 0;
    // page_cache_add_speculative(): whoever frees the page has made the count zero first.
    if (!page_ref_add_unless(head, refs, 0)) return 0;
    if (!config.headRecheck || compound_head(page) === head) return head;
    // The compound page was split or freed between the two reads: the reference is on somebody else's page.
    put_page_refs(head, refs);
    if (!config.headRetries) return 0;
  }
}

/**
 * `refs` references or pins on the page's head, for `refs` subpages; 0 on failure.
 * try_grab_compound_head() of v5.10, with the order of c24d37322548 if config.headRecheck;
 * try_grab_folio() (v5.18 to v6.9), try_grab_folio_fast().
 */
export function try_grab_compound_head(page: Page, refs: number, flags: number): Page {
  if (p2pdma_refused(page, (flags & FOLL_PCI_P2PDMA) !== 0)) return 0;
  if ((flags & FOLL_GET) !== 0) return try_get_compound_head(page, refs);
  if ((flags & FOLL_PIN) === 0) return 0;
  if (pin_is_free(page, flags)) return page;
  const longterm = (flags & FOLL_LONGTERM) !== 0;
  if (!config.longtermMigrates && longterm && config.longtermFastCheck && is_migrate_cma_page(page)) return 0;
  const early = config.longtermMigrates && !config.longtermCheckLate;
  if (early && longterm && !is_longterm_pinnable(page)) return 0;
  let head: Page = 0;
  if (!config.headRecheck) {
    // v5.10 looks at the page and its head before it has a reference.
    const separate = hpage_pincount_available(compound_head(page));
    head = try_get_compound_head(page, separate ? refs : refs * GUP_PIN_COUNTING_BIAS);
    if (head === 0) return 0;
    if (hpage_pincount_available(head)) hpage_pincount_add(head, refs);
  } else {
    head = try_get_compound_head(page, refs);
    if (head === 0) return 0;
    if (config.longtermMigrates && config.longtermCheckLate && longterm && !is_longterm_pinnable(head)) {
      put_page_refs(head, refs);
      return 0;
    }
    if (hpage_pincount_available(head)) hpage_pincount_add(head, refs);
    else page_ref_add(head, refs * (GUP_PIN_COUNTING_BIAS - 1));
    // Pairs with folio_try_share_anon_rmap_*().
    if (config.gupPinBarrier) smp_mb__after_atomic();
  }
  mod_node_page_state(NR_FOLL_PIN_ACQUIRED, refs);
  return head;
}

/**
 * try_grab_page() (to v6.10), try_grab_folio() (from then on): `refs` references or pins where the page
 * cannot go away; false if the count is zero or negative. Custom: the zero page's count is not looked at.
 */
export function try_grab_folio(page: Page, refs: number, flags: number): boolean {
  if ((flags & (FOLL_GET | FOLL_PIN)) === 0 || pin_is_free(page, flags)) return true;
  const head = compound_head(page);
  if (config.tryGetPageChecks && page_ref_count(head) <= 0) return false;
  if ((flags & FOLL_GET) !== 0) {
    page_ref_add(head, refs);
    return true;
  }
  if (!hpage_pincount_available(head)) page_ref_add(head, refs * GUP_PIN_COUNTING_BIAS);
  else if (config.headRetries) {
    // Folios count the references first.
    page_ref_add(head, refs);
    hpage_pincount_add(head, refs);
  } else {
    hpage_pincount_add(head, refs);
    page_ref_add(head, refs);
  }
  mod_node_page_state(NR_FOLL_PIN_ACQUIRED, refs);
  return true;
}
export function try_grab_page(page: Page, flags: number): boolean {
  return try_grab_folio(page, 1, flags);
}

/** Undoes try_grab_compound_head() (put_compound_head(), gup_put_folio()). */
export function put_compound_head(head: Page, n: number, flags: number): void {
  if (pin_is_free(head, flags)) return;
  let refs = n;
  if ((flags & FOLL_PIN) !== 0) {
    mod_node_page_state(NR_FOLL_PIN_RELEASED, n);
    if (hpage_pincount_available(head)) hpage_pincount_sub(head, n);
    else refs = n * GUP_PIN_COUNTING_BIAS;
  }
  put_page_refs(head, refs);
}

export function unpin_user_page(page: Page): void {
  put_compound_head(compound_head(page), 1, FOLL_PIN);
}

/** Releases the pins of pages[0 .. npages-1]; from v5.13 with one drop per run of equal heads. */
export function unpin_user_pages(pages: LocalArray, npages: number): void {
  for (let i = 0; i < npages; ) {
    const head = compound_head(pages[i]);
    let refs = 1;
    if (config.unpinBatch) while (i + refs < npages && compound_head(pages[i + refs]) === head) refs++;
    put_compound_head(head, refs, FOLL_PIN);
    i += refs;
  }
}

/** Releases pages[from .. to-1] as they were taken. */
function release_pages_from(pages: LocalArray, from: number, to: number, flags: number): void {
  for (let i = from; i < to; i++) {
    if ((flags & FOLL_PIN) !== 0) unpin_user_page(pages[i]);
    else put_page(pages[i]);
  }
}

// ---- Device entries, v4.5 to v6.16 ------------------------------------------------------------------------

/** Gives back what this table or leaf took so far, newest first. Read: v5.10, v6.1, v6.12. */
function undo_dev_pagemap(nr: LocalArray, nr_start: number, flags: number, pages: LocalArray): void {
  while (nr[0] > nr_start) {
    nr[0] = nr[0] - 1;
    const page = pages[nr[0]];
    ClearPageReferenced(page);
    if ((flags & FOLL_PIN) !== 0) unpin_user_page(page);
    else put_page(page);
  }
}

/** Writes the subpages of addr .. end-1 to pages; their number. */
function record_subpages(page: Page, addr: number, end: number, pages: LocalArray, nr: number): number {
  const refs = end - addr;
  const last = nr + refs;
  let subpage = page;
  for (let i = nr; i < last; i++) {
    pages[i] = subpage;
    subpage = nth_page(subpage, 1);
  }
  return refs;
}

/** log2 of a page's bytes. Addresses are page numbers here; the RFC's arithmetic is on bytes. */
const PAGE_SHIFT = 12;

/**
 * `(addr & (sz - 1)) >> PAGE_SHIFT` of the RFC's patch 6, in a leaf of 2^shift pages. Its callers pass
 * PMD_SHIFT or PUD_SHIFT, the logarithm, as `sz` (found in review): sz - 1 then has no bit above the page
 * offset, which is 0 in the walk, so the sum is 0 whatever the address. Read: none.
 */
function rfc_leaf_offset(addr: number, shift: number): number {
  const sz = config.rfcShiftAsSize ? shift + PAGE_SHIFT : 1 << (shift + PAGE_SHIFT);
  return ((addr << PAGE_SHIFT) & (sz - 1)) >> PAGE_SHIFT;
}

/**
 * The RFC's branch for a compound pagemap: one grab for the subpages of addr .. end-1. `pfn` is addr's
 * frame, so that its page contains the offset already, to which the offset is added again; with
 * config.rfcDoubleOffset off the sum starts at the leaf. As posted, both errors are there and cancel.
 * Read: none.
 */
function __gup_device_compound_huge(
  pfn: number,
  shift: number,
  addr: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  const from = config.rfcDoubleOffset ? pfn : pfn - (addr & ((1 << shift) - 1));
  const page = pfn_to_page(from);
  const p = nth_page(page, rfc_leaf_offset(addr, shift));
  const refs = record_subpages(p, addr, end, pages, nr[0]);
  // Before a reference is held, as v5.10 does it, and taken back if there is none to be had: also what
  // somebody else has set.
  if (config.rfcReferencedEarly) SetPageReferenced(p);
  const head = try_grab_compound_head(page, refs, flags);
  if (head === 0) {
    if (config.rfcReferencedEarly) ClearPageReferenced(p);
    return false;
  }
  if (!config.rfcReferencedEarly) folio_set_referenced(head);
  nr[0] = nr[0] + refs;
  return true;
}

/**
 * A device leaf of 2^shift pages, from frame `first` on, which is addr's: v5.10's loop, a grab per page;
 * or the RFC's, one grab for the subpages of a compound pagemap; gup_fast_devmap_leaf(). Read: v5.10, v6.1,
 * v6.12.
 */
function __gup_device_huge(
  first: number,
  shift: number,
  addr: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  const nr_start = nr[0];
  let pgmap: Pgmap = 0;
  let pfn = first;
  for (let a = addr; a !== end; a++) {
    const page = pfn_to_page(pfn);
    if (config.pgmapRef) {
      pgmap = get_dev_pagemap(pfn, pgmap);
      if (pgmap === 0) {
        undo_dev_pagemap(nr, nr_start, flags, pages);
        return false;
      }
    }
    if (
      config.gup === GUP_RFC &&
      pgmap !== 0 &&
      (READ_ONCE(pgmap + DEV_PAGEMAP.flags) & PGMAP_COMPOUND) !== 0
    ) {
      const whole = __gup_device_compound_huge(pfn, shift, a, end, flags, pages, nr);
      put_dev_pagemap(pgmap);
      return whole;
    }
    pages[nr[0]] = page;
    let taken = true;
    if (config.deviceLeafGrab) {
      const head = try_grab_compound_head(page, 1, flags);
      if (head === 0) taken = false;
      else folio_set_referenced(head);
    } else {
      SetPageReferenced(page);
      taken = try_grab_page(page, flags);
    }
    if (!taken) {
      undo_dev_pagemap(nr, nr_start, flags, pages);
      if (config.gupHugeUndoFix) put_dev_pagemap(pgmap);
      return false;
    }
    nr[0] = nr[0] + 1;
    pfn++;
  }
  put_dev_pagemap(pgmap);
  return true;
}

/**
 * __gup_device_huge_pmd() and _pud(): struct pages are written before the entry is read again. Read:
 * v5.10, v6.1, v6.12.
 */
function gup_device_leaf(
  e: number,
  entryp: EntryPtr,
  shift: number,
  addr: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  const nr_start = nr[0];
  const offset = addr & ((1 << shift) - 1);
  if (!__gup_device_huge(pmd_pfn(e) + offset, shift, addr, end, flags, pages, nr)) return false;
  if (config.pteRecheck && READ_ONCE(entryp) !== e) {
    undo_dev_pagemap(nr, nr_start, flags, pages);
    return false;
  }
  return true;
}

// ---- The walk ---------------------------------------------------------------------------------------------
// Each function returns whether it took the whole range; nr[0] counts the pages taken. A page that is refused
// ends the walk, and what was taken before it is kept.

/**
 * A read-only pin of an anonymous page needs it exclusive (v5.19); of another page for long, the slow path
 * finds out whether the mapping is private (v6.2). Read: v6.1, v6.12, v7.3.
 */
function gup_must_unshare(page: Page, flags: number): boolean {
  if (!config.anonExclusive && config.gup !== GUP_UNIFORM) return false;
  if ((flags & (FOLL_WRITE | FOLL_PIN)) !== FOLL_PIN) return false;
  const head = compound_head(page);
  const anon = (READ_ONCE(page_word(head, PAGE.mapping)) & 1) !== 0;
  if (!anon)
    return (flags & FOLL_LONGTERM) !== 0 && (config.unshareLongterm !== 0 || config.gup === GUP_UNIFORM);
  // Pairs with the barrier in folio_try_share_anon_rmap_*().
  if (config.gupPinBarrier) smp_rmb();
  const of = PageFlag(head, PG_hugetlb) ? head : page;
  return (READ_ONCE(page_word(of, PAGE.flags)) & (1 << PG_anon_exclusive)) === 0;
}

/**
 * A table of PTEs, reached through *pmdp === pmd (pmdp 0: the only level). Stub: from v6.5 on
 * pte_offset_map() begins an RCU section (irq-off is one). Custom: v6.1 asks for secret memory before it
 * looks at the entries again; these are plain loads to v6.12, here once.
 */
function gup_pte_range(
  pmd: number,
  pmdp: EntryPtr,
  table: TablePtr,
  start: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  const nr_start = nr[0];
  let pgmap: Pgmap = 0;
  let whole = true;
  // The kernel tests for the end after a step: a range of no pages goes on to the first entry that it must
  // refuse.
  const table_end = start - (start & (geom.ptrs_per_table - 1)) + geom.ptrs_per_table;
  const stop = config.gupZeroPages && start === end ? table_end : end;
  for (let addr = start; addr !== stop && whole; addr++) {
    const ptep = pte_offset_table(table, addr);
    const pte = ptep_get_lockless(ptep);
    whole = false;
    if (pte_protnone(pte)) break;
    if (!pte_access_permitted(pte, (flags & FOLL_WRITE) !== 0)) break;
    if (config.gup !== GUP_UNIFORM && pte_devmap(pte)) {
      if ((flags & FOLL_LONGTERM) !== 0) break;
      if (config.pgmapRef) {
        pgmap = get_dev_pagemap(pte_pfn(pte), pgmap);
        if (pgmap === 0) {
          undo_dev_pagemap(nr, nr_start, flags, pages);
          break;
        }
      }
    } else if (pte_special(pte)) break;
    const page = pfn_to_page(pte_pfn(pte));
    const head = try_grab_compound_head(page, 1, flags);
    if (head === 0) break;
    if (config.pmdRecheck && pmdp !== 0 && READ_ONCE(pmdp) !== pmd) {
      put_compound_head(head, 1, flags);
      break;
    }
    if (config.pteRecheck && ptep_get_lockless(ptep) !== pte) {
      put_compound_head(head, 1, flags);
      break;
    }
    if (!gup_fast_folio_allowed(head, flags) || (!pte_write(pte) && gup_must_unshare(page, flags))) {
      put_compound_head(head, 1, flags);
      break;
    }
    if (kernel.ultravisor !== 0 && (flags & FOLL_PIN) !== 0 && arch_make_page_accessible(page) !== 0) {
      put_compound_head(head, 1, flags);
      break;
    }
    if (config.gup === GUP_UNIFORM) folio_set_referenced(head);
    else SetPageReferenced(page);
    pages[nr[0]] = page;
    nr[0] = nr[0] + 1;
    whole = true;
  }
  put_dev_pagemap(pgmap);
  return whole;
}

/**
 * A leaf above the PTE level, 2^shift pages: gup_huge_pmd(), gup_huge_pud(), gup_huge_pgd() of v5.10, which
 * are alike; gup_fast_pmd_leaf() and gup_fast_pud_leaf().
 */
function gup_huge_leaf(
  e: number,
  entryp: EntryPtr,
  shift: number,
  addr: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  if (!pmd_access_permitted(e, (flags & FOLL_WRITE) !== 0)) return false;
  if (config.pmdSpecial && pmd_special(e)) return false;
  const offset = addr & ((1 << shift) - 1);
  if (config.gup !== GUP_UNIFORM && pmd_devmap(e)) {
    if ((flags & FOLL_LONGTERM) !== 0) return false;
    return gup_device_leaf(e, entryp, shift, addr, end, flags, pages, nr);
  }
  const first = pfn_to_page(pmd_pfn(e));
  const subpage = nth_page(first, offset);
  const refs = record_subpages(subpage, addr, end, pages, nr[0]);
  const page = config.gupGrabsSubpage ? subpage : first;
  const head = try_grab_compound_head(page, refs, flags);
  if (head === 0) return false;
  if (config.pteRecheck && READ_ONCE(entryp) !== e) {
    put_compound_head(head, refs, flags);
    return false;
  }
  if (!gup_fast_folio_allowed(head, flags) || (!pte_write(e) && gup_must_unshare(head, flags))) {
    put_compound_head(head, refs, flags);
    return false;
  }
  nr[0] = nr[0] + refs;
  folio_set_referenced(head);
  return true;
}

function gup_pmd_range(
  table: TablePtr,
  start: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  if (geom.levels < 2) return gup_pte_range(0, 0, table, start, end, flags, pages, nr);
  let addr = start;
  do {
    const pmdp = pmd_offset_table(table, addr);
    const pmd = READ_ONCE(pmdp);
    const next = pmd_addr_end(addr, end);
    if (!pmd_present(pmd)) return false;
    if (pmd_leaf(pmd)) {
      // NUMA hinting faults are the slow path's.
      if (pmd_protnone(pmd)) return false;
      if (!gup_huge_leaf(pmd, pmdp, geom.pmd_shift, addr, next, flags, pages, nr)) return false;
    } else if (!gup_pte_range(pmd, pmdp, pmd_page_table(pmd), addr, next, flags, pages, nr)) return false;
    addr = next;
  } while (addr !== end);
  return true;
}

function gup_pud_range(
  table: TablePtr,
  start: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  if (geom.levels < 3) return gup_pmd_range(table, start, end, flags, pages, nr);
  let addr = start;
  do {
    const pudp = pud_offset_table(table, addr);
    const pud = READ_ONCE(pudp);
    const next = pud_addr_end(addr, end);
    if (!pud_present(pud)) return false;
    if (pud_leaf(pud)) {
      if (!gup_huge_leaf(pud, pudp, geom.pud_shift, addr, next, flags, pages, nr)) return false;
    } else if (!gup_pmd_range(pud_page_table(pud), addr, next, flags, pages, nr)) return false;
    addr = next;
  } while (addr !== end);
  return true;
}

function gup_p4d_range(
  table: TablePtr,
  start: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  if (geom.levels < 4) return gup_pud_range(table, start, end, flags, pages, nr);
  let addr = start;
  do {
    const p4dp = p4d_offset_table(table, addr);
    const p4d = READ_ONCE(p4dp);
    const next = p4d_addr_end(addr, end);
    if (!p4d_present(p4d)) return false;
    // No architecture has leaves here or above; the claim "whatever the level" is about the code.
    if (p4d_leaf(p4d)) {
      if (!gup_huge_leaf(p4d, p4dp, geom.p4d_shift, addr, next, flags, pages, nr)) return false;
    } else if (!gup_pud_range(p4d_page_table(p4d), addr, next, flags, pages, nr)) return false;
    addr = next;
  } while (addr !== end);
  return true;
}

function gup_pgd_range(
  mm: Mm,
  start: number,
  end: number,
  flags: number,
  pages: LocalArray,
  nr: LocalArray,
): boolean {
  const top = pgd_table(mm);
  if (geom.levels < 5) return gup_p4d_range(top, start, end, flags, pages, nr);
  let addr = start;
  do {
    const pgdp = pgd_offset_table(top, addr);
    const pgd = READ_ONCE(pgdp);
    const next = pgd_addr_end(addr, end);
    if (pgd_none(pgd)) return false;
    if (pgd_leaf(pgd)) {
      if (!gup_huge_leaf(pgd, pgdp, geom.pgdir_shift, addr, next, flags, pages, nr)) return false;
    } else if (!gup_p4d_range(pgd_page_table(pgd), addr, next, flags, pages, nr)) return false;
    addr = next;
  } while (addr !== end);
  return true;
}

/**
 * Takes the pages of start .. end-1 without a lock, as far as they are mapped with the permission asked for;
 * their number. The pages are pages[0 ..]. lockless_pages_from_mm(); gup_fast().
 */
export function lockless_pages_from_mm(
  mm: Mm,
  start: number,
  end: number,
  flags: number,
  pages: LocalArray,
): number {
  const nr = localArray(1);
  nr[0] = 0;
  if (start < 0 || start > end || end > geom.task_size) return 0;
  if (start === end && (!config.gupZeroPages || end === geom.task_size)) return 0;
  let seq = 0;
  if (config.writeProtectSeq && (flags & FOLL_PIN) !== 0) {
    // raw_read_seqcount()
    if (config.seqcountAcquire) seq = smp_load_acquire(mm + MM.write_protect_seq);
    else {
      seq = READ_ONCE(mm + MM.write_protect_seq);
      smp_rmb();
    }
    if ((seq & 1) !== 0) return 0;
  }
  // "Disable interrupts ... so that the page tables cannot be freed from under us", and that nobody is split
  // from under us.
  const irq = config.irqOff ? local_irq_save() : 0;
  gup_pgd_range(mm, start, end, flags, pages, nr);
  if (config.irqOff) local_irq_restore(irq);
  if (config.writeProtectSeq && (flags & FOLL_PIN) !== 0) {
    smp_rmb();
    if (READ_ONCE(mm + MM.write_protect_seq) !== seq) {
      release_pages_from(pages, 0, nr[0], flags);
      return 0;
    }
  }
  return nr[0];
}

/** get_user_pages_fast_only(): never sleeps, so interrupts may be off; the number of pages taken. */
export function get_user_pages_fast_only(
  mm: Mm,
  start: number,
  nr_pages: number,
  flags: number,
  pages: LocalArray,
): number {
  return lockless_pages_from_mm(mm, start, start + nr_pages, flags | FOLL_GET | FOLL_FAST_ONLY, pages);
}

/**
 * pin_user_pages_fast_only() (v5.8 to v6.4). Read: v5.10, v6.1. Custom: has_pinned is a word of its own, in
 * the kernel a bit of mm->flags from v5.15 on; v5.10 stores always.
 */
export function pin_user_pages_fast_only(
  mm: Mm,
  start: number,
  nr_pages: number,
  flags: number,
  pages: LocalArray,
): number {
  // Before looking at any page: consumed by fork.
  if (READ_ONCE(mm + MM.has_pinned) === 0) WRITE_ONCE(mm + MM.has_pinned, 1);
  return lockless_pages_from_mm(mm, start, start + nr_pages, flags | FOLL_PIN | FOLL_FAST_ONLY, pages);
}
