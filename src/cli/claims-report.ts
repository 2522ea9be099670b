/**
 * What `holdfast claims` shows: the matrix, by configuration and architecture; what each excluding mechanism
 * is worth, by taking it away; figures; with -v, or for a single one, every cell. What an interrupt kept from
 * being decided is shown as such, never as a verdict.
 */

import { MODEL_NAMES } from "../check/check.ts";
import { type AskedCell, CLAIM_SETS, type ClaimSet, FIGURE_CLAIMS } from "../claims/claims.ts";
import type { MatrixResult } from "../claims/matrix.ts";
import type { CellResult, Figure, KnockoutResult, Verdict } from "../claims/schema.ts";
import { count, seconds } from "../text/numbers.ts";
import { KEEP } from "../text/wrap.ts";
import { paint, paintVerdict, prose, table } from "./output.ts";

/** How the result came about, as far as the words depend on it. */
export interface ClaimsView {
  /** The cells that were asked for. */
  readonly chosen: readonly AskedCell[];
  /** Whether cells that hold were tried without each mechanism. */
  readonly tried: boolean;
  readonly verbose: boolean;
  readonly interrupted: boolean;
  /** Seconds that it took. */
  readonly wall: number;
  readonly workers: number;
}

/** A verdict, or that an interrupt came first. */
type Shown = Verdict | "undecided";
/** What the matrix looks at. */
type ShownCell = Pick<CellResult, "id" | "claim" | "arch" | "model" | "config" | "weakerHardware"> & {
  readonly verdict: Shown;
};

/** One letter per verdict, for the matrix. */
const MARK: Readonly<Record<Shown, string>> = {
  holds: "+",
  violated: "x",
  bounded: "?",
  undecided: "-",
  "not-applicable": ".",
};

/** The verdict of several cells at once: any violated, else any that is open, else any that holds. */
function together(verdicts: readonly Shown[]): Shown {
  for (const v of ["violated", "undecided", "bounded", "holds"] as const) if (verdicts.includes(v)) return v;
  return "not-applicable";
}

const paintMarks = (padded: string): string =>
  padded.replace(/[+x?.-]/g, (m) =>
    m === "+" ? paint.green(m) : m === "x" ? paint.red(m) : m === "." ? paint.dim(m) : paint.yellow(m),
  );

function legend(set: ClaimSet, values: readonly unknown[], interrupted: boolean): string[] {
  const marks = ["+ holds", "x violated", "? stopped by a limit", ". not applicable"];
  if (interrupted) marks.push("- not decided before the interrupt");
  const order = set.marks === null ? "" : `Marks, from the left: ${set.marks} ${values.join(", ")}. `;
  return prose(`${order}${marks.map((m) => m.replaceAll(" ", KEEP)).join("; ")}.`).map((l) =>
    l.replace(/[+x?.-](?= (?:holds|violated|stopped|not)\b)/g, paintMarks),
  );
}

/** Rows are configurations, columns architectures, each with a mark per value of the set's `marks`. */
function matrixLines(set: ClaimSet, cells: readonly ShownCell[], interrupted: boolean): string[] {
  const arches = [...new Set(cells.map((c) => c.arch))];
  const { rows, marks } = set;
  const values = marks === null ? [undefined] : [...new Set(cells.map((c) => c.config[marks]))];
  const byRow = new Map<string, ShownCell[]>();
  for (const c of cells) {
    const key = rows.map((k) => String(c.config[k])).join("\n");
    byRow.set(key, [...(byRow.get(key) ?? []), c]);
  }
  const shown = [...byRow].filter(([, of]) => of.some((c) => c.verdict !== "not-applicable"));
  const mark = (of: readonly ShownCell[], arch: string, value: unknown): string => {
    const here = of.filter((c) => c.arch === arch && (marks === null || c.config[marks] === value));
    return MARK[together(here.map((c) => c.verdict))];
  };
  const lines = table(
    [...rows.map((title) => ({ title })), ...arches.map((title) => ({ title, paint: paintMarks }))],
    shown.map(([key, of]) => [
      ...key.split("\n"),
      ...arches.map((a) => values.map((v) => mark(of, a, v)).join(" ")),
    ]),
    { keys: rows.length },
  );
  lines.push("", ...legend(set, values, interrupted));
  const models = [...new Set(cells.map((c) => c.model))];
  if (models.some((m) => m !== "sc" && m !== "tso"))
    lines.push(...prose(`Models explored: ${models.map((m) => MODEL_NAMES[m]).join(", ")}.`));
  else if (cells.some((c) => c.weakerHardware))
    lines.push(
      ...prose("Models explored: SC and TSO only; arm64, powerpc and riscv hardware is weaker than both."),
    );
  return lines;
}

/**
 * What holding cells lose without each mechanism, by architecture and the first fields of the configuration.
 */
function mechanismLines(
  set: ClaimSet,
  cells: readonly CellResult[],
  knockouts: readonly KnockoutResult[],
): string[] {
  const byId = new Map(cells.map((c) => [c.id, c]));
  const removed = [...new Set(knockouts.map((k) => k.removed))];
  const fields = set.rows.slice(0, 3);
  const rows = new Map<string, KnockoutResult[]>();
  for (const k of knockouts) {
    const c = byId.get(k.cell);
    if (c === undefined) continue;
    const key = [c.arch, ...fields.map((f) => String(c.config[f]))].join("\n");
    rows.set(key, [...(rows.get(key) ?? []), k]);
  }
  const text = (of: readonly KnockoutResult[]): string => {
    const decided = of.filter((k) => k.verdict !== "not-applicable");
    if (decided.length === 0) return "-";
    const broken = decided.filter((k) => k.verdict === "violated").length;
    const open = decided.filter((k) => k.verdict === "bounded").length;
    return `${broken}/${decided.length}${open > 0 ? ` (${open}?)` : ""}`;
  };
  return table(
    [
      { title: "architecture" },
      ...fields.map((title) => ({ title })),
      ...removed.map((title) => ({ title, align: "right" as const })),
    ],
    [...rows].map(([key, of]) => [
      ...key.split("\n"),
      ...removed.map((r) => text(of.filter((k) => k.removed === r))),
    ]),
    { keys: 1 + fields.length },
  );
}

function figureLines(figures: readonly Figure[]): string[] {
  const ratio = (x: number | null): string =>
    x === null ? "-" : x >= 1000 ? count(Math.round(x)) : x.toPrecision(3);
  return table(
    [
      { title: "figure" },
      { title: "", wrap: true },
      { title: "verdict", paint: paintVerdict },
      { title: "ratio", align: "right" },
      { title: "reported", align: "right" },
      { title: "what", wrap: true },
    ],
    figures.map((f) => [
      f.id,
      f.title,
      f.verdict,
      ratio(f.ratio),
      ratio(f.reportedRatio),
      `${f.how}: ${f.detail}`,
    ]),
  );
}

function errorText(r: Pick<CellResult, "error" | "reason">): string {
  if (r.error !== null) return `${r.error.kind}${r.error.location === "" ? "" : ` at ${r.error.location}`}`;
  return r.reason ?? "";
}

/** A row per cell and knock-out; for one cell alone its id stands above them. */
function cellLines(
  cells: readonly CellResult[],
  knockouts: readonly KnockoutResult[],
  alone: boolean,
): string[] {
  const rows: string[][] = [];
  const row = (name: string, r: CellResult | KnockoutResult): string[] => [
    name,
    r.verdict,
    r.verdict === "not-applicable" ? "" : count(r.states),
    r.verdict === "not-applicable" ? "" : seconds(r.seconds),
    `${errorText(r)}${r.sameAs === null ? "" : `  (same program as ${r.sameAs})`}`.trim(),
  ];
  for (const c of cells) {
    rows.push(row(alone ? "as it is" : c.id, c));
    for (const k of knockouts)
      if (k.cell === c.id) rows.push(row(`${alone ? "" : "  "}without ${k.removed}`, k));
  }
  const lines = table(
    [
      { title: alone ? "" : "cell" },
      { title: "verdict", paint: paintVerdict },
      { title: "states", align: "right" },
      { title: "s", align: "right" },
      { title: "why", wrap: true },
    ],
    rows,
  );
  return alone ? [paint.bold(cells[0].id), "", ...lines] : lines;
}

/** In a sentence or two, what a cell that holds rests on: no more than what was tried. */
export function mechanismSentence(
  cell: Pick<CellResult, "id">,
  knockouts: readonly Pick<KnockoutResult, "cell" | "removed" | "verdict">[],
  { tried, interrupted }: Pick<ClaimsView, "tried" | "interrupted">,
): string {
  if (!tried) return "Which mechanisms it rests on was not tried.";
  const of = knockouts.filter((k) => k.cell === cell.id && k.verdict !== "not-applicable");
  const named = (v: Verdict): string[] => of.filter((k) => k.verdict === v).map((k) => k.removed);
  const needed = named("violated");
  const spare = named("holds");
  const open = named("bounded");
  const said: string[] = [];
  if (needed.length > 0)
    said.push(`Needs each of: ${needed.join(", ")}; without any one of them it is violated.`);
  else if (spare.length > 0 && open.length === 0 && !interrupted)
    said.push(
      `No single mechanism is needed: without ${spare.join(", ")}, each removed alone, it still holds.`,
    );
  else if (of.length === 0 && !interrupted) said.push("There is no mechanism here that could be removed.");
  if (open.length > 0) said.push(`Undecided: ${open.join(", ")}.`);
  if (interrupted) said.push("Not every mechanism was tried before the interrupt.");
  return said.join(" ");
}

function summary(m: MatrixResult, view: ClaimsView): string {
  const { cells, knockouts, figures } = m.output;
  const n = (v: Verdict): number => cells.filter((c) => c.verdict === v).length;
  const bounded = n("bounded") > 0 ? `, ${n("bounded")} stopped by a limit` : "";
  const all = n("holds") + n("violated") + n("bounded");
  const taken = figures.length === 0 ? "" : `${figures.length} figure${figures.length === 1 ? "" : "s"}, `;
  if (view.chosen.length === 0) return `${taken}${seconds(view.wall)} s.`;
  const tried = knockouts.filter((k) => k.verdict !== "not-applicable").length;
  return (
    `${count(all)} cell${all === 1 ? "" : "s"}: ${n("holds")} hold, ${n("violated")} violated${bounded}; ` +
    `${n("not-applicable")} not applicable; ${tried} knock-out${tried === 1 ? "" : "s"}. ` +
    `${count(m.explorations)} distinct program${m.explorations === 1 ? "" : "s"}, ${count(m.states)} states, ${taken}${seconds(view.wall)} s on ${view.workers} workers.`
  );
}

/** What kept cells from being decided, each reason once. */
function stopped(cells: readonly CellResult[]): string[] {
  const reasons = new Map<string, number>();
  for (const { verdict, reason } of cells)
    if (verdict === "bounded" && reason !== null) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  if (reasons.size === 0) return [];
  const rows = [...reasons].sort((a, b) => b[1] - a[1]).map(([reason, n]) => [count(n), reason]);
  return [
    ...table(
      [
        { title: "not decided", align: "right" },
        { title: "why", wrap: true },
      ],
      rows,
    ),
    "",
  ];
}

/** The cells that were asked for, each with its verdict or as undecided. */
function shownCells(m: MatrixResult, view: ClaimsView): ShownCell[] {
  const results = new Map(m.output.cells.map((c) => [c.id, c]));
  return view.chosen.map((c): ShownCell => {
    const r = results.get(c.id);
    // An exploration that the interrupt stopped is "bounded" in the data.
    if (r !== undefined && !(view.interrupted && r.verdict === "bounded")) return r;
    return { ...c, config: Object.fromEntries(Object.entries(c.config)), verdict: "undecided" };
  });
}

/** The lines for a person. */
export function claimsReport(m: MatrixResult, view: ClaimsView): string[] {
  const { asked, cells, knockouts, figures } = m.output;
  const out: string[] = [];
  if (view.interrupted) {
    const done = [...cells, ...knockouts].filter(
      (c) => c.verdict === "holds" || c.verdict === "violated",
    ).length;
    out.push(
      ...prose(
        `interrupted: ${count(done + figures.length)} of ${count(asked)} decided; what follows is these, and nothing else was found out`,
      ),
      "",
    );
  }
  const single = view.chosen.length === 1;
  if ((view.verbose || single) && cells.length > 0) {
    out.push(...cellLines(cells, knockouts, single), "");
    const [c] = cells;
    if (single && c.verdict === "holds") out.push(...prose(mechanismSentence(c, knockouts, view)), "");
    if (single && c.verdict === "violated") out.push(`Counterexample: holdfast explain ${c.id}`, "");
  }
  const shown = shownCells(m, view);
  if (shown.length > 1)
    for (const set of CLAIM_SETS) {
      const of = shown.filter((c) => set.claims.includes(c.claim));
      if (of.length === 0) continue;
      out.push(
        ...prose(`${set.claims.join(", ")}: ${set.title}`).map(paint.bold),
        ...matrixLines(set, of, view.interrupted),
        "",
      );
      const ids = new Set(of.map((c) => c.id));
      const without = knockouts.filter((k) => ids.has(k.cell));
      if (without.some((k) => k.verdict !== "not-applicable"))
        out.push(
          ...prose("What the holding cells rest on: violated / tried, with one mechanism removed").map(
            paint.bold,
          ),
          ...mechanismLines(set, cells, without),
          "",
        );
    }
  for (const { claim, title } of FIGURE_CLAIMS) {
    const of = figures.filter((f) => f.claim === claim);
    if (of.length > 0) out.push(...prose(`${claim}: ${title}`).map(paint.bold), ...figureLines(of), "");
  }
  out.push(...stopped(cells), ...prose(summary(m, view)));
  return out;
}
