/**
 * Reclaim against somebody who looks a page up, writes to it, marks it dirty and lets it go, at every access
 * of reclaim in turn (mm/vmscan.c: pageout(), __remove_mapping()). What was written is never lost: a page is
 * clean before it is written out, and who takes its count away looks at the dirty flag afterwards.
 */

import { afterEach, describe, expect, test } from "vitest";
import { host } from "../../src/machine/host.ts";
import { mem } from "../../src/machine/memory.ts";
import { shmem_file_setup } from "../../src/mm/filemap.ts";
import { mm_create } from "../../src/mm/fork.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { do_madvise, MADV_FREE, MADV_PAGEOUT } from "../../src/mm/madvise.ts";
import { do_mmap } from "../../src/mm/mmap.ts";
import { PAGE, PG_dirty, page_address, page_word, pfn_to_page } from "../../src/mm/page.ts";
import { pte_pfn, pte_present } from "../../src/mm/pgtable.ts";
import { put_page } from "../../src/mm/swap.ts";
import { accessUser } from "../../src/replay/access.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import { AT, entry, KERNELS, RW, SHARED } from "./gup-machine.ts";

/** Pages of the area; a page is reclaimed once. Reclaim of one makes fewer accesses than that. */
const PAGES = 400;
const FIRST = 7;
const WRITTEN = 9;

function word(mm: number, addr: number, write: boolean): number {
  const at = accessUser(mm, addr, write);
  if (typeof at === "string") throw new Error(`access to ${addr}: ${at}`);
  return at;
}
function boot(kernelName: string, shared: boolean): number {
  bootReplayMachine(kernelProfile(kernelName, "test"), {
    devices: new Set(),
    hugeZero: false,
    movable: false,
  });
  const mm = mm_create();
  const file = shared ? shmem_file_setup(PAGES) : 0;
  expect(do_mmap(mm, AT, PAGES, shared ? SHARED : RW, file, 0)).toBe(0);
  return mm;
}

/**
 * Reclaims the area's pages one by one; at the k-th access of the reclaim of the k-th page, somebody who has
 * looked it up gets a reference if its count is not 0. Gives it back at once, or after the reclaim. The
 * number of accesses after which reclaim had ended.
 */
function reclaimAgainst(mm: number, lazyfree: boolean, hold: boolean): { tried: number; got: number } {
  let got = 0;
  for (let k = 0; k < PAGES; k++) {
    const addr = AT + k;
    mem[word(mm, addr, true)] = FIRST;
    lru_add_drain();
    if (lazyfree) expect(do_madvise(mm, addr, 1, MADV_FREE)).toBe(0);
    lru_add_drain();
    const page = pfn_to_page(pte_pfn(entry(mm, addr)));
    const count = page_word(page, PAGE._refcount);
    const write = (): void => {
      mem[page_address(page)] = WRITTEN;
      const flags = page_word(page, PAGE.flags);
      mem[flags] = (mem[flags] as number) | (1 << PG_dirty);
    };
    let left = k;
    let held = false;
    let reached = false;
    host.preempt = () => {
      if (left-- !== 0) return;
      reached = true;
      // What was lazily freed is in no cache: it is found through its entry, and by nobody else.
      held = (mem[count] as number) > 0 && (!lazyfree || pte_present(entry(mm, addr)));
      if (!held) return;
      got++;
      if (hold) mem[count] = (mem[count] as number) + 1;
      else write();
    };
    expect(do_madvise(mm, addr, 1, MADV_PAGEOUT)).toBe(0);
    host.preempt = null;
    if (!reached) return { tried: k, got };
    if (held && hold) {
      expect(mem[count], `held at access ${k}`).toBeGreaterThan(0);
      write();
    }
    const value = mem[word(mm, addr, false)];
    if (held) expect(value, `written at access ${k}`).toBe(WRITTEN);
    else if (!lazyfree) expect(value, `nobody held it at access ${k}`).toBe(FIRST);
    if (held && hold) put_page(page);
  }
  throw new Error(`reclaim of one page makes more than ${PAGES} accesses`);
}

afterEach(() => {
  host.preempt = null;
});

describe.each(KERNELS)("what is written to a page that is reclaimed is not lost, %s", (name) => {
  describe.each([
    ["anonymous", false, false],
    ["lazily freed", false, true],
    ["shmem", true, false],
  ] as const)("%s", (_, shared, lazyfree) => {
    test.each([
      ["a moment's holder", false],
      ["who holds it until reclaim is over", true],
    ])("%s", (_who, hold) => {
      const { tried, got } = reclaimAgainst(boot(name, shared), lazyfree, hold);
      expect(tried).toBeGreaterThan(20);
      expect(got).toBeGreaterThan(10);
      expect(got).toBeLessThan(tried);
    });
  });
});
