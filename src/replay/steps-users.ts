/**
 * Steps that use GUP from outside mm, as far as pages notice: vmsplice and pipes, direct I/O, io_uring's fixed buffers,
 * process_vm_readv and _writev, move_pages, and the madvise calls that reclaim, collapse or offline.
 */

import { localArray, READ_ONCE } from "../machine/primitives.ts";
import { FOLL_LONGTERM, FOLL_WRITE, unpin_user_page, unpin_user_pages } from "../mm/gup.ts";
import { gup_fast, gup_locked } from "../mm/gup_slow.ts";
import { unpin_user_pages_dirty_lock } from "../mm/gup_unpin.ts";
import { split_huge_pages_range } from "../mm/huge_debug.ts";
import { madvise_collapse } from "../mm/khugepaged.ts";
import { soft_offline_page } from "../mm/memory_failure.ts";
import { migrate_hugetlb, move_page_to_node } from "../mm/migrate.ts";
import { AS_SHMEM } from "../mm/mm_types.ts";
import {
  is_vm_hugetlb_page,
  mmap_read_lock,
  mmap_read_unlock,
  vma_is_anonymous,
  vma_kind,
  vma_lookup,
} from "../mm/mmap.ts";
import { compound_head, compound_nr, page_to_pfn, pfn_to_page } from "../mm/page.ts";
import { page_to_nid } from "../mm/page_alloc.ts";
import { set_page_dirty_lock } from "../mm/page_writeback.ts";
import { level_span, PMD_LEVEL, pgtable_lookup, pte_pfn, pte_present } from "../mm/pgtable.ts";
import { put_page } from "../mm/swap.ts";
import { madvise_pageout } from "../mm/vmscan.ts";
import { vm_normal_page } from "../mm/zap.ts";
import type { StepResult } from "./schema.ts";
import { errnoName, type StepContext, syscall } from "./steps.ts";
import type { Mapping } from "./world.ts";

const PAGE_SIZE = 4096;

function mappingOf(ctx: StepContext, i: number): Mapping | null {
  return ctx.process.mappings.get(ctx.args.text(i)) ?? null;
}
const NOMAP: StepResult = { ret: -1, err: "NOMAP" };
/** A name that is taken; what the recording program answers is not recorded. */
const DUPRES: StepResult = { ret: -1, err: "DUPRES" };
const NORES: StepResult = { ret: -1, err: "NORES" };

/** vmsplice(2): the pipe holds a reference on each page. */
function vmspliceStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  if (world.resources.has(args.text(0))) return DUPRES;
  const n = args.int(3);
  const pages = new Int32Array(n);
  const got = gup_fast(process.mm, mapping.addr + args.int(2), n, 0, pages, false);
  if (got < 0) return syscall(got);
  world.resources.set(args.text(0), { kind: "pipe", pinned: false, pages: [...pages.subarray(0, got)] });
  return { ret: got * PAGE_SIZE };
}
function vreadStep(ctx: StepContext): StepResult {
  const pipe = ctx.world.resources.get(ctx.args.text(0));
  if (pipe === undefined) return NORES;
  const taken = pipe.pages.splice(0, ctx.args.int(1));
  for (const p of taken) put_page(p);
  return { ret: taken.length * PAGE_SIZE };
}
function closeStep(ctx: StepContext): StepResult {
  const { world, args } = ctx;
  const resource = world.resources.get(args.text(0));
  if (resource === undefined) return NORES;
  releaseResource(resource.pages, resource.pinned);
  world.resources.delete(args.text(0));
  return { ret: 0 };
}
function releaseResource(pages: number[], pinned: boolean): void {
  for (const p of pages) {
    if (pinned) unpin_user_page(p);
    else put_page(p);
  }
}

/** Direct I/O of n pages, still in flight: a read writes to memory, which dirties the pages at submission. */
function aioStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  if (world.resources.has(args.text(0))) return DUPRES;
  const n = args.int(3);
  const read = args.text(4) === "r";
  const pinned = world.machine.profile.bioPins;
  const pages = new Int32Array(n);
  const got = gup_fast(process.mm, mapping.addr + args.int(2), n, read ? FOLL_WRITE : 0, pages, pinned);
  if (got < 0) return syscall(got);
  if (read) for (const p of pages.subarray(0, got)) set_page_dirty_lock(p);
  world.resources.set(args.text(0), { kind: "aio", pinned, pages: [...pages.subarray(0, got)] });
  return { ret: 1 };
}
function aiowaitStep(ctx: StepContext): StepResult {
  const { world, args } = ctx;
  const io = world.resources.get(args.text(0));
  if (io === undefined) return NORES;
  releaseResource(io.pages, io.pinned);
  world.resources.delete(args.text(0));
  return { ret: 1, res: io.pages.length * PAGE_SIZE };
}

/** io_check_coalesce_buffer(): whole runs of equally large folios, but for the first's start and the last's end. */
function coalesces(pages: Int32Array): boolean {
  let head = compound_head(pages[0] as number);
  const nr = compound_nr(head);
  if (pages.length <= 1 || nr === 1) return false;
  const index = (p: number): number => page_to_pfn(p) - page_to_pfn(compound_head(p));
  let count = 1;
  let folios = 1;
  for (let i = 1; i < pages.length; i++) {
    const page = pages[i] as number;
    const prev = pages[i - 1] as number;
    if (compound_head(page) === head && page_to_pfn(page) === page_to_pfn(prev) + 1) {
      count++;
      continue;
    }
    if (folios === 1 ? index(prev) !== nr - 1 : count !== nr) return false;
    head = compound_head(page);
    if (compound_nr(head) !== nr || index(page) !== 0) return false;
    count = 1;
    folios++;
  }
  return true;
}
/** io_coalesce_buffer(): one pin per folio is kept. */
function coalesce(pages: Int32Array): number[] {
  const kept: number[] = [];
  for (let i = 0; i < pages.length; ) {
    const head = compound_head(pages[i] as number);
    let n = 1;
    while (i + n < pages.length && compound_head(pages[i + n] as number) === head) n++;
    kept.push(pages[i] as number);
    if (n > 1) unpin_user_pages(pages.slice(i + 1, i + n), n - 1);
    i += n;
  }
  return kept;
}

/** Whether io_uring takes buffers in the area at addr (io_pin_pages()). */
function uringTakes(ctx: StepContext, mm: number, addr: number): boolean {
  const { profile } = ctx.world.machine;
  const vma = vma_lookup(mm, addr);
  if (vma === 0 || profile.uringFiles || vma_is_anonymous(vma) || is_vm_hugetlb_page(vma)) return true;
  return profile.uringShmem && vma_kind(vma) === AS_SHMEM;
}
function uringStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  if (world.resources.has(args.text(0))) return DUPRES;
  const addr = mapping.addr + args.int(2);
  const n = args.int(3);
  const pages = new Int32Array(n);
  const flags = FOLL_WRITE | FOLL_LONGTERM;
  let got: number;
  if (world.machine.profile.uringFiles) got = gup_fast(process.mm, addr, n, flags, pages, true);
  else {
    mmap_read_lock(process.mm);
    got = gup_locked(process.mm, addr, n, flags, pages, true, false);
    mmap_read_unlock(process.mm);
  }
  if (got < 0) return syscall(got);
  const refused = got === n && !uringTakes(ctx, process.mm, addr);
  if (got < n || refused) {
    unpin_user_pages(pages, got);
    return syscall(refused ? -95 : -14);
  }
  const kept = world.machine.profile.uringCoalesces && coalesces(pages) ? coalesce(pages) : [...pages];
  world.resources.set(args.text(0), { kind: "uring", pinned: true, pages: kept });
  return { ret: 0 };
}
/** Unregisters the buffers; the ring stays until it is closed. */
function unuringStep(ctx: StepContext): StepResult {
  const ring = ctx.world.resources.get(ctx.args.text(0));
  if (ring === undefined) return NORES;
  releaseResource(ring.pages, true);
  ring.pages = [];
  return { ret: 0 };
}

/** process_vm_readv() or _writev() of n pages: pins, copies, releases. */
function pvmStep(ctx: StepContext, write: boolean): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const n = args.int(2);
  const pages = new Int32Array(n);
  mmap_read_lock(process.mm);
  const got = gup_locked(
    process.mm,
    mapping.addr + args.int(1),
    n,
    write ? FOLL_WRITE : 0,
    pages,
    true,
    true,
  );
  mmap_read_unlock(process.mm);
  if (got < 0) return syscall(got);
  unpin_user_pages_dirty_lock(pages.slice(0, got), got, write);
  return { ret: got * PAGE_SIZE };
}

/** The page mapped at an address of a process, or 0. */
export function mappedPage(mm: number, addr: number): number {
  const out = localArray(1);
  const level = pgtable_lookup(mm, addr, out);
  const e = READ_ONCE(out[0] as number);
  if (!pte_present(e) || level > PMD_LEVEL || vm_normal_page(e) === 0) return 0;
  return pfn_to_page(pte_pfn(e) + (addr & (level_span(level) - 1)));
}

/** move_pages(2) of one page; `status` is what the kernel wrote there, E999 if it wrote nothing. */
function movepageStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const addr = mapping.addr + args.int(1);
  const page = mappedPage(process.mm, addr);
  const nid = args.int(2);
  if (page === 0) return { ret: 0, status: "ENOENT" };
  const head = compound_head(page);
  if (page_to_nid(head) === nid) return { ret: 0, status: `node${nid}` };
  const huge = is_vm_hugetlb_page(vma_lookup(process.mm, addr));
  if (huge && page !== head && !ctx.world.machine.profile.movesHugetlbTails)
    return { ret: 0, status: "EACCES" };
  const ret = huge ? migrate_hugetlb(head, nid) : move_page_to_node(head, nid);
  if (ret === 0) return { ret: 0, status: `node${nid}` };
  if (ret === -16) return { ret: 0, status: "EBUSY" };
  return { ret: ctx.world.machine.profile.movePagesCounts ? 1 : 0, status: "E999" };
}

function madvStep(ctx: StepContext): StepResult | null {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const addr = mapping.addr + args.int(1);
  const len = args.int(2);
  switch (args.text(3)) {
    case "pageout":
      return syscall(madvise_pageout(process.mm, addr, len));
    case "collapse":
      return syscall(ctx.world.machine.profile.madvCollapse ? madvise_collapse(process.mm, addr, len) : -22);
    case "softoff": {
      for (let i = 0; i < len; i++) {
        const page = mappedPage(process.mm, addr + i);
        const ret = page === 0 ? 0 : soft_offline_page(page);
        if (ret < 0) return { ret: -1, err: errnoName(ret) };
      }
      return { ret: 0 };
    }
  }
  return null;
}

function splithugeStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  if (!ctx.world.machine.profile.splitHuge) return { ret: -1, err: "EINVAL" };
  split_huge_pages_range(process.mm, mapping.addr + args.int(1), args.int(2));
  return { ret: 0 };
}

/** Does the step if it is one of this file's. */
export function userStep(ctx: StepContext): StepResult | null {
  switch (ctx.step.op) {
    case "vmsplice":
      return vmspliceStep(ctx);
    case "vread":
      return vreadStep(ctx);
    case "close":
      return closeStep(ctx);
    case "aio":
      return aioStep(ctx);
    case "aiowait":
      return aiowaitStep(ctx);
    case "uring":
      return uringStep(ctx);
    case "unuring":
      return unuringStep(ctx);
    case "pvm_read":
      return pvmStep(ctx, false);
    case "pvm_write":
      return pvmStep(ctx, true);
    case "movepage":
      return movepageStep(ctx);
    case "madv":
      return madvStep(ctx);
    case "splithuge":
      return splithugeStep(ctx);
  }
  return null;
}
