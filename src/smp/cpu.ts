/**
 * One CPU of a real-thread run: the entry module of its worker. Imports the scenario's module, so that it
 * runs the very same code as everybody else, repeats the scenario's boot in memory of its own to get
 * configuration, boot-time addresses and thread functions (and checks that the result is the memory that the
 * main thread booted), then attaches to the shared memory and runs its thread once per iteration until told
 * to stop.
 */

import { parentPort, workerData } from "node:worker_threads";
import { arch, restoreMachineSettings } from "../machine/config.ts";
import { KernelBug } from "../machine/errors.ts";
import { installHost, useSequentialHost } from "../machine/host.ts";
import { addressName, attachMemory, mem, memoryTop } from "../machine/memory.ts";
import type { BootedScenario, ScenarioThread } from "../machine/scenario.ts";
import { barrier } from "./barrier.ts";
import {
  cpuBase,
  EPOCH,
  FINISH,
  ITERATIONS,
  ON_BEHALF,
  STOP,
  STOP_BUG,
  STOP_DONE,
  STOP_NO,
} from "./control.ts";
import { findScenario } from "./find.ts";
import { framesOf } from "./frames.ts";
import { RunStopped, SmpHost } from "./host.ts";
import { Noise } from "./noise.ts";
import {
  type CpuData,
  type CpuMessage,
  STAT_COUNTERS,
  STAT_ENDED,
  STAT_ITERATIONS,
  STAT_STARTED,
} from "./protocol.ts";

/** Epochs are 29 bits beside a flag in the interrupt word; start over well before that. */
const MAX_EPOCH = 1 << 27;

const data = workerData as CpuData;
const { ctl, cpu, nrCpus } = data;

/** Of this package, in the form that it runs in: needs no loader. */
const isOwnModule = data.module.endsWith(import.meta.url.slice(-3));

function send(message: CpuMessage): void {
  parentPort?.postMessage(message);
}

/** Boots in private memory; throws an Error with a message for the user. */
async function bootAgain(): Promise<BootedScenario> {
  const namespace = (
    isOwnModule
      ? await import(data.module)
      : await (await import("../lang/load.ts")).importModule(data.module)
  ) as Record<string, unknown>;
  const scenario = findScenario(namespace, data.scenario);
  if (scenario === undefined)
    throw new Error(
      `${data.module} exports no scenario named ${data.scenario}; scenarios are made by defineScenario()`,
    );
  useSequentialHost();
  const booted = scenario.boot();
  const top = memoryTop();
  const what = `scenario ${data.scenario}: boot() gives something else each time it is called:`;
  if (booted.threads.length !== nrCpus)
    throw new Error(`${what} ${nrCpus} threads, then ${booted.threads.length}`);
  if (top !== data.image.length) throw new Error(`${what} ${data.image.length} words of memory, then ${top}`);
  for (let i = 1; i < top; i++)
    if (mem[i] !== data.image[i])
      throw new Error(`${what} ${addressName(i)} is ${data.image[i]}, then ${mem[i]}`);
  // A setting that boot() leaves alone may stem from an earlier boot in the main thread.
  restoreMachineSettings(data.settings);
  return booted;
}

function call(thread: ScenarioThread): number {
  const result = thread.run(...(thread.args ?? []));
  return typeof result === "number" ? result : 0;
}

const now = (): number => performance.timeOrigin + performance.now();

function run(booted: BootedScenario): void {
  const host = new SmpHost(ctl, cpu, nrCpus, arch.irqOffIsRcuReader !== 0, data.spins);
  const noise = new Noise(cpu, data.noise, data.delays, (ms) => host.sleep(ms));
  const thread = booted.threads[cpu];
  const atEnd = booted.finally;
  const hook = noise.hook();
  attachMemory(data.words, data);
  installHost(host);

  let iteration = -1;
  let returned = 0;
  let inFinally = false;

  const report = (e: unknown): void => {
    if (e instanceof RunStopped) return;
    const onBehalf = Atomics.load(ctl, cpuBase(cpu) + ON_BEHALF) - 1;
    // The first one wins: what goes wrong after a bug may be its consequence.
    if (Atomics.compareExchange(ctl, STOP, STOP_NO, STOP_BUG) !== STOP_NO) return;
    send({
      type: "bug",
      kind: e instanceof KernelBug ? e.kind : "exception",
      message: e instanceof Error ? e.message : String(e),
      addr: e instanceof KernelBug ? e.addr : 0,
      cpu,
      onBehalf,
      atEnd: inFinally,
      iteration,
      accesses: noise.accesses,
      longDelay: noise.longDelay,
      frames: framesOf(e),
    });
  };

  /** Between iterations, on the last CPU to arrive: checks the one that ended and prepares the next. */
  const between = (): void => {
    try {
      const { stats } = data;
      if (iteration < 0) stats[STAT_STARTED] = now();
      else {
        inFinally = true;
        host.preempt = null;
        host.startIteration(data.seed, iteration);
        if (atEnd !== undefined) {
          call(atEnd);
          host.endThread();
        }
        inFinally = false;
        for (let i = 0; i < data.counters.length; i++)
          stats[STAT_COUNTERS + i] += Atomics.load(mem, data.counters[i]);
        stats[STAT_ITERATIONS]++;
        stats[STAT_ENDED] = now();
        Atomics.add(ctl, ITERATIONS, 1);
      }
      const enough = data.iterations > 0 && stats[STAT_ITERATIONS] >= data.iterations;
      if (Atomics.load(ctl, FINISH) !== 0 || enough) Atomics.compareExchange(ctl, STOP, STOP_NO, STOP_DONE);
      if (Atomics.load(ctl, EPOCH) > MAX_EPOCH) Atomics.store(ctl, EPOCH, 1);
      mem.set(data.image);
    } catch (e) {
      report(e);
    }
  };

  while (barrier(ctl, cpu, nrCpus, data.spins, between)) {
    iteration++;
    try {
      host.startIteration(data.seed, iteration);
      noise.startIteration(data.seed, iteration);
      host.preempt = hook;
      returned += call(thread);
      host.endThread();
    } catch (e) {
      report(e);
      break;
    }
  }
  send({ type: "done", returned, longDelay: noise.longDelay });
}

process.setSourceMapsEnabled(true);
// The primitives and the walk's levels take some frames: the scenario's own function should still show.
Error.stackTraceLimit = 30;
try {
  const booted = await bootAgain();
  send({ type: "ready" });
  run(booted);
} catch (e) {
  send({ type: "unusable", message: e instanceof Error ? e.message : String(e) });
}
