/**
 * Links a thread: the entry function with all that it calls inlined, constants at their values of this moment
 * (configuration, architecture, geometry), branches on them folded, so that what another configuration would run is
 * gone. Functions are specialised bottom-up, once per link, and copied into their callers; what cannot be reached in
 * this configuration is not inlined and does not count as recursion.
 *
 * Linking is synchronous and reads configuration only while it runs. Modules are loaded beforehand (modules.ts).
 */

import type { MemoryImage } from "../machine/image.ts";
import type { ScenarioThread } from "../machine/scenario.ts";
import { cleanCfg } from "./cfg.ts";
import { constValue } from "./constants.ts";
import { DialectError, type DialectErrorCode, diagnostic, nearestName } from "./errors.ts";
import {
  type CallInstr,
  constant,
  type LocalInstr,
  type PosId,
  type Position,
  type Program,
  type ThreadIr,
  type Val,
  type VisibleInstr,
  val,
} from "./ir.ts";
import type { ConstRef, LowFn } from "./lowered.ts";
import { loadedModules, lowFunction, lowFunctionById, moduleAt } from "./modules.ts";
import { copyWith, type FlatInstr, mapTargets, mapTerminatorVal } from "./operands.ts";
import { compact, type FlatFn, optimise } from "./optimise.ts";
import { sourcePath } from "./sources.ts";

/** A function to start from: exported by a loaded module, or named in one. */
export type EntryRef = ((...args: number[]) => unknown) | { readonly module: string; readonly name: string };

export interface ThreadSpec {
  readonly name: string;
  readonly run: EntryRef;
  readonly args?: readonly number[];
  /** CPU that runs it. */
  readonly cpu: number;
}

export interface LinkOptions {
  /** Leave smp_processor_id() as an instruction. Handlers always do: they run on any CPU. */
  readonly keepCpu?: boolean;
}

/** CPU number of handlers: which one runs them is decided when they are started. */
export const ANY_CPU = -1;

/** A function with its callees inlined, for one configuration. */
interface Specialised extends FlatFn {
  /** Positions 0.. are those of its source; then come those of inlined functions, `base` onwards, in order. */
  ownPositions: readonly Position[];
  inlined: { readonly base: number; readonly callee: Specialised; readonly call: PosId }[];
  npositions: number;
  arrayParams: number;
  low: LowFn;
}

function refuseAt(
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

/** One link: configuration does not change while it lives. */
export class Linker {
  private readonly done = new Map<string, Specialised>();
  private readonly stack: string[] = [];
  private readonly handlerIds = new Set<string>();

  /**
   * @throws DialectError HF140 if `run` is no dialect function of a loaded module or the arguments do not fit; and
   * whatever lowering and constants have to say about the functions that it reaches.
   */
  thread(spec: ThreadSpec, options: LinkOptions = {}): ThreadIr {
    const low = findEntry(spec.run);
    const args = spec.args ?? [];
    const start = low.positions[0];
    if (low.params.some((k) => k === "array")) refuseAt(start, "HF140", `${low.name}() takes a LocalArray`);
    if (args.length !== low.params.length)
      refuseAt(
        start,
        "HF140",
        `${low.name}() takes ${low.params.length} arguments, thread ${spec.name} passes ${args.length}`,
      );
    for (const a of args)
      if ((a | 0) !== a)
        refuseAt(
          start,
          "HF140",
          `thread ${spec.name} passes ${String(a)} to ${low.name}(), not a 32-bit integer`,
        );
    return this.finish(
      low,
      spec.name,
      args.map((a) => constant(a)),
      spec.cpu,
      options.keepCpu === true,
    );
  }

  /** A function by itself: its parameters stay parameters, its first `boundArrays` arrays are its array parameters. */
  function(run: EntryRef, cpu: number): { readonly ir: ThreadIr; readonly boundArrays: number } {
    const low = findEntry(run);
    const boundArrays = low.params.filter((k) => k === "array").length;
    const ir = this.finish(low, low.name, null, cpu, false);
    return { ir: { ...ir, params: ir.params.filter((_, p) => low.params[p] === "value") }, boundArrays };
  }

  /** Every handler that the threads linked so far name, and those that these name. */
  handlers(): Record<string, ThreadIr> {
    const out: Record<string, ThreadIr> = {};
    // The set grows while handlers are linked; iteration sees what is added.
    for (const id of this.handlerIds) {
      const low = lowFunctionById(id);
      if (low === undefined) throw new Error(`handler ${id} is not loaded`);
      out[id] = this.finish(low, low.name, null, ANY_CPU, true);
    }
    return out;
  }

  private finish(
    low: LowFn,
    name: string,
    args: readonly Val[] | null,
    cpu: number,
    keepCpu: boolean,
  ): ThreadIr {
    const s = this.specialise(low);
    const key = `${args === null ? "handler" : args.map((a) => a.imm).join()} ${keepCpu ? "any" : cpu}`;
    const known = threadCache.get(s)?.get(key);
    if (known !== undefined) return this.noteHandlers({ ...known, name, cpu });
    const fn: FlatFn = {
      nregs: s.nregs,
      regNames: [...s.regNames],
      params: args === null ? s.params : [],
      arrays: [...s.arrays],
      // A thread's arrays are its own; array parameters of a function stay the caller's.
      fixedArrays: args === null ? s.arrayParams : 0,
      blocks: s.blocks.map((b) => ({
        instrs: keepCpu
          ? b.instrs
          : b.instrs.map((i) =>
              i.op === "cpu" ? { op: "mov", dst: i.dst, a: constant(cpu), pos: i.pos } : i,
            ),
        end: b.end,
      })),
    };
    if (args !== null) {
      const movs: FlatInstr[] = args.map((a, p) => ({ op: "mov", dst: s.params[p], a, pos: 0 }));
      // A block of its own: block 0 may be the head of a loop.
      fn.blocks = [
        { instrs: movs, end: { op: "jump", to: 1, pos: 0 } },
        ...fn.blocks.map((b) => ({ ...b, end: mapTargets(b.end, (t) => t + 1) })),
      ];
    }
    optimise(fn);
    compact(fn);
    const thread = toThread(fn, name, cpu, s);
    let threads = threadCache.get(s);
    if (threads === undefined) {
      threads = new Map();
      threadCache.set(s, threads);
    }
    if (threads.size >= VARIANTS) threads.clear();
    threads.set(key, thread);
    return this.noteHandlers(thread);
  }

  private noteHandlers(thread: ThreadIr): ThreadIr {
    for (const b of thread.blocks)
      for (const i of b.instrs)
        if ((i.op === "call_rcu" || i.op === "smp_call_function") && i.handler !== "")
          this.handlerIds.add(i.handler);
    return thread;
  }

  private specialise(low: LowFn): Specialised {
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

  /** From the cache if a link before met the same constants, and the same again in all that is called; else anew. */
  private build(low: LowFn): Specialised {
    let variants = cache.get(low);
    if (variants === undefined) {
      variants = { refs: constRefs(low), list: [] };
      cache.set(low, variants);
    }
    const constants = variants.refs.map((r) => constValue(low.file, r));
    const folded = variants.list.find((v) => v.constants.every((c, i) => c === constants[i]));
    // With equal constants the same calls are left, so it is enough to look at these.
    if (folded?.callees.every((c) => this.specialise(c.low) === c) === true) return folded.fn;
    const fn = fold(low, constants);
    const callees = new Set<Specialised>();
    this.inline(fn, callees);
    // Once is enough here: the thread as a whole is optimised to the end.
    optimise(fn, 1);
    compact(fn);
    if (folded !== undefined) variants.list.splice(variants.list.indexOf(folded), 1);
    variants.list.push({ constants, callees: [...callees], fn });
    if (variants.list.length > VARIANTS) variants.list.shift();
    return fn;
  }

  /** Replaces every call by a copy of the callee. */
  private inline(fn: Specialised, callees: Set<Specialised>): void {
    if (!fn.blocks.some((b) => b.instrs.some((i) => i.op === "call"))) return;
    const blocks = fn.blocks.map((b) => ({ instrs: [] as FlatInstr[], end: b.end }));
    fn.blocks.forEach((b, n) => {
      let current = blocks[n];
      for (const i of b.instrs) {
        if (i.op !== "call") {
          current.instrs.push(i);
          continue;
        }
        const callee = lowFunctionById(i.callee);
        if (callee === undefined) throw new Error(`function ${i.callee} is not loaded`);
        const entry = blocks.length;
        const body = this.specialise(callee);
        callees.add(body);
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

/** Functions of links before, by the constants that they were folded with. */
interface Variants {
  readonly refs: readonly ConstRef[];
  readonly list: {
    readonly constants: readonly number[];
    readonly callees: readonly Specialised[];
    readonly fn: Specialised;
  }[];
}
const cache = new WeakMap<LowFn, Variants>();
/** Threads of links before, by entry function, arguments and CPU. Configurations often differ in one thread only. */
const threadCache = new WeakMap<Specialised, Map<string, ThreadIr>>();
/** Variants kept per function; the oldest goes first. */
const VARIANTS = 48;

/** Every constant that the function reads, in the order in which `fold` takes their values. */
function constRefs(low: LowFn): ConstRef[] {
  const refs: ConstRef[] = [];
  for (const a of low.arrays) if (a.size !== null) refs.push(a.size);
  for (const b of low.blocks) for (const i of b.instrs) if (i.op === "ext") refs.push(i.ref);
  return refs;
}

/** Lowered function with its constants in place, pruned of what this configuration does not run; calls still in it. */
function fold(low: LowFn, constants: readonly number[]): Specialised {
  let next = 0;
  const arrays = low.arrays.map((a) => {
    if (a.size === null) return { name: a.name, size: 0 };
    const size = constants[next++];
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
    arrayParams,
    low,
  };
  optimise(fn, 2);
  return fn;
}

/** Appends the callee's registers, arrays and positions to the caller; gives its blocks, renumbered except for targets. */
function copyInto(
  caller: Specialised,
  callee: Specialised,
  call: CallInstr,
  before: FlatInstr[],
): { instrs: FlatInstr[]; end: Specialised["blocks"][number]["end"] }[] {
  const regBase = caller.nregs;
  caller.nregs += callee.nregs;
  caller.regNames.push(...callee.regNames);
  // Positions are numbered as if the callee's had been copied here; they are written out once, for the thread.
  const posBase = caller.npositions;
  caller.inlined.push({ base: posBase, callee, call: call.pos });
  caller.npositions += callee.npositions;

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
function writePositions(blocks: FlatFn["blocks"], from: Specialised): Position[] {
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

/** Plain data, calls gone. */
function toThread(fn: FlatFn, name: string, cpu: number, from: Specialised): ThreadIr {
  const positions = writePositions(fn.blocks, from);
  const blocks = fn.blocks.map((b) => {
    const instrs: (LocalInstr | VisibleInstr)[] = [];
    for (const i of b.instrs) {
      if (i.op === "call") throw new Error("a call is left after linking");
      instrs.push(i);
    }
    return { instrs, end: b.end };
  });
  return {
    name,
    cpu,
    nregs: fn.nregs,
    regNames: fn.regNames,
    arrays: fn.arrays,
    params: fn.params,
    blocks,
    positions,
  };
}

function findEntry(run: EntryRef): LowFn {
  const nowhere = { file: "", line: 0, col: 0 };
  if (typeof run !== "function") {
    const m = moduleAt(sourcePath(run.module));
    if (m === undefined) throw new Error(`${run.module} is not loaded`);
    if (!m.file.isKernel) refuseAt({ file: m.file.display, line: 0, col: 0 }, "HF101", m.file.display);
    const low = lowFunction(m.file, run.name);
    if (low !== undefined) return low;
    const near = nearestName(run.name, m.file.functions.keys());
    return refuseAt(
      { file: m.file.display, line: 0, col: 0 },
      "HF125",
      `${run.name}()`,
      near === undefined ? undefined : `did you mean ${near}()?`,
    );
  }
  for (const m of loadedModules())
    if (m.file.isKernel && m.file.functions.has(run.name) && m.namespace?.[run.name] === run) {
      const low = lowFunction(m.file, run.name);
      if (low !== undefined) return low;
    }
  return refuseAt(
    nowhere,
    "HF140",
    run.name === ""
      ? "an anonymous function"
      : `${run.name}() is not exported by a dialect file that was loaded`,
  );
}

export function linkThread(spec: ThreadSpec, options: LinkOptions = {}): ThreadIr {
  return new Linker().thread(spec, options);
}

/** Links one function with what it calls, for compilation. @throws DialectError */
export function linkFunction(
  run: EntryRef,
  cpu = 0,
): { readonly ir: ThreadIr; readonly boundArrays: number } {
  return new Linker().function(run, cpu);
}

export interface ProgramSpec {
  readonly name: string;
  /** Thread i runs on CPU i. */
  readonly threads: readonly ScenarioThread[];
  readonly finally?: ScenarioThread;
  readonly memory: MemoryImage;
}

/**
 * Links what a booted scenario starts into a program. Modules must be loaded (`loadModules`), configuration set and
 * memory booted.
 * @throws DialectError
 */
export function linkProgram(spec: ProgramSpec, options: LinkOptions = {}): Program {
  const linker = new Linker();
  const threads = spec.threads.map((t, cpu) => linker.thread({ ...t, cpu }, options));
  const last = spec.finally === undefined ? null : linker.thread({ ...spec.finally, cpu: 0 }, options);
  return { name: spec.name, threads, handlers: linker.handlers(), finally: last, memory: spec.memory };
}
