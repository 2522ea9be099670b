/** Growing lists of numbers in typed chunks, which growth does not copy. */

const CHUNK_BITS = 14;
const CHUNK = 1 << CHUNK_BITS;

export class IntList {
  readonly width = 1;
  size = 0;
  private readonly chunks: Int32Array[] = [];

  push(v: number): void {
    const c = this.size >>> CHUNK_BITS;
    if (c === this.chunks.length) this.chunks.push(new Int32Array(CHUNK));
    this.chunks[c][this.size & (CHUNK - 1)] = v;
    this.size++;
  }

  get(i: number): number {
    return this.chunks[i >>> CHUNK_BITS][i & (CHUNK - 1)];
  }

  /** Members `from .. to - 1`. */
  words(from: number, to: number): Int32Array {
    const out = new Int32Array(to - from);
    for (let i = from; i < to; i++) out[i - from] = this.get(i);
    return out;
  }

  load(words: Int32Array): void {
    for (const v of words) this.push(v);
  }

  get bytes(): number {
    return this.chunks.length * CHUNK * 4;
  }
}
