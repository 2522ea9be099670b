/** The in-place bit matrices of one word a row and of several give what the relation algebra gives. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  closure,
  compose,
  hasBit,
  reflexive,
  restrict,
  setBit,
  transpose,
} from "../../../src/check/models/bits.ts";
import { Rel } from "../../../src/check/models/relation.ts";

const relation = fc.integer({ min: 1, max: 70 }).chain((n) =>
  fc.record({
    n: fc.constant(n),
    a: fc.array(fc.tuple(fc.nat(n - 1), fc.nat(n - 1)), { maxLength: 60 }),
    b: fc.array(fc.tuple(fc.nat(n - 1), fc.nat(n - 1)), { maxLength: 60 }),
  }),
);

const words = (n: number): number => (n + 31) >> 5;
const matrix = (n: number, pairs: readonly (readonly [number, number])[]): Int32Array => {
  const m = new Int32Array(n * words(n));
  for (const [i, j] of pairs) setBit(m, words(n), i, j);
  return m;
};
const rel = (n: number, pairs: readonly (readonly [number, number])[]): Rel =>
  Rel.of(n, (i, j) => pairs.some(([a, b]) => a === i && b === j));
/** One comparison a matrix: an assertion a cell would be most of the time. */
const same = (m: Int32Array, r: Rel, n: number): void => {
  const wrong: string[] = [];
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) if (hasBit(m, words(n), i, j) !== r.has(i, j)) wrong.push(`${i},${j}`);
  expect(wrong).toEqual([]);
};

describe("bit matrices", () => {
  it("composition, closure, reflexivity, restriction and transposition agree with the algebra", () => {
    fc.assert(
      fc.property(relation, ({ n, a, b }) => {
        const W = words(n);
        const out = new Int32Array(n * W);
        compose(out, matrix(n, a), matrix(n, b), n, W);
        same(out, rel(n, a).seq(rel(n, b)), n);
        const plus = matrix(n, a);
        closure(plus, n, W);
        same(plus, rel(n, a).plus(), n);
        expect(reflexive(plus, n, W)).toBe(!rel(n, a).acyclic());
        transpose(out, matrix(n, a), n, W);
        same(out, rel(n, a).inverse(), n);
        const set = new Int32Array(W);
        for (const [i] of b) set[i >> 5] |= 1 << (i & 31);
        const inside = Rel.id(n, (i) => b.some(([x]) => x === i));
        const r = matrix(n, a);
        restrict(r, set, n, W);
        same(r, inside.seq(rel(n, a), inside), n);
      }),
      { numRuns: 60 },
    );
  });
});
