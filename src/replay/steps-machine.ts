/**
 * Steps on the machine itself: unbinding devices, truncating and punching files, memory blocks, sysfs, and
 * the children that do what may block. A child that cannot go on is tried again when the sequence asks for
 * it.
 */

import { kernel } from "../machine/config.ts";
import { runRcuCallbacks } from "../machine/host.ts";
import { mem } from "../machine/memory.ts";
import { READ_ONCE } from "../machine/primitives.ts";
import { dev_dax_unbind_begin, dev_dax_unbind_finish } from "../mm/dax.ts";
import { dup_mm } from "../mm/fork.ts";
import { HSTATE } from "../mm/hugetlb.ts";
import { ADDRESS_SPACE, AS_FSDAX } from "../mm/mm_types.ts";
import { mmap_write_lock, mmap_write_unlock } from "../mm/mmap.ts";
import { page_to_pfn, vmemmap_frame } from "../mm/page.ts";
import { page_zone_nr, ZONE_MOVABLE } from "../mm/page_alloc.ts";
import { DEV_PAGEMAP } from "../mm/pgmap.ts";
import { pgtable_lookup, pte_pfn } from "../mm/pgtable.ts";
import { dax_layout_busy, file_truncate } from "../mm/truncate.ts";
import { unmap_mapping_pages } from "../mm/zap.ts";
import {
  isolate_movable_pages,
  isolate_page_range,
  migrate_movable_pages,
  online_page_range,
  putback_movable_pages,
  undo_isolate_page_range,
} from "../mm/zone_offline.ts";
import { BLOCK_FRAMES, FIRST_BLOCK, MOVABLE } from "./machine.ts";
import { DUPRES, NOMAP, NORES, type Operations, type StepContext } from "./operations.ts";
import type { StepResult } from "./schema.ts";
import { mappedPage } from "./steps-move.ts";
import type { Job, World } from "./world.ts";

/**
 * Starts a child, a fork of the process, on what `retry` does. Only a `busy` one begins later than at once.
 */
function startJob(
  ctx: StepContext,
  name: string,
  wchan: string,
  retry: () => boolean,
  busy = false,
  abort: () => void = () => {},
): StepResult {
  const { world, process } = ctx;
  if (world.jobs.has(name)) return DUPRES;
  mmap_write_lock(process.mm);
  const mm = dup_mm(process.mm);
  mmap_write_unlock(process.mm);
  if (mm === 0) return { ret: -1, err: "ENOMEM" };
  const { resources } = world.inherit(process);
  const job: Job = { state: "blocked", err: null, wchan, retry, busy, mm, abort, resources };
  if (!busy && retry()) {
    job.state = "done";
    world.endJob(job);
  }
  world.jobs.set(name, job);
  return { ret: 0 };
}

/** Writing to the driver's unbind file, which may wait for pins. */
function unbindJob(ctx: StepContext, name: string, device: string): StepResult {
  const { world, args } = ctx;
  const path = `/dev/${device}`;
  const dax = world.machine.dax.get(path) ?? args.fail(`no device "${device}"`);
  dev_dax_unbind_begin(dax.device.dev);
  world.moment();
  return startJob(ctx, name, "0", () => {
    // percpu_ref_kill() needs a grace period; then the last reference completes the wait.
    runRcuCallbacks();
    if (READ_ONCE(dax.device.pgmap + DEV_PAGEMAP.done) === 0) return false;
    dev_dax_unbind_finish(dax.device.dev);
    world.machine.gone.add(dax.device);
    return true;
  });
}

/** ftruncate() or FALLOC_FL_PUNCH_HOLE on a file: a DAX file system waits until no page of it is pinned. */
function truncateJob(
  ctx: StepContext,
  name: string,
  path: string,
  first: number,
  nr: number,
  shrink: boolean,
): StepResult {
  const { world, args } = ctx;
  const file = world.machine.files.get(path) ?? args.fail(`no file "${path}"`);
  const size = READ_ONCE(file + ADDRESS_SPACE.i_size);
  const count = nr === 0 ? size - first : nr;
  if (READ_ONCE(file + ADDRESS_SPACE.kind) !== AS_FSDAX) {
    file_truncate(file, first, count, shrink);
    return startJob(ctx, name, "0", () => true);
  }
  return startJob(ctx, name, world.machine.profile.layoutWchan, () => {
    // ext4_break_layouts(): the whole file, whatever the range.
    unmap_mapping_pages(file, 0, 0, true);
    world.moment();
    if (dax_layout_busy(file)) return false;
    file_truncate(file, first, count, shrink);
    return true;
  });
}

function joinStep(ctx: StepContext): StepResult {
  const { world, args } = ctx;
  const job = world.jobs.get(args.text(0));
  if (job === undefined) return NORES;
  if (job.state === "blocked" && job.retry()) job.state = "done";
  if (job.state === "blocked") return { state: "blocked", wchan: job.busy ? "0" : job.wchan };
  world.endJob(job);
  world.jobs.delete(args.text(0));
  return { state: "done", err: job.err };
}

/** What a child that waits in offline_pages() is marked with. */
const OFFLINING = "offline_pages";

/**
 * Writing "offline" to a page's memory block: refused in a normal zone, where pages stay, else repeated until
 * all have moved.
 */
function offlineJob(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const mapping = process.mappings.get(args.text(1));
  if (mapping === undefined) return NOMAP;
  const page = mappedPage(process.mm, mapping.addr + args.int(2));
  if (page === 0) return { ret: -1, err: "NOPAGE" };
  if (page_zone_nr(page) !== ZONE_MOVABLE) {
    const started = startJob(ctx, args.text(0), OFFLINING, () => true, true);
    const job = world.jobs.get(args.text(0));
    if (job !== undefined) job.err = "EBUSY";
    return started;
  }
  const block = Math.floor((page_to_pfn(page) - MOVABLE) / BLOCK_FRAMES);
  const start = MOVABLE + block * BLOCK_FRAMES;
  const end = start + BLOCK_FRAMES;
  const hand = new Int32Array(1 + BLOCK_FRAMES);
  const round = (): boolean => {
    for (;;) {
      isolate_page_range(ZONE_MOVABLE, start, end);
      const moved = migrate_movable_pages(hand);
      isolate_page_range(ZONE_MOVABLE, start, end);
      const clean = isolate_movable_pages(start, end, hand);
      if (clean && hand[0] === 0) {
        world.offlined.add(block);
        return true;
      }
      if (moved === 0 && tried) return false;
      tried = true;
    }
  };
  // The first pages are in hand only after a scan.
  let tried = false;
  return startJob(ctx, args.text(0), OFFLINING, round, true, () => {
    putback_movable_pages(hand);
    undo_isolate_page_range(ZONE_MOVABLE, start, end);
  });
}
/** Writing "online_movable" to a block's state: refused unless it is offline. */
function onlineBlock(world: World, block: number): StepResult {
  if (!world.offlined.delete(block)) return { ret: -1, err: "EINVAL" };
  const start = MOVABLE + block * BLOCK_FRAMES;
  online_page_range(ZONE_MOVABLE, start, start + BLOCK_FRAMES);
  return { ret: 0 };
}
/** The number of the block that was taken offline first; -1 if none is. */
const firstOffline = (world: World): number => [...world.offlined][0] ?? -1;
/** Writing to a memory block's state, or to a driver's file. */
function syswStep(ctx: StepContext): StepResult {
  const { args, world, recorded } = ctx;
  const number = /^\/sys\/devices\/system\/memory\/memory(\d+)\/state$/.exec(args.text(0))?.[1];
  // Unbinding the driver of memory that is online succeeds and does nothing (dev_dax_kmem_remove()).
  if (number === undefined) return recorded ?? { ret: 0 };
  let block = Number(number) - FIRST_BLOCK;
  if (recorded !== null) {
    // Which of the blocks the pages were in is the recorded allocator's choice.
    if (recorded["ret"] !== 0) return recorded;
    if (!world.offlined.has(block)) block = firstOffline(world);
  }
  return onlineBlock(world, block);
}

function vmemmapStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const mapping = process.mappings.get(args.text(0));
  if (mapping === undefined) return NOMAP;
  const n = args.int(2);
  const out = new Int32Array(1);
  const frames = new Set<number>();
  for (let i = 0; i < n; i++) {
    const addr = mapping.addr + args.int(1) + i;
    const level = pgtable_lookup(process.mm, addr, out);
    const e = mem[out[0] as number] as number;
    const pfn = pte_pfn(e) + (level === 0 ? 0 : addr & ((1 << (9 * level)) - 1));
    // Without deduplication the vmemmap is mapped by huge pages, of which the module's walk sees one frame.
    frames.add(world.machine.profile.vmemmapDedup ? vmemmap_frame(pfn) : 0);
  }
  return { pages: n, vmemmapFrames: frames.size, expected: Math.ceil(n / 64) };
}

function sysrStep(ctx: StepContext): StepResult {
  // Of sysfs there is the pool's file; any other is a difference, not bad input.
  if (!ctx.args.text(0).endsWith("/free_hugepages")) return { ret: -1, err: "ENOENT" };
  const text = `${READ_ONCE(kernel.hugetlb + HSTATE.free_huge_pages)} `;
  return { ret: text.length, text };
}

function unbindStep(ctx: StepContext): StepResult {
  const { args } = ctx;
  if (args.text(1).endsWith("/unbind")) return unbindJob(ctx, args.text(0), args.text(2));
  return { ret: -1, err: "ENOENT" };
}
function killStep(ctx: StepContext): StepResult {
  const { args, world } = ctx;
  const job = world.jobs.get(args.text(0));
  if (job === undefined) return NORES;
  world.endJob(job);
  world.jobs.delete(args.text(0));
  return { state: "killed" };
}
function memstateStep({ world }: StepContext): StepResult {
  const blocked = [...world.jobs.values()].some((j) => j.wchan === OFFLINING && j.state === "blocked");
  const text = blocked ? "going-offline " : "online ";
  return { ret: text.length, text };
}

export const MACHINE_OPERATIONS: Operations = {
  bgw: { args: [3, 3], run: unbindStep },
  bgtrunc: {
    args: [3, 3],
    run: (ctx) => truncateJob(ctx, ctx.args.text(0), ctx.args.text(1), ctx.args.int(2), 0, true),
  },
  bgpunch: {
    args: [4, 4],
    run: (ctx) =>
      truncateJob(ctx, ctx.args.text(0), ctx.args.text(1), ctx.args.int(2), ctx.args.int(3), false),
  },
  join: { args: [1, 2], run: joinStep },
  kill: { args: [1, 1], run: killStep },
  offline: { args: [3, 3], run: offlineJob },
  memstate: { args: [1, 3], run: memstateStep },
  online: { args: [0, 3], run: ({ world }) => onlineBlock(world, firstOffline(world)) },
  sysw: { args: [2, 2], run: syswStep },
  vmemmap: { args: [3, 3], run: vmemmapStep },
  sysr: { args: [1, 1], run: sysrStep },
};
