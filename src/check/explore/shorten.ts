/**
 * Makes a counterexample readable: among the executions that end in the same kind of error, one with the
 * fewest context switches, found by a search that explores all runs with 0 switches, then 1, 2, ...
 * (Musuvathi and Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded Programs", PLDI
 * 2007). Few switches read better than few steps. Gives the original back if that search grows too large.
 */

import type { FoundError } from "../errors.ts";
import { runLast } from "./lastrun.ts";
import { choicesOf } from "./livelock.ts";
import type { Machine } from "./machine.ts";
import type { Prepared } from "./prepare.ts";
import { StateTable, type Step } from "./statetable.ts";

const MAX_NODES = 400_000;

export function shorten(
  prepared: Prepared,
  m: Machine,
  original: readonly Step[],
  error: FoundError,
): readonly Step[] {
  const table = new StateTable(m, prepared.footprints, prepared.groupOf, false);
  const T = m.total;
  if (!m.boot()) return original;
  table.intern();
  // A node is a state and who ran last: node arrays in step, looked up by state * 64 + last + 1.
  const state = [0];
  const last = [-1];
  const parent = [-1];
  const via: Step[] = [{ process: -1, choice: 0 }];
  const seen = new Set<number>([0]);
  let frontier = [0];
  const pathOf = (node: number, end: Step | null): Step[] => {
    const steps: Step[] = end === null ? [] : [end];
    for (let v = node; parent[v] >= 0; v = parent[v]) steps.push(via[v]);
    return steps.reverse();
  };
  while (frontier.length > 0) {
    const later: number[] = [];
    const now = frontier;
    // Breadth first within a level, so that among equals the shorter run wins.
    for (let i = 0; i < now.length; i++) {
      const node = now[i];
      if (state.length > MAX_NODES) return original;
      table.restoreId(state[node]);
      let any = false;
      for (let p = 0; p < (m.tso ? 2 * T : T); p++) {
        table.restoreId(state[node]);
        if (!canAct(m, p)) continue;
        any = true;
        const n = choicesOf(m, p);
        for (let c = 0; c < n; c++) {
          if (c > 0) table.restoreId(state[node]);
          const step: Step = { process: p, choice: c };
          if (!(p >= T ? m.drain(p - T) : m.step(p, c))) {
            if (m.error?.kind === error.kind) return pathOf(node, step);
            continue;
          }
          const id = table.intern();
          // Draining a buffer is no switch: nobody's code runs.
          const who = p >= T ? last[node] : p;
          const key = id * 64 + who + 1;
          if (seen.has(key)) continue;
          const free = last[node] < 0 || who === last[node];
          if (free) seen.add(key);
          state.push(id);
          last.push(who);
          parent.push(node);
          via.push(step);
          (free ? now : later).push(state.length - 1);
        }
      }
      if (!any) {
        table.restoreId(state[node]);
        const stuck = unfinished(m);
        if (stuck ? error.kind === "deadlock" : error.thread === m.names[m.last] && !runLast(m))
          return pathOf(node, null);
      }
    }
    frontier = later.filter((node) => {
      const key = state[node] * 64 + last[node] + 1;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
  }
  return original;
}

/** Whether process `p` can take a step now. */
export function canAct(m: Machine, p: number): boolean {
  const T = m.total;
  if (p >= T) return m.bufferLength(p - T) > 0;
  return (!m.finished(p) || m.queued(p)) && m.enabled(p);
}

/** Whether some thread has not finished, or a callback not begun. */
export function unfinished(m: Machine): boolean {
  for (let t = 0; t < m.total; t++) if (!m.finished(t) || m.queued(t)) return true;
  return false;
}
