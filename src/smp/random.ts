/**
 * Seeded randomness for stress runs: small generators whose streams depend only on (seed, iteration, CPU,
 * purpose), so that the choices of an iteration can be had again by name. The generator is xorshift32
 * (Marsaglia 2003), seeded through the finaliser of MurmurHash3. Statistical quality beyond that of a stress
 * test is not the aim.
 */

/** Mixes two words into one that looks unrelated to either. */
export function mix(a: number, b: number): number {
  let h = (a ^ Math.imul(b + 0x9e3779b9, 0x85ebca6b)) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export class Random {
  private state = 1;

  reseed(seed: number): void {
    this.state = seed | 0 || 0x2545f491;
  }

  /** 32 random bits as an unsigned number. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x >>> 0;
  }

  /** An integer of 0 .. n-1. */
  below(n: number): number {
    return n <= 1 ? 0 : this.next() % n;
  }
}

/** Streams of one CPU: what choose() gives must not depend on whether delays are on. */
export const STREAM_CHOOSE = 1;
export const STREAM_NOISE = 2;

export function streamSeed(seed: number, iteration: number, cpu: number, stream: number): number {
  return mix(mix((seed + iteration) | 0, cpu), stream);
}
