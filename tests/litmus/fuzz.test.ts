/**
 * Broken input: mutated and truncated tests, and random token soup. Whatever is given, the answer is a result
 * or an error with a place, in bounded time; never another exception, never a verdict for what did not parse.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lkmm } from "../../src/check/models/lkmm.ts";
import { LitmusError } from "../../src/litmus/ast.ts";
import { runSource } from "../../src/litmus/report.ts";
import { CAMPAIGN, suite } from "./support.ts";

const sources = suite().map((t) => t.source);
const long = 60_000 * Math.max(1, CAMPAIGN);
const TOKENS =
  "( ) { } ; , * = == != < & | ^ + - / \\/ /\\ ~ ' \" // /* */ (* *) if else while exists forall filter locations not P0 P1 int x y r0 r1 0 1 -1 99999999999 READ_ONCE WRITE_ONCE smp_mb xchg cmpxchg spin_lock spin_unlock rcu_read_lock synchronize_rcu 0:r0 [x]".split(
    " ",
  );

function survives(source: string): void {
  const start = performance.now();
  const { record, result } = runSource("fuzz.litmus", source, { model: lkmm, timeout: 300 });
  expect(performance.now() - start, source).toBeLessThan(5000);
  if (result === null) {
    expect(record.verdict, source).toBeNull();
    expect(record.status).toBe("error");
    expect(record.message).toMatch(/^fuzz\.litmus:\d+:\d+: ./);
  }
}

describe("broken input", () => {
  it("bytes changed, removed or inserted: a result or an error with its place", { timeout: long }, () => {
    const edit = fc.record({
      at: fc.nat(2000),
      kind: fc.nat(3),
      byte: fc.integer({ min: 1, max: 126 }),
      token: fc.constantFrom(...TOKENS),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...sources),
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        (source, edits) => {
          let s = source;
          for (const e of edits) {
            const at = e.at % (s.length + 1);
            const insert = e.kind === 0 ? "" : e.kind === 1 ? String.fromCharCode(e.byte) : ` ${e.token} `;
            s = s.slice(0, at) + insert + s.slice(at + (e.kind === 3 ? 0 : 1));
          }
          survives(s);
        },
      ),
      { numRuns: 2500 * CAMPAIGN, seed: 11 },
    );
  });

  it("truncated at any byte: a result or an error with its place", () => {
    for (let i = 0; i < sources.length; i += 12)
      for (let at = 0; at < sources[i].length; at += 7) survives(sources[i].slice(0, at));
  });

  it("token soup after a good beginning: a result or an error with its place", { timeout: long }, () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...TOKENS), { maxLength: 40 }), (tokens) => {
        survives(`C soup\n{}\nP0(int *x, int *y) {\n${tokens.join(" ")}`);
        survives(`C soup\n{ ${tokens.join(" ")}`);
      }),
      { numRuns: 1000 * CAMPAIGN, seed: 13 },
    );
  });

  const cases: [string, string, RegExp][] = [
    ["an empty file", "", /1:1: syntax error: expected 'C NAME'/],
    ["a missing initial state", "C x\nP0(int *x) ", /expected '\{'/],
    [
      "an empty body",
      "C x\n{}\nP0(int *x) { r0 = }\nexists (0:r0=1)",
      /3:19: syntax error: expected an expression, found '\}'/,
    ],
    [
      "a missing semicolon",
      "C x\n{}\nP0(int *x) {\n\tr0 = READ_ONCE(*x)\n}\nexists (0:r0=1)",
      /5:1: syntax error: expected ';', found '\}'/,
    ],
    [
      "a duplicate thread",
      "C x\n{}\nP0(int *x) { *x = 1; }\nP0(int *x) { *x = 1; }\nexists (x=1)",
      /4:1: process P0 is defined twice/,
    ],
    [
      "a gap in the threads",
      "C x\n{}\nP0(int *x) { *x = 1; }\nP2(int *x) { *x = 1; }\nexists (x=1)",
      /expected P1, found P2/,
    ],
    [
      "an empty condition",
      "C x\n{}\nP0(int *x) { *x = 1; }\nexists ()",
      /4:9: syntax error: expected a proposition/,
    ],
    [
      "a process that is not there",
      "C x\n{}\nP0(int *x) { *x = 1; }\nexists (3:r0=1)",
      /there is no process P3/,
    ],
    ["an unknown macro", "C x\n{}\nP0(int *x) { smp_nb(); }\nexists (x=1)", /3:14: Unknown macro smp_nb/],
    [
      "the wrong number of arguments",
      "C x\n{}\nP0(int *x) { WRITE_ONCE(*x); }\nexists (x=1)",
      /takes 2 arguments, not 1/,
    ],
    [
      "an argument that is no dereference",
      "C x\n{}\nP0(int *x) { r0 = READ_ONCE(x); }\nexists (x=1)",
      /expected a dereference/,
    ],
    [
      "an initialisation twice",
      "C x\n{ x=1; x=2; }\nP0(int *x) { *x = 1; }\nexists (x=1)",
      /'x' is initialised twice/,
    ],
    [
      "a constant beyond 32 bits",
      "C x\n{}\nP0(int *x) { *x = 99999999999; }\nexists (x=1)",
      /does not fit in 32 bits/,
    ],
    [
      "a loop keyword that is not supported",
      "C x\n{}\nP0(int *x) { for (;;) ; }\nexists (x=1)",
      /'for' is not supported/,
    ],
    ["text after the condition", "C x\n{}\nP0(int *x) { *x = 1; }\nexists (x=1) x", /expected end of file/],
    ["an unterminated comment", "C x\n(* {}\nP0(int *x) { *x = 1; }\nexists (x=1)", /unterminated comment/],
    ["deep nesting", `C x\n{}\nP0(int *x) { r0 = ${"(".repeat(5000)}1; }\nexists (x=1)`, /nested too deeply/],
  ];
  it.each(cases)("%s is an error that says what was expected and where", (_, source, message) => {
    expect(() => {
      const { record } = runSource("f.litmus", source, { model: lkmm });
      expect(record.status).toBe("error");
      throw new Error(record.message);
    }).toThrow(message);
    expect(LitmusError).toBeDefined();
  });

  it("an access through a number that is no address is an error, not a verdict", () => {
    const { record } = runSource(
      "f.litmus",
      "C x\n{}\nP0(int *x) { r0 = READ_ONCE(*x); *r0 = 1; }\nexists (x=1)",
      { model: lkmm },
    );
    expect(record.status).toBe("error");
    expect(record.verdict).toBeNull();
    expect(record.message).toMatch(/^f\.litmus:3:\d+: an access of P0 goes to something that is no location/);
  });

  it("a location that a thread has no parameter for is an error even where executions are counted without being built", () => {
    const thread = (i: number): string =>
      `P${i}(int *x${i}) { r0 = READ_ONCE(*x${i}); WRITE_ONCE(*x${i + 1}, 1); }`;
    const { record } = runSource(
      "f.litmus",
      `C x\n{}\n${[0, 1, 2, 3, 4, 5].map(thread).join("\n")}\nexists (0:r0=1)`,
      { model: lkmm },
    );
    expect(record.status).toBe("error");
  });

  it("a loop without end is bounded, and says so", () => {
    const { record } = runSource(
      "f.litmus",
      "C x\n{}\nP0(int *x) { while (1) { WRITE_ONCE(*x, 1); } }\nexists (x=1)",
      { model: lkmm },
    );
    expect(record.status).toBe("bounded");
    expect(record.message).toMatch(/unrolled 2 times/);
  });

  it("an unlock without a lock is flagged", () => {
    const { record } = runSource(
      "f.litmus",
      "C x\n{}\nP0(int *x, spinlock_t *l) { spin_unlock(l); *x = 1; }\nexists (x=1)",
      { model: lkmm },
    );
    expect(record.flags).toContain("unmatched-unlock");
  });
});
