/**
 * Whether a write that somebody has read before it is made can be made at all, because of what the reader did
 * next: whoever makes it must have seen something of that, or of what others did because they had. Judged by
 * what is left of each thread's code: a thread that may yet read a location that is influenced may write what
 * comes behind.
 */

import type { Body } from "./prepare.ts";

export class Influence {
  private readonly bodies: readonly Body[];
  private readonly words: number;
  private readonly set: Uint32Array;
  private readonly one: Uint32Array;
  /** Per thread, what it may write under influence. */
  private readonly under: Uint32Array;
  private readonly memory = new Map<string, boolean>();

  constructor(bodies: readonly Body[], words: number) {
    this.bodies = bodies;
    this.words = words;
    this.set = new Uint32Array(words);
    this.one = new Uint32Array(words);
    this.under = new Uint32Array(bodies.length * words);
  }

  /**
   * Whether another thread than `reader` may yet write `l` under the influence of what is in `start` (a row
   * of locations). `rows`: where each thread is, in rows of `words` words; -1: it does nothing any more.
   * `knows`: threads that are under influence already, as bits.
   */
  reaches(
    reader: number,
    l: number,
    start: Uint32Array,
    at: number,
    rows: Int32Array,
    knows: number,
  ): boolean {
    const { words, set, under } = this;
    let key = `${reader} ${l} ${knows}`;
    for (let w = 0; w < words; w++) key += ` ${start[at + w]}`;
    for (let t = 0; t < rows.length; t++) key += ` ${rows[t]}`;
    const known = this.memory.get(key);
    if (known !== undefined) return known;
    for (let w = 0; w < words; w++) set[w] = start[at + w];
    under.fill(0);
    for (let t = 0; t < rows.length; t++)
      if ((knows & (1 << t)) !== 0 && rows[t] >= 0) this.add(t, this.bodies[t].writes, rows[t]);
    for (let grew = true; grew; ) {
      grew = false;
      for (let t = 0; t < rows.length; t++) {
        if (rows[t] < 0) continue;
        const body = this.bodies[t];
        for (const pc of body.following(rows[t] / words))
          if (this.meets(body.ownReads, pc * words)) grew = this.add(t, body.writes, pc * words) || grew;
      }
    }
    let found = false;
    for (let t = 0; t < rows.length; t++)
      if (t !== reader && (under[t * words + (l >> 5)] & (1 << (l & 31))) !== 0) found = true;
    if (this.memory.size > 100_000) this.memory.clear();
    this.memory.set(key, found);
    return found;
  }

  /** The same with one location in `start`, nobody under influence. */
  reachesFrom(reader: number, l: number, from: number, rows: Int32Array): boolean {
    this.one.fill(0);
    this.one[from >> 5] |= 1 << (from & 31);
    return this.reaches(reader, l, this.one, 0, rows, 0);
  }

  private meets(row: Uint32Array, at: number): boolean {
    for (let w = 0; w < this.words; w++) if ((row[at + w] & this.set[w]) !== 0) return true;
    return false;
  }

  private add(t: number, row: Uint32Array, at: number): boolean {
    let grew = false;
    for (let w = 0; w < this.words; w++) {
      const i = t * this.words + w;
      const x = (this.under[i] | row[at + w]) >>> 0;
      if (x === this.under[i]) continue;
      this.under[i] = x;
      this.set[w] |= x;
      grew = true;
    }
    return grew;
  }
}
