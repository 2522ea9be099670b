/**
 * Memory models from files: a .cat file with the .bell and .def files beside it, or a configuration of herd7
 * that names them, such as linux-kernel.cfg. Tells whether they are, comments and layout aside, the files of
 * Linux 7.3 that the built-in model was written from, so that nobody gets the built-in answer for a model
 * that was changed.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { loadCat, type ReadFile } from "../check/cat/interpret.ts";
import { tokens } from "../check/cat/lex.ts";
import { OWN_MODELS } from "../check/cat/models.ts";
import { CatError } from "../check/cat/syntax.ts";
import { builtInMacros, DefError, type Macros, parseDef, tagsOf } from "../litmus/cat/def.ts";
import type { CatSetup } from "../litmus/cat/run.ts";
import { UserError } from "./errors.ts";

/** Which files make a model; names as the user gave them. */
export interface ModelFiles {
  readonly cat: string;
  readonly bell: string | null;
  readonly macros: string | null;
  readonly variants: readonly string[];
  /** Where files are looked for. */
  readonly path: readonly string[];
}

/** SHA-256 of the tokens of the files of Linux 7.3, a space between them. */
const LINUX_7_3: ReadonlyMap<string, string> = new Map([
  ["linux-kernel.cat", "8f44339018a74e779c9b9488fc7d9a671b854d11e6640704a2a4c89a96ef7649"],
  ["linux-kernel.bell", "5a62203c3857589f194ddd6b84f9262a0da528d84909f5e63f86af06050f9a54"],
  ["linux-kernel.def", "6aecf6206a255dbc7ef9f73c76d1cf3cef1dadf8e4856a118cbc333aac371cb1"],
  ["lock.cat", "2396144dfc2581a5af66af974b266ced5c7258eca4b3dccfe387adc411b24711"],
]);

/** A file along the search path; null if it is nowhere. */
export function findFile(name: string, path: readonly string[]): string | null {
  for (const dir of ["", ...path]) {
    const full = dir === "" ? name : resolve(dir, name);
    if (existsSync(full) && statSync(full).isFile()) return full;
  }
  return null;
}

const reader =
  (path: readonly string[]): ReadFile =>
  (name) => {
    const full = findFile(name, path);
    return full === null ? null : readFileSync(full, "utf8");
  };

/** What `--cat` names: FILE.cat, FILE.cfg, a directory with linux-kernel.cfg, or a model of ours by name. */
export function modelFilesOf(path: string): ModelFiles {
  if (!existsSync(path)) {
    const own = [path, `${path}.cat`].find((n) => OWN_MODELS.has(n));
    if (own !== undefined) return { cat: own, bell: null, macros: null, variants: [], path: [] };
    throw new UserError("HF008", path, `a .cat or .cfg file, or one of ${ownNames().join(", ")}`);
  }
  if (statSync(path).isDirectory()) {
    const conf = join(path, "linux-kernel.cfg");
    if (!existsSync(conf)) throw new UserError("HF008", conf, "name the .cat or .cfg file itself");
    return modelFilesOf(conf);
  }
  const dir = dirname(path);
  if (path.endsWith(".cfg")) return configuration(path);
  const beside = (ending: string): string | null => {
    const name = path.replace(/\.cat$/, ending);
    return name !== path && existsSync(name) ? basename(name) : null;
  };
  const bell = beside(".bell");
  const variants =
    bell !== null && /\blkmmv2\b/.test(readFileSync(join(dir, bell), "utf8")) ? ["lkmmv2"] : [];
  return { cat: basename(path), bell, macros: beside(".def"), variants, path: [dir] };
}

const ownNames = (): string[] => [...OWN_MODELS.keys()].filter((n) => n === "sc.cat" || n === "tso.cat");

function configuration(path: string): ModelFiles {
  const settings = new Map<string, string>();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const m = /^\s*(model|cat|macros|bell|variant)\s+(\S+)/.exec(line);
    if (m !== null) settings.set(m[1], m[2]);
  }
  const cat = settings.get("model") ?? settings.get("cat");
  if (cat === undefined) throw new UserError("HF026", `${path} names no model`);
  return {
    cat,
    bell: settings.get("bell") ?? null,
    macros: settings.get("macros") ?? null,
    variants: settings.get("variant")?.split(",") ?? [],
    path: [dirname(path)],
  };
}

/** Reads and parses. Throws UserError for what cannot be used. */
export function loadSetup(files: ModelFiles, name = `cat:${basename(files.cat)}`): CatSetup {
  const read = reader(files.path);
  try {
    let macros: Macros = builtInMacros();
    let version: 1 | 2 = 2;
    if (files.macros !== null) {
      const text = read(files.macros);
      if (text === null) throw new UserError("HF008", files.macros);
      macros = parseDef(files.macros, text);
      version = files.variants.includes("lkmmv2") ? 2 : 1;
    }
    const model = loadCat(files.cat, files.bell, read, files.variants, tagsOf(macros));
    return { name, model, macros, version };
  } catch (e) {
    if (e instanceof CatError || e instanceof DefError) throw new UserError("HF026", e.message);
    throw e;
  }
}

/** The file without comments and layout. */
function canonical(name: string, text: string): string {
  if (!name.endsWith(".def"))
    return tokens(name, text)
      .map((t) => t.text)
      .join(" ");
  const lines = text.split("\n").map((l) => l.replace(/\/\/.*$/, "").replace(/\s+/g, ""));
  return lines.filter((l) => l !== "").join(" ");
}

export type Standing =
  /** Found, and what the built-in model was written from. */
  | "built-in"
  /** Found, and something else. */
  | "other"
  | "missing";

/** How a model file on the search path compares with that of Linux 7.3. */
export function standing(name: string, path: readonly string[]): Standing {
  const full = findFile(name, path);
  if (full === null) return "missing";
  try {
    const digest = createHash("sha256")
      .update(canonical(name, readFileSync(full, "utf8")))
      .digest("hex");
    return digest === LINUX_7_3.get(basename(name)) ? "built-in" : "other";
  } catch (e) {
    if (e instanceof CatError) return "other";
    throw e;
  }
}
