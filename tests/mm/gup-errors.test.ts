/**
 * Each error and partial-result rule of GUP (mm/gup.c, v5.10 to v7.3) by name, on ordinary memory of the
 * replay machine.
 */

import { describe, expect, test } from "vitest";
import { config } from "../../src/machine/config.ts";
import { GUP_ARGS_COMMON } from "../../src/machine/knobs/mm.ts";
import { mem } from "../../src/machine/memory.ts";
import { shmem_file_setup } from "../../src/mm/filemap.ts";
import { mm_create } from "../../src/mm/fork.ts";
import { unpin_user_pages } from "../../src/mm/gup.ts";
import { gup_fast, gup_fast_only, gup_locked, gup_unlocked } from "../../src/mm/gup_entry.ts";
import { FOLL_FORCE, FOLL_LONGTERM, FOLL_NOFAULT, FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { VM_IO, VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_SHARED } from "../../src/mm/mm_types.ts";
import { do_mmap } from "../../src/mm/mmap.ts";
import { do_mprotect } from "../../src/mm/mprotect.ts";
import { PAGE, page_word } from "../../src/mm/page.ts";
import { accessUser } from "../../src/replay/access.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine } from "../../src/replay/machine.ts";
import { AT, KERNELS, RW } from "./gup-machine.ts";

const EFAULT = -14;
const EINVAL = -22;
const ENOMEM = -12;

/** An address space with 8 private pages at AT; `touched` of them are present. */
function boot(
  kernel: string,
  touched = 8,
  devices: readonly "fsdax"[] = [],
): { mm: number; pages: Int32Array; files: Map<string, number> } {
  const machine = bootReplayMachine(kernelProfile(kernel, "test"), {
    devices: new Set(devices),
    hugeZero: false,
    movable: false,
  });
  const mm = mm_create();
  expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
  for (let i = 0; i < touched; i++) expect(typeof accessUser(mm, AT + i, true)).toBe("number");
  return { mm, pages: new Int32Array(32), files: machine.files };
}

describe.each(KERNELS)("GUP of %s", (kernel) => {
  test("EINVAL: FOLL_LONGTERM is for the pin functions", () => {
    const { mm, pages } = boot(kernel);
    expect(gup_fast(mm, AT, 1, FOLL_LONGTERM, pages, false)).toBe(EINVAL);
    expect(gup_locked(mm, AT, 1, FOLL_LONGTERM, pages, false, false)).toBe(EINVAL);
  });
  test("EFAULT: no area at the start; a short count if areas end later", () => {
    const { mm, pages } = boot(kernel);
    expect(gup_fast(mm, AT + 8, 2, FOLL_WRITE, pages, true)).toBe(EFAULT);
    expect(gup_fast(mm, AT - 1, 4, FOLL_WRITE, pages, true)).toBe(EFAULT);
    expect(gup_fast(mm, AT + 6, 6, FOLL_WRITE, pages, true)).toBe(2);
    expect(gup_locked(mm, AT + 6, 6, FOLL_WRITE, pages, true, false)).toBe(2);
  });
  test("EFAULT: the range leaves the address space; fast_only said nothing of that to v6.2", () => {
    const { mm, pages } = boot(kernel);
    expect(gup_fast(mm, -4, 2, 0, pages, true)).toBe(EFAULT);
    expect(gup_fast_only(mm, -4, 2, 0, pages, false)).toBe(config.gupArgs === GUP_ARGS_COMMON ? EFAULT : 0);
  });
  test("EFAULT: a write to what may not be written; with FOLL_FORCE to private memory it works", () => {
    const { mm, pages } = boot(kernel);
    expect(do_mprotect(mm, AT, 8, VM_READ)).toBe(0);
    expect(gup_fast(mm, AT, 2, FOLL_WRITE, pages, true)).toBe(EFAULT);
    expect(gup_locked(mm, AT, 2, FOLL_WRITE | FOLL_FORCE, pages, true, false)).toBe(2);
  });
  test("EFAULT: FOLL_FORCE does not write to a shared mapping", () => {
    const { mm, pages } = boot(kernel);
    expect(
      do_mmap(mm, AT + 4096, 4, VM_READ | VM_MAYREAD | VM_MAYWRITE | VM_SHARED, shmem_file_setup(4), 0),
    ).toBe(0);
    expect(gup_locked(mm, AT + 4096, 1, FOLL_WRITE | FOLL_FORCE, pages, true, false)).toBe(EFAULT);
  });
  test("EFAULT: PROT_NONE; FOLL_FORCE reads it", () => {
    const { mm, pages } = boot(kernel);
    expect(do_mprotect(mm, AT, 8, 0)).toBe(0);
    expect(gup_fast(mm, AT, 2, 0, pages, true)).toBe(EFAULT);
    expect(gup_locked(mm, AT, 2, FOLL_FORCE, pages, true, false)).toBe(2);
  });
  test("EFAULT: an area of device registers (VM_IO)", () => {
    const { mm, pages } = boot(kernel);
    expect(do_mmap(mm, AT + 4096, 4, RW | VM_IO, 0, 0)).toBe(0);
    expect(gup_fast(mm, AT + 4096, 1, 0, pages, true)).toBe(EFAULT);
  });
  test("ENOMEM: a count that has overflowed takes no more references", () => {
    const { mm, pages } = boot(kernel, 1);
    expect(gup_fast(mm, AT, 1, FOLL_WRITE, pages, false)).toBe(1);
    mem[page_word(pages[0] as number, PAGE._refcount)] = -2147483647;
    expect(gup_fast(mm, AT, 1, FOLL_WRITE, pages, false)).toBe(ENOMEM);
    expect(gup_locked(mm, AT, 1, FOLL_WRITE, pages, true, false)).toBe(ENOMEM);
  });
  test("fast_only takes the mapped run from the start and faults nothing in", () => {
    const { mm, pages } = boot(kernel, 3);
    expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, false)).toBe(3);
    expect(gup_fast_only(mm, AT + 3, 5, FOLL_WRITE, pages, false)).toBe(0);
    expect(gup_fast(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(8);
  });
  test("FOLL_NOFAULT: a short count, or -EFAULT if the first page is not there", () => {
    const { mm, pages } = boot(kernel, 3);
    expect(gup_locked(mm, AT, 8, FOLL_WRITE | FOLL_NOFAULT, pages, true, false)).toBe(3);
    expect(gup_locked(mm, AT + 3, 5, FOLL_NOFAULT, pages, true, false)).toBe(EFAULT);
  });
  test("slow GUP of no pages is 0, and takes nothing", () => {
    const { mm, pages } = boot(kernel);
    expect(gup_locked(mm, AT, 0, FOLL_WRITE, pages, true, false)).toBe(0);
    expect(gup_unlocked(mm, AT, 0, FOLL_WRITE, pages, true)).toBe(0);
  });
  test("FOLL_LONGTERM on fsdax is -EOPNOTSUPP and leaves no pin behind", () => {
    const { mm, pages, files } = boot(kernel, 1, ["fsdax"]);
    expect(do_mmap(mm, AT + 4096, 4, RW | VM_SHARED, files.get("/mnt/dax/f") ?? 0, 0)).toBe(0);
    expect(gup_fast(mm, AT + 4096, 2, FOLL_WRITE, pages, true)).toBe(2);
    const count = mem[page_word(pages[0] as number, PAGE._refcount)] as number;
    expect(gup_locked(mm, AT + 4096, 2, FOLL_WRITE | FOLL_LONGTERM, new Int32Array(4), true, false)).toBe(
      -95,
    );
    expect(mem[page_word(pages[0] as number, PAGE._refcount)]).toBe(count);
    unpin_user_pages(pages, 2);
  });
});

describe("what changed between versions", () => {
  test("pin_user_pages_unlocked() takes FOLL_LONGTERM from v6.3 on", () => {
    for (const [kernel, want] of [
      ["6.1.0", EINVAL],
      ["6.12.0", 2],
    ] as const) {
      const { mm, pages } = boot(kernel);
      expect(gup_unlocked(mm, AT, 2, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(want);
    }
  });
  test("a long-term write to a file that tracks dirtying is -EFAULT from v6.5 on", () => {
    for (const [kernel, want] of [
      ["6.1.0", 2],
      ["6.12.0", EFAULT],
    ] as const) {
      const { mm, pages, files } = boot(kernel);
      expect(do_mmap(mm, AT + 4096, 4, RW | VM_SHARED, files.get("/mnt/ext4/f") ?? 0, 0)).toBe(0);
      expect(gup_fast(mm, AT + 4096, 2, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(want);
    }
  });
});
