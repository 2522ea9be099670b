/** Compiled kernel code does what the same lines do when Node runs them, and fails where they fail. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { bootPages, KINDS, leafPages } from "../../src/bench/pages.ts";
import { linkFunction } from "../../src/lang/link.ts";
import { loadModules } from "../../src/lang/modules.ts";
import { CannotCompile, compileFunction } from "../../src/lang/wasm/compile.ts";
import {
  bootForWasm,
  type CompiledFunction,
  compileForRun,
  PrivateRoom,
  type SharedWords,
} from "../../src/lang/wasm/run.ts";
import { IrreducibleError, structureOf } from "../../src/lang/wasm/structure.ts";
import { KernelBug } from "../../src/machine/errors.ts";
import { POISON } from "../../src/machine/image.ts";
import { mem, memblock_alloc, memoryTop, resetMemory } from "../../src/machine/memory.ts";
import { pin_user_pages_fast_only, unpin_user_pages } from "../../src/mm/gup.ts";
import { FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { arith, divide, spin, waiting } from "./fixtures/wasm.ts";

const GUP = new URL("../../src/mm/gup.ts", import.meta.url).href;
const FIXTURE = new URL("./fixtures/wasm.ts", import.meta.url).href;

/** toEqual() takes minutes for millions of words. */
const same = (a: Int32Array, b: Int32Array): boolean =>
  Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0;

beforeAll(async () => {
  await loadModules([GUP, FIXTURE]);
});

function fixture(name: string): { run: CompiledFunction; shared: SharedWords; base: number } {
  let base = 0;
  const shared = bootForWasm(() => {
    resetMemory(256);
    base = memblock_alloc("words", 8);
  }, 1024);
  return { run: compileForRun({ module: FIXTURE, name }, shared, new PrivateRoom(shared)), shared, base };
}

describe("compiled functions", () => {
  test.each(KINDS)(
    "pin and release %s like the lines that they were compiled from",
    (kind) => {
      fc.assert(
        fc.property(
          fc.constantFrom("v5.10" as const, "rfc-2020-12" as const, "v6.12" as const, "v7.3" as const),
          fc.integer({ min: 0, max: 1023 }),
          fc.integer({ min: 1, max: 600 }),
          (preset, at, want) => {
            const nr = Math.max(1024, leafPages(kind));
            const n = Math.min(want, 1024 - at);
            const compound = preset !== "v5.10";
            const p = bootPages({ preset, kind, nr, compound });
            const pages = new Int32Array(n);
            const got = pin_user_pages_fast_only(p.mm, p.start + at, n, FOLL_WRITE, pages);
            const pinned = mem.slice(0, memoryTop());
            unpin_user_pages(pages, got);
            const released = mem.slice(0, memoryTop());

            let q = p;
            const shared = bootForWasm(() => void (q = bootPages({ preset, kind, nr, compound })), 4096);
            const room = new PrivateRoom(shared);
            const array = room.take(n);
            const pin = compileForRun(pin_user_pages_fast_only as never, shared, room);
            const unpin = compileForRun(unpin_user_pages as never, shared, room);
            expect(pin(q.mm, q.start + at, n, FOLL_WRITE, array.base, n)).toBe(got);
            expect(room.view(array)).toEqual(pages);
            expect(same(mem.slice(0, memoryTop()), pinned)).toBe(true);
            unpin(got, array.base, n);
            expect(same(mem.slice(0, memoryTop()), released)).toBe(true);
          },
        ),
        { numRuns: kind === "dax1g" ? 1 : 4 },
      );
    },
    120_000,
  );

  test("arithmetic wraps and divides as in JavaScript", () => {
    const { run } = fixture("arith");
    const { run: div } = fixture("divide");
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        expect(run(a, b)).toBe(arith(a, b));
        if (b !== 0) expect(div(a, b)).toBe(divide(a, b));
      }),
    );
    expect(div(-(2 ** 31), -1)).toBe(-(2 ** 31));
  });

  test("loops and nested branches keep their shape", () => {
    const { run } = fixture("spin");
    for (let n = 0; n < 40; n++) expect(run(n)).toBe(spin(n));
  });

  test("a wait that is satisfied passes, one that never can be is a deadlock", () => {
    const { run, base } = fixture("waiting");
    mem[base] = 7;
    expect(run(base, 7)).toBe(waiting(base, 7));
    expect(() => run(base, 8)).toThrow(/deadlock|nothing else runs/);
  });

  test("freed memory, an address outside and an index outside are the same errors as elsewhere", () => {
    const kind = (f: () => unknown): string => {
      try {
        f();
      } catch (e) {
        if (e instanceof KernelBug) return e.kind;
        throw e;
      }
      return "none";
    };
    const read = fixture("read");
    mem[read.base] = POISON;
    expect(kind(() => read.run(read.base))).toBe("use-after-free");
    for (const p of [0, 63, -1, 256, 2 ** 30 + 64, -(2 ** 31)])
      expect(kind(() => read.run(p))).toBe("bad-address");
    const write = fixture("write");
    mem[write.base] = POISON;
    expect(kind(() => write.run(write.base, 1))).toBe("use-after-free");
    const index = fixture("index");
    expect(kind(() => index.run(4))).toBe("out-of-bounds");
    expect(kind(() => index.run(-1))).toBe("out-of-bounds");
    expect(index.run(3)).toBe(9);
    const claim = fixture("claim");
    expect(kind(() => claim.run(0))).toBe("assertion");
  });

  test("a function that queues a callback is refused, not miscompiled", () => {
    const { ir, boundArrays } = linkFunction({ module: FIXTURE, name: "later" });
    expect(() =>
      compileFunction(ir, boundArrays, { words: 64, privateAt: 64, memory: { initial: 1, maximum: 1 } }),
    ).toThrow(CannotCompile);
  });

  test("a machine that was booted since needs another compilation", () => {
    const { shared } = fixture("read");
    fixture("read");
    expect(() => compileForRun({ module: FIXTURE, name: "read" }, shared, new PrivateRoom(shared))).toThrow(
      /booted since/,
    );
  });
});

describe("structure", () => {
  const end = (to: number): { op: "jump"; to: number; pos: 0 } => ({ op: "jump", to, pos: 0 });
  const branch = (
    t: number,
    e: number,
  ): { op: "branch"; cond: { reg: 0; imm: 0 }; then: number; else: number; pos: 0 } => ({
    op: "branch",
    cond: { reg: 0, imm: 0 },
    // biome-ignore lint/suspicious/noThenProperty: the IR's name for the target of a branch that is taken
    then: t,
    else: e,
    pos: 0,
  });
  const ret = { op: "return", a: { reg: -1, imm: 0 }, pos: 0 } as const;

  test("a loop with two entries is refused", () => {
    const blocks = [branch(1, 2), end(2), branch(1, 3), ret].map((e) => ({ instrs: [], end: e }));
    expect(() => structureOf(blocks)).toThrow(IrreducibleError);
  });
  test("the merge of a diamond belongs to its head", () => {
    const blocks = [branch(1, 2), end(3), end(3), ret].map((e) => ({ instrs: [], end: e }));
    const s = structureOf(blocks);
    expect(s.merges[0]).toEqual([3]);
    expect(s.isMerge[3]).toBe(true);
  });
});
