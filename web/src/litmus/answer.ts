/** What the bench's worker answers, as data: a verdict per model, and why, for the one that is looked at. */

import type { Drawing } from "../../../src/litmus/graph.ts";
import type { Diagnostic } from "../../../src/litmus/highlight.ts";
import type { LitmusRecord } from "../../../src/litmus/report.ts";
import type { Suggestion } from "../../../src/litmus/suggest.ts";

export type { Diagnostic, Drawing, LitmusRecord, Suggestion };

export interface Why {
  readonly lines: readonly string[];
  readonly axiom: string;
  readonly drawing: Drawing | null;
  readonly svg: string;
}

/** Of one test under one model. */
export interface LitmusAnswer {
  readonly record: LitmusRecord;
  readonly verdict: string;
  /** Condition, as it is written. */
  readonly condition: string;
  readonly states: readonly { readonly text: string; readonly holds: boolean }[];
  /** How many there are; null: too many to count. */
  readonly stateCount: number | null;
  readonly contradicts: boolean;
  readonly why: Why;
}

export type Answer =
  | { readonly kind: "wrong"; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: "ran"; readonly answer: LitmusAnswer };
