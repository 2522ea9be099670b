/**
 * Imports a person's own TypeScript module (a scenario file) on any supported Node, also those that cannot
 * strip types. What is wrong with the file is reported with file, line and column as a DialectError, never as
 * a stack trace.
 */

import { existsSync, realpathSync, statSync } from "node:fs";
import { register } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { nearestName } from "../machine/nearest.ts";
import { type Diagnostic, DialectError, diagnostic } from "./errors.ts";
import { type Place, parseFile, placeOf, type SourceFile } from "./parse.ts";
import { displayPath, packageModules, resolveSpecifier, runtimeUrl, sourcePath } from "./sources.ts";

let registered = false;

/**
 * Makes this thread's `import()` understand TypeScript and `holdfast/...`. Idempotent; each worker thread
 * needs its own.
 */
export function registerTypeScript(): void {
  if (registered) return;
  registered = true;
  register(new URL("./hooks.js", import.meta.url));
}

/**
 * Imports the module at `path` (a path or file URL) and gives its exports.
 * @throws DialectError HF150 not found, HF100 syntax error, HF126 an import that does not exist, HF151 it
 * threw.
 */
export async function importModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  let source = sourcePath(path);
  const nowhere = { file: displayPath(source), line: 0, col: 0 };
  if (!existsSync(source) || !statSync(source).isFile())
    throw new DialectError([diagnostic("HF150", nowhere, displayPath(source))]);
  source = realpathSync(source);
  const files = /\.m?ts$/.test(source) ? checkGraph(source) : [];
  registerTypeScript();
  const mapped = process.sourceMapsEnabled;
  process.setSourceMapsEnabled(true);
  try {
    return (await import(/* @vite-ignore */ runtimeUrl(source))) as Readonly<Record<string, unknown>>;
  } catch (e) {
    if (e instanceof DialectError) throw e;
    const missing = missingImport(e, files);
    if (missing !== undefined) throw new DialectError([missing]);
    const place = placeOfError(e, source) ?? nowhere;
    throw new DialectError([diagnostic("HF151", place, e instanceof Error ? e.message : String(e))]);
  } finally {
    process.setSourceMapsEnabled(mapped);
  }
}

/**
 * What `run` gives. What it throws is rethrown as `failed` makes it, told the place in the module's own
 * source, "s.ts:12:5: ", or "" if the stack does not lead there.
 */
export function withPlace<T>(module: string, run: () => T, failed: (place: string, e: unknown) => Error): T {
  const mapped = process.sourceMapsEnabled;
  process.setSourceMapsEnabled(true);
  try {
    return run();
  } catch (e) {
    const place = placeOfError(e, sourcePath(module));
    throw failed(place === null ? "" : `${place.file}:${place.line}:${place.col}: `, e);
  } finally {
    process.setSourceMapsEnabled(mapped);
  }
}

/**
 * Parses the file and its own files that it imports, so that syntax errors, missing files and modules that
 * this package does not have are told with their place.
 */
function checkGraph(root: string): SourceFile[] {
  const seen = new Set<string>();
  const files: SourceFile[] = [];
  const work = [root];
  for (let path = work.pop(); path !== undefined; path = work.pop()) {
    if (seen.has(path) || runtimeUrl(path).endsWith(".js")) continue;
    seen.add(path);
    const file = parseFile(path);
    files.push(file);
    for (const i of file.imports) {
      const from = resolveSpecifier(i.specifier, path);
      if (i.specifier.startsWith("holdfast/") && (from === null || !existsSync(from)))
        throw new DialectError([noSuchModule(i.specifier, placeOf(file, i.start))]);
      if (i.typeOnly || from === null || !/\.m?ts$/.test(from)) continue;
      if (!existsSync(from))
        throw new DialectError([
          diagnostic("HF126", placeOf(file, i.start), `there is no file ${i.specifier}`),
        ]);
      work.push(from);
    }
  }
  return files;
}

function noSuchModule(specifier: string, place: Place): Diagnostic {
  const near = nearestName(specifier, packageModules());
  const hint =
    near === undefined
      ? "docs/api/README.md and docs/dialect.md name what there is"
      : `did you mean ${near}?`;
  return diagnostic("HF126", place, `holdfast has no module ${specifier}`, hint);
}

/** Node says which import is wrong, but not where it stands. */
function missingImport(e: unknown, files: readonly SourceFile[]): Diagnostic | undefined {
  const message = e instanceof Error ? e.message : "";
  const name = /requested module '(.+)' does not provide an export named '(.+)'/.exec(message);
  const module = /Cannot find module '([^']+)'/.exec(message);
  const absent = /Cannot find package '([^']+)'/.exec(message);
  for (const file of files)
    for (const i of file.imports) {
      if (name !== null && i.specifier === name[1] && i.imported === name[2])
        return diagnostic("HF126", placeOf(file, i.start), `${i.specifier} exports no ${i.imported}`);
      if (absent !== null && (i.specifier === absent[1] || i.specifier.startsWith(`${absent[1]}/`)))
        return diagnostic(
          "HF126",
          placeOf(file, i.start),
          `package ${absent[1]} is not installed where ${file.display} looks for it`,
          `npm install ${absent[1]} beside it, or import holdfast/... and files of your own`,
        );
      if (
        module !== null &&
        (i.specifier === module[1] || module[1].endsWith(i.specifier.replace(/^(\.\.?\/)+/, "/")))
      )
        return diagnostic("HF126", placeOf(file, i.start), `there is no file ${i.specifier}`);
    }
  return undefined;
}

/** First place in the stack that lies in a file of the person's own; null if none does. */
function placeOfError(e: unknown, source: string): Place | null {
  const stack = e instanceof Error ? (e.stack ?? "") : "";
  for (const line of stack.split("\n")) {
    const m = /(file:\/\/[^\s()]+|\/[^\s()]+):(\d+):(\d+)\)?$/.exec(line);
    if (m === null) continue;
    const path = m[1].startsWith("file:") ? fileURLToPath(m[1]) : m[1];
    if (path === source || (!runtimeUrl(path).endsWith(".js") && pathToFileURL(path).href.endsWith(".ts")))
      return { file: displayPath(path), line: Number(m[2]), col: Number(m[3]) };
  }
  return null;
}
