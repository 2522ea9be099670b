/**
 * Cells of claims on weak memory. They are not listed: each is the program of a listed cell, under its
 * architecture's own model if that is weaker than TSO, or under the LKMM, whose answer is about every
 * architecture that the kernel runs on. Its id ends with that model.
 */

import { isWeak } from "../check/check.ts";
import { WEAK_MODELS, type WeakModel } from "../check/weak/ordering.ts";
import { type AskedCell, allCells, cellById } from "./claims.ts";

/** Id without the model. */
const stemOf = (id: string): string => id.slice(0, id.lastIndexOf("/"));

const made = new Map<WeakModel, ReadonlyMap<string, AskedCell>>();

function byId(model: WeakModel): ReadonlyMap<string, AskedCell> {
  const known = made.get(model);
  if (known !== undefined) return known;
  const cells = new Map<string, AskedCell>();
  for (const cell of allCells()) {
    if (model !== "lkmm" && cell.arch !== model) continue;
    const id = `${stemOf(cell.id)}/${model}`;
    const before = cells.get(id);
    const standard = cell.standard || before?.standard === true;
    cells.set(id, {
      ...(before ?? cell),
      id,
      model,
      standard,
      weakerHardware: false,
      of: before?.of ?? cell.id,
    });
  }
  made.set(model, cells);
  return cells;
}

/** The weak model that the id ends with, if it does. */
export function weakModelOf(id: string): WeakModel | undefined {
  const last = id.slice(id.lastIndexOf("/") + 1);
  return WEAK_MODELS.find((m) => m === last);
}

/** Every cell under `model`, in the order in which they are listed. */
export function weakCells(model: WeakModel): readonly AskedCell[] {
  return [...byId(model).values()];
}

/** A listed cell, or one under a weak model. */
export function askedCell(id: string): AskedCell | undefined {
  const model = weakModelOf(id);
  return model === undefined ? cellById(id) : byId(model).get(id);
}

/** Whether the cell is asked of a weak model. */
export const isWeakCell = (cell: AskedCell): boolean => isWeak(cell.model);
