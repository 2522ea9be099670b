/**
 * What `holdfast litmus` does: find the files, run each under the models asked for, in this thread or in
 * several, and print verdicts as they come. Results are printed in the order of the files whatever the number
 * of workers. Ctrl-C is not caught: the default action ends the process at once, with what was printed so
 * far.
 */
import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { MemoryModel } from "../check/models/model.ts";
import { MODELS } from "../check/models/models.ts";
import { type CatSetup, runCat } from "../litmus/cat/run.ts";
import { findLitmus } from "../litmus/files.ts";
import {
  contradicts,
  describe,
  errorRecord,
  type LitmusRecord,
  runSource,
  runWith,
  verdictText,
} from "../litmus/report.ts";
import type { LitmusResult, RunOptions } from "../litmus/run.ts";
import { nearestName } from "../machine/nearest.ts";
import { count, seconds } from "../text/numbers.ts";
import { UserError, unknownName } from "./errors.ts";
import { EXIT_BOUNDED, EXIT_HOLDS, EXIT_USAGE } from "./exit.ts";
import { checkWritable, writeOutput } from "./files.ts";
import type { LitmusOptions } from "./litmus.ts";
import { paint, print, printError, printJson, table } from "./output.ts";
import { Status } from "./status.ts";

/** What a worker is told, besides which files to run. */
export interface LitmusTask {
  readonly models: readonly string[];
  readonly cat: string | null;
  readonly timeout: number;
  readonly unroll: number;
  readonly fast: boolean;
}

/** A model to run tests under: one that is built in, or one in the cat language. */
export type Runner = MemoryModel | CatSetup;

/** Throws UserError for a name that is unknown, or a cat model that cannot be used. */
export async function runnersOf(names: readonly string[], cat: string | null): Promise<Runner[]> {
  const runners = names.map((name): Runner => {
    const m = MODELS.get(name);
    if (m !== undefined) return m;
    const known = [...MODELS.keys()];
    if (nearestName(name, known) !== undefined) throw unknownName("HF017", name, known);
    throw new UserError("HF017", name, `models are ${known.join(", ")}`);
  });
  if (cat === null) return runners;
  const { loadSetup, modelFilesOf } = await import("./cat-model.ts");
  return [...runners, loadSetup(modelFilesOf(cat))];
}

const isCat = (r: Runner): r is CatSetup => "macros" in r;

export async function litmusCommand(paths: readonly string[], options: LitmusOptions): Promise<number> {
  const cat = options.cat ?? null;
  const names = (options.model ?? (cat === null ? "lkmm" : "")).split(",").map((n) => n.trim());
  const models = await runnersOf(
    names.filter((n) => n !== ""),
    cat,
  );
  let files: string[];
  try {
    files = findLitmus(paths);
  } catch (e) {
    throw new UserError("HF008", e instanceof Error && "path" in e ? String(e.path) : String(e));
  }
  if (files.length === 0) throw new UserError("HF008", `no .litmus file in ${paths.join(" ")}`);
  const graph =
    options.explain === true ||
    options.suggest === true ||
    options.dot !== undefined ||
    options.svg !== undefined;
  if (graph && files.length !== 1)
    throw new UserError("HF001", "--explain, --suggest, --dot and --svg take one file");
  if (cat !== null && (graph || options.fast === true))
    throw new UserError("HF001", "--fast, --explain, --suggest, --dot and --svg are for the built-in models");

  for (const path of [options.dot, options.svg]) if (path !== undefined) checkWritable(path);

  const totals = new Totals();
  const single = files.length === 1;
  const emit = (records: readonly LitmusRecord[], results: readonly (LitmusResult | null)[]): void => {
    for (const r of records) totals.add(r);
    if (options.json === true) for (const r of records) printJson(r);
    else if (options.herd !== true) show(records, results, options, single);
  };
  if (options.jobs > 1 && files.length > 1 && options.herd !== true) {
    await runInWorkers(files, names, options, (records) => emit(records, []));
  } else {
    const status = new Status();
    for (let i = 0; i < files.length; i++) {
      const file = files[i];
      if (!single) status.update(`${i + 1}/${files.length} ${file}`);
      const { records, results } = runFile(file, models, runOptions(options, graph));
      status.clear();
      emit(records, results);
      if (options.herd === true) await printHerd(records, results);
      if (graph) await explainAll(results, models, options);
      // That the reader is gone is heard between two turns of the event loop.
      await setImmediate();
    }
  }
  if (!single && options.json !== true && options.herd !== true) print(...totals.lines());
  return totals.exit();
}

function runOptions(options: LitmusOptions, keepWitness: boolean): Omit<RunOptions, "model"> {
  return {
    timeout: options.timeout * 1000,
    unroll: options.unroll,
    fast: options.fast === true,
    keepWitness,
  };
}

/** One file under each model. */
export function runFile(
  file: string,
  models: readonly Runner[],
  options: Omit<RunOptions, "model">,
): { records: LitmusRecord[]; results: (LitmusResult | null)[] } {
  const records: LitmusRecord[] = [];
  const results: (LitmusResult | null)[] = [];
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch (e) {
    const message = `${file}: cannot be read (${e instanceof Error && "code" in e ? String(e.code) : String(e)})`;
    return { records: [errorRecord(file, models[0]?.name ?? "", message)], results: [null] };
  }
  for (const model of models) {
    const { record, result } = isCat(model)
      ? runWith(file, source, model.name, (test) => runCat(test, { ...options, setup: model }))
      : runSource(file, source, { ...options, model });
    records.push(record);
    results.push(result);
    if (result === null) break;
  }
  return { records, results };
}

async function runInWorkers(
  files: readonly string[],
  models: readonly string[],
  options: LitmusOptions,
  emit: (records: readonly LitmusRecord[]) => void,
): Promise<void> {
  const task: LitmusTask = {
    models: models.filter((n) => n !== ""),
    cat: options.cat ?? null,
    timeout: options.timeout * 1000,
    unroll: options.unroll,
    fast: options.fast === true,
  };
  const done = new Map<number, readonly LitmusRecord[]>();
  const status = new Status();
  let next = 0;
  let printed = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL("./litmus-worker.js", import.meta.url), { workerData: task });
      const more = (): void => {
        if (next >= files.length) void worker.terminate().then(() => resolve());
        else worker.postMessage({ index: next, file: files[next++] });
      };
      worker.on("message", (m: { index: number; records: LitmusRecord[] }) => {
        done.set(m.index, m.records);
        status.clear();
        for (let r = done.get(printed); r !== undefined; r = done.get(++printed)) {
          done.delete(printed);
          emit(r);
        }
        status.update(`${printed}/${files.length}`);
        more();
      });
      worker.on("error", reject);
      more();
    });
  await Promise.all(Array.from({ length: Math.min(options.jobs, files.length) }, one));
  status.clear();
}

function paintVerdict(r: LitmusRecord): string {
  const text = verdictText(r);
  if (r.status === "error") return paint.red(text);
  if (r.verdict === null) return paint.yellow(text);
  return r.verdict === "Never" ? paint.green(text) : paint.cyan(text);
}

function show(
  records: readonly LitmusRecord[],
  results: readonly (LitmusResult | null)[],
  options: LitmusOptions,
  single: boolean,
): void {
  if (options.summary === true && !records.some((r) => r.status !== "ok" || contradicts(r))) return;
  const [first] = records;
  if (first === undefined) return;
  if (first.status === "error") {
    printError(first.message);
    return;
  }
  const notes = (r: LitmusRecord): string =>
    [
      contradicts(r) && r.model === "lkmm" ? paint.yellow(`comment says ${r.expected}`) : "",
      r.flags.length > 0 ? paint.yellow(`flag ${r.flags.join(", ")}`) : "",
      r.status === "ok" ? "" : paint.yellow(`${r.status}: ${r.message}`),
    ]
      .filter((s) => s !== "")
      .join("; ");
  if (records.length === 1) {
    const extra = notes(first);
    print(
      `${first.name}: ${paintVerdict(first)}${extra === "" ? "" : `  ${extra}`}  ${paint.dim(`${seconds(first.seconds)} s`)}`,
    );
  } else {
    print(first.name);
    const rows = records.map((r) => [r.model, verdictText(r), String(r.states ?? "?"), notes(r)]);
    print(
      ...table(
        [{ title: "model" }, { title: "verdict" }, { title: "states", align: "right" }, { title: "" }],
        rows,
      ).map((l) => `  ${l}`),
    );
  }
  if (single) {
    const last = results.at(-1);
    if (last !== undefined && last !== null) print(...describe(last, options.states));
  }
}

async function printHerd(
  records: readonly LitmusRecord[],
  results: readonly (LitmusResult | null)[],
): Promise<void> {
  const { herdLines } = await import("../litmus/herd-output.ts");
  for (let i = 0; i < records.length; i++) {
    const result = results[i];
    if (result === null || result === undefined) printError(`Warning: ${records[i]?.message ?? ""}`);
    else for (const line of herdLines(result)) print(line);
  }
}

async function explainAll(
  results: readonly (LitmusResult | null)[],
  models: readonly Runner[],
  options: LitmusOptions,
): Promise<void> {
  const { explain } = await import("../litmus/explain.ts");
  const { suggest } = await import("../litmus/suggest.ts");
  for (let i = 0; i < results.length; i++) {
    const result = results[i];
    const model = models[i];
    if (result === null || result === undefined || model === undefined || isCat(model)) continue;
    if (options.explain === true || options.dot !== undefined || options.svg !== undefined) {
      const e = explain(result, model);
      if (options.json === true) printJson(e.data);
      else print("", ...e.lines);
      if (options.dot !== undefined) writeOutput(options.dot, e.dot());
      if (options.svg !== undefined) writeOutput(options.svg, e.svg());
    }
    if (options.suggest === true) {
      const lines = suggest(result, model, { timeout: options.timeout * 1000, unroll: options.unroll });
      if (options.json === true) printJson({ suggestions: lines });
      else print("", ...lines.map((l) => l.text));
    }
  }
}

/** Counts over all files, for the last lines and the exit code. */
class Totals {
  readonly verdicts = new Map<string, number>();
  readonly contradicted: string[] = [];
  errors = 0;
  gaveUp = 0;
  bounded = 0;
  tests = 0;
  seconds = 0;

  add(r: LitmusRecord): void {
    this.tests++;
    this.seconds += r.seconds;
    if (r.status === "error") this.errors++;
    if (r.status === "gave-up") this.gaveUp++;
    if (r.status === "bounded") this.bounded++;
    const v = r.verdict ?? "no verdict";
    this.verdicts.set(v, (this.verdicts.get(v) ?? 0) + 1);
    if (r.model === "lkmm" && contradicts(r)) this.contradicted.push(r.file);
  }

  lines(): string[] {
    const verdicts = [...this.verdicts].sort().map(([v, n]) => `${count(n)} ${v}`);
    const out = [
      "",
      `${count(this.tests)} results in ${seconds(this.seconds)} s: ${verdicts.join(", ")}`,
      `errors: ${this.errors}; gave up: ${this.gaveUp}; bounded: ${this.bounded}; comments contradicted: ${this.contradicted.length}`,
    ];
    return out;
  }

  exit(): number {
    if (this.errors > 0) return EXIT_USAGE;
    return this.gaveUp > 0 || this.bounded > 0 ? EXIT_BOUNDED : EXIT_HOLDS;
  }
}
