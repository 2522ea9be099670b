/** Values of observed words, in an order that does not depend on the search. */

import type { VectorSet } from "./vectorset.ts";

/** Rows of equal length, sorted by their first number, then the next, ... */
export function sortRows(rows: number[][]): number[][] {
  return rows.sort((x, y) => {
    const i = x.findIndex((v, k) => v !== y[k]);
    return i < 0 ? 0 : x[i] - y[i];
  });
}

/** The rows of a set, sorted. */
export function rowsOf(set: VectorSet): number[][] {
  const row = new Int32Array(set.width);
  return sortRows(
    Array.from({ length: set.size }, (_, i) => {
      set.read(i, row, 0);
      return Array.from(row);
    }),
  );
}
