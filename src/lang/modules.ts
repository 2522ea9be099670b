/**
 * The modules that dialect code is linked from: source text parsed and checked once per file, functions
 * lowered on demand, and the live module namespaces in which configuration and boot-time constants are read.
 * Loading is asynchronous (it imports); linking is not, so that nothing can change configuration between boot
 * and link.
 */

import { nearestName } from "../machine/nearest.ts";
import { checkFile } from "./check.ts";
import { type Diagnostic, DialectError, diagnostic } from "./errors.ts";
import { registerTypeScript } from "./load.ts";
import { lowerFunction } from "./lower.ts";
import type { LowFn } from "./lowered.ts";
import { parseFile, parseSource, placeOf, type SourceFile } from "./parse.ts";
import { type FileLookup, functionId } from "./scope.ts";
import { PRIMITIVES_PATH, runtimeUrl, sourcePath } from "./sources.ts";

export type Namespace = Readonly<Record<string, unknown>>;

export interface LoadedModule {
  readonly file: SourceFile;
  /** Exports of the instance that runs; null for ordinary files that no dialect file imports from. */
  readonly namespace: Namespace | null;
}

const modules = new Map<string, LoadedModule>();
const namespaces = new Map<string, Namespace>();
const lowered = new Map<string, LowFn>();

const isTypeScript = (path: string): boolean => /\.m?ts$/.test(path) && !path.endsWith(".d.ts");

/** Source files that `roots` reach by value imports, parsed; dialect files checked. */
function parseGraph(roots: readonly string[]): Map<string, SourceFile> {
  const files = new Map<string, SourceFile>();
  const found: Diagnostic[] = [];
  const work = [...roots];
  for (let path = work.pop(); path !== undefined; path = work.pop()) {
    if (files.has(path)) continue;
    const known = modules.get(path);
    if (known === undefined) {
      try {
        const file = parseFile(path);
        files.set(path, file);
        if (file.isKernel) found.push(...checkFile(file));
      } catch (e) {
        if (!(e instanceof DialectError)) throw e;
        found.push(...e.diagnostics);
        continue;
      }
    } else files.set(path, known.file);
    for (const d of files.get(path)?.dependencies ?? [])
      if (isTypeScript(d) && d !== PRIMITIVES_PATH) work.push(d);
  }
  if (found.length > 0) throw new DialectError(found);
  return files;
}

async function namespaceOf(path: string): Promise<Namespace> {
  let ns = namespaces.get(path);
  if (ns === undefined) {
    // Files of this package run as they are; a person's own may be TypeScript that Node cannot read by
    // itself.
    if (runtimeUrl(path).endsWith("ts")) registerTypeScript();
    ns = (await import(/* @vite-ignore */ runtimeUrl(path))) as Namespace;
    namespaces.set(path, ns);
  }
  return ns;
}

/** Names that a dialect file imports and that do not exist. */
function checkImports(file: SourceFile, files: ReadonlyMap<string, SourceFile>): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const i of file.imports) {
    if (i.typeOnly || i.imported === "*") continue;
    const at = placeOf(file, i.start);
    if (i.from === null) {
      found.push(
        diagnostic("HF126", at, i.specifier, "dialect files import dialect files and machine/ only"),
      );
      continue;
    }
    const other = files.get(i.from);
    const ns = namespaces.get(i.from);
    const names = new Set([
      ...Object.keys(ns ?? {}),
      ...(other?.functions.keys() ?? []),
      ...(other?.consts.keys() ?? []),
    ]);
    if (names.has(i.imported)) continue;
    const near = nearestName(i.imported, names);
    found.push(
      diagnostic(
        "HF126",
        at,
        `${i.imported} from ${i.specifier}`,
        near === undefined ? undefined : `did you mean ${near}?`,
      ),
    );
  }
  return found;
}

/**
 * Loads the modules at these URLs (`import.meta.url` of each, or a path) and all that they import.
 * Idempotent.
 * @throws DialectError with every refusal of every dialect file among them.
 */
export async function loadModules(urls: readonly string[]): Promise<void> {
  const files = parseGraph(urls.map(sourcePath));
  const found: Diagnostic[] = [];
  for (const file of files.values()) {
    if (!file.isKernel || modules.has(file.path)) continue;
    try {
      await namespaceOf(file.path);
      for (const i of file.imports)
        if (!i.typeOnly && i.from !== null && (files.has(i.from) || i.from === PRIMITIVES_PATH))
          await namespaceOf(i.from);
    } catch (e) {
      const message = e instanceof Error ? e.message : String(e);
      found.push(diagnostic("HF151", { file: file.display, line: 0, col: 0 }, message));
      continue;
    }
    found.push(...checkImports(file, files));
  }
  if (found.length > 0) throw new DialectError(found);
  for (const [path, file] of files) modules.set(path, { file, namespace: namespaces.get(path) ?? null });
}

/**
 * Defines or replaces a dialect module by its text, as an editor does; `namespace` holds what running it
 * exports. What it imports must have been loaded.
 * @throws DialectError with every forbidden construct.
 */
export function defineModule(path: string, text: string, namespace: Namespace): void {
  const file = parseSource(path, text);
  const found = checkFile(file);
  if (found.length > 0) throw new DialectError(found);
  // Its importers were lowered against what it declared before.
  for (const [id, fn] of lowered)
    if (fn.file?.path === path || fn.file?.dependencies.includes(path) === true) lowered.delete(id);
  modules.set(path, { file, namespace });
  namespaces.set(path, namespace);
}

/** A loaded module by source path. */
export function moduleAt(path: string): LoadedModule | undefined {
  return modules.get(path);
}

export function loadedModules(): Iterable<LoadedModule> {
  return modules.values();
}

export function namespaceAt(path: string): Namespace | undefined {
  return namespaces.get(path);
}

const lookup: FileLookup = (path) => {
  const file = modules.get(path)?.file;
  return file?.isKernel === true ? file : null;
};

/** The lowered function of a loaded dialect file; undefined if there is none of that name. */
export function lowFunction(file: SourceFile, name: string): LowFn | undefined {
  const id = functionId(file, name);
  let fn = lowered.get(id);
  if (fn === undefined) {
    const decl = file.functions.get(name);
    if (decl === undefined) return undefined;
    fn = lowerFunction(file, decl, lookup);
    lowered.set(id, fn);
  }
  return fn;
}

/** By `file#name`, among the loaded modules. */
export function lowFunctionById(id: string): LowFn | undefined {
  const known = lowered.get(id);
  if (known !== undefined) return known;
  const name = id.slice(id.lastIndexOf("#") + 1);
  for (const m of modules.values())
    if (m.file.isKernel && functionId(m.file, name) === id) return lowFunction(m.file, name);
  return undefined;
}

/**
 * Lowers every function of a loaded dialect file, so that all that is wrong with it is said at once.
 * @throws DialectError
 */
export function compileModule(url: string): readonly LowFn[] {
  const m = modules.get(sourcePath(url));
  if (m === undefined) throw new Error(`${url} is not loaded`);
  const found: Diagnostic[] = [];
  const out: LowFn[] = [];
  for (const name of m.file.functions.keys()) {
    try {
      const fn = lowFunction(m.file, name);
      if (fn !== undefined) out.push(fn);
    } catch (e) {
      if (!(e instanceof DialectError)) throw e;
      found.push(...e.diagnostics);
    }
  }
  if (found.length > 0) throw new DialectError(found);
  return out;
}
