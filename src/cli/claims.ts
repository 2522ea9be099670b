/**
 * `holdfast claims`: decides the cells asked for and shows them (claims-report.ts). All verdicts come from
 * explorations made now, those of the claims that are figures (C6, C9) from what is counted and timed
 * afterwards, when no other work disturbs it. Ctrl-C shows what was decided until then.
 */

import { availableParallelism } from "node:os";
import type { CheckModel } from "../check/check.ts";
import { type AskedCell, figureClaimOf, setOf } from "../claims/claims.ts";
import { type MatrixResult, runMatrix } from "../claims/matrix.ts";
import { isWeakCell } from "../claims/weak.ts";
import { count, seconds, timeLeft } from "../text/numbers.ts";
import { claimsReport } from "./claims-report.ts";
import { UserError } from "./errors.ts";
import { EXIT_BOUNDED, EXIT_HOLDS, EXIT_INTERRUPTED, EXIT_VIOLATED } from "./exit.ts";
import { takeFiguresInWorker } from "./figures.ts";
import { interruptSignal } from "./interrupt.ts";
import { asUserError } from "./job-errors.ts";
import { type LimitOptions, limitsOf } from "./limits.ts";
import { print, printJson } from "./output.ts";
import { cellsToChooseFrom, type Selection, selectCells, selectFigures } from "./select.ts";
import { Status } from "./status.ts";

/** On weak memory, seconds after which a cell is given up unless the user says: some would take days. */
const WEAK_SECONDS = 60;

export interface ClaimsOptions extends Selection, LimitOptions {
  readonly list?: boolean;
  readonly verbose?: boolean;
  readonly knockouts: boolean;
  readonly barriers?: boolean;
  readonly jobs?: number;
  readonly json?: boolean;
}

/**
 * What is asked for: cells to explore, and ids of figures, which have no architecture and no model. The
 * modules that measure are loaded only if a figure is: they cost tens of milliseconds.
 */
async function choose(
  words: readonly string[],
  options: ClaimsOptions,
): Promise<{ cells: AskedCell[]; figures: string[] }> {
  const asked = words.filter((w) => figureClaimOf(w) !== undefined);
  const others = words.filter((w) => figureClaimOf(w) === undefined);
  const listed = ["sc", "tso"].every((m) => options.model?.includes(m as CheckModel) ?? true);
  const narrowed = options.arch !== undefined || !listed;
  if (narrowed && asked.length > 0)
    throw new UserError(
      "HF003",
      `${asked[0]} with an architecture or a model: a figure has neither`,
      `holdfast claims ${asked[0]}`,
    );
  const cells =
    words.length > 0 && others.length === 0
      ? []
      : selectCells(others, options, cellsToChooseFrom(others, options));
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
      limits: limitsOf(chosen.some(isWeakCell) ? { maxSeconds: WEAK_SECONDS, ...options } : options),
      knockouts: (cell) =>
        options.knockouts && (words.length > 0 || setOf(cell).knockoutsUnasked.includes(cell.claim)),
      signal,
      onProgress: (done, total, states, left) =>
        status.update(
          `${count(done)}/${count(total)} cells and knock-outs, ${count(states)} states, ${timeLeft(elapsed(), left)}`,
        ),
    });
    if (wanted.length > 0) {
      const taken = signal.aborted
        ? []
        : await takeFiguresInWorker(wanted, signal, (what) =>
            status.update(`${what}, ${seconds(elapsed())} s`),
          );
      const { asked, complete, figures } = m.output;
      figures.push(...taken);
      const output = {
        ...m.output,
        asked: asked + wanted.length,
        complete: complete && taken.length === wanted.length,
      };
      m = { ...m, output };
    }
  } catch (e) {
    throw asUserError(e);
  } finally {
    status.clear();
  }
  const { cells, knockouts, figures } = m.output;
  if (options.json === true) printJson(m.output);
  else
    print(
      ...claimsReport(m, {
        chosen,
        tried: options.knockouts,
        verbose: options.verbose === true,
        interrupted: signal.aborted,
        wall: elapsed(),
        workers,
      }),
    );
  if (signal.aborted) return EXIT_INTERRUPTED;
  const decided = [...cells, ...figures];
  if (decided.length === 1 && decided[0].verdict === "violated") return EXIT_VIOLATED;
  return [...cells, ...knockouts].some((c) => c.verdict === "bounded") ? EXIT_BOUNDED : EXIT_HOLDS;
}
