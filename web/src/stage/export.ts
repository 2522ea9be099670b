/** A trace to be handed out: as text of at most 72 columns, and as a picture, a column per thread. */

import type { Trace } from "../../../src/check/trace/schema.ts";
import { marks, placeText, quietSteps, stepText, traceLines } from "../../../src/check/trace/text.ts";
import { KEEP, wrapIndented } from "../../../src/text/wrap.ts";

/** What mails are wrapped at. */
const MAIL = 72;

/** One line on what is wrong; "" if nothing is. */
export function errorLine(trace: Trace): string {
  const e = trace.error;
  return e === null ? "" : `${e.kind}${e.location === "" ? "" : ` at ${e.location}`}: ${e.message}`;
}

export function mailText(id: string, trace: Trace, all: boolean): string {
  const error = errorLine(trace);
  const head = [
    ...wrapIndented(`${id} under ${trace.model.toUpperCase()}`, MAIL, "", "  "),
    ...wrapIndented(error === "" ? "A run in which nothing is wrong." : error, MAIL, "", "  "),
    "",
  ];
  // What is kept on one line may stick out a little; then all is a little narrower.
  let body = traceLines(trace, { width: MAIL, all });
  for (let width = MAIL - 2; width >= 56 && body.some((l) => l.length > MAIL); width -= 2)
    body = traceLines(trace, { width, all });
  const lines = [...head, ...body];
  return `${lines.join("\n").replaceAll(KEEP, " ")}\n`;
}

const ROW = 20;
const TOP = 74;
const LEFT = 64;
const CHAR = 7.25;
const COLOURS = ["#1f5fa8", "#8a3b8f", "#0b6b66", "#8a4b12", "#5b5fb0", "#5f6b12"];
const BAD = "#b3261e";

const escaped = (s: string): string =>
  s.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** The steps as a drawing that needs nothing of the page. */
export function traceSvg(id: string, trace: Trace, all: boolean): string {
  const hidden = all ? new Set<number>() : quietSteps(trace);
  const marked = marks(trace);
  const rows = trace.steps.map((step, n) => ({ step, n })).filter(({ n }) => !hidden.has(n));
  const threads = [...new Set(rows.map((r) => r.step.thread))].sort((a, b) => a - b);
  const text = (n: number): string => stepText(trace, trace.steps[n]).replaceAll(KEEP, " ");
  const widths = threads.map((t) =>
    Math.max(
      trace.threads[t].name.length * 9,
      ...rows.filter((r) => r.step.thread === t).map(({ n }) => text(n).length * CHAR),
    ),
  );
  const lefts = threads.map((_, i) => LEFT + widths.slice(0, i).reduce((a, w) => a + w + 28, 0));
  const source = LEFT + widths.reduce((a, w) => a + w + 28, 0);
  const note = ({ step, n }: (typeof rows)[number]): string => {
    const place = placeText(trace, step.at).split("/").pop() ?? "";
    const fn = trace.positions[step.at]?.fn ?? "";
    const file = place.includes(":") ? place.replace(/^.*\s/, "") : "";
    return `${fn} ${file}${marked.has(n) ? `  ${marked.get(n)}` : ""}`;
  };
  const width = Math.max(source + Math.max(...rows.map((r) => note(r).length), 10) * CHAR + 20, 480);
  const height = TOP + rows.length * ROW + 20;
  const y = (i: number): number => TOP + i * ROW;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${height}" font-family="monospace" font-size="12">`,
    '<rect width="100%" height="100%" fill="white"/>',
    `<text x="16" y="20" font-size="13" font-weight="bold">${escaped(id)}</text>`,
    `<text x="16" y="38" fill="${BAD}">${escaped(errorLine(trace))}</text>`,
  ];
  threads.forEach((t, i) => {
    const colour = COLOURS[t % COLOURS.length];
    out.push(
      `<text x="${lefts[i]}" y="${TOP - 16}" fill="${colour}" font-weight="bold">${escaped(trace.threads[t].name)}</text>`,
      `<line x1="${lefts[i] - 8}" y1="${TOP - 10}" x2="${lefts[i] - 8}" y2="${height - 14}" stroke="${colour}" stroke-width="0.6"/>`,
    );
  });
  rows.forEach((r, i) => {
    const { step, n } = r;
    const x = lefts[threads.indexOf(step.thread)];
    const weight = marked.has(n) ? ' font-weight="bold"' : "";
    const colour = marked.has(n) ? ` fill="${BAD}"` : "";
    out.push(
      `<text x="${LEFT - 26}" y="${y(i) + 4}" fill="#5a6269" text-anchor="end">${n + 1}</text>`,
      `<text x="${x}" y="${y(i) + 4}"${weight}${colour}>${escaped(text(n))}</text>`,
      `<text x="${source}" y="${y(i) + 4}" fill="#5a6269">${escaped(note(r))}</text>`,
    );
  });
  const conflict = trace.error?.conflict?.map((n) => rows.findIndex((r) => r.n === n)) ?? [];
  if (conflict.length === 2 && conflict.every((i) => i >= 0)) {
    const [a, b] = conflict.map(y);
    out.push(`<path d="M20 ${a} H12 V${b} H20" fill="none" stroke="${BAD}" stroke-width="2"/>`);
  }
  out.push("</svg>");
  return `${out.join("\n")}\n`;
}
