/**
 * How far the nearest error is from a state: breadth first over every step of every process, without
 * reductions, so that a distance is one in steps that a person can take. The search can be stopped at any
 * time and says how deep it has looked; if it comes to an end without an error, none can be reached.
 * Livelock, which is no single state, is not looked for.
 */

import { runLast } from "./lastrun.ts";
import { choicesOf } from "./livelock.ts";
import type { Machine } from "./machine.ts";
import type { Prepared } from "./prepare.ts";
import { canAct, unfinished } from "./shorten.ts";
import { CapacityError } from "./state.ts";
import { StateTable, type Step } from "./statetable.ts";

export type NearestResult =
  /** Steps from the state to the error, the last one being wrong; [] if the state itself is (a deadlock). */
  | { readonly found: "error"; readonly steps: readonly Step[]; readonly states: number }
  /** No error can be reached. */
  | { readonly found: "none"; readonly states: number }
  /** None is nearer than `depth` steps; further has not been looked. */
  | { readonly found: "open"; readonly depth: number; readonly states: number };

/**
 * A search from the state that the machine is in. The machine is used by it: whoever goes on with it restores
 * it.
 */
export class NearestError {
  private readonly m: Machine;
  private readonly table: StateTable;
  private readonly parent: number[] = [-1];
  private readonly via: Step[] = [{ process: -1, choice: 0 }];
  private readonly depth: number[] = [0];
  private readonly maxStates: number;
  private next = 0;
  /** A step was left out for want of room, so that what is behind it has not been seen. */
  private cut = false;
  private cutAt = 0;
  private result: NearestResult | null = null;

  constructor(prepared: Prepared, m: Machine, maxStates = 1_000_000) {
    this.m = m;
    this.maxStates = maxStates;
    this.table = new StateTable(m, prepared.footprints, prepared.groupOf, false);
    this.table.intern();
  }

  /** Searches on for about so many milliseconds. What it knows then; "open" may become more. */
  search(ms: number): NearestResult {
    const until = performance.now() + ms;
    for (let n = 0; this.result === null; n++) {
      if (this.next >= this.table.size)
        this.result = this.cut ? this.open() : { found: "none", states: this.table.size };
      else if (this.table.size > this.maxStates) this.result = this.open();
      else if (n % 64 === 63 && performance.now() > until) return this.open();
      else this.expand(this.next++);
    }
    return this.result;
  }

  /** Whether searching on can tell more. */
  get done(): boolean {
    return this.result !== null;
  }

  private open(): NearestResult {
    const depth = this.depth[Math.min(this.next, this.depth.length - 1)] + 1;
    return { found: "open", depth: this.cut ? Math.min(depth, this.cutAt) : depth, states: this.table.size };
  }

  private expand(id: number): void {
    const { m, table } = this;
    const T = m.total;
    table.restoreId(id);
    let any = false;
    for (let p = 0; p < (m.tso ? 2 * T : T); p++) {
      table.restoreId(id);
      if (!canAct(m, p)) continue;
      any = true;
      const n = choicesOf(m, p);
      for (let choice = 0; choice < n; choice++) {
        if (choice > 0) table.restoreId(id);
        const step: Step = { process: p, choice };
        const ok = this.take(id, step);
        if (ok === null) continue;
        if (!ok) {
          this.found(id, step);
          return;
        }
        table.intern();
        if (!table.added) continue;
        this.parent.push(id);
        this.via.push(step);
        this.depth.push(this.depth[id] + 1);
      }
    }
    if (any) return;
    table.restoreId(id);
    if (unfinished(m) || !runLast(m)) this.found(id, null);
  }

  /** Takes the step. False: it is an error; null: there is no room for what it does. */
  private take(id: number, { process: p, choice }: Step): boolean | null {
    const { m } = this;
    try {
      return p >= m.total ? m.drain(p - m.total) : m.step(p, choice);
    } catch (e) {
      if (!(e instanceof CapacityError)) throw e;
      if (!this.cut) this.cutAt = this.depth[id] + 1;
      this.cut = true;
      return null;
    }
  }

  private found(id: number, last: Step | null): void {
    const steps: Step[] = last === null ? [] : [last];
    for (let v = id; this.parent[v] >= 0; v = this.parent[v]) steps.push(this.via[v]);
    this.result = { found: "error", steps: steps.reverse(), states: this.table.size };
  }
}
