/**
 * A naive enumerator: for each combination of paths every assignment of sources to reads and every order of
 * the writes of each location, each judged by the models' definitions (models/definition.ts) and nothing
 * else. Exponential and without a single shortcut; it exists to test the real one.
 */
import type { Program } from "../../lang/ir.ts";
import { evalBin, evalUn } from "../../lang/ir.ts";
import type { Execution, Judgement } from "../models/definition.ts";
import { numberEvents } from "../models/definition.ts";
import { eachCombination } from "./combine.ts";
import { initialValue, locationsOf, programPaths } from "./enumerate.ts";
import type { Path, Sym } from "./path.ts";
import type { Predicate, Slot } from "./tally.ts";

export interface NaiveResult {
  positive: number;
  negative: number;
  readonly states: Set<string>;
  readonly flags: Set<string>;
  /** Executions that satisfy each path's conditions, accepted or not. */
  candidates: number;
}

const READS = new Set(["R", "LKR", "LF", "RL", "RU", "srcu-lock"]);
const WRITES = new Set(["W", "LKW", "UL", "srcu-unlock"]);

export function enumerateNaively(
  program: Program,
  judge: (x: Execution) => Judgement,
  observe: readonly Slot[],
  condition: Predicate,
  filter: Predicate | null = null,
  /** How many observed values, from the first, make up a state. */
  shown = observe.length,
): NaiveResult {
  const result: NaiveResult = {
    positive: 0,
    negative: 0,
    states: new Set(),
    flags: new Set(),
    candidates: 0,
  };
  const locations = locationsOf(program);
  const initial = initialValue(program);
  eachCombination(
    programPaths(program).paths,
    initial,
    () => {},
    (paths) => {
      const events = numberEvents(paths, locations);
      const reads: number[] = [];
      const writers = new Map<number, number[]>(locations.map((loc, i) => [loc, [i]]));
      events.forEach((d, i) => {
        if (d.e === null) return;
        if (READS.has(d.e.kind)) reads.push(i);
        if (WRITES.has(d.e.kind)) writers.get(d.loc)?.push(i);
      });
      const lockLocs = new Set(
        events
          .filter(
            (d) =>
              d.e?.kind === "LKW" ||
              d.e?.kind === "UL" ||
              d.e?.kind === "LF" ||
              (d.e?.kind.startsWith("R") === true && d.e.kind.length === 2),
          )
          .map((d) => d.loc),
      );
      const rf = new Array<number>(events.length).fill(-1);
      const orders: number[][] = [];
      const visitReads = (k: number): void => {
        const r = reads[k];
        if (r === undefined) {
          finish(
            paths,
            rf,
            orders.map((o) => o.slice()),
          );
          return;
        }
        for (const w of writers.get(events[r].loc) ?? []) {
          if (!maySource(r, w)) continue;
          rf[r] = w;
          visitReads(k + 1);
        }
        rf[r] = -1;
      };
      // lock.cat: what each kind of lock event may read, before coherence is asked.
      const maySource = (r: number, w: number): boolean => {
        const e = events[r].e;
        const we = events[w].e;
        if (e === null || !lockLocs.has(events[r].loc)) return true;
        const order = orders.find((o) => o.includes(w)) ?? [];
        const own = we !== null && events[w].thread === events[r].thread;
        const before = events.filter(
          (d) =>
            d.thread === events[r].thread &&
            d.loc === events[r].loc &&
            d.index < events[r].index &&
            (d.e?.kind === "LKW" || d.e?.kind === "UL"),
        );
        const last = before.at(-1);
        if (e.kind === "LKR") {
          const mine = events.findIndex((d) => d.thread === events[r].thread && d.index === e.rmw);
          return order.indexOf(w) === order.indexOf(mine) - 1 && we?.kind !== "LKW";
        }
        if (e.kind === "RU") return we === null || (we.kind === "UL" && (!own || last === events[w]));
        if (we?.kind !== "LKW") return false;
        return last?.e?.kind === "LKW" ? last === events[w] : !own;
      };
      const visitLocs = (k: number): void => {
        if (k === locations.length) {
          visitReads(0);
          return;
        }
        const [first, ...rest] = writers.get(locations[k]) ?? [];
        for (const p of permutations(rest)) {
          const order = [first, ...p];
          if (lockLocs.has(locations[k]) && !sections(order)) continue;
          orders.push(order);
          visitLocs(k + 1);
          orders.pop();
        }
      };
      // Each unlock right after its lock; only the last section may lack one; no lock twice in a thread.
      const sections = (order: readonly number[]): boolean => {
        for (let i = 1; i < order.length; i++) {
          const d = events[order[i]];
          const before = events[order[i - 1]];
          if (d.e?.kind === "UL") {
            if (before.e?.kind !== "LKW" || before.thread !== d.thread || before.index > d.index)
              return false;
            // The nearest lock of the thread before it.
            if (
              events.some(
                (o) =>
                  o.thread === d.thread &&
                  o.loc === d.loc &&
                  o.e?.kind === "LKW" &&
                  o.index > before.index &&
                  o.index < d.index,
              )
            )
              return false;
          } else if (before.e?.kind === "LKW") return false;
        }
        return true;
      };
      const finish = (
        combo: readonly Path[],
        sources: readonly number[],
        co: readonly (readonly number[])[],
      ): void => {
        const values = solve(combo, sources, events, initial);
        if (values === null) return;
        result.candidates++;
        const j = judge({ events, rf: sources, co });
        if (j.failed.length > 0) return;
        const state = observe.map((s) => {
          if (s.k === "reg") return values.of(s.thread, combo[s.thread].regs[s.reg] ?? 0);
          const order = co[locations.indexOf(s.loc)];
          const last = order?.at(-1);
          return last === undefined || lockLocs.has(s.loc) ? initial(s.loc) : values.write(last);
        });
        if (filter !== null && filter(state) !== 1) return;
        for (const f of j.flags) result.flags.add(f);
        result.states.add(state.slice(0, shown).join(","));
        if (condition(state) === 1) result.positive++;
        else result.negative++;
      };
      visitLocs(0);
    },
  );
  return result;
}

function* permutations(items: readonly number[]): Generator<number[]> {
  if (items.length === 0) yield [];
  for (let i = 0; i < items.length; i++) {
    for (const rest of permutations([...items.slice(0, i), ...items.slice(i + 1)])) yield [items[i], ...rest];
  }
}

interface Solved {
  of(thread: number, s: Sym): number;
  write(event: number): number;
}

/** Values by repeated substitution; null if a path's conditions fail or a circle has no solution. */
function solve(
  paths: readonly Path[],
  rf: readonly number[],
  events: ReturnType<typeof numberEvents>,
  initial: (loc: number) => number,
): Solved | null {
  const written = new Map<number, number>();
  const number = new Map<string, number>();
  events.forEach((d, i) => {
    if (d.e === null) written.set(i, initial(d.loc));
    number.set(`${d.thread},${d.index}`, i);
  });
  const of = (t: number, s: Sym): number | undefined => {
    if (typeof s === "number") return s;
    if (s.k === "read") return written.get(rf[number.get(`${t},${s.event}`) ?? -1]);
    const a = of(t, s.a);
    if (a === undefined) return undefined;
    if (s.k === "un") return evalUn(s.fn, a);
    const b = of(t, s.b);
    return b === undefined ? undefined : evalBin(s.fn, a, b);
  };
  for (let changed = true; changed; ) {
    changed = false;
    events.forEach((d, i) => {
      if (d.e === null || written.has(i) || !WRITES.has(d.e.kind)) return;
      const v = of(d.thread, d.e.addr) === undefined ? undefined : of(d.thread, d.e.value);
      if (v !== undefined) {
        written.set(i, v);
        changed = true;
      }
    });
  }
  // What is left is circular: copies get one symbol for the circle, anything else has no solution.
  for (const [i, d] of events.entries()) {
    if (d.e === null || written.has(i) || !WRITES.has(d.e.kind)) continue;
    const circle: number[] = [];
    let at = i;
    while (!circle.includes(at)) {
      circle.push(at);
      const e = events[at].e;
      if (e === null || typeof e.value === "number" || e.value.k !== "read") return null;
      at = rf[number.get(`${events[at].thread},${e.value.event}`) ?? -1];
      if (written.has(at)) return null; // the address is what is circular
    }
    const symbol = 2 ** 40 + Math.min(...circle.slice(circle.indexOf(at)));
    for (const w of circle) written.set(w, symbol);
  }
  for (const [t, p] of paths.entries()) {
    for (const c of p.constraints) {
      const v = of(t, c.sym);
      if (v === undefined) return null;
      if (v >= 2 ** 40 || (v === c.value) !== c.eq) return null;
    }
    // Arithmetic on what nothing determines has no solution.
    const operands = (s: Sym): Sym[] =>
      typeof s === "number" || s.k === "read" ? [] : s.k === "un" ? [s.a] : [s.a, s.b];
    for (const s of p.computed) if (operands(s).some((x) => (of(t, x) ?? 0) >= 2 ** 40)) return null;
  }
  return { of: (t, s) => of(t, s) ?? Number.NaN, write: (i) => written.get(i) ?? Number.NaN };
}
