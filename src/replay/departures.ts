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
    kernel: /^7\.3\./,
    sequence: /-unbind-/,
    reason:
      "the recording shows the device while a child is removing it, half its struct pages gone; here it is gone at once",
  },
  {
    kernel: /./,
    sequence: /^offline-(un)?pinned/,
    reason:
      "the recording program's child shares its parent's memory while it works, and the counters include other pages of the block; here no child is forked for it",
  },
];

export function departureOf(kernel: string, sequence: string): string | null {
  return DEPARTURES.find((d) => d.kernel.test(kernel) && d.sequence.test(sequence))?.reason ?? null;
}
