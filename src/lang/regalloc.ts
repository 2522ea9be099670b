/**
 * Frame words for the registers and arrays of a thread. Only what lives across a visible operation (or is an
 * operand or result of one) needs a word; all other registers become JavaScript variables of the step
 * functions. Values that are never needed at the same time share a word: fewer words make smaller states, and
 * a word that is always cleared when dead makes states equal that differ in nothing that matters.
 *
 * Greedy colouring, arrays (which need adjacent words) first. Two registers conflict if both live before the
 * same visible operation, or one is the result of an operation that the other outlives. Arrays are kept in
 * the frame at all times, so they conflict with everything that is live anywhere where they are.
 */

import { isVisible, type ThreadIr } from "./ir.ts";
import { BitSet, BlockWalker, type FlowGraph, liveIn, liveOutOf } from "./liveness.ts";
import { defOf } from "./operands.ts";

export interface VisiblePoint {
  readonly block: number;
  readonly index: number;
  /** Registers and arrays (nregs + i) that live before it, operands included. */
  readonly live: BitSet;
}

export interface Allocation {
  /** Frame word of each register, arrays behind the registers; -1 if it has none. */
  readonly word: Int32Array;
  /** Frame words in all. */
  readonly words: number;
  /** The visible operations in block order; operation k of the step functions is point k - 1. */
  readonly points: readonly VisiblePoint[];
}

/** Allocates frame words for a thread. */
export function allocate(ir: ThreadIr): Allocation {
  const g: FlowGraph = ir;
  const items = ir.nregs + ir.arrays.length;
  const conflicts: BitSet[] = [];
  for (let i = 0; i < items; i++) conflicts.push(new BitSet(items));
  const needed = new BitSet(items);
  const points: VisiblePoint[] = [];
  const arrays = new BitSet(items);
  for (let a = 0; a < ir.arrays.length; a++) arrays.add(ir.nregs + a);

  const conflict = (x: number, set: BitSet): void => {
    conflicts[x].union(set);
    set.forEach((y) => {
      conflicts[y].add(x);
    });
  };
  const ins = liveIn(g);
  const out = new BitSet(items);
  const walker = new BlockWalker(g);
  const arraysOf = (set: BitSet, f: (a: number) => void): void => {
    for (let a = 0; a < ir.arrays.length; a++) if (set.has(ir.nregs + a)) f(ir.nregs + a);
  };
  ir.blocks.forEach((block, n) => {
    liveOutOf(block.end, ins, out);
    walker.start(out);
    walker.terminator(block.end);
    for (let k = block.instrs.length - 1; k >= 0; k--) {
      const i = block.instrs[k];
      const visible = isVisible(i);
      const d = defOf(i);
      if (visible && d >= 0) {
        needed.add(d);
        conflict(d, walker.live);
      }
      // An array is in the frame while it is written, too, even if it is dead between two writes.
      if (i.op === "aset" || i.op === "aget") {
        needed.add(ir.nregs + i.arr);
        conflict(ir.nregs + i.arr, walker.live);
      }
      walker.instr(i);
      arraysOf(walker.live, (a) => conflict(a, walker.live));
      if (visible) {
        const live = new BitSet(items);
        live.copyFrom(walker.live);
        live.forEach((x) => {
          needed.add(x);
          conflicts[x].union(live);
        });
        points.push({ block: n, index: k, live });
      }
    }
  });
  const atEntry = new BitSet(items);
  ins.addTo(0, atEntry);
  for (const p of ir.params) {
    needed.add(p);
    conflict(p, atEntry);
  }
  points.sort((x, y) => x.block - y.block || x.index - y.index);
  return { ...colour(ir, needed, conflicts), points };
}

function colour(
  ir: ThreadIr,
  needed: BitSet,
  conflicts: readonly BitSet[],
): { word: Int32Array; words: number } {
  const items = ir.nregs + ir.arrays.length;
  const word = new Int32Array(items).fill(-1);
  const sizeOf = (x: number): number => (x < ir.nregs ? 1 : ir.arrays[x - ir.nregs].size);
  const order: number[] = [];
  needed.forEach((x) => {
    order.push(x);
  });
  order.sort((x, y) => sizeOf(y) - sizeOf(x) || x - y);
  let words = 0;
  for (const x of order) {
    const size = sizeOf(x);
    const taken: { from: number; to: number }[] = [];
    conflicts[x].forEach((y) => {
      if (y !== x && word[y] >= 0) taken.push({ from: word[y], to: word[y] + sizeOf(y) });
    });
    taken.sort((p, q) => p.from - q.from);
    let at = 0;
    for (const t of taken) {
      if (at + size <= t.from) break;
      if (t.to > at) at = t.to;
    }
    word[x] = at;
    words = Math.max(words, at + size);
  }
  return { word, words };
}
