/**
 * The fields of preempt_count() (include/linux/preempt.h, Linux 7.3): how often preemption and softirqs are
 * disabled, and what interrupts what. A thread may sleep where the whole word is 0, interrupts are on and it
 * is in no section of RCU.
 *
 * Custom: no NMI field, and what CONFIG_PREEMPT_RT makes of spinlocks is not modelled.
 */

export const PREEMPT_OFFSET = 1;
export const SOFTIRQ_OFFSET = 1 << 8;
/** What local_bh_disable() adds: bit 8 alone says that a softirq runs. */
export const SOFTIRQ_DISABLE_OFFSET = 2 * SOFTIRQ_OFFSET;
export const HARDIRQ_OFFSET = 1 << 16;

const PREEMPT_MASK = 0xff;
export const SOFTIRQ_MASK = 0xff << 8;
const HARDIRQ_MASK = 0xf << 16;
/**
 * All of preempt_count() in the word that the `context` operation gives; above it interrupts off, then RCU
 * nesting.
 */
export const COUNT_MASK = 0xffffff;
export const CONTEXT_IRQS_OFF = 24;
export const CONTEXT_RCU = 25;

/** The count after `n` was added; -1 if one of its fields went below 0 or above what it holds. */
export function preemptCountAfter(count: number, n: number): number {
  const next = (count + n) | 0;
  if (next < 0 || next > COUNT_MASK) return -1;
  // A field that borrows from the next one: subtracting what its own bits do not have.
  const borrows = (mask: number): boolean => n < 0 && (-n & mask) > (count & mask);
  return borrows(PREEMPT_MASK) || borrows(SOFTIRQ_MASK) || borrows(HARDIRQ_MASK) ? -1 : next;
}
