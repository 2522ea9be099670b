/**
 * C files of the file system, and the headers that the package ships in `include/`. Read once per process and
 * path, unless they change.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { PACKAGE_ROOT } from "../sources.ts";
import type { CFiles } from "./files.ts";
import type { CFile } from "./lex.ts";

export const INCLUDE_DIR: string = join(PACKAGE_ROOT, "include");

interface Cached {
  readonly file: CFile;
  readonly stamp: string;
}

function headerNames(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const path = join(dir, e.name);
    if (e.isDirectory()) return headerNames(path);
    return e.name.endsWith(".h") ? [relative(INCLUDE_DIR, path).split(sep).join("/")] : [];
  });
}

let headerList: readonly string[] | null = null;
const headers = new Map<string, CFile | null>();

function header(name: string): CFile | null {
  let file = headers.get(name);
  if (file === undefined) {
    headerList ??= headerNames(INCLUDE_DIR).sort();
    file = headerList.includes(name)
      ? { name: `<${name}>`, text: readFileSync(join(INCLUDE_DIR, name), "utf8"), builtin: true }
      : null;
    headers.set(name, file);
  }
  return file;
}

/** Files by path from the current directory. */
export function nodeFiles(): CFiles {
  const own = new Map<string, Cached>();
  return {
    read(path) {
      try {
        const s = statSync(path);
        if (!s.isFile()) return null;
        const stamp = `${s.mtimeMs} ${s.size}`;
        const known = own.get(path);
        if (known?.stamp === stamp) return known.file;
        const file = { name: path, text: readFileSync(path, "utf8"), builtin: false };
        own.set(path, { file, stamp });
        return file;
      } catch {
        return null;
      }
    },
    header,
    get headers() {
      headerList ??= headerNames(INCLUDE_DIR).sort();
      return headerList;
    },
  };
}
