/**
 * `holdfast check FILE.c`: a C program explored under each model. What is small is decided in this process,
 * for the sake of the author who waits for it; what takes longer goes to a worker, so that Ctrl-C is heard.
 */

import { existsSync, readFileSync, statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { type CResult, checkC } from "../check/c/check.ts";
import { type CheckModel, type CheckResult, MODEL_NAMES } from "../check/check.ts";
import { ERROR_KINDS } from "../check/errors.ts";
import { nodeFiles } from "../lang/c/node-files.ts";
import { count, seconds } from "../text/numbers.ts";
import type { CWorkerData, FromCWorker } from "./check-c-worker.ts";
import { UserError } from "./errors.ts";
import { interruptSignal } from "./interrupt.ts";
import { type CheckOptions, exitOf, limitsOf } from "./limits.ts";
import { displayPath, outputWidth, paint, paintVerdict, print, printJson } from "./output.ts";
import { Status } from "./status.ts";
import { cTrailLines, listing, wrap } from "./trail-c.ts";

export interface CheckCOptions extends CheckOptions {
  readonly include?: readonly string[];
  readonly define?: readonly string[];
  readonly mail?: boolean;
}

/** Seconds that this process tries by itself. */
const PATIENCE = 0.25;

function modelsOf(o: CheckCOptions): readonly CheckModel[] {
  return o.model ?? ["sc", "tso"];
}

/** Explores the file; in a worker if it takes long. @throws CError, UserError */
async function exploreC(path: string, options: CheckCOptions): Promise<CResult[]> {
  if (!existsSync(path) || !statSync(path).isFile()) throw new UserError("HF008", path);
  const limits = limitsOf(options);
  const build = { include: options.include ?? [], define: options.define ?? [] };
  const models = modelsOf(options);
  const quick = checkC(path, nodeFiles(), {
    ...build,
    models,
    limits: { ...limits, maxSeconds: Math.min(PATIENCE, limits.maxSeconds) },
  });
  const slow = (r: CheckResult): boolean =>
    r.verdict === "bounded" && / s$/.test(r.reason ?? "") && limits.maxSeconds > PATIENCE;
  if (!quick.some((r) => slow(r.result))) return quick;
  const rest = await inWorker({
    path,
    build,
    models: models.filter((_, i) => slow(quick[i].result)),
    limits,
  });
  return quick.map((r) => (slow(r.result) ? (rest.shift() ?? r) : r));
}

function inWorker(data: Omit<CWorkerData, "stop">): Promise<CResult[]> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const status = new Status();
  const signal = interruptSignal();
  const abort = (): void => {
    Atomics.store(stop, 0, 1);
  };
  signal.addEventListener("abort", abort, { once: true });
  return new Promise<CResult[]>((resolve, reject) => {
    const worker = new Worker(new URL("./check-c-worker.js", import.meta.url), {
      workerData: { ...data, stop },
    });
    worker.on("message", (m: FromCWorker) => {
      if (m.type === "progress") status.update(`${count(m.states)} states, ${seconds(m.seconds)} s`);
      else resolve(m.results as CResult[]);
    });
    worker.on("error", reject);
    worker.on("exit", (code) => {
      reject(new Error(`the worker ended with exit code ${code}`));
    });
  }).finally(() => {
    status.clear();
    signal.removeEventListener("abort", abort);
  });
}

function verdictLine(file: string, r: CheckResult): string {
  const why = r.verdict === "bounded" ? ` (${r.reason ?? "stopped"})` : "";
  return `${file} under ${MODEL_NAMES[r.model]}: ${paintVerdict(r.verdict, r.verdict)}${why}; ${count(r.states)} states, ${count(r.transitions)} steps, ${seconds(r.seconds)} s`;
}

/** The lines of a user's functions that nothing reached, and assertions that were never evaluated. */
function coverageLines(r: CheckResult): string[] {
  const c = r.coverage;
  if (c === null || r.verdict === "violated") return [];
  const own = c.neverEvaluated.filter(
    (a) => (a.kind === "assertion" || a.kind === "unreachable") && !a.file.startsWith("<"),
  );
  return own.map((a) => `never evaluated: ${a.message} (${a.fn}(), ${a.file}:${a.line})`);
}

function report(path: string, results: readonly CResult[], options: CheckCOptions, width: number): void {
  const file = displayPath(path);
  const flags = [
    ...(options.include ?? []).map((d) => ` -I ${d}`),
    ...(options.define ?? []).map((d) => ` -D ${d}`),
  ].join("");
  const out = (text: string, indent = ""): void => {
    for (const line of wrap(text, width - indent.length)) print(indent + line);
  };
  let shown: string | null = null;
  for (const { result, trail } of results) {
    if (options.mail === true) out(verdictLine(file, result));
    else print(verdictLine(file, result));
    for (const l of coverageLines(result)) out(paint.yellow(l), "  ");
    const e = result.error;
    if (e === null || trail === null) continue;
    const again = `holdfast check ${file}${flags} --model ${result.model}`;
    if (shown === e.kind) {
      out(`${e.kind} again; shown by: ${again}`, "  ");
      continue;
    }
    shown = e.kind;
    out(paint.bold(`${e.kind}: ${e.message}`));
    out(`${ERROR_KINDS[e.kind]}${e.thread === "" ? "" : `, by ${e.thread}`}`, "  ");
    print(...cTrailLines(trail, path, width, options.verbose === true));
    print("");
    out(`reproduce: ${again}`);
  }
}

/** Exit code as of any check. @throws CError, UserError */
export async function checkCCommand(path: string, options: CheckCOptions): Promise<number> {
  if (options.jobs !== undefined || options.checkpoint !== undefined || options.resume !== undefined)
    throw new UserError("HF030", "a program in C");
  const results = await exploreC(path, options);
  const interrupted = interruptSignal().aborted;
  if (options.json === true)
    printJson({
      schema: "holdfast.check/1",
      scenario: displayPath(path),
      interrupted,
      results: results.map((r) => ({ ...r.result, c: r.trail })),
    });
  else {
    const width = options.mail === true ? 72 : Math.max(60, outputWidth());
    if (options.mail === true) print(...listing(readFileSync(path, "utf8"), width), "");
    report(path, results, options, width);
  }
  return exitOf(
    results.map((r) => r.result),
    interrupted,
  );
}
