/**
 * Which cells a user means: `C5`, `C5/arm64`, a whole id, narrowed by --arch and --model. What matches
 * nothing is an error that names the nearest.
 */

import type { CheckModel } from "../check/check.ts";
import { type AskedCell, allCells, figureClaimOf } from "../claims/claims.ts";
import { weakCells, weakModelOf } from "../claims/weak.ts";
import { ARCHITECTURES } from "../machine/arch.ts";
import { nearestName } from "../machine/nearest.ts";
import { UserError, unknownName } from "./errors.ts";

export interface Selection {
  readonly arch?: string;
  /** Default: those that cells are listed under. */
  readonly model?: CheckModel | readonly CheckModel[];
  /** Also the cells that are not run by default. */
  readonly all?: boolean;
}

/** Models that are asked for, by option or by the words' ends; none: those that cells are listed under. */
function modelsOf(words: readonly string[], { model = [] }: Selection): ReadonlySet<CheckModel> {
  const asked = new Set<CheckModel>(typeof model === "string" ? [model] : model);
  for (const w of words) {
    const named = weakModelOf(w);
    if (named !== undefined) asked.add(named);
  }
  return asked;
}

/** The cells that words and options are about: the listed ones, and those under the weak models asked for. */
export function cellsToChooseFrom(words: readonly string[], selection: Selection): readonly AskedCell[] {
  const weak = [...modelsOf(words, selection)].filter((m) => m !== "sc" && m !== "tso");
  return weak.length === 0 ? allCells() : [...allCells(), ...weak.flatMap((m) => weakCells(m))];
}

/** The nearest existing id, segment by segment: `C5/arm/fsdx` is told `C5/arm64/fsdax`. */
function nearestPath(word: string, cells: readonly AskedCell[]): string | undefined {
  let candidates = cells.map((c) => c.id.split("/"));
  const path: string[] = [];
  for (const [i, segment] of word.split("/").entries()) {
    const names = [...new Set(candidates.map((c) => c[i]).filter((s) => s !== undefined))];
    const best = names.includes(segment) ? segment : nearestName(segment, names);
    if (best === undefined) return path.length > 0 ? path.join("/") : undefined;
    path.push(best);
    candidates = candidates.filter((c) => c[i] === best);
  }
  return path.join("/");
}

/** The ids that the words mean, in the order of the list. Throws UserError. */
export function selectFigures(words: readonly string[], ids: readonly string[]): string[] {
  const wanted = words.map((w) => w.replace(/\/+$/, "").replace(/^c/, "C"));
  for (const w of wanted)
    if (!ids.some((id) => id === w || id.startsWith(`${w}/`))) throw unknownName("HF003", w, ids);
  return ids.filter((id) => wanted.some((w) => id === w || id.startsWith(`${w}/`)));
}

function matching<C extends AskedCell>(word: string, cells: readonly C[], all: boolean): C[] {
  const exact = cells.filter((c) => c.id === word);
  if (exact.length > 0) return exact;
  const below = cells.filter((c) => c.id.startsWith(`${word}/`));
  if (below.length === 0) {
    const figure = figureClaimOf(word);
    if (figure !== undefined)
      throw new UserError(
        "HF002",
        `${word} is a figure, not an exploration`,
        `holdfast claims ${word}, or holdfast ${figure.more}`,
      );
    if (/^C\d+$/i.test(word)) throw unknownName("HF002", word, new Set(cells.map((c) => c.claim)));
    const near = nearestPath(word, cells);
    throw near === undefined
      ? new UserError("HF003", word)
      : new UserError("HF003", word, `did you mean ${near}?`);
  }
  const standard = below.filter((c) => c.standard);
  return all || standard.length === 0 ? below : standard;
}

/** @throws UserError if there is no architecture of that name. */
export function checkArchitecture(name: string): void {
  const names = ARCHITECTURES.map((a) => a.name);
  if (!names.includes(name)) throw unknownName("HF004", name, names);
}

/** The cells of `words` (none: every claim), in the order of the list. Throws UserError. */
export function selectCells<C extends AskedCell>(
  words: readonly string[],
  selection: Selection,
  cells: readonly C[],
): C[] {
  const { arch, all = false } = selection;
  const models = modelsOf(words, selection);
  if (arch !== undefined) checkArchitecture(arch);
  const wanted = new Set(
    words.length === 0
      ? cells.filter((c) => all || c.standard)
      : words.flatMap((w) => matching(w.replace(/\/+$/, ""), cells, all)),
  );
  const chosen = cells.filter(
    (c) =>
      wanted.has(c) && (arch === undefined || c.arch === arch) && (models.size === 0 || models.has(c.model)),
  );
  if (chosen.length === 0)
    throw new UserError(
      "HF003",
      `${[...words, arch ?? "", [...models].join()].filter((s) => s !== "").join(" with ")}: no cell matches all of it`,
    );
  return chosen;
}
