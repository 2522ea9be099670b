/**
 * Relations over at most a few hundred events as bit matrices: row i holds the successors of i, `words`
 * 32-bit words to a row. Everything works in place on typed arrays and allocates nothing; almost every litmus
 * test fits in one word a row, for which each operation has its own loop.
 */

/** out = a ; b. `out` must be neither operand. */
export function compose(out: Int32Array, a: Int32Array, b: Int32Array, n: number, words: number): void {
  if (words === 1) {
    for (let i = 0; i < n; i++) {
      let row = 0;
      for (let m = a[i]; m !== 0; ) {
        const j = 31 - Math.clz32(m);
        m ^= 1 << j;
        row |= b[j];
      }
      out[i] = row;
    }
    return;
  }
  out.fill(0, 0, n * words);
  for (let i = 0; i < n; i++) {
    const oi = i * words;
    for (let w = 0; w < words; w++) {
      for (let m = a[oi + w]; m !== 0; ) {
        const k = 31 - Math.clz32(m);
        m ^= 1 << k;
        const oj = ((w << 5) + k) * words;
        for (let x = 0; x < words; x++) out[oi + x] |= b[oj + x];
      }
    }
  }
}

/** a := a+, the transitive closure (Warshall). */
export function closure(a: Int32Array, n: number, words: number): void {
  if (words === 1) {
    for (let k = 0; k < n; k++) {
      const row = a[k];
      if (row === 0) continue;
      const bit = 1 << k;
      for (let i = 0; i < n; i++) if ((a[i] & bit) !== 0) a[i] |= row;
    }
    return;
  }
  for (let k = 0; k < n; k++) {
    const ok = k * words;
    const kw = k >> 5;
    const bit = 1 << (k & 31);
    for (let i = 0; i < n; i++) {
      const oi = i * words;
      if ((a[oi + kw] & bit) !== 0) for (let x = 0; x < words; x++) a[oi + x] |= a[ok + x];
    }
  }
}

/** Whether some event is related to itself. */
export function reflexive(a: Int32Array, n: number, words: number): boolean {
  if (words === 1) {
    for (let i = 0; i < n; i++) if (((a[i] >>> i) & 1) !== 0) return true;
    return false;
  }
  for (let i = 0; i < n; i++) if ((a[i * words + (i >> 5)] & (1 << (i & 31))) !== 0) return true;
  return false;
}

/** out := out | a. */
export function union(out: Int32Array, a: Int32Array, size: number): void {
  for (let i = 0; i < size; i++) out[i] |= a[i];
}

/** out := out | identity. */
export function addIdentity(out: Int32Array, n: number, words: number): void {
  for (let i = 0; i < n; i++) out[i * words + (i >> 5)] |= 1 << (i & 31);
}

export function setBit(a: Int32Array, words: number, i: number, j: number): void {
  a[i * words + (j >> 5)] |= 1 << (j & 31);
}

export function hasBit(a: Int32Array, words: number, i: number, j: number): boolean {
  return (a[i * words + (j >> 5)] & (1 << (j & 31))) !== 0;
}

/** Clears the rows of events outside the set, and in the rows that stay the bits outside the set. */
export function restrict(a: Int32Array, set: Int32Array, n: number, words: number): void {
  for (let i = 0; i < n; i++) {
    const inside = (set[i >> 5] & (1 << (i & 31))) !== 0;
    for (let x = 0; x < words; x++) a[i * words + x] = inside ? a[i * words + x] & set[x] : 0;
  }
}

/** out = transpose of a. */
export function transpose(out: Int32Array, a: Int32Array, n: number, words: number): void {
  out.fill(0, 0, n * words);
  for (let i = 0; i < n; i++) {
    for (let w = 0; w < words; w++) {
      for (let m = a[i * words + w]; m !== 0; ) {
        const k = 31 - Math.clz32(m);
        m ^= 1 << k;
        out[((w << 5) + k) * words + (i >> 5)] |= 1 << (i & 31);
      }
    }
  }
}

export function isEmpty(a: Int32Array, size: number): boolean {
  for (let i = 0; i < size; i++) if (a[i] !== 0) return false;
  return true;
}
