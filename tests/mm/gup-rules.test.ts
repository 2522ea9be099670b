/**
 * The rules of GUP's results that the other gup-*.test.ts do not have, in the order of mm/gup.c: arguments,
 * the fast walk's stops and what it keeps, undoing, the slow path's errors and partial results, fatal
 * signals, unsharing, secret memory, long-term pins. Each kernel's own answer. All rules, and where each is
 * tested: docs/gup-rules.md.
 */

import { afterEach, describe, expect, test } from "vitest";
import { config, type KnobSettings, kernel, knobValue } from "../../src/machine/config.ts";
import { host } from "../../src/machine/host.ts";
import { mem } from "../../src/machine/memory.ts";
import { find_page, secretmem_file_create, shmem_file_setup } from "../../src/mm/filemap.ts";
import { dup_mm, mm_create } from "../../src/mm/fork.ts";
import {
  try_grab_compound_head,
  try_grab_page,
  unpin_user_page,
  unpin_user_pages,
} from "../../src/mm/gup.ts";
import { is_migrate_cma_page } from "../../src/mm/gup_allowed.ts";
import { gup_fast, gup_fast_only, gup_locked, gup_unlocked } from "../../src/mm/gup_entry.ts";
import {
  FOLL_FORCE,
  FOLL_LONGTERM,
  FOLL_NOFAULT,
  FOLL_PIN,
  FOLL_TOUCH,
  FOLL_WRITE,
} from "../../src/mm/gup_flags.ts";
import { lru_add_drain } from "../../src/mm/lru.ts";
import { do_madvise, MADV_HUGEPAGE } from "../../src/mm/madvise.ts";
import {
  MM,
  VM_HUGETLB,
  VM_LOCKED,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_PFNMAP,
  VM_READ,
} from "../../src/mm/mm_types.ts";
import { do_mmap } from "../../src/mm/mmap.ts";
import { do_mprotect } from "../../src/mm/mprotect.ts";
import {
  compound_head,
  is_zone_device_page,
  PAGE,
  PageAnon,
  page_maybe_dma_pinned,
  page_word,
  pfn_to_page,
} from "../../src/mm/page.ts";
import { alloc_pages, GFP_USER, page_zone_nr, ZONE_MOVABLE } from "../../src/mm/page_alloc.ts";
import { percpu_ref_kill, percpu_ref_sum } from "../../src/mm/percpu-refcount.ts";
import { DEV_PAGEMAP } from "../../src/mm/pgmap.ts";
import { pgtable_lookup, pte_alloc_one, pte_present, swp_type } from "../../src/mm/pgtable.ts";
import { VM_EVENT } from "../../src/mm/vmstat.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine, type MachineNeeds } from "../../src/replay/machine.ts";
import { pinsCounted } from "../replay/counts.ts";
import { AT, KERNELS, RW, refs, SHARED, touch } from "./gup-machine.ts";

const OTHER = AT + 8192;
const EFAULT = -14;
const EINVAL = -22;
const ENOMEM = -12;
const EOPNOTSUPP = -95;
const EOVERFLOW = -75;

interface Booted {
  readonly mm: number;
  readonly pages: Int32Array;
  readonly files: Map<string, number>;
  readonly pgmap: (path: string) => number;
}
/** An address space with 8 private pages at AT, of which `touched` are present. */
function boot(
  name: string,
  touched = 8,
  needs: Partial<MachineNeeds> = {},
  knobs: KnobSettings = {},
): Booted {
  const machine = bootReplayMachine(
    kernelProfile(name, "test"),
    { devices: new Set(), hugeZero: false, movable: false, ...needs },
    knobs,
  );
  const mm = mm_create();
  expect(do_mmap(mm, AT, 8, RW, 0, 0)).toBe(0);
  touch(mm, AT, touched);
  const pgmap = (path: string): number => machine.dax.get(path)?.device.pgmap ?? 0;
  return { mm, pages: new Int32Array(2048), files: machine.files, pgmap };
}
/** The page that is mapped, by a reference that is given back at once. */
function pageAt(mm: number, addr: number): number {
  const one = new Int32Array(1);
  expect(gup_fast(mm, addr, 1, 0, one, true)).toBe(1);
  unpin_user_page(one[0] as number);
  return one[0] as number;
}

describe.each(KERNELS)("GUP of %s", (name) => {
  const v510 = name === "5.10.0";
  const v63 = name === "6.12.0" || name === "7.3.0";

  describe("arguments", () => {
    test("EINVAL: flags that the fast functions do not know; 0 from fast_only to v6.2", () => {
      const { mm, pages } = boot(name);
      for (const call of [gup_fast, gup_fast_only])
        for (const flag of [FOLL_TOUCH, 0x40, 1 << 30])
          for (const pin of [true, false])
            expect(call(mm, AT, 1, flag, pages, pin)).toBe(call === gup_fast || v63 ? EINVAL : 0);
      expect(pinsCounted()).toBe(0);
    });
    test("a range that reaches over the end of all addresses is EOVERFLOW from v6.5 on, 0 before", () => {
      const { mm, pages } = boot(name);
      const want = v63 ? EOVERFLOW : 0;
      expect(gup_fast(mm, -2, 2, 0, pages, true)).toBe(want);
      expect(gup_fast(mm, -2, 9, 0, pages, false)).toBe(want);
      expect(gup_fast(mm, -3, 2, 0, pages, false)).toBe(EFAULT);
      expect(gup_fast_only(mm, -2, 2, 0, pages, false)).toBe(want);
    });
    test("FOLL_PIN marks the address space before any page is looked at; FOLL_GET does not", () => {
      for (const call of [gup_fast, gup_fast_only]) {
        const { mm, pages } = boot(name);
        call(mm, OTHER, 1, 0, pages, false);
        expect(mem[mm + MM.has_pinned]).toBe(0);
        call(mm, OTHER, 1, 0, pages, true);
        expect(mem[mm + MM.has_pinned]).toBe(1);
      }
      const { mm, pages } = boot(name);
      expect(gup_locked(mm, OTHER, 1, 0, pages, true, false)).toBe(EFAULT);
      expect(mem[mm + MM.has_pinned]).toBe(1);
    });
    test("a grab with neither flag takes nothing: refused by the fast one, ignored by the slow one", () => {
      const { mm } = boot(name);
      const page = pageAt(mm, AT);
      const before = refs(page);
      expect(try_grab_compound_head(page, 1, 0)).toBe(0);
      expect(try_grab_page(page, 0)).toBe(true);
      expect(refs(page)).toBe(before);
    });
  });

  describe("the fast walk", () => {
    test("a hole ends it: pages before it are kept, none behind it is tried", () => {
      const { mm, pages } = boot(name, 3);
      touch(mm, AT + 4, 4);
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(3);
      expect(pages[3]).toBe(0);
      expect(pinsCounted()).toBe(3);
    });
    test("an entry without the permission ends it", () => {
      const { mm, pages } = boot(name);
      expect(do_mprotect(mm, AT + 2, 2, VM_READ)).toBe(0);
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(2);
      expect(gup_fast_only(mm, AT, 8, 0, pages, true)).toBe(8);
      // The slow path's error is not told where the walk got something.
      expect(gup_fast(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(2);
      expect(gup_fast(mm, AT + 2, 6, FOLL_WRITE, pages, true)).toBe(EFAULT);
    });
    test("PROT_NONE ends it, also for a read", () => {
      const { mm, pages } = boot(name);
      expect(do_mprotect(mm, AT + 5, 1, 0)).toBe(0);
      expect(gup_fast_only(mm, AT, 8, 0, pages, false)).toBe(5);
    });
    test("a special entry, the zero page's, ends it; the slow path takes it", () => {
      const { mm, pages } = boot(name, 0);
      touch(mm, AT, 2, false);
      expect(gup_fast_only(mm, AT, 2, 0, pages, false)).toBe(0);
      expect(gup_fast(mm, AT, 2, 0, pages, false)).toBe(2);
      expect(pages[0]).toBe(pfn_to_page(kernel.zero_pfn));
    });
    test("a pin of the zero page is counted to v6.4 (observed in v6.1: not), a reference always", () => {
      const { mm, pages } = boot(name, 0);
      touch(mm, AT, 1, false);
      const zero = pfn_to_page(kernel.zero_pfn);
      const before = refs(zero);
      expect(gup_fast(mm, AT, 1, 0, pages, true)).toBe(1);
      expect(refs(zero) - before).toBe(v510 ? 1024 : 0);
      expect(pinsCounted()).toBe(v510 ? 1 : 0);
      unpin_user_page(zero);
      expect(refs(zero)).toBe(before);
      expect(gup_fast(mm, AT, 1, 0, pages, false)).toBe(1);
      expect(refs(zero)).toBe(before + 1);
    });
    test("a leaf is taken whole or not at all; what came before it is kept", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, OTHER, 1024, RW, 0, 0)).toBe(0);
      do_madvise(mm, OTHER, 1024, MADV_HUGEPAGE);
      touch(mm, OTHER, 1);
      touch(mm, OTHER + 512, 1);
      const second = compound_head(pageAt(mm, OTHER + 512));
      mem[page_word(second, PAGE._refcount)] = -2147483647;
      expect(gup_fast_only(mm, OTHER, 1024, FOLL_WRITE, pages, true)).toBe(512);
      expect(gup_fast_only(mm, OTHER + 512, 512, FOLL_WRITE, pages, true)).toBe(0);
      // A count that overflows under the rest of a leaf: the first page's reference goes too.
      mem[page_word(second, PAGE._refcount)] = 0x7fffffff;
      const batches = config.gupSlowBatch !== 0;
      expect(gup_locked(mm, OTHER + 512, 512, FOLL_WRITE, pages, false, false)).toBe(batches ? EFAULT : 1);
      if (batches) expect(mem[page_word(second, PAGE._refcount)]).toBe(0x7fffffff);
      mem[page_word(second, PAGE._refcount)] = -2147483647;
      // Page by page or in batches, the slow path has the first leaf to return and nothing of the second.
      expect(gup_locked(mm, OTHER + 512, 512, FOLL_WRITE, pages, true, false)).toBe(ENOMEM);
      expect(gup_fast(mm, OTHER, 1024, FOLL_WRITE, pages, true)).toBe(512);
    });
    test("a count of zero is refused by both: the fast walk stops, the slow path says ENOMEM", () => {
      const { mm, pages } = boot(name);
      mem[page_word(pageAt(mm, AT + 1), PAGE._refcount)] = 0;
      expect(gup_fast_only(mm, AT, 3, FOLL_WRITE, pages, false)).toBe(1);
      expect(gup_locked(mm, AT + 1, 1, FOLL_WRITE, pages, true, false)).toBe(ENOMEM);
      expect(gup_locked(mm, AT, 3, FOLL_WRITE, pages, true, false)).toBe(1);
    });
    test("while fork write-protects, a pin takes nothing and falls back; a reference is taken", () => {
      const { mm, pages } = boot(name);
      mem[mm + MM.write_protect_seq] = 1;
      expect(gup_fast_only(mm, AT, 4, FOLL_WRITE, pages, true)).toBe(0);
      expect(gup_fast_only(mm, AT, 4, FOLL_WRITE, pages, false)).toBe(4);
      expect(gup_fast(mm, AT, 4, FOLL_WRITE, pages, true)).toBe(4);
    });
  });

  describe("devices", () => {
    const dax0 = { devices: new Set(["dax0"] as const) };
    afterEach(() => {
      host.preempt = null;
    });
    test("a device that is being removed is refused to v6.16, and what the table gave before it is undone", () => {
      const { mm, pages, files, pgmap } = boot(name, 8, {
        devices: new Set(["dax0", "fsdax"] as const),
        signals: true,
      });
      // One table of PTEs: pages of one device, then of another.
      expect(do_mmap(mm, OTHER, 4, SHARED, files.get("/dev/dax0.0") ?? 0, 0)).toBe(0);
      expect(do_mmap(mm, OTHER + 4, 4, SHARED, files.get("/mnt/dax/f") ?? 0, 0)).toBe(0);
      touch(mm, OTHER, 8);
      const first = pageAt(mm, OTHER);
      const before = refs(first);
      expect(is_zone_device_page(first)).toBe(true);
      percpu_ref_kill(mem[pgmap("/mnt/dax/f") + DEV_PAGEMAP.ref] as number);
      const asked = name !== "7.3.0";
      expect(gup_fast_only(mm, OTHER, 8, 0, pages, true)).toBe(asked ? 0 : 8);
      if (!asked) return;
      expect(refs(first)).toBe(before);
      expect(pinsCounted()).toBe(0);
      expect(gup_fast_only(mm, OTHER, 4, 0, pages, true)).toBe(4);
      // The slow path takes its entry for one that is missing, whose fault finds nothing to do, for ever.
      const killLate = (): void => {
        let looks = 0;
        mem[kernel.fatal_signal] = 0;
        host.preempt = () => {
          if (++looks === 1000) mem[kernel.fatal_signal] = 1;
        };
      };
      killLate();
      expect(gup_locked(mm, OTHER + 4, 1, 0, pages, true, false)).toBe(-4);
      killLate();
      expect(gup_fast(mm, OTHER, 8, 0, pages, true)).toBe(4);
      host.preempt = null;
    });
    test("EFAULT: a huge entry of a device that is being removed, to v6.16", () => {
      const { mm, pages, files, pgmap } = boot(name, 8, { devices: new Set(["dax1"] as const) });
      expect(do_mmap(mm, OTHER, 512, SHARED, files.get("/dev/dax1.0") ?? 0, 0)).toBe(0);
      touch(mm, OTHER, 1);
      percpu_ref_kill(mem[pgmap("/dev/dax1.0") + DEV_PAGEMAP.ref] as number);
      expect(gup_locked(mm, OTHER, 1, 0, pages, true, false)).toBe(name === "7.3.0" ? 1 : EFAULT);
    });
    test("the slow path holds one pagemap reference over all of a request (to v6.16), and none after it", () => {
      const { mm, pages, files, pgmap } = boot(name, 8, dax0);
      expect(do_mmap(mm, OTHER, 4, SHARED, files.get("/dev/dax0.0") ?? 0, 0)).toBe(0);
      const ref = mem[pgmap("/dev/dax0.0") + DEV_PAGEMAP.ref] as number;
      const before = percpu_ref_sum(ref);
      let most = 0;
      const look = (): void => {
        host.preempt = null;
        most = Math.max(most, percpu_ref_sum(ref) - before);
        host.preempt = look;
      };
      host.preempt = look;
      expect(gup_locked(mm, OTHER, 4, FOLL_WRITE, pages, true, false)).toBe(4);
      host.preempt = null;
      expect(most).toBe(name === "7.3.0" ? 0 : 1);
      expect(percpu_ref_sum(ref)).toBe(before);
    });
    test("a leaf of which a page cannot be had is undone; the pagemap reference was leaked to v5.13", () => {
      const { mm, pages, files, pgmap } = boot(name, 8, { devices: new Set(["dax1"] as const) });
      expect(do_mmap(mm, OTHER, 512, SHARED, files.get("/dev/dax1.0") ?? 0, 0)).toBe(0);
      touch(mm, OTHER, 1);
      const first = pageAt(mm, OTHER);
      // Single pages to v5.16, compound ones after: then it is the head that all count on.
      const broken = v510 ? pageAt(mm, OTHER + 3) : first;
      mem[page_word(broken, PAGE._refcount)] = 0;
      const before = refs(first);
      const ref = mem[pgmap("/dev/dax1.0") + DEV_PAGEMAP.ref] as number;
      const held = percpu_ref_sum(ref);
      expect(gup_fast_only(mm, OTHER, 8, 0, pages, true)).toBe(0);
      expect(refs(first)).toBe(before);
      expect(pinsCounted()).toBe(0);
      expect(percpu_ref_sum(ref) - held).toBe(v510 ? 1 : 0);
      expect(config.gupHugeUndoFix).toBe(v510 ? 0 : 1);
    });
    test("FOLL_LONGTERM of a device page goes to the slow path, and is granted for device-dax", () => {
      const { mm, pages, files } = boot(name, 8, dax0);
      expect(do_mmap(mm, OTHER, 4, SHARED, files.get("/dev/dax0.0") ?? 0, 0)).toBe(0);
      touch(mm, OTHER, 4);
      expect(gup_fast_only(mm, OTHER, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(0);
      expect(gup_fast(mm, OTHER, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(4);
    });
    test("EOPNOTSUPP for fsdax: from v5.12 on only if nothing came before it; before, the whole range is unpinned", () => {
      const { mm, pages, files } = boot(name, 8, { devices: new Set(["fsdax"] as const) });
      expect(do_mmap(mm, AT + 8, 4, SHARED, files.get("/mnt/dax/f") ?? 0, 0)).toBe(0);
      touch(mm, AT + 8, 4);
      const flags = FOLL_WRITE | FOLL_LONGTERM;
      expect(gup_locked(mm, AT + 6, 4, flags, pages, true, false)).toBe(v510 ? EOPNOTSUPP : 2);
      expect(pinsCounted()).toBe(v510 ? 0 : 2);
      if (!v510) unpin_user_pages(pages, 2);
      // The fast walk stops in front of it and swallows the slow path's error.
      expect(gup_fast(mm, AT + 6, 4, flags, pages, true)).toBe(2);
      expect(gup_fast(mm, AT + 8, 4, flags, pages, true)).toBe(EOPNOTSUPP);
    });
  });

  describe("the slow path", () => {
    test("EFAULT: an area of frames without struct pages (VM_PFNMAP)", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, OTHER, 4, RW | VM_PFNMAP, 0, 0)).toBe(0);
      expect(gup_locked(mm, OTHER, 1, 0, pages, true, false)).toBe(EFAULT);
    });
    test("EFAULT: behind a file's end (SIGBUS); a short count if the range begins before it", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, OTHER, 8, SHARED, shmem_file_setup(4), 0)).toBe(0);
      expect(gup_locked(mm, OTHER + 4, 2, FOLL_WRITE, pages, true, false)).toBe(EFAULT);
      expect(gup_locked(mm, OTHER + 2, 4, FOLL_WRITE, pages, true, false)).toBe(2);
      expect(gup_fast(mm, OTHER, 8, FOLL_WRITE, pages, true)).toBe(4);
      expect(gup_fast(mm, OTHER + 5, 1, FOLL_WRITE, pages, true)).toBe(EFAULT);
    });
    test("ENOMEM: a fault without memory; a short count if pages came before it", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, AT + 511, 8, RW, 0, 0)).toBe(0);
      touch(mm, AT + 511, 1);
      for (let t = pte_alloc_one(); t !== 0; ) t = pte_alloc_one();
      expect(gup_locked(mm, AT + 512, 2, FOLL_WRITE, pages, true, false)).toBe(ENOMEM);
      expect(gup_fast(mm, AT + 512, 2, FOLL_WRITE, pages, true)).toBe(ENOMEM);
      expect(gup_locked(mm, AT + 511, 3, FOLL_WRITE, pages, true, false)).toBe(1);
      expect(gup_fast(mm, AT + 511, 3, FOLL_WRITE, pages, true)).toBe(1);
    });
    test("no huge page left: EFAULT; a short count if some were had", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, 1 << 20, 26 * 512, RW | VM_HUGETLB, 0, 0)).toBe(0);
      for (let i = 0; i < 23; i++) touch(mm, (1 << 20) + i * 512, 1);
      const from = (1 << 20) + 23 * 512;
      expect(gup_locked(mm, from, 1024, FOLL_WRITE, pages, true, false)).toBe(512);
      expect(gup_locked(mm, from + 512, 1, FOLL_WRITE, pages, true, false)).toBe(EFAULT);
    });
    test("FOLL_FORCE writes to read-only private hugetlb memory in v5.10 and v7.3, not in between", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, 1 << 20, 512, VM_READ | VM_MAYREAD | VM_MAYWRITE | VM_HUGETLB, 0, 0)).toBe(0);
      const want = v510 || name === "7.3.0" ? 1 : EFAULT;
      expect(gup_locked(mm, 1 << 20, 1, FOLL_WRITE | FOLL_FORCE, pages, true, false)).toBe(want);
    });
    test("FOLL_NOFAULT in hugetlb memory faults all the same to v6.1, and is EFAULT from v6.12 on", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, 1 << 20, 512, RW | VM_HUGETLB, 0, 0)).toBe(0);
      const want = name === "6.12.0" || name === "7.3.0" ? EFAULT : 1;
      expect(gup_locked(mm, 1 << 20, 1, FOLL_WRITE | FOLL_NOFAULT, pages, true, false)).toBe(want);
    });
    test("a forced write to read-only private memory breaks COW: the other process keeps its page", () => {
      const { mm, pages } = boot(name);
      expect(do_mprotect(mm, AT, 8, VM_READ)).toBe(0);
      const shared = pageAt(mm, AT);
      const child = dup_mm(mm);
      expect(gup_locked(mm, AT, 1, FOLL_WRITE | FOLL_FORCE, pages, true, false)).toBe(1);
      expect(pages[0]).not.toBe(shared);
      expect(pageAt(child, AT)).toBe(shared);
      // The entry stays read-only: without FOLL_FORCE nothing has changed.
      expect(gup_locked(mm, AT, 1, FOLL_WRITE, pages, true, false)).toBe(EFAULT);
    });
  });

  describe("a fatal signal", () => {
    const signals = { signals: true };
    const EINTR = -4;
    /** SIGKILL comes when the word is touched for the nth time. */
    function killAt(word: number, nth: number): void {
      let seen = 0;
      host.preempt = (addr) => {
        if (addr === word && ++seen === nth) mem[kernel.fatal_signal] = 1;
      };
    }
    afterEach(() => {
      host.preempt = null;
    });
    function pte(mm: number, addr: number): number {
      const out = new Int32Array(1);
      pgtable_lookup(mm, addr, out);
      return out[0] as number;
    }
    test("EINTR, before anything is faulted in, but after the area was found to be wrong (EFAULT)", () => {
      const { mm, pages } = boot(name, 0, signals);
      mem[kernel.fatal_signal] = 1;
      for (const pin of [false, true]) {
        expect(gup_locked(mm, AT, 4, FOLL_WRITE, pages, pin, false)).toBe(EINTR);
        expect(gup_unlocked(mm, AT, 4, FOLL_WRITE, pages, pin)).toBe(EINTR);
        expect(gup_fast(mm, AT, 4, FOLL_WRITE, pages, pin)).toBe(EINTR);
        expect(gup_locked(mm, OTHER, 4, FOLL_WRITE, pages, pin, false)).toBe(EFAULT);
      }
      expect(gup_fast(mm, AT, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(EINTR);
      expect(gup_fast_only(mm, AT, 1, 0, pages, true)).toBe(0);
      expect(pinsCounted()).toBe(0);
    });
    test("the fast walk does not ask: it gives what it has, and hides the slow path's EINTR", () => {
      const { mm, pages } = boot(name, 3, signals);
      mem[kernel.fatal_signal] = 1;
      expect(gup_fast(mm, AT, 3, FOLL_WRITE, pages, true)).toBe(3);
      expect(gup_fast(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(3);
      expect(gup_fast(mm, AT + 3, 5, FOLL_WRITE, pages, true)).toBe(EINTR);
    });
    test("one that comes while pages are taken: those before it, page by page", () => {
      const { mm, pages } = boot(name, 8, signals);
      killAt(pte(mm, AT + 2), 1);
      // The page that is being looked up is finished.
      expect(gup_locked(mm, AT, 8, FOLL_WRITE, pages, true, false)).toBe(3);
      expect(pinsCounted()).toBe(3);
    });
    test("one that comes during a fault: the page is not looked up again", () => {
      const { mm, pages } = boot(name, 2, signals);
      killAt(pte(mm, AT + 2), 1);
      expect(gup_locked(mm, AT, 8, FOLL_WRITE, pages, true, false)).toBe(2);
      expect(pinsCounted()).toBe(2);
      expect(pte_present(mem[pte(mm, AT + 2)] as number)).toBe(true);
      expect(mem[pte(mm, AT + 3)]).toBe(0);
    });
    test("hugetlb areas had EFAULT for it to v6.4, EINTR from v6.5 on", () => {
      const { mm, pages } = boot(name, 0, signals);
      expect(do_mmap(mm, 1 << 20, 1024, RW | VM_HUGETLB, 0, 0)).toBe(0);
      touch(mm, 1 << 20, 1);
      mem[kernel.fatal_signal] = 1;
      const want = v510 || name === "6.1.0" ? EFAULT : EINTR;
      expect(gup_locked(mm, 1 << 20, 4, FOLL_WRITE, pages, true, false)).toBe(want);
    });
    test("in hugetlb areas what is left of the huge page is still taken", () => {
      const { mm, pages } = boot(name, 0, signals);
      expect(do_mmap(mm, 1 << 20, 1024, RW | VM_HUGETLB, 0, 0)).toBe(0);
      touch(mm, 1 << 20, 1);
      touch(mm, (1 << 20) + 512, 1);
      killAt(pte(mm, 1 << 20), 1);
      expect(gup_locked(mm, 1 << 20, 1024, FOLL_WRITE, pages, true, false)).toBe(512);
      expect(pinsCounted()).toBe(512);
    });
    test("during a long-term pin's second look-up: EINTR, and nothing is pinned", () => {
      const { mm, pages } = boot(name, 4, { ...signals, cma: 4096 });
      const word = pte(mm, AT);
      // The migration entry is written between the two look-ups.
      host.preempt = (addr) => {
        if (addr === word && swp_type(mem[word] as number) !== 0 && !pte_present(mem[word] as number))
          mem[kernel.fatal_signal] = 1;
      };
      expect(gup_locked(mm, AT, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true, false)).toBe(EINTR);
      expect(pinsCounted()).toBe(0);
      for (let i = 0; i < 4; i++) expect(is_migrate_cma_page(pageAt(mm, AT + i))).toBe(false);
    });
  });

  describe("read-only pins of what is shared", () => {
    test("an anonymous page shared by fork is unshared first (EMLINK inside) from v5.19 on", () => {
      const { mm, pages } = boot(name);
      const child = dup_mm(mm);
      const one = new Int32Array(1);
      expect(gup_fast(mm, AT, 1, 0, one, false)).toBe(1);
      expect(gup_fast_only(mm, AT, 1, 0, pages, true)).toBe(v510 ? 1 : 0);
      expect(gup_fast(mm, AT, 1, 0, pages, true)).toBe(1);
      expect(pages[0] === one[0]).toBe(v510);
      // A reference is not a pin: the page stays shared with the child.
      expect(gup_fast(child, AT, 1, 0, pages, false)).toBe(1);
      expect(pages[0]).toBe(one[0]);
    });
    test("a long-term read pin of a private file mapping is of a private copy from v6.2 on", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, OTHER, 2, RW, shmem_file_setup(2), 0)).toBe(0);
      touch(mm, OTHER, 2, false);
      expect(gup_fast(mm, OTHER, 1, FOLL_LONGTERM, pages, true)).toBe(1);
      const copied = name === "6.12.0" || name === "7.3.0";
      expect(PageAnon(pages[0] as number)).toBe(copied);
      expect(gup_fast(mm, OTHER + 1, 1, 0, pages, true)).toBe(1);
      expect(PageAnon(pages[0] as number)).toBe(false);
    });
    test("a long-term write of shmem is granted by the fast walk in every version", () => {
      const { mm, pages } = boot(name);
      expect(do_mmap(mm, OTHER, 2, SHARED, shmem_file_setup(2), 0)).toBe(0);
      touch(mm, OTHER, 2);
      expect(gup_fast_only(mm, OTHER, 2, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(2);
    });
  });

  describe("secret memory", () => {
    const secretmem = { secretmem: true };
    test("EFAULT from both paths, for every kind of reference; there is none in v5.10", () => {
      const { mm, pages } = boot(name, 8, secretmem);
      const file = secretmem_file_create(4);
      expect(file === 0).toBe(v510);
      if (v510) return;
      expect(do_mmap(mm, AT + 8, 4, SHARED | VM_LOCKED, file, 0)).toBe(0);
      touch(mm, AT + 8, 4);
      lru_add_drain();
      const before = Array.from({ length: 4 }, (_, i) => refs(find_page(file, i)));
      for (const pin of [false, true])
        for (const flags of [0, FOLL_WRITE, FOLL_WRITE | FOLL_FORCE]) {
          expect(gup_fast_only(mm, AT + 8, 4, flags, pages, pin)).toBe(0);
          expect(gup_fast(mm, AT + 8, 4, flags, pages, pin)).toBe(EFAULT);
          expect(gup_locked(mm, AT + 8, 4, flags, pages, pin, false)).toBe(EFAULT);
          expect(gup_unlocked(mm, AT + 8, 4, flags, pages, pin)).toBe(EFAULT);
        }
      expect(gup_fast(mm, AT + 8, 1, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(EFAULT);
      // What the fast walk took before it refused was given back.
      expect(Array.from({ length: 4 }, (_, i) => refs(find_page(file, i)))).toEqual(before);
      expect(pinsCounted()).toBe(0);
    });
    test("pages before it are kept, by both paths", () => {
      const { mm, pages } = boot(name, 8, secretmem);
      if (v510) return;
      expect(do_mmap(mm, AT + 8, 4, SHARED | VM_LOCKED, secretmem_file_create(4), 0)).toBe(0);
      touch(mm, AT + 8, 4);
      lru_add_drain();
      expect(gup_fast_only(mm, AT + 6, 4, FOLL_WRITE, pages, true)).toBe(2);
      expect(gup_fast(mm, AT + 6, 4, FOLL_WRITE, pages, true)).toBe(2);
      expect(gup_locked(mm, AT + 6, 4, FOLL_WRITE, pages, true, false)).toBe(2);
      expect(pinsCounted()).toBe(6);
    });
    test("not faulted in yet: the slow path refuses the area before it looks for a page", () => {
      const { mm, pages } = boot(name, 8, secretmem);
      if (v510) return;
      const file = secretmem_file_create(4);
      expect(do_mmap(mm, OTHER, 4, SHARED | VM_LOCKED, file, 0)).toBe(0);
      expect(gup_fast(mm, OTHER, 4, FOLL_WRITE, pages, true)).toBe(EFAULT);
      expect(find_page(file, 0)).toBe(0);
    });
    test("the fast walk took a page in a batch on its way to the LRU (J25), until 65291dcfcf89 (v6.9)", () => {
      for (const fixed of [undefined, "lru", "mapping"] as const) {
        if (v510) return;
        const knob = fixed === undefined ? {} : { secretmem: knobValue("secretmem", fixed) };
        const { mm, pages } = boot(name, 8, secretmem, knob);
        expect(do_mmap(mm, OTHER, 4, SHARED | VM_LOCKED, secretmem_file_create(4), 0)).toBe(0);
        touch(mm, OTHER, 1);
        const hole = fixed === "lru";
        expect(gup_fast(mm, OTHER, 1, 0, pages, false)).toBe(hole ? 1 : EFAULT);
        lru_add_drain();
        expect(gup_fast(mm, OTHER, 1, 0, pages, false)).toBe(EFAULT);
      }
    });
    test("a mapping of its own is refused: EINVAL", () => {
      const { mm } = boot(name, 8, secretmem);
      if (!v510) expect(do_mmap(mm, OTHER, 4, RW, secretmem_file_create(4), 0)).toBe(EINVAL);
    });
    test("other files and private memory are taken where it exists", () => {
      const { mm, pages } = boot(name, 8, secretmem);
      expect(do_mmap(mm, AT + 8, 2, SHARED, shmem_file_setup(2), 0)).toBe(0);
      touch(mm, AT + 8, 2);
      expect(gup_fast_only(mm, AT, 10, FOLL_WRITE, pages, true)).toBe(10);
    });
  });

  describe("long-term pins in a movable zone", () => {
    const movable = { movable: true };
    test("pages are moved out of it first from v5.18 on; v5.10 pins them where they are", () => {
      const { mm, pages } = boot(name, 8, movable);
      const before = pageAt(mm, AT);
      expect(page_zone_nr(before)).toBe(ZONE_MOVABLE);
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(v510 ? 8 : 0);
      if (v510) return;
      expect(gup_fast(mm, AT, 8, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(8);
      for (const p of pages.subarray(0, 8)) expect(page_zone_nr(p)).not.toBe(ZONE_MOVABLE);
      expect(pageAt(mm, AT)).toBe(pages[0]);
      expect(pinsCounted()).toBe(8);
      unpin_user_pages(pages, 8);
      // Now the fast walk will do.
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(8);
    });
    test("ENOMEM if somebody else holds one: every pin of the call is undone", () => {
      const { mm, pages } = boot(name, 8, movable);
      const other = new Int32Array(1);
      expect(gup_fast(mm, AT + 3, 1, 0, other, false)).toBe(1);
      const ret = pinForLong(mm, AT, 8, pages);
      expect(ret).toBe(v510 ? 8 : ENOMEM);
      if (v510) return;
      expect(pinsCounted()).toBe(0);
      for (let i = 0; i < 8; i++) expect(page_maybe_dma_pinned(pageAt(mm, AT + i))).toBe(false);
    });
    test("a pin that is not for long leaves them where they are", () => {
      const { mm, pages } = boot(name, 8, movable);
      expect(gup_fast(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(8);
      for (const p of pages.subarray(0, 8)) expect(page_zone_nr(p)).toBe(ZONE_MOVABLE);
    });
  });

  describe("long-term pins in a CMA area", () => {
    const cma = { cma: 4096 };
    test("what may be moved is allocated there; the fast walk refuses it for long, and for nothing else", () => {
      const { mm, pages } = boot(name, 8, cma);
      expect(is_migrate_cma_page(pageAt(mm, AT))).toBe(true);
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(0);
      expect(pinsCounted()).toBe(0);
      expect(gup_fast_only(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(8);
      expect(gup_fast(mm, AT, 8, FOLL_WRITE, pages, true)).toBe(8);
      for (const p of pages.subarray(0, 8)) expect(is_migrate_cma_page(p)).toBe(true);
    });
    test("the fast walk keeps what it has before a page of CMA (fast_only), and does not try what is behind it", () => {
      const { mm, pages } = boot(name, 0, cma);
      expect(gup_fast(mm, AT, 2, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(2);
      unpin_user_pages(pages, 2);
      touch(mm, AT + 2, 1);
      expect(gup_fast(mm, AT + 3, 1, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(1);
      unpin_user_pages(pages, 1);
      expect(gup_fast_only(mm, AT, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(2);
    });
    test("the slow path moves pages out of it and takes them where they are then (EAGAIN inside)", () => {
      const { mm, pages } = boot(name, 8, cma);
      expect(gup_fast(mm, AT, 8, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(8);
      for (const p of pages.subarray(0, 8)) expect(is_migrate_cma_page(p)).toBe(false);
      expect(pageAt(mm, AT)).toBe(pages[0]);
      expect(pinsCounted()).toBe(8);
    });
    test("a huge page in it is moved whole", () => {
      const { mm, pages } = boot(name, 0, cma);
      expect(do_mmap(mm, OTHER, 512, RW, 0, 0)).toBe(0);
      do_madvise(mm, OTHER, 512, MADV_HUGEPAGE);
      touch(mm, OTHER, 1);
      expect(is_migrate_cma_page(pageAt(mm, OTHER))).toBe(true);
      expect(gup_fast_only(mm, OTHER, 4, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(0);
      expect(gup_fast(mm, OTHER, 512, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(512);
      for (const p of pages.subarray(0, 512)) expect(is_migrate_cma_page(p)).toBe(false);
      expect(compound_head(pages[511] as number)).toBe(pages[0]);
    });
    test("memory that is faulted in for the pin is not of it (memalloc_nocma, memalloc_pin)", () => {
      const { mm, pages } = boot(name, 0, cma);
      const moved = mem[kernel.vm_events + VM_EVENT.pgmigrate_success];
      expect(gup_fast(mm, AT, 2, FOLL_WRITE | FOLL_LONGTERM, pages, true)).toBe(2);
      for (const p of pages.subarray(0, 2)) expect(is_migrate_cma_page(p)).toBe(false);
      expect(mem[kernel.vm_events + VM_EVENT.pgmigrate_success]).toBe(moved);
    });
    test("a page that somebody else holds: ENOMEM and nothing pinned; v5.10 pins it there (to v5.12, the rest moves)", () => {
      const { mm, pages } = boot(name, 8, cma);
      const other = new Int32Array(1);
      expect(gup_fast(mm, AT + 3, 1, 0, other, false)).toBe(1);
      expect(pinForLong(mm, AT, 8, pages)).toBe(v510 ? 8 : ENOMEM);
      expect(pinsCounted()).toBe(v510 ? 8 : 0);
      for (let i = 0; i < 8; i++) {
        // In every version those that could be moved stay moved.
        expect(is_migrate_cma_page(pageAt(mm, AT + i))).toBe(i === 3);
        if (!v510) expect(page_maybe_dma_pinned(pageAt(mm, AT + i))).toBe(false);
      }
      if (v510) expect(pages[3]).toBe(other[0]);
    });
    test("no memory to move them to: ENOMEM, v5.10 pins them where they are", () => {
      const { mm, pages } = boot(name, 2, cma);
      while (alloc_pages(GFP_USER, 0, -1) !== 0);
      expect(pinForLong(mm, AT, 2, pages)).toBe(v510 ? 2 : ENOMEM);
      expect(pinsCounted()).toBe(v510 ? 2 : 0);
    });
  });
});

function pinForLong(mm: number, addr: number, n: number, pages: Int32Array): number {
  const flags = FOLL_WRITE | FOLL_LONGTERM;
  const unlocked = gup_unlocked(mm, addr, n, flags, pages, true);
  return unlocked === EINVAL ? gup_locked(mm, addr, n, flags, pages, true, false) : unlocked;
}

test("unpinning an error in place of a count does nothing", () => {
  const { mm, pages } = boot("7.3.0");
  expect(gup_fast(mm, AT, 2, FOLL_WRITE, pages, true)).toBe(2);
  unpin_user_pages(pages, EFAULT);
  expect(pinsCounted()).toBe(2);
  expect(try_grab_page(pages[0] as number, FOLL_PIN)).toBe(true);
});
