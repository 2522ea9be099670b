/**
 * Files that a command is given or asked to write. Those that come with the package have a name that means
 * the same wherever it is installed. Whether a file can be written is looked at before the work, and it is
 * written aside and renamed, so that a full disk leaves no half of one behind.
 */

import { accessSync, constants, existsSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { displayPath, PACKAGE_ROOT } from "../lang/sources.ts";
import { UserError } from "./errors.ts";

const OURS = "holdfast/";

/**
 * `holdfast/examples/kref.ts`, also with `#NAME`, as imports name the package's modules: the file that came
 * with it, unless there is one of that path here. Every other word is given back as it is.
 */
export function packageFile(word: string): string {
  const path = word.replace(/#.*$/, "");
  if (!path.startsWith(OURS) || existsSync(path)) return word;
  const ours = join(PACKAGE_ROOT, path.slice(OURS.length));
  return existsSync(ours) ? displayPath(ours) + word.slice(path.length) : word;
}

/** The same for several words on one command line. */
export function packageFiles(word: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), packageFile(word)];
}

const why = (e: unknown): string => (e instanceof Error ? e.message : String(e));

/** @throws UserError HF023 if the file could not be written now. */
export function checkWritable(path: string): void {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory() === true) throw new Error("it is a directory");
    accessSync(found === undefined ? dirname(path) : path, constants.W_OK);
  } catch (e) {
    throw new UserError("HF023", `${path}: ${why(e)}`);
  }
}

/** @throws UserError HF023; the file is then as it was. */
export function writeOutput(path: string, text: string): void {
  const aside = `${path}.part`;
  try {
    // What is no file (a pipe, a device) cannot be replaced by one.
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) writeFileSync(path, text);
    else {
      writeFileSync(aside, text);
      renameSync(aside, path);
    }
  } catch (e) {
    if (statSync(aside, { throwIfNoEntry: false })?.isFile() === true) rmSync(aside);
    throw new UserError("HF023", `${path}: ${why(e)}`);
  }
}
