/**
 * Suggestions as edits: the text that comes of one has the verdict that was promised, and where the text
 * would mean something else there is no edit.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { lkmm } from "../../src/check/models/lkmm.ts";
import { applyEdits } from "../../src/litmus/edits.ts";
import { runSource } from "../../src/litmus/report.ts";
import type { LitmusResult } from "../../src/litmus/run.ts";
import { type Suggestion, suggest } from "../../src/litmus/suggest.ts";
import { ROOT } from "../cli/helpers.ts";

const SUITE = join(ROOT, "tests", "litmus", "suite");
const LIMITS = { timeout: 10_000, unroll: 2 };

function suggestions(source: string): readonly Suggestion[] {
  const { result } = runSource("test", source, { model: lkmm, ...LIMITS });
  return result === null ? [] : suggest(result as LitmusResult, lkmm, LIMITS);
}

describe("edits", () => {
  const names = readdirSync(SUITE).filter((n) => /^(MP|SB|LB|R|S)\+[^+]*\+[^+]*\.litmus$/.test(n));
  test(`of ${names.length} tests do what was promised`, () => {
    let applied = 0;
    let none = 0;
    for (const name of names) {
      const source = readFileSync(join(SUITE, name), "utf8");
      for (const s of suggestions(source).filter((x) => x.verdict !== null)) {
        if (s.edits === null) {
          none++;
          continue;
        }
        const text = applyEdits(source, s.edits);
        const { record } = runSource("test", text, { model: lkmm, ...LIMITS });
        expect([name, s.text, record.message, record.verdict]).toEqual([name, s.text, "", s.verdict]);
        applied++;
      }
    }
    expect(applied).toBeGreaterThan(100);
    expect(none).toBeLessThan(applied / 20);
  });
  test("a barrier is not put before the only statement of an if by an edit that would take it out", () => {
    const source = `C t
{}
P0(int *x, int *y) { int r0; r0 = READ_ONCE(*x); if (r0) WRITE_ONCE(*y, 1); }
P1(int *x, int *y) { WRITE_ONCE(*y, 2); WRITE_ONCE(*x, 1); }
exists (0:r0=1 /\\ y=2)
`;
    for (const s of suggestions(source).filter((x) => x.edits !== null)) {
      const { record } = runSource("test", applyEdits(source, s.edits ?? []), { model: lkmm, ...LIMITS });
      expect(record.verdict).toBe(s.verdict);
    }
  });
  test("a statement that is dropped takes the line with it that it had alone", () => {
    const source = readFileSync(join(SUITE, "MP+wmb+rmb.litmus"), "utf8");
    const drop = suggestions(source).find((s) => /drop smp_wmb/.test(s.text));
    expect(applyEdits(source, drop?.edits ?? [])).toBe(source.replace("\tsmp_wmb();\n", ""));
  });
  test("what takes a pointer is given one", () => {
    const source = readFileSync(join(SUITE, "MP+po+po.litmus"), "utf8");
    const s = suggestions(source).find((x) =>
      /WRITE_ONCE -> smp_store_release.*READ_ONCE -> smp_load_acquire/.test(x.text),
    );
    expect(applyEdits(source, s?.edits ?? [])).toContain("smp_store_release(y, 1);");
    expect(applyEdits(source, s?.edits ?? [])).toContain("r0 = smp_load_acquire(y);");
  });
});
