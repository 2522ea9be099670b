/**
 * The machine's memory: 32-bit words, shared between CPUs, addressed by word index. Address 0 is NULL, and
 * the first NULL_GUARD words are no memory. Boot code reserves named runs of words with `memblock_alloc`
 * (after the kernel's boot-time allocator, mm/memblock.c) and declares which of them can be freed; after boot
 * nothing here allocates, objects come from pools of declared regions. The same memory serves single-threaded
 * use, real threads (a SharedArrayBuffer) and, as an image, the checker.
 *
 * Not covered: caches and store buffers. On real threads the host's own memory model applies (all marked
 * accesses are sequentially consistent Atomics); weaker orders are the checker's business.
 */

import type { MemoryView } from "./format.ts";
import {
  describeAddress,
  type MemoryImage,
  type MemRegion,
  type MemSymbol,
  NULL_GUARD,
  POISON,
} from "./image.ts";

/** The words; none before `resetMemory` or `attachMemory`, which replace it. Live binding. */
export let mem: Int32Array = new Int32Array(0);

let top = NULL_GUARD;
let provide = (words: number): Int32Array => new Int32Array(new SharedArrayBuffer(words * 4));

/**
 * Where `resetMemory` takes memory from: `words` zeroed words, shared. Compiled code (lang/wasm) needs memory
 * of its own kind. Gives the provider that was in force, to be put back.
 */
export function setMemoryProvider(next: (words: number) => Int32Array): (words: number) => Int32Array {
  const before = provide;
  provide = next;
  return before;
}
let symbols: MemSymbol[] = [];
let regions: MemRegion[] = [];
/** The same by address. */
let inOrder: MemRegion[] = [];
let view: MemoryView | null = null;

/** Starts a machine with `words` words of zeroed memory and nothing allocated. */
export function resetMemory(words: number): void {
  if (!Number.isSafeInteger(words) || words <= NULL_GUARD || words > 2 ** 29)
    throw new RangeError(`memory size must be ${NULL_GUARD + 1} to 2^29 words, not ${words}`);
  mem = provide(words);
  top = NULL_GUARD;
  symbols = [];
  regions = [];
  inOrder = [];
  view = null;
  pools = byBase = null;
}

/** Says how words read, for whoever is shown this memory. Boot only. */
export function setMemoryView(next: MemoryView): void {
  view = next;
}

/** Makes a CPU of another thread use the memory that its creator booted. */
export function attachMemory(
  words: Int32Array,
  image: { symbols: readonly MemSymbol[]; regions: readonly MemRegion[] },
): void {
  mem = words;
  symbols = [...image.symbols];
  regions = [...image.regions];
  inOrder = [...image.regions].sort((a, b) => a.base - b.base);
  pools = byBase = null;
  top = words.length;
}

export interface MemblockOptions {
  /** Number of elements of an array; absent or 0 for one object. */
  readonly count?: number;
  /** Field name per word of one element. */
  readonly fields?: readonly string[];
  /** Alignment in words. */
  readonly align?: number;
  /** The struct, or another type of the view: how its words read. */
  readonly type?: string;
}

/** Reserves `words` words (all elements together) under a name and gives the address. Boot only. */
export function memblock_alloc(name: string, words: number, options: MemblockOptions = {}): number {
  const align = options.align ?? 1;
  const base = Math.ceil(top / align) * align;
  if (words < 1 || base + words > mem.length)
    throw new RangeError(`no room for ${name}: ${words} words at ${base}, memory has ${mem.length}`);
  top = base + words;
  symbols.push({
    name,
    base,
    words,
    count: options.count ?? 0,
    fields: options.fields ?? [],
    ...(options.type === undefined ? {} : { type: options.type }),
  });
  return base;
}

/**
 * Declares that the words at `base` are freed and allocated as one object. `live` false: poisoned now. Boot
 * only.
 * @throws RangeError if one of the words belongs to another object already, or is no memory: freeing one of
 * the two would poison a part of the other, which the checker and a run on threads would each take in another
 * way.
 */
export function declareRegion(name: string, base: number, words: number, pool = 0, live = true): void {
  const what = `object ${name}, words ${base} to ${base + words - 1}`;
  if (!Number.isSafeInteger(base) || words < 1 || base < NULL_GUARD || base + words > mem.length)
    throw new RangeError(`${what}: memory has words ${NULL_GUARD} to ${mem.length - 1}`);
  // Nearly always declared in the order of their addresses.
  let at = inOrder.length;
  while (at > 0 && inOrder[at - 1].base >= base + words) at--;
  const other = at > 0 ? inOrder[at - 1] : undefined;
  if (other !== undefined && other.base + other.words > base)
    throw new RangeError(
      `${what}: object ${other.name} has words ${other.base} to ${other.base + other.words - 1}; a word belongs to one object`,
    );
  inOrder.splice(at, 0, { name, base, words, pool, live });
  regions.push({ name, base, words, pool, live });
  pools = byBase = null;
  if (!live) mem.fill(POISON, base, base + words);
}

/** The objects of a pool, in order of declaration, and where to look first for a free one. */
export interface Pool {
  readonly regions: MemRegion[];
  /** No region before this index was free when it was last looked at by this thread. */
  hint: number;
}

let pools: Map<number, Pool> | null = null;
let byBase: Map<number, { readonly region: MemRegion; readonly index: number }> | null = null;

function indexRegions(): void {
  pools = new Map();
  byBase = new Map();
  for (const region of regions) {
    let pool = pools.get(region.pool);
    if (pool === undefined) {
      pool = { regions: [], hint: 0 };
      pools.set(region.pool, pool);
    }
    byBase.set(region.base, { region, index: pool.regions.length });
    pool.regions.push(region);
  }
}

/** The pool of that number; undefined if no object was declared for it. */
export function memoryPool(number: number): Pool | undefined {
  if (pools === null) indexRegions();
  return pools?.get(number);
}

/** The object that starts at `base`, and its index in its pool. */
export function regionAt(base: number): { readonly region: MemRegion; readonly index: number } | undefined {
  if (byBase === null) indexRegions();
  return byBase?.get(base);
}

export function memorySymbols(): readonly MemSymbol[] {
  return symbols;
}

export function memoryRegions(): readonly MemRegion[] {
  return regions;
}

/** First address that nothing has been allocated at. */
export function memoryTop(): number {
  return top;
}

/** The memory as it is now, as the initial memory of a program to check. */
export function memoryImage(): MemoryImage {
  const live = regions.map((r) => ({ ...r, live: Atomics.load(mem, r.base) !== POISON }));
  return {
    origin: NULL_GUARD,
    words: Array.from(mem.subarray(NULL_GUARD, top)),
    symbols: [...symbols],
    regions: live,
    ...(view === null ? {} : { view }),
  };
}

/** An address for a person; see `describeAddress`. */
export function addressName(addr: number): string {
  return describeAddress(symbols, addr);
}
