/**
 * The engine and its models against the cat language: the same tests, read by another path (syntax tree and
 * macros instead of IR), under models written in cat. With HOLDFAST_LKMM=DIR, a tools/memory-model of Linux
 * 7.3, the kernel's own files judge as well; without it our retelling of them does
 * (tests/litmus/models/lkmm.cat).
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadCat } from "../../../src/check/cat/interpret.ts";
import { MODELS } from "../../../src/check/models/models.ts";
import { loadSetup, modelFilesOf, standing } from "../../../src/cli/cat-model.ts";
import { builtInMacros, parseDef, tagsOf } from "../../../src/litmus/cat/def.ts";
import { type CatSetup, runCat } from "../../../src/litmus/cat/run.ts";
import { parseLitmus } from "../../../src/litmus/parse.ts";
import { NOT_IN_DEF, PRIMITIVES } from "../../../src/litmus/primitives.ts";
import { type LitmusResult, loadLitmus, runLitmus } from "../../../src/litmus/run.ts";
import { randomCycle, randomLitmus } from "../random.ts";
import { randomKernel } from "../random-kernel.ts";
import { CAMPAIGN, hasShared, litmus, SHARED, suite } from "../support.ts";

const OWN = fileURLToPath(new URL("../models/lkmm.cat", import.meta.url));
const KERNEL = process.env["HOLDFAST_LKMM"] ?? "";
const hasKernel = KERNEL !== "" && existsSync(`${KERNEL}/linux-kernel.cat`);
const long = 60_000 * Math.max(1, CAMPAIGN);

const answer = (r: LitmusResult): string =>
  r.status === "error"
    ? "error"
    : `${r.status} ${r.verdict} ${r.positive} ${r.negative} ${r.stateCount} ${r.flags}`;

/** What differs between the engine and a cat model, on one test. */
function difference(source: string, model: string, setup: CatSetup): string[] {
  const builtIn = MODELS.get(model);
  if (builtIn === undefined) throw new Error(`no model ${model}`);
  const timeout = 60_000;
  const flags =
    model === "lkmm" ? (r: LitmusResult) => answer(r) : (r: LitmusResult) => answer({ ...r, flags: [] });
  const ours = flags(runLitmus(loadLitmus("t.litmus", source), { model: builtIn, timeout }));
  const cat = flags(runCat(parseLitmus("t.litmus", source), { setup, timeout }));
  return ours === cat ? [] : [`${source}\n${model}: ${ours}\n${setup.name}: ${cat}`];
}

const generators = [randomLitmus, randomCycle, randomKernel, randomKernel];

function campaign(model: string, setup: CatSetup, runs: number): void {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0x7fffffff }), fc.constantFrom(...generators), (seed, generate) => {
      expect(difference(generate(seed), model, setup)).toEqual([]);
    }),
    { numRuns: runs * CAMPAIGN, seed: 5 },
  );
}

const small = suite().filter((t) => t.test.file.procs.length <= 6);

describe.each([
  ["lkmm", OWN],
  ["sc", "sc.cat"],
  ["tso", "tso.cat"],
])("%s and its retelling in cat", (model, path) => {
  const setup = loadSetup(modelFilesOf(path));
  it("agree on our own tests", () => {
    expect(small.flatMap((t) => difference(t.source, model, setup))).toEqual([]);
  });
  it("agree on random programs with every primitive", { timeout: long }, () => {
    campaign(model, setup, model === "lkmm" ? 100 : 40);
  });
});

describe.skipIf(!hasKernel)("lkmm and the kernel's own files", () => {
  const setup = hasKernel ? loadSetup(modelFilesOf(KERNEL)) : null;
  it("they are those of Linux 7.3", () => {
    for (const f of ["linux-kernel.cat", "linux-kernel.bell", "linux-kernel.def", "lock.cat"])
      expect(standing(f, [KERNEL]), f).toBe("built-in");
  });
  it("agree on our own tests and on random programs", { timeout: long }, () => {
    if (setup === null) return;
    const known = small.filter((t) => ![...NOT_IN_DEF].some((name) => t.source.includes(`${name}(`)));
    expect(known.length).toBeGreaterThan(small.length - 5);
    expect(known.flatMap((t) => difference(t.source, "lkmm", setup))).toEqual([]);
    campaign("lkmm", setup, 120);
  });
  it("know the same primitives, and take them to be the same", () => {
    const def = parseDef("linux-kernel.def", readFileSync(`${KERNEL}/linux-kernel.def`, "utf8"));
    const ours = [...PRIMITIVES.keys()].filter((n) => !NOT_IN_DEF.has(n));
    expect([...def.keys()].sort()).toEqual(ours.sort());
    const made = builtInMacros();
    for (const [name, macro] of def) {
      expect([name, macro.arity, macro.statement]).toEqual([
        name,
        made.get(name)?.arity,
        made.get(name)?.statement,
      ]);
    }
  });
  it.skipIf(!hasShared)("give herd7's verdicts, counts, states and flags", { timeout: 3_600_000 }, () => {
    if (setup === null) return;
    const rows = readFileSync(`${SHARED}verdicts.tsv`, "utf8").trim().split("\n").slice(1);
    const step = CAMPAIGN > 1 ? 1 : 20;
    const wrong: string[] = [];
    for (let i = 0; i < rows.length; i += step) {
      const [path, , verdict, flags, positive, negative, states, status, cpu] = rows[i].split("\t");
      if (status !== "ok" || (CAMPAIGN === 1 && Number(cpu) > 0.05)) continue;
      const r = runCat(parseLitmus(path, readFileSync(`${SHARED}corpus/${path}`, "latin1")), {
        setup,
        timeout: 600_000,
      });
      const want = `ok ${verdict} ${positive} ${negative} ${states} ${flags}`;
      if (answer(r) !== want) wrong.push(`${path}: ${answer(r)}; herd7: ${want}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe("a model in cat", () => {
  const MP = litmus(
    ["WRITE_ONCE(*x, 1); smp_wmb(); WRITE_ONCE(*y, 1);", "r0 = READ_ONCE(*y); r1 = READ_ONCE(*x);"],
    "exists (1:r0=1 /\\ 1:r1=0)",
  );
  const own = (cat: string, def?: string): CatSetup => {
    const macros = def === undefined ? builtInMacros() : parseDef("t.def", def);
    const model = loadCat("t.cat", null, (n) => (n === "t.cat" ? cat : null), [], tagsOf(macros));
    return { name: "t", model, macros, version: 2 };
  };
  const run = (source: string, setup: CatSetup): string =>
    answer(runCat(parseLitmus("t", source), { setup }));
  const COHERENT = 'include "cos.cat"\nacyclic po-loc | rf | co | fr as coherence';

  it("may be as weak as coherence alone, and name events by what they are tagged with", () => {
    expect(run(MP, own(COHERENT))).toBe("ok Sometimes 1 3 4 ");
    const ordered = `${COHERENT}\nlet o = ([W] ; po ; [Wmb] ; po ; [W]) | ([R] ; po ; [R])\nacyclic o | rfe | fr as order`;
    expect(run(MP, own(ordered))).toBe("ok Never 0 3 3 ");
    expect(run(MP, own(`${COHERENT}\nflag ~empty Wmb as has-wmb`))).toBe("ok Sometimes 1 3 4 has-wmb");
  });

  it("may come with macros of its own", () => {
    const def =
      "WRITE_ONCE(X,V) { __store{put}(X,V); __fence{wmb}; }\nREAD_ONCE(X) __load{get}(X)\nsmp_wmb() { __fence{wmb}; }";
    const source = MP.replace(" smp_wmb();", "");
    expect(
      run(
        source,
        own(
          `${COHERENT}\nacyclic ([Put] ; po ; [Wmb] ; po ; [Put]) | ([Get] ; po ; [Get]) | rfe | fr as o`,
          def,
        ),
      ),
    ).toBe("ok Never 0 3 3 ");
    expect(() => run(litmus(["smp_mb();"], "exists (x=0)"), own(COHERENT, def))).toThrow(
      "Unknown macro smp_mb",
    );
  });

  it("is refused for a test that leaves its number of paths, its time or its values open, as the engine does", () => {
    const many = Array.from(
      { length: 14 },
      (_, i) => `r${i} = READ_ONCE(*x); if (r${i}) { WRITE_ONCE(*y, 1); }`,
    );
    expect(run(litmus([many.join(" "), "WRITE_ONCE(*x, 1);"], "exists (y=1)"), own(COHERENT))).toMatch(
      /^gave-up null/,
    );
    const setup = own(COHERENT);
    const writers = Array.from({ length: 8 }, () => "WRITE_ONCE(*x, 1); r0 = READ_ONCE(*x);");
    const r = runCat(parseLitmus("t", litmus(writers, "exists (x=2)")), { setup, timeout: 100 });
    expect([r.status, r.verdict]).toEqual(["gave-up", null]);
    expect(run(litmus(["r0 = READ_ONCE(*p); r1 = r0 + 1;"], "exists (0:r1=1)", "p=x;"), setup)).toBe("error");
    expect(run(litmus(["while (1) { WRITE_ONCE(*x, 1); }"], "exists (x=1)"), setup)).toBe(
      "bounded null 0 0 0 ",
    );
  });
});

describe("macro files", () => {
  it.each([
    ["f(X) __nothing(X)", "t.def:1: unknown primitive __nothing"],
    ["\nf(X __load{once}(X)", "t.def:2: expected ',', found '__load'"],
    ["f(X) __load{once}(X,X)", "t.def:1: __load takes 1 arguments, not 2"],
    ["f(X) __load{once}(X) X", "t.def:1: unexpected 'X'"],
    ["f()", "t.def:1: expected an expression, found 'end of line'"],
  ])("%s", (line, message) => {
    expect(() => parseDef("t.def", line)).toThrow(message);
  });
});
