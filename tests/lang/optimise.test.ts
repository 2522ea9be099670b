/**
 * The optimiser and the register allocator on graphs that no dialect source gives, and on the edges of their
 * rules.
 */
import { describe, expect, test } from "vitest";
import { cleanCfg, dominators, predecessors } from "../../src/lang/cfg.ts";
import { compileThread } from "../../src/lang/emit.ts";
import { constant, type Instr, type Terminator, type ThreadIr, val } from "../../src/lang/ir.ts";
import { compact, type FlatFn, optimise } from "../../src/lang/optimise.ts";

const pos = 0;
const ret = (r = -1): Terminator => ({ op: "return", a: r < 0 ? constant(0) : val(r), pos });
const jump = (to: number): Terminator => ({ op: "jump", to, pos });
const branch = (reg: number, then: number, otherwise: number): Terminator => ({
  op: "branch",
  cond: val(reg),
  then,
  else: otherwise,
  pos,
});
const load = (dst: number, at: number): Instr => ({
  op: "load",
  dst,
  addr: constant(at),
  order: "once",
  pos,
});
const store = (at: number, reg: number): Instr => ({
  op: "store",
  addr: constant(at),
  a: val(reg),
  order: "once",
  pos,
});
const mov = (dst: number, a: ReturnType<typeof val>): Instr => ({ op: "mov", dst, a, pos });

function fn(nregs: number, blocks: [Instr[], Terminator][]): FlatFn {
  return {
    nregs,
    regNames: Array.from({ length: nregs }, (_, r) => `r${r}`),
    params: [],
    arrays: [],
    fixedArrays: 0,
    blocks: blocks.map(([instrs, end]) => ({ instrs: instrs as FlatFn["blocks"][number]["instrs"], end })),
  };
}

const ops = (f: FlatFn): string[] => f.blocks.flatMap((b) => b.instrs.map((i) => i.op));

describe("optimise", () => {
  test("does not take a register for a constant that is defined on one path only: elsewhere it is 0", () => {
    const f = fn(2, [
      [[load(0, 4)], branch(0, 1, 2)],
      [[mov(1, constant(5))], jump(2)],
      [[store(8, 1)], ret()],
    ]);
    optimise(f);
    const last = f.blocks.flatMap((b) => b.instrs).find((i) => i.op === "store");
    expect(last).toMatchObject({ a: { reg: 1, imm: 0 } });
  });

  test("does not replace a copy by its original once that has changed", () => {
    const f = fn(2, [[[load(0, 4), mov(1, val(0)), load(0, 5), store(8, 1), store(9, 0)], ret()]]);
    optimise(f);
    const stores = f.blocks[0].instrs.filter((i) => i.op === "store");
    expect(stores.map((i) => (i.op === "store" ? i.a.reg : -1))).toEqual([1, 0]);
  });

  test("keeps a data dependency that arithmetic would cancel", () => {
    for (const bin of ["xor", "sub", "and", "mul"] as const) {
      const b = bin === "xor" || bin === "sub" ? val(0) : constant(0);
      const f = fn(2, [
        [[load(0, 4), { op: "bin", fn: bin, dst: 1, a: val(0), b, pos }, store(8, 1)], ret()],
      ]);
      optimise(f);
      expect(ops(f)).toEqual(["load", "bin", "store"]);
    }
  });

  test("keeps every visible operation, in order, used or not", () => {
    const f = fn(2, [[[load(0, 4), load(0, 5), { op: "fence", kind: "mb", pos }, load(1, 4)], ret()]]);
    optimise(f);
    expect(ops(f)).toEqual(["load", "load", "fence", "load"]);
  });

  test("threads a jump whose outcome is known through the block that decides", () => {
    // r1 = r0 ? 1 : 0; if (r1) store
    const f = fn(2, [
      [[load(0, 4)], branch(0, 1, 2)],
      [[mov(1, constant(1))], jump(3)],
      [[mov(1, constant(0))], jump(3)],
      [[], branch(1, 4, 5)],
      [[store(8, 0)], ret()],
      [[], ret()],
    ]);
    optimise(f);
    compact(f);
    expect(f.blocks).toHaveLength(3);
    expect(f.nregs).toBe(1);
  });

  test("a failing assertion stays, one that holds goes", () => {
    const assertion = (a: number): Instr => ({
      op: "assert",
      kind: "assertion",
      a: constant(a),
      message: "m",
      pos,
    });
    const f = fn(0, [[[assertion(1), assertion(0)], ret()]]);
    optimise(f);
    expect(ops(f)).toEqual(["assert"]);
  });
});

describe("control-flow clean-up", () => {
  test("ends on empty endless loops, of one block and of two", () => {
    expect(cleanCfg([{ instrs: [], end: jump(0) }])).toHaveLength(1);
    const two = cleanCfg([
      { instrs: [], end: jump(1) },
      { instrs: [], end: jump(2) },
      { instrs: [], end: jump(1) },
    ]);
    expect(two.every((b) => b.end.op === "jump")).toBe(true);
  });

  test("dominators of a diamond with a loop around it", () => {
    const blocks = cleanCfg(
      fn(1, [
        [[load(0, 4)], jump(1)],
        [[load(0, 5)], branch(0, 2, 3)],
        [[load(0, 6)], jump(4)],
        [[load(0, 7)], jump(4)],
        [[load(0, 8)], branch(0, 1, 5)],
        [[], ret()],
      ]).blocks,
    );
    const idom = [...dominators(predecessors(blocks))];
    expect(idom).toEqual([0, 0, 1, 1, 1, 4]);
  });
});

describe("step functions", () => {
  const thread = (nregs: number, arrays: ThreadIr["arrays"], blocks: [Instr[], Terminator][]): ThreadIr => ({
    name: "t",
    cpu: 0,
    nregs,
    regNames: [],
    arrays,
    params: [],
    blocks: blocks.map(([instrs, end]) => ({ instrs: instrs as ThreadIr["blocks"][number]["instrs"], end })),
    positions: [{ file: "f", line: 1, col: 1, fn: "f", parent: -1 }],
  });

  test("keep an array that lives across operations, and clear it when it is dead", () => {
    const code = compileThread(
      thread(
        2,
        [{ name: "a", size: 2 }],
        [
          [
            [
              load(0, 4),
              { op: "aset", arr: 0, idx: val(0), a: constant(7), pos },
              load(1, 5),
              { op: "aget", dst: 1, arr: 0, idx: val(1), pos },
              store(6, 1),
            ],
            ret(),
          ],
        ],
      ),
    );
    const m = new Int32Array(1 + code.nregs);
    const result = (pc: number, value: number): void => {
      const { instr, cont } = code.ops[pc];
      if ("dst" in instr) m[1 + instr.dst] = value;
      expect(cont(m, 0)).toBe(0);
    };
    expect(code.entry(m, 0)).toBe(0);
    result(1, 1);
    result(2, 1);
    const op = code.ops[m[0]].instr;
    expect(op.op === "store" && m[1 + op.a.reg]).toBe(7);
    result(3, 0);
    expect([...m]).toEqual(new Array(m.length).fill(0));
  });

  test("of long chains of branches nest no deeper than a parser bears", () => {
    const n = 2000;
    const blocks: [Instr[], Terminator][] = [[[load(0, 4)], jump(1)]];
    for (let i = 1; i <= n; i++)
      blocks.push([
        [{ op: "bin", fn: "add", dst: 1, a: val(0), b: constant(i), pos }],
        branch(1, i + 1, n + 1),
      ]);
    blocks.push([[store(8, 1)], ret()]);
    const code = compileThread(thread(2, [], blocks));
    const m = new Int32Array(1 + code.nregs);
    code.entry(m, 0);
    m[1] = 1;
    expect(code.ops[1].cont(m, 0)).toBe(0);
    expect(m[0]).toBe(2);
  });
});
