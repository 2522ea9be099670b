/**
 * A slow, obviously right interpreter of a linked thread: registers and arrays as the IR has them, one
 * instruction at a time. It stops at every visible operation and is told the result. Step functions (emit.ts)
 * must agree with it.
 */

import type { Failure } from "./emit.ts";
import { LOCAL_LOOP_LIMIT } from "./emit.ts";
import { evalBin, evalUn, isVisible, type ThreadIr, type Val, type VisibleInstr } from "./ir.ts";

export type Stop =
  | { readonly k: "op"; readonly instr: VisibleInstr; readonly block: number; readonly index: number }
  | { readonly k: "finished"; readonly result: number }
  | { readonly k: "failed"; readonly failure: Failure };

export class Interpreter {
  readonly regs: Int32Array;
  readonly arrays: readonly Int32Array[];
  private readonly ir: ThreadIr;
  private readonly cpu: number;
  private block = 0;
  private index = 0;

  constructor(ir: ThreadIr, args: readonly number[] = [], cpu: number = ir.cpu) {
    this.ir = ir;
    this.cpu = cpu;
    this.regs = new Int32Array(ir.nregs);
    this.arrays = ir.arrays.map((a) => new Int32Array(a.size));
    ir.params.forEach((r, i) => {
      this.regs[r] = args[i] ?? 0;
    });
  }

  value(v: Val): number {
    return ((v.reg < 0 ? 0 : this.regs[v.reg]) + v.imm) | 0;
  }

  /** Gives the visible operation just executed its result, and steps past it. */
  complete(result: number): void {
    const i = this.ir.blocks[this.block].instrs[this.index];
    if ("dst" in i && i.dst >= 0) this.regs[i.dst] = result;
    this.index++;
  }

  /** Runs local code up to the next visible operation, the end, or a failure. */
  run(): Stop {
    let turns = 0;
    for (;;) {
      const b = this.ir.blocks[this.block];
      const i = b.instrs[this.index];
      if (i === undefined) {
        if (b.end.op === "return") return { k: "finished", result: this.value(b.end.a) };
        if (++turns > LOCAL_LOOP_LIMIT)
          return { k: "failed", failure: { kind: "endless-local-loop", message: "", pos: b.end.pos } };
        this.block = b.end.op === "jump" ? b.end.to : this.value(b.end.cond) !== 0 ? b.end.then : b.end.else;
        this.index = 0;
        continue;
      }
      if (isVisible(i)) return { k: "op", instr: i, block: this.block, index: this.index };
      switch (i.op) {
        case "mov":
          this.regs[i.dst] = this.value(i.a);
          break;
        case "cpu":
          this.regs[i.dst] = this.cpu;
          break;
        case "un":
          this.regs[i.dst] = evalUn(i.fn, this.value(i.a));
          break;
        case "bin":
          this.regs[i.dst] = evalBin(i.fn, this.value(i.a), this.value(i.b));
          break;
        case "aget":
        case "aset": {
          const array = this.arrays[i.arr];
          const at = this.value(i.idx);
          if (at < 0 || at >= array.length)
            return {
              k: "failed",
              failure: { kind: "out-of-bounds", message: this.ir.arrays[i.arr].name, pos: i.pos },
            };
          if (i.op === "aget") this.regs[i.dst] = array[at];
          else array[at] = this.value(i.a);
          break;
        }
        case "assert":
          if (this.value(i.a) === 0)
            return { k: "failed", failure: { kind: i.kind, message: i.message, pos: i.pos } };
          break;
      }
      this.index++;
    }
  }
}
