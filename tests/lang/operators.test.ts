/**
 * Every two-operand operator of the IR gives the same in its definition, in the interpreter, in step
 * functions and in WebAssembly.
 */
import { expect, test } from "vitest";
import { compileThread } from "../../src/lang/emit.ts";
import { Interpreter } from "../../src/lang/interp.ts";
import { type BinOp, constant, evalBin, type ThreadIr, val } from "../../src/lang/ir.ts";
import { compileFunction } from "../../src/lang/wasm/compile.ts";

const OPS: readonly BinOp[] = [
  ...(["add", "sub", "mul", "div", "mod", "udiv", "umod", "and", "or", "xor", "shl", "shr", "ushr"] as const),
  ...(["eq", "ne", "lt", "le", "gt", "ge", "ult"] as const),
];
const VALUES = [0, 1, 2, 3, 7, 31, 255, 65536, 2147483647, -2147483648, -1, -2, -7, -65536];

/** (a, b) => { *64 = a fn b; return a fn b; } */
function body(fn: BinOp): ThreadIr {
  return {
    name: fn,
    cpu: 0,
    nregs: 3,
    regNames: ["a", "b", "r"],
    arrays: [],
    params: [0, 1],
    blocks: [
      {
        instrs: [
          { op: "bin", fn, dst: 2, a: val(0), b: val(1), pos: 0 },
          { op: "store", addr: constant(64), a: val(2), order: "plain", pos: 0 },
        ],
        end: { op: "return", a: val(2), pos: 0 },
      },
    ],
    positions: [{ file: "", line: 0, col: 0, fn: "", parent: -1 }],
  };
}

interface Wasm {
  readonly Memory: new (limits: { initial: number; maximum: number; shared: true }) => object;
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
}
const wasm = (globalThis as unknown as { readonly WebAssembly: Wasm }).WebAssembly;

test.each(OPS)("%s", (fn) => {
  const ir = body(fn);
  const code = compileThread(ir);
  const limits = { initial: 1, maximum: 1 };
  const { bytes } = compileFunction(ir, 0, { words: 128, privateAt: 256, memory: limits });
  const memory = new wasm.Memory({ ...limits, shared: true });
  const nothing = new Proxy({ memory } as Record<string, unknown>, {
    get: (o, name: string) => o[name] ?? (() => 0),
  });
  const run = new wasm.Instance(new wasm.Module(bytes), { env: nothing }).exports["run"] as (
    a: number,
    b: number,
  ) => number;
  for (const a of VALUES)
    for (const b of VALUES) {
      const want = evalBin(fn, a, b);
      const interpreter = new Interpreter(ir, [a, b]);
      const stop = interpreter.run();
      const stored =
        stop.k === "op" && stop.instr.op === "store" ? interpreter.value(stop.instr.a) : undefined;
      expect(stored, `interpreter: ${a} ${fn} ${b}`).toBe(want);
      const frame = new Int32Array(1 + code.nregs);
      frame[1 + code.params[0]] = a;
      frame[1 + code.params[1]] = b;
      code.entry(frame, 0);
      const op = code.ops[frame[0]].instr;
      expect(op.op === "store" && op.a.reg >= 0 && frame[1 + op.a.reg], `step: ${a} ${fn} ${b}`).toBe(want);
      expect(run(a, b), `wasm: ${a} ${fn} ${b}`).toBe(want);
    }
});

test("unsigned division takes its operands as unsigned, and a divisor of 0 gives 0", () => {
  expect(evalBin("udiv", -1, 2)).toBe(2147483647);
  expect(evalBin("umod", -1, 10)).toBe(5);
  expect(evalBin("udiv", 7, -1)).toBe(0);
  expect(evalBin("udiv", 7, 0)).toBe(0);
  expect(evalBin("umod", 7, 0)).toBe(0);
});
