/**
 * A trace made ready to be walked through: the state after any number of steps, what each step changed and
 * read, which words play a part. A position is the number of steps taken, 0 to the length of the trace; the
 * state is kept at one position and moved by the steps in between, so that going anywhere costs no more than
 * the way there.
 */

import type { Trace, TraceCpu, TraceStep } from "../../../src/check/trace/schema.ts";
import { quietSteps } from "../../../src/check/trace/text.ts";
import type { MemoryView } from "../../../src/machine/format.ts";
import { type MemSymbol, POISON } from "../../../src/machine/image.ts";

export class StageModel {
  readonly trace: Trace;
  readonly length: number;
  /** Steps that explain nothing. */
  readonly quiet: ReadonlySet<number>;
  /** Threads worth a column: those that take a step, or could. */
  readonly threads: readonly number[];
  /** States of the threads at each position. */
  readonly cpus: readonly (readonly TraceCpu[])[];
  /** Words that some step reads, writes or is about to. */
  readonly touched: ReadonlySet<number>;
  private readonly words: Int32Array;
  private readonly live: boolean[];
  /** Of each step, what its words were before. */
  private readonly old: readonly Int32Array[];
  private readonly regionOf: Int32Array;
  private readonly counts = new Map<number, Map<number, number>>();
  /** Of each step with holders: their shares before. */
  private readonly oldShares: readonly (readonly number[])[];
  private at = 0;

  constructor(trace: Trace) {
    this.trace = trace;
    this.length = trace.steps.length;
    this.quiet = quietSteps(trace);
    const { origin, words, regions } = trace.memory;
    this.words = Int32Array.from(words);
    this.live = regions.map((r) => r.live);
    this.regionOf = new Int32Array(words.length).fill(-1);
    regions.forEach((r, k) => {
      this.regionOf.fill(k, r.base - origin, r.base - origin + r.words);
    });
    const touched = new Set<number>();
    const old: Int32Array[] = [];
    const running = Int32Array.from(words);
    const cpus: TraceCpu[][] = [[...trace.start]];
    const shares = new Map<string, number>();
    const oldShares: number[][] = [];
    for (const s of trace.steps) {
      old.push(Int32Array.from(s.writes, ([a]) => running[a - origin]));
      for (const [a, v] of s.writes) {
        running[a - origin] = v;
        // That an object comes or goes is not about any one of its words.
        if (s.objects.length === 0) touched.add(a);
      }
      if (s.addr > 0) touched.add(s.addr);
      const next = [...cpus[cpus.length - 1]];
      for (const [t, c] of s.cpus) next[t] = c;
      cpus.push(next);
      oldShares.push(
        s.holders.map(([a, t, net]) => {
          const key = `${a} ${t}`;
          const was = shares.get(key) ?? 0;
          shares.set(key, net);
          return was;
        }),
      );
    }
    for (const row of cpus) for (const c of row) if (c.addr > 0) touched.add(c.addr);
    this.touched = touched;
    this.old = old;
    this.oldShares = oldShares;
    this.cpus = cpus;
    this.threads = trace.threads.flatMap((_, t) => (cpus.some((row) => row[t].state !== "idle") ? [t] : []));
  }

  get view(): MemoryView | null {
    return this.trace.memory.view;
  }

  get position(): number {
    return this.at;
  }

  /** Brings the state to a position. */
  goto(position: number): void {
    const { trace } = this;
    const { origin } = trace.memory;
    while (this.at < position) {
      const s = trace.steps[this.at];
      for (const [a, v] of s.writes) this.words[a - origin] = v;
      for (const [r, is] of s.objects) this.live[r] = is;
      for (const [a, t, net] of s.holders) this.share(a, t, net);
      this.at++;
    }
    while (this.at > position) {
      this.at--;
      const s = trace.steps[this.at];
      s.writes.forEach(([a], i) => {
        this.words[a - origin] = this.old[this.at][i];
      });
      for (const [r, is] of s.objects) this.live[r] = !is;
      for (let i = s.holders.length - 1; i >= 0; i--) {
        const [a, t] = s.holders[i];
        this.share(a, t, this.oldShares[this.at][i]);
      }
    }
  }

  private share(addr: number, thread: number, net: number): void {
    let by = this.counts.get(addr);
    if (by === undefined) {
      by = new Map();
      this.counts.set(addr, by);
    }
    if (net === 0) by.delete(thread);
    else by.set(thread, net);
  }

  /** The word at an address in the present state; poison outside memory. */
  word(addr: number): number {
    const i = addr - this.trace.memory.origin;
    return i >= 0 && i < this.words.length ? this.words[i] : POISON;
  }

  inside(addr: number): boolean {
    const i = addr - this.trace.memory.origin;
    return i >= 0 && i < this.words.length;
  }

  /** The object that the word belongs to, as an index into memory.regions; -1. */
  objectOf(addr: number): number {
    return this.inside(addr) ? this.regionOf[addr - this.trace.memory.origin] : -1;
  }

  isLive(object: number): boolean {
    return object < 0 || this.live[object];
  }

  /** Who has added what to a count since the start. */
  holders(addr: number): readonly (readonly [thread: number, net: number])[] {
    return [...(this.counts.get(addr) ?? [])];
  }

  /** The step that has just been taken at a position; null at the start. */
  taken(position: number): TraceStep | null {
    return position > 0 ? this.trace.steps[position - 1] : null;
  }

  /** What the word was before the step that was just taken; null if that step left it alone. */
  before(addr: number): number | null {
    const n = this.at - 1;
    const s = this.trace.steps[n];
    if (s === undefined) return null;
    const i = s.writes.findIndex(([a]) => a === addr);
    return i < 0 ? null : this.old[n][i];
  }

  /** The last step up to the present position that freed or made the object; -1. */
  changedLife(object: number): number {
    for (let n = this.at - 1; n >= 0; n--)
      if (this.trace.steps[n].objects.some(([r]) => r === object)) return n;
    return -1;
  }
}

/** Offsets within one element of a symbol that are worth showing, over all its elements. */
export function shownOffsets(m: StageModel, symbol: MemSymbol): number[] {
  const stride = symbol.count > 0 ? symbol.words / symbol.count : symbol.words;
  const { origin, words } = m.trace.memory;
  const out: number[] = [];
  for (let offset = 0; offset < stride; offset++) {
    let show = false;
    for (let a = symbol.base + offset; a < symbol.base + symbol.words && !show; a += stride) {
      const w = words[a - origin];
      show = m.touched.has(a) || (w !== 0 && w !== POISON);
    }
    if (show) out.push(offset);
  }
  return out;
}
