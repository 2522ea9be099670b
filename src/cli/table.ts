/**
 * Aligned text tables for terminals: columns padded to their widest cell, numbers to the right, a line under
 * the heading. Cells may be coloured afterwards through `paint`, which never changes widths. Not covered:
 * wrapping; a table that is wider than the terminal is the terminal's to wrap.
 */

export interface Column {
  readonly title: string;
  /** Default "left". */
  readonly align?: "left" | "right";
  /** Colours a padded cell. */
  readonly paint?: (padded: string, value: string) => string;
}

/** Characters that a terminal shows: code points, which is enough for what we print. */
function width(s: string): number {
  let n = 0;
  for (const _ of s) n++;
  return n;
}

/** Lines of the table, without trailing spaces. Every row must have a cell per column. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  for (const row of rows)
    if (row.length !== columns.length)
      throw new RangeError(`a row has ${row.length} cells, the table ${columns.length} columns`);
  const widths = columns.map((c, i) => rows.reduce((w, r) => Math.max(w, width(r[i])), width(c.title)));
  const line = (cells: readonly string[], paint: boolean): string =>
    cells
      .map((cell, i) => {
        const space = " ".repeat(widths[i] - width(cell));
        const padded = columns[i].align === "right" ? space + cell : cell + space;
        const painter = columns[i].paint;
        return paint && painter !== undefined ? painter(padded, cell) : padded;
      })
      .join("  ")
      .trimEnd();
  const heading = line(
    columns.map((c) => c.title),
    false,
  );
  const rule = widths.map((w) => "-".repeat(w)).join("  ");
  return [heading, rule, ...rows.map((r) => line(r, true))];
}

/** 1234567 as "1,234,567"; not affected by the user's locale. */
export function count(n: number): string {
  return Math.trunc(n)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** Seconds with as many digits as mean something: "0.004", "1.3", "75". */
export function seconds(s: number): string {
  return s < 0.1 ? s.toFixed(3) : s < 10 ? s.toFixed(2) : s < 100 ? s.toFixed(1) : s.toFixed(0);
}
