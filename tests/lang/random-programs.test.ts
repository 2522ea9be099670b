/**
 * Random dialect programs mean the same as JavaScript (the text run after stripping types), as interpreted
 * IR, as emitted step functions and as interpreted ones, and with registers that share locals: same result,
 * same memory, same failures.
 */
import { join } from "node:path";
import fc from "fast-check";
import { transformSync } from "oxc-transform";
import { beforeAll, describe, expect, test } from "vitest";
import { compileThread, interpretSteps } from "../../src/lang/emit.ts";
import type { ThreadIr, Val } from "../../src/lang/ir.ts";
import { Linker } from "../../src/lang/link.ts";
import { defineModule, loadModules } from "../../src/lang/modules.ts";
import { defOf, mapTerminatorVal, mapVals } from "../../src/lang/operands.ts";
import { PACKAGE_ROOT } from "../../src/lang/sources.ts";
import { allocateLocals } from "../../src/lang/wasm/locals.ts";
import { KernelBug } from "../../src/machine/errors.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import { mem, memblock_alloc, resetMemory } from "../../src/machine/memory.ts";
import * as primitives from "../../src/machine/primitives.ts";
import { config } from "./fixtures/config.ts";
import { interpret, runCode } from "./helpers.ts";

const PATH = join(PACKAGE_ROOT, "tests", "lang", "fixtures", "random.ts");
const NAMES = [
  "READ_ONCE",
  "WRITE_ONCE",
  "atomic_fetch_add",
  "atomic_inc",
  "cmpxchg",
  "atomic_add_unless",
  "xchg",
  "assert",
  "localArray",
];
const HEADER = `"use kernel";
import { type LocalArray, ${NAMES.join(", ")} } from "../../../src/machine/primitives.ts";
import { config } from "./config.ts";
`;

beforeAll(async () => {
  await loadModules([join(PACKAGE_ROOT, "tests", "lang", "fixtures", "basic.ts")]);
});

/**
 * Variables v0..v4 and arrays are always declared; loops are bounded by `fuel`, which every function gets
 * afresh.
 */
const VARS = ["v0", "v1", "v2", "v3", "p0", "p1"];
const variable = fc.constantFrom(...VARS);
const assignable = fc.constantFrom("v0", "v1", "v2", "v3", "p0");
const literal = fc
  .oneof(fc.integer({ min: -9, max: 9 }), fc.constantFrom(31, 255, -2147483648, 2147483647))
  .map((n) => (n < 0 ? `(${n})` : `${n}`));
const address = fc.nat(7).map((n) => `${n + 72}`);

const { expr, cond } = fc.letrec<{ expr: string; cond: string }>((tie) => ({
  expr: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    literal,
    variable,
    fc.constantFrom("config.fast", "config.levels", "config.nested.depth", "K"),
    fc.constantFrom("arr[v0 & 3]", "arr[1]", "arr[v2]", "one[0]"),
    fc
      .tuple(tie("expr"), fc.constantFrom("+", "-", "&", "|", "^"), tie("expr"))
      .map(([a, o, b]) => `((${a} ${o} ${b}) | 0)`),
    fc.tuple(tie("expr"), tie("expr")).map(([a, b]) => `(((${a} & 0xffff) * (${b} & 0x7fff)) | 0)`),
    fc.tuple(tie("expr"), fc.constantFrom("<<", ">>"), tie("expr")).map(([a, o, b]) => `(${a} ${o} ${b})`),
    fc.tuple(tie("expr"), fc.integer({ min: 1, max: 31 })).map(([a, n]) => `(${a} >>> ${n})`),
    fc
      .tuple(tie("expr"), fc.constantFrom("/", "%"), fc.constantFrom("3", "7", "(-2)"))
      .map(([a, o, b]) => `((${a} ${o} ${b}) | 0)`),
    fc.tuple(fc.constantFrom("-", "~"), tie("expr")).map(([o, a]) => `((${o}${a}) | 0)`),
    fc.tuple(tie("cond"), tie("expr"), tie("expr")).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
    fc.tuple(tie("expr"), fc.constantFrom("&&", "||"), tie("expr")).map(([a, o, b]) => `(${a} ${o} ${b})`),
    address.map((a) => `READ_ONCE(${a})`),
    fc.tuple(tie("expr"), address).map(([v, a]) => `atomic_fetch_add(${v}, ${a})`),
    fc.tuple(address, tie("expr"), tie("expr")).map(([a, x, y]) => `cmpxchg(${a}, ${x}, ${y})`),
    fc.tuple(address, tie("expr")).map(([a, x]) => `xchg(${a}, ${x})`),
    fc.tuple(tie("expr"), tie("expr")).map(([a, b]) => `callee(${a}, ${b}, arr)`),
  ),
  cond: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("expr"),
    fc
      .tuple(tie("expr"), fc.constantFrom("<", "<=", ">", ">=", "===", "!=="), tie("expr"))
      .map(([a, o, b]) => `(${a} ${o} ${b})`),
    fc.tuple(tie("cond"), fc.constantFrom("&&", "||"), tie("cond")).map(([a, o, b]) => `(${a} ${o} ${b})`),
    tie("cond").map((c) => `(!${c})`),
    fc.tuple(address, literal).map(([a, u]) => `atomic_add_unless(${a}, 1, ${u})`),
    fc.constantFrom("config.on", "config.fast"),
  ),
}));

/** Nested labels that happen to be equal are a syntax error; such programs are skipped. */
const label = fc.nat(99_999).map((n) => `L${n}`);

const { block } = fc.letrec<{ stmt: string; block: string }>((tie) => ({
  stmt: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.tuple(assignable, fc.constantFrom("=", "="), expr).map(([v, o, e]) => `${v} ${o} ${e};`),
    fc
      .tuple(assignable, fc.constantFrom("&=", "|=", "^=", "<<=", ">>=", "&&=", "||="), expr)
      .map(([v, o, e]) => `${v} ${o} ${e};`),
    fc
      .tuple(
        fc.constantFrom("arr[v1 & 3]", "arr[2]", "one[0]", "arr[v3]"),
        fc.constantFrom("=", "^=", "|="),
        expr,
      )
      .map(([v, o, e]) => `${v} ${o} ${e};`),
    fc.tuple(address, expr).map(([a, e]) => `WRITE_ONCE(${a}, ${e});`),
    address.map((a) => `atomic_inc(${a});`),
    fc.tuple(cond, tie("block"), tie("block")).map(([c, a, b]) => `if (${c}) {\n${a}} else {\n${b}}`),
    fc.tuple(cond, tie("block")).map(([c, a]) => `if (${c}) {\n${a}}`),
    fc.tuple(cond, tie("block")).map(([c, a]) => `while (fuel > 0 && ${c}) {\nfuel--;\n${a}}`),
    fc.tuple(cond, tie("block")).map(([c, a]) => `do {\nfuel--;\n${a}} while (fuel > 0 && ${c});`),
    fc
      .tuple(label, fc.nat(4), tie("block"), cond, tie("block"), fc.constantFrom("break", "continue"))
      .map(
        ([l, n, a, c, b, j]) =>
          `${l}: for (let i = 0; i < ${n} && fuel > 0; i++, fuel--) {\nv3 ^= i;\nwhile (fuel > 0) {\nfuel--;\n${a}if (${c}) ${j} ${l};\n${b}}\n}`,
      ),
    fc
      .tuple(tie("block"), cond)
      .map(([a, c]) =>
        `for (;;) {\nif (fuel-- <= 0) break;\nfuel--;\n${a}if (${c}) continue;\nbreak;\n}`.replace(
          "if (fuel-- <= 0) break;\n",
          "if (fuel <= 0) break;\n",
        ),
      ),
    fc
      .tuple(expr, tie("block"), tie("block"), tie("block"), fc.boolean())
      .map(
        ([e, a, b, c, fall]) =>
          `switch (${e} & 3) {\ncase 0: {\n${a}${fall ? "" : "break;\n"}}\ndefault: {\n${b}break;\n}\ncase K: {\n${c}}\n}`,
      ),
    fc.tuple(label, cond, tie("block")).map(([l, c, a]) => `${l}: {\nif (${c}) break ${l};\n${a}}`),
    fc.tuple(cond, expr).map(([c, e]) => `if (${c}) return ${e};`),
    cond.map((c) => `assert(${c}, "random");`),
    fc.tuple(expr, tie("block")).map(([e, a]) => `{\nconst c0 = ${e};\n{\nlet v0 = c0;\n${a}v1 = v0;\n}\n}`),
  ),
  block: fc.array(tie("stmt"), { maxLength: 4, size: "medium" }).map((s) => s.map((x) => `${x}\n`).join("")),
}));

const LOCALS = "  let v0 = 0, v1 = 1, v2 = p1, v3 = 3, fuel = 12;\n";

interface Source {
  readonly text: string;
}

const program: fc.Arbitrary<Source> = fc
  .record({ main: fc.tuple(block, block), helper: fc.tuple(block, expr), ret: expr })
  .map(({ main, helper, ret }) => ({
    // The helper must not call itself: in it, `callee` is a primitive by another name.
    text: `${HEADER}export const K = 2;
function callee(p0: number, p1: number, arr: LocalArray): number {
${LOCALS}  const one = localArray(1);
${helper[0].replaceAll("callee(", "leaf(")}  return ${helper[1].replaceAll("callee(", "leaf(")};
}
function leaf(p0: number, p1: number, arr: LocalArray): number {
  arr[p0 & 3] ^= p1;
  return p0 > p1 ? p1 : arr[3];
}
export function main(p0: number, p1: number): number {
${LOCALS}  const arr = localArray(4);
  const one = localArray(1);
${main[0]}${main[1]}  return ${ret};
}
`,
  }));

/**
 * The text as JavaScript over the machine's memory. Array reads out of bounds are made to fail, as they do
 * compiled.
 */
function asJavaScript(text: string): (a: number, b: number) => number {
  const transformed = transformSync(PATH, text, { lang: "ts", sourceType: "module" });
  fc.pre(transformed.errors.length === 0);
  const js = transformed.code;
  const body = js
    .replace(/^import .*$/gm, "")
    .replace(/^export \{.*$/gm, "")
    .replace(/^export /gm, "");
  const checked = (size: number): Int32Array =>
    new Proxy(new Int32Array(size), {
      get(target, key) {
        const i = Number(key);
        if (!(i >= 0 && i < target.length)) throw new KernelBug("out-of-bounds", `index ${String(key)}`);
        return target[i];
      },
      set(target, key, v: number) {
        const i = Number(key);
        if (!(i >= 0 && i < target.length)) throw new KernelBug("out-of-bounds", `index ${String(key)}`);
        target[i] = v;
        return true;
      },
    });
  const values: readonly unknown[] = [
    config,
    ...NAMES.map((n) => (n === "localArray" ? checked : (primitives as Record<string, unknown>)[n])),
  ];
  return new Function("config", ...NAMES, `${body}\nreturn main;`)(...values) as (
    a: number,
    b: number,
  ) => number;
}

function boot(seed: readonly number[]): void {
  useSequentialHost();
  resetMemory(128);
  memblock_alloc("data", 31);
  seed.forEach((v, i) => {
    mem[72 + i] = v;
  });
}

/**
 * The same with each register in its local: means the same only if no two that share one are needed at once.
 */
function renamed(ir: ThreadIr, of: Int32Array, count: number): ThreadIr {
  const val = (v: Val): Val => (v.reg < 0 ? v : { ...v, reg: of[v.reg] });
  return {
    ...ir,
    nregs: count,
    params: ir.params.map((r) => of[r]),
    blocks: ir.blocks.map((b) => ({
      instrs: b.instrs.map((i) => {
        const d = defOf(i);
        const same = mapVals(i, val);
        return (d < 0 ? same : { ...same, dst: of[d] }) as typeof i;
      }),
      end: mapTerminatorVal(b.end, val),
    })),
  };
}

const seeds = fc.array(fc.integer({ min: -2, max: 5 }), { minLength: 8, maxLength: 8 });

describe("random dialect programs", () => {
  test("give the same result, memory and failures as JavaScript, as IR, emitted and interpreted", {
    timeout: 120_000,
  }, () => {
    let finished = 0;
    let failed = 0;
    fc.assert(
      fc.property(
        program,
        fc.tuple(fc.integer({ min: -3, max: 5 }), fc.integer({ min: -3, max: 5 })),
        seeds,
        fc.boolean(),
        ({ text }, args, seed, fast) => {
          config.fast = fast ? 1 : 0;
          boot(seed);
          let js: { end: string; result: number };
          try {
            js = { end: "finished", result: asJavaScript(text)(...args) | 0 };
          } catch (e) {
            if (!(e instanceof KernelBug)) throw e;
            js = { end: e.kind, result: 0 };
          }
          const memory = Array.from(mem);
          defineModule(PATH, text, { K: 2 });
          const ir = new Linker().thread({ name: "t", run: { module: PATH, name: "main" }, args, cpu: 0 });
          boot(seed);
          const slow = interpret(ir);
          expect({ end: slow.end, result: slow.result }).toEqual(js);
          expect(Array.from(mem)).toEqual(memory);
          boot(seed);
          expect(runCode(compileThread(ir))).toEqual({ trace: slow.trace, end: slow.end });
          expect(Array.from(mem)).toEqual(memory);
          interpretSteps(true);
          const interpreted = compileThread({ ...ir, blocks: [...ir.blocks] });
          interpretSteps(false);
          boot(seed);
          expect(runCode(interpreted)).toEqual({ trace: slow.trace, end: slow.end });
          expect(Array.from(mem)).toEqual(memory);
          const { of, count } = allocateLocals(ir);
          expect(count).toBeLessThanOrEqual(ir.nregs);
          boot(seed);
          expect(interpret(renamed(ir, of, count))).toEqual(slow);
          expect(Array.from(mem)).toEqual(memory);
          if (js.end === "finished") finished++;
          else failed++;
        },
      ),
      { numRuns: Number(process.env["HOLDFAST_RANDOM_PROGRAMS"] ?? 300) },
    );
    // The generator must reach both ends, or it tests half of what it says.
    expect(finished).toBeGreaterThan(20);
    expect(failed).toBeGreaterThan(5);
  });
});
