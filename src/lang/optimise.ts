/**
 * Makes functions and threads small: constants and copies are propagated, branches on constants folded, jumps
 * threaded through blocks that only decide, constant-indexed arrays turned into registers, dead local code
 * dropped. Sound for exploration: a visible operation is never dropped, duplicated or moved past another; a
 * load whose result is not used stays. Identities that would break a data dependency (`x ^ x`, `x & 0`) are
 * left alone, so that dependencies are those of the source.
 *
 * "Strict" registers (one definition, which dominates every use; as in SSA form) are propagated over the
 * whole function, others within blocks and along forward edges on which the facts agree. Cooper & Torczon,
 * Engineering a Compiler, chapters 8-10, has the techniques.
 */

import { cleanCfg, dominators, type FlatBlock, predecessors } from "./cfg.ts";
import { constant, evalBin, evalUn, NO_REG, type Reg, type Val, val } from "./ir.ts";
import { BitSet, BlockWalker, liveIn, liveOutOf } from "./liveness.ts";
import { defOf, type FlatInstr, forEachVal, mapTerminatorVal, mapVals, terminatorVal } from "./operands.ts";

/** What the passes work on: a function without calls. */
export interface FlatFn {
  nregs: number;
  regNames: string[];
  /** Registers defined on entry. */
  params: readonly Reg[];
  arrays: { readonly name: string; readonly size: number }[];
  /** The first `fixedArrays` arrays are the caller's: their contents outlive the function. */
  fixedArrays: number;
  blocks: FlatBlock[];
}

type Facts = Map<Reg, Val>;

/**
 * Folds an instruction whose operands are constants, and identities that keep dependencies; else gives it
 * back.
 */
function foldInstr(i: FlatInstr): FlatInstr {
  if (i.op === "bin") {
    const { a, b } = i;
    if (a.reg < 0 && b.reg < 0)
      return { op: "mov", dst: i.dst, a: constant(evalBin(i.fn, a.imm, b.imm)), pos: i.pos };
    if (b.reg < 0) {
      if (i.fn === "add") return { op: "mov", dst: i.dst, a: val(a.reg, (a.imm + b.imm) | 0), pos: i.pos };
      if (i.fn === "sub") return { op: "mov", dst: i.dst, a: val(a.reg, (a.imm - b.imm) | 0), pos: i.pos };
      const c = b.imm;
      const keeps =
        (c === 0 && (i.fn === "or" || i.fn === "xor" || i.fn === "shl" || i.fn === "shr")) ||
        (c === 1 && (i.fn === "mul" || i.fn === "div")) ||
        (c === -1 && i.fn === "and");
      if (keeps) return { op: "mov", dst: i.dst, a, pos: i.pos };
    } else if (a.reg < 0) {
      if (i.fn === "add") return { op: "mov", dst: i.dst, a: val(b.reg, (b.imm + a.imm) | 0), pos: i.pos };
      const c = a.imm;
      if ((c === 0 && (i.fn === "or" || i.fn === "xor")) || (c === 1 && i.fn === "mul"))
        return { op: "mov", dst: i.dst, a: b, pos: i.pos };
    }
  } else if (i.op === "un" && i.a.reg < 0)
    return { op: "mov", dst: i.dst, a: constant(evalUn(i.fn, i.a.imm)), pos: i.pos };
  return i;
}

function resolve(v: Val, facts: Facts, strict: Facts): Val {
  if (v.reg < 0) return v;
  const f = strict.get(v.reg) ?? facts.get(v.reg);
  if (f === undefined) return v;
  return f.reg < 0 ? constant(f.imm + v.imm) : val(f.reg, (f.imm + v.imm) | 0);
}

/** `mentioned` says which registers have ever been the value of a fact, so that the scan is rarely needed. */
function kill(facts: Facts, r: Reg, mentioned: Uint8Array): void {
  facts.delete(r);
  if (mentioned[r] === 0) return;
  for (const [k, v] of facts) if (v.reg === r) facts.delete(k);
}

function intersect(into: Facts, other: Facts): void {
  for (const [k, v] of into) {
    const w = other.get(k);
    if (w === undefined || w.reg !== v.reg || w.imm !== v.imm) into.delete(k);
  }
}

/** Registers with one definition that dominates every use: 1. Blocks are in reverse post order. */
export function strictRegs(fn: FlatFn, preds: readonly (readonly number[])[]): Uint8Array {
  const defs = new Uint8Array(fn.nregs);
  const defBlock = new Int32Array(fn.nregs).fill(-1);
  for (const p of fn.params) {
    defs[p] = 1;
    defBlock[p] = 0;
  }
  fn.blocks.forEach((b, n) => {
    for (const i of b.instrs) {
      const d = defOf(i);
      if (d >= 0) {
        if (defs[d] < 2) defs[d]++;
        defBlock[d] = n;
      }
    }
  });
  const idom = dominators(preds);
  const strict = new Uint8Array(fn.nregs);
  for (let r = 0; r < fn.nregs; r++) strict[r] = defs[r] === 1 ? 1 : 0;
  const defined = new BitSet(fn.nregs);
  for (const p of fn.params) defined.add(p);
  fn.blocks.forEach((b, n) => {
    const use = (v: Val): void => {
      const r = v.reg;
      if (r < 0 || strict[r] === 0) return;
      const d = defBlock[r];
      // In the block of its definition a use must come behind it, which `defined` tells since blocks run in
      // order.
      if (d === n) {
        if (!defined.has(r)) strict[r] = 0;
        return;
      }
      let x = n;
      while (x > d) x = idom[x];
      if (x !== d) strict[r] = 0;
    };
    for (const i of b.instrs) {
      forEachVal(i, use);
      const d = defOf(i);
      if (d >= 0) defined.add(d);
    }
    const t = terminatorVal(b.end);
    if (t !== undefined) use(t);
  });
  return strict;
}

/**
 * One round of propagation and folding. Leaves in `exits` what is known at the end of each block. True if it
 * did anything.
 */
function propagate(fn: FlatFn, preds: readonly (readonly number[])[], exits: Facts[]): boolean {
  let changed = false;
  const isStrict = strictRegs(fn, preds);
  const mentioned = new Uint8Array(fn.nregs);
  const strict: Facts = new Map();
  fn.blocks.forEach((block, n) => {
    let facts: Facts = new Map();
    // Facts of a predecessor that is yet to come (a back edge) are not known: none are kept.
    if (n > 0 && preds[n].every((p) => p < n)) {
      preds[n].forEach((p, k) => {
        if (k === 0) facts = new Map(exits[p]);
        else intersect(facts, exits[p]);
      });
    }
    const look = (v: Val): Val => resolve(v, facts, strict);
    const out: FlatInstr[] = [];
    for (const original of block.instrs) {
      const i = foldInstr(mapVals(original, look));
      if (i !== original) changed = true;
      const d = defOf(i);
      if (i.op === "mov" && i.a.reg === d && i.a.imm === 0) {
        changed = true;
        continue;
      }
      if (d >= 0) {
        kill(facts, d, mentioned);
        if (i.op === "mov" && i.a.reg !== d) {
          if (isStrict[d] === 1 && (i.a.reg < 0 || isStrict[i.a.reg] === 1)) strict.set(d, i.a);
          else {
            facts.set(d, i.a);
            if (i.a.reg >= 0) mentioned[i.a.reg] = 1;
          }
        }
      }
      if (i.op === "assert" && i.a.reg < 0 && i.a.imm !== 0) {
        changed = true;
        continue;
      }
      out.push(i);
    }
    block.instrs = out;
    const end = mapTerminatorVal(block.end, look);
    if (end !== block.end) changed = true;
    block.end = end;
    exits[n] = facts;
  });
  return changed;
}

/** Local instructions that cannot fail. */
function isPure(i: FlatInstr, fn: FlatFn): boolean {
  if (i.op === "mov" || i.op === "bin" || i.op === "un" || i.op === "cpu" || i.op === "slot") return true;
  return i.op === "aget" && inRange(i.idx, fn.arrays[i.arr].size);
}

function inRange(idx: Val, size: number): boolean {
  return idx.reg < 0 && idx.imm >= 0 && idx.imm < size;
}

/**
 * Where a block only decides (few local instructions, then a branch) and a predecessor that jumps to it knows
 * the outcome, the predecessor gets a copy of the instructions and goes there directly.
 */
function threadJumps(fn: FlatFn, exits: readonly Facts[]): boolean {
  let changed = false;
  const none: Facts = new Map();
  // Copied instructions are few: every register may be mentioned.
  const mentioned = new Uint8Array(fn.nregs).fill(1);
  fn.blocks.forEach((p, n) => {
    if (p.end.op !== "jump") return;
    const j = fn.blocks[p.end.to];
    if (j.end.op !== "branch" || j.instrs.length > 4 || j === p) return;
    if (!j.instrs.every((i) => i.op === "mov" || i.op === "bin" || i.op === "un")) return;
    const facts: Facts = new Map(exits[n]);
    for (const original of j.instrs) {
      const i = foldInstr(mapVals(original, (v) => resolve(v, facts, none)));
      const d = defOf(i);
      kill(facts, d, mentioned);
      if (i.op === "mov" && i.a.reg !== d) facts.set(d, i.a);
    }
    const cond = resolve(j.end.cond, facts, none);
    if (cond.reg >= 0) return;
    p.instrs = [...p.instrs, ...j.instrs];
    p.end = { op: "jump", to: cond.imm !== 0 ? j.end.then : j.end.else, pos: p.end.pos };
    changed = true;
  });
  return changed;
}

/** Drops pure local instructions whose result is dead, and writes to arrays that nothing reads. */
function dropDead(fn: FlatFn): boolean {
  const ins = liveIn(fn);
  const out = new BitSet(fn.nregs + fn.arrays.length);
  const walker = new BlockWalker(fn);
  let changed = false;
  for (const block of fn.blocks) {
    liveOutOf(block.end, ins, out);
    // A caller's array outlives the function.
    if (block.end.op === "return") for (let a = 0; a < fn.fixedArrays; a++) out.add(fn.nregs + a);
    walker.start(out);
    walker.terminator(block.end);
    const kept: FlatInstr[] = [];
    for (let k = block.instrs.length - 1; k >= 0; k--) {
      const i = block.instrs[k];
      const d = defOf(i);
      const dead =
        (d >= 0 && !walker.live.has(d) && isPure(i, fn)) ||
        (i.op === "aset" &&
          i.arr >= fn.fixedArrays &&
          inRange(i.idx, fn.arrays[i.arr].size) &&
          !walker.live.has(fn.nregs + i.arr));
      if (dead) {
        changed = true;
        continue;
      }
      walker.instr(i);
      kept.push(i);
    }
    if (kept.length !== block.instrs.length) block.instrs = kept.reverse();
  }
  return changed;
}

/** Arrays of at most 64 words that are only ever indexed by constants within bounds become registers. */
function scalarArrays(fn: FlatFn): boolean {
  const ok = fn.arrays.map((a, n) => n >= fn.fixedArrays && a.size > 0 && a.size <= 64);
  let any = false;
  for (const b of fn.blocks)
    for (const i of b.instrs) {
      if ((i.op === "aget" || i.op === "aset") && !inRange(i.idx, fn.arrays[i.arr].size)) ok[i.arr] = false;
      if (i.op === "call") for (const arg of i.args) if (arg.k === "array") ok[arg.arr] = false;
    }
  const first = fn.arrays.map((a, n) => {
    if (!ok[n]) return -1;
    const r = fn.nregs;
    fn.nregs += a.size;
    for (let e = 0; e < a.size; e++) fn.regNames.push(a.size === 1 ? a.name : `${a.name}[${e}]`);
    any = true;
    return r;
  });
  if (!any) return false;
  for (const b of fn.blocks)
    b.instrs = b.instrs.map((i) => {
      if (i.op === "aget" && first[i.arr] >= 0)
        return { op: "mov", dst: i.dst, a: val(first[i.arr] + i.idx.imm), pos: i.pos };
      if (i.op === "aset" && first[i.arr] >= 0)
        return { op: "mov", dst: first[i.arr] + i.idx.imm, a: i.a, pos: i.pos };
      return i;
    });
  // The arrays stay in the table, unused, so that indices keep their meaning; `compact` drops them.
  fn.arrays = fn.arrays.map((a, n) => (first[n] >= 0 ? { name: a.name, size: 0 } : a));
  return true;
}

/** Optimises in place until nothing changes, at most `rounds` times. */
export function optimise(fn: FlatFn, rounds = 6): void {
  fn.blocks = cleanCfg(fn.blocks);
  for (let round = 0; round < rounds; round++) {
    const scalars = scalarArrays(fn);
    const exits: Facts[] = [];
    const propagated = propagate(fn, predecessors(fn.blocks), exits);
    const threaded = threadJumps(fn, exits);
    if (!scalars && !propagated && !threaded && round > 0) break;
    if (propagated || threaded) fn.blocks = cleanCfg(fn.blocks);
    if (dropDead(fn)) fn.blocks = cleanCfg(fn.blocks);
  }
}

/** Renumbers registers and arrays so that only used ones remain; parameters come first, used or not. */
export function compact(fn: FlatFn): void {
  const reg = new Int32Array(fn.nregs).fill(-1);
  const names: string[] = [];
  const take = (r: Reg): void => {
    if (r >= 0 && reg[r] < 0) {
      reg[r] = names.length;
      names.push(fn.regNames[r]);
    }
  };
  const arr = new Int32Array(fn.arrays.length).fill(-1);
  const arrays: { name: string; size: number }[] = [];
  const takeArray = (a: number): void => {
    if (arr[a] < 0) {
      arr[a] = arrays.length;
      arrays.push(fn.arrays[a]);
    }
  };
  for (const p of fn.params) take(p);
  for (let a = 0; a < fn.fixedArrays; a++) takeArray(a);
  for (const b of fn.blocks) {
    for (const i of b.instrs) {
      forEachVal(i, (v) => take(v.reg));
      take(defOf(i));
      if (i.op === "aget" || i.op === "aset") takeArray(i.arr);
    }
    const t = terminatorVal(b.end);
    if (t !== undefined) take(t.reg);
  }
  const map = (v: Val): Val => (v.reg < 0 || reg[v.reg] === v.reg ? v : val(reg[v.reg], v.imm));
  for (const b of fn.blocks) {
    b.instrs = b.instrs.map((original) => {
      let i = mapVals(original, map);
      if (i.op === "aget" || i.op === "aset") i = { ...i, arr: arr[i.arr] };
      return "dst" in i && i.dst !== NO_REG ? { ...i, dst: reg[i.dst] } : i;
    });
    b.end = mapTerminatorVal(b.end, map);
  }
  fn.params = fn.params.map((p) => reg[p]);
  fn.nregs = names.length;
  fn.regNames = names;
  fn.arrays = arrays;
}
