/**
 * Every execution of a litmus test under a cat model: for each combination of traces each assignment of
 * sources to reads that the values allow, then each choice of final writes for the observed locations, and
 * the model does the rest. The order of things is herd7's, whose counts these are; only sources that no
 * thread can see are left out early.
 */
import type { CatEvents, CatModel } from "../../check/cat/interpret.ts";
import { interpretCat, setOfTag } from "../../check/cat/interpret.ts";
import type { LitmusFile } from "../ast.ts";
import { apply, type Condition, type Plain, type Sym, type Trace, type TraceEvent } from "./trace.ts";

/** Values that nothing determines, where copies go round in a circle: equal to nothing but themselves. */
export interface Undetermined {
  readonly circle: number;
}
export type CatValue = Plain | Undetermined;

export interface CatExecution {
  readonly flags: ReadonlySet<string>;
  /** Final value of a register. */
  register(proc: number, name: string): CatValue;
  /** Final value of an observed location. */
  memory(name: string): CatValue;
}

export interface CatTest {
  readonly file: LitmusFile;
  readonly traces: readonly (readonly Trace[])[];
  readonly locations: readonly string[];
  readonly initial: (loc: string) => Plain;
  /** Locations whose final values are asked for. */
  readonly observed: ReadonlySet<string>;
}

export interface CatProgress {
  /** Candidates that the model was asked about. */
  candidates: number;
  /** Throws when it is time to stop. */
  check(): void;
}

/** An access through a number, in a candidate whose values allow it. */
export class InvalidAccess extends Error {
  readonly trace: Trace;
  constructor(trace: Trace) {
    super("an access goes to something that is no location");
    this.trace = trace;
  }
}

/** Calls `accept` for each execution that the model accepts. */
export function enumerateCat(
  test: CatTest,
  model: CatModel,
  progress: CatProgress,
  accept: (x: CatExecution) => void,
): void {
  const index = test.traces.map(() => 0);
  if (test.traces.some((list) => list.length === 0)) return;
  for (;;) {
    progress.check();
    new CatCandidate(
      test,
      model,
      progress,
      test.traces.map((list, t) => list[index[t]]),
    ).run(accept);
    let t = index.length - 1;
    while (t >= 0 && ++index[t] === test.traces[t].length) index[t--] = 0;
    if (t < 0) return;
  }
}

interface Event {
  /** -1: an initial write. */
  readonly thread: number;
  readonly index: number;
  readonly e: TraceEvent | null;
  readonly loc: number;
}

const isLoad = (e: Event): boolean => e.e?.kind === "R";
const isStore = (e: Event): boolean => e.e === null || e.e.kind === "W";

class CatCandidate {
  readonly #test: CatTest;
  readonly #model: CatModel;
  readonly #progress: CatProgress;
  readonly #traces: readonly Trace[];
  readonly #events: readonly Event[];
  /** First event of each thread. */
  readonly #first: readonly number[];
  readonly #words: number;
  readonly #po: Int32Array;
  readonly #reads: readonly number[];
  /** Source of each event that is a read, -1 before it is chosen. */
  readonly #source: Int32Array;
  readonly #conditions: readonly { readonly thread: number; readonly c: Condition }[];
  #base: CatEvents | null = null;

  constructor(test: CatTest, model: CatModel, progress: CatProgress, traces: readonly Trace[]) {
    this.#test = test;
    this.#model = model;
    this.#progress = progress;
    this.#traces = traces;
    const events: Event[] = test.locations.map((_, loc) => ({ thread: -1, index: -1, e: null, loc }));
    const first: number[] = [];
    traces.forEach((trace, thread) => {
      first.push(events.length);
      trace.events.forEach((e, index) => {
        events.push({ thread, index, e, loc: e.loc === null ? -1 : test.locations.indexOf(e.loc) });
      });
    });
    this.#events = events;
    this.#first = first;
    this.#words = Math.max(1, (events.length + 31) >> 5);
    this.#po = this.#programOrder();
    this.#reads = events.flatMap((e, i) => (isLoad(e) ? [i] : []));
    this.#source = new Int32Array(events.length).fill(-1);
    this.#conditions = traces.flatMap((trace, thread) => trace.conditions.map((c) => ({ thread, c })));
  }

  run(accept: (x: CatExecution) => void): void {
    if (this.#possible()) this.#choose(0, accept);
  }

  #at(thread: number, event: number): number {
    return this.#first[thread] + event;
  }

  #has(rel: Int32Array, i: number, j: number): boolean {
    return (rel[i * this.#words + (j >> 5)] & (1 << (j & 31))) !== 0;
  }

  /** By instruction, and within one by what an event takes its operands from. */
  #programOrder(): Int32Array {
    const W = this.#words;
    const po = new Int32Array(this.#events.length * W);
    const add = (i: number, j: number): void => {
      po[i * W + (j >> 5)] |= 1 << (j & 31);
    };
    this.#traces.forEach((trace, t) => {
      trace.events.forEach((b, j) => {
        const before = new Set(b.before);
        // grows while it is walked
        for (const x of before) for (const y of trace.events[x].before) before.add(y);
        for (let i = 0; i < j; i++)
          if (trace.events[i].group < b.group || before.has(i)) add(this.#at(t, i), this.#at(t, j));
      });
    });
    return po;
  }

  // ---- sources ------------------------------------------------------------------------------------------

  /** A quick look: whether each read that must return some constant has a source that may give it. */
  #possible(): boolean {
    for (const { thread, c } of this.#conditions) {
      if (typeof c.a !== "object" || c.a.k !== "read" || typeof c.b === "object" || !c.equal) continue;
      const r = this.#at(thread, c.a.event);
      const found = this.#events.some((w, i) => {
        if (!isStore(w) || w.loc !== this.#events[r].loc) return false;
        const v = this.#stored(i);
        return typeof v === "object" || v === c.b;
      });
      if (!found) return false;
    }
    return true;
  }

  /** What a write stores, symbolically. */
  #stored(w: number): Sym {
    const { e, loc } = this.#events[w];
    return e === null ? this.#test.initial(this.#test.locations[loc]) : e.value;
  }

  #choose(k: number, accept: (x: CatExecution) => void): void {
    const r = this.#reads[k];
    if (r === undefined) {
      this.#finals(accept);
      return;
    }
    this.#events.forEach((w, i) => {
      if (!isStore(w) || w.loc !== this.#events[r].loc || !this.#visible(i, r)) return;
      this.#source[r] = i;
      if (this.#hold(false)) this.#choose(k + 1, accept);
    });
    this.#source[r] = -1;
  }

  /**
   * Whether the reading thread may still see the write: none of its own lies between, nor does the read
   * precede it.
   */
  #visible(w: number, r: number): boolean {
    const { thread, loc } = this.#events[r];
    if (this.#has(this.#po, r, w)) return false;
    return !this.#events.some(
      (o, i) =>
        o.thread === thread &&
        o.loc === loc &&
        isStore(o) &&
        this.#has(this.#po, i, r) &&
        (w < this.#test.locations.length || this.#has(this.#po, w, i)),
    );
  }

  /** Whether no condition of the traces fails; with `all`, whether each is known to hold. */
  #hold(all: boolean): boolean {
    const values = new Values(this);
    for (const { thread, c } of this.#conditions) {
      const a = values.of(thread, c.a);
      const b = values.of(thread, c.b);
      if (a === null || b === null) {
        if (all) return false;
        continue;
      }
      // A branch on something undetermined has no solution.
      if (isUndetermined(a) || isUndetermined(b)) return false;
      if ((a === b) !== c.equal) return false;
    }
    return true;
  }

  /** @internal For Values. */
  sourceOf(thread: number, event: number): number {
    return this.#source[this.#at(thread, event)];
  }

  /** @internal For Values. */
  store(w: number): { thread: number; sym: Sym } {
    return { thread: this.#events[w].thread, sym: this.#stored(w) };
  }

  // ---- final writes and the model -----------------------------------------------------------------------

  #finals(accept: (x: CatExecution) => void): void {
    if (!this.#hold(true)) return;
    const values = new Values(this);
    for (const [i, w] of this.#events.entries()) {
      if (w.e !== null && (w.e.kind === "W" || w.e.kind === "SRCU") && values.write(i) === null) return;
    }
    // Arithmetic on what nothing determines has no solution.
    for (const [t, trace] of this.#traces.entries())
      for (const s of trace.computed) if (values.of(t, s) === null) return;
    for (const trace of this.#traces) if (trace.invalid !== null) throw new InvalidAccess(trace);
    const observed: number[] = [];
    const candidates: number[][] = [];
    this.#test.locations.forEach((name, loc) => {
      if (!this.#test.observed.has(name)) return;
      const stores = this.#events.flatMap((w, i) => (isStore(w) && w.loc === loc ? [i] : []));
      observed.push(loc);
      const last = stores.filter((i) => !stores.some((j) => this.#has(this.#po, i, j)));
      candidates.push(last.length > 1 ? last.filter((i) => i !== loc) : last);
    });
    const chosen: number[] = [];
    const each = (k: number): void => {
      if (k < candidates.length) {
        for (const w of candidates[k]) {
          chosen[k] = w;
          each(k + 1);
        }
        return;
      }
      this.#ask(observed, chosen.slice(), values, accept);
    };
    each(0);
  }

  #ask(
    observed: readonly number[],
    chosen: readonly number[],
    values: Values,
    accept: (x: CatExecution) => void,
  ): void {
    const W = this.#words;
    const fw = new Int32Array(W);
    for (const w of chosen) fw[w >> 5] |= 1 << (w & 31);
    const rf = new Int32Array(this.#events.length * W);
    for (const r of this.#reads) rf[this.#source[r] * W + (r >> 5)] |= 1 << (r & 31);
    this.#base ??= this.#makeEvents();
    this.#progress.candidates++;
    this.#progress.check();
    const differ = (i: number, j: number): boolean => !same(values.event(i), values.event(j));
    interpretCat(this.#model, this.#base, { rf, fw, differ }, (flags) =>
      accept({
        flags,
        register: (proc, name) => {
          const v = values.of(proc, this.#traces[proc]?.registers.get(name) ?? 0);
          return v ?? 0;
        },
        memory: (name) => {
          const at = observed.indexOf(this.#test.locations.indexOf(name));
          return at < 0 ? this.#test.initial(name) : (values.write(chosen[at]) ?? 0);
        },
      }),
    );
  }

  /** @internal For Values. */
  valueOf(i: number): { thread: number; sym: Sym } {
    const { e, thread, index } = this.#events[i];
    if (e !== null && e.kind === "R") return { thread, sym: { k: "read", event: index } };
    return { thread, sym: this.#stored(i) };
  }

  #makeEvents(): CatEvents {
    const n = this.#events.length;
    const W = this.#words;
    const set = (f: (e: Event) => boolean): Int32Array => {
      const bits = new Int32Array(W);
      this.#events.forEach((e, i) => {
        if (f(e)) bits[i >> 5] |= 1 << (i & 31);
      });
      return bits;
    };
    const rel = (f: (e: TraceEvent) => readonly number[]): Int32Array => {
      const bits = new Int32Array(n * W);
      this.#events.forEach(({ e, thread }, j) => {
        if (e === null) return;
        for (const i of f(e)) bits[this.#at(thread, i) * W + (j >> 5)] |= 1 << (j & 31);
      });
      return bits;
    };
    const kind = (k: string): Int32Array => set((e) => e.e?.kind === k);
    const rmw = new Int32Array(n * W);
    this.#events.forEach(({ e, thread }, i) => {
      if (e === null || e.partner < 0) return;
      const j = this.#at(thread, e.partner);
      rmw[i * W + (j >> 5)] |= 1 << (j & 31);
    });
    const sets = new Map<string, Int32Array>([
      ["R", set(isLoad)],
      ["W", set(isStore)],
      ["M", set((e) => isLoad(e) || isStore(e))],
      ["F", kind("F")],
      ["I", set((e) => e.e === null)],
      ["IW", set((e) => e.e === null)],
      ["RMW", set((e) => e.e?.rmw === true)],
      ["LK", set((e) => e.e?.kind === "LKR" || e.e?.kind === "LKW")],
      ...(["LKR", "LKW", "UL", "LF", "RL", "RU"] as const).map((k): [string, Int32Array] => [k, kind(k)]),
    ]);
    for (const tag of this.#model.annotations)
      sets.set(
        setOfTag(tag),
        set((e) => e.e?.tags.includes(tag) === true),
      );
    const relations = new Map<string, Int32Array>([
      ["po", this.#po],
      ["addr", rel((e) => e.addr)],
      ["data", rel((e) => (e.kind === "W" ? e.data : []))],
      ["ctrl", rel((e) => e.ctrl)],
      ["rmw", rmw],
    ]);
    return {
      n,
      thread: Int32Array.from(this.#events, (e) => e.thread),
      loc: Int32Array.from(this.#events, (e) => e.loc),
      sets,
      relations,
      kept: new Map(),
    };
  }
}

const isUndetermined = (v: CatValue): v is Undetermined => typeof v === "object";
const same = (a: CatValue | null, b: CatValue | null): boolean =>
  a === b || (typeof a === "object" && typeof b === "object" && a?.circle === b?.circle);

/** Values of one choice of sources. Null: not known yet, or in a circle that has no solution. */
class Values {
  readonly #c: CatCandidate;
  readonly #known = new Map<number, CatValue | null>();
  readonly #open: number[] = [];

  constructor(c: CatCandidate) {
    this.#c = c;
  }

  of(thread: number, s: Sym): CatValue | null {
    if (typeof s !== "object") return s;
    if (s.k === "read") {
      const src = this.#c.sourceOf(thread, s.event);
      return src < 0 ? null : this.write(src);
    }
    const a = this.of(thread, s.a);
    const b = this.of(thread, s.b);
    if (a === null || b === null || isUndetermined(a) || isUndetermined(b)) return null;
    return apply(s.op, a, b);
  }

  event(i: number): CatValue | null {
    const { thread, sym } = this.#c.valueOf(i);
    return this.of(thread, sym);
  }

  write(w: number): CatValue | null {
    const known = this.#known.get(w);
    if (known !== undefined) return known;
    const at = this.#open.indexOf(w);
    if (at >= 0) return this.#circle(this.#open.slice(at));
    this.#open.push(w);
    const { thread, sym } = this.#c.store(w);
    const v = this.of(thread, sym);
    this.#open.pop();
    // A circle is known by its least write, whoever asks first, so what was found within it may be kept.
    this.#known.set(w, v);
    return v;
  }

  /** Writes that copy one another round: undetermined; anything else in a circle has no solution. */
  #circle(writes: readonly number[]): CatValue | null {
    for (const w of writes) {
      const { sym } = this.#c.store(w);
      if (typeof sym !== "object" || sym.k !== "read") return null;
    }
    return { circle: Math.min(...writes) };
  }
}
