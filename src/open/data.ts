/**
 * What the explorer's page fetches besides itself, as types: the list of cells with their verdicts, and per
 * cell its program with the run that breaks it. The files are made ahead of time (export.ts) or on demand
 * (server.ts), packed as columns (columns.ts) and compressed; their form is private to one version of the
 * package. What other tools may rely on is in claims/schema.ts and check/trace/schema.ts.
 */

import type { Recipe } from "../check/trace/session.ts";
import type { Verdict } from "../claims/schema.ts";
import type { Program } from "../lang/ir.ts";

export interface PageSet {
  readonly claims: readonly string[];
  readonly title: string;
  /**
   * Configuration fields that the rows of the matrix stand for, and the one whose values stand side by side.
   */
  readonly rows: readonly string[];
  readonly marks: string | null;
}

/** What is known of an exploration without its program. */
export interface PageVerdict {
  /** Null: not decided yet. */
  readonly verdict: Verdict | null;
  readonly reason: string | null;
  readonly error: { readonly kind: string; readonly message: string; readonly location: string } | null;
  readonly states: number;
}

export interface PageKnockout extends PageVerdict {
  readonly removed: string;
  readonly title: string;
}

export interface PageCell extends PageVerdict {
  readonly id: string;
  readonly claim: string;
  readonly arch: string;
  readonly model: "sc" | "tso";
  readonly weakerHardware: boolean;
  readonly config: Readonly<Record<string, string | number | boolean>>;
  readonly knockouts: readonly PageKnockout[];
}

/** A known bug, and the scenarios that show it and its fix; ids for `programs`, as those of cells. */
export interface PageBug {
  readonly id: string;
  readonly title: string;
  readonly commit: string | null;
  readonly cve: string | null;
  readonly what: string;
  readonly fix: string;
  /** What the search finds in the code as it was: `use-after-free at page[1].mapping, by fault`. */
  readonly found: string;
  /** Null: a sequence of calls, which has no steps to choose. */
  readonly before: string | null;
  readonly after: string | null;
}

export interface PageIndex {
  readonly version: string;
  readonly bugs: readonly PageBug[];
  readonly sets: readonly PageSet[];
  /** Cells in the order of the matrix. */
  readonly cells: readonly PageCell[];
  /** Which file, and which entry of it, has the program of a cell or `ID/without-MECHANISM`. */
  readonly programs: Readonly<Record<string, readonly [file: number, entry: number]>>;
}

/** A program and how to see what is wrong with it. */
export interface PageProgram {
  readonly program: Program;
  readonly model: "sc" | "tso";
  readonly verdict: "holds" | "violated" | "bounded";
  readonly reason: string | null;
  readonly states: number;
  /** The run that breaks it; null if none is known. */
  readonly recipe: Recipe | null;
}

/** What a server can do that files cannot. */
export interface ServerInfo {
  /** The file that the page was opened on. */
  readonly file: { readonly name: string; readonly kind: "scenario" | "litmus" | "c" } | null;
}
