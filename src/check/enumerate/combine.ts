/**
 * Combinations of one path for each thread, as far as values allow them: after each choice the paths of the
 * other threads are narrowed down to those that still can be taken, so that what two threads exclude is not
 * tried once for every choice of the others.
 */
import { narrow } from "./feasible.ts";
import type { Path } from "./path.ts";

/** Calls `f` with each. `check` throws when it is time to stop. */
export function eachCombination(
  threads: readonly Path[][],
  initial: (loc: number) => number,
  check: () => void,
  f: (combination: readonly Path[]) => void,
): void {
  const visit = (paths: readonly Path[][], from: number): void => {
    check();
    if (paths.some((list) => list.length === 0)) return;
    let t = from;
    while (t < paths.length && paths[t].length === 1) t++;
    if (t === paths.length) {
      f(paths.map(([p]) => p));
      return;
    }
    for (const p of paths[t]) {
      const chosen = paths.map((list, i) => (i === t ? [p] : list));
      // Choices without conditions exclude nothing that has not been excluded before.
      visit(paths.length > 1 ? narrow(chosen, initial, check) : chosen, t + 1);
    }
  };
  visit(threads, 0);
}
