/** Mutants of fast GUP and of the release of pins (mm/gup.c). */

import { type Mutant, mutants } from "./mutant.ts";

export const GUP: readonly Mutant[] = mutants("gup", [
  [
    "gup_pte_range",
    "the PTE is not read again after the page was grabbed",
    ["if (config.pteRecheck && ptep_get_lockless(ptep) !== pte) {", "if (pte === 0) {"],
  ],
  [
    "gup_huge_leaf",
    "a leaf's entry is not read again after the head was grabbed",
    [
      "if (config.pteRecheck && READ_ONCE(entryp) !== e) {\n    put_compound_head",
      "if (e === 0) {\n    put_compound_head",
    ],
  ],
  [
    "gup_pte_range",
    "the page that was grabbed is kept when the PTE turns out to have changed",
    [
      "if (config.pteRecheck && ptep_get_lockless(ptep) !== pte) {\n      put_compound_head(head, 1, flags);",
      "if (config.pteRecheck && ptep_get_lockless(ptep) !== pte) {",
    ],
  ],
  [
    "gup_huge_leaf",
    "a leaf is read again before the head is grabbed, not after",
    [
      "  const head = try_grab_compound_head(page, refs, flags);\n  if (head === 0) return false;\n  if (config.pteRecheck && READ_ONCE(entryp) !== e) {\n    put_compound_head(head, refs, flags);\n    return false;\n  }\n  if (!gup_fast_folio_allowed(head, flags) || (!pte_write(e)",
      "  if (config.pteRecheck && READ_ONCE(entryp) !== e) return false;\n  const head = try_grab_compound_head(page, refs, flags);\n  if (head === 0) return false;\n  if (!gup_fast_folio_allowed(head, flags) || (!pte_write(e)",
    ],
  ],
  [
    "gup_pte_range",
    "write access to a PTE is not asked for",
    [
      "if (!pte_access_permitted(pte, (flags & FOLL_WRITE) !== 0)) break;",
      "if (!pte_access_permitted(pte, false)) break;",
    ],
  ],
  [
    "gup_pte_range",
    "the last reference on the pagemap of a table is not put",
    ["  put_dev_pagemap(pgmap);\n  return whole;", "  return whole;"],
  ],
  [
    "__gup_device_huge",
    "the pagemap is put before the pages are grabbed",
    [
      "    pages[nr[0]] = page;\n    let taken = true;",
      "    put_dev_pagemap(pgmap);\n    pgmap = 0;\n    pages[nr[0]] = page;\n    let taken = true;",
    ],
  ],
  [
    "try_get_compound_head",
    "a reference is taken on a page whose count is zero",
    ["if (!page_ref_add_unless(head, refs, 0)) return 0;", "page_ref_add(head, refs);"],
  ],
  [
    "try_get_compound_head",
    "the reference on a head that is no head any more is kept",
    [
      "    put_page_refs(head, refs);\n    if (!config.headRetries) return 0;",
      "    if (!config.headRetries) return 0;",
    ],
  ],
  [
    "try_grab_compound_head",
    "pins of several subpages are counted as one pin",
    [
      "else page_ref_add(head, refs * (GUP_PIN_COUNTING_BIAS - 1));",
      "else page_ref_add(head, GUP_PIN_COUNTING_BIAS - 1);",
    ],
  ],
  [
    "try_grab_folio",
    "a pin of a tail page is counted on the tail",
    [
      "  if (!hpage_pincount_available(head)) page_ref_add(head, refs * GUP_PIN_COUNTING_BIAS);",
      "  if (!hpage_pincount_available(head)) page_ref_add(page, refs * GUP_PIN_COUNTING_BIAS);",
    ],
  ],
  [
    "put_compound_head",
    "releasing several pins drops the bias of one",
    ["else refs = n * GUP_PIN_COUNTING_BIAS;", "else refs = GUP_PIN_COUNTING_BIAS;"],
  ],
  [
    "put_compound_head",
    "the separate pin count is not taken back with the references",
    [
      "if (hpage_pincount_available(head)) hpage_pincount_sub(head, n);",
      "if (hpage_pincount_available(head)) refs = n;",
    ],
  ],
  [
    "unpin_user_pages",
    "a run of pages is released on the first one's head, whatever the others' heads are",
    [
      "while (i + refs < npages && compound_head(pages[i + refs]) === head) refs++;",
      "while (i + refs < npages) refs++;",
    ],
  ],
  [
    "record_subpages",
    "subpages are recorded from the second on (off by one)",
    [
      "    pages[i] = subpage;\n    subpage = nth_page(subpage, 1);",
      "    subpage = nth_page(subpage, 1);\n    pages[i] = subpage;",
    ],
  ],
  [
    "gup_huge_leaf",
    "the offset within a leaf is lost: subpages are recorded from the head on",
    ["record_subpages(subpage, addr, end, pages, nr[0])", "record_subpages(first, addr, end, pages, nr[0])"],
  ],
  [
    "undo_dev_pagemap",
    "the first page of a leaf is not given back when the rest of it is refused (off by one)",
    ["while (nr[0] > nr_start) {", "while (nr[0] > nr_start + 1) {"],
  ],
  [
    "lockless_pages_from_mm",
    "interrupts are on again before the walk",
    [
      "  gup_pgd_range(mm, start, end, flags, pages, nr);\n  if (config.irqOff) local_irq_restore(irq);",
      "  if (config.irqOff) local_irq_restore(irq);\n  gup_pgd_range(mm, start, end, flags, pages, nr);",
    ],
  ],
  [
    "lockless_pages_from_mm",
    "pins taken while fork() write-protected are kept",
    ["if (READ_ONCE(mm + MM.write_protect_seq) !== seq) {", "if (seq === -1) {"],
  ],
  [
    "lockless_pages_from_mm",
    "pins of a fork() under way are taken: an odd sequence passes",
    ["if ((seq & 1) !== 0) return 0;", ";"],
  ],
  [
    "pin_user_pages_fast_only",
    "has_pinned is set after the walk, so that fork() does not look for pins",
    [
      "  if (READ_ONCE(mm + MM.has_pinned) === 0) WRITE_ONCE(mm + MM.has_pinned, 1);\n  return lockless_pages_from_mm(mm, start, start + nr_pages, flags | FOLL_PIN | FOLL_FAST_ONLY, pages);",
      "  const got = lockless_pages_from_mm(mm, start, start + nr_pages, flags | FOLL_PIN | FOLL_FAST_ONLY, pages);\n  if (READ_ONCE(mm + MM.has_pinned) === 0) WRITE_ONCE(mm + MM.has_pinned, 1);\n  return got;",
    ],
  ],
  [
    "gup_must_unshare",
    "a read-only pin takes an anonymous page that is shared",
    [
      "(READ_ONCE(page_word(of, PAGE.flags)) & (1 << PG_anon_exclusive)) === 0;",
      "READ_ONCE(page_word(of, PAGE.flags)) === 0;",
    ],
  ],
]);

export const GUP_UNPIN: readonly Mutant[] = mutants("gup_unpin", [
  [
    "unpin_user_page_range_dirty_lock",
    "a range that ends within a compound page is released to the page's end",
    ["      if (refs > npages - i) refs = npages - i;\n", ""],
  ],
]);
