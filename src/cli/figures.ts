/** Figures taken in a worker (bench/figures-worker.ts), until all are there or the user asks to stop. */

import { Worker } from "node:worker_threads";
import type { FiguresTask, FromFigures } from "../bench/figures-worker.ts";
import type { Figure } from "../claims/schema.ts";

/** Those of `ids` that were taken; all of them unless `signal` was aborted. Rejects if the worker dies. */
export function takeFiguresInWorker(
  ids: readonly string[],
  signal: AbortSignal,
  onStep: (what: string) => void,
): Promise<Figure[]> {
  return new Promise((resolve, reject) => {
    const taken: Figure[] = [];
    const worker = new Worker(new URL("../bench/figures-worker.js", import.meta.url), {
      name: "figures",
      workerData: { ids } satisfies FiguresTask,
    });
    const stop = (): void => void worker.terminate();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    worker.on("message", (m: FromFigures) => {
      if (m.type === "step") onStep(m.what);
      else taken.push(...m.figures);
    });
    worker.on("error", reject);
    worker.on("exit", (code) => {
      signal.removeEventListener("abort", stop);
      if (code === 0 || signal.aborted) resolve(taken);
      else reject(new Error(`the worker that takes figures ended with exit code ${code}`));
    });
  });
}
