/**
 * Where our code departs from a recorded kernel on purpose, or shows what no sequential replay can: one table. A departure is
 * counted as a difference all the same; the table says which sequences it explains.
 */

export interface Departure {
  readonly kernel: RegExp;
  readonly sequence: RegExp;
  readonly reason: string;
}

export const DEPARTURES: readonly Departure[] = [
  {
    kernel: /./,
    sequence: /^(shm|memfd)-pageout$/,
    reason:
      "swap readahead: the kernel reads the 8 slots around a shmem page's into the swap cache, we read the one",
  },
  {
    kernel: /^(6\.1\.|6\.12\.|7\.3\.)/,
    sequence: /-unbind-/,
    reason:
      "the recording shows the device while the child that unbinds it is still at work, or has not begun; here it is done at once",
  },
];

export function departureOf(kernel: string, sequence: string): string | null {
  return DEPARTURES.find((d) => d.kernel.test(kernel) && d.sequence.test(sequence))?.reason ?? null;
}
