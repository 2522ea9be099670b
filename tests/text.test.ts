/**
 * The text that people read in the sources and documents: comments and prose wrap at 110 columns. Tables and
 * code blocks of documents, which cannot be wrapped, are as wide as they are.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./cli/helpers.ts";

const COLUMNS = 110;

function files(dir: string, ending: string): string[] {
  return readdirSync(join(ROOT, dir), { withFileTypes: true, recursive: true })
    .filter((e) => e.isFile() && e.name.endsWith(ending))
    .map((e) => join(e.parentPath, e.name))
    .filter((path) => !path.includes("node_modules"))
    .sort();
}

const length = (line: string): number => [...line].length;

/** Where a comment that ends with the line begins, or -1: a line within a block comment is one as a whole. */
function commentStart(line: string): number {
  if (/^\s*(?:\/\/|\/?\*)/.test(line)) return 0;
  const at = line.lastIndexOf(" // ");
  // Inside a string there is an odd number of its quotes before it.
  const before = line.slice(0, at).replace(/\\./g, "");
  return [`"`, "`"].some((quote) => before.split(quote).length % 2 === 0) ? -1 : at;
}

describe("text wraps at 110 columns", () => {
  test("in comments", () => {
    const wide = ["src", "web", "tests", "examples", "bench"]
      .flatMap((dir) => [".ts", ".tsx", ".c"].flatMap((ending) => files(dir, ending)))
      .flatMap((path) =>
        readFileSync(path, "utf8")
          .split("\n")
          .flatMap((line, i) =>
            length(line) > COLUMNS && commentStart(line) >= 0 ? [`${relative(ROOT, path)}:${i + 1}`] : [],
          ),
      );
    expect(wide).toEqual([]);
  });
  test("in documents", () => {
    // docs/api is generated, in lines as long as they come.
    const written = files("docs", ".md").filter((path) => !path.startsWith(join(ROOT, "docs", "api")));
    const top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map((name) => join(ROOT, name));
    const wide = [...top, ...written].flatMap((path) => {
      let fenced = false;
      return readFileSync(path, "utf8")
        .split("\n")
        .flatMap((line, i) => {
          if (/^\s*```/.test(line)) fenced = !fenced;
          const prose = !fenced && !/^\s*\|/.test(line) && line.trim().includes(" ");
          return prose && length(line) > COLUMNS ? [`${relative(ROOT, path)}:${i + 1}`] : [];
        });
    });
    expect(wide).toEqual([]);
  });
});
