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
const SPINS = 400;

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

/** What one run shares with its workers, and what it was asked. */
interface RunPlan {
  readonly scenario: Scenario;
  readonly options: RunOptions;
  readonly names: readonly string[];
  /** Name of the check at the end. */
  readonly endName: string;
  readonly words: Int32Array;
  /** The booted memory, with which every iteration begins. */
  readonly image: Int32Array;
  readonly symbols: CpuData["symbols"];
  readonly regions: CpuData["regions"];
  readonly delays: readonly InjectedDelay[];
  readonly counterNames: readonly string[];
  readonly counters: readonly number[];
  readonly ctl: Int32Array;
  readonly stats: Float64Array;
  readonly seed: number;
  readonly noise: NoiseLevel;
  /** 0: no bound. */
  readonly iterations: number;
}

/** Boots the scenario and lays out what is shared. */
function planRun(scenario: Scenario, options: RunOptions): RunPlan {
  const booted = bootScenario(scenario);
  refuseRepeatedNames(booted);
  useSequentialHost();
  const names = booted.threads.map((t) => t.name);
  if (names.length < 1) throw new UnusableScenario(`scenario ${scenario.name} has no threads`);
  if (names.length > MAX_CPUS)
    throw new UnusableScenario(
      `scenario ${scenario.name} has ${names.length} threads; at most ${MAX_CPUS} run`,
    );
  const top = memoryTop();
  const image = new Int32Array(new SharedArrayBuffer(top * 4));
  image.set(mem.subarray(0, top));
  const counterNames = options.counters ?? [];
  const counters = counterNames.map(addressOf);
  return {
    scenario,
    options,
    names,
    endName: booted.finally?.name ?? "finally",
    words: mem,
    image,
    symbols: [...memorySymbols()],
    regions: [...memoryRegions()],
    delays: (options.delays ?? []).map((d) => injected(d, names)),
    counterNames,
    counters,
    ctl: newControl(names.length),
    stats: new Float64Array(new SharedArrayBuffer((STAT_COUNTERS + counters.length) * 8)),
    seed: (options.seed ?? 1) | 0,
    noise: options.noise ?? "on",
    iterations: options.iterations ?? (options.seconds === undefined ? 1 : 0),
  };
}

/**
 * Boots and runs `scenario`. Rejects with UnusableScenario, BootFailed or RepeatedThreadName, or with an
 * Error if a worker dies.
 */
export async function runScenario(scenario: Scenario, options: RunOptions = {}): Promise<SmpResult> {
  const plan = planRun(scenario, options);
  return new Promise<SmpResult>((resolve, reject) => new StressRun(plan, resolve, reject).start());
}

/** One run: a worker per CPU, a watch that looks at them every WATCH_MS, and what they found. */
class StressRun {
  private readonly plan: RunPlan;
  private readonly watched: Watched;
  private readonly resolve: (result: SmpResult) => void;
  private readonly reject: (e: unknown) => void;
  private readonly workers: Worker[] = [];
  private readonly returned: Float64Array;
  private readonly longDelays: string[] = [];
  private readonly hangMs: number;
  private bugMessage: BugMessage | null = null;
  private stuck: { kind: "deadlock" | "livelock"; waiting: string[] } | null = null;
  /** CPUs that have booted, and those that are done. */
  private ready = 0;
  private done = 0;
  private settled = false;
  private lastIteration = -1;
  private lastChange = performance.now();
  /** When the CPUs were first seen to have been told to stop, 0 before. */
  private stopping = 0;
  private finishing = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(plan: RunPlan, resolve: (result: SmpResult) => void, reject: (e: unknown) => void) {
    this.plan = plan;
    this.resolve = resolve;
    this.reject = reject;
    this.returned = new Float64Array(plan.names.length);
    this.hangMs = plan.options.hangMs ?? 10_000;
    this.watched = {
      ctl: plan.ctl,
      words: plan.words,
      symbols: plan.symbols,
      threads: plan.names,
      irqOffIsReader: arch.irqOffIsRcuReader !== 0,
    };
  }

  start(): void {
    const { options, names } = this.plan;
    this.timer = setInterval(() => this.watch(), WATCH_MS);
    options.signal?.addEventListener("abort", this.abort, { once: true });
    if (options.signal?.aborted === true) this.abort();
    for (let cpu = 0; cpu < names.length; cpu++) this.workers.push(this.newWorker(cpu));
  }

  private newWorker(cpu: number): Worker {
    const { scenario, options, names, ctl, words, image, symbols, regions } = this.plan;
    const { seed, iterations, noise, delays, stats, counters } = this.plan;
    const data: CpuData = {
      cpu,
      nrCpus: names.length,
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
      // Spinning helps only where every CPU has a core of its own.
      spins: names.length <= availableParallelism() ? SPINS : 0,
      stats,
      counters,
      settings: machineSettings(),
    };
    const worker = new Worker(new URL("./cpu.js", import.meta.url), { name: `cpu${cpu}`, workerData: data });
    worker.on("message", (m: CpuMessage) => this.onMessage(cpu, m));
    worker.on("error", (e) => this.fail(e));
    worker.on("exit", (code) => {
      if (code !== 0) this.fail(new Error(`the worker of CPU ${cpu} ended with exit code ${code}`));
    });
    return worker;
  }

  private settle(act: () => void): void {
    if (this.settled) return;
    this.settled = true;
    clearInterval(this.timer);
    this.plan.options.signal?.removeEventListener("abort", this.abort);
    this.abort();
    void Promise.all(this.workers.map((w) => w.terminate())).then(act, this.reject);
  }

  private fail(error: unknown): void {
    this.settle(() => this.reject(error));
  }

  private finish(): void {
    this.settle(() => this.resolve(this.result()));
  }

  private readonly abort = (): void => {
    Atomics.compareExchange(this.plan.ctl, STOP, STOP_NO, STOP_ABORT);
  };

  private onMessage(cpu: number, m: CpuMessage): void {
    switch (m.type) {
      case "ready":
        this.ready++;
        this.lastChange = performance.now();
        return;
      case "unusable":
        this.fail(new UnusableScenario(m.message));
        return;
      case "bug":
        this.bugMessage = m;
        return;
      case "done":
        this.done++;
        this.returned[cpu] = m.returned;
        if (m.longDelay !== null)
          this.longDelays.push(`${this.plan.names[cpu]}@${m.longDelay.access}:${m.longDelay.micros}`);
        if (this.done === this.plan.names.length) this.finish();
    }
  }

  private watch(): void {
    const { ctl, names, scenario } = this.plan;
    const t = performance.now();
    if (Atomics.load(ctl, STOP) !== STOP_NO) {
      // CPUs leave at their next wait or at the end of the iteration; one in an endless loop never does.
      if (this.stopping === 0) this.stopping = t;
      else if (t - this.stopping > STOP_GRACE_MS) this.finish();
      return;
    }
    if (this.ready < names.length) {
      if (t - this.lastChange > START_MS)
        this.fail(new UnusableScenario(`scenario ${scenario.name} did not boot within ${START_MS / 1000} s`));
      return;
    }
    this.lookAtProgress(t);
    this.lookForStuck(t);
  }

  private lookAtProgress(t: number): void {
    const { ctl, stats, options } = this.plan;
    const iteration = Atomics.load(ctl, ITERATIONS);
    if (iteration !== this.lastIteration) {
      this.lastIteration = iteration;
      this.lastChange = t;
    }
    const started = stats[STAT_STARTED];
    const elapsed = started === 0 ? 0 : (performance.timeOrigin + t - started) / 1000;
    options.onProgress?.(stats[STAT_ITERATIONS], elapsed);
    if (options.seconds !== undefined && elapsed >= options.seconds && !this.finishing) {
      this.finishing = true;
      Atomics.store(ctl, FINISH, 1);
    }
  }

  private lookForStuck(t: number): void {
    const deadlocked = isDeadlocked(this.watched);
    if (!deadlocked && t - this.lastChange < this.hangMs) return;
    const waiting = whoWaitsForWhom(this.watched);
    if (Atomics.compareExchange(this.plan.ctl, STOP, STOP_NO, STOP_BUG) === STOP_NO)
      this.stuck = { kind: deadlocked ? "deadlock" : "livelock", waiting };
  }

  private result(): SmpResult {
    const { scenario, seed, names, stats, ctl, counterNames } = this.plan;
    const bug = this.bug();
    const aborted = Atomics.load(ctl, STOP) === STOP_ABORT;
    return {
      schema: "holdfast.run/1",
      scenario: scenario.name,
      verdict: bug !== null ? "violated" : aborted ? "interrupted" : "clean",
      bug,
      seed,
      cpus: names.length,
      iterations: stats[STAT_ITERATIONS],
      seconds: Math.max(0, stats[STAT_ENDED] - stats[STAT_STARTED]) / 1000,
      threads: names.map((name, cpu) => ({ name, cpu, returned: this.returned[cpu] })),
      counters: Object.fromEntries(counterNames.map((n, i) => [n, stats[STAT_COUNTERS + i]])),
    };
  }

  private bug(): SmpBug | null {
    const { names, endName, symbols, stats } = this.plan;
    const b = this.bugMessage;
    if (b !== null)
      return {
        kind: b.kind,
        message: b.message,
        location: b.addr > 0 ? describeAddress(symbols, b.addr) : "",
        cpu: b.cpu,
        thread: b.atEnd ? endName : names[b.cpu],
        onBehalf: b.onBehalf,
        atEnd: b.atEnd,
        iteration: b.iteration,
        frames: b.frames,
        waiting: [],
        delays: this.longDelays,
        reproduce: this.reproduce(b.iteration),
      };
    if (this.stuck === null) return null;
    const { kind, waiting } = this.stuck;
    const hung = `no iteration ended for ${(this.hangMs / 1000).toFixed(1)} s`;
    return {
      kind,
      message: kind === "deadlock" ? "no CPU can go on" : hung,
      location: "",
      cpu: -1,
      thread: "",
      onBehalf: -1,
      atEnd: false,
      iteration: stats[STAT_ITERATIONS],
      frames: [],
      waiting,
      delays: this.longDelays,
      reproduce: this.reproduce(stats[STAT_ITERATIONS]),
    };
  }

  private reproduce(iteration: number): string {
    const { scenario, options, seed, noise } = this.plan;
    const command = options.command ?? `holdfast run --scenario ${scenario.name}`;
    const given = (options.delays ?? []).map((d) => `${d.thread}@${d.at}:${d.micros}`);
    const args = [...new Set([...given, ...this.longDelays])].map((d) => ` --delay '${d}'`).join("");
    const quiet = noise === "off" ? " --no-noise" : "";
    return `${command} --seed ${(seed + iteration) | 0}${args} --iterations 1000${quiet}`;
  }
}
