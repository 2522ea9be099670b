/**
 * A parsed program as functions for the linker: lowered on demand, by name; recursion unrolled to a bound,
 * beyond which a run stops with "bound"; the functions that a pointer may mean; the bodies of threads and
 * callbacks. Also the words of thread-local variables, which every function gets as its first array.
 */

import type { CallArg, ParamKind } from "../ir.ts";
import { constant, val } from "../ir.ts";
import type { LowFn } from "../lowered.ts";
import type { LowSource } from "../specialise.ts";
import type { FnDecl, Unit, VarDecl } from "./ast.ts";
import { Builder } from "./builder.ts";
import { constant as constantOf } from "./consts.ts";
import { type CDiagnostic, CError, didYouMean, type Place, refuse } from "./errors.ts";
import { Layout } from "./layout.ts";
import { FnLowering } from "./lower.ts";
import { ZERO } from "./lower-arith.ts";
import { LIBRARY } from "./parser.ts";
import { cells } from "./place.ts";
import { type FuncType, INT, isScalar, leaves, sameType, sizeOf } from "./types.ts";
import { callsOf } from "./walk.ts";

export interface CompileOptions {
  /** How often a function may be inside itself. */
  readonly recursion: number;
}

/**
 * What a function is made into when it is started: a thread, a callback with its rcu_head, or whatever calls
 * it.
 */
export type RootKind = "thread" | "pthread" | "head" | "plain";

/** With every call expanded: what is linked in a second or two. */
const MOST_INSTRUCTIONS = 40_000;
const KFREE = "kfree_rcu";
/** Where the bodies of threads are: nowhere in the user's files. */
const ROOT: Place = { file: "<start>", line: 1, col: 1, macro: "" };

export class CProgram {
  readonly unit: Unit;
  readonly layout = new Layout();
  readonly tlsWords: number;
  readonly recursion: number;
  /** Functions that the linker asks for. */
  readonly source: LowSource;
  private readonly tls = new Map<VarDecl, number>();
  private readonly lowered = new Map<string, LowFn>();
  private readonly byId = new Map<string, () => LowFn>();
  private readonly components: ReadonlyMap<FnDecl, number>;
  private readonly fits = new Map<FuncType, readonly FnDecl[]>();

  constructor(unit: Unit, options: CompileOptions) {
    this.unit = unit;
    this.recursion = options.recursion;
    let n = 0;
    for (const g of unit.globals)
      if (g.storage === "thread") {
        this.tls.set(g, n);
        n += cells(g.type);
      }
    this.tlsWords = Math.max(1, n);
    this.components = this.findComponents();
    this.source = {
      function: (id) => this.function(id),
      constant: (low) => {
        throw new Error(`${low.name}() is C and refers to no constant of the dialect`);
      },
      most: {
        instrs: MOST_INSTRUCTIONS,
        refuse: (low) =>
          refuse("HF236", { ...low.positions[0], macro: "" }, `${low.name}() with all it calls`),
      },
    };
  }

  /**
   * Lowers every function of the user's, so that all that is wrong with them is said at once; with `headers`
   * those of the package that are mentioned, too. @throws CError
   */
  check(headers = false): void {
    const found: CDiagnostic[] = [];
    for (const fn of this.unit.functions.values())
      if (fn.body !== null && (headers || !fn.builtin))
        try {
          this.function(this.idOf(fn, 0));
        } catch (e) {
          if (!(e instanceof CError)) throw e;
          found.push(...e.diagnostics);
        }
    if (found.length > 0) throw new CError(found);
  }

  /**
   * Pools that objects are taken from whose pool is known only when it runs: those of kmem_cache_create().
   */
  readonly caches = new Set<number>();

  /** The word that nobody writes, for who has met an assumption that is false; null if there are none. */
  stuckIfUsed: number | null = null;
  get stuck(): number {
    this.stuckIfUsed ??= this.layout.place("(an assumption)", INT, 4, "static").base;
    return this.stuckIfUsed;
  }

  tlsCell(decl: VarDecl): number {
    const n = this.tls.get(decl);
    if (n === undefined) throw new Error(`${decl.name} is not thread-local`);
    return n;
  }

  private idOf(fn: FnDecl, depth: number): string {
    const id = `${this.unit.file}#${fn.name}${depth === 0 ? "" : `~${depth}`}`;
    if (!this.byId.has(id))
      this.byId.set(id, () =>
        depth > this.recursion ? this.tooDeep(fn, id) : new FnLowering(this, fn, depth).lower(id),
      );
    return id;
  }

  private function(id: string): LowFn | undefined {
    let low = this.lowered.get(id);
    if (low === undefined) {
      low = this.byId.get(id)?.();
      if (low !== undefined) this.lowered.set(id, low);
    }
    return low;
  }

  /** What a call of `fn` by `from` is to name. */
  calleeId(fn: FnDecl, from: FnLowering, at: Place): string {
    const library = fn.body === null ? this.unit.functions.get(`${LIBRARY}${fn.name}`) : undefined;
    if (library !== undefined) return this.idOf(library, 0);
    if (fn.body === null) {
      const known = [...this.unit.functions.values()]
        .filter((f) => f.body !== null && !f.name.startsWith("__hf_"))
        .map((f) => f.name);
      refuse("HF211", at, `${fn.name}()`, didYouMean(fn.name, known));
    }
    const inside = this.components.get(fn) === this.components.get(from.decl);
    return this.idOf(fn, inside ? from.depth + 1 : 0);
  }

  /** The arguments that a call of `fn` gives to the function of the library that stands for it. */
  fitted(fn: FnDecl, args: readonly CallArg[]): readonly CallArg[] {
    const library = fn.body === null ? this.unit.functions.get(`${LIBRARY}${fn.name}`) : undefined;
    if (library === undefined) return args;
    return library.params.map((_, i) => args[i] ?? { k: "val", val: ZERO });
  }

  /** The lock of SV-COMP's functions that are one step: those whose names begin so. Null if there is none. */
  atomicLock(): number | null {
    const lock = this.unit.globals.find((g) => g.name === "__hf_atomic");
    return lock === undefined ? null : this.layout.addressOf(lock);
  }

  /** Stands for a call that is one too deep. */
  private tooDeep(fn: FnDecl, id: string): LowFn {
    const b = new Builder(fn.name, fn.at);
    const kinds: ParamKind[] = [
      "array",
      ...fn.params.map((p): ParamKind => (isScalar(p.type) ? "value" : "array")),
    ];
    if (fn.type.ret.k === "record") kinds.push("array");
    for (const k of kinds) {
      b.reg("");
      if (k === "array") b.arrays.push({ name: "", size: null });
    }
    b.assert(ZERO, "bound", `${fn.name}() calls itself more than ${this.recursion} deep`);
    b.end({ op: "return", a: ZERO, pos: 0 }, 0);
    return b.finish(id, fn.name, kinds);
  }

  /** The functions whose address is taken and whose type fits a call. */
  candidates(type: FuncType): readonly FnDecl[] {
    let list = this.fits.get(type);
    if (list === undefined) {
      list = [...this.unit.functions.values()].filter(
        (f) => f.addressTaken && f.body !== null && fitsCall(type, f),
      );
      this.fits.set(type, list);
    }
    return list;
  }

  /** Strongly connected components of the calls (Tarjan, 1972): functions of one call each other. */
  private findComponents(): Map<FnDecl, number> {
    const index = new Map<FnDecl, number>();
    const low = new Map<FnDecl, number>();
    const component = new Map<FnDecl, number>();
    const stack: FnDecl[] = [];
    let next = 0;
    const visit = (fn: FnDecl): void => {
      index.set(fn, next);
      low.set(fn, next++);
      stack.push(fn);
      for (const g of this.callees(fn)) {
        if (!index.has(g)) visit(g);
        if (!component.has(g)) low.set(fn, Math.min(low.get(fn) ?? 0, low.get(g) ?? 0));
      }
      if (low.get(fn) !== index.get(fn)) return;
      for (let g = stack.pop(); g !== undefined; g = stack.pop()) {
        component.set(g, index.get(fn) ?? 0);
        if (g === fn) return;
      }
    };
    for (const fn of this.unit.functions.values()) if (!index.has(fn)) visit(fn);
    return component;
  }

  /** Functions that `fn` may call. */
  callees(fn: FnDecl): Set<FnDecl> {
    const { direct, indirect } = callsOf(fn);
    const out = new Set(direct);
    for (const call of indirect) {
      const t = call.fn.type.k === "ptr" ? call.fn.type.to : call.fn.type;
      if (t.k === "func") for (const c of this.candidates(t)) out.add(c);
    }
    return out;
  }

  /** Id of the body of a thread or callback that runs `fn` with one argument. */
  handlerFor(fn: FnDecl, kind: RootKind, at: Place): string {
    if (fn.body === null) refuse("HF211", at, `${fn.name}()`);
    if (fn.params.length > 1 || fn.params.some((p) => !isScalar(p.type))) refuse("HF235", at, `${fn.name}()`);
    const id = `${this.unit.file}#${kind}:${fn.name}`;
    if (!this.byId.has(id)) this.byId.set(id, () => this.root(id, fn, kind));
    return id;
  }

  kfreeHandler(at: Place): string {
    const id = `${this.unit.file}#${KFREE}`;
    if (!this.byId.has(id))
      this.byId.set(id, () => {
        const b = new Builder(KFREE, at);
        b.reg("object");
        b.emit({ op: "free", addr: val(0) });
        b.end({ op: "return", a: ZERO, pos: 0 }, 0);
        return b.finish(id, KFREE, ["value"]);
      });
    return id;
  }

  /** A function of the headers that the body of every thread runs, if they have it. */
  private hook(name: string): FnDecl | undefined {
    const fn = this.unit.functions.get(name);
    return fn?.body === null ? undefined : fn;
  }

  /**
   * Zeroes the thread's variables and calls the function. A thread's argument is its task:
   * __hf_thread_begin(task) gives what it is to call the function with, __hf_thread_end(result) comes after.
   */
  private root(id: string, fn: FnDecl, kind: RootKind): LowFn {
    const b = new Builder(fn.name, ROOT);
    b.reg("argument");
    const tls = b.array("(thread)", this.tlsWords);
    b.push({ op: "azero", arr: tls, pos: b.pos });
    const call = (callee: FnDecl, args: readonly { reg: number; imm: number }[]): number => {
      const dst = b.reg("");
      b.push({
        op: "call",
        callee: this.idOf(callee, 0),
        dst,
        args: [{ k: "array", arr: tls }, ...args.map((v) => ({ k: "val" as const, val: v }))],
        pos: b.pos,
      });
      return dst;
    };
    let argument = val(0);
    const begin = this.hook(`__hf_${kind}_begin`);
    const end = this.hook(`__hf_${kind}_end`);
    if (begin !== undefined) {
      const given = call(begin, begin.params.length === 0 ? [] : [argument]);
      if (begin.params.length > 0) argument = val(given);
    }
    const result = call(fn, fn.params.length === 0 ? [] : [argument]);
    if (end !== undefined)
      call(end, end.params.length === 0 ? [] : [fn.type.ret.k === "void" ? ZERO : val(result)]);
    b.end({ op: "return", a: val(result), pos: b.pos }, 0);
    return b.finish(id, fn.name, ["value"]);
  }

  /** Id of a body that calls `fn` with constants: main(), module_init() and its like, P0, P1. */
  entryFor(fn: FnDecl, args: readonly number[]): string {
    const id = `${this.unit.file}#entry:${fn.name}`;
    if (!this.byId.has(id))
      this.byId.set(id, () => {
        const b = new Builder(fn.name, ROOT);
        const tls = b.array("(thread)", this.tlsWords);
        b.push({ op: "azero", arr: tls, pos: b.pos });
        const dst = b.reg("");
        b.push({
          op: "call",
          callee: this.idOf(fn, 0),
          dst,
          args: [{ k: "array", arr: tls }, ...args.map((a) => ({ k: "val" as const, val: constant(a) }))],
          pos: b.pos,
        });
        b.end({ op: "return", a: val(dst), pos: b.pos }, 0);
        return b.finish(id, fn.name, []);
      });
    return id;
  }

  /**
   * Puts in the initial values of variables that have got an address since the last time. @throws CError
   * HF218
   */
  fill(): void {
    const { layout } = this;
    for (let decl = layout.fresh.pop(); decl !== undefined; decl = layout.fresh.pop()) {
      const first = layout.addressOf(decl);
      const bases = Array.from({ length: decl.copies ?? 1 }, (_, k) => first + k * sizeOf(decl.type));
      for (const base of bases) this.put(decl, base);
    }
  }

  private put(decl: VarDecl, base: number): void {
    const { layout } = this;
    for (const item of decl.init?.items ?? []) {
      const v = constantOf(item.value);
      if (v === undefined) {
        const copied = item.value.k === "var" || item.value.k === "compound" ? item.value.decl : null;
        if (copied !== null && !isScalar(item.type)) {
          // A compound literal as a value: its own initialiser counts.
          const from = layout.addressOf(copied);
          this.fill();
          for (const l of leaves(item.type))
            layout.write(base + item.offset + l.offset, layout.read(from + l.offset));
          continue;
        }
        refuse("HF218", item.value.at, `the initial value of ${decl.name}`);
      }
      let word = v.offset;
      if (v.base !== null)
        word += "params" in v.base ? layout.functionAddress(v.base) : layout.addressOf(v.base);
      const at = base + item.offset;
      if (item.width > 0 && item.width < 32) {
        const mask = ((1 << item.width) - 1) << item.bit;
        layout.write(at, (layout.read(at) & ~mask) | ((word << item.bit) & mask));
      } else layout.write(at, word | 0);
    }
  }
}

/**
 * Whether a function can be what a pointer of that type means. One whose address was cast to another type is
 * let through if it takes and gives scalars.
 */
function fitsCall(want: FuncType, fn: FnDecl): boolean {
  const have = fn.type;
  if (sameType(want, have)) return true;
  const scalar = (t: FuncType): boolean =>
    (isScalar(t.ret) || t.ret.k === "void") && t.params.every((p) => isScalar(p.type));
  return (
    fn.castAway &&
    !want.variadic &&
    !have.variadic &&
    want.params.length === have.params.length &&
    scalar(want) &&
    scalar(have)
  );
}
