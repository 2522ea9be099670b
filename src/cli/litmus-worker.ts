/**
 * A worker of `holdfast litmus -j`: runs the files that it is sent, one at a time, and sends back their
 * records.
 */
import { parentPort, workerData } from "node:worker_threads";
import { type LitmusTask, runFile, runnersOf } from "./litmus-run.ts";

const task = workerData as LitmusTask;
const port = parentPort;
if (port !== null) {
  const models = runnersOf(task.models, task.cat);
  port.on("message", async ({ index, file }: { index: number; file: string }) => {
    const { records } = runFile(file, await models, {
      timeout: task.timeout,
      unroll: task.unroll,
      fast: task.fast,
    });
    port.postMessage({ index, records });
  });
}
