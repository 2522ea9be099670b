/**
 * `holdfast run`: a scenario on real threads, as a stress test with its end-of-run invariants, and what it
 * found. A run samples; the wording never says "holds".
 */

import { REGISTRY_URL, stressScenario } from "../claims/registry.ts";
import type { SmpResult } from "../smp/result.ts";
import { type DelaySpec, runScenario } from "../smp/run.ts";
import { count, seconds } from "../text/numbers.ts";
import { UserError } from "./errors.ts";
import { EXIT_HOLDS, EXIT_INTERRUPTED, EXIT_VIOLATED } from "./exit.ts";
import { interruptSignal } from "./interrupt.ts";
import { displayPath, paint, paintVerdict, print, printJson, table } from "./output.ts";
import { asRunError } from "./run-errors.ts";
import { scenarioByName } from "./scenarios.ts";
import { Status } from "./status.ts";

export interface RunCommandOptions {
  readonly scenario?: string;
  readonly cpus?: number;
  readonly seconds?: number;
  readonly iterations?: number;
  readonly seed?: number;
  readonly noise: boolean;
  readonly delay: readonly DelaySpec[];
  readonly json?: boolean;
}

const DEFAULT_SECONDS = 10;

export async function runCommand(options: RunCommandOptions): Promise<number> {
  if (options.scenario !== undefined && options.cpus !== undefined)
    throw new UserError("HF015", `--cpus ${options.cpus} --scenario ${options.scenario}`);
  const cpus = options.cpus ?? 2;
  const { scenario, definedIn } =
    options.scenario === undefined
      ? { scenario: stressScenario(cpus), definedIn: REGISTRY_URL }
      : await scenarioByName(options.scenario);
  const bounded = options.seconds !== undefined || options.iterations !== undefined;
  const limit = options.seconds ?? (bounded ? undefined : DEFAULT_SECONDS);
  const status = new Status();
  let result: SmpResult;
  try {
    result = await runScenario(scenario, {
      seed: options.seed ?? 1,
      definedIn,
      ...(options.iterations === undefined ? {} : { iterations: options.iterations }),
      ...(limit === undefined ? {} : { seconds: limit }),
      noise: options.noise ? "on" : "off",
      delays: options.delay,
      command:
        options.scenario === undefined
          ? `holdfast run --cpus ${cpus}`
          : `holdfast run --scenario ${options.scenario}`,
      signal: interruptSignal(),
      onProgress: (n, s) => status.update(`${scenario.name}: ${count(n)} iterations, ${seconds(s)} s`),
    });
  } catch (e) {
    throw asRunError(e, scenario.name);
  } finally {
    status.clear();
  }
  if (options.json === true) printJson(result);
  else report(result);
  return result.verdict === "clean"
    ? EXIT_HOLDS
    : result.verdict === "violated"
      ? EXIT_VIOLATED
      : EXIT_INTERRUPTED;
}

function report(r: SmpResult): void {
  const rate = r.seconds > 0 ? `, ${count(r.iterations / r.seconds)}/s` : "";
  print(
    `${r.scenario} on ${r.cpus} CPUs, seed ${r.seed}: ${paintVerdict(r.verdict === "clean" ? "no violation met" : r.verdict, r.verdict)}`,
    `${count(r.iterations)} iterations in ${seconds(r.seconds)} s${rate}`,
    "",
    ...table(
      [
        { title: "cpu", align: "right" },
        { title: "thread" },
        { title: "returned, sum", align: "right" },
        { title: "per s", align: "right" },
      ],
      r.threads.map((t) => [
        String(t.cpu),
        t.name,
        count(t.returned),
        r.seconds > 0 ? count(t.returned / r.seconds) : "-",
      ]),
    ),
  );
  for (const [name, sum] of Object.entries(r.counters)) print(`${name}: ${count(sum)}`);
  const b = r.bug;
  if (b === null) return;
  const where = b.location === "" ? "" : ` at ${b.location}`;
  print("", paint.bold(`${b.kind}${where}: ${b.message}`));
  if (b.cpu >= 0) {
    const behalf = b.onBehalf >= 0 ? `, in an interrupt handler that it runs for CPU ${b.onBehalf}` : "";
    print(
      `  CPU ${b.cpu}, ${b.atEnd ? "end-of-run checks" : `thread ${b.thread}`}${behalf}, iteration ${b.iteration}`,
    );
  }
  for (const line of b.waiting) print(`  ${line}`);
  for (const f of b.frames)
    print(`  in ${f.fn === "" ? "(module)" : f.fn}  ${paint.dim(`${displayPath(f.file)}:${f.line}`)}`);
  print(`reproduce: ${b.reproduce}`);
}
