/**
 * A worker of `holdfast litmus -j`: runs the files that it is sent, one at a time, and sends back their
 * records.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { MemoryModel } from "../check/models/model.ts";
import { MODELS } from "../check/models/models.ts";
import type { LitmusTask } from "./litmus-run.ts";
import { runFile } from "./litmus-run.ts";

const task = workerData as LitmusTask;
const models = task.models.map((name) => MODELS.get(name)).filter((m): m is MemoryModel => m !== undefined);
const port = parentPort;
if (port !== null) {
  port.on("message", ({ index, file }: { index: number; file: string }) => {
    const { records } = runFile(file, models, {
      timeout: task.timeout,
      unroll: task.unroll,
      fast: task.fast,
    });
    port.postMessage({ index, records });
  });
}
