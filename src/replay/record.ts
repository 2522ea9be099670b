/**
 * Writes our own recording in the trace format, one JSON object per line, one file per kernel and family. It
 * is written aside, ended by a line that says how much it holds (which its header announces), and only then
 * gets its name: what was cut short is no recording.
 */

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import type { TraceFile } from "./reader.ts";

/** The recording cannot be written: where, and why. */
export class RecordError extends Error {}

/** A line of a recording, as far as the recorder looks at it: the header has no `seq`. */
export interface RecordLine {
  readonly seq?: string;
}

export interface Recorder {
  /** @throws RecordError */
  readonly write: (line: RecordLine) => void;
  /** Nothing more comes: the file gets its end line and its name. @throws RecordError */
  readonly finish: () => void;
  /** What was written is thrown away, unless finished. */
  readonly abandon: () => void;
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
  const aside = `${path}.part`;
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
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
      throw new Error("it is a directory");
    return openSync(aside, "w");
  });
  let open = true;
  let sequences = 0;
  let steps = 0;
  let last: string | undefined;
  // Of a file descriptor writeFileSync() writes on, and all of it.
  const put = (line: object): void => attempt(() => writeFileSync(out, `${JSON.stringify(line)}\n`));
  const close = (): void => {
    open = false;
    closeSync(out);
  };
  return {
    write: (line) => {
      if (line.seq !== undefined) {
        steps++;
        if (line.seq !== last) sequences++;
        last = line.seq;
      }
      put(line);
    },
    finish: () => {
      put({ end: 1, sequences, steps });
      attempt(() => {
        fsyncSync(out);
        close();
        renameSync(aside, path);
      });
    },
    abandon: () => {
      if (!open) return;
      close();
      rmSync(aside, { force: true });
    },
  };
}
