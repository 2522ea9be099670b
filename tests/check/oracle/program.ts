/**
 * A mini-language for small concurrent programs: structured statements over registers, named words, locks and
 * objects, with a printer that shows them as kernel-like source and a lowering to the IR that knows nothing
 * of the dialect compiler. Random programs are made of it, shrink in it, and are printed in it; the classics
 * are written in it.
 */

import {
  type AcquireCmp,
  type AssertKind,
  type AwaitCmp,
  type BinOp,
  type Block,
  constant,
  type FenceKind,
  type LocalInstr,
  type Order,
  type Position,
  type Program,
  type QueueContext,
  type RmwFn,
  type Terminator,
  type ThreadIr,
  type Val,
  type VisibleInstr,
  val,
} from "../../../src/lang/ir.ts";
import type { MemoryImage, MemRegion } from "../../../src/machine/image.ts";

/** A number, a register `r0` (plus an offset), or the address of a word or object. */
export type Value = number | { readonly reg: number; readonly plus?: number } | { readonly address: string };
/** A word by name (plus an offset in words), or where a register points (plus an offset). */
export type Loc =
  | string
  | { readonly at: string; readonly plus: number }
  | { readonly reg: number; readonly plus?: number };

export type Stmt =
  | { readonly s: "load"; readonly dst: number; readonly loc: Loc }
  | { readonly s: "store"; readonly loc: Loc; readonly v: Value }
  | {
      readonly s: "rmw";
      readonly fn: RmwFn;
      readonly dst: number;
      readonly loc: Loc;
      readonly a: Value;
      readonly b?: Value;
    }
  | { readonly s: "fence"; readonly kind: FenceKind }
  | { readonly s: "await"; readonly loc: Loc; readonly cmp: AwaitCmp; readonly v: Value }
  | { readonly s: "lock" | "unlock" | "free" | "revive"; readonly loc: Loc }
  | { readonly s: "trylock" | "is-locked"; readonly dst: number; readonly loc: Loc }
  | { readonly s: "rcu-lock" | "rcu-unlock" | "synchronize_rcu" }
  /** To every other CPU, to those of them in a mask, or to one; `handler(v)` runs there, if there is one. */
  | {
      readonly s: "ipi";
      readonly mask?: Value;
      readonly only?: number;
      readonly handler?: string;
      readonly v?: Value;
    }
  /** Waits until the word compares so, then adds `b`. */
  | {
      readonly s: "acquire";
      readonly dst: number;
      readonly loc: Loc;
      readonly cmp: AcquireCmp;
      readonly a: Value;
      readonly b: Value;
    }
  | {
      readonly s: "queue";
      readonly context: QueueContext;
      readonly handler: string;
      readonly v: Value;
      readonly cpu: Value;
    }
  | { readonly s: "preempt"; readonly by: number }
  | { readonly s: "context"; readonly dst: number }
  /** The thread's array of ARRAY words. */
  | { readonly s: "aset"; readonly idx: Value; readonly v: Value }
  | { readonly s: "aget"; readonly dst: number; readonly idx: Value }
  /** Calls a function of the program, whose parameters are its r0, r1, ...; registers of its own. */
  | { readonly s: "call"; readonly dst: number; readonly fn: string; readonly args: readonly Value[] }
  /** Leaves the function, or ends the thread. */
  | { readonly s: "return"; readonly v: Value }
  | {
      readonly s: "switch";
      readonly a: Value;
      readonly cases: readonly (readonly [number, Body])[];
      readonly other: Body;
    }
  | { readonly s: "call_rcu"; readonly handler: string; readonly v: Value }
  | { readonly s: "irq-save"; readonly dst: number }
  | { readonly s: "irq-restore"; readonly v: Value }
  | { readonly s: "alloc"; readonly dst: number }
  | { readonly s: "choose"; readonly dst: number; readonly n: number }
  | { readonly s: "set"; readonly dst: number; readonly fn: BinOp; readonly a: Value; readonly b: Value }
  | { readonly s: "cpu"; readonly dst: number }
  | {
      readonly s: "assert";
      readonly kind?: AssertKind;
      readonly fn: BinOp;
      readonly a: Value;
      readonly b: Value;
    }
  | {
      readonly s: "if";
      readonly fn: BinOp;
      readonly a: Value;
      readonly b: Value;
      readonly yes: Body;
      readonly no?: Body;
    }
  /** Body `n` times. */
  | { readonly s: "loop"; readonly n: number; readonly body: Body }
  /** do body while (a fn b): as long as it takes. */
  | { readonly s: "while"; readonly fn: BinOp; readonly a: Value; readonly b: Value; readonly body: Body };

export type Body = readonly Stmt[];

export interface MiniProgram {
  readonly threads: readonly Body[];
  /** Functions that may be called; none calls one that stands behind it. */
  readonly functions?: Readonly<Record<string, { readonly params: number; readonly body: Body }>>;
  /** Bodies for call_rcu, IPIs and queues; the argument arrives in r0. */
  readonly handlers?: Readonly<Record<string, Body>>;
  readonly finally?: Body;
  /** Initial values of words that are not 0; `{ address }` for a pointer. */
  readonly init?: Readonly<Record<string, Value>>;
  /** Single words, in memory order. */
  readonly words: readonly string[];
  /** Local variables in memory, dead until a `revive`: name, number of words. */
  readonly locals?: readonly (readonly [string, number])[];
  /** Objects of pool 1: name, number of words, whether it is live at the start. */
  readonly objects?: readonly (readonly [string, number, boolean])[];
  /** Address of the first word (default 64; whatever lies below 64 counts as NULL with an offset). */
  readonly base?: number;
}

const REGS = 6;
/** Words of a thread's own array. */
export const ARRAY = 3;

export interface Layout {
  readonly address: ReadonlyMap<string, number>;
  readonly memory: MemoryImage;
}

export function layout(p: MiniProgram): Layout {
  const address = new Map<string, number>();
  const base = p.base ?? 64;
  let top = base;
  const symbols: MemoryImage["symbols"][number][] = [];
  const regions: MemRegion[] = [];
  const place = (name: string, words: number): number => {
    address.set(name, top);
    symbols.push({ name, base: top, words, count: 0, fields: [] });
    top += words;
    return top - words;
  };
  for (const w of p.words) place(w, 1);
  for (const [name, words, live] of p.objects ?? [])
    regions.push({ name, base: place(name, words), words, pool: 1, live });
  for (const [name, words] of p.locals ?? [])
    regions.push({ name, base: place(name, words), words, pool: 0, live: false, stack: true });
  const words = new Array<number>(top - base).fill(0);
  for (const r of regions) if (!r.live) words.fill(0x6b6b6b6b, r.base - base, r.base - base + r.words);
  for (const [name, v] of Object.entries(p.init ?? {}))
    words[need(address, name) - base] =
      typeof v === "number" ? v : "address" in v ? need(address, v.address) : 0;
  return { address, memory: { words, origin: base, symbols, regions } };
}

function need(address: ReadonlyMap<string, number>, name: string): number {
  const a = address.get(name);
  if (a === undefined) throw new Error(`no word is called ${name}`);
  return a;
}

/** The program as IR; thread i runs on CPU i. */
export function lower(p: MiniProgram, name = "mini"): Program {
  const { address, memory } = layout(p);
  const handlers: Record<string, ThreadIr> = {};
  for (const [h, body] of Object.entries(p.handlers ?? {}))
    handlers[h] = new Lowering(address, p, body, h, 0, [0]).thread();
  return {
    name,
    threads: p.threads.map((body, i) => new Lowering(address, p, body, `P${i}`, i, []).thread()),
    handlers,
    finally: p.finally === undefined ? null : new Lowering(address, p, p.finally, "finally", 0, []).thread(),
    memory,
  };
}

type Instr = LocalInstr | VisibleInstr;

class Lowering {
  readonly #address: ReadonlyMap<string, number>;
  readonly #blocks: { instrs: Instr[]; end: Terminator }[] = [];
  readonly #positions: Position[] = [];
  readonly #name: string;
  readonly #cpu: number;
  readonly #params: readonly number[];
  readonly #functions: NonNullable<MiniProgram["functions"]>;
  #current: Instr[] = [];
  #nregs = REGS;
  /** First register of the function under way, where its result goes, and the blocks that return from it. */
  #base = 0;
  #returns: number[] = [];
  #result = -1;
  #usesArray = false;

  constructor(
    address: ReadonlyMap<string, number>,
    program: MiniProgram,
    body: Body,
    name: string,
    cpu: number,
    params: readonly number[],
  ) {
    this.#address = address;
    this.#name = name;
    this.#cpu = cpu;
    this.#params = params;
    this.#functions = program.functions ?? {};
    this.#open();
    this.#function(body);
    this.#blocks[this.#blocks.length - 1].end = { op: "return", a: constant(0), pos: this.#pos() };
  }

  /** The body, and a block behind it to which its returns lead. */
  #function(body: Body): void {
    const before = this.#returns;
    this.#returns = [];
    this.#body(body);
    const last = this.#blocks.length - 1;
    const pos = this.#pos();
    const after = this.#open();
    for (const b of [...this.#returns, last]) this.#end(b, { op: "jump", to: after, pos });
    this.#returns = before;
  }

  thread(): ThreadIr {
    const names = Array.from({ length: this.#nregs }, (_, i) => (i < REGS ? `r${i}` : ""));
    return {
      name: this.#name,
      cpu: this.#cpu,
      nregs: this.#nregs,
      regNames: names,
      arrays: this.#usesArray ? [{ name: "own", size: ARRAY }] : [],
      params: this.#params,
      blocks: this.#blocks satisfies Block<Instr>[],
      positions: this.#positions,
    };
  }

  #pos(): number {
    this.#positions.push({
      file: `mini/${this.#name}`,
      line: this.#positions.length + 1,
      col: 1,
      fn: this.#name,
      parent: -1,
    });
    return this.#positions.length - 1;
  }

  /** Starts a block and gives its number. */
  #open(): number {
    this.#current = [];
    this.#blocks.push({ instrs: this.#current, end: { op: "return", a: constant(0), pos: 0 } });
    return this.#blocks.length - 1;
  }

  #end(block: number, end: Terminator): void {
    this.#blocks[block].end = end;
  }

  #val(v: Value): Val {
    if (typeof v === "number") return constant(v);
    return "address" in v ? constant(need(this.#address, v.address)) : val(this.#base + v.reg, v.plus ?? 0);
  }

  #reg(r: number): number {
    return this.#base + r;
  }

  #loc(l: Loc): Val {
    if (typeof l === "string") return constant(need(this.#address, l));
    return "at" in l ? constant(need(this.#address, l.at) + l.plus) : val(this.#base + l.reg, l.plus ?? 0);
  }

  #compare(fn: BinOp, a: Value, b: Value): Val {
    const dst = this.#nregs++;
    this.#current.push({ op: "bin", fn, dst, a: this.#val(a), b: this.#val(b), pos: this.#pos() });
    return val(dst);
  }

  #body(body: Body): void {
    for (const s of body) this.#stmt(s);
  }

  #stmt(s: Stmt): void {
    const pos = this.#pos();
    const order: Order = "once";
    const put = (i: Instr): void => void this.#current.push(i);
    switch (s.s) {
      case "load":
        put({ op: "load", dst: this.#reg(s.dst), addr: this.#loc(s.loc), order, pos });
        return;
      case "store":
        put({ op: "store", addr: this.#loc(s.loc), a: this.#val(s.v), order, pos });
        return;
      case "rmw":
        put({
          op: "rmw",
          fn: s.fn,
          dst: this.#reg(s.dst),
          addr: this.#loc(s.loc),
          a: this.#val(s.a),
          b: this.#val(s.b ?? 0),
          order: "mb",
          pos,
        });
        return;
      case "fence":
        put({ op: "fence", kind: s.kind, pos });
        return;
      case "await":
        put({
          op: "await",
          dst: this.#nregs++,
          addr: this.#loc(s.loc),
          cmp: s.cmp,
          a: this.#val(s.v),
          order,
          pos,
        });
        return;
      case "lock":
        put({ op: "spin_lock", addr: this.#loc(s.loc), pos });
        return;
      case "unlock":
        put({ op: "spin_unlock", addr: this.#loc(s.loc), pos });
        return;
      case "free":
      case "revive":
        put({ op: s.s, addr: this.#loc(s.loc), pos });
        return;
      case "trylock":
        put({ op: "spin_trylock", dst: this.#reg(s.dst), addr: this.#loc(s.loc), pos });
        return;
      case "is-locked":
        put({ op: "spin_is_locked", dst: this.#reg(s.dst), addr: this.#loc(s.loc), pos });
        return;
      case "rcu-lock":
        put({ op: "rcu_read_lock", pos });
        return;
      case "rcu-unlock":
        put({ op: "rcu_read_unlock", pos });
        return;
      case "synchronize_rcu":
        put({ op: "synchronize_rcu", pos });
        return;
      case "ipi": {
        let b = constant(s.only === undefined ? -1 : 1 << s.only);
        if (s.mask !== undefined) {
          const [own, bit, others, mask] = [0, 1, 2, 3].map(() => this.#nregs++);
          put({ op: "cpu", dst: own, pos });
          put({ op: "bin", fn: "shl", dst: bit, a: constant(1), b: val(own), pos });
          put({ op: "un", fn: "not", dst: others, a: val(bit), pos });
          put({ op: "bin", fn: "and", dst: mask, a: this.#val(s.mask), b: val(others), pos });
          b = val(mask);
        }
        put({ op: "smp_call_function", handler: s.handler ?? "", a: this.#val(s.v ?? 0), b, pos });
        return;
      }
      case "queue": {
        const { context, handler } = s;
        put({ op: "queue", handler, a: this.#val(s.v), b: this.#val(s.cpu), context, pos });
        return;
      }
      case "acquire":
        put({
          op: "acquire",
          dst: this.#reg(s.dst),
          addr: this.#loc(s.loc),
          cmp: s.cmp,
          a: this.#val(s.a),
          b: this.#val(s.b),
          pos,
        });
        return;
      case "preempt":
        put({ op: "preempt_count_add", a: constant(s.by), pos });
        return;
      case "context":
        put({ op: "context", dst: this.#reg(s.dst), pos });
        return;
      case "aset":
        this.#usesArray = true;
        put({ op: "aset", arr: 0, idx: this.#val(s.idx), a: this.#val(s.v), pos });
        return;
      case "aget":
        this.#usesArray = true;
        put({ op: "aget", dst: this.#reg(s.dst), arr: 0, idx: this.#val(s.idx), pos });
        return;
      case "call": {
        const base = this.#nregs;
        this.#nregs += REGS;
        const args = s.args.map((v) => this.#val(v));
        for (let k = 0; k < REGS; k++) put({ op: "mov", dst: base + k, a: args[k] ?? constant(0), pos });
        const callee = this.#functions[s.fn];
        if (callee === undefined) throw new Error(`no function is called ${s.fn}`);
        const [outer, result] = [this.#base, this.#result];
        this.#result = this.#reg(s.dst);
        put({ op: "mov", dst: this.#result, a: constant(0), pos });
        this.#base = base;
        this.#function(callee.body);
        this.#base = outer;
        this.#result = result;
        return;
      }
      case "return":
        if (this.#result >= 0) put({ op: "mov", dst: this.#result, a: this.#val(s.v), pos });
        this.#returns.push(this.#blocks.length - 1);
        this.#open(); // of what follows nothing is reached
        return;
      case "switch": {
        const ends: number[] = [];
        for (const [n, body] of s.cases) {
          const cond = this.#compare("eq", s.a, n);
          const before = this.#blocks.length - 1;
          const yes = this.#open();
          this.#body(body);
          ends.push(this.#blocks.length - 1);
          const no = this.#open();
          this.#end(before, branch(cond, yes, no, pos));
        }
        this.#body(s.other);
        ends.push(this.#blocks.length - 1);
        const after = this.#open();
        for (const b of ends) this.#end(b, { op: "jump", to: after, pos });
        return;
      }
      case "call_rcu":
        put({ op: "call_rcu", handler: s.handler, a: this.#val(s.v), pos });
        return;
      case "irq-save":
        put({ op: "local_irq_save", dst: this.#reg(s.dst), pos });
        return;
      case "irq-restore":
        put({ op: "local_irq_restore", a: this.#val(s.v), pos });
        return;
      case "alloc":
        put({ op: "alloc", dst: this.#reg(s.dst), pool: constant(1), pos });
        return;
      case "choose":
        put({ op: "choose", dst: this.#reg(s.dst), a: constant(s.n), pos });
        return;
      case "set":
        put({ op: "bin", fn: s.fn, dst: this.#reg(s.dst), a: this.#val(s.a), b: this.#val(s.b), pos });
        return;
      case "cpu":
        put({ op: "cpu", dst: this.#reg(s.dst), pos });
        return;
      case "assert": {
        const a = this.#compare(s.fn, s.a, s.b);
        put({ op: "assert", kind: s.kind ?? "assertion", a, message: show(s)[0], pos });
        return;
      }
      case "if": {
        const cond = this.#compare(s.fn, s.a, s.b);
        const before = this.#blocks.length - 1;
        const yes = this.#open();
        this.#body(s.yes);
        const yesEnd = this.#blocks.length - 1;
        const no = this.#open();
        this.#body(s.no ?? []);
        const noEnd = this.#blocks.length - 1;
        const after = this.#open();
        this.#end(before, branch(cond, yes, no, pos));
        this.#end(yesEnd, { op: "jump", to: after, pos });
        this.#end(noEnd, { op: "jump", to: after, pos });
        return;
      }
      case "loop": {
        const counter = this.#nregs++;
        put({ op: "mov", dst: counter, a: constant(s.n), pos });
        const before = this.#blocks.length - 1;
        const head = this.#open();
        this.#body(s.body);
        this.#current.push({ op: "bin", fn: "sub", dst: counter, a: val(counter), b: constant(1), pos });
        const last = this.#blocks.length - 1;
        const after = this.#open();
        this.#end(before, { op: "jump", to: head, pos });
        this.#end(last, branch(val(counter), head, after, pos));
        return;
      }
      case "while": {
        const before = this.#blocks.length - 1;
        const head = this.#open();
        this.#body(s.body);
        const cond = this.#compare(s.fn, s.a, s.b);
        const last = this.#blocks.length - 1;
        const after = this.#open();
        this.#end(before, { op: "jump", to: head, pos });
        this.#end(last, branch(cond, head, after, pos));
        return;
      }
    }
  }
}

function branch(cond: Val, yes: number, no: number, pos: number): Terminator {
  // biome-ignore lint/suspicious/noThenProperty: the IR's name for it
  return { op: "branch", cond, then: yes, else: no, pos };
}

function showValue(v: Value): string {
  if (typeof v === "number") return String(v);
  if ("address" in v) return `&${v.address}`;
  return (v.plus ?? 0) === 0 ? `r${v.reg}` : `r${v.reg} + ${v.plus}`;
}

function showLoc(l: Loc): string {
  if (typeof l === "string") return l;
  return "at" in l ? `${l.at}[${l.plus}]` : `*(${showValue(l)})`;
}

/** A statement as lines of source. */
function show(s: Stmt): string[] {
  const block = (head: string, body: Body, tail = "}"): string[] => [
    head,
    ...body.flatMap(show).map((l) => `  ${l}`),
    tail,
  ];
  switch (s.s) {
    case "load":
      return [`r${s.dst} = READ_ONCE(${showLoc(s.loc)});`];
    case "store":
      return [`WRITE_ONCE(${showLoc(s.loc)}, ${showValue(s.v)});`];
    case "rmw":
      return [
        `r${s.dst} = ${s.fn}(${showLoc(s.loc)}, ${showValue(s.a)}${s.b === undefined ? "" : `, ${showValue(s.b)}`});`,
      ];
    case "fence":
      return [`fence(${s.kind});`];
    case "await":
      return [`await(${showLoc(s.loc)} ${s.cmp} ${showValue(s.v)});`];
    case "lock":
    case "unlock":
    case "free":
    case "revive":
      return [`${s.s}(${showLoc(s.loc)});`];
    case "trylock":
    case "is-locked":
      return [`r${s.dst} = ${s.s}(${showLoc(s.loc)});`];
    case "rcu-lock":
    case "rcu-unlock":
    case "synchronize_rcu":
      return [`${s.s}();`];
    case "ipi":
      return [
        `ipi(${s.only !== undefined ? `CPU ${s.only}` : showValue(s.mask ?? -1)}, ${s.handler ?? 0}, ${showValue(s.v ?? 0)});`,
      ];
    case "queue":
      return [`queue_${s.context}(${showValue(s.cpu)}, ${s.handler}, ${showValue(s.v)});`];
    case "acquire":
      return [`r${s.dst} = acquire(${showLoc(s.loc)} ${s.cmp} ${showValue(s.a)}, add ${showValue(s.b)});`];
    case "preempt":
      return [`preempt_count_add(${s.by});`];
    case "context":
      return [`r${s.dst} = context();`];
    case "aset":
      return [`own[${showValue(s.idx)}] = ${showValue(s.v)};`];
    case "aget":
      return [`r${s.dst} = own[${showValue(s.idx)}];`];
    case "call":
      return [`r${s.dst} = ${s.fn}(${s.args.map(showValue).join(", ")});`];
    case "return":
      return [`return ${showValue(s.v)};`];
    case "switch":
      return [
        `switch (${showValue(s.a)}) {`,
        ...s.cases.flatMap(([n, body]) => block(`  case ${n}: {`, body, "  }")),
        ...block("  default: {", s.other, "  }"),
        "}",
      ];
    case "call_rcu":
      return [`call_rcu(${s.handler}, ${showValue(s.v)});`];
    case "irq-save":
      return [`r${s.dst} = irq-save();`];
    case "irq-restore":
      return [`irq-restore(${showValue(s.v)});`];
    case "alloc":
      return [`r${s.dst} = alloc();`];
    case "choose":
      return [`r${s.dst} = choose(${s.n});`];
    case "set":
      return [`r${s.dst} = ${showValue(s.a)} ${s.fn} ${showValue(s.b)};`];
    case "cpu":
      return [`r${s.dst} = cpu();`];
    case "assert":
      return [
        `assert(${showValue(s.a)} ${s.fn} ${showValue(s.b)})${s.kind === undefined ? "" : `: ${s.kind}`};`,
      ];
    case "if": {
      const head = block(`if (${showValue(s.a)} ${s.fn} ${showValue(s.b)}) {`, s.yes);
      return s.no === undefined ? head : [...head.slice(0, -1), ...block("} else {", s.no)];
    }
    case "loop":
      return block(`repeat (${s.n}) {`, s.body);
    case "while":
      return block("do {", s.body, `} while (${showValue(s.a)} ${s.fn} ${showValue(s.b)});`);
  }
}

/** The program as source, one column after the other. */
export function print(p: MiniProgram): string {
  const init = Object.entries(p.init ?? {}).map(([k, v]) => `${k} = ${showValue(v)}`);
  const objects = (p.objects ?? []).map(([n, w, live]) => `${n}[${w}]${live ? "" : " (dead)"}`);
  const unit = (head: string, body: Body): string =>
    [`${head}:`, ...body.flatMap(show).map((l) => `  ${l}`)].join("\n");
  return [
    `words ${p.words.join(" ")}; objects ${objects.join(" ")}; init ${init.join(", ")}`,
    ...p.threads.map((b, i) => unit(`P${i}`, b)),
    ...Object.entries(p.handlers ?? {}).map(([h, b]) => unit(`handler ${h}(r0)`, b)),
    ...Object.entries(p.functions ?? {}).map(([f, { params, body }]) => unit(`${f}(${params})`, body)),
    ...(p.finally === undefined ? [] : [unit("finally", p.finally)]),
  ].join("\n");
}

/** Every word of the program, in memory order, for `observe`. */
export function allWords(p: MiniProgram): number[] {
  const { memory } = layout(p);
  const origin = memory.origin ?? 0;
  return memory.words.map((_, i) => i + origin).filter((a) => a > 0);
}
