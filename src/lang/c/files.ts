/**
 * Where C source comes from: an interface, so that the front end runs where there is no file system. Paths
 * use `/`. Headers of the package are found by the name between `<` and `>`; what is read once is kept, with
 * its tokens, as long as the provider lives.
 */

import { type CFile, lex, type Token } from "./lex.ts";

export interface CFiles {
  /** A file of the user's by path, or null. */
  read(path: string): CFile | null;
  /** A header of the package by its name, `linux/list.h`, or null. */
  header(name: string): CFile | null;
  /** Names of the package's headers, for "did you mean". */
  readonly headers: readonly string[];
}

/** More than any program that can be explored; a megabyte of text parses in about a second. */
export const MAX_FILE_CHARS = 2_000_000;

const tokensOf = new WeakMap<CFile, readonly Token[]>();

/** Tokens of a file; once per file. @throws CError */
export function tokens(file: CFile): readonly Token[] {
  let t = tokensOf.get(file);
  if (t === undefined) {
    t = lex(file);
    tokensOf.set(file, t);
  }
  return t;
}

/** `a/b/../c` as `a/c`. */
export function normalPath(path: string): string {
  const out: string[] = [];
  const absolute = path.startsWith("/");
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && out.length > 0 && out[out.length - 1] !== "..") out.pop();
    else out.push(part);
  }
  return (absolute ? "/" : "") + out.join("/");
}

export function directoryOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : at === 0 ? "/" : path.slice(0, at);
}

/** Files in memory: texts by path, headers by name. For tests and for a browser. */
export function memoryFiles(
  texts: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): CFiles {
  const own = new Map(
    Object.entries(texts).map(([name, text]) => [normalPath(name), { name, text, builtin: false }]),
  );
  const shared = new Map(
    Object.entries(headers).map(([name, text]) => [name, { name: `<${name}>`, text, builtin: true }]),
  );
  return {
    read: (path) => own.get(normalPath(path)) ?? null,
    header: (name) => shared.get(name) ?? null,
    headers: [...shared.keys()],
  };
}
