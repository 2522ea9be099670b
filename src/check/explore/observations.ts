/** Values of observed words, in an order that does not depend on the search. */

/** Rows of equal length, sorted by their first number, then the next, ... */
export function sortRows(rows: number[][]): number[][] {
  return rows.sort((x, y) => {
    const i = x.findIndex((v, k) => v !== y[k]);
    return i < 0 ? 0 : x[i] - y[i];
  });
}
