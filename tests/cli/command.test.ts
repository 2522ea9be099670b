/**
 * The command as a user meets it: exit codes, coded refusals without stack traces, JSON, colours, limits,
 * Ctrl-C. Runs the built package in processes of its own.
 */

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkC } from "../../src/check/c/check.ts";
import { TraceSchema } from "../../src/check/trace/schema.ts";
import { ClaimsSchema } from "../../src/claims/schema.ts";
import { nodeFiles } from "../../src/lang/c/node-files.ts";
import { expectRefusal, holdfast, interrupted, project, ROOT, scenarioModule } from "./helpers.ts";

const CELL = "C5/arm64/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/sc";
const VECTOR = "tests/vectors/traces/6.1.0-56/overflow.jsonl.gz";
const VIOLATED = "C5/arm64/fsdax/ref-not-taken/external/v5.10/no-pin/1x1/sc";

describe("usage", () => {
  test("--version prints the package's version", async () => {
    const o = await holdfast(["--version"]);
    expect(o).toMatchObject({ exit: 0, err: "" });
    expect(o.out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
  test("--help names every command and the exit codes", async () => {
    const o = await holdfast(["--help"]);
    expect(o.exit).toBe(0);
    for (const c of ["claims", "explain", "check", "run", "list", "litmus"])
      expect(o.out).toContain(`\n  ${c} `);
    expect(o.out).toMatch(/130\s+interrupted/);
  });
  test.each(["check", "explain", "run"])("%s says that a scenario file runs as code", async (command) => {
    expect((await holdfast([command, "--help"])).out.replace(/\s+/g, " ")).toContain(
      "run as code, with your rights",
    );
  });
  test.each([
    [["clams"], "HF001", "did you mean claims?"],
    [["run", "--sed", "1"], "HF001", "did you mean --seed?"],
    [["claims", "C55"], "HF002", "C55"],
    [["claims", "C9", "--arch", "arm64"], "HF003", "holdfast claims C9"],
    [["replay", "no-such-folder"], "HF024", "<family>.jsonl"],
    [["replay", VECTOR, "--record", "package.json"], "HF023", "package.json"],
    [["replay", VECTOR, "--record", "/proc/none"], "HF023", "/proc/none"],
    [["claims", "C9/pin-2mm"], "HF003", "did you mean C9/pin-2m?"],
    [["claims", "C5/arm/fsdax"], "HF003", "did you mean C5/arm64/fsdax?"],
    [["claims", "--arch", "amr64"], "HF004", "did you mean arm64?"],
    [["claims", "C4", "--arch", "arm64"], "HF003", "no cell matches"],
    [["explain", "C5/arm64"], "HF003", "names"],
    [["explain", `${CELL}/without-ipi`], "HF003", "no such mechanism"],
    [["check", "stress/gup-unbid-2"], "HF007", "did you mean stress/gup-unbind-2?"],
    [["check", "no-such-file.ts"], "HF008", "no-such-file.ts"],
    [["check", "package.json"], "HF009", "package.json"],
    [["check", "stress/gup-unbind-2", "--model", "arm"], "HF017", "arm"],
    [["run", "--cpus", "1"], "HF013", "2 to 16"],
    [["run", "--seconds", "-3"], "HF013", "-3"],
    [["run", "--seed", "1e3"], "HF013", "1e3"],
    [["run", "--cpus", "3", "--scenario", "stress/gup-unbind-2"], "HF015", "--cpus 3"],
    [["run", "--delay", "walker"], "HF019", "walker"],
    [["run", "--delay", "nobody@1:5", "--iterations", "1"], "HF014", "walker, remover"],
    [["list", "nobs"], "HF001", "did you mean knobs?"],
  ])("%j is refused with %s", async (args, code, words) => {
    expectRefusal(await holdfast(args), code, words);
  });
  test("with --json a refusal is JSON too, and the exit code the same", async () => {
    const o = await holdfast(["claims", "C55", "--json"]);
    expect(o.exit).toBe(2);
    expect(JSON.parse(o.out)).toMatchObject({
      schema: "holdfast.error/1",
      error: { code: "HF002" },
      exit: 2,
    });
  });
});

describe("list", () => {
  test("knobs name their values and the presets that have them", async () => {
    const o = await holdfast(["list", "knobs"]);
    expect(o.exit).toBe(0);
    expect(o.out).toContain("pgmapRef");
    expect(o.out).toMatch(/v7\.3/);
  });
  test("--json lists the same architectures as the table", async () => {
    const names = (
      JSON.parse((await holdfast(["list", "architectures", "--json"])).out).architectures as {
        name: string;
      }[]
    ).map((a) => a.name);
    const text = (await holdfast(["list", "architectures"])).out;
    expect(names.length).toBeGreaterThanOrEqual(7);
    for (const n of names) expect(text).toContain(`\n${n} `);
  });
});

describe("a scenario of one's own", () => {
  const kernel = `"use kernel";
import { READ_ONCE, WRITE_ONCE, assert, atomic_inc } from "holdfast/machine/primitives";
export function add(word: number): void { WRITE_ONCE(word, READ_ONCE(word) + 1); }
export function add_atomically(word: number): void { atomic_inc(word); }
export function never(word: number): void { assert(READ_ONCE(word) === 0, "somebody wrote"); }
`;
  test("is explored, from outside the package, without installing it", async () => {
    const dir = project({
      "kernel.ts": kernel,
      "s.ts": scenarioModule("adders", ["add_atomically", "add_atomically"]),
    });
    const o = await holdfast(["check", "s.ts"], { cwd: dir });
    expect(o.err).toBe("");
    expect(o.out).toMatch(/adders under SC: holds; /);
    expect(o.out).toMatch(/adders under TSO: holds; /);
    expect(o.exit).toBe(0);
  });
  test("that holds because nothing happens says so beside the verdict, and which models that is about", async () => {
    const dir = project({
      "kernel.ts": `"use kernel";
import { READ_ONCE, assert } from "holdfast/machine/primitives";
export function walk(word: number): void {
  const entry = READ_ONCE(word);
  if (entry !== 0) assert(entry === 3, "an entry is 3");
}
`,
      "s.ts": scenarioModule("walkers", ["walk", "walk"]),
    });
    const o = await holdfast(["check", "s.ts"], { cwd: dir });
    expect(o.exit).toBe(0);
    expect(o.out).toContain("reached: 0 of 1 assertions evaluated");
    expect(o.out).toContain("warning: assertions that no execution evaluates");
    expect(o.out).toContain("kernel.ts:5 walk(): an entry is 3");
    expect(o.out).toContain("Explored under SC and TSO only: hardware that is weaker");
  });
  test("that is violated shows the step, its source line, and exits 1", async () => {
    const dir = project({ "kernel.ts": kernel, "s.ts": scenarioModule("watcher", ["never", "add"]) });
    const o = await holdfast(["check", "s.ts", "--model", "sc"], { cwd: dir });
    expect(o.exit).toBe(1);
    expect(o.out).toContain("assertion");
    expect(o.out).toContain("somebody wrote");
    expect(o.out).toContain("WRITE_ONCE word: 0 -> 1");
    expect(o.out).toMatch(/add {2}kernel\.ts:3/);
    expect(o.out).toContain("reproduce: holdfast check s.ts --model sc");
  });
  test("runs on real threads", async () => {
    const dir = project({ "kernel.ts": kernel, "s.ts": scenarioModule("adders", ["add", "add"]) });
    const o = await holdfast(["run", "--scenario", "s.ts", "--iterations", "20", "--json"], { cwd: dir });
    expect(o.exit).toBe(0);
    expect(JSON.parse(o.out)).toMatchObject({
      schema: "holdfast.run/1",
      verdict: "clean",
      iterations: 20,
      cpus: 2,
    });
  });
  test("with a forbidden construct is refused with its place", async () => {
    const dir = project({
      "kernel.ts": `"use kernel";\nexport function add(word: number): void {\n  const f = () => word;\n  f();\n}\n`,
      "s.ts": scenarioModule("closure", ["add"]),
    });
    const o = await holdfast(["check", "s.ts"], { cwd: dir });
    expectRefusal(o, "HF102", "kernel.ts:3:13");
  });
  test("with an IPI that runs a handler is explored, and runs on threads", async () => {
    const dir = project({
      "kernel.ts": `"use kernel";
import { WRITE_ONCE, smp_call_function } from "holdfast/machine/primitives";
export function handler(word: number): void { WRITE_ONCE(word, 1); }
export function ask(word: number): void {
  smp_call_function(handler, word);
}
`,
      "s.ts": scenarioModule("ipi", ["ask", "ask"]),
    });
    expect((await holdfast(["check", "s.ts"], { cwd: dir })).exit).toBe(0);
    const o = await holdfast(["run", "--scenario", "s.ts", "--iterations", "5"], { cwd: dir });
    expect(o.exit).toBe(0);
  });
  test("with two threads of one name is refused", async () => {
    const text = scenarioModule("twins", ["add", "add"]).replaceAll(/name: "add\d"/g, `name: "add"`);
    const dir = project({ "kernel.ts": kernel, "s.ts": text });
    expectRefusal(await holdfast(["check", "s.ts"], { cwd: dir }), "HF025", "twins: add");
    expectRefusal(await holdfast(["run", "--scenario", "s.ts"], { cwd: dir }), "HF025", "twins: add");
  });
  test("that imports what this package does not have is told so, and what is near", async () => {
    const dir = project({ "s.ts": `import { mem } from "holdfast/machine/memry";\nexport const a = mem;\n` });
    const o = await holdfast(["check", "s.ts"], { cwd: dir });
    expectRefusal(o, "HF126", "s.ts:1:10", "holdfast has no module", "did you mean holdfast/machine/memory?");
  });
  test("that does not parse is refused with its place", async () => {
    const dir = project({ "s.ts": "export const = 3;\n" });
    expectRefusal(await holdfast(["check", "s.ts"], { cwd: dir }), "HF100", "s.ts:1:");
  });
  test("that throws when imported is refused without a stack trace", async () => {
    const dir = project({ "s.ts": `throw new Error("no such day");\n` });
    expectRefusal(await holdfast(["check", "s.ts"], { cwd: dir }), "HF151", "no such day");
  });
  test("without threads is refused", async () => {
    const dir = project({
      "kernel.ts": kernel,
      "s.ts": scenarioModule("empty", []).replace(/import \{ {2}\}.*\n/, ""),
    });
    expectRefusal(await holdfast(["check", "s.ts"], { cwd: dir }), "HF012", "empty");
    expectRefusal(await holdfast(["run", "--scenario", "s.ts"], { cwd: dir }), "HF014", "no threads");
  });
  test("whose boot throws is refused with what it threw", async () => {
    const text = scenarioModule("tiny", ["add"]).replace("resetMemory(256)", "resetMemory(1)");
    const dir = project({ "kernel.ts": kernel, "s.ts": text });
    const o = await holdfast(["check", "s.ts"], { cwd: dir });
    expectRefusal(o, "HF016", "tiny: s.ts:8:5: ", "memory size must be");
    expectRefusal(
      await holdfast(["run", "--scenario", "s.ts"], { cwd: dir }),
      "HF016",
      "memory size must be",
    );
  });
  test("file without a scenario is refused", async () => {
    expectRefusal(
      await holdfast(["check", "s.ts"], { cwd: project({ "s.ts": "export const x = 1;\n" }) }),
      "HF010",
    );
  });
  test("two scenarios in a file must be told apart", async () => {
    const o = await holdfast(["check", "examples/kref.ts"]);
    expectRefusal(o, "HF011", "kref-careful, kref-careless");
    expect((await holdfast(["check", "examples/kref.ts#kref-careful"])).exit).toBe(0);
    expectRefusal(
      await holdfast(["check", "examples/kref.ts#kref-carefull"]),
      "HF007",
      "did you mean kref-careful?",
    );
  });
  test("is explained as a cell of a claim is", async () => {
    const o = await holdfast(["explain", "examples/kref.ts#kref-careless"]);
    expect(o.exit).toBe(1);
    expect(o.out).toContain("double-free at object.refcount");
    expect((await holdfast(["explain", "examples/kref.ts#kref-careful"])).exit).toBe(0);
  });
  test("with an endless local loop is found and reported, not hung on", async () => {
    const dir = project({
      "kernel.ts": `"use kernel";\nexport function spin(word: number): void {\n  let i = word;\n  while (i !== 0) i = i ^ 0;\n}\n`,
      "s.ts": scenarioModule("spinner", ["spin"]),
    });
    const o = await holdfast(["check", "s.ts", "--model", "sc"], { cwd: dir });
    expect(o.out).toContain("endless-local-loop");
    expect(o.out).toContain("does not end, by spin0");
    expect(o.out).toContain("The loop that does not end: spin  kernel.ts:4");
    expect(o.exit).toBe(1);
  });
});

describe("new", () => {
  test("makes a folder whose scenario is violated as it stands, and never overwrites", async () => {
    const dir = project({ file: "" });
    const o = await holdfast(["new", "race", "--json"], { cwd: dir });
    expect(o).toMatchObject({ exit: 0, err: "" });
    const made = JSON.parse(o.out) as { files: string[]; check: string };
    expect(made.files).toEqual(readdirSync(join(dir, "race")).sort());
    expect((await holdfast(["check", made.check, "--model", "sc"], { cwd: dir })).exit).toBe(1);
    writeFileSync(join(dir, "race", "kernel.ts"), "mine");
    expectRefusal(await holdfast(["new", "race"], { cwd: dir }), "HF027", "race is not empty");
    expect(readFileSync(join(dir, "race", "kernel.ts"), "utf8")).toBe("mine");
    expectRefusal(await holdfast(["new", "file"], { cwd: dir }), "HF027", "file is a file");
    expectRefusal(await holdfast(["new", "none/race"], { cwd: dir }), "HF023", "there is no folder none");
    expectRefusal(
      await holdfast(["new", "other", "--template", "scenari"], { cwd: dir }),
      "HF028",
      "scenario",
    );
    expect(existsSync(join(dir, "other"))).toBe(false);
  });
  test.each(["rcu-list", "refcount", "seqlock", "waitqueue"])(
    "makes %s in C, that is violated as it stands and holds as it is mended",
    async (template) => {
      const dir = project({});
      const o = await holdfast(["new", "race", "--template", template, "--json"], { cwd: dir });
      const { check } = JSON.parse(o.out) as { check: string };
      const verdicts = (define: readonly string[]): string[] =>
        checkC(join(dir, check), nodeFiles(), { models: ["sc", "tso"], define }).map((r) => r.result.verdict);
      expect(verdicts([])).toEqual([template === "waitqueue" ? "holds" : "violated", "violated"]);
      expect(verdicts(["FIXED"])).toEqual(["holds", "holds"]);
    },
  );
});

describe("claims", () => {
  test("one cell that holds: counts, and what it rests on", async () => {
    const o = await holdfast(["claims", CELL]);
    expect(o.exit).toBe(0);
    expect(o.out).toMatch(/without irq-off +violated/);
    expect(o.out).toContain("Needs each of: irq-off, ref-grace-period");
  });
  test("one cell that is violated exits 1 and says how to see it; explain shows it", async () => {
    const o = await holdfast(["claims", VIOLATED]);
    expect(o.exit).toBe(1);
    expect(o.out).toContain(`holdfast explain ${VIOLATED}`);
    const e = await holdfast(["explain", VIOLATED]);
    expect(e.exit).toBe(1);
    expect(e.out).toContain("use-after-free at page[1]");
    expect(e.out).toContain("Freed by remover");
    expect(e.out).toMatch(/kfree page\[1\].*?<- frees it/s);
  });
  test("a cell is asked of weak memory by a model, or by an id that ends with one", async () => {
    const id = CELL.replace(/sc$/, "arm64");
    const o = await holdfast(["claims", id]);
    expect(o.exit).toBe(0);
    expect(o.out).toContain("Needs each of: irq-off, ref-grace-period");
    const of = CELL.slice(0, CELL.lastIndexOf("/"));
    const json = await holdfast(["claims", of, "--model", "arm64,lkmm", "--no-knockouts", "--json"]);
    const { cells } = ClaimsSchema.parse(JSON.parse(json.out));
    expect(cells.map((c) => [c.id, c.model, c.verdict, c.weakerHardware])).toEqual([
      [id, "arm64", "holds", false],
      [`${of}/lkmm`, "lkmm", "holds", false],
    ]);
  });
  test("what weak memory breaks is explained; what a limit stops there is undecided, and said why", async () => {
    const e = await holdfast(["explain", VIOLATED.replace(/sc$/, "lkmm")]);
    expect(e.exit).toBe(1);
    expect(e.out).toMatch(/under LKMM: violated/);
    expect(e.out.replace(/\s+/g, " ")).toContain("it is violated under SC, too");
    const o = await holdfast(["claims", CELL.slice(0, -3), "--model", "riscv,lkmm", "--max-states", "5"]);
    expect(o.exit).toBe(3);
    expect(o.out).toMatch(/lkmm\n.*not decided +why\n[- ]+\n +1 +more than 5 states/s);
    const none = await holdfast(["claims", "C4", "--model", "arm64"]);
    expect(none.exit).toBe(2);
    expect(none.err).toContain("no cell matches");
  });
  test("explain --json has the counterexample as a trace in the published form", async () => {
    const { schema, results } = JSON.parse((await holdfast(["explain", VIOLATED, "--json"])).out);
    expect(schema).toBe("holdfast.check/2");
    const trace = TraceSchema.parse(results[0].trace);
    expect(trace.program).toBe(VIOLATED);
    expect(trace.steps.at(-1)?.failed).toBe(true);
    expect(trace.error).toMatchObject({ kind: "use-after-free", location: "page[1].compound_head" });
    expect(trace.positions[trace.steps.at(-1)?.at ?? -1].file).toMatch(/src\/mm\/page\.ts$/);
  });
  test("a claim that is a figure is taken, in the published form; one that is violated exits 1", async () => {
    const o = await holdfast(["claims", "C6/v5.10/dax2m", "C9/memmap-2m", "--json"]);
    expect(o.exit).toBe(0);
    const { cells, figures } = ClaimsSchema.parse(JSON.parse(o.out));
    expect(cells).toEqual([]);
    expect(figures.map((f) => [f.id, f.verdict])).toEqual([
      ["C6/v5.10/dax2m", "violated"],
      ["C9/memmap-2m", "holds"],
    ]);
    expect((await holdfast(["claims", "C6/v5.10/dax2m"])).exit).toBe(1);
    const e = await holdfast(["explain", "C6/v5.10/dax2m"]);
    expect(e.exit).toBe(2);
    expect(e.err).toContain("holdfast claims C6/v5.10/dax2m");
  });
  test("explain of a knock-out shows what the mechanism prevents", async () => {
    const o = await holdfast(["explain", `${CELL}/without-ref-grace-period`]);
    expect(o.exit).toBe(1);
    expect(o.out).toContain("use-after-free");
  });
  test("a limit gives no verdict: exit 3, counts, and never the word holds", async () => {
    for (const limit of [
      ["--max-states", "50"],
      ["--max-seconds", "0.001"],
      ["--max-memory", "1"],
    ]) {
      const big = "C4/x86-64/device-dax/ref-taken/percpu/v5.10/held-pin/2x2/tso";
      const o = await holdfast(["check", big, ...limit]);
      expect(o.out, limit.join(" ")).toMatch(/bounded \([^)]+\); [\d,]+\s+states/);
      expect(o.out).not.toContain("holds");
      expect(o.exit).toBe(3);
    }
  });
  test("Ctrl-C ends with 130, and shows as decided only what was", async () => {
    const o = await interrupted(["claims", "C4", "--no-knockouts"]);
    expect(o.exit).toBe(130);
    expect(o.err).toBe("");
    const [, done, asked] = /^interrupted: ([\d,]+) of ([\d,]+) decided/.exec(o.out) ?? [];
    expect(Number(done)).toBeLessThan(Number(asked));
    expect(o.out).toContain("- not decided before the interrupt");
    // Most of the matrix is undecided, and none of it "not applicable" in a row that has cells.
    expect(o.out).toMatch(/^fsdax .* - - -/m);
  });
  test("Ctrl-C with --json gives what was decided, and says first that it is not all", async () => {
    const o = await interrupted(["claims", "C4", "--no-knockouts", "--json"]);
    expect(o.exit).toBe(130);
    expect(o.out).toMatch(/^\{"schema":"holdfast.claims\/1","complete":false,/);
    const m = ClaimsSchema.parse(JSON.parse(o.out));
    expect(m.cells.filter((c) => c.complete && c.verdict !== "not-applicable").length).toBeLessThan(m.asked);
  });
  test("Ctrl-C is heard while figures are taken", async () => {
    const started = performance.now();
    const o = await interrupted(["claims", "C9"]);
    expect(o.exit).toBe(130);
    expect(o.out).toMatch(/^interrupted: 0 of \d+ decided/);
    expect(performance.now() - started).toBeLessThan(60_000);
  });
  test("JSON that is whole says so, and one that a limit cut short does not", async () => {
    const whole = await holdfast(["claims", CELL, "--no-knockouts", "--json"]);
    expect(ClaimsSchema.parse(JSON.parse(whole.out))).toMatchObject({ complete: true, asked: 1 });
    const big = "C4/x86-64/device-dax/ref-taken/percpu/v5.10/held-pin/2x2/tso";
    const cut = await holdfast(["claims", big, "--no-knockouts", "--json", "--max-states", "50"]);
    expect(cut.exit).toBe(3);
    expect(ClaimsSchema.parse(JSON.parse(cut.out)).complete).toBe(false);
  });
  test("without knock-outs nothing is said about what it rests on", async () => {
    const o = await holdfast(["claims", CELL, "--no-knockouts"]);
    expect(o.out).toContain("Which mechanisms it rests on was not tried.");
    expect(o.out).not.toMatch(/Needs|No single/);
  });
});

describe("run", () => {
  test("the default scenario pins and unbinds, and ends clean", async () => {
    const o = await holdfast(["run", "--seconds", "1"]);
    expect(o.exit).toBe(0);
    expect(o.out).toContain("no violation met");
    expect(o.out).not.toContain("holds");
  });
  test("a cell of a claim runs on threads too: a violated one is hit, one that holds is not", async () => {
    const bad = await holdfast(["run", "--scenario", VIOLATED, "--seconds", "20", "--json"]);
    expect(JSON.parse(bad.out)).toMatchObject({
      verdict: "violated",
      bug: { kind: "use-after-free", thread: "walker0" },
    });
    const good = await holdfast(["run", "--scenario", CELL, "--seconds", "2", "--json"]);
    expect(JSON.parse(good.out)).toMatchObject({ verdict: "clean", bug: null });
  });
  test("Ctrl-C ends with 130", async () => {
    const o = await interrupted(["run", "--seconds", "60"]);
    expect(o.exit).toBe(130);
    expect(o.out).toContain("interrupted");
  });
});

describe("output", () => {
  test("NO_COLOR and pipes get no escape sequences; FORCE_COLOR does", async () => {
    const esc = String.fromCharCode(27);
    const plain = await holdfast(["list", "knobs"]);
    expect(plain.out).not.toContain(esc);
    expect((await holdfast(["list", "knobs"], { env: { FORCE_COLOR: "1" } })).out).toContain(esc);
    expect(
      (await holdfast(["list", "knobs"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).out,
    ).not.toContain(esc);
  });
  test("nothing names the place where the package was built", async () => {
    const o = await holdfast(["explain", VIOLATED], { cwd: ROOT });
    expect(o.out).not.toContain(ROOT);
  });
  test.each([60, 80, 120])(
    "fits a terminal of %i columns: no line is wider, but for a word that is",
    async (width) => {
      for (const args of [
        ["list"],
        ["claims", CELL, "--no-knockouts"],
        ["check", "examples/kref.ts#kref-careless", "--model", "sc"],
        ["memmap"],
        ["bogus"],
      ]) {
        const o = await holdfast(args, { env: { COLUMNS: String(width) } });
        const wide = `${o.out}${o.err}`
          .split("\n")
          .filter((l) => l.length > width && l.trim().includes(" ") && !l.startsWith("reproduce:"));
        expect(wide, args.join(" ")).toEqual([]);
      }
    },
  );
  test("is as wide as asked for, for mail", async () => {
    const o = await holdfast(["list", "architectures", "--width", "72"]);
    expect(Math.max(...o.out.split("\n").map((l) => l.length))).toBeLessThanOrEqual(72);
    expectRefusal(await holdfast(["list", "--width", "7"]), "HF013", "40 to 1000");
  });
});
