/**
 * What an enumeration adds up: accepted executions for and against the condition, the distinct observed
 * states, flags, a witness of either kind. When to stop early is decided here too: at a limit, or at the
 * execution looked for.
 */
import type { Candidate, Com } from "./candidate.ts";
import { EnumerateError } from "./path.ts";
import { type Factor, StateSet } from "./states.ts";

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

export interface Limits {
  /** Model evaluations after which to give up. */
  readonly maxSteps: number;
  /** performance.now() after which to give up. */
  readonly deadline: number;
}

/** Thrown when the execution that was looked for has been found; see `Tally.stopAt`. */
export class Found extends Error {}

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
  /**
   * Stop at the first execution for or against the condition: reachability only, as herd7's -speedcheck fast.
   */
  stopAt: "positive" | "negative" | null = null;
  /** Told of each execution; true ends the search. */
  onExecution: ((x: Witness, holds: boolean) => boolean) | null = null;
  /**
   * Holds of executions that need not be looked at: the filter fails, or they are not of the kind to stop at.
   */
  unwanted: Predicate | null = null;
  readonly states: StateSet;
  #pieces = 0;

  constructor(
    slots: readonly Slot[],
    condition: Predicate,
    filter: Predicate,
    initial: (loc: number) => number,
    limits: Limits,
    stateWidth = slots.length,
  ) {
    this.states = new StateSet(stateWidth);
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

  /** Looks at the clock now and then, for small pieces of work. */
  checkOften(): void {
    if ((++this.#pieces & 255) === 0) this.checkTime();
  }

  checkTime(): void {
    if (performance.now() > this.limits.deadline) throw new EnumerateError("gave-up", "out of time");
  }

  addExecution(holds: boolean, values: readonly number[], candidate: Candidate, com: Com): void {
    if (holds) this.positive++;
    else this.negative++;
    this.states.add(values);
    if (this.keepWitness) {
      if (holds && this.witness === null) this.witness = { candidate, com: copyCom(com) };
      if (!holds && this.counterWitness === null) this.counterWitness = { candidate, com: copyCom(com) };
    }
    if (this.onExecution?.({ candidate, com }, holds) === true) throw new Found();
    this.#maybeStop(holds);
  }

  /** Whether an execution for (or against) the condition is to be kept and none has been seen. */
  wanted(holds: boolean): boolean {
    if (this.onExecution !== null) return true;
    return this.keepWitness && (holds ? this.witness : this.counterWitness) === null;
  }

  /** `count` executions that agree on the condition and whose states are the product of the factors. */
  addBox(count: number, holds: boolean, values: readonly number[], factors: readonly Factor[]): void {
    if (holds) this.positive += count;
    else this.negative += count;
    this.states.addBox(values, factors);
    this.#maybeStop(holds);
  }

  #maybeStop(holds: boolean): void {
    if (this.stopAt === (holds ? "positive" : "negative")) throw new Found();
  }
}

function copyCom(com: Com): Com {
  return { src: com.src.slice(), rf: com.rf.slice(), co: com.co.slice(), fr: com.fr.slice() };
}
