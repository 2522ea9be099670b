/**
 * Symbolic execution of one thread. A *path* is one way through a thread: its events in program order, with
 * symbolic values over what its reads will return, the conditions under which it is taken, and for each event
 * the reads that its address, its data and its being executed depend on (the LKMM's addr, data and ctrl,
 * before they are carried through memory). Reads are not given values here; the search does that by choosing
 * whom they read from.
 *
 * As in herd7's C semantics, a control dependency covers the arms of the branch and not what follows it (that
 * is, blocks up to the immediate postdominator). Loops are unrolled a bounded number of times; a path that
 * would go on is cut and marked. Allocation, interrupts, IPIs and call_rcu are not covered: `explore` is for
 * these.
 */
import type { BinOp, FenceKind, Order, Reg, ThreadIr, UnOp, Val, VisibleInstr } from "../../lang/ir.ts";
import { evalBin, evalUn } from "../../lang/ir.ts";
import { postdominators } from "../../lang/postdom.ts";
import { arithmetic } from "./arithmetic.ts";
import { valuesOf } from "./feasible.ts";

/** A value: a constant, or an expression over the reads of the path. */
export type Sym = number | SymNode;
export type SymNode =
  | { readonly k: "read"; readonly event: number }
  | { readonly k: "bin"; readonly fn: BinOp; readonly a: Sym; readonly b: Sym }
  | { readonly k: "un"; readonly fn: UnOp; readonly a: Sym };

/**
 * Event kinds, LKMM names: LKR/LKW/UL spin_lock and unlock, LF failed trylock, RL/RU spin_is_locked
 * true/false.
 */
export type EventKind =
  | "R"
  | "W"
  | "F"
  | "LKR"
  | "LKW"
  | "UL"
  | "LF"
  | "RL"
  | "RU"
  | "rcu-lock"
  | "rcu-unlock"
  | "sync-rcu"
  | "srcu-lock"
  | "srcu-unlock"
  | "sync-srcu";

export interface PathEvent {
  readonly kind: EventKind;
  readonly fence: FenceKind | null;
  readonly order: Order;
  /** Address, -1 for events without one. */
  readonly loc: number;
  /** What the address was computed as: its value is tied to `loc` by a constraint. */
  readonly addr: Sym;
  /** What a write stores; for a read, the node that stands for its value. */
  readonly value: Sym;
  readonly addrDeps: readonly number[];
  readonly dataDeps: readonly number[];
  readonly ctrlDeps: readonly number[];
  /** Earlier events of the path that do not come before this one: accesses of one C expression. */
  readonly unordered: readonly number[];
  /** The other half of a read-modify-write, -1 if there is none. */
  readonly rmw: number;
  /** A failed RMW: a read whose ordering tag counts for nothing. */
  readonly failed: boolean;
  readonly pos: number;
}

/** The path is taken only if `sym == value` (or, `eq` false, differs from it). */
export interface Constraint {
  readonly sym: Sym;
  readonly eq: boolean;
  readonly value: number;
  /** It ties an address: an execution that leaves it undetermined has no meaning and is dropped. */
  readonly address: boolean;
}

export interface Path {
  readonly events: readonly PathEvent[];
  /** Final value of every register. */
  readonly regs: readonly Sym[];
  readonly constraints: readonly Constraint[];
  /** Results of arithmetic on what reads return, used or not. */
  readonly computed: readonly SymNode[];
  /**
   * Null for a whole path; of one that was cut at the unrolling bound, the stores that may lie beyond the
   * cut.
   */
  readonly cut: readonly LaterStore[] | null;
  /** Position of an access to something that is no location, or -1. */
  readonly invalid: number;
}

/** A store that code beyond a cut may do; null where the address or the value is not known. */
export interface LaterStore {
  readonly loc: number | null;
  readonly value: number | null;
}

/** The program cannot be enumerated: it uses what this engine does not cover, or is too large for it. */
export class EnumerateError extends Error {
  readonly kind: "unsupported" | "gave-up" | "invalid-address" | "no-value";
  constructor(kind: EnumerateError["kind"], message: string) {
    super(message);
    this.name = "EnumerateError";
    this.kind = kind;
  }
}

export interface PathOptions {
  /** How often a block may be entered again; herd7's -unroll. */
  readonly unroll: number;
  /** Most paths of one thread. */
  readonly maxPaths: number;
  /** Most events of one path. */
  readonly maxEvents: number;
  /** Every location, for accesses through a computed address. */
  readonly locations: readonly number[];
  /** What a location may hold, null for anything; see ranges.ts. */
  readonly ranges?: (loc: number) => ReadonlySet<number> | null;
  /** Throws when it is time to stop. */
  readonly check: () => void;
}

const NONE: readonly number[] = [];
/** Symbolic values of one path, and what one is made of: that is walked by recursion. */
const MAX_COMPUTED = 2000;
const MAX_SIZE = 5000;

function unionDeps(a: readonly number[], b: readonly number[]): readonly number[] {
  if (a.length === 0 || a === b) return b;
  if (b.length === 0) return a;
  const out = a.slice();
  for (const x of b) if (!out.includes(x)) out.push(x);
  return out;
}

/** An expression; constants are folded, unless `keep` says that theirs has no value. */
function symBin(fn: BinOp, a: Sym, b: Sym, keep?: (a: number, b: number) => boolean): Sym {
  if (typeof a === "number" && typeof b === "number" && keep?.(a, b) !== true) return evalBin(fn, a, b);
  if (a === b && (fn === "xor" || fn === "sub")) return 0;
  return { k: "bin", fn, a, b };
}

function symUn(fn: UnOp, a: Sym): Sym {
  return typeof a === "number" ? evalUn(fn, a) : { k: "un", fn, a };
}

/**
 * The stores of all code that can be reached from block `from`, as far as registers that it leaves alone tell
 * them.
 */
function laterStores(blocks: ThreadIr["blocks"], from: number, regs: readonly Sym[]): LaterStore[] {
  const reached = new Set([from]);
  for (const b of reached) {
    const { end } = blocks[b];
    if (end.op === "jump") reached.add(end.to);
    else if (end.op === "branch") reached.add(end.then).add(end.else);
  }
  const code = [...reached].flatMap((b) => blocks[b].instrs);
  const assigned = new Set(code.flatMap((i) => ("dst" in i ? [i.dst] : [])));
  const known = (v: Val): number | null => {
    if (v.reg < 0) return v.imm;
    const r = assigned.has(v.reg) ? null : regs[v.reg];
    return typeof r === "number" ? (r + v.imm) | 0 : null;
  };
  return code.flatMap((i): LaterStore[] => {
    if (i.op === "store" || i.op === "srcu_read_unlock") return [{ loc: known(i.addr), value: known(i.a) }];
    return i.op === "rmw" ? [{ loc: known(i.addr), value: null }] : [];
  });
}

type NewEvent = Partial<PathEvent> & { readonly kind: EventKind; readonly pos: number };

/** An access: where to, and the events of its statement that its address comes from. */
interface At {
  readonly access: Pick<PathEvent, "loc" | "addr" | "addrDeps" | "pos">;
  readonly before: readonly number[];
}

interface Control {
  readonly deps: readonly number[];
  readonly until: number;
}

class State {
  block = 0;
  at = 0;
  readonly sym: Sym[];
  readonly deps: (readonly number[])[];
  readonly events: PathEvent[];
  readonly constraints: Constraint[];
  readonly computed: SymNode[];
  control: readonly Control[];
  readonly visits: number[];
  /** Number of the C statement that is being run, -1 if the code does not say. */
  group = -1;
  /** Its first event. */
  first = 0;
  /** Reads that a branch in it depends on: its own, and those that registers in it come from. */
  touched: readonly number[] = NONE;
  /** Per register, the events of the statement that give its value. */
  outputs: (readonly number[] | undefined)[] = [];

  constructor(from: State | null, nregs: number, nblocks: number) {
    this.sym = from === null ? new Array<Sym>(nregs).fill(0) : from.sym.slice();
    this.deps = from === null ? new Array<readonly number[]>(nregs).fill(NONE) : from.deps.slice();
    this.events = from === null ? [] : from.events.slice();
    this.constraints = from === null ? [] : from.constraints.slice();
    this.computed = from === null ? [] : from.computed.slice();
    this.control = from === null ? [] : from.control;
    this.visits = from === null ? new Array<number>(nblocks).fill(0) : from.visits.slice();
    this.block = from === null ? 0 : from.block;
    this.at = from === null ? 0 : from.at;
    if (from !== null) {
      this.group = from.group;
      this.first = from.first;
      this.touched = from.touched;
      this.outputs = from.outputs.slice();
    }
  }

  /** Begins statement `group`. */
  begin(group: number): void {
    this.group = group;
    this.first = this.events.length;
    this.touched = NONE;
    this.outputs = [];
  }
}

/** All paths of a thread. */
export function pathsOf(thread: ThreadIr, options: PathOptions): Path[] {
  return new PathWalk(thread, options).run();
}

class PathWalk {
  readonly thread: ThreadIr;
  readonly options: PathOptions;
  readonly ipdom: readonly number[];
  readonly out: Path[] = [];
  readonly work: State[] = [];
  readonly #sizes = new WeakMap<Exclude<Sym, number>, number>();

  constructor(thread: ThreadIr, options: PathOptions) {
    this.thread = thread;
    this.options = options;
    this.ipdom = postdominators(thread.blocks);
  }

  run(): Path[] {
    const first = new State(null, this.thread.nregs, this.thread.blocks.length);
    this.work.push(first);
    for (let s = this.work.pop(); s !== undefined; s = this.work.pop()) {
      this.#walk(s);
      if ((this.out.length & 63) === 63) this.options.check();
      if (this.out.length > this.options.maxPaths)
        throw new EnumerateError(
          "gave-up",
          `${this.thread.name} has more than ${this.options.maxPaths} paths`,
        );
    }
    return this.out;
  }

  #walk(s: State): void {
    for (;;) {
      const block = this.thread.blocks[s.block];
      while (s.at < block.instrs.length) {
        const i = block.instrs[s.at++];
        if (i.group !== undefined && i.group !== s.group) s.begin(i.group);
        switch (i.op) {
          case "mov":
            this.#set(s, i.dst, this.#val(s, i.a), this.#deps(s, i.a), this.#outputs(s, i.a));
            break;
          case "bin": {
            const v = this.#bin(s, i.fn, this.#val(s, i.a), this.#val(s, i.b));
            const deps = unionDeps(this.#deps(s, i.a), this.#deps(s, i.b));
            this.#set(s, i.dst, v, deps, unionDeps(this.#outputs(s, i.a), this.#outputs(s, i.b)));
            break;
          }
          case "un":
            this.#set(
              s,
              i.dst,
              this.#un(s, i.fn, this.#val(s, i.a)),
              this.#deps(s, i.a),
              this.#outputs(s, i.a),
            );
            break;
          case "cpu":
            this.#set(s, i.dst, this.thread.cpu, NONE, NONE);
            break;
          case "aget":
          case "aset":
          case "assert":
            throw new EnumerateError("unsupported", `'${i.op}' is not supported by the enumerating engine`);
          default:
            if (!this.#visible(s, i)) return;
        }
      }
      const end = block.end;
      if (end.op === "return") {
        this.#finish(s, null, -1);
        return;
      }
      let to = 0;
      if (end.op === "jump") {
        to = end.to;
      } else {
        const cond = this.#val(s, end.cond);
        const deps = unionDeps(this.#deps(s, end.cond), s.touched);
        const until = this.ipdom[s.block] ?? -1;
        if (deps.length > 0) s.control = [...s.control, { deps, until }];
        if (typeof cond === "number") {
          to = cond !== 0 ? end.then : end.else;
        } else {
          const other = new State(s, 0, 0);
          if (this.#assume(other, cond, true, 0, false) && this.#enter(other, end.else))
            this.work.push(other);
          if (!this.#assume(s, cond, false, 0, false)) return;
          to = end.then;
        }
      }
      if (!this.#enter(s, to)) return;
    }
  }

  /** Moves to a block; false if the path ends at the unrolling bound. */
  #enter(s: State, to: number): boolean {
    s.block = to;
    s.at = 0;
    if (s.group >= 0) s.begin(-1);
    if (s.control.some((c) => c.until === to)) s.control = s.control.filter((c) => c.until !== to);
    const visits = (s.visits[to] ?? 0) + 1;
    s.visits[to] = visits;
    if (visits <= this.options.unroll + 1) return true;
    this.#finish(s, laterStores(this.thread.blocks, to, s.sym), -1);
    return false;
  }

  #finish(s: State, cut: Path["cut"], invalid: number): void {
    const { events, sym: regs, constraints, computed } = s;
    this.out.push({ events, regs, constraints, computed, cut, invalid });
  }

  /** What has no value, such as the sum of two addresses, is left to be noticed where it is met. */
  #bin(s: State, fn: BinOp, a: Sym, b: Sym): Sym {
    const here = this.options.locations;
    const none = (x: number, y: number): boolean =>
      Number.isNaN(arithmetic(fn, x, y, here.includes(x), here.includes(y)));
    return this.#compute(s, symBin(fn, a, b, none));
  }

  #un(s: State, fn: UnOp, a: Sym): Sym {
    const address = typeof a === "number" && this.options.locations.includes(a);
    return this.#compute(s, address ? { k: "un", fn, a } : symUn(fn, a));
  }

  #compute(s: State, v: Sym): Sym {
    if (typeof v === "number" || v.k === "read") return v;
    if (s.computed.push(v) > MAX_COMPUTED)
      throw new EnumerateError(
        "gave-up",
        `${this.thread.name} computes more than ${MAX_COMPUTED} values from what it reads`,
      );
    if (this.#size(v) > MAX_SIZE)
      throw new EnumerateError(
        "gave-up",
        `${this.thread.name} computes a value in more than ${MAX_SIZE} steps from what it reads`,
      );
    return v;
  }

  /** Operations and reads of an expression, those of a part that occurs twice twice. */
  #size(v: Sym): number {
    if (typeof v === "number") return 0;
    if (v.k === "read") return 1;
    let n = this.#sizes.get(v);
    if (n === undefined) {
      n = 1 + this.#size(v.a) + (v.k === "bin" ? this.#size(v.b) : 0);
      this.#sizes.set(v, n);
    }
    return n;
  }

  #val(s: State, v: Val): Sym {
    if (v.reg < 0) return v.imm;
    const r = s.sym[v.reg] ?? 0;
    return v.imm === 0 ? r : symBin("add", r, v.imm);
  }

  #deps(s: State, v: Val): readonly number[] {
    const deps = v.reg < 0 ? NONE : (s.deps[v.reg] ?? NONE);
    if (s.group >= 0) s.touched = unionDeps(s.touched, deps);
    return deps;
  }

  #outputs(s: State, v: Val): readonly number[] {
    return v.reg < 0 ? NONE : (s.outputs[v.reg] ?? NONE);
  }

  /** Earlier events of the statement that do not come before one that uses what the events `before` give. */
  #unordered(s: State, before: readonly number[]): readonly number[] {
    const n = s.events.length;
    if (s.group < 0 || n === s.first) return NONE;
    const ordered = new Set(before);
    const out: number[] = [];
    for (let j = n - 1; j >= s.first; j--) {
      if (!ordered.has(j)) out.push(j);
      else for (let i = s.first; i < j; i++) if (!s.events[j].unordered.includes(i)) ordered.add(i);
    }
    return out.length === 0 ? NONE : out;
  }

  /** What an expression may be worth, null for anything. */
  #range(s: State, sym: Sym): ReadonlySet<number> | null {
    const { ranges } = this.options;
    return ranges === undefined ? null : valuesOf(sym, s, ranges);
  }

  /** Adds a constraint; false if it contradicts one that is there, or what locations may hold. */
  #assume(s: State, sym: Sym, eq: boolean, value: number, address: boolean): boolean {
    if (typeof sym === "number") return (sym === value) === eq;
    const range = this.#range(s, sym);
    if (range !== null && (eq ? !range.has(value) : range.size === 1 && range.has(value))) return false;
    for (const c of s.constraints) {
      if (c.sym !== sym) continue;
      if (c.value === value) {
        if (c.eq !== eq) return false;
        return true;
      }
      if (c.eq && eq) return false;
    }
    s.constraints.push({ sym, eq, value, address });
    return true;
  }

  /** `before`: the events of the statement whose values it uses. */
  #event(s: State, e: NewEvent, before: readonly number[] = NONE): number {
    if (s.events.length >= this.options.maxEvents)
      throw new EnumerateError(
        "gave-up",
        `${this.thread.name} has more than ${this.options.maxEvents} events`,
      );
    let ctrlDeps = NONE;
    for (const c of s.control) ctrlDeps = unionDeps(ctrlDeps, c.deps);
    return (
      s.events.push({
        kind: e.kind,
        fence: e.fence ?? null,
        order: e.order ?? "plain",
        loc: e.loc ?? -1,
        addr: e.addr ?? 0,
        value: e.value ?? 0,
        addrDeps: e.addrDeps ?? NONE,
        dataDeps: e.dataDeps ?? NONE,
        ctrlDeps,
        unordered: this.#unordered(s, before),
        rmw: e.rmw ?? -1,
        failed: e.failed ?? false,
        pos: e.pos,
      }) - 1
    );
  }

  /** Runs a visible instruction; false if the path has been given to others or has ended. */
  #visible(s: State, i: VisibleInstr): boolean {
    switch (i.op) {
      case "fence":
        this.#event(s, { kind: "F", fence: i.kind, pos: i.pos });
        return true;
      case "rcu_read_lock":
        this.#event(s, { kind: "rcu-lock", pos: i.pos });
        return true;
      case "rcu_read_unlock":
        this.#event(s, { kind: "rcu-unlock", pos: i.pos });
        return true;
      case "synchronize_rcu":
        this.#event(s, { kind: "sync-rcu", pos: i.pos });
        return true;
      case "call_rcu":
      case "local_irq_save":
      case "local_irq_restore":
      case "smp_call_function":
      case "queue":
      case "preempt_count_add":
      case "context":
      case "acquire":
      case "alloc":
      case "free":
      case "revive":
      case "spawn":
      case "choose":
        throw new EnumerateError("unsupported", `'${i.op}' is not supported by the enumerating engine`);
      default: {
        const addr = this.#val(s, i.addr);
        const deps = this.#deps(s, i.addr);
        const here = this.options.locations;
        if (typeof addr === "number") {
          if (here.includes(addr)) return this.#access(s, i, addr, addr, deps);
          this.#finish(s, null, i.pos);
          return false;
        }
        // A computed address: one path for each location that it may be, and one for anything else.
        const range = this.#range(s, addr);
        for (const loc of here) {
          if (range?.has(loc) === false) continue;
          const t = new State(s, 0, 0);
          if (this.#assume(t, addr, true, loc, true) && this.#access(t, i, loc, addr, deps))
            this.work.push(t);
        }
        if (range !== null && [...range].every((v) => here.includes(v))) return false;
        for (const loc of here) if (!this.#assume(s, addr, false, loc, true)) return false;
        this.#finish(s, null, i.pos);
        return false;
      }
    }
  }

  #set(s: State, dst: Reg, value: Sym, deps: readonly number[], outputs: readonly number[] = deps): void {
    s.sym[dst] = value;
    s.deps[dst] = deps;
    if (s.group >= 0) s.outputs[dst] = outputs;
  }

  #read(s: State, e: NewEvent, before: readonly number[]): number {
    const r = this.#event(s, { ...e, value: { k: "read", event: s.events.length } }, before);
    if (s.group >= 0) s.touched = unionDeps(s.touched, [r]);
    return r;
  }

  /** A read that has no value: a trylock that failed, or spin_is_locked(). */
  #test(s: State, kind: "LF" | "RL" | "RU", at: At): number {
    const r = this.#event(s, { kind, order: "once", ...at.access }, at.before);
    if (s.group >= 0) s.touched = unionDeps(s.touched, [r]);
    return r;
  }

  /** An access to a known location. Forks go to the work list; the caller goes on with `s`. */
  #access(
    s: State,
    i: Extract<VisibleInstr, { addr: Val }>,
    loc: number,
    addr: Sym,
    addrDeps: readonly number[],
  ): boolean {
    const at: At = { access: { loc, addr, addrDeps, pos: i.pos }, before: this.#outputs(s, i.addr) };
    switch (i.op) {
      case "load": {
        const r = this.#read(s, { kind: "R", order: i.order, ...at.access }, at.before);
        this.#set(s, i.dst, { k: "read", event: r }, [r]);
        return true;
      }
      case "store":
      case "srcu_read_unlock": {
        const kind = i.op === "store" ? "W" : "srcu-unlock";
        const order = i.op === "store" ? i.order : "once";
        const e = {
          kind,
          order,
          value: this.#val(s, i.a),
          dataDeps: this.#deps(s, i.a),
          ...at.access,
        } as const;
        this.#event(s, e, unionDeps(at.before, this.#outputs(s, i.a)));
        return true;
      }
      case "await": {
        const r = this.#read(s, { kind: "R", order: i.order, ...at.access }, at.before);
        const node: Sym = { k: "read", event: r };
        this.#set(s, i.dst, node, [r]);
        const a = this.#val(s, i.a);
        if (typeof a === "number") return this.#assume(s, node, i.cmp === "eq", a, false);
        return this.#assume(s, symBin(i.cmp, node, a), false, 0, false);
      }
      case "rmw":
        return this.#rmw(s, i, at);
      case "spin_lock":
        this.#lock(s, at);
        return true;
      case "spin_unlock":
        this.#event(s, { kind: "UL", order: "release", ...at.access }, at.before);
        return true;
      case "spin_trylock": {
        const failed = new State(s, 0, 0);
        this.#set(failed, i.dst, 0, [this.#test(failed, "LF", at)]);
        this.work.push(failed);
        const lkr = this.#lock(s, at);
        this.#set(s, i.dst, 1, [lkr], [lkr + 1]);
        return true;
      }
      case "spin_is_locked": {
        const unlocked = new State(s, 0, 0);
        this.#set(unlocked, i.dst, 0, [this.#test(unlocked, "RU", at)]);
        this.work.push(unlocked);
        this.#set(s, i.dst, 1, [this.#test(s, "RL", at)]);
        return true;
      }
      case "srcu_read_lock": {
        const r = this.#read(s, { kind: "srcu-lock", order: "once", ...at.access }, at.before);
        this.#set(s, i.dst, { k: "read", event: r }, [r]);
        return true;
      }
      case "synchronize_srcu":
        this.#event(s, { kind: "sync-srcu", ...at.access }, at.before);
        return true;
      default:
        throw new EnumerateError("unsupported", `'${i.op}' is not supported by the enumerating engine`);
    }
  }

  #lock(s: State, at: At): number {
    const r = this.#event(
      s,
      { kind: "LKR", order: "acquire", rmw: s.events.length + 1, ...at.access },
      at.before,
    );
    this.#event(s, { kind: "LKW", order: "once", rmw: r, ...at.access }, unionDeps(at.before, [r]));
    return r;
  }

  #rmw(s: State, i: Extract<VisibleInstr, { op: "rmw" }>, at: At): boolean {
    const a = this.#val(s, i.a);
    const b = this.#val(s, i.b);
    const aDeps = this.#deps(s, i.a);
    const bDeps = this.#deps(s, i.b);
    if (i.fn === "cmpxchg" || i.fn === "add_unless") {
      const other = i.fn === "cmpxchg" ? a : b;
      const failed = new State(s, 0, 0);
      const r = this.#read(failed, { kind: "R", order: i.order, failed: true, ...at.access }, at.before);
      this.#set(failed, i.dst, { k: "read", event: r }, [r]);
      // cmpxchg fails where the old value differs from the expected one, add_unless where it is the one to
      // spare.
      const equal = i.fn === "cmpxchg";
      const tie = (t: State, eq: boolean): boolean =>
        typeof other === "number"
          ? this.#assume(t, { k: "read", event: s.events.length }, eq, other, false)
          : this.#assume(t, symBin("eq", { k: "read", event: s.events.length }, other), !eq, 0, false);
      if (tie(failed, !equal)) this.work.push(failed);
      if (!tie(s, equal)) return false;
    }
    const e = { kind: "R", order: i.order, rmw: s.events.length + 1, ...at.access } as const;
    const r = this.#read(s, e, at.before);
    const node = s.events[r].value;
    let value: Sym;
    let dataDeps = aDeps;
    switch (i.fn) {
      case "xchg":
        value = a;
        break;
      case "cmpxchg":
        value = b;
        dataDeps = bDeps;
        break;
      case "add_unless":
        value = this.#bin(s, "add", node, a);
        dataDeps = unionDeps(aDeps, [r]);
        break;
      default:
        value = this.#bin(s, i.fn, node, a);
        // What is stored is computed from what was read: a data dependency within the operation, as herd7 has
        // it.
        dataDeps = unionDeps(aDeps, [r]);
    }
    const operands = unionDeps(this.#outputs(s, i.a), this.#outputs(s, i.b));
    const before = unionDeps(unionDeps(at.before, operands), [r]);
    this.#event(s, { kind: "W", order: i.order, value, dataDeps, rmw: r, ...at.access }, before);
    this.#set(s, i.dst, node, [r]);
    return true;
  }
}
