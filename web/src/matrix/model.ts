/**
 * The matrix as the command line lays it out: rows are configurations, columns architectures, a mark per cell
 * or two.
 */

import type { PageCell, PageIndex, PageSet } from "../../../src/open/data.ts";

export type Mark = "holds" | "violated" | "bounded" | "not-applicable" | "undecided";

/** The same letters as on the command line. */
export const MARKS: Readonly<Record<Mark, string>> = {
  holds: "+",
  violated: "x",
  bounded: "?",
  "not-applicable": ".",
  undecided: "·",
};

export const WORDS: Readonly<Record<Mark, string>> = {
  holds: "holds",
  violated: "violated",
  bounded: "stopped by a limit",
  "not-applicable": "not applicable",
  undecided: "not explored yet",
};

export const markOf = (c: { readonly verdict: PageCell["verdict"] }): Mark => c.verdict ?? "undecided";

/** Of several cells: any violated, else any not decided, else any that holds. */
export function together(cells: readonly PageCell[]): Mark {
  const marks = cells.map(markOf);
  for (const m of ["violated", "undecided", "bounded", "holds"] as const) if (marks.includes(m)) return m;
  return "not-applicable";
}

export interface MatrixRow {
  readonly values: readonly string[];
  /** Per architecture, per value of the field that stands side by side: the cells of the models. */
  readonly columns: readonly (readonly (readonly PageCell[])[])[];
}

export interface Matrix {
  readonly set: PageSet;
  readonly arches: readonly string[];
  /** Values of the field that stands side by side; [""] if there is none. */
  readonly side: readonly string[];
  readonly rows: readonly MatrixRow[];
}

export function layOut(
  index: PageIndex,
  claim: string,
  filter: { readonly arch: string; readonly model: string; readonly verdict: string },
): Matrix {
  const set = index.sets.find((s) => s.claims.includes(claim)) ?? index.sets[0];
  const cells = index.cells.filter(
    (c) =>
      set.claims.includes(c.claim) &&
      (filter.arch === "" || c.arch === filter.arch) &&
      (filter.model === "" || c.model === filter.model),
  );
  const arches = [...new Set(cells.map((c) => c.arch))];
  const side = set.marks === null ? [""] : [...new Set(cells.map((c) => String(c.config[set.marks ?? ""])))];
  const byRow = new Map<string, PageCell[]>();
  for (const c of cells) {
    const key = JSON.stringify(set.rows.map((k) => String(c.config[k])));
    byRow.set(key, [...(byRow.get(key) ?? []), c]);
  }
  const rows = [...byRow]
    .filter(([, of]) => of.some((c) => c.verdict !== "not-applicable"))
    .filter(([, of]) => filter.verdict === "" || of.some((c) => markOf(c) === filter.verdict))
    .map(([key, of]) => ({
      values: JSON.parse(key) as string[],
      columns: arches.map((arch) =>
        side.map((v) =>
          of.filter((c) => c.arch === arch && (set.marks === null || String(c.config[set.marks]) === v)),
        ),
      ),
    }));
  return { set, arches, side, rows };
}

/**
 * A dimension in which cells of a set differ: its values, and for each the cell that differs from `cell` in
 * it alone.
 */
export interface Dimension {
  readonly name: string;
  readonly value: string;
  readonly choices: readonly { readonly value: string; readonly cell: PageCell | null }[];
}

const fieldOf = (c: PageCell, name: string): string =>
  name === "architecture" ? c.arch : name === "model" ? c.model : String(c.config[name]);

export function dimensionsOf(index: PageIndex, cell: PageCell): Dimension[] {
  const set = index.sets.find((s) => s.claims.includes(cell.claim));
  const family = index.cells.filter((c) => set?.claims.includes(c.claim) === true);
  const names = ["architecture", ...Object.keys(cell.config), "model"];
  const others = (name: string): PageCell[] =>
    family.filter((c) => names.every((n) => n === name || fieldOf(c, n) === fieldOf(cell, n)));
  return names
    .map((name) => {
      const near = others(name);
      const values = [...new Set(family.map((c) => fieldOf(c, name)))];
      return {
        name,
        value: fieldOf(cell, name),
        choices: values.map((value) => ({
          value,
          cell: near.find((c) => fieldOf(c, name) === value) ?? null,
        })),
      };
    })
    .filter((d) => d.choices.length > 1);
}
