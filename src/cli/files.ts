/**
 * Files that a command is asked to write. Whether they can be is looked at before the work, and they are
 * written aside and renamed, so that a full disk leaves no half of one behind.
 */

import { accessSync, constants, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { UserError } from "./errors.ts";

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
