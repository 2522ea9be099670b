/**
 * C means here what a C compiler makes of it: random functions, run by our interpreter and compiled by gcc
 * with its checks for undefined behaviour, give the same; where one of ours stops because a value leaves 32
 * bits, nothing is compared.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryFiles } from "../../../src/lang/c/files.ts";
import { buildC } from "../../../src/lang/c/program.ts";
import { body, functionText, PRELUDE } from "./random-c.ts";

const GCC = spawnSync("gcc", ["--version"]).status === 0;
const COUNT = 16 * Number(process.env["HOLDFAST_CAMPAIGN"] ?? 1);
const SEEDS = [0, 1, -7, 12345];

/** Results of each function for each seed; null where it does what C leaves undefined. */
function byCompiler(functions: readonly string[]): (number | null)[][] {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-c-"));
  try {
    const calls = functions.map((_, i) => `f${i}`).join(", ");
    const source = `#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <signal.h>
static unsigned char saved[3][4];
${PRELUDE}
${functions.join("\n")}
static sigjmp_buf env;
static void trap(int s) { siglongjmp(env, s); }
int main(void) {
  int (*fs[])(int) = { ${calls} };
  int seeds[] = { ${SEEDS.join(", ")} };
  struct sigaction a = { .sa_handler = trap, .sa_flags = SA_NODEFER };
  sigaction(SIGILL, &a, 0); sigaction(SIGFPE, &a, 0); sigaction(SIGTRAP, &a, 0); sigaction(SIGSEGV, &a, 0);
  memcpy(saved, table, sizeof(table));
  for (unsigned i = 0; i < sizeof(fs) / sizeof(*fs); i++)
    for (unsigned k = 0; k < ${SEEDS.length}; k++) {
      memcpy(table, saved, sizeof(table));
      counter_reset();
      if (sigsetjmp(env, 1)) printf("x\\n"); else printf("%d\\n", fs[i](seeds[k]));
    }
}`
      .replace(
        "static int counter(void) { static int n = 3;",
        "static int counter_n = 3; static void counter_reset(void) { counter_n = 3; }\nstatic int counter(void) { int n = counter_n;",
      )
      .replace("n = (n * 5 + 1) & 0xff; return n; }", "n = (n * 5 + 1) & 0xff; counter_n = n; return n; }");
    writeFileSync(join(dir, "t.c"), source);
    execFileSync("gcc", [
      "-std=gnu11",
      "-w",
      "-O0",
      "-fsanitize=undefined",
      "-fsanitize-undefined-trap-on-error",
      "-o",
      join(dir, "t"),
      join(dir, "t.c"),
    ]);
    const lines = execFileSync(join(dir, "t"), { encoding: "utf8" }).trim().split("\n");
    return functions.map((_, i) =>
      SEEDS.map((_, k) => (lines[i * SEEDS.length + k] === "x" ? null : Number(lines[i * SEEDS.length + k]))),
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** The same by our own compiler and interpreter; a string says why there is none. */
function byUs(fn: string, seed: number): number | string {
  const text = `${PRELUDE}
${fn.replace("int f(", "int the_function(")}
int result; int reached;
static int idle(void *p) { return 0; }
int main(void) { result = the_function(${seed}); reached = 1; __hf_spawn(idle, (void *)0); return 0; }`;
  const { program, c } = buildC("t.c", memoryFiles({ "t.c": text }), { recursion: 6 });
  const word = (name: string): number => {
    const g = c.unit.globals.find((x) => x.name === name);
    if (g === undefined) throw new Error(name);
    return program.memory.words[c.layout.addressOf(g) - (program.memory.origin ?? 0)];
  };
  return word("reached") === 1 ? word("result") : "stopped";
}

describe.skipIf(!GCC)("random functions (skipped without gcc)", () => {
  test("give what gcc gives", () => {
    const bodies = fc.sample(body, {
      numRuns: COUNT,
      seed: Number(process.env["HOLDFAST_SEED"] ?? 20260101),
    });
    const want = byCompiler(bodies.map((b, i) => functionText(`f${i}`, b)));
    let compared = 0;
    bodies.forEach((b, i) => {
      SEEDS.forEach((seed, k) => {
        const w = want[i][k];
        if (w === null) return;
        const got = byUs(functionText("f", b), seed);
        if (typeof got === "string") return;
        compared++;
        expect(got, `seed ${seed}:\n${functionText("f", b)}`).toBe(w);
      });
    });
    // Most of what is generated must be worth comparing.
    expect(compared).toBeGreaterThan(COUNT);
  }, 600_000);
});
