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
    return /\.tsx?$/.test(e.name) ? [path] : [];
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
  campaign: ["text", "claims", "check", "litmus", "lang", "mm", "machine"],
  open: ["text", "replay", "claims", "smp", "check", "litmus", "lang", "mm", "machine"],
  cli: [
    "text",
    "campaign",
    "open",
    "bench",
    "claims",
    "replay",
    "smp",
    "check",
    "litmus",
    "lang",
    "mm",
    "machine",
  ],
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

/** Files whose values a file uses when it is loaded or later; imports of types alone are none. */
function valueImports(path: string): string[] {
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/^import\s+(?!type\b)([^;]*?)\bfrom\s+"(\.[^"]+)"/gm)]
    .filter(([, names]) => !/^\{(?:\s*type\s+\w+(?:\s+as\s+\w+)?\s*,?)*\s*\}\s*$/.test(names))
    .map(([, , to]) => resolve(dirname(path), to));
}

/** Groups of files that reach each other through imports of values (Tarjan's components, 1972). */
function circles(of: readonly string[]): string[][] {
  const order = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (path: string): number => {
    order.set(path, order.size);
    let least = order.get(path) as number;
    stack.push(path);
    for (const to of valueImports(path)) {
      const seen = order.get(to);
      if (seen === undefined) least = Math.min(least, visit(to));
      else if (stack.includes(to)) least = Math.min(least, seen);
    }
    if (least === order.get(path)) {
      const group = stack.splice(stack.indexOf(path));
      if (group.length > 1) found.push(group.map((p) => relative(SRC, p)).sort());
    }
    return least;
  };
  for (const path of of) if (!order.has(path)) visit(path);
  return found;
}

describe("circles of imports", () => {
  test("are in the kernel code only, whose files need each other as the kernel's do", () => {
    const outside = circles(sources).filter((group) => !group.every((p) => p.startsWith(`mm${sep}`)));
    expect(outside).toEqual([]);
  });
});

describe("exports", () => {
  test("are used somewhere else, outside the kernel code, which has the kernel's", () => {
    const texts = [sources, ...["web/src", "tests", "examples"].map((d) => files(join(ROOT, d)))]
      .flat()
      .map((path) => ({
        path,
        words: new Set(readFileSync(path, "utf8").match(/[A-Za-z_$][\w$]*/g)),
      }));
    const unused = sources
      .filter((path) => layerOf(path) !== "mm" && layerOf(path) !== "index.ts")
      .flatMap((path) =>
        [...readFileSync(path, "utf8").matchAll(/^export (?:async )?(?:const|let|function\*?|class) (\w+)/gm)]
          .filter(([, name]) => !texts.some((t) => t.path !== path && t.words.has(name)))
          .map(([, name]) => `${relative(ROOT, path)}: ${name}`),
      );
    expect(unused).toEqual([]);
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
