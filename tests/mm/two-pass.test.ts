/**
 * Interval notifiers in two passes (mm/mmu_notifier.c, v7.1): every device is told before the first one is
 * waited for, and a start that may not block and fails leaves nothing begun. One CPU: devices are at an
 * access until somebody waits for them, which is when they finish; so the order in which the core tells and
 * waits can be written down.
 */
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { addAnonVma, bootHmmMachine, newDmirror } from "../../src/claims/hmm-machine.ts";
import { host, useSequentialHost } from "../../src/machine/host.ts";
import { mem } from "../../src/machine/memory.ts";
import { allocStruct } from "../../src/mm/boot.ts";
import { DMIRROR, DPT_ENTRY_VALID, dmirror_pt_slot } from "../../src/mm/dmirror.ts";
import { MM } from "../../src/mm/mm_types.ts";
import {
  mmu_interval_read_begin,
  mmu_interval_read_retry,
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
  mmu_notifier_invalidate_range_start_nonblock,
} from "../../src/mm/mmu_notifier.ts";
import { MMU_NOTIFIER, MMU_NOTIFY_UNMAP, SUBSCRIPTIONS } from "../../src/mm/mmu_notifier_types.ts";

const EAGAIN = 11;
const PAGES = 8;

interface Device {
  /** First page and number of pages that it mirrors. */
  readonly start: number;
  readonly nr: number;
  /** The device is at an access that only waiting ends. */
  readonly inFlight: boolean;
  /** Its driver's lock is taken. */
  readonly locked: boolean;
}

interface Machine {
  readonly mm: number;
  readonly devices: readonly Device[];
  readonly dmirrors: readonly number[];
  readonly subs: number;
  /** "start 0", "wait 2", ... in the order in which they happened. */
  readonly log: string[];
}

function setUp(version: "v6.12" | "v7.3", devices: readonly Device[]): Machine {
  // Who watched the machine before would change words of this one.
  host.preempt = null;
  useSequentialHost();
  const { mm } = bootHmmMachine({
    preset: version,
    knobs: { dmirrorAsync: 1, dmirrorTwoPass: 1 },
    arch: "x86-64",
    cpus: 1,
    levels: 3,
    max_pfn: 8,
    tables: 8,
  });
  addAnonVma(mm, 0, PAGES);
  // The list of notifiers is newest first: the first device of the list is told first.
  const dmirrors = devices.map(() => 0);
  for (let i = devices.length - 1; i >= 0; i--) {
    const { start, nr, inFlight, locked } = devices[i] as Device;
    const dmirror = newDmirror(mm, start, nr, 0, `dmirror${i}`);
    for (let a = start; a < start + nr; a++) mem[dmirror_pt_slot(dmirror, a)] = DPT_ENTRY_VALID;
    mem[dmirror + DMIRROR.in_flight] = inFlight ? 1 : 0;
    mem[dmirror + DMIRROR.mutex] = locked ? 1 : 0;
    dmirrors[i] = dmirror;
  }
  const m: Machine = { mm, devices, dmirrors, subs: mem[mm + MM.mmu_notifiers] as number, log: [] };
  watch(m);
  return m;
}

/** Notes which device's lock is taken and which device is waited for; the latter then finishes. */
function watch(m: Machine): void {
  const looks = m.dmirrors.map(() => 0);
  host.preempt = (addr) => {
    m.dmirrors.forEach((dmirror, i) => {
      if (addr === dmirror + DMIRROR.mutex && looks[i] === 0) {
        looks[i] = 1;
        m.log.push(`start ${i}`);
      }
      // The callback looks once under its lock; whoever looks again waits.
      if (addr === dmirror + DMIRROR.in_flight && ++looks[i] === 3 && mem[addr] === 1) {
        m.log.push(`wait ${i}`);
        mem[addr] = 0;
      }
    });
  };
}
afterEach(() => {
  host.preempt = null;
});

const overlaps = (d: Device, start: number, end: number): boolean => d.start < end && d.start + d.nr > start;
const tableOf = (m: Machine, i: number): number[] => {
  const { start, nr } = m.devices[i] as Device;
  return Array.from(
    { length: nr },
    (_, k) => mem[dmirror_pt_slot(m.dmirrors[i] as number, start + k)] as number,
  );
};
const quiet = (m: Machine): boolean =>
  mem[m.subs + SUBSCRIPTIONS.active_invalidate_ranges] === 0 &&
  ((mem[m.subs + SUBSCRIPTIONS.invalidate_seq] as number) & 1) === 0;

const device = (locked: boolean): fc.Arbitrary<Device> =>
  fc.record({
    start: fc.nat(PAGES - 2),
    nr: fc.integer({ min: 1, max: 2 }),
    inFlight: fc.boolean(),
    locked: locked ? fc.boolean() : fc.constant(false),
  });
const range = fc.tuple(fc.nat(PAGES - 1), fc.integer({ min: 1, max: PAGES }));

describe("a start that may block", () => {
  test("two devices that are both at an access: both are told, then each is waited for; v6.12 takes them in turn", () => {
    const both = [0, 0].map((start) => ({ start, nr: 1, inFlight: true, locked: false }));
    const orders = {
      "v6.12": ["start 0", "wait 0", "start 1", "wait 1"],
      "v7.3": ["start 0", "start 1", "wait 0", "wait 1"],
    };
    for (const version of ["v6.12", "v7.3"] as const) {
      const m = setUp(version, both);
      mmu_notifier_invalidate_range_start(m.mm, 0, 1, MMU_NOTIFY_UNMAP, 0);
      expect(m.log, version).toEqual(orders[version]);
      mmu_notifier_invalidate_range_end(m.mm);
      expect(quiet(m)).toBe(true);
    }
  });

  test.each(["v6.12", "v7.3"] as const)(
    "%s, any devices and range: who overlaps is told once, emptied, and waited for if at it",
    (version) => {
      fc.assert(
        fc.property(
          fc.array(device(false), { minLength: 1, maxLength: 5 }),
          range,
          (devices, [start, nr]) => {
            const m = setUp(version, devices);
            const end = start + nr;
            const before = m.dmirrors.map((d) =>
              mmu_interval_read_begin(mem[d + DMIRROR.notifier] as number),
            );
            mmu_notifier_invalidate_range_start(m.mm, start, end, MMU_NOTIFY_UNMAP, 0);
            const hit = devices.flatMap((d, i) => (overlaps(d, start, end) ? [i] : []));
            const busy = hit.filter((i) => devices[i]?.inFlight);
            const want =
              version === "v7.3"
                ? [...hit.map((i) => `start ${i}`), ...busy.map((i) => `wait ${i}`)]
                : hit.flatMap((i) => [`start ${i}`, ...(busy.includes(i) ? [`wait ${i}`] : [])]);
            expect(m.log).toEqual(want);
            devices.forEach((d, i) => {
              const expected = Array.from({ length: d.nr }, (_, k) =>
                d.start + k >= start && d.start + k < end ? 0 : DPT_ENTRY_VALID,
              );
              expect(tableOf(m, i)).toEqual(expected);
              const ni = mem[(m.dmirrors[i] as number) + DMIRROR.notifier] as number;
              expect(mmu_interval_read_retry(ni, before[i] as number)).toBe(hit.includes(i));
            });
            mmu_notifier_invalidate_range_end(m.mm);
            expect(quiet(m)).toBe(true);
          },
        ),
      );
    },
  );
});

describe("a start that may not block", () => {
  test.each(["v6.12", "v7.3"] as const)(
    "%s: fails at the first device that would have to be waited for, and leaves nothing begun",
    (version) => {
      fc.assert(
        fc.property(fc.array(device(true), { minLength: 1, maxLength: 5 }), range, (devices, [start, nr]) => {
          const m = setUp(version, devices);
          const end = start + nr;
          const hit = devices.flatMap((d, i) => (overlaps(d, start, end) ? [i] : []));
          const refuses = hit.find((i) => devices[i]?.locked || devices[i]?.inFlight);
          const ret = mmu_notifier_invalidate_range_start_nonblock(m.mm, start, end, MMU_NOTIFY_UNMAP);
          expect(ret).toBe(refuses === undefined ? 0 : -EAGAIN);
          // Nobody behind the one that refused was told, and nobody was waited for.
          expect(m.log).toEqual(
            hit.filter((i) => refuses === undefined || i <= refuses).map((i) => `start ${i}`),
          );
          for (const d of m.dmirrors.keys())
            expect(mem[(m.dmirrors[d] as number) + DMIRROR.mutex]).toBe(devices[d]?.locked ? 1 : 0);
          if (ret === 0) mmu_notifier_invalidate_range_end(m.mm);
          expect(quiet(m)).toBe(true);
          // read_begin() of no device waits for an invalidation that has been given up.
          host.preempt = null;
          for (const d of m.dmirrors) mmu_interval_read_begin(mem[d + DMIRROR.notifier] as number);
        }),
      );
    },
  );
  test("an older notifier that refuses ends what the others have begun, but not the interval tree's invalidation", () => {
    for (const version of ["v6.12", "v7.3"] as const) {
      const m = setUp(version, [{ start: 0, nr: 1, inFlight: false, locked: false }]);
      const kvm = allocStruct("kvm", MMU_NOTIFIER);
      const other = allocStruct("busy", MMU_NOTIFIER);
      mem[kvm + MMU_NOTIFIER.next] = other;
      mem[other + MMU_NOTIFIER.busy] = 1;
      mem[m.subs + SUBSCRIPTIONS.list] = kvm;
      expect(mmu_notifier_invalidate_range_start_nonblock(m.mm, 0, 1, MMU_NOTIFY_UNMAP)).toBe(-EAGAIN);
      expect(mem[kvm + MMU_NOTIFIER.count]).toBe(0);
      // Every kernel to v7.3: docs/reports/mmu-notifier-nonblock.md
      expect(quiet(m)).toBe(false);
      expect(mem[m.subs + SUBSCRIPTIONS.active_invalidate_ranges]).toBe(1);
    }
  });
});
