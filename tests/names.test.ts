/**
 * Names that comments say are there: files, and functions and values of ours (camelCase; names of the
 * kernel's style may be the kernel's own). A comment that names what was renamed or removed leads its reader
 * astray.
 */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./cli/helpers.ts";

const FOLDERS = ["src", "tests", "examples", "templates", "web"];
/** Names that stand for any file. */
const ANY_FILE = new Set(["race.ts", "x.ts", "s.ts"]);
/** Words of JavaScript, of Node and of packages, which no source of ours need spell out in code. */
const FOREIGN = new Set(["onProgress", "localeCompare", "beforeAll"]);

function sources(): string[] {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((e) => e.isDirectory() && FOLDERS.includes(e.name))
    .flatMap((e) =>
      readdirSync(join(ROOT, e.name), { withFileTypes: true, recursive: true })
        .filter((f) => f.isFile() && /\.tsx?$/.test(f.name))
        .map((f) => join(f.parentPath, f.name)),
    )
    .filter((path) => !path.includes("node_modules"));
}

const COMMENT_OR_STRING = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

interface Comment {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** Comments of a source; the words of its code, strings included, go into `words`. */
function commentsOf(path: string, words: Set<string>): Comment[] {
  const text = readFileSync(path, "utf8");
  const found: Comment[] = [];
  const code = text.replace(COMMENT_OR_STRING, (s, at: number) => {
    if (!s.startsWith("/")) return s;
    found.push({ path, line: text.slice(0, at).split("\n").length, text: s });
    return " ";
  });
  for (const w of code.match(/[A-Za-z_$][\w$]*/g) ?? []) words.add(w);
  return found;
}

const paths = sources();
const words = new Set<string>();
const comments = paths.flatMap((path) => commentsOf(path, words));

/** Every match of `pattern` in a comment of which `exists` says no, as `file:line: name`. */
function missing(pattern: RegExp, exists: (name: string) => boolean): string[] {
  return comments.flatMap((c) =>
    [...c.text.matchAll(pattern)]
      .map((m) => m[1] ?? m[2])
      .filter((name) => !exists(name))
      .map((name) => `${relative(ROOT, c.path)}:${c.line}: ${name}`),
  );
}

describe("comments name what exists", () => {
  test("files", () => {
    const here = new Set([...paths, join(ROOT, "vitest.config.ts")].map((p) => basename(p)));
    const bad = missing(/(?<![\w./*-])((?:[\w-]+\/)*[\w-][\w.-]*\.ts)\b/g, (name) => {
      if (ANY_FILE.has(basename(name))) return true;
      const local = name.replace(/^holdfast\//, "");
      return local.includes("/") ? paths.some((p) => p.endsWith(`/${local}`)) : here.has(local);
    });
    expect(bad).toEqual([]);
  });
  test("functions and values of ours", () => {
    const bad = missing(
      /\b([a-z]+[A-Z]\w*)\(\)|`([a-z]+[A-Z]\w*)(?:\(\))?`/g,
      (name) => words.has(name) || FOREIGN.has(name),
    );
    expect(bad).toEqual([]);
  });
  test("and the test finds what does not", () => {
    expect(comments.length).toBeGreaterThan(3000);
    expect(missing(/\b(loadScenario)\b/g, (name) => words.has(name))).toEqual([]);
    expect(missing(/\b(loadScenario)\b/g, () => false)).not.toEqual([]);
  });
});
