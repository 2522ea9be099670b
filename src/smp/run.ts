/**
 * Runs a scenario on real threads, again and again, as a stress test: boots it here, starts a worker per CPU,
 * watches them, and gathers what they found. Every iteration starts from the booted memory, with all CPUs at
 * once. Not covered: exhaustiveness (check/explore has that) and orders weaker than sequential consistency
 * (Atomics have none).
 */

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { bootScenario } from "../lang/scenario.ts";
import { arch, machineSettings } from "../machine/config.ts";
import { useSequentialHost } from "../machine/host.ts";
import { describeAddress } from "../machine/image.ts";
import { mem, memoryRegions, memorySymbols, memoryTop } from "../machine/memory.ts";
import { refuseRepeatedNames, type Scenario } from "../machine/scenario.ts";
import { FINISH, ITERATIONS, MAX_CPUS, newControl, STOP, STOP_ABORT, STOP_BUG, STOP_NO } from "./control.ts";
import type { InjectedDelay, NoiseLevel } from "./noise.ts";
import {
  type CpuData,
  type CpuMessage,
  STAT_COUNTERS,
  STAT_ENDED,
  STAT_ITERATIONS,
  STAT_STARTED,
} from "./protocol.ts";
import type { SmpBug, SmpResult } from "./result.ts";
import { isDeadlocked, type Watched, whoWaitsForWhom } from "./watchdog.ts";

/** `THREAD@ACCESS:MICROS` or `THREAD@LOCATION:MICROS`; a thread by its name or CPU number. */
export interface DelaySpec {
  readonly thread: string | number;
  /** Number of a marked access of the thread, from 0, or the name of a location. */
  readonly at: number | string;
  readonly micros: number;
}

export interface RunOptions {
  readonly seed?: number;
  /**
   * Bounds; the first to be reached ends the run. At least one should be given: without, one iteration is
   * run.
   */
  readonly iterations?: number;
  readonly seconds?: number;
  readonly noise?: NoiseLevel;
  readonly delays?: readonly DelaySpec[];
  /** Names of locations whose words, after each iteration, are summed. */
  readonly counters?: readonly string[];
  /** Milliseconds without the end of an iteration after which a run that is not deadlocked counts as hung. */
  readonly hangMs?: number;
  /** URL of the module in which findScenario() finds the scenario by its name, if that is not its own. */
  readonly definedIn?: string;
  /** What comes before `--seed` in the line that reproduces a bug. */
  readonly command?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (iterations: number, seconds: number) => void;
}

/** The scenario cannot be run as asked; the message is for the user. */
export class UnusableScenario extends Error {}

const WATCH_MS = 25;
const STOP_GRACE_MS = 1000;
const START_MS = 60_000;

/** First address with that name. Throws UnusableScenario. */
function addressOf(name: string): number {
  const symbols = memorySymbols();
  for (const s of symbols)
    for (let a = s.base; a < s.base + s.words; a++) if (describeAddress(symbols, a) === name) return a;
  throw new UnusableScenario(
    `there is no location named ${name}; locations begin with ${symbols
      .slice(0, 8)
      .map((s) => s.name)
      .join(", ")}`,
  );
}

function injected(spec: DelaySpec, names: readonly string[]): InjectedDelay {
  const cpu = typeof spec.thread === "number" ? spec.thread : names.indexOf(spec.thread);
  if (!Number.isInteger(cpu) || cpu < 0 || cpu >= names.length)
    throw new UnusableScenario(`there is no thread ${spec.thread} to delay; threads: ${names.join(", ")}`);
  return typeof spec.at === "number"
    ? { cpu, access: spec.at, addr: -1, micros: spec.micros }
    : { cpu, access: -1, addr: addressOf(spec.at), micros: spec.micros };
}

type BugMessage = Extract<CpuMessage, { type: "bug" }>;

/**
 * Boots and runs `scenario`. Rejects with UnusableScenario, BootFailed or RepeatedThreadName, or with an
 * Error if a worker dies.
 */
export async function runScenario(scenario: Scenario, options: RunOptions = {}): Promise<SmpResult> {
  const booted = bootScenario(scenario);
  refuseRepeatedNames(booted);
  useSequentialHost();
  const names = booted.threads.map((t) => t.name);
  const nrCpus = names.length;
  if (nrCpus < 1) throw new UnusableScenario(`scenario ${scenario.name} has no threads`);
  if (nrCpus > MAX_CPUS)
    throw new UnusableScenario(`scenario ${scenario.name} has ${nrCpus} threads; at most ${MAX_CPUS} run`);
  const words = mem;
  const top = memoryTop();
  const image = new Int32Array(new SharedArrayBuffer(top * 4));
  image.set(words.subarray(0, top));
  const symbols = [...memorySymbols()];
  const regions = [...memoryRegions()];
  const delays = (options.delays ?? []).map((d) => injected(d, names));
  const counterNames = options.counters ?? [];
  const counters = counterNames.map(addressOf);
  const ctl = newControl(nrCpus);
  const stats = new Float64Array(new SharedArrayBuffer((STAT_COUNTERS + counters.length) * 8));
  const seed = (options.seed ?? 1) | 0;
  const noise = options.noise ?? "on";
  const iterations = options.iterations ?? (options.seconds === undefined ? 1 : 0);
  const watched: Watched = {
    ctl,
    words,
    symbols,
    threads: names,
    irqOffIsReader: arch.irqOffIsRcuReader !== 0,
  };

  const command = options.command ?? `holdfast run --scenario ${scenario.name}`;
  const reproduce = (iteration: number, delayed: readonly string[]): string => {
    const given = (options.delays ?? []).map((d) => `${d.thread}@${d.at}:${d.micros}`);
    const args = [...new Set([...given, ...delayed])].map((d) => ` --delay '${d}'`).join("");
    return `${command} --seed ${(seed + iteration) | 0}${args} --iterations 1000${noise === "off" ? " --no-noise" : ""}`;
  };

  return new Promise<SmpResult>((resolve, reject) => {
    const workers: Worker[] = [];
    const returned = new Float64Array(nrCpus);
    const longDelays: string[] = [];
    let bugMessage: BugMessage | null = null;
    let stuck: { kind: "deadlock" | "livelock"; waiting: string[] } | null = null;
    let done = 0;
    let settled = false;
    let ready = 0;
    let lastIteration = -1;
    let lastChange = performance.now();
    let stopping = 0;
    let finishing = 0;

    const settle = (act: () => void): void => {
      if (settled) return;
      settled = true;
      clearInterval(timer);
      options.signal?.removeEventListener("abort", abort);
      Atomics.compareExchange(ctl, STOP, STOP_NO, STOP_ABORT);
      void Promise.all(workers.map((w) => w.terminate())).then(act, reject);
    };
    const fail = (error: Error): void => settle(() => reject(error));
    const finish = (): void => settle(() => resolve(result()));
    const abort = (): void => {
      Atomics.compareExchange(ctl, STOP, STOP_NO, STOP_ABORT);
    };

    const bug = (): SmpBug | null => {
      if (bugMessage !== null) {
        const b = bugMessage;
        return {
          kind: b.kind,
          message: b.message,
          location: b.addr > 0 ? describeAddress(symbols, b.addr) : "",
          cpu: b.cpu,
          thread: b.atEnd ? (booted.finally?.name ?? "finally") : names[b.cpu],
          onBehalf: b.onBehalf,
          atEnd: b.atEnd,
          iteration: b.iteration,
          frames: b.frames,
          waiting: [],
          delays: longDelays,
          reproduce: reproduce(b.iteration, longDelays),
        };
      }
      if (stuck === null) return null;
      const iteration = stats[STAT_ITERATIONS];
      return {
        kind: stuck.kind,
        message:
          stuck.kind === "deadlock"
            ? "no CPU can go on"
            : `no iteration ended for ${((options.hangMs ?? 10_000) / 1000).toFixed(1)} s`,
        location: "",
        cpu: -1,
        thread: "",
        onBehalf: -1,
        atEnd: false,
        iteration,
        frames: [],
        waiting: stuck.waiting,
        delays: longDelays,
        reproduce: reproduce(iteration, longDelays),
      };
    };

    const result = (): SmpResult => {
      const found = bug();
      const seconds = Math.max(0, stats[STAT_ENDED] - stats[STAT_STARTED]) / 1000;
      return {
        schema: "holdfast.run/1",
        scenario: scenario.name,
        verdict:
          found !== null ? "violated" : Atomics.load(ctl, STOP) === STOP_ABORT ? "interrupted" : "clean",
        bug: found,
        seed,
        cpus: nrCpus,
        iterations: stats[STAT_ITERATIONS],
        seconds,
        threads: names.map((name, cpu) => ({ name, cpu, returned: returned[cpu] })),
        counters: Object.fromEntries(counterNames.map((n, i) => [n, stats[STAT_COUNTERS + i]])),
      };
    };

    const onMessage = (cpu: number, m: CpuMessage): void => {
      switch (m.type) {
        case "ready":
          ready++;
          lastChange = performance.now();
          return;
        case "unusable":
          fail(new UnusableScenario(m.message));
          return;
        case "bug":
          bugMessage = m;
          return;
        case "done":
          done++;
          returned[cpu] = m.returned;
          if (m.longDelay !== null)
            longDelays.push(`${names[cpu]}@${m.longDelay.access}:${m.longDelay.micros}`);
          if (done === nrCpus) finish();
      }
    };

    const watch = (): void => {
      const t = performance.now();
      if (Atomics.load(ctl, STOP) !== STOP_NO) {
        // CPUs leave at their next wait or at the end of the iteration; one in an endless loop never does.
        if (stopping === 0) stopping = t;
        else if (t - stopping > STOP_GRACE_MS) finish();
        return;
      }
      if (ready < nrCpus) {
        if (t - lastChange > START_MS)
          fail(new UnusableScenario(`scenario ${scenario.name} did not boot within ${START_MS / 1000} s`));
        return;
      }
      const iteration = Atomics.load(ctl, ITERATIONS);
      if (iteration !== lastIteration) {
        lastIteration = iteration;
        lastChange = t;
      }
      const started = stats[STAT_STARTED];
      const elapsed = started === 0 ? 0 : (performance.timeOrigin + t - started) / 1000;
      options.onProgress?.(stats[STAT_ITERATIONS], elapsed);
      if (options.seconds !== undefined && elapsed >= options.seconds && finishing === 0) {
        finishing = t;
        Atomics.store(ctl, FINISH, 1);
      }
      const deadlocked = isDeadlocked(watched);
      if (!deadlocked && t - lastChange < (options.hangMs ?? 10_000)) return;
      const waiting = whoWaitsForWhom(watched);
      if (Atomics.compareExchange(ctl, STOP, STOP_NO, STOP_BUG) === STOP_NO)
        stuck = { kind: deadlocked ? "deadlock" : "livelock", waiting };
    };

    const timer = setInterval(watch, WATCH_MS);
    options.signal?.addEventListener("abort", abort, { once: true });
    if (options.signal?.aborted === true) abort();
    // Spinning helps only where every CPU has a core of its own.
    const spins = nrCpus <= availableParallelism() ? 400 : 0;
    for (let cpu = 0; cpu < nrCpus; cpu++) {
      const data: CpuData = {
        cpu,
        nrCpus,
        ctl,
        words,
        image,
        symbols,
        regions,
        module: options.definedIn ?? scenario.module,
        scenario: scenario.name,
        seed,
        iterations,
        noise,
        delays,
        spins,
        stats,
        counters,
        settings: machineSettings(),
      };
      const worker = new Worker(new URL("./cpu.js", import.meta.url), {
        name: `cpu${cpu}`,
        workerData: data,
      });
      workers.push(worker);
      worker.on("message", (m: CpuMessage) => onMessage(cpu, m));
      worker.on("error", fail);
      worker.on("exit", (code) => {
        if (code !== 0) fail(new Error(`the worker of CPU ${cpu} ended with exit code ${code}`));
      });
    }
  });
}
