/**
 * Blocks, registers, arrays, stack objects and positions of one function of C under construction: what
 * lowering emits into. The shape is that of the dialect's functions (lang/lowered.ts), so that both link the
 * same way.
 */

import type { NewInstr } from "../intrinsics.ts";
import {
  type AssertKind,
  type BinOp,
  constant,
  type ParamKind,
  type PosId,
  type Position,
  type Reg,
  type Terminator,
  type UnOp,
  type Val,
  val,
} from "../ir.ts";
import type { LowArray, LowBlock, LowFn, LowInstr, LowSlot } from "../lowered.ts";
import type { Place } from "./errors.ts";

const NO_END: Terminator = { op: "return", a: constant(0), pos: 0 };

export class Builder {
  readonly fnName: string;
  readonly blocks: LowBlock[] = [{ instrs: [], end: NO_END }];
  readonly regNames: string[] = [];
  readonly arrays: LowArray[] = [];
  readonly slots: LowSlot[] = [];
  readonly positions: Position[] = [];
  private readonly known = new Map<string, PosId>();
  /** Block that is being filled. */
  current = 0;
  pos: PosId = 0;

  constructor(fnName: string, at: Place) {
    this.fnName = fnName;
    this.at(at);
  }

  at(p: Place): void {
    const key = `${p.file}:${p.line}:${p.col}`;
    let id = this.known.get(key);
    if (id === undefined) {
      const here = { file: p.file, line: p.line, col: p.col, fn: this.fnName, parent: -1 };
      id = this.positions.push(p.macro === "" ? here : { ...here, macro: p.macro }) - 1;
      this.known.set(key, id);
    }
    this.pos = id;
  }

  reg(name: string): Reg {
    this.regNames.push(name);
    return this.regNames.length - 1;
  }
  array(name: string, size: number): number {
    return this.arrays.push({ name, size }) - 1;
  }

  push(i: LowInstr): void {
    this.blocks[this.current].instrs.push(i);
  }
  emit(i: NewInstr): void {
    this.push({ ...i, pos: this.pos } as LowInstr);
  }
  bin(fn: BinOp, a: Val, b: Val): Val {
    if (fn === "add" && b.reg < 0) return val(a.reg, (a.imm + b.imm) | 0);
    if (fn === "add" && a.reg < 0) return val(b.reg, (a.imm + b.imm) | 0);
    const dst = this.reg("");
    this.emit({ op: "bin", fn, dst, a, b });
    return val(dst);
  }
  un(fn: UnOp, a: Val): Val {
    const dst = this.reg("");
    this.emit({ op: "un", fn, dst, a });
    return val(dst);
  }
  mov(dst: Reg, a: Val): void {
    this.emit({ op: "mov", dst, a });
  }
  assert(a: Val, kind: AssertKind, message: string): void {
    this.emit({ op: "assert", kind, a, message });
  }

  block(): number {
    return this.blocks.push({ instrs: [], end: NO_END }) - 1;
  }
  end(t: Terminator, next: number): void {
    this.blocks[this.current].end = t;
    this.current = next;
  }
  jump(to: number, next: number): void {
    this.end({ op: "jump", to, pos: this.pos }, next);
  }
  branch(cond: Val, then: number, otherwise: number, next: number): void {
    this.end({ op: "branch", cond, then, else: otherwise, pos: this.pos }, next);
  }
  /** `yes()` if the condition holds, else `no()`; then on. */
  when(cond: Val, yes: () => void, no: () => void = () => {}): void {
    const a = this.block();
    const b = this.block();
    const after = this.block();
    this.branch(cond, a, b, a);
    yes();
    this.jump(after, b);
    no();
    this.jump(after, after);
  }

  /** The function that was built, with nameless parameters if none are given. */
  finish(
    id: string,
    name: string,
    params: readonly ParamKind[],
    paramNames: readonly string[] = params.map(() => ""),
  ): LowFn {
    return {
      id,
      name,
      file: null,
      params,
      paramNames,
      nregs: this.regNames.length,
      regNames: this.regNames,
      arrays: this.arrays,
      slots: this.slots,
      blocks: this.blocks,
      positions: this.positions,
    };
  }
}
