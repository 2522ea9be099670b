/**
 * Queues of fixed-size messages between two workers, one that writes and one that reads, in shared memory
 * (Lamport, "Proving the Correctness of Multiprocess Programs", IEEE TSE 3(2), 1977: neither waits for the
 * other to finish).
 */

/** Bytes of one queue's messages, about. */
const RING_BYTES = 1 << 20;
const HEAD = 0;
const TAIL = 1;
const HEADER_WORDS = 2;

/** How many messages of `words` words a queue holds: a power of 2. */
function messagesOf(words: number): number {
  let n = 16;
  while (n * 2 * words * 4 <= RING_BYTES) n *= 2;
  return n;
}

export function newRing(words: number): SharedArrayBuffer {
  return new SharedArrayBuffer((HEADER_WORDS + messagesOf(words) * words) * 4);
}

export class Ring {
  private readonly a: Int32Array;
  private readonly words: number;
  private readonly mask: number;

  constructor(memory: SharedArrayBuffer, words: number) {
    this.a = new Int32Array(memory);
    this.words = words;
    this.mask = messagesOf(words) - 1;
  }

  /** False: there is no room. */
  write(message: Int32Array): boolean {
    const { a, words } = this;
    const tail = a[TAIL];
    if (((tail - Atomics.load(a, HEAD)) | 0) > this.mask) return false;
    const at = HEADER_WORDS + (tail & this.mask) * words;
    for (let i = 0; i < words; i++) a[at + i] = message[i];
    Atomics.store(a, TAIL, (tail + 1) | 0);
    return true;
  }

  /** Copies the oldest message to `into`; false: there is none. */
  read(into: Int32Array): boolean {
    const { a, words } = this;
    const head = a[HEAD];
    if (head === Atomics.load(a, TAIL)) return false;
    const at = HEADER_WORDS + (head & this.mask) * words;
    for (let i = 0; i < words; i++) into[i] = a[at + i];
    Atomics.store(a, HEAD, (head + 1) | 0);
    return true;
  }
}
