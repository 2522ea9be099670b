/**
 * The words that CPUs of a real-thread run share besides kernel memory: interrupts-off, RCU reader state, who
 * waits for what, and the barrier between iterations. They live in a SharedArrayBuffer of their own, so that
 * kernel code can neither see nor break them and a reset of kernel memory leaves them alone. This file is the
 * layout only.
 *
 * ```
 *  word 0          64            64+64        64+2*64
 *  | run-wide      | CPU 0       | CPU 1      | ...    each CPU has CPU_WORDS words: two cache lines
 * ```
 *
 * Interrupt word of a CPU (IRQ):
 * ```
 *   0                     interrupts on
 *   epoch << 1 | 1        interrupts off since that RCU epoch: also the CPU's state as an RCU reader
 *   (sender + 1) << 1     taken by an IPI: CPU `sender` runs a handler on this CPU's behalf
 * ```
 * RCU word of a CPU (RCU): 0 outside read-side sections, else the epoch at which the outermost one began.
 */

// Run-wide words.
/** Start of the next iteration: a count; CPUs sleep on it. */
export const GENERATION = 0;
/** CPUs that reached the end of the iteration. */
export const ARRIVED = 1;
/**
 * CPUs that woke for the next iteration, so that all of them start within a microsecond where cores allow.
 */
export const READY = 2;
/** 0, or why everybody stops: a STOP_ value. */
export const STOP = 3;
/** The RCU epoch; a grace period begins by adding 1. */
export const EPOCH = 4;
/** CPUs asleep on a word of kernel memory: without any, wakeWord() need not call the operating system. */
export const MEM_WAITERS = 5;
/** Iterations finished, modulo 2^32. */
export const ITERATIONS = 6;
/** Never changes: what a delay sleeps on. */
export const NEVER = 7;
/** 1: end the run after the iteration under way. */
export const FINISH = 8;
const RUN_WORDS = 64;

export const STOP_NO = 0;
/** The time or iteration bound. */
export const STOP_DONE = 1;
/** A CPU raised a bug, or the watchdog found one. */
export const STOP_BUG = 2;
/** The user asked. */
export const STOP_ABORT = 3;

// Words of a CPU.
export const IRQ = 0;
export const RCU = 1;
/** CPUs asleep on IRQ or RCU of this CPU. */
export const STATE_WAITERS = 2;
/** A PHASE_ value. */
export const PHASE = 3;
/**
 * Counts waits begun and ended: unchanged between two looks means that the CPU was in one wait all the time.
 */
export const EPISODE = 4;
/** A WAIT_ value, and what the wait is for; valid while PHASE is PHASE_WAITING. */
export const WAIT_KIND = 5;
/** WAIT_WORD: the address. WAIT_GRACE_PERIOD, WAIT_IPI: the CPU that is waited for. */
export const WAIT_ON = 6;
/** WAIT_WORD: the value that is not as awaited. WAIT_GRACE_PERIOD: the epoch to get past. */
export const WAIT_SEEN = 7;
/**
 * call_rcu() callbacks pending on this CPU, the epoch that the first of them waits for, and whether it may
 * run now.
 */
export const CALLBACKS = 8;
export const CALLBACK_EPOCH = 9;
export const CALLBACK_MAY_RUN = 10;
/** 1 + the CPU on whose behalf this one runs an interrupt handler; 0: none. */
export const ON_BEHALF = 11;
/** RCU read-side nesting, for the dump. */
export const READERS = 12;
/** Its preempt_count(), as far as it is disabled by hand. */
export const COUNT = 13;
/** Length in characters and ASCII text (4 to a word) of why it waits. */
const WHY_LENGTH = 15;
const WHY = 16;
const WHY_CHARS = 128;
const CPU_WORDS = 64;

export const PHASE_RUNNING = 0;
export const PHASE_WAITING = 1;
/** Done with its thread of this iteration. */
export const PHASE_FINISHED = 2;

export const WAIT_WORD = 1;
export const WAIT_GRACE_PERIOD = 2;
/** For the sender of an IPI that holds this CPU's interrupt word. */
export const WAIT_HANDLER = 3;
/** For a CPU to turn interrupts on, so that it takes an IPI. */
export const WAIT_IPI = 4;

/** At most this many CPUs: pending sets are 32-bit masks. */
export const MAX_CPUS = 31;

export function cpuBase(cpu: number): number {
  return RUN_WORDS + cpu * CPU_WORDS;
}

export function newControl(cpus: number): Int32Array {
  const ctl = new Int32Array(new SharedArrayBuffer((RUN_WORDS + cpus * CPU_WORDS) * 4));
  ctl[EPOCH] = 1;
  return ctl;
}

/** True if CPU `cpu` is in no read-side or irq-off section that began before epoch `epoch`. */
export function quiescentSince(
  ctl: Int32Array,
  cpu: number,
  epoch: number,
  irqOffIsReader: boolean,
): boolean {
  const base = cpuBase(cpu);
  const rcu = Atomics.load(ctl, base + RCU);
  if (rcu !== 0 && rcu < epoch) return false;
  const irq = Atomics.load(ctl, base + IRQ);
  return !(irqOffIsReader && (irq & 1) !== 0 && irq >> 1 < epoch);
}

export function setWhy(ctl: Int32Array, cpu: number, why: string): void {
  const base = cpuBase(cpu);
  const n = Math.min(why.length, WHY_CHARS);
  for (let i = 0; i < n; i += 4) {
    let w = 0;
    for (let j = 0; j < 4 && i + j < n; j++) w |= (why.charCodeAt(i + j) & 0xff) << (8 * j);
    ctl[base + WHY + i / 4] = w;
  }
  ctl[base + WHY_LENGTH] = n;
}

export function getWhy(ctl: Int32Array, cpu: number): string {
  const base = cpuBase(cpu);
  let s = "";
  for (let i = 0; i < ctl[base + WHY_LENGTH]; i++)
    s += String.fromCharCode((ctl[base + WHY + (i >> 2)] >> (8 * (i & 3))) & 0xff);
  return s;
}
