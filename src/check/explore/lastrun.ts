/**
 * The thread that runs alone when every other has finished: end-of-run checks. From each final state it is
 * run once for each way to take its choices; it is interleaved with nobody, so its steps are no states.
 * Handlers that it queues run where it would have to wait, and at its end.
 */

import type { Machine } from "./machine.ts";
import { K } from "./operations.ts";

/** A step of the end-of-run thread, or of what it queued; `drain` empties its store buffer by one entry. */
export interface LastStep {
  readonly thread: number;
  readonly drain: boolean;
  readonly choice: number;
}

/** Steps that are kept at most, and taken at most. */
const KEPT_STEPS = 2000;
const MAX_STEPS = 1_000_000;

/**
 * Runs it from the final state of the machine, which is left as it is. False: an error, which is the
 * machine's.
 */
export function runLast(m: Machine): boolean {
  return attempt(m, []);
}

/**
 * The steps by which runLast() comes to its first error; [] if it comes to none, or to one before any step.
 */
export function failingLastSteps(m: Machine): readonly LastStep[] {
  const log: LastStep[] = [];
  return attempt(m, log) ? [] : log;
}

function attempt(m: Machine, log: LastStep[]): boolean {
  if (m.last < 0) return true;
  const saved = m.s.slice();
  // The choices taken, and how many there were at each: counted up like an odometer.
  const taken: number[] = [];
  const sizes: number[] = [];
  for (;;) {
    log.length = 0;
    const ok = runOnce(m, taken, sizes, log);
    m.s.set(saved);
    if (!ok) return false;
    while (taken.length > 0 && taken[taken.length - 1] + 1 >= sizes[taken.length - 1]) {
      taken.pop();
      sizes.pop();
    }
    if (taken.length === 0) return true;
    taken[taken.length - 1]++;
  }
}

function runOnce(m: Machine, taken: number[], sizes: number[], log: LastStep[]): boolean {
  const last = m.last;
  let ok = m.startLast();
  let choices = 0;
  for (let steps = 0; ok; steps++) {
    const t = next(m);
    if (t < 0) {
      if (m.finished(last)) return m.isWellAtEnd();
      const addr = "addr" in m.threads[last].instrs[m.s[m.frame[last]]] ? m.nextAddr(last) : 0;
      return m.fail("deadlock", "the end-of-run check waits for something that nobody will do", addr);
    }
    const drain = !acts(m, t);
    let choice = 0;
    if (!drain && m.threads[t].kind[m.s[m.frame[t]]] === K.choose) {
      if (choices === taken.length) {
        taken.push(0);
        sizes.push(m.choices(t));
      }
      choice = taken[choices++];
    }
    if (log.length < KEPT_STEPS) log.push({ thread: t, drain, choice });
    ok = drain ? m.drain(t) : m.step(t, choice);
    if (ok && steps > MAX_STEPS) ok = m.fail("endless-local-loop", "the end-of-run check does not end");
  }
  return ok;
}

function acts(m: Machine, t: number): boolean {
  return (!m.finished(t) || m.queued(t)) && m.enabled(t);
}

/** Who goes next: the end-of-run thread, or, where that cannot, a buffer or a handler; -1: nobody. */
function next(m: Machine): number {
  if (acts(m, m.last) || m.bufferLength(m.last) > 0) return m.last;
  for (let t = m.ordinary; t < m.total; t++) if (acts(m, t) || m.bufferLength(t) > 0) return t;
  return -1;
}
