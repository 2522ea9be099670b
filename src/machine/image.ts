/**
 * The initial memory of a program as plain data: words, the names of what lies where, and the objects that
 * can be freed. Boot code (ordinary JavaScript) lays memory out and runs the kernel's own initialisation on
 * it; the result is handed to real threads as a SharedArrayBuffer, or to the checker as this image.
 */

import { type MemoryView, plainNumber, readingText, readWord, type WordFormat } from "./format.ts";

/** A run of words with a name and a struct layout, so that an address can be shown as `page[3]._refcount`. */
export interface MemSymbol {
  readonly name: string;
  /** Word address of the first word. */
  readonly base: number;
  readonly words: number;
  /** Number of elements; 0 for a single object (shown without an index). */
  readonly count: number;
  /** Field name of each word of one element; [] if it has none. */
  readonly fields: readonly string[];
  /** The struct, or another type of the view: how its words read. */
  readonly type?: string;
}

/** Something that can be freed as a whole. */
export interface MemRegion {
  readonly name: string;
  readonly base: number;
  readonly words: number;
  /** The pool that kzalloc() takes it from; 0: it is never handed out. */
  readonly pool: number;
  readonly live: boolean;
  /**
   * A local variable: made live where it is declared, freed where its scope ends, and neither orders
   * anything.
   */
  readonly stack?: boolean;
  /** No object, but what lies behind the one that it is named after: who touches it left that. */
  readonly outside?: boolean;
}

export interface MemoryImage {
  /** Initial words from address `origin`; address 0 itself is NULL and never valid. */
  readonly words: readonly number[];
  /** Address of words[0]; 0 if absent. Litmus tests keep their words far from any constant of the test. */
  readonly origin?: number;
  readonly symbols: readonly MemSymbol[];
  readonly regions: readonly MemRegion[];
  /** How words read; absent if nothing is known of them but names. */
  readonly view?: MemoryView;
}

/**
 * Addresses below this are never memory: a field of a struct at NULL is a bad address, not somebody's word.
 */
export const NULL_GUARD = 64;

/** The word that freed memory is filled with; the kernel's POISON_FREE byte (include/linux/poison.h). */
export const POISON = 0x6b6b6b6b;

/** Where an address lies: the symbol, which element, which word of it. Null if nothing lies there. */
export function placeOf(
  symbols: readonly MemSymbol[],
  addr: number,
): { readonly symbol: MemSymbol; readonly index: number; readonly offset: number } | null {
  for (const s of symbols) {
    if (addr < s.base || addr >= s.base + s.words) continue;
    const stride = s.count > 0 ? s.words / s.count : s.words;
    return { symbol: s, index: Math.floor((addr - s.base) / stride), offset: (addr - s.base) % stride };
  }
  return null;
}

/**
 * Names an address for a person: `page[3]._refcount`, `pgmap.ref.count`, or `0x1f0` if nothing lies there.
 */
export function describeAddress(symbols: readonly MemSymbol[], addr: number): string {
  const place = placeOf(symbols, addr);
  if (place === null) return `0x${addr.toString(16)}`;
  const { symbol: s, index, offset } = place;
  const field = s.fields[offset];
  const element = s.count > 0 ? `${s.name}[${index}]` : s.name;
  if (field !== undefined && field !== "") return `${element}.${field}`;
  if (offset === 0) return element;
  return s.fields.length > 0 || s.count > 0 ? `${element}+${offset}` : `${s.name}[${offset}]`;
}

/** What is known of the words of a memory. */
export interface Readable {
  readonly symbols: readonly MemSymbol[];
  readonly view?: MemoryView | null;
}

/** How the word at `addr` reads; undefined if it is a plain number. */
export function formatAt(image: Readable, addr: number): WordFormat | undefined {
  const place = placeOf(image.symbols, addr);
  const names = place === null ? undefined : image.view?.types[place.symbol.type ?? ""];
  if (place === null || names === undefined || names.length === 0) return undefined;
  return image.view?.formats[names[place.offset % names.length]];
}

/** Names what a pointer leads to: an object by its name alone, a struct page that is mapped by its number. */
export function pointerName(image: Readable, addr: number): string {
  const pages = image.view?.pages ?? null;
  if (pages !== null && addr >= pages.vmemmap && addr < pages.vmemmap + (pages.count << pages.shift)) {
    const offset = (addr - pages.vmemmap) & ((1 << pages.shift) - 1);
    return `page[${(addr - pages.vmemmap) >> pages.shift}]${offset === 0 ? "" : `+${offset}`}`;
  }
  const place = placeOf(image.symbols, addr);
  if (place === null || place.offset !== 0) return describeAddress(image.symbols, addr);
  const { symbol, index } = place;
  // An array of words is meant as a whole by the address of its first.
  return symbol.count > 0 && !(index === 0 && symbol.words === symbol.count)
    ? `${symbol.name}[${index}]`
    : symbol.name;
}

/** What the value `v` of the word at `addr` means: `&page[1]`, `pfn 1 P W U A`, 3. */
export function describeWord(image: Readable, addr: number, v: number): string {
  if (v === POISON) return "poison";
  const format = formatAt(image, addr);
  const reading = format === undefined ? null : readWord(format, v);
  return reading === null ? plainNumber(v) : readingText(reading, (a) => pointerName(image, a));
}
