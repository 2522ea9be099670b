/**
 * One line of progress on stderr, rewritten in place, and only where stderr is a terminal: logs and pipes get
 * nothing. Not covered: several lines, bars. Whoever prints to stdout calls `clear` first.
 */

export interface StatusStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

import { visible } from "./output.ts";

/** At most this often, in milliseconds: progress must not cost time. */
const INTERVAL_MS = 100;

export class Status {
  private readonly out: StatusStream;
  private readonly on: boolean;
  private last = 0;
  private shown = false;

  constructor(out: StatusStream = process.stderr, env: NodeJS.ProcessEnv = process.env) {
    this.out = out;
    this.on = out.isTTY === true && env["TERM"] !== "dumb" && env["CI"] === undefined;
  }

  /** Shows `text` in place of what was there, unless it was changed a moment ago. */
  update(text: string): void {
    if (!this.on) return;
    const now = performance.now();
    if (this.shown && now - this.last < INTERVAL_MS) return;
    this.last = now;
    this.shown = true;
    const shown = visible(text);
    const room = Math.max(20, (this.out.columns ?? 80) - 1);
    this.out.write(`\r\x1b[2K${shown.length > room ? `${shown.slice(0, room - 1)}…` : shown}`);
  }

  clear(): void {
    if (!this.shown) return;
    this.shown = false;
    this.out.write("\r\x1b[2K");
  }
}
