/**
 * One share of the states of a search by several workers. A state belongs to the share that its hash names;
 * who reaches it sends it there ("owner computes": Stern and Dill, "Parallelizing the Murφ Verifier", CAV
 * 1997). A share expands its states in the order of their numbers, so what is still to do is everything from
 * a cursor on, and all that a share knows only ever grows at the end: that makes checkpoints cheap.
 *
 * Which states are stored, how many steps are taken and how many states are final depends on the program
 * alone (explore/stepper.ts), not on the number of shares nor on who is how fast. Every state's number in all
 * shares together is `number in its share * shares + share`.
 */

import { POISON } from "../../machine/image.ts";
import type { FoundError } from "../errors.ts";
import { runLast } from "../explore/lastrun.ts";
import type { Machine } from "../explore/machine.ts";
import { newMachine, type Prepared } from "../explore/prepare.ts";
import type { Capacity, Model } from "../explore/state.ts";
import { StateTable } from "../explore/statetable.ts";
import { Outcome, Stepper } from "../explore/stepper.ts";
import { VectorSet } from "../explore/vectorset.ts";
import { IntList } from "./lists.ts";

export interface PartitionOptions {
  readonly model: Model;
  readonly partialOrder: boolean;
  readonly merge: boolean;
  readonly symmetry: boolean;
  readonly observe: readonly number[];
}

/** An error, and how it was come to: from state `source` (-1: before any) by a step, or at that state. */
export interface PartitionError {
  readonly error: FoundError;
  readonly source: number;
  /** -1: the end-of-run check of the state. */
  readonly process: number;
  readonly choice: number;
}

/** Words of a message before the state: number of the state it was reached from, and the steps to take. */
export const MESSAGE_HEAD = 2;

export class Partition {
  readonly index: number;
  readonly shares: number;
  readonly stepper: Stepper;
  readonly table: StateTable;
  /**
   * Per state: the state it was first reached from, and the processes whose steps are to be taken; 0: none.
   */
  readonly parent = new IntList();
  readonly todo = new IntList();
  /** Further ways to states, as pairs: from where, number of the state in this share. */
  readonly edges = new IntList();
  readonly observer: VectorSet;
  /** States before this one are expanded. */
  cursor = 0;
  finalStates = 0;
  error: PartitionError | null = null;
  readonly messageWords: number;
  private readonly m: Machine;
  private readonly options: PartitionOptions;
  private readonly send: (owner: number, message: Int32Array) => void;
  private readonly message: Int32Array;

  constructor(
    prepared: Prepared,
    options: PartitionOptions,
    capacity: Capacity,
    place: { readonly index: number; readonly shares: number },
    send: (owner: number, message: Int32Array) => void,
  ) {
    this.index = place.index;
    this.shares = place.shares;
    this.options = options;
    this.send = send;
    this.m = newMachine(prepared, capacity, options.model);
    const { partialOrder, merge, symmetry } = options;
    this.stepper = new Stepper(prepared, this.m, {
      partialOrder,
      merge,
      symmetry,
      anyOrder: true,
      // One run that reaches a limit of the model is enough to say nothing of the program.
      stopAtBound: () => true,
    });
    this.table = new StateTable(this.m, prepared.footprints, prepared.groupOf, false);
    this.observer = new VectorSet(options.observe.length);
    this.messageWords = MESSAGE_HEAD + this.table.packedWords;
    this.message = new Int32Array(this.messageWords);
    // What never changes is no part of a message.
    this.stepper.boot();
    this.stepper.failure = null;
  }

  get bytes(): number {
    return this.table.bytes + this.parent.bytes + this.todo.bytes + this.edges.bytes;
  }

  /** Whether every state of the share is expanded. */
  get idle(): boolean {
    return this.cursor === this.table.size;
  }

  /** Begins the search; one share does. */
  start(): void {
    const { stepper } = this;
    const outcome = stepper.boot() ? stepper.advance(-1, 0) : Outcome.Error;
    if (outcome === Outcome.Error) this.failed(-1, -1, 0);
    else if (outcome !== Outcome.Pruned) this.emit(-1, outcome);
  }

  /** A message from another share, at `words[at ..]`. */
  receive(words: Int32Array, at: number): void {
    this.table.unpack(words, at + MESSAGE_HEAD);
    this.add(words[at], words[at + 1]);
  }

  /** Takes all steps of the next state. It must not be idle. */
  expand(): void {
    const { stepper, table } = this;
    const id = this.cursor;
    const source = id * this.shares + this.index;
    let rest = this.todo.get(id);
    table.restoreId(id);
    if (rest === 0) this.finish(source);
    for (let first = true; rest !== 0 && this.error === null; rest &= rest - 1) {
      const p = 31 - Math.clz32(rest & -rest);
      if (!first) table.restoreId(id);
      first = false;
      const n = stepper.choices(p);
      for (let c = 0; c < n; c++) {
        if (c > 0) table.restoreId(id);
        const outcome = stepper.advance(p, c);
        if (outcome === Outcome.Error) {
          this.failed(source, p, c);
          return;
        }
        if (outcome !== Outcome.Pruned) this.emit(source, outcome);
      }
    }
    this.cursor++;
  }

  /** The state with this number of the share, as `pack` has it. */
  packed(id: number): Int32Array {
    const out = new Int32Array(this.table.packedWords);
    this.table.restoreId(id);
    this.table.pack(out, 0);
    return out;
  }

  private finish(source: number): void {
    const { m } = this;
    this.finalStates++;
    const { observe } = this.options;
    if (observe.length > 0)
      this.observer.intern(
        Int32Array.from(observe, (a) => (m.valid(a) ? m.s[a] : POISON)),
        0,
      );
    if (runLast(m)) return;
    this.stepper.fail(m.error, m.names[m.last]);
    this.failed(source, -1, 0);
  }

  private failed(source: number, process: number, choice: number): void {
    const { failure } = this.stepper;
    if (failure === null) throw new Error("an error without a name");
    this.error = { error: failure, source, process, choice };
  }

  /** The machine's state has been reached: it goes to where it belongs. */
  private emit(source: number, outcome: Outcome): void {
    const { message, shares } = this;
    const todo = outcome === Outcome.Final ? 0 : this.stepper.chosen;
    if (shares > 1) {
      this.table.pack(message, MESSAGE_HEAD);
      const owner = ownerOf(message, MESSAGE_HEAD, shares);
      if (owner !== this.index) {
        message[0] = source;
        message[1] = todo;
        this.send(owner, message);
        return;
      }
    }
    this.add(source, todo);
  }

  private add(source: number, todo: number): void {
    const id = this.table.intern();
    if (this.table.added) {
      this.parent.push(source);
      this.todo.push(todo);
    } else if (this.stepper.mayCycle) {
      this.edges.push(source);
      this.edges.push(id);
    }
  }
}

function ownerOf(words: Int32Array, from: number, shares: number): number {
  let h = 0x1b873593;
  for (let i = from; i < words.length; i++) {
    h = Math.imul(h ^ words[i], 0xcc9e2d51);
    h ^= h >>> 15;
  }
  h = Math.imul(h ^ (h >>> 13), 0x85ebca6b);
  return ((h ^ (h >>> 16)) >>> 0) % shares;
}
