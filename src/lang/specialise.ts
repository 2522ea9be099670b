/**
 * Specialises functions for one configuration: constants at their values of this moment, branches on them
 * folded, what cannot be reached dropped, callees copied into their callers, bottom-up. A function that meets
 * the same constants in a later link, and the same specialised callees, is taken from a cache. What a
 * configuration does not call does not count as recursion.
 *
 * Positions of what is inlined stay symbolic (callee, call site) and are written out once, for a whole
 * thread.
 */

import { cleanCfg } from "./cfg.ts";
import { DialectError, type DialectErrorCode, diagnostic } from "./errors.ts";
import { type CallInstr, constant, type PosId, type Position, type Val, val } from "./ir.ts";
import type { ConstRef, LowFn, LowSlot } from "./lowered.ts";
import { copyWith, type FlatInstr, mapTargets, mapTerminatorVal } from "./operands.ts";
import { compact, type FlatFn, optimise } from "./optimise.ts";

/** Where functions and the values of their constants come from: the dialect's modules, or a program in C. */
export interface LowSource {
  /** By `file#name`; undefined if there is none. */
  function(id: string): LowFn | undefined;
  /** The value of a constant of a function, as things are now. */
  constant(low: LowFn, ref: ConstRef): number;
  /** Instructions that a function may have with all that it calls, and who refuses one that has more. */
  readonly most?: { readonly instrs: number; readonly refuse: (low: LowFn) => never };
}

/** A function with its callees inlined, for one configuration. */
export interface Specialised extends FlatFn {
  /** Stack objects, its own and those of what was inlined. */
  slots: LowSlot[];
  /**
   * Positions 0.. are those of its source; then come those of inlined functions, `base` onwards, in order.
   */
  ownPositions: readonly Position[];
  inlined: { readonly base: number; readonly callee: Specialised; readonly call: PosId }[];
  npositions: number;
  arrayParams: number;
  /** Instructions that an optimiser has seen together with most of the others. */
  optimised: number;
  low: LowFn;
}

/** @throws DialectError always */
export function refuseAt(
  place: { file: string; line: number; col: number },
  code: DialectErrorCode,
  detail: string,
  hint?: string,
): never {
  const at = { file: place.file, line: place.line, col: place.col };
  throw new DialectError([
    hint === undefined ? diagnostic(code, at, detail) : diagnostic(code, at, detail, hint),
  ]);
}

/** Specialises for one link, in which configuration does not change. */
export class Specialiser {
  private readonly done = new Map<string, Specialised>();
  private readonly stack: string[] = [];
  private readonly source: LowSource;

  constructor(source: LowSource) {
    this.source = source;
  }

  /** @throws DialectError HF107 for recursion, and what lowering and constants have to say. */
  specialise(low: LowFn): Specialised {
    const known = this.done.get(low.id);
    if (known !== undefined) return known;
    const cycle = this.stack.indexOf(low.id);
    if (cycle >= 0) {
      const names = [...this.stack.slice(cycle), low.id].map((id) => id.slice(id.lastIndexOf("#") + 1));
      refuseAt(low.positions[0], "HF107", names.join("() -> ") + "()");
    }
    this.stack.push(low.id);
    try {
      const fn = this.build(low);
      this.done.set(low.id, fn);
      return fn;
    } finally {
      this.stack.pop();
    }
  }

  /**
   * From the cache if a link before met the same constants, and the same again in all that is called; else
   * anew.
   */
  private build(low: LowFn): Specialised {
    let variants = cache.get(low);
    if (variants === undefined) {
      variants = { refs: constRefs(low), list: [] };
      cache.set(low, variants);
    }
    const constants = variants.refs.map((r) => this.source.constant(low, r));
    // With equal constants the same calls are left: of two such, one has callees of another configuration. To
    // ask is to specialise these, which may take something off the list.
    const known = [...variants.list].find(
      (v) => v.constants.every((c, i) => c === constants[i]) && v.callees.every((c) => this.isCurrent(c)),
    );
    if (known !== undefined) {
      if (recent.delete(known)) recent.add(known);
      return known.fn;
    }
    const fn = fold(low, constants);
    const callees = new Set<Specialised>();
    this.inline(fn, callees);
    // The thread as a whole is optimised to the end. Before, once, and not for a wrapper that adds little to
    // what is already optimised: chains of those (a page-table walk has one function per level) would cost
    // most of a link.
    const size = fn.blocks.reduce((n, b) => n + b.instrs.length, 0);
    let optimised = 0;
    for (const i of fn.inlined) optimised += i.callee.optimised;
    if (size - optimised > 0.3 * size) {
      optimise(fn, 1);
      compact(fn);
      fn.optimised = fn.blocks.reduce((n, b) => n + b.instrs.length, 0);
    } else fn.optimised = optimised;
    remember({ constants, callees: [...callees], fn, among: variants.list, instrs: size });
    return fn;
  }

  private isCurrent(callee: Specialised): boolean {
    const low = this.source.function(callee.low.id);
    return low !== undefined && this.specialise(low) === callee;
  }

  /** Replaces every call by a copy of the callee. */
  private inline(fn: Specialised, callees: Set<Specialised>): void {
    if (!fn.blocks.some((b) => b.instrs.some((i) => i.op === "call"))) return;
    const blocks = fn.blocks.map((b) => ({ instrs: [] as FlatInstr[], end: b.end }));
    const { most } = this.source;
    let size = 0;
    fn.blocks.forEach((b, n) => {
      let current = blocks[n];
      for (const i of b.instrs) {
        if (i.op !== "call") {
          current.instrs.push(i);
          continue;
        }
        const callee = this.source.function(i.callee);
        if (callee === undefined) throw new Error(`function ${i.callee} is not loaded`);
        const entry = blocks.length;
        const body = this.specialise(callee);
        callees.add(body);
        if (most !== undefined) {
          size += body.blocks.reduce((n, c) => n + c.instrs.length + 1, 0);
          if (size > most.instrs) most.refuse(fn.low);
        }
        const copy = copyInto(fn, body, i, current.instrs);
        const after = { instrs: [] as FlatInstr[], end: current.end };
        const exit = entry + copy.length;
        for (const c of copy) {
          if (c.end.op === "return") {
            if (i.dst >= 0) c.instrs.push({ op: "mov", dst: i.dst, a: c.end.a, pos: c.end.pos });
            c.end = { op: "jump", to: exit, pos: c.end.pos };
          } else c.end = mapTargets(c.end, (t) => t + entry);
          blocks.push(c);
        }
        blocks.push(after);
        current.end = { op: "jump", to: entry, pos: i.pos };
        current = after;
      }
    });
    fn.blocks = blocks;
  }
}

/** A function of a link before. */
interface Variant {
  readonly constants: readonly number[];
  readonly callees: readonly Specialised[];
  readonly fn: Specialised;
  /** Where it is kept. */
  readonly among: Variant[];
  readonly instrs: number;
}

interface Variants {
  readonly refs: readonly ConstRef[];
  readonly list: Variant[];
}
const cache = new WeakMap<LowFn, Variants>();
/** All that is kept: what was not needed for longest goes first. */
const recent = new Set<Variant>();
/** Instructions that are kept, of some 200 bytes each. */
const MOST_KEPT = 1_000_000;
let kept = 0;

function remember(v: Variant): void {
  v.among.push(v);
  recent.add(v);
  kept += v.instrs;
  for (const oldest of recent) {
    if (kept <= MOST_KEPT || oldest === v) return;
    recent.delete(oldest);
    oldest.among.splice(oldest.among.indexOf(oldest), 1);
    kept -= oldest.instrs;
  }
}

/** Every constant that the function reads, in the order in which `fold` takes their values. */
function constRefs(low: LowFn): ConstRef[] {
  const refs: ConstRef[] = [];
  for (const a of low.arrays) if (a.size !== null && typeof a.size !== "number") refs.push(a.size);
  for (const b of low.blocks) for (const i of b.instrs) if (i.op === "ext") refs.push(i.ref);
  return refs;
}

/**
 * Lowered function with its constants in place, pruned of what this configuration does not run; calls still
 * in it.
 */
function fold(low: LowFn, constants: readonly number[]): Specialised {
  let next = 0;
  const arrays = low.arrays.map((a) => {
    if (a.size === null) return { name: a.name, size: 0 };
    const size = typeof a.size === "number" ? a.size : constants[next++];
    if (size < 1 || size > 4096) refuseAt(low.positions[0], "HF137", `${a.name} has ${size} words`);
    return { name: a.name, size };
  });
  const blocks = low.blocks.map((b) => {
    const instrs: FlatInstr[] = [];
    for (const i of b.instrs) {
      if (i.op === "ext") {
        const value = constants[next++];
        if (i.shiftCount && (value < 1 || value > 31))
          refuseAt(low.positions[i.pos], "HF122", `the count is ${value}`);
        instrs.push({ op: "mov", dst: i.dst, a: constant(value), pos: i.pos });
      } else if (i.op === "azero") {
        for (let e = 0; e < arrays[i.arr].size; e++)
          instrs.push({ op: "aset", arr: i.arr, idx: constant(e), a: constant(0), pos: i.pos });
      } else instrs.push(i);
    }
    return { instrs, end: b.end };
  });
  const arrayParams = low.params.filter((k) => k === "array").length;
  const fn: Specialised = {
    nregs: low.nregs,
    regNames: [...low.regNames],
    params: low.params.map((_, p) => p),
    arrays,
    fixedArrays: arrayParams,
    blocks: cleanCfg(blocks),
    ownPositions: low.positions,
    inlined: [],
    npositions: low.positions.length,
    slots: [...low.slots],
    arrayParams,
    optimised: 0,
    low,
  };
  optimise(fn, 2);
  return fn;
}

/**
 * Appends the callee's registers, arrays and positions to the caller; gives its blocks, renumbered except for
 * targets.
 */
function copyInto(
  caller: Specialised,
  callee: Specialised,
  call: CallInstr,
  before: FlatInstr[],
): { instrs: FlatInstr[]; end: Specialised["blocks"][number]["end"] }[] {
  const regBase = caller.nregs;
  caller.nregs += callee.nregs;
  for (const name of callee.regNames) caller.regNames.push(name);
  // Positions are numbered as if the callee's had been copied here; they are written out once, for the
  // thread.
  const posBase = caller.npositions;
  caller.inlined.push({ base: posBase, callee, call: call.pos });
  caller.npositions += callee.npositions;

  const slotBase = caller.slots.length;
  for (const slot of callee.slots) caller.slots.push(slot);
  const arr: number[] = [];
  const place = caller.ownPositions[call.pos];
  call.args.forEach((arg, n) => {
    if ((arg.k === "array") !== (callee.low.params[n] === "array"))
      refuseAt(
        place,
        "HF128",
        `argument ${n + 1} of ${callee.low.name}() ${arg.k === "array" ? "is a number" : "is a LocalArray"}`,
      );
    if (arg.k === "array") arr.push(arg.arr);
    else before.push({ op: "mov", dst: regBase + n, a: arg.val, pos: call.pos });
  });
  for (let a = callee.arrayParams; a < callee.arrays.length; a++) {
    arr.push(caller.arrays.length);
    caller.arrays.push(callee.arrays[a]);
  }
  const map = (v: Val): Val => (v.reg < 0 ? v : val(v.reg + regBase, v.imm));
  return callee.blocks.map((b) => ({
    instrs: b.instrs.map((i) => {
      const out = copyWith(i, map);
      out.pos += posBase;
      if (out.dst !== undefined) out.dst += regBase;
      if (out.arr !== undefined) out.arr = arr[out.arr];
      if (out.slot !== undefined) out.slot += slotBase;
      return out as FlatInstr;
    }),
    end: { ...mapTerminatorVal(b.end, map), pos: b.end.pos + posBase },
  }));
}

/** Position `p` of a specialised function: of its own source, or of what was inlined. */
function lookUp(
  fn: Specialised,
  p: PosId,
): { own: Position } | { callee: Specialised; pos: PosId; call: PosId } {
  if (p < fn.ownPositions.length) return { own: fn.ownPositions[p] };
  let lo = 0;
  let hi = fn.inlined.length - 1;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (fn.inlined[mid].base <= p) lo = mid;
    else hi = mid - 1;
  }
  const { callee, base, call } = fn.inlined[lo];
  return { callee, pos: p - base, call };
}

/** Writes out the positions that a thread uses, each with its chain of callers, and renumbers in place. */
export function writePositions(blocks: FlatFn["blocks"], from: Specialised): Position[] {
  const kept: Position[] = [];
  const number = new Map<PosId, PosId>();
  const keep = (p: PosId): PosId => {
    let n = number.get(p);
    if (n !== undefined) return n;
    // Callers first: a chain always leads to smaller numbers.
    let parent: PosId = -1;
    let fn = from;
    let at = p;
    let offset = 0;
    for (;;) {
      const found = lookUp(fn, at);
      if ("own" in found) {
        n = kept.push(parent < 0 ? found.own : { ...found.own, parent }) - 1;
        number.set(p, n);
        return n;
      }
      parent = keep(offset + found.call);
      offset += at - found.pos;
      at = found.pos;
      fn = found.callee;
    }
  };
  for (const b of blocks) {
    b.instrs = b.instrs.map((i) => {
      const pos = keep(i.pos);
      return pos === i.pos ? i : { ...i, pos };
    });
    b.end = { ...b.end, pos: keep(b.end.pos) };
  }
  return kept;
}
