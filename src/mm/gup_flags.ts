/**
 * What a caller of GUP asks for, and what GUP tells itself (include/linux/mm.h, v5.10;
 * include/linux/mm_types.h and mm/internal.h, v6.3 on). Numbers are v5.10's unless it says so.
 */
"use kernel";

export const FOLL_WRITE = 0x01;
export const FOLL_GET = 0x04;
export const FOLL_FORCE = 0x10;
export const FOLL_LONGTERM = 0x10000;
export const FOLL_PIN = 0x40000;
export const FOLL_FAST_ONLY = 0x80000;
/** Peer-to-peer pages may be taken (v6.2; the number is v7.1's). */
export const FOLL_PCI_P2PDMA = 0x400;

/** The page was touched: accessed, and dirty if written (internal). */
export const FOLL_TOUCH = 0x02;
/** For a core dump: -EFAULT for what has no contents of its own. */
export const FOLL_DUMP = 0x08;
/** A huge entry of transparent huge pages is split first (uprobes). */
export const FOLL_SPLIT_PMD = 0x20000;
/** What is present is locked, and, without FOLL_POPULATE, nothing is faulted in (to v5.17; internal). */
export const FOLL_MLOCK = 0x1000;
/** With FOLL_MLOCK: what is not present is faulted in all the same (to v5.17; internal). */
export const FOLL_POPULATE = 0x40;
/** Start what a fault has to wait for, but do not wait: a short count, or 0. */
export const FOLL_NOWAIT = 0x20;
/** A fault has dropped mmap_lock for this page once already (internal). */
export const FOLL_TRIED = 0x800;
/** Faults may drop mmap_lock (internal; v6.3, in all versions here). */
export const FOLL_UNLOCKABLE = 0x200000;
/** Fail instead of faulting (v5.16). */
export const FOLL_NOFAULT = 0x100000;
/** A poisoned page is -EHWPOISON rather than -EFAULT. */
export const FOLL_HWPOISON = 0x100;
/** A forced write has broken COW (to v5.19, internal). */
export const FOLL_COW = 0x4000;
/** The address space is not the caller's own (internal). */
export const FOLL_REMOTE = 0x2000;
