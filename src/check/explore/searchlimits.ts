/** What ends a search before it is complete: states, bytes, time, or whoever watches its progress. */

import type { ExploreProgress } from "./result.ts";

const DEFAULT_STATES = 50_000_000;
const DEFAULT_BYTES = 2 ** 32;
const PROGRESS_MS = 100;

export interface SearchLimitOptions {
  readonly maxStates?: number;
  readonly maxBytes?: number;
  readonly maxSeconds?: number;
  readonly onProgress?: (p: ExploreProgress) => boolean;
}

/** A search is to end before it has begun: what it needs of the program took too long. `message` says why. */
export class Stopped extends Error {}

export class SearchLimits {
  private readonly states: number;
  private readonly bytes: number;
  private readonly ms: number;
  private readonly onProgress: ((p: ExploreProgress) => boolean) | undefined;
  private readonly started: number;
  private lastProgress: number;

  /** `started`: by performance.now(). */
  constructor(options: SearchLimitOptions, started: number) {
    this.states = options.maxStates ?? DEFAULT_STATES;
    this.bytes = options.maxBytes ?? DEFAULT_BYTES;
    this.ms = (options.maxSeconds ?? Number.POSITIVE_INFINITY) * 1000;
    this.onProgress = options.onProgress;
    this.started = started;
    this.lastProgress = started;
  }

  /** For what is done before the search, as often as may be. @throws Stopped */
  readonly look = (): void => {
    const why = this.reached(0, 0, 0, 0);
    if (why !== null) throw new Stopped(why);
  };

  /** Why the search, which has come so far, is to end; null if it may go on. Tells of progress, at times. */
  reached(states: number, bytes: number, transitions: number, depth: number): string | null {
    if (states > this.states) return `more than ${this.states} states`;
    if (bytes > this.bytes) return `more than ${this.bytes} bytes of states`;
    const now = performance.now();
    if (now - this.started > this.ms) return `more than ${this.ms / 1000} s`;
    if (this.onProgress === undefined || now - this.lastProgress <= PROGRESS_MS) return null;
    this.lastProgress = now;
    const seconds = (now - this.started) / 1000;
    return this.onProgress({ states, transitions, depth, bytes, seconds }) ? null : "interrupted";
  }
}
