/** madvise(2), advice by advice. */

import {
  do_madvise,
  MADV_COLD,
  MADV_COLLAPSE,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MADV_PAGEOUT,
} from "../mm/madvise.ts";
import { soft_offline_page } from "../mm/memory_failure.ts";
import { errnoName, mappingOf, NOMAP, type Operations, rangeCall, type StepContext } from "./operations.ts";
import type { StepResult } from "./schema.ts";
import { mappedPage } from "./steps-move.ts";

const ADVICE: Readonly<Record<string, number>> = {
  dontneed: MADV_DONTNEED,
  free: MADV_FREE,
  cold: MADV_COLD,
  collapse: MADV_COLLAPSE,
  pageout: MADV_PAGEOUT,
  dontfork: MADV_DONTFORK,
  hugepage: MADV_HUGEPAGE,
  nohugepage: MADV_NOHUGEPAGE,
};

function madvStep(ctx: StepContext): StepResult {
  const advice = ADVICE[ctx.args.text(3)];
  if (advice !== undefined) return rangeCall(ctx, (mm, addr, len) => do_madvise(mm, addr, len, advice));
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  const addr = mapping.addr + args.int(1);
  const len = args.int(2);
  switch (args.text(3)) {
    case "softoff": {
      for (let i = 0; i < len; i++) {
        const page = mappedPage(process.mm, addr + i);
        const ret = page === 0 ? 0 : soft_offline_page(page);
        if (ret < 0) return { ret: -1, err: errnoName(ret) };
      }
      return { ret: 0 };
    }
  }
  return args.fail(`unknown advice "${args.text(3)}"`);
}

export const ADVISE_OPERATIONS: Operations = { madv: { args: [4, 4], run: madvStep } };
