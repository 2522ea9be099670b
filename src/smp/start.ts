/**
 * Starts a worker thread on a module of this package. From dist that is plain JavaScript. From source (tests) the worker
 * first installs a module hook that strips types, because Node 20 cannot; it is registered inside the worker, so that it
 * is there before the first import whatever the main thread runs. A user's scenario in TypeScript is loaded by
 * lang/load.ts, in both. Not covered: TypeScript with run-time syntax (enums, namespaces): the project has none.
 */

import { createRequire } from "node:module";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker, type WorkerOptions } from "node:worker_threads";

const require = createRequire(import.meta.url);
const extension = extname(new URL(import.meta.url).pathname);

/** The module hook, as text: it runs in Node's loader thread. */
function hooks(): string {
  const transform = pathToFileURL(require.resolve("oxc-transform")).href;
  return `
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { transformSync } from ${JSON.stringify(transform)};
export async function load(url, context, next) {
  if (!/\\.m?ts$/.test(new URL(url).pathname)) return next(url, context);
  const path = fileURLToPath(url);
  const out = transformSync(path, readFileSync(path, "utf8"), { sourcemap: true, typescript: { onlyRemoveTypeImports: true } });
  if (out.errors.length > 0) throw new SyntaxError(path + ": " + out.errors[0].message);
  const map = "data:application/json;base64," + Buffer.from(JSON.stringify(out.map)).toString("base64");
  return { format: "module", shortCircuit: true, source: out.code + "\\n//# sourceMappingURL=" + map };
}`;
}

/** A worker on the module at `entry`, a URL without its ending: `new URL("./cpu", import.meta.url)`. */
export function startWorker(entry: URL, data: unknown, options: WorkerOptions = {}): Worker {
  const url = `${entry.href}${extension}`;
  if (extension === ".js") return new Worker(new URL(url), { ...options, workerData: data });
  const hookUrl = `data:text/javascript,${encodeURIComponent(hooks())}`;
  const code = `require("node:module").register(${JSON.stringify(hookUrl)}); import(${JSON.stringify(url)});`;
  return new Worker(code, { ...options, workerData: data, eval: true });
}
