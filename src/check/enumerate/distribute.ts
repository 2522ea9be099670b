/**
 * How often each outcome occurs, without listing executions: once the model accepts whatever is still
 * open, locations are independent but for values, and these flow from location to location. So
 * locations are taken in the order in which values flow, and what is carried on is only how often each
 * combination of values occurs that something still depends on (variable elimination: Bertelè and
 * Brioschi, "Nonserial Dynamic Programming", 1972). A chain of n threads that copy takes n steps and
 * not 2^n executions.
 */
import { type Candidate, type Com, INIT, UNSET } from "./candidate.ts";
import type { Constraint, Sym } from "./path.ts";
import { UNDETERMINED, type Values } from "./values.ts";

/** A location that is open: the ways in which it can turn out, as far as values are concerned. */
export interface OpenLocation {
  readonly init: number;
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  readonly ways: readonly Way[];
}

/**
 * How a location turns out: the source of each of its reads, its last write, and in how many orders
 * that comes.
 */
export interface Way {
  readonly sources: readonly number[];
  readonly last: number;
  readonly count: number;
}

/** An observed value that is still open: of an expression, or of a location at the end. */
export interface OpenSlot {
  readonly slot: number;
  readonly thread: number;
  readonly sym: Sym;
  /** Index of the open location whose final value it is, -1 for an expression. */
  readonly location: number;
}

export interface Question {
  readonly c: Candidate;
  /** Sources of what is decided already; those of open locations are set and taken back here. */
  readonly com: Com;
  readonly values: Values;
  readonly open: readonly OpenLocation[];
  readonly slots: readonly OpenSlot[];
  readonly ties: readonly { readonly thread: number; readonly c: Constraint }[];
  /** Throws when it is time to stop. */
  readonly check: () => void;
}

/** A combination of values of the slots asked for, in their order, and how many executions end so. */
export interface Outcome {
  readonly values: readonly number[];
  readonly count: number;
}

/** Combinations of values beyond which listing executions is no worse. */
const MAX_ENTRIES = 20_000;

/** Null if values go round in a circle, or there are too many combinations of them. */
export function distribute(q: Question): Outcome[] | null {
  return new Distribution(q).run();
}

interface Step {
  readonly location: OpenLocation;
  /** Reads of the location that something depends on, with their index in `reads`. */
  readonly reads: readonly { readonly node: number; readonly at: number }[];
  readonly ways: readonly Way[];
  readonly ties: readonly { readonly thread: number; readonly c: Constraint }[];
  readonly slots: readonly number[];
  /** Reads whose values are carried on after the step. */
  readonly live: readonly number[];
}

interface Entry {
  readonly live: readonly number[];
  readonly slots: readonly number[];
  count: number;
}

class Distribution {
  readonly #q: Question;
  /** The open location of each read, -1 if its source is known. */
  readonly #home: Int32Array;
  readonly #needs = new Map<number, ReadonlySet<number>>();

  constructor(q: Question) {
    this.#q = q;
    this.#home = new Int32Array(q.c.n).fill(-1);
    q.open.forEach((o, i) => {
      for (const r of o.reads) this.#home[r] = i;
    });
  }

  run(): Outcome[] | null {
    const steps = this.#plan();
    if (steps === null) return null;
    const { values, slots, check } = this.#q;
    const preset = new Float64Array(this.#q.c.n).fill(Number.NaN);
    values.preset = preset;
    try {
      let entries: Entry[] = [{ live: [], slots: slots.map(() => Number.NaN), count: 1 }];
      let live: readonly number[] = [];
      for (const step of steps) {
        const next = new Map<string, Entry>();
        for (const e of entries) {
          check();
          this.#extend(step, live, e, preset, next);
          if (next.size > MAX_ENTRIES) return null;
        }
        entries = [...next.values()];
        live = step.live;
      }
      return entries.map((e) => ({ values: e.slots, count: e.count }));
    } finally {
      values.preset = null;
    }
  }

  /** Every way of one location after one combination of values. */
  #extend(
    step: Step,
    live: readonly number[],
    e: Entry,
    preset: Float64Array,
    next: Map<string, Entry>,
  ): void {
    const { values, slots, com } = this.#q;
    preset.fill(Number.NaN);
    live.forEach((r, i) => {
      preset[r] = e.live[i];
    });
    for (const way of step.ways) {
      for (const { node, at } of step.reads) com.src[node] = way.sources[at];
      if (!step.ties.every(({ thread, c }) => holds(values.of(thread, c.sym), c))) continue;
      const out = e.slots.slice();
      for (const k of step.slots) {
        const s = slots[k];
        if (s.location < 0) out[k] = values.of(s.thread, s.sym);
        else out[k] = way.last === INIT ? step.location.init : values.write(way.last);
      }
      const carried = step.live.map((r) => values.read(r));
      const key = `${carried.join()};${out.join()}`;
      const known = next.get(key);
      const count = e.count * way.count;
      if (known === undefined) next.set(key, { live: carried, slots: out, count });
      else known.count += count;
    }
    for (const { node } of step.reads) com.src[node] = UNSET;
  }

  /** Reads of open locations that an expression depends on, through reads whose sources are known. */
  #reads(thread: number, s: Sym, out: Set<number>): void {
    if (typeof s === "number") return;
    if (s.k === "read") {
      const r = this.#q.c.node(thread, s.event);
      if (this.#home[r] >= 0) out.add(r);
      else {
        const w = this.#q.com.src[r];
        if (w >= 0) for (const x of this.#ofWrite(w)) out.add(x);
      }
      return;
    }
    this.#reads(thread, s.a, out);
    if (s.k === "bin") this.#reads(thread, s.b, out);
  }

  #ofWrite(w: number): ReadonlySet<number> {
    const e = this.#q.c.events[w];
    const known = this.#needs.get(w);
    if (known !== undefined) return known;
    const out = new Set<number>();
    // Known before it is full: a circle through known sources ends here, and is found by the values.
    this.#needs.set(w, out);
    this.#reads(this.#q.c.thread[w], e.addr, out);
    this.#reads(this.#q.c.thread[w], e.value, out);
    return out;
  }

  /** The locations as values flow, with what each decides; null if values go round in a circle. */
  #plan(): Step[] | null {
    const { open, slots, ties } = this.#q;
    const wants = (thread: number, s: Sym): Set<number> => {
      const out = new Set<number>();
      this.#reads(thread, s, out);
      return out;
    };
    const slotReads = slots.map((s) => (s.location < 0 ? wants(s.thread, s.sym) : new Set<number>()));
    const tieReads = ties.map((t) => wants(t.thread, t.c.sym));
    // What has to be known: what slots and ties ask for, and what the writes depend on that their reads
    // may see.
    const needed = new Set<number>();
    const work = [...slotReads, ...tieReads].flatMap((s) => [...s]);
    const before = open.map(() => new Set<number>());
    const finals = new Set(slots.flatMap((s) => (s.location >= 0 ? [s.location] : [])));
    const seen = new Set<number>();
    const visit = (i: number): void => {
      if (seen.has(i)) return;
      seen.add(i);
      for (const w of open[i].writes) {
        for (const r of this.#ofWrite(w)) {
          if (this.#home[r] !== i) before[i].add(this.#home[r]);
          work.push(r);
        }
      }
    };
    for (const i of finals) visit(i);
    for (let r = work.pop(); r !== undefined; r = work.pop()) {
      if (needed.has(r)) continue;
      needed.add(r);
      visit(this.#home[r]);
    }
    const order = sorted(before);
    if (order === null) return null;
    const position = new Int32Array(open.length);
    order.forEach((i, k) => {
      position[i] = k;
    });
    const when = (reads: ReadonlySet<number>): number =>
      [...reads].reduce((k, r) => Math.max(k, position[this.#home[r]]), 0);
    const slotStep = slots.map((s, k) => (s.location >= 0 ? position[s.location] : when(slotReads[k])));
    const tieStep = tieReads.map(when);
    /** Until which step the value of a read is asked for. */
    const last = new Map<number, number>();
    const ask = (reads: ReadonlySet<number>, k: number): void => {
      for (const r of reads) last.set(r, Math.max(last.get(r) ?? 0, k));
    };
    for (const [k, s] of slotReads.entries()) ask(s, slotStep[k]);
    for (const [k, s] of tieReads.entries()) ask(s, tieStep[k]);
    for (const i of seen) for (const w of open[i].writes) ask(this.#ofWrite(w), position[i]);
    return order.map((i, k) => {
      const location = open[i];
      const reads = location.reads.flatMap((node, at) => (needed.has(node) ? [{ node, at }] : []));
      return {
        location,
        reads,
        ways: merged(
          location.ways,
          reads.map((r) => r.at),
          finals.has(i),
        ),
        ties: ties.filter((_, t) => tieStep[t] === k),
        slots: slots.flatMap((_, s) => (slotStep[s] === k ? [s] : [])),
        live: [...needed].filter((r) => position[this.#home[r]] <= k && (last.get(r) ?? -1) > k),
      };
    });
  }
}

function holds(v: number, c: Constraint): boolean {
  return v < UNDETERMINED && (v === c.value) === c.eq;
}

/** Ways that differ only in what nobody asks for, as one. */
function merged(ways: readonly Way[], reads: readonly number[], final: boolean): Way[] {
  const out = new Map<string, { sources: readonly number[]; last: number; count: number }>();
  for (const w of ways) {
    const key = `${reads.map((at) => w.sources[at]).join()};${final ? w.last : ""}`;
    const known = out.get(key);
    if (known === undefined) out.set(key, { ...w });
    else known.count += w.count;
  }
  return [...out.values()];
}

/** Numbers so that each comes after those before it; null if that goes round in a circle. */
function sorted(before: readonly ReadonlySet<number>[]): number[] | null {
  const out: number[] = [];
  const state = new Uint8Array(before.length);
  const visit = (i: number): boolean => {
    if (state[i] !== 0) return state[i] === 2;
    state[i] = 1;
    for (const j of before[i]) if (!visit(j)) return false;
    state[i] = 2;
    out.push(i);
    return true;
  };
  for (let i = 0; i < before.length; i++) if (!visit(i)) return null;
  return out;
}
