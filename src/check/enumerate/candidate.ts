/**
 * A *candidate*: one path for each thread, seen as a set of events without rf and co yet. Events that
 * relations range over are *nodes*, numbered 0.. by thread and program order; a relation is a bit matrix of
 * `words` 32-bit words a row. Initial writes are no nodes: they have no predecessor in any relation, so no
 * cycle passes through them; a read of the initial value is a read without rf that is fr-before every write.
 * Fences are no nodes either, as they act only through pairs of accesses, except that grace periods and
 * rcu_read_lock() are when there are plain accesses, because visibility can end at them.
 */
import type { Path, PathEvent, Sym } from "./path.ts";

/** What the read of node r reads from, besides a node: the initial value, or not chosen yet. */
export const INIT = -1;
export const UNSET = -2;

/** All accesses of one location, per thread in program order. */
export interface LocPlan {
  readonly loc: number;
  readonly init: number;
  readonly lock: boolean;
  readonly sequences: readonly (readonly number[])[];
  readonly writes: readonly number[];
  readonly reads: readonly number[];
}

/** rf, co and fr as bit rows, and the source of each read. */
export interface Com {
  readonly src: Int32Array;
  readonly rf: Int32Array;
  readonly co: Int32Array;
  readonly fr: Int32Array;
}

/** A critical section of a spinlock: LKW and its UL, or -1. */
export interface Critical {
  readonly lkw: number;
  readonly lkr: number;
  readonly ul: number;
}

const WRITES: ReadonlySet<string> = new Set(["W", "LKW", "UL", "srcu-unlock"]);
const READS: ReadonlySet<string> = new Set(["R", "LKR", "LF", "RL", "RU", "srcu-lock"]);
export const isWrite = (e: PathEvent): boolean => WRITES.has(e.kind);
export const isRead = (e: PathEvent): boolean => READS.has(e.kind);
export const isAccess = (e: PathEvent): boolean => isWrite(e) || isRead(e);
export const isLockEvent = (e: PathEvent): boolean =>
  e.kind === "LKR" ||
  e.kind === "LKW" ||
  e.kind === "UL" ||
  e.kind === "LF" ||
  e.kind === "RL" ||
  e.kind === "RU";
/** A plain C access: no tag, no RMW, no lock, no SRCU (Marked of linux-kernel.bell, negated, within M). */
export const isPlain = (e: PathEvent): boolean => (e.kind === "R" || e.kind === "W") && e.order === "plain";
/** Whether the earlier event `i` of a path comes before its event `e` in program order. */
export const inOrder = (e: PathEvent, i: number): boolean =>
  e.unordered.length === 0 || !e.unordered.includes(i);
const isGrace = (e: PathEvent): boolean =>
  e.kind === "sync-rcu" || e.kind === "sync-srcu" || e.kind === "rcu-lock";

export class Candidate {
  readonly paths: readonly Path[];
  readonly n: number;
  readonly words: number;
  readonly events: readonly PathEvent[];
  readonly thread: Int32Array;
  /** Per thread, the node of each event, -1 if it has none. */
  readonly nodeOf: readonly Int32Array[];
  readonly hasPlain: boolean;
  /** Event of each node in its thread's path. */
  readonly eventOf: Int32Array;
  /** Addresses of locations: `size` of them from `origin`. */
  readonly origin: number;
  readonly size: number;
  /** Locations whose final values are observed. */
  readonly observed: ReadonlySet<number>;
  /** Node of the other half of an RMW, -1 if none. */
  readonly rmw: Int32Array;
  readonly plans: readonly LocPlan[];
  /** Throws when it is time to stop; for models with many events at hand. */
  check: () => void = () => {};
  /** Same-thread bits, one row per node. */
  readonly sameThread: Int32Array;

  constructor(
    paths: readonly Path[],
    origin: number,
    words: readonly number[],
    observed: ReadonlySet<number> = new Set(),
  ) {
    this.paths = paths;
    this.observed = observed;
    this.origin = origin;
    this.size = words.length;
    this.hasPlain = paths.some((p) => p.events.some(isPlain));
    const events: PathEvent[] = [];
    const thread: number[] = [];
    const nodeOf: Int32Array[] = [];
    const eventOf: number[] = [];
    for (let t = 0; t < paths.length; t++) {
      const path = paths[t];
      const map = new Int32Array(path.events.length).fill(-1);
      for (let i = 0; i < path.events.length; i++) {
        const e = path.events[i];
        if (!isAccess(e) && !(this.hasPlain && isGrace(e))) continue;
        map[i] = events.push(e) - 1;
        eventOf.push(i);
        thread.push(t);
      }
      nodeOf.push(map);
    }
    this.events = events;
    this.n = events.length;
    this.words = Math.max(1, (this.n + 31) >> 5);
    this.thread = Int32Array.from(thread);
    this.nodeOf = nodeOf;
    this.eventOf = Int32Array.from(eventOf);
    this.rmw = new Int32Array(this.n).fill(-1);
    const W = this.words;
    this.sameThread = new Int32Array(this.n * W);
    let first = 0;
    for (let i = 0; i < this.n; i++) {
      if (thread[i] !== thread[first]) first = i;
      for (let j = first; j < this.n && thread[j] === thread[i]; j++)
        this.sameThread[i * W + (j >> 5)] |= 1 << (j & 31);
      const partner = this.events[i].rmw;
      if (partner >= 0) this.rmw[i] = this.node(this.thread[i], partner);
    }
    this.plans = this.#plan(origin, words);
  }

  /** The node of event `event` of thread `t`. */
  node(t: number, event: number): number {
    return this.nodeOf[t]?.[event] ?? -1;
  }

  /** Whether node i comes before node j in program order. */
  before(i: number, j: number): boolean {
    return i < j && this.thread[i] === this.thread[j] && inOrder(this.events[j], this.eventOf[i]);
  }

  newCom(): Com {
    const size = this.n * this.words;
    return {
      src: new Int32Array(this.n).fill(UNSET),
      rf: new Int32Array(size),
      co: new Int32Array(size),
      fr: new Int32Array(size),
    };
  }

  #plan(origin: number, words: readonly number[]): LocPlan[] {
    const byLoc = new Map<
      number,
      { lock: boolean; sequences: number[][]; last: number; writes: number[]; reads: number[] }
    >();
    for (let i = 0; i < this.n; i++) {
      const e = this.events[i];
      if (!isAccess(e)) continue;
      let p = byLoc.get(e.loc);
      if (p === undefined)
        byLoc.set(e.loc, (p = { lock: false, sequences: [], last: -1, writes: [], reads: [] }));
      if (isLockEvent(e)) p.lock = true;
      const t = this.thread[i];
      if (p.last !== t) {
        p.sequences.push([]);
        p.last = t;
      }
      p.sequences[p.sequences.length - 1].push(i);
      (isWrite(e) ? p.writes : p.reads).push(i);
    }
    return [...byLoc].map(([loc, p]) => ({
      loc,
      init: words[loc - origin] ?? 0,
      lock: p.lock,
      sequences: p.sequences,
      writes: p.writes,
      reads: p.reads,
    }));
  }
}

/**
 * Critical sections of a lock, in each thread's order; null if a thread takes it twice without releasing it.
 */
export function criticalSections(c: Candidate, plan: LocPlan): Critical[][] | null {
  const out: Critical[][] = [];
  for (const seq of plan.sequences) {
    const list: Critical[] = [];
    let open: { lkw: number; lkr: number } | null = null;
    for (const node of seq) {
      const e = c.events[node];
      if (e.kind === "LKW") {
        if (open !== null) return null;
        open = { lkw: node, lkr: c.rmw[node] };
      } else if (e.kind === "UL" && open !== null) {
        list.push({ ...open, ul: node });
        open = null;
      }
    }
    if (open !== null) list.push({ ...open, ul: -1 });
    out.push(list);
  }
  return out;
}

export type { Path, PathEvent, Sym };
