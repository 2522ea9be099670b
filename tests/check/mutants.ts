/**
 * Mutants of the checker: a copy of the built files in the git-ignored tmp/ of the project, in which those
 * stand anew whose sources had pieces of text replaced, imported beside the original. So a test can show that
 * it would have caught a mistake without the checker having a hook for it. The text to be replaced must be
 * found, exactly once unless said otherwise: a mutant that no longer applies is a failure, not a mutant that
 * was caught. (DeMillo, Lipton, Sayward, "Hints on Test Data Selection", 1978.)
 */

import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ModuleKind, ScriptTarget, transpileModule } from "typescript";
import type { Explore } from "./laws.ts";

export interface Edit {
  /** Below src/. */
  readonly file: string;
  readonly find: string | RegExp;
  readonly replace: string;
  /** How often `find` occurs (default 1); all are replaced. */
  readonly times?: number;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** What the explorer imports, directly or not. */
const PARTS = ["check", "lang", "machine"];

export class StaleMutant extends Error {}

/** Makes the mutant and gives its `explore` and a function that removes it. */
export async function mutant(edits: readonly Edit[]): Promise<{ explore: Explore; remove: () => void }> {
  // The process and a counter in the name: test files run side by side, and modules are cached by path. What
  // lies below a folder dist/ is loaded by Node itself (vitest.config.ts).
  const home = join(ROOT, "tmp", "mutants", `${process.pid}-${Date.now()}-${serial++}`, "dist");
  const remove = (): void => rmSync(dirname(home), { recursive: true, force: true });
  try {
    const texts = edited(edits);
    const filter = (path: string): boolean => !/\.(d\.ts|map)$/.test(path);
    for (const part of PARTS) cpSync(join(ROOT, "dist", part), join(home, part), { recursive: true, filter });
    for (const [file, text] of texts) writeFileSync(join(home, file.replace(/ts$/, "js")), compiled(text));
    const module = (await import(/* @vite-ignore */ join(home, "check/explore/explore.js"))) as {
      explore: Explore;
    };
    return { explore: module.explore, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** The sources that are edited, by their names, after every edit. */
function edited(edits: readonly Edit[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const e of edits) {
    const before = texts.get(e.file) ?? readFileSync(join(ROOT, "src", e.file), "utf8");
    const pattern =
      typeof e.find === "string"
        ? new RegExp(e.find.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "g")
        : new RegExp(e.find, "g");
    const found = before.match(pattern)?.length ?? 0;
    if (found !== (e.times ?? 1))
      throw new StaleMutant(`${e.file} has ${found} of ${String(e.find)}, not ${e.times ?? 1}`);
    texts.set(e.file, before.replace(pattern, e.replace));
  }
  return texts;
}

const compiled = (text: string): string =>
  transpileModule(text, {
    compilerOptions: {
      module: ModuleKind.ESNext,
      target: ScriptTarget.ES2023,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  }).outputText;

let serial = 0;
