/**
 * How the words of the kernel's structs read, for counterexamples and whoever draws them: which fields are
 * counts, flags or pointers, what a page-table entry says, where tables and struct pages lie. Data about the
 * layouts of this folder, as the machine that has just been booted has them; nothing here is executed by
 * kernel code.
 *
 * A field that is not listed is a plain number.
 */

import { config, geom, kernel } from "../machine/config.ts";
import type { MemoryView, WordCase, WordFormat } from "../machine/format.ts";
import { structSymbol } from "../machine/struct.ts";
import { DEV_DAX } from "./dax.ts";
import {
  DMIRROR,
  DMIRROR_DEVICE,
  DPT_ENTRY_ATOMIC,
  DPT_ENTRY_VALID,
  DPT_ENTRY_WRITE,
  DPT_PFN_SHIFT,
} from "./dmirror.ts";
import {
  ADDRESS_SPACE,
  MM,
  VM_EXEC,
  VM_HUGEPAGE,
  VM_HUGETLB,
  VM_IO,
  VM_LOCKED,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_READ,
  VM_SHADOW_STACK,
  VM_SHARED,
  VM_WRITE,
  VMA,
} from "./mm_types.ts";
import { INTERVAL_FINISH, INTERVAL_NOTIFIER, SUBSCRIPTIONS } from "./mmu_notifier_types.ts";
import * as flags from "./page.ts";
import { PAGE, PAGE_MAPPING_ANON, PAGE_STRUCT_SHIFT, TAIL_MAPPING } from "./page.ts";
import {
  __PERCPU_REF_ATOMIC,
  __PERCPU_REF_DEAD,
  PERCPU_COUNT_BIAS,
  PERCPU_REF,
  PERCPU_REF_DATA,
} from "./percpu-refcount.ts";
import {
  DEV_PAGEMAP,
  MEMORY_DEVICE_COHERENT,
  MEMORY_DEVICE_FS_DAX,
  MEMORY_DEVICE_GENERIC,
  MEMORY_DEVICE_PCI_P2PDMA,
  MEMORY_DEVICE_PRIVATE,
  PGMAP_COMPOUND,
} from "./pgmap.ts";
import {
  _PAGE_ACCESSED,
  _PAGE_DEVMAP,
  _PAGE_DIRTY,
  _PAGE_INVALID,
  _PAGE_PRESENT,
  _PAGE_PROTNONE,
  _PAGE_PSE,
  _PAGE_RW,
  _PAGE_SAVED_DIRTY,
  _PAGE_SPECIAL,
  _PAGE_SWP_EXCLUSIVE,
  _PAGE_UFFD_WP,
  _PAGE_USER,
  PFN_SHIFT,
  SWP_DEVICE_EXCLUSIVE,
  SWP_DEVICE_READ,
  SWP_DEVICE_WRITE,
  SWP_HWPOISON,
  SWP_MIGRATION_READ,
  SWP_MIGRATION_READ_EXCLUSIVE,
  SWP_MIGRATION_WRITE,
  SWP_SWAP,
  SWP_TYPE_MASK,
  SWP_TYPE_SHIFT,
} from "./pgtable.ts";
import { MEM_SECTION, SECTION_HAS_MEM_MAP, SECTION_IS_ONLINE, SECTION_TAINT_ZONE_DEVICE } from "./sparse.ts";

const ALL = -1;
const NULL_CASE: WordCase = { mask: ALL, value: 0, name: "NULL" };

/** A pointer whose low bits may be flags. */
function pointer(...low: readonly (readonly [number, string])[]): WordFormat {
  const bits = low.reduce((m, [mask]) => m | mask, 0);
  return { cases: [NULL_CASE, { mask: 0, value: 0, name: "", pointer: ~bits, flags: low }] };
}

/** Bits by name. */
function bits(...names: readonly (readonly [number, string])[]): WordFormat {
  return { cases: [{ mask: 0, value: 0, name: "", flags: names }] };
}

/** Numbers by name. */
function names(...of: readonly (readonly [number, string])[]): WordFormat {
  return { cases: of.map(([value, name]) => ({ mask: ALL, value, name })) };
}

/** Every PG_ constant of page.ts by its bit; the zone is a number. */
function pageFlags(): WordFormat {
  const found = Object.entries(flags)
    .filter(([name, v]) => name.startsWith("PG_") && !name.startsWith("PG_ZONE") && typeof v === "number")
    .map(([name, v]) => [1 << (v as number), name.slice(3)] as const);
  const zone = { shift: flags.PG_ZONE_SHIFT, bits: 4, name: "zone" };
  return { cases: [{ mask: 0, value: 0, name: "", flags: found, numbers: [zone] }] };
}

/** The entries that pgtable.ts draws; one of a kernel without the devmap bit is not said to have it. */
function entry(): WordFormat {
  const frame = { shift: PFN_SHIFT, bits: 32 - PFN_SHIFT, name: "pfn", always: true };
  const devmap = config.pteDevmap === 0 ? [] : ([[_PAGE_DEVMAP, "devmap"]] as const);
  const rest = [
    [_PAGE_RW, "W"],
    [_PAGE_USER, "U"],
    [_PAGE_DIRTY, "D"],
    [_PAGE_ACCESSED, "A"],
    [_PAGE_PSE, "leaf"],
    [_PAGE_SPECIAL, "special"],
    [_PAGE_SAVED_DIRTY, "saved-dirty"],
    [_PAGE_UFFD_WP, "uffd-wp"],
  ] as const;
  const kind = _PAGE_PRESENT | _PAGE_PROTNONE | _PAGE_INVALID;
  const swap = (type: number, name: string, number: string): WordCase => ({
    mask: kind | (SWP_TYPE_MASK << SWP_TYPE_SHIFT),
    value: type << SWP_TYPE_SHIFT,
    name,
    numbers: [{ ...frame, name: number }],
    flags: [[_PAGE_SWP_EXCLUSIVE, "exclusive"]],
  });
  return {
    cases: [
      { mask: ALL, value: 0, name: "none" },
      {
        mask: _PAGE_PRESENT,
        value: _PAGE_PRESENT,
        name: "",
        numbers: [frame],
        flags: [[_PAGE_PRESENT, "P"], ...rest, ...devmap],
      },
      {
        mask: _PAGE_PRESENT | _PAGE_PROTNONE,
        value: _PAGE_PROTNONE,
        name: "PROT_NONE",
        numbers: [frame],
        flags: [...rest, ...devmap],
      },
      { mask: kind, value: _PAGE_INVALID, name: "invalidated", numbers: [frame], flags: rest },
      swap(SWP_SWAP, "swap", "slot"),
      swap(SWP_MIGRATION_READ, "migration read", "pfn"),
      swap(SWP_MIGRATION_READ_EXCLUSIVE, "migration read exclusive", "pfn"),
      swap(SWP_MIGRATION_WRITE, "migration write", "pfn"),
      swap(SWP_DEVICE_READ, "device-private read", "pfn"),
      swap(SWP_DEVICE_WRITE, "device-private write", "pfn"),
      swap(SWP_DEVICE_EXCLUSIVE, "device-exclusive", "pfn"),
      swap(SWP_HWPOISON, "hwpoison", "pfn"),
    ],
  };
}

const FORMATS = (): Record<string, WordFormat> => ({
  pointer: pointer(),
  count: { cases: [], none: 0 },
  // "starts from -1" (include/linux/mm_types.h)
  mapcount: { cases: [], none: -1 },
  lock: {
    cases: [
      { mask: ALL, value: 0, name: "unlocked" },
      {
        mask: 0,
        value: 0,
        name: "held by",
        numbers: [{ shift: 0, bits: 32, name: "CPU", add: -1, always: true }],
      },
    ],
  },
  entry: entry(),
  "page-flags": pageFlags(),
  "compound-head": pointer([1, "tail"]),
  mapping: {
    cases: [
      { mask: ALL, value: TAIL_MAPPING, name: "TAIL_MAPPING" },
      ...pointer([PAGE_MAPPING_ANON, "anon"]).cases,
    ],
  },
  "vm-flags": bits(
    [VM_READ, "read"],
    [VM_WRITE, "write"],
    [VM_EXEC, "exec"],
    [VM_SHARED, "shared"],
    [VM_PFNMAP, "pfnmap"],
    [VM_IO, "io"],
    [VM_MAYREAD, "mayread"],
    [VM_MAYWRITE, "maywrite"],
    [VM_MAYSHARE, "mayshare"],
    [VM_HUGEPAGE, "hugepage"],
    [VM_HUGETLB, "hugetlb"],
    [VM_MIXEDMAP, "mixedmap"],
    [VM_LOCKED, "locked"],
    [VM_SHADOW_STACK, "shadow-stack"],
  ),
  "percpu-count-ptr": pointer([__PERCPU_REF_ATOMIC, "ATOMIC"], [__PERCPU_REF_DEAD, "DEAD"]),
  "percpu-ref-count": {
    cases: [
      {
        mask: PERCPU_COUNT_BIAS | (1 << 31),
        value: PERCPU_COUNT_BIAS,
        name: "bias +",
        numbers: [{ shift: 0, bits: 30, name: "", always: true }],
      },
    ],
    none: 0,
  },
  "memory-type": names(
    [MEMORY_DEVICE_PRIVATE, "private"],
    [MEMORY_DEVICE_FS_DAX, "fs-dax"],
    [MEMORY_DEVICE_GENERIC, "generic"],
    [MEMORY_DEVICE_PCI_P2PDMA, "pci-p2pdma"],
    [MEMORY_DEVICE_COHERENT, "coherent"],
  ),
  "pgmap-flags": bits([PGMAP_COMPOUND, "compound"]),
  "section-map": bits(
    [SECTION_HAS_MEM_MAP, "has-mem-map"],
    [SECTION_IS_ONLINE, "online"],
    [SECTION_TAINT_ZONE_DEVICE, "zone-device"],
  ),
  "device-entry": {
    cases: [
      { mask: ALL, value: 0, name: "none" },
      {
        mask: 0,
        value: 0,
        name: "",
        numbers: [{ shift: DPT_PFN_SHIFT, bits: 32 - DPT_PFN_SHIFT, name: "pfn", always: true }],
        flags: [
          [DPT_ENTRY_VALID, "valid"],
          [DPT_ENTRY_WRITE, "W"],
          [DPT_ENTRY_ATOMIC, "atomic"],
        ],
      },
    ],
  },
});

/** Formats of the fields that are no plain numbers of a struct. */
const FIELDS: readonly (readonly [layout: object, formats: Readonly<Record<string, string>>])[] = [
  [
    PAGE,
    {
      flags: "page-flags",
      compound_head: "compound-head",
      _refcount: "count",
      _mapcount: "mapcount",
      pgmap: "pointer",
      mapping: "mapping",
      _pincount: "count",
      _entire_mapcount: "mapcount",
      _large_mapcount: "mapcount",
      lru_next: "pointer",
      lru_prev: "pointer",
    },
  ],
  [
    MM,
    {
      pgd: "pointer",
      page_table_lock: "lock",
      mmap: "pointer",
      mmu_notifiers: "pointer",
      mm_list: "pointer",
      mm_users: "count",
    },
  ],
  [
    VMA,
    {
      vm_next: "pointer",
      vm_mm: "pointer",
      vm_flags: "vm-flags",
      vm_file: "pointer",
      shared_next: "pointer",
      anon_vma: "pointer",
      vm_private_data: "pointer",
    },
  ],
  [ADDRESS_SPACE, { i_mmap: "pointer", i_pages: "pointer" }],
  [
    DEV_PAGEMAP,
    {
      ref: "pointer",
      type: "memory-type",
      flags: "pgmap-flags",
      internal_ref: "percpu-count-ptr",
      internal_ref_data: "pointer",
    },
  ],
  [PERCPU_REF, { percpu_count_ptr: "percpu-count-ptr", data: "pointer" }],
  [PERCPU_REF_DATA, { count: "percpu-ref-count", completion: "pointer" }],
  [DEV_DAX, { pgmap: "pointer", mapping: "pointer" }],
  [SUBSCRIPTIONS, { lock: "lock", itree: "pointer", deferred_list: "pointer", list: "pointer" }],
  [INTERVAL_NOTIFIER, { mm: "pointer", priv: "pointer", itree_next: "pointer", deferred_next: "pointer" }],
  [INTERVAL_FINISH, { link: "pointer", notifier: "pointer" }],
  [DMIRROR, { mm: "pointer", mdevice: "pointer", mutex: "lock", pt: "pointer", notifier: "pointer" }],
  [DMIRROR_DEVICE, { pgmap: "pointer", lock: "lock", free_list: "pointer" }],
  [MEM_SECTION, { section_mem_map: "section-map", usage: "pointer" }],
];

/** Types of symbols that are no struct: every word reads alike. */
const ARRAYS: Readonly<Record<string, readonly string[]>> = {
  pgtable: ["entry"],
  pointers: ["pointer"],
  counts: ["count"],
  lock: ["lock"],
  "device-table": ["device-entry"],
};

/** The view of the machine that was just laid out; `tables`: how many page tables there is room for. */
export function memoryView(tables: number): MemoryView {
  const types = Object.fromEntries(
    FIELDS.map(([layout, formats]) => {
      const { type, fields } = structSymbol(layout);
      return [type, fields.map((f) => formats[f] ?? "")];
    }),
  );
  return {
    formats: FORMATS(),
    types: { ...types, ...ARRAYS },
    tables: {
      base: kernel.page_tables,
      count: tables,
      shift: geom.table_shift,
      levels: geom.levels,
      present: _PAGE_PRESENT | _PAGE_PROTNONE | _PAGE_INVALID,
      leaf: _PAGE_PSE,
      pfnShift: PFN_SHIFT,
    },
    pages: {
      vmemmap: kernel.vmemmap,
      count: geom.max_pfn,
      shift: PAGE_STRUCT_SHIFT,
      table: kernel.vmemmap_table,
      frameShift: geom.vmemmap_shift,
      data: kernel.direct_map,
      dataWords: geom.page_words,
    },
  };
}
