/**
 * The cat language, interpreted: a model is run over one choice of sources, enumerates coherence orders
 * itself (`with co from ...`), and for each that its axioms accept the caller is told. Values are computed as
 * written, without the shortcuts of the built-in models, which are tested against this. What does not depend
 * on the sources is kept between choices for the same events.
 */
import { reflexive } from "../models/bits.ts";
import { BUILT_IN_FILES, builtIns } from "./library.ts";
import { parseCat } from "./parse.ts";
import type { At, Binding, Cond, Exp, Pattern, Stmt } from "./syntax.ts";
import { CatError } from "./syntax.ts";
import { Algebra, EMPTY, Env, KindError, kindName, UNIVERSE, type Value } from "./value.ts";

/** Gives the text of a file by name, null if there is none. */
export type ReadFile = (name: string) => string | null;

/**
 * A model ready to run: a bell file, if there is one, then the cat file, with everything that they include.
 */
export interface CatModel {
  readonly title: string;
  readonly statements: readonly Stmt[];
  /** Annotations that the bell file allows; each names a set of events, with a capital. */
  readonly annotations: ReadonlySet<string>;
  /** Such as "lkmmv2". */
  readonly variants: ReadonlySet<string>;
  readonly withCo: boolean;
  /** Checks that are left out, by name. */
  readonly skip?: ReadonlySet<string>;
}

/** The events of one combination of paths. */
export interface CatEvents {
  readonly n: number;
  /** -1 for initial writes. */
  readonly thread: Int32Array;
  /** -1 for none. */
  readonly loc: Int32Array;
  /** R, W, M, F, IW, RMW, LKR, ... and one for each annotation. */
  readonly sets: ReadonlyMap<string, Int32Array>;
  /** po, addr, data, ctrl, rmw. */
  readonly relations: ReadonlyMap<string, Int32Array>;
  /** What has been computed for these events and does not depend on the sources. */
  readonly kept: Map<object, readonly Value[] | boolean>;
}

/** One choice of sources. */
export interface CatChoice {
  readonly rf: Int32Array;
  /** Final writes of the observed locations. */
  readonly fw: Int32Array;
  readonly differ: (i: number, j: number) => boolean;
}

const CO: readonly Stmt[] = parseCat("cos.cat", BUILT_IN_FILES.get("cos.cat") ?? "").statements;
/** How deep files may include files. */
const MAX_INCLUDES = 50;

/**
 * Throws CatError. `bell` and `cat` are names of files for `read`; `tags`: the annotations where there is no
 * bell file.
 */
export function loadCat(
  cat: string,
  bell: string | null,
  read: ReadFile,
  variants: readonly string[],
  tags: Iterable<string> = [],
): CatModel {
  const nowhere: At = { file: cat, line: 1, col: 1 };
  const load = (name: string, at: At, depth = 0): { title: string; withCo: boolean; statements: Stmt[] } => {
    if (depth > MAX_INCLUDES)
      throw new CatError(at, `too many files within files: does '${name}' include itself?`);
    const text = read(name) ?? BUILT_IN_FILES.get(name) ?? null;
    if (text === null) throw new CatError(at, `file '${name}' cannot be read`);
    const file = parseCat(name, text);
    const flat = (list: readonly Stmt[]): Stmt[] =>
      list.flatMap((s) => (s.k === "include" ? load(s.file, s.at, depth + 1).statements : [s]));
    return { title: file.title, withCo: file.withCo, statements: flat(file.statements) };
  };
  const first = bell === null ? [] : load(bell, nowhere).statements;
  const main = load(cat, nowhere);
  return {
    title: main.title === "" ? cat : main.title,
    statements: [...first, ...main.statements],
    annotations: bell === null ? new Set(tags) : annotationsOf(first),
    variants: new Set(variants),
    withCo: main.withCo,
  };
}

/** The tags that `instructions` name. */
function annotationsOf(bell: readonly Stmt[]): Set<string> {
  const enums = new Map<string, readonly string[]>();
  const out = new Set<string>();
  const add = (e: Exp): void => {
    if (e.k === "tag") out.add(e.name);
    else if (e.k === "set" || e.k === "tuple") for (const x of e.items) add(x);
    else if (e.k === "infix" && e.op === "|") [e.a, e.b].forEach(add);
    else if (e.k === "name" && enums.has(e.name)) for (const t of enums.get(e.name) ?? []) out.add(t);
    else throw new CatError(e.at, "expected tags, or the name of an enumeration");
  };
  for (const s of bell) {
    if (s.k === "enum") enums.set(s.name, s.tags);
    else if (s.k === "instructions") s.tags.forEach(add);
  }
  return out;
}

/** The name of the set of events that bear an annotation: 'rcu-lock is Rcu-lock. */
export const setOfTag = (tag: string): string => tag.charAt(0).toUpperCase() + tag.slice(1);

/** Calls `accept` with the flags of each coherence order that the model accepts. Throws CatError. */
export function interpretCat(
  model: CatModel,
  events: CatEvents,
  choice: CatChoice,
  accept: (flags: ReadonlySet<string>) => void,
): void {
  new Interpreter(model, events, choice, accept).run();
}

class Interpreter {
  readonly #model: CatModel;
  readonly #events: CatEvents;
  readonly #al: Algebra;
  readonly #accept: (flags: ReadonlySet<string>) => void;
  readonly #flags: string[] = [];
  readonly #choice: CatChoice;
  /** Whether what is being evaluated has looked at anything that varies. */
  #varies = false;
  #calls = 0;

  constructor(
    model: CatModel,
    events: CatEvents,
    choice: CatChoice,
    accept: (flags: ReadonlySet<string>) => void,
  ) {
    this.#model = model;
    this.#events = events;
    this.#al = new Algebra(events.n);
    this.#choice = choice;
    this.#accept = accept;
  }

  run(): void {
    const statements = this.#model.withCo ? [...CO, ...this.#model.statements] : this.#model.statements;
    this.#statements(statements, 0, this.#initial(), () => this.#accept(new Set(this.#flags)));
  }

  #initial(): Env {
    const { thread, loc, sets, relations, n } = this.#events;
    const al = this.#al;
    const env = new Env(null);
    const rel = (name: string, f: (i: number, j: number) => boolean): void => {
      let kept = this.#events.kept.get(relationKey(name));
      if (kept === undefined || typeof kept === "boolean") {
        const bits = new Int32Array(n * al.words);
        for (let i = 0; i < n; i++)
          for (let j = 0; j < n; j++) if (f(i, j)) bits[i * al.words + (j >> 5)] |= 1 << (j & 31);
        kept = [{ k: "rel", bits }];
        this.#events.kept.set(relationKey(name), kept);
      }
      env.set(name, kept[0], false);
    };
    rel("id", (i, j) => i === j);
    rel("loc", (i, j) => loc[i] >= 0 && loc[i] === loc[j]);
    rel("int", (i, j) => thread[i] >= 0 && thread[i] === thread[j]);
    rel("ext", (i, j) => thread[i] !== thread[j]);
    for (const [name, bits] of relations) env.set(name, { k: "rel", bits }, false);
    for (const [name, bits] of sets) env.set(name, { k: "set", bits }, false);
    for (const tag of this.#model.annotations)
      if (!sets.has(setOfTag(tag))) env.set(setOfTag(tag), EMPTY, false);
    const lib = builtIns({
      algebra: al,
      loc,
      po: relations.get("po") ?? new Int32Array(n * al.words),
      differ: this.#choice.differ,
      onVarying: () => {
        this.#varies = true;
      },
      apply: (fn, arg) => this.#apply(fn, arg, NOWHERE),
    });
    for (const [name, value] of lib) env.set(name, value, false);
    env.set("emptyset", EMPTY, false);
    env.set("rf", { k: "rel", bits: this.#choice.rf }, true);
    env.set("FW", { k: "set", bits: this.#choice.fw }, true);
    let scope = env;
    this.#statements(PRELUDE, 0, env, (e) => {
      scope = e;
    });
    return scope;
  }

  /** The statements from `i` on; `done` is called for each way in which all of them are passed. */
  #statements(list: readonly Stmt[], i: number, env: Env, done: (env: Env) => void): void {
    let scope = env;
    for (let k = i; k < list.length; k++) {
      const s = list[k];
      switch (s.k) {
        case "let":
          scope = this.#let(s, s.bindings, s.rec, scope);
          break;
        case "check": {
          if (this.#model.skip?.has(s.name) === true) break;
          const holds = this.#check(s, scope);
          if (s.flag) {
            if (!holds) break;
            this.#flags.push(s.name);
            this.#statements(list, k + 1, scope, done);
            this.#flags.pop();
            return;
          }
          if (!holds) return;
          break;
        }
        case "with": {
          const from = this.#at(s.at, () => this.#al.items(this.#eval(s.from, scope)));
          for (const v of from) {
            const inner = new Env(scope);
            inner.set(s.name, v, true);
            this.#statements(list, k + 1, inner, done);
          }
          return;
        }
        case "procedure":
          scope = scope.bind(s.name, { k: "procedure", params: s.params, body: s.body, env: scope }, false);
          break;
        case "call":
        case "forall":
        case "if": {
          const after = scope;
          this.#block(s, scope, () => this.#statements(list, k + 1, after, done));
          return;
        }
        case "enum":
          scope = scope.bind(
            s.name,
            { k: "values", items: s.tags.map((name) => ({ k: "tag", name })) },
            false,
          );
          break;
        default:
          break;
      }
    }
    done(scope);
  }

  /** Statements within a statement; `then` goes on after them. */
  #block(s: Extract<Stmt, { k: "call" | "forall" | "if" }>, env: Env, then: () => void): void {
    if (s.k === "if") {
      this.#statements(this.#cond(s.cond, env, s.at) ? s.then : s.otherwise, 0, env, then);
    } else if (s.k === "call") {
      const proc = this.#lookup(s.name, s.at, env);
      if (proc.k !== "procedure")
        throw new CatError(s.at, `'${s.name}' is ${kindName(proc)}, not a procedure`);
      const arg = this.#eval(s.arg, env);
      const inner = this.#bindPattern(new Env(proc.env), paramsOf(proc.params), arg, s.at, true);
      this.#statements(proc.body, 0, inner, then);
    } else {
      const items = this.#at(s.at, () => this.#al.items(this.#eval(s.in, env)));
      const each = (i: number): void => {
        if (i === items.length) {
          then();
          return;
        }
        const inner = new Env(env);
        inner.set(s.name, items[i], true);
        this.#statements(s.body, 0, inner, () => each(i + 1));
      };
      each(0);
    }
  }

  #check(s: Extract<Stmt, { k: "check" }>, env: Env): boolean {
    const kept = this.#events.kept.get(s);
    if (typeof kept === "boolean") return kept;
    this.#varies = false;
    const v = this.#eval(s.of, env);
    const al = this.#al;
    const passed = this.#at(s.at, () => {
      if (s.test === "empty") return al.isEmpty(v);
      const r = al.rel(v);
      return !reflexive(s.test === "acyclic" ? al.plus(r) : r, al.n, al.words);
    });
    const holds = passed !== s.negated;
    if (!this.#varies) this.#events.kept.set(s, holds);
    return holds;
  }

  #let(statement: object, bindings: readonly Binding[], rec: boolean, env: Env): Env {
    const kept = this.#events.kept.get(statement);
    if (kept !== undefined && typeof kept !== "boolean") {
      let out = env;
      bindings.forEach((b, i) => {
        out = this.#bindPattern(out, b.name, kept[i], NOWHERE, false);
      });
      return out;
    }
    const outer = this.#varies;
    this.#varies = false;
    const out = this.#bind(bindings, rec, env);
    if (!this.#varies) {
      const values = bindings.map((b) => this.#valueOf(b.name, out));
      // A function remembers the scope that it was made in, and with it the sources.
      if (values.every((v) => v.k !== "function" && v.k !== "builtin"))
        this.#events.kept.set(statement, values);
    }
    this.#varies = outer || this.#varies;
    return out;
  }

  #valueOf(name: Pattern, env: Env): Value {
    const get = (n: string): Value => env.find(n)?.value ?? EMPTY;
    return typeof name === "string" ? get(name) : { k: "tuple", items: name.map(get) };
  }

  #bind(bindings: readonly Binding[], rec: boolean, env: Env): Env {
    if (!rec) {
      const values = bindings.map((b) => this.#eval(b.value, env));
      const varies = this.#varies;
      return bindings.reduce((e, b, i) => this.#bindPattern(e, b.name, values[i], b.value.at, varies), env);
    }
    const inner = new Env(env);
    if (bindings.every((b) => b.value.k === "fun")) {
      for (const b of bindings) {
        if (typeof b.name === "string") inner.set(b.name, this.#eval(b.value, inner), false);
      }
      return inner;
    }
    // A least fixpoint from empty relations.
    for (const b of bindings) {
      if (typeof b.name !== "string")
        throw new CatError(b.value.at, "'let rec' defines relations or functions by name");
      inner.set(b.name, EMPTY, this.#varies);
    }
    for (;;) {
      let changed = false;
      for (const b of bindings) {
        if (typeof b.name !== "string") continue;
        const before = inner.find(b.name)?.value ?? EMPTY;
        const value = this.#eval(b.value, inner);
        const same = this.#at(b.value.at, () => this.#al.key(before) === this.#al.key(value));
        if (same) continue;
        changed = true;
        inner.set(b.name, value, this.#varies);
      }
      if (!changed) return inner;
    }
  }

  #bindPattern(env: Env, name: Pattern, value: Value, at: At, varies: boolean): Env {
    if (typeof name === "string") return env.bind(name, value, varies);
    if (value.k !== "tuple" || value.items.length !== name.length)
      throw new CatError(at, `expected ${name.length} values in parentheses, found ${kindName(value)}`);
    return name.reduce((e, n, i) => e.bind(n, value.items[i], varies), env);
  }

  /** Puts the place to a complaint about kinds. */
  #at<T>(at: At, f: () => T): T {
    try {
      return f();
    } catch (e) {
      if (e instanceof KindError) throw new CatError(at, e.message);
      throw e;
    }
  }

  #lookup(name: string, at: At, env: Env): Value {
    const b = env.find(name);
    if (b === undefined) throw new CatError(at, `'${name}' is not defined`);
    this.#varies ||= b.varies;
    return b.value;
  }

  #eval(e: Exp, env: Env): Value {
    return this.#at(e.at, () => this.#value(e, env));
  }

  #value(e: Exp, env: Env): Value {
    const al = this.#al;
    switch (e.k) {
      case "name":
        return this.#lookup(e.name, e.at, env);
      case "empty":
        return EMPTY;
      case "universe":
        return UNIVERSE;
      case "tag":
        return { k: "tag", name: e.name };
      case "set":
        return e.items.reduceRight((s, x) => al.add(this.#eval(x, env), s), EMPTY);
      case "tuple": {
        const items = e.items.map((x) => this.#eval(x, env));
        const [a, b] = items;
        return items.length === 2 && a.k === "event" && b.k === "event"
          ? { k: "pair", i: a.i, j: b.i }
          : { k: "tuple", items };
      }
      case "identity":
        return { k: "rel", bits: al.identity(al.set(this.#eval(e.of, env))) };
      case "infix": {
        const a = this.#eval(e.a, env);
        const b = this.#eval(e.b, env);
        if (e.op === ";") return { k: "rel", bits: al.sequence(al.rel(a), al.rel(b)) };
        if (e.op === "*") return { k: "rel", bits: al.product(al.set(a), al.set(b)) };
        return e.op === "++" ? al.add(a, b) : al.combine(e.op, a, b);
      }
      case "postfix": {
        const r = al.rel(this.#eval(e.of, env));
        if (e.op === "inverse") return { k: "rel", bits: al.inverse(r) };
        if (e.op === "maybe") return { k: "rel", bits: al.maybe(r) };
        const plus = al.plus(r);
        return { k: "rel", bits: e.op === "plus" ? plus : al.maybe(plus) };
      }
      case "not": {
        const v = this.#eval(e.of, env);
        if (v.k === "empty") return UNIVERSE;
        if (v.k === "universe") return EMPTY;
        if (v.k === "set" || v.k === "rel") return { k: v.k, bits: al.complement(v.bits) };
        throw new KindError(`expected a set or a relation after '~', not ${kindName(v)}`);
      }
      case "call":
        return this.#apply(this.#eval(e.fn, env), this.#eval(e.arg, env), e.at);
      case "fun":
        return { k: "function", param: e.param, body: e.body, env };
      case "let":
        return this.#eval(e.body, this.#bind(e.bindings, e.rec, new Env(env)));
      case "match-set": {
        const [head, ...tail] = al.items(this.#eval(e.of, env));
        if (head === undefined) return this.#eval(e.empty, env);
        const inner = new Env(env);
        inner.set(e.head, head, this.#varies);
        inner.set(
          e.tail,
          tail.reduceRight((s, x) => al.add(x, s), EMPTY),
          this.#varies,
        );
        return this.#eval(e.cons, inner);
      }
      case "match-tag": {
        const v = this.#eval(e.of, env);
        const found = e.cases.find((c) => c.tag === null || (v.k === "tag" && v.name === c.tag));
        if (found === undefined) throw new KindError("no case of the 'match' fits");
        return this.#eval(found.body, env);
      }
      case "try":
        try {
          return this.#eval(e.of, env);
        } catch (error) {
          if (!(error instanceof CatError)) throw error;
          return this.#eval(e.otherwise, env);
        }
      case "if":
        return this.#eval(this.#cond(e.cond, env, e.at) ? e.then : e.otherwise, env);
    }
  }

  #cond(c: Cond, env: Env, at: At): boolean {
    switch (c.k) {
      case "variant":
        return this.#model.variants.has(c.name);
      case "not":
        return !this.#cond(c.of, env, at);
      case "equal": {
        const [a, b] = [this.#eval(c.a, env), this.#eval(c.b, env)];
        return this.#at(at, () => this.#al.key(a) === this.#al.key(b));
      }
      case "subset": {
        const [a, b] = [this.#eval(c.a, env), this.#eval(c.b, env)];
        return this.#at(at, () => this.#al.isEmpty(this.#al.combine("\\", a, b)));
      }
    }
  }

  #apply(fn: Value, arg: Value, at: At): Value {
    if (fn.k === "builtin") return this.#at(at, () => fn.apply(arg));
    if (fn.k !== "function") throw new CatError(at, `${kindName(fn)} cannot be called`);
    if (++this.#calls > MAX_CALLS) throw new CatError(at, "functions call each other too deeply");
    const env = this.#bindPattern(new Env(fn.env), fn.param, arg, at, this.#varies);
    const value = this.#eval(fn.body, env);
    this.#calls--;
    return value;
  }
}

/** Depth of calls. */
const MAX_CALLS = 1000;
const NOWHERE: At = { file: "", line: 0, col: 0 };
const paramsOf = (params: readonly string[]): Pattern => (params.length === 1 ? params[0] : params);

const relationKeys = new Map<string, object>();
function relationKey(name: string): object {
  let key = relationKeys.get(name);
  if (key === undefined) relationKeys.set(name, (key = { name }));
  return key;
}

/** Definitions that every model finds, in the language itself. */
const PRELUDE: readonly Stmt[] = parseCat(
  "prelude",
  `let po-loc = po & loc
let rfe = rf & ext
let rfi = rf & int
let co0 = loc & ((IW * (W \\ IW)) | ((W \\ FW) * FW))
let ctrlcfence(f) = (ctrl & (_ * f)) ; po
let nodetour(a, b, c) = a \\ (b ; c)
let imply(a, b) = ~a | b
let amo = rmw
let lxsx = rmw \\ amo
procedure subseteq(a, b) = empty a \\ b end
procedure inclusion(a, b) = empty a \\ b end`,
).statements;
