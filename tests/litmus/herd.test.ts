/** herd7's text, options and exit codes, as the kernel's scripts read them. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { herdMain } from "../../src/cli/herd-main.ts";
import { litmus } from "./support.ts";

const dir = mkdtempSync(join(tmpdir(), "holdfast-herd-"));
const file = (name: string, source: string): string => {
  const path = join(dir, name);
  writeFileSync(path, source);
  return path;
};

async function herd(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const code = await herdMain(args, { write: (t) => (out += t) }, { write: (t) => (err += t) });
  return { code, out, err };
}

const MP = file(
  "MP.litmus",
  litmus(
    ["WRITE_ONCE(*x, 1); WRITE_ONCE(*y, 1);", "r0 = READ_ONCE(*y); r1 = READ_ONCE(*x);"],
    "exists (1:r0=1 /\\ 1:r1=0)",
  ).replace("C test", "C MP"),
);
const withoutTime = (s: string): string => s.replace(/^Time .*$/m, "Time");

describe("holdfast-herd", () => {
  it("prints herd7's block: test, states, Ok, witnesses, condition, observation, time, empty line", async () => {
    const { code, out } = await herd("-conf", "linux-kernel.cfg", MP);
    expect(code).toBe(0);
    expect(withoutTime(out)).toBe(
      [
        "Test MP Allowed",
        "States 4",
        "1:r0=0; 1:r1=0;",
        "1:r0=0; 1:r1=1;",
        "1:r0=1; 1:r1=0;",
        "1:r0=1; 1:r1=1;",
        "Ok",
        "Witnesses",
        "Positive: 1 Negative: 3",
        "Condition exists (1:r0=1 /\\ 1:r1=0)",
        "Observation MP Sometimes 1 3",
        "Time",
        "",
        "",
      ].join("\n"),
    );
  });

  it("swaps Positive and Negative for ~exists, not for forall, and never in the Observation", async () => {
    const body = ["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x);"];
    const not = await herd(file("n.litmus", litmus(body, "~exists (1:r0=1)")));
    expect(not.out).toContain("Test test Forbidden\n");
    expect(not.out).toContain("\nNo\nWitnesses\nPositive: 1 Negative: 1\n");
    expect(not.out).toContain("Observation test Sometimes 1 1\n");
    const all = await herd(file("a.litmus", litmus(body, "forall (1:r0=0 \\/ 1:r0=1)")));
    expect(all.out).toContain("Test test Required\n");
    expect(all.out).toContain(
      "\nOk\nWitnesses\nPositive: 2 Negative: 0\nCondition forall (1:r0=0 \\/ 1:r0=1)\nObservation test Always 2 0\n",
    );
  });

  it("shows memory in brackets after registers, addresses by name, and flags before the condition", async () => {
    const { out } = await herd(
      file("f.litmus", litmus(["*x = 1;", "r0 = READ_ONCE(*p); *x = 2;"], "exists (x=1 /\\ 1:r0=y)", "p=y;")),
    );
    expect(out).toContain("States 2\n1:r0=y; [x]=1;\n1:r0=y; [x]=2;\nOk\n");
    expect(out).toContain("Negative: 1\nFlag data-race\nCondition exists ([x]=1 /\\ 1:r0=y)\n");
  });

  it("a deadlock is Never 0 0", async () => {
    const { out } = await herd(file("d.litmus", litmus(["spin_lock(l); spin_lock(l);"], "exists (x=0)")));
    expect(out).toContain("States 0\nNo\nWitnesses\nPositive: 0 Negative: 0\n");
    expect(out).toContain("Observation test Never 0 0\n");
  });

  it("a test that does not parse is a warning with its place, and the exit code stays 0", async () => {
    const bad = file("bad.litmus", "C bad\n{}\nP0(int *x)\n{\n\tsmp_memb();\n}\nexists (x=1)\n");
    const { code, out, err } = await herd("-conf", "linux-kernel.cfg", bad, MP);
    expect(code).toBe(0);
    expect(err).toBe(`Warning: File "${bad}", line 5, characters 1-9: Unknown macro smp_memb (User error)\n`);
    expect(out).toContain("Observation MP Sometimes 1 3");
  });

  it("-speedcheck fast stops at the first execution that settles the condition", async () => {
    const { out } = await herd("-speedcheck", "fast", MP);
    expect(out).toMatch(/Observation MP (Always|Sometimes) 1 [0-3]\n/);
    // Without such an execution all are counted: "Never 0 0" would be a deadlock.
    const never = await herd(
      "-speedcheck",
      "fast",
      file("never.litmus", litmus(["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x);"], "exists (1:r0=2)")),
    );
    expect(never.out).toContain("Observation test Never 0 2\n");
  });

  it("a loop that was cut prints Loop and a warning, as herd7 does", async () => {
    const { out, err } = await herd(
      file(
        "l.litmus",
        litmus(
          ["r0 = READ_ONCE(*x); while (r0 == 0) { r0 = READ_ONCE(*x); }", "WRITE_ONCE(*x, 1);"],
          "exists (0:r0=1)",
        ),
      ),
    );
    expect(out).toContain("\nLoop Ok\n");
    expect(err).toContain("unrolling limit exceeded, legal outcomes may be missing.");
  });

  it("refuses another model by name, whether asked for directly or by a configuration", async () => {
    const a = await herd("-model", "x86tso.cat", MP);
    expect(a.code).toBe(2);
    expect(a.err).toContain("only the built-in Linux kernel memory model (linux-kernel.cat) is available");
    const b = await herd("-conf", file("linux-kernel.cfg", "macros linux-kernel.def\nmodel mine.cat\n"), MP);
    expect(b.code).toBe(2);
    expect(b.err).toContain("mine.cat");
  });

  it("accepts the kernel's own configuration and herd7's picture options", async () => {
    const conf = join(mkdtempSync(join(tmpdir(), "holdfast-conf-")), "linux-kernel.cfg");
    writeFileSync(
      conf,
      "macros linux-kernel.def\nbell linux-kernel.bell\nmodel linux-kernel.cat\ngraph columns\nsquished true\n",
    );
    const { code } = await herd(
      "-conf",
      conf,
      "-show",
      "prop",
      "-unroll",
      "3",
      "-timeout",
      "10",
      "-q",
      "-I",
      ".",
      MP,
    );
    expect(code).toBe(0);
  });

  it("an unknown option, a missing argument and a bad number are errors", async () => {
    for (const args of [
      ["-frobnicate"],
      ["-unroll"],
      ["-unroll", "many"],
      ["-speedcheck", "slow"],
      ["-gv"],
    ]) {
      const { code, err } = await herd(...args, MP);
      expect(code, args.join(" ")).toBe(2);
      expect(err).toContain(args[0]);
    }
  });

  it("-o writes a graph of the witness", async () => {
    const { code } = await herd("-o", dir, MP);
    expect(code).toBe(0);
    expect(readFileSync(join(dir, "MP.dot"), "utf8")).toMatch(
      /^digraph "MP: an execution in which the condition holds/,
    );
  });
});
