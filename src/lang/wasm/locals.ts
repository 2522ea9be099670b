/**
 * WebAssembly locals for virtual registers: registers that are never live at once share one, by colouring the
 * interference graph greedily (Chaitin, "Register allocation and spilling via graph coloring", 1982; without
 * spilling: there are locals enough). V8 merges every local at every join of the control flow, so that
 * compiling takes time and memory by locals times blocks: a function that is one call tree inlined has
 * thousands of each. A copy and its source get one local where they can.
 */

import type { ThreadIr } from "../ir.ts";
import { BitSet, BlockWalker, liveIn, liveOutOf } from "../liveness.ts";
import { defOf } from "../operands.ts";

export interface Locals {
  /** Local of each register; parameters keep 0, 1, ... */
  readonly of: Int32Array;
  /** Locals of registers, those of parameters among them. */
  readonly count: number;
}

/** For each register, those whose values may be needed while it holds its own. */
function interference(ir: ThreadIr): BitSet[] {
  const ins = liveIn(ir);
  const neighbours = Array.from({ length: ir.nregs }, () => new BitSet(ir.nregs));
  const meet = (a: number, b: number): void => {
    if (a === b || a >= ir.nregs || b >= ir.nregs) return;
    neighbours[a].add(b);
    neighbours[b].add(a);
  };
  // Parameters are given at once, and what is read before it is written must find the zero that locals begin
  // with. Parameters that are used come in at once, and what is read before it is written finds the zero that
  // its local begins with.
  ins.forEach(0, (a) => {
    ins.forEach(0, (b) => {
      meet(a, b);
    });
  });
  const walker = new BlockWalker(ir);
  const out = new BitSet(ir.nregs + ir.arrays.length);
  for (const block of ir.blocks) {
    liveOutOf(block.end, ins, out);
    walker.start(out);
    walker.terminator(block.end);
    for (let k = block.instrs.length - 1; k >= 0; k--) {
      const i = block.instrs[k];
      const d = defOf(i);
      if (d >= 0) {
        const source = i.op === "mov" && i.a.imm === 0 ? i.a.reg : -1;
        walker.live.forEach((x) => {
          if (x !== source) meet(d, x);
        });
      }
      walker.instr(i);
    }
  }
  return neighbours;
}

/** Locals for all registers of a linked function. */
export function allocateLocals(ir: ThreadIr): Locals {
  const neighbours = interference(ir);
  const of = new Int32Array(ir.nregs).fill(-1);
  ir.params.forEach((r, n) => {
    of[r] = n;
  });
  let count = ir.params.length;
  const taken: boolean[] = [];
  const colour = (r: number, wish: number): void => {
    if (of[r] >= 0) return;
    taken.length = 0;
    neighbours[r].forEach((n) => {
      if (of[n] >= 0) taken[of[n]] = true;
    });
    let local = wish;
    if (wish < 0 || taken[wish] === true) for (local = 0; taken[local] === true; local++);
    of[r] = local;
    if (local >= count) count = local + 1;
  };
  for (const block of ir.blocks)
    for (const i of block.instrs) {
      const d = defOf(i);
      if (d >= 0) colour(d, i.op === "mov" && i.a.imm === 0 && i.a.reg >= 0 ? of[i.a.reg] : -1);
    }
  for (let r = 0; r < ir.nregs; r++) colour(r, -1);
  return { of, count };
}
