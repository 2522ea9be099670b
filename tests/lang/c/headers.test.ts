/**
 * The package's headers: each can be included alone, and every function in it compiles, though most programs
 * use few of them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CProgram } from "../../../src/lang/c/compile.ts";
import { memoryFiles } from "../../../src/lang/c/files.ts";
import { INCLUDE_DIR, nodeFiles } from "../../../src/lang/c/node-files.ts";
import { parseFile } from "../../../src/lang/c/program.ts";

const package_ = nodeFiles();

/** Names of the functions that a header defines. */
function functionsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^#.*(?:\\\n.*)*$/gm, "");
  return [...code.matchAll(/^static (?:inline )?[\w\s*]*?\b(\w+)\([^;{]*\)\n\{/gm)].map((m) => m[1]);
}

describe("every function compiles", () => {
  test.each([...package_.headers])("of %s", (header) => {
    const names = functionsOf(readFileSync(join(INCLUDE_DIR, header), "utf8"));
    const text = `#include <${header}>\nvoid P0(void) { ${names.map((n) => `(void)${n};`).join(" ")} }\n`;
    const { unit } = parseFile("t.c", { ...package_, read: memoryFiles({ "t.c": text }).read }, {});
    new CProgram(unit, { recursion: 2 }).check(true);
    expect(names.filter((n) => (unit.functions.get(n)?.body ?? null) === null)).toEqual([]);
  });
});
