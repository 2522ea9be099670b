/**
 * The nearest known name to a word that is not one, for error messages ("unknown knob pteRechek: did you mean
 * pteRecheck?"). Optimal string alignment distance: insertions, deletions, substitutions and swaps of
 * neighbours count one each (Damerau, CACM 7(3), 1964). Not for long texts: quadratic in the words' lengths.
 */

function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let d = Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        d = Math.min(d, (before[j - 2] as number) + 1);
      next.push(d);
    }
    before = row;
    row = next;
  }
  return row[b.length] as number;
}

/**
 * The candidate that looks most like `word`, or undefined if none is within a third of its length (at least
 * 2).
 */
export function nearestName(word: string, candidates: Iterable<string>): string | undefined {
  const asked = word.slice(0, 100).toLowerCase();
  let best: string | undefined;
  let least = Math.max(2, Math.floor(asked.length / 3)) + 1;
  for (const candidate of candidates) {
    const d = distance(asked, candidate.toLowerCase());
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}
