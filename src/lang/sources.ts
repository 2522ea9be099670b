/**
 * Where source text is and where the module that runs is. The compiler parses `src/*.ts` (shipped in the
 * package) while Node runs `dist/*.js`; both name the same module, and configuration is read from the
 * instance that runs. Also resolves import specifiers as written in TypeScript source: relative paths, and
 * `holdfast` and `holdfast/...` even where the package is not installed. Not covered: other packages' files
 * (they are never dialect).
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = fileURLToPath(import.meta.url);

/** Directory that holds package.json, src and dist. */
export const PACKAGE_ROOT: string = resolve(dirname(here), "..", "..");
const SRC = join(PACKAGE_ROOT, "src") + sep;
const DIST = join(PACKAGE_ROOT, "dist") + sep;

/** The file whose exports are the primitives. */
export const PRIMITIVES_PATH: string = join(SRC, "machine", "primitives.ts");
/** The file that exports `struct`. */
export const STRUCT_PATH: string = join(SRC, "machine", "struct.ts");

/** Path of the TypeScript source of a running module, given its `import.meta.url` (or a path). */
export function sourcePath(moduleUrl: string): string {
  const path = moduleUrl.startsWith("file:")
    ? fileURLToPath(moduleUrl.replace(/[?#].*$/, ""))
    : resolve(moduleUrl);
  if (path.startsWith(DIST) && path.endsWith(".js")) return SRC + path.slice(DIST.length, -3) + ".ts";
  return path;
}

/** URL under which the running instance of the module with this source is imported. */
export function runtimeUrl(source: string): string {
  if (source.startsWith(SRC) && source.endsWith(".ts"))
    return pathToFileURL(DIST + source.slice(SRC.length, -3) + ".js").href;
  return pathToFileURL(source).href;
}

/** Source path that an import in `importer` means; null for a package or built-in module. */
export function resolveSpecifier(specifier: string, importer: string): string | null {
  let path: string;
  if (specifier.startsWith("./") || specifier.startsWith("../")) path = resolve(dirname(importer), specifier);
  else if (specifier.startsWith("file:")) path = sourcePath(specifier);
  else if (isAbsolute(specifier)) path = specifier;
  else if (specifier === "holdfast") path = join(SRC, "index.ts");
  else if (specifier.startsWith("holdfast/")) path = join(SRC, specifier.slice("holdfast/".length));
  else return null;
  if (path.endsWith(".ts") && existsSync(path)) return path;
  // TypeScript lets `./x.js` and `./x` mean x.ts; so do published imports of `holdfast/mm/gup`.
  for (const candidate of [path.replace(/\.js$/, ".ts"), `${path}.ts`])
    if (candidate.endsWith(".ts") && existsSync(candidate)) return candidate;
  return path;
}

/** What a scenario may import of this package: `holdfast/machine/memory` and its like. */
export function packageModules(): string[] {
  return ["machine", "mm"].flatMap((folder) =>
    readdirSync(join(SRC, folder))
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `holdfast/${folder}/${name.slice(0, -".ts".length)}`),
  );
}

/** Source text, or null if the file cannot be read. */
export function readSource(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Path as a person would open it from the current directory. */
export function displayPath(path: string): string {
  const rel = relative(process.cwd(), path);
  return rel === "" || rel.startsWith("..") || isAbsolute(rel) ? path : rel.split(sep).join("/");
}

/** Stable name of a module in function ids: independent of where the package is installed. */
export function moduleId(path: string): string {
  if (path.startsWith(SRC)) return path.slice(SRC.length).split(sep).join("/");
  return displayPath(path);
}
