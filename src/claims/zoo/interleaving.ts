/**
 * The interleaving of a counterexample beside the one that was described: the accesses that make the bug, in
 * their order, and how often the CPUs take turns. A counterexample that ends in the same error without those
 * accesses is another bug's.
 */

import type { Trace, TraceCpu } from "../../check/trace/schema.ts";
import { callStack } from "../../check/trace/text.ts";
import { describeAddress } from "../../machine/image.ts";

/** One access of the description. */
export interface ZooAccess {
  /** The thread that does it; without its number where several are alike. */
  readonly thread: string;
  /** The function that it is made in: anywhere on the stack. */
  readonly fn: string;
  /** Named location, or object; a block that is allocated or freed is named by its first word. */
  readonly at: string;
}

export const access = (thread: string, fn: string, at: string): ZooAccess => ({ thread, fn, at });

/** Whether `name` is that thread, or one of those that are alike: `split` is split1 and split2. */
export const isThread = (name: string, wanted: string): boolean =>
  name === wanted || name.replace(/\d+$/, "") === wanted;

/** Whether the location is that one, or lies in that object: `page[1]` is all of its fields. */
export const isLocation = (name: string, wanted: string): boolean =>
  name === wanted || name.startsWith(`${wanted}.`);

/** Threads in the order in which they take turns; callbacks and the check at the end are no CPU's turn. */
export function turnsOf(trace: Trace): string[] {
  const turns: string[] = [];
  for (const s of trace.steps) {
    const { name, kind } = trace.threads[s.thread];
    // A store that drains does so beside what its CPU executes.
    if (kind === "cpu" && s.action !== "drain" && turns.at(-1) !== name) turns.push(name);
  }
  return turns;
}

function endStates(trace: Trace): readonly TraceCpu[] {
  const last = [...trace.start];
  for (const s of trace.steps) for (const [t, cpu] of s.cpus) last[t] = cpu;
  return last;
}

/**
 * Where in the counterexample the accesses are made, in order: indices into its steps, or the number of its
 * steps for what a thread waits to do at the end.
 * @returns null if one of them is not made, or not after those before it
 */
export function stepsOf(trace: Trace, accesses: readonly ZooAccess[]): readonly number[] | null {
  const made = (thread: number, at: number, location: string, a: ZooAccess): boolean =>
    isThread(trace.threads[thread].name, a.thread) &&
    isLocation(location, a.at) &&
    callStack(trace, at).some((p) => trace.positions[p].fn === a.fn);
  const blocked = endStates(trace);
  const waits = (a: ZooAccess): boolean =>
    blocked.some(
      (cpu, t) =>
        cpu.state === "blocked" && made(t, cpu.at, describeAddress(trace.memory.symbols, cpu.addr), a),
    );
  const is = (n: number, a: ZooAccess): boolean => {
    const s = trace.steps[n];
    return s.action === "op" && made(s.thread, s.at, s.location, a);
  };
  // From the end: the last access is the last of its kind, each other one the last that precedes the next.
  const out: number[] = [];
  let n = trace.steps.length;
  for (const a of [...accesses].reverse()) {
    if (out.length > 0 || !waits(a)) {
      n--;
      while (n >= 0 && !is(n, a)) n--;
      if (n < 0) return null;
    }
    out.push(n);
  }
  return out.reverse();
}
