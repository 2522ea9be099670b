/**
 * The cat language on a small set of events: what each construct gives, told by a flag that is raised where
 * an equation holds; choices are followed one by one; mistakes have their place.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CatEvents, interpretCat, loadCat } from "../../../src/check/cat/interpret.ts";
import { Rel } from "../../../src/check/models/relation.ts";

/** Two initial writes, then P0: W x, R y; P1: W y, R x. */
const THREAD = [-1, -1, 0, 0, 1, 1];
const LOC = [0, 1, 0, 1, 1, 0];
const N = 6;

const set = (...members: number[]): Int32Array => Int32Array.of(members.reduce((s, i) => s | (1 << i), 0));
const rel = (...pairs: (readonly [number, number])[]): Int32Array => {
  const r = new Int32Array(N);
  for (const [i, j] of pairs) r[i] |= 1 << j;
  return r;
};

function events(): CatEvents {
  return {
    n: N,
    thread: Int32Array.from(THREAD),
    loc: Int32Array.from(LOC),
    sets: new Map([
      ["R", set(3, 5)],
      ["W", set(0, 1, 2, 4)],
      ["M", set(0, 1, 2, 3, 4, 5)],
      ["IW", set(0, 1)],
    ]),
    relations: new Map([
      ["po", rel([2, 3], [4, 5])],
      ["rmw", rel()],
    ]),
    kept: new Map(),
  };
}

/** The flags of each way through the model; both reads read the initial values. */
function run(source: string, files: Record<string, string> = {}, base = events()): string[] {
  const model = loadCat("t.cat", null, (n) => ({ "t.cat": source, ...files })[n] ?? null, ["v2"]);
  const out: string[] = [];
  const choice = { rf: rel([1, 3], [0, 5]), fw: set(), differ: (i: number, j: number) => i + j === 8 };
  interpretCat(model, base, choice, (flags) => out.push([...flags].sort().join()));
  return out;
}

/** Whether two expressions are equal, by the one axiom that is at hand for that. */
const equal = (a: string, b: string, before = ""): boolean =>
  run(`${before}\nflag empty ((${a}) \\ (${b})) | ((${b}) \\ (${a})) as same`).join() === "same";

describe("expressions", () => {
  it.each([
    ["po ; po", "0"],
    ["fr", "rf^-1 ; co", 'include "cos.cat"'],
    ["po-loc", "po & loc"],
    ["fencerel(R)", "0"],
    ["[R] ; po^-1", "po^-1"],
    ["domain(rf)", "IW"],
    ["range(rf)", "R"],
    ["R | W", "M"],
    ["~R & M", "W"],
    ["_ * _", "id | ~id"],
    ["int | ext | (IW * IW)", "M * M"],
    ["rfe", "rf"],
    ["co0", "loc & (IW * (W \\ IW))"],
    ["singlestep((po | po^-1)+)", "0"],
    ["f(W, R) & po", "po", "let f(a, b) = a * b"],
    ["f W R & po", "po", "let f a b = a * b"],
    ["k", "IW", "let c = R\nlet k = try nonsense with W \\ range(po) \\ domain(po)"],
    ["x", "R", 'let x = if "v2" then R else W'],
    ["x", "W", 'let x = if "v3" then R else W'],
    ["x", "R", "let x = if po subset (po | rf) then R else W"],
    ["x", "W", "let x = match 'b with || 'a -> R || _ -> W end"],
    ["x", "M", "let rec u(s) = match s with || {} -> 0 || e ++ t -> e ++ u(t) end\nlet x = u(M)"],
  ])("%s is %s", (a, b, before = "") => {
    expect(equal(a, b, before)).toBe(true);
  });

  it("a set of sets has each member once", () => {
    expect(run("let s = map (fun e -> {e}) R\nwith x from s\nflag ~empty x as some")).toEqual([
      "some",
      "some",
    ]);
    expect(run("let s = map (fun e -> R) M\nwith x from s\nflag ~empty x as some")).toEqual(["some"]);
  });

  it("values are asked for where pairs of events differ", () => {
    const source = "flag ~empty different-values(R * R) as yes\nflag ~empty different-values(IW * IW) as no";
    expect(run(source)).toEqual(["yes"]);
  });

  const pairs = fc.array(fc.tuple(fc.nat(N - 1), fc.nat(N - 1)), { maxLength: 8 });
  const OPS: Record<string, (a: Rel, b: Rel) => Rel> = {
    "a | b": (a, b) => a.or(b),
    "a & b": (a, b) => a.and(b),
    "a \\ b": (a, b) => a.minus(b),
    "a ; b": (a, b) => a.seq(b),
    "a^-1": (a) => a.inverse(),
    "a+": (a) => a.plus(),
    "a*": (a) => a.star(),
    "a?": (a) => a.opt(),
    "(a ; b?)* \\ id": (a, b) =>
      a
        .seq(b.opt())
        .star()
        .minus(Rel.id(N, () => true)),
  };
  it("relations are combined as the algebra has it", () => {
    fc.assert(
      fc.property(pairs, pairs, (a, b) => {
        const algebra = (list: readonly (readonly [number, number])[]): Rel =>
          Rel.of(N, (i, j) => list.some(([x, y]) => x === i && y === j));
        for (const [expression, f] of Object.entries(OPS)) {
          const want = f(algebra(a), algebra(b));
          const base = events();
          const all: [number, number][] = [];
          for (let i = 0; i < N; i++) for (let j = 0; j < N; j++) if (want.has(i, j)) all.push([i, j]);
          const relations = new Map([
            ...base.relations,
            ["a", rel(...a)],
            ["b", rel(...b)],
            ["w", rel(...all)],
          ] as [string, Int32Array][]);
          const source = `let r = ${expression}\nflag empty (r \\ w) | (w \\ r) as same`;
          expect(run(source, {}, { ...base, relations }), expression).toEqual(["same"]);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("statements", () => {
  it("an axiom that fails ends the way, a flag does not", () => {
    expect(run("flag ~empty po as busy\nacyclic po | rf as fine\nflag empty po as idle")).toEqual(["busy"]);
    expect(run("irreflexive po ; po^-1 as broken")).toEqual([]);
    expect(run("~acyclic po | po^-1 as wanted")).toEqual([""]);
  });

  it("`with` follows every choice, coherence orders among them", () => {
    expect(run('include "cos.cat"\nflag ~empty co & ext as some')).toEqual(["some"]);
    expect(run("with r from cross({{po, 0}, {rf, po}})\nflag ~empty r & rf as rf")).toHaveLength(3);
    expect(run("with r from {}\nflag ~empty po as never")).toEqual([]);
  });

  it("a name that is bound again is new for what follows, old for what was defined with it", () => {
    expect(equal("f(R)", "R", "let x = R\nlet f(s) = s & x\nlet x = W")).toBe(true);
    expect(equal("x & W", "W", "let x = R\nlet x = x | W")).toBe(true);
  });

  it("`let rec` gives the least solution, of several names too", () => {
    expect(equal("t", "(po | rf)+", "let r = po | rf\nlet rec t = r | (t ; r)")).toBe(true);
    expect(equal("a | b", "po+", "let rec a = po | (b ; po) and b = a ; po")).toBe(true);
  });

  it("procedures and `forall` check", () => {
    expect(run("procedure none(a, b) = empty a & b end\ncall none(po, rf)\nflag ~empty po as after")).toEqual(
      ["after"],
    );
    expect(run("procedure none(a, b) = empty a & b end\ncall none(po, po)")).toEqual([]);
    expect(run("forall e in R do empty [{e}] ; po end\nflag ~empty po as after")).toEqual(["after"]);
    expect(run("forall e in W do empty [{e}] ; po end")).toEqual([]);
  });

  it("what does not depend on sources is kept between choices, what does is not", () => {
    const base = events();
    const source =
      "let a = po+\nlet b = rf+\nlet f(r) = r | rf\nlet c = f(po)\nflag ~empty b & (IW * R) as init\nflag ~empty c & rf as both";
    const model = loadCat("t.cat", null, (n) => (n === "t.cat" ? source : null), []);
    const flags = (rf: Int32Array): string => {
      let out = "";
      interpretCat(model, base, { rf, fw: set(), differ: () => false }, (f) => {
        out = [...f].join();
      });
      return out;
    };
    expect(flags(rel([1, 3]))).toBe("init,both");
    expect(flags(rel([4, 3]))).toBe("both");
    expect(flags(rel())).toBe("");
  });
});

describe("mistakes", () => {
  it.each([
    ["let x = nothing", "t.cat:1:9: 'nothing' is not defined"],
    ["let x = R ; po", "t.cat:1:11: expected a relation, not a set of events"],
    ["let x = po(R)", "t.cat:1:9: a relation cannot be called"],
    ["let x = domain(R)", "t.cat:1:9: expected a relation, not a set of events"],
    ["acyclic R as x", "t.cat:1:1: expected a relation"],
    ["let f(a, b) = a\nlet x = f(R)", "t.cat:2:9: expected 2 values in parentheses, found a set of events"],
    ["let rec f(x) = f(x)\nlet y = f(R)", "functions call each other too deeply"],
    ['include "nowhere.cat"', "t.cat:1:1: file 'nowhere.cat' cannot be read"],
    ['include "t.cat"', "does 't.cat' include itself?"],
    ["call po(R)", "'po' is a relation, not a procedure"],
  ])("%s", (source, message) => {
    expect(() => run(source)).toThrow(message);
  });
});
