/** userfaultfd(2) as the recording program uses it: its faults are signals (UFFD_FEATURE_SIGBUS). */

import { config } from "../machine/config.ts";
import { EAGAIN, EINVAL, ESRCH } from "../mm/errno.ts";
import { VM_UFFD_MISSING, VM_UFFD_WP } from "../mm/mm_types.ts";
import { mmap_write_lock, mmap_write_unlock } from "../mm/mmap.ts";
import {
  mfill_atomic,
  mwriteprotect_range,
  userfaultfd_register,
  userfaultfd_unregister,
} from "../mm/userfaultfd.ts";
import { userfaultfd_move_pages } from "../mm/userfaultfd_move.ts";
import { DUPRES, mappingOf, NOMAP, NORES, type Operations, type StepContext, syscall } from "./operations.ts";
import type { StepResult } from "./schema.ts";
import type { Resource } from "./world.ts";

function uffdStep({ args, process, world }: StepContext): StepResult {
  if (process.resources.has(args.text(0))) return DUPRES;
  const ctx = world.nextUserfaultfd++;
  const uffd: Resource = { kind: "uffd", pinned: false, pages: [], users: 1, uffd: { mm: process.mm, ctx } };
  process.resources.set(args.text(0), uffd);
  // Which of the sets of features that the program asks for the kernel knows.
  return { ret: 0, feat: config.uffdWpFiles ? 0 : 1 };
}

/** Arguments UFFD NAME OFF N: calls what takes the context and the range, with mmap_lock. */
function uffdRange(
  ctx: StepContext,
  call: (mm: number, id: number, addr: number, len: number) => StepResult,
): StepResult {
  const { args, process } = ctx;
  const uffd = process.resources.get(args.text(0))?.uffd;
  if (uffd === undefined) return NORES;
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  // Of a process that has ended, whose child has the descriptor: mmget_not_zero() fails.
  if (!ctx.world.isAlive(uffd.mm)) return syscall(-ESRCH);
  mmap_write_lock(uffd.mm);
  const result = call(uffd.mm, uffd.ctx, mapping.addr + args.int(2), args.int(3));
  mmap_write_unlock(uffd.mm);
  return result;
}

const MODES: Readonly<Record<string, number>> = {
  m: VM_UFFD_MISSING,
  w: VM_UFFD_WP,
  wm: VM_UFFD_MISSING | VM_UFFD_WP,
};
function registerStep(ctx: StepContext): StepResult {
  const mode = MODES[ctx.args.text(4)] ?? ctx.args.fail(`unknown mode "${ctx.args.text(4)}"`);
  return uffdRange(ctx, (mm, id, addr, len) => syscall(userfaultfd_register(mm, id, addr, len, mode)));
}
function protectStep(ctx: StepContext): StepResult {
  const enable = ctx.args.int(4) !== 0;
  return uffdRange(ctx, (mm, _id, addr, len) => syscall(mwriteprotect_range(mm, addr, len, enable)));
}
/** A call that did all, or else says how far it came; -EAGAIN if that is not nowhere. */
function filled(done: number, len: number): StepResult {
  if (done === len) return { ret: 0 };
  return { ...syscall(done < 0 ? done : -EAGAIN), copied: Math.max(done, 0) };
}
function copyStep(ctx: StepContext): StepResult {
  const wp = ctx.args.count === 5;
  if (wp && ctx.args.text(4) !== "w") ctx.args.fail(`unknown mode "${ctx.args.text(4)}"`);
  return uffdRange(ctx, (mm, _id, addr, len) => filled(mfill_atomic(mm, addr, len, false, wp), len));
}
function zeroStep(ctx: StepContext): StepResult {
  return uffdRange(ctx, (mm, _id, addr, len) => filled(mfill_atomic(mm, addr, len, true, false), len));
}
/** uffdmove U DST doff SRC soff n. */
function moveStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const uffd = process.resources.get(args.text(0))?.uffd;
  if (uffd === undefined) return NORES;
  const to = mappingOf(ctx, 1);
  const from = mappingOf(ctx, 3);
  if (to === null || from === null) return NOMAP;
  if (!ctx.world.isAlive(uffd.mm)) return { ...syscall(-ESRCH), moved: 0 };
  if (!config.uffdMove) return { ...syscall(-EINVAL), moved: 0 };
  const len = args.int(5);
  mmap_write_lock(uffd.mm);
  const moved = userfaultfd_move_pages(uffd.mm, to.addr + args.int(2), from.addr + args.int(4), len);
  mmap_write_unlock(uffd.mm);
  if (moved === len) return { ret: 0, moved };
  return { ...syscall(moved < 0 ? moved : -EAGAIN), moved };
}

export const UFFD_OPERATIONS: Operations = {
  uffd: { args: [1, 1], run: uffdStep },
  uffdreg: { args: [5, 5], run: registerStep },
  uffdunreg: {
    args: [4, 4],
    run: (ctx) => uffdRange(ctx, (mm, _id, addr, len) => syscall(userfaultfd_unregister(mm, addr, len))),
  },
  uffdwp: { args: [5, 5], run: protectStep },
  uffdcopy: { args: [4, 5], run: copyStep },
  uffdzero: { args: [4, 4], run: zeroStep },
  uffdmove: { args: [6, 6], run: moveStep },
};
