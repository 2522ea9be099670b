/**
 * Sizes, times and ratios as people write and read them: `1T`, `2M`, `512` (MiB where an option says so), 4
 * KiB pages. Every parser refuses what it does not understand with the text that it was given. Not covered:
 * SI units; K is 1024.
 */

export const PAGE_SHIFT = 12;
const KIB = 2 ** 10;
export const MIB = 2 ** 20;
export const GIB = 2 ** 30;
export const TIB = 2 ** 40;

const FACTORS: Readonly<Record<string, number>> = { "": 1, k: KIB, m: MIB, g: GIB, t: TIB, p: 2 ** 50 };

/** A size that cannot be used; the message is for the user and names the offending figure. */
export class SizeError extends Error {}

/**
 * Bytes of `1T`, `2M`, `4KiB`, `123456`.
 * @throws SizeError if it does not parse, is zero, or exceeds 2^53.
 */
export function parseSize(what: string, text: string): number {
  const m = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  if (m === null)
    throw new SizeError(
      `${what} ${JSON.stringify(text)} is not a size; write a number with K, M, G or T, as in 2M or 1T`,
    );
  const bytes = Number(m[1]) * FACTORS[m[2].toLowerCase()];
  if (!Number.isSafeInteger(bytes))
    throw new SizeError(`${what} ${text} is not a whole number of bytes below 2^53`);
  if (bytes === 0) throw new SizeError(`${what} must be more than 0`);
  return bytes;
}

/**
 * `4 GiB`, `40 MiB`, `8,192 B`: the largest unit that leaves at most two decimals exact, else two decimals.
 */
export function formatBytes(bytes: number): string {
  for (const [unit, name] of [
    [TIB, "TiB"],
    [GIB, "GiB"],
    [MIB, "MiB"],
    [KIB, "KiB"],
  ] as const)
    if (bytes >= unit) {
      const v = bytes / unit;
      return `${Number.isInteger(v) ? v : Number(v.toPrecision(4))} ${name}`;
    }
  return `${bytes} B`;
}

/** Microseconds with as many digits as mean something. */
export function formatMicros(us: number): string {
  if (us >= 1000) return Math.round(us).toLocaleString("en-US");
  return us >= 100 ? us.toFixed(0) : us >= 10 ? us.toFixed(1) : us.toFixed(2);
}

/** A ratio: `23.4`, `0.81`. */
export function formatRatio(r: number): string {
  if (!Number.isFinite(r)) return "-";
  return r >= 100 ? r.toFixed(0) : r >= 10 ? r.toFixed(1) : r.toFixed(2);
}
