/** herd7's text, options and exit codes, as the kernel's scripts read them. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
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

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function herdWith(stdin: string, ...args: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  const sink = (add: (t: string) => void) => ({ write: add });
  const code = await herdMain(
    args,
    sink((t) => (out += t)),
    sink((t) => (err += t)),
    () => stdin,
  );
  return { code, out, err };
}
const herd = (...args: string[]): Promise<Ran> => herdWith("", ...args);

const MP = file(
  "MP.litmus",
  litmus(
    ["WRITE_ONCE(*x, 1); WRITE_ONCE(*y, 1);", "r0 = READ_ONCE(*y); r1 = READ_ONCE(*x);"],
    "exists (1:r0=1 /\\ 1:r1=0)",
  ).replace("C test", "C MP"),
);
const SB3 = file(
  "SB3.litmus",
  litmus(
    ["x y", "y z", "z x"].map((p) => `WRITE_ONCE(*${p[0]}, 1); r0 = READ_ONCE(*${p[2]});`),
    "exists (0:r0=0 /\\ 1:r0=0 /\\ 2:r0=0)",
  ).replace("C test", "C SB3"),
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

  it("-speedcheck looks only at executions that bear on the condition, fast only at the first", async () => {
    const yes = await herd("-speedcheck", "true", SB3);
    expect(yes.out).toContain("States 1\n0:r0=0; 1:r0=0; 2:r0=0;\nOk\nWitnesses\nPositive: 1 Negative: 0\n");
    expect(yes.out).toContain("Observation SB3 Always 1 0\n");
    const fast = await herd("-speedcheck", "fast", MP);
    expect(fast.out).toContain("Observation MP Always 1 0\n");
    const body = ["WRITE_ONCE(*x, 1);", "r0 = READ_ONCE(*x);"];
    for (const how of ["true", "fast"]) {
      const never = await herd("-speedcheck", how, file("never.litmus", litmus(body, "exists (1:r0=2)")));
      expect(never.out).toContain("States 0\nNo\nWitnesses\nPositive: 0 Negative: 0\n");
      expect(never.out).toContain("Observation test Never 0 0\n");
      // For forall, what bears on the condition is what contradicts it.
      const all = await herd("-speedcheck", how, file("all.litmus", litmus(body, "forall (1:r0=0)")));
      expect(all.out).toContain("States 1\n1:r0=1;\nNo\nWitnesses\nPositive: 0 Negative: 1\n");
    }
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

  it("-o writes every execution that -show asks for, and no more than -nshow", async () => {
    const pictures = async (...args: string[]): Promise<number> => {
      const { code } = await herd("-o", dir, ...args, MP);
      expect(code).toBe(0);
      return (
        readFileSync(join(dir, `MP${args.includes("-suffix") ? "-x" : ""}.dot`), "utf8").split("digraph")
          .length - 1
      );
    };
    expect(await pictures()).toBe(1);
    expect(await pictures("-show", "all")).toBe(4);
    expect(await pictures("-show", "neg", "-suffix", "-x")).toBe(3);
    expect(await pictures("-show", "all", "-nshow", "2")).toBe(2);
    expect(await pictures("-show", "none")).toBe(2); // left alone
    const { out } = await herd("-o", "-", MP);
    expect(out).toMatch(
      /^\nDOTBEGIN MP\nDOTCOM dot\ndigraph "Test MP, lkmm" \{[\s\S]*\}\n\nDOTEND MP\nTest MP Allowed\n/,
    );
    const bad = await herd("-o", join(dir, "no", "such"), MP);
    expect(bad.err).toMatch(/^Warning: Cannot create .*MP\.dot/);
    expect(bad.out).toContain("Observation MP Sometimes 1 3");
  });

  it("a name that ends in .litmus is shown without", async () => {
    const named = file("n.litmus", readFileSync(MP, "utf8").replace("C MP", "C some+name.litmus"));
    expect((await herd(named)).out).toContain("Test some+name Allowed\n");
  });

  it("locations of unsigned types are shown unsigned, others not", async () => {
    const source = litmus(
      ["WRITE_ONCE(*x, -1); WRITE_ONCE(*y, -1); r0 = -1; r1 = -1;"],
      "locations [x;y;z;0:r0;0:r1] exists (w=0)",
      "uint32_t x; uint64_t y; uint8_t z = -1; uint32_t 0:r0;",
    );
    expect((await herd(file("u.litmus", source))).out).toContain(
      "\n0:r0=4294967295; 0:r1=-1; [w]=0; [x]=4294967295; [y]=18446744073709551615; [z]=4294967295;\n",
    );
  });

  it("locks that are observed or mixed with other accesses are flagged", async () => {
    const final = litmus(["spin_lock(l); spin_unlock(l);"], "exists (l=0)");
    expect((await herd(file("lf.litmus", final))).out).toContain("\nFlag lock-final\n");
    const mixed = litmus(
      ["r0 = srcu_read_lock(s); srcu_read_unlock(s, r0);", "WRITE_ONCE(*s, 1);"],
      "exists (0:r0=1)",
    );
    expect((await herd(file("ml.litmus", mixed))).out).toContain("\nFlag mixed-lock-accesses\n");
  });

  it("primitives that linux-kernel.def does not have are unknown", async () => {
    const source = litmus(["r0 = atomic_inc_not_zero(x);"], "exists (0:r0=1)");
    const { code, out, err } = await herd(file("inz.litmus", source));
    expect([code, out]).toEqual([0, ""]);
    expect(err).toContain("Unknown macro atomic_inc_not_zero (User error)");
  });
});

describe("which tests holdfast-herd runs", () => {
  it("names on standard input where none are given, but for comments", async () => {
    const { out } = await herdWith(`${MP}\n# ${SB3}\n\n${SB3}\n`);
    expect(out.match(/^Observation .*$/gm)).toEqual([
      "Observation MP Sometimes 1 3",
      "Observation SB3 Sometimes 1 7",
    ]);
    expect((await herdWith("")).out).toBe("");
  });

  it("those of a list, relative to where it lies, lists within it too", async () => {
    mkdirSync(join(dir, "sub"), { recursive: true });
    writeFileSync(join(dir, "sub", "@inner"), "# a comment\n../SB3.litmus\n");
    const list = file("@all", "MP.litmus\nsub/@inner\n");
    for (const name of [list, join(dir, "@@all")]) {
      const { out } = await herd(name);
      expect(out.match(/^Test .*$/gm)).toEqual(["Test MP Allowed", "Test SB3 Allowed"]);
    }
  });

  it("a test once, however often it is named; another of its name not at all", async () => {
    const same = file("same.litmus", `${readFileSync(MP, "utf8").replace("{}", "(* said again *)\n{}")}\n`);
    const other = file("other.litmus", readFileSync(MP, "utf8").replace("r1=0", "r1=1"));
    const { out, err } = await herd(MP, MP, same, other);
    expect(out.match(/^Test .*$/gm)).toEqual(["Test MP Allowed"]);
    expect(err).toBe(
      `Warning: File "${other}": Different hashes for test MP (previous file ${MP}) (User error)\n`,
    );
  });

  it("none that is a directory, which ends the run with 2; a file that is not there is a warning", async () => {
    const { code, out, err } = await herd(MP, join(dir, "none.litmus"), dir, SB3);
    expect(code).toBe(2);
    expect(out.match(/^Test .*$/gm)).toEqual(["Test MP Allowed"]);
    expect(err).toBe(
      `Warning: ${join(dir, "none.litmus")}: No such file or directory\nFatal: ${dir}: Is a directory\n`,
    );
  });

  it("no more after one that fails, with -exit true", async () => {
    const bad = file("bad2.litmus", "C bad\n{}\nP0(int *x) { smp_memb(); }\nexists (x=1)\n");
    const { code, out } = await herd("-exit", "true", bad, MP);
    expect([code, out]).toEqual([1, ""]);
  });
});

describe("which model holdfast-herd runs", () => {
  const models = mkdtempSync(join(tmpdir(), "holdfast-models-"));
  const OWN = readFileSync(new URL("./models/lkmm.cat", import.meta.url), "utf8");
  writeFileSync(join(models, "mine.cat"), OWN);
  writeFileSync(join(models, "weak.cat"), OWN.replace(/^acyclic before as happens-before$/m, ""));
  writeFileSync(join(models, "linux-kernel.cat"), OWN.replace(/^acyclic before as happens-before$/m, ""));
  writeFileSync(join(models, "broken.cat"), "let x = ");
  const conf = join(models, "linux-kernel.cfg");
  writeFileSync(
    conf,
    "# ours\nmodel linux-kernel.cat\nvariant lkmmv2\ngraph columns\nsquished true\nunroll 3\n",
  );
  const LB = file(
    "LB.litmus",
    litmus(
      ["r0 = smp_load_acquire(x); WRITE_ONCE(*y, 1);", "r0 = smp_load_acquire(y); WRITE_ONCE(*x, 1);"],
      "exists (0:r0=1 /\\ 1:r0=1)",
    ).replace("C test", "C LB"),
  );
  const verdict = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await herd(...args, LB);
    expect(code, err).toBe(0);
    return /^Observation LB (.*)$/m.exec(out)?.[1] ?? err;
  };

  it("the built-in one where the kernel's names are given and no such files are there", async () => {
    expect(await verdict("-conf", "linux-kernel.cfg")).toBe("Never 0 3");
    expect(
      await verdict(
        "-model",
        "linux-kernel.cat",
        "-macros",
        "linux-kernel.def",
        "-bell",
        "linux-kernel.bell",
      ),
    ).toBe("Never 0 3");
  });

  it("another one by interpretation, which is said", async () => {
    const { out, err } = await herd("-I", models, "-model", "mine.cat", LB);
    expect(out).toContain("Observation LB Never 0 3\n");
    expect(err).toBe("holdfast-herd: not the model of Linux 7.3 (mine.cat): its files are interpreted\n");
    expect(await verdict("-I", models, "-model", "weak.cat")).toBe("Sometimes 1 3");
    expect((await herd("-q", "-I", models, "-model", "mine.cat", LB)).err).toBe("");
  });

  it("never the built-in one for a file of the kernel's name that says something else", async () => {
    expect(await verdict("-conf", conf)).toBe("Sometimes 1 3");
    expect(await verdict("-model", join(models, "linux-kernel.cat"))).toBe("Sometimes 1 3");
  });

  it("without the checks that are left out, built in or interpreted", async () => {
    expect(await verdict("-skipcheck", "happens-before")).toBe("Sometimes 1 3");
    expect(await verdict("-skipchecks", "rcu,happens-before")).toBe("Sometimes 1 3");
    expect(await verdict("-I", models, "-model", "mine.cat", "-skipcheck", "happens-before")).toBe(
      "Sometimes 1 3",
    );
    const race = file("race.litmus", litmus(["*x = 1;", "r0 = *x;"], "exists (1:r0=1)"));
    expect((await herd(race)).out).toContain("Flag data-race");
    expect((await herd("-skipcheck", "data-race", race)).out).not.toContain("Flag");
  });

  it.each([
    [["-skipcheck", "coherence"], "can do without happens-before"],
    [["-I", models, "-model", "mine.cat", "-skipcheck", "nonsense"], "mine.cat has no check of that name"],
    [["-model", "x86tso.cat"], "'x86tso.cat' cannot be read"],
    [["-conf", "mine.cfg"], "configuration 'mine.cfg' cannot be read"],
    [["-I", models, "-model", "broken.cat"], "broken.cat:1:9: syntax error: expected an expression"],
    [["-variant", "lkmmv1"], "needs model files"],
    [["-variant", "lkmmv3"], "bad value 'lkmmv3'"],
    [["-initwrites", "false"], "bad value 'false' for -initwrites: true"],
    [["-through", "all"], "bad value 'all' for -through: none"],
    [["-badflag", "data-race"], "'-badflag' is not supported"],
    [["-I", models, "-o", ".", "-model", "mine.cat"], "'-o' draws executions of the built-in model only"],
  ])("refuses %s", async (args, message) => {
    const { code, out, err } = await herd(...args, LB);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(message);
  });

  it("a configuration's options count, and a bad one is refused with its line", async () => {
    const bad = join(models, "bad.cfg");
    writeFileSync(bad, "graph columns\nfrobnicate true\n");
    expect((await herd("-conf", bad, LB)).err).toContain(`${bad}:2: unknown option 'frobnicate'`);
  });
});
