/**
 * What of the recordings our replay shows otherwise, with the reason: one entry per step. A departure is
 * counted as a difference all the same; the table says why, and a test holds that nothing else differs, nor
 * these any other way.
 */

import type { Difference } from "./compare.ts";

export interface Departure {
  /** `uname -r` of the recorded kernel, without the distribution's suffix. */
  readonly kernel: string;
  readonly sequence: string;
  readonly step: number;
  /** What differs there: the first words of the differing lines. */
  readonly fields: readonly string[];
  readonly reason: string;
}

/** None at present: all recorded sequences agree. */
export const DEPARTURES: readonly Departure[] = [];

/** The reason for a sequence's first difference, or null if it is not in the table. */
export function departureOf(kernel: string, difference: Difference): string | null {
  const fields = [...difference.expected, ...difference.actual].map((l) => l.slice(0, l.indexOf(" ")));
  const found = DEPARTURES.find(
    (d) =>
      d.kernel === kernel &&
      d.sequence === difference.sequence &&
      d.step === difference.step &&
      fields.every((f) => d.fields.includes(f)),
  );
  return found?.reason ?? null;
}
