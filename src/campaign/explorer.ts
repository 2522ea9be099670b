/**
 * One thread that links and explores jobs, one after the other, for a worker of a campaign. It outlives its
 * jobs, so that modules are loaded, linked and compiled once for all of them. What is stopped is ended with
 * its thread, and gives nothing: a search that was cut decides nothing.
 */

import { Worker } from "node:worker_threads";
import type { CheckModel, CheckResult } from "../check/check.ts";
import type { FromWorker, JobRef, Limits, PoolData, ToWorker } from "../claims/explorer-worker.ts";

export interface Explored {
  readonly result: CheckResult;
  /** Name of the location that the error concerns, or "". */
  readonly location: string;
}

/** The job cannot be explored; why is for the campaign's report. */
export class CannotExplore extends Error {}

/** The explorer was stopped. */
export class Stopped extends Error {}

interface Waiting {
  readonly resolve: (m: FromWorker) => void;
  readonly reject: (e: Error) => void;
}

export class Explorer {
  private worker: Worker | null = null;
  private waiting: Waiting | null = null;

  /** Hash of the job's program: equal programs have equal results. @throws CannotExplore, Stopped */
  async link(ref: JobRef, model: CheckModel): Promise<string> {
    const m = await this.ask({ type: "link", ref, model });
    if (m.type !== "linked") throw new Error(`${m.type} is no answer to link`);
    return m.hash;
  }

  /** Explores what was linked. @throws CannotExplore, Stopped */
  async explore(model: CheckModel, limits: Limits): Promise<Explored> {
    const m = await this.ask({ type: "explore", model, limits });
    if (m.type !== "explored") throw new Error(`${m.type} is no answer to explore`);
    return { result: m.result, location: m.location };
  }

  /** Ends what it does, which rejects with Stopped. It may be asked again. */
  async stop(): Promise<void> {
    const { worker, waiting } = this;
    this.worker = null;
    this.waiting = null;
    waiting?.reject(new Stopped());
    await worker?.terminate();
  }

  private ask(message: ToWorker): Promise<FromWorker> {
    const worker = this.worker ?? this.start();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      worker.postMessage(message);
    });
  }

  private start(): Worker {
    const data: PoolData = { stop: new Int32Array(new SharedArrayBuffer(4)) };
    const worker = new Worker(new URL("../claims/explorer-worker.js", import.meta.url), { workerData: data });
    // Only the thread that is asked now may answer: one that was stopped may have something under way.
    const answer = (act: (w: Waiting) => void): void => {
      if (this.worker !== worker || this.waiting === null) return;
      const w = this.waiting;
      this.waiting = null;
      act(w);
    };
    worker.on("message", (m: FromWorker) => {
      if (m.type === "progress") return;
      answer((w) => {
        if (m.type === "failed") w.reject(new CannotExplore(m.message));
        else w.resolve(m);
      });
    });
    const died = (why: string): void => {
      answer((w) => w.reject(new CannotExplore(why)));
      if (this.worker === worker) this.worker = null;
    };
    worker.on("error", (e) => died(`its thread died: ${e.message}`));
    worker.on("exit", (code) => died(`its thread ended with exit code ${code}`));
    this.worker = worker;
    return worker;
  }
}
