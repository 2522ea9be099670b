/**
 * A worker that takes figures, claim by claim, so that Ctrl-C is heard meanwhile and what was taken before it
 * is kept.
 */

import { parentPort, workerData } from "node:worker_threads";
import { FIGURE_CLAIMS } from "../claims/claims.ts";
import type { Figure } from "../claims/schema.ts";
import { takeFigures } from "./figures.ts";

export interface FiguresTask {
  readonly ids: readonly string[];
}
export type FromFigures =
  | { readonly type: "step"; readonly what: string }
  /** All that were asked for of one claim. */
  | { readonly type: "figures"; readonly figures: readonly Figure[] };

const send = (message: FromFigures): void => parentPort?.postMessage(message);

const { ids } = workerData as FiguresTask;
for (const { claim } of FIGURE_CLAIMS) {
  const some = ids.filter((id) => id.startsWith(`${claim}/`));
  if (some.length > 0)
    send({ type: "figures", figures: await takeFigures(some, (what) => send({ type: "step", what })) });
}
