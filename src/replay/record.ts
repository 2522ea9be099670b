/** Writes our own recording in the trace format, one JSON object per line, one file per kernel and family. */

import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { TraceFile } from "./reader.ts";

/** The recording cannot be written: where, and why. */
export class RecordError extends Error {}

export interface Recorder {
  /** @throws RecordError */
  readonly write: (line: object) => void;
  readonly close: () => void;
}

/** mkdir -p. Node's own never ends where a folder cannot be made in one that exists (below /proc). */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}

/** @throws RecordError if `<dir>/<kernel>/<family>.jsonl` cannot be written, or is what is replayed. */
export function recorder(dir: string, file: TraceFile): Recorder {
  const path = resolve(dir, file.kernel, `${file.family}.jsonl`);
  if (path === resolve(file.path)) throw new RecordError(`${path}: it is the recording that is replayed`);
  const attempt = <T>(run: () => T): T => {
    try {
      return run();
    } catch (e) {
      throw new RecordError(`${path}: ${e instanceof Error ? e.message : String(e)}`);
    }
  };
  const out = attempt(() => {
    makeFolder(dirname(path));
    return openSync(path, "w");
  });
  return {
    // Of a file descriptor writeFileSync() writes on, and all of it.
    write: (line) => attempt(() => writeFileSync(out, `${JSON.stringify(line)}\n`)),
    close: () => closeSync(out),
  };
}
