/** What only a link can find, and what threads can do wrong by themselves: each is named, with its place. */
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compileThread } from "../../src/lang/emit.ts";
import { type Diagnostic, DialectError } from "../../src/lang/errors.ts";
import { linkThread } from "../../src/lang/link.ts";
import { compileModule, defineModule, loadModules } from "../../src/lang/modules.ts";
import { PACKAGE_ROOT } from "../../src/lang/sources.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import { resetMemory } from "../../src/machine/memory.ts";
import { config } from "./fixtures/config.ts";
import { interpret, runCode } from "./helpers.ts";

const DIR = join(PACKAGE_ROOT, "tests", "lang", "fixtures");
const PATH = join(DIR, "virtual-link.ts");
const HEADER = `"use kernel";
import { type LocalArray, READ_ONCE, WRITE_ONCE, assert, localArray, smp_processor_id } from "../../../src/machine/primitives.ts";
import { config, OBJ } from "./config.ts";
`;

beforeAll(async () => {
  await loadModules([join(DIR, "basic.ts")]);
});

beforeEach(() => {
  useSequentialHost();
  resetMemory(128);
});

function link(text: string, args: number[] = [], name = "f", options = {}): ReturnType<typeof linkThread> {
  defineModule(PATH, HEADER + text, {});
  return linkThread({ name: "t", run: { module: PATH, name }, args, cpu: 3 }, options);
}

function refusal(run: () => unknown): Diagnostic {
  try {
    run();
  } catch (e) {
    if (e instanceof DialectError) return e.diagnostics[0];
    throw e;
  }
  throw new Error("nothing was refused");
}

describe("linking refuses", () => {
  test("recursion, naming the cycle", () => {
    const d = refusal(() =>
      link("export function f(): void { g(); }\nfunction g(): void { h(); }\nfunction h(): void { g(); }\n"),
    );
    expect([d.code, d.line, d.message]).toEqual(["HF107", 5, "recursion: g() -> h() -> g()"]);
  });

  test("no recursion that the configuration cuts", () => {
    config.fast = 0;
    const text = "export function f(): void { if (config.fast) f(); else WRITE_ONCE(68, 1); }\n";
    expect(link(text).blocks[0].instrs).toHaveLength(1);
    config.fast = 1;
    expect(refusal(() => link(text)).code).toBe("HF107");
  });

  test("a property that a constant object does not have, with the nearest", () => {
    const d = refusal(() => link("export function f(): number { return config.level; }\n"));
    expect([d.code, d.line, d.col, d.hint]).toEqual(["HF130", 4, 38, "did you mean config.levels?"]);
  });

  test("an object where a number is meant", () => {
    expect(refusal(() => link("export function f(): number { return config.nested; }\n")).message).toBe(
      "not a number when linked: config.nested is an object",
    );
  });

  test("a module constant that depends on configuration", () => {
    const d = refusal(() => link("const A = config.fast + 1;\nexport function f(): number { return A; }\n"));
    expect([d.code, d.line]).toEqual(["HF134", 4]);
  });

  test("but not one that depends on a struct layout", () => {
    const ir = link("const A = OBJ.next * 2 + (1 << 3);\nexport function f(): void { WRITE_ONCE(68, A); }\n");
    expect(ir.blocks[0].instrs[0]).toMatchObject({ op: "store", a: { reg: -1, imm: 12 } });
  });

  test("a shift count that is 0 when linked", () => {
    const d = refusal(() =>
      link("const Z = 0;\nexport function f(a: number): number { return a >>> Z; }\n", [1]),
    );
    expect(d.code).toBe("HF122");
  });

  test("an array of no words", () => {
    expect(
      refusal(() =>
        link("const Z = 0;\nexport function f(): number { const a = localArray(Z); return a[0]; }\n"),
      ).code,
    ).toBe("HF137");
  });

  test("an array for a number and a number for an array", () => {
    const g =
      "function g(a: LocalArray): number { return a[0]; }\nfunction h(a: number): number { return a; }\n";
    expect(refusal(() => link(`${g}export function f(): number { return g(1); }\n`)).code).toBe("HF128");
    expect(
      refusal(() => link(`${g}export function f(): number { const a = localArray(1); return h(a); }\n`)).code,
    ).toBe("HF128");
  });

  test("an entry that is not there, with the nearest name", () => {
    const d = refusal(() => link("export function walker(): void {}\n", [], "waker"));
    expect([d.code, d.hint]).toEqual(["HF125", "did you mean walker()?"]);
  });

  test("too few arguments, arguments that are no words, and functions of elsewhere", () => {
    const text = "export function f(a: number): number { return a; }\n";
    expect(refusal(() => link(text, [])).message).toBe(
      "not an entry function: f() takes 1 arguments, thread t passes 0",
    );
    expect(refusal(() => link(text, [0.5])).code).toBe("HF140");
    expect(refusal(() => linkThread({ name: "t", run: () => 0, cpu: 0 })).code).toBe("HF140");
  });

  test("a file of the package that does not exist", async () => {
    await expect(loadModules([join(DIR, "nothing.ts")])).rejects.toMatchObject({
      diagnostics: [{ code: "HF150" }],
    });
  });
});

test("all that is wrong with a file's functions is said at once", () => {
  defineModule(
    PATH,
    `${HEADER}export function f(): void { READ_ONE(1); }\nexport function g(): void { WRITE_ONCE(1); }\n`,
    {},
  );
  const codes: string[] = [];
  try {
    compileModule(PATH);
  } catch (e) {
    if (e instanceof DialectError) codes.push(...e.diagnostics.map((d) => d.code));
  }
  expect(codes).toEqual(["HF125", "HF128"]);
});

describe("a thread", () => {
  test("that loops without touching memory is stopped and told so, in both readings", () => {
    const ir = link("export function f(): void { let i = 0; WRITE_ONCE(68, 1); while (i >= 0) i ^= 1; }\n");
    expect(interpret(ir).end).toBe("endless-local-loop");
    const code = compileThread(ir);
    expect(runCode(code).end).toBe("endless-local-loop");
    expect(code.positions[code.asserts[0].pos].line).toBe(4);
  });

  test("that loops without doing anything is stopped, too", () => {
    const ir = link("export function f(): void { for (;;) {} }\n");
    expect(runCode(compileThread(ir)).end).toBe("endless-local-loop");
  });

  test("that loops for long is not endless", () => {
    const ir = link(
      "export function f(): void { let s = 0; for (let i = 0; i < 50000; i++) s ^= i; WRITE_ONCE(68, s); }\n",
    );
    expect(runCode(compileThread(ir)).end).toBe("finished");
  });

  test("that spins on memory is not endless for the step functions: every turn is a visible operation", () => {
    const code = compileThread(link("export function f(): void { while (READ_ONCE(68) === 0) {} }\n"));
    expect(code.ops).toHaveLength(2);
    expect([...code.ops[1].succ]).toEqual([0, 1]);
  });

  test("keeps loads whose values nothing uses, in order", () => {
    const ir = link(
      "export function f(): void { READ_ONCE(69); const x = READ_ONCE(70); if (x) {} READ_ONCE(71); }\n",
    );
    expect(ir.blocks.flatMap((b) => b.instrs).map((i) => (i.op === "load" ? i.addr.imm : i.op))).toEqual([
      69, 70, 71,
    ]);
  });

  test("knows its CPU, unless that is left open", () => {
    const text = "export function f(): void { WRITE_ONCE(68, smp_processor_id()); }\n";
    expect(link(text).blocks[0].instrs).toHaveLength(1);
    const open = link(text, [], "f", { keepCpu: true });
    expect(open.blocks[0].instrs.map((i) => i.op)).toEqual(["cpu", "store"]);
    expect(runCode(compileThread(open, 5)).trace[0]).toContain("a=5");
  });

  test("that fails an assertion names the message and the line of the call that led there", () => {
    const code = compileThread(
      link(
        "function g(x: number): void {\n  assert(x === 1, 'x is one');\n}\nexport function f(): void {\n  g(READ_ONCE(68));\n}\n".replaceAll(
          "'",
          '"',
        ),
      ),
    );
    const [failure] = code.asserts;
    expect([failure.kind, failure.message]).toEqual(["assertion", "x is one"]);
    const at = code.positions[failure.pos];
    expect([at.fn, at.line, at.col]).toEqual(["g", 5, 3]);
    const caller = code.positions[at.parent];
    expect([caller.fn, caller.line, caller.col, caller.parent]).toEqual(["f", 8, 3, -1]);
  });

  test("that divides by zero fails", () => {
    const ir = link("export function f(a: number): void { WRITE_ONCE(68, (7 / a) | 0); }\n", [0]);
    expect(interpret(ir).end).toBe("assertion");
  });

  test("shares frame words between values that are never needed together", () => {
    const body = Array.from(
      { length: 20 },
      (_, i) => `const x${i} = READ_ONCE(68); WRITE_ONCE(69, x${i} + ${i});`,
    ).join("\n");
    const code = compileThread(link(`export function f(): void {\n${body}\n}\n`));
    expect(code.nregs).toBe(1);
    expect(code.ops).toHaveLength(41);
  });
});
