/**
 * What of the recordings our replay shows otherwise, with the reason: one entry per step. A departure is counted as a difference all the
 * same; the table says why, and a test holds that nothing else differs, nor these any other way.
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

export const DEPARTURES: readonly Departure[] = [
  {
    kernel: "7.3.4",
    sequence: "dax2m-unbind-pinned",
    step: 5,
    fields: ["map", "page"],
    reason:
      "the recorder looked while a child was removing the device: page tables from before, counts from after they were cleared, 309 of 1,024 struct pages gone; here the removal is one step",
  },
];

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
