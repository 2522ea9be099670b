/**
 * A process of a litmus test as traces: one for each way through it, its events with what orders them within
 * an instruction, symbolic values over what reads will return, and dependencies, after herd7's semantics of
 * C. Written from the syntax tree and a macro file, without lang/ir.ts and check/enumerate, so that the two
 * can be held against each other.
 *
 * A choice within an expression (does cmpxchg() succeed, where does a pointer lead) forks the walk, hence the
 * continuations.
 */
import type { BinaryOp, Expr, InitValue, LitmusFile, Proc, Span, Stmt } from "../ast.ts";
import { LitmusError } from "../ast.ts";
import type { Macro, MacroExp, Macros } from "./def.ts";

/** A number, or the name of a location for its address. */
export type Plain = number | string;
export type SymOp = BinaryOp | "&~";
export type Sym =
  | Plain
  | { readonly k: "read"; readonly event: number }
  | { readonly k: "op"; readonly op: SymOp; readonly a: Sym; readonly b: Sym };

export type TraceKind = "R" | "W" | "F" | "LKR" | "LKW" | "UL" | "LF" | "RL" | "RU" | "SRCU";

export interface TraceEvent {
  readonly kind: TraceKind;
  readonly tags: readonly string[];
  readonly loc: string | null;
  /** What a write stores. */
  readonly value: Sym;
  /** Half of an atomic operation, or one that failed. */
  readonly rmw: boolean;
  /** The write of the same operation, -1 if there is none. */
  readonly partner: number;
  /** Number of the instruction; within one only `before` orders events. */
  readonly group: number;
  readonly before: readonly number[];
  readonly addr: readonly number[];
  readonly data: readonly number[];
  readonly ctrl: readonly number[];
}

/** The trace is taken only if the two are equal, or not. */
export interface Condition {
  readonly a: Sym;
  readonly b: Sym;
  readonly equal: boolean;
}

export interface Trace {
  readonly events: readonly TraceEvent[];
  readonly registers: ReadonlyMap<string, Sym>;
  readonly conditions: readonly Condition[];
  /** Results of arithmetic on what reads return, used or not. */
  readonly computed: readonly Sym[];
  /** Cut at the unrolling bound. */
  readonly cut: boolean;
  /** Ends at an access to something that is no location. */
  readonly invalid: Span | null;
}

export interface TraceOptions {
  readonly macros: Macros;
  /** Every location by name. */
  readonly locations: readonly string[];
  readonly unroll: number;
  /** herd7's old treatment of annotations: fences around fully ordered operations, tags on one half only. */
  readonly version: 1 | 2;
  readonly maxTraces: number;
}

/** Too many traces. */
export class TooMany extends Error {}

interface Val {
  readonly sym: Sym;
  /** Reads that the value depends on. */
  readonly deps: readonly number[];
  /**
   * Reads that a branch on the value depends on: all in its expression, and those that registers in it come
   * from.
   */
  readonly touched: readonly number[];
  /** Events that give the value, and so come before whatever uses it; others of the instruction need not. */
  readonly outputs: readonly number[];
}

const NONE: readonly number[] = [];
const union = (...lists: (readonly number[])[]): readonly number[] => [...new Set(lists.flat())];
const value = (sym: Sym, deps: readonly number[] = NONE, outputs: readonly number[] = NONE): Val => ({
  sym,
  deps,
  touched: deps,
  outputs,
});
/** The value with more that a branch on it depends on. */
const touching = (v: Val, ...others: readonly Val[]): Val => ({
  ...v,
  touched: union(v.touched, ...others.map((o) => o.touched)),
});

/** An argument of a macro: text of the test, or of the macro that passes it on. */
type Code =
  | { readonly k: "expr"; readonly e: Expr }
  | { readonly k: "macro"; readonly m: MacroExp; readonly args: readonly Code[]; readonly span: Span };

class State {
  readonly registers: Map<string, Val>;
  readonly events: TraceEvent[];
  readonly conditions: Condition[];
  readonly computed: Sym[];
  ctrl: readonly number[];
  group: number;

  constructor(from: State | null) {
    this.registers = new Map(from?.registers);
    this.events = [...(from?.events ?? [])];
    this.conditions = [...(from?.conditions ?? [])];
    this.computed = [...(from?.computed ?? [])];
    this.ctrl = from?.ctrl ?? NONE;
    this.group = from?.group ?? 0;
  }
}

type Next = (s: State) => void;
type NextValue = (s: State, v: Val) => void;

/** All traces of a process. Throws LitmusError and TooMany. */
export function tracesOf(file: LitmusFile, proc: Proc, options: TraceOptions): Trace[] {
  return new Walk(file, proc, options).run();
}

class Walk {
  readonly #file: LitmusFile;
  readonly #proc: Proc;
  readonly #o: TraceOptions;
  readonly #out: Trace[] = [];

  constructor(file: LitmusFile, proc: Proc, options: TraceOptions) {
    this.#file = file;
    this.#proc = proc;
    this.#o = options;
  }

  run(): Trace[] {
    const s = new State(null);
    for (const p of this.#proc.params) s.registers.set(p.name, value(p.name));
    for (const init of this.#file.init) {
      if (init.loc.k === "reg" && init.loc.proc === this.#proc.index)
        s.registers.set(init.loc.name, value(initial(init.value)));
    }
    this.#list(this.#proc.body, 0, s, (end) => this.#finish(end, false, null));
    return this.#out;
  }

  #finish(s: State, cut: boolean, invalid: Span | null): void {
    if (this.#out.length >= this.#o.maxTraces)
      throw new TooMany(`P${this.#proc.index} has more than ${this.#o.maxTraces} paths`);
    this.#out.push({
      events: s.events,
      registers: new Map([...s.registers].map(([n, v]) => [n, v.sym])),
      conditions: s.conditions,
      computed: s.computed,
      cut,
      invalid,
    });
  }

  #fail(span: Span, message: string): never {
    throw new LitmusError(this.#file.path, this.#file.source, span, message);
  }

  // ---- statements ---------------------------------------------------------------------------------------

  #list(list: readonly Stmt[], i: number, s: State, k: Next): void {
    if (i === list.length) k(s);
    else this.#stmt(list[i], s, (after) => this.#list(list, i + 1, after, k));
  }

  #stmt(stmt: Stmt, s: State, k: Next): void {
    s.group++;
    switch (stmt.k) {
      case "block":
        this.#list(stmt.body, 0, s, k);
        return;
      case "assign":
        if (stmt.value === null) {
          k(s);
          return;
        }
        this.#expr({ k: "expr", e: stmt.value }, s, (t, v) => {
          t.registers.set(stmt.name, value(v.sym, v.deps));
          k(t);
        });
        return;
      case "store":
        this.#store({ k: "expr", e: stmt.addr }, { k: "expr", e: stmt.value }, [], stmt, s, k);
        return;
      case "void":
        this.#expr({ k: "expr", e: stmt.expr }, s, (t) => k(t));
        return;
      case "proc": {
        const macro = this.#macro(stmt.name, stmt.args.length, stmt);
        if (!macro.statement)
          this.#fail(
            stmt,
            `Unknown macro ${stmt.name}: as a statement it must be written '(void) ${stmt.name}(...)'`,
          );
        const args = stmt.args.map((e): Code => ({ k: "expr", e }));
        this.#macroBody(macro, 0, args, stmt, s, k);
        return;
      }
      case "if":
        this.#branch(stmt.cond, s, (t, taken, outer) => {
          const body = taken ? stmt.then : stmt.else;
          const end = (u: State): void => {
            u.ctrl = outer;
            k(u);
          };
          if (body === null) end(t);
          else this.#stmt(body, t, end);
        });
        return;
      case "while":
        this.#while(stmt, 0, s, k);
    }
  }

  #while(stmt: Extract<Stmt, { k: "while" }>, round: number, s: State, k: Next): void {
    this.#branch(stmt.cond, s, (t, taken, outer) => {
      const end = (u: State): void => {
        u.ctrl = outer;
        k(u);
      };
      if (!taken) end(t);
      else if (round === this.#o.unroll) this.#finish(t, true, null);
      else this.#stmt(stmt.body, t, (u) => this.#while(stmt, round + 1, u, end));
    });
  }

  /**
   * Both ways of a branch, each under control of what the condition depends on; `outer` is what was in
   * control before.
   */
  #branch(cond: Expr, s: State, k: (s: State, taken: boolean, outer: readonly number[]) => void): void {
    s.group++;
    this.#expr({ k: "expr", e: cond }, s, (t, v) => {
      const outer = t.ctrl;
      for (const taken of [true, false]) {
        if (typeof v.sym === "number" || typeof v.sym === "string") {
          if ((v.sym !== 0) !== taken) continue;
        }
        const u = new State(t);
        if (typeof v.sym === "object") u.conditions.push({ a: v.sym, b: 0, equal: !taken });
        u.ctrl = union(outer, v.touched);
        k(u, taken, outer);
      }
    });
  }

  #macro(name: string, args: number, span: Span): Macro {
    const m = this.#o.macros.get(name);
    if (m === undefined) this.#fail(span, `Unknown macro ${name}`);
    if (m.arity !== args)
      this.#fail(span, `macro ${name} takes ${m.arity} argument${m.arity === 1 ? "" : "s"}, not ${args}`);
    return m;
  }

  /** The statements of a macro from number `i` on. */
  #macroBody(m: Macro, i: number, args: readonly Code[], span: Span, s: State, k: Next): void {
    const part = m.body[i];
    if (part === undefined) {
      k(s);
      return;
    }
    s.group++;
    const then: Next = (t) => this.#macroBody(m, i + 1, args, span, t, k);
    if (part.k === "macro") {
      const inner = this.#macro(part.name, part.args.length, span);
      const passed = part.args.map((a): Code => ({ k: "macro", m: a, args, span }));
      if (inner.statement) this.#macroBody(inner, 0, passed, span, s, then);
      else this.#expr({ k: "macro", m: part, args, span }, s, (t) => then(t));
      return;
    }
    if (part.k !== "prim") this.#fail(span, `macro ${m.name} is no statement`);
    const arg = (n: number): Code => ({ k: "macro", m: part.args[n], args, span });
    switch (part.name) {
      case "fence":
        this.#event(s, { kind: "F", tags: part.tags });
        then(s);
        return;
      case "store":
        this.#store(this.#pointer(arg(0), span), arg(1), part.tags, span, s, then);
        return;
      case "lock":
        this.#access(arg(0), span, s, (t, loc, a) => {
          this.#lock(t, loc, a);
          then(t);
        });
        return;
      case "unlock":
        this.#access(arg(0), span, s, (t, loc, a) => {
          this.#event(t, { kind: "UL", loc, addr: a.deps, before: a.outputs });
          then(t);
        });
        return;
      case "srcu":
        this.#access(arg(0), span, s, (t, loc, a) => {
          const end = (u: State, v: Val): void => {
            const at = { loc, addr: a.deps, data: v.deps, before: union(a.outputs, v.outputs) };
            this.#event(u, { kind: "SRCU", tags: part.tags, value: v.sym, ...at });
            then(u);
          };
          if (part.args.length === 1) end(t, value(0));
          else this.#expr(arg(1), t, end);
        });
        return;
      default:
        this.#expr({ k: "macro", m: part, args, span }, s, (t) => then(t));
    }
  }

  #store(addr: Code, what: Code, tags: readonly string[], span: Span, s: State, k: Next): void {
    this.#access(addr, span, s, (t, loc, a) =>
      this.#expr(what, t, (u, v) => {
        const before = union(a.outputs, v.outputs);
        this.#event(u, { kind: "W", tags, loc, value: v.sym, addr: a.deps, data: v.deps, before });
        k(u);
      }),
    );
  }

  // ---- events -------------------------------------------------------------------------------------------

  #event(s: State, e: Partial<TraceEvent> & { kind: TraceKind }): number {
    return (
      s.events.push({
        kind: e.kind,
        tags: e.tags ?? [],
        loc: e.loc ?? null,
        value: e.value ?? 0,
        rmw: e.rmw ?? false,
        partner: e.partner ?? -1,
        group: s.group,
        before: e.before ?? NONE,
        addr: e.addr ?? NONE,
        data: e.data ?? NONE,
        ctrl: s.ctrl,
      }) - 1
    );
  }

  /** The address that an access goes to: one way for each location that it may be. */
  #access(addr: Code, span: Span, s: State, k: (s: State, loc: string, a: Val) => void): void {
    this.#expr(addr, s, (t, a) => {
      const { sym } = a;
      if (typeof sym === "string" && this.#o.locations.includes(sym)) {
        k(t, sym, a);
        return;
      }
      if (typeof sym !== "object") {
        this.#finish(t, false, span);
        return;
      }
      for (const loc of this.#o.locations) {
        const u = new State(t);
        u.conditions.push({ a: sym, b: loc, equal: true });
        k(u, loc, a);
      }
      const u = new State(t);
      for (const loc of this.#o.locations) u.conditions.push({ a: sym, b: loc, equal: false });
      this.#finish(u, false, span);
    });
  }

  #lock(s: State, loc: string, a: Val): number[] {
    const r = this.#event(s, { kind: "LKR", loc, addr: a.deps, before: a.outputs });
    return [this.#event(s, { kind: "LKW", loc, addr: a.deps, before: union(a.outputs, [r]) })];
  }

  // ---- expressions --------------------------------------------------------------------------------------

  #expr(code: Code, s: State, k: NextValue): void {
    if (code.k === "macro") {
      this.#macroExp(code.m, code.args, code.span, s, k);
      return;
    }
    const { e } = code;
    switch (e.k) {
      case "num":
        k(s, value(e.value));
        return;
      case "name":
        k(s, s.registers.get(e.name) ?? value(0));
        return;
      case "deref":
        this.#load({ k: "expr", e: e.of }, [], e, s, k);
        return;
      case "bin":
        this.#both({ k: "expr", e: e.a }, { k: "expr", e: e.b }, s, (t, a, b) =>
          k(t, combine(t, e.op, a, b)),
        );
        return;
      case "call": {
        const macro = this.#macro(e.name, e.args.length, e);
        if (macro.statement) this.#fail(e, `macro ${e.name} gives no value`);
        const args = e.args.map((x): Code => ({ k: "expr", e: x }));
        this.#macroExp(macro.body[0], args, e, s, k);
      }
    }
  }

  #both(x: Code, y: Code, s: State, k: (s: State, a: Val, b: Val) => void): void {
    this.#expr(x, s, (t, a) => this.#expr(y, t, (u, b) => k(u, a, b)));
  }

  #macroExp(m: MacroExp, args: readonly Code[], span: Span, s: State, k: NextValue): void {
    const code = (x: MacroExp): Code => ({ k: "macro", m: x, args, span });
    switch (m.k) {
      case "param":
        this.#expr(args[m.index], s, k);
        return;
      case "num":
        k(s, value(m.value));
        return;
      case "deref":
        this.#load(code(m.of), [], span, s, k);
        return;
      case "compare":
        this.#both(code(m.a), code(m.b), s, (t, a, b) => k(t, combine(t, m.op, a, b)));
        return;
      case "unary":
        this.#expr(code(m.of), s, (t, v) =>
          k(t, m.op === "neg" ? combine(t, "-", value(0), v) : combine(t, "^", v, value(-1))),
        );
        return;
      case "macro": {
        const inner = this.#macro(m.name, m.args.length, span);
        this.#macroExp(inner.body[0], m.args.map(code), span, s, k);
        return;
      }
      case "prim":
        this.#prim(m, m.args.map(code), span, s, k);
    }
  }

  /** The pointer behind an argument that must be written `*p`. */
  #pointer(code: Code, span: Span): Code {
    if (code.k === "expr") {
      if (code.e.k !== "deref") this.#fail(code.e, "expected a dereference such as '*x' as argument");
      return { k: "expr", e: code.e.of };
    }
    const { m } = code;
    if (m.k === "deref") return { k: "macro", m: m.of, args: code.args, span };
    if (m.k === "param") return this.#pointer(code.args[m.index], span);
    return this.#fail(span, "expected a dereference such as '*x' as argument");
  }

  #load(addr: Code, tags: readonly string[], span: Span, s: State, k: NextValue): void {
    this.#access(addr, span, s, (t, loc, a) => {
      const r = this.#event(t, { kind: "R", tags, loc, addr: a.deps, before: a.outputs });
      k(t, touching(value({ k: "read", event: r }, [r], [r]), a));
    });
  }

  #prim(
    m: Extract<MacroExp, { k: "prim" }>,
    args: readonly Code[],
    span: Span,
    s: State,
    k: NextValue,
  ): void {
    const [x, y, z] = args;
    switch (m.name) {
      case "load":
        this.#load(this.#pointer(x, span), m.tags, span, s, k);
        return;
      case "trylock":
        this.#access(x, span, s, (t, loc, a) => {
          const failed = new State(t);
          k(t, touching(value(1, NONE, this.#lock(t, loc, a)), a));
          const lf = this.#event(failed, { kind: "LF", loc, addr: a.deps, before: a.outputs });
          k(failed, touching(value(0, [lf], [lf]), a));
        });
        return;
      case "islocked":
        this.#access(x, span, s, (t, loc, a) => {
          const not = new State(t);
          const rl = this.#event(t, { kind: "RL", loc, addr: a.deps, before: a.outputs });
          k(t, touching(value(1, [rl], [rl]), a));
          const ru = this.#event(not, { kind: "RU", loc, addr: a.deps, before: a.outputs });
          k(not, touching(value(0, [ru], [ru]), a));
        });
        return;
      case "srcu":
        this.#access(x, span, s, (t, loc, a) => {
          // An index that no other section has, as herd7 makes it up.
          const index = (this.#proc.index + 1) * 307 + t.group * 599;
          const at = { loc, addr: a.deps, before: a.outputs };
          const e = this.#event(t, { kind: "SRCU", tags: m.tags, value: index, ...at });
          k(t, value(index, NONE, [e]));
        });
        return;
      case "xchg":
        this.#access(x, span, s, (t, loc, a) =>
          this.#expr(y, t, (u, v) => this.#rmw(u, m.tags, loc, a, v, () => v.sym, v.deps, k)),
        );
        return;
      case "atomic_op":
      case "atomic_op_return":
      case "atomic_fetch_op":
        this.#access(x, span, s, (t, loc, a) =>
          this.#expr(y, t, (u, v) => {
            const sum = (old: Sym): Sym => ({ k: "op", op: m.op as SymOp, a: old, b: v.sym });
            this.#rmw(u, m.tags, loc, a, v, sum, v.deps, k, m.name);
          }),
        );
        return;
      case "cmpxchg":
        this.#access(x, span, s, (t, loc, a) =>
          this.#both(y, z, t, (u, old, fresh) => this.#cmpxchg(u, m.tags, loc, a, old, fresh, k)),
        );
        return;
      case "atomic_add_unless":
      case "fetch_add_unless":
        this.#access(x, span, s, (t, loc, a) =>
          this.#both(y, z, t, (u, add, unless) =>
            this.#addUnless(u, m.tags, loc, a, add, unless, m.name === "fetch_add_unless", k),
          ),
        );
        return;
      default:
        this.#fail(span, `__${m.name} gives no value`);
    }
  }

  /** Tags of the two halves, and whether there are fences around. */
  #halves(
    tags: readonly string[],
    noreturn: boolean,
  ): { r: readonly string[]; w: readonly string[]; fence: boolean } {
    if (this.#o.version === 2) return { r: tags, w: tags, fence: false };
    const has = (tag: string): boolean => tags.includes(tag);
    return {
      r: noreturn ? ["noreturn"] : has("acquire") ? tags : ["once"],
      w: has("release") ? tags : ["once"],
      fence: has("mb"),
    };
  }

  /** A read-modify-write that succeeds. */
  #rmw(
    s: State,
    tags: readonly string[],
    loc: string,
    a: Val,
    v: Val,
    stored: (old: Sym) => Sym,
    data: readonly number[],
    k: NextValue,
    name = "xchg",
  ): void {
    const h = this.#halves(tags, name === "atomic_op");
    const front = h.fence ? [this.#event(s, { kind: "F", tags })] : NONE;
    const r = s.events.length;
    const old: Sym = { k: "read", event: r };
    const before = union(a.outputs, front);
    this.#event(s, { kind: "R", tags: h.r, loc, rmw: true, partner: r + 1, addr: a.deps, before });
    const computed = name !== "xchg";
    const sum = stored(old);
    if (computed) s.computed.push(sum);
    this.#event(s, {
      kind: "W",
      tags: h.w,
      loc,
      value: sum,
      rmw: true,
      addr: a.deps,
      data: computed ? union(data, [r]) : data,
      before: union(before, v.outputs, [r]),
    });
    // A fence that follows comes before whatever uses the value.
    const end = h.fence ? [this.#event(s, { kind: "F", tags, before: [...before, r, r + 1] })] : [r];
    const result = name === "atomic_op_return" ? value(sum, union([r], v.deps), end) : value(old, [r], end);
    k(s, touching(result, a, v));
  }

  // C evaluates every argument, whether the operation succeeds or not; herd7 leaves out the new value of one
  // that fails.
  #cmpxchg(s: State, tags: readonly string[], loc: string, a: Val, old: Val, fresh: Val, k: NextValue): void {
    const failed = new State(s);
    const r = this.#failed(failed, tags, loc, a);
    failed.conditions.push({ a: { k: "read", event: r }, b: old.sym, equal: false });
    k(failed, touching(value({ k: "read", event: r }, [r], [r]), a, old, fresh));
    const both = { ...touching(fresh, old), outputs: union(old.outputs, fresh.outputs) };
    this.#rmw(
      s,
      tags,
      loc,
      a,
      both,
      () => fresh.sym,
      fresh.deps,
      (u, v) => {
        u.conditions.push({ a: v.sym, b: old.sym, equal: true });
        k(u, v);
      },
    );
  }

  #addUnless(
    s: State,
    tags: readonly string[],
    loc: string,
    a: Val,
    add: Val,
    unless: Val,
    fetch: boolean,
    k: NextValue,
  ): void {
    const failed = new State(s);
    const r = this.#failed(failed, tags, loc, a);
    const read: Sym = { k: "read", event: r };
    failed.conditions.push({ a: read, b: unless.sym, equal: true });
    const deps = fetch ? [r] : union([r], unless.deps);
    k(failed, touching(value(fetch ? read : 0, deps, union([r], unless.outputs)), a, add, unless));
    const both = { ...touching(add, unless), outputs: union(add.outputs, unless.outputs) };
    const sum = (old: Sym): Sym => ({ k: "op", op: "+", a: old, b: add.sym });
    // Linux 6.12's macro bears no annotation, and herd7 takes the operation as fully ordered all the same.
    const order = this.#o.version === 1 && tags.length === 0 ? ["mb"] : tags;
    this.#rmw(
      s,
      order,
      loc,
      a,
      both,
      sum,
      add.deps,
      (t, v) => {
        t.conditions.push({ a: v.sym, b: unless.sym, equal: false });
        k(t, { ...v, sym: fetch ? v.sym : 1, deps: fetch ? v.deps : union(v.deps, unless.deps) });
      },
      "add_unless",
    );
  }

  /** The read of an operation that fails. */
  #failed(s: State, tags: readonly string[], loc: string, a: Val): number {
    const r = this.#o.version === 2 ? tags : ["once"];
    return this.#event(s, { kind: "R", tags: r, loc, rmw: true, addr: a.deps, before: a.outputs });
  }
}

const initial = (v: InitValue): Plain => (v.k === "num" ? v.value : v.name);

function combine(s: State, op: SymOp, a: Val, b: Val): Val {
  let sym: Sym = { k: "op", op, a: a.sym, b: b.sym };
  if (typeof a.sym !== "object" && typeof b.sym !== "object") sym = apply(op, a.sym, b.sym);
  else if (a.sym === b.sym && (op === "^" || op === "-")) sym = 0;
  else s.computed.push(sym);
  return {
    sym,
    deps: union(a.deps, b.deps),
    touched: union(a.touched, b.touched),
    outputs: union(a.outputs, b.outputs),
  };
}

/** Arithmetic that has no meaning, such as the product of two addresses; the test cannot be run. */
export class ValueError extends Error {}

/** C's `int` arithmetic, 32 bits; of addresses what herd7 allows. */
export function apply(op: SymOp, a: Plain, b: Plain): Plain {
  if (op === "==") return a === b ? 1 : 0;
  if (op === "!=") return a === b ? 0 : 1;
  if (typeof a === "string" || typeof b === "string") {
    if (a === b && (op === "^" || op === "-")) return 0;
    if (b === 0 && (op === "+" || op === "-" || op === "|" || op === "^")) return a;
    if (a === 0 && (op === "+" || op === "|" || op === "^")) return b;
    if ((a === 0 || b === 0) && (op === "&" || op === "*")) return 0;
    throw new ValueError(`'${op}' of an address`);
  }
  switch (op) {
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    case "&":
      return a & b;
    case "&~":
      return a & ~b;
    case "<":
      return a < b ? 1 : 0;
    case "<=":
      return a <= b ? 1 : 0;
    case ">":
      return a > b ? 1 : 0;
    case ">=":
      return a >= b ? 1 : 0;
    case "+":
      return (a + b) | 0;
    case "-":
      return (a - b) | 0;
    case "*":
      return Math.imul(a, b);
    case "/":
      if (b === 0) throw new ValueError("division by zero");
      return Math.trunc(a / b) | 0;
  }
}
