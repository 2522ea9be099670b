/**
 * The visited set: a state is taken apart into the values of bases, the messages, and each thread with its
 * views; each part is numbered in a table of its own, and the tuple of numbers in another ("collapse", as in
 * check/explore). Exact. Threads with the same code share a table, so that sorting the numbers of a symmetric
 * group makes states that differ only in who is who one state.
 */

import { VectorSet } from "../explore/vectorset.ts";
import type { WeakMachine } from "./machine.ts";
import { SequenceSet } from "./sequenceset.ts";

export class StateTable {
  readonly tupleWidth: number;
  /** Whether the last `intern` met its state for the first time. */
  added = false;
  private readonly m: WeakMachine;
  private readonly values: VectorSet;
  private readonly shared = new SequenceSet();
  private readonly threads: SequenceSet[] = [];
  private readonly tables: SequenceSet[] = [];
  private readonly tuples: VectorSet;
  private readonly scratch: Int32Array;
  private readonly actual: Int32Array;
  private readonly canonical: Int32Array;
  private readonly groups: readonly (readonly number[])[];

  constructor(m: WeakMachine, symmetry: boolean) {
    this.m = m;
    this.values = new VectorSet(m.prepared.locations);
    const byBody = new Map<object, SequenceSet>();
    for (const body of m.bodies) {
      let table = byBody.get(body);
      if (table === undefined) {
        table = new SequenceSet();
        byBody.set(body, table);
        this.tables.push(table);
      }
      this.threads.push(table);
    }
    this.tupleWidth = 2 + m.total;
    this.tuples = new VectorSet(this.tupleWidth);
    this.actual = new Int32Array(this.tupleWidth);
    this.canonical = new Int32Array(this.tupleWidth);
    this.scratch = new Int32Array(m.v.savedWords + Math.max(...m.length));
    const members = new Map<number, number[]>();
    // Who is who is told by the columns of messages, if there are several.
    if (symmetry && m.v.columns === 1)
      m.prepared.groupOf.forEach((g, t) => {
        members.set(g, [...(members.get(g) ?? []), 2 + t]);
      });
    this.groups = [...members.values()].filter((g) => g.length > 1);
  }

  get size(): number {
    return this.tuples.size;
  }

  get bytes(): number {
    let n = this.tuples.bytes + this.values.bytes + this.shared.bytes;
    for (const t of this.tables) n += t.bytes;
    return n;
  }

  /** Number of the machine's present state, up to symmetry. */
  intern(): number {
    const { m, scratch, actual } = this;
    actual[0] = this.values.internNear(m.v.value, 0, -1);
    const length = m.v.saveShared(scratch);
    scratch[length] = m.failed;
    actual[1] = this.shared.intern(scratch, length + 1);
    for (let t = 0; t < m.total; t++) actual[2 + t] = this.threads[t].intern(scratch, this.saveThread(t));
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

  private saveThread(t: number): number {
    const { m, scratch } = this;
    const n = m.length[t];
    const f = m.frame[t];
    for (let i = 0; i < n; i++) scratch[i] = m.m[f + i];
    return m.v.saveThread(t, m.bodies[t].code.slots, scratch, n);
  }

  /** The parts of the state last interned or restored, as it was (not sorted), for `restore`. */
  copyTuple(dst: Int32Array, off: number): void {
    dst.set(this.actual, off);
  }

  /** Puts a state back into the machine. */
  restore(src: Int32Array, off: number): void {
    const { m, scratch, actual } = this;
    for (let i = 0; i < this.tupleWidth; i++) actual[i] = src[off + i];
    this.values.read(actual[0], m.v.value, 0);
    m.failed = scratch[this.shared.read(actual[1], scratch) - 1];
    m.v.loadShared(scratch);
    for (let t = 0; t < m.total; t++) {
      this.threads[t].read(actual[2 + t], scratch);
      const n = m.length[t];
      for (let i = 0, f = m.frame[t]; i < n; i++) m.m[f + i] = scratch[i];
      m.v.loadThread(t, m.bodies[t].code.slots, scratch, n);
    }
    m.restored();
  }
}

/** Insertion sort of the words of `a` at the given positions: groups have two or three members. */
function sortAt(a: Int32Array, at: readonly number[]): void {
  for (let i = 1; i < at.length; i++) {
    const x = a[at[i]];
    let j = i - 1;
    while (j >= 0 && a[at[j]] > x) {
      a[at[j + 1]] = a[at[j]];
      j--;
    }
    a[at[j + 1]] = x;
  }
}
