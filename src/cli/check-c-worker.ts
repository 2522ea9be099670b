/**
 * The worker in which a C program is explored that takes longer than a moment: says how far it is, and stops
 * when it is told to.
 */

import { parentPort, workerData } from "node:worker_threads";
import { type CResult, checkC } from "../check/c/check.ts";
import type { CheckModel } from "../check/check.ts";
import type { Limits } from "../claims/explorer-worker.ts";
import { nodeFiles } from "../lang/c/node-files.ts";

export interface CWorkerData {
  readonly path: string;
  readonly build: {
    readonly include: readonly string[];
    readonly define: readonly string[];
    readonly leaks: boolean;
  };
  readonly models: readonly { readonly model: CheckModel; readonly maxSeconds: number }[];
  readonly limits: Limits;
  /** Word 0 is 1 when it is to stop. */
  readonly stop: Int32Array;
}

export type FromCWorker =
  | { readonly type: "progress"; readonly states: number; readonly seconds: number }
  | { readonly type: "done"; readonly results: readonly CResult[] };

const { path, build, models, limits, stop } = workerData as CWorkerData;

function send(m: FromCWorker): void {
  parentPort?.postMessage(m);
}

send({
  type: "done",
  results: checkC(path, nodeFiles(), {
    ...build,
    models: models.map((m) => m.model),
    limits: (model) => ({
      ...limits,
      maxSeconds: models.find((m) => m.model === model)?.maxSeconds ?? limits.maxSeconds,
      onProgress: ({ states, seconds }) => {
        send({ type: "progress", states, seconds });
        return Atomics.load(stop, 0) === 0;
      },
    }),
  }).map(({ result, trail }) => ({ result, trail })),
});
