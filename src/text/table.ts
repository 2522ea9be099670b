/**
 * Aligned tables of text that fit a given width. A table that is too wide is made narrower in the gentlest
 * way that does: columns of prose are wrapped by words; the last of them goes below its row; the columns are
 * shown in several parts, each with the keys of the rows; the keys become headings of groups; the first
 * column gets a line of its own; at last each row is a list of its fields. Nothing is ever cut off. Cells may
 * be coloured afterwards through `paint`, which never changes widths.
 */

import { longestWord, textWidth, wrapIndented, wrapWords } from "./wrap.ts";

export interface Column {
  readonly title: string;
  /** Default "left". */
  readonly align?: "left" | "right";
  /** Colours a padded cell, or a line of one that is wrapped. */
  readonly paint?: (padded: string, value: string) => string;
  /** Prose: may be broken between words. */
  readonly wrap?: boolean;
}

export interface Layout {
  /** Columns of characters that there are; default: as many as the table needs. */
  readonly width?: number;
  /**
   * The first so many columns say which row it is; with them the others may be shown in several parts. 0
   * (default): the table is not split.
   */
  readonly keys?: number;
  /** Colours a line of row `row` as a whole. */
  readonly paintRow?: (line: string, row: number) => string;
}

type Row = readonly string[];

const GAP = "  ";
/** Prose is not wrapped to less than this: two or three words. */
const LEAST_PROSE = 24;
const HANG = "    ";
/** More parts than these are no table any more. */
const MOST_PARTS = 3;
const MOST_GROUPED_PARTS = 6;

/** A table and the room that it has. */
interface Sheet {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  readonly width: number;
  readonly paintRow: Layout["paintRow"];
}

const without = <T>(list: readonly T[], at: number): T[] => list.filter((_, i) => i !== at);
const pick = <T>(list: readonly T[], at: readonly number[]): T[] => at.map((i) => list[i]);
const total = (widths: readonly number[]): number =>
  widths.reduce((a, b) => a + b, 0) + GAP.length * Math.max(0, widths.length - 1);

/** The sheet with some of its columns. */
function narrowed(s: Sheet, at: readonly number[], width: number): Sheet {
  return { ...s, columns: pick(s.columns, at), rows: s.rows.map((r) => pick(r, at)), width };
}

/** How wide the table is if nothing of it is wrapped. */
export function naturalWidth(columns: readonly Column[], rows: readonly Row[]): number {
  return total(naturalWidths({ columns, rows }));
}

const naturalWidths = ({ columns, rows }: Pick<Sheet, "columns" | "rows">): number[] =>
  columns.map((c, i) => rows.reduce((w, r) => Math.max(w, textWidth(r[i])), textWidth(c.title)));

/** Widths at which the sheet fits, with prose wrapped; null if that alone does not help. */
function fittingWidths(s: Sheet): number[] | null {
  const widths = naturalWidths(s);
  const least = s.columns.map((c, i) => {
    if (c.wrap !== true) return widths[i];
    const word = s.rows.reduce((w, r) => Math.max(w, longestWord(r[i])), textWidth(c.title));
    return Math.min(widths[i], Math.max(word, LEAST_PROSE));
  });
  if (total(least) > s.width) return null;
  // The widest prose gives first.
  for (let over = total(widths) - s.width; over > 0; over--) {
    let widest = -1;
    widths.forEach((w, i) => {
      if (w > least[i] && (widest < 0 || w > widths[widest])) widest = i;
    });
    widths[widest]--;
  }
  return widths;
}

/** Cells side by side, as many lines as the tallest has. */
function lines(
  columns: readonly Column[],
  cells: Row,
  widths: readonly number[],
  painted: boolean,
): string[] {
  const wrapped = cells.map((cell, i) => wrapWords(cell, widths[i]));
  const height = Math.max(1, ...wrapped.map((c) => c.length));
  return Array.from({ length: height }, (_, n) =>
    wrapped
      .map((of, i) => {
        const text = of[n] ?? "";
        const space = " ".repeat(Math.max(0, widths[i] - textWidth(text)));
        const padded = columns[i].align === "right" ? space + text : text + space;
        const paint = columns[i].paint;
        return painted && paint !== undefined && text !== "" ? paint(padded, cells[i]) : padded;
      })
      .join(GAP)
      .trimEnd(),
  );
}

function heading({ columns }: Sheet, widths: readonly number[]): string[] {
  return [
    ...lines(
      columns,
      columns.map((c) => c.title),
      widths,
      false,
    ),
    widths.map((w) => "-".repeat(w)).join(GAP),
  ];
}

/** The lines of row `n`, each after `indent`. */
function row(s: Sheet, n: number, widths: readonly number[], indent = ""): string[] {
  const of = lines(s.columns, s.rows[n], widths, true).map((l) => indent + l);
  const { paintRow } = s;
  return paintRow === undefined ? of : of.map((l) => paintRow(l, n));
}

function plain(s: Sheet, widths: readonly number[]): string[] {
  return [...heading(s, widths), ...s.rows.flatMap((_, n) => row(s, n, widths))];
}

const below = (text: string, width: number): string[] =>
  text === "" ? [] : wrapIndented(text, width, HANG, HANG);

/** The last column of prose below its row. */
function hung(s: Sheet): string[] | null {
  const at = s.columns.findLastIndex((c) => c.wrap === true);
  if (at <= 0) return null;
  const rest = narrowed(s, without([...s.columns.keys()], at), s.width);
  const widths = fittingWidths(rest);
  if (widths === null) return null;
  return [
    ...heading(rest, widths),
    ...s.rows.flatMap((r, n) => [...row(rest, n, widths), ...below(r[at], s.width)]),
  ];
}

/**
 * Which columns go together in a part beside the keys; null if one does not fit, or the parts are too many.
 */
function parts(widths: readonly number[], keys: number, width: number, most: number): number[][] | null {
  const keyWidth = total(widths.slice(0, keys));
  const out: number[][] = [];
  let room = 0;
  for (let i = keys; i < widths.length; i++) {
    const need = widths[i] + GAP.length;
    if (keyWidth + need > width) return null;
    if (out.length === 0 || need > room) {
      out.push([...Array(keys).keys()]);
      room = width - keyWidth;
    }
    out[out.length - 1].push(i);
    room -= need;
  }
  return out.length > most ? null : out;
}

function split(s: Sheet, keys: number): string[] | null {
  const widths = naturalWidths(s);
  const chosen = parts(widths, keys, s.width, MOST_PARTS);
  if (chosen === null) return null;
  return chosen.flatMap((part, n) => [
    ...(n === 0 ? [] : [""]),
    ...plain(narrowed(s, part, s.width), pick(widths, part)),
  ]);
}

/** All keys but the last as a line of their own, where they change. */
function grouped(s: Sheet, keys: number): string[] | null {
  if (keys < 2) return null;
  const rest = narrowed(s, [...s.columns.keys()].slice(keys - 1), s.width - GAP.length);
  const widths = naturalWidths(rest);
  const chosen = parts(widths, 1, rest.width, MOST_GROUPED_PARTS);
  if (chosen === null) return null;
  const group = (r: Row): string => r.slice(0, keys - 1).join(", ");
  return chosen.flatMap((part, p) => {
    const some = narrowed(rest, part, rest.width);
    const of = pick(widths, part);
    return [
      ...(p === 0 ? [] : [""]),
      ...heading(some, of).map((l) => GAP + l),
      ...s.rows.flatMap((r, n) => [
        ...(n === 0 || group(r) !== group(s.rows[n - 1]) ? wrapIndented(group(r), s.width, "", HANG) : []),
        ...row(some, n, of, GAP),
      ]),
    ];
  });
}

/**
 * The first column on a line of its own, the others as a table below it; the last prose below that, if need
 * be.
 */
function led(s: Sheet): string[] | null {
  if (s.columns.length < 3) return null;
  const all = [...s.columns.keys()].slice(1);
  const room = s.width - HANG.length;
  const whole = fittingWidths(narrowed(s, all, room));
  const prose = whole === null ? s.columns.findLastIndex((c, i) => i > 0 && c.wrap === true) : -1;
  const rest = narrowed(
    s,
    all.filter((i) => i !== prose),
    room,
  );
  const widths = whole ?? fittingWidths(rest);
  if (widths === null) return null;
  const lead = (text: string, n: number): string => (s.paintRow === undefined ? text : s.paintRow(text, n));
  return [
    s.columns[0].title,
    ...heading(rest, widths).map((l) => HANG + l),
    ...s.rows.flatMap((r, n) => [
      ...wrapWords(r[0], s.width).map((l) => lead(l, n)),
      ...row(rest, n, widths, HANG),
      ...(prose < 0 ? [] : below(r[prose], s.width)),
    ]),
  ];
}

/** Each row as a list of its fields. */
function listed(s: Sheet): string[] {
  return s.rows.flatMap((r, n) => [
    ...(n === 0 ? [] : [""]),
    ...s.columns.flatMap((c, i) =>
      r[i] === "" ? [] : wrapIndented(c.title === "" ? r[i] : `${c.title}: ${r[i]}`, s.width, "", HANG),
    ),
  ]);
}

/** Lines of the table, without trailing spaces. Every row must have a cell per column. */
export function table(columns: readonly Column[], rows: readonly Row[], layout: Layout = {}): string[] {
  for (const r of rows)
    if (r.length !== columns.length)
      throw new RangeError(`a row has ${r.length} cells, the table ${columns.length} columns`);
  const { width = Number.POSITIVE_INFINITY, keys = 0, paintRow } = layout;
  const s: Sheet = { columns, rows, width, paintRow };
  const natural = naturalWidths(s);
  const widths = total(natural) <= width ? natural : fittingWidths(s);
  if (widths !== null) return plain(s, widths);
  return hung(s) ?? (keys > 0 ? split(s, keys) : null) ?? grouped(s, keys) ?? led(s) ?? listed(s);
}
