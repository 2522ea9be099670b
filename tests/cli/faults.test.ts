/**
 * What goes wrong around the command: full disks, readers that go away, names that are made to steer a
 * terminal, files that cannot be written. Nothing of it ends with a stack trace, or with the exit code of a
 * verdict that was not found.
 */

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { runCLoop } from "../../src/bench/c-loop.ts";
import { UserError } from "../../src/cli/errors.ts";
import { writeOutput } from "../../src/cli/files.ts";
import { expectRefusal, holdfast, type Outcome, project, ROOT } from "./helpers.ts";

const MAIN = join(ROOT, "dist", "cli", "main.js");
const HERD = join(ROOT, "dist", "cli", "herd.js");
const LITMUS = "tests/litmus/suite/2+2W+mb+mb.litmus";
const VECTOR = "tests/vectors/traces/6.1.0-56/overflow.jsonl.gz";

/** A line of shell in which `holdfast` and `herd` are the commands. */
function shell(line: string): Promise<Outcome> {
  const text = line
    .replaceAll("holdfast ", `"${process.execPath}" "${MAIN}" `)
    .replaceAll("herd ", `"${process.execPath}" "${HERD}" `);
  return new Promise((resolve) => {
    execFile("bash", ["-c", text], { cwd: ROOT }, (error, out, err) =>
      resolve({ exit: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

describe.skipIf(!existsSync("/dev/full"))("a full disk", () => {
  test.each([
    "holdfast --version",
    "holdfast --help",
    "holdfast list architectures --json",
    "holdfast check examples/kref.ts#kref-careless --model sc",
    "holdfast memmap",
    `holdfast litmus ${LITMUS}`,
    `herd ${LITMUS}`,
  ])("under stdout: %s ends with one line and 70", async (command) => {
    const o = await shell(`${command} >/dev/full`);
    expect(o.exit).toBe(70);
    expect(o.err).toMatch(/^holdfast(-herd)?: stdout cannot be written: ENOSPC[^\n]*\n$/);
  });
  test.each(["holdfast bogus", "holdfast litmus no-such.litmus", "herd no-such.litmus"])(
    "under stderr: %s ends with 70",
    async (command) => {
      expect(await shell(`${command} 2>/dev/full`)).toMatchObject({ exit: 70, out: "", err: "" });
    },
  );
});

describe("a reader that goes away", () => {
  test("is no error, and the exit code is not that of a verdict that was not found", async () => {
    const o = await shell(
      `holdfast litmus tests/litmus/suite tests/litmus/suite | true; echo \${PIPESTATUS[0]}`,
    );
    expect(o).toMatchObject({ exit: 0, err: "", out: "141\n" });
  });
  test("leaves the exit code of a verdict that was found", async () => {
    const o = await shell(
      `holdfast check examples/kref.ts#kref-careless --model sc | true; echo \${PIPESTATUS[0]}`,
    );
    expect(o).toMatchObject({ exit: 0, err: "", out: "1\n" });
  });
});

describe("a file that cannot be written", () => {
  test.each([
    ["litmus", LITMUS, "--dot", "/no/such/folder/x.dot"],
    ["litmus", LITMUS, "--svg", "tests"],
    ["bench", "all", "--html", "/no/such/folder/x.html"],
  ])("is refused before the work: %s %s %s %s", async (...args) => {
    expectRefusal(await holdfast(args), "HF023", args[3]);
  });
  test.skipIf(!existsSync("/dev/full"))("because the disk is full is named", async () => {
    const o = await holdfast(["litmus", LITMUS, "--svg", "/dev/full"]);
    expect(o.exit).toBe(2);
    expect(o.err).toMatch(/^error HF023: .*\/dev\/full: ENOSPC/);
  });
  test("leaves what was there as it was", () => {
    const dir = project({ "a.svg": "old" });
    mkdirSync(join(dir, "a.svg.part"));
    expect(() => writeOutput(join(dir, "a.svg"), "new")).toThrow(UserError);
    expect(readFileSync(join(dir, "a.svg"), "utf8")).toBe("old");
    writeOutput(join(dir, "b.svg"), "new");
    expect(readFileSync(join(dir, "b.svg"), "utf8")).toBe("new");
    expect(readdirSync(dir).sort()).toEqual(["a.svg", "a.svg.part", "b.svg"]);
  });
  test("to build the C loops in is a reason, not a failure", () => {
    const before = process.env["TMPDIR"];
    process.env["TMPDIR"] = "/no/such/folder";
    try {
      const c = runCLoop(512, 512, 1);
      expect(c).toMatchObject({ ok: false });
    } finally {
      if (before === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = before;
    }
  });
});

describe("control characters in what is shown", () => {
  const ESCAPE = "\u001b[2J\u009b31m";
  const hasControl = (s: string): boolean => /[^\P{Cc}\n]/u.test(s);
  test("in the names of a recording are written out", async () => {
    const lines = gunzipSync(readFileSync(join(ROOT, VECTOR)))
      .toString()
      .split("\n");
    const text = lines
      .map((l) => l.replace(/"seq":"/, `"seq":${JSON.stringify(ESCAPE).slice(0, -1)}`))
      .map((l) => l.replace(/"ref":(\d+)/, `"ref":9$1`))
      .join("\n");
    const dir = project({ "a.jsonl": text });
    const o = await holdfast(["replay", join(dir, "a.jsonl")]);
    expect(o.exit).toBe(1);
    expect(o.out.split("\n").filter(hasControl)).toEqual([]);
    expect(o.out).toContain("\\x1b[2J\\x9b31m");
  });
  test("in JSON are escapes of JSON", async () => {
    const o = await holdfast(["claims", ESCAPE, "--json"]);
    expect(hasControl(o.out + o.err)).toBe(false);
    expect(o.out).toContain("\\u001b[2J\\u009b31m");
    expect((JSON.parse(o.out) as { error: { message: string } }).error.message).toContain(ESCAPE);
  });
  test("in arguments and in what a module throws are written out", async () => {
    const dir = project({ "s.ts": `throw new Error(${JSON.stringify(ESCAPE)});\n` });
    for (const args of [["check", join(dir, "s.ts")], [ESCAPE], ["litmus", `${ESCAPE}.litmus`]])
      for (const env of [{ FORCE_COLOR: "1" }]) {
        const o = await holdfast(args, { env });
        expect(o.exit).toBe(2);
        expect(o.err).toContain("\\x1b[2J");
        expect(hasControl(o.err)).toBe(false);
      }
  });
});
