/**
 * Slow GUP and mmap_lock, as mm/gup.c has it: faults that drop the lock (-EBUSY and -EAGAIN inside), what may
 * have changed until it is taken again, who is killed meanwhile, FOLL_NOWAIT, and who takes the lock. No
 * recording shows these: they follow the source.
 */

import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { kernel } from "../../src/machine/config.ts";
import { host } from "../../src/machine/host.ts";
import { mem } from "../../src/machine/memory.ts";
import { find_page, shmem_file_setup } from "../../src/mm/filemap.ts";
import { mm_create } from "../../src/mm/fork.ts";
import { unpin_user_pages } from "../../src/mm/gup.ts";
import { gup_fast, gup_fast_only, gup_locked, gup_remote, gup_unlocked } from "../../src/mm/gup_entry.ts";
import { FOLL_LONGTERM, FOLL_NOWAIT, FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { do_munmap } from "../../src/mm/madvise.ts";
import { MM, VM_MAYREAD, VM_READ } from "../../src/mm/mm_types.ts";
import { do_mmap, mmap_read_lock, mmap_read_unlock } from "../../src/mm/mmap.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine, type MachineNeeds } from "../../src/replay/machine.ts";
import { pinsCounted } from "../replay/counts.ts";
import { KERNELS, RW, SHARED, touch } from "./gup-machine.ts";

/** Eight anonymous pages, eight of shmem, eight of an ext4 file: nothing is present. */
const ANON = 1 << 19;
const SHM = ANON + 8;
const EXT4 = ANON + 16;
const END = ANON + 24;
const EINTR = -4;
const EAGAIN = -11;
const EFAULT = -14;
const EINVAL = -22;

interface Booted {
  readonly mm: number;
  readonly shm: number;
  readonly ext4: number;
  readonly pages: Int32Array;
}
function boot(name: string, needs: Partial<MachineNeeds> = {}): Booted {
  const machine = bootReplayMachine(kernelProfile(name, "test"), {
    devices: new Set(),
    hugeZero: false,
    movable: false,
    ...needs,
  });
  const mm = mm_create();
  const shm = shmem_file_setup(8);
  const ext4 = machine.files.get("/mnt/ext4/f") ?? 0;
  expect(do_mmap(mm, ANON, 8, RW, 0, 0)).toBe(0);
  expect(do_mmap(mm, SHM, 8, SHARED, shm, 0)).toBe(0);
  expect(do_mmap(mm, EXT4, 8, SHARED, ext4, 0)).toBe(0);
  return { mm, shm, ext4, pages: new Int32Array(64) };
}
const lockWord = (mm: number): number => mem[mm + MM.mmap_lock] as number;
const kill = (): void => {
  mem[kernel.fatal_signal] = 1;
};

/**
 * Counts how often mmap_lock is let go of while `run` runs; `then` acts each time, before anybody takes it
 * again.
 */
function drops(mm: number, run: () => void, then: (nth: number) => void = () => {}): number {
  let held = lockWord(mm) !== 0;
  let dropped = 0;
  const watch = (): void => {
    const now = lockWord(mm) !== 0;
    if (held && !now) {
      host.preempt = null;
      then(++dropped);
      host.preempt = watch;
    }
    held = now;
  };
  host.preempt = watch;
  run();
  host.preempt = null;
  return held && lockWord(mm) === 0 ? dropped + 1 : dropped;
}
/** Acts when mmap_lock has been let go of for the first time. */
function afterDrop(mm: number, act: () => void): void {
  let held = lockWord(mm) !== 0;
  host.preempt = () => {
    const now = lockWord(mm) !== 0;
    if (held && !now) {
      host.preempt = null;
      act();
    }
    held = now;
  };
}
/** A writer holds mmap_lock, and gives it back when the word has been looked at n times. */
function writerHolds(mm: number, looks: number): void {
  mem[mm + MM.mmap_lock] = -1;
  let left = looks;
  host.preempt = (addr) => {
    if (addr !== mm + MM.mmap_lock || --left > 0) return;
    host.preempt = null;
    mem[mm + MM.mmap_lock] = 0;
  };
}

describe.each(KERNELS)("slow GUP and mmap_lock in %s", (name) => {
  const v63 = name === "6.12.0" || name === "7.3.0";
  afterEach(() => {
    host.preempt = null;
  });

  describe("a fault that drops it", () => {
    test("dirtying a clean page of shmem does, once a page; all pages are taken all the same", () => {
      const { mm, pages } = boot(name);
      expect(drops(mm, () => expect(gup_unlocked(mm, SHM, 4, FOLL_WRITE, pages, true)).toBe(4))).toBe(5);
      expect(drops(mm, () => expect(gup_fast(mm, SHM, 8, FOLL_WRITE, pages, true)).toBe(8))).toBe(5);
      expect(pinsCounted()).toBe(12);
      expect(lockWord(mm)).toBe(0);
    });
    test("a dirty page of shmem does not; a file system with page_mkwrite() has it dropped for every write fault", () => {
      const { mm, shm, ext4, pages } = boot(name);
      touch(mm, SHM, 8);
      touch(mm, EXT4, 8);
      expect(do_mmap(mm, END, 4, SHARED, shm, 0)).toBe(0);
      expect(do_mmap(mm, END + 4, 4, SHARED, ext4, 0)).toBe(0);
      expect(drops(mm, () => gup_unlocked(mm, END, 4, FOLL_WRITE, pages, true))).toBe(1);
      expect(drops(mm, () => gup_unlocked(mm, END + 4, 4, FOLL_WRITE, pages, true))).toBe(5);
      expect(pinsCounted()).toBe(8);
    });
    test("reading a file's page from disk does, and dirtying it does not do so a second time (FOLL_TRIED)", () => {
      const { mm, ext4, pages } = boot(name);
      expect(find_page(ext4, 0)).toBe(0);
      expect(drops(mm, () => expect(gup_unlocked(mm, EXT4, 1, FOLL_WRITE, pages, true)).toBe(1))).toBe(2);
      // What was read around it is there: only their dirtying is waited for.
      expect(drops(mm, () => expect(gup_unlocked(mm, EXT4 + 1, 1, FOLL_WRITE, pages, true)).toBe(1))).toBe(2);
      expect(drops(mm, () => expect(gup_unlocked(mm, EXT4 + 2, 6, 0, pages, true)).toBe(6))).toBe(1);
    });
    test("anonymous memory never does, nor does who keeps the lock (get_user_pages(), locked == NULL)", () => {
      const { mm, pages } = boot(name);
      expect(drops(mm, () => expect(gup_unlocked(mm, ANON, 8, FOLL_WRITE, pages, true)).toBe(8))).toBe(1);
      mmap_read_lock(mm);
      for (const pin of [true, false])
        for (const remote of [true, false]) {
          const run = (): void => expect(gup_locked(mm, SHM, 16, FOLL_WRITE, pages, pin, remote)).toBe(16);
          expect(drops(mm, run)).toBe(0);
        }
      mmap_read_unlock(mm);
      expect(lockWord(mm)).toBe(0);
    });
    test("who passes `locked` is told: 0 if it was dropped, with everything taken, 1 if not", () => {
      const { mm, pages } = boot(name);
      const locked = new Int32Array([1]);
      mmap_read_lock(mm);
      expect(gup_remote(mm, ANON, 8, FOLL_WRITE, pages, true, locked)).toBe(8);
      expect([locked[0], lockWord(mm)]).toEqual([1, 1]);
      expect(gup_remote(mm, ANON, 16, FOLL_WRITE, pages, true, locked)).toBe(16);
      expect([locked[0], lockWord(mm)]).toEqual([0, 0]);
      expect(pinsCounted()).toBe(24);
      expect(gup_remote(mm, ANON, 1, FOLL_WRITE, pages, false, locked)).toBe(EINVAL);
    });
    test("where locked is passed FOLL_LONGTERM is EINVAL to v6.2", () => {
      const { mm, pages } = boot(name);
      mmap_read_lock(mm);
      const got = gup_remote(mm, SHM, 1, FOLL_WRITE | FOLL_LONGTERM, pages, true, new Int32Array([1]));
      expect(got).toBe(v63 ? 1 : EINVAL);
    });
    test("pin_user_pages_fast() for long kept it to v6.2", () => {
      const { mm, pages } = boot(name);
      const run = (): void => expect(gup_fast(mm, SHM, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(4);
      expect(drops(mm, run)).toBe(v63 ? 5 : 1);
    });
    test("between the rounds of a long-term pin that moves pages it is dropped from v6.3 on", () => {
      const { mm, pages } = boot(name, { cma: 4096 });
      touch(mm, ANON, 4);
      const run = (): void => expect(gup_fast(mm, ANON, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(4);
      expect(drops(mm, run)).toBe(v63 ? 2 : 1);
    });
  });

  describe("what another does while it is dropped", () => {
    test("EFAULT: the area is gone and nothing was taken", () => {
      const { mm, pages } = boot(name);
      const run = (): void => expect(gup_unlocked(mm, SHM, 4, FOLL_WRITE, pages, true)).toBe(EFAULT);
      expect(drops(mm, run, (nth) => nth === 1 && do_munmap(mm, SHM, 8))).toBe(2);
      expect(pinsCounted()).toBe(0);
    });
    test("a short count: pages before it are kept, those of the fast walk included", () => {
      const { mm, pages } = boot(name);
      touch(mm, SHM, 1);
      const run = (): void => expect(gup_fast(mm, SHM, 8, FOLL_WRITE, pages, true)).toBe(3);
      drops(mm, run, (nth) => nth === 3 && do_munmap(mm, SHM + 3, 5));
      expect(pinsCounted()).toBe(3);
      expect(lockWord(mm)).toBe(0);
    });
    test("what is mapped instead is taken, by what it permits", () => {
      const { mm, pages } = boot(name);
      drops(
        mm,
        () => expect(gup_unlocked(mm, SHM, 8, FOLL_WRITE, pages, true)).toBe(4),
        (nth) => {
          if (nth !== 2) return;
          expect(do_munmap(mm, SHM, 8)).toBe(0);
          expect(do_mmap(mm, SHM, 4, RW, 0, 0)).toBe(0);
          expect(do_mmap(mm, SHM + 4, 4, VM_READ | VM_MAYREAD, 0, 0)).toBe(0);
        },
      );
      expect(pinsCounted()).toBe(4);
      unpin_user_pages(pages, 4);
    });
  });

  describe("who is killed", () => {
    const signals = { signals: true };
    test("EINTR while it is dropped, if nothing was taken; else what was; the lock is not taken again", () => {
      for (const [nth, want] of [
        [1, EINTR],
        [3, 2],
      ] as const) {
        const { mm, pages } = boot(name, signals);
        const locked = new Int32Array([1]);
        mmap_read_lock(mm);
        const run = (): void => expect(gup_remote(mm, SHM, 8, FOLL_WRITE, pages, true, locked)).toBe(want);
        expect(drops(mm, run, (n) => n === nth && kill())).toBe(nth);
        expect([locked[0], lockWord(mm)]).toEqual([0, 0]);
        expect(pinsCounted()).toBe(Math.max(0, want));
      }
    });
    test("EINTR if a writer has the lock then (mmap_read_lock_killable())", () => {
      const { mm, pages } = boot(name, signals);
      afterDrop(mm, () => {
        mem[mm + MM.mmap_lock] = -1;
        host.preempt = (addr) => {
          if (addr === mm + MM.mmap_lock) kill();
        };
      });
      expect(gup_unlocked(mm, SHM, 2, FOLL_WRITE, pages, true)).toBe(EINTR);
      expect(lockWord(mm)).toBe(-1);
      expect(pinsCounted()).toBe(0);
    });
    test("EAGAIN before anything is looked up, from v6.3 on; to v6.2 it waits for the writer, and has EINTR then", () => {
      for (const call of [gup_unlocked, gup_fast]) {
        const { mm, pages } = boot(name, signals);
        kill();
        writerHolds(mm, 2);
        expect(call(mm, ANON, 2, FOLL_WRITE, pages, true)).toBe(v63 ? EAGAIN : EINTR);
        expect(lockWord(mm)).toBe(v63 ? -1 : 0);
        expect(pinsCounted()).toBe(0);
      }
    });
    test("the fast walk's pages hide it", () => {
      const { mm, pages } = boot(name, signals);
      touch(mm, ANON, 3);
      kill();
      writerHolds(mm, 2);
      expect(gup_fast(mm, ANON, 8, FOLL_WRITE, pages, true)).toBe(3);
    });
    test("who is not killed waits until the writer is done", () => {
      for (const call of [gup_unlocked, gup_fast]) {
        const { mm, pages } = boot(name, signals);
        writerHolds(mm, 2);
        expect(call(mm, ANON, 2, FOLL_WRITE, pages, true)).toBe(2);
        expect(lockWord(mm)).toBe(0);
      }
    });
  });

  describe("FOLL_NOWAIT", () => {
    test("EBUSY inside: 0 pages, or those before, with the lock held; when the page has been read, all", () => {
      const { mm, pages } = boot(name);
      const locked = new Int32Array([1]);
      mmap_read_lock(mm);
      expect(gup_remote(mm, EXT4, 4, FOLL_NOWAIT, pages, true, locked)).toBe(0);
      expect([locked[0], lockWord(mm), pinsCounted()]).toEqual([1, 1, 0]);
      expect(gup_remote(mm, EXT4, 4, FOLL_NOWAIT, pages, true, locked)).toBe(4);
      mmap_read_unlock(mm);
    });
    test("without the lock's help too: get_user_pages(), and _unlocked; pages before it are kept", () => {
      const { mm, ext4, pages } = boot(name);
      expect(do_mmap(mm, END, 2, RW, 0, 0)).toBe(0);
      expect(do_mmap(mm, END + 2, 2, SHARED, ext4, 64)).toBe(0);
      mmap_read_lock(mm);
      expect(gup_locked(mm, END, 4, FOLL_NOWAIT, pages, true, false)).toBe(2);
      mmap_read_unlock(mm);
      expect(do_mmap(mm, END + 4, 2, SHARED, ext4, 128)).toBe(0);
      expect(gup_unlocked(mm, END + 4, 2, FOLL_NOWAIT, pages, false)).toBe(0);
      expect(gup_unlocked(mm, END + 4, 2, FOLL_NOWAIT, pages, false)).toBe(2);
      expect(lockWord(mm)).toBe(0);
    });
    test("dirtying is not waited for at all, and the fast functions refuse the flag (EINVAL; to v6.2 fast_only says 0)", () => {
      const { mm, pages } = boot(name);
      expect(drops(mm, () => gup_unlocked(mm, SHM, 4, FOLL_WRITE | FOLL_NOWAIT, pages, true))).toBe(1);
      expect(pinsCounted()).toBe(4);
      expect(gup_fast(mm, ANON, 1, FOLL_NOWAIT, pages, true)).toBe(EINVAL);
      expect(gup_fast_only(mm, ANON, 1, FOLL_NOWAIT, pages, true)).toBe(v63 ? EINVAL : 0);
    });
  });

  test("where nobody interferes, dropping the lock changes no result", () => {
    const request = fc.record({
      at: fc.integer({ min: 0, max: 25 }),
      n: fc.integer({ min: 1, max: 27 }),
      write: fc.boolean(),
      pin: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 4 }), (requests) => {
        const results = [false, true].map((unlocked) => {
          const { mm, pages } = boot(name);
          return requests.map(({ at, n, write, pin }) => {
            const flags = write ? FOLL_WRITE : 0;
            if (unlocked) return gup_unlocked(mm, ANON + at, n, flags, pages, pin);
            mmap_read_lock(mm);
            const ret = gup_locked(mm, ANON + at, n, flags, pages, pin, true);
            mmap_read_unlock(mm);
            return ret;
          });
        });
        expect(results[1]).toEqual(results[0]);
      }),
      { numRuns: 6 },
    );
  });
});
