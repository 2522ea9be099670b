/** Numbers as people read them, the same in every locale. */

/** 1234567 as "1,234,567". */
export function count(n: number): string {
  return Math.trunc(n)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** Seconds with as many digits as mean something: "0.004", "1.3", "75". */
export function seconds(s: number): string {
  return s < 0.1 ? s.toFixed(3) : s < 10 ? s.toFixed(2) : s < 100 ? s.toFixed(1) : s.toFixed(0);
}

/**
 * "58 s, about 2 min left": seconds that went by and, if they can be told, those to come, rounded as a guess
 * is.
 */
export function timeLeft(elapsed: number, left: number | null): string {
  const gone = `${seconds(elapsed)} s`;
  if (left === null) return gone;
  const about =
    left < 90 ? `${Math.max(10, Math.round(left / 10) * 10)} s` : `${count(Math.round(left / 60))} min`;
  return `${gone}, about ${about} left`;
}
