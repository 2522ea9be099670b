/**
 * How words read for a person: which bits are flags, numbers or an address, what the fields of a struct hold,
 * where page tables and struct pages lie. Plain data, made by boot code and carried by a program's memory, so
 * that a counterexample can be read, and drawn, by whoever has it, without the kernel code that it comes
 * from.
 */

/** A run of bits that is a number; `add` is added to what the bits say (a lock's word is 1 + the CPU). */
export interface NumberBits {
  readonly shift: number;
  readonly bits: number;
  readonly name: string;
  readonly add?: number;
  /** Said also if it is 0: a page frame number, not a zone. */
  readonly always?: boolean;
}

/** One way in which a word can read: if (word & mask) === value. */
export interface WordCase {
  readonly mask: number;
  readonly value: number;
  /** "none", "swap"; "" if the rest says it. */
  readonly name: string;
  /** Bits that are named if they are set. */
  readonly flags?: readonly (readonly [mask: number, name: string])[];
  readonly numbers?: readonly NumberBits[];
  /** The bits that are a word address; absent: there is none. */
  readonly pointer?: number;
}

export interface WordFormat {
  /** The first that fits counts. If none does the word is a plain number. */
  readonly cases: readonly WordCase[];
  /** The word counts references, and this value means that there is none. */
  readonly none?: number;
}

/** Page tables: 2^shift entries of one word; an entry that is present and no leaf leads to a lower one. */
export interface TablesView {
  /** Address of the table whose number is 0, and how many tables there is room for. */
  readonly base: number;
  readonly count: number;
  readonly shift: number;
  readonly levels: number;
  /**
   * Bits one of which an entry has that is present for software; the bit of a leaf above the lowest level.
   */
  readonly present: number;
  readonly leaf: number;
  /** An entry's frame number, or number of a table, starts at this bit. */
  readonly pfnShift: number;
}

/** struct pages: page n has the address vmemmap + (n << shift). */
export interface PagesView {
  readonly vmemmap: number;
  readonly count: number;
  readonly shift: number;
  /**
   * 0 if that is where its words lie. Else the address of a table of frames: those of page n lie from
   * word[table + (n >> frameShift)] + ((n mod 2^frameShift) << shift) on.
   */
  readonly table: number;
  readonly frameShift: number;
  /** Address of page 0's contents, and words of contents that a page has. */
  readonly data: number;
  readonly dataWords: number;
}

export interface MemoryView {
  readonly formats: Readonly<Record<string, WordFormat>>;
  /**
   * By type of symbol: names of the formats of an element's words, repeated as needed; "" is a plain number.
   */
  readonly types: Readonly<Record<string, readonly string[]>>;
  readonly tables: TablesView | null;
  readonly pages: PagesView | null;
}

/** What a word comes to, part by part. */
export interface WordReading {
  readonly name: string;
  readonly numbers: readonly { readonly name: string; readonly value: number }[];
  readonly flags: readonly string[];
  /** Address that it holds; null if it holds none. */
  readonly pointer: number | null;
  /** Bits that nothing accounts for. */
  readonly rest: number;
}

/** Reads a word; null if it is a plain number. */
export function readWord(format: WordFormat, word: number): WordReading | null {
  const c = format.cases.find((x) => (word & x.mask) === x.value);
  if (c === undefined) return null;
  let known = c.mask | (c.pointer ?? 0);
  const numbers: { name: string; value: number }[] = [];
  for (const n of c.numbers ?? []) {
    const mask = n.bits >= 32 ? -1 : (1 << n.bits) - 1;
    known |= mask << n.shift;
    const value = (word >>> n.shift) & mask;
    if (value !== 0 || n.always === true) numbers.push({ name: n.name, value: value + (n.add ?? 0) });
  }
  const flags: string[] = [];
  for (const [mask, name] of c.flags ?? []) {
    known |= mask;
    if ((word & mask) === mask) flags.push(name);
  }
  return {
    name: c.name,
    numbers,
    flags,
    pointer: c.pointer === undefined ? null : word & c.pointer,
    rest: word & ~known,
  };
}

/** A plain number: small ones in decimal, bit patterns in hex. */
export function plainNumber(v: number): string {
  return v > -4096 && v < 4096 ? String(v) : `0x${(v >>> 0).toString(16)}`;
}

/** A reading in words: `pfn 1 P W U A`, `&page[2] tail`. `nameOf` names addresses. */
export function readingText(r: WordReading, nameOf: (addr: number) => string): string {
  const parts = [
    r.name,
    ...(r.pointer === null ? [] : [r.pointer === 0 ? "NULL" : `&${nameOf(r.pointer)}`]),
    ...r.numbers.map((n) => (n.name === "" ? String(n.value) : `${n.name} ${n.value}`)),
    ...r.flags,
    r.rest === 0 ? "" : `0x${(r.rest >>> 0).toString(16)}`,
  ].filter((s) => s !== "");
  return parts.length === 0 ? "0" : parts.join(" ");
}
