/**
 * Explores many scenarios on a few workers, each distinct program once: a worker links a job and reports the
 * program's hash; only the first job with that hash (and model) is explored, the others get its result.
 * Results do not depend on the number of workers. Not covered: splitting one exploration over workers.
 */

import { Worker } from "node:worker_threads";
import type { CheckModel, CheckResult } from "../check/check.ts";
import type { FromWorker, JobRef, Limits, PoolData, ToWorker } from "./explorer-worker.ts";

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
  /** Called with each result; jobs that it gives are added at the end. */
  readonly onResult?: (result: JobResult) => readonly Job[];
  /** `states`: stored in all explorations so far, those under way included. */
  readonly onProgress?: (done: number, total: number, states: number) => void;
}

interface Distinct {
  readonly first: string;
  result: CheckResult | null;
  location: string;
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
  const jobs = [...initial];
  const results = new Map<string, JobResult>();
  const distinct = new Map<string, Distinct>();
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const data: PoolData = { stop };
  let next = 0;
  let finishedStates = 0;

  return new Promise((resolve, reject) => {
    const slots: Slot[] = [];
    let settled = false;
    const settle = (act: () => void): void => {
      if (settled) return;
      settled = true;
      options.signal?.removeEventListener("abort", abort);
      void Promise.all(slots.map((s) => s.worker.terminate())).then(act, reject);
    };
    const inOrder = (): JobResult[] =>
      jobs.flatMap((j) => {
        const r = results.get(j.id);
        return r === undefined ? [] : [r];
      });
    const progress = (): void => {
      const states = slots.reduce((n, s) => n + s.states, finishedStates);
      options.onProgress?.(results.size, jobs.length, states);
    };
    const send = (slot: Slot, message: ToWorker): void => slot.worker.postMessage(message);

    const feed = (slot: Slot): void => {
      slot.distinct = null;
      slot.states = 0;
      slot.job = Atomics.load(stop, 0) === 0 && next < jobs.length ? jobs[next++] : null;
      if (slot.job !== null) send(slot, { type: "link", ref: slot.job.ref });
      else if (slots.every((s) => s.job === null)) settle(() => resolve(inOrder()));
    };
    /** This slot's job is done; others may have been idle for want of jobs. */
    const feedAll = (slot: Slot): void => {
      slot.job = null;
      for (const s of slots) if (s.job === null && !settled) feed(s);
    };
    const finish = (job: Job, result: CheckResult, d: Distinct): void => {
      const r = { job, result, location: d.location, sameAs: d.first === job.id ? null : d.first };
      results.set(job.id, r);
      if (options.onResult !== undefined) jobs.push(...options.onResult(r));
    };

    const onMessage = (slot: Slot, m: FromWorker): void => {
      const job = slot.job;
      if (job === null || settled) return;
      switch (m.type) {
        case "linked": {
          const key = `${m.hash}/${job.model}`;
          const known = distinct.get(key);
          if (known === undefined) {
            const d: Distinct = { first: job.id, result: null, location: "", waiting: [job] };
            distinct.set(key, d);
            slot.distinct = d;
            send(slot, { type: "explore", model: job.model, limits: options.limits });
            return;
          }
          if (known.result === null) known.waiting.push(job);
          else finish(job, known.result, known);
          progress();
          feedAll(slot);
          return;
        }
        case "progress":
          slot.states = m.states;
          progress();
          return;
        case "explored": {
          const d = slot.distinct;
          finishedStates += m.result.states;
          slot.states = 0;
          if (d !== null) {
            d.result = m.result;
            d.location = m.location;
            for (const j of d.waiting) finish(j, m.result, d);
          }
          progress();
          feedAll(slot);
          return;
        }
        case "failed":
          settle(() => {
            const failed = new JobFailed(job, m.why, m.message);
            if (m.why === "internal") failed.stack = m.stack;
            reject(failed);
          });
      }
    };

    const abort = (): void => {
      Atomics.store(stop, 0, 1);
      // A worker that is not exploring hears of it at its next message; one that does within a tenth of a
      // second.
      setTimeout(() => settle(() => resolve(inOrder())), 3000).unref();
    };
    options.signal?.addEventListener("abort", abort, { once: true });
    if (options.signal?.aborted === true) abort();

    const count = Math.max(
      1,
      options.onResult === undefined ? Math.min(options.workers, jobs.length) : options.workers,
    );
    for (let i = 0; i < count; i++) {
      const worker = new Worker(new URL("./explorer-worker.js", import.meta.url), {
        workerData: data,
        name: `explorer${i}`,
      });
      const slot: Slot = { worker, job: null, distinct: null, states: 0 };
      slots.push(slot);
      worker.on("message", (m: FromWorker) => onMessage(slot, m));
      worker.on("error", (e) => settle(() => reject(e)));
      worker.on("exit", (code) => {
        if (!settled) settle(() => reject(new Error(`a worker of the pool ended with exit code ${code}`)));
      });
    }
    for (const slot of slots) feed(slot);
  });
}
