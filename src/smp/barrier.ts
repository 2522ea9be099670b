/**
 * The barrier between iterations of a stress run. The last CPU to arrive does what must be done alone
 * (end-of-run checks, reset of memory) and then releases the others: a sense-reversing barrier on a
 * generation count (Mellor-Crummey and Scott, TOCS 1991, 3.1) whose waiters sleep. After waking, CPUs meet
 * once more by spinning, so that threads of a few microseconds overlap instead of running one after the other
 * as the operating system wakes them.
 */

import {
  ARRIVED,
  cpuBase,
  GENERATION,
  PHASE,
  PHASE_FINISHED,
  PHASE_RUNNING,
  READY,
  STOP,
  STOP_NO,
} from "./control.ts";

/**
 * Waits for all CPUs; `alone` runs on the last one before the rest go on. Gives false if the run has been
 * stopped. `spins`: looks before sleeping; 0 where CPUs outnumber cores, and then nobody meets by spinning
 * either.
 */
export function barrier(
  ctl: Int32Array,
  cpu: number,
  nrCpus: number,
  spins: number,
  alone: () => void,
): boolean {
  const phase = cpuBase(cpu) + PHASE;
  const generation = Atomics.load(ctl, GENERATION);
  Atomics.store(ctl, phase, PHASE_FINISHED);
  if (Atomics.add(ctl, ARRIVED, 1) + 1 === nrCpus) {
    Atomics.store(ctl, phase, PHASE_RUNNING);
    Atomics.store(ctl, ARRIVED, 0);
    Atomics.store(ctl, READY, 0);
    alone();
    // Who sleeps still has not finished what begins now: without this the watchdog could take the last CPU's
    // first wait for a deadlock, with everybody else "finished".
    for (let t = 0; t < nrCpus; t++) Atomics.store(ctl, cpuBase(t) + PHASE, PHASE_RUNNING);
    Atomics.add(ctl, GENERATION, 1);
    Atomics.notify(ctl, GENERATION);
  } else {
    for (let i = 0; i < spins && Atomics.load(ctl, GENERATION) === generation; i++);
    while (Atomics.load(ctl, GENERATION) === generation && Atomics.load(ctl, STOP) === STOP_NO)
      Atomics.wait(ctl, GENERATION, generation, 50);
  }
  if (Atomics.load(ctl, STOP) !== STOP_NO) return false;
  Atomics.add(ctl, READY, 1);
  // Bounded: a CPU that the operating system keeps waiting must not hold up the rest for long.
  for (let i = 0; i < spins * 8 && Atomics.load(ctl, READY) < nrCpus; i++);
  return true;
}
