/**
 * Control-flow clean-up: folds branches on constants, jumps through empty blocks, merges chains, drops what
 * cannot be reached, and numbers blocks in reverse post order (which the data-flow passes count on). Also
 * dominators, after Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
 */

import type { Terminator } from "./ir.ts";
import { type FlatInstr, forEachTarget, mapTargets } from "./operands.ts";

export interface FlatBlock {
  instrs: FlatInstr[];
  end: Terminator;
}

/**
 * Where a jump to block `b` ends up, through blocks that do nothing. An empty endless loop leads to itself.
 */
function destination(blocks: readonly FlatBlock[], b: number): number {
  let at = b;
  for (let hops = 0; hops < blocks.length; hops++) {
    const block = blocks[at];
    if (block.instrs.length > 0 || block.end.op !== "jump" || block.end.to === at) return at;
    at = block.end.to;
  }
  return b;
}

/**
 * Folds, merges, prunes and renumbers; block 0 stays the entry. Gives new blocks and leaves the argument's
 * arrays alone.
 */
export function cleanCfg(input: readonly FlatBlock[]): FlatBlock[] {
  const blocks = input.map((b) => ({ instrs: b.instrs, end: b.end }));
  for (const b of blocks) {
    if (b.end.op === "branch" && b.end.cond.reg < 0)
      b.end = { op: "jump", to: b.end.cond.imm !== 0 ? b.end.then : b.end.else, pos: b.end.pos };
    if (b.end.op !== "return") b.end = mapTargets(b.end, (t) => destination(blocks, t));
    if (b.end.op === "branch" && b.end.then === b.end.else)
      b.end = { op: "jump", to: b.end.then, pos: b.end.pos };
  }
  const npreds = new Int32Array(blocks.length);
  npreds[0] = 1;
  for (const n of reversePostOrder(blocks))
    forEachTarget(blocks[n].end, (t) => {
      npreds[t]++;
    });
  // A block whose only predecessor jumps to it is appended to it.
  for (const n of reversePostOrder(blocks)) {
    const b = blocks[n];
    while (b.end.op === "jump" && b.end.to !== n && npreds[b.end.to] === 1) {
      const next: FlatBlock = blocks[b.end.to];
      npreds[b.end.to] = 0;
      b.instrs =
        b.instrs.length === 0
          ? next.instrs
          : next.instrs.length === 0
            ? b.instrs
            : [...b.instrs, ...next.instrs];
      b.end = next.end;
    }
  }
  const order = reversePostOrder(blocks);
  const number = new Int32Array(blocks.length).fill(-1);
  order.forEach((n, i) => {
    number[n] = i;
  });
  return order.map((n) => ({ instrs: blocks[n].instrs, end: mapTargets(blocks[n].end, (t) => number[t]) }));
}

/** Reachable blocks in reverse post order, the entry first. */
function reversePostOrder(blocks: readonly { readonly end: Terminator }[]): number[] {
  const state = new Uint8Array(blocks.length);
  const post: number[] = [];
  const stack: number[] = [0];
  while (stack.length > 0) {
    const n = stack[stack.length - 1];
    if (state[n] === 0) {
      state[n] = 1;
      forEachTarget(blocks[n].end, (t) => {
        if (state[t] === 0) stack.push(t);
      });
    } else {
      stack.pop();
      if (state[n] === 1) {
        state[n] = 2;
        post.push(n);
      }
    }
  }
  return post.reverse();
}

export function predecessors(blocks: readonly { readonly end: Terminator }[]): number[][] {
  const preds: number[][] = blocks.map(() => []);
  blocks.forEach((b, i) => {
    forEachTarget(b.end, (t) => {
      if (preds[t][preds[t].length - 1] !== i) preds[t].push(i);
    });
  });
  return preds;
}

/**
 * Immediate dominators; blocks must be numbered in reverse post order, all reachable. The entry's is itself.
 */
export function dominators(preds: readonly (readonly number[])[]): Int32Array {
  const idom = new Int32Array(preds.length).fill(-1);
  idom[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let n = 1; n < preds.length; n++) {
      let best = -1;
      for (const p of preds[n]) {
        if (idom[p] < 0) continue;
        if (best < 0) best = p;
        else {
          let x = p;
          let y = best;
          while (x !== y) {
            while (x > y) x = idom[x];
            while (y > x) y = idom[y];
          }
          best = x;
        }
      }
      if (idom[n] !== best) {
        idom[n] = best;
        changed = true;
      }
    }
  }
  return idom;
}
