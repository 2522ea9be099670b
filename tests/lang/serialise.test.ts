/** Programs survive JSON; their hash sees what they do and nothing else; bad files are refused in words. */
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { hashProgram } from "../../src/lang/hash.ts";
import type { Program, ThreadIr } from "../../src/lang/ir.ts";
import { linkProgram } from "../../src/lang/link.ts";
import { loadModules } from "../../src/lang/modules.ts";
import { ProgramFormatError, parseProgram, serialiseProgram } from "../../src/lang/serialise.ts";
import { PACKAGE_ROOT } from "../../src/lang/sources.ts";
import { declareRegion, memblock_alloc, memoryImage, resetMemory } from "../../src/machine/memory.ts";
import * as basic from "./fixtures/basic.ts";

beforeAll(async () => {
  await loadModules([join(PACKAGE_ROOT, "tests", "lang", "fixtures", "basic.ts")]);
});

function program(arg = 2, name = "p"): Program {
  resetMemory(128);
  const base = memblock_alloc("data", 40);
  declareRegion("object", base + 2, 4, 1);
  return linkProgram({
    name,
    threads: [
      { name: "a", run: basic.arrays, args: [arg] },
      { name: "b", run: basic.deferred, args: [1] },
    ],
    finally: { name: "end", run: basic.locked, args: [1] },
    memory: memoryImage(),
  });
}

test("what is written is read back the same", () => {
  const p = program();
  expect(parseProgram(serialiseProgram(p))).toEqual(p);
  expect(Object.keys(p.handlers)).toHaveLength(1);
});

describe("the hash", () => {
  test("does not see names, messages and positions", () => {
    const p = program();
    const strip = (t: ThreadIr): ThreadIr => ({
      ...t,
      name: "x",
      regNames: t.regNames.map(() => "r"),
      positions: t.positions.map((q) => ({ ...q, file: "elsewhere.ts", line: 1 })),
    });
    const other: Program = {
      ...p,
      name: "other",
      threads: p.threads.map(strip),
      memory: { ...p.memory, symbols: [] },
    };
    expect(hashProgram(other)).toBe(hashProgram(p));
  });

  test("sees arguments, memory, objects and CPUs", () => {
    const p = program();
    const words = [...p.memory.words];
    words[5] = 1;
    const changed: Program[] = [
      program(3),
      { ...p, memory: { ...p.memory, words } },
      { ...p, memory: { ...p.memory, regions: p.memory.regions.map((r) => ({ ...r, live: !r.live })) } },
      { ...p, memory: { ...p.memory, regions: p.memory.regions.map((r) => ({ ...r, outside: true })) } },
      { ...p, threads: p.threads.map((t) => ({ ...t, cpu: t.cpu + 1 })) },
      { ...p, threads: [...p.threads].reverse() },
      { ...p, finally: null },
    ];
    const hashes = new Set([p, ...changed].map((q) => hashProgram(q)));
    expect(hashes.size).toBe(changed.length + 1);
  });

  test("sees the orders of accesses, if it is asked for", () => {
    const p = program();
    const relaxed = JSON.parse(
      JSON.stringify(p).replaceAll('"order":"mb"', '"order":"once"').replaceAll('"noreturn"', '"once"'),
    ) as Program;
    expect(relaxed.threads).not.toEqual(p.threads);
    expect(hashProgram(relaxed)).not.toBe(hashProgram(p));
    expect(hashProgram(relaxed, false)).toBe(hashProgram(p, false));
  });
});

describe("a file that is no program", () => {
  const good = JSON.parse(serialiseProgram({ ...emptyProgram() })) as Record<string, unknown>;
  test.each([
    ["", "not JSON"],
    ["[]", "program"],
    [JSON.stringify({ ...good, threads: [] }), "threads"],
    [JSON.stringify(good).replace('"cpu":0', '"cpu":"0"'), "threads.0.cpu"],
    [JSON.stringify(good).replace('"dst":0', '"dst":7'), "register 7 of 1"],
    [JSON.stringify(good).replace('"reg":0', '"reg":9'), "register 9 of 1"],
    [JSON.stringify(good).replace('"to":1', '"to":2'), "block 0 goes to 2 of 2"],
    [JSON.stringify(good).replace('"parent":-1', '"parent":0'), "position 0 has parent 0"],
    [JSON.stringify(good).replace('"op":"load"', '"op":"lode"'), "threads.0.blocks.0.instrs.0"],
    [
      JSON.stringify({
        ...good,
        memory: {
          words: new Array<number>(8).fill(0),
          symbols: [],
          regions: [
            { name: "b", base: 5, words: 2, pool: 0, live: true },
            { name: "a", base: 3, words: 3, pool: 0, live: true },
          ],
        },
      }),
      "a and b share words",
    ],
  ])("%# is refused, saying where", (text, where) => {
    expect(() => parseProgram(text)).toThrow(ProgramFormatError);
    expect(() => parseProgram(text)).toThrow(where);
  });

  test("is refused or read, never anything else, whatever one character is changed", () => {
    const text = serialiseProgram(emptyProgram());
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom("0", "9", "-", '"', "{", "]", "x"), (at, c) => {
        try {
          parseProgram(text.slice(0, at) + c + text.slice(at + 1));
        } catch (e) {
          expect(e).toBeInstanceOf(ProgramFormatError);
        }
      }),
    );
  });
});

function emptyProgram(): Program {
  return {
    name: "p",
    threads: [
      {
        name: "t",
        cpu: 0,
        nregs: 1,
        regNames: ["x"],
        arrays: [],
        params: [],
        blocks: [
          {
            instrs: [{ op: "load", dst: 0, addr: { reg: -1, imm: 4 }, order: "once", pos: 0 }],
            end: { op: "jump", to: 1, pos: 0 },
          },
          { instrs: [], end: { op: "return", a: { reg: 0, imm: 0 }, pos: 0 } },
        ],
        positions: [{ file: "f", line: 1, col: 1, fn: "f", parent: -1 }],
      },
    ],
    handlers: {},
    finally: null,
    memory: { words: [0, 0, 0, 0, 0], symbols: [], regions: [] },
  };
}
