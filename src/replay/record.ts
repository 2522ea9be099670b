/** Writes our own recording in the trace format, one JSON object per line, one file per kernel and family. */

import { once } from "node:events";
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { TraceFile } from "./reader.ts";

export interface Recorder {
  readonly write: (line: object) => void;
  readonly close: () => Promise<void>;
}

export function recorder(dir: string, file: TraceFile): Recorder {
  const folder = join(dir, file.kernel);
  mkdirSync(folder, { recursive: true });
  const out = createWriteStream(join(folder, `${file.family}.jsonl`));
  return {
    write: (line) => void out.write(`${JSON.stringify(line)}\n`),
    close: async () => {
      out.end();
      await once(out, "finish");
    },
  };
}
