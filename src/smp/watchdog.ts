/**
 * Looks at the control words of a run from outside: is every CPU that has not finished in a wait that nothing
 * can end? A look counts only if no CPU began or ended a wait while it was taken, so that what it saw was
 * true at one moment; then the deadlock is certain, however slow the machine. Everything else that stands
 * still (an endless loop, a livelock) is found by time alone, and called by that name. The dump says who
 * waits for whom.
 */

import type { MemSymbol } from "../machine/image.ts";
import { describeAddress } from "../machine/image.ts";
import {
  CALLBACK_EPOCH,
  CALLBACK_MAY_RUN,
  CALLBACKS,
  cpuBase,
  EPISODE,
  getWhy,
  IRQ,
  ON_BEHALF,
  PHASE,
  PHASE_FINISHED,
  PHASE_WAITING,
  quiescentSince,
  RCU,
  WAIT_GRACE_PERIOD,
  WAIT_HANDLER,
  WAIT_IPI,
  WAIT_KIND,
  WAIT_ON,
  WAIT_SEEN,
  WAIT_WORD,
} from "./control.ts";

/** What the watchdog sees of a run. */
export interface Watched {
  readonly ctl: Int32Array;
  readonly words: Int32Array;
  readonly symbols: readonly MemSymbol[];
  /** Name of the thread on each CPU. */
  readonly threads: readonly string[];
  readonly irqOffIsReader: boolean;
}

function at(w: Watched, cpu: number, word: number): number {
  return Atomics.load(w.ctl, cpuBase(cpu) + word);
}

function gracePeriodOver(w: Watched, epoch: number): boolean {
  return w.threads.every((_, t) => quiescentSince(w.ctl, t, epoch, w.irqOffIsReader));
}

/** Whether a waiting CPU could go on by itself now. */
function canGoOn(w: Watched, cpu: number): boolean {
  if (
    at(w, cpu, CALLBACKS) > 0 &&
    at(w, cpu, CALLBACK_MAY_RUN) !== 0 &&
    gracePeriodOver(w, at(w, cpu, CALLBACK_EPOCH))
  )
    return true;
  const on = at(w, cpu, WAIT_ON);
  const seen = at(w, cpu, WAIT_SEEN);
  switch (at(w, cpu, WAIT_KIND)) {
    case WAIT_WORD:
      return Atomics.load(w.words, on) !== seen;
    case WAIT_GRACE_PERIOD:
      return quiescentSince(w.ctl, on, seen, w.irqOffIsReader);
    case WAIT_HANDLER:
      return at(w, cpu, IRQ) === 0;
    case WAIT_IPI:
      return at(w, on, IRQ) === 0;
    default:
      return true;
  }
}

/**
 * True only if no CPU can ever go on, and at least one wants to. First that nobody runs, then what each waits
 * for, then that nobody ran meanwhile: a CPU that still ran when another's wait was judged may have ended
 * that wait before it finished.
 */
export function isDeadlocked(w: Watched): boolean {
  const episodes = w.threads.map((_, cpu) => at(w, cpu, EPISODE));
  const stands = (cpu: number): boolean => {
    const phase = at(w, cpu, PHASE);
    return phase === PHASE_WAITING || phase === PHASE_FINISHED;
  };
  if (!w.threads.every((_, cpu) => stands(cpu))) return false;
  let waiting = 0;
  for (let cpu = 0; cpu < w.threads.length; cpu++) {
    if (at(w, cpu, PHASE) === PHASE_FINISHED) continue;
    if (canGoOn(w, cpu)) return false;
    waiting++;
  }
  // A new iteration, which a finished CPU could have begun, needs those who wait to have ended their waits.
  return waiting > 0 && w.threads.every((_, cpu) => at(w, cpu, EPISODE) === episodes[cpu] && stands(cpu));
}

/** One line per CPU: what it does, and whom it waits for. */
export function whoWaitsForWhom(w: Watched): string[] {
  const name = (cpu: number): string => `CPU ${cpu} (${w.threads[cpu] ?? "?"})`;
  return w.threads.map((_, cpu) => {
    const state: string[] = [];
    const irq = at(w, cpu, IRQ);
    if ((irq & 1) !== 0) state.push("interrupts off");
    if (at(w, cpu, RCU) !== 0) state.push("in rcu_read_lock()");
    const callbacks = at(w, cpu, CALLBACKS);
    if (callbacks > 0) state.push(`${callbacks} call_rcu() callback${callbacks > 1 ? "s" : ""} pending`);
    const behalf = at(w, cpu, ON_BEHALF);
    if (behalf > 0) state.push(`runs an interrupt handler for CPU ${behalf - 1}`);
    const suffix = state.length > 0 ? ` [${state.join(", ")}]` : "";
    const phase = at(w, cpu, PHASE);
    if (phase === PHASE_FINISHED) return `${name(cpu)} has finished${suffix}`;
    if (phase !== PHASE_WAITING) return `${name(cpu)} runs${suffix}`;
    const on = at(w, cpu, WAIT_ON);
    const seen = at(w, cpu, WAIT_SEEN);
    const why = getWhy(w.ctl, cpu);
    switch (at(w, cpu, WAIT_KIND)) {
      case WAIT_WORD: {
        const held = why === "waits for the lock" && seen > 0 && seen <= w.threads.length;
        const where = describeAddress(w.symbols, on);
        return held
          ? `${name(cpu)} waits for the lock ${where}, held by ${name(seen - 1)}${suffix}`
          : `${name(cpu)} at ${where}, which is ${seen}: ${why}${suffix}`;
      }
      case WAIT_GRACE_PERIOD:
        return `${name(cpu)}: ${why}: ${name(on)}${suffix}`;
      case WAIT_HANDLER:
        return `${name(cpu)} ${why} that ${name(on)} runs for it${suffix}`;
      case WAIT_IPI:
        return `${name(cpu)} ${why} by ${name(on)}${suffix}`;
      default:
        return `${name(cpu)} waits${suffix}`;
    }
  });
}
