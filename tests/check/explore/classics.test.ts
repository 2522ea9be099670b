/**
 * The classics (oracle/classics.ts) through the engine, with reductions on and off, and through the
 * brute-force interleaver; what must not matter: the order of the threads, where memory lies, which run it
 * is.
 */

import { describe, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import { assertCounterexampleReplays, assertReductionsAgree, finalsOf } from "../laws.ts";
import { CLASSICS } from "../oracle/classics.ts";
import type { Expected } from "../oracle/classics-kit.ts";
import { interleave, type OracleModel } from "../oracle/interleave.ts";
import { layout, lower, type MiniProgram } from "../oracle/program.ts";

const MODELS = ["sc", "tso"] satisfies OracleModel[];

function addresses(p: MiniProgram, words: readonly string[]): number[] {
  const { address } = layout(p);
  return words.map((w) => address.get(w) ?? 0);
}

function got(r: {
  verdict: string;
  error: { kind: string } | null;
  observed: readonly (readonly number[])[];
}): object {
  return r.error === null
    ? { verdict: r.verdict, finals: r.observed.map((o) => o.join()).sort() }
    : { verdict: r.verdict, error: r.error.kind };
}

function want(e: Expected): object {
  return "error" in e
    ? { verdict: "violated", error: e.error }
    : { verdict: "holds", finals: [...e.finals].sort() };
}

for (const model of MODELS)
  describe(`${model.toUpperCase()}`, () => {
    for (const c of CLASSICS) {
      if (c.gap !== undefined) {
        test.skip(`${c.name} (${c.gap})`, () => {});
        continue;
      }
      const observe = addresses(c.program, c.observe);
      test(c.name, () => {
        const program = lower(c.program, c.name);
        expect(got(assertReductionsAgree(program, { model, observe }))).toEqual(want(c[model]));
        const shortened = explore(program, { model, observe });
        expect(got(shortened)).toEqual(want(c[model]));
        assertCounterexampleReplays(program, shortened);
        const long = explore(program, { model, observe, shorten: false });
        assertCounterexampleReplays(program, long);
        expect(shortened.trace?.steps.length ?? 0).toBeLessThanOrEqual(long.trace?.steps.length ?? 0);
        const o = interleave(program, { model, observe, maxStates: 200_000 });
        expect(o.complete).toBe(true);
        const e = c[model];
        if ("finals" in e) {
          expect({ errors: [...o.errors], livelock: o.livelock, finals: o.finals }).toEqual({
            errors: [],
            livelock: false,
            finals: [...e.finals].sort(),
          });
        } else expect([...o.errors, ...(o.livelock ? ["livelock"] : [])]).toContain(e.error);
      });

      test.skipIf(c.numbered === true)(`${c.name}: the order of the threads does not matter`, () => {
        const turned = { ...c.program, threads: [...c.program.threads].reverse() };
        expect(got(explore(lower(turned), { model, observe }))).toEqual(want(c[model]));
      });

      test(`${c.name}: nor does where memory lies`, () => {
        const moved = { ...c.program, words: ["pad0", "pad1", "pad2", ...c.program.words] };
        expect(got(explore(lower(moved), { model, observe: addresses(moved, c.observe) }))).toEqual(
          want(c[model]),
        );
        const far = { ...c.program, base: 5000 };
        expect(got(explore(lower(far), { model, observe: addresses(far, c.observe) }))).toEqual(
          want(c[model]),
        );
      });

      test(`${c.name}: nor which run it is`, () => {
        const program = lower(c.program);
        const { seconds: _1, bytes: _2, ...a } = explore(program, { model, observe });
        const { seconds: _3, bytes: _4, ...b } = explore(program, { model, observe });
        expect(a).toEqual(b);
      });
    }
  });

test("an IPI under TSO: the engine's executions are those of x86 and more", () => {
  for (const c of CLASSICS.filter((c) => c.gap !== undefined)) {
    const program = lower(c.program, c.name);
    const observe = addresses(c.program, c.observe);
    const precise = interleave(program, {
      model: "tso",
      observe,
      maxStates: 200_000,
      preciseInterrupts: true,
    });
    const lenient = interleave(program, { model: "tso", observe, maxStates: 200_000 });
    expect({ verdict: "holds", finals: precise.finals }).toEqual(want(c.tso));
    const found = finalsOf(explore(program, { model: "tso", observe }));
    expect(found).toEqual(lenient.finals);
    for (const f of precise.finals) expect(found).toContain(f);
  }
});

describe("counts", () => {
  const counting = (threads: number, steps: number): MiniProgram => ({
    words: Array.from({ length: threads }, (_, i) => `w${i}`),
    threads: Array.from({ length: threads }, (_, i) =>
      Array.from({ length: steps }, (_, k) => ({ s: "store", loc: `w${i}`, v: k + 1 }) as const),
    ),
  });
  const off = { partialOrder: false, merge: false, symmetry: false };

  test.each([
    [2, 3],
    [3, 2],
    [4, 3],
  ])(
    "%i threads of %i steps on words of their own have (steps + 1) ^ threads states without reductions",
    (n, k) => {
      const r = explore(lower(counting(n, k)), { model: "sc", ...off });
      expect(r.states).toBe((k + 1) ** n);
      expect(r.transitions).toBe(n * k * (k + 1) ** (n - 1));
      expect(r.finalStates).toBe(1);
    },
  );

  test("with reductions these are one run: at most one state is stored beside the final one", () => {
    expect(explore(lower(counting(4, 3)), { model: "sc" }).states).toBeLessThanOrEqual(2);
  });

  test("under TSO a thread of k stores has (k + 1)(k + 2) / 2 states: so many stored, so many of them visible", () => {
    for (const k of [1, 2, 5])
      expect(explore(lower(counting(1, k)), { model: "tso", ...off }).states).toBe(((k + 1) * (k + 2)) / 2);
    expect(explore(lower(counting(2, 3)), { model: "tso", ...off }).states).toBe(100);
  });

  test("n threads that increment one word in any order are n + 1 states under symmetry and 2^n without", () => {
    const p = lower({
      words: ["x"],
      threads: Array.from({ length: 6 }, () => [{ s: "rmw", fn: "add", dst: 0, loc: "x", a: 1 } as const]),
    });
    expect(explore(p, { model: "sc", ...off }).states).toBe(64);
    expect(explore(p, { model: "sc", ...off, symmetry: true }).states).toBe(7);
  });

  test("SC within TSO: whatever SC reaches, TSO reaches", () => {
    for (const c of CLASSICS) {
      const observe = addresses(c.program, c.observe);
      const sc = explore(lower(c.program), { model: "sc", observe });
      const tso = explore(lower(c.program), { model: "tso", observe });
      if (sc.verdict === "violated") expect(tso.verdict, c.name).toBe("violated");
      if (tso.verdict === "holds") for (const f of finalsOf(sc)) expect(finalsOf(tso), c.name).toContain(f);
    }
  });
});
