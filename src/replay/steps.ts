/**
 * The steps of a recording, done on our memory: each operation of the trace format calls the mm code as the recording program
 * and its kernel module called the kernel. Answers that are the module's, not the kernel's, are given as it gave them.
 *
 * Operations on the machine's devices and on blocking children are in steps-machine.ts, users of GUP outside mm in steps-users.ts.
 */

import { geom, kernel } from "../machine/config.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { EEXIST, EINVAL, ENOMEM } from "../mm/errno.ts";
import { shmem_file_setup } from "../mm/filemap.ts";
import { dup_mm, exit_mmap } from "../mm/fork.ts";
import { FOLL_FORCE, FOLL_LONGTERM, FOLL_WRITE, unpin_user_page, unpin_user_pages } from "../mm/gup.ts";
import { FOLL_NOFAULT, gup_fast, gup_fast_only, gup_locked, gup_unlocked } from "../mm/gup_slow.ts";
import { unpin_user_page_range_dirty_lock, unpin_user_pages_dirty_lock } from "../mm/gup_unpin.ts";
import { lru_add_drain } from "../mm/lru.ts";
import {
  do_madvise,
  do_mlock,
  do_munmap,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
} from "../mm/madvise.ts";
import {
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
import {
  do_mmap,
  find_vma,
  mmap_read_lock,
  mmap_read_unlock,
  mmap_write_lock,
  mmap_write_unlock,
} from "../mm/mmap.ts";
import { do_mprotect } from "../mm/mprotect.ts";
import { compound_head, is_zone_device_page, page_address, page_to_pfn } from "../mm/page.ts";
import { HPAGE_PMD_NR } from "../mm/page_alloc.ts";
import { put_page } from "../mm/swap.ts";
import { is_huge_zero_pfn } from "../mm/zap.ts";
import { accessUser } from "./access.ts";
import { ReplayInputError } from "./reader.ts";
import type { Step, StepResult } from "./schema.ts";
import { machineStep } from "./steps-machine.ts";
import { userStep } from "./steps-users.ts";
import type { Handle, Process, World } from "./world.ts";

const ERRNO: Readonly<Record<number, string>> = {
  1: "EPERM",
  6: "ENXIO",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  14: "EFAULT",
  16: "EBUSY",
  17: "EEXIST",
  22: "EINVAL",
  95: "EOPNOTSUPP",
};
/** The name of a kernel error, given as a negative number. */
export function errnoName(ret: number): string {
  return ERRNO[-ret] ?? `E${-ret}`;
}
/** What a system call wrapper returns: -1 and the name. */
export function syscall(ret: number): StepResult {
  return ret < 0 ? { ret: -1, err: errnoName(ret) } : { ret };
}
const NOMAP: StepResult = { ret: -1, err: "NOMAP" };

/** One step with its arguments picked apart; throws ReplayInputError for what cannot be a step. */
export class Args {
  private readonly step: Step;
  private readonly where: string;
  constructor(step: Step, where: string) {
    this.step = step;
    this.where = where;
  }
  fail(why: string): never {
    throw new ReplayInputError(`${this.where}: ${this.step.op} ${this.step.args.join(" ")}: ${why}`);
  }
  text(i: number): string {
    return this.step.args[i] ?? this.fail(`argument ${i + 1} is missing`);
  }
  int(i: number): number {
    const n = Number(this.text(i));
    return Number.isSafeInteger(n) ? n : this.fail(`argument ${i + 1} is not an integer`);
  }
  /** The value of `name=value` among the arguments from `from` on. */
  option(name: string, from: number): string | undefined {
    const found = this.step.args.slice(from).find((a) => a.startsWith(`${name}=`));
    return found?.slice(name.length + 1);
  }
}

export interface StepContext {
  readonly world: World;
  readonly step: Step;
  readonly args: Args;
  readonly process: Process;
  /** What the recorded machine answered: consulted only where the answer depends on physical placement. */
  readonly recorded: StepResult | null;
  /** Word of a page that kload reads: 1, or 0 in recordings of schema 2. */
  readonly loadWord: number;
}

// ---- Mapping ------------------------------------------------------------------------------------------------

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
  const after = args.option("after", 3);
  const align = Number(args.option("align", 3) ?? 0) >> 12;
  if (after === undefined) return world.placeArea(pages);
  const beside = process.mappings.get(after);
  if (beside === undefined) return world.placeArea(pages);
  const addr = beside.addr + beside.pages + Number(args.option("skip", 3) ?? 0);
  return align > 1 ? Math.ceil(addr / align) * align : addr;
}

function mapStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const name = args.text(0);
  const kind = args.text(1);
  // mmap(MAP_HUGETLB) rounds the length up.
  const pages = kind === "hugetlb" ? Math.ceil(args.int(2) / HPAGE_PMD_NR) * HPAGE_PMD_NR : args.int(2);
  if (pages < 1) return syscall(-EINVAL);
  const dev = args.option("dev", 3);
  const onFile = ["dax4k", "dax2m", "dax1g", "file"].includes(kind);
  const shared = onFile ? args.option("private", 3) !== "1" : args.option("shared", 3) === "1";
  let flags = protOf(ctx, args.option("prot", 3) ?? "rw") | VM_MAYREAD | VM_MAYWRITE;
  if (shared) flags |= VM_SHARED | VM_MAYSHARE;
  let file = 0;
  if (onFile) {
    file = world.machine.files.get(dev ?? "") ?? args.fail(`no device or file "${dev ?? ""}"`);
  } else if (kind === "memfd" || (kind === "anon" && shared)) file = shmem_file_setup(pages);
  else if (kind === "hugetlb") {
    flags |= VM_HUGETLB;
    if (shared) file = shmem_file_setup(pages);
  } else if (kind !== "anon" && kind !== "thp") args.fail(`unknown kind "${kind}"`);
  // Shared memory that our page cache has no room for.
  if (file === 0 && shared) return syscall(-ENOMEM);
  const addr = placeMapping(ctx, pages);
  if (kind === "hugetlb" && addr % HPAGE_PMD_NR !== 0) return syscall(-EINVAL);
  // The recording program places mappings with MAP_FIXED_NOREPLACE.
  const beside = find_vma(process.mm, addr);
  if (beside !== 0 && READ_ONCE(beside + VMA.vm_start) < addr + pages) return syscall(-EEXIST);
  mmap_write_lock(process.mm);
  const ret = do_mmap(process.mm, addr, pages, flags, file, Number(args.option("off", 3) ?? 0));
  if (ret === 0 && kind === "thp") do_madvise(process.mm, addr, pages, MADV_HUGEPAGE);
  if (ret === 0 && kind === "anon" && !shared) do_madvise(process.mm, addr, pages, MADV_NOHUGEPAGE);
  mmap_write_unlock(process.mm);
  if (ret < 0) return syscall(ret);
  process.mappings.set(name, { addr, pages });
  return { ret: 0, off2m: addr & 511 };
}

function rangeStep(ctx: StepContext, call: (mm: number, addr: number, len: number) => number): StepResult {
  const { args, process } = ctx;
  const mapping = process.mappings.get(args.text(0));
  if (mapping === undefined) return NOMAP;
  mmap_write_lock(process.mm);
  const ret = call(process.mm, mapping.addr + args.int(1), args.int(2));
  mmap_write_unlock(process.mm);
  return syscall(ret);
}

function unmapStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const result = rangeStep(ctx, do_munmap);
  const mapping = process.mappings.get(args.text(0));
  if (result["ret"] === 0 && mapping !== undefined && args.int(1) === 0 && args.int(2) === mapping.pages)
    process.mappings.delete(args.text(0));
  return result;
}

const ADVICE: Readonly<Record<string, number>> = {
  dontneed: MADV_DONTNEED,
  free: MADV_FREE,
  dontfork: MADV_DONTFORK,
  hugepage: MADV_HUGEPAGE,
  nohugepage: MADV_NOHUGEPAGE,
};

function forkStep(ctx: StepContext): StepResult {
  const { world, process, args } = ctx;
  // What the recording program answers is not recorded; nothing happens.
  if (world.processes.has(args.text(0))) return { ret: -1, err: "DUPPROC" };
  mmap_write_lock(process.mm);
  const mm = dup_mm(process.mm);
  mmap_write_unlock(process.mm);
  if (mm === 0) return { ret: -1, err: "ENOMEM" };
  world.processes.set(args.text(0), { mm, mappings: new Map(process.mappings) });
  return { ret: 0 };
}
function exitStep(ctx: StepContext): StepResult {
  const { world, args } = ctx;
  const name = args.text(0);
  const child = world.processes.get(name) ?? args.fail(`no process "${name}"`);
  exit_mmap(child.mm);
  world.processes.delete(name);
  return { ret: 0 };
}

// ---- Access -------------------------------------------------------------------------------------------------

/** The recording program writes this plus the page's index to the first word. */
const TOUCH_VALUE = 0x1000;

function touchStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = process.mappings.get(args.text(0));
  if (mapping === undefined) return NOMAP;
  const off = args.int(1);
  const n = args.int(2);
  const how = args.text(3);
  for (let i = 0; i < n; i++) {
    const addr = mapping.addr + off + i;
    const read = how === "x" ? accessUser(process.mm, addr, false) : 0;
    const at = typeof read === "string" ? read : accessUser(process.mm, addr, how !== "r");
    if (typeof at === "string") return { ok: i, sig: at };
    if (how !== "r") WRITE_ONCE(at, TOUCH_VALUE + off + i);
  }
  return { ok: n };
}
function storeStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = process.mappings.get(args.text(0));
  if (mapping === undefined) return NOMAP;
  const at = accessUser(process.mm, mapping.addr + args.int(1), true);
  if (typeof at === "string") return { sig: at };
  WRITE_ONCE(at + 1, args.int(2));
  ctx.world.knownWords.add(at + 1);
  return { val: args.int(2) };
}
function loadStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = process.mappings.get(args.text(0));
  if (mapping === undefined) return NOMAP;
  const at = accessUser(process.mm, mapping.addr + args.int(1), false);
  return typeof at === "string" ? { sig: at } : { val: readWord(ctx, at + 1) };
}
/**
 * A word of a page's contents. What a device's page holds before anything of this recording has written or read it is not
 * recorded: the first value that is read there is taken over.
 */
function readWord(ctx: StepContext, at: number): number {
  const { world, recorded } = ctx;
  const value = recorded?.["val"];
  const pfn = ((at - kernel.direct_map) / geom.page_words) | 0;
  if (!world.knownWords.has(at) && typeof value === "number" && world.isDevice(pfn)) WRITE_ONCE(at, value);
  world.knownWords.add(at);
  return READ_ONCE(at);
}

/** The page that a handle holds at an index. */
function handlePage(ctx: StepContext): number {
  const handle = ctx.world.handles.get(ctx.args.text(0));
  return handle?.pages[ctx.args.int(1)] ?? 0;
}
function kloadStep(ctx: StepContext): StepResult {
  const page = handlePage(ctx);
  if (page === 0) return { ret: -1, err: "NOHANDLE" };
  return { val: readWord(ctx, page_address(page) + ctx.loadWord) };
}
function kstoreStep(ctx: StepContext): StepResult {
  const page = handlePage(ctx);
  if (page === 0) return { ret: -1, err: "NOHANDLE" };
  const pfn = page_to_pfn(page);
  if (pfn === kernel.zero_pfn || is_huge_zero_pfn(pfn)) return { ret: -1, err: "EROFS" };
  WRITE_ONCE(page_address(page) + ctx.loadWord, ctx.args.int(2));
  ctx.world.knownWords.add(page_address(page) + ctx.loadWord);
  return { val: ctx.args.int(2) };
}

// ---- Pinning ------------------------------------------------------------------------------------------------

function follFlags(ctx: StepContext, text: string): number {
  let flags = 0;
  if (text === "-") return 0;
  for (const c of text) {
    if (c === "W") flags |= FOLL_WRITE;
    else if (c === "F") flags |= FOLL_FORCE;
    else if (c === "L") flags |= FOLL_LONGTERM;
    else if (c === "N") flags |= FOLL_NOFAULT;
    else ctx.args.fail(`unknown flag "${c}"`);
  }
  return flags;
}

/** Calls the function that the mode names; pages go to the front of `pages`. */
export function gupCall(
  mm: number,
  mode: string,
  addr: number,
  n: number,
  flags: number,
  pages: Int32Array,
): number | null {
  const pin = mode.startsWith("pin");
  switch (mode.replace(/^(pin|get)/, "")) {
    case "_fast":
      return gup_fast(mm, addr, n, flags, pages, pin);
    case "_fast_only":
      return gup_fast_only(mm, addr, n, flags, pages, pin);
    case "_unlocked":
      return gup_unlocked(mm, addr, n, flags, pages, pin);
    case "":
    case "_remote": {
      mmap_read_lock(mm);
      const ret = gup_locked(mm, addr, n, flags, pages, pin, mode.endsWith("_remote"));
      mmap_read_unlock(mm);
      return ret;
    }
  }
  return null;
}

/** Pages that a request for none may still write, see config.gupZeroPages. */
const SLACK = 1024;

function pinStep(ctx: StepContext): StepResult {
  const { args, world } = ctx;
  const { profile } = world.machine;
  const name = args.text(0);
  const flags = follFlags(ctx, args.text(4));
  const mode = args.text(5);
  const target = args.option("pid", 6);
  const process =
    target === undefined ? ctx.process : (world.processes.get(target) ?? args.fail(`no process "${target}"`));
  const mapping = process.mappings.get(args.text(1));
  if (mapping === undefined) return NOMAP;
  if (world.handles.has(name)) {
    if (ctx.loadWord !== 0) return { ret: -1, err: "DUPHANDLE" };
    // Recordings of schema 2: the module keeps the old handle's pins till the end, under no name.
    world.hideHandle(name);
  }
  if (
    (mode === "pin_fast_only" && !profile.pinFastOnly) ||
    ((flags & FOLL_NOFAULT) !== 0 && !profile.nofault)
  )
    return { ret: -95, err: "EOPNOTSUPP" };
  const addr = mapping.addr + args.int(2);
  const n = args.int(3);
  const pages = new Int32Array(Math.max(n, 0) + SLACK);
  let ret: number;
  if (args.option("rep", 6) === "1") {
    const one = new Int32Array(1);
    ret = 0;
    while (ret < n) {
      const got = gupCall(process.mm, mode, addr, 1, flags, one);
      if (got !== 1) break;
      pages[ret++] = one[0] as number;
    }
  } else ret = gupCall(process.mm, mode, addr, n, flags, pages) ?? args.fail(`unknown mode "${mode}"`);
  if (ret > 0)
    world.handles.set(name, { kind: mode.startsWith("pin") ? "pin" : "get", pages: pages.slice(0, ret) });
  return ret < 0 ? { ret, err: errnoName(ret) } : { ret };
}

/** Every page follows the one before it in physical memory. */
function contiguous(pages: Int32Array): boolean {
  for (let i = 1; i < pages.length; i++)
    if (page_to_pfn(pages[i] as number) !== page_to_pfn(pages[i - 1] as number) + 1) return false;
  return true;
}
/** All pages lie in one compound page or in devices: their order in memory is mm's business, not the allocator's. */
function placementIsFixed(pages: Int32Array): boolean {
  const head = compound_head(pages[0] as number);
  return pages.every((p) => is_zone_device_page(compound_head(p)) || compound_head(p) === head);
}

/**
 * unpin_user_page_range_dirty_lock() works on a physical range; the module refuses pages that are not contiguous. Where that
 * is up to the allocator, the recorded answer decides, and pages that are not contiguous here are released range by range.
 */
function unpinRange(ctx: StepContext, pages: Int32Array, dirty: boolean): number {
  const fixed = placementIsFixed(pages);
  const refused = ctx.recorded !== null && !fixed ? ctx.recorded["err"] === "EINVAL" : !contiguous(pages);
  if (refused) return -22;
  if (!ctx.world.machine.profile.unpinRange) return -95;
  for (let i = 0; i < pages.length; ) {
    let n = 1;
    while (
      i + n < pages.length &&
      page_to_pfn(pages[i + n] as number) === page_to_pfn(pages[i] as number) + n
    )
      n++;
    unpin_user_page_range_dirty_lock(pages[i] as number, n, dirty);
    i += n;
  }
  return 0;
}

function releasePages(ctx: StepContext, how: string, pages: Int32Array): number {
  switch (how) {
    case "unpin":
      for (const p of pages) unpin_user_page(p);
      return 0;
    case "unpin_pages":
      unpin_user_pages(pages, pages.length);
      return 0;
    case "dirty0":
    case "dirty1":
      unpin_user_pages_dirty_lock(pages, pages.length, how === "dirty1");
      return 0;
    case "range0":
    case "range1":
      return unpinRange(ctx, pages, how === "range1");
    case "put":
      for (const p of pages) put_page(p);
      return 0;
  }
  return ctx.args.fail(`unknown way to release "${how}"`);
}

function unpinStep(ctx: StepContext): StepResult {
  const { args, world } = ctx;
  const handle = world.handles.get(args.text(0));
  if (handle === undefined) return { ret: -1, err: "NOHANDLE" };
  const i = args.int(1);
  const n = args.int(2);
  const how = args.text(3);
  if ((how === "put") !== (handle.kind === "get")) return { ret: -1, err: "MISMATCH" };
  const pages = handle.pages.slice(i, i + n);
  if (i < 0 || n < 1 || pages.length !== n || pages.includes(0)) return { ret: -1, err: "EINVAL" };
  const ret = releasePages(ctx, how, pages);
  if (ret < 0) return { ret, err: errnoName(ret) };
  handle.pages.fill(0, i, i + n);
  if (handle.pages.every((p) => p === 0)) world.handles.delete(args.text(0));
  return { ret: n };
}

/** Releases everything: the module's handles, the program's pipes and buffers, children and mappings. */
function cleanupStep(ctx: StepContext): StepResult {
  const { world } = ctx;
  let released = 0;
  for (const h of world.handles.values()) released += releaseHandle(h);
  for (const r of world.resources.values())
    for (const p of r.pages) {
      if (r.pinned) unpin_user_page(p);
      else put_page(p);
    }
  world.reset();
  return { released };
}
function releaseHandle(h: Handle): number {
  let released = 0;
  for (const p of h.pages) {
    if (p === 0) continue;
    if (h.kind === "pin") unpin_user_page(p);
    else put_page(p);
    released++;
  }
  return released;
}

// ---- Dispatch -----------------------------------------------------------------------------------------------

const OPS: Readonly<Record<string, (ctx: StepContext) => StepResult>> = {
  map: mapStep,
  unmap: unmapStep,
  prot: (ctx) => rangeStep(ctx, (mm, addr, len) => do_mprotect(mm, addr, len, protOf(ctx, ctx.args.text(3)))),
  mlock: (ctx) => rangeStep(ctx, do_mlock),
  // The recording program has no such operation: it answers so itself.
  mremap: () => ({ ret: -1, err: "BADSCRIPT" }),
  touch: touchStep,
  store: storeStep,
  load: loadStep,
  kload: kloadStep,
  kstore: kstoreStep,
  fork: forkStep,
  exit: exitStep,
  pin: pinStep,
  unpin: unpinStep,
  nodrain: ({ world }) => {
    world.nodrain = true;
    return { ret: 0 };
  },
  drain: ({ world }) => {
    world.nodrain = false;
    lru_add_drain();
    return { ret: 0 };
  },
  cleanup: cleanupStep,
};

/** Does one step; gives its result. Throws ReplayInputError for an operation that does not exist. */
export function runStep(
  world: World,
  step: Step,
  where: string,
  recorded: StepResult | null,
  loadWord: number,
): StepResult {
  const args = new Args(step, where);
  const process = world.process(step.proc) ?? args.fail(`no process "${step.proc}"`);
  const ctx: StepContext = { world, step, args, process, recorded, loadWord };
  const op = OPS[step.op];
  if (op !== undefined) return op(ctx);
  if (step.op === "madv") {
    const advice = ADVICE[args.text(3)];
    if (advice !== undefined) return rangeStep(ctx, (mm, addr, len) => do_madvise(mm, addr, len, advice));
  }
  return userStep(ctx) ?? machineStep(ctx) ?? args.fail("unknown operation");
}
