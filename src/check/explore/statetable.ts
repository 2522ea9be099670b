/**
 * The visited set of the explorer: takes the machine's working state apart into components (shared words,
 * each thread's frame), numbers each component in a table, and the tuple of numbers in another. Exact.
 * Threads with the same code share a table, so that sorting the numbers of a symmetric group makes states
 * that differ only in who is who one state.
 */

import type { Footprints } from "./footprint.ts";
import type { Machine } from "./machine.ts";
import { VectorSet } from "./vectorset.ts";

/**
 * One step of an execution: a process (CPU, or CPU count + CPU for a store-buffer drain) and the value of a
 * choice.
 */
export interface Step {
  readonly process: number;
  readonly choice: number;
}

export class StateTable {
  /** Words of a tuple. */
  readonly tupleWidth: number;
  /** Whether the last `intern` met its state for the first time. */
  added = false;
  private readonly m: Machine;
  private readonly shared: VectorSet;
  private readonly frames: VectorSet[];
  private readonly tables: VectorSet[];
  private readonly tuples: VectorSet;
  /** Indices into the machine's state of the shared words that can change. */
  private readonly gather: Int32Array;
  private readonly scratch: Int32Array;
  private readonly actual: Int32Array;
  private readonly canonical: Int32Array;
  /** Symmetric groups of more than one thread, as tuple indices. */
  private readonly groups: number[][];

  constructor(m: Machine, fp: Footprints, groupOf: readonly number[], symmetry: boolean) {
    this.m = m;
    this.gather = Int32Array.from([...fp.dynamic, ...Array.from(fp.dynamicRegions, (r) => m.n + r)]);
    this.scratch = new Int32Array(this.gather.length);
    this.shared = new VectorSet(this.gather.length);
    this.tables = [];
    this.frames = [];
    const byCode = new Map<object, VectorSet>();
    for (let t = 0; t < m.total; t++) {
      const code = m.threads[t].code;
      let table = byCode.get(code);
      if (table === undefined) {
        table = new VectorSet(m.length[t]);
        byCode.set(code, table);
        this.tables.push(table);
      }
      this.frames.push(table);
    }
    this.tupleWidth = 1 + m.total;
    this.tuples = new VectorSet(this.tupleWidth);
    this.actual = new Int32Array(this.tupleWidth).fill(-1);
    this.canonical = new Int32Array(this.tupleWidth);
    const members = new Map<number, number[]>();
    if (symmetry)
      for (let t = 0; t < m.ordinary; t++) {
        const g = groupOf[t];
        members.set(g, [...(members.get(g) ?? []), 1 + t]);
      }
    this.groups = [...members.values()].filter((g) => g.length > 1);
  }

  get size(): number {
    return this.tuples.size;
  }

  get bytes(): number {
    let n = this.tuples.bytes + this.shared.bytes;
    for (const t of this.tables) n += t.bytes;
    return n;
  }

  /** Every table, in an order that is the same in each search of the program. */
  get all(): readonly VectorSet[] {
    return [this.shared, ...this.tables, this.tuples];
  }

  /** Words of a state for `pack`: the shared ones that can change, then every frame. */
  get packedWords(): number {
    const { m } = this;
    return this.gather.length + m.frame[m.total - 1] + m.length[m.total - 1] - m.frame[0];
  }

  /** Copies the machine's state to `dst[at ..]`. */
  pack(dst: Int32Array, at: number): void {
    const { s, frame } = this.m;
    const g = this.gather;
    for (let i = 0; i < g.length; i++) dst[at + i] = s[g[i]];
    const end = this.packedWords - g.length;
    for (let i = 0, from = frame[0], to = at + g.length; i < end; i++) dst[to + i] = s[from + i];
  }

  /** Puts a state that was packed into the machine. */
  unpack(src: Int32Array, at: number): void {
    const { s, frame } = this.m;
    const g = this.gather;
    for (let i = 0; i < g.length; i++) s[g[i]] = src[at + i];
    const end = this.packedWords - g.length;
    for (let i = 0, to = frame[0], from = at + g.length; i < end; i++) s[to + i] = src[from + i];
  }

  /** Number of the machine's present state, up to symmetry. */
  intern(): number {
    const m = this.m;
    const s = m.s;
    const g = this.gather;
    const scratch = this.scratch;
    for (let i = 0; i < g.length; i++) scratch[i] = s[g[i]];
    const actual = this.actual;
    // What is in `actual` is the state last interned or restored: a step leaves most of its components alone.
    actual[0] = this.shared.internNear(scratch, 0, actual[0]);
    for (let t = 0; t < m.total; t++) actual[1 + t] = this.frames[t].internNear(s, m.frame[t], actual[1 + t]);
    let id: number;
    if (this.groups.length === 0) id = this.tuples.intern(actual, 0);
    else {
      const c = this.canonical;
      c.set(actual);
      for (const group of this.groups) sortAt(c, group);
      id = this.tuples.intern(c, 0);
    }
    this.added = this.tuples.added;
    return id;
  }

  /** The components of the state last interned or restored, as it was (not sorted), for `restore`. */
  copyTuple(dst: Int32Array, off: number): void {
    dst.set(this.actual, off);
  }

  /** Puts state `id` back; only without symmetry, where the tuple stored is the actual one. */
  restoreId(id: number): void {
    this.tuples.read(id, this.canonical, 0);
    this.restore(this.canonical, 0);
  }

  /** Puts a state back into the machine. */
  restore(src: Int32Array, off: number): void {
    const m = this.m;
    const s = m.s;
    const g = this.gather;
    const scratch = this.scratch;
    const actual = this.actual;
    actual[0] = src[off];
    this.shared.read(src[off], scratch, 0);
    for (let i = 0; i < g.length; i++) s[g[i]] = scratch[i];
    for (let t = 0; t < m.total; t++) {
      actual[1 + t] = src[off + 1 + t];
      this.frames[t].read(src[off + 1 + t], s, m.frame[t]);
    }
  }
}

/** Insertion sort of the words of `a` at the given positions: groups have two or three members. */
function sortAt(a: Int32Array, at: readonly number[]): void {
  for (let i = 1; i < at.length; i++) {
    const v = a[at[i]];
    let j = i - 1;
    while (j >= 0 && a[at[j]] > v) {
      a[at[j + 1]] = a[at[j]];
      j--;
    }
    a[at[j + 1]] = v;
  }
}
