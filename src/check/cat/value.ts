/**
 * Values of the cat language: sets of events and relations between them as bits, sets of such values, tags,
 * tuples and functions. The empty set and "everything" have no kind of their own and become whatever they are
 * combined with.
 */
import { addIdentity, closure, compose, isEmpty, setBit, transpose } from "../models/bits.ts";
import type { Binding, Exp, Pattern, Stmt } from "./syntax.ts";

export type Value =
  | { readonly k: "set"; readonly bits: Int32Array }
  | { readonly k: "rel"; readonly bits: Int32Array }
  | { readonly k: "empty" }
  | { readonly k: "universe" }
  | { readonly k: "event"; readonly i: number }
  | { readonly k: "pair"; readonly i: number; readonly j: number }
  | { readonly k: "tuple"; readonly items: readonly Value[] }
  | { readonly k: "tag"; readonly name: string }
  /** A set of anything but events and pairs. */
  | { readonly k: "values"; readonly items: readonly Value[] }
  | { readonly k: "function"; readonly param: Pattern; readonly body: Exp; readonly env: Env }
  | { readonly k: "builtin"; readonly apply: (arg: Value) => Value }
  | {
      readonly k: "procedure";
      readonly params: readonly string[];
      readonly body: readonly Stmt[];
      readonly env: Env;
    };

export const EMPTY: Value = { k: "empty" };
export const UNIVERSE: Value = { k: "universe" };

/** Names in scope. `varies`: the value depends on the choice of sources or of coherence orders. */
export interface Bound {
  readonly value: Value;
  readonly varies: boolean;
}

/**
 * Scopes as a chain; a name that is bound again opens a new one, so that functions keep what they were
 * defined with.
 */
export class Env {
  readonly #names = new Map<string, Bound>();
  readonly #outer: Env | null;

  constructor(outer: Env | null) {
    this.#outer = outer;
  }

  find(name: string): Bound | undefined {
    for (let e: Env | null = this; e !== null; e = e.#outer) {
      const b = e.#names.get(name);
      if (b !== undefined) return b;
    }
    return undefined;
  }

  /** This scope or one inside it, in which the name is bound. */
  bind(name: string, value: Value, varies: boolean): Env {
    const env = this.find(name) === undefined ? this : new Env(this);
    env.#names.set(name, { value, varies });
    return env;
  }

  /** Binds in this very scope, over what was there: for the rounds of a fixpoint. */
  set(name: string, value: Value, varies: boolean): void {
    this.#names.set(name, { value, varies });
  }
}

/** A value of the wrong kind; the interpreter adds the place. */
export class KindError extends Error {}

const NAMES: Record<Value["k"], string> = {
  set: "a set of events",
  rel: "a relation",
  empty: "the empty set",
  universe: "'_'",
  event: "an event",
  pair: "a pair",
  tuple: "a tuple",
  tag: "a tag",
  values: "a set of sets",
  function: "a function",
  builtin: "a function",
  procedure: "a procedure",
};

export const kindName = (v: Value): string => NAMES[v.k];

/** Arithmetic of sets and relations over `n` events. */
export class Algebra {
  readonly n: number;
  /** 32-bit words of a set, and of a row of a relation. */
  readonly words: number;
  readonly all: Int32Array;

  constructor(n: number) {
    this.n = n;
    this.words = Math.max(1, (n + 31) >> 5);
    this.all = new Int32Array(this.words);
    for (let i = 0; i < n; i++) this.all[i >> 5] |= 1 << (i & 31);
  }

  set(v: Value): Int32Array {
    if (v.k === "set") return v.bits;
    if (v.k === "empty") return new Int32Array(this.words);
    if (v.k === "universe") return this.all;
    throw new KindError(`expected a set of events, not ${kindName(v)}`);
  }

  rel(v: Value): Int32Array {
    if (v.k === "rel") return v.bits;
    if (v.k === "empty") return new Int32Array(this.n * this.words);
    if (v.k === "universe") return this.product(this.all, this.all);
    throw new KindError(`expected a relation, not ${kindName(v)}`);
  }

  items(v: Value): readonly Value[] {
    if (v.k === "values") return v.items;
    if (v.k === "empty") return [];
    if (v.k === "set") return this.members(v.bits).map((i) => ({ k: "event", i }));
    if (v.k === "rel") return this.pairs(v.bits).map(([i, j]) => ({ k: "pair", i, j }));
    throw new KindError(`expected a set, not ${kindName(v)}`);
  }

  members(set: Int32Array): number[] {
    const out: number[] = [];
    for (let i = 0; i < this.n; i++) if ((set[i >> 5] & (1 << (i & 31))) !== 0) out.push(i);
    return out;
  }

  pairs(rel: Int32Array): [number, number][] {
    const out: [number, number][] = [];
    for (let i = 0; i < this.n; i++)
      for (const j of this.members(rel.subarray(i * this.words, (i + 1) * this.words))) out.push([i, j]);
    return out;
  }

  product(a: Int32Array, b: Int32Array): Int32Array {
    const out = new Int32Array(this.n * this.words);
    for (const i of this.members(a)) out.set(b, i * this.words);
    return out;
  }

  identity(set: Int32Array): Int32Array {
    const out = new Int32Array(this.n * this.words);
    for (const i of this.members(set)) setBit(out, this.words, i, i);
    return out;
  }

  sequence(a: Int32Array, b: Int32Array): Int32Array {
    const out = new Int32Array(a.length);
    compose(out, a, b, this.n, this.words);
    return out;
  }

  inverse(a: Int32Array): Int32Array {
    const out = new Int32Array(a.length);
    transpose(out, a, this.n, this.words);
    return out;
  }

  plus(a: Int32Array): Int32Array {
    const out = a.slice();
    closure(out, this.n, this.words);
    return out;
  }

  maybe(a: Int32Array): Int32Array {
    const out = a.slice();
    addIdentity(out, this.n, this.words);
    return out;
  }

  complement(bits: Int32Array): Int32Array {
    const { words } = this;
    return bits.map((b, k) => ~b & this.all[k % words]);
  }

  domain(rel: Int32Array): Int32Array {
    const out = new Int32Array(this.words);
    for (let i = 0; i < this.n; i++) {
      for (let x = 0; x < this.words; x++) if (rel[i * this.words + x] !== 0) out[i >> 5] |= 1 << (i & 31);
    }
    return out;
  }

  range(rel: Int32Array): Int32Array {
    const out = new Int32Array(this.words);
    for (let k = 0; k < rel.length; k++) out[k % this.words] |= rel[k];
    return out;
  }

  isEmpty(v: Value): boolean {
    if (v.k === "set" || v.k === "rel") return isEmpty(v.bits, v.bits.length);
    if (v.k === "values") return v.items.length === 0;
    if (v.k === "universe") return this.n === 0;
    if (v.k === "empty") return true;
    throw new KindError(`expected a set or a relation, not ${kindName(v)}`);
  }

  /** Union, intersection or difference of two values of one kind. */
  combine(op: "|" | "&" | "\\", a: Value, b: Value): Value {
    if (a.k === "values" || b.k === "values") {
      const keys = new Set(this.items(b).map((v) => this.key(v)));
      if (op === "|") return this.values([...this.items(a), ...this.items(b)]);
      return this.values(this.items(a).filter((v) => keys.has(this.key(v)) === (op === "&")));
    }
    if (a.k === "empty") return op === "|" ? b : a;
    if (b.k === "empty") return op === "&" ? b : a;
    const asSet = a.k === "set" || b.k === "set";
    // Two universes: either kind will do.
    const [x, y] = asSet ? [this.set(a), this.set(b)] : [this.rel(a), this.rel(b)];
    const bits = new Int32Array(x.length);
    if (op === "|") for (let i = 0; i < x.length; i++) bits[i] = x[i] | y[i];
    else if (op === "&") for (let i = 0; i < x.length; i++) bits[i] = x[i] & y[i];
    else for (let i = 0; i < x.length; i++) bits[i] = x[i] & ~y[i];
    return { k: asSet ? "set" : "rel", bits };
  }

  /** `e ++ S`. */
  add(e: Value, s: Value): Value {
    if (e.k === "event" && s.k !== "values") {
      const bits = this.set(s).slice();
      bits[e.i >> 5] |= 1 << (e.i & 31);
      return { k: "set", bits };
    }
    if (e.k === "pair" && s.k !== "values") {
      const bits = this.rel(s).slice();
      setBit(bits, this.words, e.i, e.j);
      return { k: "rel", bits };
    }
    return this.values([e, ...this.items(s)]);
  }

  /** A set of values, each once. */
  values(items: readonly Value[]): Value {
    const seen = new Map<string, Value>();
    for (const v of items) {
      const key = this.key(v);
      if (!seen.has(key)) seen.set(key, v);
    }
    return { k: "values", items: [...seen.values()] };
  }

  /** Text that is the same for equal values and for no others. */
  key(v: Value): string {
    switch (v.k) {
      case "set":
      case "rel":
        return isEmpty(v.bits, v.bits.length) ? "0" : `${v.k}${v.bits.join()}`;
      case "empty":
        return "0";
      case "event":
        return `e${v.i}`;
      case "pair":
        return `p${v.i},${v.j}`;
      case "tag":
        return `'${v.name}`;
      case "tuple":
      case "values":
        return `(${v.items.map((x) => this.key(x)).join(";")})`;
      default:
        throw new KindError(`${kindName(v)} cannot be a member of a set`);
    }
  }
}

export type { Binding };
