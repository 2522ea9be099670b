/**
 * `holdfast check FILE.c`: a C program explored under each model. What is small is decided in this process,
 * for the sake of the author who waits for it; what takes longer goes to a worker, so that Ctrl-C is heard.
 */

import { existsSync, readFileSync, statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { type CResult, checkC, modelsOf } from "../check/c/check.ts";
import { type CheckModel, type CheckResult, isWeak, MODEL_NAMES } from "../check/check.ts";
import { ERROR_KINDS } from "../check/errors.ts";
import { nodeFiles } from "../lang/c/node-files.ts";
import { count, seconds } from "../text/numbers.ts";
import type { CWorkerData, FromCWorker } from "./check-c-worker.ts";
import { reportError, UserError } from "./errors.ts";
import { EXIT_INTERRUPTED, EXIT_USAGE } from "./exit.ts";
import { interruptSignal } from "./interrupt.ts";
import { type CheckOptions, exitOf, limitsOf } from "./limits.ts";
import {
  clearScreen,
  displayPath,
  outputWidth,
  paint,
  paintVerdict,
  print,
  printError,
  printJson,
} from "./output.ts";
import { Status } from "./status.ts";
import { cTrailLines, listing, wrap } from "./trail-c.ts";
import { watchFiles } from "./watch.ts";

export interface CheckCOptions extends CheckOptions {
  readonly include?: readonly string[];
  readonly define?: readonly string[];
  readonly mail?: boolean;
  readonly leaks?: boolean;
  readonly watch?: boolean;
}

/** Seconds that this process tries by itself. */
const PATIENCE = 0.25;
/** Seconds for each weak model that nobody has asked for by name. */
const UNASKED = 10;

/**
 * Explores the file; in a worker if it takes long. `read` gets the paths of the user's files that were read.
 * @throws CError, UserError
 */
async function exploreC(
  path: string,
  options: CheckCOptions,
  signal: AbortSignal,
  read: (files: readonly string[]) => void = () => {},
): Promise<CResult[]> {
  if (!existsSync(path) || !statSync(path).isFile()) throw new UserError("HF008", path);
  const given = limitsOf(options);
  const unasked = options.model === undefined && options.maxSeconds === undefined;
  const seconds = (m: CheckModel): number => (unasked && isWeak(m) ? UNASKED : given.maxSeconds);
  const build = {
    include: options.include ?? [],
    define: options.define ?? [],
    leaks: options.leaks === true,
  };
  const models = options.model ?? modelsOf;
  const quick = checkC(path, nodeFiles(), {
    ...build,
    models,
    limits: (m) => ({ ...given, maxSeconds: Math.min(PATIENCE, seconds(m)) }),
  });
  read(quick[0].built.files.filter((f) => !f.builtin).map((f) => f.name));
  const slow = (r: CheckResult): boolean =>
    r.verdict === "bounded" && / s$/.test(r.reason ?? "") && seconds(r.model) > PATIENCE;
  if (!quick.some((r) => slow(r.result))) return quick;
  const asked = quick
    .filter((r) => slow(r.result))
    .map(({ result: { model } }) => ({ model, maxSeconds: seconds(model) }));
  const rest = await inWorker({ path, build, models: asked, limits: given }, signal);
  return quick.map((r) => (slow(r.result) ? (rest.shift() ?? r) : r));
}

function inWorker(data: Omit<CWorkerData, "stop">, signal: AbortSignal): Promise<CResult[]> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const status = new Status();
  const abort = (): void => {
    Atomics.store(stop, 0, 1);
  };
  if (signal.aborted) abort();
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

function verdictLine(file: string, r: CheckResult, models: string): string {
  const why = r.verdict === "bounded" ? ` (${r.reason ?? "stopped"})` : "";
  return `${file} under ${models}: ${paintVerdict(r.verdict, r.verdict)}${why}; ${count(r.states)} states, ${count(r.transitions)} steps, ${seconds(r.seconds)} s`;
}

/** Exploring it says the same of both: nothing, for a reason that has to do with neither. */
function alike(a: CheckResult, b: CheckResult): boolean {
  return (
    a.verdict === "bounded" && b.verdict === "bounded" && a.states + b.states === 0 && a.reason === b.reason
  );
}

/** What these verdicts say nothing about; null if nothing is to be added. */
function aside(results: readonly CResult[], options: CheckCOptions): string | null {
  if (options.model !== undefined || results.some((r) => r.result.verdict === "violated")) return null;
  const [{ result: first }] = results;
  if (results.length === 1)
    return (
      "A program of SV-COMP: its rules are those of interleaving, so it is looked at under SC. " +
      "--model all asks about weaker memory."
    );
  const short = results.some(({ result: r }) => isWeak(r.model) && / s$/.test(r.reason ?? ""));
  if (short && first.verdict === "holds")
    return `Each weak model has ${UNASKED} s here: --model or --max-seconds give it more.`;
  return "Explored: every execution of words. Not looked for: races of plain accesses.";
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
    ...(options.leaks === true ? [" --leaks"] : []),
  ].join("");
  const out = (text: string, indent = ""): void => {
    for (const line of wrap(text, width - indent.length)) print(indent + line);
  };
  let shown: string | null = null;
  for (const [i, { result, trail }] of results.entries()) {
    if (i > 0 && alike(results[i - 1].result, result)) continue;
    const same = results.slice(i).filter((r) => r === results[i] || alike(result, r.result));
    const line = verdictLine(file, result, same.map((r) => MODEL_NAMES[r.result.model]).join(", "));
    if (options.mail === true) out(line);
    else print(line);
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
  const more = aside(results, options);
  if (more !== null) out(more);
}

/** Exit code as of any check. @throws CError, UserError */
export async function checkCCommand(path: string, options: CheckCOptions): Promise<number> {
  if (options.jobs !== undefined || options.checkpoint !== undefined || options.resume !== undefined)
    throw new UserError("HF030", "a program in C");
  if (options.watch === true) return watchC(path, options);
  const results = await exploreC(path, options, interruptSignal());
  const interrupted = interruptSignal().aborted;
  show(path, results, options);
  return exitOf(
    results.map((r) => r.result),
    interrupted,
  );
}

function show(path: string, results: readonly CResult[], options: CheckCOptions): void {
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
}

/** A verdict now and after every save, until Ctrl-C. What is wrong with the file is said, and waited for. */
async function watchC(path: string, options: CheckCOptions): Promise<number> {
  if (options.json === true) throw new UserError("HF032", "with --json");
  await watchFiles([path], async (changed) => {
    let files: readonly string[] = [];
    try {
      const signal = AbortSignal.any([changed, interruptSignal()]);
      const results = await exploreC(path, options, signal, (read) => {
        files = read;
      });
      if (changed.aborted) return files;
      clearScreen();
      show(path, results, options);
    } catch (e) {
      const said = reportError(e);
      if (said.exit !== EXIT_USAGE) throw e;
      clearScreen();
      printError(said.text);
    }
    print("", `${displayPath(path)}: watched; a save asks again, Ctrl-C ends it`);
    return files;
  });
  return EXIT_INTERRUPTED;
}
