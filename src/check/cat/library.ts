/**
 * What every cat file finds defined: functions on sets and relations, and files to include, in our own words
 * after the manual of herd7 (the chapter on the language cat). Coherence orders are enumerated here, as
 * linear extensions.
 */
import { reflexive, setBit } from "../models/bits.ts";
import { OWN_MODELS } from "./models.ts";
import { type Algebra, EMPTY, KindError, kindName, type Value } from "./value.ts";

/** What the functions need to know of the events. */
export interface Library {
  readonly algebra: Algebra;
  /** Location of each event, -1 for none. */
  readonly loc: Int32Array;
  readonly po: Int32Array;
  /** Whether two events have different values; only asked while sources are chosen. */
  readonly differ: (i: number, j: number) => boolean;
  /** Told when something was asked that depends on the sources. */
  readonly onVarying: () => void;
  /** Calls a function of the language. */
  readonly apply: (fn: Value, arg: Value) => Value;
}

/** Files that may be included although nobody has them on disk. */
export const BUILT_IN_FILES: ReadonlyMap<string, string> = new Map([
  [
    "cross.cat",
    `"Combinations of choices"
let generate_cos(base) = generate_orders(W, base)`,
  ],
  [
    "cos.cat",
    `"Coherence orders and from-reads"
with co from generate_orders(W, co0)
let fr = (rf^-1 ; co) \\ id
let coi = co & int
let coe = co & ext
let fri = fr & int
let fre = fr & ext`,
  ],
  [
    "cos-opt.cat",
    `"Coherence orders and from-reads: only orders that each thread can see"
let seen = ([W] ; (rf? ; po-loc ; (rf^-1)?) ; [W]) \\ id
with co from generate_orders(W, co0 | seen)
let fr = (rf^-1 ; co) \\ id
let coi = co & int
let coe = co & ext
let fri = fr & int
let fre = fr & ext`,
  ],
  ...OWN_MODELS,
  ["filters.cat", '"Filters: none are needed"'],
  ["stdlib.cat", '"Standard library: all of it is built in"'],
]);

/** The functions, by name. */
export function builtIns(lib: Library): Map<string, Value> {
  const { algebra: al } = lib;
  const out = new Map<string, Value>();
  const define = (name: string, apply: (arg: Value) => Value): void => {
    out.set(name, { k: "builtin", apply });
  };
  const set = (bits: Int32Array): Value => ({ k: "set", bits });
  const rel = (bits: Int32Array): Value => ({ k: "rel", bits });
  const parts = (v: Value, n: number): readonly Value[] => {
    if (v.k !== "tuple" || v.items.length !== n)
      throw new KindError(`expected ${n} arguments in parentheses`);
    return v.items;
  };

  define("domain", (r) => set(al.domain(al.rel(r))));
  define("range", (r) => set(al.range(al.rel(r))));
  define("toid", (s) => rel(al.identity(al.set(s))));
  define("fencerel", (f) => {
    const po = lib.po;
    return rel(al.sequence(al.sequence(po, al.identity(al.set(f))), po));
  });
  define("singlestep", (r) => al.combine("\\", r, rel(al.sequence(al.rel(r), al.rel(r)))));
  define("different-values", (r) => {
    lib.onVarying();
    const bits = new Int32Array(al.n * al.words);
    for (const [i, j] of al.pairs(al.rel(r))) if (lib.differ(i, j)) setBit(bits, al.words, i, j);
    return rel(bits);
  });
  define("map", (fn) => ({
    k: "builtin",
    apply: (s) => al.items(s).reduceRight((rest, e) => al.add(lib.apply(fn, e), rest), EMPTY),
  }));
  define("fold", (fn) => ({
    k: "builtin",
    apply: (arg) => {
      const [s, start] = parts(arg, 2);
      return al.items(s).reduce((acc, e) => lib.apply(fn, { k: "tuple", items: [e, acc] }), start);
    },
  }));
  const byLocation = (s: Int32Array): Int32Array[] => {
    const classes = new Map<number, Int32Array>();
    for (const i of al.members(s)) {
      if (lib.loc[i] < 0) continue;
      let c = classes.get(lib.loc[i]);
      if (c === undefined) classes.set(lib.loc[i], (c = new Int32Array(al.words)));
      c[i >> 5] |= 1 << (i & 31);
    }
    return [...classes.values()];
  };
  define("classes-loc", (s) => al.values(byLocation(al.set(s)).map(set)));
  define("partition", (s) => al.values(byLocation(al.set(s)).map(set)));
  define("linearisations", (arg) => {
    const [s, r] = parts(arg, 2);
    return al.values(linearExtensions(al, al.set(s), al.rel(r)).map(rel));
  });
  define("cross", (sets) =>
    al.values(
      cross(
        al,
        al.items(sets).map((s) => al.items(s)),
      ),
    ),
  );
  define("generate_orders", (arg) => {
    const [s, r] = parts(arg, 2);
    const perLocation = byLocation(al.set(s)).map((c) => linearExtensions(al, c, al.rel(r)).map(rel));
    return { k: "values", items: cross(al, perLocation) };
  });
  return out;
}

/** Every total order on `set` that contains the part of `r` within it, as a transitive relation. */
function linearExtensions(al: Algebra, set: Int32Array, r: Int32Array): Int32Array[] {
  const members = al.members(set);
  const before = al.plus(r);
  if (reflexive(before, al.n, al.words)) return [];
  const out: Int32Array[] = [];
  const placed: number[] = [];
  const left = new Set(members);
  const precedes = (i: number, j: number): boolean =>
    (before[i * al.words + (j >> 5)] & (1 << (j & 31))) !== 0;
  const place = (): void => {
    if (left.size === 0) {
      const order = new Int32Array(al.n * al.words);
      placed.forEach((i, k) => {
        for (const j of placed.slice(k + 1)) setBit(order, al.words, i, j);
      });
      out.push(order);
      return;
    }
    for (const e of members) {
      if (!left.has(e)) continue;
      let first = true;
      for (const o of left) if (o !== e && precedes(o, e)) first = false;
      if (!first) continue;
      left.delete(e);
      placed.push(e);
      place();
      placed.pop();
      left.add(e);
    }
  };
  place();
  return out;
}

/** The unions of one relation out of each set. */
function cross(al: Algebra, sets: readonly (readonly Value[])[]): Value[] {
  let out: Value[] = [EMPTY];
  for (const s of sets) {
    const next: Value[] = [];
    for (const sofar of out) {
      for (const r of s) {
        if (r.k !== "rel" && r.k !== "empty")
          throw new KindError(`expected sets of relations, not of ${kindName(r)}`);
        next.push(al.combine("|", sofar, r));
      }
    }
    out = next;
  }
  return out;
}
