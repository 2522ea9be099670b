/** The kernel's own accesses to a process's memory: /proc/PID/mem, fixup_user_fault(). */

import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { EIO, ESRCH } from "../mm/errno.ts";
import { gup_locked } from "../mm/gup_entry.ts";
import { FOLL_FORCE, FOLL_WRITE } from "../mm/gup_flags.ts";
import { fixup_user_fault } from "../mm/gup_populate.ts";
import { mmap_read_lock, mmap_read_unlock } from "../mm/mmap.ts";
import { page_address } from "../mm/page.ts";
import { set_page_dirty_lock } from "../mm/page_writeback.ts";
import { put_page } from "../mm/swap.ts";
import {
  mappingOf,
  moduleCall,
  NOMAP,
  type Operations,
  type StepContext,
  syscall,
  targetProcess,
} from "./operations.ts";
import type { StepResult } from "./schema.ts";
import { readWord } from "./steps-access.ts";

/** mem_rw(), __access_remote_vm(): word 1 of a page, through a reference that FOLL_FORCE gets. */
function memStep(ctx: StepContext, write: boolean): StepResult {
  const { args } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const process = targetProcess(ctx);
  if (process === null) return syscall(-ESRCH);
  const pages = new Int32Array(1);
  // proc_mem_foll_force()
  const force = ctx.world.machine.profile.procMemForces ? FOLL_FORCE : 0;
  const flags = force | (write ? FOLL_WRITE : 0);
  mmap_read_lock(process.mm);
  const got = gup_locked(process.mm, mapping.addr + args.int(1), 1, flags, pages, false, true);
  mmap_read_unlock(process.mm);
  if (got !== 1) return syscall(-EIO);
  const page = pages[0] as number;
  const at = page_address(page) + 1;
  if (write) {
    WRITE_ONCE(at, args.int(2));
    ctx.world.knownWords.add(at);
    set_page_dirty_lock(page);
  }
  const val = write ? READ_ONCE(at) : readWord(ctx, at, mapping.copies);
  put_page(page);
  return { ret: 8, val };
}

function fixupStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const how = args.text(2);
  if (how !== "W" && how !== "-") args.fail(`an access is W or -, not "${how}"`);
  mmap_read_lock(process.mm);
  const ret = fixup_user_fault(process.mm, mapping.addr + args.int(1), how === "W");
  mmap_read_unlock(process.mm);
  return moduleCall(ret);
}

export const REMOTE_OPERATIONS: Operations = {
  memread: { args: [2, 2], options: ["pid"], run: (ctx) => memStep(ctx, false) },
  memwrite: { args: [3, 3], options: ["pid"], run: (ctx) => memStep(ctx, true) },
  fixup: { args: [3, 3], run: fixupStep },
};
