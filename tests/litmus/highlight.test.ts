/**
 * The editor's view of a test: every character that is no white space lies in one token, errors have their
 * places.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { completions, diagnose, highlight } from "../../src/litmus/highlight.ts";
import { suite } from "./support.ts";

const tests = suite();

function wellFormed(source: string): void {
  let at = 0;
  for (const t of highlight(source)) {
    expect(t.from).toBeGreaterThanOrEqual(at);
    expect(t.to).toBeGreaterThan(t.from);
    expect(source.slice(at, t.from).trim(), "only white space between tokens").toBe("");
    at = t.to;
  }
  expect(source.slice(at).trim()).toBe("");
}

describe("highlighting", () => {
  it("tokens cover the suite without an invalid one, and primitives are told from names", () => {
    for (const t of tests) {
      wellFormed(t.source);
      const tokens = highlight(t.source);
      expect(
        tokens.filter((k) => k.kind === "invalid"),
        t.name,
      ).toEqual([]);
      const kind = (text: string) => tokens.find((k) => t.source.slice(k.from, k.to) === text)?.kind;
      if (kind("READ_ONCE") !== undefined) expect(kind("READ_ONCE")).toBe("primitive");
      expect(kind("P0")).toBe("process");
      expect(diagnose(t.source), t.name).toEqual([]);
    }
  });

  it("text that is being typed has tokens all the same, and an error within the text", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...tests.map((t) => t.source)),
        fc.nat(400),
        fc.string({ maxLength: 6 }),
        (source, at, typed) => {
          const text = source.slice(0, at) + typed + source.slice(at);
          wellFormed(text);
          for (const d of diagnose(text)) {
            expect(d.from).toBeLessThanOrEqual(text.length);
            expect(d.message).not.toBe("");
          }
        },
      ),
    );
  });

  it("completion offers statements apart from expressions", () => {
    expect(completions(true)).toContain("smp_mb");
    expect(completions(true)).not.toContain("READ_ONCE");
    expect(completions(false)).toContain("READ_ONCE");
  });
});
