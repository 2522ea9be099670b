/**
 * Runs the built command as a user would, and law helpers over what it prints. `npm test` builds before it
 * tests.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
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
  /** Called when the process has started. */
  readonly started?: (child: ChildProcess) => void;
}

export function holdfast(args: readonly string[], options: HoldfastOptions = {}): Promise<Outcome> {
  if (!existsSync(MAIN)) throw new Error("dist/cli/main.js is missing: run npm run build first");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
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

const SIGINT_BIT = 1n << 1n;

/**
 * Presses Ctrl-C as soon as the command would hear it, and `ms` later: before it has a handler, a signal ends
 * it as it ends any process. Without /proc: after some seconds.
 */
export function interrupt(child: ChildProcess, ms: number): void {
  const status = `/proc/${child.pid}/status`;
  if (!existsSync(status)) {
    setTimeout(() => child.kill("SIGINT"), 5000 + ms);
    return;
  }
  const poll = setInterval(() => {
    if (child.exitCode !== null || !existsSync(status)) return clearInterval(poll);
    const caught = /^SigCgt:\s*([0-9a-f]+)/m.exec(readFileSync(status, "utf8"))?.[1] ?? "0";
    if ((BigInt(`0x${caught}`) & SIGINT_BIT) === 0n) return;
    clearInterval(poll);
    setTimeout(() => child.kill("SIGINT"), ms);
  }, 50);
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
