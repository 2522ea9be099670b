/**
 * An exact set of sequences of int32, of any length, that numbers its members 0, 1, 2, ...: vectorset.ts of
 * `explore` for states whose size changes. Members lie one behind the other in chunks, each behind its
 * length.
 */

const CHUNK_BITS = 16;
const CHUNK = 1 << CHUNK_BITS;

export class SequenceSet {
  /** Number of members. */
  size = 0;
  /** Whether the last `intern` added its sequence. */
  added = false;
  private readonly chunks: Int32Array[] = [];
  /** Words used in the last chunk, and bytes of all. */
  private used = CHUNK;
  private allocated = 0;
  private start: Int32Array = new Int32Array(1 << 10);
  private chunkOf: Int32Array = new Int32Array(1 << 10);
  private hashes: Int32Array = new Int32Array(1 << 10);
  private index: Int32Array = new Int32Array(1 << 11);
  private mask = (1 << 11) - 1;

  /** The number of the sequence `src[0 .. length)`, adding it if it is new. */
  intern(src: Int32Array, length: number): number {
    let h = 0x2545f491 ^ length;
    for (let i = 0; i < length; i++) {
      h = Math.imul(h ^ src[i], 0x9e3779b1);
      h ^= h >>> 15;
    }
    h = Math.imul(h ^ (h >>> 13), 0x85ebca6b);
    h ^= h >>> 16;
    let slot = h & this.mask;
    for (;;) {
      const id = this.index[slot] - 1;
      if (id < 0) break;
      if (this.hashes[id] === h && this.equals(id, src, length)) {
        this.added = false;
        return id;
      }
      slot = (slot + 1) & this.mask;
    }
    this.added = true;
    return this.append(src, length, h, slot);
  }

  private equals(id: number, src: Int32Array, length: number): boolean {
    const chunk = this.chunks[this.chunkOf[id]];
    const at = this.start[id];
    if (chunk[at] !== length) return false;
    for (let i = 0; i < length; i++) if (chunk[at + 1 + i] !== src[i]) return false;
    return true;
  }

  private append(src: Int32Array, length: number, h: number, slot: number): number {
    if (this.used + length + 1 > (this.chunks[this.chunks.length - 1]?.length ?? 0)) {
      const chunk = new Int32Array(Math.max(CHUNK, length + 1));
      this.chunks.push(chunk);
      this.allocated += chunk.byteLength;
      this.used = 0;
    }
    const id = this.size++;
    if (id === this.start.length) {
      this.start = grown(this.start);
      this.chunkOf = grown(this.chunkOf);
      this.hashes = grown(this.hashes);
    }
    const chunk = this.chunks[this.chunks.length - 1];
    chunk[this.used] = length;
    for (let i = 0; i < length; i++) chunk[this.used + 1 + i] = src[i];
    this.start[id] = this.used;
    this.chunkOf[id] = this.chunks.length - 1;
    this.hashes[id] = h;
    this.used += length + 1;
    this.index[slot] = id + 1;
    if (this.size * 10 > this.mask * 7) this.rehash();
    return id;
  }

  /** Copies member `id` to `dst`; gives its length. */
  read(id: number, dst: Int32Array): number {
    const chunk = this.chunks[this.chunkOf[id]];
    const at = this.start[id];
    const length = chunk[at];
    for (let i = 0; i < length; i++) dst[i] = chunk[at + 1 + i];
    return length;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.allocated + this.index.byteLength + 3 * this.start.byteLength;
  }

  private rehash(): void {
    const next = new Int32Array(this.index.length * 2);
    const mask = next.length - 1;
    for (let id = 0; id < this.size; id++) {
      let slot = this.hashes[id] & mask;
      while (next[slot] !== 0) slot = (slot + 1) & mask;
      next[slot] = id + 1;
    }
    this.index = next;
    this.mask = mask;
  }
}

function grown(a: Int32Array): Int32Array {
  const next = new Int32Array(a.length * 2);
  next.set(a);
  return next;
}
