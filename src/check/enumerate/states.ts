/**
 * The distinct final states of an enumeration. Most are added one by one; those of a subtree that was counted
 * as a product come as boxes: fixed values and independent factors. Few states are kept as they are. Many (a
 * ring of 19 readers has 2^19) are numbered: the values of each slot are sorted, a state is a number in mixed
 * radix, a set of states a sorted array of 8 bytes each, and listing them in order needs no more memory than
 * that.
 */

export interface Factor {
  readonly slots: readonly number[];
  readonly tuples: readonly (readonly number[])[];
}

interface Box {
  readonly values: readonly number[];
  readonly factors: readonly Factor[];
  readonly size: number;
}

/** Beyond this many, states are numbered. */
const FEW = 4096;
/** Beyond this many, they are not told apart at all. */
const TOO_MANY = 8_000_000;

export class StateSet {
  /** How many leading values make up a state. */
  readonly width: number;
  readonly #states = new Map<string, readonly number[]>();
  readonly #boxes: Box[] = [];
  #count: number | null = null;

  constructor(width: number) {
    this.width = width;
  }

  add(values: readonly number[]): void {
    this.#count = null;
    const state = values.length === this.width ? values : values.slice(0, this.width);
    const key = this.width === 1 ? String(state[0]) : state.join(",");
    if (!this.#states.has(key)) this.#states.set(key, state.slice());
  }

  /** The product of the factors, each a set of tuples for its slots, the other slots being fixed. */
  addBox(values: readonly number[], factors: readonly Factor[]): void {
    this.#count = null;
    const size = factors.reduce((n, f) => n * f.tuples.length, 1);
    const box = { values: values.slice(), factors: factors.slice(), size };
    if (size === 1) this.#expand(box, 0, values.slice(), (v) => this.add(v));
    else this.#boxes.push(box);
  }

  get #total(): number {
    return this.#boxes.reduce((n, b) => n + b.size, this.#states.size);
  }

  /** Number of distinct states; NaN if there are too many to tell. */
  get count(): number {
    this.#count ??= this.#countNow();
    return this.#count;
  }

  #countNow(): number {
    if (this.#boxes.length === 0) return this.#states.size;
    const total = this.#total;
    if (this.#boxes.length + this.#states.size <= 64 && this.#disjoint()) return total;
    if (total <= FEW) {
      this.#spread();
      return this.#states.size;
    }
    if (this.#disjoint()) return total;
    const coded = this.#codes((a, b) => a - b);
    if (coded === null) return Number.NaN;
    let n = 0;
    for (let i = 0; i < coded.codes.length; i++) if (i === 0 || coded.codes[i] !== coded.codes[i - 1]) n++;
    return n;
  }

  /**
   * The states in lexicographic order, values by `compare`; null if there are too many. The array is reused.
   */
  sorted(compare: (a: number, b: number) => number): Iterable<readonly number[]> | null {
    if (this.#total <= FEW) {
      this.#spread();
      return [...this.#states.values()].sort((a, b) => {
        for (let i = 0; i < this.width; i++) {
          const c = compare(a[i], b[i]);
          if (c !== 0) return c;
        }
        return 0;
      });
    }
    const coded = this.#codes(compare);
    return coded === null ? null : decode(coded.codes, coded.domains);
  }

  /** Multiplies the boxes out; only for few states. */
  #spread(): void {
    for (const b of this.#boxes.splice(0)) this.#expand(b, 0, b.values.slice(), (v) => this.add(v));
  }

  #expand(b: Box, k: number, values: number[], add: (values: readonly number[]) => void): void {
    const f = b.factors[k];
    if (f === undefined) {
      add(values);
      return;
    }
    for (const tuple of f.tuples) {
      for (let i = 0; i < f.slots.length; i++) values[f.slots[i]] = tuple[i];
      this.#expand(b, k + 1, values, add);
    }
  }

  /** Every state as a number, sorted, perhaps repeated; null if too many or too wide. */
  #codes(compare: (a: number, b: number) => number): { codes: Float64Array; domains: number[][] } | null {
    const total = this.#total;
    if (total > TOO_MANY) return null;
    const sets = Array.from({ length: this.width }, () => new Set<number>());
    for (const s of this.#states.values()) for (let i = 0; i < this.width; i++) sets[i].add(s[i]);
    for (const b of this.#boxes) {
      const free = new Set(b.factors.flatMap((f) => f.slots));
      for (let i = 0; i < this.width; i++) if (!free.has(i)) sets[i].add(b.values[i]);
      for (const f of b.factors) {
        for (let i = 0; i < f.slots.length; i++)
          if (f.slots[i] < this.width) for (const t of f.tuples) sets[f.slots[i]].add(t[i]);
      }
    }
    const domains = sets.map((s) => [...s].sort(compare));
    if (domains.reduce((n, d) => n * d.length, 1) > Number.MAX_SAFE_INTEGER) return null;
    const rank = domains.map((d) => new Map(d.map((v, i) => [v, i])));
    const codes = new Float64Array(total);
    let n = 0;
    const add = (v: readonly number[]): void => {
      let code = 0;
      for (let i = 0; i < this.width; i++) code = code * domains[i].length + (rank[i].get(v[i]) ?? 0);
      codes[n++] = code;
    };
    for (const s of this.#states.values()) add(s);
    for (const b of this.#boxes) this.#expand(b, 0, b.values.slice(), add);
    return { codes: codes.sort(), domains };
  }

  /** Whether no state lies in two boxes, or in a box and the list, as far as single slots can tell. */
  #disjoint(): boolean {
    const all: Box[] = [...this.#boxes];
    for (const v of this.#states.values()) all.push({ values: v, factors: [], size: 1 });
    if (all.length > 2000) return false;
    const sets = all.map((b) => {
      const per = b.values.slice(0, this.width).map((v) => new Set([v]));
      for (const f of b.factors) {
        // Slots that are no part of the state may make two tuples one: then the box is no product of the
        // state.
        if (f.slots.some((s) => s >= this.width)) return null;
        for (let i = 0; i < f.slots.length; i++) per[f.slots[i]] = new Set(f.tuples.map((t) => t[i]));
      }
      return per;
    });
    for (let i = 0; i < sets.length; i++) {
      const a = sets[i];
      if (a === null) return false;
      for (let j = 0; j < i; j++) {
        const b = sets[j];
        if (b === null || !a.some((s, k) => [...s].every((v) => !b[k].has(v)))) return false;
      }
    }
    return true;
  }
}

function* decode(codes: Float64Array, domains: readonly (readonly number[])[]): Generator<readonly number[]> {
  const state = new Array<number>(domains.length).fill(0);
  for (let i = 0; i < codes.length; i++) {
    if (i > 0 && codes[i] === codes[i - 1]) continue;
    let code = codes[i];
    for (let k = domains.length - 1; k >= 0; k--) {
      const d = domains[k];
      state[k] = d[code % d.length];
      code = Math.floor(code / d.length);
    }
    yield state;
  }
}
