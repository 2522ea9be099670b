/**
 * A copy of the package in the git-ignored tmp/ of the project, in which one file of src/mm at a time
 * is changed: its text, which the compiler of the dialect reads, and the module that runs. And
 * processes that explore cells or run tests in it.
 */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { transformSync } from "oxc-transform";
import { ROOT } from "../../cli/helpers.ts";
import type { Asked, Explored } from "./explore.ts";
import { applied, type Mutant } from "./mutant.ts";

/** Below the project, so that its node_modules are found. */
export const HOME: string = join(ROOT, "tmp", "mm-mutants", String(process.pid));

/** Makes the copy: sources, built modules, tests. */
export function makeHome(): void {
  mkdirSync(HOME, { recursive: true });
  const copied = ["package.json", "tsconfig.json", "src", "dist", "tests", "examples", "docs"];
  for (const name of copied) cpSync(join(ROOT, name), join(HOME, name), { recursive: true });
  // As the project's own, but what is built stays as it is.
  const config = readFileSync(join(ROOT, "vitest.config.ts"), "utf8");
  writeFileSync(join(HOME, "vitest.config.ts"), config.replace(/^\s*globalSetup:.*\n/m, ""));
}

export function removeHome(): void {
  rmSync(HOME, { recursive: true, force: true });
}

/** Text of a file of src/mm as it is. */
export const original = (file: string): string => readFileSync(join(ROOT, "src", "mm", `${file}.ts`), "utf8");

function put(file: string, text: string): void {
  const path = join(HOME, "src", "mm", `${file}.ts`);
  writeFileSync(path, text);
  const js = transformSync(path, text, {
    lang: "ts",
    sourceType: "module",
    typescript: { onlyRemoveTypeImports: true, rewriteImportExtensions: "rewrite" },
  });
  const error = js.errors.find((e) => e.severity === "Error");
  if (error !== undefined) throw new SyntaxError(`${file}: ${error.message}`);
  writeFileSync(join(HOME, "dist", "mm", `${file}.js`), js.code);
}

/** What `f` gives while the copy has the mutant's change. */
export async function withMutant<T>(m: Mutant, f: () => Promise<T>): Promise<T> {
  put(m.file, applied(original(m.file), m));
  try {
    return await f();
  } finally {
    put(m.file, original(m.file));
  }
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
}

function run(args: readonly string[], input: string, seconds: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: HOME, stdio: ["pipe", "pipe", "pipe"] });
    let out = "";
    child.stdout.on("data", (d: Buffer) => {
      out += d.toString();
    });
    child.stderr.on("data", (d: Buffer) => {
      out += d.toString();
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, out });
    });
    child.stdin.end(input);
  });
}

/** Explores cells in the copy. */
export async function explore(cells: Asked["cells"], functions = false): Promise<Explored[]> {
  const load = pathToFileURL(join(ROOT, "dist", "lang", "load.js")).href;
  const script = pathToFileURL(join(ROOT, "tests", "mm", "mutants", "explore.ts")).href;
  const main = `(await import("${load}")).registerTypeScript(); await import("${script}");`;
  const asked: Asked = { home: HOME, cells, functions };
  const { out, code } = await run(["--input-type=module", "-e", main], JSON.stringify(asked), 3600);
  const lines = out.split("\n").filter((l) => l.startsWith("{"));
  if (code !== 0) throw new Error(`exploring cells ended with ${code}:\n${out.slice(-2000)}`);
  return lines.map((l) => JSON.parse(l) as Explored);
}

/**
 * Tests that read the text of src/mm, or what is written of it: a change of the text fails them, whatever the
 * code does. They catch nothing.
 */
const OF_TEXT: readonly string[] = ["tests/mm/mutants.test.ts", "tests/mm/fidelity.test.ts"];

/**
 * Runs test files in the copy until one fails: the name of the first that did, which begins with its file, or
 * null if all passed.
 */
export async function firstFailure(paths: readonly string[]): Promise<string | null> {
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const without = OF_TEXT.map((f) => `--exclude=${f}`);
  const { code, out } = await run(
    [vitest, "run", "--bail=1", "--reporter=dot", ...without, ...paths],
    "",
    1800,
  );
  if (code === 0) return null;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours of the reporter.
  const plain = out.replace(/\u001b\[[0-9;]*m/g, "");
  const failed = /FAIL\s+(.+)/.exec(plain);
  if (failed === null) throw new Error(`the tests ended with ${code}:\n${plain.slice(-2000)}`);
  return failed[1].trim();
}

/** A digest of all sources that cells are made of. */
export function sourcesDigest(): string {
  const hash = createHash("sha256");
  for (const folder of ["mm", "claims", "machine", "lang", "check"])
    for (const e of readdirSync(join(ROOT, "src", folder), { withFileTypes: true, recursive: true }))
      if (e.isFile()) hash.update(readFileSync(join(e.parentPath, e.name)));
  return hash.digest("hex").slice(0, 16);
}
