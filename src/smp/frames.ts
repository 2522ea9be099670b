/**
 * Where in kernel code an exception came from: V8's stack text reduced to the frames of dialect code,
 * innermost first. The machine's own primitives and the runner are left out. Lines are those of the
 * TypeScript source if source maps are on (they are, in CPUs).
 */

import { fileURLToPath } from "node:url";
import type { Frame } from "./protocol.ts";

const MAX_FRAMES = 12;
const LINE = /^\s*at (?:(?:async )?(\S+) (?:\[as \S+\] )?\()?(file:\/\/[^)]*?|\/[^)]*?):(\d+):(\d+)\)?$/;

/** This package's own directories of which no frame is shown, e.g. `.../src/smp/`. */
const hidden = ["machine", "smp"].map((dir) => fileURLToPath(new URL(`../${dir}/`, import.meta.url)));
const hiddenSource = hidden.map((dir) => dir.replace(/\/dist\/(?=[^/]+\/$)/, "/src/"));

export function framesOf(error: unknown): Frame[] {
  if (!(error instanceof Error) || error.stack === undefined) return [];
  const frames: Frame[] = [];
  for (const text of error.stack.split("\n")) {
    const m = LINE.exec(text);
    if (m === null) continue;
    const [, fn, where, line, col] = m;
    const file = where.startsWith("file:") ? fileURLToPath(where) : where;
    if ([...hidden, ...hiddenSource].some((dir) => file.startsWith(dir))) continue;
    frames.push({ fn: (fn ?? "").replace(/^.*\./, ""), file, line: Number(line), col: Number(col) });
    if (frames.length === MAX_FRAMES) break;
  }
  return frames;
}
