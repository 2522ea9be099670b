/**
 * Steps that may close a cycle of states. In a cycle some thread comes back to where it was, so it takes an
 * edge of its control-flow graph that leads back (to an operation on the path of a depth-first walk from the
 * entry), or a handler queues something that ends in its being queued again. Where partial-order reduction
 * leaves steps out of no state that takes such a step, no enabled step is left out for ever. Whether it does
 * depends on the state alone, not on the order of the search, so that every search stores the same states
 * (Kurshan, Levin, Minea, Peled, Yenigün, "Static Partial Order Reduction", TACAS 1998).
 */

import type { ThreadCode } from "../../lang/emit.ts";
import { groupOf } from "./handlers.ts";
import type { Parts } from "./state.ts";

/** Of one thread's code. */
export interface Rounds {
  /** Per pc: 0 if its step never leads back, 1 if it may, 2 if it always counts as leading back. */
  readonly kind: Uint8Array;
  /** Per pc of kind 1: the pcs that are back from there. */
  readonly back: readonly (ReadonlySet<number> | undefined)[];
}

/** By the code of threads and handlers. */
export function roundsOf(parts: Parts): ReadonlyMap<ThreadCode, Rounds> {
  const found = new Map<ThreadCode, Rounds>();
  for (const code of parts.codes) found.set(code, backEdges(code));
  // Which groups a group may queue, directly or not.
  const queues = new Map(
    parts.groups.map((g) => [g.key, new Set(g.code.ops.slice(1).map((o) => groupOf(o.instr)))]),
  );
  for (let grew = true; grew; ) {
    grew = false;
    for (const set of queues.values())
      for (const k of [...set])
        for (const next of queues.get(k) ?? [])
          if (!set.has(next)) {
            set.add(next);
            grew = true;
          }
  }
  for (const g of parts.groups) {
    const rounds = backEdges(g.code);
    g.code.ops.forEach((o, pc) => {
      const made = pc === 0 ? "" : groupOf(o.instr);
      if (made !== "" && (made === g.key || queues.get(made)?.has(g.key) === true)) rounds.kind[pc] = 2;
    });
    const known = found.get(g.code);
    if (known !== undefined)
      rounds.kind.forEach((k, pc) => {
        if (known.kind[pc] > k) rounds.kind[pc] = known.kind[pc];
      });
    found.set(g.code, rounds);
  }
  return found;
}

function backEdges(code: ThreadCode): Rounds {
  const n = code.ops.length;
  const kind = new Uint8Array(n);
  const back: (Set<number> | undefined)[] = new Array(n).fill(undefined);
  // 1: on the path, 2: done.
  const state = new Uint8Array(n);
  for (const root of code.entrySucc) {
    if (root === 0 || state[root] !== 0) continue;
    const path = [{ pc: root, next: 0 }];
    state[root] = 1;
    while (path.length > 0) {
      const top = path[path.length - 1];
      const succ = code.ops[top.pc].succ;
      if (top.next === succ.length) {
        state[top.pc] = 2;
        path.pop();
        continue;
      }
      const to = succ[top.next++];
      if (to === 0) continue;
      if (state[to] === 1) {
        kind[top.pc] = 1;
        (back[top.pc] ??= new Set()).add(to);
      } else if (state[to] === 0) {
        state[to] = 1;
        path.push({ pc: to, next: 0 });
      }
    }
  }
  return { kind, back };
}
