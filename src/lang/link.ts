/**
 * Links a thread: the entry function with all that it calls inlined (specialise.ts), its arguments and CPU
 * put in, and the whole optimised and renumbered to plain IR. A program is the threads that a booted scenario
 * starts, the handlers that these name, and the memory as it is.
 *
 * Linking is synchronous and reads configuration only while it runs. Modules are loaded beforehand
 * (modules.ts).
 */

import type { MemoryImage } from "../machine/image.ts";
import type { ScenarioThread } from "../machine/scenario.ts";
import { nearestName } from "./errors.ts";
import { constant, type LocalInstr, type Program, type ThreadIr, type Val, type VisibleInstr } from "./ir.ts";
import type { LowFn } from "./lowered.ts";
import { loadedModules, lowFunction, lowFunctionById, moduleAt } from "./modules.ts";
import { type FlatInstr, mapTargets } from "./operands.ts";
import { compact, type FlatFn, optimise } from "./optimise.ts";
import { sourcePath } from "./sources.ts";
import { refuseAt, type Specialised, Specialiser, VARIANTS, writePositions } from "./specialise.ts";

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

/** One link: configuration does not change while it lives. */
export class Linker {
  private readonly specialiser = new Specialiser();
  private readonly handlerIds = new Set<string>();

  /**
   * @throws DialectError HF140 if `run` is no dialect function of a loaded module or the arguments do not
   * fit; and whatever lowering and constants have to say about the functions that it reaches.
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

  /**
   * A function by itself: its parameters stay parameters, its first `boundArrays` arrays are its array
   * parameters.
   */
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
    const s = this.specialiser.specialise(low);
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
}

/**
 * Threads of links before, by entry function, arguments and CPU. Configurations often differ in one thread
 * only.
 */
const threadCache = new WeakMap<Specialised, Map<string, ThreadIr>>();

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
 * Links what a booted scenario starts into a program. Modules must be loaded (`loadModules`), configuration
 * set and memory booted.
 * @throws DialectError
 */
export function linkProgram(spec: ProgramSpec, options: LinkOptions = {}): Program {
  const linker = new Linker();
  const threads = spec.threads.map((t, cpu) => linker.thread({ ...t, cpu }, options));
  const last = spec.finally === undefined ? null : linker.thread({ ...spec.finally, cpu: 0 }, options);
  return { name: spec.name, threads, handlers: linker.handlers(), finally: last, memory: spec.memory };
}
