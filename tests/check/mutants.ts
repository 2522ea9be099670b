/**
 * Mutants of the checker: a copy of src/ in the git-ignored tmp/ of the project, in which pieces of text have
 * been replaced, imported beside the original. So a test can show that it would have caught a mistake without
 * the checker having a hook for it. The text to be replaced must be found, exactly once unless said
 * otherwise: a mutant that no longer applies is a failure, not a mutant that was caught. (DeMillo, Lipton,
 * Sayward, "Hints on Test Data Selection", 1978.)
 */

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
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
  // The process and a counter in the name: test files run side by side, and modules are cached by path.
  const home = join(ROOT, "tmp", "mutants", `${process.pid}-${Date.now()}-${serial++}`);
  mkdirSync(home, { recursive: true });
  const remove = (): void => rmSync(home, { recursive: true, force: true });
  try {
    for (const part of PARTS) cpSync(join(ROOT, "src", part), join(home, part), { recursive: true });
    for (const e of edits) {
      const path = join(home, e.file);
      const before = readFileSync(path, "utf8");
      const pattern =
        typeof e.find === "string"
          ? new RegExp(e.find.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "g")
          : new RegExp(e.find, "g");
      const found = before.match(pattern)?.length ?? 0;
      if (found !== (e.times ?? 1))
        throw new StaleMutant(`${e.file} has ${found} of ${String(e.find)}, not ${e.times ?? 1}`);
      writeFileSync(path, before.replace(pattern, e.replace));
    }
    const module = (await import(/* @vite-ignore */ join(home, "check/explore/explore.ts"))) as {
      explore: Explore;
    };
    return { explore: module.explore, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

let serial = 0;
