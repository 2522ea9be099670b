/**
 * The documentation, executed: every `console` block of the README is run, and what it prints must read as it
 * says there, numbers and spacing aside. Links must lead somewhere; commands and files that the documents
 * name must exist.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { holdfast, ROOT } from "./cli/helpers.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const documents = ["README.md", ...readdirSync(join(ROOT, "docs")).map((f) => `docs/${f}`)].filter((f) =>
  f.endsWith(".md"),
);

/** Words without numbers: what may differ from machine to machine is gone. */
function shape(text: string): string[] {
  return text
    .split("\n")
    .map((l) =>
      l
        .replace(/\d[\d,.]*/g, "#")
        .replace(/-{2,}/g, "--")
        .replace(/\s+/g, " ")
        .trim(),
    )
    .filter((l) => l !== "");
}

const blocks = [...read("README.md").matchAll(/```console\n\$ npx holdfast ([^\n]*)\n([\s\S]*?)```/g)];

describe("README.md", () => {
  test("shows something to run", () => {
    expect(blocks.length).toBeGreaterThanOrEqual(3);
  });
  test.each(blocks.map((b) => [b[1], b[2]]))("holdfast %s prints what it says", async (command, text) => {
    const o = await holdfast(command.split(" "));
    expect(o.err).toBe("");
    // "..." stands for the rest.
    const said = shape(text);
    const cut = said.indexOf("...");
    expect(shape(o.out).slice(0, cut < 0 ? undefined : cut)).toEqual(cut < 0 ? said : said.slice(0, cut));
  });
  test("names scripts that exist", () => {
    const scripts = Object.keys(
      (JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts,
    );
    for (const name of ["start", "test", "bench:explore", "bench:run"]) expect(scripts).toContain(name);
  });
});

describe("every document", () => {
  test.each(documents)("%s links to what exists", (document) => {
    const bad = [...read(document).matchAll(/\]\(([^)#]+)[^)]*\)/g)]
      .map((m) => m[1])
      .filter((to) => !/^https?:/.test(to))
      .filter((to) => !existsSync(resolve(ROOT, dirname(document), to)));
    expect(bad).toEqual([]);
  });
  test.each(documents)("%s names sources that exist", (document) => {
    const bad = [...read(document).matchAll(/`((?:src|tests|examples|docs)\/[\w./-]+)`/g)]
      .map((m) => m[1])
      .filter((path) => !existsSync(join(ROOT, path)));
    expect(bad).toEqual([]);
  });
});

describe("docs/gup-rules.md", () => {
  const rules = [...read("docs/gup-rules.md").matchAll(/`(gup[a-z0-9-]*)`: ((?:[^;|`]|`[^`]*`(?!:))+)/g)];
  test("has every answer with a test", () => {
    expect(rules.length).toBeGreaterThan(60);
  });
  test("names tests that exist", () => {
    const titles = new Map<string, string>();
    const bad = rules.filter(([, file, name]) => {
      const path = `tests/mm/${file}.test.ts`;
      if (!titles.has(path))
        titles.set(path, [...read(path).matchAll(/\btest\(\s*["`](.*)/g)].map((m) => m[1]).join("\n"));
      return !(titles.get(path) ?? "").split("\n").some((title) => title.startsWith(name.trim()));
    });
    expect(bad.map(([all]) => all)).toEqual([]);
  });
});
