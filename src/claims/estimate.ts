/**
 * How much of a matrix is left, in time. Cells of one claim take about as long as each other, those of
 * another many times that; so what is done and what is left are weighed by claim, and the time that went by
 * is what the done part took on this machine. Good to a factor of two, which is what "about" means.
 */

/**
 * What a cell costs, as a ratio: the time between results of a claim, from a run of the whole matrix in
 * November 2026. Verdicts have nothing to do with it; a claim that is not here counts as 1.
 */
const CELL_COSTS: Readonly<Record<string, number>> = { C1: 2, C2: 2, C3: 5, C4: 1, C5: 0.1, C7: 2, C8: 27 };
const KNOCKOUT_COST = 3;

/** No estimate before so many seconds, and so much of the work. */
const LEAST_SECONDS = 5;
const LEAST_SHARE = 0.05;

export function costOf(claim: string, knockout: boolean): number {
  return knockout ? KNOCKOUT_COST : (CELL_COSTS[claim] ?? 1);
}

export class Estimate {
  private all = 0;
  private done = 0;

  /** Work that is to be done. */
  add(cost: number): void {
    this.all += cost;
  }

  /** Work that has been done. */
  finish(cost: number): void {
    this.done += cost;
  }

  /** Seconds left after `elapsed`; null while nothing can be said. */
  left(elapsed: number): number | null {
    if (elapsed < LEAST_SECONDS || this.done < LEAST_SHARE * this.all) return null;
    return (elapsed * (this.all - this.done)) / this.done;
  }
}
