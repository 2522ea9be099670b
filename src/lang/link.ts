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
import type { LowFn, LowInstr } from "./lowered.ts";
import { loadedModules, lowFunction, lowFunctionById, moduleAt } from "./modules.ts";
import { type FlatInstr, mapTargets, mapTerminatorVal, mapVals } from "./operands.ts";
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
  positions: Position[];
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
    const fn: FlatFn = {
      nregs: s.nregs,
      regNames: [...s.regNames],
      params: args === null ? s.params : [],
      arrays: [...s.arrays],
      fixedArrays: 0,
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
    const thread = toThread(fn, name, cpu, s.positions);
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
      const fn = fold(low);
      this.inline(fn);
      optimise(fn);
      compact(fn);
      this.done.set(low.id, fn);
      return fn;
    } finally {
      this.stack.pop();
    }
  }

  /** Replaces every call by a copy of the callee. */
  private inline(fn: Specialised): void {
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
        const copy = copyInto(fn, this.specialise(callee), i, current.instrs);
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

/** Lowered function with its constants in place, pruned of what this configuration does not run; calls still in it. */
function fold(low: LowFn): Specialised {
  const arrays = low.arrays.map((a) => {
    if (a.size === null) return { name: a.name, size: 0 };
    const size = constValue(low.file, a.size);
    if (size < 1 || size > 4096) refuseAt(low.positions[0], "HF137", `${a.name} has ${size} words`);
    return { name: a.name, size };
  });
  const arrayParams = low.params.filter((k) => k === "array").length;
  const blocks = low.blocks.map((b) => {
    const instrs: FlatInstr[] = [];
    for (const i of b.instrs) foldInto(instrs, i, low, arrays);
    return { instrs, end: b.end };
  });
  const fn: Specialised = {
    nregs: low.nregs,
    regNames: [...low.regNames],
    params: low.params.map((_, p) => p),
    arrays,
    fixedArrays: arrayParams,
    blocks: cleanCfg(blocks),
    positions: [...low.positions],
    arrayParams,
    low,
  };
  optimise(fn, 3);
  return fn;
}

function foldInto(
  out: FlatInstr[],
  i: LowInstr,
  low: LowFn,
  arrays: readonly { readonly size: number }[],
): void {
  if (i.op === "ext") {
    const value = constValue(low.file, i.ref);
    if (i.shiftCount && (value < 1 || value > 31))
      refuseAt(low.positions[i.pos], "HF122", `the count is ${value}`);
    out.push({ op: "mov", dst: i.dst, a: constant(value), pos: i.pos });
  } else if (i.op === "azero") {
    for (let e = 0; e < arrays[i.arr].size; e++)
      out.push({ op: "aset", arr: i.arr, idx: constant(e), a: constant(0), pos: i.pos });
  } else out.push(i);
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
  const posBase = caller.positions.length;
  for (const p of callee.positions)
    caller.positions.push({ ...p, parent: p.parent < 0 ? call.pos : p.parent + posBase });

  const arr: number[] = [];
  const place = caller.positions[call.pos];
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
  const pos = (p: PosId): PosId => p + posBase;
  return callee.blocks.map((b) => ({
    instrs: b.instrs.map((original) => {
      const i = mapVals(original, map);
      const out = { ...i, pos: pos(i.pos) };
      if ("dst" in out) out.dst += regBase;
      if (out.op === "aget" || out.op === "aset") out.arr = arr[out.arr];
      return out as FlatInstr;
    }),
    end: { ...mapTerminatorVal(b.end, map), pos: pos(b.end.pos) },
  }));
}

/** Plain data: positions that are not used are dropped. */
function toThread(fn: FlatFn, name: string, cpu: number, positions: readonly Position[]): ThreadIr {
  const number = new Map<PosId, PosId>();
  const kept: Position[] = [];
  const keep = (p: PosId): PosId => {
    if (p < 0) return p;
    const known = number.get(p);
    if (known !== undefined) return known;
    const parent = keep(positions[p].parent);
    number.set(p, kept.length);
    kept.push(parent === positions[p].parent ? positions[p] : { ...positions[p], parent });
    return kept.length - 1;
  };
  const blocks = fn.blocks.map((b) => ({
    instrs: b.instrs.map((i) => {
      if (i.op === "call") throw new Error("a call is left after linking");
      return { ...i, pos: keep(i.pos) } as LocalInstr | VisibleInstr;
    }),
    end: { ...b.end, pos: keep(b.end.pos) },
  }));
  return {
    name,
    cpu,
    nregs: fn.nregs,
    regNames: fn.regNames,
    arrays: fn.arrays,
    params: fn.params,
    blocks,
    positions: kept,
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
