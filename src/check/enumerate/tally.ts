/**
 * What an enumeration adds up: accepted executions for and against the condition, the distinct observed states, flags,
 * a witness of either kind. States of a subtree that was counted as a product are kept as boxes (fixed values and
 * independent factors) and only multiplied out when someone asks, and only if that is not too many.
 */
import type { Candidate, Com } from "./candidate.ts";
import { EnumerateError } from "./path.ts";

/** Something whose final value is observed. */
export type Slot =
  | { readonly k: "reg"; readonly thread: number; readonly reg: number }
  | { readonly k: "loc"; readonly loc: number };

/** 1 holds, 0 does not, -1 undecided; values that are not known yet are NaN. */
export type Predicate = (values: readonly number[]) => 1 | 0 | -1;

export interface Witness {
  readonly candidate: Candidate;
  readonly com: Com;
}

interface Factor {
  readonly slots: readonly number[];
  readonly tuples: readonly (readonly number[])[];
}

interface Box {
  readonly values: readonly number[];
  readonly factors: readonly Factor[];
  readonly size: number;
}

export interface Limits {
  /** Model evaluations after which to give up. */
  readonly maxSteps: number;
  /** performance.now() after which to give up. */
  readonly deadline: number;
}

/** Thrown when the execution that was looked for has been found; see `Tally.stopAt`. */
export class Found extends Error {}

/** States beyond which they are counted, not listed. */
export const MAX_LISTED_STATES = 1_000_000;

export class Tally {
  readonly slots: readonly Slot[];
  readonly condition: Predicate;
  readonly filter: Predicate;
  readonly initial: (loc: number) => number;
  readonly limits: Limits;
  /** Source position of a PosId of a thread, for messages. */
  place: (thread: number, pos: number) => string = () => "";
  readonly flags = new Set<string>();
  positive = 0;
  negative = 0;
  steps = 0;
  pruned = 0;
  witness: Witness | null = null;
  counterWitness: Witness | null = null;
  /** Keeps the first execution of either kind if set. */
  keepWitness = false;
  /** Stop at the first execution for or against the condition: reachability only, as herd7's -speedcheck fast. */
  stopAt: "positive" | "negative" | null = null;
  /** Holds of executions that need not be looked at: the filter fails, or they are not of the kind to stop at. */
  unwanted: Predicate | null = null;
  readonly #states = new Map<string, readonly number[]>();
  readonly #boxes: Box[] = [];
  #spread = false;

  constructor(
    slots: readonly Slot[],
    condition: Predicate,
    filter: Predicate,
    initial: (loc: number) => number,
    limits: Limits,
  ) {
    this.slots = slots;
    this.condition = condition;
    this.filter = filter;
    this.initial = initial;
    this.limits = limits;
  }

  /** A race has been found: executions need not be judged one by one any more. */
  get flagged(): boolean {
    return this.flags.has("data-race");
  }

  step(): void {
    if (++this.steps > this.limits.maxSteps)
      throw new EnumerateError("gave-up", `more than ${this.limits.maxSteps} steps`);
    if ((this.steps & 1023) === 0) this.checkTime();
  }

  checkTime(): void {
    if (performance.now() > this.limits.deadline) throw new EnumerateError("gave-up", "out of time");
  }

  addExecution(holds: boolean, values: readonly number[], candidate: Candidate, com: Com): void {
    if (holds) this.positive++;
    else this.negative++;
    const key = values.length === 1 ? String(values[0]) : values.join(",");
    if (!this.#states.has(key)) this.#states.set(key, values.slice());
    if (this.keepWitness) {
      if (holds && this.witness === null) this.witness = { candidate, com: copyCom(com) };
      if (!holds && this.counterWitness === null) this.counterWitness = { candidate, com: copyCom(com) };
    }
    this.#maybeStop(holds);
  }

  /** Whether an execution for (or against) the condition is to be kept and none has been seen. */
  wanted(holds: boolean): boolean {
    return this.keepWitness && (holds ? this.witness : this.counterWitness) === null;
  }

  /** `count` executions that agree on the condition and whose states are the product of the factors. */
  addBox(count: number, holds: boolean, values: readonly number[], factors: readonly Factor[]): void {
    if (holds) this.positive += count;
    else this.negative += count;
    const size = factors.reduce((n, f) => n * f.tuples.length, 1);
    if (size > 1) this.#boxes.push({ values: values.slice(), factors: factors.slice(), size });
    else {
      const one = values.slice();
      for (const f of factors) {
        f.slots.forEach((s, i) => {
          one[s] = f.tuples[0][i];
        });
      }
      this.#states.set(one.join(","), one);
    }
    this.#maybeStop(holds);
  }

  #maybeStop(holds: boolean): void {
    if (this.stopAt === (holds ? "positive" : "negative")) throw new Found();
  }

  /** Number of distinct states; NaN if there are too many to tell. */
  get stateCount(): number {
    const total = this.#boxes.reduce((n, b) => n + b.size, this.#states.size);
    if (total <= 4096 || this.#boxes.length === 0) return this.states()?.length ?? Number.NaN;
    if (this.#disjoint()) return total;
    return this.states()?.length ?? Number.NaN;
  }

  /** The distinct states, or null if there are more than MAX_LISTED_STATES. */
  states(): (readonly number[])[] | null {
    const total = this.#boxes.reduce((n, b) => n + b.size, this.#states.size);
    if (total > MAX_LISTED_STATES) return null;
    if (!this.#spread) {
      this.#spread = true;
      for (const b of this.#boxes) this.#expand(b, 0, b.values.slice());
    }
    return [...this.#states.values()];
  }

  #expand(b: Box, k: number, values: number[]): void {
    const f = b.factors[k];
    if (f === undefined) {
      const key = values.length === 1 ? String(values[0]) : values.join(",");
      if (!this.#states.has(key)) this.#states.set(key, values.slice());
      return;
    }
    for (const tuple of f.tuples) {
      f.slots.forEach((s, i) => {
        values[s] = tuple[i];
      });
      this.#expand(b, k + 1, values);
    }
  }

  /** Whether no state lies in two boxes, or in a box and the list, as far as single slots can tell. */
  #disjoint(): boolean {
    const all: Box[] = [...this.#boxes];
    for (const v of this.#states.values()) all.push({ values: v, factors: [], size: 1 });
    if (all.length > 2000) return false;
    const sets = all.map((b) => {
      const per = b.values.map((v) => new Set([v]));
      for (const f of b.factors) {
        f.slots.forEach((s, i) => {
          per[s] = new Set(f.tuples.map((t) => t[i]));
        });
      }
      return per;
    });
    for (let i = 0; i < all.length; i++) {
      for (let j = 0; j < i; j++) {
        const apart = sets[i].some((s, k) => [...s].every((v) => !sets[j][k].has(v)));
        if (!apart) return false;
      }
    }
    return true;
  }
}

function copyCom(com: Com): Com {
  return { src: com.src.slice(), rf: com.rf.slice(), co: com.co.slice(), fr: com.fr.slice() };
}
