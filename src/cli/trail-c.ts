/**
 * A counterexample of a C program as text that fits a width: a column for each thread with the line of the
 * source in front, cells wrapped and never cut; where the columns would get too narrow, a list. Then what
 * happened, in words. At 72 columns it can be mailed.
 */

import type { CStep, CTrail } from "../check/c/trail.ts";
import { paint } from "./output.ts";

/** Narrower than this, columns are no help. */
const MIN_COLUMN = 24;
const MAX_COLUMN = 60;

/** `text` in lines of at most `width`, broken at spaces where there are any. */
export function wrap(text: string, width: number): string[] {
  const out: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    let rest = word;
    if (line !== "" && line.length + 1 + rest.length <= width) {
      line += ` ${rest}`;
      continue;
    }
    if (line !== "") out.push(line);
    line = "";
    while (rest.length > width) {
      out.push(rest.slice(0, width));
      rest = rest.slice(width);
    }
    line = rest;
  }
  if (line !== "" || out.length === 0) out.push(line);
  return out;
}

function placeOf(s: CStep, file: string): string {
  if (s.place === null) return "";
  return s.place.file === file
    ? String(s.place.line)
    : `${s.place.file.replace(/^.*\//, "")}:${s.place.line}`;
}

/** Steps that are shown: all of them, or those that explain something and the last ones. */
function shownSteps(trail: CTrail, all: boolean): number[] {
  const marked = new Set(trail.marks.map(([i]) => i));
  return trail.steps.flatMap((s, i) =>
    all || !s.quiet || marked.has(i) || i === trail.steps.length - 1 ? [i] : [],
  );
}

/** The table or list of steps; `file`: the program itself, whose name is left out. */
function stepLines(trail: CTrail, file: string, width: number, all: boolean): string[] {
  const shown = shownSteps(trail, all);
  const used = trail.threads
    .map((name, t) => ({ name, t }))
    .filter(({ t }) => shown.some((i) => trail.steps[i].thread === t));
  const marks = new Map(trail.marks);
  const text = (i: number): string =>
    trail.steps[i].text + (marks.has(i) ? `  <- ${marks.get(i) ?? ""}` : "");
  const number = Math.max(4, String(trail.steps.length).length);
  const place = shown.reduce((w, i) => Math.max(w, placeOf(trail.steps[i], file).length), 4);
  const left = number + 2 + place + 2;
  const room = Math.floor((width - left - 2 * (used.length - 1)) / Math.max(1, used.length));
  const head = (i: number): string =>
    `${String(i + 1).padStart(number)}  ${placeOf(trail.steps[i], file).padStart(place)}  `;
  const blank = " ".repeat(left);
  const paintLine = (i: number, line: string): string => (marks.has(i) ? paint.bold(line) : line);
  if (room >= MIN_COLUMN) {
    const widths = used.map(({ name, t }) =>
      Math.min(
        room,
        MAX_COLUMN,
        shown.reduce((w, i) => (trail.steps[i].thread === t ? Math.max(w, text(i).length) : w), name.length),
      ),
    );
    const offsets = widths.map((_, c) => left + widths.slice(0, c).reduce((n, w) => n + w + 2, 0));
    const rows = [
      `${"step".padStart(number)}  ${"line".padStart(place)}  ${used.map(({ name }, c) => name.padEnd(widths[c])).join("  ")}`.trimEnd(),
      [number, place, ...widths].map((w) => "-".repeat(w)).join("  "),
    ];
    for (const i of shown) {
      const c = used.findIndex(({ t }) => t === trail.steps[i].thread);
      wrap(text(i), widths[c]).forEach((line, n) => {
        const start = n === 0 ? head(i) : blank;
        rows.push(paintLine(i, `${start.padEnd(offsets[c])}${n === 0 ? "" : ""}${line}`));
      });
    }
    return rows;
  }
  const names = used.reduce((w, { name }) => Math.max(w, name.length), 6);
  const rest = Math.max(20, width - left - names - 2);
  const rows = [
    `${"step".padStart(number)}  ${"line".padStart(place)}  ${"thread".padEnd(names)}  operation`,
    "-".repeat(Math.min(width, left + names + 2 + 9)),
  ];
  for (const i of shown)
    wrap(text(i), rest).forEach((line, n) => {
      const start =
        n === 0
          ? `${head(i)}${trail.threads[trail.steps[i].thread].padEnd(names)}  `
          : " ".repeat(left + names + 2);
      rows.push(paintLine(i, start + line));
    });
  return rows;
}

/** Everything about a counterexample behind its verdict. */
export function cTrailLines(trail: CTrail, file: string, width: number, all: boolean): string[] {
  const out: string[] = [];
  const say = (text: string, indent = ""): void => {
    for (const line of wrap(text, width - indent.length)) out.push(indent + line);
  };
  if (trail.failed !== null) {
    say(`${trail.failed.source}`, "  ");
    say(`in ${trail.failed.fn}(), ${trail.failed.file}:${trail.failed.line}`, "  ");
    for (const p of trail.stack.slice(1)) say(`called by ${p.fn}(), ${p.file}:${p.line}`, "  ");
  }
  if (trail.steps.length > 0) out.push("", ...stepLines(trail, file, width, all));
  const hidden = trail.steps.length - shownSteps(trail, all).length;
  if (hidden > 0)
    say(`(${hidden} of ${trail.steps.length} steps explain nothing and are left out; -v shows them)`);
  if (trail.legend.length > 0) {
    out.push("");
    for (const l of trail.legend) say(l);
  }
  if (trail.story.length > 0) {
    out.push("");
    for (const s of trail.story) say(s);
  }
  return out;
}

/** The program with line numbers, lines that are too long continued. */
export function listing(text: string, width: number): string[] {
  const lines = text.replace(/\n$/, "").split("\n");
  const number = Math.max(3, String(lines.length).length);
  return lines.flatMap((raw, i) => {
    const line = raw.replace(/\t/g, "    ").trimEnd();
    const room = width - number - 2;
    const parts =
      line.length <= room
        ? [line]
        : [line.slice(0, room), ...(line.slice(room).match(new RegExp(`.{1,${room - 4}}`, "g")) ?? [])];
    return parts.map((p, n) =>
      (n === 0 ? `${String(i + 1).padStart(number)}| ${p}` : `${" ".repeat(number)}+     ${p}`).trimEnd(),
    );
  });
}
