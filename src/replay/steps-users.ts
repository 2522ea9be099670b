/**
 * Operations that use GUP from outside mm, as far as pages notice: vmsplice and pipes, direct I/O, io_uring's
 * fixed buffers, process_vm_readv and _writev.
 */

import { geom } from "../machine/config.ts";
import { WRITE_ONCE } from "../machine/primitives.ts";
import { EAGAIN, ESRCH } from "../mm/errno.ts";
import { unpin_user_pages } from "../mm/gup.ts";
import { gup_fast, gup_locked } from "../mm/gup_entry.ts";
import { FOLL_LONGTERM, FOLL_WRITE } from "../mm/gup_flags.ts";
import { unpin_user_pages_dirty_lock } from "../mm/gup_unpin.ts";
import { AS_SHMEM } from "../mm/mm_types.ts";
import {
  is_vm_hugetlb_page,
  mmap_read_lock,
  mmap_read_unlock,
  vma_is_anonymous,
  vma_kind,
  vma_lookup,
} from "../mm/mmap.ts";
import { compound_head, compound_nr, page_address, page_to_pfn } from "../mm/page.ts";
import { set_page_dirty_lock } from "../mm/page_writeback.ts";
import { put_page } from "../mm/swap.ts";
import {
  DUPRES,
  mappingOf,
  NOMAP,
  NORES,
  type Operations,
  type StepContext,
  syscall,
  targetProcess,
} from "./operations.ts";
import type { StepResult } from "./schema.ts";
import type { Resource } from "./world.ts";

const PAGE_SIZE = 4096;

/** Slots of a pipe (PIPE_DEF_BUFFERS). */
const PIPE_BUFFERS = 16;

/**
 * vmsplice(2) into a pipe that is made if there is none of that name: it holds a reference on each page, a
 * slot for each.
 */
function vmspliceStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  // SPLICE_F_GIFT only says that the pages will not be written any more.
  args.flag("gift");
  const pipe = process.resources.get(args.text(0)) ?? newPipe(ctx);
  if (pipe.kind !== "pipe") return DUPRES;
  const room = PIPE_BUFFERS - pipe.pages.length;
  if (room === 0) return syscall(-EAGAIN);
  const n = args.pages(3);
  const pages = new Int32Array(n);
  const got = gup_fast(process.mm, mapping.addr + args.int(2), n, 0, pages, false);
  if (got < 0) return syscall(got);
  for (let i = room; i < got; i++) put_page(pages[i] as number);
  const taken = Math.min(got, room);
  pipe.pages.push(...pages.subarray(0, taken));
  return { ret: taken * PAGE_SIZE };
}
function newPipe({ args, process }: StepContext): Resource {
  const pipe: Resource = { kind: "pipe", pinned: false, pages: [], users: 1 };
  process.resources.set(args.text(0), pipe);
  return pipe;
}
function vreadStep(ctx: StepContext): StepResult {
  const pipe = ctx.process.resources.get(ctx.args.text(0));
  if (pipe === undefined) return NORES;
  const taken = pipe.pages.splice(0, ctx.args.int(1));
  for (const p of taken) put_page(p);
  return { ret: taken.length * PAGE_SIZE };
}
function closeStep(ctx: StepContext): StepResult {
  const { world, args, process } = ctx;
  const resource = process.resources.get(args.text(0));
  if (resource === undefined) return NORES;
  world.close(resource, false);
  process.resources.delete(args.text(0));
  return { ret: 0 };
}

/** Direct I/O of n pages, still in flight: a read writes to memory, which dirties the pages at submission. */
function aioStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  if (process.resources.has(args.text(0))) return DUPRES;
  const n = args.pages(3);
  const read = args.text(4) === "r";
  const pinned = world.machine.profile.bioPins;
  const pages = new Int32Array(n);
  const got = gup_fast(process.mm, mapping.addr + args.int(2), n, read ? FOLL_WRITE : 0, pages, pinned);
  const taken = pages.subarray(0, Math.max(got, 0));
  if (read) for (const p of taken) set_page_dirty_lock(p);
  // An error is the transfer's, not that of its submission.
  const error = got < 0 ? { error: world.machine.profile.bioFault } : {};
  process.resources.set(args.text(0), { kind: "aio", pinned, pages: [...taken], users: 1, ...error });
  return { ret: 1 };
}
function aiowaitStep(ctx: StepContext): StepResult {
  const { world, args, process } = ctx;
  const io = process.resources.get(args.text(0));
  if (io === undefined) return NORES;
  const res = io.error ?? io.pages.length * PAGE_SIZE;
  world.close(io, false);
  process.resources.delete(args.text(0));
  return { ret: 1, res };
}

/**
 * io_check_coalesce_buffer(): whole runs of equally large folios, but for the first's start and the last's
 * end.
 */
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
  if (process.resources.has(args.text(0))) return DUPRES;
  const addr = mapping.addr + args.int(2);
  const n = args.pages(3);
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
  process.resources.set(args.text(0), { kind: "uring", pinned: true, pages: kept, users: 1 });
  return { ret: 0 };
}
/** Unregisters the buffers; the ring stays until it is closed. */
function unuringStep(ctx: StepContext): StepResult {
  const ring = ctx.process.resources.get(ctx.args.text(0));
  if (ring === undefined) return NORES;
  ctx.world.release(ring);
  return { ret: 0 };
}

/** process_vm_readv() or _writev() of n pages: pins, copies, releases. */
function pvmStep(ctx: StepContext, write: boolean): StepResult {
  const { args } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const process = targetProcess(ctx);
  if (process === null) return syscall(-ESRCH);
  const n = args.pages(2);
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
  // What the recording program writes is a buffer of zeroes.
  if (write)
    for (const page of pages.subarray(0, got))
      for (let w = 0; w < geom.page_words; w++) {
        WRITE_ONCE(page_address(page) + w, 0);
        ctx.world.knownWords.add(page_address(page) + w);
      }
  unpin_user_pages_dirty_lock(pages.slice(0, got), got, write);
  return { ret: got * PAGE_SIZE };
}

export const USER_OPERATIONS: Operations = {
  vmsplice: { args: [4, 4], options: ["gift"], run: vmspliceStep },
  vread: { args: [2, 2], run: vreadStep },
  close: { args: [1, 1], run: closeStep },
  aio: { args: [5, 6], run: aioStep },
  aiowait: { args: [1, 1], run: aiowaitStep },
  uring: { args: [4, 4], run: uringStep },
  unuring: { args: [1, 1], run: unuringStep },
  pvm_read: { args: [3, 3], options: ["pid"], run: (ctx) => pvmStep(ctx, false) },
  pvm_write: { args: [3, 3], options: ["pid"], run: (ctx) => pvmStep(ctx, true) },
};
