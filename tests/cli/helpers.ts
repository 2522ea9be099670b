/**
 * Runs the built command as a user would, and law helpers over what it prints. `npm test` builds before it
 * tests.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));
const MAIN = join(ROOT, "dist", "cli", "main.js");

export interface Outcome {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

export interface HoldfastOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The program, if it is not the built one. */
  readonly program?: string;
  /** Called when the process has started. */
  readonly started?: (child: ChildProcess) => void;
}

export function holdfast(args: readonly string[], options: HoldfastOptions = {}): Promise<Outcome> {
  if (!existsSync(MAIN)) throw new Error("dist/cli/main.js is missing: run npm run build first");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [options.program ?? MAIN, ...args], {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (d) => (out += d));
    child.stderr.on("data", (d) => (err += d));
    child.on("error", reject);
    child.on("close", (exit) => resolve({ exit, out, err }));
    options.started?.(child);
  });
}

/**
 * Runs a command and presses Ctrl-C while it works. Before it has a handler a signal ends it as it ends any
 * process, which on a busy machine can take long: then it is tried again, with more patience.
 */
export async function interrupted(args: readonly string[]): Promise<Outcome> {
  for (let ms = 1500; ; ms *= 2) {
    const o = await holdfast(args, { started: (child) => setTimeout(() => child.kill("SIGINT"), ms) });
    if (o.exit !== null || ms > 30_000) return o;
  }
}

/** A refusal: exit 2, the code and a hint on stderr, nothing on stdout, no stack trace, one message. */
export function expectRefusal(o: Outcome, code: string, ...words: readonly string[]): void {
  expect(o.err).toContain(code);
  for (const w of words) expect(o.err).toContain(w);
  expect(o.err).toContain("hint:");
  expect(o.err).not.toMatch(/^\s+at /m);
  expect(o.out).toBe("");
  expect(o.exit).toBe(2);
}

/** Writes files into a fresh directory outside the package and gives its path. */
export function project(files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-test-"));
  for (const [name, text] of Object.entries(files)) {
    if (dirname(name) !== ".") throw new Error("flat projects only");
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

/** A module with one scenario whose threads run `functions` of kernel.ts, each on one word of memory. */
export function scenarioModule(name: string, functions: readonly string[]): string {
  return `
import { memblock_alloc, resetMemory } from "holdfast/machine/memory";
import { defineScenario } from "holdfast/machine/scenario";
import { ${[...new Set(functions)].join(", ")} } from "./kernel.ts";
export const s = defineScenario({
  name: "${name}", title: "", module: import.meta.url,
  boot: () => {
    resetMemory(256);
    const word = memblock_alloc("word", 1);
    return { threads: [${functions.map((f, i) => `{ name: "${f}${i}", run: ${f}, args: [word] }`).join(", ")}] };
  },
});
`;
}
