/**
 * Relations and sets over numbered events in the vocabulary of the cat language: composition, closure,
 * inverse, difference. Immutable, rows as BigInt, unhurried: for the definitions that the fast models are
 * tested against.
 */

export class Rel {
  readonly rows: readonly bigint[];

  constructor(rows: readonly bigint[]) {
    this.rows = rows;
  }

  static empty(n: number): Rel {
    return new Rel(new Array<bigint>(n).fill(0n));
  }

  static of(n: number, f: (i: number, j: number) => boolean): Rel {
    const rows: bigint[] = [];
    for (let i = 0; i < n; i++) {
      let row = 0n;
      for (let j = 0; j < n; j++) if (f(i, j)) row |= 1n << BigInt(j);
      rows.push(row);
    }
    return new Rel(rows);
  }

  /** [S]: the identity on a set. */
  static id(n: number, set: (i: number) => boolean): Rel {
    return Rel.of(n, (i, j) => i === j && set(i));
  }

  has(i: number, j: number): boolean {
    return ((this.rows[i] >> BigInt(j)) & 1n) === 1n;
  }

  or(...others: readonly Rel[]): Rel {
    return new Rel(this.rows.map((r, i) => others.reduce((x, o) => x | o.rows[i], r)));
  }

  and(o: Rel): Rel {
    return new Rel(this.rows.map((r, i) => r & o.rows[i]));
  }

  minus(o: Rel): Rel {
    return new Rel(this.rows.map((r, i) => r & ~o.rows[i]));
  }

  /** this ; a ; b ... */
  seq(...others: readonly Rel[]): Rel {
    let out: Rel = this;
    for (const o of others) {
      const left = out;
      out = new Rel(
        left.rows.map((r) => {
          let row = 0n;
          for (let j = 0, m = r; m !== 0n; j++, m >>= 1n) if ((m & 1n) === 1n) row |= o.rows[j];
          return row;
        }),
      );
    }
    return out;
  }

  inverse(): Rel {
    return Rel.of(this.rows.length, (i, j) => this.has(j, i));
  }

  /** r? */
  opt(): Rel {
    return new Rel(this.rows.map((r, i) => r | (1n << BigInt(i))));
  }

  /** r+ */
  plus(): Rel {
    let out: Rel = this;
    for (;;) {
      const next = out.or(out.seq(out));
      if (next.rows.every((r, i) => r === out.rows[i])) return out;
      out = next;
    }
  }

  /** r* */
  star(): Rel {
    return this.plus().opt();
  }

  isEmpty(): boolean {
    return this.rows.every((r) => r === 0n);
  }

  irreflexive(): boolean {
    return this.rows.every((_, i) => !this.has(i, i));
  }

  acyclic(): boolean {
    return this.plus().irreflexive();
  }
}
