/**
 * The published schema of `holdfast claims --json`, "holdfast.claims/1". Scripts may rely on it: fields are
 * added, never changed or removed, under one number. A cell that was stopped by a limit or a signal is
 * "bounded" and not complete; only "holds" with complete true means that every execution was visited. Figures
 * are no explorations: their verdict is that of the figure shown.
 */

import { z } from "zod";
import { ERROR_KINDS, type ErrorKind } from "../check/errors.ts";

export const CLAIMS_SCHEMA = "holdfast.claims/1";

const VerdictSchema = z.enum(["holds", "violated", "bounded", "not-applicable"]);
export type Verdict = z.infer<typeof VerdictSchema>;

const CellErrorSchema = z.object({
  kind: z.enum(Object.keys(ERROR_KINDS) as [ErrorKind, ...ErrorKind[]]),
  message: z.string(),
  /** Thread in whose step it was found; "" for a deadlock. */
  thread: z.string(),
  /** Named location, or "". */
  location: z.string(),
});

export const CellResultSchema = z
  .object({
    id: z.string().min(1),
    claim: z.string().regex(/^C[1-9]$/),
    arch: z.string().min(1),
    model: z.enum(["sc", "tso", "arm64", "riscv", "lkmm"]),
    /** The architecture's hardware is weaker than the model: the verdict is for the model only. */
    weakerHardware: z.boolean(),
    config: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    verdict: VerdictSchema,
    /** Why the verdict is "bounded" or "not-applicable"; null otherwise. */
    reason: z.string().nullable(),
    error: CellErrorSchema.nullable(),
    states: z.int().min(0),
    seconds: z.number().min(0),
    complete: z.boolean(),
    /** Id of the cell or knock-out whose exploration this is, the programs being the same; null: its own. */
    sameAs: z.string().nullable(),
  })
  .refine((c) => (c.verdict === "violated") === (c.error !== null), "an error if and only if violated")
  .refine((c) => c.verdict !== "holds" || c.complete, "holds only if complete");
export type CellResult = z.infer<typeof CellResultSchema>;

const KnockoutResultSchema = z.object({
  /** Id of the cell that the mechanism is removed from. */
  cell: z.string().min(1),
  removed: z.string().min(1),
  verdict: VerdictSchema,
  reason: z.string().nullable(),
  error: CellErrorSchema.nullable(),
  states: z.int().min(0),
  seconds: z.number().min(0),
  complete: z.boolean(),
  sameAs: z.string().nullable(),
});
export type KnockoutResult = z.infer<typeof KnockoutResultSchema>;

/** A claim that is a figure: counted from what was executed, timed in this run, or computed. */
export const FigureSchema = z.object({
  id: z.string().regex(/^C[69]\//),
  claim: z.enum(["C6", "C9"]),
  title: z.string().min(1),
  how: z.enum(["counted", "timed", "computed"]),
  verdict: z.enum(["holds", "violated"]),
  /** C6: work on a device mapping over work on System RAM. C9: before over after. */
  ratio: z.number().min(0),
  /** The ratio that the series reported; null if it reported none. */
  reportedRatio: z.number().nullable(),
  detail: z.string(),
});
export type Figure = z.infer<typeof FigureSchema>;

export const ClaimsSchema = z.object({
  schema: z.literal(CLAIMS_SCHEMA),
  /**
   * Whether everything that was asked for is here and decided: false after an interrupt, and if a limit
   * stopped an exploration.
   */
  complete: z.boolean(),
  /** Cells that can be explored, knock-outs of those that hold, and figures that were asked for. */
  asked: z.int().min(0),
  cells: z.array(CellResultSchema),
  knockouts: z.array(KnockoutResultSchema),
  figures: z.array(FigureSchema),
});
export type ClaimsOutput = z.infer<typeof ClaimsSchema>;

/** The published schema of `holdfast claims --barriers --json`. */
export const BARRIERS_SCHEMA = "holdfast.barriers/1";

const BarriersSiteSchema = z.object({
  /** `file:line:column`. */
  key: z.string().min(1),
  file: z.string().min(1),
  line: z.int().min(1),
  /** The function that it stands in. */
  fn: z.string(),
  /** What it is, in the kernel's words. */
  what: z.string().min(1),
  /** The cells that hold and come past it, each explored without it. */
  tried: z.array(
    z.object({
      cell: z.string().min(1),
      /** `needed`: the cell is violated without it. `undecided`: a limit stopped it. */
      verdict: z.enum(["needed", "not-needed", "undecided"]),
      reason: z.string().nullable(),
      error: z.enum(Object.keys(ERROR_KINDS) as [ErrorKind, ...ErrorKind[]]).nullable(),
      states: z.int().min(0),
      seconds: z.number().min(0),
    }),
  ),
});
export type BarriersSite = z.infer<typeof BarriersSiteSchema>;

export const BarriersSchema = z.object({
  schema: z.literal(BARRIERS_SCHEMA),
  /** Whether everything that was asked for is here and decided. */
  complete: z.boolean(),
  /** The cells themselves; only of those that hold is anything tried. */
  cells: z.array(
    z.object({
      id: z.string().min(1),
      verdict: z.enum(["holds", "violated", "bounded"]),
      reason: z.string().nullable(),
      states: z.int().min(0),
      seconds: z.number().min(0),
    }),
  ),
  sites: z.array(BarriersSiteSchema),
});
export type BarriersOutput = z.infer<typeof BarriersSchema>;
