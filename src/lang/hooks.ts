/**
 * Module hooks for Node (node:module, `register`) that let it import a person's TypeScript: types are
 * stripped by oxc-transform, `holdfast/...` means this very package even where it is not installed, and a
 * path into this package's sources means the instance that runs, so that a scenario and the checker share one
 * configuration. Runs in Node's hooks thread. Not covered: JSX, path aliases of tsconfig.json.
 */

import { readFileSync } from "node:fs";
import type { LoadFnOutput, LoadHookContext, ResolveFnOutput, ResolveHookContext } from "node:module";
import { fileURLToPath } from "node:url";
import { transformSync } from "oxc-transform";
import { resolveSpecifier, runtimeUrl } from "./sources.ts";

type NextResolve = (
  specifier: string,
  context: ResolveHookContext,
) => ResolveFnOutput | Promise<ResolveFnOutput>;
type NextLoad = (url: string, context: LoadHookContext) => LoadFnOutput | Promise<LoadFnOutput>;

const isTypeScript = (url: string): boolean => /\.m?ts$/.test(url.replace(/[?#].*$/, ""));

export async function resolve(
  specifier: string,
  context: ResolveHookContext,
  next: NextResolve,
): Promise<ResolveFnOutput> {
  const parent = context.parentURL;
  const fromTypeScript = parent?.startsWith("file:") === true && isTypeScript(parent);
  if (/^holdfast(?:\/|$)/.test(specifier) || fromTypeScript) {
    const path = resolveSpecifier(
      specifier,
      fromTypeScript && parent !== undefined ? fileURLToPath(parent) : "/",
    );
    if (path !== null && isTypeScript(path)) return next(runtimeUrl(path), context);
  }
  return next(specifier, context);
}

export async function load(url: string, context: LoadHookContext, next: NextLoad): Promise<LoadFnOutput> {
  if (!url.startsWith("file:") || !isTypeScript(url)) return next(url, context);
  const path = fileURLToPath(url);
  const result = transformSync(path, readFileSync(path, "utf8"), {
    lang: "ts",
    sourceType: "module",
    sourcemap: true,
    typescript: { onlyRemoveTypeImports: true, rewriteImportExtensions: false },
  });
  const error = result.errors.find((e) => e.severity === "Error");
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`);
  const map = Buffer.from(JSON.stringify(result.map)).toString("base64");
  return {
    format: "module",
    shortCircuit: true,
    source: `${result.code}\n//# sourceMappingURL=data:application/json;base64,${map}`,
  };
}
