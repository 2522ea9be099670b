/**
 * The structs of an address space, after include/linux/mm_types.h and include/linux/fs.h, as far as page
 * pinning needs them. Custom: a file's mappings are a list through `shared_next` instead of an interval tree,
 * and so is an address space's list of areas (`vm_next`, as up to v6.0); both change nothing but the cost of
 * a search.
 */
"use kernel";

import { type Ptr, struct } from "../machine/struct.ts";

export type Mm = Ptr<"mm_struct">;
export type Vma = Ptr<"vm_area_struct">;
export type AddressSpace = Ptr<"address_space">;

/**
 *  word 0 pgd                address of the top page table
 *       1 page_table_lock    custom: also the lock of every PTE table (no split page-table locks)
 *       2 mmap_lock          word of an rwsem: readers, or -1 for a writer
 *       3 mmap               first VMA by address
 *       4 has_pinned         set by the first FOLL_PIN, read by fork
 *       5 write_protect_seq  odd while fork write-protects
 *       6 mmu_notifiers      state of the notifier subsystem, 0 if there is none
 *       8 mm_list            next address space of the machine (kernel.mm_list)
 *       9 huge_zero          holds a reference on the huge zero page (MMF_HUGE_ZERO_PAGE)
 *      10 mm_users           who uses the address space; the last one's mmput() removes every mapping
 *      11 mm_count           who refers to this struct and to the top table; all users are one of them
 */
export const MM = struct("mm_struct", [
  "pgd",
  "page_table_lock",
  "mmap_lock",
  "mmap",
  "has_pinned",
  "write_protect_seq",
  "mmu_notifiers",
  "anon_rss",
  "mm_list",
  "huge_zero",
  "mm_users",
  "mm_count",
]);

/** Addresses are page numbers: the area is vm_start <= addr < vm_end. */
export const VMA = struct("vm_area_struct", [
  "vm_start",
  "vm_end",
  "vm_next",
  "vm_mm",
  "vm_flags",
  "vm_pgoff",
  "vm_file",
  "shared_next",
  "anon_vma",
  "vm_private_data",
  "swap_ra_addr",
  "swap_ra_win",
  "swap_ra_hits",
  "vm_userfaultfd_ctx",
]);

// include/linux/mm.h
export const VM_READ = 0x1;
export const VM_WRITE = 0x2;
export const VM_EXEC = 0x4;
export const VM_SHARED = 0x8;
export const VM_MAYREAD = 0x10;
export const VM_MAYWRITE = 0x20;
/** userfaultfd(2) tracks missing pages, and write-protected ones, of the area (mm/userfaultfd.c). */
export const VM_UFFD_MISSING = 0x200;
export const VM_UFFD_WP = 0x1000;
export const VM_PFNMAP = 0x400;
export const VM_IO = 0x4000;
export const VM_DONTEXPAND = 0x40000;
export const VM_HUGETLB = 0x400000;
export const VM_MIXEDMAP = 0x10000000;
export const VM_MAYSHARE = 0x80;
/** x86: a user's shadow stack. VM_HIGH_ARCH_5, bit 37, in the kernel. */
export const VM_SHADOW_STACK = 0x1000000;
export const VM_LOCKED = 0x2000;
export const VM_LOCKONFAULT = 0x80000;
export const VM_LOCKED_MASK = VM_LOCKED | VM_LOCKONFAULT;
/** Areas that mlock() passes over, and that are not merged. */
export const VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP;
export const VM_DONTCOPY = 0x20000;
export const VM_WIPEONFORK = 0x2000000;
export const VM_MERGEABLE = -0x80000000;
export const VM_HUGEPAGE = 0x20000000;
export const VM_NOHUGEPAGE = 0x40000000;

/** struct address_space: what maps a file. i_mmap is the first VMA, linked by shared_next. */
export const ADDRESS_SPACE = struct(
  "address_space",
  [
    "i_mmap",
    "i_mmap_rwsem",
    "nrpages",
    "flags",
    "kind",
    "i_size",
    "i_pages",
    "first_pfn",
    "nr_users",
    "alive",
    "align",
    "seals",
  ],
  // Even, and allocated so: bit 0 of page->mapping says that a page is anonymous.
  12,
);

/**
 * address_space.kind: whose operations it has (custom: a number instead of tables of functions).
 *   i_size     pages of the file;  i_pages  address of an array of that many words: page, swap slot * 2 + 1,
 *                                           or 0
 *   first_pfn  of a device or of fsdax storage;  align  log2 of the device's mapping granularity
 *   alive      DAXDEV_ALIVE;  seals  F_SEAL_* of a memfd
 */
export const AS_SHMEM = 1;
export const AS_REGULAR = 2;
export const AS_HUGETLB = 3;
export const AS_DEVDAX = 4;
export const AS_FSDAX = 5;
export const AS_SECRETMEM = 6;
/** A file of sysfs, whose pages are all mapped at mmap() time: no faults. */
export const AS_SYSFS = 7;
/** A driver's file, whose pages are all mapped at mmap() time (mm/insert_page.ts): no faults. */
export const AS_DRIVER = 8;
/** A DMA buffer of pages that it has pinned (mm/udmabuf.ts). */
export const AS_UDMABUF = 9;
