/**
 * The initial memory of a program as plain data: words, the names of what lies where, and the objects that
 * can be freed. Boot code (ordinary JavaScript) lays memory out and runs the kernel's own initialisation on
 * it; the result is handed to real threads as a SharedArrayBuffer, or to the checker as this image.
 */

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
}

/** Something that can be freed as a whole. */
export interface MemRegion {
  readonly name: string;
  readonly base: number;
  readonly words: number;
  /** The pool that kzalloc() takes it from; 0: it is never handed out. */
  readonly pool: number;
  readonly live: boolean;
}

export interface MemoryImage {
  /** Initial words from address `origin`; address 0 itself is NULL and never valid. */
  readonly words: readonly number[];
  /** Address of words[0]; 0 if absent. Litmus tests keep their words far from any constant of the test. */
  readonly origin?: number;
  readonly symbols: readonly MemSymbol[];
  readonly regions: readonly MemRegion[];
}

/**
 * Addresses below this are never memory: a field of a struct at NULL is a bad address, not somebody's word.
 */
export const NULL_GUARD = 64;

/** The word that freed memory is filled with; the kernel's POISON_FREE byte (include/linux/poison.h). */
export const POISON = 0x6b6b6b6b;

/**
 * Names an address for a person: `page[3]._refcount`, `pgmap.ref.count`, or `0x1f0` if nothing lies there.
 */
export function describeAddress(symbols: readonly MemSymbol[], addr: number): string {
  for (const s of symbols) {
    if (addr < s.base || addr >= s.base + s.words) continue;
    const stride = s.count > 0 ? s.words / s.count : s.words;
    const index = Math.floor((addr - s.base) / stride);
    const offset = (addr - s.base) % stride;
    const field = s.fields[offset];
    const element = s.count > 0 ? `${s.name}[${index}]` : s.name;
    if (field !== undefined && field !== "") return `${element}.${field}`;
    if (offset === 0) return element;
    return s.fields.length > 0 || s.count > 0 ? `${element}+${offset}` : `${s.name}[${offset}]`;
  }
  return `0x${addr.toString(16)}`;
}
