/**
 * Programs that are long, or become so: what is large is built in time that grows with it, what grows without
 * end from a short text is refused where it does, with a code and a place.
 */
import { expect, test } from "vitest";
import { memoryFiles } from "../../../src/lang/c/files.ts";
import { nodeFiles } from "../../../src/lang/c/node-files.ts";
import { buildC } from "../../../src/lang/c/program.ts";

const LEVELS = 40;
const repeat = (n: number, f: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => f(i)).join("");
const nested = (n: number, open: string, close = ")"): string => open.repeat(n) + "x" + close.repeat(n);
const levels = (body: (i: number) => string): string =>
  repeat(LEVELS, (i) => `static int f${i + 1}(int a) { ${body(i)} }\n`);
/** What P0 does, and what stands in front of it. */
const program = (statement: string, before = ""): string => `#include <linux/compiler.h>
#include <linux/minmax.h>
#define ID(a) a
int x;
static int f0(int a) { return x + a; }
${before}
void P0(void) { ${statement} }
void P1(void) { x = 2; }
`;

/** Builds it; gives milliseconds of this process's CPU. */
function build(text: string): number {
  const started = process.cpuUsage();
  buildC("x.c", { ...memoryFiles({ "x.c": text }), header: nodeFiles().header });
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000;
}

test.each([
  [
    "calls that double at each level",
    "HF236",
    program(
      `x = f${LEVELS}(1);`,
      levels((i) => `return f${i}(a) + f${i}(a + 1);`),
    ),
  ],
  [
    "functions that all call each other",
    "HF236",
    program(
      "x = ring(1);",
      `static int ring(int a);
${levels((i) => `return a > ${i} ? ring(a - 1) : f${i}(a);`)}
static int ring(int a) { return ${repeat(LEVELS, (i) => `f${i}(a) + `)} 1; }`,
    ),
  ],
  ["macros that double their argument", "HF206", program(`x = ${nested(200, "READ_ONCE(")};`)],
  ["calls of macros in each other's arguments", "HF228", program(`x = ${nested(5000, "ID(")};`)],
  ["a sum of many terms", "HF228", program(`x = ${"x + ".repeat(20_000)} 1;`)],
  [
    "parentheses around a name",
    "HF228",
    program("x = 1;", `int ${"(".repeat(20_000)}y${")".repeat(20_000)};`),
  ],
])("%s: refused with %s", (_, code, text) => {
  expect(() => build(text)).toThrow(new RegExp(`x\\.c:\\d+:\\d+: ${code} `));
});

test.each([
  ["min() in min(), 30 deep", program(`x = ${"min(x, ".repeat(30)} 1${")".repeat(30)};`)],
  ["20,000 initial values", program("x = a[7];", `static int a[] = { ${repeat(20_000, (i) => `${i},`)} };`)],
  ["a range of 30,000 elements", program("x = a[7];", "static int a[30000] = { [0 ... 29999] = 1 };")],
])("%s are built in time", (_, text) => {
  expect(build(text)).toBeLessThan(8_000);
});
