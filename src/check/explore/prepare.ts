/**
 * What a search needs of a program and what does not change during it: compiled step functions, what each
 * thread may touch (footprint.ts), which threads are alike. Made once, if a program is explored under several
 * models.
 */

import { compileThread } from "../../lang/emit.ts";
import type { Program, ThreadIr } from "../../lang/ir.ts";
import { computeFootprints, type Footprints } from "./footprint.ts";
import { handlerGroups, hasTargetedIpis, withCpuParameter } from "./handlers.ts";
import { Machine } from "./machine.ts";
import { type Capacity, CapacityError, type Model, type Parts } from "./state.ts";

/**
 * Under SC a process is a CPU, under TSO a CPU or its buffer, and sets of processes are the bits of a word.
 */
const MAX_THREADS = { sc: 30, tso: 15 } as const;

/** Everything about a program that a search needs and that does not change during it. */
export interface Prepared extends Parts {
  readonly footprints: Footprints;
  /** Lowest thread with the same code. */
  readonly groupOf: readonly number[];
}

const preparedCache = new WeakMap<Program, Map<boolean, Prepared>>();

/**
 * Compiles and analyses a program; once, if it is explored under several models. `look` is called again and
 * again while it lasts; it throws to end it.
 */
export function prepare(program: Program, symmetry: boolean, look: () => void = () => {}): Prepared {
  let known = preparedCache.get(program);
  if (known === undefined) {
    known = new Map();
    preparedCache.set(program, known);
  }
  const prepared = known.get(symmetry) ?? prepareAnew(program, symmetry, look);
  known.set(symmetry, prepared);
  return prepared;
}

function prepareAnew(original: Program, symmetry: boolean, look: () => void): Prepared {
  const program = {
    ...original,
    handlers: Object.fromEntries(
      Object.entries(original.handlers).map(([name, ir]) => [name, withCpuParameter(ir)]),
    ),
  };
  const groups = handlerGroups(program);
  // Whom an interrupt hits is decided by the number of its CPU.
  const numbered = groups.some((g) => g.level > 0) || hasTargetedIpis(program);
  const groupOf = symmetry && !numbered ? symmetricGroups(program.threads) : program.threads.map((_, i) => i);
  const compiled = program.threads.map((t) => {
    look();
    return compileThread(t);
  });
  const codes = compiled.map((c, i) => (groupOf[i] === i ? c : compiled[groupOf[i]]));
  const end = program.finally === null ? null : compileThread(program.finally);
  return { program, codes, groups, end, footprints: computeFootprints(program, groups, look), groupOf };
}

/** Room for most programs; one that needs more is explored again, from the start, with more. */
export const FIRST_CAPACITY: Capacity = { instances: 1, buffer: 12 };
const MAX_INSTANCES = 8;
/** No store buffer in hardware has more entries. */
const MAX_BUFFER = 96;

/** More of what was short; null if there is no more. */
export function moreCapacity(c: Capacity, what: CapacityError["what"]): Capacity | null {
  if (what === "handlers") return c.instances < MAX_INSTANCES ? { ...c, instances: c.instances + 1 } : null;
  return what === "buffer" && c.buffer < MAX_BUFFER ? { ...c, buffer: c.buffer * 2 } : null;
}

export function newMachine(p: Prepared, capacity: Capacity, model: Model): Machine {
  const m = new Machine(p, capacity, model, p.footprints.locOfAddr);
  if (m.total > MAX_THREADS[model])
    throw new CapacityError(
      "handlers",
      `${m.total} threads are more than the ${MAX_THREADS[model]} that ${model} has room for`,
    );
  return m;
}

const IDENTIFYING: ReadonlySet<string> = new Set([
  "cpu",
  "spin_lock",
  "spin_trylock",
  "spin_unlock",
  "synchronize_rcu",
  "smp_call_function",
  "call_rcu",
  "queue",
  "spawn",
]);

/** Threads whose code is the same to the letter and cannot tell which CPU it is on. */
export function symmetricGroups(threads: readonly ThreadIr[]): number[] {
  const seen = new Map<string, number>();
  return threads.map((t, i) => {
    const ops = t.blocks.flatMap((b) => b.instrs.map((x) => x.op));
    // These leave a trace of who the thread is: its number, or a bit that others hold for it.
    if (ops.some((op) => IDENTIFYING.has(op))) return i;
    const key = JSON.stringify([t.nregs, t.arrays, t.params, t.blocks]);
    const first = seen.get(key);
    if (first !== undefined) return first;
    seen.set(key, i);
    return i;
  });
}
