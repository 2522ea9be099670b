/**
 * The arguments that each function of the get and pin families refuses, by kernel: the functions' own flags,
 * references and pins at once, pins for long, unknown flags, no array of pages. And what a refusal is:
 * -EINVAL or 0, with nothing looked at and nothing held.
 */

import { describe, expect, test } from "vitest";
import { mem } from "../../src/machine/memory.ts";
import { mm_create } from "../../src/mm/fork.ts";
import { unpin_user_pages } from "../../src/mm/gup.ts";
import {
  gup_fast,
  gup_fast_only,
  gup_locked,
  gup_remote,
  gup_unlocked,
  gup_without_pages,
} from "../../src/mm/gup_entry.ts";
import {
  FOLL_FAST_ONLY,
  FOLL_FORCE,
  FOLL_GET,
  FOLL_LONGTERM,
  FOLL_PIN,
  FOLL_REMOTE,
  FOLL_TOUCH,
  FOLL_TRIED,
  FOLL_UNLOCKABLE,
  FOLL_WRITE,
} from "../../src/mm/gup_flags.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { MM } from "../../src/mm/mm_types.ts";
import { do_mmap, mmap_read_lock, mmap_read_unlock } from "../../src/mm/mmap.ts";
import { PAGE, page_word, pfn_to_page } from "../../src/mm/page.ts";
import { pte_pfn } from "../../src/mm/pgtable.ts";
import { put_page } from "../../src/mm/swap.ts";
import { accessUser } from "../../src/replay/access.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import { pinsCounted } from "../replay/counts.ts";
import { AT, entry, KERNELS, RW } from "./gup-machine.ts";

const EINVAL = -22;
const EFAULT = -14;
/** Bits of nobody's. */
const UNKNOWN = 1 << 29;

interface Booted {
  readonly mm: number;
  readonly pages: Int32Array;
}
/** Eight private pages at AT, of which four are there. */
function boot(name: string): Booted {
  bootReplayMachine(kernelProfile(name, "test"), { devices: new Set(), hugeZero: false, movable: false });
  const mm = mm_create();
  expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
  for (let i = 0; i < 4; i++) expect(typeof accessUser(mm, AT + i, true)).toBe("number");
  lru_add_drain();
  return { mm, pages: new Int32Array(16) };
}
const count = (mm: number): number =>
  mem[page_word(pfn_to_page(pte_pfn(entry(mm, AT))), PAGE._refcount)] as number;

type Call = (mm: number, flags: number, pages: Int32Array, pin: boolean, n?: number) => number;
function locking(mm: number, call: () => number): number {
  mmap_read_lock(mm);
  const ret = call();
  mmap_read_unlock(mm);
  return ret;
}
const CALLS: Readonly<Record<string, Call>> = {
  plain: (mm, flags, pages, pin, n = 1) => locking(mm, () => gup_locked(mm, AT, n, flags, pages, pin, false)),
  remote: (mm, flags, pages, pin, n = 1) => locking(mm, () => gup_locked(mm, AT, n, flags, pages, pin, true)),
  unlocked: (mm, flags, pages, pin, n = 1) => gup_unlocked(mm, AT, n, flags, pages, pin),
  fast: (mm, flags, pages, pin, n = 1) => gup_fast(mm, AT, n, flags, pages, pin),
  fast_only: (mm, flags, pages, pin, n = 1) => gup_fast_only(mm, AT, n, flags, pages, pin),
};
type Name = "plain" | "remote" | "unlocked" | "fast" | "fast_only";
const ALL: readonly Name[] = ["plain", "remote", "unlocked", "fast", "fast_only"];

/** Calls a function with a flag, and holds that a refusal left nothing behind. */
function expectRefused({ mm, pages }: Booted, call: Name, flags: number, pin: boolean, want: number): void {
  expect([call, pin, flags, CALLS[call]?.(mm, flags, pages, pin)]).toEqual([call, pin, flags, want]);
  expect([count(mm), pinsCounted(), mem[mm + MM.has_pinned], pages[0]]).toEqual([1, 0, 0, 0]);
}
/** Calls it and gives back what it took, a pin or a reference. */
function expectTaken({ mm, pages }: Booted, call: Name, flags: number, pin: boolean, asPin: boolean): void {
  expect([call, pin, flags, CALLS[call]?.(mm, flags, pages, pin)]).toEqual([call, pin, flags, 1]);
  expect(count(mm) - 1).toBe(asPin ? 1024 : 1);
  if (asPin) unpin_user_pages(pages, 1);
  else put_page(pages[0] as number);
  mem[mm + MM.has_pinned] = 0;
  pages[0] = 0;
}

describe.each(["5.10.0", "6.1.0"])("to v6.2, as in %s", (name) => {
  test("FOLL_PIN is refused by get_user_pages(), _remote and _fast (EINVAL)", () => {
    const b = boot(name);
    for (const call of ["plain", "remote", "fast"] as const) expectRefused(b, call, FOLL_PIN, false, EINVAL);
  });
  test("get_user_pages_unlocked() with FOLL_PIN pins; _fast_only takes a reference, and marks the address space", () => {
    const b = boot(name);
    expectTaken(b, "unlocked", FOLL_PIN, false, true);
    expectTaken(b, "fast_only", FOLL_PIN, false, false);
    const { mm, pages } = boot(name);
    gup_fast_only(mm, AT, 1, FOLL_PIN, pages, false);
    expect(mem[mm + MM.has_pinned]).toBe(1);
  });
  test("the pin family takes FOLL_PIN from its callers, and refuses FOLL_GET: EINVAL, 0 from _fast_only", () => {
    const b = boot(name);
    for (const call of ALL) {
      expectTaken(b, call, FOLL_PIN, true, true);
      expectRefused(b, call, FOLL_GET, true, call === "fast_only" ? 0 : EINVAL);
    }
  });
  test("the get family takes FOLL_GET from its callers", () => {
    const b = boot(name);
    for (const call of ALL) expectTaken(b, call, FOLL_GET, false, false);
  });
  test("FOLL_LONGTERM is for the pin family, _unlocked excepted (EINVAL); get_user_pages_fast_only() does not ask", () => {
    const b = boot(name);
    for (const call of ["plain", "remote", "unlocked", "fast"] as const)
      expectRefused(b, call, FOLL_LONGTERM, false, EINVAL);
    expectTaken(b, "fast_only", FOLL_LONGTERM, false, false);
    expectRefused(b, "unlocked", FOLL_LONGTERM, true, EINVAL);
    for (const call of ["plain", "remote", "fast", "fast_only"] as const)
      expectTaken(b, call, FOLL_LONGTERM | FOLL_WRITE, true, true);
  });
  test("the slow functions do not look at other flags; the fast ones refuse what they do not know", () => {
    const b = boot(name);
    for (const flag of [FOLL_TOUCH, FOLL_TRIED, FOLL_REMOTE, FOLL_UNLOCKABLE, UNKNOWN])
      for (const pin of [false, true]) {
        for (const call of ["plain", "remote", "unlocked"] as const) expectTaken(b, call, flag, pin, pin);
        expectRefused(b, "fast", flag, pin, EINVAL);
        expectRefused(b, "fast_only", flag, pin, 0);
      }
  });
  test("FOLL_FAST_ONLY from outside keeps get_user_pages_fast() from falling back", () => {
    const { mm, pages } = boot(name);
    expect(gup_fast(mm, AT, 8, FOLL_FAST_ONLY | FOLL_WRITE, pages, true)).toBe(4);
    expect(gup_unlocked(mm, AT, 8, FOLL_FAST_ONLY | FOLL_WRITE, pages, true)).toBe(8);
  });
});

describe.each(["6.12.0", "7.3.0"])("from v6.3 on (is_valid_gup_args()), as in %s", (name) => {
  /** What a function of the pin family answers. */
  const refusal = (call: Name): number => (call.startsWith("fast") ? EINVAL : 0);

  test("the functions' own flags are refused by all: EINVAL, but 0 from pin_user_pages(), _remote and _unlocked", () => {
    const b = boot(name);
    for (const flag of [FOLL_PIN, FOLL_TOUCH, FOLL_TRIED, FOLL_REMOTE, FOLL_FAST_ONLY, FOLL_UNLOCKABLE])
      for (const call of ALL) {
        expectRefused(b, call, flag, false, EINVAL);
        expectRefused(b, call, flag | FOLL_WRITE, true, refusal(call));
      }
  });
  test("FOLL_GET with a pin is refused; from the get family it may come", () => {
    const b = boot(name);
    for (const call of ALL) {
      expectRefused(b, call, FOLL_GET, true, refusal(call));
      expectTaken(b, call, FOLL_GET, false, false);
    }
  });
  test("FOLL_LONGTERM is for the pin family, all of it", () => {
    const b = boot(name);
    for (const call of ALL) {
      expectRefused(b, call, FOLL_LONGTERM, false, EINVAL);
      expectTaken(b, call, FOLL_LONGTERM | FOLL_WRITE, true, true);
    }
  });
  test("the slow functions ignore flags of nobody's; the fast ones refuse them (EINVAL)", () => {
    const b = boot(name);
    for (const pin of [false, true]) {
      for (const call of ["plain", "remote", "unlocked"] as const) expectTaken(b, call, UNKNOWN, pin, pin);
      for (const call of ["fast", "fast_only"] as const) expectRefused(b, call, UNKNOWN, pin, EINVAL);
    }
  });
  test("who passes `locked` must hold the lock: EINVAL, 0 for a pin", () => {
    const { mm, pages } = boot(name);
    expect(gup_remote(mm, AT, 1, 0, pages, false, new Int32Array([0]))).toBe(EINVAL);
    expect(gup_remote(mm, AT, 1, 0, pages, true, new Int32Array([0]))).toBe(0);
    expect(pinsCounted()).toBe(0);
  });
});

describe.each(KERNELS)("without an array of pages in %s", (name) => {
  const v63 = name === "6.12.0" || name === "7.3.0";
  const get = (mm: number, at: number, n: number, flags: number, pin = false): number =>
    locking(mm, () => gup_without_pages(mm, at, n, flags, pin));

  test("get_user_pages() faults in and counts, and holds nothing", () => {
    const { mm } = boot(name);
    expect(get(mm, AT, 8, FOLL_WRITE)).toBe(8);
    lru_add_drain();
    expect(entry(mm, AT + 7)).not.toBe(0);
    expect(count(mm)).toBe(1);
    expect(get(mm, AT + 6, 4, FOLL_WRITE | FOLL_FORCE)).toBe(2);
    expect(get(mm, AT + 8, 4, 0)).toBe(EFAULT);
    expect(get(mm, AT, 0, 0)).toBe(0);
  });
  test("FOLL_GET is refused from v6.3 on; before, the kernel was wrong to pass it (VM_BUG_ON())", () => {
    const { mm } = boot(name);
    if (v63) expect(get(mm, AT, 2, FOLL_GET)).toBe(EINVAL);
    else expect(() => get(mm, AT, 2, FOLL_GET)).toThrow("nobody can give back");
  });
  test("a pin is refused from v5.19 on: EINVAL, 0 from v6.3 on", () => {
    const { mm } = boot(name);
    if (name === "5.10.0") expect(() => get(mm, AT, 2, 0, true)).toThrow("nobody can give back");
    else expect(get(mm, AT, 2, 0, true)).toBe(v63 ? 0 : EINVAL);
    expect(mem[mm + MM.has_pinned]).toBe(0);
    expect(pinsCounted()).toBe(0);
  });
});
