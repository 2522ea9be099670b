/**
 * The architecture's rules, held: imports point down only, kernel code imports kernel code and the machine
 * only, files open with a header, none is longer than some 700 lines, none exports a default or passes
 * another module's names on.
 */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const SRC = join(ROOT, "src");

function files(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const path = join(dir, e.name);
    if (e.isDirectory()) return files(path);
    return e.name.endsWith(".ts") ? [path] : [];
  });
}

const sources = files(SRC);
const layerOf = (path: string): string => relative(SRC, path).split(sep)[0];

/** What each layer may import, itself aside. Every folder of src must be here. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  machine: [],
  text: [],
  mm: ["machine"],
  lang: ["text", "mm", "machine"],
  check: ["text", "lang", "mm", "machine"],
  litmus: ["text", "check", "lang", "mm", "machine"],
  smp: ["text", "lang", "mm", "machine"],
  replay: ["text", "smp", "lang", "mm", "machine"],
  claims: ["text", "smp", "check", "litmus", "lang", "mm", "machine"],
  open: ["text", "replay", "claims", "smp", "check", "litmus", "lang", "mm", "machine"],
  cli: ["text", "open", "bench", "claims", "replay", "smp", "check", "litmus", "lang", "mm", "machine"],
  // What programs use, beside what people use: it shares the command line's errors and its way to find files.
  api: ["cli", "text", "claims", "replay", "smp", "check", "litmus", "lang", "mm", "machine"],
  "index.ts": ["api", "cli", "replay", "smp", "check", "litmus", "lang", "machine"],
  bench: ["text", "open", "claims", "replay", "smp", "check", "litmus", "lang", "mm", "machine"],
};

const IMPORT =
  /^\s*(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"|\bimport\(\s*(?:\/\*.*?\*\/\s*)?"([^"]+)"\s*\)/gm;

function imports(text: string): string[] {
  return [...text.matchAll(IMPORT)].map((m) => m[1] ?? m[2]);
}

describe("layers", () => {
  test("every folder of src has a place", () => {
    expect([...new Set(sources.map(layerOf))].filter((l) => !Object.hasOwn(BELOW, l))).toEqual([]);
  });
  test("imports point down only", () => {
    const upward = sources.flatMap((path) =>
      imports(readFileSync(path, "utf8"))
        .filter((s) => s.startsWith("."))
        .map((s) => resolve(dirname(path), s))
        .filter((to) => layerOf(to) !== layerOf(path) && !BELOW[layerOf(path)].includes(layerOf(to)))
        .map((to) => `${relative(ROOT, path)} imports ${relative(ROOT, to)}`),
    );
    expect(upward).toEqual([]);
  });
  test("the command line loads the benchmarks only when it measures: never by a static import", () => {
    const eager = sources
      .filter((path) => layerOf(path) === "cli")
      .filter((path) => /^import (?!type )[^;]*?\bfrom "\.\.\/bench\//m.test(readFileSync(path, "utf8")))
      .map((path) => relative(ROOT, path));
    expect(eager).toEqual([]);
  });
  test("kernel code imports no package and no Node module", () => {
    const foreign = sources
      .filter((path) => layerOf(path) === "mm" || /^"use kernel";$/m.test(readFileSync(path, "utf8")))
      .flatMap((path) =>
        imports(readFileSync(path, "utf8"))
          .filter((s) => !s.startsWith("."))
          .map((s) => `${relative(ROOT, path)} imports ${s}`),
      );
    expect(foreign).toEqual([]);
  });
  test("the machine and the kernel code do without packages", () => {
    const foreign = sources
      .filter((path) => ["machine", "mm"].includes(layerOf(path)))
      .flatMap((path) => imports(readFileSync(path, "utf8")).filter((s) => !s.startsWith(".")));
    expect(foreign).toEqual([]);
  });
});

describe("every file", () => {
  const all = [...sources, ...files(join(ROOT, "tests"))];
  test("opens with a header comment (a directive or #! may come first)", () => {
    const bare = all.filter((path) => {
      const text = readFileSync(path, "utf8")
        .replace(/^#!.*\n/, "")
        .replace(/^"use kernel";\n\s*/, "");
      return !/^\s*\/\*\*/.test(text);
    });
    expect(bare.map((p) => relative(ROOT, p))).toEqual([]);
  });
  test("has at most some 700 lines", () => {
    const long = all.filter((path) => readFileSync(path, "utf8").split("\n").length > 721);
    expect(long.map((p) => relative(ROOT, p))).toEqual([]);
  });
  test("has no default export and passes nothing on, but for the package's index", () => {
    const bad = sources
      .filter((path) => path !== join(SRC, "index.ts"))
      .filter((path) => /^export (?:default\b|\*|\{[^}]*\} from)/m.test(readFileSync(path, "utf8")));
    expect(bad.map((p) => relative(ROOT, p))).toEqual([]);
  });
  test("relative imports name the file with its ending", () => {
    const bad = all.flatMap((path) =>
      imports(readFileSync(path, "utf8"))
        .filter((s) => s.startsWith(".") && !/\.(ts|js|mjs|json)$/.test(s))
        .map((s) => `${relative(ROOT, path)}: ${s}`),
    );
    expect(bad).toEqual([]);
  });
});
