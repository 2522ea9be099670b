/**
 * Order statistics of repeated measurements. The median is what is reported, since noise on a shared machine
 * only ever adds time; the spread is half the interquartile range over the median. Not covered: tests of
 * significance.
 */

export interface Sample {
  /** Of the repeats, in the unit of the values. */
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Half the interquartile range, relative to the median; 0 for a single value. */
  readonly spread: number;
  readonly values: readonly number[];
}

/** Linear interpolation between the order statistics of sorted values, 0 <= q <= 1. */
export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) throw new RangeError("a quantile of no values");
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** @throws RangeError if there are no values. */
export function sample(values: readonly number[]): Sample {
  const sorted = [...values].sort((a, b) => a - b);
  const median = quantile(sorted, 0.5);
  const iqr = quantile(sorted, 0.75) - quantile(sorted, 0.25);
  return {
    median,
    min: sorted[0],
    max: sorted[sorted.length - 1],
    spread: median === 0 ? 0 : iqr / 2 / median,
    values,
  };
}
