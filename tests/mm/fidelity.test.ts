/**
 * docs/fidelity.md is what the marks in src/mm say, and the marks are well formed. `npm run
 * docs:fidelity` writes it again.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "../cli/helpers.ts";
import { documentOf, VERSIONS } from "./fidelity/document.ts";
import { marksOf, readOf } from "./fidelity/marks.ts";

const MM = join(ROOT, "src", "mm");
const DOCUMENT = join(ROOT, "docs", "fidelity.md");
const files = readdirSync(MM)
  .filter((name) => name.endsWith(".ts"))
  .sort()
  .map((name) => marksOf(name, readFileSync(join(MM, name), "utf8")));

describe("docs/fidelity.md", () => {
  test("is what the marks in src/mm say (npm run docs:fidelity)", () => {
    const text = documentOf(files);
    if (process.env["HOLDFAST_WRITE"] !== undefined) writeFileSync(DOCUMENT, text);
    expect(readFileSync(DOCUMENT, "utf8")).toBe(text);
  });

  test("names no kernel whose source is not read", () => {
    for (const { file, header, functions } of files)
      for (const m of [{ name: "header", ...header }, ...functions])
        expect(VERSIONS, `${file} ${m.name}`).toEqual(expect.arrayContaining([...(m.read ?? [])]));
  });

  test("every departure says something", () => {
    for (const { file, header, functions } of files)
      for (const m of [{ name: "header", ...header }, ...functions])
        for (const d of m.departures) expect(d.text.length, `${file} ${m.name} ${d.kind}`).toBeGreaterThan(5);
  });
});

describe("marks", () => {
  const source = (comment: string, body = ""): string =>
    `/** Header. Custom: words. */\n\n/**\n${comment}\n */\nexport function f(x: number): void {\n${body}}\n`;

  test("are read from docstrings up to the next mark or the end of the paragraph", () => {
    const { header, functions } = marksOf(
      "x.ts",
      source(" * f().\n * Read: v5.10, v7.3. Stub: a\n * b. Custom: c\n *\n * No more."),
    );
    expect(header.departures).toEqual([{ kind: "Custom", text: "words" }]);
    expect(functions).toEqual([
      {
        name: "f",
        read: ["v5.10", "v7.3"],
        departures: [
          { kind: "Stub", text: "a b" },
          { kind: "Custom", text: "c" },
        ],
      },
    ]);
  });

  test("within parentheses end with these; within the body they stand in line comments", () => {
    const body = "  // Stub: gone\n  // for ever.\n  x;\n";
    const [f] = marksOf("x.ts", source(" * Frees it (*stub*: nobody (else) can) at once.", body)).functions;
    expect(f.departures).toEqual([
      { kind: "Stub", text: "nobody (else) can" },
      { kind: "Stub", text: "gone for ever" },
    ]);
  });

  test("of a function count before those of the file, also where they say that none was read", () => {
    const file = `/** Header. Read: v6.1. */\n\n/** Ours. Read: none. */\nfunction a(): void {\n}\n\nfunction b(): void {\n}\n`;
    const marks = marksOf("x.ts", file);
    expect(marks.functions.map((f) => readOf(marks, f))).toEqual([[], ["v6.1"]]);
  });

  test("a version that is mentioned is not one that was read", () => {
    const [f] = marksOf("x.ts", source(" * Read: v6.1. As in v5.10 it waits.")).functions;
    expect(f.read).toEqual(["v6.1"]);
  });
});
