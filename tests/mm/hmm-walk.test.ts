/**
 * hmm_range_fault() entry by entry: what it gives for each kind of entry at PTE, PMD and PUD level, asked for
 * and not, in the forms of v5.6, v5.10 and v7.1 (mm/hmm.c), and what it does if an entry changes under it.
 * One CPU; where it waits or takes a lock twice, that is the deadlock that the sequential host reports.
 */

import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { addAnonVma, addSystemRam, newMirroredMm } from "../../src/claims/hmm-machine.ts";
import { geom, type KnobSettings, kernel, type PresetName } from "../../src/machine/config.ts";
import { host, useSequentialHost } from "../../src/machine/host.ts";
import { HMM_V5_6_SETTINGS } from "../../src/machine/knobs/hmm.ts";
import { mem } from "../../src/machine/memory.ts";
import { SRCU_STRUCT } from "../../src/machine/srcu.ts";
import {
  addMmPools,
  allocStruct,
  bindDaxDevice,
  bootMachine,
  mapDaxDevice,
  newDaxDevice,
} from "../../src/mm/boot.ts";
import * as hmm from "../../src/mm/hmm.ts";
import { memunmap_pages_begin } from "../../src/mm/memremap.ts";
import {
  ADDRESS_SPACE,
  MM,
  VM_IO,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_READ,
  VM_WRITE,
  VMA,
} from "../../src/mm/mm_types.ts";
import { mmu_interval_notifier_insert, mmu_interval_read_begin } from "../../src/mm/mmu_notifier.ts";
import { INTERVAL_NOTIFIER, INTERVAL_OPS_SEQ } from "../../src/mm/mmu_notifier_types.ts";
import { PAGE, PG_locked } from "../../src/mm/page.ts";
import { DEV_PAGEMAP } from "../../src/mm/pgmap.ts";
import * as pg from "../../src/mm/pgtable.ts";

interface Form {
  readonly name: "v5.6" | "v5.10" | "v7.1";
  readonly preset: PresetName;
  readonly knobs: KnobSettings;
}
const FORMS: readonly Form[] = [
  { name: "v5.6", preset: "v5.10", knobs: HMM_V5_6_SETTINGS },
  { name: "v5.10", preset: "v5.10", knobs: {} },
  { name: "v7.1", preset: "v7.3", knobs: {} },
];
const LEVELS = [
  ["PTE", 0],
  ["PMD", 1],
  ["PUD", 2],
] as const;
const EPERM = 1;
const EFAULT = 14;
const EBUSY = 16;

/** Sixteen pages in four levels of two entries: anonymous memory in [0, 8), a DAX device in [8, 16). */
const DAX = 8;
const RAM_FRAMES = 16;

interface Machine {
  readonly form: Form;
  readonly mm: number;
  readonly anon: number;
  readonly dax: number;
  readonly pgmap: number;
  readonly notifier: number;
}

function setUp(form: Form, level = 0): Machine {
  useSequentialHost();
  bootMachine({
    preset: form.preset,
    knobs: { mmuNotifier: 1, pageRegions: 1, ...form.knobs },
    arch: "x86-64",
    geometry: { levels: 4, table_shift: 1, max_pfn: 32, vmemmap_shift: 0, pgmap_shift: 3 },
    cpus: 1,
    tables: 16,
  });
  kernel.dax_srcu = allocStruct("dax_srcu", SRCU_STRUCT);
  addMmPools(2, 1);
  const mm = newMirroredMm();
  addSystemRam(0, RAM_FRAMES, 0);
  const anon = addAnonVma(mm, 0, 8);
  const order = form.name === "v7.1" ? level : 0;
  const device = newDaxDevice("dax0.0", { start: 16, nr: 8, order });
  bindDaxDevice(device);
  const dax = mapDaxDevice(mm, device, { addr: DAX, nr: 8, level });
  mem[dax + VMA.vm_private_data] = device.dev;
  mem[device.mapping + ADDRESS_SPACE.align] = level;
  const notifier = allocStruct("notifier", INTERVAL_NOTIFIER);
  mmu_interval_notifier_insert(notifier, mm, 0, 15, INTERVAL_OPS_SEQ, 0);
  return { form, mm, anon, dax, pgmap: device.pgmap, notifier };
}

/** Writes an entry of a level, with the tables above it. */
function put(m: Machine, addr: number, level: number, entry: number): number {
  const entryp = pg.pgtable_alloc(m.mm, addr, level);
  if (entryp === 0) throw new Error("no table left, or a leaf is in the way");
  mem[entryp] = entry;
  return entryp;
}
const leaf = (pfn: number, prot: number, level: number): number =>
  pg.pfn_pte(pfn, prot) | (level > 0 ? pg._PAGE_PSE : 0);

interface Ask {
  /** For every page. */
  readonly all?: number;
  /** For single pages, from the first on. */
  readonly each?: readonly number[];
  readonly owner?: number;
}
const READ = hmm.HMM_PFN_REQ_FAULT;
const WRITE = hmm.HMM_PFN_REQ_FAULT | hmm.HMM_PFN_REQ_WRITE;

/**
 * hmm_range_fault() of [start, end): its result, and a word per page such as "17 W order 1", "none", "error".
 */
function walk(m: Machine, start: number, end: number, ask: Ask = {}): { ret: number; pages: string[] } {
  const range = new Int32Array(hmm.HMM_RANGE_SIZE);
  const pfns = new Int32Array(end - start);
  range[hmm.HMM_RANGE_NOTIFIER] = m.notifier;
  range[hmm.HMM_RANGE_SEQ] = mmu_interval_read_begin(m.notifier);
  range[hmm.HMM_RANGE_START] = start;
  range[hmm.HMM_RANGE_END] = end;
  range[hmm.HMM_RANGE_DEFAULT_FLAGS] = ask.all ?? 0;
  range[hmm.HMM_RANGE_PFN_FLAGS_MASK] = ask.each === undefined ? 0 : -1;
  range[hmm.HMM_RANGE_OWNER] = ask.owner ?? 0;
  ask.each?.forEach((v, i) => {
    pfns[i] = v;
  });
  const ret = hmm.hmm_range_fault(m.mm, range, pfns);
  return { ret, pages: Array.from(pfns, describePfn) };
}
function describePfn(v: number): string {
  if ((v & hmm.HMM_PFN_ERROR) !== 0) return "error";
  // A frame without VALID is that of a PROT_NONE entry, and no result.
  if ((v & hmm.HMM_PFN_VALID) === 0) return (v & hmm.HMM_PFN_WRITE) === 0 ? "none" : "?";
  const order = (v >>> hmm.HMM_PFN_ORDER_SHIFT) & 0x1f;
  const access = (v & hmm.HMM_PFN_WRITE) !== 0 ? "W" : "R";
  return `${v >>> hmm.HMM_PFN_SHIFT} ${access}${order > 0 ? ` order ${order}` : ""}`;
}
/** Frames from `first` on, in a leaf of the level. */
function frames(m: Machine, first: number, n: number, access: "R" | "W", level: number): string[] {
  const order = level > 0 && m.form.name !== "v5.6" ? ` order ${level}` : "";
  return Array.from({ length: n }, (_, i) => `${first + i} ${access}${order}`);
}
const repeat = (what: string, n: number): string[] => Array.from({ length: n }, () => what);
const ok = (pages: string[]) => ({ ret: 0, pages });
const v56 = (m: Machine): boolean => m.form.name === "v5.6";

/** Runs `change` before the n-th access of a word. */
function beforeAccess(word: number, nth: number, change: () => void): void {
  let seen = 0;
  host.preempt = (addr) => {
    if (addr === word && ++seen === nth) change();
  };
}
afterEach(() => {
  host.preempt = null;
});

describe.each(FORMS)("hmm_range_fault of $name", (form) => {
  describe.each(LEVELS)("a leaf of %s level", (_name, level) => {
    const span = 1 << level;

    test("gives its frames, from anywhere in it, without a fault", () => {
      const m = setUp(form, level);
      expect(walk(m, DAX, DAX + 8)).toEqual(ok(frames(m, 16, 8, "W", level)));
      expect(walk(m, DAX, DAX + 8, { all: WRITE })).toEqual(ok(frames(m, 16, 8, "W", level)));
      for (let i = 0; i < 8; i++)
        expect(walk(m, DAX + i, DAX + i + 1)).toEqual(ok(frames(m, 16 + i, 1, "W", level)));
    });
    test("that is read-only is made writable if writing is asked for", () => {
      const m = setUp(form, level);
      put(m, DAX, level, leaf(16, pg.PAGE_READONLY | pg._PAGE_DEVMAP, level));
      expect(walk(m, DAX, DAX + span, { all: READ })).toEqual(ok(frames(m, 16, span, "R", level)));
      // Zoo J49: v5.6 calls the fault handler with the PUD lock held, which that wants as well.
      if (v56(m) && level === 2)
        expect(() => walk(m, DAX, DAX + span, { all: WRITE })).toThrow(/page_table_lock.*holds it already/);
      else expect(walk(m, DAX, DAX + span, { all: WRITE })).toEqual(ok(frames(m, 16, span, "W", level)));
    });
    test("of an area that may not be written gives -EPERM", () => {
      const m = setUp(form, level);
      mem[m.dax + VMA.vm_flags] = VM_READ;
      put(m, DAX, level, leaf(16, pg.PAGE_READONLY | pg._PAGE_DEVMAP, level));
      expect(walk(m, DAX, DAX + span, { all: WRITE }).ret).toBe(-EPERM);
      expect(mem[m.mm + MM.page_table_lock]).toBe(0);
    });
    test("PROT_NONE counts as absent", () => {
      const m = setUp(form, level);
      put(m, DAX, level, leaf(16, pg.PAGE_NONE | pg._PAGE_DEVMAP, level));
      expect(walk(m, DAX, DAX + span)).toEqual(ok(repeat("none", span)));
    });
    test("that is none is a hole: filled with nothing, or faulted if asked for", () => {
      const m = setUp(form, level);
      put(m, DAX, level, 0);
      expect(walk(m, DAX, DAX + span)).toEqual(ok(repeat("none", span)));
      expect(walk(m, DAX, DAX + span, { all: READ })).toEqual(ok(frames(m, 16, span, "W", level)));
    });
    test("of a pagemap that is dying: v5.6 goes round until an invalidation comes, later forms do not ask", () => {
      const m = setUp(form, level);
      memunmap_pages_begin(m.pgmap);
      const entryp = pg.pgtable_alloc(m.mm, DAX, level);
      let reads = 0;
      host.preempt = (addr) => {
        if (addr === entryp && ++reads === 20) mem[m.notifier + INTERVAL_NOTIFIER.invalidate_seq] += 2;
      };
      const got = walk(m, DAX, DAX + span);
      if (v56(m)) expect(got.ret).toBe(-EBUSY);
      else expect(got).toEqual(ok(frames(m, 16, span, "W", level)));
      expect(reads >= 20).toBe(v56(m));
    });
  });

  test("a leaf that becomes a table between two looks is walked as a table", () => {
    for (const level of [1, 2]) {
      const m = setUp(form, level);
      const entryp = pg.pgtable_alloc(m.mm, DAX, level);
      const whole = mem[entryp];
      mem[entryp] = 0;
      put(m, DAX, level - 1, leaf(3, pg.PAGE_SHARED, level - 1));
      const table = mem[entryp];
      mem[entryp] = whole;
      beforeAccess(entryp, 2, () => {
        mem[entryp] = table;
      });
      expect(walk(m, DAX, DAX + 1), `level ${level}`).toEqual(ok(frames(m, 3, 1, "W", level - 1)));
    }
  });
  test("a leaf of PUD level that is gone when its lock is taken is a hole", () => {
    const m = setUp(form, 2);
    const pudp = pg.pgtable_alloc(m.mm, DAX, 2);
    beforeAccess(pudp, 2, () => {
      mem[pudp] = 0;
    });
    expect(walk(m, DAX, DAX + 4)).toEqual(ok(repeat("none", 4)));
    expect(mem[m.mm + MM.page_table_lock]).toBe(0);
  });

  test("where there is no area: an error, which v5.6 showed as nothing; -EFAULT if asked for", () => {
    const m = setUp(form);
    mem[m.anon + VMA.vm_end] = 4;
    expect(walk(m, 2, 6)).toEqual(ok([...repeat("none", 2), ...repeat(v56(m) ? "none" : "error", 2)]));
    expect(walk(m, 4, 6, { all: READ }).ret).toBe(-EFAULT);
    expect(walk(m, 2, 6, { each: [0, 0, 0, READ] }).ret).toBe(-EFAULT);
  });
  test.each([
    ["VM_IO", VM_IO],
    ["VM_PFNMAP", VM_PFNMAP],
  ])("an area of %s: error, -EFAULT if asked for; v5.6 refused it in any case", (_flag, flag) => {
    const m = setUp(form);
    mem[m.anon + VMA.vm_flags] |= flag;
    if (v56(m)) expect(walk(m, 6, 9).ret).toBe(-EFAULT);
    else expect(walk(m, 6, 9)).toEqual(ok(["error", "error", "16 W"]));
    expect(walk(m, 6, 9, { all: READ }).ret).toBe(-EFAULT);
  });
  test("an area of VM_MIXEDMAP is walked by the newest form alone", () => {
    const m = setUp(form);
    mem[m.anon + VMA.vm_flags] |= VM_MIXEDMAP;
    const got = walk(m, 0, 1);
    if (v56(m)) expect(got.ret).toBe(-EFAULT);
    else expect(got).toEqual(ok([form.name === "v7.1" ? "none" : "error"]));
  });
  test("an area that may not be read: error (v5.6: nothing), -EFAULT if asked for", () => {
    const m = setUp(form);
    mem[m.anon + VMA.vm_flags] = 0;
    expect(walk(m, 7, 9)).toEqual(ok([v56(m) ? "none" : "error", "16 W"]));
    expect(walk(m, 7, 9, { each: [READ, 0] }).ret).toBe(-EFAULT);
  });

  test("a migration entry is nothing if not asked for, and is waited for if it is", () => {
    for (const level of [0, 1]) {
      const m = setUp(form);
      put(m, 0, level, pg.swp_entry(pg.SWP_MIGRATION_WRITE, 3));
      mem[kernel.vmemmap + 3 * PAGE.SIZE + PAGE._refcount] = 1;
      mem[kernel.vmemmap + 3 * PAGE.SIZE + PAGE.flags] = 1 << PG_locked;
      const n = 1 << level;
      expect(walk(m, 0, n), `level ${level}`).toEqual(ok(repeat("none", n)));
      // v5.6 computes for a PTE that nothing is asked for, and for a PMD leaves what was asked to pass for
      // what was found.
      if (v56(m) && level === 0) expect(walk(m, 0, n, { all: READ })).toEqual(ok(["none"]));
      else expect(() => walk(m, 0, n, { all: READ })).toThrow(/nothing else runs/);
    }
  });
  test("the requests of a migrating PMD stay in v5.6's array if the range asks for nothing", () => {
    const m = setUp(form);
    put(m, 0, 1, pg.swp_entry(pg.SWP_MIGRATION_WRITE, 3));
    // Writing without faulting asks for nothing, and is no result either.
    const got = walk(m, 0, 2, { each: [hmm.HMM_PFN_REQ_WRITE, 0] });
    expect(got).toEqual(ok([v56(m) ? "?" : "none", "none"]));
  });
  test("a swapped page is nothing, and a fault if asked for", () => {
    const m = setUp(form);
    put(m, 0, 0, pg.swp_entry(pg.SWP_SWAP, 5));
    expect(walk(m, 0, 1)).toEqual(ok(["none"]));
    // The small fault handler reads nothing back from swap: SIGBUS.
    expect(walk(m, 0, 1, { all: READ }).ret).toBe(-EFAULT);
  });
  test("poison: nothing if not asked for; v5.6 gave up the whole range", () => {
    const m = setUp(form);
    put(m, 0, 0, pg.swp_entry(pg.SWP_HWPOISON, 5));
    if (v56(m)) expect(walk(m, 0, 1)).toEqual({ ret: -EFAULT, pages: ["error"] });
    else expect(walk(m, 0, 1)).toEqual(ok(["none"]));
    expect(walk(m, 0, 1, { all: READ }).ret).toBe(-EFAULT);
  });
  test("a PMD that is neither present nor migrating: error, -EFAULT if asked for, which v5.6 forgot", () => {
    const m = setUp(form);
    put(m, 0, 1, pg.swp_entry(pg.SWP_SWAP, 4));
    expect(walk(m, 0, 2)).toEqual(ok(["error", "error"]));
    expect(walk(m, 0, 2, { all: READ }).ret).toBe(v56(m) ? 0 : -EFAULT);
  });
  test("a device-private page: its owner's frame; another's is nothing (v5.6: taken for one's own)", () => {
    const m = setUp(form);
    mem[m.pgmap + DEV_PAGEMAP.owner] = 77;
    for (const frame of [16, 17]) mem[kernel.vmemmap + frame * PAGE.SIZE + PAGE.pgmap] = m.pgmap;
    put(m, 0, 0, pg.swp_entry(pg.SWP_DEVICE_WRITE, 17));
    put(m, 1, 0, pg.swp_entry(pg.SWP_DEVICE_READ, 16));
    put(m, 2, 1, pg.swp_entry(pg.SWP_DEVICE_WRITE, 16));
    expect(walk(m, 0, 2, { owner: 77 })).toEqual(ok(["17 W", "16 R"]));
    // "Don't fault in device private pages owned by the caller, just report the PFN": also if writing is
    // asked for.
    expect(walk(m, 0, 2, { owner: 77, all: WRITE })).toEqual(ok(["17 W", "16 R"]));
    for (const owner of [0, 78])
      expect(walk(m, 0, 2, { owner })).toEqual(ok(v56(m) ? ["17 W", "16 R"] : ["none", "none"]));
    // Huge pages of device memory exist since v6.19.
    const huge = form.name === "v7.1" ? ["16 W order 1", "17 W order 1"] : ["error", "error"];
    expect(walk(m, 2, 4, { owner: 77 })).toEqual(ok(huge));
    expect(walk(m, 3, 4, { owner: 77 })).toEqual(ok([huge[1]]));
    expect(walk(m, 2, 4, { owner: 78 })).toEqual(ok(["error", "error"]));
  });
  test("a special page: error, -EFAULT if asked for, in v5.6 always; the zero page is no such page", () => {
    const m = setUp(form);
    kernel.zero_pfn = 2;
    put(m, 0, 0, leaf(1, pg.PAGE_SHARED | pg._PAGE_SPECIAL, 0));
    put(m, 1, 0, leaf(2, pg.PAGE_READONLY | pg._PAGE_SPECIAL, 0));
    expect(walk(m, 1, 2, { all: READ })).toEqual(ok(["2 R"]));
    if (v56(m)) expect(walk(m, 0, 1)).toEqual({ ret: -EFAULT, pages: ["error"] });
    else expect(walk(m, 0, 1)).toEqual(ok(["error"]));
    expect(walk(m, 0, 1, { all: READ }).ret).toBe(-EFAULT);
  });

  test("a fault of one page takes the rest of its table along; v5.6 forgets what these were asked for (zoo J60)", () => {
    const m = setUp(form);
    put(m, 1, 0, leaf(9, pg.PAGE_READONLY, 0));
    mem[kernel.vmemmap + 9 * PAGE.SIZE + PAGE._refcount] = 1;
    const got = walk(m, 0, 2, { each: [READ, WRITE] });
    expect(got.ret).toBe(0);
    expect(got.pages[1]).toBe(v56(m) ? "9 R" : "9 W");
    // Nobody asked for page 3.
    expect(walk(m, 2, 4, { each: [READ, 0] }).pages.map((p) => p.slice(-1))).toEqual(["W", "W"]);
  });

  test("a snapshot of any table is what each page's entry says, and changes nothing", () => {
    const segment = fc.record({
      level: fc.integer({ min: 0, max: 2 }),
      kind: fc.constantFrom("none", "ro", "rw", "protnone"),
      frame: fc.nat(7),
    });
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 8 }), fc.nat(7), fc.nat(7), (list, a, b) => {
        const m = setUp(form);
        const want = repeat("none", 8);
        let addr = 0;
        for (const { level, kind, frame } of list) {
          const span = 1 << level;
          addr = Math.ceil(addr / span) * span;
          if (addr + span > 8) break;
          const prot = { none: 0, ro: pg.PAGE_READONLY, rw: pg.PAGE_SHARED, protnone: pg.PAGE_NONE }[kind];
          const first = frame - (frame % span);
          put(m, addr, level, kind === "none" ? 0 : leaf(first, prot, level));
          if (kind === "ro" || kind === "rw")
            frames(m, first, span, kind === "ro" ? "R" : "W", level).forEach((f, i) => {
              want[addr + i] = f;
            });
          addr += span;
        }
        const start = Math.min(a, b);
        const end = Math.max(a, b) + 1;
        const before = Array.from(mem.subarray(kernel.page_tables, kernel.page_tables + 16 * 2));
        expect(walk(m, start, end)).toEqual(ok(want.slice(start, end)));
        expect(Array.from(mem.subarray(kernel.page_tables, kernel.page_tables + 16 * 2))).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });
});

test("the geometry is the one that these tests assume", () => {
  setUp(FORMS[0]);
  expect([geom.levels, geom.table_shift, geom.task_size]).toEqual([4, 1, 16]);
  expect(VM_WRITE).toBe(2);
});
