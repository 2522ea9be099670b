/** Exact counts of executions for classical programs, by verdict and by formula. */
import { describe, expect, it } from "vitest";
import { EnumerateError, pathsOf } from "../../../src/check/enumerate/path.ts";
import { sc } from "../../../src/check/models/global-order.ts";
import { postdominators } from "../../../src/lang/postdom.ts";
import { litmus, observation, run } from "../../litmus/support.ts";

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
const repeat = (n: number, body: (i: number) => string): string[] =>
  Array.from({ length: n }, (_, i) => body(i));

describe("counts", () => {
  it.each([1, 2, 3, 4, 5, 6])("%d atomic increments have n! executions and one state", (n) => {
    const r = run(
      litmus(
        repeat(n, () => "atomic_inc(x);"),
        `exists (x=${n})`,
      ),
    );
    expect([r.positive, r.negative, r.stateCount]).toEqual([factorial(n), 0, 1]);
  });

  it.each([1, 2, 4, 8, 16])("a writer and %d readers have 2^n executions and states", (n) => {
    const atoms = repeat(n, (i) => `${i + 1}:r0=1`).join(" /\\ ");
    const r = run(
      litmus(["WRITE_ONCE(*x, 1);", ...repeat(n, () => "r0 = READ_ONCE(*x);")], `exists (${atoms})`),
    );
    expect([r.positive, r.negative, r.stateCount]).toEqual([1, 2 ** n - 1, 2 ** n]);
  });

  it.each([2, 3, 4, 5])("%d critical sections have n! orders", (n) => {
    const r = run(
      litmus(
        repeat(n, () => "spin_lock(l); r0 = READ_ONCE(*x); WRITE_ONCE(*x, r0 + 1); spin_unlock(l);"),
        `exists (x=${n})`,
      ),
    );
    expect([r.positive, r.negative, r.stateCount]).toEqual([factorial(n), 0, 1]);
  });

  it("a ring of 40 grace periods and readers is decided, with all of its 2^40 executions counted", () => {
    const n = 40;
    const body = (i: number): string => {
      const access = [`r0 = READ_ONCE(*a${i});`, `WRITE_ONCE(*a${(i + 1) % n}, 1);`];
      return i % 2 === 0
        ? access.join("synchronize_rcu();")
        : `rcu_read_lock();${access.join("")}rcu_read_unlock();`;
    };
    const threads = repeat(n, (i) => `P${i}(int *a${i}, int *a${(i + 1) % n}) { ${body(i)} }`);
    const r = run(
      `C ring\n{}\n${threads.join("\n")}\nexists (${repeat(n, (i) => `${i}:r0=1`).join(" /\\ ")})`,
    );
    expect([r.status, r.verdict, r.positive, r.negative]).toEqual(["ok", "Never", 0, 2 ** n - 1]);
  });

  it("load buffering is enumerated under the LKMM and absent under SC", () => {
    const source = litmus(
      ["r0 = READ_ONCE(*x); WRITE_ONCE(*y, 1);", "r0 = READ_ONCE(*y); WRITE_ONCE(*x, 1);"],
      "exists (0:r0=1 /\\ 1:r0=1)",
    );
    expect(observation(source)).toBe("Sometimes 1 3");
    expect(observation(source, sc)).toBe("Never 0 3");
  });

  it("values in a circle of plain copies stay undetermined; through arithmetic they have no execution", () => {
    const copies = litmus(["r0 = *x; *y = r0;", "r0 = *y; *x = r0;"], "exists (not (0:r0=0))");
    expect(observation(copies)).toBe("Sometimes 1 3 data-race");
    const sums = litmus(["r0 = *x; *y = r0 + 1;", "r0 = *y; *x = r0 + 1;"], "exists (0:r0=0 /\\ 1:r0=0)");
    expect(run(sums).positive + run(sums).negative).toBe(3);
  });

  it("a pointer that is followed decides which location is written", () => {
    const r = run(
      litmus(
        ["r0 = rcu_dereference(*p); WRITE_ONCE(*r0, 1);", "WRITE_ONCE(*p, y);"],
        "locations [x;y]\nexists (0:r0=x)",
        "p=x;",
      ),
    );
    expect([r.positive, r.negative, r.stateCount]).toEqual([1, 1, 2]);
  });

  it("filter leaves executions out of the counts", () => {
    expect(
      observation(litmus(["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x);"], "filter (1:r0=1)\nexists (1:r0=1)")),
    ).toBe("Always 1 0");
  });
});

describe("states", () => {
  it("are told apart by what is shown, not by what only the filter looks at", () => {
    const r = run(
      litmus(
        ["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x); r1 = READ_ONCE(*y);", "WRITE_ONCE(*y, 1);"],
        "filter (1:r1=0 \\/ 1:r1=1)\nexists (1:r0=1)",
      ),
    );
    expect([r.positive, r.negative, r.stateCount]).toEqual([2, 2, 2]);
    expect([...(r.states.sorted((a, b) => a - b) ?? [])]).toEqual([[0], [1]]);
  });

  it("are counted so among many executions that are counted as products, too", () => {
    const readers = repeat(7, (i) => `r0 = READ_ONCE(*x); r1 = READ_ONCE(*y); r2 = ${i};`);
    const atoms = (r: string, join: string): string => repeat(7, (i) => `${i + 1}:${r}=1`).join(join);
    const r = run(
      litmus(
        ["WRITE_ONCE(*x, 1); WRITE_ONCE(*y, 1);", ...readers],
        `filter (not (${atoms("r1", " /\\ ")})) exists (${atoms("r0", " /\\ ")})`,
      ),
    );
    expect(r.positive + r.negative).toBe(2 ** 14 - 2 ** 7);
    expect(r.stateCount).toBe(2 ** 7);
  });
});

describe("paths", () => {
  it("a control dependency ends where the arms of the branch meet", () => {
    const source =
      "C t\n{}\nP0(int *x, int *y, int *z) { r0 = READ_ONCE(*x); if (r0) { WRITE_ONCE(*y, 1); } WRITE_ONCE(*z, 1); }\nexists (x=0)";
    const { program } = run(source).test;
    const paths = pathsOf(program.threads[0], {
      unroll: 2,
      maxPaths: 10,
      maxEvents: 10,
      locations: program.memory.symbols.map((s) => s.base),
      check: () => {},
    });
    const long = paths.find((p) => p.events.length === 3);
    expect(long?.events.map((e) => [...e.ctrlDeps])).toEqual([[], [0], []]);
    expect(paths.length).toBe(2);
  });

  it("the blocks of a branch are postdominated by the block after it", () => {
    const pos = 0;
    const jump = (to: number) => ({ instrs: [], end: { op: "jump", pos, to } as const });
    const blocks = [
      // biome-ignore lint/suspicious/noThenProperty: the IR's name for the taken branch
      { instrs: [], end: { op: "branch", pos, cond: { reg: 0, imm: 0 }, then: 1, else: 2 } as const },
      jump(3),
      jump(3),
      { instrs: [], end: { op: "return", pos, a: { reg: -1, imm: 0 } } as const },
    ];
    expect(postdominators(blocks)).toEqual([3, 3, 3, -1]);
  });

  it("a thread with too many paths is given up with a reason, not answered", () => {
    const body = Array.from(
      { length: 20 },
      (_, i) => `r${i} = READ_ONCE(*x); if (r${i}) { WRITE_ONCE(*y, 1); }`,
    ).join(" ");
    const r = run(litmus([body, "WRITE_ONCE(*x, 1);"], "exists (y=1)"));
    expect(r.status).toBe("gave-up");
    expect(r.verdict).toBeNull();
    expect(r.message).toMatch(/more than 5000 paths/);
    expect(EnumerateError).toBeDefined();
  });
});
