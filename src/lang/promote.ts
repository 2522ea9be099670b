/**
 * Variables whose address is taken but goes nowhere: once calls are inlined, all that is done with the
 * address is loads and stores by the function itself, so the variable is registers and no memory. It costs no
 * step, no state, and no engine has to know what an object on a stack is. (Scalar replacement of aggregates;
 * Muchnick, Advanced Compiler Design and Implementation, 12.2.)
 *
 * A variable stays in memory where the address is anything else than that of an access (it is stored,
 * passed on, compared with another, added to), where an access orders others or waits, where it may lie
 * outside of the variable, or where the variable may have ended: then the access is an error, which an engine
 * must see.
 */

import { predecessors } from "./cfg.ts";
import { constant, type RmwFn, type Val, val } from "./ir.ts";
import { defOf, type FlatInstr, forEachVal, terminatorVal } from "./operands.ts";
import { type FlatFn, strictRegs } from "./optimise.ts";

/** Functions of a read-modify-write that are one instruction. */
const DIRECT: ReadonlySet<RmwFn> = new Set<RmwFn>(["add", "and", "or", "xor", "xchg"]);

/** Registers that hold an address in a slot: which (-1: none), and how far into it. */
interface Addresses {
  readonly of: Int32Array;
  readonly offset: Int32Array;
}

/** From what defines a register once: the slot itself, or a copy of such a register. */
function addressesOf(fn: FlatFn): Addresses {
  const of = new Int32Array(fn.nregs).fill(-1);
  const offset = new Int32Array(fn.nregs);
  const defs = new Int32Array(fn.nregs);
  for (const p of fn.params) defs[p]++;
  for (const b of fn.blocks)
    for (const i of b.instrs) {
      const d = defOf(i);
      if (d >= 0) defs[d]++;
    }
  for (let changed = true; changed; ) {
    changed = false;
    for (const b of fn.blocks)
      for (const i of b.instrs) {
        const d = defOf(i);
        if (d < 0 || defs[d] !== 1 || of[d] >= 0) continue;
        if (i.op === "slot") of[d] = i.slot;
        else if (i.op === "mov" && i.a.reg >= 0 && of[i.a.reg] >= 0) {
          of[d] = of[i.a.reg];
          offset[d] = offset[i.a.reg] + i.a.imm;
        } else continue;
        changed = true;
      }
  }
  return { of, offset };
}

/**
 * The slots of which some address may be used before it is one: on a way to a use that does not pass its
 * definition the register is still 0.
 */
function usedBefore(fn: FlatFn, of: Int32Array): Set<number> {
  const strict = strictRegs(fn, predecessors(fn.blocks));
  return new Set(of.filter((slot, r) => slot >= 0 && strict[r] === 0));
}

/** Whether the address of a variable is NULL is known. */
function foldNullTests(fn: FlatFn, of: Int32Array, bad: ReadonlySet<number>): void {
  const isAddress = (v: Val): boolean => v.reg >= 0 && v.imm === 0 && of[v.reg] >= 0 && !bad.has(of[v.reg]);
  const isNull = (v: Val): boolean => v.reg < 0 && v.imm === 0;
  for (const b of fn.blocks) {
    b.instrs = b.instrs.map((i): FlatInstr => {
      if (i.op === "un" && i.fn === "lnot" && isAddress(i.a))
        return { op: "mov", dst: i.dst, a: constant(0), pos: i.pos };
      if (i.op !== "bin" || (i.fn !== "eq" && i.fn !== "ne")) return i;
      const test = (isAddress(i.a) && isNull(i.b)) || (isNull(i.a) && isAddress(i.b));
      return test ? { op: "mov", dst: i.dst, a: constant(i.fn === "ne" ? 1 : 0), pos: i.pos } : i;
    });
    if (b.end.op === "branch" && isAddress(b.end.cond)) b.end = { ...b.end, cond: constant(1) };
  }
}

/** Slot of the address of an access that could be one of a register; -1 if it is none. */
function accessed(i: FlatInstr, { of }: Addresses): number {
  switch (i.op) {
    case "free":
    case "revive":
      return i.addr.reg >= 0 ? of[i.addr.reg] : -1;
    case "load":
    case "store":
      return i.addr.reg >= 0 && (i.order === "plain" || i.order === "once") ? of[i.addr.reg] : -1;
    case "rmw":
      return i.addr.reg >= 0 && DIRECT.has(i.fn) && (i.order === "once" || i.order === "noreturn")
        ? of[i.addr.reg]
        : -1;
    default:
      return -1;
  }
}

/** The slots, of those that `size` gives the bytes of, that need no memory. */
function promotable(fn: FlatFn, at: Addresses, size: readonly number[]): Set<number> {
  const { of, offset } = at;
  const good = new Set(size.keys());
  const bad = usedBefore(fn, of);
  for (const s of bad) good.delete(s);
  foldNullTests(fn, of, bad);
  const leak = (reg: number): void => {
    if (reg >= 0 && of[reg] >= 0) good.delete(of[reg]);
  };
  for (const b of fn.blocks) {
    for (const i of b.instrs) {
      if (i.op === "slot") {
        // Defined more than once: which variable a use means is not known.
        if (of[i.dst] < 0) good.delete(i.slot);
        continue;
      }
      if (i.op === "mov" && of[i.dst] >= 0) continue;
      const slot = accessed(i, at);
      if (slot < 0) {
        forEachVal(i, (v) => leak(v.reg));
        continue;
      }
      const { addr } = i as { addr: Val };
      const into = offset[addr.reg] + addr.imm;
      const inside = into >= 0 && into < size[slot];
      const whole = (i.op !== "free" && i.op !== "revive") || into === 0;
      if (!inside || !whole) good.delete(slot);
      if (i.op === "store") leak(i.a.reg);
      if (i.op === "rmw") {
        leak(i.a.reg);
        leak(i.b.reg);
      }
    }
    const t = terminatorVal(b.end);
    if (t !== undefined) leak(t.reg);
  }
  return good;
}

/** Takes out the slots of which some access may come before the variable begins or behind its end. */
function keepLive(fn: FlatFn, at: Addresses, good: Set<number>): void {
  const preds = predecessors(fn.blocks);
  const all = new Set(good);
  const out: Set<number>[] = fn.blocks.map(() => new Set(all));
  const entry = (n: number): Set<number> => {
    if (n === 0) return new Set();
    const live = new Set(all);
    for (const p of preds[n]) for (const s of live) if (!out[p].has(s)) live.delete(s);
    return live;
  };
  const through = (n: number, live: Set<number>, bad: ((slot: number) => void) | null): void => {
    for (const i of fn.blocks[n].instrs) {
      const slot = accessed(i, at);
      if (slot < 0) continue;
      if (i.op === "revive") live.add(slot);
      else {
        if (!live.has(slot)) bad?.(slot);
        if (i.op === "free") live.delete(slot);
      }
    }
  };
  for (let changed = true; changed; ) {
    changed = false;
    fn.blocks.forEach((_, n) => {
      const live = entry(n);
      through(n, live, null);
      if (live.size === out[n].size && [...live].every((s) => out[n].has(s))) return;
      out[n] = live;
      changed = true;
    });
  }
  fn.blocks.forEach((_, n) => {
    through(n, entry(n), (slot) => good.delete(slot));
  });
}

/**
 * Puts variables into registers. `size` has the bytes of each slot of `fn`, by its number; `name` what a
 * variable is called in counterexamples. Blocks are in reverse post order. Gives how many were put there.
 */
export function promoteSlots(fn: FlatFn, size: readonly number[], name: (slot: number) => string): number {
  if (size.length === 0) return 0;
  const at = addressesOf(fn);
  const good = promotable(fn, at, size);
  if (good.size > 0) keepLive(fn, at, good);
  if (good.size === 0) return 0;
  const registers = new Map<string, number>();
  const words = new Map<number, number[]>();
  const register = (slot: number, offset: number): number => {
    const key = `${slot} ${offset}`;
    let r = registers.get(key);
    if (r === undefined) {
      r = fn.nregs++;
      fn.regNames.push(name(slot));
      registers.set(key, r);
      words.set(slot, [...(words.get(slot) ?? []), r]);
    }
    return r;
  };
  // Every word must be known before the first beginning of its variable makes it 0.
  const each = (f: (i: FlatInstr, slot: number) => FlatInstr[]): void => {
    for (const b of fn.blocks)
      b.instrs = b.instrs.flatMap((i) => {
        const slot = i.op === "slot" ? i.slot : i.op === "mov" ? at.of[i.dst] : accessed(i, at);
        return slot >= 0 && good.has(slot) ? f(i, slot) : [i];
      });
  };
  const into = (a: Val): number => at.offset[a.reg] + a.imm;
  each((i, slot) => {
    if (i.op === "load" || i.op === "store" || i.op === "rmw") register(slot, into(i.addr));
    return [i];
  });
  each((i, slot): FlatInstr[] => {
    const { pos } = i;
    switch (i.op) {
      case "revive":
        return (words.get(slot) ?? []).map((dst) => ({ op: "mov", dst, a: constant(0), pos }));
      case "load":
        return [{ op: "mov", dst: i.dst, a: val(register(slot, into(i.addr))), pos }];
      case "store":
        return [{ op: "mov", dst: register(slot, into(i.addr)), a: i.a, pos }];
      case "rmw": {
        const dst = register(slot, into(i.addr));
        const next = fn.nregs++;
        fn.regNames.push("");
        return [
          i.fn === "xchg"
            ? { op: "mov", dst: next, a: i.a, pos }
            : { op: "bin", fn: i.fn as "add" | "and" | "or" | "xor", dst: next, a: val(dst), b: i.a, pos },
          { op: "mov", dst: i.dst, a: val(dst), pos },
          { op: "mov", dst, a: val(next), pos },
        ];
      }
      default:
        return [];
    }
  });
  return good.size;
}
