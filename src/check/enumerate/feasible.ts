/**
 * Which paths can be taken at all, before any execution is built: the values that each location may hold are
 * over-approximated from the writes of all paths (to a fixpoint), and a path whose condition needs another
 * value is dropped. This keeps the combinations of paths few in tests that branch on what they read or follow
 * pointers.
 */
import { evalBin, evalUn } from "../../lang/ir.ts";
import { isRead, isWrite } from "./candidate.ts";
import type { Path, Sym } from "./path.ts";

/** The values that a location may hold, or null for any. */
type ValueSet = ReadonlySet<number> | null;

/** Sets larger than this are treated as any value. */
const MAX_VALUES = 24;

export interface Feasible {
  /** Whole paths, per thread. */
  readonly paths: Path[][];
  /** Some execution may go on beyond the cut of a path: those of `paths` are not all. */
  readonly bounded: boolean;
}

/**
 * Drops the paths (per thread) that no execution takes. A cut path may be taken because of what lies beyond
 * its own cut or another's; those that are left out of the question only once none of the values that the
 * program can store anywhere allows them. Whole paths are then judged by whole paths alone, which are the
 * ones that executions are made of.
 */
export function feasiblePaths(threads: readonly Path[][], initial: (loc: number) => number): Feasible {
  const cut = threads.some((list) => list.some((p) => p.cut !== null));
  const bounded = cut && narrow(threads, initial).some((list) => list.some((p) => p.cut !== null));
  const whole = cut ? threads.map((list) => list.filter((p) => p.cut === null)) : threads;
  return { paths: narrow(whole, initial), bounded };
}

function narrow(threads: readonly Path[][], initial: (loc: number) => number): Path[][] {
  let paths = threads;
  for (;;) {
    const values = possibleValues(paths, initial);
    const kept = paths.map((list) => list.filter((p) => feasible(p, values)));
    if (kept.every((list, t) => list.length === paths[t]?.length)) return kept;
    paths = kept;
  }
}

function possibleValues(
  threads: readonly Path[][],
  initial: (loc: number) => number,
): (loc: number) => ValueSet {
  const sets = new Map<number, Set<number> | null>();
  const get = (loc: number): Set<number> | null => {
    let s = sets.get(loc);
    if (s === undefined) sets.set(loc, (s = new Set([initial(loc)])));
    return s;
  };
  for (const later of threads.flatMap((list) => list.flatMap((p) => p.cut ?? []))) {
    if (later.loc === null) return () => null;
    if (later.value === null) sets.set(later.loc, null);
    else get(later.loc)?.add(later.value);
  }
  for (let round = 0, changed = true; changed; round++) {
    changed = false;
    for (const list of threads) {
      for (const p of list) {
        for (const e of p.events) {
          if (!isWrite(e)) continue;
          const to = get(e.loc);
          if (to === null) continue;
          const v = round > 8 ? null : valuesOf(e.value, p, get);
          if (v === null || to.size + v.size > MAX_VALUES * 2) {
            if (v !== null && [...v].every((x) => to.has(x))) continue;
            sets.set(e.loc, null);
            changed = true;
            continue;
          }
          for (const x of v) {
            if (!to.has(x)) {
              to.add(x);
              changed = true;
            }
          }
        }
      }
    }
  }
  return get;
}

/** Values that an expression may have; null for any. */
function valuesOf(s: Sym, p: Path, get: (loc: number) => ValueSet): ValueSet {
  if (typeof s === "number") return new Set([s]);
  switch (s.k) {
    case "read": {
      const e = p.events[s.event];
      return e === undefined || !isRead(e) ? null : get(e.loc);
    }
    case "un": {
      const a = valuesOf(s.a, p, get);
      return a === null ? null : new Set([...a].map((x) => evalUn(s.fn, x)));
    }
    case "bin": {
      const a = valuesOf(s.a, p, get);
      const b = valuesOf(s.b, p, get);
      if (a === null || b === null || a.size * b.size > MAX_VALUES) return null;
      const out = new Set<number>();
      for (const x of a) for (const y of b) out.add(evalBin(s.fn, x, y));
      return out;
    }
  }
}

function feasible(p: Path, get: (loc: number) => ValueSet): boolean {
  for (const c of p.constraints) {
    const v = valuesOf(c.sym, p, get);
    if (v === null) continue;
    let any = false;
    for (const x of v) any ||= (x === c.value) === c.eq;
    if (!any) return false;
  }
  return true;
}
