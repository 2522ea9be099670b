/**
 * The documentation, executed: every command of the README is run in a folder where only the package is
 * installed, and what a `console` block shows must be what comes out, counts included, times and spacing
 * aside. Links must lead somewhere; commands and files that the documents name must exist.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allCells } from "../src/claims/claims.ts";
import { count } from "../src/text/numbers.ts";
import { holdfast, type Outcome, project, ROOT } from "./cli/helpers.ts";
import { type Installed, install } from "./installed.ts";
import { builtPage } from "./web/build.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const documents = [
  ...readdirSync(ROOT),
  ...readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" }).map((f) => `docs/${f}`),
].filter((f) => f.endsWith(".md"));

/**
 * What a command printed, without what differs from run to run: seconds, which have a decimal point or an s
 * behind them, and how wide that makes a column and where it wraps a line. Counts stay as they are.
 */
function timeless(text: string): string[] {
  return text
    .replace(/(?<![\w.])\d+(?:\.\d+(?=\s)|(?=\s+s on ))/g, "#")
    .replace(/-{2,}/g, "--")
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, " ").trim())
    .filter((paragraph) => paragraph !== "");
}

/** Of what is a sample of executions, not a count. */
const numberless = (text: string): string[] => timeless(text).map((p) => p.replace(/\d[\d,.]*/g, "#"));

/** What is printed is what is shown; "..." at the end stands for the rest. */
function expectShown(out: string, shown: string, shape: (text: string) => string[]): void {
  const said = shape(shown).join("\n");
  const printed = shape(out).join("\n");
  const start = said.replace(/\s*\.\.\.$/, "");
  if (start !== said) expect(printed.slice(0, start.length)).toBe(start);
  else expect(printed).toBe(said);
}

const blocks = [...read("README.md").matchAll(/```console\n\$ npx holdfast ([^\n]*)\n([\s\S]*?)```/g)];
/** Commands of the table, which is all of code in its first column. */
const named = [...read("README.md").matchAll(/^\| `npx holdfast ([^`]*)` \|/gm)].map((m) => m[1]);

const VIOLATED = "C5/arm64/fsdax/ref-not-taken/external/v5.10/no-pin/1x1/sc";
/** What is run for a command of the table: itself, or as much of the same as a test has time for. */
const SHORT: Readonly<Record<string, string>> = {
  "claims C5 --arch arm64 -v": `claims ${VIOLATED} --arch arm64 -v`,
  zoo: "zoo J07", // the others are tests/claims/zoo's
  "claims CELL": `claims ${VIOLATED}`,
  "explain CELL": `explain ${VIOLATED}`,
  "open CELL": `open ${VIOLATED}`,
  "run --cpus 4 --seconds 10": "run --cpus 4 --seconds 0.5",
  "replay holdfast/tests/vectors/traces": "replay holdfast/tests/vectors/traces --family overflow",
  "campaign run cells C5": "campaign --help",
  "bench all --html report.html": "bench gup -m 4 -n 1 -r 1",
};
const EXITS: Readonly<Record<string, number>> = { claims: 1, explain: 1 };

/** Examples of docstrings: the program, and what it says that it prints. */
const examples = readdirSync(join(ROOT, "src", "api")).flatMap((file) =>
  [...read(`src/api/${file}`).matchAll(/ \* ```ts\n([\s\S]*?) \* ```/g)].map(([, text]) => {
    const code = text.replace(/^ \* ?/gm, "");
    const prints = [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map((m) => m[1]);
    return { file, code, prints };
  }),
);

describe("README.md and src/api, with the package installed in an empty folder", () => {
  let installed: Installed;
  const run = (command: string): Promise<Outcome> =>
    holdfast(command.split(" "), { program: installed.command("holdfast"), cwd: installed.dir });
  beforeAll(() => {
    builtPage();
    installed = install();
  }, 900_000);
  afterAll(() => installed.remove());

  test("shows something to run", () => {
    expect(blocks.length).toBeGreaterThanOrEqual(3);
    expect(named.length).toBeGreaterThanOrEqual(10);
  });
  test.each(blocks.map((b) => [b[1], b[2]]))("holdfast %s prints what it says", async (command, text) => {
    const o = await run(command);
    expect(o.err).toBe("");
    const shape = command.startsWith("run") ? numberless : timeless;
    expectShown(o.out, text, shape);
  });
  const served = (command: string): boolean => command.startsWith("open");
  test.each(named.filter((c) => !served(c)))("holdfast %s runs", async (command) => {
    const o = await run(SHORT[command] ?? command);
    expect(o.err).toBe("");
    expect(o.exit).toBe(EXITS[command.split(" ")[0]] ?? 0);
    expect(o.out).not.toBe("");
  });
  test("an example stands beside each of the four functions", () => {
    expect(examples.map((e) => e.file).sort()).toEqual(["check.ts", "litmus.ts", "replay.ts", "run.ts"]);
    for (const e of examples) expect(e.prints.length, e.file).toBeGreaterThan(0);
  });
  test.each(examples)("the example in $file prints what it says", async ({ file, code, prints }) => {
    const path = join(installed.dir, `${file}.mjs`);
    writeFileSync(path, code);
    const o = await holdfast([], { program: path, cwd: installed.dir });
    expect(o.err).toBe("");
    expect(o.out).toBe(`${prints.join("\n")}\n`);
  });
  test("the examples pass a type check against the declarations that are shipped", () => {
    for (const { file, code } of examples)
      writeFileSync(join(installed.dir, file.replace(".ts", ".mts")), code);
    const tsc = join(
      dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
      "bin",
      "tsc",
    );
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023", "--skipLibCheck"];
    const files = examples.map((e) => e.file.replace(".ts", ".mts"));
    // No types of Node are there: console and AbortSignal are those of the DOM.
    execFileSync(process.execPath, [tsc, ...options, "--lib", "es2023,dom", ...files], {
      cwd: installed.dir,
      stdio: "pipe",
    });
  });
  test.each(named.filter(served))("holdfast %s serves the page until Ctrl-C", async (command) => {
    let page = "";
    const what = (SHORT[command] ?? command).split(" ");
    const o = await holdfast([...what, "--no-browser"], {
      program: installed.command("holdfast"),
      cwd: installed.dir,
      started: (child) =>
        child.stdout?.once("data", async (line) => {
          page = await (await fetch(String(line).split("\n")[0])).text();
          child.kill("SIGINT");
        }),
    });
    expect(page).toContain("<title>Holdfast</title>");
    expect([o.err, o.exit]).toEqual(["", 0]);
  });
  test("the compiler's notes are not in the archive", () => {
    const files = readdirSync(join(installed.packageDir, "dist"), { recursive: true, encoding: "utf8" });
    expect(files.filter((f) => f.includes("tsbuildinfo"))).toEqual([]);
  });
});

/** Changes `text` as a diff block says: lines without - become lines without +. */
function patch(text: string, diff: string): string {
  const lines = diff.replace(/\n$/, "").split("\n");
  const side = (other: string): string =>
    lines
      .filter((l) => !l.startsWith(other))
      .map((l) => `${l.slice(1)}\n`)
      .join("");
  expect(text).toContain(side("+"));
  return text.replace(side("+"), side("-"));
}

/** The rows of a text block, each as a command prints it, spacing aside. */
const rowsOf = (text: string): string[] =>
  text
    .split("\n")
    .map((l) => l.replace(/\s+/g, " ").trim())
    .filter((l) => l !== "" && l !== "..." && !/^[- ]*$/.test(l));

// Minutes: npm run campaign:docs.
describe.skipIf(process.env["HOLDFAST_CAMPAIGN"] === undefined)("the matrix in README.md", () => {
  const [, shown] = /```text\n\$ npx holdfast claims\n([\s\S]*?)```/.exec(read("README.md")) ?? [];
  test("counts the cells that there are", () => {
    const standard = allCells().filter((c) => c.standard);
    const applicable = standard.filter((c) => c.notApplicable === null).length;
    expect(shown).toContain(`\n${count(applicable)} cells: `);
    expect(shown).toContain(` ${count(standard.length - applicable)} not applicable; `);
  });
  test("is what comes out, row by row", async () => {
    const o = await holdfast(["claims", "--width", "1000"]);
    expect(o.exit).toBe(0);
    // C9 is timed; of the last line, so are the seconds.
    const plain = (row: string): string =>
      row.startsWith("C9/") ? row.replace(/\d[\d,.]*/g, "#") : row.replace(/\d+(\.\d+)? s on/, "# s on");
    const printed = new Set(rowsOf(o.out).map(plain));
    expect(
      rowsOf(shown)
        .map(plain)
        .filter((row) => !printed.has(row)),
    ).toEqual([]);
  });
});

describe("docs/first-scenario.md, done as it says", () => {
  test("every command prints what it says, and every change applies", async () => {
    const page = read("docs/first-scenario.md");
    const steps = [...page.matchAll(/```(console|diff)\n([\s\S]*?)```/g)].map((m) => [m[1], m[2]]);
    expect(steps.filter(([kind]) => kind === "diff").length).toBe(4);
    const dir = project({});
    const kernel = join(dir, "race", "kernel.ts");
    for (const [kind, text] of steps) {
      if (kind === "diff") {
        writeFileSync(kernel, patch(readFileSync(kernel, "utf8"), text));
        continue;
      }
      const [first, ...rest] = text.split("\n");
      const o = await holdfast(first.replace("$ npx holdfast ", "").split(" "), { cwd: dir });
      expect(o.err).toBe("");
      expectShown(o.out, rest.join("\n"), timeless);
    }
    rmSync(dir, { recursive: true });
  });
});

describe("README.md", () => {
  test("names scripts that exist", () => {
    const scripts = Object.keys(
      (JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts,
    );
    for (const name of ["start", "test", "bench:explore", "bench:run"]) expect(scripts).toContain(name);
  });
});

describe("every document", () => {
  test.each(documents)("%s links to what exists", (document) => {
    const bad = [...read(document).matchAll(/\]\(([^)#]+)[^)]*\)/g)]
      .map((m) => m[1])
      .filter((to) => !/^https?:/.test(to))
      .filter((to) => !existsSync(resolve(ROOT, dirname(document), to)));
    expect(bad).toEqual([]);
  });
  test.each(documents)("%s names sources that exist", (document) => {
    const bad = [...read(document).matchAll(/`((?:src|tests|examples|docs)\/[\w./-]+)`/g)]
      .map((m) => m[1])
      .filter((path) => !existsSync(join(ROOT, path)));
    expect(bad).toEqual([]);
  });
});

describe("docs/gup-rules.md", () => {
  const rules = [...read("docs/gup-rules.md").matchAll(/`(gup[a-z0-9-]*)`: ((?:[^;|`]|`[^`]*`(?!:))+)/g)];
  test("has every answer with a test", () => {
    expect(rules.length).toBeGreaterThan(60);
  });
  test("names tests that exist", () => {
    const titles = new Map<string, string>();
    const bad = rules.filter(([, file, name]) => {
      const path = `tests/mm/${file}.test.ts`;
      if (!titles.has(path))
        titles.set(path, [...read(path).matchAll(/\btest\(\s*["`](.*)/g)].map((m) => m[1]).join("\n"));
      return !(titles.get(path) ?? "").split("\n").some((title) => title.startsWith(name.trim()));
    });
    expect(bad.map(([all]) => all)).toEqual([]);
  });
});
