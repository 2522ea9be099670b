/**
 * Backward liveness of registers and arrays over basic blocks, on bit sets (Aho et al., Compilers, 9.2.5). An array is
 * live where one of its elements may yet be read; it is dead above a place where every element has been written since
 * (its declaration zeroes all of them), which is what lets its frame words be shared and cleared.
 */

import type { Terminator } from "./ir.ts";
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
  private readonly g: FlowGraph;
  /** Per array, elements written (by constant index) below this point with no read between; bit e for element e < 32. */
  private readonly written: Int32Array;

  constructor(g: FlowGraph) {
    this.g = g;
    this.live = new BitSet(g.nregs + g.arrays.length);
    this.written = new Int32Array(g.arrays.length);
  }
  start(liveOut: BitSet): void {
    this.live.copyFrom(liveOut);
    this.written.fill(0);
  }
  terminator(t: Terminator): void {
    const v = terminatorVal(t);
    if (v !== undefined && v.reg >= 0) this.live.add(v.reg);
  }
  instr(i: FlatInstr): void {
    const d = defOf(i);
    if (d >= 0) this.live.delete(d);
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
        if (this.written[i.arr] === (size === 32 ? -1 : (1 << size) - 1))
          this.live.delete(this.g.nregs + i.arr);
      }
    }
    forEachVal(i, (v) => {
      if (v.reg >= 0) this.live.add(v.reg);
    });
  }
}

/** Live-in set of every block. */
export function liveIn(g: FlowGraph): BitSet[] {
  const size = g.nregs + g.arrays.length;
  const sets = g.blocks.map(() => new BitSet(size));
  const preds: number[][] = g.blocks.map(() => []);
  g.blocks.forEach((b, i) => {
    forEachTarget(b.end, (t) => {
      preds[t].push(i);
    });
  });
  const walker = new BlockWalker(g);
  const out = new BitSet(size);
  const queued = new Uint8Array(g.blocks.length).fill(1);
  const work = g.blocks.map((_, i) => i);
  while (work.length > 0) {
    // Popping the highest number first is close to post order, since blocks are numbered in reverse post order.
    const n = work.pop() as number;
    queued[n] = 0;
    const block = g.blocks[n];
    liveOutOf(block.end, sets, out);
    walker.start(out);
    walker.terminator(block.end);
    for (let k = block.instrs.length - 1; k >= 0; k--) walker.instr(block.instrs[k]);
    if (sets[n].union(walker.live))
      for (const p of preds[n])
        if (queued[p] === 0) {
          queued[p] = 1;
          work.push(p);
        }
  }
  return sets;
}

/** Union of the live-in sets of where the terminator goes, put into `out`. */
export function liveOutOf(t: Terminator, ins: readonly BitSet[], out: BitSet): void {
  out.words.fill(0);
  forEachTarget(t, (target) => {
    out.union(ins[target]);
  });
}
