/**
 * Programs whose text is small and whose code, with every call expanded where it stands, is not: they are
 * refused, with the function that becomes too large.
 */
import { expect, test } from "vitest";
import { memoryFiles } from "../../../src/lang/c/files.ts";
import { buildC } from "../../../src/lang/c/program.ts";

const LEVELS = 40;

test.each([
  ["calls that double at each level", (i: number) => `return f${i}(a) + f${i}(a + 1);`, "f"],
  ["functions that all call each other", (i: number) => `return a > ${i} ? ring(a - 1) : f${i}(a);`, "ring"],
])("%s are refused, not expanded", (_, body, name) => {
  const levels = Array.from({ length: LEVELS }, (_, i) => `static int f${i + 1}(int a) { ${body(i)} }`);
  const calls = Array.from({ length: LEVELS }, (_, i) => `f${i}(a)`).join(" + ");
  const text = `int x;
static int ring(int a);
static int f0(int a) { return x + a; }
${levels.join("\n")}
static int ring(int a) { return ${calls}; }
void P0(void) { x = ${name === "f" ? `f${LEVELS}` : "ring"}(1); }
void P1(void) { x = 2; }
`;
  expect(() => buildC("x.c", memoryFiles({ "x.c": text }))).toThrow(/x\.c:\d+:\d+: HF236 too much code/);
});
