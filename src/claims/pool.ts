/**
 * Explores many scenarios on a few workers, each distinct program once: a worker links a job and reports the
 * program's hash; only the first job with that hash (and model) is explored, the others get its result.
 * Results do not depend on the number of workers. Not covered: splitting one exploration over workers.
 */

import { Worker } from "node:worker_threads";
import type { CheckModel, CheckResult } from "../check/check.ts";
import type { Repair } from "../check/weak/barriers.ts";
import type { Program } from "../lang/ir.ts";
import type { FromWorker, JobRef, Limits, PoolData, ToWorker } from "./explorer-worker.ts";
import type { OrderingSite } from "./ordering-sites.ts";

export interface Job {
  /** Unique; what results are told apart by. */
  readonly id: string;
  readonly ref: JobRef;
  readonly model: CheckModel;
}

export interface JobResult {
  readonly job: Job;
  readonly result: CheckResult;
  /** Name of the location that the error concerns, or "". */
  readonly location: string;
  /** Barriers that would repair it, if the limits asked for them. */
  readonly repair: Repair | null;
  /** Its barriers and annotations, if the limits asked for them and it holds. */
  readonly sites: readonly OrderingSite[];
  /** Id of the job whose exploration this is, if it was another's: the programs are the same. */
  readonly sameAs: string | null;
}

/** A job that could not be explored; see FromWorker. */
export class JobFailed extends Error {
  readonly why: Extract<FromWorker, { type: "failed" }>["why"];
  readonly job: Job;

  constructor(job: Job, why: JobFailed["why"], message: string) {
    super(message);
    this.name = "JobFailed";
    this.why = why;
    this.job = job;
  }
}

export interface PoolOptions {
  readonly workers: number;
  readonly limits: Limits;
  readonly signal?: AbortSignal;
  /** Called with each distinct program, before the results that it gives; only if the limits ask for it. */
  readonly onProgram?: (job: Job, program: Program, result: CheckResult) => void;
  /** Called with each result; jobs that it gives are added at the end. */
  readonly onResult?: (result: JobResult) => readonly Job[];
  /** `states`: stored in all explorations so far, those under way included. */
  readonly onProgress?: (done: number, total: number, states: number) => void;
}

interface Distinct {
  readonly first: string;
  result: CheckResult | null;
  location: string;
  repair: Repair | null;
  sites: readonly OrderingSite[];
  readonly waiting: Job[];
}

interface Slot {
  readonly worker: Worker;
  job: Job | null;
  distinct: Distinct | null;
  states: number;
}

/**
 * Results in the order of jobs. After an abort: those finished, the ones under way as "bounded".
 * @throws JobFailed for the first job that cannot be explored, Error if a worker dies.
 */
export function runJobs(initial: readonly Job[], options: PoolOptions): Promise<JobResult[]> {
  return new Promise((resolve, reject) => new Pool(initial, options, resolve, reject).start());
}

/** Milliseconds after an abort for which workers that do not answer are waited for. */
const ABORT_GRACE_MS = 3000;

/** The workers of one call of runJobs(), and what they have done. */
class Pool {
  private readonly jobs: Job[];
  private next = 0;
  private readonly results = new Map<string, JobResult>();
  /** Programs met so far, by hash and model. */
  private readonly distinct = new Map<string, Distinct>();
  private finishedStates = 0;
  private readonly slots: Slot[] = [];
  private readonly stop = new Int32Array(new SharedArrayBuffer(4));
  private settled = false;
  private readonly options: PoolOptions;
  private readonly resolve: (results: JobResult[]) => void;
  private readonly reject: (e: unknown) => void;

  constructor(
    initial: readonly Job[],
    options: PoolOptions,
    resolve: (results: JobResult[]) => void,
    reject: (e: unknown) => void,
  ) {
    this.jobs = [...initial];
    this.options = options;
    this.resolve = resolve;
    this.reject = reject;
  }

  start(): void {
    const { signal, workers, onResult } = this.options;
    signal?.addEventListener("abort", this.abort, { once: true });
    if (signal?.aborted === true) this.abort();
    const count = Math.max(1, onResult === undefined ? Math.min(workers, this.jobs.length) : workers);
    for (let i = 0; i < count; i++) this.slots.push(this.newSlot(i));
    for (const slot of this.slots) this.feed(slot);
  }

  private newSlot(i: number): Slot {
    const data: PoolData = { stop: this.stop };
    const worker = new Worker(new URL("./explorer-worker.js", import.meta.url), {
      workerData: data,
      name: `explorer${i}`,
    });
    const slot: Slot = { worker, job: null, distinct: null, states: 0 };
    worker.on("message", (m: FromWorker) => this.onMessage(slot, m));
    worker.on("error", (e) => this.fail(e));
    worker.on("exit", (code) => this.fail(new Error(`a worker of the pool ended with exit code ${code}`)));
    return slot;
  }

  private readonly abort = (): void => {
    Atomics.store(this.stop, 0, 1);
    // A worker that is not exploring hears of it at its next message; one that does within a tenth of a
    // second.
    setTimeout(() => this.succeed(), ABORT_GRACE_MS).unref();
  };

  private settle(act: () => void): void {
    if (this.settled) return;
    this.settled = true;
    this.options.signal?.removeEventListener("abort", this.abort);
    void Promise.all(this.slots.map((s) => s.worker.terminate())).then(act, this.reject);
  }

  private fail(e: unknown): void {
    this.settle(() => this.reject(e));
  }

  private succeed(): void {
    this.settle(() =>
      this.resolve(
        this.jobs.flatMap((j) => {
          const r = this.results.get(j.id);
          return r === undefined ? [] : [r];
        }),
      ),
    );
  }

  private progress(): void {
    const states = this.slots.reduce((n, s) => n + s.states, this.finishedStates);
    this.options.onProgress?.(this.results.size, this.jobs.length, states);
  }

  private send(slot: Slot, message: ToWorker): void {
    slot.worker.postMessage(message);
  }

  /** Gives the slot the next job, or ends the pool if there is none and nobody works. */
  private feed(slot: Slot): void {
    slot.distinct = null;
    slot.states = 0;
    const go = Atomics.load(this.stop, 0) === 0 && this.next < this.jobs.length;
    slot.job = go ? this.jobs[this.next++] : null;
    if (slot.job !== null) {
      const { ref, model } = slot.job;
      this.send(slot, { type: "link", ref, model, sites: this.options.limits.sites === true });
    } else if (this.slots.every((s) => s.job === null)) this.succeed();
  }

  /** This slot's job is done; others may have been idle for want of jobs. */
  private feedAll(slot: Slot): void {
    slot.job = null;
    for (const s of this.slots) if (s.job === null && !this.settled) this.feed(s);
  }

  private finish(job: Job, result: CheckResult, d: Distinct): void {
    const r = {
      job,
      result,
      location: d.location,
      repair: d.repair,
      sites: d.sites,
      sameAs: d.first === job.id ? null : d.first,
    };
    this.results.set(job.id, r);
    if (this.options.onResult !== undefined) this.jobs.push(...this.options.onResult(r));
  }

  private onMessage(slot: Slot, m: FromWorker): void {
    const { job } = slot;
    if (job === null || this.settled) return;
    switch (m.type) {
      case "linked":
        this.onLinked(slot, job, m.hash);
        return;
      case "progress":
        slot.states = m.states;
        this.progress();
        return;
      case "explored":
        this.onExplored(slot, m);
        return;
      case "failed": {
        const failed = new JobFailed(job, m.why, m.message);
        if (m.why === "internal") failed.stack = m.stack;
        this.fail(failed);
      }
    }
  }

  /** A program that nobody has met is explored; of another one the result is there, or will be. */
  private onLinked(slot: Slot, job: Job, hash: string): void {
    const key = `${hash}/${job.model}`;
    const known = this.distinct.get(key);
    if (known === undefined) {
      const d: Distinct = {
        first: job.id,
        result: null,
        location: "",
        repair: null,
        sites: [],
        waiting: [job],
      };
      this.distinct.set(key, d);
      slot.distinct = d;
      this.send(slot, { type: "explore", model: job.model, limits: this.options.limits });
      return;
    }
    if (known.result === null) known.waiting.push(job);
    else this.finish(job, known.result, known);
    this.progress();
    this.feedAll(slot);
  }

  private onExplored(slot: Slot, m: Extract<FromWorker, { type: "explored" }>): void {
    const d = slot.distinct;
    this.finishedStates += m.result.states;
    slot.states = 0;
    if (d !== null) {
      d.result = m.result;
      d.location = m.location;
      d.repair = m.repair;
      d.sites = m.sites;
      if (slot.job !== null && m.program !== null) this.options.onProgram?.(slot.job, m.program, m.result);
      for (const j of d.waiting) this.finish(j, m.result, d);
    }
    this.progress();
    this.feedAll(slot);
  }
}
