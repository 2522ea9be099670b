/**
 * Livelock: a run that is fair and never ends. On the full state graph (no reductions: they keep safety, not
 * this) a strongly connected component is a livelock if a weakly fair run can stay in it for ever: every
 * process either takes a step inside it or is unable to act in one of its states. A waiter that spins while
 * the thread it waits for could go on is not reported; two threads that undo each other's work for ever are.
 * Components by Tarjan's algorithm.
 *
 * Spinlocks are fair in the stronger sense (they are queued: whoever waits gets the lock once it is free
 * often enough), so a component in which somebody waits for a lock that is free in some of its states counts
 * only if a run can avoid these.
 */

import type { Machine } from "./machine.ts";
import { isLock } from "./operations.ts";
import type { Prepared } from "./prepare.ts";
import type { ExploreOptions } from "./result.ts";
import { StateTable, type Step } from "./statetable.ts";

export type LivelockResult =
  | { readonly verdict: "none" }
  | { readonly verdict: "bounded"; readonly reason: string }
  | {
      readonly verdict: "livelock";
      readonly message: string;
      readonly thread: string;
      /** From the start into the cycle and once round it. */
      readonly steps: readonly Step[];
      /** How many of them lead to the cycle. */
      readonly stem: number;
    };

const MAX_EDGES = 20_000_000;

/** Compressed sparse rows: the edges of state i are `first[i] .. first[i+1]`. */
interface Graph {
  readonly states: number;
  readonly first: Int32Array;
  readonly target: Int32Array;
  readonly process: Int8Array;
  readonly choice: Uint8Array;
  /** Enabled processes of each state. */
  readonly enabled: Int32Array;
  /** Processes of each state that are at a spin_lock(). */
  readonly locking: Int32Array;
  /** State and edge by which each state was first reached; -1 for the initial one. */
  readonly parent: Int32Array;
  readonly parentEdge: Int32Array;
}

export function findLivelock(prepared: Prepared, m: Machine, options: ExploreOptions): LivelockResult {
  const built = build(prepared, m, options);
  if (typeof built === "string") return { verdict: "bounded", reason: built };
  const found = fairComponent(built, m.total * (m.tso ? 2 : 1));
  if (found === null) return { verdict: "none" };
  const { component, state: fair } = found;
  const cycle = cycleThrough(built, component, fair);
  const stem = pathTo(built, fair);
  const steps = [...stem, ...cycle];
  const who = [...new Set(cycle.map((s) => m.names[s.process % m.total]))];
  return {
    verdict: "livelock",
    message: `${who.join(" and ")} can go round for ever though nobody is held up unfairly`,
    thread: who[0] ?? "",
    steps,
    stem: stem.length,
  };
}

function enabledSet(m: Machine): number {
  let set = 0;
  for (let t = 0; t < m.total; t++) {
    if ((!m.finished(t) || m.queued(t)) && m.enabled(t)) set |= 1 << t;
    if (m.tso && m.bufferLength(t) > 0) set |= 1 << (m.total + t);
  }
  return set;
}

/** Threads whose next step is to take a spinlock. */
function lockingSet(m: Machine): number {
  let set = 0;
  for (let t = 0; t < m.total; t++) {
    const pc = m.s[m.frame[t]];
    if (pc !== 0 && isLock(m.threads[t].kind[pc])) set |= 1 << t;
  }
  return set;
}

export function choicesOf(m: Machine, p: number): number {
  if (p >= m.total) return 1;
  return m.choices(p);
}

function build(prepared: Prepared, m: Machine, options: ExploreOptions): Graph | string {
  const table = new StateTable(m, prepared.footprints, prepared.groupOf, false);
  m.boot();
  table.intern();
  const first: number[] = [];
  const target: number[] = [];
  const process: number[] = [];
  const choice: number[] = [];
  const enabled: number[] = [];
  const locking: number[] = [];
  const parent = [-1];
  const parentEdge = [-1];
  const maxStates = options.maxStates ?? 50_000_000;
  for (let id = 0; id < table.size; id++) {
    first.push(target.length);
    table.restoreId(id);
    const set = enabledSet(m);
    enabled.push(set);
    locking.push(lockingSet(m));
    for (let rest = set; rest !== 0; rest &= rest - 1) {
      const p = 31 - Math.clz32(rest & -rest);
      table.restoreId(id);
      const n = choicesOf(m, p);
      for (let c = 0; c < n; c++) {
        if (c > 0) table.restoreId(id);
        // an error, reported by the main search
        if (!(p >= m.total ? m.drain(p - m.total) : m.step(p, c))) continue;
        const to = table.intern();
        if (table.added) {
          parent.push(id);
          parentEdge.push(target.length);
        }
        target.push(to);
        process.push(p);
        choice.push(c);
      }
    }
    if (target.length > MAX_EDGES) return `more than ${MAX_EDGES} transitions without reductions`;
    if (table.size > maxStates) return `more than ${maxStates} states without reductions`;
    if (id % 65536 === 0 && options.onProgress !== undefined) {
      const go = options.onProgress({
        states: table.size,
        transitions: target.length,
        depth: 0,
        bytes: table.bytes,
        seconds: 0,
      });
      if (!go) return "interrupted";
    }
  }
  first.push(target.length);
  return {
    states: table.size,
    first: Int32Array.from(first),
    target: Int32Array.from(target),
    process: Int8Array.from(process),
    choice: Uint8Array.from(choice),
    enabled: Int32Array.from(enabled),
    locking: Int32Array.from(locking),
    parent: Int32Array.from(parent),
    parentEdge: Int32Array.from(parentEdge),
  };
}

/** Component number of every state that is alive; -1 for the others. */
function tarjan(g: Graph, alive: Uint8Array): Int32Array {
  const n = g.states;
  const index = new Int32Array(n).fill(-1);
  const low = new Int32Array(n);
  const component = new Int32Array(n).fill(-1);
  const edge = new Int32Array(n);
  const stack: number[] = [];
  const path: number[] = [];
  let counter = 0;
  let components = 0;
  for (let root = 0; root < n; root++) {
    if (index[root] >= 0 || alive[root] === 0) continue;
    path.push(root);
    while (path.length > 0) {
      const v = path[path.length - 1];
      if (index[v] < 0) {
        index[v] = low[v] = counter++;
        edge[v] = g.first[v];
        stack.push(v);
      }
      let descended = false;
      while (edge[v] < g.first[v + 1]) {
        const w = g.target[edge[v]++];
        if (alive[w] === 0) continue;
        if (index[w] < 0) {
          path.push(w);
          descended = true;
          break;
        }
        if (component[w] < 0) low[v] = Math.min(low[v], index[w]);
      }
      if (descended) continue;
      path.pop();
      if (path.length > 0) {
        const u = path[path.length - 1];
        low[u] = Math.min(low[u], low[v]);
      }
      if (low[v] === index[v]) {
        for (let w = stack.pop(); w !== undefined; w = stack.pop()) {
          component[w] = components;
          if (w === v) break;
        }
        components++;
      }
    }
  }
  return component;
}

interface Inside {
  /**
   * Processes that step inside the component; those that are unable to in some state; those that could take a
   * lock in some.
   */
  steps: number;
  disabled: number;
  couldLock: number;
  state: number;
  /** 0: no fair run stays here; else the waiters whose lock a fair run would have to keep out of reach. */
  starving: number;
  fair: boolean;
}

function insides(g: Graph, component: Int32Array): Map<number, Inside> {
  const all = new Map<number, Inside>();
  for (let v = 0; v < g.states; v++)
    for (let e = g.first[v]; e < g.first[v + 1]; e++)
      if (component[v] >= 0 && component[g.target[e]] === component[v]) {
        let c = all.get(component[v]);
        if (c === undefined) {
          c = { steps: 0, disabled: 0, couldLock: 0, state: v, starving: 0, fair: false };
          all.set(component[v], c);
        }
        c.steps |= 1 << g.process[e];
      }
  for (let v = 0; v < g.states; v++) {
    const c = all.get(component[v]);
    if (c === undefined) continue;
    c.disabled |= ~g.enabled[v];
    c.couldLock |= g.enabled[v] & g.locking[v];
  }
  return all;
}

/**
 * A component in which a fair run can stay, as its number for every state and a state of it; null if there is
 * none. Where only a lock's waiter starves, the states in which it could take the lock are left out, and what
 * remains is looked at again.
 */
function fairComponent(g: Graph, processes: number): { component: Int32Array; state: number } | null {
  const everyone = processes >= 31 ? -1 : (1 << processes) - 1;
  const alive = new Uint8Array(g.states).fill(1);
  for (;;) {
    const component = tarjan(g, alive);
    const all = insides(g, component);
    for (const c of all.values()) {
      c.fair = ((c.steps | c.disabled) & everyone) === everyone;
      c.starving = everyone & ~c.steps & c.couldLock;
      if (c.fair && c.starving === 0) return { component, state: c.state };
    }
    let again = false;
    for (let v = 0; v < g.states; v++) {
      if (alive[v] === 0) continue;
      const c = all.get(component[v]);
      // A part of a component has no more steps and no more disabled processes than the whole, so an unfair
      // one is done with.
      if (c === undefined || !c.fair || (g.enabled[v] & g.locking[v] & c.starving) !== 0) alive[v] = 0;
      else again = true;
    }
    if (!again) return null;
  }
}

function pathTo(g: Graph, state: number): Step[] {
  const steps: Step[] = [];
  for (let v = state; g.parent[v] >= 0; v = g.parent[v]) {
    const e = g.parentEdge[v];
    steps.push({ process: g.process[e], choice: g.choice[e] });
  }
  return steps.reverse();
}

/** A shortest way from `start` back to itself inside its component. */
function cycleThrough(g: Graph, component: Int32Array, start: number): Step[] {
  const from = new Map<number, { state: number; edge: number }>();
  const queue = [start];
  for (let i = 0; i < queue.length; i++) {
    const v = queue[i];
    for (let e = g.first[v]; e < g.first[v + 1]; e++) {
      const w = g.target[e];
      if (component[w] !== component[start]) continue;
      if (w === start) {
        const steps: Step[] = [{ process: g.process[e], choice: g.choice[e] }];
        for (let u = v; u !== start; ) {
          const back = from.get(u);
          if (back === undefined) break;
          steps.push({ process: g.process[back.edge], choice: g.choice[back.edge] });
          u = back.state;
        }
        return steps.reverse();
      }
      if (!from.has(w)) {
        from.set(w, { state: v, edge: e });
        queue.push(w);
      }
    }
  }
  return [];
}
