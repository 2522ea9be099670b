/**
 * The thread that runs alone when every other has finished: end-of-run checks. From each final state it is
 * run once for each way to take its choices; it is interleaved with nobody, so its steps are no states.
 */

import type { Machine } from "./machine.ts";
import { K } from "./operations.ts";

/** A step of the end-of-run thread; `drain` empties its store buffer by one entry. */
export interface LastStep {
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
  const t = m.last;
  let ok = m.startLast();
  let choices = 0;
  const act = (drain: boolean, choice: number): boolean => {
    if (log.length < KEPT_STEPS) log.push({ drain, choice });
    return drain ? m.drain(t) : m.step(t, choice);
  };
  for (let steps = 0; ok && !m.finished(t); steps++) {
    if (m.threads[t].kind[m.s[m.frame[t]]] === K.choose) {
      if (choices === taken.length) {
        taken.push(0);
        sizes.push(Math.max(1, m.nextA(t)));
      }
      ok = act(false, taken[choices++]);
    } else if (m.enabled(t)) ok = act(false, 0);
    else if (m.bufferLength(t) > 0) ok = act(true, 0);
    else
      ok = m.fail("deadlock", "the end-of-run check waits for something that nobody will do", m.nextAddr(t));
    if (ok && steps > MAX_STEPS) ok = m.fail("endless-local-loop", "the end-of-run check does not end");
  }
  return ok;
}
