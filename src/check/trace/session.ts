/**
 * A program in the hands of a person who takes its steps one by one: the run so far as a trace, at each of
 * its states the steps that can be taken next and what each leads to, whether a state has been met before,
 * how far the nearest error is. The steps are the explorer's (machine.ts), all of them: no reduction leaves
 * one out.
 */

import type { Program } from "../../lang/ir.ts";
import { describeAddress } from "../../machine/image.ts";
import type { FoundError } from "../errors.ts";
import { runLast } from "../explore/lastrun.ts";
import { choicesOf } from "../explore/livelock.ts";
import type { Machine } from "../explore/machine.ts";
import { NearestError } from "../explore/nearest.ts";
import { FIRST_CAPACITY, moreCapacity, newMachine, type Prepared, prepare } from "../explore/prepare.ts";
import { canAct, unfinished } from "../explore/shorten.ts";
import { type Capacity, CapacityError, type Model, roomFor } from "../explore/state.ts";
import { StateTable } from "../explore/statetable.ts";
import { drainName, operationName, startName } from "./names.ts";
import { Recorder } from "./record.ts";
import type { Trace } from "./schema.ts";

/**
 * A step that can be taken, by thread: unlike the explorer's, it means the same whatever room there is for
 * callbacks.
 */
export interface Act {
  /** Index into the trace's threads. */
  readonly thread: number;
  /** A store leaves the thread's buffer; else it is the thread's own next step. */
  readonly drain: boolean;
  readonly choice: number;
}

export interface Move extends Act {
  readonly op: string;
  readonly location: string;
  /** The error that it is; null: none. */
  readonly error: string | null;
  /**
   * The state that it leads to is that after step `seen` of this run (0: the first one), or was met in
   * another run: -1.
   */
  readonly seen: number | null;
}

/** A run that is known to go round from its step `from` on. */
export interface Cycle {
  readonly from: number;
  readonly message: string;
  readonly thread: string;
}

/** How to come to a trace again: what a session is to be made with, and be asked to run. */
export interface Recipe {
  /** Instances of each handler. */
  readonly instances: number;
  readonly acts: readonly Act[];
  readonly cycle: Cycle | null;
}

/** The recipe of a trace of that program. */
export function recipeOf(program: Program, trace: Trace): Recipe {
  const callbacks = trace.threads.filter((t) => t.kind === "callback").length;
  const { groups, codes } = prepare(program, false);
  const each = groups.reduce((n, g) => n + roomFor(g, { ...FIRST_CAPACITY, instances: 1 }, codes.length), 0);
  const e = trace.error;
  return {
    instances: each === 0 ? 1 : callbacks / each,
    acts: trace.steps
      .filter((s) => trace.threads[s.thread].kind !== "end")
      .map((s) => ({ thread: s.thread, drain: s.action === "drain", choice: s.choice })),
    cycle:
      e === null || e.cycle === null
        ? null
        : { from: e.cycle, message: e.message, thread: trace.threads[e.thread]?.name ?? "" },
  };
}

/** The same act on a machine with more room: instances of one handler stand side by side. */
function sameAct(act: Act, before: Machine, after: Machine): Act {
  const group = before.groupOf[act.thread] ?? -1;
  if (group < 0) return act;
  const nth = act.thread - before.groupOf.indexOf(group);
  return { ...act, thread: after.groupOf.indexOf(group) + nth };
}

export class Session {
  readonly program: Program;
  readonly model: Model;
  private readonly prepared: Prepared;
  private capacity: Capacity;
  private m: Machine;
  private table: StateTable;
  /** States of earlier runs, and those of this one in order. */
  private readonly met = new Set<number>();
  private states: number[] = [];
  private taken: Act[] = [];
  /** What it comes to: an error after the last step, the end, or neither. */
  private outcome: FoundError | null = null;
  private cycle: Cycle | null = null;

  constructor(program: Program, model: Model, instances = 1) {
    this.program = program;
    this.model = model;
    this.prepared = prepare(program, false);
    this.capacity = { ...FIRST_CAPACITY, instances: Math.max(1, instances) };
    this.m = newMachine(this.prepared, this.capacity, model);
    this.table = this.newTable();
    this.run([]);
  }

  private newTable(): StateTable {
    return new StateTable(this.m, this.prepared.footprints, this.prepared.groupOf, false);
  }

  get length(): number {
    return this.taken.length;
  }

  /** Threads that steps are taken of: all but the check at the end. */
  get total(): number {
    return this.m.total;
  }

  acts(): readonly Act[] {
    return this.taken;
  }

  /** Starts anew and takes these steps, as far as they can be taken. */
  run(asked: readonly Act[], cycle: Cycle | null = null): void {
    for (const s of this.states) this.met.add(s);
    let acts = asked;
    for (;;) {
      try {
        this.attempt(acts);
        break;
      } catch (e) {
        const more = e instanceof CapacityError ? moreCapacity(this.capacity, e.what) : null;
        if (more === null) throw e;
        const before = this.m;
        this.capacity = more;
        this.m = newMachine(this.prepared, more, this.model);
        acts = acts.map((a) => sameAct(a, before, this.m));
        // Numbers of states mean something in one table only.
        this.table = this.newTable();
        this.met.clear();
      }
    }
    this.cycle = cycle !== null && acts.length === this.taken.length ? cycle : null;
  }

  /** The first `length` steps of the run, and then this one. */
  take(length: number, act: Act): void {
    this.run([...this.taken.slice(0, length), act]);
  }

  private attempt(acts: readonly Act[]): void {
    const { m } = this;
    this.taken = [];
    this.outcome = null;
    if (!m.boot()) {
      this.fail("");
      this.states = [];
      return;
    }
    this.states = [this.table.intern()];
    for (const act of acts) {
      const process = this.process(act);
      if (process < 0 || !canAct(m, process) || act.choice >= choicesOf(m, process)) return;
      this.taken.push(act);
      if (!this.step(process, act.choice)) {
        this.fail(m.names[act.thread]);
        return;
      }
      this.states.push(this.table.intern());
    }
    this.end();
  }

  /** Whether this is the end, and whether it is a good one. */
  private end(): void {
    const { m } = this;
    for (let p = 0; p < (m.tso ? 2 * m.total : m.total); p++) if (canAct(m, p)) return;
    if (unfinished(m))
      this.outcome = { kind: "deadlock", message: "no thread can go on", thread: "", addr: 0 };
    else if (!runLast(m)) this.fail(m.names[m.last]);
  }

  private fail(thread: string): void {
    const e = this.m.error;
    if (e === null) throw new Error("a step failed without an error");
    this.outcome = { kind: e.kind, message: e.message, thread, addr: e.addr };
  }

  private process(act: Act): number {
    const { m } = this;
    if (act.thread < 0 || act.thread >= m.total) return -1;
    return act.drain ? (m.tso ? m.total + act.thread : -1) : act.thread;
  }

  private step(process: number, choice: number): boolean {
    const { m } = this;
    return process >= m.total ? m.drain(process - m.total) : m.step(process, choice);
  }

  /** The run as a trace. */
  trace(): Trace {
    const recorder = new Recorder(this.m);
    for (const act of this.taken) recorder.take({ process: this.process(act), choice: act.choice });
    recorder.finish(this.outcome);
    const { cycle } = this;
    const livelock: FoundError | null =
      cycle === null ? null : { kind: "livelock", message: cycle.message, thread: cycle.thread, addr: 0 };
    return recorder.trace(this.outcome ?? livelock, this.outcome === null ? (cycle?.from ?? null) : null);
  }

  /**
   * Brings the machine to the state after the first `length` steps. False if the run is over there, by an
   * error.
   */
  private restore(length: number): boolean {
    const { m } = this;
    if (!m.boot()) return false;
    return this.taken.slice(0, length).every((act) => this.step(this.process(act), act.choice));
  }

  /** The steps that can be taken after the first `length` of the run. */
  moves(length: number): Move[] {
    const { m, table } = this;
    if (!this.restore(length)) return [];
    const out: Move[] = [];
    const here = table.intern();
    for (let p = 0; p < (m.tso ? 2 * m.total : m.total); p++) {
      table.restoreId(here);
      if (!canAct(m, p)) continue;
      const n = choicesOf(m, p);
      for (let choice = 0; choice < n; choice++) {
        table.restoreId(here);
        const { op, location } = this.nameOf(p);
        const act = { thread: p % m.total, drain: p >= m.total, choice };
        try {
          const ok = this.step(p, choice);
          const seen = ok ? this.seen(table.intern()) : null;
          out.push({ ...act, op, location, error: ok ? null : (m.error?.kind ?? null), seen });
        } catch (e) {
          if (!(e instanceof CapacityError)) throw e;
          out.push({ ...act, op, location, error: null, seen: null });
        }
      }
    }
    return out;
  }

  private seen(state: number): number | null {
    const at = this.states.indexOf(state);
    if (at >= 0) return at;
    return this.met.has(state) ? -1 : null;
  }

  private nameOf(p: number): { op: string; location: string } {
    const { m } = this;
    const name = (addr: number): string => (addr > 0 ? describeAddress(m.program.memory.symbols, addr) : "");
    if (p >= m.total) {
      const addr = m.bufferAddr(p - m.total, 0);
      return { op: drainName(addr), location: name(addr) };
    }
    if (m.finished(p))
      return { op: startName(m.level[p], m.cpuWord[p] < 0 ? null : m.cpuOf(p)), location: "" };
    const instr = m.threads[p].instrs[m.s[m.frame[p]]];
    return { op: operationName(instr), location: "addr" in instr ? name(m.nextAddr(p)) : "" };
  }

  /** A search for the nearest error after the first `length` steps; null if the run is over there. */
  nearest(length: number, maxStates?: number): NearestError | null {
    // A machine of its own: the search goes on while steps are taken.
    const own = new Session(this.program, this.model, this.capacity.instances);
    own.run(this.taken.slice(0, length));
    return own.restore(length) ? new NearestError(own.prepared, own.m, maxStates) : null;
  }
}
