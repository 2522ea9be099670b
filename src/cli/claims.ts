/**
 * `holdfast claims`: decides the cells asked for and shows the matrix, by configuration and architecture;
 * what each excluding mechanism is worth, by taking it away; every cell with -v. All verdicts come from
 * explorations made now, those of the claims that are figures (C6, C9) from what is counted and timed
 * afterwards, when no other work disturbs it.
 */

import { availableParallelism } from "node:os";
import {
  type AnyCell,
  allCells,
  CLAIM_SETS,
  type ClaimSet,
  FIGURE_CLAIMS,
  figureClaimOf,
  setOf,
} from "../claims/claims.ts";
import { type MatrixResult, runMatrix } from "../claims/matrix.ts";
import type { CellResult, Figure, KnockoutResult, Verdict } from "../claims/schema.ts";
import { asUserError } from "./check.ts";
import { UserError } from "./errors.ts";
import { EXIT_BOUNDED, EXIT_HOLDS, EXIT_INTERRUPTED, EXIT_VIOLATED } from "./exit.ts";
import { interruptSignal } from "./interrupt.ts";
import { type LimitOptions, limitsOf } from "./limits.ts";
import { paint, paintVerdict, print, printJson } from "./output.ts";
import { type Selection, selectCells, selectFigures } from "./select.ts";
import { Status } from "./status.ts";
import { count, seconds, table } from "./table.ts";

export interface ClaimsOptions extends Selection, LimitOptions {
  readonly list?: boolean;
  readonly verbose?: boolean;
  readonly knockouts: boolean;
  readonly jobs?: number;
  readonly json?: boolean;
}

/** One letter per verdict, for the matrix. */
const MARK: Readonly<Record<Verdict, string>> = {
  holds: "+",
  violated: "x",
  bounded: "?",
  "not-applicable": ".",
};

/** The verdict of several cells at once: any violated, else any bounded, else any that holds. */
function together(verdicts: readonly Verdict[]): Verdict {
  for (const v of ["violated", "bounded", "holds"] as const) if (verdicts.includes(v)) return v;
  return "not-applicable";
}

const paintMarks = (padded: string): string =>
  padded.replace(/[+x?.]/g, (m) =>
    m === "+" ? paint.green(m) : m === "x" ? paint.red(m) : m === "?" ? paint.yellow(m) : paint.dim(m),
  );

/** Rows are configurations, columns architectures, each with a mark per value of the set's `marks`. */
function matrixLines(set: ClaimSet, cells: readonly CellResult[]): string[] {
  const arches = [...new Set(cells.map((c) => c.arch))];
  const { rows, marks } = set;
  const values = marks === null ? [undefined] : [...new Set(cells.map((c) => c.config[marks]))];
  const byRow = new Map<string, CellResult[]>();
  for (const c of cells) {
    const key = rows.map((k) => String(c.config[k])).join("\n");
    byRow.set(key, [...(byRow.get(key) ?? []), c]);
  }
  const shown = [...byRow].filter(([, of]) => of.some((c) => c.verdict !== "not-applicable"));
  const mark = (of: readonly CellResult[], arch: string, value: unknown): string =>
    MARK[
      together(
        of
          .filter((c) => c.arch === arch && (marks === null || c.config[marks] === value))
          .map((c) => c.verdict),
      )
    ];
  const lines = table(
    [...rows.map((title) => ({ title })), ...arches.map((title) => ({ title, paint: paintMarks }))],
    shown.map(([key, of]) => [
      ...key.split("\n"),
      ...arches.map((a) => values.map((v) => mark(of, a, v)).join(" ")),
    ]),
  );
  const order = marks === null ? "" : `Marks, from the left: ${marks} ${values.join(", ")}. `;
  lines.push("", `${order}${paintMarks("+ holds  x violated  ? stopped by a limit  . not applicable")}`);
  if (cells.some((c) => c.weakerHardware))
    lines.push("Models explored: SC and TSO only; arm64, powerpc and riscv hardware is weaker than both.");
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
  );
}

function figureLines(figures: readonly Figure[]): string[] {
  const ratio = (x: number | null): string =>
    x === null ? "-" : x >= 1000 ? count(Math.round(x)) : x.toPrecision(3);
  return table(
    [
      { title: "figure" },
      { title: "" },
      { title: "verdict", paint: paintVerdict },
      { title: "ratio", align: "right" },
      { title: "reported", align: "right" },
      { title: "what" },
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

function cellLines(cells: readonly CellResult[], knockouts: readonly KnockoutResult[]): string[] {
  const rows: string[][] = [];
  const row = (name: string, r: CellResult | KnockoutResult): string[] => [
    name,
    r.verdict,
    r.verdict === "not-applicable" ? "" : count(r.states),
    r.verdict === "not-applicable" ? "" : seconds(r.seconds),
    `${errorText(r)}${r.sameAs === null ? "" : `  (same program as ${r.sameAs})`}`.trim(),
  ];
  for (const c of cells) {
    rows.push(row(c.id, c));
    for (const k of knockouts) if (k.cell === c.id) rows.push(row(`  without ${k.removed}`, k));
  }
  return table(
    [
      { title: "cell" },
      { title: "verdict", paint: paintVerdict },
      { title: "states", align: "right" },
      { title: "s", align: "right" },
      { title: "why" },
    ],
    rows,
  );
}

/** In one sentence, what a cell that holds rests on. */
function mechanismSentence(cell: CellResult, knockouts: readonly KnockoutResult[]): string {
  const of = knockouts.filter((k) => k.cell === cell.id && k.verdict !== "not-applicable");
  const needed = of.filter((k) => k.verdict === "violated").map((k) => k.removed);
  const open = of.filter((k) => k.verdict === "bounded").map((k) => k.removed);
  const undecided = open.length > 0 ? ` Undecided: ${open.join(", ")}.` : "";
  if (needed.length > 0)
    return `Needs each of: ${needed.join(", ")}; without any one of them it is violated.${undecided}`;
  if (open.length > 0) return undecided.trim();
  return "No single mechanism is needed: each one removed alone, it still holds.";
}

function summary(m: MatrixResult, wall: number, workers: number): string {
  const { cells, knockouts } = m.output;
  const n = (v: Verdict): number => cells.filter((c) => c.verdict === v).length;
  const bounded = n("bounded") > 0 ? `, ${n("bounded")} stopped by a limit` : "";
  const all = n("holds") + n("violated") + n("bounded");
  const taken = m.output.figures.length;
  const figures = taken === 0 ? "" : `${taken} figure${taken === 1 ? "" : "s"}, `;
  if (cells.length === 0) return `${figures}${seconds(wall)} s.`;
  return (
    `${count(all)} cell${all === 1 ? "" : "s"}: ${n("holds")} hold, ${n("violated")} violated${bounded}; ` +
    `${n("not-applicable")} not applicable; ${knockouts.filter((k) => k.verdict !== "not-applicable").length} knock-outs. ` +
    `${count(m.explorations)} distinct programs, ${count(m.states)} states, ${figures}${seconds(wall)} s on ${workers} workers.`
  );
}

/**
 * What is asked for: cells to explore, and ids of figures, which have no architecture and no model. The
 * modules that measure are loaded only if a figure is: they cost tens of milliseconds.
 */
async function choose(
  words: readonly string[],
  options: ClaimsOptions,
): Promise<{ cells: AnyCell[]; figures: string[] }> {
  const asked = words.filter((w) => figureClaimOf(w) !== undefined);
  const others = words.filter((w) => figureClaimOf(w) === undefined);
  const narrowed = options.arch !== undefined || (options.model ?? "all") !== "all";
  if (narrowed && asked.length > 0)
    throw new UserError(
      "HF003",
      `${asked[0]} with an architecture or a model: a figure has neither`,
      `holdfast claims ${asked[0]}`,
    );
  const cells = words.length > 0 && others.length === 0 ? [] : selectCells(others, options, allCells());
  const wanted = words.length > 0 ? asked.length > 0 : !narrowed;
  if (!wanted) return { cells, figures: [] };
  const ids = (await import("../bench/figures.ts")).figureIds();
  return { cells, figures: words.length > 0 ? selectFigures(asked, ids) : ids };
}

export async function claimsCommand(words: readonly string[], options: ClaimsOptions): Promise<number> {
  const { cells: chosen, figures: wanted } = await choose(words, options);
  if (options.list === true) {
    if (options.json === true) printJson({ schema: "holdfast.cells/1", cells: chosen, figures: wanted });
    else
      print(
        ...chosen.map((c) =>
          c.notApplicable === null ? c.id : `${c.id}  not applicable: ${c.notApplicable}`,
        ),
        ...wanted,
      );
    return EXIT_HOLDS;
  }
  const workers = options.jobs ?? Math.min(2, availableParallelism());
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  const signal = interruptSignal();
  const status = new Status();
  let m: MatrixResult;
  try {
    m = await runMatrix(chosen, {
      workers,
      limits: limitsOf(options),
      knockouts: (cell) =>
        options.knockouts && (words.length > 0 || setOf(cell).knockoutsUnasked.includes(cell.claim)),
      signal,
      onProgress: (done, total, states) =>
        status.update(
          `${done}/${total} cells and knock-outs, ${count(states)} states, ${seconds(elapsed())} s`,
        ),
    });
    const onStep = (what: string): boolean => {
      status.update(`${what}, ${seconds(elapsed())} s`);
      return !signal.aborted;
    };
    if (!signal.aborted && wanted.length > 0) {
      const { takeFigures } = await import("../bench/figures.ts");
      m.output.figures.push(...(await takeFigures(wanted, onStep)));
    }
  } catch (e) {
    throw asUserError(e);
  } finally {
    status.clear();
  }
  const { cells, knockouts, figures } = m.output;
  if (options.json === true) printJson(m.output);
  else if (signal.aborted)
    print(
      `interrupted: ${cells.length + knockouts.length} of ${m.asked} decided or under way, ${count(m.states)} states, ${seconds(elapsed())} s`,
    );
  else report(m, chosen.length === 1 || options.verbose === true, elapsed(), workers);
  if (signal.aborted) return EXIT_INTERRUPTED;
  const decided = [...cells, ...figures];
  if (decided.length === 1 && decided[0].verdict === "violated") return EXIT_VIOLATED;
  return [...cells, ...knockouts].some((c) => c.verdict === "bounded") ? EXIT_BOUNDED : EXIT_HOLDS;
}

function report(m: MatrixResult, verbose: boolean, wall: number, workers: number): void {
  const { cells, knockouts } = m.output;
  if (verbose) {
    print(...cellLines(cells, knockouts));
    if (cells.length === 1) {
      const c = cells[0];
      if (c.verdict === "holds") print("", mechanismSentence(c, knockouts));
      if (c.verdict === "violated") print("", `Counterexample: holdfast explain ${c.id}`);
    }
    print("");
  }
  if (cells.length > 1) {
    for (const set of CLAIM_SETS) {
      const of = cells.filter((c) => set.claims.includes(c.claim));
      if (of.length === 0) continue;
      print(paint.bold(`${set.claims.join(", ")}: ${set.title}`), ...matrixLines(set, of), "");
      const ids = new Set(of.map((c) => c.id));
      const without = knockouts.filter((k) => ids.has(k.cell));
      if (without.some((k) => k.verdict !== "not-applicable"))
        print(
          paint.bold("What the holding cells rest on: violated / tried, with one mechanism removed"),
          ...mechanismLines(set, of, without),
          "",
        );
    }
  }
  for (const { claim, title } of FIGURE_CLAIMS) {
    const of = m.output.figures.filter((f) => f.claim === claim);
    if (of.length > 0) print(paint.bold(`${claim}: ${title}`), ...figureLines(of), "");
  }
  print(summary(m, wall, workers));
}
