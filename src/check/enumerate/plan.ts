/**
 * How one location of a candidate is to be decided: the orders in which its writes may come, the reads that
 * need a source, and what is remembered about the ways in which it turns out once they have been counted.
 */
import type { Candidate, Critical, LocPlan } from "./candidate.ts";
import { criticalSections } from "./candidate.ts";
import type { OpenLocation } from "./distribute.ts";
import { EnumerateError } from "./path.ts";

export interface Plan {
  readonly plan: LocPlan;
  /** Writes of each thread in program order; for a lock, one entry per critical section. */
  readonly queues: readonly (readonly number[])[];
  readonly sections: ReadonlyMap<number, Critical> | null;
  /**
   * Unlocks of a lock that their thread does not hold: they are in no order with anything, but may be seen.
   */
  readonly strays: readonly number[];
  readonly count: number;
  /** Reads to be given a source, in an order that respects each thread's. */
  readonly reads: readonly number[];
  /** Per read, the same-thread accesses of the location just before it, and the next writes after it. */
  readonly before: readonly (readonly number[])[];
  readonly nextWrites: readonly (readonly number[])[];
  /** Number of local configurations, -1 if not counted yet, and the union of their edges. */
  ways: number;
  /** Rows of its writes and then its reads. */
  may: { readonly rf: Int32Array; readonly co: Int32Array; readonly fr: Int32Array } | null;
  /** Observed slots that this location decides, and the distinct values that its configurations give them. */
  slots: readonly number[];
  tuples: number[][] | null;
  /** All its ways, once they have been asked for. */
  listed: OpenLocation | null;
}

/**
 * By the first write of a thread to a location, all of them in the order that is tried; null: as they stand.
 */
export type WriteOrders = ReadonlyMap<number, readonly number[]> | null;

/**
 * Every order of writes of one thread to one location that program order allows. Nearly always there is one.
 */
export function writeOrders(c: Candidate): WriteOrders[] {
  if (c.paths.every((p) => p.events.every((e) => e.unordered.length === 0))) return [null];
  let out: ReadonlyMap<number, readonly number[]>[] = [new Map()];
  for (const plan of c.plans) {
    for (const seq of plan.lock ? [] : plan.sequences) {
      const writes = seq.filter((i) => plan.writes.includes(i));
      const orders = linearExtensions(c, writes);
      if (orders.length > 1) out = out.flatMap((m) => orders.map((o) => new Map(m).set(writes[0], o)));
    }
  }
  return out;
}

function linearExtensions(c: Candidate, writes: readonly number[]): number[][] {
  if (writes.length === 0) return [[]];
  return writes
    .filter((w) => !writes.some((o) => c.before(o, w)))
    .flatMap((w) =>
      linearExtensions(
        c,
        writes.filter((o) => o !== w),
      ).map((rest) => [w, ...rest]),
    );
}

export function preparePlan(c: Candidate, plan: LocPlan, orders: WriteOrders): Plan {
  const isW = new Set(plan.writes);
  const reads: number[] = [];
  const before: (readonly number[])[] = [];
  const nextWrites: (readonly number[])[] = [];
  const sections = plan.lock ? new Map<number, Critical>() : null;
  const queues: number[][] = [];
  const strays: number[] = [];
  let count = 0;
  if (sections !== null) {
    for (const list of criticalSections(c, plan) ?? []) {
      queues.push(list.map((s) => s.lkw));
      for (const s of list) {
        sections.set(s.lkw, s);
        count += s.ul >= 0 ? 2 : 1;
      }
    }
    const matched = new Set([...sections.values()].map((s) => s.ul));
    strays.push(...plan.writes.filter((i) => c.events[i].kind === "UL" && !matched.has(i)));
  } else {
    for (const seq of plan.sequences) {
      const writes = seq.filter((i) => isW.has(i));
      queues.push([...(orders?.get(writes[0]) ?? writes)]);
    }
    count = plan.writes.length;
  }
  for (const seq of plan.sequences) {
    for (let k = 0; k < seq.length; k++) {
      const r = seq[k];
      const kind = c.events[r].kind;
      if (isW.has(r) || c.rmw[r] >= 0) continue;
      if (sections !== null && kind !== "LF" && kind !== "RL" && kind !== "RU")
        throw new EnumerateError("unsupported", "a lock is accessed as an ordinary variable");
      reads.push(r);
      if (orders === null) {
        before.push(k > 0 ? [seq[k - 1]] : []);
        nextWrites.push(
          seq
            .slice(k + 1)
            .filter((i) => isW.has(i))
            .slice(0, 1),
        );
      } else {
        before.push(seq.slice(0, k).filter((i) => c.before(i, r)));
        nextWrites.push(seq.slice(k + 1).filter((i) => isW.has(i) && c.before(r, i)));
      }
    }
  }
  if (sections !== null && plan.writes.some((w) => !["LKW", "UL"].includes(c.events[w].kind)))
    throw new EnumerateError("unsupported", "a lock is accessed as an ordinary variable");
  return {
    plan,
    queues,
    sections,
    strays,
    count,
    reads,
    before,
    nextWrites,
    ways: -1,
    may: null,
    slots: [],
    tuples: null,
    listed: null,
  };
}
