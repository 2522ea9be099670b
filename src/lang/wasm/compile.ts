/**
 * From the linked IR of a function to WebAssembly: the same lines that Node runs as they are and that the
 * checker explores, for runs at the speed of compiled code. Virtual registers are locals (locals.ts), a
 * marked access an atomic operation of the shared memory, a thread-private array a run of words behind the
 * kernel's memory. Every check of the primitives stays: addresses, poison, array bounds, assertions. Atomics
 * of WebAssembly are sequentially consistent, like those of JavaScript, so fences are nothing here either
 * (machine/primitives.ts).
 *
 * Not covered: the preemption hook of stress runs, and handlers of call_rcu() and smp_call_function() that
 * are given by name (the host's primitives are called for everything that waits, allocates or interrupts).
 */

import { NULL_GUARD, POISON } from "../../machine/image.ts";
import type { Block, LocalInstr, ThreadIr, Val, VisibleInstr } from "../ir.ts";
import { ATOMIC, Code, encodeModule, type ImportedFunction, OP, VOID } from "./encode.ts";
import { allocateLocals } from "./locals.ts";
import { type Structure, structureOf } from "./structure.ts";

/**
 * Host functions that compiled code calls, in the order of their function numbers. The failing ones do not
 * return.
 */
const IMPORTS = [
  { name: "bad_address", params: 1, results: 0 },
  { name: "poison", params: 1, results: 0 },
  { name: "failed", params: 1, results: 0 },
  { name: "wait_word", params: 2, results: 0 },
  { name: "local_irq_save", params: 0, results: 1 },
  { name: "local_irq_restore", params: 1, results: 0 },
  { name: "rcu_read_lock", params: 0, results: 0 },
  { name: "rcu_read_unlock", params: 0, results: 0 },
  { name: "synchronize_rcu", params: 0, results: 0 },
  { name: "smp_call_function", params: 0, results: 0 },
  { name: "spin_lock", params: 1, results: 0 },
  { name: "spin_trylock", params: 1, results: 1 },
  { name: "spin_unlock", params: 1, results: 0 },
  { name: "spin_is_locked", params: 1, results: 1 },
  { name: "kzalloc", params: 1, results: 1 },
  { name: "kfree", params: 1, results: 0 },
  { name: "memory_revive", params: 1, results: 0 },
  { name: "choose", params: 1, results: 1 },
] as const satisfies readonly ImportedFunction[];

export type ImportName = (typeof IMPORTS)[number]["name"];

const importNumber = new Map<string, number>(IMPORTS.map((i, n) => [i.name, n]));

/** The function uses something that compiled code cannot do; it can still be run as it is. */
export class CannotCompile extends Error {}

export interface Failure {
  readonly kind: string;
  readonly message: string;
}

export interface Compiled {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What failed(i) means. */
  readonly failures: readonly Failure[];
  /** Words of private arrays, from `privateAt` on. */
  readonly privateWords: number;
}

export interface CompileOptions {
  /** Words of the kernel's memory, which begins at byte 0. */
  readonly words: number;
  /** Word address behind the kernel's memory where the function's own arrays lie. */
  readonly privateAt: number;
  readonly memory: { readonly initial: number; readonly maximum: number };
}

/** What the code around the current point is, innermost last; a branch counts them from the inside. */
type Frame =
  | { readonly k: "block"; readonly follows: number }
  | { readonly k: "loop"; readonly head: number }
  | { readonly k: "if" };

// Blocks around the body, counted from the inside.
const TO_BAD = 0;
const TO_POISON = 1;
const TO_FAILED = 2;

class Compiler {
  private readonly ir: ThreadIr;
  private readonly options: CompileOptions;
  private readonly s: Structure;
  private readonly local: Int32Array;
  private readonly arrayAt: number[] = [];
  private readonly failures: Failure[] = [];
  /** Scratch locals: an address, two values. */
  private readonly t0: number;
  private readonly t1: number;
  private readonly t2: number;
  /** Number of the failure, for the failing code. */
  private readonly code: number;
  /** Frames between the current point and the body's end. */
  private depth = 0;
  readonly params: number;
  readonly locals: number;
  readonly privateWords: number;
  /** Array parameters: locals of base (byte address) and length. */
  private readonly bound = new Map<number, { base: number; length: number }>();

  constructor(ir: ThreadIr, boundArrays: number, options: CompileOptions) {
    this.ir = ir;
    this.options = options;
    this.s = structureOf(ir.blocks);
    let next = ir.params.length;
    for (let a = 0; a < boundArrays; a++) {
      this.bound.set(a, { base: next, length: next + 1 });
      next += 2;
    }
    this.params = next;
    // The arrays' locals stand between those of the parameters and the other registers'.
    const { of, count } = allocateLocals(ir);
    this.local = of.map((l) => (l < ir.params.length ? l : l + 2 * boundArrays));
    next = count + 2 * boundArrays;
    this.t0 = next++;
    this.t1 = next++;
    this.t2 = next++;
    this.code = next++;
    this.locals = next - this.params;
    let at = options.privateAt;
    ir.arrays.forEach((a, i) => {
      this.arrayAt[i] = at;
      if (!this.bound.has(i)) at += a.size;
    });
    this.privateWords = at - options.privateAt;
  }

  compile(): Compiled {
    // Failing code lies behind the body, outside every loop: V8 unrolls no loop that calls.
    const body = new Code().op(OP.block, VOID, OP.block, VOID, OP.block, VOID);
    this.tree(body, 0, []);
    body.op(OP.unreachable, OP.end).get(this.t0);
    this.host(body, "bad_address");
    body.op(OP.unreachable, OP.end).get(this.t0);
    this.host(body, "poison");
    body.op(OP.unreachable, OP.end).get(this.code);
    this.host(body, "failed");
    body.op(OP.unreachable);
    const bytes = encodeModule({
      imports: IMPORTS,
      memory: this.options.memory,
      params: this.params,
      locals: this.locals,
      body,
    });
    return { bytes, failures: this.failures, privateWords: this.privateWords };
  }

  // ---- Control --------------------------------------------------------------------------------------------

  private tree(c: Code, block: number, around: readonly Frame[]): void {
    const merges = this.s.merges[block];
    if (!this.s.isLoopHeader[block]) {
      this.within(c, block, merges, around);
      return;
    }
    c.op(OP.loop, VOID);
    this.within(c, block, merges, [...around, { k: "loop", head: block }]);
    c.op(OP.end);
  }

  private within(c: Code, block: number, merges: readonly number[], around: readonly Frame[]): void {
    if (merges.length === 0) {
      this.node(c, block, around);
      return;
    }
    c.op(OP.block, VOID);
    this.within(c, block, merges.slice(1), [...around, { k: "block", follows: merges[0] }]);
    c.op(OP.end);
    this.tree(c, merges[0], around);
  }

  private node(c: Code, n: number, around: readonly Frame[]): void {
    const b: Block<LocalInstr | VisibleInstr> = this.ir.blocks[n];
    this.depth = around.length;
    for (const i of b.instrs) this.instr(c, i);
    const end = b.end;
    if (end.op === "return") {
      this.value(c, end.a);
      c.op(OP.return);
    } else if (end.op === "jump") this.go(c, n, end.to, around);
    else {
      this.value(c, end.cond);
      c.op(OP.if, VOID);
      const inside: readonly Frame[] = [...around, { k: "if" }];
      this.go(c, n, end.then, inside);
      c.op(OP.else);
      this.go(c, n, end.else, inside);
      c.op(OP.end);
    }
  }

  private go(c: Code, from: number, to: number, around: readonly Frame[]): void {
    const back = this.s.order[to] <= this.s.order[from];
    if (!back && !this.s.isMerge[to]) {
      this.tree(c, to, around);
      return;
    }
    for (let i = around.length - 1; i >= 0; i--) {
      const f = around[i];
      if ((back && f.k === "loop" && f.head === to) || (!back && f.k === "block" && f.follows === to)) {
        c.op(OP.br).u(around.length - 1 - i);
        return;
      }
    }
    throw new Error(`no frame for the jump from block ${from} to ${to}`);
  }

  // ---- Values ---------------------------------------------------------------------------------------------

  private value(c: Code, v: Val): void {
    if (v.reg < 0) {
      c.const(v.imm);
      return;
    }
    c.get(this.local[v.reg]);
    if (v.imm !== 0) c.const(v.imm).op(OP.add);
  }

  private put(c: Code, dst: number): void {
    if (dst < 0) c.op(OP.drop);
    else c.set(this.local[dst]);
  }

  /** Leaves for the failing code if the condition that `test` puts on the stack is true. */
  private failIf(c: Code, kind: string, message: string, test: () => void): void {
    c.const(this.failures.length).set(this.code);
    this.failures.push({ kind, message });
    test();
    c.op(OP.brIf).u(this.depth + TO_FAILED);
  }

  private host(c: Code, name: ImportName): void {
    c.call(importNumber.get(name) ?? 0);
  }

  /** Leaves the byte address of a kernel word in t0 and on the stack, checked. */
  private address(c: Code, addr: Val): void {
    this.value(c, addr);
    c.tee(this.t0)
      .const(NULL_GUARD)
      .op(OP.sub)
      .const(this.options.words - NULL_GUARD)
      .op(OP.geU, OP.brIf)
      .u(this.depth + TO_BAD);
    c.get(this.t0).const(2).op(OP.shl);
  }

  /** The word on the stack was poison: t0 holds its address. Leaves it on the stack. */
  private checkPoison(c: Code): void {
    c.tee(this.t1)
      .const(POISON)
      .op(OP.eq, OP.brIf)
      .u(this.depth + TO_POISON)
      .get(this.t1);
  }

  /** Byte address of element `idx` of an array, bounds checked. */
  private element(c: Code, arr: number, idx: Val): void {
    const b = this.bound.get(arr);
    this.failIf(c, "out-of-bounds", this.ir.arrays[arr].name, () => {
      this.value(c, idx);
      c.tee(this.t0);
      if (b === undefined) c.const(this.ir.arrays[arr].size);
      else c.get(b.length);
      c.op(OP.geU);
    });
    c.get(this.t0).const(2).op(OP.shl);
    if (b !== undefined) c.get(b.base).op(OP.add);
  }

  // ---- Instructions ---------------------------------------------------------------------------------------

  private instr(c: Code, i: LocalInstr | VisibleInstr): void {
    switch (i.op) {
      case "mov":
        this.value(c, i.a);
        this.put(c, i.dst);
        return;
      case "cpu":
        c.const(this.ir.cpu);
        this.put(c, i.dst);
        return;
      case "un":
        this.value(c, i.a);
        if (i.fn === "lnot") c.op(OP.eqz);
        else if (i.fn === "not") c.const(-1).op(OP.xor);
        else c.const(-1).op(OP.mul);
        this.put(c, i.dst);
        return;
      case "bin":
        this.bin(c, i);
        return;
      case "aget":
        this.element(c, i.arr, i.idx);
        c.load(this.bound.has(i.arr) ? 0 : this.arrayAt[i.arr] * 4);
        this.put(c, i.dst);
        return;
      case "aset":
        this.element(c, i.arr, i.idx);
        this.value(c, i.a);
        c.store(this.bound.has(i.arr) ? 0 : this.arrayAt[i.arr] * 4);
        return;
      case "assert":
        this.failIf(c, i.kind, i.message, () => {
          this.value(c, i.a);
          c.op(OP.eqz);
        });
        return;
      default:
        this.visible(c, i);
    }
  }

  private bin(c: Code, i: Extract<LocalInstr, { op: "bin" }>): void {
    const simple: Partial<Record<typeof i.fn, number>> = {
      add: OP.add,
      sub: OP.sub,
      mul: OP.mul,
      and: OP.and,
      or: OP.or,
      xor: OP.xor,
      shl: OP.shl,
      shr: OP.shrS,
      ushr: OP.shrU,
      eq: OP.eq,
      ne: OP.ne,
      lt: OP.ltS,
      le: OP.leS,
      gt: OP.gtS,
      ge: OP.geS,
      ult: OP.ltU,
    };
    const op = simple[i.fn];
    if (op !== undefined) {
      this.value(c, i.a);
      this.value(c, i.b);
      c.op(op);
      this.put(c, i.dst);
      return;
    }
    // Division: by zero gives 0, as evalBin() has it; -2^31 / -1 would trap, so -1 is a negation.
    this.value(c, i.b);
    c.set(this.t1);
    this.value(c, i.a);
    c.set(this.t0).get(this.t1).op(OP.eqz).op(OP.if, 0x7f).const(0).op(OP.else);
    if (i.fn === "udiv" || i.fn === "umod") {
      c.get(this.t0)
        .get(this.t1)
        .op(i.fn === "udiv" ? OP.divU : OP.remU)
        .op(OP.end);
      this.put(c, i.dst);
      return;
    }
    c.get(this.t1).const(-1).op(OP.eq).op(OP.if, 0x7f);
    if (i.fn === "div") c.const(0).get(this.t0).op(OP.sub);
    else c.const(0);
    c.op(OP.else)
      .get(this.t0)
      .get(this.t1)
      .op(i.fn === "div" ? OP.divS : OP.remS)
      .op(OP.end, OP.end);
    this.put(c, i.dst);
  }

  private visible(c: Code, i: VisibleInstr): void {
    switch (i.op) {
      case "load":
        this.address(c, i.addr);
        c.atomic(ATOMIC.load);
        this.checkPoison(c);
        this.put(c, i.dst);
        return;
      case "store":
        this.address(c, i.addr);
        this.value(c, i.a);
        c.atomic(ATOMIC.xchg);
        this.checkPoison(c);
        c.op(OP.drop);
        return;
      case "rmw":
        this.rmw(c, i);
        return;
      case "fence":
        return;
      case "await":
        c.op(OP.loop, VOID);
        this.depth++;
        this.address(c, i.addr);
        c.atomic(ATOMIC.load);
        this.checkPoison(c);
        this.depth--;
        c.set(this.t2).get(this.t2);
        this.value(c, i.a);
        c.op(i.cmp === "eq" ? OP.ne : OP.eq).op(OP.if, VOID);
        this.value(c, i.addr);
        c.get(this.t2);
        this.host(c, "wait_word");
        c.op(OP.br).u(1).op(OP.end, OP.end).get(this.t2);
        this.put(c, i.dst);
        return;
      case "local_irq_save":
        this.host(c, i.op);
        this.put(c, i.dst);
        return;
      case "local_irq_restore":
        this.value(c, i.a);
        this.host(c, i.op);
        return;
      case "rcu_read_lock":
      case "rcu_read_unlock":
      case "synchronize_rcu":
        this.host(c, i.op);
        return;
      case "smp_call_function":
        if (i.handler !== "" || i.b.reg >= 0 || i.b.imm !== -1)
          throw new CannotCompile(`smp_call_function() of ${i.handler}`);
        this.host(c, i.op);
        return;
      case "spin_lock":
      case "spin_unlock":
        this.value(c, i.addr);
        this.host(c, i.op);
        return;
      case "spin_trylock":
      case "spin_is_locked":
        this.value(c, i.addr);
        this.host(c, i.op);
        this.put(c, i.dst);
        return;
      case "alloc":
        this.value(c, i.pool);
        this.host(c, "kzalloc");
        this.put(c, i.dst);
        return;
      case "free":
        this.value(c, i.addr);
        this.host(c, "kfree");
        return;
      case "revive":
        this.value(c, i.addr);
        this.host(c, "memory_revive");
        return;
      case "choose":
        this.value(c, i.a);
        this.host(c, "choose");
        this.put(c, i.dst);
        return;
      default:
        throw new CannotCompile(i.op);
    }
  }

  private rmw(c: Code, i: Extract<VisibleInstr, { op: "rmw" }>): void {
    if (i.fn === "add_unless") {
      // As atomic_fetch_add_unless(): read, then compare and swap until it holds.
      this.address(c, i.addr);
      c.atomic(ATOMIC.load);
      this.checkPoison(c);
      c.set(this.t2).op(OP.block, VOID, OP.loop, VOID).get(this.t2);
      this.value(c, i.b);
      c.op(OP.eq, OP.brIf).u(1);
      this.depth += 2;
      c.get(this.t0).const(2).op(OP.shl).get(this.t2).get(this.t2);
      this.value(c, i.a);
      c.op(OP.add).atomic(ATOMIC.cmpxchg);
      this.checkPoison(c);
      this.depth -= 2;
      c.get(this.t2).op(OP.eq, OP.brIf).u(1).get(this.t1).set(this.t2).op(OP.br).u(0).op(OP.end, OP.end);
      c.get(this.t2);
      this.put(c, i.dst);
      return;
    }
    this.address(c, i.addr);
    this.value(c, i.a);
    if (i.fn === "cmpxchg") this.value(c, i.b);
    c.atomic(ATOMIC[i.fn]);
    this.checkPoison(c);
    this.put(c, i.dst);
  }
}

/**
 * Compiles a linked function whose first `boundArrays` arrays are its array parameters. The wasm function
 * takes the values of `ir.params`, then base (byte address) and length of each bound array, and gives what
 * the function returns.
 * @throws CannotCompile, IrreducibleError
 */
export function compileFunction(ir: ThreadIr, boundArrays: number, options: CompileOptions): Compiled {
  return new Compiler(ir, boundArrays, options).compile();
}
