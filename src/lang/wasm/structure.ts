/**
 * From basic blocks to structured control flow: WebAssembly has no jumps, only blocks that are left forwards
 * and loops that are continued. Ramsey, "Beyond Relooper: Recursive Translation of Unstructured Control Flow
 * to Structured Control Flow" (ICFP 2022): recursion over the dominator tree, a block around the code before
 * every merge point, a loop at every loop header. Dominators as in Cooper, Harvey and Kennedy, "A Simple,
 * Fast Dominance Algorithm" (2001).
 *
 * Not covered: irreducible graphs. Dialect code is structured, and the optimiser keeps it reducible; one that
 * is not is refused.
 */

import type { Block, Terminator } from "../ir.ts";

export class IrreducibleError extends Error {}

export interface Structure {
  /** Position of each block in reverse postorder; -1 if it cannot be reached. */
  readonly order: readonly number[];
  /** Per block, the merge points that it dominates immediately, latest first. */
  readonly merges: readonly (readonly number[])[];
  readonly isMerge: readonly boolean[];
  readonly isLoopHeader: readonly boolean[];
}

export function targets(t: Terminator): readonly number[] {
  if (t.op === "return") return [];
  return t.op === "jump" ? [t.to] : [t.then, t.else];
}

/** Blocks in reverse postorder from block 0. */
function reversePostorder(blocks: readonly Block[]): number[] {
  const post: number[] = [];
  const seen = new Set<number>([0]);
  const stack: { block: number; next: number }[] = [{ block: 0, next: 0 }];
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const succ = targets(blocks[top.block].end);
    if (top.next < succ.length) {
      const s = succ[top.next++];
      if (!seen.has(s)) {
        seen.add(s);
        stack.push({ block: s, next: 0 });
      }
    } else {
      post.push(top.block);
      stack.pop();
    }
  }
  return post.reverse();
}

/** Immediate dominator of each block; of the entry, itself. */
function dominators(
  rpo: readonly number[],
  order: readonly number[],
  preds: readonly (readonly number[])[],
): number[] {
  const idom: number[] = preds.map(() => -1);
  idom[rpo[0]] = rpo[0];
  const intersect = (x: number, y: number): number => {
    let a = x;
    let b = y;
    while (a !== b) {
      while (order[a] > order[b]) a = idom[a];
      while (order[b] > order[a]) b = idom[b];
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const b of rpo.slice(1)) {
      let dom = -1;
      for (const p of preds[b]) if (idom[p] >= 0) dom = dom < 0 ? p : intersect(p, dom);
      if (idom[b] !== dom) {
        idom[b] = dom;
        changed = true;
      }
    }
  }
  return idom;
}

/** @throws IrreducibleError if a loop has two entries. */
export function structureOf(blocks: readonly Block[]): Structure {
  const rpo = reversePostorder(blocks);
  const order = blocks.map(() => -1);
  rpo.forEach((b, i) => {
    order[b] = i;
  });
  const preds: number[][] = blocks.map(() => []);
  for (const b of rpo) for (const t of targets(blocks[b].end)) preds[t].push(b);
  const idom = dominators(rpo, order, preds);
  const dominates = (a: number, b: number): boolean => {
    let x = b;
    while (order[x] > order[a]) x = idom[x];
    return x === a;
  };
  const isLoopHeader = blocks.map(() => false);
  const isMerge = blocks.map(() => false);
  for (const b of rpo) {
    let forward = 0;
    for (const p of preds[b]) {
      if (order[p] < order[b]) forward++;
      else if (dominates(b, p)) isLoopHeader[b] = true;
      else throw new IrreducibleError(`the loop at block ${b} has another entry than its head`);
    }
    isMerge[b] = forward > 1;
  }
  const merges: number[][] = blocks.map(() => []);
  for (const b of rpo.slice(1)) if (isMerge[b]) merges[idom[b]].push(b);
  for (const m of merges) m.sort((x, y) => order[y] - order[x]);
  return { order, merges, isMerge, isLoopHeader };
}
