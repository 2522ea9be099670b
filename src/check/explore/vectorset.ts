/**
 * An exact set of fixed-width int32 vectors that numbers its members 0, 1, 2, ...: the visited set, and the
 * tables of its components. Open addressing over one Int32Array of ids; vectors live in chunks, so that
 * growth copies nothing but the index. Exact: a vector is found only if every word is equal.
 */

const CHUNK_BITS = 14;
const CHUNK = 1 << CHUNK_BITS;
/** Vectors that the first chunk has room for at first: most programs are small, and memory is zeroed. */
const FIRST = 64;

export class VectorSet {
  readonly width: number;
  /** Number of members. */
  size = 0;
  /** Whether the last `intern` added its vector. */
  added = false;
  private readonly chunks: Int32Array[] = [];
  private index: Int32Array;
  private mask: number;

  constructor(width: number) {
    this.width = width;
    this.index = new Int32Array(1 << 10);
    this.mask = this.index.length - 1;
  }

  /**
   * `intern` for a vector that is often member `near` (-1: none): comparing is cheaper than hashing and
   * probing.
   */
  internNear(src: Int32Array, off: number, near: number): number {
    if (near < 0) return this.intern(src, off);
    const w = this.width;
    const chunk = this.chunks[near >>> CHUNK_BITS];
    const base = (near & (CHUNK - 1)) * w;
    for (let i = 0; i < w; i++) if (chunk[base + i] !== src[off + i]) return this.intern(src, off);
    this.added = false;
    return near;
  }

  /** The number of the vector at `src[off .. off + width)`, adding it if it is new. */
  intern(src: Int32Array, off: number): number {
    const w = this.width;
    let h = 0x2545f491;
    for (let i = off, end = off + w; i < end; i++) {
      h = Math.imul(h ^ src[i], 0x9e3779b1);
      h ^= h >>> 15;
    }
    h = Math.imul(h ^ (h >>> 13), 0x85ebca6b);
    h ^= h >>> 16;
    let slot = h & this.mask;
    const index = this.index;
    for (;;) {
      const id = index[slot] - 1;
      if (id < 0) break;
      const chunk = this.chunks[id >>> CHUNK_BITS];
      const base = (id & (CHUNK - 1)) * w;
      let i = 0;
      while (i < w && chunk[base + i] === src[off + i]) i++;
      if (i === w) {
        this.added = false;
        return id;
      }
      slot = (slot + 1) & this.mask;
    }
    const id = this.size++;
    index[slot] = id + 1;
    const c = id >>> CHUNK_BITS;
    if (c === this.chunks.length) this.chunks.push(new Int32Array((c === 0 ? FIRST : CHUNK) * w));
    else if (c === 0 && (id + 1) * w > this.chunks[0].length) this.growFirst();
    const chunk = this.chunks[c];
    const base = (id & (CHUNK - 1)) * w;
    for (let i = 0; i < w; i++) chunk[base + i] = src[off + i];
    if (this.size * 10 > this.mask * 7) this.grow();
    this.added = true;
    return id;
  }

  /** Copies vector `id` to `dst[off ..]`. */
  read(id: number, dst: Int32Array, off: number): void {
    const w = this.width;
    const chunk = this.chunks[id >>> CHUNK_BITS];
    const base = (id & (CHUNK - 1)) * w;
    for (let i = 0; i < w; i++) dst[off + i] = chunk[base + i];
  }

  /** The words of vectors `from .. to - 1`. */
  words(from: number, to: number): Int32Array {
    const out = new Int32Array((to - from) * this.width);
    for (let id = from; id < to; id++) this.read(id, out, (id - from) * this.width);
    return out;
  }

  /** Adds vectors, which must be new, in the order of their numbers: what `words` gave. */
  load(words: Int32Array): void {
    for (let at = 0; at < words.length; at += this.width) this.intern(words, at);
  }

  /** Bytes held. */
  get bytes(): number {
    return this.chunks.reduce((n, c) => n + c.byteLength, this.index.byteLength);
  }

  private growFirst(): void {
    const next = new Int32Array(this.chunks[0].length * 2);
    next.set(this.chunks[0]);
    this.chunks[0] = next;
  }

  private grow(): void {
    const next = new Int32Array(this.index.length * 2);
    const mask = next.length - 1;
    const w = this.width;
    for (let id = 0; id < this.size; id++) {
      const chunk = this.chunks[id >>> CHUNK_BITS];
      const base = (id & (CHUNK - 1)) * w;
      let h = 0x2545f491;
      for (let i = base, end = base + w; i < end; i++) {
        h = Math.imul(h ^ chunk[i], 0x9e3779b1);
        h ^= h >>> 15;
      }
      h = Math.imul(h ^ (h >>> 13), 0x85ebca6b);
      h ^= h >>> 16;
      let slot = h & mask;
      while (next[slot] !== 0) slot = (slot + 1) & mask;
      next[slot] = id + 1;
    }
    this.index = next;
    this.mask = mask;
  }
}
