/**
 * From the syntax of a litmus test to a program of lang/ir.ts: one thread per process, one word per shared
 * location. A parameter is a register that starts as the address of the location of its name; a register that
 * nothing assigns reads 0, as in herd7. Addresses start at an origin that no constant of the test comes near,
 * so that a value is either a number or an address. Semantic errors (unknown macro, wrong arity, argument
 * that is no dereference) are reported here with their place.
 */
import type {
  BinOp,
  Block,
  LocalInstr,
  Position,
  Program,
  Reg,
  Terminator,
  ThreadIr,
  Val,
  VisibleInstr,
} from "../lang/ir.ts";
import { constant, NO_REG, val } from "../lang/ir.ts";
import type { MemSymbol } from "../machine/image.ts";
import type { Expr, LitmusFile, Loc, Proc, Prop, Span, Stmt } from "./ast.ts";
import { BIN, LitmusError } from "./ast.ts";
import type { Primitive, RmwOperand } from "./primitives.ts";
import { isProcedure, NOT_IN_DEF, PRIMITIVES } from "./primitives.ts";

export interface LoweredTest {
  readonly file: LitmusFile;
  readonly program: Program;
  /** Address of each location by name. */
  readonly addresses: ReadonlyMap<string, number>;
  /** Per process, the IR register of each register by name. */
  readonly registers: readonly ReadonlyMap<string, Reg>[];
}

type Instr = LocalInstr | VisibleInstr;
interface OpenBlock {
  instrs: Instr[];
  end: Terminator | null;
}

/** Where addresses start unless the test has constants near it. */
const ORIGIN = 0x2000_0000;

/** Where the locations of a test lie, and their initial values. */
export interface Layout {
  readonly addresses: ReadonlyMap<string, number>;
  readonly memory: Program["memory"];
}

/** Throws LitmusError. */
export function layOut(file: LitmusFile): Layout {
  const addresses = new Map<string, number>();
  const origin = originFor(file);
  const declare = (name: string): void => {
    if (!addresses.has(name)) addresses.set(name, origin + addresses.size);
  };
  for (const init of file.init) {
    if (init.loc.k === "mem") declare(init.loc.name);
    if (init.value.k === "addr") declare(init.value.name);
    if (init.loc.k === "reg" && init.loc.proc >= file.procs.length)
      throw new LitmusError(file.path, file.source, init, `there is no process P${init.loc.proc}`);
  }
  for (const proc of file.procs) for (const param of proc.params) declare(param.name);
  const mention = (loc: Loc): void => {
    if (loc.k === "mem") declare(loc.name);
  };
  for (const loc of file.locations) mention(loc);
  const atom = (a: Atom): void => {
    mention(a.left);
    if (a.right.k === "addr") declare(a.right.name);
    else if (a.right.k === "loc") mention(a.right.loc);
  };
  eachAtom(file.condition, atom);
  if (file.filter !== null) eachAtom(file.filter, atom);

  const words = new Array<number>(addresses.size).fill(0);
  const seen = new Set<string>();
  for (const init of file.init) {
    const key = init.loc.k === "mem" ? init.loc.name : `${init.loc.proc}:${init.loc.name}`;
    if (seen.has(key)) throw new LitmusError(file.path, file.source, init, `'${key}' is initialised twice`);
    seen.add(key);
    if (init.loc.k === "mem")
      words[need(addresses, init.loc.name) - origin] = initValue(init.value, addresses);
  }
  const symbols: MemSymbol[] = [...addresses].map(([name, base]) => ({
    name,
    base,
    words: 1,
    count: 0,
    fields: [],
  }));
  return { addresses, memory: { words, origin, symbols, regions: [] } };
}

/** `strict`: only primitives that linux-kernel.def of Linux 7.3 has. Throws LitmusError. */
export function lowerLitmus(file: LitmusFile, { strict = false } = {}): LoweredTest {
  const { addresses, memory } = layOut(file);
  const lines = lineStarts(file.source);
  const lowered = file.procs.map((proc) => new ThreadLowering(file, proc, addresses, lines, strict).run());
  const program: Program = {
    name: file.name,
    threads: lowered.map((l) => l.thread),
    handlers: {},
    finally: null,
    memory,
  };
  return { file, program, addresses, registers: lowered.map((l) => l.registers) };
}

type Atom = Extract<Prop, { k: "atom" }>;

/** Calls `f` on each atom of a proposition. */
export function eachAtom(p: Prop, f: (atom: Atom) => void): void {
  if (p.k === "atom") f(p);
  else if (p.k === "not") eachAtom(p.p, f);
  else if (p.k === "and" || p.k === "or") for (const q of p.ps) eachAtom(q, f);
  else if (p.k === "implies") {
    eachAtom(p.p, f);
    eachAtom(p.q, f);
  }
}

const need = (m: ReadonlyMap<string, number>, name: string): number => {
  const v = m.get(name);
  if (v === undefined) throw new Error(`location ${name} was not declared`);
  return v;
};

const initValue = (
  v: { k: "num"; value: number } | { k: "addr"; name: string },
  addresses: ReadonlyMap<string, number>,
): number => (v.k === "num" ? v.value : need(addresses, v.name));

/** Moves the addresses away from a constant of the test that is close to the usual origin. */
function originFor(file: LitmusFile): number {
  let origin = ORIGIN;
  if (/\d{8}|0x[0-9a-fA-F]{7}/.test(file.source)) {
    const near = (n: number): boolean => Math.abs(n - origin) < 0x100_0000;
    const constants = [...file.source.matchAll(/\b(0x[0-9a-fA-F]+|\d+)\b/g)].map((m) => Number(m[1]) | 0);
    while (constants.some(near)) origin += 0x100_0000;
  }
  return origin;
}

function lineStarts(source: string): number[] {
  const starts = [0];
  for (let i = source.indexOf("\n"); i !== -1; i = source.indexOf("\n", i + 1)) starts.push(i + 1);
  return starts;
}

class ThreadLowering {
  readonly file: LitmusFile;
  readonly proc: Proc;
  readonly addresses: ReadonlyMap<string, number>;
  readonly lines: readonly number[];
  readonly strict: boolean;
  readonly registers = new Map<string, Reg>();
  readonly regNames: string[] = [];
  readonly positions: Position[] = [];
  readonly blocks: OpenBlock[] = [{ instrs: [], end: null }];
  at = 0;
  /** Number of the statement or condition that is being lowered. */
  group = 0;

  constructor(
    file: LitmusFile,
    proc: Proc,
    addresses: ReadonlyMap<string, number>,
    lines: readonly number[],
    strict: boolean,
  ) {
    this.file = file;
    this.proc = proc;
    this.addresses = addresses;
    this.lines = lines;
    this.strict = strict;
  }

  run(): { thread: ThreadIr; registers: ReadonlyMap<string, Reg> } {
    const pos = this.#pos(this.proc);
    for (const p of this.proc.params) {
      if (this.registers.has(p.name)) this.#fail(p, `parameter '${p.name}' is named twice`);
      this.#emit({ op: "mov", pos, dst: this.#reg(p.name), a: constant(need(this.addresses, p.name)) });
    }
    for (const init of this.file.init) {
      if (init.loc.k === "reg" && init.loc.proc === this.proc.index)
        this.#emit({
          op: "mov",
          pos,
          dst: this.#reg(init.loc.name),
          a: constant(initValue(init.value, this.addresses)),
        });
    }
    for (const s of this.proc.body) this.#stmt(s);
    this.#end({ op: "return", pos, a: constant(0) });
    const thread: ThreadIr = {
      name: `P${this.proc.index}`,
      cpu: this.proc.index,
      nregs: this.regNames.length,
      regNames: this.regNames,
      arrays: [],
      params: [],
      // Every block has been ended: #open() ends the one before, and the last one has the return.
      blocks: this.blocks.map((b): Block<Instr> => ({ instrs: b.instrs, end: b.end! })),
      positions: this.positions,
    };
    return { thread, registers: this.registers };
  }

  #fail(span: Span, message: string): never {
    throw new LitmusError(this.file.path, this.file.source, span, message);
  }

  #pos(span: Span): number {
    // The last line that starts at or before the place.
    let line = 1;
    for (let high = this.lines.length; line < high; ) {
      const middle = (line + high + 1) >> 1;
      if ((this.lines[middle - 1] ?? 0) <= span.from) line = middle;
      else high = middle - 1;
    }
    const col = span.from - (this.lines[line - 1] ?? 0) + 1;
    return (
      this.positions.push({ file: this.file.path, line, col, fn: `P${this.proc.index}`, parent: -1 }) - 1
    );
  }

  #reg(name: string): Reg {
    let r = this.registers.get(name);
    if (r === undefined) {
      r = this.#temp(name);
      this.registers.set(name, r);
    }
    return r;
  }

  #temp(name = ""): Reg {
    return this.regNames.push(name) - 1;
  }

  #emit(i: Instr): void {
    this.blocks[this.at].instrs.push({ ...i, group: this.group });
  }

  #end(t: Terminator): void {
    this.blocks[this.at].end = t;
  }

  #branch(pos: number, cond: Val, then: number, other: number): void {
    this.#end({ op: "branch", pos, cond, then, else: other });
  }

  #open(): number {
    return this.blocks.push({ instrs: [], end: null }) - 1;
  }

  #stmt(s: Stmt): void {
    this.group++;
    switch (s.k) {
      case "block":
        for (const t of s.body) this.#stmt(t);
        return;
      case "assign":
        if (s.value !== null) this.#expr(s.value, this.#reg(s.name));
        else this.#reg(s.name);
        return;
      case "store": {
        const addr = this.#expr(s.addr);
        const a = this.#expr(s.value);
        this.#emit({ op: "store", pos: this.#pos(s), addr, a, order: "plain" });
        return;
      }
      case "void":
        this.#expr(s.expr);
        return;
      case "proc":
        this.#procedure(s.name, s.args, s);
        return;
      case "if": {
        const cond = this.#expr(s.cond);
        const pos = this.#pos(s);
        const then = this.#open();
        const other = s.else === null ? -1 : this.#open();
        const join = this.#open();
        this.#branch(pos, cond, then, other === -1 ? join : other);
        this.at = then;
        this.#stmt(s.then);
        this.#end({ op: "jump", pos, to: join });
        if (s.else !== null) {
          this.at = other;
          this.#stmt(s.else);
          this.#end({ op: "jump", pos, to: join });
        }
        this.at = join;
        return;
      }
      case "while": {
        const pos = this.#pos(s);
        const head = this.#open();
        const body = this.#open();
        const after = this.#open();
        this.#end({ op: "jump", pos, to: head });
        this.at = head;
        this.group++;
        const cond = this.#expr(s.cond);
        this.#branch(pos, cond, body, after);
        this.at = body;
        this.#stmt(s.body);
        this.#end({ op: "jump", pos, to: head });
        this.at = after;
        return;
      }
    }
  }

  /** The value of an expression; in register `dst` if one is given. */
  #expr(e: Expr, dst: Reg = NO_REG): Val {
    const pos = e.k === "name" || e.k === "num" ? 0 : this.#pos(e);
    switch (e.k) {
      case "num":
        return this.#move(constant(e.value), dst, e);
      case "name":
        return this.#move(val(this.#reg(e.name)), dst, e);
      case "deref": {
        const addr = this.#expr(e.of);
        const to = dst === NO_REG ? this.#temp() : dst;
        this.#emit({ op: "load", pos, dst: to, addr, order: "plain" });
        return val(to);
      }
      case "bin": {
        const a = this.#expr(e.a);
        const b = this.#expr(e.b);
        const to = dst === NO_REG ? this.#temp() : dst;
        this.#emit({ op: "bin", pos, fn: BIN[e.op], dst: to, a, b });
        return val(to);
      }
      case "call": {
        const p = this.#primitive(e.name, e.args, e);
        if (isProcedure(p)) this.#fail(e, `macro ${e.name} gives no value`);
        const to = dst === NO_REG ? this.#temp() : dst;
        this.#valued(p, e.args, to, pos);
        return val(to);
      }
    }
  }

  #move(v: Val, dst: Reg, e: Span): Val {
    if (dst === NO_REG) return v;
    this.#emit({ op: "mov", pos: this.#pos(e), dst, a: v });
    return val(dst);
  }

  #primitive(name: string, args: readonly Expr[], span: Span): Primitive {
    const p = PRIMITIVES.get(name);
    if (p === undefined || (this.strict && NOT_IN_DEF.has(name))) this.#fail(span, `Unknown macro ${name}`);
    if (args.length !== p.arity)
      this.#fail(
        span,
        `macro ${name} takes ${p.arity} argument${p.arity === 1 ? "" : "s"}, not ${args.length}`,
      );
    return p;
  }

  #address(e: Expr, deref: boolean): Val {
    if (!deref) return this.#expr(e);
    if (e.k !== "deref") this.#fail(e, "expected a dereference such as '*x' as argument");
    return this.#expr(e.of);
  }

  #operand(o: RmwOperand, args: readonly Val[], pos: number): Val {
    if ("value" in o) return constant(o.value);
    const a = args[o.arg] ?? constant(0);
    if (o.as === undefined) return a;
    if (a.reg === NO_REG) return constant(o.as === "neg" ? -a.imm : ~a.imm);
    const dst = this.#temp();
    this.#emit({ op: "un", pos, fn: o.as, dst, a });
    return val(dst);
  }

  #valued(p: Primitive, args: readonly Expr[], dst: Reg, pos: number): void {
    const first = args[0]; // the arity has been checked, and these have one argument or more
    switch (p.k) {
      case "load":
        this.#emit({ op: "load", pos, dst, addr: this.#address(first, p.deref), order: p.order });
        return;
      case "lock-test":
        this.#emit({ op: p.op, pos, dst, addr: this.#expr(first) });
        return;
      case "srcu-lock":
        this.#emit({ op: "srcu_read_lock", pos, dst, addr: this.#expr(first) });
        return;
      case "rmw": {
        const vals = args.map((a) => this.#expr(a));
        const addr = vals[p.addr] ?? constant(0);
        const a = this.#operand(p.a, vals, pos);
        const b = this.#operand(p.b, vals, pos);
        const old = p.result === "old" || p.result === "none" ? dst : this.#temp();
        this.#emit({ op: "rmw", pos, fn: p.fn, dst: old, addr, a, b, order: p.order });
        const test = (fn: BinOp, x: Val, y: Val, to: Reg) =>
          this.#emit({ op: "bin", pos, fn, dst: to, a: x, b: y });
        if (p.result === "succeeded") test("ne", val(old), b, dst);
        if (p.result === "new") test("add", val(old), a, dst);
        if (p.result === "new==0" || p.result === "new<0") {
          const sum = this.#temp();
          test("add", val(old), a, sum);
          test(p.result === "new==0" ? "eq" : "lt", val(sum), constant(0), dst);
        }
        return;
      }
      default:
        throw new Error(`${p.k} gives no value`);
    }
  }

  #procedure(name: string, args: readonly Expr[], span: Span): void {
    const p = this.#primitive(name, args, span);
    const pos = this.#pos(span);
    const first = args[0]; // only used by those that have arguments
    switch (p.k) {
      case "fence":
        this.#emit({ op: "fence", pos, kind: p.fence });
        return;
      case "rcu":
        this.#emit({ op: p.op, pos });
        return;
      case "lock":
        this.#emit({ op: p.op, pos, addr: this.#expr(first) });
        return;
      case "srcu-sync":
        this.#emit({ op: "synchronize_srcu", pos, addr: this.#expr(first) });
        return;
      case "srcu-unlock": {
        const addr = this.#expr(first);
        this.#emit({ op: "srcu_read_unlock", pos, addr, a: this.#expr(args[1]) });
        return; // arity 2, checked
      }
      case "store": {
        const addr = this.#address(first, p.deref);
        this.#emit({ op: "store", pos, addr, a: this.#expr(args[1]), order: p.order }); // arity 2, checked
        if (p.fence !== undefined) {
          this.group++;
          this.#emit({ op: "fence", pos, kind: p.fence });
        }
        return;
      }
      default:
        // herd7 has value-giving macros only inside expressions.
        if (!isProcedure(p))
          this.#fail(span, `Unknown macro ${name}: as a statement it must be written '(void) ${name}(...)'`);
        this.#valued(p, args, this.#temp(), pos);
    }
  }
}
