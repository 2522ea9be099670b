/** What a program's loads and stores do, and the recording module's through the kernel's direct map. */

import { geom, kernel } from "../machine/config.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { page_address, page_to_pfn } from "../mm/page.ts";
import { is_huge_zero_pfn } from "../mm/zap.ts";
import { accessUser } from "./access.ts";
import { mappingOf, NOHANDLE, NOMAP, type Operations, type StepContext } from "./operations.ts";
import type { StepResult } from "./schema.ts";

/** The recording program writes this plus the page's index to the first word. */
const TOUCH_VALUE = 0x1000;

function touchStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
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
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const at = accessUser(process.mm, mapping.addr + args.int(1), true);
  if (typeof at === "string") return { sig: at };
  WRITE_ONCE(at + 1, args.int(2));
  ctx.world.knownWords.add(at + 1);
  return { val: args.int(2) };
}
function loadStep(ctx: StepContext): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const at = accessUser(process.mm, mapping.addr + args.int(1), false);
  return typeof at === "string" ? { sig: at } : { val: readWord(ctx, at + 1, mapping.copies) };
}
/**
 * A word of a page's contents. What a device's page holds before anything of this recording has written or
 * read it is not recorded: the first value that is read there is taken over.
 */
export function readWord(ctx: StepContext, at: number, copied = false): number {
  const { world, recorded } = ctx;
  const value = recorded?.["val"];
  const pfn = ((at - kernel.direct_map) / geom.page_words) | 0;
  if (!world.knownWords.has(at) && typeof value === "number" && (copied || world.isDevice(pfn)))
    WRITE_ONCE(at, value);
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
  if (page === 0) return NOHANDLE;
  return { val: readWord(ctx, page_address(page) + ctx.loadWord) };
}
function kstoreStep(ctx: StepContext): StepResult {
  const page = handlePage(ctx);
  if (page === 0) return NOHANDLE;
  const pfn = page_to_pfn(page);
  if (pfn === kernel.zero_pfn || is_huge_zero_pfn(pfn)) return { ret: -1, err: "EROFS" };
  WRITE_ONCE(page_address(page) + ctx.loadWord, ctx.args.int(2));
  ctx.world.knownWords.add(page_address(page) + ctx.loadWord);
  return { val: ctx.args.int(2) };
}

export const ACCESS_OPERATIONS: Operations = {
  touch: { args: [4, 4], run: touchStep },
  store: { args: [3, 3], run: storeStep },
  load: { args: [2, 2], run: loadStep },
  kload: { args: [2, 2], run: kloadStep },
  kstore: { args: [3, 3], run: kstoreStep },
};
