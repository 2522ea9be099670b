/**
 * `holdfast check` and `holdfast explain`: one scenario, or one cell of a claim, explored exhaustively under
 * memory models of the user's choice, in a worker, so that Ctrl-C is heard. Prints the verdict with its
 * counts and, if violated, the counterexample.
 */

import { type CheckResult, MODEL_NAMES } from "../check/check.ts";
import { ERROR_KINDS } from "../check/errors.ts";
import { traceLines } from "../check/trace/text.ts";
import type { Access, Repair } from "../check/weak/barriers.ts";
import type { Limits } from "../claims/explorer-worker.ts";
import { type Job, type JobResult, runJobs } from "../claims/pool.ts";
import { askedCell } from "../claims/weak.ts";
import { isSequence } from "../claims/zoo/entry.ts";
import { zooNamed } from "../claims/zoo/zoo.ts";
import { count, seconds } from "../text/numbers.ts";
import { coverageLines, modelsLine } from "./coverage.ts";
import { UserError } from "./errors.ts";
import { interruptSignal } from "./interrupt.ts";
import { asUserError } from "./job-errors.ts";
import { type CheckOptions, exitOf, limitsOf } from "./limits.ts";
import { outputWidth, paint, paintVerdict, print, printJson, prose } from "./output.ts";
import { scenarioByName } from "./scenarios.ts";
import { Status } from "./status.ts";

export async function exploreAll(
  jobs: readonly Job[],
  limits: Limits,
  workers: number,
): Promise<JobResult[]> {
  const status = new Status();
  const started = performance.now();
  try {
    return await runJobs(jobs, {
      workers,
      limits,
      signal: interruptSignal(),
      onProgress: (done, total, states) =>
        status.update(
          `${done}/${total} explored, ${count(states)} states, ${seconds((performance.now() - started) / 1000)} s`,
        ),
    });
  } catch (e) {
    throw asUserError(e);
  } finally {
    status.clear();
  }
}

export function verdictLines(name: string, r: CheckResult): string[] {
  const counts = `${count(r.states)} states, ${count(r.transitions)} steps, ${seconds(r.seconds)} s`;
  const why = r.verdict === "bounded" ? ` (${r.reason ?? "stopped"})` : "";
  return prose(`${name} under ${MODEL_NAMES[r.model]}: ${r.verdict}${why}; ${counts}`, "", "  ").map((l) =>
    l.replace(new RegExp(`(?<=: |^ +)${r.verdict}(?=[ ;]|$)`), (v) => paintVerdict(v, v)),
  );
}

/** What would order what is not ordered: each barrier as it was tried, all of them together. */
function repairLines({ barriers, states, none }: Repair, model: string): string[] {
  if (none !== null) return prose(`No barrier is suggested: ${none}.`);
  const at = ({ thread, op, lines }: Access): string =>
    `${thread}: ${op}, ${lines.map(({ file, line, fn }) => `${fn} ${file}:${line}`).join(" < ")}`;
  return [
    ...barriers.flatMap(({ kind, behind, unordered }) => [
      ...(unordered === null
        ? []
        : [
            paint.bold("Nothing orders"),
            ...prose(at(unordered[0]), "  ", "    "),
            "before",
            ...prose(at(unordered[1]), "  ", "    "),
          ]),
      ...prose(`${kind}() behind ${at(behind)} does.`),
      "",
    ]),
    ...prose(
      `With ${barriers.length === 1 ? "it" : `these ${barriers.length}`} the program holds under ${model}, in ${count(states)} states.`,
    ),
  ];
}

/** Verdict, error and counterexample of one exploration. */
export function reportResult(
  name: string,
  { result, location, repair }: JobResult,
  reproduce: string,
  verbose: boolean,
): void {
  print(...verdictLines(name, result));
  const e = result.error;
  if (result.verdict === "holds" && result.coverage !== null) print(...coverageLines(result.coverage));
  if (e === null) return;
  const where = location === "" ? "" : ` at ${location}`;
  print(
    ...prose(`${e.kind}${where}: ${e.message}`, "", "  ").map(paint.bold),
    ...prose(`${ERROR_KINDS[e.kind]}${e.thread === "" ? "" : `, by ${e.thread}`}`, "  "),
  );
  if (result.trace !== null)
    print("", ...traceLines(result.trace, { all: verbose, width: outputWidth(), paint }));
  if (repair !== null) print("", ...repairLines(repair, MODEL_NAMES[result.model]));
  print("", `reproduce: ${reproduce}`);
}

/** "holdfast.check/2". `complete`: every exploration asked for is there, and none was stopped. */
export function checkJson(scenario: string, results: readonly JobResult[], asked: number): object {
  return {
    schema: "holdfast.check/2",
    complete: results.length === asked && results.every((r) => r.result.verdict !== "bounded"),
    scenario,
    interrupted: interruptSignal().aborted,
    results: results.map(({ result, location, repair }) => ({
      ...result,
      location,
      ...(repair === null ? {} : { repair }),
    })),
  };
}

export async function checkCommand(word: string, options: CheckOptions): Promise<number> {
  const bug = zooNamed(word);
  if (bug !== undefined && isSequence(bug.entry[bug.side]))
    throw new UserError(
      "HF003",
      `${word} is a sequence of calls, not explored`,
      `holdfast zoo ${bug.entry.id}`,
    );
  const { scenario, definedIn } = await scenarioByName(word);
  const own = askedCell(scenario.name.replace(/\/without-[^/]+$/, ""))?.model;
  const models = options.model ?? (own === undefined ? (["sc", "tso"] as const) : [own]);
  const jobs: Job[] = models.map((model) => ({
    id: model,
    ref: { module: definedIn, scenario: scenario.name },
    model,
  }));
  const results =
    options.jobs === undefined && options.checkpoint === undefined && options.resume === undefined
      ? await exploreAll(jobs, limitsOf(options), 1)
      : await (await import("./check-parallel.ts")).exploreOnWorkers(scenario, jobs, options);
  const interrupted = interruptSignal().aborted;
  if (options.json === true) printJson(checkJson(scenario.name, results, models.length));
  else
    for (const [i, r] of results.entries()) {
      const again = `holdfast check ${word} --model ${r.job.model}`;
      // One counterexample is read; a second one that looks like it is not.
      if (
        r.result.error !== null &&
        results.findIndex((x) => x.result.error?.kind === r.result.error?.kind) < i
      )
        print(
          ...verdictLines(scenario.name, r.result),
          `  ${r.result.error.kind} again; shown by:`,
          `  ${again}`,
        );
      else reportResult(scenario.name, r, again, options.verbose === true);
    }
  const held = results.flatMap((r) => (r.result.verdict === "holds" ? [r.job.model] : []));
  if (options.json !== true && held.length > 0) print(...prose(modelsLine(held)));
  return exitOf(
    results.map((r) => r.result),
    interrupted,
  );
}
