/** The workers of a search, as its coordinator has them: started, asked, ended. */

import { Worker } from "node:worker_threads";
import type { FromShare, ShareData, ToShare } from "./protocol.ts";

type Of<T extends FromShare["type"]> = Extract<FromShare, { type: T }>;

export class Team {
  readonly size: number;
  private readonly workers: readonly Worker[];
  private readonly waiting: Map<string, { resolve: (m: FromShare) => void; reject: (e: Error) => void }>[];
  private readonly early: Map<string, FromShare>[];
  private failure: Error | null = null;
  private ended = false;

  /** `onEvent`: what nobody has asked for. */
  constructor(all: readonly ShareData[], onEvent: (worker: number, m: FromShare) => void) {
    this.size = all.length;
    this.waiting = all.map(() => new Map());
    this.early = all.map(() => new Map());
    this.workers = all.map((workerData, i) => {
      const w = new Worker(new URL("./share-worker.js", import.meta.url), { workerData, name: `share${i}` });
      w.on("message", (m: FromShare) => {
        const asker = this.waiting[i].get(m.type);
        this.waiting[i].delete(m.type);
        if (asker !== undefined) asker.resolve(m);
        else if (m.type === "stopped" || m.type === "saved") this.early[i].set(m.type, m);
        else if (m.type === "failed") {
          const e = new Error(m.message);
          e.stack = m.stack;
          this.fail(e);
        } else onEvent(i, m);
      });
      w.on("error", (e) => this.fail(e));
      w.on("exit", (code) => {
        if (!this.ended) this.fail(new Error(`a worker of the search ended with exit code ${code}`));
      });
      return w;
    });
  }

  private fail(e: Error): void {
    this.failure ??= e;
    for (const map of this.waiting) {
      for (const { reject } of map.values()) reject(e);
      map.clear();
    }
  }

  /** @throws Error if a worker has died. */
  check(): void {
    if (this.failure !== null) throw this.failure;
  }

  /** Refuses whoever waits for an answer. */
  refuse(e: Error): void {
    this.fail(e);
  }

  /** The next message of that type from the worker, which was not sent before it was asked for twice. */
  next<T extends FromShare["type"]>(worker: number, type: T): Promise<Of<T>> {
    if (this.failure !== null) return Promise.reject(this.failure);
    const known = this.early[worker].get(type);
    if (known !== undefined) {
      this.early[worker].delete(type);
      return Promise.resolve(known as Of<T>);
    }
    return new Promise((resolve, reject) => {
      this.waiting[worker].set(type, { resolve: (m) => resolve(m as Of<T>), reject });
    });
  }

  ask<T extends FromShare["type"]>(worker: number, message: ToShare, type: T): Promise<Of<T>> {
    const answer = this.next(worker, type);
    this.workers[worker].postMessage(message);
    return answer;
  }

  async end(): Promise<void> {
    this.ended = true;
    await Promise.all(this.workers.map((w) => w.terminate()));
  }
}
