/**
 * Where the objects of a C program lie: globals, strings, pools of what can be allocated, variables on
 * stacks. Addresses are bytes (types.ts) and begin at 4096, so that a member of a struct at NULL is never
 * somebody's word. Functions have addresses of their own, far above, that no access can touch. The result is
 * the memory image that every engine starts from.
 */

import type { MemoryImage, MemRegion, MemSymbol } from "../../machine/image.ts";
import { POISON } from "../../machine/image.ts";
import type { FnDecl, VarDecl } from "./ast.ts";
import { refuse } from "./errors.ts";
import { type CType, leaves, sizeOf } from "./types.ts";

export const ORIGIN = 4096;
const FUNCTIONS = 0x60000000;
const FUNCTION_STRIDE = 16;
/** Bytes behind each object that are nobody's, so that who leaves it is in no other. */
const GAP = 16;
/** All of a program's objects together; each address takes a word of the machine. */
const MAX_MEMORY = 1 << 22;

/** Something allocated, declared or on a stack: what lies there, for counterexamples. */
export interface CObject {
  readonly name: string;
  readonly base: number;
  readonly type: CType;
  /** Bytes. */
  readonly size: number;
  /** `heap`: from kmalloc(); `stack`: a variable of a function; `static`: lives for ever. */
  readonly where: "static" | "heap" | "stack";
}

/** Objects of one size and type, which kmalloc() takes from. */
export interface CPool {
  readonly id: number;
  /** Type of one element, if the size was given as sizeof; else null. */
  readonly type: CType | null;
  readonly size: number;
  readonly name: string;
  /** Regions so far. */
  count: number;
}

/** Ids of pools of a size that no sizeof gave are this plus the size. */
export const UNTYPED_POOL = 1 << 24;

export class Layout {
  readonly objects: CObject[] = [];
  readonly pools = new Map<number, CPool>();
  private readonly words: number[] = [];
  private readonly symbols: MemSymbol[] = [];
  /** In the order of their addresses. */
  private readonly regions: MemRegion[] = [];
  /** Indices of the regions of a pool, in order; the first `live` of them live. */
  private readonly regionsOfPool = new Map<number, { readonly indices: number[]; live: number }>();
  private readonly addresses = new Map<VarDecl, number>();
  private readonly functions: FnDecl[] = [];
  private readonly names = new Map<string, number>();
  private top = ORIGIN;
  private nextPool = 1;

  /** Room for `size` bytes under a name; words are 0. */
  place(name: string, type: CType, size: number, where: CObject["where"]): CObject {
    // Sixteen, as kmalloc() and the compiler's big objects: the low bits of a pointer are free for flags.
    const base = Math.ceil((this.objects.length === 0 ? this.top : this.top + GAP) / 16) * 16;
    if (base + size > MAX_MEMORY)
      refuse(
        "HF225",
        { file: "", line: 0, col: 0, macro: "" },
        `${name}: all objects together exceed ${MAX_MEMORY} bytes`,
      );
    this.top = base + Math.max(1, size);
    while (this.words.length < this.top - ORIGIN) this.words.push(0);
    const object = { name, base, type, size, where };
    this.objects.push(object);
    this.symbols.push(symbolOf(object));
    return object;
  }

  /** Address of a variable that lives for ever. */
  addressOf(decl: VarDecl, owner = ""): number {
    let a = this.addresses.get(decl);
    if (a === undefined) {
      const type: CType =
        decl.copies === undefined ? decl.type : { k: "array", of: decl.type, length: decl.copies, quals: 0 };
      a = this.place(
        this.unique(owner === "" ? decl.name : `${owner}.${decl.name}`),
        type,
        Math.max(1, sizeOf(type)),
        "static",
      ).base;
      this.addresses.set(decl, a);
      this.fresh.push(decl);
    }
    return a;
  }

  /** Variables that have got an address and whose initial values are still to be put in. */
  readonly fresh: VarDecl[] = [];

  addressIfPlaced(decl: VarDecl): number | undefined {
    return this.addresses.get(decl);
  }
  /** Bytes of the object that begins there; 0 if none does. */
  sizeAt(base: number): number {
    const o = this.objectAt(base);
    return o?.base === base ? o.size : 0;
  }

  private unique(name: string): string {
    const n = this.names.get(name) ?? 0;
    this.names.set(name, n + 1);
    return n === 0 ? name : `${name}.${n}`;
  }

  functionAddress(fn: FnDecl): number {
    let i = this.functions.indexOf(fn);
    if (i < 0) i = this.functions.push(fn) - 1;
    return FUNCTIONS + i * FUNCTION_STRIDE;
  }
  functionAt(address: number): FnDecl | undefined {
    const i = (address - FUNCTIONS) / FUNCTION_STRIDE;
    return Number.isInteger(i) ? this.functions[i] : undefined;
  }

  /** A variable of one inlined call: dead until the call begins. */
  stackObject(name: string, type: CType): CObject {
    const o = this.place(this.unique(name), type, sizeOf(type), "stack");
    this.declare(o, 0, false);
    return o;
  }

  private declare(o: CObject, pool: number, live: boolean): void {
    const region = { name: o.name, base: o.base, words: Math.max(1, o.size), pool, live };
    const indices = this.regionsOfPool.get(pool);
    if (indices === undefined) this.regionsOfPool.set(pool, { indices: [this.regions.length], live: 0 });
    else indices.indices.push(this.regions.length);
    this.regions.push(o.where === "stack" ? { ...region, stack: true } : region);
    if (!live) this.words.fill(POISON, o.base - ORIGIN, o.base - ORIGIN + Math.max(1, o.size));
  }

  /** The pool for `size` bytes of elements of `type`. */
  poolFor(type: CType, size: number): CPool {
    for (const p of this.pools.values()) if (p.type === type && p.size === size) return p;
    const id = this.nextPool++;
    const name =
      type.k === "record" && type.record.tag !== ""
        ? type.record.tag
        : type.k === "int"
          ? type.name.replace(/ /g, "_")
          : "object";
    const p: CPool = { id, type, size, name, count: 0 };
    this.pools.set(id, p);
    return p;
  }

  /** The pool of that id, made if it is that of a bare size. */
  pool(id: number): CPool | undefined {
    let p = this.pools.get(id);
    if (p === undefined && id > UNTYPED_POOL && id < UNTYPED_POOL + MAX_MEMORY) {
      p = { id, type: null, size: id - UNTYPED_POOL, name: "object", count: 0 };
      this.pools.set(id, p);
    }
    return p;
  }

  /** One more object of the pool. */
  poolObject(p: CPool, live: boolean): CObject {
    p.count++;
    const element = p.type;
    const one = element === null ? 1 : sizeOf(element);
    const type: CType =
      element === null
        ? {
            k: "array",
            of: { k: "int", size: 1, signed: true, rank: 1, name: "char", quals: 0, values: null },
            length: p.size,
            quals: 0,
          }
        : p.size === one
          ? element
          : { k: "array", of: element, length: Math.floor(p.size / Math.max(1, one)), quals: 0 };
    const o = this.place(
      this.unique(`${p.name}#`).replace(
        /#(?:\.(\d+))?$/,
        (_, n: string | undefined) => `#${Number(n ?? 0) + 1}`,
      ),
      type,
      Math.max(1, p.size),
      "heap",
    );
    this.declare(o, p.id, live);
    return o;
  }

  read(address: number): number {
    return this.words[address - ORIGIN];
  }
  write(address: number, value: number): void {
    this.words[address - ORIGIN] = value;
  }
  /** The object that lies there; they are in the order of their addresses. */
  objectAt(address: number): CObject | undefined {
    let lo = 0;
    let hi = this.objects.length - 1;
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (this.objects[mid].base <= address) lo = mid;
      else hi = mid - 1;
    }
    const o = this.objects[lo];
    return o !== undefined && address >= o.base && address < o.base + Math.max(1, o.size) ? o : undefined;
  }
  get allRegions(): readonly MemRegion[] {
    return this.regions;
  }
  setLive(index: number, live: boolean): void {
    const r = this.regions[index];
    const pool = this.regionsOfPool.get(r.pool);
    if (!live && pool !== undefined) pool.live = Math.min(pool.live, lowerBound(pool.indices, index));
    this.regions[index] = { ...r, live };
    this.words.fill(live ? 0 : POISON, r.base - ORIGIN, r.base - ORIGIN + r.words);
  }
  /** Index of the first region of that pool that does not live; -1 if all do. */
  firstDead(pool: number): number {
    const of = this.regionsOfPool.get(pool);
    if (of === undefined) return -1;
    while (of.live < of.indices.length && this.regions[of.indices[of.live]].live) of.live++;
    return of.indices[of.live] ?? -1;
  }
  /** Index of the region that holds the address; -1 if none does. */
  regionAt(address: number): number {
    let lo = 0;
    let hi = this.regions.length - 1;
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (this.regions[mid].base <= address) lo = mid;
      else hi = mid - 1;
    }
    const r = this.regions[lo];
    return r !== undefined && address >= r.base && address < r.base + r.words ? lo : -1;
  }

  image(): MemoryImage {
    const gaps = this.objects.map((o, i): MemRegion => {
      const base = o.base + Math.max(1, o.size);
      const end = this.objects[i + 1]?.base ?? base + GAP;
      return { name: o.name, base, words: end - base, pool: 0, live: false, outside: true };
    });
    const words = [...this.words, ...new Array<number>(GAP).fill(0)];
    return { origin: ORIGIN, words, symbols: [...this.symbols], regions: [...this.regions, ...gaps] };
  }
}

/** Where `value` stands among ascending numbers, or would. */
function lowerBound(ascending: readonly number[], value: number): number {
  let lo = 0;
  let hi = ascending.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (ascending[mid] < value) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** Names of an object's words: of an array, those of one element. */
function symbolOf(o: CObject): MemSymbol {
  const array = o.type.k === "array" && o.type.length > 0;
  const element = o.type.k === "array" && array ? o.type.of : o.type;
  const stride = array ? sizeOf(element) : Math.max(1, o.size);
  const fields: string[] = [];
  if (element.k !== "int" && element.k !== "ptr") {
    for (let i = 0; i < stride; i++) fields.push("");
    for (const l of leaves(element, 0, "", [], 4096))
      if (fields[l.offset] === "") fields[l.offset] = l.name.replace(/^\./, "");
  }
  const count = array ? Math.max(1, Math.floor(o.size / stride)) : 0;
  return { name: o.name, base: o.base, words: array ? count * stride : stride, count, fields };
}
