/**
 * Emits a thread as JavaScript step functions. A thread's state is a run of 32-bit words, its *frame*:
 *
 *     m[f]      pc: 0 finished, k >= 1: ops[k] is the visible operation to execute next
 *     m[f+1+i]  frame word i (registers and arrays, as regalloc.ts placed them)
 *
 * The engine executes the visible operation, writes its result to the word of `dst`, and calls `cont`, which
 * runs the local code up to the next visible operation, sets the pc and zeroes every word that is dead there.
 * So a step costs a call, frames are compared and copied as flat memory, and no exploration ever replays a
 * thread.
 *
 * The local code behind one operation is a region of the control-flow graph. Without a local loop it becomes
 * nested labelled blocks, in which every forward jump is a `break` (as Emscripten's relooper and WebAssembly
 * have it); with one, a `switch` in a loop that counts its turns.
 *
 * interp.ts is the slow reading of the same thread, and the oracle of this file's tests.
 */

import type { AssertKind, LocalInstr, Position, Terminator, ThreadIr, Val, VisibleInstr } from "./ir.ts";
import { isVisible, NO_REG } from "./ir.ts";
import { BitSet } from "./liveness.ts";
import { defOf, forEachTarget, forEachVal, mapVals, terminatorVal } from "./operands.ts";
import { type Allocation, allocate } from "./regalloc.ts";
import { boundsMessage, interpretedSteps } from "./step-interp.ts";

/**
 * Runs local code in frame `f` of `m`. Gives 0, or -(1 + index into `asserts`); the frame is then
 * unspecified.
 */
export type Cont = (m: Int32Array, f: number) => number;

export type FailureKind = AssertKind | "endless-local-loop";

/** A way for local code to fail. */
export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  /** Index into `positions`. */
  readonly pos: number;
}

/** A visible operation as the engine meets it. Operands name frame words. */
export interface LinkedOp {
  readonly instr: VisibleInstr;
  readonly cont: Cont;
  readonly pos: number;
  /** Where it is in the ThreadIr. */
  readonly block: number;
  readonly index: number;
  /** Frame words that hold something at this point (its own operands included); all others are 0. */
  readonly live: readonly number[];
  /** The operations that `cont` may stop at; 0 is the end of the thread. */
  readonly succ: readonly number[];
}

export interface ThreadCode {
  readonly name: string;
  readonly cpu: number;
  /** Frame words without the pc. */
  readonly nregs: number;
  /** ops[0] stands for the end of the thread and is never executed. */
  readonly ops: readonly LinkedOp[];
  /** From a frame of zeroes (and parameters) to the first operation. */
  readonly entry: Cont;
  readonly entrySucc: readonly number[];
  /** Frame words that a handler's arguments are put into before `entry`. */
  readonly params: readonly number[];
  /**
   * Per frame word, the names of the source variables that may be in it, joined by "/"; "" for temporaries.
   */
  readonly regNames: readonly string[];
  /** Per operation (as `ops`) the variable that each live word holds there: [word, name]. */
  readonly variables: readonly (readonly (readonly [number, string])[])[];
  /** What a negative result of a step function means. */
  readonly asserts: readonly Failure[];
  /**
   * The stretches of local code, and per stretch whether a step function has begun it since this was last
   * cleared.
   */
  readonly stretches: readonly Stretch[];
  readonly begun: Uint8Array;
  readonly positions: readonly Position[];
  /** Source text of the step functions, for tests and the curious. */
  readonly source: string;
}

/** Turns that a local loop may take in one step before it is called endless. */
export const LOCAL_LOOP_LIMIT = 1_000_000;

/** One stretch of local code: from an instruction of a block up to a visible operation or the block's end. */
export interface Stretch {
  readonly block: number;
  readonly from: number;
  /** Index of the visible operation that ends it, or -1 if it runs to the terminator. */
  readonly stop: number;
}

export interface Piece extends Stretch {
  readonly stopOp: number;
  /** Index into `stretches`. */
  readonly mark: number;
}

/** What a step function touches: registers, those among them that it defines, arrays that it writes. */
export interface Touched {
  readonly locals: ReadonlySet<number>;
  readonly defined: ReadonlySet<number>;
  readonly arrays: ReadonlySet<number>;
}

export class Emitter {
  protected readonly ir: ThreadIr;
  protected readonly alloc: Allocation;
  protected readonly cpu: number;
  readonly failures: Failure[] = [];
  readonly stretches: Stretch[] = [];
  private readonly markOf = new Map<string, number>();
  /** Operation number of each visible instruction, by block. */
  private readonly opAt: Map<number, number>[];
  private readonly failureIndex = new Map<string, number>();

  constructor(ir: ThreadIr, alloc: Allocation, cpu: number) {
    this.ir = ir;
    this.alloc = alloc;
    this.cpu = cpu;
    this.opAt = ir.blocks.map(() => new Map());
    alloc.points.forEach((p, k) => {
      this.opAt[p.block].set(p.index, k + 1);
    });
  }

  /** What a step function gives when local code fails so. */
  failure(kind: FailureKind, message: string, pos: number): number {
    const key = `${kind} ${pos} ${message}`;
    let index = this.failureIndex.get(key);
    if (index === undefined) {
      index = this.failures.length;
      this.failures.push({ kind, message, pos });
      this.failureIndex.set(key, index);
    }
    return -(1 + index);
  }

  private fail(kind: FailureKind, message: string, pos: number): string {
    return `return ${this.failure(kind, message, pos)};`;
  }

  /** Operation number of the visible instruction `index` of a block. */
  operationAt(block: number, index: number): number {
    return this.opAt[block].get(index) ?? 0;
  }

  private piece(block: number, from: number): Piece {
    const instrs = this.ir.blocks[block].instrs;
    for (let k = from; k < instrs.length; k++)
      if (isVisible(instrs[k])) {
        const mark = this.mark(block, from, k);
        return { block, from, stop: k, stopOp: this.opAt[block].get(k) ?? 0, mark };
      }
    return { block, from, stop: -1, stopOp: -1, mark: this.mark(block, from, -1) };
  }

  /** A stretch may be part of several step functions. */
  private mark(block: number, from: number, stop: number): number {
    const key = `${block} ${from}`;
    let mark = this.markOf.get(key);
    if (mark === undefined) {
      mark = this.stretches.push({ block, from, stop }) - 1;
      this.markOf.set(key, mark);
    }
    return mark;
  }

  /** Step function that starts behind instruction `index` of `block`; `op` 0 is the entry. */
  region(op: number, block: number, from: number): { code: string; succ: number[]; endless: number } {
    const pieces: Piece[] = [];
    const number = new Map<number, number>();
    // Depth first, then reverse post order, so that jumps go forward unless there is a loop.
    const { order, loop } = this.explore(block, from, pieces, number);
    const place = new Map<Piece, number>();
    order.forEach((p, i) => {
      place.set(p, i);
    });
    // Labelled blocks nest as deep as there are pieces; parsers have their limits.
    const dispatch = loop || order.length > 300;
    const locals = new Set<number>();
    const defined = new Set<number>();
    const arrays = new Set<number>();
    const succ = new Set<number>();
    for (const p of order) this.scan(p, locals, defined, arrays, succ);

    const occupied = this.occupiedAfter(op);
    const body = order.map((p) =>
      this.pieceCode(p, defined, arrays, occupied, (b) => {
        const target = place.get(pieces[number.get(b) as number]) as number;
        return dispatch ? `{ b = ${target}; continue; }` : `break L${target};`;
      }),
    );
    const endless = dispatch ? this.endless(order) : 0;
    const lines: string[] = [];
    const declared = [...locals].map((r) => `r${r} = ${this.wordOfLiveIn(r, op)}`);
    if (declared.length > 0) lines.push(`let ${declared.join(", ")};`);
    lines.push(...this.prologue(op, order, { locals, defined, arrays }));
    if (dispatch) {
      lines.push(`let b = 0, turns = 0;`);
      lines.push(`for (;;) {`, `if (++turns > ${LOCAL_LOOP_LIMIT}) return ${endless};`, `switch (b) {`);
      body.forEach((c, i) => {
        lines.push(`case ${i}: {`, c, `}`);
      });
      lines.push("}", "}");
    } else {
      // L3: { L2: { L1: { code 0 } code 1 } code 2 } code 3
      for (let i = order.length - 1; i > 0; i--) lines.push(`L${i}: {`);
      body.forEach((c, i) => {
        if (i > 0) lines.push("}");
        lines.push(c);
      });
    }
    const code = `function c${op}(m, f, d) {\n${lines.join("\n")}\n}`;
    return { code, succ: [...succ].sort((x, y) => x - y), endless };
  }

  private endless(order: readonly Piece[]): number {
    // Name the head of the loop: the target of the first backward jump.
    const place = new Map(order.map((p, i) => [p.block, i] as const));
    let head = order[0].block;
    order.forEach((p, i) => {
      if (p.stop >= 0) return;
      forEachTarget(this.ir.blocks[p.block].end, (t) => {
        const at = place.get(t);
        if (at !== undefined && at <= i && t !== order[0].block) head = t;
      });
    });
    const b = this.ir.blocks[head];
    const pos = b.instrs[0]?.pos ?? b.end.pos;
    return this.failure(
      "endless-local-loop",
      `a loop that touches no shared memory took ${LOCAL_LOOP_LIMIT} turns`,
      pos,
    );
  }

  private explore(
    block: number,
    from: number,
    pieces: Piece[],
    number: Map<number, number>,
  ): { order: Piece[]; loop: boolean } {
    const first = this.piece(block, from);
    const post: Piece[] = [];
    // 1: on the path, 2: done.
    const state = new Map<Piece, number>();
    let loop = false;
    const stack: Piece[] = [first];
    // The start is a block only if it starts at one; else a jump back to that block is another piece.
    if (from === 0) number.set(block, pieces.push(first) - 1);
    while (stack.length > 0) {
      const p = stack[stack.length - 1];
      if (state.get(p) === undefined) {
        state.set(p, 1);
        if (p.stop >= 0) continue;
        forEachTarget(this.ir.blocks[p.block].end, (t) => {
          let n = number.get(t);
          if (n === undefined) {
            n = pieces.push(this.piece(t, 0)) - 1;
            number.set(t, n);
          }
          const q = pieces[n];
          const s = state.get(q);
          if (s === undefined) stack.push(q);
          else if (s === 1) loop = true;
        });
      } else {
        stack.pop();
        if (state.get(p) === 1) {
          state.set(p, 2);
          post.push(p);
        }
      }
    }
    return { order: post.reverse(), loop };
  }

  /** Registers that the piece touches, arrays that it writes, operations that it stops at. */
  private scan(
    p: Piece,
    locals: Set<number>,
    defined: Set<number>,
    arrays: Set<number>,
    succ: Set<number>,
  ): void {
    const b = this.ir.blocks[p.block];
    const end = p.stop >= 0 ? p.stop : b.instrs.length;
    const use = (v: Val): void => {
      if (v.reg >= 0) locals.add(v.reg);
    };
    for (let k = p.from; k < end; k++) {
      const i = b.instrs[k];
      forEachVal(i, use);
      const d = defOf(i);
      if (d >= 0) {
        locals.add(d);
        defined.add(d);
      }
      if (i.op === "aset") arrays.add(i.arr);
    }
    if (p.stop >= 0) succ.add(p.stopOp);
    else if (b.end.op === "return") succ.add(0);
    else {
      const t = terminatorVal(b.end);
      if (t !== undefined) use(t);
    }
  }

  /** Statements at the start of a step function, behind the declarations of its variables. */
  protected prologue(_op: number, _order: readonly Piece[], _touched: Touched): string[] {
    return [];
  }

  /** Statements where a piece that is a whole block begins. */
  protected blockEntry(_block: number): string[] {
    return [];
  }

  /** Initial value of a variable: the frame word if the register may hold something there. */
  private wordOfLiveIn(r: number, op: number): string {
    const w = this.alloc.word[r];
    if (w < 0 || !this.holds(r, op)) return "0";
    return `m[f+${1 + w}]`;
  }

  /** Whether register `r` has its value in the frame when the step function of `op` starts. */
  protected holds(r: number, op: number): boolean {
    if (op === 0) return this.ir.params.includes(r);
    const p = this.alloc.points[op - 1];
    return p.live.has(r) || defOf(this.ir.blocks[p.block].instrs[p.index]) === r;
  }

  /** Frame words that may be other than 0 when the step function of `op` starts. */
  private occupiedAfter(op: number): BitSet {
    const set = new BitSet(this.alloc.words + 1);
    if (op === 0) {
      for (const r of this.ir.params) set.add(this.alloc.word[r]);
      return set;
    }
    const p = this.alloc.points[op - 1];
    p.live.forEach((x) => {
      this.addWords(set, x);
    });
    const d = defOf(this.ir.blocks[p.block].instrs[p.index]);
    if (d >= 0) set.add(this.alloc.word[d]);
    return set;
  }

  private addWords(set: BitSet, item: number): void {
    const size = item < this.ir.nregs ? 1 : this.ir.arrays[item - this.ir.nregs].size;
    for (let e = 0; e < size; e++) set.add(this.alloc.word[item] + e);
  }

  private pieceCode(
    p: Piece,
    defined: ReadonlySet<number>,
    arrays: ReadonlySet<number>,
    occupied: BitSet,
    go: (block: number) => string,
  ): string {
    const b = this.ir.blocks[p.block];
    const end = p.stop >= 0 ? p.stop : b.instrs.length;
    const lines: string[] = [`B[${p.mark}] = 1;`, ...(p.from === 0 ? this.blockEntry(p.block) : [])];
    for (let k = p.from; k < end; k++) lines.push(this.instrCode(b.instrs[k] as LocalInstr));
    if (p.stop >= 0) lines.push(this.exit(p.stopOp, defined, arrays, occupied));
    else lines.push(this.terminatorCode(b.end, defined, arrays, occupied, go));
    return lines.join("\n");
  }

  protected terminatorCode(
    t: Terminator,
    defined: ReadonlySet<number>,
    arrays: ReadonlySet<number>,
    occupied: BitSet,
    go: (block: number) => string,
  ): string {
    if (t.op === "return") return this.exit(0, defined, arrays, occupied);
    if (t.op === "jump") return go(t.to);
    return `if (${operand(t.cond)}) ${go(t.then)} else ${go(t.else)}`;
  }

  /** Stops at operation `op`: stores what is live there, clears what is not, sets the pc. */
  protected exit(
    op: number,
    defined: ReadonlySet<number>,
    arrays: ReadonlySet<number>,
    occupied: BitSet,
  ): string {
    const lines: string[] = [];
    const live = new BitSet(this.alloc.words + 1);
    if (op > 0)
      this.alloc.points[op - 1].live.forEach((x) => {
        this.addWords(live, x);
        if (x < this.ir.nregs && defined.has(x)) lines.push(`m[f+${1 + this.alloc.word[x]}] = r${x};`);
      });
    const dirty = new BitSet(this.alloc.words + 1);
    dirty.union(occupied);
    for (const a of arrays) this.addWords(dirty, this.ir.nregs + a);
    dirty.forEach((w) => {
      if (!live.has(w)) lines.push(`m[f+${1 + w}] = 0;`);
    });
    lines.push(`m[f] = ${op};`, "return 0;");
    return lines.join(" ");
  }

  protected instrCode(i: LocalInstr): string {
    switch (i.op) {
      case "mov":
        return `r${i.dst} = ${operand(i.a)};`;
      case "cpu":
        return `r${i.dst} = ${this.cpu};`;
      case "un":
        return `r${i.dst} = ${i.fn === "not" ? `~${atom(i.a)}` : i.fn === "neg" ? `-${atom(i.a)} | 0` : `${operand(i.a)} === 0 ? 1 : 0`};`;
      case "bin":
        return `r${i.dst} = ${binary(i.fn, atom(i.a), atom(i.b))};`;
      case "aget":
        return this.arrayAccess(i.arr, i.idx, i.pos, (word) => `r${i.dst} = ${word};`);
      case "aset":
        return this.arrayAccess(i.arr, i.idx, i.pos, (word) => `${word} = ${operand(i.a)};`);
      case "assert":
        if (i.a.reg < 0) return i.a.imm !== 0 ? "" : this.fail(i.kind, i.message, i.pos);
        return `if (${operand(i.a)} === 0) ${this.fail(i.kind, i.message, i.pos)}`;
    }
  }

  protected arrayAccess(arr: number, idx: Val, pos: number, access: (word: string) => string): string {
    const { name, size } = this.ir.arrays[arr];
    const base = 1 + this.alloc.word[this.ir.nregs + arr];
    const message = boundsMessage(name, size);
    if (idx.reg < 0) {
      if (idx.imm < 0 || idx.imm >= size) return this.fail("out-of-bounds", message, pos);
      return access(`m[f+${base + idx.imm}]`);
    }
    const check = `if (${atom(idx)} >>> 0 >= ${size}) ${this.fail("out-of-bounds", message, pos)}`;
    return `${check} ${access(`m[f+${base}+${atom(idx)}]`)}`;
  }
}

function operand(v: Val): string {
  if (v.reg < 0) return String(v.imm);
  return v.imm === 0 ? `r${v.reg}` : `(r${v.reg} + ${v.imm} | 0)`;
}

/** An operand that can stand beside any operator. */
function atom(v: Val): string {
  return v.reg < 0 && v.imm < 0 ? `(${v.imm})` : operand(v);
}

const COMPARE: Readonly<Record<string, string>> = {
  eq: "===",
  ne: "!==",
  lt: "<",
  le: "<=",
  gt: ">",
  ge: ">=",
};

function binary(fn: Extract<LocalInstr, { op: "bin" }>["fn"], a: string, b: string): string {
  switch (fn) {
    case "add":
      return `${a} + ${b} | 0`;
    case "sub":
      return `${a} - ${b} | 0`;
    case "mul":
      return `Math.imul(${a}, ${b})`;
    case "div":
      return `${a} / ${b} | 0`;
    case "mod":
      return `${a} % ${b} | 0`;
    case "and":
      return `${a} & ${b}`;
    case "or":
      return `${a} | ${b}`;
    case "xor":
      return `${a} ^ ${b}`;
    case "shl":
      return `${a} << ${b}`;
    case "shr":
      return `${a} >> ${b}`;
    case "ushr":
      return `${a} >>> ${b} | 0`;
    case "ult":
      return `${a} >>> 0 < ${b} >>> 0 ? 1 : 0`;
    case "udiv":
      return `(${a} >>> 0) / (${b} >>> 0) | 0`;
    case "umod":
      return `(${a} >>> 0) % (${b} >>> 0) | 0`;
    default:
      return `${a} ${COMPARE[fn]} ${b} ? 1 : 0`;
  }
}

const FINISHED: LinkedOp = {
  instr: { op: "fence", kind: "barrier", pos: 0 },
  cont: () => 0,
  pos: 0,
  block: -1,
  index: -1,
  live: [],
  succ: [],
};

/** By the code of the thread; links share it between programs in which a thread is the same. */
const compiled: CompiledCode<ThreadCode> = new WeakMap();

let interpret = false;

/**
 * From now on step functions are interpreted, for where text must not be evaluated. They mark no stretches as
 * begun.
 */
export function interpretSteps(on = true): void {
  interpret = on;
}

export function stepsAreInterpreted(): boolean {
  return interpret;
}

/**
 * Compiles a linked thread to step functions. `cpu` says which CPU runs it, where the thread itself does not.
 */
export function compileThread(ir: ThreadIr, cpu: number = ir.cpu): ThreadCode {
  return compiledOnce(compiled, ir, cpu, compile);
}

/** Code by the blocks that it is compiled from, and by CPU. */
export type CompiledCode<Code> = WeakMap<ThreadIr["blocks"], Map<number, Code>>;

/** The code of a thread, compiled unless `known` has it; under the thread's own name. */
export function compiledOnce<Code extends ThreadCode>(
  known: CompiledCode<Code>,
  ir: ThreadIr,
  cpu: number,
  compile: (ir: ThreadIr, cpu: number) => Code,
): Code {
  let byCpu = known.get(ir.blocks);
  if (byCpu === undefined) {
    byCpu = new Map();
    known.set(ir.blocks, byCpu);
  }
  let code = byCpu.get(cpu);
  if (code === undefined) {
    code = compile(ir, cpu);
    byCpu.set(cpu, code);
  }
  return code.name === ir.name ? code : { ...code, name: ir.name };
}

function compile(ir: ThreadIr, cpu: number): ThreadCode {
  const alloc = allocate(ir);
  return assemble(ir, cpu, alloc, new Emitter(ir, alloc, cpu));
}

/** The thread's operations with the step functions that the emitter writes for them. */
export function assemble(ir: ThreadIr, cpu: number, alloc: Allocation, emitter: Emitter): ThreadCode {
  const regions = [emitter.region(0, 0, 0)];
  alloc.points.forEach((p, k) => {
    regions.push(emitter.region(k + 1, p.block, p.index + 1));
  });
  const source = `"use strict";\n${regions.map((r) => r.code).join("\n")}\nreturn [${regions.map((_, k) => `c${k}`).join(", ")}];`;
  const begun = new Uint8Array(emitter.stretches.length);
  const conts = interpret
    ? interpretedSteps({
        ir,
        alloc,
        cpu,
        limit: LOCAL_LOOP_LIMIT,
        opAt: (block, index) => emitter.operationAt(block, index),
        failure: (kind, message, pos) => emitter.failure(kind, message, pos),
        endless: regions.map((r) => r.endless),
      })
    : (new Function("B", source)(begun) as Cont[]);
  const toWord = (v: Val): Val => (v.reg < 0 ? v : { reg: alloc.word[v.reg], imm: v.imm });
  const ops = alloc.points.map((p, k): LinkedOp => {
    const original = ir.blocks[p.block].instrs[p.index] as VisibleInstr;
    const instr = mapVals(original, toWord);
    const live: number[] = [];
    p.live.forEach((x) => {
      const size = x < ir.nregs ? 1 : ir.arrays[x - ir.nregs].size;
      for (let e = 0; e < size; e++) live.push(alloc.word[x] + e);
    });
    return {
      instr: "dst" in instr && instr.dst !== NO_REG ? { ...instr, dst: alloc.word[instr.dst] } : instr,
      cont: conts[k + 1],
      pos: original.pos,
      block: p.block,
      index: p.index,
      live: live.sort((x, y) => x - y),
      succ: regions[k + 1].succ,
    };
  });
  const names: Set<string>[] = Array.from({ length: alloc.words }, () => new Set());
  const nameOf = (x: number, e: number): string =>
    x < ir.nregs ? (ir.regNames[x] ?? "") : `${ir.arrays[x - ir.nregs].name}[${e}]`;
  const itemWords = (x: number, f: (word: number, name: string) => void): void => {
    if (alloc.word[x] < 0) return;
    const size = x < ir.nregs ? 1 : ir.arrays[x - ir.nregs].size;
    for (let e = 0; e < size; e++) f(alloc.word[x] + e, nameOf(x, e));
  };
  for (let x = 0; x < ir.nregs + ir.arrays.length; x++)
    itemWords(x, (w, name) => {
      if (name !== "") names[w].add(name);
    });
  const variables = alloc.points.map((p) => {
    const here: [number, string][] = [];
    p.live.forEach((x) => {
      itemWords(x, (w, name) => {
        if (name !== "") here.push([w, name]);
      });
    });
    return here.sort((a, b) => a[0] - b[0]);
  });
  return {
    name: ir.name,
    cpu,
    nregs: alloc.words,
    ops: [FINISHED, ...ops],
    entry: conts[0],
    entrySucc: regions[0].succ,
    params: ir.params.map((p) => alloc.word[p]),
    regNames: names.map((s) => [...s].join("/")),
    variables: [[], ...variables],
    asserts: emitter.failures,
    stretches: emitter.stretches,
    begun,
    positions: ir.positions,
    source,
  };
}
