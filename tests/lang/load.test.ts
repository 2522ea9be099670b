/**
 * A person's own TypeScript scenario can be imported by plain Node, outside the package and without
 * installing it, and shares configuration and memory with the package; what is wrong with it is said in one
 * line with its place. Runs the package as it is shipped: compiled into a temporary directory of its own.
 */
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { transformSync } from "oxc-transform";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PACKAGE_ROOT } from "../../src/lang/sources.ts";

let root = "";
let own = "";

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "holdfast-package-"));
  own = mkdtempSync(join(tmpdir(), "holdfast-own-"));
  symlinkSync(join(PACKAGE_ROOT, "node_modules"), join(root, "node_modules"));
  writeFileSync(join(root, "package.json"), readFileSync(join(PACKAGE_ROOT, "package.json")));
  for (const part of ["lang", "machine"]) {
    for (const f of readdirSync(join(PACKAGE_ROOT, "src", part)).filter((x) => x.endsWith(".ts"))) {
      const text = readFileSync(join(PACKAGE_ROOT, "src", part, f), "utf8");
      const js = transformSync(f, text, {
        lang: "ts",
        sourceType: "module",
        typescript: { rewriteImportExtensions: "rewrite", onlyRemoveTypeImports: true },
      }).code;
      for (const [path, content] of [
        [join(root, "src", part, f), text],
        [join(root, "dist", part, f.replace(/\.ts$/, ".js")), js],
      ]) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content);
      }
    }
  }
  writeFileSync(
    join(own, "main.mjs"),
    `const at = (p) => import(${JSON.stringify(root)} + "/dist/" + p);
const { importModule } = await at("lang/load.js");
try {
  const ns = await importModule(process.argv[2]);
  const { linkScenario, loadScenario } = await at("lang/scenario.js");
  if (ns.scenario === undefined) console.log("loaded");
  else {
    await loadScenario(ns.scenario);
    console.log(JSON.stringify(linkScenario(ns.scenario)));
  }
} catch (e) {
  if (e.name !== "DialectError") throw e;
  console.log(e.message);
}
`,
  );
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
  rmSync(own, { recursive: true, force: true });
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(own, name), text);
}

/** Output of loading `name`, run from the directory that holds it. */
function load(name: string): string {
  return execFileSync(process.execPath, ["main.mjs", name], {
    cwd: own,
    encoding: "utf8",
    timeout: 30_000,
  }).trim();
}

test("a scenario of one's own is linked, in TypeScript, with types, from anywhere", () => {
  write({
    "conf.ts": "export interface Addresses { x: number }\nexport const addresses: Addresses = { x: 0 };\n",
    "own.kernel.ts": `"use kernel";
import { READ_ONCE, WRITE_ONCE } from "holdfast/machine/primitives";
import { addresses } from "./conf.ts";
export function writer(v: number): void {
  WRITE_ONCE(addresses.x, v);
}
export function reader(): number {
  return READ_ONCE(addresses.x);
}
`,
    "scenario.ts": `import { memblock_alloc, resetMemory } from "holdfast/machine/memory.ts";
import { defineScenario } from "holdfast/machine/scenario";
import { addresses, type Addresses } from "./conf.ts";
import { reader, writer } from "./own.kernel.ts";
const start: Addresses = { x: 7 };
export const scenario = defineScenario({
  name: "own", title: "own", module: import.meta.url,
  boot: () => {
    resetMemory(128);
    memblock_alloc("pad", 4);
    addresses.x = memblock_alloc("x", 1);
    return { threads: [{ name: "w", run: writer, args: [start.x] }, { name: "r", run: reader }] };
  },
});
`,
  });
  const program = JSON.parse(load("scenario.ts"));
  // The address that the boot code put into the object that the kernel code reads: one instance of every
  // module.
  const x = program.memory.symbols.find((y: { name: string }) => y.name === "x").base;
  expect(program.threads[0].blocks[0].instrs[0]).toMatchObject({
    op: "store",
    addr: { imm: x },
    a: { imm: 7 },
  });
  expect(program.threads[0].positions[0]).toMatchObject({
    file: "own.kernel.ts",
    line: 5,
    col: 3,
    fn: "writer",
  });
  expect(program.threads[1].cpu).toBe(1);
});

describe("what is wrong is said in a line, with its place:", () => {
  test.each([
    ["no file", "none.ts", {}, "none.ts: HF150 file not found: none.ts"],
    [
      "a syntax error",
      "a.ts",
      { "a.ts": "export const a: number = 1;\nexport const b = ;\n" },
      /^a\.ts:2:18: HF100 syntax error: /,
    ],
    [
      "a syntax error in an imported file",
      "a.ts",
      { "a.ts": 'import { b } from "./b.ts";\nexport const a = b;\n', "b.ts": "export const b = (;\n" },
      /^b\.ts:1:\d+: HF100 /,
    ],
    [
      "an import of a file that is not there",
      "a.ts",
      { "a.ts": '\nimport { q } from "./nowhere.ts";\nexport const a = q;\n' },
      "a.ts:2:10: HF126 unknown import: there is no file ./nowhere.ts",
    ],
    [
      "an import of a name that is not there",
      "a.ts",
      { "a.ts": 'import { READ_TWICE } from "holdfast/machine/primitives";\nexport const a = READ_TWICE;\n' },
      "a.ts:1:10: HF126 unknown import: holdfast/machine/primitives exports no READ_TWICE",
    ],
    [
      "an import of a package that is not installed",
      "a.ts",
      { "a.ts": 'import { q } from "no-such-package";\nexport const a = q;\n' },
      "a.ts:1:10: HF126 unknown import: package no-such-package is not installed where a.ts looks for it",
    ],
    [
      "an exception, at the line of the source",
      "a.ts",
      {
        "a.ts":
          "interface A {\n  x: number;\n}\nconst a = null as A | null;\nexport const b: number = a!.x;\n",
      },
      /^a\.ts:5:\d+: HF151 module failed to load: Cannot read properties of null/,
    ],
  ])("%s", (_, name, files, message) => {
    write(files as Record<string, string>);
    const out = load(name);
    if (typeof message === "string") expect(out.split("\n")[0]).toBe(message);
    else expect(out).toMatch(message);
    expect(out).not.toMatch(/^\s+at /m);
  });
});
