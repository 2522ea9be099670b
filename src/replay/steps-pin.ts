/**
 * Pinning and releasing: what the recording module calls of the get_user_pages and pin_user_pages families.
 */

import { EOPNOTSUPP, ESRCH } from "../mm/errno.ts";
import { unpin_user_page, unpin_user_pages } from "../mm/gup.ts";
import { gup_fast, gup_fast_only, gup_locked, gup_remote, gup_unlocked } from "../mm/gup_entry.ts";
import { FOLL_FORCE, FOLL_LONGTERM, FOLL_NOFAULT, FOLL_NOWAIT, FOLL_WRITE } from "../mm/gup_flags.ts";
import { unpin_user_page_range_dirty_lock, unpin_user_pages_dirty_lock } from "../mm/gup_unpin.ts";
import { mmap_read_lock, mmap_read_unlock } from "../mm/mmap.ts";
import { compound_head, is_zone_device_page, page_to_pfn } from "../mm/page.ts";
import { put_page } from "../mm/swap.ts";
import {
  mappingOf,
  moduleCall,
  NOHANDLE,
  NOMAP,
  type Operations,
  type StepContext,
  targetProcess,
} from "./operations.ts";
import type { StepResult } from "./schema.ts";

function follFlags(ctx: StepContext, text: string): number {
  let flags = 0;
  if (text === "-") return 0;
  for (const c of text) {
    if (c === "W") flags |= FOLL_WRITE;
    else if (c === "F") flags |= FOLL_FORCE;
    else if (c === "L") flags |= FOLL_LONGTERM;
    else if (c === "N") flags |= FOLL_NOFAULT;
    else if (c === "O") flags |= FOLL_NOWAIT;
    else ctx.args.fail(`unknown flag "${c}"`);
  }
  return flags;
}

/** Calls the function that the mode names; pages go to the front of `pages`. */
function gupCall(
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
    case "": {
      mmap_read_lock(mm);
      const ret = gup_locked(mm, addr, n, flags, pages, pin, false);
      mmap_read_unlock(mm);
      return ret;
    }
    case "_remote": {
      const locked = new Int32Array([1]);
      mmap_read_lock(mm);
      const ret = gup_remote(mm, addr, n, flags, pages, pin, locked);
      if (locked[0] !== 0) mmap_read_unlock(mm);
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
  const process = targetProcess(ctx);
  if (process === null) return moduleCall(-ESRCH);
  // The address is that of the caller's mapping, whatever is there in the other process.
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  // Which byte of the first page changes nothing: it is rounded down.
  args.number("byte", 0);
  if (world.handles.has(name)) {
    if (ctx.loadWord !== 0) return { ret: -1, err: "DUPHANDLE" };
    // Recordings of schema 2: the module keeps the old handle's pins till the end, under no name.
    world.hideHandle(name);
  }
  if (
    (mode === "pin_fast_only" && !profile.pinFastOnly) ||
    ((flags & FOLL_NOFAULT) !== 0 && !profile.nofault)
  )
    return moduleCall(-EOPNOTSUPP);
  const addr = mapping.addr + args.int(2);
  const n = args.pages(3, -(2 ** 31));
  const pages = new Int32Array(Math.max(n, 0) + SLACK);
  let ret: number;
  if (args.flag("rep")) {
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
  return moduleCall(ret);
}

/** Every page follows the one before it in physical memory. */
function contiguous(pages: Int32Array): boolean {
  for (let i = 1; i < pages.length; i++)
    if (page_to_pfn(pages[i] as number) !== page_to_pfn(pages[i - 1] as number) + 1) return false;
  return true;
}
/**
 * All pages lie in one compound page or in devices: their order in memory is mm's business, not the
 * allocator's.
 */
function placementIsFixed(pages: Int32Array): boolean {
  const head = compound_head(pages[0] as number);
  return pages.every((p) => is_zone_device_page(compound_head(p)) || compound_head(p) === head);
}

/**
 * unpin_user_page_range_dirty_lock() works on a physical range; the module refuses pages that are not
 * contiguous. Where that is up to the allocator, the recorded answer decides, and pages that are not
 * contiguous here are released range by range.
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
    case "folio":
    case "folios":
      if (!ctx.world.machine.profile.folioPins) return -EOPNOTSUPP;
      // unpin_user_folio() of one pin, and unpin_folios(), which only groups: a pin for each entry.
      for (const p of pages) unpin_user_page(p);
      return 0;
    case "put":
      for (const p of pages) put_page(p);
      return 0;
  }
  return ctx.args.fail(`unknown way to release "${how}"`);
}

function unpinStep(ctx: StepContext): StepResult {
  const { args, world } = ctx;
  const handle = world.handles.get(args.text(0));
  if (handle === undefined) return NOHANDLE;
  const i = args.int(1);
  const n = args.int(2);
  const how = args.text(3);
  if ((how === "put") !== (handle.kind === "get")) return { ret: -1, err: "MISMATCH" };
  const pages = handle.pages.slice(i, i + n);
  if (i < 0 || n < 1 || pages.length !== n || pages.includes(0)) return { ret: -1, err: "EINVAL" };
  const ret = releasePages(ctx, how, pages);
  if (ret < 0) return moduleCall(ret);
  handle.pages.fill(0, i, i + n);
  if (handle.pages.every((p) => p === 0)) world.handles.delete(args.text(0));
  return { ret: n };
}

export const PIN_OPERATIONS: Operations = {
  pin: { args: [6, 6], options: ["pid", "rep", "byte"], run: pinStep },
  unpin: { args: [4, 4], run: unpinStep },
};
