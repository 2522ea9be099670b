/**
 * Step functions without generated code: the same as emit.ts makes, by interpreting the thread's IR. Pages
 * that are served under a content security policy may not evaluate text; there a step takes microseconds
 * instead of a fraction of one, which is fast enough for a person who looks at every step.
 *
 * A frame is left as a generated function leaves it: what lives at the operation where it stops is in its
 * word, and every other word is 0.
 */

import type { Cont, FailureKind } from "./emit.ts";
import { evalBin, evalUn, isVisible, type ThreadIr, type Val } from "./ir.ts";
import type { Allocation } from "./regalloc.ts";

export interface InterpretedThread {
  readonly ir: ThreadIr;
  readonly alloc: Allocation;
  readonly cpu: number;
  /** Turns that a local loop may take. */
  readonly limit: number;
  /** Operation number of the visible instruction `index` of a block. */
  readonly opAt: (block: number, index: number) => number;
  /** What a step function gives when local code fails so. */
  readonly failure: (kind: FailureKind, message: string, pos: number) => number;
  /** The same of a loop that does not end in the step function of operation `op`; 0: it has no loop. */
  readonly endless: readonly number[];
}

/** Message of an array index out of bounds. */
export function boundsMessage(name: string, size: number): string {
  return `index of ${name === "" ? "an array" : name} is not within 0..${size - 1}`;
}

/** Step function of each operation, the one of the thread's entry first. */
export function interpretedSteps(t: InterpretedThread): Cont[] {
  const { ir, alloc } = t;
  const regs = new Int32Array(ir.nregs);
  // Words that hold something at each operation, and the registers in them; 0 is the end, where nothing
  // lives.
  const liveRegs: number[][] = [[]];
  const kept: Uint8Array[] = [new Uint8Array(alloc.words)];
  for (const p of alloc.points) {
    const mine: number[] = [];
    const words = new Uint8Array(alloc.words);
    p.live.forEach((x) => {
      if (x < ir.nregs) mine.push(x);
      const size = x < ir.nregs ? 1 : ir.arrays[x - ir.nregs].size;
      words.fill(1, alloc.word[x], alloc.word[x] + size);
    });
    liveRegs.push(mine);
    kept.push(words);
  }
  const stop = (m: Int32Array, f: number, op: number): number => {
    const words = kept[op];
    for (let w = 0; w < words.length; w++) if (words[w] === 0) m[f + 1 + w] = 0;
    for (const r of liveRegs[op]) m[f + 1 + alloc.word[r]] = regs[r];
    m[f] = op;
    return 0;
  };
  const value = (v: Val): number => ((v.reg < 0 ? 0 : regs[v.reg]) + v.imm) | 0;

  const step = (op: number, startBlock: number, startIndex: number, loaded: readonly number[]): Cont => {
    return (m, f) => {
      regs.fill(0);
      for (const r of loaded) regs[r] = m[f + 1 + alloc.word[r]];
      let block = startBlock;
      let index = startIndex;
      for (let turns = 0; ; ) {
        const b = ir.blocks[block];
        const i = b.instrs[index];
        if (i === undefined) {
          if (b.end.op === "return") return stop(m, f, 0);
          if (++turns > t.limit && t.endless[op] !== 0) return t.endless[op];
          block = b.end.op === "jump" ? b.end.to : value(b.end.cond) !== 0 ? b.end.then : b.end.else;
          index = 0;
          continue;
        }
        if (isVisible(i)) return stop(m, f, t.opAt(block, index));
        switch (i.op) {
          case "mov":
            regs[i.dst] = value(i.a);
            break;
          case "cpu":
            regs[i.dst] = t.cpu;
            break;
          case "un":
            regs[i.dst] = evalUn(i.fn, value(i.a));
            break;
          case "bin":
            regs[i.dst] = evalBin(i.fn, value(i.a), value(i.b));
            break;
          case "aget":
          case "aset": {
            const { name, size } = ir.arrays[i.arr];
            const at = value(i.idx);
            if (at >>> 0 >= size) return t.failure("out-of-bounds", boundsMessage(name, size), i.pos);
            const word = f + 1 + alloc.word[ir.nregs + i.arr] + at;
            if (i.op === "aget") regs[i.dst] = m[word];
            else m[word] = value(i.a);
            break;
          }
          case "assert":
            if (value(i.a) === 0) return t.failure(i.kind, i.message, i.pos);
            break;
        }
        index++;
      }
    };
  };

  const out = [step(0, 0, 0, ir.params)];
  alloc.points.forEach((p, k) => {
    const i = ir.blocks[p.block].instrs[p.index];
    const loaded = new Set(liveRegs[k + 1]);
    if ("dst" in i && i.dst >= 0 && alloc.word[i.dst] >= 0) loaded.add(i.dst);
    out.push(step(k + 1, p.block, p.index + 1, [...loaded]));
  });
  return out;
}
