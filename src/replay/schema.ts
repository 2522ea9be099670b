/**
 * The format of recorded traces: one JSON object per line, a header line and then one line per step, observed
 * after the operation. The format is the project's own (docs: traces README); this file is its
 * machine-readable form.
 *
 * Not covered: what the steps mean (steps.ts) and how two observations are compared (compare.ts).
 */

import { z } from "zod";

/**
 * Schema numbers of recordings that can be replayed. 2 lacks the `mapping` flag and two other details, see
 * compare.ts.
 */
export const KNOWN_SCHEMAS: readonly number[] = [2, 3];

/** First line of a file. `kernel` is `uname -r`. */
export const metaLine = z.strictObject({
  meta: z.literal(1),
  kernel: z.string(),
  version: z.string().optional(),
  schema: z.number().int(),
  /** The last line is an end line: without it the recording is cut off. Ours have one. */
  end: z.literal(1).optional(),
});
/** How many sequences and steps came before. */
export const endLine = z.strictObject({
  end: z.literal(1),
  sequences: z.number().int().nonnegative(),
  steps: z.number().int().nonnegative(),
});
export type Meta = z.infer<typeof metaLine>;

/** A run of page-table entries of one mapping: `n` pages from index `at`, in leaves of size `lvl`. */
export interface MapRun {
  at: number;
  n: number;
  lvl: "4K" | "2M" | "1G";
  pte: string;
  /** Identity of the first page; absent for a non-present entry. */
  pg?: string | undefined;
  /** Every index maps the same page. */
  same?: boolean | undefined;
}
export interface ProcessMap {
  p: string;
  m: string;
  runs: MapRun[];
}
export interface HandleRun {
  at: number;
  n: number;
  pg: string;
  same?: boolean | undefined;
}
export interface HandleState {
  kind: "pin" | "get";
  runs: HandleRun[];
}
/** State of `n` (default 1) pages with consecutive identities. Fields as the kernel module read them. */
export interface PageState {
  id: string;
  n?: number | undefined;
  kind: "single" | "head" | "tail";
  head?: string | undefined;
  ref: number;
  map: number;
  pin?: number | undefined;
  order?: number | undefined;
  entire?: number | undefined;
  large?: number | undefined;
  nrmapped?: number | undefined;
  zone: string;
  node: number;
  fl: string;
}
export type ResultValue = number | string | null;
export type StepResult = Record<string, ResultValue>;

/** What is seen after a step. */
export interface Observation {
  maps: ProcessMap[];
  handles: Record<string, HandleState>;
  pages: PageState[];
  gone: PageState[];
  vm: Record<string, number>;
}
export interface Step extends Observation {
  seq: string;
  step: number;
  proc: string;
  op: string;
  args: string[];
  result: StepResult;
}

/** Pages of a run: no more than our frame numbers, of 22 bits, can tell apart. */
export const MOST_PAGES = 1 << 22;
const pageCount = z.number().int().positive().max(MOST_PAGES);

const mapRun = z.strictObject({
  at: z.number().int(),
  n: pageCount.default(1),
  lvl: z.enum(["4K", "2M", "1G"]),
  pte: z.string(),
  pg: z.string().optional(),
  same: z.boolean().optional(),
});
const pageState = z.strictObject({
  id: z.string(),
  n: pageCount.optional(),
  kind: z.enum(["single", "head", "tail"]),
  head: z.string().optional(),
  ref: z.number().int(),
  map: z.number().int(),
  pin: z.number().int().optional(),
  order: z.number().int().optional(),
  entire: z.number().int().optional(),
  large: z.number().int().optional(),
  nrmapped: z.number().int().optional(),
  zone: z.string(),
  node: z.number().int(),
  fl: z.string(),
});

/** What tells which step a line is, whatever else stands in it. */
export const stepHead = z.object({ seq: z.string().min(1), step: z.number().int().nonnegative() });

/** Every line after the first. A field that is not here is none that we know. */
export const stepLine = z.strictObject({
  seq: z.string().min(1),
  step: z.number().int().nonnegative(),
  proc: z.string(),
  op: z.string(),
  args: z.array(z.string()),
  result: z.record(z.string(), z.union([z.number(), z.string(), z.null()])),
  maps: z.array(z.strictObject({ p: z.string(), m: z.string(), runs: z.array(mapRun) })),
  handles: z.record(
    z.string(),
    z.strictObject({
      kind: z.enum(["pin", "get"]),
      runs: z.array(
        z.strictObject({
          at: z.number().int(),
          n: pageCount.default(1),
          pg: z.string(),
          same: z.boolean().optional(),
        }),
      ),
    }),
  ),
  pages: z.array(pageState),
  gone: z.array(pageState),
  vm: z.record(z.string(), z.number()),
});
