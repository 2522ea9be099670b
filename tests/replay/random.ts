/** Reproducible choices for altered and random sequences: xorshift32 (Marsaglia 2003) of a seed. */

export class Random {
  private state: number;

  /** `seed` must not be 0, from which nothing but 0 follows. */
  constructor(seed: number) {
    this.state = seed;
  }
  below(n: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) % n;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}
