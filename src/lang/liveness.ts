/**
 * Backward liveness of registers and arrays over basic blocks, on bit sets (Aho et al., Compilers, 9.2.5). An
 * array is live where one of its elements may yet be read; it is dead above a place where every element has
 * been written since (its declaration zeroes all of them), which is what lets its frame words be shared and
 * cleared.
 */

import type { Terminator, Val } from "./ir.ts";
import { defOf, type FlatInstr, forEachTarget, forEachVal, terminatorVal } from "./operands.ts";

export interface FlowGraph {
  readonly nregs: number;
  readonly arrays: readonly { readonly name: string; readonly size: number }[];
  readonly blocks: readonly { readonly instrs: readonly FlatInstr[]; readonly end: Terminator }[];
}

/** A set of registers (0 .. nregs-1) and arrays (nregs + index). */
export class BitSet {
  readonly words: Int32Array;

  constructor(size: number) {
    this.words = new Int32Array((size + 31) >> 5);
  }
  has(i: number): boolean {
    return (this.words[i >> 5] & (1 << (i & 31))) !== 0;
  }
  add(i: number): void {
    this.words[i >> 5] |= 1 << (i & 31);
  }
  delete(i: number): void {
    this.words[i >> 5] &= ~(1 << (i & 31));
  }
  copyFrom(other: BitSet): void {
    this.words.set(other.words);
  }
  /** Adds all of `other`; says whether anything was new. */
  union(other: BitSet): boolean {
    let changed = 0;
    for (let w = 0; w < this.words.length; w++) {
      const before = this.words[w];
      const after = before | other.words[w];
      changed |= before ^ after;
      this.words[w] = after;
    }
    return changed !== 0;
  }
  /** In order. */
  items(): number[] {
    const all: number[] = [];
    this.forEach((i) => {
      all.push(i);
    });
    return all;
  }
  forEach(f: (i: number) => void): void {
    for (let w = 0; w < this.words.length; w++) {
      let bits = this.words[w];
      while (bits !== 0) {
        const low = bits & -bits;
        f((w << 5) + 31 - Math.clz32(low));
        bits ^= low;
      }
    }
  }
}

/** Steps backwards through one block. */
export class BlockWalker {
  readonly live: BitSet;
  /** Everything that was taken out of `live` since `start`. */
  readonly killed: BitSet;
  private readonly g: FlowGraph;
  /**
   * Per array, elements written (by constant index) below this point with no read between; bit e for element
   * e < 32.
   */
  private readonly written: Int32Array;

  constructor(g: FlowGraph) {
    this.g = g;
    this.live = new BitSet(g.nregs + g.arrays.length);
    this.killed = new BitSet(g.nregs + g.arrays.length);
    this.written = new Int32Array(g.arrays.length);
  }
  start(liveOut: BitSet): void {
    this.live.copyFrom(liveOut);
    this.killed.words.fill(0);
    this.written.fill(0);
  }
  terminator(t: Terminator): void {
    const v = terminatorVal(t);
    if (v !== undefined && v.reg >= 0) this.live.add(v.reg);
  }
  instr(i: FlatInstr): void {
    const d = defOf(i);
    if (d >= 0) this.kill(d);
    if (i.op === "aget") {
      this.live.add(this.g.nregs + i.arr);
      this.written[i.arr] = 0;
    } else if (i.op === "call") {
      for (const arg of i.args)
        if (arg.k === "array") {
          this.live.add(this.g.nregs + arg.arr);
          this.written[arg.arr] = 0;
        }
    } else if (i.op === "aset" && i.idx.reg < 0) {
      const size = this.g.arrays[i.arr].size;
      if (size <= 32 && i.idx.imm >= 0 && i.idx.imm < size) {
        this.written[i.arr] |= 1 << i.idx.imm;
        if (this.written[i.arr] === (size === 32 ? -1 : (1 << size) - 1)) this.kill(this.g.nregs + i.arr);
      }
    }
    forEachVal(i, this.use);
  }
  private readonly use = (v: Val): void => {
    if (v.reg >= 0) this.live.add(v.reg);
  };
  private kill(x: number): void {
    this.live.delete(x);
    this.killed.add(x);
  }
}

/**
 * Registers and arrays that are live at the start of each block. Most registers of an optimised function live
 * within one block: sets are kept of the others only (Briggs et al., Practical Improvements to SSA, 1998: the
 * "non-locals").
 */
class LiveIn {
  /** Items that are live at the start of some block; bit k of a set is the k-th of them. */
  private readonly items: Int32Array;
  private readonly sets: readonly Int32Array[];

  constructor(items: Int32Array, sets: readonly Int32Array[]) {
    this.items = items;
    this.sets = sets;
  }
  forEach(block: number, f: (item: number) => void): void {
    const set = this.sets[block];
    for (let w = 0; w < set.length; w++)
      for (let rest = set[w]; rest !== 0; rest &= rest - 1)
        f(this.items[(w << 5) + 31 - Math.clz32(rest & -rest)]);
  }
  addTo(block: number, out: BitSet): void {
    const set = this.sets[block];
    for (let w = 0; w < set.length; w++)
      for (let rest = set[w]; rest !== 0; rest &= rest - 1)
        out.add(this.items[(w << 5) + 31 - Math.clz32(rest & -rest)]);
  }
}

/** Live-in set of every block. */
export function liveIn(g: FlowGraph): LiveIn {
  const size = g.nregs + g.arrays.length;
  const none = new BitSet(size);
  const walker = new BlockWalker(g);
  // What a block does to a set is: in = gen | (out & ~kill). Walking it from nothing gives both.
  const gens: number[][] = [];
  const kills: number[][] = [];
  const exposed = new BitSet(size);
  for (const block of g.blocks) {
    walker.start(none);
    walker.terminator(block.end);
    for (let k = block.instrs.length - 1; k >= 0; k--) walker.instr(block.instrs[k]);
    exposed.union(walker.live);
    gens.push(walker.live.items());
    kills.push(walker.killed.items());
  }
  const items = Int32Array.from(exposed.items());
  const numberOf = new Int32Array(size).fill(-1);
  items.forEach((item, k) => {
    numberOf[item] = k;
  });
  const words = (items.length + 31) >> 5;
  const setOf = (of: readonly number[]): Int32Array => {
    const set = new Int32Array(words);
    for (const item of of) {
      const k = numberOf[item];
      if (k >= 0) set[k >> 5] |= 1 << (k & 31);
    }
    return set;
  };
  const sets = gens.map(setOf);
  const killed = kills.map(setOf);
  const flow = (into: Int32Array, kill: Int32Array, from: Int32Array): boolean => {
    let changed = 0;
    for (let w = 0; w < into.length; w++) {
      const before = into[w];
      const after = before | (from[w] & ~kill[w]);
      changed |= before ^ after;
      into[w] = after;
    }
    return changed !== 0;
  };
  // Blocks are numbered in reverse post order: backwards is the fast direction, and loops need few turns.
  for (let changed = true; changed; ) {
    changed = false;
    for (let n = g.blocks.length - 1; n >= 0; n--) {
      const { end } = g.blocks[n];
      if (end.op === "jump") changed = flow(sets[n], killed[n], sets[end.to]) || changed;
      else if (end.op === "branch") {
        changed = flow(sets[n], killed[n], sets[end.then]) || changed;
        changed = flow(sets[n], killed[n], sets[end.else]) || changed;
      }
    }
  }
  return new LiveIn(items, sets);
}

/** Union of the live-in sets of where the terminator goes, put into `out`. */
export function liveOutOf(t: Terminator, ins: LiveIn, out: BitSet): void {
  out.words.fill(0);
  forEachTarget(t, (target) => {
    ins.addTo(target, out);
  });
}
