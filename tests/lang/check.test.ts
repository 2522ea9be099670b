/** Every forbidden construct is refused by its own code, at its own line and column. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkFile } from "../../src/lang/check.ts";
import { DIALECT_ERRORS, type Diagnostic, DialectError, formatDiagnostic } from "../../src/lang/errors.ts";
import { lowerFunction } from "../../src/lang/lower.ts";
import { parseSource } from "../../src/lang/parse.ts";
import { PACKAGE_ROOT } from "../../src/lang/sources.ts";

const PATH = join(PACKAGE_ROOT, "tests", "lang", "fixtures", "virtual.ts");
const HEADER = `"use kernel";
import { type LocalArray, READ_ONCE, WRITE_ONCE, assert, call_rcu, localArray } from "../../../src/machine/primitives.ts";
import { config } from "./config.ts";
`;

function refusals(text: string): Diagnostic[] {
  try {
    const file = parseSource(PATH, text);
    const found = checkFile(file);
    if (found.length > 0) return found;
    for (const fn of file.functions.values()) {
      try {
        lowerFunction(file, fn, () => null);
      } catch (e) {
        if (!(e instanceof DialectError)) throw e;
        found.push(...e.diagnostics);
      }
    }
    return found;
  } catch (e) {
    if (e instanceof DialectError) return [...e.diagnostics];
    throw e;
  }
}

/** Body of a function; `@` marks where the refusal must point, and is removed. */
const BODIES: readonly (readonly [keyof typeof DIALECT_ERRORS, string])[] = [
  ["HF102", "const f = @(x: number) => x;"],
  ["HF102", "const f = @function (x: number) { return x; };"],
  ["HF102", "@function inner(): void {}"],
  ["HF102", "a = @READ_ONCE;"],
  ["HF103", "const o = @{ x: 1 };"],
  ["HF103", "a = @a.x;"],
  ["HF104", 'a = @"text";'],
  ["HF104", "assert(a, @a);"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a program.
  ["HF105", "a = @`x${a}`;"],
  ["HF106", "@throw a;"],
  ["HF106", "@try { a = 1; } finally { a = 2; }"],
  ["HF109", "const C = @class {};"],
  ["HF109", "a = @this;"],
  ["HF110", "const @{ x } = a;"],
  ["HF110", "const @[x] = a;"],
  ["HF111", "WRITE_ONCE(@...a);"],
  ["HF112", "@var x = 1;"],
  ["HF113", "if (@a == 1) a = 2;"],
  ["HF113", "if (@a != 1) a = 2;"],
  ["HF114", "a = @config?.fast;"],
  ["HF114", "a = @a ?? 1;"],
  ["HF114", "@a ??= 1;"],
  ["HF116", "a = @/x/;"],
  ["HF117", "a = @1.5;"],
  ["HF117", "a = @4294967295;"],
  ["HF117", "a = a + @0x80000000;"],
  ["HF118", "@for (const x of a) a = x;"],
  ["HF118", "@for (const x in a) a = 1;"],
  ["HF120", "a = @new X();"],
  ["HF120", "a = @typeof a;"],
  ["HF120", "@void a;"],
  ["HF120", "@delete config.fast;"],
  ["HF120", "if (@a instanceof b) a = 1;"],
  ["HF121", "a = @a / 2;"],
  ["HF121", "@a /= 2;"],
  ["HF122", "a = a >>> @b;"],
  ["HF122", "a = @a >>> 0;"],
  ["HF123", "while ((@a = b)) b = 1;"],
  ["HF123", "b = @a++;"],
  ["HF124", "a = @nothing;"],
  ["HF124", "{ const c = @x; const x = 1; a = c; }"],
  ["HF125", "@READ_ONE(a);"],
  ["HF125", "@config.fast(a);"],
  ["HF127", "const x = @[1, 2];"],
  ["HF128", "@WRITE_ONCE(a);"],
  ["HF129", "const x = localArray(2); a = @x;"],
  ["HF129", "const x = localArray(2); @x = 1;"],
  ["HF131", "a = @null;"],
  ["HF131", "a = @undefined;"],
  ["HF131", "a = @1n;"],
  ["HF132", "switch (a) { case 1: @let x = 1; a = x; }"],
  ["HF135", "const x = 1; @x = 2;"],
  ["HF135", "@config = 1;"],
  ["HF136", "call_rcu(a, @a);"],
  ["HF137", "let @x = localArray(2);"],
  ["HF137", "WRITE_ONCE(a, @localArray(2));"],
  ["HF138", "@a + 1;"],
  ["HF139", "a = @a ** 2;"],
  ["HF139", "@debugger;"],
  ["HF139", "a = (@1, 2);"],
  ["HF141", "@config.fast = 1;"],
];

describe("in a function", () => {
  test.each(BODIES)("%s refuses %s", (code, marked) => {
    const col = marked.indexOf("@") + 1;
    const text = `${HEADER}export function f(a: number, b: number): void {\n${marked.replace("@", "")}\n}\n`;
    const found = refusals(text);
    expect(found.map((d) => d.code)).toContain(code);
    const d = found.find((x) => x.code === code);
    expect([d?.line, d?.col]).toEqual([5, col]);
    expect(d?.hint.length).toBeGreaterThan(5);
    expect(d?.file).toMatch(/virtual\.ts$/);
  });
});

const FILES: readonly (readonly [keyof typeof DIALECT_ERRORS, string])[] = [
  ["HF100", "export function f(: number): void {}"],
  ["HF108", "export async function f(): Promise<void> {}"],
  ["HF108", "export function* f(): Generator<number> { yield 1; }"],
  ["HF109", "export class C {}"],
  ["HF112", "var x = 1;"],
  ["HF115", "let x = 1;"],
  ["HF115", "export let x = 1;"],
  ["HF119", "export function f(a = 1): number { return a; }"],
  ["HF119", "export function f(...a: number[]): void {}"],
  ["HF119", "export function f(a?: number): void {}"],
  ["HF102", "export function f(g: () => void): void {}"],
  ["HF103", "export function f(o: { x: number }): void {}"],
  ["HF103", "const o = { x: 1 };"],
  ["HF104", 'export const s = "x";'],
  ["HF104", "export function f(s: string): void {}"],
  ["HF133", "console.log(1);"],
  ["HF133", "if (config.fast) { }"],
  ["HF133", "enum E { A }"],
  ["HF133", "export default 1;"],
  ["HF101", 'import { foo } from "./config.ts";\nexport function f(): void { foo(); }'],
];

describe("at the top level", () => {
  test.each(FILES)("%s refuses %s", (code, text) => {
    expect(refusals(HEADER + text).map((d) => d.code)).toContain(code);
  });
});

test("every refusal of a file is said at once", () => {
  const text = `${HEADER}export function f(a: number): void {\n  if (a == 1) a = 2;\n  var x = [1];\n}\n`;
  expect(refusals(text).map((d) => [d.code, d.line])).toEqual([
    ["HF113", 5],
    ["HF112", 6],
    ["HF127", 6],
  ]);
});

test("a misspelt function is answered with the nearest name", () => {
  const [d] = refusals(`${HEADER}export function f(a: number): void {\n  READ_ONE(a);\n}\n`);
  expect(formatDiagnostic(d)).toBe(
    `${d.file}:5:3: HF125 unknown function: READ_ONE()\n  hint: did you mean READ_ONCE()?`,
  );
});

test("what the dialect allows is not refused", () => {
  const text = `${HEADER}
type Pfn = number;
export const LEAF = 1 << 7;
const MASK: number = ~0x80000000 & 0xffffffff;
function g(p: Pfn, out: LocalArray): boolean {
  out[p & 3] |= 1;
  return out[0] === 0 || p < -5;
}
export function f(a: number): number {
  const out = localArray(4);
  let n: number;
  n = 0;
  outer: for (let i = 0, j = 4; i < j; i++, j--) {
    do { n += (a as number) % 3; if (n > 7) continue outer; } while (!g(n, out));
    switch (i) { case 0: case LEAF: n = -n; break; default: { const t = n >>> 3; n ^= t; } }
    if (n > 100) break outer;
  }
  done: { if (a > 1) break done; n = (n / 2) | 0; }
  assert(n < 5 || MASK !== n, "n is small");
  return config.fast ? n : +a;
}
`;
  expect(refusals(text)).toEqual([]);
});

test("codes of the list are used, or the test says where else they come from", () => {
  const elsewhere = ["HF107", "HF126", "HF130", "HF134", "HF140", "HF150", "HF151"];
  const tested = new Set([...BODIES.map(([c]) => c), ...FILES.map(([c]) => c)]);
  expect(Object.keys(DIALECT_ERRORS).filter((c) => !tested.has(c as keyof typeof DIALECT_ERRORS))).toEqual(
    elsewhere,
  );
});
