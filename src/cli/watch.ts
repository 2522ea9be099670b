/**
 * `--watch`: something is done again whenever one of the files that it read is saved, until Ctrl-C. Files are
 * looked at ten times a second: an editor that writes a new file and renames it, a file system of another
 * machine and one that is gone for a moment all look alike so.
 */

import { statSync } from "node:fs";
import { interruptSignal } from "./interrupt.ts";

const LOOK_MS = 100;
/** File systems date a save by the last tick of a clock, which may lie that far back. */
const TICK_MS = 20;

/** What changes when a file is saved; "" of one that is not there. */
function stampOf(path: string): string {
  const s = statSync(path, { throwIfNoEntry: false });
  return s === undefined ? "" : `${s.mtimeMs} ${s.size} ${s.ino}`;
}

/**
 * Runs `act` and, when a file of `first` or of those that it gave has changed, again. `act` is to stop early
 * when its signal is aborted: what it was looking at is no longer there.
 */
export async function watchFiles(
  first: readonly string[],
  act: (changed: AbortSignal) => Promise<readonly string[]>,
): Promise<void> {
  const interrupt = interruptSignal();
  const files = new Set(first);
  while (!interrupt.aborted) {
    const changed = new AbortController();
    const started = Date.now() - TICK_MS;
    const stamps = new Map([...files].map((f) => [f, stampOf(f)]));
    const timer = setInterval(() => {
      if (interrupt.aborted || [...stamps].some(([f, s]) => stampOf(f) !== s)) changed.abort();
    }, LOOK_MS);
    const over = new Promise<void>((resolve) => {
      changed.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    try {
      for (const f of await act(changed.signal)) {
        files.add(f);
        if (stamps.has(f)) continue;
        // It was read some time in this turn: what was saved since the turn began may have come too late.
        const { mtimeMs } = statSync(f, { throwIfNoEntry: false }) ?? { mtimeMs: Number.POSITIVE_INFINITY };
        if (mtimeMs > started) changed.abort();
        stamps.set(f, stampOf(f));
      }
      await over;
    } finally {
      clearInterval(timer);
    }
  }
}
