/**
 * Steps on the machine itself: unbinding devices, truncating and punching files, memory blocks, sysfs, and the children that do
 * what may block. A child that cannot go on is tried again when the sequence asks for it.
 */

import { kernel } from "../machine/config.ts";
import { runRcuCallbacks } from "../machine/host.ts";
import { mem } from "../machine/memory.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { HSTATE } from "../mm/hugetlb.ts";
import { memunmap_pages_begin, memunmap_pages_finish } from "../mm/memremap.ts";
import { ADDRESS_SPACE, AS_FSDAX } from "../mm/mm_types.ts";
import { pfn_to_page, vmemmap_frame } from "../mm/page.ts";
import { page_zone_nr, ZONE_MOVABLE } from "../mm/page_alloc.ts";
import { DEV_PAGEMAP } from "../mm/pgmap.ts";
import { pgtable_lookup, pte_pfn } from "../mm/pgtable.ts";
import { dax_layout_busy, file_truncate } from "../mm/truncate.ts";
import { unmap_mapping_pages } from "../mm/zap.ts";
import { offline_zone_range, online_zone_range } from "../mm/zone_offline.ts";
import { MOVABLE, MOVABLE_FRAMES } from "./machine.ts";
import type { StepResult } from "./schema.ts";
import type { StepContext } from "./steps.ts";
import type { Job, World } from "./world.ts";

function startJob(world: World, name: string, wchan: string, retry: () => boolean): StepResult {
  const job: Job = { state: "blocked", err: null, wchan, retry };
  if (retry()) job.state = "done";
  world.jobs.set(name, job);
  return { ret: 0 };
}

/** Writing to the driver's unbind file: kill_dev_dax(), then memunmap_pages(), which may wait for pins. */
function unbindJob(ctx: StepContext, name: string, device: string): StepResult {
  const { world, args } = ctx;
  const path = `/dev/${device}`;
  const dax = world.machine.dax.get(path) ?? args.fail(`no device "${device}"`);
  const file = world.machine.files.get(path) ?? 0;
  WRITE_ONCE(file + ADDRESS_SPACE.alive, 0);
  unmap_mapping_pages(file, 0, 0, true);
  memunmap_pages_begin(dax.device.pgmap);
  return startJob(world, name, "0", () => {
    // percpu_ref_kill() needs a grace period; then the last reference completes the wait.
    runRcuCallbacks();
    if (READ_ONCE(dax.device.pgmap + DEV_PAGEMAP.done) === 0) return false;
    memunmap_pages_finish(dax.device.pgmap);
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
    return startJob(world, name, "0", () => true);
  }
  return startJob(world, name, world.machine.profile.layoutWchan, () => {
    // ext4_break_layouts(): the whole file, whatever the range.
    unmap_mapping_pages(file, 0, 0, true);
    if (dax_layout_busy(file)) return false;
    file_truncate(file, first, count, shrink);
    return true;
  });
}

function joinStep(ctx: StepContext): StepResult {
  const { world, args } = ctx;
  const job = world.jobs.get(args.text(0));
  if (job === undefined) return { ret: -1, err: "NORES" };
  if (job.state === "blocked" && job.retry()) job.state = "done";
  if (job.state === "blocked") return { state: "blocked", wchan: job.wchan };
  world.jobs.delete(args.text(0));
  return { state: "done", err: job.err };
}

/** What a child that waits in offline_pages() is marked with. */
const OFFLINING = "offline_pages";

/** Writing "offline" to a memory block: refused in a normal zone with pages that stay, else repeated until all have moved. */
function offlineJob(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const mapping = process.mappings.get(args.text(1));
  if (mapping === undefined) return { ret: -1, err: "NOMAP" };
  const out = new Int32Array(1);
  pgtable_lookup(process.mm, mapping.addr + args.int(2), out);
  const page = pfn_to_page(pte_pfn(mem[out[0] as number] as number));
  if (page_zone_nr(page) !== ZONE_MOVABLE) {
    world.jobs.set(args.text(0), { state: "done", err: "EBUSY", wchan: "0", retry: () => true });
    return { ret: 0 };
  }
  return startJob(world, args.text(0), OFFLINING, () => {
    if (!offline_zone_range(ZONE_MOVABLE, MOVABLE, MOVABLE + MOVABLE_FRAMES)) return false;
    world.offlined = true;
    return true;
  });
}

function vmemmapStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  const mapping = process.mappings.get(args.text(0));
  if (mapping === undefined) return { ret: -1, err: "NOMAP" };
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
  if (!ctx.args.text(0).endsWith("/free_hugepages")) return ctx.args.fail("unknown sysfs file");
  const text = `${READ_ONCE(kernel.hugetlb + HSTATE.free_huge_pages)} `;
  return { ret: text.length, text };
}

/** Does the step if it is one of this file's. */
export function machineStep(ctx: StepContext): StepResult | null {
  const { args, world } = ctx;
  switch (ctx.step.op) {
    case "bgw":
      if (args.text(1).endsWith("/unbind")) return unbindJob(ctx, args.text(0), args.text(2));
      return args.fail("unknown sysfs file");
    case "bgtrunc":
      return truncateJob(ctx, args.text(0), args.text(1), args.int(2), 0, true);
    case "bgpunch":
      return truncateJob(ctx, args.text(0), args.text(1), args.int(2), args.int(3), false);
    case "join":
      return joinStep(ctx);
    case "kill": {
      const job = world.jobs.get(args.text(0));
      if (job === undefined) return { ret: -1, err: "NORES" };
      world.jobs.delete(args.text(0));
      return { state: "killed" };
    }
    case "offline":
      return offlineJob(ctx);
    case "memstate": {
      const blocked = [...world.jobs.values()].some((j) => j.wchan === OFFLINING && j.state === "blocked");
      const text = blocked ? "going-offline " : "online ";
      return { ret: text.length, text };
    }
    case "sysw":
      // Which blocks of the machine are offline is not recorded: the answer of its sysfs file is taken over.
      if (world.offlined && ctx.recorded?.["ret"] === 0) {
        online_zone_range(ZONE_MOVABLE, MOVABLE, MOVABLE + MOVABLE_FRAMES);
        world.offlined = false;
      }
      return ctx.recorded ?? { ret: 0 };
    case "vmemmap":
      return vmemmapStep(ctx);
    case "sysr":
      return sysrStep(ctx);
  }
  return null;
}
