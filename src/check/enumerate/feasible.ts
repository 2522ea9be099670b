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
export function feasiblePaths(
  threads: readonly Path[][],
  initial: (loc: number) => number,
  check: () => void,
): Feasible {
  const cut = threads.some((list) => list.some((p) => p.cut !== null));
  const bounded = cut && narrow(threads, initial, check).some((list) => list.some((p) => p.cut !== null));
  const whole = cut ? threads.map((list) => list.filter((p) => p.cut === null)) : threads;
  return { paths: narrow(whole, initial, check), bounded };
}

/**
 * Without the paths whose conditions nothing that the paths store allows. `check` throws when it is time to
 * stop.
 */
export function narrow(
  threads: readonly Path[][],
  initial: (loc: number) => number,
  check: () => void,
): Path[][] {
  let paths = threads;
  for (;;) {
    check();
    const values = possibleValues(paths, initial, check);
    const kept = paths.map((list) => list.filter((p) => feasible(p, values)));
    if (kept.every((list, t) => list.length === paths[t]?.length)) return kept;
    paths = kept;
  }
}

function possibleValues(
  threads: readonly Path[][],
  initial: (loc: number) => number,
  check: () => void,
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
      check();
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

/** Values of an expression over a path's reads, given what the path takes them to be; null for any. */
export function valuesOf(
  s: Sym,
  path: Pick<Path, "events" | "constraints">,
  get: (loc: number) => ValueSet,
): ValueSet {
  if (typeof s === "number") return new Set([s]);
  switch (s.k) {
    case "read": {
      for (const c of path.constraints)
        if (c.eq && typeof c.sym !== "number" && c.sym.k === "read" && c.sym.event === s.event)
          return new Set([c.value]);
      const e = path.events[s.event];
      return e === undefined || !isRead(e) ? null : get(e.loc);
    }
    case "un": {
      const a = valuesOf(s.a, path, get);
      return a === null ? null : new Set([...a].map((x) => evalUn(s.fn, x)));
    }
    case "bin": {
      const a = valuesOf(s.a, path, get);
      const b = a === null ? null : valuesOf(s.b, path, get);
      if (a === null || b === null || a.size * b.size > MAX_VALUES) return null;
      const out = new Set<number>();
      for (const x of a) for (const y of b) out.add(evalBin(s.fn, x, y));
      return out;
    }
  }
}

function feasible(p: Path, get: (loc: number) => ValueSet): boolean {
  for (const c of p.constraints) {
    // What the path takes a read to be must be there to be read.
    const read = typeof c.sym !== "number" && c.sym.k === "read" ? p.events[c.sym.event] : undefined;
    const v = read !== undefined && isRead(read) ? get(read.loc) : valuesOf(c.sym, p, get);
    if (v === null) continue;
    let any = false;
    for (const x of v) any ||= (x === c.value) === c.eq;
    if (!any) return false;
  }
  return true;
}
