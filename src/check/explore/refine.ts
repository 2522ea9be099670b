/**
 * What a branch says about registers: on the way where `pte & PRESENT` was not zero, `pte` is one of those of
 * its values for which that is so. The condition is followed back through the arithmetic of its block to each
 * register that it was computed from; a register whose set is small keeps the values with which the
 * arithmetic comes out as the branch went.
 */

import { type Block, evalBin, evalUn, type LocalInstr, type Val, type VisibleInstr } from "../../lang/ir.ts";
import { filter, setOf, singleton, type ValueSet } from "./valueset.ts";

type Instr = LocalInstr | VisibleInstr;

/** How far back a condition is followed. */
const MAX_DEPTH = 8;

export function value(v: Val, regs: readonly ValueSet[]): ValueSet {
  if (v.reg < 0) return singleton(v.imm);
  const s = regs[v.reg];
  if (v.imm === 0 || s === null) return s;
  return setOf(s.map((x) => evalBin("add", x, v.imm)));
}

const MIRROR: Partial<Record<string, "eq" | "ne" | "lt" | "le" | "gt" | "ge">> = {
  eq: "eq",
  ne: "ne",
  lt: "gt",
  le: "ge",
  gt: "lt",
  ge: "le",
};

function narrow(known: Map<number, ValueSet>, v: Val, s: ValueSet): void {
  if (v.reg < 0) return;
  known.set(v.reg, s === null || v.imm === 0 ? s : setOf(s.map((x) => evalBin("sub", x, v.imm))));
}

/** Where each register of the block got the value that it has at the end: index of the instruction. */
function lastDefinitions(block: Block<Instr>): Map<number, number> {
  const last = new Map<number, number>();
  block.instrs.forEach((i, k) => {
    if ("dst" in i) last.set(i.dst, k);
  });
  return last;
}

/** The arithmetic that `reg` was computed by, if its operands still have the values that it used. */
function definition(block: Block<Instr>, last: ReadonlyMap<number, number>, reg: number): LocalInstr | null {
  const k = last.get(reg);
  if (k === undefined) return null;
  const i = block.instrs[k];
  const intact = (v: Val): boolean => v.reg < 0 || (v.reg !== reg && (last.get(v.reg) ?? -1) < k);
  if (i.op === "mov" || i.op === "un") return intact(i.a) ? i : null;
  if (i.op === "bin") return intact(i.a) && intact(i.b) ? i : null;
  return null;
}

/** What is known better of some registers when the branch of `block` was taken (or not). */
export function refine(
  block: Block<Instr>,
  regs: readonly ValueSet[],
  taken: boolean,
): readonly (readonly [number, ValueSet])[] {
  if (block.end.op !== "branch" || block.end.cond.reg < 0) return [];
  const condition = block.end.cond;
  const out = new Map<number, ValueSet>();
  const last = lastDefinitions(block);

  // Two registers compared with each other.
  if (condition.imm === 0) {
    out.set(condition.reg, filter("ne", regs[condition.reg], [0], taken));
    const d = definition(block, last, condition.reg);
    if (d?.op === "bin") {
      const a = value(d.a, regs);
      const b = value(d.b, regs);
      narrow(out, d.a, filter(d.fn, a, b, taken));
      const mirrored = MIRROR[d.fn];
      if (mirrored !== undefined) narrow(out, d.b, filter(mirrored, b, a, taken));
    }
  }

  // A single register behind any arithmetic with constants.
  const evaluate = (v: Val, root: number, x: number, depth: number): number | null => {
    if (v.reg < 0) return v.imm;
    const known = regs[v.reg];
    if (v.reg === root) return (x + v.imm) | 0;
    if (known !== null && known.length === 1) return (known[0] + v.imm) | 0;
    const d = depth > 0 ? definition(block, last, v.reg) : null;
    if (d === null) return null;
    if (d.op === "mov") {
      const a = evaluate(d.a, root, x, depth - 1);
      return a === null ? null : (a + v.imm) | 0;
    }
    if (d.op === "un") {
      const a = evaluate(d.a, root, x, depth - 1);
      return a === null ? null : (evalUn(d.fn, a) + v.imm) | 0;
    }
    if (d.op !== "bin") return null;
    const a = evaluate(d.a, root, x, depth - 1);
    const b = evaluate(d.b, root, x, depth - 1);
    return a === null || b === null ? null : (evalBin(d.fn, a, b) + v.imm) | 0;
  };
  const roots = new Set<number>();
  const collect = (v: Val, depth: number): void => {
    if (v.reg < 0 || roots.has(v.reg)) return;
    roots.add(v.reg);
    const d = depth > 0 ? definition(block, last, v.reg) : null;
    if (d === null) return;
    if (d.op === "mov" || d.op === "un" || d.op === "bin") collect(d.a, depth - 1);
    if (d.op === "bin") collect(d.b, depth - 1);
  };
  collect(condition, MAX_DEPTH);
  for (const root of roots) {
    const better = out.get(root);
    const s = better === undefined ? regs[root] : better;
    if (s === null || s.length < 2) continue;
    const kept = s.filter((x) => {
      const c = evaluate(condition, root, x, MAX_DEPTH);
      return c === null || (c !== 0) === taken;
    });
    if (kept.length < s.length) out.set(root, kept);
  }
  return [...out];
}
