/** Operations that pin pages of memory files, not of mappings: memfd_pin_folios(), udmabuf. */

import { EINVAL, EOPNOTSUPP } from "../mm/errno.ts";
import { memfd_pin_folios } from "../mm/memfd.ts";
import {
  VM_DONTEXPAND,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from "../mm/mm_types.ts";
import { do_mmap, mmap_write_lock, mmap_write_unlock } from "../mm/mmap.ts";
import { compound_nr } from "../mm/page.ts";
import { udmabuf_create } from "../mm/udmabuf.ts";
import {
  DUPRES,
  mappingOf,
  moduleCall,
  NOMAP,
  NORES,
  type Operations,
  type StepContext,
  syscall,
} from "./operations.ts";
import type { StepResult } from "./schema.ts";

function mpinStep(ctx: StepContext): StepResult {
  const { args, world } = ctx;
  if (!world.machine.profile.folioPins) return syscall(-EOPNOTSUPP);
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  if (world.handles.has(args.text(0))) return { ret: -1, err: "DUPHANDLE" };
  if (mapping.file === undefined) return moduleCall(-EINVAL);
  const first = args.int(2);
  const folios = new Int32Array(args.pages(3, 1));
  const ret = memfd_pin_folios(mapping.file, first, folios.length, folios);
  if (ret < 0) return moduleCall(ret);
  world.handles.set(args.text(0), { kind: "pin", pages: folios.slice(0, ret) });
  const nr = compound_nr(folios[0] as number);
  return { ret, off: (first & (nr - 1)) * 4096 };
}

/** UDMABUF_CREATE on /dev/udmabuf, which only kernels have whose buffers pin. */
function udmabufStep(ctx: StepContext): StepResult {
  const { args, process, world } = ctx;
  if (!world.machine.profile.folioPins) return { ret: -1, err: "open:ENOENT" };
  const mapping = mappingOf(ctx, 1);
  if (mapping === null) return NOMAP;
  if (process.resources.has(args.text(0))) return DUPRES;
  if (mapping.file === undefined) return syscall(-EINVAL);
  const buffer = udmabuf_create(mapping.file, args.int(2), args.int(3));
  if (buffer < 0) return syscall(buffer);
  world.openFile(buffer);
  process.resources.set(args.text(0), { kind: "udmabuf", pinned: true, pages: [], users: 1, file: buffer });
  return { ret: 0 };
}
/** Maps a buffer: dmap D NAME OFF N. */
function dmapStep({ args, process, world }: StepContext): StepResult {
  const file = process.resources.get(args.text(0))?.file;
  if (file === undefined) return NORES;
  const pages = args.int(3);
  const addr = world.placeArea(pages);
  const flags =
    VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_SHARED | VM_MAYSHARE | VM_PFNMAP | VM_DONTEXPAND;
  mmap_write_lock(process.mm);
  const ret = do_mmap(process.mm, addr, pages, flags, file, args.int(2));
  mmap_write_unlock(process.mm);
  if (ret < 0) return syscall(ret);
  process.mappings.set(args.text(1), { addr, pages });
  return { ret: 0 };
}

export const UDMABUF_OPERATIONS: Operations = {
  mpin: { args: [4, 4], run: mpinStep },
  udmabuf: { args: [4, 4], run: udmabufStep },
  dmap: { args: [4, 4], run: dmapStep },
};
