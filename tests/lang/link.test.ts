/** Dialect functions mean the same run as JavaScript, interpreted as IR, and as emitted step functions. */
import fc from "fast-check";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compileThread } from "../../src/lang/emit.ts";
import { Linker, linkThread } from "../../src/lang/link.ts";
import { compileModule, loadModules } from "../../src/lang/modules.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import { mem, memblock_alloc, resetMemory } from "../../src/machine/memory.ts";
import * as basic from "./fixtures/basic.ts";
import { config } from "./fixtures/config.ts";
import { interpret, runCode } from "./helpers.ts";

const here = new URL("./fixtures/basic.ts", import.meta.url).href;
beforeAll(async () => {
  await loadModules([here]);
});
beforeEach(() => {
  config.fast = 1;
});

function boot(seed: readonly number[]): void {
  useSequentialHost();
  resetMemory(128);
  memblock_alloc("data", 40);
  seed.forEach((v, i) => {
    mem[80 + i] = v;
  });
}

const FUNCTIONS = {
  store_sum: basic.store_sum,
  loop_sum: basic.loop_sum,
  arrays: basic.arrays,
  knobs: basic.knobs,
  switches: basic.switches,
  atomics: basic.atomics,
  locked: basic.locked,
  hazards: basic.hazards,
} as const;

describe("a dialect function", () => {
  test.each(Object.entries(FUNCTIONS))(
    "%s gives the same result and memory in all three readings",
    (_, fn) => {
      const f = fn as (...args: number[]) => number;
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: -3, max: 9 }), { minLength: f.length, maxLength: f.length }),
          fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 9, maxLength: 9 }),
          fc.boolean(),
          (args, seed, fast) => {
            config.fast = fast ? 1 : 0;
            boot(seed);
            // -0 of JavaScript is 0 in a word.
            const plain = Number(f(...args)) | 0;
            const memory = Array.from(mem);
            const ir = linkThread({ name: "t", run: f, args, cpu: 0 });
            boot(seed);
            const slow = interpret(ir);
            expect(slow.end).toBe("finished");
            expect(slow.result).toBe(plain);
            expect(Array.from(mem)).toEqual(memory);
            boot(seed);
            const fast2 = runCode(compileThread(ir));
            expect(fast2).toEqual({ trace: slow.trace, end: slow.end });
            expect(Array.from(mem)).toEqual(memory);
          },
        ),
      );
    },
  );

  test("loses the branches that the configuration does not take", () => {
    config.fast = 1;
    const ir = linkThread({ name: "t", run: basic.knobs, args: [1], cpu: 0 });
    expect(ir.blocks).toHaveLength(1);
    expect(ir.blocks[0].instrs).toHaveLength(0);
    config.fast = 0;
    expect(linkThread({ name: "t", run: basic.knobs, args: [1], cpu: 0 }).blocks[0].instrs).toHaveLength(1);
  });

  test("named as an RCU callback becomes a handler with one parameter", () => {
    const linker = new Linker();
    linker.thread({ name: "t", run: basic.deferred, args: [1], cpu: 2 });
    const handlers = linker.handlers();
    const [id, handler] = Object.entries(handlers)[0];
    expect(id).toMatch(/basic\.ts#free_it$/);
    expect(handler.params).toHaveLength(1);
    boot([]);
    expect(runCode(compileThread(handler, 1), [81]).trace).toEqual(["store once addr=81 a=99 -> 0"]);
  });

  test("is compiled with all others of its file", () => {
    expect(compileModule(here).length).toBeGreaterThan(8);
  });
});
