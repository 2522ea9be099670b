/** What the worker says of a C program, as data. */

import type { CDiagnostic } from "../../../src/lang/c/errors.ts";
import type { PageProgram } from "../../../src/open/data.ts";

/** Of one program under one model. */
export interface CAnswer {
  readonly model: string;
  readonly verdict: "holds" | "violated" | "bounded";
  readonly reason: string | null;
  readonly states: number;
  readonly error: { readonly kind: string; readonly message: string } | null;
  /** What happened, in words; the objects that these words name. */
  readonly story: readonly string[];
  readonly legend: readonly string[];
  /** Assertions that no execution evaluated. */
  readonly neverEvaluated: readonly string[];
  /** To step through. */
  readonly page: PageProgram;
  /** Headers of the package that the program uses, to be shown: text by the name in its positions. */
  readonly headers: Readonly<Record<string, string>>;
}

export type Answer =
  | { readonly kind: "wrong"; readonly diagnostics: readonly CDiagnostic[] }
  | { readonly kind: "ran"; readonly answer: CAnswer };
