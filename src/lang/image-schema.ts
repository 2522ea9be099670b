/**
 * The schema of a program's initial memory (machine/image.ts) with its view (machine/format.ts), as files
 * carry it: programs (serialise.ts) and traces of executions (check/trace). Descriptions are the reference
 * that docs/trace.md prints.
 */

import { z } from "zod";
import type { MemoryView } from "../machine/format.ts";

/** A 32-bit word. */
export const word = z.int().min(-2147483648).max(2147483647);
/** A count or index of moderate size. */
export const index = z
  .int()
  .min(0)
  .max(1 << 26);

const numberBits = z.strictObject({
  shift: z.int().min(0).max(31),
  bits: z.int().min(1).max(32),
  name: z.string(),
  add: z.int().exactOptional().describe("added to what the bits say"),
  always: z.boolean().exactOptional().describe("said also if it is 0"),
});

const wordCase = z.strictObject({
  mask: word,
  value: word.describe("the case fits if (word & mask) equals this"),
  name: z.string().describe('what it is called; "" if the rest says it'),
  flags: z
    .array(z.tuple([word, z.string()]))
    .exactOptional()
    .describe("masks and names of bits"),
  numbers: z.array(numberBits).exactOptional(),
  pointer: word.exactOptional().describe("the bits that are a word address"),
});

const wordFormat = z.strictObject({
  cases: z.array(wordCase).describe("the first that fits counts; if none does the word is a plain number"),
  none: word.exactOptional().describe("the word counts references, and this value means that there is none"),
});

const viewSchema: z.ZodType<MemoryView> = z.strictObject({
  formats: z.record(z.string(), wordFormat).describe("how words read, by name of the format"),
  types: z
    .record(z.string(), z.array(z.string()))
    .describe('formats of an element\'s words by type of symbol, repeated as needed; "": a plain number'),
  tables: z
    .strictObject({
      base: word.describe("address of table 0"),
      count: index,
      shift: z.int().min(0).max(20).describe("a table has 2^shift entries of one word"),
      levels: z.int().min(1).max(5),
      present: word.describe("an entry with one of these bits is present for software"),
      leaf: word.describe("the bit of a leaf above the lowest level"),
      pfnShift: z.int().min(0).max(31).describe("bit at which the number of a frame, or of a table, starts"),
    })
    .nullable()
    .describe("page tables; null if there are none"),
  pages: z
    .strictObject({
      vmemmap: word.describe("address of struct page 0"),
      count: index,
      shift: z.int().min(0).max(10).describe("struct page n has the address vmemmap + (n << shift)"),
      table: word.describe("0: its words lie there; else the address of a table of frames that they lie in"),
      frameShift: z.int().min(0).max(20).describe("a frame holds 2^frameShift struct pages"),
      data: word.describe("address of page 0's contents"),
      dataWords: index.describe("words of contents that a page has"),
    })
    .nullable()
    .describe("struct pages; null if there are none"),
});

const symbols = z
  .array(
    z.strictObject({
      name: z.string(),
      base: word.describe("address of its first word"),
      words: index,
      count: index.describe("elements of an array; 0: one object"),
      fields: z.array(z.string()).describe("name of each word of an element; [] if they have none"),
      type: z.string().exactOptional().describe("its entry in view.types"),
    }),
  )
  .describe("what lies where");

const region = {
  name: z.string(),
  base: word,
  words: index,
  live: z.boolean().describe("false: not allocated yet, or freed; its words are poison"),
  stack: z.boolean().exactOptional().describe("a local variable, whose scope is its life"),
};

export const programMemory = z.strictObject({
  origin: word.min(0).exactOptional(),
  words: z.array(word).max(1 << 26),
  symbols,
  regions: z.array(z.strictObject({ ...region, pool: word })),
  view: viewSchema.exactOptional(),
});

export const traceMemory = z.strictObject({
  origin: word.min(0).describe("address of the first word; addresses count words"),
  words: z.array(word).describe("the memory before the first step"),
  symbols,
  regions: z.array(z.strictObject(region)).describe("objects that can be freed, each as a whole"),
  view: viewSchema.nullable().describe("how words read; null if nothing but names is known"),
});
