/**
 * Which words a thread may still touch. A value-set analysis of the whole program (flow-sensitive in
 * registers, flow-insensitive in memory) bounds the addresses of every visible operation; from these come the
 * words that can change at all (the rest is constant and left out of states) and what each operation may read
 * and write. Partial-order reduction (persistent.ts) stands on these sets, so each approximation here errs
 * towards "may touch": an address that cannot be bounded is every address.
 */

import type { LocalInstr, Program, ThreadIr, Val, VisibleInstr } from "../../lang/ir.ts";
import { isVisible } from "../../lang/ir.ts";
import { liveIn } from "../../lang/liveness.ts";
import { findCovered } from "./cover.ts";
import { groupOf, type HandlerGroup } from "./handlers.ts";
import { refine, value } from "./refine.ts";
import { ANY, binary, filter, NEVER, setOf, singleton, unary, union, type ValueSet } from "./valueset.ts";

/** Bits below the words' own in a footprint: what is not a word but conflicts like one. */
export const FP_READER_IRQ = 0; // in writes: enters an irq-off section
export const FP_READER_RCU = 1; // in writes: enters an rcu_read_lock section
export const FP_PUSH = 2; // in writes: puts something into its store buffer (TSO)
export const FP_IPI = 3; // in reads: looks at every CPU's irq-off state (a broadcast IPI is sent)
export const FP_GP = 4; // in reads: looks at every CPU's reader state (a grace period starts)
export const FP_SIGNAL = 5; // in writes: makes an interrupt handler pending on some CPU
export const FP_FIRST = 6;

/** What one visible operation may touch. */
export interface OpFootprint {
  readonly reads: Uint32Array;
  readonly writes: Uint32Array;
  /**
   * An access whose object cannot be freed in front of it unless it could be freed in front of an earlier
   * one: see cover.ts.
   */
  readonly covered: boolean;
  /** Addresses that an await or lock may wait on; null if unknown. Empty for other operations. */
  readonly waitsOn: readonly number[] | null;
  /** Values that an await may compare with; null if unknown. */
  readonly compares: readonly number[] | null;
}

/** Per block, per instruction; undefined where the instruction is not visible. */
export type BodyFootprint = readonly (readonly (OpFootprint | undefined)[])[];

export interface Footprints {
  /** Location bit of an address that may change; -1 if none of the threads ever writes it. */
  readonly locOfAddr: Int32Array;
  /** Location bit of a region's liveness; -1 if it is never freed or allocated. */
  readonly locOfRegion: Int32Array;
  /** Location bit of the instances of a group of handlers (handlers.ts). */
  readonly locOfHandler: ReadonlyMap<string, number>;
  /** Addresses that may change, ascending. */
  readonly dynamic: Int32Array;
  /** Regions that may change, ascending. */
  readonly dynamicRegions: Int32Array;
  /** Per address: 1 if only lock operations ever write it, so that only its holder can make it free. */
  readonly lockOnly: Uint8Array;
  /** Words of a bit set. */
  readonly setWords: number;
  /** `thread:<i>` or `handler:<name>`. */
  readonly bodies: ReadonlyMap<string, BodyFootprint>;
}

interface OpSets {
  addr: ValueSet;
  /** What an await compares with. */
  compares: ValueSet;
  /** Regions that alloc/free/revive act on; ANY if unknown. */
  regions: ValueSet;
}

type Instr = LocalInstr | VisibleInstr;

/**
 * A word or handler argument whose set has grown so often is a counter, not a pointer: it becomes ANY at
 * once.
 */
const MEMORY_WIDENING = 6;
/** Visits of a block after which registers that still grow become ANY. */
const BLOCK_WIDENING = 14;

class Analysis {
  readonly program: Program;
  readonly memory: (ValueSet | undefined)[];
  private readonly growth: Uint8Array;
  private readonly origin: number;
  private readonly everyCpu: ValueSet;
  readonly regionOf: Int32Array;
  anywhere: ValueSet = NEVER;
  /** CPUs that the body under way may run on. */
  private cpus: ValueSet = NEVER;
  changed = false;
  /** Per handler, what it may be called with, and the CPUs that may queue it. */
  readonly params = new Map<string, { arg: ValueSet; cpus: ValueSet }>();
  /** Addresses that something else than lock operations may write: 1. */
  readonly written: Uint8Array;
  readonly ops = new Map<Instr, OpSets>();
  private readonly look: () => void;
  readonly reached = new Map<ThreadIr, boolean[]>();

  constructor(program: Program, regionOf: Int32Array, look: () => void) {
    this.program = program;
    this.look = look;
    this.regionOf = regionOf;
    this.origin = program.memory.origin ?? 0;
    this.everyCpu = setOf(program.threads.map((_, cpu) => cpu));
    this.memory = new Array(memorySize(program));
    this.growth = new Uint8Array(this.memory.length);
    this.written = new Uint8Array(this.memory.length);
  }

  run(threads: readonly ThreadIr[]): void {
    do {
      this.changed = false;
      for (const t of threads) this.body(t, [], singleton(t.cpu));
      for (const [name, h] of Object.entries(this.program.handlers)) {
        const p = this.params.get(name);
        if (p !== undefined) this.body(h, [p.arg, p.cpus], p.cpus);
      }
    } while (this.changed);
  }

  private loadWord(addr: number): ValueSet {
    return union(this.known(addr), this.anywhere);
  }

  private known(addr: number): ValueSet {
    const v = this.memory[addr];
    return v === undefined ? singleton(this.program.memory.words[addr - this.origin] ?? 0) : v;
  }

  /** An access elsewhere is an error of the thread, after which there is nothing to analyse. */
  private isMemory(addr: number): boolean {
    return addr >= this.origin && addr < this.memory.length && addr > 0;
  }

  private load(addr: ValueSet): ValueSet {
    if (addr === null) return ANY;
    let v: ValueSet = NEVER;
    for (const a of addr) if (this.isMemory(a)) v = union(v, this.loadWord(a));
    return v;
  }

  /** What a lock operation may write: any owner, or nobody. */
  private lock(addr: ValueSet): void {
    this.set(addr, ANY);
  }

  private store(addr: ValueSet, v: ValueSet): void {
    if (addr === null) this.written.fill(1);
    else for (const a of addr) if (this.isMemory(a)) this.written[a] = 1;
    this.set(addr, v);
  }

  private set(addr: ValueSet, v: ValueSet): void {
    if (v !== null && v.length === 0) return;
    if (addr === null) {
      const next = union(this.anywhere, v);
      if (next !== this.anywhere) {
        this.anywhere = next;
        this.changed = true;
      }
      return;
    }
    for (const a of addr) {
      if (!this.isMemory(a)) continue;
      const old = this.known(a);
      const next = union(old, v);
      if (next !== old || this.memory[a] === undefined) {
        if (next !== old) this.changed = true;
        this.memory[a] = next !== old && ++this.growth[a] > MEMORY_WIDENING ? ANY : next;
      }
    }
  }

  private arm(handler: string, v: ValueSet, on: ValueSet): void {
    const old = this.params.get(handler);
    const arg = old === undefined ? v : union(old.arg, v);
    const cpus = old === undefined ? on : union(old.cpus, on);
    if (old === undefined || arg !== old.arg || cpus !== old.cpus) {
      this.params.set(handler, { arg, cpus });
      this.changed = true;
    }
  }

  private body(ir: ThreadIr, params: readonly ValueSet[], cpus: ValueSet): void {
    this.cpus = cpus;
    const live = liveRegisters(ir);
    // What each live register holds at the start of each block; undefined: not reached.
    const ins: (ValueSet[] | undefined)[] = new Array(ir.blocks.length);
    const arrays: ValueSet[] = ir.arrays.map(() => singleton(0));
    const regs: ValueSet[] = new Array<ValueSet>(ir.nregs).fill(singleton(0));
    ir.params.forEach((r, k) => {
      regs[r] = params[k];
    });
    ins[0] = live[0].map((r) => regs[r]);
    const work = [0];
    const visits = new Uint8Array(ir.blocks.length);
    const queued = new Array<boolean>(ir.blocks.length).fill(false);
    const enqueue = (to: number): void => {
      const old = ins[to];
      const names = live[to];
      if (old === undefined) ins[to] = names.map((r) => regs[r]);
      else {
        let fresh = false;
        const widen = visits[to] > BLOCK_WIDENING;
        for (let k = 0; k < names.length; k++) {
          const u = union(old[k], regs[names[k]]);
          if (u === old[k]) continue;
          old[k] = widen ? ANY : u;
          fresh = true;
        }
        if (!fresh) return;
      }
      if (!queued[to]) {
        queued[to] = true;
        work.push(to);
      }
    };
    const enqueueRefined = (to: number, known: readonly (readonly [number, ValueSet])[]): void => {
      const before = known.map(([r]) => regs[r]);
      for (const [r, v] of known) regs[r] = v;
      enqueue(to);
      known.forEach(([r], k) => {
        regs[r] = before[k];
      });
    };
    for (let b = work.pop(); b !== undefined; b = work.pop()) {
      this.look();
      queued[b] = false;
      if (visits[b] < 255) visits[b]++;
      const names = live[b];
      const held = ins[b] as ValueSet[];
      for (let k = 0; k < names.length; k++) regs[names[k]] = held[k];
      const block = ir.blocks[b];
      let arraysChanged = false;
      for (const instr of block.instrs) arraysChanged = this.transfer(instr, regs, arrays) || arraysChanged;
      // Arrays are flow-insensitive: whoever may have read one before has to look again.
      if (arraysChanged)
        for (let i = 0; i < ir.blocks.length; i++)
          if (ins[i] !== undefined && !queued[i]) {
            queued[i] = true;
            work.push(i);
          }
      const end = block.end;
      if (end.op === "jump") enqueue(end.to);
      if (end.op !== "branch") continue;
      const cond = value(end.cond, regs);
      if (cond === null || cond.some((x) => x !== 0)) enqueueRefined(end.then, refine(block, regs, true));
      if (cond === null || cond.includes(0)) enqueueRefined(end.else, refine(block, regs, false));
    }
    this.reached.set(
      ir,
      ins.map((x) => x !== undefined),
    );
  }

  private transfer(i: Instr, regs: ValueSet[], arrays: ValueSet[]): boolean {
    switch (i.op) {
      case "mov":
        regs[i.dst] = value(i.a, regs);
        return false;
      case "bin":
        regs[i.dst] = binary(i.fn, value(i.a, regs), value(i.b, regs));
        return false;
      case "un":
        regs[i.dst] = unary(i.fn, value(i.a, regs));
        return false;
      case "aget":
        regs[i.dst] = arrays[i.arr];
        return false;
      case "aset": {
        const next = union(arrays[i.arr], value(i.a, regs));
        const fresh = next !== arrays[i.arr];
        arrays[i.arr] = next;
        return fresh;
      }
      case "cpu":
        regs[i.dst] = this.cpus;
        return false;
      case "assert":
        return false;
      default:
        this.visible(i, regs);
        return false;
    }
  }

  private visible(i: VisibleInstr, regs: ValueSet[]): void {
    const at = (v: Val): ValueSet => {
      const a = value(v, regs);
      const known = this.ops.get(i);
      if (known === undefined) this.ops.set(i, { addr: a, compares: NEVER, regions: NEVER });
      else known.addr = union(known.addr, a);
      return a;
    };
    switch (i.op) {
      case "load":
        regs[i.dst] = this.load(at(i.addr));
        return;
      case "await": {
        const v = this.load(at(i.addr));
        const known = this.ops.get(i);
        if (known !== undefined) known.compares = union(known.compares, value(i.a, regs));
        regs[i.dst] = filter(i.cmp === "eq" ? "eq" : "ne", v, value(i.a, regs), true);
        return;
      }
      case "store":
        this.store(at(i.addr), value(i.a, regs));
        return;
      case "rmw": {
        const addr = at(i.addr);
        const old = this.load(addr);
        const a = value(i.a, regs);
        const b = value(i.b, regs);
        if (i.fn === "xchg") this.store(addr, a);
        else if (i.fn === "cmpxchg") {
          if (old === null || a === null || old.some((x) => a.includes(x))) this.store(addr, b);
        } else if (i.fn === "add_unless") this.store(addr, binary("add", filter("ne", old, b, true), a));
        else this.store(addr, binary(i.fn, old, a));
        regs[i.dst] = old;
        return;
      }
      case "spin_lock":
      case "spin_unlock":
        this.lock(at(i.addr));
        return;
      case "spin_trylock":
        this.lock(at(i.addr));
        regs[i.dst] = [0, 1];
        return;
      case "spin_is_locked":
        at(i.addr);
        regs[i.dst] = [0, 1];
        return;
      case "local_irq_save":
        regs[i.dst] = [0, 1];
        return;
      case "call_rcu":
        this.arm(i.handler, value(i.a, regs), this.cpus);
        return;
      case "smp_call_function":
        if (i.handler !== "") this.arm(i.handler, value(i.a, regs), this.everyCpu);
        return;
      case "queue": {
        const on = value(i.b, regs);
        const named = on === null ? this.everyCpu : setOf(on.filter((c) => c >= 0));
        this.arm(i.handler, value(i.a, regs), on?.includes(-1) === false ? named : union(named, this.cpus));
        return;
      }
      case "spawn":
        this.arm(i.handler, value(i.a, regs), ANY);
        return;
      case "acquire": {
        const addr = at(i.addr);
        const a = value(i.a, regs);
        const known = this.ops.get(i);
        if (known !== undefined) known.compares = union(known.compares, a);
        const old = filter(i.cmp, this.load(addr), a, true);
        this.store(addr, binary("add", old, value(i.b, regs)));
        regs[i.dst] = old;
        return;
      }
      case "context":
        regs[i.dst] = ANY;
        return;
      case "choose": {
        const n = value(i.a, regs);
        const max = n === null ? 0 : Math.max(0, ...n);
        regs[i.dst] = n === null || max > 32 ? ANY : setOf(Array.from({ length: max }, (_, k) => k));
        return;
      }
      case "alloc": {
        const pool = value(i.pool, regs);
        const bases: number[] = [0];
        const ids: number[] = [];
        this.program.memory.regions.forEach((r, k) => {
          if (pool === null || pool.includes(r.pool)) {
            bases.push(r.base);
            ids.push(k);
            this.store(setOf(span(r.base, r.words)), singleton(0));
          }
        });
        regs[i.dst] = setOf(bases);
        this.regionsOf(i, setOf(ids));
        return;
      }
      case "free":
      case "revive": {
        const a = at(i.addr);
        const ids: number[] = [];
        this.program.memory.regions.forEach((r, k) => {
          if (a !== null && !a.includes(r.base)) return;
          ids.push(k);
          // What freeing leaves behind cannot be read: that the object is dead is state enough.
          if (i.op === "revive") this.store(setOf(span(r.base, r.words)), singleton(0));
        });
        this.regionsOf(i, setOf(ids));
        return;
      }
      case "srcu_read_lock":
        at(i.addr);
        regs[i.dst] = ANY;
        return;
      case "srcu_read_unlock":
      case "synchronize_srcu":
        at(i.addr);
        return;
      default:
        return;
    }
  }

  private regionsOf(i: VisibleInstr, regions: ValueSet): void {
    const known = this.ops.get(i);
    if (known === undefined) this.ops.set(i, { addr: NEVER, compares: NEVER, regions });
    else known.regions = union(known.regions, regions);
  }
}

const liveCache = new WeakMap<object, readonly (readonly number[])[]>();

/** Registers that are live at the start of each block. */
function liveRegisters(ir: ThreadIr): readonly (readonly number[])[] {
  const known = liveCache.get(ir.blocks);
  if (known !== undefined) return known;
  const ins = liveIn(ir);
  const live = ir.blocks.map((_, n) => {
    const regs: number[] = [];
    ins.forEach(n, (item) => {
      if (item < ir.nregs) regs.push(item);
    });
    return regs;
  });
  liveCache.set(ir.blocks, live);
  return live;
}

function span(base: number, words: number): number[] {
  return Array.from({ length: words }, (_, k) => base + k);
}

/** Addresses that memory has room for, from 0 on. */
export function memorySize(program: Program): number {
  return (program.memory.origin ?? 0) + program.memory.words.length;
}

/** Region index of every address of the image, or -1. */
export function regionMap(program: Program): Int32Array {
  const map = new Int32Array(memorySize(program)).fill(-1);
  program.memory.regions.forEach((r, k) => {
    map.fill(k, r.base, r.base + r.words);
  });
  return map;
}

/** The thread's CPU shows in what these do: as a number, or as where a handler will run. */
const TELLS_CPU: ReadonlySet<string> = new Set<LocalInstr["op"] | VisibleInstr["op"]>([
  "cpu",
  "call_rcu",
  "queue",
  "smp_call_function",
  "spawn",
]);

/** `look` is called again and again while it lasts; it throws to end it. */
export function computeFootprints(
  program: Program,
  groups: readonly HandlerGroup[],
  look: () => void = () => {},
): Footprints {
  const regionOf = regionMap(program);
  const analysis = new Analysis(program, regionOf, look);
  // Threads with the same code touch the same, if nothing depends on their CPU: each code is analysed once.
  const unique = new Map<string, ThreadIr>();
  const codeOf = program.threads.map((t) => {
    const tells = t.blocks.some((b) => b.instrs.some((i) => TELLS_CPU.has(i.op)));
    const key = JSON.stringify([tells ? t.cpu : -1, t.params, t.arrays, t.blocks]);
    const known = unique.get(key) ?? t;
    unique.set(key, known);
    return known;
  });
  analysis.run([...unique.values()]); // an array: it is gone through until nothing changes

  const size = memorySize(program);
  const locOfAddr = new Int32Array(size).fill(-1);
  const locOfRegion = new Int32Array(program.memory.regions.length).fill(-1);
  const locOfHandler = new Map<string, number>();
  let next = FP_FIRST;
  const dynamic: number[] = [];
  for (let a = Math.max(1, program.memory.origin ?? 0); a < size; a++)
    if (analysis.memory[a] !== undefined || analysis.anywhere === null || analysis.anywhere.length > 0) {
      locOfAddr[a] = next++;
      dynamic.push(a);
    }
  const touched = new Set<number>();
  for (const s of analysis.ops.values())
    for (const r of s.regions ?? program.memory.regions.map((_, k) => k)) touched.add(r);
  const dynamicRegions = [...touched].sort((x, y) => x - y);
  for (const r of dynamicRegions) locOfRegion[r] = next++;
  for (const g of groups) locOfHandler.set(g.key, next++);
  const setWords = (next + 31) >>> 5;

  const shape = { locOfAddr, locOfRegion, locOfHandler, setWords, regionOf, analysis };
  const bodies = new Map<string, BodyFootprint>();
  for (const [h, ir] of Object.entries(program.handlers))
    bodies.set(`handler:${h}`, bodyFootprint(ir, shape));
  const done = new Map<ThreadIr, BodyFootprint>();
  codeOf.forEach((ir, i) => {
    const fp = done.get(ir) ?? bodyFootprint(ir, shape);
    done.set(ir, fp);
    bodies.set(`thread:${i}`, fp);
  });
  return {
    locOfAddr,
    locOfRegion,
    locOfHandler,
    dynamic: Int32Array.from(dynamic),
    dynamicRegions: Int32Array.from(dynamicRegions),
    lockOnly: analysis.written.map((w) => 1 - w),
    setWords,
    bodies,
  };
}

interface Shape {
  readonly locOfAddr: Int32Array;
  readonly locOfRegion: Int32Array;
  readonly locOfHandler: ReadonlyMap<string, number>;
  readonly setWords: number;
  readonly regionOf: Int32Array;
  readonly analysis: Analysis;
}

function coveredLoads(ir: ThreadIr, shape: Shape): ReadonlySet<VisibleInstr> {
  return findCovered(ir, shape.analysis.reached.get(ir) ?? [], (i) => {
    const addrs = shape.analysis.ops.get(i)?.addr;
    if (addrs === undefined || addrs === null || addrs.length === 0) return -1;
    const regions = new Set(addrs.map((a) => shape.regionOf[a] ?? -1));
    const [only] = regions;
    return regions.size === 1 && only !== undefined ? only : -1;
  });
}

function bodyFootprint(ir: ThreadIr, shape: Shape): BodyFootprint {
  const covered = coveredLoads(ir, shape);
  return ir.blocks.map((b) =>
    b.instrs.map((i) => {
      if (!isVisible(i)) return undefined;
      const reads = new Uint32Array(shape.setWords);
      const writes = new Uint32Array(shape.setWords);
      const isCovered = covered.has(i);
      access(i, shape, reads, writes, isCovered);
      const waits = i.op === "await" || i.op === "spin_lock" || i.op === "acquire";
      const sets = shape.analysis.ops.get(i);
      return {
        reads,
        writes,
        covered: isCovered,
        waitsOn: waits ? (sets?.addr ?? (sets === undefined ? [] : null)) : [],
        compares: i.op === "await" || i.op === "acquire" ? (sets?.compares ?? null) : [],
      };
    }),
  );
}

function setBit(s: Uint32Array, bit: number): void {
  if (bit >= 0) s[bit >>> 5] |= 1 << (bit & 31);
}

function access(i: VisibleInstr, shape: Shape, r: Uint32Array, w: Uint32Array, covered: boolean): void {
  const sets = shape.analysis.ops.get(i);
  const touch = (into: Uint32Array): void => {
    const addrs = sets === undefined ? NEVER : sets.addr;
    if (addrs === null) {
      for (const l of shape.locOfAddr) setBit(into, l);
      for (const l of shape.locOfRegion) setBit(r, l);
      return;
    }
    for (const a of addrs) {
      if (a <= 0 || a >= shape.locOfAddr.length) continue;
      setBit(into, shape.locOfAddr[a]);
      if (!covered && shape.regionOf[a] >= 0) setBit(r, shape.locOfRegion[shape.regionOf[a]]);
    }
  };
  switch (i.op) {
    case "load":
    case "await":
    case "spin_is_locked":
      touch(r);
      return;
    case "store":
      setBit(w, FP_PUSH);
      touch(w);
      return;
    case "spin_unlock":
      setBit(w, FP_PUSH);
      touch(r);
      touch(w);
      return;
    case "rmw":
    case "acquire":
    case "spin_lock":
    case "spin_trylock":
    case "srcu_read_lock":
    case "srcu_read_unlock":
    case "synchronize_srcu":
      touch(r);
      touch(w);
      return;
    case "alloc":
    case "free":
    case "revive":
      for (const k of sets?.regions ?? Array.from(shape.locOfRegion.keys())) {
        setBit(r, shape.locOfRegion[k]);
        setBit(w, shape.locOfRegion[k]);
        const { base, words } = shape.analysis.program.memory.regions[k];
        if (i.op !== "free") for (let a = base; a < base + words; a++) setBit(w, shape.locOfAddr[a]);
      }
      return;
    case "local_irq_save":
      setBit(w, FP_READER_IRQ);
      return;
    case "rcu_read_lock":
      setBit(w, FP_READER_RCU);
      return;
    case "rcu_read_unlock":
      setBit(w, FP_PUSH);
      return;
    case "preempt_count_add":
      setBit(w, FP_READER_RCU);
      setBit(w, FP_PUSH);
      return;
    case "synchronize_rcu":
      setBit(r, FP_GP);
      return;
    case "smp_call_function":
      setBit(r, FP_IPI);
      if (i.handler === "") return;
      setBit(w, FP_SIGNAL);
      setBit(w, shape.locOfHandler.get(groupOf(i)) ?? -1);
      return;
    case "queue":
    case "spawn":
      if (i.op === "queue" && i.context !== "thread") setBit(w, FP_SIGNAL);
      setBit(w, shape.locOfHandler.get(groupOf(i)) ?? -1);
      return;
    case "call_rcu":
      setBit(w, FP_PUSH);
      setBit(r, FP_GP);
      setBit(w, shape.locOfHandler.get(groupOf(i)) ?? -1);
      return;
    default:
      return;
  }
}
