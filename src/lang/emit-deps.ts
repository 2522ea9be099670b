/**
 * Step functions that also say what depends on what, for engines of weak memory. The local code between two
 * visible operations computes, beside its values, which words of the frame each result was computed from and
 * which conditions it runs under: address and data dependencies are those of the words that an operation
 * names, control dependencies those of its *control slots*.
 *
 * A control dependency covers the arms of a branch and ends where they meet (the immediate postdominator), as
 * in herd7's reading of the LKMM: a compiler may move or convert whatever comes behind that. So a conditional
 * that guards nothing orders nothing, and dropping it (optimise.ts) is exact. There is one control slot per
 * block at which arms meet.
 *
 * Everything that can carry a dependency from one operation to the next is a *slot*: the frame words, then
 * the control slots. A step function `c(m, f, d)` leaves in `d`:
 *
 *     d[0]                  0, or 1 + index into `asserts` of the first assertion that failed; the code
 *                           runs on past it
 *     d[1 + s * k + i]      word i of the set of slots, as they were before, that slot s now depends on
 *
 * with k words of 32 slots per set. It is written for the slots listed in `sets` of the operation it stops
 * at; every other slot that is live there has kept its dependencies. Nothing is said about slots that are
 * dead.
 */

import {
  assemble,
  type CompiledCode,
  compiledOnce,
  Emitter,
  type LinkedOp,
  type Piece,
  stepsAreInterpreted,
  type ThreadCode,
  type Touched,
} from "./emit.ts";
import {
  isVisible,
  type LocalInstr,
  type Terminator,
  type ThreadIr,
  type Val,
  type VisibleInstr,
} from "./ir.ts";
import { BitSet } from "./liveness.ts";
import { defOf, forEachTarget, forEachVal } from "./operands.ts";
import { postdominators } from "./postdom.ts";
import { type Allocation, allocate } from "./regalloc.ts";

/**
 * Local code that tracks dependencies; see above for `d`. Gives 0, or -(1 + index into `asserts`) if it
 * cannot go on.
 */
export type DepCont = (m: Int32Array, f: number, d: Int32Array) => number;

/** What happens to the slots on the way from one operation to the next. */
export interface SlotMoves {
  /** Slots whose dependencies the step function wrote. */
  readonly sets: readonly number[];
  /** Slots that may have had dependencies before and are dead now. */
  readonly clears: readonly number[];
}

export interface DepOp extends LinkedOp {
  readonly depCont: DepCont;
  /** Slots that can carry a dependency here. */
  readonly liveSlots: readonly number[];
  /** The control slots among them that a write here depends on. */
  readonly control: readonly number[];
  /** By the pc that the step function stops at. */
  readonly moves: ReadonlyMap<number, SlotMoves>;
}

export interface DepCode extends ThreadCode {
  readonly ops: readonly DepOp[];
  readonly depEntry: DepCont;
  readonly entryMoves: ReadonlyMap<number, SlotMoves>;
  /** Frame words plus control slots. */
  readonly slots: number;
  /** Words of a set of slots in `d`. */
  readonly setWords: number;
}

/**
 * Operations that write, or whose place in the order a control dependency can fix: all but loads and waits.
 */
function isOrderedByControl(i: VisibleInstr): boolean {
  return i.op !== "load" && i.op !== "await" && i.op !== "fence" && i.op !== "choose";
}

/** Which control slots there are, and where they are live. */
class ControlSlots {
  /** Slot of each block at which arms meet and that some write stands before; -1 for the others. */
  readonly ofBlock: Int32Array;
  /** Slot of each branch; -1 if it guards no write. */
  readonly ofBranch: Int32Array;
  count = 0;
  private readonly ir: ThreadIr;
  /**
   * Per block: slots that may hold something at its end, and slots that a write may yet depend on at its
   * start.
   */
  private readonly mayOut: BitSet[] = [];
  private readonly mayIn: BitSet[] = [];
  private readonly usedIn: BitSet[] = [];
  private readonly usedOut: BitSet[] = [];
  private readonly writes: boolean[];

  constructor(ir: ThreadIr) {
    this.ir = ir;
    const n = ir.blocks.length;
    const meet = postdominators(ir.blocks);
    this.writes = ir.blocks.map((b) => b.instrs.some((i) => isVisible(i) && isOrderedByControl(i)));
    // Slot numbers per meeting point; the exit of the thread is one too.
    const slotOf = new Map<number, number>();
    this.ofBlock = new Int32Array(n).fill(-1);
    this.ofBranch = new Int32Array(n).fill(-1);
    ir.blocks.forEach((b, k) => {
      if (b.end.op !== "branch" || b.end.cond.reg < 0) return;
      const at = meet[k] ?? -1;
      let slot = slotOf.get(at);
      if (slot === undefined) {
        slot = slotOf.size;
        slotOf.set(at, slot);
        if (at >= 0) this.ofBlock[at] = slot;
      }
      this.ofBranch[k] = slot;
    });
    this.count = slotOf.size;
    this.flow();
  }

  private flow(): void {
    const { blocks } = this.ir;
    const set = (): BitSet => new BitSet(this.count);
    for (let b = 0; b < blocks.length; b++)
      for (const list of [this.mayIn, this.mayOut, this.usedIn, this.usedOut]) list.push(set());
    for (let changed = true; changed; ) {
      changed = false;
      for (let b = 0; b < blocks.length; b++) {
        const out = this.mayOut[b];
        changed = out.union(this.mayIn[b]) || changed;
        const branch = this.ofBranch[b];
        if (branch >= 0 && !out.has(branch)) {
          out.add(branch);
          changed = true;
        }
        forEachTarget(blocks[b].end, (t) => {
          const kill = this.ofBlock[t];
          out.forEach((s) => {
            if (s === kill || this.mayIn[t].has(s)) return;
            this.mayIn[t].add(s);
            changed = true;
          });
        });
      }
    }
    for (let changed = true; changed; ) {
      changed = false;
      for (let b = blocks.length - 1; b >= 0; b--) {
        forEachTarget(blocks[b].end, (t) => {
          const kill = this.ofBlock[t];
          this.usedIn[t].forEach((s) => {
            if (s === kill || this.usedOut[b].has(s)) return;
            this.usedOut[b].add(s);
            changed = true;
          });
        });
        const into = this.usedIn[b];
        if (into.union(this.usedOut[b])) changed = true;
        if (this.writes[b])
          for (let s = 0; s < this.count; s++)
            if (!into.has(s)) {
              into.add(s);
              changed = true;
            }
      }
    }
  }

  /**
   * Slots that may hold something in front of instruction `index` of the block and that a write there or
   * later needs.
   */
  liveAt(block: number, index: number): number[] {
    const instrs = this.ir.blocks[block].instrs;
    const writes = instrs.slice(index).some((i) => isVisible(i) && isOrderedByControl(i));
    const live: number[] = [];
    this.mayIn[block].forEach((s) => {
      if (writes || this.usedOut[block].has(s)) live.push(s);
    });
    return live;
  }
}

class DepEmitter extends Emitter {
  private readonly control: ControlSlots;
  readonly slots: number;
  readonly setWords: number;
  /** By operation, of the step function behind it. */
  readonly touched: Touched[] = [];
  private readonly blockOf: ReadonlyMap<Terminator, number>;

  constructor(ir: ThreadIr, alloc: Allocation, cpu: number) {
    super(ir, alloc, cpu);
    this.control = new ControlSlots(ir);
    this.slots = alloc.words + this.control.count;
    this.setWords = Math.max(1, (this.slots + 31) >> 5);
    this.blockOf = new Map(ir.blocks.map((b, n) => [b.end, n] as const));
  }

  /** Slots that are live in front of operation `op`; none at the end of the thread. */
  liveSlots(op: number): number[] {
    if (op === 0) return [];
    const p = this.alloc.points[op - 1];
    const out: number[] = [];
    p.live.forEach((x) => {
      for (let e = 0; e < this.size(x); e++) out.push(this.alloc.word[x] + e);
    });
    return [...out, ...this.controlAt(op)].sort((a, b) => a - b);
  }

  controlAt(op: number): number[] {
    const p = this.alloc.points[op - 1];
    return this.control.liveAt(p.block, p.index).map((s) => this.alloc.words + s);
  }

  private size(item: number): number {
    return item < this.ir.nregs ? 1 : this.ir.arrays[item - this.ir.nregs].size;
  }

  private each(f: (k: number) => string, join = " "): string {
    return Array.from({ length: this.setWords }, (_, k) => f(k)).join(join);
  }

  private bitOf(slot: number, k: number): string {
    return slot >> 5 === k ? String((1 << (slot & 31)) | 0) : "0";
  }

  private cell(slot: number | string, k: number): string {
    if (typeof slot === "number") return `d[${1 + slot * this.setWords + k}]`;
    return `d[${slot}${this.setWords === 1 ? "" : ` * ${this.setWords}`} + ${1 + k}]`;
  }

  protected override prologue(op: number, order: readonly Piece[], touched: Touched): string[] {
    this.touched[op] = touched;
    const lines: string[] = [];
    for (const r of touched.locals) {
      const word = this.alloc.word[r];
      const held = word >= 0 && this.holds(r, op);
      lines.push(`let ${this.each((k) => `q${r}_${k} = ${held ? this.bitOf(word, k) : "0"}`, ", ")};`);
    }
    const before = op === 0 ? [] : this.controlAt(op);
    for (const s of this.controlOf(order)) {
      const live = before.includes(this.alloc.words + s);
      lines.push(
        `let ${this.each((k) => `e${s}_${k} = ${live ? this.bitOf(this.alloc.words + s, k) : "0"}`, ", ")};`,
      );
    }
    for (const a of this.arraysOf(order)) {
      const item = this.ir.nregs + a;
      const live = op > 0 && this.alloc.points[op - 1].live.has(item);
      for (let e = 0; e < this.size(item); e++) {
        const slot = this.alloc.word[item] + e;
        lines.push(this.each((k) => `${this.cell(slot, k)} = ${live ? this.bitOf(slot, k) : "0"};`));
      }
    }
    return lines;
  }

  /** Control slots that the region may set, end, or hand on. */
  private controlOf(order: readonly Piece[]): number[] {
    const set = new Set<number>();
    for (const p of order) {
      if (p.stop >= 0) for (const s of this.control.liveAt(p.block, p.stop)) set.add(s);
      else if (this.control.ofBranch[p.block] >= 0) set.add(this.control.ofBranch[p.block]);
      if (p.from === 0 && this.control.ofBlock[p.block] >= 0) set.add(this.control.ofBlock[p.block]);
    }
    return [...set];
  }

  private arraysOf(order: readonly Piece[]): number[] {
    const set = new Set<number>();
    for (const p of order) {
      const { instrs } = this.ir.blocks[p.block];
      for (let k = p.from; k < (p.stop >= 0 ? p.stop : instrs.length); k++) {
        const i = instrs[k];
        if (i.op === "aget" || i.op === "aset") set.add(i.arr);
      }
    }
    return [...set];
  }

  protected override blockEntry(block: number): string[] {
    const s = this.control.ofBlock[block];
    return s < 0 ? [] : [this.each((k) => `e${s}_${k} = 0;`)];
  }

  protected override terminatorCode(
    t: Terminator,
    defined: ReadonlySet<number>,
    arrays: ReadonlySet<number>,
    occupied: BitSet,
    go: (block: number) => string,
  ): string {
    const code = super.terminatorCode(t, defined, arrays, occupied, go);
    if (t.op !== "branch" || t.cond.reg < 0) return code;
    const s = this.control.ofBranch[this.blockOf.get(t) ?? 0];
    return `${this.each((k) => `e${s}_${k} |= q${t.cond.reg}_${k};`)}\n${code}`;
  }

  protected override exit(
    op: number,
    defined: ReadonlySet<number>,
    arrays: ReadonlySet<number>,
    occupied: BitSet,
  ): string {
    const lines: string[] = [];
    if (op > 0) {
      this.alloc.points[op - 1].live.forEach((x) => {
        if (x < this.ir.nregs && defined.has(x))
          lines.push(this.each((k) => `${this.cell(this.alloc.word[x], k)} = q${x}_${k};`));
      });
      for (const s of this.controlAt(op))
        lines.push(this.each((k) => `${this.cell(s, k)} = e${s - this.alloc.words}_${k};`));
    }
    return [...lines, super.exit(op, defined, arrays, occupied)].join(" ");
  }

  private depsOf(i: LocalInstr, k: number): string {
    const regs: string[] = [];
    forEachVal(i, (v: Val) => {
      if (v.reg >= 0) regs.push(`q${v.reg}_${k}`);
    });
    return regs.length === 0 ? "0" : regs.join(" | ");
  }

  protected override instrCode(i: LocalInstr): string {
    if (i.op === "assert") {
      if (i.a.reg < 0 && i.a.imm !== 0) return "";
      const failure = -this.failure(i.kind, i.message, i.pos);
      const test = i.a.reg < 0 ? "" : `(r${i.a.reg}${i.a.imm === 0 ? "" : ` + ${i.a.imm} | 0`}) === 0 && `;
      return `if (${test}d[0] === 0) d[0] = ${failure};`;
    }
    const code = super.instrCode(i);
    if (i.op === "aset" || i.op === "aget") {
      const base = this.alloc.word[this.ir.nregs + i.arr];
      const { reg, imm } = i.idx;
      if (reg < 0 && (imm < 0 || imm >= this.ir.arrays[i.arr].size)) return code;
      const at = reg < 0 ? base + imm : `(${base} + r${reg}${imm === 0 ? "" : ` + ${imm} | 0`})`;
      if (i.op === "aset")
        return `${code} ${this.each((k) => `${this.cell(at, k)} = ${this.depsOf(i, k)};`)}`;
      // The index is read before `dst`, which may be the same register, is given its value.
      const deps = this.each((k) => `const t${k} = ${this.cell(at, k)} | ${this.depsOf(i, k)};`);
      return `{ ${deps} ${code} ${this.each((k) => `q${i.dst}_${k} = t${k};`)} }`;
    }
    return `${code} ${this.each((k) => `q${i.dst}_${k} = ${this.depsOf(i, k)};`)}`;
  }

  /** What becomes of the slots between operation `from` (0: the entry) and operation `to`. */
  moves(from: number, to: number): SlotMoves {
    const { defined, arrays } = this.touched[from];
    const before = new Set<number>(from === 0 ? [] : this.liveSlots(from));
    if (from > 0) {
      const p = this.alloc.points[from - 1];
      const dst = defOf(this.ir.blocks[p.block].instrs[p.index]);
      if (dst >= 0) before.add(this.alloc.word[dst]);
    } else for (const r of this.ir.params) before.add(this.alloc.word[r]);
    const after = this.liveSlots(to);
    const sets = new Set<number>(to === 0 ? [] : this.controlAt(to));
    if (to > 0)
      this.alloc.points[to - 1].live.forEach((x) => {
        const written = x < this.ir.nregs ? defined.has(x) : arrays.has(x - this.ir.nregs);
        if (written) for (let e = 0; e < this.size(x); e++) sets.add(this.alloc.word[x] + e);
      });
    return { sets: [...sets], clears: [...before].filter((s) => !after.includes(s)) };
  }
}

const compiled: CompiledCode<DepCode> = new WeakMap();

/** Compiles a linked thread to step functions that track dependencies. */
export function compileWithDeps(ir: ThreadIr, cpu: number = ir.cpu): DepCode {
  return compiledOnce(compiled, ir, cpu, compile);
}

function compile(ir: ThreadIr, cpu: number): DepCode {
  if (stepsAreInterpreted()) throw new Error("dependencies are tracked by generated code only");
  const alloc = allocate(ir);
  const emitter = new DepEmitter(ir, alloc, cpu);
  const plain = assemble(ir, cpu, alloc, emitter);
  const movesFrom = (op: number, succ: readonly number[]): ReadonlyMap<number, SlotMoves> =>
    new Map(succ.map((to) => [to, emitter.moves(op, to)] as const));
  return {
    ...plain,
    ops: plain.ops.map(
      (o, k): DepOp => ({
        ...o,
        depCont: o.cont as DepCont,
        liveSlots: k === 0 ? [] : emitter.liveSlots(k),
        control: k > 0 && isOrderedByControl(o.instr) ? emitter.controlAt(k) : [],
        moves: k === 0 ? new Map<number, SlotMoves>() : movesFrom(k, o.succ),
      }),
    ),
    depEntry: plain.entry as DepCont,
    entryMoves: movesFrom(0, plain.entrySucc),
    slots: emitter.slots,
    setWords: emitter.setWords,
  };
}
