/**
 * The final condition: its observed slots, its evaluation on values some of which may still be unknown
 * (Kleene's three-valued logic), and its text as herd7 prints it.
 */
import type { Predicate, Slot } from "../check/enumerate/tally.ts";
import type { Loc, Operand, Prop } from "./ast.ts";
import type { LoweredTest } from "./lower.ts";
import { eachAtom } from "./lower.ts";

export interface Observed {
  readonly slots: readonly Slot[];
  /** The location or register of each slot. */
  readonly locs: readonly Loc[];
  readonly condition: Predicate;
  readonly filter: Predicate | null;
  /** How many slots make up a state (those of the filter alone come after them). */
  readonly shown: number;
}

const keyOf = (loc: Loc): string => (loc.k === "mem" ? `[${loc.name}]` : `${loc.proc}:${loc.name}`);

/** herd7's order of locations in a state: registers by process and name, then memory by name. */
function compareLocs(a: Loc, b: Loc): number {
  if (a.k !== b.k) return a.k === "reg" ? -1 : 1;
  if (a.k === "reg" && b.k === "reg" && a.proc !== b.proc) return a.proc - b.proc;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

export function observe(test: LoweredTest): Observed {
  const seen = new Map<string, Loc>();
  const add = (loc: Loc): void => {
    seen.set(keyOf(loc), loc);
  };
  const atoms = (p: Prop): void =>
    eachAtom(p, (a) => {
      add(a.left);
      if (a.right.k === "loc") add(a.right.loc);
    });
  for (const loc of test.file.locations) add(loc);
  atoms(test.file.condition);
  const locs = [...seen.values()].sort(compareLocs);
  const shown = locs.length;
  if (test.file.filter !== null) {
    atoms(test.file.filter);
    locs.push(...[...seen.values()].slice(shown));
  }
  const index = new Map(locs.map((l, i) => [keyOf(l), i]));
  const slots = locs.map((loc): Slot => {
    if (loc.k === "mem") return { k: "loc", loc: test.addresses.get(loc.name) ?? -1 };
    return { k: "reg", thread: loc.proc, reg: test.registers[loc.proc]?.get(loc.name) ?? -1 };
  });
  const filter = test.file.filter;
  return {
    slots,
    locs,
    shown,
    condition: compile(test.file.condition, index, test),
    filter: filter === null ? null : compile(filter, index, test),
  };
}

function compile(p: Prop, index: ReadonlyMap<string, number>, test: LoweredTest): Predicate {
  switch (p.k) {
    case "true":
      return () => 1;
    case "false":
      return () => 0;
    case "atom": {
      const left = index.get(keyOf(p.left)) ?? 0;
      const yes = p.eq ? 1 : 0;
      const no = p.eq ? 0 : 1;
      if (p.right.k === "loc") {
        const right = index.get(keyOf(p.right.loc)) ?? 0;
        return (v) => {
          const a = v[left];
          const b = v[right];
          return Number.isNaN(a) || Number.isNaN(b) ? -1 : a === b ? yes : no;
        };
      }
      const value = operandValue(p.right, test);
      return (v) => {
        const a = v[left];
        return Number.isNaN(a) ? -1 : a === value ? yes : no;
      };
    }
    case "not": {
      const f = compile(p.p, index, test);
      return (v) => {
        const x = f(v);
        return x === -1 ? -1 : x === 1 ? 0 : 1;
      };
    }
    case "and":
    case "or": {
      const fs = p.ps.map((q) => compile(q, index, test));
      const stop = p.k === "and" ? 0 : 1;
      return (v) => {
        let out: 1 | 0 | -1 = stop === 0 ? 1 : 0;
        for (const f of fs) {
          const x = f(v);
          if (x === stop) return x;
          if (x === -1) out = -1;
        }
        return out;
      };
    }
    case "implies":
      return compile({ k: "or", ps: [{ k: "not", p: p.p }, p.q] }, index, test);
  }
}

function operandValue(o: Exclude<Operand, { k: "loc" }>, test: LoweredTest): number {
  return o.k === "num" ? o.value : (test.addresses.get(o.name) ?? 0);
}
