/**
 * From one stored state of a search to the next: takes a step, then every step that is the only one needed,
 * and stops where there is a choice, at the end, or at an error. Depth-first search (explore.ts) and the
 * search by several workers (check/parallel) are both made of it.
 *
 * In a search whose order is open, what is stored must depend on states alone. So a state one of whose chosen
 * steps may close a cycle is stored and expanded fully (rounds.ts), instead of one whose step has led back to
 * the search stack; and threads that are alike stand in the order of their frames.
 */

import type { FoundError } from "../errors.ts";
import type { Machine, StepError } from "./machine.ts";
import { Persistent } from "./persistent.ts";
import type { Prepared } from "./prepare.ts";
import { type Rounds, roundsOf } from "./rounds.ts";
import type { Step } from "./statetable.ts";

/**
 * Above this many steps without a choice the state is stored all the same, so that endless runs close a
 * cycle. Where the order is open they do so without.
 */
const CHAIN = 2048;

/**
 * Where `advance` stopped: at a state with a choice, at a final state, on an error, or where nothing more is
 * asked of this run: it reached a limit of the model, or somebody waits for what an assumption excludes.
 */
export const Outcome = { Choice: 0, Final: 1, Error: 2, Pruned: 3 } as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

export interface StepperOptions {
  readonly partialOrder: boolean;
  readonly merge: boolean;
  /** Whether states are met in no particular order. */
  readonly anyOrder: boolean;
  readonly symmetry: boolean;
  /** Whether a limit of the model, named by its message, counts as an error; default: none does. */
  readonly stopAtBound?: (message: string) => boolean;
}

export class Stepper {
  readonly m: Machine;
  transitions = 0;
  /** Steps enough from the state that `advance` stopped at, and all enabled ones. */
  chosen = 0;
  enabled = 0;
  /** What `advance` adds the steps to, if anything: of the threads that take them. */
  log: Step[] | null = null;
  failure: FoundError | null = null;
  /** Whether some step may close a cycle; only where the order is open. */
  readonly mayCycle: boolean;
  private readonly por: Persistent;
  private readonly options: StepperOptions;
  private readonly rounds: readonly Rounds[];
  private readonly saved: Int32Array;
  /** Groups of threads that are alike, and which of the program's threads stands at each place. */
  private readonly groups: readonly (readonly number[])[];
  private readonly places: Int32Array;

  constructor(prepared: Prepared, m: Machine, options: StepperOptions) {
    this.m = m;
    this.options = options;
    this.por = new Persistent(m, prepared.footprints);
    this.places = Int32Array.from({ length: m.total }, (_, t) => t);
    const rounds = options.anyOrder ? roundsOf(prepared) : new Map<object, Rounds>();
    this.rounds = m.threads.map(({ code }) => rounds.get(code) ?? { kind: new Uint8Array(0), back: [] });
    this.mayCycle = this.rounds.some(({ kind }) => kind.some((k) => k !== 0));
    this.saved = new Int32Array(options.anyOrder ? m.s.length : 0);
    const groups = new Map<number, number[]>();
    if (options.anyOrder && options.symmetry)
      for (const [t, g] of prepared.groupOf.entries()) groups.set(g, [...(groups.get(g) ?? []), t]);
    this.groups = [...groups.values()].filter((g) => g.length > 1);
  }

  /** Puts the machine into its initial state. */
  boot(): boolean {
    for (let t = 0; t < this.places.length; t++) this.places[t] = t;
    if (this.m.boot()) return true;
    this.fail(this.m.error, this.m.names[this.m.failedAtBoot]);
    return false;
  }

  /** Takes the step, if any, then every step that is the only one needed; stops where there is a choice. */
  advance(step: number, choice: number): Outcome {
    const { m } = this;
    const { anyOrder, merge, partialOrder } = this.options;
    const T = m.total;
    let p = step;
    let c = choice;
    for (let chain = 0; ; chain++) {
      if (p >= 0) {
        this.transitions++;
        if (this.log !== null) this.log.push({ process: this.standingAt(p), choice: c });
        if (!(p >= T ? m.drain(p - T) : m.step(p, c)))
          return this.fail(m.error, m.names[this.standingAt(p) % T]);
      }
      for (const g of this.groups) this.sort(g);
      this.por.look();
      this.enabled = this.por.enabled;
      if (this.enabled === 0) return this.final();
      this.chosen = partialOrder ? this.por.choose() : this.enabled;
      const single = (this.chosen & (this.chosen - 1)) === 0;
      if (anyOrder && (single || this.chosen !== this.enabled) && this.anyLeadsBack(this.chosen)) {
        this.chosen = this.enabled;
        return Outcome.Choice;
      }
      if (!merge || !single || (!anyOrder && chain >= CHAIN)) return Outcome.Choice;
      p = 31 - Math.clz32(this.chosen);
      c = 0;
      if (this.choices(p) > 1) return Outcome.Choice;
    }
  }

  /** How many successors the next step of process `p` has. */
  choices(p: number): number {
    return p >= this.m.total ? 1 : this.m.choices(p);
  }

  /** Which thread of the program stands at each place, for `stand`. */
  standing(): Int32Array {
    return this.places.slice();
  }

  stand(standing: Int32Array): void {
    this.places.set(standing);
  }

  fail(error: StepError | null, thread: string): Outcome {
    if (error === null) throw new Error("a step failed without an error");
    this.failure = { kind: error.kind, message: error.message, thread, addr: error.addr };
    const on = error.kind === "bound" && this.options.stopAtBound?.(error.message) !== true;
    return on ? Outcome.Pruned : Outcome.Error;
  }

  private final(): Outcome {
    const m = this.m;
    const { stuck } = m.program;
    if (stuck !== undefined)
      for (let t = 0; t < m.total; t++)
        if (!m.finished(t) && m.nextAddr(t) === stuck) {
          this.failure = null;
          return Outcome.Pruned;
        }
    for (let t = 0; t < m.total; t++) {
      if (m.finished(t) && !m.queued(t)) continue;
      this.failure = { kind: "deadlock", message: "no thread can go on", thread: "", addr: 0 };
      return Outcome.Error;
    }
    return Outcome.Final;
  }

  /** The process of the program's own thread that stands at the place of `p`. */
  private standingAt(p: number): number {
    const T = this.m.total;
    return p >= T ? T + this.places[p - T] : this.places[p];
  }

  /** Whether one of the processes may close a cycle by its next step. */
  private anyLeadsBack(processes: number): boolean {
    for (let rest = processes & ((1 << this.m.total) - 1); rest !== 0; rest &= rest - 1)
      if (this.leadsBack(31 - Math.clz32(rest & -rest))) return true;
    return false;
  }

  private leadsBack(t: number): boolean {
    const { m, saved } = this;
    const pc = m.s[m.frame[t]];
    const { kind, back } = this.rounds[t];
    if (pc === 0 || kind[pc] === 0) return false;
    if (kind[pc] === 2) return true;
    // Whether it does is tried out.
    saved.set(m.s);
    const n = m.choices(t);
    let leads = false;
    for (let c = 0; c < n && !leads; c++) {
      if (m.step(t, c)) leads = back[pc]?.has(m.s[m.frame[t]]) === true;
      m.s.set(saved);
    }
    return leads;
  }

  /** Insertion sort of the threads at these places by the words of their frames. */
  private sort(group: readonly number[]): void {
    for (let i = 1; i < group.length; i++)
      for (let j = i; j > 0 && this.isBefore(group[j], group[j - 1]); j--) this.swap(group[j], group[j - 1]);
  }

  private isBefore(a: number, b: number): boolean {
    const { s, frame, length } = this.m;
    for (let i = 0, x = frame[a], y = frame[b]; i < length[a]; i++, x++, y++)
      if (s[x] !== s[y]) return s[x] < s[y];
    return false;
  }

  private swap(a: number, b: number): void {
    const { s, frame, length } = this.m;
    for (let i = 0, x = frame[a], y = frame[b]; i < length[a]; i++, x++, y++) {
      const v = s[x];
      s[x] = s[y];
      s[y] = v;
    }
    const t = this.places[a];
    this.places[a] = this.places[b];
    this.places[b] = t;
  }
}
