/**
 * Operations on address spaces: mapping, unmapping, protecting, locking, moving, advising; fork and exit.
 */

import { config, geom } from "../machine/config.ts";
import { READ_ONCE } from "../machine/primitives.ts";
import { EEXIST, EINVAL, ENOMEM } from "../mm/errno.ts";
import { file_put, hugetlb_file_setup, secretmem_file_create, shmem_file_setup } from "../mm/filemap.ts";
import { dup_mm } from "../mm/fork.ts";
import { mm_populate } from "../mm/gup_populate.ts";
import { remap_pfn_range, vm_insert_page } from "../mm/insert_page.ts";
import { do_madvise, do_munmap, MADV_HUGEPAGE, MADV_NOHUGEPAGE } from "../mm/madvise.ts";
import { do_mlock, do_munlock } from "../mm/mlock_fixup.ts";
import {
  VM_DONTEXPAND,
  VM_EXEC,
  VM_HUGETLB,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  VMA,
} from "../mm/mm_types.ts";
import { do_mmap, find_vma, mmap_write_lock, mmap_write_unlock, vma_lookup } from "../mm/mmap.ts";
import { do_mprotect } from "../mm/mprotect.ts";
import { do_mremap, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from "../mm/mremap.ts";
import { pfn_to_page } from "../mm/page.ts";
import { DRIVER_PAGES } from "./machine.ts";
import {
  mappingOf,
  NOMAP,
  NOPROC,
  type Operations,
  rangeCall,
  type StepContext,
  syscall,
} from "./operations.ts";
import type { StepResult } from "./schema.ts";
import type { Mapping, Process } from "./world.ts";

const PROT: Readonly<Record<string, number>> = {
  n: 0,
  r: VM_READ,
  rw: VM_READ | VM_WRITE,
  w: VM_WRITE,
  x: VM_EXEC,
  rwx: VM_READ | VM_WRITE | VM_EXEC,
  rx: VM_READ | VM_EXEC,
};

function protOf(ctx: StepContext, text: string): number {
  return PROT[text] ?? ctx.args.fail(`unknown protection "${text}"`);
}

function placeMapping(ctx: StepContext, pages: number): number {
  const { args, process, world } = ctx;
  const after = args.option("after");
  const align = args.number("align", 0) >> 12;
  if (after === undefined) return world.placeArea(pages);
  const beside = process.mappings.get(after);
  if (beside === undefined) return world.placeArea(pages);
  const addr = beside.addr + beside.pages + args.number("skip", 0);
  return align > 1 ? Math.ceil(addr / align) * align : addr;
}

/** mmap() of /dev/gt: every page of it is mapped at once. */
function driverMmap(ctx: StepContext, vma: number, kind: string, addr: number, pages: number): void {
  const pfn = ctx.world.machine.driver.get(kind) ?? 0;
  if (kind === "pfn") remap_pfn_range(vma, addr, pfn, pages);
  else for (let i = 0; i < pages; i++) vm_insert_page(vma, addr + i, pfn_to_page(pfn + i));
}

const KINDS = [
  "anon",
  "thp",
  "hugetlb",
  "dax4k",
  "dax2m",
  "dax1g",
  "memfd",
  "file",
  "secret",
  "hmemfd",
  "drv",
];
const DRIVER_KINDS = ["pfn", "page", "pagec"];
const KEEPABLE = ["memfd", "hmemfd"];

function mapStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const name = args.text(0);
  const kind = args.text(1);
  // mmap(MAP_HUGETLB) rounds the length up.
  const pages =
    kind === "hugetlb" ? Math.ceil(args.int(2) / geom.hpage_pmd_nr) * geom.hpage_pmd_nr : args.int(2);
  if (pages < 1) return syscall(-EINVAL);
  const dev = args.option("dev");
  if (!KINDS.includes(kind)) args.fail(`unknown kind "${kind}"`);
  const onFile = ["dax4k", "dax2m", "dax1g", "file"].includes(kind);
  const byDefault = onFile || kind === "hmemfd" || kind === "secret" || kind === "drv";
  const shared = byDefault ? !args.flag("private") : args.flag("shared");
  let flags = protOf(ctx, args.option("prot") ?? "rw") | VM_MAYREAD | VM_MAYWRITE;
  if (shared) flags |= VM_SHARED | VM_MAYSHARE;
  let file = 0;
  if (onFile) {
    file = world.machine.files.get(dev ?? "") ?? args.fail(`no device or file "${dev ?? ""}"`);
  } else if (kind === "memfd" || (kind === "anon" && shared)) file = shmem_file_setup(pages);
  else if (kind === "drv") {
    if (!DRIVER_KINDS.includes(dev ?? "")) args.fail(`unknown driver mapping "${dev ?? ""}"`);
    file = world.machine.driver.get("file") ?? 0;
    if (pages > DRIVER_PAGES) return syscall(-EINVAL);
  } else if (kind === "secret") {
    if (config.secretmem === 0) return { ret: -1, err: "memfd_secret:ENOSYS" };
    file = secretmem_file_create(pages);
  } else if (kind === "hmemfd") {
    flags |= VM_HUGETLB | VM_DONTEXPAND;
    file = hugetlb_file_setup(pages);
  }
  if (kind === "hugetlb") {
    flags |= VM_HUGETLB | VM_DONTEXPAND;
    file = hugetlb_file_setup(pages);
  }
  // Files that our page cache has no room for.
  const anonymous = kind === "thp" || (kind === "anon" && !shared);
  if (file === 0 && !anonymous) return syscall(-ENOMEM);
  /** Nobody maps the file then, and its descriptor is closed. */
  const failed = (result: StepResult): StepResult => {
    if (file !== 0) file_put(file);
    return result;
  };
  const over = args.option("over");
  const under = over === undefined ? undefined : process.mappings.get(over);
  if (over !== undefined && under === undefined) return failed(NOMAP);
  const addr = under === undefined ? placeMapping(ctx, pages) : under.addr + args.number("at", 0);
  if (kind === "hugetlb" && addr % geom.hpage_pmd_nr !== 0) return failed(syscall(-EINVAL));
  // The recording program places mappings with MAP_FIXED_NOREPLACE.
  const beside = find_vma(process.mm, addr);
  if (under === undefined && beside !== 0 && READ_ONCE(beside + VMA.vm_start) < addr + pages)
    return failed(syscall(-EEXIST));
  mmap_write_lock(process.mm);
  // MAP_FIXED: what was there goes.
  const removed = under === undefined ? 0 : do_munmap(process.mm, addr, pages);
  const ret = removed < 0 ? removed : do_mmap(process.mm, addr, pages, flags, file, args.number("off", 0));
  if (ret === 0 && kind === "drv") driverMmap(ctx, vma_lookup(process.mm, addr), dev ?? "", addr, pages);
  mmap_write_unlock(process.mm);
  if (ret < 0) return failed(syscall(ret));
  if (args.flag("populate")) mm_populate(process.mm, addr, pages, true);
  mmap_write_lock(process.mm);
  if (kind === "thp") do_madvise(process.mm, addr, pages, MADV_HUGEPAGE);
  if (kind === "anon" && !shared) do_madvise(process.mm, addr, pages, MADV_NOHUGEPAGE);
  mmap_write_unlock(process.mm);
  const keeps = args.flag("keep") && KEEPABLE.includes(kind);
  if (keeps) world.keep(file);
  const copies = kind === "drv" && !shared;
  process.mappings.set(name, { addr, pages, ...(keeps ? { file } : {}), ...(copies ? { copies } : {}) });
  return { ret: 0, off2m: addr & 511 };
}

function unmapStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const result = rangeCall(ctx, do_munmap);
  const mapping = mappingOf(ctx, 0);
  if (result["ret"] === 0 && mapping !== null && args.int(1) === 0 && args.int(2) === mapping.pages)
    process.mappings.delete(args.text(0));
  return result;
}

function forkStep(ctx: StepContext): StepResult {
  const { world, process, args } = ctx;
  // What the recording program answers is not recorded; nothing happens.
  if (world.processes.has(args.text(0))) return { ret: -1, err: "DUPPROC" };
  mmap_write_lock(process.mm);
  const mm = dup_mm(process.mm);
  mmap_write_unlock(process.mm);
  if (mm === 0) {
    // The recording program does not look at what fork() returns.
    world.unborn.set(args.text(0), "unnoticed");
    return { ret: 0 };
  }
  world.processes.set(args.text(0), { mm, ...world.inherit(process) });
  return { ret: 0 };
}
function exitStep(ctx: StepContext): StepResult {
  const { world, args } = ctx;
  const name = args.text(0);
  if (world.unborn.delete(name)) return { ret: 0 };
  if (!world.processes.has(name)) return NOPROC;
  world.exit(name);
  return { ret: 0 };
}

/** mlock() and munlock() take mmap_lock themselves. */
function lockStep(ctx: StepContext, call: (mm: number, addr: number, len: number) => number): StepResult {
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  return syscall(call(ctx.process.mm, mapping.addr + ctx.args.int(1), ctx.args.int(2)));
}

// ---- mremap() ---------------------------------------------------------------------------------------------

/** Calls mremap(), which may put what was at `addr` at `to`. */
function callMremap(
  process: Process,
  addr: number,
  oldPages: number,
  newPages: number,
  flags: number,
  to: number,
): number {
  mmap_write_lock(process.mm);
  const ret = do_mremap(process.mm, addr, oldPages, newPages, flags, to);
  mmap_write_unlock(process.mm);
  return ret;
}
/** A new place, aligned to 2 MiB plus what option skew says, for so many pages. */
function newPlace(ctx: StepContext, pages: number): number {
  return ctx.world.placeArea(pages + geom.hpage_pmd_nr) + ctx.args.number("skew", 0);
}
const MOVE = MREMAP_MAYMOVE | MREMAP_FIXED;
/** What each form of the operation takes besides the mapping's name. */
const MREMAP_FORMS: Readonly<Record<string, number>> = {
  move: 0,
  resize: 1,
  grow: 1,
  dontunmap: 1,
  part: 3,
  onto: 4,
};
function mremapStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  // The first recording's program has no such operation: it answers so itself.
  if (args.count === 1) return { ret: -1, err: "BADSCRIPT" };
  const form = args.text(1);
  if (MREMAP_FORMS[form] !== args.count - 2) return args.fail(`unknown form "${form}", or not its arguments`);
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const { addr, pages } = mapping;
  const name = args.text(0);
  const moved = (ret: number, as: string, n: number): StepResult => {
    if (ret < 0) return syscall(ret);
    process.mappings.set(as, { addr: ret, pages: n });
    return { ret: 0 };
  };
  switch (form) {
    case "move":
      return moved(callMremap(process, addr, pages, pages, MOVE, newPlace(ctx, pages)), name, pages);
    case "resize":
      return moved(callMremap(process, addr, pages, args.int(2), 0, 0), name, args.int(2));
    case "grow": {
      const n = args.int(2);
      return moved(callMremap(process, addr, pages, n, MOVE, newPlace(ctx, n)), name, n);
    }
    case "dontunmap": {
      const flags = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
      return moved(callMremap(process, addr, pages, pages, flags, newPlace(ctx, pages)), args.text(2), pages);
    }
    case "part": {
      const n = args.int(3);
      const ret = callMremap(process, addr + args.int(2), n, n, MOVE, newPlace(ctx, n));
      if (ret >= 0) forgetWhole(ctx, mapping);
      return moved(ret, args.text(4), n);
    }
    default: {
      const onto = process.mappings.get(args.text(4));
      if (onto === undefined) return NOMAP;
      const n = args.int(3);
      const ret = callMremap(process, addr + args.int(2), n, n, MOVE, onto.addr + args.int(5));
      if (ret < 0) return syscall(ret);
      forgetWhole(ctx, mapping);
      return { ret: 0 };
    }
  }
}
/** A mapping of which all pages have gone elsewhere has no name any more. */
function forgetWhole({ args, process }: StepContext, mapping: Mapping): void {
  if (args.int(2) === 0 && args.int(3) === mapping.pages) process.mappings.delete(args.text(0));
}

export const MAP_OPERATIONS: Operations = {
  map: {
    args: [3, 3],
    options: [
      "prot",
      "off",
      "after",
      "skip",
      "align",
      "shared",
      "private",
      "dev",
      "over",
      "at",
      "populate",
      "keep",
    ],
    run: mapStep,
  },
  unmap: { args: [3, 3], run: unmapStep },
  prot: {
    args: [4, 4],
    run: (ctx) =>
      rangeCall(ctx, (mm, addr, len) => do_mprotect(mm, addr, len, protOf(ctx, ctx.args.text(3)))),
  },
  mlock: { args: [3, 3], run: (ctx) => lockStep(ctx, (mm, addr, len) => do_mlock(mm, addr, len, 0)) },
  munlock: { args: [3, 3], run: (ctx) => lockStep(ctx, do_munlock) },
  mremap: { args: [1, 6], options: ["skew"], run: mremapStep },
  fork: { args: [1, 1], run: forkStep },
  exit: { args: [1, 1], run: exitStep },
};
